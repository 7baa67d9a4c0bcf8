// Loops over rows that are cut: what they become. tests/jit/loops/program_rows_test.cpp has results and
// refusals.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

/// The text after the pass, of a program whose arrays fit the caches, or do not.
std::string cut(std::string_view text, bool large = false) {
    return ir::print(
        test::run(codegen::run_distribute, test::kernel(text), {.noalias = true, .large = large}));
}

TEST_CASE("distribute: a block of rows in three loops", "[codegen][distribute]") {
    CHECK(cut(R"(
kernel t(x: in f64[2] unit, y: in f64[1] unit, g: inout f64[1] unit) program {
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
kernel t(x: in f64[2] unit, y: in f64[1] unit, g: inout f64[1] unit) program {
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

/// Rows: an inner loop that sums, an elementary function of the sum, and what comes of it.
struct Row {
    std::string outer = "for %0 = i64(0) to extent(x, 0) step i64(1) {\n",
                before = "write r, f64(0)\n", bounds = "i64(0) to extent(x, 1) step i64(1) ",
                inside =
                    "%2 = load f64 x[%0, %1]\n%3 = read f64 r\n%4 = add f64 %2, %3\nwrite r, %4\n",
                middle = "%5 = read f64 r\n%8 = exp f64 %5\n", last = "store z[%0], %8\n";
    std::string text() const {
        return "kernel t(x: in f64[2] unit, g: inout f64[1] unit, z: out f64[1] unit, h: in f16[1] "
               "unit, "
               "w: out f16[1] unit, n: value i64) program {\n  slot r: f64\n  slot q: f64\n  slot "
               "ring: "
               "f64[2]\n"
               "  slot half: f16\n  stage [] {\n" +
               outer + before + "for %1 = " + bounds + "{\n" + inside + "}\n" + middle + last +
               "}\n}\n}\n";
    }
};

std::string after(const Row& row) { return cut(row.text()); }
void check_kept(const Row& row) { CHECK(after(row) == test::printed(row.text())); }
void check_cut(const Row& row) { CHECK(after(row) != test::printed(row.text())); }

std::size_t count(const std::string& text, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        ++n;
    return n;
}

TEST_CASE("distribute: loops of other kinds stay", "[codegen][distribute]") {
    check_cut({});
    check_kept({.outer = "for %0 = i64(0) to extent(x, 0) step i64(2) {\n"});
    check_kept({.outer = "for %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {\n"});
    check_kept({.bounds = "i64(0) to extent(x, 1) step i64(1) parallel automatic 0 "});
    const std::string condition = "%9 = lt bool %8, f64(3)\n";
    check_kept({.last = "store z[%0], %8\n" + condition + "if %9 {\nbreak\n}\n"});
    check_kept({.last = "store z[%0], %8\n" + condition + "if %9 {\ncontinue\n}\n"});
    check_kept({.last = "store z[%0], %8\n" + condition + "if %9 {\nreturn\n}\n"});
    check_kept({.last = "%9 = atomic sum f64 g[n], %8\n"});
    check_kept({.last = "store z[%0], %8\n" + condition + "check shapes, %9\n"});
    // A function after a store, none at all, and no inner loop.
    check_kept({.last = "store z[%0], %8\n%9 = sin f64 %8\nstore z[%0], %9\n"});
    check_kept({.middle = "%5 = read f64 r\n%8 = mul f64 %5, %5\n"});
    const std::string flat =
        "kernel t(x: in f64[1] unit, z: out f64[1] unit) program {\n  slot r: f64\n  stage [] "
        "{\nfor %0 = i64(0) to extent(x, 0) step i64(1) {\nwrite r, f64(0)\n"
        "%1 = load f64 x[%0]\n%2 = exp f64 %1\nstore z[%0], %2\n}\n}\n}\n";
    CHECK(cut(flat) == test::printed(flat));
}

TEST_CASE("distribute: parts that share arrays stay together", "[codegen][distribute]") {
    const std::string
        store = Row().inside + "store g[%1], %4\n",
        add = "for %6 = i64(0) to extent(x, 1) step i64(1) {\n%7 = load f64 x[%0, %6]\n";
    check_cut({.last = add + "%9 = load f64 g[%6]\n%10 = mul f64 %8, %9\nstore g[%6], %10\n}\n"});
    check_kept({.inside = store, .middle = "%5 = load f64 g[%0]\n%8 = exp f64 %5\n"});
    check_kept({.inside = store,
                .last = add + "%9 = load f64 g[%6]\n%10 = mul f64 %8, %9\n"
                              "store z[%6], %10\n}\n"});
    check_kept({.inside = store, .last = "store g[%0], %8\n"});
    check_kept({.inside = Row().inside + "%11 = load f64 g[%1]\nwrite q, %11\n",
                .last = "store g[%0], %8\n"});
    check_kept({.middle = "%5 = load f64 g[%0]\n%8 = exp f64 %5\n", .last = "store g[n], %8\n"});
}

TEST_CASE("distribute: parts that share variables stay together", "[codegen][distribute]") {
    const std::string last = "store z[%0], %8\nwrite q, %8\n";
    check_cut({.last = last});
    check_kept({.before = "%11 = read f64 q\nwrite r, %11\n", .last = last});
    check_kept({.before = "write r, f64(0)\nwrite q, f64(1)\n", .last = last});
    check_kept({.middle = "%5 = read f64 q\n%8 = exp f64 %5\n", .last = last});
    check_kept({.before = "write r, f64(0)\nwrite ring[i64(0)], f64(0)\n",
                .middle = "%5 = read f64 ring[i64(1)]\n%8 = exp f64 %5\n"});
    // 16 bits would round on the way.
    check_kept({.before = "write r, f64(0)\nwrite half, f16(1)\n",
                .last = "store z[%0], %8\n%9 = read f16 half\nstore w[%0], %9\n"});
    check_kept({.before = "write r, f64(0)\n%9 = load f16 h[%0]\n",
                .last = "store z[%0], %8\nstore w[%0], %9\n"});
    check_kept({.middle = "%5 = read f64 r\n%8 = exp f64 %5\n%9 = load f16 h[%0]\n",
                .last = "store z[%0], %8\nstore w[%0], %9\n"});
}

TEST_CASE("distribute: what parts compute again, and what they keep", "[codegen][distribute]") {
    // The function is computed once, whatever it is computed of.
    CHECK(count(after({.middle = "%5 = load f64 x[%0, n]\n%8 = exp f64 %5\n"}), "exp f64") == 1);
    // Elements and variables that the first part changes are read where they were.
    CHECK(count(after({.before = "%5 = load f64 g[%0]\nwrite r, %5\nstore g[%0], f64(0)\n",
                       .middle = "%8 = exp f64 %5\n",
                       .last = "%9 = mul f64 %8, %5\nstore z[%0], %9\n"}),
                "load f64 g[") == 1);
    CHECK(count(after({.before = "%5 = read f64 q\nwrite r, %5\nwrite q, f64(0)\n",
                       .middle = "%8 = exp f64 %5\n",
                       .last = "store z[%0], %8\n"}),
                "read f64 q") == 1);
    // Rows of different lengths: the size of blocks is a constant.
    check_cut({.bounds = "i64(0) to %0 step i64(1) "});
    check_cut(
        {.before = "write r, f64(0)\n%9 = mul i64 %0, n\n", .bounds = "%9 to n step i64(1) "});
}

/// Rows in groups of 16, with something behind each.
struct Group {
    std::string rest = "store g[n], f64(1)\n";
    Row row = {};
    std::string stop = "%21 = add i64 %20, i64(16)\n%22 = minimum i64 extent(x, 0), %21\n",
                size = "16";
    std::string text() const {
        Row inner = row;
        inner.outer = "for %20 = i64(0) to extent(x, 0) step i64(" + size + ") {\n" + stop +
                      "for %0 = %20 to %22 step i64(1) {\n";
        inner.last += "}\n" + rest;
        return inner.text();
    }
};
/// Whether blocks are of several groups: the loop over these begins behind the functions.
bool takes_groups(const Group& g) {
    const std::string text = cut(g.text());
    CHECK(text != test::printed(g.text()));
    return text.find("step i64(16)") != std::string::npos &&
           text.find("step i64(16)") > text.find("exp f64");
}

TEST_CASE("distribute: a block of several groups of rows", "[codegen][distribute]") {
    CHECK(cut(R"(
kernel t(x: in f64[2] unit, g: inout f64[1] unit, z: out f64[1] unit) program {
  slot r: f64
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(16) {
      %1 = add i64 %0, i64(16)
      %2 = minimum i64 extent(x, 0), %1
      for %3 = %0 to %2 step i64(1) {
        write r, f64(0)
        for %4 = i64(0) to extent(x, 1) step i64(1) {
          %5 = load f64 x[%3, %4]
          %6 = read f64 r
          %7 = add f64 %5, %6
          write r, %7
        }
        %8 = read f64 r
        %9 = exp f64 %8
        for %10 = i64(2) to extent(g, 0) step i64(1) {
          %11 = load f64 g[%10]
          %12 = add f64 %9, %11
          store g[%10], %12
        }
      }
      %13 = load f64 g[i64(1)]
      %14 = load f64 g[i64(0)]
      %15 = add f64 %13, %14
      store g[i64(0)], %15
      store g[i64(1)], f64(0)
    }
  }
}
)") == test::printed(R"(
kernel t(x: in f64[2] unit, g: inout f64[1] unit, z: out f64[1] unit) program {
  slot r: f64
  slot block1: f64[64]
  slot block2: f64[64]
  stage [] {
    %0 = sub i64 extent(x, 1), i64(0)
    %1 = maximum i64 %0, i64(1)
    %2 = div i64 i64(4096), %1
    %3 = maximum i64 %2, i64(16)
    %4 = minimum i64 %3, i64(64)
    %5 = div i64 %4, i64(16)
    %6 = maximum i64 %5, i64(1)
    %7 = mul i64 %6, i64(16)
    for %8 = i64(0) to extent(x, 0) step %7 {
      %9 = sub i64 extent(x, 0), %8
      %10 = minimum i64 %7, %9
      %11 = add i64 %8, %10
      for %12 = %8 to %11 step i64(1) {
        %13 = sub i64 %12, %8
        write r, f64(0)
        for %14 = i64(0) to extent(x, 1) step i64(1) {
          %15 = load f64 x[%12, %14]
          %16 = read f64 r
          %17 = add f64 %15, %16
          write r, %17
        }
        %18 = read f64 r
        write block1[%13], %18
      }
      for %19 = %8 to %11 step i64(1) {
        %20 = sub i64 %19, %8
        %21 = read f64 block1[%20]
        %22 = exp f64 %21
        write block2[%20], %22
      }
      for %23 = %8 to %11 step i64(16) {
        %24 = add i64 %23, i64(16)
        %25 = minimum i64 extent(x, 0), %24
        for %26 = %23 to %25 step i64(1) {
          %27 = sub i64 %26, %8
          %28 = read f64 block2[%27]
          for %29 = i64(2) to extent(g, 0) step i64(1) {
            %30 = load f64 g[%29]
            %31 = add f64 %28, %30
            store g[%29], %31
          }
        }
        %32 = load f64 g[i64(1)]
        %33 = load f64 g[i64(0)]
        %34 = add f64 %32, %33
        store g[i64(0)], %34
        store g[i64(1)], f64(0)
      }
    }
  }
}
)"));
    CHECK(takes_groups({}));
    CHECK(takes_groups(
        {.stop = "%21 = add i64 i64(16), %20\n%22 = minimum i64 %21, extent(x, 0)\n"}));
}

TEST_CASE("distribute: rows that come from memory have blocks of 16, each of one group",
          "[codegen][distribute]") {
    const std::string rows = cut(Row().text(), true);
    CHECK(count(rows, "= i64(0) to extent(x, 0) step i64(16) {") == 1);
    CHECK(count(rows, "div i64") == 0);
    const std::string groups = cut(Group().text(), true);
    CHECK(count(groups, "step i64(16) {") == 2);  // the groups, and within each its one block
    CHECK(count(groups, "for ") == 6);
}

/// What the pass says of the loop that it cuts.
std::string said(const Row& row, bool large) {
    codegen::PassContext context;
    context.options.noalias = true;
    context.options.large = large;
    codegen::run_distribute(test::kernel(row.text()), context);
    REQUIRE(context.decisions.all().size() == 1);
    return context.decisions.all()[0].text;
}

TEST_CASE("distribute: says how many iterations a block has, and why", "[codegen][distribute]") {
    const std::string lanes = "its functions run as lanes, for ";
    CHECK(said({}, false) == lanes + "16 to 64 iterations at once, by the length of rows");
    CHECK(said({}, true) == lanes + "16 iterations at once, since rows come from memory");
    CHECK(said({.bounds = "i64(0) to %0 step i64(1) "}, false) ==
          lanes + "16 iterations at once, since the length of rows is not known before it");
}

TEST_CASE("distribute: groups whose rest is not apart keep blocks of their own",
          "[codegen][distribute]") {
    // Other loops than those over the rows of a group.
    CHECK(!takes_groups({.stop = "%21 = add i64 %20, i64(16)\n%22 = minimum i64 n, %21\n"}));
    CHECK(!takes_groups(
        {.stop = "%21 = add i64 %20, i64(8)\n%22 = minimum i64 extent(x, 0), %21\n"}));
    CHECK(!takes_groups(
        {.stop = "%21 = mul i64 %20, i64(16)\n%22 = minimum i64 extent(x, 0), %21\n"}));
    CHECK(!takes_groups(
        {.stop = "%21 = add i64 %20, i64(16)\n%22 = maximum i64 extent(x, 0), %21\n"}));
    CHECK(!takes_groups({.stop = "store g[n], f64(2)\n%21 = add i64 %20, i64(16)\n"
                                 "%22 = minimum i64 extent(x, 0), %21\n"}));
    CHECK(
        !takes_groups({.stop = "%21 = add i64 %20, i64(65)\n%22 = minimum i64 extent(x, 0), %21\n",
                       .size = "65"}));
    // What the rest reads of the first part, and changes of it.
    CHECK(!takes_groups({.rest = "%30 = read f64 r\nstore z[n], %30\n"}));
    const std::string inside = Row().inside;
    CHECK(!takes_groups({.rest = "store g[n], f64(1)\n",
                         .row = {.inside = inside + "%11 = load f64 g[%1]\nwrite q, %11\n"}}));
    CHECK(!takes_groups(
        {.rest = "write q, f64(1)\n", .row = {.before = "%11 = read f64 q\nwrite r, %11\n"}}));
    CHECK(!takes_groups(
        {.rest = "write q, f64(1)\n", .row = {.middle = "%5 = read f64 q\n%8 = exp f64 %5\n"}}));
    CHECK(!takes_groups({.rest = "%30 = atomic sum f64 g[n], f64(1)\n"}));
    // Rows that know their group.
    CHECK(!takes_groups({.row = {.middle = "%5 = load f64 g[%20]\n%8 = exp f64 %5\n"}}));
    CHECK(!takes_groups({.row = {.before = "%11 = load f64 g[%21]\nwrite r, %11\n"}}));
}

TEST_CASE("distribute: arrays that overlap, and checked mode, keep rows whole",
          "[codegen][distribute]") {
    CHECK(test::fires("distribute", Row().text(), {.noalias = true}));
    CHECK(!test::fires("distribute", Row().text(), {.noalias = false}));
    CHECK(!test::fires("distribute", Row().text(), {.checked = true, .noalias = true}));
}

}  // namespace
