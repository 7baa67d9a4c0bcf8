// The handle of loop kernels.
#include "jit/loops/loop_kernel.h"

namespace kiln {

TracedArg::TracedArg(const KernelArray& array, Where where) : item_(array), where_(where) {}
TracedNumber::TracedNumber(const TracedArg& arg) : TracedArg(arg) {}

std::vector<detail::KernelItem> detail::items_of(std::initializer_list<TracedNumber> args) {
    std::vector<KernelItem> items;
    items.reserve(args.size());
    for (const TracedNumber& arg : args) items.push_back(arg.item());
    return items;
}

JitKernel::JitKernel(std::string name, std::vector<detail::KernelParam> params,
                     detail::KernelFunction function, JitOptions options,
                     std::source_location where)
    : state_(share<detail::LoopKernelState>(engine::KernelKind::loops, std::move(name),
                                            std::move(params), std::move(function),
                                            std::move(options), where)) {}

JitKernel::JitKernel(Shared<detail::LoopKernelState> state) : state_(std::move(state)) {}

const std::string& JitKernel::name() const { return state_->name(); }
std::string JitKernel::parallel_diagnostics(int level, DiagnosticsFormat format) const {
    return state_->parallel_diagnostics(level, format);
}
std::vector<Remark> JitKernel::remarks() const { return state_->ledger().remarks(); }
Stats JitKernel::stats() const { return state_->ledger().stats(); }
std::vector<Difference> JitKernel::differences() const { return state_->differences(); }

JitKernel JitKernel::varied(const Variation& variation) const {
    return JitKernel(state_->varied(variation));
}

std::string JitKernel::inspect(Artifact artifact, const std::vector<ArgType>& types,
                               std::source_location where) const {
    return state_->inspect(artifact, types, where);
}

std::string JitKernel::inspect_call(Artifact artifact, std::initializer_list<JitArg> args,
                                    std::source_location where) const {
    return state_->inspect_call(artifact, std::span(args.begin(), args.size()), where);
}

void JitKernel::compile_call(std::initializer_list<JitArg> args, std::source_location where) const {
    state_->compile_call(std::span(args.begin(), args.size()), where);
}

void JitKernel::compile(std::initializer_list<ArgType> types, std::source_location where) const {
    state_->compile(std::span(types.begin(), types.size()), where);
}

void JitKernel::compile(const std::vector<ArgType>& types, std::source_location where) const {
    state_->compile(types, where);
}

void JitKernel::export_object(std::initializer_list<ArgType> types, const std::string& object,
                              const ExportOptions& options, std::source_location where) const {
    state_->export_object(std::span(types.begin(), types.size()), object, options, where);
}

void JitKernel::export_object(const std::vector<ArgType>& types, const std::string& object,
                              const ExportOptions& options, std::source_location where) const {
    state_->export_object(types, object, options, where);
}

std::vector<std::vector<ArgType>> JitKernel::specialisations() const {
    return state_->ledger().specialisations();
}

std::string JitKernel::inspect(Artifact artifact, std::initializer_list<ArgType> types,
                               std::source_location where) const {
    return state_->inspect(artifact, std::span(types.begin(), types.size()), where);
}

std::vector<detail::JitValue> JitKernel::call(std::span<const JitArg* const> args,
                                              std::source_location where) const {
    std::vector<detail::JitValue> results;
    state_->call(args, &results, where);
    return results;
}

std::vector<detail::KernelItem> JitKernel::inline_call(std::span<const detail::KernelItem> args,
                                                       std::source_location where) const {
    return state_->inline_call(args, where);
}

void JitKernel::call_in_place(std::span<const JitArg* const> args,
                              std::source_location where) const {
    state_->call(args, nullptr, where);
}

}  // namespace kiln
