// Internal to codegen/llvm: element-wise kernels and their reductions as vector code.
#pragma once
#include "codegen/lanes/facts.h"
#include "codegen/llvm/ops/combines.h"

#include <set>
#include <span>
#include <vector>

namespace kiln::codegen {

/// Emits one kernel. The body is emitted for a block of registers, where it is simple for single
/// ones, and for a masked (or, where masks are slow, single-lane) remainder; all run the same
/// vector operations, so that an element's bits do not depend on its position.
class LaneEmitter final : private NodeValues {
  public:
    LaneEmitter(const ir::Kernel& kernel, llvm::Module& module, const EmitOptions& options);
    void run();

  private:
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
    LaneValue value(ir::Id id) override;
    void set_lanes(unsigned lanes) {
        lanes_ = lanes;
        ops_.set_lanes(lanes);
    }
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
    llvm::Value* repeat(const char* name, llvm::Value* begin,
                        llvm::function_ref<llvm::Value*(llvm::Value*)> more,
                        llvm::function_ref<llvm::Value*(llvm::Value*)> body);
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
    std::vector<llvm::Value*> element_addresses(std::uint32_t param, unsigned offset);
    llvm::Value* load_reversed(std::uint32_t param, llvm::FixedVectorType* type);
    llvm::Value* load_apart(std::uint32_t param, llvm::FixedVectorType* type, unsigned offset);
    void store_apart(std::uint32_t param, llvm::Value* value, unsigned offset);
    llvm::Value* gather(std::uint32_t param, llvm::FixedVectorType* type, unsigned offset,
                        llvm::Value* mask);
    llvm::Value* if_whole(llvm::function_ref<llvm::Value*()> all,
                          llvm::function_ref<llvm::Value*()> some, const std::string& name);
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
    bool is_heavy(ir::Id block) const;
    void check_subscripts(const ir::Node& n, std::size_t count) const;

    // --- reduce.cpp: rows that are reduced to one value ---
    struct Accumulator {
        ir::Reduction reduction;
        DType dtype;
        LaneValue step, group, block, tail, upper = {}, all = {};  // allocas
        llvm::Value* count = nullptr;  // alloca, of integer sums: lanes that add 1
        /// Of a part of a state: what combines it, its slot, and which part it is.
        std::uint32_t combine = ir::none, slot = ir::none;
        std::size_t part = 0;
    };
    using Place = LaneValue Accumulator::*;
    void choose_form();
    LaneValue accumulator_place(DType t, unsigned lanes, const char* name);
    bool has_several_totals() const { return accumulators_.size() > 1; }
    LaneValue level_place(DType t, const char* name, bool in_memory);
    void clear(const Accumulator& a, const LaneValue& place);
    const Accumulator* part_in(std::uint32_t slot) const;
    void merge_all(Place into, Place from);
    std::vector<LaneValue> folded(Place from, unsigned lanes, unsigned to);
    std::vector<LaneValue> combine_each(const std::vector<LaneValue>& a,
                                        const std::vector<LaneValue>& b);
    void emit_reduced_columns();
    void emit_steps(llvm::Value* whole);
    llvm::BasicBlock* emit_first_group(llvm::Value* begin, llvm::Value* more,
                                       std::span<const Place> levels, llvm::BasicBlock* fold);
    void emit_tail(llvm::Value* begin);
    llvm::Value* emit_registers(llvm::Value* begin);
    void emit_results();
    void emit_contribute(const ir::Node& n, ir::Id id);
    ir::Id counted(ir::Id contributed) const;
    void emit_count(const Accumulator& a, ir::Id condition);
    LaneValue get(const LaneValue& place);
    void put(const LaneValue& place, const LaneValue& v);

    // --- scan.cpp: rows of running results ---
    void begin_scan();
    LaneValue running(const LaneValue& v);

    const ir::Kernel& kernel_;
    llvm::LLVMContext& context_;
    llvm::Module& module_;
    EmitOptions options_;
    KernelFacts facts_;
    OpEmitter ops_;
    Combiners combiners_;
    llvm::IRBuilder<>& b_;

    llvm::Function* function_ = nullptr;
    llvm::BasicBlock* entry_ = nullptr;
    llvm::Value *frame_ = nullptr, *columns_ = nullptr;
    llvm::Value* row_number_ = nullptr;
    std::vector<Param> params_;
    std::uint32_t streamed_ = ir::none;  // the output that gets non-temporal stores
    std::vector<LaneValue> uniform_;     // per node: made once a row
    std::vector<LaneValue> values_;      // per node: of the body being emitted
    std::vector<SlotPlace> slots_;       // per slot, of the body being emitted

    ir::Id body_ = ir::none;  // block of the stage whose iterations are the lanes
    const ir::Stage *before_ = nullptr, *after_ = nullptr;  // of a reduction: its rank-0 stages
    std::vector<Accumulator> accumulators_;
    std::set<const llvm::Value*> in_memory_;  // allocas that are not to become registers
    Accumulator scan_{};  // of a scan: `tail` is what came before, in all lanes of a register

    // The body being emitted.
    unsigned lanes_ = 1;
    unsigned block_lanes_ = 1, tail_lanes_ = 1;
    unsigned fan_in_ = 0, levels_ = 0;     ///< of a reduction's steps (ir::Lanes)
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

}  // namespace kiln::codegen
