// A program with a kernel from a lambda, and one from a text, to be stopped in.
#include <kiln/kiln.h>
#include <kiln/text.h>

#include <cstdio>

using namespace kiln;

int main(int, char** arguments) {
    Array x = arange(4).astype(f64);
    auto weighted = jit("weighted", [](In a) -> Value {
        Var total(f64, 0.5);
        for (Index k : range(a.extent(0))) {
            Value term = 10 * a(k);
            total += term * term;
        }
        return total;
    });
    auto area = vectorize("area", [](Value w, Value h) {
        Value both = w * h;
        return both + 1;
    });
    auto mean = text::jit<Scalar>(text::Source::file(arguments[1]), "mean");
    std::printf("%g %g %g\n", weighted(x).get<double>(), area(x, x).at<double>({3}),
                mean(x).get<double>());
    return 0;
}
