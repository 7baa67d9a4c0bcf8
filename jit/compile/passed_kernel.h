// What passes made of kernels, as bytes: so that the next process runs none.
#pragma once
#include "jit/compile/lowered.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln::engine {

/// All that it depends on what passes make of a kernel, names and lines too: equal keys are of equal
/// inputs. It begins with the target's name, as other keys of the disk cache do.
std::string passed_key(const LoweringInput& input);

/// A kernel after its passes, all but what they had to say.
struct PassedKernel {
    ir::Kernel kernel;
    CompileOptions options;
    std::string key;  ///< content_key
    bool operator==(const PassedKernel&) const = default;
};
std::vector<std::byte> bytes_of(const PassedKernel& passed);
/// Nothing where the bytes are not those of a kernel. That they are the ones which were written is the
/// disk cache's to know: what they say is not checked.
std::optional<PassedKernel> passed_kernel_of(std::span<const std::byte> bytes);

}  // namespace kiln::engine
