// What generated code and its callers pack into words comes out as it went in, at the limits too. The
// places of fields are pinned by static_asserts beside them.
#include "codegen/abi.h"
#include "tests/catch.h"

#include <kiln/shape.h>

#include <limits>

using namespace kiln;

TEST_CASE("the site of a fault goes through a word", "[codegen][abi]") {
    const abi::FaultSite last{ir::Check::outside_neighborhood,
                              std::numeric_limits<std::uint32_t>::max()};
    for (const abi::FaultSite site :
         {abi::FaultSite{ir::Check::division_by_zero, 0}, abi::FaultSite{ir::Check::shapes, 1},
          abi::FaultSite{ir::Check::out_of_bounds, 0x1234567}, last}) {
        CHECK(abi::fault_site(abi::pack(site)) == site);
        CHECK(abi::pack(site) > abi::no_fault);
    }
}

TEST_CASE("a schedule goes through a word", "[codegen][abi]") {
    constexpr std::int64_t most = std::int64_t(1) << 54;
    for (const ir::Schedule schedule : {ir::Schedule::automatic, ir::Schedule::static_,
                                        ir::Schedule::dynamic, ir::Schedule::guided})
        for (const bool flat : {false, true})
            for (const std::int64_t chunk : {std::int64_t(0), std::int64_t(1), std::int64_t(255),
                                             std::int64_t(256), most - 1, most}) {
                const abi::ScheduleWord word{schedule, flat, chunk};
                CHECK(abi::schedule_word(abi::pack(word)) == word);
            }
    // More than any loop has iterations.
    constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
    CHECK(abi::schedule_word(abi::pack(abi::ScheduleWord{ir::Schedule::dynamic, true, huge})) ==
          abi::ScheduleWord{ir::Schedule::dynamic, true, most});
}

TEST_CASE("what a fault is about goes through a word", "[codegen][abi]") {
    using Kind = abi::Subject::Kind;
    constexpr std::uint32_t any = std::numeric_limits<std::uint32_t>::max();
    CHECK(abi::subject(abi::pack(abi::Subject{})) == abi::Subject{});
    for (const std::uint32_t array : {0U, 1U, 255U, 65'536U, any}) {
        const abi::Subject one{Kind::array, array, 0, 0};
        CHECK(abi::subject(abi::pack(one)) == one);
        for (const std::uint32_t first : {1U, 8U, 15U, 16U, 255U})
            for (const std::uint32_t second : {0U, 1U, 24U, 255U}) {
                const abi::Subject lists{Kind::lists, array, first, second};
                CHECK(abi::subject(abi::pack(lists)) == lists);
            }
    }
}

TEST_CASE("the words of frames", "[codegen][abi]") {
    CHECK(abi::map_word::operand(0, abi::map_word::data) == 3);
    CHECK(abi::map_word::operand(2, abi::map_word::outer) == 11);
    CHECK(abi::map_word::count(2) == 9);
    ir::Kernel kernel;
    const auto add = [&](ir::Access access, std::uint8_t rank) {
        ir::Param p;
        p.access = access;
        p.rank = rank;
        kernel.params.push_back(p);
    };
    add(ir::Access::in, 2);
    add(ir::Access::value, 0);
    add(ir::Access::out, 0);
    add(ir::Access::inout, max_rank);
    CHECK(abi::program_word::offset(kernel, 0) == 0);
    CHECK(abi::program_word::offset(kernel, 1) == 5);
    CHECK(abi::program_word::offset(kernel, 2) == 7);
    CHECK(abi::program_word::offset(kernel, 3) == 8);
    CHECK(abi::program_word::offset(kernel, 4) == 25);
    CHECK(abi::program_word::extent(1) == 2);
    CHECK(abi::program_word::stride(1, 2) == 4);
}
