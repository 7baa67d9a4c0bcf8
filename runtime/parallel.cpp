#include <kiln/parallel.h>

#include "runtime/pool.h"
#include "runtime/process.h"
#include "runtime/workers.h"

#include <sched.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#ifdef __has_feature
#define KILN_HAS_FEATURE(x) __has_feature(x)
#else
#define KILN_HAS_FEATURE(x) 0
#endif

namespace kiln {

namespace {

/// Pieces per thread, so that unequal work evens out.
constexpr std::int64_t pieces_per_thread = 16;
/// As many brief grains are a brief piece.
constexpr std::int64_t few_grains = 4;

thread_local int thread_mask = 0;  // 0: max_threads()

struct MaskScope {
    int before = thread_mask;
    explicit MaskScope(int mask) { thread_mask = mask; }
    ~MaskScope() { thread_mask = before; }
    MaskScope(const MaskScope&) = delete;
    MaskScope& operator=(const MaskScope&) = delete;
};

int available_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    // Fails on machines of more than CPU_SETSIZE CPUs.
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return std::clamp(CPU_COUNT(&set), 1, thread_count_limit);
    return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, thread_count_limit);
}

/// One arena per number of threads, made when first asked for and kept: making one takes
/// microseconds, and workers that have been in it are still awake for the next loop.
class Arenas {
  public:
    /// Null in a forked child of a process that used TBB: its workers do not exist there.
    static Arenas* instance() {
        static constinit detail::Lazy<Arenas> lazy;
        Arenas& arenas = lazy.get();
        return arenas.generation_ == detail::fork_generation() ? &arenas : nullptr;
    }
    tbb::task_arena& of(int threads) {
        std::atomic<tbb::task_arena*>& place = arenas_[static_cast<std::size_t>(threads)];
        if (tbb::task_arena* const known = place.load(std::memory_order_acquire)) return *known;
        const std::lock_guard lock(mutex_);
        if (tbb::task_arena* const known = place.load(std::memory_order_relaxed)) return *known;
        allow(threads);
        auto* const made = new tbb::task_arena(threads);
        place.store(made, std::memory_order_release);
        return *made;
    }

  private:
    /// TBB's own limit is the number of CPUs. It holds for every user of TBB in the process, whose
    /// loops would start as many workers as it allows: so it is raised only as far as was asked
    /// for.
    void allow(int threads) {
        if (threads <= std::max(allowed_, available_cpus())) return;
        control_.reset();  // of several controls the lowest counts
        control_ = std::make_unique<tbb::global_control>(
            tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
        allowed_ = threads;
    }

    const std::uint64_t generation_ = detail::fork_generation();
    std::mutex mutex_;
    int allowed_ = 0;
    std::unique_ptr<tbb::global_control> control_;
    std::array<std::atomic<tbb::task_arena*>, thread_count_limit + 1> arenas_{};
};

int configured_threads() {
    const char* const text = std::getenv("KILN_NUM_THREADS");
    if (text == nullptr || *text == '\0') return available_cpus();
    int n = 0;
    const char* const end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, n);
    if (error != std::errc() || stop != end || n < 1 || n > thread_count_limit) {
        throw Error(ErrorKind::usage, "KILN_NUM_THREADS is '" + std::string(text) +
                                          "', not a number from 1 to " +
                                          std::to_string(thread_count_limit));
    }
    return n;
}

/// The pieces of one loop, and the exception of the lowest piece that threw.
class Pieces {
  public:
    Pieces(std::int64_t n, std::int64_t length, FunctionRef<void(std::int64_t, std::int64_t)> body)
        : n_(n), length_(length), body_(body) {}

    void run(std::int64_t piece) noexcept {
        // Pieces below a failed one still run: one of them may fail too.
        if (piece > lowest_failed_.load(std::memory_order_relaxed)) return;
        try {
            const std::int64_t begin = piece * length_;
            body_(begin, length_ < n_ - begin ? begin + length_ : n_);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (piece < lowest_failed_.load(std::memory_order_relaxed)) {
                lowest_failed_.store(piece, std::memory_order_relaxed);
                exception_ = std::current_exception();
            }
        }
    }
    void rethrow() {
        if (exception_) std::rethrow_exception(exception_);
    }

  private:
    std::int64_t n_, length_;
    FunctionRef<void(std::int64_t, std::int64_t)> body_;
    std::atomic<std::int64_t> lowest_failed_{INT64_MAX};
    std::mutex mutex_;
    std::exception_ptr exception_;
};

/// Runs `body` in the arena of so many threads; whether it did.
#if defined(__SANITIZE_THREAD__) || KILN_HAS_FEATURE(thread_sanitizer)
// ThreadSanitizer does not see how oneTBB, built without it, orders its tasks.
bool run_alone(FunctionRef<void()>, int) { return false; }
#else
bool run_alone(FunctionRef<void()> body, int threads) {
    Arenas* const arenas = Arenas::instance();
    if (arenas == nullptr) return false;
    arenas->of(threads).execute([&] {
        tbb::this_task_arena::isolate([&] {
            const MaskScope scope(threads);
            body();
        });
    });
    return true;
}
#endif

}  // namespace

int max_threads() {
    static constinit std::atomic<int> known{0};
    int threads = known.load(std::memory_order_relaxed);
    if (threads == 0) known.store(threads = configured_threads(), std::memory_order_relaxed);
    return threads;
}

int num_threads() { return thread_mask != 0 ? thread_mask : max_threads(); }

void set_num_threads(int n, Location where) {
    if (n < 1 || n > thread_count_limit) {
        throw Error(ErrorKind::usage,
                    "set_num_threads(" + std::to_string(n) +
                        "): the number of threads is from 1 to " +
                        std::to_string(thread_count_limit),
                    where);
    }
    thread_mask = n;
}

void parallel_for(std::int64_t n, std::int64_t grain,
                  FunctionRef<void(std::int64_t begin, std::int64_t end)> body, bool brief) {
    if (n <= 0) return;
    grain = std::max<std::int64_t>(grain, 1);
    const int threads = num_threads();
    if (n <= grain || threads == 1) {
        body(0, n);
        return;
    }
    // Grains are dealt evenly to the pieces; ceilings, so that no piece is empty.
    const std::int64_t grains = (n - 1) / grain + 1;
    const std::int64_t grains_per_piece = (grains - 1) / (threads * pieces_per_thread) + 1;
    const std::int64_t pieces = (grains - 1) / grains_per_piece + 1;
    // The last piece may be shorter, so only a single one can be longer than n.
    Pieces work(n, pieces == 1 ? n : grains_per_piece * grain, body);
    detail::run_pieces(pieces, threads, brief && grains_per_piece <= few_grains,
                       [&](std::int64_t piece) {
                           const MaskScope scope(threads);
                           work.run(piece);
                       });
    work.rethrow();
}

bool detail::run_in_pool(FunctionRef<void()> body) {
    const int threads = num_threads();
    if (threads == 1) return false;
    return run_alone(body, threads);
}

}  // namespace kiln
