#include "runtime/process.h"

#include <kiln/warm_up.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace kiln {

struct WarmUp::State {
    explicit State(std::vector<Wanted> kernels) : wanted(std::move(kernels)) {}
    ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void start(std::size_t count);
    void work();
    void join();

    const std::vector<Wanted> wanted;
    std::atomic<std::size_t> next{0}, done{0};
    detail::Mutex mutex;  // of what follows
    std::exception_ptr error;
    std::vector<std::thread> threads;
    const std::uint64_t generation = detail::fork_generation();
};

void WarmUp::State::work() {
    for (std::size_t i; (i = next++) < wanted.size(); ++done) {
        try {
            wanted[i].compile();
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (error == nullptr) error = std::current_exception();
        }
    }
}

/// They take no signals that are sent: those are for the threads of the program.
void WarmUp::State::start(std::size_t count) {
    sigset_t sent, before;
    sigfillset(&sent);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS})
        sigdelset(&sent, fault);
    pthread_sigmask(SIG_SETMASK, &sent, &before);
    try {
        while (threads.size() < count) threads.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
        // The system has no more threads: wait() does what these do not.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void WarmUp::State::join() {
    // A forked child has none of them, and cannot wait for any.
    const bool are_here = detail::fork_generation() == generation;
    for (std::thread& thread : threads) are_here ? thread.join() : thread.detach();
    threads.clear();
}

WarmUp::State::~State() {
    next = wanted.size();
    join();
}

WarmUp::WarmUp(Shared<State> state) : state_(std::move(state)) {}
WarmUp::WarmUp(WarmUp&&) noexcept = default;
WarmUp& WarmUp::operator=(WarmUp&&) noexcept = default;
WarmUp::~WarmUp() = default;

bool WarmUp::is_done() const { return state_->done >= state_->wanted.size(); }

void WarmUp::wait() {
    // What threads that are not here had begun.
    if (detail::fork_generation() != state_->generation) state_->next = state_->done = 0;
    state_->work();
    state_->join();
    if (state_->error != nullptr) std::rethrow_exception(state_->error);
}

WarmUp warm_up(std::vector<Wanted> kernels, int threads) {
    auto state = share<WarmUp::State>(std::move(kernels));
    const auto most = static_cast<std::size_t>(std::max(threads, 0));
    state->start(std::min(most, state->wanted.size()));
    return WarmUp(std::move(state));
}

}  // namespace kiln
