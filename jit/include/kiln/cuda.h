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
#include <kiln/attributes.h>
#include <kiln/dim3.h>
#include <kiln/jit.h>
#include <kiln/place.h>
#include <kiln/threads.h>

namespace kiln {

class Stream;

/// What the launches of a kernel keep to, so that its code takes no more registers than they have, for
/// designated initialisers: {.threads = 256, .blocks = 2}.
struct LaunchBounds {
    unsigned threads = 0;  ///< of a block at most; 0: not said
    unsigned blocks = 0;   ///< that a multiprocessor is to have at once, at least; 0: not said
};

/// The options of an explicit kernel, for designated initialisers.
struct CudaKernelOptions {
    Fastmath fastmath = {};                ///< none by default
    std::vector<std::string> params = {};  ///< as of JitOptions
    /// Where calls run whose arrays are on the host: cuda copies them there and back, sim runs where they
    /// are. KILN_TARGET=sim in the environment makes all calls with such arrays ones of the simulator.
    BackendTarget target = BackendTarget::cuda;
    LaunchBounds bounds = {};  ///< launches of more threads a block are Error usage
};

/// How a kernel is launched, for designated initialisers: {.blocks = {8, 8}, .threads = {16, 16}}.
struct LaunchOptions {
    Dim3 blocks = {};                ///< how many
    Dim3 threads = {};               ///< of a block; at most 1024
    const Stream* stream = nullptr;  ///< none: that of the StreamScope around
    std::size_t shared = 0;          ///< bytes of a block for cuda::dynamic_shared
};

namespace detail {
class RawKernelState;
class RawElementwiseState;

/// How kernels with a method `call` are launched.
template <class K> class Launches {
  public:
    using Where = std::source_location;  ///< the user's line

    void operator()(const LaunchOptions& launch, JitArg a0 = {}, JitArg a1 = {}, JitArg a2 = {},
                    JitArg a3 = {}, JitArg a4 = {}, JitArg a5 = {}, JitArg a6 = {}, JitArg a7 = {},
                    JitArg a8 = {}, JitArg a9 = {}, JitArg a10 = {}, JitArg a11 = {},
                    JitArg a12 = {}, JitArg a13 = {}, JitArg a14 = {}, JitArg a15 = {},
                    Where where = Where::current()) const {
        const JitArg* const all[] = {&a0, &a1, &a2,  &a3,  &a4,  &a5,  &a6,  &a7,
                                     &a8, &a9, &a10, &a11, &a12, &a13, &a14, &a15};
        std::size_t count = 0;
        while (count < std::size(all) && !all[count]->is_none()) ++count;
        static_cast<const K&>(*this).call(launch, std::span(all, count), where);
    }
    /// n threads at least, in blocks of 256: the kernel tests that its number is below n.
    static LaunchOptions for_all(std::int64_t n) {
        return {.blocks = Dim3(static_cast<unsigned>(n <= 256 ? 1 : (n + 255) / 256)),
                .threads = 256};
    }
    /// kernel.forall(n)(arguments): launches it so.
    auto forall(std::int64_t n) const {
        return [kernel = static_cast<const K&>(*this), n]<class... A>(A&&... arguments) {
            kernel(for_all(n), std::forward<A>(arguments)...);
        };
    }
};
}  // namespace detail

/// An explicit kernel. Copies share their state, which is thread-safe. kernel(launch, arguments ...) launches
/// it; the first launch with given dtypes, ranks and layouts compiles it. Errors: usage (the number of
/// arguments, a scalar for an array, a read-only array, a shape that no device has), those of tracing, device;
/// what the simulator finds.
class CudaKernel : public detail::Launches<CudaKernel> {
  public:
    const std::string& name() const;  ///< as errors call it
    /// A text of the kernel for arguments of these types, contiguous.
    std::string inspect(Artifact artifact, const std::vector<ArgType>& types,
                        Where where = Where::current()) const;
    /// What it takes of a device of the architecture that KILN_CUDA_ARCH names, for arguments of these
    /// types, contiguous. Needs NVRTC, which it is compiled by anew, and no device. Errors: those of
    /// tracing; device (no NVRTC).
    KernelAttributes attributes(const std::vector<ArgType>& types,
                                Where where = Where::current()) const;
    std::vector<Remark> remarks() const;
    Stats stats() const;

  private:
    friend struct cuda;
    friend class detail::Launches<CudaKernel>;
    CudaKernel(std::string name, std::vector<detail::KernelParam> params,
               detail::KernelFunction function, CudaKernelOptions options, Where where);
    void call(const LaunchOptions& launch, std::span<const JitArg* const> args, Where where) const;

    detail::SharedState<detail::LoopKernelState> state_;
};

/// The options of a kernel of CUDA text, for designated initialisers.
struct RawOptions {
    /// Products and sums are contracted where it has `contract`; no other flag counts.
    Fastmath fastmath = {};
    BackendTarget target = BackendTarget::cuda;  ///< as of CudaKernelOptions
};

/// A kernel of CUDA text. Copies share their state, which is thread-safe. kernel(launch, arguments ...)
/// launches it; the first launch compiles it. Scalars are converted where that is safe. Arrays are contiguous;
/// those of the host are copied to the device, and back where the text may write. Errors: usage (the number of
/// arguments, a scalar for an array, a read-only array, an array that is not contiguous, a shape that no device
/// has, a text that does not compile), type, shape (its rank), device; what the simulator finds.
class RawKernel : public detail::Launches<RawKernel> {
  public:
    const std::string& name() const;  ///< of the function
    /// Its text, its PTX, or what it takes of a device: cuda, ptx and resources. Errors: unsupported (others),
    /// usage (a text that does not compile), device (no NVRTC).
    std::string inspect(Artifact artifact, Where where = Where::current()) const;
    /// As of CudaKernel.
    KernelAttributes attributes(Where where = Where::current()) const;

  private:
    friend struct cuda;
    friend class detail::Launches<RawKernel>;
    friend class detail::RawElementwiseState;
    explicit RawKernel(Shared<detail::RawKernelState> state);
    void call(const LaunchOptions& launch, std::span<const JitArg* const> args, Where where) const;

    detail::SharedState<detail::RawKernelState> state_;
};

/// What one element is in terms of others, as CUDA text, for arrays of any shapes and of the dtypes that a call
/// brings: a kernel for each list of these. Copies share their state, which is thread-safe.
class RawElementwise {
  public:
    const std::string& name() const;  ///< as errors call it
    /// f(x, y) of arrays and C++ numbers, which broadcast: a new array, where those of the call are, in C
    /// order. f(x, y, z) writes to z, of the broadcast shape and contiguous, and gives it; with several
    /// outputs all are given. Inputs that are broadcast or not contiguous are copied first. A letter
    /// that stands for a type is that of the first array that it is said of; numbers become it. Errors: usage
    /// (the number of arguments, an output that is not contiguous, a text that does not compile), type (a
    /// letter is two types, or none), shape, unsupported (16-bit floats, complex numbers), device; what the
    /// simulator finds.
    Array operator()(JitArg a0 = {}, JitArg a1 = {}, JitArg a2 = {}, JitArg a3 = {}, JitArg a4 = {},
                     JitArg a5 = {}, JitArg a6 = {}, JitArg a7 = {},
                     std::source_location where = std::source_location::current()) const;
    /// As of RawKernel, for inputs of these dtypes, all of them arrays.
    std::string inspect(Artifact artifact, const std::vector<DType>& inputs,
                        std::source_location where = std::source_location::current()) const;

  private:
    friend struct cuda;
    explicit RawElementwise(Shared<detail::RawElementwiseState> state);

    detail::SharedState<detail::RawElementwiseState> state_;
};

/// What explicit kernels are made of. A class, so that kiln::cuda() can be the device: what stands before
/// :: is looked up among types alone.
struct cuda : ThreadWords {
    /// Whether there is a driver that shows a device.
    static bool is_available() { return detail::cuda_is_available(); }

    /// An explicit kernel from a lambda over In, Out, InOut and Value that returns nothing. Nothing is
    /// compiled before the first launch. Errors: usage (.params, .bounds that no device has).
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

    /// The extern "C" __global__ function `name` of a text of CUDA, as it is: cuda::raw(text, "saxpy",
    /// {f32, f32[1], f32[1], i64}) for `saxpy(float a, const float* x, float* y, long long n)`. An array is a
    /// pointer to its elements, which follow each other in C order; what is no pointer is a scalar. Errors:
    /// usage (no such function, or not of these parameters).
    static RawKernel raw(std::string text, std::string name, std::vector<ArgType> types,
                         RawOptions options = {},
                         std::source_location where = std::source_location::current());

    /// cuda::raw_elementwise("T x, T y", "T z", "z = x * y"): inputs, outputs, and statements of CUDA text for
    /// element i, a long long. A type is C++'s or kiln's (float, f32), or a capital letter, which stands for
    /// whatever calls bring, and is a type within the text. Errors: usage (what is no such list; an
    /// output's letter that no input has).
    static RawElementwise raw_elementwise(
        const std::string& inputs, const std::string& outputs, std::string operation,
        std::string name = "elementwise", RawOptions options = {},
        std::source_location where = std::source_location::current());
};

}  // namespace kiln
