// Rows that are taken four at once: what they become. tests/jit/loops/program_rows_test.cpp has results
// and refusals.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

TEST_CASE("jam: rows that are reduced", "[codegen][jam]") {
    const std::string row = test::after(codegen::run_jam, R"(
kernel t(x: in f64[2] unit, z: out f64[1] unit) {
  slot r: f64
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(1) {
      write r, f64(0)
      for %1 = i64(0) to extent(x, 1) step i64(1) {
        %2 = load f64 x[%0, %1]
        %3 = read f64 r
        %4 = add f64 %2, %3
        write r, %4
      }
      %5 = read f64 r
      store z[%0], %5
    }
  }
}
)");
    CHECK(row == ir::print(ir::parse(R"(
kernel t(x: in f64[2] unit, z: out f64[1] unit) {
  slot r: f64
  slot v1 "r": f64
  slot v2 "r": f64
  slot v3 "r": f64
  stage [] {
    %0 = sub i64 extent(x, 0), i64(0)
    %1 = maximum i64 %0, i64(0)
    %2 = bit_and i64 %1, i64(-4)
    %3 = add i64 i64(0), %2
    for %4 = i64(0) to %3 step i64(4) {
      %5 = add i64 %4, i64(1)
      %6 = add i64 %4, i64(2)
      %7 = add i64 %4, i64(3)
      write v1, f64(0)
      write v2, f64(0)
      write v3, f64(0)
      write r, f64(0)
      for %8 = i64(0) to extent(x, 1) step i64(1) {
        %9 = load f64 x[%4, %8]
        %10 = read f64 v1
        %11 = add f64 %9, %10
        write v1, %11
        %12 = load f64 x[%5, %8]
        %13 = read f64 v2
        %14 = add f64 %12, %13
        write v2, %14
        %15 = load f64 x[%6, %8]
        %16 = read f64 v3
        %17 = add f64 %15, %16
        write v3, %17
        %18 = load f64 x[%7, %8]
        %19 = read f64 r
        %20 = add f64 %18, %19
        write r, %20
      }
      %21 = read f64 v1
      store z[%4], %21
      %22 = read f64 v2
      store z[%5], %22
      %23 = read f64 v3
      store z[%6], %23
      %24 = read f64 r
      store z[%7], %24
    }
    for %25 = %3 to extent(x, 0) step i64(1) {
      write r, f64(0)
      for %26 = i64(0) to extent(x, 1) step i64(1) {
        %27 = load f64 x[%25, %26]
        %28 = read f64 r
        %29 = add f64 %27, %28
        write r, %29
      }
      %30 = read f64 r
      store z[%25], %30
    }
  }
}
)")));
}

TEST_CASE("jam: rows that are added to one", "[codegen][jam]") {
    const auto add = [](const std::string& place) {
        return R"(
kernel t(x: in f64[2] unit, z: inout f64[1] unit) {
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(1) {
      for %1 = i64(0) to extent(x, 1) step i64(1) {
        %2 = load f64 x[%0, %1]
        %3 = load f64 z[)" +
               place + R"(]
        %4 = add f64 %2, %3
        store z[)" +
               place + R"(], %4
      }
    }
  }
}
)";
    };
    const std::string made = test::after(codegen::run_jam, add("%1"));
    const auto count = [&](std::string_view what) {
        std::size_t n = 0;
        for (std::size_t at = made.find(what); at != std::string::npos;
             at = made.find(what, at + 1))
            ++n;
        return n;
    };
    // Of four rows and of what is left.
    CHECK(count("load f64 x[") == 5);
    CHECK(count("load f64 z[") == 2);
    CHECK(count("store z[") == 2);
    CHECK(test::after(codegen::run_jam, add("%0")) == test::printed(add("%0")));
    CHECK(test::after(codegen::run_jam, add("i64(0)")) == test::printed(add("i64(0)")));
}

TEST_CASE("jam: rows of few elements, whose number is a constant, stay", "[codegen][jam]") {
    const auto rows = [](const std::string& last) {
        return "kernel t(x: in f64[2] unit, g: inout f64[1] unit) {\n  stage [] {\n"
               "    for %0 = i64(0) to extent(x, 0) step i64(1) {\n"
               "      for %1 = i64(0) to " +
               last +
               " step i64(1) {\n        %2 = load f64 x[%0, %1]\n        %3 = load f64 g[%1]\n"
               "        %4 = add f64 %2, %3\n        store g[%1], %4\n      }\n    }\n  }\n}\n";
    };
    CHECK(test::after(codegen::run_jam, rows("i64(16)")) == test::printed(rows("i64(16)")));
    CHECK(test::after(codegen::run_jam, rows("i64(100)")) != test::printed(rows("i64(100)")));
}

}  // namespace
