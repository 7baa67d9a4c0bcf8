#include "codegen/llvm/emit.h"

#include "codegen/llvm/debug_info.h"
#include "codegen/llvm/lanes/lane_emitter.h"
#include "codegen/llvm/program/program_emitter.h"

#include <llvm/Target/TargetMachine.h>

#include <optional>

namespace kiln::codegen {

std::unique_ptr<llvm::Module> emit_llvm(const ir::Kernel& kernel, llvm::LLVMContext& context,
                                        const llvm::TargetMachine& machine,
                                        const EmitOptions& options) {
    auto module = std::make_unique<llvm::Module>(kernel.name, context);
    module->setDataLayout(machine.createDataLayout());
    module->setTargetTriple(machine.getTargetTriple().str());
    std::optional<DebugInfo> debug;
    EmitOptions own = options;
    if (options.debug != DebugDetail::none)
        own.debug_info = &debug.emplace(*module, kernel, options.debug);
    if (kernel.is_program()) {
        ProgramModule shared{*module, own};
        ProgramEmitter(kernel, shared).run();
    } else {
        LaneEmitter(kernel, *module, own).run();
    }
    if (debug) debug->finish();
    return module;
}

}  // namespace kiln::codegen
