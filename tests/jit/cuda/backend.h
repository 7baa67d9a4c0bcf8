// A CUDA backend of a test's own, and a kernel for it.
#pragma once
#include "jit/compile/backend.h"
#include "tests/codegen/kernels.h"

#include <memory>

extern "C" kiln::engine::Backend* kiln_make_cuda_backend();

namespace kiln::test {

inline std::unique_ptr<engine::Backend> make() {
    return std::unique_ptr<engine::Backend>(kiln_make_cuda_backend());
}

inline ir::Kernel saxpy() {
    return kernel(
        map_text("a: in f32[1] uniform, x: in f32[1] unit, y: out f32[1] unit",
                 "    %0 = load f32 a[i0]\n    %1 = load f32 x[i0]\n    %2 = mul f32 %0, %1\n"
                 "    store y[i0], %2\n"));
}

}  // namespace kiln::test
