// C++ that is typed: what the tool knows of Clang. libkiln_interpreter holds it, and is opened where
// C++ is first needed: neither libkiln nor the rest of the tool has Clang in it.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kiln::text {

/// C++20 with kiln included and its names visible, an input at a time, in this process.
///
/// LLVM 19's interpreter does not survive all that it refuses: after an input that was not run to
/// its end, the state of this process is of no more use. Sessions go back to a copy of the process
/// from before the input (Checkpoint).
class Interpreter {
  public:
    struct Options {
        std::vector<std::string> include_folders;  ///< of kiln/interactive.h and what it includes
        std::string header;    ///< where its precompiled form is kept; empty: it is read each time
        bool colours = false;  ///< in diagnostics
        /// Called for each error of Clang's, after which the interpreter may die at any time.
        std::function<void()> on_error = {};
    };
    virtual ~Interpreter() = default;

    /// Reads and runs one whole input. False: Clang refused it, and has said why on stderr. What
    /// the input throws passes through.
    virtual bool run(const std::string& code) = 0;
    /// The names that may stand at the end of `text`, without what is there of them already.
    virtual std::vector<std::string> complete(const std::string& text) = 0;
    /// The names of variables that inputs have declared outside of functions, the last ones first.
    virtual std::vector<std::string> variables() = 0;

    /// A function that inputs declared.
    struct FunctionText {
        std::string name;      ///< as people know it: half<double>
        std::string function;  ///< what it is called in the code
        std::string input;     ///< "[3]": where it stands
        std::string code;      ///< with all that it uses, at their lines
    };
    /// That at an address; nothing: no input declared it, or it is static.
    virtual std::optional<FunctionText> function_at(std::uintptr_t address) = 0;
};

/// What functions are called, with a number behind, whose one statement declares nothing: inputs that begin with one
/// are left out of what completion reads.
inline constexpr const char* statement_name = "kiln_statement_";

/// Lines from a terminal, with editing and a history.
class Terminal {
  public:
    /// Names that may stand at the end of a text, without what is there of them already.
    using Complete = std::function<std::vector<std::string>(const std::string& text)>;
    enum class Read : std::uint8_t { line, interrupted, end };
    virtual ~Terminal() = default;
    virtual Read read(const std::string& prompt, std::string& line) = 0;
};

/// extern "C" kiln_make_interpreter of the library. Errors: io (no headers, no precompiled header).
using MakeInterpreter = Interpreter* (*)(const Interpreter::Options&);
/// extern "C" kiln_make_terminal. The history is kept in a file, or, without a name, as long as the terminal.
using MakeTerminal = Terminal* (*)(const std::string& history, const Terminal::Complete&);

}  // namespace kiln::text
