// The host as a CUDA device: what emitted CUDA text needs, so that a C++ compiler makes host code of it
// that runs blocks of threads. Included in front of such text; no part of kiln.
//
// Threads of a block are fibers that give way at barriers; blocks run one after the other. The order
// in which threads run between two barriers can be turned round: a result that depends on it shows
// a missing barrier.
#pragma once
#include <math.h>
#include <stdio.h>
#include <ucontext.h>

#include <utility>
#include <vector>

#define __device__
#define __global__
#define __shared__ static

struct kiln_dim {
    unsigned int x;
};
static thread_local kiln_dim blockIdx{0}, threadIdx{0}, blockDim{1}, gridDim{1};

inline void atomicMin(unsigned long long* at, unsigned long long value) {
    if (value < *at) *at = value;
}
template <class T> inline T atomicAdd(T* at, T value) {
    const T old = *at;
    *at = old + value;
    return old;
}
template <class T> inline T atomicCAS(T* at, T expected, T value) {
    const T old = *at;
    if (old == expected) *at = value;
    return old;
}
inline float exp10(float x) { return ::exp10f(x); }

namespace kiln_device {

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    enum { waiting, at_barrier, done } state = waiting;
};
inline thread_local ucontext_t scheduler;
inline thread_local Fiber* running = nullptr;
inline thread_local void (*kernel)(void**) = nullptr;
inline thread_local void** arguments = nullptr;

inline void enter() {
    kernel(arguments);
    running->state = Fiber::done;
    swapcontext(&running->context, &scheduler);
}

/// Null, or what went wrong.
inline const char* run_block(std::vector<Fiber>& fibers, bool backwards) {
    const auto threads = static_cast<unsigned>(fibers.size());
    for (Fiber& f : fibers) {
        f.state = Fiber::waiting;
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.data();
        f.context.uc_stack.ss_size = f.stack.size();
        f.context.uc_link = nullptr;
        makecontext(&f.context, enter, 0);
    }
    for (;;) {
        unsigned stopped = 0, done = 0;
        for (unsigned k = 0; k < threads; ++k) {
            const unsigned t = backwards ? threads - 1 - k : k;
            Fiber& f = fibers[t];
            if (f.state != Fiber::done) {
                f.state = Fiber::waiting;
                running = &f;
                threadIdx.x = t;
                swapcontext(&scheduler, &f.context);
            }
            stopped += f.state == Fiber::at_barrier ? 1 : 0;
            done += f.state == Fiber::done ? 1 : 0;
        }
        if (done == threads) return nullptr;
        if (stopped != threads) return "some threads of a block wait at a barrier, others ended";
    }
}

inline const char* launch(void (*function)(void**), void** parameters, unsigned blocks,
                          unsigned threads, bool backwards) {
    kernel = function;
    arguments = parameters;
    gridDim.x = blocks;
    blockDim.x = threads;
    static thread_local std::vector<Fiber> fibers;
    fibers.resize(threads);
    for (Fiber& f : fibers) f.stack.resize(128 * 1024);
    for (unsigned b = 0; b < blocks; ++b) {
        blockIdx.x = backwards ? blocks - 1 - b : b;
        if (const char* wrong = run_block(fibers, backwards)) return wrong;
    }
    return nullptr;
}

template <class... A, std::size_t... I>
void unpack(void (*f)(A...), void** p, std::index_sequence<I...>) {
    f(*static_cast<A*>(p[I])...);
}
template <class... A> void unpack(void (*f)(A...), void** p) {
    unpack(f, p, std::index_sequence_for<A...>());
}

}  // namespace kiln_device

inline void __syncthreads() {
    if (blockDim.x == 1) return;
    kiln_device::running->state = kiln_device::Fiber::at_barrier;
    swapcontext(&kiln_device::running->context, &kiln_device::scheduler);
}

extern "C" __attribute__((weak)) const char* kiln_launch(void (*function)(void**),
                                                         void** parameters, unsigned blocks,
                                                         unsigned threads, bool backwards) {
    return kiln_device::launch(function, parameters, blocks, threads, backwards);
}
