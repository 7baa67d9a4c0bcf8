// What is known of the elements that the iterations of a loop touch.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>

namespace kiln::codegen {

/// Two accesses of a loop's body by which two of its iterations may touch one element of an array.
struct Meeting {
    ir::Id store, other;
    bool mixed = false;  ///< `store` is atomic, `other` is not
};

/// The first such pair, one of which stores, as far as the opposite cannot be proven; two atomic
/// accesses may meet. Arrays are taken to be apart from each other; one that the body makes is the
/// iteration's own.
std::optional<Meeting> first_meeting(const ir::Kernel& kernel, ir::Id loop);

/// Whether there is no such pair, and no access is atomic.
bool iterations_are_apart(const ir::Kernel& kernel, ir::Id loop);

}  // namespace kiln::codegen
