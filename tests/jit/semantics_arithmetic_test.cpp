// Scalar arithmetic of compiled kernels.
#include "tests/jit/semantics.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// Wide enough for every quotient, product and power of two operands.
__extension__ using Wide = __int128;

template <class T> std::vector<T> divisors() {
    std::vector<T> all{lowest<T>,  static_cast<T>(lowest<T> + 1),
                       T(0),       T(1),
                       T(2),       T(3),
                       T(7),       T(5),
                       highest<T>, T(highest<T> - 1)};
    if (std::is_signed_v<T>) {
        for (const int v : {-1, -2, -7}) all.push_back(static_cast<T>(v));
    }
    return all;
}

struct Quotients {
    Wide truncated, remainder, floored, modulus;
};
/// The mathematics, and 0 for division by zero.
Quotients divide_exactly(Wide a, Wide b) {
    if (b == 0) return {0, 0, 0, 0};
    const Wide q = a / b, r = a % b;
    const bool adjust = r != 0 && (r < 0) != (b < 0);
    return {q, r, adjust ? q - 1 : q, adjust ? r + b : r};
}

template <class T> void check_division() {
    INFO(name(dtype_of<T>));
    const auto [a, b] = all_pairs(divisors<T>());
    std::vector<T> quotient, remainder, floored, modulus;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const Quotients q = divide_exactly(a[i], b[i]);
        quotient.push_back(static_cast<T>(q.truncated));  // MIN / -1 wraps to MIN
        remainder.push_back(static_cast<T>(q.remainder));
        floored.push_back(static_cast<T>(q.floored));
        modulus.push_back(static_cast<T>(q.modulus));
    }
    const std::vector<Array> x{row(a), row(b)};
    check_row(everywhere(vectorize([](Value p, Value q) { return p / q; }), x), quotient);
    check_row(everywhere(vectorize([](Value p, Value q) { return p % q; }), x), remainder);
    check_row(everywhere(vectorize([](Value p, Value q) { return fmod(p, q); }), x), remainder);
    check_row(everywhere(vectorize([](Value p, Value q) { return floor_divide(p, q); }), x),
              floored);
    check_row(everywhere(vectorize([](Value p, Value q) { return mod(p, q); }), x), modulus);
    const auto both = vectorize([](Value p, Value q) { return divmod(p, q); });
    const std::vector<Array> r = both.all(x[0], x[1]);
    check_row(r[0], floored);
    check_row(r[1], modulus);
}

template <class T> void check_shifts() {
    INFO(name(dtype_of<T>));
    constexpr int width = 8 * sizeof(T);
    std::vector<T> values{T(0), T(1), T(5), highest<T>, lowest<T>, static_cast<T>(-8)}, a, b;
    for (const T v : values) {
        for (const int count : {0, 1, 3, width - 1, width, width + 1, 100, -1}) {
            a.push_back(v);
            b.push_back(static_cast<T>(count));
        }
        a.insert(a.end(), {v, v});
        b.insert(b.end(), {lowest<T>, highest<T>});
    }
    std::vector<T> left, right;
    for (std::size_t i = 0; i < a.size(); ++i) {
        using U = std::make_unsigned_t<T>;
        const bool inside = Wide(b[i]) >= 0 && Wide(b[i]) < width;
        left.push_back(inside ? static_cast<T>(static_cast<U>(Wide(U(a[i])) << b[i])) : T(0));
        right.push_back(inside           ? static_cast<T>(Wide(a[i]) >> b[i])
                        : Wide(a[i]) < 0 ? T(-1)
                                         : T(0));
    }
    const std::vector<Array> x{row(a), row(b)};
    check_row(everywhere(vectorize([](Value p, Value q) { return p << q; }), x), left);
    check_row(everywhere(vectorize([](Value p, Value q) { return p >> q; }), x), right);
}

template <class To, class From> void check_saturation(const std::vector<double>& numbers) {
    INFO(name(dtype_of<From>) << " to " << name(dtype_of<To>));
    std::vector<From> in;
    std::vector<To> out;
    for (const double number : numbers) {
        in.push_back(convert<From>(number));
        const auto exact = static_cast<long double>(convert<double>(in.back()));
        const auto low = static_cast<long double>(lowest<To>);
        const auto high = static_cast<long double>(highest<To>);
        out.push_back(std::isnan(exact) ? To(0)
                      : exact <= low    ? lowest<To>
                      : exact >= high   ? highest<To>
                                        : static_cast<To>(std::trunc(exact)));
    }
    const auto f = vectorize([](Value a) { return cast<To>(a); });
    check_row(everywhere(f, {row(in)}), out);
    Array unsafe = empty({static_cast<std::int64_t>(in.size())}, dtype_of<To>);
    vectorize([](Value a) { return a; })(row(in), {.out = unsafe, .casting = Casting::unsafe});
    check_row(unsafe, out);
    Array looped = empty({static_cast<std::int64_t>(in.size())}, dtype_of<To>);
    jit([](In x, Out z) {
        for (Index i : range(x.extent(0))) z(i) = cast<To>(x(i));
    })(row(in), looped);
    check_row(looped, out);
}

}  // namespace

TEST_CASE("compiled: Integers wrap", "[jit][semantics][arithmetic]") {
    for_integers([](auto zero) {
        using T = decltype(zero);
        INFO(name(dtype_of<T>));
        const auto [a, b] = all_pairs(
            std::vector<T>{lowest<T>, highest<T>, T(100), T(7), T(0), T(1), static_cast<T>(-1)});
        std::vector<T> sum, difference, product, negative, magnitude;
        for (std::size_t i = 0; i < a.size(); ++i) {
            sum.push_back(static_cast<T>(Wide(a[i]) + b[i]));
            difference.push_back(static_cast<T>(Wide(a[i]) - b[i]));
            product.push_back(static_cast<T>(static_cast<unsigned __int128>(Wide(a[i])) *
                                             static_cast<unsigned __int128>(Wide(b[i]))));
            negative.push_back(static_cast<T>(-Wide(a[i])));
            magnitude.push_back(static_cast<T>(Wide(a[i]) < 0 ? -Wide(a[i]) : Wide(a[i])));
        }
        const std::vector<Array> x{row(a), row(b)};
        check_row(everywhere(vectorize([](Value p, Value q) { return p + q; }), x), sum);
        check_row(everywhere(vectorize([](Value p, Value q) { return p - q; }), x), difference);
        check_row(everywhere(vectorize([](Value p, Value q) { return p * q; }), x), product);
        check_row(everywhere(vectorize([](Value p) { return -p; }), {x[0]}), negative);
        check_row(everywhere(vectorize([](Value p) { return abs(p); }), {x[0]}), magnitude);
    });
}

TEST_CASE(
    "`/` and `%` truncate; `floor_divide`, `mod`, `divmod` floor; x/0 -> 0, x%0 -> 0, "
    "MIN/-1 -> MIN",
    "[jit][semantics][arithmetic]") {
    for_integers([](auto zero) { check_division<decltype(zero)>(); });
}

TEST_CASE("compiled: x/0 -> 0 in every form: constants, scalars, Vars, casts of bool",
          "[jit][semantics][arithmetic]") {
    const Array x = row(std::vector<std::int32_t>{7, -7, 0, lowest<std::int32_t>});
    const std::vector<std::int32_t> zeros(4, 0);
    check_row(everywhere(vectorize([](Value a) { return a / 0; }), {x}), zeros);
    check_row(everywhere(vectorize([](Value a) { return a % 0; }), {x}), zeros);
    check_row(everywhere(vectorize([](Value a) { return mod(a, 0); }), {x}), zeros);
    check_row(everywhere(vectorize([](Value a) { return floor_divide(a, 0); }), {x}), zeros);
    check_row(everywhere(vectorize([](Value a) { return a / -1; }), {x}),
              std::vector<std::int32_t>{-7, 7, 0, lowest<std::int32_t>});
    check_row(everywhere(vectorize([](Value a) { return 5 / (a - a); }), {x}), zeros);
    check_row(everywhere(vectorize([](Value a) { return reciprocal(a - a); }), {x}), zeros);
    check_row(everywhere(vectorize([](Value a) {
                             Var v = a, w = a;
                             v /= a - a;
                             w %= a - a;
                             return v + w;
                         }),
                         {x}),
              zeros);
    const auto divide = vectorize([](Value a, Value b) { return a / b; });
    check_row(divide(x, 0), zeros);  // a divisor that is one value for the whole row
    check_row(divide(x, i32(0)), zeros);
    check_row(divide(x, -1), std::vector<std::int32_t>{-7, 7, 0, lowest<std::int32_t>});
    const Array truths = Array::of({true, false});
    check_row(divide(truths, Array::of({false, true})), std::vector<std::int8_t>{0, 0});
}

TEST_CASE("compiled: division never traps, also in masked-off lanes",
          "[jit][semantics][arithmetic]") {
    const Array a = row(std::vector<std::int32_t>{7, lowest<std::int32_t>, 9, -9, 4});
    const Array b = row(std::vector<std::int32_t>{0, -1, 2, 2, 0});
    const std::vector<std::int32_t> expected{-5, lowest<std::int32_t>, 4, -4, -5};
    check_row(
        everywhere(vectorize([](Value p, Value q) { return select(q != 0, p / q, -5); }), {a, b}),
        expected);
    check_row(everywhere(vectorize([](Value p, Value q) {
                             Var v(i32, -5);
                             if_(q != 0, [&] { v = p / q; });
                             return v;
                         }),
                         {a, b}),
              expected);
    const auto divide = vectorize([](Value p, Value q) { return p / q; });
    const Array mask = Array::of({false, false, true, true, false});
    check_row(divide(a, b, {.where = mask}), std::vector<std::int32_t>{0, 0, 4, -4, 0});
}

TEST_CASE("compiled: `true_divide` gives f64", "[jit][semantics][arithmetic]") {
    const auto f = vectorize([](Value a, Value b) { return true_divide(a, b); });
    const std::vector<double> expected{5, inf, nan_value, 2};
    check_row(everywhere(f, {row(std::vector<int>{5, 6, 0, 8}), row(std::vector<int>{1, 0, 0, 4})}),
              expected);
    CHECK(f(zeros({1}, DType::u8), zeros({1}, DType::u8)).dtype() == DType::f64);
    CHECK(f(zeros({1}, DType::bool_), zeros({1}, DType::bool_)).dtype() == DType::f64);
    CHECK(f(zeros({1}, DType::f32), zeros({1}, DType::f32)).dtype() == DType::f32);
}

TEST_CASE("compiled: Checked mode turns division by zero into an error with line and index",
          "[jit][semantics][arithmetic]") {
    std::uint32_t line = 0;
    const auto divide = vectorize("divide",
                                  [&](Value a, Value b) {
                                      Var v = a;
                                      if_(a > 0, [&] {
                                          line = __LINE__ + 1;
                                          v = floor_divide(a, b);
                                      });
                                      return v;
                                  },
                                  {.checked = true});
    Array a = ones({4, 100}, DType::i16), b = ones({4, 100}, DType::i16);
    b.at<std::int16_t>({1, 37}) = 0;
    a.at<std::int16_t>({1, 37}) = -3;  // not divided here, so no error
    CHECK(at(divide(a, b), 137) == -3);
    b.at<std::int16_t>({3, 99}) = 0;
    b.at<std::int16_t>({2, 98}) = 0;
    const Error error = error_of([&] { divide(a, b); });
    CHECK(error.message() == "integer division by zero at index (2,98)");
    CHECK(error.line() == line);
    // Neither are functions that divide inside: lcm(0, 0) is 0.
    const auto functions = [](Value p, Value q) { return std::pair(gcd(p, q), lcm(p, q)); };
    const std::vector<Array> common =
        vectorize(functions, {.checked = true})
            .all(row(std::vector<std::int32_t>{0, 0, 4}), row(std::vector<std::int32_t>{0, 6, 0}));
    check_row(common[0], std::vector<std::int32_t>{0, 6, 4});
    check_row(common[1], std::vector<std::int32_t>{0, 0, 0});
    // Real division is no error.
    check_row(vectorize([](Value p, Value q) { return p / q; }, {.checked = true})(
                  row(std::vector<double>{1}), row(std::vector<double>{0})),
              std::vector<double>{inf});
}

TEST_CASE("compiled: `//`, `%` on floats follow NumPy", "[jit][semantics][arithmetic]") {
    const std::vector<double> a{1, -1, 0, inf, 1, inf, 1, -1, -0.0, 0.0, 7, -7, 7, -7, nan_value};
    const std::vector<double> b{0, 0, 0, 1, 0, 1, inf, inf, 1, -3, 2, 2, -2, -2, 1};
    const std::vector<double> floored{inf,  -inf, nan_value, nan_value, inf, nan_value, 0, -1, -0.0,
                                      -0.0, 3,    -4,        -4,        3,   nan_value};
    const std::vector<double> modulus{nan_value, nan_value, nan_value, nan_value, nan_value,
                                      nan_value, 1,         inf,       0.0,       -0.0,
                                      1,         1,         -1,        -1,        nan_value};
    const auto floor_of = vectorize([](Value p, Value q) { return floor_divide(p, q); });
    const auto mod_of = vectorize([](Value p, Value q) { return mod(p, q); });
    check_row(everywhere(floor_of, {row(a), row(b)}), floored);
    check_row(everywhere(mod_of, {row(a), row(b)}), modulus);
    const auto narrow = [](const std::vector<double>& v) {
        return std::vector<float>(v.begin(), v.end());
    };
    check_row(everywhere(floor_of, {row(narrow(a)), row(narrow(b))}), narrow(floored));
    check_row(everywhere(mod_of, {row(narrow(a)), row(narrow(b))}), narrow(modulus));
}

TEST_CASE(
    "compiled: Shift count >= width: left and logical right -> 0, arithmetic right -> 0 or -1",
    "[jit][semantics][arithmetic]") {
    for_integers([](auto zero) { check_shifts<decltype(zero)>(); });
    // Counts that are constants, and values that depend on whether a shift is poison.
    const Array x = row(std::vector<std::int32_t>{1, -8, 8});
    const std::vector<std::int32_t> zero{0, 0, 0}, sign{0, -1, 0}, seven{7, 7, 7};
    check_row(everywhere(vectorize([](Value a) { return a << 32; }), {x}), zero);
    check_row(everywhere(vectorize([](Value a) { return a << -1; }), {x}), zero);
    check_row(everywhere(vectorize([](Value a) { return a >> 40; }), {x}), sign);
    check_row(everywhere(vectorize([](Value a) { return (a << 33) * 0 + 7; }), {x}), seven);
    check_row(everywhere(vectorize([](Value a) { return select((a << 33) == 0, 7, 8); }), {x}),
              seven);
    check_row(everywhere(vectorize([](Value a) {
                             Var v = a;
                             v <<= 31;
                             v >>= 99;
                             return v;
                         }),
                         {row(std::vector<std::int32_t>{1, 2, 3})}),
              std::vector<std::int32_t>{-1, 0, -1});
}

TEST_CASE("compiled: int ** negative int is an error at the call, int ** int stays int",
          "[jit][semantics][arithmetic]") {
    const int line = __LINE__ + 1;
    const auto power = vectorize("power", [](Value a, Value b) { return pow(a, b); });
    const auto bases = row(std::vector<std::int64_t>{2, 2, 0, 15, -3, 10, -1});
    const auto exponents = row(std::vector<std::int64_t>{64, 63, 0, 15, 3, 18, 1001});
    check_row(everywhere(power, {bases, exponents}),
              std::vector<std::int64_t>{0, lowest<std::int64_t>, 1, 437893890380859375, -27,
                                        1'000'000'000'000'000'000, -1});
    check_row(everywhere(power, {row(std::vector<std::uint8_t>{2, 3, 16}),
                                 row(std::vector<std::uint8_t>{7, 255, 2})}),
              std::vector<std::uint8_t>{128, 171, 0});  // 3^255 mod 256
    const Array fives = full({200}, 5), counts = full({200}, 3);
    counts.at<std::int32_t>({150}) = -1;
    const Error error = error_of([&] { power(fives, counts); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "integer to a negative integer power at index (150,)");
    CHECK(error.hint() == "convert the base to a floating-point type");
    CHECK(error.line() == static_cast<std::uint32_t>(line));
    // With an exponent that is known.
    std::uint32_t known = 0;
    const auto inverse = vectorize("inverse", [&](Value a) {
        known = __LINE__ + 1;
        return pow(a, -1);
    });
    const Error refused = error_of([&] { inverse(fives); });
    CHECK(refused.message() == "an integer cannot be raised to the negative power -1");
    CHECK(refused.line() == known);
    check_row(inverse(row(std::vector<double>{4})), std::vector<double>{0.25});
}

TEST_CASE("compiled: float -> int saturates, NaN -> 0", "[jit][semantics][arithmetic]") {
    std::vector<double> numbers{0, -0.0, 0.9, -0.9, 1.5, -1.5, 127, 128, -128, -129, 255, 256};
    for (const int bits : {15, 16, 31, 32, 63, 64}) {
        const double power = std::ldexp(1.0, bits);
        const double below = std::nextafter(static_cast<float>(power), 0.0F);
        for (const double v : {power, -power, power - 1, std::nextafter(power, 0), power * 2, below,
                               -below, std::nextafter(-power, -inf)}) {
            numbers.push_back(v);
        }
    }
    numbers.insert(numbers.end(), {1e300, -1e300, inf, -inf, nan_value});
    for_integers([&](auto zero) {
        using T = decltype(zero);
        check_saturation<T, double>(numbers);
        check_saturation<T, float>(numbers);
        check_saturation<T, float16>(numbers);
        check_saturation<T, bfloat16>(numbers);
    });
}

TEST_CASE("compiled: `maximum`/`minimum` propagate NaN; `fmax`/`fmin` drop it",
          "[jit][semantics][arithmetic]") {
    const auto check = [](auto zero) {
        using T = decltype(zero);
        const T n = static_cast<T>(nan_value), i = static_cast<T>(inf);
        const std::vector<Array> x{row(std::vector<T>{0, n, n, 1, -i, i, 2}),
                                   row(std::vector<T>{n, 0, n, 2, n, n, 1})};
        const std::vector<T> larger{n, n, n, 2, n, n, 2}, smaller{n, n, n, 1, n, n, 1};
        check_row(everywhere(vectorize([](Value a, Value b) { return maximum(a, b); }), x), larger);
        check_row(everywhere(vectorize([](Value a, Value b) { return minimum(a, b); }), x),
                  smaller);
        // `max`/`min` in the DSL are maximum/minimum.
        check_row(everywhere(vectorize([](Value a, Value b) { return max(a, b); }), x), larger);
        check_row(everywhere(vectorize([](Value a, Value b) { return min(a, b); }), x), smaller);
        check_row(everywhere(vectorize([](Value a, Value b) { return fmax(a, b); }), x),
                  std::vector<T>{0, 0, n, 2, -i, i, 2});
        check_row(everywhere(vectorize([](Value a, Value b) { return fmin(a, b); }), x),
                  std::vector<T>{0, 0, n, 1, -i, i, 1});
        // minimum and maximum order the zeros.
        const std::vector<Array> zeros{row(std::vector<T>{T(0.0), T(-0.0)}),
                                       row(std::vector<T>{T(-0.0), T(0.0)})};
        check_row(everywhere(vectorize([](Value a, Value b) { return minimum(a, b); }), zeros),
                  std::vector<T>{T(-0.0), T(-0.0)});
        check_row(everywhere(vectorize([](Value a, Value b) { return maximum(a, b); }), zeros),
                  std::vector<T>{T(0.0), T(0.0)});
    };
    check(float{});
    check(double{});
}

TEST_CASE("compiled: sign(NaN) = NaN; `rint`/`round` are half-to-even; NaN != NaN is true",
          "[jit][semantics][arithmetic]") {
    const auto check = [](auto zero) {
        using T = decltype(zero);
        const T n = static_cast<T>(nan_value), i = static_cast<T>(inf);
        const Array x = row(std::vector<T>{n, -3, T(-0.0), 0, 5, i, -i});
        check_row(everywhere(vectorize([](Value a) { return sign(a); }), {x}),
                  std::vector<T>{n, -1, 0, 0, 1, 1, -1});
        const Array halves =
            row(std::vector<T>{T(0.5), T(1.5), T(2.5), T(-0.5), T(-1.5), T(3.7), T(-0.2), n, i});
        const std::vector<T> rounded{0, 2, 2, T(-0.0), -2, 4, T(-0.0), n, i};
        check_row(everywhere(vectorize([](Value a) { return rint(a); }), {halves}), rounded);
        check_row(everywhere(vectorize([](Value a) { return round(a); }), {halves}), rounded);
        const std::vector<Array> pair{row(std::vector<T>{n, n, 1, 1}),
                                      row(std::vector<T>{n, 1, n, 1})};
        check_truths(everywhere(vectorize([](Value a, Value b) { return a != b; }), pair),
                     {1, 1, 1, 0});
        check_truths(everywhere(vectorize([](Value a, Value b) { return a == b; }), pair),
                     {0, 0, 0, 1});
        check_truths(everywhere(vectorize([](Value a, Value b) { return !(a < b); }), pair),
                     {1, 1, 1, 1});
        check_truths(everywhere(vectorize([](Value a, Value b) { return a <= b; }), pair),
                     {0, 0, 0, 1});
        check_truths(everywhere(vectorize([](Value a) { return a != a; }), {pair[0]}),
                     {1, 1, 0, 0});
    };
    check(float{});
    check(double{});
}

TEST_CASE("compiled: arithmetic is strict: each operation rounds once",
          "[jit][semantics][arithmetic]") {
    // (1 + 2^-30)^2 - (1 + 2^-29) is 2^-60 where the product is not rounded, else 0.
    const Array a = full({100}, 1 + std::ldexp(1.0, -30));
    const Array c = full({100}, -(1 + std::ldexp(1.0, -29)));
    const auto f = vectorize([](Value x, Value y, Value z) { return x * y + z; });
    check_row(everywhere(f, {a(Slice{0, 3}), a(Slice{0, 3}), c(Slice{0, 3})}),
              std::vector<double>{0, 0, 0});
    check_row(everywhere(vectorize([](Value x, Value y, Value z) { return fma(x, y, z); }),
                         {a(Slice{0, 1}), a(Slice{0, 1}), c(Slice{0, 1})}),
              std::vector<double>{std::ldexp(1.0, -60)});
}
