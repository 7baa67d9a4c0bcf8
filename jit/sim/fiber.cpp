#include "jit/sim/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <utility>

// Sanitizers are told of each switch, since they keep what they know of a thread by its stack.
#if defined(__SANITIZE_ADDRESS__)
#define KILN_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define KILN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KILN_ASAN 1
#elif __has_feature(thread_sanitizer)
#define KILN_TSAN 1
#endif
#endif
#ifdef KILN_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef KILN_TSAN
#include <sanitizer/tsan_interface.h>
#endif

extern "C" {
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

/// Whoever entered the fiber that runs: launches are one at a time.
struct Outside {
    void* at = nullptr;
    void* sanitized = nullptr;
    const void* stack = nullptr;
    std::size_t bytes = 0;
};
Outside outside;

std::size_t guard_bytes() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Fiber::Fiber() {
    // A page below the stack that nothing may touch; pages come as they are touched.
    const std::size_t guard = guard_bytes();
    void* const memory = mmap(nullptr, guard + bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) throw std::bad_alloc();
    stack_ = static_cast<std::byte*>(memory) + guard;
#ifdef KILN_TSAN
    sanitized_ = __tsan_create_fiber(0);
#endif
}

Fiber::Fiber(Fiber&& other) noexcept
    : stack_(std::exchange(other.stack_, nullptr)),
      at_(other.at_),
      fake_stack_(other.fake_stack_),
      sanitized_(std::exchange(other.sanitized_, nullptr)),
      prepared_(other.prepared_) {}

Fiber::~Fiber() {
    if (stack_ == nullptr) return;
    munmap(stack_ - guard_bytes(), guard_bytes() + bytes);
#ifdef KILN_TSAN
    __tsan_destroy_fiber(sanitized_);
#endif
}

void Fiber::prepare(void (*function)()) {
#ifdef KILN_ASAN
    __asan_unpoison_memory_region(stack_, bytes);  // a launch that ended early left frames there
#endif
#ifdef KILN_TSAN
    // Calls that never return stay on its stack of calls, which may be 65,535 deep.
    if (++prepared_ % 1024 == 0) {
        __tsan_destroy_fiber(sanitized_);
        sanitized_ = __tsan_create_fiber(0);
    }
#endif
    auto* words = reinterpret_cast<std::uintptr_t*>(stack_ + bytes);
    *--words = 0;  // where it would return to
    *--words = reinterpret_cast<std::uintptr_t>(function);
    for (int saved = 0; saved < 6; ++saved) *--words = 0;
    at_ = words;
    fake_stack_ = nullptr;
}

void Fiber::enter() {
#ifdef KILN_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack_, bytes);
#endif
#ifdef KILN_TSAN
    outside.sanitized = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(sanitized_, 0);
#endif
    kiln_sim_switch(&outside.at, at_);
#ifdef KILN_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void Fiber::begin() {
#ifdef KILN_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &outside.stack, &outside.bytes);
#endif
}

void Fiber::go_back([[maybe_unused]] bool for_good) {
#ifdef KILN_ASAN
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, outside.stack, outside.bytes);
#endif
#ifdef KILN_TSAN
    __tsan_switch_to_fiber(outside.sanitized, 0);
#endif
    kiln_sim_switch(&at_, outside.at);
#ifdef KILN_ASAN
    __sanitizer_finish_switch_fiber(fake_stack_, &outside.stack, &outside.bytes);
#endif
}

void Fiber::leave() { go_back(false); }

void Fiber::end() {
    go_back(true);
    __builtin_unreachable();  // nobody comes back to it
}

}  // namespace kiln::sim
