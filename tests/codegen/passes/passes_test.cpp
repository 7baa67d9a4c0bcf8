// The pipeline, and random kernels: no pass changes what a kernel computes.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/oracle/random_kernel.h"

using namespace kiln;

namespace {

struct NamedPass {
    const char* name;
    ir::Kernel (*run)(const ir::Kernel&, codegen::PassContext&);
};

const NamedPass passes[] = {
#define KILN_PASS(id, phase, when, doc) {#id, codegen::run_##id},
#include "codegen/passes.def"
#undef KILN_PASS
    {"all", codegen::run_passes},
};

void compare(const char* pass, const ir::Kernel& before, const ir::Kernel& after,
             const oracle::RandomArguments& arguments, double ulps) {
    oracle::RandomArguments x = arguments, y = arguments;
    oracle::interpret(before, x.arguments());
    oracle::interpret(after, y.arguments());
    const std::string difference = x.difference(y, ulps);
    if (difference.empty()) return;
    FAIL_CHECK("pass " << pass << ": " << difference << "\n"
                       << ir::print(before) << "\n"
                       << ir::print(after));
}

}  // namespace

TEST_CASE("no pass changes a random kernel's results by a bit", "[codegen][passes][random]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        oracle::RandomOptions options;
        options.inexact = false;
        options.checks = seed % 2 == 0;
        const ir::Kernel k = oracle::random_kernel(seed, options);
        const oracle::RandomArguments arguments(k, seed, 17);
        INFO("seed " << seed);
        for (const NamedPass& pass : passes)
            compare(pass.name, k, test::run(pass.run, k), arguments, 0);
    }
}

TEST_CASE("the pipeline verifies after every pass and shows those that changed something",
          "[codegen][passes]") {
    const ir::Kernel k = test::kernel(test::map_text(
        "a: in f16[1], o: out f16[1]",
        "    %0 = load f16 a[i0]\n    %1 = add f16 %0, f16(-0)\n    store o[i0], %1\n"));
    codegen::PassContext context;
    context.options.verify = true;
    std::vector<std::string> seen;
    context.observer = [&](std::string_view name, const ir::Kernel&) { seen.emplace_back(name); };
    const ir::Kernel after = codegen::run_passes(k, context);
    CHECK(seen == std::vector<std::string>{"widen", "simplify", "dce"});
    CHECK(ir::print(after) == test::map_text("a: in f16[1], o: out f16[1]",
                                             "    %0 = load f16 a[i0]\n    store o[i0], %0\n"));
}

TEST_CASE("checks are added in checked mode only", "[codegen][passes]") {
    const ir::Kernel k = test::kernel(
        test::map_text("a: in i32[1], o: out i32[1]",
                       "    %0 = load i32 a[i0]\n    %1 = div i32 %0, %0\n    store o[i0], %1\n"));
    CHECK(ir::print(test::all_passes(k)).find("check") == std::string::npos);
    CHECK(ir::print(test::all_passes(k, true)).find("check division_by_zero") != std::string::npos);
}

TEST_CASE("every operation on every dtype survives the pipeline", "[codegen][passes]") {
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto t = static_cast<DType>(i);
        if (is_complex(t)) continue;  // lower_complex_test
        INFO(name(t));
        const ir::Kernel k = test::every_operation(t);
        // Powers of negative integers have their own check; the results agree all the same.
        compare("all", k, test::all_passes(k), oracle::RandomArguments(k, i, 64),
                is_real(t) ? 1 : 0);
    }
}
