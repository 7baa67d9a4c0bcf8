// Generalised universal functions: kernels of small arrays, for whole stacks of them.
//
//     auto matmul = guvectorize("(m,n),(n,p)->(m,p)", [](In a, In b, Out c) {
//         for (Index i : range(a.extent(0)))
//             for (Index j : range(b.extent(1))) {
//                 Var sum(a.dtype(), 0);
//                 for (Index k : range(a.extent(1))) sum += a(i, k) * b(k, j);
//                 c(i, j) = sum;
//             }
//     }, {.parallel = true});
//     Array c = matmul(a, b);  // (1000, 4, 3) and (3, 5): (1000, 4, 5)
//
// The signature names the core dimensions of each operand, which are its last ones; the lambda
// computes one core. The dimensions before them broadcast as in a ufunc, and the lambda's code runs
// for each of their elements, on several threads if .parallel. Where it is a literal, the compiler
// reads it and checks it against the lambda's parameters.
//
// The lambda runs when a combination of types is first met, as in jit.
#pragma once
#include <kiln/core_signature.h>
#include <kiln/export.h>
#include <kiln/variation.h>
#include <kiln/vectorize.h>

namespace kiln {

/// The options of a call of a generalised ufunc, for designated initialisers. There is no `where`:
/// as in NumPy, a core is computed as a whole.
struct GufuncCallOptions {
    /// Where the result goes: its loop dimensions are those of the inputs, or ones they broadcast
    /// to. May overlap inputs in any way.
    OutArg out = {};
    Outs outs = {};  ///< the same, for kernels with several results
    /// Where the core dimensions of each operand are, inputs first: {{0, 1}, {-2, -1}, {0, 1}}.
    /// Those of the outputs may be left out where outputs have no core dimensions.
    std::vector<Axes> axes = {};
    /// For signatures with a single core dimension: where it is in all operands.
    std::optional<int> axis = {};
    /// For outputs without core dimensions: the inputs' stay, with extent 1.
    bool keepdims = false;
    /// How far the conversion to an output's dtype (and to `dtype`) may go.
    Casting casting = Casting::same_kind;
    /// The dtype to compute in: inputs and results are converted to it. With signatures: selects
    /// the first listed loop whose first result it is.
    std::optional<DType> dtype = {};
    /// The memory order of results that are allocated. keep: loop dimensions in the memory order of the
    /// inputs', where these agree on one, around cores in C order.
    Order order = Order::keep;
};

/// The options of a generalised ufunc, for designated initialisers.
struct GufuncOptions {
    Fastmath fastmath = {};  ///< none by default
    /// Cores are computed on several threads; results do not depend on it.
    bool parallel = false;
    /// As of JitOptions; and an element of an output that a call leaves unwritten is an error that
    /// names its index.
    bool checked = false;
    /// As of UfuncOptions.
    bool keep_flush_to_zero = false;
    /// As of JitOptions.
    bool fuse = true;
    /// The loops there are: f64(f64, f64) gives f64 of two f64, whatever their dimensions. Empty:
    /// one is made for the argument types of each call. Else a call uses the first to which all of
    /// its inputs cast safely.
    std::vector<Signature> signatures = {};
    /// Without signatures: the dtypes of the results. Empty: what the inputs promote to.
    std::vector<DType> results = {};
    BackendTarget target = BackendTarget::cpu;  ///< of others, arrays of the host are copied there
    /// What errors and remarks call the parameters, in order. Empty: p0, p1 ...
    std::vector<std::string> params = {};
    std::string doc = {};  ///< what doc() tells
};

/// What a call of a generalised ufunc would do, as Gufunc::resolve tells.
struct CoreResolution {
    Signature loop;              ///< the dtypes it computes with
    Shape loop_shape;            ///< how many cores there are
    std::vector<Shape> results;  ///< the shapes of the arrays that the call gives
    struct Size {                ///< of a dimension of the cores
        std::string name;        ///< of a core dimension, as the signature has it
        std::int64_t size;       ///< of the core
        bool is_missing;         ///< an optional dimension that the operands don't have
        bool is_constant;        ///< of the code that the call runs
        bool operator==(const Size&) const = default;
    };
    std::vector<Size> sizes;  ///< of all names
};

namespace detail {
class GufuncState;
}  // namespace detail

/// The text of a signature, checked against the parameters of callable F: by the compiler where it
/// is a literal, else where the generalised ufunc is made.
template <class F> class GufuncSignature {
  public:
    template <std::size_t N> consteval GufuncSignature(const char (&text)[N]) : text_(text, N - 1) {
        const auto& kinds = detail::KernelTraits<F>::kinds;
        detail::CoreSignature(text_).check(kinds.data(), kinds.size());
    }
    GufuncSignature(const std::string& text) : text_(text) {}
    GufuncSignature(std::string_view text) : text_(text) {}
    std::string_view text() const { return text_; }  ///< as it was given

  private:
    std::string_view text_;
};

/// A function of stacks of cores. The first call with given dtypes and layouts compiles its code,
/// and each combination of core sizes up to 8, of at most 16, has code with these as constants.
/// A handle: copies share their kernels. Thread-safe.
///
/// Calls: loop dimensions broadcast. Errors of a call carry its line: usage (number of arguments,
/// outputs that cannot be written, axes, axis or keepdims that the signature does not allow, an
/// output dimension whose size nothing tells), shape (too few dimensions, core sizes that differ,
/// broadcasting), bounds (axes), type (casting, no loop for the arguments); errors of the kernel
/// itself carry the kernel's lines. On any error before cores are computed, outputs are untouched.
class Gufunc {
  public:
    using Where = std::source_location;  ///< the user's line
    Gufunc(std::string name, std::string_view signature,
           std::span<const detail::KernelParam> params, detail::KernelFunction function,
           GufuncOptions options, Location where);

    const std::string& name() const;                      ///< as errors call it
    const std::string& doc() const;                       ///< the option .doc
    std::size_t nin() const;                              ///< inputs
    std::size_t nout() const;                             ///< outputs
    std::size_t nargs() const { return nin() + nout(); }  ///< both
    /// The signature as it was given.
    std::string signature() const;
    /// The dtypes of the loops it was made with.
    std::vector<Signature> types() const;

#define KILN_GUFUNC_CALLS(Result, name, make)                                                    \
    Result name(const Arg& a, const GufuncCallOptions& options = {},                             \
                Where where = Where::current()) const {                                          \
        return make({&a}, options, where);                                                       \
    }                                                                                            \
    Result name(const Arg& a, const Arg& b, const GufuncCallOptions& options = {},               \
                Where where = Where::current()) const {                                          \
        return make({&a, &b}, options, where);                                                   \
    }                                                                                            \
    Result name(const Arg& a, const Arg& b, const Arg& c, const GufuncCallOptions& options = {}, \
                Where where = Where::current()) const {                                          \
        return make({&a, &b, &c}, options, where);                                               \
    }                                                                                            \
    Result name(const Arg& a, const Arg& b, const Arg& c, const Arg& d,                          \
                const GufuncCallOptions& options = {}, Where where = Where::current()) const {   \
        return make({&a, &b, &c, &d}, options, where);                                           \
    }                                                                                            \
    Result name(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,            \
                const GufuncCallOptions& options = {}, Where where = Where::current()) const {   \
        return make({&a, &b, &c, &d, &e}, options, where);                                       \
    }                                                                                            \
    Result name(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,            \
                const Arg& f, const GufuncCallOptions& options = {},                             \
                Where where = Where::current()) const {                                          \
        return make({&a, &b, &c, &d, &e, &f}, options, where);                                   \
    }                                                                                            \
    Result name(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,            \
                const Arg& f, const Arg& g, const GufuncCallOptions& options = {},               \
                Where where = Where::current()) const {                                          \
        return make({&a, &b, &c, &d, &e, &f, &g}, options, where);                               \
    }                                                                                            \
    Result name(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,            \
                const Arg& f, const Arg& g, const Arg& h, const GufuncCallOptions& options = {}, \
                Where where = Where::current()) const {                                          \
        return make({&a, &b, &c, &d, &e, &f, &g, &h}, options, where);                           \
    }
    /// The results of a call whose arguments are in a list.
    std::vector<Array> all_of(const std::vector<Arg>& args, const GufuncCallOptions& options = {},
                              Where where = Where::current()) const;

    /// A call gives the result, which is `out` where that was given. A kernel with several results
    /// is called with all(), which gives them in order.
    KILN_GUFUNC_CALLS(Array, operator(), call)
    KILN_GUFUNC_CALLS(std::vector<Array>, all, call_all)
#undef KILN_GUFUNC_CALLS
#define KILN_ARGUMENTS(params, pointers)                                            \
    Array operator()(KILN_LIST params, const GufuncCallOptions& options = {},       \
                     Where where = Where::current()) const {                        \
        return call({KILN_LIST pointers}, options, where);                          \
    }                                                                               \
    std::vector<Array> all(KILN_LIST params, const GufuncCallOptions& options = {}, \
                           Where where = Where::current()) const {                  \
        return call_all({KILN_LIST pointers}, options, where);                      \
    }
#include <kiln/argument_lists.def>
#undef KILN_ARGUMENTS

    /// The call inside of another kernel, whose part the cores' loop becomes: of arrays and slices of
    /// that kernel, and Values for inputs "()". The result is a new array there. Loop dimensions align
    /// at the last one; of one place they have equal extents. Core dimensions are the last ones, and
    /// none is missing. Slices, other array values and those of another dtype than a listed loop takes
    /// are stored in an array first. Errors: usage (outside of a kernel; the number of arguments;
    /// several results, of which all() gives the arrays), shape (too few dimensions; when the kernel
    /// runs, extents that differ), type (no loop for the arguments), and those of tracing.
    template <class... A>
        requires(detail::TracedArguments<A...>)
    InOut operator()(TracedArg a, const A&... more) const {
        return traced({TracedNumber(a), TracedNumber(more, a.where())...});
    }
    template <class... A>
        requires(detail::TracedArguments<A...>)
    std::vector<InOut> all(TracedArg a, const A&... more) const {
        return traced_all({TracedNumber(a), TracedNumber(more, a.where())...});
    }

    /// What a call with these arguments would do; neither compiles nor computes. Errors: as of the
    /// call.
    CoreResolution resolve(std::initializer_list<Arg> args, const GufuncCallOptions& options = {},
                           Where where = Where::current()) const;

    /// Writes an object file with a C function for inputs of these types, and its header: see
    /// JitKernel::export_object; f64[3] is a stack of matrices, as of inspect. Outputs come last, as
    /// arrays that the caller makes. Inputs are of the core's dimensions alone, or all of as many more;
    /// sizes that differ where they should not are KILN_SHAPE. Errors: those of
    /// JitKernel::export_object; shape (ranks), unsupported (checked mode, computed core sizes).
    void export_object(std::initializer_list<ArgType> types, const std::string& object,
                       const ExportOptions& options = {}, Where where = Where::current()) const;
    /// The same of types that are found out at run time.
    void export_object(const std::vector<ArgType>& types, const std::string& object,
                       const ExportOptions& options = {}, Where where = Where::current()) const;
    /// A text of the kernel for inputs of these types, whose ranks are those of whole arrays: a
    /// stack of matrices is f64[3]. Contiguous, apart from each other, no size a constant. Errors:
    /// usage (the number of types), shape (too few dimensions), and those of tracing.
    std::string inspect(Artifact artifact, std::initializer_list<ArgType> types,
                        Where where = Where::current()) const;
    /// The same of types that are found out at run time.
    std::string inspect(Artifact artifact, const std::vector<ArgType>& types,
                        Where where = Where::current()) const;
    /// The same of the code that a call with these arguments runs.
    std::string inspect_call(Artifact artifact, std::initializer_list<Arg> args,
                             const GufuncCallOptions& options = {},
                             Where where = Where::current()) const;
    /// The types of inputs that code was made for, with all dimensions that it loops over as one where
    /// these follow each other without gaps.
    std::vector<std::vector<ArgType>> specialisations() const;
    /// The same function as a kernel with other options, which compiles for itself.
    Gufunc varied(const Variation& variation) const;
    std::vector<Remark> remarks() const;
    Stats stats() const;

  private:
    Array call(std::initializer_list<const Arg*> args, const GufuncCallOptions& options,
               const Where& where) const;
    std::vector<Array> call_all(std::initializer_list<const Arg*> args,
                                const GufuncCallOptions& options, const Where& where) const;

    InOut traced(std::initializer_list<TracedNumber> args) const;
    std::vector<InOut> traced_all(std::initializer_list<TracedNumber> args) const;

    explicit Gufunc(Shared<detail::GufuncState> state);

    detail::SharedState<detail::GufuncState> state_;
};

/// A generalised ufunc from a lambda with a parameter for each operand of the signature: In for
/// inputs, Value for those without core dimensions, "()", InOut for inputs that it also writes
/// (which are never broadcast), Out for outputs. It returns nothing. Extents are core sizes: a
/// dimension of one name is one value in all operands. A missing optional dimension has size 1
/// there. A prange in it is a loop in the order written unless there is only one core. Errors: usage
/// (the signature with a caret under the character, or against the parameters; .params, .results,
/// signatures with other numbers of operands), unsupported (.target).
template <class F>
    requires(!std::is_convertible_v<F, std::string_view>)
Gufunc guvectorize(std::string name, std::type_identity_t<GufuncSignature<F>> signature, F function,
                   GufuncOptions options = {},
                   std::source_location where = std::source_location::current()) {
    using Traits = detail::KernelTraits<F>;
    static_assert(std::is_void_v<typename Traits::Result>,
                  "kiln: the lambda of guvectorize stores its results, in Out parameters");
    return Gufunc(std::move(name), signature.text(), Traits::kinds,
                  Traits::erase(std::move(function)), std::move(options), where);
}
template <class F>
    requires(!std::is_convertible_v<F, std::string_view>)
Gufunc guvectorize(std::type_identity_t<GufuncSignature<F>> signature, F function,
                   GufuncOptions options = {},
                   std::source_location where = std::source_location::current()) {
    return guvectorize<F>("gufunc", signature, std::move(function), std::move(options), where);
}
/// With the loops there are: guvectorize("(n)->()", f, {f64(f64), f32(f32)}).
template <class F, std::size_t N>
    requires(!std::is_convertible_v<F, std::string_view>)
Gufunc guvectorize(std::type_identity_t<GufuncSignature<F>> signature, F function,
                   const Signature (&signatures)[N], GufuncOptions options = {},
                   std::source_location where = std::source_location::current()) {
    options.signatures.assign(signatures, signatures + N);
    return guvectorize<F>("gufunc", signature, std::move(function), std::move(options), where);
}

}  // namespace kiln
