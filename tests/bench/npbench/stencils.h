// NPBench kernels that sweep over grids.
#pragma once
#include <kiln/kiln.h>

#include <vector>

namespace npbench {
using namespace kiln;

/// Time steps of the alternating direction implicit method on u, N x N. The coefficients of the
/// forward sweeps do not depend on the row: they are computed once.
inline auto adi(const JitOptions& options) {
    return jit(
        "adi",
        [](Value steps, InOut u) {
            const Value n = u.extent(0);
            const Value real = cast<double>(n);
            const Value mul1 = 2.0 / cast<double>(steps) * (real * real);
            const Value mul2 = 1.0 / cast<double>(steps) * (real * real);
            const Value a = -mul1 / 2.0, b = 1.0 + mul2, c = a;
            const Value d = -mul2 / 2.0, e = 1.0 + mul2, f = d;
            Scratch v(DType::f64, {n, n}), q(DType::f64, {n, n});
            Scratch p1(DType::f64, {n}), r1(DType::f64, {n}), p2(DType::f64, {n}),
                r2(DType::f64, {n});
            p1(0) = 0.0;
            p2(0) = 0.0;
            for (Index j : range(1, n - 1)) {
                r1(j) = 1.0 / (a * p1(j - 1) + b);
                p1(j) = -c * r1(j);
                r2(j) = 1.0 / (d * p2(j - 1) + e);
                p2(j) = -f * r2(j);
            }
            for (Index t : range(steps)) {
                (void)t;
                for (Index i : range(1, n - 1)) {
                    v(0, i) = 1.0;
                    q(0, i) = 1.0;
                    v(n - 1, i) = 1.0;
                }
                for (Index j : range(1, n - 1)) {
                    const Value r = r1(j), ar = a * r;
                    for (Index i : range(1, n - 1))
                        q(j, i) =
                            (-d * u(j, i - 1) + (1.0 + 2.0 * d) * u(j, i) - f * u(j, i + 1)) * r -
                            ar * q(j - 1, i);
                }
                for (Index j : range(n - 2, 0, -1)) {
                    const Value p = p1(j);
                    for (Index i : range(1, n - 1)) v(j, i) = p * v(j + 1, i) + q(j, i);
                }
                for (Index i : prange(1, n - 1)) {
                    // What does not depend on the element before it first, so that it runs in
                    // vectors.
                    for (Index j : range(1, n - 1))
                        q(i, j) = (-a * v(i - 1, j) + (1.0 + 2.0 * a) * v(i, j) - c * v(i + 1, j)) *
                                  r2(j);
                    Var last(DType::f64, 1.0);
                    u(i, 0) = 1.0;
                    for (Index j : range(1, n - 1)) {
                        last = q(i, j) - d * r2(j) * last;
                        q(i, j) = last;
                    }
                    Var next(DType::f64, 1.0);
                    u(i, n - 1) = 1.0;
                    for (Index j : range(n - 2, 0, -1)) {
                        next = p2(j) * next + q(i, j);
                        u(i, j) = next;
                    }
                }
            }
        },
        options);
}

/// Deriche's recursive edge filter: forward and backward along the rows, then along the columns.
inline auto deriche(const JitOptions& options) {
    return jit(
        "deriche",
        [](Value alpha, In image, Out out) {
            const Value w = image.extent(0), h = image.extent(1);
            const Value decay = exp(-alpha);
            const Value k =
                (1.0 - decay) * (1.0 - decay) / (1.0 + alpha * decay - exp(2.0 * alpha));
            const Value a1 = k, a2 = k * decay * (alpha - 1.0), a3 = k * decay * (alpha + 1.0),
                        a4 = -k * exp(-2.0 * alpha), b1 = pow(2.0, -alpha), b2 = -exp(-2.0 * alpha);
            Scratch y(DType::f64, {w, h});
            // Several rows at once: each is a chain of operations that wait for each other.
            const auto rows = [&](const Value& first, std::int64_t count) {
                const auto variables = [&] {
                    std::vector<Var> list;
                    list.reserve(static_cast<std::size_t>(count));
                    for (std::int64_t r = 0; r < count; ++r) list.emplace_back(DType::f64, 0.0);
                    return list;
                };
                std::vector<Var> x1 = variables(), y1 = variables(), y2 = variables();
                for (Index j : range(h))
                    for (std::size_t r = 0; r < y1.size(); ++r) {
                        const Value i = first + static_cast<std::int64_t>(r), x = image(i, j);
                        const Value next = (a1 * x + a2 * x1[r] + b2 * y2[r]) + b1 * y1[r];
                        y2[r] = y1[r];
                        y1[r] = next;
                        x1[r] = x;
                        y(i, j) = next;
                    }
                std::vector<Var> w1 = variables(), w2 = variables(), z1 = variables(),
                                 z2 = variables();
                for (Index j : range(h - 1, -1, -1))
                    for (std::size_t r = 0; r < z1.size(); ++r) {
                        const Value i = first + static_cast<std::int64_t>(r);
                        const Value next = (a3 * w1[r] + a4 * w2[r] + b2 * z2[r]) + b1 * z1[r];
                        z2[r] = z1[r];
                        z1[r] = next;
                        w2[r] = w1[r];
                        w1[r] = image(i, j);
                        y(i, j) += next;
                    }
            };
            for (Index g : prange(w / 4, {.unsafe_races = true})) rows(4 * g, 4);
            for (Index i : range(w / 4 * 4, w)) rows(i, 1);

            // Columns in blocks that stay in the first cache.
            const std::int64_t block = 64;
            Scratch forward(DType::f64, {w, h});
            for (Index g : prange((h + block - 1) / block, {.unsafe_races = true})) {
                const Value lo = g * block, hi = min(lo + block, h);
                for (Index j : range(lo, hi)) {
                    const Value first = a1 * y(0, j);
                    forward(0, j) = first;
                    forward(1, j) = a1 * y(1, j) + a2 * y(0, j) + b1 * first;
                    out(w - 1, j) = 0.0;
                    out(w - 2, j) = a3 * y(w - 1, j);
                }
                for (Index i : range(2, w))
                    for (Index j : range(lo, hi))
                        forward(i, j) = a1 * y(i, j) + a2 * y(i - 1, j) + b1 * forward(i - 1, j) +
                                        b2 * forward(i - 2, j);
                for (Index i : range(w - 3, -1, -1))
                    for (Index j : range(lo, hi))
                        out(i, j) = a3 * y(i + 1, j) + a4 * y(i + 2, j) + b1 * out(i + 1, j) +
                                    b2 * out(i + 2, j);
                for (Index i : range(w))
                    for (Index j : range(lo, hi)) out(i, j) += forward(i, j);
            }
        },
        options);
}

/// Time steps of the finite-difference time-domain method; `fict` are the border's values of ey.
inline auto fdtd_2d(const JitOptions& options) {
    return jit(
        "fdtd_2d",
        [parallel = options.parallel](InOut ex, InOut ey, InOut hz, In fict) {
            const Value nx = ex.extent(0), ny = ex.extent(1);
            const auto electric = [&](const Value& i) {
                for (Index j : range(ny)) ey(i, j) -= 0.5 * (hz(i, j) - hz(i - 1, j));
                for (Index j : range(1, ny)) ex(i, j) -= 0.5 * (hz(i, j) - hz(i, j - 1));
            };
            const auto magnetic = [&](const Value& i) {
                for (Index j : range(ny - 1))
                    hz(i, j) -= 0.7 * (ex(i, j + 1) - ex(i, j) + ey(i + 1, j) - ey(i, j));
            };
            for (Index t : range(fict.extent(0))) {
                const Value border = fict(t);
                for (Index j : range(ny)) ey(0, j) = border;
                for (Index j : range(1, ny)) ex(0, j) -= 0.5 * (hz(0, j) - hz(0, j - 1));
                if (parallel) {
                    for (Index i : prange(1, nx)) electric(i);
                    for (Index i : prange(nx - 1)) magnetic(i);
                } else {
                    // One pass: a row of hz is due as soon as the row below it has been.
                    for (Index i : range(1, nx)) {
                        electric(i);
                        magnetic(i - 1);
                    }
                }
            }
        },
        options);
}

/// Fourth-order horizontal diffusion with a limiter. `in` has a border of 2 in the first two axes.
inline auto hdiff(const JitOptions& options) {
    return jit(
        "hdiff",
        [](In in, Out out, In coefficient) {
            const auto laplacian = [&](const Value& i, const Value& j, const Value& k) {
                return 4.0 * in(i, j, k) -
                       (in(i + 1, j, k) + in(i - 1, j, k) + in(i, j + 1, k) + in(i, j - 1, k));
            };
            const auto limited = [](const Value& flux, const Value& slope) {
                return select(flux * slope > 0.0, 0.0, flux);
            };
            for (Index i : prange(out.extent(0)))
                for (Index j : range(out.extent(1)))
                    for (Index k : range(out.extent(2))) {
                        const Value x = i + 2, y = j + 2, centre = in(x, y, k);
                        const Value lap = laplacian(x, y, k);
                        const Value right =
                            limited(laplacian(x + 1, y, k) - lap, in(x + 1, y, k) - centre);
                        const Value left =
                            limited(lap - laplacian(x - 1, y, k), centre - in(x - 1, y, k));
                        const Value up =
                            limited(laplacian(x, y + 1, k) - lap, in(x, y + 1, k) - centre);
                        const Value down =
                            limited(lap - laplacian(x, y - 1, k), centre - in(x, y - 1, k));
                        out(i, j, k) = centre - coefficient(i, j, k) * (right - left + up - down);
                    }
        },
        options);
}

/// Jacobi steps of the heat equation on a cube, there and back.
inline auto heat_3d(const JitOptions& options) {
    return jit(
        "heat_3d",
        [](Value steps, InOut a, InOut b) {
            const auto sweep = [](const InOut& from, const InOut& to) {
                const Value n = from.extent(0) - 1;
                for (Index i : prange(1, n))
                    for (Index j : range(1, n))
                        for (Index k : range(1, n)) {
                            const Value x = from(i, j, k);
                            to(i, j, k) =
                                0.125 * (from(i + 1, j, k) - 2.0 * x + from(i - 1, j, k)) +
                                0.125 * (from(i, j + 1, k) - 2.0 * x + from(i, j - 1, k)) +
                                0.125 * (from(i, j, k + 1) - 2.0 * x + from(i, j, k - 1)) + x;
                        }
            };
            for (Index t : range(1, steps)) {
                (void)t;
                sweep(a, b);
                sweep(b, a);
            }
        },
        options);
}

inline auto jacobi_1d(const JitOptions& options) {
    return jit(
        "jacobi_1d",
        [](Value steps, InOut a, InOut b) {
            const auto sweep = [](const InOut& from, const InOut& to) {
                for (Index i : range(1, from.extent(0) - 1))
                    to(i) = 0.33333 * (from(i - 1) + from(i) + from(i + 1));
            };
            for (Index t : range(1, steps)) {
                (void)t;
                sweep(a, b);
                sweep(b, a);
            }
        },
        options);
}

inline auto jacobi_2d(const JitOptions& options) {
    return jit(
        "jacobi_2d",
        [](Value steps, InOut a, InOut b) {
            const auto sweep = [](const InOut& from, const InOut& to) {
                for (Index i : prange(1, from.extent(0) - 1))
                    for (Index j : range(1, from.extent(1) - 1))
                        to(i, j) = 0.2 * (from(i, j) + from(i, j - 1) + from(i, j + 1) +
                                          from(i + 1, j) + from(i - 1, j));
            };
            for (Index t : range(1, steps)) {
                (void)t;
                sweep(a, b);
                sweep(b, a);
            }
        },
        options);
}

/// Gauss-Seidel sweeps: in a row, each element needs the one before it.
inline auto seidel_2d(const JitOptions& options) {
    return jit(
        "seidel_2d",
        [](Value steps, InOut a) {
            const Value n = a.extent(0);
            Scratch rest(DType::f64, {n});
            for (Index t : range(steps - 1)) {
                (void)t;
                for (Index i : range(1, n - 1)) {
                    for (Index j : range(1, n - 1))
                        rest(j) = (a(i, j) + a(i - 1, j - 1) + a(i - 1, j) + a(i - 1, j + 1) +
                                   a(i, j + 1) + a(i + 1, j - 1) + a(i + 1, j) + a(i + 1, j + 1)) *
                                  (1.0 / 9.0);
                    Var last(DType::f64, a(i, 0));
                    for (Index j : range(1, n - 1)) {
                        last = rest(j) + last * (1.0 / 9.0);
                        a(i, j) = last;
                    }
                }
            }
        },
        options);
}

/// Vertical advection: a tridiagonal system along the last axis, for every point of the first two.
/// Four points of the second axis at a time: what does not depend on the element before it first,
/// so that it runs in vectors through rows that follow each other in memory.
inline auto vadv(const JitOptions& options) {
    return jit(
        "vadv",
        [](InOut stage, In u, In wcon, In position, In tendency, Value dtr) {
            const std::int64_t together = 4;
            const Value points = stage.extent(1), last = stage.extent(2) - 1;
            const auto rows = [&] {
                return Scratch(DType::f64, {stage.extent(0), together, stage.extent(2)});
            };
            Scratch flow = rows(), known = rows(), upper = rows(), right = rows();
            const auto prepare = [&](const Value& i, const Value& j, const Value& p) {
                for (Index k : range(last + 1))
                    flow(i, p, k) = 0.125 * (wcon(i + 1, j, k) + wcon(i, j, k));
                const auto own = [&](const Value& k) {
                    return dtr * position(i, j, k) + tendency(i, j, k) + stage(i, j, k);
                };
                known(i, p, 0) = own(Value(0)) - flow(i, p, 1) * (u(i, j, 1) - u(i, j, 0));
                for (Index k : range(1, last))
                    known(i, p, k) = own(k) + flow(i, p, k) * (u(i, j, k - 1) - u(i, j, k)) -
                                     flow(i, p, k + 1) * (u(i, j, k + 1) - u(i, j, k));
                known(i, p, last) =
                    own(last) + flow(i, p, last) * (u(i, j, last - 1) - u(i, j, last));
            };
            const auto column = [&](const Value& i, const Value& j, const Value& p) {
                const Value above = flow(i, p, 1), first = 1.0 / (dtr - above);
                Var c(DType::f64, above * first), d(DType::f64, known(i, p, 0) * first);
                upper(i, p, 0) = c;
                right(i, p, 0) = d;
                for (Index k : range(1, last)) {
                    const Value w = flow(i, p, k), next = flow(i, p, k + 1);
                    const Value scale = 1.0 / (dtr + w - next + c * w);
                    d = (known(i, p, k) + d * w) * scale;
                    c = next * scale;
                    upper(i, p, k) = c;
                    right(i, p, k) = d;
                }
                const Value w = flow(i, p, last);
                Var x(DType::f64, (known(i, p, last) + d * w) / (dtr + w + c * w));
                stage(i, j, last) = dtr * (x - position(i, j, last));
                for (Index k : range(last - 1, -1, -1)) {
                    x = right(i, p, k) - upper(i, p, k) * x;
                    stage(i, j, k) = dtr * (x - position(i, j, k));
                }
            };
            for (Index i : prange(stage.extent(0)))
                for (Index begin : range(0, points, together)) {
                    const Value count = min(points - begin, together);
                    for (Index p : range(count)) prepare(i, begin + p, p);
                    for (Index p : range(count)) column(i, begin + p, p);
                }
        },
        options);
}

}  // namespace npbench
