// The state behind a generalised ufunc: its calls, and the loop kernels that they run.
#pragma once
#include "dsl/ir/builder.h"
#include "jit/call/core_call.h"
#include "jit/loops/loop_kernel.h"

#include <kiln/guvectorize.h>

namespace kiln::detail {

/// Core sizes that are constants of a kernel: 1 to 8, or 0 where the size is none.
class ConstantSizes {
  public:
    static constexpr std::int64_t largest = 8;
    void set(std::size_t dim, std::int64_t size) {
        if (size >= 1 && size <= largest) bits_ |= static_cast<std::uint64_t>(size) << 4 * dim;
    }
    std::int64_t get(std::size_t dim) const {
        return static_cast<std::int64_t>(bits_ >> 4 * dim & 15);
    }
    bool any() const { return bits_ != 0; }
    bool operator==(const ConstantSizes&) const = default;
    std::uint64_t hash() const {
        const std::uint64_t h = bits_ * 0x9e3779b97f4a7c15u;
        return h ^ (h >> 32);
    }

  private:
    static_assert(engine::CoreSignature::max_dims * 4 <= 64);
    std::uint64_t bits_ = 0;
};

/// What a kernel of a generalised ufunc is made for.
struct CoreForm {
    ConstantSizes sizes;
    /// Operands, as bits, whose cores have constant sizes and follow each other in memory without
    /// gaps: they have one axis there, so that the distance of any two elements of a core, and of
    /// neighbouring cores, is a constant.
    std::uint64_t flat = 0;
    bool any() const { return sizes.any() || flat != 0; }
    bool operator==(const CoreForm&) const = default;
    std::uint64_t hash() const { return sizes.hash() ^ flat * 0xd6e8feb86659fd93u; }
};

class GufuncState {
  public:
    GufuncState(std::string name, std::string_view signature, std::span<const KernelParam> params,
                KernelFunction function, GufuncOptions options, Location where);

    const std::string& name() const { return name_; }
    const GufuncOptions& options() const { return options_; }
    const engine::CoreSignature& signature() const { return signature_; }

    Shared<GufuncState> varied(const Variation& variation) const;
    /// The results of a call, in order.
    std::vector<Array> call(std::span<const Arg* const> args, const GufuncCallOptions& options,
                            const std::source_location& where);
    /// Traces the callable as a part of the kernel that is being traced on this thread.
    std::vector<KernelItem> inline_call(std::span<const KernelItem> args,
                                        const std::source_location& where);
    CoreResolution resolve(std::span<const Arg* const> args, const GufuncCallOptions& options,
                           const std::source_location& where);
    std::string inspect(Artifact artifact, std::span<const ArgType> types,
                        const std::source_location& where);
    void export_object(std::span<const ArgType> types, const std::string& object,
                       const ExportOptions& options, const std::source_location& where);
    std::string inspect_call(Artifact artifact, std::span<const Arg* const> args,
                             const GufuncCallOptions& options, const std::source_location& where);
    std::vector<std::vector<ArgType>> specialisations() const;
    std::vector<Remark> remarks() const;
    Stats stats() const;

  private:
    struct Call;
    struct Operands;
    struct InlineCall;
    std::size_t inputs() const { return signature_.inputs(); }
    std::size_t outputs() const { return signature_.outputs(); }
    bool is_written(std::size_t operand) const {
        return operand >= inputs() || params_[operand] == KernelParam::inout;
    }
    std::string param_name(std::size_t operand) const;
    std::string operand_name(std::size_t operand) const;  ///< for errors of a call
    std::uint64_t written_operands() const;               ///< of a kernel, as bits

    /// What calls, resolve and inspection begin with. Errors: those of a call.
    engine::CoreCall prepare(Call& call, std::span<const Arg* const> args,
                             const GufuncCallOptions& options,
                             const std::source_location& where) const;
    void gather(Call& call, std::span<const Arg* const> args, const GufuncCallOptions& options,
                const std::source_location& where) const;
    void check_written(Call& call, const std::source_location& where) const;
    /// Fills in the dtypes that the kernel computes with, from those of the inputs.
    void choose_types(std::span<DType> types, const GufuncCallOptions& options,
                      const std::source_location& where) const;
    /// The same from types of arguments, and over how many dimensions their stacks are at most. Errors: a wrong
    /// number of them, fewer dimensions than a core has.
    std::size_t types_of(std::span<const ArgType> given, std::span<DType> types,
                         const std::source_location& where) const;
    engine::CoreCall shapes_of(const Call& call, const GufuncCallOptions& options,
                               const std::source_location& where) const;
    void make_results(Call& call, const engine::CoreCall& shapes, const GufuncCallOptions& options,
                      const std::source_location& where) const;
    void check_casts(const Call& call, const GufuncCallOptions& options,
                     const std::source_location& where) const;
    void separate(Call& call, bool in_blocks, const std::source_location& where);
    std::vector<Array> call_once(std::span<const Arg* const> args, const GufuncCallOptions& options,
                                 bool in_blocks, const std::source_location& where);
    std::int64_t converted_bytes(const Call& call) const;
    bool all_apart(const Call& call) const;
    void call_blocks(const Call& call, const engine::CoreCall& shapes, int axis, std::int64_t step,
                     const GufuncCallOptions& options, const std::source_location& where);
    /// Leaves a remark, once.
    void note(std::string text);
    void note_locked(std::string text);
    void lay_out(const Call& call, const engine::CoreCall& shapes, Operands& operands) const;
    void run(const Call& call, const engine::CoreCall& shapes, const std::source_location& where);
    void check_all_written(const Call& call, const std::source_location& where) const;
    ConstantSizes constant_sizes(const engine::CoreCall& shapes) const;

    /// Whether calls with these sizes have code of their own.
    bool is_special(ConstantSizes sizes) const;
    bool is_special_locked(ConstantSizes sizes) const;
    /// The kernel for a form; for `form` without constants where there are too many.
    LoopKernelState& kernel(CoreForm& form);
    /// `exported`: it checks shapes, which calls do else.
    std::unique_ptr<LoopKernelState> make_kernel(CoreForm form, bool exported = false);
    template <class F> void with_kernel(const Call& call, const engine::CoreCall& shapes,
                                        const F& f);
    std::vector<std::uint32_t> params_of(dsl::Trace& trace,
                                         std::span<const KernelItem> items) const;
    std::vector<ir::Id> trace_sizes(ir::Builder& b, std::span<const std::uint32_t> params,
                                    ConstantSizes constant) const;
    std::vector<KernelItem> trace(std::span<const KernelItem> items, CoreForm form);
    void trace_shape_checks(std::span<const KernelItem> items) const;
    std::int64_t constant_size(std::size_t dim, ConstantSizes constant) const;

    const std::string name_, text_;
    const engine::CoreSignature signature_;
    const std::vector<KernelParam> params_;
    const KernelFunction function_;
    const GufuncOptions options_;
    const Location where_;
    const bool checked_;
    std::unique_ptr<LoopKernelState> general_;  ///< no size is a constant
    engine::HotTable<LoopKernelState, CoreForm> special_;
    std::atomic<bool> uses_whole_arrays_{false};  ///< so that no operand is flat
    UserMutex tracing_;
    mutable Mutex mutex_;  // of what follows
    struct Special {
        CoreForm form;
        LoopKernelState* kernel;
    };
    std::vector<Special> special_kernels_;
    std::vector<ConstantSizes> special_sizes_;
    std::vector<Remark> notes_;
};

}  // namespace kiln::detail
