#include "codegen/passes/updates.h"

namespace kiln::codegen {

using namespace ir;

std::optional<Update> update_of(const Kernel& kernel, Id write, Id written) {
    const std::uint32_t slot = kernel.nodes[write].aux;
    const Id id = kernel.operands_of(write).back();
    const Node& n = kernel.nodes[id];
    if (n.kind != NodeKind::op || n.operand_count != 2 || n.dtype != kernel.slots[slot].dtype)
        return std::nullopt;
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
        case Op::minimum: return as(Reduction::min);
        case Op::maximum: return as(Reduction::max);
        case Op::bit_and: return as(Reduction::all_bits);
        case Op::bit_or: return as(Reduction::any_bit);
        case Op::bit_xor: return as(Reduction::parity);
        case Op::logical_and: return as(Reduction::all);
        case Op::logical_or: return as(Reduction::any);
        default: return std::nullopt;
    }
}

}  // namespace kiln::codegen
