// C++ that is typed: what the tool knows of Clang. libkiln_interpreter holds it, and is opened where
// C++ is first needed: neither libkiln nor the rest of the tool has Clang in it.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::tool {

/// C++20 with kiln included and its names visible, an input at a time, in this process.
///
/// LLVM 19's interpreter does not survive all that it refuses: after an input that was not run to
/// its end, the state of this process is of no more use. Sessions go back to a copy of the process
/// from before the input (Checkpoint).
class Interpreter {
  public:
    struct Options {
        std::string include_folder;  ///< where kiln/kiln.h is
        std::string cache_folder;    ///< keeps the precompiled header; empty: it is read each time
        std::string fingerprint;     ///< of the build that the header belongs to
        bool colours = false;        ///< in diagnostics
    };
    virtual ~Interpreter() = default;

    /// Reads and runs one whole input. False: Clang refused it, and has said why on stderr. What
    /// the input throws passes through.
    virtual bool run(const std::string& code) = 0;
    /// The names that may stand at the end of `text`, without what is there of them already.
    virtual std::vector<std::string> complete(const std::string& text) = 0;
};

/// extern "C" kiln_make_interpreter of the library. Errors: io (no headers, no precompiled header).
using MakeInterpreter = Interpreter* (*)(const Interpreter::Options&);

}  // namespace kiln::tool
