// Where the elements of arrays are: in memory of the host, or of a device.
#pragma once
#include <cstdint>
#include <string>

namespace kiln {

class Place {
  public:
    constexpr Place() = default;  ///< the host
    constexpr bool is_host() const { return !device_; }
    friend constexpr bool operator==(Place a, Place b) { return a.device_ == b.device_; }

  private:
    friend class cuda;
    constexpr explicit Place(bool device) : device_(device) {}
    bool device_ = false;
};

/// "the host", "cuda:0".
std::string to_string(Place place);

/// The host: `x.to(cpu())`.
constexpr Place cpu() { return {}; }

/// The CUDA device: `x.to(cuda())`. The first one that the driver shows, which CUDA_VISIBLE_DEVICES
/// chooses. Making a place opens nothing; the driver is opened when memory, a stream or an event is
/// asked for.
class cuda : public Place {
  public:
    constexpr cuda() : Place(true) {}
    /// Whether there is a driver that shows a device.
    static bool is_available();
};

}  // namespace kiln
