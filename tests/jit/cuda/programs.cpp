#include "tests/jit/cuda/programs.h"

#include "codegen/passes/pass.h"
#include "dsl/ir/text.h"
#include "tests/dice.h"

#include <cmath>
#include <cstring>
#include <utility>

namespace kiln::test {

namespace {

ir::Kernel for_device(const std::string& text, bool noalias = true) {
    codegen::PassContext context;
    context.options = {
        .target = codegen::PassTarget::gpu, .noalias = noalias, .verify = true, .fuse = true};
    return codegen::run_passes(ir::parse(text), context);
}

template <class K, std::size_t... I>
std::string traced(const K& kernel, const std::vector<Array>& a, std::index_sequence<I...>) {
    return kernel.inspect(Artifact::ir,
                          {ArgType{a[I].dtype(), static_cast<std::uint8_t>(a[I].rank())}...});
}

template <class K, std::size_t... I>
void call(const K& kernel, const std::vector<Array>& a, std::index_sequence<I...>) {
    kernel(a[I]...);
}

template <std::size_t n, class K>
Program program(std::string name, const K& kernel, std::vector<Array> arguments,
                double tolerance = 0, bool noalias = true) {
    Program made{std::move(name), {}, copies(arguments), copies(arguments), tolerance};
    made.device = for_device(traced(kernel, arguments, std::make_index_sequence<n>()), noalias);
    call(kernel, made.expected, std::make_index_sequence<n>());
    return made;
}

Array random_array(std::uint64_t seed, DType t, const Shape& shape) {
    test::Dice dice(seed);
    const Array made = empty(shape, t);
    for (std::int64_t i = 0; i < made.size(); ++i) {
        const double value = static_cast<double>(dice.below(2001)) / 777.0 - 1.2;
        const Scalar s = Scalar::of(is_integer(t) ? std::round(value * 40) : value).cast(t);
        std::memcpy(made.data() + static_cast<std::int64_t>(size_of(t)) * i, s.bytes.data(),
                    size_of(t));
    }
    return made;
}

}  // namespace

std::vector<Array> copies(const std::vector<Array>& arrays) {
    std::vector<Array> made;
    for (const Array& a : arrays) made.push_back(a.copy());
    return made;
}

std::vector<Program> device_programs() {
    std::vector<Program> all;
    const DType f64 = DType::f64, f32 = DType::f32, i64 = DType::i64, i32 = DType::i32;

    const auto axpy = jit("axpy", [](In x, InOut y) {
        for (Index i : prange(1, x.extent(0))) y(i) = 2.5 * x(i) + y(i) - x(i - 1) * i;
    });
    all.push_back(
        program<2>("axpy", axpy, {random_array(1, f64, {777}), random_array(2, f64, {777})}));

    const auto dot = jit("dot", [](In x, In y, Out z) {
        Var s(x.dtype(), 0);
        for (Index i : prange(x.extent(0))) s += x(i) * y(i);
        z(0) = s;
    });
    for (const std::int64_t n : {1, 31, 32, 255, 8192, 8193, 100'003})
        for (const DType t : {f64, f32})
            all.push_back(program<3>(
                "dot", dot, {random_array(3, t, {n}), random_array(4, t, {n}), zeros({1}, t)},
                1e-5));

    const auto sum2 = jit("sum2", [](In a, Out z) {
        Var s(a.dtype(), 0), largest(a.dtype(), -1e30);
        for (Index i : prange(a.extent(0)))
            for (Index j : range(a.extent(1))) {
                s += a(i, j);
                largest = max(largest, a(i, j));
            }
        z(0) = s;
        z(1) = largest;
    });
    for (const std::int64_t n : {3, 300, 3000})
        all.push_back(
            program<2>("sum2", sum2, {random_array(5, f64, {n, 37}), zeros({2}, f64)}, 1e-12));

    // An iteration that ends early, one of a loop inside of it, and that loop.
    const auto skips = jit("skips", [](In a, Out z) {
        Var s(a.dtype(), 0);
        for (Index i : prange(a.extent(0))) {
            if_(a(i, 0) < 0.0, [&] { continue_(); });
            for (Index j : range(a.extent(1))) {
                if_(a(i, j) > 1.0, [&] { continue_(); });
                if_(a(i, j) < -1.0, [&] { break_(); });
                s += a(i, j);
            }
        }
        z(0) = s;
    });
    all.push_back(
        program<2>("skips", skips, {random_array(19, f64, {700, 23}), zeros({1}, f64)}, 1e-12));

    const auto count = jit("count", [](In a, Out z) {
        Var negative(DType::i64, 0), bits(DType::i64, 0);
        for (Index i : prange(a.extent(0))) {
            negative += cast<std::int64_t>(a(i) < 0);
            bits = bits ^ cast<std::int64_t>(a(i));
        }
        z(0) = negative;
        z(1) = bits;
    });
    all.push_back(program<2>("count", count, {random_array(6, i32, {20'001}), zeros({2}, i64)}));

    const auto running = jit("running", [](In x, Out y) {
        Var s(x.dtype(), 0);
        for (Index i : range(x.extent(0))) {
            s += x(i);
            y(i) = s;
        }
    });
    for (const std::int64_t n : {1, 63, 1024, 1025, 70'001})
        all.push_back(program<2>("running", running, {random_array(7, i64, {n}), zeros({n}, i64)}));

    const auto matvec = jit("matvec", [](In a, In x, Out y) {
        for (Index i : prange(a.extent(0))) {
            Var s(a.dtype(), 0);
            for (Index j : range(a.extent(1))) s += a(i, j) * x(j);
            y(i) = s;
        }
    });
    all.push_back(program<3>(
        "matvec", matvec,
        {random_array(8, f32, {91, 65}), random_array(9, f32, {65}), zeros({91}, f32)}, 1e-5));

    const auto jacobi = jit("jacobi", [](InOut a, InOut b) {
        for ([[maybe_unused]] Index t : range(3)) {
            for (Index i : prange(1, a.extent(0) - 1))
                for (Index j : range(1, a.extent(1) - 1))
                    b(i, j) =
                        0.2 * (a(i, j) + a(i - 1, j) + a(i + 1, j) + a(i, j - 1) + a(i, j + 1));
            for (Index i : prange(1, a.extent(0) - 1))
                for (Index j : range(1, a.extent(1) - 1)) a(i, j) = b(i, j);
        }
    });
    all.push_back(program<2>("jacobi", jacobi,
                             {random_array(10, f64, {40, 33}), random_array(11, f64, {40, 33})}));

    const auto escape = jit("escape", [](In c, Out steps) {
        for (Index i : prange(c.extent(0))) {
            Var x(DType::f64, 0), n(DType::i32, 0);
            while_(n < 50 && x <= 4.0, [&] {
                x = x * x + c(i);
                n += 1;
            });
            steps(i) = n;
        }
    });
    all.push_back(program<2>("escape", escape, {random_array(12, f64, {500}), zeros({500}, i32)}));

    const auto histogram = jit("histogram", [](In x, InOut bins) {
        for (Index i : prange(x.extent(0))) atomic_add(bins((x(i) + 60) % 8), 1);
    });
    all.push_back(
        program<2>("histogram", histogram, {random_array(13, i64, {3000}), zeros({8}, i64)}));

    const auto converge = jit("converge", [](InOut x, Out steps) {
        Var error(DType::f64, 1), n(DType::i64, 0);
        while_([&] { return error > 1e-3; },
               [&] {
                   Var largest(DType::f64, 0);
                   for (Index i : prange(x.extent(0))) {
                       const Value next = 0.5 * x(i);
                       largest = max(largest, abs(next - x(i)));
                       x(i) = next;
                   }
                   error = largest;
                   n += 1;
               });
        steps(0) = n;
    });
    all.push_back(
        program<2>("converge", converge, {random_array(14, f64, {1000}), zeros({1}, i64)}));

    const auto softmax = jit("softmax", [](In x, Out y) { y = (x - x.max()) * (1.0 / x.sum()); });
    all.push_back(
        program<2>("softmax", softmax, {random_array(15, f64, {5000}), zeros({5000}, f64)}, 1e-9));

    const auto columns = jit("columns", [](In a, Out y) { y = a.sum({.axis = 0}); });
    all.push_back(
        program<2>("columns", columns, {random_array(16, f64, {70, 50}), zeros({50}, f64)}, 1e-12));

    // Loops of one thread: their variables are the program's.
    const auto serial = jit("serial", [](InOut x, Out y) {
        Var s(DType::f64, 0), k(DType::i64, 0);
        for (Index i : range(1, x.extent(0))) {
            x(i) = 0.5 * x(i) - x(i - 1) * x(i - 1);
            s += x(i);
        }
        while_([&] { return k < x.extent(0) && x(k) < 1.0; }, [&] { k += 1; });
        for (Index i : prange(y.extent(0))) y(i) = s + k * i;
    });
    all.push_back(
        program<2>("serial", serial, {random_array(18, f64, {300}), zeros({9}, f64)}, 1e-12));

    const auto largest_at = jit("largest_at", [](In a, Out at) {
        Var most(DType::f64, -1e30), where(DType::i64, 0), least(DType::f64, 1e30),
            low(DType::i64, 0);
        for (Index i : prange(a.extent(0))) {
            reduce_argmax(most, where, a(i), i);
            reduce_argmin(least, low, a(i), i);
        }
        at(0) = where;
        at(1) = low;
    });
    for (const std::int64_t n : {5, 9000, 40'000})
        all.push_back(
            program<2>("largest_at", largest_at, {random_array(17, f64, {n}), zeros({2}, i64)}));
    return all;
}

}  // namespace kiln::test
