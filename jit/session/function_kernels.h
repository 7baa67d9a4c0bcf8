// Kernels of functions that inputs declared: vectorize(f), jit(f).
#pragma once
#include "dsl/text/interpreter/interpreter.h"

#include <kiln/inspect.h>
#include <kiln/native.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kiln::text {

/// A body as it usually is, and in checked mode.
struct BodyTexts {
    std::string usual, checked;
};
/// What a NativeKernel says, where a build writes it into a file and a session keeps it.
struct FunctionTexts {
    std::string name;
    BodyTexts map;
    std::string why_no_map;  ///< where `map` is empty
    BodyTexts program;
    std::vector<Remark> remarks;
};

/// extern "C" kiln_text_of_function of libkiln_text. Errors: type, unsupported (no kernel can do what it
/// does), at the lines of the inputs.
using MakeFunctionTexts = FunctionTexts (*)(const Interpreter::FunctionText& function);

}  // namespace kiln::text

namespace kiln::tool {

/// Makes them where they are first called.
class FunctionKernels {
  public:
    /// The names of libkiln_text are those of the process from then on. Errors: unsupported.
    explicit FunctionKernels(text::Interpreter& interpreter);

  private:
    struct Made;
    /// Errors: usage (no input declared it), those of MakeFunctionTexts.
    const detail::NativeKernel* find(detail::FunctionAddress function, const Location& where);

    text::Interpreter& interpreter_;
    text::MakeFunctionTexts texts_of_;
    std::mutex mutex_;
    std::map<detail::FunctionAddress, std::shared_ptr<const Made>> made_;
    detail::NativeSource source_;  // the last one: it asks for the others
};

}  // namespace kiln::tool
