#!/usr/bin/env python3
"""Writes exp_coefficients.inc, the constants of codegen/llvm/ops/math_exp.cpp.

    python3 codegen/math/generate.py            # write the file
    python3 codegen/math/generate.py --check    # exit 1 if the file differs

Needs mpmath. Names end in the format; `fast` tables serve fastmath {afn}.
"""

import pathlib
import sys

from mpmath import exp, expm1, log, log1p, mp, mpf, sqrt

from remez import fit, round_to, split, write_table

mp.prec = 160
HEAD = "// Written by codegen/math/generate.py; change that, not this.\n"
FORMATS = {"f32": 24, "f64": 53}
LN2 = log(2)


def scalars(names, values):
    assert all(mpf(float(v)) == v for v in values)
    return "".join(f"constexpr double {n} = {float(v).hex()};\n" for n, v in zip(names, values))


def exponentials(fmt, bits):
    """b^x = 2^n (1 + u(r)) with r = x - n log_b(2), |r| <= log_b(2) / 2."""
    yield f"// exp, exp2, exp10 in {fmt}\n"
    # n times a high part is exact: n has 8 bits in f32, 11 in f64.
    short = bits - (8 if bits == 24 else 11)
    for name, base in (("exp", None), ("exp10", mpf(10))):
        ln_b = mpf(1) if base is None else log(base)
        names = [f"{name}_{part}_{fmt}" for part in ("per_step", "step_hi", "step_lo")]
        step = LN2 / ln_b
        yield scalars(names, [round_to(1 / step, bits), *split(step, [short, bits], 2)])
    half = LN2 / 2
    # exp(r) = 1 + r + r^2 p(r)
    for tier, count in (("", 5 if bits == 24 else 10), ("_fast", 4 if bits == 24 else 9)):
        c, err = fit(lambda x: (expm1(x) - x) / x**2, (-half, half), range(count),
                     weight=lambda x: x**2 / exp(x), bits=bits)
        yield write_table(f"exp_poly{tier}_{fmt}", c, err)
    # expm1(r) = r + r^2/2 + r^3 p(r); fast: r + r^2 p(r)
    c, err = fit(lambda x: (expm1(x) - x - x**2 / 2) / x**3, (-half, half),
                 range(5 if bits == 24 else 10), weight=lambda x: x**3 / expm1(x), bits=bits)
    yield write_table(f"expm1_poly_{fmt}", c, err)
    c, err = fit(lambda x: (expm1(x) - x) / x**2, (-half, half), range(5 if bits == 24 else 10),
                 weight=lambda x: x**2 / expm1(x), bits=bits)
    yield write_table(f"expm1_poly_fast_{fmt}", c, err)
    # b^r = 1 + r (hi + lo + r p(r)), the table starts with lo
    for name, base, counts in (("exp2", mpf(2), (6, 5) if bits == 24 else (11, 10)),
                               ("exp10", mpf(10), (6, 5) if bits == 24 else (11, 10))):
        ln_b = log(base)
        bound = half / ln_b
        hi = round_to(ln_b, bits)
        yield scalars([f"{name}_log_{fmt}"], [hi])
        for tier, count in zip(("", "_fast"), counts):
            c, err = fit(lambda x: expm1(x * ln_b) / x - hi, (-bound, bound), range(count),
                         weight=lambda x: x / exp(x * ln_b), bits=bits)
            yield write_table(f"{name}_poly{tier}_{fmt}", c, err)


def logarithms(fmt, bits):
    """log(2^e (1 + f)) with 1 + f in [sqrt(1/2), sqrt(2))."""
    yield f"// log, log2, log10, log1p in {fmt}\n"
    short = bits - (8 if bits == 24 else 11)
    yield scalars([f"ln2_hi_{fmt}", f"ln2_lo_{fmt}"], split(LN2, [short, bits], 2))
    yield scalars([f"log10_2_hi_{fmt}", f"log10_2_lo_{fmt}"],
                  split(LN2 / log(10), [short, bits], 2))
    for name, ln_b in (("log2", LN2), ("log10", log(10))):
        yield scalars([f"{name}_e_hi_{fmt}", f"{name}_e_lo_{fmt}"][:1 if bits == 24 else 2],
                      split(1 / ln_b, bits, 1 if bits == 24 else 2))
    low, high = sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1
    if bits == 24:
        # log(1+f) = f - f^2/2 + f^3 p(f)
        for tier, count in (("", 8), ("_fast", 7)):
            c, err = fit(lambda f: (log1p(f) - f + f**2 / 2) / f**3, (low, high), range(count),
                         weight=lambda f: f**3 / log1p(f), bits=bits)
            yield write_table(f"log_poly{tier}_{fmt}", c, err)
        # log_b(1+f) = f (hi + lo + f p(f)), the table starts with lo
        for name, ln_b in (("log2", LN2), ("log10", log(10))):
            hi = round_to(1 / ln_b, bits)
            c, err = fit(lambda f: log1p(f) / f / ln_b - hi, (low, high), range(10),
                         weight=lambda f: f * ln_b / log1p(f), bits=bits)
            yield write_table(f"{name}_poly_{fmt}", c, err)
    else:
        # with s = f / (2+f): log(1+f) = 2 s + s^3 p(s^2)
        bound = high / (2 + high)
        for tier, count in (("", 7), ("_fast", 6)):
            c, err = fit(lambda s: (log((1 + s) / (1 - s)) - 2 * s) / s**3, (mpf(0), bound),
                         range(0, 2 * count, 2), weight=lambda s: s**3 / log((1 + s) / (1 - s)),
                         bits=bits)
            yield write_table(f"log_poly{tier}_{fmt}", c, err)


def powers():
    """x^y = 2^(y log2(x)); f32 computes in f64, f64 carries log2 in two parts."""
    yield "// pow\n"
    low, high = sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1
    # log2(1+f) = f p(f)
    for tier, count in (("", 13), ("_fast", 11)):
        c, err = fit(lambda f: log1p(f) / f / LN2, (low, high), range(count),
                     weight=lambda f: f * LN2 / log1p(f))
        yield write_table(f"pow_log_poly{tier}_f32", c, err)
    # 2^r = p(r)
    for tier, count in (("", 7), ("_fast", 6)):
        c, err = fit(lambda r: mpf(2)**r, (mpf(-0.5), mpf(0.5)), range(count),
                     weight=lambda r: mpf(2)**-r)
        yield write_table(f"pow_exp_poly{tier}_f32", c, err)
    # with s = f / (2+f), z = s^2: log2(1+f) = s (c1 + z (c3 + z p(z))), c1 and c3 in two parts
    c1, c3 = 2 / LN2, 2 / (3 * LN2)
    yield scalars(["pow_c1_hi", "pow_c1_lo", "pow_c3_hi", "pow_c3_lo"],
                  split(c1, 53, 2) + split(c3, 53, 2))
    bound = high / (2 + high)
    def log2_of(s):
        return log((1 + s) / (1 - s)) / LN2
    c, err = fit(lambda s: (log2_of(s) / s - c1 - c3 * s**2) / s**4, (mpf(0), bound),
                 range(0, 16, 2), weight=lambda s: s**5 / log2_of(s))
    yield write_table("pow_log_poly_f64", c, err)


def roots(fmt, bits):
    """cbrt: m^(-1/3) on [1, 2], to be refined, and its factors for 2m and 4m."""
    yield f"// cbrt in {fmt}\n"
    c, err = fit(lambda m: m**(-mpf(1) / 3), (mpf(1), mpf(2)), range(5),
                 weight=lambda m: m**(mpf(1) / 3), bits=bits)
    yield write_table(f"cbrt_poly_{fmt}", c, err)
    yield scalars([f"cbrt_half_{fmt}", f"cbrt_quarter_{fmt}"],
                  [round_to(mpf(2)**(-mpf(k) / 3), bits) for k in (1, 2)])


def text():
    parts = [HEAD]
    for fmt, bits in FORMATS.items():
        parts.append("\n" + "\n".join(exponentials(fmt, bits)))
        parts.append("\n" + "\n".join(logarithms(fmt, bits)))
        parts.append("\n" + "\n".join(roots(fmt, bits)))
    parts.append("\n" + "\n".join(powers()))
    return "".join(parts)


def main():
    path = pathlib.Path(__file__).with_name("exp_coefficients.inc")
    now = text()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if path.read_text() == now else f"{path} is not what generate.py writes")
    path.write_text(now)


if __name__ == "__main__":
    main()
