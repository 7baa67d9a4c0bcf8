// The CUDA device: its memory, streams and events.
//
// Work on the device is in the order in which it was asked for, and calls return before it is done.
// What a StreamScope covers goes to a stream of its own: works of different streams may run at the same
// time, those of one in order. Whatever goes to no stream waits for all streams, and they for it.
//
// Reading elements on the host (to_host(), item()) waits for the work of the thread's stream.
#pragma once
#include <kiln/error.h>
#include <kiln/place.h>
#include <kiln/shared.h>

#include <cstdint>

namespace kiln {
/// Memory of the device that this process has.
struct DeviceMemoryStats {
    std::int64_t used_bytes = 0;    ///< held by arrays and by kernels that run
    std::int64_t total_bytes = 0;   ///< asked from the driver: these, and what is kept for the next
    std::int64_t pinned_bytes = 0;  ///< memory of the host that copies to the device go through
    std::uint64_t allocations = 0;  ///< blocks handed out so far
    std::uint64_t recycled = 0;     ///< of these, used before
};
/// Nothing where no device was used: asking opens none.
DeviceMemoryStats device_memory_stats();

/// The most that total_bytes may be, 0 for no limit; beyond it, what is kept is given back, and then
/// an allocation is an error. Errors: device (no device); usage (a negative number).
void set_device_memory_limit(std::int64_t bytes, Location where = std::source_location::current());
/// The same as a part of the device's memory, 0 to 1.
void set_device_memory_fraction(double part, Location where = std::source_location::current());
/// Gives back what is kept. Waits for the work that used it.
void trim_device_memory();

class Stream;

/// A point in the work of a stream.
class Event {
  public:
    /// Waits until the work before it is done. Errors: device: also what went wrong in that work.
    void synchronize(Location where = std::source_location::current()) const;
    bool is_done(Location where = std::source_location::current()) const;
    /// Between two events that are done, to some 0.5 us. Errors: device (one of them is not done).
    double milliseconds_since(const Event& start,
                              Location where = std::source_location::current()) const;
    /// A CUevent, for other libraries.
    void* handle() const;

  private:
    friend class Stream;
    struct State;
    explicit Event(Shared<State> state) : state_(std::move(state)) {}
    Shared<State> state_;
};

/// Copies are handles on one stream, which ends with the last of them, once its work is done.
class Stream {
  public:
    /// Errors: device.
    explicit Stream(Location where = std::source_location::current());
    /// Waits until its work is done. Errors: device: also what went wrong in that work.
    void synchronize(Location where = std::source_location::current()) const;
    bool is_done(Location where = std::source_location::current()) const;
    /// What is asked for from now on begins when the event is done. The host does not wait.
    void wait(const Event& event, Location where = std::source_location::current()) const;
    /// The work asked for so far.
    Event record(Location where = std::source_location::current()) const;
    /// A CUstream, for other libraries.
    void* handle() const;

  private:
    friend class StreamScope;
    struct State;
    Shared<State> state_;
};

/// While it lives, the work that this thread asks for goes to a stream: copies to and from the device,
/// calls of kernels.
class StreamScope {
  public:
    explicit StreamScope(const Stream& stream);
    ~StreamScope();
    StreamScope(const StreamScope&) = delete;
    StreamScope& operator=(const StreamScope&) = delete;

  private:
    Shared<Stream::State> stream_;
    void* before_;
};

}  // namespace kiln
