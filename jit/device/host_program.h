// The program that launches: what of a loop kernel runs on the host while its parallel loops, its
// reductions and scans run on a device.
#pragma once
#include "codegen/cuda/emit.h"
#include "dsl/ir/ir.h"
#include "jit/compile/backend.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kiln::engine {

/// A device, as far as a program needs one. Addresses are of its memory. All of it throws Error
/// (device, memory) on failure; work is done in the order of the calls.
class LaunchDevice {
  public:
    virtual ~LaunchDevice() = default;
    virtual std::byte* allocate(std::size_t bytes) = 0;
    virtual void deallocate(std::byte* memory) noexcept = 0;
    virtual void write(std::byte* to, const void* from, std::size_t bytes) = 0;
    virtual void read(void* to, const std::byte* from, std::size_t bytes) = 0;
    /// Function `function` of the module, with the addresses of its parameters' values.
    virtual void launch(std::size_t function, const LaunchShape& shape, void** parameters) = 0;
};

/// How many threads a launch has: results do not depend on it.
struct Geometry {
    unsigned threads = 256;           ///< of a block
    std::int64_t most_blocks = 4096;  ///< each takes more of the work then
};

/// What a parameter of the program gets.
struct DeviceArgument {
    std::byte* data = nullptr;
    std::vector<std::int64_t> extents, strides;  ///< strides in bytes
    Scalar scalar;                               ///< of access `value`
};

/// Runs a program (ir::Form::program) whose parallel loops are launches, `module` being its text. Its own
/// statements are interpreted: loops, scalars, and elements of arrays, which it fetches one by one.
/// Arrays that it makes are on the device; those of access `result` are given back in `arguments`,
/// to be deallocated by the caller; after an error there are none. Gives the check that failed, upon
/// which the run ends.
std::optional<DeviceFault> run_host_program(const ir::Kernel& kernel,
                                            const codegen::CudaModule& module, LaunchDevice& device,
                                            const Geometry& geometry,
                                            std::span<DeviceArgument> arguments);

/// Runs the map that `module` is the text of; operands are on the device. What failed first is in
/// the frame's fault.
void run_map(const codegen::CudaModule& module, const ir::Kernel& kernel, LaunchDevice& device,
             const Geometry& geometry, const MapFrame* frame);

/// Launches the explicit kernel that `module` is the text of.
void launch_threads(const codegen::CudaModule& module, LaunchDevice& device,
                    const LaunchShape& shape, std::span<const DeviceArgument> arguments);

}  // namespace kiln::engine
