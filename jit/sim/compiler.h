// CUDA text as code of this CPU: Clang reads it behind language.h, LLVM makes the code, in which each
// access to memory says first what it touches.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace kiln::sim {

/// language.h, as text.
extern const char* const language;

struct SharedVariable {
    std::string name;
    const void* at;
    std::size_t bytes;
};

using Entry = void (*)(void**);  ///< takes the addresses of arguments

/// The functions of one text, as long as the object lives.
class Code {
  public:
    virtual ~Code() = default;
    virtual Entry function(std::size_t index) const = 0;
    /// Of parameter k; 0 beyond the last.
    virtual std::size_t parameter_bytes(std::size_t index, unsigned k) const = 0;
    virtual const std::vector<SharedVariable>& shared() const = 0;
};

/// `functions`: names of extern "C" __global__ functions. Errors: internal, with what Clang says.
std::unique_ptr<Code> compile(const std::string& text, const std::vector<std::string>& functions);

}  // namespace kiln::sim
