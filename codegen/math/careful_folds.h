// careful_<op>(x, y): the elementary functions through long double, whose 64 bits leave a result within
// 0.51 ULP of a double.
#pragma once
#include "dsl/ir/scalar_ops.h"

#include <kiln/environment.h>

namespace kiln::codegen {

namespace scalar = ir::scalar;

#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    inline double careful_##id(double x, double y) {                          \
        const detail::DefaultX87 environment;                                 \
        using T = long double;                                                \
        const T a = x;                                                        \
        [[maybe_unused]] const T b = y;                                       \
        return static_cast<double>(fold);                                     \
    }
#include <kiln/ops.def>
#undef KILN_FUNCTION

}  // namespace kiln::codegen
