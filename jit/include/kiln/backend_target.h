// Where kernels run.
#pragma once
#include <cstdint>

namespace kiln {

/// Where a kernel runs: a row of backends.def each.
enum class BackendTarget : std::uint8_t {
#define KILN_BACKEND(id, library, factory, doc) id,
#include <kiln/backends.def>
#undef KILN_BACKEND
};

}  // namespace kiln
