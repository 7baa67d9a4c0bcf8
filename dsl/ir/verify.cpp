#include "dsl/ir/combines.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/text.h"
#include "dsl/ir/text_tables.h"
#include "dsl/ir/verify_form.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

namespace kiln::ir {
namespace {

/// The first violation, thrown within this file only.
struct Violation {
    std::string text;
};

class Verifier {
  public:
    explicit Verifier(const Kernel& kernel)
        : k_(kernel), state_(kernel.nodes.size(), State::unseen) {}

    void run() {
        check_tables();
        if (std::string wrong = wrong_form(k_); !wrong.empty()) throw Violation{std::move(wrong)};
        check_ownership();
        if (k_.prologue != none) {
            where_ = Where::prologue;
            visit_nodes(k_.prologue);  // its values stay visible for the extents
        }
        for (std::size_t i = 0; i < k_.stages.size(); ++i) check_stage_head(i);
        if (k_.prologue != none) hide(k_.prologue);
        where_ = Where::stage;
        for (const Stage& stage : k_.stages) {
            stage_ = &stage;
            visit_block(stage.body);
        }
        for (std::size_t i = 0; i < visited_.size(); ++i)
            require(visited_[i],
                    [&] { return fmt::format("block {} is not reachable from a stage", i); });
    }

  private:
    enum class State : std::uint8_t { unseen, visible, hidden };
    enum class Where : std::uint8_t { prologue, stage };

    template <class F> static void require(bool holds, F&& text) {
        if (!holds) throw Violation{text()};
    }
    template <class... A> void fail(Id id, fmt::format_string<A...> text, A&&... arguments) const {
        const Node& n = k_.nodes[id];
        std::string place;
        if (n.loc < k_.locations.size() && k_.location(n.loc).line != 0) {
            const Location l = k_.location(n.loc);
            place = fmt::format(", {}:{}", l.file, l.line);
        }
        throw Violation{fmt::format("node {} ({}{}): {}", id, text::kind_name(n), place,
                                    fmt::format(text, std::forward<A>(arguments)...))};
    }

    // --- everything that can be checked without walking ---

    void check_tables() const {
        require(!k_.locations.empty(),
                [] { return std::string("the table of locations is empty"); });
        for (const SourceLine& l : k_.locations)
            require(l.file < k_.files.size() || l.line == 0, [&] {
                return fmt::format("a location names file {} of {}", l.file, k_.files.size());
            });
        for (const Param& p : k_.params) {
            require(p.access != Access::value || p.rank == 0, [&] {
                return fmt::format("parameter {} is a value of rank {}", p.name, p.rank);
            });
            require(p.rank <= 8,
                    [&] { return fmt::format("parameter {} has rank {}", p.name, p.rank); });
        }
        for (const Slot& s : k_.slots)
            require(s.length > 0, [&] { return fmt::format("slot {} has no element", s.name); });
        for (const HostFunction& f : k_.functions) check_function(f);
        check_outlined();
        for (Id id = 0; id < k_.nodes.size(); ++id) check_ranges(id);
    }

    void check_function(const HostFunction& f) const {
        require(std::ranges::count(k_.functions, f.name, &HostFunction::name) == 1,
                [&] { return fmt::format("function {} is there twice", f.name); });
        require(!f.pure || f.result,
                [&] { return fmt::format("function {} is pure and gives nothing", f.name); });
        const auto plain = [](DType t) {
            return is_bool(t) || is_integer(t) || t == DType::f32 || t == DType::f64;
        };
        require(std::ranges::all_of(f.params, plain) && (!f.result || plain(*f.result)), [&] {
            return fmt::format(
                "function {} takes or gives what is neither bool, an integer, f32 "
                "nor f64",
                f.name);
        });
    }

    /// Each by itself, and that it is one that a launch can run.
    void check_outlined() const {
        for (std::size_t i = 0; i < k_.combines.size(); ++i) {
            const Kernel& k = k_.combines[i];
            if (const std::string wrong = verify(k); !wrong.empty())
                throw Violation{fmt::format("c{}: {}", i, wrong)};
            require(k.form == Form::combine && k.combines.empty(),
                    [&] { return fmt::format("c{}: combines nothing", i); });
        }
        require(k_.outlined.empty() || k_.form == Form::program,
                [] { return std::string("kernels were outlined from what is no program"); });
        for (std::size_t i = 0; i < k_.outlined.size(); ++i) {
            const Kernel& k = k_.outlined[i];
            if (const std::string wrong = verify(k); !wrong.empty())
                throw Violation{fmt::format("k{}: {}", i, wrong)};
            const bool rows =
                std::ranges::all_of(k.stages, [](const Stage& s) { return s.extents.size() <= 1; });
            if (k.is_program())
                check_outlined_program(i, k);
            else
                require(rows && k.outlined.empty(),
                        [&] { return fmt::format("k{}: is no kernel over one dimension", i); });
            require(std::ranges::count(k_.launches, i, &Launch::kernel) > 0,
                    [&] { return fmt::format("k{}: nothing launches it", i); });
        }
        for (const Launch& l : k_.launches) check_launch(l);
    }

    /// One parallel loop, with the tables of this program.
    void check_outlined_program(std::size_t i, const Kernel& k) const {
        const auto& body = k.blocks[k.stages[0].body].nodes;
        require(k.parallel_loops.size() == 1 && body.size() == 1 &&
                    k.parallel(k.nodes[body[0]]) != nullptr,
                [&] { return fmt::format("k{}: is a program, and not one parallel loop", i); });
        const bool same = k.params.size() >= k_.params.size() && k.slots == k_.slots &&
                          std::equal(k_.params.begin(), k_.params.end(), k.params.begin());
        require(same && std::ranges::none_of(k.outlined, &Kernel::is_program), [&] {
            return fmt::format("k{}: has not the parameters and slots of what launches it", i);
        });
    }

    void check_launch(const Launch& l) const {
        require(l.kernel < k_.outlined.size(), [&] {
            return fmt::format("a launch of kernel {} of {}", l.kernel, k_.outlined.size());
        });
        require(l.parallel == none || l.parallel < k_.parallel_loops.size(), [&] {
            return fmt::format("a launch: parallel loop {} of {}", l.parallel,
                               k_.parallel_loops.size());
        });
        const Kernel& k = k_.outlined[l.kernel];
        require(l.arguments.size() == k.params.size(), [&] {
            return fmt::format("a launch of k{} has {} arguments, not {}", l.kernel,
                               l.arguments.size(), k.params.size());
        });
        require(std::ranges::all_of(l.streams,
                                    [&](std::uint32_t p) {
                                        return p < k_.params.size() &&
                                               k_.params[p].access != Access::value;
                                    }),
                [&] { return fmt::format("a launch of k{} streams what is no array", l.kernel); });
        for (std::size_t i = 0; i < l.arguments.size(); ++i) {
            const Argument& a = l.arguments[i];
            require(fits(a, k.params[i]), [&] {
                return fmt::format("a launch of k{}: argument {} does not fit its parameter",
                                   l.kernel, i);
            });
            require((a.kind == Argument::Kind::carry) ==
                        (k.form == Form::scan && i + 2 == k.params.size()),
                    [&] { return fmt::format("a launch of k{}: a carry", l.kernel); });
            const bool same = a.kind == Argument::Kind::whole && a.target == i;
            require(k.is_program() ? same == (i < k_.params.size()) && of_program(a.kind) : !same,
                    [&] { return fmt::format("a launch of k{}: argument {}", l.kernel, i); });
        }
    }

    static bool of_program(Argument::Kind kind) {
        using Kind = Argument::Kind;
        return kind == Kind::whole || kind == Kind::value || kind == Kind::place;
    }
    bool fits(const Argument& a, const Param& p) const {
        using Kind = Argument::Kind;
        const bool out = p.access == Access::out || p.access == Access::inout;
        const auto is_slot = [&](bool one) {
            return a.target < k_.slots.size() && k_.slots[a.target].dtype == p.dtype &&
                   (k_.slots[a.target].length == 1) == one;
        };
        switch (a.kind) {
            case Kind::array: {
                if (a.target >= k_.params.size()) return false;
                const Param& array = k_.params[a.target];
                return array.access != Access::value && array.dtype == p.dtype &&
                       a.strides.size() == array.rank && !(out && array.access == Access::in);
            }
            case Kind::local: return is_slot(false) && a.strides.size() == 1;
            case Kind::value:
                return p.access == Access::value || (!out && p.layout == Layout::uniform);
            case Kind::whole: return a.target < k_.params.size() && k_.params[a.target] == p;
            case Kind::place:
                return (p.access == Access::in || p.access == Access::inout) && p.rank == 1 &&
                       (is_slot(false) || is_slot(true));
            case Kind::first:
            case Kind::step: return !out && p.layout == Layout::uniform && p.dtype == DType::i64;
            case Kind::total:
                return out && p.rank == 0 && is_slot(true) && reduces_into(a.reduction, p.dtype);
            case Kind::state:
                return out && p.rank == 0 && is_slot(true) && a.combine < k_.combines.size();
            case Kind::carry: return !out && is_slot(true);
        }
        return false;
    }

    void check_ranges(Id id) const {
        const Node& n = k_.nodes[id];
        if (n.loc >= k_.locations.size())
            throw Violation{
                fmt::format("node {}: location {} of {}", id, n.loc, k_.locations.size())};
        if (std::size_t(n.first_operand) + n.operand_count > k_.operands.size())
            fail(id, "its operands lie outside of the table");
        for (const Id operand : k_.operands_of(n))
            if (operand >= k_.nodes.size())
                fail(id, "operand {} of {} nodes", operand, k_.nodes.size());
        const Effects e = effects_of(n);
        if ((e.array != none || n.kind == NodeKind::param || n.kind == NodeKind::extent) &&
            n.aux >= k_.params.size())
            fail(id, "parameter {} of {}", n.aux, k_.params.size());
        if (e.slot != none && n.aux >= k_.slots.size())
            fail(id, "slot {} of {}", n.aux, k_.slots.size());
        if (e.any(effect::calls | effect::calls_pure) && n.aux >= k_.functions.size())
            fail(id, "function {} of {}", n.aux, k_.functions.size());
        if (e.any(effect::in_parallel) && n.aux2 >= k_.parallel_loops.size())
            fail(id, "parallel loop {} of {}", n.aux2, k_.parallel_loops.size());
        if (e.any(effect::launches) && n.aux >= k_.launches.size())
            fail(id, "launch {} of {}", n.aux, k_.launches.size());
        if ((n.kind == NodeKind::place || n.kind == NodeKind::threads) &&
            n.aux >= std::size(simt_table))
            fail(id, "row {} of {}", n.aux, std::size(simt_table));
        if (e.any(effect::counts | effect::launches)) check_tree(id, n);
        if (e.any(effect::checks)) {
            if (n.aux >= text::check_names.size())
                fail(id, "check {} of {}", n.aux, text::check_names.size());
            if (n.aux2 >= std::max<std::size_t>(1, k_.params.size()))
                fail(id, "parameter {} of {}", n.aux2, k_.params.size());
        }
        const std::uint32_t reduction = n.kind == NodeKind::atomic ? n.aux2
                                        : n.kind == NodeKind::fold ? n.aux
                                                                   : 0;
        if (reduction >= std::size(reduction_table))
            fail(id, "reduction {} of {}", reduction, std::size(reduction_table));
    }

    void check_tree(Id id, const Node& n) const {
        if (n.imm > k_.trees.size()) fail(id, "tree {} of {}", n.imm, k_.trees.size());
        const Tree* const tree = k_.tree(n);
        if (tree == nullptr) return;
        const ParallelLoop* const parallel = k_.parallel(n);
        const bool reduces = parallel != nullptr && !parallel->reductions.empty();
        if (tree->block <= 0 || (tree->units > 0) != reduces || tree->units < 0)
            fail(id, "blocks of {} in {}, {}", tree->block, tree->units,
                 reduces ? "of a loop that reduces" : "of one that does not");
        if (!reduces && tree->sums.empty()) fail(id, "blocks, and nothing that they combine");
        for (const std::uint32_t s : tree->sums) {
            const bool sums = s < k_.slots.size() && k_.slots[s].length == 1 &&
                              is_real(k_.slots[s].dtype) && std::ranges::count(tree->sums, s) == 1;
            if (!sums) fail(id, "sums into slot {}, which is no variable of floats", s);
        }
    }

    // --- each block has one owner, each node is listed once: so the structure is a tree ---

    void check_ownership() {
        visited_.assign(k_.blocks.size(), false);
        std::vector<unsigned> owners(k_.blocks.size(), 0);
        const auto own = [&](Id block) {
            require(block < owners.size(),
                    [&] { return fmt::format("block {} of {}", block, owners.size()); });
            ++owners[block];
        };
        if (k_.prologue != none) own(k_.prologue);
        for (const Stage& stage : k_.stages) own(stage.body);
        for (const Node& n : k_.nodes)
            for (const Id block : blocks_of(n)) own(block);
        for (std::size_t i = 0; i < owners.size(); ++i)
            require(owners[i] == 1,
                    [&] { return fmt::format("block {} has {} owners", i, owners[i]); });
        std::vector<unsigned> loops(k_.parallel_loops.size(), 0);
        for (const Node& n : k_.nodes)
            if (n.kind == NodeKind::loop && n.aux2 != none) ++loops[n.aux2];
        std::vector<unsigned> launches(k_.launches.size(), 0);
        for (const Node& n : k_.nodes)
            if (n.kind == NodeKind::launch) ++launches[n.aux];
        for (std::size_t i = 0; i < launches.size(); ++i) {
            require(launches[i] == 1,
                    [&] { return fmt::format("launch {} has {} owners", i, launches[i]); });
            if (k_.launches[i].parallel != none) ++loops[k_.launches[i].parallel];
        }
        std::vector<unsigned> trees(k_.trees.size(), 0);
        for (const Node& n : k_.nodes)
            if (const Tree* tree = k_.tree(n)) ++trees[std::size_t(tree - k_.trees.data())];
        for (std::size_t i = 0; i < trees.size(); ++i)
            require(trees[i] == 1,
                    [&] { return fmt::format("tree {} has {} owners", i, trees[i]); });
        for (std::size_t i = 0; i < loops.size(); ++i) {
            require(loops[i] == 1,
                    [&] { return fmt::format("parallel loop {} has {} owners", i, loops[i]); });
            check_reductions(k_.parallel_loops[i].reductions, "parallel loop", i);
            for (const ArrayReduction& r : k_.parallel_loops[i].arrays)
                require(r.target < k_.params.size() &&
                            is_made_by_kernel(k_.params[r.target].access) &&
                            reduces_into(r.reduction, k_.params[r.target].dtype),
                        [&] {
                            return fmt::format("parallel loop {}: a reduction into array {}", i,
                                               r.target);
                        });
        }
        std::vector<bool> listed(k_.nodes.size(), false);
        for (std::size_t i = 0; i < k_.blocks.size(); ++i)
            for (const Id id : k_.blocks[i].nodes) {
                require(id < k_.nodes.size(), [&] {
                    return fmt::format("block {} lists node {} of {}", i, id, k_.nodes.size());
                });
                if (is_leaf(k_.nodes[id].kind)) fail(id, "a leaf is listed by block {}", i);
                if (listed[id]) fail(id, "is listed twice");
                listed[id] = true;
            }
    }

    void check_stage_head(std::size_t number) {
        const Stage& stage = k_.stages[number];
        for (const Id extent : stage.extents) {
            const bool ok = extent < k_.nodes.size() && k_.nodes[extent].dtype == DType::i64 &&
                            k_.nodes[extent].rank == 0 &&
                            k_.nodes[extent].kind != NodeKind::index &&
                            (is_leaf(k_.nodes[extent].kind) || state_[extent] == State::visible);
            require(ok, [&] {
                return fmt::format("stage {}: an extent is not an i64 value of the prologue",
                                   number);
            });
            if (is_leaf(k_.nodes[extent].kind)) check_leaf(extent, k_.nodes[extent]);
        }
        require(stage.loc < k_.locations.size(),
                [&] { return fmt::format("stage {}: location {}", number, stage.loc); });
        check_reductions(stage.reductions, "stage", number);
    }

    void check_reductions(const std::vector<StageReduction>& reductions, std::string_view owner,
                          std::size_t number) const {
        for (std::size_t i = 0; i < reductions.size(); ++i) {
            const StageReduction& r = reductions[i];
            require(r.target < k_.slots.size() && k_.slots[r.target].length == 1, [&] {
                return fmt::format("{} {}: the target of reduction {} is not a slot of one element",
                                   owner, number, i);
            });
            require(r.combine != none || reduces_into(r.reduction, k_.slots[r.target].dtype), [&] {
                return fmt::format("{} {}: {} does not reduce {}", owner, number,
                                   info(r.reduction).name, name(k_.slots[r.target].dtype));
            });
            for (std::size_t j = 0; j < i; ++j)
                require(reductions[j].target != r.target, [&] {
                    return fmt::format("{} {}: two reductions into one slot", owner, number);
                });
        }
        for (std::size_t i = 0; i < reductions.size();)
            i += reductions[i].combine == none ? 1 : check_state(reductions, owner, number, i);
    }

    /// That a state's parts follow each other, in the order of the kernel that combines it. How many
    /// they are.
    std::size_t check_state(const std::vector<StageReduction>& reductions, std::string_view owner,
                            std::size_t number, std::size_t first) const {
        const std::uint32_t c = reductions[first].combine;
        require(c < k_.combines.size(), [&] {
            return fmt::format("{} {}: combination {} of {}", owner, number, c, k_.combines.size());
        });
        const std::size_t n = state_size(k_.combines[c]);
        for (std::size_t part = 0; part < n; ++part)
            require(first + part < reductions.size() && reductions[first + part].combine == c &&
                        k_.slots[reductions[first + part].target].dtype ==
                            k_.combines[c].params[part].dtype,
                    [&] {
                        return fmt::format("{} {}: reduction {} is not a state of c{}", owner,
                                           number, first, c);
                    });
        return n;
    }

    // --- the walk ---

    void visit_nodes(Id block) {
        visited_[block] = true;
        for (const Id id : k_.blocks[block].nodes) {
            check_node(id);
            if (k_.nodes[id].kind != NodeKind::loop) state_[id] = State::visible;
        }
    }
    void hide(Id block) {
        for (const Id id : k_.blocks[block].nodes) state_[id] = State::hidden;
    }
    void visit_block(Id block) {
        visit_nodes(block);
        hide(block);
    }

    void check_node(Id id) {
        const Node& n = k_.nodes[id];
        if (where_ == Where::prologue && n.kind != NodeKind::op && n.kind != NodeKind::cast)
            fail(id, "the prologue has pure scalar nodes only");
        if (n.kind == NodeKind::loop_while) return check_while(id, n);
        for (const Id operand : k_.operands_of(n)) check_use(id, operand);
        check_form(id, n);
        const bool loop = n.kind == NodeKind::loop;
        if (loop) {
            state_[id] = State::visible;
            ++loops_;
        }
        for (const Id block : blocks_of(n)) visit_block(block);
        if (loop) {
            --loops_;
            state_[id] = State::hidden;
        }
    }

    void check_while(Id id, const Node& n) {
        if (n.operand_count != 1) fail(id, "takes 1 operand, not {}", n.operand_count);
        const unsigned loops = std::exchange(loops_, 0);  // a break in the condition has no meaning
        visit_nodes(n.aux);
        check_use(id, k_.operand(id, 0));
        expect_scalar(id, 0, DType::bool_);
        hide(n.aux);
        loops_ = loops + 1;
        visit_block(n.aux2);
        loops_ = loops;
    }

    void check_use(Id user, Id operand) const {
        const Node& n = k_.nodes[operand];
        if (is_leaf(n.kind)) return check_leaf(operand, n);
        if (state_[operand] == State::unseen)
            fail(user, "operand {} is not defined before", operand);
        if (state_[operand] == State::hidden)
            fail(user, "operand {} is defined in a block that is closed", operand);
        const bool has_value = !has_effect(n.kind) || n.kind == NodeKind::atomic ||
                               n.kind == NodeKind::exchange || gives_value(n) ||
                               (n.kind == NodeKind::call && k_.functions[n.aux].result) ||
                               n.kind == NodeKind::loop;
        if (!has_value) fail(user, "operand {} has no value", operand);
    }

    static bool gives_value(const Node& n) {
        return n.kind == NodeKind::threads && info(Simt(n.aux)).result != SimtInfo::Result::nothing;
    }

    void check_leaf(Id id, const Node& n) const {
        if (n.operand_count != 0 || n.rank != 0) fail(id, "a leaf has operands or a rank");
        if (n.kind == NodeKind::constant) {
            if (is_complex(n.dtype)) fail(id, "complex constants are made by make_complex");
            if (is_bool(n.dtype) && n.imm > 1) fail(id, "a bool with the bits {}", n.imm);
            if (size_of(n.dtype) < 8 && n.imm >> (8 * size_of(n.dtype)) != 0)
                fail(id, "has bits beyond its dtype");
        } else if (n.kind == NodeKind::param) {
            const Param& p = k_.params[n.aux];
            if (p.access != Access::value) fail(id, "parameter {} is an array", p.name);
            if (n.dtype != p.dtype || n.weak != p.weak)
                fail(id, "its dtype is not that of parameter {}", p.name);
        } else {
            if (n.dtype != DType::i64) fail(id, "is not i64");
            if (n.kind == NodeKind::extent &&
                (k_.params[n.aux].access == Access::value || n.aux2 >= k_.params[n.aux].rank))
                fail(id, "parameter {} has no dimension {}", k_.params[n.aux].name, n.aux2);
            if (n.kind == NodeKind::index && (stage_ == nullptr || n.aux >= stage_->extents.size()))
                fail(id, "there is no dimension {} here", n.aux);
        }
    }

    void expect_count(Id id, std::size_t count) const {
        if (k_.nodes[id].operand_count != count)
            fail(id, "takes {} operand{}, not {}", count, count == 1 ? "" : "s",
                 k_.nodes[id].operand_count);
    }
    void expect_dtype(Id id, std::size_t operand, DType wanted) const {
        const DType have = k_.node(k_.operand(id, operand)).dtype;
        if (have != wanted) fail(id, "operand {} is {}, not {}", operand, name(have), name(wanted));
    }
    void expect_scalar(Id id, std::size_t operand, DType wanted) const {
        expect_dtype(id, operand, wanted);
        if (k_.node(k_.operand(id, operand)).rank != 0) fail(id, "operand {} is an array", operand);
    }
    void expect_result(Id id, DType wanted, unsigned rank) const {
        const Node& n = k_.nodes[id];
        if (n.dtype != wanted) fail(id, "is {}, not {}", name(n.dtype), name(wanted));
        if (n.rank != rank) fail(id, "has rank {}, not {}", n.rank, rank);
    }

    void check_launch(Id id, const Node& n) const {
        const Launch& l = k_.launches[n.aux];
        std::size_t count = 3;
        for (const Argument& a : l.arguments) count += a.operands();
        expect_count(id, count);
        for (std::size_t i = 0; i < 3; ++i) expect_scalar(id, i, DType::i64);
        std::size_t at = 3;
        for (std::size_t i = 0; i < l.arguments.size(); ++i) {
            const Argument& a = l.arguments[i];
            const DType t = a.is_element() ? DType::i64 : k_.outlined[l.kernel].params[i].dtype;
            for (std::size_t x = 0; x < a.operands(); ++x) expect_scalar(id, at++, t);
        }
        if (l.streams.empty() != (n.aux2 == none))
            fail(id, "streams {} a block that runs where its arrays are small",
                 l.streams.empty() ? "nothing, with" : "without");
    }

    void check_form(Id id, const Node& n) const {
        if (n.fast != 0 && n.kind != NodeKind::loop &&
            (n.kind != NodeKind::op || n.fast > fast::all))
            fail(id, "fast flags {:#x}", n.fast);
        switch (n.kind) {
            case NodeKind::op: return check_op(id, n);
            case NodeKind::cast:
                expect_count(id, 1);
                return expect_result(id, n.dtype, k_.node(k_.operand(id, 0)).rank);
            case NodeKind::load:
            case NodeKind::store:
            case NodeKind::atomic: return check_element(id, n);
            case NodeKind::read:
            case NodeKind::write: return check_slot(id, n);
            case NodeKind::exchange: return check_exchange(id, n);
            case NodeKind::place:
            case NodeKind::threads: return check_simt(id, n);
            case NodeKind::call_pure:
            case NodeKind::call: {
                const HostFunction& f = k_.functions[n.aux];
                if (f.pure != (n.kind == NodeKind::call_pure))
                    fail(id, "function {} is {}pure", f.name, f.pure ? "" : "not ");
                expect_count(id, f.params.size());
                for (std::size_t i = 0; i < f.params.size(); ++i) expect_scalar(id, i, f.params[i]);
                return expect_result(id, f.result.value_or(DType::bool_), 0);
            }
            case NodeKind::contribute:
                expect_count(id, 1);
                if (stage_ == nullptr || n.aux >= stage_->reductions.size())
                    fail(id, "reduction {} of {} of its stage", n.aux,
                         stage_ == nullptr ? 0 : stage_->reductions.size());
                if (stage_->reductions[n.aux].combine != none)
                    fail(id, "reduction {} is a part of a state", n.aux);
                return expect_scalar(id, 0, k_.slots[stage_->reductions[n.aux].target].dtype);
            case NodeKind::check:
                if (n.operand_count < 1 || n.imm > n.operand_count - 1U)
                    fail(id, "{} operands and {} extents", n.operand_count, n.imm);
                for (std::size_t i = 1; i < n.operand_count; ++i) expect_scalar(id, i, DType::i64);
                return expect_scalar(id, 0, DType::bool_);
            case NodeKind::branch: expect_count(id, 1); return expect_scalar(id, 0, DType::bool_);
            case NodeKind::loop:
                expect_count(id, 3);
                for (std::size_t i = 0; i < 3; ++i) expect_scalar(id, i, DType::i64);
                if ((n.fast & ~loop_flag::all) != 0) fail(id, "has flags {} of no meaning", n.fast);
                if ((n.fast & loop_flag::remainder) != 0 && !k_.is_constant(k_.operand(id, 2), 1))
                    fail(id, "takes the remainder by steps that are not 1");
                if ((n.fast & loop_flag::shareable) != 0 && n.aux2 != none)
                    fail(id, "is shareable, and parallel already");
                return expect_result(id, DType::i64, 0);
            case NodeKind::launch: return check_launch(id, n);
            case NodeKind::break_:
            case NodeKind::continue_:
                if (loops_ == 0) fail(id, "is outside of a loop");
                return expect_count(id, 0);
            case NodeKind::return_: return expect_count(id, 0);
            case NodeKind::whole:
            case NodeKind::fold:
            case NodeKind::permute:
            case NodeKind::assign: return check_array(id, n);
            case NodeKind::allocate:
                if (!is_made_by_kernel(k_.params[n.aux].access))
                    fail(id, "parameter {} is an argument", k_.params[n.aux].name);
                if (n.imm > (k_.form == Form::threads ? 1U : 0U))
                    fail(id, "is in memory {}", n.imm);
                if (n.operand_count == 1 && k_.node(k_.operand(id, 0)).rank > 0) {
                    if (k_.node(k_.operand(id, 0)).rank != k_.params[n.aux].rank)
                        fail(id, "a value of rank {} for parameter {} of rank {}",
                             k_.node(k_.operand(id, 0)).rank, k_.params[n.aux].name,
                             k_.params[n.aux].rank);
                    return;
                }
                expect_count(id, k_.params[n.aux].rank);
                for (std::size_t i = 0; i < n.operand_count; ++i) expect_scalar(id, i, DType::i64);
                return;
            case NodeKind::loop_while:  // check_while
            case NodeKind::constant:    // check_leaf
            case NodeKind::param:
            case NodeKind::extent:
            case NodeKind::index: return;
        }
    }

    void check_exchange(Id id, const Node& n) const {
        expect_array_param(id, n, true);
        const Param& p = k_.params[n.aux];
        if (n.aux2 > 1) fail(id, "compares {} values", n.aux2);
        expect_count(id, p.rank + 1U + n.aux2);
        for (std::size_t i = 0; i < p.rank; ++i) expect_scalar(id, i, DType::i64);
        for (std::size_t i = p.rank; i < n.operand_count; ++i) expect_scalar(id, i, p.dtype);
        expect_result(id, p.dtype, 0);
    }

    void check_simt(Id id, const Node& n) const {
        if (k_.form != Form::threads) fail(id, "is in a kernel of another form");
        const SimtInfo& row = info(Simt(n.aux));
        if ((row.result == SimtInfo::Result::place) != (n.kind == NodeKind::place))
            fail(id, "{} is of another kind", row.name);
        expect_count(id, row.operands.size());
        DType value = DType::bool_;
        for (std::size_t i = 0; i < row.operands.size(); ++i) {
            const DType given = k_.node(k_.operand(id, i)).dtype;
            switch (row.operands[i]) {
                case 'b': expect_scalar(id, i, DType::bool_); break;
                case 'm': expect_scalar(id, i, DType::u32); break;
                case 'l': expect_scalar(id, i, DType::i32); break;
                default: expect_scalar(id, i, value = given);
            }
        }
        expect_result(id, simt_result(Simt(n.aux), value).value_or(DType::bool_), 0);
    }

    void check_op(Id id, const Node& n) const {
        const OpInfo& row = info(n.op);
        expect_count(id, row.arity);
        const std::size_t first = row.rule == Rule::choice ? 1 : 0;
        if (first == 1) expect_dtype(id, 0, DType::bool_);
        const DType operand = k_.node(k_.operand(id, first)).dtype;
        unsigned rank = 0;
        for (std::size_t i = 0; i < row.arity; ++i) {
            if (i >= first) expect_dtype(id, i, operand);
            rank = std::max<unsigned>(rank, k_.node(k_.operand(id, i)).rank);
        }
        const auto result = exact_result(row.rule, operand);
        if (!result) fail(id, "does not take {}", name(operand));
        expect_result(id, *result, rank);
    }

    void expect_array_param(Id id, const Node& n, bool stored_to) const {
        const Param& p = k_.params[n.aux];
        if (p.access == Access::value) fail(id, "parameter {} is not an array", p.name);
        if (stored_to && p.access == Access::in) fail(id, "parameter {} is read-only", p.name);
    }

    void check_element(Id id, const Node& n) const {
        const bool stores = n.kind != NodeKind::load;
        expect_array_param(id, n, stores);
        const Param& p = k_.params[n.aux];
        expect_count(id, p.rank + (stores ? 1U : 0U));
        for (std::size_t i = 0; i < p.rank; ++i) expect_scalar(id, i, DType::i64);
        if (stores) expect_scalar(id, p.rank, p.dtype);
        if (n.kind != NodeKind::store) expect_result(id, p.dtype, 0);
        if (n.kind == NodeKind::atomic && !reduces_into(static_cast<Reduction>(n.aux2), p.dtype))
            fail(id, "{} does not reduce {}", info(static_cast<Reduction>(n.aux2)).name,
                 name(p.dtype));
    }

    void check_slot(Id id, const Node& n) const {
        const Slot& s = k_.slots[n.aux];
        const std::size_t positions = s.length == 1 ? 0 : 1;
        expect_count(id, positions + (n.kind == NodeKind::write ? 1 : 0));
        if (positions == 1) expect_scalar(id, 0, DType::i64);
        if (n.kind != NodeKind::write) return expect_result(id, s.dtype, 0);
        expect_scalar(id, positions, s.dtype);
        if (n.imm > k_.combines.size())
            fail(id, "a step of combination {} of {}", n.imm - 1, k_.combines.size());
    }

    /// The rank of the slice in the first `count` operands.
    unsigned slice_rank(Id id, const Node& n, std::size_t count) const {
        const Param& p = k_.params[n.aux];
        if (count != 0 && count != 3U * p.rank)
            fail(id, "a slice of {} operands of parameter {}", count, p.name);
        if (n.imm >> p.rank != 0 || (count == 0 && n.imm != 0))
            fail(id, "leaves out dimensions {:#x} of parameter {}", n.imm, p.name);
        for (std::size_t i = 0; i < count; ++i) expect_scalar(id, i, DType::i64);
        return p.rank - static_cast<unsigned>(std::popcount(n.imm));
    }

    void check_array(Id id, const Node& n) const {
        if (n.kind == NodeKind::whole) {
            expect_array_param(id, n, false);
            return expect_result(id, k_.params[n.aux].dtype, slice_rank(id, n, n.operand_count));
        }
        if (n.kind == NodeKind::assign) {
            expect_array_param(id, n, true);
            if (n.operand_count == 0) fail(id, "has no value");
            const std::size_t slice = n.operand_count - 1U;
            expect_dtype(id, slice, k_.params[n.aux].dtype);
            const unsigned rank = slice_rank(id, n, slice);
            if (k_.node(k_.operand(id, slice)).rank > rank && rank == 0)
                fail(id, "a value of rank {} for parameter {} of rank {}",
                     k_.node(k_.operand(id, slice)).rank, k_.params[n.aux].name, rank);
            return;
        }
        expect_count(id, 1);
        const Node& operand = k_.node(k_.operand(id, 0));
        if (n.kind == NodeKind::permute) {
            unsigned kept = 0;
            for (unsigned d = 0; d < n.rank; ++d) {
                const std::uint64_t axis = n.imm >> (4 * d) & 15;
                if (axis == new_axis) continue;
                if (axis >= operand.rank || (kept >> axis & 1) != 0)
                    fail(id, "axis {} of a value of rank {}", axis, operand.rank);
                kept |= 1U << axis;
            }
            if (kept + 1U != 1U << operand.rank) fail(id, "leaves out an axis");
            return expect_result(id, operand.dtype, n.rank);
        }
        if (n.imm == 0 || n.imm >> operand.rank != 0)
            fail(id, "axes {:#x} of a value of rank {}", n.imm, operand.rank);
        if (!reduces_into(static_cast<Reduction>(n.aux), operand.dtype))
            fail(id, "{} does not reduce {}", info(static_cast<Reduction>(n.aux)).name,
                 name(operand.dtype));
        expect_result(id, operand.dtype,
                      operand.rank - static_cast<unsigned>(std::popcount(n.imm)));
    }

    const Kernel& k_;
    std::vector<State> state_;   // per node
    std::vector<bool> visited_;  // per block
    Where where_ = Where::stage;
    const Stage* stage_ = nullptr;
    unsigned loops_ = 0;  // loops that are open around the current node
};

}  // namespace

std::string verify(const Kernel& kernel) {
    try {
        Verifier(kernel).run();
        return {};
    } catch (const Violation& violation) {
        return violation.text;
    }
}

}  // namespace kiln::ir
