// Which loops can run as lanes: for each condition a loop that differs from a legal one in that alone.
#include "codegen/analysis/lane_loops.h"
#include "dsl/ir/walk.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;
using codegen::LaneLoop;

namespace {

struct Asked {
    std::string refusal;
    bool left_to_llvm = false;
    std::optional<LaneLoop> found;
};

/// What is found of a loop with this body.
Asked asked(std::string_view body, std::string_view head = "i64(0) to n step i64(1)") {
    const ir::Kernel k = test::kernel(
        "kernel t(x: in f64[1] unit, y: inout f64[1] unit, z: inout c128[1] unit, h: inout f16[1] "
        "unit, w: inout bool[1] unit, v: inout f64[1] unit, n: value i64) program {\n"
        "  slot s: f64\n  slot r: f64\n  slot m: c128\n  slot a: f16\n  slot b: bool\n"
        "  slot l: f64[64]\n  slot q: f16[64]\n  slot own: i64\n  stage [] {\n"
        "    write s, f64(0)\n    write r, f64(0)\n    %100 = make_complex c128 f64(0), f64(0)\n"
        "    write m, %100\n    write a, f16(0)\n    write b, bool(false)\n"
        "    write l[i64(0)], f64(0)\n    write q[i64(0)], f16(0)\n    for %0 = " +
        std::string(head) + " {\n" + std::string(body) + "    }\n  }\n}\n");
    ir::Id loop = ir::none;
    ir::walk(k, [&](ir::Id id) {
        if (loop == ir::none && k.nodes[id].kind == ir::NodeKind::loop) loop = id;
    });
    codegen::LaneRefusal why;
    Asked made;
    made.found = codegen::find_lane_loop(k, ir::SlotOwners(k), loop, false, &why);
    if (!made.found) made.refusal = why.reason;
    made.left_to_llvm = why.left_to_llvm;
    return made;
}
std::string refusal(std::string_view body, std::string_view head = "i64(0) to n step i64(1)") {
    return asked(body, head).refusal;
}
std::string with(std::string_view text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    return std::string(text.substr(0, at)).append(to).append(text.substr(at + from.size()));
}

constexpr const char
    *not_affine = "a subscript is not the loop's index times a constant plus something fixed",
    *needed = "an iteration needs the variable that the one before left",
    *different = "one variable is updated by different operations",
    *besides = "it sums into a variable and stores elements besides",
    *so_far = "what is summed so far is of use to the iteration",
    *guarded = "not every iteration loads this element, and all lanes would";

constexpr std::string_view
    element = "%1 = load f64 x[%0]\n%2 = exp f64 %1\nstore y[%0], %2\n",
    sum = "%1 = load f64 x[%0]\n%2 = read f64 s\n%3 = add f64 %2, %1 fast(reassoc)\nwrite s, %3\n",
    scan =
        "%1 = load f64 x[%0]\n%2 = read f64 s\n%3 = add f64 %2, %1 fast(reassoc)\nwrite s, %3\n"
        "store y[%0], %3\n";

}  // namespace

TEST_CASE("lane loops: subscripts", "[codegen][lane_loops]") {
    CHECK(refusal(element).empty());
    const auto at = [](std::string_view subscript) {
        return refusal(std::string(subscript) + "%10 = load f64 x[%9]\n" + std::string(element));
    };
    CHECK(at("%8 = mul i64 %0, i64(-3)\n%9 = sub i64 n, %8\n").empty());
    CHECK(at("%9 = mul i64 %0, %0\n") == not_affine);
    CHECK(at("%9 = mul i64 %0, i64(2147483648)\n").empty());
    CHECK(at("%9 = mul i64 %0, i64(2147483649)\n") == not_affine);
    CHECK(at("%8 = mul i64 %0, i64(2147483648)\n%9 = add i64 %8, %8\n") == not_affine);
    CHECK(at("%8 = mul i64 %0, i64(4)\n%9 = mul i64 %8, i64(4611686018427387904)\n") == not_affine);
    CHECK(at("write own, %0\n%9 = read i64 own\n") == not_affine);
}

TEST_CASE("lane loops: stores", "[codegen][lane_loops]") {
    CHECK(refusal(with(element, "y[%0]", "y[n]")) == "iterations may store to one element");
    CHECK(refusal(with(element, "y[%0]", "y[n]"),
                  "i64(0) to n step i64(1) parallel automatic 0 unsafe") ==
          "all iterations store to one element");
}

TEST_CASE("lane loops: elements that not every iteration gets to", "[codegen][lane_loops]") {
    const std::string test = "%11 = load f64 x[%0]\n%12 = lt bool %11, f64(0)\n";
    const std::string after = std::string(element);
    CHECK(refusal(test + "if %12 {\nwrite own, i64(1)\n}\n" + after).empty());
    CHECK(refusal(test + "if %12 {\ncontinue\n}\n" + after) == guarded);
    CHECK(
        refusal(test + "if %12 {\nstore y[%0], %11\n}\n" + "%14 = exp f64 %11\nstore v[%0], %14\n")
            .empty());
    const std::string local = "write l[%0], %11\n";
    CHECK(refusal(test + local + after).empty());
    CHECK(refusal(test + "if %12 {\n" + local + "}\n" + after) ==
          "not every iteration gets to this element of a Local");
    CHECK(refusal("%11 = load f16 h[%0]\nwrite q[%0], %11\n" + after) ==
          "elements of a Local of this dtype are taken one by one");
}

TEST_CASE("lane loops: how many iterations", "[codegen][lane_loops]") {
    constexpr const char* few = "16 iterations and fewer are unrolled";
    CHECK(refusal(element, "i64(0) to i64(16) step i64(1)") == few);
    CHECK(refusal(element, "i64(0) to i64(17) step i64(1)").empty());
    CHECK(refusal(element, "i64(100) to i64(116) step i64(1)") == few);
    CHECK(refusal(element, "i64(-10) to i64(7) step i64(1)").empty());
}

TEST_CASE("lane loops: what they accumulate", "[codegen][lane_loops]") {
    const auto also = [](std::string_view more) {
        return refusal(std::string(sum) + std::string(more));
    };
    CHECK(refusal(sum).empty());
    CHECK(also("%4 = read f64 r\n%5 = maximum f64 %4, %1\nwrite r, %5\n").empty());
    CHECK(also("store y[%0], %1\n") == besides);
    CHECK(refusal(with(sum, "add f64 %2, %1 fast(reassoc)", "div f64 %2, %1 fast(reassoc)")) ==
          different);
    CHECK(also("%4 = read f64 s\n%5 = add f64 %4, %1 fast(reassoc)\nwrite s, %5\n").empty());
    CHECK(also("%4 = read f64 s\n%5 = maximum f64 %4, %1\nwrite s, %5\n") == different);
    const std::string into_r = "%5 = read f64 r\n%6 = add f64 %5, %4 fast(reassoc)\nwrite r, %6\n";
    CHECK(also("%4 = read f64 s\n" + into_r) == needed);
    CHECK(also(with(into_r, "%4", "%2")) == needed);
    CHECK(also(with(into_r, "%4", "%3")) == so_far);
    // What the write before has left, unless a block between them writes too.
    const std::string again = "%7 = add f64 %3, %1 fast(reassoc)\nwrite s, %7\n";
    const std::string between =
        "%11 = lt bool %1, f64(0)\nif %11 {\n%4 = read f64 s\n"
        "%5 = add f64 %4, %1 fast(reassoc)\nwrite s, %5\n}\n";
    CHECK(also(again).empty());
    CHECK(also(between).empty());
    CHECK(also(between + again) == needed);
}

TEST_CASE("lane loops: running results", "[codegen][lane_loops]") {
    const auto is_scan = [](std::string_view body) {
        const Asked it = asked(body);
        return it.found && it.found->scan;
    };
    const auto but = [&](std::string_view from, std::string_view to) {
        return is_scan(with(scan, from, to));
    };
    CHECK(is_scan(scan));
    CHECK_FALSE(but("add f64 %2, %1 fast(reassoc)", "add f64 %2, %1"));
    CHECK(but("add f64 %2, %1 fast(reassoc)", "sub f64 %2, %1 fast(reassoc)"));
    CHECK_FALSE(but("add f64 %2, %1 fast(reassoc)", "div f64 %2, %1 fast(reassoc)"));
    CHECK(but("add f64 %2, %1 fast(reassoc)", "maximum f64 %2, %1"));
    CHECK(refusal(with(scan, "store y[%0], %3", "store y[%0], %1")) == besides);
    CHECK(refusal(with(scan, "store y[%0], %3", "%8 = mul f64 %3, %1\nstore y[%0], %8")) == so_far);
    CHECK(refusal(scan, "i64(0) to n step i64(1) parallel automatic 0 unsafe") == so_far);
    CHECK(refusal(with(scan, "store",
                       "%4 = read f64 r\n%5 = maximum f64 %4, %1\nwrite r, %5\nstore")) ==
          "it has running results and totals");
    // Of other dtypes.
    CHECK_FALSE(
        is_scan("%1 = load c128 z[%0]\n%2 = read c128 m\n%3 = add c128 %2, %1 fast(reassoc)\n"
                "write m, %3\nstore z[%0], %3\n"));
    CHECK_FALSE(
        is_scan("%1 = load f16 h[%0]\n%2 = read f16 a\n%3 = add f16 %2, %1 fast(reassoc)\n"
                "write a, %3\nstore h[%0], %3\n"));
    CHECK_FALSE(
        is_scan("%1 = load bool w[%0]\n%2 = read bool b\n%3 = logical_or bool %2, %1\n"
                "write b, %3\nstore w[%0], %3\n"));
    // Written, read, stored, used more than once.
    CHECK_FALSE(but("%2 = read", "write s, f64(0)\n%2 = read"));
    CHECK_FALSE(
        but("%3 = add f64 %2, %1", "%8 = read f64 s\n%9 = mul f64 %8, %1\n%3 = add f64 %2, %9"));
    CHECK_FALSE(but("store", "store v[%0], %1\nstore"));
    CHECK_FALSE(but("store", "%10 = lt bool %3, f64(0)\nif %10 {\nwrite own, i64(1)\n}\nstore"));
    CHECK_FALSE(but("%3 = add f64 %2, %1", "%9 = mul f64 %2, %1\n%3 = add f64 %2, %9"));
}

TEST_CASE("lane loops: plain maps, and what of them is LLVM's", "[codegen][lane_loops]") {
    constexpr std::string_view plain =
        "%1 = load f64 x[%0]\n%2 = mul f64 %1, f64(2)\nstore y[%0], %2\n";
    const auto is_plain = [](std::string_view body) {
        const Asked it = asked(body);
        return it.found && it.found->plain && !it.found->worth_it;
    };
    const auto left = [](std::string_view body, std::string_view head = "i64(0) to n step i64(1)") {
        const Asked it = asked(body, head);
        CHECK(it.left_to_llvm == !it.found);
        return it.refusal;
    };
    const auto also = [&](std::string_view more) {
        return left(std::string(more) + std::string(plain));
    };
    CHECK(is_plain(plain));
    CHECK_FALSE(is_plain(element));
    CHECK_FALSE(is_plain(sum));
    CHECK_FALSE(is_plain(scan));
    // One element for all iterations, beside a row of the same array too.
    CHECK(is_plain("%8 = load f64 x[n]\n%9 = load f64 v[n]\n" + std::string(plain)));
    CHECK(is_plain(with(plain, "x[%0]", "y[%0]")));
    CHECK(is_plain("store v[%0], f64(1)\n" + std::string(plain)));
    CHECK(is_plain("write own, %0\n%9 = read i64 own\n" + std::string(plain)));
    constexpr const char *apart = "its elements are not next to each other",
                         *complex = "it computes complex numbers",
                         *shared = "its iterations share elements with their neighbours";
    CHECK(left(plain, "i64(0) to n step i64(2)") == apart);
    CHECK(also("%8 = mul i64 %0, i64(2)\n%9 = load f64 x[%8]\n") == apart);
    CHECK(also("%8 = sub i64 n, %0\n%9 = load f64 v[%8]\n") == apart);
    CHECK(also("%8 = add i64 %0, i64(1)\n%9 = load f64 x[%8]\n") == shared);
    constexpr const char* sizes = "it computes with elements of several sizes";
    CHECK(also("%8 = cast f32 %0\n%9 = cast f64 %8\n") == sizes);
    CHECK(also("%9 = cast f64 %0\nstore v[%0], %9\n").empty());
    CHECK(also("store w[%0], bool(true)\n") == sizes);
    CHECK(left("%8 = load f16 h[%0]\nstore h[%0], %8\n") == sizes);
    CHECK(also("%8 = read f64 l[%0]\n") == "it touches a Local");
    CHECK(also("%8 = load c128 z[%0]\n") == complex);
    CHECK(also("%11 = lt bool %0, i64(9)\nif %11 {\nwrite own, i64(1)\n}\n") ==
          "what it does depends on conditions");
    CHECK(left(with(plain, "x[%0]", "x[%9]").insert(0, "%9 = mul i64 %0, %0\n"),
               "i64(0) to n step i64(1) parallel automatic 0 unsafe") == not_affine);
    const Asked dependent = asked("%9 = add i64 %0, i64(1)\n" + with(plain, "x[%0]", "y[%9]"));
    CHECK_FALSE(dependent.left_to_llvm);
    CHECK(dependent.refusal == "iterations may meet at this element, to which the loop stores");
}

TEST_CASE("lane loops: rows of matrices", "[codegen][lane_loops]") {
    const auto reads = [](std::string_view elements) {
        const ir::Kernel k = test::kernel(
            "kernel t(x: in f64[2] unit, u: in f64[2], y: out f64[2] unit) program {\n"
            "  stage [] {\n    for %0 = i64(1) to extent(x, 0) step i64(1) {\n"
            "      for %1 = i64(0) to extent(x, 1) step i64(1) {\n"
            "        %2 = sub i64 %0, i64(1)\n        %3 = sub i64 %1, i64(1)\n" +
            std::string(elements) +
            "        %8 = add f64 %4, %5\n        store y[%0, %1], %8\n      }\n    }\n  }\n}\n");
        ir::Id inner = ir::none;
        ir::walk(k, [&](ir::Id id) {
            if (k.nodes[id].kind == ir::NodeKind::loop) inner = id;
        });
        const auto found = codegen::find_lane_loop(k, ir::SlotOwners(k), inner);
        return found && found->plain;
    };
    const std::string row = "%4 = load f64 x[%0, %1]\n";
    CHECK(reads(row + "%5 = load f64 x[%2, %1]\n"));
    CHECK(reads(row + "%5 = load f64 x[%0, %0]\n"));
    CHECK_FALSE(reads(row + "%5 = load f64 x[%0, %3]\n"));
    CHECK_FALSE(reads(row + "%5 = load f64 x[%1, %0]\n"));
    CHECK_FALSE(reads(row + "%5 = load f64 x[%1, %1]\n"));
    CHECK_FALSE(reads(row + "%5 = load f64 u[%0, %1]\n"));
}
