// The main function of kiln_tests, for Catch2 v2 and v3.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

#include "jit/compile/compile.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

/// Whether libkiln was loaded from this folder.
bool runs_on(const std::string& folder) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find(folder + "/libkiln.so") != std::string::npos) return true;
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    if (const char* folder = std::getenv("KILN_TESTED_LIBRARIES"); folder && !runs_on(folder)) {
        std::fprintf(stderr, "kiln_tests does not run on the libraries in %s\n", folder);
        return 2;
    }
    kiln::engine::verify_passes = true;
    // Tests count compiles: none is saved by an earlier run.
    setenv("KILN_CACHE", "off", 0);
    return Catch::Session().run(argc, argv);
}
