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
class Program final : public Rewriter {
  public:
    Program(const Kernel& host, const SlotOwners& owners, Id loop)
        : Rewriter(host), owners_(owners), loop_(loop) {}

    struct Made {
        Kernel kernel;
        std::vector<Argument> arguments;
        std::vector<Id> values;            // of the host: of arguments, in turn
        std::vector<std::uint32_t> slots;  // whose values are arguments behind those
    };
    Made make() {
        begin();
        for (std::uint32_t p = 0; p < in().params.size(); ++p)
            made_.arguments.push_back({.kind = Argument::Kind::whole, .target = p});
        take_values();
        take_slots();
        out().set_location_index(in().nodes[loop_].loc);
        out().begin_stage({}, false);
        clone(loop_);
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
        const Id body = in().nodes[loop_].aux;
        std::set<std::uint32_t> used, written;
        walk(in(), body, [&](Id id) {
            for (const SlotUse& use : slots_of(in(), in().nodes[id])) {
                used.insert(use.slot);
                if (use.writes) written.insert(use.slot);
            }
        });
        for (const StageReduction& r : in().parallel(in().nodes[loop_])->reductions)
            used.erase(r.target);
        for (const std::uint32_t s : used) {
            if (owners_.belongs_to(s, body)) continue;
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
    explicit Programs(const Kernel& host) : Rewriter(host), owners_(host) {}

  private:
    Id rewrite(Id old) override {
        const Node& n = in().nodes[old];
        if (n.kind != NodeKind::loop || in().parallel(n) == nullptr) return clone(old);
        Program::Made made = Program(in(), owners_, old).make();
        std::vector<Id> operands;
        for (const Id x : in().operands_of(old)) operands.push_back(mapped(x));
        for (const Id x : made.values) operands.push_back(mapped(x));
        for (const std::uint32_t s : made.slots) operands.push_back(out().read(s));
        Launch launch{.arguments = std::move(made.arguments)};
        launch.kernel = out().add_outlined(std::move(made.kernel));
        out().launch(std::move(launch), nullptr, operands);
        return none;
    }

    const SlotOwners owners_;
};

}  // namespace

ir::Kernel run_programs(const ir::Kernel& kernel, PassContext&) {
    const auto left = [](const Node& n) { return effects_of(n).any(effect::in_parallel); };
    return std::ranges::any_of(kernel.nodes, left) ? Programs(kernel).run() : kernel;
}

}  // namespace kiln::codegen
