// Editing of lines: LLVM's, which is libedit where it was built with that.
#include "dsl/text/interpreter/interpreter.h"

#include <sys/time.h>

#include <csignal>
#include <cstdio>

#include <llvm/LineEditor/LineEditor.h>

namespace kiln::text {
namespace {

volatile std::sig_atomic_t interrupted = 0;

/// Ticks until it is set to 0. libedit begins to read again after one signal, and does not see one
/// that comes before it reads; it gives up after the second in a row.
void tick(suseconds_t microseconds) {
    const itimerval often{{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &often, nullptr);
}

/// What a signal does while this lives. Reading ends with it: no SA_RESTART.
class Handler {
  public:
    Handler(int signal, void (*handler)(int)) : signal_(signal) {
        struct sigaction mine{};
        mine.sa_handler = handler;
        sigaction(signal, &mine, &before_);
    }
    ~Handler() { sigaction(signal_, &before_, nullptr); }
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

  private:
    int signal_;
    struct sigaction before_{};
};

class EditedTerminal final : public Terminal {
  public:
    EditedTerminal(const std::string& history, Complete complete)
        : editor_("kiln", history), complete_(std::move(complete)) {
        editor_.setListCompleter([this](llvm::StringRef line, std::size_t at) {
            std::vector<llvm::LineEditor::Completion> all;
            const std::string before = line.substr(0, at).str();
            const std::string word = word_of(before);
            for (const std::string& rest : complete_(before)) all.emplace_back(rest, word + rest);
            return all;
        });
    }

    Read read(const std::string& prompt, std::string& line) override {
        editor_.setPrompt(prompt);
        interrupted = 0;
        std::optional<std::string> text;
        {
            const Handler ticks(SIGALRM, [](int) {});
            const Handler dropped(SIGINT, [](int) {
                interrupted = 1;
                tick(10'000);
            });
            text = editor_.readLine();
            tick(0);
        }
        if (interrupted != 0) {
            std::fputs("\n", stdout);
            return Read::interrupted;
        }
        if (!text) return Read::end;
        if (!text->empty()) editor_.saveHistory();
        line = *text;
        return Read::line;
    }

  private:
    static std::string word_of(const std::string& text) {
        const auto is_part = [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == ':';
        };
        std::size_t begin = text.size();
        while (begin > 0 && is_part(text[begin - 1])) --begin;
        return text.substr(begin);
    }

    llvm::LineEditor editor_;
    Complete complete_;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) Terminal* kiln_make_terminal(
    const std::string& history, const Terminal::Complete& complete) {
    return new EditedTerminal(history, complete);
}

}  // namespace kiln::text
