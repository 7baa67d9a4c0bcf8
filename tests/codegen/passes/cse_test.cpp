#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

std::string cse(const std::string& text) {
    return ir::print(test::run(codegen::run_dce, test::run(codegen::run_cse, test::kernel(text))));
}
std::string map(const std::string& body) {
    return "kernel k(a: in i32[1], o: inout i32[1]) {\n  slot s: i32\n  stage [extent(a, 0)] {\n" +
           body + "  }\n}\n";
}

}  // namespace

TEST_CASE("cse: equal loads are one, unless something is stored between them", "[codegen][cse]") {
    const std::string params = "a: in i32[1], o: inout i32[1]";
    CHECK(cse(test::map_text(
              params,
              "    %0 = load i32 a[i0]\n    %1 = load i32 a[i0]\n    %2 = add i32 %0, %1\n"
              "    store o[i0], %2\n")) ==
          test::map_text(
              params, "    %0 = load i32 a[i0]\n    %1 = add i32 %0, %0\n    store o[i0], %1\n"));
    // o may be the same memory as a.
    const std::string stored =
        test::map_text(params,
                       "    %0 = load i32 a[i0]\n    store o[i0], %0\n    %1 = load i32 a[i0]\n"
                       "    %2 = add i32 %0, %1\n    store o[i0], %2\n");
    CHECK(cse(stored) == stored);
}

TEST_CASE("cse: comparisons and commutative operations have one form", "[codegen][cse]") {
    const std::string params = "a: in i32[1], o: inout i32[1]";
    CHECK(cse(test::map_text(
              params,
              "    %0 = load i32 a[i0]\n    %1 = load i32 o[i0]\n    %2 = gt bool %1, %0\n"
              "    %3 = lt bool %0, %1\n    %4 = logical_and bool %2, %3\n"
              "    %5 = add i32 %0, %1\n    %6 = add i32 %1, %0\n    %7 = mul i32 %5, %6\n"
              "    %8 = select i32 %4, %7, %0\n    store o[i0], %8\n")) ==
          test::map_text(
              params,
              "    %0 = load i32 a[i0]\n    %1 = load i32 o[i0]\n    %2 = lt bool %0, %1\n"
              "    %3 = logical_and bool %2, %2\n    %4 = add i32 %0, %1\n"
              "    %5 = mul i32 %4, %4\n    %6 = select i32 %3, %5, %0\n    store o[i0], %6\n"));
    // Of 3 < %0 and 3 > %0 too.
    CHECK(cse(test::map_text(
              params,
              "    %0 = load i32 a[i0]\n    %1 = gt bool i32(3), %0\n    %2 = lt bool i32(3), %0\n"
              "    %3 = logical_or bool %1, %2\n    %4 = select i32 %3, %0, i32(1)\n"
              "    store o[i0], %4\n")) ==
          test::map_text(
              params,
              "    %0 = load i32 a[i0]\n    %1 = lt bool %0, i32(3)\n    %2 = gt bool %0, i32(3)\n"
              "    %3 = logical_or bool %1, %2\n    %4 = select i32 %3, %0, i32(1)\n"
              "    store o[i0], %4\n"));
    // Constants stay to the right; a - b is not b - a.
    const std::string kept = test::map_text(
        params,
        "    %0 = load i32 a[i0]\n    %1 = load i32 o[i0]\n    %2 = gt bool %0, i32(3)\n"
        "    %3 = sub i32 %1, %0\n    %4 = sub i32 %0, %1\n    %5 = select i32 %2, %3, %4\n"
        "    store o[i0], %5\n");
    CHECK(cse(kept) == kept);
}

TEST_CASE("cse: a read gives what was written", "[codegen][cse]") {
    CHECK(cse(map("    %0 = load i32 a[i0]\n    write s, %0\n    %1 = read i32 s\n    store o[i0], "
                  "%1\n")) ==
          "kernel k(a: in i32[1], o: inout i32[1]) {\n  stage [extent(a, 0)] {\n    %0 = load i32 "
          "a[i0]\n"
          "    store o[i0], %0\n  }\n}\n");
}

TEST_CASE("cse: a read after a branch or loop that may write is kept", "[codegen][cse]") {
    const std::string branch =
        map("    %0 = load i32 a[i0]\n    write s, %0\n    %1 = lt bool %0, i32(0)\n    if %1 {\n"
            "      write s, i32(0)\n    }\n    %2 = read i32 s\n    store o[i0], %2\n");
    CHECK(cse(branch) == branch);
    const std::string loop = map(
        "    write s, i32(0)\n    for %0 = i64(0) to i64(4) step i64(1) {\n      %1 = read i32 s\n"
        "      %2 = add i32 %1, i32(3)\n      write s, %2\n    }\n    %3 = read i32 s\n"
        "    store o[i0], %3\n");
    CHECK(cse(loop) == loop);
    const std::string condition =
        map("    write s, i32(0)\n    while {\n      %0 = read i32 s\n      %1 = lt bool %0, "
            "i32(9)\n    } %1 {\n"
            "      %2 = read i32 s\n      %3 = add i32 %2, i32(3)\n      write s, %3\n    }\n"
            "    %4 = read i32 s\n    store o[i0], %4\n");
    CHECK(cse(condition) == condition);
}

TEST_CASE("cse: a value of one branch does not serve the other or what follows", "[codegen][cse]") {
    const std::string text =
        map("    %0 = lt bool i0, i64(3)\n    if %0 {\n      %1 = load i32 a[i0]\n      write s, "
            "%1\n    } else {\n"
            "      %2 = load i32 a[i0]\n      %3 = neg i32 %2\n      write s, %3\n    }\n"
            "    %4 = load i32 a[i0]\n    %5 = read i32 s\n    %6 = add i32 %4, %5\n    store "
            "o[i0], %6\n");
    CHECK(cse(text) == text);
}

TEST_CASE("cse: what a slot held before a stage says nothing of it in or after the stage",
          "[codegen][cse]") {
    const std::string text =
        "kernel k(a: in i32[1], o: out i32) reduce {\n  slot s: i32\n  stage [] {\n    write s, "
        "i32(0)\n"
        "  }\n  stage [extent(a, 0)] sum -> s {\n    %0 = load i32 a[i0]\n    contribute 0, %0\n"
        "  }\n  stage [] {\n    %1 = read i32 s\n    store o, %1\n  }\n}\n";
    CHECK(cse(text) == text);
}

namespace {

/// One element, an array that the kernel makes, two slots.
std::string program(const std::string& body) {
    return ir::print(test::kernel(
        "kernel k(a: inout i32[1], x: value i32, o: out i32, t: local i32[1]) program {\n"
        "  slot s: i32\n  slot ring: i32[4]\n  stage [] {\n" +
        body + "  }\n}\n"));
}

/// As a program prints that cse leaves as it is.
void check_kept(const std::string& body) {
    const std::string text = program(body);
    CHECK(ir::print(test::run(codegen::run_cse, test::kernel(text))) == text);
}

const std::string load_before = "%0 = load i32 a[i64(1)]\n";
const std::string load_after = "%9 = load i32 a[i64(1)]\n%10 = add i32 %0, %9\nstore o, %10\n";
const std::string write_before = "write s, x\n", read_after = "%9 = read i32 s\nstore o, %9\n";
const std::string condition = "%1 = lt bool x, i32(3)\n";

}  // namespace

TEST_CASE("cse: whatever writes to an array ends what loads have found", "[codegen][cse]") {
    for (const char* write : {"store a[i64(2)], x\n", "%2 = atomic sum i32 a[i64(2)], x\n",
                              "assign a, x\n", "allocate t[i64(4)]\n"}) {
        INFO(write);
        const std::string w = write, seen = load_before + condition;
        check_kept(load_before + w + load_after);
        check_kept(seen + "if %1 {\n" + w + "}\n" + load_after);
        check_kept(seen + "if %1 {\nstore o, x\n} else {\n" + w + "}\n" + load_after);
        check_kept(seen + "if %1 {\nif %1 {\n" + w + "}\n}\n" + load_after);
        check_kept(seen + "if %1 {\nif %1 {\nwrite s, x\n} else {\n" + w + "}\n}\n" + load_after);
        const std::string loop = "for %3 = i64(0) to i64(5) step i64(1) {\n";
        check_kept(load_before + loop + w + "}\n" + load_after);
        const std::string inner = "for %5 = i64(0) to i64(5) step i64(1) {\n";
        check_kept(load_before + loop + inner + w + "}\n}\n" + load_after);
        // Of the iteration before.
        check_kept(load_before + loop + "%4 = load i32 a[i64(1)]\nwrite s, %4\n" + w + "}\n" +
                   read_after);
        check_kept(load_before + "while {\n" + condition + "} %1 {\n" + w + "}\n" + load_after);
        check_kept(load_before + "while {\n" + w + condition + "} %1 {\nwrite s, x\n}\n" +
                   load_after);
    }
}

TEST_CASE("cse: loads and reads of other elements stay", "[codegen][cse]") {
    check_kept(load_before + "%1 = load i32 a[i64(2)]\n%2 = add i32 %0, %1\nstore o, %2\n");
    check_kept("write ring[i64(1)], x\n%0 = read i32 ring[i64(2)]\nstore o, %0\n");
    check_kept("write s, i32(7)\n%0 = read i32 ring[i64(2)]\nstore o, %0\n");
    // The first slot is no first parameter.
    const std::string text =
        "kernel k(x: in i32, o: out i32) program {\n  slot s: i32\n  stage [] {\n    write s, "
        "i32(3)\n"
        "    %0 = load i32 x\n    store o, %0\n  }\n}\n";
    CHECK(ir::print(test::run(codegen::run_cse, test::kernel(text))) == text);
}

TEST_CASE("cse: a read gives what was written last, on every path", "[codegen][cse]") {
    CHECK(
        ir::print(test::run(codegen::run_cse,
                            test::kernel(program("write s, x\nwrite s, i32(7)\n" + read_after)))) ==
        program("write s, x\nwrite s, i32(7)\nstore o, i32(7)\n"));
    check_kept(write_before + condition + "if %1 {\nwrite s, i32(7)\n}\n" + read_after);
    check_kept(write_before + condition + "if %1 {\nstore o, x\n} else {\nwrite s, i32(7)\n}\n" +
               read_after);
    // Of one arm for the other.
    check_kept(condition + "if %1 {\nwrite s, i32(7)\n} else {\n" + read_after + "}\n");
    // A loop may run any number of times.
    check_kept(write_before + "for %3 = i64(0) to i64(5) step i64(1) {\nwrite s, i32(7)\n}\n" +
               read_after);
    check_kept(write_before + "while {\nwrite s, i32(7)\n" + condition + "} %1 {\nstore o, x\n}\n" +
               read_after);
    check_kept(write_before + "while {\n" + condition + "} %1 {\nwrite s, i32(7)\n}\n" +
               read_after);
}
