// Vectors that overlap in memory: stencils along rows, against plain loops, bit for bit.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <cstring>
#include <vector>

using namespace kiln;

namespace {

template <class T> Array numbers(std::int64_t n) {
    const Array a = empty({n}, dtype_of<T>);
    std::uint32_t state = 5;
    for (T& x : a.span<T>()) {
        state = state * 1664525U + 1013904223U;
        x = static_cast<T>(state >> 20) / static_cast<T>(16);
    }
    return a;
}

/// y[i] for offsets around i, at every alignment of both arrays.
template <class T> void check_stencil() {
    const auto f = jit("around", [](In x, Out y) {
        for (Index i : range(3, x.extent(0) - 5))
            y(i) = x(i - 3) + x(i - 1) - x(i) + x(i + 1) + x(i + 2) - x(i + 5);
    });
    const std::string text = f.inspect(Artifact::llvm_opt, {{dtype_of<T>, 1}, {dtype_of<T>, 1}});
    if (text.find("\"prefer-vector-width\"=\"512\"") != std::string::npos)
        CHECK(text.find("%shared") != std::string::npos);
    const Array x = numbers<T>(700), y = numbers<T>(700);
    for (const std::int64_t n : {0, 8, 9, 40, 72, 73, 200, 600})
        for (const std::int64_t at : {0, 1, 3, 7}) {
            const Array in = x(Slice{.start = at, .stop = at + n}),
                        out = y(Slice{.start = 2 * at, .stop = 2 * at + n});
            std::vector<T> want(out.span<T>().begin(), out.span<T>().end());
            const auto a = in.span<T>();
            for (std::size_t i = 3; i + 5 < a.size(); ++i)
                want[i] =
                    static_cast<T>(a[i - 3] + a[i - 1] - a[i] + a[i + 1] + a[i + 2] - a[i + 5]);
            f(in, out);
            CHECK((want.empty() ||
                   std::memcmp(out.data(), want.data(), sizeof(T) * want.size()) == 0));
        }
}

TEST_CASE("shared loads: stencils along rows", "[jit][program][shared_loads]") {
    check_stencil<double>();
    check_stencil<float>();
    check_stencil<std::int64_t>();
    check_stencil<std::int32_t>();
}

TEST_CASE("shared loads: not across stores to what is loaded", "[jit][program][shared_loads]") {
    const auto f = jit("forward", [](InOut x, Out y) {
        for (Index i : range(x.extent(0) - 2)) {
            const Value before = x(i) + x(i + 1);
            x(i) = before + x(i + 2);
            y(i) = x(i) - x(i + 1);
        }
    });
    for (const std::int64_t n : {2, 3, 66, 67, 259}) {
        const Array x = numbers<double>(n), y = zeros({n});
        std::vector<double> a(x.span<double>().begin(), x.span<double>().end()), b(a.size(), 0.0);
        for (std::size_t i = 0; i + 2 < a.size(); ++i) {
            a[i] = a[i] + a[i + 1] + a[i + 2];
            b[i] = a[i] - a[i + 1];
        }
        f(x, y);
        CHECK(std::memcmp(x.data(), a.data(), 8 * a.size()) == 0);
        CHECK(std::memcmp(y.data(), b.data(), 8 * b.size()) == 0);
    }
}

}  // namespace
