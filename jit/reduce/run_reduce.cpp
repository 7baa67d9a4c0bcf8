// Carrying a reduction out: which axis generated code runs along, the blocks of the fixed tree,
// their distribution over threads.
//
// The problem is brought into one of two forms, by its shape and strides alone:
//
//   rows      the inner axis is reduced: each block of block_columns columns of a row gives one
//             value, and the values of all blocks of a result are reduced in turn
//   columns   the inner axis is kept: passes over rows_of_a_pass rows at a time combine them into a
//             row of results; each block of 16 passes gives such a row, and the rows of all
//             blocks are reduced in turn
//
// A block is computed by one thread, in one order; which thread it is, and how results are cut into
// chunks of columns, changes no bit.
#include "codegen/trees.h"
#include "jit/call/axes.h"
#include "jit/call/threads.h"
#include "jit/compile/fault.h"
#include "jit/reduce/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <mutex>

namespace kiln::engine {

namespace {

/// Bytes of the results of a chunk of columns: they are read and written again for every pass, so
/// they must stay in the second-level cache, next to rows that only pass through.
constexpr std::int64_t chunk_bytes = 32'768;
/// An inner axis shorter than this leaves most of a register empty.
constexpr std::int64_t short_columns = 5, short_row = 16;

std::int64_t product(std::span<const ReduceAxis> axes) {
    std::int64_t n = 1;
    for (const ReduceAxis& axis : axes) n *= axis.extent;
    return n;
}

std::span<ReduceAxis> kept(ReduceProblem& p) { return p.kept.first(p.kept_count); }
std::span<ReduceAxis> reduced(ReduceProblem& p) { return p.reduced.first(p.reduced_count); }
std::int64_t item(const ReduceProblem& p, std::size_t k) {
    return static_cast<std::int64_t>(size_of(p.dtypes[k]));
}

// ------------------------------------------------------------------------------ the axes

/// Whether generated code runs along a kept axis, of which there is one.
bool prefers_columns(ReduceProblem& p) {
    const std::span<ReduceAxis> rows = reduced(p), columns = kept(p);
    if (columns.empty() || p.parts > 1) return false;
    if (rows.empty()) return true;
    const auto contiguous = [&](const ReduceAxis& axis) {
        int count = 0;
        for (std::size_t k = 0; k < p.sources; ++k) count += axis.strides[k] == item(p, k);
        return count;
    };
    const ReduceAxis &row = rows.back(), &column = columns.back();
    if (contiguous(column) > contiguous(row)) return column.extent >= short_columns;
    return row.extent < short_row && column.extent >= short_row &&
           product(rows) < tree::passes_of_a_block * tree::rows_of_a_pass;
}

/// Takes the last axis of a kind out of the problem.
ReduceAxis take_last(AxisRoom<max_rank>& axes, std::size_t& count) { return axes[--count]; }

// ------------------------------------------------------------------------------ common

struct ReductionRun {
    Reducer& reducer;
    CallKey key;
    ReduceProblem& problem;
    bool parallel;
    const Shape& shape;
    Location where;
    bool missed = false;  ///< code that had to be compiled
};

/// Splits n pieces of `size` elements each over threads where that pays.
template <class F> void split_pieces(const ReductionRun& run, double cost, std::int64_t n,
                                     std::int64_t size, const F& work) {
    cost = std::max(cost, least_reduction_cost_ns);
    const double total = static_cast<double>(n) * static_cast<double>(size);
    if (!run.parallel || total < static_cast<double>(parallel_threshold(cost)) ||
        num_threads() == 1) {
        work(0, n);
        return;
    }
    const double pieces =
        reduction_piece_ns / (cost * static_cast<double>(std::max<std::int64_t>(size, 1)));
    split(true, n, static_cast<std::int64_t>(pieces), work, pieces >= 1);
}

/// Memory for partial results: a few on the stack of the caller, more on the heap.
class Partials {
  public:
    std::byte* of(std::int64_t count, DType dtype) {
        const std::int64_t bytes = count * static_cast<std::int64_t>(size_of(dtype));
        if (bytes <= static_cast<std::int64_t>(few_.size())) return few_.data();
        many_ = empty(Shape(count), dtype, Order::c, {});
        return many_.data();
    }

  private:
    alignas(64) std::array<std::byte, 1024> few_;
    Array many_;
};

void set_layouts(ReductionRun& run, const ReduceAxis& inner, std::int64_t out_stride) {
    const ReduceProblem& p = run.problem;
    const std::size_t inputs = run.key.inputs();
    for (std::size_t k = 0; k < p.sources; ++k) {
        const ir::Layout layout = layout_of(inner.strides[k], p.dtypes[k]);
        if (k < inputs) {
            run.key.set_input(k, p.dtypes[k], run.key.input_weak(k), layout);
        } else {
            run.key.set_where(layout);
        }
    }
    if (p.parts == 1) run.key.set_output(0, p.out_dtype, layout_of(out_stride, p.out_dtype), false);
}

using Outs = std::array<std::byte*, max_parts>;

DType part_dtype(const ReduceProblem& p, std::size_t part) {
    return part == 0 ? p.out_dtype : p.out_dtypes[part];
}
/// A stride of the first part of a state, as that of another.
std::int64_t part_stride(const ReduceProblem& p, std::size_t part, std::int64_t stride) {
    return part == 0 ? stride
                     : stride / static_cast<std::int64_t>(size_of(p.out_dtype)) *
                           static_cast<std::int64_t>(size_of(p.out_dtypes[part]));
}

/// The partial results at `data`, reduced along their last axes; `axes` are the kept ones, with the
/// strides of the final result, and `count` partial results lie `stride` bytes apart.
void reduce_partials(const ReductionRun& run, const Outs& data, std::span<ReduceAxis> axes,
                     std::int64_t count, std::int64_t stride) {
    const ReduceProblem& p = run.problem;
    ReduceProblem next;
    next.sources = next.parts = p.parts;
    next.out_dtype = p.out_dtype;
    next.out = p.out;
    next.reduced[0] = {.extent = count, .strides = {stride}};
    for (std::size_t part = 0; part < p.parts; ++part) {
        next.data[part] = data[part];
        next.dtypes[part] = part_dtype(p, part);
        next.reduced[0].strides[part] = part_stride(p, part, stride);
        if (part > 0) next.outs[part] = p.outs[part];
        next.out_dtypes[part] = part_dtype(p, part);
        for (ReduceAxis& axis : axes) axis.strides[part] = part_stride(p, part, axis.strides[0]);
    }
    for (const ReduceAxis& axis : axes) next.kept[next.kept_count++] = axis;
    next.reduced_count = 1;
    const bool cast = run.reducer.states() == nullptr && !is_bool(p.out_dtype);
    CallKey key(p.parts, Casting::same_kind, cast ? std::optional(p.out_dtype) : std::nullopt);
    for (std::size_t part = 0; part < p.parts; ++part)
        key.set_input(part, next.dtypes[part], false, ir::Layout::strided);
    run_reduction(run.reducer.partials(), key, next, run.parallel, {}, run.where);
}

// ------------------------------------------------------------------------------ rows

/// Part of the rows of a problem: columns [first, first + columns) of each, in `blocks` blocks that
/// are one row of generated code each.
struct RowPart {
    std::int64_t first, columns, blocks;
    Outs outs;  ///< of the parts of a state, or one
};

/// The outer axes of the rows form: kept ones, then reduced ones, with the strides of the results.
struct RowAxes {
    AxisRoom<2 * max_rank> list;
    std::size_t count = 0;
};

void make_row_plan(CallPlan& plan, const ReduceProblem& p, const RowAxes& outer,
                   const ReduceAxis& inner, const RowPart& part, std::int64_t block_stride) {
    const std::size_t operands = p.sources + p.parts;
    plan.operand_count = static_cast<int>(operands);
    plan.columns = part.columns;
    // The rows of a slab: the blocks, or else the last outer axis.
    const bool by_blocks = part.blocks > 1 || outer.count == 0;
    const ReduceAxis* const row = by_blocks ? nullptr : &outer.list[outer.count - 1];
    const std::size_t outer_count = outer.count - (by_blocks ? 0 : 1);
    plan.rows = by_blocks ? part.blocks : row->extent;
    plan.outer_rank = static_cast<int>(outer_count);
    plan.total_rows = plan.rows;
    for (std::size_t a = 0; a < outer_count; ++a) {
        plan.outer_extents[a] = outer.list[a].extent;
        plan.total_rows *= outer.list[a].extent;
    }
    for (std::size_t k = 0; k < operands; ++k) {
        const bool out = k >= p.sources;
        const std::size_t to = out ? k - p.sources : 0;
        const auto stride = [&](const ReduceAxis& axis) {
            return out ? part_stride(p, to, axis.out_stride) : axis.strides[k];
        };
        PlannedOperand& operand = plan.operands[k];
        operand.data = out ? part.outs[to] : p.data[k] + part.first * inner.strides[k];
        operand.inner = out ? 0 : inner.strides[k];
        operand.outer = !by_blocks ? stride(*row)
                        : out      ? part_stride(p, to, block_stride)
                                   : part.columns * inner.strides[k];
        for (std::size_t a = 0; a < outer_count; ++a) operand.strides[a] = stride(outer.list[a]);
    }
}

/// The logical index of the iteration of a fault.
std::int64_t logical_index(const CallPlan& plan, const RowAxes& outer, const ReduceAxis& inner,
                           const RowPart& part, const Shape& shape, std::int64_t at) {
    Shape index = Shape::filled(shape.rank(), 0);
    const std::int64_t column = at % plan.columns;
    std::int64_t row = at / plan.columns, block = 0;
    if (part.blocks > 1) {
        block = row % part.blocks;
        row /= part.blocks;
    }
    if (inner.dimension >= 0) index[inner.dimension] = part.first + block * part.columns + column;
    for (std::size_t a = outer.count; a-- > 0;) {
        index[outer.list[a].dimension] = row % outer.list[a].extent;
        row /= outer.list[a].extent;
    }
    std::int64_t linear = 0;
    for (int d = 0; d < shape.rank(); ++d) linear = linear * shape[d] + index[d];
    return linear;
}

/// Runs part of the rows; `fault` keeps the failed check with the lowest index.
void run_part(const ReductionRun& run, const Variant& code, const RowAxes& outer,
              const ReduceAxis& inner, const RowPart& part, std::int64_t block_stride,
              CallFault& fault) {
    CallPlan plan;
    make_row_plan(plan, run.problem, outer, inner, part, block_stride);
    std::mutex mutex;
    split_pieces(run, code.cost, plan.total_rows, plan.columns,
                 [&](std::int64_t begin, std::int64_t end) {
                     CallFault own;
                     run_region(plan, code.entry, {begin, end, 0, plan.columns}, own);
                     if (own.code == abi::no_fault) [[likely]]
                         return;
                     own.index = logical_index(plan, outer, inner, part, run.shape, own.index);
                     const std::lock_guard lock(mutex);
                     if (fault.code == abi::no_fault || own.index < fault.index) fault = own;
                 });
}

void run_rows(ReductionRun& run) {
    ReduceProblem& p = run.problem;
    ReduceAxis inner;  // of one element where nothing is reduced
    for (std::size_t k = 0; k < p.sources; ++k) inner.strides[k] = item(p, k);
    if (p.reduced_count > 0) inner = take_last(p.reduced, p.reduced_count);
    set_layouts(run, inner, static_cast<std::int64_t>(size_of(p.out_dtype)));
    const Variant& code = run.reducer.variant(ReduceForm::row, run.key, run.where, &run.missed);

    const std::int64_t n = inner.extent, blocks = ceil_div(n, tree::block_columns);
    const std::int64_t partials = blocks * product(reduced(p));
    const auto out_item = static_cast<std::int64_t>(size_of(p.out_dtype));
    RowAxes outer;
    for (const ReduceAxis& axis : kept(p)) outer.list[outer.count++] = axis;
    for (const ReduceAxis& axis : reduced(p)) outer.list[outer.count++] = axis;
    Partials memory;
    std::vector<Partials> of_parts(p.parts - 1);
    Outs outs;
    outs[0] = p.out;
    for (std::size_t k = 1; k < p.parts; ++k) outs[k] = p.outs[k];
    AxisRoom<max_rank> result;  // the kept axes of the partial results
    if (partials > 1) {
        for (std::size_t k = 0; k < p.parts; ++k)
            outs[k] = (k == 0 ? memory : of_parts[k - 1])
                          .of(partials * product(kept(p)), part_dtype(p, k));
        std::int64_t stride = out_item * blocks;
        for (std::size_t a = outer.count; a-- > 0;) {
            ReduceAxis& axis = outer.list[a];
            if (a < p.kept_count) {
                result[a] = axis;
                result[a].strides = {stride};
            }
            axis.out_stride = stride;
            stride *= axis.extent;
        }
    }
    CallFault fault;
    const std::int64_t whole = n / tree::block_columns;
    if (blocks == 1) {
        run_part(run, code, outer, inner, {0, n, 1, outs}, out_item, fault);
    } else {
        run_part(run, code, outer, inner, {0, tree::block_columns, whole, outs}, out_item, fault);
        if (const std::int64_t rest = n % tree::block_columns; rest > 0) {
            Outs behind = outs;
            for (std::size_t k = 0; k < p.parts; ++k)
                behind[k] += part_stride(p, k, whole * out_item);
            run_part(run, code, outer, inner, {whole * tree::block_columns, rest, 1, behind},
                     out_item, fault);
        }
    }
    if (fault.code != abi::no_fault) throw_fault(*code.kernel, fault, run.shape, run.where);
    if (partials > 1) {
        reduce_partials(run, outs, result.first(p.kept_count), partials, out_item);
    }
}

// ------------------------------------------------------------------------------ columns

/// Walks the rows of a problem in the order of its reduced axes.
class RowCursor {
  public:
    RowCursor(std::span<const ReduceAxis> axes, std::size_t sources, std::int64_t row)
        : axes_(axes), sources_(sources) {
        for (std::size_t a = axes.size(); a-- > 0;) {
            index_[a] = row % axes[a].extent;
            row /= axes[a].extent;
            for (std::size_t k = 0; k < sources; ++k) offsets_[k] += index_[a] * axes[a].strides[k];
        }
    }
    std::int64_t offset(std::size_t k) const { return offsets_[k]; }
    void advance() {
        for (std::size_t a = axes_.size(); a-- > 0;) {
            const bool wraps = ++index_[a] == axes_[a].extent;
            const std::int64_t steps = wraps ? 1 - axes_[a].extent : 1;
            for (std::size_t k = 0; k < sources_; ++k) offsets_[k] += steps * axes_[a].strides[k];
            if (!wraps) return;
            index_[a] = 0;
        }
    }

  private:
    std::span<const ReduceAxis> axes_;
    std::size_t sources_;
    std::array<std::int64_t, max_rank> index_{};
    std::array<std::int64_t, max_inputs + 1> offsets_{};
};

/// The kernels of the columns form, as far as the number of rows asks for them.
struct Passes {
    MapFunction first = nullptr, next = nullptr, first_one = nullptr, next_one = nullptr;
    std::int64_t rows = 1;  ///< of a pass
    double cost = 0;        ///< of one element of one row
};

std::int64_t rows_in_a_pass(const ReductionRun& run) {
    return run.reducer.traced(ReduceForm::row, run.key.types(), run.where).rows;
}

Passes passes_for(ReductionRun& run, std::int64_t total_rows) {
    Passes passes;
    const auto get = [&](ReduceForm form) {
        const Variant& code = run.reducer.variant(form, run.key, run.where, &run.missed);
        const bool one = form == ReduceForm::first_one || form == ReduceForm::next_one;
        passes.cost = code.cost / static_cast<double>(one ? 1 : passes.rows);
        return code.entry;
    };
    passes.rows = rows_in_a_pass(run);
    const std::int64_t most = tree::passes_of_a_block * passes.rows;
    const std::int64_t block = std::min(total_rows, most), last = total_rows % most;
    if (passes.rows > 1) {
        const bool short_block = block < passes.rows || (last > 0 && last < passes.rows);
        if (short_block) passes.first_one = get(ReduceForm::first_one);
        if (total_rows % passes.rows > (total_rows < passes.rows ? 1 : 0))
            passes.next_one = get(ReduceForm::next_one);
        if (block >= passes.rows) passes.first = get(ReduceForm::first);
        if (block >= 2 * passes.rows) passes.next = get(ReduceForm::next);
    } else {
        passes.first_one = get(ReduceForm::first_one);
        if (block > 1) passes.next_one = get(ReduceForm::next_one);
    }
    return passes;
}

/// Columns [first, first + columns) of the rows [begin, end), into one row at `out`.
struct Cell {
    std::int64_t begin, end, first, columns;
    std::array<std::int64_t, max_inputs + 1> offsets;  ///< of the kept axes
    std::byte* out;
    std::int64_t out_stride;
};

void run_cell(const ReduceProblem& p, const ReduceAxis& inner, std::span<const ReduceAxis> axes,
              const Passes& passes, const Cell& cell) {
    abi::MapCall<tree::rows_of_a_pass*(max_inputs + 1) + 2> frame;
    Fault fault;  // kernels with checks take the rows form
    frame.map = {cell.columns, 1, &fault};
    std::array<std::byte*, max_inputs + 1> data{};
    for (std::size_t k = 0; k < p.sources; ++k)
        data[k] = p.data[k] + cell.offsets[k] + cell.first * inner.strides[k];
    std::byte* const out = cell.out + cell.first * cell.out_stride;
    // Rows of one axis are evenly spaced, so one call of generated code makes many passes: its rows
    // are the passes, all of which write the same row of results.
    const bool even = axes.size() < 2;
    RowCursor cursor(axes, p.sources, cell.begin);
    for (std::int64_t row = cell.begin; row < cell.end;) {
        const bool running = row > cell.begin;
        const std::int64_t left = cell.end - row;
        const std::int64_t count = left >= passes.rows ? passes.rows : 1;
        const bool one = count == 1;
        frame.map.rows = running && even ? left / count : 1;
        std::size_t place = 0;
        for (std::int64_t r = 0; r < count; ++r, cursor.advance()) {
            for (std::size_t k = 0; k < p.sources; ++k) {
                const std::int64_t pass = even && !axes.empty() ? count * axes[0].strides[k] : 0;
                frame.operands[place++] = {data[k] + cursor.offset(k), inner.strides[k], pass};
            }
        }
        if (running) frame.operands[place++] = {out, cell.out_stride, 0};
        frame.operands[place] = {out, cell.out_stride, 0};
        const MapFunction entry = running ? (one ? passes.next_one : passes.next)
                                          : (one ? passes.first_one : passes.first);
        frame.run(entry);
        row += count * frame.map.rows;
        if (frame.map.rows > 1) cursor = RowCursor(axes, p.sources, row);
    }
}

void run_columns(ReductionRun& run) {
    ReduceProblem& p = run.problem;
    const ReduceAxis inner = take_last(p.kept, p.kept_count);
    const std::span<const ReduceAxis> outer = kept(p), rows = reduced(p);
    const std::int64_t n = inner.extent, total_rows = product(rows), slabs = product(outer);
    const auto out_item = static_cast<std::int64_t>(size_of(p.out_dtype));
    const std::int64_t rows_of_a_block = tree::passes_of_a_block * rows_in_a_pass(run);
    const std::int64_t blocks = ceil_div(total_rows, rows_of_a_block);
    const std::int64_t out_stride = blocks > 1 ? out_item : inner.out_stride;
    set_layouts(run, inner, out_stride);
    const Passes passes = passes_for(run, total_rows);

    Partials memory;
    std::byte* const out = blocks > 1 ? memory.of(slabs * blocks * n, p.out_dtype) : p.out;
    // Chunks of columns: of a size that stays in the cache, and enough of them for the threads.
    std::int64_t width = chunk_bytes / out_item;
    const double cost = std::max(passes.cost, least_reduction_cost_ns);
    const std::int64_t block = std::min(total_rows, rows_of_a_block);
    if (run.parallel && slabs * blocks < 4 * num_threads()) {
        const double least = reduction_piece_ns / (cost * static_cast<double>(block));
        const std::int64_t share = ceil_div(n * slabs * blocks, 4 * num_threads());
        width = std::min(width, std::max(share, static_cast<std::int64_t>(least)));
    }
    width = ceil_div(std::max<std::int64_t>(width, 1), column_unit) * column_unit;
    const std::int64_t chunks = ceil_div(n, width);
    const auto work = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin; at < end; ++at) {
            const std::int64_t chunk = at % chunks, b = at / chunks % blocks;
            std::int64_t slab = at / chunks / blocks;
            Cell cell{b * rows_of_a_block,
                      std::min((b + 1) * rows_of_a_block, total_rows),
                      chunk * width,
                      std::min(width, n - chunk * width),
                      {},
                      out,
                      out_stride};
            if (blocks > 1) cell.out += (slab * blocks + b) * n * out_item;
            for (std::size_t a = outer.size(); a-- > 0;) {
                const std::int64_t i = slab % outer[a].extent;
                slab /= outer[a].extent;
                for (std::size_t k = 0; k < p.sources; ++k)
                    cell.offsets[k] += i * outer[a].strides[k];
                if (blocks == 1) cell.out += i * outer[a].out_stride;
            }
            run_cell(p, inner, rows, passes, cell);
        }
    };
    split_pieces(run, passes.cost, slabs * blocks * chunks, std::min(width, n) * block, work);
    if (blocks == 1) return;

    AxisRoom<max_rank> result;
    std::int64_t stride = blocks * n * out_item;
    for (std::size_t a = outer.size(); a-- > 0;) {
        result[a] = outer[a];
        result[a].strides = {stride};
        stride *= outer[a].extent;
    }
    result[outer.size()] = inner;
    result[outer.size()].strides = {out_item};
    reduce_partials(run, {out}, result.first(outer.size() + 1), blocks, n * out_item);
}

}  // namespace

void make_problem(ReduceProblem& p, std::span<const OperandView> sources, const Shape& shape,
                  unsigned bits, const Array& out, bool keepdims) {
    p.sources = sources.size();
    p.out = out.data();
    p.out_dtype = out.dtype();
    for (std::size_t k = 0; k < sources.size(); ++k) {
        p.data[k] = sources[k].data;
        p.dtypes[k] = sources[k].dtype;
    }
    int own = 0;  // the axis of the result
    for (int d = 0; d < shape.rank(); ++d) {
        const bool reduced = (bits >> d & 1U) != 0;
        const int place = own;
        if (!reduced || keepdims) ++own;
        if (shape[d] == 1) continue;
        ReduceAxis& axis = reduced ? p.reduced[p.reduced_count++] : p.kept[p.kept_count++];
        axis = {.extent = shape[d], .dimension = d};
        for (std::size_t k = 0; k < sources.size(); ++k)
            axis.strides[k] = broadcast_stride(sources[k], shape, d);
        if (!reduced) axis.out_stride = out.stride(place);
    }
}

void make_problem(ReduceProblem& p, std::span<const OperandView> sources, const Shape& shape,
                  unsigned bits, std::span<const Array> parts, bool keepdims) {
    make_problem(p, sources, shape, bits, parts[0], keepdims);
    p.parts = parts.size();
    for (std::size_t k = 0; k < parts.size(); ++k) {
        p.outs[k] = parts[k].data();
        p.out_dtypes[k] = parts[k].dtype();
    }
}

void arrange_axes(ReduceProblem& p, std::span<ReduceAxis> axes, std::size_t& count) {
    for (ReduceAxis& axis : axes) {
        int backwards = 0;
        for (std::size_t k = 0; k < p.sources; ++k)
            backwards += (axis.strides[k] < 0) - (axis.strides[k] > 0);
        if (backwards <= 0) continue;
        for (std::size_t k = 0; k < p.sources; ++k) {
            p.data[k] += axis.strides[k] * (axis.extent - 1);
            axis.strides[k] = -axis.strides[k];
        }
        for (std::size_t part = 1; part < p.parts; ++part)
            p.outs[part] += part_stride(p, part, axis.out_stride) * (axis.extent - 1);
        p.out += axis.out_stride * (axis.extent - 1);
        axis.out_stride = -axis.out_stride;
    }
    sort_axes(axes, [&](const ReduceAxis& axis) {
        std::int64_t sum = 0;
        for (std::size_t k = 0; k < p.sources; ++k) sum += std::abs(axis.strides[k]);
        return sum;
    });
    count = merge_axes(axes, [&](const ReduceAxis& outer, const ReduceAxis& inner) {
        bool whole = outer.out_stride == inner.out_stride * inner.extent;
        for (std::size_t k = 0; k < p.sources; ++k)
            whole = whole && outer.strides[k] == inner.strides[k] * inner.extent;
        return whole;
    });
}

bool run_reduction(Reducer& reducer, CallKey key, ReduceProblem& problem, bool parallel,
                   const Shape& shape, Location where) {
    ReductionRun run{reducer, key, problem, parallel, shape, where};
    if (!problem.logical_order) {
        arrange_axes(problem, kept(problem), problem.kept_count);
        arrange_axes(problem, reduced(problem), problem.reduced_count);
        if (prefers_columns(problem)) {
            run_columns(run);
            return !run.missed;
        }
    }
    run_rows(run);
    return !run.missed;
}

void combine_scalar(ir::Reduction reduction, const Array& out, const Scalar& x, Location where) {
    const Array value = Array::of(x, where);
    std::array<OperandView, 3> operands;
    view_array(operands[0], value, false);
    view_array(operands[1], out, false);
    view_array(operands[2], out, false);
    CallPlan plan;
    make_call_plan(plan, out.shape(), operands, 2, false);
    CallKey key(1, Casting::same_kind,
                is_bool(out.dtype()) ? std::nullopt : std::optional(out.dtype()));
    key.set_input(0, out.dtype(), false, plan.operands[0].layout);
    key.set_output(0, out.dtype(), plan.operands[2].layout, false);
    const Variant& code = partial_reducer(reduction).variant(ReduceForm::next_one, key, where);
    run_call_plan(plan, code.entry, 0);
}

}  // namespace kiln::engine
