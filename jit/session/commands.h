// What follows a colon in a session.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace kiln::tool {

class Session;

/// Runs a command, `text` without its colon; false: it failed, and has said so.
bool run_command(Session& session, std::string_view text);

/// The names of commands that begin with `text`, without that beginning.
std::vector<std::string> complete_command(std::string_view text);

/// Whether the first word after the command is the name of a file.
bool takes_a_file(std::string_view command);

}  // namespace kiln::tool
