// The tracer behind the DSL: which kernel the calling thread is building.
#pragma once
#include "dsl/ir/builder.h"

#include <kiln/dsl.h>
#include <kiln/kernel.h>
#include <kiln/remark.h>
#include <kiln/shared.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kiln::dsl {

/// Makes a builder current on this thread for its lifetime; traces nest (a kernel that calls
/// another).
class Trace {
  public:
    explicit Trace(std::string name);
    ~Trace();
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    ir::Builder& builder() { return builder_; }
    /// The kernel. Errors: usage (an exception that the user's code swallowed left it half built).
    ir::Kernel finish();

    /// Node and Value of this trace. A Value of another trace is Error usage.
    Value value(ir::Id id) const;
    ir::Id id(const Value& value) const { return use(value); }
    /// The node of an operand. Errors: usage (of another trace, or of a block that is closed),
    /// shape (an array).
    ir::Id use(const Operand& operand) const;
    /// The same for operations that take arrays as a whole.
    ir::Id use_any(const Operand& operand) const;
    /// Where an operand of this trace is used; of a result, where it is computed.
    Location line_of(const Operand& operand) const;
    /// Assigns to an array, or to a part of it. Errors: usage (read-only), type, shape.
    void assign(std::uint32_t param, std::span<const ir::Id> slice, std::uint64_t dropped,
                ir::Id value, const Location& where);

    /// The slot of a Var of this trace. Errors: usage (of another trace, or of a block that ended).
    std::uint32_t slot(const Var& variable, const Location& where) const;
    /// A slot for a Var, which declare() gives its first value.
    std::uint32_t add_slot(DType dtype);
    /// At the builder's line; where the standard library makes the Var, at that of the one it is a
    /// copy of, or at none.
    void declare(std::uint32_t slot, ir::Id value, const Var* original = nullptr);
    /// The value as what a slot holds: it may widen to the slot's dtype; a weak one only changes
    /// within its kind. Errors: type.
    ir::Id fitting(std::uint32_t slot, ir::Id value, const Location& where);
    /// What an error at `where` calls the Var of this slot.
    std::string describe(std::uint32_t slot, const Location& where) const;

    /// The array parameter `param` as the kernel's code sees it.
    KernelArray array(std::uint32_t param) const {
        KernelArray made;
        describe(made, param);
        return made;
    }
    /// The number of the parameter behind an array of this trace. Errors: usage.
    std::uint32_t param(const KernelArray& array, const Location& where) const;
    /// Errors: usage (`serial` is another's, or of an array that was moved from).
    void check_home(std::uint32_t serial, const Location& where) const;
    void check_home(const ElementRef& element, const Location& where) const {
        check_home(element.serial_, where);
        check_copy(element.of_const_copy_, where);
    }
    /// Errors: usage (storing to a const copy of an array).
    static void check_copy(bool of_const_copy, const Location& where);
    void describe(KernelArray& array, std::uint32_t param) const;

    /// What of an array parameter the kernel's code sees: one core of many, the axes behind those that
    /// an outer loop of the library's goes along.
    struct CoreView {
        std::vector<ir::Id> outer;  ///< subscripts of the axes that are not seen
        /// Where the parameter has one axis, along which the elements of the cores follow each other:
        /// by how many elements each dimension that is seen goes on. Else empty.
        std::vector<std::int64_t> steps;
        std::vector<ir::Id> extents;  ///< of those that are
        /// A bool array parameter of the same shape, true where an element was stored; or none.
        std::uint32_t written = ir::none;
    };
    /// What is thrown where an array is used as a whole that has one axis only for its cores.
    struct NeedsAxes {};
    /// From here on, arrays of this parameter are seen so.
    void set_core(std::uint32_t param, CoreView core) { cores_[param] = std::move(core); }
    bool has_core(std::uint32_t param) const { return cores_.contains(param); }
    void clear_core(std::uint32_t param) { cores_.erase(param); }
    /// The subscripts of a parameter's dimensions that are not seen. Throws NeedsAxes.
    std::span<const ir::Id> outer_subscripts(std::uint32_t param) const {
        const CoreView* core = core_of(param);
        if (core == nullptr) return {};
        if (!core->steps.empty()) throw NeedsAxes();
        return core->outer;
    }
    /// The dimensions of a parameter that are seen.
    std::size_t seen_rank(std::uint32_t param) const {
        const CoreView* core = core_of(param);
        return core == nullptr ? builder_.kernel().params[param].rank : core->extents.size();
    }
    /// The subscripts of an element in the parameter's own dimensions, from those in what is seen.
    std::vector<ir::Id> subscripts_of(std::uint32_t param, std::span<const ir::Id> seen);
    /// That an element was stored to, where that is kept; `subscripts`: of the parameter.
    void note_written(std::uint32_t param, std::span<const ir::Id> subscripts);
    /// The extent of a dimension that is seen; the array as a whole.
    ir::Id extent(std::uint32_t param, std::uint32_t dimension);
    ir::Id whole(std::uint32_t param);

    /// Extents of an array that is made, as i64. Errors: type (no integers), shape (more than 8).
    std::vector<ir::Id> extents(std::initializer_list<Operand> given, const Location& where);
    /// The parameter of an array that is made, called after `prefix` and its number. "s": a Scratch;
    /// else what computes into the array, which the plan tells.
    std::uint32_t new_array(DType dtype, std::size_t rank, std::string_view prefix = "s");
    /// Makes an array; inside a prange each iteration has its own, which is used there alone.
    void allocate(std::uint32_t param, std::span<const ir::Id> extents);
    /// An element of array parameter or slot `target`, with its subscripts as i64.
    ElementRef element(bool is_local, std::uint32_t target, std::span<const Operand> subscripts,
                       const std::source_location& where);
    void check_constant(bool is_local, std::uint32_t target, std::size_t dimension,
                        ir::Id subscript, const Location& where) const;
    ir::Id read(const ElementRef& element);
    void write(const ElementRef& element, ir::Id value);
    ir::Id atomic(ir::Reduction reduction, const ElementRef& element, ir::Id value);

    /// Whether it is an explicit kernel, run by threads that know of each other.
    bool of_threads() const { return builder_.kernel().form == ir::Form::threads; }
    /// Errors: usage (it is one, which has no `what`).
    void refuse_in_threads(const char* what, const char* hint) const;
    /// An array that the threads of a block share; `dynamic`: in what the launch gives.
    KernelArray make_shared(DType dtype, std::span<const ir::Id> extents, bool dynamic);
    /// A value as what an element gets. Errors: usage (of a Local, read-only), type.
    ir::Id stored_value(const ElementRef& element, ir::Id value);
    /// The old value; `expected` may be none. Errors: the same.
    ir::Id exchange(const ElementRef& element, ir::Id expected, ir::Id value, const char* what);

    /// The line of an operation: `where`, unless that is none or lies in the standard library
    /// (which moves and copies what is given to its algorithms): then the last line that was the
    /// user's.
    static std::source_location user_line(const std::source_location& where);
    /// Notes the first return_ of the kernel.
    void note_return(const Location& where);
    /// Errors: usage (the kernel has results, but return_ may end it before there are any).
    void check_results(std::size_t count) const;

    /// The innermost trace of this thread; Error usage ("... outside of a kernel") when there is
    /// none.
    static Trace& current(const Location& where);
    /// The trace of this operand, if it is under way on this thread; else null.
    static Trace* of(const Operand& operand);

    /// Whether the kernel is one of checked mode. What only that has is made where it is.
    bool checked() const { return checked_; }
    void set_checked(bool checked) { checked_ = checked; }

    std::uint32_t serial() const { return serial_; }
    /// What this trace holds is incomplete: using it further is Error usage.
    void abandon() { abandoned_ = true; }
    bool abandoned() const { return abandoned_; }

    /// The traced loops that are open in the kernel, or in one that it calls: what break_ leaves.
    void open_loop() { ++loops_; }
    void close_loop() { --loops_; }
    bool in_loop() const { return loops_ > callee_loops_; }
    /// Whether a kernel that this one calls is being traced.
    bool in_callee() const { return callees_ > 0; }
    /// Runs what traces the body of a kernel that this one calls, with the callee's fast flags.
    template <class F> auto call(std::uint8_t fast, F&& body) {
        const Callee scope(*this, fast);
        return std::forward<F>(body)();
    }

    /// The number of a function of the host. Functions are told apart by `identity`: of several
    /// that have one name, the later ones get names of their own in the kernel.
    std::uint32_t host_function(ir::HostFunction function, Shared<const void> identity);
    /// Those of the kernel, by their names in it.
    using HostFunctions = std::map<std::string, Shared<const void>, std::less<>>;
    const HostFunctions& host_functions() const { return host_functions_; }
    /// What the user is to know of how a line became part of the kernel: one of its remarks.
    void note(const Location& at, std::string text) {
        notes_.push_back({std::string(at.file), at.line, std::move(text)});
    }
    const std::vector<Remark>& notes() const { return notes_; }
    /// Whether plain loops of C++ may be shared by threads, where .parallel is asked for.
    void set_shares_loops(bool shares) { shares_loops_ = shares; }
    bool shares_loops() const { return shares_loops_; }

    /// A node that the user's code names: it was used through a variable of type Value. The
    /// condition of while_ is evaluated anew down to such nodes.
    void mark_named(ir::Id id);
    bool named(ir::Id id) const { return id < named_.size() && named_[id]; }

  private:
    const CoreView* core_of(std::uint32_t param) const {
        const auto found = cores_.find(param);
        return found == cores_.end() ? nullptr : &found->second;
    }
    /// Errors: type (an element does not take the value).
    void check_store(ir::Id value, DType to, bool is_local, std::uint32_t target,
                     const Location& where) const;
    /// The slice of a parameter that is what of it is seen; gives the dropped dimensions.
    std::uint64_t core_slice(const CoreView& core, std::vector<ir::Id>& slice);
    struct Callee {
        Trace& trace;
        std::size_t loops;
        std::uint8_t fast;
        Callee(Trace& t, std::uint8_t flags)
            : trace(t), loops(t.callee_loops_), fast(t.builder_.fast_flags()) {
            trace.callee_loops_ = trace.loops_;
            ++trace.callees_;
            trace.builder_.set_fast(flags);
        }
        ~Callee() {
            trace.callee_loops_ = loops;
            --trace.callees_;
            trace.builder_.set_fast(fast);
        }
        Callee(const Callee&) = delete;
        Callee& operator=(const Callee&) = delete;
    };

    ir::Builder builder_;
    std::size_t loops_ = 0, callee_loops_ = 0, callees_ = 0;
    Trace* outer_;
    std::uint32_t serial_;
    bool abandoned_ = false, checked_ = false, shares_loops_ = false;
    bool in_library_ = false;
    std::source_location line_;         // the last one of the user
    std::optional<Location> returned_;  // where return_ is first called
    std::vector<bool> named_;
    HostFunctions host_functions_;
    std::vector<Remark> notes_;
    std::map<std::uint32_t, CoreView> cores_;
    std::vector<ir::Id> declarations_;  // by slot: the write that declares a Var, or none
    std::map<std::uint32_t, ir::Id>
        own_arrays_;  // made inside a prange: parameter -> allocate node
};

/// The current trace with the location of the operand that new nodes belong to.
Trace& trace_at(const Operand& first);

/// A binary or unary operation of ops.def; of integers, pow is expanded.
Value apply(ir::Op op, std::initializer_list<const Operand*> operands);

}  // namespace kiln::dsl
