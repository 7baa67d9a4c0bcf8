// A process that goes back to where it was before something killed it.
//
// A session runs C++ that may do anything, in an interpreter that does not survive all that it
// refuses. Before each input the process forks a copy of itself, which waits. Where the input ends
// well, the copy goes; where it fails, or kills the process, the process goes and the copy is the
// session from then on, as if the input had never been: with all variables, kernels and machine
// code, by fork and not by any list of what there is. Parsing in a child first would find what does
// not compile at twice the cost of every input, and neither crashes nor exceptions half way through
// a declaration.
//
// A small process that was forked before all others supervises: the shell waits for it, it is told
// of the end of each, and wakes the copy.
#pragma once
#include <kiln/parallel.h>

#include <sys/resource.h>

#include <string>

namespace kiln::tool {

class Checkpoints {
  public:
    /// Forks; the process that supervises ends in here, with the status of the session. Call it
    /// before there are threads. Errors: io.
    Checkpoints() : Checkpoints(true) {}
    /// Without `copies` nothing is forked: an input that fails leaves what it has done, one that kills
    /// the process ends it.
    explicit Checkpoints(bool copies);
    /// What a session sets for the process is as before; nothing is attempted any more.
    ~Checkpoints();
    Checkpoints(const Checkpoints&) = delete;
    Checkpoints& operator=(const Checkpoints&) = delete;

    /// How an input ended.
    struct Outcome {
        bool is_kept = false;
        int signal = 0;  ///< that killed the process; 0: the input failed by itself
    };
    /// The input that runs is known to have failed, and this was said: whatever kills the process
    /// now is no news.
    void input_failed();

    /// Runs `input`. Where that returns false, or kills the process, this returns in a copy of it
    /// from before the call. Signals from the terminal kill the process meanwhile. Errors: io (no
    /// copy can be made; `input` did not run).
    Outcome attempt(FunctionRef<bool()> input);

  private:
    struct Shared;
    Shared* shared_ = nullptr;  // null: there are no copies
    int wake_ = -1;             // the copy reads a byte from it
    rlim_t dumps_ = 0;          // how large those of the process were to be
};

/// "SIGFPE (a division by zero, for integers)".
std::string signal_text(int signal);

}  // namespace kiln::tool
