// Elements two and three apart: against plain loops, bit for bit, up to the last byte of a page.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <cstring>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

using namespace kiln;

namespace {

/// Memory that ends where a page does which cannot be read.
class BeforeUnreadable {
  public:
    BeforeUnreadable() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
        memory_ =
            ::mmap(nullptr, 4 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory_ != MAP_FAILED);
        REQUIRE(::mprotect(static_cast<std::byte*>(memory_) + 3 * page_, page_, PROT_NONE) == 0);
    }
    BeforeUnreadable(const BeforeUnreadable&) = delete;
    BeforeUnreadable& operator=(const BeforeUnreadable&) = delete;
    ~BeforeUnreadable() { ::munmap(memory_, 4 * page_); }

    template <class T> Array last(std::int64_t n) const {
        return Array::over(reinterpret_cast<T*>(static_cast<std::byte*>(memory_) + 3 * page_) - n,
                           {n});
    }

  private:
    std::size_t page_;
    void* memory_;
};

template <class T, int Step> void check_step() {
    INFO(name(dtype_of<T>) << ", every element of " << Step);
    const auto f = jit("apart", [](In x, Out y) {
        for (Index i : range(y.extent(0))) y(i) = x(Step * i) + x(Step * i);
    });
    const auto g = jit("back", [](In x, Out y) {
        for (Index i : range(x.extent(0))) y(Step * i) = x(i);
    });
    const std::string text = f.inspect(Artifact::llvm_opt, {{dtype_of<T>, 1}, {dtype_of<T>, 1}});
    // Of bytes two apart LLVM's vectoriser does the same.
    const bool pays = Step == 2 ? sizeof(T) > 1 : Step == 3 && sizeof(T) < 8;
    const bool sse2 = text.find("\"min-legal-vector-width\"=\"128\"") != std::string::npos;
    CHECK((text.find("%joined") != std::string::npos) == (pays && !sse2));
    const BeforeUnreadable memory;
    for (const std::int64_t n : {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 129, 200, 300}) {
        const std::int64_t reach = n == 0 ? 0 : Step * (n - 1) + 1;
        const Array x = memory.last<T>(reach), y = empty({n}, dtype_of<T>),
                    apart = zeros({reach}, dtype_of<T>);
        std::uint32_t state = 5;
        for (T& v : x.span<T>()) v = static_cast<T>((state = state * 1664525U + 1013904223U) >> 20);
        std::vector<T> want(static_cast<std::size_t>(n)), spread(static_cast<std::size_t>(reach));
        for (std::size_t i = 0; i < want.size(); ++i) {
            want[i] = static_cast<T>(x.span<T>()[Step * i] + x.span<T>()[Step * i]);
            spread[Step * i] = want[i];
        }
        f(x, y);
        CHECK((n == 0 || std::memcmp(y.data(), want.data(), sizeof(T) * want.size()) == 0));
        g(y, apart);
        CHECK((n == 0 || std::memcmp(apart.data(), spread.data(), sizeof(T) * spread.size()) == 0));
    }
}
template <class T> void check_steps() {
    check_step<T, 2>();
    check_step<T, 3>();
    check_step<T, 4>();
}

TEST_CASE("strided loads: elements two, three and four apart", "[jit][program][shared_loads]") {
    check_steps<float>();
    check_steps<double>();
    check_steps<std::int64_t>();
    check_steps<std::int32_t>();
    check_steps<std::int16_t>();
    check_steps<std::uint8_t>();
}

TEST_CASE("strided loads: not across stores to what is loaded", "[jit][program][shared_loads]") {
    const auto f = jit("pairs", [](InOut x) {
        for (Index i : range(x.extent(0) / 2 - 1)) x(2 * i + 2) = x(2 * i) + x(2 * i + 1);
    });
    const Array x = ones({101}, i32);
    f(x);
    const auto values = x.span<std::int32_t>();
    for (std::size_t i = 0; i < 50; ++i) CHECK(values[2 * i] == static_cast<std::int32_t>(i + 1));
    CHECK(values[100] == 1);
}

TEST_CASE("strided loads: only of one array, all as far apart", "[jit][program][shared_loads]") {
    const auto gathered = jit([](In x, In k, Out y) {
        for (Index i : range(y.extent(0))) y(i) = x(k(i) + 2 * i) * 2;
    });
    const auto uneven = jit([](In x, Out y) {
        for (Index i : range(y.extent(0) / 4)) {
            y(4 * i) = x(8 * i) * 2;
            y(4 * i + 1) = x(8 * i + 2) * 2;
            y(4 * i + 2) = x(8 * i + 5) * 2;
            y(4 * i + 3) = x(8 * i + 7) * 2;
        }
    });
    const auto arrays = jit([](In a, In b, In c, In d, Out y) {
        for (Index i : range(y.extent(0) / 4)) {
            y(4 * i) = a(i) * 2;
            y(4 * i + 1) = b(i + 2) * 2;
            y(4 * i + 2) = c(i + 4) * 2;
            y(4 * i + 3) = d(i + 6) * 2;
        }
    });
    constexpr std::int64_t n = 64;
    const Array x = arange(4 * n).astype(f32), k = zeros({n}, i64), y = zeros({n}, f32);
    for (std::int64_t i = 0; i < n; ++i)
        k.span<std::int64_t>()[static_cast<std::size_t>(i)] = i * 7 % 5;
    const auto twice = [](std::int64_t v) { return static_cast<float>(2 * v); };
    const auto made = y.span<float>();
    gathered(x, k, y);
    for (std::int64_t i = 0; i < n; ++i)
        CHECK(made[static_cast<std::size_t>(i)] == twice(i * 7 % 5 + 2 * i));
    uneven(x, y);
    for (std::int64_t i = 0; i < n; ++i)
        CHECK(made[static_cast<std::size_t>(i)] == twice(i / 4 * 8 + i % 4 * 5 / 2));
    const Array a = full({n}, 1.0F), b = full({n}, 2.0F), c = full({n}, 3.0F), d = full({n}, 4.0F);
    arrays(a, b, c, d, y);
    for (std::int64_t i = 0; i < n; ++i)
        CHECK(made[static_cast<std::size_t>(i)] == twice(i % 4 + 1));
}

}  // namespace
