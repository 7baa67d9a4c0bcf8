// Means, variances, positions of extremes: chunks of reductions, merged in a fixed order.
#include "jit/arrays/rows.h"
#include "jit/call/axes.h"
#include "jit/reduce/chunks.h"
#include "runtime/process.h"

#include <kiln/statistics.h>

#include <kiln/environment.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <memory>
#include <numeric>

namespace kiln {

using engine::Box;
using engine::Chunks;
using engine::ReduceProblem;
using engine::Reducer;

namespace {

using Function = kiln::detail::ElementFunction;

/// A reducer of a function of this file.
std::unique_ptr<Reducer> make_reducer(std::string name, std::size_t arity, Function function,
                                      ir::Reduction reduction) {
    return std::make_unique<Reducer>(
        engine::UfuncSource{std::move(name), arity, std::move(function), {}, {}}, reduction);
}

std::int64_t reduced_count(const Shape& shape, unsigned bits) {
    std::int64_t n = 1;
    for (int d = 0; d < shape.rank(); ++d)
        if ((bits >> d & 1U) != 0) n *= shape[d];
    return n;
}

// ------------------------------------------------------------------------------ mean

/// What mean and var compute in, and the dtype of the mean.
struct MomentTypes {
    DType compute, result;
};
MomentTypes moment_types(const char* name, DType x, const std::optional<DType>& asked,
                         Location where) {
    const bool number = is_real(x) || is_complex(x);
    const DType result = asked.value_or(number ? x : DType::f64);
    if (!is_real(result) && !is_complex(result)) {
        throw Error(ErrorKind::type,
                    fmt::format("{} computes in real or complex numbers, dtype {} was asked for",
                                name, kiln::name(result)),
                    where, "convert the result with astype");
    }
    if (!can_cast(x, result, Casting::same_kind)) {
        throw Error(ErrorKind::type,
                    fmt::format("cannot cast values of {} from {} to {} under same_kind", name,
                                kiln::name(x), kiln::name(result)),
                    where, "convert with astype");
    }
    return {compute_type(number ? promote(x, result) : result), result};
}

/// Divides the elements of a contiguous array.
void divide(const Array& sums, double n) {
    visit_dtype(sums.dtype(), [&]<class T>(std::type_identity<T>) {
        if constexpr (std::is_floating_point_v<T> || kiln::detail::IsComplex<T>::value) {
            for (T& value : sums.span<T>()) {
                if constexpr (std::is_floating_point_v<T>) {
                    value = static_cast<T>(value / static_cast<T>(n));
                } else {
                    value /= static_cast<typename T::value_type>(n);
                }
            }
        }
    });
}

/// Gives the result of a call to the caller.
Array deliver(const char* name, const Array& result, DType dtype, const OutArg& out,
              Location where) {
    if (!out) return result.dtype() == dtype ? result : result.astype(dtype);
    const Array target = engine::checked_output(name, out, result.shape(), dtype, where);
    target.assign(result, Casting::unsafe, where);
    return target;
}

}  // namespace

Array mean(const Array& x, const MomentOptions& options, std::source_location where) {
    static constinit detail::Lazy<MapReduce> serial, threaded;
    const detail::DefaultEnvironment environment;
    const MomentTypes types = moment_types("mean", x.dtype(), options.dtype, where);
    const unsigned bits = engine::axis_bits(
        "mean", options.axis.is_default() ? Axes::all() : options.axis, x.rank(), where);
    const MapReduce& sums = (options.parallel ? threaded : serial).get([&] {
        return std::make_unique<MapReduce>(
            map_reduce("mean", [](Value v) { return v; }, Reduce::sum,
                       MapReduceOptions{.parallel = options.parallel}, {}));
    });
    const Array result = sums(
        x, {.axis = options.axis, .keepdims = options.keepdims, .dtype = types.compute}, where);
    divide(result, static_cast<double>(reduced_count(x.shape(), bits)));
    return deliver("mean", result, types.result, options.out, where);
}

// ------------------------------------------------------------------------------ variance

namespace {

/// Mean and sum of squared deviations of a part of the elements.
template <class C> struct Part {
    C mean{};
    double squares = 0;
};

template <class C> bool is_finite(C x) { return x - x == C{}; }

/// a = a and b together, of `na` and `nb` elements.
template <class C> void merge(Part<C>& a, const Part<C>& b, double na, double nb) {
    const C apart = b.mean - a.mean;
    const double share = nb / (na + nb);
    // The distance of two means may be over the largest number.
    a.mean = is_finite(apart) ? a.mean + apart * share : a.mean * (1 - share) + b.mean * share;
    if constexpr (std::is_same_v<C, double>) {
        a.squares += b.squares + apart * apart * (na * share);
    } else {
        a.squares += b.squares + std::norm(apart) * (na * share);
    }
}

Reducer& sum_reducer() {
    static constinit detail::Lazy<Reducer> lazy;
    return lazy.get([] {
        return make_reducer(
            "var", 1, [](auto x, auto& out) { out.push_back(x[0]); }, ir::Reduction::sum);
    });
}
/// The same of elements of f64 or c128 made so small that no chunk's sum overflows.
constexpr double small = 0x1p-20;
static_assert(engine::largest_chunk <= 0x1p20);
Reducer& small_sum_reducer() {
    static constinit detail::Lazy<Reducer> lazy;
    return lazy.get([] {
        return make_reducer(
            "var", 1, [](auto x, auto& out) { out.push_back(x[0] * small); }, ir::Reduction::sum);
    });
}
Reducer& squares_reducer() {
    static constinit detail::Lazy<Reducer> lazy;
    return lazy.get([] {
        return make_reducer(
            "var", 2, [](auto x, auto& out) { out.push_back(norm(x[0] - x[1])); },
            ir::Reduction::sum);
    });
}

/// The variance of real (C double) or complex numbers.
template <class C> class Variance {
  public:
    Variance(const ReduceProblem& problem, Chunks chunks, DType compute, Location where)
        : problem_(problem),
          chunks_(std::move(chunks)),
          compute_(compute),
          where_(where),
          parts_(static_cast<std::size_t>(chunks_.count() * chunks_.kept.cells())) {}

    /// Chunk i: the mean, then the deviations from it, while the chunk is in the cache.
    void run(std::int64_t i) {
        const Box kept = chunks_.kept.at(i / chunks_.reduced.count()),
                  reduced = chunks_.reduced.at(i % chunks_.reduced.count());
        // Sums of f32 in f64, so that means lose nothing to the size of the chunk.
        constexpr bool complex = !std::is_same_v<C, double>;
        const DType wide = complex ? DType::c128 : DType::f64;
        const auto n = static_cast<double>(reduced.cells);
        std::vector<C> sums(static_cast<std::size_t>(kept.cells));
        ReduceProblem p = engine::chunk_problem(problem_, kept, reduced, sums.data(), wide);
        engine::run_chunk(sum_reducer(), p, wide, where_);
        for (C& sum : sums) sum /= n;
        // Sums of smaller elements are not finite only where an element isn't.
        if (problem_.dtypes[0] == wide && !std::ranges::all_of(sums, is_finite<C>)) {
            std::vector<C> scaled(sums.size());
            p = engine::chunk_problem(problem_, kept, reduced, scaled.data(), wide);
            engine::run_chunk(small_sum_reducer(), p, wide, where_);
            for (std::size_t c = 0; c < sums.size(); ++c)
                if (!is_finite(sums[c])) sums[c] = scaled[c] / n / small;
        }
        if (size_of(compute_) == sizeof(C)) {
            deviations<C, double>(kept, reduced, sums, parts(i));
        } else {
            using Single = std::conditional_t<complex, std::complex<float>, float>;
            deviations<Single, float>(kept, reduced, sums, parts(i));
        }
    }

    /// Box k of the kept cells: the parts of its chunks, merged pairwise.
    std::span<const Part<C>> merged(std::int64_t k, const Box& kept) {
        const std::int64_t count = chunks_.reduced.count();
        std::vector<double> sizes;
        for (std::int64_t r = 0; r < count; ++r)
            sizes.push_back(static_cast<double>(chunks_.reduced.at(r).cells));
        for (std::int64_t step = 1; step < count; step *= 2) {
            for (std::int64_t r = 0; r + step < count; r += 2 * step) {
                double &na = sizes[static_cast<std::size_t>(r)],
                       &nb = sizes[static_cast<std::size_t>(r + step)];
                Part<C>*const a = parts(k * count + r), *const b = parts(k * count + r + step);
                for (std::int64_t c = 0; c < kept.cells; ++c) merge(a[c], b[c], na, nb);
                na += nb;
            }
        }
        return {parts(k * count), static_cast<std::size_t>(kept.cells)};
    }

  private:
    Part<C>* parts(std::int64_t chunk) { return parts_.data() + chunk * chunks_.kept.cells(); }

    /// Squared deviations in dtype_of<T>, accumulated in dtype_of<R>.
    template <class T, class R>
    void deviations(const Box& kept, const Box& reduced, const std::vector<C>& means,
                    Part<C>* parts) {
        std::vector<T> centres(means.size());
        for (std::size_t c = 0; c < means.size(); ++c) centres[c] = static_cast<T>(means[c]);
        std::vector<R> squares(means.size());
        ReduceProblem p =
            engine::chunk_problem(problem_, kept, reduced, squares.data(), dtype_of<R>);
        engine::add_kept_source(p, centres.data(), dtype_of<T>);
        engine::run_chunk(squares_reducer(), p, dtype_of<R>, where_);
        for (std::size_t c = 0; c < means.size(); ++c)
            parts[c] = {means[c], static_cast<double>(squares[c])};
    }

    const ReduceProblem& problem_;
    Chunks chunks_;
    DType compute_;
    Location where_;
    std::vector<Part<C>> parts_;
};

template <class C> void run_variance(ReduceProblem& p, DType compute, double n, double ddof,
                                     bool root, bool parallel, std::int64_t bytes, Location where) {
    const Chunks chunks = engine::cut(p);
    Variance<C> variance(p, chunks, compute, where);
    engine::for_chunks(parallel, chunks.count(), bytes, [&](std::int64_t i) { variance.run(i); });
    const double divisor = std::max(n - ddof, 0.0);
    engine::for_chunks(parallel, chunks.kept.count(), bytes, [&](std::int64_t k) {
        const Box kept = chunks.kept.at(k);
        const auto parts = variance.merged(k, kept);
        std::size_t c = 0;
        engine::visit_cells(kept, [&](std::int64_t offset) {
            const double v = parts[c++].squares / divisor;
            *reinterpret_cast<double*>(p.out + offset) = root ? std::sqrt(v) : v;
        });
    });
}

Array variance(const char* name, const Array& x, const MomentOptions& options, bool root,
               Location where) {
    engine::check_on_host(x, where);
    const detail::DefaultEnvironment environment;
    const MomentTypes types = moment_types(name, x.dtype(), options.dtype, where);
    const unsigned bits = engine::axis_bits(
        name, options.axis.is_default() ? Axes::all() : options.axis, x.rank(), where);
    const Shape shape = engine::reduced_shape(x.shape(), bits, options.keepdims);
    const Array result = empty(shape, DType::f64, Order::c, where);
    const DType dtype = real_type(types.result);
    if (options.out) engine::checked_output(name, options.out, shape, dtype, where);
    const auto n = static_cast<double>(reduced_count(x.shape(), bits));
    if (result.size() > 0 && x.size() == 0) {
        result.fill(std::numeric_limits<double>::quiet_NaN(), where);
    } else if (result.size() > 0) {
        ReduceProblem p = engine::problem_of(x, bits, result, options.keepdims, true);
        const auto run =
            is_complex(types.compute) ? run_variance<std::complex<double>> : run_variance<double>;
        run(p, types.compute, n, options.ddof, root, options.parallel, x.nbytes(), where);
    }
    return deliver(name, result, dtype, options.out, where);
}

}  // namespace

Array var(const Array& x, const MomentOptions& options, std::source_location where) {
    return variance("var", x, options, false, where);
}
Array standard_deviation(const Array& x, const MomentOptions& options, std::source_location where) {
    return variance("standard_deviation", x, options, true, where);
}

// ------------------------------------------------------------------------------ positions

namespace {

/// The position, among the reduced cells of a chunk, of the first element that is the extreme: the
/// positions are a source of their own, and the others count as beyond the end.
Reducer& position_reducer() {
    static constinit detail::Lazy<Reducer> lazy;
    return lazy.get([] {
        return make_reducer(
            "argmin", 3,
            [](auto x, auto& out) {
                const Value found = x[0] == x[1] || x[0] != x[0];
                out.push_back(select(found, x[2], std::numeric_limits<std::int32_t>::max()));
            },
            ir::Reduction::min);
    });
}

/// 0, 1, ... as i32, for any chunk.
std::int32_t* positions() {
    static constinit detail::Lazy<std::vector<std::int32_t>> lazy;
    return lazy
        .get([] {
            auto list = std::make_unique<std::vector<std::int32_t>>(engine::largest_chunk);
            std::iota(list->begin(), list->end(), 0);
            return list;
        })
        .data();
}

/// Extremes of type T, accumulated in from the array's dtype.
template <class T> class Positions {
  public:
    Positions(const ReduceProblem& problem, Chunks chunks, bool largest, Location where)
        : problem_(problem),
          chunks_(std::move(chunks)),
          largest_(largest),
          where_(where),
          // Only the chunk that has the extreme is searched, where that is a single one.
          late_(chunks_.kept.cells() == 1 && chunks_.reduced.count() > 1),
          values_(static_cast<std::size_t>(chunks_.count() * chunks_.kept.cells())),
          positions_(late_ ? 0 : values_.size()) {}

    void run(std::int64_t i) {
        const Box kept = chunks_.kept.at(i / chunks_.reduced.count()),
                  reduced = chunks_.reduced.at(i % chunks_.reduced.count());
        const std::int64_t first = i * chunks_.kept.cells();
        ReduceProblem p =
            engine::chunk_problem(problem_, kept, reduced, values_.data() + first, dtype_of<T>);
        // What is read as bool is compared as u8, of which it has the values 0 and 1.
        engine::run_chunk(
            engine::partial_reducer(largest_ ? ir::Reduction::max : ir::Reduction::min), p,
            is_bool(p.dtypes[0]) ? std::optional(dtype_of<T>) : std::nullopt, where_);
        if (!late_) search(kept, reduced, values_.data() + first, positions_.data() + first);
    }

    /// Box k of the kept cells: the extreme of its chunks, the first of equal ones.
    void finish(std::int64_t k) {
        const std::int64_t count = chunks_.reduced.count(), cells = chunks_.kept.cells();
        const Box kept = chunks_.kept.at(k);
        std::int64_t c = 0;
        engine::visit_cells(kept, [&](std::int64_t offset) {
            const auto place = [&](std::int64_t r) {
                return static_cast<std::size_t>((k * count + r) * cells + c);
            };
            std::int64_t best = 0;
            for (std::int64_t r = 1; r < count; ++r)
                if (beats(values_[place(r)], values_[place(best)])) best = r;
            const Box reduced = chunks_.reduced.at(best);
            std::int32_t position = 0;
            if (late_) {
                search(kept, reduced, &values_[place(best)], &position);
            } else {
                position = positions_[place(best)];
            }
            *reinterpret_cast<std::int64_t*>(problem_.out + offset) = reduced.first + position;
            ++c;
        });
    }

  private:
    /// Whether b, of a later chunk, is to be preferred to a.
    bool beats(T b, T a) const {
        if constexpr (std::is_floating_point_v<T>) {
            if (std::isnan(a) || std::isnan(b)) return !std::isnan(a);
        }
        return largest_ ? b > a : b < a;
    }

    void search(const Box& kept, const Box& reduced, T* values, std::int32_t* found) {
        ReduceProblem p = engine::chunk_problem(problem_, kept, reduced, found, DType::i32);
        engine::add_kept_source(p, values, dtype_of<T>);
        const std::size_t k = p.sources++;
        p.data[k] = reinterpret_cast<std::byte*>(positions());
        p.dtypes[k] = DType::i32;
        for (std::size_t a = 0; a < p.kept_count; ++a) p.kept[a].strides[k] = 0;
        for (std::size_t a = 0; a < p.reduced_count; ++a)
            p.reduced[a].strides[k] = sizeof(std::int32_t);  // there is one reduced axis at most
        engine::run_chunk(position_reducer(), p, std::nullopt, where_);
    }

    const ReduceProblem& problem_;
    Chunks chunks_;
    bool largest_;
    Location where_;
    bool late_;
    std::vector<T> values_;
    std::vector<std::int32_t> positions_;
};

/// Positions of the extremes of rows, in NumPy's order of complex numbers: by real parts, then by imaginary
/// ones. The first one with a NaN wins.
template <class C> void complex_positions(const Array& rows, bool largest, std::int64_t* found,
                                          bool parallel) {
    const std::int64_t length = rows.extent(1);
    const auto values = rows.span<const C>();
    const auto has_nan = [](C z) { return std::isnan(z.real()) || std::isnan(z.imag()); };
    const auto beats = [&](C z, C best) {
        if (z.real() != best.real()) return (z.real() > best.real()) == largest;
        return z.imag() != best.imag() && (z.imag() > best.imag()) == largest;
    };
    engine::for_rows(parallel, rows.extent(0), rows.size(), [&](std::int64_t r) {
        const auto row =
            values.subspan(static_cast<std::size_t>(r * length), static_cast<std::size_t>(length));
        std::size_t best = 0;
        for (std::size_t i = 0; i < row.size() && !has_nan(row[best]); ++i)
            if (has_nan(row[i]) || beats(row[i], row[best])) best = i;
        found[r] = static_cast<std::int64_t>(best);
    });
}

Array position(const char* name, Array x, const PositionOptions& options, bool largest,
               Location where) {
    engine::check_on_host(x, where);
    const detail::DefaultEnvironment environment;
    const int rank = x.rank();
    unsigned bits =
        engine::axis_bits(name, options.axis ? Axes(*options.axis) : Axes::all(), rank, where);
    const Shape shape = engine::reduced_shape(x.shape(), bits, options.keepdims);
    const Array result = empty(shape, DType::i64, Order::c, where);
    if (options.out) engine::checked_output(name, options.out, shape, DType::i64, where);
    if (reduced_count(x.shape(), bits) == 0) {
        throw Error(ErrorKind::shape, fmt::format("attempt to get {} of an empty sequence", name),
                    where);
    }
    if (result.size() == 0) return deliver(name, result, DType::i64, options.out, where);
    if (is_complex(x.dtype())) {
        const Array rows = engine::rows_of(x, bits, x.dtype(), where);
        auto* const found = reinterpret_cast<std::int64_t*>(result.data());
        if (x.dtype() == DType::c64)
            complex_positions<std::complex<float>>(rows, largest, found, options.parallel);
        else
            complex_positions<std::complex<double>>(rows, largest, found, options.parallel);
        return deliver(name, result, DType::i64, options.out, where);
    }
    Array flat = result;
    bool keepdims = options.keepdims;
    if (!options.axis) {
        x = x.reshape(Shape(x.size()), where);
        flat = result.reshape({}, where);
        bits = 1;
        keepdims = false;
    }
    ReduceProblem p = engine::problem_of(x, bits, flat, keepdims, false);
    const Chunks chunks = engine::cut(p);
    visit_dtype(is_bool(x.dtype()) ? DType::u8 : compute_type(x.dtype()),
                [&]<class T>(std::type_identity<T>) {
                    if constexpr ((std::is_integral_v<T> && !std::is_same_v<T, bool>) ||
                                  std::is_floating_point_v<T>) {
                        Positions<T> run(p, chunks, largest, where);
                        engine::for_chunks(options.parallel, chunks.count(), x.nbytes(),
                                           [&](std::int64_t i) { run.run(i); });
                        engine::for_chunks(options.parallel, chunks.kept.count(), x.nbytes(),
                                           [&](std::int64_t k) { run.finish(k); });
                    }
                });
    return deliver(name, result, DType::i64, options.out, where);
}

}  // namespace

Array argmin(const Array& x, const PositionOptions& options, std::source_location where) {
    return position("argmin", x, options, false, where);
}
Array argmax(const Array& x, const PositionOptions& options, std::source_location where) {
    return position("argmax", x, options, true, where);
}

}  // namespace kiln
