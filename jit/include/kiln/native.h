// Kernels from functions of the program itself, without Clang at run time:
//
//     // kernels.cpp, which CMakeLists.txt names: kiln_kernels(app kernels.cpp)
//     #include <kiln/native.h>
//     #include <cmath>
//     using namespace kiln::native;
//
//     KILN_KERNEL double damped(double x, double a) { return std::exp(-a * x) * std::cos(x); }
//     KILN_KERNEL void smooth(View<const double, 1> a, View<double, 1> b) {
//         for (long i : prange(1, a.extent(0) - 1)) b(i) = 0.5 * (a(i - 1) + a(i + 1));
//     }
//
//     // main.cpp
//     double damped(double x, double a);
//     void smooth(kiln::View<const double, 1> a, kiln::View<double, 1> b);
//     auto f = kiln::vectorize("damped", &damped);      // any arrays, threads, fastmath
//     auto g = kiln::jit("smooth", &smooth, {.parallel = true});
//     damped(1.0, 2.0);                                 // and they are functions still
//
// The build reads kernels.cpp a second time, by Clang: what no kernel can do is an error of the build,
// at its line. Templates become kernels where they are instantiated explicitly. Such a file includes
// this header, <cmath>, <complex> and others of numbers, and headers of its own that do the same.
#pragma once
#include <kiln/jit.h>
#include <kiln/vectorize.h>
#include <kiln/view.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// Marks a function for kiln_kernels. It needs external linkage.
#define KILN_KERNEL [[gnu::used]]

namespace kiln {

/// What kernels are written with, as plain C++: loops run one iteration after the other.
namespace native {
using kiln::View;
/// What range and prange give to a range-based for: begin, begin + step ... before end.
class Range {
  public:
    struct Iterator {   ///< of a loop
        long at, step;  ///< where it is, and goes on by
        long operator*() const { return at; }
        Iterator& operator++() {
            at += step;
            return *this;
        }
        bool operator!=(const Iterator& end) const { return step > 0 ? at < end.at : at > end.at; }
    };
    constexpr Range(long begin, long end, long step) : begin_(begin), end_(end), step_(step) {}
    Iterator begin() const { return {begin_, step_}; }  ///< the first
    Iterator end() const { return {end_, step_}; }      ///< behind the last

  private:
    long begin_, end_, step_;
};
inline Range range(long end) { return {0, end, 1}; }  ///< 0, 1, ... before end
inline Range range(long begin, long end, long step = 1) { return {begin, end, step}; }
inline Range prange(long end) { return {0, end, 1}; }  ///< as range
inline Range prange(long begin, long end, long step = 1) { return {begin, end, step}; }
/// Adds to an element, in one step of all threads, and gives what it was before.
template <class T, class V> T atomic_add(T& element, V value) {
    return std::exchange(element, static_cast<T>(element + static_cast<T>(value)));
}
}  // namespace native

namespace detail {

/// What is to be known of a line.
struct NativeRemark {
    const char* file;
    std::uint32_t line;
    const char* text;
};
/// A body, and as it is in checked mode where that is another one.
struct NativeBody {
    const char *text, *checked;
};
/// A kernel that a build made of a function: its body as an element-wise and as a loop kernel, or why
/// it is none.
struct NativeKernel {
    void (*function)();
    const char* name;
    NativeBody map;
    const char* why_no_map;
    NativeBody program;
    const NativeRemark* remarks;  ///< behind them one without a file; or null
};
/// Where generated files tell of theirs; they are known as long as it lives.
class NativeKernels {
  public:
    NativeKernels(const NativeKernel* kernels, std::size_t count);
    ~NativeKernels();
    NativeKernels(const NativeKernels&) = delete;
    NativeKernels& operator=(const NativeKernels&) = delete;

  private:
    const NativeKernel* kernels_;
};

using FunctionAddress = void (*)();
/// Who is asked for kernels of functions that no build told of, as long as it lives; one at a time. What
/// it gives stays; null: it knows none. Errors: its own, with `where`.
class NativeSource {
  public:
    using Find = std::function<const NativeKernel*(FunctionAddress, const Location& where)>;
    explicit NativeSource(Find find);
    ~NativeSource();
    NativeSource(const NativeSource&) = delete;
    NativeSource& operator=(const NativeSource&) = delete;
};

/// A parameter of a function that becomes a kernel.
enum class NativeParam : std::uint8_t { none, value, output, in, inout };
template <class P> constexpr NativeParam native_param =
    Element<P> ? NativeParam::value : NativeParam::none;
template <Element T> constexpr NativeParam native_param<T&> =
    std::is_const_v<T> ? NativeParam::value : NativeParam::output;
template <class T, int R> constexpr NativeParam native_param<View<T, R>> =
    std::is_const_v<T> ? NativeParam::in : NativeParam::inout;
template <class T, int R> constexpr NativeParam native_param<const View<T, R>&> =
    native_param<View<T, R>>;

/// Functions of numbers and Views.
template <class R, class... P>
concept NativeFunction =
    (std::is_void_v<R> || Element<R>) && ((native_param<P> != NativeParam::none) && ...);
template <class R, class... P>
concept NativeElements =
    NativeFunction<R, P...> &&
    ((native_param<P> == NativeParam::value || native_param<P> == NativeParam::output) && ...);
template <class... P> constexpr std::size_t native_count(NativeParam kind) {
    return ((native_param<P> == kind ? 1 : 0) + ... + 0);
}

ElementFunction native_elements(FunctionAddress function, const std::source_location& where);
KernelFunction native_loops(FunctionAddress function, const std::source_location& where);

template <class R, std::size_t Outputs> struct NativeResult {
    template <std::size_t... I>
    static std::tuple<decltype(static_cast<void>(I), Scalar())...> tuple(std::index_sequence<I...>);
    static constexpr std::size_t count = Outputs + (std::is_void_v<R> ? 0 : 1);
    using type = std::conditional_t<
        count == 0, void,
        std::conditional_t<count == 1, Scalar, decltype(tuple(std::make_index_sequence<count>()))>>;
};

template <class R> class NativeJit : public Jit<R> {
  public:
    NativeJit(std::string name, std::vector<KernelParam> params, KernelFunction function,
              JitOptions options, std::source_location where)
        : Jit<R>(std::move(name), std::move(params), std::move(function), std::move(options),
                 where) {}
};
}  // namespace detail

/// An element-wise kernel from a function of numbers that kiln_kernels was given: parameters by value
/// are inputs, what it returns is the first output, references are further ones. Arrays of other types
/// convert to a parameter's where that holds all of their values. Errors of the first call: usage (no
/// kernel was made of the function), unsupported (why it is no element-wise kernel), type.
template <class R, class... P>
    requires detail::NativeElements<R, P...>
Ufunc vectorize(std::string name, R (*function)(P...), UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    constexpr std::size_t outputs = detail::native_count<P...>(detail::NativeParam::output);
    constexpr std::size_t results = outputs + (std::is_void_v<R> ? 0 : 1);
    static_assert(sizeof...(P) - outputs <= detail::max_arity,
                  "kiln: element-wise kernels take at most 31 numbers");
    static_assert(results > 0,
                  "kiln: an element-wise kernel returns a number, or gives it by a reference");
    return Ufunc(
        std::move(name), sizeof...(P) - outputs, results,
        detail::native_elements(reinterpret_cast<detail::FunctionAddress>(function), where),
        std::move(options), where);
}
template <class R, class... P>
    requires detail::NativeElements<R, P...>
Ufunc vectorize(R (*function)(P...), UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    return vectorize("ufunc", function, std::move(options), where);
}

/// A loop kernel from a function of numbers and Views that kiln_kernels was given; View<const T, R> is
/// only read. What it returns, and what it gives by references, are the results of calls, as Scalars.
/// Errors: as of vectorize.
template <class R, class... P>
    requires detail::NativeFunction<R, P...>
auto jit(std::string name, R (*function)(P...), JitOptions options = {},
         std::source_location where = std::source_location::current()) {
    using detail::KernelParam;
    using detail::NativeParam;
    std::vector<KernelParam> params;
    const auto add = [&](NativeParam kind) {
        if (kind == NativeParam::value) params.push_back(KernelParam::value);
        if (kind == NativeParam::in) params.push_back(KernelParam::in);
        if (kind == NativeParam::inout) params.push_back(KernelParam::inout);
    };
    (add(detail::native_param<P>), ...);
    using Result =
        typename detail::NativeResult<R, detail::native_count<P...>(NativeParam::output)>::type;
    detail::KernelFunction body =
        detail::native_loops(reinterpret_cast<detail::FunctionAddress>(function), where);
    return detail::NativeJit<Result>(std::move(name), std::move(params), std::move(body),
                                     std::move(options), where);
}
template <class R, class... P>
    requires detail::NativeFunction<R, P...>
auto jit(R (*function)(P...), JitOptions options = {},
         std::source_location where = std::source_location::current()) {
    return jit("kernel", function, std::move(options), where);
}

}  // namespace kiln
