// The key of machine code, taken apart for people: what it names, and where two of them differ.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::engine {

struct KeyParts {
    /// "vector unit", "avx2"; in the order of the key.
    std::vector<std::pair<std::string_view, std::string_view>> fields;
    std::vector<std::string_view> lines;  ///< the kernel after the passes
};
/// Of a key of the CPU's code (content_key, or its beginning, the name of a target), which outlives it.
KeyParts key_parts(std::string_view key);
KeyParts key_parts(std::string&& key) = delete;  // the parts are within the key

/// "the build of kiln is 5f2e..., not 77aa..., the vector unit is avx2, not avx512"; empty where no field
/// differs. A field that one of them has not is "nothing".
std::string field_differences(const KeyParts& there, const KeyParts& here);

}  // namespace kiln::engine
