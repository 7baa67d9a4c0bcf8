// One malformed kernel for each rule that verify() holds, and its message.
#include "dsl/ir/text.h"
#include "tests/catch.h"

#include <algorithm>

using namespace kiln;
using namespace kiln::ir;

namespace {

/// A kernel whose stage over [4] has this body. Nodes are numbered as they appear, leaves included.
Kernel with_body(const std::string& body) {
    return parse(
        "kernel k(x: in f32[1], n: value i64, out: out f32[1], a: inout i32[2]) reduce {\n"
        "  slot v: f32\n  slot ring: i32[4]\n  slot s: i64\n"
        "  stage [i64(4)] sum -> s {\n" +
        body + "\n  }\n}\n");
}
std::string verdict(const std::string& body) { return verify(with_body(body)); }

/// The stage's first statement in a kernel that is well formed.
Node& first_node(Kernel& k) { return k.nodes[k.blocks[k.stages[0].body].nodes[0]]; }

}  // namespace

TEST_CASE("a well-formed kernel has nothing to say", "[dsl][verify]") {
    CHECK(verdict("%0 = load f32 x[i0]  %1 = cast i64 %0  contribute 0, %1  store out[i0], %0") ==
          "");
    CHECK(verdict("") == "");
}

TEST_CASE("operand counts", "[dsl][verify]") {
    CHECK(verdict("%0 = add f32 f32(1)") == "node 2 (add): takes 2 operands, not 1");
    CHECK(verdict("%0 = neg f32 f32(1), f32(2)") == "node 3 (neg): takes 1 operand, not 2");
    CHECK(verdict("%0 = load f32 x") == "node 1 (load): takes 1 operand, not 0");
    CHECK(verdict("%0 = load i32 a[i0]") == "node 2 (load): takes 2 operands, not 1");
    CHECK(verdict("store out, f32(1)") == "node 2 (store): takes 2 operands, not 1");
    CHECK(verdict("%0 = read f32 v[i0]") == "node 2 (read): takes 0 operands, not 1");
    CHECK(verdict("%0 = read i32 ring") == "node 1 (read): takes 1 operand, not 0");
    CHECK(verdict("write ring, i32(1)") == "node 2 (write): takes 2 operands, not 1");
    Kernel k = with_body("for %0 = i64(0) to n step i64(1) { }");
    first_node(k).operand_count = 2;
    CHECK(verify(k) == "node 4 (for): takes 3 operands, not 2");
}

TEST_CASE("dtypes follow the rule of the operation", "[dsl][verify]") {
    CHECK(verdict("%0 = add f32 f32(1), f64(2)") == "node 3 (add): operand 1 is f64, not f32");
    CHECK(verdict("%0 = add f64 f32(1), f32(2)") == "node 3 (add): is f64, not f32");
    CHECK(verdict("%0 = lt f32 f32(1), f32(2)") == "node 3 (lt): is f32, not bool");
    CHECK(verdict("%0 = sub bool bool(true), bool(false)") == "node 3 (sub): does not take bool");
    CHECK(verdict("%0 = div bool bool(true), bool(false)") == "node 3 (div): does not take bool");
    CHECK(verdict("%0 = true_divide i32 i32(1), i32(1)") ==
          "node 2 (true_divide): does not take i32");
    CHECK(verdict("%0 = shl f32 f32(1), f32(1)") == "node 2 (shl): does not take f32");
    CHECK(verdict("%0 = bit_and f32 f32(1), f32(1)") == "node 2 (bit_and): does not take f32");
    CHECK(verdict("%0 = logical_and i32 i32(1), i32(1)") ==
          "node 2 (logical_and): does not take i32");
    CHECK(verdict("%0 = sin i32 i32(1)") == "node 2 (sin): does not take i32");
    CHECK(verdict("%0 = make_complex c64 f16(1), f16(1)") ==
          "node 2 (make_complex): does not take f16");
    CHECK(verdict("%0 = make_complex c64 f32(1), f32(1)  %1 = floor c64 %0") ==
          "node 3 (floor): does not take c64");
    CHECK(verdict("%0 = make_complex c64 f32(1), f32(1)  %1 = abs c64 %0") ==
          "node 3 (abs): is c64, not f32");
    CHECK(verdict("%0 = select f32 i32(1), f32(1), f32(2)") ==
          "node 4 (select): operand 0 is i32, not bool");
    CHECK(verdict("%0 = select f32 bool(true), f32(1), f64(2)") ==
          "node 4 (select): operand 2 is f64, not f32");
    CHECK(verdict("%0 = load f64 x[i0]") == "node 2 (load): is f64, not f32");
    CHECK(verdict("%0 = load f32 x[i32(0)]") == "node 2 (load): operand 0 is i32, not i64");
    CHECK(verdict("store out[i0], f64(1)") == "node 3 (store): operand 1 is f64, not f32");
    CHECK(verdict("write v, f64(1)") == "node 2 (write): operand 0 is f64, not f32");
    CHECK(verdict("%0 = read f64 v") == "node 1 (read): is f64, not f32");
    CHECK(verdict("contribute 0, i32(1)") == "node 2 (contribute): operand 0 is i32, not i64");
    CHECK(verdict("check out_of_bounds, i32(1)") == "node 2 (check): operand 0 is i32, not bool");
    CHECK(verdict("if i32(1) { }") == "node 2 (if): operand 0 is i32, not bool");
    CHECK(verdict("while { } i32(1) { }") == "node 1 (while): operand 0 is i32, not bool");
    CHECK(verdict("for %0 = i32(0) to n step i64(1) { }") ==
          "node 4 (for): operand 0 is i32, not i64");
    CHECK(verdict("%0 = atomic all_bits f32 out[i0], f32(1)") ==
          "node 3 (atomic): all_bits does not reduce f32");
    CHECK(verdict("%0 = neg f32 i0 ; k.cpp:5") == "node 2 (neg, k.cpp:5): is f32, not i64");
}

TEST_CASE("ranks and array values", "[dsl][verify]") {
    CHECK(verdict("%0 = whole f32 x") == "node 1 (whole): has rank 0, not 1");
    CHECK(verdict("%0 = whole f32[1] x  %1 = neg f32 %0") == "node 2 (neg): has rank 0, not 1");
    CHECK(verdict("%0 = whole f32[1] x  store out[i0], %0") ==
          "node 3 (store): operand 1 is an array");
    CHECK(verdict("%0 = whole f32[1] x  %1 = fold sum f32 %0 axes(1)") ==
          "node 2 (fold): axes 0x2 of a value of rank 1");
    CHECK(verdict("%0 = whole f32[1] x  %1 = fold sum f32 %0 axes()") ==
          "node 2 (fold): axes 0x0 of a value of rank 1");
    CHECK(verdict("%0 = whole f32[1] x  %1 = fold parity f32 %0 axes(0)") ==
          "node 2 (fold): parity does not reduce f32");
    CHECK(verdict("%0 = whole i32[2] a  %1 = cast f32[2] %0  assign out, %1") == "");
    CHECK(verdict("%0 = whole f32[1] x  assign out[i64(0), i64(1), i64(1)] drop(0), %0") ==
          "node 4 (assign): a value of rank 1 for parameter out of rank 0");
    CHECK(verdict("assign out, i32(1)") == "node 2 (assign): operand 0 is i32, not f32");
    CHECK(verify(parse("kernel k(x: value f32[1]) { }")) == "parameter x is a value of rank 1");
    CHECK(verify(parse("kernel k(x: in f32[9]) { }")) == "parameter x has rank 9");
    CHECK(verify(parse("kernel k() { slot v: f32[0] }")) == "slot v has no element");
}

TEST_CASE("operands are defined before their use, in a block that is still open", "[dsl][verify]") {
    CHECK(verdict("if bool(true) { %0 = neg f32 f32(1) } store out[i0], %0") ==
          "node 6 (store): operand 4 is defined in a block that is closed");
    CHECK(verdict("for %0 = i64(0) to n step i64(1) { } %1 = neg i64 %0") ==
          "node 5 (neg): operand 4 is defined in a block that is closed");
    CHECK(verdict("while { %0 = neg f32 f32(1) } bool(false) { write v, %0 }") ==
          "node 5 (write): operand 3 is defined in a block that is closed");
    Kernel k = with_body("%0 = neg f32 f32(1) %1 = abs f32 %0");
    std::swap(k.blocks[0].nodes[0], k.blocks[0].nodes[1]);
    CHECK(verify(k) == "node 3 (abs): operand 2 is not defined before");
    k = with_body("%0 = neg f32 f32(1)");
    k.operands[first_node(k).first_operand] = 2;  // itself
    CHECK(verify(k) == "node 2 (neg): operand 2 is not defined before");
    k = with_body("write v, f32(1) %0 = neg f32 f32(1)");
    k.operands[k.node(3).first_operand] = 2;
    CHECK(verify(k) == "node 3 (neg): operand 2 has no value");
    k = with_body("%0 = neg f32 f32(1)");
    k.operands[first_node(k).first_operand] = 99;
    CHECK(verify(k) == "node 2 (neg): operand 99 of 3 nodes");
    first_node(k).first_operand = 99;
    CHECK(verify(k) == "node 2 (neg): its operands lie outside of the table");
    k = parse(
        "kernel k(n: value i64) { prologue { %0 = neg i64 n } stage [%0] { %1 = abs i64 %0 } }");
    CHECK(verify(k) == "node 2 (abs): operand 1 is defined in a block that is closed");
}

TEST_CASE("blocks have one owner and nodes one block", "[dsl][verify]") {
    Kernel k = with_body("if bool(true) { } else { }");
    first_node(k).aux2 = first_node(k).aux;
    CHECK(verify(k) == "block 1 has 2 owners");
    k = with_body("if bool(true) { }");
    first_node(k).aux = 0;  // its own block
    CHECK(verify(k) == "block 0 has 2 owners");
    k = with_body("");
    k.blocks.emplace_back();
    CHECK(verify(k) == "block 1 has 0 owners");
    k = with_body("if bool(true) { }");
    first_node(k).aux = 7;
    CHECK(verify(k) == "block 7 of 2");
    k = with_body("if bool(true) { }");
    k.blocks[1].nodes = k.blocks[0].nodes;  // a block that contains its owner
    k.blocks[0].nodes.clear();
    CHECK(verify(k) == "block 1 is not reachable from a stage");
    k = with_body("%0 = neg f32 f32(1)");
    k.blocks[0].nodes.push_back(2);
    CHECK(verify(k) == "node 2 (neg): is listed twice");
    k.blocks[0].nodes[1] = 1;
    CHECK(verify(k) == "node 1 (constant): a leaf is listed by block 0");
    k.blocks[0].nodes[1] = 50;
    CHECK(verify(k) == "block 0 lists node 50 of 3");
    k.stages[0].body = none;
    CHECK(verify(k) == "block 4294967295 of 1");
}

TEST_CASE("parameter, slot and reduction numbers", "[dsl][verify]") {
    const auto with_aux = [](const std::string& body, std::uint32_t aux) {
        Kernel k = with_body(body);
        first_node(k).aux = aux;
        return verify(k);
    };
    CHECK(with_aux("%0 = load f32 x[i0]", 4) == "node 2 (load): parameter 4 of 4");
    CHECK(with_aux("%0 = read f32 v", 3) == "node 1 (read): slot 3 of 3");
    CHECK(with_aux("check division_by_zero, bool(true)", 6) == "node 2 (check): check 6 of 6");
    CHECK(with_aux("%0 = whole f32[1] x  ", 9) == "node 1 (whole): parameter 9 of 4");
    Kernel k = with_body("%0 = atomic sum i32 a[i0, i0], i32(1)");
    first_node(k).aux2 = 20;
    CHECK(verify(k) == "node 3 (atomic): reduction 20 of 9");
    CHECK(verdict("contribute 1, i64(1)") == "node 2 (contribute): reduction 1 of 1 of its stage");
    k = with_body("");
    k.stages[0].reductions[0].target = 3;
    CHECK(verify(k) == "stage 0: the target of reduction 0 is not a slot of one element");
    k.stages[0].reductions[0].target = 1;
    CHECK(verify(k) == "stage 0: the target of reduction 0 is not a slot of one element");
    k.stages[0].reductions[0] = {ir::Reduction::parity, 0};
    CHECK(verify(k) == "stage 0: parity does not reduce f32");
    k.stages[0].reductions = {{ir::Reduction::sum, 2}, {ir::Reduction::max, 2}};
    CHECK(verify(k) == "stage 0: two reductions into one slot");
    k = with_body("%0 = neg f32 f32(1) ; a.cpp:1");
    first_node(k).loc = 5;
    CHECK(verify(k) == "node 2: location 5 of 2");
    k.locations[1].file = 9;
    CHECK(verify(k) == "a location names file 9 of 2");
    k.locations.clear();
    CHECK(verify(k) == "the table of locations is empty");
}

TEST_CASE("stages are those of the kernel's form", "[dsl][verify][form]") {
    const auto verdict_of = [](const std::string& form, const std::string& stages) {
        return verify(parse("kernel k(x: in f32[1], c: in f32[1] uniform, y: out f32[1]) " + form +
                            " {\n  slot s: f32\n" + stages + "}\n"));
    };
    const std::string over = "  stage [extent(x, 0)] { }\n", once = "  stage [] { }\n",
                      sums = "  stage [extent(x, 0)] sum -> s { }\n";
    CHECK(verdict_of("", "") == "");
    CHECK(verdict_of("map", over + over) == "");
    CHECK(verdict_of("map", once) == "a map has a stage without extents");
    CHECK(verdict_of("map", sums) == "a map has a stage with reductions");
    CHECK(verdict_of("reduce", sums) == "");
    CHECK(verdict_of("reduce", once + sums + once) == "");
    const std::string no_one = "a reduce has no one stage over extents with reductions";
    CHECK(verdict_of("reduce", over) == no_one);
    CHECK(verdict_of("reduce", sums + sums) == no_one);
    CHECK(verdict_of("reduce", sums + "  stage [] max -> s { }\n") == no_one);
    const std::string several =
        "a reduce has several stages before, or after, that with its reductions";
    CHECK(verdict_of("reduce", once + once + sums) == several);
    CHECK(verdict_of("reduce", sums + once + once) == several);
    CHECK(verdict_of("program", once) == "");
    const std::string not_one = "a program is not one stage without extents and reductions";
    CHECK(verdict_of("program", over) == not_one);
    CHECK(verdict_of("program", once + once) == not_one);
    CHECK(verdict_of("program", "  stage [] sum -> s { }\n") == not_one);
    CHECK(verdict_of("scan sum", over) == "");
    CHECK(verdict_of("scan parity", over) == "a scan does not combine its output's dtype");
    CHECK(verdict_of("scan sum", sums) ==
          "a scan is not one stage over extents without reductions");
    CHECK(verdict_of("scan sum", "  stage [extent(x, 0)] { %0 = load f32 c[i0] }\n") ==
          "a scan has several outputs, or loads its carry");
    Kernel k = parse("kernel k(x: in f32[1], c: in f32[1] uniform, y: out f32[1]) scan sum {\n" +
                     over + "}\n");
    k.params[1].dtype = DType::f64;
    const std::string differs =
        "a scan has a carry that differs from element to element, or is of another dtype than its "
        "output";
    CHECK(verify(k) == differs);
    k.params[1] = k.params[0];
    CHECK(verify(k) == differs);
    k.params.pop_back();
    CHECK(verify(k) == "a scan has no output behind its carry");
    k = parse("kernel k() {\n}\n");
    k.lanes = {8, 4};
    CHECK(verify(k) == "");
    for (const Lanes& wrong : {Lanes{8, 0}, Lanes{0, 1}, Lanes{6, 1}, Lanes{128, 1}, Lanes{8, 8}}) {
        k.lanes = wrong;
        CHECK(verify(k) == "a map has lanes that no vector unit has");
    }
    const auto reduction = [](const std::string& order) {
        return verify(parse("kernel k(x: in i64[1]) reduce" + order +
                            " {\n  slot s: i64\n  stage [extent(x, 0)] sum -> s { }\n}\n"));
    };
    CHECK(reduction("") == "");
    CHECK(reduction(" lanes(8, 4) tail 8 tree(8, 3)") == "");
    for (const std::string wrong :
         {" lanes(8, 4)", " lanes(8, 4) tail 8", " lanes(8, 4) tree(8, 3)",
          " lanes(8, 4) tail 3 tree(8, 3)", " lanes(8, 4) tail 16 tree(8, 3)",
          " lanes(8, 4) tail 8 tree(1, 3)", " lanes(8, 4) tail 8 tree(8, 5)"}) {
        CAPTURE(wrong);
        CHECK(reduction(wrong) ==
              "a reduce has lanes without the order in which it combines, or one that is none");
    }
    k = parse("kernel k() { }");
    k.lanes = {8, 4, 1};
    CHECK(verify(k) == "");
    for (const Lanes& wrong : {Lanes{8, 4, 3}, Lanes{8, 4, 16}, Lanes{8, 4, 1, 8, 3}}) {
        k.lanes = wrong;
        CHECK(verify(k) ==
              "a map has lanes without the order in which it combines, or one that is none");
    }
    k = parse("kernel k() program lanes(8, 4) { stage [] { } }");
    CHECK(verify(k) == "a program has lanes that no vector unit has");
    k = parse("kernel k() { }");
    k.scan = ir::Reduction::max;
    CHECK(verify(k) == "combines as a scan, and is none");
    k.form = Form{6};
    CHECK(verify(k) == "form 6");
}

TEST_CASE("the order in which a loop combines is one of what it reduces", "[dsl][verify][trees]") {
    const auto verdict_of = [](const std::string& head) {
        return verify(
            parse("kernel k(n: value i64) program {\n  slot s: f64\n  slot t: i64\n"
                  "  slot a: f64[8]\n  stage [] {\n    for %0 = i64(0) to n step i64(1)" +
                  head + " { }\n  }\n}\n"));
    };
    const std::string parallel = " parallel automatic 0 (sum -> s)";
    CHECK(verdict_of("") == "");
    CHECK(verdict_of(parallel) == "");
    CHECK(verdict_of(" blocks of 512 sums (s)") == "");
    CHECK(verdict_of(parallel + " blocks of 512 in 256 sums (s)") == "");
    CHECK(verdict_of(parallel + " blocks of 1024 in 256") == "");
    CHECK(verdict_of(" blocks of 512") == "node 3 (for): blocks, and nothing that they combine");
    CHECK(verdict_of(" blocks of 512 in 256 sums (s)") ==
          "node 3 (for): blocks of 512 in 256, of one that does not");
    CHECK(verdict_of(parallel + " blocks of 512 sums (s)") ==
          "node 3 (for): blocks of 512 in 0, of a loop that reduces");
    CHECK(verdict_of(" blocks of 0 sums (s)") ==
          "node 3 (for): blocks of 0 in 0, of one that does not");
    for (const std::string slots : {"t", "a", "s, s"}) {
        CAPTURE(slots);
        CHECK(verdict_of(" blocks of 512 sums (" + slots + ")")
                  .find("which is no variable of floats") != std::string::npos);
    }
    Kernel k = parse("kernel k() program {\n  stage [] { }\n}\n");
    k.trees.push_back({.block = 8});
    CHECK(verify(k) == "tree 0 has 0 owners");
}

TEST_CASE("programs that are launched are one loop of what launches them",
          "[dsl][verify][outline]") {
    const auto text = [](const std::string& arguments, const std::string& params,
                         const std::string& slots = "    slot a: f64[8]\n",
                         const std::string& parallel = " parallel automatic 0") {
        return "kernel k(x: in f64[2] unit, n: value i64) program {\n  slot a: f64[8]\n"
               "  stage [] {\n    launch k0 for i64(0) to n step i64(1) (" +
               arguments + ")\n  }\n  k0 = kernel k(" + params + ") program {\n" + slots +
               "    stage [] {\n      for %0 = i64(0) to n step i64(1)" + parallel +
               " {\n      }\n    }\n  }\n}\n";
    };
    const std::string params = "x: in f64[2] unit, n: value i64";
    const auto verdict_of = [](const std::string& t) { return verify(parse(t)); };
    CHECK(verdict_of(text("whole x, whole n", params)) == "");
    const std::string more = text("whole x, whole n, value f64(2), place a",
                                  params + ", v: value f64, a2 \"a\": in f64[1] unit");
    CHECK(verdict_of(more) == "");
    CHECK(parse(print(parse(more))) == parse(more));
    CHECK(verdict_of(text("whole x, whole n", params, "    slot a: f64[8]\n", "")) ==
          "k0: is a program, and not one parallel loop");
    const std::string tables = "k0: has not the parameters and slots of what launches it";
    CHECK(verdict_of(text("whole x, whole n", params, "")) == tables);
    CHECK(verdict_of(text("whole x, whole n", "x: in f32[2] unit, n: value i64")) == tables);
    CHECK(verdict_of(text("whole n", "n: value i64")) == tables);
    CHECK(verdict_of(text("whole x, value i64(1)", params)) == "a launch of k0: argument 1");
    CHECK(verdict_of(text("whole x, whole n, whole n", params + ", m: value i64")) ==
          "a launch of k0: argument 2 does not fit its parameter");
    CHECK(verdict_of(text("whole x, whole n, first", params + ", m: in i64[1] uniform")) ==
          "a launch of k0: argument 2");
    CHECK(verdict_of(text("whole x, whole n, place a", params + ", b: inout f64[1] unit")) == "");
    CHECK(verdict_of(text("whole x, whole n, place a", params + ", b: in i64[1] unit")) ==
          "a launch of k0: argument 2 does not fit its parameter");
}

TEST_CASE("launches fit the kernels that they run", "[dsl][verify][outline]") {
    const auto text = [](const std::string& launch, const std::string& outlined = "") {
        return "kernel k(x: in f64[2] unit, y: out f64[2] unit, n: value i64) program {\n"
               "  slot s: f64\n  slot a: f64[8]\n  stage [] {\n    " +
               launch + "\n  }\n" +
               (outlined.empty()
                    ? "  k0 = kernel scaled(x: in f64[1] unit, c: in f64[1] uniform, y: out f64[1] "
                      "unit) {\n    stage [extent(x, 0)] {\n      %0 = load f64 x[i0]\n      %1 = "
                      "load f64 c[i0]\n      %2 = mul f64 %0, %1\n      store y[i0], %2\n    }\n  "
                      "}\n"
                    : outlined) +
               "}\n";
    };
    const std::string head = "launch k0 for i64(0) to n step i64(1)",
                      x = "array x[n, i64(0)] by (0, 1)", y = "array y[n, i64(0)] by (0, 1)",
                      good = head + " (" + x + ", value f64(2), " + y + ")";
    const auto verdict_of = [&](const std::string& launch) { return verify(parse(text(launch))); };
    CHECK(verdict_of(good) == "");
    CHECK(verdict_of(head + " parallel dynamic 4 in_place (" + x + ", value f64(2), " + y + ")") ==
          "");
    CHECK(verdict_of(head + " streams (x, y) (" + x + ", value f64(2), " + y + ") else { }") == "");
    CHECK(verdict_of(head + " (local a[i64(0)] by (1), value f64(2), " + y + ")") == "");
    const Kernel k = parse(text(good));
    CHECK(parse(print(k)) == k);
    CHECK(print(parse(print(k, {.locations = false})), {.locations = false}) ==
          print(k, {.locations = false}));

    const auto misfit = [](int i) {
        return "a launch of k0: argument " + std::to_string(i) + " does not fit its parameter";
    };
    CHECK(verdict_of(head + " (value f64(1), value f64(2), " + y + ")") == misfit(0));
    CHECK(verdict_of(head + " (" + x + ", value f64(2), " + x + ")") == misfit(2));
    CHECK(verdict_of(head + " (" + x + ", first, " + y + ")") == misfit(1));
    CHECK(verdict_of(head + " (" + x + ", value f64(2), total sum s)") == misfit(2));
    CHECK(verdict_of(head + " (local s[i64(0)] by (1), value f64(2), " + y + ")") == misfit(0));
    CHECK(verdict_of(head + " (" + x + ", carry s, " + y + ")") == "a launch of k0: a carry");
    CHECK(verdict_of(head + " (" + x + ")") == "a launch of k0 has 1 arguments, not 3");
    CHECK(verdict_of("launch k1 for i64(0) to n step i64(1) ()") == "k0: nothing launches it");
    CHECK(verdict_of(good + "\n    launch k1 for i64(0) to n step i64(1) ()") ==
          "a launch of kernel 1 of 1");
    CHECK(verdict_of(head + " streams (n) (" + x + ", value f64(2), " + y + ") else { }") ==
          "a launch of k0 streams what is no array");
    CHECK(verdict_of(head + " streams (x) (" + x + ", value f64(2), " + y + ")") ==
          "node 4 (launch): streams without a block that runs where its arrays are small");
    CHECK(verdict_of(head + " (" + x + ", value i64(2), " + y + ")") ==
          "node 4 (launch): operand 5 is i64, not f64");
    CHECK(verdict_of("launch k0 for i32(0) to n step i64(1) (" + x + ", value f64(2), " + y +
                     ")") == "node 5 (launch): operand 0 is i32, not i64");
    CHECK(verify(parse(text(good, "  k0 = kernel inner() program { stage [] { } }\n"))) ==
          "k0: is a program, and not one parallel loop");
    CHECK(verify(parse(text(good, "  k0 = kernel inner() { stage [] { } }\n"))) ==
          "k0: a map has a stage without extents");
    Kernel shared = k;
    shared.nodes.push_back(shared.nodes.back());
    CHECK(verify(shared) == "launch 0 has 2 owners");
    Kernel element_wise = parse("kernel e() { }");
    element_wise.outlined = k.outlined;
    CHECK(verify(element_wise) == "kernels were outlined from what is no program");
}

TEST_CASE("access", "[dsl][verify]") {
    CHECK(verdict("store x[i0], f32(1)") == "node 3 (store): parameter x is read-only");
    CHECK(verdict("assign x, f32(1)") == "node 2 (assign): parameter x is read-only");
    CHECK(verdict("%0 = atomic sum f32 x[i0], f32(1)") ==
          "node 3 (atomic): parameter x is read-only");
    CHECK(verdict("%0 = load i64 n") == "node 1 (load): parameter n is not an array");
    CHECK(verdict("%0 = neg f32 x") == "node 1 (param): parameter x is an array");
}

TEST_CASE("leaves", "[dsl][verify]") {
    CHECK(verdict("%0 = neg i64 i1") == "node 1 (index): there is no dimension 1 here");
    CHECK(verdict("%0 = neg i64 extent(x, 1)") ==
          "node 1 (extent): parameter x has no dimension 1");
    CHECK(verdict("%0 = neg i64 extent(n, 0)") ==
          "node 1 (extent): parameter n has no dimension 0");
    Kernel k = with_body("%0 = neg i64 n");
    k.nodes[1].dtype = DType::i32;
    CHECK(verify(k) == "node 1 (param): its dtype is not that of parameter n");
    k = with_body("%0 = neg i8 i8(1)");
    k.nodes[1].imm = 256;
    CHECK(verify(k) == "node 1 (constant): has bits beyond its dtype");
    k = with_body("%0 = logical_not bool bool(true)");
    k.nodes[1].imm = 2;
    CHECK(verify(k) == "node 1 (constant): a bool with the bits 2");
    k.nodes[1].dtype = DType::c64;
    CHECK(verify(k) == "node 1 (constant): complex constants are made by make_complex");
}

TEST_CASE("a parallel loop is shareable no more", "[dsl][verify]") {
    CHECK(verdict("for %0 = i64(0) to n step i64(1) shareable { }") == "");
    CHECK(verdict("for %0 = i64(0) to n step i64(1) remainder shareable { }") == "");
    CHECK(verdict("for %0 = i64(0) to n step i64(1) shareable parallel automatic 0 { }") ==
          "node 4 (for): is shareable, and parallel already");
}

TEST_CASE("a remainder goes on by single steps", "[dsl][verify]") {
    CHECK(verdict("for %0 = i64(0) to n step i64(1) remainder { }") == "");
    CHECK(verdict("for %0 = i64(0) to n step i64(1) remainder parallel automatic 0 { }") == "");
    CHECK(verdict("for %0 = i64(0) to n step i64(4) remainder { }") ==
          "node 3 (for): takes the remainder by steps that are not 1");
    Kernel k = with_body("for %0 = i64(0) to n step i64(1) { }");
    const auto loop = std::ranges::find(k.nodes, NodeKind::loop, &Node::kind);
    loop->fast = 4;
    CHECK(verify(k) == "node 4 (for): has flags 4 of no meaning");
}

TEST_CASE("break and continue are inside a loop", "[dsl][verify]") {
    CHECK(verdict("break") == "node 1 (break): is outside of a loop");
    CHECK(verdict("if bool(true) { continue }") == "node 3 (continue): is outside of a loop");
    CHECK(verdict("for %0 = i64(0) to n step i64(1) { if bool(true) { break } }") == "");
    CHECK(verdict("while { } bool(false) { continue }") == "");
    CHECK(verdict("for %0 = i64(0) to n step i64(1) { while { break } bool(false) { } }") ==
          "node 6 (break): is outside of a loop");
    CHECK(verdict("for %0 = i64(0) to n step i64(1) { } break") ==
          "node 5 (break): is outside of a loop");
    CHECK(verdict("return") == "");
}

TEST_CASE("the prologue and the extents of stages", "[dsl][verify]") {
    const auto with_prologue = [](const std::string& statement, const std::string& extent) {
        return verify(parse("kernel k(x: in f32[1], n: value i64) { prologue { " + statement +
                            " } stage [" + extent + "] { } }"));
    };
    CHECK(with_prologue("%0 = neg i64 n", "%0, n, extent(x, 0), i64(3)") == "");
    CHECK(with_prologue("%0 = load f32 x[i64(0)]", "n") ==
          "node 1 (load): the prologue has pure scalar nodes only");
    CHECK(with_prologue("%0 = neg i64 i0", "%0") == "node 0 (index): there is no dimension 0 here");
    CHECK(with_prologue("%0 = cast i32 n", "%0") ==
          "stage 0: an extent is not an i64 value of the prologue");
    CHECK(with_prologue("", "i0") == "stage 0: an extent is not an i64 value of the prologue");
    CHECK(with_prologue("", "extent(x, 3)") == "node 0 (extent): parameter x has no dimension 3");
}

TEST_CASE("fast flags belong to operations", "[dsl][verify]") {
    CHECK(verdict("%0 = cast i64 n fast(nnan)") == "node 2 (cast): fast flags 0x1");
    Kernel k = with_body("%0 = neg f32 f32(1)");
    first_node(k).fast = 0x80;
    CHECK(verify(k) == "node 2 (neg): fast flags 0x80");
}
