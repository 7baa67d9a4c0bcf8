// Cutting a reduction into chunks that stay in a core's cache while several passes go over them.
//
// The chunks follow from shape and strides alone. Results of chunks are combined in an order that
// follows from their number alone, so results do not depend on who computes which chunk.
#pragma once
#include "jit/reduce/reduce.h"

#include <functional>

namespace kiln::engine {

/// The most reduced cells that a chunk has.
inline constexpr std::int64_t largest_chunk = 262'144;

/// Some cells of an iteration space: axes with their strides, and where the first cell lies.
struct Box {
    AxisRoom<max_rank> axes;
    std::size_t axis_count = 0;
    std::int64_t offset = 0;      ///< in bytes, by the strides of source 0
    std::int64_t out_offset = 0;  ///< in bytes, by out_stride
    std::int64_t first = 0;       ///< number of the first cell, in C order of the axes
    std::int64_t cells = 1;
};

/// The cells of some axes in C order, cut into boxes of up to `budget` cells: each has the inner
/// axes whole, a piece of one axis, and one index of the outer ones.
class Boxes {
  public:
    Boxes(std::span<const ReduceAxis> axes, std::int64_t budget);

    std::int64_t count() const { return count_; }
    /// Of the largest box.
    std::int64_t cells() const { return inner_cells_ * piece_; }
    Box at(std::int64_t i) const;

  private:
    AxisRoom<max_rank> axes_;
    std::size_t axis_count_;
    std::size_t cut_ = 0;  ///< the axis that is cut into pieces
    std::int64_t piece_ = 1, pieces_ = 1, inner_cells_ = 1, count_ = 1;
};

/// A problem whose chunks are pairs of a box of kept and a box of reduced cells.
struct Chunks {
    Boxes kept, reduced;
    std::int64_t count() const { return kept.count() * reduced.count(); }
};

/// The problem of reducing the axes in `bits` of `x`, one source, into `out`, whose shape is that
/// of the result; kept axes are arranged, reduced ones if `any_order`.
ReduceProblem problem_of(const Array& x, unsigned bits, const Array& out, bool keepdims,
                         bool any_order);

/// Cuts a problem of one source.
Chunks cut(ReduceProblem& problem);

/// The problem of one chunk: source 0 is the array's, the result goes to consecutive elements.
ReduceProblem chunk_problem(const ReduceProblem& whole, const Box& kept, const Box& reduced,
                            void* out, DType out_dtype);
/// Adds a source that has one consecutive element for each kept cell.
void add_kept_source(ReduceProblem& p, void* data, DType dtype);
/// Runs a chunk on this thread, accumulating in `dtype` if it is given.
void run_chunk(Reducer& reducer, ReduceProblem& p, std::optional<DType> dtype, Location where);

/// Calls work(i) for 0 <= i < n, over threads if there is work for them: `bytes` in all.
void for_chunks(bool parallel, std::int64_t n, std::int64_t bytes,
                const std::function<void(std::int64_t)>& work);

/// Calls visit(out_offset) for every cell of a box, in C order of its axes.
template <class F> void visit_cells(const Box& box, F&& visit) {
    std::array<std::int64_t, max_rank> index{};
    std::int64_t offset = box.out_offset;
    for (std::int64_t c = 0; c < box.cells; ++c) {
        visit(offset);
        for (std::size_t a = box.axis_count; a-- > 0;) {
            offset += box.axes[a].out_stride;
            if (++index[a] < box.axes[a].extent) break;
            offset -= box.axes[a].out_stride * box.axes[a].extent;
            index[a] = 0;
        }
    }
}

}  // namespace kiln::engine
