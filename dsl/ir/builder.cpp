#include "dsl/ir/builder.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <complex>

#include <fmt/format.h>

namespace kiln::ir {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    return hash ^ (hash >> 29);
}

std::uint64_t hash_of(const Node& n, std::span<const Id> operands) {
    std::uint64_t h =
        mix(0x243f6a8885a308d3ULL, std::uint64_t(n.kind) | std::uint64_t(n.op) << 8 |
                                       std::uint64_t(n.dtype) << 16 | std::uint64_t(n.rank) << 24 |
                                       std::uint64_t(n.fast) << 32 | std::uint64_t(n.weak) << 40);
    h = mix(mix(h, std::uint64_t(n.aux) | std::uint64_t(n.aux2) << 32), n.imm);
    for (const Id id : operands) h = mix(h, id);
    return h;
}

}  // namespace

Builder::Builder(std::string name) {
    kernel_.name = std::move(name);
    kernel_.locations.push_back({});
    kernel_.files.emplace_back();
}

Kernel Builder::finish() {
    assert(open_.empty());
    return std::move(kernel_);
}

void Builder::set_form(Form form, Reduction scan) {
    kernel_.form = form;
    kernel_.scan = scan;
}

std::uint32_t Builder::add_param(Param param) {
    kernel_.params.push_back(std::move(param));
    return static_cast<std::uint32_t>(kernel_.params.size() - 1);
}

std::uint32_t Builder::add_slot(Slot slot) {
    kernel_.slots.push_back(std::move(slot));
    return static_cast<std::uint32_t>(kernel_.slots.size() - 1);
}

void Builder::set_location(const Location& where) {
    if (where.line == 0) {
        loc_ = 0;
        return;
    }
    auto file = std::find(kernel_.files.begin() + 1, kernel_.files.end(), where.file);
    if (file == kernel_.files.end()) file = kernel_.files.insert(file, std::string(where.file));
    const auto index = static_cast<std::uint32_t>(file - kernel_.files.begin());
    const auto key = [](std::uint32_t in, std::uint32_t line) {
        return std::uint64_t(in) << 32 | line;
    };
    // Copied tables get ids here, since most passes name no new line.
    if (location_ids_.size() + 1 < kernel_.locations.size())
        for (std::uint32_t i = 1; i < kernel_.locations.size(); ++i)
            location_ids_.emplace(key(kernel_.locations[i].file, kernel_.locations[i].line), i);
    const auto [at, added] = location_ids_.try_emplace(
        key(index, where.line), static_cast<std::uint32_t>(kernel_.locations.size()));
    if (added) kernel_.locations.push_back({index, where.line});
    loc_ = at->second;
}

void Builder::copy_location_tables(const Kernel& from) {
    kernel_.files = from.files;
    kernel_.locations = from.locations;
    location_ids_.clear();
    // What is built next is like `from`, or a part of it.
    constexpr std::size_t most = 1024;
    kernel_.nodes.reserve(std::min(from.nodes.size(), most));
    kernel_.operands.reserve(std::min(from.operands.size(), most));
    block_of_.reserve(std::min(from.nodes.size(), most));
    interned_.reserve(std::min(from.nodes.size(), most));
}

// ------------------------------------------------------------------------------ making nodes

Id Builder::make(const Node& node, std::span<const Id> operands) {
    const auto id = static_cast<Id>(kernel_.nodes.size());
    Node n = node;
    n.loc = is_leaf(n.kind) ? 0 : loc_;
    n.first_operand = operands.empty() ? 0 : static_cast<std::uint32_t>(kernel_.operands.size());
    n.operand_count = static_cast<std::uint16_t>(operands.size());
    kernel_.operands.insert(kernel_.operands.end(), operands.begin(), operands.end());
    kernel_.nodes.push_back(n);
    if (is_leaf(n.kind)) {
        block_of_.push_back(none);
    } else {
        assert(!open_.empty());
        block_of_.push_back(open_.back().block);
        kernel_.blocks[open_.back().block].nodes.push_back(id);
    }
    if (n.rank != 0 || kernel_.nodes.size() > limits_.nodes) check_limits(id);
    return id;
}

void Builder::check_limits(Id made) {
    const Location where = kernel_.location(loc_);
    if (kernel_.nodes.size() > limits_.nodes)
        throw Error(ErrorKind::usage,
                    fmt::format("{} has more than {} operations", kernel_.name, limits_.nodes),
                    where,
                    "C++ loops repeat what they hold: write for (Index i : range(n)), or make "
                    "several kernels");
    if (limits_.array_depth == Limits().array_depth) return;
    std::uint32_t depth = 0;
    for (const Id operand : kernel_.operands_of(made))
        if (kernel_.nodes[operand].rank != 0) depth = std::max(depth, array_depth_[operand]);
    array_depth_.resize(made + std::size_t(1), 0);
    array_depth_[made] = ++depth;
    if (depth > limits_.array_depth)
        throw Error(ErrorKind::usage,
                    fmt::format("a value of whole arrays is made by more than {} operations, each "
                                "on the result of the one before",
                                limits_.array_depth),
                    where, "assign what it is made of to an array: Scratch s(value)");
}

Id Builder::append(Node node, std::span<const Id> operands) {
    for (const Id operand : operands) {
        assert(operand == none || visible(operand));
        static_cast<void>(operand);
    }
    return make(node, operands);
}

Id Builder::intern(Node node, std::span<const Id> operands) {
    const std::uint64_t hash = hash_of(node, operands);
    const auto [first, last] = interned_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
        const Node& have = kernel_.nodes[it->second];
        const auto same = [&](const Node& n) {
            return have.kind == n.kind && have.op == n.op && have.dtype == n.dtype &&
                   have.rank == n.rank && have.fast == n.fast && have.weak == n.weak &&
                   have.aux == n.aux && have.aux2 == n.aux2 && have.imm == n.imm &&
                   std::ranges::equal(kernel_.operands_of(have), operands);
        };
        const Id block = block_of_[it->second];
        if (same(node) && (block == none || is_open_[block])) return it->second;
    }
    const Id id = make(node, operands);
    interned_.emplace(hash, id);
    return id;
}

Id Builder::constant(const Scalar& value) {
    if (is_complex(value.dtype)) {
        const bool wide = value.dtype == DType::c128;
        const auto z = wide ? value.get<std::complex<double>>()
                            : std::complex<double>(value.get<std::complex<float>>());
        const DType part = real_type(value.dtype);
        const auto real = constant(Scalar::of(z.real()).cast(part));
        const auto imag = constant(Scalar::of(z.imag()).cast(part));
        const Id parts[] = {real, imag};
        return op(Op::make_complex, value.dtype, parts, 0, value.weak);
    }
    Node n;
    n.kind = NodeKind::constant;
    n.dtype = value.dtype;
    n.weak = value.weak;
    std::memcpy(&n.imm, value.bytes.data(), size_of(value.dtype));
    return intern(n, {});
}

Id Builder::op(Op op, DType result, std::span<const Id> operands, std::uint8_t fast, bool weak) {
    Node n;
    n.kind = NodeKind::op;
    n.op = op;
    n.dtype = result;
    n.fast = fast;
    n.weak = weak;
    for (const Id id : operands) n.rank = std::max(n.rank, node(id).rank);
    return intern(n, operands);
}

Id Builder::convert(Id value, DType to, bool weak) {
    if (node(value).dtype == to && node(value).weak == weak) return value;
    if (node(value).kind == NodeKind::constant) {
        Scalar s = kernel_.constant(value).cast(to);
        s.weak = weak;
        return constant(s);
    }
    Node n;
    n.kind = NodeKind::cast;
    n.dtype = to;
    n.rank = node(value).rank;
    n.weak = weak;
    return intern(n, std::span(&value, 1));
}

Id Builder::param(std::uint32_t param) {
    Node n;
    n.kind = NodeKind::param;
    n.dtype = kernel_.params[param].dtype;
    n.weak = kernel_.params[param].weak;
    n.aux = param;
    return intern(n, {});
}

Id Builder::extent(std::uint32_t param, std::uint32_t dimension) {
    Node n;
    n.kind = NodeKind::extent;
    n.dtype = DType::i64;
    n.aux = param;
    n.aux2 = dimension;
    return intern(n, {});
}

Id Builder::index(std::uint32_t dimension) {
    Node n;
    n.kind = NodeKind::index;
    n.dtype = DType::i64;
    n.aux = dimension;
    return intern(n, {});
}

Id Builder::load(std::uint32_t param, std::span<const Id> subscripts) {
    Node n;
    n.kind = NodeKind::load;
    n.dtype = kernel_.params[param].dtype;
    n.weak = kernel_.params[param].weak;
    n.aux = param;
    return append(n, subscripts);
}

Id Builder::read(std::uint32_t slot, Id position) {
    Node n;
    n.kind = NodeKind::read;
    n.dtype = kernel_.slots[slot].dtype;
    n.aux = slot;
    return append(n, position == none ? std::span<const Id>{} : std::span<const Id>(&position, 1));
}

void Builder::store(std::uint32_t param, std::span<const Id> subscripts, Id value) {
    assert(dtype(value) == kernel_.params[param].dtype);
    Node n;
    n.kind = NodeKind::store;
    n.aux = param;
    std::vector<Id> operands(subscripts.begin(), subscripts.end());
    operands.push_back(value);
    append(n, operands);
}

void Builder::write(std::uint32_t slot, Id value, Id position, std::uint32_t combine) {
    assert(dtype(value) == kernel_.slots[slot].dtype);
    Node n;
    n.kind = NodeKind::write;
    n.aux = slot;
    n.imm = combine == none ? 0 : std::uint64_t(combine) + 1;
    const Id operands[] = {position, value};
    append(n, position == none ? std::span<const Id>(operands + 1, 1)
                               : std::span<const Id>(operands, 2));
}

Id Builder::atomic(Reduction reduction, std::uint32_t param, std::span<const Id> subscripts,
                   Id value) {
    assert(dtype(value) == kernel_.params[param].dtype);
    Node n;
    n.kind = NodeKind::atomic;
    n.dtype = kernel_.params[param].dtype;
    n.aux = param;
    n.aux2 = static_cast<std::uint32_t>(reduction);
    std::vector<Id> operands(subscripts.begin(), subscripts.end());
    operands.push_back(value);
    return append(n, operands);
}

Id Builder::place(Simt which) {
    assert(info(which).result == SimtInfo::Result::place);
    Node n;
    n.kind = NodeKind::place;
    n.dtype = DType::i64;
    n.aux = static_cast<std::uint32_t>(which);
    return append(n, {});
}

Id Builder::threads(Simt what, std::span<const Id> operands) {
    Node n;
    n.kind = NodeKind::threads;
    n.aux = static_cast<std::uint32_t>(what);
    const SimtInfo& row = info(what);
    assert(operands.size() == row.operands.size());
    const std::size_t value = row.operands.find('v');
    if (const auto t =
            simt_result(what, value == row.operands.npos ? DType::bool_ : dtype(operands[value])))
        n.dtype = *t;
    const Id made = append(n, operands);
    return row.result == SimtInfo::Result::nothing ? none : made;
}

Id Builder::exchange(std::uint32_t param, std::span<const Id> subscripts, Id expected, Id value) {
    Node n;
    n.kind = NodeKind::exchange;
    n.dtype = kernel_.params[param].dtype;
    n.aux = param;
    n.aux2 = expected == none ? 0 : 1;
    std::vector<Id> operands(subscripts.begin(), subscripts.end());
    if (expected != none) operands.push_back(expected);
    operands.push_back(value);
    return append(n, operands);
}

std::uint32_t Builder::add_function(const HostFunction& function) {
    const auto found = std::ranges::find(kernel_.functions, function);
    const auto number = static_cast<std::uint32_t>(found - kernel_.functions.begin());
    if (found == kernel_.functions.end()) kernel_.functions.push_back(function);
    return number;
}

Id Builder::call(std::uint32_t function, std::span<const Id> arguments) {
    const HostFunction& f = kernel_.functions[function];
    assert(std::ranges::equal(arguments, f.params, {}, [this](Id id) { return dtype(id); }));
    Node n;
    n.kind = f.pure ? NodeKind::call_pure : NodeKind::call;
    n.dtype = f.result.value_or(DType::bool_);
    n.aux = function;
    return f.pure ? intern(n, arguments) : append(n, arguments);
}

void Builder::contribute(std::uint32_t reduction, Id value) {
    Node n;
    n.kind = NodeKind::contribute;
    n.aux = reduction;
    append(n, std::span(&value, 1));
}

void Builder::check(Check check, Id ok, std::span<const Id> first, std::span<const Id> second,
                    std::uint32_t param) {
    Node n;
    n.kind = NodeKind::check;
    n.aux = static_cast<std::uint32_t>(check);
    n.aux2 = param;
    n.imm = first.size();
    std::vector<Id> operands{ok};
    operands.insert(operands.end(), first.begin(), first.end());
    operands.insert(operands.end(), second.begin(), second.end());
    append(n, operands);
}

void Builder::bare(NodeKind kind) {
    assert(is_bare(kind));
    assert((info(kind).does & (effect::breaks | effect::continues)) == 0 || in_loop());
    Node n;
    n.kind = kind;
    append(n, {});
}

Id Builder::whole(std::uint32_t param, std::span<const Id> slice, std::uint64_t dropped) {
    Node n;
    n.kind = NodeKind::whole;
    n.dtype = kernel_.params[param].dtype;
    n.rank = static_cast<std::uint8_t>(kernel_.params[param].rank - std::popcount(dropped));
    n.aux = param;
    n.imm = dropped;
    return append(n, slice);  // ordered: its elements may be stored to later
}

Id Builder::permute(Id array, std::span<const std::uint64_t> axes) {
    Node n;
    n.kind = NodeKind::permute;
    n.dtype = dtype(array);
    n.rank = static_cast<std::uint8_t>(axes.size());
    for (std::size_t i = 0; i < axes.size(); ++i) n.imm |= axes[i] << (4 * i);
    return intern(n, std::span(&array, 1));
}

Id Builder::fold(Reduction reduction, Id array, std::uint64_t axes) {
    Node n;
    n.kind = NodeKind::fold;
    n.dtype = dtype(array);
    n.rank = static_cast<std::uint8_t>(node(array).rank - std::popcount(axes));
    n.aux = static_cast<std::uint32_t>(reduction);
    n.imm = axes;
    return append(n, std::span(&array, 1));
}

void Builder::assign(std::uint32_t param, std::span<const Id> slice, std::uint64_t dropped,
                     Id value) {
    assert(dtype(value) == kernel_.params[param].dtype);
    Node n;
    n.kind = NodeKind::assign;
    n.aux = param;
    n.imm = dropped;
    std::vector<Id> operands(slice.begin(), slice.end());
    operands.push_back(value);
    append(n, operands);
}

void Builder::allocate(std::uint32_t param, std::span<const Id> extents, bool dynamic) {
    assert(is_made_by_kernel(kernel_.params[param].access));
    Node n;
    n.kind = NodeKind::allocate;
    n.aux = param;
    n.imm = dynamic ? 1 : 0;
    append(n, extents);
}

// -------------------------------------------------------------------------------- structure

Id Builder::new_block() {
    kernel_.blocks.emplace_back();
    is_open_.push_back(false);
    return static_cast<Id>(kernel_.blocks.size() - 1);
}

void Builder::open(Opened what, Id owner) {
    if (open_.size() > limits_.blocks)
        throw Error(ErrorKind::usage,
                    fmt::format("more than {} if_ and loops stand in each other", limits_.blocks),
                    kernel_.location(loc_), "make one condition of several, or one loop");
    const Id block = new_block();
    is_open_[block] = true;
    open_.push_back({what, block, owner});
}

void Builder::begin_prologue() {
    assert(open_.empty() && kernel_.prologue == none);
    open(Opened::prologue, none);
    kernel_.prologue = open_.back().block;
}

void Builder::begin_stage(std::span<const Id> extents, bool parallel) {
    assert(open_.empty());
    open(Opened::stage, none);
    Stage stage;
    stage.extents.assign(extents.begin(), extents.end());
    stage.body = open_.back().block;
    stage.parallel = parallel;
    stage.loc = loc_;
    kernel_.stages.push_back(std::move(stage));
}

std::uint32_t Builder::add_reduction(StageReduction reduction) {
    assert(!open_.empty() && open_.front().what == Opened::stage);
    auto& reductions = kernel_.stages.back().reductions;
    reductions.push_back(reduction);
    return static_cast<std::uint32_t>(reductions.size() - 1);
}

void Builder::begin_branch(Id condition) {
    assert(is_bool(dtype(condition)));
    Node n;
    n.kind = NodeKind::branch;
    n.aux2 = none;
    const Id id = append(n, std::span(&condition, 1));
    open(Opened::then_block, id);
    kernel_.nodes[id].aux = open_.back().block;
}

void Builder::begin_else() {
    assert(!open_.empty() && open_.back().what == Opened::then_block);
    const Id id = open_.back().owner;
    is_open_[open_.back().block] = false;
    open_.pop_back();
    open(Opened::else_block, id);
    kernel_.nodes[id].aux2 = open_.back().block;
}

Id Builder::begin_loop(Id begin, Id end, Id step, std::uint8_t flags) {
    Node n;
    n.kind = NodeKind::loop;
    n.dtype = DType::i64;
    n.fast = flags;
    n.aux2 = none;
    const Id operands[] = {begin, end, step};
    const Id id = append(n, operands);
    open(Opened::loop, id);
    kernel_.nodes[id].aux = open_.back().block;
    return id;
}

Id Builder::begin_parallel_loop(Id begin, Id end, Id step, ParallelLoop parallel,
                                std::uint8_t flags) {
    const Id id = begin_loop(begin, end, step, flags);
    kernel_.nodes[id].aux2 = static_cast<std::uint32_t>(kernel_.parallel_loops.size());
    kernel_.parallel_loops.push_back(std::move(parallel));
    return id;
}

bool Builder::in_parallel_loop() const {
    return std::ranges::any_of(open_, [this](const Open& o) {
        return o.what == Opened::loop && kernel_.nodes[o.owner].aux2 != none;
    });
}

bool Builder::innermost_loop_is_parallel() const {
    for (std::size_t i = open_.size(); i-- > 0;) {
        if (open_[i].what == Opened::while_body) return false;
        if (open_[i].what == Opened::loop) return kernel_.nodes[open_[i].owner].aux2 != none;
    }
    return false;
}

static std::uint32_t add_to(std::vector<Kernel>& kernels, Kernel kernel) {
    const auto known = std::ranges::find(kernels, kernel);
    const auto number = static_cast<std::uint32_t>(known - kernels.begin());
    if (known == kernels.end()) kernels.push_back(std::move(kernel));
    return number;
}
std::uint32_t Builder::add_outlined(Kernel kernel) {
    return add_to(kernel_.outlined, std::move(kernel));
}
std::uint32_t Builder::add_combine(Kernel kernel) {
    return add_to(kernel_.combines, std::move(kernel));
}

Id Builder::launch(Launch launch, const ParallelLoop* parallel, std::span<const Id> operands) {
    Node n;
    n.kind = NodeKind::launch;
    n.aux = static_cast<std::uint32_t>(kernel_.launches.size());
    n.aux2 = none;
    launch.parallel = none;
    if (parallel != nullptr) {
        launch.parallel = static_cast<std::uint32_t>(kernel_.parallel_loops.size());
        kernel_.parallel_loops.push_back(*parallel);
    }
    kernel_.launches.push_back(std::move(launch));
    return append(n, operands);
}

Id Builder::begin_streamed_launch(Launch launch, const ParallelLoop* parallel,
                                  std::span<const Id> operands) {
    assert(!launch.streams.empty());
    const Id id = this->launch(std::move(launch), parallel, operands);
    open(Opened::small_arrays, id);
    kernel_.nodes[id].aux2 = open_.back().block;
    return id;
}

void Builder::set_tree(Id loop, Tree tree) {
    assert(kernel_.nodes[loop].imm == 0);
    kernel_.trees.push_back(std::move(tree));
    kernel_.nodes[loop].imm = kernel_.trees.size();
}

void Builder::begin_while_condition() {
    Node n;
    n.kind = NodeKind::loop_while;
    const Id condition = none;  // known when the condition's block is closed
    const Id id = append(n, std::span(&condition, 1));
    open(Opened::while_condition, id);
    kernel_.nodes[id].aux = open_.back().block;
}

void Builder::begin_while_body(Id condition) {
    assert(!open_.empty() && open_.back().what == Opened::while_condition);
    assert(is_bool(dtype(condition)) && visible(condition));
    const Id id = open_.back().owner;
    kernel_.operands[kernel_.nodes[id].first_operand] = condition;
    is_open_[open_.back().block] = false;
    open_.pop_back();
    open(Opened::while_body, id);
    kernel_.nodes[id].aux2 = open_.back().block;
}

void Builder::end() {
    assert(!open_.empty() && open_.back().what != Opened::while_condition);
    is_open_[open_.back().block] = false;
    open_.pop_back();
}

bool Builder::in_loop() const {
    return std::ranges::any_of(open_, [](const Open& o) {
        return o.what == Opened::loop || o.what == Opened::while_body;
    });
}

bool Builder::visible(Id value) const {
    const Node& n = kernel_.nodes[value];
    if (is_leaf(n.kind)) return true;
    return is_open_[n.kind == NodeKind::loop ? n.aux : block_of_[value]];
}

}  // namespace kiln::ir
