// What kiln finds on a machine.
#pragma once
#include <kiln/disk_cache.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::tool {

/// What is looked at. Tests have machines of their own.
class Machine {
  public:
    virtual ~Machine() = default;
    /// The environment, as NAME=VALUE.
    virtual std::vector<std::string> environment() const = 0;
    /// The text of a file; nothing where it can't be read.
    virtual std::optional<std::string> file(const std::string& path) const = 0;
    /// Where the first of these libraries that opens was found; empty: none does.
    virtual std::string find_library(const std::vector<std::string>& names) const = 0;
    virtual int cpus() const = 0;  ///< that this process may run on
    /// Errors: usage, as disk_cache_info().
    virtual DiskCacheInfo cache() const = 0;
    /// Gigabytes a second that one thread copies in large arrays, reading and writing counted.
    virtual double bandwidth() const = 0;
    /// The folder of kiln's libraries, with a '/' at the end.
    virtual std::string folder() const = 0;

    /// The value of a variable; empty where it is not set.
    std::string variable(std::string_view name) const;
    static const Machine& here();
};

struct Finding {
    enum class State : std::uint8_t {
        fine,
        missing,  ///< kiln works without it
        broken,   ///< it doesn't
    };
    std::string topic, name, value;
    State state = State::fine;
    std::string remedy = {};  ///< a command
};

std::vector<Finding> examine(const Machine& machine);

/// As `kiln doctor` prints them.
std::string findings_text(const std::vector<Finding>& findings);
std::string findings_json(const std::vector<Finding>& findings);

}  // namespace kiln::tool
