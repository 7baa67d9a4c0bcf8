// What copies, moves, assignments and swaps of a kernel's variables and arrays mean.
#include "tests/jit/support.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

using namespace kiln;
using test::check_values;
using test::error_of;

namespace {

constexpr const char* moved = "an array that was moved from is used here";
constexpr const char* moved_hint =
    "std::swap and the like cannot exchange arrays of a kernel: write two steps, step(a, b) and "
    "step(b, a), or copy the elements";

Var doubled(Value x) {
    Var v = x;
    v += x;
    return v;
}

}  // namespace

TEST_CASE("std::swap of two Vars exchanges their values", "[jit][handles]") {
    // fib(0), fib(1), ... of the mathematicians: 55 after ten steps.
    const auto unrolled = jit([](Value zero) -> Value {
        Var a = zero, b = zero + 1;
        for (int i = 0; i < 10; ++i) {
            a += b;
            std::swap(a, b);
        }
        return a;
    });
    CHECK(unrolled(std::int64_t(0)).get<std::int64_t>() == 55);
    const auto traced = jit([](Value n) -> Value {
        Var a(i64, 0), b(i64, 1);
        for (Index i : range(n)) {
            static_cast<void>(i);
            a += b;
            std::swap(a, b);
        }
        return a;
    });
    CHECK(traced(10).get<std::int64_t>() == 55);
    CHECK(traced(0).get<std::int64_t>() == 0);
    CHECK(traced(90).get<std::int64_t>() == 2880067194370816120);
    const auto found_by_argument = jit([](Value n) -> Value {
        Var a(i64, 0), b(i64, 1), i(i64, 0);
        while_(i < n, [&] {
            a += b;
            swap(a, b);
            ++i;
        });
        return a;
    });
    CHECK(found_by_argument(10).get<std::int64_t>() == 55);
    const auto element = vectorize("fib", [](Value n) {
        Var a(i64, 0), b(i64, 1);
        for (Index i : range(n)) {
            if_(i >= 0, [&] { a += b; });
            if_(i >= 0, [&] { std::swap(a, b); });
        }
        return a;
    });
    check_values(element(arange(11)), {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55});
}

TEST_CASE("swaps of Vars of every dtype", "[jit][handles]") {
    for (std::size_t t = 0; t < dtype_count; ++t) {
        const auto dtype = static_cast<DType>(t);
        const auto f = jit([=](In x, Out y) {
            for (Index i : prange(x.extent(0))) {
                Var a(dtype, x(i)), b(dtype, cast(dtype, 1));
                std::swap(a, b);
                y(i, 0) = a;
                y(i, 1) = b;
            }
        });
        const Array x = arange(2).astype(dtype), y = zeros({2, 2}, dtype);
        f(x, y);
        INFO(name(dtype));
        check_values(y, {1, 0, 1, 1});
    }
}

TEST_CASE("a swap of Vars of two dtypes widens, and is refused where it would narrow",
          "[jit][handles]") {
    std::uint32_t line = 0;
    const auto f = jit([&](Value x) -> Value {
        Var a(f32, 1), b(f64, x);
        line = __LINE__ + 1;
        swap(a, b);
        return a;
    });
    const Error error = error_of([&] { f(2.0); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message().starts_with("cannot store f64 into the Var of line "));
    CHECK(error.line() == line);
    CHECK(error.file() == __FILE__);
}

TEST_CASE("Vars in the hands of the standard library", "[jit][handles]") {
    const auto exchanged = jit([](Value x) -> Value {
        Var a = x, b = x * 10;
        const Value before = std::exchange(a, b);
        return before * 1000 + a;
    });
    CHECK(exchanged(7.0).get<double>() == 7070);

    const auto rotated = jit([](Out y, Value n) {
        std::vector<Var> v;
        for (int k = 0; k < 5; ++k) v.emplace_back(i64(k));
        for (Index i : range(n)) {
            static_cast<void>(i);
            std::rotate(v.begin(), v.begin() + 2, v.end());
        }
        std::reverse(v.begin(), v.end());
        for (int k = 0; k < 5; ++k) y(k) = v[static_cast<std::size_t>(k)];
    });
    const Array y = zeros({5}, i64);
    rotated(y, 4);  // 8 places: of 0 1 2 3 4, 3 4 0 1 2 is left, then reversed
    check_values(y, {2, 1, 0, 4, 3});

    const auto arrays = jit([](Value x) -> Value {
        std::array<Var, 3> a{Var(x), Var(x + 1), Var(x + 2)}, b{Var(x * 10), Var(x), Var(x)};
        std::swap(a, b);
        std::swap(a[0], b[2]);
        return a[0] * 10000 + a[1] * 1000 + b[0] * 100 + b[2];
    });
    CHECK(arrays(1.0).get<double>() == 31110);

    const auto returned = jit([](Value x) -> Value {
        Var a = doubled(x);
        std::optional<Var> b;
        b = doubled(a);
        auto c = std::make_unique<Var>(doubled(*b));
        std::pair<Var, Var> d(a, *c);
        std::tie(a, *b) = std::make_pair(d.second, d.first);
        return a * 100 + *b;
    });
    CHECK(returned(1.0).get<double>() == 802);

    struct Point {
        Var x, y;
    };
    const auto structs = jit([](Value n) -> Value {
        Point a{Var(i64, 0), Var(i64, 3)}, b{Var(i64, 1), Var(i64, 5)};
        for (Index i : range(n)) {
            static_cast<void>(i);
            a.x += b.x;
            std::swap(a, b);
            Point c = a;
            c.x += 100;
            a = c;
            a.x -= 100;
        }
        return a.x * 100 + a.y * 10 + b.y;
    });
    CHECK(structs(9).get<std::int64_t>() == 3453);

    // A vector that grows copies its Vars; what was stored before stays.
    const auto grown = jit([](In x) -> Value {
        std::vector<Var> v;
        for (int k = 0; k < 9; ++k) {
            v.push_back(Var(f64, k));
            for (Var& one : v) one += x(0);
        }
        Var sum(f64, 0);
        for (const Var& one : v) sum += one;
        return sum;
    });
    const std::vector<double> one{1};
    CHECK(grown(one).get<double>() == 36 + 45);
}

TEST_CASE("random programs that move Vars about", "[jit][handles][random]") {
    constexpr std::size_t count = 4;
    for (unsigned seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        struct Step {
            unsigned what;
            std::size_t a, b;
        };
        std::mt19937 random(seed);
        std::vector<Step> steps;
        for (int k = 0; k < 8; ++k) {
            const auto a = random() % count;
            steps.push_back(
                {static_cast<unsigned>(random() % 6), a, (a + 1 + random() % 3) % count});
        }
        // The same text for numbers and for Vars.
        const auto run = [&](auto& v, const auto& add) {
            for (const Step& s : steps) {
                switch (s.what) {
                    case 0: std::swap(v[s.a], v[s.b]); break;
                    case 1: add(v[s.a], v[s.b]); break;
                    case 2: std::rotate(v.begin(), v.begin() + 1, v.end()); break;
                    case 3: v[s.a] = std::exchange(v[s.b], v[s.a]); break;
                    case 4: std::iter_swap(v.begin() + static_cast<int>(s.a), v.end() - 1); break;
                    case 5: {
                        auto copy = v[s.a];
                        v[s.a] = std::move(v[s.b]);
                        v[s.b] = copy;
                        break;
                    }
                }
            }
        };
        const auto f = jit([&](Value n, Out y) {
            std::vector<Var> v;
            for (std::size_t k = 0; k < count; ++k) v.emplace_back(u64(k + 1));
            for (Index i : range(n)) {
                static_cast<void>(i);
                run(v, [](Var& a, const Var& b) { a += b; });
            }
            for (std::size_t k = 0; k < count; ++k) y(std::int64_t(k)) = v[k];
        });
        const std::int64_t n = 1 + seed % 5;
        std::vector<std::uint64_t> expected{1, 2, 3, 4}, found(count);
        for (std::int64_t i = 0; i < n; ++i)
            run(expected, [](std::uint64_t& a, std::uint64_t b) { a += b; });
        f(n, found);
        CHECK(found == expected);
    }
}

TEST_CASE("a Var outside of the block that declares it", "[jit][handles]") {
    std::uint32_t line = 0, declared = 0;
    const auto f = jit([&](Value x) -> Value {
        std::optional<Var> v;
        if_(x > 0, [&] {
            Var inner = x;
            declared = __LINE__ - 1;
            v.emplace(inner);
        });
        line = __LINE__ + 1;
        return *v + 1;
    });
    const Error error = error_of([&] { f(2.0); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "the Var of line " + std::to_string(declared) +
                                 " is used after the block that declares it");
    CHECK(error.hint() ==
          "declare it before the block (a container that grows in a block copies its Vars there: "
          "reserve)");
    CHECK(error.line() == line);
}

TEST_CASE("a Var that was made in place and never used has no line", "[jit][handles]") {
    const auto f = jit([](Value x) -> Value {
        std::optional<Var> v;
        if_(x > 0, [&] { v.emplace(x); });
        return *v;
    });
    CHECK(error_of([&] { f(2.0); }).message() == "a Var is used after the block that declares it");
}

TEST_CASE("Vars that the standard library declares are named by their first use",
          "[jit][handles]") {
    std::uint32_t line = 0;
    const auto f = jit([&](Value x) -> Value {
        std::vector<Var> v;
        v.emplace_back(f32, 0);
        line = __LINE__ + 1;
        v[0] += 1.0f;
        v[0] = x;
        return v[0];
    });
    const Error error = error_of([&] { f(2.0); });
    CHECK(error.message() == "cannot store f64 into the Var that is first used at line " +
                                 std::to_string(line) + " (f32) without narrowing");
    CHECK(error.line() == line + 1);
}

TEST_CASE("swap of two elements", "[jit][handles]") {
    const auto reverse = jit(
        [](InOut x) {
            for (Index i : range(x.extent(0) / 2)) swap(x(i), x(x.extent(0) - 1 - i));
        },
        {.parallel = true});
    std::vector<double> x(1001), expected(1001);
    for (int i = 0; i < 1001; ++i) x[static_cast<std::size_t>(i)] = i;
    std::reverse_copy(x.begin(), x.end(), expected.begin());
    reverse(x);
    CHECK(x == expected);
    const auto local = jit([](Value v) -> Value {
        using std::swap;
        Local l(f64, 3);
        l(0) = v;
        swap(l(0), l(2));
        auto a = l(2), b = l(1);
        swap(a, b);
        return l(0) * 100 + l(1) * 10 + l(2);
    });
    CHECK(local(7.0).get<double>() == 70);
}

TEST_CASE("a Scratch is a value: copies have elements of their own", "[jit][handles]") {
    const auto differs = jit([](In x, Out y) {
        Scratch a(x);
        Scratch old(a), older = a;
        a += 1.0;
        old *= 10.0;
        for (Index i : range(x.extent(0))) {
            y(i, 0) = a(i);
            y(i, 1) = old(i);
            y(i, 2) = older(i);
        }
    });
    const std::vector<double> x{1, 2};
    const Array y = zeros({2, 3});
    differs(x, y);
    check_values(y, {2, 10, 1, 3, 20, 2});

    const auto masks = jit([](InOut z) {
        Scratch s(z);
        for (Index t : range(3)) {
            static_cast<void>(t);
            Scratch old(s);
            s = s * 2.0;
            s = select(s > 8.0, old, s);
        }
        z = s;
    });
    std::vector<double> z{1, 2, 3, 5};
    masks(z);  // doubled three times, where that stays within 8
    CHECK(z == std::vector<double>{8, 8, 6, 5});

    const auto same = jit([](Out y) {
        Scratch s(f64, {y.extent(0)});
        const InOut name(s);
        s = 1.0;
        name(0) = 5.0;
        y = s;
    });
    std::vector<double> v(3);
    same(v);
    CHECK(v == std::vector<double>{5, 1, 1});
}

TEST_CASE("several Scratch arrays are returned, by copy or moved", "[jit][handles]") {
    const auto both = jit([](In x) {
        Scratch a(x + 1.0), b(x * 2.0);
        return std::tuple(a, b);
    });
    const std::vector<double> x{1, 2, 3};
    const auto [a, b] = both(x);
    check_values(a, {2, 3, 4});
    check_values(b, {2, 4, 6});
    const auto twice = jit([](In x) {
        Scratch s(x);
        return std::pair(s, s);
    });
    const auto [first, second] = twice(x);
    first.fill(0);
    check_values(second, {1, 2, 3});
    const auto moving = jit([](In x) {
        Scratch s(x), t(x * 3.0);
        return std::make_tuple(std::move(t), sum(x), std::move(s));
    });
    const auto [t, total, s] = moving(x);
    check_values(t, {3, 6, 9});
    CHECK(total.get<double>() == 6);
    check_values(s, {1, 2, 3});
    // The copy is of what was there then.
    const auto early = jit([](In x) {
        Scratch s(x);
        auto result = std::tuple(s, s);
        s = 0.0;
        return result;
    });
    const auto [one, other] = early(x);
    check_values(one, {1, 2, 3});
    check_values(other, {1, 2, 3});
}

TEST_CASE("a Local is a value: copies have elements of their own", "[jit][handles]") {
    for (const std::int64_t length : {1, 4}) {
        const auto f = jit([=](Out y) {
            for (Index i : prange(y.extent(0))) {
                Local a(i64, length);
                for (Index k : range(length)) a(k) = i + k;
                Local b(a);
                a(0) = -1;
                const Local c = b;
                b(0) += 10;
                y(i, 0) = a(0);
                y(i, 1) = b(0);
                y(i, 2) = c(0);
                y(i, 3) = c(length - 1);
            }
        });
        const Array y = zeros({2, 4}, i64);
        f(y);
        const auto last = static_cast<double>(length - 1);
        check_values(y, {-1, 10, 0, last, -1, 11, 1, 1 + last});
    }
}

TEST_CASE("a const copy of an array is only read", "[jit][handles]") {
    std::uint32_t line = 0;
    const auto check = [&](const auto& body) {
        const auto f = jit([&](InOut y) {
            Scratch s(f64, {y.extent(0)});
            Local l(f64, 4);
            body(y, s, l);
        });
        std::vector<double> y{1, 2};
        const Error error = error_of([&] { f(y); });
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(error.message() == "a const copy of an array is stored to, and lost");
        CHECK(error.line() == line);
        CHECK(error.file() == __FILE__);
    };
    line = __LINE__ + 1;
    check([](InOut y, Scratch& s, Local&) { if_(y(0) > 0, [=] { s(0) = 1.0; }); });
    line = __LINE__ + 1;
    check([](InOut y, Scratch& s, Local&) { if_(y(0) > 0, [=] { s += 1.0; }); });
    line = __LINE__ + 1;
    check([](InOut y, Scratch& s, Local&) { if_(y(0) > 0, [=] { s.slice({0, 1}) = 1.0; }); });
    line = __LINE__ + 1;
    check([](InOut y, Scratch& s, Local&) { if_(y(0) > 0, [=] { atomic_add(s(0), 1.0); }); });
    line = __LINE__ + 1;
    check([](InOut y, Scratch&, Local& l) { if_(y(0) > 0, [=] { l(0) = 1.0; }); });
    // The array itself may be stored to under a const name.
    const auto through = jit([](InOut y) {
        Scratch s(y);
        Local l(f64, 2);
        const auto into = [](const Scratch& a, const Local& b) {
            a(0) = 5.0;
            b(1) = 6.0;
            a += 1.0;
        };
        into(s, l);
        y(0) = s(0);
        y(1) = l(1);
    });
    std::vector<double> y{1, 2};
    through(y);
    CHECK(y == std::vector<double>{6, 6});
}

TEST_CASE("arrays of a kernel cannot exchange their roles", "[jit][handles]") {
    std::uint32_t line = 0;
    const auto check = [&](const auto& f) {
        std::vector<double> x{1, 2}, y{3, 4};
        const Error error = error_of([&] { f(x, y); });
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(error.message() == moved);
        CHECK(error.hint() == moved_hint);
        CHECK(error.file() == __FILE__);
        CHECK(error.line() == line);
        CHECK(x == std::vector<double>{1, 2});
    };
    // The line is the last one that is known of the kernel before the swap.
    check(jit([&](InOut a, InOut b) {
        line = __LINE__ + 1;
        a += b;
        std::swap(a, b);
    }));
    check(jit([&](Out a, Out b) {
        line = __LINE__ + 1;
        a(0) = 1.0;
        std::swap(a, b);
    }));
    check(jit([&](InOut a, InOut b) {
        line = __LINE__ + 1;
        a(0) = 1.0;
        static_cast<void>(std::exchange(a, b));
    }));
    check(jit([&](InOut a, InOut b) {
        Scratch s(a), t(b);
        line = __LINE__ + 1;
        s = t * 2.0;
        std::swap(s, t);
    }));
    check(jit([&](InOut a, InOut b) {
        [[maybe_unused]] const InOut other = std::move(a);
        line = __LINE__ + 1;
        b(0) = a(0);
    }));
    check(jit([&](InOut a, InOut b) {
        Local l(f64, 2);
        [[maybe_unused]] const Local other = std::move(l);
        line = __LINE__ + 1;
        b(0) = l(0) + a(0);
    }));
    // Handed on, or kept in a vector that grows, an array stays what it is.
    const auto passed = jit([](InOut a, InOut b) {
        std::vector<InOut> all;
        all.push_back(a);
        all.push_back(b);
        all.push_back(a);
        const auto pick = [](InOut array) { return array; };
        for (int k = 0; k < 3; ++k) pick(all[static_cast<std::size_t>(k)])(k % 2) += 10.0;
    });
    std::vector<double> x{1, 2}, y{3, 4};
    passed(x, y);
    CHECK(x == std::vector<double>{21, 2});
    CHECK(y == std::vector<double>{3, 14});
}
