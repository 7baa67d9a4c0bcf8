// Helpers of the tests that hold compiled kernels against the rules of the language.
#pragma once
#include "tests/jit/support.h"

#include <cmath>
#include <limits>

namespace kiln::test {

template <class T> inline constexpr T lowest = std::numeric_limits<T>::min();
template <class T> inline constexpr T highest = std::numeric_limits<T>::max();
inline constexpr double inf = std::numeric_limits<double>::infinity();
inline constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

/// Equal as floating-point data: NaN equals NaN, the sign of a zero counts.
inline bool same_number(double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return a == b && std::signbit(a) == std::signbit(b);
}

/// Element `from` of the rank-1 array `x` equals element `to` of `y`: the same bytes, or NaN both.
inline bool same_element(const Array& x, std::int64_t from, const Array& y, std::int64_t to) {
    if (std::memcmp(x.data() + from * x.stride(0), y.data() + to * y.stride(0), x.item_size()) == 0)
        return true;
    return is_real(x.dtype()) && std::isnan(at(x, from)) && std::isnan(at(y, to));
}

/// f of rank-1 arrays of one length, with every element computed in many places: in the vector
/// body and in the remainder of long calls, of contiguous and of strided and reversed operands, and
/// alone. Fails where two places differ. The result for the first of them.
inline Array everywhere(const Ufunc& f, const std::vector<Array>& operands) {
    const auto call = [&](const std::vector<Array>& x) {
        REQUIRE(x.size() <= 3);
        return x.size() == 1 ? f(x[0]) : x.size() == 2 ? f(x[0], x[1]) : f(x[0], x[1], x[2]);
    };
    const std::int64_t count = operands[0].size(), n = 331;  // a prime: all places in a block
    std::vector<Array> tiled, strided;
    for (const Array& x : operands) {
        REQUIRE(x.size() == count);
        Array t = empty({n}, x.dtype()), s = empty({2 * n}, x.dtype())(Slice{{}, {}, 2}).flip();
        for (std::int64_t i = 0; i < n; ++i) {
            const std::byte* const value = x.data() + i % count * x.stride(0);
            std::memcpy(t.data() + i * t.stride(0), value, x.item_size());
            std::memcpy(s.data() + i * s.stride(0), value, x.item_size());
        }
        tiled.push_back(t);
        strided.push_back(s);
    }
    const Array long_result = call(tiled), strided_result = call(strided);
    bool same = true;
    for (std::int64_t i = 0; i < n; ++i) {
        same = same && same_element(long_result, i, long_result, i % count) &&
               same_element(strided_result, i, long_result, i);
    }
    for (std::int64_t i = 0; i < count; ++i) {
        std::vector<Array> alone;
        for (const Array& t : tiled) alone.push_back(t(Slice{i, i + 1}));
        same = same && same_element(call(alone), 0, long_result, i);
    }
    CHECK(same);
    return long_result(Slice{0, count});
}

/// A rank-1 array of the elements.
template <class T> Array row(const std::vector<T>& values) {
    return Array::copy_of(std::span<const T>(values));
}

/// `result` is of T's dtype and holds `expected`.
template <class T> void check_row(const Array& result, const std::vector<T>& expected) {
    REQUIRE(result.dtype() == dtype_of<T>);
    REQUIRE(result.size() == static_cast<std::int64_t>(expected.size()));
    for (std::size_t i = 0; i < expected.size(); ++i) {
        T value;
        std::memcpy(&value, result.data() + static_cast<std::int64_t>(i) * result.stride(0),
                    sizeof value);
        INFO("element " << i << ": " << +value << ", expected " << +expected[i]);
        if constexpr (std::is_floating_point_v<T>) {
            CHECK(same_number(value, expected[i]));
        } else {
            CHECK(value == expected[i]);
        }
    }
}

/// `result` is a bool array of these truths.
inline void check_truths(const Array& result, const std::vector<int>& expected) {
    REQUIRE(result.dtype() == DType::bool_);
    CHECK(values(result) == std::vector<double>(expected.begin(), expected.end()));
}

/// All pairs of the values, as two columns.
template <class T> std::pair<std::vector<T>, std::vector<T>> all_pairs(
    const std::vector<T>& values) {
    std::pair<std::vector<T>, std::vector<T>> columns;
    for (const T a : values) {
        for (const T b : values) {
            columns.first.push_back(a);
            columns.second.push_back(b);
        }
    }
    return columns;
}

/// Calls f(T{}) for all integer element types.
template <class F> void for_integers(F f) {
    f(std::int8_t{});
    f(std::int16_t{});
    f(std::int32_t{});
    f(std::int64_t{});
    f(std::uint8_t{});
    f(std::uint16_t{});
    f(std::uint32_t{});
    f(std::uint64_t{});
}

}  // namespace kiln::test
