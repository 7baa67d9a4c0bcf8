// Loop kernels on pictures, grids and data.
//
//     kiln run fields.cpp --kernel mandelbrot =steps.npy:i32[1000,1200] 256 --parallel
#include <kiln/kernel.h>
#include <kiln/stencil.h>

#include <algorithm>
#include <cmath>
#include <complex>

using namespace kiln;

int escape(std::complex<double> c, int limit) {
    std::complex<double> z;
    int n = 0;
    while (n < limit && std::norm(z) <= 4) {
        z = z * z + c;
        n += 1;
    }
    return n;
}
void mandelbrot(View<int, 2> steps, int limit) {
    const double height = steps.extent(0), width = steps.extent(1);
    for (long row : prange(steps.extent(0)))
        for (long column = 0; column < steps.extent(1); ++column)
            steps(row, column) =
                escape({column * 3.0 / width - 2.0, row * 2.5 / height - 1.25}, limit);
}

void jacobi(View<double, 2> even, View<double, 2> odd, int pairs) {
    const auto sweep = [](const auto& from, const auto& to) {
        for (long i : prange(1, from.extent(0) - 1))
            for (long j = 1; j < from.extent(1) - 1; ++j)
                to(i, j) =
                    0.25 * (from(i - 1, j) + from(i + 1, j) + from(i, j - 1) + from(i, j + 1));
    };
    for (int t = 0; t < pairs; ++t) {
        sweep(even, odd);
        sweep(odd, even);
    }
}

/// One sweep of Jacobi's method as a stencil: --mode stencil --boundary nearest.
double smooth(Neighbors<double, 2> a) { return 0.25 * (a(-1, 0) + a(1, 0) + a(0, -1) + a(0, 1)); }

/// Laplace's equation by overrelaxation, red and black; gives the number of sweeps.
long laplace(View<double, 2> a, double omega, double tolerance, long most) {
    long sweeps = 0;
    double worst = 1;
    while (worst > tolerance && sweeps < most) {
        worst = 0;
        for (int colour = 0; colour < 2; ++colour)
            // A point's neighbours have the other colour: rows do not wait for each other.
            for (long i : prange(1, a.extent(0) - 1, {.unsafe_races = true})) {
                double largest = 0;
                for (long j : range(1 + (i + colour) % 2, a.extent(1) - 1, 2)) {
                    const double mean =
                        0.25 * (a(i - 1, j) + a(i + 1, j) + a(i, j - 1) + a(i, j + 1));
                    const double change = omega * (mean - a(i, j));
                    a(i, j) += change;
                    largest = std::max(largest, std::abs(change));
                }
                worst = kiln::maximum(worst, largest);
            }
        sweeps += 1;
    }
    return sweeps;
}

/// Logistic regression by steps down the gradient; `slope`, of as many elements as `weights`, is room.
void descend(View<const double, 2> x, View<const double, 1> y, View<double, 1> weights,
             View<double, 1> slope, double rate, int steps) {
    const long n = x.extent(0), m = x.extent(1);
    for (int step = 0; step < steps; ++step) {
        for (long j = 0; j < m; ++j) slope(j) = 0;
        for (long i = 0; i < n; ++i) {
            double score = 0;
            for (long j = 0; j < m; ++j) score += x(i, j) * weights(j);
            const double error = 1 / (1 + std::exp(-score)) - y(i);
            for (long j = 0; j < m; ++j) slope(j) += error * x(i, j);
        }
        for (long j = 0; j < m; ++j) weights(j) -= rate / n * slope(j);
    }
}

/// Each element's root in its place, and their sum.
double roots(View<double, 1> x) {
    double sum = 0;
    for (long i : prange(x.extent(0))) {
        x(i) = std::sqrt(x(i));
        sum += x(i);
    }
    return sum;
}
