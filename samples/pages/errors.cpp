// The errors of errors.md: each is made, and says what the page has.
#include "../tutorial/check.h"

#include <kiln/kiln.h>
#include <kiln/npy.h>

#include <cstdint>
#include <string>
using namespace kiln;

namespace {

template <class F> void gives(const char* kind, const char* text, F&& f) {
    try {
        f();
    } catch (const Error& error) {
        const bool right =
            name(error.kind()) == kind && std::string(error.what()).find(text) != std::string::npos;
        if (!right) std::printf("%s: %s\n", std::string(name(error.kind())).c_str(), error.what());
        check(right, text);
        return;
    }
    check(false, text);
}

}  // namespace

int main() {
    const Array x = arange(3.0), numbers = Array::of({std::int32_t(1), std::int32_t(2)});
    gives("shape", "cannot broadcast (3,) with (4,)", [&] { x + arange(4.0); });
    gives("type", "the array holds f64, not f32", [&] { x.view<float, 1>(); });
    gives("shape", "the array has rank 1 (shape (3,)), not rank 2", [&] { x.view<double, 2>(); });
    gives("usage", "the array is read-only",
          [&] { x.broadcast_to({2, 3}).at<double>({0, 0}) = 1; });
    gives("usage", "the array is not contiguous", [&] { x.slice(0, {.step = 2}).span<double>(); });
    gives("bounds", "index (3,) is out of bounds for shape (3,)", [&] { x.at<double>(3); });
    gives("shape", "is out of range for an array of rank 1", [&] { x.slice(1, {}); });
    gives("shape", "cannot reshape (3,)", [&] { x.reshape({2, 2}); });
    gives("usage", "slice step cannot be zero", [&] { x.slice(0, {.step = 0}); });
    gives("shape", "zero-size array to reduction operation maximum which has no identity",
          [&] { amax(zeros({0})); });
    gives("type", "without narrowing", [&] {
        jit([](In a, Out b) {
            Var sum(f32, 0);
            sum += a(0);
            b(0) = sum;
        })(x, zeros({1}));
    });
    gives("io", "no_such_file.npy", [&] { load_npy("no_such_file.npy"); });
}
