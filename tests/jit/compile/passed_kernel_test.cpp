// Kernels after their passes as bytes: all of them, exactly, or nothing. (lifetime/cached.cpp has what
// processes find.)
#include "jit/compile/passed_kernel.h"

#include "dsl/ir/text.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/support.h"

#include <set>

using namespace kiln;
using namespace kiln::engine;

namespace {

/// With everything that a kernel can have: nests, states, functions, outlined kernels.
ir::Kernel full(ir::Kernel kernel = {}) {
    kernel.name = "full";
    kernel.form = ir::Form::program;
    kernel.scan = ir::Reduction::product;
    kernel.lanes = {8, 2, 4, 2, 3};
    kernel.params = {{"x", DType::f32, 3, ir::Access::inout, ir::Layout::unit, true}};
    kernel.slots = {{"sum", DType::c128, 7}};
    kernel.functions = {{"f", DType::f64, {DType::i8, DType::f32}, true}, {"g"}};
    kernel.prologue = 4;
    kernel.stages = {{{1, 2}, 3, {{ir::Reduction::min, 5, 6}}, true, 9}};
    kernel.parallel_loops = {
        {{{ir::Reduction::max, 1, 2}}, ir::Schedule::guided, -5, true, {{ir::Reduction::sum, 8}}}};
    kernel.launches = {
        {1, {{ir::Argument::Kind::carry, 2, ir::Reduction::product, 3, {-1, 4}}}, 0, {7, 8}, true}};
    kernel.trees = {{1024, 16, {3, 4}}};
    kernel.blocks = {{{1, 2, 3}}, {}};
    kernel.nodes.resize(2);
    kernel.nodes[1] = {ir::NodeKind::loop, ir::Op::mul, DType::u16, 2, 3, true, 4, 5, 6, 7, 8,
                       0xfeedfacecafebeef};
    kernel.operands = {3, 1, 2};
    kernel.files = {"a.cpp", ""};
    kernel.locations = {{}, {1, 77}};
    return kernel;
}
ir::Kernel nested() {
    ir::Kernel kernel = full();
    kernel.outlined = {full(), {}};
    kernel.combines = {full()};
    return kernel;
}

}  // namespace

TEST_CASE("a kernel as bytes is the same kernel, whatever it has", "[jit][cache]") {
    for (const ir::Kernel& kernel : {ir::Kernel(), full(), nested()}) {
        const PassedKernel passed{kernel, {.noalias = true, .flags_of_data = true}, "the key"};
        const auto bytes = bytes_of(passed);
        const auto again = passed_kernel_of(bytes);
        REQUIRE(again);
        CHECK(*again == passed);
        CHECK(bytes_of(*again) == bytes);
        CHECK(again->kernel.name == kernel.name);
    }
}

TEST_CASE("bytes with a part missing or added are no kernel", "[jit][cache]") {
    auto bytes = bytes_of({nested(), {}, "key"});
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        INFO(n);
        if (passed_kernel_of(std::span(bytes).first(n))) FAIL("a kernel");
    }
    bytes.push_back(std::byte(0));
    CHECK_FALSE(passed_kernel_of(bytes));
    // Lengths that no file has.
    std::vector<std::byte> large(64, std::byte(0xff));
    CHECK_FALSE(passed_kernel_of(large));
}

TEST_CASE("all that passes depend on is in the key of what they make", "[jit][cache]") {
    const LoweringInput input{nested(), {}, {}, "cpu"};
    std::set<std::string> keys{passed_key(input)};
    CHECK(passed_key(input).starts_with("cpu\n"));
    std::size_t others = 0;
    const auto other = [&](auto&& change) {
        LoweringInput changed = input;
        change(changed);
        CHECK_FALSE(changed == input);
        keys.insert(passed_key(changed));
        ++others;
    };
    other([](LoweringInput& i) { i.target_id = "another"; });
    other([](LoweringInput& i) { i.code.streaming = true; });
    other([](LoweringInput& i) { i.code.checked = true; });
    // All of its fields: with a new one, this does not compile.
    codegen::PassOptions all;
    auto& [target, isa, checked, noalias, verify, fuse, reassociate, strict, plain, threads, large,
           fma, unit_extents, known] = all;
    static_cast<void>(std::tie(target, isa, unit_extents, known));
    other([](LoweringInput& i) { i.passes.target = codegen::PassTarget::gpu; });
    other([](LoweringInput& i) { i.passes.isa = codegen::VectorIsa::avx2; });
    other([](LoweringInput& i) { i.passes.isa = codegen::VectorIsa::sse2; });
    other([](LoweringInput& i) { i.passes.unit_extents = {0}; });
    other([](LoweringInput& i) { i.passes.unit_extents = {2}; });
    for (const codegen::KnownNumber number :
         {codegen::KnownNumber{0, 0, 3}, {0, 1, 3}, {1, 0, 3}, {0, 0, 4}})
        other([&](LoweringInput& i) { i.passes.known = {number}; });
    for (bool* const flag : {&checked, &noalias, &verify, &fuse, &reassociate, &strict, &plain,
                             &threads, &large, &fma}) {
        *flag = !*flag;
        other([&](LoweringInput& i) { i.passes = all; });
        *flag = !*flag;
    }
    // Names and lines too: what passes have to say is of these.
    other([](LoweringInput& i) { i.kernel.name = "g"; });
    other([](LoweringInput& i) { i.kernel.params[0].name = "y"; });
    other([](LoweringInput& i) { i.kernel.locations[1].line = 78; });
    other([](LoweringInput& i) { i.kernel.nodes[1].imm = 1; });
    other([](LoweringInput& i) { i.kernel.outlined[0].nodes[0].weak = true; });
    other([](LoweringInput& i) { i.kernel.combines.pop_back(); });
    other([](LoweringInput& i) { i.kernel.functions[1].pure = true; });
    CHECK(keys.size() == others + 1);
}

TEST_CASE("what passes had to say is found out once, when it is asked for", "[jit][cache]") {
    int times = 0;
    const PassReport report(std::function([&] {
        ++times;
        PassWords words;
        words.loops_found = 3;
        return words;
    }));
    CHECK(times == 0);
    CHECK(report.words().loops_found == 3);
    CHECK(&report.words() == &report.words());
    CHECK(times == 1);
}
