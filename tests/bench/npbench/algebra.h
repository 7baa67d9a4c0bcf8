// NPBench kernels of matrices, particles and sequences.
#pragma once
#include <kiln/kiln.h>

namespace npbench {
using namespace kiln;

/// A valid convolution of pictures (N, H, W, C_in) with K x K weights, and a bias. The number of
/// output channels is a constant of the kernel.
inline auto conv2d_bias(std::int64_t channels, const JitOptions& options) {
    return jit(
        "conv2d_bias",
        [channels](In input, In weights, In bias, Out out) {
            const Value k = weights.extent(0);
            for (Index n : prange(out.extent(0)))
                for (Index i : range(out.extent(1)))
                    for (Index j : range(out.extent(2))) {
                        for (Index c : range(channels)) out(n, i, j, c) = bias(c);
                        for (Index y : range(k))
                            for (Index x : range(k))
                                for (Index from : range(input.extent(3))) {
                                    const Value value = input(n, i + y, j + x, from);
                                    for (Index c : range(channels))
                                        out(n, i, j, c) += value * weights(y, x, from, c);
                                }
                    }
        },
        options);
}

/// Softmax over the last axis of a matrix.
inline auto softmax(const JitOptions& options) {
    return jit(
        "softmax",
        [](In x, Out out) {
            for (Index i : prange(x.extent(0))) {
                Var most(x.dtype(), x(i, 0));
                for (Index j : range(x.extent(1))) most = max(most, x(i, j));
                Var sum(x.dtype(), 0);
                for (Index j : range(x.extent(1))) {
                    const Value e = exp(x(i, j) - most);
                    out(i, j) = e;
                    sum += e;
                }
                const Value scale = 1.0f / sum;
                for (Index j : range(x.extent(1))) out(i, j) *= scale;
            }
        },
        options);
}

/// A sparse matrix in compressed rows times a vector.
inline auto spmv(const JitOptions& options) {
    return jit(
        "spmv",
        [](In rows, In columns, In values, In x, Out y) {
            for (Index i : prange(y.extent(0))) {
                Var sum(DType::f64, 0.0);
                for (Index e : range(rows(i), rows(i + 1))) sum += values(e) * x(columns(e));
                y(i) = sum;
            }
        },
        options);
}

/// Nussinov's dynamic program for the folding of RNA. The table is kept transposed as well, so that
/// both factors of the inner loop lie in rows.
inline auto nussinov(const JitOptions& options) {
    return jit(
        "nussinov",
        [](In bases, Out table) {
            const Value n = bases.extent(0);
            Scratch flipped(DType::i32, {n, n});
            for (Index i : range(n))
                for (Index j : range(n)) {
                    table(i, j) = 0;
                    flipped(i, j) = 0;
                }
            for (Index i : range(n - 2, -1, -1))
                for (Index j : range(i + 1, n)) {
                    const Value pair = select(i < j - 1 && bases(i) + bases(j) == 3, 1, 0);
                    Var best(DType::i32, max(max(table(i, j - 1), table(i + 1, j)),
                                             table(i + 1, j - 1) + cast<std::int32_t>(pair)));
                    for (Index k : range(i + 1, j))
                        best = max(best, table(i, k) + flipped(j, k + 1));
                    table(i, j) = best;
                    flipped(j, i) = best;
                }
        },
        options);
}

/// Steps of a leapfrog simulation of bodies that attract each other, and its energies. `pos` and
/// `vel` are (n, 3).
inline auto nbody(const JitOptions& options) {
    return jit(
        "nbody",
        [](In mass, InOut pos, InOut vel, Value dt, Value gravity, Value softening, Out kinetic,
           Out potential) {
            const Value n = mass.extent(0);
            // Coordinates apart from each other, so that the sums over pairs run in vectors.
            Scratch x(DType::f64, {n}), y(DType::f64, {n}), z(DType::f64, {n}),
                acceleration(DType::f64, {n, 3});
            Var total(DType::f64, 0.0);
            for (Index i : range(n)) total += mass(i);
            for (int axis = 0; axis < 3; ++axis) {
                Var momentum(DType::f64, 0.0);
                for (Index i : range(n)) momentum += mass(i) * vel(i, axis);
                const Value drift = momentum / total;
                for (Index i : range(n)) vel(i, axis) -= drift;
            }
            const auto split = [&] {
                for (Index i : range(n)) {
                    x(i) = pos(i, 0);
                    y(i) = pos(i, 1);
                    z(i) = pos(i, 2);
                }
            };
            const auto accelerate = [&] {
                for (Index i : range(n)) {
                    Var ax(DType::f64, 0.0), ay(DType::f64, 0.0), az(DType::f64, 0.0);
                    for (Index j : range(n)) {
                        const Value dx = x(j) - x(i), dy = y(j) - y(i), dz = z(j) - z(i);
                        const Value r2 = dx * dx + dy * dy + dz * dz + softening * softening;
                        const Value pull = mass(j) / (r2 * sqrt(r2));
                        ax += dx * pull;
                        ay += dy * pull;
                        az += dz * pull;
                    }
                    acceleration(i, 0) = gravity * ax;
                    acceleration(i, 1) = gravity * ay;
                    acceleration(i, 2) = gravity * az;
                }
            };
            const auto energy = [&](const Value& step) {
                Var moving(DType::f64, 0.0), bound(DType::f64, 0.0);
                for (Index i : range(n)) {
                    moving += mass(i) * (vel(i, 0) * vel(i, 0) + vel(i, 1) * vel(i, 1) +
                                         vel(i, 2) * vel(i, 2));
                    Var sum(DType::f64, 0.0);
                    for (Index j : range(i + 1, n)) {
                        const Value dx = x(j) - x(i), dy = y(j) - y(i), dz = z(j) - z(i);
                        sum += mass(j) / sqrt(dx * dx + dy * dy + dz * dz);
                    }
                    bound += mass(i) * sum;
                }
                kinetic(step) = 0.5 * moving;
                potential(step) = -gravity * bound;
            };
            const auto kick = [&] {
                for (Index i : range(n))
                    for (int axis = 0; axis < 3; ++axis)
                        vel(i, axis) += acceleration(i, axis) * dt / 2.0;
            };
            for (Index step : range(kinetic.extent(0))) {
                if_(step > 0, [&] {
                    kick();
                    for (Index i : range(n))
                        for (int axis = 0; axis < 3; ++axis) pos(i, axis) += vel(i, axis) * dt;
                });
                split();
                accelerate();
                if_(step > 0, kick);
                energy(step);
            }
        },
        options);
}

}  // namespace npbench
