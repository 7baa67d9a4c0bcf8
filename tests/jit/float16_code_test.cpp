// 16-bit floats in machine code: operations that an optimiser may narrow, and conversions to them,
// which round once, from every dtype and wherever a conversion is written.
#include "tests/jit/semantics.h"
#include "tests/regex.h"

#include <complex>
#include <functional>
#include <random>

using namespace kiln;
using namespace kiln::test;

namespace {

template <class H> std::vector<H> specials(std::mt19937& random) {
    std::vector<H> x;
    for (const double v : {0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1.5, 3.25, 65504.0, -65504.0, inf, -inf,
                           nan_value, -nan_value, 6e-8, -6e-8, 1000.5})
        x.push_back(convert<H>(v));
    for (int i = 0; i < 8; ++i)
        x.push_back(H::from_bits(static_cast<std::uint16_t>(random() & 0xffff)));
    return x;
}

template <class H> float wide(H x) { return static_cast<float>(x); }

/// NaN equals NaN; of others the bits count.
template <class H> bool same(H a, H b) {
    return a.bits == b.bits || (std::isnan(wide(a)) && std::isnan(wide(b)));
}

float smaller(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return static_cast<float>(nan_value);
    return a < b || (a == b && std::signbit(a)) ? a : b;
}
float larger(float a, float b) {
    if (std::isnan(a) || std::isnan(b)) return static_cast<float>(nan_value);
    return a < b || (a == b && std::signbit(a)) ? b : a;
}

struct Case {
    const char* name;
    std::function<Value(Value, Value)> kernel;
    float (*plain)(float, float);
};
const Case cases[] = {
    {"minimum", [](Value a, Value b) { return minimum(a, b); }, smaller},
    {"maximum", [](Value a, Value b) { return maximum(a, b); }, larger},
    {"fmin", [](Value a, Value b) { return fmin(a, b); },
     [](float a, float b) { return std::isnan(a)   ? b
                                   : std::isnan(b) ? a
                                                   : smaller(a, b); }},
    {"fmax", [](Value a, Value b) { return fmax(a, b); },
     [](float a, float b) { return std::isnan(a)   ? b
                                   : std::isnan(b) ? a
                                                   : larger(a, b); }},
    {"minimum of a number", [](Value a, Value) { return minimum(a, 0.0); },
     [](float a, float) { return smaller(a, 0); }},
    {"clip", [](Value a, Value b) { return clip(a, b, 2.0); },
     [](float a, float b) { return smaller(larger(a, b), 2); }},
    {"select", [](Value a, Value b) { return select(a < b, a, b); },
     [](float a, float b) { return a < b ? a : b; }},
    {"select by a number", [](Value a, Value b) { return select(a >= 0.5, b, 1.0); },
     [](float a, float b) { return a >= 0.5F ? b : 1; }},
    {"sign", [](Value a, Value) { return sign(a); },
     [](float a, float) {
         return std::isnan(a) ? a : a > 0 ? 1.0F : a < 0 ? -1.0F : 0.0F;
     }},
    {"floor", [](Value a, Value) { return floor(a); },
     [](float a, float) { return std::floor(a); }},
    {"ceil", [](Value a, Value) { return ceil(a); }, [](float a, float) { return std::ceil(a); }},
    {"trunc", [](Value a, Value) { return trunc(a); },
     [](float a, float) { return std::trunc(a); }},
    {"rint", [](Value a, Value) { return rint(a); },
     [](float a, float) { return std::nearbyint(a); }},
    {"abs", [](Value a, Value) { return abs(a); }, [](float a, float) { return std::fabs(a); }},
    {"neg", [](Value a, Value) { return -a; }, [](float a, float) { return -a; }},
    {"copysign", [](Value a, Value b) { return copysign(a, b); },
     [](float a, float b) { return std::copysign(a, b); }},
    {"sqrt", [](Value a, Value) { return sqrt(a); }, [](float a, float) { return std::sqrt(a); }},
    {"+", [](Value a, Value b) { return a + b; }, [](float a, float b) { return a + b; }},
    {"-", [](Value a, Value b) { return a - b; }, [](float a, float b) { return a - b; }},
    {"*", [](Value a, Value b) { return a * b; }, [](float a, float b) { return a * b; }},
    {"/", [](Value a, Value b) { return a / b; }, [](float a, float b) { return a / b; }},
    {"fmod", [](Value a, Value b) { return fmod(a, b); },
     [](float a, float b) { return std::fmod(a, b); }},
    {"minimum of rounded sums", [](Value a, Value b) { return minimum(a + b, a * b); },
     [](float a, float b) {
         return smaller(wide(float16(a + b)), wide(float16(a * b)));  // of f16: see below
     }},
};

template <class H> void check_operations(unsigned seed) {
    std::mt19937 random(seed);
    const auto [a, b] = all_pairs(specials<H>(random));
    const std::vector<Array> operands{row(a), row(b)};
    const auto n = static_cast<std::int64_t>(a.size());
    for (const Case& c : cases) {
        if (std::is_same_v<H, bfloat16> && std::string(c.name).ends_with("sums")) continue;
        INFO(name(dtype_of<H>) << " " << c.name << ", seed " << seed);
        Array ufunc = empty({n}, dtype_of<H>);
        const auto f = vectorize(c.kernel);
        for (std::int64_t from = 0; from < n; from += 300) {  // `everywhere` has 331 places
            const Slice some{from, std::min(from + 300, n)};
            ufunc(some).assign(everywhere(f, {operands[0](some), operands[1](some)}));
        }
        Array serial = empty({n}, dtype_of<H>), parallel = empty({n}, dtype_of<H>);
        jit([&](In x, In y, Out o) {
            for (Index i : range(x.extent(0))) o(i) = c.kernel(x(i), y(i));
        })(operands[0], operands[1], serial);
        jit(
            [&](In x, In y, Out o) {
                for (Index i : prange(x.extent(0))) o(i) = c.kernel(x(i), y(i));
            },
            {.parallel = true})(operands[0], operands[1], parallel);
        for (std::int64_t i = 0; i < n; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const H right = H(c.plain(wide(a[at]), wide(b[at])));
            for (const Array* result :
                 std::initializer_list<const Array*>{&ufunc, &serial, &parallel}) {
                REQUIRE(result->dtype() == dtype_of<H>);
                const H got = result->at<H>({i});
                if (same(got, right)) continue;
                FAIL("of " << wide(a[at]) << ", " << wide(b[at]) << ": " << wide(got) << ", not "
                           << wide(right) << (result == &ufunc ? " (ufunc)" : " (loop)"));
            }
        }
    }
}

}  // namespace

TEST_CASE("compiled: operations on f16 and bf16 are those of plain floats, rounded",
          "[jit][float16]") {
    check_operations<float16>(1);
    check_operations<bfloat16>(2);
}

TEST_CASE("compiled: extremes of f16 and bf16 find NaN, in every axis and place",
          "[jit][float16]") {
    for (const DType t : {DType::f16, DType::bf16}) {
        INFO(name(t));
        std::mt19937 random(7);
        for (int round = 0; round < 20; ++round) {
            const std::int64_t rows = 1 + random() % 70, columns = 1 + random() % 70;
            Array x = zeros({rows, columns}, f32);
            std::vector<std::int64_t> nan_column(static_cast<std::size_t>(rows), -1);
            for (std::int64_t r = 0; r < rows; ++r) {
                if (random() % 3 == 0) continue;
                auto& c = nan_column[static_cast<std::size_t>(r)];
                c = static_cast<std::int64_t>(random() % static_cast<unsigned>(columns));
                x.at<float>({r, c}) =
                    static_cast<float>(random() % 2 == 0 ? nan_value : -nan_value);
            }
            const Array h = x.astype(t), across = h.transpose();
            for (const auto extreme :
                 {+[](const Array& a, int axis) { return amax(a, {.axis = axis}); },
                  +[](const Array& a, int axis) { return amin(a, {.axis = axis}); },
                  +[](const Array& a, int axis) { return sum(a, {.axis = axis}); }}) {
                const Array by_row = extreme(h, 1), by_column = extreme(across, 0);
                for (std::int64_t r = 0; r < rows; ++r) {
                    const bool expected = nan_column[static_cast<std::size_t>(r)] >= 0;
                    CHECK(std::isnan(at(by_row, r)) == expected);
                    CHECK(std::isnan(at(by_column, r)) == expected);
                }
            }
            const Array first = argmax(h, {.axis = 1}), least = argmin(across, {.axis = 0});
            for (std::int64_t r = 0; r < rows; ++r) {
                const auto expected =
                    std::max<std::int64_t>(0, nan_column[static_cast<std::size_t>(r)]);
                CHECK(at(first, r) == static_cast<double>(expected));
                CHECK(at(least, r) == static_cast<double>(expected));
            }
        }
    }
}

TEST_CASE("compiled: no operation is left in f16, which would be computed lane by lane",
          "[jit][float16]") {
    const std::string narrow =
        "(minimum|maximum|minnum|maxnum|floor|ceil|trunc|roundeven)\\.v\\d+f16|fcmp \\w+ <\\d+ x "
        "half>";
    for (const Case& c : cases) {
        INFO(c.name);
        const auto ufunc = vectorize(c.kernel);
        CHECK_FALSE(is_found(ufunc.inspect(Artifact::llvm_opt, {f16[1], f16[1]}), narrow));
        const auto loop = jit([&](In x, In y, Out o) {
            for (Index i : range(x.extent(0))) o(i) = c.kernel(x(i), y(i));
        });
        CHECK_FALSE(is_found(loop.inspect(Artifact::llvm_opt, {f16[1], f16[1], f16[1]}), narrow));
    }
}

namespace {

/// The value of the format that is nearest to x, of two such the one whose last digit is 0. Every x
/// of the tests is exact in long double, and so are its distances to its neighbours.
template <class H> H nearest(long double x) {
    H best = H(static_cast<float>(x));
    const auto distance = [&](H h) {
        return std::isinf(wide(h)) ? HUGE_VALL : std::fabs(x - static_cast<long double>(wide(h)));
    };
    if (std::isnan(wide(best))) return best;
    for (const int step : {-1, 1}) {
        const H other = H::from_bits(static_cast<std::uint16_t>(best.bits + step));
        if (std::isnan(wide(other)) || std::signbit(wide(other)) != std::signbit(wide(best)))
            continue;
        const auto d = distance(other), least = distance(best);
        if (d < least || (d == least && best.bits % 2 != 0)) best = other;
    }
    return best;
}

/// Numbers of type T between two neighbours of the format, around the middle.
template <class H, class T> std::vector<T> halfway(std::mt19937_64& random) {
    std::vector<T> x;
    while (x.size() < 3000) {
        const H low = H::from_bits(static_cast<std::uint16_t>(random() & 0x7fff));
        const H high = H::from_bits(static_cast<std::uint16_t>(low.bits + 1));
        if (!std::isfinite(wide(high))) continue;
        long double middle = (static_cast<long double>(wide(low)) + wide(high)) / 2;
        if (std::is_signed_v<T> && random() % 2 == 0) middle = -middle;
        if constexpr (std::is_integral_v<T>) {
            const long double limit =
                std::ldexp(1.0L, 8 * sizeof(T) - (std::is_signed_v<T> ? 1 : 0));
            if (std::fabs(middle) < 4 || std::fabs(middle) > limit - 4) continue;
            const auto m = static_cast<T>(middle);
            for (const int step : {-1, 0, 1})
                if (m != lowest<T> || step != -1)
                    x.push_back(static_cast<T>(m + static_cast<T>(step)));
        } else {
            const auto m = static_cast<T>(middle);
            x.insert(x.end(), {m, std::nextafter(m, T(inf)), std::nextafter(m, T(-inf)),
                               static_cast<T>(m * (1 + T(random() % 1000) * T(1e-12)))});
        }
    }
    return x;
}

template <class H, class T> void check_conversion(std::uint64_t seed) {
    INFO(name(dtype_of<T>) << " to " << name(dtype_of<H>) << ", seed " << seed);
    std::mt19937_64 random(seed);
    std::vector<T> x = halfway<H, T>(random);
    const DType to = dtype_of<H>;
    std::vector<H> right;
    for (const T v : x) right.push_back(nearest<H>(static_cast<long double>(v)));
    const auto n = static_cast<std::int64_t>(x.size());
    const Array in = row(x);
    const auto check = [&](const char* where, const Array& result) {
        REQUIRE(result.dtype() == to);
        for (std::int64_t i = 0; i < n; ++i) {
            const auto k = static_cast<std::size_t>(i);
            if (same(result.at<H>({i}), right[k])) continue;
            FAIL(where << ": " << +x[k] << " gives " << wide(result.at<H>({i})) << ", not "
                       << wide(right[k]));
        }
    };
    check("astype", in.astype(to));
    const auto ufunc = vectorize([=](Value a) { return cast(to, a); });
    check("ufunc", ufunc(in));
    check("ufunc, reversed", ufunc(in.flip()).flip());
    everywhere(ufunc, {in(Slice{0, 100})});
    Array out = empty({n}, to);
    jit([=](In a, Out o) {
        for (Index i : range(a.extent(0))) o(i) = cast(to, a(i));
    })(in, out);
    check("loop", out);
    // Constants are folded; scalars convert as C++ code.
    for (std::int64_t i = 0; i < 12; ++i) {
        const T v = x[static_cast<std::size_t>(i)];
        const H expected = right[static_cast<std::size_t>(i)];
        CHECK(same(Scalar::of(v).cast(to).template get<H>(), expected));
        CHECK(same(convert<H>(v), expected));
        const auto constant =
            vectorize([=](Value a) { return a + cast(to, cast(dtype_of<T>, v)); });
        CHECK(same(constant(full({3}, convert<H>(-0.0F))).template at<H>({1}), expected));
        jit([=](Out o) { o(0) = cast(to, cast(dtype_of<T>, v)); })(out);
        CHECK(same(out.at<H>({0}), expected));
    }
}

}  // namespace

TEST_CASE("compiled: conversions to f16 and bf16 round once", "[jit][float16]") {
    check_conversion<float16, double>(1);
    check_conversion<float16, float>(2);
    check_conversion<float16, std::int64_t>(3);
    check_conversion<float16, std::uint64_t>(4);
    check_conversion<float16, std::int32_t>(5);
    check_conversion<float16, std::uint32_t>(6);
    check_conversion<float16, std::uint16_t>(7);
    check_conversion<bfloat16, double>(11);
    check_conversion<bfloat16, float>(12);
    check_conversion<bfloat16, std::int64_t>(13);
    check_conversion<bfloat16, std::uint64_t>(14);
    check_conversion<bfloat16, std::int32_t>(15);
    check_conversion<bfloat16, std::uint32_t>(16);
    check_conversion<bfloat16, std::int16_t>(17);
    // Beyond the range, and what is no number.
    const auto half = vectorize([](Value a) { return cast(f16, a); });
    const std::vector<double> x{1e300,     -1e300,          inf,   -inf,
                                nan_value, 65519.999999999, 65520, 1e-300};
    const std::vector<double> right{inf, -inf, inf, -inf, nan_value, 65504, inf, 0};
    for (std::size_t i = 0; i < x.size(); ++i) {
        CHECK(same_number(at(half(full({20}, x[i])), 19), right[i]));
        CHECK(same_number(at(full({2}, x[i]).astype(f16), 1), right[i]));
        CHECK(same_number(wide(float16(x[i])), right[i]));
    }
    // The real part of a complex number.
    const double above = 1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -40);
    const Array z = full({20}, std::complex<double>(above, 5));
    CHECK(at(half(z), 7) == 1 + std::ldexp(1.0, -10));
    CHECK(at(z.astype(f16), 7) == 1 + std::ldexp(1.0, -10));
}
