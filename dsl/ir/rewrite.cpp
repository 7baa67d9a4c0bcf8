#include "dsl/ir/rewrite.h"

#include "dsl/ir/combines.h"

#include <cassert>

namespace kiln::ir {

void Rewriter::declare() {
    for (const Param& p : in_.params) out_.add_param(p);
    for (const Slot& s : in_.slots) out_.add_slot(s);
}

void Rewriter::begin() {
    map_.assign(in_.nodes.size(), none);
    kernels_.assign(in_.outlined.size(), none);
    out_.set_form(in_.form, in_.scan);
    out_.set_lanes(in_.lanes);
    out_.copy_location_tables(in_);
    for (const HostFunction& f : in_.functions) out_.add_function(f);
    declare();
    out_.copy_combines(in_);
}

Kernel Rewriter::run() {
    begin();
    if (in_.prologue != none) {
        out_.begin_prologue();
        clone_block(in_.prologue);
        out_.end();
    }
    for (const Stage& stage : in_.stages) {
        // All of its fields: with a new one, this does not compile.
        const auto& [old_extents, body, reductions, parallel, loc] = stage;
        std::vector<Id> extents;
        for (const Id extent : old_extents) extents.push_back(mapped(extent));
        out_.set_location_index(loc);
        out_.begin_stage(extents, parallel);
        std::vector<StageReduction> made;
        for (const StageReduction& r : reductions) map_reduction(r, made);
        for (const StageReduction& r : made) out_.add_reduction(r);
        enter_stage();
        clone_block(body);
        out_.end();
    }
    return out_.finish();
}

void Rewriter::clone_block(Id block) {
    for (const Id id : in_.blocks[block].nodes) {
        out_.set_location_index(in_.nodes[id].loc);
        const Id value = rewrite(id);
        if (map_[id] == none) map_[id] = value;
    }
}

Id Rewriter::mapped(Id old) {
    if (map_[old] == none) {
        assert(is_leaf(in_.nodes[old].kind));
        map_[old] = clone(old);
    }
    return map_[old];
}

Id Rewriter::clone(Id old) {
    const Node& n = in_.nodes[old];
    std::vector<Id> operands;
    if (n.kind != NodeKind::loop_while)  // its operand belongs to the condition's block
        for (const Id operand : in_.operands_of(n)) operands.push_back(mapped(operand));
    const auto subscripts = [&] {
        return std::span<const Id>(operands.data(), operands.size() - 1);
    };
    const auto keep_tree = [&](Id made) {
        if (const Tree* tree = in_.tree(n)) out_.set_tree(made, *tree);
    };
    switch (n.kind) {
        case NodeKind::constant: {
            Scalar s = in_.constant(old);
            s.weak = n.weak;
            return out_.constant(s);
        }
        case NodeKind::param: return out_.param(n.aux);
        case NodeKind::extent: return out_.extent(n.aux, n.aux2);
        case NodeKind::index: return out_.index(n.aux);
        case NodeKind::op: return out_.op(n.op, n.dtype, operands, n.fast, n.weak);
        case NodeKind::cast: return out_.convert(operands[0], n.dtype, n.weak);
        case NodeKind::load: return out_.load(n.aux, operands);
        case NodeKind::read: return out_.read(n.aux, operands.empty() ? none : operands[0]);
        case NodeKind::store: out_.store(n.aux, subscripts(), operands.back()); return none;
        case NodeKind::write:
            out_.write(n.aux, operands.back(), operands.size() == 2 ? operands[0] : none,
                       combine_of(n));
            return none;
        case NodeKind::atomic:
            return out_.atomic(Reduction(n.aux2), n.aux, subscripts(), operands.back());
        case NodeKind::place: return out_.place(Simt(n.aux));
        case NodeKind::threads: return out_.threads(Simt(n.aux), operands);
        case NodeKind::exchange: {
            const std::size_t values = 1 + n.aux2;
            const auto at = std::span<const Id>(operands).first(operands.size() - values);
            return out_.exchange(n.aux, at, n.aux2 == 0 ? none : operands[operands.size() - 2],
                                 operands.back());
        }
        case NodeKind::call_pure:
        case NodeKind::call: return out_.call(n.aux, operands);
        case NodeKind::contribute: out_.contribute(n.aux, operands[0]); return none;
        case NodeKind::check: {
            const std::span<const Id> shapes(operands.data() + 1, operands.size() - 1);
            out_.check(Check(n.aux), operands[0], shapes.first(n.imm), shapes.subspan(n.imm),
                       n.aux2);
            return none;
        }
        case NodeKind::branch:
            out_.begin_branch(operands[0]);
            clone_block(n.aux);
            if (n.aux2 != none) {
                out_.begin_else();
                clone_block(n.aux2);
            }
            out_.end();
            return none;
        case NodeKind::loop:
            if (const ParallelLoop* p = in_.parallel(n)) {
                ParallelLoop copy = *p;
                copy.reductions.clear();
                for (const StageReduction& r : p->reductions) map_reduction(r, copy.reductions);
                map_[old] = out_.begin_parallel_loop(operands[0], operands[1], operands[2],
                                                     std::move(copy), n.fast);
            } else {
                map_[old] = out_.begin_loop(operands[0], operands[1], operands[2], n.fast);
            }
            keep_tree(map_[old]);
            clone_block(n.aux);
            out_.end();
            return map_[old];
        case NodeKind::launch: {
            Launch l = in_.launches[n.aux];
            std::uint32_t& kernel = kernels_[l.kernel];
            if (kernel == none) kernel = out_.add_outlined(in_.outlined[l.kernel]);
            l.kernel = kernel;
            const ParallelLoop* p = in_.parallel(n);
            if (n.aux2 == none) {
                keep_tree(out_.launch(std::move(l), p, operands));
                return none;
            }
            keep_tree(out_.begin_streamed_launch(std::move(l), p, operands));
            clone_block(n.aux2);
            out_.end();
            return none;
        }
        case NodeKind::loop_while:
            out_.begin_while_condition();
            clone_block(n.aux);
            out_.begin_while_body(mapped(in_.operand(old, 0)));
            clone_block(n.aux2);
            out_.end();
            return none;
        case NodeKind::break_:
        case NodeKind::continue_:
        case NodeKind::return_: out_.bare(n.kind); return none;
        case NodeKind::whole: return out_.whole(n.aux, operands, n.imm);
        case NodeKind::fold: return out_.fold(Reduction(n.aux), operands[0], n.imm);
        case NodeKind::permute: {
            std::vector<std::uint64_t> axes;
            for (unsigned d = 0; d < n.rank; ++d) axes.push_back(n.imm >> (4 * d) & 15);
            return out_.permute(operands[0], axes);
        }
        case NodeKind::assign:
            out_.assign(n.aux, subscripts(), n.imm, operands.back());
            return none;
        case NodeKind::allocate: out_.allocate(n.aux, operands, n.imm != 0); return none;
    }
    __builtin_unreachable();
}

}  // namespace kiln::ir
