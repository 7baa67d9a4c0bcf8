// What the threads of a launch touch, and what is wrong with it: races, reads of shared memory that nobody
// has written, accesses beyond arrays and beyond shared variables.
#pragma once
#include "jit/sim/blocks.h"
#include "jit/sim/traffic.h"

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln::sim {

class Memory;

/// Where compiled text touches memory; each place has one, which starts with zeros behind the line.
struct Site {
    const char* file;
    std::uint32_t line;
    std::uint32_t number;   ///< of the process, from 1 on
    const void* range;      ///< where it touched memory last, ...
    std::uint64_t version;  ///< ... as long as Memory has this version
};

/// What an access is, in one word.
struct Access {
    std::uint32_t bytes;
    bool writes;
    bool atomic;  ///< or volatile
};
constexpr std::uint32_t pack(Access a) {
    return a.bytes << 2 | (a.atomic ? 2u : 0u) | (a.writes ? 1u : 0u);
}
constexpr Access unpacked(std::uint32_t word) {
    return {word >> 2, (word & 1) != 0, (word & 2) != 0};
}

/// What compiled text says before each access.
extern "C" void kiln_sim_access(const void* at, std::uint32_t packed_access, Site* site);

class Memory final : public Watch {
  public:
    Memory();
    ~Memory() override;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    /// Memory that threads may touch. `name`: what findings call it.
    void add(const void* at, std::size_t bytes, std::string name, bool shared = false);
    void remove(const void* at);

    /// From now on what launches do is counted, by line.
    void count_traffic() { traffic_.emplace(); }
    /// A line of text, or two, for each line that touched memory; nothing where nobody asked for counting.
    std::string traffic() const;

    void begin_launch() override;
    void end_launch() override;
    void begin_block() override;
    void begin_phase() override;
    void begin_warp_phase(unsigned warp) override;
    void atomic(const void* at, unsigned bytes, Line line) override;
    void touch(std::uintptr_t at, const Access& access, Site& site);

  private:
    /// Who touched an element, when and where.
    struct Touch {
        std::uint32_t block = 0, phase = 0, warp_phase = 0;
        std::uint32_t thread : 11 = 0, atomic : 1 = 0, site : 20 = 0;  // site 0: nobody
        bool any() const { return site != 0; }
    };
    /// Since the launch began.
    struct Cell {
        std::uint32_t launch = 0;
        Touch written, written_before;        // by different threads
        Touch first_read, read, read_before;  // the last two by different threads
    };
    struct Range {
        std::uintptr_t begin = 0;
        std::size_t bytes = 0;
        std::string name;
        bool shared = false;
        std::uint32_t item = 0;  ///< bytes of an element, as it is touched; 0: it was not
        std::vector<Cell> cells;
        bool has(std::uintptr_t at, std::uint32_t size) const {
            return at - begin < bytes && at - begin + size <= bytes;
        }
        /// Those that an access is of.
        std::span<Cell> cells_of(std::uintptr_t at, std::uint32_t size);
    };

    Range& range_of(std::uintptr_t at, const Access& access, Site& site);
    void touch(Cell& cell, const Range& range, std::uintptr_t at, const Access& access,
               const Site& site) const;
    static bool meet(const Touch& before, const Touch& now);
    [[noreturn]] void report_race(const Range& range, const Touch& before, bool before_writes,
                                  const Touch& now, bool writes, std::uintptr_t at) const;

    void end_phase() {
        if (traffic_) traffic_->end_phase();
    }

    std::optional<TrafficCounter> traffic_;
    std::map<std::uintptr_t, Range> ranges_;
    std::uint64_t version_ = 0;
    std::uint32_t launch_ = 0, phase_ = 0;
    std::array<std::uint32_t, 64> warp_phases_{};  // of a block
};

}  // namespace kiln::sim
