// Twins of arrays, structs, references, and of what kernels are given.
#include "tests/dsl/text/twins.h"

using namespace kiln;
using test::loop_twins, test::same, test::twins;

TWIN(arrays) {
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
                     {f64[1], f64[1]});
    // Of arrays: one after the other; what the list does not have is 0.
    loop_twins<void>(R"(
void f(View<double, 1> y) {
    for (long i : prange(y.extent(0))) {
        double m[2][3] = {{1, 2}};
        m[1][i % 3] += 4;
        y(i) = m[1][2];
    }
})",
                     [](InOut y) {
                         for (Index i : prange(y.extent(0))) {
                             Local m(f64, 6);
                             const Value row = Value(i64(0)) * i64(3);
                             for (Index k : range(3)) m(row + k) = 0.0;
                             m(row + 0) = 1.0;
                             m(row + 1) = 2.0;
                             const Value next = Value(i64(1)) * i64(3);
                             const Value k = i % 3;
                             m(next + k) += 4.0;
                             y(i) = m(next + 2);
                         }
                     },
                     {f64[1]});
    twins(R"(
double f(double x) {
    double w[2] = {x, 1};
    w[0] += w[1];
    return w[0];
})",
          [](Value x) {
              Var a = x, b(f64, 1);
              const Value right = b;
              a += right;
              return Value(a);
          },
          {f64[1]});
}

TWIN(tables) {
    twins(R"(
constexpr double table[3] = {1.5, 2.5, 4};
double f(int i, double x) { return table[i] + table[1] * x; })",
          [](Value i, Value x) {
              const Value k = cast<long>(i);
              const Value one = select(k == 1, f64(2.5), f64(1.5));
              const Value all = select(k == 2, f64(4.0), one);
              return all + 2.5 * x;
          },
          {i32[1], f64[1]});
    // Large ones, and those of arrays, are made where the kernel begins.
    loop_twins<void>(
        R"(
constexpr double rows[2][2] = {{1, 2}, {3, 4}};
void f(View<const long, 1> a, View<double, 1> y) {
    for (long i : prange(y.extent(0))) y(i) = rows[a(i)][1];
})",
        [](In a, InOut y) {
            Local rows(f64, 4);
            for (int i = 0; i < 2; ++i) {
                const Value row = Value(i64(i)) * i64(2);
                rows(row + 0) = 2.0 * i + 1;
                rows(row + 1) = 2.0 * i + 2;
            }
            for (Index i : prange(y.extent(0))) {
                const Value row = a(i) * i64(2);
                y(i) = rows(row + 1);
            }
        },
        {i64[1], f64[1]},
        "    for %0 = i64(0) to i64(4) step i64(1) {\n"
        "      write v0[%0], f64(0)\n    }\n");
}

TWIN(structs) {
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
          {f64[1], f64[1]});
    // Operators, member functions, conversions.
    twins(R"(
struct P {
    double x, y = 3;
    double sum() const { return x + this->y; }
    operator double() const { return x; }
    P& scale(double by) {
        x *= by;
        return *this;
    }
};
P operator+(P a, P b) { return {a.x + b.x, a.y + b.y}; }
double f(double a, double b) {
    P p{a, b};
    p = p + P{1};
    p.scale(2).scale(b);
    return p.sum() * p;
})",
          [](Value a, Value b) {
              Var x = a, y = b;
              const Value left = x, right = y;
              const Value first = left + 1.0, second = right + 3.0;
              x = first;
              y = second;
              x *= 2.0;
              x *= b;
              const Value px = x;
              const Value sum = px + y;
              return sum * x;
          },
          {f64[1], f64[1]});
    // Constructors.
    twins(R"(
struct Counter {
    explicit Counter(int start) : value(start) { value += 1; }
    int value, steps = 2;
};
int f(int a) {
    const Counter c(a);
    return c.value * c.steps;
})",
          [](Value a) {
              Var value = a, steps(i32, 2);
              value += 1;
              const Value v = value;
              return v * steps;
          },
          {i32[1]});
}

TWIN(references) {
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
          {f64[1]});
    // Of members and elements; as results.
    twins(R"(
struct P { double x, y; };
double& second(P& p) { return p.y; }
double f(double a) {
    P p{a, 2};
    second(p) += 1;
    return p.y;
})",
          [](Value a) {
              [[maybe_unused]] Var x = a;
              Var y(f64, 2);
              y += 1.0;
              return Value(y);
          },
          {f64[1]});
    loop_twins<void>(R"(
void f(View<double, 1> a) {
    for (long i : prange(a.extent(0))) {
        const double& last = a(i);
        double& now = a(i);
        now = last * 2;
    }
})",
                     [](InOut a) {
                         for (Index i : prange(a.extent(0))) a(i) = a(i) * 2.0;
                     },
                     {f64[1]});
}

TWIN(bindings) {
    twins(R"(
double f(double x) {
    const auto [low, high] = std::make_pair(x - 1, x + 1);
    return low * high;
})",
          [](Value x) {
              const Value low = x - 1.0;
              return low * (x + 1.0);
          },
          {f64[1]});
    twins(R"(
struct P { double x, y; };
double f(double a) {
    P p{a, 2};
    auto& [x, y] = p;
    y += x;
    return p.y;
})",
          [](Value a) {
              Var x = a, y(f64, 2);
              const Value right = x;
              y += right;
              return Value(y);
          },
          {f64[1]});
    twins(R"(
double f(double a) {
    const auto [x, n, y] = std::make_tuple(a, 2, a + 1);
    return x * n + y;
})",
          [](Value a) {
              const Value y = a + 1.0;
              const Value product = a * 2.0;
              return product + y;
          },
          {f64[1]});
}

TWIN(views) {
    loop_twins<void>(R"(
void f(View<const float, 3> x, auto y, View<const int, 1> at) {
    for (long i : prange(x.extent(0)))
        for (long j : range(y.extent(1))) {
            const long k = at(j);
            y(i, j) = x(i, k, x.extent(2) - 1) + y(i, j);
        }
})",
                     [](In x, InOut y, In at) {
                         for (Index i : prange(x.extent(0)))
                             for (Index j : range(y.extent(1))) {
                                 const Value k = cast<long>(at(j));
                                 const Value e = x(i, k, x.extent(2) - 1);
                                 y(i, j) = e + y(i, j);
                             }
                     },
                     {f32[3], f32[2], i32[1]});
}

TWIN(atomics) {
    loop_twins<void>(R"(
void f(View<const int, 1> at, View<long, 1> counts) {
    for (long i : prange(at.extent(0))) atomic_add(counts(at(i)), 1);
})",
                     [](In at, InOut counts) {
                         for (Index i : prange(at.extent(0))) atomic_add(counts(at(i)), 1);
                     },
                     {i32[1], i64[1]});
    loop_twins<void>(R"(
void f(View<const int, 1> at, View<int, 1> a) {
    for (long i : prange(at.extent(0))) {
        atomic_min(a(0), at(i));
        atomic_max(a(0), at(i));
        atomic_and(a(0), at(i));
        atomic_or(a(0), at(i));
        atomic_xor(a(0), at(i));
    }
})",
                     [](In at, InOut a) {
                         for (Index i : prange(at.extent(0))) {
                             atomic_min(a(0), at(i));
                             atomic_max(a(0), at(i));
                             atomic_and(a(0), at(i));
                             atomic_or(a(0), at(i));
                             atomic_xor(a(0), at(i));
                         }
                     },
                     {i32[1], i32[1]});
}

TWIN(reductions) {
    loop_twins<Scalar>(R"(
double f(View<const double, 1> x) {
    double most = 0;
    long n = 0;
    bool any = false;
    for (long i : prange(x.extent(0))) {
        most = kiln::maximum(most, x(i));
        n += x(i) > 0;
        any |= x(i) < 0;
    }
    return any ? most : n;
})",
                       [](In x) -> Value {
                           Var most(f64, 0), n(i64, 0), any(bool_, false);
                           for (Index i : prange(x.extent(0))) {
                               const Value before = most;
                               most = maximum(before, x(i));
                               const Value counted = cast<long>(x(i) > 0.0);
                               n += counted;
                               const Value below = cast<int>(x(i) < 0.0);
                               any |= cast<bool>(below);
                           }
                           const Value a = any;
                           const Value m = most;
                           return select(a, m, cast<double>(n));
                       },
                       {f64[1]});
}

TWIN(outputs) {
    twins(R"(
void f(double x, double& root, int& n) {
    root = x;
    n = 0;
    while (root > 2) {
        root /= 2;
        ++n;
    }
})",
          [](Value x) {
              Var root(f64, 0), n(i32, 0);
              root = x;
              n = 0;
              while_([&] { return root > 2.0; },
                     [&] {
                         root /= 2.0;
                         n += 1;
                     });
              const Value last = root;
              return std::pair(last, Value(n));
          },
          {f64[1]});
}

TWIN(stencils) {
    same(stencil("f",
                 [](Neighbors a, Value k) {
                     const Value left = a(-1);
                     return k * (left + a(1));
                 },
                 {.boundary = Boundary::nearest}),
         text::stencil("double f(Neighbors<double, 1> a, double k) { return k * (a(-1) + a(1)); }",
                       "f", {.boundary = Boundary::nearest}),
         {f64[1], f64});
}

TWIN(cores) {
    same(guvectorize("f", "(n),()->(n)",
                     [](In x, Value by, Out y) {
                         for (Index i : range(x.extent(0))) y(i) = x(i) * by;
                     }),
         text::guvectorize("void f(View<const double, 1> x, double by, View<double, 1> y) {\n"
                           "    for (long i = 0; i < x.extent(0); ++i) y(i) = x(i) * by;\n}",
                           "f", "(n),()->(n)"),
         {f64[1], f64});
}
