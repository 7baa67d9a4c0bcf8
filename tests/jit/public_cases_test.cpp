// Programs whose results others have published: NAS EP, two of the Benchmarks Game, BabelStream.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <array>
#include <cmath>
#include <vector>

using namespace kiln;

namespace {

// --------------------------------------------------------------------------------------- NAS EP

/// x -> 5^13 x modulo 2^46, `steps` times; 46 bits and wrapping products of u64 suffice.
Value power_of_step(const Value& steps) {
    const auto word = [](std::uint64_t v) { return cast<std::uint64_t>(Value(v)); };
    Var result(DType::u64, word(1)), factor(DType::u64, word(1220703125)), left(DType::i64, steps);
    while_([&] { return left > 0; },
           [&] {
               result =
                   select((left & 1) != 0, result * factor, Value(result)) & word((1ULL << 46) - 1);
               factor = factor * factor & word((1ULL << 46) - 1);
               left = left >> 1;
           });
    return result;
}

/// Gaussian pairs by the polar method from the generator's numbers, in blocks of 2^16 pairs, each
/// of which finds its own start. Gives the sums of the deviates, and pairs by the square annulus.
TEST_CASE("NAS EP, class S", "[jit][cases]") {
    const auto ep =
        jit("ep",
            [](Value blocks, Out sums, Out annuli) {
                const std::int64_t pairs = 1 << 16;
                const auto word = [](std::uint64_t v) { return cast<std::uint64_t>(Value(v)); };
                const Value mask = word((1ULL << 46) - 1), a = word(1220703125);
                for (Index b : prange(blocks)) {
                    for (int bin = 0; bin < 10; ++bin) annuli(b, bin) = 0;
                    Var seed(DType::u64, power_of_step(2 * pairs * b) * word(271828183) & mask);
                    Var sx(DType::f64, 0.0), sy(DType::f64, 0.0);
                    for (Index i : range(pairs)) {
                        (void)i;
                        const Value first = seed * a & mask, second = first * a & mask;
                        seed = second;
                        const Value x = 2.0 * (cast<double>(first) * 0x1p-46) - 1.0;
                        const Value y = 2.0 * (cast<double>(second) * 0x1p-46) - 1.0;
                        const Value t = x * x + y * y;
                        if_(t <= 1.0, [&] {
                            const Value scale = sqrt(-2.0 * log(t) / t);
                            const Value gx = x * scale, gy = y * scale;
                            annuli(b, cast<std::int64_t>(max(abs(gx), abs(gy)))) += 1;
                            sx += gx;
                            sy += gy;
                        });
                    }
                    sums(b, 0) = sx;
                    sums(b, 1) = sy;
                }
            },
            {.parallel = true});
    const std::int64_t blocks = (1 << 24) >> 16;
    const Array sums = empty({blocks, 2}, DType::f64), annuli = empty({blocks, 10}, DType::i64);
    ep(blocks, sums, annuli);
    double sx = 0, sy = 0;
    std::array<std::int64_t, 10> count{};
    std::int64_t pairs = 0;
    for (std::int64_t b = 0; b < blocks; ++b) {
        sx += sums.at<double>({b, 0});
        sy += sums.at<double>({b, 1});
        for (std::int64_t bin = 0; bin < 10; ++bin) {
            count[static_cast<std::size_t>(bin)] += annuli.at<std::int64_t>({b, bin});
            pairs += annuli.at<std::int64_t>({b, bin});
        }
    }
    CHECK(std::abs(sx / -3.247834652034740e3 - 1) <= 1e-8);
    CHECK(std::abs(sy / -6.958407078382297e3 - 1) <= 1e-8);
    CHECK(pairs == 13176389);
    CHECK(count == std::array<std::int64_t, 10>{6140517, 5865300, 1100361, 68546, 1648, 17});
}

// -------------------------------------------------------------------------------- Benchmarks Game

/// The sun and four planets: position, velocity and mass in astronomical units, days and solar
/// masses times 4 pi^2.
TEST_CASE("the planets' energy", "[jit][cases]") {
    const double pi = 3.141592653589793, year = 365.24, solar = 4 * pi * pi;
    const std::vector<double> bodies{0,
                                     0,
                                     0,
                                     0,
                                     0,
                                     0,
                                     solar,  //
                                     4.84143144246472090e+00,
                                     -1.16032004402742839e+00,
                                     -1.03622044471123109e-01,
                                     1.66007664274403694e-03 * year,
                                     7.69901118419740425e-03 * year,
                                     -6.90460016972063023e-05 * year,
                                     9.54791938424326609e-04 * solar,  //
                                     8.34336671824457987e+00,
                                     4.12479856412430479e+00,
                                     -4.03523417114321381e-01,
                                     -2.76742510726411899e-03 * year,
                                     4.99852801234917238e-03 * year,
                                     2.30417297573763929e-05 * year,
                                     2.85885980666130812e-04 * solar,  //
                                     1.28943695621391310e+01,
                                     -1.51111514016986312e+01,
                                     -2.23307578892655734e-01,
                                     2.96460137564761618e-03 * year,
                                     2.37847173959480950e-03 * year,
                                     -2.96589568540237556e-05 * year,
                                     4.36624404335156298e-05 * solar,  //
                                     1.53796971148509165e+01,
                                     -2.59193146099879641e+01,
                                     1.79258772950371181e-01,
                                     2.68067772490389322e-03 * year,
                                     1.62824170038242295e-03 * year,
                                     -9.51592254519715870e-05 * year,
                                     5.15138902046611451e-05 * solar};
    const auto simulate = jit("simulate", [](InOut b, Value dt, Value steps) {
        const Value n = b.extent(0);
        const auto energy = [&] {
            Var e(DType::f64, 0.0);
            for (Index i : range(n)) {
                e += 0.5 * b(i, 6) * (b(i, 3) * b(i, 3) + b(i, 4) * b(i, 4) + b(i, 5) * b(i, 5));
                for (Index j : range(i + 1, n)) {
                    const Value dx = b(i, 0) - b(j, 0), dy = b(i, 1) - b(j, 1),
                                dz = b(i, 2) - b(j, 2);
                    e -= b(i, 6) * b(j, 6) / sqrt(dx * dx + dy * dy + dz * dz);
                }
            }
            return Value(e);
        };
        for (int axis = 3; axis < 6; ++axis) {
            Var momentum(DType::f64, 0.0);
            for (Index i : range(n)) momentum += b(i, axis) * b(i, 6);
            b(0, axis) = -momentum / b(0, 6);
        }
        const Value before = energy();
        for (Index t : range(steps)) {
            (void)t;
            for (Index i : range(n))
                for (Index j : range(i + 1, n)) {
                    const Value dx = b(i, 0) - b(j, 0), dy = b(i, 1) - b(j, 1),
                                dz = b(i, 2) - b(j, 2);
                    const Value r2 = dx * dx + dy * dy + dz * dz;
                    const Value pull = dt / (r2 * sqrt(r2));
                    const Value mi = b(i, 6), mj = b(j, 6);
                    b(i, 3) -= dx * mj * pull;
                    b(i, 4) -= dy * mj * pull;
                    b(i, 5) -= dz * mj * pull;
                    b(j, 3) += dx * mi * pull;
                    b(j, 4) += dy * mi * pull;
                    b(j, 5) += dz * mi * pull;
                }
            for (Index i : range(n))
                for (int axis = 0; axis < 3; ++axis) b(i, axis) += dt * b(i, axis + 3);
        }
        return std::pair(before, energy());
    });
    std::vector<double> start = bodies;
    const auto [before, after] =
        simulate(Array::over(start.data(), {5, 7}), 0.01, std::int64_t(1000));
    CHECK(std::abs(before.get<double>() - -0.169075164) <= 5e-10);
    CHECK(std::abs(after.get<double>() - -0.169087605) <= 5e-10);
}

/// The square root of the largest eigenvalue of A^T A, where A(i, j) = 1 / ((i+j)(i+j+1)/2 + i+1).
TEST_CASE("the spectral norm of an infinite matrix", "[jit][cases]") {
    for (const bool parallel : {false, true}) {
        const auto spectral_norm = jit(
            "spectral_norm",
            [](Value n) -> Value {
                Scratch u(DType::f64, {n}), v(DType::f64, {n}), w(DType::f64, {n});
                const auto element = [](const Value& i, const Value& j) {
                    return 1.0 / cast<double>((i + j) * (i + j + 1) / 2 + i + 1);
                };
                const auto apply = [&](const Scratch& from, const Scratch& to, bool transposed) {
                    for (Index i : prange(n)) {
                        Var sum(DType::f64, 0.0);
                        for (Index j : range(n))
                            sum += (transposed ? element(j, i) : element(i, j)) * from(j);
                        to(i) = sum;
                    }
                };
                for (Index i : range(n)) u(i) = 1.0;
                for (Index t : range(10)) {
                    (void)t;
                    apply(u, w, false);
                    apply(w, v, true);
                    apply(v, w, false);
                    apply(w, u, true);
                }
                Var uv(DType::f64, 0.0), vv(DType::f64, 0.0);
                for (Index i : range(n)) {
                    uv += u(i) * v(i);
                    vv += v(i) * v(i);
                }
                return sqrt(uv / vv);
            },
            {.parallel = parallel});
        CHECK(std::abs(spectral_norm(std::int64_t(100)).get<double>() - 1.274219991) <= 5e-10);
    }
}

// ------------------------------------------------------------------------------------ BabelStream

TEST_CASE("BabelStream's sums", "[jit][cases]") {
    const JitOptions options{.parallel = true};
    const auto map = [&](const char* name, auto f) {
        return jit(
            name,
            [f](InOut a, InOut b, InOut c) {
                for (Index i : prange(a.extent(0))) f(a, b, c, i);
            },
            options);
    };
    const auto copy = map("copy", [](auto& a, auto&, auto& c, auto& i) { c(i) = a(i); });
    const auto mul = map("mul", [](auto&, auto& b, auto& c, auto& i) { b(i) = 0.4 * c(i); });
    const auto add = map("add", [](auto& a, auto& b, auto& c, auto& i) { c(i) = a(i) + b(i); });
    const auto triad =
        map("triad", [](auto& a, auto& b, auto& c, auto& i) { a(i) = b(i) + 0.4 * c(i); });
    const auto dot = jit(
        "dot",
        [](In a, In b) -> Value {
            Var sum(DType::f64, 0.0);
            for (Index i : prange(a.extent(0))) sum += a(i) * b(i);
            return sum;
        },
        options);
    const std::size_t n = 1 << 16;
    std::vector<double> a(n, 0.1), b(n, 0.2), c(n, 0.0);
    double sum = 0;
    for (int round = 0; round < 100; ++round) {
        copy(a, b, c);
        mul(a, b, c);
        add(a, b, c);
        triad(a, b, c);
        sum = dot(a, b).get<double>();
    }
    const double epsilon = 0x1p-52;
    for (const std::size_t i : {std::size_t(0), n / 2, n - 1}) {
        CHECK(std::abs(a[i] / .0016870319358850 - 1) <= 1e-13 + 100 * epsilon);
        CHECK(std::abs(b[i] / .00070292997328541 - 1) <= 1e-13 + 100 * epsilon);
        CHECK(std::abs(c[i] / .0024602549064989 - 1) <= 1e-13 + 100 * epsilon);
    }
    CHECK(std::abs(sum / (a[0] * b[0] * static_cast<double>(n)) - 1) <= 1e7 * epsilon);
}

}  // namespace
