// Reductions of several values: how two states become one, by kernels of the form `combine`.
//
//     c0 = kernel argmin(a0: value f64, a1: value i64, b0: value f64, b1: value i64,
//                        r0: out f64, r1: out i64) combine {
//       stage [] {              what changes no state
//         store r0, f64(inf)
//         store r1, i64(9223372036854775807)
//       }
//       stage [] {              a and b combined
//         ...
//         store r0, %7
//         store r1, %8
//       }
//     }
//
// Where iterations combine a value of their own into slots, they have the nodes of the second stage
// themselves, with reads of the slots for a, and write the results: a step. So passes know nothing
// of states; the reduction tells that, and how, partial states combine. Up to the pass `reductions`
// each write of a step says by what, `write v0, %7 by c0`: two combines may differ in what changes no
// state alone.
#pragma once
#include "dsl/ir/builder.h"

#include <functional>
#include <vector>

namespace kiln::ir {

/// How many values a state has.
inline std::size_t state_size(const Kernel& combine) { return combine.params.size() / 3; }

/// How many entries of a list of reductions are this one: a state has one a part.
inline std::size_t entries_of(const Kernel& kernel, const StageReduction& r) {
    return r.combine == none ? 1 : state_size(kernel.combines[r.combine]);
}

/// What errors and plans call a reduction: a row of reductions.def, or what combines states.
inline std::string_view name_of(const Kernel& kernel, const StageReduction& r) {
    return r.combine == none ? info(r.reduction).name : kernel.combines[r.combine].name;
}

/// What one of the two stages stores, part by part.
enum class CombineStage : std::uint8_t { initial, combined };
std::vector<Id> parts_of(const Kernel& combine, CombineStage stage);

/// What makes the nodes of a combination of `both`, the parts of a state and then those of another:
/// the parts of the result, whose dtypes are those of `initial`.
using MakeCombination = std::function<std::vector<Id>(Builder& b, std::span<const Id> both)>;
/// In a builder that has made nothing yet.
void build_combine(Builder& b, std::span<const Scalar> initial, const MakeCombination& combination);

/// The nodes of a stage in the block that is open: of a combination of `both`, or of what changes no
/// state.
std::vector<Id> combine_states(Builder& b, const Kernel& combine, std::span<const Id> both);
std::vector<Id> initial_state(Builder& b, const Kernel& combine);
/// One step: what the slots hold, combined with a state of these values. `number`: what the writes
/// say of it, where the pass `reductions` is to find it: the combine's in the builder's kernel.
void combine_into(Builder& b, const Kernel& combine, std::span<const std::uint32_t> slots,
                  std::span<const Id> values, std::uint32_t number = none);
/// What the write of a step says; none of others.
inline std::uint32_t combine_of(const Node& write) {
    return write.imm == 0 ? none : static_cast<std::uint32_t>(write.imm - 1);
}

/// A minimum or maximum: the state of one value.
Kernel make_extreme_combine(Reduction extreme, DType value);

/// A minimum or maximum and its position: a NaN before numbers; of equal values, and of two NaN,
/// that of the least position.
Kernel make_position_combine(Reduction extreme, DType value, DType position);

/// A step that stands in a kernel.
struct CombineStep {
    std::uint32_t combine = none;  ///< its number
    std::vector<Id> writes;  ///< of the slots, which follow each other in their block, in the order
                             ///< of the parts
    std::vector<Id> reads;   ///< of the slots, as operands of the combination
    std::vector<Id> values;  ///< that are combined into them
    std::vector<Id> between;  ///< operations of the combination
};
/// The step whose writes begin with node `at` of the block, if there is one.
std::optional<CombineStep> find_step(const Kernel& kernel, Id block, std::size_t at);

}  // namespace kiln::ir
