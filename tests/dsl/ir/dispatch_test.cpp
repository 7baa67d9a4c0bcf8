#include "dsl/ir/dispatch.h"
#include "tests/catch.h"

#include <string>
#include <vector>

using namespace kiln::ir;

namespace {

Node of(NodeKind kind) {
    Node n{};
    n.kind = kind;
    return n;
}

}  // namespace

TEST_CASE("dispatch: a node goes to the handler of its kind", "[ir][dispatch]") {
    const auto handled = [](NodeKind kind) {
        return dispatch < effect::loads | effect::stores |
               effect::jumps >
                   (of(kind),
                    Handlers{
                        [](Leaf) { return std::string("leaf"); },
                        [](Of<NodeKind::op, NodeKind::cast>) { return std::string("computes"); },
                        [](Of<NodeKind::load>) { return std::string("loads"); },
                        [](Of<NodeKind::store>) { return std::string("stores"); },
                        [](Of<NodeKind::break_, NodeKind::continue_, NodeKind::return_>) {
                            return std::string("jumps");
                        },
                    },
                    [](const NodeInfo& kind) { throw std::string(kind.word); });
    };
    CHECK(handled(NodeKind::constant) == "leaf");
    CHECK(handled(NodeKind::index) == "leaf");
    CHECK(handled(NodeKind::op) == "computes");
    CHECK(handled(NodeKind::cast) == "computes");
    CHECK(handled(NodeKind::load) == "loads");
    CHECK(handled(NodeKind::store) == "stores");
    CHECK(handled(NodeKind::continue_) == "jumps");
}

TEST_CASE("dispatch: every kind is handled, or refused by its effects", "[ir][dispatch]") {
    for (std::size_t k = 0; k < node_kinds; ++k) {
        const auto kind = static_cast<NodeKind>(k);
        int handled = 0;
        std::string refused;
        try {
            handled = dispatch<effect::nothing>(
                of(kind),
                Handlers{[](Leaf) { return 1; },
                         [](Of<NodeKind::op, NodeKind::cast>) { return 2; }},
                [&](const NodeInfo& info) { throw std::string(info.word); });
        } catch (const std::string& word) {
            refused = word;
        }
        INFO(info(kind).word);
        CHECK(handled == (info(kind).does != effect::nothing   ? 0
                          : info(kind).kind == NodeClass::leaf ? 1
                                                               : 2));
        CHECK(refused == (info(kind).does == effect::nothing ? "" : info(kind).word));
    }
}

TEST_CASE("dispatch: leaves go to the handler of their kind, all others have a value",
          "[ir][dispatch]") {
    for (std::size_t k = 0; k < node_kinds; ++k) {
        const auto kind = static_cast<NodeKind>(k);
        const int given =
            leaf_or(of(kind),
                    Handlers{[](Of<NodeKind::constant, NodeKind::param>) { return 1; },
                             [](Of<NodeKind::extent, NodeKind::index>) { return 2; }},
                    [] { return 3; });
        INFO(info(kind).word);
        const bool first = kind == NodeKind::constant || kind == NodeKind::param;
        CHECK(given == (first ? 1 : is_leaf(kind) ? 2 : 3));
    }
}
