// Walks: order, where nodes stand, leaving out and stopping.
#include "dsl/ir/walk.h"
#include "tests/catch.h"
#include "tests/dsl/ir/small_kernels.h"

using namespace kiln;
using namespace kiln::ir;
using namespace kiln::test;

namespace {

std::vector<NodeKind> kinds(const Kernel& k) {
    std::vector<NodeKind> found;
    walk(k, [&](Id id) { found.push_back(k.node(id).kind); });
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
