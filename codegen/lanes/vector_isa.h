// The vector units of CPUs, as far as they decide about lanes.
#pragma once
#include <cstdint>
#include <string_view>

namespace kiln::codegen {

/// The vector unit that code is made for, and which SLEEF entry points fit it.
enum class VectorIsa : std::uint8_t {
    sse2,    ///< 16-byte registers, no FMA
    avx2,    ///< 32-byte registers with FMA
    avx512,  ///< 64-byte registers (F, BW, DQ, VL)
};
constexpr unsigned vector_bytes(VectorIsa isa) {
    return isa == VectorIsa::sse2 ? 16 : isa == VectorIsa::avx2 ? 32 : 64;
}
constexpr unsigned vector_registers(VectorIsa isa) { return isa == VectorIsa::avx512 ? 32 : 16; }
constexpr std::string_view name(VectorIsa isa) {
    return isa == VectorIsa::sse2 ? "sse2" : isa == VectorIsa::avx2 ? "avx2" : "avx512";
}

}  // namespace kiln::codegen
