// Functions of a user's program, of which kiln_kernels makes kernels.
#include <kiln/native.h>

#include <cmath>

using namespace kiln::native;

KILN_KERNEL double damped(double x, double a) { return std::exp(-a * x) * x; }

KILN_KERNEL double energy(View<const double, 1> a) {
    double sum = 0;
    for (long i : prange(a.extent(0))) sum += a(i) * a(i);
    return sum;
}
