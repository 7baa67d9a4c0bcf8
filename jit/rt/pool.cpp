#include "jit/rt/pool.h"

#include <kiln/environment.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <cstdlib>
#include <ctime>

#include <algorithm>
#include <atomic>

namespace kiln::rt {
namespace {

using detail::FloatWord;

constexpr int most_threads = 256;

std::atomic<int> wanted_threads{0};  // 0: not known yet

int configured_threads() {
    if (const char* const text = getenv("KILN_NUM_THREADS"); text != nullptr && *text != '\0') {
        char* end = nullptr;
        const long n = strtol(text, &end, 10);
        if (*end == '\0' && n >= 1) return static_cast<int>(std::min<long>(n, most_threads));
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return std::clamp(CPU_COUNT(&set), 1, most_threads);
}

struct SharedLoop {
    const Work& work;
    std::int64_t count, grain;
    FloatWord environment;
    std::atomic<std::int64_t> next{0};
    std::atomic<FloatWord> flags{0};

    void take_pieces() {
        while (true) {
            const std::int64_t first = next.fetch_add(grain, std::memory_order_relaxed);
            if (first >= count) return;
            work(first, grain < count - first ? first + grain : count);
        }
    }
};

/// Whose loop it is has `owner`; what follows it is of `mutex`.
struct Pool {
    pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER, mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t work = PTHREAD_COND_INITIALIZER, left = PTHREAD_COND_INITIALIZER;
    SharedLoop* loop = nullptr;
    int seats = 0;   ///< workers that may still join it
    int inside = 0;  ///< those that did, and work
    int started = 0;
    bool ends = false, knows_forks = false;
    pthread_t workers[most_threads] = {};
};
constinit Pool pool;

void* worker(void* /*nothing*/) {
    pthread_mutex_lock(&pool.mutex);
    while (true) {
        while (!pool.ends && (pool.loop == nullptr || pool.seats == 0))
            pthread_cond_wait(&pool.work, &pool.mutex);
        if (pool.ends) break;
        SharedLoop& loop = *pool.loop;
        --pool.seats;
        ++pool.inside;
        pthread_mutex_unlock(&pool.mutex);
        detail::write_float_word(loop.environment);
        loop.take_pieces();
        loop.flags.fetch_or(detail::read_float_word() & detail::float_flags);
        pthread_mutex_lock(&pool.mutex);
        if (--pool.inside == 0) pthread_cond_signal(&pool.left);
    }
    pthread_mutex_unlock(&pool.mutex);
    return nullptr;
}

/// In a child of fork there are no workers; whatever state the parent's were in.
void forget_workers() {
    pool.owner = pool.mutex = PTHREAD_MUTEX_INITIALIZER;
    pool.work = pool.left = PTHREAD_COND_INITIALIZER;
    pool.loop = nullptr;
    pool.seats = pool.inside = pool.started = 0;
}

/// The caller has the lock.
void start_workers(int count) {
    if (!pool.knows_forks) pool.knows_forks = pthread_atfork(nullptr, nullptr, forget_workers) == 0;
    sigset_t all, before;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.started < count && !pool.ends &&
           pthread_create(&pool.workers[pool.started], nullptr, worker, nullptr) == 0)
        ++pool.started;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

/// When the program ends, or the library that this is a part of is closed.
[[gnu::destructor]] void stop() {
    pthread_mutex_lock(&pool.mutex);
    pool.ends = true;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
    for (int i = 0; i < pool.started; ++i) pthread_join(pool.workers[i], nullptr);
}

std::int64_t nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

int num_threads() {
    int n = wanted_threads.load(std::memory_order_relaxed);
    if (n == 0) wanted_threads.store(n = configured_threads(), std::memory_order_relaxed);
    return n;
}

void run_pieces(std::int64_t count, std::int64_t grain, const Work& work) {
    const int threads = num_threads();
    if (count <= grain || threads == 1 || pthread_mutex_trylock(&pool.owner) != 0) {
        if (count > 0) work(0, count);
        return;
    }
    const FloatWord before = detail::read_float_word();
    SharedLoop loop{work, count, grain, before & ~detail::float_flags};
    pthread_mutex_lock(&pool.mutex);
    start_workers(threads - 1);
    pool.loop = &loop;
    pool.seats = threads - 1;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
    loop.take_pieces();
    pthread_mutex_lock(&pool.mutex);
    pool.loop = nullptr;
    pool.seats = 0;
    while (pool.inside > 0) pthread_cond_wait(&pool.left, &pool.mutex);
    pthread_mutex_unlock(&pool.mutex);
    pthread_mutex_unlock(&pool.owner);
    detail::write_float_word(detail::read_float_word() | loop.flags.load());
}

/// Work that is not worth waking a thread, what a piece should take, and what is measured reliably.
constexpr std::int64_t serial_ns = 20'000, piece_ns = 20'000, probe_ns = 2'000;

void run_measured(std::int64_t count, bool flat, const Work& work) {
    const int threads = num_threads();
    if (threads == 1 || count <= 1) {
        if (count > 0) work(0, count);
        return;
    }
    std::int64_t step =
        std::max<std::int64_t>(1, flat ? 256 : std::min<std::int64_t>(1, count / 8));
    for (std::int64_t done = 0; done < count; step *= 2) {
        const std::int64_t last = done + std::min(step, count - done), before = nanoseconds();
        work(done, last);
        const std::int64_t took = nanoseconds() - before;
        const std::int64_t each = std::max<std::int64_t>(1, took / (last - done));
        done = last;
        if (took < probe_ns) continue;
        const std::int64_t left = count - done;
        if (left <= serial_ns / each) {
            if (left > 0) work(done, count);
            return;
        }
        struct Rest {
            const Work& work;
            std::int64_t done;
        };
        const Rest rest{work, done};
        const auto run = [](const void* context, std::int64_t first, std::int64_t end) {
            const Rest& r = *static_cast<const Rest*>(context);
            r.work(r.done + first, r.done + end);
        };
        // Of very many iterations, pieces are larger, but enough to balance unequal ones.
        run_pieces(left, std::max({std::int64_t(1), piece_ns / each, left / (32 * threads)}),
                   {run, &rest});
        return;
    }
}

}  // namespace kiln::rt

extern "C" {
[[gnu::visibility("default")]] void kiln_rt_set_num_threads(int n) {
    kiln::rt::wanted_threads = std::clamp(n, 0, kiln::rt::most_threads);
}
[[gnu::visibility("default")]] int kiln_rt_num_threads(void) { return kiln::rt::num_threads(); }
}
