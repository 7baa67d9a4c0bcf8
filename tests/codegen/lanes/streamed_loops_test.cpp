// Which loops may store past the caches: for each condition a nest that differs from one that may in
// that alone.
#include "codegen/lanes/vector_loops.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include <fmt/format.h>

using namespace kiln;

namespace {

std::size_t streamed(std::string_view body) {
    return codegen::find_streamed_loops(
               test::kernel("kernel t(x: in f64[2] unit, y: out f64[2] unit, z: out f64[2], "
                            "u: inout f64[1] unit, n: value i64) program {\n  slot s: f64\n"
                            "  stage [] {\n" +
                            std::string(body) + "  }\n}\n"))
        .size();
}
constexpr std::string_view nest =
    "for %0 = i64(0) to extent(y, 0) step i64(1) {\n"
    "for %1 = i64(0) to extent(y, 1) step i64(1) {\n"
    "%2 = load f64 x[%0, %1]\n%3 = mul f64 %2, f64(2)\nstore y[%0, %1], %3\n}\n}\n";

std::string with(std::string_view from, std::string_view to, std::string_view text = nest) {
    const std::size_t at = text.find(from);
    return std::string(text.substr(0, at)).append(to).append(text.substr(at + from.size()));
}
std::size_t but(std::string_view from, std::string_view to) { return streamed(with(from, to)); }

}  // namespace

TEST_CASE("streamed loops: rows that are filled once", "[codegen][streamed_loops]") {
    CHECK(streamed(nest) == 1);
    CHECK(but("extent(y, 1) step i64(1)", "extent(y, 1) step i64(2)") == 0);
    CHECK(but("extent(y, 0) step i64(1)", "extent(y, 0) step n") == 0);
    CHECK(but("extent(y, 0) step i64(1)", "extent(y, 0) step i64(1) parallel automatic 0") == 1);
    CHECK(but("extent(y, 0) step i64(1)",
              "extent(y, 0) step i64(1) parallel automatic 0 (sum -> s)") == 0);
    CHECK(but("mul f64 %2, f64(2)", "exp f64 %2") == 0);
    CHECK(but("store y", "write s, %3\nstore y") == 0);
    // Another loop beside the inner one.
    CHECK(but("for %1", "for %4 = i64(0) to n step i64(1) {\n}\nfor %1") == 0);
    CHECK(but("}\n}\n", "}\nfor %4 = i64(0) to n step i64(1) {\n}\n}\n") == 0);
}

TEST_CASE("streamed loops: their stores", "[codegen][streamed_loops]") {
    CHECK(but("store y[%0, %1], %3\n", "") == 0);
    CHECK(but("store y[%0, %1]", "store y[%1, %0]") == 0);
    CHECK(but("store y[%0, %1]", "store z[%0, %1]") == 0);
    CHECK(but("store y[%0, %1]", "store u[%1]") == 0);
    CHECK(but("load f64 x[%0, %1]", "load f64 u[%1]") == 1);
    CHECK(streamed(with("load f64 x[%0, %1]", "load f64 u[%1]",
                        with("store y[%0, %1]", "store u[%1]"))) == 0);
    // Outside of the innermost loop too.
    CHECK(but("for %1", "store u[%0], f64(1)\nfor %1") == 0);
}

TEST_CASE("streamed loops: few operations, in no other loop", "[codegen][streamed_loops]") {
    std::string long_body = "%2 = load f64 x[%0, %1]\n";
    for (int i = 3; i < 20; ++i) {
        long_body += fmt::format("%{} = mul f64 %{}, f64(2)\n", i, i - 1);
        const std::string body = fmt::format("{}store y[%0, %1], %{}\n", long_body, i);
        CHECK(but("%2 = load f64 x[%0, %1]\n%3 = mul f64 %2, f64(2)\nstore y[%0, %1], %3\n",
                  body) == (i - 2 <= 16 ? 1 : 0));
    }
    CHECK(streamed(with("%0 = i64(0)", "%9 = i64(0) to n step i64(1) {\nfor %0 = i64(0)") +
                   "}\n") == 0);
}
