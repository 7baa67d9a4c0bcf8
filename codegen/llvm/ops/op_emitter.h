// Internal to codegen/llvm: operations on values of lanes.
#pragma once
#include "codegen/llvm/emit.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
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

/// Where the values of a kernel's nodes are.
class NodeValues {
  public:
    virtual LaneValue value(ir::Id id) = 0;

  protected:
    ~NodeValues() = default;
};

/// Emits what is pure: operations, casts, and how reductions combine. It knows types, lanes and the
/// vector unit, and nothing of memory, masks and control flow, which are of those that hold it: the
/// emitters of element-wise kernels and of programs.
class OpEmitter {
  public:
    using Values = std::span<llvm::Value* const>;

    /// `strict_nan`: per node, whether flags must not say that it is no NaN (KernelFacts). The
    /// references must outlive the emitter.
    OpEmitter(const ir::Kernel& kernel, const std::vector<bool>& strict_nan, VectorIsa isa,
              llvm::Module& module, NodeValues& values);

    llvm::IRBuilder<>& builder() { return b_; }
    /// The lanes of varying values from here on.
    void set_lanes(unsigned lanes) { lanes_ = lanes; }

    // --- values ---
    llvm::Type* compute_type(DType t);  ///< scalar type of a value in registers
    llvm::Type* memory_type(DType t);   ///< scalar type in memory
    llvm::Value* from_memory(llvm::Value* v, DType t);
    llvm::Value* to_memory(llvm::Value* v, DType t);
    LaneValue constant(ir::Id id);
    llvm::Value* as_varying(const LaneValue& v, llvm::Value* part);
    llvm::Value* varying_value(ir::Id id);
    llvm::Value* iota(llvm::Type* element);
    LaneValue stepped(llvm::Value* base, llvm::Value* steps);
    /// Memory of the function being emitted.
    llvm::Value* alloca_at_entry(llvm::Type* type, const char* name);

    // --- operations ---
    LaneValue emit_op(ir::Id id);
    LaneValue emit_cast(ir::Id id);
    LaneValue emit_divisible(const ir::Node& comparison, ir::Id rest);
    void set_fast(const ir::Node& n, ir::Id id);

    // --- reductions ---
    /// What changes no value: ir::neutral.
    llvm::Constant* neutral(ir::Reduction reduction, DType t, bool imaginary);
    LaneValue combine(ir::Reduction reduction, DType t, const LaneValue& x, const LaneValue& y);
    llvm::Value* combine(ir::Reduction reduction, DType t, llvm::Value* x, llvm::Value* y);

  private:
    /// A number that is tested for divisors: whether it is small in all lanes, and as a real one.
    struct Dividend {
        llvm::Value *small, *narrow, *wide;
    };
    llvm::BasicBlock* make_block(const char* name);
    llvm::Type* like(llvm::Type* element, llvm::Value* shape);  // in as many lanes as shape
    llvm::Value* number(llvm::Value* shape, double x);          // constant of shape's floating type
    std::optional<LaneValue> stepped_op(const ir::Node& n, std::span<const LaneValue> in);
    llvm::Value* convert(llvm::Value* v, DType from, DType to);
    llvm::Value* to_odd(llvm::Value* v);
    llvm::Value* rounds_once(llvm::Value* v, DType from, DType to);
    llvm::Value* real_op(ir::Op op, DType t, Values a, const ir::Node& n);
    llvm::Value* integer_op(ir::Op op, DType t, Values a, const ir::Node& n);
    llvm::Value* integer_power(DType t, llvm::Value* a, llvm::Value* b);
    llvm::Value* shift(ir::Op op, DType t, llvm::Value* a, llvm::Value* b);
    llvm::Value* compare(ir::Op op, DType t, llvm::Value* a, llvm::Value* b);
    llvm::Value* float_division(ir::Op op, llvm::Value* a, llvm::Value* b);
    llvm::Value* classify(ir::Op op, llvm::Value* a);
    llvm::Value* stays_wide(llvm::Value* a);

    // --- division.cpp ---
    llvm::Value* integer_division(ir::Op op, DType t, llvm::Value* a, llvm::Value* b);
    std::pair<llvm::Value*, llvm::Value*> divide_lanes(DType t, llvm::Value* a, llvm::Value* b);
    std::pair<llvm::Value*, llvm::Value*> divide_wide_lanes(DType t, llvm::Value* a,
                                                            llvm::Value* b);
    Dividend dividend(llvm::Value* a, DType t);
    llvm::Value* is_small(llvm::Value* x, bool with_sign);
    llvm::Value* divisible(llvm::Value* a, llvm::Value* b);

    // --- elementary.cpp ---
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
    const std::vector<bool>& strict_nan_;
    VectorIsa isa_;
    llvm::LLVMContext& context_;
    llvm::Module& module_;
    NodeValues& values_;
    llvm::IRBuilder<> b_;
    unsigned lanes_ = 1;
    std::map<llvm::Value*, Dividend> dividends_;
};

}  // namespace kiln::codegen
