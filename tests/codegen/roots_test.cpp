// Square roots of the fast tier: their error, and what must be exact.
#include "tests/catch.h"
#include "tests/codegen/cpu_map.h"
#include "tests/codegen/kernels.h"

#include <cmath>
#include <limits>
#include <random>

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

/// The kernel z = `operations` of %0 = x with all the flags but those in `strict`.
template <class T>
std::vector<T> run_root(VectorIsa isa, const std::string& flags, bool reciprocal,
                        std::vector<T> x) {
    const std::string t = sizeof(T) == 4 ? "f32" : "f64";
    std::string body =
        "    %0 = load " + t + " x[i0]\n    %1 = sqrt " + t + " %0 fast(" + flags + ")\n";
    if (reciprocal) body += "    %2 = true_divide " + t + " " + t + "(1), %1 fast(" + flags + ")\n";
    body += std::string("    store z[i0], ") + (reciprocal ? "%2" : "%1") + "\n";
    const auto program = compile_for(
        isa, test::kernel(map_text("z: out " + t + "[1] unit, x: in " + t + "[1] unit", body)));
    std::vector<T> z(x.size(), T(-1));
    run_map(*program, std::vector{operand_of(z), operand_of(x)},
            static_cast<std::int64_t>(x.size()));
    return z;
}

template <class T> void check_roots(const std::string& flags, bool infinities) {
    std::vector<T> x = numbers<T>();
    if (infinities) x.push_back(std::numeric_limits<T>::infinity());
    for (const VectorIsa isa : host_isas())
        for (const bool reciprocal : {false, true}) {
            const std::vector<T> z = run_root(isa, flags, reciprocal, x);
            double worst = 0;
            for (std::size_t i = 0; i < x.size(); ++i) {
                INFO(name(isa) << ", " << flags << (reciprocal ? ", 1 / sqrt(" : ", sqrt(") << x[i]
                               << ") = " << z[i]);
                const long double root = std::sqrt(static_cast<long double>(x[i]));
                const long double exact = reciprocal ? 1 / root : root;
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

}  // namespace

TEST_CASE("square roots of the fast tier are within 2 ULP", "[codegen][llvm][roots]") {
    check_roots<float>("nsz,arcp,afn", true);
    check_roots<double>("nsz,arcp,afn", true);
    check_roots<float>("nnan,ninf,nsz,arcp,contract,afn", false);
    check_roots<double>("nnan,ninf,nsz,arcp,contract,afn", false);
}
