// Kernels whose target is the simulator: called as users do, they give what they give on the CPU, and say
// what is wrong at the user's line.
#include "tests/jit/cuda/programs.h"
#include "tests/jit/support.h"

#include "jit/compile/backend.h"

#include <cmath>
#include <cstring>

using namespace kiln;

namespace {

const JitOptions simulated{.target = BackendTarget::sim};

bool same_bits(const Array& a, const Array& b) {
    return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.nbytes())) == 0;
}

}  // namespace

TEST_CASE("sim: programs of all forms give what the CPU gives", "[jit][sim]") {
    std::string last;
    for (const test::Program& p : test::device_programs()) {
        if (p.name == last && p.arguments[0].size() > 10'000) continue;
        last = p.name;
        INFO(p.name << " of " << to_string(p.arguments[0].shape()));
        const auto code = engine::backend(BackendTarget::sim).compile(p.device, {});
        const std::vector<Array> got = test::copies(p.arguments);
        std::vector<engine::DeviceOperand> operands(p.device.params.size());
        for (std::size_t a = 0; a < got.size(); ++a) operands[a].array = got[a];
        CHECK(!code->run_on_device(operands).has_value());
        for (std::size_t a = 0; a < got.size(); ++a) {
            if (p.tolerance == 0) {
                CHECK(same_bits(got[a], p.expected[a]));
                continue;
            }
            const std::vector<double> values = test::values(got[a]),
                                      expected = test::values(p.expected[a]);
            for (std::size_t i = 0; i < values.size(); ++i)
                if (std::abs(values[i] - expected[i]) > p.tolerance * (1 + std::abs(expected[i])))
                    FAIL("element " << i << " is " << values[i] << ", not " << expected[i]);
        }
    }
}

TEST_CASE("sim: calls of loop kernels: results, views, shapes, scalars", "[jit][sim]") {
    const auto scaled = jit(
        "scaled", [](In v, Value f) -> Scratch { return Scratch((v - v.min()) * f); }, simulated);
    const Array made = scaled(arange(6.0) + 3.0, 2.0);
    CHECK(made.shape() == Shape{6});
    CHECK(made.at<double>({5}) == 10.0);
    const auto axpy = jit(
        "axpy",
        [](In x, InOut y, Value a) {
            for (Index i : prange(x.extent(0))) y(i) = a * x(i) + y(i);
        },
        simulated);
    const Array a = zeros({50, 3}), b = ones({50, 3});
    axpy(b(Slice{}, 0).flip(), a(Slice{}, 1), 4.0);
    CHECK(sum(a).item<double>() == 200.0);
    CHECK(a.at<double>({3, 1}) == 4.0);
    const auto total = jit(
        "total",
        [](In x) -> Value {
            Var s(DType::i64, 0);
            for (Index i : prange(x.extent(0))) s += x(i);
            return s;
        },
        simulated);
    CHECK(total(arange(100'000)).get<std::int64_t>() == 4'999'950'000);
    const auto add = jit("add", [](In a, In b, Out c) { c = a + b; }, simulated);
    CHECK_THROWS_WITH(add(zeros({3}), zeros({4}), zeros({4})),
                      Catch::Matchers::Contains("cannot broadcast"));
}

TEST_CASE("sim: calls of ufuncs", "[jit][sim]") {
    const UfuncOptions options{.target = BackendTarget::sim};
    const auto mix = vectorize("mix", [](Value a, Value b) { return a * 10.0 + b; }, options);
    const Array x = arange(12.0).reshape({3, 4}), row = arange(4.0);
    const Array out = mix(x, row);
    CHECK(out.at<double>({2, 3}) == 113.0);
    CHECK(mix(x.transpose(), 1).at<double>({3, 2}) == 111.0);
    const auto power = vectorize("power", [](Value a, Value b) { return pow(a, b); }, options);
    CHECK(power(3, 4).item<std::int32_t>() == 81);
    CHECK_THROWS_WITH(power(arange(6).reshape({2, 3}), arange(6).reshape({2, 3}) - 4),
                      Catch::Matchers::Contains("index (0,0)"));
    const auto halves = vectorize("halves", [](Value v) { return v / 2; }, options);
    CHECK(halves(Array::of({float16(3.0f)})).scalar_at({0}).get<float16>() == float16(1.5f));
}

TEST_CASE("sim: races and elements beyond arrays, at the user's line", "[jit][sim]") {
    const auto racy = jit("racy",
                          [](In v, Out z) {
                              for (Index i : prange(0, v.extent(0), 1, {.unsafe_races = true}))
                                  z(i % 10) = v(i);
                          },
                          {.params = {"v", "z"}, .target = BackendTarget::sim});
    const std::string line = std::to_string(__LINE__ - 3);
    CHECK_THROWS_WITH(racy(arange(1000.0), zeros({10})),
                      Catch::Matchers::StartsWith(
                          "sim_target_test.cpp:" + line +
                          ": error: the simulator found a race on z[2]: thread 0 of block "
                          "0 writes it at line " +
                          line));
    const auto beyond = jit("beyond",
                            [](In v, Out z) {
                                for (Index i : prange(v.extent(0))) z(i) = v(i + 1);
                            },
                            {.params = {"v", "z"}, .target = BackendTarget::sim});
    CHECK_THROWS_WITH(beyond(arange(100.0), zeros({100})),
                      Catch::Matchers::Contains(
                          "which reads 8 bytes that are in no array and no shared variable, 800 "
                          "bytes behind the first of v, which has 800"));
}

TEST_CASE("sim: elements by vectors, and those that addresses or lengths leave", "[jit][sim]") {
    const auto mix = [](In a, In b, InOut c, Out d) {
        for (Index i : prange(a.extent(0))) {
            const Value sum = a(i) + b(i) * c(i);
            c(i) = sum;
            d(i) = sum > b(i);
        }
    };
    const auto here = jit("mix", mix), there = jit("mix", mix, simulated);
    for (const DType t : {DType::f32, DType::f64, DType::u8, DType::i16})
        for (const std::int64_t n : {1, 3, 4, 5, 16, 67, 1000})
            for (const std::int64_t at : {0, 1, 2}) {
                INFO(name(t) << " " << n << " from " << at);
                const auto view = [&](std::int64_t scale) {
                    return (arange(n + 2) * scale).astype(t)(Slice{at, at + n});
                };
                const Array a = view(3), b = view(5);
                const Array c[] = {view(7), view(7)};
                const Array d[] = {zeros({n + 2}, DType::bool_)(Slice{at, at + n}),
                                   zeros({n + 2}, DType::bool_)(Slice{at, at + n})};
                here(a, b, c[0], d[0]);
                there(a, b, c[1], d[1]);
                CHECK(same_bits(c[1], c[0]));
                CHECK(same_bits(d[1], d[0]));
            }
}
