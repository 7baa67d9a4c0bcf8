// Random numbers in kernels: the published vectors of Philox, plain C++ models of what is made from
// its words, statistics with fixed seeds, the same numbers for any number of threads.
#include "tests/dsl/trace/tracing.h"
#include "tests/jit/support.h"
#include "tests/oracle/interpreter.h"
#include "tests/runtime/check_error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

using namespace kiln;

namespace {

using Words = std::array<std::uint32_t, 4>;

/// Philox4x32-10 as the paper defines it.
Words philox(Words c, std::array<std::uint32_t, 2> k) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = std::uint64_t(0xD2511F53) * c[0],
                            p1 = std::uint64_t(0xCD9E8D57) * c[2];
        c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
             static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return c;
}
Words words_of(std::uint64_t seed, std::uint32_t stream, std::uint64_t index,
               std::uint32_t draw = 0) {
    return philox(
        {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream, draw},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

/// Word `which` of Philox on the interpreter.
std::uint32_t interpreted(const Words& counter, std::array<std::uint32_t, 2> key,
                          std::size_t which) {
    const test::Traced traced =
        test::trace(std::vector<DType>(6, DType::u32), [which](const std::vector<Value>& x) {
            return random::philox4x32({x[0], x[1], x[2], x[3]}, {x[4], x[5]})[which];
        });
    std::vector<oracle::Argument> given;
    for (const std::uint32_t word : counter) given.push_back(oracle::Argument::value(u32(word)));
    for (const std::uint32_t word : key) given.push_back(oracle::Argument::value(u32(word)));
    std::uint32_t result = 0;
    given.push_back(
        oracle::Argument::array(reinterpret_cast<std::byte*>(&result), DType::u32, {1}));
    REQUIRE(!oracle::interpret(traced.kernel, given));
    return result;
}

struct Known {
    Words counter;
    std::array<std::uint32_t, 2> key;
    Words expected;
};
// kat_vectors of the Random123 distribution, philox4x32 with 10 rounds.
const Known known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

constexpr std::uint64_t seed = 0x123456789abcdef0;
constexpr std::int64_t count = 200'000;

Array indices(std::int64_t n = count) { return arange(n); }

struct Moments {
    double mean = 0, variance = 0, skewness = 0, kurtosis = 0;
};
Moments moments(const Array& x) {
    const Array wide = x.astype(DType::f64);
    Moments m;
    const auto n = static_cast<double>(x.size());
    for (const double v : wide.span<const double>()) m.mean += v / n;
    for (const double v : wide.span<const double>()) {
        const double d = v - m.mean;
        m.variance += d * d / n;
        m.skewness += d * d * d / n;
        m.kurtosis += d * d * d * d / n;
    }
    m.skewness /= std::pow(m.variance, 1.5);
    m.kurtosis /= m.variance * m.variance;
    return m;
}

/// Pearson's statistic of counts that are equally likely.
double chi_square(const std::vector<std::int64_t>& counts, std::int64_t total) {
    const double expected = static_cast<double>(total) / static_cast<double>(counts.size());
    double sum = 0;
    for (const std::int64_t n : counts) {
        const double d = static_cast<double>(n) - expected;
        sum += d * d / expected;
    }
    return sum;
}
/// A bound that a chi-square variable of `freedom` degrees passes with a chance of some 1e-6: mean
/// and five standard deviations.
double chi_square_bound(double freedom) { return freedom + 5 * std::sqrt(2 * freedom); }

template <class T> Ufunc uniform_ufunc(bool parallel = false) {
    return vectorize("uniform", [](Value i) { return random::uniform<T>(seed, 7, i); },
                     {.parallel = parallel});
}
template <class T> Ufunc normal_ufunc(bool parallel = false) {
    return vectorize("normal", [](Value i) { return random::normal<T>(seed, 7, i); },
                     {.parallel = parallel});
}

}  // namespace

TEST_CASE("Philox gives the published words", "[dsl][random]") {
    const auto all =
        vectorize("words", [](Value c0, Value c1, Value c2, Value c3, Value k0, Value k1) {
            return random::philox4x32({c0, c1, c2, c3}, {k0, k1});
        });
    for (const Known& k : known) {
        CHECK(philox(k.counter, k.key) == k.expected);
        for (std::size_t w = 0; w < 4; ++w)
            CHECK(interpreted(k.counter, k.key, w) == k.expected[w]);
        // Enough of them for vectors and their remainder.
        std::vector<Array> in;
        for (const std::uint32_t word : k.counter) in.push_back(full({67}, word));
        for (const std::uint32_t word : k.key) in.push_back(full({67}, word));
        const std::vector<Array> out = all.all(in[0], in[1], in[2], in[3], in[4], in[5]);
        for (std::size_t w = 0; w < 4; ++w)
            for (const std::uint32_t word : out[w].span<const std::uint32_t>())
                CHECK(word == k.expected[w]);
    }
}

TEST_CASE("the key is the seed, the counter index, stream and draw", "[dsl][random]") {
    const auto f = vectorize(
        "words", [](Value s, Value t, Value i, Value d) { return random::words(s, t, i, d)[2]; });
    const std::vector<std::int64_t> index{0, 1, -1, 0x123456789};
    const Array got = f(i64(-5), 3, index, 9);
    for (std::int64_t i = 0; i < 4; ++i) {
        const auto at = static_cast<std::uint64_t>(index[static_cast<std::size_t>(i)]);
        CHECK(got.at<std::uint32_t>({i}) == words_of(static_cast<std::uint64_t>(-5), 3, at, 9)[2]);
    }
}

TEST_CASE("uniform numbers are the upper bits of the words", "[dsl][random]") {
    const Array f = uniform_ufunc<float>()(indices()), d = uniform_ufunc<double>()(indices());
    bool same = true;
    for (std::int64_t i = 0; i < count; ++i) {
        const Words w = words_of(seed, 7, static_cast<std::uint64_t>(i));
        const std::uint64_t bits = std::uint64_t(w[0] >> 5) << 26 | w[1] >> 6;
        same = same && f.at<float>({i}) == static_cast<float>(w[0] >> 8) * 0x1p-24F &&
               d.at<double>({i}) == static_cast<double>(bits) * 0x1p-53;
    }
    CHECK(same);
    const auto all = vectorize("all", [](Value i) { return random::uniforms<float>(seed, 7, i); });
    const std::vector<Array> four = all.all(indices(100));
    for (std::size_t k = 0; k < 4; ++k)
        CHECK(four[k].at<float>({42}) ==
              static_cast<float>(words_of(seed, 7, 42)[k] >> 8) * 0x1p-24F);
    const auto both =
        vectorize("both", [](Value i) { return random::uniforms<double>(seed, 7, i); });
    const std::vector<Array> two = both.all(indices(100));
    const Words w = words_of(seed, 7, 42);
    CHECK(two[0].at<double>({42}) == d.at<double>({42}));
    CHECK(two[1].at<double>({42}) ==
          static_cast<double>(std::uint64_t(w[2] >> 5) << 26 | w[3] >> 6) * 0x1p-53);
}

TEMPLATE_TEST_CASE("uniform numbers have the moments of their distribution", "[dsl][random]", float,
                   double) {
    const Array x = uniform_ufunc<TestType>()(indices());
    const Moments m = moments(x);
    const double n = count;
    CHECK(std::abs(m.mean - 0.5) < 5 * std::sqrt(1 / (12 * n)));
    CHECK(std::abs(m.variance - 1.0 / 12) < 5 * std::sqrt(1 / (180 * n)));
    std::vector<std::int64_t> counts(1000), pairs(32 * 32);
    const auto v = x.span<const TestType>();
    for (std::size_t i = 0; i < v.size(); ++i) {
        REQUIRE(v[i] >= 0);
        REQUIRE(v[i] < 1);
        ++counts[static_cast<std::size_t>(v[i] * 1000)];
        if (i % 2 == 1)
            ++pairs[static_cast<std::size_t>(v[i - 1] * 32) * 32 +
                    static_cast<std::size_t>(v[i] * 32)];
    }
    CHECK(chi_square(counts, count) < chi_square_bound(999));
    CHECK(chi_square(pairs, count / 2) < chi_square_bound(32 * 32 - 1));
}

TEMPLATE_TEST_CASE("normal numbers are those of Box and Muller", "[dsl][random]", float, double) {
    const Array x = normal_ufunc<TestType>()(indices());
    const auto pair = vectorize("pair", [](Value i) {
        const auto z = random::normals<TestType>(seed, 7, i);
        return std::pair{z[0], z[1]};
    });
    const std::vector<Array> both = pair.all(indices(1000));
    constexpr bool single = sizeof(TestType) == 4;
    for (std::int64_t i = 0; i < 1000; ++i) {
        const Words w = words_of(seed, 7, static_cast<std::uint64_t>(i));
        const auto bits = [](std::uint32_t a, std::uint32_t b) {
            return static_cast<double>(std::uint64_t(a >> 5) << 26 | b >> 6);
        };
        const double u = single ? (w[0] + 0.5) * 0x1p-32 : (bits(w[0], w[1]) + 0.5) * 0x1p-53;
        const double v = single ? (w[1] >> 8) * 0x1p-24 : bits(w[2], w[3]) * 0x1p-53;
        const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * std::numbers::pi * v;
        const double near = single ? 4e-6 : 1e-14;
        CHECK(x.at<TestType>({i}) == Approx(radius * std::cos(angle)).epsilon(0).margin(near));
        CHECK(both[0].at<TestType>({i}) == x.at<TestType>({i}));
        CHECK(both[1].at<TestType>({i}) ==
              Approx(radius * std::sin(angle)).epsilon(0).margin(near));
    }
    const Moments m = moments(x);
    const double n = count;
    CHECK(std::abs(m.mean) < 5 / std::sqrt(n));
    CHECK(std::abs(m.variance - 1) < 5 * std::sqrt(2 / n));
    CHECK(std::abs(m.skewness) < 5 * std::sqrt(6 / n));
    CHECK(std::abs(m.kurtosis - 3) < 5 * std::sqrt(24 / n));
    // Equally likely intervals, by the distribution function.
    std::vector<std::int64_t> counts(200);
    for (const TestType z : x.span<const TestType>()) {
        const double p = 0.5 * std::erfc(-static_cast<double>(z) * std::sqrt(0.5));
        ++counts[std::min<std::size_t>(199, static_cast<std::size_t>(p * 200))];
    }
    CHECK(chi_square(counts, count) < chi_square_bound(199));
}

TEST_CASE("integers are Lemire's, without bias", "[dsl][random]") {
    const auto f = vectorize("die", [](Value low, Value high, Value i) {
        return random::integers(low, high, seed, 3, i);
    });
    // Three quarters of all values: the first draw is refused for a quarter of the indices.
    const std::uint32_t range = 0xc0000001;
    const Array wide = f(u32(5), u32(5 + range), indices(20'000));
    std::int64_t redrawn = 0;
    bool same = wide.dtype() == DType::u32;
    for (std::int64_t i = 0; i < 20'000; ++i) {
        std::uint32_t draw = 0;
        std::uint64_t product = 0;
        do {
            product =
                std::uint64_t(range) * words_of(seed, 3, static_cast<std::uint64_t>(i), draw++)[0];
        } while (static_cast<std::uint32_t>(product) < (0u - range) % range);
        redrawn += draw > 1;
        same = same && wide.at<std::uint32_t>({i}) == 5 + static_cast<std::uint32_t>(product >> 32);
    }
    CHECK(same);
    CHECK(redrawn > 4000);

    const Array die = f(i32(-2), i32(4), indices());
    CHECK(die.dtype() == DType::i32);
    std::vector<std::int64_t> counts(6);
    for (const std::int32_t x : die.span<const std::int32_t>()) {
        REQUIRE(x >= -2);
        REQUIRE(x < 4);
        ++counts[static_cast<std::size_t>(x + 2)];
    }
    CHECK(chi_square(counts, count) < chi_square_bound(5));
    test::check_values(f(i32(4), i32(4), indices(3)), {4, 4, 4});
    test::check_values(f(i32(4), i32(-4), indices(3)), {4, 4, 4});
}

TEST_CASE("integers of 64 bits use 64-bit words", "[dsl][random]") {
    const auto f = vectorize("wide", [](Value low, Value high, Value i) {
        return random::integers(low, high, seed, 3, i);
    });
    const std::int64_t low = std::numeric_limits<std::int64_t>::min(),
                       high = std::numeric_limits<std::int64_t>::max() / 2;
    const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
    const Array x = f(i64(low), i64(high), indices(5000));
    bool same = true;
    for (std::int64_t i = 0; i < 5000; ++i) {
        std::uint32_t draw = 0;
        unsigned __int128 product = 0;
        do {
            const Words w = words_of(seed, 3, static_cast<std::uint64_t>(i), draw++);
            product = static_cast<unsigned __int128>(range) * (std::uint64_t(w[1]) << 32 | w[0]);
        } while (static_cast<std::uint64_t>(product) < (std::uint64_t(0) - range) % range);
        const std::uint64_t expected =
            static_cast<std::uint64_t>(low) + static_cast<std::uint64_t>(product >> 64);
        same = same && x.at<std::int64_t>({i}) == static_cast<std::int64_t>(expected);
    }
    CHECK(same);
}

TEST_CASE("random numbers do not depend on the number of threads", "[dsl][random]") {
    const Array i = indices(1'000'003);
    const auto check = [&](const Ufunc& serial, const Ufunc& parallel) {
        const Array expected = serial(i);
        const auto size = static_cast<std::size_t>(expected.nbytes());
        const int before = num_threads();
        for (const int threads : {1, 2, 3, 8}) {
            set_num_threads(threads);
            const Array got = parallel(i);
            CHECK(std::memcmp(got.data(), expected.data(), size) == 0);
        }
        set_num_threads(before);
        // Nor on where in an array, or in how long a one, an index stands.
        const Array part = serial(i(Slice{17, 40, 1}));
        CHECK(std::memcmp(part.data(), expected.data() + 17 * expected.item_size(),
                          static_cast<std::size_t>(part.nbytes())) == 0);
    };
    check(uniform_ufunc<float>(), uniform_ufunc<float>(true));
    check(uniform_ufunc<double>(), uniform_ufunc<double>(true));
    check(normal_ufunc<float>(), normal_ufunc<float>(true));
    check(normal_ufunc<double>(), normal_ufunc<double>(true));
}

TEST_CASE("streams and seeds are independent of each other", "[dsl][random]") {
    const auto f = vectorize(
        "u", [](Value s, Value t, Value i) { return random::uniform<double>(s, t, i) - 0.5; });
    const Array base = f(u64(seed), 0, indices());
    for (const Array& other : {f(u64(seed), 1, indices()), f(u64(seed + 1), 0, indices()),
                               f(u64(seed), 0, arange(1, count + 1))}) {
        double covariance = 0;
        for (std::int64_t i = 0; i < count; ++i)
            covariance += base.at<double>({i}) * other.at<double>({i}) / double(count);
        CHECK(std::abs(covariance * 12) < 5 / std::sqrt(double(count)));
    }
}

TEST_CASE("what random numbers refuse", "[dsl][random]") {
    dsl::Trace trace("test");
    ir::Builder& b = trace.builder();
    const ir::Id extents[] = {b.constant_i64(1)};
    b.begin_stage(extents, false);
    const Value i = trace.value(b.index(0));
    KILN_CHECK_ERROR(random::uniform<float>(1.5, 0, i), type,
                     "the seed of random numbers is of dtype f64, not an integer");
    KILN_CHECK_ERROR(random::uniform<float>(1, 0.5F, i), type,
                     "the stream of random numbers is of dtype f32, not an integer");
    KILN_CHECK_ERROR(random::words(1, 0, i + 0.5), type,
                     "the index of random numbers is of dtype f64, not an integer");
    KILN_CHECK_ERROR(random::uniform(DType::f16, 1, 0, i), type,
                     "random::uniform gives f32 or f64, not f16");
    KILN_CHECK_ERROR(random::normal<int>(1, 0, i), type,
                     "random::normal gives f32 or f64, not i32");
    KILN_CHECK_ERROR(random::integers(0, 2.5, 1, 0, i), type,
                     "random::integers takes integers of a common type, not (i32, f64)");
    KILN_CHECK_ERROR(random::integers(6, 6, 1, 0, i), usage,
                     "random::integers from 6 below 6: there is none");
    b.end();
}
