// Entries of disk caches in one file: what <kiln/bundle.h> says.
#pragma once
#include <kiln/bundle.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kiln::engine {

/// A mark and the number of bytes that follow: entries as in files of the disk cache.
class Bundle {
  public:
    /// Errors: io (the file cannot be read; it is no bundle, or no whole one).
    explicit Bundle(const std::string& path);
    Bundle(const Bundle&) = delete;
    Bundle& operator=(const Bundle&) = delete;

    std::optional<std::span<const std::byte>> find(std::string_view key) const;
    std::vector<std::string_view> keys() const;

  private:
    std::vector<std::byte> file_;
    std::unordered_map<std::string_view, std::span<const std::byte>> objects_;  // in the file
};

/// Whether this process could use what has the key: entries for this CPU, or for any of its level.
bool is_usable(std::string_view key);

/// Writes the bundles' entries and the files, which are entries of the disk cache, each key once.
/// Errors: io.
BundleInfo write_bundle(const std::string& path, const std::vector<std::string>& bundles,
                        const std::vector<std::string>& entry_files);

}  // namespace kiln::engine
