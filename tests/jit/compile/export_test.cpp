// What cannot be exported, and the headers of what can. (tests/export calls what was exported.)
#include "jit/compile/c_header.h"
#include "tests/jit/support.h"
#include "tests/scratch_folder.h"

#include <kiln/host_function.h>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace kiln;
using namespace kiln::test;

namespace {

double seven(double x) { return x + 7; }

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

void has(const std::string& text, const std::string& part) {
    CAPTURE(text, part);
    CHECK(text.find(part) != text.npos);
}

/// `line` 0: any.
template <class F> void check_error(ErrorKind kind, const char* text, std::uint32_t line, F&& f) {
    const Error error = error_of(f);
    CHECK(error.kind() == kind);
    has(error.what(), text);
    CHECK(error.line() != 0);
    if (line != 0) CHECK(error.line() == line);
}

}  // namespace

TEST_CASE("what no object of its own can do is an error with its line", "[export]") {
    const ScratchFolder scratch;
    const std::string object = (scratch.path / "k.o").string();
    const auto host = host_function("seven", &seven);
    const auto calls = jit("calls", [&](In x, Out y) {
        for (Index i : range(x.extent(0))) y(i) = host(x(i));
    });
    check_error(ErrorKind::unsupported, "calls cannot be exported: it calls seven", __LINE__ - 2,
                [&] { calls.export_object({f64[1], f64[1]}, object); });
    const auto returns = jit("returns", [](In x) { return Scratch(x + 1); });
    check_error(ErrorKind::unsupported, "it returns an array", __LINE__ - 1,
                [&] { returns.export_object({f64[1]}, object); });
    const auto gamma = vectorize("gamma", [](Value x) { return 1 + tgamma(x); });
    check_error(ErrorKind::unsupported, "of SLEEF", __LINE__ - 1,
                [&] { gamma.export_object({f64[1]}, object); });
    CHECK(!std::filesystem::exists(object));
}

TEST_CASE("generalised ufuncs and stencils that cannot be exported say why", "[export]") {
    const ScratchFolder scratch;
    const std::string object = (scratch.path / "k.o").string();
    const auto refused = [](ErrorKind kind, const char* text, std::uint32_t line, auto&& g) {
        check_error(kind, text, line, g);
    };
    const auto copy = [](In a, In b, Out c) {
        for (Index i : range(a.extent(0))) c(i) = a(i) + b(i);
    };
    const auto add = guvectorize("add", "(n),(n)->(n)", copy);
    refused(ErrorKind::usage, "add takes 2 arguments", 0,
            [&] { add.export_object({f64[1]}, object); });
    refused(ErrorKind::shape, "argument 2 of add has 0 dimensions, its core has 1", __LINE__ + 1,
            [&] { add.export_object({f64[1], f64}, object); });
    refused(ErrorKind::shape, "argument 2 of add is a stack over 1 dimension, another one over 2",
            __LINE__, [&] { add.export_object({f64[3], f64[2]}, object); });
    const auto joined = guvectorize("joined", "(n),(m)->(n+m)", copy);
    refused(ErrorKind::unsupported, "joined cannot be exported: a size of its cores is computed",
            __LINE__ - 2, [&] { joined.export_object({f64[1], f64[1]}, object); });
    const auto checked = guvectorize("checked", "(n),(n)->(n)", copy, {.checked = true});
    refused(ErrorKind::unsupported,
            "checked cannot be exported: it is checked for which elements of outputs it stores",
            __LINE__ - 3, [&] { checked.export_object({f64[1], f64[1]}, object); });
    const auto mean =
        stencil([](Neighbors a, Neighbors b) -> Value { return a(0, -1) + b(0, 0) + a(0, 1); });
    refused(ErrorKind::usage, "stencil takes 2 arguments", 0,
            [&] { mean.export_object({f64[2]}, object); });
    const int line = __LINE__ + 1;
    const auto flat = [&] { mean.export_object({f64[2], f64[1]}, object); };
    refused(ErrorKind::shape, "argument 2 of stencil has rank 1, the first Neighbors 2", line,
            flat);
    CHECK(!std::filesystem::exists(object));
    CHECK_NOTHROW(add.export_object({f64[3], f64[1]}, object));
    has(text_of(scratch.path / "k.h"),
        " * Of the core (n),(n)->(n): these are the last dimensions of each array.\n");
    CHECK_NOTHROW(mean.export_object({f64[2], f64[2]}, object));
    has(text_of(scratch.path / "k.h"), " * result has the shape of p0.\n");
}

TEST_CASE("exports are refused at the line that asks for them", "[export]") {
    const ScratchFolder scratch;
    const std::string object = (scratch.path / "k.o").string();
    const auto f = vectorize("f", [](Value x) { return x * 2; });
    const auto refused = [](ErrorKind kind, const char* text, auto&& g) {
        check_error(kind, text, 0, g);
    };
    refused(ErrorKind::usage, "'a-b' cannot be the name",
            [&] { f.export_object({f64[1]}, object, {.symbol = "a-b"}); });
    refused(ErrorKind::usage, "'while' cannot be the name",
            [&] { f.export_object({f64[1]}, object, {.symbol = "while"}); });
    refused(ErrorKind::usage, "cannot be the name",
            [&] { f.export_object({f64[1]}, object, {.symbol = "kiln_rt_call_1"}); });
    refused(ErrorKind::usage, "1 argument", [&] { f.export_object({f64[1], f64[1]}, object); });
    refused(ErrorKind::type, "arrays of one dimension", [&] { f.export_object({f64[2]}, object); });
    refused(ErrorKind::usage, "k.o cannot be written: No such file or directory",
            [&] { f.export_object({f64[1]}, (scratch.path / "none" / "k.o").string()); });
}

TEST_CASE("a header tells of types, shapes, the CPU and statuses", "[export]") {
    const ScratchFolder scratch;
    const auto scale = vectorize(
        "scale", [](Value double_, Value n, Value z) { return select(n > 0, double_ * z, z); },
        {.params = {"double", "n", "z"}});
    scale.export_object(
        {f64, i32[1], c64[1]}, (scratch.path / "scale").string(),
        {.symbol = "doubled", .cpu = CpuUnit::avx2, .header = (scratch.path / "own.h").string()});
    const std::string text = text_of(scratch.path / "own.h");
    has(text,
        "int doubled(int64_t n,\n    double double_,\n    const int32_t* n_,\n"
        "    const float* z,\n    double* out0);");
    has(text, "/* scale(f64, i32[1], c64[1]): a kernel of kiln");
    has(text, "z: c64, pairs of a real and an imaginary part, an array of 1 dimension, read");
    has(text, "x86-64-v3 (AVX2, FMA");
    has(text, "KILN_OVERLAP = 2,");
    has(text, "KILN_CPU = 9 /*");
    has(text, "Computes on the calling thread");
    const auto norm = jit("norm", [](In x, Out y, InOut one) -> Value {
        y(0, 0) = one() + x(0);
        return x(1);
    });
    norm.export_object({f16[1], bf16[2], u64[0]}, (scratch.path / "norm.o").string());
    has(text_of(scratch.path / "norm.h"),
        "int norm(const uint16_t* p0,\n    const int64_t* p0_shape,\n    const int64_t* "
        "p0_strides,\n"
        "    uint16_t* p1,\n    const int64_t* p1_shape,\n    const int64_t* p1_strides,\n"
        "    uint64_t* p2,\n    uint16_t* result0);");
}

TEST_CASE("an object is the same in whichever order kernels are exported", "[export]") {
    const ScratchFolder scratch;
    const auto write = [&](const char* name) {
        const auto f = jit("f", [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = exp(x(i));
        });
        f.export_object({f32[1], f32[1]}, (scratch.path / name).string(), {.cpu = CpuUnit::avx2});
    };
    write("a.o");
    vectorize("g", [](Value x) {
        return x + 1;
    }).export_object({f32[1]}, (scratch.path / "g.o").string());
    write("b.o");
    const std::string first = text_of(scratch.path / "a.o");
    CHECK(first.size() > 500);
    CHECK((first == text_of(scratch.path / "b.o")));
}

TEST_CASE("compile makes the code that a call runs", "[export]") {
    const auto f = vectorize("f", [](Value x, Value y) { return x * 0.71875 + y; });
    f.compile({f64[1], f64});
    const std::uint64_t made = f.stats().misses;
    CHECK(made == 1);
    CHECK(f(arange(10, DType::f64), f64(2.0)).at<double>(8) == 7.75);
    CHECK(f.stats().misses == made);
    CHECK(f.stats().hits == 1);
    const auto g = jit("g", [](In x, Out y, Value c) {
        for (Index i : range(x.extent(0))) y(i) = x(i) * 0.84375 + c;
    });
    g.compile({f64[1], f64[1], f64});
    const Array y = zeros({9});
    g(arange(9, DType::f64), y, 3.0);
    CHECK(y.at<double>(8) == 9.75);
    CHECK(g.stats().misses == 1);
    CHECK(g.stats().hits == 1);
}
