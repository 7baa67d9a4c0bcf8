// Calls whose operands share memory: as if all inputs were copied first.
#include "tests/jit/support.h"

#include <numeric>

using namespace kiln;
using namespace kiln::test;

namespace {
Slice from(std::int64_t start) { return {start, {}, 1}; }
Slice until(std::int64_t stop) { return {{}, stop, 1}; }
}  // namespace

TEST_CASE("in place", "[jit][overlap]") {
    const auto add = add_ufunc();
    Array x = arange(10.0);
    add(x, 1.0, {.out = x});
    check_values(x, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    add(x, x, {.out = x});
    check_values(x, {2, 4, 6, 8, 10, 12, 14, 16, 18, 20});
    Array back = x.flip();
    add(back, 1.0, {.out = back});
    check_values(x, {3, 5, 7, 9, 11, 13, 15, 17, 19, 21});
}

TEST_CASE("shifted views", "[jit][overlap]") {
    const auto add = add_ufunc();
    Array x = arange(10.0);
    add(x(from(1)), x(until(-1)), {.out = x(from(1))});
    check_values(x, {0, 1, 3, 5, 7, 9, 11, 13, 15, 17});
    x = arange(10.0);
    add(x(until(-1)), 1.0, {.out = x(from(1))});
    check_values(x, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    x = arange(10.0);
    add(x(from(1)), 1.0, {.out = x(until(-1))});
    check_values(x, {2, 3, 4, 5, 6, 7, 8, 9, 10, 9});
    x = arange(6.0);
    vectorize("negative", [](Value a) { return -a; })(x.flip(), {.out = x});
    check_values(x, {-5, -4, -3, -2, -1, 0});
}

TEST_CASE("an element of the output as a scalar operand", "[jit][overlap]") {
    const auto subtract = vectorize("subtract", [](Value a, Value b) { return a - b; });
    Array x = Array::of({3.0, 4.0, 5.0});
    subtract(x, x.index(0, 0), {.out = x});
    check_values(x, {0, 1, 2});
    x = Array::of({3.0, 4.0, 5.0});
    subtract(x, x(until(1)), {.out = x});
    check_values(x, {0, 1, 2});
}

TEST_CASE("x += x.T is symmetric", "[jit][overlap]") {
    const auto add = add_ufunc();
    for (const std::int64_t n : {3, 200}) {
        Array x = arange(n * n, DType::f64).reshape({n, n});
        const Array before = x.copy();
        add(x, x.transpose(), {.out = x});
        for (std::int64_t i = 0; i < n; ++i) {
            for (std::int64_t j = 0; j < n; ++j) {
                REQUIRE(x.at<double>({i, j}) ==
                        before.at<double>({i, j}) + before.at<double>({j, i}));
            }
        }
    }
}

TEST_CASE("the mask may be the output", "[jit][overlap]") {
    const auto no = vectorize("no", [](Value a) { return !a; });
    Array m = Array::of({true, false, true, true});
    no(m, {.out = m, .where = m});
    check_values(m, {0, 0, 0, 0});
    Array shifted = Array::of({true, true, false, true, false});
    no(shifted(until(-1)), {.out = shifted(from(1)), .where = shifted(until(-1))});
    // As if copied: positions 1, 2, 4 (below a true) become false.
    check_values(shifted, {1, 0, 0, 1, 0});
}

TEST_CASE("another dtype over the same bytes", "[jit][overlap]") {
    const auto add = add_ufunc();
    std::vector<double> memory(8);
    auto* narrow = reinterpret_cast<std::int32_t*>(memory.data());
    std::iota(narrow, narrow + 8, 1);
    const Array in = Array::over(static_cast<const std::int32_t*>(narrow), {8});
    Array out = Array(memory);
    add(in, 0.5, {.out = out});
    CHECK(memory == std::vector<double>{1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5});
}

TEST_CASE("outputs that overlap are stored in order", "[jit][overlap]") {
    const auto two = vectorize("two", [](Value a) { return std::pair{a, a * 10.0}; });
    Array x = arange(4.0), out = zeros({5});
    two.all(x, {.outs = {out(until(4)), out(from(1))}});
    check_values(out, {0, 0, 10, 20, 30});
    Array same = zeros({4});
    two.all(x, {.outs = {same, same}});
    check_values(same, {0, 10, 20, 30});
    // Elements that the mask leaves out are not written by either.
    out = full({5}, -1.0);
    two.all(
        x, {.outs = {out(until(4)), out(from(1))}, .where = Array::of({true, false, false, true})});
    check_values(out, {0, 0, -1, 3, 30});
    // Inputs that are outputs as well.
    x = arange(4.0);
    two.all(x, {.outs = {x, x.flip()}});
    check_values(x, {30, 20, 10, 0});
}
