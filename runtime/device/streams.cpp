// The public face of the device: memory, streams, events.
#include "runtime/device/at_line.h"
#include "runtime/device/memory.h"

#include <cmath>

#include <fmt/format.h>

namespace kiln {

using device::at_line;
using device::Device;
using device::Driver;

std::string to_string(Place place) { return place.is_host() ? "the host" : "cuda:0"; }

bool detail::cuda_is_available() {
    try {
        Device::get();
        return true;
    } catch (const Error&) {
        return false;
    }
}

// ------------------------------------------------------------------------------ memory

DeviceMemoryStats device_memory_stats() { return device::memory_stats(); }

void set_device_memory_limit(std::int64_t bytes, Location where) {
    if (bytes < 0)
        throw Error(ErrorKind::usage, fmt::format("a limit of {} bytes", bytes), where,
                    "0 is no limit");
    at_line(where, [&] { Device::get(); });
    device::set_memory_limit(bytes);
}

void set_device_memory_fraction(double part, Location where) {
    if (!(part >= 0 && part <= 1))
        throw Error(ErrorKind::usage, fmt::format("a limit of {} of the device's memory", part),
                    where, "a fraction is between 0 and 1; 0 is no limit");
    at_line(where, [&] {
        const Device& device = Device::get();
        std::size_t free = 0, total = 0;
        device.require(device.driver().memory_info(&free, &total), "cuMemGetInfo");
        device::set_memory_limit(std::llround(static_cast<double>(total) * part));
    });
}

void trim_device_memory() {
    if (Device::opened() != nullptr) device::trim_memory();
}

// ------------------------------------------------------------------------------ events

struct Event::State {
    Driver::Handle event = nullptr;
    State() {
        const Device& device = Device::get();
        device.require(device.driver().make_event(&event, 0), "cuEventCreate");
    }
    ~State() {
        try {
            Device::get().driver().destroy_event(event);
        } catch (const Error&) {
            // A context that is lost has taken its events with it.
        }
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

void Event::synchronize(Location where) const {
    at_line(where, [&] {
        const Device& device = Device::get();
        device.require(device.driver().event_synchronize(state_->event), "waiting for an event");
    });
}

namespace {
bool is_ready(const Device& device, Driver::Result result, const char* what) {
    if (result == Driver::not_ready) return false;
    device.require(result, what);
    return true;
}
}  // namespace

bool Event::is_done(Location where) const {
    return at_line(where, [&] {
        const Device& device = Device::get();
        return is_ready(device, device.driver().event_query(state_->event), "asking for an event");
    });
}

double Event::milliseconds_since(const Event& start, Location where) const {
    return at_line(where, [&] {
        const Device& device = Device::get();
        float milliseconds = 0;
        const Driver::Result result =
            device.driver().event_elapsed(&milliseconds, start.state_->event, state_->event);
        if (result == Driver::not_ready)
            throw Error(ErrorKind::device, "the time between events that are not done", {},
                        "synchronize() waits for the later one");
        device.require(result, "the time between two events");
        return static_cast<double>(milliseconds);
    });
}

void* Event::handle() const { return state_->event; }

// ------------------------------------------------------------------------------ streams

struct Stream::State {
    Driver::Handle stream = nullptr;
    State() {
        const Device& device = Device::get();
        device.require(device.driver().make_stream(&stream, 0), "cuStreamCreate");
    }
    ~State() {
        try {
            const Driver& driver = Device::get().driver();
            driver.stream_synchronize(stream);
            device::retire_stream(stream);
            driver.destroy_stream(stream);
        } catch (const Error&) {
            device::retire_stream(stream);  // a context that is lost has taken its streams with it
        }
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
};

Stream::Stream(Location where) : state_(at_line(where, [] { return share<State>(); })) {}

void Stream::synchronize(Location where) const {
    at_line(where, [&] {
        const Device& device = Device::get();
        device.require(device.driver().stream_synchronize(state_->stream), "waiting for a stream");
    });
}

bool Stream::is_done(Location where) const {
    return at_line(where, [&] {
        const Device& device = Device::get();
        return is_ready(device, device.driver().stream_query(state_->stream),
                        "asking for a stream");
    });
}

void Stream::wait(const Event& event, Location where) const {
    at_line(where, [&] {
        const Device& device = Device::get();
        device.require(device.driver().stream_wait(state_->stream, event.state_->event, 0),
                       "a stream that waits for an event");
    });
}

Event Stream::record(Location where) const {
    return at_line(where, [&] {
        Event event(share<Event::State>());
        const Device& device = Device::get();
        device.require(device.driver().record_event(event.state_->event, state_->stream),
                       "recording an event");
        return event;
    });
}

void* Stream::handle() const { return state_->stream; }

StreamScope::StreamScope(const Stream& stream) : stream_(stream.state_), before_(Device::stream()) {
    Device::set_stream(stream_->stream);
}
StreamScope::~StreamScope() { Device::set_stream(static_cast<Driver::Handle>(before_)); }

}  // namespace kiln
