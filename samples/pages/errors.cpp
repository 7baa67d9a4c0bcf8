// The errors of errors.md: each is made, and says what the page has.
#include "../tutorial/check.h"

#include <kiln/kiln.h>
#include <kiln/npy.h>

#include <cstdint>
#include <optional>
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
    gives("type", "1000 is not representable in i8: argument 2 of add",
          [&] { Array::of({std::int8_t(1)}) + 1000; });
    gives("type", "cannot cast output of add from f64 to i32 under same_kind",
          [&] { ufunc::add(x, x, {.out = zeros({3}, i32)}); });
    gives("bounds", "axis 2 of sum is out of bounds for an array of rank 1",
          [&] { sum(x, {.axis = 2}); });
    gives("usage", "may touch the same element of", [&] {
        jit([](In place, InOut y) {
            for (Index i : prange(place.extent(0))) y(place(i)) = 1;
        })(numbers, zeros({3}));
    });
    gives("usage", "which is declared outside of it", [&] {
        jit([](In a, Out y) {
            Var t(f64, 0);
            for (Index i : prange(a.extent(0))) {
                t = a(i) * a(i);
                y(i) = t;
            }
        })(x, zeros({3}));
    });
    gives("usage", "a Value is used after the block that computes it", [&] {
        vectorize([](Value a) {
            std::optional<Value> root;
            if_(a > 0, [&] { root.emplace(sqrt(a)); });
            return *root;
        })(x);
    });
    gives("bounds", "index (3,) is outside of p0 of shape (3,)", [&] {
        jit(
            [](InOut a) {
                for (Index i : range(a.extent(0))) a(i) = a(i + 1);
            },
            {.checked = true})(x);
    });
    gives("io", "no_such_file.npy", [&] { load_npy("no_such_file.npy"); });
}
