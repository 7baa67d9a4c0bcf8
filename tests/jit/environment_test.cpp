// The floating-point environment: kernels compute under the default one, whatever the caller and
// the threads have, and the caller's stays as it was.
#include "tests/jit/environment.h"
#include "tests/jit/loops/random_program.h"
#include "tests/jit/support.h"

#include <kiln/host_function.h>
#include <kiln/parallel.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cfenv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

using Results = std::vector<Array>;

Array bytes_of(const std::string& text) {
    const Array a = empty(Shape(static_cast<std::int64_t>(text.size())), DType::u8);
    std::memcpy(a.data(), text.data(), text.size());
    return a;
}

/// What kiln computes of these elements by kernels that are made here.
Results by_kernels(const Array& x) {
    Results all;
    const UfuncOptions threads{.parallel = true};
    const auto thirds = vectorize(
        [](Value v) { return v / 3.0 + Value(f64(1.0)) / 3.0 + 1e-310 * Value(f64(0.3)); },
        threads);
    all.push_back(thirds(x));
    all.push_back(thirds(0.7));
    all.push_back(full({1}, thirds.bind<double(double)>()(0.7)));
    all.push_back(vectorize([](Value v) { return exp(v) + sin(v) * 0.1 + tgamma(v); }, threads)(x));
    all.push_back(vectorize([](Value v) { return asinh(v) + pow(v, 0.3); }, threads)(x));
    all.push_back(vectorize([](Value v) { return cast(DType::f16, v); }, threads)(x));
    all.push_back(vectorize([](Value v) { return cast(DType::f32, v) * 0.1; }, threads)(x));
    all.push_back(vectorize([](Value v) { return v * 1e-310; }, threads)(x));
    all.push_back(vectorize([](Value v, Value w) { return v * w; })(x, full({1}, 5e-324)));
    const Array y = empty(x.shape());
    jit(
        [](In v, Out w) {
            for (Index i : prange(v.extent(0))) w(i) = v(i) * 1e-300 / 3e9;
        },
        {.parallel = true})(x, y);
    all.push_back(y);
    const auto total = jit(
        [](In v) -> Value {
            Var sum(f64, 0);
            for (Index i : prange(v.extent(0))) sum += v(i) / 3.0;
            return sum;
        },
        {.parallel = true});
    all.push_back(full({1}, total(x).get<double>()));
    all.push_back(stencil([](Neighbors a) -> Value { return (a(-1) + a(0) + a(1)) / 3.0; },
                          {.boundary = Boundary::nearest, .parallel = true})(x));
    all.push_back(map_reduce([](Value v) { return v / 3.0; }, Reduce::sum, {.parallel = true})(x));
    return all;
}

/// And by its own functions.
Results by_functions(const Array& x) {
    Results all{sum(x),
                cumsum(x),
                mean(x),
                var(x),
                standard_deviation(x),
                quantile(x, 0.37),
                median(x),
                argmin(x),
                sort(x),
                argsort(x),
                any(x, {.axis = 0}),
                any(full({100'000}, 5e-324)),
                kiln::all(full({100'000}, 5e-324)),
                argmax(full({100'000}, 5e-324)),
                x.astype(DType::f32),
                x.astype(DType::f16),
                x.astype(DType::i32),
                linspace(0.1, 0.7, 1001),
                arange(0.1, 9.3, 0.1),
                full({3}, 0.1).astype(DType::bf16),
                sort(Array(std::vector{-5e-324, 0.0, 5e-324, -1e-310}))};
    for (const Array& a : {histogram(x, 17).counts, histogram(x, 17).edges}) all.push_back(a);
    all.push_back(bytes_of(to_string(x)));
    all.push_back(Array::of(f32(0.1)));
    all.push_back(Array::of(Scalar::of(1e-310).cast(DType::f64)));
    return all;
}

void check_same(const Results& a, const Results& b) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        INFO("result " << i);
        REQUIRE(a[i].nbytes() == b[i].nbytes());
        CHECK(std::memcmp(a[i].data(), b[i].data(), static_cast<std::size_t>(a[i].nbytes())) == 0);
    }
}

/// Whether the environment is what it was when `f` ends, flags aside.
bool untouched(Mode mode, const std::function<void()>& f) {
    const Under under(mode);
    f();
    return under.is_untouched();
}

Array elements() { return linspace(0.1, 7.3, 300'001); }

Results everything(const Array& x) {
    Results all = by_kernels(x);
    for (Array& a : by_functions(x)) all.push_back(std::move(a));
    return all;
}

/// Starts this program again for one test, as a process that has not used the library yet.
int run_again(const std::string& test, const std::string& mode) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(300);
        setenv("KILN_TEST_MODE", mode.c_str(), 1);
        setenv("KILN_NUM_THREADS", "3", 1);
        execl("/proc/self/exe", "kiln_tests", test.c_str(), "-o", "/dev/null", nullptr);
        _exit(127);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("the first use of the library, in a process of its own", "[.environment_child]") {
    const char* const text = std::getenv("KILN_TEST_MODE");
    REQUIRE(text != nullptr);
    const auto mode = static_cast<Mode>(std::atoi(text));
    Results first, again;
    CHECK(untouched(mode, [&] { first = everything(elements()); }));
    const Array x = elements();
    const Results expected = everything(x);
    check_same(first, expected);
    // The threads exist now, and were started under the mode.
    std::thread([&] { CHECK(untouched(mode, [&] { again = everything(x); })); }).join();
    check_same(again, expected);
}

TEST_CASE("a process whose first use of the library is under another environment",
          "[jit][environment]") {
    for (const Mode mode : all_modes) {
        INFO(name(mode));
        CHECK(run_again("[.environment_child]", std::to_string(static_cast<int>(mode))) == 0);
    }
}

TEST_CASE("every call computes under the default environment and leaves the caller's alone",
          "[jit][environment]") {
    for (const int threads : {1, 2, 3}) {
        set_num_threads(threads);
        const Array x = elements();
        const Results expected = everything(x);
        for (const Mode mode : all_modes) {
            INFO(name(mode) << ", threads " << threads);
            Results here, there;
            CHECK(untouched(mode, [&] { here = everything(x); }));
            check_same(here, expected);
            std::thread([&] {
                set_num_threads(threads);
                CHECK(untouched(mode, [&] { there = everything(x); }));
            }).join();
            check_same(there, expected);
        }
    }
    set_num_threads(max_threads());
}

TEST_CASE("1/3 is the nearest number, by hand", "[jit][environment]") {
    for (const Mode mode : all_modes) {
        INFO(name(mode));
        double folded = 0, computed = 0, bound = 0, small = 0;
        float narrowed = 0;
        CHECK(untouched(mode, [&] {
            const auto f = vectorize([](Value v) { return Value(f64(1.0)) / 3.0 + v; });
            folded = f(0.0).item<double>();
            const auto third = vectorize([](Value v) { return v / 3.0; });
            computed = third(1.0).item<double>();
            bound = third.bind<double(double)>()(1.0);
            small = third(3e-310).item<double>();
            narrowed = full({1}, 0.1).astype(DType::f32).at<float>({0});
        }));
        CHECK(folded == 0x1.5555555555555p-2);
        CHECK(computed == 0x1.5555555555555p-2);
        CHECK(bound == 0x1.5555555555555p-2);
        CHECK(small == 1e-310);
        CHECK(narrowed == 0x1.99999ap-4F);
    }
}

TEST_CASE("random loop kernels give the same under any environment", "[jit][environment][random]") {
    const std::uint64_t first = 9'000;
    for (std::uint64_t seed = first; seed < first + 12; ++seed) {
        const Mode mode = all_modes[seed % all_modes.size()];
        INFO("seed " << seed << ", " << name(mode));
        std::optional<Under> under;
        CHECK(try_random_program(seed, [&](bool begins) {
                  if (begins)
                      under.emplace(mode);
                  else
                      under.reset();
              }) == "");
    }
}

TEST_CASE("random element-wise kernels give the same bits under any environment",
          "[jit][environment][random]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const auto make = [&] {
            return vectorize(
                [seed](Value a, Value b) {
                    std::mt19937_64 dice(seed);
                    std::vector<Value> pool{a, b, Value(f64(0.1)), a * 0.3};
                    const auto pick = [&] { return pool[dice() % pool.size()]; };
                    for (int i = 0; i < 12; ++i) {
                        const Value x = pick(), y = pick();
                        switch (dice() % 10) {
                            case 0: pool.push_back(x + y); break;
                            case 1: pool.push_back(x - y); break;
                            case 2: pool.push_back(x * y); break;
                            case 3: pool.push_back(x / y); break;
                            case 4: pool.push_back(sqrt(abs(x))); break;
                            case 5: pool.push_back(exp(-abs(x))); break;
                            case 6: pool.push_back(atan2(x, y)); break;
                            case 7: pool.push_back(fma(x, y, 1e-300)); break;
                            case 8: pool.push_back(rint(x * 7) + mod(x, y)); break;
                            default: pool.push_back(cast(DType::f32, x) * 0.1); break;
                        }
                    }
                    Var sum(f64, 0);
                    for (const Value& v : pool) sum += select(isnan(v), 0.0, v * 1e-155);
                    return Value(sum * 1e-155);
                },
                {.parallel = true});
        };
        const Mode mode = all_modes[seed % all_modes.size()];
        INFO("seed " << seed << ", " << name(mode));
        const Array x = linspace(-3, 5, 100'003), y = linspace(2, -1e-3, 100'003);
        Array under;
        CHECK(untouched(mode, [&] { under = make()(x, y); }));
        check_same({under}, {make()(x, y)});
    }
}

TEST_CASE("the caller's environment stays also when a call throws", "[jit][environment]") {
    for (const Mode mode : all_modes) {
        INFO(name(mode));
        int caught = 0;
        CHECK(untouched(mode, [&] {
            const auto divide = vectorize([](Value a, Value b) { return a / b; },
                                          {.parallel = true, .checked = true});
            const auto thrower =
                vectorize([](Value a) -> Value { return throw std::runtime_error("no"), a; });
            const auto loop = jit([](In a, Out b) { b(a.extent(0)) = 1.5; }, {.checked = true});
            const std::function<void()> calls[] = {
                [&] { divide(arange(100'000), arange(100'000)); },
                [&] { divide(zeros({3}), zeros({4})); },
                [&] { thrower(1.0); },
                [&] { loop(zeros({3}), zeros({3})); },
                [&] { quantile(zeros({3}), 2.0); },
                [&] { argmin(zeros({0})); },
            };
            for (const auto& call : calls) {
                try {
                    call();
                } catch (const std::exception&) {
                    ++caught;
                }
            }
        }));
        CHECK(caught == 6);
    }
}

TEST_CASE("subnormal numbers are flushed where the caller does so and the kernel keeps that",
          "[jit][environment]") {
    const Array x = full({200'001}, 3e-308);
    const auto tenth = [](Value v) { return v * 0.01; };
    const auto kept = vectorize(tenth, {.parallel = true, .keep_flush_to_zero = true});
    const auto plain = vectorize(tenth, {.parallel = true});
    const auto sums =
        map_reduce(tenth, Reduce::max, {.parallel = true, .keep_flush_to_zero = true});
    const auto loop = jit(
        [](In a, Out b) {
            for (Index i : prange(a.extent(0))) b(i) = a(i) * 0.01;
        },
        {.parallel = true, .keep_flush_to_zero = true});
    const auto near = stencil([](Neighbors a) -> Value { return a(0) * 0.01; },
                              {.parallel = true, .keep_flush_to_zero = true});
    const auto folds = vectorize([](Value v) { return v + Value(f64(3e-308)) * 0.01; },
                                 {.keep_flush_to_zero = true});
    const double small = 3e-308 * 0.01;
    set_num_threads(3);
    for (const bool flushes : {true, false, true}) {
        Array a, b, y = empty(x.shape()), s;
        double m = 0, bound = 0, folded = 0;
        const auto run = [&] {
            a = kept(x);
            b = plain(x);
            m = sums(x).item<double>();
            loop(x, y);
            s = near(x);
            bound = kept.bind<double(double)>()(3e-308);
            folded = folds(full({1}, 0.0)).item<double>();
        };
        if (flushes)
            CHECK(untouched(Mode::flush, run));
        else
            run();
        const Array expected = full(x.shape(), flushes ? 0.0 : small);
        check_same({a, y, s, b}, {expected, expected, expected, full(x.shape(), small)});
        CHECK(m == (flushes ? 0 : small));
        CHECK(bound == (flushes ? 0 : small));
        // The constant is that of exact arithmetic; only adding it flushes.
        CHECK(folded == (flushes ? 0 : small));
    }
    set_num_threads(max_threads());
}

namespace {
double divided(double x) { return x / 3.0; }
double meddling(double x) {
    std::fesetround(FE_UPWARD);
    return x;
}
}  // namespace

TEST_CASE("functions of the host see the caller's environment, on every thread",
          "[jit][environment]") {
    const auto third = host_function<double(double)>("environment_test.third", &divided);
    const auto meddler = host_function<double(double)>("environment_test.meddler", &meddling);
    const auto kernel = jit(
        [=](In x, Out y, Out z) {
            for (Index i : prange(x.extent(0))) {
                y(i) = third(x(i));
                z(i) = x(i) / 3.0;
            }
        },
        {.parallel = true});
    const auto meddles = jit(
        [=](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = meddler(x(i)) / 3.0;
        },
        {.parallel = true});
    set_num_threads(3);
    const Array x = ones({20'000}), y = empty_like(x), z = empty_like(x), w = empty_like(x);
    const double up = 0x1.5555555555556p-2, near = 0x1.5555555555555p-2;
    for (const auto& [mode, expected] :
         {std::pair(Mode::upward, up), {Mode::downward, near}, {Mode::flush, near}}) {
        INFO(name(mode));
        CHECK(untouched(mode, [&] {
            kernel(x, y, z);
            meddles(x, w);
        }));
        const Array nearest = full(x.shape(), near);
        check_same({y, z, w}, {full(x.shape(), expected), nearest, nearest});
    }
    set_num_threads(max_threads());
}

TEST_CASE("pieces of parallel_for run under their caller's environment",
          "[jit][environment][threads]") {
    set_num_threads(3);
    std::vector<double> thirds(1000);
    const volatile double one = 1, three = 3;
    for (const bool upward : {true, false}) {
        const auto run = [&] {
            parallel_for(1000, 1, [&](std::int64_t begin, std::int64_t end) {
                for (; begin < end; ++begin) thirds[static_cast<std::size_t>(begin)] = one / three;
            });
        };
        if (upward)
            CHECK(untouched(Mode::upward, run));
        else
            run();
        CHECK(thirds ==
              std::vector<double>(1000, upward ? 0x1.5555555555556p-2 : 0x1.5555555555555p-2));
    }
    // What is raised on workers reaches the caller, as if it had run all pieces.
    std::feclearexcept(FE_ALL_EXCEPT);
    parallel_for(1000, 1, [&](std::int64_t, std::int64_t end) {
        const volatile double zero = 0;
        if (end == 1000) thirds[0] = one / zero;
    });
    CHECK(std::fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
    std::feclearexcept(FE_ALL_EXCEPT);
    set_num_threads(max_threads());
}

// ------------------------------------------------------------------------------ flags

namespace {

/// The flags that `f` adds to none.
template <class F> int flags_of(F f) {
    std::fenv_t before;
    std::fegetenv(&before);
    std::feclearexcept(FE_ALL_EXCEPT);
    f();
    const int raised = std::fetestexcept(FE_ALL_EXCEPT);
    std::fesetenv(&before);
    return raised;
}

struct FlagsCase {
    double first, other;  ///< element 0 and the others of the first operand
    double scalar;
    std::function<Value(Value, Value)> f;
    int expected;
};

/// Element-wise kernels, what their elements are, and the flags that IEEE 754 has for these.
std::vector<FlagsCase> flags_cases() {
    const double inf = std::numeric_limits<double>::infinity();
    const double most = std::numeric_limits<double>::max();
    const auto divide = [](Value a, Value b) { return a / b; };
    const auto multiply = [](Value a, Value b) { return a * b; };
    return {
        {6, 8, 2, divide, 0},
        {6, 1, 3, divide, FE_INEXACT},
        {6, 1, 0, divide, FE_DIVBYZERO},
        {6, 0, 6, [](Value a, Value b) { return b / a; }, FE_DIVBYZERO},
        {0, 6, 0, divide, FE_DIVBYZERO | FE_INVALID},
        {2, 4, inf, multiply, 0},  // 0 * inf in an idle lane would be invalid
        {0, 4, inf, multiply, FE_INVALID},
        {2, 4, most, multiply, FE_OVERFLOW | FE_INEXACT},
        {2, 4, most, [](Value a, Value b) { return b / a + (a - a); }, 0},
        {1, 3, 5e-324, [](Value a, Value b) { return b / (a + a); }, FE_UNDERFLOW | FE_INEXACT},
        {4, 9, 0, [](Value a, Value b) { return sqrt(a) + b; }, 0},
        {4, 2, 0, [](Value a, Value b) { return sqrt(a) + b; }, FE_INEXACT},
        {4, -1, 0, [](Value a, Value b) { return sqrt(a) + b; }, FE_INVALID},
        {4, 9, 1, [](Value a, Value b) { return b / (a - 100) * 0 + 1 / (a * 0.25); }, 0x1000},
        {4, 1e300, 1, [](Value a, Value b) { return cast(DType::f64, cast(DType::f32, a)) + b; },
         FE_OVERFLOW | FE_INEXACT},
        {1, 2, 1, [](Value a, Value b) { return abs(-a) + copysign(b, -a); }, 0},
        {1, 2, 1, [](Value a, Value b) { return select(a != 1, a + b, a - b); }, 0},
    };
}

}  // namespace

TEST_CASE("flags are those of the data, on any number of threads", "[jit][environment][flags]") {
    std::size_t number = 0;
    for (const FlagsCase& c : flags_cases()) {
        INFO("case " << number++);
        int expected = c.expected;
        if (expected == 0x1000) {
            const volatile double a = 4, b = 9, one = 1, hundred = 100, zero = 0, quarter = 0.25;
            expected = flags_of([&] {
                for (const volatile double* x : {&a, &b}) {
                    const volatile double y = one / (*x - hundred), z = one / (*x * quarter);
                    const volatile double w = y * zero + z;
                    static_cast<void>(w);
                }
            });
        }
        const auto f = vectorize(c.f, {.parallel = true});
        const auto loop = jit(
            [&c](In x, Value b, Out y) {
                for (Index i : prange(x.extent(0))) y(i) = c.f(x(i), b);
            },
            {.parallel = true});
        for (const std::int64_t n :
             {2, 3, 5, 7, 8, 9, 15, 31, 33, 63, 64, 100, 129, 1001, 300'001}) {
            for (const int threads : {1, 3}) {
                INFO("n = " << n << ", threads " << threads);
                set_num_threads(threads);
                const Array wide = full({2 * n}, c.other), y = empty({n});
                for (const Array& x : {full({n}, c.other), wide.slice(0, {0, 2 * n, 2})}) {
                    x.at<double>({n > 64 ? n - 1 : 0}) = c.first;
                    if (n <= 64 && n > 1) x.at<double>({n - 1}) = c.other;
                    Array out = empty(f(x, c.scalar).shape(), f(x, c.scalar).dtype());
                    const Array strong = full({}, c.scalar);
                    CHECK(flags_of([&] { f(x, strong, {.out = out}); }) == expected);
                    CHECK(flags_of([&] { loop(x, c.scalar, y); }) == expected);
                }
            }
        }
        set_num_threads(max_threads());
    }
}

namespace {

/// Random expressions of operations whose flags are those of IEEE 754, traced or computed.
template <class T, class Root> T random_expression(std::uint64_t seed, T a, T b, T s, Root root) {
    std::mt19937_64 dice(seed);
    std::vector<T> pool{a, b, s};
    const auto pick = [&]() -> T { return pool[dice() % pool.size()]; };
    constexpr std::array constants{2.0, 0.5, 3.0, 1e200, 0.0, 1e-200};
    for (std::uint64_t i = 2 + dice() % 5; i-- > 0;) {
        const T x = pick(), y = pick();
        const double c = constants[dice() % constants.size()];
        switch (dice() % 8) {
            case 0: pool.push_back(x + y); break;
            case 1: pool.push_back(x - y); break;
            case 2: pool.push_back(x * y); break;
            case 3: pool.push_back(x / y); break;
            case 4: pool.push_back(x * c); break;
            case 5: pool.push_back(x + c); break;
            case 6: pool.push_back(-x); break;
            default: pool.push_back(root(x)); break;
        }
    }
    return pool.back();
}

/// A double whose operations are made where they are written, in the environment of that moment.
struct Now {
    volatile double value;
    Now(double v) : value(v) {}
    Now(const Now& o) : value(o.value) {}
    Now& operator=(const Now&) = delete;
    friend Now operator+(const Now& a, const Now& b) { return a.value + b.value; }
    friend Now operator-(const Now& a, const Now& b) { return a.value - b.value; }
    friend Now operator*(const Now& a, const Now& b) { return a.value * b.value; }
    friend Now operator/(const Now& a, const Now& b) { return a.value / b.value; }
    friend Now operator-(const Now& a) { return -a.value; }
};

}  // namespace

TEST_CASE("random kernels raise the flags of plain C++", "[jit][environment][flags][random]") {
    const double inf = std::numeric_limits<double>::infinity();
    const std::vector<double> numbers{1, 2, 4, -8, 0.5, 3, 7, 0, -1, 1e300, 5e-324, inf, -inf, 0.1};
    int alike = 0, some = 0, some_looped = 0;  // of 420
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        std::mt19937_64 dice(1000 + seed);
        const bool plain = seed % 3 != 0;  // numbers that often raise nothing
        const auto number = [&] { return numbers[dice() % (plain ? 5 : numbers.size())]; };
        const double s = numbers[dice() % numbers.size()];
        const auto traced = [seed](Value a, Value b, Value c) {
            return random_expression<Value>(seed, a, b, c, [](Value v) { return sqrt(v); });
        };
        const auto f = vectorize(traced, {.parallel = true});
        const auto loop = jit(
            [traced](In a, In b, Value c, Out y) {
                for (Index i : prange(y.extent(0))) y(i) = traced(a(i), b(i), c) + 0 * a(i);
            },
            {.parallel = true});
        for (const std::int64_t n : {1, 3, 4, 8, 11, 37, 1000}) {
            INFO("seed " << seed << ", n " << n);
            const Array a = empty({n}), b = empty({n}), y = empty({n});
            for (std::int64_t i = 0; i < n; ++i)
                a.at<double>({i}) = number(), b.at<double>({i}) = number();
            const auto by_hand = [&](bool used) {
                return flags_of([&] {
                    for (std::int64_t i = 0; i < n; ++i) {
                        const Now x(a.at<double>({i}));
                        const Now r = random_expression<Now>(
                            seed, x, b.at<double>({i}), s, [](const Now& v) -> Now {
                                return std::sqrt(static_cast<double>(v.value));
                            });
                        if (used) static_cast<void>(r + 0 * x);
                    }
                });
            };
            // What does not lead to the result is not computed, nor is what folds or moves: so of
            // the flags by hand some may be missing, but none comes in addition.
            const int raised = flags_of([&] { f(a, b, full({}, s), {.out = y}); });
            CHECK((raised & ~by_hand(false)) == 0);
            alike += raised == by_hand(false) ? 1 : 0;
            some += raised != 0 ? 1 : 0;
            const int looped = flags_of([&] { loop(a, b, s, y); });
            CHECK((looped & ~by_hand(true)) == 0);
            some_looped += looped != 0 ? 1 : 0;
        }
    }
    CHECK(alike > 200);
    CHECK(some > 100);
    CHECK(some_looped > 50);
}

TEST_CASE("flags of kernels whose code raises others stay what they were",
          "[jit][environment][flags]") {
    const Array x = linspace(-3, 5, 100'003);
    const auto clear = [](auto f) { return flags_of(f) == 0; };
    const auto threads = UfuncOptions{.parallel = true};
    const std::vector<std::function<Value(Value)>> bodies{
        [](Value v) { return exp(v * 1000); },
        [](Value v) { return sin(v) + pow(v, 0.3); },
        [](Value v) { return cast(DType::i8, v * 1e9); },
        [](Value v) { return cast(DType::f16, v * 1e9); },
        [](Value v) { return max(v, 0.5) / 0.0; },
        [](Value v) { return fast(Fastmath::arcp, [&] { return v / 3.0; }); },
        [](Value v) {
            Var r(f64, 0);
            if_(v > 1, [&] { r = 1 / (v - 1); });
            return Value(r);
        },
        [](Value v) { return cast(DType::i64, v) / 7 + cast(DType::i64, v) % 3; },
    };
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        INFO("body " << i);
        const auto f = vectorize(bodies[i], threads);
        CHECK(clear([&] { f(x); }));  // the first call compiles
        CHECK(clear([&] { f(x); }));
        CHECK(clear([&] { f(0.3); }));
    }
    CHECK(clear([&] {
        vectorize([](Value a, Value b) { return a / b; })(1.0, 0.0, {.where = full({3}, false)});
    }));
    CHECK(clear([&] { sum(x), var(x), quantile(x, 0.3), histogram(x, 7), cumsum(x); }));
    CHECK(clear([&] { static_cast<void>(to_string(x.astype(DType::f32))); }));
    const auto reduces = jit([](In a) -> Value {
        Var s(f64, 0);
        for (Index i : prange(a.extent(0))) s += exp(a(i));
        return s / 3.0;
    });
    CHECK(clear([&] { reduces(x); }));
    // 1/s moves out of a loop that never runs.
    const auto moved = jit([](In a, Out y, Value s) {
        for (Index i : range(a.extent(0)))
            for (Index j : range(a.extent(1))) y(i, j) = a(i, j) + 1.0 / s;
    });
    const Array none = zeros({5, 0});
    CHECK(clear([&] { moved(none, none.copy(), 0.0); }));
    // Flags that the caller has stay.
    CHECK(flags_of([&] {
              std::feraiseexcept(FE_OVERFLOW);
              vectorize([](Value v) { return exp(v); })(x);
          }) == FE_OVERFLOW);
}

TEST_CASE("flags of f32, alone and beside f64", "[jit][environment][flags]") {
    const auto divide = vectorize([](Value a, Value b) { return a / b; });
    const auto mixed = vectorize([](Value a, Value b) { return a / b + Value(f64(1)); });
    const auto loop = jit([](In a, In b, Out y) {
        for (Index i : range(y.extent(0))) y(i) = a(i) / b(i);
    });
    const auto pairs = jit([](In a, In b, Out y) {
        for (Index i : range(y.extent(0) / 2))
            for (int k = 0; k < 2; ++k) y(i * 2 + k) = a(i * 2 + k) / b(i * 2 + k);
    });
    for (std::int64_t n = 1; n < 70; ++n) {
        INFO("n " << n);
        const Array a = full({n}, 6.0F), b = full({n}, 2.0F), y = empty({n}, f32);
        CHECK(flags_of([&] { divide(a, b, {.out = y}); }) == 0);
        CHECK(flags_of([&] { mixed(a, b); }) == 0);
        CHECK(flags_of([&] { loop(a, b, y); }) == 0);
        CHECK(flags_of([&] { pairs(a, b, y); }) == 0);
        b.at<float>({n - 1}) = 0;
        CHECK(flags_of([&] { divide(a, b, {.out = y}); }) == FE_DIVBYZERO);
    }
}

TEST_CASE("bound calls raise what calls raise", "[jit][environment][flags]") {
    const auto divide =
        vectorize([](Value a, Value b) { return a / b; }).bind<double(double, double)>();
    const auto expo = vectorize([](Value a) { return exp(a); }).bind<double(double)>();
    double sink = 0;
    CHECK(flags_of([&] { sink = divide(6.0, 2.0); }) == 0);
    CHECK(flags_of([&] { sink = divide(1.0, 3.0); }) == FE_INEXACT);
    CHECK(flags_of([&] { sink = divide(1.0, 0.0); }) == FE_DIVBYZERO);
    CHECK(flags_of([&] { sink = divide(0.0, 0.0); }) == FE_INVALID);
    CHECK(flags_of([&] { sink = expo(0.3); }) == 0);
    CHECK(flags_of([&] { sink = expo(1e300); }) == 0);
    for (const Mode mode : all_modes) {
        int raised = 0;
        CHECK(untouched(mode, [&] {
            sink = divide(1.0, 0.0);
            raised = std::fetestexcept(FE_ALL_EXCEPT);
        }));
        CHECK(raised == FE_DIVBYZERO);
    }
    CHECK(std::isinf(sink));
}
