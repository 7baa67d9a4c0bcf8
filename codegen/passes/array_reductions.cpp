// Parallel loops that accumulate into arrays get one row of partial results per block of
// iterations:
//
//     for %i = 0 to n step 1 parallel           allocate p[blocks, extent(t, 0)]
//         arrays (sum -> t) {                   for %b = 0 to blocks step 1 parallel {
//       for %j = 0 to m step 1 {                  for %j ... { store p[%b, %j], 0 }
//         store t[%j], t[%j] + x[%i, %j]   ->     for %i = 1024 * %b to min(n, 1024 * %b + 1024) {
//       }                                           for %j ... { p[%b, %j] += x[%i, %j] }
//     }                                           }
//                                               }
//                                               t[...] = 0; for %b ... { t[...] += p[%b, ...] }
//
// Blocks follow from the number of iterations alone, and so does the result.
#include "codegen/passes/pass.h"
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

/// Iterations that accumulate into one row.
constexpr std::int64_t block_rows = 1024;

class ArrayReductions final : public Rewriter {
  public:
    using Rewriter::Rewriter;

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
        operands.insert(operands.begin(), block_);
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

    void split(Id old, const Node& n) {
        const ParallelLoop& loop = *in().parallel(n);
        const Id count = mapped(in().operand(old, 1));
        const Id size = out().constant_i64(block_rows), zero = out().constant_i64(0),
                 one = out().constant_i64(1);
        const std::uint32_t loc = n.loc;
        const Id blocks = op(Op::div, op(Op::add, count, out().constant_i64(block_rows - 1)), size);
        for (const ArrayReduction& r : loop.arrays) {
            const Param& target = in().params[r.target];
            Ids extents{blocks};
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
        for (const ArrayReduction& r : loop.arrays) {
            Ids at;
            each(r.target, at, [&] {
                Ids place{block_};
                place.insert(place.end(), at.begin(), at.end());
                out().store(rows_[r.target], place, start(r));
            });
        }
        const Id first = op(Op::mul, block_, size);
        const Id last = op(Op::minimum, count, op(Op::add, first, size));
        set_mapped(old, out().begin_loop(first, last, one));
        clone_block(n.aux);
        out().end();
        out().end();
        const auto rows = std::exchange(rows_, {});
        out().set_location_index(loc);
        for (const ArrayReduction& r : loop.arrays) combine(r, rows.at(r.target), blocks);
    }

    void combine(const ArrayReduction& r, std::uint32_t rows, Id blocks) {
        Ids at;
        each(r.target, at, [&] { out().store(r.target, at, start(r)); });
        const Id b = out().begin_loop(out().constant_i64(0), blocks, out().constant_i64(1));
        each(r.target, at, [&] {
            Ids place{b};
            place.insert(place.end(), at.begin(), at.end());
            const Id sum =
                op(info(r.reduction).op, out().load(r.target, at), out().load(rows, place));
            out().store(r.target, at, sum);
        });
        out().end();
    }

    std::map<std::uint32_t, std::uint32_t> rows_;  // of the loop being cloned: target -> rows
    Id block_ = none;
};

}  // namespace

ir::Kernel run_array_reductions(const ir::Kernel& kernel, PassContext&) {
    const bool any = std::ranges::any_of(kernel.parallel_loops,
                                         [](const ParallelLoop& p) { return !p.arrays.empty(); });
    return any ? ArrayReductions(kernel).run() : kernel;
}

}  // namespace kiln::codegen
