#include "jit/compile/cache.h"

#include "dsl/ir/builder.h"
#include "jit/compile/function_numbers.h"
#include "tests/codegen/kernels.h"
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

TEST_CASE("functions of the host are known by their numbers", "[jit][cache]") {
    const auto calls = [](std::vector<std::string> functions, std::uint32_t called,
                          bool numbered = false) {
        ir::Kernel k = test::kernel(
            "kernel k(y: out f64[1]) program {\n  stage [] {\n"
            "    %0 = call pure f64 \"f\"(f64(1))\n"
            "    store y[i64(0)], %0\n  }\n}\n");
        const ir::HostFunction f = k.functions.at(0);
        k.functions.clear();
        for (const std::string& name : functions) {
            k.functions.push_back(f);
            k.functions.back().name = name;
        }
        for (ir::Node& n : k.nodes)
            if (n.kind == ir::NodeKind::call_pure) n.aux = called;
        if (numbered) number_functions(k);
        CHECK(ir::verify(k).empty());
        return content_key(k, {}, "cpu");
    };
    const std::string key = calls({"f"}, 0);
    CHECK(calls({"f", "g"}, 0) == key);  // whose calls were dropped
    CHECK(calls({"g", "f"}, 1) != key);
    CHECK(calls({"g"}, 0) != key);
    CHECK(calls({"g", "f"}, 1, true) == key);
    CHECK(calls({"a", "f", "z"}, 1, true) == key);
}

TEST_CASE("one compile for each key", "[jit][cache][threads]") {
    CodeCache cache;
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
            found[t] = result.kernel;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(compiles == 2);
    CHECK(own == 2);
    CHECK(cache.size() == 2);
    for (std::size_t t = 2; t < found.size(); ++t) CHECK(found[t] == found[t % 2]);
    CHECK(found[0] != found[1]);
}

TEST_CASE("kernels that nobody has are kept, the last ones of them", "[jit][cache]") {
    CodeCache cache({.kernels = 2, .bytes = 1000});
    const auto is_new = [&](const std::string& key) { return cache.get(key, nothing).compiled; };
    CHECK(is_new("a"));
    CHECK(is_new("b"));
    CHECK_FALSE(is_new("a"));  // now the later one
    CHECK(is_new("c"));
    CHECK(cache.size() == 2);
    CHECK_FALSE(is_new("a"));
    CHECK(is_new("b"));

    // What is in use is no matter of limits, and comes back from having been kept.
    std::vector<std::shared_ptr<const CompiledKernel>> held;
    for (char key = 'd'; key <= 'z'; ++key)
        held.push_back(cache.get(std::string(1, key), nothing).kernel);
    CHECK(cache.size() == 2 + held.size());
    for (char key = 'd'; key <= 'z'; ++key) CHECK_FALSE(is_new(std::string(1, key)));
    const auto again = cache.get("d", nothing);
    CHECK(again.kernel == held[0]);
    held.clear();
    CHECK(cache.size() == 3);
    CHECK_FALSE(is_new("d"));
    CHECK_FALSE(is_new("z"));
    CHECK(is_new("e"));

    // Long keys are of large kernels.
    CHECK(is_new(std::string(101, 'k')));
    CHECK(is_new(std::string(101, 'k')));
    CHECK(is_new(std::string(60, 'k')));
    CHECK_FALSE(is_new(std::string(60, 'k')));
}

TEST_CASE("kernels are destroyed outside of the cache's lock, and may outlive it", "[jit][cache]") {
    struct Noting final : CompiledCode {
        std::function<void()> note;
        ~Noting() override { note(); }
        MapFunction map_entry() const override { return nullptr; }
        std::string text(Artifact) const override { return {}; }
        std::vector<std::byte> binary() const override { return {}; }
        Stats times() const override { return {}; }
    };
    int destroyed = 0;
    std::shared_ptr<const CompiledKernel> last;
    {
        CodeCache cache({.kernels = 0, .bytes = 1000});
        const auto compile = [&](std::function<void()> note) {
            return [note = std::move(note)] {
                auto kernel = std::make_unique<CompiledKernel>();
                auto program = std::make_unique<Noting>();
                program->note = note;
                kernel->code = std::move(program);
                return kernel;
            };
        };
        std::size_t then = 9;
        cache.get("first", compile([&] { then = cache.size(), ++destroyed; }));
        CHECK(then == 0);
        last = cache.get("last", compile([&] { ++destroyed; })).kernel;
        CHECK(destroyed == 1);
    }
    CHECK(destroyed == 1);
    last.reset();
    CHECK(destroyed == 2);
}

TEST_CASE("one key from many threads that let go at once", "[jit][cache][threads]") {
    CodeCache cache({.kernels = 1, .bytes = 1000});
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 3000; ++i) {
                const std::string key = (i + t) % 3 == 0 ? "a" : "b";
                const auto found = cache.get(key, [&] {
                    auto kernel = nothing();
                    kernel->kernel.name = key;
                    return kernel;
                });
                wrong += found.kernel->kernel.name != key;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(cache.size() == 1);
}

TEST_CASE("compiles of different keys run at the same time", "[jit][cache][threads]") {
    CodeCache cache;
    std::atomic<int> inside = 0;
    const auto wait_for_both = [&] {
        ++inside;
        while (inside < 2) std::this_thread::yield();
        return nothing();
    };
    std::thread other([&] { cache.get("a", wait_for_both); });
    cache.get("b", wait_for_both);
    other.join();
    CHECK(inside == 2);
}

TEST_CASE("a failed compile is told to all that wait, and forgotten", "[jit][cache][threads]") {
    CodeCache cache;
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
