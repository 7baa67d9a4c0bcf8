// What the machine can do: rows of the workload "limit". clang only.
//   memory R->W [streaming]   reads R arrays and writes W of n[0] bytes each (p[0..2] in, p[3] out)
//   fma, add, both, sqrt, div n[0] vector operations that depend on nothing but 12 steps back;
//   `both`
//                             alternates fma and add, which are separate units on some CPUs
#include "tests/bench/drivers.h"
#include "tests/bench/hand/simd.h"

namespace {

using Word = std::uint64_t;
constexpr std::size_t words = lanes<Word>;
using V = Vec<Word, words>;

template <int Reads, int Writes, bool Stream> void move(const Args& a, std::size_t from,
                                                        std::size_t to) {
    V sums[4] = {};
    Word* out = output<Word>(a, 3);
    for (std::size_t i = from; i < to; ++i) {
#pragma clang loop unroll(full)
        for (std::size_t u = 0; u < 4; ++u) {
            const std::size_t at = (4 * i + u) * words;
            V v = V(Word(i));
            if constexpr (Reads > 0) v = load<Word, words>(input<Word>(a, 0) + at);
            if constexpr (Reads > 1) v ^= load<Word, words>(input<Word>(a, 1) + at);
            if constexpr (Reads > 2) v ^= load<Word, words>(input<Word>(a, 2) + at);
            if constexpr (Writes == 0)
                sums[u] ^= v;
            else if constexpr (Stream)
                stream<Word>(out + at, v);
            else
                store<Word, words>(out + at, v);
        }
    }
    if constexpr (Writes == 0) {
        for (V& s : sums) asm volatile("" : : "v"(s));
    }
    if constexpr (Stream) stream_fence();
}
template <int Reads, int Writes, bool Stream> void serial(const Args* a) {
    move<Reads, Writes, Stream>(*a, 0, size(*a) / (4 * register_bytes));
}
template <int Reads, int Writes, bool Stream> void threaded(const Args* a) {
    const std::size_t turns = size(*a) / (4 * register_bytes);
    tbb::parallel_for(Range(0, turns, std::max<std::size_t>(256, turns / 64)),
                      [a](const Range& r) { move<Reads, Writes, Stream>(*a, r.begin(), r.end()); });
}

template <class T, class Op> void peak(std::int64_t operations, Op op) {
    using V = Vec<T, lanes<T>>;
    constexpr int chains = 12;
    V v[chains];
    for (int c = 0; c < chains; ++c) v[c] = V(T(1) + T(c) / 16);
    for (std::int64_t i = 0; i < operations / chains; ++i)
#pragma clang loop unroll(full)
        for (int c = 0; c < chains; ++c) {
            v[c] = op(v[c]);
            asm volatile("" : "+v"(v[c]));
        }
}
template <class T> void fma_rate(const Args* a) {
    using V = Vec<T, lanes<T>>;
    peak<T>(a->n[0], [](V x) { return fma(x, V(T(0.5)), V(T(0.25))); });
}
template <class T> void add_rate(const Args* a) {
    using V = Vec<T, lanes<T>>;
    peak<T>(a->n[0], [](V x) { return x + V(T(0.25)); });
}
template <class T> void both_rate(const Args* a) {
    using V = Vec<T, lanes<T>>;
    constexpr int chains = 6;
    V v[chains], w[chains];
    for (int c = 0; c < chains; ++c) v[c] = w[c] = V(T(1) + T(c) / 16);
    for (std::int64_t i = 0; i < a->n[0] / (2 * chains); ++i)
#pragma clang loop unroll(full)
        for (int c = 0; c < chains; ++c) {
            v[c] = fma(v[c], V(T(0.5)), V(T(0.25)));
            asm volatile("" : "+v"(v[c]));
            w[c] = w[c] + V(T(0.25));
            asm volatile("" : "+v"(w[c]));
        }
}
template <class T> void sqrt_rate(const Args* a) {
    peak<T>(a->n[0], [](Vec<T, lanes<T>> x) { return vsqrt(x); });
}
template <class T> void div_rate(const Args* a) {
    using V = Vec<T, lanes<T>>;
    peak<T>(a->n[0], [](V x) { return V(T(1.5)) / x; });
}
/// Lanes of one register, to p[3]: what turns a rate of vector operations into one of elements.
void register_size(const Args* a) { *output<std::int64_t>(*a, 3) = register_bytes; }

#define MOVES(reads, writes, text)                                \
    {"limit", "bytes", 1, text, serial<reads, writes, false>}, {  \
        "limit", "bytes", 0, text, threaded<reads, writes, false> \
    }
#define STREAMS(reads, text)                                             \
    {"limit", "bytes", 1, text " streaming", serial<reads, 1, true>}, {  \
        "limit", "bytes", 0, text " streaming", threaded<reads, 1, true> \
    }
#define RATES(T)                                             \
    {"limit", dtype_name<T>, 1, "fma", fma_rate<T>},         \
        {"limit", dtype_name<T>, 1, "add", add_rate<T>},     \
        {"limit", dtype_name<T>, 1, "both", both_rate<T>},   \
        {"limit", dtype_name<T>, 1, "sqrt", sqrt_rate<T>}, { \
        "limit", dtype_name<T>, 1, "div", div_rate<T>        \
    }
constexpr Entry rows[] = {MOVES(1, 0, "read 1 write 0"),
                          MOVES(2, 0, "read 2 write 0"),
                          MOVES(0, 1, "read 0 write 1"),
                          STREAMS(0, "read 0 write 1"),
                          MOVES(1, 1, "read 1 write 1"),
                          STREAMS(1, "read 1 write 1"),
                          MOVES(2, 1, "read 2 write 1"),
                          STREAMS(2, "read 2 write 1"),
                          MOVES(3, 1, "read 3 write 1"),
                          STREAMS(3, "read 3 write 1"),
                          RATES(float),
                          RATES(double),
                          {"limit", "bytes", 1, "register", register_size},
                          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
