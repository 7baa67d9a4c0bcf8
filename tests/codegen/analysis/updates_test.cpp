// What loops accumulate into variables, and which sums are promised a tree: for each condition a loop
// that differs from one that fits in that alone.
#include "codegen/analysis/updates.h"
#include "dsl/ir/walk.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;
using ir::Reduction;

namespace {

/// Kernel k0, which reduces y into one number.
std::string reduced(std::string_view reduction) {
    return "k0 = kernel t(y: in f32[1] unit, total: out f32 unit) reduce {\nslot v: f32\n"
           "stage [] {\nwrite v, f32(0)\n}\nstage [extent(y, 0)] " +
           std::string(reduction) +
           " -> v {\n%0 = load f32 y[i0]\ncontribute 0, %0\n}\n"
           "stage [] {\n%1 = read f32 v\nstore total, %1\n}\n}\n";
}

/// The loop is node `loop` of a kernel whose variables are s: f64, r0: f32, r1: c128, r2: i64, r3: f64[4].
struct Looped {
    ir::Kernel kernel;
    ir::Id loop = ir::none, last_write = ir::none;
};
Looped looped(std::string_view body, std::string_view head = "", std::string_view launched = "") {
    Looped made{test::kernel(
        "kernel t(x: in f64[1], y: inout f32[1], z: inout c128[1], i: in i64[1], n: value i64) "
        "program {\n"
        "  slot s: f64\n  slot r0: f32\n  slot r1: c128\n  slot r2: i64\n  slot r3: f64[4]\n"
        "  slot r4: f32\n  stage [] {\n    for %0 = i64(0) to n step i64(1)" +
        std::string(head) + " {\n%1 = load f32 y[%0]\n" + std::string(body) + "}\n  }\n" +
        std::string(launched) +
        "  c0 = kernel c(a0: value f64, b0: value f64, r0: out f64 unit) combine {\n"
        "stage [] {\nstore r0, f64(0)\n}\nstage [] {\n%0 = add f64 a0, b0 fast(reassoc)\n"
        "store r0, %0\n}\n}\n}\n")};
    ir::walk(made.kernel, [&](ir::Id id) {
        const ir::NodeKind kind = made.kernel.nodes[id].kind;
        if (kind == ir::NodeKind::loop && made.loop == ir::none) made.loop = id;
        if (kind == ir::NodeKind::write) made.last_write = id;
    });
    return made;
}
std::optional<codegen::Update> update(std::string_view body) {
    const Looped l = looped(body);
    return codegen::update_of(l.kernel, l.last_write);
}
std::vector<std::uint32_t> sums(std::string_view body, std::string_view head = "",
                                std::string_view launched = "") {
    const Looped l = looped(body, head, launched);
    return codegen::tree_sums(l.kernel, l.loop);
}
using Slots = std::vector<std::uint32_t>;

std::string of(std::string_view dtype, std::string_view array, std::string_view slot,
               std::string_view op) {
    std::string text;
    for (const std::string_view part : std::initializer_list<std::string_view>{
             "%2 = load ", dtype, " ", array, "[%0]\n%3 = read ", dtype, " ", slot, "\n%4 = ", op,
             " ", dtype, " %3, %2\nwrite ", slot, ", %4\n"})
        text += part;
    return text;
}

}  // namespace

TEST_CASE("updates: which operations, of which dtypes", "[codegen][updates]") {
    const auto is = [](std::string_view text, Reduction r, bool inverse) {
        const auto found = update(text);
        return found && found->reduction == r && found->inverse == inverse;
    };
    CHECK(is(of("c128", "z", "r1", "add"), Reduction::sum, false));
    CHECK(is(of("c128", "z", "r1", "sub"), Reduction::sum, true));
    CHECK_FALSE(update(of("c128", "z", "r1", "mul")));
    CHECK_FALSE(update(of("c128", "z", "r1", "div")));
    CHECK(is(of("f64", "x", "s", "mul"), Reduction::product, false));
    CHECK(is(of("f64", "x", "s", "div"), Reduction::product, true));
    CHECK_FALSE(update(of("i64", "i", "r2", "div")));
    CHECK_FALSE(update(of("f64", "x", "s", "fmod")));
}

TEST_CASE("updates: sums that follow a tree", "[codegen][updates]") {
    const std::string total = "%3 = read f32 r0\n%4 = add f32 %3, %1 fast(reassoc)\nwrite r0, %4\n";
    const auto but = [&](std::string_view from, std::string_view to) {
        const std::size_t at = total.find(from);
        return sums(total.substr(0, at).append(to).append(total.substr(at + from.size())));
    };
    CHECK(sums(total) == Slots{1});
    CHECK(sums(of("i64", "i", "r2", "add")).empty());
    CHECK(but("%4 = add f32 %3, %1 fast(reassoc)", "%4 = add f32 %3, %1").empty());
    // The variable, or what it is so far, in another place.
    CHECK(but("%3, %1 fast", "%3, %3 fast").empty());
    CHECK(but("add f32 %3, %1", "sub f32 %3, %1") == Slots{1});
    CHECK(but("add f32 %3, %1", "sub f32 %1, %3").empty());
    CHECK(but("write r0, %4", "write r0, %1").empty());
    CHECK(but("write r0, %4", "write r0, %4\nwrite r4, %4").empty());
    CHECK(but("write r0, %4\n", "").empty());
    CHECK(
        but("write r0, %4\n", "write r0, %4\n%5 = sub f32 %1, %4 fast(reassoc)\nstore y[%0], %5\n")
            .empty());
    CHECK(sums("while {\n%5 = read f32 r0\n%6 = lt bool %5, f32(4)\n} %6 {\n}\n" + total).empty());
    // A sum that decides whether a loop goes on is of use to that.
    CHECK(sums("while {\n%5 = cast bool %1\n} %5 {\n}\n" + total) == Slots{1});
}

TEST_CASE("updates: sums that are promised", "[codegen][updates]") {
    const std::string sum =
        "%2 = cast f64 %1\n%3 = read f64 s\n%4 = add f64 %3, %2 fast(reassoc)\n"
        "write s, %4\n";
    CHECK(sums(sum).empty());
    CHECK(sums(sum, " parallel automatic 0 (sum -> s)") == Slots{0});
    CHECK(sums(sum, " parallel automatic 0 (c0 -> (s))").empty());  // a part of a state
    CHECK(sums("%2 = load c128 z[%0]\n%3 = read c128 r1\n%4 = add c128 %3, %2 fast(reassoc)\n"
               "write r1, %4\n") == Slots{2});
    const std::string integers =
        "%2 = load i64 i[%0]\n%3 = read i64 r2\n"
        "%4 = add i64 %3, %2 fast(reassoc)\nwrite r2, %4\n";
    CHECK(sums(integers).empty());
    CHECK(sums(integers, " parallel automatic 0 (sum -> r2)").empty());
}

TEST_CASE("updates: sums of what loops launch", "[codegen][updates]") {
    const auto launched = [](const std::string& reduction) {
        return sums("launch k0 for i64(0) to n step i64(1) (array y[i64(0)] by (1), total " +
                        reduction + " r0)\n",
                    "", reduced(reduction));
    };
    CHECK(launched("sum") == Slots{1});
    CHECK(launched("max").empty());
    // A running result is what the launch leaves, no sum of what is added.
    CHECK(
        sums("launch k0 for i64(0) to n step i64(1) (array y[i64(0)] by (1), carry r0, array "
             "y[i64(0)] by (1))\n",
             "",
             "k0 = kernel t(y: in f32[1] unit, carry: in f32[1] uniform, o: out f32[1] unit) scan "
             "sum {\nstage [extent(y, 0)] parallel {\n%0 = load f32 y[i0]\n"
             "store o[i0], %0\n}\n}\n")
            .empty());
}
