// Arrays whose elements lie in memory in any order.
#pragma once
#include "tests/dice.h"

#include <kiln/array.h>

#include <utility>

namespace kiln::test {

/// Zeros with permuted axes, steps and directions; contiguous in so many of 100.
inline Array random_strided(Dice& dice, const Shape& shape, DType dtype, unsigned contiguous) {
    if (dice.chance(contiguous)) return zeros(shape, dtype);
    const int rank = shape.rank();
    Shape order = shape, big = shape, inverse = shape;
    for (int d = 0; d < rank; ++d) order[d] = d;
    for (int d = 0; d + 1 < rank; ++d)
        std::swap(order[d],
                  order[d + static_cast<int>(dice.below(static_cast<std::size_t>(rank - d)))]);
    for (int d = 0; d < rank; ++d) {
        big[d] = 2 * shape[static_cast<int>(order[d])] + 1;
        inverse[static_cast<int>(order[d])] = d;
    }
    Array a = zeros(big, dtype).transpose(inverse);
    for (int d = 0; d < rank; ++d) {
        const int step = dice.between(1, 2), start = dice.between(0, 1);
        a = a.slice(d, {start, start + shape[d] * step - (step - 1), step});
        if (dice.chance(30)) a = a.flip(d);
    }
    return a;
}

}  // namespace kiln::test
