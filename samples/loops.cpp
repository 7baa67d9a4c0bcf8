// Loop kernels on numbers: each program of the table at the end, beside the plain C++ loop.
//
// usage: loops [--small | --full] [name...]
#include <kiln/kiln.h>
#include <kiln/random.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "loops.h"

using namespace kiln;
using samples::Size;

namespace {

// ------------------------------------------------------------------------- x + 2 in three
// dimensions

/// The order of the loops is the user's; kiln may run them in the order in which memory lies.
auto add2(bool memory_order, bool parallel) {
    return jit("add2",
               [memory_order](In x, Out y) {
                   if (memory_order) {
                       for (Index i : prange(x.extent(0)))
                           for (Index j : range(x.extent(1)))
                               for (Index k : range(x.extent(2))) y(i, j, k) = x(i, j, k) + 2.0;
                   } else {
                       for (Index k : prange(x.extent(2)))
                           for (Index j : range(x.extent(1)))
                               for (Index i : range(x.extent(0))) y(i, j, k) = x(i, j, k) + 2.0;
                   }
               },
               {.parallel = parallel});
}

bool run_add2(Size size) {
    const std::int64_t n = samples::pick(size, 24, 256, 1024),
                       depth = samples::pick(size, 16, 128, 512);
    const Array x = empty({n, n, depth}, f64), y = empty(x.shape(), f64);
    const auto xs = x.span<double>(), ys = y.span<double>();
    for (std::size_t i = 0; i < xs.size(); ++i) xs[i] = static_cast<double>(i % 1000);
    const auto plain = [&] {
        for (std::size_t i = 0; i < xs.size(); ++i) ys[i] = xs[i] + 2.0;
    };
    const auto serial = add2(true, false), parallel = add2(true, true);
    const auto bad = add2(false, false), bad_parallel = add2(false, true);
    bool ok = true;
    for (const auto* kernel : {&serial, &parallel, &bad, &bad_parallel}) {
        std::ranges::fill(ys, 0.0);
        (*kernel)(x, y);
        bool right = true;
        for (std::size_t i = 0; i < xs.size(); ++i) right &= ys[i] == xs[i] + 2.0;
        std::printf("%s  x + 2 (%zu elements)\n", right ? "right" : "WRONG", xs.size());
        ok &= right;
    }
    samples::compare("x + 2", 5, plain,
                     {{"kiln", [&] { serial(x, y); }},
                      {"prange", [&] { parallel(x, y); }},
                      {"other order", [&] { bad(x, y); }},
                      {"other order, prange", [&] { bad_parallel(x, y); }}});
    return ok;
}

// ------------------------------------------------------------------------------- sum of square
// roots

auto do_sum(bool fast, bool parallel) {
    return jit("do_sum",
               [](In x) -> Value {
                   Var sum(f64, 0);
                   for (Index i : prange(x.extent(0))) sum += sqrt(x(i));
                   return sum;
               },
               {.fastmath = fast, .parallel = parallel});
}

bool run_do_sum(Size size) {
    const auto n = static_cast<std::size_t>(samples::pick(size, 10'000, 1'000'000, 100'000'000));
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<double>(i % 4096);
    double want = 0;
    const auto plain = [&] {
        want = 0;
        for (const double v : x) want += std::sqrt(v);
    };
    plain();
    const auto none = do_sum(false, false), fast = do_sum(true, false),
               parallel = do_sum(false, true), both = do_sum(true, true);
    bool ok = true;
    for (const auto* kernel : {&none, &fast, &parallel, &both})
        ok &= samples::agree_one("sum of square roots", (*kernel)(x).get<double>(), want,
                                 1e-11 * want);
    samples::compare("sum of square roots", 15, plain,
                     {{"kiln", [&] { none(x); }},
                      {"fast", [&] { fast(x); }},
                      {"parallel", [&] { parallel(x); }},
                      {"both", [&] { both(x); }}});
    return ok;
}

// ----------------------------------------------------------------------------------------------
// primes

const auto count_primes =
    jit("count_primes",
        [](Value limit) -> Value {
            Var count(i64, 1);  // 2
            for (Index k : prange(1, limit / 2)) {
                const Value n = 2 * k + 1;
                Var divisor(i64, 3);
                while_([&] { return divisor * divisor <= n && n % divisor != 0; },
                       [&] { divisor += 2; });
                count += select(divisor * divisor > n, 1, 0);
            }
            return count;
        },
        {.parallel = true});

bool run_primes(Size size) {
    const std::int64_t limit = samples::pick(size, 2000, 100'000, 100'000);  // even
    std::int64_t want = 0;
    const auto plain = [&] {
        want = 1;
        for (std::int64_t n = 3; n < limit; n += 2) {
            std::int64_t d = 3;
            while (d * d <= n && n % d != 0) d += 2;
            want += d * d > n;
        }
    };
    plain();
    const bool ok =
        samples::agree_one("primes", static_cast<double>(count_primes(limit).get<std::int64_t>()),
                           static_cast<double>(want), 0);
    samples::compare("primes", 7, plain, {{"kiln", [&] { count_primes(limit); }}});
    return ok && (limit != 100'000 || want == 9592);
}

// ------------------------------------------------------------------------------ pi by throwing
// points

auto throw_points(bool parallel) {
    return jit("throw_points",
               [](Value throws, Value seed) -> Value {
                   Var inside(i64, 0);
                   for (Index i : prange(throws)) {
                       const auto [x, y] = random::uniforms<double>(seed, 0, i);
                       inside += select(x * x + y * y < 1.0, 1, 0);
                   }
                   return inside;
               },
               {.parallel = parallel});
}

/// The same numbers by Philox4x32-10 in plain C++.
std::int64_t plain_throws(std::int64_t throws, std::uint64_t seed) {
    std::int64_t inside = 0;
    for (std::int64_t i = 0; i < throws; ++i) {
        auto c0 = static_cast<std::uint32_t>(i), c1 = static_cast<std::uint32_t>(i >> 32);
        std::uint32_t c2 = 0, c3 = 0;
        auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t a = 0xD2511F53ull * c0, b = 0xCD9E8D57ull * c2;
            const auto high_a = static_cast<std::uint32_t>(a >> 32),
                       high_b = static_cast<std::uint32_t>(b >> 32);
            c0 = high_b ^ c1 ^ k0;
            c2 = high_a ^ c3 ^ k1;
            c1 = static_cast<std::uint32_t>(b);
            c3 = static_cast<std::uint32_t>(a);
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        const auto uniform = [](std::uint32_t high, std::uint32_t low) {
            return static_cast<double>((std::uint64_t(high >> 5) << 26) | (low >> 6)) * 0x1p-53;
        };
        const double x = uniform(c0, c1), y = uniform(c2, c3);
        inside += x * x + y * y < 1.0;
    }
    return inside;
}

bool run_pi(Size size) {
    const std::int64_t throws = samples::pick(size, 100'000, 33'000'000, 1'000'000'000);
    const std::int64_t seed = 2024;
    const auto serial = throw_points(false), parallel = throw_points(true);
    std::int64_t inside = 0;
    const double first =
        samples::milliseconds([&] { inside = serial(throws, seed).get<std::int64_t>(); });
    const double threads = samples::milliseconds([&] {
        if (parallel(throws, seed).get<std::int64_t>() != inside) inside = -1;
    });
    const double pi = 4.0 * static_cast<double>(inside) / static_cast<double>(throws);
    // Five standard deviations.
    bool ok = samples::agree_one("pi", pi, 3.14159265358979,
                                 5 * 1.65 / std::sqrt(static_cast<double>(throws)));
    const std::int64_t some = std::min<std::int64_t>(throws, 1'000'000);
    ok &= samples::agree_one(
        "points inside", static_cast<double>(serial(some, seed).get<std::int64_t>()),
        static_cast<double>(plain_throws(some, static_cast<std::uint64_t>(seed))), 0);
    std::printf("== pi of %.2g points: %.6f; %.1f ms, parallel %.1f ms\n",
                static_cast<double>(throws), pi, first, threads);
    volatile std::int64_t kept = 0;
    samples::compare(
        "a million points", 5, [&] { kept = plain_throws(some, static_cast<std::uint64_t>(seed)); },
        {{"kiln", [&] { serial(some, seed); }}, {"parallel", [&] { parallel(some, seed); }}});
    return ok;
}

// --------------------------------------------------------------- median, maximum and tanh on a
// diagonal

/// out = a + (sum of tanh over the diagonal) + its maximum + its median: the element that has as
/// many below as above it, or the mean of the two in the middle.
const auto diagonal = jit("diagonal",
                          [](In a, Out out) {
                              const Value n = a.extent(0);
                              Scratch d(f64, {n}), at_rank(f64, {n});
                              for (Index i : prange(n)) d(i) = a(i, i);
                              Var trace(f64, 0), most(f64, a(0, 0));
                              for (Index i : prange(n)) {
                                  trace += tanh(d(i));
                                  most = max(most, d(i));
                              }
                              for (Index i : range(n)) {
                                  Var rank(i64, 0);
                                  for (Index j : range(n))
                                      rank += select(d(j) < d(i) || (d(j) == d(i) && j < i), 1, 0);
                                  at_rank(rank) = d(i);
                              }
                              const Value median = 0.5 * (at_rank((n - 1) / 2) + at_rank(n / 2));
                              const Value shift = trace + most + median;
                              for (Index i : prange(n))
                                  for (Index j : range(a.extent(1))) out(i, j) = a(i, j) + shift;
                          },
                          {.parallel = true});

bool run_diagonal(Size size) {
    const std::int64_t n = samples::pick(size, 60, 1000, 10'000);
    const Array a = empty({n, n}, f64), out = empty({n, n}, f64);
    const auto as = a.span<double>(), outs = out.span<double>();
    for (std::size_t i = 0; i < as.size(); ++i) as[i] = std::sin(static_cast<double>(i));
    std::vector<double> want(as.size());
    const auto plain = [&] {
        std::vector<double> d;
        double trace = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            d.push_back(as[static_cast<std::size_t>(i * n + i)]);
            trace += std::tanh(d.back());
        }
        std::ranges::sort(d);
        const double shift = trace + d.back() + 0.5 * (d[(d.size() - 1) / 2] + d[d.size() / 2]);
        for (std::size_t i = 0; i < want.size(); ++i) want[i] = as[i] + shift;
    };
    plain();
    diagonal(a, out);
    const bool ok = samples::agree<double>("median, maximum, tanh", outs, want,
                                           [](std::size_t) { return 1e-9; });
    samples::compare("median, maximum, tanh", 7, plain, {{"kiln", [&] { diagonal(a, out); }}});
    return ok;
}

// ------------------------------------------------------------------------------ outer product in
// chunks

const auto outer_rows = jit("outer_rows",
                            [](In y, In x, Out out) {
                                for (Index i : prange(out.extent(0)))
                                    for (Index j : range(out.extent(1))) out(i, j) = y(i) * x(j);
                            },
                            {.parallel = true});

bool run_outer(Size size) {
    // The whole product would be a thousand times as large as the buffer that its rows pass.
    const std::int64_t n = samples::pick(size, 500, 10'000, 100'000), rows = 100;
    const Array x = linspace(0, 1, n), y = linspace(1, 2, n), chunk = empty({rows, n}, f64);
    const auto xs = x.span<double>(), ys = y.span<double>(), out = chunk.span<double>();
    double total = 0, want = 0;
    const auto run = [&](auto&& fill) {
        double sum = 0;
        for (std::int64_t first = 0; first < n; first += rows) {
            fill(first);
            sum += out.front() + out[out.size() / 2] + out.back();
        }
        return sum;
    };
    const auto with_kiln = [&] {
        total =
            run([&](std::int64_t first) { outer_rows(y(Slice{first, first + rows}), x, chunk); });
    };
    const auto plain = [&] {
        want = run([&](std::int64_t first) {
            for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i)
                for (std::size_t j = 0; j < xs.size(); ++j)
                    out[i * xs.size() + j] = ys[static_cast<std::size_t>(first) + i] * xs[j];
        });
    };
    with_kiln();
    plain();
    const bool ok = samples::agree_one("outer product", total, want, 0);
    samples::compare("outer product", 3, plain, {{"kiln", with_kiln}});
    return ok;
}

// ---------------------------------------------------------------------------------- parallel
// reduction

const auto describe = jit("describe",
                          [](In x) {
                              Var sum(f64, 0), least(f64, x(0)), most(f64, x(0));
                              for (Index i : prange(x.extent(0))) {
                                  sum += x(i);
                                  least = min(least, x(i));
                                  most = max(most, x(i));
                              }
                              return std::tuple(Value(sum), Value(least), Value(most));
                          },
                          {.parallel = true});

bool run_reduction(Size size) {
    const auto n = static_cast<std::size_t>(samples::pick(size, 10'000, 2'000'000, 100'000'000));
    std::vector<double> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = std::sin(static_cast<double>(i)) + 1e-3;
    double sum = 0, least = 0, most = 0;
    const auto plain = [&] {
        sum = 0, least = most = x[0];
        for (const double v : x) sum += v, least = std::min(least, v), most = std::max(most, v);
    };
    plain();
    const auto [s, l, m] = describe(x);
    bool ok = samples::agree_one("sum", s.get<double>(), sum, 1e-12 * static_cast<double>(n));
    ok &= samples::agree_one("least", l.get<double>(), least, 0) &&
          samples::agree_one("most", m.get<double>(), most, 0);
    const int threads = num_threads();
    set_num_threads(1);
    const double alone = std::get<0>(describe(x)).get<double>();
    set_num_threads(threads);
    ok &= samples::agree_one("sum on one thread: the same bits", alone, s.get<double>(), 0);
    samples::compare("sum, least and most", 11, plain, {{"kiln", [&] { describe(x); }}});
    return ok;
}

// ------------------------------------------------------------------------------------------ bubble
// sort

const auto bubble_sort = jit("bubble_sort", [](InOut x) {
    Var end(i64, x.extent(0));
    while_([&] { return end > 1; },
           [&] {
               Var last(i64, 0);  // the last exchange: what follows is in order
               for (Index i : range(1, end)) {
                   const Value a = x(i - 1), b = x(i);
                   if_(b < a, [&] {
                       x(i - 1) = b;
                       x(i) = a;
                       last = i;
                   });
               }
               end = last;
           });
});

bool run_bubble_sort(Size size) {
    const auto n = static_cast<std::size_t>(samples::pick(size, 300, 3000, 30'000));
    std::vector<double> start(n);
    for (std::size_t i = 0; i < n; ++i) start[i] = std::sin(static_cast<double>(7 * i));
    std::vector<double> want = start, got = start, work;
    std::ranges::sort(want);
    bubble_sort(got);
    const bool ok =
        samples::agree<double>("bubble sort", got, want, [](std::size_t) { return 0.0; });
    samples::compare("bubble sort", 3,
                     [&] {
                         work = start;
                         for (std::size_t end = n; end > 1;) {
                             std::size_t last = 0;
                             for (std::size_t i = 1; i < end; ++i)
                                 if (work[i] < work[i - 1])
                                     std::swap(work[i - 1], work[i]), last = i;
                             end = last;
                         }
                     },
                     {{"kiln", [&] {
                           work = start;
                           bubble_sort(work);
                       }}});
    return ok;
}

// ------------------------------------------------------------------------------- matrices, by
// blocks

/// c = a b. A block of b stays in the second cache while the rows of a pass it.
const auto matmul = jit("matmul",
                        [](In a, In b, Out c) {
                            const std::int64_t block = 64;
                            const Value n = c.extent(0), m = c.extent(1), inner = a.extent(1);
                            for (Index i : prange(n)) {
                                for (Index j : range(m)) c(i, j) = 0.0;
                                for (Index kk : range(0, inner, block))
                                    for (Index k : range(kk, min(kk + block, inner))) {
                                        const Value factor = a(i, k);
                                        for (Index j : range(m)) c(i, j) += factor * b(k, j);
                                    }
                            }
                        },
                        {.fastmath = Fastmath::contract, .parallel = true});

bool run_matmul(Size size) {
    const std::int64_t n = samples::pick(size, 70, 400, 2000);
    const Array a = empty({n, n}, f64), b = empty({n, n}, f64), c = empty({n, n}, f64);
    const auto as = a.span<double>(), bs = b.span<double>();
    for (std::size_t i = 0; i < as.size(); ++i) {
        as[i] = std::sin(static_cast<double>(i));
        bs[i] = std::cos(static_cast<double>(i));
    }
    std::vector<double> want(as.size());
    const auto width = static_cast<std::size_t>(n);
    const auto plain = [&] {
        std::ranges::fill(want, 0.0);
        for (std::size_t i = 0; i < width; ++i)
            for (std::size_t k = 0; k < width; ++k)
                for (std::size_t j = 0; j < width; ++j)
                    want[i * width + j] += as[i * width + k] * bs[k * width + j];
    };
    plain();
    matmul(a, b, c);
    const bool ok =
        samples::agree<double>("matrix product", c.span<double>(), want,
                               [&](std::size_t) { return 1e-13 * static_cast<double>(n); });
    samples::compare("matrix product", 3, plain, {{"kiln", [&] { matmul(a, b, c); }}});
    return ok;
}

constexpr samples::LoopProgram programs[] = {
    {"add2", "x + 2 on a three-dimensional array, the loops in both orders", run_add2},
    {"do_sum", "sum of square roots: plain, fast, parallel, both", run_do_sum},
    {"primes", "primes by trial division", run_primes},
    {"pi", "pi from random points", run_pi},
    {"diagonal", "median, maximum and tanh along a diagonal", run_diagonal},
    {"outer", "an outer product in chunks", run_outer},
    {"reduction",
     "sum, minimum and maximum in one parallel loop, the same bits on any number of threads",
     run_reduction},
    {"sort", "bubble sort in place", run_bubble_sort},
    {"matmul", "a matrix product by blocks", run_matmul},
};

}  // namespace

int main(int argc, char** argv) { return samples::run_programs(programs, argc, argv); }
