// What handles of kernels hold.
#pragma once
#include <kiln/shared.h>

#include <utility>

namespace kiln::detail {

/// True from the end of main on, and where exit destroys objects.
bool exit_has_begun() noexcept;
/// From now on `state` stays.
void keep_for_good(const Shared<const void>& state);

/// A state that its handles share. One that exit destroys, as a static object or of another thread
/// at that time, leaves the state to whoever may still call through a handle that is gone: threads
/// run while static objects are being destroyed.
template <class T> class SharedState {
  public:
    SharedState() = default;
    // NOLINTNEXTLINE(google-explicit-constructor): as the pointer that it is
    SharedState(Shared<T> state) : state_(std::move(state)) {}
    SharedState(const SharedState&) = default;
    SharedState(SharedState&&) noexcept = default;
    SharedState& operator=(const SharedState&) = default;
    SharedState& operator=(SharedState&&) noexcept = default;
    ~SharedState() {
        if (state_ != nullptr && exit_has_begun()) keep_for_good(state_);
    }

    T* get() const { return state_.get(); }
    T* operator->() const { return state_.get(); }
    T& operator*() const { return *state_; }
    const Shared<T>& pointer() const { return state_; }

  private:
    Shared<T> state_;
};

}  // namespace kiln::detail
