// Functions that are kernels too: what native_test.cpp calls both ways.
#include <kiln/native.h>

#include <cmath>
#include <complex>

#include "native_kernels.h"

using namespace kiln::native;

namespace physics {
KILN_KERNEL double damped(double x, double a) {
    if (x < 0) return 0;
    return std::exp(-a * x) * twice(x);
}
}  // namespace physics

template <class T> KILN_KERNEL T cubed(T x) { return x * x * x; }
template float cubed(float);
template int cubed(int);

KILN_KERNEL void polar(double re, double im, double& r, double& angle) {
    r = std::sqrt(re * re + im * im);
    angle = std::atan2(im, re);
}

KILN_KERNEL int escape(std::complex<double> c, int limit) {
    std::complex<double> z;
    int n = 0;
    while (n < limit && std::norm(z) <= 4) {
        z = z * z + c;
        ++n;
    }
    return n;
}

KILN_KERNEL void smooth(View<const double, 1> a, View<double, 1> b, double share) {
    for (long i : prange(1, a.extent(0) - 1)) b(i) = share * (a(i - 1) + a(i + 1));
}

KILN_KERNEL double total(View<const double, 2> a) {
    double sum = 0;
    for (long i : prange(a.extent(0)))
        for (int j = 0; j < a.extent(1); ++j) {
            if (a(i, j) < 0) continue;
            sum += a(i, j);
        }
    return sum;
}

KILN_KERNEL void extremes(View<const float, 1> a, float& least, float& most) {
    least = most = a(0);
    for (long i = 1; i < a.extent(0); ++i) {
        if (a(i) < least) least = a(i);
        if (a(i) > most) most = a(i);
    }
}

KILN_KERNEL void count(View<const int, 1> a, View<long, 1> bins) {
    for (long i : prange(a.extent(0))) atomic_add(bins(a(i)), 1);
}

/// Too large an array for an element-wise kernel, but not for a loop kernel.
KILN_KERNEL double sieved(double x) {
    double a[100];
    for (int i = 0; i < 100; ++i) a[i] = x * i;
    return a[99];
}

KILN_KERNEL bool above(int x, int y) { return x != 0 && y / x > 1; }
KILN_KERNEL int ratio(int x, int y) { return y / x; }
KILN_KERNEL int chosen(View<const long, 1> at) {
    int one[1], table[2][3] = {{1, 2, 3}, {4, 5, 6}};
    one[0] = 10;
    return one[at(0)] + table[at(1)][at(2)];
}

KILN_KERNEL int steps(View<int, 1> a) {
    int n = 0;
    for (int i = 0; i < a.extent(0); ++i) a(i) = i;
    for (short i = 0; i < 9; ++i) n += a(i);
    return n;
}

double not_a_kernel(double x) { return x; }
