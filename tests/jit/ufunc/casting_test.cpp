// Dtypes of calls: promotion with weak values, casts to outputs, dtype=, signatures.
#include "tests/jit/support.h"

#include <complex>

using namespace kiln;
using namespace kiln::test;

TEST_CASE("C++ values bring only their kind", "[jit][weak]") {
    const auto add = add_ufunc();
    const auto dtype = [&](DType array, const Arg& value) {
        return add(zeros({2}, array), value).dtype();
    };
    CHECK(dtype(DType::u8, 1) == DType::u8);
    CHECK(dtype(DType::u8, 1.0) == DType::f64);
    CHECK(dtype(DType::i8, 1.0) == DType::f64);
    CHECK(dtype(DType::f32, 2.0) == DType::f32);
    CHECK(dtype(DType::f32, 1e300) == DType::f32);
    CHECK(dtype(DType::i32, 1.5) == DType::f64);
    CHECK(dtype(DType::f32, std::complex<double>(0, 1)) == DType::c64);
    CHECK(dtype(DType::f32, f64(2.0)) == DType::f64);
    CHECK(dtype(DType::f32, i8(2)) == DType::f32);
    CHECK(dtype(DType::f32, ones({}, DType::f64)) == DType::f64);
    CHECK(dtype(DType::i16, true) == DType::i16);
    // NumPy: float32(1e300) is inf, not an error.
    CHECK(std::isinf(at(add(zeros({1}, DType::f32), 1e300), 0)));
    const auto subtract = vectorize("subtract", [](Value a, Value b) { return a - b; });
    check_values(subtract(Array::of({std::uint8_t(1)}), 2), {255});
}

TEST_CASE("a C++ integer argument must be representable", "[jit][weak]") {
    const auto add = add_ufunc();
    const Array bytes = zeros({3}, DType::u8), small = zeros({3}, DType::i8);
    const Error error = error_of([&] { add(bytes, 300); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "300 is not representable in u8: argument 2 of add");
    CHECK(error.line() == __LINE__ - 3);
    CHECK(error_of([&] { add(-1, bytes); }).message() ==
          "-1 is not representable in u8: argument 1 of add");
    CHECK(error_of([&] { add(small, 1000); }).message() ==
          "1000 is not representable in i8: argument 2 of add");
    CHECK(error_of([&] { add(small, 128); }).message() ==
          "128 is not representable in i8: argument 2 of add");
    CHECK(error_of([&] { add(zeros({1}, DType::i64), ~0ull); }).message() ==
          "18446744073709551615 is not representable in i64: argument 2 of add");
    CHECK(error_of([&] { add(zeros({1}, DType::u64), -1ll); }).message() ==
          "-1 is not representable in u64: argument 2 of add");
    check_values(add(bytes, 255), {255, 255, 255});
    check_values(add(small, -128), {-128, -128, -128});
    // The check is by value at each call, whatever was called before.
    CHECK_THROWS_AS(add(bytes, 256), Error);
    check_values(add(bytes, 7), {7, 7, 7});

    Array out = full({3}, std::uint8_t(9));
    CHECK_THROWS_AS(add(bytes, 300, {.out = out}), Error);
    check_values(out, {9, 9, 9});
}

TEST_CASE("comparisons with C++ integers are exact, and need no range", "[jit][weak]") {
    const auto less = vectorize("less", [](Value a, Value b) { return a < b; });
    check_values(less(Array::of({std::uint8_t(0), std::uint8_t(255)}), 300), {1, 1});
    check_values(less(-1, Array::of({std::uint64_t(0)})), {1});
    check_values(less(-1ll, Array::of({std::uint64_t(0)})), {1});
    check_values(less(Array::of({~std::uint64_t(0)}), -1ll), {0});
}

TEST_CASE("casting to an output", "[jit][casting]") {
    const auto add = add_ufunc();
    const Array x = Array::of({std::int8_t(0), std::int8_t(1), std::int8_t(2)});
    Array out = full({3}, std::int8_t(7));
    const Error error = error_of([&] { add(x, 1.9, {.out = out}); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "cannot cast output of add from f64 to i8 under same_kind");
    CHECK(error.hint() ==
          "give an output of dtype f64, or allow it with .casting = Casting::unsafe");
    CHECK(error.line() == __LINE__ - 5);
    check_values(out, {7, 7, 7});
    add(x, 1.9, {.out = out, .casting = Casting::unsafe});
    check_values(out, {1, 2, 3});

    Array narrow = zeros({2}, DType::f32);
    const Array y = Array::of({1.25, 2.5});
    add(y, 1.0, {.out = narrow});
    check_values(narrow, {2.25, 3.5});
    CHECK(error_of([&] { add(y, 1.0, {.out = narrow, .casting = Casting::safe}); }).message() ==
          "cannot cast output of add from f64 to f32 under safe");
    CHECK(error_of([&] { add(y, 1.0, {.out = narrow, .casting = Casting::no}); }).message() ==
          "cannot cast output of add from f64 to f32 under no");
    // Unsafe float to integer saturates and maps NaN to 0.
    Array bytes = zeros({3}, DType::u8);
    add(Array::of({1e9, -5.0, std::nan("")}), 0.0, {.out = bytes, .casting = Casting::unsafe});
    check_values(bytes, {255, 0, 0});
}

TEST_CASE("the computation type does not depend on out or on earlier calls", "[jit][casting]") {
    const auto add = add_ufunc();
    const Array x = Array::of({std::int8_t(100)});
    Array wide = zeros({1}, DType::i64);
    add(x, x, {.out = wide});
    check_values(wide, {-56});
    check_values(add(x.astype(DType::f64), 100.0), {200});
    add(x, x, {.out = wide});
    check_values(wide, {-56});
}

TEST_CASE("dtype= is the type to compute in", "[jit][dtype]") {
    const auto add = add_ufunc();
    const Array x = Array::of({std::int8_t(100)});
    const Array r = add(x, x, {.dtype = f64});
    CHECK(r.dtype() == DType::f64);
    check_values(r, {200});
    CHECK(add(x, x, {.dtype = DType::i32}).dtype() == DType::i32);
    const Error input = error_of([&] { add(Array::of({1.5}), 1, {.dtype = i32}); });
    CHECK(input.kind() == ErrorKind::type);
    CHECK(input.message() == "cannot cast input 1 of add from f64 to i32 under same_kind");
    CHECK(input.line() == __LINE__ - 3);
    check_values(add(Array::of({1.5}), 1, {.casting = Casting::unsafe, .dtype = i32}), {2});
    // C++ values too: the sum is that of integers.
    check_values(add(Array::of({1, 2}), 2.75, {.casting = Casting::unsafe, .dtype = i32}), {3, 4});
    check_values(add(-2.75, Array::of({1, 2}), {.casting = Casting::unsafe, .dtype = i64}),
                 {-1, 0});
    check_values(add(Array::of({1, 2}), 1e300, {.casting = Casting::unsafe, .dtype = i8}),
                 {-128, -127});
    check_values(add(Array::of({1, 2}), std::complex<double>(2.5, 3),
                     {.casting = Casting::unsafe, .dtype = f32}),
                 {3.5, 4.5});
    check_values(add(Array::of({true, false}), 0.5, {.casting = Casting::unsafe, .dtype = bool_}),
                 {1, 1});
    const auto half = vectorize("half", [](Value a) { return a / 2.0; });
    CHECK(error_of([&] { half(x, {.dtype = i32}); }).message() ==
          "cannot cast output of half from f64 to i32 under same_kind");
}

TEST_CASE("the first signature to which all inputs cast safely", "[jit][signature]") {
    int traced = 0;
    const auto add = vectorize("add",
                               [&](Value a, Value b) {
                                   ++traced;
                                   return a + b;
                               },
                               {f32(f32, f32), f64(f64, f64)});
    const auto result = [&](DType a, DType b) { return add(zeros({2}, a), zeros({2}, b)).dtype(); };
    CHECK(result(DType::f32, DType::f32) == DType::f32);
    CHECK(result(DType::f64, DType::f32) == DType::f64);
    CHECK(result(DType::i16, DType::f32) == DType::f32);
    CHECK(result(DType::i32, DType::f32) == DType::f64);
    CHECK(result(DType::bool_, DType::u8) == DType::f32);
    // Weak values by kind.
    CHECK(add(zeros({2}, DType::f32), 1).dtype() == DType::f32);
    CHECK(add(zeros({2}, DType::f32), 1e300).dtype() == DType::f32);
    CHECK(add(zeros({2}, DType::f64), 1.0f).dtype() == DType::f64);

    const auto single =
        vectorize("single", [](Value a, Value b) { return a + b; }, {f32(f32, f32)});
    const Error error = error_of([&] { single(zeros({2}), zeros({2}, DType::f32)); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "no loop of single accepts (f64, f32)");
    CHECK(error.hint() == "candidates: f32(f32, f32); convert the arguments with astype");
    CHECK(error.line() == __LINE__ - 4);
    const auto complex_value = std::complex<float>(1, 2);
    CHECK(error_of([&] { single(zeros({2}, DType::f32), complex_value); }).message() ==
          "no loop of single accepts (f32, complex)");
    const auto both =
        vectorize("both", [](Value a) { return a; }, {.signatures = {i32(i16), f64(f64)}});
    CHECK(both(zeros({1}, DType::i16)).dtype() == DType::i32);
    CHECK(both(zeros({1}, DType::i32)).dtype() == DType::f64);
    CHECK(error_of([&] { both(zeros({1}, DType::i64).astype(DType::c64)); }).hint() ==
          "candidates: i32(i16), f64(f64); convert the arguments with astype");
}

TEST_CASE("signatures and dtype=", "[jit][signature]") {
    const auto add = vectorize("add", [](Value a, Value b) { return a + b; },
                               {i32(i32, i32), f32(f32, f32), f64(f64, f64)});
    const Array x = zeros({2}, DType::i32);
    CHECK(add(x, x).dtype() == DType::i32);
    CHECK(add(x, x, {.dtype = f32}).dtype() == DType::f32);
    CHECK(error_of([&] { add(x, x, {.dtype = i64}); }).message() ==
          "no loop of add accepts (i32, i32) for dtype i64");
}

TEST_CASE("a weak integer is checked against the signature's dtype", "[jit][signature]") {
    const auto narrow = vectorize("narrow", [](Value a, Value b) { return a + b; }, {i8(i8, i8)});
    const Array x = zeros({1}, DType::i8);
    check_values(narrow(x, 127), {127});
    CHECK(error_of([&] { narrow(x, 128); }).message() ==
          "128 is not representable in i8: argument 2 of narrow");
}

TEST_CASE("a signature of another arity is refused where it is written", "[jit][signature]") {
    const Error error =
        error_of([&] { vectorize("f", [](Value a) { return a; }, {f32(f32, f32)}); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "f takes 1 arguments, its signature f32(f32, f32) has 2");
    CHECK(error.line() == __LINE__ - 3);
}

TEST_CASE("every dtype goes in and comes out", "[jit][dtype]") {
    const auto twice = vectorize("twice", [](Value a) { return a + a; });
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto dtype = static_cast<DType>(i);
        INFO(name(dtype));
        Array x = zeros({5}, dtype);
        x.fill(1);
        const Array r = twice(x);
        CHECK(r.dtype() == dtype);
        CHECK(at(r, 4) == (dtype == DType::bool_ ? 1 : 2));
    }
}
