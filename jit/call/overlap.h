// Calls whose outputs overlap their inputs or each other.
#pragma once
#include "jit/call/operand.h"

#include <optional>
#include <span>
#include <vector>

namespace kiln::engine {

/// Replaces operands so that the call is as if all inputs were copied first and the outputs were
/// stored one after the other:
///  - an input with exactly the elements of an output, in the same order, stays: each iteration
///    reads its elements before it writes them;
///  - any other input whose byte range meets an output's is copied (so is an interleaved one, which
///    would not need it: the exact test costs more than it saves);
///  - outputs that meet each other are computed apart, and stored in order by store().
/// Holds what replaces the operands; must outlive the call.
class Separation {
  public:
    /// `masked`: the last of `reads` is the mask.
    void separate(std::span<OperandView> reads, bool masked, std::span<OperandView> writes,
                  Location where);
    void store(Location where) const;

  private:
    struct Detour {
        Array target, result;
    };
    std::vector<Array> copies_;
    std::vector<Detour> detours_;
    std::optional<OperandView> mask_;
};

}  // namespace kiln::engine
