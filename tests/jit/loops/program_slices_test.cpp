// Parallel loops over slices, chunks and shifted Vars, and arrays that iterations make for
// themselves.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>

using namespace kiln;
using kiln::test::error_of;
using kiln::test::Threads;

namespace {

// ------------------------------------------------------------------------------ brute force

/// u * i + w * i * c + v + z * c
struct Linear {
    std::int64_t u = 0, w = 0, v = 0, z = 0;
    template <class T, class I> T of(const I& i, const T& c) const {
        return T(u * i) + T(w * i * c) + v + z * c;
    }
    /// The same in steps.
    Value by_var(const Index& i, const Value& c) const {
        Var j(DType::i64, u * i);
        j += v;
        j += w * i * c + z * c;
        return j;
    }
};

/// What an access takes of one dimension: an index, or from lo up to hi, which may be cut at the
/// extent.
struct Part {
    bool range = false, cut = false, to_end = false;
    Linear lo, hi;
    std::int64_t step = 1;

    /// The elements of a slice, or of a loop, which does not count from the end.
    std::vector<std::int64_t> elements(std::int64_t i, std::int64_t c, std::int64_t n,
                                       bool slices) const {
        std::vector<std::int64_t> found;
        const std::int64_t first = lo.of<std::int64_t>(i, c);
        if (!range) {
            if (first >= 0 && first < n) found.push_back(first);
            return found;
        }
        std::int64_t last = to_end ? n : hi.of<std::int64_t>(i, c), begin = first;
        if (cut && !to_end) last = std::min(last, n);
        if (slices) {
            const auto wrapped = [&](std::int64_t x) {
                return std::clamp<std::int64_t>(x < 0 ? x + n : x, 0, n);
            };
            begin = wrapped(begin);
            last = wrapped(last);
        }
        for (std::int64_t k = begin; k < last; k += step)
            if (k >= 0 && k < n) found.push_back(k);
        return found;
    }
};

struct Places {
    std::vector<Part> parts;  // per dimension
    bool slices = false, by_var = false;

    void visit(InOut a, const Index& i, const Value& c,
               const std::function<void(const std::vector<Value>&)>& element,
               std::vector<Value>& at) const {
        const std::size_t d = at.size();
        if (d == parts.size()) return element(at);
        const Part& p = parts[d];
        if (!p.range) {
            at.push_back(by_var ? p.lo.by_var(i, c) : p.lo.of<Value>(i, c));
            visit(a, i, c, element, at);
            at.pop_back();
            return;
        }
        const Value n = a.extent(static_cast<int>(d));
        const Value hi = p.to_end ? n : p.hi.of<Value>(i, c);
        for (Index k : range(p.lo.of<Value>(i, c), p.cut && !p.to_end ? min(hi, n) : hi, p.step)) {
            at.push_back(k);
            visit(a, i, c, element, at);
            at.pop_back();
        }
    }
    SliceArg slice(InOut a, const Index& i, const Value& c, std::size_t d) const {
        const Part& p = parts[d];
        const Value lo = p.lo.of<Value>(i, c);
        if (!p.range) return lo;
        if (p.to_end) return {lo, {}, p.step};
        const Value hi = p.hi.of<Value>(i, c);
        if (p.cut) return {lo, min(hi, a.extent(static_cast<int>(d))), p.step};
        return {lo, hi, p.step};
    }
    std::set<std::vector<std::int64_t>> elements(std::int64_t i, std::int64_t c,
                                                 std::int64_t n) const {
        std::set<std::vector<std::int64_t>> all;
        const auto first = parts[0].elements(i, c, n, slices);
        for (const std::int64_t k : first) {
            if (parts.size() == 1) {
                all.insert({k});
                continue;
            }
            for (const std::int64_t l : parts[1].elements(i, c, n, slices)) all.insert({k, l});
        }
        return all;
    }
};

bool meet(const Places& write, const Places& read, std::int64_t begin, std::int64_t trips,
          std::int64_t c, std::int64_t n) {
    std::map<std::vector<std::int64_t>, std::int64_t> writer;
    for (std::int64_t i = begin; i < trips; ++i)
        for (const auto& element : write.elements(i, c, n))
            if (writer.try_emplace(element, i).first->second != i) return true;
    for (std::int64_t i = begin; i < trips; ++i)
        for (const auto& element : read.elements(i, c, n))
            if (const auto found = writer.find(element);
                found != writer.end() && found->second != i)
                return true;
    return false;
}

class Generator {
  public:
    explicit Generator(std::uint64_t seed) : random_(seed) {}

    std::int64_t pick(std::initializer_list<std::int64_t> of) {
        return of.begin()[random_() % of.size()];
    }
    Part part(bool range) {
        Part p;
        p.range = range;
        const bool by_c = pick({0, 0, 1}) != 0;
        (by_c ? p.lo.w : p.lo.u) = pick({1, 1, 1, 2, 4, -1, 0});
        p.lo.v = pick({0, 0, 0, 0, 1, 2, -1});
        p.lo.z = pick({0, 0, 0, 0, 1, -1});
        p.hi = p.lo;
        // Up to the next iteration's first element, or near it.
        if (by_c)
            p.hi.z += p.lo.w;
        else
            p.hi.v += p.lo.u;
        p.hi.v += pick({0, 0, 0, 0, 1, -1});
        p.hi.z += pick({0, 0, 0, 0, 0, 1, -1});
        p.cut = pick({0, 1}) != 0;
        p.to_end = pick({0, 0, 0, 0, 1}) != 0;
        p.step = pick({1, 1, 1, 2});
        return p;
    }
    Places places(std::size_t rank, bool slices) {
        Places made;
        made.slices = slices;
        made.by_var = pick({0, 1}) != 0;
        for (std::size_t d = 0; d < rank; ++d) made.parts.push_back(part(pick({0, 1}) != 0));
        return made;
    }

  private:
    std::mt19937_64 random_;
};

void write(const Places& places, InOut a, const Index& i, const Value& c) {
    if (places.slices) {
        if (places.parts.size() == 1)
            a.slice(places.slice(a, i, c, 0)) = 2.0;
        else
            a.slice(places.slice(a, i, c, 0), places.slice(a, i, c, 1)) = 2.0;
        return;
    }
    std::vector<Value> at;
    places.visit(
        a, i, c,
        [&](const std::vector<Value>& k) {
            if (k.size() == 1)
                a(k[0]) = 2.0;
            else
                a(k[0], k[1]) = 2.0;
        },
        at);
}

void read(const Places& places, InOut a, const Index& i, const Value& c, Var& total) {
    if (places.slices) {
        if (places.parts.size() == 1)
            total += sum(Operand(a.slice(places.slice(a, i, c, 0))));
        else
            total += sum(Operand(a.slice(places.slice(a, i, c, 0), places.slice(a, i, c, 1))));
        return;
    }
    std::vector<Value> at;
    places.visit(
        a, i, c,
        [&](const std::vector<Value>& k) {
            total += k.size() == 1 ? Value(a(k[0])) : Value(a(k[0], k[1]));
        },
        at);
}

TEST_CASE("races: of random slices, chunks and shifted Vars, those that are accepted never meet",
          "[jit][program][races][random]") {
    const std::uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    Generator generate(seed);
    int accepted = 0, with_slices = 0, of_two = 0;
    for (int round = 0; round < 1500; ++round) {
        const auto rank = static_cast<std::size_t>(generate.pick({1, 1, 2}));
        const bool slices = generate.pick({0, 1}) != 0;
        const Places to = generate.places(rank, slices);
        Places from = to;
        if (generate.pick({0, 1}) != 0) from = generate.places(rank, generate.pick({0, 1}) != 0);
        if (rank == 2 && generate.pick({0, 1}) != 0) {
            from = to;
            std::swap(from.parts[0], from.parts[1]);
        }
        const std::int64_t begin = generate.pick({0, 0, 0, 1});
        const auto kernel = jit([&](InOut a, Out y, Value trips, Value c) {
            for (Index i : prange(begin, trips)) {
                Var total(DType::f64, 0.0);
                read(from, a, i, c, total);
                write(to, a, i, c);
                y(i) = total;
            }
        });
        try {
            kernel.inspect(Artifact::passes, {f64[static_cast<int>(rank)], f64[1], i64, i64});
        } catch (const Error& error) {
            REQUIRE(error.message().find("may touch the same element") != std::string::npos);
            continue;
        }
        ++accepted;
        with_slices += slices;
        of_two += rank == 2;
        CAPTURE(round,
                kernel.inspect(Artifact::ir, {f64[static_cast<int>(rank)], f64[1], i64, i64}));
        bool met = false;
        for (std::int64_t n = 0; n < 9 && !met; ++n)
            for (std::int64_t c = -4; c < 5 && !met; ++c) met = meet(to, from, begin, 6, c, n);
        CHECK_FALSE(met);
    }
    CHECK(accepted > 150);
    CHECK(with_slices > 40);
    CHECK(of_two > 30);
}

// ------------------------------------------------------------------------------ what is accepted

const JitOptions parallel{.parallel = true};

template <class F> void on_threads(const F& f) {
    for (const int threads : {1, 2, 8}) {
        const Threads scope(threads);
        CAPTURE(threads);
        f();
    }
}

TEST_CASE("slices: chunks of a prange", "[jit][program][races]") {
    const std::vector<double> x(1003, 3.0);
    const auto check = [&](const auto& kernel, std::int64_t c, std::size_t done) {
        on_threads([&] {
            std::vector<double> y(x.size(), -1.0), expected(x.size(), -1.0);
            std::fill_n(expected.begin(), done, 6.0);
            kernel(x, y, c);
            CHECK((y == expected));
        });
    };
    check(jit(
              [](In x, Out y, Value c) {
                  for (Index i : prange(10))
                      y.slice({i * c, (i + 1) * c}) = x.slice({i * c, (i + 1) * c}) * 2.0;
              },
              parallel),
          100, 1000);
    check(jit(
              [](In x, Out y, Value chunks) {
                  const Value n = y.extent(0), size = (n + chunks - 1) / chunks;
                  for (Index i : prange(chunks)) {
                      const Value lo = i * size, hi = min(lo + size, n);
                      y.slice({lo, hi}) = x.slice({lo, hi}) * 2.0;
                  }
              },
              parallel),
          7, 1003);
    check(jit(
              [](In x, Out y, Value chunks) {
                  const Value n = y.extent(0), size = (n + chunks - 1) / chunks;
                  for (Index i : prange(chunks)) {
                      const Value lo = i * size, hi = min(lo + size, n);
                      for (Index k : range(lo, hi)) y(k) = x(k) * 2.0;
                  }
              },
              parallel),
          7, 1003);
    check(jit(
              [](In x, Out y, Value) {
                  for (Index lo : prange(0, y.extent(0), 4))
                      y.slice({lo, lo + 4}) = x.slice({lo, lo + 4}) * 2.0;
              },
              parallel),
          0, 1003);
    check(jit(
              [](In x, InOut y, Value c) {
                  y = x;
                  for (Index i : prange(11)) y.slice({i * c, min((i + 1) * c, y.extent(0))}) *= 2.0;
              },
              parallel),
          100, 1003);
    check(jit(
              [](In x, Out y, Value) {
                  for (Index i : prange(501)) {
                      Var j = 2 * i;
                      y(j) = x(j) * 2.0;
                      j += 1;
                      y(j) = x(j) * 2.0;
                  }
              },
              parallel),
          0, 1002);
}

TEST_CASE("slices: rows of a prange that need a temporary", "[jit][program][races]") {
    constexpr std::int64_t n = 37;
    const Array start = arange(n * n, DType::f64).reshape({n, n});
    std::vector<double> small(n * n);
    for (std::size_t k = 0; k < small.size(); ++k) small[k] = static_cast<double>(k % 7);
    const Array m = Array(small).reshape({n, n});
    const auto at = [&](const Array& a, std::int64_t i, std::int64_t j) {
        return a.at<double>({i, j});
    };
    const auto check = [&](const auto& kernel, const auto& expected) {
        on_threads([&] {
            const Array a = start.copy();
            kernel(a, m);
            bool same = true;
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = 0; j < n; ++j) same = same && at(a, i, j) == expected(i, j);
            CHECK(same);
        });
    };
    check(jit(
              [](InOut a, In m) {
                  for (Index i : prange(a.extent(0))) a.slice(i) = dot(a.slice(i), m);
              },
              parallel),
          [&](std::int64_t i, std::int64_t j) {
              double sum = 0;
              for (std::int64_t k = 0; k < n; ++k) sum += at(start, i, k) * at(m, k, j);
              return sum;
          });
    check(
        jit(
            [](InOut a, In) {
                for (Index i : prange(a.extent(0))) a.slice(i) += a.slice(i, {{}, {}, -1});
            },
            parallel),
        [&](std::int64_t i, std::int64_t j) { return at(start, i, j) + at(start, i, n - 1 - j); });
    for (const std::int64_t off : {0, 1})
        check(jit(
                  [off](InOut a, In) {
                      for (Index i : prange(a.extent(0)))
                          a.slice({i + off, {}}, i) = a.slice(i, {i + off, {}});
                  },
                  parallel),
              [&](std::int64_t i, std::int64_t j) {
                  return i > j ? at(start, j, i) : at(start, i, j);
              });
    check(
        jit(
            [](InOut a, In) {
                for (Index i : prange(a.extent(0)))
                    for (Index j : range(i + 1, a.extent(0))) a(j, i) = a(i, j);
            },
            parallel),
        [&](std::int64_t i, std::int64_t j) { return i > j ? at(start, j, i) : at(start, i, j); });
}

TEST_CASE("slices: a Scratch in a loop keeps its memory", "[jit][program]") {
    const auto sums = jit("sums", [](In x, In extents, Out y) {
        for (Index i : range(extents.extent(0))) {
            const Scratch grid(x.dtype(), {extents(i, 0), extents(i, 1)});
            grid = x(i);
            grid.slice({}, {0, 1}) += 1;
            y(i) = sum(grid);
        }
    });
    const Array x = arange(8).astype(DType::f64), y = empty({8});
    const Array extents =
        Array::of({{2, 3}, {2, 3}, {3, 2}, {40, 50}, {1, 1}, {0, 7}, {41, 50}, {5, 0}});
    sums(x, extents.astype(DType::i64), y);
    const double want[] = {2, 8, 15, 6040, 5, 0, 12341, 0};
    for (std::int64_t i = 0; i < 8; ++i) CHECK(y.at<double>({i}) == want[i]);
    const Array many = empty({1000}), same = Array::of({{4, 4}}).broadcast_to({1000, 2}).copy();
    const Array values = ones({1000});
    const auto made = memory_stats().allocations;
    sums(values, same.astype(DType::i64), many);
    CHECK(memory_stats().allocations - made < 20);
    CHECK(many.at<double>({999}) == 20);
}

TEST_CASE("slices: a Scratch for each iteration", "[jit][program][races]") {
    constexpr std::int64_t n = 200;
    std::vector<double> expected(n);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t k = 0; k <= i; ++k)
            expected[static_cast<std::size_t>(i)] += static_cast<double>(k * (i - k));
    const auto f = jit(
        [](Out y) {
            for (Index i : prange(y.extent(0), {.schedule = Schedule::dynamic, .chunk = 1})) {
                Scratch s(DType::f64, {i + 1});
                for (Index k : range(s.extent(0))) s(k) = k;
                Scratch t(s * (i - s));
                Var total(DType::f64, 0.0);
                for (Index k : range(t.size())) total += t(k);
                y(i) = total;
            }
        },
        parallel);
    on_threads([&] {
        std::vector<double> y(n);
        f(y);
        CHECK((y == expected));
    });
    const std::size_t in_use = memory_stats().bytes_in_use;
    std::vector<double> y(n);
    f(y);
    CHECK(memory_stats().bytes_in_use == in_use);

    unsigned line = __LINE__ + 4;
    const auto checked = jit(
        [](Out y, Value k) {
            for (Index i : prange(y.extent(0))) {
                Scratch s(DType::f64, {i + 1});
                s = 1.0;
                y(i) = s(k);
            }
        },
        {.parallel = true, .checked = true});
    const Error outside =
        error_of([&] { checked(y, std::int64_t(0)), checked(y, std::int64_t(2)); });
    CHECK(outside.message() ==
          fmt::format(
              "index (2,) is outside of the array made at line {} of shape (1,) in iteration 0",
              line));
    CHECK(outside.line() == line + 2);

    line = __LINE__ + 4;
    const auto negative = jit(
        [](Out y) {
            for (Index i : prange(y.extent(0))) {
                Scratch s(DType::f64, {50 - i});
                s = 1.0;
                y(i) = s(0);
            }
        },
        parallel);
    const std::string made = error_of([&] { negative(y); }).message();
    CHECK(made.starts_with(fmt::format("the array made at line {} has shape (-", line)));

    line = __LINE__ + 4;
    const auto escapes = jit([](Out y) {
        std::optional<Scratch> s;
        for (Index i : prange(y.extent(0))) {
            s.emplace(DType::f64, std::initializer_list<Operand>{i + 1});
            (*s)(0) = 1.0;
        }
        y(0) = (*s)(0);
    });
    const Error error = error_of([&] { escapes(y); });
    CHECK(
        error.message().ends_with(", inside a prange, is used outside of the block that makes it"));
    CHECK(error.hint() == "each iteration has its own: make it before the prange");
    CHECK(error.line() == line + 3);
}

TEST_CASE("slices: extents of an array that a loop makes stay in the loop", "[jit][program]") {
    const auto f = jit([](Out y) {
        for (Index i : range(y.extent(0))) {
            const Scratch s(DType::f64, {i + 1});
            y(i) = s.extent(0) * 2;
        }
    });
    std::vector<std::int64_t> y(5);
    f(y);
    CHECK(y == std::vector<std::int64_t>{2, 4, 6, 8, 10});
}

}  // namespace
