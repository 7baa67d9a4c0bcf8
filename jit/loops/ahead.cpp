// Loop kernels without calls: compiled ahead, as texts, as object files.
#include "jit/call/arity.h"
#include "jit/compile/c_object.h"
#include "jit/compile/vary.h"
#include "jit/loops/diagnostics.h"
#include "jit/loops/loop_kernel.h"

#include <utility>

#include <fmt/format.h>

namespace kiln {
namespace detail {
namespace {

using engine::LoopKernelKey;
using engine::OperandView;

/// "f64[2], f64[1] strided, i64": arrays are contiguous where nothing else is said.
std::string types_text(const LoopKernelKey& key) {
    std::string text;
    for (std::size_t i = 0; i < key.size(); ++i) {
        text += (i == 0 ? "" : ", ") + std::string(name(key.dtype(i)));
        if (!key.is_array(i)) continue;
        text += fmt::format("[{}]", key.rank(i));
        if (key.layout(i) == ir::Layout::strided) text += " strided";
        if (key.layout(i) == ir::Layout::uniform) text += " uniform";
        for (int d = 0; d < key.rank(i); ++d)
            if ((key.units(i) >> d & 1) != 0) text += fmt::format(" extent({})=1", d);
    }
    return text + (key.overlap() ? ", overlapping" : "");
}

}  // namespace

Shared<LoopKernelState> LoopKernelState::varied(const Variation& variation) const {
    return share<LoopKernelState>(kind_, name_, params_, function_,
                                  engine::varied(options_, variation, name_, kind_), where_, code_);
}

LoopKernelKey LoopKernelState::key_of(std::span<const ArgType> types, Location where) const {
    engine::check_arity(name_, params_.size(), types.size(), where, engine::Given::types);
    LoopKernelKey key;
    for (std::size_t i = 0; i < types.size(); ++i) {
        if (params_[i] == KernelParam::value)
            key.add_scalar(types[i].dtype);
        else
            key.add_array(types[i].dtype, types[i].rank, ir::Layout::unit, 0);
    }
    return key;
}

void LoopKernelState::compile(std::span<const ArgType> types, Location where) {
    variant(key_of(types, where), Form::optimised, where);
}

void LoopKernelState::export_object(std::span<const ArgType> types, const std::string& object,
                                    const ExportOptions& options, Location where,
                                    std::string note) {
    LoopKernelKey key = key_of(types, where);
    key.set_large();  // the code with more in it
    const engine::TracedLoopKernel& of = traced(key.types(), where);
    engine::CExport what{.job = job(of, key, Form::optimised),
                         .owner = owner(),
                         .types = types_text(key),
                         .note = std::move(note),
                         .parallel = options_.parallel,
                         .keeps_flush_to_zero = options_.keep_flush_to_zero};
    for (const std::uint32_t result : of.results) {
        if (ir::is_made_by_kernel(of.kernel.params[result].access))
            throw Error(ErrorKind::unsupported,
                        fmt::format("{} cannot be exported: it returns an array", name_), where_,
                        "let the caller give it as an Out");
        what.results.push_back(result);
    }
    engine::export_object(std::move(what), object, options, where);
}

std::vector<ArgType> LoopKernelState::result_types(std::span<const ArgType> types, Location where) {
    const engine::TracedLoopKernel& of = traced(key_of(types, where).types(), where);
    std::vector<ArgType> all;
    for (const std::uint32_t result : of.results) {
        const ir::Param& param = of.kernel.params[result];
        all.push_back({param.dtype, param.rank});
    }
    return all;
}

std::string LoopKernelState::inspect(Artifact artifact, std::span<const ArgType> types,
                                     Location where) {
    LoopKernelKey key = key_of(types, where);
    key.set_large();  // the code with more in it
    return inspect(artifact, key, where);
}

std::string LoopKernelState::inspect(Artifact artifact, std::span<const OperandView> views,
                                     Location where) {
    LoopKernelKey key = key_of(views, true);
    if (!traced(key.types(), where).takes_whole_arrays) key.clear_units();
    return inspect(artifact, key, where);
}

std::string LoopKernelState::inspect_call(Artifact artifact, std::span<const JitArg> args,
                                          const std::source_location& where) {
    std::string text;
    with_views(args, where, [&](std::span<const OperandView> views) {
        LoopKernelKey key = whole_key_of(views, where);
        if (!traced(key.types(), where).takes_whole_arrays) key.clear_units();
        text = inspect(artifact, key, where);
    });
    return text;
}

void LoopKernelState::compile_call(std::span<const JitArg> args,
                                   const std::source_location& where) {
    with_views(args, where, [&](std::span<const OperandView> views) {
        variant(whole_key_of(views, where), Form::optimised, where);
    });
}

std::string LoopKernelState::inspect(Artifact artifact, const LoopKernelKey& key, Location where) {
    return engine::inspect(artifact, owner(), ledger_, inspection(key, where));
}

std::vector<KernelAttributes> LoopKernelState::attributes(std::span<const ArgType> types,
                                                          Location where) {
    const LoopKernelKey key = key_of(types, where);
    return engine::attributes(owner(), ledger_, inspection(key, where));
}

engine::Inspection LoopKernelState::inspection(const LoopKernelKey& key, Location where) {
    return {.job = [=, this] { return job(traced(key.types(), where), key, Form::optimised); },
            .code = [=, this]() -> const engine::CompiledCode& {
                return *variant(key, Form::optimised, where).kernel->code;
            }};
}

/// Those of a kernel whose traces have been made.
std::string LoopKernelState::types_text(const LoopKernelKey& key) const {
    const std::string text = detail::types_text(key);
    if (key.values() == 0) return text;
    const auto& params = traced_.find(key.types())->kernel.params;
    return text + ", where " + codegen::known_text(params, values_.numbers(key));
}

std::string LoopKernelState::parallel_diagnostics(int level, DiagnosticsFormat format) const {
    std::map<std::string, std::shared_ptr<const engine::PassReport>> by_types;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [key, report] : reports_) by_types[types_text(key)] = report;
    }
    const bool json = format == DiagnosticsFormat::json, several = by_types.size() > 1;
    std::string all;
    for (const auto& [types, report] : by_types) {
        const std::string kernel = several ? fmt::format("{}({})", name_, types) : name_;
        if (json && several) all += all.empty() ? "[" : ", ";
        all += json ? engine::diagnostics_json(kernel, report->words(), level)
                    : engine::diagnostics_text(kernel, report->words(), level);
    }
    return json && several ? all + ']' : all;
}

}  // namespace detail

}  // namespace kiln
