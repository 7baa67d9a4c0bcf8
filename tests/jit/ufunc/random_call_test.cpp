// Random shapes, strides, masks and outputs against plain indexing.
#include "tests/dice.h"
#include "tests/jit/support.h"
#include "tests/strided_array.h"

#include <algorithm>

using namespace kiln;
using namespace kiln::test;

namespace {

class Cases {
  public:
    explicit Cases(unsigned seed) : dice_(seed) {}

    std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(dice_.bits() % static_cast<std::uint64_t>(n));
    }
    bool chance(std::int64_t n) { return below(n) == 0; }

    Shape shape() {
        Shape s;
        const std::int64_t rank = below(5);
        for (std::int64_t d = 0; d < rank; ++d) s.push_back(chance(12) ? 0 : 1 + below(7));
        return s;
    }
    /// A shape that broadcasts to `to`.
    Shape narrowed(const Shape& to) {
        Shape s = to;
        for (int d = 0; d < s.rank(); ++d) s[d] = chance(4) ? 1 : s[d];
        while (s.rank() > 0 && chance(6)) s.erase(0);
        return s;
    }
    /// A view of this shape with permuted axes, steps and directions; filled with small integers.
    Array array(const Shape& shape, DType dtype) {
        const Array a = test::random_strided(dice_, shape, dtype, 0);
        for_each(shape, [&](const Shape& i) { set(a, i, static_cast<double>(below(100))); });
        return a;
    }
    static void set(const Array& a, const Shape& index, double value) {
        if (a.dtype() == DType::f64) {
            a.at<double>(index) = value;
        } else if (a.dtype() == DType::i32) {
            a.at<std::int32_t>(index) = static_cast<std::int32_t>(value);
        } else {
            a.at<bool>(index) = value > 50;
        }
    }
    static double get(const Array& a, const Shape& index) {
        return a.scalar_at(index).cast(DType::f64).get<double>();
    }
    template <class F> static void for_each(const Shape& shape, F f) {
        if (std::ranges::find(shape, 0) != shape.end()) return;
        Shape index = Shape::filled(shape.rank(), 0);
        for (;;) {
            f(index);
            int d = shape.rank();
            while (d-- > 0 && ++index[d] == shape[d]) index[d] = 0;
            if (d < 0) return;
        }
    }

  private:
    test::Dice dice_;
};

}  // namespace

TEST_CASE("random calls give what plain indexing gives", "[jit][random]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    Cases cases(seed);
    const auto serial = vectorize("mix", [](Value a, Value b) { return 3 * a - b; });
    const auto threads =
        vectorize("mix", [](Value a, Value b) { return 3 * a - b; }, {.parallel = true});
    const DType dtypes[] = {DType::i32, DType::f64};
    const Order orders[] = {Order::keep, Order::c, Order::fortran, Order::any};
    for (int round = 0; round < 400; ++round) {
        INFO("round " << round);
        const Shape shape = cases.shape();
        const Array a = cases.array(shape, dtypes[cases.below(2)]);
        const Array b = cases.array(cases.narrowed(shape), dtypes[cases.below(2)]);
        const bool with_mask = cases.chance(2), with_out = cases.chance(2);
        const Array mask = cases.array(cases.narrowed(shape), DType::bool_);
        const Array out = cases.array(shape, DType::f64), before = out.copy();
        CallOptions options;
        if (with_mask) options.where = mask;
        if (with_out) options.out = out;
        options.order = orders[cases.below(4)];
        const Array r = (cases.chance(2) ? serial : threads)(a, b, options);
        REQUIRE(r.shape() == shape);
        CHECK(r.dtype() == (with_out ? DType::f64 : promote(a.dtype(), b.dtype())));
        const Array wide = b.broadcast_to(shape), selected = mask.broadcast_to(shape);
        Cases::for_each(shape, [&](const Shape& i) {
            const bool computed = !with_mask || Cases::get(selected, i) != 0;
            const double expected = computed   ? 3 * Cases::get(a, i) - Cases::get(wide, i)
                                    : with_out ? Cases::get(before, i)
                                               : 0;
            REQUIRE(Cases::get(r, i) == expected);
        });
    }
}

TEST_CASE("random overlapping views are as if inputs were copied first", "[jit][random][overlap]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    Cases cases(seed);
    const auto mix = vectorize("mix", [](Value a, Value b) { return 3 * a - b; });
    for (int round = 0; round < 400; ++round) {
        INFO("round " << round);
        // Three views of one buffer, of one shape.
        const Shape shape{1 + cases.below(4), 1 + cases.below(5)};
        const Array buffer = arange(200, DType::f64);
        const auto view = [&] {
            const std::int64_t inner = 1 + cases.below(2),
                               outer = inner * shape[1] + cases.below(3);
            const Array v = Array::from_memory(buffer.data() + 8 * cases.below(60), DType::f64,
                                               shape, Shape{8 * outer, 8 * inner}, buffer.owner());
            return cases.chance(3) ? v.flip(static_cast<int>(cases.below(2))) : v;
        };
        const Array a = view(), out = view(), b = cases.chance(3) ? out : view();
        const Array a_before = a.copy(), b_before = b.copy(), all_before = buffer.copy();
        mix(a, b, {.out = out});
        std::vector<bool> written(200);
        Cases::for_each(shape, [&](const Shape& i) {
            REQUIRE(Cases::get(out, i) == 3 * Cases::get(a_before, i) - Cases::get(b_before, i));
            const std::byte* const at = reinterpret_cast<const std::byte*>(&out.at<double>(i));
            written[static_cast<std::size_t>((at - buffer.data()) / 8)] = true;
        });
        for (std::int64_t i = 0; i < 200; ++i) {
            if (!written[static_cast<std::size_t>(i)]) REQUIRE(at(buffer, i) == at(all_before, i));
        }
    }
}
