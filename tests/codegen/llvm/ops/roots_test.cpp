// Square roots of the fast tier: their error, and what must be exact.
#include "tests/catch.h"
#include "tests/codegen/cpu_map.h"
#include "tests/codegen/kernels.h"

#include <cmath>
#include <limits>
#include <random>

#include <fmt/format.h>

using namespace kiln;
using namespace kiln::test;

namespace {

/// Numbers of every binary exponent, subnormal ones too, and 0, -0.
template <class T> std::vector<T> numbers() {
    std::vector<T> x{T(0), -T(0), std::numeric_limits<T>::denorm_min(),
                     std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
    std::mt19937_64 engine(7);
    std::uniform_real_distribution<T> fraction(1, 2);
    const int lowest = std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits;
    for (int e = lowest; e < std::numeric_limits<T>::max_exponent; ++e)
        for (int i = 0; i < 5; ++i) x.push_back(std::ldexp(fraction(engine), e));
    return x;
}

/// sqrt(x) or 1 / sqrt(x) with fast flags.
template <class T>
std::vector<T> run_root(VectorIsa isa, const std::string& flags, bool reciprocal,
                        std::vector<T> x) {
    const std::string text = fmt::format(
        "kernel k(x: in {0}[1] unit, z: out {0}[1] unit) {{\n  stage [extent(z, 0)] {{\n"
        "    %0 = load {0} x[i0]\n    %1 = sqrt {0} %0 fast({1})\n"
        "    %2 = true_divide {0} {0}(1), %1 fast({1})\n    store z[i0], {2}\n  }}\n}}\n",
        sizeof(T) == 4 ? "f32" : "f64", flags, reciprocal ? "%2" : "%1");
    const auto program = compile_for(isa, test::kernel(text));
    std::vector<T> z(x.size(), T(-1));
    run_map(*program, std::vector{operand_of(x), operand_of(z)},
            static_cast<std::int64_t>(x.size()));
    return z;
}

template <class T> void check_roots(const std::string& flags, bool infinities) {
    std::vector<T> x = numbers<T>();
    if (infinities) x.push_back(std::numeric_limits<T>::infinity());
    for (const VectorIsa isa : host_isas()) {
        if (isa != VectorIsa::avx512) continue;  // elsewhere what LLVM makes of the flags
        for (const bool reciprocal : {false, true}) {
            const std::vector<T> z = run_root(isa, flags, reciprocal, x);
            double worst = 0;
            for (std::size_t i = 0; i < x.size(); ++i) {
                INFO(name(isa) << ", " << flags << (reciprocal ? ", 1 / sqrt(" : ", sqrt(") << x[i]
                               << ") = " << z[i]);
                const long double root = std::sqrt(static_cast<long double>(x[i]));
                const long double exact = reciprocal ? 1 / root : root;
                if (!infinities && !std::isfinite(exact)) continue;
                if (!std::isfinite(exact) || exact == 0) {
                    CHECK(z[i] == static_cast<T>(exact));
                    CHECK(std::signbit(z[i]) == std::signbit(exact));
                    continue;
                }
                const long double unit =
                    std::ldexp(1.0L, std::ilogb(exact) + 1 - std::numeric_limits<T>::digits);
                worst = std::max(worst, static_cast<double>(std::fabs(z[i] - exact) / unit));
            }
            INFO(name(isa) << ", " << flags << (reciprocal ? ", 1 / sqrt" : ", sqrt"));
            CHECK(worst <= 2);
        }
    }
}

}  // namespace

TEST_CASE("square roots of the fast tier are within 2 ULP", "[codegen][llvm][roots]") {
    check_roots<float>("nsz,arcp,afn", true);
    check_roots<double>("nsz,arcp,afn", true);
    check_roots<float>("nnan,ninf,nsz,arcp,contract,afn", false);
    check_roots<double>("nnan,ninf,nsz,arcp,contract,afn", false);
}
