#include "tests/codegen/cpu_map.h"

#include "codegen/passes/pass.h"
#include "dsl/ir/builder.h"
#include "dsl/ir/evaluate.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

extern "C" kiln::engine::Backend* kiln_make_cpu_backend();

namespace kiln::test {

const std::vector<VectorIsa>& host_isas() {
    static const std::vector<VectorIsa> isas = [] {
        std::vector<VectorIsa> found;
        const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
            found.push_back(VectorIsa::avx512);
        if (avx2) found.push_back(VectorIsa::avx2);
        found.push_back(VectorIsa::sse2);
        return found;
    }();
    return isas;
}

engine::Backend& cpu_backend(VectorIsa isa) {
    static std::mutex mutex;
    static auto& made = *new std::map<VectorIsa, engine::Backend*>();
    const std::lock_guard lock(mutex);
    engine::Backend*& backend = made[isa];
    if (backend == nullptr) {
        const char* before = std::getenv("KILN_CPU_ISA");
        const std::string kept = before != nullptr ? before : "";
        setenv("KILN_CPU_ISA", std::string(name(isa)).c_str(), 1);
        backend = kiln_make_cpu_backend();
        if (before != nullptr) {
            setenv("KILN_CPU_ISA", kept.c_str(), 1);
        } else {
            unsetenv("KILN_CPU_ISA");
        }
    }
    return *backend;
}

std::unique_ptr<engine::CompiledCode> compile_for(VectorIsa isa, const ir::Kernel& kernel,
                                                  const engine::CompileOptions& options) {
    codegen::PassContext context;
    context.options.verify = true;
    context.options.fma = isa != VectorIsa::sse2;
    return cpu_backend(isa).compile(codegen::run_passes(kernel, context), options);
}

engine::Fault run_map(const engine::CompiledCode& program,
                      std::span<const engine::Operand> operands, std::int64_t columns,
                      std::int64_t rows) {
    engine::Fault fault;
    std::vector<std::byte> memory(sizeof(engine::MapFrame) + operands.size_bytes());
    const engine::MapFrame frame{columns, rows, &fault};
    std::memcpy(memory.data(), &frame, sizeof frame);
    std::memcpy(memory.data() + sizeof frame, operands.data(), operands.size_bytes());
    program.map_entry()(reinterpret_cast<const engine::MapFrame*>(memory.data()));
    return fault;
}

ir::Kernel op_kernel(ir::Op op, DType operand, ir::Layout layout, std::uint8_t fast) {
    ir::Builder b(std::string(info(op).name));
    const unsigned arity = info(op).arity;
    const bool choice = info(op).rule == ir::Rule::choice;
    for (unsigned i = 0; i < arity; ++i) {
        const DType t = choice && i == 0 ? DType::bool_ : operand;
        b.add_param({"x" + std::to_string(i), t, 1, ir::Access::in, layout, false});
    }
    const DType result = *ir::exact_result(info(op).rule, operand);
    const ir::Layout out = layout == ir::Layout::uniform ? ir::Layout::unit : layout;
    const std::uint32_t y = b.add_param({"y", result, 1, ir::Access::out, out, false});
    const ir::Id extent = b.extent(y, 0);
    b.begin_stage(std::span(&extent, 1), true);
    std::vector<ir::Id> operands;
    for (unsigned i = 0; i < arity; ++i) operands.push_back(b.load(i, {b.index(0)}));
    b.store(y, {b.index(0)}, b.op(op, result, operands, fast));
    b.end();
    return b.finish();
}

}  // namespace kiln::test
