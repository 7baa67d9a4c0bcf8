// Running a plan: the odometer over its slabs, and its distribution over threads.
#include "jit/call/plan.h"
#include "jit/call/threads.h"

#include <kiln/environment.h>

#include <algorithm>
#include <mutex>

namespace kiln::engine {

namespace {

/// How many elements take `ns`; no flags are raised.
std::int64_t elements_of(double ns, double cost) {
    const kiln::detail::DroppedFlags flags;
    kiln::detail::in_order(cost);
    auto n = static_cast<std::int64_t>(ns / std::max(cost, least_map_cost_ns));
    kiln::detail::in_order(n);
    return n;
}

}  // namespace

std::int64_t parallel_threshold(double cost) { return elements_of(least_parallel_ns, cost) + 1; }

namespace {

template <class Run>
void run_slabs(const CallPlan& plan, const Region& region, CallFault& fault, const Run& run) {
    abi::MapCall<max_operands> frame;
    Fault local;
    const auto count = static_cast<std::size_t>(plan.operand_count);
    const auto outer_rank = static_cast<std::size_t>(plan.outer_rank);
    frame.map.columns = region.column_end - region.column_begin;
    frame.map.fault = &local;
    for (std::int64_t first = region.row_begin; first < region.row_end;) {
        std::int64_t slab = first / plan.rows;
        const std::int64_t row = first % plan.rows;
        const std::int64_t rows = std::min(plan.rows - row, region.row_end - first);
        std::array<std::int64_t, max_rank> index{};
        for (std::size_t a = outer_rank; a-- > 0;) {
            index[a] = slab % plan.outer_extents[a];
            slab /= plan.outer_extents[a];
        }
        frame.map.rows = rows;
        for (std::size_t k = 0; k < count; ++k) {
            const PlannedOperand& operand = plan.operands[k];
            std::int64_t offset = row * operand.outer + region.column_begin * operand.inner;
            for (std::size_t a = 0; a < outer_rank; ++a) offset += index[a] * operand.strides[a];
            frame.operands[k] = {operand.data + offset, operand.inner, operand.outer};
        }
        run(frame);
        if (local.code != abi::no_fault) [[unlikely]] {
            const std::int64_t at =
                (first + local.row) * plan.columns + region.column_begin + local.column;
            if (fault.code == abi::no_fault || at < fault.index) fault = {local.code, at};
            local = Fault{};
        }
        first += rows;
    }
}

}  // namespace

void run_region(const CallPlan& plan, MapFunction entry, const Region& region, CallFault& fault) {
    run_slabs(plan, region, fault, [&](const auto& frame) { frame.run(entry); });
}

CallFault run_call_plan(const CallPlan& plan, const std::function<void(const MapFrame*)>& run) {
    CallFault fault;
    run_slabs(plan, {0, plan.total_rows, 0, plan.columns}, fault,
              [&](const auto& frame) { run(&frame.map); });
    return fault;
}

CallFault run_call_plan(const CallPlan& plan, MapFunction entry, double cost) {
    CallFault fault;
    const Region all{0, plan.total_rows, 0, plan.columns};
    if (cost <= 0 || plan.columns * plan.total_rows < parallel_threshold(cost) ||
        num_threads() == 1) {
        run_region(plan, entry, all, fault);
        return fault;
    }
    std::mutex mutex;
    const auto run = [&](const Region& region) {
        CallFault own;
        run_region(plan, entry, region, own);
        if (own.code == abi::no_fault) [[likely]]
            return;
        const std::lock_guard lock(mutex);
        if (fault.code == abi::no_fault || own.index < fault.index) fault = own;
    };
    const std::int64_t piece = std::max<std::int64_t>(1, elements_of(map_piece_ns, cost));
    if (plan.columns < 2 * piece) {
        // Whole rows to a piece.
        const std::int64_t rows = std::max<std::int64_t>(1, piece / plan.columns);
        parallel_for(
            plan.total_rows, rows,
            [&](std::int64_t begin, std::int64_t end) { run({begin, end, 0, plan.columns}); },
            true);
        return fault;
    }
    // Rows that are cut: piece b of a row is its columns [b * width, (b + 1) * width).
    const std::int64_t width = ceil_div(piece, column_unit) * column_unit;
    const std::int64_t blocks = ceil_div(plan.columns, width);
    const auto cut_rows = [&](std::int64_t begin, std::int64_t end) {
        while (begin < end) {
            const std::int64_t row = begin / blocks, block = begin % blocks;
            const std::int64_t last = std::min(end - begin + block, blocks);
            run({row, row + 1, block * width, std::min(last * width, plan.columns)});
            begin += last - block;
        }
    };
    parallel_for(plan.total_rows * blocks, 1, cut_rows, true);
    return fault;
}

}  // namespace kiln::engine
