// Editing a kernel in place, where making it anew node by node would cost too much: passes that
// move nodes, or turn one kind of access into another. Nothing but the Builder and this makes or
// changes nodes; there is an edit for each thing that passes do, and none for anything else.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::ir {

class Editor {
  public:
    explicit Editor(Kernel kernel) : k_(std::move(kernel)) {}

    const Kernel& kernel() const { return k_; }
    /// The kernel; without the nodes that no block lists any more, if anything was edited. The
    /// editor is empty afterwards.
    Kernel finish();

    /// What the block lists now. Each node stays in one block, and behind what it uses.
    void list(Id block, std::vector<Id> nodes);
    void unlist(Id block, Id node);
    /// The flags of an operation.
    void set_fast(Id op, std::uint8_t flags);
    /// A parallel loop becomes a serial one. Its reductions go.
    void make_serial(Id loop);
    /// A loop is shareable no more, and parallel from then on where it is to be `shared`.
    void settle_shareable(Id loop, bool shared);
    void add_reduction(Id parallel_loop, StageReduction reduction);
    std::uint32_t add_slot(Slot slot);
    void rename_slot(std::uint32_t slot, std::string name);
    /// A load or store becomes a read or write of the slot, which has one element.
    void access_slot(Id access, std::uint32_t slot);
    void swap_stages(std::size_t a, std::size_t b);
    /// Writes say no more that they are parts of steps (combines.h): the reductions do.
    void forget_steps();

    /// What fuse_loops changed.
    struct Fusion {
        Id block, first, second;
        std::vector<Id> nodes, first_body, second_body;
        std::vector<std::uint32_t> uses;  ///< operands that were the second loop's index
        ParallelLoop parallel;            ///< of the first loop, if it is parallel
    };
    /// The block lists `nodes`, without loop `second`, whose body follows that of `first`, a loop
    /// over the same indices, and whose reductions become its.
    Fusion fuse_loops(Id block, Id first, Id second, std::vector<Id> nodes);
    /// Undoes the last edit, which was this one.
    void undo(Fusion fusion);

  private:
    std::vector<Id>& nodes_of(Id block) { return k_.blocks[block].nodes; }
    ParallelLoop& parallel(Id loop) { return k_.parallel_loops[k_.nodes[loop].aux2]; }

    Kernel k_;
    bool edited_ = false;
};

}  // namespace kiln::ir
