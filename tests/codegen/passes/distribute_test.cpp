// Loops over rows that are cut: what they become. tests/jit/loops/program_rows_test.cpp has results and
// refusals.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

TEST_CASE("distribute: a block of rows in three loops", "[codegen][distribute]") {
    CHECK(test::after(codegen::run_distribute, R"(
kernel t(x: in f64[2] unit, y: in f64[1] unit, g: inout f64[1] unit) {
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
      %6 = load f64 y[%0]
      %7 = mul f64 %5, %6
      %8 = exp f64 %7
      for %9 = i64(0) to extent(x, 1) step i64(1) {
        %10 = load f64 x[%0, %9]
        %11 = mul f64 %8, %10
        %12 = load f64 g[%9]
        %13 = add f64 %11, %12
        %14 = mul f64 %13, %6
        store g[%9], %14
      }
    }
  }
}
)") == test::printed(R"(
kernel t(x: in f64[2] unit, y: in f64[1] unit, g: inout f64[1] unit) {
  slot r: f64
  slot block1: f64[64]
  slot block2: f64[64]
  stage [] {
    %0 = sub i64 extent(x, 1), i64(0)
    %1 = maximum i64 %0, i64(1)
    %2 = div i64 i64(4096), %1
    %3 = maximum i64 %2, i64(16)
    %4 = minimum i64 %3, i64(64)
    for %5 = i64(0) to extent(x, 0) step %4 {
      %6 = sub i64 extent(x, 0), %5
      %7 = minimum i64 %4, %6
      %8 = add i64 %5, %7
      for %9 = %5 to %8 step i64(1) {
        %10 = sub i64 %9, %5
        write r, f64(0)
        for %11 = i64(0) to extent(x, 1) step i64(1) {
          %12 = load f64 x[%9, %11]
          %13 = read f64 r
          %14 = add f64 %12, %13
          write r, %14
        }
        %15 = read f64 r
        write block1[%10], %15
      }
      for %16 = %5 to %8 step i64(1) {
        %17 = sub i64 %16, %5
        %18 = read f64 block1[%17]
        %19 = load f64 y[%16]
        %20 = mul f64 %18, %19
        %21 = exp f64 %20
        write block2[%17], %21
      }
      for %22 = %5 to %8 step i64(1) {
        %23 = sub i64 %22, %5
        %24 = load f64 y[%22]
        %25 = read f64 block2[%23]
        for %26 = i64(0) to extent(x, 1) step i64(1) {
          %27 = load f64 x[%22, %26]
          %28 = mul f64 %25, %27
          %29 = load f64 g[%26]
          %30 = add f64 %28, %29
          %31 = mul f64 %30, %24
          store g[%26], %31
        }
      }
    }
  }
}
)"));
}

}  // namespace
