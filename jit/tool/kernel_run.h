// A function of a file of C++ as a kernel, with the arguments that words tell.
#pragma once
#include "jit/tool/options.h"
#include "jit/tool/run_arguments.h"
#include "jit/tool/text_library.h"

#include <kiln/kiln.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiln::tool {

/// An argument of the kernel, with what it is in this run.
struct Given {
    RunArgument word;
    Array array = {};

    bool is_array() const { return word.kind != RunArgument::Kind::number; }
    Arg arg() const { return is_array() ? Arg(array) : Arg(word.number); }
};

/// A kernel with its arguments.
struct KernelRun {
    using Result = std::variant<Scalar, Array>;
    std::vector<Given> given;                   ///< of element-wise kernels the outputs
    std::function<std::vector<Result>()> call;  ///< what it returns
};

/// `words` are arguments; options are those of text_options.h, and --boundary. Errors: UsageError, io (a
/// file), those of the text.
KernelRun make_run(const Arguments& arguments, text::Mode mode, const text::Source& source,
                   const std::string& function, std::span<const std::string> words);

/// The value of an option, from 1 on. Errors: UsageError.
int whole_number(const Arguments& arguments, std::string_view option, int otherwise);

}  // namespace kiln::tool
