// Memory of bool from elsewhere: any byte but 0 is true, whatever reads it.
#include "tests/jit/support.h"

#include <cstring>
#include <functional>
#include <memory>
#include <random>

using namespace kiln;

namespace {

/// The same truths twice: as bytes 0 and 1, and as any bytes.
struct Truths {
    Array plain, any;
};

Truths truths(std::int64_t n, std::int64_t stride, std::mt19937& random) {
    const auto bytes = static_cast<std::size_t>(n * std::max<std::int64_t>(1, std::abs(stride)));
    std::vector<std::uint8_t> plain, any;
    for (std::size_t i = 0; i < bytes; ++i) {
        const std::uint8_t some[] = {0, 0, 0, 1, 2, static_cast<std::uint8_t>(1 + random() % 255)};
        any.push_back(some[random() % 6]);
        plain.push_back(any.back() != 0);
    }
    const auto over = [&](std::vector<std::uint8_t>&& values) {
        const Array owner(std::move(values));
        const auto owned = std::make_shared<Array>(owner);
        const std::int64_t first = stride < 0 ? n - 1 : 0;
        return Array::from_memory(owner.data() + first, bool_, {n}, {stride}, owned);
    };
    return {over(std::move(plain)), over(std::move(any))};
}

using Function = std::function<Array(const Array&)>;

void check_same(const char* what, const Truths& t, const Function& f) {
    INFO(what);
    const Array expected = f(t.plain).copy(), got = f(t.any).copy();
    CHECK(got.dtype() == expected.dtype());
    REQUIRE(got.shape() == expected.shape());
    if (got.size() > 0)
        CHECK(std::memcmp(got.data(), expected.data(), static_cast<std::size_t>(got.nbytes())) ==
              0);
}

template <class F> void for_truths(F f) {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (const std::int64_t n : {1, 2, 7, 16, 33, 64, 100, 257, 5000, 70'000})
        for (const std::int64_t stride : {1, 2, -1, 0}) f(truths(n, stride, random));
    f(truths(2'000'000, 1, random));  // several chunks, several threads
}

#define KILN_CHECK_SAME(...) \
    check_same(#__VA_ARGS__, t, [&](const Array& q) { return __VA_ARGS__; })

}  // namespace

TEST_CASE("bool bytes: arrays, conversions, sorting, statistics", "[jit][bool]") {
    for_truths([](const Truths& t) {
        KILN_CHECK_SAME(q.copy());
        KILN_CHECK_SAME(q.astype(bool_));
        KILN_CHECK_SAME(q.astype(u8));
        KILN_CHECK_SAME(q.astype(f16));
        KILN_CHECK_SAME(q.astype(c64));
        KILN_CHECK_SAME(full({1}, q.scalar_at({q.size() - 1})));
        KILN_CHECK_SAME(full({1}, q.slice(0, {0, 1}).item<bool>()));
        KILN_CHECK_SAME(full({1}, q.at<const bool>({q.size() - 1})));
        KILN_CHECK_SAME(full({1}, q.view<const bool, 1>()(q.size() / 2)));
        KILN_CHECK_SAME(full({1}, q.view<const bool, 1>().at(q.size() / 2)));
        KILN_CHECK_SAME(argmax(q));
        KILN_CHECK_SAME(argmin(q));
        KILN_CHECK_SAME(any(q));
        KILN_CHECK_SAME(all(q));
        KILN_CHECK_SAME(sum(q));
        KILN_CHECK_SAME(prod(q));
        KILN_CHECK_SAME(amax(q));
        KILN_CHECK_SAME(amin(q));
        KILN_CHECK_SAME(mean(q));
        KILN_CHECK_SAME(var(q));
        KILN_CHECK_SAME(sort(q));
        KILN_CHECK_SAME(argsort(q));
        KILN_CHECK_SAME(median(q));
        KILN_CHECK_SAME(quantile(q, 0.3));
        KILN_CHECK_SAME(cumsum(q));
        KILN_CHECK_SAME(cummax(q));
        KILN_CHECK_SAME(histogram(q, 2).counts);
        if (t.any.size() < 5000) CHECK(to_string(t.any) == to_string(t.plain));
        // A reference to a bool needs a byte that is one.
        const Array last = t.any.slice(0, {t.any.size() - 1, {}});
        const bool truth = last.at<bool>({0});
        CHECK(truth == t.plain.at<bool>({t.plain.size() - 1}));
        CHECK(last.data()[0] == std::byte(truth ? 1 : 0));
    });
}

TEST_CASE("bool bytes: element-wise kernels, masks, reductions", "[jit][bool]") {
    const auto same = vectorize("same", [](Value a) { return a; });
    const auto inverse = vectorize("inverse", [](Value a) { return !a; });
    const auto chosen = vectorize("chosen", [](Value a) { return select(a, Value(2), Value(3)); });
    const auto branch = vectorize("branch", [](Value a) {
        Var r(i32, 0);
        if_(a, [&] { r = 5; });
        return Value(r);
    });
    const auto number = vectorize("number", [](Value a) { return cast<float>(a); });
    const auto equal = vectorize("equal", [](Value a, Value b) { return a == b; });
    const auto less = vectorize("less", [](Value a, Value b) { return a < b; });
    const auto both = vectorize("both", [](Value a, Value b) { return a && b; });
    const auto either = vectorize("either", [](Value a, Value b) { return a ^ b; });
    const auto total =
        vectorize("total", [](Value a, Value b) { return a + b; }, {.parallel = true});
    for_truths([&](const Truths& t) {
        const Array yes = ones(t.any.shape(), bool_), count = arange(t.any.size(), i32);
        KILN_CHECK_SAME(same(q));
        KILN_CHECK_SAME(inverse(q));
        KILN_CHECK_SAME(chosen(q));
        KILN_CHECK_SAME(branch(q));
        KILN_CHECK_SAME(number(q));
        KILN_CHECK_SAME(equal(q, yes));
        KILN_CHECK_SAME(equal(q, true));
        KILN_CHECK_SAME(less(q, yes));
        KILN_CHECK_SAME(both(count, q));
        KILN_CHECK_SAME(either(q, yes));
        KILN_CHECK_SAME(either.reduce(q));
        KILN_CHECK_SAME(either.accumulate(q));
        KILN_CHECK_SAME(total(q, count));
        KILN_CHECK_SAME(total.reduce(q));
        KILN_CHECK_SAME(same(count, {.where = q}));
        KILN_CHECK_SAME(sum(count, {.where = q}));
        KILN_CHECK_SAME(any(count, {.where = q}));
    });
}

TEST_CASE("bool bytes: loop kernels and whole-array statements", "[jit][bool]") {
    const auto count = jit(
        [](In a) -> Value {
            Var s(i64, 0);
            for (Index i : prange(a.extent(0))) s += cast<std::int64_t>(a(i));
            return s;
        },
        {.parallel = true});
    const auto some = jit([](In a) -> Value { return any(a) && !all(a); });
    const auto whole = jit([](In a, Out o) { o = a; });
    const auto guarded = jit([](In a, InOut o) {
        for (Index i : range(a.extent(0))) if_(a(i), [&] { o(i) = a(i); });
    });
    const auto first = jit([](In a) -> Value {
        Var at(i64, -1);
        for (Index i : range(a.extent(0))) {
            if_(a(i), [&] {
                at = i;
                break_();
            });
        }
        return at;
    });
    for_truths([&](const Truths& t) {
        const auto filled = [&](const auto& f, const Array& q) {
            const Array o = zeros(q.shape(), bool_);
            f(q, o);
            return o;
        };
        KILN_CHECK_SAME(full({1}, count(q).get<std::int64_t>()));
        KILN_CHECK_SAME(full({1}, some(q).get<bool>()));
        KILN_CHECK_SAME(full({1}, first(q).get<std::int64_t>()));
        KILN_CHECK_SAME(filled(whole, q));
        KILN_CHECK_SAME(filled(guarded, q));
    });
}
