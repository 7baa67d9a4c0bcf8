// What numpy.md shows: the kiln side of each pair, with results that are checked.
#include "../tutorial/check.h"

#include <kiln/kiln.h>
#include <kiln/npy.h>

#include <filesystem>
using namespace kiln;

int main() {
    Array x = arange(12.0).reshape({3, 4});
    Array y = x + Array::of({1.0, 2.0, 3.0, 4.0});
    y += 1;
    check(y.at<double>({2, 3}) == 16.0, "operators broadcast");

    Array corner = x(Slice{.start = 1}, Slice{.stop = -1});
    check(corner.shape() == Shape({2, 3}), "views");

    Array total = sum(x, {.axis = 0, .keepdims = true});
    check(total.at<double>({0, 3}) == 21.0, "reductions");

    Array p = exp(x - amax(x, {.axis = 1, .keepdims = true}));
    p /= sum(p, {.axis = 1, .keepdims = true});
    check(sum(p).item<double>() > 2.999999, "softmax");

    Array counts = zeros({4}, i64);
    ufunc::add.at(counts, Array::of({1, 3, 1}), 1);
    check(counts.at<std::int64_t>({1}) == 2, "repeated indices accumulate");

    const std::string path = std::filesystem::temp_directory_path() / "kiln_numpy_page.npy";
    save_npy(path, x);
    Array again = load_npy(path);
    check(again.shape() == x.shape(), "files");
    std::filesystem::remove(path);

    auto fused = vectorize([](Value x, Value y) { return sqrt(x * x + y * y) / (1 + abs(x)); });
    Array r = fused(x, y);
    check(r.shape() == x.shape(), "one pass instead of six");
}
