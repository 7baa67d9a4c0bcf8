// Internal to codegen/llvm: how states of several values combine.
#pragma once
#include "codegen/llvm/ops/op_emitter.h"
#include "dsl/ir/combines.h"

#include <memory>

namespace kiln::codegen {

/// Emits what a kernel of the form `combine` computes, wherever a builder stands: of scalars, or of
/// vectors of one length. Its parts are real.
class CombineEmitter final : private NodeValues {
  public:
    /// The kernel must outlive the emitter.
    CombineEmitter(const ir::Kernel& combine, VectorIsa isa, llvm::Module& module);

    std::size_t parts() const { return parts_; }
    /// What changes no state: scalars.
    std::vector<llvm::Value*> initial(llvm::IRBuilder<>& at);
    std::vector<llvm::Value*> combined(llvm::IRBuilder<>& at, OpEmitter::Values a,
                                       OpEmitter::Values b);

  private:
    LaneValue value(ir::Id id) override;
    std::vector<llvm::Value*> emit(llvm::IRBuilder<>& at, ir::CombineStage stage);

    const ir::Kernel& combine_;
    const std::size_t parts_;
    const std::vector<bool> strict_nan_;
    OpEmitter ops_;
    std::vector<LaneValue> params_, values_;  // values: per node
};

/// Those of a kernel, made as they are asked for.
class Combiners {
  public:
    Combiners(const ir::Kernel& kernel, VectorIsa isa, llvm::Module& module)
        : kernel_(kernel), isa_(isa), module_(module), made_(kernel.combines.size()) {}
    CombineEmitter& operator[](std::uint32_t combine) {
        auto& made = made_[combine];
        if (made == nullptr)
            made = std::make_unique<CombineEmitter>(kernel_.combines[combine], isa_, module_);
        return *made;
    }
    /// How many of a list of reductions are this one: the parts of its state.
    std::size_t parts(const ir::StageReduction& r) {
        return r.combine == ir::none ? 1 : (*this)[r.combine].parts();
    }

  private:
    const ir::Kernel& kernel_;
    VectorIsa isa_;
    llvm::Module& module_;
    std::vector<std::unique_ptr<CombineEmitter>> made_;
};

}  // namespace kiln::codegen
