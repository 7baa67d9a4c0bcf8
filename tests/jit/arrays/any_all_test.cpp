// any and all of large arrays: right wherever the deciding element is, and early where it is early.
#include "tests/jit/support.h"

#include <algorithm>
#include <chrono>
#include <cmath>

using namespace kiln;

TEST_CASE("any and all find a single element anywhere", "[jit][any_all]") {
    const std::int64_t n = 700'000;
    const int before = num_threads();
    for (const int threads : {1, 2, 3, 8}) {
        set_num_threads(threads);
        const Array zero = zeros({n}), one = ones({n});
        CHECK_FALSE(any(zero).item<bool>());
        CHECK(all(one).item<bool>());
        for (const std::int64_t at : {std::int64_t(0), std::int64_t(32'768), n / 2, n - 1}) {
            zero.at<double>({at}) = std::nan("");  // counts as true
            one.at<double>({at}) = 0;
            CHECK(any(zero).item<bool>());
            CHECK_FALSE(all(one).item<bool>());
            CHECK(any(zero.reshape({700, 1000}).transpose()).item<bool>());
            CHECK_FALSE(all(one.flip()).item<bool>());
            zero.at<double>({at}) = 0;
            one.at<double>({at}) = 1;
        }
        CHECK_FALSE(any(zero.reshape({700, 1000}).transpose()).item<bool>());
    }
    set_num_threads(before);
    const Array m = ones({2000, 1000}, f32);
    CHECK(all(m, {.keepdims = true}).shape() == Shape{1, 1});
    const Array out = zeros({}, DType::bool_);
    all(m, {.out = out});
    CHECK(out.item<bool>());
    CHECK(all(m, {.axis = 0}).shape() == Shape(1000));
}

TEST_CASE("any stops where the answer is known", "[jit][any_all]") {
    const Array first = zeros({8'000'000}), last = zeros({8'000'000});
    first.at<double>({5}) = last.at<double>({7'999'999}) = 1;
    const auto fastest = [](const Array& x) {
        double best = 1;
        for (int run = 0; run < 9; ++run) {
            const auto begin = std::chrono::steady_clock::now();
            REQUIRE(any(x).item<bool>());
            const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
            best = std::min(best, time.count());
        }
        return best;
    };
    CHECK(fastest(first) * 5 < fastest(last));
}
