// Parallel loops whose iterations may meet are refused; those that provably do not are accepted.
#include "tests/jit/support.h"

#include <map>
#include <random>

using namespace kiln;
using kiln::test::error_of;

namespace {

constexpr unsigned prange_line = __LINE__ + 5;
/// The loop kernel of one statement `body` per iteration i, on lines of its own.
template <class Body> auto over(Body body, PrangeOptions options = {}) {
    return jit(
        [=](InOut a, InOut m, In index, Value n) {
            for (Index i : prange(n, options)) body(a, m, index, n, i);
        },
        {.parallel = true, .params = {"a", "m", "index", "n"}});
}

template <class Kernel> std::string passes(const Kernel& kernel) {
    return kernel.inspect(Artifact::passes, {f64[1], f64[2], i64[1], i64});
}

#define BODY(...)                                                                     \
    []([[maybe_unused]] InOut a, [[maybe_unused]] InOut m, [[maybe_unused]] In index, \
       [[maybe_unused]] Value n, [[maybe_unused]] Index i) { __VA_ARGS__; }

std::string at_line(std::string text, std::uint32_t line) {
    const std::size_t at = text.find("{}");
    return at == std::string::npos ? text : text.replace(at, 2, std::to_string(line));
}

/// The error of a loop with this body; `elements` is what it says of the accesses, where the
/// prange's line does not matter.
#define CHECK_REFUSED(text, ...)                                                                   \
    do {                                                                                           \
        const auto kernel = over(BODY(__VA_ARGS__));                                               \
        const Error error = error_of([&] { passes(kernel); });                                     \
        CHECK(error.kind() == ErrorKind::usage);                                                   \
        CHECK(error.line() == std::source_location::current().line());                             \
        const std::string start = "iterations of the prange at line " +                            \
                                  std::to_string(prange_line) + " may touch the same element of "; \
        CHECK(error.message() == start + at_line(text, error.line()));                             \
        CHECK(error.hint() ==                                                                      \
              "use atomic_add(...), a reduction, or range; or set .unsafe_races = true where you " \
              "know that they do not");                                                            \
        CHECK_NOTHROW(passes(over(BODY(__VA_ARGS__), {.unsafe_races = true})));                    \
    } while (false)

#define CHECK_ACCEPTED(...) CHECK_NOTHROW(passes(over(BODY(__VA_ARGS__))))

TEST_CASE("races: what is refused, with both accesses and their lines", "[jit][program][races]") {
    SECTION("one element of all iterations") {
        CHECK_REFUSED("a: a(0) is written here", a(0) = 1.0);
        CHECK_REFUSED("a: a(n-1) is written here", a(n - 1) = 1.0);
        CHECK_REFUSED("m: m(0, n) is written here", m(0, n) = 1.0);
    }
    SECTION("a shifted read, of the iteration before, after, and at any distance") {
        CHECK_REFUSED("a: a(i) is written here and a(i-1) is read here", a(i) = a(i - 1));
        CHECK_REFUSED("a: a(i) is written here and a(i+1) is read here", a(i) = a(i + 1));
        CHECK_REFUSED("a: a(i) is written here and a(i+n/2) is read here", a(i) = a(i + n / 2));
        CHECK_REFUSED("a: a(i+1) is written here and a(i) is read here", a(i + 1) += a(i));
        CHECK_REFUSED("m: m(i, 0) is written here and m(i-1, 0) is read here",
                      m(i, 0) = m(i - 1, 0));
    }
    SECTION("an element that every iteration reads") {
        CHECK_REFUSED("a: a(i) is written here and a(0) is read here", a(i) = a(i) / a(0));
    }
    SECTION("subscripts that are not sums of the index") {
        CHECK_REFUSED("a: a(i/2) is written here", a(i / 2) = 1.0);
        CHECK_REFUSED("a: a(i%8) is written here", a(i % 8) = 1.0);
        CHECK_REFUSED("a: a(i*i) is written here", a(i * i) = 1.0);
        CHECK_REFUSED("a: a(i*n) is written here", a(i * n) = 1.0);
        CHECK_REFUSED("a: a(index(i)) is written here", a(index(i)) = 1.0);
        CHECK_REFUSED("a: a(min(i, 5)) is written here", a(min(i, 5)) += 1.0);
    }
    SECTION("unequal strides") {
        CHECK_REFUSED("a: a(2*i) is written here and a(i) is read here", a(2 * i) = a(i));
        CHECK_REFUSED("a: a(i) is written here and a(n-1-i) is read here", a(i) = a(n - 1 - i));
        CHECK_REFUSED("a: a(2*i) is written here and a(3*i) is read here", a(2 * i) = a(3 * i));
    }
    SECTION("equal strides that meet: the difference is a multiple of the stride") {
        CHECK_REFUSED("a: a(2*i) is written here and a(2*i+4) is read here",
                      a(2 * i) = a(2 * i + 4));
    }
    SECTION("inner indices that no other dimension separates") {
        CHECK_REFUSED("a: a(j) is written here", for (Index j : range(n)) a(j) += 1.0);
        CHECK_REFUSED("a: a(i+j) is written here", for (Index j : range(2)) a(i + j) = 1.0);
        CHECK_REFUSED("a: a(i*4+j) is written here", for (Index j : range(5)) a(i * 4 + j) = 1.0);
        CHECK_REFUSED("a: a(i*4+j) is written here", for (Index j : range(n)) a(i * 4 + j) = 1.0);
        CHECK_REFUSED("m: m(j, k) is written here",
                      for (Index j : range(n)) for (Index k : range(n)) m(j, k) = 1.0);
        CHECK_REFUSED("m: m(i, j) is written here and m(j, i) is read here",
                      for (Index j : range(n)) m(i, j) = m(j, i));
    }
    SECTION("conditional stores") {
        CHECK_REFUSED("a: a(0) is written here", if_(i == 3, [&] { a(0) = 1.0; }));
        CHECK_REFUSED("a: a(i) is written here and a(i+1) is read here",
                      if_(i % 2 == 0, [&] { a(i) = a(i + 1); }));
    }
    SECTION("a remainder that inner indices take away") {
        CHECK_ACCEPTED(for (Index j : range(5)) a(2 * i) = a(2 * i + 1 + 4 * j));
        CHECK_REFUSED("a: a(2*i) is written here and a(2*i+1+3*j) is read here",
                      for (Index j : range(5)) a(2 * i) = a(2 * i + 1 + 3 * j));
    }
    SECTION("variables that change") {
        CHECK_ACCEPTED(Var k(i * 2); k += 1; a(k) = 1.0);
        CHECK_ACCEPTED(Var k(i); k += 1; a(2 * k) = a(2 * k + 1));
        CHECK_ACCEPTED(Var k(i); if_(n > 3, [&] { a(2 * k) = 1.0; }); k = 2 * k + 1; a(k) = 1.0);
        CHECK_REFUSED("a: a(i) is written here and a(i+1) is read here", Var k(i); k += 1;
                      a(i) = a(k));
        CHECK_REFUSED("a: a(the Var of line {}) is written here", Var k(i);
                      if_(n > 3, [&] { k += 1; }); a(k) = 1.0);
        CHECK_REFUSED(
            "a: a(2*((the Var of line {})+j)) is written here", Var k(i); for (Index j : range(n)) {
                k += j;
                a(2 * k) = 1.0;
            });
        CHECK_REFUSED("a: a(the Var of line {}) is written here", Var k(i); while_(k < n, [&] {
                          a(k) = 1.0;
                          k += 1;
                      }));
    }
    SECTION("casts that lose bits, and sums that wrap") {
        CHECK_REFUSED("a: a(i) is written here", a(cast<std::uint8_t>(i)) = 1.0);
        CHECK_REFUSED("a: a(i*2) is written here",
                      a(cast<std::uint32_t>(i) * std::uint32_t(2)) = 1.0);
        CHECK_REFUSED("a: a(cast(i64, cast(f64, i))) is written here",
                      a(cast<std::int64_t>(cast<double>(i))) = 1.0);
    }
}

TEST_CASE("races: rows of a flat array", "[jit][program][races]") {
    SECTION("accepted: the rest of the subscript lies within one stride") {
        CHECK_ACCEPTED(for (Index j : range(n)) a(i * n + j) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(n * i + j) += 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(j + (i + 3) * n) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(i * n + (n - 1 - j)) = a(i * n + j));
        CHECK_ACCEPTED(for (Index j : range(n - 1, -1, -1)) a(i * n + j) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(1, n)) a(i * n + j) = a(i * n + j - 1));
        CHECK_ACCEPTED(for (Index j : range(0, n, 2)) a(i * n + j) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(i + 1)) a(i * n + j) = 1.0);
        // j from 1 to n: other elements, but of one row as far apart as before.
        CHECK_ACCEPTED(for (Index j : range(1, n + 1)) a(i * n + j) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(i * (n + 1) + j) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(i * n + j + i) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(j - i * n) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(i * (2 * n) + 2 * j) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) a(2 * i * n + n + j) = a(2 * i * n + j));
        CHECK_ACCEPTED(const Value w = m.extent(1);
                       for (Index j : range(w)) a(i * w + j) = m(i, j));
        CHECK_ACCEPTED(const Value w = index(2); for (Index j : range(w)) a(i * w + j) = 1.0);
        CHECK_ACCEPTED(const Value w = m.extent(1);
                       for (Index j : range(n)) for (Index k : range(w)) a((i * n + j) * w + k) =
                           1.0);
        CHECK_ACCEPTED(const Value w = m.extent(1);
                       for (Index j : range(n)) for (Index k : range(w))
                           a(i * (n * w) + j * w + k) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(n)) m(0, i * n + j) = 1.0);
    }
    SECTION("refused: an index that leaves its row") {
        CHECK_REFUSED("a: a(i*n+j) is written here",
                      for (Index j : range(n + 1)) a(i * n + j) = 1.0);
        CHECK_REFUSED("a: a(i*n+j) is written here",
                      for (Index j : range(-1, n)) a(i * n + j) = 1.0);
        CHECK_REFUSED("a: a(i*n+2*j) is written here",
                      for (Index j : range(n)) a(i * n + 2 * j) = 1.0);
        CHECK_REFUSED("a: a(i*n+j) is written here",
                      for (Index j : range(2 * n)) a(i * n + j) = 1.0);
        CHECK_REFUSED("a: a(i*n+j) is written here and a(i*n+j+1) is read here",
                      for (Index j : range(n)) a(i * n + j) = a(i * n + j + 1));
        CHECK_REFUSED("a: a(i*n+j) is written here and a(i*n+j-1) is read here",
                      for (Index j : range(n)) a(i * n + j) = a(i * n + j - 1));
        CHECK_REFUSED("a: a(i*n+j) is written here and a(i*n+n+j) is read here",
                      for (Index j : range(n)) a(i * n + j) = a(i * n + n + j));
        CHECK_REFUSED("a: a(i*n+j) is written here",
                      for (Index j : range(cast<std::int64_t>(index(i)))) a(i * n + j) = 1.0);
    }
    SECTION("refused: another stride") {
        CHECK_REFUSED("a: a(i*m.extent(1)+j) is written here",
                      for (Index j : range(n)) a(i * m.extent(1) + j) = 1.0);
        CHECK_REFUSED("a: a(i*(n-1)+j) is written here",
                      for (Index j : range(n)) a(i * (n - 1) + j) = 1.0);
        CHECK_REFUSED("a: a(i*8+j) is written here", for (Index j : range(n)) a(i * 8 + j) = 1.0);
        CHECK_REFUSED("a: a(i*n) is written here", a(i * n) = 1.0);
        CHECK_REFUSED("a: a(i*n+j-i) is written here",
                      for (Index j : range(n)) a(i * n + j - i) = 1.0);
        CHECK_REFUSED("a: a(i*i+j) is written here", for (Index j : range(i)) a(i * i + j) = 1.0);
        CHECK_REFUSED("a: a(i*n+j) is written here and a(i*m.extent(1)+j) is read here",
                      for (Index j : range(n)) a(i * n + j) = a(i * m.extent(1) + j));
        CHECK_REFUSED("a: a((i*n+j)*m.extent(1)+k) is written here",
                      for (Index j : range(n)) for (Index k : range(n))
                          a((i * n + j) * m.extent(1) + k) = 1.0);
    }
    SECTION("refused: a stride that changes") {
        CHECK_REFUSED("a: a(i*(the Var of line {})+j) is written here", Var w = n;
                      if_(i > 3, [&] { w += 1; }); for (Index j : range(w)) a(i * w + j) = 1.0);
        CHECK_REFUSED("a: a(i*index(i)+j) is written here",
                      for (Index j : range(cast<std::int64_t>(index(i))))
                          a(i * cast<std::int64_t>(index(i)) + j) = 1.0);
    }
}

/// p * i * n + q * j + r * i + t * n + u
struct FlatSubscript {
    std::int64_t p, q, r, t, u;
    template <class T> T of(const T& i, const T& j, const T& n) const {
        return i * p * n + j * q + i * r + n * t + u;
    }
};
/// j from a + b * n to c + d * n + e * i
struct FlatRange {
    std::int64_t a, b, c, d, e, step;
};

/// Whether two iterations below n touch one element that one of them writes.
bool meet(const FlatSubscript& write, const FlatSubscript& read, const FlatRange& r,
          std::int64_t n) {
    std::map<std::int64_t, std::int64_t> writer;
    const auto each = [&](auto visit) {
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t end = r.c + r.d * n + r.e * i;
            for (std::int64_t j = r.a + r.b * n; r.step > 0 ? j < end : j > end; j += r.step)
                if (visit(i, j)) return true;
        }
        return false;
    };
    return each([&](std::int64_t i, std::int64_t j) {
               return writer.try_emplace(write.of(i, j, n), i).first->second != i;
           }) ||
           each([&](std::int64_t i, std::int64_t j) {
               const auto found = writer.find(read.of(i, j, n));
               return found != writer.end() && found->second != i;
           });
}

TEST_CASE("races: of random flat subscripts, those that are accepted never meet",
          "[jit][program][races]") {
    std::mt19937 random(20261128);
    const auto pick = [&](std::initializer_list<std::int64_t> of) {
        return of.begin()[random() % of.size()];
    };
    int accepted = 0;
    for (int round = 0; round < 3000; ++round) {
        const FlatSubscript write{pick({1, 1, 1, -1, 2}), pick({1, 1, 1, -1, 2}),
                                  pick({0, 0, 0, 1, -1}), pick({0, 0, 1}), pick({0, 0, 1, -1})};
        FlatSubscript read = write;
        if (random() % 2 == 0) read.u += pick({-1, 0, 1});
        if (random() % 4 == 0) read.t += pick({-1, 1});
        if (random() % 4 == 0) read.q = -read.q;
        const bool down = random() % 4 == 0;
        const FlatRange r = down ? FlatRange{pick({-1, -1, 0}), 1, pick({-1, -1, 0, -2}), 0, 0, -1}
                                 : FlatRange{pick({0, 0, 0, 1, -1}), 0,
                                             pick({0, 0, 0, 1, -1}), pick({0, 1, 1, 1, 2}),
                                             pick({0, 0, 0, 1}),     pick({1, 1, 1, 2})};
        const auto kernel = jit([&](InOut a, Value n) {
            for (Index i : prange(n))
                for (Index j : range(r.a + r.b * n, r.c + r.d * n + r.e * i, r.step))
                    a(write.of<Value>(i, j, n)) = a(read.of<Value>(i, j, n));
        });
        try {
            kernel.inspect(Artifact::passes, {f64[1], i64});
        } catch (const Error& error) {
            REQUIRE(error.message().find("may touch the same element") != std::string::npos);
            continue;
        }
        ++accepted;
        INFO("round " << round);
        for (std::int64_t n = -1; n < 7; ++n) CHECK_FALSE(meet(write, read, r, n));
    }
    CHECK(accepted > 300);
}

TEST_CASE("races: flat rows run on several threads", "[jit][program][races]") {
    const auto product = jit(
        [](In a, In b, Out c, Value n, Value m) {
            for (Index i : prange(n))
                for (Index j : range(m)) {
                    Var sum(DType::i64, 0);
                    for (Index k : range(n)) sum += a(i * n + k) * b(k * m + j);
                    c(i * m + j) = sum;
                }
        },
        {.parallel = true, .verify = true, .verify_ulps = 0});
    constexpr std::int64_t n = 37, m = 41;
    std::vector<std::int64_t> a(n * n), b(n * m), c(n * m), expected(n * m);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::int64_t>(i * i % 17);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<std::int64_t>(i * i % 13);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < m; ++j)
            for (std::size_t k = 0; k < n; ++k) expected[i * m + j] += a[i * n + k] * b[k * m + j];
    product(a, b, c, n, m);
    CHECK(c == expected);
}

TEST_CASE("races: the error of a store names the other line", "[jit][program][races]") {
    const auto kernel = jit(
        [](In x, Out out) {
            for (Index row : prange(1, x.extent(0))) {
                const Value before = out(row - 1);
                out(row) = before + x(row);
            }
        },
        {.params = {"x", "out"}});
    const unsigned line = __LINE__ - 4;
    const Error error = error_of([&] { kernel.inspect(Artifact::passes, {f64[1], f64[1]}); });
    CHECK(error.line() == line);
    CHECK(error.message() == "iterations of the prange at line " + std::to_string(line - 2) +
                                 " may touch the same element of out: out(i) is written here and "
                                 "out(i-1) is read at line " +
                                 std::to_string(line - 1));
    // A call says the same, and nothing has run.
    std::vector<double> x(10, 1.0), out(10, 0.0);
    CHECK(error_of([&] { kernel(x, out); }).message() == error.message());
    CHECK(out == std::vector<double>(10, 0.0));
}

TEST_CASE("races: two stores", "[jit][program][races]") {
    const auto kernel = over(BODY(a(i) = 1.0; a(i + 1) = 2.0));
    CHECK(error_of([&] { passes(kernel); }).message() ==
          "iterations of the prange at line " + std::to_string(prange_line) +
              " may touch the same element of a: a(i) is written here and a(i+1) is written here");
}

TEST_CASE("races: arrays of the kernel and of rank 0", "[jit][program][races]") {
    const std::string made = std::to_string(__LINE__ + 2);
    const auto scratch = jit([](In x) {
        Scratch s(DType::f64, {x.extent(0)});
        for (Index i : prange(x.extent(0))) s(i / 2) = x(i);
        return s;
    });
    CHECK(error_of([&] { scratch(std::vector<double>{1, 2}); }).message() ==
          "iterations of the prange at line " + std::to_string(__LINE__ - 4) +
              " may touch the same element of the array made at line " + made +
              ": element (i/2) of the array made at line " + made + " is written here");
    const auto single = jit([](In x, Out out) {
        for (Index i : prange(x.extent(0))) out() = x(i);
    });
    CHECK(error_of([&] { single(std::vector<double>{1, 2}, zeros({})); }).message() ==
          "iterations of the prange at line " + std::to_string(__LINE__ - 3) +
              " may touch the same element of p1: p1() is written here");
}

TEST_CASE("races: atomic and plain accesses of one array do not mix", "[jit][program][races]") {
    const auto read = over(BODY(atomic_add(a(index(i)), 1.0); m(i, 0) = a(i)));
    const Error error = error_of([&] { passes(read); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == __LINE__ - 3);
    CHECK(error.message() == "iterations of the prange at line " + std::to_string(prange_line) +
                                 " access a atomically and not: a(i) is read here, and "
                                 "a(index(i)) here by an atomic operation");
    CHECK(error.hint() ==
          "make all accesses of the loop atomic (they give the value before), or set "
          ".unsafe_races = true");
    const auto written = over(BODY(a(i) = 0.0; atomic_max(a(0), 1.0)));
    CHECK(error_of([&] { passes(written); }).message() ==
          "iterations of the prange at line " + std::to_string(prange_line) +
              " access a atomically and not: a(i) is written here, and a(0) here by an atomic "
              "operation");
    CHECK_NOTHROW(passes(over(BODY(a(i) = 0.0; atomic_max(a(0), 1.0)), {.unsafe_races = true})));
    CHECK_ACCEPTED(atomic_add(a(index(i)), 1.0); m(i, 0) = 2.0);
    CHECK_ACCEPTED(atomic_add(a(0), 1.0); atomic_max(a(1), 1.0));
}

TEST_CASE("races: what is provably apart is accepted", "[jit][program][races]") {
    SECTION("the index, shifted and scaled") {
        CHECK_ACCEPTED(a(i) = a(i) + 1.0);
        CHECK_ACCEPTED(a(i + 3) += 1.0);
        CHECK_ACCEPTED(a(n - 1 - i) *= 2.0);
        CHECK_ACCEPTED(a(n + i) = a(i + n));
        CHECK_ACCEPTED(a(-i + n) = 1.0);
        CHECK_ACCEPTED(a(i << 2) = 1.0);
        CHECK_ACCEPTED(a(2 * i) = a(2 * i + 1); a(i * 2 + 1) = 0.0);
        CHECK_ACCEPTED(a(3 * i + 1) = a(3 * i - 1));
        CHECK_ACCEPTED(a((i + 1) * 2 - i) = 1.0);
    }
    SECTION("halves: farther than the loop runs") {
        CHECK_ACCEPTED(a(i) = a(i + n));
        CHECK_ACCEPTED(a(i) = a(i - n));
    }
    SECTION("a dimension that separates") {
        CHECK_ACCEPTED(m(i, 0) = m(i, n));
        CHECK_ACCEPTED(for (Index j : range(n)) m(i, j) = m(i, j - 1) + m(i, n - j));
        CHECK_ACCEPTED(for (Index j : range(n)) m(j, i) += m(index(j), i));
        CHECK_ACCEPTED(m(index(i), i) = 1.0);
        CHECK_ACCEPTED(m(i, 0) = m(index(i), 1));
        CHECK_ACCEPTED(while_([&] { return m(i, 0) < 3.0; }, [&] { m(i, 0) += 1.0; }));
    }
    SECTION("tiles") {
        CHECK_ACCEPTED(for (Index j : range(4)) a(i * 4 + j) = a(i * 4 + 3 - j));
        CHECK_ACCEPTED(for (Index j : range(3, -1, -1)) a(i * 4 + j) = 1.0);
        CHECK_ACCEPTED(for (Index j : range(2)) for (Index k : range(2)) a(4 * i + 2 * j + k) =
                           1.0);
        CHECK_ACCEPTED(for (Index j : range(i * 4, i * 4 + 4)) a(j) += 1.0);
        CHECK_ACCEPTED(for (Index j : range(i * 4, min(i * 4 + 4, n))) a(j) += 1.0);
        CHECK_ACCEPTED(for (Index j : range(i * 4 + 3, max(i * 4 - 1, 0), -1)) a(j) += 1.0);
        CHECK_ACCEPTED(a(i * 8 + (index(i) & 7)) = 1.0);
        CHECK_ACCEPTED(a(i * 8 + mod(index(i), 8)) = 1.0);
    }
    SECTION("conditional stores") {
        CHECK_ACCEPTED(if_(index(i) > 3, [&] { a(i) = 1.0; }).else_([&] { a(i) -= 1.0; }));
    }
    SECTION("invariants, parameters and variables") {
        CHECK_ACCEPTED(a(i + index(0)) = a(index(0) + i));
        CHECK_ACCEPTED(a(i + n * n) = a(i + n * n));
        CHECK_ACCEPTED(a(i + a.extent(0) - m.extent(1)) = 1.0);
        CHECK_ACCEPTED(Var k(i * 2 + 1); a(k) = a(k) + 1.0);
    }
    SECTION("integer casts") {
        CHECK_ACCEPTED(a(cast<std::int32_t>(i)) = a(i));
        CHECK_ACCEPTED(a(cast<std::uint64_t>(i)) = a(i));
        CHECK_ACCEPTED(a(cast<std::int32_t>(i) * 2 + 1) = a(2 * i));
    }
    SECTION("arrays that are only read") {
        CHECK_ACCEPTED(m(i, 0) = a(i - 1) + a(i + 1) + a(0) + a(index(i)));
    }
}

TEST_CASE("races: steps and bounds of the loop count", "[jit][program][races]") {
    const auto kernel = [](Operand (*begin)(Value), Operand (*step)(Value), std::int64_t tile) {
        return jit([=](InOut a, Value n) {
            for (Index i : prange(begin(n), n, step(n)))
                for (Index j : range(tile)) a(i + j) = 1.0;
        });
    };
    const auto check = [](const auto& k) { k.inspect(Artifact::passes, {f64[1], i64}); };
    const auto zero = [](Value) -> Operand { return 0; };
    const auto four = [](Value) -> Operand { return 4; };
    const auto minus_four = [](Value) -> Operand { return -4; };
    const auto unknown = [](Value n) -> Operand { return n; };
    CHECK_NOTHROW(check(kernel(zero, four, 4)));
    CHECK_NOTHROW(check(kernel(unknown, four, 4)));
    CHECK_NOTHROW(check(kernel(unknown, minus_four, 4)));
    CHECK_NOTHROW(check(kernel(zero, unknown, 1)));
    CHECK_THROWS_AS(check(kernel(zero, four, 5)), Error);
    CHECK_THROWS_AS(check(kernel(zero, unknown, 2)), Error);
    // Known bounds: a(i) and a(i + 10) of ten iterations, u8 arithmetic that cannot wrap.
    CHECK_NOTHROW(jit([](InOut a) {
                      for (Index i : prange(10)) a(i) = a(i + 10) + a(cast<std::uint8_t>(i));
                  }).inspect(Artifact::passes, {f64[1]}));
    CHECK_THROWS_AS(jit([](InOut a) {
                        for (Index i : prange(11)) a(i) = a(i + 10);
                    }).inspect(Artifact::passes, {f64[1]}),
                    Error);
}

TEST_CASE("races: inner indices and parameters keep their names apart", "[jit][program][races]") {
    const auto kernel = jit(
        [](InOut i, Value j) {
            for (Index row : prange(j))
                for (Index col : range(j)) i(row + col) = 1.0;
        },
        {.params = {"i", "j"}});
    CHECK(error_of([&] { kernel.inspect(Artifact::passes, {f64[1], i64}); }).message() ==
          "iterations of the prange at line " + std::to_string(__LINE__ - 5) +
              " may touch the same element of i: i(k+l) is written here");
}

}  // namespace

TEST_CASE("races: slices of multiples of what may be negative", "[jit][program][races]") {
    // With n = -1 the first iteration has all elements but the last one, also that which the others
    // read; with n from 0 on none has an element behind 3.
    const auto negative = jit([](InOut a, Value n0) {
        const Value n = (n0 & 3) - 2;
        for (Index i : prange(3)) a.slice({i * n, (i + 1) * n}) = a(20);
    });
    const auto positive = jit([](InOut a, Value n0) {
        const Value n = n0 & 1;
        for (Index i : prange(3)) a.slice({i * n, (i + 1) * n}) = a(20);
    });
    const std::initializer_list<ArgType> types{f64[1], i64};
    CHECK(std::string(error_of([&] { negative.inspect(Artifact::passes, types); }).message())
              .find("may touch the same element of") != std::string::npos);
    CHECK_NOTHROW(positive.inspect(Artifact::passes, types));
}
