#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

constexpr const char* params = "a: in f32[1], o: out bool[1]";

struct Result {
    std::string text;
    std::vector<Remark> remarks;
};
Result strict_nan(const std::string& params, const std::string& body) {
    codegen::PassContext context;
    const ir::Kernel after =
        codegen::run_strict_nan(test::kernel(test::map_text(params, body)), context);
    REQUIRE(ir::verify(after).empty());
    return {ir::print(after), context.decisions.remarks()};
}

std::string remark(const std::string& what, const std::string& flags) {
    return what + " stays strict although " + flags +
           " set: the values that it depends on keep their NaN and infinities";
}

}  // namespace

TEST_CASE("strict_nan: what isnan depends on loses nnan and ninf, other flags stay",
          "[codegen][strict_nan]") {
    const auto r = strict_nan(params,
                              "    %0 = load f32 a[i0]\n"
                              "    %1 = sub f32 %0, %0 fast(nnan,nsz,arcp)\n"
                              "    %2 = isnan bool %1 fast(nnan,ninf,reassoc)  ; user.cpp:7\n"
                              "    store o[i0], %2\n");
    CHECK(r.text == test::map_text(params,
                                   "    %0 = load f32 a[i0]\n"
                                   "    %1 = sub f32 %0, %0 fast(nsz,arcp)\n"
                                   "    %2 = isnan bool %1 fast(reassoc)  ; user.cpp:7\n"
                                   "    store o[i0], %2\n"));
    REQUIRE(r.remarks.size() == 1);
    CHECK(r.remarks[0] == Remark{"user.cpp", 7, remark("isnan", "nnan is")});
}

TEST_CASE("strict_nan: through variables and both sides of a branch", "[codegen][strict_nan]") {
    const std::string slots =
        "kernel k(a: in f32[1], o: out bool[1]) {\n  slot s: f32\n"
        "  stage [extent(a, 0)] {\n";
    const auto body = [&](const std::string& flag) {
        return slots + "    %0 = load f32 a[i0]\n    %1 = mul f32 %0, %0" + flag +
               "\n    write s, %1\n    %2 = lt bool %0, f32(0)\n    if %2 {\n"
               "      %3 = neg f32 %1" +
               flag +
               "\n      write s, %3\n    }\n"
               "    %4 = read f32 s\n    %5 = read f32 s\n    %6 = ne bool %4, %5" +
               flag + "\n    store o[i0], %6\n  }\n}\n";
    };
    codegen::PassContext context;
    const ir::Kernel after = codegen::run_strict_nan(test::kernel(body(" fast(nnan)")), context);
    CHECK(ir::print(after) == body(""));
    REQUIRE(context.decisions.remarks().size() == 1);
    CHECK(context.decisions.remarks()[0].text == remark("x != x", "nnan is"));
}

TEST_CASE("strict_nan: each predicate names the flags that it contradicts",
          "[codegen][strict_nan]") {
    const auto of = [](const std::string& op, const std::string& flags) {
        const auto r = strict_nan(
            params, "    %0 = load f32 a[i0]\n    %1 = " + op + flags + "\n    store o[i0], %1\n");
        CHECK(r.text.find("nnan") == std::string::npos);
        CHECK(r.text.find("ninf") == std::string::npos);
        return r.remarks.empty() ? "" : r.remarks[0].text;
    };
    CHECK(of("isnan bool %0", " fast(nnan)") == remark("isnan", "nnan is"));
    CHECK(of("isnan bool %0", " fast(ninf)") == "");
    CHECK(of("isnan bool %0", "") == "");
    CHECK(of("isinf bool %0", " fast(ninf)") == remark("isinf", "ninf is"));
    CHECK(of("isinf bool %0", " fast(nnan)") == "");
    CHECK(of("isfinite bool %0", " fast(ninf)") == remark("isfinite", "ninf is"));
    CHECK(of("isfinite bool %0", " fast(nnan,ninf)") == remark("isfinite", "nnan and ninf are"));
    CHECK(of("eq bool %0, %0", " fast(nnan,ninf)") == remark("x == x", "nnan is"));
    CHECK(of("ne bool %0, %0", " fast(nnan,ninf)") == remark("x != x", "nnan is"));
}

TEST_CASE("strict_nan: comparisons of different values and integers stay",
          "[codegen][strict_nan]") {
    const std::string body =
        "    %0 = load f32 a[i0]\n    %1 = ne bool %0, f32(1) fast(nnan)\n"
        "    store o[i0], %1\n";
    const auto r = strict_nan(params, body);
    CHECK(r.text == test::map_text(params, body));
    CHECK(r.remarks.empty());
    // A write between two reads makes them different values.
    const std::string written =
        "kernel k(a: in f32[1], o: out bool[1]) {\n  slot s: f32\n  stage [extent(a, 0)] {\n"
        "    %0 = load f32 a[i0]\n    write s, %0\n    %1 = read f32 s\n    write s, f32(2)\n"
        "    %2 = read f32 s\n    %3 = eq bool %1, %2 fast(nnan)\n    store o[i0], %3\n  }\n}\n";
    codegen::PassContext context;
    CHECK(ir::print(codegen::run_strict_nan(test::kernel(written), context)) == written);
    CHECK(context.decisions.remarks().empty());
    const std::string integers =
        "    %0 = load i32 a[i0]\n    %1 = ne bool %0, %0 fast(nnan)\n"
        "    store o[i0], %1\n";
    CHECK(strict_nan("a: in i32[1], o: out bool[1]", integers).remarks.empty());
}

TEST_CASE("strict_nan: without it simplify would fold the predicate", "[codegen][strict_nan]") {
    const std::string text = ir::print(test::all_passes(
        test::kernel(test::map_text(params,
                                    "    %0 = load f32 a[i0]\n    %1 = sub f32 %0, %0 fast(nnan)\n"
                                    "    %2 = isnan bool %1 fast(nnan)\n    store o[i0], %2\n"))));
    CHECK(text.find("isnan bool") != std::string::npos);
}

TEST_CASE("strict_nan: values that are not the same keep their flags", "[codegen][strict_nan]") {
    const std::string two = "a: in f32[1], b: inout f32[1], o: out bool[1]";
    const auto keeps = [&](const std::string& body) {
        const std::string text = test::printed(test::map_text(two, body));
        CHECK(strict_nan(two, body).text == text);
    };
    // Another operation, of other operands; elements that may have been stored to between.
    keeps(
        "%0 = load f32 a[i0]\n%1 = load f32 b[i0]\n%2 = add f32 %0, %1 fast(nnan)\n"
        "%3 = sub f32 %0, %1 fast(nnan)\n%4 = ne bool %2, %3 fast(nnan)\nstore o[i0], %4\n");
    keeps(
        "%0 = load f32 a[i0]\n%1 = load f32 b[i0]\n%2 = add f32 %0, %1 fast(nnan)\n"
        "%3 = add f32 %1, %1 fast(nnan)\n%4 = ne bool %2, %3 fast(nnan)\nstore o[i0], %4\n");
    keeps(
        "%0 = load f32 b[i0]\nstore b[i0], f32(1)\n%1 = load f32 b[i0]\n"
        "%2 = ne bool %0, %1 fast(nnan)\nstore o[i0], %2\n");
}

TEST_CASE("strict_nan: other variables keep their flags", "[codegen][strict_nan]") {
    const std::string text = test::printed(
        "kernel k(a: in f32[1], o: out bool[1]) {\n  slot s: f32\n  slot t: f32\n"
        "  stage [extent(a, 0)] {\n%0 = load f32 a[i0]\n%1 = add f32 %0, %0 fast(nnan)\nwrite s, "
        "%1\n"
        "write t, %0\n%2 = read f32 s\n%3 = read f32 t\n%4 = ne bool %2, %3 fast(nnan)\n"
        "store o[i0], %4\n}\n}\n");
    CHECK(ir::print(test::run(codegen::run_strict_nan, test::kernel(text))) == text);
}

TEST_CASE("strict_nan: predicates in arms, conditions, and before what they test is written",
          "[codegen][strict_nan]") {
    const auto after = [](const std::string& body) {
        return ir::print(test::run(
            codegen::run_strict_nan,
            test::kernel("kernel k(a: in f32[1], z: in c64[1], o: inout bool[1]) {\n  slot s: f32\n"
                         "  stage [extent(a, 0)] {\n%0 = load f32 a[i0]\n"
                         "%1 = sub f32 %0, %0 fast(nnan)\n%2 = isnan bool %0\n" +
                         body + "}\n}\n")));
    };
    for (const std::string body :
         {"if %2 {\nstore o[i0], %2\n} else {\n%3 = isnan bool %1\nstore o[i0], %3\n}\n",
          "while {\n%3 = isnan bool %1\n} %3 {\nstore o[i0], %2\n}\n",
          "while {\n} %2 {\n%3 = isnan bool %1\nstore o[i0], %3\n}\n",
          "for %3 = i64(0) to i64(9) step i64(1) {\n%4 = read f32 s\n%5 = isnan bool %4\n"
          "store o[i0], %5\nwrite s, %1\n}\n"}) {
        INFO(body);
        CHECK(after(body).find("fast") == std::string::npos);
    }
    CHECK(after("%3 = load c64 z[i0]\n%4 = add c64 %3, %3 fast(nnan)\n%5 = isnan bool %4\n"
                "store o[i0], %5\n")
              .find("add c64 %3, %3\n") != std::string::npos);
}
