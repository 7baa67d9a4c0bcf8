#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

std::string dce(const std::string& text) {
    return ir::print(test::run(codegen::run_dce, test::kernel(text)));
}
std::string map(const std::string& slots, const std::string& body) {
    return "kernel k(a: in i32[1], o: inout i32[1]) {\n" + slots + "  stage [extent(a, 0)] {\n" +
           body + "  }\n}\n";
}

}  // namespace

TEST_CASE("dce: unused values, loads and slots go; parameters stay", "[codegen][dce]") {
    CHECK(
        dce(map("  slot s: i32\n  slot t: i32\n",
                "    %0 = load i32 a[i0]\n    %1 = add i32 %0, i32(1)\n    write s, %1\n    %2 = "
                "read i32 s\n"
                "    write t, i32(5)\n    %3 = read i32 t\n    store o[i0], %3\n")) ==
        map("  slot t: i32\n", "    write t, i32(5)\n    %0 = read i32 t\n    store o[i0], %0\n"));
}

TEST_CASE("dce: branches and counted loops without effects go", "[codegen][dce]") {
    CHECK(
        dce(map("  slot s: i32\n",
                "    %0 = lt bool i0, i64(3)\n    if %0 {\n      write s, i32(1)\n    }\n"
                "    for %1 = i64(0) to i64(9) step i64(1) {\n      %2 = read i32 s\n"
                "      %3 = add i32 %2, i32(1)\n      write s, %3\n      %4 = lt bool %1, i64(3)\n"
                "      if %4 {\n        break\n      }\n    }\n    store o[i0], i32(7)\n")) ==
        map("", "    store o[i0], i32(7)\n"));
}

TEST_CASE("dce: a branch whose first half is empty turns around", "[codegen][dce]") {
    CHECK(dce(map("  slot s: i32\n",
                  "    %0 = lt bool i0, i64(3)\n    if %0 {\n      write s, i32(1)\n    } else {\n"
                  "      store o[i0], i32(7)\n    }\n")) ==
          map("",
              "    %0 = lt bool i0, i64(3)\n    %1 = logical_not bool %0\n    if %1 {\n"
              "      store o[i0], i32(7)\n    }\n"));
}

TEST_CASE("dce: what control depends on stays", "[codegen][dce]") {
    // A while loop may never end; its jumps and what its condition needs are kept.
    const std::string loop =
        map("  slot s: i32\n",
            "    write s, i32(0)\n    while {\n      %0 = read i32 s\n      %1 = lt bool %0, "
            "i32(9)\n    } %1 {\n"
            "      %2 = read i32 s\n      %3 = add i32 %2, i32(3)\n      write s, %3\n      %4 = "
            "lt bool %3, i32(5)\n"
            "      if %4 {\n        continue\n      }\n      store o[i0], %3\n    }\n");
    CHECK(dce(loop) == loop);
    const std::string early = map(
        "",
        "    %0 = load i32 a[i0]\n    %1 = lt bool %0, i32(0)\n    if %1 {\n      return\n    }\n"
        "    store o[i0], %0\n");
    CHECK(dce(early) == early);
    const std::string check = map("",
                                  "    %0 = load i32 a[i0]\n    %1 = ne bool %0, i32(0)\n"
                                  "    check division_by_zero, %1\n");
    CHECK(dce(check) == check);
}

namespace {

/// A program that dce leaves as it is.
void check_kept(const std::string& body, bool checked = false) {
    const std::string text = test::printed(
        "kernel k(a: inout i32[1], o: out i32[1], t: local i32[1], n: value i64) program {\n  slot "
        "s: i32\n"
        "  slot ring: i32[4]\n  stage [] {\n    write s, i32(3)\n    write ring[i64(0)], i32(1)\n" +
        body +
        "    %8 = read i32 s\n    %9 = read i32 ring[i64(2)]\n    store o[i64(0)], %8\n"
        "    store o[i64(1)], %9\n  }\n}\n");
    CHECK(ir::print(test::run(codegen::run_dce, test::kernel(text), {.checked = checked})) == text);
}

}  // namespace

TEST_CASE("dce: effects stay, used or not", "[codegen][dce]") {
    check_kept("%0 = atomic sum i32 a[n], i32(1)\n");
    check_kept("assign a, i32(1)\n");
    check_kept("allocate t[n]\n");
    // It may run for ever.
    check_kept("%0 = lt bool n, i64(3)\nwhile {\n} %0 {\n}\n");
    const std::string sums =
        "kernel k(a: in i32[1], o: out i32) reduce {\n  slot s: i32\n  stage [] {\n    write s, "
        "i32(0)\n"
        "  }\n  stage [extent(a, 0)] sum -> s {\n    %0 = load i32 a[i0]\n    contribute 0, %0\n"
        "  }\n}\n";
    CHECK(dce(sums) == sums);
}

TEST_CASE("dce: in checked mode accesses by subscripts stay", "[codegen][dce]") {
    check_kept("%0 = load i32 a[n]\n", true);
    check_kept("%0 = read i32 ring[n]\n", true);
    // Of a variable that nothing reads.
    const auto after = [](bool checked) {
        return ir::print(
            test::run(codegen::run_dce,
                      test::kernel("kernel k(n: value i64) program {\n  slot s: i32[4]\n"
                                   "  stage [] {\n    write s[n], i32(1)\n  }\n}\n"),
                      {.checked = checked}));
    };
    CHECK(after(true).find("write s[n]") != std::string::npos);
    CHECK(after(false).find("write") == std::string::npos);
}

TEST_CASE("dce: of a reduction variables that nothing reads go, and its own stay",
          "[codegen][dce]") {
    const auto kernel = [](const std::string& slots, const std::string& dead) {
        return "kernel k(a: in i32[1], o: out i32) reduce {\n" + slots +
               "  stage [] {\n    write s, i32(0)\n" + dead +
               "  }\n  stage [extent(a, 0)] sum -> s {\n    %0 = load i32 a[i0]\n"
               "    contribute 0, %0\n  }\n  stage [] {\n    %1 = read i32 s\n    store o, %1\n"
               "  }\n}\n";
    };
    CHECK(dce(kernel("  slot t: i32\n  slot s: i32\n", "    write t, i32(5)\n")) ==
          test::printed(kernel("  slot s: i32\n", "")));
}
