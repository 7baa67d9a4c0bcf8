// What handles hold of the callables that they were made of.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>

namespace kiln::detail {

/// A callable, as std::function: a copy has a copy of it, so that kernels that are made of one lambda may trace
/// at the same time. <functional> takes a tenth of a second of every compile.
template <class Signature> class Function;
template <class R, class... A> class Function<R(A...)> {
  public:
    Function() = default;  ///< none
    // NOLINTBEGIN(google-explicit-constructor): as std::function
    Function(std::nullptr_t) noexcept {}
    template <class F>
        requires(!std::is_same_v<F, Function> && std::is_invocable_r_v<R, F&, A...>)
    Function(F callable) : callable_(new F(std::move(callable))), uses_(&uses<F>) {}
    // NOLINTEND(google-explicit-constructor)
    Function(const Function& other)
        : callable_(other.uses_ != nullptr ? other.uses_->copy(other.callable_) : nullptr),
          uses_(other.uses_) {}
    Function(Function&& other) noexcept
        : callable_(std::exchange(other.callable_, nullptr)),
          uses_(std::exchange(other.uses_, nullptr)) {}
    Function& operator=(Function other) noexcept {
        std::swap(callable_, other.callable_);
        std::swap(uses_, other.uses_);
        return *this;
    }
    ~Function() {
        if (uses_ != nullptr) uses_->destroy(callable_);
    }

    R operator()(A... arguments) const {
        return uses_->call(callable_, std::forward<A>(arguments)...);
    }
    explicit operator bool() const noexcept { return uses_ != nullptr; }
    friend bool operator==(const Function& a, std::nullptr_t) noexcept {
        return a.uses_ == nullptr;
    }

  private:
    struct Uses {
        R (*call)(void*, A...);
        void* (*copy)(const void*);
        void (*destroy)(void*) noexcept;
    };
    template <class F>
    static constexpr Uses uses{
        [](void* function, A... arguments) -> R {
            return (*static_cast<F*>(function))(std::forward<A>(arguments)...);
        },
        [](const void* function) -> void* { return new F(*static_cast<const F*>(function)); },
        [](void* function) noexcept { delete static_cast<F*>(function); }};

    void* callable_ = nullptr;
    const Uses* uses_ = nullptr;
};

}  // namespace kiln::detail
