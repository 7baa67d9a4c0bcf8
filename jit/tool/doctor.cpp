#include "jit/tool/doctor.h"

#include "codegen/lanes/vector_isa.h"
#include "codegen/passes/kernel_plan.h"
#include "jit/compile/target.h"
#include "jit/session/input.h"
#include "jit/tool/command.h"

#include <kiln/error.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

using State = Finding::State;

/// The variables that kiln reads.
struct Variable {
    std::string_view name, doc;
};
constexpr Variable variables[] = {
    {"KILN_CACHE", "disk cache: on, ro, off"},
    {"KILN_CACHE_DIR", "its folder"},
    {"KILN_CACHE_SIZE", "its bound"},
    {"KILN_CHECKED", "all kernels are checked"},
    {"KILN_CPU", "host, or portable: code for any CPU of its level"},
    {"KILN_CPU_ISA", "the vector unit at most: sse2, avx2, avx512"},
    {"KILN_CUDA_ARCH", "the architecture of CUDA code"},
    {"KILN_DEBUG", "code of single steps, for gdb"},
    {"KILN_HISTORY", "the file of the REPL's history"},
    {"KILN_NUM_THREADS", "threads of parallel kernels"},
    {"KILN_PERF", "a perf map and a jitdump of kernels"},
    {"KILN_PERF_DIR", "the folder of the jitdump"},
};

/// The word after `key` and blanks, up to the end of its line.
std::string field(const std::string& text, std::string_view key) {
    const std::size_t at = text.find(key);
    if (at == std::string::npos) return {};
    const std::size_t begin = text.find_first_not_of(" \t:", at + key.size());
    return text.substr(begin, text.find('\n', begin) - begin);
}

class Examination {
  public:
    explicit Examination(const Machine& machine) : machine_(machine) {}

    std::vector<Finding> run() {
        versions();
        cpu();
        threads();
        memory();
        cache();
        libraries();
        device();
        environment();
        return std::move(all_);
    }

  private:
    void add(std::string topic, std::string name, std::string value, State state = State::fine,
             std::string remedy = {}) {
        all_.push_back(
            {std::move(topic), std::move(name), std::move(value), state, std::move(remedy)});
    }
    std::string text_of(const std::string& path) const {
        return std::string(trimmed(machine_.file(path).value_or("")));
    }

    void versions() {
        add("kiln", "version",
            fmt::format("{}, build {}", KILN_VERSION, engine::build_fingerprint));
        add("kiln", "LLVM", KILN_LLVM_VERSION);
    }

    void cpu() {
        const std::string info = text_of("/proc/cpuinfo");
        add("CPU", "model", field(info, "model name"));
        const std::string flags = " " + field(info, "flags") + " ";
        const auto has = [&](std::string_view flag) {
            return flags.find(fmt::format(" {} ", flag)) != std::string::npos;
        };
        using codegen::VectorIsa;
        VectorIsa there = VectorIsa::sse2;
        if (has("avx2") && has("fma")) there = VectorIsa::avx2;
        if (there == VectorIsa::avx2 && has("avx512f") && has("avx512bw") && has("avx512dq") &&
            has("avx512vl"))
            there = VectorIsa::avx512;
        VectorIsa used = there;
        const std::string limit = machine_.variable("KILN_CPU_ISA");
        for (const VectorIsa isa : {VectorIsa::sse2, VectorIsa::avx2})
            if (limit == name(isa)) used = std::min(there, isa);
        const bool known = limit.empty() || limit == "sse2" || limit == "avx2" || limit == "avx512";
        if (!known)
            add("CPU", "vector unit", fmt::format("KILN_CPU_ISA is '{}'", limit), State::broken,
                "unset KILN_CPU_ISA");
        else if (used != there)
            add("CPU", "vector unit",
                fmt::format("{}, by KILN_CPU_ISA; the CPU has {}", name(used), name(there)),
                State::missing, "unset KILN_CPU_ISA");
        else
            add("CPU", "vector unit", std::string(name(used)));
        for (int i = 0; i < 8; ++i) {
            const std::string folder =
                fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", i);
            const std::string type = text_of(folder + "type");
            if (type.empty() || type == "Instruction") continue;
            add("CPU", fmt::format("L{} cache", text_of(folder + "level")),
                text_of(folder + "size"));
        }
    }

    void threads() {
        const int cpus = machine_.cpus();
        const std::string wanted = machine_.variable("KILN_NUM_THREADS");
        add("threads", "CPUs", std::to_string(cpus));
        int used = cpus;
        if (!wanted.empty()) {
            used = std::atoi(wanted.c_str());
            add("threads", "KILN_NUM_THREADS", wanted, used < 1 ? State::broken : State::fine,
                used < 1 ? "unset KILN_NUM_THREADS" : "");
        }
        double quota = 0, period = 0;
        std::istringstream limit(text_of("/sys/fs/cgroup/cpu.max"));
        if (!(limit >> quota >> period) || period <= 0) return;
        const double share = quota / period;
        const int fitting = std::max(1, static_cast<int>(std::floor(share)));
        const bool over = used > std::ceil(share);
        add("threads", "cgroup limit",
            fmt::format("{:.3g} CPUs{}", share, over ? ", less than there are threads" : ""),
            over ? State::missing : State::fine,
            over ? fmt::format("export KILN_NUM_THREADS={}", fitting) : "");
    }

    void memory() {
        const std::string pages = text_of("/sys/kernel/mm/transparent_hugepage/enabled");
        const bool never = pages.find("[never]") != std::string::npos;
        if (pages.empty() || never)
            add("memory", "huge pages", "none: large arrays cost more page faults", State::missing,
                never ? "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled" : "");
        else
            add("memory", "huge pages", pages);
        add("memory", "bandwidth",
            fmt::format("{:.3g} GB/s copied by one thread", machine_.bandwidth()));
    }

    void cache() {
        try {
            const DiskCacheInfo info = machine_.cache();
            if (info.reads && info.writes) {
                add("disk cache", "folder",
                    fmt::format("{}, up to {} MB", info.folder, info.bound >> 20));
                return;
            }
            std::string remedy = "export KILN_CACHE_DIR=$HOME/.cache/kiln";
            if (info.reason.starts_with("KILN_CACHE is")) remedy = "unset KILN_CACHE";
            if (info.reason.starts_with("others may write"))
                remedy = fmt::format("chmod go-w {}", info.folder);
            add("disk cache", info.reads ? "read only" : "off", info.reason, State::missing,
                remedy);
        } catch (const Error& error) {
            const std::string name = error.message().substr(0, error.message().find(' '));
            add("disk cache", "off", error.what(), State::broken, "unset " + name);
        }
    }

    void library(std::string topic, std::string name, const std::vector<std::string>& names,
                 std::string without, State state, std::string remedy) {
        const std::string found = machine_.find_library(names);
        if (found.empty())
            add(std::move(topic), std::move(name), "not found: " + std::move(without), state,
                std::move(remedy));
        else
            add(std::move(topic), std::move(name), found);
    }
    void libraries() {
        const std::string folder = machine_.folder();
        library("libraries", "CPU backend", {folder + "libkiln_cpu.so", "libkiln_cpu.so"},
                "no kernel can be compiled", State::broken, "sudo apt-get install libllvm19");
        library("libraries", "SLEEF", {KILN_SLEEF_LIBRARY},
                "kernels with functions that are not inlined fail", State::broken,
                "sudo apt-get install libsleef3");
        library("libraries", "Clang", {folder + "libkiln_interpreter.so"}, "no REPL",
                State::missing, "sudo apt-get install libclang-19-dev libclang-cpp19-dev");
    }

    void device() {
        library("GPU", "NVRTC", nvrtc_libraries(), "no PTX", State::missing,
                "sudo apt-get install cuda-nvrtc-13-0");
        const std::string driver = machine_.find_library({"libcuda.so.1"});
        const std::string version = text_of("/proc/driver/nvidia/version");
        if (driver.empty() || version.empty())
            add("GPU", "driver",
                driver.empty() ? "not found: no libcuda.so.1" : "not loaded: no GPU of NVIDIA's",
                State::missing,
                driver.empty() ? "sudo apt-get install nvidia-driver" : "sudo modprobe nvidia");
        else
            add("GPU", "driver", version.substr(0, version.find('\n')));
    }
    /// The names that the CUDA backend tries.
    std::vector<std::string> nvrtc_libraries() const {
        std::vector<std::string> folders = {""}, names;
        for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
            if (const std::string root = machine_.variable(variable); !root.empty())
                for (const char* sub : {"/lib64/", "/lib/"}) folders.push_back(root + sub);
        folders.emplace_back("/usr/local/cuda/lib64/");
        for (const std::string& folder : folders)
            for (const char* version : {".13", ".12", ""})
                names.push_back(folder + "libnvrtc.so" + version);
        return names;
    }

    void environment() {
        for (const std::string& entry : machine_.environment()) {
            if (!entry.starts_with("KILN_")) continue;
            const std::string name = entry.substr(0, entry.find('='));
            const auto known = std::ranges::find(variables, name, &Variable::name);
            const std::string value = entry.substr(std::min(entry.size(), name.size() + 1));
            if (known != std::end(variables))
                add("environment", name, fmt::format("{} ({})", value, known->doc));
            else
                add("environment", name, fmt::format("{}: kiln knows no such variable", value),
                    State::missing, "unset " + name);
        }
    }

    const Machine& machine_;
    std::vector<Finding> all_;
};

constexpr std::string_view word(State state) {
    return state == State::fine ? "" : state == State::missing ? "missing" : "broken";
}

}  // namespace

std::string Machine::variable(std::string_view name) const {
    for (const std::string& entry : environment())
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
            return entry.substr(name.size() + 1);
    return {};
}

std::vector<Finding> examine(const Machine& machine) { return Examination(machine).run(); }

std::string findings_text(const std::vector<Finding>& findings) {
    std::string text, topic;
    for (const Finding& f : findings) {
        if (f.topic != topic) text += fmt::format("{}{}\n", topic.empty() ? "" : "\n", f.topic);
        topic = f.topic;
        text +=
            fmt::format("{:>2} {:<16} {}\n", f.state == State::fine ? "" : "!", f.name, f.value);
        if (!f.remedy.empty()) text += fmt::format("   {:<16} {}\n", "", "try: " + f.remedy);
    }
    return text;
}

std::string findings_json(const std::vector<Finding>& findings) {
    using codegen::json_string;
    std::string text = "[";
    for (const Finding& f : findings) {
        text += fmt::format("{}\n  {{\"topic\": {}, \"name\": {}, \"value\": {}, \"state\": {}",
                            text.size() == 1 ? "" : ",", json_string(f.topic), json_string(f.name),
                            json_string(f.value),
                            json_string(f.state == State::fine ? "fine" : word(f.state)));
        if (!f.remedy.empty()) text += fmt::format(", \"remedy\": {}", json_string(f.remedy));
        text += "}";
    }
    return text + "\n]\n";
}

Status doctor(const Arguments& arguments) {
    if (!arguments.words().empty())
        throw UsageError("doctor takes no words, such as " + arguments.words()[0]);
    const std::vector<Finding> findings = examine(Machine::here());
    const std::string text =
        arguments.has("--json") ? findings_json(findings) : findings_text(findings);
    std::fputs(text.c_str(), stdout);
    const bool broken =
        std::ranges::any_of(findings, [](const Finding& f) { return f.state == State::broken; });
    return broken ? Status::failed : Status::good;
}

}  // namespace kiln::tool
