// Rebuilding a kernel node by node: the base of every pass.
#pragma once
#include "dsl/ir/builder.h"

namespace kiln::ir {

/// Clones a kernel through a Builder, which hash-conses pure nodes on the way. A pass derives from
/// it and overrides `rewrite` to give some nodes another form.
class Rewriter {
  public:
    explicit Rewriter(const Kernel& in) : in_(in), out_(in.name) {}
    virtual ~Rewriter() = default;
    Rewriter(const Rewriter&) = delete;
    Rewriter& operator=(const Rewriter&) = delete;

    Kernel run();

  protected:
    /// The new value of `old` (none for effects). Called once per listed node, in order, with the
    /// location already set; operands are available through mapped(). The default clones.
    virtual Id rewrite(Id old) { return clone(old); }
    /// Called before the body of each stage is rewritten.
    virtual void enter_stage() {}
    /// Called for every parameter and slot before any node; the default copies them.
    virtual void declare();

    /// Called for every reduction of a parallel loop or stage: appends what it becomes. The default
    /// keeps it.
    virtual void map_reduction(const StageReduction& r, std::vector<StageReduction>& into) {
        into.push_back(r);
    }

    /// Makes the tables of out(), before any block; run() begins with it.
    void begin();
    /// The node with mapped operands, structure included.
    Id clone(Id old);
    /// The new id of a value that was already rewritten; leaves are made on demand.
    Id mapped(Id old);
    void set_mapped(Id old, Id value) { map_[old] = value; }
    void clone_block(Id block);  ///< into the block that is open in out()

    const Kernel& in() const { return in_; }
    Builder& out() { return out_; }

  private:
    const Kernel& in_;
    Builder out_;
    std::vector<Id> map_;
    std::vector<std::uint32_t> kernels_;  // outlined ones in out(), as they are launched; or none
};

}  // namespace kiln::ir
