#include "tests/oracle/random_kernel.h"
#include "tests/dice.h"

#include "dsl/ir/builder.h"

#include <algorithm>
#include <cmath>
#include <complex>

namespace kiln::oracle {
namespace {

using ir::Builder;
using ir::Id;
using ir::Op;
using test::Dice;

Scalar random_integer(Dice& dice, DType dtype) {
    switch (dice.below(5)) {
        case 0: return Scalar::of(dice.bits()).cast(dtype);
        case 1: {  // the ends of the range
            const std::uint64_t top = std::uint64_t(1) << (8 * size_of(dtype) - 1);
            return Scalar::of(dice.chance(50) ? top : top - 1).cast(dtype);
        }
        default: return Scalar::of(static_cast<std::int64_t>(dice.below(21)) - 10).cast(dtype);
    }
}

double random_double(Dice& dice) {
    static constexpr double special[] = {0.0,
                                         -0.0,
                                         1.0,
                                         -1.0,
                                         0.5,
                                         2.5,
                                         -1.5,
                                         INFINITY,
                                         -INFINITY,
                                         NAN,
                                         1e-40,
                                         65504.0,
                                         3e38,
                                         -1e300,
                                         5e-324,
                                         2147483648.0,
                                         9223372036854775808.0};
    const double unit = static_cast<double>(dice.bits() >> 11) * 0x1p-53;
    switch (dice.below(8)) {
        case 0: return dice.pick(special);
        case 1: return std::ldexp(unit - 0.5, static_cast<int>(dice.below(80)) - 40);
        case 2: return static_cast<double>(dice.below(41)) - 20;
        default: return 8 * unit - 4;
    }
}

Scalar random_scalar(Dice& dice, DType dtype) {
    if (is_bool(dtype)) return Scalar::of(dice.chance(50));
    if (is_integer(dtype)) return random_integer(dice, dtype);
    if (!is_complex(dtype)) return Scalar::of(random_double(dice)).cast(dtype);
    const double real = random_double(dice);
    return Scalar::of(std::complex<double>(real, random_double(dice))).cast(dtype);
}

class Generator {
  public:
    Generator(std::uint64_t seed, const RandomOptions& options)
        : dice_(seed), options_(options), b_("random_" + std::to_string(seed)) {
        for (std::size_t t = 0; t < dtype_count; ++t) {
            const auto dtype = static_cast<DType>(t);
            const bool half = dtype == DType::f16 || dtype == DType::bf16;
            if ((half && !options_.half) || (is_complex(dtype) && !options_.complex)) continue;
            dtypes_.push_back(dtype);
        }
        for (std::size_t i = 0; i < ir::op_count; ++i) {
            const auto op = static_cast<Op>(i);
            if (ir::is_elementary(op) && !options_.inexact && op != Op::pow) continue;
            ops_.push_back(op);
        }
    }

    ir::Kernel run() {
        declare();
        const Id extent = b_.extent(outputs_.back(), 0);
        b_.begin_stage(std::span(&extent, 1), true);
        for (const std::uint32_t p : inputs_) pool_.push_back(b_.load(p, {b_.index(0)}));
        for (const std::uint32_t p : outputs_) store(p);
        statements(options_.statements, 0);
        for (const std::uint32_t p : outputs_) store(p);
        b_.end();
        return b_.finish();
    }

  private:
    void declare() {
        const std::size_t inputs = 2 + dice_.below(3), outputs = 1 + dice_.below(2);
        for (std::size_t i = 0; i < inputs + outputs; ++i) {
            ir::Param p;
            p.name = (i < inputs ? "x" : "y") + std::to_string(i);
            p.dtype = dice_.pick(dtypes_);
            p.rank = 1;
            p.access = i < inputs         ? ir::Access::in
                       : dice_.chance(25) ? ir::Access::inout
                                          : ir::Access::out;
            p.layout = dice_.chance(60) ? ir::Layout::unit : ir::Layout::strided;
            if (i < inputs && dice_.chance(25)) {
                p.layout = ir::Layout::uniform;
                p.weak = options_.weak && dice_.chance(60);
                static constexpr DType plain[] = {DType::i32, DType::i64, DType::f64};
                if (p.weak) p.dtype = dice_.pick(plain);
            }
            const bool readable = p.access != ir::Access::out;
            const std::uint32_t index = b_.add_param(std::move(p));
            if (readable) inputs_.push_back(index);
            if (i >= inputs) outputs_.push_back(index);
        }
    }

    Id value() { return dice_.chance(15) ? constant() : dice_.pick(pool_); }

    Id constant() {
        if (options_.weak && dice_.chance(50)) {
            // Small enough for every dtype that it may be combined with.
            const auto small = static_cast<int>(dice_.below(100));
            return b_.constant(dice_.chance(50) ? Scalar::of(small, true)
                                                : Scalar::of(0.25 * small - 12.0, true));
        }
        return b_.constant(random_scalar(dice_, dice_.pick(dtypes_)));
    }

    Id condition() {
        static constexpr Op comparisons[] = {Op::lt, Op::le, Op::eq, Op::ne, Op::gt, Op::ge};
        const Id a = value(), c = value();
        return b_.apply(dice_.pick(comparisons), {a, c});
    }

    /// 0 where x is NaN, whose sign is not determined.
    Id number_only(Id x) {
        if (!is_real(b_.dtype(x))) return x;
        return b_.apply(Op::select,
                        {b_.apply(Op::isnan, {x}), b_.constant(Scalar::of(0.0, true)), x});
    }

    /// +0 where x is -0: fmin and fmax may give either of the two.
    Id positive_zero(Id x) {
        return is_real(b_.dtype(x)) ? b_.apply(Op::add, {x, b_.constant(Scalar::of(0.0, true))})
                                    : x;
    }

    /// Whether the operation is exact on these operands, or inexact ones are wanted.
    bool wanted(Op op, std::span<const Id> operands) const {
        if (options_.inexact) return true;
        const bool complex =
            std::ranges::any_of(operands, [&](Id x) { return is_complex(b_.dtype(x)); });
        const bool real = std::ranges::any_of(operands, [&](Id x) { return is_real(b_.dtype(x)); });
        return op == Op::pow ? !complex && !real
                             : !complex || (op != Op::sqrt && op != Op::abs && op != Op::sign);
    }

    Id operation() {
        for (;;) {
            const Op op = dice_.pick(ops_);
            std::vector<Id> operands;
            for (unsigned i = 0; i < info(op).arity; ++i) operands.push_back(value());
            if (!wanted(op, operands)) continue;
            try {
                if (op == Op::signbit) operands[0] = number_only(operands[0]);
                if (op == Op::copysign) operands[1] = number_only(operands[1]);
                if (op == Op::fmin || op == Op::fmax)
                    for (Id& x : operands) x = positive_zero(x);
                if (op == Op::pow && !is_real(b_.dtype(operands[1])) &&
                    !is_complex(b_.dtype(operands[1])))
                    operands[1] = b_.apply(Op::bit_and, {b_.cast(operands[1], DType::u8),
                                                         b_.constant(Scalar::of(std::uint8_t(7)))});
                if (options_.checks && (op == Op::div || op == Op::mod))
                    b_.check(ir::Check::division_by_zero, b_.truth(operands[1]));
                return b_.apply(op, operands);
            } catch (const Error&) {
                // The rule refuses these dtypes: other dice.
            }
        }
    }

    void statements(int count, int depth) {
        const std::size_t visible = pool_.size();
        for (int i = 0; i < count; ++i) {
            const std::size_t kind = dice_.below(100);
            if (depth < 3 && kind < 8 && options_.branches)
                branch(depth);
            else if (depth < 2 && kind < 13 && options_.loops)
                for_loop(depth);
            else if (depth < 2 && kind < 17 && options_.loops)
                while_loop(depth);
            else if (kind < 20)
                store(dice_.pick(outputs_));
            else if (kind < 35)
                pool_.push_back(b_.cast(value(), dice_.pick(dtypes_)));
            else if (kind < 38)
                pool_.push_back(b_.load(dice_.pick(inputs_), {b_.index(0)}));
            else
                pool_.push_back(operation());
        }
        if (depth > 0) pool_.resize(visible);
    }

    void store(std::uint32_t param) {
        b_.store(param, {b_.index(0)}, b_.cast(value(), b_.kernel().params[param].dtype));
    }

    std::uint32_t new_slot() {
        const DType t = dice_.pick(dtypes_);
        const std::uint32_t slot =
            b_.add_slot({"s" + std::to_string(b_.kernel().slots.size()), t, 1});
        write(slot);
        return slot;
    }
    void write(std::uint32_t slot) {
        b_.write(slot, b_.cast(value(), b_.kernel().slots[slot].dtype));
    }

    /// Statements that end by giving the slot a new value, out of their own values too.
    void body(std::uint32_t slot, int depth) {
        const std::size_t visible = pool_.size();
        pool_.push_back(b_.read(slot));
        const int count = 1 + static_cast<int>(dice_.below(4));
        for (int i = 0; i < count; ++i) pool_.push_back(operation());
        if (dice_.chance(40)) statements(1, depth + 1);
        b_.write(slot, b_.cast(pool_.back(), b_.kernel().slots[slot].dtype));
        pool_.resize(visible);
    }

    void jump_sometimes() {
        if (!dice_.chance(30)) return;
        b_.begin_branch(condition());
        b_.bare(options_.returns && dice_.chance(10) ? ir::NodeKind::return_
                : dice_.chance(50)                   ? ir::NodeKind::break_
                                                     : ir::NodeKind::continue_);
        b_.end();
    }

    void branch(int depth) {
        const std::uint32_t slot = new_slot();
        b_.begin_branch(condition());
        body(slot, depth);
        if (options_.returns && dice_.chance(5)) b_.bare(ir::NodeKind::return_);
        if (dice_.chance(60)) {
            b_.begin_else();
            body(slot, depth);
        }
        b_.end();
        pool_.push_back(b_.read(slot));
    }

    Id small_count() {
        if (dice_.chance(50)) return b_.constant_i64(static_cast<std::int64_t>(dice_.below(6)));
        return b_.apply(Op::bit_and, {b_.cast(value(), DType::i64), b_.constant_i64(7)});
    }

    void for_loop(int depth) {
        const std::uint32_t slot = new_slot();
        const bool down = dice_.chance(30);
        const Id count = small_count(), zero = b_.constant_i64(0);
        const Id step =
            b_.constant_i64((down ? -1 : 1) * static_cast<std::int64_t>(1 + dice_.below(2)));
        const Id index = down ? b_.begin_loop(count, zero, step) : b_.begin_loop(zero, count, step);
        pool_.push_back(index);
        jump_sometimes();
        body(slot, depth);
        pool_.pop_back();
        b_.end();
        pool_.push_back(b_.read(slot));
    }

    void while_loop(int depth) {
        const std::uint32_t slot = new_slot();
        const std::uint32_t counter =
            b_.add_slot({"n" + std::to_string(b_.kernel().slots.size()), DType::i64, 1});
        b_.write(counter, small_count());
        b_.begin_while_condition();
        const std::size_t visible = pool_.size();
        const Id more = b_.apply(Op::gt, {b_.read(counter), b_.constant_i64(0)});
        pool_.push_back(b_.read(slot));
        const Id go_on = dice_.chance(70) ? b_.apply(Op::logical_and, {more, condition()}) : more;
        pool_.resize(visible);
        b_.begin_while_body(go_on);
        b_.write(counter, b_.apply(Op::sub, {b_.read(counter), b_.constant_i64(1)}));
        jump_sometimes();
        body(slot, depth);
        b_.end();
        pool_.push_back(b_.read(slot));
    }

    Dice dice_;
    RandomOptions options_;
    Builder b_;
    std::vector<DType> dtypes_;
    std::vector<Op> ops_;
    std::vector<std::uint32_t> inputs_, outputs_;
    std::vector<Id> pool_;  // values that the innermost block sees
};

double spacing(double value, DType t) {
    const int digits = t == DType::f16 ? 11 : t == DType::bf16 ? 8 : t == DType::f32 ? 24 : 53;
    const int lowest = t == DType::f16    ? -24
                       : t == DType::bf16 ? -133
                       : t == DType::f32  ? -149
                                          : -1074;
    if (value == 0) return std::ldexp(1.0, lowest);
    return std::ldexp(1.0, std::max(std::ilogb(value) + 1 - digits, lowest));
}

bool close(double a, double b, DType t, double ulps) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    if (a == b) return std::signbit(a) == std::signbit(b) || ulps > 0;
    if (std::isinf(a) || std::isinf(b)) return false;
    return std::fabs(a - b) <= ulps * std::max(spacing(a, t), spacing(b, t));
}

bool same(const Scalar& a, const Scalar& b, double ulps) {
    if (is_complex(a.dtype)) {
        const auto x = a.cast(DType::c128).get<std::complex<double>>(),
                   y = b.cast(DType::c128).get<std::complex<double>>();
        const DType part = real_type(a.dtype);
        return close(x.real(), y.real(), part, ulps) && close(x.imag(), y.imag(), part, ulps);
    }
    if (!is_real(a.dtype))
        return std::memcmp(a.bytes.data(), b.bytes.data(), size_of(a.dtype)) == 0;
    return close(a.cast(DType::f64).get<double>(), b.cast(DType::f64).get<double>(), a.dtype, ulps);
}

std::string text_of(const Scalar& s) {
    if (is_complex(s.dtype)) {
        const auto z = s.cast(DType::c128).get<std::complex<double>>();
        return "(" + text_of(Scalar::of(z.real())) + ", " + text_of(Scalar::of(z.imag())) + ")";
    }
    if (is_unsigned(s.dtype)) return std::to_string(s.cast(DType::u64).get<std::uint64_t>());
    if (!is_real(s.dtype)) return std::to_string(s.cast(DType::i64).get<std::int64_t>());
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%.17g", s.cast(DType::f64).get<double>());
    return buffer;
}

}  // namespace

ir::Kernel random_kernel(std::uint64_t seed, const RandomOptions& options) {
    return Generator(seed, options).run();
}

RandomArguments::RandomArguments(const ir::Kernel& kernel, std::uint64_t seed, std::int64_t count)
    : kernel_(&kernel), count_(count) {
    Dice dice(seed);
    for (const ir::Param& p : kernel.params) {
        const auto size = static_cast<std::int64_t>(size_of(p.dtype));
        const std::int64_t stride = p.layout == ir::Layout::uniform ? 0
                                    : p.layout == ir::Layout::unit  ? size
                                                                    : 2 * size;
        const std::int64_t elements = stride == 0 ? 1 : count;
        std::vector<std::byte> bytes(static_cast<std::size_t>(elements * std::max(stride, size)));
        for (std::int64_t i = 0; i < elements; ++i)
            std::memcpy(bytes.data() + i * stride, random_scalar(dice, p.dtype).bytes.data(),
                        size_of(p.dtype));
        storage_.push_back(std::move(bytes));
        strides_.push_back(stride);
    }
    point();
}

RandomArguments::RandomArguments(const RandomArguments& other)
    : kernel_(other.kernel_),
      count_(other.count_),
      storage_(other.storage_),
      strides_(other.strides_) {
    point();
}

void RandomArguments::point() {
    for (std::size_t i = 0; i < storage_.size(); ++i)
        arguments_.push_back(Argument::array(storage_[i].data(), {count_}, {strides_[i]}));
}

std::string RandomArguments::difference(const RandomArguments& other, double ulps) const {
    for (std::size_t p = 0; p < storage_.size(); ++p)
        for (std::int64_t i = 0; i < count_; ++i) {
            Scalar a, b;
            a.dtype = b.dtype = kernel_->params[p].dtype;
            std::memcpy(a.bytes.data(), storage_[p].data() + i * strides_[p], size_of(a.dtype));
            std::memcpy(b.bytes.data(), other.storage_[p].data() + i * strides_[p],
                        size_of(b.dtype));
            if (!same(a, b, ulps))
                return kernel_->params[p].name + "[" + std::to_string(i) + "]: " + text_of(a) +
                       " and " + text_of(b);
        }
    return {};
}

}  // namespace kiln::oracle
