// Tracing kernels of one iteration in tests, and running them on the interpreter.
#pragma once
#include "dsl/ir/text.h"
#include "dsl/trace/trace.h"
#include "tests/catch.h"

#include <functional>

namespace kiln::test {

/// What a test's kernel is made of: scalar parameters and one body, run once.
struct Traced {
    ir::Kernel kernel;
    DType dtype = DType::bool_;  // of the result; bool if there is none
    bool weak = false;
};

using Function = std::function<Value(const std::vector<Value>&)>;

/// Traces `body` with strong scalar parameters of the given dtypes; its value goes to the last
/// parameter, an array of one element. The kernel must be well formed.
inline Traced trace(const std::vector<DType>& types, const Function& body) {
    dsl::Trace trace("test");
    ir::Builder& b = trace.builder();
    std::vector<Value> values;
    for (std::size_t i = 0; i < types.size(); ++i) {
        ir::Param param;
        param.name = "x" + std::to_string(i);
        param.dtype = types[i];
        values.push_back(trace.value(b.param(b.add_param(param))));
    }
    const ir::Id extents[] = {b.constant_i64(1)};
    b.begin_stage(extents, false);
    const Value result = body(values);
    Traced traced;
    const ir::Id id = trace.id(result);
    traced.dtype = b.dtype(id);
    traced.weak = b.node(id).weak;
    ir::Param out;
    out.name = "out";
    out.dtype = traced.dtype;
    out.rank = 1;
    out.access = ir::Access::out;
    const std::uint32_t param = b.add_param(out);
    b.store(param, {b.index(0)}, b.cast(id, traced.dtype));
    b.end();
    traced.kernel = trace.finish();
    const std::string complaint = ir::verify(traced.kernel);
    INFO(ir::print(traced.kernel));
    REQUIRE(complaint == "");
    return traced;
}

/// Traces statements; the kernel's value is 0.
inline Traced statements(const std::vector<DType>& types,
                         const std::function<void(const std::vector<Value>&)>& body) {
    return trace(types, [&](const std::vector<Value>& x) -> Value {
        body(x);
        return 0;
    });
}

}  // namespace kiln::test
