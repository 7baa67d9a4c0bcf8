// The CPU backend: LLVM from module to machine code.
#include "codegen/llvm/emit.h"
#include "codegen/llvm/exported.h"
#include "jit/compile/native_code.h"
#include "jit/compile/target.h"
#include "jit/cpu/compiler.h"
#include "jit/cpu/exported_file.h"
#include "jit/cpu/functions_of.h"
#include "jit/cpu/listing.h"
#include "jit/cpu/llvm_users.h"
#include "runtime/process.h"

#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

namespace kiln::engine {
namespace {

using Clock = std::chrono::steady_clock;

double lap(Clock::time_point& since) {
    const auto now = Clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - since).count();
    since = now;
    return ms;
}

/// What LLVM knows of the CPU, without what its vector unit is not to have.
llvm::orc::JITTargetMachineBuilder host_machine(codegen::VectorIsa isa) {
    auto builder =
        check("the host CPU is unknown to LLVM", llvm::orc::JITTargetMachineBuilder::detectHost());
    builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Less);
    builder.setRelocationModel(llvm::Reloc::PIC_);
    builder.setCodeModel(llvm::CodeModel::Small);
    const auto leave_out = [&](const std::string& feature) {
        builder.getFeatures().AddFeature(feature, false);
    };
    if (isa != codegen::VectorIsa::avx512)
        for (const std::string& f : std::vector(builder.getFeatures().getFeatures()))
            if (f.starts_with("+avx512") || f.starts_with("+avx10")) leave_out(f.substr(1));
    if (isa == codegen::VectorIsa::sse2)
        for (const char* f : {"avx2", "avx", "fma", "f16c", "fma4", "xop", "vaes", "vpclmulqdq"})
            leave_out(f);
    return builder;
}

struct Target {
    codegen::VectorIsa isa;
    llvm::orc::JITTargetMachineBuilder builder;

    static Target host() {
        const CpuTarget host = CpuTarget::host();
        if (!host.portable) return {host.isa, host_machine(host.isa)};
        switch (host.isa) {
            case codegen::VectorIsa::sse2: return of_level(abi::ExportedCpu::v2);
            case codegen::VectorIsa::avx2: return of_level(abi::ExportedCpu::v3);
            case codegen::VectorIsa::avx512: break;
        }
        return of_level(abi::ExportedCpu::v4);
    }
    /// Any CPU of a level: what is exported is the same whichever CPU it was compiled on.
    static Target of_level(abi::ExportedCpu cpu) {
        llvm::orc::JITTargetMachineBuilder builder = host_machine(codegen::VectorIsa::avx512);
        builder.getFeatures() = llvm::SubtargetFeatures();
        switch (cpu) {
            case abi::ExportedCpu::v2:
                return {codegen::VectorIsa::sse2, builder.setCPU("x86-64-v2")};
            case abi::ExportedCpu::v3:
                return {codegen::VectorIsa::avx2, builder.setCPU("x86-64-v3")};
            case abi::ExportedCpu::v4: break;
        }
        builder.getFeatures().AddFeature("prefer-256-bit", false);
        return {codegen::VectorIsa::avx512, builder.setCPU("x86-64-v4")};
    }
};

/// What one compile works on.
struct Compilation {
    Compilation() {
        auto made = std::make_unique<Diagnostics>();
        diagnostics = made.get();
        context.setDiagnosticHandler(std::move(made));
    }
    Compilation(const Compilation&) = delete;
    Compilation& operator=(const Compilation&) = delete;

    llvm::SmallVector<char, 0> generate(llvm::CodeGenFileType type) {
        auto bytes = compiler->generate(*module, type);
        if (!diagnostics->error().empty())
            throw kiln::Error(ErrorKind::internal,
                              "LLVM cannot compile this kernel: " + diagnostics->error());
        return bytes;
    }

    std::unique_ptr<Compiler> compiler;
    llvm::LLVMContext context;
    Diagnostics* diagnostics;  ///< of the context
    std::unique_ptr<llvm::Module> module;
};

// ------------------------------------------------------------------------------ out of memory

/// What compiling a kernel may take, generously.
constexpr std::size_t base_memory = std::size_t(16) << 20, node_memory = std::size_t(16) << 10;

/// LLVM ends the process where it gets no memory. So that there is some is found out before.
void require_memory(std::size_t size, const std::string& kernel) {
    void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        throw kiln::Error(ErrorKind::usage, "out of memory: compiling " + kernel + " may take " +
                                                std::to_string(size >> 20) + " MiB");
    munmap(at, size);
}

thread_local bool in_compilation = false;
struct InCompilation {
    bool before = std::exchange(in_compilation, true);
    ~InCompilation() { in_compilation = before; }
};

/// For what other threads have taken since. LLVM has one such function for the process: where a
/// program uses LLVM itself, what it has set stays, and what happens is as it says.
void on_bad_alloc(void* /*user*/, const char* reason, bool /*crash*/) {
    if (in_compilation) throw std::bad_alloc();
    // As without this function.
    const std::string_view text = reason;
    std::fprintf(stderr, "LLVM ERROR: out of memory\n%.*s\n", static_cast<int>(text.size()),
                 text.data());
    std::abort();
}

// ------------------------------------------------------------------------------ programs

class CpuBackend final : public Backend {
  public:
    CpuBackend()
        : target_((llvm::InitializeNativeTarget(), llvm::InitializeNativeTargetAsmPrinter(),
                   Target::host())) {
        if (!others_use_llvm()) llvm::install_bad_alloc_error_handler(&on_bad_alloc);
    }

    std::unique_ptr<CompiledCode> compile(const ir::Kernel& kernel, const CompileOptions& options,
                                          const std::string& symbol) override {
        Stats times;
        std::vector<std::byte> object = make_object(kernel, emit_options(options, symbol), times);
        return load_native(kernel, options, symbol, std::move(object), times, this);
    }
    std::string text(Artifact artifact, const ir::Kernel& kernel, const CompileOptions& options,
                     const std::string& symbol) override;
    codegen::LoopsByLlvm loops_by_llvm(const ir::Kernel& kernel,
                                       const CompileOptions& options) override;

    std::vector<CodeFunction> functions(std::span<const std::byte> object) override {
        return functions_of(object);
    }
    ExportedObject export_object(const ir::Kernel& kernel, const CompileOptions& options,
                                 const abi::ExportedFunction& function) override;

  private:
    static codegen::DebugDetail detail() {
        switch (debugging()) {
            case Debugging::off: return codegen::DebugDetail::none;
            case Debugging::profiler: return codegen::DebugDetail::lines;
            case Debugging::debugger: return codegen::DebugDetail::variables;
        }
        __builtin_unreachable();
    }
    codegen::EmitOptions emit_options(const CompileOptions& options,
                                      const std::string& symbol) const {
        codegen::EmitOptions emit{options};
        emit.isa = target_.isa;
        emit.entry = symbol;
        emit.debug = detail();
        return emit;
    }
    /// `times`: of its phases.
    std::vector<std::byte> make_object(const ir::Kernel& kernel,
                                       const codegen::EmitOptions& options, Stats& times);

    /// Runs f(compilation) with a compiler that no other thread uses meanwhile, for this machine or for
    /// `other`. Errors: usage (out of memory).
    template <class F>
    auto compilation(const ir::Kernel& kernel, F&& f, const Target* other = nullptr) {
        const kiln::detail::Busy busy;
        const kiln::detail::BeforeExit running(kernel.name +
                                               " cannot be compiled: the program is ending");
        require_memory(base_memory + kernel.nodes.size() * node_memory, kernel.name);
        auto work = std::make_unique<Compilation>();
        if (other == nullptr) {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                work->compiler = std::move(idle_.back());
                idle_.pop_back();
            }
        }
        struct Return {
            CpuBackend& backend;
            std::unique_ptr<Compilation>& work;
            bool is_own;
            ~Return() {
                if (!work || !work->compiler || !is_own) return;
                work->module.reset();
                const std::lock_guard lock(backend.mutex_);
                if (backend.idle_.size() < most_idle)
                    backend.idle_.push_back(std::move(work->compiler));
            }
        } give_back{*this, work, other == nullptr};
        try {
            const InCompilation mark;
            const Target& target = other != nullptr ? *other : target_;
            if (!work->compiler)
                work->compiler = std::make_unique<Compiler>(target.builder, target.isa);
            return f(*work);
        } catch (const std::bad_alloc&) {
            // LLVM's frames were left in the middle of something. Nobody touches what they worked
            // on again, not even to destroy it.
            static_cast<void>(work.release());
            throw kiln::Error(ErrorKind::usage, "out of memory while compiling " + kernel.name);
        }
    }

    Target target_;
    static constexpr std::size_t most_idle = 16;
    kiln::detail::Mutex mutex_;
    std::vector<std::unique_ptr<Compiler>> idle_;
};

Compiler::Shape shape_of(const ir::Kernel& kernel) {
    using Shape = Compiler::Shape;
    if (kernel.is_program()) return Shape::looping;
    for (const ir::Node& n : kernel.nodes)
        if (n.kind == ir::NodeKind::branch || n.kind == ir::NodeKind::check)
            return Shape::branching;
    return kernel.slots.empty() ? Shape::straight : Shape::branching;
}

std::vector<std::byte> CpuBackend::make_object(const ir::Kernel& kernel,
                                               const codegen::EmitOptions& options, Stats& times) {
    return compilation(kernel, [&](Compilation& work) {
        Compiler& compiler = *work.compiler;
        auto at = Clock::now();
        work.module = codegen::emit_llvm(kernel, work.context, compiler.machine(), options);
        times.emit_ms = lap(at);
        if (options.debug != codegen::DebugDetail::variables)
            compiler.optimize(*work.module, shape_of(kernel), options.flags_of_data);
        times.optimize_ms = lap(at);
        const auto bytes = work.generate(llvm::CodeGenFileType::ObjectFile);
        const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
        std::vector<std::byte> object(first, first + bytes.size());
        times.codegen_ms = lap(at);
        return object;
    });
}

ExportedObject CpuBackend::export_object(const ir::Kernel& kernel, const CompileOptions& wanted,
                                         const abi::ExportedFunction& function) {
    const Target target = Target::of_level(function.kernel.cpu);
    codegen::EmitOptions options{wanted};
    options.isa = target.isa;
    return compilation(
        kernel,
        [&](Compilation& work) {
            Compiler& compiler = *work.compiler;
            work.module = codegen::emit_llvm(kernel, work.context, compiler.machine(), options);
            compiler.optimize(*work.module, shape_of(kernel), options.flags_of_data);
            codegen::add_exported_function(*work.module, options.entry, function);
            const auto bytes = work.generate(llvm::CodeGenFileType::ObjectFile);
            const auto* const first = reinterpret_cast<const std::byte*>(bytes.data());
            ExportedObject made = exported_file({first, bytes.size()});
            work.module.reset();  // before the compiler, which is of no use to others
            return made;
        },
        &target);
}

std::string CpuBackend::text(Artifact artifact, const ir::Kernel& kernel,
                             const CompileOptions& wanted, const std::string& symbol) {
    using enum Artifact;
    const bool lines = artifact == llvm_opt_lines || artifact == assembly_lines;
    const bool is_assembly = artifact == assembly || artifact == assembly_lines;
    if (!lines && !is_assembly && artifact != Artifact::llvm && artifact != llvm_opt &&
        artifact != cfg)
        throw kiln::Error(ErrorKind::internal, "the CPU backend has no such text");
    codegen::EmitOptions options = emit_options(wanted, symbol);
    if (lines && options.debug == codegen::DebugDetail::none)
        options.debug = codegen::DebugDetail::lines;
    return compilation(kernel, [&](Compilation& work) {
        Compiler& compiler = *work.compiler;
        work.module = codegen::emit_llvm(kernel, work.context, compiler.machine(), options);
        std::string text;
        llvm::raw_string_ostream out(text);
        if (llvm::verifyModule(*work.module, &out))
            throw kiln::Error(ErrorKind::internal, "malformed LLVM IR: " + text);
        if (artifact != Artifact::llvm && options.debug != codegen::DebugDetail::variables)
            compiler.optimize(*work.module, shape_of(kernel), options.flags_of_data);
        if (is_assembly) {
            const auto bytes = work.generate(llvm::CodeGenFileType::AssemblyFile);
            text.assign(bytes.begin(), bytes.end());
            return lines ? assembly_listing(text) : text;
        }
        if (lines) return llvm_listing(*work.module);
        if (artifact == cfg) return flow_graph(*work.module);
        work.module->print(out, nullptr);
        return text;
    });
}

codegen::LoopsByLlvm CpuBackend::loops_by_llvm(const ir::Kernel& kernel,
                                               const CompileOptions& wanted) {
    if (!kernel.is_program()) return {};
    codegen::EmitOptions options = emit_options(wanted, "kiln_kernel");
    options.name_loops = true;
    options.debug = codegen::DebugDetail::lines;
    return compilation(kernel, [&](Compilation& work) {
        Compiler& compiler = *work.compiler;
        work.module = codegen::emit_llvm(kernel, work.context, compiler.machine(), options);
        work.diagnostics->listen();
        compiler.optimize(*work.module, shape_of(kernel), options.flags_of_data);
        return codegen::LoopsByLlvm{work.diagnostics->take_loops(), compiler.take_strided()};
    });
}

}  // namespace
}  // namespace kiln::engine

extern "C" kiln::engine::Backend* kiln_make_cpu_backend() { return new kiln::engine::CpuBackend; }
