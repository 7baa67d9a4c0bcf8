// The NPBench kernels as a library for npbench.py: make a kernel, bind arrays, run it.
#include <kiln/kiln.h>

#include "tests/bench/npbench/algebra.h"
#include "tests/bench/npbench/points.h"
#include "tests/bench/npbench/stencils.h"
#if __has_include( \
    <kiln/array_functions.h>)  // earlier installs are measured with the other kernels
#include "tests/bench/npbench/whole_arrays.h"
#endif

#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace kiln;

namespace {

/// What a run gets: the arrays of the case, in its order, and its scalars.
struct Bound {
    std::vector<Array> a;
    std::vector<double> s;
    std::int64_t integer(std::size_t i) const { return static_cast<std::int64_t>(s[i]); }
};
using Runner = std::function<void(Bound&)>;
using Maker = std::function<Runner(bool parallel)>;

JitOptions fast(bool parallel) { return {.fastmath = true, .parallel = parallel}; }
UfuncOptions fast_map(bool parallel) { return {.fastmath = true, .parallel = parallel}; }

const std::map<std::string, Maker> makers{
    {"adi",
     [](bool p) { return [k = npbench::adi(fast(p))](Bound& b) { k(b.integer(0), b.a[0]); }; }},
    {"arc_distance",
     [](bool p) {
         return [k = npbench::arc_distance(fast_map(p))](Bound& b) {
             k(b.a[0], b.a[1], b.a[2], b.a[3], {.out = b.a[4]});
         };
     }},
    {"azimint_hist",
     [](bool p) {
         return
             [k = npbench::azimint_hist({.parallel = p})](Bound& b) { k(b.a[0], b.a[1], b.a[2]); };
     }},
    {"azimint_naive",
     [](bool p) {
         return [k = npbench::azimint_naive(fast(p))](Bound& b) { k(b.a[0], b.a[1], b.a[2]); };
     }},
    {"compute",
     [](bool p) {
         return [k = npbench::compute(fast_map(p))](Bound& b) {
             k(b.a[0], b.a[1], b.integer(0), b.integer(1), b.integer(2), {.out = b.a[2]});
         };
     }},
    {"conv2d_bias",
     [](bool p) {
         // Its code depends on the number of output channels.
         using Kernel = decltype(npbench::conv2d_bias(1, {}));
         return [p, kernels = std::map<std::int64_t, Kernel>()](Bound& b) mutable {
             const std::int64_t channels = b.a[3].shape()[3];
             auto at = kernels.find(channels);
             if (at == kernels.end())
                 at = kernels.emplace(channels, npbench::conv2d_bias(channels, fast(p))).first;
             at->second(b.a[0], b.a[1], b.a[2], b.a[3]);
         };
     }},
    {"crc16",
     [](bool p) {
         return [k = npbench::crc16(fast(p))](Bound& b) {
             b.a[1].at<std::int64_t>({0}) = k(b.a[0], b.integer(0)).get<std::uint32_t>();
         };
     }},
    {"deriche",
     [](bool p) {
         return [k = npbench::deriche(fast(p))](Bound& b) { k(b.s[0], b.a[0], b.a[1]); };
     }},
    {"fdtd_2d",
     [](bool p) {
         return [k = npbench::fdtd_2d(fast(p))](Bound& b) { k(b.a[0], b.a[1], b.a[2], b.a[3]); };
     }},
    {"floyd_warshall",
     [](bool p) { return [k = npbench::floyd_warshall(fast(p))](Bound& b) { k(b.a[0]); }; }},
    {"go_fast",
     [](bool p) {
         return [trace = npbench::trace_of_tanh(fast(p)), plus = npbench::plus(fast_map(p))](
                    Bound& b) { plus(b.a[0], trace(b.a[0]), {.out = b.a[1]}); };
     }},
    {"hdiff",
     [](bool p) { return [k = npbench::hdiff(fast(p))](Bound& b) { k(b.a[0], b.a[1], b.a[2]); }; }},
    {"heat_3d",
     [](bool p) {
         return [k = npbench::heat_3d(fast(p))](Bound& b) { k(b.integer(0), b.a[0], b.a[1]); };
     }},
    {"jacobi_1d",
     [](bool p) {
         return [k = npbench::jacobi_1d(fast(p))](Bound& b) { k(b.integer(0), b.a[0], b.a[1]); };
     }},
    {"jacobi_2d",
     [](bool p) {
         return [k = npbench::jacobi_2d(fast(p))](Bound& b) { k(b.integer(0), b.a[0], b.a[1]); };
     }},
    {"mandelbrot1",
     [](bool p) {
         return [k = npbench::mandelbrot1({.parallel = p})](Bound& b) {
             k(b.a[0], b.a[1], b.integer(0), b.s[1], {.outs = {b.a[2], b.a[3]}});
         };
     }},
    {"nbody",
     [](bool p) {
         return [k = npbench::nbody(fast(p))](Bound& b) {
             k(b.a[0], b.a[1], b.a[2], b.s[0], b.s[1], b.s[2], b.a[3], b.a[4]);
         };
     }},
    {"nussinov",
     [](bool p) { return [k = npbench::nussinov(fast(p))](Bound& b) { k(b.a[0], b.a[1]); }; }},
    {"seidel_2d",
     [](bool p) {
         return [k = npbench::seidel_2d(fast(p))](Bound& b) { k(b.integer(0), b.a[0]); };
     }},
    {"softmax",
     [](bool p) { return [k = npbench::softmax(fast(p))](Bound& b) { k(b.a[0], b.a[1]); }; }},
    {"spmv",
     [](bool p) {
         return
             [k = npbench::spmv(fast(p))](Bound& b) { k(b.a[0], b.a[1], b.a[2], b.a[3], b.a[4]); };
     }},
    {"vadv",
     [](bool p) {
         return [k = npbench::vadv({.parallel = p})](Bound& b) {
             k(b.a[0], b.a[1], b.a[2], b.a[3], b.a[4], b.s[0]);
         };
     }},
#if __has_include(<kiln/array_functions.h>)
    {"cholesky", [](bool p) { return [k = npbench::cholesky(fast(p))](Bound& b) { k(b.a[0]); }; }},
    {"ludcmp",
     [](bool p) {
         return [k = npbench::ludcmp(fast(p))](Bound& b) { k(b.a[0], b.a[1], b.a[2], b.a[3]); };
     }},
    {"durbin",
     [](bool p) { return [k = npbench::durbin(fast(p))](Bound& b) { k(b.a[0], b.a[1]); }; }},
    {"correlation",
     [](bool p) {
         return [k = npbench::correlation(fast(p))](Bound& b) { k(b.a[0], b.a[1], b.s[0]); };
     }},
    {"scattering_self_energies",
     [](bool p) {
         return [k = npbench::scattering_self_energies(fast(p))](Bound& b) {
             k(b.a[0], b.a[1], b.a[2], b.a[3], b.a[4]);
         };
     }},
    {"lenet",
     [](bool p) {
         return [k = npbench::lenet(fast(p))](Bound& b) {
             const auto& a = b.a;
             k(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
         };
     }},
    {"resnet",
     [](bool p) {
         return [k = npbench::resnet(fast(p))](Bound& b) {
             k(b.a[0], b.a[1], b.a[2], b.a[3], b.a[4]);
         };
     }},
    {"mandelbrot2",
     [](bool p) {
         return [k = npbench::Mandelbrot2{p}](Bound& b) {
             k(b.a[0], b.a[1], b.integer(0), b.s[1], b.a[2], b.a[3]);
         };
     }},
#endif
};

const std::map<std::string, DType> dtypes{{"float32", f32},    {"float64", f64}, {"int32", i32},
                                          {"int64", i64},      {"uint8", u8},    {"uint32", u32},
                                          {"complex128", c128}};

struct Handle {
    Runner run;
    Bound bound;
};

template <class F> auto guarded(F f) -> decltype(f()) {
    try {
        return f();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return {};
    }
}

}  // namespace

/// An array of the caller's: shape in elements, C order.
struct Buffer {
    void* data;
    const char* dtype;  // NumPy's name
    std::int64_t rank;
    std::int64_t shape[8];
};

/// A kernel that is not compiled yet, or null where the name is unknown.
extern "C" void* npbench_make(const char* name, int parallel) {
    return guarded([&]() -> void* {
        const auto at = makers.find(name);
        return at == makers.end() ? nullptr : new Handle{at->second(parallel != 0), {}};
    });
}

extern "C" int npbench_bind(void* handle, const Buffer* buffers, std::int64_t count,
                            const double* scalars, std::int64_t scalar_count) {
    return guarded([&] {
        auto& bound = static_cast<Handle*>(handle)->bound;
        bound.a.clear();
        for (std::int64_t i = 0; i < count; ++i) {
            const Buffer& b = buffers[i];
            const Shape shape(std::span(b.shape, static_cast<std::size_t>(b.rank)));
            const DType dtype = dtypes.at(b.dtype);
            Shape strides = shape;
            auto step = static_cast<std::int64_t>(size_of(dtype));
            for (int d = shape.rank() - 1; d >= 0; --d) {
                strides[d] = step;
                step *= shape[d];
            }
            bound.a.push_back(Array::from_memory(b.data, dtype, shape, strides));
        }
        bound.s.assign(scalars, scalars + scalar_count);
        return 1;
    });
}

/// The nanoseconds of `repeats` calls, or 0 where one failed.
extern "C" std::int64_t npbench_run(void* handle, std::int64_t repeats) {
    return guarded([&] {
        auto& h = *static_cast<Handle*>(handle);
        const auto start = std::chrono::steady_clock::now();
        for (std::int64_t r = 0; r < repeats; ++r) h.run(h.bound);
        return std::chrono::duration_cast<std::chrono::nanoseconds>(
                   std::chrono::steady_clock::now() - start)
            .count();
    });
}
