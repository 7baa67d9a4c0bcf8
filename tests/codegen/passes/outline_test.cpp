// Loops that become launches of kernels: what they become, and what stays a loop. Results of such
// programs are held by tests/jit/loops.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include <fmt/format.h>

using namespace kiln;

namespace {

std::string outlined(std::string_view text) { return test::after(codegen::run_outline, text); }

}  // namespace

TEST_CASE("outline: rows of a function, at their subscripts of the first iteration",
          "[codegen][outline]") {
    CHECK(outlined(R"(
kernel t(x: in f64[2] unit, y: out f64[2] unit, a: value f64) program {
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(1) {
      for %1 = i64(2) to extent(x, 1) step i64(1) {
        %2 = sub i64 %1, i64(1)
        %3 = load f64 x[%0, %2]
        %4 = exp f64 %3
        %5 = mul f64 %4, a
        store y[%0, %1], %5
      }
    }
  }
}
)") == test::printed(R"(
kernel t(x: in f64[2] unit, y: out f64[2] unit, a: value f64) program {
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(1) {
      %1 = sub i64 i64(2), i64(1)
      launch k0 for i64(2) to extent(x, 1) step i64(1) (value %0, value a, first, array x[%0, %1] by (0, 1), array y[%0, i64(2)] by (0, 1))
    }
  }
  k0 = kernel t(outer: in i64[1] uniform, p1 "outer": in f64[1] uniform, first: in i64[1] uniform, x: in f64[1] unit, y: out f64[1] unit) {
    stage [extent(outer, 0)] parallel {
      %0 = load f64 p1[i0]
      %1 = load f64 x[i0]
      %2 = exp f64 %1
      %3 = mul f64 %2, %0
      store y[i0], %3
    }
  }
}
)"));
}

TEST_CASE("outline: what a parallel loop accumulates; loops of one form share a kernel",
          "[codegen][outline]") {
    const std::string made = outlined(R"(
kernel t(x: in f64[1], y: in f64[1], z: out f64) program {
  slot s: f64
  stage [] {
    write s, f64(0)
    for %0 = i64(0) to extent(x, 0) step i64(2) parallel dynamic 64 (sum -> s) {
      %1 = load f64 x[%0]
      %2 = read f64 s
      %3 = add f64 %2, %1 fast(reassoc)
      write s, %3
    }
    for %4 = i64(0) to extent(y, 0) step i64(2) parallel automatic 0 (sum -> s) {
      %5 = load f64 y[%4]
      %6 = read f64 s
      %7 = add f64 %6, %5 fast(reassoc)
      write s, %7
    }
    %8 = read f64 s
    store z, %8
  }
}
)");
    CHECK(made == test::printed(R"(
kernel t(x: in f64[1], y: in f64[1], z: out f64) program {
  slot s: f64
  stage [] {
    write s, f64(0)
    launch k0 for i64(0) to extent(x, 0) step i64(2) parallel dynamic 64 (sum -> s) (first, step, array x[i64(0)] by (1), total sum s)
    launch k0 for i64(0) to extent(y, 0) step i64(2) parallel automatic 0 (sum -> s) (first, step, array y[i64(0)] by (1), total sum s)
    %0 = read f64 s
    store z, %0
  }
  k0 = kernel t(first: in i64[1] uniform, step: in i64[1] uniform, x: in f64[1], total: out f64 unit) reduce {
    slot v0 "": f64
    stage [] {
      write v0, f64(-0)
    }
    stage [extent(first, 0)] parallel sum -> v0 {
      %0 = load f64 x[i0]
      contribute 0, %0
    }
    stage [] {
      %1 = read f64 v0
      store total, %1
    }
  }
}
)"));
}

TEST_CASE("outline: running results go on with their variable", "[codegen][outline]") {
    const std::string made = outlined(R"(
kernel t(x: in i64[1] unit, y: out i64[1] unit, z: out i64) program {
  slot s: i64
  stage [] {
    write s, i64(7)
    for %0 = i64(0) to extent(x, 0) step i64(1) {
      %1 = load i64 x[%0]
      %2 = read i64 s
      %3 = add i64 %2, %1
      write s, %3
      store y[%0], %3
    }
    %4 = read i64 s
    store z, %4
  }
}
)");
    CHECK(made == test::printed(R"(
kernel t(x: in i64[1] unit, y: out i64[1] unit, z: out i64) program {
  slot s: i64
  stage [] {
    write s, i64(7)
    launch k0 for i64(0) to extent(x, 0) step i64(1) (first, array x[i64(0)] by (1), carry s, array y[i64(0)] by (1))
    %0 = read i64 s
    store z, %0
  }
  k0 = kernel t(first: in i64[1] uniform, x: in i64[1] unit, carry: in i64[1] uniform, y: out i64[1] unit) scan sum {
    stage [extent(first, 0)] parallel {
      %0 = load i64 x[i0]
      store y[i0], %0
    }
  }
}
)"));
}

TEST_CASE("outline: memory traffic is launched where arrays are large", "[codegen][outline]") {
    const std::string made = outlined(R"(
kernel t(x: in f32[1] unit, y: out f32[1] unit) program {
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {
      %1 = load f32 x[%0]
      %2 = mul f32 %1, f32(2)
      store y[%0], %2
    }
  }
}
)");
    CHECK(made == test::printed(R"(
kernel t(x: in f32[1] unit, y: out f32[1] unit) program {
  stage [] {
    launch k0 for i64(0) to extent(x, 0) step i64(1) parallel automatic 0 streams (x, y) (first, array x[i64(0)] by (1), array y[i64(0)] by (1)) else {
      launch k0 for i64(0) to extent(x, 0) step i64(1) parallel automatic 0 in_place (first, array x[i64(0)] by (1), array y[i64(0)] by (1))
    }
  }
  k0 = kernel t(first: in i64[1] uniform, x: in f32[1] unit, y: out f32[1] unit) {
    stage [extent(first, 0)] parallel {
      %0 = load f32 x[i0]
      %1 = mul f32 %0, f32(2)
      store y[i0], %1
    }
  }
}
)"));
}

TEST_CASE("outline: plain maps in other loops stay loops", "[codegen][outline]") {
    const auto launches = [](unsigned loops) {
        std::string text =
            "kernel t(x: in f64[1] unit, y: inout f64[1] unit) program {\n  stage [] {\n";
        for (unsigned l = 0; l < loops; ++l)
            text += fmt::format("for %{} = i64(0) to extent(x, 0) step i64(1) {{\n", l);
        text += fmt::format(
            "%7 = load f64 x[%{0}]\n%8 = load f64 y[%{0}]\n%9 = add f64 %7, %8\n"
            "store y[%{0}], %9\n",
            loops - 1);
        for (unsigned l = 0; l < loops; ++l) text += "}\n";
        return outlined(text + "}\n}\n").find("in_place") != std::string::npos;
    };
    CHECK(launches(1));
    CHECK_FALSE(launches(2));
    CHECK_FALSE(launches(3));
}

TEST_CASE("outline: arguments that are not large are stored as usual", "[codegen][outline]") {
    const auto copies = [](std::string_view to) {
        return fmt::format(R"(
kernel t(x: in f32[1] unit, y: out f32[1] unit, s: local f32[1] unit) program {{
  stage [] {{
    allocate s[extent(x, 0)]
    for %0 = i64(0) to extent(x, 0) step i64(1) parallel automatic 0 {{
      %1 = load f32 x[%0]
      store {}[%0], %1
    }}
  }}
}}
)",
                           to);
    };
    const auto streams = [](std::string_view text, bool large) {
        const ir::Kernel kernel = test::kernel(text);
        const std::string made =
            ir::print(test::run(codegen::run_outline, kernel, {.noalias = true, .large = large}));
        const bool found = made.find("streams") != std::string::npos;
        return found;
    };
    CHECK(streams(copies("y"), true));
    CHECK_FALSE(streams(copies("y"), false));
    CHECK(streams(copies("s"), false));  // may be larger than any argument
}

TEST_CASE("outline: what reads rows by other steps than 1 is not streamed", "[codegen][outline]") {
    const auto streams = [](std::string_view subscripts) {
        const ir::Kernel kernel = test::kernel(fmt::format(R"(
kernel t(x: in f32[2] unit, u: in f32[2], y: out f32[1] unit, n: value i64) program {{
  stage [] {{
    for %0 = i64(0) to extent(y, 0) step i64(1) {{
      %1 = sub i64 n, %0
      %2 = mul i64 i64(3), %0
      %3 = load f32 {}
      store y[%0], %3
    }}
  }}
}}
)",
                                                           subscripts));
        return ir::print(test::run(codegen::run_outline, kernel, {.noalias = true}))
                   .find("streams") != std::string::npos;
    };
    CHECK(streams("x[n, %0]"));
    CHECK(streams("x[n, n]"));
    CHECK(streams("x[%0, n]"));
    CHECK(streams("u[n, %0]"));
    CHECK_FALSE(streams("x[n, %1]"));
    CHECK_FALSE(streams("x[n, %2]"));
}

TEST_CASE("outline: what no lanes can run stays a loop", "[codegen][outline]") {
    const auto body_of = [](std::string_view body) {
        return "kernel t(x: inout f64[1] unit, k: in i64[1] unit) program {\n  slot s: f64\n"
               "  stage [] {\n    write s, f64(0)\n    for %0 = i64(1) to extent(x, 0) step i64(1) "
               "{\n" +
               std::string(body) + "    }\n  }\n}\n";
    };
    for (const std::string_view body : {
             // an iteration reads what the one before it stored
             "      %1 = sub i64 %0, i64(1)\n      %2 = load f64 x[%1]\n      %3 = exp f64 %2\n"
             "      store x[%0], %3\n",
             // a subscript that is loaded
             "      %1 = load i64 k[%0]\n      %2 = load f64 x[%1]\n      %3 = exp f64 %2\n"
             "      store x[%0], %3\n",
             // a strict sum
             "      %1 = load f64 x[%0]\n      %2 = exp f64 %1\n      %3 = read f64 s\n"
             "      %4 = add f64 %3, %2\n      write s, %4\n      store x[%0], %4\n",
             // a loop that ends early
             "      %1 = load f64 x[%0]\n      %2 = exp f64 %1\n      store x[%0], %2\n"
             "      %3 = gt bool %2, f64(9)\n      if %3 {\n        break\n      }\n",
         }) {
        CAPTURE(body);
        CHECK(outlined(body_of(body)) == test::printed(body_of(body)));
    }
}

TEST_CASE("lanes: of a kernel and of those that a program launches", "[codegen][lanes]") {
    const std::string map = test::map_text(
        "x: in f32[1] unit, y: out f32[1] unit",
        "    %0 = load f32 x[i0]\n    %1 = mul f32 %0, f32(2)\n    store y[i0], %1\n");
    const auto with = [](std::string_view text, codegen::VectorIsa isa) {
        return test::run(codegen::run_lanes, test::kernel(text), {.isa = isa});
    };
    // 16, 32 and 64 bytes of f32, four registers of a simple body
    CHECK(with(map, codegen::VectorIsa::sse2).lanes == ir::Lanes{4, 4});
    CHECK(with(map, codegen::VectorIsa::avx2).lanes == ir::Lanes{8, 4});
    CHECK(with(map, codegen::VectorIsa::avx512).lanes == ir::Lanes{16, 4});
    const ir::Kernel program = with(outlined(R"(
kernel t(x: in f64[1] unit, y: out f64[1] unit) program {
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(1) {
      %1 = load f64 x[%0]
      %2 = exp f64 %1
      store y[%0], %2
    }
  }
}
)"),
                                    codegen::VectorIsa::avx2);
    CHECK(program.lanes == ir::Lanes{});
    CHECK(program.outlined.at(0).lanes == ir::Lanes{4, 2});  // a polynomial takes two
    // A plain map becomes part of its loop, and takes what fills no register one by one.
    const ir::Kernel plain = with(outlined(R"(
kernel t(x: in f64[1] unit, y: inout f64[1] unit) program {
  stage [] {
    for %0 = i64(0) to extent(x, 0) step i64(1) {
      %1 = load f64 x[%0]
      %2 = load f64 y[%0]
      %3 = add f64 %1, %2
      store y[%0], %3
    }
  }
}
)"),
                                  codegen::VectorIsa::avx2);
    CHECK(plain.launches.at(0).in_place);
    CHECK(plain.outlined.at(0).lanes == ir::Lanes{4, 4, 1});
}

TEST_CASE("lanes: by what the vector unit has, of kernels over one dimension", "[codegen][lanes]") {
    const auto lanes = [](std::string_view text, codegen::VectorIsa isa) {
        return test::run(codegen::run_lanes, test::kernel(text), {.isa = isa}).lanes;
    };
    const std::string function =
        test::map_text("x: in f64[1] unit, y: out f64[1] unit",
                       "    %0 = load f64 x[i0]\n    %1 = exp f64 %0\n    store y[i0], %1\n");
    // Without FMA it is a call of a library, and one register is enough.
    CHECK(lanes(function, codegen::VectorIsa::sse2) == ir::Lanes{2, 1});
    CHECK(lanes(function, codegen::VectorIsa::avx2) == ir::Lanes{4, 2});
    const std::string_view matrix =
        "kernel t(x: in f64[2], y: out f64[2]) {\n  stage [extent(x, 0), extent(x, 1)] {\n"
        "    %0 = load f64 x[i0, i1]\n    store y[i0, i1], %0\n  }\n}\n";
    CHECK(lanes(matrix, codegen::VectorIsa::avx2) == ir::Lanes{});
}
