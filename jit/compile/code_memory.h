// Memory for machine code: many kernels share its pages, and what a kernel had is used again.
#pragma once
#include "runtime/process.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kiln::engine {

/// Mappings of some hundred KB that are executable and never writable. What is put into them is
/// written by way of /proc/self/mem, so that a page can take code while other code in it runs.
/// Where that is not to be had, each piece gets pages of its own, which are writable until it is
/// there and executable from then on. Private to the process: a forked child has its own.
/// Thread-safe.
class CodeSpace {
  public:
    enum class Writing : std::uint8_t {
        beneath,  ///< by way of /proc/self/mem, where that works
        pages,    ///< into pages that are not executable yet
    };
    explicit CodeSpace(Writing writing = Writing::beneath);
    ~CodeSpace();
    CodeSpace(const CodeSpace&) = delete;
    CodeSpace& operator=(const CodeSpace&) = delete;

    /// Memory that is given back with the object. fill() writes its content, once.
    class Block {
      public:
        Block() = default;
        Block(Block&& other) noexcept { swap(other); }
        Block& operator=(Block&& other) noexcept {
            swap(other);
            return *this;
        }
        ~Block();
        /// A multiple of `alignment`.
        std::byte* address() const { return at_; }
        std::size_t size() const { return bytes_; }
        /// At most size() bytes. Errors: usage (the system refuses).
        void fill(std::span<const std::byte> content);

      private:
        friend class CodeSpace;
        void swap(Block& other) noexcept;
        CodeSpace* space_ = nullptr;
        std::byte* at_ = nullptr;
        std::size_t bytes_ = 0;
        int memory_ = -1;  ///< /proc/self/mem; -1: the block has pages of its own
    };
    /// Errors: usage (the system has no more memory or mappings).
    Block allocate(std::size_t bytes);

    struct Use {
        std::size_t slabs = 0;  ///< mappings
        std::size_t bytes = 0;  ///< in blocks
    };
    Use use() const;

    static constexpr std::size_t alignment = 64;

  private:
    struct Slab;
    void release(std::byte* at) noexcept;

    bool can_write_beneath();
    void add_slab(std::byte* base, std::size_t size, std::size_t granule);

    const std::size_t page_;
    mutable kiln::detail::Mutex mutex_;  // of the mappings
    std::vector<std::unique_ptr<Slab>> slabs_;
    const bool beneath_;  ///< after them: the first one is made to find out
};

}  // namespace kiln::engine
