// Loop kernels on pictures, grids and data: each program of the table at the end, beside the plain
// C++ loop. Pictures go to the current folder.
//
// usage: fields [--small | --full] [name...]
#include <kiln/kiln.h>
#include <kiln/memory.h>
#include <kiln/npy.h>

#include <png.h>
#include <algorithm>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "loops.h"

using namespace kiln;
using samples::Size;

namespace {

/// Writes a field as a picture: black where it is `low`, white where it is `high`.
void write_png(const std::string& path, const Array& field, double low, double high) {
    const Array values = field.astype(f64).contiguous();
    const auto v = values.span<const double>();
    std::vector<std::uint8_t> grey(v.size());
    for (std::size_t i = 0; i < v.size(); ++i)
        grey[i] = static_cast<std::uint8_t>(
            std::lround(255 * std::clamp((v[i] - low) / (high - low), 0.0, 1.0)));
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    png.height = static_cast<png_uint_32>(field.extent(0));
    png.width = static_cast<png_uint_32>(field.extent(1));
    png.format = PNG_FORMAT_GRAY;
    if (!png_image_write_to_file(&png, path.c_str(), 0, grey.data(), 0, nullptr))
        throw std::runtime_error(path + ": " + png.message);
    std::printf("== picture: %s\n", path.c_str());
}

// ------------------------------------------------------------------------------------ Mandelbrot
// set

const auto mandelbrot =
    jit("mandelbrot",
        [](Out steps, Value limit) {
            const Value height = steps.extent(0), width = steps.extent(1);
            for (Index row : prange(height))
                for (Index column : range(width)) {
                    const Value cx = cast<double>(column) * 3.0 / cast<double>(width) - 2.0;
                    const Value cy = cast<double>(row) * 2.5 / cast<double>(height) - 1.25;
                    Var x(f64, 0), y(f64, 0);
                    Var n(i32, 0);
                    while_([&] { return n < limit && x * x + y * y <= 4.0; },
                           [&] {
                               const Value next = x * x - y * y + cx;
                               y = 2.0 * x * y + cy;
                               x = next;
                               n += 1;
                           });
                    steps(row, column) = n;
                }
        },
        {.parallel = true});

bool run_mandelbrot(Size size) {
    const std::int64_t width = samples::pick(size, 96, 768, 1536), height = width * 5 / 6;
    const std::int32_t limit = 256;
    const Array steps = empty({height, width}, i32);
    std::vector<std::int32_t> want(static_cast<std::size_t>(width * height));
    const auto plain = [&] {
        for (std::int64_t row = 0; row < height; ++row)
            for (std::int64_t column = 0; column < width; ++column) {
                const double cx =
                    static_cast<double>(column) * 3.0 / static_cast<double>(width) - 2.0;
                const double cy =
                    static_cast<double>(row) * 2.5 / static_cast<double>(height) - 1.25;
                double x = 0, y = 0;
                std::int32_t n = 0;
                for (; n < limit && x * x + y * y <= 4.0; ++n) {
                    const double next = x * x - y * y + cx;
                    y = 2.0 * x * y + cy;
                    x = next;
                }
                want[static_cast<std::size_t>(row * width + column)] = n;
            }
    };
    plain();
    mandelbrot(steps, limit);
    // -march=native lets the plain loop round less often, which tells next to the border.
    std::size_t different = 0;
    const auto got = steps.span<std::int32_t>();
    for (std::size_t i = 0; i < got.size(); ++i) different += got[i] != want[i];
    const bool ok = different * 500 <= got.size();
    std::printf("%s  escape times (%zu pixels, %zu differ)\n", ok ? "right" : "WRONG", got.size(),
                different);
    samples::compare("mandelbrot", 3, plain, {{"kiln", [&] { mandelbrot(steps, limit); }}});
    write_png("mandelbrot.png", steps, 0, 64);
    return ok;
}

// ------------------------------------------------------------------------------ Jacobi, Laplace

/// Steps of the heat equation; the border stays. `even` has the result.
const auto jacobi = jit("jacobi",
                        [](InOut even, InOut odd, Value pairs) {
                            const auto sweep = [](const InOut& from, const InOut& to) {
                                for (Index i : prange(1, from.extent(0) - 1))
                                    for (Index j : range(1, from.extent(1) - 1))
                                        to(i, j) = 0.25 * (from(i - 1, j) + from(i + 1, j) +
                                                           from(i, j - 1) + from(i, j + 1));
                            };
                            for (Index t : range(pairs)) {
                                (void)t;
                                sweep(even, odd);
                                sweep(odd, even);
                            }
                        },
                        {.fastmath = Fastmath::contract, .parallel = true});

/// A plate whose upper border is hot.
Array plate(std::int64_t n) {
    const Array a = zeros({n, n}, f64);
    for (std::int64_t j = 0; j < n; ++j) a.at<double>({0, j}) = 1;
    return a;
}

bool run_jacobi(Size size) {
    const std::int64_t n = samples::pick(size, 40, 512, 2048),
                       pairs = samples::pick(size, 10, 200, 200);
    const Array even = plate(n), odd = plate(n);
    const auto width = static_cast<std::size_t>(n);
    std::vector<double> a(even.span<double>().begin(), even.span<double>().end()), b = a;
    const auto plain_sweep = [&](const std::vector<double>& from, std::vector<double>& to) {
        for (std::size_t i = 1; i + 1 < width; ++i)
            for (std::size_t j = 1; j + 1 < width; ++j)
                to[i * width + j] = 0.25 * (from[(i - 1) * width + j] + from[(i + 1) * width + j] +
                                            from[i * width + j - 1] + from[i * width + j + 1]);
    };
    jacobi(even, odd, pairs);
    for (std::int64_t t = 0; t < pairs; ++t) plain_sweep(a, b), plain_sweep(b, a);
    const bool ok = samples::agree<double>("Jacobi steps", even.span<double>(), a,
                                           [](std::size_t) { return 1e-13; });
    samples::compare("two steps", 11, [&] { plain_sweep(a, b), plain_sweep(b, a); },
                     {{"kiln", [&] { jacobi(even, odd, std::int64_t(1)); }}});
    write_png("jacobi.png", even, 0, 1);
    return ok;
}

/// Gauss-Seidel sweeps with overrelaxation on fields of every other point, red and black, until a
/// sweep changes nothing by more than `tolerance`. Gives the number of sweeps.
const auto laplace = jit(
    "laplace",
    [](InOut a, Value omega, Value tolerance, Value most) -> Value {
        const Value n = a.extent(0), m = a.extent(1);
        Scratch change(f64, {n});
        Var sweeps(i64, 0);
        Var worst(f64, 1.0);
        while_([&] { return worst > tolerance && sweeps < most; },
               [&] {
                   worst = 0.0;
                   for (int colour = 0; colour < 2; ++colour)
                       // A point's neighbours have the other colour: rows do not wait for each
                       // other.
                       for (Index i : prange(1, n - 1, {.unsafe_races = true})) {
                           Var largest(f64, 0);
                           for (Index j : range(1 + (i + colour) % 2, m - 1, 2)) {
                               const Value mean =
                                   0.25 * (a(i - 1, j) + a(i + 1, j) + a(i, j - 1) + a(i, j + 1));
                               const Value step = omega * (mean - a(i, j));
                               a(i, j) += step;
                               largest = max(largest, abs(step));
                           }
                           change(i) = largest;
                       }
                   for (Index i : range(1, n - 1)) worst = max(worst, change(i));
                   sweeps += 1;
               });
        return sweeps;
    },
    {.parallel = true});

bool run_laplace(Size size) {
    const std::int64_t n = samples::pick(size, 33, 257, 1025);
    const Array a = plate(n);
    const double omega = 2.0 / (1.0 + std::sin(3.14159265358979 / static_cast<double>(n - 1)));
    const double ms =
        samples::milliseconds([&] { laplace(a, omega, 1e-12, std::int64_t(20'000)); });
    // By symmetry the centre of a square with one hot side has a quarter of its temperature.
    bool ok = samples::agree_one("centre", a.at<double>({n / 2, n / 2}), 0.25, 1e-8);
    // Each point is the mean of its neighbours.
    double worst = 0;
    const auto v = a.view<double, 2>();
    for (std::int64_t i = 1; i + 1 < n; ++i)
        for (std::int64_t j = 1; j + 1 < n; ++j)
            worst = std::max(worst, std::abs(v(i, j) - 0.25 * (v(i - 1, j) + v(i + 1, j) +
                                                               v(i, j - 1) + v(i, j + 1))));
    ok &= samples::agree_one("largest residue", worst, 0, 1e-11);
    std::printf("== laplace: %.1f ms with compilation\n", ms);
    write_png("laplace.png", a, 0, 1);
    return ok;
}

// -------------------------------------------------------------------------------- logistic
// regression

/// Steps of gradient descent on the logistic loss: both products in one pass over the rows.
const auto descend = jit("descend",
                         [](In x, In y, InOut weights, Value rate, Value steps) {
                             const Value scale = rate / cast<double>(x.extent(0));
                             for (Index step : range(steps)) {
                                 (void)step;
                                 weights -= scale * dot(1.0 / (1.0 + exp(-dot(x, weights))) - y, x);
                             }
                         },
                         {.fastmath = true, .parallel = true});

/// The breast-cancer data: 30 measures of 569 tumours and a 1 for the constant term, and whether
/// they are benign.
std::pair<Array, Array> read_tumours() {
    const std::string path = KILN_SAMPLES_DIR "/data/breast_cancer.csv";
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) throw std::runtime_error(path + ": cannot be read");
    const Array x = ones({569, 31}, f64), y = empty({569}, f64);
    const auto xv = x.view<double, 2>();
    for (std::int64_t i = 0; i < 569; ++i) {
        if (!std::getline(file, line)) throw std::runtime_error(path + ": too short");
        std::stringstream cells(line);
        std::string cell;
        for (std::int64_t j = 0; j < 30; ++j) {
            std::getline(cells, cell, ',');
            xv(i, j) = std::stod(cell);
        }
        std::getline(cells, cell, ',');
        y.at<double>({i}) = std::stod(cell);
    }
    // Columns of mean 0 and standard deviation 1.
    for (std::int64_t j = 0; j < 30; ++j) {
        double sum = 0, squares = 0;
        for (std::int64_t i = 0; i < 569; ++i) sum += xv(i, j);
        for (std::int64_t i = 0; i < 569; ++i) squares += std::pow(xv(i, j) - sum / 569, 2);
        for (std::int64_t i = 0; i < 569; ++i)
            xv(i, j) = (xv(i, j) - sum / 569) / std::sqrt(squares / 569);
    }
    return {x, y};
}

bool run_logistic(Size size) {
    const auto [x, y] = read_tumours();
    const std::int64_t steps = samples::pick(size, 300, 2000, 20'000);
    const double rate = 0.5;
    const Array weights = zeros({31}, f64);
    descend(x, y, weights, rate, steps);
    const auto xs = x.span<const double>(), ys = y.span<const double>();
    std::vector<double> want(31);
    const auto plain = [&](std::int64_t count) {
        for (std::int64_t s = 0; s < count; ++s) {
            double gradient[31] = {};
            for (std::size_t i = 0; i < 569; ++i) {
                double z = 0;
                for (std::size_t j = 0; j < 31; ++j) z += xs[31 * i + j] * want[j];
                const double error = 1 / (1 + std::exp(-z)) - ys[i];
                for (std::size_t j = 0; j < 31; ++j) gradient[j] += error * xs[31 * i + j];
            }
            for (std::size_t j = 0; j < 31; ++j) want[j] -= rate * gradient[j] / 569;
        }
    };
    plain(steps);
    bool ok = samples::agree<double>("weights", weights.span<double>(), want,
                                     [](std::size_t) { return 1e-9; });
    int right = 0;
    for (std::size_t i = 0; i < 569; ++i) {
        double z = 0;
        for (std::size_t j = 0; j < 31; ++j) z += xs[31 * i + j] * weights.span<double>()[j];
        right += (z > 0) == (ys[i] > 0.5);
    }
    ok &= right >= 555;
    std::printf("== logistic regression: %d of 569 tumours told right after %lld steps\n", right,
                static_cast<long long>(steps));
    std::puts(descend.parallel_diagnostics().c_str());
    samples::compare("100 steps", 9, [&] { plain(100); },
                     {{"kiln", [&] { descend(x, y, weights, rate, std::int64_t(100)); }}});
    return ok;
}

// -------------------------------------------------------------------- an array larger than the
// memory

/// Replaces elements by their square roots, and gives the sum of these.
const auto roots = jit("roots",
                       [](InOut x) -> Value {
                           Var sum(f64, 0);
                           for (Index i : prange(x.extent(0))) {
                               const Value root = sqrt(x(i));
                               x(i) = root;
                               sum += root;
                           }
                           return sum;
                       },
                       {.parallel = true});

bool run_mapped(Size size) {
    const std::int64_t n = samples::pick(size, 1 << 18, 1 << 24, 1 << 28), chunk = n / 32;
    const std::string path = "mapped.npy";
    {
        // The file of n times 4.0: a header as NumPy writes it, and the elements piece by piece.
        std::ofstream file(path, std::ios::binary);
        std::string header =
            "{'descr': '<f8', 'fortran_order': False, 'shape': (" + std::to_string(n) + ",), }";
        header.resize(117, ' ');
        header += '\n';
        const auto length = static_cast<char>(header.size());
        file << "\x93NUMPY" << '\x01' << '\0' << length << '\0' << header;
        const std::vector<double> piece(static_cast<std::size_t>(chunk), 4.0);
        for (std::int64_t i = 0; i < n; i += chunk)
            file.write(reinterpret_cast<const char*>(piece.data()),
                       static_cast<std::streamsize>(8 * piece.size()));
    }
    const std::size_t before = memory_limit();
    set_memory_limit(memory_stats().bytes_in_use +
                     static_cast<std::size_t>(4 * n));  // half of the array
    double sum = 0;
    bool refused = false;
    const auto run = [&] {
        const Array x = map_npy(path, MapMode::read_write);
        try {
            empty(x.shape(), f64);  // the whole array does not fit
        } catch (const Error&) {
            refused = true;
        }
        for (std::int64_t i = 0; i < n; i += chunk) {
            sum += roots(x(Slice{i, i + chunk})).get<double>();
            const auto done = static_cast<std::size_t>(40 * (i + chunk) / n);
            std::printf("\r[%s%s]", std::string(done, '#').c_str(),
                        std::string(40 - done, '.').c_str());
            std::fflush(stdout);
        }
        std::printf("\n");
    };
    const double ms = samples::milliseconds(run);
    set_memory_limit(before);
    bool ok = samples::agree_one("sum of the roots", sum, 2.0 * static_cast<double>(n), 0);
    const Array again = map_npy(path);
    bool all = true;
    for (const double v : again.span<const double>()) all &= v == 2.0;
    std::printf("%s  the file's elements\n%s  the limit refused a copy\n", all ? "right" : "WRONG",
                refused ? "right" : "WRONG");
    std::printf("== mapped array of %lld MB: %.0f ms\n", static_cast<long long>(n >> 17), ms);
    std::filesystem::remove(path);
    return ok && all && refused;
}

constexpr samples::LoopProgram programs[] = {
    {"mandelbrot", "the Mandelbrot set, as a picture", run_mandelbrot},
    {"jacobi", "Jacobi steps of the heat equation, with a picture", run_jacobi},
    {"laplace", "Laplace's equation by red-black overrelaxation, with a picture", run_laplace},
    {"logistic", "logistic regression on real data", run_logistic},
    {"mapped", "a file larger than the memory limit, in chunks", run_mapped},
};

}  // namespace

int main(int argc, char** argv) { return samples::run_programs(programs, argc, argv); }
