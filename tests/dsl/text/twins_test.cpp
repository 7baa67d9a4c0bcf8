// For each construct a lambda and a text that say the same: their kernels are the same text.
#include "tests/catch.h"

#include <kiln/kiln.h>
#include <kiln/text.h>

#include <sstream>
#include <string>

using namespace kiln;

namespace {

/// A kernel's text without the lines of its source.
std::string canonical(const std::string& text) {
    std::istringstream lines(text);
    std::string line, all;
    while (std::getline(lines, line)) {
        line = line.substr(0, line.find("  ; "));
        all += line + "\n";
    }
    return all;
}

template <class F>
void twins(const char* text, F lambda, std::initializer_list<ArgType> types,
           const std::vector<std::string>& params) {
    const Ufunc a = vectorize("f", lambda, {.params = params});
    const Ufunc b = text::vectorize(text, "f");
    CHECK(canonical(b.inspect(Artifact::ir, types)) == canonical(a.inspect(Artifact::ir, types)));
}

template <class R, class F>
void loop_twins(const char* text, F lambda, std::initializer_list<ArgType> types,
                const std::vector<std::string>& params) {
    const auto a = jit("f", lambda, {.params = params});
    const auto b = text::jit<R>(text, "f");
    CHECK(canonical(b.inspect(Artifact::ir, types)) == canonical(a.inspect(Artifact::ir, types)));
}

}  // namespace

TEST_CASE("twins: operators, functions, conversions", "[dsl][text]") {
    twins("auto f(auto a, auto x, auto y) { return a * x + y; }",
          [](Value a, Value x, Value y) { return a * x + y; }, {f32, f32[1], f32[1]},
          {"a", "x", "y"});
    twins("double f(double x, int n) { return -x / (n % 3) - (n << 2); }",
          [](Value x, Value n) {
              const Value minus = -x;
              const Value r = minus / (n % 3);
              return r - (n << 2);
          },
          {f64[1], i32[1]}, {"x", "n"});
    twins("float f(float x, long n) { return static_cast<float>(n) * x; }",
          [](Value x, Value n) { return cast<float>(n) * x; }, {f32[1], i64[1]}, {"x", "n"});
    twins("int f(short a, short b) { return a * b; }",
          [](Value a, Value b) {
              const Value wide = cast<int>(a);
              return wide * cast<int>(b);
          },
          {i16[1], i16[1]}, {"a", "b"});
    twins(
        "double f(double x) { const double a = sin(x), b = std::exp(-x); return kiln::maximum(a, "
        "b); }",
        [](Value x) {
            const Value a = sin(x), b = exp(-x);
            return maximum(a, b);
        },
        {f64[1]}, {"x"});
    twins("double f(double x) { return x < 0 || isnan(x) ? 0.5 : sqrt(x); }",
          [](Value x) {
              const Value c = x < 0 || isnan(x);
              return select(c, 0.5, sqrt(x));
          },
          {f64[1]}, {"x"});
    twins("double g(double x) { return x * x; } double f(double x) { return g(x) + 1; }",
          [](Value x) { return x * x + 1; }, {f64[1]}, {"x"});
    twins("double f(double x, unsigned char n) { return logaddexp(x, 2.0) > 1 ? ~n : +n; }",
          [](Value x, Value n) {
              const Value c = logaddexp(x, Value(f64(2.0))) > 1.0;
              const Value wide = cast<int>(n);
              return cast<double>(select(c, ~wide, wide));
          },
          {f64[1], u8[1]}, {"x", "n"});
}

TEST_CASE("twins: variables and flow", "[dsl][text]") {
    twins(R"(
int f(double x) {
    int n = 0;
    double y = x;
    while (y > 1 && n < 50) {
        y /= 2;
        n += 1;
    }
    return n;
})",
          [](Value x) {
              Var n(i32, 0);
              Var y = x;
              while_(
                  [&] {
                      const Value more = y > 1.0;
                      return more && n < 50;
                  },
                  [&] {
                      y /= 2.0;
                      n += 1;
                  });
              return Value(n);
          },
          {f64[1]}, {"x"});
    twins(R"(
double f(double x) {
    double r = 0;
    if (x > 1)
        r = x;
    else if (x > 0)
        r = 2 * x;
    else
        r = -1;
    return r;
})",
          [](Value x) {
              Var r(f64, 0);
              if_(x > 1.0, [&] { r = x; })
                  .else_if([&] { return x > 0.0; }, [&] { r = 2.0 * x; })
                  .else_([&] { r = -1.0; });
              return Value(r);
          },
          {f64[1]}, {"x"});
    // What returns early puts the rest into the other branch.
    twins(R"(
double f(double x) {
    if (x < 0) return 0;
    const double y = sqrt(x);
    return y + 1;
})",
          [](Value x) {
              Var r(f64, 0);
              if_(x < 0.0, [&] { r = 0.0; }).else_([&] {
                  const Value y = sqrt(x);
                  r = y + 1.0;
              });
              return Value(r);
          },
          {f64[1]}, {"x"});
    twins(
        R"(
int f(int n) {
    int r = 1;
    switch (n) {
        case 0: r = 5; break;
        case 1: r = 6; break;
        default: r = n;
    }
    return r;
})",
        [](Value n) {
            Var r(i32, 1);
            if_(n == 0, [&] { r = 5; }).else_if([&] { return n == 1; }, [&] { r = 6; }).else_([&] {
                r = n;
            });
            return Value(r);
        },
        {i32[1]}, {"n"});
    twins(R"(
struct P { double x, y; };
double f(double a, double b) {
    P p{a, b};
    p.x += p.y;
    return p.x;
})",
          [](Value a, Value b) {
              Var x = a, y = b;
              const Value right = y;
              x = x + right;
              return Value(x);
          },
          {f64[1], f64[1]}, {"a", "b"});
}

TEST_CASE("twins: loops over arrays", "[dsl][text]") {
    loop_twins<void>(R"(
void f(View<const double, 1> x, View<double, 1> y, double a) {
    for (long i : prange(x.extent(0))) y(i) = a * x(i);
})",
                     [](In x, InOut y, Value a) {
                         for (Index i : prange(x.extent(0))) y(i) = a * x(i);
                     },
                     {f64[1], f64[1], f64}, {"x", "y", "a"});
    // A native loop over int is the same counted loop.
    loop_twins<Scalar>(R"(
double f(View<const double, 2> x) {
    double sum = 0;
    for (long i : prange(x.extent(0)))
        for (int j = 1; j < x.extent(1); j += 2) sum += x(i, j - 1);
    return sum;
})",
                       [](In x) -> Value {
                           Var sum(f64, 0);
                           for (Index i : prange(x.extent(0)))
                               for (Index j : range(1, x.extent(1), 2)) sum += x(i, j - 1);
                           return sum;
                       },
                       {f64[2]}, {"x"});
    loop_twins<void>(R"(
void f(View<double, 1> x) {
    for (long i = x.extent(0) - 1; i >= 0; --i) {
        if (x(i) < 0) continue;
        if (x(i) > 9) break;
        x(i) += 1;
    }
})",
                     [](InOut x) {
                         const Value last = x.extent(0) - 1;
                         for (Index i : range(last, -1, -1)) {
                             if_(x(i) < 0.0, [&] { continue_(); });
                             if_(x(i) > 9.0, [&] { break_(); });
                             x(i) += 1.0;
                         }
                     },
                     {f64[1]}, {"x"});
    loop_twins<void>(R"(
void f(View<const int, 1> at, View<long, 1> counts) {
    for (long i : prange(at.extent(0))) atomic_add(counts(at(i)), 1);
})",
                     [](In at, InOut counts) {
                         for (Index i : prange(at.extent(0))) atomic_add(counts(at(i)), 1);
                     },
                     {i32[1], i64[1]}, {"at", "counts"});
    loop_twins<void>(R"(
void f(View<const double, 1> x, View<double, 1> y) {
    for (long i : prange(2, x.extent(0))) {
        double w[3] = {};
        for (long k = 0; k < 3; ++k) w[k] = x(i - k) * k;
        y(i) = w[0] + w[2];
    }
})",
                     [](In x, InOut y) {
                         for (Index i : prange(2, x.extent(0))) {
                             Local w(f64, 3);
                             for (Index k : range(3)) w(k) = x(i - k) * k;
                             const Value first = w(0);
                             y(i) = first + w(2);
                         }
                     },
                     {f64[1], f64[1]}, {"x", "y"});
}

TEST_CASE("twins: complex numbers", "[dsl][text]") {
    twins(R"(
int f(std::complex<double> c, int limit) {
    std::complex<double> z = 0.0;
    int n = 0;
    while (n < limit && norm(z) <= 4.0) {
        z = z * z + c;
        n += 1;
    }
    return n;
})",
          [](Value c, Value limit) {
              const Value zero = make_complex(f64(0.0), f64(0.0));
              Var z = zero;
              Var n(i32, 0);
              while_(
                  [&] {
                      const Value more = n < limit;
                      return more && norm(z) <= 4.0;
                  },
                  [&] {
                      const Value first = z;
                      z = first * z + c;
                      n += 1;
                  });
              return Value(n);
          },
          {c128[1], i32}, {"c", "limit"});
    twins(R"(
std::complex<float> f(std::complex<float> z, float x) {
    const std::complex<float> w(x, std::abs(z));
    return exp(z / w) - std::conj(w);
})",
          [](Value z, Value x) {
              const Value w = make_complex(x, abs(z));
              const Value e = exp(z / w);
              return e - conj(w);
          },
          {c64[1], f32[1]}, {"z", "x"});
    // A real factor multiplies the parts.
    twins("std::complex<double> f(std::complex<double> z, double x) { return z * x; }",
          [](Value z, Value x) {
              const Value re = real(z) * x;
              return make_complex(re, imag(z) * x);
          },
          {c128[1], f64[1]}, {"z", "x"});
    loop_twins<Scalar>(R"(
std::complex<double> f(View<const std::complex<double>, 1> a) {
    std::complex<double> sum;
    for (long i : prange(a.extent(0))) sum += a(i);
    return sum;
})",
                       [](In a) -> Value {
                           Var sum = make_complex(f64(0.0), f64(0.0));
                           for (Index i : prange(a.extent(0))) sum += a(i);
                           return sum;
                       },
                       {c128[1]}, {"a"});
}

TEST_CASE("twins: lambdas and functions", "[dsl][text]") {
    // Both are written out where they are called.
    twins(R"(
double f(double x, double a) {
    auto scaled = [&](double v) { return a * v; };
    auto square = [](auto v) { return v * v; };
    return square(scaled(x)) + scaled(1);
})",
          [](Value x, Value a) {
              const auto scaled = [&](Value v) { return a * v; };
              const auto square = [](Value v) { return v * v; };
              const Value first = square(scaled(x));
              return first + scaled(f64(1.0));
          },
          {f64[1], f64[1]}, {"x", "a"});
    twins(R"(
template <class F> double twice(F f, double x) { return f(f(x)); }
double f(double x) {
    double sum = 0;
    const auto add = [&sum](double v) { sum += v; };
    add(twice([](double v) { return v + 1; }, x));
    add(x);
    return sum;
})",
          [](Value x) {
              Var sum(f64, 0);
              const Value once = x + 1.0;
              sum += once + 1.0;
              sum += x;
              return Value(sum);
          },
          {f64[1]}, {"x"});
    twins("double f(double x) { return std::max({x, 2.0, 3.0}) + std::min(x, 1.0); }",
          [](Value x) {
              const Value a = select(x < 2.0, f64(2.0), x);
              const Value most = select(a < 3.0, f64(3.0), a);
              return most + select(1.0 < x, f64(1.0), x);
          },
          {f64[1]}, {"x"});
}

TEST_CASE("twins: pointers and references to functions", "[dsl][text]") {
    const auto sum = [](Value x) {
        const Value half = x / 2.0;
        const Value more = half + 1.0;
        return more + sqrt(half);
    };
    for (const char* text : {// Parameters and variables, by name and by address.
                             R"(
double half(double x) { return x / 2; }
double plus_one(double x, double (*g)(double)) { return g(x) + 1; }
double f(double x) {
    double (*const root)(double) = &std::sqrt;
    return plus_one(x, half) + root(half(x));
})",
                             // References, templates, members and constants.
                             R"(
double half(double x) { return x / 2; }
template <double (*G)(double)> double plus_one(double x) { return G(x) + 1; }
struct Step { double (*g)(double); };
constexpr Step step{half};
double rooted(double (&g)(double), double x) { return std::sqrt(g(x)); }
double f(double x) { return plus_one<half>(x) + rooted(*step.g, x); })",
                             // Lambdas without captures.
                             R"(
using Function = double (*)(double);
double called(Function g, double x) { return g(x); }
double f(double x) {
    const Function half = [](double y) { return y / 2; };
    return called(+[](double y) { return y / 2 + 1; }, x) + std::sqrt(half(x));
})"})
        twins(text, sum, {f64[1]}, {"x"});
}

TEST_CASE("twins: references, bindings, do", "[dsl][text]") {
    twins(R"(
void halve(double& x) { x /= 2; }
double f(double x) {
    double y = x;
    double& other = y;
    do {
        halve(other);
    } while (y > 1);
    return y;
})",
          [](Value x) {
              Var y = x;
              Var again(bool_, true);
              while_([&] { return Value(again); },
                     [&] {
                         y /= 2.0;
                         again = y > 1.0;
                     });
              return Value(y);
          },
          {f64[1]}, {"x"});
    twins(R"(
double f(double x) {
    const auto [low, high] = std::make_pair(x - 1, x + 1);
    return low * high;
})",
          [](Value x) {
              const Value low = x - 1.0;
              return low * (x + 1.0);
          },
          {f64[1]}, {"x"});
    loop_twins<void>(
        R"(
void f(View<double, 2> a) {
    for (long i : prange(0, a.extent(0), 1, {.schedule = Schedule::dynamic, .chunk = 8})) {
        auto& first = a(i, 0);
        first *= 2;
    }
})",
        [](InOut a) {
            for (Index i : prange(0, a.extent(0), 1, {.schedule = Schedule::dynamic, .chunk = 8}))
                a(i, 0) *= 2.0;
        },
        {f64[2]}, {"a"});
}
