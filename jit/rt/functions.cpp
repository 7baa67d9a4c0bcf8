// What compiled code calls by name, under the names that exported objects know (codegen::exported_name).
#include "codegen/math/careful_folds.h"

#include <kiln/float16.h>

#include <bit>

extern "C" {

#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    double kiln_rt_careful_##id(double x, double y) { return kiln::codegen::careful_##id(x, y); }
#include <kiln/ops.def>
#undef KILN_FUNCTION

/// The f16 in the lowest bits, as compilers' libraries return it.
float kiln_rt_truncate_to_half(float x) {
    return std::bit_cast<float>(std::uint32_t(kiln::float16(x).bits));
}
}
