// Sorting, medians and quantiles: rows in memory of their own, sorted or partly so.
#include "runtime/sort.h"

#include "jit/arrays/rows.h"
#include "jit/call/axes.h"
#include "jit/call/threads.h"
#include "jit/reduce/reduce.h"

#include <kiln/parallel.h>
#include <kiln/sort.h>
#include <kiln/statistics.h>

#include <fmt/format.h>

#include <kiln/environment.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>

namespace kiln {
namespace engine {

Array rows_of(const Array& x, unsigned bits, DType dtype, Location where) {
    Shape order;
    std::int64_t rows = 1, length = 1;
    for (int d = 0; d < x.rank(); ++d) {
        if ((bits >> d & 1U) != 0) continue;
        order.push_back(d);
        rows *= x.extent(d);
    }
    for (int d = 0; d < x.rank(); ++d) {
        if ((bits >> d & 1U) == 0) continue;
        order.push_back(d);
        length *= x.extent(d);
    }
    const Array turned = x.transpose(order, where);
    const Array copy = empty(turned.shape(), dtype, Order::c, where);
    copy.assign(turned, Casting::unsafe, where);
    return copy.reshape({rows, length}, where);
}

void for_rows(bool parallel, std::int64_t rows, std::int64_t elements,
              const std::function<void(std::int64_t)>& work) {
    split(parallel && elements >= least_parallel_sorted, rows,
          least_parallel_sorted * rows / std::max<std::int64_t>(1, elements),
          [&](std::int64_t begin, std::int64_t end) {
              for (; begin < end; ++begin) work(begin);
          });
}

}  // namespace engine

namespace {

/// An array whose axis is sorted, and the result to be.
struct SortCall {
    Array source;
    int axis;
    Array target;  ///< the output given, or nothing yet
    bool given;
};

SortCall sort_call(const char* name, const Array& x, const SortOptions& options,
                   std::optional<DType> dtype, Location where) {
    engine::check_on_host(x, where);
    SortCall call{x, 0, {}, static_cast<bool>(options.out)};
    if (!options.axis) {
        call.source = x.reshape(Shape(x.size()), where);
    } else {
        call.axis = engine::checked_axis(name, *options.axis, x.rank(), where);
    }
    const DType result = dtype.value_or(x.dtype());
    call.target =
        call.given ? engine::checked_output(name, options.out, call.source.shape(), result, where)
                   : empty(call.source.shape(), result, Order::c, where);
    return call;
}

/// Stores rows along the axis of a call.
void store_rows(const SortCall& call, const Array& rows, Location where) {
    Shape shape, back;
    for (int d = 0; d < call.source.rank(); ++d)
        if (d != call.axis) shape.push_back(call.source.extent(d));
    shape.push_back(call.source.extent(call.axis));
    for (int d = 0; d < call.source.rank(); ++d) {
        const int last = call.source.rank() - 1;
        back.push_back(d == call.axis ? last : d < call.axis ? d : d - 1);
    }
    call.target.assign(rows.reshape(shape, where).transpose(back, where), Casting::unsafe, where);
}

}  // namespace

Array sort(const Array& x, const SortOptions& options, std::source_location where) {
    const detail::DefaultEnvironment environment;
    const SortCall call = sort_call("sort", x, options, {}, where);
    if (call.source.size() == 0) return call.target;
    const Array rows = engine::rows_of(call.source, 1U << call.axis, x.dtype(), where);
    const std::int64_t n = rows.extent(1), stride = rows.stride(0);
    const bool several = rows.extent(0) > 1;
    engine::for_rows(options.parallel, rows.extent(0), rows.size(), [&](std::int64_t row) {
        detail::sort_elements(x.dtype(), rows.data() + row * stride, n,
                              options.parallel && !several);
    });
    store_rows(call, rows, where);
    return call.target;
}

Array argsort(const Array& x, const SortOptions& options, std::source_location where) {
    const detail::DefaultEnvironment environment;
    const SortCall call = sort_call("argsort", x, options, DType::i64, where);
    if (call.source.size() == 0) return call.target;
    const Array rows = engine::rows_of(call.source, 1U << call.axis, x.dtype(), where);
    const Array positions = empty(rows.shape(), DType::i64, Order::c, where);
    const std::int64_t n = rows.extent(1), stride = rows.stride(0);
    const bool several = rows.extent(0) > 1;
    engine::for_rows(options.parallel, rows.extent(0), rows.size(), [&](std::int64_t row) {
        detail::sort_positions(x.dtype(), rows.data() + row * stride, n,
                               reinterpret_cast<std::int64_t*>(positions.data()) + row * n,
                               options.parallel && !several);
    });
    store_rows(call, positions, where);
    return call.target;
}

// ------------------------------------------------------------------------------ quantiles

namespace {

/// Between which positions of a sorted row of n a fraction lies, and how far.
struct Between {
    std::int64_t low, high;
    double share;
};
Between between(double fraction, std::int64_t n) {
    const double at = fraction * static_cast<double>(n - 1);
    const auto low = std::min(static_cast<std::int64_t>(at), n - 1);
    return {low, std::min(low + 1, n - 1), at - static_cast<double>(low)};
}

/// From a to b, from the nearer of both, so that neither end is missed; the mean of both for a
/// median.
template <class T>
    requires(std::is_floating_point_v<T>)
T interpolate(T a, T b, double share, bool middle) {
    if (share == 0 || a == b) return a;  // also where the difference is infinite
    const T to_b = static_cast<T>(share), to_a = static_cast<T>(1 - share);
    // An infinite end swallows a finite one; sums and distances overflow where no number between
    // the ends does.
    if (std::isinf(a) || std::isinf(b)) return std::isinf(a) ? (std::isinf(b) ? a + b : a) : b;
    const T either = middle ? a + b : b - a;
    if (std::isinf(either)) return 2 * interpolate(a / 2, b / 2, share, middle);
    if (middle) return either / 2;
    return share < 0.5 ? a + either * to_b : b - either * to_a;
}
/// Integers of 64 bits: long double holds them, and their distances.
template <class T>
    requires(std::is_integral_v<T>)
double interpolate(T a, T b, double share, bool middle) {
    constexpr T limit = T(1) << std::numeric_limits<double>::digits;
    const auto exact = [](T x) {
        if constexpr (std::is_signed_v<T>) return -limit <= x && x <= limit;
        return x <= limit;
    };
    if (exact(a) && exact(b))
        return interpolate(static_cast<double>(a), static_cast<double>(b), share, middle);
    const long double low = a, apart = b - low;
    return static_cast<double>(low + apart * share);
}

/// Row by row: the quantiles of a row, in consecutive rows of `results`.
template <class T, class R>
void quantiles_of_rows(const Array& rows, std::span<const double> fractions, const Array& results,
                       bool middle, bool parallel) {
    const std::int64_t n = rows.extent(1), count = rows.extent(0);
    std::vector<Between> places;
    std::vector<std::int64_t> positions;
    for (const double fraction : fractions) {
        places.push_back(between(fraction, n));
        positions.push_back(places.back().low);
        positions.push_back(places.back().high);
    }
    std::ranges::sort(positions);
    const auto is_nan = [](T x) { return x != x; };
    engine::for_rows(parallel, count, rows.size(), [&](std::int64_t row) {
        T* const data = reinterpret_cast<T*>(rows.data()) + row * n;
        R* const out = reinterpret_cast<R*>(results.data()) + row;
        const bool has_nan = std::any_of(data, data + n, is_nan);
        if (!has_nan) detail::select_elements(data, n, positions);
        for (std::size_t q = 0; q < places.size(); ++q) {
            const auto [low, high, share] = places[q];
            out[static_cast<std::int64_t>(q) * count] =
                has_nan ? std::numeric_limits<R>::quiet_NaN()
                        : static_cast<R>(interpolate(data[low], data[high], share, middle));
        }
    });
}

/// The medians of rows, which are sorted; the last element where that has a NaN.
template <class C> void complex_medians(const Array& rows, C* medians, bool parallel) {
    const std::int64_t n = rows.extent(1);
    engine::for_rows(parallel, rows.extent(0), rows.size(), [&](std::int64_t r) {
        C* const row = rows.span<C>().data() + r * n;
        detail::sort_elements(rows.dtype(), reinterpret_cast<std::byte*>(row), n, false);
        const C last = row[n - 1], low = row[(n - 1) / 2], high = row[n / 2];
        medians[r] =
            std::isnan(last.real()) || std::isnan(last.imag())
                ? last
                : C(std::midpoint(low.real(), high.real()), std::midpoint(low.imag(), high.imag()));
    });
}

/// The median of complex numbers, in NumPy's order.
Array complex_median(const Array& x, const QuantileOptions& options, Location where) {
    const unsigned bits = engine::axis_bits(
        "median", options.axis.is_default() ? Axes::all() : options.axis, x.rank(), where);
    const Shape shape = engine::reduced_shape(x.shape(), bits, options.keepdims);
    Array target;
    if (options.out)
        target = engine::checked_output("median", options.out, shape, x.dtype(), where);
    const Array values = empty(shape, x.dtype(), Order::c, where);
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    if (x.size() == 0) {
        values.fill(std::complex<double>(nan, nan), where);
    } else if (const Array rows = engine::rows_of(x, bits, x.dtype(), where);
               x.dtype() == DType::c64) {
        complex_medians(rows, values.span<std::complex<float>>().data(), options.parallel);
    } else {
        complex_medians(rows, values.span<std::complex<double>>().data(), options.parallel);
    }
    if (!options.out) return values;
    target.assign(values, Casting::unsafe, where);
    return target;
}

struct QuantileCall {
    const char* name;
    double whole;  ///< 1 of fractions, 100 of percentages
    bool several;  ///< the result has an axis of fractions before the others
    bool middle;   ///< a median
};

Array quantiles(const QuantileCall& call, const Array& x, std::span<const double> given,
                const QuantileOptions& options, Location where) {
    engine::check_on_host(x, where);
    const detail::DefaultEnvironment environment;
    if (is_complex(x.dtype())) {
        throw Error(
            ErrorKind::type,
            fmt::format("{} of {}: complex numbers have no order", call.name, name(x.dtype())),
            where, "take real(x), imag(x) or abs(x)");
    }
    std::vector<double> fractions;
    for (const double q : given) {
        if (!(q >= 0 && q <= call.whole)) {
            throw Error(ErrorKind::usage,
                        fmt::format("{} {} is not in [0, {}]", call.name, q, call.whole), where);
        }
        fractions.push_back(q / call.whole);
    }
    const unsigned bits = engine::axis_bits(
        call.name, options.axis.is_default() ? Axes::all() : options.axis, x.rank(), where);
    Shape shape = engine::reduced_shape(x.shape(), bits, options.keepdims);
    if (call.several) shape.insert(0, static_cast<std::int64_t>(fractions.size()));
    const DType result = is_real(x.dtype()) ? x.dtype() : DType::f64;
    const DType compute = compute_type(result);
    Array target;
    if (options.out) target = engine::checked_output(call.name, options.out, shape, result, where);
    const Array values = empty(shape, compute, Order::c, where);
    if (x.size() == 0) {
        values.fill(std::numeric_limits<double>::quiet_NaN(), where);
    } else if (values.size() > 0) {
        // f64 holds all integers but those of 64 bits.
        const bool wide = is_integer(x.dtype()) && x.item_size() == 8;
        const Array rows = engine::rows_of(x, bits, wide ? x.dtype() : compute, where);
        const auto run = compute == DType::f32     ? quantiles_of_rows<float, float>
                         : x.dtype() == DType::i64 ? quantiles_of_rows<std::int64_t, double>
                         : x.dtype() == DType::u64 ? quantiles_of_rows<std::uint64_t, double>
                                                   : quantiles_of_rows<double, double>;
        run(rows, fractions, values, call.middle, options.parallel);
    }
    if (!options.out) return values.dtype() == result ? values : values.astype(result);
    target.assign(values, Casting::unsafe, where);
    return target;
}

}  // namespace

Array median(const Array& x, const QuantileOptions& options, std::source_location where) {
    if (is_complex(x.dtype())) {
        engine::check_on_host(x, where);
        const detail::DefaultEnvironment environment;
        return complex_median(x, options, where);
    }
    const double half = 0.5;
    return quantiles({"median", 1, false, true}, x, std::span(&half, 1), options, where);
}
Array quantile(const Array& x, double q, const QuantileOptions& options,
               std::source_location where) {
    return quantiles({"quantile", 1, false, false}, x, std::span(&q, 1), options, where);
}
Array quantile(const Array& x, const std::vector<double>& q, const QuantileOptions& options,
               std::source_location where) {
    return quantiles({"quantile", 1, true, false}, x, q, options, where);
}
Array percentile(const Array& x, double q, const QuantileOptions& options,
                 std::source_location where) {
    return quantiles({"percentile", 100, false, false}, x, std::span(&q, 1), options, where);
}
Array percentile(const Array& x, const std::vector<double>& q, const QuantileOptions& options,
                 std::source_location where) {
    return quantiles({"percentile", 100, true, false}, x, q, options, where);
}

}  // namespace kiln
