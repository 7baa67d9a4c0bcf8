// Functions that put arrays together and take them apart. Expected values are those of NumPy's functions
// of the same names.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"

#include <kiln/array_functions.h>

#include <complex>

using namespace kiln;
using kiln::test::check_values;

namespace {

Array counting(const Shape& shape, DType dtype = DType::f64) {
    std::int64_t n = 1;
    for (const std::int64_t extent : shape) n *= extent;
    return arange(n).astype(dtype).reshape(shape);
}

}  // namespace

TEST_CASE("concatenate: along an axis, along one of its own", "[jit][arrays]") {
    const Array a = counting({2, 3}), b = counting({1, 3}, DType::i32);
    const Array c = concatenate({a, b});
    CHECK(c.shape() == Shape({3, 3}));
    CHECK(c.dtype() == DType::f64);
    check_values(c, {0, 1, 2, 3, 4, 5, 0, 1, 2});
    check_values(concatenate({a, a.flip(1)}, {.axis = -1}), {0, 1, 2, 2, 1, 0, 3, 4, 5, 5, 4, 3});
    const Array stacked = concatenate({a, a + 10}, {.axis = 1, .new_axis = true});
    CHECK(stacked.shape() == Shape({2, 2, 3}));
    check_values(stacked, {0, 1, 2, 10, 11, 12, 3, 4, 5, 13, 14, 15});
    check_values(concatenate({zeros({0, 3}), a}), {0, 1, 2, 3, 4, 5});
    CHECK(concatenate({counting({2}, DType::u8), counting({2}, DType::i8)}).dtype() == DType::i16);
    KILN_CHECK_ERROR(concatenate({a, counting({2, 2})}), shape,
                     "array 2 of concatenate has shape (2,2), the first one (2,3)");
    KILN_CHECK_ERROR(concatenate({a, b}, {.new_axis = true}), shape,
                     "array 2 of concatenate has shape (1,3), the first one (2,3)");
    KILN_CHECK_ERROR(concatenate(std::span<const Array>()), usage, "concatenate of no arrays");
}

TEST_CASE("repeat: elements, slices", "[jit][arrays]") {
    const Array a = counting({2, 2});
    check_values(repeat(a, 2), {0, 0, 1, 1, 2, 2, 3, 3});
    CHECK(repeat(a, 2).shape() == Shape({8}));
    check_values(repeat(a, 2, 0), {0, 1, 0, 1, 2, 3, 2, 3});
    check_values(repeat(a.transpose(), 3, -1), {0, 0, 0, 2, 2, 2, 1, 1, 1, 3, 3, 3});
    CHECK(repeat(a, 0, 1).shape() == Shape({2, 0}));
    KILN_CHECK_ERROR(repeat(a, -1), usage, "repeat of -1 times");
}

TEST_CASE("take, put: by index", "[jit][arrays]") {
    const Array a = counting({3, 4});
    check_values(take(a, Array::of({11, 0, -1})), {11, 0, 11});
    const Array rows = take(a, Array::of({2, 0}), 0);
    CHECK(rows.shape() == Shape({2, 4}));
    check_values(rows, {8, 9, 10, 11, 0, 1, 2, 3});
    const Array columns = take(a, Array::of({{0, 3}, {-2, 1}}), 1);
    CHECK(columns.shape() == Shape({3, 2, 2}));
    check_values(columns, {0, 3, 2, 1, 4, 7, 6, 5, 8, 11, 10, 9});
    check_values(take(a.transpose(), Array::of({1}), 1), {4, 5, 6, 7});
    for (const DType t : {DType::bool_, DType::i16, DType::f32, DType::c64, DType::c128}) {
        const Array x = Array::of({0, 1, 1, 0}).astype(t), got = take(x, Array::of({1, 3, 2}));
        CHECK(got.dtype() == t);
        check_values(all(got == Array::of({1, 0, 1}).astype(t)), {1});
    }
    KILN_CHECK_ERROR(take(a, Array::of({3}), 0), bounds,
                     "index 3 of take is out of bounds for an axis of extent 3");
    KILN_CHECK_ERROR(take(a, Array::of({-13})), bounds,
                     "index -13 of take is out of bounds for an axis of extent 12");
    KILN_CHECK_ERROR(take(a, Array::of({1.0})), type,
                     "the indices of take are of dtype f64, not integers");

    put(a, Array::of({0, -1, 0}), Array::of({50, 60, 70}));
    check_values(a.index(0, 0), {70, 1, 2, 3});
    check_values(a.index(0, 2), {8, 9, 10, 60});
    put(a.transpose(), Array::of({1}), Array::of({-1}));  // element (0, 1) of the transposed one
    check_values(a.index(0, 1), {-1, 5, 6, 7});
    KILN_CHECK_ERROR(put(a.as_read_only(), Array::of({0}), Array::of({1})), usage,
                     "the array of put is read-only");
    const Array whole = counting({3}, DType::i32);
    KILN_CHECK_ERROR(put(whole, Array::of({0}), Array::of({1.5})), type,
                     "cannot cast the values of put from f64 to i32 under same_kind");
}

TEST_CASE("compress, argwhere: by mask", "[jit][arrays]") {
    const Array a = counting({2, 3});
    check_values(compress(a > 2.5, a), {3, 4, 5});
    check_values(compress(Array::of({true, false, true}), a, 1), {0, 2, 3, 5});
    check_values(compress(Array::of({false, true}), a.flip(1), 0), {5, 4, 3});
    CHECK(compress(a > 9.0, a).shape() == Shape({0}));
    const Array found = argwhere(Array::of({{0, 7, 0}, {1, 0, 2}}));
    CHECK(found.shape() == Shape({3, 2}));
    check_values(found, {0, 1, 1, 0, 1, 2});
    CHECK(argwhere(zeros({2, 2})).shape() == Shape({0, 2}));
    KILN_CHECK_ERROR(compress(Array::of({true}), a, 1), shape,
                     "the mask of compress has shape (1,), not (3,)");
    KILN_CHECK_ERROR(compress(a, a), type, "the mask of compress is of dtype f64, not bool");
}

TEST_CASE("swapaxes, eye", "[jit][arrays]") {
    const Array a = counting({2, 3, 4}), b = swapaxes(a, 0, -1);
    CHECK(b.shape() == Shape({4, 3, 2}));
    CHECK(b.data() == a.data());
    CHECK(test::at(b, 1) == 12);
    check_values(eye(2), {1, 0, 0, 1});
    check_values(eye(2, 3, 1), {0, 1, 0, 0, 0, 1});
    check_values(eye(3, 2, -1, DType::i32), {0, 0, 1, 0, 0, 1});
    check_values(eye(2, 2, 5), {0, 0, 0, 0});
    KILN_CHECK_ERROR(swapaxes(a, 0, 3), bounds,
                     "axis 3 of swapaxes is out of bounds for an array of rank 3");
}

TEST_CASE("matmul: matrices, vectors, stacks", "[jit][arrays]") {
    const Array a = counting({2, 3}), b = counting({3, 2}), v = Array::of({1.0, 2.0, 3.0});
    check_values(matmul(a, b), {10, 13, 28, 40});
    check_values(matmul(a, v), {8, 26});
    check_values(matmul(v, b), {16, 22});
    CHECK(matmul(v, v).rank() == 0);
    check_values(matmul(v, v), {14});
    const Array stack = concatenate({a, a + 1}, {.new_axis = true});
    const Array products = matmul(stack, b);
    CHECK(products.shape() == Shape({2, 2, 2}));
    check_values(products, {10, 13, 28, 40, 16, 22, 34, 49});
    CHECK(matmul(a.astype(DType::i32), b.astype(DType::f32)).dtype() == DType::f64);
    check_values(matmul(b.transpose(), a.transpose()), {10, 28, 13, 40});
    check_values(matmul(zeros({2, 0}), zeros({0, 2})), {0, 0, 0, 0});
    using Z = std::complex<double>;
    const Array z = Array::of({{Z(0, 1), Z(1, 0)}, {Z(0, 2), Z(0, 1)}});
    check_values(all(matmul(z, z) == Array::of({{Z(-1, 2), Z(0, 2)}, {Z(-4, 0), Z(-1, 2)}})), {1});
    KILN_CHECK_ERROR(matmul(a, Array::of(kiln::Scalar::of(2.0))), shape,
                     "argument 2 of matmul has 0 dimensions, its core (n,p?) has 1");
    CHECK(test::error_of([&] { matmul(a, a); }).kind() == ErrorKind::shape);
}

TEST_CASE("take, repeat: indices beyond i64, ranks and extents at their limits", "[jit][arrays]") {
    const Array x = counting({3});
    KILN_CHECK_ERROR(take(x, Array::of({~std::uint64_t(0)})), bounds,
                     "index 18446744073709551615 of take is out of bounds for an axis of extent 3");
    KILN_CHECK_ERROR(put(x, Array::of({~std::uint64_t(0)}), x), bounds,
                     "index 18446744073709551615 of put is out of bounds for an axis of extent 3");
    check_values(take(x, Array::of({std::uint64_t(2)})), {2});
    const Array eight = counting({1, 1, 1, 1, 1, 1, 2, 2});
    check_values(repeat(eight, 2, -1), {0, 0, 1, 1, 2, 2, 3, 3});
    check_values(repeat(eight, 2, 6), {0, 1, 0, 1, 2, 3, 2, 3});
    CHECK(repeat(eight, 2, 0).shape() == Shape({2, 1, 1, 1, 1, 1, 2, 2}));
    check_values(repeat(counting({2, 3}).transpose(), 2, 0), {0, 3, 0, 3, 1, 4, 1, 4, 2, 5, 2, 5});
    KILN_CHECK_ERROR(repeat(x, std::int64_t(1) << 62, 0), shape,
                     "repeat of 4611686018427387904 times of 3 elements");
    KILN_CHECK_ERROR(take(eight, zeros({1, 1}, DType::i64), 0), shape,
                     "take of 8 dimensions by indices of 2");
}
