// What nodes, and all nodes inside of one, touch.
#include "dsl/ir/effects.h"
#include "tests/catch.h"
#include "tests/dsl/ir/small_kernels.h"

using namespace kiln;
using namespace kiln::ir;
using namespace kiln::test;

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

TEST_CASE("effects: a launch touches what its arguments and its reductions say", "[dsl][effects]") {
    const Kernel k = launching();

    CHECK(verify(k).empty());
    const Id launch = first(k, NodeKind::launch);
    using Set = std::set<std::uint32_t>;
    const Touched t = touched_by(k, launch);
    CHECK((t.loads == Set{0} && t.stores == Set{1}));
    CHECK((t.reads == Set{0, 1} && t.writes == Set{0, 2}));
    CHECK_FALSE(effects_of(k.node(launch)).only(effect::accesses));
    CHECK(blocks_of(k.node(launch)).size() == 1);
}
