// Drops what nothing depends on (codegen/analysis/dead_code.cpp lists what is live).
#include "codegen/analysis/dead_code.h"
#include "codegen/passes/pass.h"

namespace kiln::codegen {

ir::Kernel run_dce(const ir::Kernel& kernel, PassContext& context) {
    return without_dead_code(kernel, context.options.checked);
}

}  // namespace kiln::codegen
