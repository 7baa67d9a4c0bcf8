// Ordinary loops (breadth.def) beside the plain C++ loops that they stand for, compiled by this compiler with -O3:
// `build/bench/breadth [beginning of names]` prints the ratios of times, worst first, and how many are in which range.
// With KILN_CPU_ISA=avx2 the plain loops are those for AVX2 too. CPU time, the least of interleaved rounds.
#include "tests/bench/breadth.h"
#include "tests/dice.h"

#include <kiln/kiln.h>

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

using namespace kiln;

namespace {

double now() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Row {
    std::string name;
    std::function<void()> kiln, plain;
    double times[2] = {1e9, 1e9};
    double ratio() const { return times[0] / times[1]; }
};

void time(Row& row) {
    constexpr int rounds = 15;
    constexpr double seconds = 0.001;
    row.kiln();
    row.plain();
    const double start = now();
    row.plain();
    const int calls = std::max(1, static_cast<int>(seconds / std::max(now() - start, 1e-8)));
    for (int r = 0; r < rounds; ++r)
        for (int which = 0; which < 2; ++which) {
            const double begin = now();
            for (int k = 0; k < calls; ++k) (which == 0 ? row.kiln : row.plain)();
            row.times[which] = std::min(row.times[which], (now() - begin) / calls);
        }
}

template <class T> Array numbers(std::int64_t n, std::uint64_t seed) {
    Array a = zeros({n}, dtype_of<T>);
    test::Dice dice(seed);
    for (T& x : a.span<T>())
        x = static_cast<T>(std::is_floating_point_v<T> ? 2 * dice.unit() - 1 : 100 * dice.unit());
    return a;
}

Row with(const std::string& name, std::int64_t n, breadth::Plain plain, const Array& x,
         const Array& y, const Array& z, std::function<void()> kiln) {
    return {name + " " + std::to_string(n), std::move(kiln),
            [=] { plain(x.data(), y.data(), z.data(), n); }};
}

std::vector<Row> rows_of(std::int64_t n, const breadth::Plain* plain) {
    std::vector<Row> rows;
#define BREADTH_MAP(id, From, To, expression, loop)                        \
    {                                                                      \
        const Array x = numbers<From>(n, 1), z = zeros({n}, dtype_of<To>); \
        const auto f = jit(#id, [](In x, Out z) {                          \
            for (Index i : range(z.extent(0))) z(i) = expression;          \
        });                                                                \
        rows.push_back(with(#id, n, *plain++, x, x, z, [=] { f(x, z); })); \
    }
#define BREADTH_PAIR(id, T, statements, loop)                                         \
    {                                                                                 \
        const Array x = numbers<T>(n, 1), y = numbers<T>(n, 2), z = numbers<T>(n, 3); \
        const auto f = jit(#id, [](In x, In y, InOut z) {                             \
            static_cast<void>(y);                                                     \
            for (Index i : range(z.extent(0))) {                                      \
                statements                                                            \
            }                                                                         \
        });                                                                           \
        rows.push_back(with(#id, n, *plain++, x, y, z, [=] { f(x, y, z); }));         \
    }
#define BREADTH_FOLD(id, From, To, statements, loop)                         \
    {                                                                        \
        const Array x = numbers<From>(n, 1), z = zeros({256}, dtype_of<To>); \
        const auto f = jit(#id, [](In x, InOut z) { statements });           \
        rows.push_back(with(#id, n, *plain++, x, x, z, [=] { f(x, z); }));   \
    }
#include "tests/bench/breadth.def"
    return rows;
}

void print(std::vector<Row>& rows) {
    std::ranges::sort(rows, std::ranges::greater(), &Row::ratio);
    for (const Row& r : rows)
        std::printf("%-32s kiln %9.3f us   C++ %9.3f us   %6.2f\n", r.name.c_str(),
                    r.times[0] * 1e6, r.times[1] * 1e6, r.ratio());
    double from = 0;
    for (const double to : {0.5, 0.9, 1.1, 1.5, 2.0, 5.0, 1e9}) {
        const auto count = std::ranges::count_if(
            rows, [&](const Row& r) { return r.ratio() >= from && r.ratio() < to; });
        std::printf("%s %g: %td\n", to < 1e9 ? "below" : "from", to < 1e9 ? to : from, count);
        from = to;
    }
}

}  // namespace

int main(int count, char** arguments) {
    const std::string_view only = count > 1 ? arguments[1] : "";
    const char* isa = std::getenv("KILN_CPU_ISA");
    const bool avx2 = isa != nullptr && std::string_view(isa) == "avx2";
    std::vector<Row> chosen;
    for (const std::int64_t n : {4096, 300'000, 4'000'000})
        for (Row& row : rows_of(n, avx2 ? breadth::avx2_loops : breadth::native_loops))
            if (row.name.starts_with(only)) chosen.push_back(std::move(row));
    for (Row& row : chosen) time(row);
    print(chosen);
}
