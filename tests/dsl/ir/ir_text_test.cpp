// The text form: print and parse are inverse, and what they write is what a reader expects.
#include "dsl/ir/builder.h"
#include "dsl/ir/text.h"
#include "tests/catch.h"
#include "tests/oracle/random_kernel.h"

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace kiln;
using namespace kiln::ir;

namespace {

std::string golden(const std::string& file) {
    std::ifstream in(KILN_TESTS_DIR "/golden/ir/" + file);
    REQUIRE(in.good());
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string parse_error(std::string_view text) {
    try {
        parse(text);
    } catch (const Error& e) {
        CHECK(e.kind() == ErrorKind::usage);
        return e.what();
    }
    return "parsed";
}

/// out = 2.5f * a + x as the front ends make it.
Kernel saxpy() {
    Builder b("saxpy");
    const auto a = b.add_param({"a", DType::f32, 1, Access::in, Layout::uniform, true});
    const auto x = b.add_param({"x", DType::f32, 1, Access::in, Layout::unit, false});
    const auto out = b.add_param({"out", DType::f32, 1, Access::out, Layout::unit, false});
    b.set_location(Location("/home/user/saxpy.cpp", 12));
    b.set_fast(fast::nnan | fast::contract);
    const Id extent = b.extent(out, 0);
    b.begin_stage(std::span(&extent, 1), true);
    const Id i = b.index(0);
    const Id product = b.apply(Op::mul, {b.load(a, {i}), b.constant(Scalar::of(2.5F))});
    b.set_location(Location("/home/user/saxpy.cpp", 13));
    b.store(out, {i}, b.apply(Op::add, {product, b.load(x, {i})}));
    b.end();
    return b.finish();
}

}  // namespace

TEST_CASE("a kernel prints with names and lines, or canonically without", "[dsl][text]") {
    CHECK(print(saxpy()) ==
          R"(kernel saxpy(a: in f32[1] uniform weak, x: in f32[1] unit, out: out f32[1] unit) {
  stage [extent(out, 0)] parallel {  ; saxpy.cpp:12
    %0 = load f32 a[i0] weak  ; saxpy.cpp:12
    %1 = cast f32 %0  ; saxpy.cpp:12
    %2 = mul f32 %1, f32(2.5) fast(nnan,contract)  ; saxpy.cpp:12
    %3 = load f32 x[i0]  ; saxpy.cpp:13
    %4 = add f32 %2, %3 fast(nnan,contract)  ; saxpy.cpp:13
    store out[i0], %4  ; saxpy.cpp:13
  }
}
)");
    CHECK(print(saxpy(), {.locations = false}) ==
          R"(kernel(p0: in f32[1] uniform weak, p1: in f32[1] unit, p2: out f32[1] unit) {
  stage [extent(p2, 0)] parallel {
    %0 = load f32 p0[i0] weak
    %1 = cast f32 %0
    %2 = mul f32 %1, f32(2.5) fast(nnan,contract)
    %3 = load f32 p1[i0]
    %4 = add f32 %2, %3 fast(nnan,contract)
    store p2[i0], %4
  }
}
)");
}

TEST_CASE("the canonical text does not depend on names, lines and node numbers", "[dsl][text]") {
    Kernel k = saxpy();
    k.name = "another";
    k.params[0].name = "scale";
    k.files[1] = "b.cpp";
    k.nodes.push_back(k.nodes[0]);  // a leaf that nothing uses
    CHECK(print(k, {.locations = false}) == print(saxpy(), {.locations = false}));
    k.nodes[k.stages[0].extents[0]].aux = 0;
    CHECK(print(k, {.locations = false}) != print(saxpy(), {.locations = false}));
}

TEST_CASE("golden texts parse, are well formed and print as they are", "[dsl][text][golden]") {
    for (const char* file :
         {"constants.txt", "control_flow.txt", "whole_arrays.txt", "reductions.txt"}) {
        CAPTURE(file);
        const std::string text = golden(file);
        const Kernel k = parse(text);
        CHECK(verify(k) == "");
        CHECK(print(k) == text);
        const std::string canonical = print(k, {.locations = false});
        CHECK(print(parse(canonical), {.locations = false}) == canonical);
    }
}

TEST_CASE("random kernels are well formed and survive text and back", "[dsl][text][random]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        CAPTURE(seed);
        oracle::RandomOptions options;
        options.checks = seed % 3 == 0;
        const Kernel k = oracle::random_kernel(seed, options);
        REQUIRE(verify(k) == "");
        const std::string text = print(k);
        const Kernel back = parse(text);
        REQUIRE(verify(back) == "");
        REQUIRE(print(back) == text);
        REQUIRE(back.params == k.params);
        REQUIRE(back.slots == k.slots);
        const std::string canonical = print(k, {.locations = false});
        REQUIRE(print(parse(canonical), {.locations = false}) == canonical);
    }
}

TEST_CASE("a kernel and its parsed text compute the same", "[dsl][text][random]") {
    for (std::uint64_t seed = 1000; seed < 1040; ++seed) {
        CAPTURE(seed);
        const Kernel k = oracle::random_kernel(seed);
        oracle::RandomArguments a(k, seed, 40);
        const oracle::RandomArguments b = a;
        oracle::interpret(k, a.arguments());
        oracle::interpret(parse(print(k, {.locations = false})), b.arguments());
        REQUIRE(a.difference(b) == "");
    }
}

TEST_CASE("a kernel's form stands in its text", "[dsl][text][form]") {
    for (const std::string form :
         {" reduce", " scan sum", " scan max", " program", " lanes(8, 4)",
          " scan min lanes(16, 1) tail 1", " reduce lanes(8, 4) tail 8 tree(8, 3)"}) {
        const Kernel k = parse("kernel k(x: in f32[1])" + form + " { }");
        CHECK(print(k, {.locations = false}) == "kernel(p0: in f32[1])" + form + " {\n}\n");
        CHECK(parse(print(k)) == k);
    }
    CHECK(print(parse("kernel k() map { }")) == "kernel k() {\n}\n");
    CHECK(parse_error("kernel k() scan { }") ==
          "<kernel text>:1: error: expected a reduction, found '{'");
}

TEST_CASE("what a loop says of itself stands in its text", "[dsl][text]") {
    const std::string plain =
        "kernel(p0: value i64) program {\n  stage [] {\n    for %0 = i64(0) to p0 step i64(1) {\n"
        "    }\n  }\n}\n";
    const std::pair<std::uint8_t, const char*> all[] = {
        {loop_flag::remainder, " remainder"},
        {loop_flag::shareable, " shareable"},
        {loop_flag::remainder | loop_flag::shareable, " remainder shareable"}};
    for (const auto& [flags, words] : all) {
        std::string flagged = plain;
        flagged.insert(flagged.find(" {\n    }"), words);
        Kernel k = parse(plain);
        const auto loop = std::ranges::find(k.nodes, NodeKind::loop, &Node::kind);
        CHECK(loop->fast == 0);
        loop->fast = flags;
        CHECK(print(k, {.locations = false}) == flagged);
        CHECK(parse(flagged) == k);
    }
}

TEST_CASE("constants are exact in text", "[dsl][text]") {
    const auto bits_after = [](const Scalar& s) {
        Builder b("k");
        const auto out = b.add_param({"out", s.dtype, 0, Access::out, Layout::strided, false});
        b.set_form(Form::program);
        b.begin_stage({}, false);
        b.store(out, {}, b.constant(s));
        b.end();
        const Kernel k = parse(print(b.finish()));
        const Node& store = k.nodes[k.blocks[0].nodes[0]];
        return k.nodes[k.operands_of(store)[0]].imm;
    };
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto b16 = static_cast<std::uint16_t>(bits);
        if (bits_after(Scalar::of(float16::from_bits(b16))) != bits) FAIL("f16 " << bits);
        if (bits_after(Scalar::of(bfloat16::from_bits(b16))) != bits) FAIL("bf16 " << bits);
    }
    for (const std::uint64_t bits :
         {0x0ULL, 0x8000000000000000ULL, 0x1ULL, 0x000fffffffffffffULL, 0x3fb999999999999aULL,
          0x7fefffffffffffffULL, 0x7ff0000000000000ULL, 0xfff0000000000000ULL,
          0x7ff8000000000000ULL, 0xfff8000000000000ULL, 0x7ff0000000000001ULL,
          0x4340000000000001ULL})
        CHECK(bits_after(Scalar::of(std::bit_cast<double>(bits))) == bits);
    for (const std::uint32_t bits : {0x0U, 0x80000000U, 0x1U, 0x3dcccccdU, 0x7f7fffffU, 0x7f800000U,
                                     0x7fc00000U, 0xffc00000U, 0x7f800001U, 0x4b800001U})
        CHECK(bits_after(Scalar::of(std::bit_cast<float>(bits))) == bits);
    CHECK(bits_after(Scalar::of(std::numeric_limits<std::int64_t>::min())) ==
          0x8000000000000000ULL);
    CHECK(bits_after(Scalar::of(~std::uint64_t(0))) == ~std::uint64_t(0));
    CHECK(bits_after(Scalar::of(std::int8_t(-128))) == 0x80);
    CHECK(bits_after(Scalar::of(true)) == 1);
}

TEST_CASE("names that are no identifiers, or taken, are quoted", "[dsl][text]") {
    Builder b("my \"kernel\"");
    b.add_param({"x", DType::f32, 0, Access::value, Layout::strided, false});
    const auto second = b.add_param({"x", DType::f32, 0, Access::value, Layout::strided, false});
    b.add_param({"p1", DType::f32, 0, Access::value, Layout::strided, false});
    b.add_param({"i0", DType::f32, 0, Access::value, Layout::strided, false});
    const auto out = b.add_param({"", DType::f32, 0, Access::out, Layout::strided, false});
    b.set_form(Form::program);
    b.begin_stage({}, false);
    b.store(out, {}, b.param(second));
    b.end();
    const Kernel k = b.finish();
    const std::string text = print(k);
    CHECK(
        text ==
        R"(kernel "my \"kernel\""(x: value f32, p1_ "x": value f32, p1: value f32, p3 "i0": value f32, p4 "": out f32) program {
  stage [] {
    store p4, p1_
  }
}
)");
    const Kernel back = parse(text);
    CHECK(back.name == k.name);
    CHECK(back.params == k.params);
    CHECK(print(back) == text);
}

TEST_CASE("an ordinary comment is no location", "[dsl][text]") {
    const Kernel k = parse(
        "kernel k(out: out i32) program { ; the head\n"
        "  stage [] {\n"
        "    store out, i32(1) ; see: there\n"
        "    store out, i32(2) ; a b.cpp:7\n"
        "  } }");
    CHECK(k.locations.size() == 2);
    CHECK(k.location(1).file == "a b.cpp");
    CHECK(k.location(1).line == 7);
}

TEST_CASE("names of files that cannot stand in a line as they are stand there in quotes",
          "[dsl][text]") {
    const char* const files[][2] = {{" a.cpp", "\" a.cpp\""},
                                    {"\ta.cpp", "\"\ta.cpp\""},
                                    {"a\nb.cpp", "\"a\\nb.cpp\""},
                                    {"\"a.cpp", "\"\\\"a.cpp\""},
                                    {"", "\"\""},
                                    {"a\"b c.cpp", "a\"b c.cpp"},
                                    {"a;b:5", "a;b:5"},
                                    {"a ", "a "}};
    for (const auto& [file, written] : files) {
        Kernel k = parse(
            "kernel k(out: out i32) program {\n  stage [] {\n    store out, i32(1)  ; x.cpp:7\n  "
            "}\n}\n");
        k.files.back() = file;
        const std::string text = print(k);
        CHECK(text == "kernel k(out: out i32) program {\n  stage [] {\n    store out, i32(1)  ; " +
                          std::string(written) + ":7\n  }\n}\n");
        const Kernel back = parse(text);
        REQUIRE(back.locations.size() == 2);
        CHECK(back.location(1).file == file);
        CHECK(back.location(1).line == 7);
        CHECK(print(back) == text);
    }
    for (const char* comment :
         {"\"a.cpp:7", "\"a.cpp\" 7", "\"a.cpp\":7b", ":7", "a.cpp:", "a.cpp:0"})
        CHECK(parse("kernel k(out: out i32) program { stage [] { store out, i32(1) ; " +
                    std::string(comment) + "\n } }")
                  .locations.size() == 1);
}

TEST_CASE("parse errors name the line and what was expected", "[dsl][text][errors]") {
    const auto in_stage = [](const std::string& statement) {
        return parse_error(
            "kernel k(x: in f32[1], n: value i64) {\n  slot v: f32\n  stage [n] {\n    " +
            statement + "\n  }\n}\n");
    };
    CHECK(parse_error("") == "<kernel text>:1: error: expected 'kernel', found the end");
    CHECK(parse_error("kernel k(x in f32)") == "<kernel text>:1: error: expected ':', found 'in'");
    CHECK(parse_error("kernel k(x: const f32)") ==
          "<kernel text>:1: error: expected value, in, out, inout, local or result, found 'const'");
    CHECK(parse_error("kernel k(x: in float)") ==
          "<kernel text>:1: error: expected a dtype, found 'float'");
    CHECK(parse_error("kernel k(x: in f32,\n x: in f32) {}") ==
          "<kernel text>:2: error: 'x' is declared twice");
    CHECK(parse_error("kernel k() {\n} more") ==
          "<kernel text>:2: error: expected the end of the text, found 'more'");
    CHECK(parse_error("kernel k() program {\n  stage [] {\n") ==
          "<kernel text>:3: error: expected a statement or '}', found the end");
    CHECK(parse_error("kernel \"k") ==
          "<kernel text>:1: error: expected '\"' at the end of a name");
    CHECK(in_stage("%0 = sine f32 f32(1)") ==
          "<kernel text>:4: error: expected an operation, found 'sine'");
    CHECK(in_stage("%0 = neg f32 %1") ==
          "<kernel text>:4: error: %1 is used before its definition");
    CHECK(in_stage("%0 = neg f32 f32(1)\n    %0 = neg f32 f32(2)") ==
          "<kernel text>:5: error: %0 is defined twice");
    CHECK(in_stage("%0 = neg f32 y") == "<kernel text>:4: error: expected a value, found 'y'");
    CHECK(in_stage("%0 = load f32 y[i0]") ==
          "<kernel text>:4: error: expected a parameter, found 'y'");
    CHECK(in_stage("write w, f32(1)") == "<kernel text>:4: error: expected a slot, found 'w'");
    CHECK(in_stage("store x[i0] f32(1)") == "<kernel text>:4: error: expected ',', found 'f32'");
    CHECK(in_stage("%0 = neg u8 u8(256)") ==
          "<kernel text>:4: error: '256' is not a literal of u8");
    CHECK(in_stage("%0 = neg f32 f32(1.5x)") ==
          "<kernel text>:4: error: '1.5x' is not a literal of f32");
    CHECK(in_stage("%0 = neg f32 f32(nan:0x7f800000)") ==
          "<kernel text>:4: error: 'nan:0x7f800000' is not a literal of f32");
    CHECK(in_stage("%0 = neg c64 c64(1)") == "<kernel text>:4: error: '1' is not a literal of c64");
    CHECK(in_stage("%0 = neg f32 f32(1) fast(fast)") ==
          "<kernel text>:4: error: expected a fast flag, found 'fast'");
    CHECK(in_stage("check overflow, bool(true)") ==
          "<kernel text>:4: error: expected the name of a check, found 'overflow'");
    CHECK(in_stage("%0 = fold mean f32 x axes(0)") ==
          "<kernel text>:4: error: expected a reduction, found 'mean'");
    CHECK(in_stage("jump") == "<kernel text>:4: error: expected a statement or '}', found 'jump'");
    CHECK(in_stage(std::string(200000, '{')) ==
          "<kernel text>:4: error: expected a statement or '}', found '{'");
    std::string deep;
    for (int i = 0; i < 600; ++i) deep += "if bool(true) { ";
    CHECK(in_stage(deep) ==
          "<kernel text>:4: error: expected at most 500 nested blocks, found 'if'");
}
