// What kernels from C++ text take, from the text to the result: the first in a process, and later ones.
#include <kiln/kiln.h>
#include <kiln/text.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

int main() {
    const kiln::Array x = kiln::linspace(0, 1, 1000);
    std::vector<double> ns;
    for (int i = 0; i < 6; ++i) {  // no two kernels are equal
        const auto start = std::chrono::steady_clock::now();
        const kiln::Ufunc f = kiln::text::vectorize(
            "double f(double a, double x) { return a * x + " + std::to_string(i) + ".5; }", "f");
        f(2.0, x);
        const auto taken = std::chrono::steady_clock::now() - start;
        ns.push_back(std::chrono::duration<double, std::nano>(taken).count());
    }
    std::sort(ns.begin() + 1, ns.end());
    std::printf("{\"variant\": \"kiln, first kernel\", \"ns\": %.0f}\n", ns[0]);
    std::printf("{\"variant\": \"kiln, a later kernel\", \"ns\": %.0f}\n", ns[3]);
}
