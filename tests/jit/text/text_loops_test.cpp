// Loop kernels from text: against the same functions as the compiler of the tests compiles them; what
// their calls give and refuse.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <kiln/kiln.h>
#include <kiln/native.h>
#include <kiln/text.h>

#include <algorithm>
#include <cstddef>
#include <random>

#include <fmt/format.h>

using namespace kiln;
using test::error_of;
using test::values;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
namespace plain {
using kiln::native::atomic_add, kiln::native::prange, kiln::native::range;
#include "tests/jit/text/loops.inc"
}  // namespace plain
#pragma GCC diagnostic pop

namespace {

const text::Source& loops() {
    static const text::Source source = text::Source::file(KILN_TESTS_DIR "/jit/text/loops.inc");
    return source;
}
const JitOptions parallel{.parallel = true};

Array numbers(const Shape& shape, unsigned seed) {
    Array made = empty(shape, f64);
    std::mt19937 random(seed);
    for (double& x : made.span<double>()) x = static_cast<int>(random() % 4001) / 16.0 - 125;
    return made;
}

}  // namespace

TEST_CASE("loops from text: products, stencils, sorts", "[jit][text]") {
    const Array a = numbers({7, 13}, 1), b = numbers({13, 9}, 2);
    Array c = zeros({7, 9}), expected = zeros({7, 9});
    text::jit(loops(), "product", parallel)(a, b, c);
    plain::product(a.view<const double, 2>(), b.view<const double, 2>(),
                   expected.view<double, 2>());
    CHECK(values(c) == values(expected));

    const Array line = numbers({41}, 3);
    Array medians = zeros({41}), native_medians = zeros({41});
    text::jit(loops(), "medians", parallel)(line, medians);
    plain::medians(line.view<const double, 1>(), native_medians.view<double, 1>());
    CHECK(values(medians) == values(native_medians));

    Array objects = zeros({41}), native_objects = zeros({41});
    text::jit(loops(), "arrays_of_objects", parallel)(line, objects);
    plain::arrays_of_objects(line.view<const double, 1>(), native_objects.view<double, 1>());
    CHECK(values(objects) == values(native_objects));

    Array running = line.copy(), native_running = line.copy();
    text::jit(loops(), "running")(running);
    plain::running(native_running.view<double, 1>());
    CHECK(values(running) == values(native_running));

    const Array floats = a.astype(f32);
    Array clipped = zeros({7, 13}, f32), native_clipped = zeros({7, 13}, f32);
    text::jit(loops(), "clipped", parallel)(floats, clipped, -20.5f, 30.0f);
    plain::clipped(floats.view<const float, 2>(), native_clipped.view<float, 2>(), -20.5f, 30.0f);
    CHECK(values(clipped) == values(native_clipped));
}

TEST_CASE("loops from text: what they return", "[jit][text]") {
    const Array line = numbers({41}, 4);
    const auto first = text::jit<Scalar>(loops(), "first_above");
    for (const double limit : {-200.0, 0.0, 100.0, 120.0, 500.0})
        CHECK(first(line, limit).get<std::int64_t>() ==
              plain::first_above(line.view<const double, 1>(), limit));
    CHECK(text::jit<Scalar>(loops(), "spread")(line).get<double>() ==
          plain::spread(line.view<const double, 1>()));

    Array at = empty({100}, i32), counts = zeros({10}, i64), native_counts = zeros({10}, i64);
    std::mt19937 random(5);
    for (std::int32_t& x : at.span<std::int32_t>()) x = static_cast<int>(random() % 14) - 2;
    const std::int64_t outside =
        plain::counted(at.view<const int, 1>(), native_counts.view<long, 1>());
    CHECK(text::jit<Scalar>(loops(), "counted", parallel)(at, counts).get<std::int64_t>() ==
          outside);
    CHECK(values(counts) == values(native_counts));

    at.span<std::int32_t>()[7] = 29;
    CHECK(text::jit<Scalar>(loops(), "largest", parallel)(at).get<std::int32_t>() == 29);
    at.span<std::int32_t>()[8] = 70000;
    CHECK(text::jit<Scalar>(loops(), "short_sum", parallel)(at).get<std::int16_t>() ==
          plain::short_sum(at.view<const int, 1>()));
    CHECK(text::jit<Scalar>(loops(), "wrapped")(600).get<std::int64_t>() == plain::wrapped(600));
}

TEST_CASE("loops from text: a for that is no counted loop says why", "[jit][text]") {
    const auto remarks = [](const std::string& head) {
        const auto kernel =
            text::jit("void f(View<double, 1> a) {\n    for (" + head + ") a(i) += 1;\n}", "f");
        Array a = zeros({4});
        kernel(a);
        CHECK(values(a) == std::vector<double>{1, 1, 1, 1});
        std::string all;
        for (const Remark& r : kernel.remarks())
            all += r.file + ":" + std::to_string(r.line) + ": " + r.text;
        return all;
    };
    CHECK(remarks("int i = 0; i < a.extent(0); ++i").empty());
    CHECK(remarks("size_t i = 0; i < a.extent(0); i += 1").empty());
    CHECK(remarks("short i = 0; i < a.extent(0); ++i") ==
          "text:2: this for is a while: its counter has less than 32 bits and wraps");
    CHECK(remarks("size_t i = 0; i != a.extent(0); ++i") ==
          "text:2: this for is a while: its condition does not bound the counter in the direction "
          "of its step");
    CHECK(remarks("int i = 0; i < std::min(a.extent(0), 8l); ++i") ==
          "text:2: this for is a while: the end is not seen to stay the same (a const variable "
          "before the loop does)");
    const Ufunc counts = text::vectorize(
        "int f(int n) {\n"
        "    int sum = 0;\n"
        "    for (unsigned char i = 0; i < n; ++i) sum += i;\n"
        "    return sum;\n"
        "}",
        "f");
    CHECK(values(counts(Array::of({4}))) == std::vector<double>{6});
    REQUIRE(counts.remarks().size() == 1);
    CHECK(counts.remarks()[0].line == 3);
}

TEST_CASE("loops from text: .parallel shares those that it may, and tells of the others",
          "[jit][text]") {
    const auto told = [](const std::string& body, JitOptions options) {
        const auto kernel = text::jit("void f(View<double, 1> a) {\n" + body + "\n}", "f", options);
        kernel(zeros({4}));
        std::vector<std::string> all;
        for (const Remark& r : kernel.remarks())
            if (r.text.find("as a prange: ") != std::string::npos)
                all.push_back(fmt::format("{}: {}", r.line, r.text));
        return all;
    };
    const std::string fill = "for (int i = 0; i < a.extent(0); ++i)\na(i) += 1;";
    const std::string shared =
        ": as a prange: no iteration depends on another one, so threads may take them";
    using Lines = std::vector<std::string>;
    CHECK(told(fill, {}) == Lines{});
    CHECK(told(fill, parallel) == Lines{"2" + shared});
    const std::string too_little =
        ": not as a prange: one row at a time, of a loop that stays serial, is too little work";
    CHECK(told("for (int t = 0; t < 3; ++t)\n" + fill, parallel) ==
          Lines{"2: not as a prange: two iterations may touch one element, a(j) at text:4",
                "3" + too_little});
    CHECK(told("int n = 3;\nwhile (n-- > 0) {\n" + fill + "\n}", parallel) ==
          Lines{"4" + too_little});
    CHECK(told("for (int t = 0; t < 3; ++t)\nfor (int i = 0; i < a.extent(0); ++i)\n"
               "for (int k = 0; k < 2; ++k)\na(i) += k;",
               parallel) ==
          Lines{"2: not as a prange: two iterations may touch one element, a(j) at text:5",
                "3" + shared});
    CHECK(told("double s = 0;\nfor (int i = 0; i < a.extent(0); ++i) s += a(i);\na(0) = s;",
               parallel) ==
          Lines{"3: not as a prange: iterations change the variable s (f64) one after the other"});
    CHECK(told("for (int t = 0; t < 3; ++t)\nfor (long i : prange(4))\na(i) += t;", parallel) ==
          Lines{});
    CHECK(told("for (long i : prange(4))\nfor (int t = 0; t < 3; ++t) a(i) += t;", parallel) ==
          Lines{});
    CHECK(told("for (long i : range(4)) a(i) += 1;", parallel) == Lines{});
}

TEST_CASE("loops from text: those that threads share give the same bits", "[jit][text]") {
    const text::Source source = R"(
double wave(double x, int n) {
    double sum = 0;
    for (int k = 1; k <= n; ++k) sum += std::sin(k * x) / k;
    return sum;
}
void rows(View<const float, 2> a, View<double, 2> b, View<long, 1> counts) {
    for (int i = 0; i < a.extent(0); ++i) {
        long positive = 0;
        double before = 0;
        for (int j = 0; j < a.extent(1); ++j) {
            if (a(i, j) < -0.9f) continue;
            positive += a(i, j) > 0;
            before = 0.5 * before + wave(a(i, j), 5);
            b(i, j) = before;
        }
        counts(i) = positive;
    }
    for (int t = 0; t < 3; ++t)
        for (int i = 1; i + 1 < b.extent(0); ++i)
            for (int j = 0; j < b.extent(1); ++j) b(i, j) += 0.125 * (t % 2 ? counts(i) : i);
})";
    const Array a = numbers({301, 37}, 5).astype(f32);
    const auto outcome = [&](JitOptions options, int threads) {
        const test::Threads scope(threads);
        Array b = zeros({301, 37}), counts = zeros({301}, i64);
        text::jit(source, "rows", options)(a, b, counts);
        return std::pair(values(b), values(counts));
    };
    const auto serial = outcome({}, 1);
    for (const int threads : {1, 2, 7}) CHECK(outcome(parallel, threads) == serial);
    CHECK(outcome({.parallel = true, .checked = true}, 3) == serial);
    // Arguments that overlap: in order.
    const text::Source shifted = R"(
void shifted(View<const double, 1> a, View<double, 1> b) {
    for (int i = 0; i < a.extent(0); ++i) b(i) = a(i) + 1;
})";
    Array x = zeros({100});
    text::jit(shifted, "shifted", parallel)(x.slice(0, {0, 99}), x.slice(0, {1, 100}));
    for (std::int64_t i = 0; i < 100; ++i) CHECK(x.at<double>({i}) == static_cast<double>(i));
    // Windows that slide over an array: in order, too.
    const auto sliding = text::jit(
        "void f(View<double, 2> w) {\n"
        "    for (long i = 0; i < w.extent(0); ++i)\n"
        "        for (long j = 0; j < 3; ++j) w(i, j) = w(i, j) * 0.5 + i;\n"
        "}",
        "f", parallel);
    constexpr std::int64_t windows = 20000;
    std::vector<double> line(windows + 2), expected(windows + 2);
    for (std::int64_t i = 0; i < windows; ++i)
        for (std::int64_t j = 0; j < 3; ++j) {
            double& element = expected[static_cast<std::size_t>(i + j)];
            element = element * 0.5 + static_cast<double>(i);
        }
    const test::Threads scope(4);
    sliding(Array::over(line.data(), {windows, 3}, {8, 8}));
    CHECK(line == expected);
}

TEST_CASE("text in checked mode: what C++ does not evaluate is no fault", "[jit][text][checked]") {
    const char* source =
        "bool above(int x, int y) { return x != 0 && y / x > 1; }\n"
        "constexpr int all[4] = {2, 3, 5, 7};\n"
        "int table(int i) {\n"
        "    return i < 0 ? -1 : all[i];\n"
        "}";
    const Array x = Array::of({0, 1, 2}), y = Array::of({3, 4, 3});
    CHECK(values(text::vectorize(source, "above", {.checked = true})(x, y)) ==
          std::vector<double>{0, 1, 0});
    const Ufunc least =
        text::vectorize("int f(int a, int b) { return b != 0 && a / b > 1 ? b : a; }", "f",
                        {.checked = true, .associative = true});
    CHECK(least.reduce(Array::of({9, 0, 7, 2})).at<int>({}) == 2);
    const auto table = text::jit<Scalar>(source, "table", {.checked = true});
    CHECK(table(3).get<int>() == 7);
    CHECK(table(-2).get<int>() == -1);
    CHECK(error_of([&] { table(4); }).message() == "index 4 is outside of an array of 4 elements");
}

TEST_CASE("loops from text: what accumulates into a variable", "[jit][text]") {
    // std::max keeps the variable where an element is NaN: no reduction of floats does.
    const auto largest = [](const std::string& update) {
        return text::jit<Scalar>(
            "double f(View<const double, 1> a) {\n"
            "    double m = -1e300;\n"
            "    for (long i : prange(a.extent(0)))\n"
            "        " +
                update +
                "\n"
                "    return m;\n"
                "}",
            "f", parallel);
    };
    const Array a = Array::of({3.0, 8.0, -2.0});
    for (const char* update : {"m = std::max(m, a(i));", "if (a(i) > m) m = a(i);"}) {
        const Error refused = error_of([&] { largest(update)(a); });
        CHECK(refused.line() == 4);
        CHECK(refused.hint().find("v = maximum(v, e)") != std::string::npos);
    }
    CHECK(largest("m = kiln::maximum(m, a(i));")(a).get<double>() == 8);
}

TEST_CASE("loops from text: references, integers, native while", "[jit][text]") {
    const Array a = numbers({6, 5}, 6);
    Array rows = zeros({6}), columns = zeros({5}), native_rows = zeros({6}),
          native_columns = zeros({5});
    text::jit(loops(), "scattered")(a, rows, columns);
    plain::scattered(a.view<const double, 2>(), native_rows.view<double, 1>(),
                     native_columns.view<double, 1>());
    CHECK(values(rows) == values(native_rows));
    CHECK(values(columns) == values(native_columns));

    Array u = arange(100, 160).astype(u32), native_u = u.copy();
    text::jit(loops(), "powers", parallel)(u, std::uint32_t(10007));
    plain::powers(native_u.view<unsigned, 1>(), 10007);
    CHECK(values(u) == values(native_u));

    Array r = arange(0, 9).astype(i32), native_r = r.copy();
    text::jit(loops(), "reversed")(r);
    plain::reversed(native_r.view<int, 1>());
    CHECK(values(r) == values(native_r));
}

TEST_CASE("loops from text: auto and templates take what a call gives", "[jit][text]") {
    const auto scaled = text::jit(R"(
template <class T, int R> long size_of(View<T, R> a) { return a.extent(0); }
void scaled(auto a, const auto b, auto by) {
    for (long i : prange(size_of(a))) a(i) += by * b(i);
})",
                                  "scaled");
    Array f = zeros({3}, f32), i = zeros({3}, i64);
    scaled(f, Array::of({1.0, 2.0, 3.0}), 0.5f);
    CHECK(values(f) == std::vector<double>{0.5, 1, 1.5});
    scaled(i, Array::of({1, 2, 3}), 4);
    CHECK(values(i) == std::vector<double>{4, 8, 12});
    // What is only read may be read-only.
    scaled(f, zeros({1}).broadcast_to({3}), 1.0f);
    CHECK(values(f) == std::vector<double>{0.5, 1, 1.5});
}

TEST_CASE("loops from text: iterations that meet are refused at their line", "[jit][text]") {
    const auto racing = text::jit(
        "void f(View<double, 1> a) {\n"
        "    for (long i : prange(a.extent(0)))\n"
        "        a(i / 2) = i;\n"
        "}",
        "f", parallel);
    Array a = zeros({8});
    const Error error = error_of([&] { racing(a); });
    CHECK(error.file() == "text");
    CHECK(error.line() == 3);
    // Of a native loop nobody says that it is parallel: it runs in order.
    const auto serial = text::jit(
        "void f(View<double, 1> a) {\n"
        "    for (int i = 0; i < a.extent(0); ++i)\n"
        "        a(i / 2) = i;\n"
        "}",
        "f", parallel);
    serial(a);
    CHECK(values(a) == std::vector<double>{1, 3, 5, 7, 0, 0, 0, 0});
}

TEST_CASE("text: errors of calls", "[jit][text]") {
    const auto told = [](const Error& error) { return error.message() + " | " + error.hint(); };
    const std::string halves = "float half(float x) { return x / 2; }";
    CHECK(told(error_of([&] { text::vectorize(halves, "double"); })) ==
          "the text has no function double | it has half");
    const Ufunc half = text::vectorize(halves, "half");
    CHECK(
        told(error_of([&] { half(Array::of({1.0, 2.0})); })) ==
        "an array is f64, but parameter x of half is f32 | convert it before the call, or declare "
        "the parameter as auto");
    CHECK(test::values(half(3.0)) == std::vector<double>{1.5});  // a C++ value is no array of f64
    CHECK(test::values(half(Array::of<std::int16_t>({3}))) == std::vector<double>{1.5});
    CHECK(told(error_of([&] { half(zeros({2}), zeros({2})); })) ==
          "half takes 1 argument, 2 given | ");
    CHECK(told(error_of([&] { text::jit("long n(View<int, 1> a) { return a(0); }", "n"); })) ==
          "n gives 1 result, calls are to give 0 | write text::jit<Scalar>(...)");
    CHECK(told(error_of([&] { text::vectorize("void f(double x) {}", "f"); })) ==
          "f gives nothing | return a number, or give it by a reference");
    const auto ranked = text::jit("void f(View<double, 2> a) { a(0, 0) = 1; }", "f");
    Array line = zeros({3});
    CHECK(told(error_of([&] { ranked(line); })) ==
          "an argument is f64[1], but parameter a of f is f64[2] | convert it before the call, or "
          "declare the parameter as auto");
    const Ufunc both =
        text::vectorize("template <class T> T f(T x, T y) {\n    return x + y;\n}", "f");
    CHECK(error_of([&] { both(zeros({2}), zeros({2}, f32)); }).message() ==
          "f cannot be called with (f64, f32): no matching function for call to 'f'\n"
          "text:1: note: candidate template ignored: deduced conflicting types for parameter 'T' "
          "('double' vs. 'float')\ntemplate <class T> T f(T x, T y) {\n                     ^");
    // After an error the kernel works for other types.
    CHECK(test::values(both(Array::of({1.0}), Array::of({2.0}))) == std::vector<double>{3});
    const Error io = error_of([] { text::Source::file("/nowhere/f.cpp"); });
    CHECK(io.kind() == ErrorKind::io);
    CHECK(io.message() == "cannot read /nowhere/f.cpp: No such file or directory");
}

TEST_CASE("text: faults at run time have the line of the text", "[jit][text]") {
    const Ufunc divided = text::vectorize(
        text::Source("int f(int a, int b) {\n    return a +\n        a / b;\n}", "divided.cpp"),
        "f", {.checked = true});
    const Error division = error_of([&] { divided(Array::of({1, 2}), Array::of({1, 0})); });
    CHECK(std::string(division.what()) ==
          "divided.cpp:3: error: integer division by zero at index (1,)");
    const auto past = text::jit(
        "void f(View<double, 1> a) {\n"
        "    for (int i = 0; i < 5; ++i)\n"
        "        a(i + 1) = 1;\n"
        "}",
        "f", {.checked = true});
    Array a = zeros({3});
    CHECK(std::string(error_of([&] { past(a); }).what()) ==
          "text:3: error: index (3,) is outside of a of shape (3,)");
}

TEST_CASE("text: outputs by reference, weak arguments, several threads", "[jit][text]") {
    const Ufunc parts = text::vectorize(R"(
template <class T> void parts(T x, T& whole, T& rest, int& sign) {
    whole = std::trunc(x);
    rest = x - whole;
    sign = (x > 0) - (x < 0);
})",
                                        "parts");
    CHECK(parts.nout() == 3);
    const auto all = parts.all(Array::of({2.5f, -0.25f, 0.0f}));
    CHECK(all[0].dtype() == f32);
    CHECK(values(all[0]) == std::vector<double>{2, -0.0, 0});
    CHECK(values(all[1]) == std::vector<double>{0.5, -0.25, 0});
    CHECK(all[2].dtype() == i32);
    CHECK(values(all[2]) == std::vector<double>{1, -1, 0});

    const Ufunc saxpy = text::vectorize("auto saxpy(auto a, auto x, auto y) { return a * x + y; }",
                                        "saxpy", {.parallel = true});
    CHECK(saxpy(2.0, ones({3}, f32), ones({3}, f32)).dtype() == f32);
    CHECK(saxpy(2.0, ones({3}, i32), ones({3}, i32)).dtype() == f64);
    CHECK(saxpy(2, ones({3}, i64), ones({3}, i64)).dtype() == i64);
    // Integers are promoted as C++ does, not as NumPy does.
    CHECK(saxpy(ones({3}, i8), ones({3}, i8), ones({3}, i8)).dtype() == i32);
    // A kernel of text is called in lambdas.
    const auto twice = text::jit<Scalar>("double twice(double x) { return 2 * x; }", "twice");
    const auto doubled = jit([&](In a, Out b) {
        for (Index i : range(a.extent(0))) b(i) = twice(a(i));
    });
    Array b = zeros({3});
    doubled(arange(0.0, 3.0), b);
    CHECK(values(b) == std::vector<double>{0, 2, 4});
}

TEST_CASE("text: generalised ufuncs", "[jit][text]") {
    const auto dot = text::guvectorize(R"(
void dot(View<const double, 1> a, View<const double, 1> b, double& c) {
    c = 0;
    for (int i = 0; i < a.extent(0); ++i) c += a(i) * b(i);
})",
                                       "dot", "(n),(n)->()");
    const Array a = numbers({4, 3, 5}, 7), b = numbers({3, 5}, 8);
    const Array c = dot(a, b);
    REQUIRE(c.shape() == Shape{4, 3});
    for (std::int64_t i = 0; i < 4; ++i)
        for (std::int64_t j = 0; j < 3; ++j) {
            double sum = 0;
            for (std::int64_t k = 0; k < 5; ++k)
                sum += a.view<const double, 3>()(i, j, k) * b.view<const double, 2>()(j, k);
            CHECK(c.view<double, 2>()(i, j) == sum);
        }
    const auto moved = text::guvectorize(R"(
template <class T> void moved(View<const T, 1> a, long by, View<T, 1> b) {
    const long n = a.extent(0);
    for (long i : range(n)) b(i) = a((i + by) % n);
})",
                                         "moved", "(n),()->(n)", {.results = {f32}});
    CHECK(values(moved(Array::of({1.0f, 2.0f, 3.0f, 4.0f}), Array::of<std::int64_t>({0, 1, 6}))) ==
          std::vector<double>{1, 2, 3, 4, 2, 3, 4, 1, 3, 4, 1, 2});
    CHECK(error_of([] { text::guvectorize("int f(int a) { return a; }", "f", "()->()"); }).hint() ==
          "a generalised ufunc gives its results by parameters: T& or View<T, Rank>");
}
