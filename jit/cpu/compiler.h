// LLVM's optimisers and code generator, as kernels need them. What LLVM keeps for the whole process,
// its options and its default register allocator, is neither read here nor set.
#pragma once
#include "codegen/llvm/emit.h"
#include "codegen/vectorised_loop.h"

#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/IR/DiagnosticHandler.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Target/TargetMachine.h>

#include <kiln/error.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kiln::engine {

[[noreturn]] void fail(const std::string& what, llvm::Error error);
template <class T> T check(const std::string& what, llvm::Expected<T> value) {
    if (!value) fail(what, value.takeError());
    return std::move(*value);
}

/// Where what LLVM has to say about a context's modules goes: nothing is printed, whatever remarks the
/// process asks for, and no error ends it.
class Diagnostics final : public llvm::DiagnosticHandler {
  public:
    bool handleDiagnostics(const llvm::DiagnosticInfo& info) override;
    bool isAnalysisRemarkEnabled(llvm::StringRef pass) const override { return listens_to(pass); }
    bool isMissedOptRemarkEnabled(llvm::StringRef pass) const override { return listens_to(pass); }
    bool isPassedOptRemarkEnabled(llvm::StringRef pass) const override { return listens_to(pass); }
    bool isAnyRemarkEnabled() const override { return listens_; }
    const std::string& error() const { return error_; }  ///< the first one; empty: none

    /// From here on, what the loop vectoriser says of loops that have names (EmitOptions) is kept.
    void listen() { listens_ = true; }
    std::vector<codegen::VectorisedLoop> take_loops() { return std::move(loops_); }

  private:
    bool listens_to(llvm::StringRef pass) const { return listens_ && pass == "loop-vectorize"; }
    void hear(const llvm::DiagnosticInfoIROptimization& remark);

    std::string error_;
    bool listens_ = false;
    std::string reason_;  // that was given last
    std::vector<codegen::VectorisedLoop> loops_;
};

/// What one thread needs to compile; reused, since making it costs a third of a millisecond.
class Compiler {
  public:
    Compiler(llvm::orc::JITTargetMachineBuilder target, codegen::VectorIsa isa);
    ~Compiler();

    llvm::TargetMachine& machine() { return *machine_; }

    /// What the code of a kernel asks of the optimiser.
    enum class Shape : std::uint8_t {
        straight,   ///< no branches
        branching,  ///< branches and loops over whole vectors
        looping,    ///< scalar loops
    };

    /// `flags_of_data`: what the code raises reaches the caller.
    void optimize(llvm::Module& module, Shape shape, bool flags_of_data);

    /// What the last optimize() loaded apart, of modules with the user's lines.
    std::vector<codegen::StridedLoads> take_strided() { return std::move(strided_); }

    llvm::SmallVector<char, 0> generate(llvm::Module& module, llvm::CodeGenFileType type);

  private:
    /// What the code of a module asks of the code generator.
    enum class CodeShape : std::uint8_t {
        usual,
        long_loop,        ///< attribute::long_body
        long_with_calls,  ///< and functions of other code are called there
    };
    static constexpr std::size_t code_shapes = 3;
    struct ObjectPasses;

    llvm::FunctionPassManager& looping(const llvm::Function& f);
    void avoid_gathers(llvm::Module& module);
    bool add_passes(llvm::legacy::PassManager& passes, llvm::raw_pwrite_stream& out,
                    CodeShape shape, llvm::CodeGenFileType type);

    std::unique_ptr<llvm::TargetMachine> machine_;
    std::array<std::unique_ptr<ObjectPasses>, code_shapes> objects_;  // that no module is in now
    llvm::PassBuilder builder_;
    llvm::LoopAnalysisManager loops_;
    llvm::FunctionAnalysisManager functions_;
    llvm::CGSCCAnalysisManager call_graphs_;
    llvm::ModuleAnalysisManager modules_;
    llvm::FunctionPassManager straight_, branching_, around_;
    std::array<std::optional<llvm::FunctionPassManager>, 8> looping_;
    codegen::VectorIsa isa_;
    std::vector<codegen::StridedLoads> strided_;
};

}  // namespace kiln::engine
