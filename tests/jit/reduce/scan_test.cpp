// Scans: NumPy's cumsum family and accumulate, plain loops, the fixed blocks, threads, overlap.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"
#include "tests/threads.h"

#include <cmath>
#include <complex>
#include <cstring>
#include <random>

using namespace kiln;
using kiln::test::Threads;
using test::check_values;

namespace {

/// Columns of a block, and of a group of blocks of f64 and of f32 (jit/reduce/scan.h).
constexpr std::int64_t block = 4096, group = 4 * block;

constexpr double inf = std::numeric_limits<double>::infinity();
const double not_a_number = std::nan("");

Array numbers(const Shape& shape, DType dtype) {
    std::mt19937 random(11);
    std::vector<double> values;
    for (std::int64_t i = 0; i < element_count(shape); ++i) {
        const double x = static_cast<double>(random()) / 2147483648.0 - 1;
        values.push_back(is_real(dtype) || is_complex(dtype) ? x : std::floor(60 * x));
    }
    return Array(std::move(values)).reshape(shape).astype(dtype);
}

std::vector<double> plain(const Array& a) {
    const Array wide = a.astype(f64, Casting::unsafe, Order::c);
    const auto span = wide.span<const double>();
    return {span.begin(), span.end()};
}

std::vector<std::byte> bytes(const Array& a) {
    const Array c = a.copy();
    return {c.data(), c.data() + c.nbytes()};
}

using Combine = double (*)(double, double);
double add(double a, double b) { return a + b; }
double largest(double a, double b) {
    return std::isnan(a) || std::isnan(b) ? not_a_number : std::max(a, b);
}

/// The scan along an axis by a plain loop, in C order.
std::vector<double> expected(const Array& x, int axis, Combine op, const ScanOptions& options,
                             double identity) {
    std::vector<double> out = plain(x);
    std::int64_t inner = 1;
    for (int d = axis + 1; d < x.rank(); ++d) inner *= x.extent(d);
    const std::int64_t n = x.extent(axis), rows = n == 0 ? 0 : x.size() / n;
    for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t first = row / inner * inner * n + row % inner;
        double sum = identity;
        for (std::int64_t k = 0; k < n; ++k) {
            const std::int64_t i = options.reverse ? n - 1 - k : k;
            double& value = out[static_cast<std::size_t>(first + i * inner)];
            const double before = sum;
            sum = k == 0 && std::isinf(identity) ? value : op(sum, value);
            value = options.exclusive ? before : sum;
        }
    }
    return out;
}

void check_close(const Array& got, const std::vector<double>& wanted, double tolerance) {
    const std::vector<double> values = plain(got);
    REQUIRE(values.size() == wanted.size());
    double worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (std::isnan(values[i]) && std::isnan(wanted[i])) continue;
        if (values[i] == wanted[i]) continue;
        const double off = std::abs(values[i] - wanted[i]);
        worst = std::isnan(off) ? inf : std::max(worst, off);
    }
    CHECK(worst <= tolerance);
}

}  // namespace

TEST_CASE("scans: NumPy's facts", "[jit][scan]") {
    const Array m = Array::of({{1, 2, 3}, {4, 5, 6}});
    check_values(cumsum(m), {1, 3, 6, 10, 15, 21});
    CHECK(cumsum(m).shape() == Shape(6));
    check_values(cumsum(m.transpose()), {1, 5, 7, 12, 15, 21});
    check_values(cumsum(m, {.axis = 0}), {1, 2, 3, 5, 7, 9});
    check_values(cumsum(m, {.axis = 1}), {1, 3, 6, 4, 9, 15});
    check_values(cumsum(m, {.axis = -1}), {1, 3, 6, 4, 9, 15});
    CHECK(cumsum(m, {.axis = 1}).shape() == Shape{2, 3});
    check_values(cumprod(Array::of({1, 2, 3, 4})), {1, 2, 6, 24});
    check_values(cummax(Array::of({1, 3, 2, 5, 4})), {1, 3, 3, 5, 5});
    check_values(cummin(Array::of({3, 4, 1, 2})), {3, 3, 1, 1});
    CHECK(cumsum(Array::of({true, true, false})).dtype() == i64);
    check_values(cumsum(Array::of({true, true, false})), {1, 2, 2});
    CHECK(cumsum(ones({3}, i8)).dtype() == i64);
    CHECK(cumsum(ones({3}, u16)).dtype() == u64);
    CHECK(cumsum(ones({3}, f32)).dtype() == f32);
    CHECK(cummax(ones({3}, i8)).dtype() == i8);
    CHECK(cumsum(ones({300}, i8), {.dtype = i8}).dtype() == i8);
    CHECK(cumsum(ones({300}, i8), {.dtype = i8}).at<std::int8_t>({299}) == 44);
    const Array half = cumsum(full({100}, 0.5F).astype(f16));
    CHECK(half.dtype() == f16);
    check_values(half(Slice{97, {}, 1}), {49, 49.5, 50});
    check_values(scan(Reduce::any, Array::of({0, 0, 2, 0})), {0, 0, 1, 1});
    CHECK(scan(Reduce::all, Array::of({1, 0, 2})).dtype() == DType::bool_);
    check_values(scan(Reduce::any_bit, Array::of({1, 4, 2})), {1, 5, 7});
    check_values(scan(Reduce::parity, Array::of({1, 3, 2})), {1, 2, 0});
    const Array z = cumprod(Array::of({std::complex<double>(0, 1), {0, 1}, {2, 0}}));
    CHECK(z.at<std::complex<double>>({1}) == std::complex<double>(-1, 0));
    CHECK(z.at<std::complex<double>>({2}) == std::complex<double>(-2, 0));
    // NaN stays; the sign of a zero too.
    CHECK(std::isnan(cummax(Array::of({1.0, not_a_number, 3.0})).at<double>({2})));
    CHECK(std::signbit(cumsum(Array::of({-0.0, -0.0})).at<double>({1})));
    check_values(cumsum(Array::of(f64(3))), {3});
}

TEST_CASE("scans: exclusive and reverse", "[jit][scan]") {
    const Array x = Array::of({1, 2, 3, 4});
    check_values(cumsum(x, {.exclusive = true}), {0, 1, 3, 6});
    check_values(cumsum(x, {.reverse = true}), {10, 9, 7, 4});
    check_values(cumsum(x, {.exclusive = true, .reverse = true}), {9, 7, 4, 0});
    check_values(cumprod(x, {.exclusive = true}), {1, 1, 2, 6});
    check_values(cummax(x.astype(f64), {.exclusive = true}), {-inf, 1, 2, 3});
    check_values(cummin(x.astype(i8), {.exclusive = true}), {127, 1, 1, 1});
    check_values(cumsum(Array::of({5}), {.exclusive = true}), {0});
    CHECK_FALSE(std::signbit(cumsum(Array::of({5.0}), {.exclusive = true}).at<double>({0})));
    CHECK(cumsum(zeros({0}), {.exclusive = true}).shape() == Shape(0));
}

TEST_CASE("scans: empty arrays and axes of one", "[jit][scan]") {
    CHECK(cumsum(zeros({0})).shape() == Shape(0));
    CHECK(cumsum(zeros({0, 3}), {.axis = 0}).shape() == Shape{0, 3});
    CHECK(cumsum(zeros({0, 3}), {.axis = 1}).shape() == Shape{0, 3});
    CHECK(cumsum(zeros({2, 0}), {.axis = 0}).shape() == Shape{2, 0});
    CHECK(cummax(zeros({0})).size() == 0);
    const Array row = arange(5).reshape({1, 5});
    check_values(cumsum(row, {.axis = 0}), {0, 1, 2, 3, 4});
    check_values(cumsum(row, {.axis = 1}), {0, 1, 3, 6, 10});
    check_values(cumsum(row.transpose(), {.axis = 1}), {0, 1, 2, 3, 4});
}

TEST_CASE("scans of any dtype, length and layout", "[jit][scan]") {
    for (const DType dtype : {f64, f32, i32, u8, i8}) {
        const double near = dtype == f64 ? 1e-9 : dtype == f32 ? 2e-2 : 0;
        for (const std::int64_t n :
             {std::int64_t(1), std::int64_t(7), std::int64_t(16), std::int64_t(100), block - 1,
              block, block + 1, group, group + 1, 2 * group + 5, std::int64_t(100'003)}) {
            const Array x = numbers({n}, dtype);
            for (const bool reverse : {false, true}) {
                for (const bool exclusive : {false, true}) {
                    INFO(name(dtype)
                         << " n " << n << " reverse " << reverse << " exclusive " << exclusive);
                    const ScanOptions options{.exclusive = exclusive, .reverse = reverse};
                    const Array wide = dtype == u8 ? x.astype(u64) : x;
                    check_close(cumsum(x, options), expected(wide, 0, add, options, 0), near);
                    if (exclusive) continue;
                    check_close(cummax(x, options), expected(x, 0, largest, options, -inf), 0);
                }
            }
        }
        const Array a = numbers({7, 11, 13}, dtype), b = numbers({300, 700}, dtype),
                    wide = numbers({3, 20'000}, dtype), tall = numbers({20'000, 3}, dtype);
        for (const Array& x :
             {a, a.transpose(), a.flip(), a(Slice{{}, {}, 2}, Slice{{}, {}, -3}), b, b.transpose(),
              b(Slice{}, Slice{3, {}, 2}), wide, wide.transpose(), wide.flip(1), tall,
              tall(Slice{}, Slice{0, 2, 1}), a.transpose({1, 0, 2})}) {
            for (int axis = 0; axis < x.rank(); ++axis) {
                for (const bool reverse : {false, true}) {
                    INFO(name(dtype) << " " << to_string(x.shape()) << " axis " << axis
                                     << " reverse " << reverse);
                    const ScanOptions options{.axis = axis, .reverse = reverse};
                    check_close(cumsum(x, options), expected(x, axis, add, options, 0), near);
                    check_close(cummax(x, options), expected(x, axis, largest, options, -inf), 0);
                }
            }
        }
    }
}

TEST_CASE("scans: outputs", "[jit][scan]") {
    const auto check = [](const Array& x, int axis, const ScanOptions& how, const Array& out) {
        ScanOptions options = how;
        options.axis = axis;
        const std::vector<double> wanted = plain(cumsum(x, options));
        options.out = out;
        CHECK(exactly_same(cumsum(x, options), out));
        check_close(out, wanted, 0);
    };
    for (const std::int64_t n : {std::int64_t(5), block + 3, 5 * group + 1}) {
        // In place, forwards and backwards, inclusive and not.
        for (const bool reverse : {false, true})
            for (const bool exclusive : {false, true}) {
                const Array x = numbers({n}, f64);
                check(x, 0, {.exclusive = exclusive, .reverse = reverse}, x);
            }
        // Shifted: the result must not overtake what is still to be read.
        const Array forwards = numbers({n + 1}, f64), backwards = numbers({n + 1}, f64);
        check(forwards(Slice{0, n, 1}), 0, {}, forwards(Slice{1, {}, 1}));
        check(backwards(Slice{1, {}, 1}), 0, {}, backwards(Slice{0, n, 1}));
        const Array turned = numbers({n}, f64);
        check(turned, 0, {}, turned.flip());
        const Array gaps = zeros({n, 3});
        check(numbers({n}, f64), 0, {}, gaps(Slice{}, 1));
        CHECK(plain(gaps(Slice{}, 0)) == plain(zeros({n})));
    }
    const Array m = numbers({50, 60}, f64);
    check(m, 0, {}, m);
    const Array t = numbers({60, 60}, f64);
    check(t, 1, {}, t.transpose());
    // Another dtype.
    const Array narrow = zeros({4}, f32);
    cumsum(Array::of({1.5, 1.5, 1.5, 1.5}), {.out = narrow});
    check_values(narrow, {1.5, 3, 4.5, 6});
}

TEST_CASE("scans: the same bits for any number of threads", "[jit][scan]") {
    std::vector<std::pair<Array, int>> cases;
    for (const DType dtype : {f64, f32}) {
        for (const std::int64_t n : {std::int64_t(0), std::int64_t(1), block - 1, block, block + 1,
                                     group, 7 * group + 11, std::int64_t(10'000'000)})
            cases.emplace_back(numbers({n}, dtype), 0);
        cases.emplace_back(numbers({2000, 700}, dtype), 0);
        cases.emplace_back(numbers({2000, 700}, dtype), 1);
        cases.emplace_back(numbers({40, 30'000}, dtype), 1);
    }
    for (const auto& [x, axis] : cases) {
        std::vector<std::byte> first;
        for (const int threads : {1, 2, 3, 8}) {
            const Threads scope(threads);
            const std::vector<std::byte> now = bytes(cumsum(x, {.axis = axis}));
            if (threads == 1) {
                first = now;
                CHECK(bytes(cumsum(x, {.axis = axis, .parallel = false})) == first);
                // Nor do they depend on where the result lies in memory.
                const Array room = empty({x.size() + 1}, x.dtype());
                const Array odd = room(Slice{1, {}, 1}).reshape(x.shape());
                CHECK(bytes(cumsum(x, {.axis = axis, .out = odd})) == first);
            }
            CHECK(now == first);
        }
    }
}

TEST_CASE("scans: errors of rounding stay small", "[jit][scan]") {
    // One after the other in f32 would be off by 2e-2 at the end.
    const Array x = full({10'000'000}, 0.1F);
    const Array sums = cumsum(x);
    for (const std::int64_t i : {9'999LL, 999'999LL, 9'999'999LL}) {
        const double exact = 0.1F * static_cast<double>(i + 1);
        CHECK(std::abs(sums.at<float>({i}) / exact - 1) < 5e-5);
    }
}

TEST_CASE("accumulate", "[jit][scan]") {
    const auto plus = vectorize("add", [](Value a, Value b) { return a + b; });
    const auto minus = vectorize("subtract", [](Value a, Value b) { return a - b; });
    const Array m = Array::of({{1, 2, 3}, {4, 5, 6}});
    check_values(plus.accumulate(m), {1, 2, 3, 5, 7, 9});
    check_values(plus.accumulate(m, {.axis = 1}), {1, 3, 6, 4, 9, 15});
    check_values(plus.accumulate(std::vector<int>{1, 2, 3}), {1, 3, 6});
    CHECK(plus.accumulate(zeros({0, 3})).shape() == Shape{0, 3});
    // Not a reduction, so serial: ((1 - 2) - 3) ...
    check_values(minus.accumulate(Array::of({1, 2, 3, 4})), {1, -1, -4, -8});
    check_values(minus.accumulate(m, {.axis = 0}), {1, 2, 3, -3, -3, -3});
    check_values(minus.accumulate(m, {.axis = -1}), {1, -1, -4, 4, -1, -7});
    CHECK(minus.accumulate(zeros({0})).shape() == Shape(0));
    const Array in_place = Array::of({9, 2, 3});
    minus.accumulate(in_place, {.out = in_place});
    check_values(in_place, {9, 7, 4});
    const auto larger =
        vectorize("larger", [](Value a, Value b) { return max(a, b); }, {.parallel = true});
    check_values(larger.accumulate(Array::of({1, 3, 2})), {1, 3, 3});

    const auto one = vectorize("one", [](Value a) { return a; });
    KILN_CHECK_ERROR(one.accumulate(m), usage,
                     "one.accumulate takes a kernel of 2 arguments, not of 1");
    KILN_CHECK_ERROR(plus.accumulate(m, {.axis = 2}), bounds,
                     "axis 2 of add.accumulate is out of bounds for an array of rank 2");
    KILN_CHECK_ERROR(plus.accumulate(f64(3)), bounds,
                     "axis 0 of add.accumulate is out of bounds for an array of rank 0");
}

TEST_CASE("scans: errors", "[jit][scan]") {
    const Array m = ones({2, 3});
    KILN_CHECK_ERROR(cumsum(m, {.axis = 2}), bounds,
                     "axis 2 of cumsum is out of bounds for an array of rank 2");
    KILN_CHECK_ERROR(cumsum(m, {.axis = 0, .out = zeros({3})}), shape,
                     "the output of cumsum has shape (3,), its result (2,3)");
    KILN_CHECK_ERROR(cumprod(m, {.axis = 0, .out = m.as_read_only()}), usage,
                     "the output of cumprod is read-only");
    KILN_CHECK_ERROR(cumsum(m, {.axis = 0, .out = zeros({2, 3}, i32)}), type,
                     "cannot cast output of cumsum from f64 to i32 under same_kind");
    KILN_CHECK_ERROR(cummax(m.astype(c64)), type, "cummax: maximum does not reduce c64");
    KILN_CHECK_ERROR(scan(Reduce::any_bit, m), type, "scan: bit_or does not reduce f64");
}
