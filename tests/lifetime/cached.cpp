// Programs that find their kernels on the disk, and many that write them at once and are killed.
//
//     cached               all of it; a few rounds of processes
//     cached ROUNDS        with so many rounds
#include "tests/scratch_folder.h"

#include <kiln/kiln.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace kiln;
namespace fs = std::filesystem;

namespace {

constexpr int kernels = 20;

void require(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "failed: %s\n", what);
    std::exit(1);
}

/// What passes had to say is the same where none ran.
void remarked(const std::vector<double>& x, std::vector<double>& y) {
    const std::uint32_t line = __LINE__ + 2;
    const auto f = jit("remarked", [](In in, Out out) {
        for (Index i : prange(in.extent(0))) out(i) = in(i) + 2;
        for (Index i : prange(in.extent(0))) out(i) *= 3;
    });
    f(x, y);
    require(y[8] == 9, "two loops");
    require(f.stats().compiles + f.stats().loads <= 1, "which are one kernel");
    bool fused = false;
    for (const Remark& r : f.remarks())
        fused = fused || (r.line == line + 1 && r.text.find("fused") == 0);
    require(fused || !f.remarks().empty(), "remarks");
    require(f.parallel_diagnostics(1).find("2 parallel loops found, 1 left") != std::string::npos,
            "what became of loops");
}

/// Large calls have code of their own, which is kept as all other.
void sized() {
    const auto f = jit("sized", [](In in, Out out) { out = in * 0.75 + 2.0; });
    for (const std::int64_t n : {1000, 1'600'000}) {
        const Array x = full({n}, 4.0), y = zeros({n});
        f(x, y);
        require(y.at<double>({n - 1}) == 5, "a statement");
    }
    require(f.stats().compiles + f.stats().loads == 2, "code for large arrays");
}

/// All kernels run, and are right.
void work() {
    std::vector<double> x(1000), y(1000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i) / 8;
    for (int k = 0; k < kernels / 4; ++k) {
        const double c = k + 0.5;
        const auto f = vectorize([=](Value v) { return v * c + 1; });
        require(f(std::span(x)).at<double>(8) == c + 1, "an element-wise kernel");
        const auto power = vectorize([=](Value v) { return exp(v) * c; });
        const double e = power(std::span(x)).at<double>(8) / c;
        require(e > 2.7182818284590 && e < 2.7182818284591, "a kernel that calls a function");
        const auto loop = jit([=](In in, Out out) {
            for (Index i : prange(in.extent(0))) out(i) = in(i)-c;
        });
        loop(x, y);
        require(y[16] == 2 - c, "a loop kernel");
        const auto checked = jit(
            [=](In in, Out out) {
                for (Index i : range(in.extent(0) - 1)) out(i) = in(i + 1) * c;
            },
            {.checked = true});
        checked(x, y);
        require(y[7] == c, "a checked kernel");
    }
    const auto beyond = jit(
        [](In in, Out out) {
            for (Index i : range(in.extent(0))) out(i) = in(i + 1);
        },
        {.checked = true});
    const std::uint32_t line = __LINE__ - 3;
    try {
        beyond(x, y);
        require(false, "an index beyond the end");
    } catch (const Error& error) {
        require(error.kind() == ErrorKind::bounds && error.line() == line, error.what());
    }
    require(sum(std::span(x)).item<double>() == 999 * 500 / 8.0, "a sum");
    remarked(x, y);
    sized();
}

void has(const std::string& text, const char* part) {
    require(text.find(part) != text.npos, text.c_str());
}

bool maps(const char* library) {
    std::ifstream file("/proc/self/maps");
    for (std::string line; std::getline(file, line);)
        if (line.find(library) != std::string::npos) return true;
    return false;
}

int first() {
    work();
    const Stats s = stats();
    require(s.compiles > 0 && s.loads == 0, "a first process compiles");
    require(disk_cache_info().stored == s.compiles, "all that was compiled is stored");
    require(maps("libLLVM"), "LLVM has a name");
    // Later kernels are as the first one, but for a number.
    has(explain_disk_cache().at(0).reason, "its kernel has '%1 = mul f64 %0, f64(");
    return 0;
}

/// The reason why the kernel is compiled; `line` is where it was made.
template <class K> std::string reason_of(const K& kernel, std::uint32_t line) {
    const std::vector<double> x(4);
    kernel(std::span(x));
    require(kernel.stats().compiles == 1, "a miss");
    const DiskCacheMiss miss = explain_disk_cache().back();
    require(miss.kernel == kernel.name() && miss.line == line && !miss.nearest.empty(),
            "a miss told");
    return miss.reason;
}

/// On a folder of another vector unit's entries, whose kernels work() has.
int explained() {
    const auto f = vectorize("f", [](Value v) { return exp(v) * 0.5; });
    has(reason_of(f, __LINE__ - 1), "the vector unit is sse2, not avx2");
    const auto g = vectorize("g", [](Value v) { return exp(v) * 0.25; });  // as f, but for a number
    has(reason_of(g, __LINE__ - 1), "its kernel has '");
    has(explain_disk_cache().back().reason, "f64(0.5)', not '");
    return 0;
}

int saves(const std::string& path) {
    const BundleInfo made = save_bundle(path);
    require(made.kernels > kernels, "what a bundle has");
    return 0;
}
/// All that work() needs is in a bundle, and nothing on the disk.
int bundled(const std::string& path) {
    require(!disk_cache_info().reads, "no other cache");
    require(load_bundle(path).usable > kernels, "what of a bundle can be used");
    work();
    require(stats().compiles == 0 && stats().loads > kernels, "all from the bundle");
    require(disk_cache_info().passes_skipped > 0, "passes too");
    require(!maps("libLLVM"), "LLVM is not there");
    return 0;
}
/// A bundle of sse2 on a process of avx2.
int refuses(const std::string& path) {
    try {
        load_bundle(path);
    } catch (const Error& error) {
        require(error.kind() == ErrorKind::unsupported, "unsupported");
        has(error.what(), "the vector unit is sse2, not avx2");
        return 0;
    }
    return 1;
}

int second() {
    work();
    const Stats s = stats();
    require(s.compiles == 0, "a second process compiles nothing");
    require(s.loads == disk_cache_info().hits, "it loads all");
    require(s.emit_ms + s.optimize_ms + s.codegen_ms == 0, "its code generator does nothing");
    require(!maps("libLLVM"), "LLVM is not there");
    require(disk_cache_info().passes_skipped >= kernels / 2, "passes of loops are skipped");
    require(disk_cache_info().damaged == 0, "what is found is what was stored");
    require(explain_disk_cache().empty(), "nothing was missing");
    // Texts are made when asked for, and are of the code that runs.
    const auto f = vectorize([](Value v) { return v * 0.5 + 1; });
    const std::vector<double> x{2};
    require(f(std::span(x)).at<double>(0) == 2, "a kernel that is there");
    require(stats().compiles == 0, "and needs no compile");
    require(f.inspect(Artifact::assembly, {f64[1]}).find("ret") != std::string::npos, "a text");
    require(maps("libLLVM"), "for a text LLVM is opened");
    return 0;
}

/// One of many at once.
int one_of_many() {
    work();
    const DiskCacheInfo info = disk_cache_info();
    require(info.damaged == 0, "whatever others do, entries are whole");
    require(info.failed == 0, "and can be written");
    return 0;
}

pid_t start(const char* mode, std::string argument = "") {
    char self[] = "cached";
    std::string name = mode;
    char* const command[] = {self, name.data(), argument.data(), nullptr};
    pid_t pid = -1;
    require(posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, command, environ) == 0,
            "a process");
    return pid;
}
int status_of(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

std::size_t count(const fs::path& folder, const char* suffix) {
    std::size_t n = 0;
    if (fs::exists(folder))
        for (const auto& entry : fs::directory_iterator(folder))
            n += entry.path().extension() == suffix;
    return n;
}

/// Processes at once on an empty folder; some are killed, at any time. `stored`: entries of one that is not.
void round(const fs::path& folder, std::size_t stored, std::mt19937& random) {
    fs::remove_all(folder);
    std::vector<pid_t> all;
    for (int i = 0; i < 16; ++i) all.push_back(start("many"));
    for (const pid_t pid : all) {
        if (random() % 2 == 0) continue;
        usleep(static_cast<useconds_t>(random() % 60'000));
        kill(pid, SIGKILL);
    }
    for (const pid_t pid : all) {
        const int status = status_of(pid);
        require(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
                "it ends well, or is killed");
    }
    require(status_of(start("many")) == 0, "one that is left alone");
    require(count(folder, ".code") == stored, "one entry a kernel, whoever wrote it");
    require(status_of(start("second")) == 0, "one that finds all");
    require(count(folder, ".code") == stored, "entries stay");
}

/// An environment for the processes that are started meanwhile.
struct Variable {
    Variable(const char* n, const std::string& value) : name(n) { setenv(n, value.c_str(), 1); }
    ~Variable() { unsetenv(name); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    const char* name;
};

void bundles(const fs::path& scratch, const fs::path& folder) {
    const std::string mine = scratch / "mine", all = scratch / "all", old = scratch / "old";
    require(status_of(start("saves", mine)) == 0, "a bundle is written");
    {
        const Variable off("KILN_CACHE", "off");
        require(status_of(start("bundled", mine)) == 0, "a bundle alone");
    }
    if (__builtin_cpu_supports("avx2") == 0) return;
    const Variable place("KILN_CACHE_DIR", scratch / "units");
    {
        const Variable unit("KILN_CPU_ISA", "sse2");
        require(status_of(start("first")) == 0, "the kernels of sse2");
        require(status_of(start("saves", old)) == 0, "a bundle of sse2");
    }
    const Variable unit("KILN_CPU_ISA", "avx2");
    require(status_of(start("refuses", old)) == 0, "a bundle of sse2 on avx2");
    require(status_of(start("explained")) == 0, "kernels of sse2 on avx2");
    fs::remove_all(scratch / "units");
    for (const char* one : {"sse2", "avx2"}) {
        const Variable of("KILN_CPU_ISA", one), cpu("KILN_CPU", "portable");
        require(status_of(start("many")) == 0, "portable code");
    }
    require(setenv("KILN_CPU_ISA", "avx2", 1) == 0, "a variable");
    require(status_of(start("saves", all)) == 0, "a bundle of two levels");
    const Variable off("KILN_CACHE", "off");
    for (const char* one : {"sse2", "avx2"}) {
        const Variable of("KILN_CPU_ISA", one);
        require(status_of(start("bundled", all)) == 0, "code for the level");
    }
    require(fs::exists(folder), "the folder");
}

int all(int rounds) {
    const test::ScratchFolder scratch;
    const fs::path folder = scratch.path / "cache";
    setenv("KILN_CACHE_DIR", folder.c_str(), 1);
    unsetenv("KILN_CACHE");
    require(status_of(start("first")) == 0, "the first process");
    const std::size_t stored = count(folder, ".code");
    require(stored > kernels, "entries");
    for (int i = 0; i < 2; ++i) require(status_of(start("second")) == 0, "the second process");
    require(count(folder, ".code") == stored, "one entry a kernel");
    bundles(scratch.path, folder);
    setenv("KILN_CACHE_DIR", folder.c_str(), 1);
    const unsigned seed = std::random_device()();
    std::printf("seed %u\n", seed);
    std::mt19937 random(seed);
    for (int i = 0; i < rounds; ++i) round(folder, stored, random);
    std::printf("%zu entries, %d rounds\n", stored, rounds);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "2";
    try {
        if (mode == "first") return first();
        if (mode == "second") return second();
        if (mode == "many") return one_of_many();
        if (mode == "explained") return explained();
        if (mode == "saves") return saves(argv[2]);
        if (mode == "bundled") return bundled(argv[2]);
        if (mode == "refuses") return refuses(argv[2]);
        return all(std::atoi(mode.c_str()));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 98;
    }
}
