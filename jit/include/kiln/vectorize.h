// Universal functions: element-wise kernels from C++ lambdas, compiled for the dtypes they meet.
//
//     double gain = 2;
//     auto scale = vectorize("scale", [=](Value x) { return gain * x; });
//     Array y = scale(x);
//
// The lambda runs when a combination of dtypes is first met, once for it, and records the kernel.
// What it captures by value ([=]) is a constant of that code from then on. What it captures by
// reference ([&]) is read whenever it runs: it must be alive then, and what it is then, and not
// later, is what that code has. Kernels that outlive a scope capture by value; what changes from
// call to call is an argument. The same holds for map_reduce, jit and stencil.
#pragma once
#include <kiln/arguments.h>
#include <kiln/backend_target.h>
#include <kiln/bind.h>
#include <kiln/element_function.h>
#include <kiln/export.h>
#include <kiln/inspect.h>
#include <kiln/reduce_options.h>
#include <kiln/shared_state.h>
#include <kiln/traced_arg.h>
#include <kiln/variation.h>

#include <cstddef>
#include <initializer_list>
#include <optional>
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

/// The options of a ufunc call, for designated initialisers: f(x, y, {.out = z, .where = mask}).
struct CallOptions {
    /// Where the result goes; its shape is the inputs' broadcast shape, or one they broadcast to.
    /// Neither a read-only nor a broadcast array: usage error. May overlap inputs in any way.
    OutArg out = {};
    Outs outs = {};  ///< the same, for kernels with several results
    /// A bool array that broadcasts with the inputs. Elements of the output where it is false are
    /// not written; where there was no output they are zero.
    std::optional<Arg> where = {};
    /// How far the conversion to an output's dtype (and to `dtype`) may go.
    Casting casting = Casting::same_kind;
    /// The dtype to compute in: inputs and results are converted to it. With signatures: selects
    /// the first listed loop that gives it.
    std::optional<DType> dtype = {};
    /// The memory order of results that are allocated.
    Order order = Order::keep;
};

/// What a call of a ufunc would do, as Ufunc::resolve tells.
struct Resolution {
    /// What the kernel computes with: the dtypes that the arguments are given to it as, and those
    /// of its results.
    Signature loop;
    std::vector<DType> results;  ///< the dtypes of the arrays that the call gives
};

/// The neutral element of a kernel of two arguments: f(e, x) == x.
struct Identity {
    Scalar value;  ///< e
    template <detail::WeakValue T> Identity(T value) : value(Scalar::of(value, true)) {}
    Identity(const Scalar& value) : value(value) {}
};

/// The options of a ufunc, for designated initialisers: {.fastmath = true, .parallel = true}.
struct UfuncOptions {
    Fastmath fastmath = {};  ///< none by default
    /// Large calls are split over threads; results do not depend on it.
    bool parallel = false;
    /// Integer division by zero is an error that names the line and the index of the element.
    /// KILN_CHECKED=1 in the environment sets it for all kernels of the process.
    bool checked = false;
    /// Kernels flush subnormal numbers to zero where the calling thread does (FTZ and DAZ of
    /// MXCSR), on all threads of a call. Else they keep them, whatever the thread has set.
    bool keep_flush_to_zero = false;
    /// The loops there are. Empty: one is made for the argument types of each call. Else a call
    /// uses the first to which all of its inputs cast safely.
    std::vector<Signature> signatures = {};
    /// Where calls run whose arrays are on the host: the CPU, or `sim`. Calls with arrays of a device
    /// run there, all of them or none (usage error); scalars go with either.
    BackendTarget target = BackendTarget::cpu;
    /// What inspected texts and errors call the parameters, in order. Empty: x0, x1 ...
    std::vector<std::string> params = {};
    /// What reduce() gives of no elements, and begins with under a mask. Checked when a reduction
    /// first uses it for a dtype, on some values of that dtype: usage error.
    std::optional<Identity> identity = {};
    /// f(f(x, y), z) means the same as f(x, f(y, z)) in any order of the elements: reductions may
    /// group and reorder them (always in the same way), and take several axes. Else they combine
    /// one element after the other. Kernels of one operation that reductions.def has need not say.
    bool associative = false;
    std::string doc = {};  ///< what doc() tells
};

/// An element-wise function over arrays of any dtype. The first call with given argument dtypes
/// compiles its loop; later calls run it. A handle: copies share their kernels. Thread-safe.
///
/// Calls: inputs broadcast together, dtypes follow NumPy's promotion with weak C++ values. Errors
/// of a call carry its line: usage (number of arguments, outputs that cannot be written), shape
/// (broadcasting), type (casting, no loop for the arguments, a C++ integer that its operand's dtype
/// cannot represent); errors of the kernel itself carry the kernel's lines. What the lambda throws
/// passes through. On any error before elements are computed, outputs are untouched.
class Ufunc {
  public:
    using Where = std::source_location;  ///< the user's line

    Ufunc(std::string name, std::size_t arity, std::size_t results,
          detail::ElementFunction function, UfuncOptions options, Location where);

    const std::string& name() const;                      ///< as errors call it
    const std::string& doc() const;                       ///< the option .doc
    std::size_t arity() const;                            ///< inputs
    std::size_t nin() const { return arity(); }           ///< inputs
    std::size_t nout() const;                             ///< outputs
    std::size_t nargs() const { return nin() + nout(); }  ///< both
    /// The signatures it was made with; without any, the loops that calls have used so far.
    std::vector<Signature> types() const;
    /// What reduce() gives of no elements: that of .identity, or that of the operation which the
    /// kernel is; nothing where there is none.
    std::optional<Scalar> identity() const;
    /// The core dimensions: none, "(),()->()".
    std::string signature() const;

    /// A call gives the result, which is `out` where that was given. A kernel with several results
    /// is called with all(), which gives them in order.
    Array operator()(const CallOptions& options = {}, Where where = Where::current()) const {
        return call({}, options, where);
    }
    Array operator()(const Arg& a, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d,
                     const CallOptions& options = {}, Where where = Where::current()) const {
        return call({&a, &b, &c, &d}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const CallOptions& options = {}, Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const Arg& g, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f, &g}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const Arg& g, const Arg& h, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f, &g, &h}, options, where);
    }
#define KILN_ARGUMENTS(params, pointers)                                      \
    Array operator()(KILN_LIST params, const CallOptions& options = {},       \
                     Where where = Where::current()) const {                  \
        return call({KILN_LIST pointers}, options, where);                    \
    }                                                                         \
    std::vector<Array> all(KILN_LIST params, const CallOptions& options = {}, \
                           Where where = Where::current()) const {            \
        return call_all({KILN_LIST pointers}, options, where);                \
    }
#include <kiln/argument_lists.def>
#undef KILN_ARGUMENTS
    /// The results of a call whose arguments are in a list.
    std::vector<Array> all_of(const std::vector<Arg>& args, const CallOptions& options = {},
                              Where where = Where::current()) const;
    std::vector<Array> all(const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({}, options, where);
    }
    std::vector<Array> all(const Arg& a, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const Arg& f, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e, &f}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const Arg& f, const Arg& g, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e, &f, &g}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const Arg& f, const Arg& g, const Arg& h,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e, &f, &g, &h}, options, where);
    }

    /// The call inside of a kernel, whose part the callable's code becomes, with the fast-math flags of
    /// its own: of Values, and of arrays of the kernel element by element. C++ values are weak, as in
    /// calls. Errors: usage (the number of arguments; several results, of which all() gives the
    /// Values), type (no loop for the arguments), and those of tracing.
    template <class... A>
        requires(detail::TracedArguments<A...>)
    Value operator()(TracedArg a, const A&... more) const {
        return traced({TracedNumber(a), TracedNumber(more, a.where())...});
    }
    template <Element T, class... A>
        requires(detail::TracedArguments<A...>)
    Value operator()(T a, TracedArg b, const A&... more) const {
        return traced(
            {TracedNumber(a, b.where()), TracedNumber(b), TracedNumber(more, b.where())...});
    }
    template <class... A>
        requires(detail::TracedArguments<A...>)
    std::vector<Value> all(TracedArg a, const A&... more) const {
        return traced_all({TracedNumber(a), TracedNumber(more, a.where())...});
    }

    /// Which loop a call with these arguments would take, and the dtypes of its results; traces but
    /// neither compiles nor computes. Errors: as of the call.
    Resolution resolve(std::initializer_list<Arg> args, const CallOptions& options = {},
                       Where where = Where::current()) const;

    // The methods of kernels of two arguments and one result; usage errors for any other.

    /// NumPy's add.reduce: the elements combined along axis 0 (by default). A kernel of one
    /// operation that is a row of reductions.def (add, mul, minimum, maximum, bit_and, bit_or,
    /// bit_xor, logical_and, logical_or) reduces as MapReduce does, over a fixed tree. Any other
    /// begins with the first element (or `initial`) and goes f(result, x) from element to element,
    /// the result in the dtype of f(x, x) or in `dtype`; where it is not declared .associative, a
    /// remark says that it goes in order, and several axes are an error. Other errors are those of
    /// MapReduce. Unsupported: the cuda target.
    Array reduce(const Arg& x, const ReduceOptions& options = {},
                 Where where = Where::current()) const;

    /// The running results of this operation, NumPy's add.accumulate: element 0 along the axis is
    /// x[0], element i is f(result[i - 1], x[i]). Kernels of one operation of reductions.def are
    /// scans (kiln/scan.h tells in which order they combine, and other errors); any other is applied
    /// to one element after the other along the axis. Errors: bounds (no such axis).
    Array accumulate(const Arg& x, const AccumulateOptions& options = {},
                     Where where = Where::current()) const;

    /// NumPy's add.reduceat: element i along the axis is the reduction of x[indices[i]] up to but
    /// not including x[indices[i + 1]] (the end for the last), or x[indices[i]] itself where that
    /// range is empty or backwards. Each segment combines in order. Errors: bounds (no such axis; an
    /// index that is not in [0, extent)), type (indices that are no integers), shape (indices that
    /// are no row).
    Array reduceat(const Arg& x, const Arg& indices, const ReduceAtOptions& options = {},
                   Where where = Where::current()) const;

    /// f of every pair of an element of `a` and one of `b`: the result has the axes of `a`, then
    /// those of `b`. Errors: as of the call; shape (more than 8 axes).
    Array outer(const Arg& a, const Arg& b, const CallOptions& options = {},
                Where where = Where::current()) const;

    /// x[i] = f(x[i], value) for every index in turn, so that repeated ones accumulate, in order;
    /// NumPy's add.at. Values broadcast to the elements that the indices name. Negative indices
    /// count from the end. Errors: bounds (an index that is outside; nothing is changed), type
    /// (indices that are no integers; a result that does not cast to the array's dtype under
    /// same_kind), shape, usage (a read-only or broadcast array).
    void at(const OutArg& x, const Indices& indices, const Arg& values,
            Where where = Where::current()) const;
    /// The same of a kernel of one argument: x[i] = f(x[i]).
    void at(const OutArg& x, const Indices& indices, Where where = Where::current()) const;

    /// A typed handle: add.bind<void(std::span<const float>, std::span<const float>,
    /// std::span<float>)>(). Compiles. Errors: type (the number of parameters; an output that is
    /// const, or to whose dtype the result does not cast under same_kind; references beside spans).
    template <class Signature> Bound<Signature> bind(Where where = Where::current()) const {
        using Handle = Bound<Signature>;
        static constexpr auto params = Handle::params();
        return Handle(detail::make_bound(state_, params, Handle::returns, where));
    }

    /// A generated text for arguments of these types (rank 0: a strong scalar), compiling it where
    /// needed. Errors: as of a call; unsupported (the target has no such text), device.
    std::string inspect(Artifact artifact, std::initializer_list<ArgType> types,
                        Where where = Where::current()) const;
    /// The same of types that are found out at run time.
    std::string inspect(Artifact artifact, const std::vector<ArgType>& types,
                        Where where = Where::current()) const;
    /// Makes the code that calls with such arguments run, or takes it from the disk cache: contiguous
    /// arrays, together below 24 MB. Errors: as of inspect.
    void compile(std::initializer_list<ArgType> types, Where where = Where::current()) const;
    /// The same of types that are found out at run time.
    void compile(const std::vector<ArgType>& types, Where where = Where::current()) const;
    /// Writes an object file with a C function for arguments of these types (of rank 0: a value), and
    /// its header: see <kiln/export.h>. The function takes the number of elements, the inputs and the
    /// outputs, arrays of rank 1 without gaps; an output may be an input of the same dtype, and overlaps
    /// none otherwise. Errors: usage (the number of types; a name that C does not allow; a file that
    /// cannot be written), unsupported (elementary functions of SLEEF; targets but the CPU), type (an array
    /// of more than one dimension), and those of tracing.
    void export_object(std::initializer_list<ArgType> types, const std::string& object,
                       const ExportOptions& options = {}, Where where = Where::current()) const;
    /// The same of types that are found out at run time.
    void export_object(const std::vector<ArgType>& types, const std::string& object,
                       const ExportOptions& options = {}, Where where = Where::current()) const;
    /// The types of the calls that code was made for (of weak C++ values, what they become beside
    /// the others), the last ones last.
    std::vector<std::vector<ArgType>> specialisations() const;
    /// The same function as a kernel with other options, which compiles for itself. Errors: usage
    /// (.fuse).
    Ufunc varied(const Variation& variation) const;
    /// What was or was not done in the kernels compiled so far.
    std::vector<Remark> remarks() const;
    /// Counters of this ufunc. `hits` counts calls, but not those through bind handles.
    Stats stats() const;

  private:
    friend class detail::ReduceState;
    Array call(std::initializer_list<const Arg*> args, const CallOptions& options,
               const Where& where) const;
    std::vector<Array> call_all(std::span<const Arg* const> args, const CallOptions& options,
                                const Where& where) const;
    std::vector<Array> call_all(std::initializer_list<const Arg*> args, const CallOptions& options,
                                const Where& where) const;
    Value traced(std::initializer_list<TracedNumber> args) const;
    std::vector<Value> traced_all(std::initializer_list<TracedNumber> args) const;
    std::vector<Value> traced_all(const std::vector<detail::KernelItem>& args, Where where) const;
    std::vector<DType> result_types(const std::vector<DType>& inputs, Where where) const;

    detail::SharedState<detail::UfuncState> state_;
};

/// A ufunc from a callable of 0 to 31 Values (generic or not) that returns a Value, or several as a
/// pair, tuple or array: 32 arguments and results at most. The callable is copied, and run once for each combination of dtypes that
/// the ufunc meets, by one thread at a time. (Where kernels whose callables call each other's are met
/// by threads at once, one thread may enter a callable in which another one waits.) `name` is what
/// errors call it. Errors: usage (a signature with another number of inputs).
template <class F>
Ufunc vectorize(std::string name, F function, UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    constexpr std::size_t arity = detail::value_arity<F>();
    static_assert(arity <= detail::max_arity,
                  "kiln: vectorize needs a callable that takes a fixed number, 0 to 31, of Values, "
                  "and compiles for them (functions of Values are kiln's: kiln::sin(x), not "
                  "std::sin(x))");
    constexpr std::size_t results =
        detail::results_of<F>(std::make_index_sequence<arity <= detail::max_arity ? arity : 0>());
    static_assert(arity > detail::max_arity || arity + results <= detail::max_arguments,
                  "kiln: a kernel has at most 32 arguments and results");
    return Ufunc(std::move(name), arity, results, detail::erase<arity>(std::move(function)),
                 std::move(options), where);
}
template <class F>
    requires(!std::is_convertible_v<F, std::string_view>)
Ufunc vectorize(F function, UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    return vectorize("ufunc", std::move(function), std::move(options), where);
}
/// With the loops there are: vectorize("add", f, {f32(f32, f32), f64(f64, f64)}).
// An array and no initializer_list, which g++ would make of {.signatures = {...}} too.
template <class F, std::size_t N>
Ufunc vectorize(std::string name, F function, const Signature (&signatures)[N],
                UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    options.signatures.assign(signatures, signatures + N);
    return vectorize(std::move(name), std::move(function), std::move(options), where);
}
template <class F, std::size_t N>
    requires(!std::is_convertible_v<F, std::string_view>)
Ufunc vectorize(F function, const Signature (&signatures)[N], UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    return vectorize("ufunc", std::move(function), signatures, std::move(options), where);
}

}  // namespace kiln
