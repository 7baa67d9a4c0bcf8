#include "jit/loops/verified_call.h"

#include "jit/call/overlap.h"
#include "runtime/strided.h"

#include <algorithm>
#include <complex>
#include <cstring>
#include <type_traits>

#include <fmt/format.h>

namespace kiln {
namespace engine {

// ------------------------------------------------------------------------------ copies

CopiedArguments::CopiedArguments(std::span<OperandView> views, const std::vector<bool>& written,
                                 Location where) {
    copies_.reserve(views.size());  // views point into it
    std::vector<bool> done(views.size(), false);
    for (std::size_t first = 0; first < views.size(); ++first) {
        if (!written[first] || done[first]) continue;
        // What shares memory with one of the group belongs to it.
        std::vector<std::size_t> group{first};
        done[first] = true;
        for (std::size_t g = 0; g < group.size(); ++g)
            for (std::size_t i = 0; i < views.size(); ++i)
                if (!done[i] && !views[i].scalar && may_overlap(views[i], views[group[g]])) {
                    done[i] = true;
                    group.push_back(i);
                }
        if (group.size() > 1) {
            copy_group(views, group, where);
            continue;
        }
        copies_.push_back(views[first].handle().copy(Order::c, where));
        view_array(views[first], copies_.back(), false);
    }
}

// Only elements are read: what lies between them may belong to others.
void CopiedArguments::copy_group(std::span<OperandView> views,
                                 const std::vector<std::size_t>& group, Location where) {
    auto [low, high] = views[group[0]].byte_extent();
    for (const std::size_t i : group) {
        const auto [from, to] = views[i].byte_extent();
        low = std::min(low, from);
        high = std::max(high, to);
    }
    // Elements keep their alignment.
    const auto offset = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(low) % 64);
    copies_.push_back(
        empty({static_cast<std::int64_t>(high - low) + offset}, DType::u8, Order::c, where));
    std::byte* const base = copies_.back().data() + offset;
    for (const std::size_t i : group) {
        OperandView& v = views[i];
        std::byte* const copy = base + (v.data - low);
        const Shape strides(std::span(v.strides, static_cast<std::size_t>(v.rank)));
        const kiln::detail::StridedLoop<2> elements(v.shape(), {copy, v.data}, {strides, strides});
        const std::size_t item = size_of(v.dtype);
        elements.run([&](const auto& at, const auto& steps, std::int64_t n) {
            for (std::int64_t k = 0; k < n; ++k)
                std::memcpy(at[0] + k * steps[0], at[1] + k * steps[1], item);
        });
        v.data = copy;
        v.array = nullptr;
    }
}

// ------------------------------------------------------------------------------ distances

namespace {

constexpr std::uint64_t farthest = ~std::uint64_t(0);

/// The place of a float's bits in the order of all values; -0 and 0 share one.
template <class Bits> std::int64_t place(Bits bits) {
    constexpr Bits sign = static_cast<Bits>(Bits(1) << (8 * sizeof(Bits) - 1));
    const auto magnitude = static_cast<std::int64_t>(bits & static_cast<Bits>(~sign));
    return (bits & sign) != 0 ? -magnitude : magnitude;
}

template <class T> std::uint64_t distance(T a, T b) {
    if constexpr (std::is_same_v<T, bool>) {
        return a == b ? 0 : 1;
    } else if constexpr (std::is_integral_v<T>) {
        const auto wide = [](T x) { return static_cast<std::uint64_t>(x); };
        return a < b ? wide(b) - wide(a) : wide(a) - wide(b);
    } else if constexpr (kiln::detail::IsComplex<T>::value) {
        return std::max(distance(a.real(), b.real()), distance(a.imag(), b.imag()));
    } else {
        const bool a_nan = !(a == a), b_nan = !(b == b);
        if (a_nan || b_nan) return a_nan && b_nan ? 0 : farthest;
        using Bits =
            std::conditional_t<sizeof(T) == 2, std::uint16_t,
                               std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
        Bits x, y;
        std::memcpy(&x, &a, sizeof a);
        std::memcpy(&y, &b, sizeof b);
        const std::int64_t p = place(x), q = place(y);
        // Places of f64 lie within 2^63 - 2^52 of 0, so the difference of any two fits.
        return p < q ? static_cast<std::uint64_t>(q) - static_cast<std::uint64_t>(p)
                     : static_cast<std::uint64_t>(p) - static_cast<std::uint64_t>(q);
    }
}

template <class T> std::string text_of(T value) {
    if constexpr (std::is_same_v<T, bool>)
        return value ? "true" : "false";
    else if constexpr (std::is_integral_v<T>)
        return std::to_string(value);
    else if constexpr (kiln::detail::IsComplex<T>::value)
        return fmt::format("({}, {})", text_of(value.real()), text_of(value.imag()));
    else if constexpr (kiln::detail::is_storage_float<T>)
        return text_of(static_cast<float>(value));
    else
        return value == value ? fmt::format("{}", value) : "nan";  // whatever its sign
}

/// f(a value of the dtype's C++ type).
template <class F> auto with_type(DType dtype, F&& f) {
    switch (dtype) {
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    case DType::id: return f(cpp{});
#include <kiln/dtype.def>
#undef KILN_DTYPE
    }
    __builtin_unreachable();
}

template <class T> T element(const std::byte* at) {
    if constexpr (std::is_same_v<T, bool>) {
        return *at != std::byte(0);
    } else {
        T value;
        std::memcpy(&value, at, sizeof value);
        return value;
    }
}

void take_up(std::optional<Difference>& found, Difference one) {
    if (!found) {
        found = std::move(one);
        return;
    }
    ++found->count;
    found->most_ulps = std::max(found->most_ulps, one.ulps);
}

template <class T>
std::optional<Difference> compare_elements(const std::string& what, const OperandView& value,
                                           const OperandView& expected) {
    std::optional<Difference> found;
    Shape index = Shape::filled(value.rank, 0);
    for (std::int64_t left = value.size(); left > 0; --left) {
        const std::byte *a = value.data, *b = expected.data;
        for (int d = 0; d < value.rank; ++d) {
            a += index[d] * value.strides[d];
            b += index[d] * expected.strides[d];
        }
        const T x = element<T>(a), y = element<T>(b);
        if (const std::uint64_t ulps = distance(x, y); ulps != 0)
            take_up(found, {what, index, Scalar::of(x), Scalar::of(y), ulps, 1, ulps});
        for (int d = value.rank; d-- > 0 && ++index[d] == value.extents[d];) index[d] = 0;
    }
    return found;
}

}  // namespace

std::uint64_t ulps_between(const Scalar& a, const Scalar& b) {
    return with_type(a.dtype, [&]<class T>(T) { return distance(a.get<T>(), b.get<T>()); });
}

// ------------------------------------------------------------------------------ comparison

std::optional<Difference> compare(std::string what, const OperandView& value,
                                  const OperandView& expected) {
    for (int d = 0; d < value.rank; ++d) {
        const std::int64_t a = value.extents[d], b = expected.extents[d];
        if (a == b) continue;
        const std::uint64_t far = distance(a, b);
        return Difference{
            "the shape of " + what, Shape(d), Scalar::of(a), Scalar::of(b), far, 1, far};
    }
    return with_type(value.dtype,
                     [&]<class T>(T) { return compare_elements<T>(what, value, expected); });
}

std::optional<Difference> compare(std::string what, const kiln::detail::JitValue& value,
                                  const kiln::detail::JitValue& expected) {
    if (const Scalar* a = std::get_if<Scalar>(&value)) {
        const auto& b = std::get<Scalar>(expected);
        const std::uint64_t ulps = ulps_between(*a, b);
        if (ulps == 0) return std::nullopt;
        return Difference{std::move(what), {}, *a, b, ulps, 1, ulps};
    }
    OperandView a, b;
    view_array(a, std::get<Array>(value), false);
    view_array(b, std::get<Array>(expected), false);
    return compare(std::move(what), a, b);
}

}  // namespace engine

std::string Difference::text() const {
    const auto text = [](const Scalar& s) {
        return engine::with_type(s.dtype, [&]<class T>(T) { return engine::text_of(s.get<T>()); });
    };
    const auto distance = [](std::uint64_t ulps) {
        return ulps == engine::farthest ? std::string("NaN against a number")
                                        : fmt::format("{} ULP{}", ulps, ulps == 1 ? "" : "s");
    };
    std::string place = what;
    if (!index.empty()) {
        place += '(';
        for (int d = 0; d < index.rank(); ++d)
            place += (d == 0 ? "" : ", ") + std::to_string(index[d]);
        place += ')';
    }
    std::string all = fmt::format("{} is {}, expected {} ({})", place, text(value), text(expected),
                                  distance(ulps));
    if (count > 1)
        all += fmt::format("; {} elements differ, the farthest by {}", count, distance(most_ulps));
    return all;
}

}  // namespace kiln
