// Code that says what it touches.
#pragma once
#include <llvm/IR/Module.h>

#include <string>
#include <vector>

namespace kiln::sim {

struct SharedSymbol {
    std::string name, symbol;
    std::size_t bytes;
};

/// Shared variables get room behind them, so that what lies beyond one is none, and names by which they
/// are found. Before the optimisers, which would drop one that is only written.
std::vector<SharedSymbol> export_shared_variables(llvm::Module& module);

/// Puts a call of kiln_sim_access before each load and store that is watched: in functions with the
/// attribute sanitize_thread, of memory that is no variable of the function.
void watch_accesses(llvm::Module& module);

}  // namespace kiln::sim
