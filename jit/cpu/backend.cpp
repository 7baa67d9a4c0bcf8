// The CPU backend: LLVM from module to machine code.
#include "jit/compile/backend.h"
#include "codegen/llvm/emit.h"
#include "codegen/llvm/lanes/shared_loads.h"
#include "codegen/llvm/ops/short_vectors.h"
#include "jit/cpu/link.h"
#include "runtime/process.h"

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/CodeGen/MachineModuleInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/RegAllocRegistry.h>
#include <llvm/CodeGen/TargetPassConfig.h>
#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include <sys/mman.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <new>
#include <optional>
#include <set>
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

[[noreturn]] void fail(const std::string& what, llvm::Error error) {
    throw kiln::Error(ErrorKind::internal, what + ": " + llvm::toString(std::move(error)));
}
template <class T> T check(const std::string& what, llvm::Expected<T> value) {
    if (!value) fail(what, value.takeError());
    return std::move(*value);
}
void check(const std::string& what, llvm::Error error) {
    if (error) fail(what, std::move(error));
}

/// The host, or the part of it that KILN_CPU_ISA (sse2, avx2, avx512) allows: for tests, and for
/// reproducing another machine's results.
struct Target {
    llvm::orc::JITTargetMachineBuilder builder;
    codegen::VectorIsa isa = codegen::VectorIsa::sse2;
    std::string id;

    static Target host() {
        auto builder = check("the host CPU is unknown to LLVM",
                             llvm::orc::JITTargetMachineBuilder::detectHost());
        builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Less);
        builder.setRelocationModel(llvm::Reloc::PIC_);
        builder.setCodeModel(llvm::CodeModel::Small);
        const char* limit_text = std::getenv("KILN_CPU_ISA");
        const std::string limit = limit_text != nullptr ? limit_text : "avx512";
        if (limit != "sse2" && limit != "avx2" && limit != "avx512")
            throw kiln::Error(ErrorKind::usage, "KILN_CPU_ISA is '" + limit + "'", {},
                              "sse2, avx2 and avx512 are known");
        std::set<std::string> have;
        for (const std::string& f : builder.getFeatures().getFeatures())
            if (f.size() > 1 && f[0] == '+') have.insert(f.substr(1));
        const auto all = [&](std::initializer_list<const char*> names) {
            for (const char* n : names)
                if (!have.contains(n)) return false;
            return true;
        };
        Target t{std::move(builder), codegen::VectorIsa::sse2, {}};
        if (limit != "sse2" && all({"avx2", "fma"})) t.isa = codegen::VectorIsa::avx2;
        if (limit == "avx512" && t.isa == codegen::VectorIsa::avx2 &&
            all({"avx512f", "avx512bw", "avx512dq", "avx512vl"}))
            t.isa = codegen::VectorIsa::avx512;
        if (t.isa != codegen::VectorIsa::avx512)
            for (const std::string& f : have)
                if (f.starts_with("avx512") || f.starts_with("avx10"))
                    t.builder.getFeatures().AddFeature(f, false);
        if (t.isa == codegen::VectorIsa::sse2)
            for (const char* f :
                 {"avx2", "avx", "fma", "f16c", "fma4", "xop", "vaes", "vpclmulqdq"})
                t.builder.getFeatures().AddFeature(f, false);
        t.id = t.builder.getTargetTriple().getArchName().str() + "/" + t.builder.getCPU() + "/" +
               t.builder.getFeatures().getString() + "/llvm-" LLVM_VERSION_STRING;
        return t;
    }
};

/// An option of LLVM's that has no other interface; null where this LLVM does not have it.
template <class T> llvm::cl::opt<T>* llvm_option(const char* name) {
    auto& options = llvm::cl::getRegisteredOptions();
    const auto at = options.find(name);
    return at == options.end() ? nullptr : static_cast<llvm::cl::opt<T>*>(at->second);
}

// LLVM's options are the process's, so a host that uses LLVM too sees what is set here. Each has
// its value as long as kernels need it, and then what it had before.

/// Of the iterations that are left over by a vectorised loop, those that fill a narrower vector run
/// in one. LLVM does so by itself only where the wider one has 16 lanes.
class VectorRemainders {
  public:
    VectorRemainders() {
        const std::lock_guard lock(mutex_);
        if (users_++ > 0 || option() == nullptr) return;
        before_ = *option();
        option()->setValue(4);
    }
    ~VectorRemainders() {
        const std::lock_guard lock(mutex_);
        if (--users_ == 0 && option() != nullptr) option()->setValue(before_);
    }
    VectorRemainders(const VectorRemainders&) = delete;
    VectorRemainders& operator=(const VectorRemainders&) = delete;

  private:
    static llvm::cl::opt<unsigned>* option() {
        static auto* const found = llvm_option<unsigned>("epilogue-vectorization-minimum-VF");
        return found;
    }
    static inline std::mutex mutex_;
    static inline unsigned users_ = 0, before_ = 0;
};

/// Passes for machine code are added without the reduction of the strength of subscripts.
class WithoutStrengthReduction {
  public:
    WithoutStrengthReduction() {
        if (option() == nullptr) return;
        before_ = *option();
        option()->setValue(true);
    }
    ~WithoutStrengthReduction() {
        if (option() != nullptr) option()->setValue(before_);
    }
    WithoutStrengthReduction(const WithoutStrengthReduction&) = delete;
    WithoutStrengthReduction& operator=(const WithoutStrengthReduction&) = delete;

  private:
    static llvm::cl::opt<bool>* option() {
        static auto* const found = llvm_option<bool>("disable-lsr");
        return found;
    }
    bool before_ = false;
};

/// And with the basic register allocator, where `wanted`.
class BasicAllocator {
  public:
    // Until LLVM has chosen its default allocator, which it does when passes are first added, there
    // is nothing to go back to.
    explicit BasicAllocator(bool wanted)
        : before_(wanted ? llvm::RegisterRegAlloc::getDefault() : nullptr) {
        if (before_ != nullptr)
            llvm::RegisterRegAlloc::setDefault(llvm::createBasicRegisterAllocator);
    }
    ~BasicAllocator() {
        if (before_ != nullptr) llvm::RegisterRegAlloc::setDefault(before_);
    }
    BasicAllocator(const BasicAllocator&) = delete;
    BasicAllocator& operator=(const BasicAllocator&) = delete;

  private:
    llvm::RegisterRegAlloc::FunctionPassCtor before_;
};

/// What one thread needs to compile; reused, since making it costs a third of a millisecond.
class Compiler {
  public:
    explicit Compiler(const Target& target)
        : machine_(check("no target machine",
                         llvm::orc::JITTargetMachineBuilder(target.builder).createTargetMachine())),
          builder_(machine_.get()),
          has_long_vectors_(target.isa == codegen::VectorIsa::avx512) {
        builder_.registerModuleAnalyses(modules_);
        builder_.registerCGSCCAnalyses(call_graphs_);
        builder_.registerFunctionAnalyses(functions_);
        builder_.registerLoopAnalyses(loops_);
        builder_.crossRegisterProxies(loops_, functions_, call_graphs_, modules_);
        straight_.addPass(llvm::EarlyCSEPass());
        straight_.addPass(llvm::InstCombinePass(llvm::InstCombineOptions().setMaxIterations(1)));
        branching_.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
        branching_.addPass(llvm::EarlyCSEPass());
        branching_.addPass(llvm::InstCombinePass(llvm::InstCombineOptions().setMaxIterations(1)));
        branching_.addPass(llvm::SimplifyCFGPass());
    }

    llvm::TargetMachine& machine() { return *machine_; }

    /// What the code of a kernel asks of the optimiser.
    enum class Shape : std::uint8_t {
        straight,   ///< no branches
        branching,  ///< branches and loops over whole vectors
        looping,    ///< scalar loops
    };

    /// `flags_of_data`: what the code raises reaches the caller.
    void optimize(llvm::Module& module, Shape shape, bool flags_of_data) {
        llvm::FunctionPassManager& passes = shape == Shape::straight ? straight_ : branching_;
        std::optional<VectorRemainders> remainders;
        if (shape == Shape::looping) {
            remainders.emplace();
            avoid_gathers(module);
        }
        for (llvm::Function& f : module) {
            if (f.isDeclaration()) continue;
            if (shape != Shape::looping) {
                passes.run(f, functions_);
            } else if (f.hasFnAttribute("kiln-vector")) {
                branching_.run(f, functions_);
            } else {
                looping(f).run(f, functions_);
                if (has_long_vectors_) codegen::share_loads(f);
            }
        }
        if (flags_of_data) codegen::fill_quotients(module);
        loops_.clear();
        functions_.clear();
        modules_.clear();
    }

    llvm::SmallVector<char, 0> generate(llvm::Module& module, llvm::CodeGenFileType type) {
        llvm::SmallVector<char, 0> bytes;
        llvm::raw_svector_ostream out(bytes);
        auto passes = std::make_unique<llvm::legacy::PassManager>();
        try {
            if (!add_passes(*passes, out, module, type))
                throw kiln::Error(ErrorKind::internal, "LLVM cannot emit code for this target");
            passes->run(module);
        } catch (const std::bad_alloc&) {
            static_cast<void>(passes.release());  // stopped in the middle of something
            throw;
        }
        return bytes;
    }

  private:
    /// The pipeline for a function of scalar loops. Passes that few functions profit from run where
    /// the emitter found a reason: most of their time is spent on functions that they don't change.
    llvm::FunctionPassManager& looping(const llvm::Function& f) {
        const bool unswitch = f.hasFnAttribute(codegen::invariant_branches),
                   stores = f.hasFnAttribute(codegen::conditional_stores),
                   carries = f.hasFnAttribute(codegen::carried_values);
        auto& pipeline = looping_[(unswitch ? 1U : 0U) | (stores ? 2U : 0U) | (carries ? 4U : 0U)];
        if (pipeline) return *pipeline;
        const std::string combine = "instcombine<max-iterations=1;no-verify-fixpoint>,";
        pipeline.emplace();
        check("the pipeline for loops",
              builder_.parsePassPipeline(
                  *pipeline,
                  "sroa,early-cse<memssa>,simplifycfg," + combine +
                      "loop-simplify,lcssa,loop-mssa(loop-rotate,licm<allowspeculation>,"
                      "simple-loop-unswitch<" +
                      (unswitch ? "nontrivial" : "no-nontrivial") +
                      ">),simplifycfg<hoist-common-insts;sink-common-insts>," +
                      // Where branches store, values that may come from a store or from memory
                      // become phis, which the vectoriser turns into selects.
                      (stores ? "gvn," : "") + combine +
                      "loop-simplify,lcssa,loop(loop-deletion,loop-unroll-full),sroa,"
                      "early-cse<memssa>,loop-vectorize," +
                      (carries ? "loop-load-elim," : "") + "slp-vectorizer,early-cse," + combine +
                      "loop-unroll<O2;no-runtime>," + combine +
                      "loop-simplify,lcssa,loop-mssa(licm<allowspeculation>),early-cse<memssa>,"
                      "simplifycfg"));
        return *pipeline;
    }

    /// LLVM takes gathers and scatters for cheap where the CPU has AVX-512. They take as long as
    /// loads one by one at best, and its vectorisers would put chains of scalar operations into
    /// lanes for them.
    void avoid_gathers(llvm::Module& module) {
        for (llvm::Function& f : module)
            if (f.hasFnAttribute(codegen::no_gathers))
                f.addFnAttr("target-features", machine_->getTargetFeatureString().str() +
                                                   ",+prefer-no-gather,+prefer-no-scatter");
    }

    /// What LLVMTargetMachine::addPassesToEmitFile adds, without the reduction of the strength of
    /// subscripts, which takes half of the time for stencils and makes their code no faster; and
    /// but for long bodies. More constants than registers are best left in memory, as operands,
    /// instead of being moved out of the loop; and in one loop without calls, the basic register
    /// allocator does as well as the greedy one in a fifth of its time.
    bool add_passes(llvm::legacy::PassManager& passes, llvm::raw_pwrite_stream& out,
                    const llvm::Module& module, llvm::CodeGenFileType type) {
        auto& machine = static_cast<llvm::LLVMTargetMachine&>(*machine_);
        bool is_long = false, calls = false;
        for (const llvm::Function& f : module) {
            is_long = is_long || f.hasFnAttribute(codegen::long_body);
            calls = calls || (f.isDeclaration() && !f.isIntrinsic());
        }
        auto* const information = new llvm::MachineModuleInfoWrapperPass(&machine);
        llvm::TargetPassConfig* const config = machine.createPassConfig(passes);
        config->setDisableVerify(true);
        if (is_long) config->disablePass(&llvm::EarlyMachineLICMID);
        passes.add(config);
        passes.add(information);
        {
            // What is added depends on the process's state.
            static std::mutex choice;
            const std::lock_guard lock(choice);
            {
                const WithoutStrengthReduction without;
                if (config->addISelPasses()) return false;
            }
            const BasicAllocator basic(is_long && !calls);
            config->addMachinePasses();
        }
        config->setInitialized();
        if (machine.addAsmPrinter(passes, out, nullptr, type, information->getMMI().getContext()))
            return false;
        passes.add(llvm::createFreeMachineFunctionPass());
        return true;
    }

    std::unique_ptr<llvm::TargetMachine> machine_;
    llvm::PassBuilder builder_;
    llvm::LoopAnalysisManager loops_;
    llvm::FunctionAnalysisManager functions_;
    llvm::CGSCCAnalysisManager call_graphs_;
    llvm::ModuleAnalysisManager modules_;
    llvm::FunctionPassManager straight_, branching_;
    std::array<std::optional<llvm::FunctionPassManager>, 8> looping_;
    bool has_long_vectors_;
};

/// What one compile works on.
struct Compilation {
    std::unique_ptr<Compiler> compiler;
    llvm::LLVMContext context;
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

/// For what other threads have taken since. LLVM has one such function for the process: that of a
/// program that uses LLVM itself, and has one, stays where it was set later.
void on_bad_alloc(void* /*user*/, const char* reason, bool /*crash*/) {
    if (in_compilation) throw std::bad_alloc();
    // As without this function.
    const std::string_view text = reason;
    std::fprintf(stderr, "LLVM ERROR: out of memory\n%.*s\n", static_cast<int>(text.size()),
                 text.data());
    std::abort();
}

// ------------------------------------------------------------------------------ programs

static_assert(sizeof(ProgramFrame) == 16);  // generated code relies on it

class CpuBackend;

class CpuProgram final : public Program {
  public:
    CpuProgram(CpuBackend& backend, ir::Kernel kernel, codegen::EmitOptions options)
        : backend_(backend), kernel_(std::move(kernel)), options_(std::move(options)) {}

    MapFunction map_entry() const override {
        return kernel_.is_program() ? nullptr : reinterpret_cast<MapFunction>(code_.entry);
    }
    ProgramFunction program_entry() const override {
        return kernel_.is_program() ? reinterpret_cast<ProgramFunction>(code_.entry) : nullptr;
    }
    std::string text(Artifact artifact) const override;
    std::vector<std::byte> binary() const override { return object_; }
    PhaseTimes times() const override { return times_; }
    void compile();

  private:
    CpuBackend& backend_;
    ir::Kernel kernel_;
    codegen::EmitOptions options_;
    LinkedCode code_;
    std::vector<std::byte> object_;
    PhaseTimes times_;
};

class CpuBackend final : public Backend {
  public:
    CpuBackend()
        : target_((llvm::InitializeNativeTarget(), llvm::InitializeNativeTargetAsmPrinter(),
                   Target::host())) {
        llvm::install_bad_alloc_error_handler(&on_bad_alloc);
    }

    std::string target_id() const override { return target_.id; }

    std::unique_ptr<Program> compile(const ir::Kernel& kernel,
                                     const CompileOptions& options) override {
        codegen::EmitOptions emit;
        emit.isa = target_.isa;
        emit.streaming = options.streaming;
        emit.noalias = options.noalias;
        emit.checked = options.checked;
        emit.flags_of_data = options.flags_of_data;
        emit.scan = options.scan;
        auto program = std::make_unique<CpuProgram>(*this, kernel, std::move(emit));
        program->compile();
        return program;
    }

    Linker& linker() { return linker_; }

    /// Runs f(compilation) with a compiler that no other thread uses meanwhile. Errors: usage (out
    /// of memory).
    template <class F> auto compilation(const ir::Kernel& kernel, F&& f) {
        const kiln::detail::Busy busy;
        const kiln::detail::BeforeExit running(kernel.name +
                                               " cannot be compiled: the program is ending");
        require_memory(base_memory + kernel.nodes.size() * node_memory, kernel.name);
        auto work = std::make_unique<Compilation>();
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                work->compiler = std::move(idle_.back());
                idle_.pop_back();
            }
        }
        struct Return {
            CpuBackend& backend;
            std::unique_ptr<Compilation>& work;
            ~Return() {
                if (!work || !work->compiler) return;
                work->module.reset();
                const std::lock_guard lock(backend.mutex_);
                if (backend.idle_.size() < most_idle)
                    backend.idle_.push_back(std::move(work->compiler));
            }
        } give_back{*this, work};
        try {
            const InCompilation mark;
            if (!work->compiler) work->compiler = std::make_unique<Compiler>(target_);
            return f(*work);
        } catch (const std::bad_alloc&) {
            // LLVM's frames were left in the middle of something. Nobody touches what they worked
            // on again, not even to destroy it.
            static_cast<void>(work.release());
            throw kiln::Error(ErrorKind::usage, "out of memory while compiling " + kernel.name);
        }
    }

  private:
    Target target_;
    Linker linker_;
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

void CpuProgram::compile() {
    backend_.compilation(kernel_, [&](Compilation& work) {
        Compiler& compiler = *work.compiler;
        auto at = Clock::now();
        work.module = codegen::emit_llvm(kernel_, work.context, compiler.machine(), options_);
        times_.emit = lap(at);
        compiler.optimize(*work.module, shape_of(kernel_), options_.flags_of_data);
        times_.optimize = lap(at);
        const auto bytes = compiler.generate(*work.module, llvm::CodeGenFileType::ObjectFile);
        const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
        object_.assign(first, first + bytes.size());
        times_.codegen = lap(at);
        const llvm::StringRef object(bytes.data(), bytes.size());
        code_ = backend_.linker().link({object, options_.entry}, options_.entry);
        times_.link = lap(at);
    });
}

std::string CpuProgram::text(Artifact artifact) const {
    if (artifact != Artifact::llvm && artifact != Artifact::llvm_opt &&
        artifact != Artifact::assembly)
        throw kiln::Error(ErrorKind::unsupported, "the CPU backend has no such text", {},
                          "ask for llvm, llvm_opt or assembly");
    return backend_.compilation(kernel_, [&](Compilation& work) {
        Compiler& compiler = *work.compiler;
        work.module = codegen::emit_llvm(kernel_, work.context, compiler.machine(), options_);
        std::string text;
        llvm::raw_string_ostream out(text);
        if (llvm::verifyModule(*work.module, &out))
            throw kiln::Error(ErrorKind::internal, "malformed LLVM IR: " + text);
        if (artifact != Artifact::llvm)
            compiler.optimize(*work.module, shape_of(kernel_), options_.flags_of_data);
        if (artifact == Artifact::assembly) {
            const auto bytes = compiler.generate(*work.module, llvm::CodeGenFileType::AssemblyFile);
            return std::string(bytes.begin(), bytes.end());
        }
        work.module->print(out, nullptr);
        return text;
    });
}

}  // namespace
}  // namespace kiln::engine

extern "C" kiln::engine::Backend* kiln_make_cpu_backend() { return new kiln::engine::CpuBackend; }
