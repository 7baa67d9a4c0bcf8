#include "runtime/sort.h"

#include "runtime/pool.h"

#include <tbb/parallel_sort.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <type_traits>

namespace kiln::detail {

namespace {

/// Sorting fewer than this on several threads does not pay.
constexpr std::int64_t parallel_elements = 20'000;

template <class T, class Less>
void sort_range(T* first, std::int64_t n, bool parallel, Less less) {
    const auto all = [&] { tbb::parallel_sort(first, first + n, less); };
    if (parallel && n >= parallel_elements && run_in_pool(all)) return;
    std::sort(first, first + n, less);
}

/// What the elements of a dtype are sorted as.
template <std::size_t Bytes> struct Integers;
template <> struct Integers<1> {
    using Signed = std::int8_t;
};
template <> struct Integers<2> {
    using Signed = std::int16_t;
};
template <> struct Integers<4> {
    using Signed = std::int32_t;
};
template <> struct Integers<8> {
    using Signed = std::int64_t;
};

/// Real numbers have the order of these integers: the bits, those of the magnitude inverted for
/// negative numbers. A NaN loses its sign, and so comes after infinity.
template <class Key> Key swap_order(Key bits) {
    return bits < 0 ? static_cast<Key>(bits ^ std::numeric_limits<Key>::max()) : bits;
}
template <class T> auto key_of(T x) {
    using Key = typename Integers<sizeof(T)>::Signed;
    const auto bits = std::bit_cast<Key>(x);
    const auto real = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(x);
    if (std::isnan(real)) return static_cast<Key>(bits & std::numeric_limits<Key>::max());
    return swap_order(bits);
}

template <class T> constexpr bool is_real_number =
    std::is_floating_point_v<T> || std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

template <class F> bool complex_less(std::complex<F> a, std::complex<F> b) {
    const auto before = [](F x, F y) { return x < y || (std::isnan(y) && !std::isnan(x)); };
    const bool a_nan = std::isnan(a.real()) || std::isnan(a.imag());
    const bool b_nan = std::isnan(b.real()) || std::isnan(b.imag());
    if (a_nan != b_nan) return b_nan;
    if (before(a.real(), b.real())) return true;
    if (before(b.real(), a.real())) return false;
    return before(a.imag(), b.imag());
}

template <class T> void sort_typed(T* data, std::int64_t n, bool parallel) {
    if constexpr (is_real_number<T>) {
        using Key = typename Integers<sizeof(T)>::Signed;
        auto keys = std::make_unique_for_overwrite<Key[]>(static_cast<std::size_t>(n));
        for (std::int64_t i = 0; i < n; ++i) keys[static_cast<std::size_t>(i)] = key_of(data[i]);
        sort_range(keys.get(), n, parallel, std::less<>());
        for (std::int64_t i = 0; i < n; ++i)
            data[i] = std::bit_cast<T>(swap_order(keys[static_cast<std::size_t>(i)]));
    } else if constexpr (IsComplex<T>::value) {
        std::sort(data, data + n, complex_less<typename T::value_type>);
    } else {
        sort_range(data, n, parallel, std::less<>());
    }
}

/// Keys with their positions, so that no two are equal.
template <class Key> struct Placed {
    Key key;
    std::int64_t position;
    bool operator<(const Placed& other) const {
        return key < other.key || (key == other.key && position < other.position);
    }
};

/// As key_of, but zeros are equal and all NaN are: equal elements stay in order.
template <class T> auto position_key(T x) {
    if constexpr (is_real_number<T>) {
        using Key = typename Integers<sizeof(T)>::Signed;
        const auto real = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(x);
        if (real == 0) return Key(0);
        return std::isnan(real) ? std::numeric_limits<Key>::max() : key_of(x);
    } else {
        return x;
    }
}

template <class T>
void positions_typed(const T* data, std::int64_t n, std::int64_t* positions, bool parallel) {
    if constexpr (IsComplex<T>::value) {
        for (std::int64_t i = 0; i < n; ++i) positions[i] = i;
        std::sort(positions, positions + n, [&](std::int64_t a, std::int64_t b) {
            if (complex_less(data[a], data[b])) return true;
            return a < b && !complex_less(data[b], data[a]);
        });
    } else {
        using Entry = Placed<decltype(position_key(*data))>;
        auto entries = std::make_unique_for_overwrite<Entry[]>(static_cast<std::size_t>(n));
        for (std::int64_t i = 0; i < n; ++i)
            entries[static_cast<std::size_t>(i)] = {position_key(data[i]), i};
        sort_range(entries.get(), n, parallel, std::less<>());
        for (std::int64_t i = 0; i < n; ++i)
            positions[i] = entries[static_cast<std::size_t>(i)].position;
    }
}

}  // namespace

void sort_elements(DType dtype, std::byte* data, std::int64_t n, bool parallel) {
    visit_dtype(dtype, [&]<class T>(std::type_identity<T>) {
        sort_typed(reinterpret_cast<T*>(data), n, parallel);
    });
}

void sort_positions(DType dtype, const std::byte* data, std::int64_t n, std::int64_t* positions,
                    bool parallel) {
    visit_dtype(dtype, [&]<class T>(std::type_identity<T>) {
        positions_typed(reinterpret_cast<const T*>(data), n, positions, parallel);
    });
}

template <class T> void select_elements(T* data, std::int64_t n,
                                        std::span<const std::int64_t> positions) {
    T *first = data, *const last = data + n;
    for (const std::int64_t position : positions) {
        if (data + position < first) continue;  // given twice
        std::nth_element(first, data + position, last);
        first = data + position + 1;
    }
}

template void select_elements(float*, std::int64_t, std::span<const std::int64_t>);
template void select_elements(double*, std::int64_t, std::span<const std::int64_t>);
template void select_elements(std::int64_t*, std::int64_t, std::span<const std::int64_t>);
template void select_elements(std::uint64_t*, std::int64_t, std::span<const std::int64_t>);

}  // namespace kiln::detail
