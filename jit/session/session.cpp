#include "jit/session/session.h"

#include "jit/compile/target.h"
#include "jit/session/commands.h"
#include "jit/session/input.h"
#include "jit/session/libraries.h"
#include "jit/session/plugin.h"

#include <kiln/disk_cache.h>
#include <kiln/error.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

namespace fs = std::filesystem;

/// Those of an installed kiln beside its library, else those that this one was built from.
std::vector<std::string> include_folders() {
    const std::string installed = library_folder() + "../include";
    if (fs::exists(installed + "/kiln/interactive.h")) return {installed};
    std::vector<std::string> folders;
    std::istringstream all(KILN_SOURCE_INCLUDES);
    for (std::string folder; std::getline(all, folder, ':');) folders.push_back(folder);
    return folders;
}

/// Whether nobody else can put a file there.
bool is_own(const std::string& folder) {
    struct stat status{};
    return stat(folder.c_str(), &status) == 0 && status.st_uid == geteuid() &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// Where the precompiled header of these folders is kept; empty: nowhere.
std::string header_file(const std::vector<std::string>& folders) {
    const std::string cache = disk_cache_info().folder;
    if (cache.empty()) return {};
    std::error_code error;
    if (!fs::exists(cache) && fs::create_directories(cache, error))
        fs::permissions(cache, fs::perms::owner_all, error);
    if (!is_own(cache)) return {};
    const std::size_t place = std::hash<std::string>()(fmt::format("{}", fmt::join(folders, ":")));
    return fmt::format("{}/session-{}-{:016x}.pch", cache, engine::build_fingerprint, place);
}

bool wants_colours(int stream) {
    const char* const none = std::getenv("NO_COLOR");
    return isatty(stream) != 0 && (none == nullptr || *none == '\0');
}

std::string history_file() {
    const auto variable = [](const char* name) {
        const char* const value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    if (const std::string given = variable("KILN_HISTORY"); !given.empty()) return given;
    const std::string state = variable("XDG_STATE_HOME"), home = variable("HOME");
    if (state.empty() && home.empty()) return {};
    const std::string folder = (state.empty() ? home + "/.local/state" : state) + "/kiln";
    std::error_code error;
    fs::create_directories(folder, error);
    return error ? "" : folder + "/history";
}

/// The rest of those that begin so.
std::vector<std::string> with_prefix(const std::vector<std::string>& all,
                                     const std::string& prefix) {
    std::vector<std::string> rest;
    for (const std::string& one : all)
        if (one.starts_with(prefix)) rest.push_back(one.substr(prefix.size()));
    return rest;
}

/// Files whose path begins so; folders end with '/'.
std::vector<std::string> complete_file(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        names.push_back(at->path().filename().string() + (at->is_directory(error) ? "/" : ""));
    std::ranges::sort(names);
    return with_prefix(names, slash == std::string::npos ? path : path.substr(slash + 1));
}

/// What a session does with an exception that left a destructor, or a function that is noexcept.
[[noreturn]] void on_terminate() {
    fmt::print(stderr, "error: std::terminate was called\n");
    std::abort();
}

}  // namespace

Session::Session(const SessionOptions& options)
    : options_(options), checkpoints_(options.copies), on_terminate_before_(std::get_terminate()) {
    const OpenLibrary library("libkiln_interpreter.so", "the REPL needs Clang's interpreter");
    make_terminal_ = library.function<text::MakeTerminal>("kiln_make_terminal");
    text::Interpreter::Options how{.include_folders = include_folders(), .header = {}};
    how.header = header_file(how.include_folders);
    how.colours = wants_colours(STDERR_FILENO);
    how.on_error = [this] { checkpoints_.input_failed(); };
    interpreter_.reset(library.function<text::MakeInterpreter>("kiln_make_interpreter")(how));
    kernels_.emplace(*interpreter_);
    inputs_.emplace_back();
    std::set_terminate(on_terminate);
}

Session::~Session() {
    interpreter_.reset();
    std::cout.flush();
    std::fflush(nullptr);
    std::set_terminate(on_terminate_before_);
}

void Session::name(const std::vector<Named>& objects) {
    for (const Named& object : objects) {
        const std::string code =
            fmt::format("{0}& {1} = *reinterpret_cast<{0}*>(0x{2:x}ULL);", object.type(),
                        object.name(), reinterpret_cast<std::uintptr_t>(object.address()));
        if (!run_code(code))
            throw Error(ErrorKind::usage, fmt::format("'{}' cannot be a {} in a session",
                                                      object.name(), object.type()));
        names_.push_back(object.name());
    }
}

void Session::open_plugin(const std::string& path) {
    const std::vector<Named> all = load_plugin(path);
    name(all);
}

// ------------------------------------------------------------------------------ what is typed

void Session::show_line(const std::string& file, unsigned line) const {
    if (file.size() < 3 || file.front() != '[') return;
    const auto number = static_cast<std::size_t>(std::atol(file.c_str() + 1));
    if (number == 0 || number >= inputs_.size()) return;
    std::istringstream lines(inputs_[number].text);
    std::string text;
    while (line > 0 && std::getline(lines, text)) --line;
    if (line == 0) fmt::print(stderr, "    {}\n", trimmed(text));
}

void Session::report(const std::exception_ptr& thrown) const {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        if (error.message().find('\n') == std::string::npos)  // else it has the line, with a caret
            show_line(error.file(), error.line());
    } catch (const std::exception& error) {
        fmt::print(stderr, "error: an exception was not caught: {}\n", error.what());
    } catch (...) {
        fmt::print(stderr, "error: an exception was not caught\n");
    }
}

bool Session::run_cpp(const std::string& code) {
    try {
        return interpreter_->run(code);
    } catch (...) {
        report(std::current_exception());
        return false;
    }
}

bool Session::attempt(FunctionRef<bool()> what) {
    const Checkpoints::Outcome outcome = checkpoints_.attempt(what);
    if (outcome.signal == SIGINT)
        fmt::print(stderr, "\ninterrupted; the session is what it was before\n");
    else if (outcome.signal != 0)
        fmt::print(stderr, "error: stopped by {}; the session is what it was before\n",
                   signal_text(outcome.signal));
    return outcome.is_kept;
}

bool Session::run_code(const std::string& code) {
    return attempt([&] { return run_cpp(code); });
}

std::string Session::in_function(const std::string& code) {
    const std::string name = fmt::format("{}{}", text::statement_name, ++statements_);
    return fmt::format("void {}() {{\n{}\n}}\n{}();\n", name, code, name);
}

bool Session::run_statement(const std::string& code) { return run_code(in_function(code)); }

bool Session::run_paged(const std::string& statement) {
    const std::string code = in_function(statement);
    if (isatty(STDOUT_FILENO) == 0) return run_code(code);
    return attempt([&] {
        const char* const chosen = std::getenv("PAGER");
        // Of less: what fits on a screen goes there.
        FILE* const pager = popen(chosen != nullptr && *chosen != '\0' ? chosen : "less -FRX", "w");
        if (pager == nullptr) return run_cpp(code);
        const int terminal = dup(STDOUT_FILENO);
        dup2(fileno(pager), STDOUT_FILENO);
        const bool good = run_cpp(code);
        std::fflush(stdout);
        dup2(terminal, STDOUT_FILENO);
        close(terminal);
        pclose(pager);
        return good;
    });
}

bool Session::evaluate(const std::string& text) {
    const std::string_view inner = trimmed(text);
    if (inner.empty()) return true;
    if (is_command(inner)) return run_command(*this, inner.substr(1));
    inputs_.push_back({text});
    const std::size_t number = inputs_.size() - 1;
    const std::string file = fmt::format("[{}]", number);
    return inputs_[number].is_kept =
               is_expression(text)
                   ? run_statement(
                         fmt::format("::kiln::interactive::show , (\n#line 1 \"{}\"\n{}\n);", file,
                                     expression_of(text)))
                   : run_code(code_of(text, file, fmt::format("kiln_input_{}", number)));
}

bool Session::has_colours() const { return wants_colours(STDOUT_FILENO); }

std::string Session::transcript() const {
    std::string text;
    for (const Input& input : inputs_)
        if (input.is_kept) text += input.text + "\n";
    return text;
}

// ------------------------------------------------------------------------------ where from

bool Session::run_text(const std::string& text) {
    std::istringstream lines(text);
    std::string input;
    bool good = true;
    const auto run = [&] {
        good = evaluate(std::exchange(input, {})) && good;
        return good || options_.goes_on;
    };
    for (std::string line; !leaving_ && std::getline(lines, line);) {
        const bool whole = input.empty() && is_command(line);
        input += (input.empty() ? "" : "\n") + line;
        if (!whole && is_open(input + "\n")) continue;
        if (!run()) return false;
    }
    if (!leaving_ && !trimmed(input).empty()) run();
    return good;
}

bool Session::run_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw Error(ErrorKind::io, path + " cannot be read: " + std::strerror(errno));
    return run_text(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::vector<std::string> Session::complete(const std::string& text) {
    if (const std::size_t quote = open_quote(text); quote != std::string::npos)
        return complete_file(text.substr(quote + 1));
    if (!is_command(text)) return interpreter_->complete(text);
    const std::size_t blank = text.find(' ');
    if (blank == std::string::npos) return complete_command(text.substr(1));
    const std::string last = text.substr(text.rfind(' ') + 1);
    if (takes_a_file(text.substr(1, blank - 1))) return complete_file(last);
    return with_prefix(interpreter_->variables(), last);
}

void Session::converse() {
    std::string input;  // the lines before, where a bracket is open
    const std::unique_ptr<text::Terminal> terminal(
        make_terminal_(history_file(), [&](const std::string& text) {
            return complete(input.empty() ? text : input + "\n" + text);
        }));
    fmt::print("kiln {}: C++20 with kiln included. :help tells what there is, Ctrl-D leaves.\n",
               KILN_VERSION);
    if (!names_.empty()) fmt::print("There are {}.\n", fmt::join(names_, ", "));
    while (!leaving_) {
        std::string line;
        const text::Terminal::Read read = terminal->read(input.empty() ? "kiln> " : "  ... ", line);
        if (read == text::Terminal::Read::end) break;
        if (read == text::Terminal::Read::interrupted) {
            input.clear();
            continue;
        }
        const bool whole = input.empty() && is_command(line);
        input += (input.empty() ? "" : "\n") + line;
        if (!whole && is_open(input + "\n")) continue;
        evaluate(std::exchange(input, {}));
    }
    std::fputs("\n", stdout);
}

bool Session::run_input() {
    if (isatty(STDIN_FILENO) == 0)
        return run_text(std::string(std::istreambuf_iterator<char>(std::cin), {}));
    converse();
    return true;
}

void Session::leave(int status) {
    interpreter_.reset();
    std::cout.flush();
    std::fflush(nullptr);
    _exit(status);  // what else there is was never meant to be destroyed with code gone
}

}  // namespace kiln::tool
