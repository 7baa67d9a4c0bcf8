#include "codegen/math/careful.h"

#include "codegen/math/careful_folds.h"

namespace kiln::codegen {
namespace {

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
