// Local arrays: where they live, and how large they may be.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <thread>

#include <pthread.h>

#include <fmt/format.h>

using namespace kiln;
using kiln::test::error_of;
using kiln::test::Threads;

namespace {

/// Runs `f` in a thread whose stack has this size.
template <class F> void on_stack(std::size_t bytes, F f) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    REQUIRE(pthread_attr_setstacksize(&attributes, bytes) == 0);
    pthread_t thread;
    const auto run = [](void* self) -> void* {
        (*static_cast<F*>(self))();
        return nullptr;
    };
    REQUIRE(pthread_create(&thread, &attributes, run, &f) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

/// 16 Locals of 512 KiB, each used at two places: y(i) = the sum of 2 (i + k).
auto sixteen(bool parallel) {
    return jit(
        "sixteen",
        [parallel](Out y) {
            const auto iteration = [&](const Index& i) {
                std::vector<Local> all;
                for (int k = 0; k < 16; ++k) all.emplace_back(DType::f64, 65536);
                Var sum(DType::f64, 0.0);
                for (int k = 0; k < 16; ++k) {
                    all[static_cast<std::size_t>(k)](65535 - i) = i + k;
                    all[static_cast<std::size_t>(k)](i) = i + k;
                }
                for (const Local& l : all) sum += l(i) + l(65535 - i) + l(32768);
                y(i) = sum;
            };
            if (parallel) {
                for (Index i : prange(y.extent(0), {.schedule = Schedule::dynamic, .chunk = 1}))
                    iteration(i);
            } else {
                for (Index i : range(y.extent(0))) iteration(i);
            }
        },
        {.parallel = parallel});
}

TEST_CASE("locals: sixteen of 512 KiB, in a thread with a small stack", "[jit][program][locals]") {
    std::vector<double> expected(20);
    for (std::size_t i = 0; i < expected.size(); ++i)
        expected[i] = 2.0 * (16.0 * static_cast<double>(i) + 120.0);
    for (const bool parallel : {false, true}) {
        const auto f = sixteen(parallel);
        for (const int threads : {1, 2, 8}) {
            const Threads scope(threads);
            std::vector<double> y(20, -1), cold(20, -1);
            on_stack(std::size_t(256) << 10, [&] { f(cold); });
            on_stack(std::size_t(64) << 10, [&] { f(y); });
            CHECK(cold == expected);
            CHECK(y == expected);
        }
    }
}

TEST_CASE("locals: many threads have their own, call after call", "[jit][program][locals]") {
    const auto f = sixteen(false);
    std::vector<double> expected(20);
    f(expected);
    std::vector<std::thread> threads;
    std::vector<std::vector<double>> results(8, std::vector<double>(20));
    for (std::vector<double>& y : results)
        threads.emplace_back([&] {
            for (int round = 0; round < 3; ++round) f(y);
        });
    for (std::thread& t : threads) t.join();
    for (const std::vector<double>& y : results) CHECK(y == expected);
    const std::size_t in_use = memory_stats().bytes_in_use;
    for (int round = 0; round < 5; ++round) f(expected);
    CHECK(memory_stats().bytes_in_use == in_use);
}

TEST_CASE("locals: every dtype at both sides of what the stack takes", "[jit][program][locals]") {
    for (const int length : {1, 2, 100, 128, 129, 255, 256, 257, 1024, 65536})
        for (const DType t : {DType::bool_, DType::i8, DType::u16, DType::i64, DType::f16,
                              DType::bf16, DType::f32, DType::f64, DType::c64, DType::c128}) {
            CAPTURE(length, name(t));
            // Ends and middle of three Locals of one size, one of them outside of the loop.
            const auto f = jit(
                [=](Out y) {
                    Local outer(t, length);
                    for (Index k : range(length)) outer(k) = cast(t, k % 2);
                    for (Index i : prange(y.extent(0))) {
                        Local a(t, length), b(t, length);
                        for (Index k : range(length)) {
                            a(k) = cast(t, (k + i) % 2);
                            b(k) = cast(t, (k + i + 1) % 2);
                        }
                        Var ones(DType::i64, 0);
                        for (Index k : range(length)) {
                            ones += select(a(k) == cast(t, 1), 1, 0);
                            ones += 1000000 * select(b(k) == outer(k), 1, 0);
                        }
                        y(i) = ones;
                    }
                },
                {.parallel = true});
            std::vector<std::int64_t> y(7);
            f(y);
            for (std::int64_t i = 0; i < 7; ++i) {
                std::int64_t ones = 0;
                for (std::int64_t k = 0; k < length; ++k) ones += (k + i) % 2;
                CHECK(y[static_cast<std::size_t>(i)] ==
                      ones + (i % 2 == 1 ? 1000000LL * length : 0));
            }
        }
}

TEST_CASE("locals: partial results of many reductions leave the stack alone",
          "[jit][program][locals]") {
    const auto f = jit(
        [](In x) {
            std::vector<Var> sums;
            for (int k = 0; k < 12; ++k) sums.emplace_back(DType::f64, 0.0);
            for (Index i : prange(x.extent(0)))
                for (int k = 0; k < 12; ++k) sums[static_cast<std::size_t>(k)] += x(i) * k;
            Var all(DType::f64, 0.0);
            for (const Var& s : sums) all += s;
            return Value(all);
        },
        {.parallel = true});
    const std::vector<double> x(100000, 0.5);
    f(x);
    double got = 0;
    on_stack(std::size_t(64) << 10, [&] { got = f(x).get<double>(); });
    CHECK(got == 66 * 50000.0);
}

TEST_CASE("locals: all of a kernel may take 64 MiB", "[jit][program][locals]") {
    unsigned line = 0;
    const auto f = jit("large", [&](Out y) {
        std::vector<Local> all;
        for (int k = 0; k < 64; ++k) all.emplace_back(DType::c128, 65536);
        line = __LINE__ + 1;
        const Local more(DType::i8, 2);
        y(0) = 0;
    });
    std::vector<double> y(1);
    const Error error = error_of([&] { f(y); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() ==
          "the Locals of large take 67108866 bytes with this one; at most 67108864 are possible");
    CHECK(error.hint() == "use Scratch, made before the loops");
    CHECK(error.line() == line);
}

TEST_CASE("locals: memory that is refused is an error of the call", "[jit][program][locals]") {
    const auto f = sixteen(true);
    const std::size_t limit = memory_limit();
    std::vector<double> y(20);
    f(y);
    set_memory_limit(memory_stats().bytes_in_use + (1 << 20));
    const Error error = error_of([&] { f(y); });
    set_memory_limit(limit);
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message().find("memory limit") != std::string::npos);
    CHECK_NOTHROW(f(y));
}

}  // namespace

TEST_CASE("arguments of 24 MB have code of their own, which may store past the caches",
          "[jit][program]") {
    const auto sum = jit("sum", [](In x, In y, Out z) {
        for (Index i : prange(z.extent(0))) z(i) = 2.0 * x(i) + y(i);
    });
    for (const std::int64_t n : {1000, 1'000'003, 1000, 1'000'003}) {
        const Array x = arange(0.0, static_cast<double>(n)), y = full({n}, 0.5);
        Array z = zeros({n});
        sum(x, y, z);
        const auto values = z.view<double, 1>();
        std::int64_t wrong = 0;
        for (std::int64_t i = 0; i < n; ++i)
            wrong += values(i) != 2.0 * static_cast<double>(i) + 0.5;
        CHECK(wrong == 0);
    }
    CHECK(sum.stats().misses == 2);
    CHECK(sum.stats().hits == 2);
}

TEST_CASE("code that stores past the caches is made by the first large call", "[jit][program]") {
    const auto f = jit("f", [](In x, In y, Out z) { z = x * 0.7 + exp(y); });
    const std::int64_t columns = 1001, rows = 1700, few = 7;  // twice 13.6 MB
    const Array x = linspace(-3.0, 2.0, rows * columns).reshape({rows, columns}),
                y = linspace(-1.0, 1.0, columns);
    const Array large = zeros({rows, columns}), small = zeros({rows, columns});
    const auto streams = [&](const Array& in, const Array& out) {
        const std::string text = f.inspect_call(Artifact::llvm, {in, y, out});
        CHECK((text.find("sfence") != std::string::npos) ==
              (text.find("!nontemporal") != std::string::npos));
        return text.find("!nontemporal") != std::string::npos;
    };
    const auto some = [&](const Array& of, std::int64_t first) {
        return of.slice(0, {first, std::min(first + few, rows)});
    };
    for (std::int64_t first = 0; first < rows; first += few)
        f(some(x, first), y, some(small, first));
    CHECK(f.stats().misses == 1);
    CHECK_FALSE(streams(some(x, 0), some(small, 0)));
    f(x, y, large);
    CHECK(f.stats().misses == 2);
    CHECK(streams(x, large));
    CHECK(f.inspect_call(Artifact::plan, {x, y, large}).find("streamed: ") != std::string::npos);
    CHECK(f.inspect_call(Artifact::plan, {some(x, 0), y, some(small, 0)}).find("streamed: ") ==
          std::string::npos);
    const auto bits = [&](const Array& a) { return a.view<double, 2>(); };
    std::int64_t different = 0;
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j)
            different += bits(large)(i, j) != bits(small)(i, j);
    CHECK(different == 0);
}
