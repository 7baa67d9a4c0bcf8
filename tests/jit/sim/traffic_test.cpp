// KILN_SIM_TRAFFIC: bank conflicts and sectors of memory, counted by the lines of kernels. What is expected is
// counted by hand: 32 banks of 4 bytes, sectors of 32 bytes.
#include "tests/jit/cuda/variable.h"
#include "tests/jit/support.h"
#include "tests/scratch_folder.h"

#include <fstream>
#include <sstream>

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

/// What a launch of 32 threads says of its traffic.
template <class F> std::string traffic_of(F function, const Array& x, const Array& y,
                                          std::int64_t apart) {
    const test::ScratchFolder folder;
    const std::string path = (folder.path / "traffic").string();
    const test::Variable named("KILN_SIM_TRAFFIC", path.c_str());
    cuda::kernel("moves", function, {.target = BackendTarget::sim})({.threads = 32}, x, y, apart);
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string at(int line) { return "traffic_test.cpp:" + std::to_string(line) + ": "; }

}  // namespace

TEST_CASE("sim: bank conflicts of shared memory, by line", "[jit][sim][traffic]") {
    const auto moves = [](In x, Out y, Value apart) {
        auto tile = cuda::shared<float>(1024);
        const Value t = cuda::thread_idx();
        for (Index k : range(32)) tile(t + 32 * k) = x(t);
        cuda::sync_threads();
        y(t) = tile(t * apart % 1024);
    };
    constexpr int write = __LINE__ - 4, read = __LINE__ - 2;
    const Array x = arange(32).astype(f32), y = zeros({32}, f32);
    const auto said = [&](std::int64_t apart) { return traffic_of(moves, x, y, apart); };
    const std::string one = said(1);
    CHECK(one.starts_with("moves\n"));
    CHECK_THAT(
        one,
        Contains(
            at(write) +
            "32 accesses of warps to shared memory in 32 passes, 32 without bank conflicts\n"));
    CHECK_THAT(
        one,
        Contains(at(read) +
                 "1 accesses of warps to shared memory in 1 passes, 1 without bank conflicts\n"));
    CHECK_THAT(said(2),
               Contains(at(read) + "1 accesses of warps to shared memory in 2 passes, 1 without"));
    CHECK_THAT(said(32),
               Contains(at(read) + "1 accesses of warps to shared memory in 32 passes, 1 without"));
    CHECK_THAT(said(33),
               Contains(at(read) + "1 accesses of warps to shared memory in 1 passes, 1 without"));
    CHECK_THAT(said(0),
               Contains(at(read) + "1 accesses of warps to shared memory in 1 passes, 1 without"));
}

TEST_CASE("sim: sectors of memory, by line", "[jit][sim][traffic]") {
    const auto moves = [](In x, Out y, Value apart) {
        const Value t = cuda::thread_idx();
        const Value v = x(t * apart);
        y(t) = v;
    };
    constexpr int read = __LINE__ - 3, write = __LINE__ - 2;
    for (const DType t : {f32, f64}) {
        const Array x = arange(1024).astype(t), y = zeros({32}, t);
        const auto adjacent = 32 * static_cast<int>(size_of(t)) / 32;
        const auto sectors = [&](int of) {
            return "1 accesses of warps to memory in " + std::to_string(of) +
                   " sectors of 32 bytes, " + std::to_string(adjacent) + " if they were adjacent\n";
        };
        const std::string one = traffic_of(moves, x, y, 1);
        CHECK_THAT(one, Contains(at(read) + sectors(adjacent)));
        CHECK_THAT(one, Contains(at(write) + sectors(adjacent)));
        CHECK_THAT(traffic_of(moves, x, y, 2), Contains(at(read) + sectors(2 * adjacent)));
        CHECK_THAT(traffic_of(moves, x, y, 8), Contains(at(read) + sectors(32)));
    }
}

TEST_CASE("sim: a file of traffic that cannot be", "[jit][sim][traffic]") {
    const test::Variable named("KILN_SIM_TRAFFIC", "/nowhere/traffic");
    const auto one = cuda::kernel("one", [](Out y) { y(0) = 1; }, {.target = BackendTarget::sim});
    CHECK_THROWS_WITH(one({.threads = 1}, zeros({1})),
                      Contains("/nowhere/traffic cannot be written"));
}
