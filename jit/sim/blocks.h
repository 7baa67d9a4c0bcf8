// Blocks of threads on the CPU: the threads of a block are fibers that take turns at barriers; blocks run
// one after the other. So what threads do to each other is told from what they touch (Watch), and not
// from the order in which they happen to run.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kiln::sim {

/// A line of the text that runs; file may be null.
struct Line {
    const char* file = nullptr;
    unsigned line = 0;
};

/// What is wrong with a launch: the first that was found. The launch ended there.
struct Finding {
    std::string text;
    Line at;
};

/// Sees what the threads of a launch touch.
class Watch {
  public:
    virtual ~Watch() = default;
    virtual void begin_block() = 0;
    virtual void begin_phase() = 0;  ///< all threads of the block are past a barrier
    virtual void begin_warp_phase(unsigned warp) = 0;  ///< the same of lanes of a warp
    virtual void atomic(const void* at, unsigned bytes, Line line) = 0;
};

struct Launch {
    void (*function)(void**) = nullptr;
    void** parameters = nullptr;
    unsigned blocks = 1, threads = 1;
    bool backwards = false;  ///< threads, and blocks, run in the opposite order
    Watch* watch = nullptr;
};

/// Runs a launch; one at a time in the process, others wait. Nothing, or what ended it.
/// Thread and block as in CUDA: kiln_sim_thread and its kin.
bool run(const Launch& launch, Finding& finding);

/// From within a launch: ends it.
[[noreturn]] void stop(Finding finding);

/// Whether an address is on the stack of the thread that runs.
bool is_on_stack(std::uintptr_t at);

/// "thread 3 of block 0".
std::string thread_name(unsigned block, unsigned thread);

}  // namespace kiln::sim
