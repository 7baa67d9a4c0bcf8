// Carrying a scan out, in one of two forms that shape and strides determine:
//
//   rows      generated code runs along the axis of the scan. A row is cut into blocks; a group of
//             blocks is one item of work:
//                 totals of its blocks, by the row kernel of the reduction
//                 wait for the carry of the item before; publish the carry of the next
//                 scan its blocks, each with its carry
//             Threads take items in order, so the item that one waits for is always under way.
//   columns   generated code runs along another axis, and combines the row of results before with
//             the next row: one after the other, all columns at once
#include "codegen/trees.h"
#include "dsl/ir/evaluate.h"
#include "jit/call/threads.h"
#include "jit/reduce/chunks.h"
#include "jit/reduce/scan.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace kiln::engine {

namespace {

/// Bytes of a row of results that one piece of the columns form walks down with: it is read again
/// for each row, so it must stay in the first-level cache.
constexpr std::int64_t column_bytes = 8'192;
/// Columns fewer than this leave most of a register empty.
constexpr std::int64_t short_columns = 8;

/// What is scanned, by shape and strides: the axis of the scan, and the others arranged.
struct ScanProblem {
    std::byte *source, *out;
    DType source_dtype, dtype;
    ReduceAxis along;
    AxisRoom<max_rank> others;
    std::size_t other_count = 0;

    std::int64_t item() const { return static_cast<std::int64_t>(size_of(dtype)); }
    std::int64_t rows() const {
        std::int64_t n = 1;
        for (std::size_t a = 0; a < other_count; ++a) n *= others[a].extent;
        return n;
    }
};

ScanProblem problem_of(const Array& source, const Array& out, int axis) {
    // Arranged by the strides of the results, which matter more: as a reduction of both.
    std::array<OperandView, 2> views;
    view_array(views[0], out, false);
    view_array(views[1], source, false);
    ReduceProblem p;
    make_problem(p, views, source.shape(), 1U << axis, out, true);
    arrange_axes(p, p.kept.first(p.kept_count), p.kept_count);
    ScanProblem problem{p.data[1], p.data[0], source.dtype(), out.dtype(), {}, {}, p.kept_count};
    for (std::size_t a = 0; a < p.kept_count; ++a) {
        problem.others[a] = p.kept[a];
        problem.others[a].strides[0] = p.kept[a].strides[1];
    }
    problem.along.extent = source.extent(axis);
    problem.along.strides[0] = source.stride(axis);
    problem.along.out_stride = out.stride(axis);
    return problem;
}

/// The frame of a kernel of up to four operands.
struct Frame : abi::MapCall<4> {
    Fault fault;

    void run(MapFunction entry, std::int64_t columns, std::int64_t rows) {
        map = {columns, rows, &fault};
        MapCall::run(entry);
    }
};

// ------------------------------------------------------------------------------ columns

bool run_columns(Reducer& reducer, CallKey key, ScanProblem& p, bool parallel, Location where) {
    bool missed = false;
    const ReduceAxis inner = p.others[--p.other_count];
    key.set_input(0, p.source_dtype, false, layout_of(inner.strides[0], p.source_dtype));
    key.set_output(0, p.dtype, layout_of(inner.out_stride, p.dtype), false);
    const MapFunction first = reducer.variant(ReduceForm::first_one, key, where, &missed).entry;
    const std::int64_t n = p.along.extent, slabs = p.rows();
    const MapFunction next =
        n > 1 ? reducer.variant(ReduceForm::next_one, key, where, &missed).entry : nullptr;
    const std::int64_t bytes =
        slabs * n * inner.extent * (p.item() + static_cast<std::int64_t>(size_of(p.source_dtype)));
    const bool threads = parallel && bytes >= least_parallel_bytes && num_threads() > 1;
    std::int64_t width = column_bytes / p.item();
    if (threads) width = std::min(width, ceil_div(slabs * inner.extent, 2 * num_threads()));
    width = ceil_div(width, column_unit) * column_unit;
    const std::int64_t pieces = ceil_div(inner.extent, width);
    const auto work = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t column = i % pieces * width;
            std::byte *source = p.source + column * inner.strides[0],
                      *out = p.out + column * inner.out_stride;
            std::int64_t slab = i / pieces;
            for (std::size_t a = p.other_count; a-- > 0;) {
                source += slab % p.others[a].extent * p.others[a].strides[0];
                out += slab % p.others[a].extent * p.others[a].out_stride;
                slab /= p.others[a].extent;
            }
            const std::int64_t columns = std::min(width, inner.extent - column);
            const std::int64_t down = p.along.strides[0], out_down = p.along.out_stride;
            Frame frame;
            frame.operands[0] = {source, inner.strides[0], 0};
            frame.operands[1] = {out, inner.out_stride, 0};
            frame.run(first, columns, 1);
            if (n == 1) continue;
            frame.operands[0] = {source + down, inner.strides[0], down};
            frame.operands[1] = {out, inner.out_stride, out_down};
            frame.operands[2] = {out + out_down, inner.out_stride, out_down};
            frame.run(next, columns, n - 1);
        }
    };
    split(threads, slabs * pieces, 1, work);
    return !missed;
}

// ------------------------------------------------------------------------------ rows

/// The carries between items, in order of the items.
class Carries {
  public:
    Carries(std::int64_t items, std::size_t size)
        : size_(size),
          values_(static_cast<std::size_t>(items + 1) * size),
          ready_(new std::atomic<bool>[static_cast<std::size_t>(items + 1)]()) {}

    std::byte* wait(std::int64_t item) {
        const std::atomic<bool>& ready = ready_[static_cast<std::size_t>(item)];
        for (int spins = 0; !ready.load(std::memory_order_acquire); ++spins)
            if (spins >= 1000) std::this_thread::yield();
        return values_.data() + static_cast<std::size_t>(item) * size_;
    }
    void publish(std::int64_t item, const std::byte* value) {
        const auto at = static_cast<std::size_t>(item);
        std::memcpy(values_.data() + at * size_, value, size_);
        ready_[at].store(true, std::memory_order_release);
    }

  private:
    std::size_t size_;
    std::vector<std::byte> values_;
    std::unique_ptr<std::atomic<bool>[]> ready_;
};

/// The elements of a row in the opposite order; at any alignment.
template <std::size_t Size>
void copy_backwards(const std::byte* from, std::byte* to, std::int64_t count) {
    constexpr auto size = static_cast<std::int64_t>(Size);
    for (std::int64_t i = 0; i < count; ++i)
        std::memcpy(to + i * size, from + (count - 1 - i) * size, Size);
}
void copy_backwards(const std::byte* from, std::byte* to, std::int64_t count, std::size_t size) {
    switch (size) {
        case 1: return copy_backwards<1>(from, to, count);
        case 2: return copy_backwards<2>(from, to, count);
        case 4: return copy_backwards<4>(from, to, count);
        case 8: return copy_backwards<8>(from, to, count);
        default: return copy_backwards<16>(from, to, count);
    }
}

class RowScan {
  public:
    RowScan(Reducer& reducer, CallKey key, const ScanProblem& problem, Location where)
        : p_(problem), nothing_(ir::neutral(reducer.reduction(), problem.dtype)) {
        group_ =
            std::max<std::int64_t>(1, tree::scan_group_bytes / (tree::scan_columns * p_.item()));
        blocks_ = ceil_div(p_.along.extent, tree::scan_columns);
        groups_ = ceil_div(blocks_, group_);
        const std::int64_t inner = p_.along.strides[0];
        backwards_ = inner == -source_item() && p_.along.out_stride == -p_.item();
        key.set_input(0, p_.source_dtype, false,
                      backwards_ ? ir::Layout::unit : layout_of(inner, p_.source_dtype));
        if (blocks_ > 1) {
            key.set_output(0, p_.dtype, ir::Layout::unit, false);
            totals_ = reducer.variant(ReduceForm::row, key, where, &missed_).entry;
            CallKey partial(1, Casting::same_kind,
                            is_bool(p_.dtype) ? std::nullopt : std::optional(p_.dtype));
            partial.set_input(0, p_.dtype, false, ir::Layout::unit);
            partial.set_output(0, p_.dtype, ir::Layout::unit, false);
            carries_ = partial_reducer(reducer.reduction())
                           .variant(ReduceForm::scan, partial, where)
                           .entry;
        }
        key.set_output(0, p_.dtype,
                       backwards_ ? ir::Layout::unit : layout_of(p_.along.out_stride, p_.dtype),
                       false);
        if (streams()) key.set_streaming();
        scan_ = reducer.variant(ReduceForm::scan, key, where, &missed_).entry;
    }

    bool missed() const { return missed_; }

    void run(bool parallel) {
        if (blocks_ == 1) return run_short_rows(parallel);
        const std::int64_t items = p_.rows() * groups_;
        Carries carries(items, size_of(p_.dtype));
        std::atomic<std::int64_t> next{0};
        const auto worker = [&](std::int64_t begin, std::int64_t end) {
            for (; begin < end; ++begin)
                for (std::int64_t i = next++; i < items; i = next++) run_item(i, carries);
        };
        const std::int64_t workers = parallel && bytes() >= least_parallel_bytes
                                         ? std::min<std::int64_t>(num_threads(), items)
                                         : 1;
        parallel_for(workers, 1, worker);
    }

  private:
    std::int64_t source_item() const { return static_cast<std::int64_t>(size_of(p_.source_dtype)); }
    std::int64_t bytes() const { return p_.rows() * p_.along.extent * (p_.item() + source_item()); }
    /// Stores past the caches: every row must begin at a register's alignment, so that vectors
    /// fall the same as with ordinary stores.
    bool streams() const {
        auto bits = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(p_.out));
        for (std::size_t a = 0; a < p_.other_count; ++a) bits |= p_.others[a].out_stride;
        return bytes() >= abi::streaming_bytes && p_.out != p_.source &&
               p_.along.out_stride == p_.item() && bits % 64 == 0 && !is_complex(p_.dtype);
    }

    /// Offsets of source and result of row `row`.
    std::pair<std::int64_t, std::int64_t> offsets(std::int64_t row) const {
        std::int64_t source = 0, out = 0;
        for (std::size_t a = p_.other_count; a-- > 0;) {
            source += row % p_.others[a].extent * p_.others[a].strides[0];
            out += row % p_.others[a].extent * p_.others[a].out_stride;
            row /= p_.others[a].extent;
        }
        return {source, out};
    }

    /// Rows of one block each.
    void run_short_rows(bool parallel) {
        const bool some = p_.other_count > 0;
        const ReduceAxis last = some ? p_.others[p_.other_count - 1] : ReduceAxis{};
        const std::int64_t rows = p_.rows();
        const auto work = [&](std::int64_t begin, std::int64_t end) {
            while (begin < end) {
                const std::int64_t count = std::min(end - begin, last.extent - begin % last.extent);
                const auto [source, out] = offsets(begin);
                scan(p_.source + source, last.strides[0], nothing_.bytes.data(), 0, p_.out + out,
                     last.out_stride, p_.along.extent, count);
                begin += count;
            }
        };
        split(parallel && bytes() >= least_parallel_bytes, rows, 65'536 * rows / bytes(), work);
    }

    void run_item(std::int64_t item, Carries& carries) {
        const std::int64_t row = item / groups_, group = item % groups_;
        const auto [source_offset, out_offset] = offsets(row);
        const std::int64_t first = group * group_, count = std::min(group_, blocks_ - first);
        const std::int64_t begin = first * tree::scan_columns;
        const std::int64_t columns = std::min(count * tree::scan_columns, p_.along.extent - begin);
        const std::int64_t whole = columns / tree::scan_columns,
                           rest = columns % tree::scan_columns;
        std::byte* const source = p_.source + source_offset + begin * p_.along.strides[0];
        std::byte* const out = p_.out + out_offset + begin * p_.along.out_stride;
        const std::int64_t step = tree::scan_columns * p_.along.strides[0],
                           out_step = tree::scan_columns * p_.along.out_stride;
        // before[b] is the carry of block b; the last one that of the next item.
        const std::int64_t size = p_.item();
        std::vector<std::byte> memory(static_cast<std::size_t>((2 * count + 1) * size));
        std::byte *const totals = memory.data(), *const before = totals + count * size;
        const bool goes_on = group + 1 < groups_;
        const std::int64_t needed = goes_on ? count : count - 1;
        Frame frame;
        if (needed > 0) {
            // Backwards, a block begins at its last element: a total does not depend on the order.
            const std::int64_t low =
                backwards_ ? (tree::scan_columns - 1) * p_.along.strides[0] : 0;
            frame.operands[0] = {source + low, p_.along.strides[0], step};
            frame.operands[1] = {totals, 0, size};
            frame.run(totals_, tree::scan_columns, needed);
        }
        std::memcpy(before, group == 0 ? nothing_.bytes.data() : carries.wait(item),
                    static_cast<std::size_t>(size));
        if (needed > 0) {
            frame.operands[0] = {totals, size, 0};
            frame.operands[1] = {before, 0, 0};
            frame.operands[2] = {before + size, size, 0};
            frame.run(carries_, needed, 1);
        }
        if (goes_on) carries.publish(item + 1, before + count * size);
        scan(source, step, before, size, out, out_step, tree::scan_columns, whole);
        if (rest > 0) {
            scan(source + whole * step, step, before + whole * size, size, out + whole * out_step,
                 out_step, rest, 1);
        }
    }

    void scan(std::byte* source, std::int64_t step, std::byte* carry, std::int64_t carry_step,
              std::byte* out, std::int64_t out_step, std::int64_t columns, std::int64_t rows) {
        Frame frame;
        if (backwards_) {
            // By way of buffers in the first-level cache, since gathering and scattering elements
            // takes several times as long.
            const auto memory = std::make_unique_for_overwrite<std::byte[]>(
                static_cast<std::size_t>(columns * (source_item() + p_.item())));
            std::byte *const in = memory.get(), *const results = in + columns * source_item();
            for (std::int64_t r = 0; r < rows; ++r) {
                copy_backwards(source + r * step - (columns - 1) * source_item(), in, columns,
                               size_of(p_.source_dtype));
                frame.operands[0] = {in, source_item(), 0};
                frame.operands[1] = {carry + r * carry_step, 0, 0};
                frame.operands[2] = {results, p_.item(), 0};
                frame.run(scan_, columns, 1);
                copy_backwards(results, out + r * out_step - (columns - 1) * p_.item(), columns,
                               size_of(p_.dtype));
            }
            return;
        }
        frame.operands[0] = {source, p_.along.strides[0], step};
        frame.operands[1] = {carry, 0, carry_step};
        frame.operands[2] = {out, p_.along.out_stride, out_step};
        frame.run(scan_, columns, rows);
    }

    const ScanProblem& p_;
    Scalar nothing_;
    bool missed_ = false;     ///< code that had to be compiled
    bool backwards_ = false;  ///< contiguous, from the last element to the first
    std::int64_t group_ = 1, blocks_ = 1, groups_ = 1;  ///< blocks of a group and a row; groups
    MapFunction totals_ = nullptr, carries_ = nullptr, scan_ = nullptr;
};

}  // namespace

bool run_scan(Reducer& reducer, CallKey key, const Array& source, const Array& out, int axis,
              bool parallel, Location where) {
    ScanProblem p = problem_of(source, out, axis);
    const bool columns =
        p.other_count > 0 && p.others[p.other_count - 1].extent >= short_columns &&
        std::abs(p.others[p.other_count - 1].out_stride) < std::abs(p.along.out_stride);
    if (columns) return run_columns(reducer, key, p, parallel, where);
    RowScan scan(reducer, key, p, where);
    scan.run(parallel);
    return !scan.missed();
}

}  // namespace kiln::engine
