#include "dsl/ir/ir.h"

#include <cassert>

namespace kiln::ir {

Scalar Kernel::constant(Id id) const {
    const Node& n = nodes[id];
    assert(n.kind == NodeKind::constant && !is_complex(n.dtype));
    Scalar value;
    value.dtype = n.dtype;
    value.weak = n.weak;
    std::memcpy(value.bytes.data(), &n.imm, size_of(n.dtype));
    return value;
}

}  // namespace kiln::ir
