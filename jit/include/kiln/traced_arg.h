// Arguments of kernels that are called inside of others, whose part their bodies become.
#pragma once
#include <kiln/kernel.h>

#include <initializer_list>
#include <source_location>
#include <type_traits>
#include <variant>
#include <vector>

namespace kiln {

namespace detail {
/// A parameter or a result of a kernel's lambda, while it is traced.
using KernelItem = std::variant<KernelArray, Value>;
}  // namespace detail

/// An argument of a call inside of another kernel: an array of that kernel, a Value, Var, Index or
/// element, and (as TracedNumber) a C++ value.
class TracedArg {
  public:
    using Where = std::source_location;  ///< the user's line
    TracedArg(const KernelArray& array, Where where = Where::current());
    template <class T>
        requires(std::is_base_of_v<Operand, T> && !std::is_base_of_v<KernelArray, T>)
    TracedArg(const T& value, Where where = Where::current())
        : item_(Value(Operand(value, where))), where_(where) {}
    const detail::KernelItem& item() const { return item_; }  ///< the array or value
    Where where() const { return where_; }                    ///< the line of the call

  protected:
    detail::KernelItem item_;
    Where where_;
};
class TracedNumber : public TracedArg {  ///< also a C++ value
  public:
    using TracedArg::TracedArg;  ///< as of an argument
    TracedNumber(const TracedArg& arg);
    template <Element T>
    TracedNumber(T value, Where where = Where::current())
        : TracedArg(Value(Operand(value, where)), where) {}
};

namespace detail {
template <class... A>
concept TracedArguments =
    (std::is_constructible_v<TracedNumber, const A&, std::source_location> && ...);
std::vector<KernelItem> items_of(std::initializer_list<TracedNumber> args);
}  // namespace detail

}  // namespace kiln
