// Division of integers in vectors: every lane as C++ divides, small numbers and large ones.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <limits>

using namespace kiln;

namespace {

template <class T> T quotient(T a, T b) {
    if (b == 0) return 0;
    if (std::is_signed_v<T> && b == T(-1)) return static_cast<T>(0 - static_cast<std::uint64_t>(a));
    return static_cast<T>(a / b);
}
template <class T> T rest(T a, T b) {
    if (b == 0 || (std::is_signed_v<T> && b == T(-1))) return 0;
    return static_cast<T>(a % b);
}

/// Numbers of every magnitude, and the ends of the type's range.
template <class T> std::vector<T> numbers(std::uint64_t seed) {
    std::vector<T> x = {0, 1, T(-1), std::numeric_limits<T>::max(), std::numeric_limits<T>::min()};
    for (int i = 0; i < 3000; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const auto bits = static_cast<T>(seed >> 11);
        const auto shift = static_cast<unsigned>(seed >> 60) * sizeof(T) / 2;
        x.push_back(static_cast<T>(i % 3 == 0 ? bits : bits >> shift));
    }
    return x;
}

template <class T> void check_all() {
    const auto div = vectorize([](Value a, Value b) { return a / b; });
    const auto rem = vectorize([](Value a, Value b) { return a % b; });
    const auto floor_div = vectorize([](Value a, Value b) { return floor_divide(a, b); });
    const auto modulo = vectorize([](Value a, Value b) { return mod(a, b); });
    std::vector<T> a = numbers<T>(1), b = numbers<T>(2);
    std::rotate(b.begin(), b.begin() + 7, b.end());
    // Exact multiples and their neighbours, where a rounded quotient would show.
    for (std::size_t i = 100; i < 2000; ++i) {
        const auto product = static_cast<T>(static_cast<std::uint64_t>(b[i]) *
                                            static_cast<std::uint64_t>(a[i + 1000] % 1000));
        a[i] = static_cast<T>(static_cast<std::uint64_t>(product) + i % 3 - 1);
    }
    const std::size_t n = a.size();
    std::vector<T> q(n), r(n), f(n), m(n);
    div(a, b, {.out = q});
    rem(a, b, {.out = r});
    floor_div(a, b, {.out = f});
    modulo(a, b, {.out = m});
    for (std::size_t i = 0; i < n; ++i) {
        INFO("a = " << +a[i] << ", b = " << +b[i]);
        const T wanted = quotient(a[i], b[i]), left = rest(a[i], b[i]);
        CHECK(q[i] == wanted);
        CHECK(r[i] == left);
        const bool down = left != 0 && (left < 0) != (b[i] < 0);
        CHECK(f[i] == static_cast<T>(wanted - (down ? 1 : 0)));
        CHECK(m[i] == static_cast<T>(left + (down ? b[i] : 0)));
    }
}

/// Whether numbers are divisible by one that they share.
template <class T> void check_divisible() {
    const auto divides = vectorize([](Value a, Value b) { return a % b == 0; });
    const auto leaves = vectorize([](Value a, Value b) { return mod(a, b) != 0; });
    const auto both = vectorize([](Value a, Value b) { return select(a % b == 0, a % b, a); });
    std::vector<T> a = numbers<T>(3);
    const std::vector<T> divisors = numbers<T>(4);
    for (std::size_t k = 0; k < 60; ++k) {
        const T b = k < 5 ? divisors[k] : k < 20 ? static_cast<T>(k - 3) : divisors[k];
        for (std::size_t i = 5; i < a.size(); i += 3) {
            const auto product = static_cast<std::uint64_t>(a[i]) * static_cast<std::uint64_t>(b);
            a[i] = static_cast<T>(product + i % 2);
        }
        // All small, as most are, and of all magnitudes.
        for (const bool small : {true, false}) {
            std::vector<T> x = a;
            if (small)
                for (T& v : x) v = static_cast<T>(v % T(2'000'000));
            const Array in = Array::over(x.data(), {static_cast<std::int64_t>(x.size())});
            const Array yes = divides(in, b), no = leaves(in, b), kept = both(in, b);
            std::size_t wrong = 0;
            for (std::size_t i = 0; i < x.size(); ++i) {
                const bool multiple = rest(x[i], b) == 0;
                const auto at = static_cast<std::int64_t>(i);
                wrong += yes.at<bool>({at}) != multiple || no.at<bool>({at}) == multiple ||
                         kept.at<T>({at}) != (multiple ? T(0) : x[i]);
            }
            INFO("divisor " << +b << (small ? ", small" : ""));
            CHECK(wrong == 0);
        }
    }
}

TEST_CASE("division: whether numbers are divisible by a common one", "[jit][division]") {
    check_divisible<std::int32_t>();
    check_divisible<std::uint32_t>();
    check_divisible<std::int64_t>();
    check_divisible<std::uint64_t>();
    check_divisible<std::int16_t>();
}

TEST_CASE("division: loops whose lanes end at different steps", "[jit][division]") {
    const auto divisors = [](Out count, Value shift) {
        for (Index i : prange(count.extent(0))) {
            const Value n = i + shift;
            Var found(i64, 0), last(i64, 0);
            for (Index d : range(1, 1 + i % 97)) {
                if_(n % d == 0, [&] { found += d; });
                last = d;
            }
            count(i) = found * 1000 + last;
        }
    };
    const auto fast = jit("fast", divisors), checked = jit("checked", divisors, {.checked = true});
    for (const std::int64_t shift : {0LL, -50LL, 4'194'200LL, (1LL << 51) - 100, 1LL << 61}) {
        const Array a = zeros({1000}, i64), b = zeros({1000}, i64);
        fast(a, shift);
        checked(b, shift);
        std::size_t wrong = 0;
        for (std::int64_t i = 0; i < 1000; ++i)
            wrong += a.at<std::int64_t>({i}) != b.at<std::int64_t>({i});
        INFO(shift);
        CHECK(wrong == 0);
    }
}

TEST_CASE("division: 8 and 16 bits", "[jit][division]") {
    check_all<std::int8_t>();
    check_all<std::uint8_t>();
    check_all<std::int16_t>();
    check_all<std::uint16_t>();
}
TEST_CASE("division: 32 bits", "[jit][division]") {
    check_all<std::int32_t>();
    check_all<std::uint32_t>();
}
TEST_CASE("division: 64 bits", "[jit][division]") {
    check_all<std::int64_t>();
    check_all<std::uint64_t>();
}

TEST_CASE("division: all pairs of 8 bits, by a constant too", "[jit][division]") {
    std::vector<std::int8_t> a, b;
    for (int x = -128; x < 128; ++x)
        for (int y = -128; y < 128; ++y) {
            a.push_back(static_cast<std::int8_t>(x));
            b.push_back(static_cast<std::int8_t>(y));
        }
    std::vector<std::int8_t> q(a.size()), r(a.size());
    vectorize([](Value x, Value y) { return std::pair(x / y, x % y); })(a, b, {.outs = {q, r}});
    bool good = true;
    for (std::size_t i = 0; i < a.size(); ++i)
        good = good && q[i] == quotient(a[i], b[i]) && r[i] == rest(a[i], b[i]);
    CHECK(good);
    vectorize([](Value x) { return std::pair(x / 7, x % -5); })(a, {.outs = {q, r}});
    for (std::size_t i = 0; i < a.size(); ++i) good = good && q[i] == a[i] / 7 && r[i] == a[i] % -5;
    CHECK(good);
}

}  // namespace
