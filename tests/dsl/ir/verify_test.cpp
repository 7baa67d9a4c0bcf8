// One malformed kernel for each rule that verify() holds, and its message.
#include "dsl/ir/text.h"
#include "tests/catch.h"

using namespace kiln;
using namespace kiln::ir;

namespace {

/// A kernel whose stage over [4] has this body. Nodes are numbered as they appear, leaves included.
Kernel with_body(const std::string& body) {
    return parse(
        "kernel k(x: in f32[1], n: value i64, out: out f32[1], a: inout i32[2]) {\n"
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
    CHECK(verdict("%0 = make_complex c64 f32(1), f32(1)  %1 = maximum c64 %0, %0") ==
          "node 3 (maximum): does not take c64");
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
    k.stages[0].reductions[0] = {Reduction::parity, 0};
    CHECK(verify(k) == "stage 0: parity does not reduce f32");
    k.stages[0].reductions = {{Reduction::sum, 2}, {Reduction::max, 2}};
    CHECK(verify(k) == "stage 0: two reductions into one slot");
    k = with_body("%0 = neg f32 f32(1) ; a.cpp:1");
    first_node(k).loc = 5;
    CHECK(verify(k) == "node 2: location 5 of 2");
    k.locations[1].file = 9;
    CHECK(verify(k) == "a location names file 9 of 2");
    k.locations.clear();
    CHECK(verify(k) == "the table of locations is empty");
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
