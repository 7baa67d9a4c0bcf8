// What the rules of the simplify pass see, and where they stand.
#pragma once
#include "dsl/ir/ir.h"

#include <initializer_list>
#include <span>

namespace kiln::codegen {

/// The kernel under construction, for rules that look at operands and make new nodes.
class RuleContext {
  public:
    virtual ~RuleContext() = default;
    /// The operation, simplified in turn.
    virtual ir::Id make(ir::Op op, DType result, std::span<const ir::Id> operands,
                        std::uint8_t fast) = 0;
    virtual ir::Id convert(ir::Id value, DType to) = 0;
    /// Told of each rule that was applied and needs these flags.
    virtual void applied(ir::Op op, std::uint8_t needs) = 0;
    virtual ir::Id constant(const Scalar& value) = 0;
    virtual const ir::Node& node(ir::Id id) const = 0;
    virtual const ir::Kernel& kernel() const = 0;
};

/// One operation that rules are tried on: `op(operands)`, constants to the right in commutative
/// ones.
class Match {
  public:
    Match(RuleContext& context, ir::Op op, DType result, std::span<const ir::Id> operands,
          std::uint8_t fast)
        : op(op), result(result), fast(fast), context_(context), operands_(operands) {}

    const ir::Op op;
    const DType result;
    const std::uint8_t fast;

    ir::Id operator[](std::size_t i) const { return operands_[i]; }
    std::size_t size() const { return operands_.size(); }
    DType dtype(std::size_t i) const { return context_.node(operands_[i]).dtype; }
    bool same(std::size_t i, std::size_t j) const { return operands_[i] == operands_[j]; }

    bool is_constant(std::size_t i) const { return node(i).kind == ir::NodeKind::constant; }
    /// Operand i is a constant with the bits of `value` in its dtype: 0.0 is not -0.0.
    bool is(std::size_t i, double value) const;
    /// The value of a constant integer operand; MIN_i64 where it is none.
    std::int64_t integer(std::size_t i) const;
    /// log2 of operand i where it is a positive integer constant and a power of two, else -1.
    int power_of_two(std::size_t i) const;
    /// 1/c of the constant float c where that is exact and c, 1/c are normal numbers, else none.
    ir::Id exact_reciprocal(std::size_t i) const;
    /// Operand i is the operation `op`: its first operand (or the given one), else none.
    ir::Id of(std::size_t i, ir::Op op, std::size_t operand = 0) const;

    ir::Id make(ir::Op op, DType result, std::initializer_list<ir::Id> operands) const {
        return context_.make(op, result, std::span(operands.begin(), operands.size()), fast);
    }
    /// The same operation's result dtype.
    ir::Id make(ir::Op op, std::initializer_list<ir::Id> operands) const {
        return make(op, result, operands);
    }
    /// The constant `value` in the result's dtype.
    ir::Id constant(double value) const {
        return context_.constant(Scalar::of(value).cast(result));
    }
    ir::Id integer_constant(std::int64_t value) const {
        return context_.constant(Scalar::of(value).cast(result));
    }
    ir::Id truth(bool value) const { return context_.constant(Scalar::of(value)); }
    const ir::Node& node(std::size_t i) const { return context_.node(operands_[i]); }
    const ir::Kernel& kernel() const { return context_.kernel(); }
    RuleContext& context() const { return context_; }

  private:
    RuleContext& context_;
    std::span<const ir::Id> operands_;
};

/// The first rule's result, or none where no rule applies.
ir::Id apply_rules(const Match& match);

}  // namespace kiln::codegen
