// What the samples of loop kernels share: a table of programs, each with a small and a full size.
#pragma once
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "measure.h"

namespace samples {

/// How large a program's problem is: a quick check, what a desk can wait for, or the full one.
enum class Size { small, usual, full };

struct LoopProgram {
    const char* name;
    const char* what;
    bool (*run)(Size size);  // whether all results are right
};

inline std::int64_t pick(Size size, std::int64_t small, std::int64_t usual, std::int64_t full) {
    return size == Size::small ? small : size == Size::usual ? usual : full;
}

/// Prints the times of the plain loop and of kernels that do the same; `labels` name the latter.
inline void compare(const char* what, int rounds, const std::function<void()>& plain,
                    const std::vector<std::pair<const char*, std::function<void()>>>& kernels) {
    std::vector<std::function<void()>> ways{plain};
    for (const auto& [label, run] : kernels) ways.push_back(run);
    const std::vector<double> ms = medians(rounds, ways);
    std::printf("== %s: plain loop %.3f ms", what, ms[0]);
    for (std::size_t k = 0; k < kernels.size(); ++k)
        std::printf("; %s %.3f ms (%.2fx)", kernels[k].first, ms[k + 1], ms[0] / ms[k + 1]);
    std::printf("\n");
}

inline bool agree_one(const char* what, double got, double want, double tolerance) {
    return agree<double>(what, std::span(&got, 1), std::span(&want, 1),
                         [&](std::size_t) { return tolerance; });
}

/// usage: PROGRAM [--small | --full] [name...]
inline int run_programs(std::span<const LoopProgram> programs, int argc, char** argv) {
    Size size = Size::usual;
    std::vector<std::string> names;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--small") == 0)
            size = Size::small;
        else if (std::strcmp(argv[i], "--full") == 0)
            size = Size::full;
        else
            names.emplace_back(argv[i]);
    }
    bool ok = true;
    for (const std::string& name : names)
        if (std::ranges::none_of(programs, [&](const LoopProgram& p) { return p.name == name; })) {
            std::fprintf(stderr, "no program %s; there are:\n", name.c_str());
            for (const LoopProgram& p : programs)
                std::fprintf(stderr, "  %-12s %s\n", p.name, p.what);
            return 1;
        }
    for (const LoopProgram& p : programs) {
        if (!names.empty() && std::ranges::find(names, p.name) == names.end()) continue;
        std::printf("\n%s: %s\n", p.name, p.what);
        try {
            ok &= p.run(size);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
            ok = false;
        }
    }
    return ok ? 0 : 1;
}

}  // namespace samples
