// One computation in the forms and under the options in which it can be written, beside a plain C++
// loop of this compiler (-O3 -march=native): `build/bench/forms` prints microseconds of a call, the
// least of all rounds, whose calls are interleaved. No form and no option should lose much to the
// others; CPU time, so that other work of the machine counts little.
#include "tests/forms.h"
#include "tests/dice.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

using namespace kiln;
using forms::Loop;

namespace {

double now() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Form {
    const char* name;
    std::function<void()> call;
};

void race(const std::string& title, const std::vector<Form>& forms) {
    constexpr int rounds = 12;
    constexpr double seconds = 0.003;
    std::vector<int> calls;
    std::vector<double> best(forms.size(), 1e9);
    for (const Form& f : forms) {
        f.call();
        const double start = now();
        f.call();
        calls.push_back(std::max(1, static_cast<int>(seconds / std::max(now() - start, 1e-8))));
    }
    for (int r = 0; r < rounds; ++r)
        for (std::size_t i = 0; i < forms.size(); ++i) {
            const double start = now();
            for (int k = 0; k < calls[i]; ++k) forms[i].call();
            best[i] = std::min(best[i], (now() - start) / calls[i]);
        }
    std::printf("%-24s", title.c_str());
    for (std::size_t i = 0; i < forms.size(); ++i)
        std::printf("  %s %.2f", forms[i].name, best[i] * 1e6);
    std::printf("\n");
}

Array random(const Shape& shape, std::uint64_t seed) {
    Array a = zeros(shape);
    test::Dice dice(seed);
    for (double& x : a.span<double>()) x = dice.unit() - 0.5;
    return a;
}
double* elements(Array& a) { return reinterpret_cast<double*>(a.data()); }

[[gnu::noinline]] void plain_map(const double* __restrict a, const double* __restrict g,
                                 double* __restrict u, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) u[i] = a[i] * g[i] - a[i];
}
[[gnu::noinline]] void plain_transposed(const double* __restrict a, const double* __restrict y,
                                        double* __restrict x, std::int64_t n) {
    for (std::int64_t j = 0; j < n; ++j)
        for (std::int64_t i = 0; i < n; ++i) x[i] += a[j * n + i] * y[j];
}
[[gnu::noinline]] void plain_product(const double* __restrict a, const double* __restrict b,
                                     double* __restrict c, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t k = 0; k < n; ++k)
            for (std::int64_t j = 0; j < n; ++j) c[i * n + j] += a[i * n + k] * b[k * n + j];
}

void maps(std::int64_t n) {
    Array a = random({n}, 1), g = random({n}, 2), u = zeros({n});
    const auto serial = forms::map_loop(Loop::serial), loop = forms::map_loop(Loop::parallel),
               statement = forms::map_statement();
    const auto ufunc = forms::map_ufunc();
    race("map n=" + std::to_string(n),
         {{"c++", [&] { plain_map(elements(a), elements(g), elements(u), n); }},
          {"range", [&] { serial(a, g, u); }},
          {"prange", [&] { loop(a, g, u); }},
          {"statement", [&] { statement(a, g, u); }},
          {"ufunc", [&] { ufunc(a, g, {.out = u}); }}});
}

void transposed(std::int64_t n) {
    Array a = random({n, n}, 1), y = random({n}, 2), x = zeros({n});
    const auto serial = forms::transposed(Loop::serial), loop = forms::transposed(Loop::parallel);
    race("transposed n=" + std::to_string(n),
         {{"c++", [&] { plain_transposed(elements(a), elements(y), elements(x), n); }},
          {"range", [&] { serial(a, y, x); }},
          {"prange", [&] { loop(a, y, x); }}});
}

void products(std::int64_t n) {
    Array a = random({n, n}, 1), b = random({n, n}, 2), c = zeros({n, n});
    const auto chained = [](bool fuse) {
        return jit([](In a, In b, Out c) { c = dot(dot(a, b), b); }, {.fuse = fuse});
    };
    const auto run = [&](auto kernel) { return [&, kernel] { kernel(a, b, c); }; };
    const std::string size = " n=" + std::to_string(n);
    race("product" + size,
         {{"c++", [&] { plain_product(elements(a), elements(b), elements(c), n); }},
          {"element", run(forms::product_of_elements(false))},
          {"fast", run(forms::product_of_elements(true))},
          {"Var", run(forms::product_of_vars(false))},
          {"fast Var", run(forms::product_of_vars(true))}});
    race("chain" + size, {{"fused", run(chained(true))}, {"unfused", run(chained(false))}});
}

void batches(std::int64_t n) {
    Array x = random({8, n, n}, 1), y = random({n, n}, 2), o = zeros({8, n, n});
    const auto serial = forms::batch(Loop::serial), loop = forms::batch(Loop::parallel);
    race("batch n=" + std::to_string(n),
         {{"range", [&] { serial(x, y, o); }}, {"prange", [&] { loop(x, y, o); }}});
}

}  // namespace

int main() {
    for (const std::int64_t n : {16, 256, 4096, 100'000}) maps(n);
    for (const std::int64_t n : {100, 400, 1000}) transposed(n);
    for (const std::int64_t n : {64, 300}) products(n);
    for (const std::int64_t n : {16, 64, 128}) batches(n);
}
