// How large a kernel may be, and what deep ones do to the stack; what a prange without .parallel
// says.
#include "tests/jit/support.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

using namespace kiln;
using kiln::test::error_of;

namespace {

TEST_CASE("limits: a kernel of very many operations is refused with its line", "[jit][limits]") {
    unsigned line = 0;
    const auto f = vectorize("endless", [&](Value x) {
        Var v = x;
        line = __LINE__ + 1;
        for (int i = 0; i < 100000; ++i) v = v * x + 1.0;
        return Value(v);
    });
    const Error error = error_of([&] { f(ones({3})); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "endless has more than 50000 operations");
    CHECK(
        error.hint() ==
        "C++ loops repeat what they hold: write for (Index i : range(n)), or make several kernels");
    CHECK(error.line() == line);
}

TEST_CASE("limits: nested branches and loops", "[jit][limits]") {
    unsigned line = 0;
    const auto nested = [&](int depth) {
        return jit([&, depth](In x, Out y) {
            Var v(DType::f64, 0.0);
            const std::function<void(int)> inside = [&](int d) {
                if (d == 0) {
                    v += 1.0;
                    return;
                }
                line = __LINE__ + 1;
                if_(x(d - 1) > 0.0, [&] { inside(d - 1); });
            };
            inside(depth);
            y(0) = v;
        });
    };
    std::vector<double> x(600, 1.0), y(1);
    nested(300)(x, y);
    CHECK(y[0] == 1.0);
    x[100] = 0.0;
    nested(300)(x, y);
    CHECK(y[0] == 0.0);
    const Error error = error_of([&] { nested(600)(x, y); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "more than 500 if_ and loops stand in each other");
    CHECK(error.hint() == "make one condition of several, or one loop");
    CHECK(error.line() == line);
}

TEST_CASE("limits: values of whole arrays made by very many operations", "[jit][limits]") {
    unsigned line = 0;
    const auto chain = [&](int length) {
        return jit([&, length](In x, Out y) {
            std::vector<Value> all;
            all.emplace_back(x * 1.0);
            line = __LINE__ + 1;
            for (int i = 1; i < length; ++i) all.emplace_back(all.back() + x);
            y = all.back();
        });
    };
    const std::vector<double> x{1, 2, 3};
    std::vector<double> y(3);
    chain(1500)(x, y);
    CHECK(y == std::vector<double>{1500, 3000, 4500});
    const Error error = error_of([&] { chain(2500)(x, y); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() ==
          "a value of whole arrays is made by more than 2000 operations, each on "
          "the result of the one before");
    CHECK(error.hint() == "assign what it is made of to an array: Scratch s(value)");
    CHECK(error.line() == line);
}

TEST_CASE("limits: subscripts that are long sums", "[jit][limits]") {
    for (const int length : {50, 15000}) {
        const auto f = jit([length](Out y) {
            for (Index i : prange(y.extent(0), {.unsafe_races = length > 100})) {
                Var j(DType::i64, i);
                for (int k = 0; k < length; ++k) j = j + (k % 2 == 0 ? 1 : -1);
                y(j) = i;
            }
        });
        std::vector<std::int64_t> y(5, -1);
        f.inspect(Artifact::passes, {i64[1]});
        if (length < 100) {
            f(y);
            CHECK(y == std::vector<std::int64_t>{0, 1, 2, 3, 4});
        }
    }
}

TEST_CASE("remarks: a prange of a kernel that is not parallel runs on one thread",
          "[jit][program][remarks]") {
    unsigned line = 0;
    const auto kernel = [&](bool parallel) {
        return jit("serial",
                   [&](In x, Out y) {
                       line = __LINE__ + 1;
                       for (Index i : prange(y.extent(0)))
                           for (Index k : prange(2)) y(i) = x(i) * k;
                   },
                   {.parallel = parallel});
    };
    const std::vector<double> x(3, 1.0);
    std::vector<double> y(3);
    const std::string text =
        "this prange runs on one thread: the kernel was not given .parallel = true";
    const auto serial = kernel(false), parallel = kernel(true);
    serial(x, y);
    parallel(x, y);
    const auto count = [&](const JitKernel& f) {
        return std::ranges::count(f.remarks(), Remark{__FILE__, line, text});
    };
    CHECK(count(serial) == 1);
    CHECK(count(parallel) == 0);
    CHECK(serial.parallel_diagnostics().find(fmt::format("limits_test.cpp:{}: {}\n", line, text)) !=
          std::string::npos);
    // Statements on whole arrays are none.
    const auto whole = jit([](In x, Out y) { y = x * 2.0; });
    whole(x, y);
    CHECK(whole.remarks().empty());
}

}  // namespace
