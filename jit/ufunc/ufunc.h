// The state behind a Ufunc handle, and the carrying out of its calls.
#pragma once
#include "codegen/llvm/emit.h"
#include "jit/call/signature.h"
#include "jit/compile/counters.h"
#include "jit/compile/hot_table.h"
#include "jit/compile/specialise.h"
#include "jit/reduce/reduce.h"

#include <kiln/vectorize.h>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace kiln::detail {

/// What jit sees of the arguments of a call.
struct CallAccess {
    /// Room for the shape of an operand that is no Array.
    struct Row {
        std::int64_t extent, stride;
    };
    static void view(const Arg& arg, engine::OperandView& view, Row& row) {
        if (arg.kind_ == Arg::Kind::array) [[likely]] {
            view_array(*arg.array_, view);
        } else {
            view_other(arg, view, row);
        }
    }
    static void view(const OutArg& out, engine::OperandView& view, Row& row) {
        if (out.array_ != nullptr) [[likely]] {
            view_array(*out.array_, view);
        } else {
            row = {out.size_, static_cast<std::int64_t>(size_of(out.dtype_))};
            view = {out.data_,  &row.extent, &row.stride, nullptr, 1,
                    out.dtype_, false,       false,       false};
        }
    }

  private:
    static void view_array(const Array& a, engine::OperandView& view) {
        view = {a.data(), a.shape().data(), a.strides().data(), &a, a.rank(), a.dtype(), false,
                false,    a.read_only()};
    }
    static void view_other(const Arg& arg, engine::OperandView& view, Row& row);
};

/// The array that stands for an output: itself, or one over the caller's memory.
Array output_handle(const OutArg& out);

/// A count that many threads increment. The first threads of the process have places of their own,
/// which they add to without a locked instruction; the others share one.
class SpreadCounter {
  public:
    void increment() {
        const std::size_t place = place_of_thread();
        std::atomic<std::uint64_t>& count = places_[place].count;
        if (place != shared) {
            count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        } else {
            count.fetch_add(1, std::memory_order_relaxed);
        }
    }
    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const Place& place : places_) sum += place.count.load(std::memory_order_relaxed);
        return sum;
    }

  private:
    static constexpr std::size_t shared = 7;
    static std::size_t place_of_thread() {
        static constinit std::atomic<std::size_t> threads{0};
        thread_local const std::size_t mine =
            std::min(threads.fetch_add(1, std::memory_order_relaxed), shared);
        return mine;
    }
    struct alignas(64) Place {
        std::atomic<std::uint64_t> count{0};
    };
    std::array<Place, shared + 1> places_{};
};

/// The operands of one call.
struct Call {
    std::array<engine::OperandView, engine::max_operands> operands;  // inputs, where, outputs
    std::array<CallAccess::Row, engine::max_operands> rows;
    std::size_t inputs = 0;
    bool where = false;
    std::size_t outputs = 0;  ///< that were given
    Casting casting = Casting::same_kind;
    std::optional<DType> dtype = {};
    Order order = Order::keep;
    FloatWord environment = float_default;  ///< when it began

    std::size_t sources() const { return inputs + (where ? 1 : 0); }  ///< operands that are read
    std::span<engine::OperandView> reads() { return {operands.data(), sources()}; }
    std::span<engine::OperandView> writes() { return {operands.data() + sources(), outputs}; }
};

using codegen::streaming_bytes;

class UfuncState {
  public:
    explicit UfuncState(engine::UfuncSource source);
    ~UfuncState();
    UfuncState(const UfuncState&) = delete;
    UfuncState& operator=(const UfuncState&) = delete;

    const engine::UfuncSource& source() const { return source_; }

    /// Fills `call`; errors: usage (number of arguments).
    void gather(Call& call, std::initializer_list<const Arg*> args, const CallOptions& options,
                const std::source_location& where) const;
    /// Carries the call out where all operands are scalars or C-contiguous arrays of one shape, the
    /// code exists, and neither threads nor copies are wanted; false if not. The result goes to
    /// `result`, unless an output was given.
    bool call_simple(Call& call, Array* result, const std::source_location& where);
    /// Carries any call out. Outputs that were not given are made and returned, in order.
    std::vector<Array> call_general(Call& call, Location where);

    Array reduce(const Arg& x, const ReduceOptions& options, Location where);
    /// The reduction by this operation of values of dtype `x`; null where the kernel is none.
    ReduceState* reduction(DType x, Location where);

    std::string inspect(Artifact artifact, std::span<const ArgType> types, Location where);
    std::vector<Remark> remarks() const;
    Stats stats() const;

    engine::Loop& loop(const engine::CallKey& types, Location where);
    engine::Variant& variant(const engine::CallKey& key, const engine::Loop& loop);
    [[noreturn]] static void throw_fault(const engine::Variant& variant,
                                         const engine::CallFault& fault, const Shape& shape,
                                         Location where);

  private:
    void record(const engine::Specialised& made);
    std::string text_for(BackendTarget target, Artifact artifact, const engine::CallKey& key,
                         const engine::Loop& loop);
    Shape checked_shape(Call& call, Location where) const;
    void execute(Call& call, const Shape& shape, const engine::Loop& loop, bool given,
                 Location where);

    const engine::UfuncSource source_;
    engine::HotTable<engine::Variant> variants_;
    SpreadCounter hits_;
    engine::HotTable<engine::Loop> loops_;
    // A user's function may call other ufuncs, and so come back to this one.
    UserMutex tracing_;
    mutable Mutex mutex_;  // of what follows
    Stats made_;           // without hits
    std::vector<Remark> remarks_;
    // Made by the first call of reduce() for the types that have the operation.
    std::array<std::unique_ptr<ReduceState>, std::size(ir::reduction_table)> reducers_;
    const engine::Counted counted_{[this] { return stats(); }};
};

}  // namespace kiln::detail
