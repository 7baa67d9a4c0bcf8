// Helpers of the tests of jit.
#pragma once
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <optional>
#include <utility>

namespace kiln::test {

/// The Error that `f` throws; the test fails where it throws none.
template <class F> Error error_of(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const Error& error) {
        return error;
    }
    FAIL("no Error was thrown");
    return Error(ErrorKind::internal, "");
}

/// Element i (in C order) of an array, as double.
inline double at(const Array& a, std::int64_t i) {
    Shape index = a.shape();
    for (int d = a.rank(); d-- > 0;) {
        index[d] = i % a.extent(d);
        i /= a.extent(d);
    }
    return a.scalar_at(index).cast(DType::f64).get<double>();
}

inline std::vector<double> values(const Array& a) {
    std::vector<double> all;
    for (std::int64_t i = 0; i < a.size(); ++i) all.push_back(at(a, i));
    return all;
}

/// The elements are those of `expected`, in C order.
inline void check_values(const Array& a, const std::vector<double>& expected) {
    CHECK(values(a) == expected);
}

inline Ufunc add_ufunc(UfuncOptions options = {}) {
    return vectorize("add", [](Value a, Value b) { return a + b; }, std::move(options));
}

}  // namespace kiln::test
