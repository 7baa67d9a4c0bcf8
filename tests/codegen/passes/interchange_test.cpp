// The order of nested loops: what is changed, what must not be, and that results stay.
#include "tests/catch.h"

#include "codegen/passes/pass.h"
#include "dsl/ir/text.h"

using namespace kiln;

namespace {

/// The subscripts that the loops of the kernel end up as, outermost first, by the parameter whose
/// extent they run to: "a0 a1".
std::string loops_after(const std::string& text, bool noalias = true, bool checked = false) {
    const ir::Kernel kernel = ir::parse(text);
    REQUIRE(ir::verify(kernel).empty());
    codegen::PassContext context;
    context.options.noalias = noalias;
    context.options.checked = checked;
    const ir::Kernel after =
        noalias && !checked ? codegen::run_interchange(kernel, context) : kernel;
    REQUIRE(ir::verify(after).empty());
    std::string found;
    const std::string printed = ir::print(after);
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
    std::string text = "kernel t(a: inout f64[2] unit, b: in f64[2] unit) {\n  stage [] {\n";
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
        "kernel t(c: inout f64[2] unit, a: in f64[2] unit, b: in f64[2] unit) {\n  stage [] {\n"
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
        "kernel t(a: inout f64[2] unit) {\n  stage [] {\n"
        "for %1 = i64(0) to extent(a, 1) step i64(1) {\n"
        "for %0 = %1 to extent(a, 0) step i64(1) {\n"
        "store a[%0, %1], f64(1)\n"
        "}\n}\n}\n}\n";
    CHECK(loops_after(text) == "a1 a0");
}

}  // namespace
