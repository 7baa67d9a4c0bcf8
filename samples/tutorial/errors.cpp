// Chapter 7: what goes wrong, and where.
#include "check.h"

#include <kiln/kiln.h>

#include <string>
using namespace kiln;

namespace {

template <class F> std::string error_of(F&& f) {
    try {
        f();
    } catch (const Error& error) {
        std::puts(error.what());
        return error.what();
    }
    return {};
}
bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

int main() {
    // All errors are kiln::Error: a kind, a text, a hint, and the line of the program that they are about.
    check(has(error_of([] { arange(3.0) + arange(4.0); }),
              "errors.cpp:26: error: cannot broadcast (3,) with (4,)"),
          "found while running");

    // Kernels check nothing that costs time. In checked mode (or with KILN_CHECKED=1 for all kernels) an index
    // beyond an array and a division of integers by zero are errors, with the lowest index that met one.
    const auto gather = [](JitOptions options) {
        return jit(
            "gather",
            [](In from, In places, Out to) {
                for (Index i : prange(places.extent(0))) to(i) = from(places(i));
            },
            options);
    };
    const Array from = arange(10.0), places = full({100}, std::int64_t(3)), to = zeros({100});
    places.at<std::int64_t>(70) = 12;
    const std::string text = error_of([&] { gather({.checked = true})(from, places, to); });
    check(has(text, "errors.cpp:36") && has(text, "12"),
          "the line of the subscript, and the index");

    // .verify runs a plain form of the kernel as well, and tells where the optimised one differs.
    const auto sums = jit("sums", [](In x, Out y) { y = exp(x) * 2; }, {.verify = true});
    sums(arange(100.0) / 50, to);
    check(sums.differences().empty(), "both forms gave the same bits");
}
