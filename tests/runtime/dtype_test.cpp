#include <kiln/dtype.h>

#include <cmath>
#include <complex>
#include <limits>
#include <string>
#include <vector>

#include "tests/catch.h"

using namespace kiln;

namespace {

/// The dtypes that NumPy has, in the order of the tables below.
const std::vector<DType> numpy_dtypes{DType::bool_, DType::i8,  DType::i16, DType::i32, DType::i64,
                                      DType::u8,    DType::u16, DType::u32, DType::u64, DType::f16,
                                      DType::f32,   DType::f64, DType::c64, DType::c128};

DType by_npy(const std::string& code) {
    for (const DType t : numpy_dtypes) {
        if (info(t).npy == code) return t;
    }
    FAIL("no dtype " + code);
    return DType::bool_;
}

// NumPy's result types of add-like operations; the matrix is symmetric, so the row of f2 is its
// column.
const char* const promotion_matrix[][15] = {
    {"b1", "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"},
    {"i1", "i1", "i1", "i2", "i4", "i8", "i2", "i4", "i8", "f8", "f2", "f4", "f8", "c8", "c16"},
    {"i2", "i2", "i2", "i2", "i4", "i8", "i2", "i4", "i8", "f8", "f4", "f4", "f8", "c8", "c16"},
    {"i4", "i4", "i4", "i4", "i4", "i8", "i4", "i4", "i8", "f8", "f8", "f8", "f8", "c16", "c16"},
    {"i8", "i8", "i8", "i8", "i8", "i8", "i8", "i8", "i8", "f8", "f8", "f8", "f8", "c16", "c16"},
    {"u1", "u1", "i2", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"},
    {"u2", "u2", "i4", "i4", "i4", "i8", "u2", "u2", "u4", "u8", "f4", "f4", "f8", "c8", "c16"},
    {"u4", "u4", "i8", "i8", "i8", "i8", "u4", "u4", "u4", "u8", "f8", "f8", "f8", "c16", "c16"},
    {"u8", "u8", "f8", "f8", "f8", "f8", "u8", "u8", "u8", "u8", "f8", "f8", "f8", "c16", "c16"},
    {"f2", "f2", "f2", "f4", "f8", "f8", "f2", "f4", "f8", "f8", "f2", "f4", "f8", "c8", "c16"},
    {"f4", "f4", "f4", "f4", "f8", "f8", "f4", "f4", "f8", "f8", "f4", "f4", "f8", "c8", "c16"},
    {"f8", "f8", "f8", "f8", "f8", "f8", "f8", "f8", "f8", "f8", "f8", "f8", "f8", "c16", "c16"},
    {"c8", "c8", "c8", "c8", "c16", "c16", "c8", "c8", "c16", "c16", "c8", "c8", "c16", "c8",
     "c16"},
    {"c16", "c16", "c16", "c16", "c16", "c16", "c16", "c16", "c16", "c16", "c16", "c16", "c16",
     "c16", "c16"},
};

// np.can_cast of NumPy 2.4, '1' is True; rows are from, columns are to.
const char* const safe_casts[] = {
    "11111111111111",  // b1
    ".1111....11111",  // i1
    "..111.....1111",  // i2
    "...11......1.1",  // i4
    "....1......1.1",  // i8
    "..111111111111",  // u1
    "...11.111.1111",  // u2
    "....1..11..1.1",  // u4
    "........1..1.1",  // u8
    ".........11111",  // f2
    "..........1111",  // f4
    "...........1.1",  // f8
    "............11",  // c8
    ".............1",  // c16
};
const char* const same_kind_casts[] = {
    "11111111111111",  // b1
    ".1111....11111",  // i1
    ".1111....11111",  // i2
    ".1111....11111",  // i4
    ".1111....11111",  // i8
    ".1111111111111",  // u1
    ".1111111111111",  // u2
    ".1111111111111",  // u4
    ".1111111111111",  // u8
    ".........11111",  // f2
    ".........11111",  // f4
    ".........11111",  // f8
    "............11",  // c8
    "............11",  // c16
};

template <class T> T cast_to(const Scalar& value) {
    const Scalar result = value.cast(dtype_of<T>);
    CHECK(result.dtype == dtype_of<T>);
    return result.get<T>();
}

}  // namespace

TEST_CASE(
    "dtypes: bool (1 byte in memory, i1 only inside a computation), i8..i64, u8..u64, f16, bf16 "
    "(storage types that compute in f32), f32, f64, c64, c128",
    "[runtime][dtype]") {
    const struct {
        DType dtype;
        const char* name;
        std::size_t bytes;
        DType compute;
    } rows[] = {
        {DType::bool_, "bool", 1, DType::bool_}, {DType::i8, "i8", 1, DType::i8},
        {DType::i16, "i16", 2, DType::i16},      {DType::i32, "i32", 4, DType::i32},
        {DType::i64, "i64", 8, DType::i64},      {DType::u8, "u8", 1, DType::u8},
        {DType::u16, "u16", 2, DType::u16},      {DType::u32, "u32", 4, DType::u32},
        {DType::u64, "u64", 8, DType::u64},      {DType::f16, "f16", 2, DType::f32},
        {DType::bf16, "bf16", 2, DType::f32},    {DType::f32, "f32", 4, DType::f32},
        {DType::f64, "f64", 8, DType::f64},      {DType::c64, "c64", 8, DType::c64},
        {DType::c128, "c128", 16, DType::c128},
    };
    CHECK(std::size(rows) == dtype_count);
    for (const auto& row : rows) {
        CAPTURE(row.name);
        CHECK(name(row.dtype) == row.name);
        CHECK(size_of(row.dtype) == row.bytes);
        CHECK(compute_type(row.dtype) == row.compute);
        visit_dtype(row.dtype, [&](auto type) {
            using T = typename decltype(type)::type;
            CHECK(sizeof(T) == row.bytes);
            CHECK(dtype_of<T> == row.dtype);
        });
    }
}

TEST_CASE("other C++ integers have the dtype of their size and sign", "[runtime][dtype]") {
    CHECK(dtype_of<long long> == DType::i64);
    CHECK(dtype_of<unsigned long long> == DType::u64);
    CHECK(dtype_of<long> == DType::i64);
    CHECK(dtype_of<char32_t> == DType::u32);
    CHECK(dtype_of<char> == DType::i8);
    CHECK(dtype_of<const float> == DType::f32);
}

TEST_CASE("Promotion is NumPy's NEP 50, one constexpr table with an exhaustive test",
          "[runtime][dtype]") {
    static_assert(promote(DType::i64, DType::u64) == DType::f64);
    for (std::size_t row = 0; row < numpy_dtypes.size(); ++row) {
        REQUIRE(by_npy(promotion_matrix[row][0]) == numpy_dtypes[row]);
        for (std::size_t column = 0; column < numpy_dtypes.size(); ++column) {
            const DType a = numpy_dtypes[row], b = numpy_dtypes[column];
            CAPTURE(name(a), name(b));
            CHECK(promote(a, b) == by_npy(promotion_matrix[row][column + 1]));
        }
    }
}

TEST_CASE(
    "Promotion: i8+u8 -> i16, i32+u32 -> i64, i64+u64 -> f64, i16+f16 -> f32, i32+f32 -> f64, "
    "i8|i16+f32 -> f32, f16+bf16 -> f32",
    "[runtime][dtype]") {
    CHECK(promote(DType::i8, DType::u8) == DType::i16);
    CHECK(promote(DType::i32, DType::u32) == DType::i64);
    CHECK(promote(DType::i64, DType::u64) == DType::f64);
    CHECK(promote(DType::i16, DType::f16) == DType::f32);
    CHECK(promote(DType::i32, DType::f32) == DType::f64);
    CHECK(promote(DType::i8, DType::f32) == DType::f32);
    CHECK(promote(DType::i16, DType::f32) == DType::f32);
    CHECK(promote(DType::f16, DType::bf16) == DType::f32);
}

TEST_CASE("promotion of bf16 follows f16, but for f16 itself", "[runtime][dtype]") {
    const DType expected[] = {DType::bf16, DType::bf16, DType::f32, DType::f64, DType::f64,
                              DType::bf16, DType::f32,  DType::f64, DType::f64, DType::f32,
                              DType::f32,  DType::f64,  DType::c64, DType::c128};
    for (std::size_t k = 0; k < numpy_dtypes.size(); ++k) {
        CAPTURE(name(numpy_dtypes[k]));
        CHECK(promote(DType::bf16, numpy_dtypes[k]) == expected[k]);
        CHECK(promote(numpy_dtypes[k], DType::bf16) == expected[k]);
    }
    CHECK(promote(DType::bf16, DType::bf16) == DType::bf16);
}

TEST_CASE(
    "C++ arithmetic values are weak: they bring only their kind (bool < int < float < complex)",
    "[runtime][dtype]") {
    for (std::size_t k = 0; k < dtype_count; ++k) {
        const auto strong = static_cast<DType>(k);
        CAPTURE(name(strong));
        CHECK(promote_weak(strong, DType::bool_) == strong);
        CHECK(promote_weak(strong, DType::i32) == (is_bool(strong) ? DType::i64 : strong));
        CHECK(promote_weak(strong, DType::u64) == (is_bool(strong) ? DType::i64 : strong));
        const bool inexact = is_real(strong) || is_complex(strong);
        CHECK(promote_weak(strong, DType::f64) == (inexact ? strong : DType::f64));
        const bool short_real = strong == DType::f16 || strong == DType::bf16 ||
                                strong == DType::f32 || strong == DType::c64;
        CHECK(promote_weak(strong, DType::c128) == (short_real ? DType::c64 : DType::c128));
    }
    CHECK(promote_weak(DType::u8, DType::i32) == DType::u8);     // u8_array + 1
    CHECK(promote_weak(DType::f32, DType::f64) == DType::f32);   // f32_array * 2.0
    CHECK(promote_weak(DType::i8, DType::f64) == DType::f64);    // i8_array + 1.0
    CHECK(promote_weak(DType::f32, DType::c128) == DType::c64);  // f32_array + 1i
}

TEST_CASE("A rank-0 Array or `f64(2.0)` is strong", "[runtime][dtype]") {
    const Scalar strong = f64(2);
    CHECK_FALSE(strong.weak);
    CHECK(strong.dtype == DType::f64);
    CHECK(strong.get<double>() == 2.0);
    CHECK(Scalar::of(2.0, true).weak);
}

TEST_CASE("can_cast is NumPy's", "[runtime][dtype]") {
    for (std::size_t row = 0; row < numpy_dtypes.size(); ++row) {
        for (std::size_t column = 0; column < numpy_dtypes.size(); ++column) {
            const DType from = numpy_dtypes[row], to = numpy_dtypes[column];
            CAPTURE(name(from), name(to));
            CHECK(can_cast(from, to, Casting::safe) == (safe_casts[row][column] == '1'));
            CHECK(can_cast(from, to, Casting::same_kind) == (same_kind_casts[row][column] == '1'));
            CHECK(can_cast(from, to, Casting::no) == (from == to));
            CHECK(can_cast(from, to, Casting::equiv) == (from == to));
            CHECK(can_cast(from, to, Casting::unsafe));
        }
    }
}

TEST_CASE("can_cast treats bf16 as a real type", "[runtime][dtype]") {
    CHECK(can_cast(DType::bf16, DType::f32, Casting::safe));
    CHECK(can_cast(DType::bf16, DType::c64, Casting::safe));
    CHECK(can_cast(DType::i8, DType::bf16, Casting::safe));
    CHECK_FALSE(can_cast(DType::f16, DType::bf16, Casting::safe));
    CHECK_FALSE(can_cast(DType::bf16, DType::f16, Casting::safe));
    CHECK_FALSE(can_cast(DType::i16, DType::bf16, Casting::safe));
    CHECK(can_cast(DType::f64, DType::bf16, Casting::same_kind));
    CHECK_FALSE(can_cast(DType::bf16, DType::i64, Casting::same_kind));
    CHECK_FALSE(can_cast(DType::c64, DType::bf16, Casting::same_kind));
}

TEST_CASE("names of casting rules", "[runtime][dtype]") {
    CHECK(name(Casting::no) == "no");
    CHECK(name(Casting::equiv) == "equiv");
    CHECK(name(Casting::safe) == "safe");
    CHECK(name(Casting::same_kind) == "same_kind");
    CHECK(name(Casting::unsafe) == "unsafe");
}

TEST_CASE("complex_type and real_type", "[runtime][dtype]") {
    for (const DType t :
         {DType::bool_, DType::i8, DType::u16, DType::f16, DType::bf16, DType::f32, DType::c64}) {
        CHECK(complex_type(t) == DType::c64);
    }
    for (const DType t : {DType::i32, DType::u64, DType::f64, DType::c128}) {
        CHECK(complex_type(t) == DType::c128);
    }
    CHECK(real_type(DType::c64) == DType::f32);
    CHECK(real_type(DType::c128) == DType::f64);
    CHECK(real_type(DType::i8) == DType::i8);
}

TEST_CASE("float -> int saturates, NaN -> 0", "[runtime][dtype]") {
    const auto check = [](auto zero) {
        using I = decltype(zero);
        using Limits = std::numeric_limits<I>;
        CAPTURE(name(dtype_of<I>));
        for (const double huge : {1e30, HUGE_VAL}) {
            CHECK(convert<I>(huge) == Limits::max());
            CHECK(convert<I>(-huge) == Limits::min());
            CHECK(convert<I>(static_cast<float>(huge)) == Limits::max());
            CHECK(convert<I>(static_cast<float>(-huge)) == Limits::min());
        }
        CHECK(convert<I>(std::nan("")) == 0);
        CHECK(convert<I>(-std::nanf("")) == 0);
        CHECK(convert<I>(1.9) == 1);
        CHECK(convert<I>(-1.9) == (Limits::is_signed ? static_cast<I>(-1) : static_cast<I>(0)));
        CHECK(convert<I>(-0.9) == 0);
        // Around the bounds, where they are exact in f64.
        if constexpr (sizeof(I) < 8) {
            const double max = static_cast<double>(Limits::max());
            const double min = static_cast<double>(Limits::min());
            CHECK(convert<I>(max) == Limits::max());
            CHECK(convert<I>(max + 0.5) == Limits::max());
            CHECK(convert<I>(max + 1) == Limits::max());
            CHECK(convert<I>(max - 1) == static_cast<I>(Limits::max() - 1));
            CHECK(convert<I>(min) == Limits::min());
            CHECK(convert<I>(min - 1) == Limits::min());
            CHECK(convert<I>(min + 1) == static_cast<I>(Limits::min() + 1));
        }
    };
    check(std::int8_t());
    check(std::int16_t());
    check(std::int32_t());
    check(std::int64_t());
    check(std::uint8_t());
    check(std::uint16_t());
    check(std::uint32_t());
    check(std::uint64_t());
    CHECK(convert<std::int64_t>(0x1p62) == std::int64_t(1) << 62);
    CHECK(convert<std::int64_t>(0x1.fffffffffffffp62) == 9223372036854774784);
    CHECK(convert<std::int64_t>(0x1p63) == INT64_MAX);
    CHECK(convert<std::uint64_t>(0x1p63) == std::uint64_t(1) << 63);
    CHECK(convert<std::uint64_t>(0x1.fffffffffffffp63) == 18446744073709549568U);
    CHECK(convert<std::int8_t>(float16(200.0F)) == 127);
    CHECK(convert<std::uint8_t>(bfloat16(-3.0F)) == 0);
    CHECK(convert<std::int16_t>(std::complex<double>(1e9, 5)) == 32767);
}

TEST_CASE("Integers wrap in conversions", "[runtime][dtype]") {
    CHECK(convert<std::int8_t>(300) == 44);
    CHECK(convert<std::uint8_t>(-1) == 255);
    CHECK(convert<std::int32_t>(std::int64_t(0x123456789)) == 0x23456789);
    CHECK(convert<std::int64_t>(std::uint64_t(0xffffffffffffffff)) == -1);
}

TEST_CASE("conversions to and from bool and complex", "[runtime][dtype]") {
    CHECK(convert<bool>(0.5));
    CHECK(convert<bool>(std::nan("")));
    CHECK_FALSE(convert<bool>(-0.0));
    CHECK(convert<bool>(std::complex<float>(0, 1)));
    CHECK_FALSE(convert<bool>(std::complex<float>(0, 0)));
    CHECK_FALSE(convert<bool>(float16(-0.0F)));
    CHECK(convert<double>(true) == 1.0);
    CHECK(convert<float>(std::complex<double>(2.5, 7)) == 2.5F);
    CHECK(convert<std::complex<double>>(std::complex<float>(1, -2)) == std::complex<double>(1, -2));
    CHECK(convert<std::complex<float>>(std::int8_t(-3)) == std::complex<float>(-3, 0));
    CHECK(convert<std::complex<float>>(float16(0.5F)) == std::complex<float>(0.5F, 0));
}

TEST_CASE("Scalar::cast converts between all dtypes", "[runtime][dtype]") {
    for (std::size_t from = 0; from < dtype_count; ++from) {
        const Scalar one = Scalar::of(std::int8_t(1)).cast(static_cast<DType>(from));
        for (std::size_t to = 0; to < dtype_count; ++to) {
            const Scalar result = one.cast(static_cast<DType>(to));
            CHECK(result.dtype == static_cast<DType>(to));
            CHECK(result.cast(DType::f64).get<double>() == 1.0);
        }
    }
    CHECK(cast_to<std::uint8_t>(Scalar::of(300.7)) == 255);
    CHECK(cast_to<std::uint8_t>(Scalar::of(300)) == 44);
    CHECK(cast_to<float>(f64(0.1)) == 0.1F);
}

TEST_CASE("dtype names make signatures and argument types", "[runtime][dtype]") {
    const Signature signature = f64(f32, i32);
    CHECK(signature.inputs == 2);
    CHECK(signature.outputs == 1);
    CHECK(signature.types[0] == DType::f32);
    CHECK(signature.types[1] == DType::i32);
    CHECK(signature.types[2] == DType::f64);
    CHECK(signature == f64(f32, i32));
    CHECK_FALSE(signature == f64(f32, i64));
    CHECK(f32[2] == ArgType{DType::f32, 2});
    CHECK(ArgType(u8) == ArgType{DType::u8, 0});
}
