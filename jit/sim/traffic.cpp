#include "jit/sim/traffic.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

namespace kiln::sim {

namespace {
constexpr unsigned warp = 32, banks = 32, word = 4, sector = 32;
std::uint64_t key_of(unsigned number, std::uint32_t site) {
    return std::uint64_t(number) << 32 | site;
}
}  // namespace

void TrafficCounter::touch(unsigned thread, std::uint32_t site, std::uintptr_t at,
                           std::uint32_t bytes, bool shared) {
    const std::uint32_t time = times_[key_of(thread, site)]++;
    std::vector<Lanes>& accesses = warps_[key_of(thread / warp, site)];
    if (accesses.size() <= time) accesses.resize(time + 1);
    Lanes& lanes = accesses[time];
    lanes.at.push_back(at);
    lanes.bytes = bytes;
    lanes.shared = shared;
}

/// Of 8 bytes, halves of a warp are served in turn, of 16 quarters. Lanes that ask for one word share it.
std::uint64_t TrafficCounter::passes(const Lanes& lanes) {
    const std::size_t together = warp * word / std::max(lanes.bytes, word);
    std::uint64_t all = 0;
    for (std::size_t first = 0; first < lanes.at.size(); first += together) {
        std::array<std::set<std::uintptr_t>, banks> words;
        for (std::size_t l = first; l < std::min(first + together, lanes.at.size()); ++l)
            for (std::uintptr_t w = lanes.at[l] / word; w <= (lanes.at[l] + lanes.bytes - 1) / word;
                 ++w)
                words[w % banks].insert(w);
        all += std::ranges::max_element(words, {}, &std::set<std::uintptr_t>::size)->size();
    }
    return all;
}
std::uint64_t TrafficCounter::least_passes(const Lanes& lanes) {
    const std::size_t together = warp * word / std::max(lanes.bytes, word);
    return (lanes.at.size() + together - 1) / together;
}

std::uint64_t TrafficCounter::sectors(const Lanes& lanes) {
    std::set<std::uintptr_t> touched;
    for (const std::uintptr_t at : lanes.at)
        for (std::uintptr_t s = at / sector; s <= (at + lanes.bytes - 1) / sector; ++s)
            touched.insert(s);
    return touched.size();
}

void TrafficCounter::end_phase() {
    for (const auto& [key, accesses] : warps_) {
        Traffic& traffic = all_[static_cast<std::uint32_t>(key)];
        for (const Lanes& lanes : accesses) {
            Traffic::Part& part = lanes.shared ? traffic.shared : traffic.memory;
            ++part.accesses;
            if (lanes.shared) {
                part.taken += passes(lanes);
                part.least += least_passes(lanes);
                continue;
            }
            // Lanes that touch the same bytes need them once.
            const std::set<std::uintptr_t> different(lanes.at.begin(), lanes.at.end());
            part.taken += sectors(lanes);
            part.least += (different.size() * lanes.bytes + sector - 1) / sector;
        }
    }
    warps_.clear();
    times_.clear();
}

std::string text_of(const Line& line, const Traffic& traffic) {
    std::string text;
    if (const auto& t = traffic.shared; t.accesses != 0)
        text += fmt::format(
            "{}:{}: {} accesses of warps to shared memory in {} passes, {} without bank "
            "conflicts\n",
            line.file, line.line, t.accesses, t.taken, t.least);
    if (const auto& t = traffic.memory; t.accesses != 0)
        text += fmt::format(
            "{}:{}: {} accesses of warps to memory in {} sectors of 32 bytes, {} if they were "
            "adjacent\n",
            line.file, line.line, t.accesses, t.taken, t.least);
    return text;
}

}  // namespace kiln::sim
