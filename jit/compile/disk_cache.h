// Objects by content, in a folder: what <kiln/disk_cache.h> says.
#pragma once
#include "runtime/process.h"

#include <kiln/disk_cache.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::engine {

class Bundle;

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

    /// What an entry holds: machine code, or PTX; or a kernel after its passes (passed_kernel.h).
    enum class Kind : std::uint8_t { code, passes };

    /// What was stored under the key; nothing where no whole entry of it is there. Keys of different
    /// kinds differ; hits, misses and what is stored are counted of code alone.
    /// `why` is told why not, unless there is nothing but no entry.
    std::optional<std::vector<std::byte>> find(std::string_view key, Kind kind = Kind::code,
                                               std::string* why = nullptr);
    void insert(std::string_view key, std::span<const std::byte> object, Kind kind = Kind::code);
    /// The same in the bundles that were added.
    std::optional<std::vector<std::byte>> find_bundled(std::string_view key,
                                                       Kind kind = Kind::code);
    /// What find() gave was of no use: it is not found again.
    void refuse(std::string_view key);
    DiskCacheInfo info() const;
    /// Whether there is anywhere to look.
    bool reads() const { return settings_.reads || has_bundles(); }
    bool has_bundles() const { return has_bundles_.load(std::memory_order_acquire); }
    /// What it has is found from now on, as long as this lives.
    void add(std::shared_ptr<const Bundle> bundle);

    /// A file of the folder that is, or should be, one of this user's entries.
    struct Entry {
        std::string path;
        std::uint64_t bytes = 0;
        std::int64_t used = 0;  ///< seconds since 1970
        Kind kind = Kind::code;
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
    std::string path_of(std::string_view key, Kind kind) const;
    bool write(const std::string& path, std::string_view key, std::span<const std::byte> object);
    void trim() const;

    Settings settings_;
    std::atomic<std::uint64_t> hits_{0}, misses_{0}, stored_{0}, damaged_{0}, failed_{0},
        passes_skipped_{0}, turn_;
    std::atomic<bool> has_bundles_{false};
    mutable kiln::detail::Mutex mutex_;  // of what follows
    std::vector<std::shared_ptr<const Bundle>> bundles_;
};

}  // namespace kiln::engine
