// The sizes of the workloads of generalised ufuncs: n cores; workloads.py has the same.
#pragma once
#include <cstddef>

namespace gufuncs {
inline constexpr std::size_t softmax_columns = 1024, row = 128, signal = 4096, taps = 32;
}
