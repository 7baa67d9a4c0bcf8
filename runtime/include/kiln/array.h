// Array: n-dimensional data of any dtype, owned together or borrowed, with views.
#pragma once
#include <kiln/dtype.h>
#include <kiln/place.h>
#include <kiln/shape.h>
#include <kiln/shared.h>
#include <kiln/view.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {

/// start:stop:step of one axis with NumPy's meaning: negative positions count from the end, omitted
/// ends reach as far as the step's direction goes, positions beyond the axis are clipped.
struct Slice {
    std::optional<std::int64_t> start = {};  ///< the first position
    std::optional<std::int64_t> stop = {};   ///< where it ends, not included
    std::int64_t step = 1;                   ///< not 0
};

/// One axis of `x(...)`: an integer drops the axis, a Slice keeps it, {} keeps all of it.
struct Subscript {
    enum class Kind : std::uint8_t { slice, index, absent };  ///< what is given
    Kind kind = Kind::slice;                                  ///< which of these
    Slice slice;                                              ///< where it is one
    std::int64_t index = 0;      ///< where it is one; negative ones count from the end
    std::source_location where;  ///< the line that errors tell

    constexpr Subscript(std::source_location where = std::source_location::current())
        : where(where) {}
    constexpr Subscript(Slice slice, std::source_location where = std::source_location::current())
        : slice(slice), where(where) {}
    template <std::integral I>
    constexpr Subscript(I index, std::source_location where = std::source_location::current())
        : kind(Kind::index), index(static_cast<std::int64_t>(index)), where(where) {}
    static constexpr Subscript absent() {  ///< an axis that is not named
        Subscript subscript;
        subscript.kind = Kind::absent;
        return subscript;
    }
};

/// The memory order of a new array, NumPy's letters K, C, F, A.
enum class Order : std::uint8_t {
    keep,     ///< K: the axis order of the source
    c,        ///< C: last axis contiguous
    fortran,  ///< F: first axis contiguous
    any,      ///< A: Fortran if the source is Fortran and not C contiguous, else C
};

namespace detail {
class ArrayOperand;  // kiln/ufuncs.h
}

/// An n-dimensional array: dtype, shape (rank up to 8), byte strides that may be negative or zero,
/// and shared ownership of its memory. Copying an Array gives another handle on the same elements,
/// as in NumPy; copy() copies the elements. Constness is that of the handle, as for std::span:
/// whether elements may be written is read_only(). Zero-size and rank-0 arrays are ordinary.
///
/// Functions that fail throw kiln::Error with the line of the call. Negative axes count from the
/// last one everywhere.
class Array {
  public:
    /// An empty f64 array of shape (0,).
    Array() = default;

    // -- over existing memory, without a copy ------------------------------------------------

    /// The elements of a span, which must outlive the array. A span of const is read-only.
    template <class T, std::size_t N>
        requires Element<T>
    Array(std::span<T, N> data) : Array(over(data.data(), Shape(data.size()))) {}
    /// The elements of a vector, which must outlive the array and keep its buffer.
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    Array(std::vector<T, A>& data) : Array(std::span<T>(data)) {}
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    Array(const std::vector<T, A>& data) : Array(std::span<const T>(data)) {}
    /// Takes the vector over: its buffer lives as long as the array and its views.
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    Array(std::vector<T, A>&& data) {
        auto owner = share<std::vector<T, A>>(std::move(data));
        T* const elements = owner->data();
        const Shape shape(owner->size());
        *this = from_memory(elements, dtype_of<T>, shape, Shape{sizeof(T)}, std::move(owner));
    }
    /// Elements at `data` in C order; `const T*` makes the array read-only.
    template <Element T>
    static Array over(T* data, const Shape& shape,
                      std::source_location where = std::source_location::current()) {
        return from_memory(data, dtype_of<T>, shape, c_strides(shape, sizeof(T), where), {},
                           !std::is_const_v<T>, where);
    }
    /// Elements at `data` with the given strides in bytes.
    template <Element T>
    static Array over(T* data, const Shape& shape, const Shape& byte_strides,
                      Location where = std::source_location::current()) {
        return from_memory(data, dtype_of<T>, shape, byte_strides, {}, !std::is_const_v<T>, where);
    }
    /// The general form: `owner` (or nothing) is kept alive by the array and all its views. The
    /// ranks of shape and strides must agree, and no two elements may lie more than 2^61 bytes
    /// apart (shape errors). Any byte but 0 is true as an element of bool.
    static Array from_memory(const void* data, DType dtype, const Shape& shape,
                             const Shape& byte_strides, Shared<void> owner = {},
                             bool writeable = true,
                             Location where = std::source_location::current());

    /// Elements of the device, at an address there; as from_memory.
    static Array from_device_memory(void* address, DType dtype, const Shape& shape,
                                    const Shape& byte_strides, Shared<void> owner = {},
                                    bool writeable = true,
                                    Location where = std::source_location::current());

    // -- from values, by copy ----------------------------------------------------------------

    /// `Array::of({1.0f, 2.0f})`: rank 1.
    template <Element T>
    static Array of(std::initializer_list<T> values,
                    Location where = std::source_location::current()) {
        return copy_of(std::span<const T>(values.begin(), values.size()), Shape(values.size()),
                       where);
    }
    /// `Array::of({{1, 2}, {3, 4}})`: rank 2. Rows of different lengths are a shape error.
    template <Element T>
    static Array of(std::initializer_list<std::initializer_list<T>> rows,
                    Location where = std::source_location::current()) {
        const std::size_t columns = rows.size() == 0 ? 0 : rows.begin()->size();
        std::vector<std::conditional_t<std::is_same_v<T, bool>, unsigned char, T>> values;
        values.reserve(rows.size() * columns);
        for (const auto& row : rows) {
            if (row.size() != columns) throw_ragged_rows(columns, row.size(), where);
            values.insert(values.end(), row.begin(), row.end());
        }
        return copy_of_bytes(values.data(), dtype_of<T>, Shape{rows.size(), columns}, where);
    }
    /// A copy of C-ordered elements. A shape of another size is a shape error.
    template <class T, std::size_t N>
        requires Element<T>
    static Array copy_of(std::span<T, N> values, const Shape& shape,
                         Location where = std::source_location::current()) {
        if (element_count(shape, where) != static_cast<std::int64_t>(values.size())) {
            throw_wrong_size(static_cast<std::int64_t>(values.size()), shape, where);
        }
        return copy_of_bytes(values.data(), dtype_of<T>, shape, where);
    }
    template <class T, std::size_t N>
        requires Element<T>
    static Array copy_of(std::span<T, N> values, Location where = std::source_location::current()) {
        return copy_of_bytes(values.data(), dtype_of<T>, Shape(values.size()), where);
    }
    /// A rank-0 array.
    static Array of(const Scalar& value, Location where = std::source_location::current());

    // -- what it is --------------------------------------------------------------------------

    DType dtype() const { return dtype_; }         ///< of its elements
    int rank() const { return shape_.rank(); }     ///< the number of axes, 0 to 8
    const Shape& shape() const { return shape_; }  ///< the extents
    /// In bytes.
    const Shape& strides() const { return strides_; }
    /// Extent of axis d, 0 <= d < rank(); not checked.
    std::int64_t extent(int d) const { return shape_[d]; }
    /// Byte stride of axis d, 0 <= d < rank(); not checked.
    std::int64_t stride(int d) const { return strides_[d]; }
    /// Number of elements.
    std::int64_t size() const { return size_; }
    std::size_t item_size() const { return size_of(dtype_); }
    /// size() * item_size(), which for a view may be more or less than the memory it spans.
    std::int64_t nbytes() const { return size_ * static_cast<std::int64_t>(size_of(dtype_)); }
    /// The element at index 0 of every axis; may be null where size() is 0. Do not write through it
    /// if read_only(). Usage error where place() is no memory of the host.
    std::byte* data() const {
        if (!place_.is_host()) [[unlikely]]
            throw_on_device({});
        return data_;
    }
    /// The same in the memory of place(), whatever that is.
    std::byte* address() const { return data_; }
    /// Where the elements are. Those of a device are for kernels: they are not read, written or
    /// printed on the host.
    Place place() const { return place_; }
    bool read_only() const { return !writeable_; }
    /// Elements lie without gaps in C order (axes of extent 1 do not matter; zero-size is).
    bool is_contiguous() const {
        std::int64_t expected = static_cast<std::int64_t>(item_size());
        if (size_ == 0) return true;
        for (int d = rank(); d-- > 0;) {
            if (shape_[d] == 1) continue;
            if (strides_[d] != expected) return false;
            expected *= shape_[d];
        }
        return true;
    }
    /// The same for Fortran order.
    bool is_fortran() const {
        std::int64_t expected = static_cast<std::int64_t>(item_size());
        if (size_ == 0) return true;
        for (int d = 0; d < rank(); ++d) {
            if (shape_[d] == 1) continue;
            if (strides_[d] != expected) return false;
            expected *= shape_[d];
        }
        return true;
    }
    /// Data and strides are multiples of the C++ type's alignment.
    bool is_aligned() const {
        const std::size_t alignment = is_complex(dtype_) ? item_size() / 2 : item_size();
        std::uint64_t bits = reinterpret_cast<std::uintptr_t>(data_);
        for (const std::int64_t stride : strides_) bits |= static_cast<std::uint64_t>(stride);
        return size_ == 0 || (bits & (alignment - 1)) == 0;
    }
    /// Whatever keeps the memory alive; null for borrowed memory.
    const Shared<void>& owner() const { return owner_; }

    // -- elements ----------------------------------------------------------------------------

    /// Typed access for C++ loops. Error kinds: type (another dtype), shape (another rank), usage
    /// (a View of non-const over a read-only array, or memory not aligned for T). Views and spans
    /// of bool over memory from elsewhere: see View; copy() makes all bytes 0 or 1.
    template <class T, int R>
        requires Element<T>
    View<T, R> view(Location where = std::source_location::current()) const {
        check_view(dtype_of<T>, R, std::is_const_v<T>, where);
        typename View<T, R>::Extents extents{}, strides{};
        for (int d = 0; d < R; ++d) {
            extents[static_cast<std::size_t>(d)] = shape_[d];
            strides[static_cast<std::size_t>(d)] = strides_[d];
        }
        return View<T, R>(reinterpret_cast<T*>(data_), extents, strides);
    }
    /// The elements of a C-contiguous array of any rank; usage error if it is not contiguous.
    template <class T>
        requires Element<T>
    std::span<T> span(Location where = std::source_location::current()) const {
        check_view(dtype_of<T>, rank(), std::is_const_v<T>, where);
        check_contiguous(where);
        return {reinterpret_cast<T*>(data_), static_cast<std::size_t>(size_)};
    }
    /// The element at one index per axis: x.at<float>({i, j}). Bounds error "index (3,7) is out of
    /// bounds for shape (3,5)"; negative indices do not wrap. Other errors as for view(). A const
    /// bool is given by value; a bool with another byte than 0 and 1 in memory becomes 1 there.
    template <class T>
        requires Element<T>
    detail::ElementReference<T> at(const Shape& index,
                                   Location where = std::source_location::current()) const {
        check_view(dtype_of<T>, index.rank(), std::is_const_v<T>, where);
        std::byte* const place = element(index, where);
        if constexpr (std::is_same_v<T, bool>) {
            if (*place > std::byte(1)) *place = std::byte(1);
        }
        return detail::element_at(reinterpret_cast<T*>(place));
    }
    /// The same for any dtype and alignment, by value.
    Scalar scalar_at(const Shape& index, Location where = std::source_location::current()) const;
    /// The only element of an array of size 1 (any rank, any place), as Scalar::get gives it.
    template <class T>
        requires Element<T>
    T item(Location where = std::source_location::current()) const {
        const Scalar value = item(where);
        if (!can_cast(dtype_, dtype_of<T>, Casting::safe)) check_dtype(dtype_of<T>, where);
        return value.template get<T>();
    }
    /// The only element of an array of size 1, as a strong scalar.
    Scalar item(Location where = std::source_location::current()) const;

    // -- views: the same memory --------------------------------------------------------------

    /// The elements start, start+step, ... of one axis. Step 0 is a usage error.
    Array slice(int axis, const Slice& range,
                Location where = std::source_location::current()) const;
    /// Element i of one axis, which is dropped. Negative i counts from the end; bounds error.
    Array index(int axis, std::int64_t i, Location where = std::source_location::current()) const;
    /// NumPy's x[a, b, ...]: integers drop their axis, slices and {} keep it, axes not named are
    /// kept.
    Array operator()(Subscript a, Subscript b = Subscript::absent(),
                     Subscript c = Subscript::absent(), Subscript d = Subscript::absent(),
                     Subscript e = Subscript::absent(), Subscript f = Subscript::absent(),
                     Subscript g = Subscript::absent(), Subscript h = Subscript::absent()) const;
    /// All axes reversed.
    Array transpose() const;
    /// Axis d of the result is axis permutation[d] of this.
    Array transpose(const Shape& permutation,
                    Location where = std::source_location::current()) const;
    /// The same elements in C order under another shape; one extent may be -1. A view where strides
    /// allow it, else a copy. Shape error if the sizes differ.
    Array reshape(const Shape& shape, Location where = std::source_location::current()) const;
    /// Read-only view with zero strides along the added and stretched axes.
    Array broadcast_to(const Shape& shape, Location where = std::source_location::current()) const;
    /// Without the axes of extent 1, or without the given one (shape error if it is not 1).
    Array squeeze() const;
    Array squeeze(int axis, Location where = std::source_location::current()) const;
    /// With an axis of extent 1 put before `axis` (0..rank, or negative: -1 appends).
    Array expand_dims(int axis, Location where = std::source_location::current()) const;
    /// In reverse order along one axis, or along all.
    Array flip(int axis, Location where = std::source_location::current()) const;
    Array flip() const;
    /// The same elements, not to be written.
    Array as_read_only() const;

    // -- new memory --------------------------------------------------------------------------

    /// A new array with the same elements.
    Array copy(Order order = Order::c, Location where = std::source_location::current()) const;
    /// A new array of another dtype. Integers wrap, float -> integer saturates and NaN gives 0,
    /// complex -> real drops the imaginary part. A conversion that `casting` forbids is a type
    /// error.
    Array astype(DType dtype, Casting casting = Casting::unsafe, Order order = Order::keep,
                 Location where = std::source_location::current()) const;
    /// This array if it is C-contiguous and aligned, else a copy that is.
    Array contiguous(Location where = std::source_location::current()) const;

    /// The elements at another place, in C order; this array where it is there already. Copies
    /// to a device go through pinned memory where a StreamScope covers them, and the host does not
    /// wait: this array may be changed at once. Copies to the host wait. Errors: device (no
    /// driver, with what was looked for; out of memory; what went wrong on the device before).
    Array to(Place place, Location where = std::source_location::current()) const;
    Array to_host(Location where = std::source_location::current()) const {
        return to(cpu(), where);
    }

    // -- writing -----------------------------------------------------------------------------

    /// Sets all elements; the value is converted as astype does. Usage error if read-only.
    void fill(const Scalar& value, Location where = std::source_location::current()) const;
    template <Element T> void fill(T value,
                                   Location where = std::source_location::current()) const {
        fill(Scalar::of(value), where);
    }
    /// Elements of `source`, broadcast to this shape and converted; leading axes of extent 1 that
    /// `source` has beyond this rank do not count. Right also where the two overlap. Where one of the
    /// two is on a device: of one shape and dtype, both in C order (usage error). Type error if
    /// `casting` forbids it, usage error if read-only or if distinct elements of this array are one
    /// in memory (zero strides).
    void assign(const Array& source, Casting casting = Casting::unsafe,
                Location where = std::source_location::current()) const;

    // -- operators ---------------------------------------------------------------------------
    // Element by element, with kiln/ufuncs.h. They mean what they mean in kernels, so what they
    // mean in C++: integers divide as in C++, and && and || evaluate both sides. Inputs broadcast
    // together and may be C++ values (weak), spans and vectors; the result is a new array. What
    // ends in = stores into the array itself, in place, as `.out` of the ufunc does.

#define KILN_ARRAY_BINARY(op) \
    friend Array operator op(detail::ArrayOperand a, detail::ArrayOperand b);
#define KILN_ARRAY_UPDATE(op) \
    friend const Array& operator op(const Array & a, detail::ArrayOperand b);
    KILN_ARRAY_BINARY(+)
    KILN_ARRAY_BINARY(-)
    KILN_ARRAY_BINARY(*)
    KILN_ARRAY_BINARY(/)
    KILN_ARRAY_BINARY(%)
    KILN_ARRAY_BINARY(&)
    KILN_ARRAY_BINARY(|)
    KILN_ARRAY_BINARY(^)
    KILN_ARRAY_BINARY(<<)
    KILN_ARRAY_BINARY(>>)
    KILN_ARRAY_BINARY(==)
    KILN_ARRAY_BINARY(!=)
    KILN_ARRAY_BINARY(<)
    KILN_ARRAY_BINARY(<=)
    KILN_ARRAY_BINARY(>)
    KILN_ARRAY_BINARY(>=)
    KILN_ARRAY_BINARY(&&)
    KILN_ARRAY_BINARY(||)
    KILN_ARRAY_UPDATE(+=)
    KILN_ARRAY_UPDATE(-=)
    KILN_ARRAY_UPDATE(*=)
    KILN_ARRAY_UPDATE(/=)
    KILN_ARRAY_UPDATE(%=)
    KILN_ARRAY_UPDATE(&=)
    KILN_ARRAY_UPDATE(|=)
    KILN_ARRAY_UPDATE(^=)
    KILN_ARRAY_UPDATE(<<=)
    KILN_ARRAY_UPDATE(>>=)
#undef KILN_ARRAY_BINARY
#undef KILN_ARRAY_UPDATE
    friend Array operator+(detail::ArrayOperand a);
    friend Array operator-(detail::ArrayOperand a);
    friend Array operator~(detail::ArrayOperand a);
    friend Array operator!(detail::ArrayOperand a);
    /// NumPy's a @ b (kiln/array_functions.h): products of the matrices that the last two axes are, for
    /// stacks of them that broadcast; a vector is a row on the left and a column on the right, and its axis
    /// is no part of the result. In the dtype that both promote to. Found by its arguments alone, so
    /// that it gets in the way of no kernel of that name. Errors: shape (a scalar, sizes that differ, stacks
    /// that do not broadcast).
    friend Array matmul(detail::ArrayOperand a, detail::ArrayOperand b);

    /// Byte strides of a C-ordered or a Fortran-ordered array; shape error if the size overflows.
    static Shape f_strides(const Shape& shape, std::size_t item_size,
                           Location where = std::source_location::current());
    static Shape c_strides(const Shape& shape, std::size_t item_size,
                           Location where = std::source_location::current());

  private:
    [[noreturn]] static void throw_ragged_rows(std::size_t first, std::size_t other,
                                               Location where);
    [[noreturn]] static void throw_wrong_size(std::int64_t size, const Shape& shape,
                                              Location where);
    static Array copy_of_bytes(const void* values, DType dtype, const Shape& shape, Location where);
    void check_view(DType dtype, int rank, bool reads_only, Location where) const {
        if (dtype != dtype_ || rank != this->rank() || (!reads_only && !writeable_) ||
            !is_aligned() || !place_.is_host()) {
            throw_bad_view(dtype, rank, reads_only, where);
        }
    }
    [[noreturn]] void throw_bad_view(DType dtype, int rank, bool reads_only, Location where) const;
    [[noreturn]] void throw_on_device(Location where) const;
    void check_on_host(Location where) const {
        if (!place_.is_host()) throw_on_device(where);
    }
    void check_dtype(DType dtype, Location where) const;
    void check_contiguous(Location where) const;
    void check_writeable(Location where) const;
    int normalize_axis(int axis, Location where) const;
    std::byte* element(const Shape& index, Location where) const;

    std::byte* data_ = nullptr;
    std::int64_t size_ = 0;
    Shape shape_{0};
    Shape strides_{8};
    Shared<void> owner_;
    DType dtype_ = DType::f64;
    bool writeable_ = true;
    Place place_;

    enum class Content : std::uint8_t { uninitialised, zero };
    static Array make(const Shape& shape, DType dtype, bool fortran, Content content,
                      Location where);
    friend Array empty(const Shape& shape, DType dtype, Order order, Location where);
    friend Array zeros(const Shape& shape, DType dtype, Order order, Location where);
};

// -- factories -------------------------------------------------------------------------------
// A size over 2^63 - 1 bytes or a negative extent is a shape error. Order::keep and any mean c.

/// Elements are uninitialised.
Array empty(const Shape& shape, DType dtype = DType::f64, Order order = Order::c,
            Location where = std::source_location::current());
Array zeros(const Shape& shape, DType dtype = DType::f64, Order order = Order::c,
            Location where = std::source_location::current());
Array ones(const Shape& shape, DType dtype = DType::f64, Order order = Order::c,
           Location where = std::source_location::current());
Array full(const Shape& shape, const Scalar& value,
           Location where = std::source_location::current());
/// Of the C++ type's dtype: full({2, 3}, 1.5f) is f32.
template <Element T>
Array full(const Shape& shape, T value, Location where = std::source_location::current()) {
    return full(shape, Scalar::of(value), where);
}
/// Uninitialised, with the shape of `like`, in its memory order for Order::keep.
Array empty_like(const Array& like, std::optional<DType> dtype = {}, Order order = Order::keep,
                 Location where = std::source_location::current());

namespace detail {
template <class T>
concept Number = std::is_arithmetic_v<T>;
/// A C++ integer of any type: its bits, and whether it is below 0.
struct AnyInteger {
    std::uint64_t bits;
    bool negative = false;
    template <std::integral I> constexpr AnyInteger(I value)
        : bits(static_cast<std::uint64_t>(value)) {
        if constexpr (std::is_signed_v<I>) negative = value < 0;
    }
};
Array arange_integer(AnyInteger start, AnyInteger stop, AnyInteger step, std::optional<DType> dtype,
                     Location where);
Array arange_real(double start, double stop, double step, DType dtype, Location where);
}  // namespace detail

/// start, start + step, ... before stop: ceil((stop - start) / step) elements, none if that is
/// negative. f64 unless all are integers, else i64, or where the elements do not fit, u64, or where
/// they do not fit that either, f64; or the dtype that is given, to which integers are converted
/// from their exact values. Step 0, and start or stop that are not finite, are usage errors.
template <detail::Number A, detail::Number B, detail::Number C = int>
Array arange(A start, B stop, C step = 1, std::optional<DType> dtype = {},
             Location where = std::source_location::current()) {
    if constexpr (std::is_integral_v<A> && std::is_integral_v<B> && std::is_integral_v<C>) {
        return detail::arange_integer(start, stop, step, dtype, where);
    } else {
        return detail::arange_real(static_cast<double>(start), static_cast<double>(stop),
                                   static_cast<double>(step), dtype.value_or(DType::f64), where);
    }
}
/// 0, 1, ... before stop.
template <detail::Number A>
Array arange(A stop, std::optional<DType> dtype = {},
             Location where = std::source_location::current()) {
    return arange(A(0), stop, 1, dtype, where);
}
/// n evenly spaced values from start to stop, with stop itself if `endpoint`. Integers are the
/// values rounded down, and saturate. n < 0, and an integer dtype with an end that is not finite,
/// are usage errors.
Array linspace(double start, double stop, std::int64_t n, bool endpoint = true,
               DType dtype = DType::f64, Location where = std::source_location::current());

// -- relations -------------------------------------------------------------------------------

/// The byte ranges that the two span overlap; true also where elements only interleave.
bool may_share_memory(const Array& a, const Array& b);
/// The same elements: equal data pointer, shape, strides and dtype.
bool exactly_same(const Array& a, const Array& b);
/// Two elements with different indices may lie at one address (some stride is zero or too small).
bool has_internal_overlap(const Array& a);
/// Lowest and one past the highest address of any element; equal for zero-size arrays.
std::pair<const std::byte*, const std::byte*> byte_extent(const Array& a);

/// The elements as NumPy prints them; arrays of more than 1000 elements are summarised.
std::string to_string(const Array& array);

}  // namespace kiln
