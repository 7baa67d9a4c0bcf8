// Twins of numbers: operators, conversions, functions.
#include "tests/dsl/text/twins.h"

#include <algorithm>
#include <complex>

using namespace kiln;
using test::loop_twins, test::same, test::twins;

TWIN(arithmetic) {
    twins("auto f(auto a, auto x, auto y) { return a * x + y; }",
          [](Value a, Value x, Value y) { return a * x + y; }, {f32, f32[1], f32[1]});
    twins("double f(double x, int n) { return -x / (n % 3) - (n << 2); }",
          [](Value x, Value n) {
              const Value minus = -x;
              const Value r = minus / (n % 3);
              return r - (n << 2);
          },
          {f64[1], i32[1]});
    twins("int f(short a, short b) { return a * b; }",
          [](Value a, Value b) {
              const Value wide = cast<int>(a);
              return wide * cast<int>(b);
          },
          {i16[1], i16[1]});
    twins("int f(unsigned char a) { return +a; }", [](Value a) { return cast<int>(a); }, {u8[1]});
}

TWIN(bits) {
    twins("int f(int a, long b) { return (a & 7) | (a ^ ~a) | a << b | a >> 2; }",
          [](Value a, Value b) {
              const Value low = a & 7;
              const Value inverse = ~a;
              const Value both = low | (a ^ inverse);
              const Value more = both | (a << cast<int>(b));
              return more | (a >> 2);
          },
          {i32[1], i64[1]});
}

TWIN(comparisons) {
    twins(
        "int f(double a, double b) { return (a < b) + (a > b) + (a <= b) + (a >= b) + (a == b) + "
        "(a != b); }",
        [](Value a, Value b) {
            const Value less = cast<int>(a < b);
            const Value one = less + cast<int>(a > b);
            const Value two = one + cast<int>(a <= b);
            const Value three = two + cast<int>(a >= b);
            const Value four = three + cast<int>(a == b);
            return four + cast<int>(a != b);
        },
        {f64[1], f64[1]});
    // As C++ converts them, not as kiln compares.
    twins("bool f(int a, unsigned b) { return a < b; }",
          [](Value a, Value b) { return cast<unsigned>(a) < b; }, {i32[1], u32[1]});
    // a != b by the == of the class.
    twins(R"(
struct P { double x; bool operator==(const P& o) const { return x == o.x; } };
bool f(double a, double b) { return P{a} != P{b}; })",
          [](Value a, Value b) { return !(a == b); }, {f64[1], f64[1]});
}

TWIN(short_circuit) {
    // What does nothing is evaluated at once.
    twins("bool f(int a, double b) { return a > 1 && !(b > 2) || a == 7; }",
          [](Value a, Value b) {
              const Value positive = a > 1;
              const Value both = positive && !(b > 2.0);
              return both || a == 7;
          },
          {i32[1], f64[1]});
    twins(R"(
int f(int a, int b) {
    int x = a;
    if (a > 0 && (x += b) > 3) x += 100;
    return x;
})",
          [](Value a, Value b) {
              Var x = a;
              const Value first = a > 0;
              Var both = first;
              if_(first, [&] {
                  x += b;
                  both = x > 3;
              });
              if_(both, [&] { x += 100; });
              return Value(x);
          },
          {i32[1], i32[1]});
    twins(R"(
bool f(int a) {
    int x = a;
    return a < 0 || ++x > 3;
})",
          [](Value a) {
              Var x = a;
              const Value first = a < 0;
              Var any = first;
              if_(!first, [&] {
                  x += 1;
                  any = x > 3;
              });
              return Value(any);
          },
          {i32[1]});
}

TWIN(choice) {
    twins("double f(double x) { return x < 0 || isnan(x) ? 0.5 : sqrt(x); }",
          [](Value x) {
              const Value c = x < 0 || isnan(x);
              return select(c, 0.5, sqrt(x));
          },
          {f64[1]});
    twins("double f(double x, unsigned char n) { return logaddexp(x, 2.0) > 1 ? ~n : +n; }",
          [](Value x, Value n) {
              const Value c = logaddexp(x, Value(f64(2.0))) > 1.0;
              const Value wide = cast<int>(n);
              return cast<double>(select(c, ~wide, wide));
          },
          {f64[1], u8[1]});
    twins(
        R"(
int f(int a) {
    int x = a;
    return a > 2 ? x *= 2 : x;
})",
        [](Value a) {
            Var x = a;
            Var chosen(i32, 0);
            const Value c = a > 2;
            if_(c, [&] {
                x *= 2;
                chosen = x;
            }).else_([&] { chosen = x; });
            return Value(chosen);
        },
        {i32[1]}, "    write v1, i32(0)\n");
    twins(
        R"(
struct P { double x, y; };
double f(double a) {
    const P p = a > 0 ? P{a, 1} : P{2, a};
    return p.x * p.y;
})",
        [](Value a) {
            Var x(f64, 0), y(f64, 0);
            if_(a > 0.0, [&] {
                x = a;
                y = 1.0;
            }).else_([&] {
                x = 2.0;
                y = a;
            });
            const Value first = x;
            return first * y;
        },
        {f64[1]}, "    write v0, f64(0)\n    write v1, f64(0)\n");
}

TWIN(literals) {
    twins("double f(double x, unsigned n) { return x * 1.5f + (n + 7u) * true + 'a'; }",
          [](Value x, Value n) {
              const Value product = x * 1.5;
              const Value sum = n + 7;
              const Value all = product + cast<double>(sum * u32(1u));
              return all + 97.0;
          },
          {f64[1], u32[1]});
    twins(R"(
using namespace std::complex_literals;
std::complex<double> f(std::complex<double> z) { return z * 2i; })",
          [](Value z) { return z * c128(std::complex<double>(0, 2)); }, {c128[1]});
}

TWIN(conversions) {
    twins("float f(float x, long n) { return static_cast<float>(n) * x; }",
          [](Value x, Value n) { return cast<float>(n) * x; }, {f32[1], i64[1]});
    twins("double f(int n) { return (double)n + double(n > 2) + float(n); }",
          [](Value n) {
              const Value wide = cast<double>(n);
              const Value sum = wide + cast<double>(n > 2);
              return sum + cast<double>(cast<float>(n));
          },
          {i32[1]});
    twins("long f(double x, unsigned char n) { (void)n; return int(x) + (x ? n : short(n)); }",
          [](Value x, Value n) {
              const Value whole = cast<int>(x);
              const Value any = cast<bool>(x);
              const Value wide = cast<int>(n);
              return cast<long>(whole + select(any, wide, cast<int>(cast<short>(n))));
          },
          {f64[1], u8[1]});
    twins("int f(bool b) { return -int(b); }", [](Value b) { return -cast<int>(b); }, {bool_[1]});
}

TWIN(updates) {
    twins(R"(
int f(int n) {
    int x = 0;
    x = (n += 2, n * 3);
    const int was = x++;
    --n;
    return was + n;
})",
          [](Value a) {
              Var n = a, x(i32, 0);
              n += 2;
              x = n * 3;
              const Value was = x;
              x = was + 1;
              n -= 1;
              return was + n;
          },
          {i32[1]});
    twins(R"(
unsigned f(unsigned a, double b) {
    unsigned x = a;
    x -= 3;
    x *= a;
    x |= 8;
    x <<= 2;
    x += b;
    return x;
})",
          [](Value a, Value b) {
              Var x = a;
              x -= 3;
              x *= a;
              x |= 8;
              x = x << 2;
              x = cast<unsigned>(cast<double>(x) + b);
              return Value(x);
          },
          {u32[1], f64[1]});
}

TWIN(library) {
    twins(
        "double f(double x) { const double a = sin(x), b = std::exp(-x); return kiln::maximum(a, "
        "b); }",
        [](Value x) {
            const Value a = sin(x), b = exp(-x);
            return maximum(a, b);
        },
        {f64[1]});
    twins("double f(double x) { return std::max({x, 2.0, 3.0}) + std::min(x, 1.0); }",
          [](Value x) {
              const Value a = select(x < 2.0, f64(2.0), x);
              const Value most = select(a < 3.0, f64(3.0), a);
              return most + select(1.0 < x, f64(1.0), x);
          },
          {f64[1]});
    twins(
        "float f(float x, float y) { return std::hypot(x, y) + std::atan2(y, 2.0f) + std::fma(x, "
        "y, 1.0f); }",
        [](Value x, Value y) {
            const Value h = hypot(x, y);
            const Value sum = h + atan2(y, 2.0);
            return sum + fma(x, y, 1.0);
        },
        {f32[1], f32[1]});
}

TWIN(powers) {
    twins("long f(long a) { return kiln::pow(a, 5l); }", [](Value a) { return pow(a, 5); },
          {i64[1]});
    twins("long f(long a, long n) { return kiln::pow(a, n); }",
          [](Value a, Value n) { return pow(a, n); }, {i64[1], i64[1]});
    twins("double f(double a, double n) { return std::pow(a, n) + kiln::pow(a, 0.5); }",
          [](Value a, Value n) {
              const Value first = pow(a, n);
              return first + pow(a, f64(0.5));
          },
          {f64[1], f64[1]});
}

TWIN(complex_numbers) {
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
          {c128[1], i32});
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
          {c64[1], f32[1]});
    // A real factor multiplies the parts.
    twins("std::complex<double> f(std::complex<double> z, double x) { return z * x; }",
          [](Value z, Value x) {
              const Value re = real(z) * x;
              return make_complex(re, imag(z) * x);
          },
          {c128[1], f64[1]});
    twins(
        "double f(std::complex<double> z, std::complex<double> w) { return -z == w ? z.real() : "
        "w.imag(); }",
        [](Value z, Value w) {
            const Value c = -z == w;
            const Value re = real(z);
            return select(c, re, imag(w));
        },
        {c128[1], c128[1]});
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
                       {c128[1]});
}

TWIN(functions) {
    twins(R"(
double scaled(double x, double by = 2.5) { return x * by; }
int scaled(int x) { return x; }
template <class T> T square(T x) { return x * x; }
template <int N> int plus(int x) { return x + N; }
constexpr int factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }
double f(double x, int n) { return square(scaled(x)) + scaled(n) + plus<3>(n) + factorial(4); })",
          [](Value x, Value n) {
              const Value by = x * 2.5;
              const Value square = by * by;
              const Value one = square + cast<double>(n);
              const Value two = one + cast<double>(n + 3);
              return two + 24.0;
          },
          {f64[1], i32[1]});
    // A parameter that changes is a variable.
    twins("double g(double y) { y *= 2; return y + 1; } double f(double x) { return g(x); }",
          [](Value x) {
              Var y = x;
              y *= 2.0;
              return y + 1.0;
          },
          {f64[1]});
}

TWIN(lambdas) {
    // They are written out where they are called.
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
          {f64[1], f64[1]});
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
          {f64[1]});
    // Copies are those of the time when it is made.
    twins(R"(
double f(double x) {
    double y = x;
    const auto more = [y, by = x * 3](double v) { return v * by + y; };
    y = 0;
    return more(2) + y;
})",
          [](Value x) {
              Var y = x;
              const Value was = y, by = x * 3.0;
              y = 0.0;
              const Value product = 2.0 * by;
              const Value more = product + was;
              return more + y;
          },
          {f64[1]});
}

TWIN(function_pointers) {
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
        twins(text, sum, {f64[1]});
}
