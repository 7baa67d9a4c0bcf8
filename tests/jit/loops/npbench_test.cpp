// The NPBench kernels at their small sizes, against plain loops over the definitions.
#include "tests/catch.h"

#include "tests/bench/npbench/algebra.h"
#include "tests/bench/npbench/points.h"
#include "tests/bench/npbench/stencils.h"

#include <kiln/kiln.h>

#include <cmath>
#include <complex>
#include <random>
#include <vector>

using namespace kiln;

namespace {

/// Numbers of [0, 1), the same in every run.
Array random_array(const Shape& shape, unsigned seed) {
    std::mt19937_64 engine(seed);
    const Array a = empty(shape, DType::f64);
    for (double& x : a.span<double>()) x = static_cast<double>(engine() >> 11) * 0x1p-53;
    return a;
}
template <class F> Array grid(std::int64_t n, std::int64_t m, F f) {
    const Array a = empty({n, m}, DType::f64);
    const auto v = a.view<double, 2>();
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < m; ++j)
            v(i, j) = f(static_cast<double>(i), static_cast<double>(j));
    return a;
}

/// Relative to the element, or to the mean one where that is more.
template <class T> void check_close(const Array& got, const Array& want, double tolerance) {
    const auto g = got.span<const T>(), w = want.span<const T>();
    REQUIRE(g.size() == w.size());
    double mean = 0;
    for (const T x : w) mean += std::abs(static_cast<double>(x)) / static_cast<double>(w.size());
    double worst = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
        const double scale = std::max(mean, std::abs(static_cast<double>(w[i])));
        const double error =
            std::abs(static_cast<double>(g[i]) - static_cast<double>(w[i])) / scale;
        worst = std::isnan(error) ? 1e300 : std::max(worst, error);
    }
    CHECK(worst <= tolerance);
}

const std::vector<JitOptions> all_options{{},
                                          {.fastmath = true},
                                          {.fastmath = true, .parallel = true},
                                          {.parallel = true, .checked = true}};

TEST_CASE("npbench: adi", "[jit][npbench]") {
    const std::int64_t n = 100, steps = 5;
    const double size = static_cast<double>(n);
    const Array start = grid(n, n, [&](double i, double j) { return (i + size - j) / size; });
    const Array want = start.copy();
    std::vector<std::vector<double>> v(100, std::vector<double>(100)), p = v, q = v;
    {
        const auto u = want.view<double, 2>();
        const double m1 = 2.0 / 5 * size * size, m2 = 1.0 / 5 * size * size;
        const double a = -m1 / 2, b = 1 + m2, d = -m2 / 2, e = 1 + m2;
        for (int t = 0; t < 5; ++t) {
            for (int i = 1; i < 99; ++i) {
                v[0][i] = 1, p[i][0] = 0, q[i][0] = 1;
                for (int j = 1; j < 99; ++j) {
                    const double w = a * p[i][j - 1] + b;
                    p[i][j] = -a / w;
                    q[i][j] = (-d * u(j, i - 1) + (1 + 2 * d) * u(j, i) - d * u(j, i + 1) -
                               a * q[i][j - 1]) /
                              w;
                }
                v[99][i] = 1;
                for (int j = 98; j > 0; --j) v[j][i] = p[i][j] * v[j + 1][i] + q[i][j];
            }
            for (int i = 1; i < 99; ++i) {
                u(i, 0) = 1, p[i][0] = 0, q[i][0] = 1;
                for (int j = 1; j < 99; ++j) {
                    const double w = d * p[i][j - 1] + e;
                    p[i][j] = -d / w;
                    q[i][j] = (-a * v[i - 1][j] + (1 + 2 * a) * v[i][j] - a * v[i + 1][j] -
                               d * q[i][j - 1]) /
                              w;
                }
                u(i, 99) = 1;
                for (int j = 98; j > 0; --j) u(i, j) = p[i][j] * u(i, j + 1) + q[i][j];
            }
        }
    }
    for (const JitOptions& options : all_options) {
        const Array u = start.copy();
        npbench::adi(options)(steps, u);
        check_close<double>(u, want, 1e-12);
    }
}

TEST_CASE("npbench: arc_distance, compute, go_fast", "[jit][npbench]") {
    const Array t1 = random_array({1001}, 1), p1 = random_array({1001}, 2),
                t2 = random_array({1001}, 3), p2 = random_array({1001}, 4);
    const Array want = empty({1001}, DType::f64);
    for (std::size_t i = 0; i < 1001; ++i) {
        const auto at = [&](const Array& a) { return a.span<double>()[i]; };
        // The angle between the two directions, by their cross and scalar products.
        const double dp = at(p2) - at(p1);
        const double a = std::cos(at(t2)) * std::sin(dp);
        const double b = std::cos(at(t1)) * std::sin(at(t2)) -
                         std::sin(at(t1)) * std::cos(at(t2)) * std::cos(dp);
        const double c = std::sin(at(t1)) * std::sin(at(t2)) +
                         std::cos(at(t1)) * std::cos(at(t2)) * std::cos(dp);
        want.span<double>()[i] = std::atan2(std::hypot(a, b), c);
    }
    for (const bool fast : {false, true})
        check_close<double>(npbench::arc_distance({.fastmath = fast})(t1, p1, t2, p2), want, 1e-12);

    const Array x = arange(1000, DType::i64), y = arange(1000, 0, -1, DType::i64);
    const Array z = npbench::compute({})(x, y, std::int64_t(4), std::int64_t(3), std::int64_t(9));
    for (std::int64_t i = 0; i < 1000; ++i)
        REQUIRE(z.at<std::int64_t>({i}) ==
                std::min<std::int64_t>(std::max<std::int64_t>(i, 2), 10) * 4 + (1000 - i) * 3 + 9);

    const Array a = random_array({50, 50}, 5);
    double trace = 0;
    for (std::int64_t i = 0; i < 50; ++i) trace += std::tanh(a.at<double>({i, i}));
    const double got = npbench::trace_of_tanh({})(a).get<double>();
    CHECK(std::abs(got - trace) <= 1e-13 * trace);
    const Array sum = npbench::plus({})(a, got);
    CHECK(sum.at<double>({3, 4}) == a.at<double>({3, 4}) + got);
}

TEST_CASE("npbench: azimuthal integration", "[jit][npbench]") {
    const std::int64_t n = 20000, bins = 100;
    const Array data = random_array({n}, 6), radius = random_array({n}, 7);
    const auto r = radius.span<double>(), d = data.span<double>();
    const auto [least, most] = std::ranges::minmax(r);
    const Array hist = empty({bins}, DType::f64), naive = empty({bins}, DType::f64);
    for (std::int64_t b = 0; b < bins; ++b) {
        const auto edge = [&](std::int64_t k) {
            return k == bins ? most : least + static_cast<double>(k) * ((most - least) / 100.0);
        };
        double sum = 0, count = 0, naive_sum = 0, naive_count = 0;
        for (std::size_t e = 0; e < r.size(); ++e) {
            if (r[e] >= edge(b) && (r[e] < edge(b + 1) || (b == bins - 1 && r[e] == most)))
                sum += d[e], ++count;
            if (most * static_cast<double>(b) / 100.0 <= r[e] &&
                r[e] < most * static_cast<double>(b + 1) / 100.0)
                naive_sum += d[e], ++naive_count;
        }
        hist.at<double>({b}) = sum / count;
        naive.at<double>({b}) = naive_sum / naive_count;
    }
    for (const JitOptions& options : all_options) {
        const Array got = empty({bins}, DType::f64);
        npbench::azimint_naive(options)(data, radius, got);
        check_close<double>(got, naive, 1e-12);
        if (options.fastmath == Fastmath(true)) continue;
        npbench::azimint_hist(options)(data, radius, got);
        check_close<double>(got, hist, 1e-12);
    }
}

TEST_CASE("npbench: conv2d_bias", "[jit][npbench]") {
    const std::int64_t n = 2, size = 12, in = 3, out = 8, k = 3, width = size - k + 1;
    const Array x = random_array({n, size, size, in}, 8).astype(DType::f32),
                w = random_array({k, k, in, out}, 9).astype(DType::f32),
                bias = random_array({out}, 10).astype(DType::f32);
    const Array want = empty({n, width, width, out}, DType::f32);
    const auto xs = x.view<float, 4>(), ws = w.view<float, 4>(), to = want.view<float, 4>();
    for (int a = 0; a < n; ++a)
        for (int i = 0; i < width; ++i)
            for (int j = 0; j < width; ++j)
                for (int c = 0; c < out; ++c) {
                    double sum = static_cast<double>(bias.at<float>({c}));
                    for (int y = 0; y < k; ++y)
                        for (int z = 0; z < k; ++z)
                            for (int f = 0; f < in; ++f)
                                sum += static_cast<double>(xs(a, i + y, j + z, f)) *
                                       static_cast<double>(ws(y, z, f, c));
                    to(a, i, j, c) = static_cast<float>(sum);
                }
    for (const JitOptions& options : all_options) {
        const Array got = empty(want.shape(), DType::f32);
        npbench::conv2d_bias(out, options)(x, w, bias, got);
        check_close<float>(got, want, 1e-5);
    }
}

TEST_CASE("npbench: crc16", "[jit][npbench]") {
    // The check value of CRC-16/X-25, bytes swapped.
    const std::string text = "123456789";
    std::vector<std::uint8_t> data(text.begin(), text.end());
    for (const JitOptions& options : all_options)
        CHECK(npbench::crc16(options)(data, std::int64_t(0x8408)).get<std::uint32_t>() == 0x6e90);
}

TEST_CASE("npbench: deriche", "[jit][npbench]") {
    const std::int64_t w = 41, h = 30;
    const double alpha = 0.25;
    const Array image =
        grid(w, h, [](double i, double j) { return std::fmod(313 * i + 991 * j, 65536) / 65535; });
    const double g = std::exp(-alpha);
    const double k = (1 - g) * (1 - g) / (1 + alpha * g - std::exp(2 * alpha));
    const double a1 = k, a2 = k * g * (alpha - 1), a3 = k * g * (alpha + 1),
                 a4 = -k * std::exp(-2 * alpha), b1 = std::pow(2, -alpha),
                 b2 = -std::exp(-2 * alpha);
    // y1[n] = a1 x[n] + a2 x[n-1] + b1 y1[n-1] + b2 y1[n-2], y2 the same backward; their sum.
    const auto filter = [&](const std::vector<double>& x) {
        const std::size_t n = x.size();
        std::vector<double> sum(n, 0.0);
        double y1 = 0, y2 = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const double y = a1 * x[i] + (i > 0 ? a2 * x[i - 1] : 0) + b1 * y1 + b2 * y2;
            y2 = y1, y1 = y, sum[i] += y;
        }
        y1 = y2 = 0;
        for (std::size_t i = n; i-- > 0;) {
            const double y = (i + 1 < n ? a3 * x[i + 1] : 0) + (i + 2 < n ? a4 * x[i + 2] : 0) +
                             b1 * y1 + b2 * y2;
            y2 = y1, y1 = y, sum[i] += y;
        }
        return sum;
    };
    const Array want = image.copy();
    const auto v = want.view<double, 2>();
    for (std::int64_t i = 0; i < w; ++i) {
        std::vector<double> row;
        for (std::int64_t j = 0; j < h; ++j) row.push_back(v(i, j));
        row = filter(row);
        for (std::int64_t j = 0; j < h; ++j) v(i, j) = row[static_cast<std::size_t>(j)];
    }
    for (std::int64_t j = 0; j < h; ++j) {
        std::vector<double> column;
        for (std::int64_t i = 0; i < w; ++i) column.push_back(v(i, j));
        column = filter(column);
        for (std::int64_t i = 0; i < w; ++i) v(i, j) = column[static_cast<std::size_t>(i)];
    }
    for (const JitOptions& options : all_options) {
        const Array got = empty({w, h}, DType::f64);
        npbench::deriche(options)(alpha, image, got);
        check_close<double>(got, want, 1e-12);
    }
}

TEST_CASE("npbench: fdtd_2d", "[jit][npbench]") {
    const std::int64_t nx = 30, ny = 37;
    const Array ex = grid(nx, ny, [](double i, double j) { return i * (j + 1) / 30; }),
                ey = grid(nx, ny, [](double i, double j) { return i * (j + 2) / 37; }),
                hz = grid(nx, ny, [](double i, double j) { return i * (j + 3) / 30; }),
                fict = arange(10, DType::f64);
    const Array want_ex = ex.copy(), want_ey = ey.copy(), want_hz = hz.copy();
    const auto x = want_ex.view<double, 2>(), y = want_ey.view<double, 2>(),
               z = want_hz.view<double, 2>();
    for (int t = 0; t < 10; ++t) {
        for (int j = 0; j < ny; ++j) y(0, j) = t;
        for (int i = 1; i < nx; ++i)
            for (int j = 0; j < ny; ++j) y(i, j) -= 0.5 * (z(i, j) - z(i - 1, j));
        for (int i = 0; i < nx; ++i)
            for (int j = 1; j < ny; ++j) x(i, j) -= 0.5 * (z(i, j) - z(i, j - 1));
        for (int i = 0; i < nx - 1; ++i)
            for (int j = 0; j < ny - 1; ++j)
                z(i, j) -= 0.7 * (x(i, j + 1) - x(i, j) + y(i + 1, j) - y(i, j));
    }
    for (const JitOptions& options : all_options) {
        const Array a = ex.copy(), b = ey.copy(), c = hz.copy();
        npbench::fdtd_2d(options)(a, b, c, fict);
        check_close<double>(a, want_ex, 1e-12);
        check_close<double>(b, want_ey, 1e-12);
        check_close<double>(c, want_hz, 1e-12);
    }
}

TEST_CASE("npbench: floyd_warshall, nussinov", "[jit][npbench]") {
    const int n = 60;
    std::vector<std::int32_t> path(n * n);
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j)
            path[i * n + j] = (i + j) % 13 == 0 || (i + j) % 7 == 0 ? 999 : i * j % 7 + 1;
    std::vector<std::int32_t> want = path, table(n * n, 0);
    for (int k = 0; k < n; ++k)
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j)
                want[i * n + j] = std::min(want[i * n + j], want[i * n + k] + want[k * n + j]);
    std::vector<std::int32_t> bases(n);
    for (int i = 0; i < n; ++i) bases[i] = (i * i + 1) % 4;
    for (int i = n - 1; i >= 0; --i)
        for (int j = i + 1; j < n; ++j) {
            int best = table[i * n + j - 1];
            if (i + 1 < n) {
                best = std::max(best, table[(i + 1) * n + j]);
                const int pair = i < j - 1 && bases[i] + bases[j] == 3 ? 1 : 0;
                best = std::max(best, table[(i + 1) * n + j - 1] + pair);
            }
            for (int k = i + 1; k < j; ++k)
                best = std::max(best, table[i * n + k] + table[(k + 1) * n + j]);
            table[i * n + j] = best;
        }
    for (const JitOptions& options : all_options) {
        std::vector<std::int32_t> p = path, t(n * n, -1);
        npbench::floyd_warshall(options)(Array::over(p.data(), {n, n}));
        CHECK(p == want);
        npbench::nussinov(options)(bases, Array::over(t.data(), {n, n}));
        CHECK(t == table);
    }
}

TEST_CASE("npbench: hdiff", "[jit][npbench]") {
    const std::int64_t ni = 7, nj = 9, nk = 13;
    const Array in = random_array({ni + 4, nj + 4, nk}, 11), c = random_array({ni, nj, nk}, 12);
    const Array want = empty({ni, nj, nk}, DType::f64);
    const auto f = in.view<double, 3>(), to = want.view<double, 3>(), w = c.view<double, 3>();
    for (int k = 0; k < nk; ++k) {
        const auto lap = [&](int i, int j) {
            return 4 * f(i, j, k) -
                   (f(i + 1, j, k) + f(i - 1, j, k) + f(i, j + 1, k) + f(i, j - 1, k));
        };
        // The flux from point (i, j) to its neighbour (i + a, j + b), nothing where it is uphill.
        const auto flux = [&](int i, int j, int a, int b) {
            const double r = lap(i + a, j + b) - lap(i, j);
            return r * (f(i + a, j + b, k) - f(i, j, k)) > 0 ? 0.0 : r;
        };
        for (int i = 0; i < ni; ++i)
            for (int j = 0; j < nj; ++j) {
                const int x = i + 2, y = j + 2;
                to(i, j, k) = f(x, y, k) - w(i, j, k) * (flux(x, y, 1, 0) - flux(x - 1, y, 1, 0) +
                                                         flux(x, y, 0, 1) - flux(x, y - 1, 0, 1));
            }
    }
    for (const JitOptions& options : all_options) {
        const Array got = empty({ni, nj, nk}, DType::f64);
        npbench::hdiff(options)(in, got, c);
        check_close<double>(got, want, 1e-12);
    }
}

TEST_CASE("npbench: heat_3d, jacobi_1d, jacobi_2d, seidel_2d", "[jit][npbench]") {
    const std::int64_t n = 20, steps = 6;
    const auto apply = [&](auto&& sweep, std::vector<double>& a, std::vector<double>& b) {
        for (int t = 1; t < steps; ++t) sweep(a, b), sweep(b, a);
    };
    const auto data = [](const Array& a) {
        const auto s = a.span<double>();
        return std::vector<double>(s.begin(), s.end());
    };
    const Array cube = random_array({n, n, n}, 13), line = random_array({4 * n}, 14),
                square = random_array({n, n}, 15);
    std::vector<double> cube_a = data(cube), cube_b = cube_a, line_a = data(line), line_b = line_a,
                        square_a = data(square), square_b = square_a, seidel = square_a;
    apply(
        [&](const std::vector<double>& x, std::vector<double>& y) {
            const int m = 20;
            for (int i = 1; i < m - 1; ++i)
                for (int j = 1; j < m - 1; ++j)
                    for (int k = 1; k < m - 1; ++k) {
                        const int at = (i * m + j) * m + k;
                        y[at] = x[at] + 0.125 * (x[at + m * m] + x[at - m * m] + x[at + m] +
                                                 x[at - m] + x[at + 1] + x[at - 1] - 6 * x[at]);
                    }
        },
        cube_a, cube_b);
    apply(
        [&](const std::vector<double>& x, std::vector<double>& y) {
            for (std::size_t i = 1; i + 1 < x.size(); ++i)
                y[i] = 0.33333 * (x[i - 1] + x[i] + x[i + 1]);
        },
        line_a, line_b);
    apply(
        [&](const std::vector<double>& x, std::vector<double>& y) {
            for (int i = 1; i < 19; ++i)
                for (int j = 1; j < 19; ++j) {
                    const int at = 20 * i + j;
                    y[at] = 0.2 * (x[at] + x[at - 1] + x[at + 1] + x[at + 20] + x[at - 20]);
                }
        },
        square_a, square_b);
    for (int t = 0; t < steps - 1; ++t)
        for (int i = 1; i < 19; ++i)
            for (int j = 1; j < 19; ++j) {
                double sum = 0;
                for (int y = -1; y <= 1; ++y)
                    for (int x = -1; x <= 1; ++x) sum += seidel[20 * (i + y) + j + x];
                seidel[20 * i + j] = sum / 9;
            }
    for (const JitOptions& options : all_options) {
        const Array ca = cube.copy(), cb = cube.copy();
        npbench::heat_3d(options)(steps, ca, cb);
        check_close<double>(ca, Array(cube_a), 1e-12);
        check_close<double>(cb, Array(cube_b), 1e-12);
        const Array la = line.copy(), lb = line.copy();
        npbench::jacobi_1d(options)(steps, la, lb);
        check_close<double>(la, Array(line_a), 1e-12);
        const Array sa = square.copy(), sb = square.copy();
        npbench::jacobi_2d(options)(steps, sa, sb);
        check_close<double>(sa, Array(square_a), 1e-12);
        const Array g = square.copy();
        npbench::seidel_2d(options)(steps, g);
        check_close<double>(g, Array(seidel), 1e-12);
    }
}

TEST_CASE("npbench: mandelbrot1", "[jit][npbench]") {
    const Array x = linspace(-1.75, 0.25, 40), y = linspace(-1, 1, 30).expand_dims(-1);
    const Array z = empty({30, 40}, DType::c128), n = empty({30, 40}, DType::i64);
    npbench::mandelbrot1({})(x, y, std::int64_t(40), 2.0, {.outs = {z, n}});
    for (std::int64_t i = 0; i < 30; ++i)
        for (std::int64_t j = 0; j < 40; ++j) {
            const double cx = x.at<double>({j}), cy = y.at<double>({i, 0});
            double re = 0, im = 0;
            std::int64_t last = 0;
            for (std::int64_t k = 0; k < 40 && re * re + im * im < 4; ++k) {
                const double t = re * re - im * im + cx;
                im = 2 * (re * im) + cy;
                re = t;
                last = k;
            }
            REQUIRE(n.at<std::int64_t>({i, j}) == (last == 39 ? 0 : last));
            REQUIRE(std::abs(z.at<std::complex<double>>({i, j}) - std::complex(re, im)) <= 1e-9);
        }
}

TEST_CASE("npbench: nbody", "[jit][npbench]") {
    const std::int64_t n = 25, steps = 10;
    const double dt = 0.05, soft = 0.1;
    const Array mass = full({n}, 20.0 / 25), position = random_array({n, 3}, 16),
                velocity = random_array({n, 3}, 17);
    const Array want_kinetic = empty({steps + 1}, DType::f64),
                want_potential = empty({steps + 1}, DType::f64);
    {
        const Array p = position.copy(), v = velocity.copy();
        const auto x = p.view<double, 2>(), u = v.view<double, 2>();
        double a[25][3];
        const auto distance2 = [&](int i, int j) {
            double r2 = 0;
            for (int c = 0; c < 3; ++c) r2 += (x(j, c) - x(i, c)) * (x(j, c) - x(i, c));
            return r2;
        };
        for (int c = 0; c < 3; ++c) {
            double mean = 0;
            for (int i = 0; i < n; ++i) mean += u(i, c) / 25;
            for (int i = 0; i < n; ++i) u(i, c) -= mean;
        }
        for (int s = 0; s <= steps; ++s) {
            for (int i = 0; s > 0 && i < n; ++i)
                for (int c = 0; c < 3; ++c) {
                    u(i, c) += a[i][c] * dt / 2;
                    x(i, c) += u(i, c) * dt;
                }
            double moving = 0, bound = 0;
            for (int i = 0; i < n; ++i)
                for (int c = 0; c < 3; ++c) {
                    a[i][c] = 0;
                    for (int j = 0; j < n; ++j)
                        a[i][c] += 20.0 / 25 * (x(j, c) - x(i, c)) *
                                   std::pow(distance2(i, j) + soft * soft, -1.5);
                    if (s > 0) u(i, c) += a[i][c] * dt / 2;
                    moving += 0.5 * 20 / 25 * u(i, c) * u(i, c);
                }
            for (int i = 0; i < n; ++i)
                for (int j = i + 1; j < n; ++j)
                    bound -= 20.0 / 25 * 20 / 25 / std::sqrt(distance2(i, j));
            want_kinetic.at<double>({s}) = moving;
            want_potential.at<double>({s}) = bound;
        }
    }
    for (const JitOptions& options : all_options) {
        const Array p = position.copy(), v = velocity.copy(), kinetic = empty({steps + 1}),
                    potential = empty({steps + 1});
        npbench::nbody(options)(mass, p, v, dt, 1.0, soft, kinetic, potential);
        // Close encounters multiply rounding errors.
        check_close<double>(kinetic, want_kinetic, 1e-10);
        check_close<double>(potential, want_potential, 1e-10);
    }
}

TEST_CASE("npbench: softmax, spmv", "[jit][npbench]") {
    const Array x = (random_array({33, 77}, 18)).astype(DType::f32);
    const Array want = empty({33, 77}, DType::f32);
    for (std::int64_t i = 0; i < 33; ++i) {
        double sum = 0;
        for (std::int64_t j = 0; j < 77; ++j)
            sum += std::exp(static_cast<double>(x.at<float>({i, j})));
        for (std::int64_t j = 0; j < 77; ++j)
            want.at<float>({i, j}) =
                static_cast<float>(std::exp(static_cast<double>(x.at<float>({i, j}))) / sum);
    }
    const std::size_t rows = 100;
    std::vector<std::uint32_t> starts{0}, columns;
    std::vector<double> values, v(50), y(rows), product(rows, 0.0);
    for (std::size_t j = 0; j < v.size(); ++j) v[j] = std::sin(static_cast<double>(j));
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t e = 0; e < i % 7; ++e) {
            columns.push_back(static_cast<std::uint32_t>((i * 13 + e * 5) % 50));
            values.push_back(std::cos(static_cast<double>(i + 3 * e)));
            product[i] += values.back() * v[columns.back()];
        }
        starts.push_back(static_cast<std::uint32_t>(columns.size()));
    }
    for (const JitOptions& options : all_options) {
        const Array got = empty({33, 77}, DType::f32);
        npbench::softmax(options)(x, got);
        check_close<float>(got, want, 1e-6);
        npbench::spmv(options)(starts, columns, values, v, y);
        check_close<double>(Array(y), Array(product), 1e-13);
    }
}

TEST_CASE("npbench: vadv", "[jit][npbench]") {
    const std::int64_t ni = 5, nj = 6, nk = 20;
    const double dtr = 3.0 / 20;
    const Array stage = random_array({ni, nj, nk}, 19), u = random_array({ni, nj, nk}, 20),
                wcon = random_array({ni + 1, nj, nk}, 21),
                position = random_array({ni, nj, nk}, 22),
                tendency = random_array({ni, nj, nk}, 23);
    const Array want = stage.copy();
    for (std::int64_t i = 0; i < ni; ++i)
        for (std::int64_t j = 0; j < nj; ++j) {
            // below[k] x[k-1] + middle[k] x[k] + above[k] x[k+1] = right[k], by elimination.
            std::vector<long double> below(20), middle(20, dtr), above(20), right(20);
            for (std::int64_t k = 0; k < nk; ++k) {
                const auto at = [&](const Array& a, std::int64_t l) {
                    return a.at<double>({i, j, l});
                };
                const auto w = [&](std::int64_t l) {
                    return 0.125L * (wcon.at<double>({i + 1, j, l}) + wcon.at<double>({i, j, l}));
                };
                const auto row = static_cast<std::size_t>(k);
                right[row] = static_cast<long double>(dtr) * at(position, k) + at(tendency, k) +
                             at(stage, k);
                if (k > 0) {
                    below[row] = -w(k);
                    right[row] -= below[row] * (at(u, k - 1) - at(u, k));
                }
                if (k + 1 < nk) {
                    above[row] = w(k + 1);
                    right[row] -= above[row] * (at(u, k + 1) - at(u, k));
                }
                middle[row] -= below[row] + above[row];
            }
            for (std::size_t k = 1; k < 20; ++k) {
                const long double factor = below[k] / middle[k - 1];
                middle[k] -= factor * above[k - 1];
                right[k] -= factor * right[k - 1];
            }
            for (std::size_t k = 20; k-- > 0;) {
                const long double next = k + 1 < 20 ? right[k + 1] : 0;
                right[k] = (right[k] - above[k] * next) / middle[k];
                const auto l = static_cast<std::int64_t>(k);
                want.at<double>({i, j, l}) =
                    static_cast<double>(dtr * (right[k] - position.at<double>({i, j, l})));
            }
        }
    for (const JitOptions& options : all_options) {
        const Array got = stage.copy();
        npbench::vadv(options)(got, u, wcon, position, tendency, dtr);
        // The diagonal may nearly vanish on the way.
        check_close<double>(got, want, 1e-10);
    }
}

}  // namespace
