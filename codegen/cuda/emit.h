// Kernels as CUDA C++.
#pragma once
#include "dsl/ir/ir.h"

#include <string>

namespace kiln::codegen {

/// The name of the kernel's `extern "C" __global__` function: kiln_ and the kernel's name, with
/// characters that an identifier can't have replaced by _.
std::string cuda_entry_name(const ir::Kernel& kernel);

/// A complete CUDA C++ translation unit, which needs no header: the prelude functions that the
/// kernel uses, then
///
///     extern "C" __global__ void kiln_saxpy(long long n, const float* a, const float* x,
///                                           long long x_stride, float* z)
///
/// n is the number of iterations, spread over any grid. Parameters follow in the kernel's order: a
/// scalar by value;
/// an array as a pointer, followed by its byte stride where its layout is `strided` (`unit` arrays
/// are indexed, `uniform` ones have one element). Where the kernel has checks, a
/// last parameter `unsigned long long* fault` points to a word that was set to ~0: it becomes the
/// smallest (iteration << 16 | site) of all failed checks, and cuda_check_sites() tells what a site
/// is.
///
/// The kernel went through run_passes for this target. A map has one stage of one dimension. Of a
/// program, the text has one such function for each outlined kernel, kiln_saxpy_0, kiln_saxpy_1 ...,
/// in the order of Kernel::outlined, whose parameters a launch's arguments describe; the program
/// itself launches maps and computes their arguments. Errors: unsupported, for anything else.
std::string emit_cuda(const ir::Kernel& kernel);

/// The check nodes in the order of their sites, as packed abi::FaultSites.
std::vector<std::int64_t> cuda_check_sites(const ir::Kernel& kernel);

/// Whether the compiler may contract a*b + c of this kernel: every sum, difference and product of
/// floats allows it.
bool cuda_may_contract(const ir::Kernel& kernel);

}  // namespace kiln::codegen
