// Serial and TBB rows of a workload class W, which has
//   name, T                       the workload and its element type
//   extent(a), grain(a)           outer iterations, and the fewest of them worth a task
// and either  void range(a, from, to)                     for a map
// or          T range(a, from, to), result(a) -> place    for a sum over all iterations.
#pragma once
#include "tests/bench/abi.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>

using Range = tbb::blocked_range<std::size_t>;

template <class W>
inline constexpr bool is_sum =
    !std::is_void_v<decltype(W::range(std::declval<const Args&>(), std::size_t(), std::size_t()))>;

template <class W> void run_serial(const Args* a) {
    if constexpr (is_sum<W>)
        *W::result(*a) = W::range(*a, 0, W::extent(*a));
    else
        W::range(*a, 0, W::extent(*a));
}
template <class W> void run_tbb(const Args* a) {
    const Range all(0, W::extent(*a), W::grain(*a));
    if constexpr (is_sum<W>) {
        using T = typename W::T;
        *W::result(*a) = tbb::parallel_reduce(
            all, T(0),
            [a](const Range& r, T sum) { return sum + W::range(*a, r.begin(), r.end()); },
            [](T x, T y) { return x + y; });
    } else {
        tbb::parallel_for(all, [a](const Range& r) { W::range(*a, r.begin(), r.end()); });
    }
}
template <class W> constexpr Entry serial_row(const char* variant) {
    return {W::name, dtype_name<typename W::T>, 1, variant, run_serial<W>};
}
template <class W> constexpr Entry tbb_row(const char* variant) {
    return {W::name, dtype_name<typename W::T>, 0, variant, run_tbb<W>};
}

/// What most workloads are: n elements of type E.
template <class E> struct Elementwise {
    using T = E;
    static std::size_t extent(const Args& a) { return size(a); }
    static std::size_t grain(const Args& a) { return std::max<std::size_t>(8192, size(a) / 128); }
};
