// A CUDA driver and NVRTC over host memory: the entry points that kiln uses, in one library, for tests on
// machines without a device. "PTX" and machine code are the text that NVRTC was given, behind a line that says
// for which architecture; modules are code of the simulator, and launches run its blocks of threads.
//
//     KILN_LIBCUDA=libkiln_fake_cuda.so KILN_LIBNVRTC=libkiln_fake_cuda.so program
//
// KILN_FAKE_CUDA_MEMORY says how many bytes the device has, KILN_FAKE_CUDA_COMPUTE its architecture (80),
// KILN_FAKE_NVRTC_MINOR the version of NVRTC, which knows sm_75, sm_80 and sm_90. A launch of a kernel whose name has
// "fault" in it fails as a kernel does that touches a wrong address; a function whose name has
// "missing" in it is in no module. What a thread asks for without a context is refused.
//
// Work of a stream is done as late as it may be: when somebody waits for it, or for what waits for it.
// So what uses memory too early, or gives it away too early, gives wrong numbers. Each question whether
// work is done lets one more be done. Code that was unloaded before its work ran loses the context. Each work takes a millisecond of the clock that events show.
#include "jit/sim/blocks.h"
#include "jit/sim/compiler.h"

#include <kiln/error.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int success = 0, invalid_value = 1, out_of_memory = 2, invalid_context = 201,
              not_found = 500, not_ready = 600, illegal_address = 700, launch_failed = 719;

std::mutex mutex;
std::map<std::uint64_t, std::size_t> blocks;
std::size_t used = 0;
std::atomic<bool> lost{false};
std::atomic<int> modules{0}, ptx_made{0}, cubins_made{0};
thread_local bool has_context = false;

// --- streams ---

struct Event;
struct Stream {
    std::deque<std::function<void()>> works;
    std::uint64_t asked = 0, done = 0;  // works so far
};
struct Event {
    Stream* stream = nullptr;  // null: not recorded, or where nothing waits
    std::uint64_t after = 0;   // works of the stream
    double time = 0;
};
std::recursive_mutex order;  // of all that follows
std::set<Stream*> streams;
/// Streams and events stay when they are destroyed, since works and events may still speak of them; nor do they end with
/// this library, which its user may outlive.
template <class T>
T* stays(std::unique_ptr<T> made) {
    static auto& all = *new std::vector<std::unique_ptr<T>>;
    return all.emplace_back(std::move(made)).get();
}
double clock_ms = 0;
std::atomic<int> failed{success};

void one(Stream& s) {
    const std::function<void()> work = std::move(s.works.front());
    s.works.pop_front();
    work();
    ++s.done;
}
void until(Stream& s, std::uint64_t works) {
    while (s.done < works && !s.works.empty()) one(s);
}
void drain_all() {
    for (Stream* s : streams) until(*s, s->asked);
}
/// The null stream waits for all others, and what is asked for later for it.
template <class F> void ask(Stream* s, F&& work) {
    const std::lock_guard lock(order);
    auto timed = [work = std::forward<F>(work)]() mutable {
        work();
        clock_ms += 1;
    };
    if (s == nullptr) {
        drain_all();
        timed();
        return;
    }
    s->works.emplace_back(timed);
    ++s->asked;
}
bool is_done(const Event& e) { return e.stream == nullptr || e.stream->done >= e.after; }

int status() {
    if (!has_context) return invalid_context;
    if (lost) return illegal_address;
    return failed;
}

std::size_t capacity() {
    const char* const set = std::getenv("KILN_FAKE_CUDA_MEMORY");
    return set == nullptr ? std::size_t(1) << 30 : std::strtoull(set, nullptr, 10);
}

/// Whether all bytes are in one block.
bool is_memory(std::uint64_t at, std::size_t bytes) {
    const std::lock_guard lock(mutex);
    const auto after = blocks.upper_bound(at);
    if (after == blocks.begin()) return false;
    const auto block = std::prev(after);
    return at + bytes <= block->first + block->second;
}

struct Compiled {
    std::vector<std::string> names;
    std::unique_ptr<kiln::sim::Code> code;
};
std::map<std::string, std::shared_ptr<Compiled>> compiled;  // by their texts

struct Module {
    std::shared_ptr<Compiled> code;
    std::atomic<bool> loaded{true};
};

struct Function {
    Function(std::shared_ptr<Module> its, std::size_t number)
        : module(std::move(its)), of(module->code), index(number) {}
    std::shared_ptr<Module> module;
    std::shared_ptr<Compiled> of;
    std::size_t index;
    std::atomic<std::size_t> most_dynamic{0};  // that was asked for
    const std::string& name() const { return of->names[index]; }
    /// Whether a launch may give it so much.
    bool may_have(std::size_t dynamic) const {
        std::size_t all = dynamic;
        for (const kiln::sim::SharedVariable& own : of->code->shared()) all += own.bytes;
        return all <= std::size_t(48) * 1024 || dynamic <= most_dynamic;
    }
};

/// What nvrtcCreateProgram makes.
struct Program {
    std::string source, log;
    std::string option;  ///< "compute_80", "sm_80"
};

constexpr int known_architectures[] = {75, 80, 90};

int compute() {
    const char* const set = std::getenv("KILN_FAKE_CUDA_COMPUTE");
    return set == nullptr ? 80 : std::atoi(set);
}

/// The text of an image, and whether the device can load it.
struct Image {
    std::string text;
    int result = 0;

    explicit Image(std::string_view image) {
        constexpr int invalid_image = 200, no_binary = 209, invalid_ptx = 218;
        const std::size_t end = image.find('\n');
        if (!image.starts_with("// ") || end == image.npos) {
            result = invalid_image;
            return;
        }
        const std::string_view of = image.substr(3, end - 3);
        const int number = std::atoi(std::string(of.substr(of.find('_') + 1)).c_str());
        text = image.substr(end + 1);
        if (of.starts_with("sm_"))
            result = number == compute() ? 0 : no_binary;
        else
            result = number <= compute() ? 0 : invalid_ptx;
    }
};

/// The names of the functions that launches may name.
std::vector<std::string> function_names(const std::string& source) {
    std::vector<std::string> names;
    constexpr const char* head = "extern \"C\" __global__ void ";
    constexpr std::string_view bounds = "__launch_bounds__(";
    for (std::size_t at = source.find(head); at != std::string::npos;
         at = source.find(head, at + 1)) {
        std::size_t begin = at + std::strlen(head);
        if (source.compare(begin, bounds.size(), bounds) == 0) begin = source.find(") ", begin) + 2;
        names.push_back(source.substr(begin, source.find('(', begin) - begin));
    }
    return names;
}

/// Throws where the text has a mistake.
std::shared_ptr<Compiled> code_of(const std::string& source) {
    const std::lock_guard lock(mutex);
    std::shared_ptr<Compiled>& made = compiled[source];
    if (made == nullptr) {
        auto now = std::make_shared<Compiled>();
        now->names = function_names(source);
        now->code = kiln::sim::compile(source, now->names);
        made = std::move(now);
    }
    return made;
}

}  // namespace

extern "C" {

// ------------------------------------------------------------------------------ NVRTC

int nvrtcVersion(int* major, int* minor) {
    const char* const set = std::getenv("KILN_FAKE_NVRTC_MINOR");
    *major = 12;
    *minor = set == nullptr ? 0 : std::atoi(set);
    return success;
}
const char* nvrtcGetErrorString(int) { return "NVRTC_ERROR_COMPILATION"; }
int nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char* const*,
                       const char* const*) {
    *program = new Program{source, {}, {}};
    return success;
}
int nvrtcDestroyProgram(Program** program) {
    delete *program;
    *program = nullptr;
    return success;
}
int nvrtcGetNumSupportedArchs(int* count) {
    *count = std::size(known_architectures);
    return success;
}
int nvrtcGetSupportedArchs(int* numbers) {
    std::copy(std::begin(known_architectures), std::end(known_architectures), numbers);
    return success;
}
int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
    constexpr std::string_view architecture = "--gpu-architecture=";
    for (int k = 0; k < count; ++k)
        if (std::string_view(options[k]).starts_with(architecture))
            program->option = options[k] + architecture.size();
    try {
        code_of(program->source);
        return success;
    } catch (const kiln::Error& e) {
        program->log = e.what();
        return 6;
    }
}
int nvrtcGetProgramLogSize(Program* program, std::size_t* size) {
    *size = program->log.size() + 1;
    return success;
}
int nvrtcGetProgramLog(Program* program, char* log) {
    std::strcpy(log, program->log.c_str());
    return success;
}
int nvrtcGetPTXSize(Program* program, std::size_t* size) {
    *size = ("// " + program->option + "\n" + program->source).size() + 1;
    return success;
}
int nvrtcGetPTX(Program* program, char* ptx) {
    ++ptx_made;
    std::strcpy(ptx, ("// " + program->option + "\n" + program->source).c_str());
    return success;
}
int nvrtcGetCUBINSize(Program* program, std::size_t* size) {
    return nvrtcGetPTXSize(program, size);
}
int nvrtcGetCUBIN(Program* program, char* cubin) {
    ++cubins_made;
    std::strcpy(cubin, ("// " + program->option + "\n" + program->source).c_str());
    return success;
}

// ------------------------------------------------------------------------------ the driver

int kiln_fake_modules() { return modules; }
int kiln_fake_ptx() { return ptx_made; }
int kiln_fake_cubins() { return cubins_made; }

int cuInit(unsigned) { return success; }
int cuDeviceGetCount(int* count) {
    *count = 1;
    return success;
}
int cuDeviceGet(int* device, int) {
    *device = 0;
    return success;
}
int cuDeviceGetName(char* name, int length, int) {
    std::snprintf(name, static_cast<std::size_t>(length), "host memory");
    return success;
}
int cuDeviceGetAttribute(int* value, int which, int) {
    *value = which == 75 ? compute() / 10 : which == 76 ? compute() % 10 : which == 16 ? 2 : 0;
    return success;
}
int cuDevicePrimaryCtxRetain(void** context, int) {
    *context = &blocks;
    return success;
}
int cuCtxSetCurrent(void* context) {
    has_context = context == &blocks;
    return status();
}
int cuCtxSynchronize() {
    if (const int bad = status(); bad != success) return bad;
    const std::lock_guard lock(order);
    drain_all();
    return status();
}

int cuMemAlloc_v2(std::uint64_t* memory, std::size_t bytes) {
    if (const int bad = status(); bad != success) return bad;
    const std::lock_guard lock(mutex);
    if (used + bytes > capacity()) return out_of_memory;
    void* const block = std::malloc(bytes);
    std::memset(block, 0xa5, bytes);
    *memory = reinterpret_cast<std::uint64_t>(block);
    blocks[*memory] = bytes;
    used += bytes;
    return success;
}
int cuMemFree_v2(std::uint64_t memory) {
    if (const int bad = status(); bad != success) return bad;
    {
        const std::lock_guard lock(order);
        drain_all();
    }
    const std::lock_guard lock(mutex);
    const auto at = blocks.find(memory);
    if (at == blocks.end()) return invalid_value;
    used -= at->second;
    std::free(reinterpret_cast<void*>(memory));
    blocks.erase(at);
    return success;
}
int cuMemAllocHost_v2(void** memory, std::size_t bytes) {
    *memory = std::malloc(bytes);
    return status();
}
int cuMemFreeHost(void* memory) {
    std::free(memory);
    return status();
}
int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    const std::lock_guard lock(mutex);
    *total = capacity();
    *free = *total - used;
    return success;
}

int cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, Stream* stream) {
    if (const int bad = status(); bad != success) return bad;
    if (!is_memory(to, bytes)) return invalid_value;
    ask(stream, [=] { std::memcpy(reinterpret_cast<void*>(to), from, bytes); });
    return success;
}
int cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, Stream* stream) {
    if (const int bad = status(); bad != success) return bad;
    if (!is_memory(from, bytes)) return invalid_value;
    ask(stream, [=] { std::memcpy(to, reinterpret_cast<const void*>(from), bytes); });
    return status();
}
int cuMemcpyDtoDAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, Stream* stream) {
    if (const int bad = status(); bad != success) return bad;
    if (!is_memory(from, bytes) || !is_memory(to, bytes)) return invalid_value;
    if (from < to + bytes && to < from + bytes)
        return invalid_value;  // a driver's result is anything
    ask(stream, [=] {
        std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    });
    return success;
}
int cuMemcpyHtoD_v2(std::uint64_t to, const void* from, std::size_t bytes) {
    return cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr);
}
int cuMemcpyDtoH_v2(void* to, std::uint64_t from, std::size_t bytes) {
    return cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr);
}

int cuStreamCreate(Stream** stream, unsigned) {
    if (const int bad = status(); bad != success) return bad;
    const std::lock_guard lock(order);
    *stream = *streams.insert(stays(std::make_unique<Stream>())).first;
    return success;
}
int cuStreamSynchronize(Stream* stream) {
    if (const int bad = status(); bad != success) return bad;
    const std::lock_guard lock(order);
    if (stream == nullptr)
        drain_all();
    else
        until(*stream, stream->asked);
    return status();
}
int cuStreamDestroy_v2(Stream* stream) {
    const int result = cuStreamSynchronize(stream);
    const std::lock_guard lock(order);
    streams.erase(stream);
    return result;
}
int cuStreamQuery(Stream* stream) {
    const std::lock_guard lock(order);
    if (!stream->works.empty()) one(*stream);
    return stream->works.empty() ? status() : not_ready;
}
int cuStreamWaitEvent(Stream* stream, Event* event, unsigned) {
    if (const int bad = status(); bad != success) return bad;
    const Event e = *event;  // as it is now
    const std::lock_guard lock(order);
    if (stream == nullptr || is_done(e)) return success;
    stream->works.emplace_back([e] { until(*e.stream, e.after); });
    ++stream->asked;
    return success;
}
int cuEventCreate(Event** event, unsigned) {
    const std::lock_guard lock(order);
    *event = stays(std::make_unique<Event>());
    return status();
}
int cuEventDestroy_v2(Event*) { return status(); }
int cuEventRecord(Event* event, Stream* stream) {
    if (const int bad = status(); bad != success) return bad;
    const std::lock_guard lock(order);
    if (stream == nullptr) {
        drain_all();
        *event = {nullptr, 0, clock_ms};
        return success;
    }
    stream->works.emplace_back([event] { event->time = clock_ms; });
    *event = {stream, ++stream->asked, 0};
    return success;
}
int cuEventSynchronize(Event* event) {
    const std::lock_guard lock(order);
    if (event->stream != nullptr) until(*event->stream, event->after);
    return status();
}
int cuEventQuery(Event* event) {
    const std::lock_guard lock(order);
    if (!is_done(*event) && !event->stream->works.empty()) one(*event->stream);
    return is_done(*event) ? status() : not_ready;
}
int cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
    const std::lock_guard lock(order);
    if (!is_done(*start) || !is_done(*end)) return not_ready;
    *milliseconds = static_cast<float>(end->time - start->time);
    return status();
}

int cuModuleLoadData(void** module, const void* image) {
    if (const int bad = status(); bad != success) return bad;
    auto made = std::make_shared<Module>();
    const Image loaded(static_cast<const char*>(image));
    if (loaded.result != success) return loaded.result;
    made->code = code_of(loaded.text);
    *module = new std::shared_ptr<Module>(std::move(made));
    ++modules;
    return success;
}
int cuModuleUnload(void* module) {
    if (const int bad = status(); bad != success) return bad;
    auto* const unloaded = static_cast<std::shared_ptr<Module>*>(module);
    (*unloaded)->loaded = false;
    delete unloaded;
    --modules;
    return success;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    const auto& of = *static_cast<std::shared_ptr<Module>*>(module);
    const std::string wanted = name;
    if (wanted.find("missing") != wanted.npos) return not_found;
    for (std::size_t index = 0; index < of->code->names.size(); ++index) {
        if (of->code->names[index] != wanted) continue;
        static std::deque<Function> all;
        const std::lock_guard lock(mutex);
        *function = &all.emplace_back(of, index);
        return success;
    }
    return not_found;
}
int cuFuncSetAttribute(void* function, int which, int value) {
    if (const int bad = status(); bad != success) return bad;
    constexpr int most_dynamic_shared = 8;
    if (which != most_dynamic_shared || value < 0 ||
        static_cast<std::size_t>(value) > kiln::sim::most_dynamic_shared)
        return invalid_value;
    auto& most = static_cast<Function*>(function)->most_dynamic;
    const auto wanted = static_cast<std::size_t>(value);
    // A driver does that, and a launch of another thread that needs more fails then, now and then.
    if (wanted < most) return invalid_value;
    most = wanted;
    return success;
}
int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                   Stream* stream, void** parameters, void**) {
    const kiln::Dim3 grid(grid_x, grid_y, grid_z), threads(block_x, block_y, block_z);
    if (const int bad = status(); bad != success) return bad;
    const auto& kernel = *static_cast<const Function*>(function);
    if (grid.count() == 0 || threads.count() == 0 || threads.count() > 1024 ||
        !kernel.may_have(shared))
        return invalid_value;
    std::vector<std::vector<char>> values;  // which the caller may change at once
    for (unsigned k = 0; kernel.of->code->parameter_bytes(kernel.index, k) != 0; ++k) {
        const char* const value = static_cast<const char*>(parameters[k]);
        values.emplace_back(value, value + kernel.of->code->parameter_bytes(kernel.index, k));
    }
    ask(stream, [&kernel, grid, threads, values]() mutable {
        if (kernel.name().find("fault") != std::string::npos || !kernel.module->loaded) lost = true;
        if (lost) return;  // known when the next call asks
        std::vector<void*> addresses;
        for (auto& value : values) addresses.push_back(value.data());
        kiln::sim::Finding found;
        const kiln::sim::Launch launch{kernel.of->code->function(kernel.index),
                                       addresses.data(),
                                       grid,
                                       threads,
                                       false,
                                       nullptr};
        if (!kiln::sim::run(launch, found)) failed = launch_failed;
    });
    return success;
}

int cuGetErrorName(int result, const char** text) {
    *text = result == out_of_memory     ? "CUDA_ERROR_OUT_OF_MEMORY"
            : result == illegal_address ? "CUDA_ERROR_ILLEGAL_ADDRESS"
            : result == invalid_context ? "CUDA_ERROR_INVALID_CONTEXT"
            : result == not_found       ? "CUDA_ERROR_NOT_FOUND"
            : result == 209             ? "CUDA_ERROR_NO_BINARY_FOR_GPU"
                                        : "CUDA_ERROR_UNKNOWN";
    return success;
}
int cuGetErrorString(int result, const char** text) {
    *text = result == illegal_address ? "an illegal memory access was encountered" : "no text";
    return success;
}

}  // extern "C"
