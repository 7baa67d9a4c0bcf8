// Positions of minima and maxima found by parallel loops, whose iterations run as lanes: against
// one loop after the rules of NumPy (a NaN before numbers, of equal values the lesser position).
#include "tests/jit/support.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace kiln;

namespace {

template <class T> bool is_nan(T x) {
    if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
    return false;
}

template <class T> struct Best {
    T value;
    std::int64_t at;
    void take(bool least, T x, std::int64_t position) {
        const bool better = (least ? x < value : x > value) || (is_nan(x) && !is_nan(value));
        const bool equal = x == value || (is_nan(x) && is_nan(value));
        if (better || (equal && position < at)) *this = {x, position};
    }
};

/// Few values, so that many are equal; of floats NaN, infinities and both zeros too.
template <class T> std::vector<T> values(std::size_t n, std::uint32_t seed, bool nans) {
    std::vector<T> x(n);
    for (T& e : x) {
        seed = seed * 1664525U + 1013904223U;
        const unsigned pick = seed >> 26;
        e = static_cast<T>(pick % 13 + 100);
        if constexpr (std::is_floating_point_v<T>) {
            if (pick == 60) e = std::numeric_limits<T>::infinity();
            if (pick == 61) e = -std::numeric_limits<T>::infinity();
            if (pick == 62) e = T(0) * (seed % 2 == 0 ? T(1) : T(-1));
            if (pick == 63 && nans && seed % 64 == 1) e = std::numeric_limits<T>::quiet_NaN();
        }
    }
    return x;
}

/// Positions go up, down, or come again; elements that are multiples of 3 are left out.
template <class T> void check_positions() {
    INFO(name(dtype_of<T>));
    for (const bool least : {true, false}) {
        const auto kernel = jit(
            "found",
            [least](In x, Out found, Out at) {
                const auto step = [least](Var& best, Var& place, const Value& v, const Value& p) {
                    if (least)
                        reduce_argmin(best, place, v, p);
                    else
                        reduce_argmax(best, place, v, p);
                };
                const Value n = x.extent(0);
                Var up(x.dtype(), x(0)), down(x.dtype(), x(0)), some(x.dtype(), x(0));
                Var up_at(i64, 0), down_at(i64, n), some_at(i64, 1000000);
                for (Index i : prange(n)) {
                    const Value v = x(i);
                    step(up, up_at, v, i);
                    step(down, down_at, v, n - i);
                    if_(i % 3 != 0, [&] { step(some, some_at, v, i % 7); });
                }
                found(0) = up;
                found(1) = down;
                found(2) = some;
                at(0) = up_at;
                at(1) = down_at;
                at(2) = some_at;
            },
            {.parallel = true});
        for (const std::int64_t n :
             {1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 255, 257, 2048, 2049, 8191, 8193, 70001})
            for (const std::uint32_t seed : {1U, 2U, 3U}) {
                const auto x = values<T>(static_cast<std::size_t>(n), seed, seed == 3);
                Best<T> up{x[0], 0}, down{x[0], n}, some{x[0], 1000000};
                for (std::int64_t i = 0; i < n; ++i) {
                    const T v = x[static_cast<std::size_t>(i)];
                    up.take(least, v, i);
                    down.take(least, v, n - i);
                    if (i % 3 != 0) some.take(least, v, i % 7);
                }
                std::vector<T> found(3);
                std::vector<std::int64_t> at(3);
                kernel(x, found, at);
                INFO("n " << n << ", seed " << seed << (least ? ", least" : ", most"));
                CHECK(at == std::vector<std::int64_t>{up.at, down.at, some.at});
                for (const auto& [got, want] : {std::pair(found[0], up.value),
                                                {found[1], down.value},
                                                {found[2], some.value}})
                    CHECK((got == want || (is_nan(got) && is_nan(want))));
            }
    }
}

}  // namespace

TEST_CASE("positions of extremes in parallel loops", "[jit][program][reduce]") {
    check_positions<double>();
    check_positions<float>();
    check_positions<std::int64_t>();
    check_positions<std::uint64_t>();
    check_positions<std::int32_t>();
    check_positions<std::uint8_t>();
    check_positions<std::int16_t>();
}

TEST_CASE("positions of extremes are those of any number of threads", "[jit][program][reduce]") {
    const auto kernel = jit([](In x) -> Value {
        Var best(x.dtype(), x(0)), at(i64, 0);
        for (Index i : prange(x.extent(0))) reduce_argmax(best, at, x(i), i);
        return at;
    });
    const auto x = values<float>(300000, 5, false);
    Best<float> best{x[0], 0};
    for (std::size_t i = 0; i < x.size(); ++i) best.take(false, x[i], static_cast<std::int64_t>(i));
    const int before = num_threads();
    for (const int threads : {1, 2, 3, 8}) {
        set_num_threads(threads);
        CHECK(kernel(x).template get<std::int64_t>() == best.at);
    }
    set_num_threads(before);
}
