// Explicit kernels: their launches.
#include <kiln/cuda.h>
#include <kiln/device.h>
#include <kiln/environment.h>

#include "jit/loops/launch_shape.h"
#include "jit/loops/loop_kernel.h"

#include <optional>

#include <fmt/format.h>

namespace kiln {

void engine::check_shape(const std::string& name, const engine::LaunchShape& shape,
                         unsigned most_threads, Location where) {
    const auto text = [](const Dim3& d) { return fmt::format("({}, {}, {})", d.x, d.y, d.z); };
    const Dim3& t = shape.threads;
    if (t.count() == 0 || t.count() > 1024 || t.z > 64)
        throw Error(ErrorKind::usage,
                    fmt::format("{} is launched with blocks of {} threads", name, text(t)), where,
                    "a block has 1 to 1024 threads, at most 64 of them along z");
    if (most_threads != 0 && t.count() > most_threads)
        throw Error(ErrorKind::usage,
                    fmt::format("{} is launched with blocks of {} threads", name, text(t)), where,
                    fmt::format("its .bounds say at most {} threads", most_threads));
    const Dim3& b = shape.blocks;
    if (b.count() == 0 || b.x > 0x7fffffff || b.y > 0xffff || b.z > 0xffff)
        throw Error(ErrorKind::usage, fmt::format("{} is launched with {} blocks", name, text(b)),
                    where, "a launch has 1 to 2^31 - 1 blocks along x, 1 to 65535 along y and z");
    constexpr std::size_t most = 227 * 1024;
    if (shape.shared > most)
        throw Error(
            ErrorKind::usage,
            fmt::format("{} is launched with {} bytes of shared memory", name, shape.shared), where,
            "a block has at most 227 KiB");
}

namespace {

/// Errors: usage (no device has them).
engine::CompileOptions code_options(const std::string& name, const LaunchBounds& bounds,
                                    Location where) {
    constexpr unsigned most_blocks = 32;
    if (bounds.threads > 1024 || bounds.blocks > most_blocks)
        throw Error(ErrorKind::usage,
                    fmt::format("{} has .bounds of {} threads and {} blocks", name, bounds.threads,
                                bounds.blocks),
                    where,
                    "a block has at most 1024 threads, a multiprocessor at most 32 blocks at once");
    if (bounds.threads == 0 && bounds.blocks != 0)
        throw Error(ErrorKind::usage, fmt::format("{} has .bounds of blocks alone", name), where,
                    "how many threads they have is to be said too");
    engine::CompileOptions made;
    made.most_threads = bounds.threads;
    made.least_blocks = bounds.blocks;
    return made;
}

JitOptions options_of(CudaKernelOptions options) {
    JitOptions made{.fastmath = options.fastmath, .target = options.target};
    made.params = std::move(options.params);
    return made;
}

}  // namespace

CudaKernel::CudaKernel(std::string name, std::vector<detail::KernelParam> params,
                       detail::KernelFunction function, CudaKernelOptions options, Where where) {
    const engine::CompileOptions code = code_options(name, options.bounds, where);
    state_ = share<detail::LoopKernelState>(engine::KernelKind::threads, std::move(name),
                                            std::move(params), std::move(function),
                                            options_of(std::move(options)), where, code);
}

void CudaKernel::call(const LaunchOptions& launch, std::span<const JitArg* const> args,
                      Where where) const {
    std::optional<StreamScope> scope;
    if (launch.stream != nullptr) scope.emplace(*launch.stream);
    const engine::LaunchShape shape{launch.blocks, launch.threads, launch.shared};
    engine::check_shape(name(), shape, state_->code_options().most_threads, where);
    state_->launch(shape, args, where);
}

const std::string& CudaKernel::name() const { return state_->name(); }
std::string CudaKernel::inspect(Artifact artifact, const std::vector<ArgType>& types,
                                Where where) const {
    return state_->inspect(artifact, types, where);
}
KernelAttributes CudaKernel::attributes(const std::vector<ArgType>& types, Where where) const {
    return state_->attributes(types, where).at(0);
}
std::vector<Remark> CudaKernel::remarks() const { return state_->ledger().remarks(); }
Stats CudaKernel::stats() const { return state_->ledger().stats(); }

}  // namespace kiln
