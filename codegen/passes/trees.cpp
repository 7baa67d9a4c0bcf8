// In which order loops and launches of a program combine their iterations:
//
//     for ... parallel automatic 0 (sum -> s) {    ->    for ... (sum -> s) blocks of 512 in 256 sums (s) {
//     launch k0 for ... (..., total sum s)         ->    launch k0 for ... blocks of 8192 sums (s) (...)
//
// ir::Tree says what that means. It is decided here, once, for checked and overlapping programs too,
// and follows from the kernel and the kind of target (CPU or device), not from the number of threads.
//  - Parallel loops that reduce: blocks of as many iterations as one accumulator combines in turn,
//    of lanes more; each iteration has its own sum of floats, where a block keeps what they add.
//  - Serial loops: the sums that are promised to be as accurate as a tree (tree_sums); those of
//    launches, where pieces of the iterations sum apart.
//  - On devices iterations of parallel loops in scalar code are blocks by themselves, since a thread
//    takes one, and serial ones take few, which need no memory.
// Within lanes the order is that of ir::Lanes; while loops have none (carried_sums).
#include "codegen/trees.h"
#include "codegen/analysis/updates.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Iterations of a block, which keeps what each of them adds to the sums.
std::int64_t block_of(const Kernel& kernel, const std::vector<std::uint32_t>& sums) {
    std::int64_t bytes = 0;
    for (const std::uint32_t s : sums)
        bytes += static_cast<std::int64_t>(size_of(kernel.slots[s].dtype));
    if (bytes == 0) return tree::block_iterations;
    const auto most = static_cast<std::uint64_t>(tree::block_bytes / bytes);
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::bit_floor(most)),
                                    tree::least_block_iterations, tree::block_iterations);
}

/// What a launch sums: floats alone.
std::vector<std::uint32_t> sums_of(const Kernel& kernel, const Launch& launch) {
    std::vector<std::uint32_t> sums;
    for (const Argument& a : launch.arguments)
        if (a.kind == Argument::Kind::total && a.reduction == Reduction::sum &&
            is_real(kernel.slots[a.target].dtype))
            sums.push_back(a.target);
    return sums;
}

std::optional<Tree> tree_of(const Kernel& kernel, Id id, PassTarget target) {
    const Node& n = kernel.nodes[id];
    const bool launched = n.kind == NodeKind::launch;
    if (!launched && n.kind != NodeKind::loop) return std::nullopt;
    const ParallelLoop* const parallel = kernel.parallel(n);
    Tree made;
    if (parallel == nullptr) {
        made.sums = launched ? sums_of(kernel, kernel.launches[n.aux]) : tree_sums(kernel, id);
        if (made.sums.empty()) return std::nullopt;
    } else {
        if (parallel->reductions.empty()) return std::nullopt;
        made.sums = tree_sums(kernel, id);  // of a launch none: no iteration of it sums by itself
        made.units = tree::max_units;
    }
    made.block = launched                    ? tree::vector_block_iterations
                 : target == PassTarget::cpu ? block_of(kernel, made.sums)
                 : parallel == nullptr       ? tree::device_serial_block
                                             : tree::device_parallel_block;
    return made;
}

}  // namespace

ir::Kernel run_trees(const ir::Kernel& kernel, PassContext& context) {
    ir::Kernel made = kernel;
    walk(kernel, [&](Id id) {
        auto tree = tree_of(kernel, id, context.options.target);
        if (!tree) return;
        made.trees.push_back(*std::move(tree));
        made.nodes[id].imm = made.trees.size();
    });
    return made;
}

}  // namespace kiln::codegen
