// Reductions: sums, products, extremes of arrays and of element-wise functions of them.
#pragma once
#include <kiln/backend_target.h>
#include <kiln/element_function.h>
#include <kiln/inspect.h>
#include <kiln/kernel.h>
#include <kiln/reduce_options.h>
#include <kiln/reduction.h>
#include <kiln/shared_state.h>
#include <kiln/variation.h>
#include <kiln/vectorize.h>

#include <initializer_list>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {

namespace detail {
class ReduceState;
}

/// The options of a map-reduce, for designated initialisers.
struct MapReduceOptions {
    Fastmath fastmath = {};  ///< of the function; the order of the combination stays fixed
    /// Large calls are split over threads; results do not depend on it.
    bool parallel = false;
    /// Integer division by zero is an error that names the line and the index of the element.
    bool checked = false;
    /// As of UfuncOptions.
    bool keep_flush_to_zero = false;
    /// What inspected texts and errors call the parameters, in order. Empty: x0, x1 ...
    std::vector<std::string> params = {};
    BackendTarget target = BackendTarget::cpu;  ///< there is no other
};

/// A reduction of an element-wise function of one or more arrays, without a temporary:
/// `dot(x, y, {.axis = 1})`. The first call with given argument dtypes compiles; a handle, copies
/// share their kernels. Thread-safe.
///
/// Inputs broadcast together; all axes are reduced by default. Values combine over a tree that the
/// shapes, strides and the kind of CPU alone determine, so a result has the same bits for every
/// number of threads; sums of floats are at least as accurate as pairwise summation. Empty
/// reductions give `initial`, or the identity.
///
/// Errors carry the line of the call: usage (number of arguments, an axis listed twice, an output
/// that is read-only), bounds (no such axis), shape (broadcasting; an output of another shape;
/// "zero-size array to reduction operation maximum which has no identity", also of a reduction with
/// `where` that has neither identity nor `initial`), type (a dtype that the reduction does not
/// take; casting). Errors of the function carry its lines.
class MapReduce {
  public:
    using Where = std::source_location;  ///< the user's line

    MapReduce(std::string name, std::size_t arity, detail::ElementFunction function,
              Reduce reduction, MapReduceOptions options, Location where);

    /// Of states: `function` gives their parts, `finish` the results of the parts; without, these
    /// are the results.
    MapReduce(std::string name, std::size_t arity, detail::ElementFunction function,
              Shared<const detail::StateReduction> states, std::optional<Ufunc> finish,
              MapReduceOptions options, Location where);

    const std::string& name() const;  ///< as errors call it

    Array operator()(const Arg& a, const ReduceOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const ReduceOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const ReduceOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d,
                     const ReduceOptions& options = {}, Where where = Where::current()) const {
        return call({&a, &b, &c, &d}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const ReduceOptions& options = {}, Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const ReduceOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const Arg& g, const ReduceOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f, &g}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const Arg& g, const Arg& h, const ReduceOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f, &g, &h}, options, where);
    }

#define KILN_ARGUMENTS(params, pointers)                                  \
    Array operator()(KILN_LIST params, const ReduceOptions& options = {}, \
                     Where where = Where::current()) const {              \
        return call({KILN_LIST pointers}, options, where);                \
    }
#include <kiln/argument_lists.def>
#undef KILN_ARGUMENTS

    /// The results, in order, of a reduction with a state that has several.
    std::vector<Array> all(const Arg& a, const ReduceOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const ReduceOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c,
                           const ReduceOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b, &c}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d,
                           const ReduceOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d}, options, where);
    }

    /// Of reductions with a state, along one axis (0 by default), one element after the other, so with
    /// the same bits for any number of threads. accumulate: element i of a result is that of the
    /// elements up to i. reduceat: element s is that of the elements from indices[s] up to but not
    /// including indices[s + 1] (the end for the last), or of element indices[s] alone where that range
    /// is empty or backwards. The second forms give all results, in order. Errors: usage (a reduction
    /// without a state; dtype; out where there are several results), bounds (no such axis; an index
    /// outside of [0, extent)), type, shape, and those of tracing.
    Array accumulate(const Arg& a, const AccumulateOptions& options = {},
                     Where where = Where::current()) const;
    std::vector<Array> accumulate_all(std::initializer_list<Arg> args,
                                      const AccumulateOptions& options = {},
                                      Where where = Where::current()) const;
    Array reduceat(const Arg& a, const Arg& indices, const ReduceAtOptions& options = {},
                   Where where = Where::current()) const;
    std::vector<Array> reduceat_all(std::initializer_list<Arg> args, const Arg& indices,
                                    const ReduceAtOptions& options = {},
                                    Where where = Where::current()) const;

    /// A generated text of the kernel that reduces rows, for arguments of these types (rank 0: a
    /// strong scalar). Errors: as of Ufunc::inspect.
    std::string inspect(Artifact artifact, std::initializer_list<ArgType> types,
                        Where where = Where::current()) const;
    /// The same of types that are found out at run time.
    std::string inspect(Artifact artifact, const std::vector<ArgType>& types,
                        Where where = Where::current()) const;
    /// The types of the calls that code was made for (of weak C++ values, what they become beside
    /// the others), the last ones last.
    std::vector<std::vector<ArgType>> specialisations() const;
    /// The same function as a kernel with other options, which compiles for itself. Errors: usage
    /// (.fuse).
    MapReduce varied(const Variation& variation) const;
    std::vector<Remark> remarks() const;  ///< what its compiles had to say
    Stats stats() const;

  private:
    Array call(std::initializer_list<const Arg*> args, const ReduceOptions& options,
               const Where& where) const;
    std::vector<Array> call_all(std::initializer_list<const Arg*> args,
                                const ReduceOptions& options, const Where& where) const;

    explicit MapReduce(Shared<detail::ReduceState> state);

    detail::SharedState<detail::ReduceState> state_;
};

/// A map-reduce from a callable of 1 to 31 Values (generic or not) that returns one Value:
/// `auto dot = map_reduce("dot", [](Value x, Value y) { return x * y; }, Reduce::sum);` The
/// callable is copied, and run a few times for each combination of dtypes when it is first met,
/// by one thread at a time: what it captures by value is a constant of that code, what it
/// captures by reference is read then, and must be alive then. Errors: usage (.params), unsupported
/// (.target).
template <class F>
MapReduce map_reduce(std::string name, F function, Reduce reduction, MapReduceOptions options = {},
                     std::source_location where = std::source_location::current()) {
    constexpr std::size_t arity = detail::value_arity<F>();
    static_assert(arity >= 1 && arity <= detail::max_arity,
                  "kiln: map_reduce needs a callable that takes a fixed number, 1 to 31, of "
                  "Values, and compiles for them (functions of Values are kiln's: kiln::sin(x), "
                  "not std::sin(x))");
    return MapReduce(std::move(name), arity, detail::erase<arity>(std::move(function)), reduction,
                     options, where);
}
template <class F>
    requires(!std::is_convertible_v<F, std::string_view>)
MapReduce map_reduce(F function, Reduce reduction, MapReduceOptions options = {},
                     std::source_location where = std::source_location::current()) {
    return map_reduce("map_reduce", std::move(function), reduction, options, where);
}

namespace detail {
/// What makes the parts of a state of Values, as an element-wise function.
template <std::size_t Arity, std::size_t N, class F> ElementFunction erase_lift(F f) {
    return [f = std::move(f)](std::span<const Value> x, std::vector<Value>& out) mutable {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            for_parts<N>(f(x[I]...), [&](const auto& part) { out.push_back(result_value(part)); });
        }(std::make_index_sequence<Arity>());
    };
}
template <std::size_t N, class G> ElementFunction erase_finish(G finish) {
    return [finish = std::move(finish)](std::span<const Value> x, std::vector<Value>& out) mutable {
        append_results(finish(make_state<N, G>(x)), out);
    };
}
template <std::size_t N, class F>
MapReduce make_map_reduce(std::string name, F function, const Reduction<N>& reduction,
                          std::optional<Ufunc> finish, MapReduceOptions options,
                          std::source_location where) {
    constexpr std::size_t arity = value_arity<F>();
    static_assert(
        arity >= 1 && arity <= max_arity,
        "kiln: map_reduce needs a callable that takes a fixed number, 1 to 31, of Values, "
        "and compiles for them (functions of Values are kiln's: kiln::sin(x), not "
        "std::sin(x))");
    return MapReduce(std::move(name), arity, erase_lift<arity, N>(std::move(function)),
                     reduction.state(), std::move(finish), std::move(options), where);
}
}  // namespace detail

/// The same with a reduction that has a state (kiln/reduction.h): the callable gives the state of one
/// element, `finish`, where there is one, a result or several of the state of all.
///
///     auto variance = map_reduce("variance", [](Value x) { return std::tuple(1.0, x, 0.0); },
///                                moments, [](auto s) { return s[2] / s[0]; });
///     Array v = variance(x, {.axis = 1});
///
/// Results, of several those of all(), have the dtypes of the identity, or those that `finish`
/// gives. Empty reductions give the identity; there is no `initial` and `dtype`, and `out` where
/// there is one result. Errors besides: usage (a state of another size).
template <class F, std::size_t N>
MapReduce map_reduce(std::string name, F function, const Reduction<N>& reduction,
                     MapReduceOptions options = {},
                     std::source_location where = std::source_location::current()) {
    return detail::make_map_reduce(std::move(name), std::move(function), reduction, std::nullopt,
                                   std::move(options), where);
}
/// A reduction of states that are given part by part, one argument each: of one value, as a ufunc of
/// its combination reduces.
///
///     auto product = map_reduce(reduction("product", Complex(1), [](Value a, Value b) { return a * b; }));
///     Array of_rows = product(z, {.axis = 1}), so_far = product.accumulate(z, {.axis = 1});
template <std::size_t N>
MapReduce map_reduce(const Reduction<N>& reduction, MapReduceOptions options = {},
                     std::source_location where = std::source_location::current()) {
    return MapReduce(
        reduction.name(), N,
        [](std::span<const Value> parts, std::vector<Value>& out) {
            for (const Value& part : parts) out.push_back(part);
        },
        reduction.state(), std::nullopt, std::move(options), where);
}
template <class F, std::size_t N, class G>
    requires(!std::is_convertible_v<G, MapReduceOptions>)
MapReduce map_reduce(std::string name, F function, const Reduction<N>& reduction, G finish,
                     MapReduceOptions options = {},
                     std::source_location where = std::source_location::current()) {
    UfuncOptions of_parts;
    of_parts.fastmath = options.fastmath;
    using Results = decltype(finish(detail::make_state<N, G>(std::span<const Value>())));
    Ufunc results(name, N, detail::result_count<std::remove_cvref_t<Results>>(),
                  detail::erase_finish<N>(std::move(finish)), std::move(of_parts), where);
    return detail::make_map_reduce(std::move(name), std::move(function), reduction,
                                   std::move(results), std::move(options), where);
}

// Reductions of arrays, over all axes by default, on threads where that pays. Vectors and spans
// convert to Array without a copy. Meaning and errors are those of MapReduce.

Array sum(const Array& x, const ReduceOptions& options = {},
          std::source_location where = std::source_location::current());
Array prod(const Array& x, const ReduceOptions& options = {},
           std::source_location where = std::source_location::current());
/// The smallest, NaN if any is NaN.
Array amin(const Array& x, const ReduceOptions& options = {},
           std::source_location where = std::source_location::current());
/// The largest, NaN if any is NaN.
Array amax(const Array& x, const ReduceOptions& options = {},
           std::source_location where = std::source_location::current());
/// Whether any element is not 0.
Array any(const Array& x, const ReduceOptions& options = {},
          std::source_location where = std::source_location::current());
/// Whether all elements are not 0.
Array all(const Array& x, const ReduceOptions& options = {},
          std::source_location where = std::source_location::current());
/// The inner product of two vectors of one size (shape error if they differ; nothing is
/// conjugated); with `.axis`, the sum of the products along those axes of arrays that broadcast.
/// Errors: unsupported (arrays of rank 2 or more without `.axis`).
Array dot(const Array& x, const Array& y, const ReduceOptions& options = {},
          std::source_location where = std::source_location::current());

}  // namespace kiln
