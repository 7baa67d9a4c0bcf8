// A program of a user's with a session in it.
#include <kiln/interact.h>

#include <cstdio>
#include <future>
#include <string_view>
#include <thread>

using namespace kiln;

int main(int argc, char** argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    std::promise<void> over;
    std::thread other;
    if (mode == "--threads") other = std::thread([&] { over.get_future().wait(); });
    Array x = linspace(0, 1, 5);
    const double scale = 2.5;
    auto saxpy = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });
    auto total = jit("total",
                     [](In a) -> Value {
                         Var s(f64, 0);
                         for (Index i : prange(a.extent(0))) s += a(i);
                         return s;
                     },
                     {.parallel = true});
    total(ones({1000000}));  // kiln's threads are there
    saxpy(scale, x, x);
    try {
        interact({{mode == "--name" ? "no name" : "saxpy", saxpy},
                  {"total", total},
                  {"x", x},
                  {"scale", scale}});
    } catch (const Error& error) {
        std::printf("%s\n", error.what());
        return 1;
    }
    // What the session did to the program's own objects is there.
    std::printf("x(0) is %g, saxpy was compiled %zu times, total %g\n", x.at<double>({0}),
                saxpy.specialisations().size(), total(ones({1000000})).get<double>());
    over.set_value();
    if (other.joinable()) other.join();
    return 3;
}
