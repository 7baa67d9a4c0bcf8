// A kernel y = f(x0, x1 ...) run on given inputs in every position that generated code has for
// them.
#pragma once
#include "tests/codegen/cpu_map.h"

#include <complex>

namespace kiln::test {

/// Elements of one dtype, as bytes.
struct Elements {
    DType dtype = DType::f64;
    std::vector<std::byte> bytes;

    explicit Elements(DType t, std::size_t count = 0) : dtype(t), bytes(count * size_of(t)) {}
    std::size_t size() const { return bytes.size() / size_of(dtype); }
    std::uint64_t bits(std::size_t i) const;
    void set_bits(std::size_t i, std::uint64_t bits);
    void add_bits(std::uint64_t bits);
    /// The value of a real element.
    double value(std::size_t i) const;
    bool is_nan(std::size_t i) const;
    /// The value of a real or complex element.
    std::complex<double> complex(std::size_t i) const;
    void add(std::complex<double> value);  ///< rounded to the dtype
};

/// "0x3f800000 (1)"; of complex elements "(0x1p+0, -0x1.8p-1)".
std::string show(const Elements& elements, std::size_t i);

/// y of every input as the vector body computes it. `disagreement` is "" if each input gives the
/// same bits (or NaN) in the vector body, in the remainder behind whole blocks, alone (n = 1) and
/// as a value that is uniform over the row; else the first difference.
struct Evaluated {
    Elements results;
    std::string disagreement;
};
/// `afn`: in the fast tier.
Evaluated evaluate_everywhere(VectorIsa isa, ir::Op op, std::span<const Elements> inputs,
                              bool afn = false);

}  // namespace kiln::test
