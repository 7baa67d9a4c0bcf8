#include "dsl/trace/replay.h"

#include <fmt/format.h>

namespace kiln::dsl {

using ir::Id;
using ir::NodeKind;

DType fitting(const ir::Builder& b, Id given, DType to, std::string_view name,
              std::string_view function, const Location& where, std::string_view hint) {
    const DType from = b.dtype(given);
    const ir::Node& n = b.node(given);
    const bool one_number = n.weak || n.kind == NodeKind::param;
    if (can_cast(from, to, one_number ? Casting::same_kind : Casting::safe)) return to;
    if (one_number && is_integer(from) && is_integer(to)) return to;
    throw Error(ErrorKind::type,
                fmt::format("{} is {}, but parameter {} of {} is {}",
                            n.kind == NodeKind::param ? "an argument" : "an array",
                            kiln::name(from), name, function, kiln::name(to)),
                where, std::string(hint));
}

namespace {

class Replay {
  public:
    Replay(const ir::Kernel& body, std::span<const Replaced> arguments, Trace& trace)
        : body_(body),
          arguments_(arguments),
          trace_(trace),
          b_(trace.builder()),
          map_(body.nodes.size(), ir::none),
          results_(body.params.size() - arguments.size(), ir::none) {
        for (const ir::Slot& s : body.slots) slots_.push_back(b_.add_slot(s));
    }
    std::vector<Id> run() {
        block(body_.stages.front().body);
        return std::move(results_);
    }

  private:
    void block(Id id) {
        for (const Id node : body_.blocks[id].nodes) {
            if (const Location where = body_.location(body_.nodes[node].loc); where.line != 0)
                b_.set_location(where);
            map_[node] = make(node);
        }
    }
    Id mapped(Id old) {
        if (map_[old] == ir::none) map_[old] = make(old);
        return map_[old];
    }
    const Replaced& argument(std::uint32_t param) const { return arguments_[param]; }
    Id loaded(const ir::Node& n, std::span<const Id> subscripts) {
        const Replaced& a = argument(n.aux);
        if (!a.is_array) return a.value;
        return b_.load(a.param, trace_.subscripts_of(a.param, subscripts));
    }
    void stored(const ir::Node& n, std::span<const Id> operands) {
        const Id value = operands.back();
        if (n.aux >= arguments_.size()) {
            results_[n.aux - arguments_.size()] = value;
            return;
        }
        const std::uint32_t param = argument(n.aux).param;
        const auto at = trace_.subscripts_of(param, operands.first(operands.size() - 1));
        b_.store(param, at, value);
        trace_.note_written(param, at);
    }
    Id loop(Id old, const ir::Node& n, std::span<const Id> operands) {
        const ir::ParallelLoop* parallel = body_.parallel(n);
        const Id index =
            parallel != nullptr
                ? b_.begin_parallel_loop(operands[0], operands[1], operands[2], *parallel, n.fast)
                : b_.begin_loop(operands[0], operands[1], operands[2], n.fast);
        map_[old] = index;
        block(n.aux);
        b_.end();
        return index;
    }
    Id branch(const ir::Node& n, Id condition) {
        b_.begin_branch(condition);
        block(n.aux);
        if (n.aux2 != ir::none) {
            b_.begin_else();
            block(n.aux2);
        }
        b_.end();
        return ir::none;
    }
    Id while_(Id old, const ir::Node& n) {
        b_.begin_while_condition();
        block(n.aux);
        b_.begin_while_body(mapped(body_.operand(old, 0)));
        block(n.aux2);
        b_.end();
        return ir::none;
    }
    void check(const ir::Node& n, std::span<const Id> operands) {
        const auto lists = operands.subspan(1);
        const auto first = static_cast<std::size_t>(n.imm);
        b_.check(ir::Check(n.aux), operands[0], lists.first(first), lists.subspan(first));
    }
    Id make(Id old) {
        const ir::Node n = body_.nodes[old];
        std::vector<Id> operands;
        // Elements of a map are what the map is given; the operand of a while is computed in it.
        const bool given = n.kind == NodeKind::load && !argument(n.aux).is_array;
        const bool gives = n.kind == NodeKind::store && n.aux >= arguments_.size();
        const auto all = body_.operands_of(n);
        if (gives)
            operands.push_back(mapped(all.back()));
        else if (!given && n.kind != NodeKind::loop_while)
            for (const Id operand : all) operands.push_back(mapped(operand));
        switch (n.kind) {
            case NodeKind::constant: {
                Scalar value = body_.constant(old);
                value.weak = n.weak;
                return b_.constant(value);
            }
            case NodeKind::param: return argument(n.aux).value;
            case NodeKind::extent: return trace_.extent(argument(n.aux).param, n.aux2);
            case NodeKind::op:
                return b_.op(n.op, n.dtype, operands,
                             static_cast<std::uint8_t>(n.fast & b_.fast_flags()), n.weak);
            case NodeKind::cast: return b_.convert(operands[0], n.dtype, n.weak);
            case NodeKind::load: return loaded(n, operands);
            case NodeKind::read:
                return b_.read(slots_[n.aux], operands.empty() ? ir::none : operands[0]);
            case NodeKind::store: stored(n, operands); return ir::none;
            case NodeKind::write:
                b_.write(slots_[n.aux], operands.back(),
                         operands.size() == 2 ? operands[0] : ir::none);
                return ir::none;
            case NodeKind::atomic: {
                const std::uint32_t param = argument(n.aux).param;
                const std::span<const Id> seen(operands.data(), operands.size() - 1);
                const auto at = trace_.subscripts_of(param, seen);
                const Id before = b_.atomic(ir::Reduction(n.aux2), param, at, operands.back());
                trace_.note_written(param, at);
                return before;
            }
            case NodeKind::check: check(n, operands); return ir::none;
            case NodeKind::branch: return branch(n, operands[0]);
            case NodeKind::loop: return loop(old, n, operands);
            case NodeKind::loop_while: return while_(old, n);
            case NodeKind::break_:
            case NodeKind::continue_: b_.bare(n.kind); return ir::none;
            case NodeKind::index:
            case NodeKind::place:
            case NodeKind::exchange:
            case NodeKind::threads:
            case NodeKind::call_pure:
            case NodeKind::call:
            case NodeKind::contribute:
            case NodeKind::launch:
            case NodeKind::return_:
            case NodeKind::whole:
            case NodeKind::fold:
            case NodeKind::permute:
            case NodeKind::assign:
            case NodeKind::allocate: break;
        }
        throw Error(ErrorKind::internal,
                    fmt::format("a function's body has node {}", info(n.kind).word));
    }

    const ir::Kernel& body_;
    std::span<const Replaced> arguments_;
    Trace& trace_;
    ir::Builder& b_;
    std::vector<Id> map_, results_;
    std::vector<std::uint32_t> slots_;
};

}  // namespace

std::vector<Id> replay(const ir::Kernel& body, std::span<const Replaced> arguments, Trace& trace) {
    return Replay(body, arguments, trace).run();
}

}  // namespace kiln::dsl
