// Sums of floats in every form of loop and statement: no less accurate than pairwise summation, and
// the same bits for any number of threads and any schedule.
//
// What is held to: NumPy's pairwise sum adds 128 numbers in 8 lanes of 16, and such results pair by
// pair. A number goes through 18 + log2(n / 128) additions, so that the error is at most so many
// times u (half an epsilon) of the sum of magnitudes: 31 u for 10^6 numbers. Half of that is held
// to, with equal numbers too, whose roundings do not cancel.
#include "tests/jit/support.h"

#include <cmath>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>

using namespace kiln;

namespace {

/// In u of the sum of magnitudes of n numbers.
double most(std::int64_t n) { return (18 + std::log2(static_cast<double>(n) / 128)) / 2; }

struct Threads {
    int before = num_threads();
    explicit Threads(int n) { set_num_threads(n); }
    ~Threads() { set_num_threads(before); }
};

/// A sum whose error does not count: what additions of long double round off is carried along.
struct Exact {
    long double sum = 0, lost = 0, magnitude = 0;
    void add(long double x) {
        const long double next = sum + x, back = next - sum;
        lost += (sum - (next - back)) + (x - back);
        sum = next;
        magnitude += std::fabs(x);
    }
    /// How far a result is off, in u of the sum of magnitudes.
    double off(long double result, double u) const {
        const long double difference = std::fabs(result - (sum + lost));
        return magnitude == 0 ? static_cast<double>(difference)
                              : static_cast<double>(difference / magnitude) / u;
    }
};

double u_of(DType t) { return t == DType::f64 || t == DType::c128 ? 0x1p-53 : 0x1p-24; }

std::complex<double> number_at(const Array& flat, std::int64_t i) {
    return flat.scalar_at({i}).cast(DType::c128).get<std::complex<double>>();
}

enum class Data { equal, uniform, mixed };

Array numbers(DType t, std::int64_t n, Data data, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::uniform_real_distribution<double> positive(0, 1), any(-1, 1);
    const double one = 0.1 + positive(engine);
    const std::int64_t parts = is_complex(t) ? 2 : 1;
    const Array x = empty({n}, parts == 2 ? DType::c128 : DType::f64);
    auto* out = reinterpret_cast<double*>(x.data());
    for (std::int64_t i = 0; i < parts * n; ++i)
        out[i] = data == Data::equal ? one : data == Data::uniform ? positive(engine) : any(engine);
    return x.astype(t);
}

/// A kernel: what it sums of x, whose rank is 1 or 2; it may write to y, of the same shape.
struct Form {
    const char* name;
    int rank;
    std::function<Scalar(const JitOptions&, const Array& x, const Array& y)> run;
};
template <class Kernel> Form form(const char* name, int rank, Kernel kernel) {
    return {name, rank, [=](const JitOptions& options, const Array& x, const Array& y) -> Scalar {
                const auto f = jit(name, kernel, options);
                if constexpr (std::is_invocable_v<Kernel, In, InOut>)
                    return f(x, y);
                else
                    return f(x);
            }};
}

/// Sums over one index, into a Var of type t.
std::vector<Form> flat_forms(DType t) {
    return {
        form("lanes", 1,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0))) s += a(i);
                 return s;
             }),
        form("backwards, a function", 1,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0) - 1, -1, -1)) s += cos(0.0F * a(i)) * a(i);
                 return s;
             }),
        form("with stores", 1,
             [=](In a, InOut y) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0))) {
                     y(i) = a(i) + a(i);
                     s += a(i);
                 }
                 return s;
             }),
        form("in a branch, several sums", 1,
             [=](In a, InOut y) -> Value {
                 Var s(t, 0), other(t, 0);
                 for (Index i : prange(a.extent(0))) {
                     y(i) = a(i);
                     if_(i % 2 == 0, [&] { s += a(i); }).else_([&] { other -= a(i); });
                 }
                 return s - other;
             }),
        form("subscripts that are no sums", 1,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0))) s += a(a.extent(0) - 1 - i % a.extent(0));
                 return s;
             }),
        form("steps of 2", 1,
             [=](In a, InOut y) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(0, a.extent(0), 2)) {
                     s += a(i);
                     y(i) = a(i);
                 }
                 for (Index i : prange(1, a.extent(0), 2)) s += a(i);
                 return s;
             }),
        form("atomics", 1,
             [=](In a, InOut y) -> Value {
                 Var s(t, 0);
                 for (Index i :
                      prange(0, a.extent(0), 1, {.schedule = Schedule::dynamic, .chunk = 100})) {
                     s += a(i);
                     if (!is_complex(t)) atomic_add(y(i % 7), a(i));
                 }
                 return s;
             }),
        form("guided", 1,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(0, a.extent(0), 1, {.schedule = Schedule::guided}))
                     reduce(s, Reduce::sum, a(i));
                 return s;
             }),
        form("a product", 1,
             [=](In a) -> Value {
                 const Scratch ones(a * Value(0) + Value(1));
                 return cast(t, dot(a, ones));
             }),
    };
}

/// Sums over two indices, into a Var of type t.
std::vector<Form> nested_forms(DType t) {
    return {
        form("an inner loop", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0)))
                     for (Index j : range(a.extent(1))) s += a(i, j);
                 return s;
             }),
        form("an inner loop against the order of memory", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index j : prange(a.extent(1)))
                     for (Index i : range(a.extent(0))) s += a(i, j);
                 return s;
             }),
        form("an inner loop, backwards, with stores", 2,
             [=](In a, InOut y) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0)))
                     for (Index j : range(a.extent(1) - 1, -1, -1)) {
                         s += a(i, j);
                         y(i, j) = a(i, j);
                     }
                 return s;
             }),
        form("several sums of one element", 2,
             [=](In a, InOut y) -> Value {
                 Var s(t, 0), all(t, 0);
                 for (Index i : prange(a.extent(0))) {
                     all += a(i, 0);
                     for (Index j : range(1, a.extent(1))) {
                         s += a(i, j);
                         s -= y(i, j);
                         all += a(i, j);
                         s += y(i, j);
                     }
                     s += a(i, 0);
                 }
                 return s + (all - all);
             }),
        form("continue_", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0)))
                     for (Index j : range(a.extent(1))) {
                         if_(j % 3 == 1, [&] {
                             s += a(i, j);
                             continue_();
                         });
                         s += a(i, j);
                     }
                 return s;
             }),
        form("break_", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0)))
                     for (Index j : range(a.extent(1) + 5)) {
                         if_(j == a.extent(1), [&] { break_(); });
                         s += a(i, j);
                     }
                 return s;
             }),
        form("a while loop", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0))) {
                     Var j(i64, 0);
                     while_(j < a.extent(1), [&] {
                         s += a(i, j);
                         j += 1;
                     });
                 }
                 return s;
             }),
        form("a while loop, with continue_ and stores", 2,
             [=](In a, InOut y) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0))) {
                     Var j(i64, a.extent(1));
                     while_(j > 0, [&] {
                         j -= 1;
                         y(i, j) = a(i, j);
                         s += a(i, j);
                         if_(j % 2 == 0, [&] { continue_(); });
                         y(i, j) = a(i, j) + a(i, j);
                     });
                 }
                 return s;
             }),
        form("loops in a while loop", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index part : prange(2)) {
                     Var i(i64, part);
                     while_(i < a.extent(0), [&] {
                         for (Index j : range(a.extent(1))) s += a(i, j);
                         i += 2;
                     });
                 }
                 return s;
             }),
        form("a prange inside", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0)))
                     for (Index j : prange(a.extent(1))) s += a(i, j);
                 return s;
             }),
        form("sum", 2, [=](In a) -> Value { return cast(t, sum(a)); }),
        form("sum with others", 2,
             [=](In a, InOut y) -> Value {
                 y = a + a;
                 const Value s = sum(a);
                 y += a;
                 return cast(t, s);
             }),
        form("sum over axis 0", 2,
             [=](In a) -> Value { return cast(t, sum(sum(a, {.axis = 0}))); }),
        form("sum over axis 1", 2,
             [=](In a) -> Value { return cast(t, sum(sum(a, {.axis = 1}))); }),
        form("sum inside of a prange", 2,
             [=](In a) -> Value {
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0))) s += cast(t, sum(a.slice(i)));
                 return s;
             }),
        form("a kernel in a kernel", 2,
             [=](In a) -> Value {
                 const auto row = jit([=](In x, Value i) -> Value {
                     Var s(t, 0);
                     for (Index j : prange(x.extent(1))) s += x(i, j);
                     return s;
                 });
                 Var s(t, 0);
                 for (Index i : prange(a.extent(0))) s += row(a, i);
                 return s;
             }),
    };
}

/// The results of a form, strict and fast, checked or not, arrays apart or not, have small errors,
/// and the same bits for any number of threads.
void check(const Form& f, DType t, const Array& flat, const Shape& shape, const Exact& re,
           const Exact& im) {
    const Array x = flat.reshape(shape);
    for (const bool checked : {false, true})
        for (const bool fast : {false, true}) {
            const JitOptions options{.fastmath = fast, .parallel = true, .checked = checked};
            const Array y = zeros(shape, flat.dtype());
            const Scalar first = f.run(options, x, y);
            const auto value = first.cast(DType::c128).get<std::complex<double>>();
            INFO(f.name << ", " << to_string(shape) << (checked ? ", checked" : "")
                        << (fast ? ", fast" : ""));
            CHECK(first.dtype == t);
            CHECK(re.off(value.real(), u_of(t)) <= most(flat.size()));
            CHECK(im.off(value.imag(), u_of(t)) <= most(flat.size()));
        }
}

TEST_CASE("sums: every form is as accurate as pairwise summation", "[jit][sums]") {
    const std::int64_t n = 240'000;
    for (const DType t : {DType::f32, DType::f64, DType::c64}) {
        for (const Data data : {Data::equal, Data::uniform, Data::mixed}) {
            const std::uint64_t seed = 1234 + static_cast<std::uint64_t>(data);
            INFO("seed " << seed << ", " << name(t));
            const Array x = numbers(t, n, data, seed);
            Exact re, im;
            for (std::int64_t i = 0; i < n; ++i) {
                re.add(number_at(x, i).real());
                im.add(number_at(x, i).imag());
            }
            for (const Form& f : flat_forms(t)) check(f, t, x, {n}, re, im);
            for (const Form& f : nested_forms(t))
                for (const Shape& s : {Shape{1, n}, Shape{n, 1}, Shape{3, n / 3}, Shape{n / 3, 3},
                                       Shape{n / 48, 48}, Shape{400, n / 400}})
                    check(f, t, x, s, re, im);
        }
    }
}

}  // namespace
