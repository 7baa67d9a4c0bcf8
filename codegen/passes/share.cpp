// Serial loops that may be shared (loop_flag::shareable) become parallel ones where nothing depends
// on the order of their iterations:
//
//     for %1 = i64(0) to %n step i64(1) shareable {        for %1 = ... parallel automatic 0 {
//       %2 = load x [%1]                              ->     %2 = load x [%1]
//       store y [%1], %2                                     store y [%1], %2
//     }                                                    }
//
// That is so where
//  1. the kernel asks for threads;
//  2. the loop has no parallel loop in it, nor is in one;
//  3. no iteration ends the loop, or the kernel;
//  4. every slot that is written belongs to the iteration: a sum stays in the order that was
//     written;
//  5. no iteration touches an element that another one stores to (codegen/analysis/races.h), and
//     nothing is atomic, called or made;
//  6. it is no short loop of a known number of iterations: those are better unrolled;
//  7. where it stands in a loop that stays serial, it has loops in it: one row after the other is too
//     little work at a time, and what is done to rows together would not be.
// So results are the same to the bit. Of a loop that stays serial, those inside of it are looked at.
#include "codegen/analysis/affine.h"
#include "codegen/analysis/races.h"
#include "codegen/analysis/subscript_text.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/editor.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/slots.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Fewer iterations, without loops in them, are not worth a piece of work.
constexpr std::int64_t few = 64;

class Share {
  public:
    Share(const Kernel& kernel, PassContext& context)
        : in_(kernel), out_(kernel), context_(context) {}

    Kernel run() {
        walk(in_, [&](Id id, const Around& around) {
            const Node& n = in_.nodes[id];
            if (effects_of(n).any(effect::in_parallel)) return settle_inside(id);
            return is_shareable(id) ? decide(id, around.loops > 0) : Walk::on;
        });
        return out_.finish();
    }

  private:
    bool is_shareable(Id id) const {
        const Node& n = in_.nodes[id];
        return n.kind == NodeKind::loop && (n.fast & loop_flag::shareable) != 0;
    }

    /// Loops within a parallel one are serial.
    Walk settle_inside(Id loop) {
        walk(in_, in_.nodes[loop].aux, [&](Id id) {
            if (is_shareable(id)) out_.settle_shareable(id, false);
        });
        return Walk::skip;
    }

    Walk decide(Id loop, bool is_inside) {
        const bool asked = context_.options.threads;
        const std::optional<std::string> reason = asked ? obstacle(loop, is_inside) : std::string();
        out_.settle_shareable(loop, !reason);
        const Location at = in_.location(in_.nodes[loop].loc);
        if (!reason) {
            context_.decisions.done(
                DecisionKind::shared, at,
                "no iteration depends on another one, so threads may take them");
            return settle_inside(loop);
        }
        if (!reason->empty()) context_.decisions.refused(DecisionKind::shared, at, *reason);
        return Walk::on;
    }

    /// Why a loop is not parallel; empty where that need not be said.
    std::optional<std::string> obstacle(Id loop, bool is_inside) const {
        const Touched body = touched_by(in_, loop);
        if ((body.does & effect::in_parallel) != 0) return "";
        if ((body.does & (effect::breaks | effect::returns)) != 0)
            return "an iteration may end the loop";
        if ((body.does & ~allowed) != 0)
            return "iterations do more than to compute, load and store";
        if (is_short(loop)) return "";
        for (const std::uint32_t slot : body.writes)
            if (!owners_.belongs_to(slot, in_.nodes[loop].aux))
                return fmt::format("iterations change {} one after the other",
                                   describe_slot(in_, slot, in_.location(in_.nodes[loop].loc)));
        if (const auto meeting = first_meeting(in_, loop)) return met(loop, *meeting);
        if (is_inside && has_no_loops(loop))
            return "one row at a time, of a loop that stays serial, is too little work";
        return std::nullopt;
    }

    bool is_short(Id loop) const {
        const auto bound = [&](std::uint32_t i) -> std::optional<std::int64_t> {
            const Id id = in_.operand(loop, i);
            if (in_.nodes[id].kind != NodeKind::constant) return std::nullopt;
            return in_.constant(id).get<std::int64_t>();
        };
        const auto from = bound(0), to = bound(1), step = bound(2);
        return from && to && step && (*to - *from) / *step < few && has_no_loops(loop);
    }

    bool has_no_loops(Id loop) const {
        return all_in(in_, in_.nodes[loop].aux,
                      [&](Id id) { return !is_loop(in_.nodes[id].kind); });
    }

    std::string met(Id loop, const Meeting& meeting) const {
        const AffineForms forms(in_, loop);
        const SubscriptText text(in_, loop, forms);
        std::string what = fmt::format("two iterations may touch one element, {} {}",
                                       text.element(meeting.store), place_of(in_, meeting.store));
        if (meeting.other != meeting.store)
            what += fmt::format(" and {} {}", text.element(meeting.other),
                                place_of(in_, meeting.other));
        return what;
    }

    static constexpr effect::Mask allowed =
        effect::accesses | effect::checks | effect::branches | effect::loops | effect::continues;

    const Kernel& in_;
    Editor out_;
    PassContext& context_;
    SlotOwners owners_{in_};
};

}  // namespace

ir::Kernel run_share(const ir::Kernel& kernel, PassContext& context) {
    return Share(kernel, context).run();
}

}  // namespace kiln::codegen
