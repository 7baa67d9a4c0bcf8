// Memory of the device, and the pinned memory of the host that copies go through.
//
// Blocks that are freed are kept. A block belongs to the stream that it was allocated for: work of that
// stream may use it again at once, since it runs after what used it before; for another stream it is
// handed out behind an event, so that no work sees a block which an earlier one still uses.
#pragma once
#include "runtime/device/driver.h"

#include <kiln/device.h>

namespace kiln::device {

/// For the stream of this thread. Errors: device, where the device, or the limit, has no more even
/// without what is kept.
std::byte* allocate(std::size_t bytes);
/// Also while work that uses it is under way.
void deallocate(std::byte* memory) noexcept;
/// The stream of this thread is about to use a block that may be another's. Of other memory: nothing.
void note_use(const std::byte* block);

DeviceMemoryStats memory_stats();
void set_memory_limit(std::int64_t bytes);
void trim_memory();

/// `stream` is about to end, its work done: its blocks are everybody's.
void retire_stream(Driver::Handle stream) noexcept;

/// A copy to the device that the host need not wait for.
void write_through_pinned(Device& device, std::byte* to, const void* from, std::size_t bytes,
                          Driver::Handle stream);

/// A block for a scope.
class Block {
  public:
    explicit Block(std::size_t bytes) : data_(allocate(bytes == 0 ? 1 : bytes)) {}
    ~Block() { deallocate(data_); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    std::byte* data() const { return data_; }

  private:
    std::byte* data_;
};

}  // namespace kiln::device
