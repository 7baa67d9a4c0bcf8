// When a call uses threads, and how its work is cut: for element-wise calls, reductions, scans,
// statistics and sorting. None of it changes a bit of any result. (Parallel loops of kernels are
// measured while they run: loops/run_loop_kernel.cpp.)
#pragma once
#include <kiln/dtype.h>
#include <kiln/parallel.h>

#include "dsl/ir/ir.h"
#include "runtime/integers.h"

#include <algorithm>

namespace kiln::engine {

using detail::ceil_div;

/// How an operand lies along the inner axis of a walk.
constexpr ir::Layout layout_of(std::int64_t stride, DType dtype) {
    return stride == static_cast<std::int64_t>(size_of(dtype)) ? ir::Layout::unit
           : stride == 0                                       ? ir::Layout::uniform
                                                               : ir::Layout::strided;
}

/// Pieces begin at multiples of this many columns, so that vectors and their remainders fall the
/// same way wherever a row is cut.
inline constexpr std::int64_t column_unit = 64;

/// Waking a worker costs from 0.3 us (spinning) to tens of us (parked): below this much estimated
/// work a second thread loses more often than it wins. Estimates are high where operands lie in the
/// caches, so this is 7 to 14 us of real time. It is 133,000 iterations of the cheapest loop.
inline constexpr double least_parallel_ns = 20'000;
/// What the cheapest element-wise loop needs for one element: a load and a store in the second
/// cache; and what the cheapest reduction needs, which stores nothing.
inline constexpr double least_map_cost_ns = 0.15, least_reduction_cost_ns = 0.1;
/// Work of one piece: long against the claiming of a piece (tens of ns), short enough that threads
/// that come late still find some. Of an element-wise call it is 17,000 iterations of the cheapest
/// loop; the pieces of a reduction end with what is combined later, so they are longer.
inline constexpr double map_piece_ns = 2'500, reduction_piece_ns = 5'000;
/// Of work that is as long as the reading of memory takes: some 20 us of it.
inline constexpr std::int64_t least_parallel_bytes = 524'288;
/// Work of a parallel loop of a kernel, as measured, in microseconds: of one whose iterations take
/// about the same, so that little of it may be shared by few threads, and of others.
inline constexpr std::int64_t even_loop_us = 5, uneven_loop_us = 10;
/// Elements to sort: some 20 us and more.
inline constexpr std::int64_t least_parallel_sorted = 2'000;

/// work(begin, end) for pieces of [0, n) of `grain` each: on threads, or all at once.
template <class F>
void split(bool threads, std::int64_t n, std::int64_t grain, const F& work, bool brief = false) {
    if (!threads || n < 2) {
        work(0, n);
    } else {
        parallel_for(n, std::max<std::int64_t>(1, grain), work, brief);
    }
}

}  // namespace kiln::engine
