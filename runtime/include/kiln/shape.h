// Small tuples of extents, strides or indices, and the broadcasting rule.
#pragma once
#include <kiln/error.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace kiln {

/// The greatest rank of an Array.
inline constexpr int max_rank = 8;

namespace detail {
[[noreturn]] void throw_rank_too_high(std::size_t rank);

/// Any C++ integer, so that `zeros({rows.size(), 3})` needs no cast.
struct Extent {
    std::int64_t value;
    template <std::integral I> constexpr Extent(I extent)
        : value(static_cast<std::int64_t>(extent)) {}
};
}  // namespace detail

/// Up to max_rank integers held inline: a shape, byte strides, or one index per axis. More than
/// max_rank of them throw a shape error. `Shape{}` is the shape of a scalar, `Shape(5)` is (5,).
class Shape {
  public:
    constexpr Shape() = default;
    template <std::integral I> constexpr Shape(I extent) : rank_(1) {
        values_[0] = static_cast<std::int64_t>(extent);
    }
    constexpr Shape(std::initializer_list<detail::Extent> extents) {
        if (extents.size() > max_rank) detail::throw_rank_too_high(extents.size());
        for (const detail::Extent& extent : extents) values_[rank_++] = extent.value;
    }
    constexpr Shape(std::span<const std::int64_t> extents) {
        if (extents.size() > max_rank) detail::throw_rank_too_high(extents.size());
        for (const std::int64_t extent : extents) values_[rank_++] = extent;
    }
    /// `rank` times the same value.
    static constexpr Shape filled(int rank, std::int64_t value) {
        if (rank < 0 || rank > max_rank)
            detail::throw_rank_too_high(static_cast<std::size_t>(rank));
        Shape shape;
        for (; shape.rank_ < static_cast<std::size_t>(rank); ++shape.rank_)
            shape.values_[shape.rank_] = value;
        return shape;
    }

    constexpr int rank() const { return static_cast<int>(rank_); }  ///< how many there are
    constexpr std::size_t size() const { return rank_; }            ///< the same, unsigned
    constexpr bool empty() const { return rank_ == 0; }             ///< of a scalar
    /// The value of axis `d`, 0 <= d < rank(); not checked.
    constexpr std::int64_t operator[](int d) const { return values_[static_cast<std::size_t>(d)]; }
    constexpr std::int64_t& operator[](int d) { return values_[static_cast<std::size_t>(d)]; }
    constexpr const std::int64_t* data() const { return values_.data(); }
    constexpr const std::int64_t* begin() const { return values_.data(); }
    constexpr const std::int64_t* end() const { return values_.data() + rank_; }
    constexpr std::int64_t* begin() { return values_.data(); }
    constexpr std::int64_t* end() { return values_.data() + rank_; }
    constexpr operator std::span<const std::int64_t>() const { return {values_.data(), rank_}; }

    /// Puts a value before axis `d` (0 <= d <= rank()).
    constexpr void insert(int d, std::int64_t value) {
        if (rank_ == max_rank) detail::throw_rank_too_high(rank_ + 1);
        for (std::size_t k = rank_; k > static_cast<std::size_t>(d); --k)
            values_[k] = values_[k - 1];
        values_[static_cast<std::size_t>(d)] = value;
        ++rank_;
    }
    constexpr void erase(int d) {
        for (std::size_t k = static_cast<std::size_t>(d); k + 1 < rank_; ++k)
            values_[k] = values_[k + 1];
        values_[--rank_] = 0;
    }
    constexpr void push_back(std::int64_t value) { insert(rank(), value); }

    /// Unused places hold 0, so equality of the whole is equality of the tuples.
    constexpr bool operator==(const Shape&) const = default;

  private:
    std::array<std::int64_t, max_rank> values_{};
    std::size_t rank_ = 0;
};

/// "(3,4)", "(5,)", "()".
std::string to_string(const Shape& shape);

/// Number of elements of an array of this shape. A negative extent, or a product over 2^63 - 1, is
/// a shape error that names the shape.
std::int64_t element_count(const Shape& shape, Location where = std::source_location::current());

/// The shape of the results of an element-wise operation: aligned at the last axis, extents equal
/// or 1. Shape error "cannot broadcast (3,4) with (5,)" naming the first two shapes that disagree.
/// Of no shapes at all the result is ().
Shape broadcast_shapes(std::span<const Shape> shapes,
                       Location where = std::source_location::current());
Shape broadcast_shapes(std::initializer_list<Shape> shapes,
                       Location where = std::source_location::current());

/// True where an array of shape `from` may be read as one of shape `to` (NumPy's broadcast_to).
bool can_broadcast(const Shape& from, const Shape& to);

namespace detail {
[[noreturn]] void throw_cannot_broadcast(const Shape& a, const Shape& b, Location where);
[[noreturn]] void throw_out_of_bounds(const Shape& index, const Shape& shape, Location where);
}  // namespace detail

}  // namespace kiln
