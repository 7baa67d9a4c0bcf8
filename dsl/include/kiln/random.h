// Random numbers inside kernels: Philox4x32-10, a pure function of (seed, stream, index).
//
// There is no state: the same three integers give the same numbers wherever and in whatever order
// they are computed, on any number of threads. Give each element its own `index` (its position),
// each quantity that must be independent of the others its own `stream`, and each run its `seed`:
//
//     auto noisy = vectorize("noisy", [=](Value x, Value i) {
//         return x + 0.1 * random::normal<double>(seed, 0, i);
//     });
//
// `seed` and `index` count with 64 bits, `stream` with its lower 32; they are integers of any
// dtype. Functions called with the same (seed, stream, index) use the same random words, so their
// results depend on each other.
//
// Errors: type (a seed, stream or index that is no integer; a dtype that a function does not give).
#pragma once
#include <kiln/dsl.h>

#include <array>

namespace kiln::random {

/// Philox4x32-10 itself (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3):
/// four u32 words from a counter of four and a key of two 32-bit words (wider ones are cut).
std::array<Value, 4> philox4x32(const std::array<Value, 4>& counter,
                                const std::array<Value, 2>& key,
                                std::source_location where = std::source_location::current());

/// Four independent words, u32 and uniform over all values. The key is the seed, the counter (lower
/// and upper half of the index, stream, draw).
std::array<Value, 4> words(Operand seed, Operand stream, Operand index, Operand draw = 0);

/// Uniform in [0, 1): multiples of 2^-24 in f32 (the upper 24 bits of the first word), of 2^-53 in
/// f64 (27 bits of the first word, then 26 of the second). The same on every CPU and GPU.
Value uniform(DType dtype, Operand seed, Operand stream, Operand index);
template <Element T> Value uniform(Operand seed, Operand stream, Operand index) {
    return uniform(dtype_of<T>, seed, stream, index);
}

/// Standard normal numbers by Box and Muller's method: sqrt(-2 log u) cos(2 pi v), where u in
/// (0, 1] has 32 bits in f32 and 53 in f64, so that magnitudes reach 6.7 and 8.6. The accuracy is
/// that of log, sqrt and cos; where CPUs differ in these, the numbers differ in the last places.
Value normal(DType dtype, Operand seed, Operand stream, Operand index);
template <Element T> Value normal(Operand seed, Operand stream, Operand index) {
    return normal(dtype_of<T>, seed, stream, index);
}

/// How many numbers of a dtype one evaluation of Philox has the bits for.
template <class T> inline constexpr std::size_t per_draw = sizeof(T) == 4 ? 4 : 2;

/// All the numbers of one evaluation: independent of each other, the first that of uniform() or
/// normal(). Of normal numbers each pair are the cosine and the sine of one angle.
template <class T>
    requires(std::is_same_v<T, float> || std::is_same_v<T, double>)
std::array<Value, per_draw<T>> uniforms(Operand seed, Operand stream, Operand index);
template <class T>
    requires(std::is_same_v<T, float> || std::is_same_v<T, double>)
std::array<Value, per_draw<T>> normals(Operand seed, Operand stream, Operand index);
template <> std::array<Value, 4> uniforms<float>(Operand seed, Operand stream, Operand index);
template <> std::array<Value, 2> uniforms<double>(Operand seed, Operand stream, Operand index);
template <> std::array<Value, 4> normals<float>(Operand seed, Operand stream, Operand index);
template <> std::array<Value, 2> normals<double>(Operand seed, Operand stream, Operand index);

/// Uniform over the integers low, low + 1, ... below high, of the dtype that the two promote to;
/// each is exactly as likely as the others. Lemire's method: of the product of a random word and
/// the number of integers the upper half is the result; where the lower half is below
/// 2^bits mod (number of integers) the next draw is taken. Words have 32 bits for dtypes of up to
/// 32, else 64; draw k is words(seed, stream, index, k). `low` where high <= low.
/// Errors: type (not integers), usage (constants that leave no integer).
Value integers(Operand low, Operand high, Operand seed, Operand stream, Operand index);

}  // namespace kiln::random
