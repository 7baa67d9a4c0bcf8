// A fuzzer: inputs made from seeds by chance, each of which a target takes or refuses by a kiln::Error. What
// crashes, hangs or throws anything else is written to a file that reproduces it.
//
//     PROGRAM TARGET|all [--inputs N] [--seconds S] [--seed X]
//     PROGRAM TARGET --file INPUT
//     PROGRAM targets
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kiln::test {

struct FuzzTarget {
    std::string name;
    std::vector<std::string> seeds;
    /// Throws kiln::Error for what it refuses. Whatever else it throws is a finding.
    std::function<void(const std::string& input)> run;
    bool is_cpp = false;  ///< most changes leave C++ text C++ (cpp_mutator.h)
};

/// The main function of a fuzzer: 0 where nothing was found.
int fuzz(int argc, char** argv, const std::vector<FuzzTarget>& targets);

}  // namespace kiln::test
