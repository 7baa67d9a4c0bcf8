// Loops whose iterations can run as lanes become launches of outlined kernels:
//
//     for %5 = %a to %b step i64(1) {          %6 = add i64 %a, i64(1)
//       %6 = add i64 %5, i64(1)                launch k0 for %a to %b step i64(1)
//       %7 = load f64 x[%2, %6]                       (value %4, first, array x[%2, %6] by (0, 1),
//       %8 = exp f64 %7                  ->            array y[%2, %a] by (0, 1))
//       %9 = mul f64 %8, %4                    ...
//       store y[%2, %5], %9                    k0 = kernel(p0: in f64[1] uniform, ...) {
//     }                                          stage [extent(p0, 0)] parallel { ... }
//                                              }
//
// What backends make of a loop stands in the text from here on: the kernel is a map, a reduction
// or a scan; threads take pieces of a parallel launch; a launch in place, of a plain map or of a
// short sum in a loop, becomes part of the launching code.
//
// Legal where analysis/lane_loops.h says so. Outermost loops are asked first: what they hold goes
// with them. Loops of plain memory traffic are launched with stores past the caches too, where
// their arrays are large when the launch runs, and no row is read by steps other than 1; beside that launch
// stands what is for where they are not. Plain maps in other loops stay LLVM's, which runs many short rows faster. For a device every parallel loop is launched that can be, nothing inside of one that
// can't, whose iterations are threads, and none streams.
//
// Equal kernels are one: loops of one form that differ in their arrays, values and lines alone.
#include <ranges>

#include "codegen/lanes/vector_loops.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/text.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>

namespace kiln::codegen {
namespace {

using namespace ir;

class Outline final : public Rewriter {
  public:
    Outline(const Kernel& in, const PassOptions& options)
        : Rewriter(in),
          owners_(in),
          device_(options.target != PassTarget::cpu),
          keeps_plain_(device_ || options.plain),
          streamed_(device_ ? std::vector<StreamedLoop>() : find_streamed_loops(in)) {
        if (options.large) return;
        // Arrays that the kernel makes may be larger than its arguments.
        std::erase_if(streamed_, [](const StreamedLoop& loop) { return !loop.stores_to_own; });
    }

  private:
    Id rewrite(Id old) override {
        const NodeKind kind = in().nodes[old].kind;
        if (kind != NodeKind::loop && kind != NodeKind::loop_while) return clone(old);
        const bool parallel = kind == NodeKind::loop && in().parallel(in().nodes[old]) != nullptr;
        if (kind == NodeKind::loop && !(device_ && parallel_ != 0) && launched(old)) return none;
        ++loops_;
        parallel_ += parallel ? 1 : 0;
        const Id made = clone(old);
        parallel_ -= parallel ? 1 : 0;
        --loops_;
        return made;
    }

    bool launched(Id loop) {
        // A device has nothing else for the iterations of a parallel loop.
        const bool always = device_ && in().parallel(in().nodes[loop]) != nullptr;
        auto found = find_lane_loop(in(), owners_, loop, always);
        if (found && found->plain && (keeps_plain_ || loops_ > 0)) found.reset();
        const auto streamed = std::ranges::find(streamed_, loop, &StreamedLoop::loop);
        const bool streams =
            streamed != streamed_.end() && (!found || found->plain) && can_stream(loop);
        const bool stays = !found;
        if (stays && streams) found = find_lane_loop(in(), owners_, loop, true);
        if (!found) return false;
        VectorLoop lanes = extract_vector_loop(in(), *found);
        const Site site(*this, loop, lanes);
        const ParallelLoop* const parallel = in().parallel(in().nodes[loop]);
        Launch launch = site.launch();
        launch.kernel = number_of(std::move(lanes.kernel));
        if (streams) {
            Launch large = launch;
            large.streams = streamed->arrays;
            out().begin_streamed_launch(std::move(large), parallel, site.operands());
        }
        launch.in_place = lanes.in_place && (found->plain || loops_ > 0);
        if (stays)
            clone(loop);
        else
            out().launch(std::move(launch), parallel, site.operands());
        if (streams) out().end();
        return true;
    }

    /// Not what reads a row by steps other than 1: what is between the elements is loaded too, and
    /// LLVM does that faster.
    bool can_stream(Id loop) const {
        const auto found = find_lane_loop(in(), owners_, loop, true);
        return found && std::ranges::none_of(found->accesses, [](const LaneLoop::Access& access) {
                   const auto& by = access.coefficients;
                   return !by.empty() && by.back() != 0 && by.back() != 1;
               });
    }

    /// The arguments of a launch, and their operands, made in the block that is open.
    class Site {
      public:
        Site(Outline& pass, Id loop, const VectorLoop& lanes) : pass_(pass), loop_(loop) {
            for (const Id x : pass.in().operands_of(loop)) operands_.push_back(pass.mapped(x));
            walk(pass.in(), pass.in().nodes[loop].aux, [&](Id id) { inside_.emplace(id, none); });
            for (const VectorOperand& o : lanes.operands) {
                const bool carry = lanes.kernel.form == Form::scan &&
                                   launch_.arguments.size() + 2 == lanes.operands.size();
                launch_.arguments.push_back(argument(o, carry));
            }
        }
        const Launch& launch() const { return launch_; }
        std::span<const Id> operands() const { return operands_; }

      private:
        Argument argument(const VectorOperand& o, bool carry) {
            const Kernel& k = pass_.in();
            switch (o.kind) {
                case VectorOperand::Kind::element: {
                    const Node& n = k.nodes[o.node];
                    const bool local = n.kind == NodeKind::read || n.kind == NodeKind::write;
                    for (std::size_t d = 0; d < o.coefficients.size(); ++d)
                        operands_.push_back(at_begin(k.operand(o.node, d)));
                    return {.kind = local ? Argument::Kind::local : Argument::Kind::array,
                            .target = n.aux,
                            .strides = o.coefficients};
                }
                case VectorOperand::Kind::value:
                    operands_.push_back(pass_.mapped(o.node));
                    return {.kind = Argument::Kind::value};
                case VectorOperand::Kind::slot:
                    if (carry) return {.kind = Argument::Kind::carry, .target = o.slot};
                    operands_.push_back(pass_.out().read(o.slot));
                    return {.kind = Argument::Kind::value};
                case VectorOperand::Kind::first: return {.kind = Argument::Kind::first};
                case VectorOperand::Kind::step: return {.kind = Argument::Kind::step};
                case VectorOperand::Kind::total:
                    if (o.combine != none)
                        return {
                            .kind = Argument::Kind::state, .target = o.slot, .combine = o.combine};
                    return {
                        .kind = Argument::Kind::total, .target = o.slot, .reduction = o.reduction};
            }
            __builtin_unreachable();
        }

        /// A subscript of the loop's body, which depends on its index and on what the loop does not
        /// change, in the first iteration. Subscripts may be sums of any length, hence no recursion.
        Id at_begin(Id id) {
            std::vector<Id> open{id};
            while (!open.empty()) {
                if (made_at_begin(open.back()) != none) {
                    open.pop_back();
                    continue;
                }
                const Node& n = pass_.in().nodes[open.back()];
                const std::size_t before = open.size();
                for (const Id operand : pass_.in().operands_of(n) | std::views::reverse)
                    if (made_at_begin(operand) == none) open.push_back(operand);
                if (open.size() > before) continue;
                std::vector<Id> x;
                for (const Id operand : pass_.in().operands_of(n))
                    x.push_back(made_at_begin(operand));
                Builder& b = pass_.out();
                inside_.at(open.back()) = n.kind == NodeKind::read ? b.read(n.aux)
                                          : n.kind == NodeKind::cast
                                              ? b.convert(x[0], n.dtype, n.weak)
                                              : b.op(n.op, n.dtype, x, n.fast, n.weak);
            }
            return made_at_begin(id);
        }

        /// none: a node of the loop's body that has not been made yet.
        Id made_at_begin(Id id) {
            if (id == loop_) return operands_[0];
            const auto inside = inside_.find(id);
            return inside == inside_.end() ? pass_.mapped(id) : inside->second;
        }

        Outline& pass_;
        const Id loop_;
        Launch launch_;
        std::vector<Id> operands_;
        std::map<Id, Id> inside_;  // nodes of the loop's body: what they are in the first iteration
    };

    std::uint32_t number_of(Kernel lanes) {
        const auto [at, added] =
            numbers_.try_emplace(print(lanes, {.locations = false}), std::uint32_t(0));
        if (added) at->second = out().add_outlined(std::move(lanes));
        return at->second;
    }

    const SlotOwners owners_;
    const bool device_;
    const bool
        keeps_plain_;  // maps that need no lanes: a device has none, debuggers show their index
    std::vector<StreamedLoop> streamed_;
    std::map<std::string, std::uint32_t> numbers_;  // of outlined kernels, by their text
    unsigned loops_ = 0;                            // around the node that is being rewritten
    unsigned parallel_ = 0;                         // of these, parallel ones
};

}  // namespace

Kernel run_outline(const Kernel& kernel, PassContext& context) {
    if (!kernel.is_program()) return kernel;
    return Outline(kernel, context.options).run();
}

}  // namespace kiln::codegen
