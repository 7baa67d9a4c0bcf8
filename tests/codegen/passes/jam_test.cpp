// Rows that are taken four at once: what they become. tests/jit/loops/program_rows_test.cpp has results
// and refusals.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

TEST_CASE("jam: rows that are reduced", "[codegen][jam]") {
    const std::string row = test::after(codegen::run_jam, R"(
kernel t(x: in f64[2] unit, z: out f64[1] unit) program {
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
kernel t(x: in f64[2] unit, z: out f64[1] unit) program {
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
    for %25 = %3 to extent(x, 0) step i64(1) remainder {
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
kernel t(x: in f64[2] unit, z: inout f64[1] unit) program {
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
        return "kernel t(x: in f64[2] unit, g: inout f64[1] unit) program {\n  stage [] {\n"
               "    for %0 = i64(0) to extent(x, 0) step i64(1) {\n"
               "      for %1 = i64(0) to " +
               last +
               " step i64(1) {\n        %2 = load f64 x[%0, %1]\n        %3 = load f64 g[%1]\n"
               "        %4 = add f64 %2, %3\n        store g[%1], %4\n      }\n    }\n  }\n}\n";
    };
    CHECK(test::after(codegen::run_jam, rows("i64(16)")) == test::printed(rows("i64(16)")));
    CHECK(test::after(codegen::run_jam, rows("i64(100)")) != test::printed(rows("i64(100)")));
}

/// Rows of x, each summed into `r`: the outer head, what comes before, in and after the inner loop.
struct Row {
    std::string outer = "for %0 = i64(0) to extent(x, 0) step i64(1) {\n",
                before = "write r, f64(0)\n",
                inner = "for %1 = i64(0) to extent(x, 1) step i64(1) {\n",
                inside =
                    "%2 = load f64 x[%0, %1]\n%3 = read f64 r\n%4 = add f64 %2, %3\nwrite r, %4\n",
                after = "%9 = read f64 r\nstore z[%0], %9\n", outside = "";
    std::string text() const {
        return "kernel t(x: in f64[2] unit, g: inout f64[1] unit, z: out f64[1] unit, h: inout "
               "f64[2] "
               "unit, n: value i64) program {\n  slot r: f64\n  slot q: f64\n  slot ring: f64[2]\n"
               "  stage [] {\n" +
               outer + before + inner + inside + "}\n" + after + "}\n" + outside + "}\n}\n";
    }
};

void check_kept(const Row& row) {
    CHECK(test::after(codegen::run_jam, row.text()) == test::printed(row.text()));
}
void check_taken(const Row& row) {
    CHECK(test::after(codegen::run_jam, row.text()) != test::printed(row.text()));
}

TEST_CASE("jam: loops of other kinds stay", "[codegen][jam]") {
    check_taken({});
    check_kept({.outer = "for %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {\n"});
    check_kept({.outer = "for %0 = i64(0) to extent(x, 0) step i64(2) {\n"});
    check_kept({.outer = "for %0 = i64(0) to extent(x, 0) step n {\n"});
    check_kept({.before = "write r, f64(0)\nstore z[%0], f64(0)\n"});
    check_kept(
        {.before =
             "write r, f64(0)\nfor %5 = i64(0) to n step i64(1) {\nstore g[%5], f64(1)\n}\n"});
    check_kept({.inner = "for %1 = i64(0) to extent(x, 1) step i64(1) parallel automatic 0 {\n"});
    check_kept(
        {.before = "write r, f64(0)\n%5 = lt bool n, i64(3)\nif %5 {\nwrite q, f64(1)\n}\n"});
    check_kept({.before = "write r, f64(0)\n%5 = lt bool n, i64(3)\ncheck shapes, %5\n"});
    check_kept({.inside = Row().inside + "%5 = lt bool %2, f64(0)\nif %5 {\nbreak\n}\n"});
    check_kept({.inside = Row().inside + "%5 = atomic sum f64 g[%1], %2\n"});
    check_kept({.before = "write r, f64(0)\n%5 = cast f64 %0\n%6 = exp f64 %5\n",
                .inside = "%2 = load f64 x[%0, %1]\n%3 = read f64 r\n%7 = mul f64 %2, %6\n"
                          "%4 = add f64 %7, %3\nwrite r, %4\n"});
    // Of a length that differs from row to row.
    check_kept({.inner = "for %1 = %0 to extent(x, 1) step i64(1) {\n"});
    check_kept({.before = "write r, f64(0)\n%5 = mul i64 %0, n\n",
                .inner = "for %1 = i64(0) to %5 step i64(1) {\n"});
}

TEST_CASE("jam: arrays in which rows meet", "[codegen][jam]") {
    // Stored to after the inner loop, and loaded from before it; stored to in it too.
    check_kept({.before = "write r, f64(0)\n%5 = load f64 g[n]\n",
                .after = "%9 = read f64 r\nstore g[%0], %9\n"});
    const std::string add = "%5 = load f64 g[%1]\n%6 = add f64 %5, %2\nstore g[%1], %6\n";
    check_taken({.inside = "%2 = load f64 x[%0, %1]\n" + add});
    check_kept({.inside = "%2 = load f64 x[%0, %1]\n" + add, .after = "store g[%0], f64(1)\n"});
    // What the inner loop adds to is touched there alone, at one element.
    check_kept({.before = "%5 = load f64 g[n]\nwrite r, %5\n",
                .inside = "%2 = load f64 x[%0, %1]\n%7 = load f64 g[%1]\n%6 = add f64 %7, %2\n"
                          "store g[%1], %6\n"});
    check_kept({.inside = "%2 = load f64 x[%0, %1]\n%7 = add i64 %1, i64(1)\n%8 = load f64 g[%7]\n"
                          "%6 = add f64 %8, %2\nstore g[%1], %6\n"});
    check_kept({.inside = "%2 = load f64 x[%0, %1]\n" + add + "store g[%1], f64(1)\n"});
    check_kept({.inside = "%2 = load f64 x[%0, %1]\n%5 = load f64 g[n]\n%6 = add f64 %5, %2\n"
                          "store g[n], %6\n"});
    check_kept({.inside = "%2 = load f64 x[%0, %1]\n%7 = add i64 %0, %1\n%5 = load f64 g[%7]\n"
                          "%6 = add f64 %5, %2\nstore g[%7], %6\n"});
    check_kept({.inside = "%2 = load f64 x[%0, %1]\n%5 = load f64 h[%0, %1]\n%6 = add f64 %5, %2\n"
                          "store h[%0, %1], %6\n"});
    // A row of h that a variable of the iteration chooses.
    check_kept({.before = "%4 = cast f64 %0\nwrite q, %4\n%7 = read f64 q\n%8 = cast i64 %7\n",
                .inside = "%2 = load f64 x[%0, %1]\n%5 = load f64 h[%8, %1]\n%6 = add f64 %5, %2\n"
                          "store h[%8, %1], %6\n"});
}

TEST_CASE("jam: variables that outlive their row", "[codegen][jam]") {
    check_kept({.before = ""});
    check_kept({.before = "%5 = read f64 r\nwrite r, %5\n"});
    check_kept(
        {.before = "write r, f64(0)\n%5 = read f64 q\n", .inside = Row().inside + "write q, %2\n"});
    check_kept({.before = "write r, f64(0)\nwrite ring[i64(0)], f64(0)\n",
                .inside = Row().inside + "write ring[i64(1)], %2\n"});
    // Set in the inner loop, which may have no iteration.
    check_kept({.inside = Row().inside + "write q, %2\n%5 = read f64 q\nwrite q, %5\n"});
    // Used after the inner loop alone, or by what follows the rows: the last row's stays.
    check_taken(
        {.after = Row().after + "write q, %9\n", .outside = "%10 = read f64 q\nstore z[n], %10\n"});
}

TEST_CASE("jam: where it is not worth it", "[codegen][jam]") {
    // More operations than keep the tree of sums.
    check_kept({.inside = "%2 = load f64 x[%0, %1]\n%3 = mul f64 %2, %2\n%4 = mul f64 %3, %2\n"
                          "%5 = sub f64 %4, f64(1)\n%6 = mul f64 %5, %3\n%7 = sub f64 %6, f64(3)\n"
                          "%8 = read f64 r\n%10 = add f64 %7, %8\nwrite r, %10\n"});
    // Nothing is accumulated.
    check_kept({.inside = "%2 = load f64 x[%0, %1]\nwrite r, %2\n"});
}

TEST_CASE("jam: arrays that overlap, and checked mode, keep single rows", "[codegen][jam]") {
    CHECK(test::fires("jam", Row().text(), {.noalias = true}));
    CHECK(!test::fires("jam", Row().text(), {.noalias = false}));
    CHECK(!test::fires("jam", Row().text(), {.checked = true, .noalias = true}));
}

}  // namespace
