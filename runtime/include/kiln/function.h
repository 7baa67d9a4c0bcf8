// What handles hold of the callables that they were made of.
#pragma once
#include <kiln/shared.h>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace kiln::detail {

/// A callable; copies share it. std::function takes <functional>, a tenth of a second of every compile.
template <class Signature> class Function;
template <class R, class... A> class Function<R(A...)> {
  public:
    Function() = default;  ///< none
    // NOLINTBEGIN(google-explicit-constructor): as std::function
    Function(std::nullptr_t) noexcept {}
    template <class F>
        requires(!std::is_same_v<F, Function> && std::is_invocable_r_v<R, F&, A...>)
    Function(F callable)
        : callable_(share<F>(std::move(callable))), call_([](void* function, A... arguments) -> R {
              return (*static_cast<F*>(function))(std::forward<A>(arguments)...);
          }) {}
    // NOLINTEND(google-explicit-constructor)

    R operator()(A... arguments) const {
        return call_(callable_.get(), std::forward<A>(arguments)...);
    }
    explicit operator bool() const noexcept { return callable_ != nullptr; }
    friend bool operator==(const Function& a, std::nullptr_t) noexcept {
        return a.callable_ == nullptr;
    }

  private:
    Shared<void> callable_;
    R (*call_)(void*, A...) = nullptr;
};

}  // namespace kiln::detail
