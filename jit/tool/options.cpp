#include "jit/tool/options.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace kiln::tool {

Arguments::Arguments(const std::vector<std::string>& words, const std::vector<Option>& options) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "--") {
            words_.insert(words_.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                          words.end());
            return;
        }
        const bool is_number = word.size() > 1 && (word[1] == '.' || std::isdigit(word[1]) != 0);
        if (word.size() < 2 || word[0] != '-' || is_number) {
            words_.push_back(word);
            continue;
        }
        const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
        const std::string name = word.substr(0, equals);
        const auto option = std::ranges::find(options, name, &Option::name);
        if (option == options.end()) throw UsageError(fmt::format("unknown option {}", name));
        if (option->value.empty() || (option->value[0] == '[' && equals == std::string::npos)) {
            if (equals != std::string::npos)
                throw UsageError(fmt::format("{} takes no value", name));
            values_[name];
        } else if (equals != std::string::npos) {
            values_[name] = word.substr(equals + 1);
        } else if (i + 1 < words.size()) {
            values_[name] = words[++i];
        } else {
            throw UsageError(fmt::format("{} needs a value: {} {}", name, name, option->value));
        }
    }
}

std::string Arguments::value(std::string_view option, std::string_view otherwise) const {
    const auto found = values_.find(option);
    return found == values_.end() ? std::string(otherwise) : found->second;
}

}  // namespace kiln::tool
