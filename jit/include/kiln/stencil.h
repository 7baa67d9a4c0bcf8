// Stencils: kernels that compute each element of an array from the neighbours of that element.
//
//     auto mean = stencil([](Neighbors a) -> Value {
//         return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0));
//     }, {.parallel = true});
//     Array smooth = mean(x);
//
// The lambda runs several times when a combination of dtypes, ranks and layouts is first met: what
// it captures by value is a constant of that code, what it captures by reference is read then, and
// must be alive then.
#pragma once
#include <kiln/function.h>
#include <kiln/jit.h>
#include <kiln/variation.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kiln {

namespace detail {
class StencilState;

/// A C++ value (weak) or a Scalar.
struct FillValue : Scalar {
    FillValue(const Scalar& value) : Scalar(value) {}
    template <Element T> FillValue(T value) : Scalar(Scalar::of(value, WeakValue<T>)) {}
};
}  // namespace detail

/// What a stencil does where neighbours lie outside of the array. The pictures show what is read
/// beyond the ends of a row `a b c d`.
enum class Boundary : std::uint8_t {
    constant,  ///< nothing is computed there: such elements of the result are `cval`
    nearest,   ///< a a a | a b c d | d d d
    wrap,      ///< b c d | a b c d | a b c
    reflect,   ///< c b a | a b c d | d c b
    mirror,    ///< d c b | a b c d | c b a
};

/// The options of a stencil, for designated initialisers.
struct StencilOptions {
    Boundary boundary = Boundary::constant;  ///< at the edges
    /// A C++ value or a Scalar that converts to the result's dtype within its kind: .cval = 0.125.
    detail::FillValue cval = 0;
    /// The lowest and highest offset of each dimension. Empty: those that the kernel uses, which
    /// must then be constants; else offsets may be computed, and constant ones are checked (others
    /// in checked mode).
    std::vector<std::pair<std::int64_t, std::int64_t>> neighborhood = {};
    Fastmath fastmath = {};
    bool parallel = false;
    /// As of loop kernels; offsets outside of the declared neighborhood are errors too.
    bool checked = false;
    bool keep_flush_to_zero = false;  ///< as of UfuncOptions
    /// What errors call the parameters, in order. Empty: p0, p1 ...
    std::vector<std::string> params = {};
    BackendTarget target = BackendTarget::cpu;  ///< as of JitOptions
};

/// An array parameter of a stencil, indexed relative to the element that is computed.
class Neighbors {
  public:
    using Where = std::source_location;  ///< the user's line
    Neighbors(const Neighbors&) = default;
    Neighbors(Neighbors&&) = default;
    Neighbors& operator=(const volatile Neighbors&) && = delete;
    template <class T> Neighbors& operator=(T&&) {
        static_assert(detail::always_false<T>,
                      "kiln: the arrays of a stencil are only read, and cannot be swapped");
        return *this;
    }
#define KILN_STENCIL_OFFSETS(...) at({__VA_ARGS__}, i.where())
    Value operator()(Operand i) const { return KILN_STENCIL_OFFSETS(i); }
    Value operator()(Operand i, Operand j) const { return KILN_STENCIL_OFFSETS(i, j); }
    Value operator()(Operand i, Operand j, Operand k) const {
        return KILN_STENCIL_OFFSETS(i, j, k);
    }
    Value operator()(Operand i, Operand j, Operand k, Operand l) const {
        return KILN_STENCIL_OFFSETS(i, j, k, l);
    }
    Value operator()(Operand i, Operand j, Operand k, Operand l, Operand m) const {
        return KILN_STENCIL_OFFSETS(i, j, k, l, m);
    }
    Value operator()(Operand i, Operand j, Operand k, Operand l, Operand m, Operand n) const {
        return KILN_STENCIL_OFFSETS(i, j, k, l, m, n);
    }
    Value operator()(Operand i, Operand j, Operand k, Operand l, Operand m, Operand n,
                     Operand o) const {
        return KILN_STENCIL_OFFSETS(i, j, k, l, m, n, o);
    }
    Value operator()(Operand i, Operand j, Operand k, Operand l, Operand m, Operand n, Operand o,
                     Operand p) const {
        return KILN_STENCIL_OFFSETS(i, j, k, l, m, n, o, p);
    }
#undef KILN_STENCIL_OFFSETS
    DType dtype() const { return array_.dtype(); }  ///< of its elements
    int rank() const { return array_.rank(); }      ///< its dimensions
    /// The index of the element along a dimension, an i64.
    Value index(int dimension, Where where = Where::current()) const;

  private:
    friend class detail::StencilState;
    Neighbors(const In& array, const void* place) : array_(array), place_(place) {}
    Value at(std::initializer_list<Operand> offsets, Where where) const;

    In array_;
    const void* place_;  // of the element: detail::StencilPlace
};

namespace detail {
enum class StencilParam : std::uint8_t { neighbors, array, value };
using StencilItem = std::variant<Neighbors, In, Value>;
using StencilFunction = Function<Value(std::span<const StencilItem>)>;

template <class T> consteval StencilParam stencil_param() {
    using P = std::remove_cvref_t<T>;
    static_assert(std::is_same_v<P, Neighbors> || std::is_same_v<P, In> || std::is_same_v<P, Value>,
                  "kiln: the parameters of a stencil are Neighbors, In and Value");
    return std::is_same_v<P, Neighbors> ? StencilParam::neighbors
           : std::is_same_v<P, In>      ? StencilParam::array
                                        : StencilParam::value;
}
template <class F> struct StencilTraits {
    static_assert(always_false<F>,
                  "kiln: a stencil is a lambda whose parameters have types, not auto, and which "
                  "compiles (functions of Values are kiln's: kiln::sin(x), not std::sin(x))");
};
template <class R, class... P> struct StencilTraits<R(P...)> {
    static_assert(std::is_constructible_v<Value, const R&>, "kiln: a stencil returns a Value");
    static std::vector<StencilParam> params() { return {stencil_param<P>()...}; }
    template <class F> static StencilFunction erase(F f) {
        return [f = std::move(f)](std::span<const StencilItem> items) mutable {
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
                return result_value(f(std::get<std::remove_cvref_t<P>>(items[I])...));
            }(std::index_sequence_for<P...>());
        };
    }
};
template <class F>
    requires requires { &F::operator(); }
struct StencilTraits<F> : StencilTraits<decltype(&F::operator())> {};
template <class R, class C, class... P>
struct StencilTraits<R (C::*)(P...) const> : StencilTraits<R(P...)> {};
template <class R, class C, class... P>
struct StencilTraits<R (C::*)(P...)> : StencilTraits<R(P...)> {};
}  // namespace detail

/// A stencil. Calls give a new array of the shape of the first Neighbors argument; other Neighbors
/// arguments must be at least as large. Copies share their state, which is thread-safe.
class Stencil {
  public:
    using Where = std::source_location;  ///< the user's line
    Stencil(std::string name, std::vector<detail::StencilParam> params,
            detail::StencilFunction function, StencilOptions options, Where where);

    /// The result, of the dtype that the kernel returns. Errors: usage (the number of arguments, no
    /// Neighbors among the parameters or no relative access), shape (ranks, sizes), type (cval).
    Array operator()(JitArg a0 = {}, JitArg a1 = {}, JitArg a2 = {}, JitArg a3 = {}, JitArg a4 = {},
                     JitArg a5 = {}, JitArg a6 = {}, JitArg a7 = {}, JitArg a8 = {}, JitArg a9 = {},
                     JitArg a10 = {}, JitArg a11 = {}, JitArg a12 = {}, JitArg a13 = {},
                     JitArg a14 = {}, JitArg a15 = {}, JitArg a16 = {}, JitArg a17 = {},
                     JitArg a18 = {}, JitArg a19 = {}, JitArg a20 = {}, JitArg a21 = {},
                     JitArg a22 = {}, JitArg a23 = {}, JitArg a24 = {}, JitArg a25 = {},
                     JitArg a26 = {}, JitArg a27 = {}, JitArg a28 = {}, JitArg a29 = {},
                     JitArg a30 = {}, Where where = Where::current()) const {
        const JitArg* const all[] = {&a0,  &a1,  &a2,  &a3,  &a4,  &a5,  &a6,  &a7,
                                     &a8,  &a9,  &a10, &a11, &a12, &a13, &a14, &a15,
                                     &a16, &a17, &a18, &a19, &a20, &a21, &a22, &a23,
                                     &a24, &a25, &a26, &a27, &a28, &a29, &a30};
        return call(nullptr, all, where);
    }
    /// The same into an array of exactly the result's shape, which may overlap the arguments.
    void into(const Array& out, JitArg a0 = {}, JitArg a1 = {}, JitArg a2 = {}, JitArg a3 = {},
              JitArg a4 = {}, JitArg a5 = {}, JitArg a6 = {}, JitArg a7 = {}, JitArg a8 = {},
              JitArg a9 = {}, JitArg a10 = {}, JitArg a11 = {}, JitArg a12 = {}, JitArg a13 = {},
              JitArg a14 = {}, JitArg a15 = {}, JitArg a16 = {}, JitArg a17 = {}, JitArg a18 = {},
              JitArg a19 = {}, JitArg a20 = {}, JitArg a21 = {}, JitArg a22 = {}, JitArg a23 = {},
              JitArg a24 = {}, JitArg a25 = {}, JitArg a26 = {}, JitArg a27 = {}, JitArg a28 = {},
              JitArg a29 = {}, JitArg a30 = {}, Where where = Where::current()) const {
        const JitArg* const all[] = {&a0,  &a1,  &a2,  &a3,  &a4,  &a5,  &a6,  &a7,
                                     &a8,  &a9,  &a10, &a11, &a12, &a13, &a14, &a15,
                                     &a16, &a17, &a18, &a19, &a20, &a21, &a22, &a23,
                                     &a24, &a25, &a26, &a27, &a28, &a29, &a30};
        call(&out, all, where);
    }
    /// The call inside of another kernel, whose part the stencil's loops become: the result is a new
    /// array of that kernel. Array values are stored in an array first. Errors: those of tracing.
    template <class... A>
        requires(detail::TracedArguments<A...>)
    InOut operator()(TracedArg a, const A&... more) const {
        return traced({TracedNumber(a), TracedNumber(more, a.where())...});
    }
    /// Writes an object file with a C function, and its header: see JitKernel::export_object. The
    /// result comes last, an array of exactly the shape of the first Neighbors argument; else, and
    /// where other Neighbors arguments are smaller, the function returns KILN_SHAPE. Errors: those of
    /// JitKernel::export_object.
    void export_object(std::initializer_list<ArgType> types, const std::string& object,
                       const ExportOptions& options = {}, Where where = Where::current()) const;
    /// The same of types that are found out at run time.
    void export_object(const std::vector<ArgType>& types, const std::string& object,
                       const ExportOptions& options = {}, Where where = Where::current()) const;
    /// A text of the kernel for arguments of these types: see JitKernel::inspect.
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
    Stencil varied(const Variation& variation) const;
    const std::string& name() const;
    std::vector<Remark> remarks() const;
    Stats stats() const;

  private:
    Array call(const Array* out, std::span<const JitArg* const> args, Where where) const;
    InOut traced(std::initializer_list<TracedNumber> args) const;

    explicit Stencil(Shared<detail::StencilState> state);

    detail::SharedState<detail::StencilState> state_;
};

/// A stencil from a lambda over Neighbors (indexed relatively), In (indexed as in other kernels)
/// and Value parameters. The lambda is run several times when it is traced: for the interior, and
/// for the parts of the border, which have loops of their own.
template <class F>
Stencil stencil(std::string name, F function, StencilOptions options = {},
                std::source_location where = std::source_location::current()) {
    using Traits = detail::StencilTraits<F>;
    return {std::move(name), Traits::params(), Traits::erase(std::move(function)),
            std::move(options), where};
}
template <class F>
    requires(!std::is_convertible_v<F, std::string>)
Stencil stencil(F function, StencilOptions options = {},
                std::source_location where = std::source_location::current()) {
    return stencil("stencil", std::move(function), std::move(options), where);
}

}  // namespace kiln
