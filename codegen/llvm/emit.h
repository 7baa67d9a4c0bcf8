// From an element-wise kernel to an LLVM module, vector code made by us.
#pragma once
#include "codegen/code_options.h"
#include "codegen/lanes/vector_isa.h"
#include "dsl/ir/ir.h"

#include <cstdint>
#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
}  // namespace llvm

namespace kiln::codegen {

/// What a debugger or profiler is told of the code.
enum class DebugDetail : std::uint8_t {
    none,
    lines,      ///< those of the user's text
    variables,  ///< these too: of code that is not optimised
};

class DebugInfo;

struct EmitOptions : CodeOptions {
    VectorIsa isa = VectorIsa::sse2;
    std::string entry = "kiln_map";  ///< the function's symbol
    bool fence = true;               ///< a fence after streaming stores
    /// Parameters whose elements are next to each other in the order opposite to that of the columns.
    std::vector<bool> reversed = {};
    /// Programs: the blocks of counted loops are called "loop<program>_<loop>" (VectorisedLoop).
    bool name_loops = false;
    DebugDetail debug = DebugDetail::none;
    DebugInfo* debug_info = nullptr;  ///< of the module: emit_llvm sets it
};

/// The module of a kernel of one of these forms, but for programs one function
/// `void entry(const abi::MapFrame*)`.
///  - map: one stage over extents {extent(p, 0)}; array parameters have rank 1 and are
///    accessed at index(0) only. An input may overlap an output only element by element (in place).
///  - reduce: three stages, whose parameters are inputs of rank 1 and outputs of rank 0 and
///    layout `unit`. The first has no extents and writes what the reductions' slots hold before;
///    the second is as above, with reductions; the third has no extents, reads the slots and stores
///    to the outputs. Each row of the frame gives one element of each output, at data + row *
///    outer. A row's contributions combine over a tree that its number of columns fixes.
///  - scan: one stage as of a map. Column c of a row gets carry op value(0) op ... op value(c),
///    combined over a tree that c fixes.
///  - program: `void entry(const abi::ProgramFrame*)`, over arguments of
///    any rank. Each parallel loop is a function of its own, which the runtime calls with ranges of
///    iterations.
/// Errors: unsupported, for kernels of any other form.
std::unique_ptr<llvm::Module> emit_llvm(const ir::Kernel& kernel, llvm::LLVMContext& context,
                                        const llvm::TargetMachine& machine,
                                        const EmitOptions& options);

}  // namespace kiln::codegen
