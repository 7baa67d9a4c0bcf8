// The kernels of the GPU targets, as PTX files in a folder: what limits.py reads. Needs NVRTC, and no
// device; KILN_CUDA_ARCH says for which.
//
//     texts FOLDER
#include <kiln/kiln.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

using namespace kiln;

namespace {

std::string folder;

template <class K>
void write(const char* name, const K& kernel, const std::vector<ArgType>& types) {
    std::ofstream(folder + "/" + name + ".ptx") << kernel.inspect(Artifact::ptx, types);
    std::ofstream(folder + "/" + name + ".cu") << kernel.inspect(Artifact::cuda, types);
}

Value normal_cdf(Value x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

void element_wise() {
    write("G1 triad f64",
          jit("triad",
              [](In b, In c, Out a, Value s) {
                  for (Index i : prange(a.extent(0))) a(i) = b(i) + s * c(i);
              }),
          {f64[1], f64[1], f64[1], f64});
    write("G2 twelve operations f32",
          jit("twelve",
              [](In x, In y, Out z) {
                  z = sqrt(abs((x + y) * (x - y) + x * y * 0.5f)) * (x * x + 1.0f) -
                      y / (x * x + 2.0f);
              }),
          {f32[1], f32[1], f32[1]});
    const auto black_scholes = jit("black_scholes", [](In s, In k, In t, Out call, Out put) {
        for (Index i : prange(s.extent(0))) {
            const Value r = 0.02, v = 0.3, root = sqrt(t(i));
            const Value d1 = (log(s(i) / k(i)) + (r + 0.5 * v * v) * t(i)) / (v * root);
            const Value d2 = d1 - v * root, discounted = k(i) * exp(-r * t(i));
            const Value n1 = normal_cdf(d1), n2 = normal_cdf(d2);
            call(i) = s(i) * n1 - discounted * n2;
            put(i) = discounted * (1.0 - n2) - s(i) * (1.0 - n1);
        }
    });
    const auto of = [](DType t) { return ArgType{t, 1}; };
    write("G3 Black-Scholes f64", black_scholes, {of(f64), of(f64), of(f64), of(f64), of(f64)});
    const auto single = jit("black_scholes_f32", [](In s, In k, In t, Out call, Out put) {
        for (Index i : prange(s.extent(0))) {
            const float r = 0.02f, v = 0.3f;
            const Value root = sqrt(t(i));
            const Value d1 = (log(s(i) / k(i)) + (r + 0.5f * v * v) * t(i)) / (v * root);
            const Value d2 = d1 - v * root, discounted = k(i) * exp(-r * t(i));
            const Value n1 = 0.5f * erfc(d1 * -0.70710678f), n2 = 0.5f * erfc(d2 * -0.70710678f);
            call(i) = s(i) * n1 - discounted * n2;
            put(i) = discounted * (1.0f - n2) - s(i) * (1.0f - n1);
        }
    });
    write("G3 Black-Scholes f32", single, {of(f32), of(f32), of(f32), of(f32), of(f32)});
}

void reductions() {
    write("G4 sum f32",
          jit("total",
              [](In x) -> Value {
                  Var s(f32, 0);
                  for (Index i : prange(x.extent(0))) s += x(i);
                  return s;
              }),
          {f32[1]});
    write("G4 argmax f32",
          jit("largest",
              [](In x) {
                  Var most(f32, -1e30f), at(i64, 0);
                  for (Index i : prange(x.extent(0))) reduce_argmax(most, at, x(i), i);
                  return std::tuple(Value(most), Value(at));
              }),
          {f32[1]});
    write("G4 sum over axis 0 f32", jit("columns", [](In x, Out y) { y = x.sum({.axis = 0}); }),
          {f32[2], f32[1]});
    write("G4 sum over axis 1 f32", jit("rows", [](In x, Out y) { y = x.sum({.axis = 1}); }),
          {f32[2], f32[1]});
}

void loops() {
    write("G5 heat f32",
          jit("heat",
              [](In u, Out v) {
                  for (Index i : prange(1, u.extent(0) - 1))
                      for (Index j : range(1, u.extent(1) - 1))
                          for (Index k : range(1, u.extent(2) - 1))
                              v(i, j, k) = u(i, j, k) + 0.1f * (u(i - 1, j, k) + u(i + 1, j, k) +
                                                                u(i, j - 1, k) + u(i, j + 1, k) +
                                                                u(i, j, k - 1) + u(i, j, k + 1) -
                                                                6.0f * u(i, j, k));
              }),
          {f32[3], f32[3]});
    const auto mandelbrot = [](const char* name, DType t) {
        return jit(name, [t](Out steps, Value scale) {
            for (Index row : prange(steps.extent(0)))
                for (Index col : range(steps.extent(1))) {
                    const Value cx = cast(t, col) * scale - cast(t, 2),
                                cy = cast(t, row) * scale - cast(t, 1);
                    Var x(t, 0), y(t, 0), n(i32, 0);
                    while_(n < 256 && x * x + y * y <= cast(t, 4), [&] {
                        const Value next = x * x - y * y + cx;
                        y = (x + x) * y + cy;
                        x = next;
                        n += 1;
                    });
                    steps(row, col) = n;
                }
        });
    };
    write("G6 mandelbrot f32", mandelbrot("mandelbrot_f32", f32), {i32[2], f32});
    write("G6 mandelbrot f64", mandelbrot("mandelbrot_f64", f64), {i32[2], f64});
    write("G7 gravity f32",
          jit("gravity",
              [](In x, In y, In z, In m, Out ax, Out ay, Out az) {
                  for (Index i : prange(x.extent(0))) {
                      Var sx(f32, 0), sy(f32, 0), sz(f32, 0);
                      for (Index j : range(x.extent(0))) {
                          const Value dx = x(j) - x(i), dy = y(j) - y(i), dz = z(j) - z(i);
                          const Value d = dx * dx + dy * dy + dz * dz + 1e-3f;
                          const Value f = m(j) / (d * sqrt(d));
                          sx += f * dx;
                          sy += f * dy;
                          sz += f * dz;
                      }
                      ax(i) = sx;
                      ay(i) = sy;
                      az(i) = sz;
                  }
              }),
          {f32[1], f32[1], f32[1], f32[1], f32[1], f32[1], f32[1]});
    write("G8 axpy f32",
          jit("axpy",
              [](In x, InOut y, Value a) {
                  for (Index i : prange(x.extent(0))) y(i) = a * x(i) + y(i);
              }),
          {f32[1], f32[1], f32});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: texts FOLDER\n");
        return 2;
    }
    folder = argv[1];
    try {
        element_wise();
        reductions();
        loops();
    } catch (const Error& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    return 0;
}
