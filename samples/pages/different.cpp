// The rows of different.md, by their numbers.
#include "../tutorial/check.h"

#include <kiln/kiln.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
using namespace kiln;

namespace {

template <class T> T only(const Array& x) { return x.item<T>(); }
template <class F> std::string error_of(F&& f) {
    try {
        f();
    } catch (const Error& error) {
        return std::string(name(error.kind())) + ": " + error.what();
    }
    return {};
}
bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

int main() {
    constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min();
    const Array seven = Array::of({std::int32_t(7), std::int32_t(-7)}), zero = zeros({2}, i32);

    const Array halves = seven / 2, floors = floor_divide(seven, 2);
    check(halves.dtype() == i32 && halves.at<std::int32_t>(1) == -3 &&
              floors.at<std::int32_t>(1) == -4 && true_divide(seven, 2).at<double>(0) == 3.5,
          "1");
    auto divide = vectorize("divide", [](Value a, Value b) { return a / b; }, {.checked = true});
    check((seven / zero).at<std::int32_t>(0) == 0 && (seven % zero).at<std::int32_t>(1) == 0 &&
              has(error_of([&] { divide(seven, zero); }), "different.cpp:"),
          "2");
    const Array minimum = Array::of({least});
    check(only<std::int32_t>(minimum / -1) == least &&
              only<std::int32_t>(floor_divide(minimum, -1)) == least,
          "3");
    const Array beyond = Array::of({1e300, -1e300, std::nan("")}).astype(i32);
    check(beyond.at<std::int32_t>(0) == std::numeric_limits<std::int32_t>::max() &&
              beyond.at<std::int32_t>(1) == least && beyond.at<std::int32_t>(2) == 0,
          "4");
    const Array far = Array::of({std::int32_t(40)});
    check((seven << far).at<std::int32_t>(0) == 0 && (seven >> far).at<std::int32_t>(1) == -1, "5");
    const Array masked = ufunc::add(seven, seven, {.where = Array::of({true, false})});
    check(masked.at<std::int32_t>(0) == 14 && masked.at<std::int32_t>(1) == 0, "6");
    auto gather = [](bool checked) {
        return jit("gather", [](In x, In i, Out y) { y(0) = x(i(0)); }, {.checked = checked});
    };
    const Array minus = Array::of({std::int64_t(-1)}), result = zeros({1}, i32);
    check(
        has(error_of([&] { gather(true)(seven, minus, result); }), "bounds") &&
            has(error_of([&] { jit([](In x, Out y) { y(0) = x(-1); })(seven, result); }), "bounds"),
        "7");
    check(has(error_of([&] { ones({2}, i8) + 1000; }), "type: different.cpp:"), "8");
    const Array many = linspace(0.0, 1.0, 1'000'001);
    set_num_threads(1);
    const double one_thread = only<double>(sum(many));
    set_num_threads(max_threads());
    check(only<double>(sum(many)) == one_thread, "9");
    check(has(error_of([] { zeros(Shape::filled(8, 1)).expand_dims(0); }), "shape"), "10");
    check(full({1}, 1.5f).astype(bf16).dtype() == bf16, "11");
    auto is_nan = vectorize([](Value x) { return isnan(x); }, {.fastmath = true});
    check(only<bool>(is_nan(Array::of({std::nan("")}))), "12");
}
