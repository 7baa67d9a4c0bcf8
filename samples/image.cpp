// Photo editing: gamma, a tone curve and an unsharp mask, on f32 and on f64.
//
// usage: image [--crop N] [FOLDER [PICTURE]]
//   FOLDER   where the results go, the current folder by default
//   PICTURE  a PNG, samples/data/astronaut.png by default
//   --crop   works on the upper left N x N pixels only
#include <kiln/kiln.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "measure.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

// ---------------------------------------------------------------------------------- PNG <-> Array

/// The picture as u8 of shape (height, width, 3).
Array read_png(const fs::path& path) {
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&png, path.c_str())) {
        throw std::runtime_error(path.string() + ": " + png.message);
    }
    png.format = PNG_FORMAT_RGB;
    const Array pixels = empty({png.height, png.width, 3}, u8);
    if (!png_image_finish_read(&png, nullptr, pixels.data(), 0, nullptr)) {
        throw std::runtime_error(path.string() + ": " + png.message);
    }
    return pixels;
}

void write_png(const fs::path& path, const Array& picture) {
    const Array pixels = picture.contiguous();
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    png.height = static_cast<png_uint_32>(pixels.extent(0));
    png.width = static_cast<png_uint_32>(pixels.extent(1));
    png.format = PNG_FORMAT_RGB;
    if (!png_image_write_to_file(&png, path.c_str(), 0, pixels.data(), 0, nullptr)) {
        throw std::runtime_error(path.string() + ": " + png.message);
    }
}

// ------------------------------------------------------------------------------------ the kernels

// C++ values that a lambda captures become constants of the kernel.
constexpr double gamma_value = 1.8;
constexpr double contrast = 6, middle = 0.45;  // of the tone curve
constexpr double amount = 1.5;                 // of the unsharp mask
constexpr int radius = 3;                      // of its blur, pixels

/// Weights of a Gaussian of standard deviation 1.5 at the distances 0 ... radius; the weights of
/// all 2 * radius + 1 taps add up to 1.
std::array<double, radius + 1> gaussian() {
    std::array<double, radius + 1> w{};
    double sum = 0;
    for (int k = 0; k <= radius; ++k) {
        w[static_cast<std::size_t>(k)] = std::exp(-k * k / (2 * 1.5 * 1.5));
        sum += (k == 0 ? 1 : 2) * w[static_cast<std::size_t>(k)];
    }
    for (double& weight : w) weight /= sum;
    return w;
}

/// The S-curve before it is scaled: a logistic function.
double logistic(double x) { return 1 / (1 + std::exp(-contrast * (x - middle))); }

/// The ufuncs of this program, all of them parallel or none.
struct Kernels {
    explicit Kernels(bool parallel) : options{.parallel = parallel} {}
    UfuncOptions options;

    // 0 ... 255 to 0 ... 1 and back, rounded to the nearest level.
    Ufunc to_unit = vectorize("to_unit", [](Value level) { return level / 255.0; }, options);
    Ufunc to_bytes = vectorize(
        "to_bytes", [](Value x) { return cast<std::uint8_t>(rint(clip(x, 0.0, 1.0) * 255.0)); },
        options);

    Ufunc gamma = vectorize("gamma", [](Value x) { return pow(x, 1 / gamma_value); }, options);

    // An S-curve, scaled so that black stays black and white stays white.
    Ufunc tone = vectorize(
        "tone",
        [low = logistic(0), scale = 1 / (logistic(1) - logistic(0))](Value x) {
            return (1.0 / (1.0 + exp(-contrast * (x - middle))) - low) * scale;
        },
        options);

    // Seven neighbours along one axis, which come as seven views of one array.
    Ufunc blur = vectorize(
        "blur",
        [w = gaussian()](Value a, Value b, Value c, Value d, Value e, Value f, Value g) {
            return w[3] * (a + g) + w[2] * (b + f) + w[1] * (c + e) + w[0] * d;
        },
        options);

    Ufunc sharpen = vectorize(
        "sharpen",
        [](Value x, Value blurred) { return clip(x + amount * (x - blurred), 0.0, 1.0); }, options);
};

/// x with `radius` more pixels on each side, which repeat the pixels of the edge.
void pad(const Array& x, const Array& padded) {
    const std::int64_t h = x.extent(0), w = x.extent(1);
    padded(Slice{radius, h + radius}, Slice{radius, w + radius}).assign(x);
    padded({}, Slice{0, radius}).assign(padded({}, Slice{radius, radius + 1}));
    padded({}, Slice{w + radius}).assign(padded({}, Slice{w + radius - 1, w + radius}));
    padded(Slice{0, radius}).assign(padded(Slice{radius, radius + 1}));
    padded(Slice{h + radius}).assign(padded(Slice{h + radius - 1, h + radius}));
}

/// Blurs along one axis of `x`, which is longer by 2 * radius there than `out`.
void blur_along(const Ufunc& blur, int axis, const Array& x, const Array& out) {
    const auto tap = [&](std::int64_t k) {
        return x.slice(axis, Slice{k, k + out.extent(axis)});  // a view: nothing is copied
    };
    blur(tap(0), tap(1), tap(2), tap(3), tap(4), tap(5), tap(6), {.out = out});
}

/// Memory of an unsharp mask; kept from call to call.
struct Scratch {
    Array padded, columns, blurred;

    Scratch(const Shape& s, DType t)
        : padded(empty({s[0] + 2 * radius, s[1] + 2 * radius, s[2]}, t)),
          columns(empty({s[0], s[1] + 2 * radius, s[2]}, t)),
          blurred(empty(s, t)) {}
};

void unsharp(const Kernels& k, const Array& x, Scratch& s, const Array& out) {
    pad(x, s.padded);
    blur_along(k.blur, 0, s.padded, s.columns);
    blur_along(k.blur, 1, s.columns, s.blurred);
    k.sharpen(x, s.blurred, {.out = out});
}

// ------------------------------------------------------------------------------- the plain loops

template <class T> [[gnu::noinline]] void plain_gamma(const T* x, T* __restrict y, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] = std::pow(x[i], T(1 / gamma_value));
}

template <class T> [[gnu::noinline]] void plain_tone(const T* x, T* __restrict y, std::size_t n) {
    const T low = T(logistic(0)), scale = T(1 / (logistic(1) - logistic(0)));
    for (std::size_t i = 0; i < n; ++i) {
        y[i] = (1 / (1 + std::exp(-T(contrast) * (x[i] - T(middle)))) - low) * scale;
    }
}

/// n outputs from seven inputs, `step` elements apart.
template <class T>
void plain_taps(const T* x, std::size_t step, T* __restrict y, std::size_t n) {
    static const auto weights = gaussian();
    const T w0 = T(weights[0]), w1 = T(weights[1]), w2 = T(weights[2]), w3 = T(weights[3]);
    const T *a = x, *b = a + step, *c = b + step, *d = c + step;
    const T *e = d + step, *f = e + step, *g = f + step;
    for (std::size_t i = 0; i < n; ++i) {
        y[i] = w3 * (a[i] + g[i]) + w2 * (b[i] + f[i]) + w1 * (c[i] + e[i]) + w0 * d[i];
    }
}

template <class T>
[[gnu::noinline]] void plain_unsharp(const T* x, T* padded, T* columns, T* blurred, T* __restrict y,
                                     std::size_t h, std::size_t w) {
    const std::size_t row = 3 * w, wide = row + 6 * radius;
    for (std::size_t i = 0; i < h + 2 * radius; ++i) {
        const T* from = x + row * (std::clamp<std::size_t>(i, radius, h + radius - 1) - radius);
        T* to = padded + wide * i;
        for (std::size_t j = 0; j < 3 * radius; ++j) {
            to[j] = from[j % 3];
            to[3 * radius + row + j] = from[row - 3 + j % 3];
        }
        std::copy(from, from + row, to + 3 * radius);
    }
    plain_taps(padded, wide, columns, h * wide);
    for (std::size_t i = 0; i < h; ++i) plain_taps(columns + wide * i, 3, blurred + row * i, row);
    for (std::size_t i = 0; i < h * row; ++i) {
        y[i] = std::clamp(x[i] + T(amount) * (x[i] - blurred[i]), T(0), T(1));
    }
}

// --------------------------------------------------------------------------------------- one run

/// Levels of a plain loop: the same rounding as to_bytes.
template <class T> std::vector<std::uint8_t> plain_bytes(std::span<const T> x) {
    std::vector<std::uint8_t> levels;
    for (const T value : x) {
        levels.push_back(static_cast<std::uint8_t>(std::rint(std::clamp(value, T(0), T(1)) * 255)));
    }
    return levels;
}

struct Effect {
    std::string name;
    std::function<void(const Kernels&)> apply;  // to `out`
    std::function<void()> plain;                // to `want`
};

/// All effects in one element type. Appends the pictures (u8) to `pictures`.
template <class T>
bool run(const Kernels& serial, const Kernels& parallel, const Array& picture, int rounds,
         std::vector<std::pair<std::string, Array>>& pictures) {
    const DType dtype = dtype_of<T>;
    const std::string type(name(dtype));
    const auto h = static_cast<std::size_t>(picture.extent(0));
    const auto w = static_cast<std::size_t>(picture.extent(1));
    // u8 / 255.0 would be f64; `dtype` says in what to compute.
    const Array x = serial.to_unit(picture, {.dtype = dtype});
    const Array out = empty(x.shape(), dtype);
    Scratch scratch(x.shape(), dtype);
    const auto xs = x.span<const T>();
    std::vector<T> want(xs.size()), padded((h + 2 * radius) * (w + 2 * radius) * 3);
    std::vector<T> columns(h * (w + 2 * radius) * 3), blurred(xs.size());

    const std::vector<Effect> effects = {
        {"gamma", [&](const Kernels& k) { k.gamma(x, {.out = out}); },
         [&] { plain_gamma(xs.data(), want.data(), xs.size()); }},
        {"tone", [&](const Kernels& k) { k.tone(x, {.out = out}); },
         [&] { plain_tone(xs.data(), want.data(), xs.size()); }},
        {"unsharp", [&](const Kernels& k) { unsharp(k, x, scratch, out); },
         [&] {
             plain_unsharp(xs.data(), padded.data(), columns.data(), blurred.data(), want.data(), h,
                           w);
         }},
    };

    std::vector<T> units;
    const Array source = picture.contiguous();
    for (const std::uint8_t level : source.span<const std::uint8_t>())
        units.push_back(T(level) / 255);
    bool ok = samples::agree<T>("to_unit", xs, units, [](std::size_t) { return 0; });

    const T nan = std::numeric_limits<T>::quiet_NaN();
    for (const Effect& effect : effects) {
        const std::string what = effect.name + ", " + type;
        out.fill(nan);  // an element that is not written is found
        const double first = samples::first_call(what.c_str(), [&] { effect.apply(serial); });
        effect.plain();
        // Every intermediate result is below 4 (amount + 1 times a blurred value), and no formula
        // rounds more than 16 times.
        const auto tolerance = [](std::size_t) { return 16 * std::numeric_limits<T>::epsilon(); };
        ok &= samples::agree<T>(what.c_str(), out.span<const T>(), want, tolerance);
        const Array levels = serial.to_bytes(out);
        ok &= samples::agree<std::uint8_t>(
            (what + ", levels").c_str(), levels.span<const std::uint8_t>(),
            plain_bytes(out.span<const T>()), [](std::size_t) { return 0; });
        pictures.emplace_back(effect.name + "-" + type, levels);

        out.fill(nan);
        effect.apply(parallel);
        ok &=
            samples::agree<T>((what + ", parallel").c_str(), out.span<const T>(), want, tolerance);
        const std::vector<double> ms = samples::medians(
            rounds, {effect.plain, [&] { effect.apply(serial); }, [&] { effect.apply(parallel); }});
        std::printf("== %-12s %7.1f ms %8.2f ms %8.2f ms (%5.2fx) %8.2f ms (%5.2fx)\n",
                    what.c_str(), first, ms[0], ms[1], ms[0] / ms[1], ms[2], ms[0] / ms[2]);
    }
    return ok;
}

/// Pictures side by side.
Array side_by_side(const std::vector<Array>& pictures) {
    const std::int64_t h = pictures[0].extent(0), w = pictures[0].extent(1);
    const auto count = static_cast<std::int64_t>(pictures.size());
    const Array sheet = empty({h, w * count, 3}, u8);
    for (std::int64_t k = 0; k < count; ++k) {
        sheet({}, Slice{k * w, (k + 1) * w}).assign(pictures[static_cast<std::size_t>(k)]);
    }
    return sheet;
}

int edit(const fs::path& source, const fs::path& folder, std::int64_t crop) {
    Array picture = read_png(source);
    if (crop > 0) picture = picture(Slice{0, crop}, Slice{0, crop});  // a view, not contiguous
    std::printf("== %s, %lld x %lld pixels\n", source.filename().c_str(),
                static_cast<long long>(picture.extent(1)),
                static_cast<long long>(picture.extent(0)));
    std::printf("==              first call  plain loop        one thread        %2d threads\n",
                num_threads());

    const Kernels serial(false), parallel(true);
    std::vector<std::pair<std::string, Array>> results;
    const int rounds = crop > 0 ? 1 : 25;
    bool ok = run<float>(serial, parallel, picture, rounds, results);
    ok &= run<double>(serial, parallel, picture, rounds, results);

    // Half a level may round either way, so f32 and f64 may differ by one.
    for (std::size_t k = 0; k < 3; ++k) {
        ok &= samples::agree((results[k].first + " and " + results[k + 3].first).c_str(),
                             results[k].second.span<const std::uint8_t>(),
                             results[k + 3].second.span<const std::uint8_t>(),
                             [](std::size_t) { return 1; });
    }

    fs::create_directories(folder);
    const fs::path place = fs::canonical(folder);
    const std::string stem = source.stem();
    for (const auto& [name, levels] : results)
        write_png(place / (stem + "-" + name + ".png"), levels);
    write_png(place / (stem + "-all.png"),
              side_by_side({picture, results[0].second, results[1].second, results[2].second}));
    std::printf("== pictures: %s\n", (place / (stem + "-*.png")).c_str());
    std::printf("== side by side (original, gamma, tone curve, unsharp mask): %s\n",
                (place / (stem + "-all.png")).c_str());
    return ok ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
    fs::path folder = ".", source = KILN_SAMPLES_DIR "/data/astronaut.png";
    std::int64_t crop = 0;
    for (int i = 1, position = 0; i < argc; ++i) {
        if (std::strcmp(argv[i], "--crop") == 0 && i + 1 < argc) {
            crop = std::strtoll(argv[++i], nullptr, 10);
        } else {
            (position++ == 0 ? folder : source) = argv[i];
        }
    }
    return edit(source, folder, crop);
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
