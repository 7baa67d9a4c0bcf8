// Shared ownership, for headers that every program reads: <memory> costs a compiler 0.2 s.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>

namespace kiln {

namespace detail {
/// What owners of an object count themselves in.
struct SharedBlock {
    void (*destroy)(SharedBlock*) noexcept;  ///< the block and what it holds
    long users = 1;                          ///< changed by any thread
};
template <class T> struct HeldBlock : SharedBlock {
    T held;
    template <class... A>
    explicit HeldBlock(A&&... arguments)
        : SharedBlock{[](SharedBlock* block) noexcept { delete static_cast<HeldBlock*>(block); }},
          held(std::forward<A>(arguments)...) {}
};
}  // namespace detail

/// A pointer to a T, void or an incomplete type too, that is shared: the last copy to go destroys what
/// is held. Made by share(), or from another owner, as std::shared_ptr or std::unique_ptr, which it then
/// holds. Copies may be made and destroyed by several threads at the same time, as those of a
/// std::shared_ptr.
template <class T> class Shared {
  public:
    Shared() = default;  ///< of nothing: null
    // NOLINTBEGIN(google-explicit-constructor): as a pointer is
    Shared(std::nullptr_t) noexcept {}
    /// As `owner`, which has get() and may be null.
    template <class Owner>
        requires requires(const Owner& owner) {
            requires std::is_convertible_v<decltype(owner.get()), T*>;
            owner == nullptr;
        }
    Shared(Owner owner) : get_(owner.get()) {
        if (!(owner == nullptr)) block_ = new detail::HeldBlock<Owner>(std::move(owner));
    }
    template <class U>
        requires(std::is_convertible_v<U*, T*>)
    Shared(const Shared<U>& other) noexcept : get_(other.get_), block_(other.block_) {
        retain();
    }
    template <class U>
        requires(std::is_convertible_v<U*, T*>)
    Shared(Shared<U>&& other) noexcept
        : get_(std::exchange(other.get_, nullptr)), block_(std::exchange(other.block_, nullptr)) {}
    // NOLINTEND(google-explicit-constructor)
    Shared(const Shared& other) noexcept : get_(other.get_), block_(other.block_) { retain(); }
    Shared(Shared&& other) noexcept
        : get_(std::exchange(other.get_, nullptr)), block_(std::exchange(other.block_, nullptr)) {}
    Shared& operator=(const Shared& other) noexcept {
        Shared(other).swap(*this);
        return *this;
    }
    Shared& operator=(Shared&& other) noexcept {
        Shared(std::move(other)).swap(*this);
        return *this;
    }
    ~Shared() { release(); }

    T* get() const noexcept { return get_; }                     ///< null where it is of nothing
    T* operator->() const noexcept { return get_; }              ///< what is held
    std::add_lvalue_reference_t<T> operator*() const noexcept {  ///< what is held
        return *get_;
    }
    explicit operator bool() const noexcept { return get_ != nullptr; }
    friend bool operator==(const Shared& a, const Shared& b) noexcept { return a.get_ == b.get_; }
    friend bool operator==(const Shared& a, std::nullptr_t) noexcept { return a.get_ == nullptr; }
    /// Each is what the other one was.
    void swap(Shared& other) noexcept {
        std::swap(get_, other.get_);
        std::swap(block_, other.block_);
    }

  private:
    template <class> friend class Shared;
    template <class U, class... A> friend Shared<U> share(A&&... arguments);

    void retain() const noexcept {
        if (block_ != nullptr) __atomic_fetch_add(&block_->users, 1, __ATOMIC_RELAXED);
    }
    void release() const noexcept {
        // What other owners did with the object is seen by the one that destroys it.
        if (block_ != nullptr && __atomic_fetch_sub(&block_->users, 1, __ATOMIC_ACQ_REL) == 1)
            block_->destroy(block_);
    }

    T* get_ = nullptr;
    detail::SharedBlock* block_ = nullptr;
};

/// A new T, shared.
template <class T, class... A> Shared<T> share(A&&... arguments) {
    auto* const block =
        new detail::HeldBlock<std::remove_const_t<T>>(std::forward<A>(arguments)...);
    Shared<T> made;
    made.get_ = &block->held;
    made.block_ = block;
    return made;
}

}  // namespace kiln
