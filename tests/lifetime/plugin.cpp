// A library that programs open and close: kernels and functions of the host, under names that are
// the same in every plugin. PLUGIN_FACTOR is what it multiplies by.
#include <kiln/kiln.h>

#include <memory>

using namespace kiln;

namespace {
double scaled(double x) { return x * PLUGIN_FACTOR; }
double halved(double x) { return x / 2; }
}  // namespace

/// Kernels made and called here; gone when it returns.
extern "C" double plugin_run(double value) {
    const auto scale = host_function("scaled", &scaled);
    const auto half = host_function("halved", &halved, {.pure = true});
    const auto kernel = jit([=](In x, Out y) {
        for (Index i : range(x.extent(0))) y(i) = scale(half(x(i)));
    });
    const auto plus = vectorize("plus", [](Value x) { return x + 0.5; }, {.checked = true});
    const double x[] = {value};
    double y[] = {0};
    kernel(std::span(x), std::span(y));
    return plus.bind<double(double)>()(y[0]);
}

/// The same function, as a part of a kernel of the program.
extern "C" void plugin_function(HostFunction<double(double)>* to) {
    *to = host_function("scaled", &scaled);
}

/// A kernel of this library's, whose errors know a line of it.
extern "C" void plugin_kernel(std::unique_ptr<Ufunc>* to) {
    *to = std::make_unique<Ufunc>(
        vectorize("ratio", [](Value x) { return (60 * PLUGIN_FACTOR) / x; }, {.checked = true}));
}
