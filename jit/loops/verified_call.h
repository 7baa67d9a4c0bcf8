// Calls that are verified: copies of what they write, and the comparison of two forms' outcomes.
#pragma once
#include "jit/call/plan.h"

#include <kiln/jit.h>

#include <span>
#include <vector>

namespace kiln::engine {

/// Copies of arrays that a call writes, and of those that share memory with them, which share it in
/// the same way: to run the call a second time.
class CopiedArguments {
  public:
    /// `written`: per argument. The views of copies replace those in `views`.
    CopiedArguments(std::span<OperandView> views, const std::vector<bool>& written, Location where);

  private:
    void copy_group(std::span<OperandView> views, const std::vector<std::size_t>& group,
                    Location where);
    std::vector<Array> copies_;
};

/// How many values of the type lie from one to the other: 0 for equal ones (-0 and 0, two NaN), the
/// difference of integers, the larger one of complex parts; all bits set where one is a NaN.
std::uint64_t ulps_between(const Scalar& a, const Scalar& b);

/// The first element, in C order, in which two arrays of one dtype differ, and how much differs. Of
/// different shapes the first extent that does.
std::optional<Difference> compare(std::string what, const OperandView& value,
                                  const OperandView& expected);
std::optional<Difference> compare(std::string what, const kiln::detail::JitValue& value,
                                  const kiln::detail::JitValue& expected);

}  // namespace kiln::engine
