// Powers, for all front ends: those of integers are products.
#pragma once
#include "dsl/ir/builder.h"

namespace kiln::ir {

/// base ** exponent, as the typed makers of Builder: integers stay integers (bool: i8), by repeated
/// squaring, and a signed exponent gets a check, where it fails the power is 1. Errors, at the current
/// location: usage (an integer and a negative constant), unsupported (integers of whole arrays and an
/// exponent that is not constant), those of Builder::apply.
Id power(Builder& builder, Id base, Id exponent);

}  // namespace kiln::ir
