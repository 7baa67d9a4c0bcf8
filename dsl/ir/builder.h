// The one maker of nodes. Front ends use the typed makers (apply, cast ...), which promote, check
// and explain; passes use the exact ones (op, convert ...), which only assert.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>
#include <unordered_map>

namespace kiln::ir {

/// Builds one kernel from outer to inner: parameters and slots at any time, nodes into the
/// innermost open block. Pure nodes are hash-consed: one equal to a node of an open block is not
/// made again.
class Builder {
  public:
    explicit Builder(std::string name);

    /// The finished kernel; every block must be closed. The builder is empty afterwards.
    Kernel finish();
    const Kernel& kernel() const { return kernel_; }
    const Node& node(Id id) const { return kernel_.nodes[id]; }
    DType dtype(Id id) const { return kernel_.nodes[id].dtype; }

    // --- declarations ---
    /// What the kernel is; a map until then. `scan`: by what a scan combines.
    void set_form(Form form, Reduction scan = Reduction::sum);
    void set_lanes(const Lanes& lanes) { kernel_.lanes = lanes; }
    std::uint32_t add_param(Param param);
    std::uint32_t add_slot(Slot slot);
    Param& param_info(std::uint32_t param) { return kernel_.params[param]; }

    /// The line and the fast flags that new nodes get.
    void set_location(const Location& where);
    void set_location_index(std::uint32_t loc) { loc_ = loc; }  ///< of this kernel's table
    std::uint32_t location_index() const { return loc_; }
    void copy_location_tables(const Kernel& from);  ///< so that indices of `from` stay valid
    void set_fast(std::uint8_t flags) { fast_ = flags; }
    std::uint8_t fast_flags() const { return fast_; }

    // --- typed makers: promotion, type rules, user errors at the current location ---
    Id constant(const Scalar& value);
    Id constant_i64(std::int64_t value) { return constant(Scalar::of(value)); }
    Id constant_bool(bool value) { return constant(Scalar::of(value)); }
    /// An operation with its rule's promotion. Errors: type (an operand the rule refuses, a weak
    /// integer that the dtype cannot represent).
    Id apply(Op op, std::span<const Id> operands);
    Id apply(Op op, std::initializer_list<Id> operands) {
        return apply(op, std::span(operands.begin(), operands.size()));
    }
    /// The value as `to`; a weak value becomes strong. No node if it already is of that dtype.
    Id cast(Id value, DType to);
    /// Like cast, for an implicit conversion: a weak integer constant must be representable.
    Id coerce(Id value, DType to);
    /// The value as a bool (!= 0).
    Id truth(Id value);
    struct Promoted {
        DType dtype;
        bool weak;  ///< all operands are
    };
    /// The dtype that the operands compute in together.
    Promoted promote_operands(std::span<const Id> operands) const;
    /// The same for functions of real numbers: the least real dtype that holds each operand's
    /// values as NumPy counts, which need not be that of the integer they promote to: f16 of i8 and
    /// u8. Complex stays complex.
    Promoted promote_real_operands(std::span<const Id> operands) const;

    // --- exact makers ---
    Id op(Op op, DType result, std::span<const Id> operands, std::uint8_t fast, bool weak = false);
    Id op(Op o, DType result, std::initializer_list<Id> operands) {
        return op(o, result, std::span(operands.begin(), operands.size()), fast_);
    }
    Id convert(Id value, DType to, bool weak = false);
    Id param(std::uint32_t param);
    Id extent(std::uint32_t param, std::uint32_t dimension);
    Id index(std::uint32_t dimension);
    Id load(std::uint32_t param, std::span<const Id> subscripts);
    Id load(std::uint32_t param, std::initializer_list<Id> subscripts) {
        return load(param, std::span(subscripts.begin(), subscripts.size()));
    }
    Id read(std::uint32_t slot, Id position = none);
    void store(std::uint32_t param, std::span<const Id> subscripts, Id value);
    void store(std::uint32_t param, std::initializer_list<Id> subscripts, Id value) {
        store(param, std::span(subscripts.begin(), subscripts.size()), value);
    }
    /// `combine`: of a write that stores a part of a step (combines.h), by what states combine.
    void write(std::uint32_t slot, Id value, Id position = none, std::uint32_t combine = none);
    Id atomic(Reduction reduction, std::uint32_t param, std::span<const Id> subscripts, Id value);
    /// Of kernels of the form `threads`: where the thread is; what it does with others, none where that
    /// has no value; an element's exchange, `expected` none where it is not compared.
    Id place(Simt which);
    Id threads(Simt what, std::span<const Id> operands);
    Id exchange(std::uint32_t param, std::span<const Id> subscripts, Id expected, Id value);
    /// The number of a function of the host; one of that name and equal types may be there already.
    std::uint32_t add_function(const HostFunction& function);
    /// Calls it with arguments of exactly its types.
    Id call(std::uint32_t function, std::span<const Id> arguments);
    void contribute(std::uint32_t reduction, Id value);
    void check(Check check, Id ok) { this->check(check, ok, {}, {}); }
    /// A check with two lists of integers that it reports if it fails.
    /// `param`: of offsets outside of a neighborhood, the array.
    void check(Check check, Id ok, std::span<const Id> first, std::span<const Id> second,
               std::uint32_t param = 0);
    void bare(NodeKind kind);  ///< break_, continue_, return_
    Id whole(std::uint32_t param) { return whole(param, {}, 0); }
    Id whole(std::uint32_t param, std::span<const Id> slice, std::uint64_t dropped);
    Id fold(Reduction reduction, Id array, std::uint64_t axes);
    /// The array with other axes: the operand's, or new_axis, outermost first.
    Id permute(Id array, std::span<const std::uint64_t> axes);
    void assign(std::uint32_t param, Id value) { assign(param, {}, 0, value); }
    void assign(std::uint32_t param, std::span<const Id> slice, std::uint64_t dropped, Id value);
    void allocate(std::uint32_t param, std::span<const Id> extents, bool dynamic = false);

    /// The number of a kernel that launches may run; equal ones are one.
    std::uint32_t add_outlined(Kernel kernel);
    /// The number of a kernel that combines states; equal ones are one.
    std::uint32_t add_combine(Kernel kernel);
    void copy_combines(const Kernel& from) { kernel_.combines = from.combines; }
    /// `parallel`: makes the launch parallel, where there is one.
    Id launch(Launch launch, const ParallelLoop* parallel, std::span<const Id> operands);
    /// The same with a block, to be ended, that runs where its arrays are small.
    Id begin_streamed_launch(Launch launch, const ParallelLoop* parallel,
                             std::span<const Id> operands);
    /// How a loop or launch, which has none yet, combines its iterations.
    void set_tree(Id loop, Tree tree);

    // --- structure: each begin_ opens a block that end() closes ---
    /// Pure nodes that the host evaluates: extents of stages.
    void begin_prologue();
    void begin_stage(std::span<const Id> extents, bool parallel);
    std::uint32_t add_reduction(StageReduction reduction);  ///< of the open stage; its index
    void begin_branch(Id condition);
    void begin_else();  ///< closes the open branch's then block, opens its else block
    /// Gives the loop's index. `flags`: of loop_flag.
    Id begin_loop(Id begin, Id end, Id step, std::uint8_t flags = 0);
    Id begin_parallel_loop(Id begin, Id end, Id step, ParallelLoop parallel,
                           std::uint8_t flags = 0);
    bool in_parallel_loop() const;  ///< whether one is open
    /// Whether the loop that break_ would leave is parallel.
    bool innermost_loop_is_parallel() const;
    void begin_while_condition();
    void begin_while_body(Id condition);  ///< closes the condition's block
    void end();
    std::size_t depth() const { return open_.size(); }  ///< number of open blocks
    /// What a kernel may be at most. Beyond it is Error usage, with the builder's line.
    struct Limits {
        std::size_t nodes = ~std::size_t(0);
        std::size_t blocks = ~std::size_t(0);       ///< that stand in each other
        std::size_t array_depth = ~std::size_t(0);  ///< operations on whole arrays in a row
    };
    void set_limits(const Limits& limits) { limits_ = limits; }
    /// Whether a break_ or continue_ here would have a loop to act on.
    bool in_loop() const;
    /// True if `value` may be used in the innermost open block: a leaf, or a node of an open block.
    bool visible(Id value) const;
    /// The nodes of the innermost open block so far.
    const Block& current_block() const { return kernel_.blocks[open_.back().block]; }

  private:
    enum class Opened : std::uint8_t {
        prologue,
        stage,
        then_block,
        else_block,
        loop,
        while_condition,
        while_body,
        small_arrays
    };
    struct Open {
        Opened what;
        Id block;
        Id owner;  // node that owns the block, or none
    };

    Id new_block();
    Id append(Node node, std::span<const Id> operands);  // effect or read: always a new node
    Id intern(Node node, std::span<const Id> operands);  // pure: hash-consed
    Id make(const Node& node, std::span<const Id> operands);
    void open(Opened what, Id owner);
    [[noreturn]] void type_error(std::string message, std::string hint = {}) const;
    void refuse_operands(Op op, std::span<const Id> operands, std::string_view wanted) const;
    void refuse_mixed_signs(Op op, std::span<const Id> operands) const;
    Id apply_comparison(Op op, Id a, Id b);
    Id apply_predicate(Op op, Id a);

    void check_limits(Id made);

    Kernel kernel_;
    Limits limits_;
    std::vector<std::uint32_t> array_depth_;  // per node, up to the last one of whole arrays
    std::vector<Open> open_;
    std::vector<Id> block_of_;   // per node: the block that lists it, none for leaves
    std::vector<bool> is_open_;  // per block
    std::unordered_multimap<std::uint64_t, Id> interned_;
    std::unordered_map<std::uint64_t, std::uint32_t> location_ids_;
    std::uint32_t loc_ = 0;
    std::uint8_t fast_ = 0;
};

}  // namespace kiln::ir
