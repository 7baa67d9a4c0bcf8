// Running sums by hand: in-register prefixes; over threads, blocks that are claimed in order.
#include "tests/bench/abi.h"
#include "tests/bench/hand/simd.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace {

template <class T> using Reg = Vec<T, lanes<T>>;

/// Lane i gets lane i - By, the first lanes 0.
template <class T, int By, int... I> Reg<T> shifted(Reg<T> v, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(Reg<T>(T(0)), v, (I < By ? I : lanes<T> + I - By)...);
}
template <class T, int By = 1> Reg<T> prefix(Reg<T> v) {
    if constexpr (By < lanes<T>) {
        v += shifted<T, By>(v, std::make_integer_sequence<int, lanes<T>>());
        return prefix<T, 2 * By>(v);
    } else {
        return v;
    }
}
template <class T, int... I> Reg<T> last_lane(Reg<T> v, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(v, v, (lanes<T> - 1 + 0 * I)...);
}

/// r[i] = before + x[from] + ... + x[i] for from <= i < to. Only one addition a register waits for
/// the register before.
template <class T, bool Streaming>
void scan(const T* x, T* r, std::size_t from, std::size_t to, T before) {
    constexpr std::size_t N = lanes<T>;
    std::size_t i = from;
    if constexpr (Streaming) {
        for (; i < to && reinterpret_cast<std::uintptr_t>(r + i) % register_bytes != 0; ++i)
            r[i] = before += x[i];
    }
    Reg<T> carry(before);
    for (; i + N <= to; i += N) {
        const Reg<T> own = prefix<T>(load<T, lanes<T>>(x + i));
        if constexpr (Streaming) {
            stream<T>(r + i, own + carry);
        } else {
            store<T, lanes<T>>(r + i, own + carry);
        }
        carry += last_lane<T>(own, std::make_integer_sequence<int, lanes<T>>());
    }
    before = carry[0];
    for (; i < to; ++i) r[i] = before += x[i];
    if constexpr (Streaming) stream_fence();
}

template <class T> T sum(const T* x, std::size_t from, std::size_t to) {
    constexpr std::size_t N = 4 * lanes<T>;
    Vec<T, 4 * lanes<T>> acc(T(0));
    std::size_t i = from;
    for (; i + N <= to; i += N) acc += load<T, 4 * lanes<T>>(x + i);
    T result = total<T, 4 * lanes<T>>(acc);
    for (; i < to; ++i) result += x[i];
    return result;
}

template <class T, bool Streaming> void cumsum(const Args* a) {
    scan<T, Streaming>(input<T>(*a, 0), output<T>(*a, 1), 0, size(*a), T(0));
}

/// Each block is summed, which brings it into the cache; it takes the sum before it from its
/// predecessor, gives its own on, and is scanned.
template <class T, bool Streaming> void cumsum_tbb(const Args* a) {
    const T* x = input<T>(*a, 0);
    const std::size_t n = size(*a), block = 131072 / sizeof(T), blocks = (n + block - 1) / block;
    struct Before {
        T sum = 0;
        std::atomic<bool> known{false};
    };
    const auto before = std::make_unique<Before[]>(blocks + 1);
    before[0].known = true;
    std::atomic<std::size_t> next{0};
    tbb::parallel_for(0, tbb::this_task_arena::max_concurrency(), [&](int) {
        for (std::size_t b = next++; b < blocks; b = next++) {
            const std::size_t from = b * block, to = std::min(n, from + block);
            const T own = sum(x, from, to);
            while (!before[b].known.load(std::memory_order_acquire)) std::this_thread::yield();
            before[b + 1].sum = before[b].sum + own;
            before[b + 1].known.store(true, std::memory_order_release);
            scan<T, Streaming>(x, output<T>(*a, 1), from, to, before[b].sum);
        }
    });
}

#define ROWS(T)                                                          \
    {"cumsum", dtype_name<T>, 1, "", cumsum<T, false>},                  \
        {"cumsum", dtype_name<T>, 1, "streaming", cumsum<T, true>},      \
        {"cumsum", dtype_name<T>, 0, "tbb", cumsum_tbb<T, false>}, {     \
        "cumsum", dtype_name<T>, 0, "streaming tbb", cumsum_tbb<T, true> \
    }
constexpr Entry rows[] = {ROWS(float), ROWS(double), {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
