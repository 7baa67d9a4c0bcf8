// The order of nested loops: what is changed, and what must not be. tests/jit/loops has results.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

/// The subscripts that the loops of the kernel end up as, outermost first, by the parameter whose
/// extent they run to: "a0 a1".
std::string loops_after(const std::string& text) {
    std::string found;
    const std::string printed = test::after(codegen::run_interchange, text);
    for (std::size_t at = printed.find("extent("); at != std::string::npos;
         at = printed.find("extent(", at + 1)) {
        const std::size_t comma = printed.find(", ", at);
        found += (found.empty() ? "" : " ") + printed.substr(at + 7, comma - at - 7) +
                 printed.substr(comma + 2, 1);
    }
    return found;
}

std::string nest(const std::string& order, const std::string& body,
                 const std::string& parallel = "") {
    std::string text =
        "kernel t(a: inout f64[2] unit, b: in f64[2] unit) program {\n  stage [] {\n";
    for (std::size_t i = 0; i < order.size(); ++i)
        text += "for %" + std::string(1, order[i]) + " = i64(0) to extent(a, " +
                std::string(1, order[i]) + ") step i64(1) " + (i == 0 ? parallel : "") + "{\n";
    return text + body + "}\n}\n}\n}\n";
}

TEST_CASE("interchange: loops follow the axes", "[codegen][interchange]") {
    const std::string body =
        "%5 = load f64 a[%0, %1]\n%6 = load f64 b[%0, %1]\n%7 = add f64 %5, %6\n"
        "store a[%0, %1], %7\n";
    CHECK(loops_after(nest("10", body)) == "a0 a1");
    CHECK(loops_after(nest("01", body)) == "a0 a1");
    CHECK(loops_after(nest("10", body, "parallel automatic 0 ")) == "a0 a1");
    const std::string shifted =
        "%4 = add i64 %1, i64(1)\n%6 = load f64 b[%0, %4]\nstore a[%0, %1], %6\n";
    CHECK(loops_after(nest("10", shifted)) == "a0 a1");
}

TEST_CASE("interchange: refused where the order matters", "[codegen][interchange]") {
    // Another element of the same array is read.
    CHECK(loops_after(nest("10",
                           "%4 = add i64 %1, i64(1)\n%6 = load f64 a[%0, %4]\n"
                           "store a[%0, %1], %6\n")) == "a1 a0");
    // Several iterations write one element, in an order of two loops.
    CHECK(loops_after(nest("10", "%6 = load f64 b[%0, %1]\nstore a[i64(0), i64(0)], %6\n")) ==
          "a1 a0");
    // A subscript of both indices.
    CHECK(loops_after(nest("10",
                           "%4 = add i64 %0, %1\n%6 = load f64 b[%0, %1]\n"
                           "store a[%0, %4], %6\n")) == "a1 a0");
    // A jump out of the inner loop.
    CHECK(loops_after(nest("10",
                           "%6 = load f64 b[%0, %1]\nstore a[%0, %1], %6\n"
                           "%7 = lt bool %6, f64(0)\nif %7 {\nbreak\n}\n")) == "a1 a0");
    // Atomic accesses.
    CHECK(loops_after(nest("10", "%6 = load f64 b[%0, %1]\n%7 = atomic sum f64 a[%0, %1], %6\n")) ==
          "a1 a0");
}

TEST_CASE("interchange: one loop without a subscript keeps its order", "[codegen][interchange]") {
    const std::string text =
        "kernel t(c: inout f64[2] unit, a: in f64[2] unit, b: in f64[2] unit) program {\n  stage "
        "[] {\n"
        "for %0 = i64(0) to extent(c, 0) step i64(1) {\n"
        "for %1 = i64(0) to extent(c, 1) step i64(1) {\n"
        "for %2 = i64(0) to extent(a, 1) step i64(1) {\n"
        "%3 = load f64 c[%0, %1]\n%4 = load f64 a[%0, %2]\n%5 = load f64 b[%2, %1]\n"
        "%6 = mul f64 %4, %5\n%7 = add f64 %3, %6\nstore c[%0, %1], %7\n"
        "}\n}\n}\n}\n}\n";
    CHECK(loops_after(text) == "c0 a1 c1");
}

TEST_CASE("interchange: bounds that depend on an outer loop stay", "[codegen][interchange]") {
    const std::string text =
        "kernel t(a: inout f64[2] unit) program {\n  stage [] {\n"
        "for %1 = i64(0) to extent(a, 1) step i64(1) {\n"
        "for %0 = %1 to extent(a, 0) step i64(1) {\n"
        "store a[%0, %1], f64(1)\n"
        "}\n}\n}\n}\n";
    CHECK(loops_after(text) == "a1 a0");
}

void check_kept(const std::string& text) {
    CHECK(test::after(codegen::run_interchange, text) == test::printed(text));
}

/// Columns of a outside, rows inside, and what stands around and in them; `s` is a variable.
std::string columns(const std::string& between, const std::string& body,
                    const std::string& after = "", const std::string& parallel = "",
                    const std::string& inner_parallel = "", const std::string& layout = "unit") {
    return "kernel t(a: inout f64[2] " + layout +
           ", b: in f64[2] unit, c: inout f64[1] unit, n: value i64) program {\n  slot s: f64\n  "
           "stage [] "
           "{\n"
           "write s, f64(0)\nfor %1 = i64(0) to extent(a, 1) step i64(1) " +
           parallel + "{\n" + between + "for %0 = i64(0) to extent(a, 0) step i64(1) " +
           inner_parallel + "{\n" + body + "}\n}\n" + after + "}\n}\n";
}

const std::string copy = "%6 = load f64 b[%0, %1]\nstore a[%0, %1], %6\n";

TEST_CASE("interchange: between the heads there are pure operations only",
          "[codegen][interchange]") {
    CHECK(loops_after(columns("", copy)) == "a0 a1");
    CHECK(loops_after(columns("%4 = add i64 %1, i64(0)\n", copy)) == "a0 a1");
    check_kept(columns("store c[%1], f64(1)\n", copy));
    check_kept(columns("write s, f64(1)\n", copy));
    check_kept(columns("%4 = load f64 c[%1]\n", "store a[%0, %1], %4\n"));
    check_kept(columns("", copy, "", "", "parallel automatic 0 "));
    // Two inner loops; one with a bound from between the heads, and from further outside of it.
    check_kept(columns("for %2 = i64(0) to n step i64(1) {\nstore c[%2], f64(1)\n}\n", copy));
    const auto with_bound = [&](const std::string& between) {
        std::string text = columns(between, copy);
        text.replace(text.find("extent(a, 0)"), 12, "%4");
        return text;
    };
    check_kept(with_bound("%4 = sub i64 n, i64(1)\n"));
    std::string deep = with_bound("%4 = sub i64 n, i64(1)\nfor %2 = i64(0) to n step i64(1) {\n");
    deep.insert(deep.rfind("}\n}\n"), "}\n");
    // The inner two are a nest of their own, in which %2 has no subscript.
    std::string swapped = deep;
    swapped.replace(swapped.find("%2 = i64(0) to n"), 16, "%0 = i64(0) to %4");
    swapped.replace(swapped.rfind("%0 = i64(0) to %4"), 17, "%2 = i64(0) to n");
    CHECK(test::after(codegen::run_interchange, deep) == test::printed(swapped));
}

TEST_CASE("interchange: bodies in which the order matters", "[codegen][interchange]") {
    // Variables that live on; those of an iteration do not.
    const std::string through =
        "%6 = load f64 b[%0, %1]\nwrite s, %6\n%7 = read f64 s\n"
        "store a[%0, %1], %7\n";
    check_kept(columns("", through, "%8 = read f64 s\nstore c[i64(0)], %8\n"));
    check_kept(columns("",
                       "%6 = read f64 s\n%7 = add f64 %6, f64(1)\nwrite s, %7\n"
                       "store a[%0, %1], %7\n"));
    // Effects beside stores.
    check_kept(columns("", copy + "%7 = atomic sum f64 c[i64(0)], %6\n"));
    check_kept(columns("", copy + "%7 = lt bool %6, f64(3)\ncheck shapes, %7\n"));
    check_kept(columns("", copy + "%7 = lt bool %6, f64(3)\nif %7 {\nreturn\n}\n"));
    check_kept(columns("", copy + "for %2 = i64(0) to n step i64(1) parallel automatic 0 {\n"
                                  "store a[%0, %1], f64(1)\n}\n"));
    // 2 %0 may be no index of its own: n %0 is 0 where n is.
    check_kept(columns("", "%4 = mul i64 %0, n\nstore a[%4, %1], f64(1)\n"));
    // Rows that are not next to each other in memory.
    check_kept(columns("", copy, "", "", "", "strided"));
}

TEST_CASE("interchange: a parallel loop goes where any loop may be parallel",
          "[codegen][interchange]") {
    CHECK(loops_after(columns("", copy, "", "parallel automatic 0 ")) == "a0 a1");
    check_kept(columns("", copy + "%7 = read f64 s\n%8 = add f64 %7, %6\nwrite s, %8\n",
                       "%9 = read f64 s\nstore c[i64(0)], %9\n",
                       "parallel automatic 0 (sum -> s) "));
    // Every row stores to c: columns stay the parallel loop, block by block.
    const std::string all_rows =
        columns("", copy + "store c[%1], %6\n", "", "parallel automatic 0 ");
    const std::string blocks = test::after(codegen::run_interchange, all_rows);
    CHECK(blocks.find("to extent(a, 1) step %5 parallel automatic 0 {") != std::string::npos);
    CHECK(blocks.find("store c[%10], %11") != std::string::npos);
    // Blocks are of adjacent columns, dealt out as the pass likes.
    const auto with = [&](const std::string& other) {
        std::string text = all_rows;
        const std::string head = "step i64(1) parallel automatic 0";
        return text.replace(text.find(head), head.size(), other);
    };
    check_kept(with("step i64(2) parallel automatic 0"));
    check_kept(with("step i64(1) parallel dynamic 4"));
}

TEST_CASE("interchange: arrays that overlap, and checked mode, keep the order",
          "[codegen][interchange]") {
    const std::string text = columns("", copy);
    CHECK(test::fires("interchange", text, {.noalias = true}));
    CHECK(!test::fires("interchange", text, {.noalias = false}));
    CHECK(!test::fires("interchange", text, {.checked = true, .noalias = true}));
}

}  // namespace
