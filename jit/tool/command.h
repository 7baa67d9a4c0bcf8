// The commands of the tool, a row each in main.cpp.
#pragma once
#include "jit/tool/options.h"

#include <string_view>
#include <vector>

namespace kiln::tool {

enum class Status : int { good = 0, failed = 1, usage = 2 };

/// A word after `kiln`. Its function throws UsageError, or kiln::Error (status 1).
struct Command {
    std::string_view name;
    std::string_view words;  ///< what follows it, for the help
    std::string_view doc;    ///< one line
    std::vector<Option> options;
    Status (*run)(const Arguments& arguments);
};

Status doctor(const Arguments& arguments);
Status cache(const Arguments& arguments);
Status annotate(const Arguments& arguments);
Status inspect(const Arguments& arguments);
Status repl(const Arguments& arguments);
Status run(const Arguments& arguments);
Status bench(const Arguments& arguments);
Status embed(const Arguments& arguments);
Status export_object(const Arguments& arguments);

}  // namespace kiln::tool
