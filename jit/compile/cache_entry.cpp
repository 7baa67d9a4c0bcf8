#include "jit/compile/cache_entry.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace kiln::engine {
namespace {

struct Header {
    std::array<char, 8> magic;
    std::uint64_t key_bytes, object_bytes;
    std::uint64_t check;  ///< of all others
};
static_assert(sizeof(Header) == sizeof(EntryHead));
constexpr std::array<char, 8> magic{'k', 'i', 'l', 'n', 'c', 'o', 'd', '1'};

/// Each step is a bijection of the state for a given word and of the word for a given state: a word
/// that is another one makes another state, whatever follows.
class Checksum {
  public:
    void add(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const std::size_t n = std::min<std::size_t>(bytes.size(), 8);
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data(), n);
            step(word);
            bytes = bytes.subspan(n);
        }
    }
    void step(std::uint64_t word) {
        state_ = std::rotl((state_ ^ word) * 0x9e3779b97f4a7c15u, 29) * 0xbf58476d1ce4e5b9u + 1;
    }
    std::uint64_t value() const { return state_ ^ state_ >> 31; }

  private:
    std::uint64_t state_ = 0x6b696c6e;
};

std::uint64_t checksum(std::string_view key, std::span<const std::byte> object) {
    Checksum sum;
    sum.step(key.size());
    sum.step(object.size());
    sum.add(std::as_bytes(std::span(key)));
    sum.add(object);
    return sum.value();
}

}  // namespace

EntryHead entry_head(std::string_view key, std::span<const std::byte> object) {
    return std::bit_cast<EntryHead>(
        Header{magic, key.size(), object.size(), checksum(key, object)});
}

std::size_t entry_bytes(std::string_view key, std::span<const std::byte> object) {
    return sizeof(Header) + key.size() + object.size();
}

std::optional<CacheEntry> entry_at(std::span<const std::byte> bytes) {
    Header header{};
    if (bytes.size() < sizeof header) return std::nullopt;
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto rest = bytes.subspan(sizeof header);
    if (header.magic != magic || header.key_bytes > rest.size() ||
        header.object_bytes > rest.size() - header.key_bytes)
        return std::nullopt;
    const std::string_view key(reinterpret_cast<const char*>(rest.data()), header.key_bytes);
    const auto object = rest.subspan(header.key_bytes, header.object_bytes);
    if (header.check != checksum(key, object)) return std::nullopt;
    return CacheEntry{key, object, entry_bytes(key, object)};
}

}  // namespace kiln::engine
