// A note to the user about what was or was not done.
#pragma once
#include <cstdint>
#include <string>

namespace kiln {

/// What an optimisation did or refused, in the user's lines and names.
struct Remark {
    std::string file;        ///< empty where no line is known
    std::uint32_t line = 0;  ///< from 1 on
    std::string text;        ///< what is said
    bool operator==(const Remark&) const = default;
};

}  // namespace kiln
