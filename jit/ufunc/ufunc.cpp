// Calls of ufuncs: the short way for simple operands, and the general one.
#include "jit/ufunc/ufunc.h"

#include "jit/call/arity.h"
#include "jit/call/overlap.h"
#include "jit/compile/fault.h"
#include "jit/compile/observed_call.h"
#include "runtime/device/arrays.h"
#include "runtime/device/at_line.h"
#include "runtime/device/memory.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace kiln {

using detail::Call;
using engine::OperandView;

namespace detail {

void UfuncState::gather(Call& call, std::span<const Arg* const> args, const CallOptions& options,
                        const std::source_location& where) const {
    if (args.size() != source_.arity) [[unlikely]] {
        engine::throw_wrong_arity(source_.name, source_.arity, args.size(),
                                  engine::Given::arguments, where);
    }
    bool on_device = false;
    std::size_t k = 0;
    for (const Arg* arg : args) {
        on_device |= CallAccess::view_of_any_place(*arg, call.operands[k], call.rows[k]);
        ++k;
    }
    call.inputs = k;
    if (options.where) {
        on_device |= CallAccess::view_of_any_place(*options.where, call.operands[k], call.rows[k]);
        if (call.operands[k].dtype != DType::bool_) {
            throw Error(ErrorKind::type,
                        fmt::format("where= of {} is of dtype {}, not bool", source_.name,
                                    kiln::name(call.operands[k].dtype)),
                        where, "compare or convert with astype(DType::bool_)");
        }
        call.where = true;
        ++k;
    }
    if (options.out) {
        if (options.outs.size() > 0) [[unlikely]] {
            throw Error(ErrorKind::usage,
                        fmt::format("both .out and .outs of {} are given", source_.name), where);
        }
        on_device |= CallAccess::view_of_any_place(options.out, call.operands[k], call.rows[k]);
        call.outputs = 1;
    }
    if (options.outs.size() + call.inputs > max_arguments) [[unlikely]]
        throw Error(ErrorKind::usage,
                    fmt::format("{} outputs given; {} takes {}, and a kernel has at most {} "
                                "arguments and results",
                                options.outs.size(), source_.name,
                                engine::counted(call.inputs, "argument"), max_arguments),
                    where);
    for (std::size_t i = 0; i < options.outs.size(); ++i, ++k) {
        if (!options.outs[i]) {
            throw Error(ErrorKind::usage,
                        fmt::format("output {} of {} is empty", i + 1, source_.name), where);
        }
        on_device |= CallAccess::view_of_any_place(options.outs[i], call.operands[k], call.rows[k]);
        ++call.outputs;
    }
    call.on_device = on_device;
    call.casting = options.casting;
    call.dtype = options.dtype;
    call.order = options.order;
}

namespace {

/// Calls of fewer elements neither stream nor, but for costly kernels, use threads: 13 operands of
/// 16 bytes stay below streaming_bytes.
constexpr std::int64_t simple_limit = 65'536;
/// 1: C-contiguous of exactly this shape; 0: one element; -1: neither.
inline int simple_form(const OperandView& operand, const std::int64_t* extents, int rank) {
    std::int64_t expected = operand.item();
    bool same = operand.rank == rank && !operand.scalar;
    if (same) {
        for (int d = rank; d-- > 0;) {
            same = same && operand.extents[d] == extents[d] &&
                   (extents[d] == 1 || operand.strides[d] == expected);
            expected *= extents[d];
        }
        if (same) return 1;
    }
    if (operand.rank > rank) return -1;
    for (int d = 0; d < operand.rank; ++d) {
        if (operand.extents[d] != 1) return -1;
    }
    return 0;
}

}  // namespace

/// Of the arrays of a simple call, and of its result.
[[gnu::noinline]] static std::int64_t bytes_of(Call& call, const OperandView& shaped,
                                               const Array* result) {
    std::int64_t bytes =
        result == nullptr ? 0 : shaped.size() * static_cast<std::int64_t>(result->item_size());
    const auto operands = std::span(call.operands).first(call.sources() + call.outputs);
    for (const OperandView& o : operands) bytes += o.scalar ? 0 : o.item() * o.size();
    return bytes;
}

bool UfuncState::call_simple(Call& call, Array* result, const std::source_location& where) {
    const std::size_t sources = call.sources();
    if (call.on_device || call.outputs > 1 || (call.outputs == 0 && call.order == Order::fortran))
        return false;
    // The operand whose shape the call has, if this is a simple one.
    const OperandView* shaped = &call.operands[sources];
    if (call.outputs == 0) {
        if (sources == 0) return false;
        shaped = &call.operands[0];
        for (std::size_t k = 1; k < sources; ++k) {
            const OperandView& o = call.operands[k];
            if (o.rank > shaped->rank || (o.rank == shaped->rank && o.size() > shaped->size()))
                shaped = &o;
        }
    }
    const int rank = shaped->rank;
    const std::int64_t n = shaped->size();
    if (n >= simple_limit || n <= 0) return false;

    engine::CallKey key(call.inputs, call.casting, call.dtype);
    abi::MapCall<engine::max_operands> frame;
    for (std::size_t k = 0; k < sources; ++k) {
        const OperandView& o = call.operands[k];
        const int form = simple_form(o, shaped->extents, rank);
        if (form < 0) return false;
        const ir::Layout layout = form == 1 ? ir::Layout::unit : ir::Layout::uniform;
        frame.operands[k] = {o.data, form == 1 ? o.item() : 0, 0};
        if (k < call.inputs) {
            key.set_input(k, o.dtype, o.weak, layout);
        } else {
            key.set_where(layout);
        }
    }
    if (call.outputs == 1) {
        const OperandView& out = call.operands[sources];
        if (out.read_only || simple_form(out, out.extents, rank) != 1) return false;
        const std::byte* const out_end = out.data + n * out.item();
        for (std::size_t k = 0; k < sources; ++k) {
            const OperandView& o = call.operands[k];
            const std::int64_t bytes = frame.operands[k].inner == 0 ? o.item() : n * o.item();
            const bool apart = o.data + bytes <= out.data || out_end <= o.data;
            const bool in_place =
                o.data == out.data && o.dtype == out.dtype && frame.operands[k].inner != 0;
            if (!apart && !in_place) return false;
        }
        key.set_output(0, out.dtype, ir::Layout::unit, true);
    }
    const engine::Variant* const found = variants_.find(key);
    const engine::Variant& code =
        found != nullptr ? *found : variant(key, traced(key.types(), where));
    const engine::TracedMap& map = *code.map;
    if (code.entry == nullptr || map.memory.size() != 1) return false;
    if (source_.options.parallel && n >= code.threads_from) return false;
    if (found != nullptr) ledger_.hit();
    if (!map.weak_ranges.empty()) engine::check_weak_values(source_, map, call.reads(), where);

    if (result != nullptr) {
        const Shape shape = shaped->shape();
        *result = call.where ? zeros(shape, map.memory[0], Order::c, {})
                             : empty(shape, map.memory[0], Order::c, {});
        frame.operands[sources] = {result->data(), static_cast<std::int64_t>(result->item_size()),
                                   0};
    } else {
        const OperandView& out = call.operands[sources];
        frame.operands[sources] = {out.data, out.item(), 0};
    }
    engine::Fault fault;
    frame.map = {n, 1, &fault};
    if (engine::calls_are_observed()) [[unlikely]] {
        const engine::ObservedCall observed(source_.name, bytes_of(call, *shaped, result));
        frame.run(code.entry);
    } else {
        frame.run(code.entry);
    }
    if (code.drops_flags) write_float_word(call.environment);
    if (fault.code != abi::no_fault) [[unlikely]] {
        engine::throw_fault(*code.kernel, {fault.code, fault.row * n + fault.column},
                            shaped->shape(), where);
    }
    return true;
}

Shape UfuncState::checked_shape(Call& call, Location where) const {
    const Shape shape = engine::call_shape(call.reads(), call.writes(), where);
    std::size_t number = 0;
    for (const OperandView& out : call.writes()) {
        ++number;
        const std::string which =
            call.outputs == 1 ? "the output" : fmt::format("output {}", number);
        if (out.read_only) {
            throw Error(ErrorKind::usage, fmt::format("{} of {} is read-only", which, source_.name),
                        where, "write to a copy()");
        }
        if (!out.is_contiguous() && has_internal_overlap(out.handle())) {
            throw Error(
                ErrorKind::usage,
                fmt::format("{} of {} has several indices for one element (strides {})", which,
                            source_.name,
                            to_string(out.array == nullptr ? Shape() : out.array->strides())),
                where, "a broadcast array cannot be written; write to a copy()");
        }
    }
    return shape;
}

/// Scalars of a call on a device, there.
class UfuncState::DeviceScalars {
  public:
    explicit DeviceScalars(std::span<OperandView> operands) {
        std::vector<std::byte> bytes;
        std::vector<OperandView*> moved;
        for (OperandView& o : operands) {
            if (!o.place().is_host()) continue;
            moved.push_back(&o);
            bytes.resize(moved.size() * room);
            std::memcpy(&bytes[bytes.size() - room], o.data, static_cast<std::size_t>(o.item()));
        }
        if (moved.empty()) return;
        block_.emplace(bytes.size());
        device::Device::get().write(block_->data(), bytes.data(), bytes.size());
        for (std::size_t k = 0; k < moved.size(); ++k) moved[k]->data = block_->data() + k * room;
    }

  private:
    static constexpr std::size_t room = 16;
    std::optional<device::Block> block_;
};

/// Arrays of one place, of which those that are written meet no others.
void UfuncState::check_device_call(Call& call, Location where) const {
    const auto what = [&](std::size_t i) {
        return i < call.inputs      ? fmt::format("argument {}", i + 1)
               : i < call.sources() ? std::string("where=")
                                    : std::string("an output");
    };
    engine::runs_on_device(source_.name, {call.operands.data(), call.sources() + call.outputs},
                           what, where);
    if (source_.options.checked)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} has .checked, which no target but the CPU has", source_.name),
                    where);
    const auto meet = [&](const OperandView& out, const OperandView& other) {
        if (&out == &other || other.place().is_host() || !may_overlap(out, other)) return;
        const bool read = &other < call.writes().data();
        if (read && other.same_elements(out)) return;
        throw Error(ErrorKind::unsupported,
                    fmt::format("arrays of {} that overlap others which it writes, on a device",
                                source_.name),
                    where, "copy one of them: x.copy()");
    };
    for (const OperandView& out : call.writes())
        for (std::size_t k = 0; k < call.sources() + call.outputs; ++k) meet(out, call.operands[k]);
    for (const OperandView& o : std::span(call.operands).first(call.sources() + call.outputs))
        if (o.array != nullptr && !o.place().is_host())
            device::note_use(static_cast<const std::byte*>(o.array->owner().get()));
}

std::vector<Array> UfuncState::call_general(Call& call, Location where) {
    if (call.on_device) check_device_call(call, where);
    const Shape shape = checked_shape(call, where);
    engine::CallKey types(call.inputs, call.casting, call.dtype);
    for (std::size_t i = 0; i < call.inputs; ++i) {
        types.set_input(i, call.operands[i].dtype, call.operands[i].weak, ir::Layout::strided);
    }
    if (call.where) types.set_where(ir::Layout::strided);
    for (std::size_t i = 0; i < call.outputs; ++i) {
        types.set_output(i, call.writes()[i].dtype, ir::Layout::strided, true);
    }
    const engine::TracedMap& made = traced(types, where);
    engine::check_weak_values(source_, made, call.reads(), where);

    std::optional<DeviceScalars> scalars;
    if (call.on_device)
        device::at_line(where,
                        [&] { scalars.emplace(std::span(call.operands).first(call.sources())); });
    std::vector<Array> results;
    const bool given = call.outputs > 0;
    if (!given) {
        results.reserve(made.memory.size());
        const auto inputs = std::span(call.operands).first(call.inputs);
        const std::size_t first = call.sources();
        for (std::size_t i = 0; i < made.memory.size(); ++i) {
            results.push_back(engine::allocate_result(shape, made.memory[i], call.order, inputs,
                                                      call.where, call.on_device ? cuda() : cpu(),
                                                      where));
            OperandView& view = call.operands[first + i];
            engine::view_of_any_place(view, results.back(), false);
        }
        call.outputs = results.size();
    }
    if (std::ranges::find(shape, 0) != shape.end()) return results;
    engine::Separation apart;
    if (given && !call.on_device) apart.separate(call.reads(), call.where, call.writes(), where);
    execute(call, shape, made, given, where);
    apart.store(where);
    return results;
}

/// Apart from what every call does.
[[gnu::noinline]] engine::CallFault UfuncState::run_on_device(const engine::CallPlan& plan,
                                                              const engine::Variant& code,
                                                              Location where) {
    const engine::CompiledCode& compiled = *code.kernel->code;
    return ledger_.with_late_compile(compiled, [&] {
        return device::at_line(where, [&] {
            return engine::run_call_plan(
                plan, [&](const auto* frame) { compiled.run_map_on_device(frame); });
        });
    });
}

void UfuncState::execute(Call& call, const Shape& shape, const engine::TracedMap& made, bool given,
                         Location where) {
    const std::size_t sources = call.sources();
    const auto operands = std::span(call.operands).first(sources + call.outputs);
    engine::CallPlan plan;
    engine::make_call_plan(plan, shape, operands, static_cast<int>(sources), made.has_checks);

    if (call.on_device && plan.total_rows > 1 && !said_rows_.exchange(true))
        ledger_.note({std::string(where.short_file()), where.line,
                      fmt::format("on the device the call is {} launches, one for each row: its "
                                  "arrays have no stride from row to row that joins them; the "
                                  "first such call says so",
                                  plan.total_rows)});

    engine::CallKey key(call.inputs, call.casting, call.dtype);
    std::int64_t bytes = 0;
    bool contiguous = true;
    for (std::size_t k = 0; k < operands.size(); ++k) {
        const ir::Layout layout = plan.operands[k].layout;
        if (k < call.inputs) {
            key.set_input(k, operands[k].dtype, operands[k].weak, layout);
        } else if (k < sources) {
            key.set_where(layout);
        } else {
            key.set_output(k - sources, operands[k].dtype, layout, given);
            // Elements must be able to reach the alignment that streaming stores need.
            const auto address = reinterpret_cast<std::uintptr_t>(plan.operands[k].data);
            contiguous = contiguous && layout == ir::Layout::unit &&
                         address % static_cast<std::uintptr_t>(operands[k].item()) == 0;
        }
        bytes += operands[k].item() * operands[k].size();
    }
    if (contiguous && bytes >= streaming_bytes && !call.on_device) key.set_streaming();

    const engine::Variant& code =
        call.on_device ? variant(key, made, of_device_, BackendTarget::cuda) : variant(key, made);
    if (!call.on_device && target_ == BackendTarget::cuda)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} is for a device, and its arrays are on the host", source_.name),
                    where, "x.to(cuda()) copies an array there");
    std::optional<engine::ObservedCall> observed;
    if (engine::calls_are_observed() && code.entry != nullptr)
        observed.emplace(source_.name, bytes);
    const engine::CallFault fault =
        code.entry == nullptr
            ? run_on_device(plan, code, where)
            : engine::run_call_plan(plan, code.entry, source_.options.parallel ? code.cost : 0);
    observed.reset();
    if (code.drops_flags) write_float_word(call.environment);
    if (fault.code != abi::no_fault) engine::throw_fault(*code.kernel, fault, shape, where);
}

}  // namespace detail
}  // namespace kiln
