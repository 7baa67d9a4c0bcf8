// The arguments of a call as jit sees them.
#pragma once
#include <kiln/arguments.h>
#include <kiln/array.h>

#include <functional>
#include <span>
#include <string>
#include <utility>

namespace kiln::engine {

inline constexpr int max_arguments = static_cast<int>(kiln::detail::max_arguments);
inline constexpr int max_inputs = max_arguments - 1;
inline constexpr int max_parts = 8;  ///< of the state of a reduction
/// Inputs, where, outputs or parts.
inline constexpr int max_operands = max_inputs + 1 + max_parts;

/// One operand as the caller gave it. Nothing is owned: extents and strides point at the caller's.
/// Trivial, so that a call's array of them costs nothing; every field is set by whoever makes one.
struct OperandView {
    std::byte* data;
    const std::int64_t* extents;
    const std::int64_t* strides;  ///< in bytes
    const Array* array;           ///< where it is one, else null
    int rank;
    DType dtype;
    bool scalar;  ///< a C++ value or Scalar, not an array
    bool weak;
    bool read_only;

    std::int64_t size() const {
        std::int64_t product = 1;
        for (int d = 0; d < rank; ++d) product *= extents[d];
        return product;
    }
    std::int64_t item() const { return static_cast<std::int64_t>(size_of(dtype)); }
    Place place() const { return array == nullptr ? Place() : array->place(); }
    Shape shape() const { return std::span(extents, static_cast<std::size_t>(rank)); }
    bool is_contiguous() const;
    /// Lowest and one past the highest address of any element; equal where there is none.
    std::pair<const std::byte*, const std::byte*> byte_extent() const;
    /// The same elements in the same order as `other`.
    bool same_elements(const OperandView& other) const;
    /// A handle on the elements (which stay the caller's where they are no Array's).
    Array handle() const;
};

/// Makes `view` the view of an array, which must outlive it.
inline void view_of_any_place(OperandView& view, const Array& a, bool weak) {
    view = {a.address(), a.shape().data(), a.strides().data(), &a, a.rank(), a.dtype(), false,
            weak,        a.read_only()};
}
/// The same of an array that is on the host.
inline void view_array(OperandView& view, const Array& a, bool weak) {
    view_of_any_place(view, a, weak);
    view.data = a.data();
}

[[noreturn]] void throw_on_device(const Array& array, const Location& where);
/// Usage error of an array of a device. `where` is a Location, or what gives one.
template <class Where> void check_on_host(const Array& array, const Where& where) {
    if (!array.place().is_host()) [[unlikely]]
        throw_on_device(array, where);
}

/// Whether a call with such arguments runs on a device: where its arrays are, all of them; scalars
/// are anywhere. Usage error, which says how to copy, of arrays here and there. `what`: the name
/// of argument i in errors.
bool runs_on_device(const std::string& kernel, std::span<const OperandView> operands,
                    const std::function<std::string(std::size_t)>& what, const Location& where);

/// True where the byte ranges of the two meet; elements that only interleave count as meeting.
bool may_overlap(const OperandView& a, const OperandView& b);

}  // namespace kiln::engine

namespace kiln::detail {

/// What jit sees of the arguments of a call.
struct CallAccess {
    /// Room for the shape of an operand that is no Array.
    struct Row {
        std::int64_t extent, stride;
    };
    /// Gives whether it is on a device.
    static bool view_of_any_place(const Arg& arg, engine::OperandView& view, Row& row) {
        if (arg.kind_ == Arg::Kind::array) [[likely]] {
            engine::view_of_any_place(view, *arg.array_, false);
            return !arg.array_->place().is_host();
        }
        view_other(arg, view, row);
        return false;
    }
    static bool view_of_any_place(const OutArg& out, engine::OperandView& view, Row& row) {
        if (out.array_ != nullptr) [[likely]] {
            engine::view_of_any_place(view, *out.array_, false);
            return !out.array_->place().is_host();
        }
        row = {out.size_, static_cast<std::int64_t>(size_of(out.dtype_))};
        view = {out.data_, &row.extent, &row.stride, nullptr, 1, out.dtype_, false, false, false};
        return false;
    }
    /// Usage error of an array of a device.
    template <class Where>
    static void view(const Arg& arg, engine::OperandView& view, Row& row, const Where& where) {
        if (view_of_any_place(arg, view, row)) [[unlikely]]
            engine::throw_on_device(*arg.array_, where);
    }
    /// The array that stands for an output: itself, or one over the caller's memory.
    static Array handle(const OutArg& out) {
        if (out.array_ != nullptr) [[likely]]
            return *out.array_;
        return other_handle(out);
    }
    template <class Where>
    static void view(const OutArg& out, engine::OperandView& view, Row& row, const Where& where) {
        if (view_of_any_place(out, view, row)) [[unlikely]]
            engine::throw_on_device(*out.array_, where);
    }

  private:
    static void view_other(const Arg& arg, engine::OperandView& view, Row& row);
    static Array other_handle(const OutArg& out);
};

/// The array that stands for an argument: itself, or one over the caller's memory.
/// Usage error of an array of a device.
Array handle_of(const Arg& arg, const Location& where);
inline Array handle_of(const OutArg& out) { return CallAccess::handle(out); }

}  // namespace kiln::detail
