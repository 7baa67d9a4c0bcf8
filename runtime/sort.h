// Sorting and selecting elements of any dtype.
//
// The order is NumPy's: ascending, NaN last; complex numbers by real part, then by imaginary part,
// those with a NaN last. Results are a function of the elements alone (-0 comes before +0; the sign
// of a NaN is lost), whatever the number of threads.
#pragma once
#include <kiln/dtype.h>

#include <cstdint>
#include <span>

namespace kiln::detail {

/// Sorts n elements in place.
void sort_elements(DType dtype, std::byte* data, std::int64_t n, bool parallel);

/// The permutation that sorts the elements; equal ones stay in order.
void sort_positions(DType dtype, const std::byte* data, std::int64_t n, std::int64_t* positions,
                    bool parallel);

/// Puts the elements that sorting would put at `positions` (ascending) there; no NaN is among them.
template <class T>
void select_elements(T* data, std::int64_t n, std::span<const std::int64_t> positions);
extern template void select_elements(float*, std::int64_t, std::span<const std::int64_t>);
extern template void select_elements(double*, std::int64_t, std::span<const std::int64_t>);
extern template void select_elements(std::int64_t*, std::int64_t, std::span<const std::int64_t>);
extern template void select_elements(std::uint64_t*, std::int64_t, std::span<const std::int64_t>);

}  // namespace kiln::detail
