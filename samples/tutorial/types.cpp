// Chapter 2: dtypes.
#include "check.h"

#include <kiln/kiln.h>

#include <complex>
using namespace kiln;

int main() {
    // One lambda serves every dtype that arrives; each gets code of its own.
    const auto half = vectorize("half", [](Value x) { return x / 2; });
    check(half(full({3}, 5.0f)).dtype() == f32, "f32 stays f32: the 2 of C++ brings only its kind");
    check(half(full({3}, 5)).at<int>(0) == 2, "integers divide as in C++");
    check(half(full({3}, std::complex(4.0, 2.0))).at<std::complex<double>>(0) ==
              std::complex(2.0, 1.0),
          "complex numbers");

    // Arrays promote as in NumPy.
    const Array small = full({2}, std::int8_t(100)), wide = full({2}, 1000);
    check((small + wide).dtype() == i32, "i8 and i32 are i32");
    check((small + small).at<std::int8_t>(0) == -56, "integers wrap");
    check((full({2}, 1.5f) + full({2}, 1.5)).dtype() == f64, "f32 and f64 are f64");

    // A type that is wanted is written: in the kernel, or by the caller.
    const auto rounded = vectorize([](Value x) { return cast(i32, rint(x)); });
    check(rounded(2.5).item<int>() == 2, "ties go to the even number");
    check(half(full({2}, 5), {.dtype = f64}).at<double>(0) == 2.5, "computed as f64");
}
