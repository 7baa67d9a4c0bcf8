// Sums that only some iterations add to, in their order: against plain loops, bit for bit.
#include "tests/catch.h"
#include "tests/dice.h"

#include <kiln/kiln.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

using namespace kiln;

namespace {

template <class T> void check_bits(const Array& made, T want) {
    CHECK(std::memcmp(made.data(), &want, sizeof(T)) == 0);
}

template <class T> void check_sums() {
    INFO(name(dtype_of<T>));
    const auto added = jit("added", [](In x, InOut s) {
        Var sum(x.dtype(), s(0));
        for (Index i : range(x.extent(0))) if_(x(i) > 0.25, [&] { sum += x(i); });
        s(0) = sum;
    });
    const auto taken = jit("taken", [](In x, InOut s) {
        Var rest(x.dtype(), s(0));
        for (Index i : range(x.extent(0)))
            if_(x(i) > 0.25, [&] {}).else_([&] { rest = rest - x(i) * x(i); });
        s(0) = rest;
    });
    const std::string text =
        added.inspect(Artifact::llvm_opt, {{dtype_of<T>, 1}, {dtype_of<T>, 1}});
    CHECK(text.find(" -0.000000e+00") !=
          std::string::npos);  // the term of iterations that add nothing
    const T infinite = std::numeric_limits<T>::infinity();
    const std::vector<std::vector<T>> beginnings{
        {}, {T(0.5)}, {T(-0.0)}, {T(0.125), T(-0.0), T(0)}, {infinite, T(1)}, {-infinite, T(-1)}};
    for (const T begin : {T(0), T(-0.0), T(1), infinite})
        for (std::vector<T> values : beginnings)
            for (const int more : {0, 1, 100}) {
                test::Dice dice(7);
                for (int i = 0; i < more; ++i) values.push_back(static_cast<T>(dice.unit() - 0.5));
                T sum = begin, rest = begin;
                for (const T x : values) {
                    if (x > T(0.25)) sum += x;
                    if (!(x > T(0.25))) {
                        const volatile T square = x * x;  // rounded by itself
                        rest -= square;
                    }
                }
                const Array x = empty({static_cast<std::int64_t>(values.size())}, dtype_of<T>);
                std::ranges::copy(values, x.span<T>().begin());
                const Array s = full({1}, begin);
                added(x, s);
                check_bits(s, sum);
                s.span<T>()[0] = begin;
                taken(x, s);
                check_bits(s, rest);
            }
}

TEST_CASE("conditional sums: the bits of the order that is written",
          "[jit][program][conditional_sums]") {
    check_sums<double>();
    check_sums<float>();
}

TEST_CASE("conditional sums: only what is added to the variable, for it alone",
          "[jit][program][conditional_sums]") {
    const auto turned = jit([](In x, InOut s) {
        Var v(f64, s(0));
        for (Index i : range(x.extent(0))) if_(x(i) > 0.25, [&] { v = x(i) - v; });
        s(0) = v;
    });
    const auto told = jit([](In x, InOut s, Out y) {
        Var v(f64, s(0));
        for (Index i : range(x.extent(0))) {
            const Value next = v + x(i);
            y(i) = next;
            if_(x(i) > 0.25, [&] { v = next; });
        }
        s(0) = v;
    });
    const Array x = arange(64).astype(f64), s = full({1}, 3.0), y = zeros({64}, f64);
    for (double& v : x.span<double>()) v = std::fmod(v * 7, 5) - 2;
    double turns = 3, sum = 3;
    turned(x, s);
    for (const double v : x.span<double>()) turns = v > 0.25 ? v - turns : turns;
    CHECK(s.span<double>()[0] == turns);
    s.span<double>()[0] = 3;
    told(x, s, y);
    for (std::size_t i = 0; i < 64; ++i) {
        const double v = x.span<double>()[i];
        CHECK(y.span<double>()[i] == sum + v);
        if (v > 0.25) sum += v;
    }
    CHECK(s.span<double>()[0] == sum);
}

}  // namespace
