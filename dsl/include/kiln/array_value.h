// Whole arrays as values in loop kernels: slices, reductions over axes, products.
//
// In, Out, InOut, Scratch and slices of them are operands like Values: `a + b`, `exp(a)`, `a > 0`,
// `select(a > 0, a, 0)`. Operations are element by element, and extents meet as NumPy's do: aligned
// at the last axis, extents of 1 repeat. Such an extent is 1 in an array argument, by new_axis, or
// by keepdims; other extents have to be equal (Error shape when the kernel runs, with the line and
// both shapes). The right side of an assignment is computed before the first element is stored.
#pragma once
#include <kiln/dsl.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

namespace kiln {

/// The first or last index of a slice; `{}` is the end of the dimension.
class SliceBound {
  public:
    SliceBound() = default;
    template <class T>
        requires(std::is_constructible_v<Operand, const T&, std::source_location> &&
                 !std::is_same_v<T, SliceBound>)
    SliceBound(const T& index, std::source_location where = std::source_location::current())
        : operand_(Operand(index, where)) {}
    const std::optional<Operand>& operand() const { return operand_; }  ///< nothing: the end

  private:
    std::optional<Operand> operand_;
};

namespace detail {
/// The caller's line, of a type that `{}` does not convert to.
struct CallSite {
    CallSite(std::source_location where) : where(where) {}
    std::source_location where;
};
}  // namespace detail

/// What a slice takes of one dimension: `{}` all of it, `i` one index (the dimension is left out of
/// the slice), `{start, stop}` or `{start, stop, step}` as in NumPy: `{1, -1}` is 1:-1, `{{}, {},
/// -1}` is ::-1. Negative bounds count from the end, and bounds beyond an end are that end; an
/// index neither wraps nor is cut, unless it is a negative C++ integer, which counts from the end.
/// Steps are C++ integers other than 0.
class SliceArg {
  public:
    SliceArg() = default;
    template <class T>
        requires(std::is_constructible_v<Operand, const T&, std::source_location> &&
                 !std::is_same_v<T, SliceArg>)
    SliceArg(const T& index, detail::CallSite at = std::source_location::current())
        : index_(Operand(index, at.where)) {}
    SliceArg(SliceBound start, SliceBound stop, std::int64_t step = 1)
        : start_(start.operand()), stop_(stop.operand()), step_(step) {}

  private:
    friend class KernelArray;
    std::optional<Operand> index_, start_, stop_;
    std::int64_t step_ = 1;
};

/// The axes of a reduction: one, several, or all by default. Negative ones count from the last.
class FoldAxes {
  public:
    FoldAxes() = default;
    template <std::integral I> FoldAxes(I axis) : list_(std::in_place, 1, static_cast<int>(axis)) {}
    FoldAxes(std::initializer_list<int> axes);
    const std::optional<std::vector<int>>& list() const { return list_; }  ///< nothing: all

  private:
    std::optional<std::vector<int>> list_;
};

/// The options of a reduction of array values: sum(a * b, {.axis = 0, .keepdims = true}).
struct FoldOptions {
    FoldAxes axis = {};     ///< which go
    bool keepdims = false;  ///< they stay, of extent 1
};

/// A part of an array of the kernel: a value where it is used, and assigned to like the array.
class ArraySlice : public Operand {
  public:
    ArraySlice(const ArraySlice&) = default;
    // Slices are temporaries, for which the assignment of an Operand does it and knows the line.
    ArraySlice& operator=(const ArraySlice&) & = delete;
    template <class T>
        requires(std::is_same_v<std::remove_cvref_t<T>, ArraySlice>)
    ArraySlice& operator=(T&&) & {
        static_assert(detail::always_false<T>,
                      "kiln: p = q of slices that are kept in variables says not whether elements "
                      "are stored: write p = Value(q)");
        return *this;
    }
    const ArraySlice& operator=(Operand value) const;
    const ArraySlice& operator+=(Operand value) const;
    const ArraySlice& operator-=(Operand value) const;
    const ArraySlice& operator*=(Operand value) const;
    const ArraySlice& operator/=(Operand value) const;
    int rank() const { return rank_; }  ///< dimensions that are left
    /// The extent of a dimension of the slice, an i64.
    Value extent(int dimension, Where where = Where::current()) const;
    /// As the functions of these names do.
    Value sum(const FoldOptions& options = {}, Where where = Where::current()) const;
    Value min(const FoldOptions& options = {}, Where where = Where::current()) const;
    Value max(const FoldOptions& options = {}, Where where = Where::current()) const;
    Value mean(const FoldOptions& options = {}, Where where = Where::current()) const;

  private:
    friend class Operand;
    friend class KernelArray;
    friend class Scratch;
    friend class dsl::Trace;
    explicit ArraySlice(Where where) : Operand(Handle{~0U, 0}, where) {}

    std::uint32_t param_ = 0;
    std::vector<std::uint32_t> nodes_;  // start, step, extent for each dimension of the array
    std::uint64_t dropped_ = 0;
    bool of_const_copy_ = false;  // of a Scratch: only read
    int rank_ = 0;
};

/// Reductions of array values, over all axes by default: then a scalar. Sums and products of bool
/// and small integers accumulate in i64 or u64, those of f16 and bf16 in f32. Without elements sum
/// is 0, prod 1, all true, any false, and mean NaN; min and max are Error shape when the kernel
/// runs. NaN wins in min and max. Errors: shape (no such axis, an axis twice), type (complex
/// numbers in min and max).
Value sum(Operand a, const FoldOptions& options = {});
Value prod(Operand a, const FoldOptions& options = {});
Value min(Operand a, const FoldOptions& options = {});
Value max(Operand a, const FoldOptions& options = {});
Value mean(Operand a, const FoldOptions& options = {});
Value any(Operand a, const FoldOptions& options = {});
Value all(Operand a, const FoldOptions& options = {});

/// The sum of products over the last axis of `a` and the last but one (or only) axis of `b`, each
/// of one or two dimensions, in the dtype that they promote to; of scalars, the product.
/// Errors: shape (more dimensions; when the kernel runs, extents that differ).
Value dot(Operand a, Operand b);

/// The mean of the squares of |a - mean(a)|, and its root; in f64 of integers. Errors: as of mean.
Value var(Operand a, const FoldOptions& options = {});
Value standard_deviation(Operand a, const FoldOptions& options = {});

/// The axes in reverse order; as `axes` lists them; two of them exchanged. Errors: shape (not each axis
/// once).
Value transpose(Operand a);
Value transpose(Operand a, std::initializer_list<int> axes);
Value swapaxes(Operand a, int first, int second);
/// An axis backwards. Errors: shape (no such axis).
Value flip(Operand a, int axis = 0);
/// The value with an axis of extent 1 before axis `axis` of the result. Errors: shape.
Value new_axis(Operand a, int axis);

// What these give is in an array of its own, which the kernel makes where they are called.

/// The elements in C order as another shape; one extent may be -1, which is what is left for it. Errors:
/// shape (more than one -1; when the kernel runs, another number of elements).
Value reshape(Operand a, std::initializer_list<Operand> extents);
/// The values one after the other along an axis, in the dtype that they promote to. Errors: shape (ranks
/// that differ, no such axis; when the kernel runs, other extents that differ).
Value concatenate(std::initializer_list<Operand> parts, int axis = 0);
/// The sums of the elements up to each one along an axis, or (std::nullopt) of all in C order, one after the
/// other; in i64 or u64 of bool and small integers. Errors: shape (no such axis).
Value cumsum(Operand a, std::optional<int> axis = {});
/// Ones on the diagonal of a square matrix, else zeros.
Value eye(Operand n, DType dtype = DType::f64);

}  // namespace kiln
