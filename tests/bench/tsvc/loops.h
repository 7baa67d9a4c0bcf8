// Loops of TSVC as loop kernels, each beside the same loop in C++. A visitor is given them by
//
//     v.lines(name, kernel, plain)     over lines: kernel(a, b, c, d, e, at)
//     v.tables(name, kernel, plain)    over tables: kernel(aa, bb, a, b)
//     v.number(name, kernel, plain)    whose result is one number: kernel(a, b, c, at)
//
// where plain takes the Data. The meaning of the loops is that of TSVC_2; a constant keeps values
// bounded where they would grow.
#pragma once
#include <kiln/kiln.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#ifndef KILN_TSVC_LENGTH
#define KILN_TSVC_LENGTH 1000
#define KILN_TSVC_ROWS 40
#define KILN_TSVC_COLUMNS 64
#endif

namespace tsvc {
using namespace kiln;

constexpr int n = KILN_TSVC_LENGTH, rows = KILN_TSVC_ROWS, columns = KILN_TSVC_COLUMNS;
using Line = std::vector<double>;

/// Five arrays of a line, two tables, an index array with each index once.
struct Data {
    Line a, b, c, d, e, aa, bb;
    std::vector<std::int32_t> at;
    /// Elements of lines lie within `amplitude` around 0.1: below 0.99, no search finds anything,
    /// and loops run to their ends.
    explicit Data(double amplitude = 1) : at(n) {
        for (Line* line : {&a, &b, &c, &d, &e}) {
            line->resize(n);
            for (int i = 0; i < n; ++i)
                (*line)[i] =
                    amplitude * std::sin(static_cast<double>(i * 7 + (line - &a) * 13)) + 0.1;
        }
        for (Line* table : {&aa, &bb}) {
            table->resize(rows * columns);
            for (int i = 0; i < rows * columns; ++i)
                (*table)[i] = std::cos(static_cast<double>(i * 3 + (table - &aa)));
        }
        for (int i = 0; i < n; ++i) at[i] = static_cast<int>(std::int64_t(i) * 37 % n);
    }
};

#define LINES [](InOut a, InOut b, InOut c, InOut d, InOut e, In at)
#define TABLES [](InOut aa, InOut bb, InOut a, InOut b)
#define NUMBER [](In a, In b, In c, In at) -> Value
#define UNUSED(...) (void)sizeof((__VA_ARGS__, 0))

/// Linear dependences.
template <class Visitor> void linear_dependences(Visitor&& v) {
    v.lines(
        "s111",
        LINES {
            UNUSED(c, d, e, at);
            for (Index i : range(1, n, 2)) a(i) = a(i - 1) + b(i);
        },
        [](Data& x) {
            for (int i = 1; i < n; i += 2) x.a[i] = x.a[i - 1] + x.b[i];
        });
    v.tables(
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
    v.tables(
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
    v.lines(
        "s1161",
        LINES {
            UNUSED(d, e, at, c);
            for (Index i : range(n - 1)) a(i + 1) = a(i) * 0.5 + b(i);
        },
        [](Data& x) {
            for (int i = 0; i < n - 1; ++i) x.a[i + 1] = x.a[i] * 0.5 + x.b[i];
        });
    v.lines(
        "s1162",
        LINES {
            UNUSED(d, e, at, c);
            for (Index i : range(n - 1)) a(i) = a(i + 1) * 0.5 + b(i);
        },
        [](Data& x) {
            for (int i = 0; i < n - 1; ++i) x.a[i] = x.a[i + 1] * 0.5 + x.b[i];
        });
}

/// Conditions.
template <class Visitor> void conditions(Visitor&& v) {
    v.lines(
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
    v.lines(
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
    v.lines(
        "s271",
        LINES {
            UNUSED(d, e, at);
            for (Index i : range(n)) if_(b(i) > 0.0, [&] { a(i) += b(i) * c(i); });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                if (x.b[i] > 0) x.a[i] += x.b[i] * x.c[i];
        });
    v.lines(
        "s2711",
        LINES {
            UNUSED(d, e, at);
            for (Index i : range(n)) if_(b(i) != 0.0, [&] { a(i) += b(i) * c(i); });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                if (x.b[i] != 0) x.a[i] += x.b[i] * x.c[i];
        });
    v.lines(
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
    v.lines(
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
    v.lines(
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
    v.lines(
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
                if (x.d[i] < 0)
                    x.a[i] += x.b[i] * x.c[i];
                else if (x.d[i] == 0)
                    x.a[i] += x.b[i] * x.b[i];
                else
                    x.a[i] += x.c[i] * x.c[i];
        });
    v.lines(
        "s443",
        LINES {
            UNUSED(e, at);
            for (Index i : range(n))
                if_(d(i) <= 0.0, [&] { a(i) += b(i) * c(i); }).else_([&] { a(i) += b(i) * b(i); });
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i)
                if (x.d[i] <= 0)
                    x.a[i] += x.b[i] * x.c[i];
                else
                    x.a[i] += x.b[i] * x.b[i];
        });
}

/// Reductions.
template <class Visitor> void reductions(Visitor&& v) {
    v.number(
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
    v.number(
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
    v.number(
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
    v.number(
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
    v.number(
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
            double most = x.a[0];
            int where = 0;
            for (int i = 0; i < n; ++i)
                if (x.a[i] > most) {
                    most = x.a[i];
                    where = i;
                }
            return most + where;
        });
    v.number(
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
    v.number(
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
        [](Data&) {
            double q = 1;
            for (int i = 0; i < n / 2; ++i) q *= 0.999;
            return q;
        });
    v.number(
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
            double most = std::abs(x.a[0]);
            int k = 0, where = 0;
            for (int i = 1; i < n / 3; ++i) {
                k += 3;
                if (std::abs(x.a[k]) > most) {
                    where = k;
                    most = std::abs(x.a[k]);
                }
            }
            return most + where;
        });
    v.lines(
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
                s += x.a[i];
                x.b[i] = x.c[i] + x.e[i];
                s += x.b[i];
            }
            x.d[0] = s;
        });
    v.tables(
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
            double most = x.aa[0];
            int y = 0, z = 0;
            for (int i = 0; i < rows; ++i)
                for (int j = 0; j < columns; ++j)
                    if (x.aa[i * columns + j] > most) {
                        most = x.aa[i * columns + j];
                        y = i;
                        z = j;
                    }
            x.a[0] = most + y + z;
        });
    v.number(
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
    v.lines(
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

/// Recurrences.
template <class Visitor> void recurrences(Visitor&& v) {
    v.lines(
        "s321",
        LINES {
            UNUSED(c, d, e, at);
            for (Index i : range(1, n)) a(i) += 0.9 * a(i - 1) * b(i);
        },
        [](Data& x) {
            for (int i = 1; i < n; ++i) x.a[i] += 0.9 * x.a[i - 1] * x.b[i];
        });
    v.lines(
        "s322",
        LINES {
            UNUSED(d, e, at);
            for (Index i : range(2, n)) a(i) += 0.4 * (a(i - 1) * b(i) + a(i - 2) * c(i));
        },
        [](Data& x) {
            for (int i = 2; i < n; ++i) x.a[i] += 0.4 * (x.a[i - 1] * x.b[i] + x.a[i - 2] * x.c[i]);
        });
    v.lines(
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

/// Searches and early exits.
template <class Visitor> void searches_and_early_exits(Visitor&& v) {
    v.number(
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
    v.number(
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
    v.lines(
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
    v.lines(
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

/// Packing, gather, scatter.
template <class Visitor> void packing_gather_scatter(Visitor&& v) {
    v.lines(
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
    v.lines(
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
    v.tables(
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
    v.lines(
        "s4112",
        LINES {
            UNUSED(c, d, e);
            for (Index i : range(n)) a(i) += b(at(i)) * 0.7;
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[i] += x.b[x.at[i]] * 0.7;
        });
    v.lines(
        "s4113",
        LINES {
            UNUSED(d, e);
            for (Index i : range(n)) a(at(i)) = b(at(i)) + c(i);
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[x.at[i]] = x.b[x.at[i]] + x.c[i];
        });
    v.lines(
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
    v.number(
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
    v.number(
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
    v.lines(
        "s4117",
        LINES {
            UNUSED(e, at);
            for (Index i : range(n)) a(i) = b(i) + c(i / 2) * d(i);
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[i] = x.b[i] + x.c[i / 2] * x.d[i];
        });
    v.lines(
        "s491",
        LINES {
            UNUSED(e);
            for (Index i : range(n)) a(at(i)) = b(i) + c(i) * d(i);
        },
        [](Data& x) {
            for (int i = 0; i < n; ++i) x.a[x.at[i]] = x.b[i] + x.c[i] * x.d[i];
        });
}

#undef LINES
#undef TABLES
#undef NUMBER
#undef UNUSED

}  // namespace tsvc
