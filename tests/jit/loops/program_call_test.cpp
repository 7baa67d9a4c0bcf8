// Kernels that call kernels: the callee's body becomes a part of the caller.
#include "tests/jit/support.h"

#include <cmath>
#include <functional>

using namespace kiln;
using kiln::test::error_of;

namespace {

TEST_CASE("calls: a kernel is inlined, its results are Values and arrays", "[jit][program][call]") {
    const auto norm2 = jit("norm2", [](In x, Value scale) -> Value {
        Var sum(DType::f64, 0.0);
        for (Index i : range(x.extent(0))) sum += x(i) * x(i) * scale;
        return sum;
    });
    const auto scaled = jit("scaled", [](In x, Value by) {
        Scratch y(x.dtype(), {x.extent(0)});
        for (Index i : prange(x.extent(0))) y(i) = x(i) * by;
        return std::pair(y, x.extent(0));
    });
    const auto set = jit("set", [](InOut y, Value i, Value v) { y(i) = v; });
    const auto caller = jit("caller",
                            [&](In x, Out out, Value k) -> Value {
                                const auto [y, count] = scaled(x, 3.0);
                                for (Index i : prange(x.extent(0)))
                                    set(out, i, y(i) + cast<double>(count));
                                Var factor(DType::f64, 2.0);
                                return norm2(y, k) + norm2(x, factor) + norm2(out, 0.0);
                            },
                            {.parallel = true});
    const std::vector<double> x{1, 2, 3};
    std::vector<double> out(3);
    CHECK(caller(x, out, 10.0).get<double>() == 10 * 9 * 14 + 2 * 14);
    CHECK(out == std::vector<double>{6, 9, 12});
    // The kernels still work on their own.
    CHECK(norm2(x, 0.5).get<double>() == 7);
    const auto [y, count] = scaled(x, -1.0);
    test::check_values(y, {-1, -2, -3});
    CHECK(count.get<std::int64_t>() == 3);
}

TEST_CASE("calls: C++ values are strong, also the first one", "[jit][program][call]") {
    const auto sum = jit("sum", [](Value a, Value b) -> Value { return a + b; });
    const auto caller = jit([&](In x) -> Value { return sum(2, x(0)); });
    // i32 and f32 make f64, as in a call from outside.
    CHECK(caller(std::vector<float>{0.5F}).dtype == DType::f64);
    CHECK(caller(std::vector<float>{0.5F}).get<double>() == 2.5);
    CHECK(sum(2, 0.5F).dtype == DType::f64);
}

TEST_CASE("calls: fastmath is that of the callee", "[jit][program][call]") {
    const auto fast_add =
        jit("fast", [](Value a, Value b) -> Value { return a + b; }, {.fastmath = true});
    const auto caller = jit([&](Value a, Value b) -> Value { return fast_add(a, b) * a; });
    const std::string ir = caller.inspect(Artifact::ir, {f64, f64});
    CHECK(ir.find("add f64 p0, p1 fast") != std::string::npos);
    const std::size_t mul = ir.find("mul f64");
    REQUIRE(mul != std::string::npos);
    CHECK(ir.substr(mul, ir.find('\n', mul) - mul).find("fast") == std::string::npos);
}

TEST_CASE("calls: races of the callee's body are the caller's", "[jit][program][call]") {
    const auto shift = jit("shift", [](InOut a, Value i) { a(i) = a(i + 1); });
    const unsigned line = __LINE__ - 1;
    const auto caller = jit(
        [&](InOut data) {
            for (Index i : prange(data.extent(0) - 1)) shift(data, i);
        },
        {.params = {"data"}});
    const Error error = error_of([&] { caller.inspect(Artifact::passes, {f64[1]}); });
    CHECK(error.line() == line);
    CHECK(error.message() == "iterations of the prange at line " + std::to_string(line + 4) +
                                 " may touch the same element of data: data(i) is written here and "
                                 "data(i+1) is read here");
}

TEST_CASE("calls: what is refused", "[jit][program][call]") {
    const auto get =
        jit("get", [](In x, Value i) -> Value { return x(i); }, {.params = {"x", "i"}});
    const auto put = jit("put", [](InOut x, Value i) { x(i) = 1.0; }, {.params = {"x", "i"}});
    const auto check = [](auto body, std::string_view text, std::string_view hint) {
        const auto caller = jit([=](In a) { body(a); }, {.params = {"a"}});
        const Error error = error_of([&] { caller.inspect(Artifact::ir, {f64[1]}); });
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(error.message() == text);
        CHECK(error.hint() == hint);
        return error.line();
    };
    // The line is taken beside each body: within a macro of several lines compilers disagree.
    auto line = static_cast<std::uint32_t>(__LINE__) + 1;
    const auto few = [&](In a) { get(a); };
    CHECK(check(few, "get takes 2 arguments, 1 given", "") == line);
    line = static_cast<std::uint32_t>(__LINE__) + 1;
    const auto array = [&](In a) { get(a, a); };
    CHECK(check(array, "argument 2 of get is an array, but i is a scalar", "") == line);
    line = static_cast<std::uint32_t>(__LINE__) + 1;
    const auto scalar = [&](In a) { get(a(0), 1); };
    CHECK(check(scalar, "argument 1 of get is a scalar, but x is an array", "") == line);
    line = static_cast<std::uint32_t>(__LINE__) + 1;
    const auto written = [&](In a) { put(a, 0); };
    CHECK(check(written, "argument 1 of put is a, which is only read, but x is written",
                "declare it as InOut") == line);

    line = static_cast<std::uint32_t>(__LINE__) + 1;
    const auto early = jit("early", [](Value x) { if_(x > 0.0, [] { return_(); }); });
    const auto call_early = [&](In a) { early(a(0)); };
    CHECK(check(call_early, "return_() in a kernel that another kernel calls",
                "its body becomes a part of the caller: use if_(...).else_(...)") == line);
    line = static_cast<std::uint32_t>(__LINE__) + 1;
    const auto leaves = jit("leaves", [](Value x) { if_(x > 0.0, [] { break_(); }); });
    const auto call_leaves = [&](In a) {
        for (Index i : range(3)) leaves(a(i));
    };
    CHECK(check(call_leaves, "break_() outside of a loop", "") == line);
    // Its own loops may be left, in a loop of the caller too.
    const auto first_above = jit("first_above", [](In x, Value limit) -> Value {
        Var at(DType::i64, -1);
        for (Index i : range(x.extent(0)))
            if_(x(i) > limit, [&] {
                at = i;
                break_();
            });
        return at;
    });
    const auto all = jit([&](In x, Out at) {
        for (Index i : prange(at.extent(0))) at(i) = first_above(x, cast<double>(i));
    });
    std::vector<std::int64_t> at(4);
    all(std::vector<double>{1, 3, 2}, at);
    CHECK(at == std::vector<std::int64_t>{0, 1, 1, -1});
}

TEST_CASE("calls: a kernel that calls itself, directly or through another one",
          "[jit][program][call]") {
    std::function<Value(Value)> again;
    const auto first = jit("first", [&](Value x) -> Value { return again(x); });
    const auto second = jit("second", [&](Value x) -> Value { return first(x) + 1.0; });
    const std::string hint = "kernels that are called become part of their caller: write a loop";
    again = [&](Value x) -> Value { return first(x); };
    const unsigned line = __LINE__ - 1;
    const Error direct = error_of([&] { first(1.0); });
    CHECK(direct.kind() == ErrorKind::usage);
    CHECK(direct.line() == line);
    CHECK(direct.message() == "kernel first calls itself");
    CHECK(direct.hint() == hint);
    again = [&](Value x) -> Value { return second(x); };
    CHECK(error_of([&] { first(1.0); }).message() == "kernel first calls itself");
    CHECK(error_of([&] { second(1.0); }).message() == "kernel second calls itself");
    // The error leaves nothing behind.
    again = [&](Value x) -> Value { return x * 2.0; };
    CHECK(second(1.5).get<double>() == 4);
}

TEST_CASE("calls: outside of a kernel", "[jit][program][call]") {
    const auto f = jit("f", [](Value x) -> Value { return x; });
    std::optional<Value> kept;
    const auto g = jit([&](Value x) -> Value {
        kept.emplace(x);
        return x;
    });
    g(1.0);
    CHECK_THROWS_AS(f(*kept), Error);
}

}  // namespace
