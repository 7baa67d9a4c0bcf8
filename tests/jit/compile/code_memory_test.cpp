// Memory for machine code: many blocks in few mappings, given back one by one.
#include "jit/compile/code_memory.h"
#include "tests/catch.h"

#include <kiln/error.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

using kiln::engine::CodeSpace;

namespace {

std::vector<std::byte> noise(std::mt19937& random, std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    return bytes;
}

/// mov eax, value; ret
std::vector<std::byte> function_giving(std::int32_t value) {
    std::vector<std::byte> code{std::byte(0xb8)};
    code.resize(5);
    std::memcpy(code.data() + 1, &value, sizeof value);
    code.push_back(std::byte(0xc3));
    return code;
}
std::int32_t call(const CodeSpace::Block& block) {
    return reinterpret_cast<std::int32_t (*)()>(block.address())();
}

/// The rights of the mapping of an address: "r-xp".
std::string rights_of(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        const std::size_t dash = line.find('-'), space = line.find(' ');
        if (at >= std::stoull(line.substr(0, dash), nullptr, 16) &&
            at < std::stoull(line.substr(dash + 1, space - dash - 1), nullptr, 16))
            return line.substr(space + 1, 4);
    }
    return "none";
}

constexpr CodeSpace::Writing ways[] = {CodeSpace::Writing::beneath, CodeSpace::Writing::pages};

}  // namespace

TEST_CASE("code space: blocks of all sizes come and go, their content stays", "[jit][memory]") {
    const unsigned seed = std::random_device()();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (const CodeSpace::Writing way : ways) {
        CodeSpace space(way);
        struct Held {
            CodeSpace::Block block;
            std::vector<std::byte> content;
        };
        std::vector<Held> held;
        const auto is_whole = [](const Held& h) {
            return h.content.empty() ||
                   std::memcmp(h.block.address(), h.content.data(), h.content.size()) == 0;
        };
        for (int step = 0; step < 3000; ++step) {
            if (held.size() > 200 || (!held.empty() && random() % 2 == 0)) {
                const std::size_t victim = random() % held.size();
                REQUIRE(is_whole(held[victim]));
                held[victim] = std::move(held.back());
                held.pop_back();
                continue;
            }
            const std::size_t size = random() % 50 == 0 ? random() % 1'500'000 : random() % 6000;
            Held h{space.allocate(size), noise(random, size)};
            REQUIRE(reinterpret_cast<std::uintptr_t>(h.block.address()) % CodeSpace::alignment ==
                    0);
            h.block.fill(h.content);
            held.push_back(std::move(h));
        }
        for (const Held& h : held) REQUIRE(is_whole(h));
        held.clear();
        CHECK(space.use().bytes == 0);
        CHECK(space.use().slabs <= 2);
    }
}

TEST_CASE("code space: many blocks share pages, which nobody can write", "[jit][memory]") {
    for (const CodeSpace::Writing way : ways) {
        CodeSpace space(way);
        std::vector<CodeSpace::Block> blocks;
        for (std::int32_t i = 0; i < 5000; ++i) {
            blocks.push_back(space.allocate(100));
            blocks.back().fill(function_giving(i));
        }
        for (std::int32_t i = 0; i < 5000; ++i)
            REQUIRE(call(blocks[static_cast<std::size_t>(i)]) == i);
        CHECK(rights_of(blocks[7].address()) == "r-xp");
        CHECK(rights_of(blocks[4999].address()) == "r-xp");
        // 128 bytes a block, or a page each where memory cannot be written beneath its protection.
        if (space.use().bytes == 5000 * 128) {
            CHECK(space.use().slabs == 2);
        } else {
            CHECK(space.use().slabs == 40);
        }
    }
}

TEST_CASE("code space: code runs while others write code beside it", "[jit][memory][threads]") {
    for (const CodeSpace::Writing way : ways) {
        CodeSpace space(way);
        std::atomic<int> wrong = 0;
        std::vector<std::thread> threads;
        for (std::int32_t t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                CodeSpace::Block mine = space.allocate(6);
                mine.fill(function_giving(-t));
                for (std::int32_t i = 0; i < 1000; ++i) {
                    CodeSpace::Block other = space.allocate(static_cast<std::size_t>(i) + 6);
                    other.fill(function_giving(i * 4 + t));
                    wrong += call(other) != i * 4 + t || call(mine) != -t;
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CHECK(wrong == 0);
    }
}

TEST_CASE("code space: a forked child writes its own code", "[jit][memory]") {
    for (const CodeSpace::Writing way : ways) {
        CodeSpace space(way);
        CodeSpace::Block kept = space.allocate(6);
        kept.fill(function_giving(1));
        const pid_t child = fork();
        if (child == 0) {
            {
                const CodeSpace::Block dropped = std::move(kept);
            }
            CodeSpace::Block own = space.allocate(6);
            own.fill(function_giving(2));
            _exit(call(own) == 2 ? 0 : 1);
        }
        int status = -1;
        waitpid(child, &status, 0);
        CHECK(status == 0);
        CHECK(call(kept) == 1);
    }
}

TEST_CASE("code space: what the system refuses is an error", "[jit][memory]") {
#if defined(__SANITIZE_THREAD__)
    WARN("skipped: ThreadSanitizer ends where the system refuses memory to it");
    return;
#endif
    const pid_t child = fork();
    if (child == 0) {
        CodeSpace space;
        std::vector<CodeSpace::Block> blocks;
        blocks.reserve(100'000);
        std::ifstream sizes("/proc/self/statm");
        rlim_t pages = 0;
        sizes >> pages;
        const rlimit limit{pages * 4096 + (8u << 20), pages * 4096 + (8u << 20)};
        setrlimit(RLIMIT_AS, &limit);
        try {
            for (int i = 0; i < 100'000; ++i) {
                blocks.push_back(space.allocate(4096));
                blocks.back().fill(function_giving(i));
            }
        } catch (const kiln::Error& error) {
            const bool right =
                error.message() ==
                "out of memory for machine code: 4096 bytes asked for (Cannot allocate memory)";
            blocks.pop_back();
            CodeSpace::Block again = space.allocate(4000);
            again.fill(function_giving(5));
            _exit(right && call(again) == 5 ? 0 : 2);
        }
        _exit(1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
}
