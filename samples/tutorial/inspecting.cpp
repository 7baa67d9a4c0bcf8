// Chapter 8: what became of a kernel.
#include "check.h"

#include <kiln/kiln.h>

#include <string>
using namespace kiln;

int main() {
    const auto f = jit("f",
                       [](In a, Out b) {
                           for (Index i : prange(a.extent(0))) b(i) = 2 * a(i);
                           for (Index i : prange(a.extent(0))) b(i) += 1;
                           for (Index i : range(1, a.extent(0))) b(i) += 0.5 * b(i - 1);
                       },
                       {.parallel = true});

    // The plan says by line what was done, and why no more was. No call is needed.
    const std::string plan = f.inspect(Artifact::plan, {f64[1], f64[1]});
    std::puts(plan.c_str());
    check(plan.find("fused") != plan.npos, "the first two loops became one");
    check(plan.find("not lanes") != plan.npos, "the third one is serial, and says why");

    // Each stage as text: ir, passes, llvm, llvm_opt, assembly (with lines: assembly_lines), cfg, cuda, ptx.
    check(f.inspect(Artifact::ir, {f64[1], f64[1]}).find("kernel f") == 0,
          "the kernel as it was traced");
    check(f.inspect(Artifact::assembly, {f64[1], f64[1]}).find("ret") != std::string::npos,
          "machine code");

    // After calls: remarks by line, counters and times.
    const Array x = arange(8.0), y = zeros({8});
    f(x, y);
    f(x, y);
    for (const Remark& r : f.remarks()) std::printf("%u: %s\n", r.line, r.text.c_str());
    const Stats s = f.stats();
    std::printf("trace %.2f ms, passes %.2f, code %.2f\n", s.trace_ms, s.passes_ms, s.total_ms());
    check(s.hits >= 1 && s.compiles + s.loads >= 1, "the second call found its code");
}
