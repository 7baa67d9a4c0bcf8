// Random loop kernels, serial and on several threads, against the interpreter of the IR.
#include "tests/catch.h"
#include "tests/jit/loops/random_program.h"

#include <cstdio>
#include <cstdlib>

TEST_CASE("random loop kernels agree with the interpreter", "[jit][program][random]") {
    // KILN_RANDOM_PROGRAMS=first:count runs others; a failure prints its seed.
    std::uint64_t first = 1, count = 40;
    if (const char* range = std::getenv("KILN_RANDOM_PROGRAMS"); range != nullptr)
        std::sscanf(range, "%lu:%lu", &first, &count);
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const std::string found = kiln::test::try_random_program(seed);
        INFO(found);
        REQUIRE(found.empty());
    }
}
