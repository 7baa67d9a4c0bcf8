// Scans: each column of a row gets the combination of the columns up to its own.
//
// A register of L lanes is scanned by itself, in log2(L) steps that each combine lanes with the
// lanes 1, 2, 4 ... before them, and then combined with what came before. What came before moves on
// by the last lane of the register's own scan, so that registers wait for one operation each.
#include "codegen/llvm/lanes/lane_emitter.h"

#include <algorithm>

namespace kiln::codegen {

using llvm::Value;

/// Once a row: what came before is the carry.
void LaneEmitter::begin_scan() {
    const auto param = static_cast<std::uint32_t>(kernel_.params.size() - 2);
    const ir::Param& carry = kernel_.params[param];
    scan_.reduction = kernel_.scan;
    scan_.dtype = carry.dtype;
    if (scan_.tail.value == nullptr)
        scan_.tail = accumulator_place(carry.dtype, unit_lanes_, "before");
    const DType part = real_type(carry.dtype);
    const auto splat = [&](unsigned offset) {
        Value* one = load_lanes(param, ops_.memory_type(part), offset);
        return b_.CreateVectorSplat(unit_lanes_, ops_.from_memory(one, part));
    };
    const auto half = static_cast<unsigned>(size_of(part));
    put(scan_.tail, {splat(0), is_complex(carry.dtype) ? splat(half) : nullptr, true});
}

LaneValue LaneEmitter::running(const LaneValue& v) {
    const unsigned lanes = std::min(unit_lanes_, lanes_);  // of a register
    const auto nothing = [&](unsigned count, bool imaginary) {
        return b_.CreateVectorSplat(count, ops_.neutral(scan_.reduction, scan_.dtype, imaginary));
    };
    const auto prepared = [&](Value* part, bool imaginary) -> Value* {
        if (part == nullptr) return nullptr;
        Value* full = ops_.as_varying(v, part);
        if (range_mask_ == nullptr) return full;
        return b_.CreateSelect(range_mask_, full, nothing(lanes_, imaginary));
    };
    const LaneValue all{prepared(v.value, false), prepared(v.imag, true), true};
    // Elements `first`, `first` + 1 ... of x, or always the one `first`.
    const auto pick = [&](const LaneValue& x, unsigned first, unsigned count, int step) {
        std::vector<int> from(count);
        for (unsigned l = 0; l < count; ++l)
            from[l] = static_cast<int>(first) + step * static_cast<int>(l);
        const auto part = [&](Value* p) -> Value* {
            return p == nullptr ? nullptr : b_.CreateShuffleVector(p, from);
        };
        return LaneValue{part(x.value), part(x.imag), true};
    };
    // Lane l gets lane l - by, the first ones what changes nothing.
    const auto shifted = [&](const LaneValue& x, unsigned by) {
        std::vector<int> from(lanes);
        for (unsigned l = 0; l < lanes; ++l)
            from[l] = static_cast<int>(l < by ? l : lanes + l - by);
        const auto part = [&](Value* p, bool imaginary) -> Value* {
            if (p == nullptr) return nullptr;
            return b_.CreateShuffleVector(nothing(lanes, imaginary), p, from);
        };
        return LaneValue{part(x.value, false), part(x.imag, true), true};
    };
    LaneValue before = get(scan_.tail), result;
    for (unsigned at = 0; at < lanes_; at += lanes) {
        LaneValue own = pick(all, at, lanes, 1);
        for (unsigned by = 1; by < lanes; by *= 2)
            own = ops_.combine(scan_.reduction, scan_.dtype, shifted(own, by), own);
        const LaneValue done =
            ops_.combine(scan_.reduction, scan_.dtype, pick(before, 0, lanes, 1), own);
        before = ops_.combine(scan_.reduction, scan_.dtype, before,
                              pick(own, lanes - 1, unit_lanes_, 0));
        const auto append = [&](Value* rest, Value* more) -> Value* {
            if (more == nullptr) return nullptr;
            if (lanes == lanes_) return more;
            auto* type = llvm::FixedVectorType::get(more->getType()->getScalarType(), lanes_);
            if (rest == nullptr) rest = llvm::PoisonValue::get(type);
            return b_.CreateInsertVector(type, rest, more, b_.getInt64(at));
        };
        result = {append(result.value, done.value), append(result.imag, done.imag), true};
    }
    put(scan_.tail, before);
    return result;
}

}  // namespace kiln::codegen
