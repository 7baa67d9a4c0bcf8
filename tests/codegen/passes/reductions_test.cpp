// Which reductions parallel loops get. tests/jit/loops/program_reduce_test.cpp has values and the user's
// errors.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

std::string sums(std::string_view declared, std::string_view op = "add") {
    return "kernel t(x: in f64[1] unit, z: out f64[1] unit) program {\n  slot r: f64\n  stage [] "
           "{\n"
           "    write r, f64(0)\n"
           "    for %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0" +
           std::string(declared) +
           " {\n      %1 = load f64 x[%0]\n      %2 = read f64 r\n      %3 = " + std::string(op) +
           " f64 %2, %1 fast(reassoc)\n      write r, %3\n    }\n    %4 = read f64 r\n"
           "    store z[i64(0)], %4\n  }\n}\n";
}

TEST_CASE("reductions: a variable that a parallel loop accumulates into", "[codegen][reductions]") {
    CHECK(test::after(codegen::run_reductions, sums("")) == test::printed(sums(" (sum -> r)")));
    CHECK(test::after(codegen::run_reductions, sums("", "maximum")) ==
          test::printed(sums(" (max -> r)", "maximum")));
}

TEST_CASE("reductions: what the text declares is not added again", "[codegen][reductions]") {
    for (const char* op : {"add", "maximum"}) {
        const std::string once = test::after(codegen::run_reductions, sums("", op));
        CHECK(test::after(codegen::run_reductions, once) == once);
    }
}

TEST_CASE("reductions: the text declares another one", "[codegen][reductions]") {
    try {
        test::after(codegen::run_reductions, sums(" (sum -> r)", "maximum"));
        CHECK(false);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(error.message() == "a prange accumulates into r (f64) by max, and declares sum");
    }
}

}  // namespace
