#include "jit/compile/target.h"

#include "jit/compile/debugging.h"
#include "runtime/process.h"

#include <cpuid.h>
#include <array>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

/// Of Debugging.
constexpr std::string_view debugging_names[] = {"", "/lines", "/variables"};

struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};
/// What the CPU says of itself; nothing where it does not know the leaf.
Registers cpuid(unsigned leaf, unsigned sub = 0) {
    Registers r;
    if (__get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d) == 0) return {};
    return r;
}

/// The registers whose state the system keeps: without it a feature is not there.
std::uint64_t kept_state() {
    constexpr unsigned has_xgetbv = 1U << 27;
    if ((cpuid(1).c & has_xgetbv) == 0) return 0;
    std::uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return std::uint64_t(high) << 32 | low;
}

/// Vendor, family, model and stepping in one word; then the words with features. Those that differ
/// from core to core, or tell of the machine and not of instructions, are left out.
std::string cpu_words() {
    const Registers vendor = cpuid(0), model = cpuid(1), more = cpuid(7), more1 = cpuid(7, 1),
                    state = cpuid(0xd, 1), keys = cpuid(0x19), wide = cpuid(0x24),
                    extended = cpuid(0x80000001), size = cpuid(0x80000008);
    std::array<char, 12> name{};
    std::memcpy(name.data(), &vendor.b, 4);
    std::memcpy(name.data() + 4, &vendor.d, 4);
    std::memcpy(name.data() + 8, &vendor.c, 4);
    return fmt::format(
        "{}-{:x}/{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}",
        std::string_view(name.data(), name.size()), model.a, model.c, model.d, more.b, more.c,
        more.d, more1.a, more1.d, state.a, keys.b, wide.b, extended.c, extended.d, size.b,
        kept_state());
}

codegen::VectorIsa vector_isa(std::string_view limit) {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512 && limit == "avx512") return codegen::VectorIsa::avx512;
    return avx2 && limit != "sse2" ? codegen::VectorIsa::avx2 : codegen::VectorIsa::sse2;
}

/// Whether this CPU has all of the x86-64 level that stands for the vector unit, which is more than the unit.
bool has_level(codegen::VectorIsa isa) {
    __builtin_cpu_init();
    switch (isa) {
        case codegen::VectorIsa::sse2: return __builtin_cpu_supports("x86-64-v2") != 0;
        case codegen::VectorIsa::avx2: return __builtin_cpu_supports("x86-64-v3") != 0;
        case codegen::VectorIsa::avx512: break;
    }
    return __builtin_cpu_supports("x86-64-v4") != 0;
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
