// Iteration plans, run with functions of ours in place of compiled code.
#include "jit/call/plan.h"

#include "tests/jit/support.h"

#include <mutex>
#include <random>

using namespace kiln;
using namespace kiln::test;
using engine::OperandView;

namespace {

OperandView view_of(const Array& a) {
    return {a.data(), a.shape().data(), a.strides().data(), &a, a.rank(), a.dtype(), false,
            false,    a.read_only()};
}

const engine::Operand* operands_of(const engine::MapFrame* frame) {
    return reinterpret_cast<const engine::Operand*>(frame + 1);
}

/// out = 3 * a + b on i32.
void combine(const engine::MapFrame* frame) {
    const engine::Operand* o = operands_of(frame);
    for (std::int64_t r = 0; r < frame->rows; ++r) {
        for (std::int64_t c = 0; c < frame->columns; ++c) {
            const auto at = [&](int k) {
                return reinterpret_cast<std::int32_t*>(o[k].data + r * o[k].outer + c * o[k].inner);
            };
            *at(2) = 3 * *at(0) + *at(1);
        }
    }
}

/// Faults where the only operand, an i32 array, is negative; writes nothing.
void refuse_negative(const engine::MapFrame* frame) {
    const engine::Operand* o = operands_of(frame);
    for (std::int64_t r = 0; r < frame->rows; ++r) {
        for (std::int64_t c = 0; c < frame->columns; ++c) {
            if (*reinterpret_cast<std::int32_t*>(o->data + r * o->outer + c * o->inner) >= 0)
                continue;
            if (frame->fault->code == -1) *frame->fault = {7, r, c};
        }
    }
}

engine::CallPlan plan_of(const Shape& shape, std::initializer_list<Array> arrays, int first_output,
                         bool logical = false) {
    std::vector<OperandView> views;
    for (const Array& a : arrays) views.push_back(view_of(a));
    engine::CallPlan plan;
    engine::make_call_plan(plan, shape, views, first_output, logical);
    return plan;
}

/// An array of this shape somewhere in a larger one: axes permuted, steps of 1 to 3, some
/// backwards.
Array random_array(std::mt19937& random, const Shape& shape) {
    const int rank = shape.rank();
    Shape order = Shape::filled(rank, 0);
    for (int d = 0; d < rank; ++d) order[d] = d;
    std::shuffle(order.begin(), order.end(), random);
    Shape big = shape, inverse = shape;
    for (int d = 0; d < rank; ++d) {
        big[d] = shape[static_cast<int>(order[d])] * 3 + 1;
        inverse[static_cast<int>(order[d])] = d;
    }
    Array a = zeros(big, DType::i32).transpose(inverse);
    for (int d = 0; d < rank; ++d) {
        const std::int64_t step = 1 + static_cast<std::int64_t>(random() % 3);
        a = a.slice(d, {0, shape[d] * step, step});
        if (random() % 2 == 0) a = a.flip(d);
    }
    return a;
}

void fill_random(std::mt19937& random, const Array& a) {
    Shape index = Shape::filled(a.rank(), 0);
    for (std::int64_t i = 0; i < a.size(); ++i) {
        a.at<std::int32_t>(index) = static_cast<std::int32_t>(random() % 1000);
        for (int d = a.rank(); d-- > 0 && ++index[d] == a.extent(d);) index[d] = 0;
    }
}

}  // namespace

TEST_CASE("contiguous operands are one row", "[jit][plan]") {
    const Array a = zeros({4, 5, 6}), b = zeros({4, 5, 6});
    const engine::CallPlan plan = plan_of({4, 5, 6}, {a, b}, 1);
    CHECK(plan.columns == 120);
    CHECK(plan.total_rows == 1);
    CHECK(plan.operands[0].layout == ir::Layout::unit);
    CHECK(plan.operands[1].layout == ir::Layout::unit);
}

TEST_CASE("Fortran order and backward axes are one row too", "[jit][plan]") {
    const Array a = zeros({4, 5}, DType::f64, Order::fortran).flip();
    const Array b = zeros({4, 5}, DType::f64, Order::fortran).flip();
    const engine::CallPlan plan = plan_of({4, 5}, {a, b}, 1);
    CHECK(plan.columns == 20);
    CHECK(plan.total_rows == 1);
    CHECK(plan.operands[0].inner == 8);
    // In logical order nothing may be turned round.
    const engine::CallPlan logical = plan_of({4, 5}, {a, b}, 1, true);
    CHECK(logical.columns == 5);
    CHECK(logical.rows == 4);
    CHECK(logical.operands[1].layout == ir::Layout::strided);
}

TEST_CASE("a broadcast row and column", "[jit][plan]") {
    const Array row = zeros({6}), column = zeros({4, 1}), out = zeros({4, 6});
    const engine::CallPlan plan = plan_of({4, 6}, {row, column, out}, 2);
    CHECK(plan.columns == 6);
    CHECK(plan.rows == 4);
    CHECK(plan.operands[0].layout == ir::Layout::unit);
    CHECK(plan.operands[0].outer == 0);
    CHECK(plan.operands[1].layout == ir::Layout::uniform);
    CHECK(plan.operands[1].outer == 8);
    CHECK(plan.operands[2].layout == ir::Layout::unit);
}

TEST_CASE("the inner axis is the one with most contiguous operands", "[jit][plan]") {
    // The output alone is contiguous along axis 1, both inputs along axis 0.
    const Array a = zeros({4, 6}, DType::f64, Order::fortran),
                b = zeros({4, 6}, DType::f64, Order::fortran);
    const engine::CallPlan plan = plan_of({4, 6}, {a, b, zeros({4, 6})}, 2);
    CHECK(plan.columns == 4);
    CHECK(plan.operands[0].layout == ir::Layout::unit);
    CHECK(plan.operands[2].layout == ir::Layout::strided);
}

TEST_CASE("a single element", "[jit][plan]") {
    const engine::CallPlan plan = plan_of({1, 1}, {zeros({}), zeros({1, 1})}, 1);
    CHECK(plan.columns == 1);
    CHECK(plan.total_rows == 1);
    CHECK(plan.operands[0].layout == ir::Layout::unit);
}

TEST_CASE("random shapes and strides cover each element once", "[jit][plan]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 300; ++round) {
        const int rank = static_cast<int>(random() % 5);
        Shape shape;
        for (int d = 0; d < rank; ++d) shape.push_back(1 + static_cast<std::int64_t>(random() % 5));
        Shape narrow = shape;  // broadcast along some axes, and of lower rank at times
        for (int d = 0; d < rank; ++d) narrow[d] = random() % 3 == 0 ? 1 : shape[d];
        if (rank > 0 && random() % 3 == 0) narrow.erase(0);
        const Array a = random_array(random, shape), b = random_array(random, narrow);
        const Array out = random_array(random, shape);
        fill_random(random, a);
        fill_random(random, b);
        const bool logical = random() % 2 == 0;
        const engine::CallPlan plan = plan_of(shape, {a, b, out}, 2, logical);
        CHECK(plan.columns * plan.total_rows == out.size());
        // A high cost makes pieces of few iterations, run by threads.
        const auto fault = engine::run_call_plan(plan, combine, random() % 2 == 0 ? 0.0 : 5000.0);
        CHECK(fault.code == -1);
        const Array wide = b.broadcast_to(shape);
        for (std::int64_t i = 0; i < out.size(); ++i) {
            REQUIRE(at(out, i) == 3 * at(a, i) + at(wide, i));
        }
    }
}

TEST_CASE("the fault of the lowest index is the one that counts", "[jit][plan]") {
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        const Shape shape{3, 4, 50};
        const Array a = random_array(random, shape);
        const std::int64_t first = static_cast<std::int64_t>(random() % 600);
        for (std::int64_t i = first; i < 600; i += 1 + static_cast<std::int64_t>(random() % 100)) {
            a.at<std::int32_t>({i / 200, i / 50 % 4, i % 50}) = -1;
        }
        const engine::CallPlan plan = plan_of(shape, {a}, 0, true);
        for (const double cost : {0.0, 500.0, 50'000.0}) {
            const auto fault = engine::run_call_plan(plan, refuse_negative, cost);
            CHECK(fault.code == 7);
            CHECK(fault.index == first);
        }
    }
}

TEST_CASE("long rows are cut at multiples of 64 columns", "[jit][plan]") {
    static std::int64_t total;
    static bool aligned;
    static std::byte* base;
    total = 0, aligned = true;
    const Array a = zeros({1'000'001}, DType::i32);
    base = a.data();
    const engine::CallPlan plan = plan_of(a.shape(), {a}, 0);
    engine::run_call_plan(
        plan,
        [](const engine::MapFrame* frame) {
            const std::int64_t offset = (operands_of(frame)->data - base) / 4;
            static std::mutex mutex;
            const std::lock_guard lock(mutex);
            total += frame->columns;
            aligned = aligned && offset % 64 == 0;
        },
        0.3);
    CHECK(total == 1'000'001);
    CHECK(aligned);
}

TEST_CASE("threads start where they can pay", "[jit][plan]") {
    CHECK(engine::parallel_threshold(0.01) > 120'000);
    CHECK(engine::parallel_threshold(0.01) < 140'000);
    CHECK(engine::parallel_threshold(20.0) < 1100);
}
