// Generated texts with the user's lines between them.
#pragma once
#include <string>

namespace llvm {
class Module;
}

namespace kiln::engine {

/// Assembler with `.loc` directives: before instructions of another line "# file.cpp:12: text", vector
/// instructions with "| " in front, and neither data nor directives.
std::string assembly_listing(const std::string& assembly);

/// The same of a module with debug information, which it loses: "; file.cpp:12: text".
std::string llvm_listing(llvm::Module& module);

/// A graph for Graphviz of the basic blocks of each function, with their instructions.
std::string flow_graph(llvm::Module& module);

}  // namespace kiln::engine
