#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include <kiln/kiln.h>

#include <cstdint>
#include <limits>
#include <vector>

using namespace kiln;

namespace {

std::string unscale(const std::string& text) {
    return ir::print(
        test::run(codegen::run_dce, test::run(codegen::run_unscale, test::kernel(text))));
}
std::string map(const std::string& body) {
    return "kernel k(a: in i32[1], b: in i32[1], o: out f32[1], p: out bool[1]) {\n"
           "  stage [extent(a, 0)] {\n    %0 = load i32 a[i0]\n    %1 = load i32 b[i0]\n"
           "    %2 = cast f32 %0\n    %3 = cast f32 %1\n" +
           body + "  }\n}\n";
}
/// The same without what the body does not use.
std::string used(const std::string& body) {
    return ir::print(test::run(codegen::run_dce, test::kernel(map(body))));
}
void stays(const std::string& body) {
    INFO(body);
    CHECK(unscale(map(body)) == used(body));
}

}  // namespace

TEST_CASE("unscale: points of the unit square in the circle", "[codegen][unscale]") {
    CHECK(unscale(map(
              "    %4 = mul f32 %2, f32(5.9604645e-08)\n    %5 = mul f32 %3, f32(5.9604645e-08)\n"
              "    %6 = mul f32 %4, %4\n    %7 = mul f32 %5, %5\n    %8 = add f32 %6, %7\n"
              "    %9 = lt bool %8, f32(1)\n    store p[i0], %9\n")) ==
          map("    %4 = mul f32 %2, %2\n    %5 = mul f32 %3, %3\n    %6 = add f32 %4, %5\n"
              "    %7 = lt bool %6, f32(281474980000000)\n    store p[i0], %7\n"));
}

TEST_CASE("unscale: one number, a constant on the left", "[codegen][unscale]") {
    CHECK(unscale(map("    %4 = mul f32 %2, f32(5.9604645e-08)\n    %5 = le bool f32(0.75), %4\n"
                      "    store p[i0], %5\n")) ==
          used("    %4 = le bool f32(12582912), %2\n    store p[i0], %4\n"));
}

TEST_CASE("unscale: what keeps its scale", "[codegen][unscale]") {
    SECTION("values that are used elsewhere")
    stays(
        "    %4 = mul f32 %2, f32(0.5)\n    %5 = lt bool %4, f32(1)\n    store p[i0], %5\n"
        "    store o[i0], %4\n");
    SECTION("sums of different scales")
    stays(
        "    %4 = mul f32 %2, f32(0.5)\n    %5 = mul f32 %3, f32(0.25)\n    %6 = add f32 %4, %5\n"
        "    %7 = lt bool %6, f32(1)\n    store p[i0], %7\n");
    SECTION("a scale that rounds")
    stays("    %4 = mul f32 %2, f32(0.3)\n    %5 = lt bool %4, f32(1)\n    store p[i0], %5\n");
    SECTION("a negative scale would turn the comparison around")
    stays("    %4 = mul f32 %2, f32(-0.5)\n    %5 = lt bool %4, f32(1)\n    store p[i0], %5\n");
    SECTION("products that may overflow without it: four factors of 2^32")
    stays(
        "    %4 = mul f32 %2, f32(0.5)\n    %5 = mul f32 %4, %4\n    %6 = mul f32 %5, %5\n"
        "    %7 = lt bool %6, f32(1)\n    store p[i0], %7\n");
    SECTION("a scale that is subnormal")
    stays(
        "    %4 = mul f32 %2, f32(5.877472e-39)\n    %5 = lt bool %4, f32(7.8886091e-31)\n"
        "    store p[i0], %5\n");
    SECTION("a constant that overflows without it")
    stays(
        "    %4 = mul f32 %2, f32(0.5)\n    %5 = lt bool %4, f32(1.7014118e+38)\n    store p[i0], "
        "%5\n");
    SECTION("a constant that is subnormal with it")
    stays(
        "    %4 = mul f32 %2, f32(5.9604645e-08)\n    %5 = lt bool %4, f32(7.3468397e-40)\n"
        "    store p[i0], %5\n");
    SECTION("no integers")
    stays(
        "    %4 = cast f64 %2\n    %5 = cast f32 %4\n    %6 = mul f32 %5, f32(0.5)\n"
        "    %7 = lt bool %6, f32(1)\n    store p[i0], %7\n");
    SECTION("a comparison of two values")
    stays("    %4 = mul f32 %2, f32(0.5)\n    %5 = lt bool %4, %3\n    store p[i0], %5\n");
}

// Strict arithmetic on both sides; C++ rounds after each operation here.
TEST_CASE("unscale: comparisons give what they gave", "[codegen][unscale][jit]") {
    const auto kernel = jit("compare", [](In a, In b, Out near, Out below) {
        for (Index i : range(a.extent(0))) {
            const Value x = cast<float>(a(i)) * 0x1p-24f, y = cast<float>(b(i)) * 0x1p-24f;
            near(i) = x * x - y * y <= 0x1.000002p-3f;
            below(i) = cast<float>(b(i)) / 1024.0f > -3.0f;
        }
    });
    std::vector<std::int32_t> a{0,
                                1,
                                -1,
                                std::numeric_limits<std::int32_t>::max(),
                                std::numeric_limits<std::int32_t>::min(),
                                -3072,
                                -3073,
                                -3071};
    std::uint32_t state = 5;
    for (int i = 0; i < 5000; ++i) {
        state = state * 1664525U + 1013904223U;
        a.push_back(static_cast<std::int32_t>(state) >> (state >> 27));
    }
    const std::vector<std::int32_t> b(a.rbegin(), a.rend());
    std::vector<std::uint8_t> near(a.size()), below(a.size());
    kernel(a, b, Array::over(reinterpret_cast<bool*>(near.data()), Shape{std::int64_t(a.size())}),
           Array::over(reinterpret_cast<bool*>(below.data()), Shape{std::int64_t(a.size())}));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        volatile float x = static_cast<float>(a[i]) * 0x1p-24f;
        volatile float y = static_cast<float>(b[i]) * 0x1p-24f;
        volatile float xx = x * x, yy = y * y;
        volatile float difference = xx - yy;
        if ((near[i] != 0) != (difference <= 0x1.000002p-3f)) ++wrong;
        volatile float quotient = static_cast<float>(b[i]) / 1024.0f;
        if ((below[i] != 0) != (quotient > -3.0f)) ++wrong;
    }
    CHECK(wrong == 0);
}
