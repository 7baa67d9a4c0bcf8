// Functions of the host program that loop kernels call.
//
//     double spot(double strike, std::int32_t day);
//     const auto spot_at = host_function("spot", &spot);
//     auto payoff = jit([=](In strikes, Out y, Value day) {
//         for (Index i : prange(y.extent(0)))
//             y(i) = max(spot_at(strikes(i), day) - strikes(i), 0.0);
//     });
#pragma once
#include <kiln/dsl.h>
#include <kiln/environment.h>
#include <kiln/shared_state.h>

#include <cstdint>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {
/// The options of host_function, for designated initialisers.
struct HostFunctionOptions {
    /// The result follows from the arguments alone, and nothing else happens: calls may then be
    /// merged and left out. Others take place exactly where the kernel makes them, in the order of
    /// the iteration; their loops are neither fused nor interchanged nor run as lanes.
    bool pure = false;
};

namespace detail {
using AnyFunction = void (*)();

struct HostFunctionInfo {
    std::string name;
    std::optional<DType> result;  ///< nothing: void
    std::vector<DType> params;
    bool pure = false;
    AnyFunction target = nullptr;
    /// What generated code calls: result thunk(target, frame, iteration, arguments ...).
    AnyFunction thunk = nullptr;
    /// The same for values of any type; exceptions leave it.
    Scalar (*call)(AnyFunction target, const Scalar* arguments) = nullptr;
};

using HostFunctionHandle = Shared<const HostFunctionInfo>;
/// A handle on a function, which others that are made of the same one share. Errors: usage (no
/// name; a pure function without a result).
HostFunctionHandle register_host_function(HostFunctionInfo function, const Location& where);
/// The last one of that name that someone has a handle on; null where there is none.
HostFunctionHandle find_host_function(std::string_view name);
/// A call in the kernel that is being traced. Errors: usage, type.
std::optional<Value> trace_host_call(const HostFunctionHandle& function,
                                     std::span<const Operand> arguments, const Location& where);
/// Records the exception that is being handled for an iteration of a running kernel.
void record_exception(const void* frame, std::int64_t iteration) noexcept;

/// What generated code hands to thunks: ProgramFrame and ProgramHost of codegen/abi.h.
struct HostFrame {
    const void* runtime;
    const struct Host {
        const void* functions;
        FloatWord environment, kernels_environment;
    }* host;
};

template <class T>
concept HostValue = std::is_integral_v<T> || std::is_same_v<T, float> || std::is_same_v<T, double>;

template <class R, class... A> struct HostThunk {
    static_assert((std::is_void_v<R> || HostValue<R>) && (HostValue<A> && ...),
                  "kiln: functions of the host take and give bool, integers, float and double, by "
                  "value");

    static R thunk(AnyFunction target, const void* frame, std::int64_t iteration,
                   A... arguments) noexcept {
        const HostFrame::Host& host = *static_cast<const HostFrame*>(frame)->host;
        const CallerEnvironment environment(host.environment, host.kernels_environment);
        try {
            return reinterpret_cast<R (*)(A...)>(target)(arguments...);
        } catch (...) {
            record_exception(frame, iteration);
        }
        return R();
    }

    static Scalar call(AnyFunction target, const Scalar* arguments) {
        const auto function = reinterpret_cast<R (*)(A...)>(target);
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            if constexpr (std::is_void_v<R>) {
                function(arguments[I].template get<A>()...);
                return Scalar::of(false);
            } else {
                return Scalar::of(function(arguments[I].template get<A>()...));
            }
        }(std::index_sequence_for<A...>());
    }

    static HostFunctionInfo describe(std::string name, R (*function)(A...),
                                     const HostFunctionOptions& options) {
        HostFunctionInfo info;
        info.name = std::move(name);
        if constexpr (!std::is_void_v<R>) info.result = dtype_of<R>;
        info.params = {dtype_of<A>...};
        info.pure = options.pure;
        info.target = reinterpret_cast<AnyFunction>(function);
        info.thunk = reinterpret_cast<AnyFunction>(&thunk);
        info.call = &call;
        return info;
    }
};

template <class> using AsOperand = Operand;
}  // namespace detail
/// A function of the program that kernels call, made by host_function.
template <class Signature> class HostFunction;

/// A function that kernels made by jit call as `Value v = f(x, y)`; made by host_function. It must
/// not touch the arrays of the call, and where the kernel is parallel, threads call it at the same
/// time. It sees the floating-point environment of the thread that called the kernel, on all
/// threads, and what it changes of it is undone when it returns. What it throws does not leave the
/// loop: the call gives 0 there, the other iterations run, and at the end the kernel throws the
/// exception of the lowest iteration.
template <class R, class... A> class HostFunction<R(A...)> {
  public:
    using Where = std::source_location;  ///< the user's line
    const std::string& name() const { return info_->name; }
    /// The call, in a kernel. Arguments convert where that keeps their value (C++ ones within their
    /// kind). Errors: usage (outside of a kernel), type (an argument that does not fit).
    std::conditional_t<std::is_void_v<R>, void, Value> operator()(
        detail::AsOperand<A>... arguments, Where where = Where::current()) const {
        const Operand items[] = {arguments..., Operand(false)};
        const std::span<const Operand> list(items, sizeof...(A));
        const Location at = list.empty() ? where : list[0].where();
        if constexpr (std::is_void_v<R>)
            detail::trace_host_call(info_.pointer(), list, at);
        else
            return *detail::trace_host_call(info_.pointer(), list, at);
    }

  private:
    template <class Signature>
    friend HostFunction<Signature> host_function(std::string, std::type_identity_t<Signature>*,
                                                 HostFunctionOptions, std::source_location);
    explicit HostFunction(detail::HostFunctionHandle info) : info_(std::move(info)) {}
    static HostFunction make(std::string name, R (*function)(A...),
                             const HostFunctionOptions& options, const Location& where) {
        return HostFunction(detail::register_host_function(
            detail::HostThunk<R, A...>::describe(std::move(name), function, options), where));
    }
    detail::SharedState<const detail::HostFunctionInfo> info_;
};

/// A function under the name that texts of kernels call it by. Functions of one name may be
/// several, as in two plugins: each kernel calls the one that it was traced with, which has to be
/// there as long as the kernel is called. `host_function<double(double)>("f", ...)` also takes
/// lambdas without captures and chooses among overloads. Errors: usage (a pure function without a
/// result).
template <class Signature>
HostFunction<Signature> host_function(
    std::string name, std::type_identity_t<Signature>* function, HostFunctionOptions options = {},
    std::source_location where = std::source_location::current()) {
    return HostFunction<Signature>::make(std::move(name), function, options, where);
}
template <class R, class... A>
HostFunction<R(A...)> host_function(std::string name, R (*function)(A...),
                                    HostFunctionOptions options = {},
                                    std::source_location where = std::source_location::current()) {
    return host_function<R(A...)>(std::move(name), function, options, where);
}

}  // namespace kiln
