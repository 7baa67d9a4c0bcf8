// What generated code and those who call it agree on: the frames that are its arguments, what of the
// runtime it calls, and the words into which several numbers are packed. The places of fields that
// generated code reads are derived from the structs here, and stand nowhere else.
#pragma once
#include "dsl/ir/ir.h"

#include <kiln/environment.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace kiln::abi {

/// Bytes of a word: all fields of frames are words, or several.
inline constexpr std::size_t word_bytes = 8;

// ------------------------------------------------------------------------------ packed words

/// Which check failed, and where in the source: an index into the kernel's locations.
struct FaultSite {
    ir::Check check;
    std::uint32_t location;
    constexpr bool operator==(const FaultSite&) const = default;
};
inline constexpr std::int64_t no_fault = -1;  ///< in the place of a packed FaultSite
constexpr std::int64_t pack(FaultSite s) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(s.check) |
                                     static_cast<std::uint64_t>(s.location) << 8);
}
constexpr FaultSite fault_site(std::int64_t word) {
    return {static_cast<ir::Check>(word & 0xff), static_cast<std::uint32_t>(word >> 8)};
}

/// How a parallel loop's iterations are dealt out.
struct ScheduleWord {
    ir::Schedule schedule;
    bool flat;           ///< iterations have no loops of their own: each takes about the same time
    std::int64_t chunk;  ///< iterations, from 0 on; more than 2^54 count as that
    constexpr bool operator==(const ScheduleWord&) const = default;
};
constexpr std::int64_t pack(ScheduleWord w) {
    return static_cast<std::int64_t>(w.schedule) | (w.flat ? 1 << 7 : 0) |
           std::min<std::int64_t>(w.chunk, std::int64_t(1) << 54) << 8;
}
constexpr ScheduleWord schedule_word(std::int64_t word) {
    return {static_cast<ir::Schedule>(word & 0x7f), (word & 1 << 7) != 0, word >> 8};
}

/// What a failed check of a program is about besides its place: nothing; an array (a parameter, or
/// behind all of them a slot) with its subscripts and extents; or two lists of integers, one behind
/// the other, and the array (or what else the check numbers) that they are about.
struct Subject {
    enum class Kind : std::uint8_t { nothing, array, lists };
    Kind kind = Kind::nothing;
    std::uint32_t array = 0;
    std::uint32_t first = 0, second = 0;  ///< lengths of the lists, below 256
    constexpr bool operator==(const Subject&) const = default;
};
constexpr std::int64_t pack(Subject s) {
    switch (s.kind) {
        case Subject::Kind::nothing: return -1;
        case Subject::Kind::array: return s.array;
        case Subject::Kind::lists:
            return -2 - (std::int64_t(s.first) | std::int64_t(s.second) << 8 |
                         std::int64_t(s.array) << 16);
    }
    __builtin_unreachable();
}
constexpr Subject subject(std::int64_t word) {
    if (word == -1) return {};
    if (word >= 0) return {Subject::Kind::array, static_cast<std::uint32_t>(word), 0, 0};
    const std::int64_t lists = -2 - word;
    return {Subject::Kind::lists, static_cast<std::uint32_t>(lists >> 16),
            static_cast<std::uint32_t>(lists & 0xff),
            static_cast<std::uint32_t>(lists >> 8 & 0xff)};
}

// ------------------------------------------------------------------------------ maps

/// Where a failed check is recorded. `row` and `column` are the outer and the inner iteration of
/// the call, the lowest failing pair in row-major order.
struct Fault {
    std::int64_t code = no_fault;  ///< or a packed FaultSite, which is not negative
    std::int64_t row = 0;
    std::int64_t column = 0;
};
namespace fault_word {
inline constexpr unsigned code = 0, row = 1, column = 2;
static_assert(offsetof(Fault, code) == code * word_bytes);
static_assert(offsetof(Fault, row) == row * word_bytes);
static_assert(offsetof(Fault, column) == column * word_bytes);
}  // namespace fault_word

/// One array parameter of an element-wise call: element (r, c) is at data + r * outer + c * inner.
struct Operand {
    std::byte* data;
    std::int64_t inner;  ///< byte stride of the inner axis; read only for layout `strided`
    std::int64_t outer;  ///< byte stride from row to row; read only where there are several
};

/// The argument of a compiled element-wise stage, followed in memory by one Operand a parameter.
struct MapFrame {
    std::int64_t columns;  ///< iterations of the inner axis, >= 0
    std::int64_t rows;     ///< >= 0
    Fault* fault;
};
namespace map_word {
inline constexpr unsigned columns = 0, rows = 1, fault = 2, operands = 3;
inline constexpr unsigned data = 0, inner = 1, outer = 2, of_operand = 3;
/// The field (data, inner or outer) of a parameter.
constexpr unsigned operand(std::size_t param, unsigned field) {
    return operands + of_operand * static_cast<unsigned>(param) + field;
}
/// Words of the frame of so many parameters.
constexpr unsigned count(std::size_t params) { return operand(params, 0); }
static_assert(offsetof(MapFrame, columns) == columns * word_bytes);
static_assert(offsetof(MapFrame, rows) == rows * word_bytes);
static_assert(offsetof(MapFrame, fault) == fault * word_bytes);
static_assert(sizeof(MapFrame) == operands * word_bytes);
static_assert(offsetof(Operand, data) == data * word_bytes);
static_assert(offsetof(Operand, inner) == inner * word_bytes);
static_assert(offsetof(Operand, outer) == outer * word_bytes);
static_assert(sizeof(Operand) == of_operand * word_bytes);
}  // namespace map_word

/// Runs rows x columns iterations in row-major order. The inner strides must be those that each
/// parameter's Layout promises. No exception leaves it; it neither locks nor allocates.
using MapFunction = void (*)(const MapFrame*);

/// A frame with room for the operands of up to `N` parameters.
template <std::size_t N> struct MapCall {
    MapFrame map;
    std::array<Operand, N> operands;
    void run(MapFunction entry) const {
        static_assert(offsetof(MapCall, operands) == sizeof(MapFrame));
        entry(&map);
    }
};

/// Bytes of all operands from which outputs bypass the caches. Up to half of that non-temporal
/// stores lose (up to 1.5x), since results are still in the cache when they are next read.
inline constexpr std::int64_t streaming_bytes = 24'000'000;

// ------------------------------------------------------------------------------ programs

struct ProgramFrame;
/// Iterations [first, last) of a parallel loop.
using PieceFunction = void (*)(const ProgramFrame* frame, const void* context, std::int64_t first,
                               std::int64_t last);

/// Memory that each iteration of a piece has in turn.
struct ProgramBlock {
    std::byte* data;
    std::int64_t bytes;
};

/// What compiled programs call. Nothing here throws.
struct ProgramRuntime {
    /// Runs all of [0, trip) by calls of `piece`, on this thread and others, and returns when all
    /// is done. unit > 0: each call covers one unit, [u * unit, min(trip, (u + 1) * unit)).
    /// `schedule` is a packed ScheduleWord.
    void (*parallel)(const ProgramFrame* frame, PieceFunction piece, const void* context,
                     std::int64_t trip, std::int64_t unit, std::int64_t schedule);
    /// Records a failed check, a packed FaultSite. The lowest iteration (of the outermost parallel
    /// loop; 0 outside) is kept, of it the first fault. `about` is a packed Subject, `numbers` are
    /// those that come with it, or null.
    void (*fault)(const ProgramFrame* frame, std::int64_t site, std::int64_t iteration,
                  std::int64_t about, const std::int64_t* numbers);
    /// Makes the array of parameter `param` and puts it into the frame; false if that failed, upon
    /// which the program returns.
    bool (*allocate)(const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents);
    /// Memory for one run of the function that calls it, aligned to 64 bytes: for local arrays that
    /// are too large for the stack. Null where there is none, upon which the function returns. Each
    /// is given back, null too, by `leave`.
    std::byte* (*enter)(const ProgramFrame* frame, std::int64_t bytes);
    void (*leave)(const ProgramFrame* frame, std::byte* memory, std::int64_t bytes);
    /// Makes `block` (at first {null, 0}; given back by `leave`) large enough for the array of
    /// parameter `param`, of which each iteration of a parallel loop has its own; false if that
    /// failed, upon which the function returns.
    bool (*reserve)(const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents,
                    ProgramBlock* block);
};
namespace runtime_word {
inline constexpr unsigned parallel = 0, fault = 1, allocate = 2, enter = 3, leave = 4, reserve = 5;
static_assert(offsetof(ProgramRuntime, parallel) == parallel * word_bytes);
static_assert(offsetof(ProgramRuntime, fault) == fault * word_bytes);
static_assert(offsetof(ProgramRuntime, allocate) == allocate * word_bytes);
static_assert(offsetof(ProgramRuntime, enter) == enter * word_bytes);
static_assert(offsetof(ProgramRuntime, leave) == leave * word_bytes);
static_assert(offsetof(ProgramRuntime, reserve) == reserve * word_bytes);
}  // namespace runtime_word

/// A function of any type, which is called as what it is.
using AnyFunction = void (*)();
/// A function of the host program as compiled programs call it:
///     result thunk(target, frame, iteration, arguments ...)
/// Nothing leaves it by an exception: it records one with the frame's host, for the iteration (of
/// the outermost parallel loop; 0 outside), and returns 0.
struct HostCall {
    AnyFunction thunk, target;
};
/// What programs know of ProgramFrame::host.
struct ProgramHost {
    const HostCall* functions = nullptr;  ///< one for each of Kernel::functions
    /// Floating-point environments: what functions of the host see, that of who called the kernel;
    /// and what the kernel runs under.
    kiln::detail::FloatWord environment = 0, kernels_environment = 0;
};
namespace host_word {
inline constexpr unsigned functions = 0;
inline constexpr unsigned thunk = 0, target = 1, of_function = 2;
static_assert(offsetof(ProgramHost, functions) == functions * word_bytes);
static_assert(offsetof(HostCall, thunk) == thunk * word_bytes);
static_assert(offsetof(HostCall, target) == target * word_bytes);
static_assert(sizeof(HostCall) == of_function * word_bytes);
}  // namespace host_word

/// The argument of a compiled program, followed in memory by its parameters: a scalar takes two
/// words, an array of rank r 1 + 2r of them: data, extents, byte strides.
struct ProgramFrame {
    const ProgramRuntime* runtime;
    ProgramHost* host;  ///< of the runtime
};
using ProgramFunction = void (*)(const ProgramFrame*);
namespace program_word {
inline constexpr unsigned runtime = 0, host = 1, params = 2;
static_assert(offsetof(ProgramFrame, runtime) == runtime * word_bytes);
static_assert(offsetof(ProgramFrame, host) == host * word_bytes);
static_assert(sizeof(ProgramFrame) == params * word_bytes);
/// Words of a parameter, and where in them the parts of an array of a rank stand.
constexpr unsigned count(const ir::Param& p) {
    return p.access == ir::Access::value ? 2U : 1U + 2U * p.rank;
}
inline constexpr unsigned data = 0;
constexpr unsigned extent(unsigned axis) { return 1 + axis; }
constexpr unsigned stride(unsigned axis, unsigned rank) { return 1 + rank + axis; }
/// The first word of a parameter, counted from those of the first one.
constexpr unsigned offset(const ir::Kernel& kernel, std::size_t param) {
    unsigned words = 0;
    for (std::size_t p = 0; p < param; ++p) words += count(kernel.params[p]);
    return words;
}
}  // namespace program_word

}  // namespace kiln::abi
