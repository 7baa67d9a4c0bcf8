// Generalised ufuncs on stacks of small arrays.
//
//     kiln run stacks.cpp --kernel turn --layout '(4),(3)->(3)' @q.npy @v.npy =turned.npy --parallel
#include <kiln/kernel.h>

using namespace kiln;

/// Points turned by quaternions.
void turn(View<const double, 1> q, View<const double, 1> v, View<double, 1> out) {
    const double w = q(0), a = q(1), b = q(2), c = q(3);
    const double x = 2 * (b * v(2) - c * v(1)), y = 2 * (c * v(0) - a * v(2)),
                 z = 2 * (a * v(1) - b * v(0));
    out(0) = v(0) + w * x + b * z - c * y;
    out(1) = v(1) + w * y + c * x - a * z;
    out(2) = v(2) + w * z + a * y - b * x;
}

/// Three equations by Gauss's elimination: --layout '(3,3),(3)->(3)'.
void solve(View<const double, 2> a, View<const double, 1> b, View<double, 1> x) {
    double m[3][3];
    for (int i = 0; i < 3; ++i) {
        x(i) = b(i);
        for (int j = 0; j < 3; ++j) m[i][j] = a(i, j);
    }
    for (int k = 0; k < 3; ++k)
        for (int i = k + 1; i < 3; ++i) {
            const double factor = m[i][k] / m[k][k];
            for (int j = k; j < 3; ++j) m[i][j] -= factor * m[k][j];
            x(i) -= factor * x(k);
        }
    for (int i = 2; i >= 0; --i) {
        for (int j = i + 1; j < 3; ++j) x(i) -= m[i][j] * x(j);
        x(i) /= m[i][i];
    }
}

/// A moving mean along each row: --layout '(n),()->(n)'.
void follow(View<const double, 1> x, double share, View<double, 1> y) {
    double mean = x(0);
    y(0) = mean;
    for (long i = 1; i < x.extent(0); ++i) {
        mean += share * (x(i) - mean);
        y(i) = mean;
    }
}
