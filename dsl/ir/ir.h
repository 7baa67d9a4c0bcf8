// The intermediate representation: a kernel as a plain value.
//
// Semantics (each sentence is pinned by a test; user-level meaning is in the README of dsl/):
//  - Integers are two's complement and wrap. `div`, `rem`, `floor_divide`, `mod` by zero give 0,
//    the smallest integer divided by -1 gives itself, and nothing traps, in masked-off lanes too.
//  - `shl` and logical `shr` by an amount outside [0, width) give 0,
//    arithmetic `shr` gives 0 or -1.
//  - Operations are strict: each rounds once, to its dtype, and NaN, infinities and signed zeros
//    follow IEEE 754, unless the node carries a Fast flag that lifts just that. `isnan`, `isinf`,
//    `isfinite` and `ne` of a value with itself are never affected by flags.
//  - Real to integer conversion saturates and maps NaN to 0; integers convert by wrapping; anything
//    converts to bool by != 0; complex to real drops the imaginary part.
//  - `select` evaluates both alternatives.
//  - Nodes of a block run in the order in which the block lists them; pure nodes have no effects, so
//    that order matters for loads, reads and effects only.
//  - Distinct array parameters may overlap; a load sees the stores that precede it.
//  - Iterations of a parallel stage or loop are independent; a stage's iterations are otherwise in
//    row-major order. Reductions combine over a fixed tree of the iteration space, which passes
//    decide (Lanes, Tree). A reduction of a parallel loop starts from the identity in each block;
//    what its slot held before the loop is combined in once.
//  - A step of 0 makes a loop of no iterations.
//  - A `call` runs once wherever the kernel's text makes it, in the order of the iteration's other
//    effects. It touches no memory of the kernel. What it throws is recorded as a failed check is,
//    and its value is then 0.
//  - A `check` that fails records itself; the lowest iteration that failed is reported. The
//    iteration goes on, and every other element is computed; but a check of shapes ends the run.
//  - `whole` is the array as it is where the node stands: later stores do not change the value. An
//    `assign` evaluates its value for all elements before it stores the first one. Extents meet as
//    NumPy's do: those of 1 repeat.
#pragma once
#include <kiln/dtype.h>
#include <kiln/error.h>

#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln::ir {

using Id = std::uint32_t;
inline constexpr Id none = ~Id(0);

/// How the operands of an operation convert and what its result is.
enum class Rule : std::uint8_t {
    arithmetic,          ///< promoted together; any dtype
    arithmetic_no_bool,  ///< the same; bool is refused
    real_arithmetic,     ///< promoted together to a real type (small integers to f16, f32)
    division,            ///< promoted together; bool computes in i8
    integer_division,    ///< the same; complex is refused
    true_division,       ///< integers and bool compute in f64
    rounding,            ///< integers and bool unchanged; complex is refused
    magnitude,           ///< complex gives its real type
    real_function,    ///< bool, i8, u8 -> f16; i16, u16 -> f32; wider integers -> f64; no complex
    real_or_complex,  ///< the same with complex allowed
    power,            ///< real_or_complex, except that integers stay integers
    comparison,       ///< bool result, exact for mixed signs; any dtype
    logical,          ///< operands become bool, bool result
    bitwise,          ///< bool and integers
    shift,            ///< integers; bool computes in i8
    predicate,        ///< bool result; any dtype
    choice,           ///< (bool, T, T) -> T
    pair,             ///< (R, R) -> complex of R
    part,             ///< complex -> its real type; real unchanged
};

enum class Op : std::uint8_t {
#define KILN_OPERATOR(id, arity, rule, cuda, doc) id,
#define KILN_NAMED(id, arity, rule, cuda, doc) id,
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) id,
#include <kiln/ops.def>
};

struct OpInfo {
    std::string_view name;
    std::uint8_t arity;
    Rule rule;
    std::string_view cuda;
    std::string_view sleef;  // "" unless an elementary function
    double ulp, fast_ulp;    // 0 unless an elementary function
    std::string_view doc;
};
inline constexpr OpInfo op_table[] = {
#define KILN_OPERATOR(id, arity, rule, cuda, doc) {#id, arity, Rule::rule, cuda, "", 0, 0, doc},
#define KILN_NAMED(id, arity, rule, cuda, doc) {#id, arity, Rule::rule, cuda, "", 0, 0, doc},
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    {#id, arity, Rule::rule, cuda, sleef, ulp, fast_ulp, doc},
#include <kiln/ops.def>
};
inline constexpr std::size_t op_count = sizeof op_table / sizeof op_table[0];
constexpr const OpInfo& info(Op op) { return op_table[static_cast<std::size_t>(op)]; }
constexpr bool is_elementary(Op op) { return !info(op).sleef.empty(); }

enum class Reduction : std::uint8_t {
#define KILN_REDUCTION(id, op, identity, reorderable, doc) id,
#include <kiln/reductions.def>
#undef KILN_REDUCTION
};
enum class Identity : std::uint8_t { zero, one, all_ones, none };
struct ReductionInfo {
    std::string_view name;
    Op op;
    Identity identity;
    bool reorderable;
    std::string_view doc;
};
inline constexpr ReductionInfo reduction_table[] = {
#define KILN_REDUCTION(id, op, identity, reorderable, doc) \
    {#id, Op::op, Identity::identity, reorderable, doc},
#include <kiln/reductions.def>
#undef KILN_REDUCTION
};
constexpr const ReductionInfo& info(Reduction r) {
    return reduction_table[static_cast<std::size_t>(r)];
}

/// What a relaxed operation may assume or do; the bits of Node::fast. Names and meaning are LLVM's.
namespace fast {
inline constexpr std::uint8_t nnan = 1, ninf = 2, nsz = 4, arcp = 8, contract = 16, afn = 32,
                              reassoc = 64;
inline constexpr std::uint8_t all = 127;
}  // namespace fast

/// What a counted loop says of itself; the bits of Node::fast.
namespace loop_flag {
/// It runs, one by one, the few iterations that a loop before it left, which takes several at once:
/// nothing is gained by taking several here too.
inline constexpr std::uint8_t remainder = 1;
/// A serial loop that may as well be a parallel one, where nothing depends on the order of its
/// iterations.
inline constexpr std::uint8_t shareable = 2;
inline constexpr std::uint8_t all = 3;
}  // namespace loop_flag

/// Kinds of nodes: nodes.def says what each is, and what its fields mean.
enum class NodeKind : std::uint8_t {
#define KILN_NODE(id, word, kind, does, blocks) id,
#include "dsl/ir/nodes.def"
#undef KILN_NODE
};
enum class NodeClass : std::uint8_t { leaf, pure, read, effect, bare };
enum class BlockForm : std::uint8_t { none, arms, body, condition_body, otherwise };

/// What a node touches when it runs; the bits of Effects::does (effects.h).
namespace effect {
using Mask = std::uint32_t;
inline constexpr Mask nothing = 0;
inline constexpr Mask loads = 1 << 0, stores = 1 << 1;  // of elements of an array
inline constexpr Mask allocates = 1 << 2;               // an array
inline constexpr Mask reads = 1 << 3, writes = 1 << 4;  // of a slot
inline constexpr Mask atomically = 1 << 5;
inline constexpr Mask all_elements = 1 << 6;                // array values
inline constexpr Mask calls_pure = 1 << 7, calls = 1 << 8;  // functions of the host
inline constexpr Mask contributes = 1 << 9;                 // to a reduction of the stage
inline constexpr Mask checks = 1 << 10;                     // may record a failure
inline constexpr Mask branches = 1 << 11;                   // some of its blocks run
inline constexpr Mask counts = 1 << 12, repeats = 1 << 13;  // a counted loop; one that may not end
inline constexpr Mask in_parallel = 1 << 14;                // a counted loop that is parallel
inline constexpr Mask breaks = 1 << 15, continues = 1 << 16, returns = 1 << 17;
inline constexpr Mask launches = 1 << 18;      // an outlined kernel: what its arguments say
inline constexpr Mask places = 1 << 19;        // which thread it is
inline constexpr Mask synchronises = 1 << 20;  // waits for other threads, or is seen by them
inline constexpr Mask jumps = breaks | continues | returns;
inline constexpr Mask loops = counts | repeats;
/// Elements and slots that are touched one by one, as a program of loops does.
inline constexpr Mask accesses = loads | stores | reads | writes;
}  // namespace effect

struct NodeInfo {
    std::string_view word;
    NodeClass kind;
    effect::Mask does;
    BlockForm blocks;
};
namespace table {
using namespace effect;
inline constexpr NodeInfo nodes[] = {
#define KILN_NODE(id, word, kind, does, blocks) {word, NodeClass::kind, does, BlockForm::blocks},
#include "dsl/ir/nodes.def"
#undef KILN_NODE
};
}  // namespace table
inline constexpr std::size_t node_kinds = std::size(table::nodes);
constexpr const NodeInfo& info(NodeKind k) { return table::nodes[static_cast<std::size_t>(k)]; }

// A slice: start, step and extent (i64) for each dimension of the parameter, step and extent of
// dimensions in the mask `imm` being 1: those are left out of the value.

/// The entry of a `permute` that makes an axis of extent 1.
inline constexpr std::uint64_t new_axis = 15;

/// What threads of a kernel of the form `threads` ask: simt.def.
enum class Simt : std::uint8_t {
#define KILN_SIMT(id, operands, result, cuda) id,
#include "dsl/ir/simt.def"
#undef KILN_SIMT
};
struct SimtInfo {
    enum class Result : std::uint8_t { nothing, place, count, flag, lanes, value };
    std::string_view name, operands;
    Result result;
    std::string_view cuda;
};
inline constexpr SimtInfo simt_table[] = {
#define KILN_SIMT(id, operands, result, cuda) {#id, operands, SimtInfo::Result::result, cuda},
#include "dsl/ir/simt.def"
#undef KILN_SIMT
};
constexpr const SimtInfo& info(Simt s) { return simt_table[static_cast<std::size_t>(s)]; }
/// What it gives, `value` being the dtype of its operand "v".
constexpr std::optional<DType> simt_result(Simt s, DType value) {
    switch (info(s).result) {
        case SimtInfo::Result::nothing: return std::nullopt;
        case SimtInfo::Result::place: return DType::i64;
        case SimtInfo::Result::count: return DType::i32;
        case SimtInfo::Result::flag: return DType::bool_;
        case SimtInfo::Result::lanes: return DType::u32;
        case SimtInfo::Result::value: return value;
    }
    return std::nullopt;
}

/// What a `check` node reports when it fails.
enum class Check : std::uint8_t {
    division_by_zero,  ///< integer division in checked mode
    negative_power,    ///< integer ** negative integer
    out_of_bounds,     ///< subscript in checked mode
    shapes,  ///< extents of operands of whole-array statements; further operands: those of the
             ///< first shape (imm of them), then those of the second
    empty,   ///< a reduction without identity of no elements
    outside_neighborhood,  ///< offsets of a stencil in checked mode: of array parameter aux2;
                           ///< further operands: the offsets (imm of them), then the lowest and the
                           ///< highest declared one of each dimension
};

/// What a check of shapes is about, as the last of the second shape; else that two do not broadcast.
enum class ShapeRule : std::int64_t { dot = -1, matmul = -2, reshape = -3, concatenate = -4 };

/// One node: a 32-byte record. Operands are a range of Kernel::operands.
struct Node {
    NodeKind kind = NodeKind::constant;
    Op op = Op::add;
    DType dtype = DType::bool_;  ///< of the value; bool_ for effects and structure
    std::uint8_t rank = 0;       ///< of the value
    std::uint8_t fast = 0;
    bool weak = false;  ///< the value is a plain C++ one: it brings only its kind into a promotion
    std::uint16_t operand_count = 0;
    std::uint32_t first_operand = 0;
    std::uint32_t aux = 0;
    std::uint32_t aux2 = 0;
    std::uint32_t loc = 0;  ///< index into Kernel::locations
    std::uint64_t imm = 0;
    bool operator==(const Node&) const = default;
};
static_assert(sizeof(Node) == 32);

constexpr bool is_leaf(NodeKind k) { return info(k).kind == NodeClass::leaf; }
constexpr bool is_pure(NodeKind k) { return is_leaf(k) || info(k).kind == NodeClass::pure; }
/// An effect that its kind alone says: no operands, no array, no value.
constexpr bool is_bare(NodeKind k) { return info(k).kind == NodeClass::bare; }
constexpr bool has_effect(NodeKind k) { return is_bare(k) || info(k).kind == NodeClass::effect; }

/// How a kernel uses a parameter: a scalar by value, or an array. `local` arrays are no arguments:
/// they are made by `allocate` nodes, of C order, and `result` ones are given to the caller.
enum class Access : std::uint8_t { value, in, out, inout, local, result };
constexpr bool is_made_by_kernel(Access a) { return a == Access::local || a == Access::result; }

/// What is known of an array parameter's byte stride along the last axis.
enum class Layout : std::uint8_t {
    strided,  ///< nothing
    unit,     ///< the size of one element
    uniform,  ///< 0: the same element for every iteration
};

struct Param {
    std::string name;
    DType dtype = DType::f64;
    std::uint8_t rank = 0;
    Access access = Access::value;
    Layout layout = Layout::strided;
    bool weak = false;
    bool operator==(const Param&) const = default;
};

/// A mutable local: one element, or a local array of `length` elements.
struct Slot {
    std::string name;
    DType dtype = DType::f64;
    std::uint32_t length = 1;
    bool operator==(const Slot&) const = default;
};

/// A function of the host program, which kernels call by its name. The values it takes and gives
/// are bool, integers, f32 and f64. A pure one depends on its arguments alone and does nothing
/// else: calls may be merged and dropped, but none is made where the kernel makes none.
struct HostFunction {
    std::string name;
    std::optional<DType> result = {};  ///< nothing: void
    std::vector<DType> params = {};
    bool pure = false;
    bool operator==(const HostFunction&) const = default;
};

struct Block {
    std::vector<Id> nodes;
    bool operator==(const Block&) const = default;
};

/// A reduction of a stage: contributions combine into slot `target`, whose value on entry is
/// combined in once, and which holds the result after the stage.
struct StageReduction {
    Reduction reduction = Reduction::sum;
    std::uint32_t target = 0;
    /// Where it isn't none, the target is a part of a state of several values, which combine
    /// together, by kernel `combine` of Kernel::combines: the parts follow each other, in its order.
    /// Iterations read and write the slots themselves, in place of contributions: they combine what
    /// the slots hold with values of their own (combines.h).
    std::uint32_t combine = none;
    bool operator==(const StageReduction&) const = default;
};

/// A reduction of a parallel loop into the elements of an array that the kernel made: they are set
/// to the value that changes no other (min, max: the greatest, least value of the dtype) where the
/// loop begins, and iterations accumulate by loads and stores of one element.
struct ArrayReduction {
    Reduction reduction = Reduction::sum;
    std::uint32_t target = 0;  ///< parameter
    bool operator==(const ArrayReduction&) const = default;
};

/// How the iterations of a parallel loop are dealt out to threads.
enum class Schedule : std::uint8_t {
    automatic,  ///< pieces by the measured time of an iteration
    static_,    ///< one piece of equal size a thread, or pieces of `chunk` iterations
    dynamic,    ///< pieces of `chunk` (or few) iterations, taken as threads get free
    guided,     ///< the same, pieces shrinking with what is left, to `chunk`
};

/// What makes a loop parallel. A reduction's slot is private to a block of iterations.
struct ParallelLoop {
    std::vector<StageReduction> reductions;
    Schedule schedule = Schedule::automatic;
    std::int64_t chunk = 0;     ///< iterations; 0: chosen at run time
    bool unsafe_races = false;  ///< the user answers for accesses that cannot be proven disjoint
    std::vector<ArrayReduction> arrays = {};
    bool operator==(const ParallelLoop&) const = default;
};

/// What a parameter of an outlined kernel stands for where that is launched for the iterations of a
/// loop. Element i of the parameter of a map, reduction or scan is what iteration i uses.
struct Argument {
    enum class Kind : std::uint8_t {
        array,  ///< elements of array parameter `target`; operands = a subscript a dimension
        local,  ///< elements of slot `target`; operand = a position
        value,  ///< operand = the value, the same in all iterations
        first,  ///< the loop's index in the first of the iterations
        step,   ///< by what the index grows
        whole,  ///< of a program: parameter `target` as it is
        place,  ///< of a program: slot `target`, which the program's slot of that number is
        total,  ///< out: combines into slot `target` by `reduction`
        state,  ///< out: a part of a state, which combines by kernel `combine` of the launching one
        carry,  ///< what slot `target` holds, which then gets the last result of the scan
    };
    Kind kind = Kind::value;
    std::uint32_t target = none;
    Reduction reduction = Reduction::sum;
    std::uint32_t combine = none;
    /// Of elements: by how many steps of the loop each subscript grows from iteration to iteration.
    std::vector<std::int64_t> strides = {};

    bool is_element() const { return kind == Kind::array || kind == Kind::local; }
    bool has_slot() const { return target != none && kind != Kind::array && kind != Kind::whole; }
    std::size_t operands() const { return kind == Kind::value ? 1 : strides.size(); }
    bool operator==(const Argument&) const = default;
};

/// How a loop's iterations become those of an outlined kernel. A program that is launched is one
/// parallel loop: it has the parameters, slots and functions of the program that launches it, with
/// their numbers, and more parameters behind those; into what its loop reduces is that program's.
struct Launch {
    std::uint32_t kernel = 0;         ///< index into Kernel::outlined
    std::vector<Argument> arguments;  ///< one a parameter of it
    std::uint32_t parallel = none;    ///< its ParallelLoop: threads take pieces of the iterations
    /// Arrays which, where they are too large for the caches together, its stores pass these by.
    std::vector<std::uint32_t> streams = {};
    bool in_place = false;  ///< it becomes part of the launching code: short, and launched often
    bool operator==(const Launch&) const = default;
};

/// In which order a loop or launch of a program combines its iterations, where that is free. It
/// decides the bits of results, and is part of the text, so that every backend can give the same.
///
/// Of n iterations, each `block` of them, from the first one on, combines by itself: those of a
/// launch as their kernel does, those of a loop one after the other, or, into the slots `sums`, by
/// a tree: each iteration begins a sum of its own, and codegen/trees.h has how these are added.
/// Blocks combine pair by pair: neighbours, level by level, where an odd last one moves along. A
/// parallel loop deals out units of as few whole blocks as make at most `units` of them; blocks of
/// a unit combine so, and then units do.
struct Tree {
    std::int64_t block = 0;
    std::int64_t units = 0;  ///< 0: of a serial loop, which combines into `sums` alone
    std::vector<std::uint32_t> sums = {};  ///< slots of floats
    bool operator==(const Tree&) const = default;
};

/// What a kernel is: which stages it has, and how backends call it.
enum class Form : std::uint8_t {
    map,     ///< stages that each run over extents of at least one dimension, without reductions
    reduce,  ///< the same with reductions, of which one stage, without extents, may write what
             ///< their slots hold before, and another one use what they hold after
    scan,  ///< a map with one output, the last parameter: element c of a row gets the combination,
           ///< by Kernel::scan, of what the parameter before it (the carry: the same for a row,
           ///< and nothing reads it) holds and of what elements 0 to c of the row store
    program,  ///< one stage that runs once: loops, over arguments of any rank
    threads,  ///< one stage that each thread of a launch runs: an explicit kernel, whose `local` arrays
              ///< are shared by the threads of a block
    combine,  ///< how two states of N values become one: 2 N values and N outputs of rank 0; a stage
              ///< stores what changes no state, the next one the combination, the first state's
              ///< values coming first. Both have pure nodes besides
};

/// One iteration space: `body` runs for every index below `extents` (i64 values of the prologue).
struct Stage {
    std::vector<Id> extents;  ///< outermost first
    Id body = none;
    std::vector<StageReduction> reductions;
    bool parallel = false;
    std::uint32_t loc = 0;
    bool operator==(const Stage&) const = default;
};

struct SourceLine {
    std::uint32_t file = 0;  ///< index into Kernel::files
    std::uint32_t line = 0;
    bool operator==(const SourceLine&) const = default;
};

/// How vector code runs the iterations of a map, reduction or scan: `of_register` at once in a
/// register of the widest type, `registers` of them a step. 0: nothing is chosen. The order in
/// which iterations combine follows from it:
///
/// A reduction keeps a result a lane. `fan_in` steps combine one after the other, so many of their
/// results likewise, and so on; the last of the `levels` takes all that there are. Then the upper
/// half of the lanes combines with the lower one until there are `tail` of them, which take what
/// fills no step, `tail` at a time, and fold to one. A scan combines lane l of a register with lane
/// l - 1, then l - 2, l - 4 ..., and all with what came before; what fills none, `tail` at a time.
struct Lanes {
    std::uint32_t of_register = 0, registers = 0;
    std::uint32_t tail = 0;  ///< of reductions and scans; of maps 0 (the unit's masks) or so many
    std::uint32_t fan_in = 0, levels = 0;  ///< of reductions
    bool operator==(const Lanes&) const = default;
};

/// A kernel; a program is a module together with the kernels that were outlined from it.
struct Kernel {
    std::string name;
    Form form = Form::map;
    Reduction scan = Reduction::sum;  ///< of the form `scan`; else sum
    Lanes lanes;
    std::vector<Param> params;
    std::vector<Slot> slots;
    std::vector<HostFunction> functions;
    Id prologue = none;  ///< block of pure nodes, evaluated on the host: extents of the stages
    std::vector<Stage> stages;
    std::vector<ParallelLoop> parallel_loops;
    std::vector<Launch> launches;
    std::vector<Tree> trees;       ///< of loops and launches
    std::vector<Kernel> outlined;  ///< maps, reductions and scans over one dimension; programs
    std::vector<Kernel> combines;  ///< of the form `combine`: of reductions with states
    std::vector<Block> blocks;
    std::vector<Node> nodes;
    std::vector<Id> operands;
    std::vector<std::string> files;
    std::vector<SourceLine> locations;  ///< [0] is "unknown"

    bool operator==(const Kernel&) const = default;

    const Node& node(Id id) const { return nodes[id]; }
    std::span<const Id> operands_of(const Node& n) const {
        return {operands.data() + n.first_operand, n.operand_count};
    }
    std::span<const Id> operands_of(Id id) const { return operands_of(nodes[id]); }
    Id operand(Id id, std::size_t i) const { return operands[nodes[id].first_operand + i]; }
    Location location(std::uint32_t loc) const {
        const SourceLine l = locations[loc];
        return l.line == 0 ? Location{} : Location{files[l.file], l.line};
    }
    /// The value of a constant node.
    Scalar constant(Id id) const;
    /// Whether the node is the constant with these bits.
    bool is_constant(Id id, std::uint64_t bits) const {
        return nodes[id].kind == NodeKind::constant && nodes[id].imm == bits;
    }
    bool is_program() const { return form == Form::program; }
    /// What makes a loop or launch parallel; null for serial ones.
    const ParallelLoop* parallel(const Node& n) const {
        const std::uint32_t p = n.kind == NodeKind::launch ? launches[n.aux].parallel : n.aux2;
        return p == none ? nullptr : &parallel_loops[p];
    }
    /// How a loop or launch combines its iterations; null where their own order counts, where
    /// nothing is decided yet, and for other nodes.
    const Tree* tree(const Node& n) const {
        const bool runs = n.kind == NodeKind::loop || n.kind == NodeKind::launch;
        return runs && n.imm != 0 ? &trees[n.imm - 1] : nullptr;
    }
};

}  // namespace kiln::ir
