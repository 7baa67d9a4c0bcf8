// The oracle itself: kernels whose results were worked out by hand.
#include "tests/oracle/interpreter.h"
#include "dsl/ir/text.h"
#include "tests/catch.h"
#include "tests/oracle/random_kernel.h"

using namespace kiln;
using namespace kiln::oracle;

namespace {

std::optional<Fault> run(const char* text, const std::vector<Argument>& arguments) {
    const ir::Kernel kernel = ir::parse(text);
    REQUIRE(ir::verify(kernel) == "");
    return interpret(kernel, arguments);
}

Argument view(std::vector<double>& elements, std::vector<std::int64_t> shape) {
    return Argument::array(elements.data(), DType::f64, std::move(shape));
}

}  // namespace

TEST_CASE("an element-wise kernel on strided and reversed arrays", "[oracle]") {
    std::vector<float> x = {1, 2, 3, 4, 5, 6}, y = {10, 20, 30}, out = {0, 0, 0};
    const auto last_y = Argument::array(&y[2], {3}, {-4});
    const auto every_second = Argument::array(x.data(), {3}, {8});
    CHECK_FALSE(run(R"(kernel k(a: value f32, x: in f32[1], y: in f32[1], out: out f32[1]) {
  stage [extent(out, 0)] {
    %0 = load f32 x[i0]
    %1 = mul f32 a, %0
    %2 = load f32 y[i0]
    %3 = add f32 %1, %2
    store out[i0], %3
  } })",
                    {Argument::value(Scalar::of(2.0F)), every_second, last_y, Argument::of(out)}));
    CHECK(out == std::vector<float>{32, 26, 20});
}

TEST_CASE("reductions combine with the slot's value, over two dimensions", "[oracle]") {
    std::vector<std::int32_t> x = {3, -1, 4, -1, 5, 9};
    std::vector<std::int64_t> total = {0};
    std::vector<std::int32_t> least = {0};
    const char* text = R"(kernel k(x: in i32[2], total: out i64, least: out i32) reduce {
  slot s: i64
  slot m: i32
  stage [] { write s, i64(10) write m, i32(2) }
  stage [extent(x, 0), extent(x, 1)] parallel sum -> s, min -> m {
    %0 = load i32 x[i0, i1]
    %1 = cast i64 %0
    contribute 0, %1
    %2 = gt bool %0, i32(0)
    if %2 { contribute 1, %0 }
  }
  stage [] {
    %3 = read i64 s
    store total, %3
    %4 = read i32 m
    store least, %4
  } })";
    const auto matrix = [&](std::vector<std::int64_t> shape) {
        return std::vector<Argument>{Argument::array(x.data(), DType::i32, std::move(shape)),
                                     Argument::array(total.data(), DType::i64, {}),
                                     Argument::array(least.data(), DType::i32, {})};
    };
    run(text, matrix({2, 3}));
    CHECK(total[0] == 29);  // 10 + 19
    CHECK(least[0] == 2);   // of 2, 3, 4, 5, 9
    run(text, matrix({0, 3}));
    CHECK(total[0] == 10);
    CHECK(least[0] == 2);
}

TEST_CASE("loops, local arrays, break and continue", "[oracle]") {
    // Fibonacci numbers by a ring of two; the loop stops at n.
    std::vector<std::int64_t> n = {0, 1, 2, 10, 50}, out(5, -1);
    run(R"(kernel k(n: in i64[1], out: out i64[1]) {
  slot ring: i64[2]
  stage [extent(n, 0)] {
    %0 = load i64 n[i0]
    write ring[i64(0)], i64(0)
    write ring[i64(1)], i64(1)
    for %1 = i64(2) to i64(40) step i64(1) {
      %2 = gt bool %1, %0
      if %2 { break }
      %3 = read i64 ring[i64(0)]
      %4 = read i64 ring[i64(1)]
      %5 = add i64 %3, %4
      %6 = bit_and i64 %1, i64(1)
      write ring[%6], %5
    }
    %7 = minimum i64 %0, i64(39)
    %8 = bit_and i64 %7, i64(1)
    %9 = read i64 ring[%8]
    store out[i0], %9
  } })",
        {Argument::of(n), Argument::of(out)});
    CHECK(out == std::vector<std::int64_t>{0, 1, 1, 55, 63245986});

    // Sum of the odd numbers below 10, downwards, skipping the even ones.
    std::vector<std::int64_t> sum = {0};
    run(R"(kernel k(out: out i64) program {
  slot s: i64
  stage [] {
    write s, i64(0)
    for %0 = i64(9) to i64(-1) step i64(-1) {
      %1 = rem i64 %0, i64(2)
      %2 = eq bool %1, i64(0)
      if %2 { continue }
      %3 = read i64 s
      %4 = add i64 %3, %0
      write s, %4
    }
    %5 = read i64 s
    store out, %5
  } })",
        {Argument::array(sum.data(), DType::i64, {})});
    CHECK(sum[0] == 25);
}

TEST_CASE("a while loop, and return ends one iteration", "[oracle]") {
    // Steps of the Collatz sequence; 27 takes 111. Values below 1 are left alone.
    std::vector<std::int64_t> n = {1, 6, 27, -5}, out = {-7, -7, -7, -7};
    run(R"(kernel k(n: in i64[1], out: out i64[1]) {
  slot v: i64
  slot steps: i64
  stage [extent(n, 0)] {
    %0 = load i64 n[i0]
    %1 = lt bool %0, i64(1)
    if %1 { return }
    write v, %0
    write steps, i64(0)
    while {
      %2 = read i64 v
      %3 = ne bool %2, i64(1)
    } %3 {
      %4 = read i64 v
      %5 = bit_and i64 %4, i64(1)
      %6 = cast bool %5
      if %6 {
        %7 = mul i64 %4, i64(3)
        %8 = add i64 %7, i64(1)
        write v, %8
      } else {
        %9 = div i64 %4, i64(2)
        write v, %9
      }
      %10 = read i64 steps
      %11 = add i64 %10, i64(1)
      write steps, %11
    }
    %12 = read i64 steps
    store out[i0], %12
  } })",
        {Argument::of(n), Argument::of(out)});
    CHECK(out == std::vector<std::int64_t>{0, 8, 111, -7});
}

TEST_CASE("atomics give the old value, and repeated positions accumulate", "[oracle]") {
    std::vector<std::int64_t> position = {2, 0, 2, 2};
    std::vector<float> cells = {1, 1, 1}, old(4);
    run(R"(kernel k(position: in i64[1], cells: inout f32[1], old: out f32[1]) {
  stage [extent(position, 0)] parallel {
    %0 = load i64 position[i0]
    %1 = atomic sum f32 cells[%0], f32(0.5)
    store old[i0], %1
  } })",
        {Argument::of(position), Argument::of(cells), Argument::of(old)});
    CHECK(cells == std::vector<float>{1.5, 1, 2.5});
    CHECK(old == std::vector<float>{1, 1, 1.5, 2});
}

TEST_CASE("the lowest failing iteration is reported and every element computed", "[oracle]") {
    std::vector<std::int32_t> a = {8, 7, 6, 5}, b = {2, 0, 3, 0}, out(4, -1);
    const auto fault = run(R"(kernel k(a: in i32[1], b: in i32[1], out: out i32[1]) {
  stage [extent(out, 0)] parallel {
    %0 = load i32 a[i0]
    %1 = load i32 b[i0]
    %2 = cast bool %1
    check division_by_zero, %2 ; k.cpp:17
    %3 = floor_divide i32 %0, %1
    store out[i0], %3
  } })",
                           {Argument::of(a), Argument::of(b), Argument::of(out)});
    REQUIRE(fault.has_value());
    CHECK(fault->check == ir::Check::division_by_zero);
    CHECK(fault->stage == 0);
    CHECK(fault->iteration == std::vector<std::int64_t>{1});
    CHECK(fault->location.line == 17);
    CHECK(out == std::vector<std::int32_t>{4, 0, 2, 0});
}

TEST_CASE("the prologue computes extents", "[oracle]") {
    std::vector<std::int32_t> out(5, 0);
    run(R"(kernel k(n: value i64, out: out i32[1]) {
  prologue { %0 = sub i64 n, i64(2) }
  stage [%0] { store out[i0], i32(1) }
  stage [i64(-3)] { store out[i0], i32(9) }
})",
        {Argument::value(Scalar::of(std::int64_t(5))), Argument::of(out)});
    CHECK(out == std::vector<std::int32_t>{1, 1, 1, 0, 0});
}

TEST_CASE("whole arrays: A / max(A), broadcasting, folds over axes", "[oracle]") {
    std::vector<double> a = {1, 2, 3, 4, 5, 8}, row = {10, 20, 30}, out(6), sums(2);
    run(R"(kernel k(a: in f64[2], out: out f64[2]) program {
  stage [] {
    %0 = whole f64[2] a
    %1 = fold max f64 %0 axes(0, 1)
    %2 = div f64[2] %0, %1
    assign out, %2
  } })",
        {view(a, {2, 3}), view(out, {2, 3})});
    CHECK(out == std::vector<double>{0.125, 0.25, 0.375, 0.5, 0.625, 1});

    run(R"(kernel k(a: in f64[2], row: in f64[1], sums: out f64[1], out: out f64[2]) program {
  stage [] {
    %0 = whole f64[2] a
    %1 = whole f64[1] row
    %2 = add f64[2] %0, %1
    %3 = fold sum f64[1] %2 axes(1)
    assign sums, %3
    %4 = fold product f64[1] %0 axes(0)
    assign out, %4
  } })",
        {view(a, {2, 3}), view(row, {3}), view(sums, {2}), view(out, {2, 3})});
    CHECK(sums == std::vector<double>{66, 77});
    CHECK(out == std::vector<double>{4, 10, 24, 4, 10, 24});

    // In place, reading what is assigned: as if the right side were computed first.
    std::vector<double> square = {1, 2, 3, 4};
    run(R"(kernel k(a: inout f64[2], back: in f64[2]) program {
  stage [] {
    %0 = whole f64[2] a
    %1 = whole f64[2] back
    %2 = add f64[2] %0, %1
    assign a, %2
  } })",
        {view(square, {2, 2}), Argument::array(square.data(), {2, 2}, {8, 16})});
    CHECK(square == std::vector<double>{2, 5, 5, 8});
}

TEST_CASE("empty arrays: an identity or an error", "[oracle]") {
    std::vector<double> nothing, one = {7};
    const char* with_sum =
        "kernel k(a: in f64[1], out: out f64) program { stage [] { %0 = whole f64[1] a "
        "%1 = fold sum f64 %0 axes(0) store out, %1 } }";
    run(with_sum, {view(nothing, {0}), view(one, {})});
    CHECK(one[0] == 0);
    const char* with_max =
        "kernel k(a: in f64[1], out: out f64) program { stage [] { %0 = whole f64[1] a "
        "%1 = fold max f64 %0 axes(0) store out, %1 } }";
    CHECK_THROWS_WITH(run(with_max, {view(nothing, {0}), view(one, {})}),
                      "error: zero-size array to a reduction without identity");
}

TEST_CASE("the oracle refuses wrong arguments and subscripts outside", "[oracle][errors]") {
    std::vector<double> x = {1, 2};
    const char* text = "kernel k(x: in f64[1]) { stage [i64(3)] { %0 = load f64 x[i0] } }";
    CHECK_THROWS_WITH(run(text, {view(x, {2})}), "error: subscript outside of x");
    CHECK_THROWS_WITH(run(text, {view(x, {2, 1})}), "error: argument does not fit parameter x");
    CHECK_THROWS_WITH(run(text, {}), "error: wrong number of arguments");
}

TEST_CASE("random kernels: equal seeds agree, and the arguments are what they promise",
          "[oracle][random]") {
    std::size_t differing = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        CAPTURE(seed);
        const ir::Kernel k = random_kernel(seed);
        CHECK(k == random_kernel(seed));
        const RandomArguments start(k, seed, 33), a = start, b = start;
        CHECK_FALSE(interpret(k, a.arguments()).has_value());
        interpret(k, b.arguments());
        CHECK(a.difference(b) == "");
        if (start.difference(a) != "") ++differing;
        for (std::size_t p = 0; p < k.params.size(); ++p) {
            const std::int64_t stride = a.arguments()[p].buffer.strides[0];
            if (k.params[p].layout == ir::Layout::unit)
                CHECK(stride == std::int64_t(size_of(k.params[p].dtype)));
            if (k.params[p].layout == ir::Layout::uniform) CHECK(stride == 0);
        }
        // Element-wise form, as the backends take it.
        REQUIRE(k.stages.size() == 1);
        CHECK(k.stages[0].parallel);
        CHECK(k.prologue == ir::none);
    }
    CHECK(differing > 40);  // a few return before they store anything new
}

TEST_CASE("random kernels reach every operation, dtype and kind of statement", "[oracle][random]") {
    std::vector<bool> ops(ir::op_count), dtypes(dtype_count), kinds(32);
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        RandomOptions options;
        options.checks = true;
        for (const ir::Node& n : random_kernel(seed, options).nodes) {
            if (n.kind == ir::NodeKind::op) ops[std::size_t(n.op)] = true;
            dtypes[std::size_t(n.dtype)] = true;
            kinds[std::size_t(n.kind)] = true;
        }
    }
    for (std::size_t i = 0; i < ops.size(); ++i) {
        CAPTURE(ir::op_table[i].name);
        CHECK(ops[i]);
    }
    for (std::size_t i = 0; i < dtypes.size(); ++i) CHECK(dtypes[i]);
    for (const auto kind :
         {ir::NodeKind::check, ir::NodeKind::branch, ir::NodeKind::loop, ir::NodeKind::loop_while,
          ir::NodeKind::break_, ir::NodeKind::continue_, ir::NodeKind::return_, ir::NodeKind::read})
        CHECK(kinds[std::size_t(kind)]);
}
