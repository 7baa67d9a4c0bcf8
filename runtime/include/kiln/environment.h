// The floating-point environment that kernels compute in.
//
// Every kernel, and what the library computes itself, runs under the default environment: round to
// nearest, subnormal numbers kept, no exception traps. What the calling thread had set is put
// aside for the call.
#pragma once
#include <cstdint>

#if !defined(__SSE2__)
#include <cfenv>
#endif

namespace kiln::detail {

/// The environment of a thread as one word: how to compute, which exceptions trap, and the flags of
/// those that were raised.
using FloatWord = std::uint32_t;

#if defined(__SSE2__)
// MXCSR.
inline constexpr FloatWord float_flags = 0x003f;    ///< invalid ... inexact, and denormal
inline constexpr FloatWord float_default = 0x1f80;  ///< all masked, to nearest
inline constexpr FloatWord flush_to_zero = 0x8040;  ///< of results, and of operands
inline FloatWord read_float_word() { return __builtin_ia32_stmxcsr(); }
inline void write_float_word(FloatWord word) { __builtin_ia32_ldmxcsr(word); }
#else
// The rounding mode above the flags; there is no portable way to know of traps and flushing.
inline constexpr FloatWord float_flags = FE_ALL_EXCEPT;
inline constexpr FloatWord float_default = FloatWord(FE_TONEAREST) << 8;
inline constexpr FloatWord flush_to_zero = 0;
inline FloatWord read_float_word() {
    return static_cast<FloatWord>(std::fegetround()) << 8 |
           static_cast<FloatWord>(std::fetestexcept(FE_ALL_EXCEPT));
}
inline void write_float_word(FloatWord word) {
    std::fesetround(static_cast<int>(word >> 8));
    std::feclearexcept(static_cast<int>(~word & float_flags));
    if ((word & float_flags) != 0) std::feraiseexcept(static_cast<int>(word & float_flags));
}
#endif

/// The environment for kernels that are called under `caller`, without flags.
constexpr FloatWord kernel_environment(FloatWord caller, bool keep_flush_to_zero) {
    return keep_flush_to_zero ? float_default | (caller & flush_to_zero) : float_default;
}

/// What becomes of the exception flags that are raised in a scope.
enum class FloatFlags : std::uint8_t {
    dropped,  ///< the caller's are what they were
    raised,   ///< they are added to the caller's
};

/// x is computed before this line, and what is computed of it after. To the compiler arithmetic has nothing to
/// do with the environment; where both are in one function it may change their order.
template <class T> void in_order(T& x) { asm volatile("" : "+m"(x)); }

/// Puts the flags back to what they were, where `wanted`.
class DroppedFlags {
  public:
    explicit DroppedFlags(bool wanted = true)
        : before_(wanted ? read_float_word() : 0), wanted_(wanted) {}
    ~DroppedFlags() {
        if (wanted_) write_float_word(before_);
    }
    DroppedFlags(const DroppedFlags&) = delete;
    DroppedFlags& operator=(const DroppedFlags&) = delete;

  private:
    FloatWord before_;
    bool wanted_;
};

/// The default environment, as long as this lives; then the caller's again. Costs 2 ns where that
/// is the default one.
class DefaultEnvironment {
  public:
    explicit DefaultEnvironment(FloatFlags flags = FloatFlags::dropped,
                                bool keep_flush_to_zero = false)
        : before_(read_float_word()), flags_(flags) {
        word_ = kernel_environment(before_, keep_flush_to_zero) | (before_ & float_flags);
        if (word_ != before_) [[unlikely]]
            write_float_word(word_);
    }
    ~DefaultEnvironment() {
        if (flags_ == FloatFlags::dropped) {
            write_float_word(before_);
        } else if (word_ != before_) [[unlikely]] {
            write_float_word(before_ | (read_float_word() & float_flags));
        }
    }
    DefaultEnvironment(const DefaultEnvironment&) = delete;
    DefaultEnvironment& operator=(const DefaultEnvironment&) = delete;

    FloatWord before() const { return before_; }  ///< the caller's
    FloatWord word() const { return word_; }      ///< that in force when this began

  private:
    FloatWord before_, word_;
    FloatFlags flags_;
};

/// The environment `word` but for flags, as long as this lives; flags that are raised meanwhile
/// stay.
class CallerEnvironment {
  public:
    /// `now`: the environment that the thread is known to have.
    CallerEnvironment(FloatWord word, FloatWord now) : kernels_(now & ~float_flags) {
        if ((word & ~float_flags) != kernels_) [[unlikely]]
            write_float_word((word & ~float_flags) | (read_float_word() & float_flags));
    }
    ~CallerEnvironment() {
        const FloatWord now = read_float_word();
        if ((now & ~float_flags) != kernels_) [[unlikely]]
            write_float_word(kernels_ | (now & float_flags));
    }
    CallerEnvironment(const CallerEnvironment&) = delete;
    CallerEnvironment& operator=(const CallerEnvironment&) = delete;

  private:
    FloatWord kernels_;
};

// x87 has an environment of its own. Nothing but long double uses it: constant folding, and what
// rounds elementary functions where they must be exact.
#if defined(__x86_64__) || defined(__i386__)

inline std::uint16_t x87_control() {
    std::uint16_t word;
    asm volatile("fnstcw %0" : "=m"(word));
    return word;
}
/// Flags go: one that traps under the old or the new word would do so here, or at whatever comes
/// next.
inline void set_x87_control(std::uint16_t word) {
    asm volatile("fnclex\n\tfldcw %0" : : "m"(word));
}

/// 64 bits, to nearest, no traps, as long as this lives; then what was before, flags included.
class DefaultX87 {
  public:
    DefaultX87() {
        if (control_ != usual) [[unlikely]]
            set_x87_control(usual);
    }
    ~DefaultX87() {
        if (((status() ^ status_) & flags) != 0) {
            struct {
                std::uint32_t control, status, rest[5];
            } all;
            asm volatile("fnstenv %0" : "=m"(all));
            all.control = control_;
            all.status = (all.status & ~flags) | (status_ & flags);
            asm volatile("fldenv %0" : : "m"(all));
        } else if (control_ != usual) [[unlikely]] {
            asm volatile("fldcw %0" : : "m"(control_));
        }
    }
    DefaultX87(const DefaultX87&) = delete;
    DefaultX87& operator=(const DefaultX87&) = delete;

  private:
    static constexpr std::uint16_t usual = 0x037f;
    static constexpr std::uint32_t flags = 0x00bf;  // and the summary of those that trap
    static std::uint32_t status() {
        std::uint16_t word;
        asm volatile("fnstsw %0" : "=am"(word));
        return word;
    }
    std::uint16_t control_ = x87_control();
    std::uint32_t status_ = status();
};

#else

inline std::uint16_t x87_control() { return 0; }
inline void set_x87_control(std::uint16_t) {}
struct DefaultX87 {
    DefaultX87() {}
};

#endif

}  // namespace kiln::detail
