#include "jit/cache.h"

#include "dsl/ir/builder.h"
#include "tests/jit/support.h"

#include <atomic>
#include <chrono>
#include <thread>

using namespace kiln;
using namespace kiln::engine;

namespace {

std::unique_ptr<CompiledKernel> nothing() { return std::make_unique<CompiledKernel>(); }

/// out = x + `constant`, traced at a line of its own.
ir::Kernel adds(double constant, std::uint32_t line, bool with_check = false) {
    ir::Builder b("adds");
    b.set_location({"a.cpp", line});
    b.add_param({.name = "x", .dtype = DType::f64, .rank = 1, .access = ir::Access::in});
    b.add_param({.name = "out", .dtype = DType::f64, .rank = 1, .access = ir::Access::out});
    b.begin_prologue();
    const ir::Id extent = b.extent(1, 0);
    b.end();
    b.begin_stage(std::span(&extent, 1), true);
    const ir::Id x = b.load(0, {b.index(0)});
    if (with_check) b.check(ir::Check::division_by_zero, b.truth(x));
    b.store(1, {b.index(0)}, b.apply(ir::Op::add, {x, b.constant(Scalar::of(constant))}));
    b.end();
    return b.finish();
}

}  // namespace

TEST_CASE("equal kernels have equal keys, whatever their lines", "[jit][cache]") {
    const std::string key = content_key(adds(1, 10), {}, "cpu");
    CHECK(content_key(adds(1, 20), {}, "cpu") == key);
    CHECK(content_key(adds(2, 10), {}, "cpu") != key);
    CHECK(content_key(adds(1, 10), {}, "other") != key);
    CHECK(content_key(adds(1, 10), {.streaming = true}, "cpu") != key);
}

TEST_CASE("kernels that report lines are told apart by them", "[jit][cache]") {
    CHECK(content_key(adds(1, 10, true), {}, "cpu") == content_key(adds(1, 10, true), {}, "cpu"));
    CHECK(content_key(adds(1, 10, true), {}, "cpu") != content_key(adds(1, 20, true), {}, "cpu"));
}

TEST_CASE("one compile for each key", "[jit][cache][threads]") {
    ProgramCache cache;
    std::atomic<int> compiles = 0, own = 0;
    std::vector<std::shared_ptr<const CompiledKernel>> found(8);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < found.size(); ++t) {
        threads.emplace_back([&, t] {
            const auto result = cache.get(t % 2 == 0 ? "even" : "odd", [&] {
                ++compiles;
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                return nothing();
            });
            own += result.compiled;
            found[t] = result.program;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(compiles == 2);
    CHECK(own == 2);
    CHECK(cache.size() == 2);
    for (std::size_t t = 2; t < found.size(); ++t) CHECK(found[t] == found[t % 2]);
    CHECK(found[0] != found[1]);
}

TEST_CASE("compiles of different keys run at the same time", "[jit][cache][threads]") {
    ProgramCache cache;
    std::atomic<int> inside = 0;
    const auto wait_for_both = [&] {
        ++inside;
        while (inside < 2) std::this_thread::yield();
        return nothing();
    };
    std::thread other([&] { cache.get("a", wait_for_both); });
    cache.get("b", wait_for_both);
    other.join();
    CHECK(cache.size() == 2);
}

TEST_CASE("a failed compile is told to all that wait, and forgotten", "[jit][cache][threads]") {
    ProgramCache cache;
    std::atomic<int> attempts = 0, errors = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            try {
                cache.get("key", [&]() -> std::unique_ptr<CompiledKernel> {
                    ++attempts;
                    std::this_thread::sleep_for(std::chrono::milliseconds(50));
                    throw Error(ErrorKind::unsupported, "no");
                });
            } catch (const Error& error) {
                errors += error.message() == "no";
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(errors == 4);
    CHECK(attempts >= 1);
    CHECK(cache.size() == 0);
    CHECK(cache.get("key", nothing).compiled);
}
