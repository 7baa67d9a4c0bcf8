// Kernels that were looked for in the disk cache and not found: what explain_disk_cache() says.
#pragma once
#include "jit/compile/disk_cache.h"
#include "runtime/process.h"

#include <deque>
#include <string>
#include <vector>

namespace kiln::engine {

/// Thread-safe; remembers the last ones.
class Misses {
  public:
    struct Miss {
        std::string kernel;
        std::string file;
        std::uint32_t line = 0;
        std::string key;
        std::string why;  ///< where that is known; else no entry had the key
    };
    static constexpr std::size_t most = 64, most_bytes = std::size_t(1) << 20;

    void note(Miss miss);
    /// `entries`: what there is now.
    std::vector<DiskCacheMiss> explain(const std::vector<DiskCache::Entry>& entries) const;

    /// Those of the process.
    static Misses& instance();

  private:
    mutable kiln::detail::Mutex mutex_;  // of what follows
    std::deque<Miss> misses_;
    std::size_t bytes_ = 0;  ///< of their keys
};

}  // namespace kiln::engine
