// Internal to codegen/llvm: the emitter's state. The only header of ours that includes LLVM's.
#pragma once
#include "codegen/lanes/facts.h"
#include "codegen/llvm/emit.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <map>
#include <vector>

namespace kiln::codegen {

/// A kernel value in generated code: one scalar for all lanes (uniform), or a vector with one
/// element a lane. Complex values are two of them.
struct LaneValue {
    llvm::Value* value = nullptr;  ///< the real part of a complex value
    llvm::Value* imag = nullptr;
    bool varying = false;
    /// Of an integer that differs from lane to lane by constants: that of lane 0, up to the first
    /// of `steps`, and the constants. Arithmetic on it is left to scalar registers.
    llvm::Value *base = nullptr, *steps = nullptr;
};

/// Emits one kernel. The body is emitted for a block of registers, where it is simple for single
/// ones, and for a masked (or, where masks are slow, single-lane) remainder; all run the same
/// vector operations, so that an element's bits do not depend on its position.
class Emitter {
  public:
    Emitter(const ir::Kernel& kernel, llvm::LLVMContext& context, llvm::Module& module,
            const EmitOptions& options);
    virtual ~Emitter() = default;
    virtual void run();

  protected:
    // --- emit.cpp: the function around the body; control.cpp; memory.cpp ---
    /// Where a mask that changes is kept: one alloca a register, so that no mask crosses a block
    /// whose lanes are those of several registers. Empty: there is no such mask.
    using MaskPlace = std::vector<llvm::Value*>;
    struct Loop {
        MaskPlace live;       // lanes that still run the loop
        MaskPlace iteration;  // lanes that still run this iteration; empty without jumps
    };
    struct SlotPlace {
        LaneValue lanes;  // allocas of vectors: right for every lane
        LaneValue one;    // allocas of scalars: see slots.cpp. Either may be null: never read
    };
    struct Param {
        llvm::Value *data, *inner;   // of the frame
        llvm::Value* row = nullptr;  // address of the current row
    };
    void refuse(const std::string& what, std::uint32_t loc = 0) const;
    [[noreturn]] void refuse_local_array(std::uint32_t slot) const;
    llvm::Value* frame_field(unsigned at, llvm::Type* type, const llvm::Twine& name);
    void load_frame();
    void emit_rows();
    void emit_columns();
    llvm::Value* emit_blocks(const char* name, unsigned lanes, llvm::Value* begin);
    void emit_masked(const char* name, llvm::Value* begin, llvm::Value* end, bool once);
    llvm::Value* misaligned_columns();
    void emit_uniform_nodes();
    void emit_body(unsigned lanes, llvm::Value* index, llvm::Value* columns, bool main_loop);
    void emit_block(ir::Id block);
    void emit_node(ir::Id id);
    void emit_branch(const ir::Node& n, ir::Id id);
    void emit_loop(const ir::Node& n, ir::Id id);
    void emit_while(const ir::Node& n, ir::Id id);
    void emit_while_steps(const ir::Node& n, ir::Id id, const Loop& loop, llvm::BasicBlock* done);
    void emit_loop_body(ir::Id block, const Loop& loop);
    llvm::BasicBlock* skip_without_lanes();
    llvm::Value* emit_common_steps(const ir::Node& n, ir::Id id, llvm::Value* begin,
                                   llvm::Value* ends);
    bool is_light(ir::Id block, unsigned& nodes) const;
    unsigned steps_a_test(const ir::Node& n) const;
    void split_condition(ir::Id condition, std::vector<llvm::Value*>& one,
                         std::vector<llvm::Value*>& by_lane);
    void emit_jump(ir::NodeKind kind);
    void emit_check(const ir::Node& n, ir::Id id);
    void narrow_mask();
    LaneValue emit_load(const ir::Node& n);
    void emit_store(const ir::Node& n, ir::Id id);
    void store_value(const ir::Node& n, const LaneValue& v);
    llvm::Value* row_address(std::uint32_t param);
    llvm::Value* interleave(llvm::Value* a, llvm::Value* b);
    std::vector<int> stride_two(int from) const;
    llvm::Value* element_pointers(std::uint32_t param, unsigned offset);
    llvm::Value* load_lanes(std::uint32_t param, llvm::Type* element, unsigned offset);
    llvm::Value* range_mask();
    llvm::Value* in_idle_lanes(llvm::FixedVectorType* vector, llvm::Value* first, unsigned period);
    llvm::Value* load_contiguous(llvm::Type* vector, llvm::Value* first, const std::string& name);
    void store_contiguous(llvm::Value* value, llvm::Value* first, llvm::Value* mask);
    void store_lanes(std::uint32_t param, llvm::Value* value, unsigned offset, llvm::Value* mask,
                     bool streaming);
    LaneValue read_slot(std::uint32_t slot, bool varying);
    void write_slot(std::uint32_t slot, const LaneValue& value, bool to_all_lanes);
    llvm::Value* active_mask();  // never null
    llvm::Value* any(llvm::Value* mask);
    llvm::Value* all_lanes();
    std::vector<llvm::Value*> parts_of(llvm::Value* mask);
    llvm::Value* whole(std::span<llvm::Value* const> parts);
    MaskPlace mask_place(const char* name);
    void keep(llvm::Value* mask, const MaskPlace& place);
    void keep_where(llvm::Value* condition, const MaskPlace& place);
    llvm::Value* kept(const MaskPlace& place);
    llvm::Value* iota(llvm::Type* element);
    llvm::Value* alloca_at_entry(llvm::Type* type, const char* name);
    bool is_heavy(ir::Id block) const;
    void check_subscripts(const ir::Node& n, std::size_t count) const;

    // --- reduce.cpp: rows that are reduced to one value ---
    struct Accumulator {
        ir::Op op;
        DType dtype;
        LaneValue step, group, block, tail, upper = {};  // allocas
        llvm::Value* count = nullptr;  // alloca, of integer sums: lanes that add 1
        /// Of a minimum or maximum: the accumulator of its position; of that: its own number.
        std::size_t position = no_position;
        static constexpr std::size_t no_position = ~std::size_t(0);
    };
    using Place = LaneValue Accumulator::*;
    /// An extreme and its position.
    using Found = std::pair<llvm::Value*, llvm::Value*>;
    void choose_form();
    LaneValue accumulator_place(DType t, unsigned lanes, const char* name);
    void clear(const Accumulator& a, const LaneValue& place);
    Found earlier(ir::Op extreme, DType dtype, DType position, Found a, Found b);
    void merge_all(Place into, Place from);
    std::vector<LaneValue> folded(Place from, unsigned lanes, unsigned to);
    std::vector<LaneValue> combine_each(const std::vector<LaneValue>& a,
                                        const std::vector<LaneValue>& b);
    void emit_reduced_columns();
    void emit_steps(llvm::Value* whole);
    void emit_tail(llvm::Value* begin);
    llvm::Value* emit_registers(llvm::Value* begin);
    void emit_results();
    void emit_contribute(const ir::Node& n, ir::Id id);
    ir::Id counted(ir::Id contributed) const;
    void emit_count(const Accumulator& a, ir::Id condition);
    LaneValue get(const LaneValue& place);
    void put(const LaneValue& place, const LaneValue& v);
    LaneValue combine(const Accumulator& a, const LaneValue& x, const LaneValue& y);
    llvm::Constant* identity(ir::Op op, DType t, bool imaginary);

    // --- scan.cpp: rows of running results ---
    void begin_scan();
    LaneValue running(const LaneValue& v);

    // --- ops.cpp: pure operations ---
    virtual LaneValue value(ir::Id id);
    llvm::Value* as_varying(const LaneValue& v, llvm::Value* part);
    llvm::Value* varying_value(ir::Id id);
    LaneValue constant(ir::Id id);
    LaneValue emit_op(ir::Id id);
    LaneValue stepped(llvm::Value* base, llvm::Value* steps);
    std::optional<LaneValue> stepped_op(const ir::Node& n, std::span<const LaneValue> in);
    LaneValue emit_cast(ir::Id id);
    llvm::Value* convert(llvm::Value* v, DType from, DType to);
    llvm::Value* to_odd(llvm::Value* v);
    llvm::Value* rounds_once(llvm::Value* v, DType from, DType to);
    llvm::Value* real_op(ir::Op op, DType t, std::span<llvm::Value* const> a, const ir::Node& n);
    llvm::Value* integer_op(ir::Op op, DType t, std::span<llvm::Value* const> a, const ir::Node& n);
    llvm::Value* integer_division(ir::Op op, DType t, llvm::Value* a, llvm::Value* b);
    std::pair<llvm::Value*, llvm::Value*> divide_lanes(DType t, llvm::Value* a, llvm::Value* b);
    /// A number that is tested for divisors: whether it is small in all lanes, and as a real one.
    struct Dividend {
        llvm::Value *small, *narrow, *wide;
    };
    LaneValue emit_divisible(const ir::Node& comparison, ir::Id rest);
    Dividend dividend(llvm::Value* a, DType t);
    llvm::Value* is_small(llvm::Value* x, bool with_sign);
    llvm::Value* divisible(llvm::Value* a, llvm::Value* b);
    llvm::Value* saturated(llvm::Value* v, llvm::Type* type);
    std::pair<llvm::Value*, llvm::Value*> divide_wide_lanes(DType t, llvm::Value* a,
                                                            llvm::Value* b);
    llvm::Value* integer_power(DType t, llvm::Value* a, llvm::Value* b);
    llvm::Value* shift(ir::Op op, DType t, llvm::Value* a, llvm::Value* b);
    llvm::Value* compare(ir::Op op, DType t, llvm::Value* a, llvm::Value* b);
    llvm::Value* float_division(ir::Op op, llvm::Value* a, llvm::Value* b);
    llvm::Value* classify(ir::Op op, llvm::Value* a);
    llvm::Value* stays_wide(llvm::Value* a);
    llvm::Type* compute_type(DType t);  // scalar type of a value in registers
    llvm::Type* memory_type(DType t);   // scalar type in memory
    llvm::Value* from_memory(llvm::Value* v, DType t);
    llvm::Value* to_memory(llvm::Value* v, DType t);
    llvm::Type* like(llvm::Type* element,
                     llvm::Value* shape);               // element, in as many lanes as shape
    llvm::Value* number(llvm::Value* shape, double x);  // constant of shape's floating type
    void set_fast(const ir::Node& n, ir::Id id);

    // --- elementary.cpp ---
    using Values = std::span<llvm::Value* const>;
    llvm::Value* elementary(ir::Op op, DType t, Values a, bool afn);
    llvm::Value* library_call(ir::Op op, DType t, Values a);
    llvm::Value* in_registers(ir::Op op, DType t, Values a);
    llvm::Value* call_sleef(ir::Op op, DType t, unsigned lanes, Values a);
    llvm::Value* call_pure(const std::string& symbol, llvm::FunctionType* type, Values a);
    llvm::Value* doubtful(ir::Op op, DType t, Values a, llvm::Value* r);
    llvm::Value* near_zero(ir::Op op, DType t, llvm::Value* x, llvm::Value* r);
    llvm::Value* mantissa_between(llvm::Value* x, double low, double high);
    llvm::Value* recompute(ir::Op op, DType t, Values a, llvm::Value* r, llvm::Value* doubt);

    const ir::Kernel& kernel_;
    llvm::LLVMContext& context_;
    llvm::Module& module_;
    EmitOptions options_;
    KernelFacts facts_;
    llvm::IRBuilder<> b_;

    llvm::Function* function_ = nullptr;
    llvm::BasicBlock* entry_ = nullptr;
    llvm::Value *frame_ = nullptr, *columns_ = nullptr;
    llvm::Value* row_number_ = nullptr;
    std::vector<Param> params_;
    std::uint32_t streamed_ = ir::none;  // the output that gets non-temporal stores
    std::vector<LaneValue> uniform_;     // per node: made once a row
    std::vector<LaneValue> values_;      // per node: of the body being emitted
    std::vector<SlotPlace> slots_;       // per slot, of the body being emitted
    std::map<llvm::Value*, Dividend> dividends_;

    ir::Id body_ = ir::none;  // block of the stage whose iterations are the lanes
    const ir::Stage *before_ = nullptr, *after_ = nullptr;  // of a reduction: its rank-0 stages
    std::vector<Accumulator> accumulators_;
    LaneValue contributed_;  // to an extreme, until its position is contributed
    Accumulator scan_{};     // of a scan: `tail` is what came before, in all lanes of a register

    // The body being emitted.
    unsigned lanes_ = 1;
    unsigned block_lanes_ = 1, tail_lanes_ = 1;
    unsigned unit_lanes_ = 1;              ///< of a register of the widest type
    unsigned single_lanes_ = 0;            ///< of whole registers after the main loop; 0: none
    bool one_loop_ = false;                ///< the masked loop runs all columns
    llvm::Value* index_ = nullptr;         // first column
    llvm::Value* range_mask_ = nullptr;    // lanes with a column; null: all
    llvm::Value* columns_here_ = nullptr;  // how many lanes have one; null: all
    llvm::Value* whole_ = nullptr;         // in a loop for all columns: whether every lane has one
    llvm::Value* mask_ = nullptr;          // lanes that execute the current block; null: all
    MaskPlace alive_;                      // lanes that have not returned; empty: no return_
    bool main_loop_ = false;
    std::vector<Loop> loops_;
};

/// programs.cpp: a program of loops.
void emit_program(const ir::Kernel& kernel, llvm::LLVMContext& context, llvm::Module& module,
                  const EmitOptions& options);

}  // namespace kiln::codegen
