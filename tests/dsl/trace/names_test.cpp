// kiln's names beside those of the standard library.
#include "tests/dsl/trace/tracing.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numeric>

using namespace std;
using namespace kiln;

namespace {

struct Mine {
    int a;
    friend Mine operator+(Mine x, Mine y) { return {x.a + y.a}; }
};

}  // namespace

TEST_CASE("with both namespaces open, C++ values use the standard library", "[dsl][names]") {
    CHECK(max(1, 2) == 2);
    CHECK(min(1.5, 0.5) == 0.5);
    CHECK(sin(0.0) == 0.0);
    CHECK(sqrt(4) == 2.0);
    CHECK(pow(2, 3) == 8.0);
    CHECK(abs(-3) == 3);
    CHECK(std::is_same_v<decltype(exp(1.0f)), float>);
    CHECK(floor(2.5) == 2.0);
    CHECK(round(2.5) == 3.0);  // the standard's, away from zero
    CHECK(hypot(3, 4) == 5.0);
    CHECK(isnan(0.0) == false);
    CHECK(fma(2.0, 3.0, 4.0) == 10.0);
    CHECK(gcd(12, 18) == 6);
    CHECK(copysign(1.0, -2) == -1.0);
    const complex<double> z(3, 4);
    CHECK(norm(z) == 25.0);
    CHECK(real(z) == 3.0);
    CHECK((z * 2.0).imag() == 8.0);
    CHECK((Mine{1} + Mine{2}).a == 3);
    vector<int> numbers{3, 1, 2};
    sort(numbers.begin(), numbers.end());
    CHECK(numbers.front() == 1);
}

TEST_CASE("with both namespaces open, Values use kiln's functions", "[dsl][names]") {
    const auto last = [](const function<Value(const Value&, const Value&)>& f) {
        const auto t =
            kiln::test::trace({f64, f64}, [&](const vector<Value>& x) { return f(x[0], x[1]); });
        ir::Op op{};
        for (const ir::Node& n : t.kernel.nodes)
            if (n.kind == ir::NodeKind::op) op = n.op;
        return op;
    };
    using V = const Value&;
    CHECK(last([](V a, V b) { return max(a, b); }) == ir::Op::maximum);
    CHECK(last([](V a, V b) { return max(a + b, a - b); }) == ir::Op::maximum);
    CHECK(last([](V a, V b) { return min(a + b, b); }) == ir::Op::minimum);
    CHECK(last([](V a, V) { return min(a, 1.0); }) == ir::Op::minimum);
    CHECK(last([](V a, V) { return max(0, a); }) == ir::Op::maximum);
    CHECK(last([](V a, V b) {
              Var v = a, w = b;
              return max(v, w);
          }) == ir::Op::maximum);
    CHECK(last([](Value a, Value b) { return min(a, b); }) == ir::Op::minimum);
    CHECK(last([](V a, V) { return sin(a); }) == ir::Op::sin);
    CHECK(last([](V a, V) { return abs(a); }) == ir::Op::abs);
    CHECK(last([](V a, V) { return pow(a, 2); }) == ir::Op::pow);
    CHECK(last([](V a, V) { return pow(2.0, a); }) == ir::Op::pow);
    CHECK(last([](V a, V b) { return atan2(a, b); }) == ir::Op::atan2);
    CHECK(last([](V a, V b) { return hypot(a, b); }) == ir::Op::hypot);
    CHECK(last([](V a, V) { return round(a); }) == ir::Op::rint);
    CHECK(last([](V a, V) { return isnan(a); }) == ir::Op::isnan);
}
