// Kernels from plain C++ functions, given as text:
//
//     auto kepler = text::vectorize(R"(
//         void kepler(double M, double e, double& E, int& n) {
//             E = M;
//             for (n = 0; n < 50; ++n) {
//                 const double step = (E - e * sin(E) - M) / (1 - e * cos(E));
//                 E -= step;
//                 if (std::abs(step) < 1e-14) break;
//             }
//         })", "kepler");
//     std::vector<Array> solved = kepler.all(M, 0.3);
//
// The text is C++20 as Clang types it: integers are promoted, && stops, overloads and templates are
// resolved by the types of a call, when that is first met. Functions that are called become part of
// the kernel. No header is read: kiln's functions, those of <cmath>, View, range and prange are there
// by themselves. Programs that use this are linked with kiln::kiln_text, and so with Clang.
#pragma once
#include <kiln/guvectorize.h>
#include <kiln/jit.h>
#include <kiln/stencil.h>
#include <kiln/vectorize.h>

#include <cstddef>
#include <source_location>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln::text {

/// C++ text.
class Source {
  public:
    Source(std::string code) : code_(std::move(code)) {}
    Source(const char* code) : code_(code) {}
    /// `name`: what errors call the file that it stands in.
    Source(std::string code, std::string name) : code_(std::move(code)), name_(std::move(name)) {}
    /// Errors: io.
    static Source file(const std::string& path,
                       std::source_location where = std::source_location::current());

    const std::string& code() const { return code_; }  ///< the text
    const std::string& name() const { return name_; }  ///< as errors call it

  private:
    std::string code_, name_ = "text";
};

/// An element-wise kernel from a function of numbers. Parameters by value (and const references) are
/// inputs; what it returns is the first output, and those that are references to something that is
/// not const are further ones. `auto` and template parameters have the types of the arguments: C++
/// values that are given beside arrays count with their kind and, if arrays of that kind are
/// given, with the type of those. Arrays of other types convert to a parameter's where that holds
/// all of their values. Errors: type (what Clang says of the text), usage (there is no such
/// function, or overloads that differ in what they take and give), unsupported (no kernel can do
/// what it does); those that depend on types come with the first call that has them. They have the
/// line of the text, which stands below the message, with a caret.
Ufunc vectorize(const Source& source, const std::string& function, UfuncOptions options = {},
                std::source_location where = std::source_location::current());

/// A generalised ufunc from a function that computes one core: a parameter for each operand of the
/// signature, in its order. Inputs are View<const T, Rank>, or numbers where they have no core
/// dimensions; outputs View<T, Rank>, or references to numbers; it returns nothing. Errors: as of
/// vectorize, and of kiln::guvectorize.
///
///     text::guvectorize("void dot(View<const double, 1> a, View<const double, 1> b, double& c) {"
///                       "    c = 0;"
///                       "    for (int i = 0; i < a.extent(0); ++i) c += a(i) * b(i);"
///                       "}", "dot", "(n),(n)->()");
Gufunc guvectorize(const Source& source, const std::string& function, const std::string& signature,
                   GufuncOptions options = {},
                   std::source_location where = std::source_location::current());

/// A stencil from a function that computes one element and returns it: Neighbors<T, Rank>, and `auto`
/// where the function subscripts it, is an array that is indexed relative to the element,
/// a(0, -1), and tells where that is by a.index(0); View<const T, Rank> is one that is indexed as in
/// other kernels. Errors: as of vectorize, and of kiln::stencil.
///
///     text::stencil("auto mean(auto a) { return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); }",
///                   "mean", {.boundary = Boundary::nearest})
Stencil stencil(const Source& source, const std::string& function, StencilOptions options = {},
                std::source_location where = std::source_location::current());

namespace detail {
struct LoopFunction {
    std::vector<kiln::detail::KernelParam> params;
    kiln::detail::KernelFunction function;
    JitOptions options;
    std::size_t results = 0;
};
LoopFunction loop_function(const Source& source, const std::string& function, JitOptions options,
                           const std::source_location& where);
/// Errors: usage (calls give another number of results).
void check_results(const std::string& function, std::size_t results, std::size_t expected,
                   const std::source_location& where);

template <class R> constexpr std::size_t results_of = 1;
template <> inline constexpr std::size_t results_of<void> = 0;
template <class... R> constexpr std::size_t results_of<std::tuple<R...>> = sizeof...(R);
}  // namespace detail

/// A loop kernel whose calls give R: void, Scalar, or a tuple of Scalars.
template <class R> class Kernel : public Jit<R> {
  public:
    Kernel(std::string name, detail::LoopFunction made, std::source_location where)
        : Jit<R>(std::move(name), std::move(made.params), std::move(made.function),
                 std::move(made.options), where) {}
};

/// A loop kernel from a function of arrays and numbers: arrays are View<const T, Rank>, which is only
/// read, and View<T, Rank>, or `auto` where the function itself subscripts them; elements are
/// a(i, j), extents a.extent(0). What it returns, and what it gives by references, are the
/// results of calls: text::jit<Scalar>(source, "total"). Errors: as of vectorize; usage (R does not
/// go with the function).
template <class R = void>
Kernel<R> jit(const Source& source, const std::string& function, JitOptions options = {},
              std::source_location where = std::source_location::current()) {
    detail::LoopFunction made = detail::loop_function(source, function, std::move(options), where);
    detail::check_results(function, made.results, detail::results_of<R>, where);
    return Kernel<R>(function, std::move(made), where);
}

}  // namespace kiln::text
