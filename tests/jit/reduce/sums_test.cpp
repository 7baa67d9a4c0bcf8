// Sums of floats in every form of loop and statement: no less accurate than pairwise summation, and
// the same bits for any number of threads and any schedule.
//
// What is held to: NumPy's pairwise sum adds 128 numbers in 8 lanes of 16, and such results pair by
// pair. A number goes through 18 + log2(n / 128) additions, so that the error is at most so many
// times u (half an epsilon) of the sum of magnitudes: 31 u for 10^6 numbers. Half of that is held
// to, with equal numbers too, whose roundings do not cancel.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string_view>

using namespace kiln;
using kiln::test::Threads;

namespace {

/// In u of the sum of magnitudes of n numbers.
double most(std::int64_t n) { return (18 + std::log2(static_cast<double>(n) / 128)) / 2; }

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

enum class Data { equal, uniform };

Array numbers(DType t, std::int64_t n, Data data, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::uniform_real_distribution<double> positive(0, 1);
    const double one = 0.1 + positive(engine);
    const std::int64_t parts = is_complex(t) ? 2 : 1;
    const Array x = empty({n}, parts == 2 ? DType::c128 : DType::f64);
    auto* out = reinterpret_cast<double*>(x.data());
    for (std::int64_t i = 0; i < parts * n; ++i)
        out[i] = data == Data::equal ? one : positive(engine);
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

bool same_bits(const Scalar& a, const Scalar& b) {
    return a.dtype == b.dtype && a.bytes == b.bytes;
}

/// The results of a form, strict and fast, checked or not, have small errors, and the same bits for
/// any number of threads.
void check(const Form& f, DType t, const Array& x, const Array& y, const Exact& re,
           const Exact& im) {
    for (const bool checked : {false, true})
        for (const bool fast : {false, true}) {
            INFO(f.name << ", " << to_string(x.shape()) << (checked ? ", checked" : "")
                        << (fast ? ", fast" : ""));
            const auto run = [&](bool parallel) {
                return f.run({.fastmath = fast, .parallel = parallel, .checked = checked}, x, y);
            };
            const Scalar first = run(false);
            const auto value = first.cast(DType::c128).get<std::complex<double>>();
            CHECK(first.dtype == t);
            CHECK(re.off(value.real(), u_of(t)) <= most(x.size()));
            CHECK(im.off(value.imag(), u_of(t)) <= most(x.size()));
            for (const int threads : {2, 3, 8}) {
                const Threads scope(threads);
                CHECK(same_bits(run(true), first));
            }
        }
}

struct Exacts {
    Exact re, im;
    explicit Exacts(const Array& flat) {
        for (std::int64_t i = 0; i < flat.size(); ++i) {
            re.add(number_at(flat, i).real());
            im.add(number_at(flat, i).imag());
        }
    }
};

TEST_CASE("sums: every form is as accurate as pairwise summation", "[jit][sums]") {
    const std::int64_t n = 120'000;
    for (const DType t : {DType::f32, DType::f64, DType::c64}) {
        for (const Data data : {Data::equal, Data::uniform}) {
            const std::uint64_t seed = 1234 + static_cast<std::uint64_t>(data);
            INFO("seed " << seed << ", " << name(t));
            const Array x = numbers(t, n, data, seed);
            const Exacts exact(x);
            const auto both = [&](const Form& f, const Shape& s) {
                check(f, t, x.reshape(s), zeros(s, t), exact.re, exact.im);
            };
            for (const Form& f : flat_forms(t)) both(f, {n});
            for (const Form& f : nested_forms(t))
                for (const Shape& s :
                     {Shape{1, n}, Shape{n, 1}, Shape{n / 3, 3}, Shape{n / 48, 48}})
                    both(f, s);
        }
    }
}

TEST_CASE("sums: elements between those that are written, 16-bit ones", "[jit][sums]") {
    const std::int64_t n = 48'000;
    for (const DType t : {DType::f32, DType::f16, DType::bf16}) {
        INFO(name(t));
        const Array whole = numbers(t, 2 * n, Data::uniform, 7);
        const Array x = whole.slice(0, {0, 2 * n, 2}), y = whole.slice(0, {1, 2 * n, 2});
        const Exacts exact(x);
        // Sums and products of whole arrays of 16-bit elements are rounded to 16 bits.
        const auto fits = [&](const Form& f) {
            const std::string_view form = f.name;
            return t == DType::f32 ||
                   (form != "a product" && form != "atomics" && !form.starts_with("sum"));
        };
        for (const Form& f : flat_forms(DType::f32))
            if (fits(f)) check(f, DType::f32, x, y, exact.re, exact.im);
        const Array rows = whole.reshape({1000, 96});
        const Array x2 = rows.slice(1, {0, 96, 2}), y2 = rows.slice(1, {1, 96, 2});
        for (const Form& f : nested_forms(DType::f32))
            if (fits(f)) check(f, DType::f32, x2, y2, exact.re, exact.im);
    }
}

// ------------------------------------------------------------------------------ random programs

/// A statement of a random program, which sums elements of a flat array in a nest of loops.
struct Statement {
    enum Kind : std::uint8_t { add, subtract, guarded, store, skip, leave, loop } kind = add;
    enum Form : std::uint8_t { range_, backwards, prange_, while_loop } form = range_;
    std::int64_t extent = 1, offset = 0;     // of a loop; of the element
    std::vector<std::int64_t> factors = {};  // of the indices, in the element's subscript
    bool wraps = false;                      // the subscript, by %
    std::vector<Statement> body = {};
};

class Generator {
  public:
    Generator(std::uint64_t seed, std::int64_t elements) : engine_(seed), elements_(elements) {}

    Statement outermost() {
        Statement s = loop({}, 300'000);
        s.form = Statement::prange_;
        return s;
    }

  private:
    std::int64_t below(std::int64_t n) {
        return std::uniform_int_distribution<std::int64_t>(0, n - 1)(engine_);
    }

    Statement loop(std::vector<std::int64_t> extents, std::int64_t most_steps) {
        Statement s{.kind = Statement::loop};
        s.form = static_cast<Statement::Form>(below(4));
        constexpr std::int64_t sizes[] = {1, 2, 3, 7, 16, 33, 100, 1000, 5000, 70'000};
        s.extent = std::min(most_steps, sizes[below(10)]);
        extents.push_back(s.extent);
        const std::int64_t left = most_steps / s.extent;
        const std::int64_t count = 1 + below(3);
        for (std::int64_t i = 0; i < count; ++i) {
            const bool nest = left > 1 && extents.size() < 4 && below(2) == 0;
            s.body.push_back(nest ? loop(extents, left) : simple(extents));
        }
        return s;
    }

    Statement simple(const std::vector<std::int64_t>& extents) {
        Statement s{.kind = static_cast<Statement::Kind>(below(6))};
        if (s.kind == Statement::leave && extents.size() == 1) s.kind = Statement::skip;
        std::int64_t largest = s.offset = below(20);
        for (const std::int64_t extent : extents) {
            s.factors.push_back(below(3));
            largest += s.factors.back() * (extent - 1);
        }
        s.wraps = largest >= elements_ || below(4) == 0;
        return s;
    }

    std::mt19937_64 engine_;
    std::int64_t elements_;
};

/// The program in plain C++. False where break_ ends the loop around the statement.
class Plain {
  public:
    explicit Plain(const Array& x) : x_(x) {}
    Exact exact;
    std::int64_t additions = 0;

    void run(const Statement& s) { statement(s); }

  private:
    enum class Then : std::uint8_t { on, next, end };

    Then statement(const Statement& s) {
        std::int64_t at = s.offset;
        for (std::size_t l = 0; l < s.factors.size(); ++l) at += s.factors[l] * index_[l];
        const bool third = index_.empty() || (index_.back() + s.offset) % 3 == 0;
        const auto element = [&] { return number_at(x_, s.wraps ? at % x_.size() : at).real(); };
        switch (s.kind) {
            case Statement::guarded:
                if (!third) return Then::on;
                [[fallthrough]];
            case Statement::add: count(element()); return Then::on;
            case Statement::subtract: count(-element()); return Then::on;
            case Statement::store: return Then::on;
            case Statement::skip: return third ? Then::next : Then::on;
            case Statement::leave: return index_.back() > 10 + 10 * s.offset ? Then::end : Then::on;
            case Statement::loop: break;
        }
        for (std::int64_t i = 0; i < s.extent; ++i) {
            index_.push_back(s.form == Statement::backwards ? s.extent - 1 - i : i);
            Then then = Then::on;
            for (const Statement& inner : s.body)
                if (then == Then::on) then = statement(inner);
            index_.pop_back();
            if (then == Then::end) break;
        }
        return Then::on;
    }
    void count(double x) {
        exact.add(x);
        ++additions;
    }

    const Array& x_;
    std::vector<std::int64_t> index_;
};

/// The same, traced.
class Traced {
  public:
    Traced(In x, InOut y, Var& sum, std::int64_t elements)
        : x_(x), y_(y), sum_(sum), elements_(elements) {}

    void statement(const Statement& s) {
        const auto element = [&] {
            std::vector<Value> at{Value(s.offset)};
            for (std::size_t l = 0; l < s.factors.size(); ++l)
                at.push_back(at.back() + index_[l] * s.factors[l]);
            return s.wraps ? Value(x_(at.back() % elements_)) : Value(x_(at.back()));
        };
        const auto third = [&] { return (index_.back() + s.offset) % 3 == 0; };
        switch (s.kind) {
            case Statement::add: sum_ += element(); return;
            case Statement::subtract: sum_ -= element(); return;
            case Statement::guarded: if_(third(), [&] { sum_ += element(); }); return;
            case Statement::store: y_(index_[0]) = element(); return;
            case Statement::skip: if_(third(), [&] { continue_(); }); return;
            case Statement::leave:
                if_(index_.back() > 10 + 10 * s.offset, [&] { break_(); });
                return;
            case Statement::loop: loop(s); return;
        }
    }

  private:
    void body(const Statement& s, const Value& index) {
        index_.push_back(index);
        for (const Statement& inner : s.body) statement(inner);
        index_.pop_back();
    }
    void loop(const Statement& s) {
        switch (s.form) {
            case Statement::range_:
                for (Index i : range(s.extent)) body(s, i);
                return;
            case Statement::backwards:
                for (Index i : range(s.extent - 1, -1, -1)) body(s, i);
                return;
            case Statement::prange_:
                for (Index i : prange(s.extent)) body(s, i);
                return;
            case Statement::while_loop: {
                Var next(i64, 0);
                while_(next < s.extent, [&] {
                    const Value now = next;
                    next += 1;
                    body(s, now);
                });
                return;
            }
        }
    }

    In x_;
    InOut y_;
    Var& sum_;
    std::int64_t elements_;
    std::vector<Value> index_;
};

bool leaves_prange(const Statement& s) {
    return std::ranges::any_of(s.body, [&](const Statement& inner) {
        return (s.form == Statement::prange_ && inner.kind == Statement::leave) ||
               leaves_prange(inner);
    });
}

TEST_CASE("sums: random nests of loops", "[jit][sums]") {
    const char* range = std::getenv("KILN_RANDOM_PROGRAMS");  // first:count
    std::uint64_t first = 1, count = 40;
    if (range != nullptr) std::sscanf(range, "%lu:%lu", &first, &count);
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const DType t = seed % 3 == 0 ? DType::f64 : DType::f32;
        const Array x = numbers(t, 80'000, seed % 2 == 0 ? Data::equal : Data::uniform, seed);
        const Statement program = Generator(seed, x.size()).outermost();
        if (leaves_prange(program)) continue;
        Plain plain(x);
        plain.run(program);
        INFO("KILN_RANDOM_PROGRAMS=" << seed << ":1");
        const auto n = static_cast<double>(plain.additions);
        const double limit = n <= 128 ? n : 18 + std::log2(n / 128);  // pairwise summation's
        for (const bool checked : {false, true})
            for (const bool fast : {false, true}) {
                INFO((checked ? "checked" : "") << (fast ? " fast" : ""));
                const auto f = jit(
                    [=](In a, InOut y) -> Value {
                        Var sum(t, 0);
                        Traced(a, y, sum, 80'000).statement(program);
                        return sum;
                    },
                    {.fastmath = fast, .parallel = true, .checked = checked});
                const Array y = zeros({80'000}, t);
                const Scalar result = f(x, y);
                CHECK(plain.exact.off(result.cast(DType::f64).get<double>(), u_of(t)) <= limit);
                const Threads scope(3);
                CHECK(same_bits(f(x, y), result));
            }
    }
}

// ------------------------------------------------------------------------------ arrays

TEST_CASE("sums: reductions of arrays along any axes", "[jit][sums]") {
    const auto heavy = map_reduce(  // of more operations than go over several rows at once
        "heavy",
        [](Value x) {
            std::vector<Value> y{x};
            for (int i = 0; i < 16; ++i) y.push_back((y.back() + 1.0F) - 1.0F);
            return x + (y.back() - y.back());
        },
        Reduce::sum, {.parallel = true});
    const Array all_of_it = full({1}, true);
    const auto masked = [&](const Array& a, const ReduceOptions& o) {
        ReduceOptions with = o;
        with.where = all_of_it;
        return sum(a, with);
    };
    const auto one = [](const Array& a) { return full({1}, 1.0F).astype(a.dtype()); };
    const std::pair<const char*, std::function<Array(const Array&, const ReduceOptions&)>> all[] = {
        {"sum", [](const Array& a, const ReduceOptions& o) { return sum(a, o); }},
        {"masked", masked},
        {"heavy", [&](const Array& a, const ReduceOptions& o) { return heavy(a, o); }},
        {"dot", [&](const Array& a, const ReduceOptions& o) { return dot(a, one(a), o); }},
    };
    for (const DType t : {DType::f32, DType::f64})
        for (const Data data : {Data::equal, Data::uniform}) {
            const Array x = numbers(t, 240'000, data, 11);
            for (const Shape& s : {Shape{240'000, 1}, Shape{2, 120'000}, Shape{120'000, 2},
                                   Shape{800, 300}, Shape{127, 1889}, Shape{3, 20'000, 4}})
                for (const bool turned : {false, true})
                    for (const int axis : {0, 1}) {
                        std::int64_t size = 1;
                        for (const std::int64_t extent : s) size *= extent;
                        const Array shaped = x.slice(0, {0, size}).reshape(s);
                        const Array a = turned ? shaped.transpose() : shaped;
                        const std::int64_t n = a.extent(axis);
                        Shape first = Shape::filled(a.rank(), 0);
                        Exact exact;
                        for (std::int64_t i = 0; i < n; ++i) {
                            first[axis] = i;
                            exact.add(a.scalar_at(first).cast(DType::f64).get<double>());
                        }
                        for (const auto& [what, f] : all) {
                            INFO(what << ", " << name(t) << to_string(a.shape()) << " axis "
                                      << axis);
                            const double limit = n <= 128 ? 16 : most(n);
                            const Array result = f(a, {.axis = axis});
                            CHECK(exact.off(test::at(result, 0), u_of(t)) <= limit);
                        }
                    }
        }
}

}  // namespace
