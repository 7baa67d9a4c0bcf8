// A typed window on array memory: what C++ code indexes, and what plain C++ kernels take.
#pragma once
#include <kiln/dtype.h>
#include <kiln/shape.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <type_traits>

namespace kiln {

namespace detail {
/// An index that remembers the line where it was written.
struct LocatedIndex {
    std::int64_t value;
    std::source_location where;
    template <std::integral I>
    constexpr LocatedIndex(I index, std::source_location where = std::source_location::current())
        : value(static_cast<std::int64_t>(index)), where(where) {}
};

/// What an element is read as. Memory from elsewhere may hold other bytes than 0 and 1 for bool,
/// which mean true, but which no reference to a bool may lead to.
template <class T>
using ElementReference = std::conditional_t<std::is_same_v<T, const bool>, bool, T&>;
template <class T> ElementReference<T> element_at(T* at) {
    if constexpr (std::is_same_v<T, const bool>) {
        return *reinterpret_cast<const unsigned char*>(at) != 0;
    } else {
        return *at;
    }
}
}  // namespace detail

/// R-dimensional view of elements of type T with byte strides. Trivially copyable; owns nothing:
/// the memory must outlive it. `View<const T, R>` only reads; of bool it gives values, for which
/// any byte but 0 is true. A `View<bool, R>` needs memory of bytes 0 and 1.
template <class T, int R>
    requires(Element<T> && R >= 0 && R <= max_rank)
class View {
  public:
    using element_type = T;  ///< const where elements are only read
    using Extents = std::array<std::int64_t, static_cast<std::size_t>(R)>;  ///< one for each axis
    static constexpr int rank = R;                                          ///< the number of axes

    View() = default;
    /// Strides in bytes; they may be negative or zero, and keep every element aligned for T.
    constexpr View(T* data, const Extents& extents, const Extents& strides)
        : data_(data), extents_(extents), strides_(strides) {}
    /// C order.
    constexpr View(T* data, const Extents& extents) : data_(data), extents_(extents) {
        std::int64_t stride = sizeof(T);
        for (int d = R; d-- > 0;) {
            strides_[static_cast<std::size_t>(d)] = stride;
            stride *= extents[static_cast<std::size_t>(d)];
        }
    }
    template <class U>
        requires(std::is_same_v<const U, T> && !std::is_const_v<U>)
    constexpr View(const View<U, R>& other)
        : data_(other.data()), extents_(other.extents()), strides_(other.strides()) {}
    /// The element at index 0 of every axis; the extent of axis d, 0 <= d < R.
    constexpr T* data() const { return data_; }
    constexpr std::int64_t extent(int d) const { return extents_[static_cast<std::size_t>(d)]; }
    /// In bytes.
    constexpr std::int64_t stride(int d) const { return strides_[static_cast<std::size_t>(d)]; }
    constexpr const Extents& extents() const { return extents_; }
    constexpr const Extents& strides() const { return strides_; }
    constexpr std::int64_t size() const {
        std::int64_t product = 1;
        for (const std::int64_t extent : extents_) product *= extent;
        return product;
    }

    /// The element at one index per axis; not checked, and negative indices do not wrap.
    template <std::integral... I>
        requires(sizeof...(I) == R)
    detail::ElementReference<T> operator()(I... index) const {
        std::int64_t offset = 0;
        [[maybe_unused]] std::size_t d = 0;
        ((offset += static_cast<std::int64_t>(index) * strides_[d++]), ...);
        return detail::element_at(element(offset));
    }

    /// The element at one index per axis. Out of range is a bounds error with the caller's line:
    /// "index (3,7) is out of bounds for shape (3,5)". Negative indices do not wrap.
    template <std::integral... I>
        requires(R > 0 && sizeof...(I) + 1 == R)
    detail::ElementReference<T> at(detail::LocatedIndex first, I... rest) const {
        const Extents index{first.value, static_cast<std::int64_t>(rest)...};
        std::int64_t offset = 0;
        bool inside = true;
        for (std::size_t d = 0; d < R; ++d) {
            inside = inside && index[d] >= 0 && index[d] < extents_[d];
            offset += inside ? index[d] * strides_[d] : 0;
        }
        if (!inside) {
            detail::throw_out_of_bounds(std::span<const std::int64_t>(index),
                                        std::span<const std::int64_t>(extents_), first.where);
        }
        return detail::element_at(element(offset));
    }

  private:
    T* element(std::int64_t offset) const {
        using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
        return reinterpret_cast<T*>(reinterpret_cast<Byte*>(data_) + offset);
    }

    T* data_ = nullptr;
    Extents extents_{};
    Extents strides_{};
};

}  // namespace kiln
