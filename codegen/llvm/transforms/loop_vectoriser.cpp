#include "codegen/llvm/transforms/loop_vectoriser.h"

#include <llvm/Support/CommandLine.h>
#include <llvm/Transforms/Vectorize/LoopVectorize.h>

// The linker has the vectoriser's options call this in the place of llvm::cl::Option::addArgument,
// when the library is loaded: options that are registered twice would end the process.
extern "C" [[gnu::visibility("hidden")]] void kiln_keep_option(llvm::cl::Option* option) asm(
    "__wrap__ZN4llvm2cl6Option11addArgumentEv");

void kiln_keep_option(llvm::cl::Option* option) {
    if (option->ArgStr == "epilogue-vectorization-minimum-VF")
        static_cast<llvm::cl::opt<unsigned>*>(option)->setInitialValue(4);
}

namespace kiln::codegen {

void LoopVectoriser::add_analyses(llvm::FunctionAnalysisManager& analyses) {
    analyses.registerPass([] { return llvm::ShouldRunExtraVectorPasses(); });
}

llvm::PreservedAnalyses LoopVectoriser::run(llvm::Function& function,
                                            llvm::FunctionAnalysisManager& analyses) {
    return llvm::LoopVectorizePass().run(function, analyses);
}

}  // namespace kiln::codegen
