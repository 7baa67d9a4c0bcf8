#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

std::string after(const std::string& params, const std::string& body) {
    return ir::print(test::run(codegen::run_widen, test::kernel(test::map_text(params, body))));
}

}  // namespace

TEST_CASE("widen: f16 operations compute in f32 and round", "[codegen][widen]") {
    CHECK(after("a: in f16[1], o: out f16[1]",
                "    %0 = load f16 a[i0]\n    %1 = mul f16 %0, %0\n    %2 = add f16 %1, f16(1)\n"
                "    store o[i0], %2\n") ==
          test::map_text("a: in f16[1], o: out f16[1]",
                         "    %0 = load f16 a[i0]\n    %1 = cast f32 %0\n    %2 = mul f32 %1, %1\n"
                         "    %3 = cast f16 %2\n    %4 = cast f32 %3\n    %5 = add f32 %4, f32(1)\n"
                         "    %6 = cast f16 %5\n    store o[i0], %6\n"));
}

TEST_CASE("widen: comparisons and casts of 16-bit floats go through f32", "[codegen][widen]") {
    CHECK(after("a: in bf16[1], o: out bool[1]",
                "    %0 = load bf16 a[i0]\n    %1 = lt bool %0, %0\n    store o[i0], %1\n") ==
          test::map_text("a: in bf16[1], o: out bool[1]",
                         "    %0 = load bf16 a[i0]\n    %1 = cast f32 %0\n    %2 = lt bool %1, %1\n"
                         "    store o[i0], %2\n"));
    CHECK(after("a: in f16[1], o: out bf16[1]",
                "    %0 = load f16 a[i0]\n    %1 = cast bf16 %0\n    store o[i0], %1\n") ==
          test::map_text("a: in f16[1], o: out bf16[1]",
                         "    %0 = load f16 a[i0]\n    %1 = cast f32 %0\n    %2 = cast bf16 %1\n"
                         "    store o[i0], %2\n"));
    CHECK(after("a: in i64[1], o: out f16[1]",
                "    %0 = load i64 a[i0]\n    %1 = cast f16 %0\n    store o[i0], %1\n") ==
          test::map_text("a: in i64[1], o: out f16[1]",
                         "    %0 = load i64 a[i0]\n    %1 = cast f16 %0\n    store o[i0], %1\n"));
    CHECK(after("a: in i16[1], o: out bf16[1]",
                "    %0 = load i16 a[i0]\n    %1 = cast bf16 %0\n    store o[i0], %1\n") ==
          test::map_text("a: in i16[1], o: out bf16[1]",
                         "    %0 = load i16 a[i0]\n    %1 = cast f32 %0\n    %2 = cast bf16 %1\n"
                         "    store o[i0], %2\n"));
    CHECK(after("a: in f64[1], o: out f16[1]",
                "    %0 = load f64 a[i0]\n    %1 = cast f16 %0\n    store o[i0], %1\n") ==
          test::map_text("a: in f64[1], o: out f16[1]",
                         "    %0 = load f64 a[i0]\n    %1 = cast f16 %0\n    store o[i0], %1\n"));
}

TEST_CASE("widen: other types and slots stay", "[codegen][widen]") {
    const std::string text =
        "kernel k(a: in f16[1], o: out f16[1]) {\n  slot s: f16\n  stage [extent(a, 0)] {\n"
        "    %0 = load f16 a[i0]\n    write s, %0\n    %1 = read f16 s\n    store o[i0], %1\n  "
        "}\n}\n";
    CHECK(ir::print(test::run(codegen::run_widen, test::kernel(text))) == text);
}
