// What the emitter says of a function to those who optimise it and make its machine code: LLVM
// attributes of functions, which no pass of LLVM's knows.
#pragma once

namespace kiln::codegen::attribute {

/// Vector code of ours, of which LLVM's vectorisers have nothing to make.
inline constexpr const char* vector_code = "kiln-vector";
/// Loops around vector code of ours, and nothing else that LLVM's vectorisers could take.
inline constexpr const char* around_vector_code = "kiln-around-vector";
/// The loop holds many elementary functions and no other loop, and the machine has 32 vector
/// registers.
inline constexpr const char* long_body = "kiln-long-body";
/// No array is read at positions that are loaded: what is not next to each other in memory is then
/// read by loads one by one.
inline constexpr const char* no_gathers = "kiln-no-gathers";
/// Scalar loops with branches that store.
inline constexpr const char* conditional_stores = "kiln-conditional-stores";
/// Scalar loops with branches that go the same way in all iterations and pay when they move out of
/// the loop. Tests whether an inner loop runs at all don't, and copying the loops for each takes
/// most of the time of the optimiser.
inline constexpr const char* invariant_branches = "kiln-invariant-branches";
/// Scalar loops whose iterations read what earlier ones stored.
inline constexpr const char* carried_values = "kiln-carried-values";

/// Functions begin at a cache line, so that what their loops cost does not depend on the code before
/// them.
inline constexpr unsigned alignment = 64;

}  // namespace kiln::codegen::attribute
