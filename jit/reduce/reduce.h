// The state behind a MapReduce: its kernels, and the carrying out of reductions.
#pragma once
#include "jit/call/operand.h"
#include "jit/compile/hot_table.h"
#include "jit/compile/specialise.h"
#include "runtime/process.h"

#include <kiln/jit.h>
#include <kiln/reduce.h>
#include <kiln/reduction.h>

#include <mutex>
#include <string>

namespace kiln::engine {

/// The kernels of a reduction. `row` combines the elements of a row into one; the others are
/// element-wise and combine several rows, given as parameters of their own, into a row of results:
///
///     first, first_one     out = tree(f(rows))               of group_rows() rows, or of one
///     next, next_one       out = running op tree(f(rows))
///
/// `scan` gives a row of running results: out[c] = carry op f(row[0]) op ... op f(row[c]).
enum class ReduceForm : std::uint8_t { row, first, next, first_one, next_one, scan };
inline constexpr std::size_t reduce_form_count = 6;
constexpr bool has_running(ReduceForm form) {
    return form == ReduceForm::next || form == ReduceForm::next_one;
}

/// Functions of more operations combine one row a pass, not several.
inline constexpr int operations_of_several_rows = 24;

/// What is traced for given types. The natural[0] of the map is the dtype of the result, its memory[0] the
/// dtype that is accumulated in, and so that of all partial results; of states, there is one a part.
struct TracedReduction {
    TracedMap map;
    int rows = 1;  ///< of a pass
};

/// A reduction that traces, compiles and keeps its kernels.
class Reducer {
  public:
    Reducer(UfuncSource source, ir::Reduction reduction);
    /// Of states, which the source's function gives part by part. It has the form `row` alone.
    Reducer(UfuncSource source, Shared<const kiln::detail::StateReduction> states,
            bool of_partials = false);

    const UfuncSource& source() const { return source_; }
    ir::Reduction reduction() const { return reduction_; }
    /// What combines states; null where single values combine.
    const kiln::detail::StateReduction* states() const { return states_.get(); }
    const Shared<const kiln::detail::StateReduction>& shared_states() const { return states_; }
    /// The reducer of partial results.
    Reducer& partials();
    /// "maximum": what errors call the operation.
    std::string_view operation() const;

    Ledger& ledger() { return ledger_; }

    const TracedReduction& traced(ReduceForm form, const CallKey& types, Location where);
    /// `missed` is set where the code was not there.
    const Variant& variant(ReduceForm form, const CallKey& key, Location where,
                           bool* missed = nullptr);
    std::string inspect(Artifact artifact, ReduceForm form, CallKey key, Location where);

  private:
    KernelOwner owner(ReduceForm form) const;
    Job job(ReduceForm form, const CallKey& key, const TracedReduction& traced) const;
    std::unique_ptr<TracedReduction> trace(ReduceForm form, const CallKey& types, Location where);

    const UfuncSource source_;
    const ir::Reduction reduction_ = ir::Reduction::sum;
    const Shared<const kiln::detail::StateReduction> states_;
    std::unique_ptr<Reducer> partials_;  // of states, where this is not the one
    std::array<HotTable<TracedReduction>, reduce_form_count> traced_;
    std::array<HotTable<Variant>, reduce_form_count> variants_;
    // A user's function may come back to this reduction.
    kiln::detail::UserMutex tracing_;
    Ledger ledger_;
};

/// The reducer of partial results: of values themselves, by the given reduction. One a process.
Reducer& partial_reducer(ir::Reduction reduction);

/// One axis of a reduction: a byte stride for each operand that is read, and for the result.
struct ReduceAxis {
    std::int64_t extent = 1;
    int dimension = -1;  ///< of the call's shape
    std::array<std::int64_t, max_inputs + 1> strides{};
    std::int64_t out_stride = 0;
};

/// Room for axes, each of which is made by assigning to its place: a call has many places and few
/// axes.
template <std::size_t N> class AxisRoom {
  public:
    AxisRoom() {}
    ReduceAxis& operator[](std::size_t i) { return axes_[i]; }
    const ReduceAxis& operator[](std::size_t i) const { return axes_[i]; }
    std::span<ReduceAxis> first(std::size_t count) { return {axes_, count}; }
    std::span<const ReduceAxis> first(std::size_t count) const { return {axes_, count}; }

  private:
    union {
        ReduceAxis axes_[N];
    };
};

/// What is reduced: no extent is 0.
struct ReduceProblem {
    std::size_t sources = 0;  ///< inputs, then the mask if there is one
    std::array<std::byte*, max_inputs + 1> data{};
    std::array<DType, max_inputs + 1> dtypes{};
    std::byte* out = nullptr;
    DType out_dtype{};  ///< the dtype that is accumulated in
    /// Of states: where the parts go, `out` being that of the first, and their dtypes. All are laid out
    /// as the first one is.
    std::size_t parts = 1;
    std::array<std::byte*, max_parts> outs;
    std::array<DType, max_parts> out_dtypes;
    AxisRoom<max_rank> kept, reduced;
    std::size_t kept_count = 0, reduced_count = 0;
    /// Axes stay in the order given and whole, so that `dimension` tells the index of a fault.
    bool logical_order = false;
};

/// The problem of reducing the axes in `bits` of sources that broadcast to `shape` into `out`, whose
/// shape is that of the result.
void make_problem(ReduceProblem& p, std::span<const OperandView> sources, const Shape& shape,
                  unsigned bits, const Array& out, bool keepdims);

/// The same of states, into arrays of one shape and C order.
void make_problem(ReduceProblem& p, std::span<const OperandView> sources, const Shape& shape,
                  unsigned bits, std::span<const Array> parts, bool keepdims);

/// Reverses axes along which the operands run backwards, sorts the axes of a kind by the operands'
/// strides, outermost first, and merges neighbours where all operands allow it.
void arrange_axes(ReduceProblem& p, std::span<ReduceAxis> axes, std::size_t& count);

/// Reduces; `key` has the types of the call. False where code of the reducer had to be compiled.
/// Errors: the kernel's checks, at an index of `shape`.
bool run_reduction(Reducer& reducer, CallKey key, ReduceProblem& problem, bool parallel,
                   const Shape& shape, Location where);

/// out = out op x for every element of `out`, whose dtype is accumulated in.
void combine_scalar(ir::Reduction reduction, const Array& out, const Scalar& x, Location where);

/// The reduction that a traced kernel of two arguments is one operation of; nothing if none.
std::optional<ir::Reduction> reduction_of(const ir::Kernel& kernel);

}  // namespace kiln::engine

namespace kiln::detail {

class ReduceState {
  public:
    ReduceState(engine::UfuncSource source, ir::Reduction reduction)
        : reducer_(std::move(source), reduction) {}
    /// `finish`: what makes results of the parts of a state; none: they are the results.
    ReduceState(engine::UfuncSource source, Shared<const StateReduction> states,
                std::optional<Ufunc> finish)
        : reducer_(std::move(source), std::move(states)), finish_(std::move(finish)) {}
    engine::Reducer& reducer() { return reducer_; }
    Shared<ReduceState> varied(const Variation& variation) const;
    /// Carries a call out; `by_default` are the axes where the options name none.
    Array call(std::initializer_list<const Arg*> args, const ReduceOptions& options,
               const Axes& by_default, Location where);
    /// The same, of states: one a result.
    std::vector<Array> call_states(std::initializer_list<const Arg*> args,
                                   const ReduceOptions& options, Location where);
    std::vector<Array> accumulate(std::span<const Arg> args, const AccumulateOptions& options,
                                  const std::source_location& where);
    std::vector<Array> reduceat(std::span<const Arg> args, const Arg& indices,
                                const ReduceAtOptions& options, const std::source_location& where);

  private:
    struct InOrder;
    struct Rows;
    Rows rows_of(const char* method, std::span<const Arg> args, int axis,
                 const std::optional<DType>& dtype, const std::source_location& where) const;
    const InOrder& in_order(const std::source_location& where);
    KernelFunction step_by_step(bool segments) const;
    std::vector<DType> result_types(const std::source_location& where) const;

    engine::Reducer reducer_;
    std::optional<Ufunc> finish_;
    Mutex mutex_;
    std::shared_ptr<const InOrder> in_order_;  // made when first used
};

}  // namespace kiln::detail
