#include "jit/cpu/allocator.h"

#include <llvm/CodeGen/LiveIntervals.h>
#include <llvm/CodeGen/MachineFunctionPass.h>
#include <llvm/CodeGen/MachineRegisterInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/TargetRegisterInfo.h>
#include <llvm/CodeGen/TargetSubtargetInfo.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace kiln::engine {

namespace {

constexpr unsigned vector_registers = 32, least_vector_bits = 128;

bool is_vector(const llvm::TargetRegisterInfo& target, const llvm::MachineRegisterInfo& registers,
               llvm::Register of) {
    return target.getRegSizeInBits(*registers.getRegClass(of)) >= least_vector_bits;
}

/// Finds at how many places of a function more vectors are alive than there are registers.
class VectorPressure final : public llvm::MachineFunctionPass {
  public:
    VectorPressure() : MachineFunctionPass(id_) {}

    llvm::StringRef getPassName() const override { return "pressure on vector registers"; }
    void getAnalysisUsage(llvm::AnalysisUsage& usage) const override {
        usage.addRequired<llvm::LiveIntervalsWrapperPass>();
        usage.setPreservesAll();
        MachineFunctionPass::getAnalysisUsage(usage);
    }

    bool runOnMachineFunction(llvm::MachineFunction& f) override {
        const auto& lives = getAnalysis<llvm::LiveIntervalsWrapperPass>().getLIS();
        const llvm::MachineRegisterInfo& registers = f.getRegInfo();
        const auto& target = *f.getSubtarget().getRegisterInfo();
        std::vector<std::pair<llvm::SlotIndex, int>> changes;  // of the number that is alive
        for (unsigned i = 0; i < registers.getNumVirtRegs(); ++i) {
            const auto reg = llvm::Register::index2VirtReg(i);
            if (registers.reg_nodbg_empty(reg) || !lives.hasInterval(reg) ||
                !is_vector(target, registers, reg))
                continue;
            for (const auto& segment : lives.getInterval(reg)) {
                changes.emplace_back(segment.start, 1);
                changes.emplace_back(segment.end, -1);
            }
        }
        std::ranges::sort(changes);  // an end before what begins there
        unsigned alive = 0, begin = 0, too_many = 0;
        for (const auto& [at, change] : changes) {
            alive += static_cast<unsigned>(change);
            if (change < 0) continue;
            ++begin;
            too_many += alive > vector_registers ? 1 : 0;
        }
        peaks_ = too_many > 0 && most_of_peaks * too_many <= 2 * begin;
        return false;
    }

    /// Whether the vectors fit the registers but for some peaks. There the greedy allocator, which
    /// divides the lives of values, spills a third of what the basic one does. It takes up to five
    /// times as long, the longer the more has to be spilled, and where that is most of a body, it
    /// gains little (Black-Scholes in f64, strict: a tenth of a call, for a sixth of a first call).
    bool peaks() const { return peaks_; }

  private:
    static constexpr unsigned most_of_peaks = 5;  // two of five values
    static inline char id_ = 0;
    bool peaks_ = false;
};

}  // namespace

void add_allocator_by_pressure(llvm::legacy::PassManager& passes) {
    auto* const pressure =
        new VectorPressure;  // of the manager from here on, as the allocators are
    passes.add(pressure);
    passes.add(llvm::createGreedyRegisterAllocator(
        [pressure](const llvm::TargetRegisterInfo& target,
                   const llvm::MachineRegisterInfo& registers, llvm::Register of) {
            return pressure->peaks() && is_vector(target, registers, of);
        }));
    passes.add(llvm::createBasicRegisterAllocator());
}

}  // namespace kiln::engine
