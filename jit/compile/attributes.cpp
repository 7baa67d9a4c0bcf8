#include "jit/compile/attributes.h"

#include <kiln/error.h>
#include "runtime/integers.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

namespace kiln {
namespace {

/// What a multiprocessor has, by NVIDIA's table of compute capabilities.
struct Multiprocessor {
    std::string_view architecture;
    int warps, blocks;
    std::int64_t shared, taken, step;  ///< bytes; taken: of each block, by the system
};
constexpr std::int64_t kib = 1024;
constexpr Multiprocessor known[] = {
    {"sm_75", 32, 16, 64 * kib, 0, 256},     {"sm_80", 64, 32, 164 * kib, kib, 128},
    {"sm_86", 48, 16, 100 * kib, kib, 128},  {"sm_87", 48, 16, 164 * kib, kib, 128},
    {"sm_89", 48, 24, 100 * kib, kib, 128},  {"sm_90", 64, 32, 228 * kib, kib, 128},
    {"sm_100", 64, 32, 228 * kib, kib, 128}, {"sm_103", 64, 32, 228 * kib, kib, 128},
    {"sm_120", 48, 24, 100 * kib, kib, 128},
};

}  // namespace

int engine::warps_with(int registers) {
    // A warp's come from one of four parts, in steps of 256.
    constexpr std::int64_t parts = 4, of_a_part = 65536 / parts, lanes = 32;
    return static_cast<int>(of_a_part / detail::round_up(registers * lanes, 256) * parts);
}

double KernelAttributes::occupancy(int threads, std::size_t dynamic_shared) const {
    const auto* const of = std::ranges::find(known, architecture, &Multiprocessor::architecture);
    if (of == std::end(known))
        throw Error(
            ErrorKind::unsupported,
            fmt::format("how much a multiprocessor of {} holds is not known", architecture));
    if (threads < 1 || threads > 1024)
        throw Error(ErrorKind::usage, fmt::format("a block of {} threads", threads), {},
                    "a block has 1 to 1024 threads");
    const std::int64_t warps = detail::round_up(threads, 32) / 32;
    std::int64_t blocks = std::min<std::int64_t>(of->blocks, of->warps / warps);
    blocks = std::min(blocks, engine::warps_with(registers) / warps);
    const std::int64_t bytes =
        detail::round_up(shared + static_cast<std::int64_t>(dynamic_shared), of->step) + of->taken;
    if (bytes > 0) blocks = std::min(blocks, of->shared / bytes);
    return static_cast<double>(blocks * warps) / of->warps;
}

}  // namespace kiln
