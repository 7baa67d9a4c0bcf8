// Bodies of functions that were made into kernels elsewhere, as a part of the kernel that is traced.
#pragma once
#include "dsl/trace/trace.h"

#include <span>
#include <string_view>
#include <vector>

namespace kiln::dsl {

/// What stands for a parameter of the body: a node, or the number of an array parameter.
struct Replaced {
    bool is_array = false;
    ir::Id value = ir::none;
    std::uint32_t param = 0;
};

/// The value as what parameter `name` of a function of C++ is given: an array's elements are not
/// narrowed, a number of the caller stays within its kind. Errors: type, with this hint.
DType fitting(const ir::Builder& b, ir::Id given, DType to, std::string_view name,
              std::string_view function, const Location& where, std::string_view hint);

/// Adds the only stage of `body`, a map or a program without reductions, whose first parameters are
/// its arguments and the rest its results. Gives the results, with the fast flags that both the body's
/// operations and the builder have.
std::vector<ir::Id> replay(const ir::Kernel& body, std::span<const Replaced> arguments,
                           Trace& trace);

}  // namespace kiln::dsl
