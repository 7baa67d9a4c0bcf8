// The state behind a loop kernel: its traces, its machine code, its calls.
#pragma once
#include "jit/call/operand.h"
#include "jit/compile/compile.h"
#include "jit/compile/hot_table.h"
#include "jit/loops/known_values.h"

#include <kiln/jit.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace kiln::engine {

/// What a check of shapes is about, beside ir::ShapeRule: dimensions of a generalised ufunc.
inline constexpr std::int64_t core_shapes = -5;

/// What a kernel's lambda traces to for given types.
struct TracedLoopKernel {
    ir::Kernel kernel;
    std::vector<std::uint32_t> results;  ///< parameters, in the order in which they are returned
    /// The HostFunctionInfo of each function that the kernel calls, by its name there.
    std::map<std::string, Shared<const void>, std::less<>> functions;
    bool takes_whole_arrays = false;  ///< so extents of 1 matter
    std::vector<Remark> notes;        ///< of the trace
};

/// What an iteration (or unit) of a parallel loop took when it last ran, in picoseconds. Only how
/// loops are cut depends on it, so threads may race for it.
class LoopCost {
  public:
    std::int64_t ps() const { return ps_.load(std::memory_order_relaxed); }
    void set(std::int64_t ps) { ps_.store(ps, std::memory_order_relaxed); }
    /// Whether `piece` is this loop, which it becomes if it was none.
    bool is(PieceFunction piece) {
        PieceFunction mine = piece_.load(std::memory_order_relaxed);
        if (mine == nullptr &&
            piece_.compare_exchange_strong(mine, piece, std::memory_order_relaxed))
            return true;
        return mine == piece;
    }

  private:
    std::atomic<PieceFunction> piece_{nullptr};
    std::atomic<std::int64_t> ps_{0};  // 0: not known
};

struct LoopKernelVariant {
    std::shared_ptr<const CompiledKernel> kernel;
    ProgramFunction entry = nullptr;
    std::vector<std::uint32_t> results;
    std::vector<std::uint32_t> offsets;  ///< per parameter: its first word in the frame
    std::vector<HostCall> functions;     ///< one for each of the kernel's
    std::size_t frame_words = 0;
    bool serial = false;  ///< arrays overlap: iterations run in order
    bool makes_arrays = false;
    bool drops_flags = true;  ///< exception flags that it raises tell nothing of its data
    mutable std::array<LoopCost, 16> costs{};  ///< of the first parallel loops that ran
};

}  // namespace kiln::engine

namespace kiln::detail {

/// Whether a value of the kernel that is being traced is one of whole arrays.
bool is_array_value(dsl::Trace& trace, const Value& value);
/// Such a value as an array of the kernel, with a remark.
KernelArray stored_argument(dsl::Trace& trace, const Value& value, const std::string& what,
                            const std::source_location& where);

class LoopKernelState {
  public:
    /// `code`: what its code is asked for beside what the options say.
    LoopKernelState(engine::KernelKind kind, std::string name, std::vector<KernelParam> params,
                    KernelFunction function, JitOptions options, Location where,
                    const engine::CompileOptions& code = {});

    const std::string& name() const { return name_; }
    void call(std::span<const JitArg* const> args, std::vector<JitValue>* results,
              const std::source_location& where);
    /// A launch of an explicit kernel.
    void launch(const engine::LaunchShape& shape, std::span<const JitArg* const> args,
                const std::source_location& where);
    /// A call whose arguments are arrays that fit the parameters.
    void run(std::span<const engine::OperandView> views, const std::source_location& where);
    /// Traces the body as a part of the kernel that is being traced on this thread.
    std::vector<KernelItem> inline_call(std::span<const KernelItem> args,
                                        const std::source_location& where);
    /// Errors: those of making one.
    Shared<LoopKernelState> varied(const Variation& variation) const;
    std::string inspect(Artifact artifact, std::span<const ArgType> types, Location where);
    /// The same of the code that such a call runs.
    std::string inspect(Artifact artifact, std::span<const engine::OperandView> views,
                        Location where);
    std::string inspect_call(Artifact artifact, std::span<const JitArg> args,
                             const std::source_location& where);
    void compile_call(std::span<const JitArg> args, const std::source_location& where);
    std::vector<KernelAttributes> attributes(std::span<const ArgType> types, Location where);
    const engine::CompileOptions& code_options() const { return code_; }
    /// What calls with contiguous arrays of these types, apart from each other, run.
    void compile(std::span<const ArgType> types, Location where);
    /// `note`: what the header says of shapes.
    void export_object(std::span<const ArgType> types, const std::string& object,
                       const ExportOptions& options, Location where, std::string note = {});
    /// Of what a call with arguments of these types returns. Errors: those of tracing.
    std::vector<ArgType> result_types(std::span<const ArgType> types, Location where);
    const engine::Ledger& ledger() const { return ledger_; }
    std::string parallel_diagnostics(int level, DiagnosticsFormat format) const;
    std::vector<Difference> differences() const;

  private:
    /// The code of a kernel as its options say, what that is verified against, or what runs where
    /// arrays of a device are.
    enum class Form : std::uint8_t { optimised, plain, device };
    using Variants = engine::HotTable<engine::LoopKernelVariant, engine::LoopKernelKey>;
    Variants& variants_of(Form form);
    BackendTarget target_of(Form form) const {
        return form == Form::device ? BackendTarget::cuda : options_.target;
    }
    template <class F> void explained(const F& f) const;
    engine::LoopKernelKey key_of(std::span<const engine::OperandView> views, bool units) const;
    // What every call does gets the source_location as it is: a Location measures the file's name.
    engine::LoopKernelKey whole_key_of(std::span<const engine::OperandView> views,
                                       const std::source_location& where);
    std::uint32_t number_of_values(std::span<const engine::OperandView> views,
                                   const std::source_location& where);
    std::string types_text(const engine::LoopKernelKey& key) const;
    const engine::LoopKernelVariant& variant_for(std::span<const engine::OperandView> views,
                                                 Form form, const std::source_location& where);
    const engine::LoopKernelVariant& variant(engine::LoopKernelKey key, Form form, Location where);
    void check_device_options(BackendTarget target, Location where) const;
    void call_device(const engine::LoopKernelVariant& code,
                     std::span<const engine::OperandView> views, std::vector<JitValue>* results,
                     const std::source_location& where,
                     const engine::LaunchShape* launch = nullptr);
    void call_where_arrays_are(std::span<engine::OperandView> views, std::vector<JitValue>* results,
                               const std::source_location& where,
                               const engine::LaunchShape* launch);
    void call_verified(std::span<const engine::OperandView> views,
                       const DefaultEnvironment& environment, std::vector<JitValue>* results,
                       const std::source_location& where);
    void compare(std::span<const engine::OperandView> views,
                 std::span<const engine::OperandView> expected_views,
                 const std::vector<JitValue>& results, const std::vector<JitValue>& expected,
                 Location where);
    void call_checked(std::span<const JitArg* const> args, std::vector<JitValue>* results,
                      const std::source_location& where,
                      const engine::LaunchShape* launch = nullptr);
    std::string inspect(Artifact artifact, const engine::LoopKernelKey& key, Location where);
    engine::Inspection inspection(const engine::LoopKernelKey& key, Location where);
    engine::LoopKernelKey key_of(std::span<const ArgType> types, Location where) const;
    std::vector<KernelItem> traced_body(std::span<const KernelItem> items);
    ir::Id result_node(dsl::Trace& trace, const Value& result) const;
    const engine::TracedLoopKernel& traced(const engine::LoopKernelKey& types, Location where);
    std::unique_ptr<engine::TracedLoopKernel> trace(const engine::LoopKernelKey& types,
                                                    Location where);
    engine::KernelOwner owner(Form form = Form::optimised) const {
        return {name_, kind_, where_, target_of(form)};
    }
    engine::Job job(const engine::TracedLoopKernel& traced, const engine::LoopKernelKey& key,
                    Form form) const;
    std::unique_ptr<engine::LoopKernelVariant> compile(const engine::TracedLoopKernel& traced,
                                                       const engine::LoopKernelKey& key, Form form);
    std::string param_name(std::size_t i) const;
    /// f(views) of the arguments of a call on the host. Errors: those of a call.
    void with_views(std::span<const JitArg> args, const std::source_location& where,
                    const std::function<void(std::span<const engine::OperandView>)>& f);
    bool accepts(std::size_t i, const engine::OperandView& view) const;
    [[noreturn]] void refuse(std::size_t i, const engine::OperandView& view, Location where) const;

    const engine::KernelKind kind_;
    const std::string name_;
    const std::vector<KernelParam> params_;
    const KernelFunction function_;
    const JitOptions options_;
    const engine::CompileOptions code_;
    const Location where_;
    engine::KnownValues values_;
    Variants variants_, plain_, of_device_;
    engine::Ledger ledger_;
    // Whether the types of some call have whole-array statements, so that hot keys tell extents of 1.
    std::atomic<bool> units_matter_{false};
    engine::HotTable<engine::TracedLoopKernel, engine::LoopKernelKey> traced_;
    // Kernels call each other while they are traced, and so come back to this one.
    UserMutex tracing_;
    mutable Mutex mutex_;  // of what follows
    std::vector<std::pair<engine::LoopKernelKey, std::shared_ptr<const engine::PassReport>>>
        reports_;  // by what they were compiled for
    std::map<std::uint64_t, std::vector<Difference>>
        differences_;  // by thread, where there are any
};

}  // namespace kiln::detail
