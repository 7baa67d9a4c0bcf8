#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/oracle/interpreter.h"

using namespace kiln;

namespace {

std::string body_after(const std::string& type, const std::string& op) {
    return ir::print(
        test::run(codegen::run_checks,
                  test::kernel(test::map_text("a: in " + type + "[1], o: out " + type + "[1]",
                                              "    %0 = load " + type + " a[i0]\n    %1 = " + op +
                                                  " " + type + " %0, %0\n    store o[i0], %1\n"))));
}

std::string expected(const std::string& op) {
    return test::map_text("a: in i32[1], o: out i32[1]",
                          "    %0 = load i32 a[i0]\n    %1 = ne bool %0, i32(0)\n"
                          "    check division_by_zero, %1\n    %2 = " +
                              op + " i32 %0, %0\n    store o[i0], %2\n");
}

}  // namespace

TEST_CASE("checks: integer divisions are checked, others are not", "[codegen][checks]") {
    for (const std::string op : {"div", "rem", "floor_divide", "mod", "fmod"}) {
        CHECK(body_after("i32", op) == expected(op));
        CHECK(body_after("f32", op).find("check") == std::string::npos);
    }
    CHECK(body_after("i32", "mul").find("check") == std::string::npos);
}

TEST_CASE("checks: the fault names the iteration and the user's line; the others go on",
          "[codegen][checks]") {
    ir::Builder b("k");
    const auto x = b.add_param({"x", DType::i32, 1, ir::Access::in, ir::Layout::unit, false});
    const auto o = b.add_param({"o", DType::i32, 1, ir::Access::out, ir::Layout::unit, false});
    const ir::Id extents[] = {b.extent(x, 0)};
    b.begin_stage(extents, false);
    b.set_location(Location("user.cpp", 7));
    b.store(o, {b.index(0)},
            b.apply(ir::Op::div, {b.constant(Scalar::of(12)), b.load(x, {b.index(0)})}));
    b.end();
    const ir::Kernel k = test::all_passes(b.finish(), true);
    std::vector<std::int32_t> in = {3, 0, 4, 0}, out(4, -1);
    const oracle::Argument arguments[] = {oracle::Argument::of(in), oracle::Argument::of(out)};
    const auto fault = oracle::interpret(k, arguments);
    REQUIRE(fault);
    CHECK(fault->check == ir::Check::division_by_zero);
    CHECK(fault->iteration == std::vector<std::int64_t>{1});
    CHECK(fault->location.line == 7);
    CHECK(out == std::vector<std::int32_t>{4, 0, 3, 0});
}
