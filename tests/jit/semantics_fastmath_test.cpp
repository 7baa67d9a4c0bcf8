// Fast-math flags: where they are, what stays strict, that nothing leaks.
#include "tests/jit/semantics.h"
#include "tests/regex.h"

#include <complex>
#include <functional>
#include <random>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace kiln;
using namespace kiln::test;

namespace {

const std::pair<const char*, Fastmath> all_flags[] = {
    {"nnan", Fastmath::nnan},      {"ninf", Fastmath::ninf},         {"nsz", Fastmath::nsz},
    {"arcp", Fastmath::arcp},      {"contract", Fastmath::contract}, {"afn", Fastmath::afn},
    {"reassoc", Fastmath::reassoc}};

bool has_word(const std::string& text, const std::string& word) {
    return is_found(text, "\\b" + word + "\\b");
}
bool has_flags(const std::string& text) {
    return is_found(text, "\\b(fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\\b");
}

std::string stays_strict(const std::string& what, const std::string& flags) {
    return what + " stays strict although " + flags +
           " set: the values that it depends on keep their NaN and infinities";
}

template <class T> Array specials() {
    return row(std::vector<T>{T(nan_value), T(inf), T(-inf), T(0), T(-1.5), T(2)});
}

}  // namespace

TEST_CASE("compiled: fastmath: default off", "[jit][semantics][fastmath]") {
    const auto k = vectorize("k", [](Value a, Value b) {
        return sqrt(abs(a * b + a / b - 1.0)) + exp(a) * minimum(a, b) + fma(a, b, a);
    });
    for (const ArgType t : {f32[1], f64[1]}) {
        CHECK_FALSE(has_flags(k.inspect(Artifact::ir, {t, t})));
        CHECK_FALSE(has_flags(k.inspect(Artifact::llvm, {t, t})));
        CHECK_FALSE(has_flags(k.inspect(Artifact::llvm_opt, {t, t})));
    }
    CHECK(UfuncOptions().fastmath == Fastmath());
}

TEST_CASE(
    "compiled: fastmath: a subset of {nnan, ninf, nsz, arcp, contract, afn, reassoc}, per kernel",
    "[jit][semantics][fastmath]") {
    for (const auto& [flag, set] : all_flags) {
        INFO(flag);
        const auto k = vectorize("k", [](Value a, Value b) { return a * b; }, {.fastmath = set});
        const std::string ir = k.inspect(Artifact::ir, {f32[1], f32[1]});
        CHECK(ir.find("fast(" + std::string(flag) + ")") != std::string::npos);
        const std::string llvm = k.inspect(Artifact::llvm, {f32[1], f32[1]});
        CHECK(llvm.find("fmul " + std::string(flag) + " <") != std::string::npos);
        for (const auto& [other, unused] : all_flags) {
            CHECK(has_word(llvm, other) == (std::string(other) == flag));
        }
    }
    const auto two = vectorize("k", [](Value a, Value b) { return a * b; },
                               {.fastmath = Fastmath::contract | Fastmath::nsz});
    CHECK(two.inspect(Artifact::llvm, {f32[1], f32[1]}).find("fmul nsz contract <") !=
          std::string::npos);
    const auto all = vectorize("k", [](Value a, Value b) { return a * b; }, {.fastmath = true});
    CHECK(all.inspect(Artifact::llvm, {f32[1], f32[1]}).find("fmul fast <") != std::string::npos);
}

TEST_CASE("compiled: fastmath: or per expression", "[jit][semantics][fastmath]") {
    const auto k = vectorize(
        "k", [](Value a, Value b) { return fast(Fastmath::reassoc, [&] { return a * b; }) + a; });
    const std::string llvm = k.inspect(Artifact::llvm, {f64[1], f64[1]});
    CHECK(llvm.find("fmul reassoc <") != std::string::npos);
    CHECK(llvm.find("fadd <") != std::string::npos);
    const auto strict =
        vectorize("k", [](Value a, Value b) { return fast(false, [&] { return a * b; }) + a; },
                  {.fastmath = true});
    const std::string inner = strict.inspect(Artifact::llvm, {f64[1], f64[1]});
    CHECK(inner.find("fmul <") != std::string::npos);
    CHECK(inner.find("fadd fast <") != std::string::npos);
}

TEST_CASE("compiled: fastmath flags allow what they say and no more",
          "[jit][semantics][fastmath]") {
    // (x - y) + y at (0.5, inf), as numba's tests have it.
    const auto make = [](Fastmath flags) {
        return vectorize([](Value x, Value y) { return (x - y) + y; }, {.fastmath = flags});
    };
    const std::vector<Array> x{row(std::vector<double>{0.5}), row(std::vector<double>{inf})};
    check_row(everywhere(make({}), x), std::vector<double>{nan_value});
    check_row(everywhere(make(Fastmath::reassoc), x), std::vector<double>{nan_value});
    check_row(everywhere(make(Fastmath::reassoc | Fastmath::nsz), x), std::vector<double>{0.5});
    // x * y + z at a point where contraction shows: two roundings without `contract`.
    const auto contracted = [](Fastmath flags) {
        return vectorize([](Value a, Value b, Value c) { return a * b + c; }, {.fastmath = flags});
    };
    const double a = 1 + std::ldexp(1.0, -30), c = -(1 + std::ldexp(1.0, -29));
    const std::vector<Array> y{row(std::vector{a}), row(std::vector{a}), row(std::vector{c})};
    check_row(everywhere(contracted(Fastmath::reassoc), y), std::vector<double>{0});
    const double fused = at(everywhere(contracted(Fastmath::contract), y), 0);
    CHECK((fused == 0 || fused == std::ldexp(1.0, -60)));
}

namespace {

/// A function and its value for one number, by the C++ library.
struct Function {
    const char* name;
    std::function<Value(Value)> kernel;
    std::complex<double> (*plain)(std::complex<double>);
};
using Complex = std::complex<double>;

#define KILN_TEST_REAL(id) \
    {#id, [](Value x) { return id(x); }, [](Complex z) { return Complex(std::id(z.real())); }}
#define KILN_TEST_COMPLEX(id) \
    {#id, [](Value x) { return id(x); }, [](Complex z) { return Complex(std::id(z)); }}
const Function real_functions[] = {
    KILN_TEST_REAL(asin),
    KILN_TEST_REAL(acos),
    KILN_TEST_REAL(atan),
    KILN_TEST_REAL(asinh),
    KILN_TEST_REAL(atanh),
    KILN_TEST_REAL(expm1),
    KILN_TEST_REAL(log1p),
    KILN_TEST_REAL(cbrt),
    KILN_TEST_REAL(erf),
    KILN_TEST_REAL(erfc),
    KILN_TEST_REAL(tgamma),
    KILN_TEST_REAL(lgamma),
    KILN_TEST_REAL(floor),
    KILN_TEST_REAL(rint),
    KILN_TEST_REAL(exp2),
    {"sign", [](Value x) { return sign(x); },
     [](Complex z) {
         return Complex(z.real() > 0 ? 1 : z.real() < 0 ? -1 : 0);
     }},
    {"hypot", [](Value x) { return hypot(x, 0.5); },
     [](Complex z) { return Complex(std::hypot(z.real(), 0.5)); }},
    {"logaddexp", [](Value x) { return logaddexp(x, x); },
     [](Complex z) { return Complex(z.real() + std::log(2.0)); }},
    {"mod", [](Value x) { return mod(x, 0.25); },
     [](Complex z) { return Complex(z.real() - 0.25 * std::floor(z.real() / 0.25)); }},
    {"floor_divide", [](Value x) { return floor_divide(x, 0.1); },
     [](Complex z) { return Complex(std::floor(z.real() / 0.1)); }},
    {"heaviside", [](Value x) { return heaviside(x, 0.5); },
     [](Complex z) {
         return Complex(z.real() > 0 ? 1 : z.real() < 0 ? 0 : 0.5);
     }},
};
const Function complex_functions[] = {
    KILN_TEST_COMPLEX(sin),
    KILN_TEST_COMPLEX(cos),
    KILN_TEST_COMPLEX(tan),
    KILN_TEST_COMPLEX(sinh),
    KILN_TEST_COMPLEX(cosh),
    KILN_TEST_COMPLEX(tanh),
    KILN_TEST_COMPLEX(exp),
    KILN_TEST_COMPLEX(log),
    KILN_TEST_COMPLEX(sqrt),
    KILN_TEST_COMPLEX(abs),
    {"reciprocal", [](Value x) { return reciprocal(x); }, [](Complex z) { return 1.0 / z; }},
    {"pow", [](Value x) { return pow(x, 2.5); }, [](Complex z) { return std::pow(z, 2.5); }},
};
#undef KILN_TEST_REAL
#undef KILN_TEST_COMPLEX

/// Far from what it should be: by more than 16 units of the largest part's last place.
bool is_far(Complex got, Complex wanted, double unit) {
    return !(std::abs(got - wanted) <= 16 * unit * std::abs(wanted));
}

void check_near(const Function& f, DType t, Fastmath flags, const std::vector<Complex>& numbers) {
    const auto n = static_cast<std::int64_t>(numbers.size());
    const Array x = Array::copy_of(std::span<const Complex>(numbers)).astype(t, Casting::unsafe);
    const Array ufunc = vectorize(f.kernel, {.fastmath = flags})(x);
    const Array loop = empty({n}, ufunc.dtype());
    jit(
        [&](In a, Out o) {
            for (Index i : range(a.extent(0))) o(i) = f.kernel(a(i));
        },
        {.fastmath = flags})(x, loop);
    const double unit = real_type(t) == DType::f32 ? 0x1p-24 : 0x1p-53;
    for (std::int64_t i = 0; i < n; ++i) {
        const auto given = x.scalar_at({i}).cast(DType::c128).get<Complex>();
        const Complex wanted = f.plain(given);
        for (const Array& result : {ufunc, loop}) {
            const auto got = result.scalar_at({i}).cast(DType::c128).get<Complex>();
            if (is_far(got, wanted, unit))
                FAIL(f.name << " of " << name(t) << " " << given << ": " << got << ", not "
                            << wanted << ", flags " << +flags.bits);
        }
    }
}

}  // namespace

TEST_CASE("compiled: functions of ordinary numbers stay near under every flag",
          "[jit][semantics][fastmath][flags]") {
    const unsigned seed = 1;
    INFO("seed " << seed);
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> part(0.05, 0.95);
    std::vector<Complex> reals, numbers;
    for (int i = 0; i < 100; ++i) {
        reals.emplace_back(part(random));
        numbers.emplace_back(3 * part(random), (i % 2 == 0 ? 2 : -2) * part(random));
    }
    const auto some = [&] { return all_flags[random() % std::size(all_flags)].second; };
    for (const Function& f : real_functions)
        for (const DType t : {DType::f32, DType::f64})
            for (const Fastmath flags : {Fastmath(true), some(), some()})
                check_near(f, t, flags, reals);
    for (const Function& f : complex_functions)
        for (const DType t : {DType::c64, DType::c128})
            for (const Fastmath flags : {Fastmath(true), some(), some()})
                check_near(f, t, flags, numbers);
}

TEST_CASE("compiled: `isnan`, `isinf`, `isfinite`, `x != x` stay strict in fast kernels",
          "[jit][semantics][fastmath]") {
    const UfuncOptions options{.fastmath = true};
    const auto check = [&](const Array& x) {
        INFO(name(x.dtype()));
        const std::vector<int> nan{1, 0, 0, 0, 0, 0}, infinite{0, 1, 1, 0, 0, 0},
            finite{0, 0, 0, 1, 1, 1}, number{0, 1, 1, 1, 1, 1}, not_finite{1, 1, 1, 0, 0, 0};
        const auto truths = [&](auto f, const std::vector<int>& expected) {
            check_truths(everywhere(vectorize(f, options), {x}), expected);
        };
        truths([](Value a) { return isnan(a); }, nan);
        truths([](Value a) { return isinf(a); }, infinite);
        truths([](Value a) { return isfinite(a); }, finite);
        truths([](Value a) { return a != a; }, nan);
        truths([](Value a) { return a == a; }, number);
        // Of computed values, among them those that nnan would fold.
        truths([](Value a) { return isnan(a * 2.0 + 1.0); }, nan);
        truths([](Value a) { return isnan(a - a); }, not_finite);
        truths([](Value a) { return isnan(a * 0.0); }, not_finite);
        truths([](Value a) { return isinf(-a * 3.0); }, infinite);
        truths([](Value a) { return a * 0.5 != a * 0.5; }, nan);
        truths([](Value a) { return isnan(log(a)); }, {1, 0, 1, 0, 1, 0});
        truths([](Value a) { return isinf(log(a)); }, {0, 1, 0, 1, 0, 0});
        truths([](Value a) { return isfinite(exp(a)); }, {0, 0, 1, 1, 1, 1});
        truths([](Value a) { return isnan(sin(a)); }, not_finite);
        // Through variables and branches.
        truths(
            [](Value a) {
                Var v = a * 2.0;
                if_(a < -1.0, [&] { v = v - 1.0; });
                return v != v;
            },
            nan);
        truths(
            [](Value a) {
                Var v = a - a;
                Var found = false;
                if_(isnan(v), [&] { found = true; });
                return found;
            },
            not_finite);
    };
    check(specials<float>());
    check(specials<double>());
    check(specials<double>().astype(DType::f16));
    check(specials<double>().astype(DType::bf16));
    const Array z = specials<double>().astype(DType::c64);
    check_truths(everywhere(vectorize([](Value a) { return isnan(a); }, options), {z}),
                 {1, 0, 0, 0, 0, 0});
    check_truths(everywhere(vectorize([](Value a) { return isfinite(a); }, options), {z}),
                 {0, 0, 0, 1, 1, 1});
}

TEST_CASE("compiled: what a fast kernel computes behind isnan is defined",
          "[jit][semantics][fastmath]") {
    const auto check = [](auto zero) {
        using T = decltype(zero);
        const UfuncOptions options{.fastmath = true};
        const Array x = specials<T>();
        const std::vector<T> expected{0, T(inf), T(-inf), 0, T(-3), 4};
        check_row(everywhere(vectorize([](Value a) { return select(isnan(a), 0.0, a * 2.0); },
                                       {.fastmath = Fastmath::nnan}),
                             {x}),
                  expected);
        const Array finite = everywhere(vectorize(
                                            [](Value a) {
                                                Var v = a * 2.0;
                                                if_(!isfinite(a), [&] { v = -7.0; });
                                                return v;
                                            },
                                            options),
                                        {x});
        check_row(finite, std::vector<T>{T(-7), T(-7), T(-7), 0, T(-3), 4});
    };
    check(float{});
    check(double{});
}

TEST_CASE("compiled: a NaN-dependent branch in an nnan region leaves a remark",
          "[jit][semantics][fastmath]") {
    std::uint32_t line = 0;
    const auto body = [&](Value a) {
        Var v = a * 2.0;
        line = __LINE__ + 1;
        if_(isnan(v), [&] { v = 0.0; });
        return v;
    };
    const auto fast_kernel = vectorize("k", body, {.fastmath = true});
    CHECK(fast_kernel.remarks().empty());
    fast_kernel(ones({10}));
    const std::vector<Remark> expected{{__FILE__, line, stays_strict("isnan", "nnan is")}};
    CHECK(fast_kernel.remarks() == expected);
    // Once, however often the kernel is specialised.
    fast_kernel(ones({10}, DType::f32));
    fast_kernel(ones({10, 3}, DType::f32)(Slice{}, 1));
    fast_kernel(2.0);
    fast_kernel.inspect(Artifact::passes, {f64[1]});
    CHECK(fast_kernel.stats().misses == 4);
    CHECK(fast_kernel.remarks() == expected);

    const auto strict_kernel = vectorize("k", body);
    strict_kernel(ones({10}));
    CHECK(strict_kernel.remarks().empty());
    const auto other = vectorize("k", body, {.fastmath = Fastmath::contract | Fastmath::ninf});
    other(ones({10}));
    CHECK(other.remarks().empty());
}

TEST_CASE("compiled: remarks of the other predicates, and of one fast expression",
          "[jit][semantics][fastmath]") {
    std::uint32_t line = 0;
    const auto all = vectorize(
        [&](Value a) {
            line = __LINE__ + 1;
            Value infinite = isinf(a);
            Value finite = isfinite(a);
            Value differs = a != a;
            Value same = a == a;
            return infinite || finite || differs || same;
        },
        {.fastmath = true});
    all(ones({4}));
    CHECK(all.remarks() ==
          std::vector<Remark>{{__FILE__, line, stays_strict("isinf", "ninf is")},
                              {__FILE__, line + 1, stays_strict("isfinite", "nnan and ninf are")},
                              {__FILE__, line + 2, stays_strict("x != x", "nnan is")},
                              {__FILE__, line + 3, stays_strict("x == x", "nnan is")}});
    const auto one = vectorize([&](Value a) {
        Value quotient = fast(Fastmath::nnan, [&] { return a / 3.0; });
        line = __LINE__ + 1;
        return select(isnan(quotient), 0.0, quotient);
    });
    one(ones({4}));
    CHECK(one.remarks() == std::vector<Remark>{{__FILE__, line, stays_strict("isnan", "nnan is")}});
}

TEST_CASE("compiled: Nothing fast leaks: no process-wide flush-to-zero",
          "[jit][semantics][fastmath]") {
    const double tiny = 4e-310;
    const std::int64_t n = 200'001;
    const Array x = full({n}, tiny);
#if defined(__x86_64__)
    constexpr unsigned control = 0xffc0;  // rounding, masks, FTZ, DAZ; the rest are sticky flags
    const unsigned before = _mm_getcsr() & control;
#endif
    const auto halve_fast = vectorize([](Value a) { return a * 0.5 + exp(a) * 0.0; },
                                      {.fastmath = true, .parallel = true});
    const auto halve = vectorize([](Value a) { return a * 0.5; }, {.parallel = true});
    const Array fast_result = halve_fast(x), result = halve(x);
#if defined(__x86_64__)
    CHECK((_mm_getcsr() & control) == before);
#endif
    // Denormal numbers are kept, in fast kernels too and on every thread.
    bool kept = true;
    for (std::int64_t i = 0; i < n; ++i) {
        kept = kept && fast_result.at<double>({i}) == 2e-310 && result.at<double>({i}) == 2e-310;
    }
    CHECK(kept);
    volatile double mine = tiny;
    CHECK(mine * 0.5 == 2e-310);
    const Array single = full({100}, 1e-40f);
    CHECK(at(vectorize([](Value a) { return a + a; }, {.fastmath = true})(single), 99) ==
          double(1e-40f + 1e-40f));
}

TEST_CASE("compiled: Nothing fast leaks: no flag on another kernel", "[jit][semantics][fastmath]") {
    const auto body = [](Value x, Value y) { return (x - y) + y; };
    const auto relaxed = vectorize("k", body, {.fastmath = true});
    const auto strict = vectorize("k", body);
    const Array x = full({50}, 0.5), y = full({50}, inf);
    relaxed(x, y);  // the same kernel but for the flags: its code must not serve the other
    CHECK(std::isnan(at(strict(x, y), 0)));
    CHECK_FALSE(has_flags(strict.inspect(Artifact::ir, {f64[1], f64[1]})));
    CHECK_FALSE(has_flags(strict.inspect(Artifact::llvm, {f64[1], f64[1]})));
    CHECK(has_flags(relaxed.inspect(Artifact::llvm, {f64[1], f64[1]})));
    // Nor on what is traced after a fast expression, or after one that threw.
    const auto thrown =
        vectorize([](Value a) { return fast(true, [&]() -> Value { return a & 1.5; }); });
    CHECK_THROWS_AS(thrown(x), Error);
    const auto after = vectorize("k", [](Value a) { return a * 3.0; });
    CHECK_FALSE(has_flags(after.inspect(Artifact::llvm, {f64[1]})));
}
