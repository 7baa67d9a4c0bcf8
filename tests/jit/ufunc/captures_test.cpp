// When a kernel's lambda runs, and so what becomes of what it captures.
#include "tests/jit/support.h"

#include <memory>

using namespace kiln;
using test::at;
using test::check_values;

TEST_CASE("what a lambda captures by value is a constant", "[jit][captures]") {
    int factor = 2, runs = 0;
    const auto scale = vectorize("scale", [=, &runs](Value x) {
        ++runs;
        return x * factor;
    });
    const std::vector<double> x{1, 2};
    const std::vector<float> y{1, 2};
    check_values(scale(x), {2, 4});
    factor = 10;
    check_values(scale(x), {2, 4});
    check_values(scale(y), {2, 4});
    CHECK(runs == 2);  // once for f64, once for f32
    check_values(scale(y), {2, 4});
    CHECK(runs == 2);
}

TEST_CASE("what a lambda captures by reference is read when a signature is first met",
          "[jit][captures]") {
    const std::vector<double> x{1, 2};
    const std::vector<float> y{1, 2};
    int factor = 2;
    const auto scale = vectorize("scale", [&](Value v) { return v * factor; });
    const auto sum = map_reduce("sum", [&](Value v) { return v * factor; }, Reduce::sum);
    const auto loop = jit([&](In v) -> Value { return v(1) * factor; });
    const auto near = stencil([&](Neighbors v) -> Value { return v(0) * factor; });
    check_values(scale(x), {2, 4});
    CHECK(at(sum(x), 0) == 6);
    CHECK(loop(x).get<double>() == 4);
    check_values(near(x), {2, 4});
    factor = 10;
    check_values(scale(x), {2, 4});
    CHECK(at(sum(x), 0) == 6);
    CHECK(loop(x).get<double>() == 4);
    check_values(near(x), {2, 4});
    check_values(scale(y), {10, 20});
    CHECK(at(sum(y), 0) == 30);
    CHECK(loop(y).get<double>() == 20);
    check_values(near(y), {10, 20});
}

TEST_CASE("the callable lives as long as its kernel", "[jit][captures]") {
    auto owned = std::make_shared<double>(3);
    const std::weak_ptr<double> alive = owned;
    {
        const auto scale = vectorize("scale", [owned](Value x) { return x * *owned; });
        owned.reset();
        CHECK(!alive.expired());
        check_values(scale(std::vector<double>{1, 2}), {3, 6});
    }
    CHECK(alive.expired());
}
