// Makes heat.o and heat.h in the current folder, for a program without kiln: exported/.
#include <kiln/kiln.h>
using namespace kiln;

int main() {
    const auto heat = jit("heat",
                          [](In now, Out next, Value c) {
                              for (Index i : prange(1, now.extent(0) - 1))
                                  for (Index j : range(1, now.extent(1) - 1))
                                      next(i, j) = now(i, j) + c * (now(i - 1, j) + now(i + 1, j) +
                                                                    now(i, j - 1) + now(i, j + 1) -
                                                                    4 * now(i, j));
                          },
                          {.parallel = true, .params = {"now", "next", "c"}});
    heat.export_object({f64[2], f64[2], f64}, "heat.o");
}
