// Refuses parallel loops whose iterations may meet in an array, or says where .unsafe_races answers
// for it. Changes nothing.
//
// For every outermost parallel loop and every array that its body stores to:
//  0. an array that is made in the body is the iteration's own;
//  1. atomic and plain accesses of one array are not mixed;
//  2. no store touches, in another iteration, an element that any access touches: for each such
//     pair there is a dimension whose subscripts are never equal in two different iterations
//     (codegen/analysis/races.cpp).
#include "codegen/analysis/races.h"

#include "codegen/analysis/affine.h"
#include "codegen/analysis/subscript_text.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// The errors that a meeting is.
class Refusal {
  public:
    Refusal(const Kernel& kernel, Id loop)
        : k_(kernel), loop_(loop), forms_(kernel, loop), text_(kernel, loop, forms_) {}

    /// Of a loop whose user answers for it.
    std::string answered_for(const Meeting& meeting) const {
        return fmt::format(
            "iterations may touch the same element of {}: .unsafe_races answers for {} {}{}",
            array(meeting.store), text_.element(meeting.store),
            codegen::place_of(k_, meeting.store),
            meeting.other == meeting.store ? ""
                                           : fmt::format(" and {} {}", text_.element(meeting.other),
                                                         codegen::place_of(k_, meeting.other)));
    }

    [[noreturn]] void raise(const Meeting& meeting) const {
        if (meeting.mixed) refuse_mixed(meeting.store, meeting.other);
        refuse(meeting.store, meeting.other);
    }

  private:
    std::string line_of(Id at, Id other) const {
        const Location here = k_.location(k_.nodes[at].loc),
                       there = k_.location(k_.nodes[other].loc);
        if (at != loop_ && here.file == there.file && here.line == there.line) return "here";
        if (here.file == there.file || there.line == 0)
            return fmt::format("at line {}", there.line);
        return fmt::format("at {}:{}", there.file, there.line);
    }

    /// What an error at the access calls its array.
    std::string array(Id access) const {
        const Node& n = k_.nodes[access];
        return describe_array(k_, n.aux, k_.location(n.loc));
    }

    std::string_view verb(Id access) const {
        return effects_of(k_.nodes[access]).any(effect::stores) ? "written" : "read";
    }

    [[noreturn]] void refuse(Id store, Id other) const {
        const std::string name = array(store);
        std::string what = fmt::format(
            "iterations of the prange {} may touch the same element of {}: {} is written here",
            line_of(loop_, loop_), name, text_.element(store));
        if (other != store)
            what += fmt::format(" and {} is {} {}", text_.element(other), verb(other),
                                line_of(store, other));
        throw Error(ErrorKind::usage, std::move(what), k_.location(k_.nodes[store].loc),
                    "use atomic_add(...), a reduction, or range; or set .unsafe_races = true "
                    "where you know that they do not");
    }

    [[noreturn]] void refuse_mixed(Id atomic, Id other) const {
        throw Error(ErrorKind::usage,
                    fmt::format("iterations of the prange {} access {} atomically and not: {} is "
                                "{} here, and {} {} by an atomic operation",
                                line_of(loop_, loop_), array(other), text_.element(other),
                                verb(other), text_.element(atomic), line_of(other, atomic)),
                    k_.location(k_.nodes[other].loc),
                    "make all accesses of the loop atomic (they give the value before), or set "
                    ".unsafe_races = true");
    }

    const Kernel& k_;
    Id loop_;
    AffineForms forms_;
    SubscriptText text_;
};

}  // namespace

ir::Kernel run_races(const ir::Kernel& kernel, PassContext& context) {
    walk(kernel, [&](Id id) {
        const Node& n = kernel.nodes[id];
        if (!effects_of(n).any(effect::in_parallel)) return Walk::on;
        const auto meeting = first_meeting(kernel, id);
        if (kernel.parallel(n)->unsafe_races)
            context.decisions.done(DecisionKind::races, kernel.location(n.loc),
                                   meeting ? Refusal(kernel, id).answered_for(*meeting)
                                           : "no two iterations touch the same element of an "
                                             "array: for arrays .unsafe_races is not needed");
        else if (meeting)
            Refusal(kernel, id).raise(*meeting);
        return Walk::skip;
    });
    return kernel;
}

}  // namespace kiln::codegen
