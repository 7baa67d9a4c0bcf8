#include "jit/sim/compiler.h"

#include "dsl/text/emit/clang_module.h"
#include "jit/sim/language.h"
#include "jit/sim/memory.h"
#include "jit/sim/watch_pass.h"

#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>

#include <kiln/error.h>

#include <regex>

#include <fmt/format.h>

namespace kiln::sim {
namespace {

constexpr const char* triple = "x86_64-unknown-linux-gnu";
/// Functions of the C library are called as they are, products stay products, and what the thread
/// sanitizer would note is what is watched.
const std::vector<const char*> options = {"-ffp-contract=off", "-fno-builtin", "-fsanitize=thread",
                                          "-fno-threadsafe-statics", "-DKILN_SIM_WATCHED"};

template <class T> T checked(llvm::Expected<T> value) {
    if (!value) throw Error(ErrorKind::internal, "LLVM: " + llvm::toString(value.takeError()));
    return std::move(*value);
}
void check(llvm::Error error) {
    if (error) throw Error(ErrorKind::internal, "LLVM: " + llvm::toString(std::move(error)));
}

/// A function is called through one that is not watched: the addresses of arguments are no memory
/// of the kernel's.
std::string callers(const std::vector<std::string>& functions) {
    std::string text = R"(
template <class T, T... I> struct kiln_sim_indices {};
template <class... A, int... I>
__attribute__((always_inline, no_sanitize("thread")))
inline void kiln_sim_call(void (*f)(A...), void** p, kiln_sim_indices<int, I...>) {
    f(*static_cast<A*>(p[I])...);
}
template <class... A> unsigned kiln_sim_size(void (*)(A...), unsigned k) {
    const unsigned sizes[] = {sizeof(A)..., 0};
    return k < sizeof...(A) ? sizes[k] : 0;
}
template <class... A>
__attribute__((always_inline, no_sanitize("thread")))
inline void kiln_sim_call(void (*f)(A...), void** p) {
    kiln_sim_call(f, p, __make_integer_seq<kiln_sim_indices, int, sizeof...(A)>());
}
)";
    for (std::size_t f = 0; f < functions.size(); ++f)
        text += fmt::format(
            "extern \"C\" __attribute__((no_sanitize(\"thread\"))) void kiln_call_{}(void** "
            "kiln_sim_p) {{ kiln_sim_call({}, kiln_sim_p); }}\n"
            "extern \"C\" unsigned kiln_size_{}(unsigned kiln_sim_k) {{ "
            "return kiln_sim_size({}, kiln_sim_k); }}\n",
            f, functions[f], f, functions[f]);
    return text;
}

/// `extern __shared__ float tile[];`, memory whose size a launch says, names what blocks.h has.
std::string with_dynamic_shared(const std::string& text) {
    static const std::regex declaration(
        R"(extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([A-Za-z_][\w ]*[\w])\s+(\w+)\s*\[\s*\]\s*;)");
    return std::regex_replace(text, declaration,
                              "$1* const $2 = ($1*)(void*)kiln_sim_dynamic_shared;");
}

void optimise(llvm::Module& module) {
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager call_graphs;
    llvm::ModuleAnalysisManager modules;
    llvm::PassBuilder builder;
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(call_graphs);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, call_graphs, modules);
    builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O1).run(module, modules);
}

class JitCode final : public Code {
  public:
    JitCode(std::unique_ptr<llvm::Module> module, std::unique_ptr<llvm::LLVMContext> context,
            std::size_t functions) {
        const std::vector<SharedSymbol> symbols = export_shared_variables(*module);
        optimise(*module);
        watch_accesses(*module);
        llvm::orc::JITTargetMachineBuilder machine{llvm::Triple(triple)};
        machine.setCPU("x86-64");
        machine.setRelocationModel(llvm::Reloc::PIC_);
        jit_ = checked(
            llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(std::move(machine)).create());
        llvm::orc::JITDylib& library = jit_->getMainJITDylib();
        check(library.define(llvm::orc::absoluteSymbols(own_symbols())));
        library.addGenerator(
            checked(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess('\0')));
        check(
            jit_->addIRModule(llvm::orc::ThreadSafeModule(std::move(module), std::move(context))));
        for (std::size_t f = 0; f < functions; ++f) {
            functions_.push_back(
                checked(jit_->lookup(fmt::format("kiln_call_{}", f))).toPtr<Entry>());
            sizes_.push_back(checked(jit_->lookup(fmt::format("kiln_size_{}", f))).toPtr<Size>());
        }
        for (const SharedSymbol& s : symbols)
            shared_.push_back(
                {s.name, checked(jit_->lookup(s.symbol)).toPtr<const void*>(), s.bytes});
    }

    Entry function(std::size_t index) const override { return functions_[index]; }
    std::size_t parameter_bytes(std::size_t index, unsigned k) const override {
        return sizes_[index](k);
    }
    const std::vector<SharedVariable>& shared() const override { return shared_; }

  private:
    using Size = unsigned (*)(unsigned);
    /// What text calls in this library, whose symbols the process does not see.
    llvm::orc::SymbolMap own_symbols() const {
        llvm::orc::SymbolMap all;
        const auto add = [&](const char* name, auto* at) {
            all[jit_->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(at),
                                                llvm::JITSymbolFlags::Exported};
        };
        add("kiln_sim_thread", &kiln_sim_thread);
        add("kiln_sim_block", &kiln_sim_block);
        add("kiln_sim_threads", &kiln_sim_threads);
        add("kiln_sim_blocks", &kiln_sim_blocks);
        add("kiln_sim_dynamic_shared", &kiln_sim_dynamic_shared);
        add("kiln_sim_barrier", &kiln_sim_barrier);
        add("kiln_sim_barrier_count", &kiln_sim_barrier_count);
        add("kiln_sim_atomic", &kiln_sim_atomic);
        add("kiln_sim_exchange", &kiln_sim_exchange);
        add("kiln_sim_access", &kiln_sim_access);
        return all;
    }

    std::unique_ptr<llvm::orc::LLJIT> jit_;
    std::vector<Entry> functions_;
    std::vector<Size> sizes_;
    std::vector<SharedVariable> shared_;
};

void start_llvm() {
    static const bool started = [] {
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86Target();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86AsmPrinter();
        return true;
    }();
    static_cast<void>(started);
}

}  // namespace

std::unique_ptr<Code> compile(const std::string& text, const std::vector<std::string>& functions) {
    start_llvm();
    auto context = std::make_unique<llvm::LLVMContext>();
    auto module = text::clang_module({.text = with_dynamic_shared(text) + callers(functions),
                                      .file = "/kiln/kernel.cu",
                                      .prelude = language,
                                      .triple = triple,
                                      .options = options},
                                     *context);
    return std::make_unique<JitCode>(std::move(module), std::move(context), functions.size());
}

}  // namespace kiln::sim
