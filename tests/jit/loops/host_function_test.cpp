// Functions of the host program that loop kernels call.
#include "dsl/ir/text.h"
#include "tests/jit/support.h"
#include "tests/oracle/interpreter.h"

#include <atomic>
#include <limits>
#include <stdexcept>

using namespace kiln;
using namespace kiln::test;

namespace {

double hypotenuse(double a, double b) { return a * a + b * b; }

// Narrow integers are extended in registers; all values of the type must arrive and come back.
template <class T> T next(T x) {
    if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, bool>)
        return static_cast<T>(x + 1);
    else
        return static_cast<T>(static_cast<std::make_unsigned_t<T>>(x) + 1U);  // it wraps
}
template <class T> void check_type(const std::string& name) {
    INFO(name);
    const auto f = host_function<T(T)>("next_" + name, &next<T>);
    const auto kernel = jit([=](In x, Out y) {
        for (Index i : prange(x.extent(0))) y(i) = f(x(i));
    });
    using Limits = std::numeric_limits<T>;
    const std::vector<T> x{T(0), T(1), Limits::max(), Limits::lowest(), static_cast<T>(100)};
    std::vector<T> y(x.size()), expected;
    for (const T e : x) expected.push_back(next(e));
    kernel(x, y);
    CHECK(y == expected);
}

TEST_CASE("host functions: every type, as argument and result", "[jit][program][host]") {
    check_type<std::int8_t>("i8");
    check_type<std::int16_t>("i16");
    check_type<std::int32_t>("i32");
    check_type<std::int64_t>("i64");
    check_type<std::uint8_t>("u8");
    check_type<std::uint16_t>("u16");
    check_type<std::uint32_t>("u32");
    check_type<std::uint64_t>("u64");
    check_type<float>("f32");
    check_type<double>("f64");
    const auto flip = host_function<bool(bool)>("flip", [](bool b) { return !b; });
    const auto kernel = jit([=](In x, Out y) {
        for (Index i : range(x.extent(0))) y(i) = flip(flip(x(i) > 2.0));
    });
    const Array y = empty({3}, DType::bool_);
    kernel(std::vector<double>{1, 2, 3}, y);
    check_values(y, {0, 0, 1});
}

double mixed(bool a, std::int8_t b, std::uint16_t c, float d, std::int64_t e, double f,
             std::uint8_t g, std::int32_t h, double i, double j) {
    return (a ? 1 : 0) + 2.0 * b + 3.0 * c + 4.0 * static_cast<double>(d) +
           5.0 * static_cast<double>(e) + 6 * f + 7.0 * g + 8.0 * h + 9 * i + 10 * j;
}

TEST_CASE("host functions: many arguments of many types, which convert without narrowing",
          "[jit][program][host]") {
    const auto f = host_function("mixed", &mixed);
    CHECK(f.name() == "mixed");
    const auto kernel = jit([=](In x, Value c) -> Value {
        Var sum(DType::f64, 0.0);
        for (Index i : prange(x.extent(0)))
            sum += f(true, -1, x(i) > 1, x(i), i, c, 255, x(i), cast<float>(i), 0.5);
        return sum;
    });
    double expected = 0;
    const std::vector<std::int8_t> x{-3, 0, 100};
    for (std::size_t i = 0; i < x.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        expected += mixed(true, -1, x[i] > 1, x[i], at, 2.5, 255, x[i], static_cast<float>(i), 0.5);
    }
    CHECK(kernel(x, 2.5).get<double>() == expected);

    const auto g = host_function("hypotenuse", &hypotenuse);
    std::uint32_t line = 0;
    const auto narrow = host_function<float(float)>("narrow", [](float v) { return v; });
    const auto refused = jit([&](In a, Out b) {
        line = __LINE__ + 1;
        b(0) = g(a(0), narrow(a(0)));
    });
    const Error error = error_of([&] { refused(std::vector<double>{1}, zeros({1})); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.line() == line);
    CHECK(error.message() == "argument 1 of narrow is f64, which does not fit f32");
    CHECK(error.hint() == "write cast(kiln::f32, ...)");
    CHECK(error_of([&] { g(1.0, 2.0); }).kind() == ErrorKind::usage);
}

std::vector<std::int64_t> seen;
std::atomic<int> calls{0};

TEST_CASE("host functions: calls take place where they are written, in their order",
          "[jit][program][host]") {
    const auto note =
        host_function<void(std::int64_t)>("note", [](std::int64_t v) { seen.push_back(v); });
    const auto tick = host_function<std::int32_t()>("tick", [] { return calls++; });
    const auto kernel = jit([=](In x, Out y) {
        note(-1);
        for (Index i : range(x.extent(0))) {
            note(i * 2);
            if_(x(i) > 1.0, [&] { note(i * 2 + 1); });
            tick();  // the result is not used, the call stays
            y(i) = tick() + tick();
        }
        note(-2);
    });
    seen.clear();
    calls = 0;
    std::vector<double> x{1, 2, 1};
    std::vector<std::int32_t> y(3);
    kernel(x, y);
    CHECK(seen == std::vector<std::int64_t>{-1, 0, 2, 3, 4, -2});
    CHECK(calls == 9);
    CHECK(y == std::vector<std::int32_t>{1 + 2, 4 + 5, 7 + 8});
}

double counted(double x) {
    ++calls;
    return x + 0.5;
}

TEST_CASE("host functions: calls of pure ones are merged and dropped", "[jit][program][host]") {
    const auto f = host_function("counted_pure", &counted, {.pure = true});
    const auto g = host_function("counted", &counted);
    const auto run = [](const auto& function) {
        const auto kernel = jit([=](In x, Out y) {
            for (Index i : prange(x.extent(0))) {
                function(x(i) * 3);  // not used
                y(i) = function(x(i)) * function(x(i));
            }
        });
        calls = 0;
        std::vector<double> y(2);
        kernel(std::vector<double>{1, 2}, y);
        CHECK(y == std::vector<double>{2.25, 6.25});
        return calls.load();
    };
    CHECK(run(f) == 2);
    CHECK(run(g) == 6);
    // No call is made that the kernel does not make.
    const auto guarded = jit([=](In x, Out y) {
        for (Index i : prange(x.extent(0))) if_(x(i) > 1.0, [&] { y(i) = f(x(0)); });
    });
    calls = 0;
    std::vector<double> y(3);
    guarded(std::vector<double>{1, 1, 1}, y);
    CHECK(calls == 0);
}

struct OwnException : std::runtime_error {
    using std::runtime_error::runtime_error;
};

double picky(double x) {
    if (x < 0) throw OwnException("negative: " + std::to_string(x));
    return x * 2;
}

TEST_CASE("host functions: the exception of the lowest iteration is thrown, all others run",
          "[jit][program][host]") {
    const auto f = host_function("picky", &picky);
    for (const bool parallel : {false, true}) {
        const auto kernel = jit(
            [=](In x, Out y) {
                for (Index i : prange(x.extent(0), {.schedule = Schedule::dynamic, .chunk = 10}))
                    y(i) = f(x(i)) + 1.0;
            },
            {.parallel = parallel});
        const Array x = arange(1000.0), y = zeros({1000});
        x.view<double, 1>()(400) = -400;
        x.view<double, 1>()(900) = -900;
        x.view<double, 1>()(401) = -401;
        try {
            kernel(x, y);
            FAIL("no exception");
        } catch (const OwnException& e) {
            CHECK(std::string(e.what()) == "negative: " + std::to_string(-400.0));
        }
        for (int i : {0, 399, 402, 999}) CHECK(at(y, i) == 2 * i + 1);
        CHECK(at(y, 400) == 1);  // what throws gives 0
        // The next call is not affected.
        kernel(arange(5.0), empty({5}));
    }
}

TEST_CASE("host functions: exceptions beside faults, of several loops, of any type",
          "[jit][program][host]") {
    const auto f = host_function<std::int64_t(std::int64_t)>("picky_int", [](std::int64_t v) {
        if (v < 0) throw 42;
        return v;
    });
    const auto kernel = jit(
        [=](In x, In k, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = f(x(i));
            for (Index i : prange(x.extent(0))) y(i) += x(k(i));
        },
        {.parallel = true, .checked = true, .params = {"x", "k", "y"}});
    std::vector<std::int64_t> x{1, 2, -1, 4}, good{0, 1, 2, 3}, bad{9, 1, 2, 3}, y(4);
    CHECK_THROWS_AS(kernel(x, bad, y), int);  // the first loop's
    x[2] = 3;
    CHECK(error_of([&] { kernel(x, bad, y); }).message() ==
          "index (9,) is outside of x of shape (4,) in iteration 0");
    kernel(x, good, y);
    CHECK(y == std::vector<std::int64_t>{2, 4, 6, 8});
    // Within an iteration the first one counts.
    const auto both = jit(
        [=](In a, In index, Out b) {
            for (Index i : prange(a.extent(0))) {
                const Value element = a(index(i));
                b(i) = element + f(a(i));
            }
        },
        {.checked = true, .params = {"a", "index", "b"}});
    x = {1, -1, 3, 4};
    CHECK_THROWS_AS(both(x, std::vector<std::int64_t>{0, 1, 9, 9}, y), int);
    CHECK_THROWS_AS(both(x, std::vector<std::int64_t>{0, 9, 1, 1}, y), Error);
}

double other(double, double) { return 0; }

TEST_CASE("host functions: functions of one name are told apart", "[jit][program][host]") {
    const auto product =
        host_function<double(double, double)>("one_name", [](double a, double b) { return a * b; });
    const auto sum =
        host_function<double(double, double)>("one_name", [](double a, double b) { return a + b; });
    const auto more = host_function<float(float)>("one_name", [](float x) { return x + 1; });
    const auto kernel_of = [](const auto& f) {
        return jit([=](In x, Out y) {
            for (Index i : range(x.extent(0))) y(i) = f(x(i), 10.0);
        });
    };
    std::vector<double> x{1, 2}, y(2);
    kernel_of(product)(x, y);
    CHECK(y == std::vector<double>{10, 20});
    const auto second = kernel_of(sum);
    second(x, y);
    CHECK(y == std::vector<double>{11, 12});
    CHECK(second.stats().compiles == 0);  // the code is the same, what it calls is not
    const auto all = jit([=](In a, Out b) {
        for (Index i : range(a.extent(0)))
            b(i) = product(a(i), 10.0) * 1000 + sum(a(i), 10.0) + more(cast<float>(a(i))) * 0.125;
    });
    all(x, y);
    CHECK(y == std::vector<double>{10'011.25, 20'012.375});

    const auto message = [](auto register_it) { return error_of(register_it).message(); };
    const Error error = error_of([] { host_function<void()>("pure_void", [] {}, {.pure = true}); });
    CHECK(error.message() == "host function pure_void is pure and gives nothing");
    CHECK(error.line() == __LINE__ - 2);
    CHECK(message([] { host_function("", &other); }) == "a host function has no name");
    CHECK(message([] { host_function<double(double)>("null", nullptr); }) ==
          "host function null is null");
}

TEST_CASE("host functions: nothing remembers one that is gone", "[jit][program][host]") {
    CHECK(detail::find_host_function("gone") == nullptr);
    {
        const auto first = host_function("gone", &other);
        const auto same = host_function("gone", &other);
        const auto second = host_function("gone", &hypotenuse);
        CHECK(detail::find_host_function("gone")->target ==
              reinterpret_cast<detail::AnyFunction>(&hypotenuse));
    }
    CHECK(detail::find_host_function("gone") == nullptr);
}

TEST_CASE("host functions: equal code is shared by kernels that know other functions besides",
          "[jit][program][host]") {
    const auto dropped =
        host_function<double(double)>("dropped", [](double x) { return x - 1; }, {.pure = true});
    const auto kept = host_function<double(double)>("kept", [](double x) { return x * 8; });
    const auto with = jit([=](In x, Out y) {
        for (Index i : range(x.extent(0))) {
            dropped(x(i));
            y(i) = kept(x(i));
        }
    });
    const auto without = jit([=](In x, Out y) {
        for (Index i : range(x.extent(0))) y(i) = kept(x(i));
    });
    std::vector<double> x{1, 2}, y(2);
    with(x, y);
    CHECK(y == std::vector<double>{8, 16});
    without(x, y);
    CHECK(y == std::vector<double>{8, 16});
    CHECK(without.stats().compiles == 0);
}

TEST_CASE("host functions: loops with calls are not fused, of pure ones they are",
          "[jit][program][host]") {
    const auto impure = host_function<double(double)>("impure", [](double x) { return x + 1; });
    const auto pure =
        host_function<double(double)>("is_pure", [](double x) { return x + 1; }, {.pure = true});
    unsigned line = 0;
    const auto chain = [&](const auto& f) {
        return jit(
            [f, &line](In x, Out y, Out z) {
                line = __LINE__ + 1;
                for (Index i : prange(x.extent(0))) y(i) = f(x(i));
                for (Index i : prange(x.extent(0))) z(i) = y(i) * 2.0;
            },
            {.parallel = true});
    };
    const Array x = arange(5.0), y = empty({5}), z = empty({5});
    const auto apart = chain(impure), together = chain(pure);
    apart(x, y, z);
    check_values(z, {2, 4, 6, 8, 10});
    const std::string place = "host_function_test.cpp:" + std::to_string(line);
    CHECK(apart.parallel_diagnostics() ==
          "kernel: 2 parallel loops found, 2 left\n  host_function_test.cpp:" +
              std::to_string(line + 1) + ": not fused: loop at " + place + " calls impure at " +
              place + ", which is not pure\n");
    together(x, y, z);
    check_values(z, {2, 4, 6, 8, 10});
    CHECK(together.parallel_diagnostics(0) == "kernel: 2 parallel loops found, 1 left\n");
    // A call between two loops keeps its place.
    const auto between = jit(
        [=](In a, Out b, Out c) {
            for (Index i : prange(a.extent(0))) b(i) = a(i);
            impure(1.0);
            for (Index i : prange(a.extent(0))) c(i) = b(i);
        },
        {.parallel = true});
    between(x, y, z);
    CHECK(between.parallel_diagnostics().find(", impure is called at host_function_test.cpp:") !=
          std::string::npos);
    CHECK(between.parallel_diagnostics(0) == "kernel: 2 parallel loops found, 2 left\n");
}

TEST_CASE("host functions: conditions of while_, kernels that are called, verify",
          "[jit][program][host]") {
    const auto less = host_function<bool(std::int32_t)>("less", [](std::int32_t n) {
        ++calls;
        return n < 5;
    });
    std::uint32_t line = 0;
    const auto expression = jit([&](Out y) {
        Var n(DType::i32, 0);
        line = __LINE__ + 1;
        while_(less(n), [&] { n += 1; });
        y(0) = n;
    });
    const Array y = zeros({1}, DType::i32);
    const Error error = error_of([&] { expression(y); });
    CHECK(error.line() == line);
    CHECK(error.message() == "the condition of while_ calls less, a function that is not pure");
    CHECK(error.hint() == "write the condition as a lambda: while_([&] { return ...; }, ...)");
    const auto inner = jit([=](InOut a) {
        Var n(DType::i32, 0);
        while_([&] { return less(n); }, [&] { n += 1; });
        a(0) = n;
    });
    const auto caller = jit([=](InOut a) { inner(a); }, {.verify = true, .verify_ulps = 0});
    calls = 0;
    caller(y);
    CHECK(at(y, 0) == 5);
    CHECK(calls == 12);  // six in each form
    const auto small = host_function<bool(std::int32_t)>(
        "small", [](std::int32_t n) { return n < 7; }, {.pure = true});
    const auto retraced = jit([=](Out a) {
        Var n(DType::i32, 0);
        while_(small(n), [&] { n += 1; });
        a(0) = n;
    });
    retraced(y);
    CHECK(at(y, 0) == 7);
}

TEST_CASE("host functions: element-wise kernels and CUDA refuse them with the line",
          "[jit][program][host]") {
    const auto f = host_function("hypotenuse", &hypotenuse);
    std::uint32_t line = 0;
    const auto map = vectorize("legs", [&](Value a, Value b) -> Value {
        line = __LINE__ + 1;
        return f(a, b);
    });
    const Error error = error_of([&] { map(ones({3}), ones({3})); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.line() == line);
    CHECK(error.message() ==
          "hypotenuse is a function of the host program, which an element-wise kernel cannot call");
    CHECK(error.hint() == "call it in a loop kernel, made by jit");
    const Error cuda = error_of([&] { map.inspect(Artifact::cuda, {f64[1], f64[1]}); });
    CHECK(cuda.kind() == ErrorKind::unsupported);
    CHECK(cuda.line() == line);
    CHECK(cuda.message() ==
          "the CUDA backend does not compile calls of functions of the host program (hypotenuse)");
}

TEST_CASE("host functions: the IR as text, its verifier, its interpreter", "[jit][program][host]") {
    const auto of_two = host_function("hypotenuse", &hypotenuse);
    const auto noted =
        host_function<void(std::int64_t)>("noted", [](std::int64_t v) { seen.push_back(v); });
    const std::string text =
        "kernel k(x: in f64[1], y: out f64[1]) program {\n  stage [] {\n"
        "    call \"noted\"(i64(3))\n"
        "    for %0 = i64(0) to extent(x, 0) step i64(1) {\n"
        "      %1 = load f64 x[%0]\n"
        "      %2 = call f64 \"hypotenuse\"(%1, f64(2))\n"
        "      %3 = call pure i32 \"no arguments\\\"\"()\n"
        "      store y[%0], %2\n    }\n  }\n}\n";
    const ir::Kernel kernel = ir::parse(text);
    CHECK(ir::print(kernel) == text);
    CHECK(ir::verify(kernel).empty());
    REQUIRE(kernel.functions.size() == 3);
    CHECK(kernel.functions[1] ==
          ir::HostFunction{"hypotenuse", DType::f64, {DType::f64, DType::f64}, false});

    const auto broken = [&](auto change) {
        ir::Kernel k = kernel;
        change(k);
        return ir::verify(k);
    };
    const auto has = [](const std::string& all, const char* part) {
        return all.find(part) != std::string::npos;
    };
    CHECK(has(broken([](ir::Kernel& k) { k.functions.resize(1); }), "function 1 of 1"));
    CHECK(has(broken([](ir::Kernel& k) { k.functions[1].pure = true; }),
              "function hypotenuse is pure"));
    CHECK(has(broken([](ir::Kernel& k) { k.functions[1].params.pop_back(); }),
              "takes 1 operand, not 2"));
    CHECK(has(broken([](ir::Kernel& k) { k.functions[1].params[0] = DType::f32; }),
              "operand 0 is f64, not f32"));
    CHECK(
        has(broken([](ir::Kernel& k) { k.functions[1].result = DType::f32; }), "is f64, not f32"));
    CHECK(has(broken([](ir::Kernel& k) { k.functions[1].name = "noted"; }), "is there twice"));
    CHECK(has(broken([](ir::Kernel& k) { k.functions[1].result = DType::f16; }),
              "neither bool, an integer, f32 nor f64"));
    CHECK(error_of([&] {
              ir::parse(
                  "kernel (x: out f64[1]) program { stage [] { %0 = call f64 \"f\"(f64(1)) "
                  "%1 = call f64 \"f\"(%0, %0) } }");
          }).message() == "expected a call of f with the types of its first one, found '}'");

    // The interpreter knows functions that are registered.
    ir::Kernel known = ir::parse(
        "kernel k(x: in f64[1], y: out f64[1]) program {\n  stage [] {\n    call "
        "\"noted\"(i64(3))\n"
        "    %0 = load f64 x[i64(1)]\n    %1 = call f64 \"hypotenuse\"(%0, f64(2))\n"
        "    store y[i64(0)], %1\n  }\n}\n");
    std::vector<double> x{1, 3}, y{0};
    const std::vector<oracle::Argument> arguments{oracle::Argument::of(x), oracle::Argument::of(y)};
    seen.clear();
    oracle::interpret(known, arguments);
    CHECK(y[0] == 13);
    CHECK(seen == std::vector<std::int64_t>{3});
    CHECK(error_of([&] { oracle::interpret(kernel, arguments); }).message() ==
          "host function no arguments\" is not registered");
}

}  // namespace
