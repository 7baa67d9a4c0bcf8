#include "dsl/trace/trace.h"

#include "dsl/ir/describe.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/powers.h"
#include "dsl/ir/rules.h"
#include "dsl/trace/compound.h"

#include <kiln/kernel.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <unordered_map>

namespace kiln {
namespace dsl {
namespace {

thread_local Trace* innermost = nullptr;

constexpr const char* let_pass = "let errors out of the lambda, or ask before what makes them";
std::atomic<std::uint32_t> next_serial{1};

/// Abandons the trace if an exception leaves the scope while its blocks are open.
class AbandonOnError {
  public:
    explicit AbandonOnError(Trace& trace)
        : trace_(trace), exceptions_(std::uncaught_exceptions()) {}
    ~AbandonOnError() {
        if (std::uncaught_exceptions() > exceptions_) trace_.abandon();
    }
    AbandonOnError(const AbandonOnError&) = delete;
    AbandonOnError& operator=(const AbandonOnError&) = delete;

  private:
    Trace& trace_;
    int exceptions_;
};

void store(Trace& trace, std::uint32_t slot, ir::Id value, const Location& where) {
    trace.builder().write(slot, trace.fitting(slot, value, where));
}

}  // namespace

ir::Id Trace::fitting(std::uint32_t slot, ir::Id value, const Location& where) {
    ir::Builder& b = builder_;
    const DType to = b.kernel().slots[slot].dtype;
    if (ir::rules::store_to_variable(b, value, to, {}))
        ir::rules::keep(ir::rules::store_to_variable(b, value, to, describe(slot, where)), where);
    return b.coerce(value, to);
}

std::string Trace::describe(std::uint32_t slot, const Location& where) const {
    const ir::Kernel& kernel = builder_.kernel();
    const bool declared = std::ranges::any_of(kernel.nodes, [&](const ir::Node& n) {
        return n.kind == ir::NodeKind::write && n.aux == slot;
    });
    if (!declared) return fmt::format("a Var of type {}", name(kernel.slots[slot].dtype));
    return ir::describe_slot(kernel, slot, where);
}

std::uint32_t Trace::slot(const Var& variable, const Location& where) const {
    if (variable.serial_ != serial_)
        throw Error(ErrorKind::usage, "a Value or Var of another kernel is used here", where,
                    "pass it as a parameter");
    const ir::Id declaration = declarations_[variable.slot_];
    if (!builder_.visible(declaration))
        throw Error(
            ErrorKind::usage,
            fmt::format("{} is used after the block that declares it",
                        builder_.node(declaration).loc == 0
                            ? "a Var"
                            : ir::describe_slot(builder_.kernel(), variable.slot_, where, false)),
            where,
            "declare it before the block (a container that grows in a block copies its "
            "Vars there: reserve)");
    return variable.slot_;
}

std::uint32_t Trace::add_slot(DType dtype) {
    return builder_.add_slot({fmt::format("v{}", builder_.kernel().slots.size()), dtype, 1});
}

void Trace::declare(std::uint32_t slot, ir::Id value, const Var* original) {
    if (in_library_)
        builder_.set_location_index(
            original == nullptr ? 0 : builder_.node(declarations_[original->slot_]).loc);
    builder_.write(slot, value);
    declarations_.resize(std::max<std::size_t>(declarations_.size(), slot + 1), ir::none);
    declarations_[slot] = static_cast<ir::Id>(builder_.kernel().nodes.size() - 1);
}

std::source_location Trace::user_line(const std::source_location& where) {
    if (innermost == nullptr) return where;
    // Where libstdc++ and libc++ are installed: .../include/c++/12/bits/stl_algobase.h.
    const bool library =
        where.line() == 0 ||
        std::string_view(where.file_name()).find("/include/c++/") != std::string_view::npos;
    innermost->in_library_ = library;
    if (library) return innermost->line_;
    innermost->line_ = where;
    return where;
}

void Trace::note_return(const Location& where) {
    if (!returned_) returned_ = where;
}

void Trace::check_results(std::size_t count) const {
    if (!returned_ || count == 0) return;
    throw Error(ErrorKind::usage,
                fmt::format("return_() would end {} before its results are computed",
                            builder_.kernel().name),
                *returned_,
                "assign the result to a Var in if_(...).else_(...), and return that at the end");
}

Trace::Trace(std::string name)
    : builder_(std::move(name)), outer_(innermost), serial_(next_serial++) {
    // What compiles in minutes, and what walks of the compiler over nested things fit into the
    // stack.
    builder_.set_limits({.nodes = 50'000, .blocks = 500, .array_depth = 2'000});
    innermost = this;
}

Trace::~Trace() { innermost = outer_; }

ir::Kernel Trace::finish() {
    if (abandoned_)
        throw Error(
            ErrorKind::usage,
            fmt::format("kernel {} is incomplete: an error in its body was caught and ignored",
                        builder_.kernel().name),
            {}, let_pass);
    return builder_.finish();
}

std::uint32_t Trace::host_function(ir::HostFunction function, Shared<const void> identity) {
    const std::string name = function.name;
    for (int number = 2;; ++number) {
        const auto [known, added] = host_functions_.try_emplace(function.name, identity);
        if (known->second == identity) return builder_.add_function(function);
        function.name = name + " (" + std::to_string(number) + ')';
    }
}

Trace& Trace::current(const Location& where) {
    if (innermost == nullptr)
        throw Error(ErrorKind::usage, "an operation on Values was used outside of a kernel", where,
                    "it belongs into the function that is given to vectorize");
    if (innermost->abandoned_)
        throw Error(
            ErrorKind::usage,
            fmt::format("kernel {} is incomplete: an error in its body was caught and ignored",
                        innermost->builder_.kernel().name),
            where, let_pass);
    return *innermost;
}

Trace* Trace::of(const Operand& operand) {
    Trace* trace = innermost;
    while (trace != nullptr && trace->serial_ != operand.serial_) trace = trace->outer_;
    return trace;
}

Value Trace::value(ir::Id id) const {
    return {Operand::Handle{id, serial_}, std::source_location()};
}

ir::Id Trace::use(const Operand& operand) const {
    const ir::Id id = use_any(operand);
    if (builder_.node(id).rank != 0)
        throw Error(ErrorKind::shape, "an array is used where one element is needed",
                    line_of(operand), "give it subscripts, or reduce it: sum(a)");
    return id;
}

Location Trace::line_of(const Operand& operand) const {
    if (operand.where_.line() != 0) return operand.where_;
    return builder_.kernel().location(builder_.node(operand.node_).loc);
}

ir::Id Trace::use_any(const Operand& operand) const {
    if (operand.serial_ != serial_)
        throw Error(ErrorKind::usage, "a Value or Var of another kernel is used here",
                    operand.where_, "pass it as a parameter");
    if (!builder_.visible(operand.node_))
        throw Error(ErrorKind::usage, "a Value is used after the block that computes it",
                    line_of(operand), "declare a Var before the block and assign to it");
    return operand.node_;
}

void Trace::mark_named(ir::Id id) {
    if (named_.size() <= id) named_.resize(id + 1);
    named_[id] = true;
}

Trace& trace_at(const Operand& first) {
    Trace& trace = Trace::current(first.where());
    trace.builder().set_location(first.where());
    return trace;
}

Value apply(ir::Op op, std::initializer_list<const Operand*> operands) {
    Trace& trace = trace_at(**operands.begin());
    ir::Builder& b = trace.builder();
    ir::Id ids[3];
    std::size_t count = 0;
    for (const Operand* operand : operands) ids[count++] = trace.use_any(*operand);
    const std::span<const ir::Id> used(ids, count);
    if (op == ir::Op::pow) return trace.value(ir::power(b, ids[0], ids[1]));
    return trace.value(b.apply(op, used));
}

}  // namespace dsl

using dsl::apply;
using dsl::Trace;
using ir::Op;

// --------------------------------------------------------------------------- operands and values

Operand::Operand(const Value& value, Where where)
    : Operand(Handle{value.node_, value.serial_}, Trace::user_line(where)) {
    if (Trace* trace = Trace::of(value)) trace->mark_named(value.node_);
}
Operand::Operand(Value&& value, Where where)
    : Operand(Handle{value.node_, value.serial_}, Trace::user_line(where)) {}
Operand::Operand(const Index& index, Where where)
    : Operand(Handle{index.node_, index.serial_}, Trace::user_line(where)) {}
Operand::Operand(const Scalar& constant, Where where) : where_(Trace::user_line(where)) {
    Trace& trace = Trace::current(where_);
    trace.builder().set_location(where_);  // a complex constant is a node with a line
    node_ = trace.builder().constant(constant);
    serial_ = trace.serial();
}
Operand::Operand(const Var& variable, Where where) : where_(Trace::user_line(where)) {
    Trace& trace = Trace::current(where_);
    const std::uint32_t slot = trace.slot(variable, where_);
    trace.builder().set_location(where_);
    node_ = trace.builder().read(slot);
    serial_ = trace.serial();
}

Value::Value(const Var& variable, Where where) : Operand(variable, where) {}
Value::Value(const Index& index, Where where) : Operand(index, where) {}

DType Value::dtype(Where where) const {
    Trace* trace = Trace::of(*this);
    if (trace == nullptr)
        throw Error(ErrorKind::usage, "the kernel of this Value is finished", where,
                    "a Value belongs to one run of its lambda: what a kernel gives is what its "
                    "call returns");
    return trace->builder().dtype(node_);
}

#define KILN_DSL_BINARY(symbol, op) \
    Value operator symbol(Operand a, Operand b) { return apply(Op::op, {&a, &b}); }
KILN_DSL_BINARY(+, add)
KILN_DSL_BINARY(-, sub)
KILN_DSL_BINARY(*, mul)
KILN_DSL_BINARY(/, div)
KILN_DSL_BINARY(%, rem)
KILN_DSL_BINARY(&, bit_and)
KILN_DSL_BINARY(|, bit_or)
KILN_DSL_BINARY(^, bit_xor)
KILN_DSL_BINARY(<<, shl)
KILN_DSL_BINARY(>>, shr)
KILN_DSL_BINARY(==, eq)
KILN_DSL_BINARY(!=, ne)
KILN_DSL_BINARY(<, lt)
KILN_DSL_BINARY(<=, le)
KILN_DSL_BINARY(>, gt)
KILN_DSL_BINARY(>=, ge)
KILN_DSL_BINARY(&&, logical_and)
KILN_DSL_BINARY(||, logical_or)
#undef KILN_DSL_BINARY

Value operator+(Operand a) { return Value(a); }
Value operator-(Operand a) { return apply(Op::neg, {&a}); }
Value operator~(Operand a) { return apply(Op::bit_not, {&a}); }
Value operator!(Operand a) { return apply(Op::logical_not, {&a}); }

#define KILN_DSL_FUNCTION_1(id) \
    Value id(Operand a) { return apply(Op::id, {&a}); }
#define KILN_DSL_FUNCTION_2(id) \
    Value id(Operand a, Operand b) { return apply(Op::id, {&a, &b}); }
#define KILN_DSL_FUNCTION_3(id) \
    Value id(Operand a, Operand b, Operand c) { return apply(Op::id, {&a, &b, &c}); }
#define KILN_NAMED(id, arity, rule, cuda, doc) KILN_DSL_FUNCTION_##arity(id)
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    KILN_DSL_FUNCTION_##arity(id)
#include <kiln/ops.def>
#undef KILN_DSL_FUNCTION_1
#undef KILN_DSL_FUNCTION_2
#undef KILN_DSL_FUNCTION_3

// ------------------------------------------------------------------------------------ variables

Var::Var(Declare, Operand initial) : Operand(Handle{ir::none, 0}, initial.where()) {
    Trace& trace = dsl::trace_at(initial);
    ir::Builder& b = trace.builder();
    const ir::Id value = trace.use(initial);
    serial_ = trace.serial();
    dtype_ = b.dtype(value);
    slot_ = trace.add_slot(dtype_);
    trace.declare(slot_, b.cast(value, dtype_));
}

Var::Var(DType dtype, Operand initial)
    : Operand(Handle{ir::none, 0}, initial.where()), dtype_(dtype) {
    Trace& trace = dsl::trace_at(initial);
    const ir::Id value = trace.use(initial);
    serial_ = trace.serial();
    slot_ = trace.add_slot(dtype_);
    trace.declare(slot_, trace.fitting(slot_, value, initial.where()));
}

Var::Var(const Var& other, Where where)
    : Operand(Handle{ir::none, 0}, Trace::user_line(where)), dtype_(other.dtype_) {
    const Operand value(other, where);
    Trace& trace = dsl::trace_at(value);
    serial_ = trace.serial();
    slot_ = trace.add_slot(dtype_);
    trace.declare(slot_, trace.use(value), &other);
}

Var& Var::operator=(Operand value) & {
    Trace& trace = dsl::trace_at(value);
    const std::uint32_t slot = trace.slot(*this, value.where());
    dsl::store(trace, slot, trace.use(value), value.where());
    return *this;
}

void Var::exchange(Var& other, const Where& where) {
    const Value was(*this, where);
    *this = Operand(other, where);
    other = Operand(was, where);
}

KILN_DSL_COMPOUND_ARITHMETIC(Var, Var&, )
KILN_DSL_COMPOUND_INTEGER(Var, Var&, )
KILN_DSL_COMPOUND_SHIFTS(Var, Var&, )

Var& operator++(Var::Here v) {
    return *v.variable = Operand(Operand(*v.variable, v.where) + Operand(1, v.where), v.where);
}
Var& operator--(Var::Here v) {
    return *v.variable = Operand(Operand(*v.variable, v.where) - Operand(1, v.where), v.where);
}
Value operator++(Var::Here v, int) {
    const Value before(*v.variable, v.where);
    ++v;
    return before;
}
Value operator--(Var::Here v, int) {
    const Value before(*v.variable, v.where);
    --v;
    return before;
}

// --------------------------------------------------------------------------------- if_ and fast

If::If(Operand condition, detail::Body body)
    : trace_(&dsl::trace_at(condition)),
      where_(condition.where()),
      exceptions_(std::uncaught_exceptions()) {
    const dsl::AbandonOnError guard(*trace_);
    ir::Builder& b = trace_->builder();
    b.begin_branch(b.truth(trace_->use(condition)));
    body();
    nodes_ = b.kernel().nodes.size();
}

If::~If() noexcept(false) {
    if (trace_->abandoned()) return;
    if (std::uncaught_exceptions() > exceptions_) {
        trace_->abandon();
        return;
    }
    check_unbroken(where_);
    for (; depth_ > 0; --depth_) trace_->builder().end();
}

void If::check_unbroken(const Where& where) {
    if (trace_->builder().kernel().nodes.size() == nodes_) return;
    trace_->abandon();
    throw Error(ErrorKind::usage, "the result of if_ was kept beyond its statement", where,
                "write if_(...).else_(...) in one statement");
}

If& If::else_if(detail::Condition condition, detail::Body body, Where where) {
    const dsl::AbandonOnError guard(*trace_);
    check_unbroken(where);
    ir::Builder& b = trace_->builder();
    b.begin_else();
    const Operand value = condition(where);
    b.set_location(where);
    b.begin_branch(b.truth(trace_->use(value)));
    ++depth_;
    body();
    nodes_ = b.kernel().nodes.size();
    return *this;
}

void If::else_(detail::Body body, Where where) {
    const dsl::AbandonOnError guard(*trace_);
    check_unbroken(where);
    trace_->builder().begin_else();
    body();
    nodes_ = trace_->builder().kernel().nodes.size();
}

namespace detail {

FastScope::FastScope(Fastmath flags, std::source_location where)
    : trace_(&Trace::current(where)), outer_(trace_->builder().fast_flags()) {
    trace_->builder().set_fast(flags.bits);
}
FastScope::~FastScope() { trace_->builder().set_fast(outer_); }

}  // namespace detail

// ---------------------------------------------------------------------------------------- loops

namespace {

/// Evaluates an expression anew in the innermost block: reads and loads are made again, down to
/// nodes that the user has named, whose values stay.
class Retrace {
  public:
    Retrace(Trace& trace, const Operand::Where& where)
        : trace_(trace), b_(trace.builder()), where_(where) {
        b_.set_location(where);
        here_ = b_.location_index();
    }
    /// Whether anything was read anew.
    bool changes() const { return changes_; }

    ir::Id operator()(ir::Id id) {
        if (const auto known = made_.find(id); known != made_.end()) return known->second;
        if (trace_.named(id)) {
            if (reads_here(id))
                throw Error(ErrorKind::usage,
                            "the condition of while_ passes a Var to a function that names it",
                            where_,
                            "write the condition as a lambda: while_([&] { return ...; }, ...)");
            return id;
        }
        const ir::Id made = make(id);
        made_.emplace(id, made);
        return made;
    }

  private:
    static bool is_read_anew(ir::NodeKind k) {
        return ir::is_computation(k) || k == ir::NodeKind::call_pure || k == ir::NodeKind::load ||
               k == ir::NodeKind::read;
    }

    ir::Id make(ir::Id id) {
        const ir::Node n = b_.node(id);
        std::vector<ir::Id> operands;
        if (n.kind == ir::NodeKind::call)
            throw Error(ErrorKind::usage,
                        fmt::format("the condition of while_ calls {}, a function that is not pure",
                                    b_.kernel().functions[n.aux].name),
                        where_,
                        "write the condition as a lambda: while_([&] { return ...; }, ...)");
        if (!is_read_anew(n.kind)) return id;
        for (std::size_t i = 0; i < n.operand_count; ++i)
            operands.push_back((*this)(b_.kernel().operand(id, i)));
        b_.set_location_index(n.loc);
        if (n.kind == ir::NodeKind::op) return b_.op(n.op, n.dtype, operands, n.fast, n.weak);
        if (n.kind == ir::NodeKind::cast) return b_.convert(operands[0], n.dtype, n.weak);
        if (n.kind == ir::NodeKind::call_pure) return b_.call(n.aux, operands);
        changes_ = true;
        if (n.kind == ir::NodeKind::load) return b_.load(n.aux, operands);
        return b_.read(n.aux, operands.empty() ? ir::none : operands[0]);
    }

    /// Whether `id` depends on a read that the line of the loop itself makes: then it was named by
    /// a function called in the condition, and not by the user before the loop.
    bool reads_here(ir::Id id) const {
        const ir::Node& n = b_.node(id);
        if (n.kind == ir::NodeKind::read && n.loc == here_) return true;
        if (!is_read_anew(n.kind) || n.kind == ir::NodeKind::read) return false;
        const auto operands = b_.kernel().operands_of(id);
        return std::ranges::any_of(operands,
                                   [this](ir::Id operand) { return reads_here(operand); });
    }

    Trace& trace_;
    ir::Builder& b_;
    Operand::Where where_;
    std::uint32_t here_ = 0;
    bool changes_ = false;
    std::unordered_map<ir::Id, ir::Id> made_;
};

ir::Id loop_bound(Trace& trace, const Operand& bound) {
    ir::Builder& b = trace.builder();
    const ir::Id id = trace.use(bound);
    ir::rules::keep(ir::rules::loop_bound(b.dtype(id)), bound.where());
    b.set_location(bound.where());
    return b.cast(id, DType::i64);
}

}  // namespace

void while_(detail::Condition condition, detail::Body body, std::source_location where) {
    Trace& trace = Trace::current(where);
    const dsl::AbandonOnError guard(trace);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    b.begin_while_condition();
    const Operand value = condition(where);
    b.set_location(where);
    b.begin_while_body(b.truth(trace.use(value)));
    trace.open_loop();
    body();
    trace.close_loop();
    b.end();
}

void while_(Operand condition, detail::Body body) {
    Trace& trace = dsl::trace_at(condition);
    const dsl::AbandonOnError guard(trace);
    ir::Builder& b = trace.builder();
    const ir::Id original = trace.use(condition);
    b.begin_while_condition();
    Retrace retrace(trace, condition.where());
    const ir::Id again = retrace(original);
    if (!retrace.changes() && b.node(original).kind != ir::NodeKind::constant)
        throw Error(ErrorKind::usage, "the condition of while_ never changes: it reads no Var",
                    condition.where(),
                    "make what changes a Var, or write the condition as a lambda");
    b.set_location(condition.where());
    b.begin_while_body(b.truth(again));
    trace.open_loop();
    body();
    trace.close_loop();
    b.end();
}

Range::Range(Operand begin, Operand end, Operand step)
    : trace_(&dsl::trace_at(begin)),
      where_(begin.where()),
      exceptions_(std::uncaught_exceptions()) {
    begin_ = loop_bound(*trace_, begin);
    end_ = loop_bound(*trace_, end);
    step_ = loop_bound(*trace_, step);
    ir::rules::keep(ir::rules::loop_step(trace_->builder(), step_), step.where());
}

Range::Range(Operand begin, Operand end, Operand step, const PrangeOptions& options)
    : Range(begin, end, step) {
    ir::rules::keep(ir::rules::chunk(options.chunk), where_);
    parallel_ = true;
    schedule_ = static_cast<std::uint8_t>(options.schedule);
    chunk_ = options.chunk;
    unsafe_races_ = options.unsafe_races;
}

Range::~Range() noexcept(false) {
    if (state_ != State::open || trace_->abandoned()) return;
    trace_->abandon();
    if (std::uncaught_exceptions() > exceptions_) return;
    throw Error(ErrorKind::usage, "a C++ break or return left a traced loop", where_,
                "use break_() or return_()");
}

Range::Iterator Range::begin() {
    if (state_ != State::made)
        throw Error(ErrorKind::usage, "a range was looped over twice", where_,
                    "call range(...) for each loop");
    trace_->builder().set_location(where_);
    if (parallel_)
        trace_->refuse_in_threads("a prange", "its threads are there already: use range");
    if (parallel_)
        index_ = trace_->builder().begin_parallel_loop(
            begin_, end_, step_, {{}, static_cast<ir::Schedule>(schedule_), chunk_, unsafe_races_});
    else
        index_ = trace_->builder().begin_loop(begin_, end_, step_);
    trace_->open_loop();
    state_ = State::open;
    return Iterator(this);
}

Index Range::Iterator::operator*() const {
    return {{range_->index_, range_->trace_->serial()}, range_->where_};
}

Range::Iterator& Range::Iterator::operator++() {
    range_->trace_->close_loop();
    range_->trace_->builder().end();
    range_->state_ = State::closed;
    return *this;
}

bool Range::Iterator::operator!=(const Iterator&) const { return range_->state_ == State::open; }

namespace {

void jump(ir::NodeKind kind, std::string_view word, const Location& where) {
    Trace& trace = Trace::current(where);
    ir::Builder& b = trace.builder();
    if (kind != ir::NodeKind::return_ && !trace.in_loop())
        throw Error(ErrorKind::usage, fmt::format("{}() outside of a loop", word), where);
    if (kind == ir::NodeKind::return_ && trace.in_callee())
        throw Error(ErrorKind::usage, "return_() in a kernel that another kernel calls", where,
                    "its body becomes a part of the caller: use if_(...).else_(...)");
    if (kind == ir::NodeKind::return_) trace.note_return(where);
    ir::rules::keep(ir::rules::jump(b, kind, fmt::format("{}()", word),
                                    "its iterations are independent; use range, or continue_()"),
                    where);
    b.set_location(where);
    b.bare(kind);
}

}  // namespace

void break_(std::source_location where) { jump(ir::NodeKind::break_, "break_", where); }
void continue_(std::source_location where) { jump(ir::NodeKind::continue_, "continue_", where); }
void return_(std::source_location where) { jump(ir::NodeKind::return_, "return_", where); }

}  // namespace kiln
