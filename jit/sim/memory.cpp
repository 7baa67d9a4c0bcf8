#include "jit/sim/memory.h"

#include "jit/sim/language.h"

#include <algorithm>
#include <atomic>
#include <deque>

namespace kiln::sim {
namespace {

/// Whose threads run; launches take turns.
std::atomic<Memory*> watching{nullptr};
std::atomic<std::uint64_t> versions{0};

std::string action(bool writes) { return writes ? "writes" : "reads"; }

/// The lines of sites, by their numbers: those of code that is gone too, up to what a Touch can name.
class Sites {
  public:
    std::uint32_t number_of(const Line& line) {
        const std::string file = line.file == nullptr ? "" : line.file;
        std::uint32_t& known = known_[{file, line.line}];
        if (known == 0) {
            if (all_.size() == most) return 1;
            all_.push_back({known_.find({file, line.line})->first.first.c_str(), line.line});
            known = static_cast<std::uint32_t>(all_.size());
        }
        return known;
    }
    Line line(std::uint32_t number) const { return all_[number - 1]; }

  private:
    static constexpr std::size_t most = (1u << 20) - 1;
    std::map<std::pair<std::string, unsigned>, std::uint32_t> known_;
    std::deque<Line> all_;
};
Sites& sites() {
    static Sites* const all = new Sites;  // threads of launches use it, one at a time
    return *all;
}

}  // namespace

Memory::Memory() = default;
Memory::~Memory() = default;

/// Arrays that share memory are one range, with the name of the first.
void Memory::add(const void* at, std::size_t bytes, std::string name, bool shared) {
    if (bytes == 0) return;
    auto begin = reinterpret_cast<std::uintptr_t>(at), end = begin + bytes;
    auto next = ranges_.upper_bound(begin);
    if (next != ranges_.begin() && std::prev(next)->first + std::prev(next)->second.bytes > begin)
        --next;
    while (next != ranges_.end() && next->first < end) {
        begin = std::min(begin, next->first);
        end = std::max(end, next->first + next->second.bytes);
        name = next->second.name;
        next = ranges_.erase(next);
    }
    ranges_[begin] = {begin, end - begin, std::move(name), shared, 0, {}};
    version_ = ++versions;
}
void Memory::remove(const void* at) {
    ranges_.erase(reinterpret_cast<std::uintptr_t>(at));
    version_ = ++versions;
}

void Memory::begin_launch() {
    ++launch_;
    watching.store(this);
}
void Memory::end_launch() {
    watching.store(nullptr);
    end_phase();
}
void Memory::begin_block() { begin_phase(); }
void Memory::begin_phase() {
    ++phase_;
    end_phase();
}
void Memory::begin_warp_phase(unsigned warp) { ++warp_phases_[warp]; }

std::string Memory::traffic() const {
    std::string text;
    if (!traffic_) return text;
    for (const auto& [site, traffic] : traffic_->all())
        text += text_of(sites().line(site), traffic);
    return text;
}

void Memory::atomic(const void* at, unsigned bytes, Line line) {
    Site site{line.file, line.line, 0, nullptr, 0};
    touch(reinterpret_cast<std::uintptr_t>(at), {bytes, true, true}, site);
}

/// Elements are as large as the smallest access so far.
std::span<Memory::Cell> Memory::Range::cells_of(std::uintptr_t at, std::uint32_t size) {
    if (size < item || item == 0) {
        const std::size_t parts = item == 0 ? 1 : item / size;
        std::vector<Cell> finer((bytes + size - 1) / size);
        for (std::size_t k = 0; k < cells.size() * parts && k < finer.size(); ++k)
            finer[k] = cells[k / parts];
        cells = std::move(finer);
        item = size;
    }
    const std::size_t first = (at - begin) / item, last = (at - begin + size - 1) / item;
    return std::span(cells).subspan(first, last - first + 1);
}

Memory::Range& Memory::range_of(std::uintptr_t at, const Access& access, Site& site) {
    if (site.version == version_) {
        auto& range = *const_cast<Range*>(static_cast<const Range*>(site.range));
        if (range.has(at, access.bytes)) return range;
    }
    const auto next = ranges_.upper_bound(at);
    if (next != ranges_.begin() && std::prev(next)->second.has(at, access.bytes)) {
        site.range = &std::prev(next)->second;
        site.version = version_;
        return std::prev(next)->second;
    }
    std::string text = thread_name(current_block(), current_thread()) + ", which " +
                       action(access.writes) + " " + std::to_string(access.bytes) +
                       " bytes that are in no array and no shared variable";
    if (next != ranges_.begin()) {
        const Range& range = std::prev(next)->second;
        text += ", " + std::to_string(at - range.begin) + " bytes behind the first of " +
                range.name + ", which has " + std::to_string(range.bytes);
    }
    note({std::move(text), {site.file, site.line}});
    kiln::sim::end_launch();
}

/// Whether nothing orders the two, of which one writes.
bool Memory::meet(const Touch& before, const Touch& now) {
    if (!before.any() || (before.atomic && now.atomic)) return false;
    if (before.block != now.block) return true;
    if (before.thread == now.thread || before.phase != now.phase) return false;
    const bool one_warp = before.thread / 32 == now.thread / 32;
    return !one_warp || before.warp_phase == now.warp_phase;
}

void Memory::touch(std::uintptr_t at, const Access& access, Site& site) {
    if (is_on_stack(at)) return;
    Range& range = range_of(at, access, site);
    if (site.number == 0) site.number = sites().number_of({site.file, site.line});
    if (traffic_) traffic_->touch(current_thread(), site.number, at, access.bytes, range.shared);
    for (Cell& cell : range.cells_of(at, access.bytes)) {
        const auto element = static_cast<std::size_t>(&cell - range.cells.data());
        touch(cell, range, std::max(at, range.begin + element * range.item), access, site);
    }
}

void Memory::touch(Cell& c, const Range& range, std::uintptr_t at, const Access& access,
                   const Site& site) const {
    if (c.launch != launch_) c = {launch_, {}, {}, {}, {}, {}};
    const unsigned thread = current_thread();
    const Touch now{current_block(), phase_,        warp_phases_[thread / 32],
                    thread & 0x7ff,  access.atomic, site.number & 0xfffff};
    if (range.shared) {
        // A block's shared memory is its own, and nothing is in it when the block begins.
        for (Touch* t : {&c.written, &c.written_before, &c.first_read, &c.read, &c.read_before})
            if (t->any() && t->block != now.block) *t = {};
        if (!c.written.any() && (!access.writes || access.atomic)) {
            note({thread_name(now.block, now.thread) + ", which reads " + range.name + "[" +
                      std::to_string((at - range.begin) / range.item) +
                      "], which no thread of its block has written",
                  {site.file, site.line}});
            kiln::sim::end_launch();
        }
    }
    for (const Touch* t : {&c.written_before, &c.written})
        if (meet(*t, now)) report_race(range, *t, true, now, access.writes, at);
    if (access.writes) {
        for (const Touch* t : {&c.first_read, &c.read, &c.read_before})
            if (meet(*t, now)) report_race(range, *t, false, now, true, at);
        if (c.written.any() && c.written.thread != now.thread) c.written_before = c.written;
        c.written = now;
        return;
    }
    if (!c.first_read.any()) c.first_read = now;
    if (c.read.any() && c.read.thread != now.thread) c.read_before = c.read;
    c.read = now;
}

void Memory::report_race(const Range& range, const Touch& before, bool before_writes,
                         const Touch& now, bool writes, std::uintptr_t at) const {
    const Line first = sites().line(before.site), second = sites().line(now.site);
    std::string text =
        "a race on " + range.name + "[" + std::to_string((at - range.begin) / range.item) +
        "]: " + thread_name(before.block, before.thread) + " " + action(before_writes) +
        " it at line " + std::to_string(first.line) + ", " + thread_name(now.block, now.thread) +
        " " + action(writes) + " it at line " + std::to_string(second.line);
    text += before.block == now.block ? ", with no barrier between" : ", and blocks have no order";
    note({std::move(text), second});
    kiln::sim::end_launch();
}

extern "C" void kiln_sim_access(const void* at, std::uint32_t packed_access, Site* site) {
    if (Memory* const memory = watching.load(std::memory_order_relaxed))
        memory->touch(reinterpret_cast<std::uintptr_t>(at), unpacked(packed_access), *site);
}

}  // namespace kiln::sim
