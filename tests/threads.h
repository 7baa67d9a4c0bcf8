// How many threads loops use, for a scope; whether forked children may have any.
#pragma once
#include "tests/catch.h"

#include <kiln/parallel.h>

namespace kiln::test {

class Threads {
  public:
    explicit Threads(int n) { set_num_threads(n); }
    ~Threads() { set_num_threads(before_); }
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

  private:
    int before_ = num_threads();
};

/// False, with a line in the test's output, under ThreadSanitizer: it ends a forked child that
/// starts a thread.
inline bool forked_children_may_have_threads() {
#if defined(__SANITIZE_THREAD__)
    WARN("skipped: ThreadSanitizer lets no forked child start threads");
    return false;
#else
    return true;
#endif
}

}  // namespace kiln::test
