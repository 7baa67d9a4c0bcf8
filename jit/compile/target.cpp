#include "jit/compile/target.h"

#include "jit/compile/debugging.h"
#include "runtime/process.h"

#include <cpuid.h>
#include <sys/platform/x86.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

/// Of Debugging.
constexpr std::string_view debugging_names[] = {"", "/lines", "/variables"};

using Registers = std::array<unsigned, 4>;  // eax, ebx, ecx, edx
enum Register : std::size_t { a, b, c, d };

// Each question to the CPU takes a virtual machine 5 us and more. The C library has asked nearly all of
// them when the process started.
Registers cpuid(unsigned leaf) {
    Registers r{};
    __cpuid_count(leaf, 0, r[a], r[b], r[c], r[d]);
    return r;
}
/// What the C library was told, by its numbers of leaves.
Registers asked(unsigned index) {
    return std::bit_cast<Registers>(__x86_get_cpuid_feature_leaf(index)->cpuid_array);
}

/// The registers whose state the system keeps: without it a feature is not there.
std::uint64_t kept_state(const Registers& model) {
    constexpr unsigned has_xgetbv = 1U << 27;
    if ((model[c] & has_xgetbv) == 0) return 0;
    std::uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return std::uint64_t(high) << 32 | low;
}

/// Vendor, family, model and stepping in one word; then the words with features. Those that differ
/// from core to core, or tell of the machine and not of instructions, are left out.
std::string cpu_words() {
    const Registers vendor = cpuid(0), model = asked(CPUID_INDEX_1), more = asked(CPUID_INDEX_7),
                    more1 = asked(CPUID_INDEX_7_ECX_1), state = asked(CPUID_INDEX_D_ECX_1),
                    keys = asked(CPUID_INDEX_19), extended = asked(CPUID_INDEX_80000001),
                    size = asked(CPUID_INDEX_80000008),
                    wide = vendor[a] < 0x24 ? Registers{} : cpuid(0x24);
    std::array<char, 12> name{};
    std::memcpy(name.data(), &vendor[b], 4);
    std::memcpy(name.data() + 4, &vendor[d], 4);
    std::memcpy(name.data() + 8, &vendor[c], 4);
    return fmt::format(
        "{}-{:x}/{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}",
        std::string_view(name.data(), name.size()), model[a], model[c], model[d], more[b], more[c],
        more[d], more1[a], more1[d], state[a], keys[b], wide[b], extended[c], extended[d], size[b],
        kept_state(model));
}

/// Whether the CPU has all of them, and the system keeps their registers.
template <class... Feature> bool has(Feature... features) {
    return (x86_cpu_active(static_cast<unsigned>(features)) && ...);
}

bool has_avx512() {
    return has(x86_cpu_AVX512F, x86_cpu_AVX512BW, x86_cpu_AVX512DQ, x86_cpu_AVX512VL);
}

codegen::VectorIsa vector_isa(std::string_view limit) {
    const bool avx2 = has(x86_cpu_AVX2, x86_cpu_FMA);
    if (avx2 && has_avx512() && limit == "avx512") return codegen::VectorIsa::avx512;
    return avx2 && limit != "sse2" ? codegen::VectorIsa::avx2 : codegen::VectorIsa::sse2;
}

/// Whether this CPU has all of the x86-64 level that stands for the vector unit, which is more than the unit.
bool has_level(codegen::VectorIsa isa) {
    if (!has(x86_cpu_CMPXCHG16B, x86_cpu_LAHF64_SAHF64, x86_cpu_POPCNT, x86_cpu_SSE3, x86_cpu_SSSE3,
             x86_cpu_SSE4_1, x86_cpu_SSE4_2))
        return false;
    if (isa == codegen::VectorIsa::sse2) return true;
    if (!has(x86_cpu_AVX, x86_cpu_AVX2, x86_cpu_BMI1, x86_cpu_BMI2, x86_cpu_F16C, x86_cpu_FMA,
             x86_cpu_LZCNT, x86_cpu_MOVBE))
        return false;
    return isa == codegen::VectorIsa::avx2 || (has_avx512() && has(x86_cpu_AVX512CD));
}

std::string host_id(codegen::VectorIsa isa) {
    return fmt::format("x86-64/{}/{}", cpu_words(), name(isa));
}
std::string portable_id(codegen::VectorIsa isa) {
    return fmt::format("x86-64/portable/{}", name(isa));
}

/// The name of a target of the CPU with all that code depends on besides.
std::string with_build(const std::string& id) {
    return fmt::format("{}{}/llvm-{}/kiln-{}", id,
                       debugging_names[static_cast<std::size_t>(debugging())], KILN_LLVM_VERSION,
                       build_fingerprint);
}

}  // namespace

CpuTarget CpuTarget::host() {
    const char* const text = std::getenv("KILN_CPU_ISA");
    const std::string limit = text != nullptr ? text : "avx512";
    if (limit != "sse2" && limit != "avx2" && limit != "avx512")
        throw Error(ErrorKind::usage, "KILN_CPU_ISA is '" + limit + "'", {},
                    "sse2, avx2 and avx512 are known");
    const char* const kind = std::getenv("KILN_CPU");
    const bool portable = kind != nullptr && kind == std::string_view("portable");
    if (kind != nullptr && !portable && kind != std::string_view("host"))
        throw Error(ErrorKind::usage, fmt::format("KILN_CPU is '{}'", kind), {},
                    "host and portable are known");
    const codegen::VectorIsa isa = vector_isa(limit);
    if (portable && !has_level(isa))
        throw Error(
            ErrorKind::usage,
            fmt::format(
                "KILN_CPU is 'portable', but this CPU has not all of the x86-64 level of {}",
                name(isa)),
            {}, "unset it, or set KILN_CPU_ISA to sse2 or avx2");
    return {isa, portable, portable ? portable_id(isa) : host_id(isa)};
}

const CpuTarget& CpuTarget::once() {
    // Asking the CPU takes a virtual machine as long as many calls.
    static constinit kiln::detail::Lazy<CpuTarget> cpu;
    return cpu.get([] { return std::make_unique<CpuTarget>(host()); });
}

std::string cuda_architecture() {
    const char* const set = std::getenv("KILN_CUDA_ARCH");
    const std::string arch = set == nullptr || *set == '\0' ? "sm_80" : set;
    if (arch.size() < 5 || arch.compare(0, 3, "sm_") != 0)
        throw Error(ErrorKind::usage,
                    fmt::format("KILN_CUDA_ARCH is {}, not an architecture such as sm_90", arch));
    return arch;
}

bool has_fma(BackendTarget target) {
    return target != BackendTarget::cpu || CpuTarget::once().isa != codegen::VectorIsa::sse2;
}

std::string target_id(BackendTarget target) {
    switch (target) {
        case BackendTarget::cpu: return with_build(CpuTarget::once().id);
        case BackendTarget::cuda:
            return fmt::format("{}/kiln-{}", cuda_architecture(), build_fingerprint);
        case BackendTarget::sim: return fmt::format("sim/kiln-{}", build_fingerprint);
    }
    __builtin_unreachable();
}

std::string portable_target_id() {
    const codegen::VectorIsa isa = CpuTarget::once().isa;
    return has_level(isa) ? with_build(portable_id(isa)) : "none";
}

}  // namespace kiln::engine
