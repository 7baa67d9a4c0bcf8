// Which serial loops become parallel ones: a loop that does, and beside it those that differ from it in
// one condition and stay as they are.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include "codegen/passes/pass.h"
#include "dsl/ir/text.h"

#include <sstream>
#include <vector>

using namespace kiln;

namespace {

/// Shared loops are parallel, others are plain ones.
struct Outcome {
    std::string text;
    std::vector<std::string> remarks;
};

Outcome shared(const std::string& body, bool threads = true) {
    const std::string text =
        "kernel t(x: in f64[1] unit, z: out f64[1] unit, n: value i64) program {\n  slot s: f64\n  "
        "stage [] {\n" +
        body + "  }\n}\n";
    codegen::PassContext context;
    context.options.threads = threads;
    const ir::Kernel after = codegen::run_share(ir::parse(text), context);
    Outcome outcome{ir::print(after, {.locations = false}), {}};
    for (const Remark& r : context.decisions.remarks()) outcome.remarks.push_back(r.text);
    return outcome;
}

std::string loop(const std::string& body, const std::string& head = "i64(0) to n step i64(1)") {
    return "    for %0 = " + head + " shareable {\n      %1 = load f64 x[%0]\n" + body + "    }\n";
}

bool is_parallel(const Outcome& o) { return o.text.find("parallel") != std::string::npos; }
/// Of each loop, in order.
std::vector<bool> which_are_parallel(const Outcome& o) {
    std::vector<bool> all;
    std::istringstream lines(o.text);
    for (std::string line; std::getline(lines, line);)
        if (line.find("for %") != std::string::npos)
            all.push_back(line.find(" parallel automatic 0 {") != std::string::npos);
    return all;
}
bool is_settled(const Outcome& o) { return o.text.find("shareable") == std::string::npos; }

const std::string store = "      store z[%0], %1\n";

}  // namespace

TEST_CASE("share: iterations that do not depend on each other", "[codegen][share]") {
    const Outcome o = shared(loop(store));
    CHECK(which_are_parallel(o) == std::vector{true});
    CHECK(o.remarks == std::vector<std::string>{
                           "as a prange: no iteration depends on another one, so threads may take "
                           "them"});
    // Variables of the iteration.
    CHECK(is_parallel(
        shared(loop("      write s, %1\n      %2 = read f64 s\n      store z[%0], %2\n"))));
    // continue_ ends an iteration, not the loop.
    CHECK(is_parallel(shared(loop(
        store + "      %2 = eq bool %1, f64(0)\n      if %2 {\n        continue\n      }\n"))));
}

TEST_CASE("share: conditions", "[codegen][share]") {
    const auto why = [](const std::string& body, bool threads = true) {
        const Outcome o = shared(body, threads);
        CHECK_FALSE(is_parallel(o));
        CHECK(is_settled(o));
        return o.remarks.empty() ? std::string() : o.remarks.back();
    };
    CHECK(why(loop(store), false).empty());
    CHECK(why(loop("      store z[i64(0)], %1\n")) ==
          "not as a prange: two iterations may touch one element, z(0) of the kernel");
    CHECK(
        why(loop(
            "      %2 = load f64 z[%0]\n      %3 = add i64 %0, i64(1)\n      store z[%3], %2\n")) ==
        "not as a prange: two iterations may touch one element, z(i+1) of the kernel and z(i) of "
        "the kernel");
    // A sum stays in the order that was written.
    CHECK(why("    write s, f64(0)\n" +
              loop("      %2 = read f64 s\n      %3 = add f64 %2, %1\n      write s, %3\n") +
              "    %9 = read f64 s\n    store z[i64(0)], %9\n")
              .starts_with("not as a prange: iterations change s (f64) one after the other"));
    CHECK(why(loop(store +
                   "      %2 = eq bool %1, f64(0)\n      if %2 {\n        break\n      }\n")) ==
          "not as a prange: an iteration may end the loop");
    CHECK(why(loop(store +
                   "      %2 = eq bool %1, f64(0)\n      if %2 {\n        return\n      }\n")) ==
          "not as a prange: an iteration may end the loop");
    CHECK(why(loop("      %2 = atomic sum f64 z[%0], %1\n")) ==
          "not as a prange: iterations do more than to compute, load and store");
    // Few iterations, of which the number is known, are unrolled.
    CHECK(why(loop(store, "i64(0) to i64(63) step i64(1)")).empty());
    CHECK(is_parallel(shared(loop(store, "i64(0) to i64(64) step i64(1)"))));
}

TEST_CASE("share: loops in loops", "[codegen][share]") {
    // Of a loop that stays serial those inside of it are looked at; within a parallel one all are serial.
    const std::string inner =
        "      for %5 = i64(0) to n step i64(1) shareable {\n        store z[%5], %1\n      }\n";
    const Outcome row = shared(loop(inner));
    CHECK(is_settled(row));
    CHECK(which_are_parallel(row) == std::vector{false, false});
    CHECK(row.remarks.back() ==
          "not as a prange: one row at a time, of a loop that stays serial, is too little work");
    std::string rows_inside = inner;
    rows_inside.insert(rows_inside.find("        store"),
                       "        for %6 = i64(0) to n step i64(1) {\n          %7 = load f64 x[%6]\n"
                       "        }\n");
    const Outcome steps = shared(loop(rows_inside));
    CHECK(is_settled(steps));
    CHECK(which_are_parallel(steps) == std::vector{false, true, false});
    const Outcome rows =
        shared(loop("      %4 = mul i64 %0, n\n      for %5 = i64(0) to n step i64(1) shareable {\n"
                    "        %6 = add i64 %4, %5\n        store z[%6], %1\n      }\n"));
    CHECK(is_settled(rows));
    CHECK(which_are_parallel(rows) == std::vector{true, false});
    CHECK(rows.remarks.size() == 1);
    const Outcome within = shared(
        "    for %0 = i64(0) to n step i64(1) parallel automatic 0 {\n      %1 = load f64 x[%0]\n"
        "      for %5 = i64(0) to n step i64(1) shareable {\n        %2 = add i64 %0, i64(0)\n     "
        " }\n"
        "      store z[%0], %1\n    }\n");
    CHECK(is_settled(within));
    CHECK(within.remarks.empty());
    const Outcome around = shared(loop(
        "      for %5 = i64(0) to n step i64(1) parallel automatic 0 {\n        store z[%5], %1\n"
        "      }\n"));
    CHECK(which_are_parallel(around) == std::vector{false, true});
    CHECK(around.remarks.empty());
}
