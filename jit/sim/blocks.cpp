#include "jit/sim/blocks.h"

#include "jit/sim/language.h"
#include "runtime/process.h"

#include <mutex>

extern "C" {
kiln_sim_dim kiln_sim_thread{0, 0, 0}, kiln_sim_block{0, 0, 0}, kiln_sim_threads{1, 1, 1},
    kiln_sim_blocks{1, 1, 1};

// Keeps what a function must keep, on the stack that it leaves, and goes on where another one was left.
void kiln_sim_switch(void** left, void* entered);
}

__asm__(R"(
    .text
    .hidden kiln_sim_switch
    .globl kiln_sim_switch
    .type kiln_sim_switch, @function
kiln_sim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size kiln_sim_switch, .-kiln_sim_switch
)");

namespace kiln::sim {
namespace {

constexpr std::size_t stack_bytes = 128 * 1024;

constexpr unsigned warp_size = 32;

struct Fiber {
    enum class State : std::uint8_t { ready, at_barrier, in_warp, ended };
    std::vector<char> stack;
    void* at = nullptr;  // where it was left
    State state = State::ended;
    Line barrier;            // of the block, or of the warp
    std::uint32_t mask = 0;  // of the lanes that it waits for
    std::uint64_t given = 0;
};

struct Running {
    const Launch* launch = nullptr;
    std::vector<Fiber> fibers;
    unsigned current = 0;
    void* scheduler = nullptr;
    Finding finding;
    bool stopped = false;
};
Running now;

/// Held by the launch that runs; no forked child finds it so.
kiln::detail::Mutex& one_launch() {
    static constinit kiln::detail::Lazy<kiln::detail::Mutex> made;
    return made.get([] { return std::make_unique<kiln::detail::Mutex>(); });
}

void leave() { kiln_sim_switch(&now.fibers[now.current].at, now.scheduler); }

void enter() {
    now.launch->function(now.launch->parameters);
    now.fibers[now.current].state = Fiber::State::ended;
    leave();
}

/// A stack on which kiln_sim_switch finds a function that has not begun.
void prepare(Fiber& f) {
    f.stack.resize(stack_bytes);
    auto top = reinterpret_cast<std::uintptr_t>(f.stack.data() + stack_bytes) & ~std::uintptr_t(15);
    auto* words = reinterpret_cast<std::uintptr_t*>(top);
    *--words = 0;  // where enter() would return to
    *--words = reinterpret_cast<std::uintptr_t>(&enter);
    for (int saved = 0; saved < 6; ++saved) *--words = 0;
    f.at = words;
    f.state = Fiber::State::ready;
}

bool wait_together(const Fiber& a, const Fiber& b) {
    return a.state == b.state && a.barrier.line == b.barrier.line;
}

/// The first thread that waits, and the first of those that it waits for which is elsewhere.
void report_barriers() {
    const auto& fibers = now.fibers;
    unsigned waits = 0;
    const auto is_stuck = [&](unsigned t) {
        const Fiber& f = fibers[t];
        return f.state == Fiber::State::at_barrier || f.state == Fiber::State::in_warp;
    };
    while (!is_stuck(waits)) ++waits;
    const Fiber& first = fibers[waits];
    const bool in_warp = first.state == Fiber::State::in_warp;
    unsigned other = 0;
    for (unsigned t = 0; t < fibers.size(); ++t) {
        const bool awaited = !in_warp || (t / warp_size == waits / warp_size &&
                                          (first.mask >> t % warp_size & 1) != 0);
        if (!awaited || wait_together(first, fibers[t])) continue;
        other = t;
        break;
    }
    const unsigned block = kiln_sim_block.x;
    std::string text = in_warp ? "a warp whose lanes diverge: " : "a divergent barrier: ";
    text += thread_name(block, waits) + " waits at line " + std::to_string(first.barrier.line) +
            ", " + thread_name(block, other);
    text += fibers[other].state == Fiber::State::ended
                ? " has ended"
                : " at line " + std::to_string(fibers[other].barrier.line);
    now.finding = {std::move(text), first.barrier};
    now.stopped = true;
}

/// Lets the threads of warps go on whose lanes are all there; whether there were any.
bool release_warps() {
    bool any = false;
    for (unsigned t = 0; t < now.fibers.size(); ++t) {
        Fiber& f = now.fibers[t];
        if (f.state != Fiber::State::in_warp) continue;
        const unsigned first = t / warp_size * warp_size;
        bool all = true;
        for (unsigned lane = 0; lane < warp_size; ++lane) {
            if ((f.mask >> lane & 1) == 0) continue;
            all = all && first + lane < now.fibers.size() &&
                  wait_together(f, now.fibers[first + lane]) &&
                  now.fibers[first + lane].mask == f.mask;
        }
        if (!all) continue;
        any = true;
        if (now.launch->watch != nullptr) now.launch->watch->begin_warp_phase(t / warp_size);
        for (unsigned lane = 0; lane < warp_size; ++lane)
            if ((f.mask >> lane & 1) != 0) now.fibers[first + lane].state = Fiber::State::ready;
    }
    return any;
}

/// Until all threads of the block have ended, or something is wrong.
void run_block() {
    const auto threads = static_cast<unsigned>(now.fibers.size());
    for (Fiber& f : now.fibers) prepare(f);
    if (now.launch->watch != nullptr) now.launch->watch->begin_block();
    for (;;) {
        unsigned waiting = 0, ended = 0;
        for (unsigned k = 0; k < threads; ++k) {
            const unsigned t = now.launch->backwards ? threads - 1 - k : k;
            Fiber& f = now.fibers[t];
            if (f.state == Fiber::State::ready) {
                now.current = t;
                kiln_sim_thread.x = t;
                kiln_sim_switch(&now.scheduler, f.at);
                if (now.stopped) return;
            }
            waiting += f.state == Fiber::State::at_barrier ? 1 : 0;
            ended += f.state == Fiber::State::ended ? 1 : 0;
        }
        if (ended == threads) return;
        if (release_warps()) continue;
        bool together = waiting == threads;
        for (const Fiber& f : now.fibers) together = together && wait_together(f, now.fibers[0]);
        if (!together) return report_barriers();
        for (Fiber& f : now.fibers) f.state = Fiber::State::ready;
        if (now.launch->watch != nullptr) now.launch->watch->begin_phase();
    }
}

}  // namespace

bool is_on_stack(std::uintptr_t at) {
    const std::vector<char>& stack = now.fibers[now.current].stack;
    return at - reinterpret_cast<std::uintptr_t>(stack.data()) < stack.size();
}

std::string thread_name(unsigned block, unsigned thread) {
    return "thread " + std::to_string(thread) + " of block " + std::to_string(block);
}

bool run(const Launch& launch, Finding& finding) {
    const std::lock_guard lock(one_launch());
    now.launch = &launch;
    now.stopped = false;
    now.fibers.resize(launch.threads);
    kiln_sim_threads = {launch.threads, 1, 1};
    kiln_sim_blocks = {launch.blocks, 1, 1};
    for (unsigned b = 0; b < launch.blocks && !now.stopped; ++b) {
        kiln_sim_block = {launch.backwards ? launch.blocks - 1 - b : b, 0, 0};
        run_block();
    }
    if (now.stopped) finding = std::move(now.finding);
    return !now.stopped;
}

void stop(Finding finding) {
    now.finding = std::move(finding);
    now.stopped = true;
    leave();
    __builtin_unreachable();  // nobody comes back to it
}

}  // namespace kiln::sim

extern "C" void kiln_sim_barrier(const char* file, unsigned line) {
    using namespace kiln::sim;
    Fiber& f = now.fibers[now.current];
    f.state = Fiber::State::at_barrier;
    f.barrier = {file, line};
    leave();
}

extern "C" unsigned long long kiln_sim_exchange(unsigned mask, unsigned long long value,
                                                unsigned from, const char* file, unsigned line) {
    using namespace kiln::sim;
    Fiber& f = now.fibers[now.current];
    const unsigned lane = now.current % warp_size, first = now.current - lane;
    const auto refuse = [&](const std::string& what) {
        stop({thread_name(kiln_sim_block.x, now.current) + ", which " + what, {file, line}});
    };
    if ((mask >> lane & 1) == 0) refuse("is not in the mask of its own exchange");
    f.given = value;
    f.mask = mask;
    f.barrier = {file, line};
    f.state = Fiber::State::in_warp;
    leave();
    if (from >= warp_size || first + from >= now.fibers.size() || (mask >> from & 1) == 0)
        refuse("reads from lane " + std::to_string(from) + ", which takes no part");
    const unsigned long long taken = now.fibers[first + from].given;
    // Nobody gives another value before all have taken this one.
    f.state = Fiber::State::in_warp;
    leave();
    return taken;
}

extern "C" void kiln_sim_atomic(const void* at, unsigned bytes, const char* file, unsigned line) {
    using namespace kiln::sim;
    if (now.launch->watch != nullptr) now.launch->watch->atomic(at, bytes, {file, line});
}
