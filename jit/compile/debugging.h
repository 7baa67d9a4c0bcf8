// What debuggers and profilers are told of compiled kernels.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kiln::engine {

enum class Debugging : std::uint8_t {
    off,
    profiler,  ///< KILN_PERF=1: lines of the code that runs always, a perf map and a jitdump
    debugger,  ///< KILN_DEBUG=1: code of single steps, variables in memory, known to gdb
};
/// As the environment was when the process first asked.
Debugging debugging();

/// Tells the debugger of code as long as it lives (GDB's JIT interface): an object file whose sections
/// have the addresses that they are loaded at.
class DebuggerEntry {
  public:
    explicit DebuggerEntry(std::vector<std::byte> object);
    ~DebuggerEntry();
    DebuggerEntry(const DebuggerEntry&) = delete;
    DebuggerEntry& operator=(const DebuggerEntry&) = delete;

  private:
    struct Known;
    std::unique_ptr<Known> known_;
};

/// A line of the user's text that code from `offset` on belongs to.
struct CodeLine {
    std::uint64_t offset = 0;  ///< from the function's begin
    std::uint32_t line = 0;
    std::string file;
};
/// A function of an object file.
struct CodeFunction {
    std::string name;
    std::uint64_t address = 0;
    std::uint64_t size = 0;
    std::vector<CodeLine> lines;
};

/// Adds functions to perf-<process>.map, which `perf report` finds by itself, and to
/// jit-<process>.dump in KILN_PERF_DIR, else the current folder, which `perf inject --jit` makes
/// objects of. Errors: io.
void tell_profiler(std::span<const CodeFunction> functions);

}  // namespace kiln::engine
