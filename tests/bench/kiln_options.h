// What kiln's variants share.
#pragma once
#include <kiln/kiln.h>

#include "tests/bench/abi.h"

enum class Mode : std::uint8_t { strict_serial, strict_parallel, fast_serial, fast_parallel };
constexpr bool is_fast(Mode m) { return m == Mode::fast_serial || m == Mode::fast_parallel; }
constexpr bool is_parallel(Mode m) {
    return m == Mode::strict_parallel || m == Mode::fast_parallel;
}

/// The array over p[i]; made anew only where the case changed.
template <class T> const kiln::Array& array(const Args& a, int i, const kiln::Shape& shape) {
    static thread_local kiln::Array arrays[8];
    kiln::Array& x = arrays[i];
    if (x.data() != static_cast<std::byte*>(a.p[i]) || x.shape() != shape)
        x = kiln::Array::over(static_cast<T*>(a.p[i]), shape);
    return x;
}
