// What passes that reorder the iterations of loops ask about them.
#pragma once
#include "dsl/ir/slots.h"

#include <functional>
#include <optional>
#include <vector>

namespace kiln::codegen {

/// The slots that the loop's body writes, if all of them are private to an iteration: scalars that
/// nothing outside of the loop uses, and that each iteration writes, unconditionally, before
/// anything else touches them. Otherwise nothing.
std::optional<std::vector<std::uint32_t>> private_slots(const ir::Kernel& kernel,
                                                        const ir::SlotOwners& owners, ir::Id loop);

/// Iterations that passes take at once.
inline constexpr std::int64_t ways = 4;

/// Operations that take several times as long as a multiplication.
bool is_slow(ir::Op op);
/// Whether the loop, of step 1, has at most `most` iterations, whose number is a constant.
bool is_short(const ir::Kernel& kernel, ir::Id loop, std::int64_t most);

/// The loop of a program that another one launches.
ir::Id launched_loop(const ir::Kernel& program);
/// Whether the iterations of a loop or launch take about as long as each other, always: neither
/// loops nor calls in them.
bool is_even(const ir::Kernel& kernel, ir::Id loop);

/// Calls `take` with each loop, outer ones first, but for those inside of a loop that it took.
void visit_loops(const ir::Kernel& kernel, const std::function<bool(ir::Id)>& take);

/// Whether a load goes along the rows of its array with the index of `outer`, and not with that of
/// `inner`, a loop in it: lanes of `inner` would gather, neighbours of `outer` make a vector.
bool runs_across(const ir::Kernel& kernel, ir::Id load, ir::Id inner, ir::Id outer);

/// The flags of an update that could be reassociated and keeps its order: its chain waits for
/// additions alone, which are faster than products with additions.
inline std::uint8_t ordered_flags(std::uint8_t flags) {
    return static_cast<std::uint8_t>(flags & ~(ir::fast::reassoc | ir::fast::contract));
}

/// Whether a block may end the iteration of the loop (or stage) it is in.
bool has_jump(const ir::Kernel& kernel, ir::Id block);

}  // namespace kiln::codegen
