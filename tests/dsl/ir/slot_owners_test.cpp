// Which blocks slots belong to, and that parallel loops write no others.
#include "dsl/ir/slots.h"
#include "dsl/ir/text.h"
#include "tests/catch.h"
#include "tests/dsl/ir/small_kernels.h"

using namespace kiln;
using namespace kiln::ir;
using namespace kiln::test;

TEST_CASE("a slot belongs to the innermost block with all of its accesses", "[dsl][slots]") {
    const Kernel k = program(
        "for %0 = i64(0) to i64(4) step i64(1) {\n"
        "  write v0, f32(0)\n"
        "  if c {\n write v1, f32(1)\n %1 = read f32 v0\n }\n"
        "  write v2, f32(0)\n"
        "}\n"
        "%2 = read f32 v2\n"
        "store y[i64(0)], %2\n",
        "  slot v0: f32\n  slot v1: f32\n  slot v2: f32\n  slot v3: f32\n");
    const SlotOwners owners(k);
    const Id body = k.node(first(k, NodeKind::loop)).aux;
    const Id arm = k.node(first(k, NodeKind::branch)).aux;
    CHECK(owners.block(0) == body);
    CHECK(owners.block(1) == arm);
    CHECK(owners.block(2) == k.stages[0].body);
    CHECK(owners.block(3) == none);
    CHECK((owners.belongs_to(0, body) && owners.belongs_to(1, body) && owners.belongs_to(1, arm)));
    CHECK_FALSE((owners.belongs_to(0, arm) || owners.belongs_to(2, body)));
}

TEST_CASE("a launch's slots belong to where it stands", "[dsl][slots]") {
    const Kernel k = launching();
    const Id launch = first(k, NodeKind::launch), loop = first(k, NodeKind::loop);
    const SlotOwners owners(k);
    CHECK(owners.block(0) == k.stages[0].body);
    CHECK(owners.block(1) == k.node(loop).aux);
    CHECK(owners.block(2) == k.node(launch).aux2);
}

TEST_CASE("parallel loops write slots of their own, or reduce into them", "[dsl][slots]") {
    const auto verdict = [](const std::string& parallel, const std::string& before = {}) {
        const Kernel k =
            program(before + "for %0 = i64(0) to i64(4) step i64(1) parallel automatic 0" +
                        parallel + " {\n  if c {\n write v0, f32(1)\n }\n}\n",
                    "  slot v0: f32\n");
        REQUIRE(verify(k).empty());
        return verify_slots(k);
    };
    CHECK(verdict("").empty());
    CHECK(verdict("", "%1 = read f32 v0\nstore y[i64(0)], %1\n").find(" share slot 0, v0") !=
          std::string::npos);
    CHECK(verdict("", "write v0, f32(0)\n").find(" share slot 0, v0") != std::string::npos);
    CHECK(verdict(" (sum -> v0)", "write v0, f32(0)\n").empty());
    CHECK(verdict(" unsafe", "write v0, f32(0)\n").empty());
}

TEST_CASE("parallel loops of outlined programs are held to it, too", "[dsl][slots]") {
    Kernel k = program("");
    k.outlined.push_back(
        program("write v0, f32(0)\n"
                "for %0 = i64(0) to i64(4) step i64(1) parallel automatic 0 {\n"
                "  write v0, f32(1)\n}\n",
                "  slot v0: f32\n"));
    CHECK(verify_slots(k).starts_with("k0: iterations of parallel loop "));
}
