// Kernels that are compiled before they are called.
#pragma once
#include <kiln/dtype.h>
#include <kiln/function.h>
#include <kiln/shared.h>

#include <initializer_list>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {

/// A kernel, and types that it will be called with: {saxpy, {f32, f32[1], f32[1]}}. What has `compile` is
/// a kernel here.
class Wanted {
  public:
    template <class K>
        requires requires(const K& k, const std::vector<ArgType>& t, std::source_location w) {
            k.compile(t, w);
        }
    Wanted(K kernel, std::initializer_list<ArgType> types,
           std::source_location where = std::source_location::current())
        : compile_([kernel = std::move(kernel), types = std::vector(types), where] {
              kernel.compile(types, where);
          }) {}
    /// What compiles by itself: [=] { fir.compile_call({x, taps, y}); }.
    template <class F>
        requires(std::is_invocable_r_v<void, const F&> && !std::is_same_v<F, Wanted> &&
                 !requires(const F& f) { f.remarks(); })
    Wanted(F compile) : compile_(std::move(compile)) {}
    void compile() const { compile_(); }  ///< now. Errors: those of the kernel

  private:
    detail::Function<void()> compile_;
};

/// Compiles that are under way. Whoever lets it go waits for those which have begun, and drops the others.
class [[nodiscard]] WarmUp {
  public:
    WarmUp(WarmUp&&) noexcept;
    WarmUp& operator=(WarmUp&&) noexcept;
    ~WarmUp();

    /// Whether all are compiled, or have failed.
    bool is_done() const;
    /// Takes part until all are. Errors: the first one that a kernel met; calls of it meet it again.
    void wait();

  private:
    friend WarmUp warm_up(std::vector<Wanted> kernels, int threads);
    struct State;
    explicit WarmUp(Shared<State> state);
    Shared<State> state_;
};

/// Compiles kernels, or takes them from the disk cache, on threads of their own, so that later calls find
/// their code; a call that needs one which is being compiled waits for it. Lambdas run on those
/// threads: what they capture by reference must be alive until they have. `threads` 0: none before
/// wait().
WarmUp warm_up(std::vector<Wanted> kernels, int threads = 1);

}  // namespace kiln
