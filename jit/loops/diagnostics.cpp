#include "jit/loops/diagnostics.h"

#include "codegen/passes/kernel_plan.h"

#include <fmt/format.h>

namespace kiln::engine {

std::string diagnostics_text(const std::string& kernel, const PassWords& words, int level) {
    std::string text = fmt::format("{}: {} parallel loops found, {} left\n", kernel,
                                   words.loops_found, words.loops_left);
    const auto add = [&](const std::vector<Remark>& list) {
        for (const Remark& r : list)
            text +=
                fmt::format("  {}:{}: {}\n", Location(r.file, r.line).short_file(), r.line, r.text);
    };
    if (level > 0) add(words.decisions.remarks());
    if (level > 1) add(words.decisions.remarks(codegen::Shown::hoisted));
    return text;
}

std::string diagnostics_json(const std::string& kernel, const PassWords& words, int level) {
    using codegen::json_string;
    const auto list = [&](const std::vector<Remark>& all, bool wanted) {
        std::string text = "[";
        for (std::size_t i = 0; wanted && i < all.size(); ++i) {
            const Remark& r = all[i];
            text +=
                fmt::format("{}{{\"file\": {}, \"line\": {}, \"text\": {}}}", i == 0 ? "" : ", ",
                            json_string(r.file), r.line, json_string(r.text));
        }
        return text + ']';
    };
    std::string text = fmt::format("{{\"kernel\": {}, \"found\": {}, \"left\": {}, \"remarks\": {}",
                                   json_string(kernel), words.loops_found, words.loops_left,
                                   list(words.decisions.remarks(), level > 0));
    if (level > 1)
        text += ", \"hoisted\": " + list(words.decisions.remarks(codegen::Shown::hoisted), true);
    return text + '}';
}

}  // namespace kiln::engine
