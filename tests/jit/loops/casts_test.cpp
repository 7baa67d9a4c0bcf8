// Floats as integers in loops: the nearest integer towards zero, the ends of the range beyond it, 0 for NaN.
#include "tests/catch.h"
#include "tests/regex.h"

#include <kiln/kiln.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace kiln;

namespace {

template <class I, class F> I nearest(F x) {
    using Limits = std::numeric_limits<I>;
    if (std::isnan(x)) return 0;
    if (x <= static_cast<F>(Limits::min())) return Limits::min();
    if (x >= std::ldexp(F(1), Limits::digits)) return Limits::max();
    return static_cast<I>(x);
}

/// Numbers around the ends of all ranges, and what is none.
template <class F> std::vector<F> numbers() {
    constexpr F infinite = std::numeric_limits<F>::infinity();
    std::vector<F> all{F(0),     F(-0.0),   F(0.99),
                       F(-0.99), F(1.5),    F(-1.5),
                       infinite, -infinite, F(std::numeric_limits<F>::quiet_NaN())};
    for (const int bits : {7, 8, 15, 16, 24, 31, 32, 53, 63, 64})
        for (const F sign : {F(1), F(-1)}) {
            const F end = sign * std::ldexp(F(1), bits);
            for (const F more : {F(-1), F(-0.5), F(0), F(0.5), F(1)}) all.push_back(end + more);
            all.push_back(std::nextafter(end, infinite));
            all.push_back(std::nextafter(end, -infinite));
        }
    return all;
}

template <class F, class I> void check_casts() {
    INFO(name(dtype_of<F>) << " to " << name(dtype_of<I>));
    const std::vector<F> values = numbers<F>();
    const auto n = static_cast<std::int64_t>(values.size());
    const Array x = empty({n}, dtype_of<F>);
    std::ranges::copy(values, x.span<F>().begin());
    for (const bool fast : {false, true}) {
        const auto whole = jit(
            [](In a, Out o) {
                for (Index i : range(o.extent(0))) o(i) = cast(dtype_of<I>, a(i));
            },
            {.fastmath = fast});
        const auto one =
            jit([](In a, Out o) { o(0) = cast(dtype_of<I>, a(0)); }, {.fastmath = fast});
        const std::string text =
            whole.inspect(Artifact::llvm_opt, {{dtype_of<F>, 1}, {dtype_of<I>, 1}});
        // LLVM takes the lanes of its own apart.
        CHECK_FALSE(test::is_found(text, "call <[0-9]+ x i[0-9]+> @llvm\\.fpto[su]i\\.sat"));
        const Array all = zeros({n}, dtype_of<I>), each = zeros({n}, dtype_of<I>);
        whole(x, all);
        for (std::int64_t i = 0; i < n; ++i) {
            one(x.slice(0, {i, i + 1}), each.slice(0, {i, i + 1}));
            const auto at = static_cast<std::size_t>(i);
            const I wanted = nearest<I>(values[at]);
            INFO(values[at]);
            CHECK(all.span<I>()[at] == wanted);
            CHECK(each.span<I>()[at] == wanted);
        }
    }
}

TEMPLATE_TEST_CASE("casts in loops: any integer", "[jit][program][casts]", std::int8_t,
                   std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t,
                   std::int64_t, std::uint64_t) {
    check_casts<float, TestType>();
    check_casts<double, TestType>();
}

}  // namespace
