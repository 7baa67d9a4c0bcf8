#include "jit/cuda/assembler_log.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace kiln::engine {
namespace {

/// The number in front of `what`; 0 where the line has none.
std::int64_t number_before(std::string_view line, std::string_view what) {
    const std::size_t end = line.find(what);
    if (end == line.npos) return 0;
    std::size_t begin = end;
    while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9') --begin;
    std::int64_t number = 0;
    std::from_chars(line.data() + begin, line.data() + end, number);
    return number;
}

/// What stands behind `what`, up to `end`; nothing where the line has none.
std::string_view behind(std::string_view line, std::string_view what, char end) {
    const std::size_t begin = line.find(what);
    if (begin == line.npos) return {};
    line.remove_prefix(begin + what.size());
    return line.substr(0, line.find(end));
}

}  // namespace

std::vector<KernelAttributes> attributes_in(std::string_view log, const std::string& arch) {
    std::vector<KernelAttributes> all;
    bool of_entry =
        false;  // the last properties: those of the entry function, not of one that it calls
    while (!log.empty()) {
        const std::size_t length = std::min(log.find('\n'), log.size() - 1) + 1;
        const std::string_view line = log.substr(0, length);
        log.remove_prefix(length);
        if (const auto entry = behind(line, "Compiling entry function '", '\''); !entry.empty())
            all.push_back({.function = std::string(entry), .architecture = arch});
        if (all.empty()) continue;
        KernelAttributes& of = all.back();
        if (const auto name = behind(line, "Function properties for ", '\n'); !name.empty())
            of_entry = name == of.function;
        if (of_entry && line.find(" bytes stack frame") != line.npos) {
            of.local = number_before(line, " bytes stack frame");
            of.spill_stores = number_before(line, " bytes spill stores");
            of.spill_loads = number_before(line, " bytes spill loads");
        }
        if (line.find(" registers") != line.npos) {
            of.registers = static_cast<int>(number_before(line, " registers"));
            of.shared = number_before(line, " bytes smem");
            of.most_threads = std::min(1024, 32 * warps_with(of.registers));
        }
    }
    return all;
}

}  // namespace kiln::engine
