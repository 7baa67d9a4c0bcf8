// Choosing the loop of a ufunc with listed signatures, and checking the casts of a call.
#pragma once
#include "jit/call/arity.h"
#include "jit/call/key.h"

#include <kiln/vectorize.h>

#include <array>
#include <optional>
#include <span>
#include <string>

namespace kiln::engine {

/// What a call's values are converted to. Nothing where the user's function decides.
struct LoopTypes {
    std::optional<std::array<DType, max_inputs>> inputs;
    std::optional<Signature> signature;  ///< of the chosen loop, whose result types hold
    std::optional<DType> result;         ///< dtype= without signatures: of every result
};

/// "no loop of NAME accepts (f64, f32)" with the candidates as a hint; with dtype= also "cannot
/// cast input 1 of NAME from f64 to i32 under same_kind".
LoopTypes choose_loop(const std::string& name, std::span<const Signature> signatures,
                      const CallKey& key, Location where);

/// Error type "cannot cast output of NAME from f64 to i32 under same_kind".
void check_output_cast(const std::string& name, DType from, DType to, Casting casting,
                       Location where);

/// Errors: unsupported (the target of a `what`, "a loop kernel", is not the CPU).
void check_cpu_target(const std::string& name, std::string_view what, BackendTarget target,
                      Location where);

/// "f64(f32, i32)"; several results as "(f64, i32)(f32)".
std::string to_string(const Signature& signature);

}  // namespace kiln::engine
