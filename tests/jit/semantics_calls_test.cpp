// The rules of calls: shape, where, casting, signatures, order; and the errors of each.
#include "tests/jit/semantics.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("compiled: Shape: inputs broadcast together; `out` takes part upwards only",
          "[jit][semantics][calls]") {
    const auto add = add_ufunc();
    CHECK(add(zeros({2, 1, 2}), zeros({1, 2, 2})).shape() == Shape{2, 2, 2});
    CHECK(add(zeros({0, 3}), zeros({1, 3})).shape() == Shape{0, 3});
    CHECK(add(zeros({1}), zeros({0})).shape() == Shape{0});
    Array out = full({5, 4, 3}, -1.0);
    add(arange(3.0).reshape({1, 3}), ones({1, 3}), {.out = out});
    for (std::int64_t i = 0; i < 60; ++i) REQUIRE(at(out, i) == double(i % 3 + 1));

    const Error bad = error_of([&] { add(zeros({2, 3}), zeros({3, 2})); });
    CHECK(bad.kind() == ErrorKind::shape);
    CHECK(bad.message() == "cannot broadcast (2,3) with (3,2)");
    CHECK(bad.line() == __LINE__ - 3);
    CHECK(bad.file() == __FILE__);
    const Error down = error_of([&] { add(zeros({4, 3}), 1, {.out = zeros({4, 1})}); });
    CHECK(down.kind() == ErrorKind::shape);
    CHECK(down.message() ==
          "non-broadcastable output operand with shape (4,1) for the broadcast shape (4,3)");
    CHECK(down.line() == __LINE__ - 4);
}

TEST_CASE("compiled: a wrong rank", "[jit][semantics][calls]") {
    const auto add = add_ufunc();
    std::vector<double> row_out(3);
    const Error out = error_of([&] { add(zeros({2, 3}), 1, {.out = row_out}); });
    CHECK(out.kind() == ErrorKind::shape);
    CHECK(out.message() ==
          "non-broadcastable output operand with shape (3,) for the broadcast shape (2,3)");
    CHECK(out.line() == __LINE__ - 4);
    CHECK(row_out == std::vector<double>(3));
    const Error scalar = error_of([&] { add(zeros({1}), 1, {.out = zeros({})}); });
    CHECK(scalar.message() ==
          "non-broadcastable output operand with shape () for the broadcast shape (1,)");
    const Array matrix = zeros({2, 3});
    const Error view = error_of([&] { matrix.view<double, 1>(); });
    CHECK(view.kind() == ErrorKind::shape);
    CHECK(view.message() == "the array has rank 2 (shape (2,3)), not rank 1");
    CHECK(view.line() == __LINE__ - 3);
}

TEST_CASE("compiled: `where`: unselected cells keep out's old value, and without out they are zero",
          "[jit][semantics][calls]") {
    for (const DType t : {DType::bool_, DType::u8, DType::f16, DType::i32, DType::f32, DType::f64,
                          DType::c64, DType::c128}) {
        INFO(name(t));
        const auto same = vectorize([](Value a) { return a; });
        for (const std::int64_t n : {1, 5, 63, 200}) {
            const Array x = ones({n}, t);
            const Array mask = zeros({2 * n}, DType::bool_)(Slice{{}, {}, 2});  // strided
            for (std::int64_t i = 0; i < n; ++i) mask.at<bool>({i}) = i % 3 == 1;
            Array out = zeros({n}, DType::c128);
            out.fill(5);
            same(x, {.out = out, .where = mask});
            const Array fresh = same(x, {.where = mask}), packed = same(x, {.where = mask.copy()});
            CHECK(fresh.dtype() == t);
            bool right = true;
            for (std::int64_t i = 0; i < n; ++i) {
                right = right && at(out, i) == (i % 3 == 1 ? 1 : 5) &&
                        at(fresh, i) == (i % 3 == 1 ? 1 : 0) && at(packed, i) == at(fresh, i);
            }
            CHECK(right);
        }
    }
    // The mask broadcasts, and takes part in the shape.
    const auto add = add_ufunc();
    const Array column = Array::of({true, false}).reshape({2, 1});
    check_values(add(arange(3.0), 1, {.where = column}), {1, 2, 3, 0, 0, 0});
    const Error error = error_of([&] { add(arange(3.0), 1, {.where = Array::of({true, false})}); });
    CHECK(error.kind() == ErrorKind::shape);
    CHECK(error.message() == "cannot broadcast (3,) with (2,)");
    CHECK(error.line() == __LINE__ - 3);
}

TEST_CASE("compiled: `casting` = same_kind by default for out", "[jit][semantics][calls]") {
    const auto add = add_ufunc();
    const auto allowed = [&](DType from, DType to, std::optional<Casting> casting = {}) {
        CallOptions options;
        options.out = Array();
        const Array x = zeros({0}, from), out = zeros({0}, to);
        options.out = out;
        if (casting) options.casting = *casting;
        try {
            add(x, x, options);
            return true;
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::type);
            return false;
        }
    };
    CHECK(allowed(f64, f32));
    CHECK(allowed(i64, i8));
    CHECK(allowed(i32, f32));
    CHECK(allowed(f32, c64));
    CHECK_FALSE(allowed(f64, i64));
    CHECK_FALSE(allowed(c64, f32));
    CHECK_FALSE(allowed(i32, bool_));
    CHECK_FALSE(allowed(i32, u32));
    CHECK(allowed(f64, i8, Casting::unsafe));
    CHECK(allowed(f32, f64, Casting::safe));
    CHECK_FALSE(allowed(f64, f32, Casting::safe));
    CHECK_FALSE(allowed(f32, f64, Casting::no));
    CHECK(allowed(f32, f32, Casting::no));

    const Array x = row(std::vector<std::int8_t>{0, 1, 2});
    Array out = full({3}, std::int8_t(7));
    const Error error = error_of([&] { add(x, 1.9, {.out = out}); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "cannot cast output of add from f64 to i8 under same_kind");
    CHECK(error.line() == __LINE__ - 3);
    check_row(out, std::vector<std::int8_t>{7, 7, 7});
    add(x, 1.9, {.out = out, .casting = Casting::unsafe});
    check_row(out, std::vector<std::int8_t>{1, 2, 3});
}

TEST_CASE("compiled: The computation type never depends on out or on call history",
          "[jit][semantics][calls]") {
    const Array bytes = row(std::vector<std::int8_t>{100, -100});
    const Array halves = row(std::vector<float>{16'777'216, 0.1f});
    const auto run = [&](const Ufunc& add) {
        Array wide = zeros({2}, DType::i64), real = zeros({2});
        add(bytes, bytes, {.out = wide});
        add(halves, 1, {.out = real});
        check_row(wide, std::vector<std::int64_t>{-56, 56});
        check_row(real, std::vector<double>{16'777'216, double(0.1f + 1)});
        check_row(add(bytes, bytes), std::vector<std::int8_t>{-56, 56});
    };
    run(add_ufunc());
    const auto used = add_ufunc();
    used(zeros({3}), zeros({3}));
    used(zeros({3}, DType::i64), 1);
    used(zeros({3}, DType::c128), 1.5);
    run(used);
    CHECK(used(bytes, bytes).dtype() == DType::i8);
}

TEST_CASE("compiled: Eager signatures: the first listed loop to which all inputs cast safely",
          "[jit][semantics][calls]") {
    const auto add =
        vectorize("add", [](Value a, Value b) { return a + b; }, {f32(f32, f32), f64(f64, f64)});
    // 1e300 is no f32: a silent narrowing to the first loop would show.
    check_row(everywhere(add, {row(std::vector{1e300}), row(std::vector{1.0f})}),
              std::vector<double>{1e300});
    check_row(everywhere(add, {row(std::vector{16'777'217}), row(std::vector{0.0f})}),
              std::vector<double>{16'777'217});
    check_row(everywhere(add, {row(std::vector{std::int16_t(3)}), row(std::vector{0.5f})}),
              std::vector<float>{3.5f});
    // The order of the list counts.
    const auto reversed =
        vectorize("add", [](Value a, Value b) { return a + b; }, {f64(f64, f64), f32(f32, f32)});
    CHECK(reversed(ones({1}, DType::f32), ones({1}, DType::f32)).dtype() == DType::f64);

    const Array z = zeros({2}, DType::c64);
    const Error error = error_of([&] { add(z, 1.0f); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "no loop of add accepts (c64, float)");
    CHECK(error.hint() ==
          "candidates: f32(f32, f32), f64(f64, f64); convert the arguments with astype");
    CHECK(error.line() == __LINE__ - 5);
    CHECK(error.file() == __FILE__);
    const auto single =
        vectorize("single", [](Value a, Value b) { return a + b; }, {f32(f32, f32)});
    CHECK(error_of([&] { single(zeros({2}), zeros({2})); }).message() ==
          "no loop of single accepts (f64, f64)");
}

TEST_CASE("compiled: order K/C/F/A for allocated outputs; K keeps the inputs' memory order",
          "[jit][semantics][calls]") {
    const auto add = add_ufunc();
    const Array c = zeros({2, 3, 4}, DType::f32), f = zeros({2, 3, 4}, DType::i32, Order::fortran);
    CHECK(add(f, 1).is_fortran());
    CHECK(add(c, 1).is_contiguous());
    CHECK(add(f, 1, {.order = Order::c}).is_contiguous());
    CHECK(add(c, 1, {.order = Order::fortran}).is_fortran());
    CHECK(add(f, 1, {.order = Order::any}).is_fortran());
    CHECK(add(c, f, {.order = Order::any}).is_contiguous());
    // With another dtype out than in, with elements in their places.
    const Array values_f = arange(24, DType::i32).reshape({2, 3, 4}).copy(Order::fortran);
    for (const Order order : {Order::keep, Order::c, Order::fortran, Order::any}) {
        const Array r = add(values_f, 0.5, {.order = order});
        CHECK(r.is_fortran() == (order != Order::c));
        bool same = true;
        for (std::int64_t i = 0; i < 24; ++i) same = same && at(r, i) == double(i) + 0.5;
        CHECK(same);
    }
    // K: the axes from the largest stride to the smallest, without gaps.
    const Array permuted = zeros({4, 2, 3}).transpose({1, 2, 0});
    CHECK(add(permuted, 1.0).strides() == permuted.strides());
    CHECK(add(permuted(Slice{}, Slice{}, Slice{{}, {}, 2}), 1.0).strides() == Shape{24, 8, 48});
}

TEST_CASE("compiled: an unsafe cast of an input, by `dtype` and in a kernel",
          "[jit][semantics][calls]") {
    const auto add = add_ufunc();
    const Error error = error_of([&] { add(Array::of({1.5}), 1, {.dtype = i32}); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "cannot cast input 1 of add from f64 to i32 under same_kind");
    CHECK(error.line() == __LINE__ - 3);
    check_values(add(Array::of({1.5}), 1, {.casting = Casting::unsafe, .dtype = i32}), {2});
    const Error copied = error_of([] { zeros({2}).astype(DType::i32, Casting::safe); });
    CHECK(copied.kind() == ErrorKind::type);
    CHECK(copied.line() == __LINE__ - 2);
}
