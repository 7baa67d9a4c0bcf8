// The plain loops of breadth.def, for the vectors of the flags that this file is compiled with.
#include "tests/bench/breadth.h"

#include <cmath>

namespace breadth {
namespace {

#define BREADTH_MAP(id, From, To, kiln, plain)                     \
    void id(const void* a, const void*, void* b, std::int64_t n) { \
        const auto* __restrict x = static_cast<const From*>(a);    \
        auto* __restrict z = static_cast<To*>(b);                  \
        for (std::int64_t i = 0; i < n; ++i) z[i] = plain;         \
    }
#define BREADTH_PAIR(id, T, kiln, plain)                                      \
    void id(const void* a, const void* c, void* b, std::int64_t n) {          \
        const auto* __restrict x = static_cast<const T*>(a);                  \
        [[maybe_unused]] const auto* __restrict y = static_cast<const T*>(c); \
        auto* __restrict z = static_cast<T*>(b);                              \
        for (std::int64_t i = 0; i < n; ++i) {                                \
            plain                                                             \
        }                                                                     \
    }
#define BREADTH_FOLD(id, From, To, kiln, plain)                    \
    void id(const void* a, const void*, void* b, std::int64_t n) { \
        const auto* __restrict x = static_cast<const From*>(a);    \
        auto* __restrict z = static_cast<To*>(b);                  \
        plain                                                      \
    }
#include "tests/bench/breadth.def"
#undef BREADTH_MAP
#undef BREADTH_PAIR
#undef BREADTH_FOLD

}  // namespace

#define BREADTH_MAP(id, From, To, kiln, plain) id,
#define BREADTH_PAIR(id, T, kiln, plain) id,
#define BREADTH_FOLD(id, From, To, kiln, plain) id,
const Plain BREADTH_LOOPS[] = {
#include "tests/bench/breadth.def"
};

}  // namespace breadth
