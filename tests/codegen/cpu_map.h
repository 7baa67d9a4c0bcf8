// Compiling and calling element-wise kernels directly, for one vector unit at a time.
#pragma once
#include "codegen/llvm/emit.h"
#include "jit/compile/backend.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kiln::test {

using codegen::VectorIsa;

/// The vector units of this machine's CPU, the widest first.
const std::vector<VectorIsa>& host_isas();

/// A backend that makes code for `isa` only; kept until the process ends.
engine::Backend& cpu_backend(VectorIsa isa);

/// The passes, verified one by one, then the backend of `isa`.
std::unique_ptr<engine::CompiledCode> compile_for(VectorIsa isa, const ir::Kernel& kernel,
                                                  const engine::CompileOptions& options = {});

/// Runs rows x columns iterations; the fault that the call recorded.
engine::Fault run_map(const engine::CompiledCode& program,
                      std::span<const engine::Operand> operands, std::int64_t columns,
                      std::int64_t rows = 1);

/// An operand over C-contiguous elements, or (`inner` 0) over one.
template <class T>
engine::Operand operand_of(const std::vector<T>& elements, std::int64_t inner = sizeof(T)) {
    auto* data = reinterpret_cast<std::byte*>(const_cast<T*>(elements.data()));
    return {data, inner, 0};
}

/// The kernel y = op(x0, x1, ...) on operands of `operand`, all parameters of layout `layout` but
/// the output, which is `unit` where that is `uniform`.
ir::Kernel op_kernel(ir::Op op, DType operand, ir::Layout layout = ir::Layout::unit,
                     std::uint8_t fast = 0);

}  // namespace kiln::test
