// What the passes of values, and those of meaning, tell of the user's lines. Whatever changes the
// bits, the work or what is tested can be asked for; what gives the same bits for less is not told.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <complex>
#include <sstream>
#include <string>
#include <tuple>

using namespace kiln;

namespace {

constexpr ArgType vector(DType::f64, 1), integers(DType::i64, 1), complex_numbers(DType::c128, 1);

/// The decisions of a plan that begin so, without the indentation.
template <class Kernel>
std::string told(const Kernel& kernel, std::initializer_list<ArgType> types,
                 std::initializer_list<const char*> beginnings) {
    std::istringstream lines(kernel.inspect(Artifact::plan, types));
    std::string out;
    for (std::string line; std::getline(lines, line);)
        for (const char* b : beginnings)
            if (line.starts_with(std::string("  ") + b)) out += line.substr(2) + '\n';
    return out;
}

std::string here(std::uint32_t line) { return "remarks_test.cpp:" + std::to_string(line); }

}  // namespace

TEST_CASE("remarks: what is decided when the kernel is compiled", "[codegen][remarks]") {
    const auto branches = jit([](In a, Out u) {
        for (Index i : range(a.extent(0))) {
            if_(Value(1) < 2, [&] { u(i) = a(i); }).else_([&] { u(i) = 0.0; });
            if_(Value(1) > 2, [&] { u(i) = 3.0; });
            if_(a(i) > 2.0, [&] { u(i) = 3.0; });
        }
    });
    CHECK(told(branches, {vector, vector}, {"decided", "not decided"}) ==
          "decided: the condition is always true\ndecided: the condition is never true\n");
    const auto empty = jit([](In a, Out u) {
        for (Index i : range(4, 4)) u(i) = a(i);
        while_(Value(false), [&] { u(0) = a(0); });
        for (Index i : range(4, 20)) u(i) = a(i);
    });
    CHECK(told(empty, {vector, vector}, {"there is", "its condition", "nothing"}) ==
          "there is no index in the loop's range: it is gone\n"
          "its condition is never true: the body is gone\n");
}

TEST_CASE("remarks: forms that fast-math flags allow", "[codegen][remarks]") {
    const auto function = [](Value a) { return a / 3.0 + a / 4.0 + a * 0.0; };
    CHECK(told(vectorize(function, {.fastmath = Fastmath::arcp}), {vector}, {"relaxed"}) ==
          "relaxed: forms that fast-math flags allow, of other bits than strict ones: div by "
          "arcp\n");
    // a / 4 is a * 0.25 to the bit.
    CHECK(told(vectorize(function), {vector}, {"relaxed"}).empty());
    const auto loop = [](Fastmath flags) {
        return jit(
            [](In a, Out u) {
                for (Index i : range(a.extent(0))) u(i) = a(i) / 3.0 + a(i) / 5.0;
                for (Index i : range(a.extent(0))) u(i) = u(i) * 0.0;
            },
            {.fastmath = flags});
    };
    CHECK(told(loop(Fastmath::arcp | Fastmath::nnan), {vector, vector}, {"relaxed"}) ==
          "relaxed: forms that fast-math flags allow, of other bits than strict ones: div by "
          "arcp x 2\n");
    CHECK(told(loop(Fastmath::nnan | Fastmath::nsz), {vector, vector}, {"relaxed"}) ==
          "relaxed: forms that fast-math flags allow, of other bits than strict ones: mul by "
          "nnan and nsz\n");
}

TEST_CASE("remarks: comparisons without the scale of random numbers", "[codegen][remarks]") {
    constexpr ArgType words(DType::i32, 1);
    CHECK(told(vectorize([](Value a) { return cast<float>(a) * 0x1p-24F < 0.25F; }), {words},
               {"unscaled", "not unscaled"}) ==
          "unscaled: a comparison with 0.25, of integers times 2^-24\n");
    CHECK(told(vectorize([](Value a) {
                   const Value x = cast<float>(a) * 0x1p-24F;
                   return std::tuple(x < 0.25F, x);
               }),
               {words}, {"unscaled", "not unscaled"}) ==
          "not unscaled: a comparison with 0.25, of integers times 2^-24: what is compared serves "
          "something else too\n");
    CHECK(told(vectorize([](Value a) { return cast<float>(a) * 0x1p-100F < 0x1p120F; }), {words},
               {"unscaled", "not unscaled"}) ==
          "not unscaled: a comparison with 1.329227995784916e+36, of integers times 2^-100: "
          "without the scale the constant is not exact\n");
}

TEST_CASE("remarks: 16-bit floats and complex numbers", "[codegen][remarks]") {
    const auto function = [](Value a) { return a * a + a * exp(a); };
    CHECK(
        told(vectorize(function), {ArgType(DType::f16, 1)}, {"widened"}) ==
        "widened: 16-bit floats compute in f32, and each result is rounded to its type: add, exp, "
        "mul x 2\n");
    CHECK(told(vectorize(function), {vector}, {"widened", "in parts"}).empty());
    const auto loops = jit([](In a, Out u) {
        for (Index i : range(a.extent(0))) u(i) = a(i) * a(i);
        for (Index i : range(a.extent(0))) u(i) = u(i) / conj(a(i));
    });
    CHECK(told(loops, {complex_numbers, complex_numbers}, {"in parts"}) ==
          "in parts: complex numbers are pairs of real ones, and operations are formulas of them: "
          "mul\n"
          "in parts: complex numbers are pairs of real ones, and operations are formulas of them: "
          "conj, div\n");
    // What takes them apart and puts them together is no operation.
    const auto moves = jit([](In a, Out u) {
        for (Index i : range(a.extent(0))) u(i) = make_complex(imag(a(i)), real(a(i)));
    });
    CHECK(told(moves, {complex_numbers, complex_numbers}, {"in parts"}).empty());
}

TEST_CASE("remarks: what checked mode tests before it runs", "[codegen][remarks]") {
    const auto divide = [](bool checked) {
        return jit(
            [](In a, In b, Out u) {
                for (Index i : range(a.extent(0))) u(i) = a(i) / b(i) + a(i) % b(i) + a(i) / 3;
            },
            {.checked = checked});
    };
    CHECK(told(divide(true), {integers, integers, integers}, {"tested"}) ==
          "tested: integers that a divisor of 0 would fail: div x 2, rem\n");
    CHECK(told(divide(false), {integers, integers, integers}, {"tested"}).empty());
}

TEST_CASE("remarks: what .unsafe_races answers for", "[codegen][remarks]") {
    const auto scatter = jit([](In a, In at, Out u) {
        for (Index i : prange(a.extent(0), {.unsafe_races = true})) u(at(i)) = a(i);
    });
    const std::string line = here(__LINE__ - 2);
    CHECK(told(scatter, {vector, integers, vector}, {"iterations", "no two"}) ==
          "iterations may touch the same element of p2: .unsafe_races answers for p2(p1(i)) at " +
              line + '\n');
    const auto shift = jit([](InOut u) {
        for (Index i : prange(1, u.extent(0), {.unsafe_races = true})) u(i) = u(i - 1);
    });
    const std::string shifts = here(__LINE__ - 2);
    CHECK(told(shift, {vector}, {"iterations", "no two"}) ==
          "iterations may touch the same element of p0: .unsafe_races answers for p0(i) at " +
              shifts + " and p0(i-1) at " + shifts + '\n');
    const auto copy = jit([](In a, Out u) {
        for (Index i : prange(a.extent(0), {.unsafe_races = true})) u(i) = a(i);
    });
    CHECK(told(copy, {vector, vector}, {"iterations", "no two"}) ==
          "no two iterations touch the same element of an array: for arrays .unsafe_races is not "
          "needed\n");
}

TEST_CASE("remarks: the tree of a sum in a serial loop", "[codegen][remarks]") {
    const auto rows = jit(
        [](In x, Out u) {
            for (Index i : prange(x.extent(0))) {
                Var s = 0.0;
                for (Index j : prange(x.extent(1))) s += x(i, j);
                u(i) = s;
            }
        },
        {.checked = true});
    CHECK(told(rows, {ArgType(DType::f64, 2), vector}, {"reduction"}) ==
          "reduction: sum: blocks of 512 iterations, combined pair by pair\n");
    const auto in_order = jit([](In a, Out u) {
        Var s = 0.0;
        for (Index i : range(a.extent(0))) s += a(i);
        u(0) = s;
    });
    CHECK(told(in_order, {vector, vector}, {"reduction"}).empty());
}

TEST_CASE("remarks: what combines states is told of too", "[codegen][remarks]") {
    const auto both =
        reduction("both", std::tuple(std::complex<double>(1), 0.0),
                  [](auto a, auto b) { return std::tuple(a[0] * b[0], a[1] + b[1]); });
    const std::string line = here(__LINE__ - 2);
    const auto product = map_reduce(
        "product", [](Value x) { return std::tuple(x, 1.0); }, both,
        [](auto s) { return std::tuple(s[0], s[1]); });
    const std::string plan = product.inspect(Artifact::plan, {complex_numbers});
    INFO(plan);
    CHECK(plan.find(line + ":\n  in parts: complex numbers are pairs of real ones, and operations "
                           "are formulas of them: mul\n") != std::string::npos);
}
