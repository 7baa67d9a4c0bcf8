// How many threads a block has, or blocks a launch, along each of three axes.
#pragma once

namespace kiln {
/// Numbers along the axes x, y and z, each 1 where it is not given.
struct Dim3 {
    unsigned x = 1, y = 1, z = 1;  ///< along each axis

    constexpr Dim3() = default;
    constexpr Dim3(unsigned nx, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
    constexpr Dim3(int nx, int ny = 1, int nz = 1)
        : x(static_cast<unsigned>(nx)),
          y(static_cast<unsigned>(ny)),
          z(static_cast<unsigned>(nz)) {}
    constexpr unsigned long long count() const { return 1ULL * x * y * z; }  ///< of all
    constexpr bool operator==(const Dim3&) const = default;
};

}  // namespace kiln
