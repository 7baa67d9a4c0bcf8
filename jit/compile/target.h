// What code is compiled for, found out without opening what compiles it: so that a key exists before.
#pragma once
#include "codegen/lanes/vector_isa.h"

#include <kiln/backend_target.h>

#include <string>

namespace kiln::engine {

/// This CPU, or the part of it that KILN_CPU_ISA (sse2, avx2, avx512) allows: for tests, and for
/// reproducing another machine's results.
struct CpuTarget {
    codegen::VectorIsa isa = codegen::VectorIsa::sse2;
    /// Code is for any CPU of the level that has the vector unit (KILN_CPU=portable): x86-64-v2, v3, v4.
    bool portable = false;
    /// Vendor, model and all features, as far as they decide about code; the vector unit.
    std::string id;

    /// Errors: usage (KILN_CPU_ISA, KILN_CPU).
    static CpuTarget host();
    /// The same, as it was when the process first asked.
    static const CpuTarget& once();
};

/// Names all that code for this target depends on besides its kernel and options, the build of kiln
/// among it: "x86-64/AuthenticAMD-25-17-1/.../avx512/llvm-19.1.7/kiln-5f2e...", "sm_90/kiln-5f2e...".
/// Errors: usage (KILN_CPU_ISA, KILN_CUDA_ARCH).
std::string target_id(BackendTarget target);

/// target_id of the CPU as it is where KILN_CPU=portable: such code runs here too. "none": it does not.
std::string portable_target_id();

/// Whether it has an instruction for a * b + c, rounded once. Errors: usage (KILN_CPU_ISA).
bool has_fma(BackendTarget target);

/// sm_80 unless KILN_CUDA_ARCH names another architecture, such as sm_90. Errors: usage.
std::string cuda_architecture();

/// A hash of the sources of this build and of its compiler.
extern const char* const build_fingerprint;

}  // namespace kiln::engine
