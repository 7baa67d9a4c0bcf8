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
