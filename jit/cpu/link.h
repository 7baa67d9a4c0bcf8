// From an object file to code in memory.
#pragma once
#include "jit/cpu/code_memory.h"

#include <llvm/Support/MemoryBufferRef.h>

#include <string>

namespace kiln::engine {

/// Machine code in memory, as long as the object.
struct LinkedCode {
    CodeSpace::Block memory;
    void* entry = nullptr;
};

/// Links objects one by one: nothing of one is known to another, so that nothing is left of one
/// whose code is gone. Thread-safe.
class Linker {
  public:
    Linker();
    /// Errors: internal (the object calls what is not in this process), usage (out of memory).
    LinkedCode link(llvm::MemoryBufferRef object, const std::string& entry);
    const CodeSpace& space() const { return space_; }

  private:
    class Memory;
    class Context;
    void* find(const std::string& symbol) const;

    CodeSpace space_;
    void* sleef_ = nullptr;
};

}  // namespace kiln::engine
