// Which values of whole-array statements need a temporary: for each condition a kernel that differs
// from one that fits in that alone. tests/jit/loops/array_statement_test.cpp has values.
#include "codegen/analysis/array_plan.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

std::string text(std::string_view body, std::string_view head = "") {
    const std::string end(head.empty() ? "" : "}\n");
    return "kernel t(v: in f64[1], x: in f64[2], z: in f64[3], n: value i64, u: inout f64[1], "
           "p: out f64[1], q: out f64[1], o: out f64[2], w: local f64[1]) program {\n  stage [] {\n"
           "allocate w[i64(4)]\n" +
           std::string(head) + std::string(body) + end + "}\n}\n";
}
constexpr std::string_view parallel = "for %0 = i64(0) to n step i64(1) parallel automatic 0 {\n",
                           serial = "for %0 = i64(0) to n step i64(1) {\n";

/// A reduction of a body, the first one: "in place" where it is computed where it is consumed, or why
/// not.
std::string decided(std::string_view body, std::string_view head = parallel, int nth = 0) {
    const ir::Kernel k = test::kernel(text(body, head));
    const codegen::ArrayPlan plan(k, false);
    for (ir::Id id = 0; id < k.nodes.size(); ++id)
        if (k.nodes[id].kind == ir::NodeKind::fold && nth-- == 0)
            return plan.in_place(id) ? "in place" : std::string(plan.why_kept(id));
    throw std::runtime_error("no reduction");
}
bool in_place(std::string_view body, std::string_view head = parallel, int nth = 0) {
    return decided(body, head, nth) == "in place";
}

/// What is stored to temporaries, as they stand: operations, and arrays that are copied.
std::string stored(std::string_view body, bool overlap = false) {
    const ir::Kernel k = test::kernel(text(body));
    const codegen::ArrayPlan plan(k, overlap);
    std::string names;
    for (ir::Id id = 0; id < k.nodes.size(); ++id) {
        if (!plan.stored(id)) continue;
        const ir::Node& n = k.nodes[id];
        names += n.kind == ir::NodeKind::op ? std::string(ir::info(n.op).name)
                                            : "copy of " + k.params[n.aux].name;
        names += ' ';
    }
    return names;
}

TEST_CASE("array plans: reductions that are computed where they are consumed",
          "[codegen][array_plan]") {
    const std::string rows = "%1 = whole f64[2] x\n%2 = fold sum f64[1] %1 axes(1)\n",
                      taken = rows + "assign p, %2\n";
    CHECK(in_place(taken));
    CHECK_FALSE(in_place(taken, ""));
    CHECK_FALSE(in_place(taken, serial));
    CHECK_FALSE(in_place("%1 = whole f64[2] x\n%2 = fold sum f64[1] %1 axes(0)\nassign p, %2\n"));
    // Of a number there is nothing to compute again.
    CHECK_FALSE(
        in_place("%1 = whole f64[1] v\n%2 = fold sum f64 %1 axes(0)\n"
                 "assign p[%0, i64(1), i64(1)] drop(0), %2\n"));
    // One statement takes each element once, where the reduction stands.
    CHECK_FALSE(in_place(taken + "assign q, %2\n"));
    CHECK_FALSE(in_place(rows + "%3 = mul f64[1] %2, %2\nassign p, %3\n"));
    CHECK_FALSE(in_place(rows + "%3 = fold sum f64 %2 axes(0)\nstore p[%0], %3\n"));
    CHECK_FALSE(in_place(rows));
    CHECK(in_place(rows + "%3 = cast f32[1] %2\n%4 = cast f64[1] %3\n%5 = neg f64[1] %4\n"
                          "assign p, %5\n"));
    CHECK_FALSE(in_place(rows + "for %3 = i64(0) to n step i64(1) {\nassign p, %2\n}\n"));
    CHECK(in_place("for %3 = i64(0) to n step i64(1) {\n" + taken + "}\n"));
    // Repeated along axes in front of its own, which compute it again; or along inner ones.
    CHECK_FALSE(in_place(rows + "assign o, %2\n"));
    CHECK(in_place(rows + "assign o[%0, i64(1), i64(1), i64(0), i64(1), n] drop(0), %2\n"));
    CHECK_FALSE(in_place(rows + "%3 = add f64[2] %1, %2\nassign o, %3\n"));
    CHECK_FALSE(in_place(rows + "%3 = add f64[2] %1, %2\n%4 = permute f64[2] %3 axes(0, 1)\n"
                                "assign o, %4\n"));
    CHECK(in_place(rows + "%3 = permute f64[2] %2 axes(0, 15)\n%4 = add f64[2] %3, %1\n"
                          "assign o, %4\n"));
    CHECK_FALSE(in_place(rows + "%3 = permute f64[2] %2 axes(15, 0)\nassign o, %3\n"));
    const std::string planes = "%1 = whole f64[3] z\n%2 = fold sum f64[2] %1 axes(2)\n";
    CHECK(in_place(planes + "%3 = permute f64[2] %2 axes(0, 1)\nassign o, %3\n"));
    CHECK_FALSE(in_place(planes + "%3 = permute f64[2] %2 axes(1, 0)\nassign o, %3\n"));
}

TEST_CASE("array plans: why a reduction of a parallel loop has a temporary",
          "[codegen][array_plan]") {
    const std::string rows = "%1 = whole f64[2] x\n%2 = fold sum f64[1] %1 axes(1)\n",
                      taken = rows + "assign p, %2\n";
    CHECK(decided(taken, serial).empty());
    CHECK(decided("%1 = whole f64[2] x\n%2 = fold sum f64[1] %1 axes(0)\nassign p, %2\n") ==
          "its axes are outer ones, and not known to have 16 elements or less");
    CHECK(decided(taken + "assign q, %2\n") == "it is not taken once");
    CHECK(decided(rows) == "it is not taken once");
    CHECK(decided(rows + "%3 = fold sum f64 %2 axes(0)\nstore p[%0], %3\n") ==
          "it is not taken by an assignment");
    CHECK(decided(rows + "for %3 = i64(0) to n step i64(1) {\nassign p, %2\n}\n") ==
          "a loop takes it");
    for (const char* repeated : {"assign o, %2\n", "%3 = add f64[2] %1, %2\nassign o, %3\n",
                                 "%3 = permute f64[2] %2 axes(15, 0)\nassign o, %3\n"})
        CHECK(decided(rows + repeated) == "its elements are taken more than once, or out of order");
}

TEST_CASE("array plans: outer axes of at most 16 elements", "[codegen][array_plan]") {
    const auto sum = [](std::string_view value, std::string_view axes, std::string_view to = "p") {
        std::string body(value);
        for (const std::string_view part : std::initializer_list<std::string_view>{
                 "%9 = fold sum f64[", to == "p" ? "1" : "2", "] %1 axes(", axes, ")\nassign ", to,
                 ", %9\n"})
            body += part;
        return in_place(body);
    };
    const auto part = [](std::string_view rows, std::string_view columns = "n") {
        return "f64[2] x[i64(0), i64(1), " + std::string(rows) + ", i64(0), i64(1), " +
               std::string(columns) + "]\n";
    };
    const auto rows = [&](std::string_view extent) { return "%1 = whole " + part(extent); };
    CHECK(sum(rows("i64(16)"), "0"));
    CHECK(sum(rows("i64(1)"), "0"));
    CHECK_FALSE(sum(rows("i64(17)"), "0"));
    CHECK_FALSE(sum(rows("i64(0)"), "0"));
    CHECK_FALSE(sum(rows("n"), "0"));
    // Several axes: the elements that are combined.
    const auto planes = [](std::string_view first, std::string_view second) {
        return "%1 = whole f64[3] z[i64(0), i64(1), " + std::string(first) + ", i64(0), i64(1), " +
               std::string(second) + ", i64(0), i64(1), n]\n";
    };
    CHECK(sum(planes("i64(4)", "i64(4)"), "0, 1"));
    CHECK_FALSE(sum(planes("i64(4)", "i64(5)"), "0, 1"));
    CHECK_FALSE(sum(planes("i64(4611686018427387904)", "i64(4)"), "0, 1"));
    CHECK_FALSE(sum(planes("i64(4)", "n"), "0, 1"));
    CHECK(sum(planes("n", "i64(4)"), "1", "o"));
    CHECK_FALSE(sum(planes("i64(4)", "n"), "1", "o"));
    // An axis that the slice drops is none of the value's.
    const std::string_view dropped =
        "%1 = whole f64[2] z[i64(0), i64(1), n, i64(0), i64(1), i64(4), i64(0), i64(1), n] "
        "drop(0)\n";
    CHECK(sum(dropped, "0"));
    CHECK_FALSE(
        sum("%1 = whole f64[2] z[i64(0), i64(1), i64(4), i64(0), i64(1), n, i64(0), "
            "i64(1), i64(4)] drop(0)\n",
            "0"));
    // Other values have extents of what they are made of.
    CHECK(sum("%2 = whole " + part("n", "i64(4)") + "%1 = permute f64[2] %2 axes(1, 0)\n", "0"));
    CHECK_FALSE(
        sum("%2 = whole " + part("i64(4)", "n") + "%1 = permute f64[2] %2 axes(1, 0)\n", "0"));
    CHECK(sum("%2 = whole f64[1] v\n%1 = permute f64[2] %2 axes(15, 0)\n", "0"));
    const auto added = [&](std::string_view a, std::string_view b) {
        return sum("%2 = whole " + part(a) + "%3 = whole " + part(b) + "%1 = add f64[2] %2, %3\n",
                   "0");
    };
    CHECK(added("i64(4)", "i64(4)"));
    CHECK(added("i64(4)", "i64(1)"));
    CHECK(added("i64(1)", "i64(4)"));
    CHECK(added("i64(4)", "n"));
    CHECK(added("n", "i64(4)"));
    CHECK_FALSE(added("i64(1)", "n"));
    CHECK_FALSE(added("n", "i64(1)"));
    CHECK_FALSE(added("i64(17)", "i64(1)"));
    for (const char* extent : {"i64(4)", "i64(1)"})
        CHECK(sum("%2 = whole f64[1] v\n%3 = whole " + part(extent) + "%1 = add f64[2] %2, %3\n",
                  "0"));
    CHECK(sum("%2 = whole " + part("i64(4)") + "%3 = cast f32[2] %2\n%1 = cast f64[2] %3\n", "0"));
    CHECK_FALSE(
        in_place("%1 = whole f64[3] z\n%2 = fold sum f64[2] %1 axes(0)\n"
                 "%3 = fold sum f64[1] %2 axes(0)\nassign p, %3\n",
                 parallel, 1));
}

TEST_CASE("array plans: values that are used more than once", "[codegen][array_plan]") {
    const std::string e = "%0 = whole f64[1] v\n%1 = exp f64[1] %0\n";
    CHECK(stored(e + "assign p, %1\n").empty());
    CHECK(stored(e + "assign p, %1\nassign q, %1\n") == "exp ");
    CHECK(stored("%0 = whole f64[1] v\n%1 = neg f64[1] %0\nassign p, %1\nassign q, %1\n").empty());
    CHECK(stored("%0 = whole f64[1] v\n%1 = cast f64 n\n%2 = exp f64 %1\n%3 = add f64[1] %0, %2\n"
                 "assign p, %3\nassign q, %3\n")
              .empty());
    // The outermost one that is used as a whole; what it is made of is computed with it.
    const std::string less = e + "%2 = neg f64[1] %1\n";
    CHECK(stored(less + "assign p, %2\nassign q, %2\n") == "neg ");
    CHECK(stored(less + "%3 = abs f64[1] %1\nassign p, %2\nassign q, %3\n") == "exp ");
    CHECK(stored(less + "assign p, %1\nassign q, %2\nassign u, %2\n") == "exp ");
    // Repeated along axes in front of its own, by operations and assignments; not along others.
    CHECK(stored(e + "assign o, %1\n") == "exp ");
    CHECK(stored(e + "assign o[n, i64(1), i64(1), i64(0), i64(1), n] drop(0), %1\n").empty());
    CHECK(stored(e + "%2 = whole f64[2] x\n%3 = add f64[2] %2, %1\nassign o, %3\n") == "exp ");
    const auto moved = [&](std::string_view axes) {
        return stored(e + "%2 = permute f64[2] %1 axes(" + std::string(axes) +
                      ")\n%3 = whole f64[2] x\n%4 = add f64[2] %3, %2\nassign o, %4\n");
    };
    CHECK(moved("15, 0") == "exp ");
    CHECK(moved("0, 15").empty());
}

TEST_CASE("array plans: arrays that are stored to before they are used", "[codegen][array_plan]") {
    const std::string u = "%0 = whole f64[1] u\n", write = "store u[n], f64(1)\n";
    CHECK(stored(u + write + "assign p, %0\n") == "copy of u ");
    CHECK(stored(u + "assign u, f64(1)\nassign p, %0\n") == "copy of u ");
    CHECK(stored(write + u + "assign p, %0\n").empty());
    CHECK(stored(u + "assign p, %0\n" + write).empty());
    // A loop comes again.
    const auto looped = [](const std::string& body) { return std::string(serial) + body + "}\n"; };
    const std::string later = "%1 = whole f64[1] u\n", last = "assign p, %1\n" + write;
    CHECK(stored(later + looped(last)) == "copy of u ");
    CHECK(stored(looped(later + last)).empty());
    CHECK(stored(later + looped("assign p, %1\n") + write).empty());
    // Arguments may overlap, unless the call has found out that they don't; arrays of the kernel don't.
    const std::string other = "%0 = whole f64[1] v\nstore u[n], f64(1)\nassign p, %0\n",
                      own = "%0 = whole f64[1] v\nstore w[n], f64(1)\nassign p, %0\n",
                      of_own = "%0 = whole f64[1] w\nstore u[n], f64(1)\nassign p, %0\n";
    CHECK(stored(other).empty());
    CHECK(stored(other, true) == "copy of v ");
    CHECK(stored(own, true).empty());
    CHECK(stored(of_own, true).empty());
    // What a temporary is made of is read where that stands.
    const std::string both = "assign p, %1\nassign q, %1\n";
    CHECK(stored(u + "%1 = exp f64[1] %0\n" + write + both) == "exp ");
    CHECK(stored(u + write + "%1 = exp f64[1] %0\n" + both) == "copy of u exp ");
}

}  // namespace
