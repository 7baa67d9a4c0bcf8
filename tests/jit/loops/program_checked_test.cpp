// Checked mode of loop kernels: which fault is reported, and what else happens.
#include "tests/jit/support.h"
#include "tests/threads.h"

using namespace kiln;
using kiln::test::error_of;
using kiln::test::Threads;

namespace {

TEST_CASE("checked: the lowest iteration that leaves its array is reported",
          "[jit][program][checked]") {
    const auto gather = jit(
        "gather",
        [](In index, In x, Out y) {
            for (Index i : prange(index.extent(0), {.schedule = Schedule::dynamic, .chunk = 64})) {
                const Value k = index(i);
                y(i) = x(k, 1);
            }
        },
        {.parallel = true, .checked = true, .params = {"index", "x", "y"}});
    const unsigned line = __LINE__ - 4;
    constexpr std::int64_t n = 100000;
    const Array x = arange(20, DType::f64).reshape({10, 2});
    for (const int threads : {1, 2, 8}) {
        const Threads scope(threads);
        std::vector<std::int64_t> index(n, 4);
        std::vector<double> y(n, -1);
        CHECK_NOTHROW(gather(index, x, y));
        CHECK(y == std::vector<double>(n, 9));
        // Faults in the first, a middle and the last piece; the lowest counts.
        for (const std::int64_t lowest : {0, 1, 63, 64, 40000, 99998}) {
            index.assign(n, 4);
            y.assign(n, -1);
            index[n - 1] = -1;
            for (std::int64_t i = lowest; i < n; i += 7777)
                index[static_cast<std::size_t>(i)] = 10 + i % 5;
            const Error error = error_of([&] { gather(index, x, y); });
            CHECK(error.kind() == ErrorKind::bounds);
            CHECK(error.line() == line);
            CHECK(error.message() == "index (" + std::to_string(10 + lowest % 5) +
                                         ",1) is outside of x of shape (10,2) in iteration " +
                                         std::to_string(lowest));
            // All others were computed, and an element that was not read counts as zero.
            for (std::size_t i = 0; i < n; ++i)
                if (y[i] != (index[i] == 4 ? 9.0 : 0.0)) {
                    CHECK(i == 0);
                    break;
                }
        }
    }
}

TEST_CASE("checked: stores and atomics outside of their array do not happen",
          "[jit][program][checked]") {
    const auto scatter = jit(
        [](In index, InOut a, InOut count) {
            for (Index i : prange(index.extent(0))) {
                a(i, index(i)) = 1.0;
                atomic_add(count(index(i)), 1);
            }
        },
        {.parallel = true, .checked = true, .params = {"index", "a", "count"}});
    // A frame of guard elements around both arrays.
    std::vector<double> a(3 * 4, 0.0);
    std::vector<std::int64_t> counts(6, 0), index{3, 2, -1};
    const Error error = error_of([&] {
        scatter(index, Array::over(a.data(), {3, 3}, Shape{32, 8}),
                std::span<std::int64_t>(counts.data() + 1, 3));
    });
    CHECK(error.line() == __LINE__ - 12);
    CHECK(error.message() == "index (0,3) is outside of a of shape (3,3) in iteration 0");
    CHECK(a == std::vector<double>{0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0});
    CHECK(counts == std::vector<std::int64_t>{0, 0, 0, 1, 0, 0});
}

TEST_CASE("checked: division by zero in a prange", "[jit][program][checked]") {
    const auto divide = jit(
        [](In a, In b, Out q, Out r) {
            for (Index i : prange(a.extent(0))) {
                q(i) = a(i) / b(i);
                r(i) = mod(a(i), b(i));
            }
        },
        {.parallel = true, .checked = true});
    std::vector<std::int32_t> a(5000, 7), b(5000, 2), q(5000), r(5000);
    b[4321] = 0;
    b[1234] = 0;
    for (const int threads : {1, 3}) {
        const Threads scope(threads);
        const Error error = error_of([&] { divide(a, b, q, r); });
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(error.line() == __LINE__ - 12);
        CHECK(error.message() == "integer division by zero in iteration 1234");
        CHECK(q[1234] == 0);
        CHECK(q[4999] == 3);
        CHECK(r[4999] == 1);
    }
}

TEST_CASE("checked: of several loops the first one with a fault counts",
          "[jit][program][checked]") {
    const auto f = jit(
        [](In x, Out y, Value first, Value serial, Value second) {
            for (Index i : prange(y.extent(0))) y(i) = x(i + first);
            for (Index i : range(y.extent(0))) y(i) = y(i) + x(i + serial);
            for (Index i : prange(y.extent(0))) y(i) = y(i) + x(i + second);
        },
        {.parallel = true, .checked = true, .params = {"x", "y", "a", "b", "c"}});
    const unsigned line = __LINE__ - 5;
    const std::vector<double> x(10, 1.0);
    std::vector<double> y(10);
    const auto run = [&](std::int64_t a, std::int64_t b, std::int64_t c) {
        return error_of([&] { f(x, y, a, b, c); });
    };
    for (const int threads : {1, 2, 8}) {
        const Threads scope(threads);
        // Iteration 6 of the first loop comes before iteration 0 of the last one.
        const Error first = run(4, 0, 10);
        CHECK(first.line() == line);
        CHECK(first.message() == "index (10,) is outside of x of shape (10,) in iteration 6");
        const Error serial = run(0, 3, 10);
        CHECK(serial.line() == line + 1);
        CHECK(serial.message() == "index (10,) is outside of x of shape (10,)");
        const Error second = run(0, 0, 10);
        CHECK(second.line() == line + 2);
        CHECK(second.message() == "index (10,) is outside of x of shape (10,) in iteration 0");
    }
    CHECK_NOTHROW(f(x, y, 0, 0, 0));
    CHECK(y == std::vector<double>(10, 3.0));
}

TEST_CASE("checked: arrays that a failed call has made are freed, and the next call works",
          "[jit][program][checked]") {
    const std::string made = std::to_string(__LINE__ + 3);
    const auto f = jit(
        [](In x, Value shift) {
            Scratch s(DType::f64, {x.extent(0)}), kept(DType::f64, {x.extent(0)});
            for (Index i : prange(x.extent(0))) s(i) = x(i) * 2.0;
            for (Index i : prange(x.extent(0))) kept(i) = s(i + shift);
            return kept;
        },
        {.parallel = true, .checked = true, .params = {"x", "shift"}});
    const std::vector<double> x{1, 2, 3};
    const Error error = error_of([&] { f(x, std::int64_t(1)); });
    CHECK(error.message() == "index (3,) is outside of the array made at line " + made +
                                 " of shape (3,) in iteration 2");
    test::check_values(f(x, std::int64_t(0)), {2, 4, 6});
}

TEST_CASE("checked: in a call from pieces of parallel_for the lowest piece is reported",
          "[jit][program][checked]") {
    const auto f = jit(
        [](In x, Value at) -> Value {
            Var sum(DType::f64, 0.0);
            for (Index i : prange(3)) sum += x(i + at);
            return sum;
        },
        {.parallel = true, .checked = true, .params = {"x", "at"}});
    const std::vector<double> x(10, 1.0);
    const Error error = error_of([&] {
        parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) f(x, i);
        });
    });
    CHECK(error.message() == "index (10,) is outside of x of shape (10,) in iteration 2");
}

}  // namespace
