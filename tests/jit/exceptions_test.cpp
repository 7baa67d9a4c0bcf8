// Floating-point exceptions: a kernel traps nothing and leaves no flag behind that its data do not
// raise, whatever lanes that have no element, or that a condition rules out, compute.
#include "tests/jit/support.h"

#include <cfenv>
#include <cmath>
#include <functional>

#ifdef __GLIBC__

using namespace kiln;
using namespace kiln::test;

namespace {

constexpr int exceptions = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW;

/// Runs f with traps and without flags; whether none was raised. (A trap ends the process.)
template <class F> bool is_silent(F&& f) {
    std::feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(exceptions);
    f();
    fedisableexcept(exceptions);
    const bool silent = std::fetestexcept(exceptions) == 0;
    std::feclearexcept(FE_ALL_EXCEPT);
    return silent;
}

using Unary = std::function<Value(Value)>;
/// A function and numbers; `guarded`: an if_ of the function rules some of them out.
struct Case {
    const char* name;
    Unary f;
    std::vector<double> x;
};

Value where(const Value& condition, const Value& like, const std::function<Value()>& f) {
    Var r(like.dtype(), 0);
    if_(condition, [&] { r = f(); });
    return r;
}

const std::vector<double> positive{0.25, 0.5, 1, 1.5, 2, 3, 0.75},
    zeros_between{0, 1, 2, 0, 3, 0, 0};
const Case cases[] = {
    {"1 / x", [](Value x) { return 1.0 / x; }, positive},
    {"x / x", [](Value x) { return x / x; }, positive},
    {"1 / (x + 1)", [](Value x) { return 1.0 / (x + 1.0); }, positive},
    {"fmod", [](Value x) { return fmod(5.0, x); }, positive},
    {"mod", [](Value x) { return mod(5.0, x); }, positive},
    {"floor_divide", [](Value x) { return floor_divide(5.0, x); }, positive},
    {"rsqrt", [](Value x) { return rsqrt(x); }, positive},
    {"log", [](Value x) { return log(x); }, positive},
    {"log2", [](Value x) { return log2(x); }, positive},
    {"pow", [](Value x) { return pow(x, -0.5); }, positive},
    {"atan2", [](Value x) { return atan2(x, x); }, positive},
    {"asinh", [](Value x) { return asinh(x); }, positive},
    {"acosh", [](Value x) { return acosh(x + 1.0); }, positive},
    {"atanh", [](Value x) { return atanh(x * 0.25); }, positive},
    {"tgamma", [](Value x) { return tgamma(x); }, positive},
    {"lgamma", [](Value x) { return lgamma(x); }, positive},
    {"exp", [](Value x) { return exp(x); }, positive},
    {"cast", [](Value x) { return cast(f32, cast(u64, x)); }, positive},
    {"guarded 1 / x", [](Value x) { return where(x != 0.0, x, [&] { return 1.0 / x; }); },
     zeros_between},
    {"guarded x / x", [](Value x) { return where(x != 0.0, x, [&] { return x / x; }); },
     zeros_between},
    {"guarded log", [](Value x) { return where(x > 0.0, x, [&] { return log(x); }); },
     zeros_between},
    {"guarded sqrt",
     [](Value x) { return where(x >= 0.0, x, [&] { return sqrt(x); }); },
     {-1, 4, 9, -2, 1}},
    {"guarded acosh",
     [](Value x) { return where(x >= 1.0, x, [&] { return acosh(x); }); },
     {-1, 4, 9, 0.5, 1}},
    {"guarded atanh",
     [](Value x) { return where(abs(x) < 1.0, x, [&] { return atanh(x); }); },
     {-1, 0.4, 0.9, -2, 1}},
    {"guarded mod", [](Value x) { return where(x != 0.0, x, [&] { return mod(5.0, x); }); },
     zeros_between},
    {"guarded cast",
     [](Value x) {
         return where(abs(x) < 100.0, x, [&] { return cast(x.dtype(), cast(i32, x)); });
     },
     {1, 2, 60000, 3, -INFINITY}},
    {"guarded square",
     [](Value x) { return where(abs(x) < 10.0, x, [&] { return x * x; }); },
     {1, 2, INFINITY, 3, -1e300}},
    {"guarded difference",
     [](Value x) { return where(isfinite(x), x, [&] { return x - x; }); },
     {1, INFINITY, 2, -INFINITY}},
    {"guarded comparison",
     [](Value x) {
         return where(!isnan(x), x, [&] { return where(x < 2.0, x, [&] { return x; }); });
     },
     {1, NAN, 3}},
    {"while",
     [](Value x) {
         Var r(x.dtype(), 1), k(i32, 0);
         while_(k < 3 && x != 0.0, [&] {
             r = r / x;
             k += 1;
         });
         return Value(r);
     },
     zeros_between},
};

Array tiled(const std::vector<double>& x, std::int64_t n, std::int64_t from, DType t) {
    Array a = empty({n}, f64);
    for (std::int64_t i = 0; i < n; ++i)
        a.at<double>({i}) = x[static_cast<std::size_t>(i * 3 + from) % x.size()];
    return a.astype(t);
}

}  // namespace

TEST_CASE("exceptions: no kernel traps or leaves flags that its data do not raise, for any length",
          "[jit][flags]") {
    for (const Case& c : cases) {
        for (const DType t : {DType::f32, DType::f64, DType::f16}) {
            const auto ufunc = vectorize(c.f);
            const auto loop = jit([&](In x, Out o) {
                for (Index i : range(x.extent(0))) o(i) = c.f(x(i));
            });
            const auto parallel = jit(
                [&](In x, Out o) {
                    for (Index i : prange(x.extent(0))) o(i) = c.f(x(i));
                },
                {.parallel = true});
            const auto total = jit(
                [&](In x) -> Value {
                    Var s(f64, 0);
                    for (Index i : prange(x.extent(0))) s += cast(f64, c.f(x(i)));
                    return s;
                },
                {.parallel = true});
            for (std::int64_t n = 1; n <= 195; n += n < 70 ? 1 : 25) {
                INFO(c.name << " of " << n << " " << name(t));
                const Array x = tiled(c.x, n, n, t), reversed = x.flip(),
                            out = empty({n}, ufunc(x).dtype());
                CHECK(is_silent([&] { ufunc(x, {.out = out}); }));
                CHECK(is_silent([&] { ufunc(reversed, {.out = out}); }));
                CHECK(is_silent([&] { loop(x, out); }));
                CHECK(is_silent([&] { parallel(x, out); }));
                CHECK(is_silent([&] { total(x); }));
            }
        }
    }
}

TEST_CASE("exceptions: first calls, errors, guards by jumps and by what does not change",
          "[jit][flags]") {
    const auto jumps = jit([](In x, Out o) {
        for (Index i : range(x.extent(0))) {
            if_(x(i) == 0.0, [&] {
                o(i) = 0.0;
                continue_();
            });
            o(i) = 1.0 / x(i);
        }
    });
    const auto loads = jit([](In a, In b, Out o) {
        for (Index i : range(b.extent(0))) if_(b(i) != 0.0, [&] { o(i) = a(i) / b(i); });
    });
    const auto fixed = jit([](In x, Out o, Value h) {
        for (Index i : range(x.extent(0))) if_(x(i) > 5.0, [&] { o(i) = 1.0 / h; });
    });
    const auto index = jit([](Out o) {
        for (Index i : range(o.extent(0))) o(i) = exp(1.0 / cast(f64, o.extent(0) - i));
    });
    for (const DType t : {DType::f32, DType::f64}) {
        for (std::int64_t n = 1; n <= 70; ++n) {
            INFO(n << " " << name(t));
            const Array x = tiled(zeros_between, n, n, t), a = ones({n}, t), o = zeros({n}, t);
            CHECK(is_silent([&] { jumps(x, o); }));  // the first one compiles, too
            CHECK(is_silent([&] { loads(a, x, o); }));
            CHECK(is_silent([&] { fixed(x, o, 0.0); }));
            CHECK(is_silent([&] { index(zeros({n})); }));
        }
    }
    const auto checked = vectorize([](Value a, Value b) { return a / b; }, {.checked = true});
    CHECK(is_silent([&] { error_of([&] { checked(ones({50}, i32), zeros({50}, i32)); }); }));
    // Data that do divide by zero trap nothing either; where code says what they raise, it is
    // added.
    const auto divide = vectorize([](Value a, Value b) { return a / b; });
    const auto rounded = vectorize([](Value a, Value b) { return floor(a / b); });
    const Array one = ones({50}), zero = zeros({50}), quotient = divide(one, zero);
    std::feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(exceptions);
    divide(one, zero, {.out = quotient});
    fedisableexcept(exceptions);
    CHECK(std::fetestexcept(exceptions) == FE_DIVBYZERO);
    std::feclearexcept(FE_ALL_EXCEPT);
    CHECK(at(quotient, 49) == HUGE_VAL);
    CHECK(is_silent([&] { rounded(one, zero); }));
}

#endif
