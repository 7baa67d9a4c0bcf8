// Twins of variables and of the flow of control.
#include "tests/dsl/text/twins.h"

using namespace kiln;
using test::loop_twins, test::same, test::twins;

TWIN(variables) {
    twins("double g(double x) { return x * x; } double f(double x) { return g(x) + 1; }",
          [](Value x) { return x * x + 1; }, {f64[1]});
    twins(R"(
double f(double x) {
    double y{}, z = double();
    ;
    {
        const double x = y + 1;
        y = x;
    }
    return y + x + z;
})",
          [](Value x) {
              Var y(f64, 0);
              const Value inner = y + 1.0;
              y = inner;
              const Value sum = y + x;
              return sum + f64(0.0);
          },
          {f64[1]});
}

TWIN(conditions) {
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
          {f64[1]});
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
          {f64[1]});
    twins(R"(
template <int N> int times(int x) {
    if constexpr (N > 1) x *= N;
    return x;
}
int f(int n) {
    int r = times<1>(n);
    if (const int m = times<2>(n); m > 4) r = m;
    return r;
})",
          [](Value n) {
              Var r = n, x = n;
              x *= 2;
              const Value m = x;
              if_(m > 4, [&] { r = m; });
              return Value(r);
          },
          {i32[1]});
}

TWIN(switches) {
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
        {i32[1]});
    // What falls through is written out in both; labels share a branch.
    twins(R"(
int f(int n) {
    int r = 0;
    switch (n) {
        case 0: r = 5; [[fallthrough]];
        case 1: r += 6; break;
        case 2:
        case 3: r = 7; break;
        default: r = n;
    }
    return r;
})",
          [](Value n) {
              Var r(i32, 0);
              if_(n == 0,
                  [&] {
                      r = 5;
                      r += 6;
                  })
                  .else_if([&] { return n == 1; }, [&] { r += 6; })
                  .else_if(
                      [&] {
                          const Value two = n == 2;
                          return two || n == 3;
                      },
                      [&] { r = 7; })
                  .else_([&] { r = n; });
              return Value(r);
          },
          {i32[1]});
    // What returns from within leaves the rest behind a flag.
    twins(R"(
int f(int n) {
    switch (n) {
        case 0: return 5;
        case 1: return 6;
    }
    return n;
})",
          [](Value n) {
              Var r(i32, 0), left(bool_, false);
              if_(n == 0,
                  [&] {
                      r = 5;
                      left = true;
                  })
                  .else_if([&] { return n == 1; },
                           [&] {
                               r = 6;
                               left = true;
                           });
              if_(!left, [&] { r = n; });
              return Value(r);
          },
          {i32[1]});
}

TWIN(while_loops) {
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
          {f64[1]});
    // A do decides at its end, and where it goes on.
    twins(R"(
int f(int n) {
    int r = n, i = 0;
    do {
        if (r > 7) break;
        r *= 2;
        if (r == 3) continue;
        i += 1;
    } while (i < 5);
    return r;
})",
          [](Value n) {
              Var r = n, i(i32, 0), again(bool_, true);
              while_([&] { return Value(again); },
                     [&] {
                         if_(r > 7, [&] { break_(); });
                         r *= 2;
                         if_(r == 3, [&] {
                             again = i < 5;
                             continue_();
                         });
                         i += 1;
                         again = i < 5;
                     });
              return Value(r);
          },
          {i32[1]});
}

TWIN(counted_loops) {
    twins(R"(
int f(int n) {
    int s = 0;
    for (int i = 0; i < 10; ++i) {
        if (i == n) continue;
        s += i;
    }
    return s;
})",
          [](Value n) {
              Var s(i32, 0);
              for (Index at : range(10)) {
                  const Value i = cast<int>(at);
                  if_(i == n, [&] { continue_(); });
                  s += i;
              }
              return Value(s);
          },
          {i32[1]});
    // One that does not count is a while.
    twins(R"(
int f(int n) {
    int s = 0;
    for (int i = 0; i < n; i = 2 * i + 1) s += i;
    return s;
})",
          [](Value n) {
              Var s(i32, 0), i(i32, 0);
              while_([&] { return i < n; },
                     [&] {
                         const Value now = i;
                         s += now;
                         const Value twice = 2 * Value(i);
                         i = twice + 1;
                     });
              return Value(s);
          },
          {i32[1]});
    // One that returns is left, and what follows stands behind a flag.
    twins(R"(
int f(int n) {
    for (int i = 0; i < 100; ++i)
        if (i * i > n) return i;
    return -1;
})",
          [](Value n) {
              Var r(i32, 0), left(bool_, false);
              for (Index at : range(100)) {
                  const Value i = cast<int>(at);
                  if_(i * i > n, [&] {
                      r = i;
                      left = true;
                      break_();
                  });
              }
              if_(!left, [&] { r = -1; });
              return Value(r);
          },
          {i32[1]});
    // By any step, down too; a counter of int is that of i64.
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
                       {f64[2]});
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
                     {f64[1]});
    // Where it subscripts arrays of an element-wise kernel it is written out.
    twins(R"(
double f(double x) {
    double w[2] = {x, 1};
    for (int i = 0; i < 2; ++i) w[i] *= x + i;
    return w[1];
})",
          [](Value x) {
              Var a = x, b(f64, 1);
              a *= x + 0.0;
              b *= x + 1.0;
              return Value(b);
          },
          {f64[1]});
}

TWIN(ranges) {
    loop_twins<void>(R"(
void f(View<const double, 1> x, View<double, 1> y, double a) {
    for (long i : prange(x.extent(0))) y(i) = a * x(i);
})",
                     [](In x, InOut y, Value a) {
                         for (Index i : prange(x.extent(0))) y(i) = a * x(i);
                     },
                     {f64[1], f64[1], f64});
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
        {f64[2]});
    loop_twins<void>(
        "void f(View<long, 1> a) { for (long i : range(1, a.extent(0), 3)) a(i) = i; }",
        [](InOut a) {
            for (Index i : range(1, a.extent(0), 3)) a(i) = i;
        },
        {i64[1]});
    twins(R"(
double f(double x) {
    double w[3] = {x, 1, 2}, s = 0;
    for (double v : w) s += v;
    return s;
})",
          [](Value x) {
              Var a = x, b(f64, 1), c(f64, 2), s(f64, 0);
              for (Var* each : {&a, &b, &c}) {
                  const Value v = *each;
                  s += v;
              }
              return Value(s);
          },
          {f64[1]});
}
