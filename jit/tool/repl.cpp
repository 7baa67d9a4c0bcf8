// kiln repl: sessions of the program.
#include "jit/session/session.h"
#include "jit/tool/command.h"

#include <cstdio>

namespace kiln::tool {

Status repl(const Arguments& arguments) {
    setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    const bool goes_on = arguments.has("-k");
    Session session({.goes_on = goes_on});
    bool good = true, has_script = false;
    for (const std::string& file : arguments.words()) {
        if (!good && !goes_on) break;
        if (file.ends_with(".so")) {
            session.open_plugin(file);
        } else {
            has_script = true;
            good = session.run_file(file) && good;
        }
    }
    if (!has_script) good = session.run_input();
    session.leave(good ? 0 : 1);
}

}  // namespace kiln::tool
