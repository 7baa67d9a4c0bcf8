// Kernels as object files, for programs built without kiln: of vectorize, jit (reductions too), stencil, guvectorize.
//
//     saxpy.export_object({f32, f32[1], f32[1]}, "saxpy.o");    // and saxpy.h
//
//     cc main.c saxpy.o $(pkg-config --libs kiln-rt)
//
// The object has one C function, callable from C, C++, Fortran (ISO_C_BINDING) and whatever opens
// shared libraries that are linked from it. The header tells its parameters, and what it returns: 0, or
// which of its conditions did not hold. It gives the bits that the kernel gives here, on every CPU that has
// the vector unit, and needs the C library, libm and libkiln_rt.a: neither libkiln nor LLVM.
#pragma once
#include <cstdint>
#include <string>

namespace kiln {

/// What the CPU of an exported object has to have.
enum class CpuUnit : std::uint8_t {
    host,    ///< as much of the following as kernels of this process use
    sse2,    ///< every x86-64
    avx2,    ///< x86-64-v3: AVX2, FMA, F16C, BMI2
    avx512,  ///< x86-64-v4: these and AVX-512 F, BW, CD, DQ, VL
};
/// The options of export_object, for designated initialisers.
struct ExportOptions {
    /// The C function. Empty: as the kernel is called.
    std::string symbol = {};
    CpuUnit cpu = CpuUnit::host;
    /// Where the C header goes. Empty: beside the object, as saxpy.h beside saxpy.o.
    std::string header = {};
};

}  // namespace kiln
