// Comparisons with a constant lose the powers of two by which integers were scaled, as random
// numbers in [0, 1) are:
//
//     %2 = cast f32 %0 (i32)
//     %3 = mul f32 %2, 2^-24                  %2 = cast f32 %0
//     %4 = mul f32 %3, %3             ->      %4 = mul f32 %2, %2
//     %5 = lt bool %4, 0.5                    %5 = lt bool %4, 2^47
//
// The value compared is made of such products by multiplication, and by addition and subtraction of
// values of one scale. The result is the same for every integer, flags or not, since a factor of a
// power of two changes no rounding. That holds where
//
// 1. nothing overflows: bounds of the integers' types bound all values, with scales and without;
// 2. nothing is subnormal: without scales all values are integers, also after rounding, so those
//    that are not 0 are at least 1, and with the scale at least the scale, which is normal;
// 3. the constant without the scale is exact and normal.
//
// Values that are used elsewhere too keep their scale: they would be computed twice.
#include "codegen/passes/pass.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

bool is_comparison(Op op) {
    return op == Op::lt || op == Op::le || op == Op::gt || op == Op::ge || op == Op::eq ||
           op == Op::ne;
}

/// A value as 2^exponent times a sum of products of integers, which is at most 2^bits.
struct Scaled {
    int exponent = 0, bits = 0;
};

class Unscale : public Rewriter {
  public:
    Unscale(const Kernel& in, Decisions& decisions)
        : Rewriter(in), lines_(in), decisions_(decisions), uses_(in.nodes.size(), 0) {
        for (const Block& block : in.blocks)
            for (const Id id : block.nodes)
                for (const Id operand : in.operands_of(id)) ++uses_[operand];
    }

  private:
    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.kind != NodeKind::op || !is_comparison(n.op)) return clone(old);
        for (const std::size_t side : {0U, 1U}) {
            const Id value = in().operand(old, side), constant = in().operand(old, 1 - side);
            const DType t = in().node(value).dtype;
            if (in().node(constant).kind != NodeKind::constant ||
                (t != DType::f32 && t != DType::f64))
                continue;
            budget_ = 64;
            const auto scaled = analyse(value);
            if (!scaled || scaled->exponent == 0) continue;
            const Scalar bound = in().constant(constant);
            const auto what = fmt::format("a comparison with {}, of integers times 2^{}",
                                          bound.cast(DType::f64).get<double>(), scaled->exponent);
            const auto limit = without(bound, scaled->exponent);
            if (!limit || !is_used_here_alone(value)) {
                decisions_.refused(DecisionKind::unscaled, lines_.of(old),
                                   what + (limit ? ": what is compared serves something else too"
                                                 : ": without the scale the constant is not "
                                                   "exact"));
                continue;
            }
            decisions_.done(DecisionKind::unscaled, lines_.of(old), what);
            Id operands[2];
            operands[side] = unscaled(value);
            operands[1 - side] = out().constant(*limit);
            return out().op(n.op, n.dtype, operands, n.fast, n.weak);
        }
        return clone(old);
    }

    /// k for a constant 2^k.
    std::optional<int> power_of_two(Id id) const {
        if (in().node(id).kind != NodeKind::constant) return std::nullopt;
        const auto value = in().constant(id).cast(DType::f64).get<double>();
        int exponent = 0;
        if (std::frexp(value, &exponent) != 0.5) return std::nullopt;
        return exponent - 1;
    }

    /// Of mul(integer as a float, 2^k): the operand that is the integer.
    std::optional<std::size_t> integer_operand(Id id) const {
        for (const std::size_t i : {0U, 1U}) {
            const Node& cast = in().node(in().operand(id, i));
            if (cast.kind == NodeKind::cast &&
                is_integer(in().node(in().operands_of(cast)[0]).dtype) &&
                power_of_two(in().operand(id, 1 - i)))
                return i;
        }
        return std::nullopt;
    }

    std::optional<Scaled> analyse(Id id) {
        const Node& n = in().node(id);
        if (n.kind != NodeKind::op || --budget_ < 0) return std::nullopt;
        std::optional<Scaled> result;
        if (n.op == Op::mul) {
            if (const auto i = integer_operand(id)) {
                const Id integer = in().operand(in().operand(id, *i), 0);
                result = Scaled{*power_of_two(in().operand(id, 1 - *i)),
                                8 * static_cast<int>(size_of(in().node(integer).dtype))};
            } else if (const auto a = analyse(in().operand(id, 0)),
                       b = a ? analyse(in().operand(id, 1)) : std::nullopt;
                       b) {
                result = Scaled{a->exponent + b->exponent, a->bits + b->bits};
            }
        } else if (n.op == Op::add || n.op == Op::sub) {
            const auto a = analyse(in().operand(id, 0));
            const auto b = a ? analyse(in().operand(id, 1)) : std::nullopt;
            if (b && a->exponent == b->exponent)
                result = Scaled{a->exponent, std::max(a->bits, b->bits) + 1};
        }
        const int most = n.dtype == DType::f32 ? 127 : 1023;
        if (result &&
            (result->exponent < 1 - most || result->bits + std::max(result->exponent, 0) > most))
            return std::nullopt;
        return result;
    }

    bool is_used_here_alone(Id root) {
        std::vector<std::size_t> here(in().nodes.size(), 0);
        std::vector<Id> inner;
        here[root] = 1;
        const auto visit = [&](const auto& self, Id id) -> void {
            if (std::ranges::find(inner, id) != inner.end()) return;
            inner.push_back(id);
            if (integer_operand(id)) return;
            for (const Id operand : in().operands_of(id)) {
                ++here[operand];
                self(self, operand);
            }
        };
        visit(visit, root);
        return std::ranges::all_of(inner, [&](Id id) { return here[id] == uses_[id]; });
    }

    /// constant / 2^exponent, if that is exact.
    std::optional<Scalar> without(const Scalar& constant, int exponent) const {
        const auto value = constant.cast(DType::f64).get<double>();
        const Scalar made = Scalar::of(std::ldexp(value, -exponent)).cast(constant.dtype);
        const auto back = made.cast(DType::f64).get<double>();
        const double least = constant.dtype == DType::f32 ? 0x1p-126 : 0x1p-1022;
        const bool exact = std::isfinite(back) && std::ldexp(back, exponent) == value &&
                           (value == 0 || (std::fabs(back) >= least && std::fabs(value) >= least));
        return exact ? std::optional(made) : std::nullopt;
    }

    Id unscaled(Id id) {
        if (const auto i = integer_operand(id)) return mapped(in().operand(id, *i));
        const Node& n = in().node(id);
        std::vector<Id> operands;
        for (const Id operand : in().operands_of(n)) operands.push_back(unscaled(operand));
        return out().op(n.op, n.dtype, operands, n.fast, n.weak);
    }

    const LoopLines lines_;
    Decisions& decisions_;
    std::vector<std::size_t> uses_;
    int budget_ = 0;  // operations looked at: values may be operands many times over
};

}  // namespace

ir::Kernel run_unscale(const ir::Kernel& kernel, PassContext& context) {
    const bool any = std::ranges::any_of(kernel.nodes, [&](const Node& n) {
        return n.kind == NodeKind::cast && is_real(n.dtype) &&
               is_integer(kernel.node(kernel.operands_of(n)[0]).dtype);
    });
    return any ? Unscale(kernel, context.decisions).run() : kernel;
}

}  // namespace kiln::codegen
