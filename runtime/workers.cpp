#include "runtime/workers.h"

#include "runtime/process.h"

#include <kiln/environment.h>

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace kiln::detail {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

/// How long a worker without work looks for some before it parks. A parked worker takes some 20 us
/// to come and its caller some us to wake it; one that looks is there in a fraction of one.
constexpr auto look_for_work = microseconds(60);
/// How long a caller looks for the end of the others' pieces before it parks.
constexpr auto look_for_end = microseconds(40);
constexpr auto without_yield = microseconds(4);
/// A loop of brief pieces that is done within this time wakes nobody: that would take it as long.
constexpr auto before_waking = microseconds(3);

void relax() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
}
/// Whether done() became true within `time`. Soon gives way to other threads of this CPU: one of
/// them may be what it waits for.
template <class F> bool look(microseconds time, F done) {
    const auto start = Clock::now();
    for (;;) {
        for (int i = 0; i < 16; ++i) {
            if (done()) return true;
            relax();
        }
        const auto past = Clock::now() - start;
        if (past >= time) return done();
        if (past >= without_yield) sched_yield();
    }
}

// Waiting for a change of a word, and waking who waits for it. Spurious returns are allowed.
void park(std::atomic<std::uint32_t>& word, std::uint32_t seen) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}
void unpark(std::atomic<std::uint32_t>& word, int count) {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

/// A row of pieces [begin, end) that its thread takes from the front and others from the back.
class alignas(64) Row {
  public:
    void set(std::uint32_t begin, std::uint32_t end) {
        both_.store(std::uint64_t(begin) << 32 | end, std::memory_order_relaxed);
    }
    /// The next piece, or -1.
    std::int64_t take(bool front) {
        std::uint64_t old = both_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t begin = old >> 32, end = old & 0xffffffffu;
            if (begin >= end) return -1;
            const std::uint64_t less = front ? old + (std::uint64_t(1) << 32) : old - 1;
            if (both_.compare_exchange_weak(old, less, std::memory_order_relaxed))
                return static_cast<std::int64_t>(front ? begin : end - 1);
        }
    }

  private:
    std::atomic<std::uint64_t> both_{0};
};

using Body = FunctionRef<void(std::int64_t piece)>;

/// The floating-point environment of a loop is its caller's: workers adopt it, and the flags that
/// are raised there reach the caller.
class SharedEnvironment {
  public:
    void publish() {
        word_ = read_float_word();
        x87_ = x87_control();
        raised_.store(0, std::memory_order_relaxed);
    }
    /// Of a worker, before its pieces.
    void adopt() const {
        if (read_float_word() != word_) write_float_word(word_);
        if (x87_control() != x87_) set_x87_control(x87_);
    }
    /// And after them. Flags that the caller had make no difference.
    void give_back() {
        const FloatWord raised = read_float_word() & ~word_ & float_flags;
        if (raised != 0) raised_.fetch_or(raised, std::memory_order_relaxed);
    }
    /// Of the caller, once all have left.
    void merge() const {
        const FloatWord raised = raised_.load(std::memory_order_relaxed);
        if (raised != 0) write_float_word(read_float_word() | raised);
    }

  private:
    FloatWord word_ = float_default;
    std::uint16_t x87_ = 0;
    std::atomic<FloatWord> raised_{0};
};

/// Where a loop is found by workers. A worker joins by an atomic step of `doors`, which the caller
/// closes before it waits for those that joined: so nobody touches a loop that has ended.
class alignas(64) Place {
  public:
    void open(const Body& body, std::int64_t pieces, int threads, std::uint32_t helpers) {
        body_ = &body;
        row_count_ = static_cast<std::uint32_t>(
            std::min<std::int64_t>({pieces, threads, std::int64_t(most_rows)}));
        for (std::uint32_t r = 0; r < row_count_; ++r) {
            rows_[r].set(static_cast<std::uint32_t>(pieces * r / row_count_),
                         static_cast<std::uint32_t>(pieces * (r + 1) / row_count_));
        }
        left_.store(0, std::memory_order_relaxed);
        caller_cpu_.store(sched_getcpu(), std::memory_order_relaxed);
        environment_.publish();
        doors_.store(helpers, std::memory_order_release);
    }
    /// Lets nobody in any more and waits until all have left.
    void close() {
        const std::uint32_t joined = doors_.exchange(0, std::memory_order_relaxed) / one_in;
        const auto all_left = [&] { return left_.load(std::memory_order_acquire) == joined; };
        if (all_left() || look(look_for_end, all_left)) return;
        caller_parked_.store(1, std::memory_order_seq_cst);
        for (std::uint32_t now; (now = left_.load(std::memory_order_seq_cst)) != joined;)
            park(left_, now);
        caller_parked_.store(0, std::memory_order_relaxed);
    }
    bool is_open() const { return (doors_.load(std::memory_order_relaxed) & (one_in - 1)) != 0; }
    bool join() {
        std::uint32_t seen = doors_.load(std::memory_order_relaxed);
        while ((seen & (one_in - 1)) != 0) {
            if (doors_.compare_exchange_weak(seen, seen - 1 + one_in, std::memory_order_acquire))
                return true;
        }
        return false;
    }
    void leave() {
        left_.fetch_add(1, std::memory_order_seq_cst);
        // The place may be another loop's by now, which does no harm.
        if (caller_parked_.load(std::memory_order_seq_cst) != 0) unpark(left_, 1);
    }
    SharedEnvironment& environment() { return environment_; }
    int caller_cpu() const { return caller_cpu_.load(std::memory_order_relaxed); }

    /// For the caller and who has joined. A piece for thread `me` of the loop, or -1 when all are
    /// taken: of its own row, then of the rows after it.
    std::int64_t take(std::uint32_t me) {
        for (std::uint32_t k = 0; k < row_count_; ++k) {
            const std::int64_t piece = rows_[(me + k) % row_count_].take(k == 0);
            if (piece >= 0) return piece;
        }
        return -1;
    }
    void run(std::int64_t piece) const { (*body_)(piece); }

  private:
    static constexpr std::uint32_t most_rows = 32;
    static constexpr std::uint32_t one_in = 1u << 16;  // doors: joined << 16 | may still join

    std::atomic<std::uint32_t> doors_{0};
    std::atomic<std::uint32_t> left_{0};  // of those that joined
    std::atomic<std::uint32_t> caller_parked_{0};
    std::atomic<int> caller_cpu_{-1};
    SharedEnvironment environment_;
    const Body* body_ = nullptr;
    std::uint32_t row_count_ = 0;
    std::array<Row, most_rows> rows_{};
};

/// Keeps a worker off its callers' CPU: the kernel may wake it there, where it would wait for the
/// caller or hold it up, and leave it there for long. Moving takes as long as some loops, so the
/// worker stays away from then on, and does not move often.
///
/// It moves within the CPUs that the host allows: those that the worker was left with when it was
/// started, and since then whatever others set for it. What it sets itself is only ever a part of
/// that.
class Whereabouts {
  public:
    Whereabouts() : host_(mask_of(getpid())) {}
    void avoid(int cpu) {
        if (cpu != sched_getcpu() || cpu < 0 || cpu >= CPU_SETSIZE) return;
        const auto now = Clock::now();
        if (now < next_) return;
        next_ = now + between_moves;
        // Who sets the CPUs of all threads begins with the first: it may not have come to this one.
        const cpu_set_t host = mask_of(getpid()), mine = mask_of(0);
        const bool host_acts = !CPU_EQUAL(&host, &host_);
        host_ = host;
        if (host_acts || !moved_ || !CPU_EQUAL(&mine, &chosen_)) allowed_ = mine;
        moved_ = false;
        if (host_acts) return;
        chosen_ = allowed_;
        CPU_CLR(static_cast<std::size_t>(cpu), &chosen_);
        moved_ = CPU_COUNT(&chosen_) != 0 && sched_setaffinity(0, sizeof chosen_, &chosen_) == 0;
    }

  private:
    static constexpr auto between_moves = std::chrono::milliseconds(2);
    /// Empty where the system does not tell.
    static cpu_set_t mask_of(pid_t thread) {
        cpu_set_t mask;
        if (sched_getaffinity(thread, sizeof mask, &mask) != 0) CPU_ZERO(&mask);
        return mask;
    }
    cpu_set_t host_;              // of the process's first thread
    cpu_set_t allowed_, chosen_;  // to this one, by the host and by itself
    bool moved_ = false;          // it has what it chose, unless others changed that
    Clock::time_point next_{};
};

class Pool {
  public:
    /// Never destroyed: threads that end after main may still run loops, which then find no
    /// workers. A forked child makes its own, since no worker of its parent's exists there.
    static Pool& instance();
    bool is_of_this_process() const { return generation_ == fork_generation(); }

    void run(const Body& body, std::int64_t pieces, int threads, bool brief) {
        const auto helpers =
            static_cast<std::uint32_t>(std::min<std::int64_t>(threads - 1, pieces - 1));
        const std::uint64_t bit = helpers == 0 ? 0 : occupy();
        if (bit == 0) {  // or as many loops at once as there are places
            for (std::int64_t p = 0; p < pieces; ++p) body(p);
            return;
        }
        ensure_workers(helpers);
        Place& place = place_of(bit);
        place.open(body, pieces, threads, helpers);
        active_.fetch_or(bit, std::memory_order_seq_cst);
        work(place, helpers, brief);
        active_.fetch_and(~bit, std::memory_order_relaxed);
        place.close();
        place.environment().merge();
        occupied_.fetch_and(~bit, std::memory_order_release);
    }
    void stop() {
        std::vector<std::thread> workers;
        {
            const std::lock_guard lock(growing_);
            stopping_.store(true, std::memory_order_seq_cst);
            workers.swap(workers_);
        }
        wake(thread_count_limit);
        for (std::thread& worker : workers) {
            if (worker.get_id() == std::this_thread::get_id())
                worker.detach();  // a piece ends the program
            else
                worker.join();
        }
    }

  private:
    /// The caller's part of the work, and the waking of the others.
    void work(Place& place, std::uint32_t helpers, bool brief) {
        bool to_wake = parked_.load(std::memory_order_seq_cst) != 0;
        const auto wake_others = [&] {
            wake(static_cast<int>(helpers));
            to_wake = false;
        };
        if (to_wake && !brief) wake_others();
        const auto start = to_wake ? Clock::now() : Clock::time_point();
        for (std::int64_t p; (p = place.take(0)) >= 0;) {
            if (to_wake && Clock::now() - start >= before_waking) wake_others();
            place.run(p);
        }
    }
    /// That of the lowest bit.
    Place& place_of(std::uint64_t bits) {
        return places_[static_cast<std::size_t>(std::countr_zero(bits))];
    }
    /// A bit of a place that is free, or 0.
    std::uint64_t occupy() {
        std::uint64_t seen = occupied_.load(std::memory_order_relaxed);
        while (~seen != 0) {
            const std::uint64_t bit = ~seen & (seen + 1);
            if (occupied_.compare_exchange_weak(seen, seen | bit, std::memory_order_acquire))
                return bit;
        }
        return 0;
    }
    void wake(int count) {
        calls_.fetch_add(1, std::memory_order_seq_cst);
        unpark(calls_, count);
    }
    void ensure_workers(std::uint32_t count) {
        if (worker_count_.load(std::memory_order_relaxed) >= count) [[likely]]
            return;
        const std::lock_guard lock(growing_);
        if (stopping_.load(std::memory_order_relaxed)) return;
        // Workers take no signals that are sent: those are for the threads of the program. What a
        // piece raises by its own fault reaches the program's handlers.
        sigset_t sent, before;
        sigfillset(&sent);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS})
            sigdelset(&sent, fault);
        pthread_sigmask(SIG_SETMASK, &sent, &before);
        try {
            while (workers_.size() < count) {
                const auto number = static_cast<std::uint32_t>(workers_.size() + 1);
                workers_.emplace_back([this, number] { attend(number); });
            }
        } catch (const std::system_error&) {
            // The system has no more threads. Those there are do the work, if need be the caller
            // alone.
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        worker_count_.store(count, std::memory_order_relaxed);
    }

    /// What worker `number` (from 1) does.
    void attend(std::uint32_t number) {
        pthread_setname_np(pthread_self(), "kiln worker");
        Whereabouts whereabouts;
        while (!stopping_.load(std::memory_order_relaxed)) {
            const bool found = look(look_for_work, [&] {
                return active_.load(std::memory_order_relaxed) != 0 && help(number, whereabouts);
            });
            if (found) continue;
            parked_.fetch_add(1, std::memory_order_seq_cst);
            const std::uint32_t calls = calls_.load(std::memory_order_seq_cst);
            // Who publishes a loop after this sees that one is parked.
            if (!stopping_.load(std::memory_order_seq_cst) && !joinable()) park(calls_, calls);
            parked_.fetch_sub(1, std::memory_order_seq_cst);
            help(number, whereabouts);
        }
    }
    bool joinable() {
        for (std::uint64_t left = active_.load(std::memory_order_seq_cst); left != 0;
             left &= left - 1) {
            if (place_of(left).is_open()) return true;
        }
        return false;
    }
    /// Joins the loops there are; whether there was one.
    bool help(std::uint32_t number, Whereabouts& whereabouts) {
        bool helped = false;
        for (std::uint64_t left = active_.load(std::memory_order_acquire); left != 0;
             left &= left - 1) {
            Place& place = place_of(left);
            if (!place.join()) continue;
            whereabouts.avoid(place.caller_cpu());
            place.environment().adopt();
            for (std::int64_t p; (p = place.take(number)) >= 0;) place.run(p);
            place.environment().give_back();
            place.leave();
            helped = true;
        }
        return helped;
    }

    alignas(64) std::atomic<std::uint64_t> active_{0};  // places whose loops may have pieces
    alignas(64) std::atomic<std::uint64_t> occupied_{0};
    alignas(64) std::atomic<std::uint32_t> calls_{0};  // what parked workers wait on
    std::atomic<std::uint32_t> parked_{0};
    std::atomic<std::uint32_t> worker_count_{0};  // asked for; the system may have refused some
    std::atomic<bool> stopping_{false};
    const std::uint64_t generation_ = fork_generation();
    std::mutex growing_;
    std::vector<std::thread> workers_;
    std::array<Place, 64> places_{};
};

constinit std::atomic<Pool*> latest_pool{nullptr};

Pool& Pool::instance() {
    Pool* known = latest_pool.load(std::memory_order_acquire);
    if (known != nullptr && known->is_of_this_process()) [[likely]]
        return *known;
    auto made = std::make_unique<Pool>();
    // Of threads that come here at once, one puts its own there.
    if (!latest_pool.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel))
        return *known;
    return *made.release();
}

/// Workers end with the program, or when the library is unloaded.
const struct Stop {
    ~Stop() {
        Pool* const pool = latest_pool.load(std::memory_order_acquire);
        if (pool != nullptr && pool->is_of_this_process()) pool->stop();
    }
} stop;

}  // namespace

void run_pieces(std::int64_t pieces, int threads, bool brief,
                FunctionRef<void(std::int64_t piece)> run) {
    Pool::instance().run(run, pieces, threads, brief);
}

}  // namespace kiln::detail
