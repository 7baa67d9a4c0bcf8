// Floating-point environments that a host program may have set when it calls kiln.
#pragma once
#include <kiln/environment.h>

#include <array>
#include <cfenv>
#include <string>

namespace kiln::test {

enum class Mode { upward, downward, toward_zero, flush, traps, single_rounding };

inline constexpr std::array<Mode, 6> all_modes{Mode::upward, Mode::downward, Mode::toward_zero,
                                               Mode::flush,  Mode::traps,    Mode::single_rounding};

inline std::string name(Mode mode) {
    constexpr std::array names{"FE_UPWARD",   "FE_DOWNWARD", "FE_TOWARDZERO",
                               "FTZ and DAZ", "traps",       "SSE upward, x87 untouched"};
    return names[static_cast<std::size_t>(mode)];
}

/// The mode, with no flag raised, as long as this lives.
class Under {
  public:
    explicit Under(Mode mode) {
        std::fegetenv(&before_);
        std::feclearexcept(FE_ALL_EXCEPT);
        using detail::read_float_word, detail::write_float_word;
        switch (mode) {
            case Mode::upward: std::fesetround(FE_UPWARD); break;
            case Mode::downward: std::fesetround(FE_DOWNWARD); break;
            case Mode::toward_zero: std::fesetround(FE_TOWARDZERO); break;
            case Mode::flush: write_float_word(read_float_word() | detail::flush_to_zero); break;
            case Mode::traps: feenableexcept(FE_ALL_EXCEPT); break;
            case Mode::single_rounding: write_float_word(read_float_word() | 0x4000); break;
        }
        set_ = read_float_word();
    }
    /// Whether it is as it was set, but for flags.
    bool is_untouched() const {
        return ((detail::read_float_word() ^ set_) & ~detail::float_flags) == 0;
    }
    ~Under() { std::fesetenv(&before_); }
    Under(const Under&) = delete;
    Under& operator=(const Under&) = delete;

  private:
    std::fenv_t before_;
    detail::FloatWord set_ = 0;
};

}  // namespace kiln::test
