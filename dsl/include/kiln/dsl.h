// The tracing DSL: what a kernel's lambda is written in. Running the lambda records the kernel.
//
// Every operation knows the user's line: operators and functions take an `Operand`, whose
// converting constructors have a defaulted std::source_location, so that the line of the call is
// recorded.
#pragma once
#include <kiln/dtype.h>
#include <kiln/error.h>
#include <kiln/fastmath.h>

#include <source_location>
#include <type_traits>
#include <utility>

namespace kiln {

class Value;
class Var;
class Index;
class ElementRef;
class KernelArray;
class ArraySlice;
struct FoldOptions;
struct PrangeOptions;

namespace dsl {
class Trace;
}

namespace detail {
template <class> inline constexpr bool always_false = false;

/// A reference to a callable without arguments, valid for the call that it is passed to.
class Body {
  public:
    template <class F>
        requires(std::is_invocable_v<F&> && !std::is_same_v<std::remove_cvref_t<F>, Body>)
    Body(F&& body)
        : object_(const_cast<void*>(static_cast<const void*>(&body))),
          call_([](void* object) { (*static_cast<std::remove_reference_t<F>*>(object))(); }) {
        static_assert(std::is_void_v<std::invoke_result_t<F&>>,
                      "kiln: a block of if_, else_if, else_ or while_ returns nothing: assign its "
                      "value to a Var, or use select(...). (return_() ends a kernel without "
                      "results)");
    }
    void operator()() const { call_(object_); }

  private:
    void* object_;
    void (*call_)(void*);
};
}  // namespace detail

/// What operators and functions take: a Value, a Var (read at this point), an Index, or a constant.
/// Constants made from C++ values are weak: they bring only their kind into a promotion.
/// Errors: usage (outside of a kernel).
class Operand {
  public:
    using Where = std::source_location;  ///< the user's line

    Operand(const Value& value, Where where = Where::current());
    Operand(Value&& value, Where where = Where::current());
    Operand(const Var& variable, Where where = Where::current());
    Operand(const Index& index, Where where = Where::current());
    Operand(const ElementRef& element, Where where = Where::current());
    Operand(const KernelArray& array, Where where = Where::current());
    Operand(const ArraySlice& slice, Where where = Where::current());
    Operand(const Scalar& constant, Where where = Where::current());
    template <Element T>
    Operand(T constant, Where where = Where::current())
        : Operand(Scalar::of(constant, true), where) {}
    Operand(const Operand&) = default;
    /// The same, as used in another line.
    Operand(const Operand& other, Where where) : Operand(other) { where_ = where; }
    /// `Scratch t(Value(a));` declares a function.
    template <class R, class... P>
        requires(std::is_base_of_v<KernelArray, R>)
    Operand(R (*)(P...), Where where = Where::current()) : where_(where) {
        static_assert(detail::always_false<R>,
                      "kiln: this is a function: `Scratch t(Value(a));` declares one; write "
                      "`Scratch t(a);`");
    }
    template <class T> Operand& operator=(T&&) {
        static_assert(detail::always_false<T>,
                      "kiln: an Operand is immutable; use Var for a variable that changes");
        return *this;
    }

    const Where& where() const { return where_; }  ///< where it is used

    template <class T = void> explicit operator bool() const {
        static_assert(detail::always_false<T>,
                      "kiln: a Value has no truth value while a kernel is traced; "
                      "use if_(...) or select(...)");
        return false;
    }

    // Found only where an operand is a Value, a Var or an Index, so other expressions never see
    // them. Meaning: as in C++, element by element, with NumPy's promotion; see dsl/README.md.
#define KILN_DSL_BINARY(op) friend Value operator op(Operand a, Operand b);
    KILN_DSL_BINARY(+)
    KILN_DSL_BINARY(-)
    KILN_DSL_BINARY(*)
    KILN_DSL_BINARY(/)
    KILN_DSL_BINARY(%)
    KILN_DSL_BINARY(&)
    KILN_DSL_BINARY(|)
    KILN_DSL_BINARY(^)
    KILN_DSL_BINARY(<<)
    KILN_DSL_BINARY(>>)
    KILN_DSL_BINARY(==)
    KILN_DSL_BINARY(!=)
    KILN_DSL_BINARY(<)
    KILN_DSL_BINARY(<=)
    KILN_DSL_BINARY(>)
    KILN_DSL_BINARY(>=)
    // Both sides are evaluated: there is no short circuit.
    KILN_DSL_BINARY(&&)
    KILN_DSL_BINARY(||)
#undef KILN_DSL_BINARY
    /// Products of the matrices that the last two axes of array values are, for stacks of them that
    /// broadcast; of one dimension as for dot. Errors: shape (kiln/array_value.h).
    friend Value matmul(Operand a, Operand b);
    friend Value operator+(Operand a);
    friend Value operator-(Operand a);
    friend Value operator~(Operand a);
    friend Value operator!(Operand a);
    // With a C++ value on one side the built-in && and || would be as good a match.
    template <Element T> friend Value operator&&(Operand a, const T& b);
    template <Element T> friend Value operator&&(const T& a, Operand b);
    template <Element T> friend Value operator||(Operand a, const T& b);
    template <Element T> friend Value operator||(const T& a, Operand b);

  protected:
    friend class dsl::Trace;
    // Named apart from the public constructors: the handle of a node, or of nothing (a Var).
    struct Handle {
        std::uint32_t node;
        std::uint32_t serial;
    };
    Operand(Handle handle, Where where)
        : node_(handle.node), serial_(handle.serial), where_(where) {}
    Operand& operator=(const Operand&) = default;

    std::uint32_t node_;
    std::uint32_t serial_;  // of the trace that made the node
    Where where_;
};

// A Value and an Index never change; each way to try tells so. Those without a name are elements of
// arrays that are only read, mostly.
#define KILN_DSL_REFUSE(self, op)                                                         \
    template <class T> self& operator op(T&&)& {                                          \
        static_assert(::kiln::detail::always_false<T>,                                    \
                      "kiln: a Value is immutable; use Var for a variable that changes"); \
        return *this;                                                                     \
    }                                                                                     \
    template <class T> self& operator op(T&&)&& {                                         \
        static_assert(::kiln::detail::always_false<T>,                                    \
                      "kiln: only elements of InOut, Out, Scratch and Local arrays are "  \
                      "stored to: an In is only read, and a Value is immutable");         \
        return *this;                                                                     \
    }
#define KILN_DSL_REFUSE_STEP(self, op, parameter)                                         \
    template <class T = void> self& operator op(parameter) {                              \
        static_assert(::kiln::detail::always_false<T>,                                    \
                      "kiln: a Value is immutable; use Var for a variable that changes"); \
        return *this;                                                                     \
    }
// The copy assignment suppresses the implicit one without competing with the templates.
#define KILN_DSL_IMMUTABLE(self)                      \
    self& operator=(const volatile self&)&& = delete; \
    KILN_DSL_REFUSE(self, =)                          \
    KILN_DSL_REFUSE(self, +=)                         \
    KILN_DSL_REFUSE(self, -=)                         \
    KILN_DSL_REFUSE(self, *=)                         \
    KILN_DSL_REFUSE(self, /=)                         \
    KILN_DSL_REFUSE(self, %=)                         \
    KILN_DSL_REFUSE(self, &=)                         \
    KILN_DSL_REFUSE(self, |=)                         \
    KILN_DSL_REFUSE(self, ^=)                         \
    KILN_DSL_REFUSE(self, <<=)                        \
    KILN_DSL_REFUSE(self, >>=)                        \
    KILN_DSL_REFUSE_STEP(self, ++, )                  \
    KILN_DSL_REFUSE_STEP(self, ++, int)               \
    KILN_DSL_REFUSE_STEP(self, --, )                  \
    KILN_DSL_REFUSE_STEP(self, --, int)

/// One computed value of the kernel that is being traced. Immutable; a copy is the same value.
class Value : public Operand {
  public:
    Value(const Value& other) : Operand(static_cast<const Operand&>(other)) {}
    Value(const Var& variable, Where where = Where::current());
    Value(const Index& index, Where where = Where::current());
    Value(const ElementRef& element, Where where = Where::current());
    Value(const KernelArray& array, Where where = Where::current());
    Value(const ArraySlice& slice, Where where = Where::current());
    Value(const Scalar& constant, Where where = Where::current()) : Operand(constant, where) {}
    template <Element T> Value(T constant, Where where = Where::current())
        : Operand(constant, where) {}
    explicit Value(const Operand& operand) : Operand(operand) {}
    KILN_DSL_IMMUTABLE(Value)

    /// Errors: usage (the kernel of this value is finished).
    DType dtype(Where where = Where::current()) const;
    /// Of an array value, as the functions of these names do (kiln/array_value.h).
    Value sum(const FoldOptions& options, Where where = Where::current()) const;
    Value min(const FoldOptions& options, Where where = Where::current()) const;
    Value max(const FoldOptions& options, Where where = Where::current()) const;
    Value mean(const FoldOptions& options, Where where = Where::current()) const;
    Value sum(Where where = Where::current()) const;
    Value min(Where where = Where::current()) const;
    Value max(Where where = Where::current()) const;
    Value mean(Where where = Where::current()) const;

  private:
    friend class dsl::Trace;
    Value(Handle handle, Where where) : Operand(handle, where) {}
};

/// The index of a traced loop, an i64. Loops that only repeat need not use theirs.
class [[maybe_unused]] Index : public Operand {
  public:
    Index(const Index& other) : Operand(static_cast<const Operand&>(other)) {}
    KILN_DSL_IMMUTABLE(Index)

  private:
    friend class Range;
    Index(Handle handle, Where where) : Operand(handle, where) {}
};
template <Element T> Value operator&&(Operand a, const T& b) { return a && Operand(b, a.where()); }
template <Element T> Value operator&&(const T& a, Operand b) { return Operand(a, b.where()) && b; }
template <Element T> Value operator||(Operand a, const T& b) { return a || Operand(b, a.where()); }
template <Element T> Value operator||(const T& a, Operand b) { return Operand(a, b.where()) || b; }

#undef KILN_DSL_IMMUTABLE
#undef KILN_DSL_REFUSE_STEP
#undef KILN_DSL_REFUSE

namespace detail {
/// Whether a Var can be initialised from a T.
template <class T>
inline constexpr bool is_initial =
    Element<T> || std::is_same_v<T, Scalar> || std::is_base_of_v<Operand, T>;
template <class T> inline constexpr bool is_operand = is_initial<T>;
}  // namespace detail

/// A mutable variable of the kernel. It has one dtype for life: that of its initial value (a C++
/// value counts with its C++ type), or the declared one. Copying and moving make a new variable of
/// that value, so that std::swap, std::exchange, std::rotate and the like do to the values what
/// they do to numbers. Storing a value that would narrow is Error type: write cast<T>(...). Using a
/// Var after the block that declares it is Error usage.
class Var : public Operand {
  public:
    template <class T>
        requires(detail::is_initial<std::remove_cvref_t<T>> &&
                 !std::is_same_v<std::remove_cvref_t<T>, Var>)
    Var(T&& initial, Where where = Where::current())
        : Var(Declare{}, Operand(std::forward<T>(initial), where)) {}
    /// A variable of the given dtype: Var sum(f64, 0).
    Var(DType dtype, Operand initial);
    Var(const Var& other, Where where = Where::current());
    Var(Var&& other, Where where = Where::current()) : Var(static_cast<const Var&>(other), where) {}

    // Not viable for an lvalue, where operator=(Operand) does it and knows the line.
    Var& operator=(const Var&) && = delete;
    Var& operator=(Operand value) &;
    Var& operator+=(Operand value);
    Var& operator-=(Operand value);
    Var& operator*=(Operand value);
    Var& operator/=(Operand value);
    Var& operator%=(Operand value);
    Var& operator&=(Operand value);
    Var& operator|=(Operand value);
    Var& operator^=(Operand value);
    Var& operator<<=(Operand value);
    Var& operator>>=(Operand value);

    /// Exchanges the values. Errors: type (the one would be narrowed in the other).
    friend void swap(Var& a, Var& b, Where where = Where::current()) { a.exchange(b, where); }

    DType dtype() const { return dtype_; }  ///< for life

  private:
    friend class Operand;
    friend class dsl::Trace;
    struct Declare {};
    Var(Declare, Operand initial);
    void exchange(Var& other, const Where& where);

    /// A Var and the line that uses it, for operators that have no other operand.
    struct Here {
        Var* variable;
        Where where;
        Here(Var& variable, Where where = Where::current()) : variable(&variable), where(where) {}
    };
    friend Var& operator++(Here v);
    friend Var& operator--(Here v);
    friend Value operator++(Here v, int);  ///< the value before
    friend Value operator--(Here v, int);

    std::uint32_t slot_;
    DType dtype_;
};

// ------------------------------------------------------------------------------------ functions

#define KILN_DSL_OPERANDS_1 Operand
#define KILN_DSL_OPERANDS_2 Operand, Operand
#define KILN_DSL_OPERANDS_3 Operand, Operand, Operand
#define KILN_DSL_RESULTS_1 Value
#define KILN_DSL_RESULTS_2 std::pair<Value, Value>
// The functions of ops.def; what each does, its accuracy and its dtypes stand there and in
// dsl/README.md.
#define KILN_NAMED(id, arity, rule, cuda, doc) Value id(KILN_DSL_OPERANDS_##arity);
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    Value id(KILN_DSL_OPERANDS_##arity);
#define KILN_COMPOSITE(id, arity, results, doc) \
    KILN_DSL_RESULTS_##results id(KILN_DSL_OPERANDS_##arity);
#include <kiln/ops.def>
#undef KILN_DSL_OPERANDS_1
#undef KILN_DSL_OPERANDS_2
#undef KILN_DSL_OPERANDS_3
#undef KILN_DSL_RESULTS_1
#undef KILN_DSL_RESULTS_2

/// minimum and maximum: NaN if either is NaN.
Value min(Operand a, Operand b);
Value max(Operand a, Operand b);
/// rint, the nearest integer value, ties to even; integers stay what they are.
Value round(Operand a);

/// The value as `to`: integers wrap, float to integer saturates and maps NaN to 0, complex to real
/// drops the imaginary part, anything to bool is != 0.
Value cast(DType to, Operand value);
template <Element T> Value cast(Operand value) { return cast(dtype_of<T>, value); }

// std::min and std::max are exact matches for two arguments of one type; these are better ones.
#define KILN_DSL_EXTREMUM(name)                                                              \
    template <class A, class B>                                                              \
        requires((std::is_base_of_v<Operand, std::remove_cvref_t<A>> ||                      \
                  std::is_base_of_v<Operand, std::remove_cvref_t<B>>) &&                     \
                 detail::is_operand<std::remove_cvref_t<A>> &&                               \
                 detail::is_operand<std::remove_cvref_t<B>> &&                               \
                 !(std::is_same_v<std::remove_cvref_t<A>, Operand> &&                        \
                   std::is_same_v<std::remove_cvref_t<B>, Operand>))                         \
    Value name(A&& a, B&& b, std::source_location where = std::source_location::current()) { \
        return name(Operand(std::forward<A>(a), where), Operand(std::forward<B>(b), where)); \
    }                                                                                        \
    Value name(const Value& a, const Value& b,                                               \
               std::source_location = std::source_location::current());                      \
    Value name(const Var& a, const Var& b,                                                   \
               std::source_location = std::source_location::current());                      \
    Value name(const Index& a, const Index& b,                                               \
               std::source_location = std::source_location::current());
KILN_DSL_EXTREMUM(min)
KILN_DSL_EXTREMUM(max)
#undef KILN_DSL_EXTREMUM

// ---------------------------------------------------------------------------------- control flow

namespace detail {
/// A reference to a callable that gives the condition of a loop or branch.
class Condition {
  public:
    template <class F>
        requires(std::is_invocable_v<F&> && !std::is_same_v<std::remove_cvref_t<F>, Condition>)
    Condition(F&& f)
        : object_(const_cast<void*>(static_cast<const void*>(&f))),
          call_([](void* object, std::source_location where) -> Operand {
              return {(*static_cast<std::remove_reference_t<F>*>(object))(), where};
          }) {
        static_assert(
            std::is_constructible_v<Operand, std::invoke_result_t<F&>, std::source_location>,
            "kiln: a condition must return a Value");
    }
    Operand operator()(std::source_location where) const { return call_(object_, where); }

  private:
    void* object_;
    Operand (*call_)(void*, std::source_location);
};

class FastScope {
  public:
    FastScope(Fastmath flags, std::source_location where);
    ~FastScope();
    FastScope(const FastScope&) = delete;
    FastScope& operator=(const FastScope&) = delete;

  private:
    dsl::Trace* trace_;
    std::uint8_t outer_;
};
}  // namespace detail

/// An if_ whose alternatives may follow: if_(c, [&] {...}).else_if([&] { return d; }, [&] {...})
/// .else_([&] {...}). It ends with the statement: keeping it in a variable is Error usage.
class If {
  public:
    using Where = std::source_location;  ///< the user's line
    If(Operand condition, detail::Body body);
    ~If() noexcept(false);
    If(const If&) = delete;
    If& operator=(const If&) = delete;

    /// The condition is a callable, because it is evaluated only where the earlier ones were false.
    If& else_if(detail::Condition condition, detail::Body body, Where where = Where::current());
    void else_(detail::Body body, Where where = Where::current());

  private:
    void check_unbroken(const Where& where);

    dsl::Trace* trace_;
    Where where_;
    std::size_t nodes_ = 0;  // of the trace after the last body
    int depth_ = 1;          // branches to close
    int exceptions_;
};

/// Runs `body` where the condition is true (!= 0). What a block computes goes to Vars and arrays:
/// it returns nothing.
inline If if_(Operand condition, detail::Body body) { return If(condition, body); }

/// Repeats `body` while the condition, a callable such as [&] { return i < n; }, is true.
void while_(detail::Condition condition, detail::Body body,
            std::source_location where = std::source_location::current());
/// The same with an expression of Vars: while_(i < n && norm(z) <= 4.0, [&] {...}). It is evaluated
/// anew in each iteration: what the expression reads is read again; Values that have a name keep
/// the value that they had. Errors: usage (the condition reads no Var).
void while_(Operand condition, detail::Body body);

/// The loop of `for (Index i : range(...))`, whose body is traced once.
class Range {
  public:
    using Where = std::source_location;  ///< the user's line
    class Iterator {                     ///< of a loop over it
      public:
        Index operator*() const;
        Iterator& operator++();
        bool operator!=(const Iterator&) const;

      private:
        friend class Range;
        explicit Iterator(Range* range) : range_(range) {}
        Range* range_;
    };

    Range(Operand begin, Operand end, Operand step);
    /// A parallel loop: see prange.
    Range(Operand begin, Operand end, Operand step, const PrangeOptions& options);
    ~Range() noexcept(false);
    Range(const Range&) = delete;
    Range& operator=(const Range&) = delete;
    /// What a range-based for needs.
    Iterator begin();
    Iterator end() { return Iterator(this); }

  private:
    enum class State : std::uint8_t { made, open, closed };
    dsl::Trace* trace_;
    Where where_;
    std::uint32_t begin_, end_, step_;  // nodes
    std::uint32_t index_ = 0;
    State state_ = State::made;
    int exceptions_;
    bool parallel_ = false;
    bool unsafe_races_ = false;
    std::uint8_t schedule_ = 0;
    std::int64_t chunk_ = 0;
};

/// 0, 1, ... up to but not including `end`; integers of any dtype, as i64. Leave the loop with
/// break_() or return_(): a C++ break or return is noticed and is Error usage. Errors: type (a
/// bound is not an integer), usage (a constant step of 0).
inline Range range(Operand end) {
    return Range(Operand(0, end.where()), end, Operand(1, end.where()));
}
inline Range range(Operand begin, Operand end) {
    return Range(begin, end, Operand(1, begin.where()));
}
/// From `begin` by `step`, which may be negative.
inline Range range(Operand begin, Operand end, Operand step) { return Range(begin, end, step); }

/// Leaves the innermost traced loop. Errors: usage (there is none).
void break_(std::source_location where = std::source_location::current());
/// Goes on with the next iteration of the innermost traced loop. Errors: usage (there is none).
void continue_(std::source_location where = std::source_location::current());
/// Ends a kernel that has no results. Errors: usage (the kernel returns something, which this would
/// leave undefined: assign to a Var in if_(...).else_(...) instead).
void return_(std::source_location where = std::source_location::current());

/// Runs `body` and gives its result; the operations that it traces have exactly these fast-math
/// flags, whatever the kernel's are: Value y = fast(Fastmath::contract, [&] { return a * x + b; }).
template <class F>
decltype(auto) fast(Fastmath flags, F&& body,
                    std::source_location where = std::source_location::current()) {
    const detail::FastScope scope(flags, where);
    return std::forward<F>(body)();
}

}  // namespace kiln
