// The NPBench kernels that are written in whole-array statements, against plain loops over the definitions.
#include "tests/catch.h"
#include "tests/dice.h"

#include "tests/bench/npbench/whole_arrays.h"

#include <kiln/kiln.h>

#include <cmath>
#include <complex>
#include <vector>

using namespace kiln;

namespace {

using Z = std::complex<double>;

const std::vector<JitOptions> all_options{{},
                                          {.fastmath = true},
                                          {.fastmath = true, .parallel = true},
                                          {.parallel = true, .checked = true}};

/// Numbers of [0, 1), the same in every run.
double next_random() {
    static test::Dice dice(7);
    return dice.unit();
}
template <class T> Array random_array(const Shape& shape) {
    const Array a = empty(shape, dtype_of<T>);
    for (T& x : a.span<T>()) {
        if constexpr (is_complex(dtype_of<T>))
            x = T(next_random(), next_random());
        else
            x = static_cast<T>(next_random());
    }
    return a;
}

/// Relative to the largest element.
template <class T> void check_close(const Array& got, const Array& want, double tolerance) {
    REQUIRE(got.shape() == want.shape());
    const auto g = got.span<const T>(), w = want.span<const T>();
    double most = 0, worst = 0;
    for (const T x : w) most = std::max(most, static_cast<double>(std::abs(x)));
    for (std::size_t i = 0; i < g.size(); ++i) {
        const double error = static_cast<double>(std::abs(g[i] - w[i]));
        worst = error <= worst ? worst : error;  // a NaN stays
    }
    CHECK(worst <= tolerance * most);
}

/// Of a symmetric matrix with a large diagonal.
Array definite(std::int64_t n) {
    const Array a = random_array<double>({n, n});
    const auto v = a.view<double, 2>();
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < i; ++j) v(i, j) = v(j, i);
        v(i, i) += static_cast<double>(n);
    }
    return a;
}

// ------------------------------------------------------------------------------ networks, by loops

struct Pictures {
    std::int64_t n, h, w, c;
    std::vector<double> x;
    Pictures(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c)
        : n(n), h(h), w(w), c(c), x(static_cast<std::size_t>(n * h * w * c)) {}
    explicit Pictures(const Array& a)
        : Pictures(a.extent(0), a.extent(1), a.extent(2), a.extent(3)) {
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = static_cast<double>(a.span<const float>()[i]);
    }
    double& at(std::int64_t a, std::int64_t i, std::int64_t j, std::int64_t k) {
        return x[static_cast<std::size_t>(((a * h + i) * w + j) * c + k)];
    }
};

Pictures convolved(Pictures in, Pictures weights) {  // weights: (K, K, C_in, C_out)
    const std::int64_t k = weights.n;
    Pictures out(in.n, in.h - k + 1, in.w - k + 1, weights.c);
    for (std::int64_t a = 0; a < out.n; ++a)
        for (std::int64_t i = 0; i < out.h; ++i)
            for (std::int64_t j = 0; j < out.w; ++j)
                for (std::int64_t c = 0; c < out.c; ++c)
                    for (std::int64_t y = 0; y < k; ++y)
                        for (std::int64_t x = 0; x < k; ++x)
                            for (std::int64_t f = 0; f < in.c; ++f)
                                out.at(a, i, j, c) +=
                                    in.at(a, i + y, j + x, f) * weights.at(y, x, f, c);
    return out;
}
Pictures biased_relu(Pictures p, const Array& bias) {
    for (std::size_t i = 0; i < p.x.size(); ++i)
        p.x[i] = std::max(
            0.0, p.x[i] + static_cast<double>(
                              bias.span<const float>()[i % static_cast<std::size_t>(p.c)]));
    return p;
}
Pictures pooled(Pictures in) {
    Pictures out(in.n, in.h / 2, in.w / 2, in.c);
    for (std::int64_t a = 0; a < out.n; ++a)
        for (std::int64_t i = 0; i < out.h; ++i)
            for (std::int64_t j = 0; j < out.w; ++j)
                for (std::int64_t c = 0; c < out.c; ++c)
                    out.at(a, i, j, c) = std::max(
                        std::max(in.at(a, 2 * i, 2 * j, c), in.at(a, 2 * i, 2 * j + 1, c)),
                        std::max(in.at(a, 2 * i + 1, 2 * j, c), in.at(a, 2 * i + 1, 2 * j + 1, c)));
    return out;
}
std::vector<double> layer(const std::vector<double>& x, std::int64_t rows, const Array& w,
                          const Array& b, bool relu) {
    const std::int64_t n = w.extent(0), m = w.extent(1);
    std::vector<double> y(static_cast<std::size_t>(rows * m));
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t j = 0; j < m; ++j) {
            double sum = static_cast<double>(b.span<const float>()[static_cast<std::size_t>(j)]);
            for (std::int64_t i = 0; i < n; ++i)
                sum += x[static_cast<std::size_t>(r * n + i)] *
                       static_cast<double>(w.at<float>({i, j}));
            y[static_cast<std::size_t>(r * m + j)] = relu ? std::max(0.0, sum) : sum;
        }
    return y;
}
Pictures normalised(Pictures p) {
    const std::int64_t inner = p.h * p.w * p.c;
    for (std::int64_t e = 0; e < inner; ++e) {
        double mean = 0, squares = 0;
        for (std::int64_t a = 0; a < p.n; ++a)
            mean += p.x[static_cast<std::size_t>(a * inner + e)] / static_cast<double>(p.n);
        for (std::int64_t a = 0; a < p.n; ++a)
            squares += std::pow(p.x[static_cast<std::size_t>(a * inner + e)] - mean, 2) /
                       static_cast<double>(p.n);
        for (std::int64_t a = 0; a < p.n; ++a) {
            double& x = p.x[static_cast<std::size_t>(a * inner + e)];
            x = (x - mean) / std::sqrt(std::sqrt(squares) + 1e-5);
        }
    }
    return p;
}
Array floats(const std::vector<double>& x, const Shape& shape) {
    const Array a = empty(shape, f32);
    for (std::size_t i = 0; i < x.size(); ++i) a.span<float>()[i] = static_cast<float>(x[i]);
    return a;
}

}  // namespace

TEST_CASE("npbench in statements: cholesky, ludcmp", "[jit][npbench]") {
    const std::int64_t n = 60;
    const Array a = definite(n), b = random_array<double>({n});
    const Array factor = a.copy(), factors = a.copy(), x = zeros({n}), y = zeros({n});
    {
        const auto l = factor.view<double, 2>(), f = factors.view<double, 2>();
        for (std::int64_t i = 0; i < n; ++i) {
            for (std::int64_t j = 0; j <= i; ++j) {
                for (std::int64_t k = 0; k < j; ++k) l(i, j) -= l(i, k) * l(j, k);
                l(i, j) = i == j ? std::sqrt(l(i, i)) : l(i, j) / l(j, j);
            }
            for (std::int64_t j = 0; j < n; ++j) {
                for (std::int64_t k = 0; k < std::min(i, j); ++k) f(i, j) -= f(i, k) * f(k, j);
                if (j < i) f(i, j) /= f(j, j);
            }
        }
        const auto xs = x.span<double>(), ys = y.span<double>(), bs = b.span<double>();
        const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
        for (std::int64_t i = 0; i < n; ++i) {
            ys[at(i)] = bs[at(i)];
            for (std::int64_t k = 0; k < i; ++k) ys[at(i)] -= f(i, k) * ys[at(k)];
        }
        for (std::int64_t i = n - 1; i >= 0; --i) {
            xs[at(i)] = ys[at(i)];
            for (std::int64_t k = i + 1; k < n; ++k) xs[at(i)] -= f(i, k) * xs[at(k)];
            xs[at(i)] /= f(i, i);
        }
    }
    for (const JitOptions& options : all_options) {
        const Array mine = a.copy();
        npbench::cholesky(options)(mine);
        check_close<double>(mine, factor, 1e-13);
        const Array lu = a.copy(), solution = ones({n}), forward = ones({n});
        npbench::ludcmp(options)(lu, b, solution, forward);
        check_close<double>(lu, factors, 1e-13);
        check_close<double>(forward, y, 1e-12);
        check_close<double>(solution, x, 1e-12);
    }
}

TEST_CASE("npbench in statements: durbin", "[jit][npbench]") {
    const std::int64_t n = 150;
    std::vector<double> r(static_cast<std::size_t>(n)), y(r.size());
    for (std::size_t i = 0; i < r.size(); ++i) r[i] = 0.6 / static_cast<double>(i + 1);
    double alpha = -r[0], beta = 1.0;
    y[0] = -r[0];
    for (std::size_t k = 1; k < r.size(); ++k) {
        beta *= 1 - alpha * alpha;
        double sum = r[k];
        for (std::size_t i = 0; i < k; ++i) sum += r[k - 1 - i] * y[i];
        alpha = -sum / beta;
        std::vector<double> z(y);
        for (std::size_t i = 0; i < k; ++i) y[i] += alpha * z[k - 1 - i];
        y[k] = alpha;
    }
    for (const JitOptions& options : all_options) {
        const Array out = zeros({n});
        npbench::durbin(options)(r, out);
        check_close<double>(out, y, 1e-12);
    }
}

TEST_CASE("npbench in statements: correlation", "[jit][npbench]") {
    const std::int64_t n = 50, m = 40;
    const Array data = random_array<double>({n, m});
    for (std::int64_t i = 0; i < n; ++i)
        data.at<double>({i, 3}) = 0.01 * next_random();  // hardly varies
    const Array want = eye(m);
    {
        const auto d = data.view<double, 2>(), c = want.view<double, 2>();
        std::vector<double> mean(static_cast<std::size_t>(m)), deviation(mean);
        for (std::size_t j = 0; j < mean.size(); ++j) {
            const auto column = static_cast<std::int64_t>(j);
            for (std::int64_t i = 0; i < n; ++i) mean[j] += d(i, column) / static_cast<double>(n);
            for (std::int64_t i = 0; i < n; ++i)
                deviation[j] += std::pow(d(i, column) - mean[j], 2) / static_cast<double>(n);
            deviation[j] = std::sqrt(deviation[j]);
            if (deviation[j] <= 0.1) deviation[j] = 1;
        }
        for (std::int64_t j = 0; j < m; ++j)
            for (std::int64_t k = j + 1; k < m; ++k) {
                const auto a = static_cast<std::size_t>(j), b = static_cast<std::size_t>(k);
                double sum = 0;
                for (std::int64_t i = 0; i < n; ++i)
                    sum += (d(i, j) - mean[a]) * (d(i, k) - mean[b]) /
                           (static_cast<double>(n) * deviation[a] * deviation[b]);
                c(j, k) = c(k, j) = sum;
            }
    }
    for (const JitOptions& options : all_options) {
        const Array work = data.copy(), corr = zeros({m, m});
        npbench::correlation(options)(work, corr, static_cast<double>(n));
        check_close<double>(corr, want, 1e-13);
    }
}

TEST_CASE("npbench in statements: scattering self-energies", "[jit][npbench]") {
    const std::int64_t nkz = 2, ne = 3, nqz = 2, nw = 2, nd = 3, na = 4, nb = 2, no = 3;
    const Array neighbours = empty({na, nb}, i32);
    for (std::int32_t& at : neighbours.span<std::int32_t>())
        at = static_cast<std::int32_t>(next_random() * static_cast<double>(na));
    const Array dH = random_array<Z>({na, nb, nd, no, no}),
                G = random_array<Z>({nkz, ne, na, no, no}),
                D = random_array<Z>({nqz, nw, na, nb, nd, nd});
    const Array start = random_array<Z>({nkz, ne, na, no, no}), want = start.copy();
    for (std::int64_t k = 0; k < nkz; ++k)
        for (std::int64_t e = 0; e < ne; ++e)
            for (std::int64_t q = 0; q < nqz; ++q)
                for (std::int64_t w = 0; w < nw && w <= e; ++w)
                    for (std::int64_t i = 0; i < nd; ++i)
                        for (std::int64_t j = 0; j < nd; ++j)
                            for (std::int64_t a = 0; a < na; ++a)
                                for (std::int64_t b = 0; b < nb; ++b)
                                    for (std::int64_t r = 0; r < no; ++r)
                                        for (std::int64_t s = 0; s < no; ++s)
                                            for (std::int64_t c = 0; c < no; ++c)
                                                for (std::int64_t d = 0; d < no; ++d)
                                                    want.at<Z>({k, e, a, r, d}) +=
                                                        G.at<Z>(
                                                            {k, e - w,
                                                             neighbours.at<std::int32_t>({a, b}), r,
                                                             s}) *
                                                        dH.at<Z>({a, b, i, s, c}) *
                                                        dH.at<Z>({a, b, j, c, d}) *
                                                        D.at<Z>({q, w, a, b, i, j});
    for (const JitOptions& options : all_options) {
        const Array sigma = start.copy();
        npbench::scattering_self_energies(options)(neighbours, dH, G, D, sigma);
        check_close<Z>(sigma, want, 1e-13);
    }
}

TEST_CASE("npbench in statements: lenet, resnet", "[jit][npbench]") {
    const std::int64_t n = 3, h = 20, w = 16;
    const Array input = random_array<float>({n, h, w, 1}),
                conv1 = random_array<float>({5, 5, 1, 6}), bias1 = random_array<float>({6}),
                conv2 = random_array<float>({5, 5, 6, 4}), bias2 = random_array<float>({4});
    const Pictures last = pooled(biased_relu(
        convolved(pooled(biased_relu(convolved(Pictures(input), Pictures(conv1)), bias1)),
                  Pictures(conv2)),
        bias2));
    const std::int64_t flat = last.h * last.w * last.c;
    const Array w1 = random_array<float>({flat, 12}), b1 = random_array<float>({12}),
                w2 = random_array<float>({12, 9}), b2 = random_array<float>({9}),
                w3 = random_array<float>({9, 10}), b3 = random_array<float>({10});
    const Array want = floats(
        layer(layer(layer(last.x, n, w1, b1, true), n, w2, b2, true), n, w3, b3, false), {n, 10});
    const Array picture = random_array<float>({4, 6, 5, 8}),
                one = random_array<float>({1, 1, 8, 3}), three = random_array<float>({3, 3, 3, 3}),
                back = random_array<float>({1, 1, 3, 8});
    const auto relu = [](Pictures p) {
        for (double& x : p.x) x = std::max(0.0, x);
        return p;
    };
    Pictures padded(4, 8, 7, 3), first = convolved(Pictures(picture), Pictures(one));
    for (std::int64_t a = 0; a < 4; ++a)
        for (std::int64_t i = 0; i < 6; ++i)
            for (std::int64_t j = 0; j < 5; ++j)
                for (std::int64_t c = 0; c < 3; ++c)
                    padded.at(a, i + 1, j + 1, c) = first.at(a, i, j, c);
    Pictures block = normalised(convolved(
        relu(normalised(convolved(relu(normalised(padded)), Pictures(three)))), Pictures(back)));
    const Pictures given(picture);
    for (std::size_t i = 0; i < block.x.size(); ++i) block.x[i] += given.x[i];
    const Array residual = floats(relu(block).x, picture.shape());
    for (const JitOptions& options : all_options) {
        const Array out = zeros({n, 10}, f32), blocks = zeros(picture.shape(), f32);
        npbench::lenet(options)(input, conv1, bias1, conv2, bias2, w1, b1, w2, b2, w3, b3, out);
        check_close<float>(out, want, 1e-5);
        npbench::resnet(options)(picture, one, three, back, blocks);
        check_close<float>(blocks, residual, 1e-4);
    }
}

TEST_CASE("npbench in statements: mandelbrot2", "[jit][npbench]") {
    const std::int64_t columns = 40, rows = 30, limit = 25;
    const Array x = linspace(-2.25, 0.75, columns), y = linspace(-1.25, 1.25, rows);
    for (const bool parallel : {false, true}) {
        const Array last = ones({rows, columns}, c128), count = ones({rows, columns}, i64);
        npbench::Mandelbrot2{parallel}(x, y, limit, 2.0, last, count);
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < columns; ++j) {
                const Z c(x.at<double>({j}), y.at<double>({i}));
                Z z = 0;
                std::int64_t steps = 0;
                while (steps < limit && std::abs(z) <= 2.0) {
                    z = z * z + c;
                    ++steps;
                }
                const bool gone = std::abs(z) > 2.0;
                REQUIRE(count.at<std::int64_t>({i, j}) == (gone ? steps : 0));
                REQUIRE(std::abs(last.at<Z>({i, j}) - (gone ? z : Z(0))) <= 1e-9 * std::abs(z));
            }
    }
}
