#include "jit/session/checkpoint.h"

#include <kiln/error.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <utility>

#include <fmt/format.h>

namespace kiln::tool {

namespace {

/// The status of a process whose input failed by itself: no program that ends by exit has it often.
constexpr int failed_status = 213;

[[noreturn]] void refuse(const char* what) {
    throw Error(ErrorKind::io, fmt::format("{}: {}", what, std::strerror(errno)));
}

void on_terminal_signals(void (*handler)(int)) {
    std::signal(SIGINT, handler);
    std::signal(SIGQUIT, handler);
}

/// Signals from the terminal are not this process's while this lives.
class NoTerminalSignals {
  public:
    NoTerminalSignals()
        : interrupt_(std::signal(SIGINT, SIG_IGN)), quit_(std::signal(SIGQUIT, SIG_IGN)) {}
    ~NoTerminalSignals() {
        std::signal(SIGINT, interrupt_);
        std::signal(SIGQUIT, quit_);
    }
    NoTerminalSignals(const NoTerminalSignals&) = delete;
    NoTerminalSignals& operator=(const NoTerminalSignals&) = delete;

  private:
    void (*interrupt_)(int);
    void (*quit_)(int);
};

}  // namespace

struct Checkpoints::Shared {
    std::atomic<pid_t> session, copy;
    std::atomic<int> status;
    std::atomic<bool> failed;
};

/// Waits for all processes of the session; the process's status when it ends.
static int supervise(std::atomic<pid_t>& session, std::atomic<pid_t>& copy,
                     std::atomic<int>& ended_with, int wake) {
    on_terminal_signals(SIG_IGN);
    for (;;) {
        int status = 0;
        const pid_t ended = waitpid(-1, &status, 0);
        if (ended < 0 && errno == EINTR) continue;
        if (ended < 0) return 1;
        if (ended != session) continue;  // some process that the session left
        const pid_t next = copy.exchange(0);
        const bool by_itself = WIFEXITED(status) && WEXITSTATUS(status) != failed_status;
        if (by_itself || next == 0) {
            if (next != 0) kill(next, SIGKILL);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        ended_with = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        session = next;
        while (write(wake, "", 1) < 0 && errno == EINTR) {
        }
    }
}

Checkpoints::Checkpoints(bool copies) {
    if (!copies) return;
    int ends[2];
    if (pipe(ends) != 0) refuse("no pipe can be made");
    void* const place =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) refuse("no memory can be shared");
    shared_ = new (place) Shared{};
    wake_ = ends[0];
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t session = fork();
    if (session < 0) refuse("no process can be made");
    if (session == 0) {
        shared_->session = getpid();
        close(ends[1]);
        prctl(PR_SET_PDEATHSIG, SIGHUP);
        rlimit dumps{};  // what is typed leaves none
        getrlimit(RLIMIT_CORE, &dumps);
        dumps_ = std::exchange(dumps.rlim_cur, 0);
        setrlimit(RLIMIT_CORE, &dumps);
        return;
    }
    shared_->session = session;
    close(ends[0]);
    _exit(supervise(shared_->session, shared_->copy, shared_->status, ends[1]));
}

Checkpoints::~Checkpoints() {
    if (shared_ == nullptr) return;
    rlimit dumps{};
    getrlimit(RLIMIT_CORE, &dumps);
    dumps.rlim_cur = dumps_;
    setrlimit(RLIMIT_CORE, &dumps);
    close(wake_);
}

Checkpoints::Outcome Checkpoints::attempt(FunctionRef<bool()> input) {
    std::cout.flush();
    std::fflush(nullptr);
    if (shared_ == nullptr) return {input(), 0};
    const pid_t copy = fork();
    if (copy < 0) refuse("no copy of the session can be made");
    if (copy == 0) {
        const NoTerminalSignals waiting;
        char woken = 0;
        ssize_t got = 0;
        while ((got = read(wake_, &woken, 1)) < 0 && errno == EINTR) {
        }
        if (got != 1) _exit(1);  // nobody supervises any more
        prctl(PR_SET_PDEATHSIG, SIGHUP);
        return {false, shared_->failed ? 0 : shared_->status.load()};
    }
    shared_->failed = false;
    shared_->copy = copy;
    const bool good = input();
    std::cout.flush();
    std::fflush(nullptr);
    if (!good) _exit(failed_status);
    shared_->copy = 0;
    kill(copy, SIGKILL);
    while (waitpid(copy, nullptr, 0) < 0 && errno == EINTR) {
    }
    return {true, 0};
}

void Checkpoints::input_failed() {
    if (shared_ != nullptr) shared_->failed = true;
}

std::string signal_text(int signal) {
    const char* const name = sigabbrev_np(signal);
    std::string_view what;
    switch (signal) {
        case SIGSEGV: what = "memory that is not there, or too deep a recursion"; break;
        case SIGFPE: what = "an integer division by zero, or one that overflows"; break;
        case SIGABRT: what = "abort"; break;
        case SIGILL: what = "no instruction: the end of a function without return, say"; break;
        case SIGBUS: what = "memory that a file no longer has"; break;
        case SIGKILL: what = "killed; out of memory?"; break;
        default: break;
    }
    const std::string id = name == nullptr ? std::to_string(signal) : fmt::format("SIG{}", name);
    return what.empty() ? id : fmt::format("{} ({})", id, what);
}

}  // namespace kiln::tool
