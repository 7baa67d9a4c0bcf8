// Every field of a kernel is in the key of its machine code, or is said here not to be. Each struct's
// fields are taken apart by name, so that one that is added does not compile until it has its place.

#include "dsl/ir/text.h"
#include "jit/compile/cache.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/support.h"

#include <kiln/host_function.h>
#include <kiln/reduction.h>

#include <functional>
#include <map>
#include <set>

using namespace kiln;
using namespace kiln::test;
using namespace kiln::ir;

namespace {

// --- the fields: f(name, field) ---

template <class F> void each_field(Param& x, const F& f) {
    auto& [name, dtype, rank, access, layout, weak] = x;
    f("Param.name", name), f("Param.dtype", dtype), f("Param.rank", rank);
    f("Param.access", access), f("Param.layout", layout), f("Param.weak", weak);
}
template <class F> void each_field(Slot& x, const F& f) {
    auto& [name, dtype, length] = x;
    f("Slot.name", name), f("Slot.dtype", dtype), f("Slot.length", length);
}
template <class F> void each_field(ir::HostFunction& x, const F& f) {
    auto& [name, result, params, pure] = x;
    f("HostFunction.name", name), f("HostFunction.result", result);
    f("HostFunction.params", params), f("HostFunction.pure", pure);
}
template <class F> void each_field(Block& x, const F& f) {
    auto& [nodes] = x;
    f("Block.nodes", nodes);
}
template <class F> void each_field(StageReduction& x, const F& f) {
    auto& [reduction, target, combine] = x;
    f("StageReduction.reduction", reduction), f("StageReduction.target", target);
    f("StageReduction.combine", combine);
}
template <class F> void each_field(ArrayReduction& x, const F& f) {
    auto& [reduction, target] = x;
    f("ArrayReduction.reduction", reduction), f("ArrayReduction.target", target);
}
template <class F> void each_field(ParallelLoop& x, const F& f) {
    auto& [reductions, schedule, chunk, unsafe_races, arrays] = x;
    f("ParallelLoop.reductions", reductions), f("ParallelLoop.schedule", schedule);
    f("ParallelLoop.chunk", chunk), f("ParallelLoop.unsafe_races", unsafe_races);
    f("ParallelLoop.arrays", arrays);
}
template <class F> void each_field(Argument& x, const F& f) {
    auto& [kind, target, reduction, combine, strides] = x;
    f("Argument.kind", kind), f("Argument.target", target), f("Argument.reduction", reduction);
    f("Argument.combine", combine), f("Argument.strides", strides);
}
template <class F> void each_field(Launch& x, const F& f) {
    auto& [kernel, arguments, parallel, streams, in_place] = x;
    f("Launch.kernel", kernel), f("Launch.arguments", arguments), f("Launch.parallel", parallel);
    f("Launch.streams", streams), f("Launch.in_place", in_place);
}
template <class F> void each_field(Tree& x, const F& f) {
    auto& [block, units, sums] = x;
    f("Tree.block", block), f("Tree.units", units), f("Tree.sums", sums);
}
template <class F> void each_field(Stage& x, const F& f) {
    auto& [extents, body, reductions, parallel, loc] = x;
    f("Stage.extents", extents), f("Stage.body", body), f("Stage.reductions", reductions);
    f("Stage.parallel", parallel), f("Stage.loc", loc);
}
template <class F> void each_field(SourceLine& x, const F& f) {
    auto& [file, line] = x;
    f("SourceLine.file", file), f("SourceLine.line", line);
}
template <class F> void each_field(Lanes& x, const F& f) {
    auto& [of_register, registers, tail, fan_in, levels] = x;
    f("Lanes.of_register", of_register), f("Lanes.registers", registers), f("Lanes.tail", tail);
    f("Lanes.fan_in", fan_in), f("Lanes.levels", levels);
}
template <class F> void each_field(Node& x, const F& f) {
    auto& [kind, op, dtype, rank, fast, weak, operand_count, first_operand, aux, aux2, loc, imm] =
        x;
    const std::string node = "Node(" + std::to_string(static_cast<int>(x.kind)) + ").";
    static_cast<void>(kind);  // the other fields are those of the kind, whose word is in the text
    f(node + "op", op), f(node + "dtype", dtype), f(node + "rank", rank);
    f(node + "fast", fast), f(node + "weak", weak), f(node + "operand_count", operand_count);
    f(node + "first_operand", first_operand), f(node + "aux", aux), f(node + "aux2", aux2);
    f(node + "loc", loc), f(node + "imm", imm);
}
template <class F> void each_field(Kernel& x, const F& f) {
    auto& [name, form, scan, lanes, params, slots, functions, prologue, stages, parallel_loops,
           launches, trees, outlined, combines, blocks, nodes, operands, files, locations] = x;
    f("Kernel.name", name), f("Kernel.form", form), f("Kernel.scan", scan);
    f("Kernel.lanes", lanes), f("Kernel.params", params), f("Kernel.slots", slots);
    f("Kernel.functions", functions), f("Kernel.prologue", prologue), f("Kernel.stages", stages);
    f("Kernel.parallel_loops", parallel_loops), f("Kernel.launches", launches);
    f("Kernel.trees", trees), f("Kernel.outlined", outlined), f("Kernel.combines", combines);
    f("Kernel.blocks", blocks), f("Kernel.nodes", nodes), f("Kernel.operands", operands);
    f("Kernel.files", files), f("Kernel.locations", locations);
}

// --- what is no part of the key ---

/// The fields that a kind of node has, by nodes.def. Others hold nothing.
bool has_field(NodeKind kind, const std::string& field) {
    const auto one_of = [&](std::initializer_list<const char*> fields) {
        return std::ranges::any_of(fields, [&](const char* f) { return field == f; });
    };
    const bool is_value = one_of({"dtype"});
    switch (kind) {
        case NodeKind::constant: return one_of({"imm", "weak"}) || is_value;
        case NodeKind::param:
        case NodeKind::index: return one_of({"aux"});
        case NodeKind::extent: return one_of({"aux", "aux2"});
        case NodeKind::op: return one_of({"op", "fast"}) || is_value;
        case NodeKind::cast: return is_value;
        case NodeKind::call_pure:
        case NodeKind::call:
        case NodeKind::read:
        case NodeKind::contribute: return one_of({"aux"});
        case NodeKind::load:
        case NodeKind::store:
        case NodeKind::place:
        case NodeKind::threads:
        case NodeKind::exchange: return one_of({"aux"});  // aux2 is in the number of operands
        case NodeKind::write: return one_of({"aux", "imm"});
        case NodeKind::atomic: return one_of({"aux", "aux2"});
        case NodeKind::check: return one_of({"aux"});
        case NodeKind::branch: return one_of({"aux2"});
        case NodeKind::loop: return one_of({"fast", "aux2", "imm"});
        case NodeKind::loop_while: return false;
        case NodeKind::launch: return one_of({"imm"});  // its Launch is flipped itself
        case NodeKind::break_:
        case NodeKind::continue_:
        case NodeKind::return_: return false;
        case NodeKind::whole:
        case NodeKind::fold: return one_of({"aux"});
        case NodeKind::permute: return one_of({"imm"});
        case NodeKind::assign: return one_of({"aux"});
        case NodeKind::allocate: return one_of({"imm"});
    }
    return false;
}

/// Names, lines, and numbers by which parts of a kernel refer to each other: other numbers for the same
/// parts are the same kernel. What a function takes and gives is that of its calls.
bool is_no_part(const std::string& field) {
    static const std::set<std::string> none_of_it{
        "Kernel.name", "Kernel.files", "Kernel.locations", "Param.name", "Slot.name",
        "SourceLine.file", "SourceLine.line", "Stage.loc", "HostFunction.result",
        "HostFunction.params", "HostFunction.pure",
        // Lists of parts, which are flipped themselves, and which are told where they are used.
        "Kernel.functions", "Kernel.lanes", "Kernel.nodes", "Kernel.operands", "Kernel.blocks",
        "Kernel.parallel_loops", "Kernel.launches", "Kernel.trees", "Kernel.outlined",
        "Kernel.combines", "Launch.arguments", "Launch.kernel", "Argument.strides",
        // Each block has one owner: another one is no kernel.
        "Stage.body", "Kernel.prologue"};
    const std::size_t open = field.find('('), close = field.find(')');
    if (open == field.npos) return none_of_it.contains(field);
    return !has_field(static_cast<NodeKind>(std::stoi(field.substr(open + 1))),
                      field.substr(close + 2));
}

/// Whether a field is of no meaning beside the others of this part.
bool holds_nothing(const auto& part, const std::string& field) {
    using Part = std::remove_cvref_t<decltype(part)>;
    if constexpr (std::is_same_v<Part, Argument>) {
        using enum Argument::Kind;
        if (field == "Argument.combine") return part.kind != state;
        if (field == "Argument.reduction") return part.kind != total;
        if (field == "Argument.target")
            return part.kind == value || part.kind == first || part.kind == step;
    }
    if constexpr (std::is_same_v<Part, StageReduction>)
        return field == "StageReduction.reduction" && part.combine != none;
    if constexpr (std::is_same_v<Part, Kernel>)
        return field == "Kernel.scan" && part.form != Form::scan;
    return false;
}

// --- other values of a field ---

template <class T> std::vector<T> others(const T& v) {
    std::vector<T> all;
    if constexpr (std::is_same_v<T, bool>) {
        all = {!v};
    } else if constexpr (std::is_same_v<T, std::string>) {
        all = {v + "x"};
    } else if constexpr (std::is_same_v<T, std::optional<DType>>) {
        all = {std::nullopt, DType::i64, DType::f32};
    } else if constexpr (std::is_enum_v<T>) {
        for (int i = 0; i < 200; ++i) all.push_back(static_cast<T>(i));
        if constexpr (std::is_same_v<T, DType>) all.resize(dtype_count);
        if constexpr (std::is_same_v<T, Op>) all.resize(op_count);
        if constexpr (std::is_same_v<T, NodeKind>) all.resize(node_kinds);
        if constexpr (std::is_same_v<T, ir::Reduction>) all.resize(std::size(reduction_table));
        if constexpr (std::is_same_v<T, Access>) all.resize(6);
        if constexpr (std::is_same_v<T, Layout>) all.resize(3);
        if constexpr (std::is_same_v<T, ir::Schedule>) all.resize(4);
        if constexpr (std::is_same_v<T, Form>) all.resize(6);
        if constexpr (std::is_same_v<T, Argument::Kind>) all.resize(10);
    } else if constexpr (std::is_integral_v<T>) {
        all = {static_cast<T>(v + 1), static_cast<T>(v - 1), static_cast<T>(v + 2), T(0), T(1),
               static_cast<T>(~T(0))};
    } else if constexpr (requires { v.empty(); }) {
        if (v.empty()) {
            all = {T(1)};
        } else {
            T less = v, turned = v, more = v;
            less.pop_back();
            std::rotate(turned.begin(), turned.begin() + 1, turned.end());
            more.push_back(v.front());
            all = {less, turned, more};
        }
    }
    std::erase(all, v);
    return all;
}

// --- flipping ---

/// Whether all that a kernel refers to is there: what holds of any kernel in memory, so that verify() may
/// look at it.
bool refers_to_what_is_there(const Kernel& k) {
    const auto within = [](std::size_t at, const auto& list) { return at < list.size(); };
    for (const Node& n : k.nodes) {
        if (n.first_operand + n.operand_count > k.operands.size()) return false;
        const bool is_tree = n.kind == NodeKind::loop || n.kind == NodeKind::launch;
        if (is_tree && n.imm > k.trees.size()) return false;
        switch (n.kind) {
            case NodeKind::param:
            case NodeKind::extent:
            case NodeKind::load:
            case NodeKind::store:
            case NodeKind::atomic:
            case NodeKind::exchange:
            case NodeKind::whole:
            case NodeKind::assign:
            case NodeKind::allocate:
                if (!within(n.aux, k.params)) return false;
                if (n.kind == NodeKind::atomic && n.aux2 >= std::size(reduction_table))
                    return false;
                break;
            case NodeKind::read:
            case NodeKind::write:
                if (!within(n.aux, k.slots) || n.imm > k.combines.size()) return false;
                break;
            case NodeKind::call:
            case NodeKind::call_pure:
                if (!within(n.aux, k.functions)) return false;
                break;
            case NodeKind::place:
            case NodeKind::threads:
                if (n.aux >= std::size(ir::simt_table)) return false;
                break;
            case NodeKind::check:
                if (n.aux >= 6 || !within(n.aux2, k.params)) return false;
                break;
            case NodeKind::fold:
                if (n.aux >= std::size(reduction_table)) return false;
                break;
            case NodeKind::branch:
            case NodeKind::loop_while:
                if (!within(n.aux, k.blocks) || (n.aux2 != none && !within(n.aux2, k.blocks)))
                    return false;
                break;
            case NodeKind::loop:
                if (!within(n.aux, k.blocks) ||
                    (n.aux2 != none && !within(n.aux2, k.parallel_loops)))
                    return false;
                break;
            case NodeKind::launch:
                if (!within(n.aux, k.launches) || (n.aux2 != none && !within(n.aux2, k.blocks)))
                    return false;
                break;
            case NodeKind::constant:
            case NodeKind::index:
            case NodeKind::op:
            case NodeKind::cast:
            case NodeKind::contribute:
            case NodeKind::break_:
            case NodeKind::continue_:
            case NodeKind::return_:
            case NodeKind::permute: break;
        }
    }
    const auto ids = [&](const std::vector<Id>& list) {
        return std::ranges::all_of(list, [&](Id id) { return id == none || within(id, k.nodes); });
    };
    if (!ids(k.operands) || (k.prologue != none && !within(k.prologue, k.blocks))) return false;
    for (const Block& b : k.blocks)
        if (!ids(b.nodes)) return false;
    const auto all_within = [&](const auto& list, const auto& targets) {
        return std::ranges::all_of(list, [&](std::uint32_t at) { return within(at, targets); });
    };
    const auto reduce = [&](const std::vector<StageReduction>& list) {
        return std::ranges::all_of(list, [&](const StageReduction& r) {
            return within(r.target, k.slots) &&
                   (r.combine == none || within(r.combine, k.combines));
        });
    };
    for (const Stage& stage : k.stages)
        if (!ids(stage.extents) || !within(stage.body, k.blocks) || !reduce(stage.reductions))
            return false;
    for (const ParallelLoop& loop : k.parallel_loops) {
        if (!reduce(loop.reductions)) return false;
        for (const ArrayReduction& r : loop.arrays)
            if (!within(r.target, k.params)) return false;
    }
    for (const Tree& tree : k.trees)
        if (!all_within(tree.sums, k.slots)) return false;
    for (const Launch& l : k.launches) {
        if (!within(l.kernel, k.outlined) || !all_within(l.streams, k.params) ||
            (l.parallel != none && !within(l.parallel, k.parallel_loops)))
            return false;
        for (const Argument& a : l.arguments)
            if (a.target != none &&
                !(a.has_slot() ? within(a.target, k.slots) : within(a.target, k.params)))
                return false;
    }
    return std::ranges::all_of(k.outlined, refers_to_what_is_there) &&
           std::ranges::all_of(k.combines, refers_to_what_is_there);
}

std::string key_of(const Kernel& kernel) {
    const engine::CompileOptions options;
    return engine::portable_key(engine::content_key(kernel, options, "cpu"), kernel, options,
                                "cpu");
}

struct Seen {
    std::size_t changed = 0, same = 0;
    std::string example = {};
};
using Fields = std::map<std::string, Seen>;

/// Flips each field of `part`, which is a part of `whole`, in all ways that leave a kernel that verifies.
template <class Part> void flip(Kernel& whole, Part& part, const std::string& key, Fields& seen) {
    each_field(part, [&](const std::string& name, auto& field) {
        if (holds_nothing(part, name)) return;
        using Field = std::remove_reference_t<decltype(field)>;
        Seen& of = seen[name];
        const Field before = field;
        [[maybe_unused]] bool is_state =
            false;  // one of several values, which the first one tells of
        if constexpr (std::is_same_v<Part, StageReduction>) is_state = part.combine != none;
        for (const Field& other : others(before)) {
            field = other;
            // Other types are no kernel, but a text; other parts are a text only where they are a kernel.
            const auto ends = [&](const char* end) { return name.ends_with(end); };
            bool is_text = ends(".dtype") || ends(".op") || ends(".reduction") || ends(".form") ||
                           ends(".streams") || ends(".arrays") || ends(".reductions") ||
                           ends(".sums") || ends("Launch.parallel") || ends("Argument.combine");
            if constexpr (std::is_same_v<Part, StageReduction>)
                is_text = is_text || (ends(".combine") && !is_state);
            if constexpr (std::is_same_v<Part, Node>) {
                if (part.kind == NodeKind::constant)
                    is_text = is_text && !is_complex(part.dtype) &&
                              (part.dtype != DType::bool_ || part.imm <= 1);
                const bool refers = ends(".aux") || ends(".aux2") || ends(".imm");
                if (refers && part.kind == NodeKind::loop)
                    is_text = !ends(".aux");
                else if (refers &&
                         (part.kind == NodeKind::launch || part.kind == NodeKind::permute))
                    is_text = ends(".imm");
                else if (refers && part.kind == NodeKind::exchange)
                    is_text = ends(".aux");
                else if (refers && part.kind == NodeKind::branch)
                    is_text = ends(".aux2") && part.aux2 == none;  // without its other arm
                else if (ends(".aux") || ends(".aux2"))
                    is_text =
                        info(part.kind).blocks == BlockForm::none && part.kind != NodeKind::check;
            }
            if (refers_to_what_is_there(whole) && (is_text || verify(whole).empty())) {
                const bool is_same = key_of(whole) == key;
                (is_same ? of.same : of.changed) += 1;
                if (is_same) of.example = print(whole);
            }
            field = before;
        }
    });
}

void flip_all(Kernel& whole, Kernel& part, const std::string& key, Fields& seen) {
    flip(whole, part, key, seen);
    flip(whole, part.lanes, key, seen);
    const auto each = [&](auto& list) {
        for (auto& item : list) flip(whole, item, key, seen);
    };
    each(part.params), each(part.slots), each(part.functions), each(part.blocks), each(part.nodes);
    each(part.stages), each(part.parallel_loops), each(part.launches), each(part.trees);
    each(part.locations);
    for (Stage& stage : part.stages) each(stage.reductions);
    for (ParallelLoop& loop : part.parallel_loops) each(loop.reductions), each(loop.arrays);
    for (Launch& launch : part.launches) each(launch.arguments);
    for (Kernel& outlined : part.outlined) flip_all(whole, outlined, key, seen);
    for (Kernel& combine : part.combines) flip_all(whole, combine, key, seen);
}

// --- kernels with one of everything ---

/// As traced, and after the passes.
void add(std::vector<Kernel>& all, const auto& kernel, const std::vector<ArgType>& types) {
    all.push_back(test::kernel(kernel.inspect(Artifact::ir, types)));
    const std::string passes = kernel.inspect(Artifact::passes, types);
    const std::size_t last = passes.rfind("; after ");
    if (last != passes.npos)
        all.push_back(test::kernel(passes.substr(passes.find('\n', last) + 1)));
}

double half(double x) { return x / 2; }

std::vector<Kernel> kernels() {
    std::vector<Kernel> all;
    all.push_back(test::kernel(R"(
kernel total(x: in i32[2], n: value i64, total: out i64, least: out i32) reduce {
  slot s: i64
  slot m: i32
  prologue {
    %9 = add i64 n, i64(1)
  }
  stage [] {
    write s, i64(10)
    write m, i32(7)
  }
  stage [%9, extent(x, 1)] parallel sum -> s, min -> m {
    %0 = load i32 x[i0, i1]
    %1 = cast i64 %0
    contribute 0, %1
    %2 = gt bool %0, i32(0)
    if %2 {
      contribute 1, %0
    }
  }
  stage [] {
    %3 = read i64 s
    store total, %3
    %4 = read i32 m
    store least, %4
  }
}
)"));
    all.push_back(test::kernel(R"(
kernel first(x: in f64[1], y: out f64[1]) {
  stage [extent(x, 0)] {
    %0 = load f64 x[i0]
    %1 = gt bool %0, f64(1)
    if %1 {
      store y[i0], %0
      return
    } else {
      store y[i0], f64(0)
    }
    store y[i0], f64(2)
  }
}
)"));
    add(all,
        vectorize([](Value x, Value y) { return select(x > 2, x / y, sin(x)); },
                  {.fastmath = true, .checked = true}),
        {{DType::i32, 1}, {DType::f32, 0}});
    const auto pure = host_function("pure", &half, {.pure = true});
    const auto calls = host_function("calls", &half);
    add(all, jit([=](In x, Out y, InOut c, Value n) {
            Var total(f64, 0), least(f64, 9), place(i64, 0);
            for (Index i : prange(x.extent(0))) {
                total += x(i) * 3;
                reduce_argmin(least, place, x(i), i);
            }
            Local ring(f64, 4);
            for (Index i : range(n)) {
                ring(i % 4) = pure(x(i)) + calls(x(i));
                if_(x(i) > 2.0, [] { break_(); }).else_([] { continue_(); });
            }
            atomic_add(c(0), 1);
            Var left(i64, n);
            while_([&] { return left > 0; }, [&] { left -= 1; });
            y(0) = total + least + ring(1) + place + left;
        }),
        {{DType::f64, 1}, {DType::f64, 1}, {DType::i32, 1}, {DType::i64, 0}});
    add(all,
        jit(
            [](In a, Out b, Out c) {
                Scratch t(exp(a) + transpose(a));
                b = sum(t, {.axis = 0});
                c.slice({1, -1}) = max(t.slice({1, -1}), {.axis = 1});
            },
            {.parallel = true, .checked = true}),
        {{DType::f64, 2}, {DType::f64, 1}, {DType::f64, 1}});
    add(all, cuda::kernel([](In x, InOut c) {
            auto part = cuda::shared<float>(64), more = cuda::dynamic_shared<float>(c.extent(0));
            const Value t = cuda::thread_idx();
            part(t) = x(cuda::grid());
            more(t) = 0;
            cuda::sync_threads();
            if_(cuda::sync_threads_or(part(t) > 1), [&] {
                c(0) = cuda::atomic_exchange(c(1), 3);
                cuda::atomic_compare_exchange(c(2), 1, 2);
            });
            atomic_add(c(3), cast<int>(cuda::shuffle_down(part(t), 1) + more(t)));
        }),
        {{DType::f32, 1}, {DType::i32, 1}});
    return all;
}

}  // namespace

TEST_CASE("flipping any field of a kernel changes its key", "[jit][cache]") {
    Fields seen;
    std::set<NodeKind> kinds;
    for (Kernel& kernel : kernels()) {
        const std::string key = key_of(kernel);
        flip_all(kernel, kernel, key, seen);
        for (const Node& n : kernel.nodes) kinds.insert(n.kind);
    }
    for (std::size_t kind = 0; kind < node_kinds; ++kind) {
        CAPTURE(info(static_cast<NodeKind>(kind)).word);
        CHECK(kinds.contains(static_cast<NodeKind>(kind)));
    }
    for (const auto& [name, of] : seen) {
        CAPTURE(name, of.changed, of.same, of.example);
        if (is_no_part(name)) continue;
        CHECK(of.changed > 0);
        CHECK(of.same == 0);
    }
}
