// What passes that reorder the iterations of loops ask about them.
#pragma once
#include "dsl/ir/ir.h"

#include <functional>
#include <optional>
#include <vector>

namespace kiln::codegen {

/// The slots that the loop's body writes, if all of them are private to an iteration: scalars that
/// nothing outside of the loop uses, and that each iteration writes, unconditionally, before
/// anything else touches them. Otherwise nothing.
std::optional<std::vector<std::uint32_t>> private_slots(const ir::Kernel& kernel, ir::Id loop);

/// Iterations that passes take at once.
inline constexpr std::int64_t ways = 4;
/// Whether the loop runs what another one left over that takes `ways` iterations at once: from
/// begin + (trip & -ways) on.
bool is_left_over(const ir::Kernel& kernel, ir::Id loop);

/// Operations that take several times as long as a multiplication.
bool is_slow(ir::Op op);
/// Whether the loop, of step 1, has at most `most` iterations, whose number is a constant.
bool is_short(const ir::Kernel& kernel, ir::Id loop, std::int64_t most);

/// Calls `take` with each loop, outer ones first, but for those inside of a loop that it took.
void visit_loops(const ir::Kernel& kernel, const std::function<bool(ir::Id)>& take);

}  // namespace kiln::codegen
