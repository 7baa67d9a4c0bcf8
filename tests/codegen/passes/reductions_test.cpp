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

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
    std::string made(text);
    return made.replace(made.find(from), from.size(), to);
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

TEST_CASE("reductions: an iteration that uses a variable otherwise", "[codegen][reductions]") {
    const auto used = [](std::string_view head, std::string_view more) {
        std::string text = sums(head);
        text.insert(text.find("      write r, %3"), more);
        return text;
    };
    constexpr std::string_view twice = "      %5 = mul f64 %2, %1\n      store z[%0], %5\n",
                               again = "      %5 = read f64 r\n      store z[%0], %5\n",
                               for_nothing = "      %5 = read f64 r\n";
    for (const std::string_view more : {twice, again, for_nothing}) {
        CHECK_THROWS_WITH(test::after(codegen::run_reductions, used("", more)),
                          Catch::Contains("an iteration of a prange reads r (f64), which others "
                                          "accumulate into"));
        // Who answers for races has the loop as it stands.
        const std::string text = used(" unsafe", more);
        CHECK(test::after(codegen::run_reductions, text) == test::printed(text));
    }
    const std::string assigned = replaced(sums(" unsafe"), "write r, %3", "write r, %1");
    CHECK(test::after(codegen::run_reductions, assigned) == test::printed(assigned));
    CHECK_THROWS_WITH(
        test::after(codegen::run_reductions, replaced(sums(""), "write r, %3", "write r, %1")),
        Catch::Contains("iterations of a prange write r (f64), which is declared outside of it"));
}

/// A loop with this body, and two combines that differ in what changes no state alone.
std::string states(std::string_view body) {
    const auto combine = [](std::string_view name, std::string_view identity) {
        return "  " + std::string(name) +
               " = kernel scaled(a0: value f64, a1: value i64, b0: value f64, b1: value i64, "
               "r0: out f64 unit, r1: out i64 unit) combine {\n    stage [] {\n      store r0, " +
               std::string(identity) +
               "\n      store r1, i64(0)\n    }\n    stage [] {\n      %0 = mul f64 a0, b0\n"
               "      %1 = cast i32 b1\n      %2 = cast i64 %1\n      %3 = add i64 %2, b1\n"
               "      %4 = add i64 a1, %3\n      %5 = add i64 %4, i64(5)\n      store r0, %0\n"
               "      store r1, %5\n    }\n  }\n";
    };
    return "kernel t(x: in f64[1] unit, z: out f64[1] unit, w: in i16[1] unit, v: in i32[1] unit) "
           "program {\n"
           "  slot r: f64\n  slot n: i64\n  slot q: f64\n  stage [] {\n    write r, f64(0)\n"
           "    write n, i64(0)\n    write q, f64(0)\n"
           "    for %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {\n" +
           std::string(body) +
           "    }\n    %40 = read f64 r\n    %41 = read i64 n\n    %42 = cast f64 %41\n"
           "    %43 = add f64 %40, %42\n    %44 = read f64 q\n    %45 = add f64 %43, %44\n"
           "    store z[i64(0)], %45\n  }\n" +
           combine("c0", "f64(1)") + combine("c1", "f64(2)") + "}\n";
}
constexpr std::string_view step =
    "%1 = load f64 x[%0]\n%2 = read f64 r\n%3 = read i64 n\n%4 = mul f64 %2, %1\n"
    "%5 = cast i32 %0\n%6 = cast i64 %5\n%7 = add i64 %6, %0\n%8 = add i64 %3, %7\n"
    "%9 = add i64 %8, i64(5)\nwrite r, %4 by c1\nwrite n, %9 by c1\n";

TEST_CASE("reductions: a step says by which combine", "[codegen][reductions]") {
    const std::string reduced = test::after(codegen::run_reductions, states(step));
    CHECK(reduced.find("parallel automatic 0 (c1 -> (r, n)) {") != std::string::npos);
    CHECK(reduced.find(" by c") == std::string::npos);
    CHECK(ir::print(ir::parse(states(step))).find("write r, %4 by c1\n") != std::string::npos);
    CHECK(ir::verify(ir::parse(states(replaced(step, "%4 by c1", "%4 by c2"))))
              .find("a step of combination 2 of 2") != std::string::npos);
}

/// Whether the loop's slots become a state.
bool is_step(std::string_view from, std::string_view to) {
    try {
        return test::after(codegen::run_reductions, states(replaced(step, from, to)))
                   .find("c1 -> (r, n)") != std::string::npos;
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        return false;
    }
}

TEST_CASE("reductions: what a step makes is of use to it alone", "[codegen][reductions]") {
    const auto refused = [](std::string_view from, std::string_view to) {
        try {
            test::after(codegen::run_reductions, states(replaced(step, from, to)));
            return false;
        } catch (const Error& error) {
            return error.message() ==
                   "an iteration of a prange reads r (f64), which others accumulate into";
        }
    };
    CHECK_FALSE(refused("write n, %9 by c1\n", "write n, %9 by c1\nstore z[%0], %1\n"));
    CHECK(refused("write n, %9 by c1\n", "write n, %9 by c1\nstore z[%0], %4\n"));
    CHECK(refused("write n, %9 by c1\n", "write n, %9 by c1\nstore z[%0], %2\n"));
    CHECK(refused("mul f64 %2, %1", "mul f64 %2, %2"));
    // Another read, of use or not.
    CHECK(
        refused("write n, %9 by c1\n", "write n, %9 by c1\n%20 = read f64 r\nstore z[%0], %20\n"));
    CHECK_FALSE(refused("write n, %9 by c1\n", "write n, %9 by c1\n%20 = read f64 r\n"));
}

TEST_CASE("reductions: the parts of a state belong together, outside of the loop",
          "[codegen][reductions]") {
    const auto error = [](const std::string& text) -> std::string {
        try {
            test::after(codegen::run_reductions, text);
            return "";
        } catch (const Error& error) {
            return std::string(error.message());
        }
    };
    const std::string second =
        "%12 = read f64 r\n%13 = read i64 p\n%14 = mul f64 %12, %1\n%15 = cast i32 %0\n"
        "%16 = cast i64 %15\n%17 = add i64 %16, %0\n%18 = add i64 %13, %17\n"
        "%19 = add i64 %18, i64(5)\nwrite r, %14 by c1\nwrite p, %19 by c1\n";
    const auto with_p = [](const std::string& body) {
        return replaced(states(body), "  slot q: f64\n", "  slot q: f64\n  slot p: i64\n");
    };
    CHECK(error(with_p(std::string(step))).empty());
    CHECK(error(with_p(std::string(step) + second)) ==
          "iterations of a prange combine r (f64) together with different variables");
    const std::string other = replaced(
        replaced(replaced(replaced(second, "read i64 p", "read i64 n"), "write p", "write n"),
                 "%14 by c1", "%14 by c0"),
        "%19 by c1", "%19 by c0");
    CHECK(error(states(std::string(step) + other)) ==
          "iterations of a prange combine r (f64) together with different variables");
    std::string inside = replaced(states(step), "    write n, i64(0)\n", "");
    inside = replaced(inside, "    %41 = read i64 n\n    %42 = cast f64 %41\n",
                      "    %42 = cast f64 i64(7)\n");
    CHECK(error(inside) ==
          "n (i64), the position of a reduction, is declared inside of the prange");
}

TEST_CASE("reductions: what is no step", "[codegen][reductions]") {
    struct Change {
        std::string_view what, from, to;
    };
    for (const auto& [what, from, to] : {
             Change{"another operation", "mul f64 %2, %1", "add f64 %2, %1"},
             {"another constant", "%8, i64(5)", "%8, i64(6)"},
             {"another dtype in between", "cast i32 %0", "cast i16 %0"},
             {"operands in another order", "mul f64 %2, %1", "mul f64 %1, %2"},
             {"another kind of node", "%6 = cast i64 %5", "%6 = abs i64 %0"},
             {"another kind of node", "cast i32 %0", "load i32 v[%0]"},
             {"two values for one", "add i64 %6, %0", "add i64 %6, i64(3)"},
             {"a value of another dtype", "%5 = cast i32 %0\n%6 = cast i64 %5\n%7 = add i64 %6, %0",
              "%20 = load i16 w[%0]\n%21 = cast i64 %20\n%5 = cast i32 %20\n"
              "%6 = cast i64 %5\n%7 = add i64 %6, %21"},
             {"a read of another slot", "%2 = read f64 r", "%2 = read f64 q"},
             {"an element for the slot", "%2 = read f64 r", "%2 = load f64 x[%0]"},
             {"a write of another slot", "write n, %9 by c1\n",
              "write q, %4 by c1\nwrite n, %9 by c1\n"},
             {"the second write alone", "write r, %4 by c1\n", ""},
             {"the first write alone", "write n, %9 by c1\n", ""},
             {"writes of two combines", "write n, %9 by c1", "write n, %9 by c0"},
             {"a write of no combine", "write r, %4 by c1", "write r, %4"},
             {"a store between a read and the writes", "write r", "store z[%0], %1\nwrite r"},
             {"a read of another block", step.substr(step.find("write")),
              "%10 = lt bool %1, f64(3)\nif %10 {\nwrite r, %4 by c1\nwrite n, %9 by c1\n}\n"},
         }) {
        INFO(what);
        CHECK_FALSE(is_step(from, to));
    }
    CHECK(is_step("", ""));
    CHECK(is_step("%2 = read", "store z[%0], %1\n%2 = read"));
}

/// Whether a prange within another one, which becomes serial, sums in any order.
bool freed(std::string_view body, std::string_view slot = "f64") {
    const std::string text = test::after(
        codegen::run_reductions,
        "kernel t(x: in f64[1] unit, z: inout f64[1] unit, h: in f16[1] unit, i: in i64[1] unit) "
        "program {\n  slot s: " +
            std::string(slot) +
            "\n  stage [] {\nfor %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {\n"
            "for %1 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {\n"
            "%2 = load f64 x[%1]\n" +
            std::string(body) + "}\n}\n}\n}\n");
    CHECK(text.find("parallel", text.find("parallel") + 1) == std::string::npos);
    return text.find("fast(reassoc)") != std::string::npos &&
           text.find("slot r0") != std::string::npos;
}

TEST_CASE("reductions: sums of a prange within another one", "[codegen][reductions]") {
    const std::string sum = "%3 = read f64 s\n%4 = add f64 %3, %2\nwrite s, %4\n";
    CHECK(freed(sum));
    CHECK(freed(sum + "%5 = read f64 s\n%6 = sub f64 %5, %2\nwrite s, %6\n"));
    struct Body {
        std::string_view what;
        std::string text;
        std::string_view slot = "f64";
    };
    for (const Body& body : {
             Body{"a product", replaced(sum, "add", "mul")},
             {"a maximum", replaced(sum, "add", "maximum")},
             {"it is assigned", sum + "write s, %2\n"},
             {"it is read", sum + "%5 = read f64 s\nstore z[%0], %5\n"},
             {"the read is of use to more",
              replaced(sum, "write s", "%5 = mul f64 %3, %2\nstore z[%0], %5\nwrite s")},
             {"half precision",
              "%3 = load f16 h[%1]\n%4 = read f16 s\n%5 = add f16 %4, %3\nwrite s, %5\n", "f16"},
             {"integers",
              "%3 = load i64 i[%1]\n%4 = read i64 s\n%5 = add i64 %4, %3\nwrite s, %5\n", "i64"},
             {"an array", "%3 = read f64 s[%1]\n%4 = add f64 %3, %2\nwrite s[%1], %4\n", "f64[4]"},
         }) {
        INFO(body.what);
        CHECK_FALSE(freed(body.text, body.slot));
    }
}

}  // namespace
