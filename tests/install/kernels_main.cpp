// Kernels of functions of the program: without Clang, and, once the disk cache has their code, without
// LLVM. usage: kernels [cached]
#include <kiln/kiln.h>
#include <kiln/native.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

double damped(double x, double a);
double energy(kiln::View<const double, 1> a);
double halved(double x);  // of a static library

namespace {
bool is_open(const char* library) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find(library) != std::string::npos) return true;
    return false;
}
}  // namespace

int main(int argc, char** argv) {
    const kiln::Array x = kiln::linspace(0, 1, 1000);
    const kiln::Array y = kiln::vectorize("damped", &damped, {.parallel = true})(x, 2.0);
    const double sum = kiln::jit("energy", &energy, {.parallel = true})(y).get<double>();
    double want = 0;
    for (const double v : x.span<const double>()) want += damped(v, 2.0) * damped(v, 2.0);
    const kiln::Array halves = kiln::vectorize("halved", &halved)(x);
    bool right = std::abs(sum - want) < 1e-12 * want;
    for (std::int64_t i = 0; i < x.size(); ++i)
        right = right && halves.at<double>({i}) == x.at<double>({i}) / 2;
    std::puts(right ? "kernels are right" : "kernels are wrong");
    const bool cached = argc > 1 && std::strcmp(argv[1], "cached") == 0;
    const bool clang = is_open("libclang"), llvm = is_open("libLLVM");
    if (clang) std::puts("Clang is open");
    if (cached && llvm) std::puts("LLVM is open");
    if (!cached && !llvm) std::puts("LLVM is not open, so what would be seen is not known");
    return right && !clang && llvm != cached ? 0 : 1;
}
