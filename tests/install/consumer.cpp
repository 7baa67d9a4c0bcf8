// The first example of the README, against an installed kiln.
#include <kiln/kiln.h>

#include <cstdio>

int main() {
    auto saxpy = kiln::vectorize(
        "saxpy", [](kiln::Value a, kiln::Value x, kiln::Value y) { return a * x + y; });
    const kiln::Array x = kiln::full({3}, 2.0f);
    const kiln::Array y = kiln::full({3}, 1.0f);
    const kiln::Array z = saxpy(10.0f, x, y);
    const bool right = z.at<float>(0) == 21.0f && z.at<float>(2) == 21.0f;
    std::puts(right ? "saxpy is right" : "saxpy is wrong");
    return right ? 0 : 1;
}
