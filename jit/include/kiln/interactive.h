// What a session of the kiln tool includes: all of kiln, and how values and kernels are shown.
#pragma once
#include <kiln/annotate.h>
#include <kiln/kiln.h>
#include <kiln/named.h>
#include <kiln/native.h>
#include <kiln/text.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln::interactive {

using kiln::detail::KernelHandle;
using kiln::detail::LeadsToKernel;

/// "(f64, f32[1])".
inline std::string text_of(const std::vector<ArgType>& types) {
    std::string text = "(";
    for (const ArgType& t : types) {
        text += (text.size() > 1 ? ", " : "") + std::string(name(t.dtype));
        if (t.rank > 0) text += "[" + std::to_string(t.rank) + "]";
    }
    return text + ")";
}

template <KernelHandle K> std::string text_of(const K& kernel) {
    constexpr const char* kind = std::is_same_v<K, Ufunc>       ? "vectorize"
                                 : std::is_same_v<K, Gufunc>    ? "guvectorize"
                                 : std::is_same_v<K, Stencil>   ? "stencil"
                                 : std::is_same_v<K, MapReduce> ? "map_reduce"
                                                                : "jit";
    std::string text = "kernel " + std::string(kernel.name()) + " of " + kind;
    const auto all = kernel.specialisations();
    if (all.empty()) text += ", not called yet";
    for (const auto& types : all) text += "\n  " + text_of(types);
    return text;
}

inline std::string text_of(const Array& array) {
    const std::string shape = to_string(array.shape());
    return to_string(array) + "  " + std::string(name(array.dtype())) + " " + shape;
}
inline std::string text_of(const Scalar& scalar) {
    return to_string(Array::of(scalar)) + "  " + std::string(name(scalar.dtype));
}
inline std::string text_of(DType dtype) { return std::string(name(dtype)); }
inline std::string text_of(const DTypeName& dtype) { return text_of(dtype.id); }
inline std::string text_of(bool value) { return value ? "true" : "false"; }
inline std::string text_of(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '\n') {
            quoted += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + "\"";
}
inline std::string text_of(const std::string& text) { return text_of(std::string_view(text)); }
inline std::string text_of(const char* text) { return text_of(std::string_view(text)); }

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };
template <class T>
concept Listed = requires(const T& list) {
    list.begin();
    list.end();
};
template <class T>
concept TupleLike = requires { std::tuple_size<T>::value; } && !Listed<T>;

template <class T> std::string text_of(const std::optional<T>& value);
template <Listed T> std::string text_of(const T& list);
template <TupleLike T> std::string text_of(const T& values);

template <class T>
    requires std::is_arithmetic_v<T>
std::string text_of(T value) {
    if constexpr (std::is_same_v<T, char>) {
        return {'\'', value, '\''};
    } else {
        char buffer[64];
        return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
    }
}
template <class T>
    requires std::is_enum_v<T>
std::string text_of(T value) {
    return std::to_string(static_cast<long long>(value));
}
template <LeadsToKernel K> std::string text_of(const K& ready) {
    return text_of(*ready.operator->());
}
template <Streamable T>
    requires(!Listed<T> && !std::is_arithmetic_v<T>)
std::string text_of(const T& value) {
    std::ostringstream out;
    out << value;
    return std::move(out).str();
}
template <class T> std::string text_of(const std::optional<T>& value) {
    return value ? text_of(*value) : "nothing";
}
template <Listed T> std::string text_of(const T& list) {
    std::string text = "{";
    for (const auto& item : list) text += (text.size() > 1 ? ", " : "") + text_of(item);
    return text + "}";
}
template <TupleLike T> std::string text_of(const T& values) {
    std::string text = "(";
    std::apply(
        [&](const auto&... v) { ((text += (text.size() > 1 ? ", " : "") + text_of(v)), ...); },
        values);
    return text + ")";
}

/// `show, x;` prints x, unless it is void.
struct Show {};
inline constexpr Show show;
template <class T> void operator,(Show, const T& value) {
    if constexpr (requires { text_of(value); })
        std::printf("%s\n", text_of(value).c_str());
    else
        std::printf("an object of %zu bytes\n", sizeof value);
}

template <KernelHandle K> const K& handle(const K& kernel) { return kernel; }
template <LeadsToKernel K> const auto& handle(const K& ready) { return *ready.operator->(); }

/// The types of its last specialisation. Errors: usage (there was none).
template <class K> std::vector<ArgType> last_types(const K& kernel) {
    const auto all = handle(kernel).specialisations();
    if (!all.empty()) return all.back();
    throw Error(
        ErrorKind::usage,
        "no types are known that " + std::string(handle(kernel).name()) + " was called with", {},
        "call it, or name the types: (f64, f32[1])");
}

template <class K> void print_remarks(const K& kernel) {
    for (const Remark& r : handle(kernel).remarks())
        std::printf("%s:%u: %s\n", r.file.c_str(), r.line, r.text.c_str());
}

inline void print(const Stats& s) {
    std::printf(
        "%llu compiles, %llu loads, %llu hits, %llu misses\n"
        "ms: trace %.2f, passes %.2f, disk %.2f, opening LLVM %.2f, emit %.2f, "
        "optimise %.2f, code %.2f, link %.2f\n",
        static_cast<unsigned long long>(s.compiles), static_cast<unsigned long long>(s.loads),
        static_cast<unsigned long long>(s.hits), static_cast<unsigned long long>(s.misses),
        s.trace_ms, s.passes_ms, s.disk_ms, s.load_ms, s.emit_ms, s.optimize_ms, s.codegen_ms,
        s.link_ms);
}
template <class K> void print_stats(const K& kernel) { print(handle(kernel).stats()); }

inline void print_cache() {
    const DiskCacheInfo info = disk_cache_info();
    std::printf(
        "%s%s%s: %llu found, %llu not found, %llu written\n",
        info.folder.empty() ? "no folder" : info.folder.c_str(), info.reason.empty() ? "" : ", ",
        info.reason.c_str(), static_cast<unsigned long long>(info.hits),
        static_cast<unsigned long long>(info.misses), static_cast<unsigned long long>(info.stored));
}

/// The first call by phase, then the best and the median of warm ones, and elements a second of the
/// array that a call gives.
template <class F> void time(F call) {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [&] {
        const auto start = Clock::now();
        call();
        return std::chrono::duration<double>(Clock::now() - start).count();
    };
    const Stats before = stats();
    const double first = seconds();
    Stats made = stats();
    std::printf("first call %.3f ms", first * 1e3);
    if (made.misses > before.misses)
        std::printf(" (trace %.2f, passes %.2f, LLVM %.2f, disk %.2f)",
                    made.trace_ms - before.trace_ms, made.passes_ms - before.passes_ms,
                    made.load_ms + made.emit_ms + made.optimize_ms + made.codegen_ms +
                        made.link_ms - before.load_ms - before.emit_ms - before.optimize_ms -
                        before.codegen_ms - before.link_ms,
                    made.disk_ms - before.disk_ms);
    std::vector<double> warm;
    double sum = 0;
    while (warm.size() < 5 || (sum < 0.3 && warm.size() < 1000)) {
        warm.push_back(seconds());
        sum += warm.back();
    }
    std::sort(warm.begin(), warm.end());
    const double best = warm.front(), median = warm[warm.size() / 2];
    std::printf("\nwarm: best %.3f us, median %.3f us of %zu calls", best * 1e6, median * 1e6,
                warm.size());
    if constexpr (std::is_convertible_v<decltype(call()), Array>) {
        const Array result = call();
        std::printf(", %.3g elements/s, %.3g GB/s of results",
                    static_cast<double>(result.size()) / best,
                    static_cast<double>(result.nbytes()) / best * 1e-9);
    }
    std::printf("\n");
}

/// A page of the kernel for these types, or for those that it was compiled for. Errors: as of annotate.
template <class K>
void write_page(const K& kernel, const std::string& path,
                std::vector<std::vector<ArgType>> types = {}) {
    if (types.empty()) types = handle(kernel).specialisations();
    annotate(handle(kernel), path, types);
}

/// Prints what a program says of files with these texts, "a", "b" ...: `command` runs in their folder.
/// Its exit status, 127 where there is no such program.
inline int print_of_files(const std::vector<std::string>& texts, const std::string& command) {
    const std::filesystem::path where = std::filesystem::temp_directory_path();
    std::string folder = (where / ("kiln-diff-" + std::string(6, 'X'))).string();
    if (mkdtemp(folder.data()) == nullptr)
        throw Error(ErrorKind::io, "no folder can be made in " + where.string());
    for (std::size_t i = 0; i < texts.size(); ++i)
        std::ofstream(folder + "/" + static_cast<char>('a' + i)) << texts[i];
    std::fflush(stdout);
    const int status = std::system(("cd '" + folder + "' && " + command).c_str());
    std::error_code ignored;  // what stays is in the system's folder for such things
    std::filesystem::remove_all(folder, ignored);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The lines in which two texts differ, as `diff -u` prints them.
inline void print_difference(const std::string& a, const std::string& b, const std::string& of_a,
                             const std::string& of_b, bool colours) {
    const std::string command = "diff -u --label 'a: " + of_a + "' --label 'b: " + of_b + "' " +
                                (colours ? "--color=always" : "") + " a b";
    const int status = print_of_files({a, b}, command);
    if (status == 0) std::printf("no difference\n");
    if (status != 0 && status != 1)
        throw Error(ErrorKind::io, "there is no diff", {}, "sudo apt-get install diffutils");
}

/// What LLVM's model of this CPU says of assembler: throughput and where it waits. Errors: io (llvm-mca
/// is missing).
inline void print_throughput(const std::string& assembly) {
    const int status = print_of_files(
        {assembly},
        "program=$(command -v llvm-mca-19 || command -v llvm-mca) || exit 127; "
        "\"$program\" -mcpu=native --skip-unsupported-instructions=any a 2>/dev/null");
    if (status == 127)
        throw Error(ErrorKind::io, "there is no llvm-mca", {}, "sudo apt-get install llvm-19");
    if (status != 0)
        throw Error(ErrorKind::io, "llvm-mca ended with status " + std::to_string(status));
}

}  // namespace kiln::interactive
