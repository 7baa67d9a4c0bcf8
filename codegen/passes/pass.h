// The passes: pure functions from kernel to kernel, in the order of passes.def.
#pragma once
#include "codegen/analysis/decisions.h"
#include "codegen/lanes/vector_isa.h"
#include "dsl/ir/ir.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kiln::codegen {

/// What the kernel is compiled for, as far as passes care.
enum class PassTarget : std::uint8_t { cpu, gpu };
/// The phases of passes.def.
enum class PassPhase : std::uint8_t { meaning, scalar, loops_cpu, kernels };
constexpr bool runs_for(PassPhase phase, PassTarget target) {
    return phase != PassPhase::loops_cpu || target == PassTarget::cpu;
}

/// An argument whose value, or an extent of which, is a constant of the code.
struct KnownNumber {
    std::uint32_t param = 0;
    std::uint32_t dimension = 0;  ///< of an array
    std::uint64_t bits = 0;       ///< of the scalar, in its dtype; the extent
    bool operator==(const KnownNumber&) const = default;
};
/// "n is 4, extent 0 of taps is 32".
std::string known_text(const std::vector<ir::Param>& params, const std::vector<KnownNumber>& known);

struct PassOptions {
    PassTarget target = PassTarget::cpu;
    std::optional<VectorIsa> isa = {};  ///< the vector unit, where lanes are to be chosen
    bool checked = false;
    bool noalias = false;      ///< programs: no array that is written overlaps another one
    bool verify = false;       ///< verify after every pass; a failure throws Error internal
    bool fuse = false;         ///< programs: parallel loops are fused where that is legal
    bool reassociate = false;  ///< programs: fused loops may sum floats in another order
    /// No fast-math flags, whatever the kernel and the passes have.
    bool strict = false;
    /// For debuggers: variables stay, and so do the operations in the order they were written in.
    bool plain = false;
    bool threads = true;  ///< parallel loops run on threads, which want many iterations
    /// Programs: the arguments may take abi::streaming_bytes together. Where they do not, no loop
    /// over them stores past the caches.
    bool large = true;
    bool fma = true;  ///< the target has an instruction for a * b + c, rounded once
    /// Per array argument, as a mask: dimensions whose extent is 1.
    std::vector<std::uint8_t> unit_extents = {};
    std::vector<KnownNumber> known = {};  ///< no complex ones
    bool operator==(const PassOptions&) const = default;
};

struct PassContext {
    PassOptions options;
    Decisions decisions;
    unsigned loops_found = 0, loops_left = 0;  ///< parallel loops before and after fusion
    /// Called after each pass that changed the kernel, with its name and the new kernel.
    std::function<void(std::string_view, const ir::Kernel&)> observer;
};

#define KILN_PASS(id, phase, when, doc) \
    ir::Kernel run_##id(const ir::Kernel& kernel, PassContext& context);
#include "codegen/passes.def"
#undef KILN_PASS

/// Runs the pipeline.
ir::Kernel run_passes(const ir::Kernel& kernel, PassContext& context);

/// The passes that kernels which compute and nothing else take: those of values. Of kernels that are
/// made to find out what a loop will become, so nothing is told.
ir::Kernel run_value_passes(ir::Kernel kernel, const PassOptions& options);

}  // namespace kiln::codegen
