// Parallel loops that are left, whose iterations run as scalar code, become launches of programs:
//
//     %1 = add i64 %0, i64(1)                            %1 = add i64 %0, i64(1)
//     for %2 = i64(0) to %1 step i64(1) parallel ... {   launch k0 for i64(0) to %1 step i64(1)
//       %3 = load i64 at[%2]                      ->            (whole x, whole at, value %1)
//       store x[%3], %2
//     }                                                  k0 = kernel (x: ..., at: ..., outer: value i64) program {
//                                                          stage [] {
//                                                            for %0 = i64(0) to outer step i64(1) parallel ... {
//
// So every parallel loop is a kernel, and its launch says what it takes from around it: the
// arguments of the program, which it has too, under the same numbers; values and variables that it
// only reads, as values; Locals that it reads, and variables that iterations share where the user
// answers for races, by their places. Variables of an iteration are the kernel's own, and what it
// reduces into is the launching program's.
//
// On a device, where the program around launches would fetch its elements one by one, a serial loop
// that touches arrays, and launches, calls and makes nothing, is one iteration of such a program,
// with a remark; so it has where a loop around launches touches some itself.
//
// Legal for every loop that the passes before have let through. Checked and overlapping programs
// have nothing else.
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/slots.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>
#include <set>

namespace kiln::codegen {
namespace {

using namespace ir;

/// The loop as a program, and what that takes from around it.
class LaunchedProgram final : public Rewriter {
  public:
    LaunchedProgram(const Kernel& host, const SlotOwners& owners, Id loop)
        : Rewriter(host), owners_(owners), loop_(loop) {}

    struct Made {
        Kernel kernel;
        std::vector<Argument> arguments;
        std::vector<Id> values;            // of the host: of arguments, in turn
        std::vector<std::uint32_t> slots;  // whose values are arguments behind those
    };
    /// `once`: the loop is no parallel one; one iteration of one runs it.
    Made make(bool once = false) {
        begin();
        for (std::uint32_t p = 0; p < in().params.size(); ++p)
            made_.arguments.push_back({.kind = Argument::Kind::whole, .target = p});
        take_values();
        take_slots();
        out().set_location_index(in().nodes[loop_].loc);
        out().begin_stage({}, false);
        if (once)
            out().begin_parallel_loop(out().constant_i64(0), out().constant_i64(1),
                                      out().constant_i64(1), {});
        clone(loop_);
        if (once) out().end();
        out().end();
        made_.kernel = out().finish();
        return std::move(made_);
    }

  private:
    void take_values() {
        std::set<Id> inside, outer;
        walk_node(in(), loop_, [&](Id id) { inside.insert(id); });
        for (const Id id : inside)
            for (const Id x : in().operands_of(id))
                if (!is_leaf(in().nodes[x].kind) && !inside.contains(x)) outer.insert(x);
        for (const Id x : outer) {
            made_.values.push_back(x);
            set_mapped(x, value_param(in().nodes[x].dtype));
        }
    }

    void take_slots() {
        std::set<std::uint32_t> used, written;
        const Blocks bodies = blocks_of(in().nodes[loop_]);
        walk_node(in(), loop_, [&](Id id) {
            for (const SlotUse& use : slots_of(in(), in().nodes[id])) {
                used.insert(use.slot);
                if (use.writes) written.insert(use.slot);
            }
        });
        const Node& loop = in().nodes[loop_];
        if (const ParallelLoop* const parallel =
                loop.kind == NodeKind::loop ? in().parallel(loop) : nullptr)
            for (const StageReduction& r : parallel->reductions) used.erase(r.target);
        for (const std::uint32_t s : used) {
            const auto holds = [&](Id body) { return owners_.belongs_to(s, body); };
            if (std::any_of(bodies.begin(), bodies.end(), holds)) continue;
            const Slot& slot = in().slots[s];
            const bool writes = written.contains(s);
            if (slot.length == 1 && !writes) {
                made_.slots.push_back(s);
                read_[s] = value_param(slot.dtype);
                continue;
            }
            made_.arguments.push_back({.kind = Argument::Kind::place, .target = s});
            out().add_param({.name = slot.name,
                             .dtype = slot.dtype,
                             .rank = 1,
                             .access = writes ? Access::inout : Access::in,
                             .layout = Layout::unit});
        }
    }

    Id value_param(DType t) {
        made_.arguments.push_back({.kind = Argument::Kind::value});
        return out().param(out().add_param({.name = "outer", .dtype = t, .access = Access::value}));
    }

    Id rewrite(Id old) override {
        const Node& n = in().nodes[old];
        const auto value = n.kind == NodeKind::read ? read_.find(n.aux) : read_.end();
        return value == read_.end() ? clone(old) : value->second;
    }

    const SlotOwners& owners_;  // of the host
    const Id loop_;
    Made made_;
    std::map<std::uint32_t, Id> read_;  // slots: their values
};

class Programs final : public Rewriter {
  public:
    Programs(const Kernel& host, PassContext& context)
        : Rewriter(host), owners_(host), context_(context) {}

  private:
    Id rewrite(Id old) override {
        const Node& n = in().nodes[old];
        const bool parallel = n.kind == NodeKind::loop && in().parallel(n) != nullptr;
        const bool once = !parallel && runs_on_device(old);
        if (!parallel && !once) {
            if (copies_elements(old))
                context_.decisions.done(
                    DecisionKind::serial, in().location(n.loc),
                    "the host runs this loop, which launches others, makes arrays or ends the "
                    "kernel: it copies each element that the loop itself touches from the device, "
                    "or to it");
            return clone(old);
        }
        LaunchedProgram::Made made = LaunchedProgram(in(), owners_, old).make(once);
        std::vector<Id> operands;
        if (once) {
            for (const std::int64_t bound : {0, 1, 1})
                operands.push_back(out().constant_i64(bound));
            context_.decisions.done(DecisionKind::serial, in().location(n.loc),
                                    "a loop outside of parallel ones touches elements of arrays: "
                                    "one thread of the device runs it, alone");
        } else {
            for (const Id x : in().operands_of(old)) operands.push_back(mapped(x));
        }
        for (const Id x : made.values) operands.push_back(mapped(x));
        for (const std::uint32_t s : made.slots) operands.push_back(out().read(s));
        Launch launch{.arguments = std::move(made.arguments)};
        launch.kernel = out().add_outlined(std::move(made.kernel));
        out().launch(std::move(launch), nullptr, operands);
        return none;
    }

    /// Whether a serial loop touches elements, and does nothing that a thread of a device can't.
    bool runs_on_device(Id old) const {
        if (context_.options.target == PassTarget::cpu || !is_loop(in().nodes[old].kind))
            return false;
        const Touched touched = touched_by(in(), old, Jumps::out);
        constexpr effect::Mask allowed = effect::accesses | effect::atomically | effect::branches |
                                         effect::loops | effect::jumps;
        return !(touched.loads.empty() && touched.stores.empty()) && !touched.leaves() &&
               (touched.does & ~allowed) == 0;
    }

    /// Whether a loop that stays around launches for a device touches elements outside of them.
    bool copies_elements(Id old) const {
        if (context_.options.target == PassTarget::cpu || !is_loop(in().nodes[old].kind))
            return false;
        for (const Id body : blocks_of(in().nodes[old]))
            if (any_in(in(), body, [&](Id id, const Around& around) {
                    const NodeKind kind = in().nodes[id].kind;
                    return around.loops == 0 &&
                           (kind == NodeKind::load || kind == NodeKind::store ||
                            kind == NodeKind::atomic);
                }))
                return true;
        return false;
    }

    const SlotOwners owners_;
    PassContext& context_;
};

}  // namespace

ir::Kernel run_programs(const ir::Kernel& kernel, PassContext& context) {
    const auto left = [&](const Node& n) {
        return effects_of(n).any(effect::in_parallel) ||
               (context.options.target == PassTarget::gpu && is_loop(n.kind));
    };
    ir::Kernel after =
        std::ranges::any_of(kernel.nodes, left) ? Programs(kernel, context).run() : kernel;
    if (context.options.target == PassTarget::gpu && after.outlined.empty())
        context.decisions.done(DecisionKind::serial, after.location(after.stages[0].loc),
                               "no loop of this kernel runs on the device: the host computes all "
                               "of it, and copies the elements that it touches");
    return after;
}

}  // namespace kiln::codegen
