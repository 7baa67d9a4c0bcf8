// Loops over rows whose elementary functions stand between inner loops are cut in three, block by
// block, so that the functions run as lanes:
//
//     for %i = a to b {                        for %k = a to b step size {
//       write r, 0                               for %i = %k to min(b, %k + size) {
//       for %j ... { r += x[%i, %j] * w[%j] }      write r, 0; for %j ... { ... }
//       %1 = read r                                write t[%i - %k], (read r)
//       %2 = exp %1                      ->      }
//       for %j ... { g[%j] += %2 * x[%i, %j] }   for %i ... { write u[%i - %k], exp(t[%i - %k]) }
//     }                                          for %i ... {
//                                                  for %j ... { g[%j] += u[%i - %k] * x[%i, %j] }
//                                                }
//                                              }
//
// The parts of a body: what comes before the operations around the first elementary function, up
// to the last statement that has a loop or an effect; the operations, loads and reads from there
// to the next such statement; the rest. Blocks are so small that the rows which the first part
// loads are in the first or second cache when the last one does.
//
// Rows that come from memory (PassOptions::large) are read as fast as the hardware foresees: blocks
// are as small as they can be then, and of one group, since it stops at each block's end.
//
// Where the loop is the rows of a group, whose sums are then added to others (array_reductions), the
// blocks are of several groups: the last part goes by groups, with what follows them.
//
//     for %g = a to b step S {                 for %k = a to b step size {
//       for %i = %g to min(b, %g + S) {...}      for %i = %k to min(b, %k + size) {...}
//       rest                           ->        for %i = %k to min(b, %k + size) {...}
//     }                                          for %g = %k to min(b, %k + size) step S {
//                                                  for %i = %g to min(b, %g + S) {...}
//                                                  rest
//                                                }
//                                              }
//
// Legal where
//  1. the loop is serial, of step 1, and nothing leaves it, fails, is atomic or allocates;
//  2. all elementary functions outside of its inner loops stand in the middle part;
//  3. no array that one part stores to is touched by another;
//  4. no variable that the last part writes is used by the others, and those of the first part that
//     others read are single elements of real or integer type;
//  5. arrays that are written overlap no others (PassOptions::noalias);
//  6. of groups, the rest does no more than 3 and 4 allow the last part, and the first two parts know
//     nothing of the group.
// Values that cross parts are computed again where that takes no elementary function and gives the
// same, and else go through local arrays of a block.
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Iterations of a block: so many elements of rows, within these bounds.
constexpr std::int64_t block_elements = 4096;
constexpr std::int64_t least_block = 16;
constexpr std::int64_t most_block = 64;

/// A loop that can be cut.
struct Parts {
    std::vector<Id> nodes[3];
    Touched touched[3];
    Id row = none;  // an inner loop, whose length decides on the size of blocks
};

/// A loop over groups of iterations, the loop over those of a group, and what stands around it.
struct Groups {
    Id loop = none, inner = none;
    std::vector<Id> before, after;
};

class Distribute final : public Rewriter {
  public:
    Distribute(const Kernel& in, const PassOptions& options, Decisions& decisions)
        : Rewriter(in), large_(options.large), decisions_(decisions) {}

  private:
    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::read)
            if (const auto at = of_slot_.find(n.aux); at != of_slot_.end())
                return out().read(at->second.buffer, at->second.position);
        if (n.kind != NodeKind::loop || n.aux2 != none) return clone(old);
        if (const auto groups = large_ ? std::nullopt : groups_of(old))
            if (const auto parts = cut(groups->inner, &*groups)) {
                emit(groups->inner, *parts, &*groups);
                return none;
            }
        const auto parts = cut(old, nullptr);
        if (!parts) return clone(old);
        emit(old, *parts, nullptr);
        return none;
    }

    // --- analysis ---

    static bool is_straight(NodeKind k) {
        return is_computation(k) || k == NodeKind::load || k == NodeKind::read;
    }
    /// Condition 1: what the parts may do.
    static constexpr effect::Mask allowed = effect::accesses | effect::branches | effect::loops;

    /// The loop as one over groups: its body is one loop over the iterations from its index on, which
    /// ends with the group or with the last one of all, and what follows.
    std::optional<Groups> groups_of(Id loop) const {
        const Id step = in().operand(loop, 2), end = in().operand(loop, 1);
        const Node& size = in().node(step);
        if (size.kind != NodeKind::constant || size.imm < 2 || size.imm > most_block)
            return std::nullopt;
        const auto& body = in().blocks[in().node(loop).aux].nodes;
        const auto inner =
            std::ranges::find_if(body, [&](Id id) { return in().node(id).kind == NodeKind::loop; });
        if (inner == body.end() || in().node(*inner).aux2 != none ||
            in().operand(*inner, 0) != loop)
            return std::nullopt;
        Groups groups{loop, *inner, {body.begin(), inner}, {inner + 1, body.end()}};
        const auto computes = [&](Id id) { return is_computation(in().node(id).kind); };
        if (!std::ranges::all_of(groups.before, computes)) return std::nullopt;
        const auto is = [&](Id id, Op o, Id a, Id b) {
            const Node& n = in().node(id);
            if (n.kind != NodeKind::op || n.op != o) return false;
            const Id x = in().operand(id, 0), y = in().operand(id, 1);
            return (x == a && y == b) || (x == b && y == a);
        };
        const Id stop = in().operand(*inner, 1);
        const bool whole = std::ranges::any_of(groups.before, [&](Id next) {
            return is(next, Op::add, loop, step) && is(stop, Op::minimum, end, next);
        });
        return whole ? std::optional(groups) : std::nullopt;
    }

    /// Adds to the last part what stands behind it in groups; false where condition 6 does not hold.
    bool add_rest(Parts& parts, const Groups& groups) const {
        const auto of_group = [&](Id x) {
            return x == groups.loop || std::ranges::find(groups.before, x) != groups.before.end();
        };
        for (const std::size_t p : {0U, 1U})
            for (const Id id : parts.nodes[p])
                if (std::ranges::any_of(touched_by(in(), id).uses, of_group)) return false;
        for (const Id id : groups.after) {
            const Touched t = touched_by(in(), id, Jumps::out);
            // What the first part leaves in a variable there is one of for each iteration.
            if ((t.does & ~allowed) != 0 || meet(t.reads, parts.touched[0].writes)) return false;
            parts.touched[2].add(t);
        }
        return separate(parts);
    }

    /// The parts of a loop, with `groups` that of the rows of a group.
    std::optional<Parts> cut(Id loop, const Groups* groups) const {
        if (!in().is_constant(in().operand(loop, 2), 1)) return std::nullopt;
        const auto& body = in().blocks[in().node(loop).aux].nodes;
        const auto elementary = [&](Id id) {
            return in().node(id).kind == NodeKind::op && is_elementary(in().node(id).op);
        };
        const auto straight = [&](Id id) { return is_straight(in().node(id).kind); };
        auto first = std::ranges::find_if(body, elementary);
        if (first == body.end()) return std::nullopt;
        auto last = std::ranges::find_if_not(first, body.end(), straight);
        while (first != body.begin() && straight(*(first - 1))) --first;
        if (std::find_if(last, body.end(), elementary) != body.end()) return std::nullopt;
        if (last == body.end()) return std::nullopt;
        Parts parts;
        parts.nodes[0].assign(body.begin(), first);
        parts.nodes[1].assign(first, last);
        parts.nodes[2].assign(last, body.end());
        for (std::size_t p = 0; p < 3; ++p)
            for (const Id id : parts.nodes[p]) {
                const Touched t = touched_by(in(), id, Jumps::out);
                if ((t.does & ~allowed) != 0)
                    return groups != nullptr
                               ? std::nullopt
                               : refuse(loop,
                                        "an iteration ends early, calls, makes an array, is atomic "
                                        "or holds a prange");
                parts.touched[p].add(t);
                if (in().node(id).kind == NodeKind::loop && parts.row == none) parts.row = id;
            }
        // Without inner loops over elements the loop is vector code as it is.
        if (parts.row == none) return std::nullopt;
        if (groups != nullptr && !add_rest(parts, *groups)) return std::nullopt;
        if (!separate(parts))
            return refuse(loop,
                          "what comes before its functions and what comes after them touch "
                          "one array or variable");
        decided(loop, parts, groups);
        return parts;
    }
    void decided(Id loop, const Parts& parts, const Groups* groups) const {
        const bool fixed = has_least_blocks(loop, parts.row, groups);
        std::string blocks = std::to_string(least_block);
        if (!fixed) blocks += fmt::format(" to {}", most_block);
        const char* const why = !fixed   ? ", by the length of rows"
                                : large_ ? ", since rows come from memory"
                                         : ", since the length of rows is not known before it";
        decisions_.done(
            DecisionKind::distributed, in().location(in().node(loop).loc),
            fmt::format("its functions run as lanes, for {} iterations at once{}", blocks, why),
            {{"iterations", fixed ? least_block : most_block}});
    }
    std::nullopt_t refuse(Id loop, const char* reason) const {
        decisions_.refused(DecisionKind::distributed, in().location(in().node(loop).loc), reason);
        return std::nullopt;
    }

    static bool is_plain(DType t) { return !is_complex(t) && t != DType::f16 && t != DType::bf16; }

    /// Conditions 3 and 4.
    bool separate(const Parts& p) const {
        const auto& [a, b, c] = p.touched;
        if (meet(a.stores, b.loads) || meet(a.stores, c.loads) || meet(a.stores, c.stores) ||
            meet(c.stores, a.loads) || meet(c.stores, b.loads))
            return false;
        if (meet(c.writes, a.reads) || meet(c.writes, a.writes) || meet(c.writes, b.reads))
            return false;
        for (const std::uint32_t s : a.writes)
            if ((b.reads.contains(s) || c.reads.contains(s)) &&
                (in().slots[s].length != 1 || !is_plain(in().slots[s].dtype)))
                return false;
        // Values that cross.
        return std::ranges::all_of(p.nodes[0],
                                   [&](Id id) { return is_plain(in().node(id).dtype); }) &&
               std::ranges::all_of(p.nodes[1],
                                   [&](Id id) { return is_plain(in().node(id).dtype); });
    }

    // --- the new loops ---

    struct Crossing {
        std::set<Id> again, buffered;  // nodes of earlier parts that a part needs
    };

    /// Whether a later part may compute the node itself: it gives the same there.
    bool repeatable(Id id, const Parts& p) const {
        const Node& n = in().node(id);
        const auto stored = [&](std::uint32_t a) {
            return p.touched[0].stores.contains(a) || p.touched[2].stores.contains(a);
        };
        const auto written = [&](std::uint32_t s) {
            return p.touched[0].writes.contains(s) || p.touched[2].writes.contains(s);
        };
        if (!is_straight(n.kind) || (n.kind == NodeKind::op && is_elementary(n.op)) ||
            (n.kind == NodeKind::load && stored(n.aux)) ||
            (n.kind == NodeKind::read && written(n.aux)))
            return false;
        return std::ranges::all_of(in().operands_of(n), [&](Id x) {
            const bool inside = std::ranges::find(p.nodes[0], x) != p.nodes[0].end() ||
                                std::ranges::find(p.nodes[1], x) != p.nodes[1].end();
            return !inside || repeatable(x, p);
        });
    }

    /// What part `p` needs of the nodes before it.
    Crossing crossing(const Parts& parts, std::size_t p) const {
        Crossing c;
        const std::function<void(Id)> need = [&](Id id) {
            bool earlier = false;
            for (std::size_t q = 0; q < p; ++q)
                earlier = earlier || std::ranges::find(parts.nodes[q], id) != parts.nodes[q].end();
            if (!earlier) return;
            if (!repeatable(id, parts)) {
                c.buffered.insert(id);
            } else if (c.again.insert(id).second) {
                for (const Id x : in().operands_of(id)) need(x);
            }
        };
        for (const Id id : parts.nodes[p])
            for (const Id x : touched_by(in(), id).uses) need(x);
        return c;
    }

    Id op(Op o, Id a, Id b) {
        const Id operands[] = {a, b};
        return out().op(o, DType::i64, operands, 0);
    }

    /// Whether the blocks are as small as they can be, whatever the length of rows is.
    bool has_least_blocks(Id loop, Id row, const Groups* groups) const {
        const auto inside = [&](Id x) {
            const auto in_body = [&](Id of) {
                const auto& body = in().blocks[in().node(of).aux].nodes;
                return x == of || std::ranges::find(body, x) != body.end();
            };
            return in_body(loop) || (groups != nullptr && in_body(groups->loop));
        };
        return large_ || inside(in().operand(row, 0)) || inside(in().operand(row, 1));
    }

    /// Iterations of a block: a constant, or by the length of rows.
    Id block_size(Id loop, Id row, const Groups* groups) {
        const Id begin = in().operand(row, 0), end = in().operand(row, 1);
        const auto i64 = [&](std::int64_t x) { return out().constant_i64(x); };
        if (has_least_blocks(loop, row, groups)) return i64(least_block);
        const Id length = op(Op::maximum, op(Op::sub, mapped(end), mapped(begin)), i64(1));
        const Id rows = op(Op::div, i64(block_elements), length);
        return op(Op::minimum, op(Op::maximum, rows, i64(least_block)), i64(most_block));
    }

    std::uint32_t buffer(DType t) {
        return out().add_slot({fmt::format("block{}", out().kernel().slots.size()), t, most_block});
    }

    /// The buffers of values and variables that cross parts.
    struct Buffers {
        std::map<Id, std::uint32_t> values;
        std::map<std::uint32_t, std::uint32_t> slots;
    };

    /// The body of part `p`, in the loop over iterations that is open.
    void emit_part(Id loop, const Parts& parts, std::size_t p, const Crossing& needs,
                   const Buffers& to, Id block) {
        const Id position = op(Op::sub, mapped(loop), block);
        const auto around = of_slot_;
        if (p > 0)
            for (const auto& [slot, from] : to.slots) of_slot_[slot] = {from, position};
        for (std::size_t q = 0; q < p; ++q)
            for (const Id id : parts.nodes[q]) {
                out().set_location_index(in().node(id).loc);
                if (needs.buffered.contains(id))
                    set_mapped(id, out().read(to.values.at(id), position));
                else if (needs.again.contains(id))
                    set_mapped(id, clone(id));
            }
        for (const Id id : parts.nodes[p]) {
            out().set_location_index(in().node(id).loc);
            set_mapped(id, rewrite(id));
            if (const auto v = to.values.find(id); v != to.values.end())
                out().write(v->second, mapped(id), position);
        }
        if (p == 0)
            for (const auto& [slot, place] : to.slots)
                out().write(place, out().read(slot), position);
        of_slot_ = around;
    }

    /// Opens the loop over the groups of a block, or closes it behind what follows each.
    void begin_group(const Groups& groups, Id block, Id stop) {
        set_mapped(groups.loop,
                   out().begin_loop(block, stop, mapped(in().operand(groups.loop, 2))));
        for (const Id id : groups.before) set_mapped(id, rewrite(id));
    }
    void end_group(const Groups& groups) {
        for (const Id id : groups.after) {
            out().set_location_index(in().node(id).loc);
            set_mapped(id, rewrite(id));
        }
        out().end();
    }

    void emit(Id loop, const Parts& parts, const Groups* groups) {
        const Crossing needs[3] = {{}, crossing(parts, 1), crossing(parts, 2)};
        Buffers buffers;
        for (const std::size_t p : {1U, 2U}) {
            for (const Id id : needs[p].buffered)
                if (!buffers.values.contains(id)) buffers.values[id] = buffer(in().node(id).dtype);
            for (const std::uint32_t s : parts.touched[p].reads)
                if (parts.touched[0].writes.contains(s) && !buffers.slots.contains(s))
                    buffers.slots[s] = buffer(in().slots[s].dtype);
        }
        const Id outer = groups == nullptr ? loop : groups->loop;
        const Id begin = mapped(in().operand(outer, 0)), end = mapped(in().operand(outer, 1));
        const Id one = out().constant_i64(1);
        Id size = block_size(loop, parts.row, groups);
        if (groups != nullptr) {  // whole groups
            const Id group = mapped(in().operand(outer, 2));
            size = op(Op::mul, op(Op::maximum, op(Op::div, size, group), one), group);
        }
        const Id block = out().begin_loop(begin, end, size);
        const Id stop = op(Op::add, block, op(Op::minimum, size, op(Op::sub, end, block)));
        for (std::size_t p = 0; p < 3; ++p) {
            if (parts.nodes[p].empty()) continue;
            out().set_location_index(in().node(loop).loc);
            const bool by_groups = p == 2 && groups != nullptr;
            if (by_groups) {
                begin_group(*groups, block, stop);
                set_mapped(loop,
                           out().begin_loop(mapped(outer), mapped(in().operand(loop, 1)), one));
            } else {
                set_mapped(loop, out().begin_loop(block, stop, one));
            }
            emit_part(loop, parts, p, needs[p], buffers, block);
            out().end();
            if (by_groups) end_group(*groups);
        }
        out().end();
    }

    bool large_;
    Decisions& decisions_;
    struct Element {
        std::uint32_t buffer;
        Id position;
    };
    std::map<std::uint32_t, Element>
        of_slot_;  // where reads of variables find what the first part left
};

}  // namespace

ir::Kernel run_distribute(const ir::Kernel& kernel, PassContext& context) {
    const bool any = std::ranges::any_of(
        kernel.nodes, [](const Node& n) { return n.kind == NodeKind::op && is_elementary(n.op); });
    return any ? Distribute(kernel, context.options, context.decisions).run() : kernel;
}

}  // namespace kiln::codegen
