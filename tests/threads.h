// How many threads loops use, for a scope.
#pragma once
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

}  // namespace kiln::test
