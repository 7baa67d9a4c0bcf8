// Elements at positions that are loaded: values, and that no vector unit gathers them unless lanes are masked.
#include "tests/dice.h"
#include "tests/jit/support.h"
#include "tests/regex.h"

#include <cstdint>

using namespace kiln;

namespace {

template <class T, class I> void check_taken(std::int64_t n, const char* types) {
    INFO(types << ", " << n << " elements");
    const auto taken = jit([](In x, In k, Out y, Out z) {
        for (Index i : range(y.extent(0))) {
            y(i) = x(k(i)) * 2;
            z(i) = x(x.extent(0) - 1 - cast<std::int64_t>(k(i)) * 2) + x(k(i) + 1);
        }
    });
    constexpr std::int64_t rows = 101;
    test::Dice dice(static_cast<std::uint64_t>(n) + 1);
    Array x = zeros({rows}, dtype_of<T>), k = zeros({n}, dtype_of<I>);
    for (T& e : x.span<T>()) e = static_cast<T>(30 * dice.unit());
    for (I& e : k.span<I>()) e = static_cast<I>(50 * dice.unit());
    Array y = zeros({n}, dtype_of<T>), z = zeros({n}, dtype_of<T>);
    taken(x, k, y, z);
    const auto from = x.span<T>();
    for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(k.span<I>()[i]);
        REQUIRE(y.span<T>()[i] == static_cast<T>(from[at] * 2));
        REQUIRE(z.span<T>()[i] == static_cast<T>(from[rows - 1 - 2 * at] + from[at + 1]));
    }
}

}  // namespace

TEST_CASE("elements at loaded positions", "[jit][program][gathers]") {
    for (const std::int64_t n : {1, 7, 8, 16, 33, 64, 100, 1000}) {
        check_taken<float, std::int32_t>(n, "f32 at i32");
        check_taken<double, std::int32_t>(n, "f64 at i32");
        check_taken<double, std::int64_t>(n, "f64 at i64");
        check_taken<float, std::uint8_t>(n, "f32 at u8");
        check_taken<std::int32_t, std::int16_t>(n, "i32 at i16");
        check_taken<std::int64_t, std::uint32_t>(n, "i64 at u32");
        check_taken<std::uint8_t, std::int32_t>(n, "u8 at i32");
    }
}

TEST_CASE("elements at loaded positions are not gathered", "[jit][program][gathers]") {
    const auto gathers = [](const auto& kernel) {
        const std::string code = kernel.inspect(Artifact::llvm_opt, {f32[1], i32[1], f32[1]});
        return test::is_found(code, "call .*@llvm\\.masked\\.gather");
    };
    CHECK_FALSE(gathers(jit([](In x, In k, Out y) {
        for (Index i : range(y.extent(0))) y(i) = x(k(i)) * 2.0F;
    })));
    CHECK_FALSE(gathers(jit([](In x, In k, Out y) {
        for (Index i : range(y.extent(0))) y(i) = x(x.extent(0) - 1 - k(i)) * 2.0F;
    })));
}
