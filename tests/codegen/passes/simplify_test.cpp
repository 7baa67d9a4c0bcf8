// Every rule of simplify_rules.cpp where it must fire, and beside it where it must not.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include <vector>

using namespace kiln;

namespace {

/// What becomes of `statements` on loads %0 = a[i], %1 = b[i] of `type`, the last of which is
/// stored to an output of dtype `out`: the statements that remain after the loads, "; " between
/// them.
std::string simplified(const std::string& type, const std::string& out,
                       const std::string& statements, const std::string& last) {
    std::string text = "kernel k(a: in " + type + "[1], b: in " + type + "[1], o: out " + out +
                       "[1]) {\n  stage [extent(o, 0)] {\n    %0 = load " + type +
                       " a[i0]\n    %1 = load " + type + " b[i0]\n" + statements +
                       "    store o[i0], " + last + "\n  }\n}\n";
    const ir::Kernel k =
        test::run(codegen::run_dce, test::run(codegen::run_simplify, test::kernel(text)));
    const std::string printed = ir::print(k, {.locations = false});
    std::string result;
    for (std::size_t at = printed.find('\n', printed.find("stage")); at != printed.npos;) {
        const std::size_t end = printed.find('\n', at + 1);
        std::string line = printed.substr(at + 1, end - at - 1);
        at = end;
        line.erase(0, line.find_first_not_of(' '));
        if (line == "}") break;
        if (line.find("= load") != line.npos) continue;
        result += (result.empty() ? "" : "; ") + line;
    }
    return result;
}

struct Case {
    std::string type, out, statement, result;
};

/// `statement` is the right-hand side of %2; b stands for %1 so that dce keeps its load second.
void check(const std::vector<Case>& cases) {
    for (const Case& c : cases) {
        INFO(c.type << ": " << c.statement);
        CHECK(simplified(c.type, c.out, "    %2 = " + c.statement + "\n", "%2") == c.result);
    }
}

const std::string kept(const std::string& statement) {
    return "%2 = " + statement + "; store p2[i0], %2";
}
const std::string kept1(const std::string& statement) {
    return "%1 = " + statement + "; store p2[i0], %1";
}
const std::string a = "store p2[i0], %0";

}  // namespace

TEST_CASE("simplify: sums", "[codegen][simplify]") {
    check({
        {"i32", "i32", "add i32 %0, i32(0)", a},
        {"i32", "i32", "add i32 i32(0), %0", a},
        {"i32", "i32", "add i32 %0, i32(1)", kept1("add i32 %0, i32(1)")},
        {"f32", "f32", "add f32 %0, f32(-0)", a},
        {"f32", "f32", "add f32 %0, f32(0)", kept1("add f32 %0, f32(0)")},  // -0 + 0 is 0
        {"f32", "f32", "add f32 %0, f32(0) fast(nsz)", a},
        {"f32", "f32", "add f32 %0, f32(0) fast(nnan)", kept1("add f32 %0, f32(0) fast(nnan)")},
        {"bool", "bool", "add bool %0, bool(false)", a},
        {"bool", "bool", "add bool %0, %0", a},
        {"bool", "bool", "add bool %0, %1", kept("add bool %0, %1")},
        {"f64", "f64", "sub f64 %0, f64(0)", a},
        {"f64", "f64", "sub f64 %0, f64(-0)", kept1("sub f64 %0, f64(-0)")},  // -0 - -0 is 0
        {"f64", "f64", "sub f64 %0, f64(-0) fast(nsz)", a},
        {"u8", "u8", "sub u8 %0, u8(0)", a},
        {"i64", "i64", "sub i64 %0, %0", "store p2[i0], i64(0)"},
        {"f32", "f32", "sub f32 %0, %0", kept1("sub f32 %0, %0")},  // inf - inf is NaN
        {"f32", "f32", "sub f32 %0, %0 fast(nnan)", "store p2[i0], f32(0)"},
        {"i32", "i32", "sub i32 i32(0), %0", kept1("neg i32 %0")},
        {"f32", "f32", "sub f32 f32(0), %0", kept1("sub f32 f32(0), %0")},  // 0 - 0 is 0, -0 is not
        {"f32", "f32", "sub f32 f32(-0), %0", kept1("neg f32 %0")},
    });
    CHECK(simplified("f32", "f32", "    %2 = neg f32 %0\n    %3 = neg f32 %2\n", "%3") == a);
}

TEST_CASE("simplify: products", "[codegen][simplify]") {
    check({
        {"f32", "f32", "mul f32 %0, f32(1)", a},
        {"u16", "u16", "mul u16 u16(1), %0", a},
        {"i32", "i32", "mul i32 %0, i32(-1)", kept1("neg i32 %0")},
        {"f32", "f32", "mul f32 %0, f32(-1)", kept1("neg f32 %0")},
        {"i32", "i32", "mul i32 %0, i32(0)", "store p2[i0], i32(0)"},
        {"f32", "f32", "mul f32 %0, f32(0)", kept1("mul f32 %0, f32(0)")},  // inf, NaN, -1
        {"f32", "f32", "mul f32 %0, f32(0) fast(nnan)", kept1("mul f32 %0, f32(0) fast(nnan)")},
        {"f32", "f32", "mul f32 %0, f32(0) fast(nnan,nsz)", "store p2[i0], f32(0)"},
        {"bool", "bool", "mul bool %0, bool(true)", a},
        {"bool", "bool", "mul bool %0, bool(false)", kept1("mul bool %0, bool(false)")},
    });
}

TEST_CASE("simplify: quotients", "[codegen][simplify]") {
    check({
        {"i32", "i32", "div i32 %0, i32(1)", a},
        {"f32", "f32", "div f32 %0, f32(1)", a},
        {"f32", "f32", "true_divide f32 %0, f32(1)", a},
        {"f32", "f32", "div f32 %0, f32(4)", kept1("mul f32 %0, f32(0.25)")},
        {"f64", "f64", "true_divide f64 %0, f64(-0.5)", kept1("mul f64 %0, f64(-2)")},
        {"f32", "f32", "div f32 %0, f32(3)", kept1("div f32 %0, f32(3)")},  // 1/3 is rounded
        {"f32", "f32", "div f32 %0, f32(inf)", kept1("div f32 %0, f32(inf)")},
        {"f32", "f32", "div f32 %0, f32(0)", kept1("div f32 %0, f32(0)")},
        {"i32", "i32", "div i32 %0, i32(4)", kept1("div i32 %0, i32(4)")},  // truncates
        {"i32", "i32", "floor_divide i32 %0, i32(1)", a},
        {"i32", "i32", "floor_divide i32 %0, i32(8)", kept1("shr i32 %0, i32(3)")},
        {"i32", "i32", "floor_divide i32 %0, i32(-8)", kept1("floor_divide i32 %0, i32(-8)")},
        {"i32", "i32", "floor_divide i32 %0, i32(6)", kept1("floor_divide i32 %0, i32(6)")},
        {"i32", "i32", "mod i32 %0, i32(8)", kept1("bit_and i32 %0, i32(7)")},
        {"i32", "i32", "mod i32 %0, i32(1)", "store p2[i0], i32(0)"},
        {"i32", "i32", "mod i32 %0, i32(6)", kept1("mod i32 %0, i32(6)")},
        {"i32", "i32", "rem i32 %0, i32(1)", "store p2[i0], i32(0)"},
        {"i32", "i32", "rem i32 %0, i32(8)", kept1("rem i32 %0, i32(8)")},  // sign of the dividend
        {"u32", "u32", "rem u32 %0, u32(8)", kept1("bit_and u32 %0, u32(7)")},
        {"f32", "f32", "mod f32 %0, f32(1)", kept1("mod f32 %0, f32(1)")},
    });
    CHECK(simplified("f32", "f32", "    %2 = div f32 %0, f32(3) fast(arcp)\n", "%2") ==
          kept1("mul f32 %0, f32(0.33333334) fast(arcp)"));
}

TEST_CASE("simplify: bits and shifts", "[codegen][simplify]") {
    check({
        {"i32", "i32", "bit_and i32 %0, i32(0)", "store p2[i0], i32(0)"},
        {"i32", "i32", "bit_and i32 %0, i32(-1)", a},
        {"i32", "i32", "bit_and i32 %0, %0", a},
        {"i32", "i32", "bit_and i32 %0, i32(1)", kept1("bit_and i32 %0, i32(1)")},
        {"bool", "bool", "bit_and bool %0, bool(true)", a},
        {"i32", "i32", "bit_or i32 %0, i32(0)", a},
        {"i32", "i32", "bit_or i32 %0, %0", a},
        {"bool", "bool", "bit_or bool %0, bool(true)", "store p2[i0], bool(true)"},
        {"u8", "u8", "bit_xor u8 %0, u8(0)", a},
        {"u8", "u8", "bit_xor u8 %0, %0", "store p2[i0], u8(0)"},
        {"u8", "u8", "bit_xor u8 %0, %1", kept("bit_xor u8 %0, %1")},
        {"i8", "i8", "shl i8 %0, i8(0)", a},
        {"i8", "i8", "shl i8 i8(0), %0", "store p2[i0], i8(0)"},
        {"i8", "i8", "shr i8 %0, i8(0)", a},
        {"i8", "i8", "shr i8 i8(-1), %0", kept1("shr i8 i8(-1), %0")},
        {"i8", "i8", "shl i8 %0, i8(1)", kept1("shl i8 %0, i8(1)")},
    });
    CHECK(simplified("i32", "i32", "    %2 = bit_not i32 %0\n    %3 = bit_not i32 %2\n", "%3") ==
          a);
}

TEST_CASE("simplify: logic and comparisons", "[codegen][simplify]") {
    const std::string yes = "store p2[i0], bool(true)", no = "store p2[i0], bool(false)";
    check({
        {"bool", "bool", "logical_and bool %0, bool(true)", a},
        {"bool", "bool", "logical_and bool %0, bool(false)", no},
        {"bool", "bool", "logical_or bool %0, bool(false)", a},
        {"bool", "bool", "logical_or bool %0, bool(true)", yes},
        {"bool", "bool", "logical_or bool %0, %0", a},
        {"bool", "bool", "logical_xor bool %0, bool(false)", a},
        {"bool", "bool", "logical_xor bool %0, bool(true)", kept1("logical_not bool %0")},
        {"bool", "bool", "ne bool %0, bool(false)", a},
        {"bool", "bool", "eq bool %0, bool(true)", a},
        {"bool", "bool", "eq bool %0, bool(false)", kept1("logical_not bool %0")},
        {"i32", "bool", "eq bool %0, %0", yes},
        {"f32", "bool", "eq bool %0, %0", kept1("eq bool %0, %0")},  // false for NaN
        {"i32", "bool", "ne bool %0, %0", no},
        {"f32", "bool", "ne bool %0, %0 fast(nnan)", kept1("ne bool %0, %0 fast(nnan)")},
        {"i32", "bool", "le bool %0, %0", yes},
        {"f32", "bool", "le bool %0, %0", kept1("le bool %0, %0")},
        {"f32", "bool", "lt bool %0, %0", no},
        {"u32", "bool", "ge bool %0, u32(0)", yes},
        {"i32", "bool", "ge bool %0, i32(0)", kept1("ge bool %0, i32(0)")},
        {"u32", "bool", "lt bool %0, u32(0)", no},
        {"i32", "i32", "select i32 bool(true), %0, %1", a},
        {"i32", "i32", "select i32 bool(false), %1, %0", a},
    });
    const auto two = [](const std::string& type, const std::string& first,
                        const std::string& second, const std::string& out = "bool") {
        return simplified(type, out, "    %2 = " + first + "\n    %3 = " + second + "\n", "%3");
    };
    CHECK(two("bool", "logical_not bool %0", "logical_not bool %2") == a);
    CHECK(two("i32", "lt bool %0, %1", "logical_not bool %2") == kept("ge bool %0, %1"));
    CHECK(two("f32", "eq bool %0, %1", "logical_not bool %2") == kept("ne bool %0, %1"));
    CHECK(two("f32", "lt bool %0, %1", "logical_not bool %2") ==
          "%2 = lt bool %0, %1; %3 = logical_not bool %2; store p2[i0], %3");  // NaN
    CHECK(two("i32", "lt bool %0, %1", "select i32 %2, %0, %0", "i32") == a);
    CHECK(two("i32", "lt bool %0, %1", "select bool %2, bool(true), bool(false)") ==
          kept("lt bool %0, %1"));
    CHECK(two("i32", "lt bool %0, %1", "select bool %2, bool(false), bool(true)") ==
          kept("ge bool %0, %1"));
    CHECK(simplified("bool", "bool",
                     "    %2 = logical_not bool %0\n    %3 = select bool %2, %0, %1\n",
                     "%3") == kept("select bool %0, %1, %0"));
}

TEST_CASE("simplify: magnitudes, rounding and powers", "[codegen][simplify]") {
    check({
        {"f32", "f32", "minimum f32 %0, %0", a},
        {"f32", "f32", "fmax f32 %0, %0", a},
        {"f32", "f32", "maximum f32 %0, f32(0)", kept1("maximum f32 %0, f32(0)")},
        {"u8", "u8", "abs u8 %0", a},
        {"i8", "i8", "abs i8 %0", kept1("abs i8 %0")},
        {"f32", "f32", "pow f32 %0, f32(0)", "store p2[i0], f32(1)"},
        {"f32", "f32", "pow f32 %0, f32(1)", a},
        {"f32", "f32", "pow f32 %0, f32(2)", kept1("mul f32 %0, %0")},
        {"i32", "i32", "pow i32 %0, i32(2)", kept1("mul i32 %0, %0")},
        {"f32", "f32", "pow f32 %0, f32(-1)", kept1("true_divide f32 f32(1), %0")},
        {"i32", "i32", "pow i32 %0, i32(-1)", kept1("pow i32 %0, i32(-1)")},
        {"f32", "f32", "pow f32 f32(1), %0", "store p2[i0], f32(1)"},
        {"f32", "f32", "pow f32 %0, f32(3)", kept1("pow f32 %0, f32(3)")},
        {"f32", "f32", "pow f32 %0, f32(0.5)", kept1("pow f32 %0, f32(0.5)")},  // -0, -inf
        {"f32", "f32", "pow f32 %0, f32(0.5) fast(ninf,nsz)", kept1("sqrt f32 %0 fast(ninf,nsz)")},
    });
    const auto two = [](const std::string& first, const std::string& second) {
        return simplified("f32", "f32", "    %2 = " + first + "\n    %3 = " + second + "\n", "%3");
    };
    CHECK(two("abs f32 %0", "abs f32 %2") == kept1("abs f32 %0"));
    CHECK(two("neg f32 %0", "abs f32 %2") == kept1("abs f32 %0"));
    CHECK(two("floor f32 %0", "rint f32 %2") == kept1("floor f32 %0"));
    CHECK(two("abs f32 %0", "floor f32 %2") ==
          "%1 = abs f32 %0; %2 = floor f32 %1; store p2[i0], %2");
}

TEST_CASE("simplify: casts that lose nothing are skipped", "[codegen][simplify]") {
    const auto chain = [](const std::string& from, const std::string& middle,
                          const std::string& to) {
        return simplified(from, to,
                          "    %2 = cast " + middle + " %0\n    %3 = cast " + to + " %2\n", "%3");
    };
    const auto direct = [](const std::string& to) { return kept1("cast " + to + " %0"); };
    const auto both = [](const std::string& middle, const std::string& to) {
        return "%1 = cast " + middle + " %0; %2 = cast " + to + " %1; store p2[i0], %2";
    };
    CHECK(chain("i8", "i32", "i8") == a);
    CHECK(chain("i8", "i32", "i16") == direct("i16"));
    CHECK(chain("i64", "i32", "i8") == direct("i8"));
    CHECK(chain("i64", "i8", "i32") == both("i8", "i32"));
    CHECK(chain("u8", "i16", "u32") == direct("u32"));
    CHECK(chain("i32", "f64", "f32") == direct("f32"));
    CHECK(chain("i32", "f32", "f64") == both("f32", "f64"));  // 2^24 + 1
    CHECK(chain("i64", "f64", "f32") == both("f64", "f32"));  // rounds twice
    CHECK(chain("i32", "f64", "i8") == both("f64", "i8"));    // saturates where i32 -> i8 wraps
    CHECK(chain("i32", "f64", "i32") == a);
    CHECK(chain("f32", "f64", "f32") == a);
    CHECK(chain("f32", "f64", "i8") == direct("i8"));
    CHECK(chain("f64", "f32", "f64") == both("f32", "f64"));
    CHECK(chain("f16", "f32", "f16") == a);
    CHECK(chain("f16", "f32", "bf16") == both("f32", "bf16"));  // 16-bit floats meet in f32
    CHECK(chain("i8", "f32", "f16") == both("f32", "f16"));
    CHECK(chain("bool", "i32", "f64") == direct("f64"));
    CHECK(chain("i32", "bool", "i32") == both("bool", "i32"));
}

TEST_CASE("simplify: constants fold, elementary functions of constants do not",
          "[codegen][simplify]") {
    check({
        {"i8", "i8", "add i8 i8(100), i8(100)", "store p2[i0], i8(-56)"},
        {"i32", "i32", "div i32 i32(7), i32(0)", "store p2[i0], i32(0)"},
        {"i32", "i32", "floor_divide i32 i32(-7), i32(2)", "store p2[i0], i32(-4)"},
        {"i32", "i32", "shl i32 i32(1), i32(32)", "store p2[i0], i32(0)"},
        {"f32", "f32", "sqrt f32 f32(2)", "store p2[i0], f32(1.4142135)"},
        {"f32", "f32", "mul f32 f32(0.1), f32(3)", "store p2[i0], f32(0.3)"},
        {"f64", "f64", "sin f64 f64(1)", "%0 = sin f64 f64(1); store p2[i0], %0"},
        {"i32", "i32", "pow i32 i32(3), i32(4)", "store p2[i0], i32(81)"},
        {"f32", "bool", "lt bool f32(nan), f32(1)", "store p2[i0], bool(false)"},
        {"f32", "bool", "ne bool f32(nan), f32(nan)", "store p2[i0], bool(true)"},
    });
}

TEST_CASE("simplify: branches on constants, empty loops and checks that hold",
          "[codegen][simplify]") {
    const auto after = [](const std::string& body) {
        return ir::print(
            test::run(codegen::run_simplify, test::kernel(test::map_text("o: out i32[1]", body))));
    };
    const auto text = [](const std::string& body) {
        return ir::print(test::kernel(test::map_text("o: out i32[1]", body)));
    };
    CHECK(after("    if bool(true) {\n      store o[i0], i32(1)\n    } else {\n      store o[i0], "
                "i32(2)\n    }\n") == text("    store o[i0], i32(1)\n"));
    CHECK(after("    if bool(false) {\n      store o[i0], i32(1)\n    } else {\n      store o[i0], "
                "i32(2)\n    }\n") == text("    store o[i0], i32(2)\n"));
    CHECK(after("    if bool(false) {\n      store o[i0], i32(1)\n    }\n") == text(""));
    // A jump stays where it is: code after it must not follow it in one block.
    const std::string jump = "    if bool(true) {\n      return\n    }\n    store o[i0], i32(1)\n";
    CHECK(after(jump) == text(jump));
    CHECK(
        after("    for %0 = i64(5) to i64(5) step i64(1) {\n      store o[i0], i32(1)\n    }\n") ==
        text(""));
    CHECK(
        after("    for %0 = i64(0) to i64(5) step i64(-1) {\n      store o[i0], i32(1)\n    }\n") ==
        text(""));
    const std::string runs =
        "    for %0 = i64(5) to i64(0) step i64(-1) {\n      store o[i0], i32(1)\n    }\n";
    CHECK(after(runs) == text(runs));
    CHECK(after("    check division_by_zero, bool(true)\n") == text(""));
}
