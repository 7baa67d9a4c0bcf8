// What halide.md shows: the kiln side of each pair, with results that are checked.
#include "../tutorial/check.h"

#include <kiln/kiln.h>
using namespace kiln;

int main() {
    const Array input = full({64, 80}, 9.0f);

    auto blur_x =
        stencil([](Neighbors in) -> Value { return (in(0, -1) + in(0, 0) + in(0, 1)) / 3; },
                {.boundary = Boundary::nearest, .parallel = true});
    auto blur_y =
        stencil([](Neighbors in) -> Value { return (in(-1, 0) + in(0, 0) + in(1, 0)) / 3; },
                {.boundary = Boundary::nearest, .parallel = true});
    Array blurred = blur_y(blur_x(input));
    check(blurred.at<float>({63, 0}) == 9.0f, "two stencils");

    auto histogram = jit(
        [](In image, Out bins) {
            bins = 0;
            for (Index y : prange(image.extent(0)))
                for (Index x : range(image.extent(1))) atomic_add(bins(image(y, x)), 1);
        },
        {.parallel = true});
    const Array bins = empty({256}, i32), picture = full({20, 30}, std::uint8_t(7));
    histogram(picture, bins);
    check(bins.at<std::int32_t>({7}) == 600, "a scattering update");

    auto tone = vectorize([](Value v, Value gain) { return clip(v * gain, 0, 255); });
    const Array bright = tone(input, 2.0f);
    check(bright.at<float>({0, 0}) == 18.0f, "a pure function");
    check(tone.inspect(Artifact::plan, {f32[2], f32}).find("lanes") != std::string::npos,
          "the schedule");
}
