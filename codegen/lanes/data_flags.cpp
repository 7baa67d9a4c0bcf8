#include "codegen/lanes/data_flags.h"

#include "dsl/ir/effects.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace kiln::codegen {
namespace {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using ir::Op;

bool is_half(DType t) { return t == DType::f16 || t == DType::bf16; }
bool is_float(DType t) { return is_real(t) || is_complex(t); }

/// What operations on floats may do to flags.
enum class Effect : std::uint8_t { none, of_data, others };

Effect effect_of(Op op) {
    switch (op) {
        case Op::add:
        case Op::sub:
        case Op::mul:
        case Op::div:
        case Op::true_divide:
        case Op::sqrt: return Effect::of_data;
        case Op::neg:
        case Op::abs:
        case Op::copysign:
        case Op::signbit:
        case Op::eq:
        case Op::ne:
        case Op::select:
        case Op::isnan:
        case Op::isinf:
        case Op::isfinite:
        case Op::make_complex:
        case Op::real:
        case Op::imag: return Effect::none;
        default: return Effect::others;  // elementary functions, and what has no instruction
    }
}

class FlagCheck {
  public:
    /// `launched`: by a program, whose pieces of loops fill no whole registers.
    explicit FlagCheck(const ir::Kernel& kernel, bool launched = false)
        : kernel_(kernel),
          loops_(launched || kernel.is_program()),
          whole_registers_(!loops_ && std::ranges::none_of(kernel.nodes, [](const Node& n) {
              return n.dtype == DType::f64;
          }) && std::ranges::none_of(kernel.params, [](const ir::Param& p) {
              return size_of(p.dtype) > 4;
          })) {}

    bool kernel() const {
        if (combines_floats()) return false;
        for (const ir::Stage& stage : kernel_.stages)
            if (!stage.reductions.empty() || !block(stage.body)) return false;
        return true;
    }

    /// The same of a kernel that a program launches: what it combines adds to what its body does.
    bool outlined() const {
        if (kernel_.form == ir::Form::scan && is_float(kernel_.params.back().dtype)) return false;
        if (combines_floats()) return false;
        return std::ranges::all_of(kernel_.stages, [&](const ir::Stage& stage) {
            return stage.extents.empty() || block(stage.body);
        });
    }

  private:
    /// What combines states meets those that no element has changed.
    bool combines_floats() const {
        return std::ranges::any_of(kernel_.combines, [](const ir::Kernel& c) {
            return std::ranges::any_of(c.params,
                                       [](const ir::Param& p) { return is_float(p.dtype); });
        });
    }
    bool block(Id id) const {
        const auto& nodes = kernel_.blocks[id].nodes;
        // What stands beside a loop may run though that has no iteration.
        const bool innermost = !loops_ || std::ranges::none_of(nodes, [&](Id n) {
            const NodeKind kind = kernel_.node(n).kind;
            return kind == NodeKind::loop || kind == NodeKind::launch;
        });
        const bool outside = kernel_.is_program() && id == kernel_.stages[0].body;
        return std::ranges::all_of(nodes, [&](Id n) {
            const Effect effect = effect_of(n);
            return effect == Effect::none || (effect == Effect::of_data && innermost && !outside);
        });
    }

    Effect effect_of(Id id) const {
        const Node& n = kernel_.node(id);
        if (n.kind == NodeKind::op) return operation(n);
        if (n.kind == NodeKind::cast) return cast(n);
        if (n.kind == NodeKind::loop) return block(n.aux) ? Effect::none : Effect::others;
        if (n.kind == NodeKind::store) {
            // Memory of f16, bf16 and complex numbers is converted at the store.
            const DType memory = kernel_.params[n.aux].dtype;
            const DType value = kernel_.node(kernel_.operands_of(n).back()).dtype;
            return memory == value ? Effect::none : Effect::others;
        }
        if (n.kind == NodeKind::contribute)
            return is_float(kernel_.node(kernel_.operand(id, 0)).dtype) ? Effect::others
                                                                        : Effect::none;
        if (n.kind == NodeKind::launch) {
            const ir::Kernel& launched = kernel_.outlined[kernel_.launches[n.aux].kernel];
            const FlagCheck inside(launched, true);
            const bool all = (launched.is_program() ? inside.kernel() : inside.outlined()) &&
                             (n.aux2 == ir::none || block(n.aux2));
            return all ? Effect::none : Effect::others;
        }
        // The flags of host functions are theirs.
        constexpr ir::effect::Mask silent = ir::effect::loads | ir::effect::reads |
                                            ir::effect::writes | ir::effect::allocates |
                                            ir::effect::calls | ir::effect::calls_pure;
        return ir::effects_of(n).only(silent) ? Effect::none : Effect::others;
    }

    Effect operation(const Node& n) const {
        const auto operands = kernel_.operands_of(n);
        // Of select and the like, the last operand has the type that counts.
        const DType t = kernel_.node(operands.back()).dtype;
        if (is_float(t)) {
            if (n.fast != 0 || is_half(t)) return Effect::others;
            const Effect effect = codegen::effect_of(n.op);
            const bool exact = t == DType::f64 || (t == DType::f32 && whole_registers_);
            return effect == Effect::of_data && !exact ? Effect::others : effect;
        }
        if (is_float(n.dtype)) return n.op == Op::make_complex ? Effect::none : Effect::others;
        switch (n.op) {  // integers are divided by way of floats
            case Op::div:
            case Op::rem:
            case Op::floor_divide:
            case Op::mod:
            case Op::fmod:
            case Op::pow: return Effect::others;
            default: return Effect::none;
        }
    }

    Effect cast(const Node& n) const {
        const Node& from = kernel_.node(kernel_.operands_of(n)[0]);
        if (!is_float(from.dtype) && !is_float(n.dtype)) return Effect::none;
        const auto is_usual = [](DType t) { return t == DType::f32 || t == DType::f64; };
        if (!is_usual(n.dtype)) return Effect::others;
        if (is_usual(from.dtype)) return Effect::of_data;
        // Integers that one instruction converts; of a load, since only loads give idle lanes a
        // value that some lane has.
        const bool small = size_of(from.dtype) < 4 || from.dtype == DType::i32;
        const bool loaded = from.kind == NodeKind::load || from.kind == NodeKind::param;
        const bool exact = n.dtype == DType::f64 || whole_registers_;
        return !is_float(from.dtype) && small && loaded && exact ? Effect::of_data : Effect::others;
    }

    const ir::Kernel& kernel_;
    bool loops_;            // it is a program, or launched by one
    bool whole_registers_;  // in f32
};

/// What a value is in a lane whose loads gave 0.
enum class Idle : std::uint8_t {
    zero,
    uniform,  ///< what it is in all lanes
    other,
};

/// Whether the factor leaves a zero a zero, and silently.
bool is_finite_factor(const ir::Kernel& kernel, Id id) {
    const Node& n = kernel.node(id);
    if (n.kind != NodeKind::constant) return false;
    const double value = kernel.constant(id).cast(DType::f64).get<double>();
    return std::isfinite(value);
}

class IdleLanes {
  public:
    explicit IdleLanes(const ir::Kernel& kernel)
        : kernel_(kernel), idle_(kernel.nodes.size(), Idle::uniform) {}

    bool raise() {
        for (const ir::Stage& stage : kernel_.stages)
            for (const Id id : kernel_.blocks[stage.body].nodes) {
                const auto made = value(id);
                if (!made) return true;
                idle_[id] = *made;
            }
        return false;
    }

  private:
    /// Nothing where it may raise a flag that no element does.
    std::optional<Idle> value(Id id) const {
        const Node& n = kernel_.node(id);
        const auto operands = kernel_.operands_of(n);
        const auto all = [&](Idle what) {
            return std::ranges::all_of(operands, [&](Id o) { return idle_[o] == what; });
        };
        const auto any_zero = [&] {
            return std::ranges::any_of(operands, [&](Id o) { return idle_[o] == Idle::zero; });
        };
        if (n.kind == NodeKind::load)
            return kernel_.params[n.aux].layout == ir::Layout::uniform ? Idle::uniform : Idle::zero;
        if (n.kind == NodeKind::cast)
            return idle_[operands[0]] == Idle::other && is_float(n.dtype)
                       ? std::nullopt
                       : std::optional(idle_[operands[0]]);
        if (n.kind != NodeKind::op)
            return n.kind == NodeKind::store ? Idle::other : std::optional<Idle>();
        if (all(Idle::uniform)) return Idle::uniform;
        if (!is_float(n.dtype) && !is_float(kernel_.node(operands.back()).dtype))
            return Idle::other;
        switch (n.op) {
            case Op::add:
            case Op::sub:
                if (all(Idle::zero)) return Idle::zero;
                return any_zero() ? std::optional(Idle::other) : std::nullopt;
            case Op::mul:
                for (std::size_t k = 0; k < 2; ++k)
                    if (idle_[operands[k]] == Idle::zero &&
                        (all(Idle::zero) || is_finite_factor(kernel_, operands[1 - k])))
                        return Idle::zero;
                return std::nullopt;
            case Op::sqrt: return all(Idle::zero) ? std::optional(Idle::zero) : std::nullopt;
            case Op::div:
            case Op::true_divide: return std::nullopt;
            case Op::neg:
            case Op::abs:
            case Op::copysign: return idle_[operands[0]];
            default: return Idle::other;
        }
    }

    const ir::Kernel& kernel_;
    std::vector<Idle> idle_;  // per node
};

}  // namespace

bool zeros_raise_flags(const ir::Kernel& kernel) { return IdleLanes(kernel).raise(); }

bool raises_flags_of_data(const ir::Kernel& kernel) { return FlagCheck(kernel).kernel(); }

}  // namespace kiln::codegen
