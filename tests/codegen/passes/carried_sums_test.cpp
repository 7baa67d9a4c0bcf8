// Sums that carry what their additions round off: which loops', in which variables, and that what is
// summed stays the same. How good the sums are is for tests/jit/reduce/sums_test.cpp.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/oracle/interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace kiln;

namespace {

/// r0 and r1 are totals, whose order is free; s is a variable of the user's.
std::string program(const std::string& body) {
    return "kernel t(x: in f64[1] unit, y: out f64[1] unit, n: value i64) program {\n"
           "  slot r0: f64\n  slot r1: f32\n  slot s: f64\n  slot i: i64\n  stage [] {\n" +
           body + "  }\n}\n";
}
/// A while loop over the elements of x, of which %3 is the one whose turn it is, and %2 its index.
std::string over_x(const std::string& body) {
    return program(
        "write i, i64(0)\nwrite s, f64(2)\nwrite r0, f64(1)\nwrite r1, f32(1)\n"
        "while {\n%0 = read i64 i\n%1 = lt bool %0, n\n} %1 {\n"
        "%2 = read i64 i\n%3 = load f64 x[%2]\n" +
        body +
        "%90 = add i64 %2, i64(1)\nwrite i, %90\n}\n"
        "%91 = read f64 r0\nstore y[i64(0)], %91\n"
        "%92 = read f32 r1\n%93 = cast f64 %92\nstore y[i64(1)], %93\n");
}
/// A loop over the elements of x, with a loop inside of it, `k` being its index.
std::string rows(const std::string& before, const std::string& inner, const std::string& behind) {
    return program("for %0 = i64(0) to n step i64(1) {\n" + before +
                   "for %40 = i64(0) to i64(40) step i64(1) {\n" + inner + "}\n" + behind + "}\n");
}

ir::Kernel carried(const std::string& text,
                   const codegen::PassOptions& options = {.noalias = true}) {
    return test::run(codegen::run_carried_sums, test::kernel(text), options);
}

/// What the kernel stores to y.
std::vector<double> results(const ir::Kernel& kernel, std::vector<double> x) {
    std::vector<double> y(std::max<std::size_t>(2, x.size()), 0);
    const std::vector<oracle::Argument> arguments{
        oracle::Argument::of(x), oracle::Argument::of(y),
        oracle::Argument::value(Scalar::of(static_cast<std::int64_t>(x.size())))};
    REQUIRE_FALSE(oracle::interpret(kernel, arguments));
    return y;
}
const std::vector<double> small_integers{3, 1, 4, 1, 5, 9, 2, 6};

std::size_t count(const ir::Kernel& kernel, std::string_view word) {
    const std::string text = ir::print(kernel);
    std::size_t found = 0;
    for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++found;
    return found;
}
/// Variables that the pass made.
std::vector<std::string> made(const ir::Kernel& kernel) {
    std::vector<std::string> names;
    for (std::size_t s = 4; s < kernel.slots.size(); ++s)
        names.push_back(kernel.slots[s].name + ": " + std::string(name(kernel.slots[s].dtype)));
    return names;
}
using Names = std::vector<std::string>;

/// That the sums are carried, and sums of small integers, which round nothing, the same.
void is_carried(const std::string& text, const Names& variables) {
    INFO(text);
    const ir::Kernel after = carried(text);
    CHECK(made(after) == variables);
    CHECK(results(after, small_integers) == results(test::kernel(text), small_integers));
}
void stays(const std::string& text, const codegen::PassOptions& options = {.noalias = true}) {
    INFO(text);
    const ir::Kernel after = carried(text, options);
    CHECK(made(after).empty());
    CHECK(results(after, small_integers) == results(test::kernel(text), small_integers));
}

const std::string add_x = "%4 = read f64 r0\n%5 = add f64 %4, %3 fast(reassoc)\nwrite r0, %5\n";

}  // namespace

TEST_CASE("carried sums: of while loops", "[codegen][carried_sums]") {
    is_carried(over_x(add_x), {"sum4: f64", "lost4: f64"});
    // f32 in f64, which loses nothing
    is_carried(over_x("%4 = read f32 r1\n%5 = cast f32 %3\n%6 = add f32 %5, %4 fast(reassoc)\n"
                      "write r1, %6\n"),
               {"sum4: f64"});
    is_carried(over_x("%4 = read f64 r0\n%5 = sub f64 %4, %3 fast(reassoc)\nwrite r0, %5\n"),
               {"sum4: f64", "lost4: f64"});
    // Not free in their order: of a variable of the user's, and without the flag.
    stays(
        over_x("%4 = read f64 s\n%5 = add f64 %4, %3 fast(reassoc)\nwrite s, %5\n"
               "store y[%2], %5\n"));
    stays(over_x("%4 = read f64 r0\n%5 = add f64 %4, %3\nwrite r0, %5\n"));
}

TEST_CASE("carried sums: several terms, in their order", "[codegen][carried_sums]") {
    const std::string terms =
        "%4 = read f64 r0\n%5 = read f64 s\n%6 = add f64 %5, %4 fast(reassoc)\n"
        "%7 = sub f64 %6, %3 fast(reassoc)\nwrite r0, %7\n"
        "%8 = add f64 %3, %7 fast(reassoc)\n%9 = add f64 %8, %3 fast(reassoc)\nwrite r0, %9\n";
    is_carried(over_x(terms), {"sum4: f64", "lost4: f64"});
    // s goes first: without it 1e30 would take what is small along.
    const std::string text = ir::print(carried(over_x(terms)));
    const std::size_t first = text.find("= read f64 s\n"), negative = text.find("= neg f64");
    REQUIRE(first != text.npos);
    REQUIRE(negative != text.npos);
    const std::size_t adds_s = text.find("write sum4", text.find("while"));
    CHECK(adds_s < negative);
    is_carried(over_x("%4 = lt bool %3, f64(3)\nif %4 {\n%5 = read f64 r0\n"
                      "%6 = add f64 %5, %3 fast(reassoc)\nwrite r0, %6\n} else {\n"
                      "%7 = read f64 r0\n%8 = sub f64 %7, f64(1) fast(reassoc)\nwrite r0, %8\n}\n"),
               {"sum4: f64", "lost4: f64"});
}

TEST_CASE("carried sums: what is no sum of the variable as it is then", "[codegen][carried_sums]") {
    // What a branch has added is forgotten.
    stays(over_x(add_x + "%6 = lt bool %3, f64(3)\nif %6 {\n%7 = read f64 r0\n"
                         "%8 = add f64 %7, f64(100) fast(reassoc)\nwrite r0, %8\n}\n"
                         "%9 = add f64 %5, f64(1) fast(reassoc)\nwrite r0, %9\n"));
    // Each turn of the inner loop begins with what there was before it.
    stays(
        over_x("%4 = read f64 r0\nfor %5 = i64(0) to i64(3) step i64(1) {\n"
               "%6 = add f64 %4, %3 fast(reassoc)\nwrite r0, %6\n}\n"));
    // A value that was read before another write.
    stays(
        over_x("%4 = read f64 r0\n%5 = add f64 %4, %3 fast(reassoc)\nwrite r0, %5\n"
               "%6 = add f64 %4, f64(7) fast(reassoc)\nwrite r0, %6\n"));
}

TEST_CASE("carried sums: loops inside of loops that carry", "[codegen][carried_sums]") {
    const std::string while_inside =
        "write s, f64(3)\nwhile {\n%10 = read f64 s\n%11 = gt bool %10, f64(0)\n} %11 {\n"
        "%12 = read f64 s\n%13 = sub f64 %12, f64(1)\nwrite s, %13\n"
        "%14 = read f64 r0\n%15 = add f64 %14, %3 fast(reassoc)\nwrite r0, %15\n}\n";
    is_carried(over_x(while_inside), {"sum4: f64", "lost4: f64"});  // those of the outer one
    // A counted loop sums apart, and what it has is one term.
    const auto counted = [](const std::string& body) {
        return over_x("for %20 = i64(0) to i64(3) step i64(1) {\n" + body + "}\n");
    };
    is_carried(counted(add_x), {"sum4: f64", "lost4: f64", "r6: f64"});
    is_carried(counted("for %21 = i64(0) to i64(2) step i64(1) {\n" + add_x + "}\n"),
               {"sum4: f64", "lost4: f64", "r6: f64"});
}

TEST_CASE("carried sums: loops inside of lanes", "[codegen][carried_sums]") {
    const std::string begin =
                          "write r0, f64(0)\nwrite r1, f32(0)\n%3 = load f64 x[%0]\n"
                          "%5 = exp f64 %3\n",
                      f64 =
                          "%41 = cast f64 %40\n%42 = mul f64 %41, %3\n%43 = read f64 r0\n"
                          "%44 = add f64 %43, %42 fast(reassoc)\nwrite r0, %44\n",
                      f32 =
                          "%41 = cast f32 %40\n%42 = cast f32 %3\n%43 = mul f32 %42, %41\n"
                          "%44 = read f32 r1\n%45 = add f32 %44, %43 fast(reassoc)\nwrite r1, "
                          "%45\n",
                      end = "%50 = read f64 r0\nstore y[%0], %50\n",
                      end_f32 = "%50 = read f32 r1\n%51 = cast f64 %50\nstore y[%0], %51\n";
    is_carried(rows(begin, f64, end), {"sum4: f64", "lost4: f64"});
    is_carried(rows(begin, f32, end_f32), {"sum4: f32", "lost4: f32"});
    // Only f32 adds what was lost to the next term, which is waited for.
    CHECK(count(carried(rows(begin, f64, end)), "= select") == 1);
    CHECK(count(carried(rows(begin, f32, end_f32)), "= select") == 2);
    // No lanes: arrays overlap, or are checked; the inner loop loads elements.
    stays(rows(begin, f64, end), {});
    stays(rows(begin, f64, end), {.checked = true, .noalias = true});
    const std::string loads =
        "%41 = load f64 x[i64(1)]\n%43 = read f64 r0\n"
        "%44 = add f64 %43, %41 fast(reassoc)\nwrite r0, %44\n";
    stays(rows(begin, loads, end));
    // Lanes end with their loop.
    const std::string first = rows("write r0, f64(0)\n%3 = load f64 x[%0]\n", f64, end);
    const std::string behind =
        "for %60 = i64(0) to n step i64(1) {\nwrite r1, f32(0)\n"
        "for %61 = i64(0) to i64(40) step i64(1) {\n%62 = load f64 x[i64(1)]\n"
        "%63 = cast f32 %62\n%64 = read f32 r1\n%65 = add f32 %64, %63 fast(reassoc)\n"
        "write r1, %65\n}\n%66 = read f32 r1\n%67 = cast f64 %66\nstore y[%60], %67\n}\n";
    const std::size_t at = first.rfind("  }\n}\n");
    is_carried(first.substr(0, at) + behind + first.substr(at), {"sum4: f64", "lost4: f64"});
}

TEST_CASE("carried sums: infinities and NaN lose nothing", "[codegen][carried_sums]") {
    const double inf = std::numeric_limits<double>::infinity();
    const auto of = [&](const std::string& text, std::vector<double> x) {
        return results(carried(text), std::move(x));
    };
    CHECK(of(over_x(add_x), {1, inf, 2, 3})[0] == inf);
    CHECK(of(over_x(add_x), {1, -inf, 2})[0] == -inf);
    CHECK(std::isnan(of(over_x(add_x), {1, inf, -inf, 2})[0]));
    const std::string inner =
        "%41 = eq bool %40, i64(3)\n%42 = cast f32 %3\n%43 = select f32 %41, %42, f32(1)\n"
        "%44 = read f32 r1\n%45 = add f32 %44, %43 fast(reassoc)\nwrite r1, %45\n";
    const std::string text = rows("write r1, f32(0)\n%3 = load f64 x[%0]\n", inner,
                                  "%50 = read f32 r1\n%51 = cast f64 %50\nstore y[%0], %51\n");
    CHECK(made(carried(text)) == Names{"sum4: f32", "lost4: f32"});
    CHECK(of(text, {inf, -inf, 5}) == std::vector<double>{inf, -inf, 44});
}

TEST_CASE("carried sums: what is rounded off is not lost", "[codegen][carried_sums]") {
    // 1 + 2^53, 1 at a time, and back: additions alone would leave 0.
    const double large = 0x1p53;
    CHECK(results(carried(over_x(add_x)), {large, 1, 1, 1, -large})[0] == 4);
    CHECK(results(test::kernel(over_x(add_x)), {large, 1, 1, 1, -large})[0] == 0);
}
