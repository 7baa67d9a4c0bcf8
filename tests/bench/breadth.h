// What both halves of `breadth` know: the plain loops, in the order of breadth.def.
#pragma once
#include <cstdint>

namespace breadth {

/// (x, y, z, number of elements)
using Plain = void (*)(const void*, const void*, void*, std::int64_t);
extern const Plain native_loops[], avx2_loops[];

}  // namespace breadth
