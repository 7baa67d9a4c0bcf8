// What moves out of loops, what stays, and what is said of it.
#include "tests/catch.h"

#include "codegen/passes/pass.h"
#include "dsl/ir/text.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/support.h"

#include <cmath>

using namespace kiln;
using namespace kiln::test;

namespace {

/// The stage's body after the pass.
std::string after(const std::string& body) {
    const std::string head =
        "kernel (p0: in f64[1] unit, p1: inout f64[1] unit, p2: value f64, p3: value i64) program "
        "{\n";
    const std::string slots = "  slot v0: f64\n  stage [] {\n";
    const ir::Kernel kernel = ir::parse(head + slots + body + "  }\n}\n");
    REQUIRE(ir::verify(kernel).empty());
    codegen::PassContext context;
    const ir::Kernel made = codegen::run_licm(kernel, context);
    REQUIRE(ir::verify(made).empty());
    const std::string text = ir::print(made, {.locations = false});
    const std::size_t start = text.find("  stage [] {\n") + 13;
    return text.substr(start, text.rfind("  }\n}\n") - start);
}

TEST_CASE("licm: golden: a chain moves before its loop, loads and reads stay", "[codegen][licm]") {
    CHECK(after("    for %0 = i64(0) to p3 step i64(1) parallel automatic 0 {\n"
                "      %1 = exp f64 p2\n"
                "      %2 = mul f64 %1, f64(3)\n"
                "      %3 = load f64 p0[%0]\n"
                "      %4 = load f64 p0[i64(0)]\n"
                "      %5 = read f64 v0\n"
                "      %6 = mul f64 %3, %2\n"
                "      %7 = add f64 %6, %4\n"
                "      %8 = add f64 %7, %5\n"
                "      store p1[%0], %8\n"
                "    }\n") ==
          "    %0 = exp f64 p2\n"
          "    %1 = mul f64 %0, f64(3)\n"
          "    for %2 = i64(0) to p3 step i64(1) parallel automatic 0 {\n"
          "      %3 = load f64 p0[%2]\n"
          "      %4 = load f64 p0[i64(0)]\n"
          "      %5 = read f64 v0\n"
          "      %6 = mul f64 %3, %1\n"
          "      %7 = add f64 %6, %4\n"
          "      %8 = add f64 %7, %5\n"
          "      store p1[%2], %8\n"
          "    }\n");
}

TEST_CASE("licm: golden: out of several loops, as far as the operands allow", "[codegen][licm]") {
    CHECK(after("    for %0 = i64(0) to p3 step i64(1) {\n"
                "      for %1 = i64(0) to p3 step i64(1) {\n"
                "        %2 = sqrt f64 p2\n"
                "        %3 = mul i64 %0, p3\n"
                "        %4 = add i64 %3, %1\n"
                "        store p1[%4], %2\n"
                "      }\n"
                "    }\n") ==
          "    %0 = sqrt f64 p2\n"
          "    for %1 = i64(0) to p3 step i64(1) {\n"
          "      %2 = mul i64 %1, p3\n"
          "      for %3 = i64(0) to p3 step i64(1) {\n"
          "        %4 = add i64 %2, %3\n"
          "        store p1[%4], %0\n"
          "      }\n"
          "    }\n");
}

TEST_CASE("licm: golden: what only some iterations compute stays, loops in arms do not keep it",
          "[codegen][licm]") {
    CHECK(
        after("    for %0 = i64(0) to p3 step i64(1) {\n"
              "      %1 = lt bool %0, i64(3)\n"
              "      if %1 {\n"
              "        %2 = exp f64 p2\n"
              "        store p1[%0], %2\n"
              "        for %3 = i64(0) to p3 step i64(1) {\n"
              "          %4 = log f64 p2\n"
              "          store p1[%3], %4\n"
              "        }\n"
              "      }\n"
              "    }\n")
            .find(
                "if %1 {\n        %2 = exp f64 p2\n        store p1[%0], %2\n        %3 = log f64 "
                "p2\n        for %4") != std::string::npos);
}

TEST_CASE("licm: golden: while loops, conditions included", "[codegen][licm]") {
    CHECK(after("    while {\n"
                "      %0 = read f64 v0\n"
                "      %1 = cos f64 p2\n"
                "      %2 = lt bool %0, %1\n"
                "    } %2 {\n"
                "      %3 = add f64 p2, f64(1)\n"
                "      write v0, %3\n"
                "    }\n") ==
          "    %0 = cos f64 p2\n"
          "    %1 = add f64 p2, f64(1)\n"
          "    while {\n"
          "      %2 = read f64 v0\n"
          "      %3 = lt bool %2, %0\n"
          "    } %3 {\n"
          "      write v0, %1\n"
          "    }\n");
}

TEST_CASE("licm: results stay, and diagnostics say what moved", "[codegen][licm]") {
    unsigned line = 0;
    const auto f = jit("scaled",
                       [&](In x, Out y, Value c) {
                           line = __LINE__ + 1;
                           for (Index i : prange(x.extent(0))) {
                               const Value factor = exp(c);
                               y(i) = x(i) * factor;
                           }
                       },
                       {.parallel = true});
    const Array x = arange(1000.0), y = empty({1000});
    f(x, y, 0.5);
    // The same bits as where each iteration computes it.
    const auto each = vectorize([](Value a, Value c) { return a * exp(c); });
    CHECK(values(y) == values(each(x, 0.5)));
    f(zeros({0}), zeros({0}), 0.5);
    const std::string head = "scaled: 1 parallel loops found, 1 left\n";
    const std::string at = "licm_test.cpp:" + std::to_string(line);
    CHECK(f.parallel_diagnostics(0) == head);
    CHECK(f.parallel_diagnostics(1) == head);
    CHECK(f.parallel_diagnostics(2) == head + "  licm_test.cpp:" + std::to_string(line + 1) +
                                           ": hoisted: exp out of the parallel loop at " + at +
                                           "\n");
    const std::string json = f.parallel_diagnostics(2, DiagnosticsFormat::json);
    CHECK(json.find("\"remarks\": [], \"hoisted\": [{\"file\": ") != std::string::npos);
    CHECK(json.find("\"line\": " + std::to_string(line + 1) +
                    ", \"text\": \"hoisted: exp out of the parallel loop at " + at + "\"}]}") !=
          std::string::npos);
    CHECK(f.parallel_diagnostics(1, DiagnosticsFormat::json).find("hoisted") == std::string::npos);
}

TEST_CASE("licm: in checked mode a division stays where it may be a fault", "[codegen][licm]") {
    const auto divide = [](bool checked) {
        return jit(
            [](InOut y, Value a, Value b) {
                for (Index i : prange(y.extent(0))) y(i) += a / b;
            },
            {.checked = checked});
    };
    std::vector<std::int64_t> none, some{5};
    CHECK_NOTHROW(divide(true)(none, std::int64_t(7), std::int64_t(0)));
    CHECK(error_of([&] { divide(true)(some, std::int64_t(7), std::int64_t(0)); }).message() ==
          "integer division by zero in iteration 0");
    CHECK_NOTHROW(divide(false)(none, std::int64_t(7), std::int64_t(0)));
    divide(false)(some, std::int64_t(7), std::int64_t(2));
    CHECK(some[0] == 8);
}

TEST_CASE("licm: what the body of a while loop computes from itself stays", "[codegen][licm]") {
    const std::string body =
        "    while {\n"
        "      %0 = read f64 v0\n"
        "      %1 = lt bool %0, p2\n"
        "    } %1 {\n"
        "      %2 = load f64 p0[i64(0)]\n"
        "      %3 = add f64 %2, f64(1)\n"
        "      write v0, %3\n"
        "    }\n";
    CHECK(after(body) == body);
}

TEST_CASE("licm: whole arrays, and extents of arrays that the loop makes, stay",
          "[codegen][licm]") {
    const auto kept = [](const std::string& body) {
        const std::string text = test::printed(
            "kernel k(a: in f64[1], b: inout f64[1], t: local f64[1], n: value i64) program {\n  "
            "stage [] "
            "{\n" +
            body + "  }\n}\n");
        CHECK(test::after(codegen::run_licm, text) == text);
    };
    kept(
        "%0 = whole f64[1] a\nfor %1 = i64(0) to n step i64(1) {\n%2 = mul f64[1] %0, f64(2)\n"
        "assign b, %2\n}\n");
    kept(
        "for %1 = i64(0) to n step i64(1) {\nallocate t[%1]\n%2 = sub i64 extent(t, 0), i64(1)\n"
        "store b[%2], f64(1)\n}\n");
}

TEST_CASE("licm: not in checked mode", "[codegen][licm]") {
    const std::string text =
        "kernel k(b: inout i64[1], n: value i64) program {\n  stage [] {\n"
        "for %1 = i64(0) to n step i64(1) {\n%2 = mul i64 n, n\n"
        "store b[%1], %2\n}\n}\n}\n";
    CHECK(test::fires("licm", text, {}));
    CHECK(!test::fires("licm", text, {.checked = true}));
}

}  // namespace
