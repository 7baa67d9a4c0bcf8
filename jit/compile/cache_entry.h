// An entry of the disk cache as bytes: a head with lengths and checksum, the key, the object.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kiln::engine {

/// What stands before key and object.
using EntryHead = std::array<std::byte, 32>;
EntryHead entry_head(std::string_view key, std::span<const std::byte> object);

/// What an entry takes in all.
std::size_t entry_bytes(std::string_view key, std::span<const std::byte> object);

/// An entry, within the bytes that it was found in.
struct CacheEntry {
    std::string_view key;
    std::span<const std::byte> object;
    std::size_t bytes = 0;  ///< of all of it
};
/// The entry with which the bytes begin; nothing if that is not whole.
std::optional<CacheEntry> entry_at(std::span<const std::byte> bytes);

}  // namespace kiln::engine
