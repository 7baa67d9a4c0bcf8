// Complex values become pairs of real ones:
//
//     %z = load c64 a[i]                %z = load c64 a[i]
//     %w = mul c64 %z, %z       ->      %x = real %z    %y = imag %z
//     store b[i], %w                    %u = x*x - y*y  %v = x*y + y*x
//                                       store b[i], make_complex(%u, %v)
//
// What stays complex: loads and parameters (only `real` and `imag` read them), make_complex (only a
// store, an atomic or a contribution uses it), slots that a stage contributes to, and whole arrays.
// Other complex slots become two real ones, and so do the values of states.
#include "codegen/passes/complex_math.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>

namespace kiln::codegen {
namespace {

using namespace ir;

class LowerComplex : public Rewriter {
  public:
    LowerComplex(const Kernel& in, bool fma)
        : Rewriter(in),
          re_(in.nodes.size(), none),
          im_(in.nodes.size(), none),
          fma_(fma),
          lines_(in) {}

    void tell(Decisions& decisions) const {
        formulas_.tell(
            decisions, DecisionKind::parts,
            "complex numbers are pairs of real ones, and operations are formulas of them");
    }

  private:
    struct SlotPair {
        std::uint32_t re, im;
        bool split;
    };

    void declare() override {
        for (const Param& p : in().params) declare(p);
        for (std::uint32_t i = 0; i < in().slots.size(); ++i) {
            Slot slot = in().slots[i];
            if (!is_complex(slot.dtype) || is_reduced(i)) {
                const std::uint32_t same = out().add_slot(slot);
                slots_.push_back({same, same, false});
                continue;
            }
            slot.dtype = real_type(slot.dtype);
            const std::string name = slot.name;
            slot.name = name.empty() ? "" : name + "_re";
            const std::uint32_t re = out().add_slot(slot);
            slot.name = name.empty() ? "" : name + "_im";
            slots_.push_back({re, out().add_slot(slot), true});
        }
    }

    /// Values whose numbers have changed.
    void enter_stage() override {
        for (Id id = 0; id < in().nodes.size(); ++id)
            if (const Node& n = in().node(id);
                n.kind == NodeKind::param && params_[n.aux].re != n.aux && !params_[n.aux].split)
                set_mapped(id, out().param(params_[n.aux].re));
    }

    /// States have no complex values: of what combines them, values and outputs become two.
    void declare(Param p) {
        const auto re = static_cast<std::uint32_t>(out().kernel().params.size());
        params_.push_back({re, re, in().form == Form::combine && is_complex(p.dtype)});
        if (params_.back().split) {
            p.dtype = real_type(p.dtype);
            const std::string name = p.name;
            p.name = name + "_im";
            params_.back().im = re + 1;
            Param first = p;
            first.name = name + "_re";
            out().add_param(std::move(first));
        }
        out().add_param(std::move(p));
    }

    /// Of one complex value only sums are inferred as reductions: they are those of the parts. The
    /// parts of a state stay in its order.
    void map_reduction(const StageReduction& r, std::vector<StageReduction>& into) override {
        const SlotPair slot = slots_[r.target];
        into.push_back({r.reduction, slot.re, r.combine});
        if (slot.split) into.push_back({r.reduction, slot.im, r.combine});
    }

    /// Whether `slot` stays as it is: a target that a stage contributes to.
    bool is_reduced(std::uint32_t slot) const {
        return std::ranges::any_of(in().stages, [&](const Stage& stage) {
            return std::ranges::any_of(stage.reductions, [&](const StageReduction& r) {
                return r.target == slot && r.combine == none;
            });
        });
    }

    bool complex(Id old) const { return is_complex(in().node(old).dtype); }

    Real part(Op op, Id value) {
        const Id operands[] = {value};
        return {&out(), out().op(op, real_type(out().dtype(value)), operands, 0), fma_};
    }
    Complex split(Id value) { return {part(Op::real, value), part(Op::imag, value)}; }
    Id join(const Complex& z) {
        const DType part = out().dtype(z.re.id);
        const Id operands[] = {z.re.id, z.im.id};
        return out().op(Op::make_complex, part == DType::f64 ? DType::c128 : DType::c64, operands,
                        0);
    }

    /// The pair of a complex value of the old kernel. Parameters are leaves: split where used.
    Complex pair(Id old) {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::param && params_[n.aux].split)
            return {{&out(), out().param(params_[n.aux].re), fma_},
                    {&out(), out().param(params_[n.aux].im), fma_}};
        if (re_[old] == none) return split(mapped(old));
        return {{&out(), re_[old], fma_}, {&out(), im_[old], fma_}};
    }
    Id set_pair(Id old, const Complex& z) {
        re_[old] = z.re.id;
        im_[old] = z.im.id;
        return none;
    }

    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        out().set_fast(n.fast);
        if (n.rank != 0 || n.kind == NodeKind::fold || n.kind == NodeKind::assign)
            return keep(old, n);
        if (n.kind == NodeKind::op) return rewrite_op(old, n);
        if (n.kind == NodeKind::cast) return rewrite_cast(old, n);
        if (n.kind == NodeKind::load && complex(old)) return set_pair(old, split(clone(old)));
        if (n.kind == NodeKind::read) return rewrite_read(old, n);
        if (n.kind == NodeKind::write) return rewrite_write(old, n);
        if (effects_of(n).any(effect::stores | effect::contributes)) return rewrite_use(old, n);
        return clone(old);
    }

    /// A node on whole arrays stays; scalars that it broadcasts are joined for it, and a fold to a
    /// scalar is split.
    Id keep(Id old, const Node& n) {
        for (const Id id : in().operands_of(n))
            if (re_[id] != none) set_mapped(id, join(pair(id)));
        const Id value = clone(old);
        for (const Id id : in().operands_of(n))
            if (re_[id] != none) set_mapped(id, none);
        return n.rank == 0 && is_complex(n.dtype) ? set_pair(old, split(value)) : value;
    }

    Id rewrite_op(Id old, const Node& n) {
        const auto operands = in().operands_of(old);
        const bool from_complex = std::ranges::any_of(operands, [&](Id id) { return complex(id); });
        if (!from_complex && !is_complex(n.dtype)) return clone(old);
        if (n.op != Op::make_complex && n.op != Op::real && n.op != Op::imag)
            formulas_.add(lines_.of(old), info(n.op).name);
        switch (n.op) {
            case Op::make_complex:
                return set_pair(old,
                                {{&out(), mapped(operands[0])}, {&out(), mapped(operands[1])}});
            case Op::real: return pair(operands[0]).re.id;
            case Op::imag: return pair(operands[0]).im.id;
            case Op::abs: return complex_abs(pair(operands[0])).id;
            case Op::select: {
                const Complex a = pair(operands[1]), b = pair(operands[2]);
                const DType part = real_type(n.dtype);
                const Id re[] = {mapped(operands[0]), a.re.id, b.re.id};
                const Id im[] = {mapped(operands[0]), a.im.id, b.im.id};
                return set_pair(old, {{&out(), out().op(Op::select, part, re, 0)},
                                      {&out(), out().op(Op::select, part, im, 0)}});
            }
            case Op::eq: return both(Op::logical_and, n.op, pair(operands[0]), pair(operands[1]));
            case Op::ne: return both(Op::logical_or, n.op, pair(operands[0]), pair(operands[1]));
            case Op::lt:
            case Op::le:
            case Op::gt:
            case Op::ge: return complex_order(n.op, pair(operands[0]), pair(operands[1])).id;
            case Op::isnan:
            case Op::isinf: return each(Op::logical_or, n.op, pair(operands[0]));
            case Op::isfinite: return each(Op::logical_and, n.op, pair(operands[0]));
            case Op::signbit: return predicate(n.op, pair(operands[0]).re.id);
            default: {
                const Complex a = pair(operands[0]);
                return set_pair(old,
                                complex_op(n.op, a, operands.size() > 1 ? pair(operands[1]) : a));
            }
        }
    }

    Id predicate(Op op, Id a) { return out().op(op, DType::bool_, {a}); }
    Id both(Op combine, Op compare, const Complex& a, const Complex& b) {
        const Id re = out().op(compare, DType::bool_, {a.re.id, b.re.id});
        const Id im = out().op(compare, DType::bool_, {a.im.id, b.im.id});
        const Id operands[] = {re, im};
        return out().op(combine, DType::bool_, operands, 0);
    }
    Id each(Op combine, Op op, const Complex& a) {
        const Id operands[] = {predicate(op, a.re.id), predicate(op, a.im.id)};
        return out().op(combine, DType::bool_, operands, 0);
    }

    Id rewrite_cast(Id old, const Node& n) {
        const Id from = in().operand(old, 0);
        const DType part = real_type(n.dtype);
        if (complex(from)) {
            const Complex z = pair(from);
            if (is_complex(n.dtype))
                return set_pair(old, {{&out(), out().convert(z.re.id, part)},
                                      {&out(), out().convert(z.im.id, part)}});
            if (!is_bool(n.dtype)) return out().convert(z.re.id, n.dtype);
            const Id operands[] = {out().convert(z.re.id, DType::bool_),
                                   out().convert(z.im.id, DType::bool_)};
            return out().op(Op::logical_or, DType::bool_, operands, 0);
        }
        if (!is_complex(n.dtype)) return clone(old);
        const Id zero = out().constant(Scalar::of(0.0).cast(part));
        return set_pair(old, {{&out(), out().convert(mapped(from), part)}, {&out(), zero}});
    }

    Id rewrite_read(Id old, const Node& n) {
        const Id position = n.operand_count == 0 ? none : mapped(in().operand(old, 0));
        const SlotPair slot = slots_[n.aux];
        if (slot.split) {
            const Id re = out().read(slot.re, position);
            return set_pair(old, {{&out(), re}, {&out(), out().read(slot.im, position)}});
        }
        const Id value = out().read(slot.re, position);
        return is_complex(n.dtype) ? set_pair(old, split(value)) : value;
    }

    Id rewrite_write(Id old, const Node& n) {
        const auto operands = in().operands_of(old);
        const Id position = operands.size() == 1 ? none : mapped(operands[0]);
        const SlotPair slot = slots_[n.aux];
        if (slot.split) {
            const Complex z = pair(operands.back());
            out().write(slot.re, z.re.id, position);
            out().write(slot.im, z.im.id, position);
        } else {
            const Id value = operands.back();
            out().write(slot.re, complex(value) ? join(pair(value)) : mapped(value), position);
        }
        return none;
    }

    /// A store, an atomic or a contribution of a complex value.
    Id rewrite_use(Id old, const Node& n) {
        const auto operands = in().operands_of(old);
        if (n.kind == NodeKind::store && in().form == Form::combine) return store_part(old, n);
        if (!complex(operands.back())) return clone(old);
        const Id value = join(pair(operands.back()));
        std::vector<Id> subscripts;
        for (const Id id : operands.first(operands.size() - 1)) subscripts.push_back(mapped(id));
        if (n.kind == NodeKind::store) {
            out().store(n.aux, subscripts, value);
        } else if (n.kind == NodeKind::contribute) {
            out().contribute(n.aux, value);
        } else {
            return set_pair(old, split(out().atomic(Reduction(n.aux2), n.aux, subscripts, value)));
        }
        return none;
    }

    Id store_part(Id old, const Node& n) {
        const SlotPair to = params_[n.aux];
        const Id value = in().operand(old, 0);
        if (!to.split) {
            out().store(to.re, {}, mapped(value));
            return none;
        }
        const Complex z = pair(value);
        out().store(to.re, {}, z.re.id);
        out().store(to.im, {}, z.im.id);
        return none;
    }

    std::vector<Id> re_, im_;       // per old node
    std::vector<SlotPair> params_;  // likewise, split in what combines states
    std::vector<SlotPair> slots_;
    bool fma_;
    const LoopLines lines_;
    Tally formulas_;
};

}  // namespace

ir::Kernel run_lower_complex(const ir::Kernel& kernel, PassContext& context) {
    const bool any =
        std::ranges::any_of(kernel.nodes, [](const Node& n) { return is_complex(n.dtype); });
    if (!any) return kernel;
    LowerComplex pass(kernel, context.options.fma);
    ir::Kernel after = pass.run();
    pass.tell(context.decisions);
    return after;
}

}  // namespace kiln::codegen
