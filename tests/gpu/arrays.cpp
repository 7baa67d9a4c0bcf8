// Arrays whose elements are on the device: copies there and back, as arguments, their memory, streams.
#include "tests/gpu/check.h"

#include <dlfcn.h>

namespace gpu {

using namespace kiln;

namespace {

void copies() {
    const Array x = arange(24.0).reshape({4, 6}), there = x.to(cuda());
    check(there.place() == cuda() && there.shape() == x.shape() && there.dtype() == x.dtype(),
          "an array goes to the device");
    check(x.place() == cpu() &&
              is(there, std::vector<double>(x.span<double>().begin(), x.span<double>().end())),
          "and comes back");
    check(there.to(cuda()).address() == there.address() && x.to(cpu()).data() == x.data(),
          "what is there stays");
    check(is(there(Slice{1, 4, 2}, Slice{5, 0, -2}), {11, 9, 7, 23, 21, 19}), "a view comes back");
    check(is(there.transpose()(2), {2, 8, 14, 20}), "a column");
    check(is(x(Slice{}, 1).to(cuda()), {1, 7, 13, 19}), "a column goes");
    check(there(1, 2).item<double>() == 8, "item()");
    check(is(there.copy(), std::vector<double>(x.span<double>().begin(), x.span<double>().end())) &&
              there.copy().address() != there.address(),
          "copy()");
    Array y = zeros({4, 6}).to(cuda());
    y.assign(x);
    y(2).assign(y(3));
    const Array back = zeros({4, 6});
    back.assign(y);
    check(back.at<double>({2, 5}) == 23 && back.at<double>({1, 0}) == 6, "assign()");
    const Array line = arange(1000.0).to(cuda());
    line(Slice{1, 1000}).assign(line(Slice{0, 999}));
    check(line(999).item<double>() == 998 && line(1).item<double>() == 0,
          "assign() of itself, one on");
    check(to_string(there(0)) == to_string(x(0)), "text");
    check(zeros({0, 3}).to(cuda()).to_host().shape() == Shape({0, 3}), "nothing goes and comes");
    auto* const tensor = to_dlpack(there);
    const Array again = from_dlpack(tensor);
    check(again.place() == cuda() && again.address() == there.address(), "DLPack");
}

void refusals() {
    const Array there = arange(6.0).to(cuda()), here = arange(6.0);
    check_error([&] { there.at<double>({0}); },
                "arrays.cpp:" + std::to_string(__LINE__ - 1) +
                    ": error: the array is on cuda:0: its elements can't be read or written on the "
                    "host");
    check_error([&] { there.view<double, 1>(); }, "the array is on cuda:0");
    check_error([&] { there.fill(1.0); }, "the array is on cuda:0");
    check_error([&] { there.astype(DType::f32); }, "the array is on cuda:0");
    // What has no kernel for arrays of a device says so, and where it was called.
    const auto row = guvectorize("row", "(n)->(n)", [](In a, Out b) { b = a + 1; });
    const auto smooth = stencil("smooth", [](Neighbors a) { return a(-1) + a(1); });
    const auto check_refused = [](auto&& f, int line) {
        check_error(f, "arrays.cpp:" + std::to_string(line) + ": error: the array is on cuda:0");
    };
    check_refused([&] { sum(there); }, __LINE__);
    check_refused([&] { sum(here, {.where = there > 1.0}); }, __LINE__);
    check_refused([&] { sum(here, {.out = there(0)}); }, __LINE__);
    check_refused([&] { dot(here, there); }, __LINE__);
    check_refused([&] { any(there); }, __LINE__);
    check_refused([&] { mean(there); }, __LINE__);
    check_refused([&] { var(there); }, __LINE__);
    check_refused([&] { argmax(there); }, __LINE__);
    check_refused([&] { cumsum(there); }, __LINE__);
    check_refused([&] { sort(there); }, __LINE__);
    check_refused([&] { argsort(there); }, __LINE__);
    check_refused([&] { median(there); }, __LINE__);
    check_refused([&] { histogram(there, 3); }, __LINE__);
    check_refused([&] { ufunc::add.reduce(there); }, __LINE__);
    check_refused([&] { ufunc::add.accumulate(there); }, __LINE__);
    check_refused([&] { ufunc::add.at(there, 0, 1.0); }, __LINE__);
    check_refused([&] { row(there); }, __LINE__);
    check_refused([&] { row(here, {.out = there}); }, __LINE__);
    const Array smoothed = smooth(there).to_host();
    check(sum(smoothed).item<double>() == 20 && smoothed.at<double>({4}) == 8 &&
              smoothed.at<double>({5}) == 0,
          "a stencil where its array is");
    check_error([&] { there(Slice{0, 6, 2}).copy(); }, "a copy on a device of elements with gaps");
    check_error([&] { there.assign(here.astype(DType::f32)); },
                "f32 of shape (6,) on the host can't be assigned to f64 of shape (6,) on cuda:0");
    const auto add = jit("add", [](In a, In b, Out c) { c = a + b; });
    check_error([&] { add(there, here, there); },
                "arrays.cpp:" + std::to_string(__LINE__ - 1) +
                    ": error: p0 of add is on cuda:0, p1 on the host");
    const auto twice = vectorize("twice", [](Value x, Value y) { return x * 2 + y; });
    check_error([&] { twice(here, there); },
                "arrays.cpp:" + std::to_string(__LINE__ - 1) +
                    ": error: argument 2 of twice is on cuda:0, argument 1 on the host");
    check_error([&] { twice(there, 1, {.out = here}); }, "an output on the host");
    check_error([&] { twice(there(Slice{0, 5}), 1, {.out = there(Slice{1, 6})}); },
                "overlap others which it writes, on a device");
}

void loop_kernels() {
    const std::vector<double> x = numbers(5'000);
    const Array a = Array::copy_of(std::span(x), {5000}).to(cuda()), b = a.copy();
    const auto axpy = jit("axpy", [](In x, InOut y, Value f) {
        for (Index i : prange(x.extent(0))) y(i) = f * x(i) + y(i);
    });
    const std::uint64_t before = device_memory_stats().allocations;
    axpy(a, b, 2.0);
    check(device_memory_stats().allocations == before, "arrays of the device are not copied");
    std::vector<double> expected = x;
    for (double& v : expected) v = 2.0 * v + v;
    check(is(b, expected), "axpy of arrays of the device");
    axpy(a(Slice{4999, std::nullopt, -1}), b, Array::of(Scalar::of(-1.0)).to(cuda()));
    for (std::size_t i = 0; i < x.size(); ++i) expected[i] = -x[x.size() - 1 - i] + expected[i];
    check(is(b, expected), "of a view that runs backwards, times a scalar of the device");
    const auto scaled = jit("scaled", [](In v) -> Scratch { return Scratch((v - v.min()) * 2.0); });
    const Array made = scaled(arange(6.0).to(cuda()));
    check(made.place() == cuda() && is(made, {0, 2, 4, 6, 8, 10}), "results stay on the device");
    const auto total = jit("total", [](In v) -> Value {
        Var s(DType::i64, 0);
        for (Index i : prange(v.extent(0))) s += v(i);
        return s;
    });
    check(total(arange(100'000).to(cuda())).get<std::int64_t>() == 4'999'950'000, "a sum");
}

void ufuncs() {
    const Array x = arange(12.0).reshape({3, 4}).to(cuda()), row = arange(4.0).to(cuda());
    const auto mix = vectorize("mix", [](Value a, Value b) { return a * 10.0 + b; });
    const std::uint64_t blocks = device_memory_stats().allocations;
    mix(x, x);
    check(device_memory_stats().allocations == blocks + 1, "a call makes its result, and no more");
    check((mix(x, x), mix.remarks().empty()), "arrays of one order are one launch");
    const Array out = mix(x, row);
    check(mix.remarks().size() == 1 && mix.remarks()[0].file == "arrays.cpp" &&
              mix.remarks()[0].line == __LINE__ - 2 &&
              contains(mix.remarks()[0].text, "the call is 3 launches, one for each row"),
          "a launch for each row is remarked");
    check(out.place() == cuda() && is(out, {0, 11, 22, 33, 40, 51, 62, 73, 80, 91, 102, 113}),
          "a row of each row");
    check(is(mix(x(1), 0.5), {40.5, 50.5, 60.5, 70.5}), "a scalar");
    check(is(mix(Array::of(Scalar::of(2.0)), row), {20, 21, 22, 23}),
          "an array of no axes, of the host");
    check(is(mix(x.transpose(), x(Slice{}, Slice{0, 1}).transpose()),
             {0, 44, 88, 10, 54, 98, 20, 64, 108, 30, 74, 118}),
          "a matrix on its side");
    check(is(ufunc::add.outer(row, x(0)), {0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6}),
          "an outer sum");
    const Array columns = mix(x.transpose(), 1);
    check(columns.shape() == Shape({4, 3}) && columns.transpose().is_contiguous() &&
              is(columns, {1, 41, 81, 11, 51, 91, 21, 61, 101, 31, 71, 111}),
          "a result has the order of its arguments");
    const Array fortran = mix(x, 1, {.where = (x > 1.0), .order = Order::fortran});
    check(fortran.is_fortran() && !fortran.is_contiguous() &&
              is(fortran, {0, 0, 21, 31, 41, 51, 61, 71, 81, 91, 101, 111}),
          "or that which is asked for");
    const auto large = vectorize("large", [](Value a) { return a + 1.0; });
    large(zeros({10}).to(cuda()));
    large(zeros({2'000'000}).to(cuda()));
    check(large.stats().misses == 1, "one text for few and for many elements");
    check(is(x + row * 2, {0, 3, 6, 9, 4, 7, 10, 13, 8, 11, 14, 17}), "operators");
    check(is(exp(x(0) * 0.0), {1, 1, 1, 1}), "ready ufuncs");
    const Array y = zeros({3, 4}).to(cuda());
    mix(x, 1, {.out = y});
    check(is(y(2), {81, 91, 101, 111}), "an output that is given");
    mix(y, 0, {.out = y, .where = (x > 9.0)});
    check(is(y(2), {81, 91, 1010, 1110}) && is(y(0), {1, 11, 21, 31}), "a mask, in place");
    check(is(mix(x(0), 1, {.where = (x(0) > 1.0)}), {0, 0, 21, 31}), "a mask, a new array");
    const auto power = vectorize("power", [](Value a, Value b) { return pow(a, b); });
    const Array ints = arange(6).reshape({2, 3}).to(cuda());
    check(is(power(ints, ints), {1, 1, 4, 27, 256, 3125}), "powers");
    check_error([&] { power(ints, ints - 4); }, "index (0,0)");
}

}  // namespace

void device_arrays() {
    copies();
    refusals();
    loop_kernels();
    ufuncs();
}

void memory_of_the_device() {
    trim_device_memory();
    const DeviceMemoryStats before = device_memory_stats();
    check(before.total_bytes == before.used_bytes, "nothing is kept after a trim");
    {
        const Array x = zeros({1000}, DType::f32).to(cuda());
        const DeviceMemoryStats now = device_memory_stats();
        check(now.used_bytes == before.used_bytes + 4096 &&
                  now.total_bytes == before.total_bytes + 4096,
              "a block of the next size");
    }
    check(device_memory_stats().used_bytes == before.used_bytes &&
              device_memory_stats().total_bytes == before.total_bytes + 4096,
          "what is freed is kept");
    const std::uint64_t recycled = device_memory_stats().recycled;
    const Array y = zeros({900}, DType::f32).to(cuda());
    check(device_memory_stats().recycled == recycled + 1 &&
              device_memory_stats().total_bytes == before.total_bytes + 4096,
          "and used again");
    set_device_memory_limit(device_memory_stats().total_bytes + 10'000);
    check_error([&] { zeros({2000}).to(cuda()); },
                "arrays.cpp:" + std::to_string(__LINE__ - 1) +
                    ": error: the limit of the device's memory is reached: 16000 bytes are wanted");
    check(is(y + 1.0f, std::vector<double>(900, 1.0)), "below the limit, things go on");
    set_device_memory_fraction(0.5);
    check(zeros({2000}).to(cuda()).size() == 2000, "a part of the device's memory");
    set_device_memory_limit(0);
    check_error([] { set_device_memory_limit(-1); }, "a limit of -1 bytes");
    check_error([] { set_device_memory_fraction(1.5); }, "between 0 and 1");
}

namespace {

/// What the fake driver has loaded of modules.
int modules() {
    void* const library = dlopen(fake_driver(), RTLD_NOW);
    int (*count)() = nullptr;
    *reinterpret_cast<void**>(&count) = dlsym(library, "kiln_fake_modules");
    return count();
}

/// The fake driver does work as late as it may.
void late_work() {
    const Stream a, b;
    Array source = full({3000}, 1.0);
    Array x, y;
    {
        const StreamScope scope(a);
        x = source.to(cuda());
        source.fill(9.0);  // the copy has what was there
        y = x + 1.0;
    }
    check(!a.is_done() && b.is_done(), "nothing has waited for the work");
    {
        // The block of y's first use is free, its work is not done.
        const StreamScope scope(b);
        const Event made = a.record();
        b.wait(made);
        const Array z = y * 3.0;
        y = Array();
        const Array w = full({3000}, 7.0).to(cuda());
        check(is(z, std::vector<double>(3000, 6.0)), "work of one stream that waits for another's");
        check(is(w, std::vector<double>(3000, 7.0)), "and of the block that was freed");
    }
    {
        // Freed while a stream that is not its own uses it.
        Array shared = full({3000}, 2.0).to(cuda());
        Array used;
        Array mine;
        {
            const StreamScope scope(a);
            mine = full({3000}, 3.0).to(cuda());
        }
        b.wait(a.record());
        {
            const StreamScope scope(b);
            used = mine + 0.5;
        }
        mine = Array();
        {
            const StreamScope scope(a);
            const Array next = full({3000}, 4.0).to(cuda());
            a.synchronize();
        }
        check(is(used, std::vector<double>(3000, 3.5)),
              "a block that another stream uses is not given away");
    }
    const Event start = a.record();
    {
        const StreamScope scope(a);
        const Array z = x + 1.0;
        check_error([&] { start.milliseconds_since(start); }, "events that are not done");
    }
    const Event end = a.record();
    end.synchronize();
    check(start.is_done() && end.milliseconds_since(start) == 2.0,
          "a copy of the scalar and a launch: two works");
    const int loaded = modules();
    {
        const auto missing = vectorize("missing", [](Value v) { return v - 5.0; });
        check_error([&] { missing(x); }, "CUDA_ERROR_NOT_FOUND");
    }
    check(modules() == loaded, "a module whose function is missing is given back");
    {
        const auto passing = vectorize("passing", [](Value v) { return v - 6.0; });
        passing(x);
        check(modules() == loaded + 1, "a module is loaded");
    }
}

/// A block that belongs to no stream, freed while two streams use it.
void late_work_of_no_stream() {
    const Stream a, b, c;
    Array shared = full({3000}, 2.0).to(cuda());
    Array first, second;
    {
        const StreamScope scope(a);
        first = shared + 0.5;
    }
    {
        const StreamScope scope(c);
        second = shared + 0.25;
    }
    shared = Array();
    {
        const StreamScope scope(b);
        const Array next = full({3000}, 4.0).to(cuda());
        b.synchronize();
    }
    check(is(first, std::vector<double>(3000, 2.5)) && is(second, std::vector<double>(3000, 2.25)),
          "a block that streams use is not given away to another");
}

void works_of_a_stream() {
    const Stream stream;
    const Event before = stream.record();
    const StreamScope scope(stream);
    const std::vector<double> x = numbers(2'000'000);  // several pieces of pinned memory
    const Array a = Array::copy_of(std::span(x), {2'000'000}).to(cuda());
    std::vector<double> expected = x;
    for (double& v : expected) v = v * v;
    const Array squares = a * a;
    const Event after = stream.record();
    check(is(squares, expected), "work of a stream, in order");
    after.synchronize();
    check(after.is_done() && after.milliseconds_since(before) > 0, "time between events");
    stream.synchronize();
    check(stream.is_done(), "a stream whose work is done");
    if (fake_driver() != nullptr) late_work();
}

}  // namespace

void streams() {
    works_of_a_stream();
    if (fake_driver() != nullptr) late_work_of_no_stream();
}

}  // namespace gpu
