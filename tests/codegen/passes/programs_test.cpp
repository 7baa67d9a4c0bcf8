// Parallel loops that are left become launches of programs: what those take from around them.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

std::string after(std::string_view text) { return test::after(codegen::run_programs, text); }

}  // namespace

TEST_CASE("programs: values and variables from around the loop are arguments",
          "[codegen][programs]") {
    CHECK(after(R"(
kernel t(x: out f64[1] unit, at: in i64[1] unit, n: value i64) program {
  slot v: f64
  slot own: f64
  stage [] {
    %0 = add i64 n, i64(1)
    write v, f64(3)
    for %1 = i64(0) to %0 step i64(2) parallel dynamic 4 {
      %2 = load i64 at[%1]
      %3 = read f64 v
      write own, %3
      %4 = read f64 own
      store x[%2], %4
    }
  }
}
)") == test::printed(R"(
kernel t(x: out f64[1] unit, at: in i64[1] unit, n: value i64) program {
  slot v: f64
  slot own: f64
  stage [] {
    %0 = add i64 n, i64(1)
    write v, f64(3)
    %1 = read f64 v
    launch k0 for i64(0) to %0 step i64(2) (whole x, whole at, whole n, value %0, value %1)
  }
  k0 = kernel t(x: out f64[1] unit, at: in i64[1] unit, n: value i64, outer: value i64, p4 "outer": value f64) program {
    slot v: f64
    slot own: f64
    stage [] {
      for %0 = i64(0) to outer step i64(2) parallel dynamic 4 {
        %1 = load i64 at[%0]
        write own, p4
        %2 = read f64 own
        store x[%1], %2
      }
    }
  }
}
)"));
}

TEST_CASE("programs: what a loop reduces, and in which order, goes with it",
          "[codegen][programs]") {
    const std::string loop =
        R"(      for %0 = i64(0) to n step i64(1) parallel automatic 0 (sum -> s) blocks of 512 in 256 sums (s) {
        %1 = load i64 at[%0]
        %2 = load f64 x[%1]
        %3 = read f64 s
        %4 = add f64 %3, %2 fast(reassoc)
        write s, %4
      }
)";
    const std::string head =
        "kernel t(x: in f64[1] unit, at: in i64[1] unit, n: value i64, y: out f64) program {\n"
        "  slot s: f64\n  stage [] {\n    write s, f64(0)\n";
    const std::string tail = "    %0 = read f64 s\n    store y, %0\n  }\n";
    std::string before = head + loop + tail + "}\n";
    before.replace(before.find("%0 = read"), 2, "%9");
    before.replace(before.find("store y, %0") + 9, 2, "%9");
    CHECK(after(before) ==
          test::printed(head +
                        "    launch k0 for i64(0) to n step i64(1) (whole x, whole at, whole n, "
                        "whole y)\n" +
                        tail +
                        "  k0 = kernel t(x: in f64[1] unit, at: in i64[1] unit, n: value i64, "
                        "y: out f64) program {\n    slot s: f64\n    stage [] {\n" +
                        loop + "    }\n  }\n}\n"));
}

TEST_CASE("programs: Locals of the program have their places, also in what the loop launches",
          "[codegen][programs]") {
    const std::string made = after(R"(
kernel t(x: out f64[2] unit, n: value i64) program {
  slot a: f64[8]
  stage [] {
    write a[i64(0)], f64(3)
    for %0 = i64(0) to n step i64(1) parallel automatic 0 {
      %1 = read f64 a[i64(0)]
      store x[%0, i64(9)], %1
      launch k0 for i64(0) to i64(8) step i64(1) (local a[i64(0)] by (1), array x[%0, i64(0)] by (0, 1))
    }
  }
  k0 = kernel t(a: in f64[1] unit, x: out f64[1] unit) {
    stage [extent(a, 0)] {
      %0 = load f64 a[i0]
      store x[i0], %0
    }
  }
}
)");
    CHECK(made.find("    launch k0 for i64(0) to n step i64(1) (whole x, whole n, place a)\n") !=
          std::string::npos);
    CHECK(made.find("k0 = kernel t(x: out f64[2] unit, n: value i64, a: in f64[1] unit) program") !=
          std::string::npos);
    CHECK(made.find("        %1 = read f64 a[i64(0)]\n") != std::string::npos);
    CHECK(made.find("launch k0 for i64(0) to i64(8) step i64(1) (local a[i64(0)] by (1), array "
                    "x[%0, i64(0)] by (0, 1))") != std::string::npos);
    CHECK(made.find("    k0 = kernel t(a: in f64[1] unit, x: out f64[1] unit) {") !=
          std::string::npos);
}

TEST_CASE("programs: variables that iterations share have their places", "[codegen][programs]") {
    const std::string made = after(R"(
kernel t(x: in f64[1] unit, y: out f64) program {
  slot v: f64
  stage [] {
    write v, f64(0)
    for %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 unsafe {
      %1 = load f64 x[%0]
      write v, %1
    }
    %2 = read f64 v
    store y, %2
  }
}
)");
    CHECK(made.find("step i64(1) (whole x, whole y, place v)\n") != std::string::npos);
    CHECK(made.find("k0 = kernel t(x: in f64[1] unit, y: out f64, v: inout f64[1] unit) program") !=
          std::string::npos);
    CHECK(made.find("        write v, %1\n") != std::string::npos);
}

TEST_CASE("programs: on a device one thread runs serial loops that touch arrays",
          "[codegen][programs]") {
    const std::string serial =
        "kernel f(x: inout f64[1] unit) program {\n  slot s: f64\n  stage [] {\n"
        "    for %0 = i64(1) to extent(x, 0) step i64(1) {  ; a.cpp:3\n      %1 = load f64 x[%0]\n"
        "      %2 = read f64 s\n      %3 = add f64 %1, %2\n      write s, %3\n"
        "      store x[%0], %3\n    }\n    %4 = read f64 s\n    store x[i64(0)], %4\n  }\n}\n";
    const auto after = [&](const std::string& text, codegen::PassTarget target,
                           std::vector<Remark>& remarks) {
        codegen::PassContext context;
        context.options.target = target;
        const ir::Kernel made = codegen::run_programs(test::kernel(text), context);
        CHECK(ir::verify(made) == "");
        remarks = context.decisions.remarks();
        return ir::print(made);
    };
    std::vector<Remark> remarks;
    CHECK_THAT(after(serial, codegen::PassTarget::gpu, remarks),
               Catch::Matchers::Contains("launch k0 for i64(0) to i64(1) step i64(1)") &&
                   Catch::Matchers::Contains("(whole x, place s)"));
    REQUIRE(remarks.size() == 1);
    CHECK(remarks[0].line == 3);
    CHECK(remarks[0].text ==
          "a loop outside of parallel ones touches elements of arrays: one thread of the device "
          "runs it, alone");
    CHECK(after(serial, codegen::PassTarget::cpu, remarks) == test::printed(serial));
    CHECK(remarks.empty());
    // Without an element there is nothing to fetch.
    const std::string scalar =
        "kernel f(x: out f64[1] unit) program {\n  slot s: f64\n  stage [] {\n"
        "    for %0 = i64(1) to extent(x, 0) step i64(1) {\n      %1 = read f64 s\n"
        "      %2 = add f64 %1, f64(1)\n      write s, %2\n    }\n    %3 = read f64 s\n"
        "    store x[i64(0)], %3\n  }\n}\n";
    CHECK(after(scalar, codegen::PassTarget::gpu, remarks) == test::printed(scalar));
    REQUIRE(remarks.size() == 1);
    CHECK(remarks[0].text ==
          "no loop of this kernel runs on the device: the host computes all of it, and copies the "
          "elements that it touches");
    // One around others stays on the host, visibly where it touches an element itself.
    const std::string around =
        "kernel f(x: inout f64[1] unit) program {\n  stage [] {\n"
        "    for %0 = i64(0) to i64(3) step i64(1) {  ; a.cpp:3\n"
        "      store x[%0], f64(1)  ; a.cpp:4\n"
        "      for %1 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {  ; a.cpp:5\n"
        "        store x[%1], f64(2)\n      }\n    }\n  }\n}\n";
    for (const bool touches : {true, false}) {
        std::string text = around;
        if (!touches) text.erase(text.find("      store x[%0]"), 36);
        after(text, codegen::PassTarget::gpu, remarks);
        INFO(text);
        REQUIRE(remarks.size() == (touches ? 1 : 0));
        if (touches) CHECK((remarks[0].line == 3 && remarks[0].text.starts_with("the host runs")));
    }
}
