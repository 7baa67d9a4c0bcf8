// The words of explicit kernels.
#include <kiln/threads.h>

#include "dsl/ir/rules.h"
#include "dsl/trace/trace.h"

#include <fmt/format.h>

namespace kiln {

using dsl::Trace;

namespace {

/// The trace of the explicit kernel that is being traced, at a line.
Trace& kernel_at(const std::source_location& at, const char* what) {
    const auto where = Trace::user_line(at);
    Trace& trace = Trace::current(where);
    if (!trace.of_threads())
        throw Error(ErrorKind::usage,
                    fmt::format("{} outside of an explicit kernel: threads and blocks are those of "
                                "cuda::kernel",
                                what),
                    where, "a prange of a loop kernel needs none");
    trace.builder().set_location(where);
    return trace;
}

Value place(ir::Simt first, int axis, const std::source_location& where, const char* what) {
    Trace& trace = kernel_at(where, what);
    if (axis < 0 || axis > 2)
        throw Error(ErrorKind::usage, fmt::format("axis {} of {}", axis, what), where,
                    "0, 1 and 2 are x, y and z");
    return trace.value(
        trace.builder().place(static_cast<ir::Simt>(static_cast<int>(first) + axis)));
}

Value made(Trace& trace, ir::Simt what, std::initializer_list<ir::Id> operands) {
    return trace.value(trace.builder().threads(what, std::span(operands.begin(), operands.size())));
}

void act(ir::Simt what, const std::source_location& where, const char* name) {
    kernel_at(where, name).builder().threads(what, {});
}

ir::Id mask_of(Trace& trace, const Operand& mask) {
    const ir::Id id = trace.use(mask);
    if (!is_integer(trace.builder().dtype(id)))
        throw Error(ErrorKind::type,
                    fmt::format("a mask of lanes is {}", name(trace.builder().dtype(id))),
                    mask.where(), "it is an integer of 32 bits, one for each lane");
    return trace.builder().cast(id, DType::u32);
}

/// A value that lanes can give each other.
ir::Id lane_value(Trace& trace, const Operand& value, const char* what) {
    ir::Builder& b = trace.builder();
    const ir::Id id = trace.use(value);
    const DType t = b.dtype(id);
    const bool fits = (is_integer(t) && size_of(t) >= 4) || t == DType::f32 || t == DType::f64;
    if (!fits)
        throw Error(ErrorKind::type, fmt::format("{} of {}", what, name(t)), value.where(),
                    "lanes give each other i32, u32, i64, u64, f32 and f64: cast<T>(...)");
    return b.cast(id, t);
}

Value shuffled(ir::Simt what, const Operand& value, const Operand& by, const Operand* mask,
               const char* name) {
    Trace& trace = kernel_at(value.where(), name);
    ir::Builder& b = trace.builder();
    const ir::Id lanes =
        mask == nullptr ? b.constant(Scalar::of(ThreadWords::all_lanes)) : mask_of(trace, *mask);
    const ir::Id v = lane_value(trace, value, name);
    const ir::Id lane = trace.use(by);
    if (!is_integer(b.dtype(lane)))
        throw Error(ErrorKind::type, fmt::format("a lane is {}", kiln::name(b.dtype(lane))),
                    by.where(), "it is an integer");
    return made(trace, what, {lanes, v, b.cast(lane, DType::i32)});
}

Value voted(ir::Simt what, const Operand& predicate, const Operand* mask, const char* name) {
    Trace& trace = kernel_at(predicate.where(), name);
    ir::Builder& b = trace.builder();
    const ir::Id lanes =
        mask == nullptr ? b.constant(Scalar::of(ThreadWords::all_lanes)) : mask_of(trace, *mask);
    return made(trace, what, {lanes, b.truth(trace.use(predicate))});
}

Value synced(ir::Simt what, const Operand& predicate, const char* name) {
    Trace& trace = kernel_at(predicate.where(), name);
    return made(trace, what, {trace.builder().truth(trace.use(predicate))});
}

}  // namespace

// ------------------------------------------------------------------------------------ places

#define KILN_THREADS_PLACE(name, first)                             \
    Value ThreadWords::name(int axis, Where where) {                \
        return place(ir::Simt::first, axis, where, "cuda::" #name); \
    }
KILN_THREADS_PLACE(thread_idx, thread_x)
KILN_THREADS_PLACE(block_idx, block_x)
KILN_THREADS_PLACE(block_dim, threads_x)
KILN_THREADS_PLACE(grid_dim, blocks_x)
#undef KILN_THREADS_PLACE

Value ThreadWords::grid(int axis, Where where) {
    const Value first =
        Operand(block_idx(axis, where), where) * Operand(block_dim(axis, where), where);
    return Operand(first, where) + Operand(thread_idx(axis, where), where);
}
Value ThreadWords::grid_size(int axis, Where where) {
    return Operand(grid_dim(axis, where), where) * Operand(block_dim(axis, where), where);
}
Value ThreadWords::lane(Where where) { return place(ir::Simt::lane, 0, where, "cuda::lane"); }

// ------------------------------------------------------------------------------------ memory

InOut ThreadWords::shared(DType dtype, std::span<const std::int64_t> extents, Where at) {
    Trace& trace = kernel_at(at, "cuda::shared");
    const Where where = Trace::user_line(at);
    ir::Builder& b = trace.builder();
    std::vector<ir::Id> ids;
    for (const std::int64_t extent : extents) {
        if (extent < 1)
            throw Error(ErrorKind::usage, fmt::format("a shared array of extent {}", extent), where,
                        "extents are positive constants; cuda::dynamic_shared takes others");
        ids.push_back(b.constant_i64(extent));
    }
    if (ids.empty() || ids.size() > 8)
        throw Error(ErrorKind::shape, fmt::format("a shared array of {} dimensions", ids.size()),
                    where, "1 to 8 are possible");
    return InOut(trace.make_shared(dtype, ids, false));
}

InOut ThreadWords::dynamic_shared(DType dtype, std::initializer_list<Operand> extents, Where at) {
    Trace& trace = kernel_at(at, "cuda::dynamic_shared");
    const Where where = Trace::user_line(at);
    ir::Builder& b = trace.builder();
    if (b.depth() != 1)
        throw Error(ErrorKind::usage,
                    "cuda::dynamic_shared inside of a loop or branch: where an array lies would "
                    "depend on the thread",
                    where, "make it before");
    const std::vector<ir::Id> ids = trace.extents(extents, where);
    if (ids.empty())
        throw Error(ErrorKind::shape, "a shared array of 0 dimensions", where,
                    "1 to 8 are possible");
    return InOut(trace.make_shared(dtype, ids, true));
}

// ------------------------------------------------------------------------------------ barriers

void ThreadWords::sync_threads(Where where) {
    act(ir::Simt::sync_threads, where, "cuda::sync_threads");
}
Value ThreadWords::sync_threads_count(Operand predicate) {
    return synced(ir::Simt::sync_threads_count, predicate, "cuda::sync_threads_count");
}
Value ThreadWords::sync_threads_and(Operand predicate) {
    return synced(ir::Simt::sync_threads_and, predicate, "cuda::sync_threads_and");
}
Value ThreadWords::sync_threads_or(Operand predicate) {
    return synced(ir::Simt::sync_threads_or, predicate, "cuda::sync_threads_or");
}
void ThreadWords::sync_warp(Where where) {
    Trace& trace = kernel_at(where, "cuda::sync_warp");
    const ir::Id all = trace.builder().constant(Scalar::of(all_lanes));
    trace.builder().threads(ir::Simt::sync_warp, std::span(&all, 1));
}
void ThreadWords::sync_warp(Operand mask) {
    Trace& trace = kernel_at(mask.where(), "cuda::sync_warp");
    const ir::Id lanes = mask_of(trace, mask);
    trace.builder().threads(ir::Simt::sync_warp, std::span(&lanes, 1));
}
void ThreadWords::fence_block(Where where) {
    act(ir::Simt::fence_block, where, "cuda::fence_block");
}
void ThreadWords::fence(Where where) { act(ir::Simt::fence, where, "cuda::fence"); }
void ThreadWords::fence_system(Where where) {
    act(ir::Simt::fence_system, where, "cuda::fence_system");
}

// ------------------------------------------------------------------------------------ warps

#define KILN_THREADS_SHUFFLE(name)                                           \
    Value ThreadWords::name(Operand value, Operand by) {                     \
        return shuffled(ir::Simt::name, value, by, nullptr, "cuda::" #name); \
    }                                                                        \
    Value ThreadWords::name(Operand value, Operand by, Operand mask) {       \
        return shuffled(ir::Simt::name, value, by, &mask, "cuda::" #name);   \
    }
KILN_THREADS_SHUFFLE(shuffle)
KILN_THREADS_SHUFFLE(shuffle_up)
KILN_THREADS_SHUFFLE(shuffle_down)
KILN_THREADS_SHUFFLE(shuffle_xor)
#undef KILN_THREADS_SHUFFLE

#define KILN_THREADS_VOTE(name)                                           \
    Value ThreadWords::name(Operand predicate) {                          \
        return voted(ir::Simt::name, predicate, nullptr, "cuda::" #name); \
    }                                                                     \
    Value ThreadWords::name(Operand predicate, Operand mask) {            \
        return voted(ir::Simt::name, predicate, &mask, "cuda::" #name);   \
    }
KILN_THREADS_VOTE(vote_any)
KILN_THREADS_VOTE(vote_all)
KILN_THREADS_VOTE(ballot)
#undef KILN_THREADS_VOTE

Value ThreadWords::match_any(Operand value) {
    return match_any(value, Operand(all_lanes, value.where()));
}
Value ThreadWords::match_any(Operand value, Operand mask) {
    Trace& trace = kernel_at(value.where(), "cuda::match_any");
    const ir::Id lanes = mask_of(trace, mask);
    return made(trace, ir::Simt::match_any, {lanes, lane_value(trace, value, "cuda::match_any")});
}

// ------------------------------------------------------------------------------------ atomics

Value ThreadWords::atomic_sub(const ElementRef& element, Operand value) {
    Trace& trace = kernel_at(value.where(), "cuda::atomic_sub");
    trace.check_home(element, value.where());
    ir::Builder& b = trace.builder();
    const ir::Id less = trace.stored_value(element, trace.use(value));
    const ir::Id zero = b.constant(Scalar::of(false).cast(b.dtype(less)));
    const ir::Id negative = is_integer(b.dtype(less))
                                ? b.op(ir::Op::sub, b.dtype(less), {zero, less})
                                : b.apply(ir::Op::neg, {less});
    return trace.value(trace.atomic(ir::Reduction::sum, element, negative));
}
Value ThreadWords::atomic_exchange(const ElementRef& element, Operand value) {
    Trace& trace = kernel_at(value.where(), "cuda::atomic_exchange");
    return trace.value(trace.exchange(element, ir::none, trace.use(value), "an exchange"));
}
Value ThreadWords::atomic_compare_exchange(const ElementRef& element, Operand expected,
                                           Operand value) {
    Trace& trace = kernel_at(value.where(), "cuda::atomic_compare_exchange");
    return trace.value(
        trace.exchange(element, trace.use(expected), trace.use(value), "a compare and exchange"));
}

// ------------------------------------------------------------------------------------ the trace

namespace dsl {

KernelArray Trace::make_shared(DType dtype, std::span<const ir::Id> extents, bool dynamic) {
    const std::uint32_t param = new_array(dtype, extents.size(), "shared");
    builder_.allocate(param, extents, dynamic);
    return array(param);
}

ir::Id Trace::stored_value(const ElementRef& e, ir::Id value) {
    const ir::Kernel& kernel = builder_.kernel();
    const Location where = kernel.location(builder_.location_index());
    if (e.is_local_)
        throw Error(ErrorKind::usage, "a Local needs no atomic access", where,
                    "no other thread sees it: write a(i) = v");
    const DType to = kernel.params[e.target_].dtype;
    check_store(value, to, false, e.target_, where);
    ir::rules::keep(ir::rules::written(kernel.params[e.target_]), where);
    return builder_.coerce(value, to);
}

ir::Id Trace::exchange(const ElementRef& e, ir::Id expected, ir::Id value, const char* what) {
    const ir::Kernel& kernel = builder_.kernel();
    const Location where = kernel.location(builder_.location_index());
    check_home(e, where);
    const ir::Id stored = stored_value(e, value);
    const DType t = builder_.dtype(stored);
    const bool fits = expected == ir::none ? !is_complex(t) : is_integer(t);
    if (!fits || size_of(t) < 4)
        throw Error(ErrorKind::type, fmt::format("{} of {}", what, name(t)), where,
                    expected == ir::none ? "elements of 4 and 8 bytes have it"
                                         : "integers of 4 and 8 bytes have it");
    return builder_.exchange(e.target_,
                             std::span(e.subscripts_, static_cast<std::size_t>(e.count_)),
                             expected == ir::none ? expected : stored_value(e, expected), stored);
}

void Trace::refuse_in_threads(const char* what, const char* hint) const {
    if (of_threads())
        throw Error(ErrorKind::usage, fmt::format("{} in an explicit kernel", what),
                    builder_.kernel().location(builder_.location_index()), hint);
}

}  // namespace dsl
}  // namespace kiln
