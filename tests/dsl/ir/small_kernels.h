// Small kernels for the tests of what goes over kernels: walks, effects, owners of slots, edits.
#pragma once
#include "dsl/ir/text.h"
#include "dsl/ir/walk.h"

#include <string>

namespace kiln::test {

/// A program of two arrays and a value c.
inline ir::Kernel program(const std::string& body, const std::string& slots = {}) {
    return ir::parse("kernel k(x: in f32[1], y: inout f32[1], c: value bool) program {\n" + slots +
                     "  stage [] {\n" + body + "  }\n}\n");
}

/// For one slot, v0.
inline const char* const nested =
    "for %0 = i64(0) to i64(4) step i64(1) {\n"
    "  %1 = load f32 x[%0]\n"
    "  if c {\n store y[%0], %1\n continue\n } else {\n write v0, %1\n }\n"
    "  while {\n %2 = read f32 v0\n %3 = lt bool %2, f32(1)\n } %3 {\n write v0, f32(2)\n"
    "    break\n }\n"
    "}\n";

/// A program that launches a reduction which adds to v0.
inline ir::Kernel launching() {
    return ir::parse(R"(
kernel k(x: in f64[1], y: out f64[1]) program {
  slot v0: f64
  slot v1: f64[4]
  slot v2: f64
  stage [] {
    for %0 = i64(0) to i64(4) step i64(1) {
      launch k0 for i64(0) to i64(4) step i64(1) parallel automatic 0 (sum -> v0) streams (y) (array x[%0] by (1), local v1[i64(0)] by (1), array y[i64(0)] by (1), total sum v0) else {
        write v2, f64(0)
      }
    }
    %1 = read f64 v0
    store y[i64(0)], %1
  }
  k0 = kernel k(a: in f64[1], b: in f64[1], c: out f64[1], total: out f64 unit) reduce {
    slot s: f64
    stage [] {
      write s, f64(-0)
    }
    stage [extent(a, 0)] parallel sum -> s {
      %0 = load f64 a[i0]
      %1 = load f64 b[i0]
      %2 = add f64 %0, %1
      store c[i0], %2
      contribute 0, %2
    }
    stage [] {
      %3 = read f64 s
      store total, %3
    }
  }
}
)");
}

/// The first node of a kind.
inline ir::Id first(const ir::Kernel& k, ir::NodeKind kind) {
    ir::Id found = ir::none;
    ir::walk(k, [&](ir::Id id) {
        if (k.node(id).kind != kind) return ir::Walk::on;
        found = id;
        return ir::Walk::stop;
    });
    return found;
}

}  // namespace kiln::test
