#include <kiln/interact.h>

#include "jit/session/session.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

namespace kiln {
namespace {

/// The threads of this process that a copy of it would lack: all but the caller, and kiln's, which are
/// made anew there.
int other_threads() {
    int count = -1;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(task.path() / "comm");
        const std::string name(std::istreambuf_iterator<char>(file), {});
        if (name != "kiln worker\n") ++count;
    }
    return count;
}

}  // namespace

void interact(std::vector<Named> names) {
    const int threads = other_threads();
    if (threads > 0)
        fmt::print(
            stderr,
            "this program has {} other thread{}, which no copy of it would have: an input that "
            "crashes ends it\n",
            threads, threads == 1 ? "" : "s");
    tool::Session session({.copies = threads == 0});
    session.name(names);
    session.run_input();
}

}  // namespace kiln
