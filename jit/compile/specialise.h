// From the types of a call to an element-wise kernel: choosing the loop, tracing the user's function.
#pragma once
#include "jit/call/key.h"
#include "jit/compile/compile.h"

#include <kiln/vectorize.h>

#include <optional>
#include <string>
#include <vector>

namespace kiln::engine {

/// A weak C++ integer of a call is converted to `dtype` by the kernel, so its value must fit.
struct WeakRange {
    std::size_t argument;
    DType dtype;
};

/// The kernel of a ufunc for exact argument types, before anything is known of layouts.
struct TracedMap {
    ir::Kernel kernel;
    bool where = false;
    std::vector<DType> natural;  ///< dtypes of the results, before any conversion to an output's
    std::vector<DType> memory;   ///< dtypes of the outputs in memory
    std::vector<WeakRange> weak_ranges;
    bool has_checks = false;  ///< a call can fail at run time, so it runs in logical order
    double trace_ms = 0;
    std::vector<Remark> notes;  ///< of the trace
};

/// Machine code for a call key.
struct Variant {
    const TracedMap* map = nullptr;
    std::shared_ptr<const CompiledKernel> kernel;
    MapFunction entry = nullptr;    ///< null where the code can't run here
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
    std::size_t results = 1;
};

/// Traces the user's function for the types of `key`. Errors: type (no loop accepts the arguments;
/// casting), usage (the number of outputs), and whatever the function throws.
std::unique_ptr<TracedMap> trace_map(const UfuncSource& source, const CallKey& key, Location where);

/// The map's kernel with the layouts of `key`.
ir::Kernel kernel_with_layouts(const TracedMap& map, const CallKey& key);

/// The types that `inspect` is asked for with: those of the inputs of a call.
std::vector<ArgType> argument_types(const CallKey& key);

/// What a call needs of a compile of this map.
Variant make_variant(const TracedMap& map, const Compiled& made);

/// The integer dtypes that the kernel converts weak integer inputs to.
std::vector<WeakRange> weak_ranges(const ir::Kernel& kernel);

/// Error type if a C++ integer among the arguments does not fit what the kernel makes of it.
void check_weak_values(const UfuncSource& source, const TracedMap& map,
                       std::span<const OperandView> inputs, Location where);

}  // namespace kiln::engine
