// Random element-wise kernels and arguments for them: what backends and passes are tried on.
#pragma once
#include "tests/oracle/interpreter.h"

namespace kiln::oracle {

struct RandomOptions {
    int statements = 16;  ///< roughly, of the outermost block
    bool inexact = true;  ///< elementary functions and others that are not the same bit for bit
    bool complex = true;  ///< c64 and c128
    bool half = true;     ///< f16 and bf16
    bool branches = true;
    bool loops = true;    ///< bounded `for` and `while` with slots, break, continue
    bool returns = true;  ///< early ends of an iteration
    bool weak = true;     ///< weak parameters and constants
    bool checks = false;  ///< checks of divisors
};

/// A kernel in element-wise form: one parallel stage over extent(last parameter, 0), which is an
/// output; arrays of rank 1, subscripted by index(0) only. Equal seeds and options give equal
/// kernels on every machine. Sign bits of NaN, and of zeros in fmin and fmax, never decide a value,
/// and no integer is raised to a negative power, so that without `inexact` the result is determined
/// up to the bits of NaN.
ir::Kernel random_kernel(std::uint64_t seed, const RandomOptions& options = {});

/// Arrays of `count` elements for a kernel's parameters, of the layouts that they promise: small
/// numbers, extremes, zeros, infinities, NaN, any bits.
class RandomArguments {
  public:
    RandomArguments(const ir::Kernel& kernel, std::uint64_t seed, std::int64_t count);
    const std::vector<Argument>& arguments() const { return arguments_; }
    /// Deep copies, so that two runs start from the same bytes.
    RandomArguments(const RandomArguments& other);
    RandomArguments& operator=(const RandomArguments&) = delete;

    /// "" if all arrays hold the same values (any two NaN are the same, and parts that are finite
    /// may differ by `ulps`), else the first difference: parameter, element and both values.
    std::string difference(const RandomArguments& other, double ulps = 0) const;

  private:
    void point();

    const ir::Kernel* kernel_;
    std::int64_t count_;
    std::vector<std::vector<std::byte>> storage_;
    std::vector<std::int64_t> strides_;
    std::vector<Argument> arguments_;
};

}  // namespace kiln::oracle
