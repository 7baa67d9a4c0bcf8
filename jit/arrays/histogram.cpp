// Histograms: elements in pieces of a fixed size, each with counts of its own.
#include "jit/arrays/rows.h"
#include "jit/reduce/reduce.h"
#include "runtime/integers.h"

#include <kiln/statistics.h>

#include <fmt/format.h>

#include <kiln/environment.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>

namespace kiln {

namespace {

/// Elements of a piece: counts of pieces are added in order, so weighted ones depend on it. Where
/// there are many bins a piece has more elements, so that adding counts costs little beside.
constexpr std::int64_t piece_elements = 65'536;
constexpr std::int64_t elements_a_bin = 64;

/// Which bin an element is in; none for those outside and for NaN.
template <class T> class UniformBins {
  public:
    /// Whether positions within the range can be computed: its length is a number, and the bins of
    /// one length are too.
    static bool has(std::span<const T> edges) {
        const double length =
            static_cast<double>(edges.back()) - static_cast<double>(edges.front());
        return std::isfinite(length) && length > 1e-290;
    }

    explicit UniformBins(std::span<const T> edges)
        : edges_(edges),
          first_(edges.front()),
          last_(edges.back()),
          bins_(static_cast<std::int64_t>(edges.size()) - 1),
          scale_(static_cast<double>(bins_) /
                 (static_cast<double>(last_) - static_cast<double>(first_))) {}

    std::int64_t operator()(T x) const {
        if (!(x >= first_ && x <= last_)) return -1;
        const double at = (static_cast<double>(x) - static_cast<double>(first_)) * scale_;
        std::int64_t bin = std::min(static_cast<std::int64_t>(at), bins_ - 1);
        // Rounding may have led to a neighbour: the edges decide.
        const auto place = static_cast<std::size_t>(bin);
        bin -= x < edges_[place];
        bin += bin + 1 < bins_ && x >= edges_[place + 1];
        return bin;
    }

  private:
    std::span<const T> edges_;
    T first_, last_;
    std::int64_t bins_;
    double scale_;
};

template <class T> class SearchedBins {
  public:
    explicit SearchedBins(std::span<const T> edges) : edges_(edges) {}
    std::int64_t operator()(T x) const {
        if (!(x >= edges_.front() && x <= edges_.back())) return -1;
        const auto above = std::upper_bound(edges_.begin(), edges_.end(), x);
        // What equals the last edge is in the last bin that has any width, or the last one.
        const auto bin = above - edges_.begin() - 1;
        return std::min(bin, static_cast<std::ptrdiff_t>(edges_.size()) - 2);
    }

  private:
    std::span<const T> edges_;
};

/// Counts (C i64) or sums of weights (C double) of all elements.
template <class T, class C, class Bins>
std::vector<C> count(std::span<const T> x, const double* weights, const Bins& bins,
                     std::size_t bin_count, bool parallel) {
    const auto n = static_cast<std::int64_t>(x.size());
    const std::int64_t size =
        std::max(piece_elements, elements_a_bin * static_cast<std::int64_t>(bin_count));
    const std::int64_t pieces = std::max<std::int64_t>(1, detail::ceil_div(n, size));
    std::vector<std::vector<C>> counts(static_cast<std::size_t>(pieces));
    engine::for_rows(parallel, pieces, n, [&](std::int64_t piece) {
        // Neighbours count in places apart: one that waits for the store before it takes as long
        // as ten that do not. The first place is for elements in no bin.
        std::array<std::vector<C>, 4> own;
        for (std::vector<C>& part : own) part.assign(bin_count + 1, 0);
        const std::int64_t end = std::min(n, (piece + 1) * size);
        for (std::int64_t i = piece * size; i < end; ++i) {
            const std::int64_t bin = bins(x[static_cast<std::size_t>(i)]);
            own[static_cast<std::size_t>(i % 4)][static_cast<std::size_t>(bin + 1)] +=
                weights != nullptr ? static_cast<C>(weights[i]) : C(1);
        }
        for (std::size_t part = 1; part < own.size(); ++part)
            for (std::size_t b = 0; b <= bin_count; ++b) own[0][b] += own[part][b];
        counts[static_cast<std::size_t>(piece)] = std::move(own[0]);
    });
    std::vector<C> all(bin_count, 0);
    for (const std::vector<C>& own : counts)
        for (std::size_t b = 0; b < bin_count; ++b) all[b] += own[b + 1];
    return all;
}

/// Elements and weights as rows of memory, and what the result is made of.
struct Input {
    Array elements, weights;  ///< C-contiguous, of rank 1; weights f64 or empty
    DType dtype;              ///< of elements and edges: f32 or f64
};

Input prepare(const Array& x, const HistogramOptions& options, Location where) {
    engine::check_on_host(x, where);
    if (is_complex(x.dtype())) {
        throw Error(ErrorKind::type,
                    fmt::format("histogram of {}: complex numbers have no order", name(x.dtype())),
                    where, "take real(x), imag(x) or abs(x)");
    }
    const auto flat = [&](const Array& a, DType dtype) {
        const Array one = a.reshape(Shape(a.size()), where);
        return one.dtype() == dtype ? one.contiguous(where) : one.astype(dtype);
    };
    const bool single = is_real(x.dtype()) && x.dtype() != DType::f64;
    Input input{flat(x, single ? DType::f32 : DType::f64), {}, single ? DType::f32 : DType::f64};
    if (options.weights) {
        if (options.weights->shape() != x.shape()) {
            throw Error(ErrorKind::shape,
                        fmt::format("weights of histogram have shape {}, its array {}",
                                    to_string(options.weights->shape()), to_string(x.shape())),
                        where);
        }
        if (is_complex(options.weights->dtype())) {
            throw Error(
                ErrorKind::type,
                fmt::format("weights of histogram are of dtype {}", name(options.weights->dtype())),
                where, "they are real numbers");
        }
        input.weights = flat(*options.weights, DType::f64);
    }
    return input;
}

Histogram finish(const Input& input, const Array& edges, bool uniform,
                 const HistogramOptions& options) {
    const auto bins = static_cast<std::size_t>(edges.size() - 1);
    const double* const weights =
        options.weights ? reinterpret_cast<const double*>(input.weights.data()) : nullptr;
    const auto run = [&]<class T>(std::type_identity<T>) {
        const auto x = input.elements.span<const T>();
        const auto limits = edges.span<const T>();
        const auto counted = [&](const auto& which) {
            if (weights == nullptr)
                return Array(count<T, std::int64_t>(x, weights, which, bins, options.parallel));
            return Array(count<T, double>(x, weights, which, bins, options.parallel));
        };
        return uniform && UniformBins<T>::has(limits) ? counted(UniformBins<T>(limits))
                                                      : counted(SearchedBins<T>(limits));
    };
    Array counts = input.dtype == DType::f32 ? run(std::type_identity<float>())
                                             : run(std::type_identity<double>());
    if (options.density) {
        counts = counts.astype(DType::f64);
        const Array wide = edges.astype(DType::f64);
        const auto values = counts.span<double>();
        const auto limits = wide.span<const double>();
        double total = 0;
        for (const double value : values) total += value;
        // The width of a bin may be over the largest number.
        for (std::size_t b = 0; b < bins; ++b) {
            const double half = limits[b + 1] / 2 - limits[b] / 2,
                         width = limits[b + 1] - limits[b];
            values[b] =
                std::isfinite(width) ? values[b] / width / total : values[b] / total / 2 / half;
        }
    }
    return {counts, edges};
}

/// The lowest and the highest edge that a call asks for.
std::pair<double, double> ends(const Input& input, const HistogramOptions& options,
                               std::source_location where) {
    double low = 0, high = 1;
    if (options.range) {
        std::tie(low, high) = *options.range;
        if (low > high) {
            throw Error(ErrorKind::usage,
                        fmt::format("the range of histogram is from {} to {}", low, high), where,
                        "the lower end comes first");
        }
    } else if (input.elements.size() > 0) {
        low = amin(input.elements, {}, where).item().cast(DType::f64).get<double>();
        high = amax(input.elements, {}, where).item().cast(DType::f64).get<double>();
    }
    if (!std::isfinite(low) || !std::isfinite(high)) {
        throw Error(
            ErrorKind::usage,
            fmt::format("the range of histogram is [{}, {}], which is not finite", low, high),
            where, options.range ? "" : "give a range=, or leave such elements out");
    }
    return {low, high};
}

/// The ends of a range that has one number only: half a unit further apart each, or as far as the
/// next numbers of type T where those are further.
template <class T> std::pair<double, double> widened(double only) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    const T at = static_cast<T>(only);
    T low = static_cast<T>(only - 0.5), high = static_cast<T>(only + 0.5);
    if (low == at) low = std::nextafter(at, -infinity);
    if (high == at) high = std::nextafter(at, infinity);
    // Beyond the largest numbers there is none; one of the two is enough.
    return {std::isfinite(low) ? low : at, std::isfinite(high) ? high : at};
}

/// The edges of bins of equal width, each a number of type T of its own.
template <class T> Array edges_between(double low, double high, int bins, Location where) {
    if (!std::isfinite(static_cast<T>(low)) || !std::isfinite(static_cast<T>(high))) {
        throw Error(ErrorKind::usage,
                    fmt::format("the range of histogram is [{}, {}], which {} cannot represent",
                                low, high, name(dtype_of<T>)),
                    where, "astype(f64) gives an array whose edges are f64");
    }
    if (low == high) std::tie(low, high) = widened<T>(low);
    const auto fail = [&] {
        throw Error(ErrorKind::usage,
                    fmt::format("too many bins for the range of histogram: between {} and {} there "
                                "are not {} different numbers of {} for the edges",
                                low, high, std::int64_t(bins) + 1, name(dtype_of<T>)),
                    where, "fewer bins, or a wider range=");
    };
    if (static_cast<T>(low) == static_cast<T>(high)) fail();
    const Array edges =
        linspace(low, high, std::int64_t(bins) + 1, true, DType::f64, where).astype(dtype_of<T>);
    const auto values = edges.span<const T>();
    if (std::ranges::adjacent_find(values, std::greater_equal<>()) != values.end()) fail();
    return edges;
}

}  // namespace

Histogram histogram(const Array& x, int bins, const HistogramOptions& options,
                    std::source_location where) {
    const detail::DefaultEnvironment environment;
    if (bins < 1) {
        throw Error(ErrorKind::usage, fmt::format("histogram of {} bins", bins), where,
                    "at least one");
    }
    const Input input = prepare(x, options, where);
    const bool single = input.dtype == DType::f32;
    const auto [low, high] = ends(input, options, where);
    const Array edges = single ? edges_between<float>(low, high, bins, where)
                               : edges_between<double>(low, high, bins, where);
    return finish(input, edges, true, options);
}

Histogram histogram(const Array& x, const std::vector<double>& edges,
                    const HistogramOptions& options, std::source_location where) {
    const detail::DefaultEnvironment environment;
    const auto falls = [](double a, double b) { return !(a <= b); };
    const auto fall = std::ranges::adjacent_find(edges, falls);
    if (edges.empty() || fall != edges.end()) {
        throw Error(ErrorKind::usage,
                    edges.empty()
                        ? "histogram with no edges"
                        : fmt::format("the edges of histogram do not ascend: {} comes before {}",
                                      *fall, *(fall + 1)),
                    where, "each edge is at least the one before");
    }
    Input input = prepare(x, options, where);
    // The edges are the caller's: nothing is rounded to compare.
    if (input.dtype == DType::f32) {
        input.dtype = DType::f64;
        input.elements = input.elements.astype(DType::f64);
    }
    return finish(input, Array(edges).copy(), false, options);
}

}  // namespace kiln
