// Ordinary numeric programs as text: what the compiler of the tests makes of the same ones.
#include "tests/jit/support.h"
#include "tests/jit/text/agrees.h"

#include <kiln/native.h>

#include <algorithm>
#include <numbers>

using namespace kiln;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wfloat-conversion"
namespace plain {
using kiln::native::atomic_add, kiln::native::prange, kiln::native::range;
#include "tests/jit/text/loop_programs.inc"
#include "tests/jit/text/programs.inc"
}  // namespace plain
#pragma GCC diagnostic pop

namespace {

const text::Source& functions() {
    static const text::Source source = text::Source::file(KILN_TESTS_DIR "/jit/text/programs.inc");
    return source;
}
const text::Source& loops() {
    static const text::Source source =
        text::Source::file(KILN_TESTS_DIR "/jit/text/loop_programs.inc");
    return source;
}
#define AGREES(name) test::agrees(functions(), #name, plain::name)

template <class T> Array random_array(const Shape& shape, int low, int high, double unit = 1) {
    std::mt19937 random(static_cast<unsigned>(high));
    Array made = empty(shape, dtype_of<T>);
    for (T& x : made.span<T>())
        x = static_cast<T>((static_cast<int>(random() % static_cast<unsigned>(high - low)) + low) *
                           unit);
    return made;
}

template <class T> struct ArrayOf;
template <class T, int R> struct ArrayOf<View<T, R>> {
    static auto native(const Array& a) { return a.view<T, R>(); }
};

/// Runs a loop kernel and its function on copies of the same arguments: all arrays, and what they
/// return, are then the same, on one thread and on several.
template <class R, class... P, class... A>
void same(const char* name, R (*function)(P...), const A&... arguments) {
    for (const bool parallel : {false, true}) {
        INFO(name << " parallel " << parallel);
        const auto copied = [](const auto& x) {
            if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Array>)
                return x.copy();
            else
                return x;
        };
        const std::tuple ours{copied(arguments)...}, theirs{copied(arguments)...};
        const auto native = [&]<std::size_t... I>(std::index_sequence<I...>) {
            const auto convert = [&]<class Q>(std::type_identity<Q>, const auto& x) -> Q {
                if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Array>)
                    return ArrayOf<Q>::native(x);
                else
                    return x;
            };
            return function(convert(std::type_identity<P>(), std::get<I>(theirs))...);
        };
        const JitOptions options{.parallel = parallel};
        if constexpr (std::is_void_v<R>) {
            std::apply(text::jit(loops(), name, options), ours);
            native(std::index_sequence_for<P...>());
        } else {
            const Scalar got = std::apply(text::jit<Scalar>(loops(), name, options), ours);
            CHECK(got.get<R>() == native(std::index_sequence_for<P...>()));
        }
        const auto check = [](const auto& x, const auto& y) {
            if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Array>)
                CHECK(std::memcmp(x.data(), y.data(),
                                  static_cast<std::size_t>(x.size()) * size_of(x.dtype())) == 0);
        };
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (check(std::get<I>(ours), std::get<I>(theirs)), ...);
        }(std::index_sequence_for<A...>());
    }
}
#define SAME(name, ...) same(#name, plain::name __VA_OPT__(, ) __VA_ARGS__)

}  // namespace

TEST_CASE("complex numbers in text are std::complex", "[jit][text]") {
    AGREES(escape);
    AGREES(mixed);
    AGREES(parts);
    AGREES(single);
    AGREES(chosen);
    AGREES(rational);
    AGREES(literals);
    AGREES(compared);
}

TEST_CASE("lambdas in text are C++'s", "[jit][text]") {
    AGREES(captures);
    AGREES(changes_by_reference);
    AGREES(integrated);
    AGREES(generic_lambda);
    AGREES(called_at_once);
    AGREES(of_members);
    AGREES(array_copies);
    AGREES(composed);
    AGREES(init_captures);
}

TEST_CASE("numeric functions as text", "[jit][text]") {
    AGREES(xorshift);
    AGREES(rk4);
    AGREES(collatz);
    AGREES(gray);
    AGREES(bits_set);
    AGREES(bisect);
    AGREES(divisor);
    AGREES(sorting_network);
    AGREES(isprime);
    AGREES(weekday);
    AGREES(invsq);
    AGREES(median3);
    AGREES(luminance);
    AGREES(clamped);
    AGREES(in_window);
    AGREES(constants);
}

TEST_CASE("dynamic programming as text", "[jit][text]") {
    const Array a = random_array<int>({50}, 0, 5), b = random_array<int>({60}, 0, 6);
    SAME(lcs, a, b, zeros({51, 61}, i32));
    SAME(edit, a, b);
    SAME(knap, random_array<int>({20}, 1, 30), random_array<int>({20}, 1, 99), zeros({150}, i64));
    SAME(floyd, random_array<double>({33, 33}, 1, 1000));
    SAME(maxsub, random_array<int>({100}, -50, 50));
}

TEST_CASE("images and grids as text", "[jit][text]") {
    SAME(sobel, random_array<std::uint8_t>({40, 37}, 0, 256), zeros({40, 37}, u8));
    SAME(life, random_array<std::uint8_t>({40, 37}, 0, 2), zeros({40, 37}, u8));
    SAME(boxblur, random_array<float>({40, 37}, 0, 256, 0.25), zeros({40, 37}, f32), 2);
    SAME(heat, random_array<double>({20, 23}, -100, 100, 0.37), zeros({20, 23}), 17);
}

TEST_CASE("sorts, searches and sieves as text", "[jit][text]") {
    SAME(insertion, random_array<double>({77}, -100, 100));
    SAME(bitonic, random_array<int>({128}, -100, 100));
    SAME(sieve, zeros({1000}, bool_));
    for (const double x : {-1.0, 0.0, 3.25, 50.0, 200.0})
        SAME(binsearch, arange(0.0, 100.0, 0.5), x);
    SAME(hist, random_array<double>({1000}, -2000, 2000, 1 / 16.0), zeros({37}, i32));
    SAME(prefix, random_array<int>({50}, -9, 9), zeros({50}, i64));
}

TEST_CASE("simulations and linear algebra as text", "[jit][text]") {
    SAME(mc_pi, 7u, 10000);
    SAME(nbody, random_array<double>({3, 5}, 1, 50, 0.1), 100, 0.01);
    SAME(lu, random_array<double>({33, 33}, 1, 1000));
    SAME(trapz, random_array<double>({101}, 1, 1000, 0.01), 0.1);
    SAME(horner, random_array<double>({20}, -50, 50, 0.3), 1.1);
    SAME(crc, random_array<std::uint8_t>({1000}, 0, 256));
    SAME(crc_by_table, random_array<std::uint8_t>({1000}, 0, 256));
    SAME(checksums, random_array<std::uint8_t>({50, 30}, 0, 256), zeros({50}, u32));
    SAME(neighbours, random_array<int>({20, 21}, -50, 50), zeros({20, 21}, i32));
    Array signal = empty({64}, c128), roots = empty({64}, c128);
    for (int i = 0; i < 64; ++i) {
        const auto at = static_cast<std::size_t>(i);
        signal.span<std::complex<double>>()[at] = {double(i * 7 % 13), double(i % 5)};
        roots.span<std::complex<double>>()[at] = std::polar(1.0, -2 * std::numbers::pi * i / 64);
    }
    SAME(fft, signal, roots);
}
