#include "jit/session/function_kernels.h"

#include "jit/session/libraries.h"

#include <kiln/error.h>

namespace kiln::tool {

/// Texts, and what points to them.
struct FunctionKernels::Made {
    Made(text::FunctionTexts given, detail::FunctionAddress function) : texts(std::move(given)) {
        for (const Remark& r : texts.remarks)
            remarks.push_back({r.file.c_str(), r.line, r.text.c_str()});
        remarks.push_back({});
        kernel = {function,
                  texts.name.c_str(),
                  body(texts.map),
                  texts.why_no_map.c_str(),
                  body(texts.program),
                  remarks.data()};
    }
    static detail::NativeBody body(const text::BodyTexts& texts) {
        if (texts.usual.empty()) return {};
        return {texts.usual.c_str(), texts.checked.c_str()};
    }
    const text::FunctionTexts texts;
    std::vector<detail::NativeRemark> remarks;
    detail::NativeKernel kernel{};
};

FunctionKernels::FunctionKernels(text::Interpreter& interpreter)
    : interpreter_(interpreter),
      texts_of_(OpenLibrary("libkiln_text.so", "kernels of C++ text need Clang",
                            OpenLibrary::Names::of_process)
                    .function<text::MakeFunctionTexts>("kiln_text_of_function")),
      source_([this](detail::FunctionAddress function, const Location& where) {
          return find(function, where);
      }) {}

const detail::NativeKernel* FunctionKernels::find(detail::FunctionAddress function,
                                                  const Location& where) {
    const std::lock_guard lock(mutex_);
    if (const auto known = made_.find(function); known != made_.end())
        return &known->second->kernel;
    const auto found = interpreter_.function_at(reinterpret_cast<std::uintptr_t>(function));
    if (!found)
        throw Error(ErrorKind::usage, "no kernel can be made of this function", where,
                    "type its body in the session, as a function that is not static");
    const auto made = std::make_shared<const Made>(texts_of_(*found), function);
    return &made_.emplace(function, made).first->second->kernel;
}

}  // namespace kiln::tool
