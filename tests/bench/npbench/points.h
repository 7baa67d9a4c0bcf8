// NPBench kernels of points, reductions, histograms and integers.
#pragma once
#include <kiln/kiln.h>

namespace npbench {
using namespace kiln;

/// The angle between two points on a sphere.
inline Ufunc arc_distance(const UfuncOptions& options) {
    return vectorize(
        "arc_distance",
        [](Value theta1, Value phi1, Value theta2, Value phi2) {
            const Value s = sin((theta2 - theta1) / 2.0), t = sin((phi2 - phi1) / 2.0);
            const Value h = s * s + cos(theta1) * cos(theta2) * t * t;
            return 2.0 * atan2(sqrt(h), sqrt(1.0 - h));
        },
        options);
}

inline Ufunc compute(const UfuncOptions& options) {
    return vectorize(
        "compute",
        [](Value x, Value y, Value a, Value b, Value c) { return clip(x, 2, 10) * a + y * b + c; },
        options);
}

/// The sum of tanh over the diagonal; go_fast adds it to all elements.
inline auto trace_of_tanh(const JitOptions& options) {
    return jit(
        "trace_of_tanh",
        [](In a) -> Value {
            Var trace(DType::f64, 0.0);
            for (Index i : range(a.extent(0))) trace += tanh(a(i, i));
            return trace;
        },
        options);
}
inline Ufunc plus(const UfuncOptions& options) {
    return vectorize("plus", [](Value x, Value y) { return x + y; }, options);
}

/// Points of the complex plane: the last value of z -> z z + c below the horizon's square and one
/// step further, and when that was. Strict arithmetic: orbits near the border are chaotic.
inline Ufunc mandelbrot1(const UfuncOptions& options) {
    return vectorize(
        "mandelbrot1",
        [](Value cx, Value cy, Value limit, Value horizon) {
            Var x(DType::f64, 0.0), y(DType::f64, 0.0);
            Var n(DType::i64, 0);
            while_([&] { return n < limit && x * x + y * y < horizon * horizon; },
                   [&] {
                       const Value t = x * x - y * y + cx;
                       y = x * y + x * y + cy;
                       x = t;
                       n += 1;
                   });
            return std::pair(make_complex(x, y), select(n == limit, 0, n - 1));
        },
        options);
}

/// Shortest paths between all pairs of nodes, in place.
inline auto floyd_warshall(const JitOptions& options) {
    return jit(
        "floyd_warshall",
        [](InOut path) {
            const Value n = path.extent(0);
            Scratch row(path.dtype(), {n});
            for (Index k : range(n)) {
                for (Index j : range(n)) row(j) = path(k, j);
                for (Index i : prange(n)) {
                    const Value first = path(i, k);
                    for (Index j : range(n)) path(i, j) = min(path(i, j), first + row(j));
                }
            }
        },
        options);
}

/// Mean of `data` by bins of `radius`, as numpy.histogram bins: `edges` has one more element than
/// `out`. Each chunk of the input has sums of its own.
inline auto azimint_hist(const JitOptions& options) {
    return jit(
        "azimint_hist",
        [chunks = std::int64_t(options.parallel ? 16 : 1)](In data, In radius, Out out) {
            const Value n = radius.extent(0), bins = out.extent(0);
            Var least(DType::f64, radius(0)), most(DType::f64, radius(0));
            for (Index e : prange(n)) {
                least = min(least, radius(e));
                most = max(most, radius(e));
            }
            const Value low = least, high = most, real = cast<double>(bins);
            const Value step = (high - low) / real, scale = real / (high - low);
            Scratch edges(DType::f64, {bins + 1});
            for (Index b : range(bins)) edges(b) = low + cast<double>(b) * step;
            edges(bins) = high;
            Scratch sums(DType::f64, {chunks, bins}), counts(DType::f64, {chunks, bins});
            for (Index c : prange(chunks)) {
                for (Index b : range(bins)) {
                    sums(c, b) = 0.0;
                    counts(c, b) = 0.0;
                }
                for (Index e : range(n * c / chunks, n * (c + 1) / chunks)) {
                    const Value r = radius(e);
                    const Value guess = min(cast<std::int64_t>((r - low) * scale), bins - 1);
                    // Rounding may put it into the neighbour's bin, seldom: a branch is guessed
                    // right.
                    Var b(DType::i64, guess);
                    if_(r < edges(guess), [&] { b -= 1; })
                        .else_if([&] { return r >= edges(guess + 1) && guess != bins - 1; },
                                 [&] { b += 1; });
                    sums(c, b) += data(e);
                    counts(c, b) += 1.0;
                }
            }
            for (Index b : range(bins)) {
                Var sum(DType::f64, 0.0), count(DType::f64, 0.0);
                for (Index c : range(chunks)) {
                    sum += sums(c, b);
                    count += counts(c, b);
                }
                out(b) = sum / count;
            }
        },
        options);
}

/// The same by comparing every element with every bin.
inline auto azimint_naive(const JitOptions& options) {
    return jit(
        "azimint_naive",
        [](In data, In radius, Out out) {
            const Value n = radius.extent(0), bins = out.extent(0);
            Var most(DType::f64, radius(0));
            for (Index e : prange(n)) most = max(most, radius(e));
            const Value high = most;
            for (Index b : prange(bins)) {
                const Value low = high * cast<double>(b) / cast<double>(bins);
                const Value up = high * cast<double>(b + 1) / cast<double>(bins);
                Var sum(DType::f64, 0.0), count(DType::f64, 0.0);
                for (Index e : range(n)) {
                    const Value inside = low <= radius(e) && radius(e) < up;
                    sum += select(inside, data(e), 0.0);
                    count += select(inside, 1.0, 0.0);
                }
                out(b) = sum / count;
            }
        },
        options);
}

/// CRC-16-CCITT, reflected, four bytes at once: `table` holds the effect of 8, 16, 24 and 32 steps
/// on the low byte.
inline auto crc16(const JitOptions& options) {
    return jit(
        "crc16",
        [](In data, Value polynomial) -> Value {
            const std::int64_t together = 4;
            Local table(DType::u32, together * 256);
            for (Index i : range(256)) {
                Var c(DType::u32, cast<std::uint32_t>(i));
                for (int bit = 0; bit < 8; ++bit)
                    c = (c >> 1) ^ select((c & 1) != 0, cast<std::uint32_t>(polynomial),
                                          cast<std::uint32_t>(Value(0)));
                table(i) = c;
            }
            const auto low = [](const Value& x) { return cast<std::int64_t>(x & 0xFF); };
            const auto effect = [&](std::int64_t bytes, const Value& byte) {
                return table((bytes - 1) * 256 + low(byte));
            };
            for (Index i : range(256, together * 256)) {
                const Value less = table(i - 256);
                table(i) = (less >> 8) ^ effect(1, less);
            }
            const Value whole = data.extent(0) / together * together;
            Var crc(DType::u32, 0xFFFF);
            for (Index i : range(0, whole, together)) {
                const auto byte = [&](std::int64_t k) { return cast<std::uint32_t>(data(i + k)); };
                const Value both = crc ^ (byte(0) | byte(1) << 8);
                crc = effect(4, both) ^ effect(3, both >> 8) ^
                      (effect(2, byte(2)) ^ effect(1, byte(3)));
            }
            for (Index i : range(whole, data.extent(0)))
                crc = (crc >> 8) ^ effect(1, crc ^ data(i));
            const Value inverse = ~crc & 0xFFFF;
            return ((inverse << 8) | (inverse >> 8)) & 0xFFFF;
        },
        options);
}

}  // namespace npbench
