// Division of integers in vectors: every lane as C++ divides, small numbers and large ones.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <fmt/format.h>

#include <array>
#include <limits>
#include <numeric>
#include <random>

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

// ------------------------------------------------------------------------------ fast flags

// Integers are divided by way of floats. What a kernel allows floats must not reach them: any flag,
// any operation, any divisor, in lanes, in what is left over, and in loops of LLVM's.

constexpr const char* operations[] = {"/", "%", "floor_divide", "mod", "fmod", "gcd", "lcm"};
constexpr std::size_t simple = 5;  // of them: the others are loops

std::vector<Value> apply_all(Value a, Value b, std::size_t count) {
    std::vector<Value> r{a / b, a % b, floor_divide(a, b), mod(a, b), fmod(a, b)};
    if (count > simple) {
        r.push_back(gcd(a, b));
        r.push_back(lcm(a, b));
    }
    return r;
}

template <class T> std::array<T, 7> expected(T a, T b) {
    const T q = quotient(a, b), r = rest(a, b);
    const bool down = r != 0 && (r < 0) != (b < 0);
    using U = std::make_unsigned_t<T>;
    const auto magnitude = [](T x) { return static_cast<U>(x < 0 ? U(0) - U(x) : U(x)); };
    const U x = magnitude(a), y = magnitude(b), divisor = std::gcd(x, y);
    const auto multiple = divisor == 0 ? 0 : static_cast<std::uint64_t>(x / divisor) * y;
    return {q,
            r,
            static_cast<T>(q - (down ? 1 : 0)),
            static_cast<T>(r + (down ? b : 0)),
            r,
            static_cast<T>(divisor),
            static_cast<T>(multiple)};
}

template <class T> struct Pairs {
    std::vector<T> a, b;

    /// Of every magnitude, multiples and their neighbours among them.
    Pairs(std::size_t n, std::mt19937_64& random) {
        const auto number = [&] {
            const auto bits = random();
            const auto special = random() % 16;
            if (special == 0) return std::numeric_limits<T>::min();
            if (special < 3) return static_cast<T>(special - 2);  // -1, 0
            const auto shift = random() % (8 * sizeof(T));
            return static_cast<T>(static_cast<T>(bits) >> shift);
        };
        for (std::size_t i = 0; i < n; ++i) {
            b.push_back(number());
            const auto product = static_cast<std::uint64_t>(b[i]) * (random() % 1000);
            a.push_back(i % 2 == 0 ? number() : static_cast<T>(product + random() % 3 - 1));
        }
    }
};

/// The rows of `results` are what the operations give; `divisor`: of all, instead of `p.b`.
template <class T>
void check_rows(const std::vector<T>& results, const Pairs<T>& p, std::size_t n, std::size_t count,
                std::optional<T> divisor = {}) {
    for (std::size_t i = 0; i < n; ++i) {
        const T b = divisor.value_or(p.b[i]);
        const auto right = expected(p.a[i], b);
        for (std::size_t k = 0; k < count; ++k) {
            if (results[k * n + i] == right[k]) continue;
            FAIL(fmt::format("{} of {} and {}: {}, not {} (element {} of {})", operations[k],
                             +p.a[i], +b, +results[k * n + i], +right[k], i, n));
        }
    }
}

constexpr std::size_t lengths[] = {1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 65, 127, 193, 331};

/// Kernels are compiled once, and run on both of these.
template <class T> using TwoPairs = std::array<Pairs<T>, 2>;

template <class T> void check_ufuncs(Fastmath flags, const TwoPairs<T>& both) {
    const UfuncOptions options{.fastmath = flags};
    const auto first = vectorize(
        [](Value a, Value b) { return std::tuple(a / b, a % b, floor_divide(a, b), mod(a, b)); },
        options);
    const auto second = vectorize(
        [](Value a, Value b) { return std::tuple(fmod(a, b), gcd(a, b), lcm(a, b)); }, options);
    const auto call = [&](const Pairs<T>& p, std::size_t n, const auto& b,
                          std::optional<T> divisor) {
        const auto size = static_cast<std::int64_t>(n);
        const Array a = Array::over(const_cast<T*>(p.a.data()), {size});
        std::vector<T> r(7 * n);
        const auto out = [&](std::size_t k) { return Array::over(r.data() + k * n, {size}); };
        first(a, b, {.outs = {out(0), out(1), out(2), out(3)}});
        second(a, b, {.outs = {out(4), out(5), out(6)}});
        check_rows<T>(r, p, n, 7, divisor);
    };
    for (const Pairs<T>& p : both)
        for (const std::size_t n : lengths) {
            const auto size = static_cast<std::int64_t>(n);
            call(p, n, Array::over(const_cast<T*>(p.b.data()), {size}), {});
            const T one = p.b[n];
            call(p, n, full({}, one), one);
        }
}

template <class T> void check_constants(Fastmath flags, const TwoPairs<T>& both, T divisor) {
    const auto divide = [=](Value x) {
        const Value d = cast(dtype_of<T>, divisor);
        return std::tuple(x / d, x % d, floor_divide(x, d), mod(x, d));
    };
    const auto f = vectorize(divide, {.fastmath = flags});
    for (const Pairs<T>& p : both) {
        const auto size = static_cast<std::int64_t>(p.a.size());
        const Array a = Array::over(const_cast<T*>(p.a.data()), {size});
        std::vector<T> r(4 * p.a.size());
        const auto out = [&](std::int64_t k) { return Array::over(r.data() + k * size, {size}); };
        f(a, {.outs = {out(0), out(1), out(2), out(3)}});
        check_rows<T>(r, p, p.a.size(), 4, divisor);
    }
}

/// In loop kernels: lanes of ours where `count` has the loops of gcd, or beside exp; else LLVM's.
template <class T>
void check_loops(Fastmath flags, const TwoPairs<T>& both, T divisor, std::size_t count,
                 bool beside_exp, bool parallel) {
    const auto body = [=](In a, In b, Out by_array, Out by_value, Out by_constant, Value d, In x,
                          Out e) {
        const auto step = [&](const Index& i) {
            const auto store = [&](Out& out, Value by) {
                const auto results = apply_all(a(i), by, count);
                for (std::size_t k = 0; k < count; ++k)
                    out(static_cast<std::int64_t>(k), i) = results[k];
            };
            store(by_array, b(i));
            store(by_value, d);
            store(by_constant, cast(dtype_of<T>, divisor));
            if (beside_exp) e(i) = exp(x(i));
        };
        if (parallel)
            for (Index i : prange(a.extent(0))) step(i);
        else
            for (Index i : range(a.extent(0))) step(i);
    };
    const auto f = jit("divisions", body, {.fastmath = flags, .parallel = parallel});
    const auto run = [&](const Pairs<T>& p, std::size_t n) {
        const auto size = static_cast<std::int64_t>(n), rows = static_cast<std::int64_t>(count);
        const auto over = [&](const std::vector<T>& v) {
            return Array::over(const_cast<T*>(v.data()), {size});
        };
        std::vector<T> r[3];
        std::vector<Array> out;
        for (std::vector<T>& one : r) {
            one.resize(count * n);
            out.push_back(Array::over(one.data(), {rows, size}));
        }
        f(over(p.a), over(p.b), out[0], out[1], out[2], divisor, zeros({size}), zeros({size}));
        check_rows<T>(r[0], p, n, count);
        check_rows<T>(r[1], p, n, count, divisor);
        check_rows<T>(r[2], p, n, count, divisor);
    };
    for (const Pairs<T>& p : both)
        for (const std::size_t n : {std::size_t(3), std::size_t(193), p.a.size()}) run(p, n);
}

template <class T> void check_flags(std::mt19937_64& random) {
    const TwoPairs<T> both = {Pairs<T>(400, random), Pairs<T>(400, random)};
    constexpr Fastmath single[] = {Fastmath::nnan,   Fastmath::ninf,     Fastmath::nsz,
                                   Fastmath::arcp,   Fastmath::contract, Fastmath::afn,
                                   Fastmath::reassoc};
    constexpr std::size_t singles = std::size(single);
    const std::size_t one = random() % singles,
                      other = (one + 1 + random() % (singles - 1)) % singles;
    for (const Fastmath flags : {Fastmath(false), Fastmath(Fastmath::arcp), Fastmath(true),
                                 Fastmath(single[one]), Fastmath(single[other])}) {
        INFO(name(dtype_of<T>) << ", flags " << +flags.bits);
        check_ufuncs<T>(flags, both);
        const T divisors[] = {T(49), T(1), T(-7), both[0].b[random() % 300],
                              both[1].b[random() % 300]};
        for (const T divisor : divisors) check_constants<T>(flags, both, divisor);
        const bool parallel = random() % 2 == 0;
        const auto any = [&] { return divisors[random() % std::size(divisors)]; };
        check_loops<T>(flags, both, any(), simple, false, parallel);
        check_loops<T>(flags, both, any(), simple, true, !parallel);
        check_loops<T>(flags, both, any(), 7, false, parallel);
    }
}

TEST_CASE("division: exact under every fast flag", "[jit][division][flags]") {
    std::mt19937_64 random(1);
    check_flags<std::int8_t>(random);
    check_flags<std::int16_t>(random);
    check_flags<std::int32_t>(random);
    check_flags<std::int64_t>(random);
    check_flags<std::uint8_t>(random);
    check_flags<std::uint16_t>(random);
    check_flags<std::uint32_t>(random);
    check_flags<std::uint64_t>(random);
}

TEST_CASE("division: the pairs that fast flags once made wrong", "[jit][division][flags]") {
    const auto check = [](auto a, auto b, auto q, auto r) {
        using T = decltype(a);
        const auto f = vectorize([](Value x, Value y) { return std::pair(x / y, x % y); },
                                 {.fastmath = Fastmath::arcp});
        std::vector<T> quotients(100), rests(100);
        f(std::vector<T>(100, a), std::vector<T>(100, b), {.outs = {quotients, rests}});
        CHECK(quotients == std::vector<T>(100, T(q)));
        CHECK(rests == std::vector<T>(100, T(r)));
    };
    check(std::uint8_t(1), std::uint8_t(1), 1, 0);
    check(std::int8_t(-44), std::int8_t(-4), 11, 0);
    check(std::int32_t(350098875), std::int32_t(49), 7144875, 0);
    check(std::int64_t(49), std::int64_t(49), 1, 0);
    check(std::uint32_t(4294967295), std::uint32_t(65537), 65535, 0);
}

TEST_CASE("division: floored quotients and remainders of floats are exact under fast flags",
          "[jit][division][flags]") {
    const auto check = [](auto zero) {
        using T = decltype(zero);
        for (const Fastmath flags : {Fastmath(Fastmath::arcp), Fastmath(Fastmath::reassoc),
                                     Fastmath(Fastmath::arcp | Fastmath::contract)}) {
            const auto f = vectorize(
                [](Value a, Value b) {
                    return std::tuple(floor_divide(a, b), mod(a, b), fmod(a, b), a % b);
                },
                {.fastmath = flags});
            std::vector<T> a, b, r[4];
            for (int i = 1; i < 60; ++i)
                for (int k = -40; k < 40; ++k) {
                    a.push_back(T(i * k));
                    b.push_back(T(i));
                }
            for (auto& one : r) one.resize(a.size());
            f(a, b, {.outs = {r[0], r[1], r[2], r[3]}});
            std::size_t wrong = 0;
            for (std::size_t i = 0; i < a.size(); ++i)
                wrong += r[0][i] != a[i] / b[i] || r[1][i] != 0 || r[2][i] != 0 || r[3][i] != 0;
            CHECK(wrong == 0);
        }
    };
    check(float{});
    check(double{});
}

}  // namespace
