// A program that does next to nothing: what a process costs. With KILN_STARTUP it makes an array
// and a ufunc and links libkiln, which opens LLVM only when something is compiled.
#include <cstdio>

#ifdef KILN_STARTUP
#include <kiln/kiln.h>
#endif

int main() {
#ifdef KILN_STARTUP
    const kiln::Array x = kiln::ones({8}, kiln::f64);
    const auto f = kiln::vectorize("twice", [](kiln::Value v) { return v + v; });
    std::printf("%d %s\n", static_cast<int>(x.size()), f.name().c_str());
#else
    std::printf("%d %s\n", 8, "twice");
#endif
}
