// Four iterations at once: for which loops, for which not, and that results stay.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include <kiln/kiln.h>

#include <cmath>
#include <vector>

using namespace kiln;

namespace {

/// Whether the pass changed the kernel for these types.
template <class K> bool is_unrolled(const K& kernel, std::initializer_list<ArgType> types) {
    return kernel.inspect(Artifact::passes, types).find("; after unroll_jam\n") !=
           std::string::npos;
}

Array numbers(const Shape& shape, DType dtype = DType::f64) {
    const Array a = empty(shape, DType::f64);
    std::uint32_t state = 7;
    for (double& x : a.span<double>()) {
        state = state * 1664525U + 1013904223U;
        x = static_cast<double>(state >> 8) / 16777216.0 - 0.25;
    }
    return a.astype(dtype);
}

/// A filter whose every element waits for the one before it; rows do not wait for each other.
template <class Rows> auto filter(Rows rows) {
    return [rows](In x, Out y) {
        for (Index i : rows(x.extent(0))) {
            Var last(DType::f64, 0.0);
            for (Index j : range(x.extent(1))) {
                last = 0.5 * last + x(i, j);
                y(i, j) = last;
            }
        }
    };
}
Range parallel_rows(const Value& n) { return prange(n); }
Range serial_rows(const Value& n) { return range(n); }

template <class K> void check_filter(const K& kernel) {
    for (const std::int64_t n : {0, 1, 3, 4, 5, 8, 11, 130, 203})
        for (const std::int64_t m : {0, 1, 7, 40}) {
            const Array x = numbers({n, m}), y = full({n, m}, -1.0);
            kernel(x, y);
            const auto in = x.view<double, 2>(), out = y.view<double, 2>();
            bool same = true;
            for (std::int64_t i = 0; i < n; ++i) {
                double last = 0;
                for (std::int64_t j = 0; j < m; ++j) {
                    last = 0.5 * last + in(i, j);
                    same = same && out(i, j) == last;
                }
            }
            CHECK(same);
        }
}

TEST_CASE("unroll_jam: chains of several rows run at once", "[codegen][unroll_jam]") {
    const std::initializer_list<ArgType> types{f64[2], f64[2]};
    for (const bool parallel : {false, true}) {
        const JitOptions options{.parallel = parallel};
        const auto rows = jit("rows", filter(serial_rows), options);
        CHECK(is_unrolled(rows, types));
        check_filter(rows);
        const auto shared = jit("shared", filter(parallel_rows), options);
        CHECK(is_unrolled(shared, types));
        check_filter(shared);
    }
    const auto checked = jit("checked", filter(serial_rows), {.checked = true});
    CHECK(!is_unrolled(checked, types));
    check_filter(checked);
}

TEST_CASE("unroll_jam: what is the same for several rows is loaded once", "[codegen][unroll_jam]") {
    const auto count = [](In x, In edges, Out sums, Out counts) {
        for (Index b : prange(sums.extent(0))) {
            Var sum(DType::f64, 0.0);
            Var found(DType::i64, 0);
            for (Index e : range(x.extent(0))) {
                const Value inside = edges(b) <= x(e) && x(e) < edges(b + 1);
                sum += select(inside, x(e), 0.0);
                found += select(inside, 1, 0);
            }
            sums(b) = sum;
            counts(b) = found;
        }
    };
    const auto kernel = jit("histogram", count, {.fastmath = true});
    CHECK(is_unrolled(kernel, {f64[1], f64[1], f64[1], i64[1]}));
    for (const std::int64_t n : {0, 1, 5, 100, 1000})
        for (const std::int64_t bins : {1, 3, 4, 6, 21}) {
            const Array x = numbers({n});
            const Array edges = linspace(-0.25, 0.75, bins + 1);
            const Array sums = full({bins}, -1.0), counts = full({bins}, std::int64_t(-1));
            kernel(x, edges, sums, counts);
            for (std::int64_t b = 0; b < bins; ++b) {
                double sum = 0;
                std::int64_t found = 0;
                for (const double v : x.span<double>())
                    if (edges.at<double>({b}) <= v && v < edges.at<double>({b + 1})) {
                        sum += v;
                        ++found;
                    }
                CHECK(counts.at<std::int64_t>({b}) == found);
                CHECK(std::abs(sums.at<double>({b}) - sum) <= 1e-12);
            }
        }
}

TEST_CASE("unroll_jam: one iteration needs its mask no longer when the next one makes its own",
          "[codegen][unroll_jam]") {
    const auto count = [](In x, In edges, Out sums) {
        for (Index b : prange(sums.extent(0))) {
            Var sum(DType::f64, 0.0);
            for (Index e : range(x.extent(0))) sum += select(x(e) < edges(b), x(e), 0.0);
            sums(b) = sum;
        }
    };
    const std::string text =
        jit("below", count, {.fastmath = true}).inspect(Artifact::passes, {f64[1], f64[1], f64[1]});
    const auto after = text.find("; after unroll_jam\n");
    REQUIRE(after != std::string::npos);
    // The first of the masks has been used up before the second one is there.
    const auto first = text.find(" = lt bool", after);
    REQUIRE(first != std::string::npos);
    const auto second = text.find(" = lt bool", first + 1);
    REQUIRE(second != std::string::npos);
    CHECK(text.find("write v", first) < second);
}

TEST_CASE("unroll_jam: branches, several chains, loops that do not wait", "[codegen][unroll_jam]") {
    // The first inner loop runs row by row, the second in step.
    const auto f = jit("mixed", [](In x, Out y, Out z) {
        for (Index i : range(x.extent(0))) {
            for (Index j : range(x.extent(1))) y(i, j) = 2.0 * x(i, j);
            Var last(DType::f64, 1.0), steps(DType::i64, 0);
            if_(x(i, 0) > 0.25, [&] { last = x(i, 0); });
            for (Index j : range(x.extent(1))) {
                last = y(i, j) - last * 0.25;
                steps += 2;
            }
            z(i) = last + cast<double>(steps);
        }
    });
    CHECK(is_unrolled(f, {f64[2], f64[2], f64[1]}));
    for (const std::int64_t n : {1, 4, 9}) {
        const std::int64_t m = 13;
        const Array x = numbers({n, m}), y = zeros({n, m}), z = zeros({n});
        f(x, y, z);
        for (std::int64_t i = 0; i < n; ++i) {
            double last = x.at<double>({i, 0}) > 0.25 ? x.at<double>({i, 0}) : 1.0;
            for (std::int64_t j = 0; j < m; ++j) last = 2 * x.at<double>({i, j}) - last * 0.25;
            CHECK(z.at<double>({i}) == last + 2.0 * static_cast<double>(m));
        }
    }
}

TEST_CASE("unroll_jam: where iterations may meet, or wait for each other, it stays one",
          "[codegen][unroll_jam]") {
    const auto refused = [](auto body, std::initializer_list<ArgType> types) {
        const auto kernel = jit("refused", body);
        return !is_unrolled(kernel, types);
    };
    const std::initializer_list<ArgType> two{f64[2], f64[2]};
    // Another row of what is written is read.
    CHECK(refused(
        [](In x, Out y) {
            for (Index i : range(1, x.extent(0))) {
                Var last(DType::f64, 0.0);
                for (Index j : range(x.extent(1))) {
                    last = 0.5 * last + y(i - 1, j);
                    y(i, j) = last;
                }
            }
        },
        two));
    // The chain goes on from row to row.
    CHECK(refused(
        [](In x, Out y) {
            Var last(DType::f64, 0.0);
            for (Index i : range(x.extent(0)))
                for (Index j : range(x.extent(1))) {
                    last = 0.5 * last + x(i, j);
                    y(i, j) = last;
                }
        },
        two));
    // A variable that keeps what another row left in it.
    CHECK(refused(
        [](In x, Out y) {
            Var kept(DType::f64, 0.0);
            for (Index i : range(x.extent(0))) {
                Var last(DType::f64, 0.0);
                for (Index j : range(x.extent(1))) {
                    last = 0.5 * last + x(i, j);
                    y(i, j) = last + kept;
                }
                kept = last;
            }
        },
        two));
    // Inner loops of other lengths.
    CHECK(refused(
        [](In x, Out y) {
            for (Index i : range(x.extent(0))) {
                Var last(DType::f64, 0.0);
                for (Index j : range(i)) {
                    last = 0.5 * last + x(i, j);
                    y(i, j) = last;
                }
            }
        },
        two));
    // A jump.
    CHECK(refused(
        [](In x, Out y) {
            for (Index i : range(x.extent(0))) {
                Var last(DType::f64, 0.0);
                for (Index j : range(x.extent(1))) {
                    last = 0.5 * last + x(i, j);
                    if_(last > 100.0, [&] { break_(); });
                    y(i, j) = last;
                }
            }
        },
        two));
    // Another step; a schedule that counts iterations.
    CHECK(refused(
        [](In x, Out y) {
            for (Index i : range(0, x.extent(0), 2)) {
                Var last(DType::f64, 0.0);
                for (Index j : range(x.extent(1))) {
                    last = 0.5 * last + x(i, j);
                    y(i, j) = last;
                }
            }
        },
        two));
    CHECK(refused(
        [](In x, Out y) {
            for (Index i : prange(x.extent(0), {.schedule = Schedule::dynamic, .chunk = 1})) {
                Var last(DType::f64, 0.0);
                for (Index j : range(x.extent(1))) {
                    last = 0.5 * last + x(i, j);
                    y(i, j) = last;
                }
            }
        },
        two));
    // Nothing to gain: rows are vector code, or their sums may be taken in any order.
    CHECK(refused(
        [](In x, Out y) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(x.extent(1))) y(i, j) = 2.0 * x(i, j);
        },
        two));
    const auto sums = jit("sums",
                          [](In x, Out y) {
                              for (Index i : range(x.extent(0))) {
                                  Var sum(DType::f64, 0.0);
                                  for (Index j : range(x.extent(1))) sum += x(i, j);
                                  y(i) = sum;
                              }
                          },
                          {.fastmath = true});
    CHECK(!is_unrolled(sums, {f64[2], f64[1]}));
    // Arrays that overlap: in order.
    const auto shifted = jit("shifted", filter(serial_rows));
    const Array base = numbers({9, 5}), want = base.copy();
    shifted(base(Slice{.stop = 8}), base(Slice{.start = 1}));
    const auto w = want.view<double, 2>();
    for (std::int64_t i = 0; i < 8; ++i) {
        double last = 0;
        for (std::int64_t j = 0; j < 5; ++j) {
            last = 0.5 * last + w(i, j);
            w(i + 1, j) = last;
        }
    }
    for (std::int64_t i = 0; i < 9; ++i)
        for (std::int64_t j = 0; j < 5; ++j)
            CHECK(base.at<double>({i, j}) == want.at<double>({i, j}));
}

/// Rows with a chain each.
struct Rows {
    std::string outer = "for %0 = i64(0) to extent(x, 0) step i64(1) ",
                before = "write r, f64(0)\n",
                inner = "for %1 = i64(0) to extent(x, 1) step i64(1) ",
                inside =
                    "%2 = load f64 x[%0, %1]\n%3 = read f64 r\n%4 = mul f64 %3, f64(0.5)\n"
                    "%5 = add f64 %4, %2\nwrite r, %5\n",
                after = "%9 = read f64 r\nstore z[%0], %9\n", outside = "";
    std::string text() const {
        return "kernel t(x: in f64[2] unit, z: out f64[1] unit, g: inout f64[1] unit, n: value "
               "i64) program {\n"
               "  slot r: f64\n  slot q: f64\n  slot ring: f64[2]\n  slot s: f64\n  stage [] {\n"
               "write s, f64(0)\n" +
               outer + "{\n" + before + inner + "{\n" + inside + "}\n" + after + "}\n" + outside +
               "%30 = read f64 s\nstore g[n], %30\n}\n}\n";
    }
};

void check_kept(const Rows& rows) {
    CHECK(test::after(codegen::run_unroll_jam, rows.text()) == test::printed(rows.text()));
}
void check_unrolled(const Rows& rows) {
    CHECK(test::after(codegen::run_unroll_jam, rows.text()) != test::printed(rows.text()));
}

TEST_CASE("unroll_jam: loops of other kinds stay", "[codegen][unroll_jam]") {
    check_unrolled({});
    const std::string loop = "for %0 = i64(0) to extent(x, 0) step i64(1) ";
    check_unrolled({.outer = loop + "parallel automatic 0 "});
    check_kept({.outer = loop + "parallel automatic 0 (sum -> s) "});
    check_kept({.outer = loop + "parallel dynamic 1 "});
    check_kept({.outer = "for %0 = i64(0) to extent(x, 0) step n "});
    check_kept({.after = Rows().after + "%10 = lt bool %9, f64(3)\nif %10 {\nbreak\n}\n"});
    check_kept({.after = Rows().after + "%10 = atomic sum f64 g[n], %9\n"});
    check_kept({.after = Rows().after +
                         "%10 = lt bool %9, f64(3)\nwhile {\n} %10 {\nstore z[%0], %9\n}\n"});
    check_kept({.after = Rows().after + "for %10 = i64(0) to n step i64(1) parallel automatic 0 {\n"
                                        "store z[%0], %9\n}\n"});
}

TEST_CASE("unroll_jam: bounds that differ from row to row", "[codegen][unroll_jam]") {
    const std::string to = "for %1 = i64(0) to %8 step i64(1) ";
    check_unrolled(
        {.before = "write r, f64(0)\n%7 = load f64 g[n]\n%8 = cast i64 %7\n", .inner = to});
    // By a variable of the row, or an element that rows store to.
    check_kept({.before = "write r, f64(0)\n%6 = cast f64 %0\nwrite q, %6\n%7 = read f64 q\n"
                          "%8 = cast i64 %7\n",
                .inner = to});
    check_kept({.outer = Rows().outer + "parallel automatic 0 ",
                .before = "write r, f64(0)\n%7 = load f64 g[n]\n%8 = cast i64 %7\n",
                .inner = to,
                .after = Rows().after + "store g[%0], %9\n"});
}

TEST_CASE("unroll_jam: variables that outlive their row", "[codegen][unroll_jam]") {
    check_kept({.outside = "%10 = read f64 r\nstore g[n], %10\n"});
    check_kept({.before = "write r, f64(0)\nwrite ring[i64(0)], f64(0)\n"});
    check_kept({.before = "%6 = read f64 r\nwrite r, %6\n"});
    check_kept({.before = "write r, f64(0)\n%6 = lt bool n, i64(3)\nif %6 {\nwrite q, f64(1)\n}\n",
                .after = Rows().after + "%7 = read f64 q\nstore z[%0], %7\n"});
}

TEST_CASE("unroll_jam: arrays that overlap, and checked mode, keep single rows",
          "[codegen][unroll_jam]") {
    CHECK(test::fires("unroll_jam", Rows().text(), {.noalias = true}));
    CHECK(!test::fires("unroll_jam", Rows().text(), {.noalias = false}));
    CHECK(!test::fires("unroll_jam", Rows().text(), {.checked = true, .noalias = true}));
}

}  // namespace
