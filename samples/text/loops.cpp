// Loop kernels on numbers.
//
//     kiln run loops.cpp --kernel count_primes --mode jit 100000 --parallel --repeat 10
#include <kiln/kernel.h>

#include <algorithm>
#include <cmath>

using namespace kiln;

/// The loops in the wrong order: kiln runs them in that of memory.
void add2(View<const double, 3> x, View<double, 3> y) {
    for (long k : prange(x.extent(2)))
        for (long j = 0; j < x.extent(1); ++j)
            for (long i = 0; i < x.extent(0); ++i) y(i, j, k) = x(i, j, k) + 2;
}

double sum_of_roots(View<const double, 1> x) {
    double sum = 0;
    for (long i : prange(x.extent(0))) sum += std::sqrt(x(i));
    return sum;
}

long count_primes(int limit) {
    if (limit <= 2) return 0;
    long count = 1;  // 2
    for (long k : prange(1, limit / 2)) {
        const long n = 2 * k + 1;
        long divisor = 3;
        while (divisor * divisor <= n && n % divisor != 0) divisor += 2;
        if (divisor * divisor > n) count += 1;
    }
    return count;
}

/// Pi from points at random, which a hash of their numbers gives.
double pi(int throws, unsigned seed) {
    const auto unit = [](unsigned x) {
        x ^= x >> 16;
        x *= 0x7feb352du;
        x ^= x >> 15;
        x *= 0x846ca68bu;
        x ^= x >> 16;
        return x * (1.0 / 4294967296.0);
    };
    long inside = 0;
    for (long i : prange(throws)) {
        const unsigned key = seed + 2 * static_cast<unsigned>(i);
        const double x = unit(key), y = unit(key + 1);
        if (x * x + y * y < 1) inside += 1;
    }
    return 4.0 * inside / throws;
}

/// The diagonal in order, and the sum of its hyperbolic tangents, its median and its maximum.
void diagonal(View<const double, 2> a, View<double, 1> in_order, double& trace, double& median,
              double& most) {
    const long n = a.extent(0);
    trace = 0;
    most = a(0, 0);
    for (long i = 0; i < n; ++i) {
        trace += std::tanh(a(i, i));
        most = std::max(most, a(i, i));
    }
    for (long i = 0; i < n; ++i) {
        long rank = 0;
        for (long j = 0; j < n; ++j)
            rank += a(j, j) < a(i, i) || (a(j, j) == a(i, i) && j < i) ? 1 : 0;
        in_order(rank) = a(i, i);
    }
    median = n % 2 == 1 ? in_order(n / 2) : (in_order(n / 2 - 1) + in_order(n / 2)) / 2;
}

void outer(View<const double, 1> y, View<const double, 1> x, View<double, 2> out) {
    for (long i : prange(out.extent(0)))
        for (long j = 0; j < out.extent(1); ++j) out(i, j) = y(i) * x(j);
}

void describe(View<const double, 1> x, double& sum, double& least, double& most) {
    sum = 0;
    least = most = x(0);
    for (long i : prange(x.extent(0))) {
        sum += x(i);
        least = kiln::minimum(least, x(i));
        most = kiln::maximum(most, x(i));
    }
}

void bubble_sort(View<double, 1> x) {
    long end = x.extent(0);
    while (end > 1) {
        long last = 0;  // the last exchange: what follows is in order
        for (long i = 1; i < end; ++i)
            if (x(i) < x(i - 1)) {
                std::swap(x(i - 1), x(i));
                last = i;
            }
        end = last;
    }
}

void matmul(View<const double, 2> a, View<const double, 2> b, View<double, 2> c) {
    constexpr long block = 64;
    const long inner = a.extent(1);
    for (long i : prange(c.extent(0))) {
        for (long j = 0; j < c.extent(1); ++j) c(i, j) = 0;
        for (long kk = 0; kk < inner; kk += block) {
            const long end = std::min(kk + block, inner);
            for (long k = kk; k < end; ++k)
                for (long j = 0; j < c.extent(1); ++j) c(i, j) += a(i, k) * b(k, j);
        }
    }
}
