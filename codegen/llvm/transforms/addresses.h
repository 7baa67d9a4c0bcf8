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

}  // namespace kiln::codegen
