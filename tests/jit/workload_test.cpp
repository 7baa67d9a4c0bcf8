// saxpy and Black-Scholes on every kind of array, against plain loops.
#include "tests/jit/support.h"

#include <cmath>
#include <random>

using namespace kiln;
using namespace kiln::test;

namespace {

Ufunc saxpy(UfuncOptions options = {}) {
    return vectorize(
        "saxpy", [](Value a, Value x, Value y) { return a * x + y; }, std::move(options));
}

Value normal_cdf(Value x) { return 0.5 * erfc(-x * std::sqrt(0.5)); }

/// Call and put prices of European options: spot, strike, years.
Ufunc black_scholes(UfuncOptions options = {}) {
    return vectorize(
        "black_scholes",
        [](Value s, Value k, Value t) {
            const double rate = 0.02, volatility = 0.3;
            Value deviation = volatility * sqrt(t);
            Value d1 = (log(s / k) + (rate + 0.5 * volatility * volatility) * t) / deviation;
            Value d2 = d1 - deviation;
            Value discounted = k * exp(-rate * t);
            Value call = s * normal_cdf(d1) - discounted * normal_cdf(d2);
            return std::pair{call, call - s + discounted};
        },
        std::move(options));
}

long double cdf(long double x) { return 0.5L * std::erfc(-x * std::sqrt(0.5L)); }
std::pair<long double, long double> prices(long double s, long double k, long double t) {
    const long double rate = 0.02, volatility = 0.3;
    const long double deviation = volatility * std::sqrt(t);
    const long double d1 =
        (std::log(s / k) + (rate + 0.5L * volatility * volatility) * t) / deviation;
    const long double discounted = k * std::exp(-rate * t);
    const long double call = s * cdf(d1) - discounted * cdf(d1 - deviation);
    return {call, call - s + discounted};
}

struct Form {
    const char* name;
    /// Views of `base`, which has shape (9, 1024).
    Array (*view)(const Array& base);
};
const Form forms[] = {
    {"contiguous", [](const Array& b) { return b; }},
    {"strided", [](const Array& b) { return b(Slice{{}, {}, 2}, Slice{{}, {}, 3}); }},
    {"backwards", [](const Array& b) { return b.flip(); }},
    {"backwards by 2", [](const Array& b) { return b.flip(1)(Slice{}, Slice{{}, {}, 2}); }},
    {"transposed", [](const Array& b) { return b.transpose(); }},
    {"zero-size", [](const Array& b) { return b(Slice{2, 2, 1}); }},
    {"one element", [](const Array& b) { return b(Slice{2, 3, 1}, Slice{5, 6, 1}); }},
    {"rank 0", [](const Array& b) { return b(2, 5); }},
    {"odd length", [](const Array& b) { return b(3, Slice{1, 1000, 1}); }},
};

Array random_base(DType dtype, double low, double high, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(low, high);
    Array base = zeros({9, 1024});
    for (double& x : base.span<double>()) x = uniform(random);
    return base.astype(dtype);
}

template <class T> void check_saxpy(const UfuncOptions& options) {
    const auto f = saxpy(options);
    const Array bx = random_base(dtype_of<T>, -2, 2, 1), by = random_base(dtype_of<T>, -2, 2, 2);
    for (const Form& in : forms) {
        for (const bool in_place : {false, true}) {
            INFO(in.name << (in_place ? " in place" : ""));
            const Array x = in.view(bx), y = in.view(by.copy());
            const Array before = y.copy();
            const Array z = in_place ? f(T(1.5), x, y, {.out = y}) : f(T(1.5), x, y);
            REQUIRE(z.shape() == x.shape());
            REQUIRE(z.dtype() == dtype_of<T>);
            bool same = true;
            for (std::int64_t i = 0; i < z.size(); ++i) {
                same = same && at(z, i) == double(T(1.5) * T(at(x, i)) + T(at(before, i)));
            }
            CHECK(same);
        }
    }
}

template <class T> void check_black_scholes(const UfuncOptions& options) {
    const auto f = black_scholes(options);
    const Array bs = random_base(dtype_of<T>, 20, 80, 3), bk = random_base(dtype_of<T>, 20, 80, 4);
    const Array bt = random_base(dtype_of<T>, 0.25, 5, 5);
    for (const Form& in : forms) {
        INFO(in.name);
        const Array s = in.view(bs), k = in.view(bk), t = in.view(bt);
        const std::vector<Array> r = f.all(s, k, t);
        REQUIRE(r.size() == 2);
        // The prices are differences of numbers up to 80 with some ten roundings each.
        const double bound = 80 * 30 * double(std::numeric_limits<T>::epsilon());
        double worst = 0;
        for (std::int64_t i = 0; i < s.size(); ++i) {
            const auto [call, put] = prices(at(s, i), at(k, i), at(t, i));
            worst = std::max(
                {worst, std::abs(at(r[0], i) - double(call)), std::abs(at(r[1], i) - double(put))});
        }
        CHECK(worst <= bound);
    }
}

}  // namespace

TEST_CASE("saxpy on arrays of every form is exact", "[jit][workload]") {
    check_saxpy<float>({});
    check_saxpy<double>({});
    check_saxpy<float>({.parallel = true});
}

TEST_CASE("Black-Scholes on arrays of every form", "[jit][workload]") {
    check_black_scholes<float>({});
    check_black_scholes<double>({});
    check_black_scholes<double>({.fastmath = true, .parallel = true});
}

TEST_CASE("broadcast operands of saxpy", "[jit][workload]") {
    const auto f = saxpy();
    for (const DType dtype : {DType::f32, DType::f64}) {
        const Array a = random_base(dtype, -1, 1, 6)(Slice{}, Slice{0, 1, 1});  // a column (9,1)
        const Array x = random_base(dtype, -1, 1, 7)(0);                        // a row (1024,)
        const Array y = random_base(dtype, -1, 1, 8);
        const Array z = f(a, x, y), w = f(a, x.flip(), y.flip(0));
        bool same = true;
        for (std::int64_t i = 0; i < 9; ++i) {
            for (std::int64_t j = 0; j < 1024; ++j) {
                const auto plain = [&](double p, double q, double r) {
                    return dtype == DType::f32 ? double(float(p) * float(q) + float(r)) : p * q + r;
                };
                const double factor = at(a, i);
                same = same && at(z, i * 1024 + j) == plain(factor, at(x, j), at(y, i * 1024 + j));
                same = same && at(w, i * 1024 + j) ==
                                   plain(factor, at(x, 1023 - j), at(y, (8 - i) * 1024 + j));
            }
        }
        CHECK(same);
    }
}

TEST_CASE("data that is not aligned", "[jit][workload]") {
    const auto f = saxpy();
    std::vector<std::byte> memory(8 * 300 + 1);
    const Array x = Array::from_memory(memory.data() + 1, DType::f64, {100}, Shape{8});
    const Array y = Array::from_memory(memory.data() + 1 + 800, DType::f64, {100}, Shape{8});
    const Array z = Array::from_memory(memory.data() + 1 + 1600, DType::f64, {100}, Shape{8});
    x.assign(arange(100.0));
    y.assign(full({100}, 0.5));
    f(2.0, x, y, {.out = z});
    for (std::int64_t i = 0; i < 100; ++i) REQUIRE(at(z, i) == 2.0 * double(i) + 0.5);
}

TEST_CASE("strides from -4 to 4 at many lengths", "[jit][workload]") {
    const auto f = vectorize("f", [](Value a, Value b) { return exp(a) * b; });
    const Array base = random_base(DType::f32, -1, 1, 9)(0);
    for (const std::int64_t step : {-4, -3, -2, -1, 1, 2, 3, 4}) {
        for (const std::int64_t n : {2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 99}) {
            Array x = base(Slice{0, n * std::abs(step), std::abs(step)});
            if (step < 0) x = x.flip();
            const Array strided = f(x, x), packed = f(x.copy(), x.copy());
            // The same bits: a value does not depend on its position.
            REQUIRE(values(strided) == values(packed));
        }
    }
}

TEST_CASE("results do not depend on threads", "[jit][workload][threads]") {
    const auto serial = black_scholes(), threads = black_scholes({.parallel = true});
    const std::int64_t n = 300'001;
    const Array s = linspace(20, 80, n), k = linspace(80, 20, n), t = linspace(0.25, 5, n);
    const auto a = serial.all(s, k, t), b = threads.all(s, k, t);
    CHECK(std::memcmp(a[0].data(), b[0].data(), std::size_t(a[0].nbytes())) == 0);
    CHECK(std::memcmp(a[1].data(), b[1].data(), std::size_t(a[1].nbytes())) == 0);
}

TEST_CASE("outputs beyond the caches", "[jit][workload]") {
    // 4 x 8 MB: streaming stores, with a tail.
    const std::int64_t n = 1'000'003;
    const Array x = linspace(0, 1, n), y = linspace(1, 2, n);
    for (const bool parallel : {false, true}) {
        const Array z = saxpy({.parallel = parallel})(3.0, x, y);
        bool same = true;
        for (std::int64_t i = 0; i < n; ++i) {
            same = same && z.at<double>({i}) == 3.0 * x.at<double>({i}) + y.at<double>({i});
        }
        CHECK(same);
    }
}
