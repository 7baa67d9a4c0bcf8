// The order in which loops and launches of programs combine their iterations: what stands in the
// text. That code follows it is for tests/jit/loops/program_trees_test.cpp.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

/// The text that the pass makes of the head of a loop with this head and body.
std::string head_of(const std::string& head, const std::string& body) {
    const std::string text =
        "kernel t(x: in f64[1], n: value i64) program {\n  slot s: f64\n  slot r0: f32\n"
        "  slot m: f64\n  slot c: i64\n  stage [] {\n    for %0 = i64(0) to n step i64(1)" +
        head + " {\n      %1 = load f64 x[%0]\n" + body + "    }\n  }\n}\n";
    const std::string after = test::after(codegen::run_trees, text);
    const std::size_t from = after.find("step i64(1)") + 11;
    return after.substr(from, after.find(" {\n", from) - from);
}

const std::string
    sum = "      %2 = read f64 s\n      %3 = add f64 %2, %1 fast(reassoc)\n      write s, %3\n",
    total =
        "      %4 = cast f32 %1\n      %5 = read f32 r0\n      %6 = add f32 %5, %4 "
        "fast(reassoc)\n      write r0, %6\n",
    most = "      %7 = read f64 m\n      %8 = maximum f64 %7, %1\n      write m, %8\n";

}  // namespace

TEST_CASE("trees: parallel loops combine blocks in units, sums of floats by iterations",
          "[codegen][trees]") {
    // 4096 bytes of sums, 1024 iterations at most
    const auto parallel = [](const std::string& reductions) {
        return " parallel automatic 0 (" + reductions + ")";
    };
    CHECK(head_of(parallel("sum -> s"), sum) ==
          parallel("sum -> s") + " blocks of 512 in 256 sums (s)");
    CHECK(head_of(parallel("sum -> r0"), total) ==
          parallel("sum -> r0") + " blocks of 1024 in 256 sums (r0)");
    CHECK(head_of(parallel("sum -> s, sum -> r0"), sum + total) ==
          parallel("sum -> s, sum -> r0") + " blocks of 256 in 256 sums (s, r0)");
    CHECK(head_of(parallel("max -> m"), most) == parallel("max -> m") + " blocks of 1024 in 256");
    CHECK(head_of(parallel("sum -> s, max -> m"), sum + most) ==
          parallel("sum -> s, max -> m") + " blocks of 512 in 256 sums (s)");
    CHECK(head_of(" parallel automatic 0", "") == " parallel automatic 0");
}

TEST_CASE("trees: serial loops sum by trees what is promised, and nothing else",
          "[codegen][trees]") {
    CHECK(head_of("", total) == " blocks of 1024 sums (r0)");
    CHECK(head_of("", sum).empty());  // its order is that of the iterations, or LLVM's choice
    CHECK(head_of("", most).empty());
    // of use to the iteration
    CHECK(head_of("", total + "      %9 = cast f64 %6\n      write m, %9\n").empty());
}

TEST_CASE("trees: launches combine blocks of what their kernels combine", "[codegen][trees]") {
    const auto launch = [](const std::string& head, const std::string& reduction,
                           const std::string& t = "f64") {
        const std::string text = test::after(
            codegen::run_trees,
            "kernel t(x: in " + t + "[1] unit, n: value i64) program {\n  slot s: " + t +
                "\n  stage [] {\n"
                "    launch k0 for i64(0) to n step i64(1)" +
                head + " (array x[i64(0)] by (1), total " + reduction +
                " s)\n  }\n  k0 = kernel t(x: in " + t + "[1] unit, total: out " + t +
                " unit) reduce {\n"
                "    slot v: " +
                t + "\n    stage [] { write v, " + t + "(0) }\n    stage [extent(x, 0)] " +
                reduction + " -> v {\n      %0 = load " + t +
                " x[i0]\n      contribute 0, %0\n    }\n"
                "    stage [] {\n      %1 = read " +
                t + " v\n      store total, %1\n    }\n  }\n}\n");
        const std::size_t from = text.find("step i64(1)") + 11;
        return text.substr(from, text.find(" (array x", from) - from);
    };
    CHECK(launch("", "sum") == " blocks of 8192 sums (s)");
    CHECK(launch("", "sum", "f32") == " blocks of 8192 sums (s)");
    CHECK(launch("", "sum", "i64").empty());  // integers are exact in any order
    CHECK(launch("", "max").empty());
    CHECK(launch(" parallel automatic 0 (sum -> s)", "sum") ==
          " parallel automatic 0 (sum -> s) blocks of 8192 in 256");
    CHECK(launch(" parallel automatic 0 (max -> s)", "max") ==
          " parallel automatic 0 (max -> s) blocks of 8192 in 256");
}

TEST_CASE("trees: running results of a launch have the order of its lanes", "[codegen][trees]") {
    const std::string text =
        "kernel t(x: inout f64[1] unit, n: value i64) program {\n  slot r0: f64\n  stage [] {\n"
        "    launch k0 for i64(0) to n step i64(1) (array x[i64(0)] by (1), carry r0, array "
        "x[i64(0)] by (1))\n  }\n"
        "  k0 = kernel t(x: in f64[1] unit, carry: in f64[1] uniform, y: out f64[1] unit) scan sum "
        "{\n"
        "    stage [extent(x, 0)] parallel {\n      %0 = load f64 x[i0]\n      store y[i0], %0\n"
        "    }\n  }\n}\n";
    CHECK(test::after(codegen::run_trees, text) == test::printed(text));
}
