#include "tests/jit/support.h"

#include <memory>

using namespace kiln;
using namespace kiln::test;

namespace {
Ufunc saxpy(UfuncOptions options = {}) {
    return vectorize(
        "saxpy", [](Value a, Value x, Value y) { return a * x + y; }, std::move(options));
}
using Saxpy = void(float, std::span<const float>, std::span<const float>, std::span<float>);
}  // namespace

TEST_CASE("a bound saxpy", "[jit][bind]") {
    const auto fast = saxpy().bind<Saxpy>();
    for (const std::size_t n : {0, 1, 7, 64, 1000}) {
        std::vector<float> x(n), y(n), z(n, -1);
        for (std::size_t i = 0; i < n; ++i) x[i] = float(i), y[i] = float(2 * i) + 0.5f;
        fast(3, x, y, z);
        for (std::size_t i = 0; i < n; ++i) REQUIRE(z[i] == 3 * x[i] + y[i]);
    }
}

TEST_CASE("bound scalars are strong", "[jit][bind]") {
    const auto add = add_ufunc();
    CHECK(add.bind<double(double, float)>()(1, 2.5f) == 3.5);
    CHECK(add.bind<float(float, float)>()(1, 2.5f) == 3.5f);
    CHECK(add.bind<double(float, int)>()(1, 2) == 3);
    // f32 + i32 is f64, which goes to float under same_kind.
    CHECK(add.bind<float(float, int)>()(1, 2) == 3);
    double out = 0;
    add.bind<void(double, double, double&)>()(1, 2, out);
    CHECK(out == 3);
}

TEST_CASE("several bound outputs", "[jit][bind]") {
    const auto both = vectorize("both", [](Value a, Value b) { return std::pair{a + b, a - b}; });
    int sum = 0, difference = 0;
    both.bind<void(int, int, int&, int&)>()(5, 3, sum, difference);
    CHECK(sum == 8);
    CHECK(difference == 2);
}

TEST_CASE("sizes of bound spans must agree", "[jit][bind]") {
    const auto fast = saxpy().bind<Saxpy>();
    std::vector<float> x(5), y(7), z(5, -1);
    const Error error = error_of([&] { fast(1, x, y, z); });
    CHECK(error.kind() == ErrorKind::shape);
    CHECK(error.message() == "spans of 5 and 7 elements in a call of saxpy");
    CHECK(error.line() == __LINE__ - 3);
    CHECK(z == std::vector<float>(5, -1));
}

TEST_CASE("bound spans may overlap", "[jit][bind][overlap]") {
    const auto fast = saxpy().bind<Saxpy>();
    std::vector<float> x{1, 2, 3, 4, 5};
    fast(2, x, x, x);
    CHECK(x == std::vector<float>{3, 6, 9, 12, 15});
    const std::span<float> all(x);
    fast(1, all.first(4), all.first(4), all.last(4));
    CHECK(x == std::vector<float>{3, 6, 12, 18, 24});
    fast(1, all.last(4), all.first(4), all.first(4));
    CHECK(x == std::vector<float>{9, 18, 30, 42, 24});
}

TEST_CASE("mutable spans may be inputs", "[jit][bind]") {
    const auto fast =
        add_ufunc().bind<void(std::span<double>, std::span<double>, std::span<double>)>();
    std::vector<double> x{1, 2}, y{3, 4};
    fast(x, y, y);
    CHECK(y == std::vector<double>{4, 6});
}

TEST_CASE("large bound calls use threads and streaming stores", "[jit][bind][threads]") {
    const auto fast = saxpy({.parallel = true}).bind<Saxpy>();
    for (const std::size_t n : {70'000, 3'000'001}) {
        std::vector<float> x(n), y(n), z(n);
        for (std::size_t i = 0; i < n; ++i) x[i] = float(i % 1000), y[i] = float(i % 77);
        fast(2, x, y, z);
        bool same = true;
        for (std::size_t i = 0; i < n; ++i) same = same && z[i] == 2 * x[i] + y[i];
        CHECK(same);
    }
}

TEST_CASE("bind refuses what cannot be", "[jit][bind]") {
    const auto f = saxpy();
    const auto message = [](auto&& call) {
        const Error error = error_of(call);
        CHECK(error.kind() == ErrorKind::type);
        return error.message();
    };
    CHECK(message([&] { f.bind<void(float, float&)>(); }) ==
          "cannot bind saxpy: it has 3 inputs and 1 output, the signature 2 parameters");
    CHECK(
        message([&] { f.bind<float(float)>(); }) ==
        "cannot bind saxpy: it has 3 inputs and 1 output, the signature 1 parameters and a result");
    CHECK(message([&] { f.bind<void(float, float, float, float&, float&)>(); }) ==
          "cannot bind saxpy: it has 3 inputs and 1 output, the signature 5 parameters");
    CHECK(message([&] { f.bind<void(float, float, float, std::span<const float>)>(); }) ==
          "cannot bind saxpy: parameter 4 is an output, so it must not be const");
    CHECK(message([&] { f.bind<void(float, float, float&, float&)>(); }) ==
          "cannot bind saxpy: parameter 3 is an input, not T&");
    CHECK(message([&] { f.bind<void(float, std::span<const float>, float, float&)>(); }) ==
          "cannot bind saxpy: an output of one element beside spans");
    CHECK(message([&] { f.bind<void(float, float, float, int&)>(); }) ==
          "cannot cast output of saxpy from f32 to i32 under same_kind");
    const Error error = error_of([&] { f.bind<void(float, float, float, int&)>(); });
    CHECK(error.line() == __LINE__ - 1);
}

TEST_CASE("a handle keeps its ufunc alive", "[jit][bind]") {
    auto add = std::make_unique<Ufunc>(add_ufunc());
    const auto fast = add->bind<int(int, int)>();
    add.reset();
    CHECK(fast(2, 3) == 5);
}
