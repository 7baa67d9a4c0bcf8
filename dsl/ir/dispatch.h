// The kinds of nodes, for whoever runs nodes or writes code for them:
//
//     dispatch<effect::accesses | effect::jumps>(
//         n, Handlers{[&](Of<NodeKind::load>) { ... },
//                     [&](Of<NodeKind::break_, NodeKind::continue_>) { ... }, ...},
//         [&](const NodeInfo& kind) { throw ... });
//
// Kinds whose effects are all among those named need a handler: without one, or with two, it does
// not compile. All others are refused, in one place, those that are added to the table later too.
#pragma once
#include "dsl/ir/ir.h"

#include <type_traits>

namespace kiln::ir {

template <NodeKind kind> using Kind = std::integral_constant<NodeKind, kind>;

/// What a handler takes: any of these kinds.
template <NodeKind... kinds> struct Of {
    template <NodeKind kind>
        requires((kind == kinds) || ...)
    constexpr Of(Kind<kind>) {}  // NOLINT(google-explicit-constructor): that is what it is for
};
using Leaf = Of<NodeKind::constant, NodeKind::param, NodeKind::extent, NodeKind::index>;

template <class... F> struct Handlers : F... {
    using F::operator()...;
};
template <class... F> Handlers(F...) -> Handlers<F...>;

constexpr bool does_only(NodeKind kind, effect::Mask allowed) {
    return (info(kind).does & ~allowed) == 0;
}

/// What the handler of the node's kind gives; all give the same type, and `refuse` throws.
template <effect::Mask allowed, class H, class Refuse>
constexpr auto dispatch(const Node& n, H&& handlers, Refuse&& refuse) {
    switch (n.kind) {
#define KILN_NODE(id, word, kind, does, blocks)         \
    case NodeKind::id:                                  \
        if constexpr (does_only(NodeKind::id, allowed)) \
            return handlers(Kind<NodeKind::id>{});      \
        else                                            \
            break;
#include "dsl/ir/nodes.def"
#undef KILN_NODE
    }
    refuse(info(n.kind));
    __builtin_unreachable();
}

/// What the handler of a leaf's kind gives, and of any other node what `made` does, whoever runs it
/// having kept its value.
template <class H, class Made> constexpr auto leaf_or(const Node& n, H&& leaves, Made&& made) {
    switch (n.kind) {
#define KILN_NODE(id, word, kind, does, blocks)  \
    case NodeKind::id:                           \
        if constexpr (is_leaf(NodeKind::id))     \
            return leaves(Kind<NodeKind::id>{}); \
        else                                     \
            return made();
#include "dsl/ir/nodes.def"
#undef KILN_NODE
    }
    __builtin_unreachable();
}

}  // namespace kiln::ir
