// The loop kernels of a generalised ufunc: the lambda's core, inside of loops of the library's.
#include "dsl/trace/trace.h"
#include "jit/call/arity.h"
#include "jit/call/signature.h"
#include "jit/compile/checked_mode.h"
#include "jit/loops/gufunc.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln::detail {

using engine::CoreSignature;

void wrong_signature(std::size_t character, const char* what) {
    throw SignatureFault{character, what};
}

namespace {

/// Errors: usage, with the character that is wrong.
CoreSignature parsed(const std::string& name, std::string_view text,
                     std::span<const KernelParam> params, Location where) {
    try {
        CoreSignature signature(text);
        signature.check(params.data(), params.size());
        return signature;
    } catch (const SignatureFault& fault) {
        throw Error(ErrorKind::usage,
                    fmt::format("the signature of {}: {}\n    {}\n    {:>{}}", name, fault.what,
                                text, '^', fault.at + 1),
                    where);
    }
}

/// Combinations of core sizes for which a generalised ufunc has code of its own.
constexpr std::size_t most_special = 16;

}  // namespace

GufuncState::GufuncState(std::string name, std::string_view signature,
                         std::span<const KernelParam> params, KernelFunction function,
                         GufuncOptions options, Location where)
    : name_(std::move(name)),
      text_(signature),
      signature_(parsed(name_, text_, params, where)),
      params_(params.begin(), params.end()),
      function_(std::move(function)),
      options_(std::move(options)),
      where_(where),
      checked_(options_.checked || engine::all_checked()) {
    engine::check_param_names(name_, params_.size(), options_.params, where);
    if (!options_.results.empty() && options_.results.size() != outputs())
        throw Error(ErrorKind::usage,
                    fmt::format("{} has {}, .results names {}", name_,
                                engine::counted(outputs(), "output"), options_.results.size()),
                    where);
    for (const Signature& s : options_.signatures)
        if (s.inputs != inputs() || s.outputs != outputs())
            throw Error(
                ErrorKind::usage,
                fmt::format("{} takes {} and gives {}, its loop {} does not", name_,
                            engine::counted(inputs(), "argument"), outputs(), engine::to_string(s)),
                where);
    general_ = make_kernel({});
}

std::string GufuncState::param_name(std::size_t operand) const {
    return options_.params.empty() ? fmt::format("p{}", operand) : options_.params[operand];
}

std::uint64_t GufuncState::written_operands() const {
    std::uint64_t written = 0;
    for (std::size_t i = 0; i < signature_.operands_count() + outputs(); ++i)
        if (i >= inputs() || is_written(i)) written |= std::uint64_t(1) << i;
    return written;
}

std::unique_ptr<LoopKernelState> GufuncState::make_kernel(CoreForm form, bool exported) {
    std::vector<KernelParam> kinds;
    for (const KernelParam p : params_)
        kinds.push_back(p == KernelParam::value ? KernelParam::in : p);
    JitOptions options{.fastmath = options_.fastmath,
                       .parallel = options_.parallel,
                       .checked = options_.checked,
                       .keep_flush_to_zero = options_.keep_flush_to_zero,
                       .fuse = options_.fuse};
    options.params = options_.params;
    options.target = options_.target;
    for (std::size_t o = 0; checked_ && o < outputs(); ++o) {
        kinds.push_back(KernelParam::out);
        if (!options.params.empty())
            options.params.push_back(param_name(inputs() + o) + " written");
    }
    return std::make_unique<LoopKernelState>(
        engine::KernelKind::gufunc, name_, std::move(kinds),
        [this, form, exported](std::span<const KernelItem> items) {
            if (exported) trace_shape_checks(items);
            return trace(items, form);
        },
        std::move(options), where_);
}

bool GufuncState::is_special_locked(ConstantSizes sizes) const {
    return special_sizes_.size() < most_special ||
           std::ranges::find(special_sizes_, sizes) != special_sizes_.end();
}

bool GufuncState::is_special(ConstantSizes sizes) const {
    const std::lock_guard lock(mutex_);
    return sizes.any() && is_special_locked(sizes);
}

LoopKernelState& GufuncState::kernel(CoreForm& form) {
    if (!form.any()) return *general_;
    if (LoopKernelState* found = special_.find(form)) return *found;
    const std::lock_guard lock(mutex_);
    if (LoopKernelState* found = special_.find(form)) return *found;
    if (!form.sizes.any() || is_special_locked(form.sizes)) {
        if (form.sizes.any() &&
            std::ranges::find(special_sizes_, form.sizes) == special_sizes_.end())
            special_sizes_.push_back(form.sizes);
        special_kernels_.push_back({form, special_.insert(form, make_kernel(form))});
        return *special_kernels_.back().kernel;
    }
    note_locked(fmt::format(
        "{} has code for {} combinations of core sizes; in that for others no size is a constant",
        name_, most_special));
    form = {};
    return *general_;
}

// ------------------------------------------------------------------------------ tracing

/// The size of each core dimension as a node: a constant, or the extent of the first operand that
/// has the dimension, so that operands agree by name.
std::vector<ir::Id> GufuncState::trace_sizes(ir::Builder& b, std::span<const std::uint32_t> params,
                                             ConstantSizes constant) const {
    std::vector<ir::Id> sizes(signature_.dims_count(), ir::none);
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        const CoreSignature::Operand& o = signature_.operand(i);
        for (std::size_t k = 0; k < o.rank; ++k) {
            const std::size_t d = o.dims[k];
            if (sizes[d] != ir::none) continue;
            if (const std::int64_t size = constant_size(d, constant); size != 0) {
                sizes[d] = b.constant_i64(size);
            } else {
                const std::size_t hidden = b.kernel().params[params[i]].rank - o.rank;
                sizes[d] = b.extent(params[i], static_cast<std::uint32_t>(hidden + k));
            }
        }
    }
    return sizes;
}

/// The size of a dimension where it is a constant of the code, else 0.
std::int64_t GufuncState::constant_size(std::size_t dim, ConstantSizes constant) const {
    const CoreSignature::Dim& d = signature_.dim(dim);
    return d.frozen != 0 && !d.optional ? d.frozen : constant.get(dim);
}

namespace {
/// How a flat operand's elements lie: by how many of them each dimension of a core goes on, and how
/// many a core has.
struct FlatCore {
    std::vector<std::int64_t> steps;
    std::int64_t size = 1;
};
}  // namespace

std::vector<std::uint32_t> GufuncState::params_of(dsl::Trace& trace,
                                                  std::span<const KernelItem> items) const {
    std::vector<std::uint32_t> params;
    for (const KernelItem& item : items)
        params.push_back(trace.param(std::get<KernelArray>(item), where_));
    return params;
}

std::vector<KernelItem> GufuncState::trace(std::span<const KernelItem> items, CoreForm form) {
    dsl::Trace& trace = dsl::Trace::current(where_);
    ir::Builder& b = trace.builder();
    b.set_location(where_);
    const std::vector<std::uint32_t> params = params_of(trace, items);
    const std::size_t all = signature_.operands_count();
    const std::vector<ir::Id> sizes = trace_sizes(b, params, form.sizes);
    const auto is_flat = [&](std::size_t i) { return (form.flat >> i & 1) != 0; };
    const auto flat_core = [&](std::size_t i) {
        FlatCore core;
        const CoreSignature::Operand& o = signature_.operand(i);
        core.steps.resize(o.rank);
        for (std::size_t k = o.rank; k-- > 0;) {
            core.steps[k] = core.size;
            core.size *= constant_size(o.dims[k], form.sizes);
        }
        return core;
    };

    const std::uint32_t first = params[inputs()];  // output
    const ir::Id zero = b.constant_i64(0), one = b.constant_i64(1);
    std::vector<ir::Id> indices;
    const auto loops = is_flat(inputs())
                           ? 1U
                           : static_cast<std::uint32_t>(b.kernel().params[first].rank -
                                                        signature_.operand(inputs()).rank);
    for (std::uint32_t l = 0; l < loops; ++l) {
        ir::Id end = b.extent(first, l);
        if (is_flat(inputs()))
            end = b.apply(ir::Op::div, {end, b.constant_i64(flat_core(inputs()).size)});
        // Cores are apart from each other, whether subscripts show it or not.
        indices.push_back(
            l == 0 ? b.begin_parallel_loop(
                         zero, end, one,
                         {{}, ir::Schedule::automatic, 0, /*unsafe_races=*/form.flat != 0})
                   : b.begin_loop(zero, end, one));
    }
    std::vector<KernelItem> cores;
    for (std::size_t i = 0; i < all; ++i) {
        const CoreSignature::Operand& o = signature_.operand(i);
        dsl::Trace::CoreView core;
        if (is_flat(i)) {
            FlatCore flat = flat_core(i);
            core.outer = {b.apply(ir::Op::mul, {indices[0], b.constant_i64(flat.size)})};
            core.steps = std::move(flat.steps);
        } else if (b.kernel().params[params[i]].rank > o.rank) {
            core.outer = indices;
        }
        if (params_[i] == KernelParam::value) {
            cores.emplace_back(trace.value(b.load(params[i], core.outer)));
            continue;
        }
        for (std::size_t k = 0; k < o.rank; ++k) core.extents.push_back(sizes[o.dims[k]]);
        if (checked_ && i >= inputs()) core.written = params[all + i - inputs()];
        trace.set_core(params[i], std::move(core));
        cores.emplace_back(trace.array(params[i]));
    }
    trace.call(options_.fastmath.bits, [&] {
        const std::lock_guard tracing(tracing_);  // kernels of several sizes have one lambda
        return function_(cores);
    });
    for (std::uint32_t l = 0; l < loops; ++l) b.end();
    return {};
}

}  // namespace kiln::detail
