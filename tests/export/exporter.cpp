// Exports kernels as object files, and writes what they give here, for programs in other languages.
//
//     exporter FOLDER [avx2|avx512]
//
// Of each kernel FOLDER gets NAME.o, NAME.h and NAME.bin, the elements that the kernel writes. Inputs are
// input(i, seed), which is exact in any language.
#include <kiln/kiln.h>

#include <complex>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numbers>
#include <string>
#include <vector>

using namespace kiln;

namespace {

double input(std::int64_t i, std::int64_t seed) {
    return static_cast<double>((i * 7919 + seed * 104729) % 1009 + 1) / 64;
}
Array inputs(const Shape& shape, std::int64_t seed, DType dtype = DType::f64) {
    std::int64_t size = 1;
    for (const std::int64_t extent : shape) size *= extent;
    const Array all = empty({size});
    for (std::int64_t i = 0; i < size; ++i) all.at<double>(i) = input(i, seed);
    return all.reshape(shape).astype(dtype);
}

class Exporter {
  public:
    Exporter(std::string folder, CpuUnit cpu) : folder_(std::move(folder)), cpu_(cpu) {}

    template <class K>
    void kernel(const K& kernel, const std::string& name,
                std::initializer_list<ArgType> types) const {
        kernel.export_object(types, path(name + ".o"), {.symbol = name, .cpu = cpu_});
    }
    std::string path(const std::string& file) const { return folder_ + "/" + file; }
    void expected(const std::string& name, const std::vector<Array>& arrays) const {
        std::ofstream file(path(name + ".bin"), std::ios::binary);
        for (const Array& a : arrays)
            file.write(
                reinterpret_cast<const char*>(a.data()),
                static_cast<std::streamsize>(static_cast<std::size_t>(a.size()) * a.item_size()));
    }

  private:
    std::string folder_;
    CpuUnit cpu_;
};

Value normal_cdf(Value x) { return 0.5 * erfc(-std::numbers::sqrt2 / 2 * x); }

void element_wise(const Exporter& to) {
    const auto prices = vectorize(
        "black_scholes",
        [](Value spot, Value strike, Value years, Value rate,
           Value volatility) -> std::pair<Value, Value> {
            const Value deviation = volatility * sqrt(years);
            const Value d1 =
                (log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / deviation;
            const Value n1 = normal_cdf(d1), n2 = normal_cdf(d1 - deviation);
            const Value discounted = strike * exp(-rate * years);
            return {spot * n1 - discounted * n2, discounted * (1 - n2) - spot * (1 - n1)};
        },
        {.parallel = true, .params = {"spot", "strike", "years", "rate", "volatility"}});
    to.kernel(prices, "black_scholes", {f64[1], f64[1], f64[1], f64, f64});
    const Shape n{100'003};
    to.expected("black_scholes", prices.all(inputs(n, 1), inputs(n, 2), inputs(n, 3), 0.02, 0.3));

    const auto remainder =
        vectorize("remainder", [](Value a, Value b) { return a % b; }, {.checked = true});
    to.kernel(remainder, "int_remainder", {i32[1], i32[1]});

    // As every CPU runs it: without an instruction for it, rounding to f16 is a function of the runtime.
    const auto halves = vectorize("halves", [](Value x) { return cast(f16, x); });
    halves.export_object({f32[1]}, to.path("halves.o"), {.cpu = CpuUnit::sse2});
    to.expected("halves", halves.all(inputs({1001}, 12, DType::f32) / f32(3)));

    const auto kinds =
        vectorize("kinds",
                  [](Value flag, Value z, Value w, Value h, Value small) -> std::array<Value, 4> {
                      return {z * w, select(flag, h * 3 + small, h), h > 2, small + small};
                  },
                  {.params = {"flag", "z", "w", "half", "small"}});
    to.kernel(kinds, "kinds", {bool_, c128, c64[1], f16[1], i8[1]});
    const Shape m{77};
    to.expected("kinds",
                kinds.all(true, c128(std::complex<double>(0.5, -1.25)), inputs(m, 4, DType::c64),
                          inputs(m, 5, DType::f16), inputs(m, 6, DType::i8)));
}

void loops(const Exporter& to) {
    const auto heat = jit("heat",
                          [](In now, Out next, Value c) {
                              for (Index i : prange(1, now.extent(0) - 1))
                                  for (Index j : range(1, now.extent(1) - 1))
                                      next(i, j) = now(i, j) + c * (now(i - 1, j) + now(i + 1, j) +
                                                                    now(i, j - 1) + now(i, j + 1) -
                                                                    4 * now(i, j));
                          },
                          {.parallel = true, .params = {"now", "next", "c"}});
    to.kernel(heat, "heat", {f64[2], f64[2], f64});
    const Array next = zeros({300, 500});
    heat(inputs({300, 500}, 7), next, 0.1);
    to.expected("heat", {next});

    const auto product = jit("matrix_product",
                             [](In a, In b, Out c) {
                                 for (Index i : prange(a.extent(0)))
                                     for (Index j : range(b.extent(1))) {
                                         Var sum(f32, 0);
                                         for (Index k : range(a.extent(1)))
                                             sum += a(i, k) * b(k, j);
                                         c(i, j) = sum;
                                     }
                             },
                             {.parallel = true, .params = {"a", "b", "c"}});
    to.kernel(product, "matrix_product", {f32[2], f32[2], f32[2]});
    const Array c = zeros({120, 90}, DType::f32);
    product(inputs({120, 70}, 8, DType::f32), inputs({70, 90}, 9, DType::f32), c);
    to.expected("matrix_product", {c});

    const auto norm = jit("norm",
                          [](In x) -> std::pair<Value, Value> {
                              Var sum(f64, 0), most(f64, 0);
                              for (Index i : prange(x.extent(0))) {
                                  sum += x(i) * x(i) / 3;
                                  most = max(most, x(i));
                              }
                              return {sqrt(sum), most};
                          },
                          {.parallel = true, .params = {"x"}});
    to.kernel(norm, "norm", {f64[1]});
    const auto [length, most] = norm(inputs({1'000'003}, 10));
    to.expected("norm", {full({1}, length), full({1}, most)});

    // Arrays of its own, and of each iteration.
    const auto smooth = jit("smooth",
                            [](In x, Out y, Value more) {
                                Scratch halves(exp(-x) / 2);
                                for (Index k : range(1, 5)) {
                                    const Scratch part = x.slice({0, 40 * k}) / 4;
                                    halves.slice({0, 40 * k}) += part;
                                }
                                for (Index i : prange(x.extent(0))) {
                                    Scratch row(f64, {x.extent(1) + more});
                                    for (Index j : range(x.extent(1)))
                                        row(j) = halves(i, j) + x(i, j);
                                    for (Index j : range(1, x.extent(1)))
                                        y(i, j) = (row(j) + row(j - 1)) / 2;
                                    y(i, 0) = row(0);
                                }
                            },
                            {.parallel = true, .params = {"x", "y", "more"}});
    to.kernel(smooth, "smooth", {f64[2], f64[2], i64});
    const Array y = zeros({200, 150});
    smooth(inputs({200, 150}, 11), y, std::int64_t(5));
    to.expected("smooth", {y});
}

/// Stencils, generalised ufuncs, and reductions, which are exported as statements of a kernel.
void other_kinds(const Exporter& to) {
    const auto blur = stencil(
        [](Neighbors image, Neighbors weight, Value scale) -> Value {
            return scale * (image(-1, 0) + image(1, 0) + image(0, -2) + image(0, 1)) * weight(0, 0);
        },
        {.boundary = Boundary::reflect, .parallel = true, .params = {"image", "weight", "scale"}});
    to.kernel(blur, "blur", {f32[2], f32[2], f32});
    to.expected("blur", {blur(inputs({70, 90}, 13, DType::f32), inputs({71, 90}, 14, DType::f32),
                              f32(0.25))});

    const auto fit =
        guvectorize("fit", "(m,n),(n),()->(m),()",
                    [](In a, In x, Value shift, Out residual, Out size) {
                        Var all(f64, 0);
                        for (Index i : range(a.extent(0))) {
                            Var sum(f64, 0);
                            for (Index j : range(a.extent(1))) sum += a(i, j) * x(j);
                            residual(i) = sum - shift;
                            all += sum * sum;
                        }
                        size() = sqrt(all);
                    },
                    {.parallel = true, .params = {"a", "x", "shift", "residual", "size"}});
    to.kernel(fit, "fit", {f64[3], f64[1], f64[1]});
    to.expected("fit", fit.all(inputs({300, 20, 30}, 15), inputs({30}, 16), inputs({300}, 17)));

    const auto rows = jit("row_sums",
                          [](In x, Out sums, Out columns) -> Value {
                              sums = sum(x, {.axis = 1});
                              columns = max(x, {.axis = 0});
                              return sum(x);
                          },
                          {.parallel = true, .params = {"x", "sums", "columns"}});
    to.kernel(rows, "row_sums", {f64[2], f64[1], f64[1]});
    const Array x = inputs({700, 300}, 18) / 3, sums = zeros({700}), columns = zeros({300});
    const auto total = rows(x, sums, columns);
    to.expected("row_sums", {sums, columns, full({1}, total)});
}

void statuses(const Exporter& to) {
    const auto gather =
        jit("gather",
            [](In from, In places, Out into) {
                for (Index i : prange(places.extent(0))) into(i) = from(places(i));
            },
            {.parallel = true, .checked = true, .params = {"from", "places", "into"}});
    to.kernel(gather, "gather", {f64[1], i64[1], f64[1]});
    const auto add = jit("add", [](In a, In b, Out c) { c = a + b; });
    to.kernel(add, "add", {f64[1], f64[1], f64[1]});
    const auto least = jit("least", [](In x) -> Value { return min(x); });
    to.kernel(least, "least", {f64[1]});
}

CpuUnit unit_of(const std::string& name) {
    return name == "avx2" ? CpuUnit::avx2 : name == "avx512" ? CpuUnit::avx512 : CpuUnit::host;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    try {
        const Exporter to(argv[1], unit_of(argc > 2 ? argv[2] : ""));
        element_wise(to);
        loops(to);
        other_kinds(to);
        statuses(to);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
