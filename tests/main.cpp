// The main function of kiln_tests, for Catch2 v2 and v3.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

#include "jit/compile/compile.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

/// Whether the unit that KILN_CPU_ISA names is what kiln would take on this machine without it.
bool is_own_isa() {
    const char* const isa = std::getenv("KILN_CPU_ISA");
    return isa != nullptr && std::string_view(isa) == "avx2" &&
           !__builtin_cpu_supports("x86-64-v4");
}

}  // namespace

int main(int argc, char** argv) {
    kiln::engine::verify_passes = true;
    // Tests count compiles: none is saved by an earlier run.
    setenv("KILN_CACHE", "off", 0);
    if (std::getenv("KILN_TESTS_OF_OTHER_ISA") != nullptr && is_own_isa()) {
        std::puts("skipped: this is the machine's own vector unit, of which the other tests are");
        return 77;
    }
    return Catch::Session().run(argc, argv);
}
