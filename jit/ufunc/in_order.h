// The methods of a ufunc for any kernel: loops that apply it to one element after the other.
#pragma once
#include "jit/compile/specialise.h"

#include <kiln/jit.h>

namespace kiln::detail {

/// Loop kernels around the function of a ufunc of one or two arguments. Of what it is given, the
/// arrays that it writes are apart from those that it reads, but for equal ones of `accumulate`.
/// Results have the dtype of the array they go to, to which those of the function cast.
class InOrder {
  public:
    explicit InOrder(const engine::UfuncSource& source);

    /// out = f(...f(f(out, x_0), x_1)..., x_n) of the elements x_0 ... of x along the axes in `bits`
    /// (the first of them left out if `skip_first`), in C order. `out` has the rank of `x` and the
    /// extent 1 along those axes; `mask`, of the shape of `x`, leaves elements out.
    void reduce(const Array& x, const Array* mask, const Array& out, unsigned bits, bool skip_first,
                Location where) const;
    /// out_i = f(out_(i - 1), x_i) along the axis, from element 1 on.
    void accumulate(const Array& x, const Array& out, int axis, Location where) const;
    /// Element s of `out` along the axis is f over x from first[s] up to last[s], which is larger.
    void segments(const Array& x, const Array& first, const Array& last, const Array& out, int axis,
                  Location where) const;
    /// target[index[n], r] = f(target[index[n], r], values[n, r]) for one n after the other.
    void scatter(const Array& target, const Array& index, const Array& values) const;
    /// target[index[n], r] = f(target[index[n], r])
    void scatter(const Array& target, const Array& index) const;

  private:
    Jit<void> rows_, masked_rows_, columns_, masked_columns_, running_rows_, running_columns_,
        segments_, scatter_elements_, scatter_, scatter_alone_;
};

}  // namespace kiln::detail
