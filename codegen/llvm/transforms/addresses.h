// Addresses as sums, so that the distances between them are known. Internal to libkiln_cpu.
#pragma once
#include <cstdint>
#include <map>
#include <optional>

namespace llvm {
class Value;
}

namespace kiln::codegen {

/// root + sum of scale * value + offset, in bytes.
struct Address {
    llvm::Value* root = nullptr;
    std::map<llvm::Value*, std::int64_t> terms;
    std::int64_t offset = 0;
};

/// What a pointer adds up to; none where that is not made of 64-bit integers.
std::optional<Address> address_of(llvm::Value* pointer);

/// Sums and products of offsets wrap as addresses do: those of code that never runs may be of any size.
inline std::int64_t plus(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
inline std::int64_t minus(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
inline std::int64_t times(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

}  // namespace kiln::codegen
