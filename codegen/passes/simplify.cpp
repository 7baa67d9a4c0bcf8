// Constants are folded, and exact identities applied. "Exact" means: the same bits for every
// operand (the payload of a NaN aside) unless the node carries the Fast flags that a rule names.
// Elementary functions of constants are left alone, so that they are computed where all others are.
//
// Beside the rules of simplify_rules.cpp:
//
//     branch true { A } else { B }        ->  A           A has no jump of its own
//     loop over an empty range            ->  (nothing)
//     check k, true                       ->  (nothing)
//     while with a condition that is false from the start -> the condition's block, once
#include "codegen/passes/simplify.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/text_tables.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

bool is_commutative(Op op) {
    switch (op) {
        case Op::add:
        case Op::mul:
        case Op::bit_and:
        case Op::bit_or:
        case Op::bit_xor:
        case Op::eq:
        case Op::ne:
        case Op::logical_and:
        case Op::logical_or:
        case Op::logical_xor:
        case Op::minimum:
        case Op::maximum:
        case Op::fmin:
        case Op::fmax:
        case Op::hypot: return true;
        default: return false;
    }
}

/// Whether every value of `from` is a value of `to`.
bool holds_all(DType from, DType to) {
    if (from == to || is_bool(from)) return true;
    if (is_bool(to) || is_complex(from) || is_complex(to)) return false;
    const auto bits = [](DType t) { return 8 * size_of(t); };
    const auto digits = [](DType t) {
        return t == DType::f64 ? 53U : t == DType::f32 ? 24U : t == DType::f16 ? 11U : 8U;
    };
    if (is_integer(from) && is_integer(to))
        return is_signed(from) == is_signed(to) ? bits(to) >= bits(from)
                                                : is_signed(to) && bits(to) > bits(from);
    // f16 reaches 65504, so that all 11 digits fit; the other formats reach far more.
    if (is_integer(from)) return bits(from) - (is_signed(from) ? 1 : 0) <= digits(to);
    return is_real(to) && digits(to) >= digits(from) && bits(to) > bits(from);
}

/// Whether cast c (cast b (x of a)) is cast c x.
bool skips_middle(DType a, DType b, DType c) {
    // 16-bit floats convert from and to f32 only, as the widen pass left them.
    const auto needs_f32 = [](DType t, DType other) {
        return (t == DType::f16 || t == DType::bf16) && other != t && other != DType::f32;
    };
    if (needs_f32(a, c) || needs_f32(c, a)) return false;
    const bool integers = is_integer(a) && is_integer(b) && is_integer(c);
    if (integers && (size_of(c) <= size_of(b) || holds_all(a, b))) return true;  // both wrap
    if (!holds_all(a, b)) return false;
    // An integer wraps into a narrower one, the real number of the same value saturates.
    return !(is_integer(a) && is_real(b) && is_integer(c)) || holds_all(a, c);
}

/// "nnan and nsz".
std::string names_of(std::uint8_t flags) {
    std::string names;
    for (std::size_t bit = 0; bit < text::fast_names.size(); ++bit)
        if ((flags >> bit & 1) != 0)
            names += fmt::format("{}{}", names.empty() ? "" : " and ", text::fast_names[bit]);
    return names;
}

class Simplify : public Rewriter, public RuleContext {
  public:
    /// `relaxed`: of all rounds.
    Simplify(const Kernel& in, Decisions& decisions, Tally& relaxed)
        : Rewriter(in), decisions_(decisions), relaxed_(relaxed) {}

    Id make(Op op, DType result, std::span<const Id> given, std::uint8_t fast) override {
        std::vector<Id> x(given.begin(), given.end());
        if (const Id folded = fold(op, result, x); folded != none) return folded;
        if (is_commutative(op) && is_constant(x[0])) std::swap(x[0], x[1]);
        const Match match(*this, op, result, x, fast);
        if (const Id other = apply_rules(match); other != none) return other;
        return out().op(op, result, x, fast);
    }

    Id convert(Id value, DType to) override {
        const Node& n = out().node(value);
        if (n.dtype == to) return value;
        if (n.kind == NodeKind::cast) {
            const Id inner = out().kernel().operand(value, 0);
            if (skips_middle(out().dtype(inner), n.dtype, to)) return convert(inner, to);
        }
        return out().convert(value, to);
    }

    void applied(Op op, std::uint8_t needs) override {
        if (!lines_) lines_.emplace(in());
        relaxed_.add(lines_->of(rewriting_),
                     fmt::format("{} by {}", info(op).name, names_of(needs)));
    }

    Id constant(const Scalar& value) override { return out().constant(value); }
    const Node& node(Id id) const override { return building().node(id); }
    const Kernel& kernel() const override { return building().kernel(); }

  private:
    const Builder& building() const { return const_cast<Simplify*>(this)->out(); }
    bool is_constant(Id id) const { return node(id).kind == NodeKind::constant; }

    Id fold(Op op, DType result, std::span<const Id> operands) {
        if (is_complex(result) || (is_elementary(op) && !is_integer(result))) return none;
        std::vector<Scalar> values;
        for (const Id id : operands) {
            if (!is_constant(id)) return none;
            values.push_back(kernel().constant(id));
        }
        const auto value = evaluate(op, result, values);
        return value ? out().constant(*value) : none;
    }

    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        rewriting_ = old;
        out().set_fast(n.fast);
        if (n.rank != 0) return clone(old);
        if (n.kind == NodeKind::op) {
            std::vector<Id> operands;
            for (const Id id : in().operands_of(old)) operands.push_back(strong(id));
            return make(n.op, n.dtype, operands, n.fast);
        }
        if (n.kind == NodeKind::cast) return convert(strong(in().operand(old, 0)), n.dtype);
        if (n.kind == NodeKind::branch) return rewrite_branch(old, n);
        if (n.kind == NodeKind::check && is_true(mapped(in().operand(old, 0)))) return none;
        if (n.kind == NodeKind::loop && is_empty_loop(old)) {
            decided(DecisionKind::dropped, "there is no index in the loop's range: it is gone");
            return none;
        }
        if (n.kind == NodeKind::loop_while && is_false_constant(in().operand(old, 0))) {
            decided(DecisionKind::dropped, "its condition is never true: the body is gone");
            clone_block(n.aux);
            return none;
        }
        return clone(old);
    }

    /// Typing is over, so weak constants need not stay apart from strong ones.
    Id strong(Id old) {
        const Id value = mapped(old);
        if (!is_constant(value) || !node(value).weak) return value;
        Scalar s = kernel().constant(value);
        s.weak = false;
        return out().constant(s);
    }

    bool is_true(Id id) const { return is_constant(id) && node(id).imm != 0; }
    bool is_false_constant(Id old) const {
        return in().node(old).kind == NodeKind::constant && in().node(old).imm == 0;
    }

    void decided(DecisionKind kind, const char* what) {
        decisions_.done(kind, in().location(in().node(rewriting_).loc), what);
    }

    Id rewrite_branch(Id old, const Node& n) {
        const Id condition = mapped(in().operand(old, 0));
        if (!is_constant(condition)) return clone(old);
        decided(DecisionKind::decided, node(condition).imm != 0 ? "the condition is always true"
                                                                : "the condition is never true");
        const Id taken = node(condition).imm != 0 ? n.aux : n.aux2;
        if (taken == none) return none;
        const auto is_jump = [&](Id id) { return effects_of(in().node(id)).any(effect::jumps); };
        // Code after the branch would follow a jump in one block.
        if (std::ranges::any_of(in().blocks[taken].nodes, is_jump)) return clone(old);
        clone_block(taken);
        return none;
    }

    bool is_empty_loop(Id old) {
        std::int64_t bounds[3];
        for (std::size_t i = 0; i < 3; ++i) {
            const Id id = mapped(in().operand(old, i));
            if (!is_constant(id)) return false;
            bounds[i] = kernel().constant(id).get<std::int64_t>();
        }
        const auto [begin, end, step] = bounds;
        return (step > 0 && begin >= end) || (step < 0 && begin <= end);
    }

    Decisions& decisions_;
    Tally& relaxed_;
    std::optional<LoopLines> lines_;
    Id rewriting_ = none;
};

}  // namespace

ir::Kernel run_simplify(const ir::Kernel& kernel, PassContext& context) {
    Tally relaxed;
    // A folded value can make more foldable (the condition of a while loop); it ends after a few
    // rounds, since each leaves fewer nodes.
    ir::Kernel result = Simplify(kernel, context.decisions, relaxed).run();
    for (std::size_t before = kernel.nodes.size(); result.nodes.size() < before;) {
        before = result.nodes.size();
        result = Simplify(result, context.decisions, relaxed).run();
    }
    relaxed.tell(context.decisions, DecisionKind::relaxed,
                 "forms that fast-math flags allow, of other bits than strict ones");
    return result;
}

}  // namespace kiln::codegen
