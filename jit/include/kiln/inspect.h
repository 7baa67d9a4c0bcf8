// What kiln shows of its work: generated texts, remarks, counters.
#pragma once
#include <kiln/error.h>
#include <kiln/remark.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kiln {

/// The texts that `inspect` gives: one for each row of artifacts.def, which tells what each is. A
/// plan as JSON is an artifact of its own, plan_json.
enum class Artifact : std::uint8_t {
#define KILN_ARTIFACT(id, maker, doc) id,
#include <kiln/artifacts.def>
#undef KILN_ARTIFACT
};

/// Counters of one kernel, or of the process (`kiln::stats()`).
struct Stats {
    std::uint64_t compiles = 0;  ///< kernels compiled
    std::uint64_t loads = 0;     ///< kernels whose code was in the disk cache
    std::uint64_t hits = 0;      ///< calls that found their code
    std::uint64_t misses = 0;    ///< calls that had to specialise (compile, or share equal code)
    double trace_ms = 0;         ///< milliseconds, summed over compiles and loads
    double passes_ms = 0;        ///< the passes over the IR
    double disk_ms = 0;          ///< reading and writing the disk cache
    double load_ms = 0;          ///< opening the compiler's libraries
    double emit_ms = 0;          ///< making LLVM IR
    double optimize_ms = 0;      ///< LLVM's passes
    double codegen_ms = 0;       ///< machine code of it
    double link_ms = 0;          ///< loading that
    double total_ms() const {    ///< of all these
        return trace_ms + passes_ms + disk_ms + load_ms + emit_ms + optimize_ms + codegen_ms +
               link_ms;
    }
};

/// The counters of all kernels of this process so far, of whatever kind: also those of reductions,
/// scans and statistics that are kiln's own. `compiles` counts
/// machine code that was made: kernels that come to equal code share one compile. Calls through
/// `bind` handles are not counted.
Stats stats();

}  // namespace kiln
