// Runs a kernel node by node: the oracle that backends and passes are compared with. Slow, serial,
// and as close to the semantics at the head of ir.h as code can be.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>
#include <vector>

namespace kiln::oracle {

/// An array argument: element (i, j, ...) is at data + i * strides[0] + j * strides[1] + ...
struct Buffer {
    std::byte* data = nullptr;
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;  ///< in bytes
};

/// What one parameter of a kernel gets: `buffer` for arrays, `scalar` for access `value`.
struct Argument {
    Buffer buffer;
    Scalar scalar;

    static Argument value(const Scalar& scalar) { return {{}, scalar}; }
    static Argument array(void* data, std::vector<std::int64_t> shape,
                          std::vector<std::int64_t> strides) {
        return {{static_cast<std::byte*>(data), std::move(shape), std::move(strides)}, {}};
    }
    /// A C-contiguous array of elements of `dtype`.
    static Argument array(void* data, DType dtype, std::vector<std::int64_t> shape);
    /// All elements of a vector; T is the parameter's element type.
    template <class T> static Argument of(std::vector<T>& elements) {
        return array(elements.data(), dtype_of<T>, {static_cast<std::int64_t>(elements.size())});
    }
};

/// The first check that failed in the lowest iteration that failed.
struct Fault {
    ir::Check check;
    std::size_t stage;
    std::vector<std::int64_t> iteration;
    Location location;
};

/// Runs all stages. Reductions combine serially, starting from the slot's value; iterations run in
/// row-major order. A subscript outside of its array, arguments that do not fit the parameters and
/// array values that do not broadcast throw Error.
std::optional<Fault> interpret(const ir::Kernel& kernel, std::span<const Argument> arguments);

}  // namespace kiln::oracle
