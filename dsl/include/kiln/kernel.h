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

namespace kiln {

/// One element of an array of the kernel: read where it is used, written by assignment. A value
/// that is stored converts to the array's dtype within its kind (same_kind); else it is Error type.
class ElementRef : public Operand {
  public:
    ElementRef(const ElementRef& other) = default;
    // Elements are temporaries, for which the assignment of an Operand does it and knows the line.
    ElementRef& operator=(const ElementRef&) & = delete;
    const ElementRef& operator=(Operand value) const;
    const ElementRef& operator+=(Operand value) const;
    const ElementRef& operator-=(Operand value) const;
    const ElementRef& operator*=(Operand value) const;
    const ElementRef& operator/=(Operand value) const;
    const ElementRef& operator%=(Operand value) const;
    const ElementRef& operator&=(Operand value) const;
    const ElementRef& operator|=(Operand value) const;
    const ElementRef& operator^=(Operand value) const;

  private:
    friend class Operand;
    friend class dsl::Trace;
    static constexpr int max_subscripts = 8;
    ElementRef(Where where) : Operand(Handle{~0U, 0}, where) {}

    bool is_local_ = false;  ///< of a Local, else of an array parameter
    std::uint32_t target_ = 0;
    int count_ = 0;
    std::uint32_t subscripts_[max_subscripts] = {};  // nodes
};

#define KILN_DSL_SUBSCRIPTS(Result, make)                                                       \
    Result operator()(Where where = Where::current()) const { return make({}, where); }         \
    Result operator()(Operand i) const { return make({i}, i.where()); }                         \
    Result operator()(Operand i, Operand j) const { return make({i, j}, i.where()); }           \
    Result operator()(Operand i, Operand j, Operand k) const {                                  \
        return make({i, j, k}, i.where());                                                      \
    }                                                                                           \
    Result operator()(Operand i, Operand j, Operand k, Operand l) const {                       \
        return make({i, j, k, l}, i.where());                                                   \
    }                                                                                           \
    Result operator()(Operand i, Operand j, Operand k, Operand l, Operand m) const {            \
        return make({i, j, k, l, m}, i.where());                                                \
    }                                                                                           \
    Result operator()(Operand i, Operand j, Operand k, Operand l, Operand m, Operand n) const { \
        return make({i, j, k, l, m, n}, i.where());                                             \
    }

/// An array of the kernel: what In, Out, InOut and Scratch have in common. As an operand it is the
/// array as a whole (kiln/array_value.h).
class KernelArray : public Operand {
  public:
    using Where = std::source_location;
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

  protected:
    friend class Operand;
    friend class dsl::Trace;
    KernelArray() : Operand(Handle{~0U, 0}, Where()) {}
    void assign(const Operand& value) const;
    ElementRef element(std::initializer_list<Operand> subscripts, Where where) const;
    Value load(std::initializer_list<Operand> subscripts, Where where) const;

    std::uint32_t param_ = 0;
    int rank_ = 0;
    DType dtype_ = DType::f64;
};

/// Assignment of every element. Copies name the same array.
#define KILN_DSL_ASSIGNABLE(self)                                       \
    self(const self&) = default;                                        \
    self& operator=(const self&)&& = delete;                            \
    const self& operator=(Operand value) const {                        \
        assign(value);                                                  \
        return *this;                                                   \
    }                                                                   \
    const self& operator+=(Operand value) const {                       \
        assign({Operand(*this, value.where()) + value, value.where()}); \
        return *this;                                                   \
    }                                                                   \
    const self& operator-=(Operand value) const {                       \
        assign({Operand(*this, value.where()) - value, value.where()}); \
        return *this;                                                   \
    }                                                                   \
    const self& operator*=(Operand value) const {                       \
        assign({Operand(*this, value.where()) * value, value.where()}); \
        return *this;                                                   \
    }                                                                   \
    const self& operator/=(Operand value) const {                       \
        assign({Operand(*this, value.where()) / value, value.where()}); \
        return *this;                                                   \
    }

/// An array that the kernel reads.
class In : public KernelArray {
  public:
    explicit In(const KernelArray& array) : KernelArray(array) {}
    KILN_DSL_SUBSCRIPTS(Value, load)
};

/// An array that the kernel writes, and may read where it has written.
class Out : public KernelArray {
  public:
    explicit Out(const KernelArray& array) : KernelArray(array) {}
    KILN_DSL_ASSIGNABLE(Out)
    KILN_DSL_SUBSCRIPTS(ElementRef, element)
};

/// An array that the kernel reads and writes.
class InOut : public KernelArray {
  public:
    explicit InOut(const KernelArray& array) : KernelArray(array) {}
    KILN_DSL_ASSIGNABLE(InOut)
    KILN_DSL_SUBSCRIPTS(ElementRef, element)
};

/// A new array of the kernel, of C order, whose extents are known at run time: its contents are
/// undefined at first. It lives until the call ends, or goes to the caller where the kernel returns
/// it. Not inside a prange. Errors: usage, shape (a negative extent, when the kernel runs).
class Scratch : public KernelArray {
  public:
    Scratch(DType dtype, std::initializer_list<Operand> extents, Where where = Where::current());
    /// A new array of the shape, dtype and elements of an array value.
    Scratch(const Value& value, Where where = Where::current());
    Scratch(const ArraySlice& value, Where where = Where::current())
        : Scratch(Value(value, where), where) {}
    KILN_DSL_ASSIGNABLE(Scratch)
    KILN_DSL_SUBSCRIPTS(ElementRef, element)
};

/// A local array of `length` elements, zero at first; each iteration of a prange has its own where
/// it is declared inside.
class Local {
  public:
    using Where = std::source_location;
    /// Errors: usage (length < 1 or more than 65536; the Locals of the kernel take more than 64
    /// MiB, of which each thread has its own).
    Local(DType dtype, std::int64_t length, Where where = Where::current());
    ElementRef operator()(Operand i) const { return element(i); }
    std::int64_t length() const { return length_; }
    DType dtype() const { return dtype_; }

  private:
    ElementRef element(const Operand& i) const;
    std::uint32_t serial_, slot_;
    std::int64_t length_;
    DType dtype_;
};
#undef KILN_DSL_SUBSCRIPTS
#undef KILN_DSL_ASSIGNABLE

/// How the iterations of a prange are dealt out to threads. Results do not depend on it.
enum class Schedule : std::uint8_t {
    automatic,  ///< by the measured time of an iteration
    static_,    ///< pieces of equal size, one a thread, or pieces of `chunk` iterations in turn
    dynamic,    ///< pieces of `chunk` iterations, taken as threads get free
    guided,     ///< the same with pieces that shrink, down to `chunk`
};

struct PrangeOptions {
    Schedule schedule = Schedule::automatic;
    std::int64_t chunk = 0;  ///< iterations; 0: chosen at run time
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
