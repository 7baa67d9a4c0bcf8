// What calls of kernels are given: inputs and outputs of many C++ types.
#pragma once
#include <kiln/array.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <span>
#include <type_traits>
#include <vector>

namespace kiln {

namespace detail {
struct CallAccess;

/// Elements in a row of memory that is no Array.
struct SpanData {
    std::byte* data;
    std::int64_t size;
    DType dtype;
    bool read_only;
};
template <Element T> SpanData span_data(T* data, std::size_t size) {
    auto* bytes = reinterpret_cast<std::byte*>(const_cast<std::remove_const_t<T>*>(data));
    return {bytes, static_cast<std::int64_t>(size), dtype_of<T>, std::is_const_v<T>};
}

/// Of a kernel, together with its results.
inline constexpr std::size_t max_arguments = 32;

/// C++ values that bring only their kind into a promotion.
template <class T>
concept WeakValue = Element<T> && (std::is_arithmetic_v<T> || IsComplex<T>::value);
template <class T>
concept StorageFloat = is_storage_float<T>;
}  // namespace detail

/// An argument of a ufunc call: an Array, a span or vector (rank 1, not copied), a C++ value (weak)
/// or a Scalar. It only refers to arrays, spans and vectors, so it must not outlive them.
class Arg {
  public:
    Arg(const Array& array) : kind_(Kind::array), array_(&array) {}
    template <detail::WeakValue T> Arg(T value)
        : kind_(Kind::scalar), scalar_(Scalar::of(value, true)) {}
    template <detail::StorageFloat T> Arg(T value)
        : kind_(Kind::scalar), scalar_(Scalar::of(value)) {}
    Arg(const Scalar& value) : kind_(Kind::scalar), scalar_(value) {}
    template <Element T, std::size_t N>
    Arg(std::span<T, N> data)
        : kind_(Kind::span), span_(detail::span_data(data.data(), data.size())) {}
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    Arg(const std::vector<T, A>& data)
        : kind_(Kind::span), span_(detail::span_data(data.data(), data.size())) {}

  private:
    friend struct detail::CallAccess;
    enum class Kind : std::uint8_t { array, scalar, span };
    Kind kind_;
    union {
        const Array* array_;
        Scalar scalar_;
        detail::SpanData span_;
    };
};

/// An output of a ufunc call: an Array, or a span or vector of non-const elements. It only refers
/// to it. Default-constructed: none.
class OutArg {
  public:
    OutArg() = default;
    OutArg(const Array& array) : array_(&array), data_(), size_(), dtype_(), given_() {}
    template <Element T, std::size_t N>
        requires(!std::is_const_v<T>)
    OutArg(std::span<T, N> data) : OutArg(detail::span_data(data.data(), data.size())) {}
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    OutArg(std::vector<T, A>& data) : OutArg(detail::span_data(data.data(), data.size())) {}

    explicit operator bool() const { return array_ != nullptr || given_; }

  private:
    friend struct detail::CallAccess;
    explicit OutArg(const detail::SpanData& span)
        : array_(nullptr), data_(span.data), size_(span.size), dtype_(span.dtype), given_(true) {}
    // Without initialisers, so that an Outs costs a call nothing; `OutArg out = {}` zeroes them.
    const Array* array_;
    std::byte* data_;    // of a span
    std::int64_t size_;  // of a span
    DType dtype_;
    bool given_;  // a span
};

/// The outputs of a call that has several: `.outs = {quotient, remainder}`.
class Outs {
  public:
    static constexpr std::size_t max_size = detail::max_arguments;  ///< outputs of a call
    // Not defaulted: that would make `Outs outs = {}` zero all places at every call.
    Outs() {}  // NOLINT(modernize-use-equals-default)
    /// More than max_size is a usage error.
    Outs(std::initializer_list<OutArg> outs,
         std::source_location where = std::source_location::current());
    explicit Outs(std::span<const OutArg> outs,
                  std::source_location where = std::source_location::current());
    std::size_t size() const { return size_; }
    const OutArg& operator[](std::size_t i) const { return items_[i]; }

  private:
    std::size_t size_ = 0;
    std::array<OutArg, max_size> items_;  // the first size_ of them
};

}  // namespace kiln
