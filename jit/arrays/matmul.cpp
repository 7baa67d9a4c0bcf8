// Products of matrices: a generalised ufunc.
#include "runtime/process.h"

#include <kiln/array_functions.h>
#include <kiln/guvectorize.h>
#include <kiln/ufuncs.h>

namespace kiln {

Array matmul(detail::ArrayOperand a, detail::ArrayOperand b) {
    static constinit detail::Lazy<Gufunc> lazy;
    const Gufunc& product = lazy.get([] {
        return std::make_unique<Gufunc>(guvectorize(
            "matmul", "(m?,n),(n,p?)->(m?,p?)", [](In x, In y, Out z) { z = dot(x, y); },
            GufuncOptions{.parallel = true}, std::source_location()));
    });
    return product(a.arg, b.arg, {}, a.where);
}

}  // namespace kiln
