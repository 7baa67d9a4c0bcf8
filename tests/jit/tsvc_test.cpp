// Loops of TSVC as loop kernels, against the same loops in C++: dependences that a vectoriser must
// respect, conditions, reductions, recurrences, searches, packing, gathers and early exits.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

using namespace kiln;

namespace {

constexpr int n = 1000, rows = 40, columns = 64;
using Line = std::vector<double>;

/// Five arrays of a line, two tables, an index array with each index once.
struct Data {
    Line a, b, c, d, e, aa, bb;
    std::vector<std::int32_t> at;
    Data() : at(n) {
        for (Line* line : {&a, &b, &c, &d, &e}) {
            line->resize(n);
            for (int i = 0; i < n; ++i)
                (*line)[i] = std::sin(static_cast<double>(i * 7 + (line - &a) * 13)) + 0.1;
        }
        for (Line* table : {&aa, &bb}) {
            table->resize(rows * columns);
            for (int i = 0; i < rows * columns; ++i)
                (*table)[i] = std::cos(static_cast<double>(i * 3 + (table - &aa)));
        }
        for (int i = 0; i < n; ++i) at[i] = i * 37 % n;
    }
};

const std::vector<JitOptions> both{{}, {.parallel = true, .checked = true}};

void check_same(const std::string& name, const Line& got, const Line& want) {
    for (std::size_t i = 0; i < got.size(); ++i)
        if (!(std::abs(got[i] - want[i]) <= 1e-11 * (1 + std::abs(want[i])))) {
            FAIL_CHECK(name << ": element " << i << " is " << got[i] << ", not " << want[i]);
            return;
        }
    SUCCEED(name);
}

using Plain = std::function<void(Data&)>;

/// Runs a loop over lines both ways; all lines are compared.
template <class F> void lines(const char* name, F kernel, const Plain& plain) {
    Data want;
    plain(want);
    for (const JitOptions& options : both) {
        Data x;
        jit(name, kernel, options)(x.a, x.b, x.c, x.d, x.e, x.at);
        check_same(name, x.a, want.a);
        check_same(name, x.b, want.b);
        check_same(name, x.c, want.c);
        check_same(name, x.d, want.d);
    }
}
#define LINES [](InOut a, InOut b, InOut c, InOut d, InOut e, In at)
#define UNUSED(...) (void)sizeof((__VA_ARGS__, 0))

template <class F> void tables(const char* name, F kernel, const Plain& plain) {
    Data want;
    plain(want);
    for (const JitOptions& options : both) {
        Data x;
        jit(name, kernel, options)(Array::over(x.aa.data(), {rows, columns}),
                                   Array::over(x.bb.data(), {rows, columns}), x.a, x.b);
        check_same(name, x.aa, want.aa);
        check_same(name, x.a, want.a);
    }
}
#define TABLES [](InOut aa, InOut bb, InOut a, InOut b)

/// A loop whose result is one number.
template <class F> void number(const char* name, F kernel,
                               const std::function<double(Data&)>& plain) {
    Data x;
    const double want = plain(x);
    for (const JitOptions& options : both) {
        const double got = jit(name, kernel, options)(x.a, x.b, x.c, x.at).template get<double>();
        check_same(name, {got}, {want});
    }
}
#define NUMBER [](In a, In b, In c, In at) -> Value

TEST_CASE("tsvc: linear dependences", "[jit][tsvc]") {
    lines(
        "s111",
        LINES {
            UNUSED(c, d, e, at);
            for (Index i : range(1, n, 2)) a(i) = a(i - 1) + b(i);
        },
        [](Data& x) {
            for (int i = 1; i < n; i += 2) x.a[i] = x.a[i - 1] + x.b[i];
        });
    tables(
        "s1119",
        TABLES {
            UNUSED(a, b);
            for (Index i : range(1, rows))
                for (Index j : range(columns)) aa(i, j) = aa(i - 1, j) + bb(i, j);
        },
        [](Data& x) {
            for (int i = 1; i < rows; ++i)
                for (int j = 0; j < columns; ++j)
                    x.aa[i * columns + j] = x.aa[(i - 1) * columns + j] + x.bb[i * columns + j];
        });
    tables(
        "s115",
        TABLES {
            UNUSED(bb, b);
            for (Index j : range(rows))
                for (Index i : range(j + 1, rows)) a(i) -= 0.01 * aa(j, i) * a(j);
        },
        [](Data& x) {
            for (int j = 0; j < rows; ++j)
                for (int i = j + 1; i < rows; ++i) x.a[i] -= 0.01 * x.aa[j * columns + i] * x.a[j];
        });
    // The shifted write that the next iteration reads, and the one that it does not.
    lines(
        "s1161",
        LINES {
            UNUSED(d, e, at, c);
            for (Index i : range(n - 1)) a(i + 1) = a(i) * 0.5 + b(i);
        },
        [](Data& x) {
            for (int i = 0; i < n - 1; ++i) x.a[i + 1] = x.a[i] * 0.5 + x.b[i];
        });
    lines(
        "s1162",
        LINES {
            UNUSED(d, e, at, c);
            for (Index i : range(n - 1)) a(i) = a(i + 1) * 0.5 + b(i);
        },
        [](Data& x) {
            for (int i = 0; i < n - 1; ++i) x.a[i] = x.a[i + 1] * 0.5 + x.b[i];
        });
}

TEST_CASE("tsvc: conditions", "[jit][tsvc]") {
    lines(
        "s124",
        LINES {
            UNUSED(at);
            Var j(DType::i64, -1);
            for (Index i : range(n)) {
                j += 1;
                if_(b(i) > 0.0, [&] { a(j) = b(i) + d(i) * e(i); }).else_([&] {
                    a(j) = c(i) + d(i) * e(i);
                });
            }
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[i] = (x.b[i] > 0 ? x.b[i] : x.c[i]) + x.d[i] * x.e[i];
        });
    lines(
        "s161",
        LINES {
            UNUSED(at);
            for (Index i : range(n - 1))
                if_(b(i) < 0.0, [&] { c(i + 1) = a(i) + d(i) * d(i); }).else_([&] {
                    a(i) = c(i) + d(i) * e(i);
                });
        },
        [](Data& x) {
            for (int i = 0; i < n - 1; ++i)
                if (x.b[i] < 0)
                    x.c[i + 1] = x.a[i] + x.d[i] * x.d[i];
                else
                    x.a[i] = x.c[i] + x.d[i] * x.e[i];
        });
    lines(
        "s271",
        LINES {
            UNUSED(d, e, at);
            for (Index i : range(n)) if_(b(i) > 0.0, [&] { a(i) += b(i) * c(i); });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                if (x.b[i] > 0) x.a[i] += x.b[i] * x.c[i];
        });
    lines(
        "s2711",
        LINES {
            UNUSED(d, e, at);
            for (Index i : range(n)) if_(b(i) != 0.0, [&] { a(i) += b(i) * c(i); });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                if (x.b[i] != 0) x.a[i] += x.b[i] * x.c[i];
        });
    lines(
        "s278",
        LINES {
            UNUSED(at);
            for (Index i : range(n)) {
                if_(a(i) > 0.0, [&] { c(i) = -c(i) + d(i) * e(i); }).else_([&] {
                    b(i) = -b(i) + d(i) * e(i);
                });
                a(i) = b(i) + c(i) * d(i);
            }
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) {
                if (x.a[i] > 0)
                    x.c[i] = -x.c[i] + x.d[i] * x.e[i];
                else
                    x.b[i] = -x.b[i] + x.d[i] * x.e[i];
                x.a[i] = x.b[i] + x.c[i] * x.d[i];
            }
        });
    lines(
        "s279",
        LINES {
            UNUSED(at);
            for (Index i : range(n)) {
                if_(a(i) > 0.0, [&] { c(i) = -c(i) + e(i) * e(i); }).else_([&] {
                    b(i) = -b(i) + d(i) * d(i);
                    if_(b(i) > a(i), [&] { c(i) += d(i) * e(i); });
                });
                a(i) = b(i) + c(i) * d(i);
            }
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) {
                if (x.a[i] > 0) {
                    x.c[i] = -x.c[i] + x.e[i] * x.e[i];
                } else {
                    x.b[i] = -x.b[i] + x.d[i] * x.d[i];
                    if (x.b[i] > x.a[i]) x.c[i] += x.d[i] * x.e[i];
                }
                x.a[i] = x.b[i] + x.c[i] * x.d[i];
            }
        });
    lines(
        "s2710",
        LINES {
            UNUSED(at);
            for (Index i : range(n))
                if_(a(i) > b(i), [&] {
                    a(i) += b(i) * d(i);
                    c(i) += d(i) * d(i);
                }).else_([&] {
                    b(i) = a(i) + e(i) * e(i);
                    c(i) = a(i) + d(i) * d(i);
                });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                if (x.a[i] > x.b[i]) {
                    x.a[i] += x.b[i] * x.d[i];
                    x.c[i] += x.d[i] * x.d[i];
                } else {
                    x.b[i] = x.a[i] + x.e[i] * x.e[i];
                    x.c[i] = x.a[i] + x.d[i] * x.d[i];
                }
        });
    lines(
        "s441",
        LINES {
            UNUSED(e, at);
            for (Index i : range(n))
                if_(d(i) < 0.0, [&] { a(i) += b(i) * c(i); })
                    .else_if([&] { return d(i) == 0.0; }, [&] { a(i) += b(i) * b(i); })
                    .else_([&] { a(i) += c(i) * c(i); });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                x.a[i] += x.d[i] < 0    ? x.b[i] * x.c[i]
                          : x.d[i] == 0 ? x.b[i] * x.b[i]
                                        : x.c[i] * x.c[i];
        });
    lines(
        "s443",
        LINES {
            UNUSED(e, at);
            for (Index i : range(n))
                if_(d(i) <= 0.0, [&] { a(i) += b(i) * c(i); }).else_([&] { a(i) += b(i) * b(i); });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[i] += x.b[i] * (x.d[i] <= 0 ? x.c[i] : x.b[i]);
        });
}

TEST_CASE("tsvc: reductions", "[jit][tsvc]") {
    number(
        "s311",
        NUMBER {
            UNUSED(b, c, at);
            Var sum(DType::f64, 0.0);
            for (Index i : range(n)) sum += a(i);
            return sum;
        },
        [](Data& x) {
            double s = 0;
            for (double v : x.a) s += v;
            return s;
        });
    number(
        "s312",
        NUMBER {
            UNUSED(b, c, at);
            Var product(DType::f64, 1.0);
            for (Index i : range(n)) product *= 1.0 + 0.001 * a(i);
            return product;
        },
        [](Data& x) {
            double p = 1;
            for (double v : x.a) p *= 1 + 0.001 * v;
            return p;
        });
    number(
        "s313, vdotr",
        NUMBER {
            UNUSED(c, at);
            Var dot(DType::f64, 0.0);
            for (Index i : range(n)) dot += a(i) * b(i);
            return dot;
        },
        [](Data& x) {
            double s = 0;
            for (int i = 0; i < n; ++i) s += x.a[i] * x.b[i];
            return s;
        });
    number(
        "s314",
        NUMBER {
            UNUSED(b, c, at);
            Var most(DType::f64, a(0));
            for (Index i : range(n)) if_(a(i) > most, [&] { most = a(i); });
            return most;
        },
        [](Data& x) {
            double m = x.a[0];
            for (double v : x.a) m = std::max(m, v);
            return m;
        });
    number(
        "s315",
        NUMBER {
            UNUSED(b, c, at);
            Var most(DType::f64, a(0));
            Var where(DType::i64, 0);
            for (Index i : range(n))
                if_(a(i) > most, [&] {
                    most = a(i);
                    where = i;
                });
            return most + cast<double>(where);
        },
        [](Data& x) {
            int w = 0;
            for (int i = 0; i < n; ++i)
                if (x.a[i] > x.a[w]) w = i;
            return x.a[w] + w;
        });
    number(
        "s316",
        NUMBER {
            UNUSED(b, c, at);
            Var least(DType::f64, a(0));
            for (Index i : range(1, n)) if_(a(i) < least, [&] { least = a(i); });
            return least;
        },
        [](Data& x) {
            double m = x.a[0];
            for (double v : x.a) m = std::min(m, v);
            return m;
        });
    number(
        "s317",
        NUMBER {
            UNUSED(a, b, c, at);
            Var q(DType::f64, 1.0);
            for (Index i : range(n / 2)) {
                (void)i;
                q *= 0.999;
            }
            return q;
        },
        [](Data&) { return std::pow(0.999, n / 2); });
    number(
        "s318",
        NUMBER {
            UNUSED(b, c, at);
            Var most(DType::f64, abs(a(0)));
            Var k(DType::i64, 0), where(DType::i64, 0);
            for (Index i : range(1, n / 3)) {
                (void)i;
                k += 3;
                if_(abs(a(k)) > most, [&] {
                    where = k;
                    most = abs(a(k));
                });
            }
            return most + cast<double>(where);
        },
        [](Data& x) {
            int w = 0;
            for (int i = 1; i < n / 3; ++i)
                if (std::abs(x.a[3 * i]) > std::abs(x.a[w])) w = 3 * i;
            return std::abs(x.a[w]) + w;
        });
    lines(
        "s319",
        LINES {
            UNUSED(at);
            Var sum(DType::f64, 0.0);
            for (Index i : range(n)) {
                a(i) = c(i) + d(i);
                sum += a(i);
                b(i) = c(i) + e(i);
                sum += b(i);
            }
            d(0) = sum;
        },
        [](Data& x) {
            double s = 0;
            for (int i = 0; i < n; ++i) {
                x.a[i] = x.c[i] + x.d[i];
                x.b[i] = x.c[i] + x.e[i];
                s += x.a[i] + x.b[i];
            }
            x.d[0] = s;
        });
    tables(
        "s3110",
        TABLES {
            UNUSED(b, bb);
            Var most(DType::f64, aa(0, 0));
            Var y(DType::i64, 0), z(DType::i64, 0);
            for (Index i : range(rows))
                for (Index j : range(columns))
                    if_(aa(i, j) > most, [&] {
                        most = aa(i, j);
                        y = i;
                        z = j;
                    });
            a(0) = most + cast<double>(y) + cast<double>(z);
        },
        [](Data& x) {
            int w = 0;
            for (int i = 0; i < rows * columns; ++i)
                if (x.aa[i] > x.aa[w]) w = i;
            x.a[0] = x.aa[w] + w / columns + w % columns;
        });
    number(
        "s3113",
        NUMBER {
            UNUSED(b, c, at);
            Var most(DType::f64, abs(a(0)));
            for (Index i : range(n)) if_(abs(a(i)) > most, [&] { most = abs(a(i)); });
            return most;
        },
        [](Data& x) {
            double m = 0;
            for (double v : x.a) m = std::max(m, std::abs(v));
            return m;
        });
    lines(
        "vbor",
        LINES {
            UNUSED(at);
            for (Index i : range(n)) {
                const Value p = a(i), q = b(i), r = c(i), s = d(i), t = e(i);
                a(i) = p * q * r + p * q * s + p * q * t + p * r * s + p * r * t + p * s * t;
            }
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) {
                const double p = x.a[i], q = x.b[i], r = x.c[i], s = x.d[i], t = x.e[i];
                x.a[i] = p * (q * (r + s + t) + r * (s + t) + s * t);
            }
        });
}

TEST_CASE("tsvc: recurrences", "[jit][tsvc]") {
    lines(
        "s321",
        LINES {
            UNUSED(c, d, e, at);
            for (Index i : range(1, n)) a(i) += 0.9 * a(i - 1) * b(i);
        },
        [](Data& x) {
            for (int i = 1; i < n; ++i) x.a[i] += 0.9 * x.a[i - 1] * x.b[i];
        });
    lines(
        "s322",
        LINES {
            UNUSED(d, e, at);
            for (Index i : range(2, n)) a(i) += 0.4 * (a(i - 1) * b(i) + a(i - 2) * c(i));
        },
        [](Data& x) {
            for (int i = 2; i < n; ++i) x.a[i] += 0.4 * (x.a[i - 1] * x.b[i] + x.a[i - 2] * x.c[i]);
        });
    lines(
        "s323",
        LINES {
            UNUSED(at);
            for (Index i : range(1, n)) {
                a(i) = 0.5 * b(i - 1) + c(i) * d(i);
                b(i) = a(i) + c(i) * e(i);
            }
        },
        [](Data& x) {
            for (int i = 1; i < n; ++i) {
                x.a[i] = 0.5 * x.b[i - 1] + x.c[i] * x.d[i];
                x.b[i] = x.a[i] + x.c[i] * x.e[i];
            }
        });
}

TEST_CASE("tsvc: searches and early exits", "[jit][tsvc]") {
    number(
        "s331",
        NUMBER {
            UNUSED(b, c, at);
            Var last(DType::i64, -1);
            for (Index i : range(n)) if_(a(i) < 0.0, [&] { last = i; });
            return cast<double>(last);
        },
        [](Data& x) {
            int j = -1;
            for (int i = 0; i < n; ++i)
                if (x.a[i] < 0) j = i;
            return double(j);
        });
    number(
        "s332",
        NUMBER {
            UNUSED(b, c, at);
            Var index(DType::i64, -2);
            Var value(DType::f64, -1.0);
            for (Index i : range(n))
                if_(a(i) > 1.05, [&] {
                    index = i;
                    value = a(i);
                    break_();
                });
            return value + cast<double>(index);
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                if (x.a[i] > 1.05) return x.a[i] + i;
            return -3.0;
        });
    lines(
        "s481",
        LINES {
            UNUSED(e, at);
            for (Index i : range(n)) {
                if_(d(i) < -0.899, [] { return_(); });
                a(i) += b(i) * c(i);
            }
        },
        [](Data& x) {
            for (int i = 0; i < n && !(x.d[i] < -0.899); ++i) x.a[i] += x.b[i] * x.c[i];
        });
    lines(
        "s482",
        LINES {
            UNUSED(d, e, at);
            for (Index i : range(n)) {
                a(i) += b(i) * c(i);
                if_(c(i) > b(i) + 1.8, [] { break_(); });
            }
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) {
                x.a[i] += x.b[i] * x.c[i];
                if (x.c[i] > x.b[i] + 1.8) break;
            }
        });
}

TEST_CASE("tsvc: packing, gather, scatter", "[jit][tsvc]") {
    lines(
        "s341",
        LINES {
            UNUSED(c, d, e, at);
            Var j(DType::i64, 0);
            for (Index i : range(n))
                if_(b(i) > 0.0, [&] {
                    a(j) = b(i);
                    j += 1;
                });
        },
        [](Data& x) {
            int j = 0;
            for (double v : x.b)
                if (v > 0) x.a[j++] = v;
        });
    lines(
        "s342",
        LINES {
            UNUSED(c, d, e, at);
            Var j(DType::i64, 0);
            for (Index i : range(n))
                if_(a(i) > 0.0, [&] {
                    a(i) = b(j);
                    j += 1;
                });
        },
        [](Data& x) {
            int j = 0;
            for (double& v : x.a)
                if (v > 0) v = x.b[j++];
        });
    tables(
        "s343",
        TABLES {
            UNUSED(b);
            Var k(DType::i64, 0);
            for (Index i : range(rows))
                for (Index j : range(columns / 4))
                    if_(bb(i, j) > 0.0, [&] {
                        a(k) = aa(i, j);
                        k += 1;
                    });
        },
        [](Data& x) {
            int k = 0;
            for (int i = 0; i < rows; ++i)
                for (int j = 0; j < columns / 4; ++j)
                    if (x.bb[i * columns + j] > 0) x.a[k++] = x.aa[i * columns + j];
        });
    lines(
        "s4112",
        LINES {
            UNUSED(c, d, e);
            for (Index i : range(n)) a(i) += b(at(i)) * 0.7;
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[i] += x.b[x.at[i]] * 0.7;
        });
    lines(
        "s4113",
        LINES {
            UNUSED(d, e);
            for (Index i : range(n)) a(at(i)) = b(at(i)) + c(i);
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[x.at[i]] = x.b[x.at[i]] + x.c[i];
        });
    lines(
        "s4114",
        LINES {
            UNUSED(e);
            for (Index i : range(5, n)) {
                const Value k = at(i);
                a(i) = b(i) + c(n - 1 - k) * d(i);
            }
        },
        [](Data& x) {
            for (int i = 5; i < n; ++i) x.a[i] = x.b[i] + x.c[n - 1 - x.at[i]] * x.d[i];
        });
    number(
        "s4115",
        NUMBER {
            UNUSED(c);
            Var sum(DType::f64, 0.0);
            for (Index i : range(n)) sum += a(i) * b(at(i));
            return sum;
        },
        [](Data& x) {
            double s = 0;
            for (int i = 0; i < n; ++i) s += x.a[i] * x.b[x.at[i]];
            return s;
        });
    number(
        "s4116",
        NUMBER {
            UNUSED(c);
            Var sum(DType::f64, 0.0);
            for (Index i : range(n - 1)) sum += a(i + 1) * b(at(i));
            return sum;
        },
        [](Data& x) {
            double s = 0;
            for (int i = 0; i < n - 1; ++i) s += x.a[i + 1] * x.b[x.at[i]];
            return s;
        });
    lines(
        "s4117",
        LINES {
            UNUSED(e, at);
            for (Index i : range(n)) a(i) = b(i) + c(i / 2) * d(i);
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[i] = x.b[i] + x.c[i / 2] * x.d[i];
        });
    lines(
        "s491",
        LINES {
            UNUSED(e);
            for (Index i : range(n)) a(at(i)) = b(i) + c(i) * d(i);
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[x.at[i]] = x.b[i] + x.c[i] * x.d[i];
        });
}

}  // namespace
