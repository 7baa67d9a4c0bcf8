// A bound signature has values, spans and references: pointers carry no size.
// expect: kiln: bind takes values, std::span<const T>, std::span<T> and T&
#include <kiln/vectorize.h>

using namespace kiln;

auto f = vectorize([](Value x) { return x; });
auto good() { return f.bind<void(std::span<const float>, std::span<float>)>(); }
#ifdef KILN_FAIL
auto bad() { return f.bind<void(const float*, float*)>(); }
#endif
