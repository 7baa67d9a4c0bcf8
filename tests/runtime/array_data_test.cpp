#include <kiln/array.h>

#include <cmath>
#include <complex>
#include <cstdio>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "tests/catch.h"
#include "tests/runtime/check_error.h"

using namespace kiln;

namespace {

template <class T> std::vector<T> values(const Array& array) {
    const Array flat = array.copy().reshape({-1});
    const auto view = flat.view<const T, 1>();
    std::vector<T> result;
    for (std::int64_t i = 0; i < flat.size(); ++i) result.push_back(view(i));
    return result;
}

}  // namespace

TEST_CASE("zeros, ones, full", "[runtime][array]") {
    for (std::size_t k = 0; k < dtype_count; ++k) {
        const auto dtype = static_cast<DType>(k);
        for (const Array& a : {zeros({3, 2}, dtype), ones({3, 2}, dtype)}) {
            CHECK(a.dtype() == dtype);
            CHECK(a.shape() == Shape{3, 2});
        }
        CHECK(values<double>(zeros({3}, dtype).astype(f64)) == std::vector<double>{0, 0, 0});
        CHECK(values<double>(ones({3}, dtype).astype(f64)) == std::vector<double>{1, 1, 1});
    }
    CHECK(zeros({2}).dtype() == DType::f64);
    const Array f = full({2, 2}, 1.5F);
    CHECK(f.dtype() == DType::f32);
    CHECK(values<float>(f) == std::vector<float>{1.5F, 1.5F, 1.5F, 1.5F});
    CHECK(full({1}, i8(300)).item<std::int8_t>() == 44);
}

TEST_CASE("arange", "[runtime][array]") {
    CHECK(values<std::int64_t>(arange(4)) == std::vector<std::int64_t>{0, 1, 2, 3});
    CHECK(values<std::int64_t>(arange(5, 0, -2)) == std::vector<std::int64_t>{5, 3, 1});
    CHECK(arange(3, 3).size() == 0);
    CHECK(arange(5, 3).size() == 0);
    CHECK(arange(0).shape() == Shape{0});
    // NumPy's values.
    CHECK(values<double>(arange(0, 1, 0.1)) ==
          std::vector<double>{0.0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.6000000000000001,
                              0.7000000000000001, 0.8, 0.9});
    CHECK(values<double>(arange(0.5, 3)) == std::vector<double>{0.5, 1.5, 2.5});
    CHECK(values<float>(arange(3, f32)) == std::vector<float>{0, 1, 2});
    CHECK(values<std::uint8_t>(arange(1, 10, 4, u8)) == std::vector<std::uint8_t>{1, 5, 9});
    CHECK(values<std::int64_t>(arange(INT64_MIN, INT64_MAX, INT64_MAX)) ==
          std::vector<std::int64_t>{INT64_MIN, -1, INT64_MAX - 1});
    KILN_CHECK_ERROR(arange(0, 1, 0), usage, "arange step cannot be zero");
    KILN_CHECK_ERROR(arange(0, 1, 0.0), usage, "arange step cannot be zero");
    KILN_CHECK_ERROR(arange(0, HUGE_VAL), usage, "arange needs finite values, not 0 to inf by 1");
    KILN_CHECK_ERROR(arange(std::nan("")), usage, "arange needs finite values, not 0 to nan by 1");
    KILN_CHECK_ERROR(arange(INT64_MIN, INT64_MAX), shape,
                     "arange from -9223372036854775808 to 9223372036854775807 by 1 has more than "
                     "2^63 - 1 elements");
    KILN_CHECK_ERROR(arange(0, 1e300), shape,
                     "arange from 0 to 1e+300 by 1 has more than 2^63 - 1 elements");
}

TEST_CASE("arange: beyond i64", "[runtime][array]") {
    constexpr std::uint64_t half = std::uint64_t(1) << 63, most = UINT64_MAX;
    using U = std::vector<std::uint64_t>;
    CHECK(values<std::uint64_t>(arange(INT64_MAX, half + 2, 1, u64)) ==
          U{half - 1, half, half + 1});
    CHECK(values<std::uint64_t>(arange(half, half + 3)) == U{half, half + 1, half + 2});
    CHECK(values<std::uint64_t>(arange(most, 0, -(INT64_MAX / 2 + 1))) ==
          U{most, most - half / 2, half - 1, half / 2 - 1});
    CHECK(arange(std::uint64_t(3)).dtype() == DType::i64);
    CHECK(values<std::int64_t>(arange(0, half, half / 2)) ==
          std::vector<std::int64_t>{0, INT64_MAX / 2 + 1});
    CHECK(values<double>(arange(-1, most, half / 2)) ==
          std::vector<double>{-1, 0x1p62, 0x1p63, 0x3p62});
    CHECK(values<std::int64_t>(arange(INT64_MAX, INT64_MIN, INT64_MIN)) ==
          std::vector<std::int64_t>{INT64_MAX, -1});
    CHECK(values<std::int64_t>(arange(3, 0, half)).empty());
    CHECK(values<float>(arange(half, half + 2, 1, f32)) == std::vector<float>{0x1p63F, 0x1p63F});
    KILN_CHECK_ERROR(arange(0, most), shape,
                     "arange from 0 to 18446744073709551615 by 1 has more than 2^63 - 1 elements");
    KILN_CHECK_ERROR(arange(0, INT64_MAX), shape,
                     "shape (9223372036854775807,) with elements of 8 bytes takes more than "
                     "2^63 - 1 bytes");
}

TEST_CASE("arange: real numbers at the ends of their range", "[runtime][array]") {
    CHECK(values<double>(arange(0, 1, HUGE_VAL)) == std::vector<double>{0});
    CHECK(values<double>(arange(0, -1, HUGE_VAL)).empty());
    CHECK(values<double>(arange(0, -1, -HUGE_VAL)) == std::vector<double>{0});
    CHECK(values<double>(arange(0, 5e-324, 1e300)) == std::vector<double>{0});
    CHECK(values<double>(arange(-0x1.8p1023, 0x1.8p1023, 0x1p1023)) ==
          std::vector<double>{-0x1.8p1023, -0x1p1022, 0x1p1022});
    CHECK(values<double>(arange(0x1.8p1023, -0x1.8p1023, -0x1p1023)) ==
          std::vector<double>{0x1.8p1023, 0x1p1022, -0x1p1022});
    KILN_CHECK_ERROR(arange(0, 1, std::nan("")), usage,
                     "arange needs finite values, not 0 to 1 by nan");
    KILN_CHECK_ERROR(arange(0, -HUGE_VAL), usage, "arange needs finite values, not 0 to -inf by 1");
    KILN_CHECK_ERROR(arange(-1e308, 1.7e308, 1e-10), shape,
                     "arange from -1e+308 to 1.7e+308 by 1e-10 has more than 2^63 - 1 elements");
}

namespace {

__extension__ using Wide = __int128;

/// f(value as a C++ integer of 64 bits).
template <class F> auto with_integer(Wide value, F f) {
    if (value > INT64_MAX) return f(static_cast<std::uint64_t>(value));
    return f(static_cast<std::int64_t>(value));
}

/// The elements of `a` are start, start + step ... in its dtype.
void check_progression(const Array& a, Wide start, Wide step) {
    visit_dtype(a.dtype(), [&]<class T>(std::type_identity<T>) {
        const std::vector<T> got = values<T>(a);
        for (std::size_t i = 0; i < got.size(); ++i) {
            const Wide exact = start + static_cast<Wide>(i) * step;
            if constexpr (std::is_same_v<T, bool>) {
                CHECK(got[i] == (exact != 0));
            } else if constexpr (std::is_integral_v<T>) {
                CHECK(got[i] == static_cast<T>(exact));  // modulo 2^bits
            } else if constexpr (std::is_floating_point_v<T>) {
                CHECK(got[i] == static_cast<T>(exact));
            }
        }
    });
}

}  // namespace

TEST_CASE("arange: random integers of 65 bits", "[runtime][array][random]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    constexpr Wide lowest = INT64_MIN, highest = UINT64_MAX;
    for (int round = 0; round < 400; ++round) {
        const auto near = [&](Wide end) {
            const Wide away = static_cast<Wide>(random() >> (random() % 64));
            return std::clamp<Wide>(end + (random() % 2 == 0 ? away : -away), lowest, highest);
        };
        const Wide ends[] = {lowest, highest, 0, INT64_MAX, Wide(INT64_MAX) + 1};
        const Wide start = near(ends[random() % 5]);
        Wide step = near(0) >> (random() % 60);
        if (step == 0 || step > INT64_MAX) step = 7;
        const Wide room = step > 0 ? (highest - start) / step : (lowest - start) / step;
        const auto n =
            static_cast<std::int64_t>(std::min<Wide>(room, static_cast<Wide>(random() % 40)));
        // Any stop up to one step after the last element.
        const Wide sign = step > 0 ? 1 : -1;
        const Wide less = n == 0 ? 0 : static_cast<Wide>(random()) % (sign * step);
        const Wide stop = start + n * step - sign * less;
        const Wide last = start + (n - 1) * step;
        const auto fits = [&](Wide low, Wide high) {
            return n == 0 || (std::min(start, last) >= low && std::max(start, last) <= high);
        };
        const DType natural = fits(INT64_MIN, INT64_MAX) ? DType::i64
                              : fits(0, UINT64_MAX)      ? DType::u64
                                                         : DType::f64;
        const auto dtype = static_cast<DType>(random() % dtype_count);
        const auto make = [&](std::optional<DType> asked) {
            return with_integer(start, [&](auto from) {
                return with_integer(stop, [&](auto to) {
                    return arange(from, to, static_cast<std::int64_t>(step), asked);
                });
            });
        };
        INFO("start " << static_cast<double>(start) << " step " << static_cast<double>(step)
                      << " n " << n << " dtype " << name(dtype));
        CHECK(make({}).dtype() == natural);
        CHECK(make({}).size() == n);
        check_progression(make({}), start, step);
        CHECK(make(dtype).size() == n);
        check_progression(make(dtype), start, step);
    }
}

TEST_CASE("linspace", "[runtime][array]") {
    // NumPy's values.
    CHECK(values<double>(linspace(0, 1, 7)) ==
          std::vector<double>{0.0, 0.16666666666666666, 0.3333333333333333, 0.5, 0.6666666666666666,
                              0.8333333333333333, 1.0});
    CHECK(values<double>(linspace(2, 3, 5, false)) == std::vector<double>{2.0, 2.2, 2.4, 2.6, 2.8});
    CHECK(values<double>(linspace(3, 5, 1)) == std::vector<double>{3});
    CHECK(linspace(3, 5, 0).size() == 0);
    CHECK(values<int>(linspace(0, 10, 3, true, i32)) == std::vector<int>{0, 5, 10});
    CHECK(values<double>(linspace(0, 0.7, 12)).back() == 0.7);
    KILN_CHECK_ERROR(linspace(0, 1, -1), usage,
                     "linspace of -1 values: the number cannot be negative");
    CHECK(values<double>(linspace(-1.7e308, 1.7e308, 3)) ==
          std::vector<double>{-1.7e308, 0, 1.7e308});
    CHECK(values<double>(linspace(0x1.8p1023, -0x1.8p1023, 4, false)) ==
          std::vector<double>{0x1.8p1023, 0x1.8p1022, 0, -0x1.8p1022});
    // Integers round down, as NumPy's, and saturate.
    CHECK(values<std::int64_t>(linspace(-3.5, 3.5, 4, true, i64)) ==
          std::vector<std::int64_t>{-4, -2, 1, 3});
    CHECK(values<int>(linspace(0, 10, 4, false, i32)) == std::vector<int>{0, 2, 5, 7});
    CHECK(values<int>(linspace(-1e30, 1e30, 3, true, i32)) ==
          std::vector<int>{INT32_MIN, 0, INT32_MAX});
    CHECK(values<bool>(linspace(0, 1, 3, true, bool_)) == std::vector<bool>{false, true, true});
    CHECK(values<double>(linspace(0, HUGE_VAL, 3)) == std::vector<double>{0, HUGE_VAL, HUGE_VAL});
    KILN_CHECK_ERROR(linspace(0, HUGE_VAL, 3, true, i32), usage,
                     "linspace of i32 needs finite ends, not 0 and inf");
    KILN_CHECK_ERROR(linspace(std::nan(""), 1, 3, true, u8), usage,
                     "linspace of u8 needs finite ends, not nan and 1");
    KILN_CHECK_ERROR(linspace(0, 1, INT64_MAX), shape,
                     "shape (9223372036854775807,) with elements of 8 bytes takes more than "
                     "2^63 - 1 bytes");
}

TEST_CASE("linspace: random ends, against long double", "[runtime][array][random]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const auto draw = [&] {
        const auto mantissa = static_cast<double>(static_cast<std::int64_t>(random())) * 0x1p-63;
        const int exponents[] = {0, 10, 60, 1024, -1000, static_cast<int>(random() % 2000) - 1000};
        return std::ldexp(mantissa, exponents[random() % 6]);
    };
    for (int round = 0; round < 300; ++round) {
        const double start = draw(), stop = draw();
        const auto n = static_cast<std::int64_t>(random() % 30 + 1);
        const bool endpoint = random() % 2 == 0;
        const std::vector<double> got = values<double>(linspace(start, stop, n, endpoint));
        const long double intervals = static_cast<long double>(endpoint ? n - 1 : n);
        INFO("start " << start << " stop " << stop << " n " << n << " endpoint " << endpoint);
        CHECK(got.front() == start);
        if (endpoint && n > 1) CHECK(got.back() == stop);
        const double largest = std::max(std::abs(start), std::abs(stop));
        const long double ulp = std::max(static_cast<long double>(largest) * 0x1p-52L, 0x1p-1074L);
        for (std::int64_t i = 1; i < n; ++i) {
            const long double share = static_cast<long double>(i) / intervals;
            const long double exact = start * (1 - share) + stop * share;
            CHECK(std::abs(got[static_cast<std::size_t>(i)] - exact) <= 4 * ulp);
        }
        const std::vector<std::int64_t> whole =
            values<std::int64_t>(linspace(start, stop, n, endpoint, i64));
        for (std::size_t i = 0; i < got.size(); ++i)
            CHECK(whole[i] == convert<std::int64_t>(std::floor(got[i])));
    }
}

TEST_CASE("copy lays elements out as asked", "[runtime][array]") {
    const Array a = arange(24).reshape({2, 3, 4});
    const Array t = a.transpose({1, 2, 0});
    CHECK(t.copy().strides() == Shape{64, 16, 8});
    CHECK(t.copy(Order::fortran).strides() == Shape{8, 24, 96});
    CHECK(t.copy(Order::keep).strides() == t.strides());
    CHECK(a.transpose().copy(Order::any).is_fortran());
    CHECK(t.copy(Order::any).is_contiguous());
    for (const Order order : {Order::c, Order::fortran, Order::keep, Order::any}) {
        CHECK(values<std::int64_t>(t.copy(order)) == values<std::int64_t>(t));
        CHECK(values<std::int64_t>(a.flip().copy(order)) == values<std::int64_t>(a.flip()));
    }
}

TEST_CASE("order K keeps the axis order of the source, past axes of extent 1", "[runtime][array]") {
    const Array f = zeros({3, 1, 4}, f64, Order::fortran);
    CHECK(empty_like(f).strides()[0] == 8);
    CHECK(empty_like(f).strides()[2] == 24);
    CHECK(empty_like(f, f32).dtype() == DType::f32);
    CHECK(empty_like(f, {}, Order::c).strides() == Shape{32, 32, 8});
    const Array flipped = zeros({3, 4}).flip();
    CHECK(empty_like(flipped).strides() == Shape{32, 8});
    const Array middle = zeros({2, 3, 4}).transpose({2, 0, 1});
    CHECK(empty_like(middle).strides() == middle.strides());
}

TEST_CASE("astype converts between all dtypes", "[runtime][array]") {
    for (std::size_t from = 0; from < dtype_count; ++from) {
        for (std::size_t to = 0; to < dtype_count; ++to) {
            const auto a = static_cast<DType>(from), b = static_cast<DType>(to);
            CAPTURE(name(a), name(b));
            // Contiguous and not, with a length that leaves a vector loop's remainder.
            const Array source = arange(0, 74, 2, i32).astype(a);
            const Array converted = source.astype(b);
            CHECK(converted.dtype() == b);
            const Array strided = source.slice(0, {{}, {}, -3}).astype(b);
            bool right = true;
            for (std::int64_t i = 0; i < 37; ++i) {
                const double wanted =
                    is_bool(a) || is_bool(b) ? (i != 0) : 2.0 * static_cast<double>(i);
                right = right && converted.scalar_at({i}).cast(DType::f64).get<double>() == wanted;
                if (i % 3 == 0) {
                    right =
                        right &&
                        strided.scalar_at({(36 - i) / 3}).cast(DType::f64).get<double>() == wanted;
                }
            }
            CHECK(right);
        }
    }
}

TEST_CASE("astype follows kiln's rules for values that do not fit", "[runtime][array]") {
    const double nan = std::nan("");
    const Array a = Array::of({1.9, -1.9, 300.0, -300.0, nan, HUGE_VAL});
    CHECK(values<std::int8_t>(a.astype(i8)) == std::vector<std::int8_t>{1, -1, 127, -128, 0, 127});
    CHECK(values<std::uint8_t>(a.astype(u8)) == std::vector<std::uint8_t>{1, 0, 255, 0, 0, 255});
    CHECK(values<std::uint8_t>(Array::of({300, -1}).astype(u8)) ==
          std::vector<std::uint8_t>{44, 255});
    CHECK(values<float>(Array::of({std::complex<float>(2, 3)}).astype(f32)) ==
          std::vector<float>{2});
}

TEST_CASE("astype refuses what casting forbids", "[runtime][array]") {
    const Array a = zeros({2});
    KILN_CHECK_ERROR(a.astype(i32, Casting::same_kind), type,
                     "cannot cast f64 to i32 under casting 'same_kind'");
    KILN_CHECK_ERROR(a.astype(f32, Casting::safe), type,
                     "cannot cast f64 to f32 under casting 'safe'");
    CHECK(a.astype(f32, Casting::same_kind).dtype() == DType::f32);
}

TEST_CASE("bool memory that holds other bytes than 0 and 1 reads as true", "[runtime][array]") {
    unsigned char bytes[] = {0, 1, 2, 255};
    const Array a = Array::from_memory(bytes, DType::bool_, {4}, {1});
    CHECK(values<int>(a.astype(i32)) == std::vector<int>{0, 1, 1, 1});
    CHECK(a.scalar_at({2}).get<bool>());
}

TEST_CASE("contiguous copies only where needed", "[runtime][array]") {
    const Array a = arange(6).reshape({2, 3});
    CHECK(exactly_same(a.contiguous(), a));
    const Array t = a.transpose();
    CHECK_FALSE(may_share_memory(t.contiguous(), a));
    CHECK(t.contiguous().is_contiguous());
}

TEST_CASE("fill and assign write through views", "[runtime][array]") {
    const Array a = zeros({4, 5}, i32);
    a.slice(0, {{}, {}, 2}).slice(1, {1, 3}).fill(7);
    a.index(1, 4).assign(Array::of({1, 2, 3, 4}));
    const int expected[4][5] = {{0, 7, 7, 0, 1}, {0, 0, 0, 0, 2}, {0, 7, 7, 0, 3}, {0, 0, 0, 0, 4}};
    for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 5; ++j) CHECK(a.at<int>({i, j}) == expected[i][j]);
    }
    a.fill(2.9);
    CHECK(a.at<int>({3, 3}) == 2);
}

TEST_CASE("assign broadcasts and converts", "[runtime][array]") {
    const Array a = zeros({2, 3}, i16);
    a.assign(Array::of({1.5, 2.5, 1e9}));
    CHECK(values<std::int16_t>(a) == std::vector<std::int16_t>{1, 2, 32767, 1, 2, 32767});
    KILN_CHECK_ERROR(a.assign(zeros({2})), shape, "cannot broadcast (2,) with (2,3)");
    const Array b = zeros({2, 3}, i64);
    b.assign(arange(3).reshape({1, 1, 1, 3}));  // leading axes of extent 1 do not count
    CHECK(values<std::int64_t>(b) == std::vector<std::int64_t>{0, 1, 2, 0, 1, 2});
    KILN_CHECK_ERROR(a.assign(zeros({1, 3, 3})), shape, "cannot broadcast (3,3) with (2,3)");
    KILN_CHECK_ERROR(a.assign(zeros({2, 2, 3})), shape, "cannot broadcast (2,2,3) with (2,3)");
    KILN_CHECK_ERROR(a.assign(zeros({3}), Casting::same_kind), type,
                     "cannot cast f64 to i16 under casting 'same_kind'");
    CHECK(values<std::int16_t>(a)[0] == 1);  // untouched by errors
}

TEST_CASE("Writing to a zero-stride output is an error", "[runtime][array]") {
    int value = 5;
    const Array a = Array::over(&value, {2, 3}, {0, 0});
    KILN_CHECK_ERROR(a.fill(1), usage,
                     "cannot write to an array of shape (2,3) whose stride along axis 0 is zero");
    KILN_CHECK_ERROR(a.assign(zeros({3})), usage,
                     "cannot write to an array of shape (2,3) whose stride along axis 0 is zero");
    CHECK(value == 5);
    Array::over(&value, {1, 1}, {0, 0}).fill(6);  // one element has no stride
    CHECK(value == 6);
}

TEST_CASE("Overlap: the result is as if all inputs were copied first", "[runtime][array]") {
    const auto shifted = [](Slice to, Slice from) {
        const Array x = arange(10);
        x.slice(0, to).assign(x.slice(0, from));
        return values<std::int64_t>(x);
    };
    using V = std::vector<std::int64_t>;
    CHECK(shifted({1}, {.stop = -1}) == V{0, 0, 1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(shifted({.stop = -1}, {1}) == V{1, 2, 3, 4, 5, 6, 7, 8, 9, 9});
    CHECK(shifted({}, {{}, {}, -1}) == V{9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
    CHECK(shifted({0, {}, 2}, {0, 5}) == V{0, 1, 1, 3, 2, 5, 3, 7, 4, 9});
    CHECK(shifted({}, {3, 4}) == V(10, 3));
    const Array m = arange(9).reshape({3, 3});
    m.assign(m.transpose());
    CHECK(values<std::int64_t>(m) == V{0, 3, 6, 1, 4, 7, 2, 5, 8});
    m.assign(m.index(0, 1));
    CHECK(values<std::int64_t>(m) == V{1, 4, 7, 1, 4, 7, 1, 4, 7});
    // The same memory as another dtype.
    const Array bits = Array::of({1.0, 2.0});
    const Array ints = Array::from_memory(bits.data(), i64, {2}, {8}, bits.owner());
    ints.assign(bits);
    CHECK(values<std::int64_t>(ints) == V{1, 2});
}

TEST_CASE("assign over every pair of layouts equals a plain loop", "[runtime][array]") {
    const auto layouts = [](const Array& base) {  // of shape (4,3,2)
        return std::vector<Array>{
            base,
            base.flip(),
            base.flip(1),
            base.copy(Order::fortran),
            zeros({2, 4, 3}, base.dtype()).transpose({1, 2, 0}),
            zeros({8, 3, 4}, base.dtype()).slice(0, {{}, {}, -2}).slice(2, {1, 3})};
    };
    const Array source = arange(24, i32).reshape({4, 3, 2});
    for (const Array& from : layouts(arange(24, i32).reshape({4, 3, 2}))) {
        from.assign(source);
        for (const Array& to : layouts(zeros({4, 3, 2}, f32))) {
            to.assign(from);
            for (int i = 0; i < 4; ++i) {
                for (int j = 0; j < 3; ++j) {
                    for (int k = 0; k < 2; ++k) {
                        CHECK(to.at<float>({i, j, k}) == static_cast<float>((i * 3 + j) * 2 + k));
                    }
                }
            }
        }
    }
}
