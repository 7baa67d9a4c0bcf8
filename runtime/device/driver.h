// The CUDA driver, opened when it is first needed; code, copies and launches of the device.
#pragma once
#include <kiln/dim3.h>
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
    Result (*synchronize)();
    Result (*allocate)(Address* memory, std::size_t bytes);
    Result (*free)(Address memory);
    Result (*allocate_host)(void** memory, std::size_t bytes);
    Result (*free_host)(void* memory);
    Result (*memory_info)(std::size_t* free, std::size_t* total);
    Result (*to_device)(Address to, const void* from, std::size_t bytes);
    Result (*to_host)(void* to, Address from, std::size_t bytes);
    Result (*to_device_async)(Address to, const void* from, std::size_t bytes, Handle stream);
    Result (*to_host_async)(void* to, Address from, std::size_t bytes, Handle stream);
    Result (*within_device_async)(Address to, Address from, std::size_t bytes, Handle stream);
    Result (*load_module)(Handle* module, const void* image);
    Result (*unload_module)(Handle module);
    Result (*get_function)(Handle* function, Handle module, const char* name);
    Result (*set_function_attribute)(Handle function, int which, int value);
    Result (*launch)(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                     unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                     Handle stream, void** parameters, void** extra);
    Result (*make_stream)(Handle* stream, unsigned flags);
    Result (*destroy_stream)(Handle stream);
    Result (*stream_synchronize)(Handle stream);
    Result (*stream_query)(Handle stream);
    Result (*stream_wait)(Handle stream, Handle event, unsigned flags);
    Result (*make_event)(Handle* event, unsigned flags);
    Result (*destroy_event)(Handle event);
    Result (*record_event)(Handle event, Handle stream);
    Result (*event_synchronize)(Handle event);
    Result (*event_query)(Handle event);
    Result (*event_elapsed)(float* milliseconds, Handle start, Handle end);
    Result (*error_name)(Result, const char** text);
    Result (*error_string)(Result, const char** text);

    static constexpr Result success = 0, out_of_memory = 2, not_ready = 600;
    static constexpr unsigned no_timing = 2;  ///< flag of events
};

/// A library that is opened at run time: the file that an environment variable names, or the first
/// of `names` that the linker finds. Errors: device, with all that was looked for.
void* open_library(const char* what, const char* variable, const std::vector<std::string>& names,
                   const char* hint);

/// The first device that the driver shows (CUDA_VISIBLE_DEVICES says which), with its primary
/// context, which other libraries of the process share. Work goes to the stream of the calling thread.
class Device {
  public:
    /// Opened on first use, and this thread's from then on. Errors: device: no driver, with what was
    /// looked for; no device; a context that is lost.
    static Device& get();
    /// Null where no thread has opened it.
    static Device* opened() noexcept;

    const Driver& driver() const { return driver_; }
    const std::string& name() const { return name_; }
    /// "sm_90".
    const std::string& architecture() const { return architecture_; }
    int multiprocessors() const { return multiprocessors_; }

    /// The stream that this thread's work goes to; null is the one that all others wait for.
    static Driver::Handle stream() noexcept;
    static void set_stream(Driver::Handle stream) noexcept;

    /// To memory of the device: what is at `from` may change at once.
    void write(std::byte* to, const void* from, std::size_t bytes);
    /// Waits until the bytes are there.
    void read(void* to, const std::byte* from, std::size_t bytes);
    void copy(std::byte* to, const std::byte* from, std::size_t bytes);
    /// What launches may give blocks of a function that have more than 48 KiB in all.
    void allow_dynamic_shared(Driver::Handle function, std::size_t bytes);
    void launch(Driver::Handle function, const Dim3& blocks, const Dim3& threads,
                std::size_t shared, void** parameters);

    /// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
    std::string text_of(Driver::Result result) const;
    /// Throws what a result means. After a fault in a kernel the context is lost for good.
    void require(Driver::Result result, const char* what) const;

  private:
    Device();
    void enter() const;

    Driver driver_{};
    Driver::Handle context_ = nullptr;
    std::string name_, architecture_;
    int multiprocessors_ = 1;
};

/// Code on the device.
class Module {
  public:
    /// `image`: PTX or a cubin. Errors: device, with what the device is where the image is for another.
    explicit Module(const std::string& image);
    /// Waits for the work of all streams: some of it may run this code.
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;
    /// Errors: device, where it has none of that name.
    Driver::Handle function(const std::string& name) const;

  private:
    Driver::Handle module_ = nullptr;
};

}  // namespace kiln::device
