// In how many registers vector code runs, by what is known of a kernel.
#include "codegen/lanes/facts.h"
#include "tests/catch.h"

using namespace kiln;
using codegen::choose_registers;
using codegen::KernelFacts;
using codegen::VectorIsa;

TEST_CASE("facts: registers a step", "[codegen][facts]") {
    KernelFacts facts;
    facts.operations = facts.depth = 10;
    CHECK(choose_registers(facts, 0, false) == 4);
    CHECK(choose_registers(facts, 6, false) == 4);
    CHECK(choose_registers(facts, 7, false) == 1);
    const auto with = [&](auto change) {
        KernelFacts other = facts;
        change(other);
        return other;
    };
    CHECK(choose_registers(with([](KernelFacts& f) { f.calls = 1; }), 0, false) == 1);
    CHECK(choose_registers(with([](KernelFacts& f) { f.inlined = 1; }), 0, false) == 2);
    CHECK(choose_registers(with([](KernelFacts& f) { f.has_loops = true; }), 0, false) == 2);
    const auto streams = with([](KernelFacts& f) { f.streams = 8; });
    CHECK(choose_registers(streams, 0, false) == 1);
    CHECK(choose_registers(streams, 1, false) == 4);
    CHECK(choose_registers(with([](KernelFacts& f) { f.streams = 7; }), 0, false) == 4);
    const auto large = with([](KernelFacts& f) { f.operations = 25, f.depth = 8; });
    CHECK(choose_registers(large, 0, false) == 2);
    CHECK(choose_registers(large, 0, true) == 2);
    const auto chain = with([](KernelFacts& f) { f.operations = 25, f.depth = 9; });
    CHECK(choose_registers(chain, 0, false) == 2);
    CHECK(choose_registers(chain, 0, true) == 4);
    const auto longest = with([](KernelFacts& f) { f.operations = 257, f.depth = 257; });
    CHECK(choose_registers(longest, 0, true) == 2);
}

TEST_CASE("facts: lanes, what fills no register, levels", "[codegen][facts]") {
    ir::Kernel kernel;
    kernel.form = ir::Form::reduce;
    KernelFacts facts;
    facts.operations = facts.depth = 1;
    facts.widest = facts.narrowest = 8;
    const ir::Lanes wide = codegen::choose_lanes(kernel, facts, VectorIsa::avx512);
    CHECK((wide.of_register == 8 && wide.registers == 4 && wide.tail == 8));
    // AVX2 masks elements of four bytes and more, SSE2 none.
    CHECK(codegen::choose_lanes(kernel, facts, VectorIsa::avx2).tail == 4);
    CHECK(codegen::choose_lanes(kernel, facts, VectorIsa::sse2).tail == 1);
    facts.narrowest = 2;
    CHECK(codegen::choose_lanes(kernel, facts, VectorIsa::avx2).tail == 1);
    CHECK(codegen::choose_lanes(kernel, facts, VectorIsa::avx512).tail == 8);
    // Few lanes have a level more.
    CHECK(wide.levels == 3);
    CHECK(codegen::choose_lanes(kernel, facts, VectorIsa::sse2).levels == 4);
    kernel.form = ir::Form::scan;
    CHECK(codegen::choose_lanes(kernel, facts, VectorIsa::avx512).levels == 0);
    kernel.form = ir::Form::map;
    CHECK(codegen::choose_lanes(kernel, facts, VectorIsa::avx512).tail == 0);
}
