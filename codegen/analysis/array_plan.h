// What whole-array nodes of a kernel need before they are lowered. Internal to the arrays pass.
#pragma once
#include "dsl/ir/ir.h"

#include <map>
#include <set>
#include <string_view>
#include <vector>

namespace kiln::codegen {

/// Array values are computed where statements (assign, fold) consume them. That is not where they
/// stand in the text, so that
///  - `whole(a)` is copied where `a` may be stored to before a consumer runs;
///  - a costly value that several statements consume, or that one repeats along its outer axes, is
///    computed once, into a temporary;
///  - so is a reduction to an array. (In a parallel loop, whose temporaries belong to the iteration,
///    one over the inner axes, or over at most 16 elements, is computed where an assignment takes
///    each of its elements once.)
class ArrayPlan {
  public:
    /// `overlap`: array arguments may share memory.
    ArrayPlan(const ir::Kernel& kernel, bool overlap);
    bool has_arrays() const { return has_arrays_; }
    /// Whether the value is to be stored to a temporary where it stands.
    bool stored(ir::Id id) const { return stored_[id]; }
    /// Whether the elements of a reduction are computed where they are consumed.
    bool in_place(ir::Id fold) const { return in_place_[fold]; }
    /// Why those of a reduction in a parallel loop are not; else nothing.
    std::string_view why_kept(ir::Id fold) const {
        const auto why = why_kept_.find(fold);
        return why == why_kept_.end() ? std::string_view() : why->second;
    }

  private:
    static constexpr std::uint32_t no_loop = ~0U;
    struct Loop {
        std::uint32_t parent, first, last;  // places in the text
    };
    struct Write {
        std::uint32_t place, param;
    };

    void number(ir::Id block, std::uint32_t loop, bool parallel);
    void find_in_place();
    std::string_view why_kept(ir::Id fold, const std::vector<ir::Id>& user) const;
    std::int64_t constant_extent(ir::Id id, unsigned axis) const;
    bool is_short(ir::Id fold) const;
    bool deferred(ir::Id id) const;
    void reach(ir::Id value, std::uint32_t statement);
    void find_shared();
    void store_repeated(ir::Id value, unsigned rank);
    void store_costly(ir::Id value);
    bool costly(ir::Id id, std::set<ir::Id>& seen) const;
    void find_stale(ir::Id value, ir::Id consumer, std::set<ir::Id>& seen);
    bool stale(ir::Id whole, ir::Id consumer) const;

    const ir::Kernel& k_;
    bool overlap_, has_arrays_ = false;
    std::uint32_t next_place_ = 0;
    std::vector<std::uint32_t> place_, loop_;  // per node
    std::vector<bool> in_parallel_, in_place_, stored_;
    std::map<ir::Id, std::string_view> why_kept_;
    std::vector<Loop> loops_;
    std::vector<Write> writes_;
    std::vector<ir::Id> statements_;
    std::vector<std::set<std::uint32_t>> reached_by_;  // per node: statements
};

}  // namespace kiln::codegen
