#include "jit/loops/schedule.h"

#include <algorithm>
#include <atomic>

namespace kiln::engine {

using RunPart = FunctionRef<void(std::int64_t first, std::int64_t last)>;

namespace {

/// Runs worker(t) for every t below `threads`, at the same time where there are threads enough.
void each_worker(std::int64_t threads, FunctionRef<void(std::int64_t)> worker) {
    parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) worker(t);
    });
}

void deal_equally(std::int64_t count, std::int64_t threads, RunPart run) {
    const std::int64_t share = count / threads, longer = count % threads;
    each_worker(threads, [&](std::int64_t t) {
        const std::int64_t first = t * share + std::min(t, longer);
        const std::int64_t last = first + share + (t < longer ? 1 : 0);
        if (first < last) run(first, last);
    });
}

void deal_in_turn(std::int64_t count, std::int64_t chunk, std::int64_t threads, RunPart run) {
    const std::int64_t pieces = (count - 1) / chunk + 1;
    each_worker(std::min(threads, pieces), [&](std::int64_t t) {
        for (std::int64_t piece = t; piece < pieces; piece += threads)
            run(piece * chunk, std::min(count, (piece + 1) * chunk));
    });
}

/// size(left): of the next piece, where `left` iterations are left.
void deal_on_demand(std::int64_t count, std::int64_t threads, RunPart run,
                    FunctionRef<std::int64_t(std::int64_t left)> size) {
    std::atomic<std::int64_t> next{0};
    each_worker(threads, [&](std::int64_t) {
        std::int64_t first = next.load(std::memory_order_relaxed);
        while (first < count) {
            const std::int64_t last = first + std::min(count - first, size(count - first));
            if (!next.compare_exchange_weak(first, last, std::memory_order_relaxed)) continue;
            run(first, last);
            first = next.load(std::memory_order_relaxed);
        }
    });
}

}  // namespace

void deal_out(ir::Schedule schedule, std::int64_t count, std::int64_t chunk, RunPart run) {
    if (count <= 0) return;
    const std::int64_t threads = num_threads();
    chunk = std::min(chunk, count);
    switch (schedule) {
        case ir::Schedule::static_:
            if (chunk > 0) return deal_in_turn(count, chunk, threads, run);
            return deal_equally(count, threads, run);
        case ir::Schedule::automatic:
        case ir::Schedule::dynamic: {
            const std::int64_t size =
                chunk > 0 ? chunk : std::max<std::int64_t>(1, count / (16 * threads));
            return deal_on_demand(count, threads, run, [&](std::int64_t) { return size; });
        }
        case ir::Schedule::guided:
            return deal_on_demand(count, threads, run, [&](std::int64_t left) {
                return std::max({left / (2 * threads), chunk, std::int64_t(1)});
            });
    }
    __builtin_unreachable();
}

}  // namespace kiln::engine
