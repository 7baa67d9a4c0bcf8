// The smallest kernel, a * x + y, on every kind of array that there is.
//
// usage: saxpy [--llvm] [n]      n: elements of the timed arrays, 1000000 by default
#include <kiln/kiln.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "measure.h"

using namespace kiln;

namespace {

// Nothing is compiled here, and not until the first call with arguments of given types.
const Ufunc saxpy = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });
const Ufunc fast_saxpy =
    vectorize("fast_saxpy", [](Value a, Value x, Value y) { return a * x + y; },
              {.fastmath = true, .parallel = true});

/// The plain loop. g++ makes a vector loop of it; __restrict says what kiln finds out by itself.
template <class T>
[[gnu::noinline]] void plain_saxpy(T a, const T* x, const T* y, T* __restrict z, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) z[i] = a * x[i] + y[i];
}

/// Compares z with the plain loop over copies of x and y, broadcast to z's shape. Both round a * x
/// and the sum once each, or only the sum where they use fused multiply-add.
template <class T> bool check(const char* what, T a, const Array& x, const Array& y,
                              const Array& z) {
    const Array xs = x.broadcast_to(z.shape()).copy(), ys = y.broadcast_to(z.shape()).copy();
    const Array zs = z.contiguous();
    const auto xv = xs.span<const T>(), yv = ys.span<const T>(), zv = zs.span<const T>();
    std::vector<T> want(zv.size());
    plain_saxpy(a, xv.data(), yv.data(), want.data(), want.size());
    return samples::agree<T>(what, zv, want, [&](std::size_t i) {
        return std::numeric_limits<T>::epsilon() * (std::abs(a * xv[i]) + std::abs(yv[i]));
    });
}

/// All layouts of arguments, for one ufunc and one element type.
template <class T> bool layouts(const Ufunc& f) {
    const DType dtype = dtype_of<T>;
    std::printf("%s, %s\n", f.name().c_str(), std::string(name(dtype)).c_str());
    const T a = T(2.5);
    const Array x = linspace(-1, 1, 1001, true, dtype), y = linspace(3, -7, 1001, true, dtype);
    bool ok = true;

    // A C++ value is weak: 2.5 does not turn an f32 array into f64.
    ok &= check("contiguous", a, x, y, f(2.5, x, y));

    const Slice even = {.step = 2};
    ok &= check("strided", a, x(even), y(even), f(2.5, x(even), y(even)));

    ok &= check("negative stride", a, x.flip(), y, f(2.5, x.flip(), y));

    const Array column = x.expand_dims(-1);  // (1001, 1) with (1001) gives (1001, 1001)
    ok &= check("broadcast", a, column, y, f(2.5, column, y));

    // The output may overlap the inputs in any way: the result is as if they were copied first.
    const Array buffer = x.copy();
    const Array head = buffer(Slice{.stop = -1}), tail = buffer(Slice{.start = 1});
    const Array before = head.copy();
    f(2.5, head, y(Slice{.stop = -1}), {.out = tail});
    ok &= check("overlapping", a, before, y(Slice{.stop = -1}), tail);

    const Array nothing = x(Slice{.stop = 0});
    ok &= check("zero-size", a, nothing, nothing, f(2.5, nothing, nothing));
    return ok;
}

void time_calls(std::size_t n) {
    const auto count = static_cast<std::int64_t>(n);
    const Array x = linspace(0, 1, count, true, f32), y = full({n}, 1.0f), z = empty({n}, f32);
    const auto xs = x.span<const float>(), ys = y.span<const float>();
    const auto zs = z.span<float>();

    // A typed handle knows its types, so its calls look nothing up.
    using Spans = void(float, std::span<const float>, std::span<const float>, std::span<float>);
    const auto bound = saxpy.bind<Spans>();
    const auto bound_one = saxpy.bind<float(float, float, float)>();

    const int repeats = 1000;  // of a call too short for the clock
    const Array one = full({1}, 1.0f), out = empty({1}, f32);
    float sum = 0;
    const std::vector<double> ms =
        samples::medians(25, {
                                 [&] { plain_saxpy(2.0f, xs.data(), ys.data(), zs.data(), n); },
                                 [&] { saxpy(2.0f, x, y, {.out = z}); },
                                 [&] { fast_saxpy(2.0f, x, y, {.out = z}); },
                                 [&] { bound(2.0f, xs, ys, zs); },
                                 [&] {
                                     for (int i = 0; i < repeats; ++i)
                                         saxpy(2.0f, one, one, {.out = out});
                                 },
                                 [&] {
                                     for (int i = 0; i < repeats; ++i)
                                         sum = bound_one(0.5f, sum, 1.0f);
                                 },
                             });
    if (!(std::abs(sum - 2.0f) < 1e-6f)) std::printf("(sum %g)\n", static_cast<double>(sum));
    std::printf(
        "== saxpy of %zu f32: plain loop %.3f ms; strict %.3f ms (%.2fx), "
        "fastmath on %d threads %.3f ms (%.2fx), bound %.3f ms (%.2fx)\n",
        n, ms[0], ms[1], ms[0] / ms[1], num_threads(), ms[2], ms[0] / ms[2], ms[3], ms[0] / ms[3]);
    std::printf("== warm call: %.0f ns on arrays of one element, %.1f ns bound to scalars\n",
                1e6 * ms[4] / repeats, 1e6 * ms[5] / repeats);
}

}  // namespace

int main(int argc, char** argv) try {
    std::size_t n = 1'000'000;
    bool llvm = false;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--llvm") == 0) {
            llvm = true;
        } else {
            n = std::strtoull(argv[i], nullptr, 10);
        }
    }

    const Array x = ones({3}, f32);
    const double first =
        samples::first_call("saxpy(f32, f32[], f32[])", [&] { saxpy(2.0f, x, x); });
    const Array d = ones({3}, f64);
    const double second =
        samples::first_call("saxpy(f64, f64[], f64[])", [&] { saxpy(2.0, d, d); });

    bool ok = true;
    for (const Ufunc& f : {saxpy, fast_saxpy}) {
        ok &= layouts<float>(f);
        ok &= layouts<double>(f);
    }
    std::printf(
        "== first call: %.1f ms %s, %.1f ms for the next signature\n", first,
        stats().compiles > 0 ? "with opening the compiler" : "with code from the disk cache",
        second);
    time_calls(n);

    if (llvm) std::puts(saxpy.inspect(Artifact::llvm_opt, {f32, f32[1], f32[1]}).c_str());
    return ok ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
