// What NumPy's ufuncs do with complex numbers: their order and its reductions, and functions of which
// the values are those of the mathematics.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"
#include "tests/threads.h"

#include <cmath>
#include <complex>
#include <random>

using namespace kiln;
using Z = std::complex<double>;

namespace {

const double not_a_number = std::nan("");

std::vector<Z> values_of(const Array& a) {
    const Array flat = a.contiguous().astype(DType::c128);
    const auto* const z = reinterpret_cast<const Z*>(flat.data());
    return {z, z + flat.size()};
}

/// NumPy's order.
bool before(Z a, Z b) { return a.real() != b.real() ? a.real() < b.real() : a.imag() < b.imag(); }

/// Whole numbers, many of them with equal real parts.
Array random_numbers(const Shape& shape, unsigned seed) {
    std::mt19937 random(seed);
    Array a = empty(shape, DType::c128);
    auto* const z = reinterpret_cast<Z*>(a.data());
    for (std::int64_t i = 0; i < a.size(); ++i)
        z[i] = Z(static_cast<int>(random() % 7) - 3, static_cast<int>(random() % 100) - 50);
    return a;
}

}  // namespace

TEST_CASE("complex numbers are ordered by real parts, then by imaginary ones", "[jit][ufunc]") {
    const Array x = Array::of({Z(1, 2), Z(1, 2), Z(0, 9), Z(1, not_a_number), Z(2, 0)});
    const Array y = Array::of({Z(1, 3), Z(1, 2), Z(1, -9), Z(5, 5), Z(2, -1)});
    test::check_values(x < y, {1, 0, 1, 0, 0});
    test::check_values(x <= y, {1, 1, 1, 0, 0});
    test::check_values(x > y, {0, 0, 0, 0, 1});
    test::check_values(ufunc::greater_equal(x, y), {0, 1, 0, 0, 1});
    const std::vector<Z> larger = values_of(maximum(x, y)), number = values_of(fmax(x, y));
    CHECK(larger[0] == Z(1, 3));
    CHECK(larger[2] == Z(1, -9));
    CHECK(std::isnan(larger[3].imag()));
    CHECK(number[3] == Z(5, 5));
    CHECK(larger[4] == Z(2, 0));
    CHECK(values_of(minimum(x, y))[4] == Z(2, -1));
    CHECK(values_of(clip(Array::of({Z(0, 5), Z(3, 0)}), Z(0, 7), Z(2, 1))) ==
          std::vector{Z(0, 7), Z(2, 1)});
    CHECK(values_of(conj(Array::of({true, false}))) == std::vector{Z(1), Z(0)});
    CHECK(conj(Array::of({true})).dtype() == DType::i8);
}

TEST_CASE("extremes of complex arrays, by every method and any number of threads",
          "[jit][ufunc][reduce]") {
    const Array a = random_numbers({40, 300}, 1);
    const std::vector<Z> z = values_of(a);
    std::vector<Z> of_rows, of_columns(z.begin(), z.begin() + 300), running;
    for (int i = 0; i < 40; ++i) {
        const auto row = z.begin() + i * 300;
        of_rows.push_back(*std::max_element(row, row + 300, before));
        for (int j = 0; j < 300; ++j)
            of_columns[static_cast<std::size_t>(j)] =
                std::max(of_columns[static_cast<std::size_t>(j)], row[j], before);
    }
    for (int j = 0; j < 300; ++j)
        running.push_back(
            j == 0 ? z[0] : std::max(running.back(), z[static_cast<std::size_t>(j)], before));
    for (const int threads : {1, 2, 3, 8}) {
        const test::Threads limit(threads);
        CHECK(values_of(ufunc::maximum.reduce(a, {.axis = 1})) == of_rows);
        CHECK(values_of(ufunc::maximum.reduce(a)) == of_columns);
        CHECK(values_of(amax(a)) == std::vector{*std::max_element(z.begin(), z.end(), before)});
        CHECK(values_of(amin(a)) == std::vector{*std::min_element(z.begin(), z.end(), before)});
        CHECK(values_of(amax(a, {.axis = 1})) == of_rows);
        CHECK(values_of(ufunc::maximum.accumulate(a.index(0, 0))) == running);
        CHECK(
            values_of(ufunc::maximum.reduceat(a.index(0, 0), std::vector{0, 100})) ==
            std::vector{running[99], *std::max_element(z.begin() + 100, z.begin() + 300, before)});
    }
    KILN_CHECK_ERROR(amax(zeros({0}, DType::c128)), shape,
                     "zero-size array to reduction operation maximum which has no identity");
}

TEST_CASE("extremes of complex numbers in loops", "[jit][kernel]") {
    const Array a = random_numbers({5000}, 2);
    const std::vector<Z> z = values_of(a);
    const auto largest = jit("largest",
                             [](In x, Out out) {
                                 Var most(x.dtype(), x(0)), found(x.dtype(), x(0));
                                 Var at(DType::i64, 0);
                                 for (Index i : prange(x.extent(0))) {
                                     reduce(most, Reduce::max, x(i));
                                     reduce_argmax(found, at, x(i), i);
                                 }
                                 out(0) = most;
                                 out(1) = found;
                                 out(2) = at;
                             },
                             {.parallel = true});
    const auto place = std::max_element(z.begin(), z.end(), before);
    for (const DType t : {DType::c64, DType::c128}) {
        Array out = zeros({3}, t);
        largest(a.astype(t), out);
        CHECK(values_of(out) ==
              std::vector{*place, *place, Z(static_cast<double>(place - z.begin()))});
    }
    const auto inferred = jit("inferred", [](In x) -> Value {
        Var most(x.dtype(), x(0));
        for (Index i : prange(x.extent(0))) most = maximum(most, x(i));
        return most;
    });
    try {
        inferred(a);
        FAIL("no error");
    } catch (const Error& e) {
        CHECK(e.hint() == "extremes of complex numbers accumulate by reduce(v, Reduce::max, e)");
    }
}

TEST_CASE("complex functions of arrays", "[jit][ufunc]") {
    // Of 0.5 + 0.25i, by mpmath 1.3.
    const Array z = Array::of({Z(0.5, 0.25)});
    const auto check = [](const Array& given, Z wanted) {
        const Z got = values_of(given)[0];
        INFO(got);
        CHECK(std::abs(got - wanted) <= 4e-16 * std::abs(wanted));
    };
    check(ufunc::arcsin(z), {0.5016088532755007632, 0.2813960562452927693});
    check(ufunc::arccos(z), {1.069187473519395856, -0.2813960562452927693});
    check(ufunc::arctan(z), {0.4842544903299662188, 0.2005866181312343228});
    check(ufunc::arcsinh(z), {0.4926756834207706157, 0.2243284526346674998});
    check(ufunc::arccosh(z), {0.2813960562452927693, 1.069187473519395856});
    check(ufunc::arctanh(z), {0.5003700000525310174, 0.3143981432077164772});
    check(exp2(z), {1.393033418365562351, 0.2438398968929328715});
    check(expm1(z), {0.5974665191199126993, 0.4079001700783597732});
    check(log2(z), {-0.8390359525563188261, 0.6689021062254880982});
    check(log10(z), {-0.252574989159952988, 0.201359598136686571});
    check(log1p(z), {0.4191645952022216033, 0.1651486774146268383});
    CHECK(values_of(sign(Array::of({Z(3, -4), Z(0, 0)}))) == std::vector{Z(0.6, -0.8), Z(0)});
    CHECK(values_of(rint(Array::of({Z(1.5, -2.5)}))) == std::vector{Z(2, -2)});
    CHECK(ufunc::arcsin(Array::of({std::complex<float>(2, 1)})).dtype() == DType::c64);
}
