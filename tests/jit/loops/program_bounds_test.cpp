// Subscripts outside of what they index: constants when a kernel is traced, others in checked mode.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <random>

#include <fmt/format.h>

using namespace kiln;
using kiln::test::error_of;
using kiln::test::Threads;

namespace {

struct Expected {
    std::string message, hint;
};
void check_error(const Error& error, const Expected& expected, unsigned line) {
    CHECK(error.kind() == ErrorKind::bounds);
    CHECK(error.message() == expected.message);
    CHECK(error.hint() == expected.hint);
    CHECK(error.line() == line);
}

TEST_CASE("bounds: constants that no extents allow are errors of the trace, with their line",
          "[jit][program][bounds]") {
    std::vector<double> y(4);
    const Array m = zeros({3, 4}, DType::f64);
    const std::string wraps_not = "negative indices do not count from the end";
    unsigned line = __LINE__ + 1;
    const auto store = jit([](Out y) { y(-1) = 2.0; }, {.params = {"y"}});
    check_error(error_of([&] { store(y); }),
                {"index -1 is outside of y", wraps_not + ": write y.extent(0) - 1"}, line);
    line = __LINE__ + 2;
    const auto load =
        jit([](In m, Out y) { y(0) = m(std::int8_t(1), -3); }, {.params = {"m", "y"}});
    check_error(error_of([&] { load(m, y); }),
                {"index -3 of dimension 1 is outside of m", wraps_not + ": write m.extent(1) - 3"},
                line);
    line = __LINE__ + 2;
    const auto scratch = jit([](Out y) {
        Scratch s(DType::f64, {4});
        y(0) = s(-2);
    });
    check_error(error_of([&] { scratch(y); }),
                {fmt::format("index -2 is outside of the array made at line {}", line),
                 wraps_not + ": write a.extent(0) - 2"},
                line + 1);
    line = __LINE__ + 1;
    const auto atomic = jit([](InOut y) { atomic_add(y(-1), 1.0); }, {.params = {"y"}});
    check_error(error_of([&] { atomic(y); }),
                {"index -1 is outside of y", wraps_not + ": write y.extent(0) - 1"}, line);
    for (const long long k : {-4LL, -1LL, 4LL, 1000LL}) {
        line = __LINE__ + 2;
        const auto local = jit([k](Out y) {
            Local l(DType::f32, 4);
            y(0) = l(k);
        });
        check_error(
            error_of([&] { local(y); }),
            {fmt::format("index {} is outside of the Local of line {} of 4 elements", k, line),
             k < 0 ? wraps_not : ""},
            line + 1);
    }
    line = __LINE__ + 2;
    const auto large = jit([](Out y) {
        Local l(DType::f64, 1);
        l(~std::uint64_t(0)) = 1.0;
        y(0) = l(0);
    });
    check_error(error_of([&] { large(y); }),
                {fmt::format("index 18446744073709551615 is outside of the Local of line {} of 1 "
                             "element",
                             line),
                 ""},
                line + 1);
    // In slices negative constants count from the end, as documented.
    const auto slice = jit([](In m, Out y) { y = m.slice(-1); });
    CHECK_NOTHROW(slice(m, y));
}

TEST_CASE("bounds: checked Locals", "[jit][program][bounds]") {
    for (const int length : {1, 2, 4, 40, 5000})
        for (const DType t : {DType::bool_, DType::i8, DType::f16, DType::f32, DType::c128})
            for (const bool stores : {false, true}) {
                const unsigned line = __LINE__ + 3;
                const auto f = jit(
                    [=](Out y, Value k) {
                        Local l(t, length);
                        if (stores) l(k) = cast(t, 1);
                        y(0) = select(l(select(stores, 0, k)) == cast(t, 1), 1, 0);
                    },
                    {.checked = true});
                std::vector<std::int32_t> y(1);
                for (const std::int64_t k :
                     {std::int64_t(-1), std::int64_t(length), std::int64_t(length + 1000),
                      std::numeric_limits<std::int64_t>::min()}) {
                    CAPTURE(length, name(t), stores, k);
                    check_error(error_of([&] { f(y, k); }),
                                {fmt::format("index ({},) is outside of the Local of line {} of "
                                             "shape ({},)",
                                             k, line, length),
                                 ""},
                                stores ? line + 1 : line + 2);
                }
                CHECK_NOTHROW(f(y, std::int64_t(length - 1)));
            }
}

TEST_CASE("bounds: in checked mode an access whose value nothing uses is checked too",
          "[jit][program][bounds]") {
    std::vector<double> x(3);
    unsigned line = __LINE__ + 2;
    const auto load =
        jit([](In x, Value k) { (void)Value(x(k)); }, {.checked = true, .params = {"x", "k"}});
    check_error(error_of([&] { load(x, std::int64_t(3)); }),
                {"index (3,) is outside of x of shape (3,)", ""}, line);
    line = __LINE__ + 3;
    const auto local = jit(
        [](Value k) {
            Local l(DType::f64, 3);
            l(k) = 1.0;
        },
        {.checked = true});
    check_error(
        error_of([&] { local(std::int64_t(3)); }),
        {fmt::format("index (3,) is outside of the Local of line {} of shape (3,)", line), ""},
        line + 1);
    line = __LINE__ + 1;
    const auto slice = jit([](In m, Out y, Value k) { y = m.slice(k); },
                           {.checked = true, .params = {"m", "y", "k"}});
    const Array m = zeros({2, 3}, DType::f64);
    check_error(error_of([&] { slice(m, x, std::int64_t(2)); }),
                {"index (2,0) is outside of m of shape (2,3) in iteration 0", ""}, line);
}

TEST_CASE("bounds: a Local of the caller, and one in a kernel that is called",
          "[jit][program][bounds]") {
    const unsigned line = __LINE__ + 2;
    const auto callee = jit("callee", [](Value k) -> Value {
        Local l(DType::i64, 3);
        l(0) = 5;
        return l(k);
    });
    const auto caller = jit([&](Out y, Value k) { y(0) = callee(k); }, {.checked = true});
    std::vector<std::int64_t> y(1);
    caller(y, std::int64_t(0));
    CHECK(y[0] == 5);
    check_error(
        error_of([&] { caller(y, std::int64_t(-1)); }),
        {fmt::format("index (-1,) is outside of the Local of line {} of shape (3,)", line), ""},
        line + 2);
}

// Run by ctest with KILN_CHECKED=1 in the environment.
TEST_CASE("bounds: KILN_CHECKED=1 makes all kernels checked ones", "[.][checked_environment]") {
    std::vector<double> x(3);
    const auto load = jit([](In x, Out y, Value k) { y(0) = x(k); }, {.params = {"x", "y", "k"}});
    CHECK(error_of([&] { load(x, x, std::int64_t(3)); }).message() ==
          "index (3,) is outside of x of shape (3,)");
    const auto divide = vectorize([](Value a, Value b) { return a / b; });
    CHECK(error_of([&] { divide(1, 0); }).message() == "integer division by zero at index ()");
    const auto sums = map_reduce([](Value a, Value b) { return a / b; }, Reduce::sum);
    CHECK(error_of([&] { sums(ones({3}, DType::i64), zeros({3}, DType::i64)); }).message() ==
          "integer division by zero at index (0,)");
    const auto far =
        stencil([](Neighbors a, Value k) -> Value { return a(k); }, {.neighborhood = {{-1, 1}}});
    CHECK(
        error_of([&] { far(x, std::int64_t(2)); }).message() ==
        "offset 2 of dimension 0 of p0 is outside of the declared neighborhood (-1, 1) at element "
        "(1,)");
}

// ------------------------------------------------------------------------------ random programs

enum class Target : std::uint8_t { vector, matrix, row, scratch, local, outer, count };
constexpr std::int64_t iterations = 300, columns = 3;

/// One access of the body: target(row?, factor * index(i, column) + offset).
struct Step {
    Target target = Target::vector;
    bool stores = false;
    std::int64_t column = 0, factor = 1, offset = 0;
};

struct Program {
    std::vector<Step> steps;
    std::int64_t vector_extent, matrix_extent, row_extent, scratch_extent, local_length,
        outer_length, count_extent;
    bool parallel;

    std::string text() const {
        std::string all = parallel ? "parallel" : "serial";
        for (const Step& s : steps)
            all += fmt::format("; {} {} of {}: {} * index(i, {}) + {}", s.stores ? "store" : "load",
                               static_cast<int>(s.target), extent(s.target), s.factor, s.column,
                               s.offset);
        return all;
    }
    std::int64_t extent(Target t) const {
        switch (t) {
            case Target::vector: return vector_extent;
            case Target::matrix: return matrix_extent;
            case Target::row: return row_extent;
            case Target::scratch: return scratch_extent;
            case Target::local: return local_length;
            case Target::outer: return outer_length;
            case Target::count: return count_extent;
        }
        return 0;
    }
};

Program random_program(std::mt19937_64& random) {
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    Program p;
    for (std::int64_t* e : {&p.vector_extent, &p.matrix_extent, &p.row_extent, &p.scratch_extent,
                            &p.local_length, &p.outer_length, &p.count_extent})
        *e = 1 + below(below(4) == 0 ? 400 : 7);
    p.parallel = below(4) != 0;
    for (std::int64_t k = 1 + below(6); k > 0; --k) {
        Step s;
        s.target = static_cast<Target>(below(7));
        const bool writeable =
            s.target == Target::row || s.target == Target::scratch || s.target == Target::local;
        s.stores = s.target == Target::count || (writeable && below(2) == 0);
        s.column = below(columns);
        s.factor = below(3) == 0 ? -1 : 1;
        s.offset = s.factor < 0 ? p.extent(s.target) - 1 : below(2) == 0 ? 0 : below(3) - 1;
        p.steps.push_back(s);
    }
    return p;
}

unsigned outer_line, local_line, scratch_line;  // set by the trace
auto kernel_of(const Program& p) {
    const auto body = [p](In index, In x, In m, InOut row, InOut count, Out y) {
        outer_line = __LINE__ + 1;
        Local outer(DType::i64, p.outer_length);
        for (Index k : range(p.outer_length)) outer(k) = k + 1;
        scratch_line = __LINE__ + 1;
        Scratch scratch(DType::i64, {iterations, p.scratch_extent});
        scratch = 0;
        const auto iteration = [&](const Index& i) {
            local_line = __LINE__ + 1;
            Local local(DType::i64, p.local_length);
            Var sum(DType::i64, 0);
            for (const Step& s : p.steps) {
                const Value at = s.factor * index(i, s.column) + s.offset;
                const auto use = [&](const auto& element) {
                    if (s.stores)
                        element = sum + 1;
                    else
                        sum += element;
                };
                switch (s.target) {
                    case Target::vector: sum += x(at); break;
                    case Target::matrix: sum += m(at, 1); break;
                    case Target::row: use(row(i, at)); break;
                    case Target::scratch: use(scratch(i, at)); break;
                    case Target::local: use(local(at)); break;
                    case Target::outer: sum += outer(at); break;
                    case Target::count: atomic_add(count(at), 1); break;
                }
            }
            y(i) = sum;
        };
        if (p.parallel) {
            for (Index i : prange(iterations)) iteration(i);
        } else {
            for (Index i : range(iterations)) iteration(i);
        }
    };
    return jit(
        "random", body,
        {.parallel = true, .checked = true, .params = {"index", "x", "m", "row", "count", "y"}});
}

/// What the program does, and the first fault. What iterations with a fault compute does not count.
struct Model {
    std::vector<std::int64_t> row, count, y;
    std::vector<bool> faulted = std::vector<bool>(iterations, false);
    std::string fault;

    void run(const Program& p, const std::vector<std::int64_t>& index) {
        row.assign(static_cast<std::size_t>(iterations * p.row_extent), 0);
        count.assign(static_cast<std::size_t>(p.count_extent), 0);
        y.assign(iterations, 0);
        for (std::int64_t i = 0; i < iterations; ++i) {
            std::vector<std::int64_t> scratch(static_cast<std::size_t>(p.scratch_extent), 0),
                local(static_cast<std::size_t>(p.local_length), 0);
            std::int64_t sum = 0;
            for (const Step& s : p.steps) {
                const std::int64_t at =
                    s.factor * index[static_cast<std::size_t>(i * columns + s.column)] + s.offset;
                if (at < 0 || at >= p.extent(s.target)) {
                    if (fault.empty()) fault = text(p, s.target, i, at);
                    faulted[static_cast<std::size_t>(i)] = true;
                    continue;
                }
                const auto k = static_cast<std::size_t>(at);
                const auto use = [&](std::int64_t& element) {
                    if (s.stores)
                        element = sum + 1;
                    else
                        sum += element;
                };
                switch (s.target) {
                    case Target::vector: sum += 10 + at; break;
                    case Target::matrix: sum += 101 + 2 * at; break;
                    case Target::row:
                        use(row[static_cast<std::size_t>(i * p.row_extent) + k]);
                        break;
                    case Target::scratch: use(scratch[k]); break;
                    case Target::local: use(local[k]); break;
                    case Target::outer: sum += at + 1; break;
                    case Target::count: ++count[k]; break;
                }
            }
            y[static_cast<std::size_t>(i)] = sum;
        }
    }

    bool agrees(const Program& p, const std::vector<std::int64_t>& other_row,
                const std::vector<std::int64_t>& other_y) const {
        for (std::size_t i = 0; i < iterations; ++i) {
            if (faulted[i]) continue;
            if (y[i] != other_y[i]) return false;
            const auto first = i * static_cast<std::size_t>(p.row_extent);
            for (std::size_t k = first; k < first + static_cast<std::size_t>(p.row_extent); ++k)
                if (row[k] != other_row[k]) return false;
        }
        return true;
    }

    static std::string text(const Program& p, Target t, std::int64_t i, std::int64_t at) {
        const auto of = [&](std::string_view index, std::string_view array,
                            std::string_view shape) {
            return fmt::format("index ({}) is outside of {} of shape ({}){}", index, array, shape,
                               p.parallel ? fmt::format(" in iteration {}", i) : "");
        };
        const std::string one = fmt::format("{},", at), extent = fmt::format("{},", p.extent(t));
        const std::string two = fmt::format("{},{}", i, at),
                          rows = fmt::format("{},{}", iterations, p.extent(t));
        switch (t) {
            case Target::vector: return of(one, "x", extent);
            case Target::matrix:
                return of(fmt::format("{},1", at), "m", fmt::format("{},2", p.extent(t)));
            case Target::row: return of(two, "row", rows);
            case Target::scratch:
                return of(two, fmt::format("the array made at line {}", scratch_line), rows);
            case Target::local:
                return of(one, fmt::format("the Local of line {}", local_line), extent);
            case Target::outer:
                return of(one, fmt::format("the Local of line {}", outer_line), extent);
            case Target::count: return of(one, "count", extent);
        }
        return {};
    }
};

TEST_CASE("bounds: random subscripts in checked mode against a plain loop",
          "[jit][program][bounds][random]") {
    const std::uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    unsigned faults = 0;
    for (int trial = 0; trial < 40; ++trial) {
        const Program p = random_program(random);
        const auto kernel = kernel_of(p);
        const Array x = arange(10, 10 + p.vector_extent, 1, DType::i64);
        const Array m =
            arange(100, 100 + 2 * p.matrix_extent, 1, DType::i64).reshape({p.matrix_extent, 2});
        for (const int wrong : {0, 1, 20}) {
            std::int64_t least = p.vector_extent;
            for (const Step& s : p.steps) least = std::min(least, p.extent(s.target));
            std::vector<std::int64_t> index(iterations * columns);
            for (std::int64_t& k : index)
                k = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(least));
            for (int w = 0; w < wrong; ++w) {
                const std::int64_t bad[] = {-1, -2, least, 401, 1LL << 40, -(1LL << 62)};
                index[random() % index.size()] = bad[random() % 6];
            }
            for (const int threads : {1, 2, 8}) {
                const Threads scope(threads);
                Model model;
                CAPTURE(trial, wrong, threads, p.text());
                std::vector<std::int64_t> row(static_cast<std::size_t>(iterations * p.row_extent),
                                              0),
                    count(static_cast<std::size_t>(p.count_extent), 0), y(iterations, -1);
                std::string message;
                try {
                    kernel(Array::over(index.data(), {iterations, columns}), x, m,
                           Array::over(row.data(), {iterations, p.row_extent}), count, y);
                } catch (const Error& error) {
                    CHECK(error.kind() == ErrorKind::bounds);
                    message = error.message();
                }
                model.run(p, index);  // the kernel has been traced
                CHECK(message == model.fault);
                CHECK((count == model.count));
                CHECK(model.agrees(p, row, y));
                faults += message.empty() ? 0 : 1;
            }
        }
    }
    CHECK(faults > 20);
}

}  // namespace
