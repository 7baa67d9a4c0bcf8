// Objects by content, in a folder: what <kiln/disk_cache.h> says.
#pragma once
#include <kiln/disk_cache.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::engine {

/// Thread-safe, and safe beside other processes with the same folder. Nothing here throws because
/// of what is on the disk, or isn't.
class DiskCache {
  public:
    struct Settings {
        std::string folder;
        bool reads = true, writes = true;
        std::string reason = {};  ///< why not
        std::uint64_t bound = std::uint64_t(256) << 20;

        /// Errors: usage.
        static Settings of_environment();
    };

    explicit DiskCache(Settings settings);
    DiskCache(const DiskCache&) = delete;
    DiskCache& operator=(const DiskCache&) = delete;

    /// What was stored under the key; nothing where no whole entry of it is there.
    std::optional<std::vector<std::byte>> find(std::string_view key);
    void insert(std::string_view key, std::span<const std::byte> object);
    /// What find() gave was of no use: it is not found again.
    void refuse(std::string_view key);
    DiskCacheInfo info() const;

    /// A file of the folder that is, or should be, one of this user's entries.
    struct Entry {
        std::string path;
        std::uint64_t bytes = 0;
        std::int64_t used = 0;  ///< seconds since 1970
        bool is_whole = false;
        std::string key = {};  ///< where it is whole
    };
    /// All there are, those used last first; reads them whole.
    std::vector<Entry> entries() const;
    /// Removes them, and what was left unfinished; how many entries went.
    std::size_t clear();

    /// That of the process. Errors: usage, anew each time.
    static DiskCache& instance();

  private:
    std::string path_of(std::string_view key) const;
    bool write(const std::string& path, std::string_view key, std::span<const std::byte> object);
    void trim() const;

    Settings settings_;
    std::atomic<std::uint64_t> hits_{0}, misses_{0}, stored_{0}, damaged_{0}, failed_{0}, turn_;
};

}  // namespace kiln::engine
