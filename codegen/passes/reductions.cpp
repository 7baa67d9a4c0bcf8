// Variables that a parallel loop only accumulates into become its reductions:
//
//     write v0, f64(0)                          write v0, f64(0)
//     for %2 = ... parallel {                   for %2 = ... parallel (sum -> v0) {
//       %3 = read f64 v0                          %3 = read f64 v0
//       %4 = add f64 %3, %x              ->       %4 = add f64 %3, %x fast(reassoc)
//       write v0, %4                              write v0, %4
//     }                                         }
//
// A slot is one, if outside of the loop it is accessed too, and inside
//  1. it holds one element;
//  2. every write stores v + e, v - e (sum), v * e, v / e (product; not of integers), v & e, v | e,
//     v ^ e, v && e, v || e, min(v, e) or max(v, e), where v is a read of the slot, and all of them
//     belong to one reduction;
//  3. nothing else uses such a read.
// Slots that are written inside and fit neither this nor the loop's own variables are errors, since
// what they would hold depends on the order of the iterations. Operations that accumulate floats
// may be reassociated: a reduction's order is that of a tree, not of the iterations.
//
// Only outermost parallel loops are: within them, others run serially.
#include "codegen/passes/pass.h"
#include "codegen/passes/updates.h"

#include <algorithm>
#include <optional>

namespace kiln::codegen {
namespace {

using namespace ir;

class Reductions {
  public:
    explicit Reductions(const Kernel& kernel) : in_(kernel), out_(kernel) {}

    Kernel run() {
        for (const Stage& stage : in_.stages) find_loops(stage.body);
        return std::move(out_);
    }

  private:
    void find_loops(Id block) {
        for (const Id id : in_.blocks[block].nodes) {
            const Node& n = in_.nodes[id];
            if (n.kind == NodeKind::loop && n.aux2 != none) {
                reduce(n);
                continue;
            }
            if (n.kind == NodeKind::branch || n.kind == NodeKind::loop ||
                n.kind == NodeKind::loop_while)
                find_loops(n.aux);
            if ((n.kind == NodeKind::branch || n.kind == NodeKind::loop_while) && n.aux2 != none)
                find_loops(n.aux2);
        }
    }

    void collect(Id block, std::vector<Id>& into) const {
        for (const Id id : in_.blocks[block].nodes) {
            const Node& n = in_.nodes[id];
            into.push_back(id);
            if (n.kind == NodeKind::branch || n.kind == NodeKind::loop ||
                n.kind == NodeKind::loop_while)
                collect(n.aux, into);
            if ((n.kind == NodeKind::branch || n.kind == NodeKind::loop_while) && n.aux2 != none)
                collect(n.aux2, into);
        }
    }

    void reduce(const Node& loop) {
        std::vector<Id> body;
        collect(loop.aux, body);
        std::vector<std::size_t> inside(in_.slots.size(), 0), everywhere(in_.slots.size(), 0);
        std::vector<bool> written(in_.slots.size(), false);
        for (const Node& n : in_.nodes)
            if (n.kind == NodeKind::read || n.kind == NodeKind::write) ++everywhere[n.aux];
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            if (n.kind != NodeKind::read && n.kind != NodeKind::write) continue;
            ++inside[n.aux];
            if (n.kind == NodeKind::write) written[n.aux] = true;
        }
        for (std::uint32_t s = 0; s < in_.slots.size(); ++s)
            if (written[s] && inside[s] != everywhere[s]) reduce_slot(loop, s, body);
    }

    void reduce_slot(const Node& loop, std::uint32_t slot, const std::vector<Id>& body) {
        const bool answered_for = in_.parallel(loop)->unsafe_races;
        const auto refuse = [&](Id at, std::string text, std::string hint) {
            throw Error(ErrorKind::usage, std::move(text), in_.location(in_.nodes[at].loc),
                        std::move(hint));
        };
        std::optional<Reduction> reduction;
        std::vector<Id> updates, reads;
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            if (n.kind != NodeKind::write || n.aux != slot) continue;
            if (in_.slots[slot].length > 1) {
                if (answered_for) return;
                refuse(id, "iterations of a prange share a Local that they write",
                       "declare it inside the loop");
            }
            const auto update = update_of(in_, id);
            if (!update) {
                if (answered_for) return;
                refuse(id, "iterations of a prange write a Var that is declared outside of it",
                       "declare it inside, or only accumulate into it: += -= *= /= &= |= ^=, "
                       "v = min(v, e), v = max(v, e)");
            }
            if (reduction && *reduction != update->reduction)
                refuse(id,
                       std::string("iterations of a prange accumulate into one Var by ") +
                           std::string(info(*reduction).name) + " and by " +
                           std::string(info(update->reduction).name),
                       "a Var has one reduction in a loop");
            reduction = update->reduction;
            updates.push_back(update->op);
            reads.push_back(update->read);
        }
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            const bool reads_it = n.kind == NodeKind::read && n.aux == slot;
            if (!reads_it) continue;
            const bool used_once = std::ranges::count(in_.operands, id) == 1;
            if (std::ranges::count(reads, id) == 1 && used_once) continue;
            if (answered_for) return;
            refuse(id, "an iteration of a prange reads a Var that others accumulate into",
                   "its value is known after the loop only");
        }
        if (is_real(in_.slots[slot].dtype) || is_complex(in_.slots[slot].dtype))
            for (const Id id : updates) out_.nodes[id].fast |= fast::reassoc;
        out_.parallel_loops[loop.aux2].reductions.push_back({*reduction, slot});
    }

    const Kernel& in_;
    Kernel out_;
};

}  // namespace

ir::Kernel run_reductions(const ir::Kernel& kernel, PassContext&) {
    return Reductions(kernel).run();
}

}  // namespace kiln::codegen
