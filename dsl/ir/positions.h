// Whether a value takes the place of the extreme that was found so far: what positions of minima
// and maxima are made of.
#pragma once
#include "dsl/ir/builder.h"

namespace kiln::ir {

/// The nodes of one such step: `value` found at `position`, against `extreme` found at `at`.
struct PositionStep {
    Id value, position, extreme, at;
};

/// A bool: value is less (max: greater) than extreme, a NaN before numbers; of equal values, and of
/// two NaN, position is less than at.
Id takes_place(Builder& builder, Reduction reduction, const PositionStep& step);

/// Whether `condition` is what takes_place makes of the step.
bool is_takes_place(const Kernel& kernel, Id condition, Reduction reduction,
                    const PositionStep& step);

}  // namespace kiln::ir
