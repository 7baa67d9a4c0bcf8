// The main function of kiln_tests, for Catch2 v2 and v3.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

#include "jit/compile/compile.h"

int main(int argc, char** argv) {
    kiln::engine::verify_passes = true;
    return Catch::Session().run(argc, argv);
}
