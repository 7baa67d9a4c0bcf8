#include <kiln/array.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "tests/catch.h"
#include "tests/runtime/check_error.h"

using namespace kiln;

namespace {

/// Calls f for every index of a shape, in C order.
void for_each_index(const Shape& shape, const std::function<void(const Shape&)>& f) {
    Shape index = Shape::filled(shape.rank(), 0);
    if (element_count(shape) == 0) return;
    for (;;) {
        f(index);
        int d = shape.rank();
        while (d-- > 0) {
            if (++index[d] < shape[d]) break;
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

/// Every element of an i32 array equals expected(index).
void check_elements(const Array& array, const Shape& shape,
                    const std::function<std::int64_t(const Shape&)>& expected) {
    REQUIRE(array.shape() == shape);
    REQUIRE(array.size() == element_count(shape));
    std::size_t wrong = 0;
    for_each_index(shape, [&](const Shape& index) {
        if (array.scalar_at(index).get<std::int32_t>() != expected(index)) ++wrong;
    });
    CHECK(wrong == 0);
}

/// i32 values 0, 1, 2 ... in C order.
Array counting(const Shape& shape) {
    return arange(element_count(shape), DType::i32).reshape(shape);
}

}  // namespace

TEST_CASE("an Array is a handle: copies share the elements, copy() does not", "[runtime][array]") {
    const Array a = counting({2, 3});
    const Array b = a, c = a.copy();
    a.fill(7);
    CHECK(b.at<int>({1, 2}) == 7);
    CHECK(c.at<int>({1, 2}) == 5);
    CHECK(exactly_same(a, b));
    CHECK_FALSE(exactly_same(a, c));
    CHECK(may_share_memory(a, b));
    CHECK_FALSE(may_share_memory(a, c));
}

TEST_CASE("a default Array is empty", "[runtime][array]") {
    const Array a;
    CHECK(a.shape() == Shape{0});
    CHECK(a.size() == 0);
    CHECK(a.dtype() == DType::f64);
    CHECK(a.is_contiguous());
}

TEST_CASE("properties of a fresh array", "[runtime][array]") {
    const Array a = zeros({2, 3, 4}, f32);
    CHECK(a.rank() == 3);
    CHECK(a.size() == 24);
    CHECK(a.nbytes() == 96);
    CHECK(a.strides() == Shape{48, 16, 4});
    CHECK(a.extent(1) == 3);
    CHECK(a.stride(1) == 16);
    CHECK(a.is_contiguous());
    CHECK_FALSE(a.is_fortran());
    CHECK_FALSE(a.read_only());
    CHECK(a.is_aligned());
    CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
    const Array f = zeros({2, 3, 4}, f32, Order::fortran);
    CHECK(f.strides() == Shape{4, 8, 24});
    CHECK(f.is_fortran());
    CHECK_FALSE(f.is_contiguous());
}

TEST_CASE("contiguity does not depend on axes of extent 1", "[runtime][array]") {
    float data[12] = {};
    CHECK(Array::over(data, {3, 1, 4}, {16, 999, 4}).is_contiguous());
    CHECK(Array::over(data, {1, 4}, {7, 4}).is_fortran());
    CHECK_FALSE(Array::over(data, {3, 2}, {16, 4}).is_contiguous());
    CHECK_FALSE(Array::over(data, {3}, {-4}).is_contiguous());
}

TEST_CASE("construction over spans, vectors and raw pointers without a copy", "[runtime][array]") {
    std::vector<float> values{1, 2, 3, 4, 5, 6};
    const Array from_span{std::span(values)};
    const Array from_vector = values;
    const Array from_pointer = Array::over(values.data(), {2, 3});
    const Array columns = Array::over(values.data(), {3, 2}, {4, 12});
    CHECK(from_span.data() == reinterpret_cast<std::byte*>(values.data()));
    CHECK(from_vector.shape() == Shape{6});
    CHECK_FALSE(from_vector.read_only());
    values[4] = 50;
    CHECK(from_span.at<float>({4}) == 50);
    CHECK(from_pointer.at<float>({1, 1}) == 50);
    CHECK(columns.at<float>({1, 1}) == 50);
    from_vector.at<float>({0}) = -1;
    CHECK(values[0] == -1);
    CHECK(from_span.owner() == nullptr);
}

TEST_CASE("arrays over const data are read-only", "[runtime][array]") {
    const std::vector<int> values{1, 2, 3};
    const Array a = values;
    const Array b{std::span<const int>(values)};
    CHECK(a.read_only());
    CHECK(b.read_only());
    CHECK(a.at<const int>({1}) == 2);
    CHECK(a.item_size() == 4);
    KILN_CHECK_ERROR(a.at<int>({1}), usage, "the array is read-only");
    KILN_CHECK_ERROR((a.view<int, 1>()), usage, "the array is read-only");
    KILN_CHECK_ERROR(a.fill(1), usage, "the array is read-only");
    KILN_CHECK_ERROR(a.assign(b), usage, "the array is read-only");
    KILN_CHECK_ERROR(a.slice(0, {1}).fill(1), usage, "the array is read-only");
    CHECK_FALSE(a.copy().read_only());
    CHECK(zeros({3}).as_read_only().read_only());
}

TEST_CASE("a vector that is moved in lives with the array and its views", "[runtime][array]") {
    std::vector<int> values{1, 2, 3};
    const int* const buffer = values.data();
    Array view;
    {
        const Array a = std::move(values);
        CHECK(a.data() == reinterpret_cast<const std::byte*>(buffer));
        view = a.slice(0, {1});
    }
    CHECK(view.at<int>({1}) == 3);
}

TEST_CASE("foreign memory is released by the last view", "[runtime][array]") {
    static int released = 0;
    released = 0;
    double data[4] = {1, 2, 3, 4};
    Array view;
    {
        const std::shared_ptr<void> owner(data, [](void*) { ++released; });
        const Array a = Array::from_memory(data, f64, {2, 2}, {16, 8}, owner);
        view = a.transpose();
    }
    CHECK(released == 0);
    CHECK(view.at<double>({1, 0}) == 2);
    view = Array();
    CHECK(released == 1);
}

TEST_CASE("bad memory descriptions", "[runtime][array]") {
    float x = 0;
    KILN_CHECK_ERROR(Array::over(&x, {1, 1}, {4}), shape,
                     "shape (1,1) and strides (4,) differ in rank");
    KILN_CHECK_ERROR(Array::over(static_cast<float*>(nullptr), {2}), usage,
                     "null data for an array of shape (2,)");
    CHECK(Array::over(static_cast<float*>(nullptr), {0}).size() == 0);
}

TEST_CASE("arrays of values", "[runtime][array]") {
    const Array a = Array::of({1.5F, 2.5F});
    CHECK(a.dtype() == DType::f32);
    CHECK(a.shape() == Shape{2});
    CHECK(a.at<float>({1}) == 2.5F);
    const Array m = Array::of({{1, 2, 3}, {4, 5, 6}});
    check_elements(m, {2, 3}, [](const Shape& i) { return 1 + 3 * i[0] + i[1]; });
    const Array b = Array::of({{true, false}});
    CHECK(b.dtype() == DType::bool_);
    CHECK(b.at<bool>({0, 0}));
    CHECK_FALSE(b.at<bool>({0, 1}));
    KILN_CHECK_ERROR(Array::of({{1, 2}, {3}}), shape, "rows of different lengths: 2 and 1");
    const Array s = Array::of(f32(2.5));
    CHECK(s.rank() == 0);
    CHECK(s.item<float>() == 2.5F);
    std::vector<int> values{1, 2, 3, 4};
    const Array c = Array::copy_of(std::span(values), {2, 2});
    values[3] = 0;
    CHECK(c.at<int>({1, 1}) == 4);
    KILN_CHECK_ERROR(Array::copy_of(std::span(values), {3, 2}), shape,
                     "4 values do not fill shape (3,2) of size 6");
}

TEST_CASE("typed views", "[runtime][array]") {
    const Array a = counting({3, 5});
    const View<int, 2> v = a.view<int, 2>();
    CHECK(v.extent(0) == 3);
    CHECK(v.stride(0) == 20);
    CHECK(v(2, 4) == 14);
    v(0, 0) = 100;
    CHECK(a.at<int>({0, 0}) == 100);
    const View<const int, 2> reader = v;
    CHECK(reader(0, 0) == 100);
    const auto t = a.transpose().flip(0).view<const int, 2>();
    CHECK(t(0, 2) == 14);
    KILN_CHECK_ERROR((a.view<float, 2>()), type, "the array holds i32, not f32");
    KILN_CHECK_ERROR((a.view<int, 1>()), shape, "the array has rank 2 (shape (3,5)), not rank 1");
    CHECK(a.span<int>().size() == 15);
    KILN_CHECK_ERROR(a.transpose().span<int>(), usage,
                     "the array is not contiguous: shape (5,3), strides (4,20)");
}

TEST_CASE("typed access needs aligned memory", "[runtime][array]") {
    alignas(8) std::byte bytes[20] = {};
    const Array a = Array::from_memory(bytes + 1, f32, {4}, {4});
    CHECK_FALSE(a.is_aligned());
    KILN_CHECK_ERROR((a.view<float, 1>()), usage, "the memory of the array is not aligned for f32");
    a.fill(2.5F);
    CHECK(a.scalar_at({3}).get<float>() == 2.5F);
    CHECK(a.copy().is_aligned());
    CHECK(a.contiguous().view<float, 1>()(3) == 2.5F);
    // A complex number needs the alignment of its parts only.
    CHECK(Array::from_memory(bytes + 4, c64, {1}, {8}).is_aligned());
}

TEST_CASE("Indexing: at() reports index, shape and line; negative indices do not wrap",
          "[runtime][array]") {
    const Array a = counting({3, 5});
    CHECK(a.at<int>({2, 3}) == 13);
    KILN_CHECK_ERROR(a.at<int>({3, 7}), bounds, "index (3,7) is out of bounds for shape (3,5)");
    KILN_CHECK_ERROR(a.at<int>({0, -1}), bounds, "index (0,-1) is out of bounds for shape (3,5)");
    KILN_CHECK_ERROR(a.at<int>({1}), shape, "the array has rank 2 (shape (3,5)), not rank 1");
    KILN_CHECK_ERROR(a.at<float>({1, 1}), type, "the array holds i32, not f32");
    KILN_CHECK_ERROR(a.scalar_at({3, 0}), bounds, "index (3,0) is out of bounds for shape (3,5)");
    KILN_CHECK_ERROR(a.scalar_at({3}), shape, "index (3,) has another rank than shape (3,5)");
    const auto v = a.view<int, 2>();
    CHECK(v.at(2, 4) == 14);
    KILN_CHECK_ERROR(v.at(0, 5), bounds, "index (0,5) is out of bounds for shape (3,5)");
    KILN_CHECK_ERROR(v.at(-1, 0), bounds, "index (-1,0) is out of bounds for shape (3,5)");
    KILN_CHECK_ERROR((zeros({0}).at<double>({0})), bounds,
                     "index (0,) is out of bounds for shape (0,)");
}

TEST_CASE("item", "[runtime][array]") {
    CHECK(full({1, 1}, 2.5F).item<float>() == 2.5F);
    CHECK(full({}, 3).item().get<int>() == 3);
    KILN_CHECK_ERROR(full({}, 3).item<float>(), type, "the array holds i32, not f32");
    KILN_CHECK_ERROR(zeros({2}).item(), shape,
                     "item() needs an array of size 1, not of shape (2,)");
    KILN_CHECK_ERROR(zeros({0}).item<double>(), shape,
                     "item() needs an array of size 1, not of shape (0,)");
}

TEST_CASE("slices of any start, stop and step take NumPy's elements", "[runtime][array]") {
    using Bound = std::optional<std::int64_t>;
    for (const std::int64_t n : {0, 1, 2, 5}) {
        const Array a = counting({n});
        std::vector<Bound> bounds{{}, INT64_MIN, INT64_MAX};
        for (std::int64_t at = -n - 2; at <= n + 2; ++at) bounds.emplace_back(at);
        for (const std::int64_t step :
             {std::int64_t(1), std::int64_t(2), std::int64_t(3), std::int64_t(-1), std::int64_t(-2),
              std::int64_t(-4), std::int64_t(INT64_MAX), std::int64_t(INT64_MIN)}) {
            for (const Bound& start : bounds) {
                for (const Bound& stop : bounds) {
                    // Python's definition: walk from start by step while on this side of stop.
                    const auto place = [&](std::int64_t at) {
                        if (at < 0) at = at < -n ? -1 : at + n;
                        return at < 0 ? (step < 0 ? -1 : 0) : at >= n ? (step < 0 ? n - 1 : n) : at;
                    };
                    const std::int64_t from = start ? place(*start) : step < 0 ? n - 1 : 0;
                    const std::int64_t to = stop ? place(*stop) : step < 0 ? -1 : n;
                    std::vector<int> expected;
                    for (std::int64_t i = from; step > 0 ? i < to : i > to;) {
                        expected.push_back(static_cast<int>(i));
                        if (std::abs(step / 2) > n) break;  // would overflow or leave the axis
                        i += step;
                    }
                    const Array s = a.slice(0, {start, stop, step});
                    std::vector<int> got;
                    for (std::int64_t i = 0; i < s.size(); ++i) got.push_back(s.at<int>({i}));
                    if (got != expected) {
                        CAPTURE(n, start.value_or(99), stop.value_or(99), step);
                        CHECK(got == expected);
                    }
                }
            }
        }
    }
    KILN_CHECK_ERROR(counting({4}).slice(0, {0, 4, 0}), usage, "slice step cannot be zero");
    KILN_CHECK_ERROR(counting({4}).slice(1, {}), shape,
                     "axis 1 is out of range for an array of rank 1");
}

TEST_CASE("slices of one axis leave the others alone", "[runtime][array]") {
    const Array a = counting({4, 5, 6});
    const auto value = [](std::int64_t i, std::int64_t j, std::int64_t k) {
        return (i * 5 + j) * 6 + k;
    };
    check_elements(a.slice(1, {1, 4}), {4, 3, 6},
                   [&](const Shape& i) { return value(i[0], i[1] + 1, i[2]); });
    check_elements(a.slice(-1, {{}, {}, -2}), {4, 5, 3},
                   [&](const Shape& i) { return value(i[0], i[1], 5 - 2 * i[2]); });
    check_elements(a.slice(0, {{}, {}, -1}).slice(0, {1, 3}), {2, 5, 6},
                   [&](const Shape& i) { return value(2 - i[0], i[1], i[2]); });
    check_elements(a.flip(2), {4, 5, 6},
                   [&](const Shape& i) { return value(i[0], i[1], 5 - i[2]); });
    check_elements(a.flip(), {4, 5, 6},
                   [&](const Shape& i) { return value(3 - i[0], 4 - i[1], 5 - i[2]); });
    CHECK(may_share_memory(a, a.flip()));
}

TEST_CASE("index drops an axis", "[runtime][array]") {
    const Array a = counting({4, 5, 6});
    check_elements(a.index(1, 2), {4, 6}, [](const Shape& i) { return (i[0] * 5 + 2) * 6 + i[1]; });
    check_elements(a.index(0, -1), {5, 6}, [](const Shape& i) { return (15 + i[0]) * 6 + i[1]; });
    CHECK(counting({3}).index(0, 1).rank() == 0);
    KILN_CHECK_ERROR(a.index(1, 5), bounds, "index 5 is out of bounds for axis 1 of shape (4,5,6)");
    KILN_CHECK_ERROR(a.index(1, -6), bounds,
                     "index -6 is out of bounds for axis 1 of shape (4,5,6)");
}

TEST_CASE("subscripts of several axes", "[runtime][array]") {
    const Array a = counting({4, 5, 6});
    const auto value = [](std::int64_t i, std::int64_t j, std::int64_t k) {
        return (i * 5 + j) * 6 + k;
    };
    check_elements(a(2), {5, 6}, [&](const Shape& i) { return value(2, i[0], i[1]); });
    check_elements(a({}, 3), {4, 6}, [&](const Shape& i) { return value(i[0], 3, i[1]); });
    check_elements(a(Slice{1, 3}, -1, Slice{{}, {}, -1}), {2, 6},
                   [&](const Shape& i) { return value(1 + i[0], 4, 5 - i[1]); });
    check_elements(a(Slice{.stop = -1}, {}, 0), {3, 5},
                   [&](const Shape& i) { return value(i[0], i[1], 0); });
    CHECK(a(1, 2, 3).item<int>() == value(1, 2, 3));
    KILN_CHECK_ERROR(a(1, 2, 3, 0), shape, "too many subscripts for an array of shape (4,5,6)");
    KILN_CHECK_ERROR(a(1, 9), bounds, "index 9 is out of bounds for axis 0 of shape (5,6)");
    KILN_CHECK_ERROR(a(Slice{.step = 0}), usage, "slice step cannot be zero");
}

TEST_CASE("transpose", "[runtime][array]") {
    const Array a = counting({2, 3, 4});
    check_elements(a.transpose(), {4, 3, 2},
                   [](const Shape& i) { return (i[2] * 3 + i[1]) * 4 + i[0]; });
    check_elements(a.transpose({1, 2, 0}), {3, 4, 2},
                   [](const Shape& i) { return (i[2] * 3 + i[0]) * 4 + i[1]; });
    check_elements(a.transpose({-1, 0, 1}), {4, 2, 3},
                   [](const Shape& i) { return (i[1] * 3 + i[2]) * 4 + i[0]; });
    CHECK(a.transpose().is_fortran());
    KILN_CHECK_ERROR(a.transpose({0, 1}), shape,
                     "(0,1) is not a permutation of the axes of shape (2,3,4)");
    KILN_CHECK_ERROR(a.transpose({0, 1, 1}), shape,
                     "(0,1,1) is not a permutation of the axes of shape (2,3,4)");
    KILN_CHECK_ERROR(a.transpose({0, 1, 3}), shape,
                     "(0,1,3) is not a permutation of the axes of shape (2,3,4)");
}

TEST_CASE("reshape keeps C order, as a view where strides allow", "[runtime][array]") {
    const Array a = counting({4, 6});
    for (const Shape& shape : {Shape{24}, Shape{2, 2, 6}, Shape{4, 2, 3}, Shape{8, 3},
                               Shape{1, 24, 1}, Shape{2, -1, 3}, Shape{-1}}) {
        const Array r = a.reshape(shape);
        CHECK(may_share_memory(a, r));
        std::int64_t count = 0;
        for_each_index(r.shape(), [&](const Shape& i) { CHECK(r.at<int>(i) == count++); });
        CHECK(count == 24);
    }
    CHECK(a.reshape({2, -1, 3}).shape() == Shape{2, 4, 3});
    // Views with gaps: rows stay apart, so they may be split but not joined.
    const Array s = a.slice(1, {0, 4});
    const Array split = s.reshape({2, 2, 2, 2});
    CHECK(may_share_memory(a, split));
    check_elements(split, {2, 2, 2, 2},
                   [](const Shape& i) { return (2 * i[0] + i[1]) * 6 + 2 * i[2] + i[3]; });
    const Array joined = s.reshape({16});
    CHECK_FALSE(may_share_memory(a, joined));
    check_elements(joined, {16}, [](const Shape& i) { return i[0] / 4 * 6 + i[0] % 4; });
    // Negative strides join too where they are even.
    const Array backwards = a.flip();
    CHECK(may_share_memory(a, backwards.reshape({24})));
    check_elements(backwards.reshape({3, 8}), {3, 8},
                   [](const Shape& i) { return 23 - i[0] * 8 - i[1]; });
    const Array t = a.transpose();
    CHECK_FALSE(may_share_memory(a, t.reshape({24})));
    check_elements(t.reshape({24}), {24}, [](const Shape& i) { return i[0] % 4 * 6 + i[0] / 4; });
    CHECK(may_share_memory(a, t.reshape({2, 3, 4})));
}

TEST_CASE("reshape errors name both sizes", "[runtime][array]") {
    const Array a = counting({4, 6});
    KILN_CHECK_ERROR(a.reshape({5, 5}), shape,
                     "cannot reshape (4,6) of size 24 to (5,5) of size 25");
    KILN_CHECK_ERROR(a.reshape({5, -1}), shape, "cannot reshape (4,6) of size 24 to (5,-1)");
    KILN_CHECK_ERROR(a.reshape({-1, -1}), shape, "only one extent may be -1 in (-1,-1)");
    KILN_CHECK_ERROR(a.reshape({0, -1}), shape, "cannot reshape (4,6) of size 24 to (0,-1)");
    KILN_CHECK_ERROR(a.reshape({-2, 12}), shape, "negative extent in shape (-2,12)");
    CHECK(zeros({0, 4}).reshape({4, -1}).shape() == Shape{4, 0});
    CHECK(zeros({0, 4}).reshape({0}).shape() == Shape{0});
    CHECK(counting({1}).reshape({}).rank() == 0);
    CHECK(full({}, 1).reshape({1, 1}).shape() == Shape{1, 1});
}

TEST_CASE("broadcast_to", "[runtime][array]") {
    const Array a = counting({3, 1});
    const Array b = a.broadcast_to({2, 3, 4});
    check_elements(b, {2, 3, 4}, [](const Shape& i) { return i[1]; });
    CHECK(b.strides() == Shape{0, 4, 0});
    CHECK(b.read_only());
    CHECK(may_share_memory(a, b));
    CHECK(full({}, 1).broadcast_to({0, 3}).size() == 0);
    CHECK(zeros({1}).broadcast_to({0}).shape() == Shape{0});
    KILN_CHECK_ERROR(a.broadcast_to({2, 4}), shape, "cannot broadcast (3,1) with (2,4)");
    KILN_CHECK_ERROR(a.broadcast_to({3}), shape, "cannot broadcast (3,1) with (3,)");
    KILN_CHECK_ERROR(a.broadcast_to({3, -1}), shape, "negative extent in shape (3,-1)");
}

TEST_CASE("squeeze and expand_dims", "[runtime][array]") {
    const Array a = counting({1, 3, 1, 2});
    check_elements(a.squeeze(), {3, 2}, [](const Shape& i) { return i[0] * 2 + i[1]; });
    check_elements(a.squeeze(-2), {1, 3, 2}, [](const Shape& i) { return i[1] * 2 + i[2]; });
    KILN_CHECK_ERROR(a.squeeze(1), shape,
                     "cannot squeeze axis 1 of shape (1,3,1,2): its extent is not 1");
    const Array b = counting({3, 2});
    check_elements(b.expand_dims(0), {1, 3, 2}, [](const Shape& i) { return i[1] * 2 + i[2]; });
    check_elements(b.expand_dims(1), {3, 1, 2}, [](const Shape& i) { return i[0] * 2 + i[2]; });
    check_elements(b.expand_dims(-1), {3, 2, 1}, [](const Shape& i) { return i[0] * 2 + i[1]; });
    CHECK(b.expand_dims(2).is_contiguous());
    CHECK(full({}, 1).expand_dims(0).shape() == Shape{1});
    KILN_CHECK_ERROR(b.expand_dims(3), shape,
                     "axis 3 is out of range for a new axis of an array of rank 2");
    KILN_CHECK_ERROR(zeros(Shape::filled(8, 1)).expand_dims(0), shape,
                     "an array of rank 8 takes no further axis");
}

TEST_CASE("Strides in bytes, may be negative or zero, any rank up to 8", "[runtime][array]") {
    const Array a = counting({2, 1, 2, 3, 1, 2, 2, 1});
    CHECK(a.rank() == 8);
    CHECK(a.strides()[0] == 96);
    const Array flipped = a.flip();
    CHECK(flipped.strides()[0] == -96);
    CHECK(flipped.copy().at<int>({0, 0, 0, 0, 0, 0, 0, 0}) == 47);
    const Array moved = a.transpose().copy();
    for_each_index(a.shape(), [&](const Shape& i) {
        Shape reversed = i;
        std::reverse(reversed.begin(), reversed.end());
        CHECK(moved.at<int>(reversed) == a.at<int>(i));
    });
    int value = 5;
    const Array zero = Array::over(&value, {3, 4}, {0, 0});
    check_elements(zero, {3, 4}, [](const Shape&) { return 5; });
    CHECK_THROWS_WITH((zeros({1, 1, 1, 1, 1, 1, 1, 1, 1})),
                      "error: rank 9 is over the limit of 8 axes");
}

TEST_CASE("zero-size arrays are ordinary", "[runtime][array]") {
    for (const Shape& shape : {Shape{0}, Shape{0, 3}, Shape{3, 0}, Shape{2, 0, 4}}) {
        const Array a = zeros(shape, f32);
        CHECK(a.size() == 0);
        CHECK(a.nbytes() == 0);
        CHECK(a.is_contiguous());
        CHECK(a.is_fortran());
        CHECK(a.copy().shape() == shape);
        CHECK(a.astype(i8).shape() == shape);
        CHECK(a.transpose().size() == 0);
        CHECK(a.flip().shape() == shape);
        a.fill(1);
        a.assign(full({}, 2.0F));
        CHECK(a.reshape({-1}).shape() == Shape{0});
        CHECK_FALSE(may_share_memory(a, a));
        CHECK(to_string(a) == "[]");
    }
    CHECK(zeros({3, 0}).slice(0, {1, 2}).shape() == Shape{1, 0});
    CHECK(zeros({3, 0}).index(0, 2).shape() == Shape{0});
    CHECK(counting({5}).slice(0, {4, 1}).shape() == Shape{0});
}

TEST_CASE("rank-0 arrays are ordinary", "[runtime][array]") {
    const Array a = full({}, 2.5);
    CHECK(a.size() == 1);
    CHECK(a.rank() == 0);
    CHECK(a.is_contiguous());
    CHECK(a.is_fortran());
    CHECK(a.copy().item<double>() == 2.5);
    CHECK(a.transpose().item<double>() == 2.5);
    CHECK(a.astype(i32).item<int>() == 2);
    CHECK(a.at<double>({}) == 2.5);
    CHECK(a.view<double, 0>()() == 2.5);
    a.fill(1.0);
    CHECK(a.item<double>() == 1.0);
}

TEST_CASE("More than 2^31 elements work", "[runtime][array]") {
    const std::int64_t n = (std::int64_t(1) << 31) + 100;
    // Pages that nobody touches cost nothing.
    const Array a = zeros({n}, u8);
    a.at<std::uint8_t>({n - 1}) = 7;
    a.at<std::uint8_t>({n / 2}) = 8;
    const Array back = a.flip();
    CHECK(back.at<std::uint8_t>({0}) == 7);
    CHECK(a.slice(0, {n - 2, {}, 1}).copy().at<std::uint8_t>({1}) == 7);
    CHECK(a.slice(0, {{}, {}, n / 2}).at<std::uint8_t>({1}) == 8);
    CHECK(a.reshape({4, -1}).extent(1) == n / 4);
    const Array wide = full({}, std::uint8_t(3)).broadcast_to({n, 1000});
    CHECK(wide.size() == n * 1000);
    CHECK(wide.scalar_at({n - 1, 999}).get<std::uint8_t>() == 3);
}

TEST_CASE("sizes over 2^63 - 1 are errors", "[runtime][array]") {
    const std::int64_t huge = std::int64_t(1) << 62;
    KILN_CHECK_ERROR(zeros({huge, 2}), shape,
                     "shape (4611686018427387904,2) has more than 2^63 - 1 elements");
    KILN_CHECK_ERROR(zeros({huge}), shape,
                     "shape (4611686018427387904,) with elements of 8 bytes takes more than "
                     "2^63 - 1 bytes");
    KILN_CHECK_ERROR(empty({-1}), shape, "negative extent in shape (-1,)");
    KILN_CHECK_ERROR(full({}, 1.0).broadcast_to({huge}), shape,
                     "shape (4611686018427387904,) with elements of 8 bytes takes more than "
                     "2^63 - 1 bytes");
}

TEST_CASE("strides that reach beyond all addresses are errors", "[runtime][array]") {
    constexpr std::int64_t huge = std::int64_t(1) << 62;
    double memory[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const auto over = [&](const Shape& shape, const Shape& strides) {
        return Array::over(memory, shape, strides);
    };
    const auto refused = [&](const Shape& shape, const Shape& strides) {
        try {
            over(shape, strides);
        } catch (const Error& e) {
            CHECK(e.kind() == ErrorKind::shape);
            CHECK(e.message() == "the elements of shape " + to_string(shape) + " with strides " +
                                     to_string(strides) + " lie beyond all addresses");
            return true;
        }
        return false;
    };
    KILN_CHECK_ERROR(
        Array::over(memory, {5}, {huge}), shape,
        "the elements of shape (5,) with strides (4611686018427387904,) lie beyond all "
        "addresses");
    CHECK(refused({5}, {INT64_MIN}));
    CHECK(refused({2}, {INT64_MAX}));
    CHECK(refused({2, 2}, {huge, huge}));
    CHECK(refused({3, 2}, {huge / 2 + 8, -8}));
    CHECK(refused({2}, {-huge / 2}));  // below address 0
    CHECK(refused({std::int64_t(1) << 40}, {std::int64_t(1) << 40}));
    // Where there is one element, or none, strides lead nowhere.
    const Array one = over({1, 2}, {INT64_MIN, 8});
    CHECK(one.flip().slice(0, {.step = INT64_MIN}).copy().at<double>({0, 1}) == 0);
    CHECK(one.expand_dims(0).expand_dims(1).reshape({2}).at<double>({1}) == 1);
    CHECK(one.transpose().copy().shape() == Shape{2, 1});
    const Array none = over({0, 5}, {8, huge});
    CHECK(none.slice(1, {.step = 3}).flip().expand_dims(1).copy().shape() == Shape{0, 1, 2});
    // As far as strides may reach, views of them stay in their places.
    const Array far = over({2, 3}, {std::int64_t(1) << 60, 8});
    CHECK(far.flip(1).index(0, 0).copy().at<double>({0}) == 2);
    CHECK(far.index(0, 0).at<double>({2}) == 2);
    CHECK(far.slice(0, {.step = -1}).index(0, 1).at<double>({1}) == 1);
    CHECK(far.slice(0, {.step = INT64_MAX}).at<double>({0, 1}) == 1);
    CHECK(far.expand_dims(0).stride(0) == std::int64_t(1) << 61);
    CHECK(may_share_memory(far, one));
    CHECK_FALSE(has_internal_overlap(far));
}

TEST_CASE("strides and steps at random", "[runtime][array][random]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    __extension__ using Wide = __int128;
    double memory[1] = {5};
    for (int round = 0; round < 500; ++round) {
        Shape shape, strides;
        const int rank = static_cast<int>(random() % 3) + 1;
        Wide below = 0, above = 0, bytes = sizeof(double);
        bool empty = false;
        for (int d = 0; d < rank; ++d) {
            const std::int64_t extents[] = {0, 1, 1, 2, 3, 5, std::int64_t(1) << 20};
            shape.push_back(extents[random() % 7]);
            strides.push_back(static_cast<std::int64_t>(random()) >> (random() % 64) & ~7);
            const Wide reach = Wide(strides[d]) * (std::max<std::int64_t>(shape[d], 1) - 1);
            (reach < 0 ? below : above) += reach;
            empty = empty || shape[d] == 0;
            bytes *= shape[d];
        }
        constexpr Wide most = Wide(1) << 61;
        const auto address = static_cast<Wide>(reinterpret_cast<std::uintptr_t>(memory));
        const bool fine =
            empty || (bytes <= INT64_MAX && -below <= most && above <= most && -below <= address);
        INFO("shape " << to_string(shape) << " strides " << to_string(strides));
        Array a;
        try {
            a = Array::over(memory, shape, strides);
        } catch (const Error&) {
            CHECK_FALSE(fine);
            continue;
        }
        CHECK(fine);
        const int axis = static_cast<int>(random() % static_cast<unsigned>(rank));
        const std::int64_t steps[] = {1, -1, 2, -3, INT64_MAX, INT64_MIN, 1000};
        const std::int64_t step = steps[random() % 7];
        const Array b = a.slice(axis, {.step = step});
        if (b.extent(axis) > 1 && !empty)
            CHECK(Wide(b.stride(axis)) == Wide(a.stride(axis)) * step);
        if (step > 0 && !empty) CHECK(b.data() == a.data());
        CHECK(a.flip().flip().data() == a.data());
        CHECK(a.transpose().transpose().strides() == a.strides());
        CHECK(a.expand_dims(axis).squeeze(axis).strides() == a.strides());
        has_internal_overlap(a);
        may_share_memory(a, b);
    }
}

TEST_CASE("byte extents and sharing", "[runtime][array]") {
    const Array a = counting({10});
    const auto [low, high] = byte_extent(a.slice(0, {2, 8, 2}).flip());
    CHECK(low == a.data() + 8);
    CHECK(high == a.data() + 28);
    CHECK_FALSE(may_share_memory(a.slice(0, {0, 5}), a.slice(0, {5, 10})));
    CHECK(may_share_memory(a.slice(0, {0, 6}), a.slice(0, {5, 10})));
    CHECK(may_share_memory(a.slice(0, {0, {}, 2}), a.slice(0, {1, {}, 2})));  // by extent only
    CHECK(exactly_same(a.flip().flip(), a));
    CHECK_FALSE(exactly_same(a, a.reshape({10, 1})));
}

TEST_CASE("has_internal_overlap", "[runtime][array]") {
    const Array a = counting({3, 4});
    CHECK_FALSE(has_internal_overlap(a));
    CHECK_FALSE(has_internal_overlap(a.transpose().flip()));
    CHECK(has_internal_overlap(a.broadcast_to({2, 3, 4})));
    CHECK_FALSE(has_internal_overlap(a.slice(0, {0, 1}).broadcast_to({1, 4})));
    int data[6] = {};
    CHECK(has_internal_overlap(Array::over(data, {3, 4}, {4, 4})));  // a sliding window
    CHECK_FALSE(has_internal_overlap(Array::over(data, {2, 3}, {4, 8})));
}
