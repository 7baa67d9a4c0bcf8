// What errors say of results, parameters and targets: exact texts, lines and hints.
#include "tests/jit/support.h"

#include <string>

using namespace kiln;
using test::check_values;
using test::error_of;

namespace {

struct Expected {
    ErrorKind kind = ErrorKind::usage;
    std::string message, hint;
    std::uint32_t line = 0;
};

template <class F> void check_error(F&& f, const Expected& expected) {
    const Error error = error_of(f);
    CHECK(error.kind() == expected.kind);
    CHECK(error.message() == expected.message);
    CHECK(error.hint() == expected.hint);
    CHECK(error.line() == expected.line);
    CHECK(error.file() == __FILE__);
}

const std::vector<double> x{1, 2, 3};

}  // namespace

TEST_CASE("arrays that are returned as Values", "[jit][messages]") {
    Expected expected{.kind = ErrorKind::shape,
                      .message =
                          "an array is used where one element is needed: k returns it as a "
                          "Value",
                      .hint = "return a Scratch: `-> Scratch { ...; return Scratch(value); }`"};
    const auto expression = jit("k", [&](In a) -> Value {
        expected.line = __LINE__ + 1;
        return a + 1.0;
    });
    check_error([&] { expression(x); }, expected);
    const auto slice = jit("k", [&](In a) {
        expected.line = __LINE__ + 1;
        return a.slice({0, 2});
    });
    check_error([&] { slice(x); }, expected);
    const auto array = jit("k", [&](In a) -> Value {
        expected.line = __LINE__ + 1;
        return a;
    });
    check_error([&] { array(x); }, expected);
    const auto several = jit("k", [&](In a) {
        expected.line = __LINE__ + 1;
        const Value squares = a * a;
        return std::pair(sum(squares), squares);
    });
    check_error([&] { several(x); }, expected);
    const auto cell = stencil("k", [&](Neighbors a, In b) -> Value {
        expected.line = __LINE__ + 1;
        return a(0) * b;
    });
    const Error error = error_of([&] { cell(x, x); });
    CHECK(error.message() == "an array is used where one element is needed");
    CHECK(error.line() == expected.line);
    CHECK(error.file() == __FILE__);
    const auto scratch = jit("k", [](In a) { return Scratch(a.slice({0, 2})); });
    check_values(scratch(x), {1, 2});
}

TEST_CASE("a Var that is returned is read at the last line that is known", "[jit][messages]") {
    // i / 0 of checked mode is at the line of the division, the loop's sum at its own.
    std::uint32_t line = 0;
    const auto f = jit([&](In a) -> Value {
        Var v(f64, 0);
        for (Index i : prange(a.extent(0))) {
            line = __LINE__ + 1;
            v += a(i) + v;
        }
        return v;
    });
    const Error error = error_of([&] { f(x); });
    CHECK(error.line() == line);
    CHECK(error.file() == __FILE__);
}

TEST_CASE("return_ where results are expected", "[jit][messages]") {
    Expected expected{
        .message = "return_() would end k before its results are computed",
        .hint = "assign the result to a Var in if_(...).else_(...), and return that at the end"};
    const auto element = [&](Value n) {
        Var r = n;
        expected.line = __LINE__ + 1;
        if_(n > 10, [] { return_(); });
        return r;
    };
    check_error([&, f = vectorize("k", element)] { f(x); }, expected);
    check_error([&, f = map_reduce("k", element, Reduce::sum)] { f(x); }, expected);
    const auto loop = jit("k", [&](In a) -> Value {
        expected.line = __LINE__ + 1;
        if_(a(0) > 0, [] { return_(); });
        return a(1);
    });
    check_error([&] { loop(x); }, expected);
    const auto nothing = jit([](InOut a) {
        if_(a(0) > 0, [] { return_(); });
        a(0) = 7.0;
    });
    std::vector<double> y{0}, z{1};
    nothing(y);
    nothing(z);
    CHECK(y[0] == 7);
    CHECK(z[0] == 1);
}

TEST_CASE("results are read as their type, or as one that holds it", "[jit][messages]") {
    const auto same = jit([](Value v) { return v; });
    CHECK(same(1.5f).get<double>() == 1.5);
    CHECK(same(std::int32_t(-1)).get<std::int64_t>() == -1);
    CHECK(same(std::int64_t(5)).get<double>() == 5);
    Expected expected{
        .kind = ErrorKind::type,
        .message = "a value of type f64 is read as f32, which does not hold all of them",
        .hint = "read it as double, or convert it: cast(kiln::f32)",
        .line = __LINE__ + 1};
    check_error([&] { static_cast<void>(same(1.5).get<float>()); }, expected);
}

TEST_CASE("kernels that have no target but the CPU", "[jit][messages]") {
    Expected expected{.kind = ErrorKind::unsupported,
                      .message = "k is a map-reduce, which has no target but the CPU",
                      .hint =
                          "kernels of vectorize, jit, stencil and guvectorize have .target = "
                          "BackendTarget::cuda"};
    const auto same = [](Value a) { return a; };
    expected.line = __LINE__ + 1;
    check_error([&] { map_reduce("k", same, Reduce::sum, {.target = BackendTarget::cuda}); },
                expected);
}

TEST_CASE("options of loop kernels that only the CPU has", "[jit][messages]") {
    Expected expected{.kind = ErrorKind::unsupported,
                      .message = "k has .checked, which no target but the CPU has",
                      .hint = "",
                      .line = __LINE__ + 2};
    const auto body = [](InOut a) { a = 0.0; };
    check_error([&] { jit("k", body, {.checked = true, .target = BackendTarget::cuda}); },
                expected);
}

TEST_CASE("a Local of several dimensions", "[jit][messages]") {
    Expected expected{.message = "a Local has one dimension, 2 are given",
                      .hint =
                          "write Local(f64, m * n) and index it as rows, a(i * n + j); a Scratch "
                          "has up to 8 dimensions"};
    const auto f = jit([&](InOut a) {
        expected.line = __LINE__ + 1;
        Local l(f64, {3, 4});
        a(0) = l(0);
    });
    std::vector<double> y{1};
    check_error([&] { f(y); }, expected);
    const auto one = jit([](InOut a) {
        Local l(f64, {4});
        a(0) = l(3);
    });
    one(y);
    CHECK(y[0] == 0);
}

TEST_CASE("a Local in an element-wise kernel", "[jit][messages]") {
    std::uint32_t line = 0;
    const auto f = vectorize([&](Value k) {
        line = __LINE__ + 1;
        Local table(f64, 4);
        return Value(table(cast<std::int64_t>(k)));
    });
    const Error error = error_of([&] { f(x); });
    CHECK(error.message() == "a Local in an element-wise kernel");
    CHECK(error.hint() == "write the kernel with jit, whose loops may have arrays of their own");
    CHECK(error.line() == line);
}

TEST_CASE("parameters have the names that the user gives them", "[jit][messages]") {
    const auto outside = [](In a, InOut out) { out(0) = a(0) + a(0, 0); };
    const auto named = jit("k", outside, {.params = {"prices", "total"}});
    std::vector<double> y{1};
    Error error = error_of([&] { named(x, y); });
    CHECK(error.message() == "prices has 1 dimension, but 2 subscripts are given");
    CHECK(error.hint().empty());
    error = error_of([&, f = jit("k", outside)] { f(x, y); });
    CHECK(error.message() == "p0 has 1 dimension, but 2 subscripts are given");
    CHECK(error.hint() == "p0 is the first parameter; .params names them");
    error = error_of([&] { named(x, 1.0); });
    CHECK(error.message() == "argument 2 of k is a scalar, but total is an array");

    const auto lengths = [](Value a, Value b) { return a + b; };
    const auto add = vectorize("add", lengths, {.params = {"length", "width"}});
    CHECK(add.inspect(Artifact::ir, {f64, f64[1]}).find("length: in f64") != std::string::npos);
    check_values(add(x, 1.0), {2, 3, 4});
    const auto dot = map_reduce("k", lengths, Reduce::sum, {.params = {"length", "width"}});
    CHECK(dot.inspect(Artifact::ir, {f64[1], f64[1]}).find("width") != std::string::npos);
    const auto far = [](Neighbors a) -> Value { return a(0) + a(0, 1); };
    const auto shifted = stencil("k", [](Neighbors a, In b) -> Value { return a(-1) + b(0, 0); },
                                 {.params = {"image", "table"}});
    error = error_of([&] { shifted(x, x); });
    CHECK(error.message() == "table has 1 dimension, but 2 subscripts are given");

    Expected expected{.message = "k has 2 parameters, .params names 1", .hint = ""};
    expected.line = __LINE__ + 1;
    check_error([&] { jit("k", outside, {.params = {"a"}}); }, expected);
    expected.line = __LINE__ + 1;
    check_error([&] { vectorize("k", lengths, {.params = {"a"}}); }, expected);
    expected.line = __LINE__ + 1;
    check_error([&] { map_reduce("k", lengths, Reduce::sum, {.params = {"a"}}); }, expected);
    expected.message = "k has 1 parameter, .params names 2";
    expected.line = __LINE__ + 1;
    check_error([&] { stencil("k", far, {.params = {"a", "b"}}); }, expected);
}

TEST_CASE("names of parameters make no other code", "[jit][messages]") {
    const auto made = [](std::vector<std::string> params) {
        return jit("k",
                   [](In a, Out b) {
                       for (Index i : prange(a.extent(0))) b(i) = a(i) * 41.5;
                   },
                   {.params = std::move(params)});
    };
    std::vector<double> y(3);
    const auto first = made({}), second = made({"from", "to"});
    first(x, y);
    second(x, y);
    CHECK(first.stats().compiles + second.stats().compiles == 1);
}

TEST_CASE("cval is a number or a Scalar", "[jit][messages]") {
    const auto left = [](Neighbors a) -> Value { return a(-1); };
    check_values(stencil(left, {.cval = 0.125})(x), {0.125, 1, 2});
    check_values(stencil(left, {.cval = 7})(x), {7, 1, 2});
    check_values(stencil(left, {.cval = f32(2.5)})(x), {2.5, 1, 2});
    check_values(stencil(left, {.cval = Scalar::of(3, true)})(x), {3, 1, 2});
    check_values(stencil(left, {.cval = 0.125})(std::vector<float>{1, 2}), {0.125, 1});
    CHECK(error_of([&] {
              stencil("k", left, {.cval = 0.125})(std::vector<int>{1, 2});
          }).message() == "cval of k is f64, which does not fit i32");
}

TEST_CASE("arrays of eight dimensions", "[jit][messages]") {
    const Array a = arange(256.0).reshape({2, 2, 2, 2, 2, 2, 2, 2});
    const Array y = zeros({2, 2, 2, 2, 2, 2, 2, 2});
    const auto f = jit([](In in, Out out) {
        Scratch s(f64, {2, 2, 2, 2, 2, 2, 2, 2});
        s = 1.0;
        for (Index i : prange(2))
            for (Index j : range(2)) {
                out(i, 1, j, 0, 1, 0, 1, j) =
                    in(i, 1, j, 0, 1, 0, 1, j) + s(j, 0, 0, 0, 0, 0, i, 1);
                out(i, 0, j, 0, 1, 0, 1, j) = sum(in.slice(i, 0, j, 0, 1, 0, {1, 2}, j));
            }
    });
    f(a, y);
    for (std::int64_t i : {0, 1})
        for (std::int64_t j : {0, 1}) {
            const double place = static_cast<double>(i * 128 + j * 32 + 8 + j);
            CHECK(y.at<double>({i, 1, j, 0, 1, 0, 1, j}) == place + 64 + 2 + 1);
            CHECK(y.at<double>({i, 0, j, 0, 1, 0, 1, j}) == place + 2);
        }
    const auto seven = jit([](In in) -> Value { return in(1, 1, 1, 1, 1, 1, 0); });
    CHECK(
        seven(a(Slice{}, Slice{}, Slice{}, Slice{}, Slice{}, Slice{}, Slice{}, 1)).get<double>() ==
        253);
    const auto neighbours =
        stencil([](Neighbors n) -> Value { return n(0, 0, 0, 0, 0, 0, 0, -1) * 2.0; });
    const Array near = neighbours(a);
    CHECK(near.at<double>({1, 1, 1, 1, 1, 1, 1, 1}) == 508);
    CHECK(near.at<double>({1, 1, 1, 1, 1, 1, 1, 0}) == 0);
    const auto five = stencil([](Neighbors n) -> Value { return n(0, 0, 0, 0, -1); },
                              {.boundary = Boundary::nearest});
    CHECK(five(a(0, 0, 0)).at<double>({1, 1, 1, 1, 1}) == 30);
}
