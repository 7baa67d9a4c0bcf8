// Chapter 10: a device, or the simulator.
#include "check.h"

#include <kiln/kiln.h>

#include <string>
using namespace kiln;

int main() {
    const auto damp = [](JitOptions options) {
        return jit(
            "damp",
            [](In x, Out y) {
                for (Index i : prange(x.extent(0))) y(i) = 0.5 * x(i) + 1;
            },
            options);
    };
    const Array x = arange(1000.0);
    Array y = zeros({1000});

    // A kernel runs where its arrays are. Without a driver or a device that is an error, which says what was
    // looked for.
    try {
        const Array there = x.to(cuda()), result = y.to(cuda());
        damp({})(there, result);
        check(result.to_host().at<double>(10) == 6, "computed on the device");
    } catch (const Error& error) {
        std::puts(error.what());
        check(error.kind() == ErrorKind::device, "there is no device here");
    }

    // The text for it can be seen everywhere.
    const std::string text = damp({}).inspect(Artifact::cuda, {f64[1], f64[1]});
    check(text.find("__global__") != text.npos, "CUDA C++");

    // And run: the simulator is the same text on this CPU, with every access watched.
    try {
        damp({.target = BackendTarget::sim})(x, y);
        check(y.at<double>(10) == 6, "computed by the simulator");
    } catch (const Error& error) {  // a build without Clang has none
        check(error.kind() == ErrorKind::device, error.what());
    }
}
