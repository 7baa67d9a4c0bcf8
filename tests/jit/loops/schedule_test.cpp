// How iterations are dealt out to threads: the pieces themselves.
#include "jit/loops/schedule.h"
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

using namespace kiln;
using kiln::test::Threads;

namespace {

struct Piece {
    std::int64_t first, last;
    std::thread::id thread;
    bool operator<(const Piece& other) const { return first < other.first; }
};

/// The pieces in the order of their iterations, which they cover once each.
std::vector<Piece> pieces(ir::Schedule schedule, std::int64_t count, std::int64_t chunk,
                          std::vector<Piece>* in_order = nullptr) {
    std::vector<Piece> all;
    std::mutex mutex;
    engine::deal_out(schedule, count, chunk, [&](std::int64_t first, std::int64_t last) {
        const std::lock_guard lock(mutex);
        all.push_back({first, last, std::this_thread::get_id()});
    });
    if (in_order != nullptr) *in_order = all;
    std::ranges::sort(all, {}, &Piece::first);
    std::int64_t next = 0;
    for (const Piece& p : all) {
        CHECK(p.first == next);
        CHECK(p.last > p.first);
        next = p.last;
    }
    CHECK(next == count);
    return all;
}

std::vector<std::int64_t> sizes(const std::vector<Piece>& all) {
    std::vector<std::int64_t> s;
    for (const Piece& p : all) s.push_back(p.last - p.first);
    return s;
}

using Sizes = std::vector<std::int64_t>;

TEST_CASE("schedule: static pieces are of equal size, one a thread", "[jit][program][schedule]") {
    const Threads scope(4);
    CHECK(sizes(pieces(ir::Schedule::static_, 100, 0)) == Sizes{25, 25, 25, 25});
    CHECK(sizes(pieces(ir::Schedule::static_, 10, 0)) == Sizes{3, 3, 2, 2});
    CHECK(sizes(pieces(ir::Schedule::static_, 3, 0)) == Sizes{1, 1, 1});
    CHECK(pieces(ir::Schedule::static_, 0, 0).empty());
}

TEST_CASE("schedule: static pieces of a chunk go round the threads", "[jit][program][schedule]") {
    const Threads scope(3);
    CHECK(sizes(pieces(ir::Schedule::static_, 23, 5)) == Sizes{5, 5, 5, 5, 3});
    CHECK(sizes(pieces(ir::Schedule::static_, 4, 5)) == Sizes{4});
    const std::vector<Piece> all = pieces(ir::Schedule::static_, 300, 10);
    REQUIRE(all.size() == 30);
    for (std::size_t i = 3; i < all.size(); ++i) CHECK(all[i].thread == all[i - 3].thread);
}

TEST_CASE("schedule: dynamic pieces have the chunk's size", "[jit][program][schedule]") {
    const Threads scope(4);
    CHECK(sizes(pieces(ir::Schedule::dynamic, 23, 5)) == Sizes{5, 5, 5, 5, 3});
    CHECK(sizes(pieces(ir::Schedule::dynamic, 5, 1)) == Sizes{1, 1, 1, 1, 1});
    CHECK(sizes(pieces(ir::Schedule::dynamic, 5, INT64_MAX)) == Sizes{5});
    // Without a chunk, a 16th of a thread's share.
    CHECK(sizes(pieces(ir::Schedule::dynamic, 6400, 0)) == Sizes(64, 100));
    CHECK(sizes(pieces(ir::Schedule::dynamic, 7, 0)) == Sizes(7, 1));
}

TEST_CASE("schedule: guided pieces shrink with what is left, down to the chunk",
          "[jit][program][schedule]") {
    const Threads scope(2);
    const Sizes s = sizes(pieces(ir::Schedule::guided, 1000, 10));
    CHECK(s[0] == 250);
    CHECK(s[1] == 187);
    for (std::size_t i = 1; i < s.size(); ++i) {
        CHECK(s[i] <= s[i - 1]);
        if (i + 1 < s.size()) CHECK(s[i] >= 10);
    }
    CHECK(sizes(pieces(ir::Schedule::guided, 6, 0)) == Sizes(6, 1));
}

TEST_CASE("schedule: a thread that is busy takes no more pieces", "[jit][program][schedule]") {
    const Threads scope(2);
    for (const ir::Schedule schedule : {ir::Schedule::dynamic, ir::Schedule::guided}) {
        std::atomic<std::int64_t> others{0};
        std::atomic<bool> alone = false;
        // The piece with iteration 0 lasts until all others are done, which needs another thread;
        // it gives up on machines that never start one.
        engine::deal_out(schedule, 40, 1, [&](std::int64_t first, std::int64_t last) {
            if (first > 0) {
                others += last - first;
                return;
            }
            for (int i = 0; i < 2000 && others < 40 - last; ++i)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            alone = others != 40 - last;
        });
        CHECK_FALSE(alone);
    }
}

TEST_CASE("schedule: one thread", "[jit][program][schedule]") {
    const Threads scope(1);
    for (const auto schedule : {ir::Schedule::static_, ir::Schedule::dynamic, ir::Schedule::guided})
        for (const Piece& p : pieces(schedule, 100, 7))
            CHECK(p.thread == std::this_thread::get_id());
}

}  // namespace
