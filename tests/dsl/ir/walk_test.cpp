// Walking, effects, owners of slots, and edits in place.
#include "dsl/ir/walk.h"
#include "dsl/ir/editor.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/slots.h"
#include "dsl/ir/text.h"
#include "tests/catch.h"

using namespace kiln;
using namespace kiln::ir;

namespace {

Kernel program(const std::string& body, const std::string& slots = {}) {
    return parse("kernel k(x: in f32[1], y: inout f32[1], c: value bool) program {\n" + slots +
                 "  stage [] {\n" + body + "  }\n}\n");
}

const char* const nested =
    "for %0 = i64(0) to i64(4) step i64(1) {\n"
    "  %1 = load f32 x[%0]\n"
    "  if c {\n store y[%0], %1\n continue\n } else {\n write v0, %1\n }\n"
    "  while {\n %2 = read f32 v0\n %3 = lt bool %2, f32(1)\n } %3 {\n write v0, f32(2)\n"
    "    break\n }\n"
    "}\n";

std::vector<NodeKind> kinds(const Kernel& k) {
    std::vector<NodeKind> found;
    walk(k, [&](Id id) { found.push_back(k.node(id).kind); });
    return found;
}
Id first(const Kernel& k, NodeKind kind) {
    Id found = none;
    walk(k, [&](Id id) {
        if (k.node(id).kind != kind) return Walk::on;
        found = id;
        return Walk::stop;
    });
    return found;
}

}  // namespace

TEST_CASE("a walk comes to all nodes in the order of the text", "[dsl][walk]") {
    const Kernel k = program(nested, "  slot v0: f32\n");
    using enum NodeKind;
    CHECK(kinds(k) == std::vector{loop, load, branch, store, continue_, write, loop_while, read, op,
                                  write, break_});
}

TEST_CASE("a walk says where nodes stand, leaves out blocks, and stops", "[dsl][walk]") {
    const Kernel k = program(nested, "  slot v0: f32\n");
    const Id loop = first(k, NodeKind::loop), repeats = first(k, NodeKind::loop_while);
    walk(k, k.stages[0].body, [&](Id id, const Around& around) {
        const NodeKind kind = k.node(id).kind;
        if (kind == NodeKind::loop) {
            CHECK((around.loop == none && around.loops == 0 && around.node == none));
        } else if (kind == NodeKind::store) {
            CHECK((around.loop == loop && around.loops == 1));
            CHECK(k.node(around.node).kind == NodeKind::branch);
        } else if (kind == NodeKind::read || kind == NodeKind::break_) {
            CHECK((around.loop == repeats && around.loops == 2 && around.node == repeats));
        }
    });
    std::size_t outside = 0;
    CHECK(walk(k, k.node(loop).aux, [&](Id id) {
        ++outside;
        return is_loop(k.node(id).kind) ? Walk::skip : Walk::on;
    }));
    CHECK(outside == 6);
    CHECK_FALSE(
        all_in(k, k.node(loop).aux, [&](Id id) { return k.node(id).kind != NodeKind::break_; }));
}

TEST_CASE("effects: of a node, and of all nodes inside of one", "[dsl][effects]") {
    const Kernel k = program(nested, "  slot v0: f32\n");
    const Effects load = effects_of(k.node(first(k, NodeKind::load)));
    CHECK((load.only(effect::loads) && load.array == 0 && load.slot == none));
    CHECK_FALSE(load.only(effect::accesses & ~effect::loads));
    const Effects write = effects_of(k.node(first(k, NodeKind::write)));
    CHECK((write.only(effect::writes) && write.slot == 0 && write.array == none));

    const Id loop = first(k, NodeKind::loop);
    const Touched t = touched_by(k, loop);
    CHECK(t.loads == std::set<std::uint32_t>{0});
    CHECK(t.stores == std::set<std::uint32_t>{1});
    CHECK((t.reads == std::set<std::uint32_t>{0} && t.writes == t.reads));
    // continue_ ends an iteration of the loop; break_ is the inner loop's own.
    CHECK((t.does & effect::jumps) == effect::continues);
    CHECK_FALSE((touched_by(k, loop, Jumps::out).does & effect::jumps) != 0);
    CHECK(touched_by(k, first(k, NodeKind::branch)).does ==
          (effect::branches | effect::stores | effect::continues | effect::writes));
}

TEST_CASE("effects: nothing moves across one that no set tells of", "[dsl][effects]") {
    Touched nothing, loads, later;
    loads.loads = {0};
    CHECK_FALSE((nothing.conflicts(loads) || loads.conflicts(nothing) || loads.conflicts(loads)));
    later.does = known_effects + 1;
    CHECK(later.does > effect::launches);
    CHECK((later.conflicts(nothing) && nothing.conflicts(later)));
    later.does = known_effects;
    CHECK_FALSE((later.conflicts(nothing) || nothing.conflicts(later)));
}

TEST_CASE("a slot belongs to the innermost block with all of its accesses", "[dsl][slots]") {
    const Kernel k = program(
        "for %0 = i64(0) to i64(4) step i64(1) {\n"
        "  write v0, f32(0)\n"
        "  if c {\n write v1, f32(1)\n %1 = read f32 v0\n }\n"
        "  write v2, f32(0)\n"
        "}\n"
        "%2 = read f32 v2\n"
        "store y[i64(0)], %2\n",
        "  slot v0: f32\n  slot v1: f32\n  slot v2: f32\n  slot v3: f32\n");
    const SlotOwners owners(k);
    const Id body = k.node(first(k, NodeKind::loop)).aux;
    const Id arm = k.node(first(k, NodeKind::branch)).aux;
    CHECK(owners.block(0) == body);
    CHECK(owners.block(1) == arm);
    CHECK(owners.block(2) == k.stages[0].body);
    CHECK(owners.block(3) == none);
    CHECK((owners.belongs_to(0, body) && owners.belongs_to(1, body) && owners.belongs_to(1, arm)));
    CHECK_FALSE((owners.belongs_to(0, arm) || owners.belongs_to(2, body)));
}

TEST_CASE("loops that are fused in place, and taken apart again", "[dsl][editor]") {
    const std::string a = "    for %0 = i64(0) to i64(4) step i64(1) {\n      %1 = load f32 x[%0]\n"
                          "      store y[%0], %1\n    }\n",
                      b = "    for %2 = i64(0) to i64(4) step i64(1) {\n      %3 = load f32 y[%2]\n"
                          "      %4 = add f32 %3, %3\n      store y[%2], %4\n    }\n";
    const Kernel k = program(a + b);
    const std::vector<Id> loops = k.blocks[k.stages[0].body].nodes;
    Editor editor(k);
    auto fusion = editor.fuse_loops(k.stages[0].body, loops[0], loops[1], {loops[0]});
    editor.undo(fusion);
    CHECK(print(editor.kernel()) == print(k));
    editor.fuse_loops(k.stages[0].body, loops[0], loops[1], {loops[0]});
    const Kernel fused = editor.finish();
    CHECK(verify(fused).empty());
    CHECK(print(fused) == print(program("    for %0 = i64(0) to i64(4) step i64(1) {\n"
                                        "      %1 = load f32 x[%0]\n      store y[%0], %1\n"
                                        "      %2 = load f32 y[%0]\n"
                                        "      %3 = add f32 %2, %2\n      store y[%0], %3\n"
                                        "    }\n")));
}

TEST_CASE("effects: a launch touches what its arguments and its reductions say",
          "[dsl][effects][slots]") {
    const Kernel k = parse(R"(
kernel k(x: in f64[1], y: out f64[1]) program {
  slot v0: f64
  slot v1: f64[4]
  slot v2: f64
  stage [] {
    for %0 = i64(0) to i64(4) step i64(1) {
      launch k0 for i64(0) to i64(4) step i64(1) parallel automatic 0 (sum -> v0) streams (y) (array x[%0] by (1), local v1[i64(0)] by (1), array y[i64(0)] by (1), total sum v0) else {
        write v2, f64(0)
      }
    }
    %1 = read f64 v0
    store y[i64(0)], %1
  }
  k0 = kernel k(a: in f64[1], b: in f64[1], c: out f64[1], total: out f64 unit) reduce {
    slot s: f64
    stage [] {
      write s, f64(-0)
    }
    stage [extent(a, 0)] parallel sum -> s {
      %0 = load f64 a[i0]
      %1 = load f64 b[i0]
      %2 = add f64 %0, %1
      store c[i0], %2
      contribute 0, %2
    }
    stage [] {
      %3 = read f64 s
      store total, %3
    }
  }
}
)");
    CHECK(verify(k).empty());
    const Id launch = first(k, NodeKind::launch), loop = first(k, NodeKind::loop);
    using Set = std::set<std::uint32_t>;
    const Touched t = touched_by(k, launch);
    CHECK((t.loads == Set{0} && t.stores == Set{1}));
    CHECK((t.reads == Set{0, 1} && t.writes == Set{0, 2}));
    CHECK_FALSE(effects_of(k.node(launch)).only(effect::accesses));
    CHECK(blocks_of(k.node(launch)).size() == 1);
    const SlotOwners owners(k);
    CHECK(owners.block(0) == k.stages[0].body);
    CHECK(owners.block(1) == k.node(loop).aux);
    CHECK(owners.block(2) == k.node(launch).aux2);
}
