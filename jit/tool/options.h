// The words of a command line.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::tool {

/// What was wrong with the command line; the tool ends with status 2.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// An option that a command takes.
struct Option {
    std::string_view name;  ///< "--json", "-k"
    /// What its value is called in the help; empty: it has none. "[=FLAGS]": it may have one.
    std::string_view value;
    std::string_view doc;
};

/// The options that were given, and the other words in their order. Options may stand anywhere;
/// after "--" nothing is one. Values follow as a word of their own or after "=".
class Arguments {
  public:
    /// Errors: UsageError (an unknown option, a value that is missing or not wanted).
    Arguments(const std::vector<std::string>& words, const std::vector<Option>& options);

    bool has(std::string_view option) const { return values_.contains(option); }
    /// Of an option that was given several times, the last; `otherwise` where it was not.
    std::string value(std::string_view option, std::string_view otherwise = {}) const;
    const std::vector<std::string>& words() const { return words_; }

  private:
    std::map<std::string, std::string, std::less<>> values_;
    std::vector<std::string> words_;
};

}  // namespace kiln::tool
