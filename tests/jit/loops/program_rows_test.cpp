// Loops over rows: four rows at once, rows whose elementary functions run as lanes, rows stored
// past the caches. Against the same kernel in checked mode, in which none of this is done.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace kiln;

namespace {

Array numbers(const Shape& shape, DType dtype, unsigned seed = 1) {
    const Array a = empty(shape, DType::f64);
    auto* x = reinterpret_cast<double*>(a.data());
    std::uint32_t state = seed;
    for (std::int64_t i = 0; i < a.size(); ++i) {
        state = state * 1664525u + 1013904223u;
        x[i] = static_cast<double>(state >> 8) / 16777216.0 * 4 - 2;
    }
    return a.astype(dtype);
}

bool same_bits(const Array& a, const Array& b) {
    const Array x = a.copy(), y = b.copy();
    return std::memcmp(x.data(), y.data(),
                       static_cast<std::size_t>(x.size()) * size_of(x.dtype())) == 0;
}

std::size_t count(const std::string& text, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        ++n;
    return n;
}

/// Whether the pass changed the kernel (x[n, d], v[n or d], row[d], out[n]).
bool passed(const JitKernel& f, DType t, const char* pass) {
    return f.inspect(Artifact::passes, {{t, 2}, {t, 1}, {t, 1}, {t, 1}})
               .find(std::string("; after ") + pass + "\n") != std::string::npos;
}

/// Runs f(x, v, row, out) both ways for many shapes; v has n elements and d.
template <class F> void compare(F f, std::initializer_list<DType> dtypes, bool cut, bool jammed) {
    for (const DType t : dtypes) {
        INFO(name(t));
        const auto fast = jit("fast", f), checked = jit("checked", f, {.checked = true});
        CHECK(passed(fast, t, "distribute") == cut);
        CHECK(passed(fast, t, "jam") == jammed);
        CHECK(!passed(checked, t, "distribute"));
        CHECK(!passed(checked, t, "jam"));
        for (const std::int64_t n : {0, 1, 3, 4, 5, 16, 63, 65, 200})
            for (const std::int64_t d : {0, 1, 3, 8, 30, 41, 700}) {
                INFO("n = " << n << ", d = " << d);
                const Array x = numbers({n, d}, t), v = numbers({n + d}, t, 2);
                const Array row = numbers({d}, t, 3), out = numbers({n}, t, 4);
                const Array row2 = row.copy(), out2 = out.copy();
                fast(x, v, row, out);
                checked(x, v, row2, out2);
                CHECK(same_bits(row, row2));
                CHECK(same_bits(out, out2));
            }
    }
}

const auto reals = {DType::f32, DType::f64};

TEST_CASE("rows: sums of four rows at once", "[jit][program][rows]") {
    const auto all = {DType::f32, DType::f64, DType::i32, DType::i64, DType::f16};
    // The product of a matrix and a vector.
    compare(
        [](In x, In v, InOut, InOut out) {
            for (Index i : range(x.extent(0))) {
                Var sum(x.dtype() == f16 ? f32 : x.dtype(), 0);
                for (Index j : range(x.extent(1))) sum += x(i, j) * v(j);
                out(i) = cast(x.dtype(), sum);
            }
        },
        all, false, true);
    // Two sums, one of them used by the next row's, which is in order still.
    compare(
        [](In x, In v, InOut, InOut out) {
            Var last(x.dtype(), 1), of_all(x.dtype(), 0);
            for (Index i : range(x.extent(0))) {
                Var sum(x.dtype(), v(i)), most(x.dtype(), -1);
                for (Index j : range(x.extent(1))) {
                    sum += x(i, j);
                    most = max(most, x(i, j));
                }
                of_all += sum;
                out(i) = most + of_all;
                last = most;
            }
            if_(x.extent(0) > 0, [&] { out(0) += last; });
        },
        reals, false, true);
}

TEST_CASE("rows: four rows are added to one at once", "[jit][program][rows]") {
    const auto all = {DType::f32, DType::f64, DType::i32, DType::i64, DType::f16};
    compare(
        [](In x, In v, InOut row, InOut) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(x.extent(1))) row(j) += v(i) * x(i, j);
        },
        all, false, true);
    compare(
        [](In x, In v, InOut row, InOut out) {
            for (Index i : range(x.extent(0))) {
                Var sum(x.dtype(), 0);
                for (Index j : range(x.extent(1))) {
                    sum += x(i, j) * v(j);
                    row(j) = max(row(j), x(i, j)) + v(i);
                }
                out(i) = sum;
            }
        },
        reals, false, true);
}

TEST_CASE("rows: what stays one row at a time", "[jit][program][rows]") {
    // The next row reads what this one stores.
    compare(
        [](In x, In v, InOut, InOut out) {
            for (Index i : range(1, x.extent(0))) {
                Var sum(x.dtype(), out(i - 1));
                for (Index j : range(x.extent(1))) sum += x(i, j) * v(j);
                out(i) = sum;
            }
        },
        reals, false, false);
    // Elements of a row that depend on each other, or that rows do not share.
    compare(
        [](In x, In v, InOut row, InOut) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(1, x.extent(1))) row(j) += row(j - 1) * v(i);
        },
        reals, false, false);
    compare(
        [](In x, In, InOut row, InOut) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(x.extent(1))) row((i + j) % x.extent(1)) += x(i, j);
        },
        reals, false, false);
    // A sum over all elements, whose order would change.
    compare(
        [](In x, In, InOut, InOut out) {
            Var sum(x.dtype(), 0);
            for (Index i : range(x.extent(0))) {
                for (Index j : range(x.extent(1))) sum += x(i, j);
                out(i) = sum;
            }
        },
        reals, false, false);
    // Rows of different lengths.
    compare(
        [](In x, In, InOut, InOut out) {
            for (Index i : range(x.extent(0))) {
                Var sum(x.dtype(), 0);
                for (Index j : range(min(i, x.extent(1)))) sum += x(i, j);
                out(i) = sum;
            }
        },
        reals, false, false);
}

TEST_CASE("rows: elementary functions between inner loops run as lanes", "[jit][program][rows]") {
    // A step of logistic regression.
    compare(
        [](In x, In v, InOut row, InOut out) {
            const Value n = x.extent(0), d = x.extent(1);
            for (Index i : range(n)) {
                Var z(x.dtype(), v(i));
                for (Index j : range(d)) z += x(i, j) * v(n + j);
                const Value error = 1 / (1 + exp(-z)) - v(i);
                for (Index j : range(d)) row(j) += error * x(i, j);
                out(i) += error * z;
            }
        },
        reals, true, true);
    // Inner loops on one side only; a variable of all rows in the last part; branches.
    compare(
        [](In x, In v, InOut, InOut out) {
            Var total(x.dtype(), 0);
            for (Index i : range(x.extent(0))) {
                Var most(x.dtype(), -10);
                for (Index j : range(x.extent(1)))
                    if_(x(i, j) > v(j), [&] { most = max(most, x(i, j)); });
                const Value e = log(abs(most) + 1);
                if_(e > 1, [&] { total += e; }).else_([&] { total -= most; });
                out(i) = total;
            }
        },
        reals, true, false);
    compare(
        [](In x, In v, InOut row, InOut) {
            for (Index i : range(x.extent(0))) {
                const Value weight = exp(v(i));
                for (Index j : range(x.extent(1))) row(j) += weight * x(i, j);
            }
        },
        reals, true, true);
    // Nests in a nest: each is cut by itself.
    compare(
        [](In x, In v, InOut row, InOut out) {
            for (Index t : range(3)) {
                for (Index i : range(x.extent(0))) {
                    Var z(x.dtype(), 0);
                    for (Index j : range(x.extent(1))) z += x(i, j) * row(j);
                    out(i) = tanh(z) + v(i) + cast(x.dtype(), t);
                }
                for (Index j : range(x.extent(1))) row(j) *= 0.5;
            }
        },
        reals, true, true);
}

TEST_CASE("rows: what is not cut", "[jit][program][rows]") {
    // The first part of the next row reads what the last part of this one stores.
    compare(
        [](In x, In v, InOut row, InOut) {
            for (Index i : range(x.extent(0))) {
                Var z(x.dtype(), 0);
                for (Index j : range(x.extent(1))) z += x(i, j) * row(j);
                const Value e = exp(-z * z);
                for (Index j : range(x.extent(1))) row(j) += v(j) * e;
            }
        },
        reals, false, false);
    // The same through a variable.
    compare(
        [](In x, In, InOut, InOut out) {
            Var carry(x.dtype(), 0);
            for (Index i : range(x.extent(0))) {
                Var z(x.dtype(), carry);
                for (Index j : range(x.extent(1))) z += x(i, j);
                const Value e = tanh(z);
                carry = e;
                out(i) = e;
            }
        },
        reals, false, false);
    // Rows that may end the loop.
    compare(
        [](In x, In, InOut, InOut out) {
            for (Index i : range(x.extent(0))) {
                Var z(x.dtype(), 0);
                for (Index j : range(x.extent(1))) z += x(i, j);
                const Value e = exp(-z);
                out(i) = e;
                if_(e > 100, [] { break_(); });
            }
        },
        reals, false, false);
}

TEST_CASE("rows: large arrays are stored past the caches", "[jit][program][rows]") {
    const auto add = [](In x, In v, Out z) {
        for (Index i : prange(x.extent(0)))
            for (Index j : range(x.extent(1))) z(i, j) = x(i, j) + v(j);
    };
    for (const DType t : reals) {
        const auto fast = jit("fast", add, {.parallel = true});
        const auto checked = jit("checked", add, {.parallel = true, .checked = true});
        CHECK(count(fast.inspect(Artifact::llvm, {{t, 2}, {t, 1}, {t, 2}}), "!nontemporal") > 0);
        CHECK(count(checked.inspect(Artifact::llvm, {{t, 2}, {t, 1}, {t, 2}}), "!nontemporal") ==
              0);
        const std::int64_t n = 13'000'000 / static_cast<std::int64_t>(size_of(t)) / 1001;
        for (const std::int64_t columns : {1001, 1000})
            for (const std::int64_t rows : {n, std::int64_t(3)}) {
                const Array x = numbers({rows, columns}, t), v = numbers({columns}, t, 2);
                const Array wide = zeros({rows, 1003}, t), wide2 = wide.copy();
                // Rows at any address, and columns that are left alone.
                const auto inner = [&](const Array& a) { return a({}, Slice{1, 1 + columns}); };
                fast(x, v, inner(wide));
                checked(x, v, inner(wide2));
                CHECK(same_bits(wide, wide2));
            }
    }
    // Not where the arrays are come back to, or read.
    const auto sweeps = jit("sweeps", [](In x, In v, Out z) {
        for (Index t : range(2)) {
            (void)t;
            for (Index i : prange(x.extent(0)))
                for (Index j : range(x.extent(1))) z(i, j) = x(i, j) + v(j);
        }
    });
    const auto reads = jit("reads", [](In x, In v, InOut z) {
        for (Index i : prange(x.extent(0)))
            for (Index j : range(x.extent(1))) z(i, j) += x(i, j) + v(j);
    });
    const auto later = jit("later", [](In x, In v, InOut z) {
        for (Index i : prange(x.extent(0)))
            for (Index j : range(x.extent(1))) z(i, j) = x(i, j) + v(j);
        for (Index i : range(1, z.extent(0))) z(i, 0) += z(i - 1, 0);
    });
    for (const auto* f : {&sweeps, &reads, &later})
        CHECK(count(f->inspect(Artifact::llvm, {{f64, 2}, {f64, 1}, {f64, 2}}), "!nontemporal") ==
              0);
}

TEST_CASE("rows: running results run as lanes", "[jit][program][rows]") {
    const auto run = [](auto f, DType t, bool vector) {
        const auto fast = jit("fast", f), checked = jit("checked", f, {.checked = true});
        const std::string text = fast.inspect(Artifact::llvm, {{t, 1}, {t, 1}});
        const bool lanes =
            text.find("_v0(") != std::string::npos || text.find("\nrow.i:") != std::string::npos;
        CHECK(lanes == vector);
        for (const std::int64_t n : {0, 1, 2, 15, 16, 17, 63, 64, 65, 1000, 5001})
            for (const std::int64_t stride : {1, 3}) {
                INFO(name(t) << ", n = " << n << ", stride " << stride);
                const Array x = numbers({n}, t);
                const Array z = zeros({n * stride + 1}, t), z2 = z.copy();
                const auto part = [&](const Array& a) { return a(Slice{0, n * stride, stride}); };
                const auto total = fast(x, part(z)), total2 = checked(x, part(z2));
                CHECK(same_bits(z, z2));
                CHECK(total.template get<double>() == total2.template get<double>());
            }
    };
    // Exact, so that the order does not tell.
    const auto sums = [](In x, Out z) -> Value {
        Var sum(x.dtype(), 3);
        for (Index i : range(x.extent(0))) {
            sum -= x(i) * 2;
            z(i) = sum;
        }
        return cast<double>(sum);
    };
    run(sums, i32, true);
    run(sums, i64, true);
    run(sums, f64, false);  // strict
    const auto most = [](In x, Out z) -> Value {
        Var m(x.dtype(), -1);
        for (Index i : range(x.extent(0))) {
            m = max(m, x(i));
            z(i) = m;
        }
        return cast<double>(m);
    };
    run(most, f32, true);
    run(most, f64, true);
    run(most, i64, true);
    // What is stored is something else.
    run(
        [](In x, Out z) -> Value {
            Var m(x.dtype(), -1);
            for (Index i : range(x.extent(0))) {
                z(i) = m;
                m = max(m, x(i));
            }
            return cast<double>(m);
        },
        f64, false);
    const auto fast = jit(
        [](In x, Out z) {
            Var sum(x.dtype(), 0);
            for (Index i : range(x.extent(0))) {
                sum += x(i);
                z(i) = sum;
            }
        },
        {.fastmath = true});
    const Array x = numbers({100'000}, f64), z = zeros({100'000}, f64);
    fast(x, z);
    double sum = 0, worst = 0;
    for (std::int64_t i = 0; i < x.size(); ++i) {
        sum += x.at<double>({i});
        worst = std::max(worst, std::abs(z.at<double>({i}) - sum));
    }
    CHECK(worst < 1e-9);
}

}  // namespace

TEST_CASE("rows: lanes that run at one place become part of the code there",
          "[jit][program][rows]") {
    const auto functions = [](const auto& kernel, std::initializer_list<ArgType> types) {
        return count(kernel.inspect(Artifact::llvm, types), "define internal void ");
    };
    const auto once = jit([](In x, Out y) { y = exp(x); });
    const auto twice = jit([](In x, Out y, Out z) {
        y = exp(x);
        for (Index i : range(2)) z = exp(y) + i;
    });
    CHECK(functions(once, {f64[1], f64[1]}) == 1);
    CHECK(twice.inspect(Artifact::llvm, {f64[1], f64[1], f64[1]}).find("_v0(") !=
          std::string::npos);
    for (const std::int64_t n : {0, 1, 7, 64, 1001}) {
        const Array x = linspace(-1.0, 1.0, n), y = full({n}, -1.0);
        once(x, y);
        for (std::int64_t i = 0; i < n; ++i)
            CHECK(std::abs(y.at<double>({i}) - std::exp(x.at<double>({i}))) <= 1e-15 * 3);
    }
}
