#include "codegen/analysis/updates.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

namespace kiln::codegen {

using namespace ir;

std::optional<Update> update_of(const Kernel& kernel, Id write, Id written) {
    const std::uint32_t slot = kernel.nodes[write].aux;
    const Id id = kernel.operands_of(write).back();
    const Node& n = kernel.nodes[id];
    if (n.kind != NodeKind::op || n.operand_count != 2) return std::nullopt;
    const auto is_read = [&](Id x) {
        return x == written ||
               (kernel.nodes[x].kind == NodeKind::read && kernel.nodes[x].aux == slot);
    };
    const Id a = kernel.operand(id, 0), b = kernel.operand(id, 1);
    const bool first = is_read(a), second = is_read(b);
    if (first == second) return std::nullopt;
    const bool integer = is_integer(n.dtype) || is_bool(n.dtype);
    const auto as = [&](Reduction r) { return Update{r, id, first ? a : b, first ? b : a, false}; };
    const auto inverse_of = [&](Reduction r) -> std::optional<Update> {
        if (!first) return std::nullopt;
        return Update{r, id, a, b, true};
    };
    switch (n.op) {
        case Op::add: return as(Reduction::sum);
        case Op::sub: return inverse_of(Reduction::sum);
        case Op::mul:
            if (is_complex(n.dtype)) return std::nullopt;
            return as(Reduction::product);
        case Op::div:
        case Op::true_divide:
            if (integer || is_complex(n.dtype)) return std::nullopt;
            return inverse_of(Reduction::product);
        case Op::minimum:
        case Op::maximum:
            if (!accumulates_by_itself(Reduction::max, n.dtype)) return std::nullopt;
            return as(n.op == Op::minimum ? Reduction::min : Reduction::max);
        case Op::bit_and: return as(Reduction::all_bits);
        case Op::bit_or: return as(Reduction::any_bit);
        case Op::bit_xor: return as(Reduction::parity);
        case Op::logical_and: return as(Reduction::all);
        case Op::logical_or: return as(Reduction::any);
        default: return std::nullopt;
    }
}

bool is_total(const Slot& slot) {
    return slot.name.size() > 1 && slot.name[0] == 'r' && slot.name[1] >= '0' &&
           slot.name[1] <= '9';
}
std::string total_name(std::size_t number) { return fmt::format("r{}", number); }

namespace {

bool is_promised(const Kernel& kernel, std::uint32_t slot) {
    const Slot& s = kernel.slots[slot];
    if (!is_real(s.dtype) && !is_complex(s.dtype)) return false;
    return is_total(s) || std::ranges::any_of(kernel.parallel_loops, [&](const ParallelLoop& p) {
               return std::ranges::any_of(p.reductions, [&](const StageReduction& r) {
                   return r.target == slot && r.combine == none;
               });
           });
}

/// Finds what a loop's body does with the variables of sums: the values that are one of them plus
/// something are of use to its writes, and to such sums, alone.
class SumFinder {
  public:
    explicit SumFinder(const Kernel& kernel) : k_(kernel) {}

    std::vector<std::uint32_t> find(Id loop) {
        blocks(loop);
        std::vector<std::uint32_t> result;
        for (const auto& [slot, other] : others_)
            if (!other && is_promised(k_, slot)) result.push_back(slot);
        return result;
    }

  private:
    using Slots = std::set<std::uint32_t>;

    /// The variables of which the value is one plus something else.
    Slots of(Id value) const {
        const auto sum = sum_.find(value);
        return sum == sum_.end() ? Slots{} : sum->second;
    }
    void use(Id value) {
        for (const std::uint32_t slot : of(value)) others_[slot] = true;
    }

    void block(Id b) {
        for (const Id id : k_.blocks[b].nodes) {
            node(id);
            blocks(id);
        }
    }
    void blocks(Id id) {
        for (const Id b : blocks_of(k_.nodes[id])) block(b);
    }

    /// What an outlined kernel sums is added; anything else that it gives is no sum.
    void launched(const Launch& launch) {
        for (const Argument& a : launch.arguments) {
            if (!a.has_slot()) continue;
            bool& other = others_[a.target];
            other = other || a.kind != Argument::Kind::total || a.reduction != Reduction::sum;
        }
    }

    void node(Id id) {
        const Node& n = k_.nodes[id];
        if (n.kind == NodeKind::launch) launched(k_.launches[n.aux]);
        if (n.kind == NodeKind::read && n.operand_count == 0) {
            sum_[id] = {n.aux};
            return;
        }
        if (n.kind == NodeKind::op && (n.op == Op::add || n.op == Op::sub) &&
            (n.fast & fast::reassoc) != 0) {
            Slots first = of(k_.operand(id, 0)), second = of(k_.operand(id, 1));
            Slots both, either;
            std::ranges::set_intersection(first, second, std::inserter(both, both.end()));
            if (n.op == Op::sub) {
                for (const std::uint32_t slot : second) others_[slot] = true;
                second.clear();
            }
            std::ranges::set_union(first, second, std::inserter(either, either.end()));
            for (const std::uint32_t slot : both) {
                others_[slot] = true;
                either.erase(slot);
            }
            sum_[id] = std::move(either);
            return;
        }
        if (n.kind == NodeKind::write && n.operand_count == 1) {
            const Slots from = of(k_.operand(id, 0));
            bool& other = others_[n.aux];
            other = other || !from.contains(n.aux);
            for (const std::uint32_t slot : from)
                if (slot != n.aux) others_[slot] = true;
            return;
        }
        for (const Id operand : k_.operands_of(id)) use(operand);
    }

    const Kernel& k_;
    std::map<Id, Slots> sum_;
    /// Variables that are written: whether anything else than adding happens to them.
    std::map<std::uint32_t, bool> others_;
};

}  // namespace

std::vector<std::uint32_t> tree_sums(const Kernel& kernel, Id loop) {
    return SumFinder(kernel).find(loop);
}

}  // namespace kiln::codegen
