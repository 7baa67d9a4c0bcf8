#include "jit/sim/blocks.h"

#include "jit/sim/fiber.h"
#include "jit/sim/language.h"
#include "runtime/process.h"

#include <mutex>
#include <span>
#include <vector>

extern "C" {
kiln_sim_dim kiln_sim_thread{0, 0, 0}, kiln_sim_block{0, 0, 0}, kiln_sim_threads{1, 1, 1},
    kiln_sim_blocks{1, 1, 1};
alignas(64) unsigned char kiln_sim_dynamic_shared[kiln::sim::most_dynamic_shared + 256];
}

namespace kiln::sim {
namespace {

constexpr unsigned warp_size = 32;

struct Thread {
    enum class State : std::uint8_t { ready, at_barrier, in_warp, ended };
    Fiber fiber;
    State state = State::ended;
    Line barrier;            // of the block, or of the warp
    std::uint32_t mask = 0;  // of the lanes that it waits for
    std::uint64_t given = 0;
};

struct Running {
    const Launch* launch = nullptr;
    std::vector<Thread> threads;  // of a block, and more of larger ones before
    unsigned size = 0;            // of a block
    unsigned current = 0, block = 0;
    Finding finding;
    bool stopped = false;
    std::span<Thread> all() { return std::span(threads).first(size); }
};
Running now;

/// Held by the launch that runs; no forked child finds it so.
kiln::detail::Mutex& one_launch() {
    static constinit kiln::detail::Lazy<kiln::detail::Mutex> made;
    return made.get([] { return std::make_unique<kiln::detail::Mutex>(); });
}

kiln_sim_dim place_of(unsigned number, const Dim3& of) {
    return {number % of.x, number / of.x % of.y, number / of.x / of.y};
}

void enter() {
    Thread& mine = now.threads[now.current];
    mine.fiber.begin();
    now.launch->function(now.launch->parameters);
    mine.state = Thread::State::ended;
    mine.fiber.end();
}

bool wait_together(const Thread& a, const Thread& b) {
    return a.state == b.state && a.barrier.line == b.barrier.line;
}

/// The first thread that waits, and the first of those that it waits for which is elsewhere.
void report_barriers() {
    const auto fibers = now.all();
    unsigned waits = 0;
    const auto is_stuck = [&](unsigned t) {
        const Thread& f = fibers[t];
        return f.state == Thread::State::at_barrier || f.state == Thread::State::in_warp;
    };
    while (!is_stuck(waits)) ++waits;
    const Thread& first = fibers[waits];
    const bool in_warp = first.state == Thread::State::in_warp;
    unsigned other = 0;
    for (unsigned t = 0; t < fibers.size(); ++t) {
        const bool awaited = !in_warp || (t / warp_size == waits / warp_size &&
                                          (first.mask >> t % warp_size & 1) != 0);
        const bool same_lanes = !in_warp || first.mask == fibers[t].mask;
        if (!awaited || (wait_together(first, fibers[t]) && same_lanes)) continue;
        other = t;
        break;
    }
    const unsigned block = now.block;
    std::string text = in_warp ? "a warp whose lanes diverge: " : "a divergent barrier: ";
    text += thread_name(block, waits) + " waits at line " + std::to_string(first.barrier.line) +
            ", " + thread_name(block, other);
    text += fibers[other].state == Thread::State::ended ? " has ended"
            : wait_together(first, fibers[other])
                ? " for other lanes"
                : " at line " + std::to_string(fibers[other].barrier.line);
    now.finding = {std::move(text), first.barrier};
    now.stopped = true;
}

/// Lets the threads of warps go on whose lanes are all there; whether there were any.
bool release_warps() {
    bool any = false;
    const auto fibers = now.all();
    for (unsigned t = 0; t < fibers.size(); ++t) {
        Thread& f = fibers[t];
        if (f.state != Thread::State::in_warp) continue;
        const unsigned first = t / warp_size * warp_size;
        bool all = true;
        for (unsigned lane = 0; lane < warp_size; ++lane) {
            if ((f.mask >> lane & 1) == 0) continue;
            all = all && wait_together(f, fibers[first + lane]) &&
                  fibers[first + lane].mask == f.mask;
        }
        if (!all) continue;
        any = true;
        if (now.launch->watch != nullptr) now.launch->watch->begin_warp_phase(t / warp_size);
        for (unsigned lane = 0; lane < warp_size; ++lane)
            if ((f.mask >> lane & 1) != 0) fibers[first + lane].state = Thread::State::ready;
    }
    return any;
}

/// Until all threads of the block have ended, or something is wrong.
void run_block() {
    const auto fibers = now.all();
    const auto threads = static_cast<unsigned>(fibers.size());
    for (Thread& f : fibers) {
        f.fiber.prepare(&enter);
        f.state = Thread::State::ready;
    }
    if (now.launch->watch != nullptr) now.launch->watch->begin_block();
    for (;;) {
        unsigned waiting = 0, ended = 0;
        for (unsigned k = 0; k < threads; ++k) {
            const unsigned t = now.launch->backwards ? threads - 1 - k : k;
            Thread& f = fibers[t];
            if (f.state == Thread::State::ready) {
                now.current = t;
                kiln_sim_thread = place_of(t, now.launch->threads);
                f.fiber.enter();
                if (now.stopped) return;
            }
            waiting += f.state == Thread::State::at_barrier ? 1 : 0;
            ended += f.state == Thread::State::ended ? 1 : 0;
        }
        if (ended == threads) return;
        if (release_warps()) continue;
        bool together = waiting == threads;
        for (const Thread& f : fibers) together = together && wait_together(f, fibers[0]);
        if (!together) return report_barriers();
        for (Thread& f : fibers) f.state = Thread::State::ready;
        if (now.launch->watch != nullptr) now.launch->watch->begin_phase();
    }
}

/// Waits for all threads of the block.
void wait_for_block(const char* file, unsigned line) {
    Thread& f = now.threads[now.current];
    f.state = Thread::State::at_barrier;
    f.barrier = {file, line};
    f.fiber.leave();
}

/// Waits for the lanes of its mask.
void wait_for_warp(Thread& f) {
    f.state = Thread::State::in_warp;
    f.fiber.leave();
}

/// "3", "(3,4)" or "(3,4,5)"
std::string coordinates(unsigned number, const Dim3& of) {
    const kiln_sim_dim at = place_of(number, of);
    if (of.z > 1)
        return "(" + std::to_string(at.x) + "," + std::to_string(at.y) + "," +
               std::to_string(at.z) + ")";
    if (of.y > 1) return "(" + std::to_string(at.x) + "," + std::to_string(at.y) + ")";
    return std::to_string(number);
}

}  // namespace

bool is_on_stack(std::uintptr_t at) { return now.threads[now.current].fiber.is_on_stack(at); }
unsigned current_thread() { return now.current; }
unsigned current_block() { return now.block; }
std::byte* dynamic_shared() { return reinterpret_cast<std::byte*>(kiln_sim_dynamic_shared); }

std::string thread_name(unsigned block, unsigned thread) {
    return "thread " + coordinates(thread, now.launch->threads) + " of block " +
           coordinates(block, now.launch->blocks);
}

bool run(const Launch& launch, Finding& finding) {
    const std::lock_guard lock(one_launch());
    now.launch = &launch;
    now.stopped = false;
    now.size = static_cast<unsigned>(launch.threads.count());
    if (now.threads.size() < now.size) now.threads.resize(now.size);
    kiln_sim_threads = {launch.threads.x, launch.threads.y, launch.threads.z};
    kiln_sim_blocks = {launch.blocks.x, launch.blocks.y, launch.blocks.z};
    if (launch.watch != nullptr) launch.watch->begin_launch();
    const auto blocks = static_cast<unsigned>(launch.blocks.count());
    for (unsigned b = 0; b < blocks && !now.stopped; ++b) {
        now.block = launch.backwards ? blocks - 1 - b : b;
        kiln_sim_block = place_of(now.block, launch.blocks);
        run_block();
    }
    if (launch.watch != nullptr) launch.watch->end_launch();
    if (now.stopped) finding = std::move(now.finding);
    return !now.stopped;
}

void note(Finding finding) {
    now.finding = std::move(finding);
    now.stopped = true;
}
void end_launch() { now.threads[now.current].fiber.end(); }

}  // namespace kiln::sim

extern "C" void kiln_sim_barrier(const char* file, unsigned line) {
    kiln::sim::wait_for_block(file, line);
}

extern "C" unsigned kiln_sim_barrier_count(int holds, const char* file, unsigned line) {
    using namespace kiln::sim;
    now.threads[now.current].given = holds != 0 ? 1 : 0;
    wait_for_block(file, line);
    unsigned all = 0;
    for (const Thread& f : now.all()) all += static_cast<unsigned>(f.given);
    wait_for_block(file, line);  // nobody gives another value before all have counted
    return all;
}

extern "C" unsigned long long kiln_sim_exchange(unsigned mask, unsigned long long value,
                                                unsigned from, const char* file, unsigned line) {
    using namespace kiln::sim;
    Thread& f = now.threads[now.current];
    const unsigned lane = now.current % warp_size, first = now.current - lane;
    const auto name = [&] { return thread_name(now.block, now.current) + ", which "; };
    if ((mask >> lane & 1) == 0) {
        note({name() + "is not in the mask of its own exchange", {file, line}});
        end_launch();
    }
    f.given = value;
    f.mask = mask;
    f.barrier = {file, line};
    wait_for_warp(f);
    if (from >= warp_size || (mask >> from & 1) == 0) {
        note({name() + "reads from lane " + std::to_string(from) + ", which takes no part",
              {file, line}});
        end_launch();
    }
    const unsigned long long taken = now.threads[first + from].given;
    wait_for_warp(f);  // nobody gives another value before all have taken this one
    return taken;
}

extern "C" void kiln_sim_atomic(const void* at, unsigned bytes, const char* file, unsigned line) {
    using namespace kiln::sim;
    if (now.launch->watch != nullptr) now.launch->watch->atomic(at, bytes, {file, line});
}
