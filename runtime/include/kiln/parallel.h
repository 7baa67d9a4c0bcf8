// Parallel loops over a shared pool of threads.
#pragma once
#include <kiln/error.h>

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace kiln {

/// A reference to something callable: two words, no ownership, no allocation. The callable must
/// outlive it.
template <class Signature> class FunctionRef;
template <class R, class... Args> class FunctionRef<R(Args...)> {
  public:
    template <class F>
        requires(std::is_invocable_r_v<R, F&, Args...> &&
                 !std::is_same_v<std::remove_cvref_t<F>, FunctionRef> &&
                 !std::is_function_v<std::remove_reference_t<F>>)
    FunctionRef(F&& function)
        : object_(const_cast<void*>(static_cast<const void*>(&function))),
          call_([](void* object, Args... args) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(object))(
                  std::forward<Args>(args)...);
          }) {}

    R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

  private:
    void* object_;
    R (*call_)(void*, Args...);
};

/// Calls body(begin, end) on pieces that together cover [0, n) once each. Every piece begins at a
/// multiple of `grain` and, but for the last, has a multiple of `grain` as its length; grain < 1
/// counts as 1. The caller works too. Serial (one call, in the caller) where n <= grain or
/// num_threads() is 1; n <= 0 calls nothing.
///
/// Threads that sleep are woken at once, which takes the caller some 10 us; `brief` says that a
/// grain takes some us at most, so that they need be woken only once the loop has run for some us.
///
/// Nested calls and concurrent callers are safe. When pieces throw, the exception of the piece with
/// the lowest begin is rethrown to the caller, once no piece is running any more; pieces after it
/// may not have run. A child process of fork() has threads of its own.
void parallel_for(std::int64_t n, std::int64_t grain,
                  FunctionRef<void(std::int64_t begin, std::int64_t end)> body, bool brief = false);

/// The greatest value that set_num_threads takes.
inline constexpr int thread_count_limit = 256;

/// How many threads parallel_for may use when called from this thread (and from pieces that it
/// runs). Initially max_threads(). More than max_threads() is allowed and oversubscribes the
/// machine; outside 1..thread_count_limit is a usage error.
void set_num_threads(int n, Location where = std::source_location::current());
int num_threads();

/// The CPUs this process may run on, or the environment variable KILN_NUM_THREADS where set. A
/// usage error if that is no number from 1 to thread_count_limit.
int max_threads();

}  // namespace kiln
