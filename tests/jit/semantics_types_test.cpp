// Dtypes, promotion and weak values in compiled kernels.
#include "tests/jit/semantics.h"

#include <complex>
#include <sstream>

using namespace kiln;
using namespace kiln::test;

namespace {

/// The dtype of f on arrays of these dtypes; nothing is compiled for zero-size arrays.
template <class... D> DType result_type(const Ufunc& f, D... dtypes) {
    return f(zeros({0}, dtypes)...).dtype();
}
template <class... D> std::string refusal(const Ufunc& f, D... dtypes) {
    return error_of([&] { f(zeros({0}, dtypes)...); }).message();
}

/// NumPy's spelling, as in its documentation's table.
DType numpy_type(const std::string& name) {
    const std::pair<const char*, DType> names[] = {
        {"b1", bool_}, {"i1", i8},  {"i2", i16}, {"i4", i32},  {"i8", i64},
        {"u1", u8},    {"u2", u16}, {"u4", u32}, {"u8", u64},  {"f2", f16},
        {"f4", f32},   {"f8", f64}, {"c8", c64}, {"c16", c128}};
    for (const auto& [text, dtype] : names) {
        if (name == text) return dtype;
    }
    FAIL(name);
    return f64;
}

// Sums of two arrays, from NumPy.
const char* const numpy_promotion = R"(
     b1  i1  i2  i4  i8  u1  u2  u4  u8  f2  f4  f8  c8 c16
 b1  b1  i1  i2  i4  i8  u1  u2  u4  u8  f2  f4  f8  c8 c16
 i1  i1  i1  i2  i4  i8  i2  i4  i8  f8  f2  f4  f8  c8 c16
 i2  i2  i2  i2  i4  i8  i2  i4  i8  f8  f4  f4  f8  c8 c16
 i4  i4  i4  i4  i4  i8  i4  i4  i8  f8  f8  f8  f8 c16 c16
 i8  i8  i8  i8  i8  i8  i8  i8  i8  f8  f8  f8  f8 c16 c16
 u1  u1  i2  i2  i4  i8  u1  u2  u4  u8  f2  f4  f8  c8 c16
 u2  u2  i4  i4  i4  i8  u2  u2  u4  u8  f4  f4  f8  c8 c16
 u4  u4  i8  i8  i8  i8  u4  u4  u4  u8  f8  f8  f8 c16 c16
 u8  u8  f8  f8  f8  f8  u8  u8  u8  u8  f8  f8  f8 c16 c16
 f4  f4  f4  f4  f8  f8  f4  f4  f8  f8  f4  f4  f8  c8 c16
 c8  c8  c8  c8 c16 c16  c8  c8 c16 c16  c8  c8 c16  c8 c16
)";

const DType all_but_bf16[] = {bool_, i8,  i16, i32, i64, u8,  u16,
                              u32,   u64, f16, f32, f64, c64, c128};

}  // namespace

TEST_CASE("compiled: Promotion is NumPy's NEP 50: every pair of dtypes in a kernel",
          "[jit][semantics][types]") {
    const auto add = add_ufunc();
    std::istringstream table(numpy_promotion);
    std::string line, word;
    std::getline(table, line);
    std::getline(table, line);
    std::vector<DType> columns;
    for (std::istringstream head(line); head >> word;) columns.push_back(numpy_type(word));
    REQUIRE(columns.size() == 14);
    int rows = 0;
    while (std::getline(table, line) && !line.empty()) {
        std::istringstream cells(line);
        cells >> word;
        const DType a = numpy_type(word);
        for (const DType b : columns) {
            cells >> word;
            INFO(name(a) << " + " << name(b));
            CHECK(result_type(add, a, b) == numpy_type(word));
            CHECK(result_type(add, b, a) == numpy_type(word));
        }
        ++rows;
    }
    CHECK(rows == 11);
    CHECK(result_type(add, f16, bf16) == DType::f32);
    CHECK(result_type(add, bf16, bf16) == DType::bf16);
}

TEST_CASE(
    "Promotion: i8+u8 -> i16, i32+u32 -> i64, i64+u64 -> f64, i16+f16 -> f32, i32+f32 -> "
    "f64, i8|i16+f32 -> f32, f16+bf16 -> f32, in machine code",
    "[jit][semantics][types]") {
    const auto add = add_ufunc();
    const auto sum = [&](auto a, auto b) {
        return everywhere(add, {row(std::vector{a}), row(std::vector{b})});
    };
    check_row(sum(std::int8_t(100), std::uint8_t(200)), std::vector<std::int16_t>{300});
    check_row(sum(highest<std::int32_t>, highest<std::uint32_t>),
              std::vector<std::int64_t>{6442450942});
    check_row(sum(std::int64_t(-1), highest<std::uint64_t>), std::vector<double>{0x1p64});
    check_row(sum(std::int16_t(2049), convert<float16>(0.5f)), std::vector<float>{2049.5f});
    check_row(sum(std::int32_t(16'777'217), 0.5f), std::vector<double>{16'777'217.5});
    check_row(sum(std::int8_t(3), 0.5f), std::vector<float>{3.5f});
    check_row(sum(std::int16_t(3), 0.5f), std::vector<float>{3.5f});
    check_row(sum(convert<float16>(0.5f), convert<bfloat16>(2.0f)), std::vector<float>{2.5f});
    CHECK(result_type(add, c64, f64) == DType::c128);
}

TEST_CASE("compiled: dtypes of functions are NumPy's, and so is what they refuse",
          "[jit][semantics][types]") {
    const auto sine = vectorize("sine", [](Value a) { return sin(a); });
    const auto angle = vectorize("angle", [](Value a, Value b) { return atan2(a, b); });
    const auto quotient = vectorize([](Value a, Value b) { return true_divide(a, b); });
    const auto less = vectorize([](Value a, Value b) { return a == b; });
    const auto nan = vectorize([](Value a) { return isnan(a); });
    for (const DType t : all_but_bf16) {
        INFO(name(t));
        const bool small = is_bool(t) || (is_integer(t) && size_of(t) == 1);
        const DType real = !is_bool(t) && !is_integer(t) ? t
                           : small                       ? DType::f16
                           : size_of(t) == 2             ? DType::f32
                                                         : DType::f64;
        CHECK(result_type(sine, t) == real);
        if (!is_complex(t)) CHECK(result_type(angle, t, t) == real);
        CHECK(result_type(quotient, t, t) == (is_bool(t) || is_integer(t) ? DType::f64 : t));
        CHECK(result_type(less, t, t) == DType::bool_);
        CHECK(result_type(nan, t) == DType::bool_);
    }
    // Of two integers it is the least real dtype that each converts to, as NumPy picks its loops,
    // not that of the integer they promote to: np.hypot(int8, uint8) is float16.
    const auto length = [](DType t) {
        return is_real(t)        ? t
               : size_of(t) == 1 ? DType::f16
               : size_of(t) == 2 ? DType::f32
                                 : DType::f64;
    };
    const Ufunc of_two[] = {
        angle,
        vectorize([](Value a, Value b) { return hypot(a, b); }),
        vectorize([](Value a, Value b) { return copysign(a, b); }),
        vectorize([](Value a, Value b) { return logaddexp(a, b); }),
        vectorize([](Value a, Value b) { return heaviside(a, b); }),
        vectorize([](Value a, Value b) { return fma(a, b, a); }),
    };
    for (const DType a : all_but_bf16) {
        for (const DType b : all_but_bf16) {
            if (is_complex(a) || is_complex(b)) continue;
            const DType real = size_of(length(a)) < size_of(length(b)) ? length(b) : length(a);
            INFO(name(a) << ", " << name(b));
            for (const Ufunc& f : of_two) CHECK(result_type(f, a, b) == real);
        }
    }
    CHECK(result_type(angle, bf16, i8) == DType::bf16);
    CHECK(result_type(angle, bf16, u16) == DType::f32);
    // A C++ number brings its kind only.
    const auto with_int = vectorize([](Value a) { return hypot(a, 1); });
    const auto with_real = vectorize([](Value a) { return hypot(a, 1.0); });
    const DType of_int[] = {f64, f16, f32, f64, f64, f16, f32, f64, f64, f16, f32, f64};
    for (std::size_t i = 0; i < std::size(of_int); ++i) {
        const DType t = all_but_bf16[i];
        CHECK(result_type(with_int, t) == of_int[i]);
        CHECK(result_type(with_real, t) == (is_real(t) ? t : DType::f64));
    }
    // Rounding: rint is of real numbers, the others and round keep integers.
    const auto nearest = vectorize([](Value a) { return rint(a); });
    const auto rounded = vectorize([](Value a) { return round(a); });
    const Ufunc keep[] = {vectorize([](Value a) { return floor(a); }),
                          vectorize([](Value a) { return ceil(a); }),
                          vectorize([](Value a) { return trunc(a); })};
    for (const DType t : all_but_bf16) {
        if (is_complex(t)) continue;
        INFO(name(t));
        CHECK(result_type(nearest, t) == length(t));
        CHECK(result_type(rounded, t) == (is_bool(t) ? DType::f16 : t));
        for (const Ufunc& f : keep) CHECK(result_type(f, t) == t);
    }
    check_row(everywhere(nearest, {row(std::vector<std::int32_t>{7, -3})}),
              std::vector<double>{7, -3});
    const auto modulus = vectorize([](Value a) { return abs(a); });
    CHECK(result_type(modulus, c64) == DType::f32);
    CHECK(result_type(modulus, c128) == DType::f64);
    // bool: sums are or, products and.
    const std::vector<Array> b{Array::of({false, false, true, true}),
                               Array::of({false, true, false, true})};
    check_truths(everywhere(add_ufunc(), b), {0, 1, 1, 1});
    check_truths(everywhere(vectorize([](Value p, Value q) { return p * q; }), b), {0, 0, 0, 1});
    const auto floored = vectorize("floored", [](Value p, Value q) { return floor_divide(p, q); });
    const auto shifted = vectorize("shifted", [](Value p, Value q) { return p << q; });
    CHECK(result_type(floored, bool_, bool_) == DType::i8);
    CHECK(result_type(shifted, bool_, bool_) == DType::i8);
    // Two integers without a common integer dtype have no bits in common.
    const std::uint32_t here = __LINE__ + 1;
    const auto right = vectorize([](Value p, Value q) { return p >> q; });
    const Error mixed = error_of([&] { right(zeros({2}, u64), zeros({2}, i64)); });
    CHECK(mixed.kind() == ErrorKind::type);
    CHECK(mixed.line() == here);
    CHECK(mixed.message() == ">> of (u64, i64): no integer dtype holds the values of both");
    CHECK(mixed.hint() ==
          "convert one of them, the i64 with cast<u64>(...) or the u64 with "
          "cast<i64>(...)");
    const auto message = [&](const Ufunc& f, DType a, DType b) {
        const Error error = error_of([&] { f(zeros({2}, a), zeros({2}, b)); });
        return error.message() + " | " + error.hint();
    };
    CHECK(message(vectorize([](Value p, Value q) { return p & q; }), u64, i64) ==
          "& of (u64, i64): no integer dtype holds the values of both | convert one of them, the "
          "i64 with cast<u64>(...) or the u64 with cast<i64>(...)");
    CHECK(message(shifted, i16, u64) ==
          "<< of (i16, u64): no integer dtype holds the values of both | convert one of them, the "
          "i16 with cast<u64>(...) or the u64 with cast<i64>(...)");
    CHECK(message(vectorize([](Value p, Value q) { return p | q; }), i8, u64) ==
          "| of (i8, u64): no integer dtype holds the values of both | convert one of them, the "
          "i8 with cast<u64>(...) or the u64 with cast<i64>(...)");
    CHECK(message(shifted, f32, u64) ==
          "<< takes integer operands, not (f32, u64) | convert with cast<T>(...)");
    check_row(vectorize([](Value p, Value q) { return p >> cast(u64, q); })(
                  row(std::vector<std::uint64_t>{256}), row(std::vector<std::int64_t>{4})),
              std::vector<std::uint64_t>{16});
    // Each refusal is a type error of the kernel's line.
    const auto minus = vectorize([](Value p, Value q) { return p - q; });
    const auto bits = vectorize([](Value p, Value q) { return p & q; });
    const std::pair<const Ufunc*, DType> refused[] = {
        {&minus, bool_}, {&bits, f32}, {&shifted, f64}, {&floored, c64}, {&angle, c128}};
    for (const auto& [f, t] : refused) {
        const Error error = error_of([&] { (*f)(zeros({0}, t), zeros({0}, t)); });
        CHECK(error.kind() == ErrorKind::type);
        CHECK(error.file() == __FILE__);
        CHECK(error.message().find(name(t)) != std::string::npos);
    }
}

TEST_CASE("compiled: bool is 1 byte in memory, i1 only inside a computation",
          "[jit][semantics][types]") {
    const auto less = vectorize([](Value a, Value b) { return a < b; });
    const Array r = less(row(std::vector<int>{1, 5}), row(std::vector<int>{2, 4}));
    CHECK(r.item_size() == 1);
    CHECK(r.data()[0] == std::byte(1));
    CHECK(r.data()[1] == std::byte(0));
    CHECK(less.inspect(Artifact::llvm, {i32[1], i32[1]}).find("x i8>") != std::string::npos);
}

TEST_CASE("compiled: f16 and bf16 are storage types that compute in f32",
          "[jit][semantics][types]") {
    // 2048 + 1 is no f16, 256 + 1 no bf16: each operation rounds, to even.
    const auto twice = vectorize([](Value a) { return (a + 1) + 1; });
    const Array half = Array::of({convert<float16>(2048.0f)});
    CHECK(at(everywhere(twice, {half}), 0) == 2048);
    CHECK(at(everywhere(twice, {Array::of({convert<bfloat16>(256.0f)})}), 0) == 256);
    CHECK(everywhere(twice, {half}).dtype() == DType::f16);
    // A product that overflows f16, and one that f32 holds exactly.
    const auto square_of = vectorize([](Value a) { return a * a; });
    CHECK(at(square_of(Array::of({convert<float16>(300.0f)})), 0) == inf);
    CHECK(at(square_of(Array::of({convert<bfloat16>(300.0f)})), 0) == 90112);  // 11 * 2^13
}

TEST_CASE("compiled: C++ arithmetic values are weak: literals and captured variables",
          "[jit][semantics][weak]") {
    const int one = 1;
    const double two = 2;
    const Array bytes = row(std::vector<std::uint8_t>{255, 7});
    const Array singles = row(std::vector<float>{1.5f, 16'777'216.0f});
    check_row(everywhere(vectorize([](Value a) { return a + 1; }), {bytes}),
              std::vector<std::uint8_t>{0, 8});
    check_row(everywhere(vectorize([=](Value a) { return a + one; }), {bytes}),
              std::vector<std::uint8_t>{0, 8});
    check_row(everywhere(vectorize([](Value a) { return a * 2.0; }), {singles}),
              std::vector<float>{3, 33'554'432});
    check_row(everywhere(vectorize([=](Value a) { return a * two + 1; }), {singles}),
              std::vector<float>{4, 33'554'432});
    check_row(everywhere(vectorize([](Value a) { return a + 1.0; }),
                         {row(std::vector<std::int8_t>{127})}),
              std::vector<double>{128});
    check_row(everywhere(vectorize([](Value a) { return a + true; }), {bytes}),
              std::vector<std::uint8_t>{0, 8});
    check_row(everywhere(vectorize([](Value a) { return a + 1e300; }), {singles}),
              std::vector<float>{std::numeric_limits<float>::infinity(),
                                 std::numeric_limits<float>::infinity()});
    const auto plus_i = vectorize([](Value a) { return a + std::complex<double>(0, 1); });
    CHECK(result_type(plus_i, f32) == DType::c64);
    CHECK(result_type(plus_i, f64) == DType::c128);
    CHECK(result_type(plus_i, i32) == DType::c128);
    // Through functions and Vars as well.
    CHECK(result_type(vectorize([](Value a) { return maximum(a, 0); }), u8) == DType::u8);
    CHECK(result_type(vectorize([](Value a) { return pow(a, 2.0); }), f32) == DType::f32);
    CHECK(result_type(vectorize([](Value a) { return select(a > 0, a, 0); }), f32) == DType::f32);
    CHECK(result_type(vectorize([](Value a) {
                          Var v = a;
                          v *= 0.5;
                          return v;
                      }),
                      f32) == DType::f32);
}

TEST_CASE("compiled: `i8_array + 1000` is an error (not representable)", "[jit][semantics][weak]") {
    std::uint32_t line = 0;
    const int captured = 1000;
    const auto add = vectorize("add", [&](Value a) {
        line = __LINE__ + 1;
        return a + captured;
    });
    const Array x = zeros({3}, DType::i8);
    const Error error = error_of([&] { add(x); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "1000 is not representable in i8");
    CHECK(error.line() == line);
    CHECK(error.file() == __FILE__);
    CHECK(add(zeros({1}, DType::i16)).dtype() == DType::i16);
    CHECK(error_of([&] { add_ufunc()(x, 1000); }).message() ==
          "1000 is not representable in i8: argument 2 of add");
}

TEST_CASE("compiled: where all operands are weak they count with their C++ types",
          "[jit][semantics][weak]") {
    const auto add = add_ufunc();
    check_row(add(std::int8_t(100), std::int8_t(100)).reshape({1}), std::vector<std::int8_t>{-56});
    check_row(add(std::int8_t(100), 100).reshape({1}), std::vector<std::int32_t>{200});
    check_row(add(1, 2.5f).reshape({1}), std::vector<double>{3.5});  // i32 with f32
    check_row(add(1.0f, 2.5f).reshape({1}), std::vector<float>{3.5f});
    const auto constants =
        vectorize([](Value a) { return a + (Value(std::int8_t(100)) + Value(std::int8_t(100))); });
    check_row(everywhere(constants, {row(std::vector<float>{0})}), std::vector<float>{-56});
}

TEST_CASE("compiled: A rank-0 Array or `f64(2.0)` is strong", "[jit][semantics][weak]") {
    const auto multiply = vectorize([](Value a, Value b) { return a * b; });
    const Array x = ones({3}, DType::f32);
    check_row(multiply(x, Array::of(f64(2.0))), std::vector<double>{2, 2, 2});
    check_row(multiply(x, f64(2.0)), std::vector<double>{2, 2, 2});
    check_row(multiply(x, f16(2.0)), std::vector<float>{2, 2, 2});
    check_row(vectorize([](Value a) { return a * f64(2.0); })(x), std::vector<double>{2, 2, 2});
    check_row(vectorize([](Value a) { return a + i64(1); })(zeros({1}, DType::u8)),
              std::vector<std::int64_t>{1});
}

TEST_CASE("compiled: Mixed signed/unsigned comparisons are mathematically exact",
          "[jit][semantics][types]") {
    for_integers([](auto first) {
        for_integers([](auto second) {
            using A = decltype(first);
            using B = decltype(second);
            if constexpr (std::is_signed_v<A> != std::is_signed_v<B>) {
                INFO(name(dtype_of<A>) << " with " << name(dtype_of<B>));
                std::vector<A> a;
                std::vector<B> b;
                std::vector<int> less, equal, at_least;
                for (const A p : {lowest<A>, static_cast<A>(-1), A(0), A(1), highest<A>}) {
                    for (const B q : {lowest<B>, static_cast<B>(-1), B(0), B(1), highest<B>}) {
                        a.push_back(p);
                        b.push_back(q);
                        less.push_back(std::cmp_less(p, q));
                        equal.push_back(std::cmp_equal(p, q));
                        at_least.push_back(std::cmp_greater_equal(p, q));
                    }
                }
                const std::vector<Array> x{row(a), row(b)};
                check_truths(everywhere(vectorize([](Value p, Value q) { return p < q; }), x),
                             less);
                check_truths(everywhere(vectorize([](Value p, Value q) { return p == q; }), x),
                             equal);
                check_truths(everywhere(vectorize([](Value p, Value q) { return p >= q; }), x),
                             at_least);
            }
        });
    });
    // With a C++ value, and with one that its operand's dtype cannot represent.
    check_truths(everywhere(vectorize([](Value a) { return a > -1; }),
                            {row(std::vector<std::uint64_t>{0, highest<std::uint64_t>})}),
                 {1, 1});
    check_truths(everywhere(vectorize([](Value a) { return a < 1000; }),
                            {row(std::vector<std::int8_t>{-128, 127})}),
                 {1, 1});
}

TEST_CASE(
    "A `Var` has one type for life; storing a value that would narrow is an error that says "
    "to write `cast<T>(...)`",
    "[jit][semantics][types]") {
    std::uint32_t line = 0;
    const auto narrow = vectorize("narrow", [&](Value a) {
        Var v(f32, 0);
        line = __LINE__ + 1;
        v = a;
        return v;
    });
    CHECK(narrow(zeros({2}, DType::f32)).dtype() == DType::f32);
    CHECK(narrow(zeros({2}, DType::i16)).dtype() == DType::f32);
    const Error error = error_of([&] { narrow(zeros({2})); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "cannot store f64 into the Var of line " + std::to_string(line - 2) +
                                 " (f32) without narrowing");
    CHECK(error.hint() == "write cast<float>(...)");
    CHECK(error.line() == line);
    const auto written = vectorize([](Value a) {
        Var v(f32, 0);
        v = cast<float>(a);
        return v;
    });
    check_row(everywhere(written, {row(std::vector<double>{0.1})}), std::vector<float>{0.1f});
    // The type is that of the first value, whatever follows.
    check_row(everywhere(vectorize([](Value a) {
                             Var v = std::uint8_t(250);
                             v += 10;
                             return v + a * 0;
                         }),
                         {row(std::vector<std::uint8_t>{1})}),
              std::vector<std::uint8_t>{4});
}
