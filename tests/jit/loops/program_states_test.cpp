// Reductions with a state in parallel loops: mean and variance, log-sum-exp, complex products,
// positions with a tie rule, the two largest. Expected values are those of plain C++ loops in wider
// types, or exact; bits are those of any number of threads.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <kiln/reduction.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

using namespace kiln;
using kiln::test::error_of;
using kiln::test::Threads;

namespace {

constexpr std::int64_t sizes[] = {0, 1, 2, 7, 8, 33, 255, 1000, 1025, 8193, 70001, 300000};

template <class T> std::vector<T> numbers(std::int64_t n, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::vector<T> x(static_cast<std::size_t>(n));
    for (T& e : x)
        if constexpr (std::is_integral_v<T>)
            e = static_cast<T>(engine() % 100);
        else
            e = static_cast<T>(std::normal_distribution<double>(3, 2)(engine));
    return x;
}

bool same_bits(const Scalar& a, const Scalar& b) {
    return a.dtype == b.dtype && std::memcmp(a.bytes.data(), b.bytes.data(), size_of(a.dtype)) == 0;
}

/// What the kernel gives for x: of one and several threads, which have the same bits.
template <class Kernel, class X> std::vector<Scalar> of_any_threads(const Kernel& kernel,
                                                                    const X& x) {
    std::vector<Scalar> first;
    for (const int threads : {1, 2, 3, 8}) {
        const Threads limit(threads);
        std::vector<Scalar> now;
        std::apply([&](const auto&... result) { (now.push_back(Scalar(result)), ...); }, kernel(x));
        if (first.empty()) first = now;
        for (std::size_t i = 0; i < first.size(); ++i) CHECK(same_bits(first[i], now[i]));
    }
    return first;
}
double real_of(const Scalar& s) { return s.cast(f64).get<double>(); }

/// Number, mean and sum of squared differences from it.
template <class T> auto moments() {
    return reduction("moments", std::tuple(T(0), T(0), T(0)), [](auto a, auto b) {
        auto [na, mean_a, squares_a] = a;
        auto [nb, mean_b, squares_b] = b;
        const Value n = na + nb, d = mean_b - mean_a, share = nb / max(n, 1);
        return std::tuple(n, mean_a + d * share, squares_a + squares_b + d * d * na * share);
    });
}

template <class T> void check_moments(double bound) {
    const auto m = moments<T>();
    const auto kernel = jit(
        [&](In x) {
            Accumulator total(m);
            for (Index i : prange(x.extent(0))) total.add(1, x(i), 0);
            const auto [n, mean, squares] = total.values();
            return std::tuple(n, mean, squares);
        },
        {.parallel = true});
    for (const std::int64_t n : sizes) {
        const auto x = numbers<T>(n, 7);
        long double mean = 0, squares = 0;
        for (const T e : x) mean += e;
        if (n > 0) mean /= static_cast<long double>(n);
        for (const T e : x) squares += (e - mean) * (e - mean);
        const std::vector<Scalar> got = of_any_threads(kernel, x);
        INFO("n " << n);
        CHECK(real_of(got[0]) == static_cast<double>(n));
        CHECK(std::fabs(real_of(got[1]) - static_cast<double>(mean)) <= bound * 10);
        CHECK(std::fabs(real_of(got[2]) - static_cast<double>(squares)) <=
              bound * static_cast<double>(squares) + bound);
    }
}

/// The greatest exponent, and the sum of the powers relative to it.
struct Powers {
    Value greatest, sum;
};
template <class T> auto powers() {
    return reduction("powers", std::pair(-std::numeric_limits<T>::infinity(), T(0)),
                     [](const Powers& a, const Powers& b) {
                         const Value m = max(a.greatest, b.greatest);
                         const auto part = [&](const Powers& p) {
                             return select(p.greatest == m, p.sum, p.sum * exp(p.greatest - m));
                         };
                         return Powers{m, part(a) + part(b)};
                     });
}

template <class T> void check_log_sum_exp(double bound) {
    const auto p = powers<T>();
    const auto kernel = jit(
        [&](In x) {
            Accumulator total(p);
            for (Index i : prange(x.extent(0))) total.add(Powers{x(i) * 100, 1.0});
            const auto [greatest, sum] = total.values();
            return std::tuple(greatest + log(sum));
        },
        {.parallel = true});
    for (const std::int64_t n : sizes) {
        const auto x = numbers<T>(n, 11);
        T greatest = -std::numeric_limits<T>::infinity();
        for (const T e : x) greatest = std::max(greatest, e * T(100));
        long double sum = 0;
        for (const T e : x) sum += std::exp(static_cast<long double>(e * T(100) - greatest));
        const double want =
            n == 0 ? static_cast<double>(greatest) : static_cast<double>(greatest + std::log(sum));
        const double got = real_of(of_any_threads(kernel, x)[0]);
        INFO("n " << n);
        CHECK((got == want || std::fabs(got - want) <= bound * std::fabs(want)));
    }
}

template <class T> void check_complex_product(double bound) {
    using Complex = std::complex<T>;
    const auto product = reduction("product", Complex(1), [](Value a, Value b) { return a * b; });
    const auto kernel = jit(
        [&](In x) {
            Accumulator total(product);
            for (Index i : prange(x.extent(0))) total.add(x(i));
            return std::tuple(total.value());
        },
        {.parallel = true});
    for (const std::int64_t n : sizes) {
        std::vector<Complex> x;
        for (const double angle : numbers<double>(n, 5)) x.push_back(std::polar<T>(1, T(angle)));
        std::complex<long double> want = 1;
        for (const Complex z : x) want *= std::complex<long double>(z);
        const Scalar product_of = of_any_threads(kernel, x)[0];
        const Complex got = product_of.get<Complex>();
        INFO("n " << n);
        CHECK(std::abs(std::complex<long double>(got) - want) <=
              bound * std::sqrt(static_cast<double>(n + 1)) * 4);
    }
}

/// The least value, and the last position that has it.
template <class T> void check_last_minimum() {
    const auto last =
        reduction("last_minimum", std::tuple(std::numeric_limits<T>::max(), std::int64_t(-1)),
                  [](const std::array<Value, 2>& a, const std::array<Value, 2>& b) {
                      const Value take = b[0] < a[0] || (b[0] == a[0] && b[1] > a[1]);
                      return std::array{select(take, b[0], a[0]), select(take, b[1], a[1])};
                  });
    const auto kernel = jit(
        [&](In x) {
            Accumulator least(last);
            for (Index i : prange(x.extent(0))) if_(i % 5 != 3, [&] { least.add(x(i), i); });
            const auto [value, at] = least.values();
            return std::tuple(value, at);
        },
        {.parallel = true});
    for (const std::int64_t n : sizes) {
        auto x = numbers<T>(n, 13);
        for (T& e : x) e = static_cast<T>(static_cast<int>(e) % 7 + 10);
        T value = std::numeric_limits<T>::max();
        std::int64_t at = -1;
        for (std::int64_t i = 0; i < n; ++i)
            if (const T e = x[static_cast<std::size_t>(i)]; i % 5 != 3 && e <= value)
                value = e, at = i;
        const std::vector<Scalar> got = of_any_threads(kernel, x);
        INFO("n " << n);
        CHECK(got[0].get<T>() == value);
        CHECK(got[1].get<std::int64_t>() == at);
    }
}

template <class T> auto top_two() {
    const T least = std::numeric_limits<T>::lowest();
    return reduction("top_two", std::array{least, least}, [](auto a, auto b) {
        return std::array{max(a[0], b[0]), max(min(a[0], b[0]), max(a[1], b[1]))};
    });
}

template <class T> void check_top_two() {
    const auto top = top_two<T>();
    const auto kernel = jit(
        [&](In x) {
            Accumulator two(top);
            for (Index i : prange(x.extent(0)))
                two.add(x(i), cast<T>(std::numeric_limits<T>::lowest()));
            const auto [first, second] = two.values();
            return std::tuple(first, second);
        },
        {.parallel = true});
    for (const std::int64_t n : sizes) {
        auto x = numbers<T>(n, 17);
        const std::vector<Scalar> got = of_any_threads(kernel, x);
        std::vector<T> sorted = x;
        sorted.resize(sorted.size() + 2, std::numeric_limits<T>::lowest());
        std::ranges::sort(sorted, std::greater());
        INFO("n " << n);
        CHECK(got[0].get<T>() == sorted[0]);
        CHECK(got[1].get<T>() == sorted[1]);
    }
}

}  // namespace

TEST_CASE("states: mean and variance in one pass", "[jit][program][reduce]") {
    check_moments<double>(1e-13);
    check_moments<float>(2e-4);
}

TEST_CASE("states: log-sum-exp", "[jit][program][reduce]") {
    check_log_sum_exp<double>(1e-13);
    check_log_sum_exp<float>(1e-4);
}

TEST_CASE("states: complex products", "[jit][program][reduce]") {
    check_complex_product<double>(1e-15);
    check_complex_product<float>(1e-6);
}

TEST_CASE("states: the last position of the least value", "[jit][program][reduce]") {
    check_last_minimum<double>();
    check_last_minimum<float>();
    check_last_minimum<std::int32_t>();
    check_last_minimum<std::uint8_t>();
    check_last_minimum<std::int64_t>();
}

TEST_CASE("states: the two largest", "[jit][program][reduce]") {
    check_top_two<double>();
    check_top_two<float>();
    check_top_two<std::int64_t>();
    check_top_two<std::int32_t>();
    check_top_two<std::int16_t>();
    check_top_two<std::uint8_t>();
}

TEST_CASE("states: several in one loop, beside sums", "[jit][program][reduce]") {
    const auto m = moments<double>();
    const auto top = top_two<double>();
    const auto kernel = jit([&](In x) {
        Accumulator a(m), b(m);
        Accumulator two(top);
        Var sum(f64, 0);
        for (Index i : prange(x.extent(0))) {
            a.add(1, x(i), 0);
            sum += x(i);
            two.add(x(i), -1e300);
            b.add(1, x(i) * 2.0, 0);
        }
        return std::tuple(a.values()[1], b.values()[1], sum / cast<double>(x.extent(0)),
                          two.values()[0], two.values()[1]);
    });
    std::vector<double> x(5000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i % 100);
    x[1234] = 200;
    const std::vector<Scalar> got = of_any_threads(kernel, x);
    long double mean = 0;
    for (const double e : x) mean += e;
    mean /= 5000;
    CHECK(std::fabs(real_of(got[0]) - static_cast<double>(mean)) < 1e-12);
    CHECK(std::fabs(real_of(got[1]) - static_cast<double>(2 * mean)) < 1e-12);
    CHECK(std::fabs(real_of(got[2]) - static_cast<double>(mean)) < 1e-12);
    CHECK(real_of(got[3]) == 200);
    CHECK(real_of(got[4]) == 99);
}

TEST_CASE("states: two that differ in their identity alone", "[jit][program][reduce]") {
    const auto greatest = [](Value a, Value b) { return select(a > b, a, b); };
    const auto of_magnitudes = reduction("of_magnitudes", 0.0, greatest);
    const auto of_all = reduction("of_all", -std::numeric_limits<double>::infinity(), greatest);
    const auto kernel = jit([&](In x) {
        Accumulator far(of_magnitudes), high(of_all);
        for (Index i : prange(x.extent(0))) far.add(abs(x(i)));
        for (Index i : prange(x.extent(0))) high.add(x(i));
        return std::tuple(far.value(), high.value());
    });
    std::vector<double> x(5000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = -5 - static_cast<double>(i);
    const std::vector<Scalar> got = of_any_threads(kernel, x);
    CHECK(real_of(got[0]) == 5004);
    CHECK(real_of(got[1]) == -5);
    const std::vector<Scalar> none = of_any_threads(kernel, std::vector<double>{});
    CHECK(real_of(none[0]) == 0);
    CHECK(real_of(none[1]) == -std::numeric_limits<double>::infinity());
}

TEST_CASE("states: of several sizes in turn", "[jit][program][reduce]") {
    const auto three = reduction("three", std::tuple(0.0, 0.0, 0.0), [](auto a, auto b) {
        return std::tuple(a[0] + b[0], a[1] + b[1], max(a[2], b[2]));
    });
    const auto two = reduction("two", std::pair(0.0, 0.0), [](auto a, auto b) {
        return std::tuple(a[0] + b[0], max(a[1], b[1]));
    });
    const auto kernel = jit([&](In x) {
        Accumulator a(three);
        Accumulator b(two);
        Accumulator c(three);
        for (Index i : prange(x.extent(0))) {
            a.add(1.0, x(i), x(i));
            b.add(x(i), x(i) * 2.0);
            c.add(2.0, 1.0, x(i) * 3.0);
        }
        return std::tuple(a.values()[0], a.values()[1], a.values()[2], b.values()[0], b.values()[1],
                          c.values()[0], c.values()[1], c.values()[2]);
    });
    std::vector<double> x(5000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
    const std::vector<Scalar> got = of_any_threads(kernel, x);
    const double sum = 4999.0 * 5000 / 2;
    const double want[] = {5000, sum, 4999, sum, 2 * 4999, 10000, 5000, 3 * 4999};
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(real_of(got[i]) == want[i]);
}

TEST_CASE("states: in the order of the program outside of a prange, and of an iteration's own",
          "[jit][program][reduce]") {
    // Not commutative: digits of a decimal number, with their count as a power of ten.
    const auto digits =
        reduction("digits", std::pair(std::int64_t(0), std::int64_t(1)),
                  [](auto a, auto b) { return std::array{a[0] * b[1] + b[0], a[1] * b[1]}; });
    const auto kernel = jit([&](In x, Out y) {
        Accumulator all(digits);
        for (Index i : range(x.extent(0))) all.add(x(i), 10);
        for (Index r : prange(y.extent(0))) {
            Accumulator own(digits);
            for (Index i : range(r + 1)) own.add(x(i), 10);
            y(r) = own.values()[0];
        }
        return std::tuple(all.values()[0]);
    });
    const std::vector<std::int64_t> x{3, 1, 4, 1, 5, 9};
    std::vector<std::int64_t> y(6);
    CHECK(std::get<0>(kernel(x, y)).get<std::int64_t>() == 314159);
    CHECK(y == std::vector<std::int64_t>{3, 31, 314, 3141, 31415, 314159});
}

TEST_CASE("states: inner loops and a start from other states", "[jit][program][reduce]") {
    const auto top = top_two<double>();
    const auto kernel = jit([&](In x) {
        Accumulator two(top);
        two.add(55.5, 11.0);
        for (Index i : prange(x.extent(0)))
            for (Index j : range(x.extent(1))) two.add(std::tuple(x(i, j), -1e300));
        return std::tuple(two.values()[0], two.values()[1]);
    });
    const Array x = empty({30, 20}, f64);
    for (std::int64_t i = 0; i < 600; ++i)
        reinterpret_cast<double*>(x.data())[i] = static_cast<double>(i % 55);
    const std::vector<Scalar> got = of_any_threads(kernel, x);
    CHECK(real_of(got[0]) == 55.5);
    CHECK(real_of(got[1]) == 54);
}

namespace {

/// The Error of a kernel whose loop uses an accumulator of this reduction.
template <class R, class F> Error refusal(const R& r, F body) {
    const auto kernel = jit([&](In x) {
        Accumulator a(r);
        for (Index i : prange(x.extent(0))) body(a, x, i);
        return Value(a.value());
    });
    return error_of([&] { kernel(std::vector<double>{1, 2, 3}); });
}

}  // namespace

TEST_CASE("states: what is refused", "[jit][program][reduce]") {
    const auto add = [](auto& a, const In& x, const Index& i) { a.add(x(i)); };
    const auto line = [](const Error& e) { return e.line(); };
    SECTION("a combine with a branch") {
        const auto r = reduction("r", 0.0, [](Value a, Value b) {
            Var v = a;
            if_(b > a, [&] { v = b; });
            return Value(v);
        });
        const Error e = refusal(r, add);
        CHECK(line(e) == __LINE__ - 5);
        CHECK(e.kind() == ErrorKind::usage);
        CHECK(e.message() ==
              "the combine of r has a Var or Local: it computes a state of two, and nothing else");
        CHECK(e.hint() ==
              "choose values by select(condition, a, b); work of one element belongs before add");
    }
    SECTION("a combine with a loop") {
        const auto r = reduction("r", 0.0, [](Value a, Value b) {
            while_(true, [&] {});
            return a + b;
        });
        const Error e = refusal(r, add);
        CHECK(line(e) == __LINE__ - 4);
        CHECK(e.message() ==
              "the combine of r has a loop: it computes a state of two, and nothing else");
    }
    SECTION("a combine that reads an array, and one that stores to one") {
        for (const bool stores : {false, true}) {
            const auto kernel = jit([&](InOut x) {
                const auto r = reduction("r", 0.0, [&](Value a, Value b) {
                    if (stores) x(0) = a;
                    return a + x(0) + b;
                });
                Accumulator total(r);
                for (Index i : prange(x.extent(0))) total.add(x(i));
                return Value(total.value());
            });
            std::vector<double> x{1, 2, 3};
            const Error e = error_of([&] { kernel(x); });
            CHECK(line(e) == (stores ? __LINE__ - 9 : __LINE__ - 8));
            CHECK(e.message() == "an array of another kernel is used here");
        }
    }
    SECTION("a result that is wider than the state") {
        const auto r =
            reduction("r", std::int32_t(0), [](Value a, Value b) { return a + b * 0.5; });
        const Error e = refusal(r, [](auto& a, const In&, const Index&) { a.add(1); });
        CHECK(line(e) == __LINE__ - 2);
        CHECK(e.kind() == ErrorKind::type);
        CHECK(e.message() == "f64 is no part of r, which is i32, without narrowing");
    }
    SECTION("a value that is wider than the state") {
        const auto r = reduction("r", std::int32_t(0), [](Value a, Value b) { return a + b; });
        const Error e = refusal(r, add);
        CHECK(e.message() == "f64 is no part of r, which is i32, without narrowing");
    }
    SECTION("another use in the loop") {
        const auto r = reduction("r", 0.0, [](Value a, Value b) { return a * b; });
        const Error e =
            refusal(r, [](auto& a, const In& x, const Index& i) { a.add(x(i) * a.value()); });
        CHECK(line(e) == __LINE__ - 1);
        CHECK(e.message().starts_with("an iteration of a prange reads the Var of line "));
    }
    SECTION("16-bit floats") {
        const auto r = reduction("r", float16(0), [](Value a, Value b) { return a + b; });
        const Error e = refusal(r, [](auto& a, const In&, const Index&) { a.add(1); });
        CHECK(e.message().ends_with("would round after every step"));
    }
}
