// How well the warps of a launch use memory, line by line: what a device makes of one access of all lanes. Shared
// memory has 32 banks of 4 bytes, each of which gives one word at a time; other memory comes in sectors of 32
// bytes.
#pragma once
#include "jit/sim/blocks.h"

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace kiln::sim {

/// Of one line.
struct Traffic {
    struct Part {
        std::uint64_t accesses = 0;  ///< of warps
        std::uint64_t taken = 0, least = 0;
    };
    Part shared;  ///< passes: as they are, and without bank conflicts
    Part memory;  ///< sectors: touched, and those that the bytes would fill if they were adjacent
};

class TrafficCounter {
  public:
    /// Thread `thread` of the block touches `bytes` at `at`; `site`: which access of the text it is.
    void touch(unsigned thread, std::uint32_t site, std::uintptr_t at, std::uint32_t bytes,
               bool shared);
    /// The threads that ran so far are past a barrier: what follows are other accesses.
    void end_phase();
    /// By the number of the site.
    const std::map<std::uint32_t, Traffic>& all() const { return all_; }

  private:
    struct Lanes {
        std::vector<std::uintptr_t> at;
        std::uint32_t bytes = 0;
        bool shared = false;
    };
    static std::uint64_t passes(const Lanes& lanes);
    static std::uint64_t least_passes(const Lanes& lanes);
    static std::uint64_t sectors(const Lanes& lanes);

    // The k-th time that lanes of a warp are at a site is one access of the warp.
    std::map<std::uint64_t, std::vector<Lanes>> warps_;       // by warp and site
    std::unordered_map<std::uint64_t, std::uint32_t> times_;  // by thread and site
    std::map<std::uint32_t, Traffic> all_;
};

/// "matrix.cpp:12: 64 accesses of warps to shared memory in 1024 passes, 64 without bank conflicts", of both kinds of
/// memory that the line touches, a line each.
std::string text_of(const Line& line, const Traffic& traffic);

}  // namespace kiln::sim
