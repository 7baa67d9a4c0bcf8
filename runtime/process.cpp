#include "runtime/process.h"

#include "runtime/memory_lock.h"

#include <kiln/shared_state.h>

#include <pthread.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <string>
#include <utility>

// Of the C++ ABI: functions for the process's end, each with the library that it belongs to; and
// the calling, and forgetting, of those of one library.
extern "C" int __cxa_atexit(void (*function)(void*), void* argument, void* library) noexcept;
extern "C" void __cxa_finalize(void* library) noexcept;

namespace kiln::detail {
namespace {

/// What is known of the threads; all of it under the mutex. The types of the C library, since these
/// need neither making nor destroying, and may be made anew in a child.
struct Gate {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    unsigned busy = 0;          ///< threads
    bool forking = false;       ///< nobody begins to be busy
    unsigned unfinished = 0;    ///< threads with work of BeforeExit
    timespec held_until{};      ///< no such work begins on threads other than the main one
    std::uint64_t exiting = 0;  ///< the thread that exit runs on; 0: none

    void lock() { pthread_mutex_lock(&mutex); }
    void unlock() { pthread_mutex_unlock(&mutex); }
    void wait() { pthread_cond_wait(&changed, &mutex); }
    /// False once the time has come.
    bool wait_until(const timespec& time) {
        return pthread_cond_timedwait(&changed, &mutex, &time) == 0;
    }
    void notify() { pthread_cond_broadcast(&changed); }
};
constinit Gate gate;

constinit std::atomic<std::uint64_t> generation{0}, threads{0};
constinit std::atomic<bool> ending{false};  ///< main has ended, or exit has begun
constinit thread_local std::uint64_t number = 0;
constinit thread_local unsigned busy_depth = 0, unfinished_depth = 0;

/// Unlike addresses and the system's numbers, never that of a thread that was before.
std::uint64_t this_thread() {
    if (number == 0) number = threads.fetch_add(1, std::memory_order_relaxed) + 1;
    return number;
}

void enter_busy() {
    if (busy_depth++ > 0) return;
    const std::lock_guard lock(gate);
    while (gate.forking) gate.wait();
    ++gate.busy;
}
void leave_busy() {
    if (--busy_depth > 0) return;
    const std::lock_guard lock(gate);
    --gate.busy;
    if (gate.forking) gate.notify();
}

// ------------------------------------------------------------------------------ fork

// The gate stays locked while the process forks, so that the child finds it whole.
void before_fork() {
    gate.lock();
    while (gate.forking) gate.wait();  // by another thread
    gate.forking = true;
    while (gate.busy > (busy_depth > 0 ? 1U : 0U)) gate.wait();
    lock_memory();  // last: who is busy may allocate
}
void after_fork() {
    unlock_memory();
    gate.forking = false;
    gate.notify();
    gate.unlock();
}
void after_fork_in_child() {
    unlock_memory();
    gate.changed = PTHREAD_COND_INITIALIZER;  // who waited is not here
    gate.forking = false;
    gate.busy = busy_depth > 0 ? 1 : 0;
    gate.unfinished = unfinished_depth > 0 ? 1 : 0;
    gate.held_until = {};
    if (gate.exiting == 0) ending.store(false, std::memory_order_relaxed);
    generation.fetch_add(1, std::memory_order_relaxed);
    gate.unlock();
}

// When the library is loaded, before any of its state is there. Where the system has no memory for
// it, forked children are as good as they can be without.
[[maybe_unused]] const int registered =
    pthread_atfork(before_fork, after_fork, after_fork_in_child);

// ------------------------------------------------------------------------------ exit

/// How long threads that begin work while the process ends are held back. Most programs have ended
/// by then; one that waits for such a thread goes on.
constexpr time_t held_back_seconds = 1;

bool is_main_thread() { return getpid() == gettid(); }

timespec end_of_holding_back() {
    timespec until{};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += held_back_seconds;
    return until;
}

/// Of the main thread: destroyed when that leaves main, before exit destroys anything, also what
/// was registered after on_exit by work that is under way; or when the thread ends alone.
struct EndOfMain {
    bool there = false;
    ~EndOfMain() {
        if (!there) return;
        const std::lock_guard lock(gate);
        gate.held_until = end_of_holding_back();
        ending.store(true, std::memory_order_relaxed);
        while (gate.unfinished > (unfinished_depth > 0 ? 1U : 0U)) gate.wait();
    }
};
thread_local EndOfMain end_of_main;
void watch_end_of_main() {
    if (is_main_thread()) end_of_main.there = true;
}

// What on_exit is registered as: by turns as that of one library and of another. Both under the
// gate.
constinit char libraries[2] = {};
constinit unsigned registered_as = 0;
constinit thread_local bool moving = false;

void register_on_exit();

void on_exit(void* /*nothing*/) {
    if (moving) return register_on_exit();
    const std::lock_guard lock(gate);
    gate.exiting = this_thread();
    ending.store(true, std::memory_order_relaxed);
    gate.notify();
    while (gate.unfinished > (unfinished_depth > 0 ? 1U : 0U)) gate.wait();
}

void register_on_exit() {
    registered_as = 1 - registered_as;
    __cxa_atexit(on_exit, nullptr, &libraries[registered_as]);
    moving = false;
}

// For those whose main never compiles.
[[maybe_unused]] const bool watched = (watch_end_of_main(), true);

/// Whether the work may begin.
bool begin_unfinished() {
    const std::lock_guard lock(gate);
    if (gate.exiting != 0 && gate.exiting != this_thread()) {
        const timespec until = end_of_holding_back();
        while (gate.wait_until(until)) {
        }
    } else if (gate.held_until.tv_sec != 0 && !is_main_thread()) {
        while (gate.wait_until(gate.held_until)) {
        }
        // The main thread ended alone.
        if (gate.exiting == 0) ending.store(false, std::memory_order_relaxed);
    }
    if (gate.exiting != 0) return false;
    ++gate.unfinished;
    return true;
}

}  // namespace

// Another thread may be in exit, which frees the C library's lists as it comes to their ends. Under
// the lock of these lists __cxa_finalize looks for functions of the library, but it calls them
// without; then it goes on where it was, in a list that may be gone, unless a function has been
// registered meanwhile: then it begins again. So the new registration happens in the call for the
// old one, and as that of another library, which is not looked for. Where exit has called the old
// one, there is no such call.
void come_first_at_exit() {
    watch_end_of_main();
    const std::lock_guard lock(gate);  // no fork either: a child would find the lists locked
    moving = true;
    __cxa_finalize(&libraries[registered_as]);
    if (moving) register_on_exit();
}

Busy::Busy() { enter_busy(); }
Busy::~Busy() { leave_busy(); }
void Mutex::enter() { enter_busy(); }
void Mutex::leave() { leave_busy(); }

namespace {

/// A thread that waits for a mutex; all of them are a list, under the gate.
struct Waiting {
    std::uint64_t thread;
    const UserMutex* mutex;
    Waiting *previous = nullptr, *next = nullptr;
};
constinit Waiting* all_waiting = nullptr;
constinit std::uint64_t generation_of_waiting = 0;

/// Who waited when the process forked is not here, and its stack may be used for something else.
void forget_parents() {
    const std::uint64_t now = generation.load(std::memory_order_relaxed);
    if (std::exchange(generation_of_waiting, now) != now) all_waiting = nullptr;
}
void begin_waiting(Waiting& one) {
    one.next = std::exchange(all_waiting, &one);
    if (one.next != nullptr) one.next->previous = &one;
}
void end_waiting(Waiting& one) {
    (one.previous != nullptr ? one.previous->next : all_waiting) = one.next;
    if (one.next != nullptr) one.next->previous = one.previous;
}

}  // namespace

bool UserMutex::is_free_for(std::uint64_t thread) const {
    return depth_ == 0 || owner_ == thread ||
           generation_ != generation.load(std::memory_order_relaxed);
}

bool UserMutex::closes_a_circle(std::uint64_t thread) const {
    const UserMutex* wanted = this;
    while (!wanted->is_free_for(0)) {
        if (wanted->owner_ == thread) return true;
        const Waiting* owner = all_waiting;
        while (owner != nullptr && owner->thread != wanted->owner_) owner = owner->next;
        if (owner == nullptr) return false;
        wanted = owner->mutex;
    }
    return false;
}

void UserMutex::lock() {
    const std::uint64_t me = this_thread();
    const std::lock_guard lock(gate);
    forget_parents();
    while (!is_free_for(me)) {
        if (closes_a_circle(me)) return;
        Waiting waiting{me, this};
        begin_waiting(waiting);
        gate.wait();
        end_waiting(waiting);
    }
    if (owner_ != me) depth_ = 0;
    owner_ = me;
    generation_ = generation.load(std::memory_order_relaxed);
    ++depth_;
}

void UserMutex::unlock() {
    const std::uint64_t me = this_thread();
    const std::lock_guard lock(gate);
    if (owner_ != me || depth_ == 0 || --depth_ > 0) return;  // without it, or not the last one
    owner_ = 0;
    gate.notify();
}

std::uint64_t fork_generation() { return generation.load(std::memory_order_relaxed); }

BeforeExit::BeforeExit(const std::string& refusal) {
    if (unfinished_depth == 0 && !begin_unfinished())
        throw Error(ErrorKind::usage, refusal, {}, "call it before the program ends");
    ++unfinished_depth;
}

BeforeExit::~BeforeExit() {
    if (--unfinished_depth > 0) return;
    const std::lock_guard lock(gate);
    --gate.unfinished;
    gate.notify();
}

bool exit_has_begun() noexcept { return ending.load(std::memory_order_relaxed); }

void keep_for_good(const Shared<const void>& state) {
    // Checkers of leaks see it.
    static constinit Lazy<std::map<const void*, Shared<const void>>> kept;
    const std::lock_guard lock(gate);
    kept.get().emplace(state.get(), state);
}

}  // namespace kiln::detail
