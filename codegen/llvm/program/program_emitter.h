// Internal to codegen/llvm.
//
// Programs of loops: scalar code whose serial loops are left to LLVM's optimisers, and launches.
// A parallel launch
//
//     launch k for a to b step s (arguments)
//
// becomes a store of the arguments into a context, and a call
//
//     runtime->parallel(frame, piece, context, trip, unit, schedule)
//
// where `piece` runs iterations [first, last) of [0, trip): the function of a map or reduction on
// them, or the loop of a program, which another emitter emits. With reductions a piece is one unit
// of iterations; it accumulates blocks of them from the identity, combines the blocks by a binary
// tree, and leaves its result in the context's array of partial results, which are combined by a
// tree when the loop is done. Units and blocks are those of the loop's ir::Tree. Sums of floats
// follow trees within the blocks too, and in loops inside of the parallel one: program_sums.cpp.
#pragma once
#include "codegen/abi.h"
#include "codegen/lanes/loop_traits.h"
#include "codegen/llvm/ops/combines.h"

#include <map>
#include <set>

namespace kiln::codegen {

/// What the emitters of a program and of those that it launches share.
struct ProgramModule {
    llvm::Module& module;
    const EmitOptions& options;

    unsigned pieces = 0, vector_functions = 0;
    std::map<DType, llvm::Function*> trees = {};
    struct Lanes {
        const ir::Kernel* kernel;
        bool streams;
        std::vector<bool> reversed;
        llvm::Function* function;
    };
    std::vector<Lanes> lanes = {};               // of outlined kernels
    std::vector<llvm::CallInst*> in_place = {};  // of functions that become part of callers
};

class ProgramEmitter final : private NodeValues {
  public:
    ProgramEmitter(const ir::Kernel& kernel, ProgramModule& shared)
        : ProgramEmitter(kernel, shared, nullptr) {}
    void run();

  private:
    /// An array parameter in the function being emitted.
    struct View {
        llvm::Value* data = nullptr;
        std::vector<llvm::Value*> extents, strides;
    };
    struct Jump {
        llvm::BasicBlock *next, *end;  // of continue_ and break_
    };
    /// What belongs to the function being emitted.
    struct Scope {
        llvm::Function* function;
        llvm::BasicBlock *entry, *exit;
        llvm::Value* frame;
        llvm::Value* iteration;  // of the outermost parallel loop, or null
        bool parallel;
        bool streams = false;              // has stores past the caches, so a fence at its end
        llvm::CallInst* memory = nullptr;  // what is too large for the stack, where there is any
        std::vector<llvm::Value*> own_arrays;  // of arrays made inside: address and size of a block
        std::uint64_t memory_bytes = 0, stack_bytes = 0;  // of local arrays and the like
        std::vector<LaneValue> values, slots;
        std::map<std::uint32_t, View> views;
        std::vector<Jump> jumps;
    };
    /// Iterations of a launch: `count` of them, from the one numbered `from` (null: 0) on.
    struct Iterations {
        llvm::Value *begin, *step, *from, *count;
        bool some = false;  ///< there is at least one
    };
    struct Elements {
        llvm::Value *data, *inner;
    };
    struct Reductions {
        std::vector<ir::StageReduction> list;
        llvm::StructType* partial = nullptr;
    };

    /// `launch`: of the kernel, if another program launches it.
    ProgramEmitter(const ir::Kernel& kernel, ProgramModule& shared, const ir::Launch* launch);

    // --- functions ---
    const char* find_pipeline() const;
    llvm::Function* make_function(const std::string& name, llvm::ArrayRef<llvm::Type*> params);
    Scope begin_function(llvm::Function* function, bool parallel);
    void end_of_function(llvm::BasicBlock* body);
    llvm::Value* function_memory(llvm::Type* type, const char* name);
    LaneValue value(ir::Id id) override;

    // --- parameters ---
    /// Bytes from the frame's beginning on to a word of a parameter.
    std::int64_t param_offset(std::uint32_t param, unsigned word = 0) const;
    llvm::Value* frame_word(std::int64_t offset, llvm::Type* type, const llvm::Twine& name);
    View& view(std::uint32_t param);
    /// `array`: a parameter, or behind all of them a slot.
    void add_alias_scopes(llvm::Instruction* access, std::size_t array);
    void make_alias_scopes();

    // --- nodes ---
    void emit_program_block(ir::Id block);
    bool emit_program_node(ir::Id id);
    void emit_if(const ir::Node& n, ir::Id id);
    void emit_for(const ir::Node& n, ir::Id id);
    void emit_while_loop(const ir::Node& n, ir::Id id);
    LaneValue emit_call(const ir::Node& n);
    void emit_allocate(const ir::Node& n, ir::Id id);
    llvm::Value* extent_cells(llvm::ArrayRef<llvm::Value*> extents);
    llvm::Value* allocate_own(const ir::Node& n, llvm::ArrayRef<llvm::Value*> extents);
    llvm::Value* allocate_in_frame(const ir::Node& n, llvm::ArrayRef<llvm::Value*> extents);
    void emit_failed_check(const ir::Node& n, ir::Id id);
    llvm::Value* trip_count(llvm::Value* begin, llvm::Value* end, llvm::Value* step);
    llvm::BranchInst* count_up(llvm::Value* first, llvm::Value* last,
                               llvm::function_ref<void(llvm::Value*)> body, bool runs = false,
                               llvm::function_ref<void(llvm::Value*)> after = {},
                               llvm::BasicBlock* left = nullptr);
    void keep_scalar(llvm::BranchInst* back);
    llvm::BasicBlock* begin_nest(ir::Id outermost);
    void emit_iterations(const ir::Node& n, ir::Id id);

    // --- memory ---
    llvm::Value* address(const ir::Node& n, std::size_t subscripts, unsigned offset);
    LaneValue load_element(const ir::Node& n);
    void store_element(const ir::Node& n);
    LaneValue emit_atomic(const ir::Node& n);
    llvm::BasicBlock* guard(const ir::Node& n, std::size_t subscripts);
    llvm::BasicBlock* guard_local(const ir::Node& n, ir::Id position);
    llvm::BasicBlock* guard(const ir::Node& n, llvm::ArrayRef<llvm::Value*> subscripts,
                            llvm::ArrayRef<llvm::Value*> extents, std::uint32_t array);
    LaneValue or_zero(const LaneValue& v, llvm::BasicBlock* join);
    LaneValue read_local(const ir::Node& n, ir::Id id);
    void write_local(const ir::Node& n, ir::Id id);
    llvm::Value* local_place(std::uint32_t slot, llvm::Value* part, ir::Id position);
    LaneValue make_slot(std::uint32_t slot);
    void make_slots();
    void report(abi::FaultSite site, const abi::Subject& about, llvm::Value* numbers);

    // --- parallel loops ---
    void emit_parallel(const ir::Node& n, ir::Id id);
    void call_runtime(llvm::ArrayRef<llvm::Value*> arguments);
    std::vector<llvm::Value*> cells(const ir::Node& n, std::span<const Elements> given);
    unsigned cell_of(std::uint32_t param) const;
    llvm::Function* emit_lanes_piece(const ir::Node& n, const Reductions& reductions);
    llvm::Function* emit_loop_piece();
    /// A function that runs a piece: `begin` emits what it begins with, `iterations` those of a
    /// range.
    llvm::Function* emit_piece(const Reductions& reductions, const ir::Tree* tree,
                               llvm::function_ref<void()> begin,
                               llvm::function_ref<void(llvm::Value*, llvm::Value*)> iterations);
    void combine_partials(const Reductions& reductions, llvm::Value* partials, llvm::Value* count);
    llvm::Value* combine_all(const Reductions& reductions, llvm::Value* a, llvm::Value* b);
    llvm::Value* totals(const Reductions& reductions);
    void put_totals(const Reductions& reductions, llvm::Value* all);
    void begin_totals(const Reductions& reductions);
    llvm::Type* cell_type(llvm::Type* type);
    void put_cell(llvm::Value* context, unsigned cell, llvm::Value* v);
    llvm::Value* get_cell(llvm::Value* context, unsigned cell, llvm::Type* type);
    llvm::Value* runtime_function(unsigned index);
    Reductions as_reductions(std::vector<ir::StageReduction> list);

    // --- trees of sums ---
    llvm::Value* block_tree(const Reductions& reductions, std::int64_t block_size,
                            llvm::Value* first, llvm::Value* last,
                            llvm::function_ref<void(llvm::Value*, llvm::Value*)> iterations,
                            llvm::Value* stop = nullptr);
    static const ir::Tree& tree_of(const ir::Kernel& kernel, const ir::Node& n);
    llvm::BranchInst* sum_iterations(const ir::Tree& tree, llvm::Value* first, llvm::Value* last,
                                     llvm::function_ref<void(llvm::Value*)> body,
                                     llvm::Value* stop);
    void sum_apart(const ir::Tree& tree, llvm::Value* trip,
                   llvm::function_ref<void(llvm::Value*, llvm::Value*)> iterations,
                   llvm::Value* stop = nullptr);
    llvm::Function* tree_function(DType t);
    void emit_tree(llvm::Type* element, llvm::Value* buffer, llvm::Value* count);

    // --- launches ---
    std::vector<bool> reversed_arguments(const ir::Node& n) const;
    llvm::Function* vector_function(const ir::Node& n);
    Elements elements(const ir::Argument& a, std::span<const ir::Id> subscripts, llvm::Value* step);
    std::vector<Elements> given(const ir::Node& n, llvm::Value* step);
    Elements argument(const ir::Argument& a, const Elements& given, const Iterations& of);
    void emit_lanes(const ir::Node& n, const Iterations& of, std::span<const Elements> given);
    llvm::BasicBlock* emit_one_block(const ir::Node& n, const Iterations& of,
                                     std::span<const Elements> given, const Reductions& reductions);
    void take_totals(const ir::Launch& launch, std::span<const Elements> made);
    void emit_lanes_in_blocks(const ir::Node& n, const Iterations& all);
    llvm::Value* are_large(const std::vector<std::uint32_t>& arrays);
    void emit_launch(const ir::Node& n, ir::Id id);
    llvm::Value* spill(const LaneValue& v, DType t);
    void name_loop(ir::Id loop);
    void show_index(ir::Id loop, llvm::Value* index);
    void show_slots(const std::vector<std::uint32_t>& slots);

    const ir::Kernel& kernel_;
    llvm::LLVMContext& context_;
    ProgramModule& shared_;
    llvm::Module& module_;
    const EmitOptions& options_;
    const ir::Launch* const launch_;
    const std::uint32_t frame_params_;  // parameters that the frame has; those behind: the context
    std::vector<bool> strict_nan_;
    OpEmitter ops_;
    Combiners combiners_;
    llvm::IRBuilder<>& b_;

    Scope* scope_ = nullptr;
    std::vector<llvm::MDNode*> scope_of_, others_of_;  // per parameter, then per slot
    LoopTraits traits_;
    const char* pipeline_ =
        nullptr;  // attribute of functions that have nothing for LLVM's vectorisers
    std::map<ir::Id, unsigned> loop_places_;  // where loops are named
    std::string next_loop_ = "for";           // what the next counted loop is called
    std::set<ir::Id> nonempty_;               // loops that are known to run where they are emitted
};

}  // namespace kiln::codegen
