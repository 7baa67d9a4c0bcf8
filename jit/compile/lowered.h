// What passes make of traced kernels: once for equal ones, as long as it is remembered.
#pragma once
#include "codegen/passes/pass.h"
#include "jit/compile/backend.h"
#include "runtime/process.h"

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

namespace kiln::engine {

/// What passes had to say.
struct PassWords {
    codegen::Decisions decisions;
    unsigned loops_found = 0, loops_left = 0;  ///< as of PassContext
};

/// The same; where what the passes make was found on the disk, found out when it is asked for first.
/// Thread-safe.
class PassReport {
  public:
    explicit PassReport(PassWords words) : words_(std::move(words)) {}
    explicit PassReport(std::function<PassWords()> find) : find_(std::move(find)) {}
    const PassWords& words() const;
    /// They are known to have had nothing to say.
    bool is_silent() const;

  private:
    mutable kiln::detail::Mutex mutex_;  // of what follows
    mutable std::function<PassWords()> find_;
    mutable PassWords words_;
};

/// All that it depends on what passes make of a kernel, and what code is made from that: names and
/// lines too, since reports speak of them.
struct LoweringInput {
    ir::Kernel kernel;  ///< as traced, with the layouts of the call
    codegen::PassOptions passes;
    CompileOptions code;
    std::string target_id;
    bool operator==(const LoweringInput&) const = default;
};

struct Lowered {
    ir::Kernel kernel;
    CompileOptions options;  ///< flags_of_data: where the kernel allows it
    std::string key;         ///< content_key
    std::shared_ptr<const PassReport> report;
};

/// Programs make the same kernels again and again, in functions that they call: passes take some
/// ten times as long as tracing them. Thread-safe; forgets what was used the longest time ago.
class LoweredCache {
  public:
    struct Limits {
        std::size_t kernels = 256;
        std::size_t bytes = std::size_t(4) << 20;
    };
    using Lower = std::function<std::shared_ptr<const Lowered>(const LoweringInput&)>;

    explicit LoweredCache(Limits limits) : limits_(limits) {}
    LoweredCache() : LoweredCache(Limits()) {}
    LoweredCache(const LoweredCache&) = delete;
    LoweredCache& operator=(const LoweredCache&) = delete;

    /// What became of an equal input, or becomes of this one. What `lower` throws is not remembered.
    std::shared_ptr<const Lowered> get(LoweringInput input, const Lower& lower);
    std::size_t size() const;

    /// That of the process.
    static LoweredCache& instance();

  private:
    struct Entry {
        std::size_t hash;
        LoweringInput input;
        std::shared_ptr<const Lowered> lowered;
        std::size_t bytes() const;
    };
    using Entries = std::list<Entry>;
    /// Null where there is none. The caller has the lock.
    std::shared_ptr<const Lowered> find(std::size_t hash, const LoweringInput& input);

    const Limits limits_;
    mutable kiln::detail::Mutex mutex_;  // of what follows
    Entries entries_;                    // the last used one first
    std::unordered_multimap<std::size_t, Entries::iterator> by_hash_;
    std::size_t bytes_ = 0;
};

}  // namespace kiln::engine
