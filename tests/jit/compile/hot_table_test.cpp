#include "jit/compile/hot_table.h"

#include "tests/jit/support.h"

#include <thread>

using namespace kiln;
using engine::CallKey;

namespace {
CallKey key_of(unsigned n) {
    CallKey key(2, Casting::same_kind, std::nullopt);
    key.set_input(0, static_cast<DType>(n % 15), false, static_cast<ir::Layout>(n / 15 % 3));
    key.set_input(1, static_cast<DType>(n / 45 % 15), n / 675 % 2 == 1, ir::Layout::unit);
    return key;
}
}  // namespace

TEST_CASE("a key holds what it was given", "[jit][key]") {
    CallKey key(2, Casting::unsafe, DType::f16);
    key.set_input(0, DType::c128, true, ir::Layout::uniform);
    key.set_input(1, DType::bool_, false, ir::Layout::strided);
    key.set_where(ir::Layout::unit);
    key.set_output(0, DType::i8, ir::Layout::strided, true);
    key.set_output(1, DType::f64, ir::Layout::unit, true);
    key.set_streaming();
    CHECK(key.inputs() == 2);
    CHECK(key.input_dtype(0) == DType::c128);
    CHECK(key.input_weak(0));
    CHECK(key.input_layout(0) == ir::Layout::uniform);
    CHECK(key.input_dtype(1) == DType::bool_);
    CHECK_FALSE(key.input_weak(1));
    CHECK(key.input_layout(1) == ir::Layout::strided);
    CHECK(key.where_layout() == ir::Layout::unit);
    CHECK(key.outputs() == 2);
    CHECK(key.output_dtype(0) == DType::i8);
    CHECK(key.output_layout(1) == ir::Layout::unit);
    CHECK(key.casting() == Casting::unsafe);
    CHECK(key.dtype() == DType::f16);
    CHECK(key.is_streaming());
    const CallKey types = key.types();
    CHECK(types.input_layout(0) == ir::Layout::strided);
    CHECK(types.input_weak(0));
    CHECK(types.output_dtype(0) == DType::i8);
    CHECK_FALSE(types.is_streaming());
    CHECK(types == types.types());
    CHECK_FALSE(types == key);
}

TEST_CASE("a table finds all that was put in", "[jit][key]") {
    engine::HotTable<unsigned> table;
    for (unsigned n = 0; n < 1350; ++n) {
        CHECK(table.find(key_of(n)) == nullptr);
        table.insert(key_of(n), std::make_unique<unsigned>(n));
    }
    for (unsigned n = 0; n < 1350; ++n) {
        REQUIRE(table.find(key_of(n)) != nullptr);
        CHECK(*table.find(key_of(n)) == n);
    }
    // The first value stays.
    unsigned* const first = table.find(key_of(3));
    CHECK(table.insert(key_of(3), std::make_unique<unsigned>(99)) == first);
    CHECK(*first == 3);
}

TEST_CASE("readers and writers of a table", "[jit][key][threads]") {
    engine::HotTable<unsigned> table;
    std::atomic<bool> wrong = false;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            for (unsigned i = 0; i < 1350; ++i) {
                const unsigned n = (i * 7 + t * 100) % 1350;
                const unsigned* value = table.find(key_of(n));
                if (value == nullptr)
                    value = table.insert(key_of(n), std::make_unique<unsigned>(n));
                if (*value != n) wrong = true;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_FALSE(wrong);
}
