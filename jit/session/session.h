// A session: inputs, one after the other, each C++ or a command.
#pragma once
#include "dsl/text/interpreter/interpreter.h"
#include "jit/session/checkpoint.h"
#include "jit/session/function_kernels.h"

#include <kiln/named.h>

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::tool {

/// What a session is made with.
struct SessionOptions {
    bool goes_on = false;  ///< after errors, where it runs a file
    bool copies = true;    ///< of the process, so that what fails leaves it as it was (Checkpoints)
};

class Session {
  public:
    /// Errors: unsupported (built without Clang), io.
    explicit Session(const SessionOptions& options);
    /// Destroys what was typed, while its code is there.
    ~Session();

    /// Objects of this process under their names. Errors: usage (a type that the session's headers do
    /// not have, a name that is taken).
    void name(const std::vector<Named>& objects);
    /// The names that a shared library exports. Errors: io, usage (it exports none).
    void open_plugin(const std::string& path);

    /// Lines from a terminal, until Ctrl-D or :quit.
    void converse();
    /// The same, or where the standard input is no terminal, its inputs, up to the first error. False:
    /// one failed.
    bool run_input();
    /// The inputs of a text; false at the first error, unless it goes on after errors.
    bool run_text(const std::string& text);
    /// The inputs of a file. Errors: io.
    bool run_file(const std::string& path);
    /// Ends the process, with destructors of what was typed in order.
    [[noreturn]] void leave(int status);

    // What commands need.
    /// Runs C++ that no input is: what commands come to. False: it failed, and has said so.
    bool run_code(const std::string& code);
    /// The same with a statement, which may have lambdas.
    bool run_statement(const std::string& code);
    /// The same with its output in a pager, on a terminal.
    bool run_paged(const std::string& statement);
    /// Whether what is printed is for eyes that want colours.
    bool has_colours() const;
    /// The inputs that ended well.
    std::string transcript() const;
    void quit() { leaving_ = true; }

  private:
    enum class Kind : std::uint8_t { input, code };
    bool attempt(FunctionRef<bool()> what);
    /// False: it failed.
    bool evaluate(const std::string& text);
    bool run_cpp(const std::string& code);
    /// A statement as a function, and a call of that: Clang 19 does not survive lambdas in others.
    std::string in_function(const std::string& code);
    void report(const std::exception_ptr& thrown) const;
    void show_line(const std::string& file, unsigned line) const;
    std::vector<std::string> complete(const std::string& text);

    struct Input {
        std::string text;
        bool is_kept = false;
    };

    const SessionOptions options_;
    Checkpoints checkpoints_;
    std::unique_ptr<text::Interpreter> interpreter_;
    std::optional<FunctionKernels> kernels_;
    text::MakeTerminal make_terminal_ = nullptr;
    std::vector<Input> inputs_;       // [1] is the first
    std::vector<std::string> names_;  // of objects that were given
    std::terminate_handler on_terminate_before_;
    bool leaving_ = false;
    unsigned statements_ = 0;  // that were put into functions
};

}  // namespace kiln::tool
