// Kernels as CUDA C++, and what a launch of them takes.
#pragma once
#include "codegen/code_options.h"
#include "dsl/ir/ir.h"

#include <string>
#include <vector>

namespace kiln::codegen {

/// The name of the kernel's `extern "C" __global__` function: kiln_ and the kernel's name, with
/// characters that an identifier can't have replaced by _; with _kernel behind it where the prelude has
/// a function of that name.
std::string cuda_entry_name(const ir::Kernel& kernel);

/// What a function takes, one by one.
struct CudaParameter {
    enum class Kind : std::uint8_t {
        count,     ///< i64: iterations; of `pairs` what there is to combine
        begin,     ///< i64: of a loop
        step,      ///< i64: of a loop
        unit,      ///< i64: iterations of a unit (ir::Tree)
        group,     ///< i64, of `pairs`: how many combine into one
        apart,     ///< i64, of `pairs`: how far apart in `partials` they are
        value,     ///< parameter `param` by value
        data,      ///< the address of parameter `param`
        stride,    ///< i64: its byte stride along `axis`
        extent,    ///< i64: its extent along `axis`
        partials,  ///< an array: what blocks of threads make of total `param`; of scans of chunks
        fault,     ///< see emit_cuda
        base,      ///< i64, of functions that others call: the first iteration of a piece
        row,       ///< the same: elements in shared memory
    };
    Kind kind = Kind::count;
    std::uint32_t param = 0;
    std::uint32_t axis = 0;
    DType dtype = DType::i64;  ///< of the value, or of what is pointed to
    std::string name = {};
    bool operator==(const CudaParameter&) const = default;
};

struct CudaFunction {
    enum class Role : std::uint8_t {
        map,     ///< n iterations, dealt out to any grid
        blocks,  ///< n iterations in pieces: piece k leaves its totals at partials[k]
        pairs,  ///< for each group of n partial totals: combined pair by pair into the group's first
        chunks,  ///< of a scan: chunk k leaves its own total at partials[k]
        before,  ///< one thread: what comes before each chunk replaces its total; behind them, the last
        scan,     ///< writes the results, with what comes before each chunk
        threads,  ///< an explicit kernel: the launch is the user's
    };
    Role role = Role::map;
    std::string name;
    std::vector<CudaParameter> parameters = {};
    /// Of `blocks`, `chunks` and `scan`: iterations of a piece, which a block of threads takes.
    std::int64_t piece = 0;
    std::int64_t shared = 0;  ///< bytes of a block that an explicit kernel's own arrays have
};

/// The functions that run one launch of a program, in turn. Of a reduction: `blocks`, then `pairs` for
/// the partials of each unit, then `pairs` for the units.
struct CudaLaunch {
    std::vector<std::size_t> functions;  ///< of CudaModule
    /// Of totals, in the order of `partials`: the parameters of the outlined kernel they belong to;
    /// of a program, the slots that its loop reduces into.
    std::vector<std::uint32_t> totals = {};
};

struct CudaModule {
    std::string text;
    std::vector<CudaFunction> functions;
    std::vector<CudaLaunch> launches;  ///< one for each of Kernel::launches; of a map, one
};

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
/// program, the text has the functions of its outlined kernels, kiln_saxpy_0, kiln_saxpy_1 ...; the
/// program itself runs elsewhere, and launches them. Totals are combined in the order that the
/// kernel's text says (ir::Tree, ir::Lanes), for every grid and number of threads. Errors:
/// unsupported, for anything else.
CudaModule emit_cuda_module(const ir::Kernel& kernel, const CodeOptions& options = {});
std::string emit_cuda(const ir::Kernel& kernel);

/// The check nodes in the order of their sites, as packed abi::FaultSites.
std::vector<std::int64_t> cuda_check_sites(const ir::Kernel& kernel);

/// Whether the compiler may contract a*b + c of this kernel: every sum, difference and product of
/// floats allows it.
bool cuda_may_contract(const ir::Kernel& kernel);

}  // namespace kiln::codegen
