// The CUDA driver, opened when it is first needed, and the memory of the device.
#pragma once
#include <kiln/error.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kiln::device {

/// The driver's functions that are used, as its documentation declares them.
struct Driver {
    using Result = int;
    using Handle = struct Opaque*;  ///< of a context, module, function, stream or event
    using Address = std::uint64_t;

    Result (*init)(unsigned flags);
    Result (*count)(int* devices);
    Result (*get)(int* device, int ordinal);
    Result (*name)(char* text, int length, int device);
    Result (*attribute)(int* value, int which, int device);
    Result (*retain)(Handle* context, int device);
    Result (*set_current)(Handle context);
    Result (*allocate)(Address* memory, std::size_t bytes);
    Result (*free)(Address memory);
    Result (*memory_info)(std::size_t* free, std::size_t* total);
    Result (*to_device)(Address to, const void* from, std::size_t bytes);
    Result (*to_host)(void* to, Address from, std::size_t bytes);
    Result (*load_module)(Handle* module, const void* image);
    Result (*unload_module)(Handle module);
    Result (*get_function)(Handle* function, Handle module, const char* name);
    Result (*launch)(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                     unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                     Handle stream, void** parameters, void** extra);
    Result (*synchronize)();
    Result (*error_name)(Result, const char** text);
    Result (*error_string)(Result, const char** text);
};

/// A library that is opened at run time: the file that an environment variable names, or the first
/// of `names` that the linker finds. Errors: device, with all that was looked for.
void* open_library(const char* what, const char* variable, const std::vector<std::string>& names,
                   const char* hint);

/// How much of the device's memory is in use, in bytes.
struct PoolUse {
    std::int64_t used = 0;    ///< by who allocated
    std::int64_t cached = 0;  ///< freed, and kept for the next allocation
};

/// The first device that the driver shows (CUDA_VISIBLE_DEVICES says which), with its primary
/// context, which other libraries of the process share.
class Device {
  public:
    /// Opened on first use. Errors: device: no driver, with what was looked for; no device.
    static Device& get();

    const std::string& name() const { return name_; }
    /// "sm_90".
    const std::string& architecture() const { return architecture_; }
    int multiprocessors() const { return multiprocessors_; }

    /// Makes the device this thread's; before anything else.
    void enter() const;

    /// Memory that is kept when it is freed. Errors: device, where the device has no more even
    /// without what is kept.
    std::byte* allocate(std::size_t bytes);
    void deallocate(std::byte* memory) noexcept;
    PoolUse pool() const;
    void free_cached();

    void write(std::byte* to, const void* from, std::size_t bytes);
    void read(void* to, const std::byte* from, std::size_t bytes);

    Driver::Handle load(const std::string& image);
    Driver::Handle function(Driver::Handle module, const std::string& name);
    void unload(Driver::Handle module) noexcept;
    void launch(Driver::Handle function, unsigned blocks, unsigned threads, void** parameters);

  private:
    Device();
    /// Throws what a result means. After a fault in a kernel the context is lost for good.
    void require(Driver::Result result, const char* what) const;

    Driver driver_{};
    Driver::Handle context_ = nullptr;
    std::string name_, architecture_;
    int multiprocessors_ = 1;
};

}  // namespace kiln::device
