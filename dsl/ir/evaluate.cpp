#include "dsl/ir/evaluate.h"

#include <kiln/environment.h>

#include <complex>
#include <limits>

#include "dsl/ir/scalar_ops.h"

namespace kiln::ir {
namespace {

/// The type in which elementary functions of T are evaluated before they are rounded to T.
template <class T> struct Wider {
    using type = double;
};
template <> struct Wider<double> {
    using type = long double;
};
template <class R> struct Wider<std::complex<R>> {
    using type = std::complex<typename Wider<R>::type>;
};

template <class To, class From> To widen(From value) {
    if constexpr (scalar::Complex<From>) {
        using R = typename To::value_type;
        return To(static_cast<R>(value.real()), static_cast<R>(value.imag()));
    } else if constexpr (scalar::StorageFloat<From>) {
        return static_cast<To>(static_cast<float>(value));
    } else {
        return static_cast<To>(value);
    }
}

/// Rounds once; through float for the 16-bit types, as generated code does.
template <class To, class From> To narrow(From value) {
    if constexpr (scalar::Complex<From>) {
        using R = typename To::value_type;
        return To(static_cast<R>(value.real()), static_cast<R>(value.imag()));
    } else if constexpr (scalar::StorageFloat<To>) {
        return To(static_cast<float>(value));
    } else {
        return static_cast<To>(value);
    }
}

// One functor per row of ops.def; of() is instantiated for the types that the row's rule accepts.
#define KILN_OPERATOR(id, arity, rule, cuda, doc)                                               \
    struct Row_##id {                                                                           \
        template <class... A> static auto of(A... operands) { return scalar::id(operands...); } \
    };
#define KILN_NAMED(id, arity, rule, cuda, doc) KILN_OPERATOR(id, arity, rule, cuda, doc)
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc)      \
    struct Fold_##id {                                                             \
        template <class T> static T of(T a, [[maybe_unused]] T b) { return fold; } \
    };                                                                             \
    struct Row_##id {                                                              \
        template <class T> static T of(T a, T b = T{}) {                           \
            if constexpr (scalar::Integer<T>) {                                    \
                return scalar::pow(a, b);                                          \
            } else {                                                               \
                using W = typename Wider<T>::type;                                 \
                const W x = widen<W>(a), y = widen<W>(b);                          \
                if constexpr (scalar::Complex<T> && Rule::rule == Rule::power)     \
                    return narrow<T>(scalar::pow(x, y));                           \
                else                                                               \
                    return narrow<T>(Fold_##id::of(x, y));                         \
            }                                                                      \
        }                                                                          \
    };
#include <kiln/ops.def>
#undef KILN_OPERATOR
#undef KILN_NAMED
#undef KILN_FUNCTION

template <class Row, int arity, Rule rule, class T>
std::optional<Scalar> evaluate_row(std::span<const Scalar> x) {
    if constexpr (!exact_result(rule, dtype_of<T>).has_value()) {
        return std::nullopt;
    } else if constexpr (rule == Rule::choice) {
        return Scalar::of(Row::of(x[0].get<bool>(), x[1].get<T>(), x[2].get<T>()));
    } else if constexpr (arity == 1) {
        return Scalar::of(Row::of(x[0].get<T>()));
    } else if constexpr (arity == 2) {
        return Scalar::of(Row::of(x[0].get<T>(), x[1].get<T>()));
    } else {
        return Scalar::of(Row::of(x[0].get<T>(), x[1].get<T>(), x[2].get<T>()));
    }
}

template <class T> std::optional<Scalar> evaluate_as(Op op, std::span<const Scalar> x) {
    switch (op) {
#define KILN_OPERATOR(id, arity, rule, cuda, doc) \
    case Op::id: return evaluate_row<Row_##id, arity, Rule::rule, T>(x);
#define KILN_NAMED(id, arity, rule, cuda, doc) KILN_OPERATOR(id, arity, rule, cuda, doc)
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    KILN_OPERATOR(id, arity, rule, cuda, doc)
#include <kiln/ops.def>
#undef KILN_OPERATOR
#undef KILN_NAMED
#undef KILN_FUNCTION
    }
    __builtin_unreachable();
}

/// Two integers of different dtypes, compared by mathematical value.
std::optional<Scalar> compare_mixed(Op op, const Scalar& a, const Scalar& b) {
    const auto wide = [](const Scalar& s) {
        return visit_dtype(s.dtype, [&](auto tag) -> __int128 {
            using T = typename decltype(tag)::type;
            if constexpr (scalar::Integer<T>)
                return s.get<T>();
            else
                return 0;
        });
    };
    const __int128 x = wide(a), y = wide(b);
    if (info(op).rule != Rule::comparison) return std::nullopt;
    const int order = x < y ? -1 : x > y ? 1 : 0;
    return Scalar::of(op == Op::eq   ? order == 0
                      : op == Op::ne ? order != 0
                      : op == Op::lt ? order < 0
                      : op == Op::le ? order <= 0
                      : op == Op::gt ? order > 0
                                     : order >= 0);
}

}  // namespace

std::optional<Scalar> evaluate(Op op, DType result, std::span<const Scalar> operands) {
    const OpInfo& row = info(op);
    if (operands.size() != row.arity) return std::nullopt;
    const std::size_t first = row.rule == Rule::choice ? 1 : 0;
    if (first == 1 && operands[0].dtype != DType::bool_) return std::nullopt;
    const DType operand = operands[first].dtype;
    for (const Scalar& other : operands.subspan(first))
        if (other.dtype != operand) {
            const bool integers = is_integer(operand) && is_integer(other.dtype);
            return integers && is_bool(result) ? compare_mixed(op, operands[0], operands[1])
                                               : std::nullopt;
        }
    if (exact_result(row.rule, operand) != result) return std::nullopt;
    const kiln::detail::DefaultEnvironment environment;
    const kiln::detail::DefaultX87 long_double;
    return visit_dtype(
        operand, [&](auto tag) { return evaluate_as<typename decltype(tag)::type>(op, operands); });
}

std::optional<Scalar> identity(Reduction reduction, DType dtype) {
    switch (info(reduction).identity) {
        case Identity::zero: return Scalar::of(std::int64_t(0)).cast(dtype);
        case Identity::one: return Scalar::of(std::int64_t(1)).cast(dtype);
        case Identity::all_ones: return Scalar::of(std::int64_t(-1)).cast(dtype);
        case Identity::none: return std::nullopt;
    }
    __builtin_unreachable();
}

Scalar combine(Reduction reduction, const Scalar& a, const Scalar& b) {
    const Op op = info(reduction).op;
    const Scalar operands[] = {a, b.cast(a.dtype)};
    if (const auto direct = evaluate(op, a.dtype, operands)) return *direct;
    // A logical reduction of numbers: in bool, and back.
    const Scalar truths[] = {a.cast(DType::bool_), b.cast(DType::bool_)};
    if (const auto logical = evaluate(op, DType::bool_, truths)) return logical->cast(a.dtype);
    throw Error(ErrorKind::internal, "reduction " + std::string(info(reduction).name) + " of " +
                                         std::string(name(a.dtype)));
}

Scalar neutral(Reduction reduction, DType dtype) {
    const Op op = info(reduction).op;
    if (op == Op::add && (is_real(dtype) || is_complex(dtype))) {
        // Converting -0.0 to a complex type would leave the imaginary part at +0.
        if (dtype == DType::c64) return Scalar::of(std::complex<float>(-0.0F, -0.0F));
        if (dtype == DType::c128) return Scalar::of(std::complex<double>(-0.0, -0.0));
        return Scalar::of(-0.0).cast(dtype);
    }
    if (const auto exact = identity(reduction, dtype)) return *exact;
    const bool least = op == Op::minimum;
    return visit_dtype(dtype, [&]<class T>(std::type_identity<T>) {
        using Limits = std::numeric_limits<T>;
        if constexpr (std::is_floating_point_v<T>) {
            return Scalar::of(least ? Limits::infinity() : -Limits::infinity());
        } else if constexpr (std::is_integral_v<T>) {
            return Scalar::of(least ? Limits::max() : Limits::lowest());
        } else if constexpr (scalar::Complex<T>) {
            using Part = std::numeric_limits<typename T::value_type>;
            const auto part = least ? Part::infinity() : -Part::infinity();
            return Scalar::of(T(part, part));
        } else {
            return Scalar::of(false);  // not reached: these dtypes are not accumulated in
        }
    });
}

}  // namespace kiln::ir
