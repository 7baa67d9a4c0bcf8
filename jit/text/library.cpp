#include "jit/text/library.h"

#include "dsl/text/front_end.h"
#include "jit/text/embed.h"
#include "jit/text/function.h"

namespace kiln::text {
namespace {

Mode mode_of(const Source& source, const std::string& function, std::source_location where) {
    const std::shared_ptr<const Function> f = function_of(source, function, where);
    const Declaration& d = f->declaration;
    if (d.count(Passing::neighbors) > 0) return Mode::stencil;
    return d.count(Passing::in) + d.count(Passing::inout) > 0 ? Mode::jit : Mode::vectorize;
}

}  // namespace

extern "C" [[gnu::visibility("default")]] const Library* kiln_text_library() {
    static constexpr Library library{.file = Source::file,
                                     .mode_of = mode_of,
                                     .vectorize = vectorize,
                                     .guvectorize = guvectorize,
                                     .stencil = stencil,
                                     .loop_function = detail::loop_function,
                                     .embedded = embedded};
    return &library;
}

extern "C" [[gnu::visibility("default")]] FunctionTexts kiln_text_of_function(
    const Interpreter::FunctionText& function) {
    return texts_of(function);
}

}  // namespace kiln::text
