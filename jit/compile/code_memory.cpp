#include "jit/compile/code_memory.h"

#include <kiln/error.h>
#include "runtime/integers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace kiln::engine {
namespace {

constexpr std::size_t slab_bytes = std::size_t(1) << 19;
constexpr std::size_t bits = 64;  // of a word

[[noreturn]] void refuse(const char* what, std::size_t size, int error) {
    throw Error(ErrorKind::usage,
                std::string(what) + " for machine code: " + std::to_string(size) +
                    " bytes asked for (" + std::strerror(error) + ")",
                {}, "kernels give their code back when they are destroyed");
}

/// A descriptor is of the process that opened it, also in a forked child, and programs close those
/// that they don't know: so each lives for the writing of one block.
int open_memory() { return open("/proc/self/mem", O_RDWR | O_CLOEXEC); }

bool write_beneath(int memory, std::byte* to, std::span<const std::byte> content) {
    while (!content.empty()) {
        const auto at = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(to));
        const ssize_t written = pwrite(memory, content.data(), content.size(), at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        to += written;
        content = content.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

std::byte* map_code(std::size_t size) {
    void* const at = mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

}  // namespace

/// A mapping, and which of its granules are in use.
struct CodeSpace::Slab {
    std::byte* const base;
    const std::size_t size, granule;
    std::vector<std::uint64_t> used, ends;  ///< a bit a granule; the last one of each block
    std::size_t in_use = 0;                 ///< granules
    std::size_t longest;                    ///< no free run is longer

    Slab(std::byte* at, std::size_t bytes, std::size_t unit)
        : base(at), size(bytes), granule(unit), longest(bytes / unit) {
        const std::size_t words = detail::round_up(longest, bits) / bits;
        used.resize(words);
        ends.resize(words);
    }

    bool contains(const std::byte* at) const { return at >= base && at < base + size; }
    static bool get(const std::vector<std::uint64_t>& map, std::size_t i) {
        return (map[i / bits] >> i % bits & 1) != 0;
    }
    static void flip(std::vector<std::uint64_t>& map, std::size_t i) {
        map[i / bits] ^= std::uint64_t(1) << i % bits;
    }

    /// The first of `count` granules, now in use; null where there is no such run.
    std::byte* take(std::size_t count) {
        const std::size_t all = size / granule;
        if (count > longest) return nullptr;
        std::size_t run = 0, best = 0;
        for (std::size_t i = 0; i < all; ++i) {
            if (run == 0 && i % bits == 0 && used[i / bits] == ~std::uint64_t(0)) {
                i += bits - 1;
                continue;
            }
            run = get(used, i) ? 0 : run + 1;
            best = std::max(best, run);
            if (run < count) continue;
            const std::size_t first = i + 1 - count;
            for (std::size_t k = first; k <= i; ++k) flip(used, k);
            flip(ends, i);
            in_use += count;
            return base + first * granule;
        }
        longest = best;
        return nullptr;
    }

    /// Gives a block back, and to the system the pages that nothing is in any more.
    void give(std::byte* at, std::size_t page) noexcept {
        const auto first = static_cast<std::size_t>(at - base) / granule;
        std::size_t last = first;
        for (;; ++last) {
            flip(used, last);
            if (get(ends, last)) break;
        }
        flip(ends, last);
        in_use -= last - first + 1;
        longest = size / granule;
        const std::size_t per_page = page / granule;
        const auto is_free = [&](std::size_t number) {
            for (std::size_t i = number * per_page; i < (number + 1) * per_page; ++i)
                if (get(used, i)) return false;
            return true;
        };
        std::size_t begin = first / per_page, end = last / per_page + 1;
        if (!is_free(begin)) ++begin;
        if (begin < end && !is_free(end - 1)) --end;
        // Advice: where the system refuses, the pages stay.
        if (begin < end) madvise(base + begin * page, (end - begin) * page, MADV_DONTNEED);
    }
};

CodeSpace::CodeSpace(Writing writing)
    : page_(static_cast<std::size_t>(std::max(4096L, sysconf(_SC_PAGESIZE)))),
      beneath_(writing == Writing::beneath && can_write_beneath()) {}

/// Whether this system lets a process write its own read-only memory. If so, what was tried on is the first
/// mapping.
bool CodeSpace::can_write_beneath() {
    const int memory = open_memory();
    if (memory < 0) return false;
    std::byte* const at = map_code(slab_bytes);
    const std::byte mark{0x5a};
    const bool can = at != nullptr && write_beneath(memory, at, std::span(&mark, 1)) && *at == mark;
    close(memory);
    if (can)
        add_slab(at, slab_bytes, alignment);
    else if (at != nullptr)
        munmap(at, slab_bytes);
    return can;
}

CodeSpace::~CodeSpace() {
    for (const auto& slab : slabs_) munmap(slab->base, slab->size);
}

void CodeSpace::add_slab(std::byte* base, std::size_t size, std::size_t granule) {
    try {
        slabs_.push_back(std::make_unique<Slab>(base, size, granule));
    } catch (const std::bad_alloc&) {
        munmap(base, size);
        refuse("out of memory", size, ENOMEM);
    }
}

CodeSpace::Block CodeSpace::allocate(std::size_t bytes) {
    Block block;
    block.space_ = this;
    block.bytes_ = bytes;
    if (beneath_) block.memory_ = open_memory();
    const std::size_t granule = block.memory_ >= 0 ? alignment : page_;
    const std::size_t count = std::max<std::size_t>(detail::round_up(bytes, granule) / granule, 1);
    const std::lock_guard lock(mutex_);
    for (const auto& slab : slabs_) {
        if (slab->granule != granule) continue;
        block.at_ = slab->take(count);
        if (block.at_ != nullptr) return block;
    }
    const std::size_t size = std::max(slab_bytes, detail::round_up(count * granule, page_));
    std::byte* const base = map_code(size);
    if (base == nullptr) refuse("out of memory", bytes, errno);
    add_slab(base, size, granule);
    block.at_ = slabs_.back()->take(count);
    return block;
}

void CodeSpace::release(std::byte* at) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::ranges::find_if(slabs_, [&](const auto& slab) { return slab->contains(at); });
    Slab& slab = **found;
    slab.give(at, page_);
    if (slab.in_use != 0) return;
    // One empty mapping is kept for the next kernel, unless it was made for a large one.
    const bool spare =
        slab.size == slab_bytes && std::ranges::none_of(slabs_, [&](const auto& other) {
            return other.get() != &slab && other->in_use == 0 && other->granule == slab.granule;
        });
    // The system may refuse: where mappings have run out, it cannot split one.
    if (spare || munmap(slab.base, slab.size) != 0) return;
    slabs_.erase(found);
}

CodeSpace::Use CodeSpace::use() const {
    const std::lock_guard lock(mutex_);
    Use use;
    use.slabs = slabs_.size();
    for (const auto& slab : slabs_) use.bytes += slab->in_use * slab->granule;
    return use;
}

CodeSpace::Block::~Block() {
    if (memory_ >= 0) close(memory_);
    if (at_ != nullptr) space_->release(at_);
}

void CodeSpace::Block::swap(Block& other) noexcept {
    std::swap(space_, other.space_);
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    std::swap(memory_, other.memory_);
}

void CodeSpace::Block::fill(std::span<const std::byte> content) {
    if (memory_ >= 0) {
        const bool written = write_beneath(memory_, at_, content);
        const int error = errno;
        close(std::exchange(memory_, -1));
        if (!written) refuse("no writing of memory", content.size(), error);
    } else {
        const std::size_t pages = detail::round_up(std::max<std::size_t>(bytes_, 1), space_->page_);
        if (mprotect(at_, pages, PROT_READ | PROT_WRITE) != 0)
            refuse("out of mappings", content.size(), errno);
        std::ranges::copy(content, at_);
        if (mprotect(at_, pages, PROT_READ | PROT_EXEC) != 0)
            refuse("out of mappings", content.size(), errno);
    }
    auto* const text = reinterpret_cast<char*>(at_);
    __builtin___clear_cache(text, text + content.size());
}

}  // namespace kiln::engine
