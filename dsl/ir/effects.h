// What nodes do besides giving a value: which arrays and slots they touch, how they end. Whoever
// moves, repeats or drops nodes asks here, and allows what it knows: an effect that is added to the
// table later is refused by all.
#pragma once
#include "dsl/ir/ir.h"

#include <set>

namespace kiln::ir {

/// What a node does by itself: array or slot, and a mask of effects (ir.h). A launch does what its
/// arguments say, to several of both: touched_by and slots_of.
struct Effects {
    effect::Mask does = effect::nothing;
    std::uint32_t array = none;  ///< that it loads from, stores to or makes
    std::uint32_t slot = none;   ///< that it reads or writes

    constexpr bool any(effect::Mask of) const { return (does & of) != 0; }
    /// Whether it does nothing but what is allowed.
    constexpr bool only(effect::Mask allowed) const { return (does & ~allowed) == 0; }
};

constexpr Effects effects_of(const Node& n) {
    Effects e{info(n.kind).does};
    if (n.kind == NodeKind::loop && n.aux2 != none) e.does |= effect::in_parallel;
    constexpr effect::Mask elements = effect::loads | effect::stores | effect::allocates;
    if (e.any(elements)) e.array = n.aux;
    if (e.any(effect::reads | effect::writes)) e.slot = n.aux;
    return e;
}
/// Whether a node is an operation or a cast: it computes, and nothing else.
constexpr bool is_computation(NodeKind k) { return k == NodeKind::op || k == NodeKind::cast; }

/// The subscripts of an access of elements, or the position of an access of a slot's.
inline std::span<const Id> subscripts_of(const Kernel& kernel, const Node& access) {
    const auto operands = kernel.operands_of(access);
    const bool has_value = effects_of(access).any(effect::stores | effect::writes);
    const std::size_t values = access.kind == NodeKind::exchange ? 1 + access.aux2 : has_value;
    return operands.first(operands.size() - values);
}
inline std::span<const Id> subscripts_of(const Kernel& kernel, Id access) {
    return subscripts_of(kernel, kernel.nodes[access]);
}

/// What arrays, slots, functions and jumps tell of a node's order among others. An effect that is
/// added to the table later is none of these: nothing is taken across it.
inline constexpr effect::Mask known_effects =
    effect::accesses | effect::allocates | effect::atomically | effect::places |
    effect::all_elements | effect::calls_pure | effect::calls | effect::contributes |
    effect::checks | effect::branches | effect::loops | effect::in_parallel | effect::jumps |
    effect::launches;

/// A slot that a node touches.
struct SlotUse {
    std::uint32_t slot = none;
    bool reads = false, writes = false;
};
/// Those of a node by itself: one that it accesses, those of a launch's arguments, and what a
/// parallel loop or launch reduces into.
std::vector<SlotUse> slots_of(const Kernel& kernel, const Node& n);

/// What a node and all nodes of its blocks do.
struct Touched {
    std::set<std::uint32_t> loads, stores;  ///< arrays; those that are made are stored to
    std::set<std::uint32_t> reads, writes;  ///< slots
    std::set<Id> nodes, uses;               ///< uses: operands
    /// All effects; of jumps, those that leave.
    effect::Mask does = effect::nothing;
    Id call = none;  ///< the last call of a function that is not pure

    bool leaves() const { return (does & effect::jumps) != 0; }
    bool stays_in_order() const { return (does & ~known_effects) != 0; }
    void add(const Touched& other);
    bool slots_conflict(const Touched& other) const;
    /// Whether the order of the two matters, `other` coming first.
    bool conflicts(const Touched& other) const;
};
/// Which jumps leave: those out of the node, or those out of one iteration of it, where it is a
/// loop.
enum class Jumps : std::uint8_t { out, out_of_iteration };
Touched touched_by(const Kernel& kernel, Id node, Jumps jumps = Jumps::out_of_iteration);
/// Whether two such sets have an element in common.
bool meet(const std::set<std::uint32_t>& a, const std::set<std::uint32_t>& b);

}  // namespace kiln::ir
