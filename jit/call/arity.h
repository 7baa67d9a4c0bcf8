// What is wrong with the number of arguments, in the same words for every kind of kernel.
#pragma once
#include <kiln/error.h>

#include <span>
#include <string>

namespace kiln::engine {

/// "1 argument", "2 arguments".
std::string counted(std::size_t count, const char* what);

/// What a call, or `inspect`, gives.
enum class Given : std::uint8_t { arguments, types };

/// Errors: usage, "NAME takes 2 arguments, 1 given" ("1 types given").
[[noreturn]] void throw_wrong_arity(const std::string& name, std::size_t takes, std::size_t given,
                                    Given what, Location where);
inline void check_arity(const std::string& name, std::size_t takes, std::size_t given,
                        Location where, Given what = Given::arguments) {
    if (takes != given) [[unlikely]]
        throw_wrong_arity(name, takes, given, what, where);
}

/// Errors: usage (.params names another number of parameters than there are).
void check_param_names(const std::string& name, std::size_t count,
                       std::span<const std::string> params, Location where);

}  // namespace kiln::engine
