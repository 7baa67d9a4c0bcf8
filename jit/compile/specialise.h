// From the types of a call to a kernel: choosing the loop, tracing the user's function, compiling.
#pragma once
#include "jit/call/key.h"
#include "jit/compile/cache.h"

#include <kiln/vectorize.h>

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kiln::engine {

/// Whether the verifier looks at every kernel of the process after each pass. Off in release
/// builds, where the tests switch it on.
extern std::atomic<bool> verify_passes;

/// A weak C++ integer of a call is converted to `dtype` by the kernel, so its value must fit.
struct WeakRange {
    std::size_t argument;
    DType dtype;
};

/// The kernel of a ufunc for exact argument types, before anything is known of layouts.
struct Loop {
    ir::Kernel kernel;
    bool where = false;
    std::vector<DType> natural;  ///< dtypes of the results, before any conversion to an output's
    std::vector<DType> memory;   ///< dtypes of the outputs in memory
    std::vector<WeakRange> weak_ranges;
    bool has_checks = false;  ///< a call can fail at run time, so it runs in logical order
    double trace_ms = 0;
};

/// Machine code for a call key.
struct Variant {
    const Loop* loop = nullptr;
    std::shared_ptr<const CompiledKernel> program;
    MapFunction entry = nullptr;    ///< null where the program can't run here
    double cost = 0;                ///< estimated time of one element in nanoseconds
    std::int64_t threads_from = 0;  ///< elements from which threads pay
    bool drops_flags = true;        ///< exception flags that it raises tell nothing of its data
};

/// What a ufunc is made of.
struct UfuncSource {
    std::string name;
    std::size_t arity = 0;
    kiln::detail::ElementFunction function;
    UfuncOptions options;
    Location where;
};

/// Traces the user's function for the types of `key`. Errors: type (no loop accepts the arguments;
/// casting), usage (the number of outputs), and whatever the function throws.
std::unique_ptr<Loop> trace_loop(const UfuncSource& source, const CallKey& key, Location where);

/// The loop's kernel with the layouts of `key`.
ir::Kernel kernel_with_layouts(const Loop& loop, const CallKey& key);

/// The result of compiling for one key.
struct Specialised {
    Variant variant;
    std::vector<Remark> remarks;
    Stats stats;  ///< of this compile alone; no compile where equal code was there
};

/// f(), with the line `where` in errors that know none.
template <class F> auto at_line(Location where, F&& f) {
    try {
        return std::forward<F>(f)();
    } catch (const Error& error) {
        if (error.line() != 0) throw;
        throw Error(error.kind(), error.message(), where, error.hint());
    }
}

/// Runs the passes and compiles on `target`, or finds equal code in the cache of the process.
Specialised specialise(const UfuncSource& source, const Loop& loop, const CallKey& key,
                       BackendTarget target);
/// The same for a kernel that has its layouts already; flags_of_data where the kernel allows it.
Specialised specialise(const UfuncSource& source, const Loop& loop, ir::Kernel kernel,
                       CompileOptions options, BackendTarget target);

/// The kernel after each pass that changed it, each headed by the name of the pass.
std::string pass_texts(const UfuncSource& source, const ir::Kernel& kernel);

/// The integer dtypes that the kernel converts weak integer inputs to.
std::vector<WeakRange> weak_ranges(const ir::Kernel& kernel);

/// Error type if a C++ integer among the arguments does not fit what the kernel makes of it.
void check_weak_values(const UfuncSource& source, const Loop& loop,
                       std::span<const OperandView> inputs, Location where);

/// Estimated time of one iteration of a kernel that went through the passes, in nanoseconds.
double estimate_cost(const ir::Kernel& kernel);

}  // namespace kiln::engine
