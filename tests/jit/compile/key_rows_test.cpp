// What machine code must follow, and what it must not: kernels as a user writes them, one difference a row.
// Equal code is compiled once in a process, so a row that must not change anything compiles nothing.
// (key_fields_test flips the fields of kernels.)
#include "jit/compile/cache.h"
#include "jit/compile/key_parts.h"
#include "jit/compile/target.h"
#include "tests/jit/support.h"

#include <kiln/host_function.h>

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <string>

using namespace kiln;
using namespace kiln::test;

namespace {

using Make = std::function<void()>;  ///< makes a kernel and its code

/// How many kernels it compiles.
std::uint64_t compiles(const Make& make) {
    const std::uint64_t before = stats().compiles;
    make();
    return stats().compiles - before;
}

template <class C> Make scaled(C c, UfuncOptions options = {}, DType dtype = DType::f64) {
    return [=] {
        vectorize([=](Value x) { return x * c + 5.75; }, options).compile({ArgType{dtype, 1}});
    };
}

double plus_one(double x) { return x + 1; }
double plus_two(double x) { return x + 2; }

/// Calls the function that is registered under the name, after `others`.
Make calls(const char* name, double (*function)(double), int others = 0) {
    return [=] {
        std::vector<HostFunction<double(double)>> all;
        for (int i = 0; i < others; ++i)
            all.push_back(host_function(("other " + std::to_string(i)).c_str(), &plus_two));
        const auto f = host_function(name, function);
        jit([&](In x, Out y) {
            for (Index i : range(x.extent(0))) y(i) = f(x(i)) * 1.375;
        }).compile({f64[1], f64[1]});
    };
}

/// A kernel that another one calls.
Make through(double c) {
    return [=] {
        const auto inner = jit("inner", [=](Value x) -> Value { return x * c; });
        jit("outer", [=](In x, Out y) {
            for (Index i : range(x.extent(0))) y(i) = inner(x(i)) - 3.625;
        }).compile({f64[1], f64[1]});
    };
}

Make loop(JitOptions options, double c = 0.8125) {
    return [=] {
        jit(
            [=](In x, Out y) {
                for (Index i : prange(x.extent(0))) y(i) = x(i) * c;
            },
            options)
            .compile({f64[1], f64[1]});
    };
}

}  // namespace

TEST_CASE("code follows captured values, callees, options and types", "[jit][cache]") {
    CHECK(compiles(scaled(2.0)) == 1);
    CHECK(compiles(scaled(3.0)) == 1);
    CHECK(compiles(scaled(-0.0)) == 1);
    CHECK(compiles(scaled(0.0)) == 1);
    CHECK(compiles(scaled(2.0, {}, DType::f32)) == 1);
    CHECK(compiles(scaled(2, {}, DType::i32)) == 1);
    CHECK(compiles(scaled(3, {}, DType::i32)) == 1);
    CHECK(compiles(scaled(2.0, {.fastmath = true})) == 1);
    CHECK(compiles(scaled(2.0, {.fastmath = Fastmath::contract})) == 1);
    double by_reference = 2.125;
    const Make refers = [&] {
        vectorize([&](Value x) { return x * by_reference; }).compile({f64[1]});
    };
    CHECK(compiles(refers) == 1);
    by_reference = 2.25;
    CHECK(compiles(refers) == 1);
    const auto table = [](std::array<double, 3> t) {
        return Make([=] {
            vectorize([=](Value x) { return (x * t[0] + t[1]) * x + t[2]; }).compile({f64[1]});
        });
    };
    CHECK(compiles(table({1.5, 2.5, 3.5})) == 1);
    CHECK(compiles(table({1.5, 2.5, 4.5})) == 1);
    CHECK(compiles(through(0.5)) == 1);
    CHECK(compiles(through(0.25)) == 1);
    CHECK(compiles(calls("key one", &plus_one)) == 1);
    CHECK(compiles(calls("key two", &plus_one)) == 1);
    CHECK(compiles(loop({})) == 1);
    CHECK(compiles(loop({.checked = true})) == 1);
    CHECK(compiles(loop({.fastmath = true}, 0.3125)) == 1);
}

TEST_CASE("code does not follow names, lines, addresses and orders", "[jit][cache]") {
    CHECK(compiles(scaled(12.0)) == 1);
    CHECK(compiles(scaled(12.0)) == 0);
    CHECK(compiles(scaled(12.0, {.params = {"other"}})) == 0);
    // Another name, another line, another lambda, captured elsewhere.
    const auto elsewhere = std::make_unique<double>(12.0);
    CHECK(compiles([&] {
              vectorize("named", [c = *elsewhere](Value value) {
                  const Value product = value * c;
                  return product + 5.75;
              }).compile({f64[1]});
          }) == 0);
    CHECK(compiles([&] {
              vectorize([&](Value x) { return x * *elsewhere + 5.75; }).compile({f64[1]});
          }) == 0);
    // Captures that the kernel does not use, and work that nothing needs.
    const std::string unused = "unused";
    CHECK(compiles([&] {
              vectorize([=](Value x) {
                  static_cast<void>(unused);
                  static_cast<void>(exp(x));
                  return x * 12.0 + 5.75;
              }).compile({f64[1]});
          }) == 0);
    CHECK(compiles(through(12.5)) == 1);
    CHECK(compiles([] {
              jit([](In from, Out to) {
                  for (Index k : range(from.extent(0))) to(k) = from(k) * 12.5 - 3.625;
              }).compile({f64[1], f64[1]});
          }) == 0);
    CHECK(compiles(calls("key three", &plus_one)) == 1);
    CHECK(compiles(calls("key three", &plus_two)) == 0);  // code has no address of it
    CHECK(compiles(calls("key three", &plus_one, 4)) == 0);
    CHECK(compiles(loop({}, 12.0)) == 1);
    CHECK(compiles(loop({.params = {"from", "to"}}, 12.0)) == 0);
}

TEST_CASE("code follows all that the target's name has: CPU, features, vector unit, LLVM, build",
          "[jit][cache]") {
    const std::string target = engine::target_id(BackendTarget::cpu);
    const engine::KeyParts parts = engine::key_parts(target);
    std::vector<std::string> names;
    std::set<std::string> keys{engine::content_key({}, {}, target)};
    for (const auto& [name, value] : parts.fields) {
        names.emplace_back(name);
        REQUIRE(!value.empty());
        std::string other = target;
        other[static_cast<std::size_t>(value.data() - target.data()) + value.size() - 1] ^= 1;
        keys.insert(engine::content_key({}, {}, other));
        CHECK(engine::content_symbol(engine::content_key({}, {}, other)) !=
              engine::content_symbol(engine::content_key({}, {}, target)));
    }
    CHECK(names == std::vector<std::string>{"architecture", "CPU", "features of the CPU",
                                            "vector unit", "version of LLVM", "build of kiln"});
    CHECK(keys.size() == names.size() + 1);
    // That of the LLVM that libkiln_cpu was built with, found out without it.
    CHECK(parts.fields[4].second == KILN_LLVM_VERSION);
}
