// A session of C++, as the kiln program opens one, inside of this program:
//
//     kiln::interact({{"saxpy", saxpy}, {"x", x}});
//
// Programs that use this are linked with kiln::kiln_text.
#pragma once
#include <kiln/named.h>

#include <vector>

namespace kiln {

/// Lines from the terminal, or from the standard input where that is none, until Ctrl-D or :quit: C++20
/// with kiln included, and the commands of the kiln program (:help). The objects have these names, and
/// are the program's own. What is typed runs in this process, by this thread; what was typed is
/// destroyed at the end.
///
/// An input that fails or crashes leaves the program as it was before it: by a copy of the process, so
/// that the program goes on with another process number. A process with threads besides kiln's has no
/// such copies, as its threads would not be in them: the session says so, and what crashes ends the
/// program.
/// Errors: usage (a name that is none of C++), unsupported (Clang's interpreter is missing), io.
void interact(std::vector<Named> names);

}  // namespace kiln
