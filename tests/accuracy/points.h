// Arguments at which elementary functions are tried.
#pragma once
#include "tests/accuracy/positions.h"

#include <array>
#include <random>

namespace kiln::test {

/// x rounded to the dtype, and the bits of that.
double to_dtype(double x, DType t);
std::uint64_t bits_of(double x, DType t);

/// Special and random operands of an elementary function.
class Points {
  public:
    Points(ir::Op op, DType t, std::uint64_t seed = 0);

    /// The operands of `count` points and more: zeros, poles, branch points and thresholds with
    /// their neighbours first, then random ones.
    std::vector<Elements> make(std::size_t count);
    /// A random point; of functions of one variable the first operand counts.
    std::array<double, 2> any();

  private:
    void add(std::vector<Elements>& in, std::array<double, 2> point) const;
    std::vector<double> specials() const;
    double neighbour(double x, double towards) const;
    double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
    double one();
    double near_a_quarter_turn();
    double partner(double x);

    ir::Op op_;
    DType dtype_;
    std::mt19937_64 engine_;
    double low_ = 0, high_ = 0;
};

}  // namespace kiln::test
