#include <kiln/array.h>
#include <kiln/memory.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/catch.h"
#include "tests/runtime/check_error.h"

using namespace kiln;

namespace {

std::uintptr_t address(const void* block) { return reinterpret_cast<std::uintptr_t>(block); }

struct LimitScope {
    explicit LimitScope(std::size_t bytes) { set_memory_limit(bytes); }
    ~LimitScope() { set_memory_limit(0); }
    LimitScope(const LimitScope&) = delete;
    LimitScope& operator=(const LimitScope&) = delete;
};

}  // namespace

TEST_CASE("blocks of every size are aligned, distinct and writable", "[runtime][memory]") {
    std::vector<std::pair<void*, std::size_t>> blocks;
    for (std::size_t bytes = 0; bytes < 3000; bytes += 7)
        blocks.emplace_back(allocate(bytes), bytes);
    for (std::size_t bytes = 3000; bytes < 20'000'000; bytes = bytes * 5 / 3) {
        blocks.emplace_back(allocate(bytes), bytes);
    }
    for (std::size_t k = 0; k < blocks.size(); ++k) {
        const auto [block, bytes] = blocks[k];
        REQUIRE(block != nullptr);
        CHECK(address(block) % (bytes >= (1U << 20) ? std::size_t(1) << 21 : 64) == 0);
        std::memset(block, static_cast<int>(k % 251), bytes);
    }
    bool intact = true;
    for (std::size_t k = 0; k < blocks.size(); ++k) {
        const auto* const bytes = static_cast<const unsigned char*>(blocks[k].first);
        intact = intact && std::all_of(bytes, bytes + blocks[k].second,
                                       [&](unsigned char b) { return b == k % 251; });
    }
    CHECK(intact);
    for (const auto& [block, bytes] : blocks) deallocate(block, bytes);
}

TEST_CASE("freed blocks are handed out again", "[runtime][memory]") {
    for (const std::size_t bytes :
         {std::size_t(64), std::size_t(5000), std::size_t(100'000), std::size_t(5'000'000)}) {
        void* const first = allocate(bytes);
        deallocate(first, bytes);
        const MemoryStats before = memory_stats();
        void* const second = allocate(bytes);
        const MemoryStats after = memory_stats();
        CHECK(second == first);
        CHECK(after.allocations == before.allocations + 1);
        CHECK(after.recycled == before.recycled + 1);
        CHECK(after.system_allocations == before.system_allocations);
        deallocate(second, bytes);
    }
}

TEST_CASE("statistics count whole blocks", "[runtime][memory]") {
    const MemoryStats before = memory_stats();
    const std::size_t bytes = 3'000'000;
    void* const block = allocate(bytes);
    const MemoryStats held = memory_stats();
    CHECK(held.bytes_in_use >= before.bytes_in_use + bytes);
    CHECK(held.bytes_in_use <= before.bytes_in_use + bytes + bytes / 8);
    CHECK(held.peak >= held.bytes_in_use);
    deallocate(block, bytes);
    const MemoryStats after = memory_stats();
    CHECK(after.bytes_in_use == before.bytes_in_use);
    CHECK(after.bytes_cached >= bytes);
    CHECK(after.peak == held.peak);
}

TEST_CASE("trim_memory gives the cache back", "[runtime][memory]") {
    trim_memory();
    const std::size_t elsewhere = memory_stats().bytes_cached;  // kept by the pool's threads
    deallocate(allocate(4'000'000), 4'000'000);
    deallocate(allocate(100), 100);
    CHECK(memory_stats().bytes_cached > elsewhere + 4'000'000);
    trim_memory();
    CHECK(memory_stats().bytes_cached == elsewhere);
    void* const block = allocate(100);  // and goes on working
    std::memset(block, 1, 100);
    deallocate(block, 100);
}

TEST_CASE("allocate_zeroed is zero, fresh and recycled", "[runtime][memory]") {
    for (const std::size_t bytes :
         {std::size_t(100), std::size_t(50'000), std::size_t(3'000'000)}) {
        trim_memory();
        for (int round = 0; round < 2; ++round) {
            auto* const block = static_cast<unsigned char*>(allocate_zeroed(bytes));
            CHECK(std::all_of(block, block + bytes, [](unsigned char b) { return b == 0; }));
            std::memset(block, 0xff, bytes);
            deallocate(block, bytes);
        }
    }
}

TEST_CASE("the memory limit refuses what would exceed it", "[runtime][memory]") {
    trim_memory();
    const std::size_t in_use = memory_stats().bytes_in_use;
    const LimitScope scope(in_use + 10'000'000);
    CHECK(memory_limit() == in_use + 10'000'000);
    KILN_CHECK_ERROR(zeros({20'000'000}, u8), usage,
                     "memory limit: 20000000 bytes asked for, " + std::to_string(in_use) +
                         " in use, the limit is " + std::to_string(in_use + 10'000'000));
    CHECK(memory_stats().bytes_in_use == in_use);
    const Array fits = zeros({8'000'000}, u8);
    CHECK_THROWS_AS(zeros({8'000'000}, u8), Error);
}

TEST_CASE("the cache is given back before an allocation fails", "[runtime][memory]") {
    trim_memory();
    const std::size_t elsewhere = memory_stats().bytes_cached;  // kept by the pool's threads
    deallocate(allocate(6'000'000), 6'000'000);
    CHECK(memory_stats().bytes_cached >= elsewhere + 6'000'000);
    const LimitScope scope(memory_stats().bytes_in_use + 10'000'000);
    const Array a = zeros({9'000'000}, u8);  // does not fit beside the cached block
    CHECK(memory_stats().bytes_cached == elsewhere);
}

TEST_CASE("more than the machine has is an error with the size", "[runtime][memory]") {
    KILN_CHECK_ERROR(allocate(std::size_t(1) << 60), usage,
                     "out of memory: 1152921504606846976 bytes asked for");
    CHECK(memory_stats().bytes_in_use < std::size_t(1) << 50);
}

TEST_CASE("threads allocate and free each other's blocks", "[runtime][memory]") {
    const std::size_t in_use = memory_stats().bytes_in_use;
    constexpr int threads = 8, rounds = 2000;
    std::vector<std::vector<std::pair<void*, std::size_t>>> given(threads);
    const auto work = [&](int id) {
        std::uint32_t random = static_cast<std::uint32_t>(id) * 7919U + 1;
        for (int k = 0; k < rounds; ++k) {
            random = random * 1664525U + 1013904223U;
            const std::size_t bytes = (random >> 8) % (k % 50 == 0 ? 2'000'000 : 6000);
            auto* const block = static_cast<std::uint32_t*>(allocate(bytes + 4));
            *block = random;
            if (k % 3 == 0) {
                given[static_cast<std::size_t>(id)].emplace_back(block, bytes + 4);
            } else {
                if (*block != random) std::abort();
                deallocate(block, bytes + 4);
            }
        }
    };
    std::vector<std::thread> pool;
    for (int id = 0; id < threads; ++id) pool.emplace_back(work, id);
    for (std::thread& thread : pool) thread.join();
    pool.clear();
    for (int id = 0; id < threads; ++id) {
        pool.emplace_back([&, id] {
            for (const auto& [block, bytes] : given[static_cast<std::size_t>(threads - 1 - id)]) {
                deallocate(block, bytes);
            }
        });
    }
    for (std::thread& thread : pool) thread.join();
    CHECK(memory_stats().bytes_in_use == in_use);
}

TEST_CASE("a thread that ends gives its small blocks to the others", "[runtime][memory]") {
    trim_memory();
    void* block = nullptr;
    std::thread([&] {
        block = allocate(7777);
        deallocate(block, 7777);
    }).join();
    void* const again = allocate(7777);
    CHECK(again == block);
    deallocate(again, 7777);
}

TEST_CASE("a forked child allocates", "[runtime][memory]") {
    const Array a = arange(1000);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const Array b = a.copy();
        const Array big = zeros({3'000'000}, u8);
        _exit(b.at<std::int64_t>({999}) == 999 && big.size() == 3'000'000 ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
