#include "codegen/math/careful.h"

#include "dsl/ir/scalar_ops.h"

#include <kiln/environment.h>

namespace kiln::codegen {
namespace {

namespace scalar = ir::scalar;

// The folds of ops.def in long double, whose 64 bits leave a result within 0.51 ULP of a double.
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    double careful_##id(double x, double y) {                                 \
        const detail::DefaultX87 environment;                                 \
        using T = long double;                                                \
        const T a = x;                                                        \
        [[maybe_unused]] const T b = y;                                       \
        return static_cast<double>(fold);                                     \
    }
#include <kiln/ops.def>
#undef KILN_FUNCTION

struct Row {
    std::string_view symbol;
    CarefulFunction function;
};
constexpr Row rows[] = {
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    {"kiln_careful_" #id, careful_##id},
#include <kiln/ops.def>
#undef KILN_FUNCTION
};

}  // namespace

CarefulFunction careful_function(std::string_view symbol) {
    for (const Row& row : rows)
        if (row.symbol == symbol) return row.function;
    return nullptr;
}

}  // namespace kiln::codegen
