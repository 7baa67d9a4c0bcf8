// Blocks of threads on the CPU: the threads of a block are fibers that take turns at barriers; blocks run
// one after the other. So what threads do to each other is told from what they touch (Watch), and not
// from the order in which they happen to run.
#pragma once
#include <kiln/dim3.h>

#include <cstddef>
#include <cstdint>
#include <string>

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
    /// Until end_launch(), which follows in any case, threads are those of this launch.
    virtual void begin_launch() = 0;
    virtual void end_launch() = 0;
    virtual void begin_block() = 0;
    virtual void begin_phase() = 0;  ///< all threads of the block are past a barrier
    virtual void begin_warp_phase(unsigned warp) = 0;  ///< the same of lanes of a warp
    virtual void atomic(const void* at, unsigned bytes, Line line) = 0;
};

struct Launch {
    void (*function)(void**) = nullptr;
    void** parameters = nullptr;
    Dim3 blocks = {}, threads = {};
    bool backwards = false;  ///< threads, and blocks, run in the opposite order
    Watch* watch = nullptr;
};

/// Runs a launch; one at a time in the process, others wait. Nothing, or what ended it.
/// Thread and block as in CUDA: kiln_sim_thread and its kin.
bool run(const Launch& launch, Finding& finding);

/// What is wrong, from within a launch, which then ends by end_launch(): nothing that either function
/// has on its stack is destroyed, so that no text may be left there.
void note(Finding finding);
[[noreturn]] void end_launch();

/// Whether an address is on the stack of the thread that runs.
bool is_on_stack(std::uintptr_t at);

/// The numbers of the thread that runs in its block, and of its block: x first, then y, then z.
unsigned current_thread();
unsigned current_block();

/// "thread 3 of block 0"; with coordinates where the launch has several axes.
std::string thread_name(unsigned block, unsigned thread);

/// Where a block has the shared memory whose size a launch gives, and the most of it.
std::byte* dynamic_shared();
inline constexpr std::size_t most_dynamic_shared = 227 * 1024;

}  // namespace kiln::sim
