#include "jit/call/arity.h"

#include <fmt/format.h>

namespace kiln::engine {

std::string counted(std::size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void throw_wrong_arity(const std::string& name, std::size_t takes, std::size_t given, Given what,
                       Location where) {
    throw Error(ErrorKind::usage,
                fmt::format("{} takes {}, {}{} given", name, counted(takes, "argument"), given,
                            what == Given::types ? " types" : ""),
                where);
}

void check_param_names(const std::string& name, std::size_t count,
                       std::span<const std::string> params, Location where) {
    if (params.empty() || params.size() == count) return;
    throw Error(ErrorKind::usage,
                fmt::format("{} has {}, .params names {}", name, counted(count, "parameter"),
                            params.size()),
                where);
}

}  // namespace kiln::engine
