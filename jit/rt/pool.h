// Threads of exported kernels.
#pragma once
#include <cstdint>

namespace kiln::rt {

/// Threads that a loop may take, the caller's among them: as kiln_rt_set_num_threads or KILN_NUM_THREADS says,
/// else the CPUs of the process.
int num_threads();

/// Iterations [first, last) of a loop, on whichever thread.
struct Work {
    void (*run)(const void* context, std::int64_t first, std::int64_t last);
    const void* context;
    void operator()(std::int64_t first, std::int64_t last) const { run(context, first, last); }
};

/// Runs [0, count) in pieces of `grain`, each taken by the next thread that is free; returns when all
/// are done. Workers compute in the caller's floating-point environment, which gets the flags that they
/// raise. One loop at a time has the workers: others run on their callers.
void run_pieces(std::int64_t count, std::int64_t grain, const Work& work);

/// Runs [0, count): on this thread as long as it is not known to be worth waking others. `flat`: iterations
/// take about the same time, and little of it.
void run_measured(std::int64_t count, bool flat, const Work& work);

}  // namespace kiln::rt
