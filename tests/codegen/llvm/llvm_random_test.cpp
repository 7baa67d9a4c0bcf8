// Random element-wise kernels: machine code against the interpreter.
//
// KILN_RANDOM_SEEDS=n tries n seeds a vector unit instead of a few hundred.
#include "tests/catch.h"
#include "tests/codegen/cpu_map.h"
#include "tests/oracle/random_kernel.h"

#include "dsl/ir/text.h"

#include <cstdlib>

using namespace kiln;
using namespace kiln::test;

namespace {

std::vector<engine::Operand> operands_of(const oracle::RandomArguments& arguments) {
    std::vector<engine::Operand> operands;
    for (const oracle::Argument& a : arguments.arguments())
        operands.push_back({a.buffer.data, a.buffer.strides.empty() ? 0 : a.buffer.strides[0], 0});
    return operands;
}

std::uint64_t seeds(std::uint64_t usual) {
    const char* text = std::getenv("KILN_RANDOM_SEEDS");
    return text == nullptr ? usual : std::stoull(text);
}

void try_seed(std::uint64_t seed, const oracle::RandomOptions& options, double ulps) {
    const ir::Kernel kernel = oracle::random_kernel(seed, options);
    const auto count = static_cast<std::int64_t>(seed * 7 % 150);  // whole blocks and remainders
    const oracle::RandomArguments arguments(kernel, seed, count);
    oracle::RandomArguments expected = arguments;
    const auto fault = oracle::interpret(kernel, expected.arguments());
    for (const VectorIsa isa : host_isas()) {
        engine::CompileOptions compile_options;
        compile_options.streaming = seed % 5 == 0;
        const auto program = compile_for(isa, kernel, compile_options);
        oracle::RandomArguments actual = arguments;
        const engine::Fault recorded = run_map(*program, operands_of(actual), count);
        std::string difference = expected.difference(actual, ulps);
        if (fault.has_value() != (recorded.code >= 0)) {
            difference += " one of them faults";
        } else if (fault && (recorded.column != fault->iteration[0] ||
                             (recorded.code & 255) != static_cast<std::int64_t>(fault->check))) {
            difference += " fault at " + std::to_string(recorded.column) + " instead of " +
                          std::to_string(fault->iteration[0]);
        }
        if (difference.empty()) continue;
        FAIL_CHECK("seed " << seed << ", " << name(isa) << ", n = " << count << ": " << difference
                           << "\n"
                           << ir::print(kernel));
    }
}

}  // namespace

TEST_CASE("random kernels without inexact operations: not a bit differs",
          "[codegen][llvm][random]") {
    const std::uint64_t last = seeds(120);
    for (std::uint64_t seed = 0; seed < last; ++seed) {
        oracle::RandomOptions options;
        options.inexact = false;
        options.checks = seed % 2 == 0;
        try_seed(seed, options, 0);
    }
}

TEST_CASE("random real kernels without branches", "[codegen][llvm][random]") {
    const std::uint64_t last = seeds(60);
    for (std::uint64_t seed = 0; seed < last; ++seed) {
        oracle::RandomOptions options;
        options.inexact = false;
        options.complex = options.half = seed % 2 == 0;
        options.branches = options.loops = options.returns = false;
        try_seed(100000 + seed, options, 0);
    }
}
