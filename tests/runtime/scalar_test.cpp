// Reading a Scalar as a C++ type.
#include <kiln/array.h>

#include <complex>
#include <cstdint>

#include "tests/runtime/check_error.h"

using namespace kiln;

TEST_CASE("Scalar::get converts what keeps its value", "[runtime][scalar]") {
    CHECK(Scalar::of(0.5f).get<double>() == 0.5);
    CHECK(Scalar::of(std::int64_t(5)).get<double>() == 5.0);
    CHECK(Scalar::of(std::int32_t(-1)).get<std::int64_t>() == -1);
    CHECK(Scalar::of(std::int8_t(-7)).get<float>() == -7.0f);
    CHECK(Scalar::of(std::uint32_t(4000000000)).get<std::int64_t>() == 4000000000);
    CHECK(Scalar::of(true).get<std::uint8_t>() == 1);
    CHECK(Scalar::of(float16(1.5f)).get<float>() == 1.5f);
    CHECK(Scalar::of(2.5f).get<std::complex<double>>() == std::complex<double>(2.5, 0));
    CHECK(Scalar::of(7LL).get<std::int64_t>() == 7);
    CHECK(Scalar::of(7L).get<long long>() == 7);
    CHECK(full({1}, 2.5f).item<double>() == 2.5);
}

TEST_CASE("Scalar::get names both types of what it refuses", "[runtime][scalar]") {
    KILN_CHECK_ERROR(Scalar::of(1.5).get<float>(), type,
                     "a value of type f64 is read as f32, which does not hold all of them");
    KILN_CHECK_ERROR(Scalar::of(std::int64_t(1)).get<int>(), type,
                     "a value of type i64 is read as i32, which does not hold all of them");
    KILN_CHECK_ERROR(Scalar::of(-1).get<std::uint64_t>(), type,
                     "a value of type i32 is read as u64, which does not hold all of them");
    KILN_CHECK_ERROR(Scalar::of(std::complex<double>(1, 1)).get<double>(), type,
                     "a value of type c128 is read as f64, which does not hold all of them");
    KILN_CHECK_ERROR(Scalar::of(2.0).get<bool>(), type,
                     "a value of type f64 is read as bool, which does not hold all of them");
    try {
        static_cast<void>(Scalar::of(std::int64_t(1)).get<bool>());
    } catch (const Error& error) {
        CHECK(error.hint() == "read it as std::int64_t, or convert it: cast(kiln::bool_)");
    }
}

TEST_CASE("Scalar::get of every pair of dtypes: the value, or an Error", "[runtime][scalar]") {
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto from = static_cast<DType>(i);
        // 1 and, of signed types, -1 are in every dtype that takes the type safely.
        for (const int number : {0, 1, -1}) {
            if (number < 0 && (is_unsigned(from) || is_bool(from))) continue;
            const Scalar value = Scalar::of(number).cast(from);
            for (std::size_t j = 0; j < dtype_count; ++j) {
                const auto to = static_cast<DType>(j);
                INFO(name(from) << " as " << name(to) << ": " << number);
                visit_dtype(to, [&](auto type) {
                    using T = typename decltype(type)::type;
                    if (promote(from, to) == to) {
                        CHECK(value.get<T>() == convert<T>(number));
                    } else {
                        CHECK_THROWS_AS(value.get<T>(), Error);
                    }
                });
            }
        }
    }
}
