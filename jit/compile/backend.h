// What compiles kernels: the interface that jit holds against its backends.
#pragma once
#include "codegen/passes/pass.h"
#include "dsl/ir/ir.h"

#include <kiln/environment.h>
#include <kiln/host_function.h>
#include <kiln/inspect.h>
#include <kiln/vectorize.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln::engine {

/// Where a failed check is recorded. `row` and `column` are the outer and the inner iteration of
/// the call, the lowest failing pair in row-major order.
struct Fault {
    std::int64_t code = -1;  ///< -1: none. Else Check in the low 8 bits, location index above them.
    std::int64_t row = 0;
    std::int64_t column = 0;
};

/// One array parameter of an element-wise call: element (r, c) is at data + r * outer + c * inner.
struct Operand {
    std::byte* data;
    std::int64_t inner;  ///< byte stride of the inner axis; read only for layout `strided`
    std::int64_t outer;  ///< byte stride from row to row; read only where there are several
};

/// The argument of a compiled element-wise stage, followed in memory by one Operand a parameter.
struct MapFrame {
    std::int64_t columns;  ///< iterations of the inner axis, >= 0
    std::int64_t rows;     ///< >= 0
    Fault* fault;
};
/// Runs rows x columns iterations in row-major order. The inner strides must be those that each
/// parameter's Layout promises. No exception leaves it; it neither locks nor allocates.
using MapFunction = void (*)(const MapFrame*);

struct ProgramFrame;
/// Iterations [first, last) of a parallel loop.
using PieceFunction = void (*)(const ProgramFrame* frame, const void* context, std::int64_t first,
                               std::int64_t last);

struct ProgramBlock {
    std::byte* data;
    std::int64_t bytes;
};

/// What compiled programs call. Nothing here throws.
struct ProgramRuntime {
    /// Runs all of [0, trip) by calls of `piece`, on this thread and others, and returns when all
    /// is done. unit > 0: each call covers one unit, [u * unit, min(trip, (u + 1) * unit)). The
    /// schedule is that of ir::Schedule in the low 7 bits; the next one tells that iterations have
    /// no loops of their own; the chunk stands above them.
    void (*parallel)(const ProgramFrame* frame, PieceFunction piece, const void* context,
                     std::int64_t trip, std::int64_t unit, std::int64_t schedule);
    /// Records a failed check: Check in the low 8 bits of `code`, the location above them. The
    /// lowest iteration (of the outermost parallel loop; 0 outside) is kept, of it the first fault.
    /// `param` with `subscripts`, and behind them its extents, where it is about an array, or a
    /// slot, which are numbered behind the parameters; -2 - (a | b << 4 | param << 8) and two lists
    /// of a and b integers, one behind the other; else -1 and null.
    void (*fault)(const ProgramFrame* frame, std::int64_t code, std::int64_t iteration,
                  std::int64_t param, const std::int64_t* subscripts);
    /// Makes the array of parameter `param` and puts it into the frame; false if that failed, upon
    /// which the program returns.
    bool (*allocate)(const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents);
    /// Memory for one run of the function that calls it, aligned to 64 bytes: for local arrays that
    /// are too large for the stack. Null where there is none, upon which the function returns. Each
    /// is given back, null too, by `leave`.
    std::byte* (*enter)(const ProgramFrame* frame, std::int64_t bytes);
    void (*leave)(const ProgramFrame* frame, std::byte* memory, std::int64_t bytes);
    /// Makes `block` (at first {null, 0}; given back by `leave`) large enough for the array of
    /// parameter `param`, of which each iteration of a parallel loop has its own; false if that
    /// failed, upon which the function returns.
    bool (*reserve)(const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents,
                    ProgramBlock* block);
};

/// A function of the host program as compiled programs call it:
///     result thunk(target, frame, iteration, arguments ...)
/// Nothing leaves it by an exception: it records one with the frame's host, for the iteration (of
/// the outermost parallel loop; 0 outside), and returns 0.
struct HostCall {
    kiln::detail::AnyFunction thunk, target;
};
/// What programs know of ProgramFrame::host.
struct ProgramHost {
    const HostCall* functions = nullptr;  ///< one for each of Kernel::functions
    /// Floating-point environments: what functions of the host see, that of who called the kernel;
    /// and what the kernel runs under.
    kiln::detail::FloatWord environment = 0, kernels_environment = 0;
};

/// The argument of a compiled program, followed in memory by its parameters: a scalar takes 16
/// bytes, an array of rank r 1 + 2r words: data, extents, byte strides.
struct ProgramFrame {
    const ProgramRuntime* runtime;
    ProgramHost* host;  ///< of the runtime
};
using ProgramFunction = void (*)(const ProgramFrame*);

struct CompileOptions {
    /// Non-temporal stores to the first output of layout `unit`, which must be aligned to its
    /// element: for outputs far beyond the last cache.
    bool streaming = false;
    /// Of programs: no array that is written overlaps another one.
    bool noalias = false;
    /// Of programs: accesses outside of an array are faults.
    bool checked = false;
    /// The code raises the exception flags of its data and no others: lanes without an element
    /// compute what another one does. For kernels of codegen::raises_flags_of_data.
    bool flags_of_data = false;
    /// The kernel is one of a scan; codegen/llvm/emit.h tells its form.
    std::optional<ir::Reduction> scan = {};
};

/// The machine code, or another target's text, of a kernel. Code lives as long as the object.
class CompiledCode {
  public:
    virtual ~CompiledCode() = default;
    /// The entry of the kernel's one element-wise stage; null where the code can't run here.
    virtual MapFunction map_entry() const = 0;
    /// The entry of a program of loops (Kernel::is_program); null for other kernels.
    virtual ProgramFunction program_entry() const { return nullptr; }
    /// An artifact of this backend (artifacts.def); others are Error internal.
    virtual std::string text(Artifact artifact) const = 0;
    virtual std::vector<std::byte> binary() const = 0;
    /// How long its compile took: the phases of the backend alone.
    virtual Stats times() const = 0;
};

/// Thread-safe: compiles of different threads run in parallel.
class Backend {
  public:
    virtual ~Backend() = default;
    /// Compiles a kernel that went through codegen::run_passes. `symbol` is what the object calls
    /// it. Errors: unsupported.
    virtual std::unique_ptr<CompiledCode> compile(const ir::Kernel& kernel,
                                                  const CompileOptions& options,
                                                  const std::string& symbol) = 0;
    std::unique_ptr<CompiledCode> compile(const ir::Kernel& kernel, const CompileOptions& options) {
        return compile(kernel, options, "kiln_kernel");
    }
};

/// The backend, its library opened on first use and kept. Errors: device, naming what was looked
/// for and where; never another backend instead.
Backend& backend(BackendTarget target);

}  // namespace kiln::engine
