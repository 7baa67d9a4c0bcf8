// Generalised ufuncs as object files: one kernel that also checks the shapes which calls check else.
#include "dsl/trace/trace.h"
#include "jit/call/arity.h"
#include "jit/loops/gufunc.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln {
namespace detail {

using engine::CoreSignature;

void GufuncState::trace_shape_checks(std::span<const KernelItem> items) const {
    dsl::Trace& trace = dsl::Trace::current(where_);
    ir::Builder& b = trace.builder();
    b.set_location(where_);
    const std::vector<std::uint32_t> params = params_of(trace, items);
    const auto check_equal = [&](ir::Id x, ir::Id y) {
        if (x != y) b.check(ir::Check::shapes, b.apply(ir::Op::eq, {x, y}));
    };
    const std::vector<ir::Id> sizes = trace_sizes(b, params, {});
    const std::uint32_t first = params[inputs()];  // output
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        const CoreSignature::Operand& o = signature_.operand(i);
        const auto loops = static_cast<std::uint32_t>(b.kernel().params[params[i]].rank - o.rank);
        for (std::uint32_t l = 0; l < loops; ++l)
            check_equal(b.extent(params[i], l), b.extent(first, l));
        for (std::uint32_t k = 0; k < o.rank; ++k)
            check_equal(b.extent(params[i], loops + k), sizes[o.dims[k]]);
    }
}

void GufuncState::export_object(std::span<const ArgType> types, const std::string& object,
                                const ExportOptions& options, const std::source_location& where) {
    const auto refuse = [&](const char* why) {
        throw Error(ErrorKind::unsupported, fmt::format("{} cannot be exported: {}", name_, why),
                    where_);
    };
    if (checked_) refuse("it is checked for which elements of outputs it stores");
    for (std::size_t d = 0; d < signature_.dims_count(); ++d)
        if (signature_.dim(d).is_computed()) refuse("a size of its cores is computed");
    std::array<DType, CoreSignature::max_operands> dtypes{};
    const std::size_t loops = types_of(types, dtypes, where);
    std::vector<ArgType> all;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        const std::size_t core = signature_.operand(i).rank;
        const std::size_t own = i < inputs() ? types[i].rank - core : loops;
        if (own != loops && (own != 0 || is_written(i)))
            throw Error(ErrorKind::shape,
                        fmt::format("argument {} of {} is a stack over {}, another one over {}",
                                    i + 1, name_, engine::counted(own, "dimension"), loops),
                        where, "exported stacks are over equal dimensions, or one core for all");
        if (core + own > static_cast<std::size_t>(max_rank))
            throw Error(ErrorKind::shape,
                        fmt::format("{} would have {} dimensions; at most {}", operand_name(i),
                                    core + own, max_rank),
                        where);
        all.push_back({dtypes[i], static_cast<std::uint8_t>(core + own)});
    }
    make_kernel({}, true)->export_object(
        all, object, options, where,
        fmt::format("Of the core {}: these are the last dimensions of each array.", text_));
}

}  // namespace detail

void Gufunc::export_object(std::initializer_list<ArgType> types, const std::string& object,
                           const ExportOptions& options, Where where) const {
    state_->export_object(std::span(types.begin(), types.size()), object, options, where);
}

void Gufunc::export_object(const std::vector<ArgType>& types, const std::string& object,
                           const ExportOptions& options, Where where) const {
    state_->export_object(types, object, options, where);
}

}  // namespace kiln
