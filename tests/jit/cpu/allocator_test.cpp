// Registers of long bodies.
#include "tests/jit/support.h"

#include <sstream>

using namespace kiln;

namespace {

/// Instructions that have a vector on the stack.
int on_stack(const std::string& code) {
    int count = 0;
    std::istringstream lines(code);
    for (std::string line; std::getline(lines, line);)
        if (line.find("zmm") != std::string::npos &&
            (line.find("(%rsp)") != std::string::npos || line.find("(%rbp)") != std::string::npos))
            ++count;
    return count;
}

std::string black_scholes(DType type) {
    const auto f = vectorize(
        [](Value spot, Value strike, Value time) {
            const auto cdf = [](const Value& d) { return 0.5 + 0.5 * erf(d * 0.7071067811865476); };
            const Value sd = 0.3 * sqrt(time);
            const Value d1 = (log(spot / strike) + 0.065 * time) / sd;
            return spot * cdf(d1) - strike * exp(-0.02 * time) * cdf(d1 - sd);
        },
        {.fastmath = true});
    const ArgType array{type, 1};
    return f.inspect(Artifact::assembly, {array, array, array});
}

}  // namespace

// The basic allocator has 30 and 29, the greedy one 4 and 14.
TEST_CASE("bodies of which some peaks exceed the registers spill little", "[jit][cpu]") {
    const std::string single = black_scholes(DType::f32), real = black_scholes(DType::f64);
    if (single.find("zmm") == std::string::npos) {
        WARN("skipped: long bodies are those of machines with 32 vector registers");
        return;
    }
    CHECK(on_stack(single) <= 10);
    CHECK(on_stack(real) <= 20);
}
