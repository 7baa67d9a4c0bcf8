// Walking over the nodes of a kernel in the order of its text. Only this file and the table of
// nodes know which nodes own blocks.
#pragma once
#include "dsl/ir/ir.h"

#include <array>
#include <type_traits>

namespace kiln::ir {

/// The blocks of a node, in the order in which they stand in the text, and run.
class Blocks {
  public:
    constexpr explicit Blocks(const Node& n) {
        switch (info(n.kind).blocks) {
            case BlockForm::none: break;
            case BlockForm::body: ids_[size_++] = n.aux; break;
            case BlockForm::arms:
                ids_[size_++] = n.aux;
                if (n.aux2 != none) ids_[size_++] = n.aux2;
                break;
            case BlockForm::condition_body:
                ids_[size_++] = n.aux;
                ids_[size_++] = n.aux2;
                break;
            case BlockForm::otherwise:
                if (n.aux2 != none) ids_[size_++] = n.aux2;
                break;
        }
    }
    constexpr const Id* begin() const { return ids_.data(); }
    constexpr const Id* end() const { return ids_.data() + size_; }
    constexpr std::size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }

  private:
    std::array<Id, 2> ids_{none, none};
    std::size_t size_ = 0;
};
constexpr Blocks blocks_of(const Node& n) { return Blocks(n); }
/// Whether the node runs its blocks any number of times.
constexpr bool is_loop(NodeKind k) { return (info(k).does & effect::loops) != 0; }

/// Where a node stands, from the block on where a walk began.
struct Around {
    Id block = none;     ///< that lists it
    Id node = none;      ///< that owns the block; none for the first one
    Id loop = none;      ///< the innermost loop around it; a while loop is one around its condition
    unsigned loops = 0;  ///< loops around it
};

/// What a walk does after a node.
enum class Walk : std::uint8_t {
    on,
    skip,  ///< leaves out the node's blocks
    stop,
};

/// Calls f(id) or f(id, around) with each node of the block and, after it, with those of its
/// blocks. f gives nothing or a Walk. Whether no call gave Walk::stop. f may change the kernel, but
/// neither the list that is being walked nor what the node owns.
template <class F> bool walk(const Kernel& kernel, Id block, F&& f, const Around& around = {}) {
    for (const Id id : kernel.blocks[block].nodes) {
        Around here = around;
        here.block = block;
        if (!walk_node(kernel, id, f, here)) return false;
    }
    return true;
}

/// The same for one node.
template <class F> bool walk_node(const Kernel& kernel, Id id, F&& f, const Around& around = {}) {
    Walk next = Walk::on;
    if constexpr (std::is_invocable_v<F&, Id, const Around&>) {
        if constexpr (std::is_void_v<std::invoke_result_t<F&, Id, const Around&>>)
            f(id, around);
        else
            next = f(id, around);
    } else if constexpr (std::is_void_v<std::invoke_result_t<F&, Id>>) {
        f(id);
    } else {
        next = f(id);
    }
    if (next == Walk::stop) return false;
    if (next == Walk::skip) return true;
    const Node& n = kernel.nodes[id];
    const bool loops = is_loop(n.kind);
    Around inside = around;
    inside.node = id;
    if (loops) {
        inside.loop = id;
        ++inside.loops;
    }
    for (const Id block : blocks_of(n))
        if (!walk(kernel, block, f, inside)) return false;
    return true;
}

/// The same for all stages, from the first to the last.
template <class F> bool walk(const Kernel& kernel, F&& f) {
    for (const Stage& stage : kernel.stages)
        if (!walk(kernel, stage.body, f)) return false;
    return true;
}

/// Whether some node in the block, or in blocks inside of it, is as f(id) or f(id, around) says.
template <class F> bool any_in(const Kernel& kernel, Id block, F&& f) {
    return !walk(kernel, block, [&](Id id, const Around& around) {
        if constexpr (std::is_invocable_v<F&, Id, const Around&>)
            return f(id, around) ? Walk::stop : Walk::on;
        else
            return f(id) ? Walk::stop : Walk::on;
    });
}
template <class F> bool all_in(const Kernel& kernel, Id block, F&& f) {
    return !any_in(kernel, block, [&](Id id) { return !f(id); });
}

}  // namespace kiln::ir
