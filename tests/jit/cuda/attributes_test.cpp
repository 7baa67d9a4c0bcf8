// What the assembler's log says of functions, and how many of them a multiprocessor holds.
#include "jit/cuda/assembler_log.h"
#include "tests/catch.h"

#include <kiln/attributes.h>
#include <kiln/error.h>

#include <string>
#include <vector>

using namespace kiln;

TEST_CASE("attributes are read from the assembler's log", "[jit][cuda]") {
    const std::vector<KernelAttributes> all = engine::attributes_in(
        R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'kiln_a' for 'sm_80'
ptxas info    : Function properties for kiln_a
    24 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Function properties for __internal_slowpath
    8 bytes stack frame, 1 bytes spill stores, 2 bytes spill loads
ptxas info    : Used 72 registers, used 1 barriers, 24 bytes cumulative stack size, 256 bytes smem, 368 bytes cmem[0]
ptxas info    : Compile time = 28.003 ms
ptxas info    : Compiling entry function 'kiln_b' for 'sm_80'
ptxas info    : Function properties for kiln_b
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, 352 bytes cmem[0])",
        "sm_80");
    REQUIRE(all.size() == 2);
    CHECK(all[0].function == "kiln_a");
    CHECK(all[0].architecture == "sm_80");
    CHECK(all[0].registers == 72);
    // A quarter of 65536 registers is enough for 7 warps of 32 x 72.
    CHECK(all[0].most_threads == 4 * 7 * 32);
    CHECK(all[0].shared == 256);
    CHECK(all[0].local == 24);
    CHECK(all[0].spill_stores == 4);
    CHECK(all[0].spill_loads == 12);
    CHECK(all[1].function == "kiln_b");
    CHECK(all[1].registers == 8);
    CHECK(all[1].most_threads == 1024);
    CHECK(all[1].shared == 0);
    CHECK(all[1].local == 0);
    CHECK(engine::attributes_in("", "sm_80").empty());
    CHECK(engine::attributes_in("ptxas info    : Used 8 registers\n", "sm_80").empty());
}

TEST_CASE("occupancy is that of the table of compute capabilities", "[jit][cuda]") {
    const auto occupancy = [](const char* arch, int registers, int threads, std::int64_t own = 0,
                              std::size_t dynamic = 0) {
        const KernelAttributes of{
            .function = "f", .architecture = arch, .registers = registers, .shared = own};
        return of.occupancy(threads, dynamic);
    };
    CHECK(occupancy("sm_80", 32, 1024) == 1);
    CHECK(occupancy("sm_80", 64, 256) == 0.5);    // 4 blocks of 8 warps, of 64
    CHECK(occupancy("sm_75", 64, 256) == 1);      // of 32
    CHECK(occupancy("sm_80", 65, 256) == 0.375);  // registers for 28 warps: 3 blocks
    CHECK(occupancy("sm_80", 255, 1024) == 0);    // for 8 warps
    CHECK(occupancy("sm_80", 16, 32) == 0.5);     // 32 blocks
    CHECK(occupancy("sm_80", 16, 33) == 1);       // of two warps
    CHECK(occupancy("sm_86", 16, 32) == 16 / 48.);
    // Of 228 KiB, a block of 48 KiB and one for the system leaves room for four.
    CHECK(occupancy("sm_90", 16, 128, 16 << 10, 32 << 10) == 4 * 4 / 64.);
    CHECK(occupancy("sm_90", 16, 128, 0, 228 << 10) == 0);
    CHECK_THROWS_WITH(occupancy("sm_80", 16, 0), Catch::Matchers::Contains("a block of 0 threads"));
    CHECK_THROWS_WITH(occupancy("sm_80", 16, 1025),
                      Catch::Matchers::Contains("a block of 1025 threads"));
    CHECK_THROWS_WITH(occupancy("sm_30", 16, 32),
                      Catch::Matchers::Contains("a multiprocessor of sm_30 holds is not known"));
}
