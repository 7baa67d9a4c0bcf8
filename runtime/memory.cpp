// The regimes of the allocator are told in runtime/README.md.
#include <kiln/memory.h>

#include "runtime/memory_lock.h"
#include "runtime/process.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define KILN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KILN_ASAN 1
#endif
#endif
#ifdef KILN_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace kiln {

namespace {

// -- size classes ------------------------------------------------------------------------------
// Multiples of 64 up to 1 KiB, then 8 steps per octave, so that at most an eighth is unused.

constexpr std::size_t alignment = 64;
constexpr std::size_t fine_limit = 1024;                 // multiples of 64 up to here
constexpr std::size_t thread_limit = 8192;               // blocks that threads keep for themselves
constexpr std::size_t big_limit = std::size_t(1) << 20;  // mapped one by one from here on
constexpr std::size_t huge_page = std::size_t(1) << 21;
constexpr std::size_t fine_classes = fine_limit / alignment;
constexpr std::size_t thread_classes = fine_classes + 8 * 3;
constexpr std::size_t class_count = fine_classes + 8 * (63 - 10);
constexpr std::size_t thread_depth = 8;      // blocks of a class in a thread's cache
constexpr std::size_t central_depth = 1024;  // blocks of a class in the common cache

struct SizeClass {
    std::size_t index;
    std::size_t bytes;
};
constexpr SizeClass size_class(std::size_t bytes) {
    if (bytes <= fine_limit) {
        const std::size_t index = bytes == 0 ? 0 : (bytes - 1) / alignment;
        return {index, (index + 1) * alignment};
    }
    const auto octave = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;  // >= 10
    const std::size_t base = std::size_t(1) << octave, step = base / 8;
    const std::size_t k = (bytes - 1 - base) / step;
    return {fine_classes + (octave - 10) * 8 + k, base + (k + 1) * step};
}
static_assert(size_class(thread_limit).index + 1 == thread_classes);

void poison([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef KILN_ASAN
    __asan_poison_memory_region(block, bytes);
#endif
}
void unpoison([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef KILN_ASAN
    __asan_unpoison_memory_region(block, bytes);
#endif
}

// -- the operating system ------------------------------------------------------------------------

/// Null where there is no more. Big blocks start on a huge page and come zeroed.
void* system_allocate(std::size_t bytes) {
    if (bytes < big_limit) return std::aligned_alloc(alignment, bytes);
    if (bytes > (std::size_t(1) << 47)) return nullptr;
    const std::size_t length = bytes + huge_page;
    void* const mapping =
        mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return nullptr;
    auto* const start = static_cast<std::byte*>(mapping);
    const std::size_t before =
        (huge_page - reinterpret_cast<std::uintptr_t>(start) % huge_page) % huge_page;
    if (before != 0) munmap(start, before);
    munmap(start + before + bytes, length - before - bytes);  // bytes is a multiple of 128 KiB
    // Advice only: where the kernel refuses, the block has ordinary pages.
    madvise(start + before, bytes, MADV_HUGEPAGE);
    return start + before;
}

void system_free(void* block, std::size_t bytes) {
    unpoison(block, bytes);
    if (bytes < big_limit) {
        std::free(block);
    } else {
        munmap(block, bytes);
    }
}

// -- caches --------------------------------------------------------------------------------------

/// Counters with one writer: plain loads and stores, atomic only so that statistics may read them.
struct Counters {
    std::atomic<std::uint64_t> allocations{0}, recycled{0};
    std::atomic<std::int64_t> bytes_cached{0};
};
template <class T> void add(std::atomic<T>& counter, T amount) {
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

/// The small blocks that one thread has freed.
struct ThreadCache {
    Counters counters;
    std::array<std::uint8_t, thread_classes> count{};
    std::array<std::array<void*, thread_depth>, thread_classes> blocks{};
};

/// What threads share. Made on first use and never destroyed, since arrays in static storage may be
/// freed after any destructor of ours.
struct Central {
    std::mutex mutex;  // guards all but the atomics
    std::array<std::vector<void*>, class_count> free;
    std::size_t bytes_cached = 0;
    std::vector<ThreadCache*> threads;
    std::uint64_t allocations = 0,
                  recycled = 0;  // of threads that ended, and of those without cache
    std::size_t cache_limit;

    std::atomic<std::size_t> bytes_in_use{0}, peak{0}, limit{0};
    std::atomic<std::uint64_t> system_allocations{0};

    Central() {
        const auto pages = static_cast<std::size_t>(std::max(0L, sysconf(_SC_PHYS_PAGES)));
        const auto page = static_cast<std::size_t>(std::max(4096L, sysconf(_SC_PAGESIZE)));
        cache_limit = std::max(pages * page / 4, std::size_t(64) << 20);
    }
};

constinit detail::Lazy<Central> lazy_central;
Central& central() { return lazy_central.get(); }

/// Puts a block on the common list; false where that is full. The lock is held.
bool keep(Central& shared, void* block, const SizeClass& size) {
    std::vector<void*>& list = shared.free[size.index];
    if (list.size() >= central_depth || shared.bytes_cached + size.bytes > shared.cache_limit)
        return false;
    try {
        list.push_back(block);
    } catch (const std::bad_alloc&) {
        return false;  // the caller gives the block back to the system
    }
    shared.bytes_cached += size.bytes;
    poison(block, size.bytes);
    return true;
}

void free_block(Central& shared, void* block, const SizeClass& size) {
    {
        const std::lock_guard lock(shared.mutex);
        if (keep(shared, block, size)) return;
    }
    system_free(block, size.bytes);
}

constexpr std::size_t bytes_of_class(std::size_t index) {
    if (index < fine_classes) return (index + 1) * alignment;
    const std::size_t octave = (index - fine_classes) / 8 + 10, k = (index - fine_classes) % 8;
    return (std::size_t(1) << octave) + (k + 1) * ((std::size_t(1) << octave) / 8);
}
static_assert(bytes_of_class(size_class(5000).index) == size_class(5000).bytes);

/// Moves a thread's blocks to the common lists.
void flush(Central& shared, ThreadCache& cache) {
    for (std::size_t index = 0; index < thread_classes; ++index) {
        const SizeClass size{index, bytes_of_class(index)};
        for (; cache.count[index] > 0; --cache.count[index]) {
            free_block(shared, cache.blocks[index][cache.count[index] - 1U], size);
        }
    }
    cache.counters.bytes_cached.store(0, std::memory_order_relaxed);
}

void trim_central(Central& shared) {
    const std::lock_guard lock(shared.mutex);
    for (std::size_t index = 0; index < class_count; ++index) {
        for (void* const block : shared.free[index]) system_free(block, bytes_of_class(index));
        shared.free[index].clear();
        shared.free[index].shrink_to_fit();
    }
    shared.bytes_cached = 0;
}

// The pointer has no destructor, so that arrays freed late in a thread's end can still ask for it;
// `closed` says that the cache is gone for good.
thread_local ThreadCache* this_cache = nullptr;
thread_local bool closed = false;

struct CacheOwner {
    ThreadCache* cache = nullptr;
    ~CacheOwner() {
        this_cache = nullptr;
        closed = true;
        if (cache == nullptr) return;
        Central& shared = central();
        flush(shared, *cache);
        const std::lock_guard lock(shared.mutex);
        shared.allocations += cache->counters.allocations.load(std::memory_order_relaxed);
        shared.recycled += cache->counters.recycled.load(std::memory_order_relaxed);
        std::erase(shared.threads, cache);
        delete cache;
    }
};

ThreadCache* make_thread_cache() {
    thread_local CacheOwner owner;
    Central& shared = central();
    auto made = std::make_unique<ThreadCache>();
    {
        const std::lock_guard lock(shared.mutex);
        shared.threads.push_back(made.get());
    }
    owner.cache = made.release();
    this_cache = owner.cache;
    return this_cache;
}

ThreadCache* thread_cache() {
    if (this_cache != nullptr || closed) return this_cache;
    return make_thread_cache();
}

void* take_cached(Central& shared, ThreadCache* cache, const SizeClass& size) {
    if (cache != nullptr && size.index < thread_classes && cache->count[size.index] > 0) {
        add(cache->counters.bytes_cached, -static_cast<std::int64_t>(size.bytes));
        return cache->blocks[size.index][--cache->count[size.index]];
    }
    const std::lock_guard lock(shared.mutex);
    std::vector<void*>& list = shared.free[size.index];
    if (list.empty()) return nullptr;
    void* const block = list.back();
    list.pop_back();
    shared.bytes_cached -= size.bytes;
    return block;
}

void count_allocation(Central& shared, ThreadCache* cache, bool recycled) {
    if (cache != nullptr) {
        add(cache->counters.allocations, std::uint64_t(1));
        if (recycled) add(cache->counters.recycled, std::uint64_t(1));
    } else {
        const std::lock_guard lock(shared.mutex);
        ++shared.allocations;
        if (recycled) ++shared.recycled;
    }
}

std::size_t cached_bytes(Central& shared) {  // the lock is held
    auto bytes = static_cast<std::int64_t>(shared.bytes_cached);
    for (const ThreadCache* cache : shared.threads) {
        bytes += cache->counters.bytes_cached.load(std::memory_order_relaxed);
    }
    return static_cast<std::size_t>(std::max<std::int64_t>(bytes, 0));
}

/// Asks the system, after making room under the limit. `in_use` counts this block already.
void* take_fresh(Central& shared, ThreadCache* cache, const SizeClass& size, std::size_t limit,
                 std::size_t in_use) {
    if (limit != 0) {
        std::unique_lock lock(shared.mutex);
        const bool full = in_use + cached_bytes(shared) > limit;
        lock.unlock();
        if (full) trim_memory();
    }
    void* block = system_allocate(size.bytes);
    if (block == nullptr) {
        if (cache != nullptr) flush(shared, *cache);
        trim_central(shared);
        block = system_allocate(size.bytes);
    }
    if (block != nullptr) shared.system_allocations.fetch_add(1, std::memory_order_relaxed);
    return block;
}

void* acquire(std::size_t bytes, bool& is_zero, const Location& where) {
    Central& shared = central();
    ThreadCache* const cache = thread_cache();
    const SizeClass size = size_class(bytes);
    const std::size_t in_use =
        shared.bytes_in_use.fetch_add(size.bytes, std::memory_order_relaxed) + size.bytes;
    const std::size_t limit = shared.limit.load(std::memory_order_relaxed);
    if (limit != 0 && in_use > limit) {
        shared.bytes_in_use.fetch_sub(size.bytes, std::memory_order_relaxed);
        throw Error(ErrorKind::usage,
                    "memory limit: " + std::to_string(bytes) + " bytes asked for, " +
                        std::to_string(in_use - size.bytes) + " in use, the limit is " +
                        std::to_string(limit),
                    where, "set_memory_limit changes it");
    }
    is_zero = false;
    void* block = take_cached(shared, cache, size);
    const bool recycled = block != nullptr;
    if (!recycled) {
        block = take_fresh(shared, cache, size, limit, in_use);
        is_zero = size.bytes >= big_limit;
    }
    if (block == nullptr) {
        shared.bytes_in_use.fetch_sub(size.bytes, std::memory_order_relaxed);
        throw Error(ErrorKind::usage,
                    "out of memory: " + std::to_string(bytes) + " bytes asked for", where);
    }
    std::size_t peak = shared.peak.load(std::memory_order_relaxed);
    while (peak < in_use &&
           !shared.peak.compare_exchange_weak(peak, in_use, std::memory_order_relaxed)) {
    }
    count_allocation(shared, cache, recycled);
    poison(block, size.bytes);  // the unused end of the block
    unpoison(block, bytes);
    return block;
}

}  // namespace

void detail::lock_memory() { central().mutex.lock(); }
void detail::unlock_memory() { central().mutex.unlock(); }

MemoryStats memory_stats() {
    Central& shared = central();
    const std::lock_guard lock(shared.mutex);
    MemoryStats stats;
    stats.bytes_in_use = shared.bytes_in_use.load(std::memory_order_relaxed);
    stats.peak = shared.peak.load(std::memory_order_relaxed);
    stats.system_allocations = shared.system_allocations.load(std::memory_order_relaxed);
    stats.bytes_cached = cached_bytes(shared);
    stats.allocations = shared.allocations;
    stats.recycled = shared.recycled;
    for (const ThreadCache* cache : shared.threads) {
        stats.allocations += cache->counters.allocations.load(std::memory_order_relaxed);
        stats.recycled += cache->counters.recycled.load(std::memory_order_relaxed);
    }
    return stats;
}

void set_memory_limit(std::size_t bytes) {
    central().limit.store(bytes, std::memory_order_relaxed);
}
std::size_t memory_limit() { return central().limit.load(std::memory_order_relaxed); }

void trim_memory() {
    Central& shared = central();
    if (this_cache != nullptr) flush(shared, *this_cache);
    trim_central(shared);
}

void* allocate(std::size_t bytes, Location where) {
    bool is_zero = false;
    return acquire(bytes, is_zero, where);
}

void* allocate_zeroed(std::size_t bytes, Location where) {
    bool is_zero = false;
    void* const block = acquire(bytes, is_zero, where);
    if (!is_zero) std::memset(block, 0, bytes);
    return block;
}

void deallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return;
    Central& shared = central();
    const SizeClass size = size_class(bytes);
    shared.bytes_in_use.fetch_sub(size.bytes, std::memory_order_relaxed);
    if (size.index < thread_classes && this_cache != nullptr) {
        ThreadCache& cache = *this_cache;
        std::uint8_t& count = cache.count[size.index];
        if (count < thread_depth) {
            poison(block, size.bytes);
            cache.blocks[size.index][count++] = block;
            add(cache.counters.bytes_cached, static_cast<std::int64_t>(size.bytes));
            return;
        }
    }
    free_block(shared, block, size);
}

}  // namespace kiln
