// Kernels for tests of passes and emitters.
#pragma once
#include "codegen/passes/pass.h"
#include "dsl/ir/builder.h"
#include "dsl/ir/text.h"

#include <stdexcept>
#include <string>
#include <string_view>

namespace kiln::test {

/// A kernel from its text; throws if it does not verify.
inline ir::Kernel kernel(std::string_view text) {
    ir::Kernel k = ir::parse(text);
    if (const std::string wrong = ir::verify(k); !wrong.empty()) throw std::runtime_error(wrong);
    return k;
}

using Pass = ir::Kernel (*)(const ir::Kernel&, codegen::PassContext&);

/// Runs one pass, and throws if its result does not verify.
inline ir::Kernel run(Pass pass, const ir::Kernel& k, const codegen::PassOptions& options = {}) {
    codegen::PassContext context;
    context.options = options;
    ir::Kernel after = pass(k, context);
    if (const std::string wrong = ir::verify(after); !wrong.empty())
        throw std::runtime_error(wrong + "\n" + ir::print(after));
    return after;
}

/// The text of a program whose arrays do not overlap, after one pass.
inline std::string after(Pass pass, std::string_view text) {
    return ir::print(run(pass, kernel(text), {.noalias = true}));
}
/// The text as the printer writes it: what `after` gives where the pass changes nothing.
inline std::string printed(std::string_view text) { return ir::print(kernel(text)); }

/// Whether the pass changes the kernel in the pipeline, run with these options.
inline bool fires(std::string_view pass, std::string_view text, codegen::PassOptions options) {
    codegen::PassContext context;
    context.options = std::move(options);
    context.options.verify = true;
    bool seen = false;
    context.observer = [&](std::string_view name, const ir::Kernel&) { seen |= name == pass; };
    codegen::run_passes(kernel(text), context);
    return seen;
}

/// The whole pipeline with the verifier after every pass.
inline ir::Kernel all_passes(const ir::Kernel& k, bool checked = false) {
    codegen::PassContext context;
    context.options.verify = true;
    context.options.checked = checked;
    return codegen::run_passes(k, context);
}

/// The text of an element-wise kernel: extents = {extent(params[0], 0)} around `body`.
inline std::string map_text(std::string_view params, std::string_view body) {
    const std::string_view first = params.substr(0, params.find(':'));
    return "kernel k(" + std::string(params) + ") {\n  stage [extent(" + std::string(first) +
           ", 0)] {\n" + std::string(body) + "  }\n}\n";
}

/// One output per operation and dtype for which the operation is defined: all of ops.def on
/// operands of dtype `t`, as one element-wise kernel.
inline ir::Kernel every_operation(DType t, ir::Layout layout = ir::Layout::unit) {
    ir::Builder b("all_" + std::string(name(t)));
    std::uint32_t inputs[3];
    const char* const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; ++i)
        inputs[i] = b.add_param({names[i], t, 1, ir::Access::in, layout, false});
    const ir::Id extents[] = {b.extent(0, 0)};
    b.begin_stage(extents, false);
    ir::Id x[3];
    for (int i = 0; i < 3; ++i) x[i] = b.load(inputs[i], {b.index(0)});
    const auto output = [&](const std::string& name, ir::Id value) {
        const std::uint32_t p =
            b.add_param({name, b.dtype(value), 1, ir::Access::out, layout, false});
        b.store(p, {b.index(0)}, value);
    };
    for (std::size_t i = 0; i < ir::op_count; ++i) {
        const auto op = static_cast<ir::Op>(i);
        const ir::OpInfo& row = ir::info(op);
        try {
            output("o_" + std::string(row.name),
                   b.apply(op, std::span<const ir::Id>(x, row.arity)));
        } catch (const Error& e) {
            if (e.kind() != ErrorKind::type) throw;  // the rule refuses this dtype
        }
    }
    for (std::size_t to = 0; to < dtype_count; ++to) {
        const auto dtype = static_cast<DType>(to);
        output("to_" + std::string(name(dtype)), b.cast(x[0], dtype));
    }
    b.end();
    return b.finish();
}

}  // namespace kiln::test
