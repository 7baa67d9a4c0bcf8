// The main function of kiln_tests, for Catch2 v2 and v3.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

#include "jit/compile/compile.h"

#include <cstdlib>

int main(int argc, char** argv) {
    kiln::engine::verify_passes = true;
    // Tests count compiles: none is saved by an earlier run.
    setenv("KILN_CACHE", "off", 0);
    return Catch::Session().run(argc, argv);
}
