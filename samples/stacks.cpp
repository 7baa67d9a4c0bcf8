// Stacks of small arrays, as generalised ufuncs: quaternions that turn points, systems of three equations,
// a moving mean of each row.
//
// usage: stacks [n]      n: cores of each stack, 200000 by default
#include <kiln/kiln.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "measure.h"

using namespace kiln;

namespace {

// The signatures are read by the compiler of this file, and checked against the lambdas.
const Gufunc turn = guvectorize("turn", "(4),(3)->(3)",
                                [](In q, In v, Out out) {
                                    const Value w = q(0), a = q(1), b = q(2), c = q(3);
                                    const Value x = 2 * (b * v(2) - c * v(1)),
                                                y = 2 * (c * v(0) - a * v(2)),
                                                z = 2 * (a * v(1) - b * v(0));
                                    out(0) = v(0) + w * x + b * z - c * y;
                                    out(1) = v(1) + w * y + c * x - a * z;
                                    out(2) = v(2) + w * z + a * y - b * x;
                                },
                                {.fastmath = true, .parallel = true});

/// Gauss's elimination; the sizes, up to 8, are constants of the code.
const Gufunc solve = guvectorize("solve", "(n,n),(n)->(n)",
                                 [](In a, In b, Out x) {
                                     const Value n = b.extent(0);
                                     Scratch m(a.dtype(), {n, n});
                                     for (Index i : range(n)) {
                                         x(i) = b(i);
                                         for (Index j : range(n)) m(i, j) = a(i, j);
                                     }
                                     for (Index k : range(n))
                                         for (Index i : range(k + 1, n)) {
                                             const Value factor = m(i, k) / m(k, k);
                                             for (Index j : range(k, n))
                                                 m(i, j) -= factor * m(k, j);
                                             x(i) -= factor * x(k);
                                         }
                                     for (Index i : range(n - 1, -1, -1)) {
                                         for (Index j : range(i + 1, n)) x(i) -= m(i, j) * x(j);
                                         x(i) /= m(i, i);
                                     }
                                 },
                                 {.parallel = true});

const Gufunc smooth = guvectorize("smooth", "(n),()->(n)",
                                  [](In x, Value share, Out y) {
                                      Var mean = x(0);
                                      y(0) = mean;
                                      for (Index i : range(1, x.extent(0))) {
                                          mean += share * (x(i) - mean);
                                          y(i) = mean;
                                      }
                                  },
                                  {.fastmath = true, .parallel = true});

[[gnu::noinline]] void plain_turn(const double* q, const double* v, double* out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i, q += 4, v += 3, out += 3) {
        const double x = 2 * (q[2] * v[2] - q[3] * v[1]), y = 2 * (q[3] * v[0] - q[1] * v[2]),
                     z = 2 * (q[1] * v[1] - q[2] * v[0]);
        out[0] = v[0] + q[0] * x + q[2] * z - q[3] * y;
        out[1] = v[1] + q[0] * y + q[3] * x - q[1] * z;
        out[2] = v[2] + q[0] * z + q[1] * y - q[2] * x;
    }
}

[[gnu::noinline]] void plain_smooth(const double* x, double share, double* y, std::size_t rows,
                                    std::size_t n) {
    for (std::size_t r = 0; r < rows; ++r, x += n, y += n) {
        double mean = y[0] = x[0];
        for (std::size_t i = 1; i < n; ++i) y[i] = mean += share * (x[i] - mean);
    }
}

/// Random numbers in [-1, 1).
Array numbers(const Shape& shape) {
    static const Ufunc draw =
        vectorize("draw", [](Value i) { return 2 * random::uniform<double>(1, 0, i) - 1; });
    return draw(arange(element_count(shape), DType::i64)).reshape(shape);
}

/// Compares with what the plain loop stored, within a few roundings of numbers around 1.
bool check(const char* what, const Array& got, const std::vector<double>& want) {
    return samples::agree<double>(what, got.span<const double>(), want,
                                  [](std::size_t) { return 1e-12; });
}

void compare(const char* what, const std::function<void()>& kernel,
             const std::function<void()>& plain) {
    const std::vector<double> ms = samples::medians(15, {kernel, plain});
    std::printf("== %s: %.2f ms, plain loop %.2f ms: %.1f times as fast\n", what, ms[0], ms[1],
                ms[1] / ms[0]);
}

bool turn_points(std::size_t n) {
    const Array q = numbers({n, 4}), v = numbers({n, 3}), out = empty({n, 3});
    std::vector<double> want(3 * n);
    const auto* const quaternions = q.span<const double>().data();
    const auto* const points = v.span<const double>().data();
    samples::first_call("turn", [&] { turn(q, v, {.out = out}); });
    const auto plain = [&] { plain_turn(quaternions, points, want.data(), n); };
    plain();
    bool right = check("a quaternion for each point", out, want);
    compare("turn", [&] { turn(q, v, {.out = out}); }, plain);
    // One quaternion for all of them, and the points as columns.
    const Array one = q.slice(0, {0, 1}).reshape({4});
    const Array columns = turn(one, v.transpose(), {.axes = {0, 0, 0}});
    for (std::size_t i = 0; i < n; ++i)
        plain_turn(quaternions, points + 3 * i, want.data() + 3 * i, 1);
    right = check("one for all, by columns", columns.transpose().copy(), want) && right;
    return right;
}

bool solve_systems(std::size_t n) {
    Array a = numbers({n, 3, 3});
    const Array b = numbers({n, 3});
    for (int i = 0; i < 3; ++i) a.slice(1, {i, i + 1}).slice(2, {i, i + 1}).assign(full({1}, 4.0));
    const Array x = solve(a, b);
    // a x is b again.
    const auto as = a.span<const double>(), xs = x.span<const double>();
    std::vector<double> product(3 * n);
    for (std::size_t r = 0; r < 3 * n; ++r)
        for (std::size_t j = 0; j < 3; ++j) product[r] += as[3 * r + j] * xs[3 * (r / 3) + j];
    for (const CoreResolution::Size& size : solve.resolve({a, b}).sizes)
        std::printf("%s is %lld%s\n", size.name.c_str(), static_cast<long long>(size.size),
                    size.is_constant ? ", a constant of the code" : "");
    return check("systems of three equations", b, product);
}

bool smooth_rows(std::size_t n) {
    const std::size_t rows = n / 100 + 1, columns = 256;
    const Array x = numbers({rows, columns}), y = empty({rows, columns});
    std::vector<double> want(rows * columns);
    smooth(x, 0.1, {.out = y});
    const auto plain = [&] {
        plain_smooth(x.span<const double>().data(), 0.1, want.data(), rows, columns);
    };
    plain();
    const bool right = check("moving means of rows", y, want);
    compare("smooth", [&] { smooth(x, 0.1, {.out = y}); }, plain);
    return right;
}

}  // namespace

int main(int argc, char** argv) try {
    const std::size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
    bool right = turn_points(n);
    right = solve_systems(n) && right;
    right = smooth_rows(n) && right;
    return right ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
