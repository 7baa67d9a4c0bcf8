// Parallel loops that accumulate into arrays get one row of partial results per block of
// iterations:
//
//     for %i = 0 to n step 1 parallel           allocate p[2 blocks, extent(t, 0)]
//         arrays (sum -> t) {                   for %b = 0 to blocks step 1 parallel {
//       for %j = 0 to m step 1 {                  p[2 %b, ...] = 0; p[2 %b + 1, ...] = 0
//         store t[%j], t[%j] + x[%i, %j]   ->     for %g = first of block to its end step 16 {
//       }                                           for %i = %g to the end of the group {
//     }                                               for %j ... { p[2 %b + 1, %j] += x[%i, %j] }
//                                                   }
//                                                   p[2 %b, ...] += p[2 %b + 1, ...]
//                                                   p[2 %b + 1, ...] = 0
//                                                 }
//                                               }
//                                               rows 0, 2, 4 ... become one, pair by pair
//                                               t[...] = 0 + p[0, ...]
//
// Blocks and groups follow from the number of iterations alone, and so does the result. Of n
// numbers each goes through 32 + log2(n / 256) additions at most, and through no more than 16 after
// each other before a tree begins, as in a pairwise sum that begins with 128 in 8 lanes.
#include "codegen/passes/pass.h"
#include "codegen/trees.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;
using Ids = std::vector<Id>;

class ArrayReductions final : public Rewriter {
  public:
    ArrayReductions(const Kernel& in, Decisions& decisions) : Rewriter(in), decisions_(decisions) {}

  private:
    Id rewrite(Id old) override {
        const Node& n = in().nodes[old];
        if (n.kind == NodeKind::loop && n.aux2 != none && !in().parallel(n)->arrays.empty()) {
            split(old, n);
            return none;
        }
        const bool store = n.kind == NodeKind::store;
        if (!store && n.kind != NodeKind::load) return clone(old);
        const auto row = rows_.find(n.aux);
        if (row == rows_.end()) return clone(old);
        Ids operands;
        for (const Id x : in().operands_of(old)) operands.push_back(mapped(x));
        operands.insert(operands.begin(), row_of(block_, out().constant_i64(1)));
        if (!store) return out().load(row->second, operands);
        const Id value = operands.back();
        operands.pop_back();
        out().store(row->second, operands, value);
        return none;
    }

    Id op(Op o, Id a, Id b) {
        const Id operands[] = {a, b};
        return out().op(o, out().dtype(a), operands, 0);
    }

    /// Loops over all elements of array `param`.
    void each(std::uint32_t param, Ids& at, const std::function<void()>& body) {
        const std::size_t d = at.size();
        if (d == out().kernel().params[param].rank) {
            body();
            return;
        }
        at.push_back(out().begin_loop(out().constant_i64(0),
                                      out().extent(param, static_cast<std::uint32_t>(d)),
                                      out().constant_i64(1)));
        each(param, at, body);
        out().end();
        at.pop_back();
    }

    Id start(const ArrayReduction& r) {
        const DType t = in().params[r.target].dtype;
        const auto exact = identity(r.reduction, t);
        return out().constant(exact ? *exact : neutral(r.reduction, t));
    }

    /// A block has two rows.
    Id row_of(Id block, Id level) { return op(Op::add, op(Op::add, block, block), level); }
    Ids place(Id block, Id level, const Ids& at) {
        Ids result{row_of(block, level)};
        result.insert(result.end(), at.begin(), at.end());
        return result;
    }
    void clear_rows(const ArrayReduction& r) {
        Ids at;
        each(r.target, at, [&] {
            for (const std::int64_t level : {0, 1})
                out().store(rows_[r.target], place(block_, out().constant_i64(level), at),
                            start(r));
        });
    }
    /// a op b, of elements of one array.
    Id combined(const ArrayReduction& r, std::uint32_t param, const Ids& a, const Ids& b) {
        return op(info(r.reduction).op, out().load(param, a), out().load(param, b));
    }

    void split(Id old, const Node& n) {
        const ParallelLoop& loop = *in().parallel(n);
        decisions_.done(DecisionKind::blocked, in().location(n.loc),
                        fmt::format("sums into an array go by groups of {} iterations and blocks "
                                    "of {}, which are combined pair by pair",
                                    tree::group_rows, tree::block_rows),
                        {{"group", tree::group_rows}, {"block", tree::block_rows}});
        const Id count = mapped(in().operand(old, 1));
        const Id size = out().constant_i64(tree::block_rows), zero = out().constant_i64(0),
                 one = out().constant_i64(1);
        const std::uint32_t loc = n.loc;
        const Id blocks =
            op(Op::div, op(Op::add, count, out().constant_i64(tree::block_rows - 1)), size);
        for (const ArrayReduction& r : loop.arrays) {
            const Param& target = in().params[r.target];
            Ids extents{op(Op::add, blocks, blocks)};
            for (std::uint32_t d = 0; d < target.rank; ++d)
                extents.push_back(out().extent(r.target, d));
            const std::uint32_t part =
                out().add_param({.name = fmt::format("t{}", out().kernel().params.size()),
                                 .dtype = target.dtype,
                                 .rank = static_cast<std::uint8_t>(extents.size()),
                                 .access = Access::local,
                                 .layout = Layout::unit});
            out().allocate(part, extents);
            rows_[r.target] = part;
        }
        block_ = out().begin_parallel_loop(
            zero, blocks, one, {loop.reductions, loop.schedule, loop.chunk, loop.unsafe_races});
        for (const ArrayReduction& r : loop.arrays) clear_rows(r);
        const Id first = op(Op::mul, block_, size);
        const Id last = op(Op::minimum, count, op(Op::add, first, size));
        const Id group_size = out().constant_i64(tree::group_rows);
        const Id group = out().begin_loop(first, last, group_size);
        set_mapped(old, out().begin_loop(
                            group, op(Op::minimum, last, op(Op::add, group, group_size)), one));
        clone_block(n.aux);
        out().end();
        for (const ArrayReduction& r : loop.arrays) {
            Ids at;
            each(r.target, at, [&] {
                const Ids whole = place(block_, zero, at);
                const Ids part = place(block_, one, at);
                out().store(rows_[r.target], whole, combined(r, rows_[r.target], whole, part));
                out().store(rows_[r.target], part, start(r));
            });
        }
        out().end();
        out().end();
        const auto rows = std::exchange(rows_, {});
        out().set_location_index(loc);
        for (const ArrayReduction& r : loop.arrays) combine(r, rows.at(r.target), blocks);
    }

    /// while (stride < blocks) { rows 0, 2 stride ... += rows stride, 3 stride ...; stride *= 2 }
    void combine(const ArrayReduction& r, std::uint32_t rows, Id blocks) {
        const Id zero = out().constant_i64(0), one = out().constant_i64(1);
        const std::uint32_t slot =
            out().add_slot({fmt::format("r{}", out().kernel().slots.size()), DType::i64, 1});
        out().write(slot, one);
        out().begin_while_condition();
        const Id more[] = {out().read(slot), blocks};
        out().begin_while_body(out().op(Op::lt, DType::bool_, more, 0));
        const Id stride = out().read(slot), twice = op(Op::add, stride, stride);
        const Id b = out().begin_loop(zero, op(Op::sub, blocks, stride), twice);
        const Id other = op(Op::add, b, stride);
        Ids at;
        each(r.target, at, [&] {
            const Ids into = place(b, zero, at);
            out().store(rows, into, combined(r, rows, into, place(other, zero, at)));
        });
        out().end();
        out().write(slot, twice);
        out().end();
        each(r.target, at, [&] { out().store(r.target, at, start(r)); });
        const Id any[] = {zero, blocks};
        out().begin_branch(out().op(Op::lt, DType::bool_, any, 0));
        each(r.target, at, [&] {
            const Id sum = op(info(r.reduction).op, out().load(r.target, at),
                              out().load(rows, place(zero, zero, at)));
            out().store(r.target, at, sum);
        });
        out().end();
    }

    Decisions& decisions_;
    std::map<std::uint32_t, std::uint32_t> rows_;  // of the loop being cloned: target -> rows
    Id block_ = none;
};

}  // namespace

ir::Kernel run_array_reductions(const ir::Kernel& kernel, PassContext& context) {
    const bool any = std::ranges::any_of(kernel.parallel_loops,
                                         [](const ParallelLoop& p) { return !p.arrays.empty(); });
    return any ? ArrayReductions(kernel, context.decisions).run() : kernel;
}

}  // namespace kiln::codegen
