// What compiles kernels: the interface that jit holds against its backends.
#pragma once
#include "codegen/abi.h"
#include "codegen/code_options.h"
#include "codegen/exported/kernel.h"
#include "codegen/vectorised_loop.h"
#include "dsl/ir/ir.h"
#include "jit/compile/debugging.h"

#include <kiln/array.h>
#include <kiln/attributes.h>
#include <kiln/backend_target.h>
#include <kiln/dim3.h>
#include <kiln/inspect.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln::codegen {
struct CudaModule;
}

namespace kiln::engine {

using abi::Fault;
using abi::HostCall;
using abi::MapFrame;
using abi::MapFunction;
using abi::Operand;
using abi::PieceFunction;
using abi::ProgramBlock;
using abi::ProgramFrame;
using abi::ProgramFunction;
using abi::ProgramHost;
using abi::ProgramRuntime;

using CompileOptions = codegen::CodeOptions;

/// What a parameter of a program that runs on a device gets. Elements on the host are copied there,
/// and back where the program writes. Results are of rank 0; arrays that a program makes and
/// gives back are made in `array`, where the other arrays are.
struct DeviceOperand {
    Array array;
    Scalar scalar;  ///< of access `value`
};

/// A check that failed on a device, and what it reports: of shapes, two of them.
struct DeviceFault {
    abi::FaultSite site;
    std::vector<std::int64_t> first = {}, second = {};
};

/// How a user launches an explicit kernel.
struct LaunchShape {
    Dim3 blocks = {}, threads = {};
    std::size_t shared = 0;  ///< bytes of a block that its `dynamic` arrays get
};

/// The machine code, or another target's text, of a kernel. Code lives as long as the object.
class CompiledCode {
  public:
    virtual ~CompiledCode() = default;
    /// The entry of the kernel's one element-wise stage; null where the code can't run here.
    virtual MapFunction map_entry() const = 0;
    /// The entry of a program of loops (Kernel::is_program); null for other kernels.
    virtual ProgramFunction program_entry() const { return nullptr; }
    /// Runs a program on the target's device, one operand a parameter. Gives the check that failed and
    /// ended the run. Errors: device; unsupported, of code that runs on the host.
    virtual std::optional<DeviceFault> run_on_device(std::span<DeviceOperand>) const {
        throw Error(ErrorKind::unsupported, "this code runs on the host");
    }
    /// Runs a map on the target's device, where its operands are: what map_entry() does elsewhere, but
    /// for errors, which are those of run_on_device.
    virtual void run_map_on_device(const MapFrame*) const {
        throw Error(ErrorKind::unsupported, "this code runs on the host");
    }
    /// Launches an explicit kernel, operands as of run_on_device.
    virtual void launch_threads(std::span<DeviceOperand>, const LaunchShape&) const {
        throw Error(ErrorKind::unsupported, "this code runs on the host");
    }
    /// What its functions take of a device. Errors: as those of Artifact::ptx.
    virtual std::vector<KernelAttributes> attributes() const {
        throw Error(ErrorKind::unsupported, "this code runs on the host");
    }
    /// An artifact of this backend (artifacts.def); others are Error internal.
    virtual std::string text(Artifact artifact) const = 0;
    virtual std::vector<std::byte> binary() const = 0;
    /// How long its compile took: the phases of the backend alone.
    virtual Stats times() const = 0;
    /// What was compiled further since this was asked last, for a text or a run; mostly nothing.
    virtual std::optional<Stats> take_late_times() const { return std::nullopt; }
};

struct ExportedObject {
    std::vector<std::byte> object;
    std::vector<std::string> calls = {};  ///< the functions elsewhere that it calls
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
    /// CUDA text of the user's, for launches: the module has it and its one function, the kernel nothing but
    /// what its parameters are; `contract`: products and sums may be. Errors: unsupported; internal, of the
    /// text.
    virtual std::unique_ptr<CompiledCode> compile_text(const ir::Kernel&,
                                                       const codegen::CudaModule&,
                                                       bool /*contract*/) {
        throw Error(ErrorKind::unsupported, "CUDA text does not run on the CPU");
    }
    /// A text that such a compile makes on its way (artifacts.def); others are Error internal.
    virtual std::string text(Artifact artifact, const ir::Kernel& kernel,
                             const CompileOptions& options, const std::string& symbol) = 0;
    /// What an optimiser that decides by itself does to the loops of a program.
    virtual codegen::LoopsByLlvm loops_by_llvm(const ir::Kernel&, const CompileOptions&) {
        return {};
    }
    /// The functions of an object file whose sections have addresses, and the lines of their code, as
    /// far as it has been told of them (Debugging).
    virtual std::vector<CodeFunction> functions(std::span<const std::byte> /*object*/) {
        return {};
    }
    /// The object file of a compile for another program: its one symbol is the C function.
    virtual ExportedObject export_object(const ir::Kernel&, const CompileOptions&,
                                         const abi::ExportedFunction&) {
        throw Error(ErrorKind::unsupported, "only kernels of the CPU can be exported");
    }
    std::unique_ptr<CompiledCode> compile(const ir::Kernel& kernel, const CompileOptions& options) {
        return compile(kernel, options, "kiln_kernel");
    }
};

/// The backend, its library opened on first use and kept. Errors: device, naming what was looked
/// for and where; never another backend instead.
Backend& backend(BackendTarget target);

}  // namespace kiln::engine
