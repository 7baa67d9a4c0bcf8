// Explicit kernels: what each thread of a launch does, in blocks of threads that share memory and wait for
// each other, as in CUDA.
//
//     auto sums = cuda::kernel("sums", [](In x, Out of_blocks) {
//         auto part = cuda::shared<float>(256);
//         const Value t = cuda::thread_idx();
//         part(t) = x(cuda::grid());
//         cuda::sync_threads();
//         for (int width = 128; width > 0; width /= 2) {
//             if_(t < width, [&] { part(t) += part(t + width); });
//             cuda::sync_threads();
//         }
//         if_(t == 0, [&] { of_blocks(cuda::block_idx()) = part(0); });
//     });
//     sums({.blocks = n / 256, .threads = 256}, x, of_blocks);
//
// The lambda is one of loop kernels (kiln/jit.h): the same arrays, values and control flow, serial loops.
// It returns nothing, and has no prange, no statements on whole arrays and no Scratch. Nothing here is
// synchronised by itself: what threads do to each other is the kernel's affair. The simulator says what is
// wrong with that (BackendTarget::sim, KILN_TARGET=sim).
#pragma once
#include <kiln/dim3.h>
#include <kiln/jit.h>
#include <kiln/place.h>
#include <kiln/threads.h>

namespace kiln {

class Stream;

/// The options of an explicit kernel, for designated initialisers.
struct CudaKernelOptions {
    Fastmath fastmath = {};
    std::vector<std::string> params = {};  ///< as of JitOptions
    /// Where calls run whose arrays are on the host: cuda copies them there and back, sim runs where they
    /// are. KILN_TARGET=sim in the environment makes all calls with such arrays ones of the simulator.
    BackendTarget target = BackendTarget::cuda;
};

/// How a kernel is launched, for designated initialisers: {.blocks = {8, 8}, .threads = {16, 16}}.
struct LaunchOptions {
    Dim3 blocks = {};
    Dim3 threads = {};               ///< of a block; at most 1024
    const Stream* stream = nullptr;  ///< none: that of the StreamScope around
    std::size_t shared = 0;          ///< bytes of a block for cuda::dynamic_shared
};

/// An explicit kernel. Copies share their state, which is thread-safe.
class CudaKernel {
  public:
    using Where = std::source_location;

    /// Launches it; the first launch with given dtypes, ranks and layouts compiles it. Errors: usage (the
    /// number of arguments, a scalar for an array, a read-only array, a shape that no device has), those
    /// of tracing, device; what the simulator finds.
    void operator()(const LaunchOptions& launch, JitArg a0 = {}, JitArg a1 = {}, JitArg a2 = {},
                    JitArg a3 = {}, JitArg a4 = {}, JitArg a5 = {}, JitArg a6 = {}, JitArg a7 = {},
                    JitArg a8 = {}, JitArg a9 = {}, JitArg a10 = {}, JitArg a11 = {},
                    JitArg a12 = {}, JitArg a13 = {}, JitArg a14 = {}, JitArg a15 = {},
                    Where where = Where::current()) const {
        const JitArg* const all[] = {&a0, &a1, &a2,  &a3,  &a4,  &a5,  &a6,  &a7,
                                     &a8, &a9, &a10, &a11, &a12, &a13, &a14, &a15};
        std::size_t count = 0;
        while (count < std::size(all) && !all[count]->is_none()) ++count;
        call(launch, std::span(all, count), where);
    }
    /// n threads at least, in blocks of 256: the kernel tests that cuda::grid() < n.
    static LaunchOptions for_all(std::int64_t n) {
        return {.blocks = Dim3(static_cast<unsigned>(n <= 256 ? 1 : (n + 255) / 256)),
                .threads = 256};
    }
    /// kernel.forall(n)(arguments): launches it so.
    auto forall(std::int64_t n) const {
        return [*this, n]<class... A>(A&&... arguments) {
            (*this)(for_all(n), std::forward<A>(arguments)...);
        };
    }

    const std::string& name() const;
    /// A text of the kernel for arguments of these types, contiguous.
    std::string inspect(Artifact artifact, const std::vector<ArgType>& types,
                        Where where = Where::current()) const;
    std::vector<Remark> remarks() const;
    Stats stats() const;

  private:
    friend struct cuda;
    CudaKernel(std::string name, std::vector<detail::KernelParam> params,
               detail::KernelFunction function, CudaKernelOptions options, Where where);
    void call(const LaunchOptions& launch, std::span<const JitArg* const> args, Where where) const;

    detail::SharedState<detail::LoopKernelState> state_;
};

/// What explicit kernels are made of. A class, so that kiln::cuda() can be the device: what stands before
/// :: is looked up among types alone.
struct cuda : ThreadWords {
    /// Whether there is a driver that shows a device.
    static bool is_available() { return detail::cuda_is_available(); }

    /// An explicit kernel from a lambda over In, Out, InOut and Value that returns nothing. Nothing is
    /// compiled before the first launch. Errors: usage (.params).
    template <class F>
    static CudaKernel kernel(std::string name, F function, CudaKernelOptions options = {},
                             std::source_location where = std::source_location::current()) {
        using Traits = detail::KernelTraits<F>;
        static_assert(std::is_void_v<typename Traits::Result>,
                      "kiln: an explicit kernel returns nothing: it stores to its arrays");
        return CudaKernel(std::move(name), Traits::params(), Traits::erase(std::move(function)),
                          std::move(options), where);
    }
    template <class F>
        requires(!std::is_convertible_v<F, std::string>)
    static CudaKernel kernel(F function, CudaKernelOptions options = {},
                             std::source_location where = std::source_location::current()) {
        return kernel("kernel", std::move(function), std::move(options), where);
    }
};

}  // namespace kiln
