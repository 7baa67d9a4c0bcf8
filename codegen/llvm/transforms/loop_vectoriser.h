// LLVM's loop vectoriser, with settings of kiln's own.
#pragma once
#include <llvm/IR/PassManager.h>
#include <llvm/Passes/PassBuilder.h>

namespace kiln::codegen {

/// LLVM's loop vectoriser, and what a vectorised loop leaves over runs in narrower vectors, where LLVM
/// takes wider ones of 4 lanes and more; by itself it does so from 16 lanes on. LLVM has an option for
/// that, which is the process's. So this library has a vectoriser of its own, linked from LLVM's
/// archive: nobody else finds it, and its options are registered nowhere. What a host sets of the
/// vectoriser's options in LLVM's shared library is not read here.
class LoopVectoriser : public llvm::PassInfoMixin<LoopVectoriser> {
  public:
    /// In the text of a pipeline.
    static constexpr const char* pipeline_name = "kiln-loop-vectorise";
    /// Analyses that only this vectoriser asks for.
    static void add_analyses(llvm::FunctionAnalysisManager& analyses);

    llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace kiln::codegen
