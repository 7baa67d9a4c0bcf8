#include <kiln/array.h>

#include <cmath>
#include <complex>

#include "tests/catch.h"

using namespace kiln;

// The expected texts are those of numpy.array2string.

TEST_CASE("arrays print as NumPy prints them: integers and bools", "[runtime][print]") {
    CHECK(to_string(Array::of({{1, -20}, {300, 4}})) == "[[  1 -20]\n [300   4]]");
    CHECK(to_string(Array::of({true, false})) == "[ True False]");
    CHECK(to_string(full({}, true)) == "True");
    CHECK(to_string(Array::of({std::uint8_t(200), std::uint8_t(7)})) == "[200   7]");
    CHECK(to_string(arange(24).reshape({2, 3, 4})) ==
          "[[[ 0  1  2  3]\n  [ 4  5  6  7]\n  [ 8  9 10 11]]\n\n [[12 13 14 15]\n"
          "  [16 17 18 19]\n  [20 21 22 23]]]");
    CHECK(to_string(arange(40)) ==
          "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n"
          " 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39]");
}

TEST_CASE("arrays print as NumPy prints them: reals", "[runtime][print]") {
    CHECK(to_string(Array::of({1.0, 2.5, -3.125})) == "[ 1.     2.5   -3.125]");
    CHECK(to_string(Array::of({1e10, 1.5})) == "[1.0e+10 1.5e+00]");
    CHECK(to_string(Array::of({1e-5, 1.0})) == "[1.e-05 1.e+00]");
    CHECK(to_string(Array::of({std::nan(""), 1.5, -HUGE_VAL})) == "[ nan  1.5 -inf]");
    CHECK(to_string(Array::of({0.1F, 0.2F})) == "[0.1 0.2]");
    CHECK(to_string(Array::of({float16(0.1F), float16(65504.0F)})) == "[1.00e-01 6.55e+04]");
    CHECK(to_string(Array::of({1.0 / 3, 2.0 / 3})) == "[0.33333333 0.66666667]");
    CHECK(to_string(Array::of({100000000.0})) == "[1.e+08]");
    CHECK(to_string(Array::of({99999999.0})) == "[99999999.]");
    CHECK(to_string(Array::of({0.0001, 0.0999})) == "[0.0001 0.0999]");
    CHECK(to_string(Array::of({std::nan("")})) == "[nan]");
    CHECK(to_string(Array::of({-0.0, 0.0})) == "[-0.  0.]");
    CHECK(to_string(Array::of({1e300, 1.0})) == "[1.e+300 1.e+000]");
    CHECK(to_string(Array::of({HUGE_VAL, -1.0})) == "[inf -1.]");
    CHECK(to_string(Array::of({1234567.891})) == "[1234567.891]");
    CHECK(to_string(Array::of({3.0, 4.0})) == "[3. 4.]");
    CHECK(to_string(full({}, 3.5)) == "3.5");
    CHECK(to_string(Array::of({bfloat16(0.1F), bfloat16(2.0F)})) == "[0.1 2. ]");
}

TEST_CASE("arrays print as NumPy prints them: complex numbers", "[runtime][print]") {
    using C = std::complex<double>;
    CHECK(to_string(Array::of({C(1, 2), C(-1.5, -2.25)})) == "[ 1. +2.j   -1.5-2.25j]");
    CHECK(to_string(Array::of({C(std::nan(""), 1), C(0, -HUGE_VAL)})) == "[nan +1.j  0.-infj]");
}

TEST_CASE("arrays of more than 1000 elements are summarised", "[runtime][print]") {
    CHECK(to_string(arange(1001)) == "[   0    1    2 ...  998  999 1000]");
    CHECK(to_string(arange(1100).reshape({1, 1100})) == "[[   0    1    2 ... 1097 1098 1099]]");
    CHECK(to_string(arange(2000).reshape({20, 100})) ==
          "[[   0    1    2 ...   97   98   99]\n [ 100  101  102 ...  197  198  199]\n"
          " [ 200  201  202 ...  297  298  299]\n ...\n [1700 1701 1702 ... 1797 1798 1799]\n"
          " [1800 1801 1802 ... 1897 1898 1899]\n [1900 1901 1902 ... 1997 1998 1999]]");
}
