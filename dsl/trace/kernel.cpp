// Arrays and parallel loops of loop kernels.
#include <kiln/kernel.h>

#include "dsl/ir/combines.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/rules.h"
#include "dsl/trace/compound.h"
#include "dsl/trace/states.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {
namespace dsl {
namespace {

/// What an error at `where` calls a parameter or slot.
std::string target_name(const ir::Kernel& kernel, bool is_local, std::uint32_t target,
                        const Location& where) {
    if (!is_local) return ir::describe_array(kernel, target, where);
    // A Local of one element is a slot like a Var.
    std::string text = ir::describe_slot(kernel, target, where, false);
    if (text.starts_with("the Var ")) text.replace(4, 3, "Local");
    return text;
}

}  // namespace

std::uint32_t Trace::param(const KernelArray& array, const Location& where) const {
    check_home(array.serial_, where);
    if (const auto made = own_arrays_.find(array.param_);
        made != own_arrays_.end() && !builder_.visible(made->second))
        throw Error(ErrorKind::usage,
                    fmt::format("{}, inside a prange, is used outside of the block that makes it",
                                ir::describe_array(builder_.kernel(), array.param_, where)),
                    where, "each iteration has its own: make it before the prange");
    return array.param_;
}

std::vector<ir::Id> Trace::extents(std::initializer_list<Operand> given, const Location& where) {
    if (given.size() > 8)
        throw Error(ErrorKind::shape,
                    fmt::format("an array of {} dimensions; at most 8 are possible", given.size()),
                    where);
    std::vector<ir::Id> ids;
    for (const Operand& extent : given) {
        const ir::Id id = use(extent);
        if (!is_integer(builder_.dtype(id)))
            throw Error(ErrorKind::type,
                        fmt::format("an extent is {}, not an integer", name(builder_.dtype(id))),
                        where, "write cast<std::int64_t>(...)");
        ids.push_back(builder_.cast(id, DType::i64));
    }
    return ids;
}

std::uint32_t Trace::new_array(DType dtype, std::size_t rank, std::string_view prefix) {
    return builder_.add_param({.name = fmt::format("{}{}", prefix, builder_.kernel().params.size()),
                               .dtype = dtype,
                               .rank = static_cast<std::uint8_t>(rank),
                               .access = ir::Access::local,
                               .layout = ir::Layout::unit});
}

void Trace::allocate(std::uint32_t param, std::span<const ir::Id> extents) {
    builder_.allocate(param, extents);
    if (builder_.in_parallel_loop())
        own_arrays_[param] = static_cast<ir::Id>(builder_.kernel().nodes.size() - 1);
}

void Trace::check_home(std::uint32_t serial, const Location& where) const {
    if (serial == serial_) return;
    if (serial == KernelArray::moved)
        throw Error(ErrorKind::usage, "an array that was moved from is used here", where,
                    "std::swap and the like cannot exchange arrays of a kernel: write two steps, "
                    "step(a, b) and step(b, a), or copy the elements");
    throw Error(ErrorKind::usage, "an array of another kernel is used here", where,
                "pass it as a parameter");
}

void Trace::check_copy(bool of_const_copy, const Location& where) {
    if (!of_const_copy) return;
    throw Error(ErrorKind::usage, "a const copy of an array is stored to, and lost", where,
                "a lambda with [=] has copies of the Scratch and Local arrays that it uses: write "
                "[&]; a function that stores to a copy takes it as Scratch& or Local&");
}

void Trace::describe(KernelArray& array, std::uint32_t param) const {
    const ir::Param& p = builder_.kernel().params[param];
    array.serial_ = serial_;
    array.param_ = param;
    array.rank_ = static_cast<int>(seen_rank(param));
    array.dtype_ = p.dtype;
}

ir::Id Trace::extent(std::uint32_t param, std::uint32_t dimension) {
    const CoreView* core = core_of(param);
    return core == nullptr ? builder_.extent(param, dimension) : core->extents[dimension];
}

std::uint64_t Trace::core_slice(const CoreView& core, std::vector<ir::Id>& slice) {
    if (!core.steps.empty()) throw NeedsAxes();
    const ir::Id zero = builder_.constant_i64(0), one = builder_.constant_i64(1);
    for (const ir::Id at : core.outer) slice.insert(slice.end(), {at, one, one});
    for (const ir::Id extent : core.extents) slice.insert(slice.end(), {zero, one, extent});
    return (std::uint64_t(1) << core.outer.size()) - 1;
}

ir::Id Trace::whole(std::uint32_t param) {
    refuse_in_threads("an array as a whole", "each thread takes elements of its own");
    const CoreView* core = core_of(param);
    if (core == nullptr) return builder_.whole(param);
    std::vector<ir::Id> slice;
    const std::uint64_t dropped = core_slice(*core, slice);
    return builder_.whole(param, slice, dropped);
}

std::vector<ir::Id> Trace::subscripts_of(std::uint32_t param, std::span<const ir::Id> seen) {
    const CoreView* core = core_of(param);
    std::vector<ir::Id> all;
    if (core == nullptr || core->steps.empty()) {
        if (core != nullptr) all = core->outer;
        all.insert(all.end(), seen.begin(), seen.end());
        return all;
    }
    ir::Builder& b = builder_;
    ir::Id at = core->outer[0];
    for (std::size_t d = 0; d < core->steps.size(); ++d) {
        ir::Id moved = seen[d];
        if (b.kernel().is_constant(moved, 0)) continue;
        if (core->steps[d] != 1)
            moved = b.apply(ir::Op::mul, {moved, b.constant_i64(core->steps[d])});
        at = b.apply(ir::Op::add, {at, moved});
    }
    return {at};
}

/// Where stores are kept: that this element got one.
void Trace::note_written(std::uint32_t param, std::span<const ir::Id> subscripts) {
    const CoreView* core = core_of(param);
    if (core == nullptr || core->written == ir::none) return;
    builder_.store(core->written, subscripts, builder_.constant_bool(true));
}

ElementRef Trace::element(bool is_local, std::uint32_t target, std::span<const Operand> subscripts,
                          const std::source_location& where) {
    builder_.set_location(where);
    const ir::Kernel& kernel = builder_.kernel();
    const CoreView* core = is_local ? nullptr : core_of(target);
    const std::size_t rank = is_local ? 1U : seen_rank(target);
    if (subscripts.size() != rank)
        ir::rules::keep(ir::rules::subscripts(subscripts.size(), rank,
                                              target_name(kernel, is_local, target, where)),
                        where);
    ElementRef e(where);
    e.serial_ = serial_;
    e.is_local_ = is_local;
    e.target_ = target;
    for (const Operand& subscript : subscripts) {
        const ir::Id id = use(subscript);
        ir::rules::keep(ir::rules::subscript(builder_.dtype(id)), where);
        check_constant(is_local, target, static_cast<std::size_t>(e.count_), id, where);
        e.subscripts_[e.count_++] = builder_.cast(id, DType::i64);
    }
    if (core != nullptr) {
        const std::vector<ir::Id> all =
            subscripts_of(target, {e.subscripts_, static_cast<std::size_t>(e.count_)});
        std::ranges::copy(all, e.subscripts_);
        e.count_ = static_cast<int>(all.size());
    }
    // A slot of one element takes no subscript.
    if (is_local && checked_ && kernel.slots[target].length == 1) {
        const ir::Id zero = builder_.constant_i64(0), at = e.subscripts_[0];
        const ir::Id line = builder_.constant_i64(ir::declared_at(kernel, target).line);
        builder_.check(ir::Check::out_of_bounds, builder_.apply(ir::Op::eq, {at, zero}),
                       std::span(&at, 1), std::span(&line, 1));
    }
    return e;
}

/// A constant that is outside of the array whatever its extents are. Errors: bounds.
void Trace::check_constant(bool is_local, std::uint32_t target, std::size_t dimension,
                           ir::Id subscript, const Location& where) const {
    const ir::Kernel& kernel = builder_.kernel();
    std::optional<std::uint64_t> extent;
    if (is_local) extent = kernel.slots[target].length;
    if (!ir::rules::is_outside(builder_, subscript, extent)) return;
    const bool named = !is_local && ir::has_name(kernel.params[target]);
    ir::rules::outside(builder_, subscript,
                       {.array = target_name(kernel, is_local, target, where),
                        .rank = is_local ? 1 : seen_rank(target),
                        .dimension = dimension,
                        .extent = extent,
                        .name = named ? kernel.params[target].name : "a"})
        .raise(where);
}

void Trace::check_store(ir::Id value, DType to, bool is_local, std::uint32_t target,
                        const Location& where) const {
    if (ir::rules::store_to_element(builder_, value, to, {}))
        ir::rules::keep(
            ir::rules::store_to_element(builder_, value, to,
                                        target_name(builder_.kernel(), is_local, target, where)),
            where);
}

ir::Id Trace::read(const ElementRef& e) {
    const std::span<const ir::Id> subscripts(e.subscripts_, static_cast<std::size_t>(e.count_));
    if (!e.is_local_) return builder_.load(e.target_, subscripts);
    return builder_.read(e.target_,
                         builder_.kernel().slots[e.target_].length == 1 ? ir::none : subscripts[0]);
}

void Trace::write(const ElementRef& e, ir::Id value) {
    const ir::Kernel& kernel = builder_.kernel();
    const DType to = e.is_local_ ? kernel.slots[e.target_].dtype : kernel.params[e.target_].dtype;
    const Location where = kernel.location(builder_.location_index());
    check_store(value, to, e.is_local_, e.target_, where);
    const ir::Id converted = builder_.coerce(value, to);
    const std::span<const ir::Id> subscripts(e.subscripts_, static_cast<std::size_t>(e.count_));
    if (!e.is_local_) {
        ir::rules::keep(ir::rules::written(kernel.params[e.target_]), where);
        builder_.store(e.target_, subscripts, converted);
        note_written(e.target_, subscripts);
    } else {
        builder_.write(e.target_, converted,
                       kernel.slots[e.target_].length == 1 ? ir::none : subscripts[0]);
    }
}

ir::Id Trace::atomic(ir::Reduction reduction, const ElementRef& e, ir::Id value) {
    const ir::Kernel& kernel = builder_.kernel();
    const Location where = kernel.location(builder_.location_index());
    if (e.is_local_)
        throw Error(ErrorKind::usage, "a Local needs no atomic access", where,
                    "no other iteration sees it: write a(i) += v");
    const DType to = kernel.params[e.target_].dtype;
    ir::rules::keep(ir::rules::atomic(to), where);
    check_store(value, to, false, e.target_, where);
    const std::span<const ir::Id> subscripts(e.subscripts_, static_cast<std::size_t>(e.count_));
    const ir::Id before =
        builder_.atomic(reduction, e.target_, subscripts, builder_.coerce(value, to));
    note_written(e.target_, subscripts);
    return before;
}

}  // namespace dsl

using dsl::Trace;

// ------------------------------------------------------------------------------------ elements

Operand::Operand(const ElementRef& element, Where where) : where_(Trace::user_line(where)) {
    Trace& trace = Trace::current(where_);
    trace.check_home(element.serial_, where_);
    trace.builder().set_location(where_);
    node_ = trace.read(element);
    serial_ = trace.serial();
}
Value::Value(const ElementRef& element, Where where) : Operand(element, where) {}

const ElementRef& ElementRef::operator=(Operand value) const {
    Trace& trace = dsl::trace_at(value);
    trace.check_home(serial_, value.where());
    Trace::check_copy(of_const_copy_, value.where());
    trace.write(*this, trace.use(value));
    return *this;
}

void ElementRef::exchange(const ElementRef& other, const Where& where) const {
    const Value was(*this, where);
    *this = Operand(other, where);
    other = Operand(was, where);
}

KILN_DSL_COMPOUND_ARITHMETIC(ElementRef, const ElementRef&, const)
KILN_DSL_COMPOUND_INTEGER(ElementRef, const ElementRef&, const)

#define KILN_DSL_ATOMIC(name, reduction)                                                       \
    Value name(const ElementRef& element, Operand value) {                                     \
        Trace& trace = dsl::trace_at(value);                                                   \
        trace.check_home(element, value.where());                                              \
        return trace.value(trace.atomic(ir::Reduction::reduction, element, trace.use(value))); \
    }
KILN_DSL_ATOMIC(atomic_add, sum)
KILN_DSL_ATOMIC(atomic_min, min)
KILN_DSL_ATOMIC(atomic_max, max)
KILN_DSL_ATOMIC(atomic_and, all_bits)
KILN_DSL_ATOMIC(atomic_or, any_bit)
KILN_DSL_ATOMIC(atomic_xor, parity)
#undef KILN_DSL_ATOMIC

// ------------------------------------------------------------------------------------ reductions

void reduce(Var& v, Reduce op, Operand e) {
    Trace& trace = dsl::trace_at(e);
    ir::Builder& b = trace.builder();
    const std::uint32_t slot = trace.slot(v, e.where());
    const auto reduction = static_cast<ir::Reduction>(op);
    const ir::Id value = trace.use(e);
    const DType t = v.dtype();
    const bool logical = op == Reduce::all || op == Reduce::any;
    if (logical && !is_bool(t))
        throw Error(ErrorKind::type,
                    fmt::format("{} reduces into a bool Var, not into {}", info(reduction).name,
                                trace.describe(slot, e.where())),
                    e.where());
    const ir::Id operand = trace.fitting(slot, logical ? b.truth(value) : value, e.where());
    if (!ir::accumulates_by_itself(reduction, t)) {
        dsl::combine_into(trace, ir::make_extreme_combine(reduction, t), std::span(&slot, 1),
                          std::span(&operand, 1));
        return;
    }
    b.write(slot, b.apply(info(reduction).op, {b.read(slot), operand}));
}

namespace {

void reduce_position(ir::Reduction reduction, Var& extreme, Var& at, const Operand& value,
                     const Operand& position) {
    Trace& trace = dsl::trace_at(value);
    const std::uint32_t extreme_slot = trace.slot(extreme, value.where()),
                        at_slot = trace.slot(at, value.where());
    if (!is_integer(at.dtype()))
        throw Error(ErrorKind::type,
                    fmt::format("a position is kept in a Var of an integer type, not in {}",
                                trace.describe(at_slot, value.where())),
                    value.where(), "write Var at(DType::i64, -1)");
    const ir::Id found[] = {trace.fitting(extreme_slot, trace.use(value), value.where()),
                            trace.fitting(at_slot, trace.use(position), value.where())};
    const std::uint32_t slots[] = {extreme_slot, at_slot};
    dsl::combine_into(trace, ir::make_position_combine(reduction, extreme.dtype(), at.dtype()),
                      slots, found);
}

}  // namespace

void reduce_argmin(Var& least, Var& at, Operand value, Operand position) {
    reduce_position(ir::Reduction::min, least, at, value, position);
}
void reduce_argmax(Var& greatest, Var& at, Operand value, Operand position) {
    reduce_position(ir::Reduction::max, greatest, at, value, position);
}

// ------------------------------------------------------------------------------------ arrays

Value KernelArray::extent(int dimension, Where where) const {
    Trace& trace = Trace::current(where);
    const std::uint32_t param = trace.param(*this, where);
    const int d = dimension < 0 ? dimension + rank_ : dimension;
    if (d < 0 || d >= rank_)
        throw Error(ErrorKind::shape,
                    fmt::format("{} has {} dimension{}, but its extent {} is asked for",
                                ir::describe_array(trace.builder().kernel(), param, where), rank_,
                                rank_ == 1 ? "" : "s", dimension),
                    where);
    return trace.value(trace.extent(param, static_cast<std::uint32_t>(d)));
}

Value KernelArray::size(Where where) const {
    Trace& trace = Trace::current(where);
    const std::uint32_t param = trace.param(*this, where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    ir::Id product = b.constant_i64(1);
    for (int d = 0; d < rank_; ++d) {
        const ir::Id extent = trace.extent(param, static_cast<std::uint32_t>(d));
        product = d == 0 ? extent : b.apply(ir::Op::mul, {product, extent});
    }
    return trace.value(product);
}

ElementRef KernelArray::element(std::initializer_list<Operand> subscripts, Where where) const {
    Trace& trace = Trace::current(where);
    return trace.element(false, trace.param(*this, where),
                         std::span(subscripts.begin(), subscripts.size()), where);
}

Value KernelArray::load(std::initializer_list<Operand> subscripts, Where where) const {
    return {element(subscripts, where), where};
}

Scratch::Scratch(DType dtype, std::initializer_list<Operand> extents, Where at) {
    const Where where = Trace::user_line(at);
    Trace& trace = Trace::current(where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    trace.refuse_in_threads("a Scratch", "a thread has Locals, a block has cuda::shared arrays");
    const std::vector<ir::Id> ids = trace.extents(extents, where);
    const std::uint32_t param = trace.new_array(dtype, ids.size());
    trace.allocate(param, ids);
    trace.describe(*this, param);
}

/// Errors: usage (the Locals of the kernel with another one of `length` elements are too large).
static void check_locals(const ir::Kernel& kernel, DType dtype, std::int64_t length,
                         const Location& where) {
    constexpr std::uint64_t most = std::uint64_t(64) << 20;
    // 16-bit floats are kept in f32.
    const auto bytes = [](DType t, std::uint64_t n) {
        return n * (t == DType::f16 || t == DType::bf16 ? 4 : size_of(t));
    };
    std::uint64_t total = bytes(dtype, static_cast<std::uint64_t>(length));
    for (const ir::Slot& s : kernel.slots)
        if (s.length > 1) total += bytes(s.dtype, s.length);
    if (total <= most) return;
    throw Error(ErrorKind::usage,
                fmt::format("the Locals of {} take {} bytes with this one; at most {} are possible",
                            kernel.name, total, most),
                where, "use Scratch, made before the loops");
}

Local::Local(DType dtype, std::int64_t length, Where at) : length_(length), dtype_(dtype) {
    const Where where = Trace::user_line(at);
    Trace& trace = Trace::current(where);
    if (length < 1 || length > 65536)
        throw Error(ErrorKind::usage, fmt::format("a Local of {} elements", length), where,
                    "1 to 65536 are possible; Scratch has no limit");
    ir::Builder& b = trace.builder();
    check_locals(b.kernel(), dtype, length, where);
    b.set_location(where);
    serial_ = trace.serial();
    const std::size_t number = b.kernel().slots.size();
    slot_ = b.add_slot({fmt::format("a{}", number), dtype, static_cast<std::uint32_t>(length)});
    const ir::Id zero = b.constant(Scalar::of(false).cast(dtype));
    if (length == 1) {
        b.write(slot_, zero);
    } else {
        const ir::Id i = b.begin_loop(b.constant_i64(0), b.constant_i64(length), b.constant_i64(1));
        b.write(slot_, zero, i);
        b.end();
    }
}

Local::Local(DType dtype, std::initializer_list<std::int64_t> extents, Where where)
    : Local(dtype, extents.size() == 1 ? *extents.begin() : 1, where) {
    if (extents.size() == 1) return;
    throw Error(ErrorKind::usage,
                fmt::format("a Local has one dimension, {} are given", extents.size()), where,
                fmt::format("write Local({}, m * n) and index it as rows, a(i * n + j); a Scratch "
                            "has up to 8 dimensions",
                            name(dtype)));
}

Local::Local(const Local& other, Where at) : Local(other.dtype_, other.length_, at) {
    is_copy_ = true;
    const Where where = Trace::user_line(at);
    Trace& trace = Trace::current(where);
    trace.check_home(other.serial_, where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    if (length_ == 1) {
        b.write(slot_, b.read(other.slot_));
        return;
    }
    const ir::Id i = b.begin_loop(b.constant_i64(0), b.constant_i64(length_), b.constant_i64(1));
    b.write(slot_, b.read(other.slot_, i), i);
    b.end();
}

ElementRef Local::element(const Operand& i) const {
    Trace& trace = Trace::current(i.where());
    trace.check_home(serial_, i.where());
    return trace.element(true, slot_, std::span(&i, 1), i.where());
}

// ------------------------------------------------------------------------------------ prange

Range prange(Operand end, PrangeOptions options) {
    return {Operand(0, end.where()), end, Operand(1, end.where()), options};
}
Range prange(Operand begin, Operand end, PrangeOptions options) {
    return {begin, end, Operand(1, begin.where()), options};
}
Range prange(Operand begin, Operand end, Operand step, PrangeOptions options) {
    return {begin, end, step, options};
}

}  // namespace kiln
