// Facts about element-wise kernels and reductions that shape their vector code, found before
// emission.
#pragma once
#include "codegen/lanes/slots.h"
#include "codegen/lanes/vector_isa.h"

namespace kiln::codegen {

/// Facts about a kernel that shape its code, found before emission.
struct KernelFacts {
    std::vector<bool> varying;      ///< per node: differs from lane to lane
    SlotFacts slots;                ///< its `varying` is the one above
    std::vector<bool> only_tested;  ///< per node: a remainder that serves tested_remainder alone
    std::vector<bool> strict_nan;  ///< per node: feeds isnan & co, so flags must not make it poison
    bool has_loops = false;
    unsigned widest = 1;      ///< bytes of the widest element computed with (in loops, if any)
    unsigned narrowest = 16;  ///< bytes of the narrowest element that lanes load or store
    unsigned operations = 0;
    unsigned depth = 0;    ///< of the longest chain of operations, each an operand of the next
    unsigned streams = 0;  ///< loads that differ from lane to lane
    unsigned inlined = 0;  ///< elementary functions that are made in place
    unsigned calls = 0;    ///< elementary functions of the library
};
/// The remainder that comparison `id` compares with 0, of 32 or 64 bits and by a divisor that all
/// lanes share; none for anything else. Whether a number is divisible takes no division then.
ir::Id tested_remainder(const ir::Kernel& kernel, const SlotFacts& facts, ir::Id id);

/// `fma`: the target has it, so that elementary functions can be made in place.
KernelFacts analyse(const ir::Kernel& kernel, bool fma);

/// Bytes of the narrowest element that AVX2 loads and stores under a mask.
constexpr unsigned least_masked = 4;
/// Bodies of more operations take fewer registers.
constexpr unsigned few_operations = 24;
/// How many registers of the widest type the main loop's body has. Simple bodies take four, to
/// cover the latency of their operations, loops two (their recurrences are the latency) and
/// polynomials two, and bodies with library calls one. So do bodies that read many arrays, unless
/// their lanes are accumulators: their loads are independent enough, and come to each array in the
/// order of its addresses, as prefetchers like it. Where long bodies are few chains of operations
/// that wait for each other, as those of random numbers are, four registers fill the gaps; their
/// values fit the 32 registers of a machine with `many_registers`. Many accumulators cover their
/// latencies together, and have to stay in registers: one each.
unsigned choose_registers(const KernelFacts& facts, std::size_t accumulators, bool many_registers);

/// What vector code of a map, reduction or scan, of which `facts` were found for this vector unit,
/// takes at once.
ir::Lanes choose_lanes(const ir::Kernel& kernel, const KernelFacts& facts, VectorIsa isa);

/// Whether the accumulators of the steps and of their groups leave half of the machine's registers
/// free. Else those of groups are in memory, of a kernel that reduces to several totals.
bool two_levels_fit(const ir::Kernel& kernel, unsigned lanes, VectorIsa isa);

/// Whether lanes without an element are masked where the kernel touches memory: below four bytes
/// that takes AVX-512, for others AVX2. Without, what fills no register is left to single lanes.
bool masks_memory(const KernelFacts& facts, VectorIsa isa);

}  // namespace kiln::codegen
