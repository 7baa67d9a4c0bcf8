// Whole-array statements become loops:
//
//     %1 = whole f64[2] a
//     %2 = whole f64[1] b                        check shapes 2, %same, ...
//     %3 = add f64[2] %1, %2            ->       for %7 = 0 to extent(a, 0) step 1 parallel {
//     assign c, %3                                 for %8 = 0 to extent(a, 1) step 1 {
//                                                    store c[%7, %8], add(a[%7, %8], b[%8])
//
//  - An assignment is a nest of loops over its target, in row-major order, the outermost parallel.
//    It needs no temporary where it reads its target, if at all, at the element that it writes.
//  - A reduction to a scalar accumulates into a variable in parallel loops; one over inner axes
//    into a variable per element of the result; one over the outermost axis into the result's
//    elements (ParallelLoop::arrays). Results that are arrays are temporaries.
//  - Other values are computed where they are consumed, unless ArrayPlan says otherwise; what does
//    not depend on inner loops stands before them.
//  - Extents that meet are equal, which a check makes sure of before the statement runs, or 1 by
//    what is known here. Those that a check has made equal are one value from there on, so that
//    loops over them have one domain.
// Inside a parallel loop nests are serial, and temporaries are the iteration's own.
#include "codegen/analysis/array_plan.h"
#include "codegen/analysis/updates.h"
#include "codegen/passes/pass.h"
#include "codegen/trees.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>
#include <functional>
#include <map>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;
using Ids = std::vector<Id>;

class LowerArrays final : public Rewriter {
  public:
    LowerArrays(const Kernel& kernel, const ArrayPlan& plan, PassContext& context)
        : Rewriter(kernel), plan_(plan), options_(context.options), decisions_(context.decisions) {}

  private:
    struct Temporary {
        std::uint32_t param;
        Ids extents;
    };
    /// From node `since` on, in blocks that are open then: `from` is `to`.
    struct Equality {
        Id since, from, to;
    };

    void declare() override {
        Rewriter::declare();
        zero_ = out().constant_i64(0);
        one_ = out().constant_i64(1);
        for (Id id = 0; id < in().nodes.size(); ++id) {
            const Node& n = in().nodes[id];
            if (n.kind == NodeKind::extent && n.aux < options_.unit_extents.size() &&
                (options_.unit_extents[n.aux] >> n.aux2 & 1) != 0)
                set_mapped(id, one_);
        }
    }

    Id rewrite(Id old) override {
        const Node& n = in().nodes[old];
        if (n.kind == NodeKind::fold) return rewrite_fold(old, n);
        if (n.rank != 0) {
            const bool keeps = n.kind == NodeKind::whole || n.kind == NodeKind::op;
            if (keeps && plan_.stored(old)) keep(old);
            return none;
        }
        if (n.kind == NodeKind::whole)
            return out().load(n.aux, subscripts(old, n.operand_count, {}));
        if (n.kind == NodeKind::op && n.dtype == DType::i64) {
            Ids operands;
            for (const Id x : in().operands_of(old)) operands.push_back(same(mapped(x)));
            return out().op(n.op, n.dtype, operands, n.fast, n.weak);
        }
        if (n.kind == NodeKind::cast && out().dtype(mapped(in().operand(old, 0))) == DType::i64)
            return out().convert(same(mapped(in().operand(old, 0))), n.dtype, n.weak);
        if (n.kind == NodeKind::loop) return rewrite_loop(old, n);
        if (n.kind == NodeKind::assign) {
            assign(old);
            return none;
        }
        if (n.kind == NodeKind::allocate) {
            allocate(old);
            return none;
        }
        const Id made = clone(old);
        if (n.kind == NodeKind::check && static_cast<Check>(n.aux) == Check::shapes) learn(old);
        return made;
    }

    Id rewrite_fold(Id old, const Node& n) {
        begin_statement();
        if (n.rank == 0) return fold_to_scalar(old);
        if (!plan_.in_place(old)) fold_to_array(old);
        return none;
    }

    /// What a check of shapes compares is equal from here on.
    void learn(Id check) {
        const Node& ok = in().nodes[in().operand(check, 0)];
        if (ok.op == Op::eq)
            make_equal(mapped(in().operands_of(ok)[1]), mapped(in().operands_of(ok)[0]));
    }

    void begin_statement() {
        shapes_.clear();
        elements_.clear();
    }

    Id rewrite_loop(Id old, const Node& n) {
        Id bounds[3];
        for (std::size_t i = 0; i < 3; ++i) bounds[i] = same(mapped(in().operand(old, i)));
        const ParallelLoop* p = in().parallel(n);
        const Id made = p != nullptr
                            ? out().begin_parallel_loop(bounds[0], bounds[1], bounds[2], *p)
                            : out().begin_loop(bounds[0], bounds[1], bounds[2]);
        set_mapped(old, made);
        clone_block(n.aux);
        out().end();
        return made;
    }

    // --- extents ---

    bool is_one(Id extent) const { return extent == one_; }

    /// The value that stands for all that are equal to this one here.
    Id same(Id id) {
        for (bool changed = true; changed;) {
            changed = false;
            for (const Equality& e : equal_) {
                if (e.from != id || !out().visible(e.since)) continue;
                id = e.to;
                changed = true;
                break;
            }
        }
        return id;
    }
    void make_equal(Id from, Id to) {
        from = same(from);
        to = same(to);
        if (out().node(from).kind == NodeKind::constant) std::swap(from, to);
        if (from != to) equal_.push_back({out().current_block().nodes.back(), from, to});
    }

    /// The extents of two values that meet; of `a` alone where b has to fit `into` it.
    Ids meet(const Ids& a, const Ids& b, std::uint32_t loc, bool into = false) {
        Ids result = a;
        if (b.size() > a.size()) result.insert(result.begin(), b.size() - a.size(), one_);
        const std::size_t skipped = result.size() - b.size();
        std::vector<std::pair<Id, Id>> wanted;
        for (std::size_t d = 0; d < b.size(); ++d) {
            Id& x = result[skipped + d];
            x = same(x);
            const Id y = same(b[d]);
            if (x == y || is_one(y)) continue;
            if (is_one(x) && !into)
                x = y;
            else
                wanted.emplace_back(x, y);
        }
        if (wanted.empty()) return result;
        out().set_location_index(loc);
        Id ok = none;
        for (const auto& [x, y] : wanted) {
            const Id equal = out().op(Op::eq, DType::bool_, std::initializer_list<Id>{x, y});
            ok = ok == none ? equal
                            : out().op(Op::logical_and, DType::bool_,
                                       std::initializer_list<Id>{ok, equal});
        }
        out().check(Check::shapes, ok, a, b);
        for (const auto& [x, y] : wanted) make_equal(y, x);
        for (Id& x : result) x = same(x);
        return result;
    }

    Ids slice_shape(Id old, std::size_t slice) {
        const Node& n = in().nodes[old];
        Ids shape;
        for (std::uint32_t d = 0; d < in().params[n.aux].rank; ++d) {
            if ((n.imm >> d & 1) != 0) continue;
            const bool unit = n.aux < options_.unit_extents.size() &&
                              (options_.unit_extents[n.aux] >> d & 1) != 0;
            shape.push_back(slice != 0 ? same(mapped(in().operand(old, 3 * d + 2)))
                            : unit     ? one_
                                       : same(out().extent(n.aux, d)));
        }
        return shape;
    }

    /// The extents of a value; makes the checks that they need.
    const Ids& shape(Id old) {
        if (const auto known = shapes_.find(old); known != shapes_.end()) return known->second;
        const Node& n = in().nodes[old];
        Ids made;
        if (const auto t = temporaries_.find(old); t != temporaries_.end()) {
            made = t->second.extents;
        } else if (n.kind == NodeKind::whole) {
            made = slice_shape(old, n.operand_count);
        } else if (n.kind == NodeKind::permute) {
            const Ids from = shape(in().operand(old, 0));
            for (unsigned d = 0; d < n.rank; ++d) {
                const std::uint64_t axis = n.imm >> (4 * d) & 15;
                made.push_back(axis == new_axis ? one_ : from[axis]);
            }
        } else if (n.kind == NodeKind::fold) {
            const Ids from = shape(in().operand(old, 0));
            for (std::size_t d = 0; d < from.size(); ++d)
                if ((n.imm >> d & 1) == 0) made.push_back(from[d]);
        } else if (n.rank != 0) {
            bool first = true;
            for (const Id operand : in().operands_of(old)) {
                if (in().nodes[operand].rank == 0) continue;
                made = first ? shape(operand) : meet(made, shape(operand), n.loc);
                first = false;
            }
        }
        for (Id& extent : made) extent = same(extent);
        return shapes_[old] = std::move(made);
    }

    // --- elements ---

    Id add(Id a, Id b) {
        if (a == zero_) return b;
        if (b == zero_) return a;
        return out().op(Op::add, DType::i64, std::initializer_list<Id>{a, b});
    }
    Id mul(Id a, Id b) {
        if (b == one_) return a;
        if (a == zero_) return zero_;
        return out().op(Op::mul, DType::i64, std::initializer_list<Id>{a, b});
    }

    /// Subscripts of element `at` of the slice that a whole or assign names.
    Ids subscripts(Id old, std::size_t slice, const Ids& at) {
        const Node& n = in().nodes[old];
        if (slice == 0) return at;
        Ids result;
        for (std::size_t d = 0, i = 0; d < in().params[n.aux].rank; ++d) {
            const Id start = mapped(in().operand(old, 3 * d));
            if ((n.imm >> d & 1) != 0)
                result.push_back(start);
            else
                result.push_back(add(mul(at[i++], mapped(in().operand(old, 3 * d + 1))), start));
        }
        return result;
    }

    /// Which element of `value` broadcasting puts at `at`; none stands for what is not known yet.
    Ids narrowed(Id value, const Ids& at) {
        const Ids& extents = shape(value);
        const std::size_t more = extents.size() - std::min(extents.size(), at.size());
        Ids result(more, zero_);  // of leading axes that a target lacks
        result.insert(result.end(), at.end() - static_cast<std::ptrdiff_t>(extents.size() - more),
                      at.end());
        for (std::size_t d = 0; d < extents.size(); ++d)
            if (is_one(extents[d])) result[d] = zero_;
        return result;
    }
    Ids before_permute(const Node& n, const Ids& at) {
        Ids result(in().nodes[in().operands_of(n)[0]].rank, none);
        for (unsigned d = 0; d < n.rank; ++d)
            if (const std::uint64_t axis = n.imm >> (4 * d) & 15; axis != new_axis)
                result[axis] = at[d];
        return result;
    }

    Id element(Id old, const Ids& at) {
        const Node& n = in().nodes[old];
        if (n.rank == 0) return mapped(old);
        if (const auto known = elements_.find({old, at});
            known != elements_.end() && out().visible(known->second))
            return known->second;
        return elements_[{old, at}] = make_element(old, n, at);
    }

    Id make_element(Id old, const Node& n, const Ids& at) {
        if (const auto t = temporaries_.find(old); t != temporaries_.end()) {
            out().set_location_index(n.loc);
            return out().load(t->second.param, at);
        }
        if (n.kind == NodeKind::whole) {
            out().set_location_index(n.loc);
            return out().load(n.aux, subscripts(old, n.operand_count, at));
        }
        if (n.kind == NodeKind::permute)
            return element(in().operand(old, 0), before_permute(n, at));
        if (n.kind == NodeKind::fold) return fold_element(old, n, at);
        Ids operands;
        for (const Id x : in().operands_of(old))
            operands.push_back(in().nodes[x].rank == 0 ? mapped(x) : element(x, narrowed(x, at)));
        out().set_location_index(n.loc);
        if (n.kind == NodeKind::cast) return out().convert(operands[0], n.dtype, n.weak);
        return out().op(n.op, n.dtype, operands, n.fast, n.weak);
    }

    /// Makes what of element `at` does not depend on loops that are not open yet.
    void hoist(Id old, const Ids& at) {
        const Node& n = in().nodes[old];
        if (n.rank == 0) return;
        const bool known = std::ranges::find(at, none) == at.end();
        if (known) {
            element(old, at);
            return;
        }
        if (temporaries_.contains(old)) return;
        if (n.kind == NodeKind::permute) return hoist(in().operand(old, 0), before_permute(n, at));
        if (n.kind != NodeKind::op && n.kind != NodeKind::cast) return;
        for (const Id x : in().operands_of(old))
            if (in().nodes[x].rank != 0) hoist(x, narrowed(x, at));
    }

    // --- loops ---

    using Body = std::function<void()>;

    /// Loops over `axes`, outermost first; at[axis] is set in the body. `value`: what the body
    /// computes at `at`.
    void nest(std::span<const std::size_t> axes, const Ids& extents, Ids& at, Id value,
              bool parallel, const Body& body) {
        if (axes.empty()) {
            body();
            return;
        }
        const std::size_t axis = axes[0];
        if (is_one(extents[axis])) {
            at[axis] = zero_;
            nest(axes.subspan(1), extents, at, value, parallel, body);
            return;
        }
        if (value != none) hoist(value, narrowed(value, at));
        at[axis] = parallel && !out().in_parallel_loop()
                       ? out().begin_parallel_loop(zero_, extents[axis], one_, {})
                       : out().begin_loop(zero_, extents[axis], one_);
        nest(axes.subspan(1), extents, at, value, false, body);
        out().end();
        at[axis] = none;
    }

    static std::vector<std::size_t> all_axes(std::size_t rank) {
        std::vector<std::size_t> axes(rank);
        for (std::size_t d = 0; d < rank; ++d) axes[d] = d;
        return axes;
    }

    // --- statements ---

    std::uint32_t make_array(DType dtype, const Ids& extents, std::uint32_t loc) {
        const std::uint32_t param =
            out().add_param({.name = fmt::format("t{}", out().kernel().params.size()),
                             .dtype = dtype,
                             .rank = static_cast<std::uint8_t>(extents.size()),
                             .access = Access::local,
                             .layout = Layout::unit});
        out().set_location_index(loc);
        out().allocate(param, extents);
        remember(param, extents);
        return param;
    }
    void remember(std::uint32_t param, const Ids& extents) {
        for (std::uint32_t d = 0; d < extents.size(); ++d)
            make_equal(out().extent(param, d), extents[d]);
    }

    /// Stores the value to a temporary, which stands for it from here on.
    void keep(Id old) {
        begin_statement();
        const Ids extents = shape(old);
        const std::uint32_t loc = in().nodes[old].loc;
        const std::uint32_t param = make_array(in().nodes[old].dtype, extents, loc);
        Ids at(extents.size(), none);
        nest(all_axes(extents.size()), extents, at, old, true, [&] {
            const Id value = element(old, at);
            out().set_location_index(loc);
            out().store(param, at, value);
        });
        temporaries_[old] = {param, extents};
        decisions_.done(DecisionKind::temporary, in().location(loc),
                        in().nodes[old].kind == NodeKind::whole
                            ? "a copy of an array, which is stored to before its elements are used"
                            : "a value that is used more than once, or stored over its own "
                              "operands, is computed once, into a temporary array");
        begin_statement();
    }

    void allocate(Id old) {
        const Node& n = in().nodes[old];
        Ids extents;
        if (n.operand_count == 1 && in().nodes[in().operand(old, 0)].rank > 0) {
            begin_statement();
            extents = shape(in().operand(old, 0));
        } else {
            for (const Id x : in().operands_of(old)) extents.push_back(same(mapped(x)));
        }
        out().set_location_index(n.loc);
        out().allocate(n.aux, extents);
        remember(n.aux, extents);
        const std::string_view name = in().params[n.aux].name;
        const std::string_view function = name.substr(0, name.find_first_of("0123456789"));
        if (function == "s" || function == "shared") return;  // which the user asked for
        decisions_.done(DecisionKind::temporary, in().location(n.loc),
                        fmt::format("{} computes into a temporary array", function));
    }

    void assign(Id old) {
        begin_statement();
        const Node& n = in().nodes[old];
        const std::size_t slice = n.operand_count - 1U;
        const Id value = in().operand(old, slice);
        const bool array = in().nodes[value].rank != 0;
        Ids extents = slice_shape(old, slice);
        if (array) {
            const std::size_t rank = extents.size();
            extents = meet(extents, shape(value), n.loc, true);
            extents.erase(extents.begin(), extents.end() - static_cast<std::ptrdiff_t>(rank));
            if (conflicts(old, value, extents, true)) {
                keep(value);
                shape(value);
            }
        }
        Ids at(extents.size(), none);
        nest(all_axes(extents.size()), extents, at, array ? value : none, true, [&] {
            const Id stored = array ? element(value, narrowed(value, at)) : mapped(value);
            out().set_location_index(n.loc);
            out().store(n.aux, subscripts(old, slice, at), stored);
        });
    }

    /// Whether computing `value` may read an element of the target that was stored to before.
    /// `aligned`: element i of it makes element i of the target.
    bool conflicts(Id target, Id value, const Ids& extents, bool aligned) {
        const Node& n = in().nodes[value];
        const Node& t = in().nodes[target];
        if (n.rank == 0 || temporaries_.contains(value)) return false;
        if (aligned) {
            const Ids& own = shape(value);
            const auto extra = own.size() - std::min(own.size(), extents.size());
            aligned = std::ranges::equal(std::span(own).subspan(extra), extents,
                                         [&](Id x, Id y) { return same(x) == same(y); });
        }
        if (n.kind == NodeKind::whole) {
            if (n.aux != t.aux)
                return !options_.noalias && !is_made_by_kernel(in().params[n.aux].access) &&
                       !is_made_by_kernel(in().params[t.aux].access);
            const auto a = in().operands_of(value);
            const auto b = in().operands_of(target).first(t.operand_count - 1U);
            return !(aligned && n.imm == t.imm && std::ranges::equal(a, b));
        }
        const bool element_wise = n.kind == NodeKind::op || n.kind == NodeKind::cast;
        return std::ranges::any_of(in().operands_of(value), [&](Id x) {
            return conflicts(target, x, extents, aligned && element_wise);
        });
    }

    // --- reductions ---

    struct Fold {
        Reduction reduction;
        DType dtype;
        Id operand;
        std::uint8_t fast;
        std::uint32_t loc;
        Ids extents;  // of the operand
        std::vector<std::size_t> kept, reduced;
    };

    Fold describe(Id old) {
        const Node& n = in().nodes[old];
        Fold f{static_cast<Reduction>(n.aux), n.dtype, in().operand(old, 0), 0, n.loc, {}, {}, {}};
        f.extents = shape(f.operand);
        for (std::size_t d = 0; d < f.extents.size(); ++d)
            ((n.imm >> d & 1) != 0 ? f.reduced : f.kept).push_back(d);
        if (is_real(f.dtype) || is_complex(f.dtype))
            f.fast = in().nodes[f.operand].fast | fast::reassoc;
        return f;
    }

    Id start(const Fold& f) {
        const auto neutral_value = identity(f.reduction, f.dtype);
        return out().constant(neutral_value ? *neutral_value : neutral(f.reduction, f.dtype));
    }
    Id combined(const Fold& f, Id a, Id b) {
        out().set_location_index(f.loc);
        const Id operands[] = {a, b};
        return out().op(info(f.reduction).op, f.dtype, operands, f.fast);
    }

    /// min and max need an element.
    void check_not_empty(const Fold& f) {
        if (identity(f.reduction, f.dtype)) return;
        Id ok = none;
        const auto both = [&](Op op, Id extent, Op with) {
            const Id one = out().op(op, DType::bool_, std::initializer_list<Id>{extent, zero_});
            ok =
                ok == none ? one : out().op(with, DType::bool_, std::initializer_list<Id>{ok, one});
        };
        out().set_location_index(f.loc);
        for (const std::size_t d : f.reduced)
            if (!is_one(f.extents[d])) both(Op::gt, f.extents[d], Op::logical_and);
        if (ok == none) return;
        for (const std::size_t d : f.kept)
            if (!is_one(f.extents[d])) both(Op::eq, f.extents[d], Op::logical_or);
        out().check(Check::empty, ok);
    }

    /// Accumulates over the reduced axes into a new variable; the result.
    Id accumulate(const Fold& f, Ids& at, bool parallel) {
        const std::uint32_t slot =
            out().add_slot({total_name(out().kernel().slots.size()), f.dtype, 1});
        out().set_location_index(f.loc);
        out().write(slot, start(f));
        nest(f.reduced, f.extents, at, f.operand, parallel, [&] {
            const Id value = element(f.operand, at);
            out().set_location_index(f.loc);
            out().write(slot, combined(f, out().read(slot), value));
        });
        out().set_location_index(f.loc);
        return out().read(slot);
    }

    /// Parallel loops accumulate by operations that they know how to combine.
    static bool splits(const Fold& f) {
        return !(is_complex(f.dtype) && f.reduction == Reduction::product);
    }

    Id fold_to_scalar(Id old) {
        const Fold f = describe(old);
        check_not_empty(f);
        Ids at(f.extents.size(), none);
        return accumulate(f, at, splits(f));
    }

    /// Whether the order of the steps matters.
    static bool rounds(const Fold& f) {
        return (is_real(f.dtype) || is_complex(f.dtype)) &&
               (f.reduction == Reduction::sum || f.reduction == Reduction::product);
    }

    /// Reduces axis `outer` and those after it, some of which are kept, into rows of `result`:
    //
    //     result[...] = 0
    //     for each axis, ... { result[...] += x[...] }
    //
    /// `rows`: an array of the result's shape, and one of several. Sums of more than 16 go through
    /// them, so that each of n numbers is in 16 + log2(n / 16) additions: groups are combined pair
    /// by pair, as the bits of their number are.
    //
    //     for g = 0 to n step 16 {
    //       group[...] = 0; for i = g to the end of g, ... { group[...] += x[i, ...] }
    //       ++count
    //       for l = 0, 1 ... while bit l of count is 0 { group[...] = stack[l, ...] + group[...] }
    //       stack[l, ...] = group[...]
    //     }
    //     for each bit l of count, from below, { result[...] = stack[l, ...] + result[...] }
    void fold_rows(const Fold& f, std::span<const std::uint32_t> rows, Ids& at,
                   std::uint32_t result, std::span<const std::size_t> all, std::size_t outer) {
        const Row row{f, at, {f.kept.begin() + static_cast<std::ptrdiff_t>(outer), f.kept.end()}};
        clear(row, result);
        const Id n = f.extents[all[outer]];
        if (rows.empty() || is_one(n)) return add_elements(row, result, all.subspan(outer));
        out().begin_branch(integer(Op::le, n, out().constant_i64(tree::group_rows)));
        add_elements(row, result, all.subspan(outer));
        out().begin_else();
        fold_groups(row, rows[0], rows[1], result, all.subspan(outer));
        out().end();
    }

    /// A row of a result: its place, and the axes that it has.
    struct Row {
        const Fold& fold;
        Ids& at;
        std::vector<std::size_t> axes;
    };
    Ids place(const Row& row) const {
        Ids p;
        for (const std::size_t d : row.fold.kept) p.push_back(row.at[d]);
        return p;
    }
    void each(const Row& row, const Body& body) {
        nest(row.axes, row.fold.extents, row.at, none, false, body);
    }
    void clear(const Row& row, std::uint32_t into) {
        each(row, [&] { out().store(into, place(row), start(row.fold)); });
    }
    void add_elements(const Row& row, std::uint32_t into, std::span<const std::size_t> axes) {
        nest(axes, row.fold.extents, row.at, row.fold.operand, false, [&] {
            const Id value = element(row.fold.operand, row.at);
            out().set_location_index(row.fold.loc);
            const Id sum = combined(row.fold, out().load(into, place(row)), value);
            out().store(into, place(row), sum);
        });
    }

    /// Whether so many rows are certain to be added one after the other.
    bool is_one_group(Id n) {
        return out().node(n).kind == NodeKind::constant &&
               out().kernel().constant(n).get<std::int64_t>() <= tree::group_rows;
    }

    /// The loops over groups: `all` are the axis that they cut and those after it.
    void fold_groups(const Row& row, std::uint32_t group, std::uint32_t stack, std::uint32_t result,
                     std::span<const std::size_t> all) {
        const Id n = row.fold.extents[all[0]], size = out().constant_i64(tree::group_rows);
        const std::uint32_t count = counter(), bits = counter(), level = counter();
        const auto on_level = [&] {
            Ids p{out().read(level)};
            for (const Id x : place(row)) p.push_back(x);
            return p;
        };
        const auto add_level = [&](std::uint32_t into) {
            each(row, [&] {
                const Id below = out().load(stack, on_level());
                const Id sum = combined(row.fold, below, out().load(into, place(row)));
                out().store(into, place(row), sum);
            });
        };
        const auto first_level = [&] {
            out().write(level, zero_);
            out().write(bits, out().read(count));
        };
        const auto next_level = [&] {
            out().write(level, integer(Op::add, out().read(level), one_));
            out().write(bits, integer(Op::shr, out().read(bits), one_));
        };
        const auto lowest_bit_is = [&](Op op) {
            return integer(op, integer(Op::bit_and, out().read(bits), one_), zero_);
        };
        out().write(count, zero_);
        const Id g = out().begin_loop(zero_, n, size);
        clear(row, group);
        const Id end = integer(Op::minimum, integer(Op::add, g, size), n);
        row.at[all[0]] = out().begin_loop(g, end, one_);
        add_elements(row, group, all.subspan(1));
        out().end();
        row.at[all[0]] = none;
        out().write(count, integer(Op::add, out().read(count), one_));
        first_level();
        out().begin_while_condition();
        out().begin_while_body(lowest_bit_is(Op::eq));
        add_level(group);
        next_level();
        out().end();
        each(row, [&] { out().store(stack, on_level(), out().load(group, place(row))); });
        out().end();
        first_level();
        out().begin_while_condition();
        out().begin_while_body(integer(Op::ne, out().read(bits), zero_));
        out().begin_branch(lowest_bit_is(Op::ne));
        add_level(result);
        out().end();
        next_level();
        out().end();
    }

    Id integer(Op op, Id a, Id b) {
        const bool compares = op == Op::le || op == Op::eq || op == Op::ne;
        return out().op(op, compares ? DType::bool_ : DType::i64, std::initializer_list<Id>{a, b});
    }
    std::uint32_t counter() {
        return out().add_slot({fmt::format("n{}", out().kernel().slots.size()), DType::i64, 1});
    }

    /// Bits of the number of groups of n rows.
    Id levels_of(Id n) {
        const std::uint32_t rows = counter(), levels = counter();
        out().write(rows, n);
        out().write(levels, one_);
        out().begin_while_condition();
        out().begin_while_body(out().op(
            Op::gt, DType::bool_,
            std::initializer_list<Id>{out().read(rows), out().constant_i64(tree::group_rows)}));
        out().write(rows, integer(Op::shr, out().read(rows), one_));
        out().write(levels, integer(Op::add, out().read(levels), one_));
        out().end();
        return out().read(levels);
    }

    Id fold_element(Id old, const Node&, const Ids& result_at) {
        const Fold f = describe(old);
        check_not_empty(f);
        Ids at(f.extents.size(), none);
        for (std::size_t i = 0; i < f.kept.size(); ++i) at[f.kept[i]] = result_at[i];
        return accumulate(f, at, false);
    }

    void fold_to_array(Id old) {
        const Fold f = describe(old);
        check_not_empty(f);
        Ids extents;
        for (const std::size_t d : f.kept) extents.push_back(f.extents[d]);
        const std::uint32_t param = make_array(f.dtype, extents, f.loc);
        std::size_t outer = 0;  // kept axes before the first one that is reduced
        bool loops = false;
        while (outer < f.kept.size() && f.kept[outer] == outer)
            loops = !is_one(f.extents[outer++]) || loops;
        const auto all = all_axes(f.extents.size());
        const std::span rest(all.begin() + static_cast<std::ptrdiff_t>(outer), all.end());
        Ids at(f.extents.size(), none);
        const auto place = [&] {
            Ids result;
            for (const std::size_t d : f.kept) result.push_back(at[d]);
            return result;
        };
        const auto update = [&] {
            const Id value = element(f.operand, at);
            out().set_location_index(f.loc);
            const Id sum = combined(f, out().load(param, place()), value);
            out().store(param, place(), sum);
        };
        const auto first =
            std::ranges::find_if(rest, [&](auto d) { return !is_one(f.extents[d]); });
        if (!loops && splits(f) && !out().in_parallel_loop() && first != rest.end() &&
            std::ranges::find(f.reduced, *first) != f.reduced.end()) {
            for (const std::size_t d : all)
                if (is_one(f.extents[d])) at[d] = zero_;
            hoist(f.operand, narrowed(f.operand, at));
            ParallelLoop parallel;
            parallel.unsafe_races = true;
            parallel.arrays.push_back({f.reduction, param});
            out().set_location_index(f.loc);
            at[*first] = out().begin_parallel_loop(zero_, f.extents[*first], one_, parallel);
            nest(std::span(first + 1, rest.end()), f.extents, at, f.operand, false, update);
            out().end();
        } else {
            std::vector<std::uint32_t> rows;
            if (outer != f.kept.size() && rounds(f) && !is_one_group(f.extents[all[outer]])) {
                rows.push_back(make_array(f.dtype, extents, f.loc));
                Ids stack{levels_of(f.extents[all[outer]])};
                stack.insert(stack.end(), extents.begin(), extents.end());
                rows.push_back(make_array(f.dtype, stack, f.loc));
            }
            nest(std::span(all).first(outer), f.extents, at, f.operand, true, [&] {
                if (outer == f.kept.size()) {
                    const Id result = accumulate(f, at, false);
                    out().store(param, place(), result);
                    return;
                }
                fold_rows(f, rows, at, param, all, outer);
            });
        }
        temporaries_[old] = {param, extents};
        const std::string_view why = plan_.why_kept(old);
        decisions_.done(
            DecisionKind::temporary, in().location(f.loc),
            fmt::format("the {} is computed once, into a temporary array{}{}",
                        info(f.reduction).name, why.empty() ? "" : " of each iteration: ", why));
    }

    const ArrayPlan& plan_;
    const PassOptions& options_;
    Decisions& decisions_;
    Id zero_ = none, one_ = none;
    std::vector<Equality> equal_;
    std::map<Id, Temporary> temporaries_;        // by node of the old kernel
    std::map<Id, Ids> shapes_;                   // of the statement under way
    std::map<std::pair<Id, Ids>, Id> elements_;  // of the statement under way
};

}  // namespace

ir::Kernel run_arrays(const ir::Kernel& kernel, PassContext& context) {
    const ArrayPlan plan(kernel, !context.options.noalias);
    if (!plan.has_arrays()) return kernel;
    return LowerArrays(kernel, plan, context).run();
}

}  // namespace kiln::codegen
