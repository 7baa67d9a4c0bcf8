// What becomes of each loop of a kernel, and why not more: what the passes decided, and what the
// code that is made of their result will be.
#pragma once
#include "codegen/lanes/vector_isa.h"
#include "codegen/passes/pass.h"
#include "codegen/vectorised_loop.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::codegen {

/// What a plan is for.
struct PlanTarget {
    VectorIsa isa = VectorIsa::sse2;
    bool threads = false;  ///< parallel loops run on threads
    /// Element-wise kernels: from so many elements on they do; 0: never.
    std::int64_t elements_for_threads = 0;
    /// Programs: from so much work on they do, in microseconds: of loops whose iterations take
    /// about the same, and of others.
    std::int64_t even_us = 0, uneven_us = 0;
    LoopsByLlvm llvm = {};  ///< of the compiled kernel
};

/// All that was decided at one line.
struct PlannedLoop {
    std::string file;
    std::uint32_t line = 0;
    std::vector<std::string>
        kinds;  ///< "prange", "range", "while", "statement", "element-wise" ...
    std::vector<Decision> decisions;
};

/// By file and line.
struct KernelPlan {
    std::string kernel;
    std::string unit;  ///< the vector unit, or "cuda"
    std::vector<PlannedLoop> loops;

    std::string text() const;
    /// {"kernel": ..., "unit": "avx2", "loops": [{"file": ..., "line": 12, "kinds": ["prange"],
    /// "decisions": [{"what": "lanes", "done": true, "text": "4 x 4", "lanes": 4, "registers": 4}]}]}
    std::string json() const;
};

/// `traced` is what the passes were given, `compiled` what they made of it, and `context` what they
/// were told and said.
KernelPlan make_kernel_plan(const ir::Kernel& traced, const ir::Kernel& compiled,
                            const PassContext& context, const PlanTarget& target);

/// Of each outermost prange: that a kernel which is not parallel runs it on one thread.
void say_one_thread(const ir::Kernel& traced, Decisions& decisions);

/// A string of JSON.
std::string json_string(std::string_view text);

}  // namespace kiln::codegen
