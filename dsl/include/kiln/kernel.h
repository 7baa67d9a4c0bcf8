// What loop kernels (kiln/jit.h) have beyond element-wise ones: arrays and parallel loops.
//
// A kernel's lambda takes In, Out and InOut for arrays and Value for scalars. Subscripts are
// integers of any dtype; they do not wrap. Outside of an array nothing is defined, except in
// checked mode, where it is Error bounds with the array, the index, its shape and the line. A
// constant that no extents allow (a(-1), the fourth element of a Local of 3) is that error always.
#pragma once
#include <kiln/array_value.h>
#include <kiln/dsl.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>

namespace kiln {

/// One element of an array of the kernel: read where it is used, written by assignment. A value
/// that is stored converts to the array's dtype within its kind (same_kind); else it is Error type.
class ElementRef : public Operand {
  public:
    ElementRef(const ElementRef& other) = default;
    // Elements are temporaries, for which the assignment of an Operand does it and knows the line.
    ElementRef& operator=(const ElementRef&) & = delete;
    template <class T>
        requires(std::is_same_v<std::remove_cvref_t<T>, ElementRef>)
    ElementRef& operator=(T&&) & {
        static_assert(detail::always_false<T>,
                      "kiln: p = q of elements that are kept in variables says not whether a value "
                      "is stored: write p = Value(q)");
        return *this;
    }
    const ElementRef& operator=(Operand value) const;
    const ElementRef& operator+=(Operand value) const;
    const ElementRef& operator-=(Operand value) const;
    const ElementRef& operator*=(Operand value) const;
    const ElementRef& operator/=(Operand value) const;
    const ElementRef& operator%=(Operand value) const;
    const ElementRef& operator&=(Operand value) const;
    const ElementRef& operator|=(Operand value) const;
    const ElementRef& operator^=(Operand value) const;
    /// Exchanges the values of two elements: swap(a(i), a(j)). Errors: type.
    friend void swap(const ElementRef& a, const ElementRef& b, Where where = Where::current()) {
        a.exchange(b, where);
    }
    friend void swap(ElementRef& a, ElementRef& b, Where where = Where::current()) {
        a.exchange(b, where);
    }

  private:
    friend class Operand;
    friend class Scratch;
    friend class Local;
    friend class dsl::Trace;
    static constexpr int max_subscripts = 8;
    void exchange(const ElementRef& other, const Where& where) const;
    ElementRef(Where where) : Operand(Handle{~0U, 0}, where) {}

    bool is_local_ = false;       ///< of a Local, else of an array parameter
    bool of_const_copy_ = false;  ///< of a Scratch or Local: only read
    std::uint32_t target_ = 0;
    int count_ = 0;
    std::uint32_t subscripts_[max_subscripts] = {};  // nodes
};

// One to eight subscripts, and none for an array of rank 0. `access` is empty or const.
#define KILN_DSL_SUBSCRIPTS(Result, make, access)                                                  \
    Result operator()(Where where = Where::current()) access { return make({}, where); }           \
    Result operator()(Operand i) access { return make({i}, i.where()); }                           \
    Result operator()(Operand i, Operand j) access { return make({i, j}, i.where()); }             \
    Result operator()(Operand i, Operand j, Operand k) access {                                    \
        return make({i, j, k}, i.where());                                                         \
    }                                                                                              \
    Result operator()(Operand i, Operand j, Operand k, Operand l) access {                         \
        return make({i, j, k, l}, i.where());                                                      \
    }                                                                                              \
    Result operator()(Operand i, Operand j, Operand k, Operand l, Operand m) access {              \
        return make({i, j, k, l, m}, i.where());                                                   \
    }                                                                                              \
    Result operator()(Operand i, Operand j, Operand k, Operand l, Operand m, Operand n) access {   \
        return make({i, j, k, l, m, n}, i.where());                                                \
    }                                                                                              \
    Result operator()(Operand i, Operand j, Operand k, Operand l, Operand m, Operand n, Operand o) \
        access {                                                                                   \
        return make({i, j, k, l, m, n, o}, i.where());                                             \
    }                                                                                              \
    Result operator()(Operand i, Operand j, Operand k, Operand l, Operand m, Operand n, Operand o, \
                      Operand p) access {                                                          \
        return make({i, j, k, l, m, n, o, p}, i.where());                                          \
    }

/// An array of the kernel: what In, Out, InOut and Scratch have in common. As an operand it is the
/// array as a whole (kiln/array_value.h).
class KernelArray : public Operand {
  public:
    using Where = std::source_location;  ///< the user's line
    /// The extent of a dimension, an i64; negative ones count from the last. Errors: shape.
    Value extent(int dimension, Where where = Where::current()) const;
    /// The number of elements, an i64.
    Value size(Where where = Where::current()) const;
    int rank() const { return rank_; }
    DType dtype() const { return dtype_; }
    /// A part of the array, one argument for each dimension; all of those that are not given:
    /// a.slice({1, -1}, {}, 0). Errors: shape (too many arguments), usage (a step of 0).
    ArraySlice slice(SliceArg s0, SliceArg s1 = {}, SliceArg s2 = {}, SliceArg s3 = {},
                     SliceArg s4 = {}, SliceArg s5 = {}, SliceArg s6 = {}, SliceArg s7 = {},
                     Where where = Where::current()) const;
    /// As the functions of these names do.
    Value sum(const FoldOptions& options = {}, Where where = Where::current()) const;
    Value min(const FoldOptions& options = {}, Where where = Where::current()) const;
    Value max(const FoldOptions& options = {}, Where where = Where::current()) const;
    Value mean(const FoldOptions& options = {}, Where where = Where::current()) const;

    KernelArray(const KernelArray&) = default;
    /// The one that was moved from names no array any more.
    KernelArray(KernelArray&& other) noexcept
        : Operand(static_cast<const Operand&>(other)),
          param_(other.param_),
          rank_(other.rank_),
          dtype_(other.dtype_) {
        other.serial_ = moved;
    }
    KernelArray& operator=(const KernelArray&) = default;

  protected:
    friend class Operand;
    friend class Local;
    friend class dsl::Trace;
    static constexpr std::uint32_t moved = ~0U;  ///< as the number of the trace
    KernelArray() : Operand(Handle{~0U, 0}, Where()) {}
    void assign(const Operand& value) const;
    ElementRef element(std::initializer_list<Operand> subscripts, Where where) const;
    Value load(std::initializer_list<Operand> subscripts, Where where) const;

    std::uint32_t param_ = 0;
    int rank_ = 0;
    DType dtype_ = DType::f64;
};

/// Assignment of every element, by member function `assign`. `access` is empty or const.
#define KILN_DSL_ASSIGNABLE(self, assign, access)                       \
    access self& operator=(Operand value) access {                      \
        assign(value);                                                  \
        return *this;                                                   \
    }                                                                   \
    access self& operator+=(Operand value) access {                     \
        assign({Operand(*this, value.where()) + value, value.where()}); \
        return *this;                                                   \
    }                                                                   \
    access self& operator-=(Operand value) access {                     \
        assign({Operand(*this, value.where()) - value, value.where()}); \
        return *this;                                                   \
    }                                                                   \
    access self& operator*=(Operand value) access {                     \
        assign({Operand(*this, value.where()) * value, value.where()}); \
        return *this;                                                   \
    }                                                                   \
    access self& operator/=(Operand value) access {                     \
        assign({Operand(*this, value.where()) / value, value.where()}); \
        return *this;                                                   \
    }

#define KILN_DSL_READ_ONLY(op)                                                                \
    template <class T> In& operator op(T&&) {                                                 \
        static_assert(::kiln::detail::always_false<T>,                                        \
                      "kiln: an In is only read, and names one array for life: declare what " \
                      "is written as InOut or Out");                                          \
        return *this;                                                                         \
    }

// What a kernel is given (In, Out, InOut) refers to arrays of the caller: copies name the same
// array, and an assignment stores elements. What it makes (Var, Scratch, Local) is a value: copies
// have elements of their own, and those of a const copy are only read.

/// An array that the kernel reads.
class In : public KernelArray {
  public:
    explicit In(const KernelArray& array) : KernelArray(array) {}
    In(const In&) = default;
    In(In&&) = default;
    In& operator=(const volatile In&) && = delete;
    KILN_DSL_READ_ONLY(=)
    KILN_DSL_READ_ONLY(+=)
    KILN_DSL_READ_ONLY(-=)
    KILN_DSL_READ_ONLY(*=)
    KILN_DSL_READ_ONLY(/=)
    KILN_DSL_SUBSCRIPTS(Value, load, const)
};

/// An array that the kernel writes, and may read where it has written.
class Out : public KernelArray {
  public:
    explicit Out(const KernelArray& array) : KernelArray(array) {}
    Out(const Out&) = default;
    Out(Out&&) = default;
    Out& operator=(const Out&) && = delete;
    KILN_DSL_ASSIGNABLE(Out, assign, const)
    KILN_DSL_SUBSCRIPTS(ElementRef, element, const)
};

/// An array that the kernel reads and writes.
class InOut : public KernelArray {
  public:
    explicit InOut(const KernelArray& array) : KernelArray(array) {}
    InOut(const InOut&) = default;
    InOut(InOut&&) = default;
    InOut& operator=(const InOut&) && = delete;
    KILN_DSL_ASSIGNABLE(InOut, assign, const)
    KILN_DSL_SUBSCRIPTS(ElementRef, element, const)
};

/// A new array of the kernel, of C order, whose extents are known at run time: its contents are
/// undefined at first. It lives until the call ends, or goes to the caller where the kernel returns
/// it. A copy is a new array of the same elements; InOut(s) is another name for the same ones.
/// Storing to a copy that is const is Error usage: lambdas with [=] have such copies. Inside a
/// prange each iteration has its own, which is used in that iteration alone. Errors: usage, shape
/// (a negative extent, when the kernel runs).
class Scratch : public KernelArray {
  public:
    Scratch(DType dtype, std::initializer_list<Operand> extents, Where where = Where::current());
    /// A new array of the shape, dtype and elements of an array value.
    Scratch(const Value& value, Where where = Where::current());
    Scratch(const ArraySlice& value, Where where = Where::current())
        : Scratch(Value(value, where), where) {}
    Scratch(const Scratch& other, Where where = Where::current())
        : Scratch(Value(other, where), where) {
        is_copy_ = true;
    }
    Scratch(Scratch&&) = default;
    Scratch& operator=(const Scratch&) && = delete;
    KILN_DSL_ASSIGNABLE(Scratch, assign, )
    KILN_DSL_ASSIGNABLE(Scratch, assign_const, const)
    KILN_DSL_SUBSCRIPTS(ElementRef, element, )
    KILN_DSL_SUBSCRIPTS(ElementRef, const_element, const)
    ArraySlice slice(SliceArg s0, SliceArg s1 = {}, SliceArg s2 = {}, SliceArg s3 = {},
                     SliceArg s4 = {}, SliceArg s5 = {}, SliceArg s6 = {}, SliceArg s7 = {},
                     Where where = Where::current()) {
        return KernelArray::slice(s0, s1, s2, s3, s4, s5, s6, s7, where);
    }
    ArraySlice slice(SliceArg s0, SliceArg s1 = {}, SliceArg s2 = {}, SliceArg s3 = {},
                     SliceArg s4 = {}, SliceArg s5 = {}, SliceArg s6 = {}, SliceArg s7 = {},
                     Where where = Where::current()) const {
        ArraySlice made = KernelArray::slice(s0, s1, s2, s3, s4, s5, s6, s7, where);
        made.of_const_copy_ = is_copy_;
        return made;
    }

  private:
    void assign_const(const Operand& value) const;
    ElementRef const_element(std::initializer_list<Operand> subscripts, Where where) const {
        ElementRef made = element(subscripts, where);
        made.of_const_copy_ = is_copy_;
        return made;
    }
    bool is_copy_ = false;
};

/// The arrays of a kernel cannot change roles: which one a subscript means is settled while it is
/// traced. (std::swap of them is Error usage.)
template <class T>
    requires(std::is_base_of_v<KernelArray, T>)
void swap(T&, T&) {
    static_assert(detail::always_false<T>,
                  "kiln: the arrays of a kernel cannot be swapped: write two steps, step(a, b) and "
                  "step(b, a), call the kernel with the arrays exchanged, or copy the elements");
}

/// A local array of `length` elements, zero at first; each iteration of a prange has its own where
/// it is declared inside. A copy has elements of its own, and is only read where it is const, as
/// the copies of lambdas with [=] are (Error usage).
class Local {
  public:
    using Where = std::source_location;  ///< the user's line
    /// Errors: usage (length < 1 or more than 65536; the Locals of the kernel take more than 64
    /// MiB, of which each thread has its own).
    Local(DType dtype, std::int64_t length, Where where = Where::current());
    /// For one extent. Errors: usage (several).
    Local(DType dtype, std::initializer_list<std::int64_t> extents, Where where = Where::current());
    template <class T>
        requires(std::is_base_of_v<Operand, T>)
    Local(DType, const T&) {
        static_assert(detail::always_false<T>,
                      "kiln: the length of a Local is a C++ integer; a Scratch has extents that "
                      "are known at run time");
    }
    Local(const Local& other, Where where = Where::current());
    Local(Local&& other) noexcept
        : serial_(std::exchange(other.serial_, KernelArray::moved)),
          slot_(other.slot_),
          length_(other.length_),
          dtype_(other.dtype_),
          is_copy_(other.is_copy_) {}
    Local& operator=(const volatile Local&) && = delete;
    template <class T> Local& operator=(T&&) {
        static_assert(detail::always_false<T>,
                      "kiln: a Local is not assigned as a whole: store its elements in a loop");
        return *this;
    }
    ElementRef operator()(Operand i) { return element(i); }
    ElementRef operator()(Operand i) const {
        ElementRef made = element(i);
        made.of_const_copy_ = is_copy_;
        return made;
    }
    std::int64_t length() const { return length_; }
    DType dtype() const { return dtype_; }

  private:
    ElementRef element(const Operand& i) const;
    std::uint32_t serial_, slot_;
    std::int64_t length_;
    DType dtype_;
    bool is_copy_ = false;
};
#undef KILN_DSL_SUBSCRIPTS
#undef KILN_DSL_ASSIGNABLE
#undef KILN_DSL_READ_ONLY

/// How the iterations of a prange are dealt out to threads. Results do not depend on it.
enum class Schedule : std::uint8_t {
    automatic,  ///< by the measured time of an iteration
    static_,    ///< pieces of equal size, one a thread, or pieces of `chunk` iterations in turn
    dynamic,    ///< pieces of `chunk` iterations, taken as threads get free
    guided,     ///< the same with pieces that shrink, down to `chunk`
};
/// The options of a prange, for designated initialisers.
struct PrangeOptions {
    Schedule schedule = Schedule::automatic;  ///< how iterations are dealt out
    std::int64_t chunk = 0;                   ///< iterations; 0: chosen at run time
    /// Accesses that cannot be proven to be disjoint are the user's business.
    bool unsafe_races = false;
};

/// A loop whose iterations may run at the same time, on several threads where the kernel is
/// parallel. A Var from outside that the body only updates by one of += -= *= /= &= |= ^=, by
/// v = min(v, e) or max(v, e), or by reduce, reduce_argmin or reduce_argmax, is a reduction: its
/// result is the same for any number of threads. A reduction is no f16 or bf16.
/// Anything else that iterations share and one of them writes is Error usage. A prange inside a
/// prange is a serial loop. Neither break_ nor return_ may leave it.
Range prange(Operand end, PrangeOptions options = {});
Range prange(Operand begin, Operand end, PrangeOptions options = {});
Range prange(Operand begin, Operand end, Operand step, PrangeOptions options = {});

/// How values combine; the rows of reductions.def. In calls of ufuncs and map-reduces, `sum` and
/// `product` of bool and small integers accumulate in i64 or u64, those of f16 and bf16 in f32 (and
/// `min` and `max` too); `all` and `any` give bool; the rest keeps its dtype.
enum class Reduce : std::uint8_t {
#define KILN_REDUCTION(id, op, identity, reorderable, doc) id,
#include <kiln/reductions.def>
#undef KILN_REDUCTION
};

/// v = v op e, as v += e is for Reduce::sum: in a prange the declaration of a reduction, elsewhere
/// the same step. `all` and `any` need a bool Var. Errors: type (e is wider than the Var).
void reduce(Var& v, Reduce op, Operand e);

/// Where `value` is less than `least` is, least = value and at = position. NaN is less than any
/// number, and of equal values (of any NaN) that of the least position counts. So after a prange
/// `at` is where the minimum is first found, whatever the order of the iterations. Before the loop
/// the Vars hold a value and its position to start from: infinity and -1, or the first element and
/// 0. Errors: type (value is wider than its Var; `at` is not an integer).
void reduce_argmin(Var& least, Var& at, Operand value, Operand position);
/// The same with the greatest value; NaN is greater than any number.
void reduce_argmax(Var& greatest, Var& at, Operand value, Operand position);

/// a(i) = a(i) + v and so on as one indivisible step, so that iterations of a prange may share
/// elements; gives the value before. Sums of floats then depend on the order of the iterations.
/// Errors: type (dtypes other than integers, f32 and f64).
Value atomic_add(const ElementRef& element, Operand value);
Value atomic_min(const ElementRef& element, Operand value);
Value atomic_max(const ElementRef& element, Operand value);
Value atomic_and(const ElementRef& element, Operand value);
Value atomic_or(const ElementRef& element, Operand value);
Value atomic_xor(const ElementRef& element, Operand value);

}  // namespace kiln
