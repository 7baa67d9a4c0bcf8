// NPBench kernels in whole-array statements, as their NumPy programs are written.
#pragma once
#include <kiln/kiln.h>

#include <complex>
#include <cstdint>

namespace npbench {
using namespace kiln;

/// A A^T of the lower triangle that takes A's place.
inline auto cholesky(const JitOptions& options) {
    return jit(
        "cholesky",
        [](InOut A) {
            A(0, 0) = sqrt(A(0, 0));
            for (Index i : range(1, A.extent(0))) {
                for (Index j : range(i)) {
                    A(i, j) -= dot(A.slice(i, {0, j}), A.slice(j, {0, j}));
                    A(i, j) /= A(j, j);
                }
                A(i, i) -= dot(A.slice(i, {0, i}), A.slice(i, {0, i}));
                A(i, i) = sqrt(A(i, i));
            }
        },
        options);
}

/// Solves A x = b by the factors that take A's place.
inline auto ludcmp(const JitOptions& options) {
    return jit(
        "ludcmp",
        [](InOut A, In b, Out x, Out y) {
            const Value n = A.extent(0);
            x = 0.0;
            y = 0.0;
            for (Index i : range(n)) {
                for (Index j : range(i)) {
                    A(i, j) -= dot(A.slice(i, {0, j}), A.slice({0, j}, j));
                    A(i, j) /= A(j, j);
                }
                for (Index j : range(i, n)) A(i, j) -= dot(A.slice(i, {0, i}), A.slice({0, i}, j));
            }
            for (Index i : range(n)) y(i) = b(i) - dot(A.slice(i, {0, i}), y.slice({0, i}));
            for (Index i : range(n - 1, -1, -1))
                x(i) = (y(i) - dot(A.slice(i, {i + 1, {}}), x.slice({i + 1, {}}))) / A(i, i);
        },
        options);
}

/// The Yule-Walker equations by Durbin's recursion.
inline auto durbin(const JitOptions& options) {
    return jit(
        "durbin",
        [](In r, Out y) {
            Var alpha = -r(0), beta(r.dtype(), 1.0);
            y(0) = -r(0);
            for (Index k : range(1, r.extent(0))) {
                beta *= 1.0 - alpha * alpha;
                alpha = -(r(k) + dot(flip(r.slice({0, k})), y.slice({0, k}))) / beta;
                y.slice({0, k}) += alpha * flip(y.slice({0, k}));
                y(k) = alpha;
            }
        },
        options);
}

/// The correlations of columns; `data` is normalised in place.
inline auto correlation(const JitOptions& options) {
    return jit(
        "correlation",
        [](InOut data, Out corr, Value float_n) {
            const Value m = data.extent(1);
            const Scratch mean = data.mean({.axis = 0});
            Scratch stddev = standard_deviation(data, {.axis = 0});
            stddev = select(stddev <= 0.1, 1.0, stddev);
            data -= mean;
            data /= sqrt(float_n) * stddev;
            corr = eye(m);
            for (Index i : range(m - 1))
                corr.slice({i + 1, {}}, i) = corr.slice(i, {i + 1, {}}) =
                    dot(data.slice({}, i), data.slice({}, {i + 1, {}}));
        },
        options);
}

/// Lesser self-energies of a scattering process: `sigma` accumulates.
inline auto scattering_self_energies(const JitOptions& options) {
    return jit(
        "scattering_self_energies",
        [](In neigh_idx, In dH, In G, In D, InOut sigma) {
            const Value n = G.extent(-1);
            Scratch dHG(G.dtype(), {n, n}), dHD(G.dtype(), {n, n});
            for (Index k : range(G.extent(0)))
                for (Index E : range(G.extent(1)))
                    for (Index q : range(D.extent(0)))
                        for (Index w : range(D.extent(1)))
                            for (Index i : range(D.extent(-2)))
                                for (Index j : range(D.extent(-1)))
                                    for (Index a : range(neigh_idx.extent(0)))
                                        for (Index b : range(neigh_idx.extent(1)))
                                            if_(E - w >= 0, [&] {
                                                dHG = matmul(G.slice(k, E - w, neigh_idx(a, b)),
                                                             dH.slice(a, b, i));
                                                dHD = dH.slice(a, b, j) * D(q, w, a, b, i, j);
                                                sigma.slice(k, E, a) += matmul(dHG, dHD);
                                            });
        },
        options);
}

/// A valid convolution of pictures (N, H, W, C_in) with weights (K, K, C_in, C_out).
template <class Pictures> Scratch conv2d(const Pictures& input, In weights) {
    const Value k = weights.extent(0), rows = input.extent(1) - k + 1,
                columns = input.extent(2) - k + 1;
    Scratch output(input.dtype(), {input.extent(0), rows, columns, weights.extent(3)});
    for (Index i : prange(rows))
        for (Index j : range(columns))
            output.slice({}, i, j, {}) =
                sum(new_axis(input.slice({}, {i, i + k}, {j, j + k}, {}), -1) * weights,
                    {.axis = {1, 2, 3}});
    return output;
}
inline Value relu(Operand x) { return maximum(x, 0); }

template <class Pictures> Scratch maxpool2d(const Pictures& x) {
    Scratch output(x.dtype(), {x.extent(0), x.extent(1) / 2, x.extent(2) / 2, x.extent(3)});
    for (Index i : range(x.extent(1) / 2))
        for (Index j : range(x.extent(2) / 2))
            output.slice({}, i, j, {}) =
                max(x.slice({}, {2 * i, 2 * i + 2}, {2 * j, 2 * j + 2}, {}), {.axis = {1, 2}});
    return output;
}

inline auto lenet(const JitOptions& options) {
    return jit(
        "lenet",
        [](In input, In conv1, In conv1bias, In conv2, In conv2bias, In fc1w, In fc1b, In fc2w,
           In fc2b, In fc3w, In fc3b, Out out) {
            Scratch x1 = maxpool2d(Scratch(relu(conv2d(input, conv1) + conv1bias)));
            Scratch x2 = maxpool2d(Scratch(relu(conv2d(x1, conv2) + conv2bias)));
            const Value flat = reshape(x2, {input.extent(0), -1});
            const Scratch y1 = relu(matmul(flat, fc1w) + fc1b);
            const Scratch y2 = relu(matmul(y1, fc2w) + fc2b);
            out = matmul(y2, fc3w) + fc3b;
        },
        options);
}

inline Value batchnorm2d(Operand x, double eps = 1e-5) {
    const Value mean = kiln::mean(x, {.axis = 0, .keepdims = true});
    const Value deviation = standard_deviation(x, {.axis = 0, .keepdims = true});
    return (x - mean) / sqrt(deviation + eps);
}

inline auto resnet(const JitOptions& options) {
    return jit(
        "resnet",
        [](In input, In conv1, In conv2, In conv3, Out out) {
            Scratch padded(input.dtype(), {input.extent(0), input.extent(1) + 2,
                                           input.extent(2) + 2, conv1.extent(3)});
            padded = 0.0;
            padded.slice({}, {1, -1}, {1, -1}, {}) = conv2d(input, conv1);
            Scratch x = relu(batchnorm2d(padded));
            Scratch y = relu(batchnorm2d(conv2d(x, conv2)));
            out = relu(batchnorm2d(conv2d(y, conv3)) + input);
        },
        options);
}

/// Escape times on a grid whose points are left out once they have diverged: statements on Arrays.
class Mandelbrot2 {
  public:
    explicit Mandelbrot2(bool parallel)
        : step_(vectorize("step", [](Value z, Value c) { return z * z + c; },
                          {.parallel = parallel})),
          diverged_(vectorize("diverged", [](Value z, Value horizon) { return abs(z) > horizon; },
                              {.parallel = parallel})) {}

    /// `x` and `y` are the coordinates; the results lie as (y, x).
    void operator()(const Array& x, const Array& y, std::int64_t itermax, double horizon,
                    const Array& last, const Array& count) const {
        const std::complex<double> i1(0, 1);
        Array C = (x + y.reshape({y.size(), 1}) * i1).reshape({x.size() * y.size()});
        Array at = arange(C.size()), Z = zeros(C.shape(), c128);
        last.fill(0.0);
        count.fill(0);
        for (std::int64_t i = 0; i < itermax && Z.size() > 0; ++i) {
            step_(Z, C, {.out = Z});
            Array I = diverged_(Z, horizon);
            const Array gone = compress(I, at);
            put(count, gone, Array::of(Scalar::of(i + 1)));
            put(last, gone, compress(I, Z));
            I = !I;
            Z = compress(I, Z);
            at = compress(I, at);
            C = compress(I, C);
        }
    }

  private:
    Ufunc step_, diverged_;
};

}  // namespace npbench
