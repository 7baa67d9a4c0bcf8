// What exported objects and the runtime that is linked to them agree on (jit/rt): a description of
// the kernel, and the arguments of its C function as words.
#pragma once
#include "codegen/abi.h"

#include <string>
#include <vector>

namespace kiln::abi {

/// What becomes of a parameter of the kernel in a call of its C function.
enum class ExportedRole : std::uint8_t {
    value,      ///< a word has its bits
    reference,  ///< a word points to it: complex numbers
    array,   ///< its data; of rank r > 0 in programs also its r extents, and r byte strides or null
    result,  ///< a word points to where the one element goes
    made,    ///< by the kernel itself
};

struct ExportedParam {
    ExportedRole role = ExportedRole::value;
    std::uint8_t rank = 0;  ///< of maps 1 where each element has its own
    bool written = false;
    std::uint8_t unused = 0;
    std::uint16_t word = 0;   ///< of the arguments: its first one
    std::uint16_t bytes = 0;  ///< of one element
};
static_assert(sizeof(ExportedParam) == word_bytes);

/// The x86-64 level whose instructions the code uses.
enum class ExportedCpu : std::uint8_t { v2, v3, v4 };

/// What the C function returns.
enum class ExportedStatus : std::int32_t {
#define KILN_STATUS(id, text) id,
#include "codegen/exported/status.def"
#undef KILN_STATUS
};

/// Followed in memory by `params` ExportedParams. The first argument of a map is the number of its
/// elements.
struct ExportedKernel {
    void (*entry)(const void* frame);  ///< a MapFunction or ProgramFunction
    std::uint32_t params;
    std::uint32_t frame_words;  ///< of programs: those of all parameters
    bool is_program, threads, drops_flags, keeps_flush_to_zero;
    ExportedCpu cpu;
    std::uint8_t unused[3];
};
static_assert(sizeof(ExportedKernel) == 3 * word_bytes &&
              offsetof(ExportedKernel, params) == word_bytes);

/// What the C function calls: int(const ExportedKernel*, const std::int64_t* arguments). A change of
/// what it is given changes its name, so that objects and runtimes of different versions don't link.
inline constexpr const char* exported_call = "kiln_rt_call_1";

/// The types of C's parameters.
enum class ExportedWord : std::uint8_t { boolean, i8, i16, i32, i64, f32, f64, pointer };

/// A C function, as it is added to the module of a kernel.
struct ExportedFunction {
    std::string symbol;
    std::vector<ExportedWord> words;  ///< one an argument
    ExportedKernel kernel = {};       ///< but for its entry
    std::vector<ExportedParam> params;
};

}  // namespace kiln::abi
