// Where the elements of arrays are: in memory of the host, or of a device.
#pragma once
#include <cstdint>
#include <string>

namespace kiln {

class Place;
constexpr Place cuda();
/// Where elements are: the host, or a device.
class Place {
  public:
    constexpr Place() = default;                         ///< the host
    constexpr bool is_host() const { return !device_; }  ///< whether it is the host
    friend constexpr bool operator==(Place a, Place b) { return a.device_ == b.device_; }

  private:
    friend constexpr Place cuda();
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
constexpr Place cuda() { return Place(true); }

namespace detail {
bool cuda_is_available();  ///< as of kiln/cuda.h
}

}  // namespace kiln
