// What happens to the process as a whole while threads work: it forks, and it ends.
#pragma once
#include <kiln/error.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace kiln::detail {

/// As long as one lives, its thread may have what threads share in pieces or locked: forks wait for
/// its end, and it for theirs. Nothing of the user's runs within, so that what a fork waits for
/// ends by itself. Nests.
class Busy {
  public:
    Busy();
    ~Busy();
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
};

/// A mutex that no forked child finds locked. Who holds it is Busy.
class Mutex {
  public:
    void lock() {
        enter();
        mutex_.lock();
    }
    void unlock() {
        mutex_.unlock();
        leave();
    }

  private:
    static void enter();
    static void leave();
    std::mutex mutex_;
};

/// A recursive mutex for what may run the user's code, which no fork waits for: in a forked child
/// it is free, unless the thread that forked holds it. Where threads would wait for each other in
/// a circle, the one that would close it goes on without the mutex.
///
/// No two threads run what one UserMutex protects at once even so, if mutexes are given back in the
/// reverse order of taking. The owner of the mutex waits, by itself or through others, for one that
/// the closing thread has, and had before: it is given back after what the thread does without the
/// mutex. Should the closing thread come to wait in there, all of them wait for whom it waits for.
/// So what is protected is entered once more while another thread is suspended in it, as by
/// recursion, and never by two that run.
class UserMutex {
  public:
    void lock();
    void unlock();

  private:
    bool is_free_for(std::uint64_t thread) const;
    bool closes_a_circle(std::uint64_t thread) const;

    std::uint64_t owner_ = 0;  // a number of the thread; 0: none
    std::uint64_t generation_ = 0;
    unsigned depth_ = 0;
};

/// How many forks lie between this process and the one that loaded the library.
std::uint64_t fork_generation();

/// What the process has one of: made on first use, never destroyed, so that it is there while
/// static objects are being destroyed. Unlike with a static variable, no forked child waits for a
/// thread that was making it: threads that come at once make one each, of which one is kept.
template <class T> class Lazy {
  public:
    /// `make` gives a std::unique_ptr<T>.
    template <class F> [[gnu::always_inline]] T& get(F&& make) {
        if (T* const made = place_.load(std::memory_order_acquire)) [[likely]]
            return *made;
        return first(make);
    }
    T& get() {
        return get([] { return std::make_unique<T>(); });
    }
    /// Null before the first get().
    T* known() const { return place_.load(std::memory_order_acquire); }

  private:
    template <class F> [[gnu::cold, gnu::noinline]] T& first(F& make) {
        std::unique_ptr<T> mine = make();
        T* before = nullptr;
        if (!place_.compare_exchange_strong(before, mine.get(), std::memory_order_acq_rel))
            return *before;
        return *mine.release();
    }

    std::atomic<T*> place_{nullptr};
};

/// Work for which the static objects of other libraries have to be alive: exit waits for it before
/// it destroys those that there were when come_first_at_exit() was called last; none begins
/// afterwards.
class BeforeExit {
  public:
    /// Errors: usage, with this text (the process is ending).
    explicit BeforeExit(const std::string& refusal);
    ~BeforeExit();
    BeforeExit(const BeforeExit&) = delete;
    BeforeExit& operator=(const BeforeExit&) = delete;
};

/// From now on exit waits for such work before the destructors of all static objects that there are
/// by now. Takes some 10 us.
void come_first_at_exit();

}  // namespace kiln::detail
