// Which loops of a program can run as lanes, and what each variable and access is to such a loop.
// Nothing is made here: the pass `outline` makes kernels of these loops (lanes/vector_loops.h), and
// others ask what it will do: fuse and carried_sums, since the order of sums follows from it, and
// plans, which give the reason where a loop stays scalar. Internal to codegen.
//
// Legal where
//  1. the iterations are independent: the loop is parallel, or in every array that is stored to,
//     all accesses share a subscript that differs from iteration to iteration;
//  2. subscripts are affine in the loop's index, with constant coefficients and parts that the loop
//     does not change;
//  3. variables that outlive the loop are only read, or only accumulated into by operations that
//     may be reassociated; of one such variable, the value so far may be what each iteration
//     stores;
//  4. nothing leaves the loop or fails, and nothing in it is atomic or allocates.
// Worth it where LLVM's vectoriser has no answer: elementary functions, comparisons and the like of
// f16, loops and jumps in the body, running results, and reductions of parallel loops, whose error a
// tree over lanes bounds. Worth it too in plain maps, which compile in less than half of the time
// and run as fast: straight code, whose elements are of one size and next to each other or one for all iterations,
// each array read at one place of a row; in no other loop, which `outline` sees. What else is plain is left to LLVM's vectoriser.
#pragma once
#include "codegen/analysis/updates.h"
#include "dsl/ir/slots.h"

#include <optional>
#include <string_view>
#include <vector>

namespace kiln::codegen {

/// A loop whose iterations can run as lanes.
struct LaneLoop {
    /// What a variable is to the loop.
    enum class Role : std::uint8_t {
        own,      ///< each iteration's, or not used
        fixed,    ///< only read
        total,    ///< only accumulated into
        state,    ///< a part of a state, likewise
        running,  ///< accumulated into, and what it is then is stored
    };
    struct Access {
        ir::Id node;                             ///< touches an element of an array or of a Local
        std::vector<std::int64_t> coefficients;  ///< per subscript, of the loop's index
    };
    struct Accumulation {
        ir::Id write;  ///< of a total
        Update update;
    };
    /// Running results.
    struct Scan {
        ir::Id write, store;
        Update update;
    };

    ir::Id loop = ir::none;
    std::vector<ir::Id> nodes = {};     ///< of the body, in the order in which they run
    std::vector<Access> accesses = {};  ///< in that order, but for the store of a scan, the last
    std::vector<Role> roles = {};       ///< per slot
    std::vector<ir::StageReduction> reductions = {};  ///< into totals and states
    std::vector<Accumulation> accumulations = {};
    std::optional<Scan> scan = {};
    bool worth_it = false;  ///< whatever it reduces, and however its elements lie
    bool plain = false;     ///< a map for which LLVM's vectoriser would do too
};

/// Why a loop is not run as lanes by a kernel of its own.
struct LaneRefusal {
    std::string_view reason;    ///< in the user's words
    ir::Id node = ir::none;     ///< what it is about, if one node is
    bool left_to_llvm = false;  ///< LLVM's vectoriser is better at it, or has to say why not
};

/// Why `outline` leaves a plain map to LLVM.
constexpr std::string_view plain_in_nest = "it is in another loop, so that its rows may be short";

/// The loop, if it can run as lanes and (unless `always`) that is worth it; else `why` not, if asked.
std::optional<LaneLoop> find_lane_loop(const ir::Kernel& kernel, const ir::SlotOwners& owners,
                                       ir::Id loop, bool always = false,
                                       LaneRefusal* why = nullptr);

}  // namespace kiln::codegen
