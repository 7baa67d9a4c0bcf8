// The ready ufuncs, the functions and operators on Arrays. Expected values are mathematics, or what
// NumPy 2 gives.
#include "tests/jit/support.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>

using namespace std;
using namespace kiln;
using kiln::test::check_values;
using kiln::test::error_of;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

/// Every ready ufunc by its names.
std::map<std::string, const Ufunc*> all_ready() {
    std::map<std::string, const Ufunc*> all;
#define KILN_NAMED(id, arity, rule, cuda, doc) all[#id] = &static_cast<const Ufunc&>(ufunc::id);
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    all[#id] = &static_cast<const Ufunc&>(ufunc::id);
#define KILN_COMPOSITE(id, arity, results, doc) all[#id] = &static_cast<const Ufunc&>(ufunc::id);
#define KILN_UFUNC(id, arity, expression, doc) all[#id] = &static_cast<const Ufunc&>(ufunc::id);
#define KILN_UFUNC_ALIAS(id, arity, of) all[#id] = &static_cast<const Ufunc&>(ufunc::id);
#include <kiln/ops.def>
    return all;
}

/// The same elements, NaN equal to NaN, -0 other than 0.
void check_same(const Array& given, const Array& expected) {
    REQUIRE(given.dtype() == expected.dtype());
    REQUIRE(given.shape() == expected.shape());
    const Array a = given.contiguous(), b = expected.contiguous();
    for (std::int64_t i = 0; i < a.size(); ++i) {
        const double x = test::at(a, i), y = test::at(b, i);
        INFO("element " << i << ": " << x << " for " << y);
        CHECK((x == y || (x != x && y != y)));
        CHECK((std::signbit(x) == std::signbit(y) || x != x));
    }
}

}  // namespace

TEST_CASE("ready: functions of arrays, beside those of the standard library", "[jit][ufunc]") {
    const Array x = Array::of({0.0, 1.0, 4.0});
    // Under both using directives, by the arguments.
    check_values(sqrt(x), {0, 1, 2});
    check_values(kiln::sqrt(x), {0, 1, 2});
    CHECK(sqrt(4.0) == 2.0);
    check_values(maximum(x, 2.0), {2, 2, 4});
    check_values(maximum(2.0, x), {2, 2, 4});
    check_values(fmin(x, Array::of({3.0, 0.5, std::nan("")})), {0, 0.5, 4});
    check_values(hypot(x, Array::of({2.0, 0.0, 3.0})), {2, 1, 5});
    check_values(clip(x, 0.5, 2.0), {0.5, 1, 2});
    check_values(select(x > 0.5, x, -1), {-1, 1, 4});
    check_values(fma(x, 2.0, 1.0), {1, 3, 9});
    const std::vector<float> v{1, 4};
    CHECK(kiln::sqrt(v).dtype() == DType::f32);
    check_values(kiln::maximum(v, std::vector<float>{2, 2}), {2, 4});
    const Array out = zeros({3});
    CHECK(exactly_same(sqrt(x, {.out = out}), out));
    check_values(sqrt(x, {.where = x > 1.0}), {0, 0, 2});
    const auto [quotient, remainder] = divmod(Array::of({7, -7}), 4);
    check_values(quotient, {1, -2});
    check_values(remainder, {3, 1});
}

TEST_CASE("ready: objects by NumPy's names, with methods, and in kernels", "[jit][ufunc]") {
    const Array x = Array::of({{1, 5, 2}, {4, 0, 6}});
    using ufunc::maximum;
    check_values(maximum.reduce(x, {.axis = 1}), {5, 6});
    check_values(ufunc::add(x, 10, {.where = x > 3}), {0, 15, 0, 14, 0, 16});
    check_values(ufunc::add(2, 3), {5});
    check_values(ufunc::subtract.outer(Array::of({1, 2}), Array::of({10, 20})), {-9, -19, -8, -18});
    check_values(ufunc::where(x > 3, x, 0), {0, 5, 0, 4, 0, 6});
    CHECK(ufunc::divide(x, 2).dtype() == DType::f64);
    const auto f = vectorize([](Value a, Value b) {
        using ufunc::logaddexp2;
        return maximum(a, b) + ufunc::add(a, 1.0) + logaddexp2(a, b);
    });
    check_values(f(Array::of({1.0, 3.0}), Array::of({1.0, 3.0})), {1 + 2 + 2, 3 + 4 + 4});
    // Aliases are the same ufunc.
    CHECK(&static_cast<const Ufunc&>(ufunc::power) == &static_cast<const Ufunc&>(ufunc::pow));
}

TEST_CASE("ready: attributes are NumPy's", "[jit][ufunc]") {
    CHECK(ufunc::add->name() == "add");
    CHECK(ufunc::add->nin() == 2);
    CHECK(ufunc::add->nout() == 1);
    CHECK(ufunc::add->nargs() == 3);
    CHECK(ufunc::divmod->nout() == 2);
    CHECK(ufunc::exp->nargs() == 2);
    CHECK(ufunc::add->signature() == "(),()->()");
    CHECK(ufunc::frexp->signature() == "()->(),()");
    CHECK(ufunc::hypot->doc() == "sqrt(a*a + b*b) without overflow; inf if either is infinite");
    CHECK(ufunc::add->identity()->cast(DType::f64).get<double>() == 0);
    CHECK(ufunc::multiply->identity()->cast(DType::f64).get<double>() == 1);
    CHECK(ufunc::logaddexp->identity()->cast(DType::f64).get<double>() == -inf);
    CHECK(ufunc::bitwise_and->identity()->cast(DType::i8).get<std::int8_t>() == -1);
    CHECK_FALSE(ufunc::maximum->identity());
    CHECK_FALSE(ufunc::subtract->identity());
    CHECK_FALSE(ufunc::exp->identity());
}

TEST_CASE("ready: dtypes of results are NumPy's", "[jit][ufunc]") {
    std::ifstream lines(KILN_TESTS_DIR "/jit/ufunc/numpy_dtypes.txt");  // which says what it has
    REQUIRE(lines.is_open());
    std::map<std::string, DType> by_name;
    for (std::size_t d = 0; d < dtype_count; ++d)
        by_name[std::string(name(static_cast<DType>(d)))] = static_cast<DType>(d);
    const auto ready = all_ready();
    std::vector<Array> columns;
    std::string line;
    int count = 0;
    while (std::getline(lines, line)) {
        if (line[0] == '#') continue;
        std::istringstream words(line);
        std::string word;
        if (columns.empty()) {
            while (words >> word) columns.push_back(zeros({0}, by_name.at(word)));
            continue;
        }
        words >> word;
        REQUIRE(ready.contains(word));
        const Ufunc& f = *ready.at(word);
        std::optional<Array> first;
        if (words >> word; word != ":") {
            first = zeros({0}, by_name.at(word));
            words >> word;
        }
        for (const Array& column : columns) {
            words >> word;
            if (word == ".") continue;
            INFO(line << " at " << name(column.dtype()));
            std::string given;
            try {
                const Resolution all = first ? f.resolve({*first, column}) : f.resolve({column});
                for (const DType dtype : all.results)
                    given += (given.empty() ? "" : "/") + std::string(name(dtype));
            } catch (const Error& error) {
                CHECK(error.kind() == ErrorKind::type);
                given = "-";
            }
            CHECK(given == word);
            ++count;
        }
    }
    CHECK(count > 6000);
}

TEST_CASE("ready: README's table of NumPy's ufuncs is true", "[jit][ufunc]") {
    std::ifstream file(KILN_TESTS_DIR "/../jit/README.md");
    std::stringstream text;
    text << file.rdbuf();
    const std::string readme = text.str();
    const std::size_t begin = readme.find("<!-- ready ufuncs -->"),
                      end = readme.find("<!-- end of ready ufuncs -->");
    REQUIRE(begin != std::string::npos);
    REQUIRE(end != std::string::npos);
    const std::string table = readme.substr(begin, end - begin);
    for (const auto& [name, function] : all_ready()) {
        INFO(name);
        CHECK(table.find("`" + name + "`") != std::string::npos);
    }
    // And nothing that is not there: names stand in backticks, those that are missing do not.
    const auto ready = all_ready();
    std::size_t at = begin;
    while ((at = readme.find('`', at)) < end) {
        const std::size_t close = readme.find('`', at + 1);
        const std::string name = readme.substr(at + 1, close - at - 1);
        INFO(name);
        CHECK(ready.contains(name));
        at = close + 1;
    }
}

TEST_CASE("ready: operators on arrays", "[jit][ufunc]") {
    const Array a = Array::of({7, -7, 3}), b = Array::of({2, 2, 0});
    check_values(a + b, {9, -5, 3});
    check_values(a - 1, {6, -8, 2});
    check_values(10 - a, {3, 17, 7});
    check_values(a * 2.5, {17.5, -17.5, 7.5});
    CHECK((a * 2.5).dtype() == DType::f64);
    CHECK((a * 2).dtype() == DType::i32);
    // As in C++ and in kernels: truncated, and 0 for x / 0.
    check_values(a / b, {3, -3, 0});
    check_values(a % b, {1, -1, 0});
    check_values(a / 2.0, {3.5, -3.5, 1.5});
    check_values(a & 3, {3, 1, 3});
    check_values(a | 8, {15, -7, 11});
    check_values(a ^ b, {5, -5, 3});
    check_values(b << 2, {8, 8, 0});
    check_values(a >> 1, {3, -4, 1});
    check_values(a == 7, {1, 0, 0});
    check_values(a != b, {1, 1, 1});
    check_values(a < b, {0, 1, 0});
    check_values(a <= 3, {0, 1, 1});
    check_values(a > b, {1, 0, 1});
    check_values(3 >= a, {0, 1, 1});
    check_values(a > 0 && b > 0, {1, 0, 0});
    check_values(a < 0 || b == 0, {0, 1, 1});
    CHECK((a < b).dtype() == DType::bool_);
    check_values(-a, {-7, 7, -3});
    check_values(+a, {7, -7, 3});
    check_values(~b, {-3, -3, -1});
    check_values(!b, {0, 0, 1});
    const std::vector<int> v{1, 2, 3};
    check_values(a + v, {8, -5, 6});
    check_values(v * a, {7, -14, 9});
    check_values(a.expand_dims(1) * b, {14, 14, 0, -14, -14, 0, 6, 6, 0});
    CHECK((Array::of({1.0f}) + 1.0).dtype() == DType::f32);
    CHECK((Array::of({1.0f}) + f64(1.0)).dtype() == DType::f64);
}

TEST_CASE("ready: updates are in place", "[jit][ufunc]") {
    Array a = Array::of({1.0f, 2.0f, 3.0f});
    const Array same = a;
    a += 1;
    a *= a;
    check_values(same, {4, 9, 16});
    a(Slice{1, {}}) -= 9.0;
    check_values(a, {4, 0, 7});
    a /= 2;
    check_values(a, {2, 0, 3.5});
    // Overlapping, as if the right side were copied first.
    a(Slice{1, {}}) += a(Slice{{}, 2});
    check_values(a, {2, 2, 3.5});
    Array i = Array::of({5, 6, 12});
    i %= 4;
    i |= 8;
    i ^= 1;
    i <<= 1;
    i >>= 2;
    i &= 6;
    check_values(i, {4, 4, 4});
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error error = error_of([&] { i += 0.5; });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.line() == line);
    CHECK(error.message() == "cannot cast output of add from f64 to i32 under same_kind");
    CHECK(error_of([&] { i.as_read_only() += 1; }).message() == "the output of add is read-only");
}

TEST_CASE("ready: errors have the line of the call", "[jit][ufunc]") {
    const Array x = zeros({3, 4}), y = zeros({5}), b = zeros({2}, DType::bool_),
                c = zeros({2}, DType::c64);
    auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    Error error = error_of([&] { x + y; });
    CHECK(error.kind() == ErrorKind::shape);
    CHECK(error.line() == line);
    CHECK(error.message() == "cannot broadcast (3,4) with (5,)");
    line = static_cast<std::uint32_t>(__LINE__ + 1);
    error = error_of([&] { return b - b; });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.line() == line);
    CHECK(error.message() == "- takes numbers, not (bool, bool)");
    line = static_cast<std::uint32_t>(__LINE__ + 1);
    error = error_of([&] { floor(c); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.line() == line);
    CHECK(error.message() == "floor takes a real operand, not (c64)");
    line = static_cast<std::uint32_t>(__LINE__ + 1);
    error = error_of([&] { pow(Array::of({2, 3}), Array::of({1, -1})); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == line);
    CHECK(error.message() == "integer to a negative integer power at index (1,)");
    CHECK(error_of([&] { nextafter(c, 1.0); }).message() ==
          "nextafter takes real operands, not (c64, f64)");
    CHECK(error_of([&] { ldexp(x, 1.5); }).message() ==
          "ldexp takes a real number and an integer, not (f64, f64)");
    CHECK(error_of([&] { bitwise_count(x); }).message() ==
          "bitwise_count takes integers, not (f64)");
    CHECK(error_of([&] { positive(b); }).message() == "positive takes numbers, not (bool)");
}

TEST_CASE("ready: parts of floating-point numbers, against the C library", "[jit][ufunc]") {
    std::vector<double> numbers{0.0,
                                -0.0,
                                1.0,
                                -1.0,
                                0.5,
                                2.0,
                                3.0,
                                -7.25,
                                1e300,
                                -1e-300,
                                5e-324,
                                -5e-324,
                                2.2250738585072014e-308,
                                4.450147717014403e-308,
                                1.7976931348623157e308,
                                inf,
                                -inf,
                                std::nan(""),
                                1e-310,
                                0x1p-969,
                                0x1p-900,
                                0x1.fffffffffffffp-901,
                                0x1p-1021};
    for (int e = -1074; e < 1024; e += 37)
        for (const double m : {1.0, 1.5, 0x1.fffffffffffffp0}) {
            numbers.push_back(std::ldexp(m, e));
            numbers.push_back(-std::ldexp(m, e));
        }
    const Array x = numbers;
    const auto mapped = [&](auto f) {
        std::vector<double> all;
        for (const double number : numbers) all.push_back(f(number));
        return Array(std::move(all));
    };
    check_same(fabs(x), mapped([](double a) { return std::fabs(a); }));
    for (const double to : {inf, -inf, 0.0, 1.0})
        check_same(nextafter(x, to), mapped([&](double a) { return std::nextafter(a, to); }));
    check_same(spacing(x), mapped([](double a) {
                   if (!std::isfinite(a)) return std::nan("");
                   return std::nextafter(a, a >= 0 ? inf : -inf) - a;
               }));
    const auto [fraction, whole] = modf(x);
    check_same(fraction, mapped([](double a) {
                   double part;
                   return std::modf(a, &part);
               }));
    check_same(whole, mapped([](double a) { return std::trunc(a); }));
    const auto [mantissa, exponent] = frexp(x);
    CHECK(exponent.dtype() == DType::i32);
    check_same(mantissa, mapped([](double a) {
                   int e;
                   return std::frexp(a, &e);
               }));
    check_same(exponent.astype(f64), mapped([](double a) {
                   int e = 0;
                   std::frexp(a, &e);
                   return std::isfinite(a) ? double(e) + 0.0 : 0.0;
               }));
    for (const int n : {0, 1, -1, 52, -53, 1023, -1022, -1074, 2000, -2100, 100000, -100000})
        check_same(ldexp(x, n), mapped([&](double a) { return std::ldexp(a, n); }));
    check_same(ldexp(mantissa, exponent), x);
}

TEST_CASE("ready: the same in f32, f16 and bf16", "[jit][ufunc]") {
    std::vector<float> numbers{0.0f,
                               -0.0f,
                               1.0f,
                               -1.0f,
                               3.0f,
                               1e-45f,
                               -1e-45f,
                               3.4028235e38f,
                               1.17549435e-38f,
                               2.3509887e-38f,
                               std::numeric_limits<float>::infinity()};
    for (int e = -149; e < 128; e += 11)
        for (const float m : {1.0f, 1.5f, 1.9999999f}) numbers.push_back(std::ldexp(m, e));
    const Array x = numbers;
    const auto mapped = [&](auto f) {
        std::vector<float> all;
        for (const float number : numbers) all.push_back(f(number));
        return Array(std::move(all));
    };
    for (const float to : {-std::numeric_limits<float>::infinity(), 0.0f, 1e30f})
        check_same(nextafter(x, to), mapped([&](float a) { return std::nextafterf(a, to); }));
    check_same(frexp(x).first, mapped([](float a) {
                   int e;
                   return std::frexp(a, &e);
               }));
    for (const int n : {1, -1, 127, -126, -149, 200, -170, 400, -400, 1000})
        check_same(ldexp(x, n), mapped([&](float a) { return std::ldexp(a, n); }));
    // Every f16: neighbours differ by one in their bits.
    std::vector<std::uint16_t> bits;
    for (unsigned b = 0; b < 0x7c00; ++b) bits.push_back(static_cast<std::uint16_t>(b));
    const auto halves = [](const std::vector<std::uint16_t>& from) {
        return Array::from_memory(from.data(), DType::f16, Shape(from.size()), Shape(2)).copy();
    };
    const Array h = halves(bits);
    std::vector<std::uint16_t> after = bits;
    for (auto& b : after) ++b;
    check_same(nextafter(h, f16(inf)), halves(after));
    check_same(nextafter(halves(after), f16(-inf)), h);
    check_same(nextafter(-h, f16(-inf)), -halves(after));
    const auto [m, e] = frexp(h);
    check_same(ldexp(m, e), h);
    const Array one = Array::of({1.0f, 65280.0f}).astype(bf16);
    check_values(nextafter(one, bf16(1e30)).astype(f32), {1.0078125, 65536});
    check_values(spacing(one).astype(f32), {0.0078125, 256});
}

TEST_CASE("ready: counts of bits, logaddexp2, float_power", "[jit][ufunc]") {
    check_values(bitwise_count(Array::of({0, 1, 255, -255, -1, 2147483647})), {0, 1, 8, 8, 1, 31});
    const Array wide = Array::of({std::uint64_t(0), ~std::uint64_t(0), std::uint64_t(1) << 63});
    check_values(bitwise_count(wide), {0, 64, 1});
    check_values(bitwise_count(Array::of({std::int8_t(-128), std::int8_t(127)})), {1, 7});
    CHECK(bitwise_count(wide).dtype() == DType::u8);
    check_values(logaddexp2(Array::of({3.0, -inf, inf}), Array::of({3.0, 5.0, inf})), {4, 5, inf});
    CHECK(test::at(logaddexp2(Array::of({0.0}), 1.0), 0) == Approx(std::log2(3.0)));
    check_values(float_power(Array::of({2, 4}), -1), {0.5, 0.25});
    CHECK(float_power(Array::of({2.0f}), 2).dtype() == DType::f64);
}
