// Loop kernels on a device, called as users do: one small program without LLVM and without a test library,
// which a bare machine with a driver and NVRTC can run beside libkiln and libkiln_cuda. Without a device it
// says "skipped: " and why.
//
// Expected values are computed here, by plain loops. ctest runs it with the driver that is there, and with
// the fake one of tests/cuda (KILN_LIBCUDA, KILN_LIBNVRTC), with which it also sees a device run out of
// memory and a kernel fail.
#include "tests/gpu/check.h"

#include <dlfcn.h>
#include <algorithm>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>

using namespace kiln;
using namespace gpu;

namespace {

const JitOptions on_device{.target = BackendTarget::cuda};

void element_wise() {
    const auto axpy = jit(
        "axpy",
        [](In x, InOut y, Value a) {
            for (Index i : prange(x.extent(0))) y(i) = a * x(i) + y(i);
        },
        on_device);
    const std::vector<double> x = numbers(100'003);
    std::vector<double> y = numbers(100'003), expected = y;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double product = 2.5 * x[i];
        expected[i] = product + y[i];
    }
    axpy(x, y, 2.5);
    check(y == expected, "axpy");
    // A column of a matrix, backwards: strides are the host's affair, and elements between stay.
    Array a = zeros({50, 3}, DType::f64), b = ones({50, 3}, DType::f64);
    axpy(b(Slice{}, 0).flip(), a(Slice{}, 1), 4.0);
    check(sum(a).item<double>() == 200.0 && a.at<double>({3, 1}) == 4.0 &&
              a.at<double>({3, 0}) == 0.0,
          "axpy of columns");
}

void reductions() {
    const auto total = jit(
        "total",
        [](In x) -> Value {
            Var s(DType::f64, 0);
            for (Index i : prange(x.extent(0))) s += x(i);
            return s;
        },
        on_device);
    const std::vector<double> x = numbers(300'000);
    long double exact = 0;
    for (const double v : x) exact += v;
    const double got = total(x).get<double>();
    check(std::abs(got - static_cast<double>(exact)) < 1e-11, "total");
    check(total(x).get<double>() == got, "the same bits from run to run");
    check(total(std::vector<double>{}).get<double>() == 0.0, "total of nothing");

    const auto largest = jit(
        "largest",
        [](In x) {
            Var most(DType::f64, -1.0), where(DType::i64, 0);
            for (Index i : prange(x.extent(0))) reduce_argmax(most, where, x(i), i);
            return std::tuple(Value(most), Value(where));
        },
        on_device);
    std::size_t at = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
        if (x[i] > x[at]) at = i;
    const auto [most, where] = largest(x);
    check(most.get<double>() == x[at] && where.get<std::int64_t>() == static_cast<long>(at),
          "largest");

    const auto running = jit(
        "running",
        [](In x, Out y) {
            Var s(DType::i64, 5);
            for (Index i : range(x.extent(0))) {
                s += x(i);
                y(i) = s;
            }
        },
        on_device);
    std::vector<std::int64_t> n(5000), sums(5000), expected(5000);
    std::int64_t s = 5;
    for (std::size_t i = 0; i < n.size(); ++i) {
        n[i] = static_cast<std::int64_t>(i * 7919 % 101) - 50;
        expected[i] = s += n[i];
    }
    running(n, sums);
    check(sums == expected, "running");
}

void loops() {
    const auto product = jit(
        "product",
        [](In a, In b, Out c) {
            for (Index i : prange(a.extent(0)))
                for (Index j : range(b.extent(1))) {
                    Var s(DType::i64, 0);
                    for (Index k : range(a.extent(1))) s += a(i, k) * b(k, j);
                    c(i, j) = s;
                }
        },
        on_device);
    Array a = arange(35).reshape({5, 7}), b = arange(28).reshape({7, 4}),
          c = zeros({5, 4}, DType::i64);
    product(a, b, c);
    bool same = true;
    for (std::int64_t i = 0; i < 5; ++i)
        for (std::int64_t j = 0; j < 4; ++j) {
            std::int64_t s = 0;
            for (std::int64_t k = 0; k < 7; ++k) s += (i * 7 + k) * (k * 4 + j);
            same = same && c.at<std::int64_t>({i, j}) == s;
        }
    check(same, "product");

    const auto relax = jit(
        "relax",
        [](InOut x, Value tolerance) -> Value {
            Scratch next(x.dtype(), {x.extent(0)});
            Var error(DType::f64, 1), steps(DType::i64, 0);
            while_([&] { return error > tolerance; },
                   [&] {
                       Var most(DType::f64, 0);
                       for (Index i : prange(1, x.extent(0) - 1)) {
                           next(i) = 0.5 * (x(i - 1) + x(i + 1));
                           most = max(most, abs(next(i) - x(i)));
                       }
                       for (Index i : prange(1, x.extent(0) - 1)) x(i) = next(i);
                       error = most;
                       steps += 1;
                   });
            return steps;
        },
        on_device);
    std::vector<double> x(40, 0.0), y;
    x.back() = 1;
    y = x;
    std::int64_t steps = 0;
    for (double error = 1; error > 1e-4; ++steps) {
        std::vector<double> next = y;
        error = 0;
        for (std::size_t i = 1; i + 1 < y.size(); ++i) {
            next[i] = 0.5 * (y[i - 1] + y[i + 1]);
            error = std::max(error, std::abs(next[i] - y[i]));
        }
        y = next;
    }
    check(relax(x, 1e-4).get<std::int64_t>() == steps && x == y, "relax");

    const auto scaled =
        jit("scaled", [](In v) -> Scratch { return Scratch((v - v.min()) * 2.0); }, on_device);
    const Array made = scaled(arange(6.0) + 3.0);
    check(made.shape() == Shape{6} && made.at<double>({5}) == 10.0, "scaled");
}

/// Memory of bool from elsewhere: any byte but 0 is true.
void bools() {
    std::vector<std::uint8_t> bytes;
    for (int i = 0; i < 3000; ++i) bytes.push_back(static_cast<std::uint8_t>(i % 3 * (i % 86)));
    const Array owner(std::vector<std::uint8_t>{bytes});
    const auto owned = std::make_shared<Array>(owner);
    const Array every = Array::from_memory(owner.data(), bool_, {3000}, {1}, owned);
    std::int64_t truths = 0;
    for (const std::uint8_t b : bytes) truths += b != 0 ? 1 : 0;

    const auto numbered = jit(
        "numbered",
        [](In m, Out y, Out same) {
            for (Index i : prange(m.extent(0))) {
                y(i) = cast<std::int64_t>(m(i)) + select(m(i), 10, 20);
                same(i) = m(i);
            }
        },
        on_device);
    // Contiguous; and a row of a matrix, in which elements stand apart, from the last on.
    for (const Array& m : {every, every.reshape({50, 60})(Slice{}, 7).flip()}) {
        const std::int64_t n = m.extent(0);
        Array y = zeros({n}, DType::i64), same = zeros({n}, bool_);
        numbered(m, y, same);
        bool right = true;
        for (std::int64_t i = 0; i < n; ++i) {
            const bool truth = bytes[static_cast<std::size_t>(n == 3000 ? i : (49 - i) * 60 + 7)];
            right = right && y.at<std::int64_t>({i}) == (truth ? 11 : 20) &&
                    same.data()[i * same.stride(0)] == std::byte(truth);
        }
        check(right, "bytes of bool in a map");
    }

    const auto counted = jit(
        "counted",
        [](In m) {
            Var s(DType::i64, 0), first(DType::i64, 0);
            for (Index i : prange(m.extent(0))) s += cast<std::int64_t>(m(i));
            first = cast<std::int64_t>(m(1));  // the host's part
            return std::tuple(Value(s), Value(first));
        },
        on_device);
    const auto [s, first] = counted(every);
    check(s.get<std::int64_t>() == truths && first.get<std::int64_t>() == 1,
          "bytes of bool in a sum and the host's part");
}

void errors() {
    const auto shift = jit(
        "shift",
        [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = x(i);
        },
        on_device);
    Array x = arange(10.0);
    check(
        contains(error_of([&] { shift(x(Slice{0, 9}), x(Slice{1, 10})); }),
                 "arrays of shift that overlap others which it writes, or themselves, on a device"),
        "overlapping arrays");
    const auto add = jit("add", [](In a, In b, Out c) { c = a + b; }, on_device);
    const std::string shapes = error_of([&] { add(zeros({3}), zeros({4}), zeros({4})); });
    check(contains(shapes, "cannot broadcast"), shapes);
    check(contains(error_of([] {
                       jit("checks", [](In) {}, {.checked = true, .target = BackendTarget::cuda});
                   }),
                   "checks has .checked, which no target but the CPU has"),
          "checked");
}

/// With the fake driver alone: no device is asked to fail.
void faults() {
    const auto copy = jit(
        "copy",
        [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = x(i);
        },
        on_device);
    trim_device_memory();
    setenv("KILN_FAKE_CUDA_MEMORY", "10000000", 1);
    const std::string full =
        error_of([&] { copy(zeros({2'000'000}, DType::f64), zeros({2'000'000}, DType::f64)); });
    check(contains(full, "main.cpp:" + std::to_string(__LINE__ - 1) +
                             ": error: the device is out of memory: 16000000 bytes are wanted"),
          full);
    std::vector<double> x = numbers(1000), y(1000);
    copy(x, y);
    check(x == y, "the process goes on after that");

    const auto fails = jit(
        "fault",
        [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = 3.0 * x(i);
        },
        on_device);
    const Array there = zeros({3}).to(cuda());
    const std::string fault = error_of([&] { fails(x, y); });
    check(contains(fault, "CUDA_ERROR_ILLEGAL_ADDRESS") &&
              contains(fault, "the device's context is lost"),
          fault);
    check(error_of([&] { to_string(there); }).starts_with("error: "), "no line but the user's");
}

/// For ptx_cache.py: what NVRTC, the fake one, had to do for one kernel.
int tell_ptx() {
    vectorize("half", [](Value x) { return x / 2; }, {.target = BackendTarget::cuda})
        .inspect(Artifact::ptx, {f64});
    void* const nvrtc = dlopen(std::getenv("KILN_LIBNVRTC"), RTLD_NOW | RTLD_NOLOAD);
    int compiled = 0;
    if (nvrtc != nullptr) {
        int (*count)() = nullptr;
        *reinterpret_cast<void**>(&count) = dlsym(nvrtc, "kiln_fake_ptx");
        compiled = count();
    }
    std::printf("compiled: %d, NVRTC is %s\n", compiled, nvrtc == nullptr ? "not open" : "open");
    return 0;
}

/// For ptx_cache.py: what NVRTC had to do for a kernel that runs.
int tell_image() {
    const std::string error = error_of([] {
        const auto half = vectorize("half", [](Value x) { return x / 2; });
        check(is(half(full({3}, 5.0).to(cuda())), {2.5, 2.5, 2.5}), "half");
    });
    void* const nvrtc = dlopen(std::getenv("KILN_LIBNVRTC"), RTLD_NOW | RTLD_NOLOAD);
    int cubins = 0, ptx = 0;
    for (auto& [name, made] : {std::pair("kiln_fake_cubins", &cubins), {"kiln_fake_ptx", &ptx}}) {
        int (*count)() = nullptr;
        if (nvrtc != nullptr) *reinterpret_cast<void**>(&count) = dlsym(nvrtc, name);
        if (count != nullptr) *made = count();
    }
    std::printf("cubins: %d, PTX: %d, %s\n", cubins, ptx, error.c_str());
    return failures;
}

/// For a test of KILN_TARGET: what kernels are for that say nothing of a target.
int tell_targets() {
    const auto copy = jit("copy", [](In x, Out y) { y = x; });
    const auto twice = vectorize("twice", [](Value x) { return x * 2; });
    const auto first_line = [](const std::string& text) { return text.substr(0, text.find('\n')); };
    check(twice(21).item<int>() == 42, "twice");
    std::printf("%s, %s\n", first_line(copy.inspect(Artifact::plan, {f64[1], f64[1]})).c_str(),
                first_line(twice.inspect(Artifact::plan, {f64})).c_str());
    return failures;
}

}  // namespace

int main(int count, char** arguments) {
    if (count == 2 && std::strcmp(arguments[1], "ptx") == 0) return tell_ptx();
    if (count == 2 && std::strcmp(arguments[1], "image") == 0) return tell_image();
    if (count == 2 && std::strcmp(arguments[1], "targets") == 0) return tell_targets();
    const auto one = jit(
        "one",
        [](Out y) {
            for (Index i : prange(1)) y(i) = 1.0;
        },
        on_device);
    try {
        Array y = zeros({1}, DType::f64);
        one(y);
        check(y.at<double>({0}) == 1.0, "one");
    } catch (const Error& e) {
        if (e.kind() != ErrorKind::device) throw;
        std::printf("skipped: %s\n", e.what());
        return 0;
    }
    element_wise();
    reductions();
    loops();
    bools();
    errors();
    device_arrays();
    memory_of_the_device();
    streams();
    explicit_kernels();
    if (fake_driver() != nullptr) faults();
    std::printf("%d failed\n", failures);
    return failures == 0 ? 0 : 1;
}
