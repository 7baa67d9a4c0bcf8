// kiln doctor on machines where something is missing: what it says, and the command it names.
#include "jit/tool/doctor.h"

#include "jit/tool/options.h"
#include "tests/catch.h"

#include <kiln/error.h>

#include <algorithm>
#include <map>

namespace {

using kiln::tool::Finding;
using State = Finding::State;

/// A machine where all is well.
struct FakeMachine final : kiln::tool::Machine {
    std::vector<std::string> variables = {"HOME=/home/u", "LANG=C"};
    std::map<std::string, std::string> files = {
        {"/proc/cpuinfo",
         "processor : 0\nmodel name\t: A Fast One\nflags\t\t: fpu sse2 avx2 fma "
         "avx512f avx512bw avx512dq avx512vl\n\n"},
        {"/sys/devices/system/cpu/cpu0/cache/index0/type", "Data\n"},
        {"/sys/devices/system/cpu/cpu0/cache/index0/level", "1\n"},
        {"/sys/devices/system/cpu/cpu0/cache/index0/size", "48K\n"},
        {"/sys/fs/cgroup/cpu.max", "max 100000\n"},
        {"/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
        {"/proc/driver/nvidia/version", "NVRM version: 580.65\nGCC version: 12\n"}};
    std::vector<std::string> missing;  // beginnings of libraries' names
    kiln::DiskCacheInfo disk{.folder = "/home/u/.cache/kiln",
                             .reads = true,
                             .writes = true,
                             .reason = {},
                             .bound = 256 << 20};
    std::string cache_error;

    std::vector<std::string> environment() const override { return variables; }
    std::optional<std::string> file(const std::string& path) const override {
        const auto found = files.find(path);
        return found == files.end() ? std::nullopt : std::optional(found->second);
    }
    std::string find_library(const std::vector<std::string>& names) const override {
        for (const std::string& name : names) {
            const auto gone = [&](const std::string& m) {
                return name.find(m) != std::string::npos;
            };
            if (std::ranges::none_of(missing, gone)) return "/lib/" + name;
        }
        return {};
    }
    int cpus() const override { return 8; }
    kiln::DiskCacheInfo cache() const override {
        if (!cache_error.empty()) throw kiln::Error(kiln::ErrorKind::usage, cache_error);
        return disk;
    }
    double bandwidth() const override { return 12.5; }
    std::string folder() const override { return "/opt/lib/"; }
};

Finding find(const FakeMachine& machine, std::string_view topic, std::string_view name) {
    for (const Finding& f : examine(machine))
        if (f.topic == topic && f.name == name) return f;
    FAIL("no finding " << topic << ", " << name);
    return {};
}

void check(const Finding& finding, State state, std::string_view value, std::string_view remedy) {
    CHECK(finding.state == state);
    CHECK(finding.value == value);
    CHECK(finding.remedy == remedy);
}

}  // namespace

TEST_CASE("Doctor: a machine where all is well", "[tool][doctor]") {
    const FakeMachine machine;
    const std::vector<Finding> all = examine(machine);
    for (const Finding& f : all) {
        CAPTURE(f.topic, f.name, f.value);
        CHECK(f.state == State::fine);
        CHECK(f.remedy.empty());
    }
    check(find(machine, "CPU", "model"), State::fine, "A Fast One", "");
    check(find(machine, "CPU", "vector unit"), State::fine, "avx512", "");
    check(find(machine, "CPU", "L1 cache"), State::fine, "48K", "");
    check(find(machine, "memory", "bandwidth"), State::fine, "12.5 GB/s copied by one thread", "");
    check(find(machine, "disk cache", "folder"), State::fine, "/home/u/.cache/kiln, up to 256 MB",
          "");
    check(find(machine, "libraries", "CPU backend"), State::fine, "/lib//opt/lib/libkiln_cpu.so",
          "");
    check(find(machine, "GPU", "driver"), State::fine, "NVRM version: 580.65", "");
    CHECK(findings_text(all).find("try:") == std::string::npos);
}

TEST_CASE("Doctor: each thing that is missing has a command", "[tool][doctor]") {
    FakeMachine machine;
    SECTION("NVRTC") {
        machine.missing = {"libnvrtc"};
        check(find(machine, "GPU", "NVRTC"), State::missing, "not found: no PTX",
              "sudo apt-get install cuda-nvrtc-13-0");
    }
    SECTION("the driver's library") {
        machine.missing = {"libcuda"};
        check(find(machine, "GPU", "driver"), State::missing, "not found: no libcuda.so.1",
              "sudo apt-get install nvidia-driver");
    }
    SECTION("the GPU") {
        machine.files.erase("/proc/driver/nvidia/version");
        check(find(machine, "GPU", "driver"), State::missing, "not loaded: no GPU of NVIDIA's",
              "sudo modprobe nvidia");
    }
    SECTION("SLEEF") {
        machine.missing = {"libsleef"};
        check(find(machine, "libraries", "SLEEF"), State::broken,
              "not found: kernels with functions that are not inlined fail",
              "sudo apt-get install libsleef3");
    }
    SECTION("LLVM") {
        machine.missing = {"libkiln_cpu"};
        check(find(machine, "libraries", "CPU backend"), State::broken,
              "not found: no kernel can be compiled", "sudo apt-get install libllvm19");
    }
    SECTION("Clang") {
        machine.missing = {"libkiln_interpreter"};
        check(find(machine, "libraries", "Clang"), State::missing, "not found: no REPL",
              "sudo apt-get install libclang-19-dev libclang-cpp19-dev");
    }
    SECTION("huge pages") {
        machine.files["/sys/kernel/mm/transparent_hugepage/enabled"] = "always madvise [never]\n";
        check(find(machine, "memory", "huge pages"), State::missing,
              "none: large arrays cost more page faults",
              "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
    }
    SECTION("CPUs, by a cgroup") {
        machine.files["/sys/fs/cgroup/cpu.max"] = "250000 100000\n";
        check(find(machine, "threads", "cgroup limit"), State::missing,
              "2.5 CPUs, less than there are threads", "export KILN_NUM_THREADS=2");
        machine.variables.emplace_back("KILN_NUM_THREADS=2");
        check(find(machine, "threads", "cgroup limit"), State::fine, "2.5 CPUs", "");
    }
    SECTION("a part of the vector unit") {
        machine.variables.emplace_back("KILN_CPU_ISA=avx2");
        check(find(machine, "CPU", "vector unit"), State::missing,
              "avx2, by KILN_CPU_ISA; the CPU has avx512", "unset KILN_CPU_ISA");
    }
    SECTION("a vector unit of that name") {
        machine.variables.emplace_back("KILN_CPU_ISA=neon");
        check(find(machine, "CPU", "vector unit"), State::broken, "KILN_CPU_ISA is 'neon'",
              "unset KILN_CPU_ISA");
    }
    SECTION("the disk cache, switched off") {
        machine.disk.reads = machine.disk.writes = false;
        machine.disk.reason = "KILN_CACHE is off";
        check(find(machine, "disk cache", "off"), State::missing, "KILN_CACHE is off",
              "unset KILN_CACHE");
    }
    SECTION("the disk cache, since others may write to it") {
        machine.disk.reads = machine.disk.writes = false;
        machine.disk.reason = "others may write to /home/u/.cache/kiln";
        check(find(machine, "disk cache", "off"), State::missing,
              "others may write to /home/u/.cache/kiln", "chmod go-w /home/u/.cache/kiln");
    }
    SECTION("the disk cache, by a variable that is malformed") {
        machine.cache_error = "KILN_CACHE_SIZE is 'x'";
        check(find(machine, "disk cache", "off"), State::broken, "error: KILN_CACHE_SIZE is 'x'",
              "unset KILN_CACHE_SIZE");
    }
    SECTION("a variable of that name") {
        machine.variables.emplace_back("KILN_THREADS=4");
        check(find(machine, "environment", "KILN_THREADS"), State::missing,
              "4: kiln knows no such variable", "unset KILN_THREADS");
    }
}

TEST_CASE("Doctor: a CPU without AVX-512, one without AVX2", "[tool][doctor]") {
    FakeMachine machine;
    machine.files["/proc/cpuinfo"] = "model name : M\nflags : sse2 avx2 fma avx512f\n";
    check(find(machine, "CPU", "vector unit"), State::fine, "avx2", "");
    machine.files["/proc/cpuinfo"] = "model name : M\nflags : sse2 avx\n";
    check(find(machine, "CPU", "vector unit"), State::fine, "sse2", "");
}

TEST_CASE("Doctor: as text and as JSON", "[tool][doctor]") {
    const std::vector<Finding> some = {{"CPU", "model", "a \"b\""},
                                       {"GPU", "NVRTC", "not found", State::missing, "get it"}};
    CHECK(kiln::tool::findings_text(some) ==
          "CPU\n   model            a \"b\"\n\nGPU\n ! NVRTC            not found\n"
          "                    try: get it\n");
    CHECK(kiln::tool::findings_json(some) ==
          "[\n  {\"topic\": \"CPU\", \"name\": \"model\", \"value\": \"a \\\"b\\\"\", \"state\": "
          "\"fine\"},\n  {\"topic\": \"GPU\", \"name\": \"NVRTC\", \"value\": \"not found\", "
          "\"state\": \"missing\", \"remedy\": \"get it\"}\n]\n");
}

TEST_CASE("Options stand anywhere, with their value after '=' or a blank", "[tool]") {
    using kiln::tool::Arguments;
    const std::vector<kiln::tool::Option> options = {
        {"--sig", "S", ""}, {"--json", "", ""}, {"-k", "", ""}};
    const Arguments some({"a", "--sig", "f64", "-k", "b", "--sig=f32", "--", "--json", "-"},
                         options);
    CHECK(some.words() == std::vector<std::string>{"a", "b", "--json", "-"});
    CHECK(some.value("--sig") == "f32");
    CHECK(some.has("-k"));
    CHECK(!some.has("--json"));
    CHECK(some.value("--json", "no") == "no");
    using kiln::tool::UsageError;
    CHECK_THROWS_WITH(Arguments({"--sigh"}, options), "unknown option --sigh");
    CHECK_THROWS_WITH(Arguments({"--sig"}, options), "--sig needs a value: --sig S");
    CHECK_THROWS_WITH(Arguments({"--json=1"}, options), "--json takes no value");
    CHECK_THROWS_AS(Arguments({"-x"}, options), UsageError);
}
