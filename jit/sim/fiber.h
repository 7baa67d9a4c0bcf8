// Stacks on which the threads of a block run, and the way from one to another.
#pragma once
#include <cstddef>
#include <cstdint>

namespace kiln::sim {

/// A function that was left in its midst, or has not begun. The stack it runs on stays its own.
class Fiber {
  public:
    /// Throws bad_alloc.
    Fiber();
    ~Fiber();
    Fiber(Fiber&& other) noexcept;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    /// Begins `function` anew when it is entered next; it may not return.
    void prepare(void (*function)());
    /// Runs it until it leaves. From outside of fibers.
    void enter();
    /// Back to where it was entered; the next enter() goes on here.
    void leave();
    /// The same, for good.
    [[noreturn]] void end();
    /// To be called first by what prepare() was given.
    void begin();

    bool is_on_stack(std::uintptr_t at) const {
        return at - reinterpret_cast<std::uintptr_t>(stack_) < bytes;
    }

  private:
    /// More than the local memory of a device's thread, 512 KiB.
    static constexpr std::size_t bytes = 768 * 1024;
    void go_back(bool for_good);

    std::byte* stack_ = nullptr;
    void* at_ = nullptr;  // where it was left
    void* fake_stack_ = nullptr;
    void* sanitized_ = nullptr;
    std::uint32_t prepared_ = 0;  // how often
};

}  // namespace kiln::sim
