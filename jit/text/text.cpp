#include <kiln/text.h>

#include "jit/text/function.h"
#include "runtime/process.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

namespace kiln::text {
namespace {

constexpr std::string_view refusal = "text cannot be compiled: the program is ending";

}  // namespace

std::shared_ptr<const Function> function_of(const Source& source, const std::string& name,
                                            const std::source_location& where) {
    const kiln::detail::BeforeExit running{std::string(refusal)};
    kiln::detail::come_first_at_exit();
    Function made{{source.name(), source.code()}, name, {}, where};
    made.declaration = declaration_of(made.unit, name, where);
    return std::make_shared<const Function>(std::move(made));
}

namespace {

std::vector<ir::Id> lowered(const Function& f, std::span<const Argument> arguments,
                            dsl::Trace& trace) {
    const kiln::detail::BeforeExit running{std::string(refusal)};
    return lower(f.unit, f.name, f.declaration, arguments, trace, f.where);
}

/// Of the parameters that calls give, or of all.
std::vector<std::string> names_of(const Declaration& declaration, bool outputs = false) {
    std::vector<std::string> names;
    for (const Parameter& p : declaration.params) {
        if (p.passing == Passing::output && !outputs) continue;
        if (p.name.empty()) return {};
        names.push_back(p.name);
    }
    return names;
}

}  // namespace

Source Source::file(const std::string& path, std::source_location where) {
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    std::ostringstream code;
    if (!in || !(code << in.rdbuf()))
        throw Error(ErrorKind::io,
                    fmt::format("cannot read {}: {}", path,
                                errno == 0 ? "it is empty" : std::strerror(errno)),
                    where);
    return {std::move(code).str(), path};
}

Ufunc vectorize(const Source& source, const std::string& function, UfuncOptions options,
                std::source_location where) {
    return element_kernel(function_of(source, function, where), function, std::move(options),
                          where);
}

Ufunc element_kernel(const std::shared_ptr<const Function>& f, const std::string& function,
                     UfuncOptions options, std::source_location where) {
    const Declaration& d = f->declaration;
    const std::size_t inputs = d.count(Passing::value), outputs = d.count(Passing::output);
    for (const Parameter& p : d.params)
        if (p.passing == Passing::in || p.passing == Passing::inout ||
            p.passing == Passing::neighbors)
            throw Error(ErrorKind::usage,
                        fmt::format("{} takes array {}; element-wise kernels take numbers",
                                    function, p.name),
                        where,
                        p.passing == Passing::neighbors ? "use text::stencil" : "use text::jit");
    if (inputs > kiln::detail::max_arity)
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes {} numbers; at most {}", function, inputs,
                                kiln::detail::max_arity),
                    where);
    const std::size_t results = outputs + (d.returns ? 1 : 0);
    if (results == 0)
        throw Error(ErrorKind::usage, fmt::format("{} gives nothing", function), where,
                    "return a number, or give it by a reference");
    if (options.params.empty()) options.params = names_of(d);
    return Ufunc(
        function, inputs, results,
        [f](std::span<const Value> given, std::vector<Value>& out) {
            dsl::Trace& trace = dsl::Trace::current(f->where);
            std::vector<Argument> arguments;
            for (const Value& v : given) arguments.push_back({.value = trace.id(v)});
            for (const ir::Id id : lowered(*f, arguments, trace)) out.push_back(trace.value(id));
        },
        std::move(options), where);
}

namespace {

using kiln::detail::KernelItem;
using kiln::detail::KernelParam;

kiln::detail::KernelFunction body_of(std::shared_ptr<const Function> f) {
    return [f = std::move(f)](std::span<const KernelItem> items) {
        dsl::Trace& trace = dsl::Trace::current(f->where);
        std::vector<Argument> arguments;
        for (const KernelItem& item : items) {
            if (const auto* array = std::get_if<KernelArray>(&item))
                arguments.push_back({.is_array = true, .param = trace.param(*array, f->where)});
            else
                arguments.push_back({.value = trace.id(std::get<Value>(item))});
        }
        std::vector<KernelItem> results;
        for (const ir::Id id : lowered(*f, arguments, trace)) results.emplace_back(trace.value(id));
        return results;
    };
}

[[noreturn]] void refuse_neighbors(const Parameter& p, const std::string& function,
                                   const Location& where) {
    throw Error(
        ErrorKind::usage,
        fmt::format("parameter {} of {} is indexed relative to an element", p.name, function),
        where, "use text::stencil, or declare it as View<const T, Rank>");
}

}  // namespace

Gufunc guvectorize(const Source& source, const std::string& function, const std::string& signature,
                   GufuncOptions options, std::source_location where) {
    const auto f = function_of(source, function, where);
    if (f->declaration.returns)
        throw Error(ErrorKind::usage, fmt::format("{} returns a value", function), where,
                    "a generalised ufunc gives its results by parameters: T& or View<T, Rank>");
    const std::string_view inputs = std::string_view(signature).substr(0, signature.find("->"));
    const auto count = static_cast<std::size_t>(std::ranges::count(inputs, '('));
    std::vector<KernelParam> params;
    for (const Parameter& p : f->declaration.params) {
        const bool input = params.size() < count;
        switch (p.passing) {
            case Passing::value: params.push_back(KernelParam::value); break;
            case Passing::in: params.push_back(KernelParam::in); break;
            case Passing::inout:
                params.push_back(input ? KernelParam::inout : KernelParam::out);
                break;
            case Passing::output: params.push_back(KernelParam::out); break;
            case Passing::neighbors: refuse_neighbors(p, function, where);
        }
    }
    if (options.params.empty()) options.params = names_of(f->declaration, true);
    return Gufunc(function, signature, params, body_of(f), std::move(options), where);
}

// ------------------------------------------------------------------------------ stencils

namespace {

/// Calls a(offsets...).
template <std::size_t... I>
Value at(const Neighbors& a, std::span<const Operand> offsets, std::index_sequence<I...>) {
    return a(offsets[I]...);
}
Value at(const Neighbors& a, std::span<const Operand> offsets) {
    switch (offsets.size()) {
        case 1: return at(a, offsets, std::make_index_sequence<1>());
        case 2: return at(a, offsets, std::make_index_sequence<2>());
        case 3: return at(a, offsets, std::make_index_sequence<3>());
        case 4: return at(a, offsets, std::make_index_sequence<4>());
        case 5: return at(a, offsets, std::make_index_sequence<5>());
        case 6: return at(a, offsets, std::make_index_sequence<6>());
        case 7: return at(a, offsets, std::make_index_sequence<7>());
        default: return at(a, offsets, std::make_index_sequence<8>());
    }
}

NeighborAccess access_to(const Neighbors& a, dsl::Trace& trace) {
    return {.dtype = a.dtype(),
            .rank = a.rank(),
            .at =
                [&a, &trace](std::span<const ir::Id> offsets) {
                    std::vector<Operand> operands;
                    for (const ir::Id id : offsets)
                        operands.emplace_back(trace.value(id), std::source_location());
                    return trace.id(at(a, operands));
                },
            .index = [&a, &trace](int dimension) { return trace.id(a.index(dimension)); }};
}

}  // namespace

Stencil stencil(const Source& source, const std::string& function, StencilOptions options,
                std::source_location where) {
    const auto f = function_of(source, function, where);
    if (!f->declaration.returns || f->declaration.count(Passing::output) > 0)
        throw Error(ErrorKind::usage, fmt::format("{} does not return its only result", function),
                    where, "a stencil returns the element that it computes");
    using kiln::detail::StencilParam;
    std::vector<StencilParam> params;
    for (const Parameter& p : f->declaration.params) {
        if (p.passing == Passing::inout)
            throw Error(ErrorKind::usage, fmt::format("{} writes array {}", function, p.name),
                        where, "the arrays of a stencil are only read");
        const bool relative =
            p.passing == Passing::neighbors || (p.passing == Passing::in && p.deduced);
        params.push_back(relative                   ? StencilParam::neighbors
                         : p.passing == Passing::in ? StencilParam::array
                                                    : StencilParam::value);
    }
    if (options.params.empty()) options.params = names_of(f->declaration);
    return {
        function, std::move(params),
        [f](std::span<const kiln::detail::StencilItem> items) {
            dsl::Trace& trace = dsl::Trace::current(f->where);
            std::vector<NeighborAccess> accesses;
            accesses.reserve(items.size());
            std::vector<Argument> arguments;
            for (const auto& item : items) {
                if (const auto* a = std::get_if<Neighbors>(&item)) {
                    accesses.push_back(access_to(*a, trace));
                    arguments.push_back({.neighbors = &accesses.back()});
                } else if (const auto* in = std::get_if<In>(&item)) {
                    arguments.push_back({.is_array = true, .param = trace.param(*in, f->where)});
                } else {
                    arguments.push_back({.value = trace.id(std::get<Value>(item))});
                }
            }
            return trace.value(lowered(*f, arguments, trace).front());
        },
        std::move(options), where};
}

detail::LoopFunction loop_function_of(const std::shared_ptr<const Function>& f, JitOptions options,
                                      const std::source_location& where) {
    detail::LoopFunction made;
    for (const Parameter& p : f->declaration.params) switch (p.passing) {
            case Passing::value: made.params.push_back(KernelParam::value); break;
            case Passing::in: made.params.push_back(KernelParam::in); break;
            case Passing::inout: made.params.push_back(KernelParam::inout); break;
            case Passing::output: break;
            case Passing::neighbors: refuse_neighbors(p, f->name, where);
        }
    made.results = f->declaration.count(Passing::output) + (f->declaration.returns ? 1 : 0);
    if (options.params.empty()) options.params = names_of(f->declaration);
    made.function = body_of(f);
    made.options = std::move(options);
    return made;
}

namespace detail {

LoopFunction loop_function(const Source& source, const std::string& function, JitOptions options,
                           const std::source_location& where) {
    return loop_function_of(function_of(source, function, where), std::move(options), where);
}

void check_results(const std::string& function, std::size_t results, std::size_t expected,
                   const std::source_location& where) {
    if (results == expected) return;
    throw Error(ErrorKind::usage,
                fmt::format("{} gives {} result{}, calls are to give {}", function, results,
                            results == 1 ? "" : "s", expected),
                where,
                results == 0   ? "write text::jit(...)"
                : results == 1 ? "write text::jit<Scalar>(...)"
                               : "write text::jit<std::tuple<Scalar, Scalar ...>>(...)");
}

}  // namespace detail
}  // namespace kiln::text
