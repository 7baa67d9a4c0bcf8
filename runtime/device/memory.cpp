#include "runtime/device/memory.h"

#include "runtime/process.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>

#include <fmt/format.h>

namespace kiln::device {
namespace {

using Address = Driver::Address;
using Handle = Driver::Handle;

/// Powers of two and three quarters of them.
std::size_t size_class(std::size_t bytes) {
    constexpr std::size_t least = 256;
    if (bytes <= least) return least;
    const std::size_t next = std::bit_ceil(bytes);
    return bytes <= next / 4 * 3 ? next / 4 * 3 : next;
}

/// `second` goes on when what `first` has been asked for is done.
void order(const Device& device, Handle first, Handle second) {
    const Driver& driver = device.driver();
    Handle event = nullptr;
    device.require(driver.make_event(&event, Driver::no_timing), "cuEventCreate");
    const Driver::Result recorded = driver.record_event(event, first);
    const Driver::Result waits =
        recorded == Driver::success ? driver.stream_wait(second, event, 0) : recorded;
    driver.destroy_event(event);  // once it is done
    device.require(waits, "ordering two streams");
}

/// The null stream and every other wait for each other anyway.
bool are_ordered(Handle a, Handle b) { return a == b || a == nullptr || b == nullptr; }

struct Kept {
    Address memory;
    Handle home;
};
struct Used {
    std::size_t size;
    Handle home;
    std::vector<Handle> others = {};  // streams that used it besides
};

/// Pinned memory of the host, in pieces of one size each.
struct Piece {
    void* memory;
    std::size_t size;
};
struct Pending {
    Piece piece;
    Handle event;
};

class Pool {
  public:
    Address allocate(Device& device, std::size_t bytes) {
        const std::size_t size = size_class(bytes);
        const Handle stream = Device::stream();
        ++stats_.allocations;
        Address memory = recycled(device, size, stream);
        if (memory == 0) memory = fresh(device, size, bytes);
        used_.emplace(memory, Used{size, stream});
        stats_.used_bytes += static_cast<std::int64_t>(size);
        return memory;
    }

    void deallocate(Device& device, Address memory) {
        const auto at = used_.find(memory);
        if (at == used_.end()) return;
        Used used = std::move(at->second);
        used_.erase(at);
        stats_.used_bytes -= static_cast<std::int64_t>(used.size);
        // A block of no stream becomes one of a stream that used it, whose work other streams do not
        // wait for by themselves.
        if (used.home == nullptr && !used.others.empty()) {
            used.home = used.others.back();
            used.others.pop_back();
        }
        kept_[used.size].push_back({memory, used.home});
        for (const Handle other : used.others) order(device, other, used.home);
    }

    void note_use(Address memory, Handle stream) {
        const auto at = used_.find(memory);
        if (at == used_.end() || stream == nullptr || stream == at->second.home) return;
        std::vector<Handle>& others = at->second.others;
        if (std::ranges::find(others, stream) == others.end()) others.push_back(stream);
    }

    /// Memory that the driver frees waits for all work by itself.
    void trim(const Device& device) {
        for (auto& [size, list] : kept_) {
            for (const Kept& block : list) {
                device.driver().free(block.memory);
                stats_.total_bytes -= static_cast<std::int64_t>(size);
            }
            list.clear();
        }
        collect(device, true);
        for (const Piece& piece : pieces_) {
            device.driver().free_host(piece.memory);
            stats_.pinned_bytes -= static_cast<std::int64_t>(piece.size);
        }
        pieces_.clear();
    }

    void retire(Handle stream) {
        for (auto& [size, list] : kept_)
            for (Kept& block : list)
                if (block.home == stream) block.home = nullptr;
        for (auto& [memory, used] : used_) {
            if (used.home == stream) used.home = nullptr;
            std::erase(used.others, stream);
        }
    }

    /// A piece of at least so many bytes, or, where much is pinned, of fewer.
    Piece piece(const Device& device, std::size_t bytes) {
        collect(device, false);
        constexpr std::size_t least = 4096;
        const std::size_t size = std::bit_ceil(std::clamp(bytes, least, most_of_piece));
        const auto fits = std::ranges::find(pieces_, size, &Piece::size);
        if (fits != pieces_.end()) {
            const Piece found = *fits;
            pieces_.erase(fits);
            return found;
        }
        if (stats_.pinned_bytes + static_cast<std::int64_t>(size) > most_pinned) {
            collect(device, true);
            if (const auto largest = std::ranges::max_element(pieces_, {}, &Piece::size);
                largest != pieces_.end()) {
                const Piece found = *largest;
                pieces_.erase(largest);
                return found;
            }
        }
        Piece made{nullptr, size};
        device.require(device.driver().allocate_host(&made.memory, size), "cuMemAllocHost");
        stats_.pinned_bytes += static_cast<std::int64_t>(size);
        return made;
    }
    void when_done(const Piece& piece, Handle event) { pending_.push_back({piece, event}); }
    void give_back(const Piece& piece) { pieces_.push_back(piece); }

    DeviceMemoryStats stats_;
    std::int64_t limit_ = 0;

  private:
    static constexpr std::size_t most_of_piece = std::size_t(16) << 20;
    static constexpr std::int64_t most_pinned = std::int64_t(64) << 20;

    Address recycled(Device& device, std::size_t size, Handle stream) {
        auto& list = kept_[size];
        if (list.empty()) return 0;
        auto at = std::ranges::find(list, stream, &Kept::home);
        if (at == list.end()) at = std::prev(list.end());
        const Kept block = *at;
        if (!are_ordered(block.home, stream)) order(device, block.home, stream);
        list.erase(at);
        ++stats_.recycled;
        return block.memory;
    }

    Address fresh(Device& device, std::size_t size, std::size_t wanted) {
        const auto more = static_cast<std::int64_t>(size);
        if (limit_ != 0 && stats_.total_bytes + more > limit_) trim(device);
        if (limit_ != 0 && stats_.total_bytes + more > limit_)
            throw Error(ErrorKind::device,
                        fmt::format("the limit of the device's memory is reached: {} bytes are "
                                    "wanted, {} of {} in use by kiln",
                                    wanted, stats_.used_bytes, limit_),
                        {}, "set_device_memory_limit() sets it");
        Address memory = 0;
        Driver::Result result = device.driver().allocate(&memory, size);
        if (result == Driver::out_of_memory) {
            trim(device);
            result = device.driver().allocate(&memory, size);
        }
        if (result == Driver::out_of_memory)
            throw Error(ErrorKind::device,
                        fmt::format("the device is out of memory: {} bytes are wanted, {} in use "
                                    "by kiln",
                                    wanted, stats_.used_bytes));
        device.require(result, "cuMemAlloc");
        stats_.total_bytes += more;
        return memory;
    }

    /// Pieces whose copies are done; of the others `wait` for all.
    void collect(const Device& device, bool wait) {
        const Driver& driver = device.driver();
        std::erase_if(pending_, [&](const Pending& p) {
            const Driver::Result result =
                wait ? driver.event_synchronize(p.event) : driver.event_query(p.event);
            if (result == Driver::not_ready) return false;
            driver.destroy_event(p.event);
            pieces_.push_back(p.piece);
            return true;
        });
    }

    std::map<std::size_t, std::vector<Kept>> kept_;
    std::unordered_map<Address, Used> used_;
    std::vector<Piece> pieces_;
    std::deque<Pending> pending_;
};

Pool& pool() {
    static constinit kiln::detail::Lazy<Pool> made;
    return made.get([] { return std::make_unique<Pool>(); });
}
kiln::detail::Mutex& mutex() {
    static constinit kiln::detail::Lazy<kiln::detail::Mutex> made;
    return made.get([] { return std::make_unique<kiln::detail::Mutex>(); });
}

}  // namespace

std::byte* allocate(std::size_t bytes) {
    Device& device = Device::get();
    const std::lock_guard lock(mutex());
    return std::bit_cast<std::byte*>(pool().allocate(device, bytes));
}

void deallocate(std::byte* memory) noexcept {
    try {
        Device& device = Device::get();
        const std::lock_guard lock(mutex());
        pool().deallocate(device, std::bit_cast<Address>(memory));
    } catch (const Error&) {
        // A context that is lost has taken its memory with it.
    }
}

void note_use(const std::byte* block) {
    const Handle stream = Device::stream();
    const std::lock_guard lock(mutex());
    pool().note_use(std::bit_cast<Address>(block), stream);
}

DeviceMemoryStats memory_stats() {
    const std::lock_guard lock(mutex());
    return pool().stats_;
}

void set_memory_limit(std::int64_t bytes) {
    const std::lock_guard lock(mutex());
    pool().limit_ = bytes;
}

void trim_memory() {
    const Device& device = Device::get();
    const std::lock_guard lock(mutex());
    pool().trim(device);
}

void retire_stream(Handle stream) noexcept {
    const std::lock_guard lock(mutex());
    pool().retire(stream);
}

void write_through_pinned(Device& device, std::byte* to, const void* from, std::size_t bytes,
                          Handle stream) {
    const Driver& driver = device.driver();
    const auto* source = static_cast<const std::byte*>(from);
    while (bytes != 0) {
        const std::lock_guard lock(mutex());
        const Piece piece = pool().piece(device, bytes);
        const std::size_t part = std::min(bytes, piece.size);
        std::memcpy(piece.memory, source, part);
        Handle event = nullptr;
        Driver::Result result = driver.make_event(&event, Driver::no_timing);
        if (result == Driver::success)
            result = driver.to_device_async(std::bit_cast<Address>(to), piece.memory, part, stream);
        if (result == Driver::success) result = driver.record_event(event, stream);
        if (result == Driver::success) {
            pool().when_done(piece, event);
        } else {
            pool().give_back(piece);
            if (event != nullptr) driver.destroy_event(event);
        }
        device.require(result, "copying to the device");
        source += part;
        to += part;
        bytes -= part;
    }
}

}  // namespace kiln::device
