// A static library of a user's, with kernels of its own.
#include <kiln/native.h>

KILN_KERNEL double halved(double x) { return x / 2; }
