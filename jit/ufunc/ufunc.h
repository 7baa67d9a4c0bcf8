// The state behind a Ufunc handle, and the carrying out of its calls.
#pragma once
#include "codegen/llvm/emit.h"
#include "jit/call/operand.h"
#include "jit/compile/hot_table.h"
#include "jit/compile/specialise.h"
#include "jit/reduce/reduce.h"

#include <kiln/vectorize.h>

#include <atomic>
#include <mutex>

namespace kiln::detail {

class InOrder;

/// The operands of one call.
struct Call {
    std::array<engine::OperandView, engine::max_operands> operands;  // inputs, where, outputs
    std::array<CallAccess::Row, engine::max_operands> rows;
    std::size_t inputs = 0;
    bool where = false;
    bool on_device = false;   ///< any of its arrays, so it runs there
    std::size_t outputs = 0;  ///< that were given
    Casting casting = Casting::same_kind;
    std::optional<DType> dtype = {};
    Order order = Order::keep;
    FloatWord environment = float_default;  ///< when it began

    std::size_t sources() const { return inputs + (where ? 1 : 0); }  ///< operands that are read
    std::span<engine::OperandView> reads() { return {operands.data(), sources()}; }
    std::span<engine::OperandView> writes() { return {operands.data() + sources(), outputs}; }
};

using abi::streaming_bytes;

class UfuncState {
  public:
    explicit UfuncState(engine::UfuncSource source);
    ~UfuncState();
    UfuncState(const UfuncState&) = delete;
    UfuncState& operator=(const UfuncState&) = delete;

    const engine::UfuncSource& source() const { return source_; }

    /// Fills `call`; errors: usage (number of arguments).
    void gather(Call& call, std::span<const Arg* const> args, const CallOptions& options,
                const std::source_location& where) const;
    /// Carries the call out where all operands are scalars or C-contiguous arrays of one shape, the
    /// code exists, and neither threads nor copies are wanted; false if not. The result goes to
    /// `result`, unless an output was given.
    bool call_simple(Call& call, Array* result, const std::source_location& where);
    /// Carries any call out. Outputs that were not given are made and returned, in order.
    std::vector<Array> call_general(Call& call, Location where);

    /// Traces the callable as a part of the kernel that is being traced on this thread.
    std::vector<Value> inline_call(std::span<const KernelItem> args,
                                   const std::source_location& where);

    std::vector<Signature> types();
    std::optional<Scalar> identity();
    Resolution resolve(std::initializer_list<Arg> args, const CallOptions& options, Location where);

    Array reduce(const Arg& x, const ReduceOptions& options, Location where);
    Array accumulate(const Arg& x, const AccumulateOptions& options, Location where);
    Array reduceat(const Arg& x, const Arg& indices, const ReduceAtOptions& options,
                   Location where);
    /// `values` is null for kernels of one argument.
    void at(const OutArg& x, const Indices& indices, const Arg* values, Location where);
    /// The reduction by this operation of values of dtype `x`; null where the kernel is none.
    ReduceState* reduction(DType x, Location where);

    std::string inspect(Artifact artifact, std::span<const ArgType> types, Location where);
    /// What calls with contiguous arrays of these types run.
    void compile(std::span<const ArgType> types, Location where);
    void export_object(std::span<const ArgType> types, const std::string& object,
                       const ExportOptions& options, Location where);
    const engine::Ledger& ledger() const { return ledger_; }

    const engine::TracedMap& traced(const engine::CallKey& types, Location where);
    const engine::Variant& variant(const engine::CallKey& key, const engine::TracedMap& map) {
        return variant(key, map, variants_, target_);
    }
    /// What C++ calls without kiln's help: a function of the CPU, whatever the environment says.
    const engine::Variant& bound_variant(const engine::CallKey& key, const engine::TracedMap& map) {
        return target_ == source_.options.target
                   ? variant(key, map)
                   : variant(key, map, of_cpu_, source_.options.target);
    }

  private:
    std::unique_ptr<engine::TracedMap> trace(const engine::CallKey& types, Location where) const;
    void note_loop(const engine::CallKey& types, const engine::TracedMap& map, Location where);
    Signature loop_of(const engine::CallKey& types, const engine::TracedMap& map,
                      Location where) const;
    /// "NAME.reduce takes a kernel of 2 arguments and one result".
    void check_binary(const std::string& label, Location where) const;
    /// The dtype of f(x, x), into which f of that and x goes. Errors: type.
    DType step_dtype(const std::string& label, DType x, std::optional<DType> dtype, Location where);
    /// The neutral element for results of this dtype, where one is declared; checked.
    std::optional<Scalar> checked_identity(DType dtype, Location where);
    Array reduce_in_order(const Array& x, const ReduceOptions& options, Location where);
    void reduce_row(const Array& x, const Array& out, bool begun, Location where);
    InOrder& in_order();
    engine::KernelOwner owner() const { return owner(target_); }
    engine::KernelOwner owner(BackendTarget target) const;
    const engine::Variant& variant(const engine::CallKey& key, const engine::TracedMap& map,
                                   engine::HotTable<engine::Variant>& variants,
                                   BackendTarget target);
    engine::CallKey key_of(std::span<const ArgType> types, Location where) const;
    engine::CallFault run_on_device(const engine::CallPlan& plan, const engine::Variant& code,
                                    Location where);
    class DeviceScalars;
    void check_device_call(Call& call, Location where) const;
    engine::Job job(const engine::CallKey& key, const engine::TracedMap& map) const;
    Shape checked_shape(Call& call, Location where) const;
    void execute(Call& call, const Shape& shape, const engine::TracedMap& map, bool given,
                 Location where);

    const engine::UfuncSource source_;
    const BackendTarget target_;  ///< of calls with arrays of the host
    using Variants = engine::HotTable<engine::Variant>;
    Variants variants_, of_device_, of_cpu_;
    engine::Ledger ledger_;
    std::atomic<bool> said_rows_{false};  ///< that a call on a device is a launch for each row
    engine::HotTable<engine::TracedMap> traced_;
    // A user's function may call other ufuncs, and so come back to this one.
    UserMutex tracing_;
    Mutex mutex_;  // of what follows
    // Made by the first call of reduce() for the types that have the operation.
    std::array<std::unique_ptr<ReduceState>, std::size(ir::reduction_table)> reducers_;
    std::vector<Signature> loops_;  // without signatures: those traced so far
    std::vector<DType> proven_;     // dtypes for which the identity is one
    std::unique_ptr<InOrder> in_order_;
};

}  // namespace kiln::detail
