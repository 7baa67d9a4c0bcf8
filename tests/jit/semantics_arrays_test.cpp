// Strides, ranks, sizes and overlap of the arrays of compiled kernels.
#include "tests/jit/semantics.h"

#include <numeric>

using namespace kiln;
using namespace kiln::test;

namespace {

/// Bytes 0, 1, 2 ... read as T.
template <class T> std::vector<T> counting(std::int64_t n) {
    std::vector<T> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), T(0));
    return values;
}

/// out[i] = in[i] + 1, `in` and `out` lying in one buffer at every distance up to `reach`.
template <class T> void check_shifts(std::int64_t n, std::int64_t reach) {
    INFO(name(dtype_of<T>) << ", " << n << " elements");
    static const auto add = add_ufunc();
    static const auto bound = add.bind<void(std::span<const T>, T, std::span<T>)>();
    const auto length = static_cast<std::size_t>(n);
    bool same = true;
    for (std::int64_t shift = -reach; shift <= reach; ++shift) {
        const std::int64_t in = shift < 0 ? -shift : 0, out = shift < 0 ? 0 : shift;
        const std::vector<T> before = counting<T>(n + reach);
        std::vector<T> expected = before, called = before, handled = before;
        for (std::int64_t i = 0; i < n; ++i) {
            expected[static_cast<std::size_t>(out + i)] =
                static_cast<T>(before[static_cast<std::size_t>(in + i)] + 1);
        }
        const Array x = Array::over(called.data(), {n + reach});
        add(x(Slice{in, in + n}), 1, {.out = x(Slice{out, out + n})});
        bound(std::span<const T>(handled).subspan(static_cast<std::size_t>(in), length), T(1),
              std::span<T>(handled).subspan(static_cast<std::size_t>(out), length));
        same = same && called == expected && handled == expected;
    }
    CHECK(same);
}

}  // namespace

TEST_CASE("compiled: Strides may be negative or zero, any rank up to 8",
          "[jit][semantics][arrays]") {
    const auto f = vectorize("f", [](Value a, Value b) { return 10 * a - b; });
    // Axes of a rank-8 array: backwards, with gaps, permuted; and stretched ones of stride 0.
    const Array base = arange(2 * 3 * 2 * 4 * 2 * 2 * 3 * 5, DType::i32);
    const Array wide = base.reshape({2, 3, 2, 4, 2, 2, 3, 5})
                           .transpose({7, 2, 0, 4, 6, 1, 5, 3})
                           .flip(0)
                           .flip(5)
                           .slice(7, {{}, {}, 2});
    const Array narrow = arange(5 * 3 * 2, DType::i32).reshape({5, 1, 1, 1, 3, 1, 1, 2});
    REQUIRE(wide.rank() == 8);
    const Array stretched = narrow.broadcast_to(wide.shape());
    REQUIRE(stretched.stride(1) == 0);
    const Array r = f(wide, narrow), s = f(wide, stretched), t = f(stretched.flip(), wide.flip());
    REQUIRE(r.shape() == wide.shape());
    bool same = true;
    const std::vector<double> w = values(wide), v = values(stretched);
    for (std::size_t i = 0; i < w.size(); ++i) {
        const auto k = static_cast<std::int64_t>(i);
        same = same && at(r, k) == 10 * w[i] - v[i] && at(s, k) == at(r, k) &&
               at(t, wide.size() - 1 - k) == 10 * v[i] - w[i];
    }
    CHECK(same);
}

TEST_CASE("compiled: rank 9 is refused with the user's line", "[jit][semantics][arrays]") {
    const Error error = error_of([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; });
    CHECK(error.kind() == ErrorKind::shape);
    CHECK(error.message() == "rank 9 is over the limit of 8 axes");
}

TEST_CASE("compiled: zero-size arrays are ordinary", "[jit][semantics][arrays]") {
    const auto add = add_ufunc();
    const Array none = zeros({4, 0, 3}, DType::f32);
    CHECK(add(none, none).shape() == Shape{4, 0, 3});
    CHECK(add(none, zeros({4, 1, 1})).shape() == Shape{4, 0, 3});
    CHECK(add(none, zeros({4, 1, 1})).dtype() == DType::f64);
    CHECK(add(none, 1).dtype() == DType::f32);
    CHECK(add(none(Slice{}, Slice{}, Slice{{}, {}, -1}), none).shape() == Shape{4, 0, 3});
    Array out = zeros({2, 4, 0, 3}, DType::f32);
    CHECK(exactly_same(add(none, none, {.out = out, .where = none.astype(DType::bool_)}), out));
    // The same errors as for other sizes.
    CHECK(error_of([&] { add(none, zeros({2, 3})); }).message() ==
          "cannot broadcast (4,0,3) with (2,3)");
    CHECK(error_of([&] { add(none, 1.5, {.out = zeros({4, 0, 3}, DType::i8)}); }).message() ==
          "cannot cast output of add from f32 to i8 under same_kind");
    std::vector<float> empty;
    add.bind<void(std::span<const float>, std::span<const float>, std::span<float>)>()(empty, empty,
                                                                                       empty);
}

TEST_CASE("compiled: Writing to a zero-stride output is an error", "[jit][semantics][arrays]") {
    const auto add = add_ufunc();
    std::vector<float> cells{1, 2, 3};
    // Stretched by stride 0, and rows that share elements.
    const Array stretched = Array::over(cells.data(), {3, 4}, Shape{4, 0});
    const Error error = error_of([&] { add(stretched, 1, {.out = stretched}); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() ==
          "the output of add has several indices for one element (strides (4,0))");
    CHECK(error.hint() == "a broadcast array cannot be written; write to a copy()");
    CHECK(error.line() == __LINE__ - 5);
    const Array sliding = Array::over(cells.data(), {2, 2}, Shape{4, 4});
    CHECK(error_of([&] { add(1, 1, {.out = sliding}); }).message() ==
          "the output of add has several indices for one element (strides (4,4))");
    CHECK(cells == std::vector<float>{1, 2, 3});
    // A stride of 0 along an axis of extent 1 is none.
    add(1, 1, {.out = Array::over(cells.data(), {1}, Shape{0})});
    CHECK(cells == std::vector<float>{2, 2, 3});
}

TEST_CASE("compiled: Overlap: the result is as if all inputs were copied first, at every distance",
          "[jit][semantics][arrays]") {
    // Sizes around the blocks of generated code, whose rows are up to 128 elements.
    for (const std::int64_t n : {1, 7, 16, 31, 64, 127, 128, 129, 300}) {
        check_shifts<std::uint8_t>(n, 20);
        check_shifts<float>(n, 20);
        check_shifts<double>(n, 20);
    }
    check_shifts<std::uint8_t>(300, 140);
    check_shifts<double>(70'000, 2);
}

TEST_CASE("compiled: Overlap: bytes of one dtype over another", "[jit][semantics][arrays]") {
    const auto widen = vectorize([](Value a) { return cast<double>(a) + 1; });
    for (std::int64_t shift = 0; shift <= 40; ++shift) {
        const std::int64_t n = 100;
        std::vector<std::byte> memory(8 * 200);
        const Array in = Array::from_memory(memory.data() + 4 * shift, DType::i32, {n}, Shape{4});
        const Array out = Array::from_memory(memory.data() + 128, DType::f64, {n}, Shape{8});
        in.assign(arange(n, DType::i32));
        widen(in, {.out = out});
        bool same = true;
        for (std::int64_t i = 0; i < n; ++i) same = same && at(out, i) == double(i) + 1;
        CHECK(same);
    }
}

TEST_CASE("compiled: `add(x, 1, out=x)` needs no temporary; an overlap at a distance has one",
          "[jit][semantics][arrays]") {
    const auto add = add_ufunc();
    for (const std::int64_t n : {100, 1'000'000}) {
        Array x = zeros({n}), back = x.flip(), matrix = x.reshape({n / 10, 10});
        const Array column = ones({n / 10, 1});
        add(x, 1, {.out = x});  // compiles
        add(back, 1, {.out = back});
        add(matrix, column, {.out = matrix});
        const std::uint64_t before = memory_stats().allocations;
        add(x, 1, {.out = x});
        add(x, x, {.out = x});
        add(back, 1, {.out = back});
        add(matrix, column, {.out = matrix});
        CHECK(memory_stats().allocations == before);
        add(x(Slice{0, n - 1}), 1, {.out = x(Slice{1, n})});
        CHECK(memory_stats().allocations == before + 1);
    }
}

TEST_CASE("compiled: `noalias` is emitted only under a run-time overlap check",
          "[jit][semantics][arrays]") {
    // Operands come through the frame of a call, the only pointer that generated code may hold for
    // distinct; what the results are under overlap is the test above.
    const std::string llvm = add_ufunc().inspect(Artifact::llvm, {f32[1], f32[1]});
    const std::size_t first = llvm.find("noalias");
    if (first == std::string::npos) return;
    CHECK(llvm.substr(first, 12) == "noalias %0) ");
    CHECK(llvm.find("noalias", first + 1) == std::string::npos);
    CHECK(llvm.find("!alias.scope") == std::string::npos);
}

TEST_CASE("compiled: elements that are not aligned", "[jit][semantics][arrays]") {
    const auto add = add_ufunc();
    std::vector<std::byte> memory(16 * 100 + 1);
    for (const DType t : {DType::i16, DType::i32, DType::f32, DType::f64, DType::c64}) {
        const auto item = static_cast<std::int64_t>(size_of(t));
        const Array x = Array::from_memory(memory.data() + 1, t, {99}, Shape{item});
        x.assign(arange(99, DType::i16));
        const Array sum = add(x, x);
        add(x, 1, {.out = x});
        CHECK(at(sum, 98) == 196);
        CHECK(at(x, 98) == 99);
    }
}

// 6.5 GB of memory and some seconds.
TEST_CASE("compiled: More than 2^31 elements work", "[.][big][jit][semantics][arrays]") {
    const std::int64_t n = (std::int64_t(1) << 31) + 70'001;
    const auto f = vectorize("f", [](Value a, Value b) { return a + b; });
    std::uint8_t seven = 7;
    const Array stretched = Array::over(&seven, {n}, Shape{0});
    Array x = zeros({n}, DType::u8);
    x.at<std::uint8_t>({n - 1}) = 9;
    x.at<std::uint8_t>({(std::int64_t(1) << 31)}) = 5;
    const auto check = [&](const Array& r) {
        REQUIRE(r.size() == n);
        CHECK(at(r, 0) == 7);
        CHECK(at(r, std::int64_t(1) << 31) == 12);
        CHECK(at(r, n - 1) == 16);
        // All others are 7: their bytes add up.
        std::uint64_t sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += static_cast<std::uint8_t>(r.data()[i]);
        CHECK(sum == 7 * static_cast<std::uint64_t>(n) + 5 + 9);
    };
    check(f(x, stretched));
    check(vectorize("f", [](Value a, Value b) { return a + b; }, {.parallel = true})(x, stretched));
    f.bind<void(std::span<const std::uint8_t>, std::uint8_t, std::span<std::uint8_t>)>()(
        std::span<const std::uint8_t>(x.span<std::uint8_t>()), seven, x.span<std::uint8_t>());
    check(x);
}

// A byte stride of 2^31 and more, in address space that is never touched.
TEST_CASE("compiled: strides and offsets beyond 2^31 bytes work",
          "[.][big][jit][semantics][arrays]") {
    const std::int64_t stride = (std::int64_t(1) << 31) + 64;
    const Array memory = zeros({3 * stride}, DType::u8);
    const Array x = Array::from_memory(memory.data(), DType::i32, {3}, Shape{stride});
    x.assign(row(std::vector<std::int32_t>{1, 2, 3}));
    check_row(add_ufunc()(x, x.flip()), std::vector<std::int32_t>{4, 4, 4});
    add_ufunc()(x, 1, {.out = x});
    CHECK(values(x) == std::vector<double>{2, 3, 4});
}
