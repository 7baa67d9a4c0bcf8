// Loops of a program whose iterations can run as lanes. Internal to codegen.
//
// A loop becomes a kernel of its own, element-wise or a reduction, which the emitter of those turns
// into vector code:
//
//     for %5 = %a to %b step 1 {                    stage [n] {
//       %6 = load x[%2, %5 + 1]                       %1 = load x1[i0]          x1: &x[%2, %a + 1]
//       %7 = exp %6                        ->         %2 = exp %1
//       %8 = mul %7, %4                               %3 = mul %2, (load c0[i0])  c0: &%4, uniform
//       store y[%2, %5], %8                           store y0[i0], %3          y0: &y[%2, %a]
//     }                                             }
//
// Which loops: analysis/lane_loops.h.
//
// This is where a loop, parallel or not, becomes a parallel ir::Stage. The two stay two, since what they have in common, the list of
// StageReduction, is one type already, with one printer, parser, verifier and copy, and nothing else is
// (a prange in the body of a map's stage is a serial loop to the lanes that run it):
//  - A ParallelLoop belongs to a node of a program. Where its loop begins, ends and steps is computed by the program;
//    the body reads and writes the slot it reduces into, as it does in the serial form; how iterations are dealt
//    out (schedule, chunk), what the user answers for (unsafe_races) and arrays that are accumulated into are
//    members that no stage could have. The order of its sums is the node's Tree.
//  - A Stage is no node. Its extents are of any number of dimensions and computed by the host before any code runs,
//    which merges, orders and cuts them (jit/call/plan.h); lanes hold partial results that no slot has, so that the body
//    has `contribute` in place of reads and writes. The order of its sums is the kernel's Lanes.
// A stage made of a ParallelLoop would have four members that mean nothing, and each user of one would refuse the other's.
#pragma once
#include "codegen/analysis/lane_loops.h"

#include <vector>

namespace kiln::codegen {

/// What a parameter of the extracted kernel stands for.
struct VectorOperand {
    enum class Kind : std::uint8_t {
        element,  ///< the elements that access `node` (a load or store) touches
        value,    ///< the value of `node`, the same in all iterations
        slot,     ///< the value of slot `slot`, which the loop only reads
        first,    ///< the index in the first iteration
        step,     ///< what the index grows by
        total,    ///< out: what the loop accumulates for slot `slot`
    };
    Kind kind;
    ir::Id node = ir::none;
    std::uint32_t slot = 0;
    ir::Reduction reduction = ir::Reduction::sum;
    std::vector<std::int64_t> coefficients;  ///< of an element: per subscript, of the loop's index
    std::uint32_t combine = ir::none;  ///< of a total that is a part of a state: what combines it
};

struct VectorLoop {
    ir::Kernel kernel;
    std::vector<VectorOperand> operands;  ///< one a parameter; of a scan's carry: the slot
    bool in_place = false;  ///< simple, so that for rows that may be short it is worth no call
};

/// The loop, found in this kernel, as a kernel of its own.
VectorLoop extract_vector_loop(const ir::Kernel& kernel, const LaneLoop& loop);

/// A loop whose stores may go past the caches: it fills the rows of arrays that nothing else in
/// the program touches, each element once.
struct StreamedLoop {
    ir::Id loop;                        ///< the innermost one, whose iterations become lanes
    std::vector<std::uint32_t> arrays;  ///< that the nest around it touches
    bool stores_to_own = false;         ///< to arrays that the kernel makes
};
std::vector<StreamedLoop> find_streamed_loops(const ir::Kernel& kernel);

}  // namespace kiln::codegen
