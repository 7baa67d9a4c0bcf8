// What passes made of kernels is remembered by all that it depends on.
#include "jit/compile/lowered.h"

#include "dsl/ir/builder.h"
#include "dsl/ir/text.h"
#include "tests/jit/support.h"

#include <bit>
#include <string>
#include <thread>
#include <vector>

using namespace kiln;
using engine::Lowered;
using engine::LoweredCache;
using engine::LoweringInput;

namespace {

/// out = `value`, for every element.
LoweringInput fills(const std::string& name, double value) {
    ir::Builder b(name);
    b.set_location({"a.cpp", 3});
    b.add_param({.name = "out", .dtype = DType::f64, .rank = 1, .access = ir::Access::out});
    b.begin_prologue();
    const ir::Id extent = b.extent(0, 0);
    b.end();
    b.begin_stage(std::span(&extent, 1), true);
    b.store(0, {b.index(0)}, b.constant(Scalar::of(value)));
    b.end();
    return {b.finish(), {}, {}, "cpu"};
}

/// Counts how often it is asked.
struct Lower {
    int& count;
    std::shared_ptr<const Lowered> operator()(const LoweringInput& from) const {
        ++count;
        return std::make_shared<const Lowered>(
            Lowered{from.kernel, from.code, ir::print(from.kernel), nullptr});
    }
};

}  // namespace

TEST_CASE("equal kernels are lowered once, others by themselves", "[jit][cache]") {
    LoweredCache cache;
    int count = 0;
    const Lower lower{count};
    const auto first = cache.get(fills("f", 2), lower);
    CHECK(cache.get(fills("f", 2), lower) == first);
    CHECK(count == 1);

    std::vector<LoweringInput> others(6, fills("f", 2));
    others[0].kernel.name = "g";
    others[1] = fills("f", 3);
    others[2].passes.checked = true;
    others[3].code.streaming = true;
    others[4].target_id = "another";
    others[5].kernel.locations.push_back({0, 7});
    for (const LoweringInput& other : others) CHECK(cache.get(other, lower) != first);
    CHECK(count == 7);
    CHECK(cache.get(fills("f", 2), lower) == first);
    CHECK(cache.size() == 7);
}

TEST_CASE("what was used the longest time ago is forgotten first", "[jit][cache]") {
    LoweredCache cache({.kernels = 2});
    int count = 0;
    const Lower lower{count};
    const auto one = cache.get(fills("f", 1), lower);
    cache.get(fills("f", 2), lower);
    CHECK(cache.get(fills("f", 1), lower) == one);
    cache.get(fills("f", 3), lower);  // in place of 2
    CHECK(cache.size() == 2);
    CHECK(cache.get(fills("f", 1), lower) == one);
    CHECK(count == 3);
    cache.get(fills("f", 2), lower);
    CHECK(count == 4);

    LoweredCache small({.kernels = 100, .bytes = 1});
    small.get(fills("f", 1), lower);
    CHECK(small.size() == 0);
}

TEST_CASE("a kernel that cannot be lowered is tried again", "[jit][cache]") {
    LoweredCache cache;
    const auto refuse = [](const LoweringInput&) -> std::shared_ptr<const Lowered> {
        throw Error(ErrorKind::usage, "refused");
    };
    CHECK_THROWS_AS(cache.get(fills("f", 1), refuse), Error);
    CHECK(cache.size() == 0);
    int count = 0;
    CHECK(cache.get(fills("f", 1), Lower{count}) != nullptr);
    CHECK(count == 1);
}

TEST_CASE("threads that want one kernel get one", "[jit][cache][threads]") {
    LoweredCache cache;
    std::vector<std::shared_ptr<const Lowered>> got(4);
    std::vector<std::thread> threads;
    for (auto& mine : got)
        threads.emplace_back([&] {
            int count = 0;
            for (int i = 0; i < 100; ++i) mine = cache.get(fills("f", i % 5), Lower{count});
        });
    for (std::thread& t : threads) t.join();
    for (const auto& mine : got) CHECK(mine == got[0]);
    CHECK(cache.size() == 5);
}

TEST_CASE("a kernel that is made again runs no passes, and has the same remarks", "[jit][cache]") {
    const auto smooth = [](double weight) {
        return jit("smooth", [=](In a, Out b) {
            for (Index i : prange(1, a.extent(0) - 1)) b(i) = weight * (a(i - 1) + a(i + 1));
        });
    };
    const Array a = arange(8.0);
    Array b = zeros({8});
    const auto first = smooth(0.5);
    first(a, b);
    const auto again = smooth(0.5), other = smooth(0.25);
    again(a, b);
    CHECK(b.view<double, 1>()(3) == 3);
    CHECK(again.stats().passes_ms == 0);
    CHECK(again.stats().compiles == 0);
    REQUIRE(first.remarks().size() == 1);
    CHECK(again.remarks() == first.remarks());
    CHECK(again.parallel_diagnostics(2) == first.parallel_diagnostics(2));
    other(a, b);
    CHECK(b.view<double, 1>()(3) == 1.5);
    CHECK(other.stats().passes_ms > 0);
}

TEST_CASE("remarks are of the kernel's own lines", "[jit][cache]") {
    const unsigned first_line = __LINE__ + 2;
    const auto fill = [](In a, Out b) {
        for (Index i : prange(a.extent(0))) b(i) = a(i);
    };
    const auto one = jit("fill", fill);
    const auto two = jit("other", fill);
    const Array a = arange(8.0);
    Array b = zeros({8});
    one(a, b);
    two(a, b);
    CHECK(one.remarks() == two.remarks());
    const unsigned third_line = __LINE__ + 2;
    const auto three = jit("fill", [](In a, Out b) {
        for (Index i : prange(a.extent(0))) b(i) = a(i);
    });
    three(a, b);
    REQUIRE(one.remarks().size() == 1);
    REQUIRE(three.remarks().size() == 1);
    CHECK(one.remarks()[0].line == first_line);
    CHECK(three.remarks()[0].line == third_line);
    CHECK(three.stats().compiles == 0);  // the code is the same
}
