// Checks that fail while a kernel runs: the user's line, the lowest index.
#include "tests/jit/support.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("integer division by zero in checked mode", "[jit][checked]") {
    std::uint32_t line = 0;
    const auto divide = vectorize("divide",
                                  [&](Value a, Value b) {
                                      line = __LINE__ + 1;
                                      return a / b;
                                  },
                                  {.checked = true});
    Array b = ones({2, 4}, DType::i32);
    const Array a = full({2, 4}, 6);
    check_values(divide(a, b), {6, 6, 6, 6, 6, 6, 6, 6});
    b.at<std::int32_t>({1, 2}) = 0;
    b.at<std::int32_t>({1, 3}) = 0;
    const Error error = error_of([&] { divide(a, b); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "integer division by zero at index (1,2)");
    CHECK(error.line() == line);
    // Whatever the memory order, the lowest logical index.
    Array f = ones({2, 4}, DType::i32, Order::fortran);
    f.at<std::int32_t>({0, 3}) = 0;
    f.at<std::int32_t>({1, 0}) = 0;
    CHECK(error_of([&] { divide(a, f); }).message() == "integer division by zero at index (0,3)");
    CHECK(error_of([&] { divide(f, f); }).message() == "integer division by zero at index (0,3)");
    CHECK(error_of([&] { divide(f.flip(), f.flip()); }).message() ==
          "integer division by zero at index (0,3)");
    CHECK(error_of([&] { divide(1, 0); }).message() == "integer division by zero at index ()");
    // Elements that the mask leaves out are not computed.
    Array mask = ones({2, 4}, DType::bool_);
    mask.at<bool>({1, 2}) = mask.at<bool>({1, 3}) = false;
    check_values(divide(a, b, {.where = mask}), {6, 6, 6, 6, 6, 6, 0, 0});
}

TEST_CASE("unchecked division by zero gives 0", "[jit][checked]") {
    const auto divide = vectorize("divide", [](Value a, Value b) { return a / b; });
    check_values(divide(Array::of({7, -7}), Array::of({0, 2})), {0, -3});
}

TEST_CASE("integer to a negative integer power", "[jit][checked]") {
    const int line = __LINE__ + 1;
    const auto power = vectorize("power", [](Value a, Value b) { return pow(a, b); });
    const Array base = full({8}, 2);
    Array exponent = arange(8, DType::i32);
    check_values(power(base, exponent), {1, 2, 4, 8, 16, 32, 64, 128});
    exponent.at<std::int32_t>({5}) = -1;
    exponent.at<std::int32_t>({7}) = -1;
    Array out = zeros({8}, DType::i32);
    const Error error = error_of([&] { power(base, exponent, {.out = out}); });
    CHECK(error.message() == "integer to a negative integer power at index (5,)");
    CHECK(error.line() == std::uint32_t(line));
    // Every other element is computed.
    for (const int i : {0, 1, 2, 3, 4, 6}) CHECK(at(out, i) == double(1 << i));
    CHECK(error_of([&] { power(2, -1); }).message() ==
          "integer to a negative integer power at index ()");
    check_values(power(2.0, -1), {0.5});
}

TEST_CASE("the lowest index over many threads", "[jit][checked][threads]") {
    const auto divide = vectorize("divide", [](Value a, Value b) { return a % b; },
                                  {.parallel = true, .checked = true});
    const std::int64_t n = 400'000;
    Array b = ones({n}, DType::i64);
    for (const std::int64_t i : {399'999, 300'000, 123'457}) {
        b.at<std::int64_t>({i}) = 0;
        CHECK(error_of([&] { divide(b, b); }).message() ==
              "integer division by zero at index (" + std::to_string(i) + ",)");
    }
}

TEST_CASE("checks of bound handles", "[jit][checked][bind]") {
    const auto divide =
        vectorize("divide", [](Value a, Value b) { return a / b; }, {.checked = true});
    std::vector<int> a{6, 6, 6}, b{1, 0, 0}, c(3);
    const auto fast =
        divide.bind<void(std::span<const int>, std::span<const int>, std::span<int>)>();
    CHECK(error_of([&] { fast(a, b, c); }).message() == "integer division by zero at index (1,)");
    CHECK(error_of([&] { divide.bind<int(int, int)>()(1, 0); }).message() ==
          "integer division by zero at index ()");
}
