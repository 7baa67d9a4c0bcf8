// Walking strided memory: the axes of one or more operands as a few nested loops.
#pragma once
#include <kiln/shape.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kiln::detail {

/// Stable, without memory, for the few axes of an array.
template <class T, class Before> void insertion_sort(T* items, std::size_t count, Before before) {
    for (std::size_t i = 1; i < count; ++i) {
        for (std::size_t k = i; k > 0 && before(items[k], items[k - 1]); --k)
            std::swap(items[k], items[k - 1]);
    }
}

/// The iteration space of N operands of one shape, simplified without changing which elements meet:
///   axes of extent 1 are dropped;
///   axes along which operand 0 runs backwards are turned round for all operands;
///   axes are ordered by the stride of operand 0, so that its innermost walk is the shortest;
///   neighbouring axes that every operand steps through evenly become one.
/// The order of the elements is thus not that of the indices.
template <std::size_t N> class StridedLoop {
  public:
    StridedLoop(const Shape& shape, const std::array<std::byte*, N>& data,
                const std::array<Shape, N>& strides)
        : data_(data) {
        for (int d = 0; d < shape.rank(); ++d) {
            if (shape[d] == 0) is_empty_ = true;
            if (shape[d] == 1) continue;
            Axis axis{shape[d], {}};
            for (std::size_t k = 0; k < N; ++k) axis.strides[k] = strides[k][d];
            if (axis.strides[0] < 0) turn_round(axis);
            axes_[count_++] = axis;
        }
        if (is_empty_) return;
        insertion_sort(axes_.data(), count_,
                       [](const Axis& a, const Axis& b) { return a.strides[0] > b.strides[0]; });
        merge();
    }

    /// Calls row(pointers, strides, n) for each innermost row.
    template <class Row> void run(Row&& row) const {
        if (is_empty_) return;
        if (count_ == 0) {
            row(data_, std::array<std::int64_t, N>{}, std::int64_t(1));
            return;
        }
        const Axis& inner = axes_[count_ - 1];
        std::array<std::byte*, N> at = data_;
        std::array<std::int64_t, max_rank> position{};
        for (;;) {
            row(at, inner.strides, inner.extent);
            std::size_t d = count_ - 1;
            while (d-- > 0) {
                for (std::size_t k = 0; k < N; ++k) at[k] += axes_[d].strides[k];
                if (++position[d] < axes_[d].extent) break;
                position[d] = 0;
                for (std::size_t k = 0; k < N; ++k) at[k] -= axes_[d].strides[k] * axes_[d].extent;
            }
            if (d == static_cast<std::size_t>(-1)) return;
        }
    }

  private:
    struct Axis {
        std::int64_t extent = 0;
        std::array<std::int64_t, N> strides{};
    };

    void turn_round(Axis& axis) {
        for (std::size_t k = 0; k < N; ++k) {
            data_[k] += axis.strides[k] * (axis.extent - 1);
            axis.strides[k] = -axis.strides[k];
        }
    }

    void merge() {
        std::size_t kept = 0;
        for (std::size_t d = 1; d < count_; ++d) {
            Axis& outer = axes_[kept];
            const Axis& inner = axes_[d];
            bool even = true;
            for (std::size_t k = 0; k < N; ++k)
                even = even && outer.strides[k] == inner.strides[k] * inner.extent;
            if (even) {
                outer.extent *= inner.extent;
                outer.strides = inner.strides;
            } else {
                axes_[++kept] = inner;
            }
        }
        if (count_ > 0) count_ = kept + 1;
    }

    std::array<std::byte*, N> data_;
    std::array<Axis, max_rank> axes_{};
    std::size_t count_ = 0;
    bool is_empty_ = false;
};

}  // namespace kiln::detail
