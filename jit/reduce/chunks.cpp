#include "jit/reduce/chunks.h"

#include "jit/call/threads.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace kiln::engine {

namespace {

/// A quarter to a half of a second-level cache.
constexpr std::int64_t chunk_bytes = largest_chunk;  // of elements of a byte and more
/// Where columns are kept: rows of a chunk are this many of them, so that a chunk has many rows.
constexpr std::int64_t chunk_columns = 1024;

}  // namespace

Boxes::Boxes(std::span<const ReduceAxis> axes, std::int64_t budget) : axis_count_(axes.size()) {
    std::ranges::copy(axes, axes_.first(axes.size()).begin());
    budget = std::max<std::int64_t>(budget, 1);
    cut_ = axis_count_;
    while (cut_ > 0 && inner_cells_ * axes_[cut_ - 1].extent <= budget) {
        --cut_;
        inner_cells_ *= axes_[cut_].extent;
    }
    if (cut_ > 0) {
        const std::int64_t extent = axes_[--cut_].extent;
        // Pieces of equal size, but for the last.
        const std::int64_t most = budget / inner_cells_;
        pieces_ = (extent - 1) / most + 1;
        piece_ = (extent - 1) / pieces_ + 1;
        pieces_ = (extent - 1) / piece_ + 1;
        count_ = pieces_;
        for (std::size_t a = 0; a < cut_; ++a) count_ *= axes_[a].extent;
    } else {
        cut_ = axis_count_;  // one box has all axes
    }
}

Box Boxes::at(std::int64_t i) const {
    Box box;
    if (cut_ == axis_count_) {
        box.axes = axes_;
        box.axis_count = axis_count_;
        box.cells = inner_cells_;
        return box;
    }
    const ReduceAxis& axis = axes_[cut_];
    const std::int64_t begin = i % pieces_ * piece_;
    const std::int64_t length = std::min(piece_, axis.extent - begin);
    std::int64_t outer = i / pieces_;
    box.first = (outer * axis.extent + begin) * inner_cells_;
    box.cells = length * inner_cells_;
    box.offset = begin * axis.strides[0];
    box.out_offset = begin * axis.out_stride;
    for (std::size_t a = cut_; a-- > 0;) {
        const std::int64_t index = outer % axes_[a].extent;
        outer /= axes_[a].extent;
        box.offset += index * axes_[a].strides[0];
        box.out_offset += index * axes_[a].out_stride;
    }
    box.axis_count = axis_count_ - cut_;
    std::ranges::copy(axes_.first(axis_count_).subspan(cut_),
                      box.axes.first(box.axis_count).begin());
    box.axes[0].extent = length;
    return box;
}

ReduceProblem problem_of(const Array& x, unsigned bits, const Array& out, bool keepdims,
                         bool any_order) {
    OperandView view;
    view_array(view, x, false);
    ReduceProblem p;
    make_problem(p, std::span(&view, 1), x.shape(), bits, out, keepdims);
    arrange_axes(p, p.kept.first(p.kept_count), p.kept_count);
    if (any_order) arrange_axes(p, p.reduced.first(p.reduced_count), p.reduced_count);
    return p;
}

Chunks cut(ReduceProblem& p) {
    const auto kept = p.kept.first(p.kept_count);
    const auto reduced = p.reduced.first(p.reduced_count);
    const std::int64_t budget = chunk_bytes / static_cast<std::int64_t>(size_of(p.dtypes[0]));
    const bool columns =
        !kept.empty() &&
        (reduced.empty() || std::abs(kept.back().strides[0]) < std::abs(reduced.back().strides[0]));
    if (columns) {
        const Boxes across(kept, chunk_columns);
        return {across, Boxes(reduced, budget / across.cells())};
    }
    const Boxes along(reduced, budget);
    return {Boxes(kept, budget / along.cells()), along};
}

void for_chunks(bool parallel, std::int64_t n, std::int64_t bytes,
                const std::function<void(std::int64_t)>& work) {
    split(parallel && bytes >= least_parallel_bytes, n, 1,
          [&](std::int64_t begin, std::int64_t end) {
              for (; begin < end; ++begin) work(begin);
          });
}

ReduceProblem chunk_problem(const ReduceProblem& whole, const Box& kept, const Box& reduced,
                            void* out, DType out_dtype) {
    ReduceProblem p;
    p.sources = 1;
    p.data[0] = whole.data[0] + kept.offset + reduced.offset;
    p.dtypes[0] = whole.dtypes[0];
    p.out = static_cast<std::byte*>(out);
    p.out_dtype = out_dtype;
    p.kept = kept.axes;
    p.kept_count = kept.axis_count;
    p.reduced = reduced.axes;
    p.reduced_count = reduced.axis_count;
    auto stride = static_cast<std::int64_t>(size_of(out_dtype));
    for (std::size_t a = p.kept_count; a-- > 0;) {
        p.kept[a].out_stride = stride;
        stride *= p.kept[a].extent;
    }
    return p;
}

void add_kept_source(ReduceProblem& p, void* data, DType dtype) {
    const std::size_t k = p.sources++;
    p.data[k] = static_cast<std::byte*>(data);
    p.dtypes[k] = dtype;
    auto stride = static_cast<std::int64_t>(size_of(dtype));
    for (std::size_t a = p.kept_count; a-- > 0;) {
        p.kept[a].strides[k] = stride;
        stride *= p.kept[a].extent;
    }
    for (std::size_t a = 0; a < p.reduced_count; ++a) p.reduced[a].strides[k] = 0;
}

static CallKey key_of(const ReduceProblem& p, std::optional<DType> dtype) {
    CallKey key(p.sources, Casting::same_kind, dtype);
    for (std::size_t k = 0; k < p.sources; ++k)
        key.set_input(k, p.dtypes[k], false, ir::Layout::strided);
    return key;
}

void run_chunk(Reducer& reducer, ReduceProblem& p, std::optional<DType> dtype, Location where) {
    run_reduction(reducer, key_of(p, dtype), p, false, {}, where);
}

}  // namespace kiln::engine
