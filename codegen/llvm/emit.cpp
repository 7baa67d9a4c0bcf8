#include "codegen/llvm/emit.h"

#include "codegen/llvm/lanes/lane_emitter.h"
#include "codegen/llvm/program/program_emitter.h"

#include <llvm/Target/TargetMachine.h>

namespace kiln::codegen {

std::unique_ptr<llvm::Module> emit_llvm(const ir::Kernel& kernel, llvm::LLVMContext& context,
                                        const llvm::TargetMachine& machine,
                                        const EmitOptions& options) {
    auto module = std::make_unique<llvm::Module>(kernel.name, context);
    module->setDataLayout(machine.createDataLayout());
    module->setTargetTriple(machine.getTargetTriple().str());
    if (kernel.is_program()) {
        ProgramModule shared{*module, options};
        ProgramEmitter(kernel, shared).run();
    } else {
        LaneEmitter(kernel, *module, options).run();
    }
    return module;
}

}  // namespace kiln::codegen
