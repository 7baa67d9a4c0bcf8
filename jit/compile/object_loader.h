// From an object file to code in memory, without LLVM.
#pragma once
#include "jit/compile/code_memory.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::engine {

/// Machine code in memory, as long as the object.
struct LoadedCode {
    CodeSpace::Block memory;
    void* entry = nullptr;
};

/// Where in this process a function is that code calls by this name; null: nowhere.
void* find_function(const std::string& symbol);

/// Loads what LLVM writes for one kernel: ELF of x86-64, relocatable, position independent, code and
/// constants without variables of its own. Whatever the bytes are, nothing beyond them is read and
/// nothing but the block is written; what they say is another matter: code is as trustworthy as
/// where it is from. Nothing unwinds through it, so tables for that are left out. Objects know
/// nothing of one another. Thread-safe.
/// Errors: internal (malformed; a relocation, section or symbol of another kind; a function that is
/// not in this process; no function `entry`), usage (out of memory).
/// `placed`: gets the object with the addresses of its sections, as debuggers read it.
LoadedCode load_object(std::span<const std::byte> object, std::string_view entry, CodeSpace& space,
                       std::vector<std::byte>* placed = nullptr);

}  // namespace kiln::engine
