#include "runtime/cast.h"

#include <complex>
#include <cstring>

namespace kiln::detail {
namespace {

template <class T> T load(const std::byte* at) {
    if constexpr (std::is_same_v<T, bool>) {
        return *at != std::byte(0);  // memory from elsewhere may hold other bytes than 0 and 1
    } else {
        T value;
        std::memcpy(&value, at, sizeof value);
        return value;
    }
}

template <class To, class From>
void convert_row(std::byte* to, std::int64_t to_stride, const std::byte* from,
                 std::int64_t from_stride, std::int64_t n) {
    const auto one = [](std::byte* target, const std::byte* source) {
        const To value = convert<To>(load<From>(source));
        std::memcpy(target, &value, sizeof value);
    };
    if (to_stride == sizeof(To) && from_stride == sizeof(From)) {  // constant strides vectorise
        for (std::int64_t i = 0; i < n; ++i) {
            one(to + i * static_cast<std::int64_t>(sizeof(To)),
                from + i * static_cast<std::int64_t>(sizeof(From)));
        }
    } else {
        for (std::int64_t i = 0; i < n; ++i) one(to + i * to_stride, from + i * from_stride);
    }
}

template <std::size_t Size>
void copy_row(std::byte* to, std::int64_t to_stride, const std::byte* from,
              std::int64_t from_stride, std::int64_t n) {
    if (to_stride == static_cast<std::int64_t>(Size) &&
        from_stride == static_cast<std::int64_t>(Size)) {
        std::memmove(to, from, static_cast<std::size_t>(n) * Size);
        return;
    }
    for (std::int64_t i = 0; i < n; ++i) {
        std::byte element[Size];
        std::memcpy(element, from + i * from_stride, Size);
        std::memcpy(to + i * to_stride, element, Size);
    }
}

/// Copies of bool have bytes 0 and 1 alone.
void copy_bools(std::byte* to, std::int64_t to_stride, const std::byte* from,
                std::int64_t from_stride, std::int64_t n) {
    using Bytes [[gnu::vector_size(16)]] = signed char;
    if (to_stride == 1 && from_stride == 1) {
        for (; n >= 16; n -= 16, to += 16, from += 16) {
            Bytes bytes;
            std::memcpy(&bytes, from, sizeof bytes);
            bytes = (bytes != 0) & 1;
            std::memcpy(to, &bytes, sizeof bytes);
        }
    }
    convert_row<bool, bool>(to, to_stride, from, from_stride, n);
}

}  // namespace

CastRow cast_row(DType from, DType to) {
    return visit_dtype(from, [&](auto from_type) -> CastRow {
        using From = typename decltype(from_type)::type;
        if (from == to) return from == DType::bool_ ? copy_bools : copy_row<sizeof(From)>;
        return visit_dtype(to, [&](auto to_type) -> CastRow {
            using To = typename decltype(to_type)::type;
            return convert_row<To, From>;
        });
    });
}

}  // namespace kiln::detail
