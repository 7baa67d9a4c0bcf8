// .specialise: values of arguments, and extents of arrays, as constants of the code.
#include "tests/jit/support.h"

#include <bit>
#include <cmath>
#include <complex>
#include <limits>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

/// y(i) = sum over k of h(k) x(i + k), whose terms are added in order.
auto fir_with(std::vector<std::string> specialise) {
    return jit("fir",
               [](In x, In h, Out y) {
                   for (Index i : prange(y.extent(0))) {
                       Var sum(f64, 0);
                       for (Index k : range(h.extent(0))) sum += h(k) * x(i + k);
                       y(i) = sum;
                   }
               },
               {.params = {"x", "h", "y"}, .specialise = std::move(specialise)});
}
std::vector<double> plain_fir(const std::vector<double>& x, const std::vector<double>& h) {
    std::vector<double> y(x.size() - h.size() + 1);
    for (std::size_t i = 0; i < y.size(); ++i)
        for (std::size_t k = 0; k < h.size(); ++k) y[i] += h[k] * x[i + k];
    return y;
}

auto power_of(std::size_t most = 8) {
    return jit("power",
               [](In x, Value n, Out y) {
                   for (Index i : range(x.extent(0))) {
                       Var p(f64, 1);
                       for ([[maybe_unused]] Index k : range(n)) p *= x(i);
                       y(i) = p;
                   }
               },
               {.params = {"x", "n", "y"}, .specialise = {"n"}, .specialise_at_most = most});
}
double plain_power(double x, int n) {
    double p = 1;
    for (int k = 0; k < n; ++k) p *= x;
    return p;
}

}  // namespace

TEST_CASE("each value has code of its own, compiled once, with the results of plain C++",
          "[jit][specialise]") {
    const auto power = power_of();
    const std::vector<double> x{0.5, -1.25, 3, 1.0 / 3};
    std::vector<double> y(x.size());
    for (const int round : {1, 2})
        for (const int n : {0, 1, 3, 7}) {
            power(x, n, y);
            for (std::size_t i = 0; i < x.size(); ++i) CHECK(y[i] == plain_power(x[i], n));
            if (round == 2) CHECK(power.stats().misses == 4);
        }
    CHECK(power.stats().hits == 4);
    CHECK(power.remarks().empty());
    // A value of another type is another argument.
    power(x, std::int8_t(3), y);
    CHECK(y[0] == 0.125);
    CHECK(power.stats().misses == 5);
    // Code is shared with kernels that say the same.
    const auto cube = jit("cube", [](In x, Value, Out y) {
        for (Index i : range(x.extent(0))) {
            Var p(f64, 1);
            for ([[maybe_unused]] Index k : range(std::int64_t(3))) p *= x(i);
            y(i) = p;
        }
    });
    cube(x, 3, y);
    CHECK(y[0] == 0.125);
}

TEST_CASE("extents of arrays become constants", "[jit][specialise]") {
    std::vector<double> x(200);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<double>(i));
    const auto fir = fir_with({"h"}), general = fir_with({});
    for (const std::size_t taps : {1, 4, 5, 32, 33}) {
        std::vector<double> h(taps), y(x.size() - taps + 1), z(y.size());
        for (std::size_t k = 0; k < taps; ++k) h[k] = 1.0 / static_cast<double>(k + 3);
        fir(x, h, y);
        general(x, h, z);
        CHECK(y == plain_fir(x, h));
        CHECK(y == z);
    }
    CHECK(fir.stats().misses == 5);
    CHECK(general.stats().misses == 1);
    // Those of whole-array statements too: shapes that differ are the same error.
    const auto sum = jit("sum", [](In a, In b, Out c) { c = a + b; },
                         {.params = {"a", "b", "c"}, .specialise = {"a", "b", "c"}});
    const Array a = ones({3, 4}), b = full({4}, 2.0), c = empty({3, 4}, f64);
    sum(a, b, c);
    check_values(c, std::vector<double>(12, 3.0));
    const Error error = error_of([&] { sum(a, ones({5}), c); });
    CHECK(error.kind() == ErrorKind::shape);
    CHECK(error.message() == "cannot broadcast (3,4) with (5,)");
    check_values(c, std::vector<double>(12, 3.0));
}

TEST_CASE("the plan, passes and diagnostics say what is a constant", "[jit][specialise]") {
    const auto fir = fir_with({"h"});
    const std::vector<double> x(10, 1.0), h(3, 1.0);
    std::vector<double> y(8);
    const std::string plan = fir.inspect_call(Artifact::plan, {x, h, y});
    CHECK(plan.find("of the kernel:\n  constant: extent 0 of h is 3\n") != std::string::npos);
    CHECK(fir.inspect(Artifact::plan, {f64[1], f64[1], f64[1]}).find("constant") ==
          std::string::npos);
    CHECK(fir.inspect_call(Artifact::plan_json, {x, h, y})
              .find(R"({"what": "constants", "done": true, "text": "extent 0 of h is 3"})") !=
          std::string::npos);
    const std::string passes = fir.inspect_call(Artifact::passes, {x, h, y});
    CHECK(passes.find("; after known\n") != std::string::npos);
    CHECK(passes.find("to i64(3) step") != std::string::npos);
    CHECK(fir.stats().compiles + fir.stats().loads == 0);
    CHECK_FALSE(fir.inspect_call(Artifact::assembly, {x, h, y}).empty());
    fir(x, h, y);
    CHECK(fir.stats().misses == 1);
    CHECK(fir.stats().hits == 1);
    CHECK(y == std::vector<double>(8, 3.0));
    const std::vector<double> two(2, 1.0);
    std::vector<double> z(9);
    fir(x, two, z);
    const std::string diagnostics = fir.parallel_diagnostics(0);
    CHECK(diagnostics.find("fir(f64[1], f64[1], f64[1], where extent 0 of h is 3)") !=
          std::string::npos);
    CHECK(diagnostics.find("fir(f64[1], f64[1], f64[1], where extent 0 of h is 2)") !=
          std::string::npos);
    // Scalars of every kind.
    const auto of = [](const auto& value) {
        const auto f =
            jit("f", [](Value v) -> Value { return v; }, {.params = {"v"}, .specialise = {"v"}});
        const std::string text = f.inspect_call(Artifact::plan, {value});
        const std::size_t from = text.find("constant: ");
        return text.substr(from, text.find('\n', from) - from);
    };
    CHECK(of(true) == "constant: v is true");
    CHECK(of(std::int8_t(-3)) == "constant: v is -3");
    CHECK(of(~std::uint64_t(0)) == "constant: v is 18446744073709551615");
    CHECK(of(0.1) == "constant: v is 0.1");
    CHECK(of(0.1F) == "constant: v is 0.1");
    CHECK(of(f16(0.5)) == "constant: v is 0.5");
}

TEST_CASE("compile_call makes the code of a call, warm_up too", "[jit][specialise]") {
    const auto power = power_of();
    const std::vector<double> x{2, 3};
    std::vector<double> y{5, 5};
    power.compile_call({x, 4, y});
    CHECK(y == std::vector<double>{5, 5});
    warm_up({[&] { power.compile_call({x, 5, y}); }, {power, {f64[1], i32, f64[1]}}}).wait();
    CHECK(power.stats().misses == 3);
    power(x, 4, y);
    CHECK(y == std::vector<double>{16, 81});
    power(x, 5, y);
    CHECK(y == std::vector<double>{32, 243});
    CHECK(power.stats().misses == 3);
}

TEST_CASE("values that come when the bound is reached run the code for any, with a remark",
          "[jit][specialise]") {
    const auto power = power_of(2);
    const std::vector<double> x{2, 3};
    std::vector<double> y(2);
    for (const int n : {2, 3, 4, 5, 2, 6}) {
        power(x, n, y);
        CHECK(y == std::vector<double>{plain_power(2, n), plain_power(3, n)});
    }
    CHECK(power.stats().misses == 3);
    CHECK(power.stats().hits == 3);
    const auto remarks = power.remarks();
    REQUIRE(remarks.size() == 1);
    CHECK(
        remarks[0].text ==
        "power has code for 2 combinations of values of n; calls with others run the code for any "
        "values (.specialise_at_most)");
    CHECK(remarks[0].file.ends_with("specialise_test.cpp"));
    CHECK(power.inspect_call(Artifact::plan, {x, 7, y}).find("constant") == std::string::npos);
    CHECK(power.inspect_call(Artifact::plan, {x, 3, y}).find("constant: n is 3") !=
          std::string::npos);
    const auto none = power_of(0);
    none(x, 3, y);
    CHECK(y[1] == 27);
    CHECK(none.stats().misses == 1);
    // Layouts of its own do not count.
    const auto one = power_of(1);
    const Array wide = arange(8.0), every_other = wide.slice(0, {0, 8, 2});
    std::vector<double> four(4);
    one(every_other, 2, four);
    CHECK(four == std::vector<double>{0, 4, 16, 36});
    one(std::vector<double>{1, 2, 3, 4}, 2, four);
    CHECK(four == std::vector<double>{1, 4, 9, 16});
    CHECK(one.remarks().empty());
}

TEST_CASE("numbers are told apart by their bits", "[jit][specialise]") {
    const auto f =
        jit("reciprocal", [](Value v) -> Value { return 1 / v; }, {.specialise = {"p0"}});
    const double inf = std::numeric_limits<double>::infinity();
    CHECK(f(0.0).get<double>() == inf);
    CHECK(f(-0.0).get<double>() == -inf);
    CHECK(std::isnan(f(std::numeric_limits<double>::quiet_NaN()).get<double>()));
    CHECK(f(4.0).get<double>() == 0.25);
    CHECK(f(4.0F).get<float>() == 0.25F);
    const auto twice = jit("twice", [](Value v) -> Value { return v + v; }, {.specialise = {"p0"}});
    CHECK(twice(f16(1.5)).cast(f64).get<double>() == 3);
    CHECK(twice(bf16(1.5)).cast(f64).get<double>() == 3);
    CHECK(twice(std::uint8_t(200)).get<std::uint8_t>() == 144);
}

TEST_CASE("whether a kernel is an error does not depend on the values", "[jit][specialise]") {
    // With n = 4 no two iterations meet; for other n they might.
    const auto shifted = jit("shifted",
                             [](InOut x, Value n) {
                                 for (Index i : prange(std::int64_t(4))) x(i + n) = x(i) * 2;
                             },
                             {.params = {"x", "n"}, .specialise = {"n"}});
    const Array x = ones({8});
    const Error error = error_of([&] { shifted(x, 4); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message().find("may touch the same element of x") != std::string::npos);
    // Checked mode finds what it finds.
    const auto divide = jit("divide", [](Value a, Value b) -> Value { return a / b; },
                            {.checked = true, .params = {"a", "b"}, .specialise = {"b"}});
    CHECK(divide(7, 2).get<std::int32_t>() == 3);
    const Error zero = error_of([&] { divide(7, 0); });
    const auto general = jit("divide", [](Value a, Value b) -> Value { return a / b; },
                             {.checked = true, .params = {"a", "b"}});
    const Error again = error_of([&] { general(7, 0); });
    CHECK(zero.kind() == ErrorKind::usage);
    CHECK(std::string(zero.what()).find("division by zero") != std::string::npos);
    CHECK(zero.message() == again.message());
    const auto pick = jit("pick", [](In a, Value i) -> Value { return a(i); },
                          {.checked = true, .params = {"a", "i"}, .specialise = {"a", "i"}});
    CHECK(pick(arange(3.0), 2).get<double>() == 2);
    const Error outside = error_of([&] { pick(arange(3.0), 3); });
    CHECK(outside.kind() == ErrorKind::bounds);
    CHECK(outside.message().find("3") != std::string::npos);
}

TEST_CASE("verify compares the code for values with that for any", "[jit][specialise][verify]") {
    const auto power = jit("power",
                           [](In x, Value n, Out y) {
                               for (Index i : prange(x.extent(0))) {
                                   Var p(f64, 1);
                                   for ([[maybe_unused]] Index k : range(n)) p *= x(i);
                                   y(i) = p;
                               }
                           },
                           {.verify = true, .verify_ulps = 0, .specialise = {"p1", "p0"}});
    const std::vector<double> x{1.5, 2.5, -0.1};
    std::vector<double> y(3);
    power(x, 5, y);
    CHECK(power.differences().empty());
    CHECK(y[2] == plain_power(-0.1, 5));
    // Arrays that overlap have code of their own, for the same values.
    Array both = arange(4.0);
    power(both, 2, both);
    check_values(both, {0, 1, 4, 9});
}

TEST_CASE("what .specialise cannot do is an error", "[jit][specialise]") {
    const auto make = [](JitOptions options) {
        return jit("f", [](In, Value, Out) {}, std::move(options));
    };
    std::uint32_t line = __LINE__ + 2;
    const Error named = error_of([] {
        jit("f", [](In, Value, Out) {}, {.params = {"x", "n", "y"}, .specialise = {"y", "m"}});
    });
    CHECK(named.kind() == ErrorKind::usage);
    CHECK(named.message() == "f has no parameter 'm', which .specialise names");
    CHECK(named.hint() == "it has x, n, y");
    CHECK(named.line() == line);
    const Error numbered = error_of([&] { make({.specialise = {"p3"}}); });
    CHECK(numbered.message() == "f has no parameter 'p3', which .specialise names");
    CHECK(numbered.hint() == "it has p0, p1, p2");

    const auto f = jit("f", [](Value a) -> Value { return a; }, {.specialise = {"p0"}});
    line = __LINE__ + 1;
    const Error complex = error_of([&] { f(std::complex<double>(1, 2)); });
    CHECK(complex.kind() == ErrorKind::type);
    CHECK(complex.message() == "argument 1 of f is c128, which .specialise makes no constant");
    CHECK(complex.hint() == "it takes integers, bool and real numbers, and extents of arrays");
    CHECK(complex.line() == line);

    const auto wide =
        jit("wide", [](In a, In b, In c, In d, In e, Out f) { f = a + b + c + d + e; },
            {.specialise = {"p0", "p1", "p2", "p3", "p4", "p5"}});
    const Array six = ones({1, 1, 1, 1, 1, 1});
    const Error many = error_of([&] { wide(six, six, six, six, six, six.copy()); });
    CHECK(many.kind() == ErrorKind::usage);
    CHECK(many.message() == "wide is specialised by more than 32 values and extents");

    const auto power = power_of();
    const Error few = error_of([&] { power.compile_call({ones({2}), 3}); });
    CHECK(few.message() == "power takes 3 arguments, 2 given");
    const Error scalar = error_of([&] { (void)power.inspect_call(Artifact::plan, {1.0, 3, 2.0}); });
    CHECK(scalar.message() == "argument 1 of power is a scalar, but x is an array");
}

TEST_CASE("kernels that are called inside of others take what these know", "[jit][specialise]") {
    const auto scaled = jit("scaled", [](Value x, Value n) -> Value { return x * n; },
                            {.params = {"x", "n"}, .specialise = {"n"}});
    const auto outer = jit("outer", [&](InOut y, Value n) {
        for (Index i : range(y.extent(0))) y(i) = scaled(y(i), n);
    });
    const Array y = ones({3});
    outer(y, 2.0);
    outer(y, 5.0);
    check_values(y, {10, 10, 10});
    CHECK(outer.stats().misses == 1);
    CHECK(scaled.stats().misses == 0);
}

TEST_CASE("many threads meet many values", "[jit][specialise]") {
    const auto power = power_of(4);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            const std::vector<double> x{1.5, 2};
            std::vector<double> y(2);
            for (int i = 0; i < 200; ++i) {
                const int n = (i * 7 + t) % 9;
                power(x, n, y);
                wrong += y[0] != plain_power(1.5, n) || y[1] != plain_power(2, n);
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(power.remarks().size() == 1);
}
