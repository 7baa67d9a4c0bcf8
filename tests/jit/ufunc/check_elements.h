// Whether a call gave what plain indexing gives.
#pragma once
#include "tests/catch.h"
#include "tests/oracle/ufunc_reference.h"

namespace kiln::test {

inline void check_elements(const Array& given, const ReferenceArray& wanted) {
    REQUIRE(given.shape() == wanted.shape);
    const ReferenceArray got(given);
    for (std::size_t i = 0; i < got.elements.size(); ++i) {
        if (got.elements[i] == wanted.elements[i]) continue;
        INFO("element " << i);
        REQUIRE(got.elements[i] == wanted.elements[i]);
    }
}

}  // namespace kiln::test
