// CUDA text whose compilers speak of the user's lines.
#include "codegen/cuda/lines.h"
#include "tests/catch.h"

using kiln::codegen::cuda_with_lines;

TEST_CASE("lines of CUDA text are those that comments name", "[codegen][cuda]") {
    CHECK(cuda_with_lines("struct S {};\n"
                          "extern \"C\" __global__ void k(float* y) {\n"
                          "    // prices.cpp:31\n"
                          "    y[0] = 1.0f;\n"
                          "    y[1] = 2.0f;\n"
                          "        // rates.cpp:7\n"
                          "    y[2] = 3.0f;\n"
                          "}\n"
                          "int after;\n",
                          "k.cu") ==
          "#line 1 \"k.cu\"\nstruct S {};\n"
          "#line 2 \"k.cu\"\nextern \"C\" __global__ void k(float* y) {\n"
          "#line 31 \"prices.cpp\"\n    y[0] = 1.0f;\n"
          "#line 31 \"prices.cpp\"\n    y[1] = 2.0f;\n"
          "#line 7 \"rates.cpp\"\n    y[2] = 3.0f;\n"
          "#line 8 \"k.cu\"\n}\n"
          "#line 9 \"k.cu\"\nint after;\n");
}

TEST_CASE("comments that name no line stay", "[codegen][cuda]") {
    for (const char* comment : {"// a remark: 12", "// prices.cpp", "// prices.cpp:x1",
                                "// prices.cpp:12 and more", "int x;  // prices.cpp:12"}) {
        INFO(comment);
        CHECK(cuda_with_lines(std::string(comment) + "\n", "k.cu") ==
              "#line 1 \"k.cu\"\n" + std::string(comment) + "\n");
    }
    CHECK(cuda_with_lines("int x;", "k.cu") == "#line 1 \"k.cu\"\nint x;\n");
    CHECK(cuda_with_lines("", "k.cu").empty());
}
