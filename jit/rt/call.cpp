// Calls of exported kernels: what C gave, checked and put into the frame of the compiled code.
#include "codegen/exported/kernel.h"
#include "jit/rt/pool.h"
#include "jit/rt/program.h"

#include <kiln/environment.h>

#include <cpuid.h>
#include <pthread.h>
#include <cstdlib>

#include <atomic>
#include <cstring>
#include <iterator>
#include <new>

namespace kiln::rt {
namespace {

using abi::ExportedCpu;
using abi::ExportedKernel;
using abi::ExportedParam;
using abi::ExportedRole;
using abi::ExportedStatus;

// ------------------------------------------------------------------------------ the CPU

bool has(unsigned word, unsigned bits) { return (word & bits) == bits; }

/// The highest level that the CPU and the system have; below v2: 0.
int cpu_level() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 ||
        !has(c, bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B))
        return 0;
    constexpr int v2 = 1, v3 = 2, v4 = 3;
    if (!has(c, bit_AVX | bit_FMA | bit_F16C | bit_MOVBE | bit_OSXSAVE)) return v2;
    unsigned state = 0, high = 0;
    __asm__("xgetbv" : "=a"(state), "=d"(high) : "c"(0));
    constexpr unsigned ymm = 0x06, zmm = 0xe6, lzcnt = 1U << 5;
    if (!has(state, ymm) || __get_cpuid(0x80000001, &a, &b, &c, &d) == 0 || !has(c, lzcnt))
        return v2;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || !has(b, bit_AVX2 | bit_BMI | bit_BMI2))
        return v2;
    constexpr unsigned avx512 =
        bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    return has(state, zmm) && has(b, avx512) ? v4 : v3;
}

bool cpu_has(ExportedCpu cpu) {
    static constinit std::atomic<int> known{-1};
    int level = known.load(std::memory_order_relaxed);
    if (level < 0) known.store(level = cpu_level(), std::memory_order_relaxed);
    return level > static_cast<int>(cpu);
}

// ------------------------------------------------------------------------------ arguments

template <class T> T* pointer(std::int64_t word) { return reinterpret_cast<T*>(word); }

struct Bytes {
    std::uintptr_t low = 0, high = 0;
    bool written = false;
};
/// The bytes of the arrays that a call has met.
class Arrays {
  public:
    /// Whether they are apart from those before, as far as either is written.
    bool add(Bytes bytes) {
        if (bytes.low == bytes.high) return true;
        for (unsigned i = 0; i < count_; ++i) {
            const Bytes& other = all_[i];
            if ((bytes.written || other.written) && bytes.low < other.high &&
                other.low < bytes.high)
                return false;
        }
        if (count_ == most) return false;
        all_[count_++] = bytes;
        return true;
    }

  private:
    static constexpr unsigned most = 64;  // a kernel has 16 parameters, and few results
    Bytes all_[most];
    unsigned count_ = 0;
};

/// Whether several indices may mean one element of an array. From the axis of the smallest steps on, a
/// step has to clear all that the axes before it reach.
bool overlaps_itself(const std::int64_t* extents, const std::int64_t* strides, unsigned rank,
                     std::uint64_t item) {
    const auto step = [&](unsigned d) {
        const auto word = static_cast<std::uint64_t>(strides[d]);
        return strides[d] < 0 ? -word : word;
    };
    std::uint64_t reach = item;
    unsigned done = 0;  // a bit for each axis
    for (unsigned k = 0; k < rank; ++k) {
        unsigned least = rank;
        for (unsigned d = 0; d < rank; ++d)
            if ((done >> d & 1) == 0 && extents[d] > 1 && (least == rank || step(d) < step(least)))
                least = d;
        if (least == rank) return false;
        if (step(least) < reach) return true;
        reach += step(least) * static_cast<std::uint64_t>(extents[least] - 1);
        done |= 1u << least;
    }
    return false;
}

/// Puts an array into its words of the frame.
ExportedStatus put_array(const ExportedParam& p, const std::int64_t* args, std::int64_t* at,
                         Arrays& arrays) {
    const std::int64_t data = args[p.word];
    at[abi::program_word::data] = data;
    std::int64_t low = 0, high = p.bytes;
    if (p.rank > 0) {
        const auto* const shape = pointer<const std::int64_t>(args[p.word + 1]);
        const auto* const given = pointer<const std::int64_t>(args[p.word + 2]);
        if (shape == nullptr) return ExportedStatus::null;
        std::int64_t* const extents = at + abi::program_word::extent(0);
        std::int64_t* const strides = at + abi::program_word::stride(0, p.rank);
        std::memcpy(extents, shape, p.rank * sizeof *shape);
        if (!c_strides(extents, p.rank, p.bytes, strides)) return ExportedStatus::shape;
        if (given != nullptr) std::memcpy(strides, given, p.rank * sizeof *given);
        if (extents[p.rank - 1] > 1 && strides[p.rank - 1] != p.bytes)
            return ExportedStatus::strides;
        bool empty = false;
        for (unsigned d = 0; d < p.rank; ++d) {
            empty = empty || extents[d] == 0;
            if (extents[d] <= 1) continue;
            std::int64_t reach = 0;
            if (__builtin_mul_overflow(extents[d] - 1, strides[d], &reach))
                return ExportedStatus::shape;
            (reach < 0 ? low : high) += reach;
        }
        if (empty) return ExportedStatus::ok;
        if (p.written &&
            overlaps_itself(extents, strides, p.rank, static_cast<std::uint64_t>(p.bytes)))
            return ExportedStatus::overlap;
    }
    if (data == 0) return ExportedStatus::null;
    const auto base = static_cast<std::uintptr_t>(data);
    return arrays.add({base + static_cast<std::uintptr_t>(low),
                       base + static_cast<std::uintptr_t>(high), p.written})
               ? ExportedStatus::ok
               : ExportedStatus::overlap;
}

// ------------------------------------------------------------------------------ programs

ExportedStatus put_all(const ExportedKernel& kernel, const ExportedParam* params,
                       const std::int64_t* args, std::int64_t* at) {
    Arrays arrays;
    for (std::uint32_t i = 0; i < kernel.params; ++i) {
        const ExportedParam& p = params[i];
        switch (p.role) {
            case ExportedRole::value: at[0] = args[p.word]; break;
            case ExportedRole::reference:
                if (args[p.word] == 0) return ExportedStatus::null;
                std::memcpy(at, pointer<const void>(args[p.word]), p.bytes);
                break;
            case ExportedRole::array:
            case ExportedRole::result: {
                const ExportedStatus status = put_array(p, args, at, arrays);
                if (status != ExportedStatus::ok) return status;
                break;
            }
            case ExportedRole::made: break;
        }
        at += words_of(p);
    }
    return ExportedStatus::ok;
}

ExportedStatus call_program(const ExportedKernel& kernel, const ExportedParam* params,
                            const std::int64_t* args) {
    constexpr std::size_t usual_words = 256;
    std::int64_t usual[usual_words];
    const std::size_t count = abi::program_word::params + kernel.frame_words;
    std::int64_t* words = usual;
    if (count > usual_words) {
        words = static_cast<std::int64_t*>(malloc(count * sizeof *words));
        if (words == nullptr) return ExportedStatus::memory;
    }
    ExportedStatus status = put_all(kernel, params, args, words + abi::program_word::params);
    if (status == ExportedStatus::ok) {
        ProgramRun run(kernel, params);
        auto* const frame = new (words) abi::ProgramFrame{&ProgramRun::runtime, &run};
        kernel.entry(frame);
        status = run.status();
    }
    if (words != usual) free(words);
    return status;
}

// ------------------------------------------------------------------------------ maps

constexpr unsigned most_operands = 16;
/// Pieces begin at multiples of as many columns.
constexpr std::int64_t column_unit = 64;

/// One call of an element-wise kernel.
struct Map {
    const ExportedKernel& kernel;
    std::int64_t columns;
    abi::Operand operands[most_operands];
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  // of the fault
    std::int64_t fault = abi::no_fault, column = 0;

    void run(std::int64_t first, std::int64_t last) {
        abi::MapCall<most_operands> call;
        abi::Fault found;
        call.map = {last - first, 1, &found};
        for (unsigned i = 0; i < kernel.params; ++i) {
            call.operands[i] = operands[i];
            call.operands[i].data += first * operands[i].inner;
        }
        kernel.entry(&call.map);
        if (found.code == abi::no_fault) return;
        pthread_mutex_lock(&mutex);
        if (fault == abi::no_fault || first + found.column < column) {
            fault = found.code;
            column = first + found.column;
        }
        pthread_mutex_unlock(&mutex);
    }
};

/// An output may be an input, element by element; any other overlap is none that the code allows for.
bool are_apart(const Map& map, const ExportedParam* params) {
    for (unsigned o = 0; o < map.kernel.params; ++o) {
        if (!params[o].written) continue;
        const auto low = reinterpret_cast<std::uintptr_t>(map.operands[o].data);
        const auto n = static_cast<std::uintptr_t>(map.columns);
        const std::uintptr_t high = low + n * params[o].bytes;
        for (unsigned k = 0; k < map.kernel.params; ++k) {
            if (k == o || params[k].role == ExportedRole::value) continue;
            const auto begin = reinterpret_cast<std::uintptr_t>(map.operands[k].data);
            const std::uintptr_t end = begin + (params[k].rank > 0 ? n : 1) * params[k].bytes;
            const bool in_place = begin == low && params[k].rank > 0 && !params[k].written &&
                                  params[k].bytes == params[o].bytes;
            if (begin < high && low < end && !in_place) return false;
        }
    }
    return true;
}

ExportedStatus call_map(const ExportedKernel& kernel, const ExportedParam* params,
                        const std::int64_t* args) {
    Map map{kernel, args[0], {}};
    if (map.columns < 0) return ExportedStatus::shape;
    if (map.columns == 0) return ExportedStatus::ok;
    for (unsigned i = 0; i < kernel.params; ++i) {
        const ExportedParam& p = params[i];
        auto* const data =
            p.role == ExportedRole::value
                ? reinterpret_cast<std::byte*>(const_cast<std::int64_t*>(args + p.word))
                : pointer<std::byte>(args[p.word]);
        if (data == nullptr) return ExportedStatus::null;
        map.operands[i] = {data, p.rank > 0 ? p.bytes : 0, 0};
    }
    if (!are_apart(map, params)) return ExportedStatus::overlap;
    if (!kernel.threads) {
        map.run(0, map.columns);
    } else {
        const Work work{[](const void* of, std::int64_t first, std::int64_t last) {
                            auto& m = *static_cast<Map*>(const_cast<void*>(of));
                            const std::int64_t end = last * column_unit;
                            m.run(first * column_unit, end < m.columns ? end : m.columns);
                        },
                        &map};
        run_measured((map.columns - 1) / column_unit + 1, true, work);
    }
    return map.fault == abi::no_fault ? ExportedStatus::ok : status_of(map.fault);
}

constexpr const char* texts[] = {
#define KILN_STATUS(id, text) text,
#include "codegen/exported/status.def"
#undef KILN_STATUS
};

}  // namespace
}  // namespace kiln::rt

extern "C" {

int kiln_rt_call_1(const kiln::abi::ExportedKernel* kernel, const std::int64_t* args) {
    using kiln::abi::ExportedStatus;
    if (!kiln::rt::cpu_has(kernel->cpu)) return static_cast<int>(ExportedStatus::cpu);
    const auto* const params = reinterpret_cast<const kiln::abi::ExportedParam*>(kernel + 1);
    const kiln::detail::DefaultEnvironment environment(kiln::detail::FloatFlags::raised,
                                                       kernel->keeps_flush_to_zero);
    const ExportedStatus status = kernel->is_program ? kiln::rt::call_program(*kernel, params, args)
                                                     : kiln::rt::call_map(*kernel, params, args);
    if (kernel->drops_flags) kiln::detail::write_float_word(environment.word());
    return static_cast<int>(status);
}

[[gnu::visibility("default")]] const char* kiln_rt_status_text(int status) {
    constexpr int count = static_cast<int>(std::size(kiln::rt::texts));
    return status >= 0 && status < count ? kiln::rt::texts[status] : "no status of kiln's";
}
}
