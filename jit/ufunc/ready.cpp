// The ready ufuncs: ufuncs of one operation each, and the operators on Arrays.
#include "runtime/process.h"

#include <kiln/ufuncs.h>

#include <array>
#include <cmath>

namespace kiln {
namespace detail {
namespace {

/// What is stamped from a row of ops.def.
struct ReadyRow {
    const char* name;
    std::size_t arity, results;
    void (*function)(std::span<const Value>, std::vector<Value>&, std::source_location);
    const char* doc;
};

#define KILN_READY_NAMES_1 a
#define KILN_READY_NAMES_2 a, b
#define KILN_READY_NAMES_3 a, b, c
#define KILN_READY_OPERANDS_1 const Operand a(x[0], at)
#define KILN_READY_OPERANDS_2 KILN_READY_OPERANDS_1, b(x[1], at)
#define KILN_READY_OPERANDS_3 KILN_READY_OPERANDS_2, c(x[2], at)
#define KILN_READY_ROW(id, arity, results, expression, doc)                           \
    {#id, arity, results,                                                             \
     [](std::span<const Value> x, std::vector<Value>& out, std::source_location at) { \
         KILN_READY_OPERANDS_##arity;                                                 \
         append_results(expression, out);                                             \
     },                                                                               \
     doc},
constexpr ReadyRow ready_rows[] = {
#define KILN_NAMED(id, arity, rule, cuda, doc) \
    KILN_READY_ROW(id, arity, 1, kiln::id(KILN_READY_NAMES_##arity), doc)
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    KILN_READY_ROW(id, arity, 1, kiln::id(KILN_READY_NAMES_##arity), doc)
#define KILN_COMPOSITE(id, arity, results, doc) \
    KILN_READY_ROW(id, arity, results, kiln::id(KILN_READY_NAMES_##arity), doc)
#define KILN_UFUNC(id, arity, expression, doc) KILN_READY_ROW(id, arity, 1, (expression), doc)
#include <kiln/ops.def>
};
constexpr std::size_t ready_count = std::size(ready_rows);

void set_algebra(Ready which, UfuncOptions& options) {
#define KILN_UFUNC_IDENTITY(id, value) \
    if (which == Ready::id) options.identity = value, options.associative = true;
#define KILN_UFUNC_ASSOCIATIVE(id) \
    if (which == Ready::id) options.associative = true;
#include <kiln/ops.def>
}

constinit std::array<Lazy<Ufunc>, ready_count> ready_ufuncs{};

}  // namespace

const Ufunc& ready_ufunc(Ready which) {
    return ready_ufuncs[static_cast<std::size_t>(which)].get([which] {
        const ReadyRow& row = ready_rows[static_cast<std::size_t>(which)];
        UfuncOptions options{.parallel = true, .doc = row.doc};
        set_algebra(which, options);
        // Without a line, so that errors of the function get the caller's.
        const auto function = [&row](std::span<const Value> x, std::vector<Value>& out) {
            row.function(x, out, std::source_location());
        };
        return std::make_unique<Ufunc>(row.name, row.arity, row.results, function,
                                       std::move(options), Location());
    });
}

Value trace_ready(Ready which, std::initializer_list<Operand> operands) {
    std::vector<Value> values, results;
    for (const Operand& operand : operands) values.push_back(Value(operand));
    ready_rows[static_cast<std::size_t>(which)].function(values, results,
                                                         operands.begin()->where());
    return results[0];
}

}  // namespace detail

using detail::ArrayOperand;
using detail::Ready;
using detail::ready_ufunc;

#define KILN_ARRAY_OPERATOR(op, id)                               \
    Array operator op(ArrayOperand a, ArrayOperand b) {           \
        return ready_ufunc(Ready::id)(a.arg, b.arg, {}, a.where); \
    }
#define KILN_ARRAY_UPDATE(op, id)                               \
    const Array& operator op(const Array & a, ArrayOperand b) { \
        ready_ufunc(Ready::id)(a, b.arg, {.out = a}, b.where);  \
        return a;                                               \
    }
KILN_ARRAY_OPERATOR(+, add)
KILN_ARRAY_OPERATOR(-, subtract)
KILN_ARRAY_OPERATOR(*, multiply)
KILN_ARRAY_OPERATOR(/, div)
KILN_ARRAY_OPERATOR(%, rem)
KILN_ARRAY_OPERATOR(&, bitwise_and)
KILN_ARRAY_OPERATOR(|, bitwise_or)
KILN_ARRAY_OPERATOR(^, bitwise_xor)
KILN_ARRAY_OPERATOR(<<, left_shift)
KILN_ARRAY_OPERATOR(>>, right_shift)
KILN_ARRAY_OPERATOR(==, equal)
KILN_ARRAY_OPERATOR(!=, not_equal)
KILN_ARRAY_OPERATOR(<, less)
KILN_ARRAY_OPERATOR(<=, less_equal)
KILN_ARRAY_OPERATOR(>, greater)
KILN_ARRAY_OPERATOR(>=, greater_equal)
KILN_ARRAY_OPERATOR(&&, logical_and)
KILN_ARRAY_OPERATOR(||, logical_or)
KILN_ARRAY_UPDATE(+=, add)
KILN_ARRAY_UPDATE(-=, subtract)
KILN_ARRAY_UPDATE(*=, multiply)
KILN_ARRAY_UPDATE(/=, div)
KILN_ARRAY_UPDATE(%=, rem)
KILN_ARRAY_UPDATE(&=, bitwise_and)
KILN_ARRAY_UPDATE(|=, bitwise_or)
KILN_ARRAY_UPDATE(^=, bitwise_xor)
KILN_ARRAY_UPDATE(<<=, left_shift)
KILN_ARRAY_UPDATE(>>=, right_shift)
#undef KILN_ARRAY_OPERATOR
#undef KILN_ARRAY_UPDATE

Array operator+(ArrayOperand a) { return ready_ufunc(Ready::positive)(a.arg, {}, a.where); }
Array operator-(ArrayOperand a) { return ready_ufunc(Ready::negative)(a.arg, {}, a.where); }
Array operator~(ArrayOperand a) { return ready_ufunc(Ready::invert)(a.arg, {}, a.where); }
Array operator!(ArrayOperand a) { return ready_ufunc(Ready::logical_not)(a.arg, {}, a.where); }

}  // namespace kiln
