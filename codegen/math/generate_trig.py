#!/usr/bin/env python3
"""Writes trig_coefficients.inc and erf_coefficients.inc, from mathematics alone.

    codegen/math/generate_trig.py [FOLDER]      # default: this script's

A run gives the same text everywhere; the files are committed so that a build needs no Python.
"""

import sys
from pathlib import Path

from mpmath import (asin, atan, cos, cosh, erf, erfc, exp, log, mp, mpf, nint, pi, sin, sinh,
                    sqrt)

from remez import fit, round_to, split, write_table

mp.prec = 160
TINY = mpf(2) ** -40
HEADER = "// Written by generate_trig.py; regenerate rather than edit.\n\n"


def poly(name, f, interval, terms, weight, bits, note):
    c, err = fit(f, interval, range(terms), weight=weight, bits=bits, grid=10)
    return write_table(name, c, err, note)


def constant(name, x):
    return f"constexpr double {name} = {float(x).hex()};\n"


def reduction():
    out = []
    for name, bits in (("f64", 53), ("f32", 24)):
        widths = [53, 32, 53] if bits == 53 else [24, 24, 24]
        out.append(write_table(f"half_pi_{name}", split(pi / 2, widths, 3),
                               note=f"pi/2 in parts of {widths} bits"))
        out.append(constant(f"two_over_pi_{name}", round_to(2 / pi, bits)))
    return out


def sine_cosine():
    """sin(r) = r + r z S(z), cos(r) = 1 - z/2 + z^2 C(z), z = r^2, a little beyond pi/4."""
    out = []
    for name, bits, s, c, margin in (("f64", 53, 6, 6, "0.0001"), ("f64_fast", 53, 6, 5, "0.0001"),
                                     ("f32", 24, 3, 3, "0.01")):
        b = (pi / 4 + mpf(margin)) ** 2
        out.append(poly(f"sin_{name}", lambda z: (sin(sqrt(z)) / sqrt(z) - 1) / z, (TINY, b), s,
                        lambda z: z * sqrt(z) / sin(sqrt(z)), bits, "relative"))
        out.append(poly(f"cos_{name}", lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, (TINY, b), c,
                        lambda z: z**2 / cos(sqrt(z)), bits, "relative"))
    return out


def inverse_sine():
    """asin(s) = s + s z P(z), z = s^2 <= 1/4; atan the same."""
    out = []
    for name, f, terms in (("asin", asin, (12, 11, 5, 4)), ("atan", atan, (12, 11, 5, 4))):
        for suffix, n, bits in zip(("f64", "f64_fast", "f32", "f32_fast"), terms, (53, 53, 24, 24)):
            out.append(poly(f"{name}_{suffix}", lambda z: (f(sqrt(z)) / sqrt(z) - 1) / z,
                            (TINY, mpf(1) / 4), n, lambda z: z * sqrt(z) / f(sqrt(z)), bits,
                            "relative"))
    return out


def hyperbolic():
    """sinh(r) = r + r z S(z), cosh(r) = 1 + z C(z), z = r^2, a little beyond ln(2)/2."""
    out = []
    for name, bits, s, c in (("f64", 53, 5, 6), ("f32", 24, 3, 3)):
        b = (log(2) / 2 + mpf("0.0001")) ** 2
        out.append(poly(f"sinh_{name}", lambda z: (sinh(sqrt(z)) / sqrt(z) - 1) / z, (TINY, b), s,
                        lambda z: z * sqrt(z) / sinh(sqrt(z)), bits, "relative"))
        out.append(poly(f"cosh_{name}", lambda z: (cosh(sqrt(z)) - 1) / z, (TINY, b), c,
                        lambda z: z / cosh(sqrt(z)), bits, "relative"))
        out.append(write_table(f"log_2_{name}", split(log(2), bits, 2), note="ln 2 in parts"))
        out.append(constant(f"over_log_2_{name}", round_to(1 / log(2), bits)))
    return out


def lucky(f, near, bits, step):
    """A multiple of `step` close to `near` at which f is almost a number of `bits` bits."""
    def miss(m):
        return abs(f(m) - round_to(f(m), bits))
    return min((nint(near / step) * step + i * step for i in range(-60, 60)), key=miss)


def erf_f32():
    """x + x P(x^2) up to 1; a polynomial in |x| - centre above, fast: 1 - (a polynomial)^8."""
    out = [poly("erf_f32_small", lambda z: erf(sqrt(z)) / sqrt(z) - 1, (TINY, mpf(1)), 7,
                lambda z: sqrt(z) / erf(sqrt(z)), 24, "relative, of x + x P(x^2), |x| < 1")]
    a, b = mpf(1), mpf(4)
    m = lucky(erf, mpf("2.45"), 24, mpf(2) ** -12)
    c, err = fit(lambda x: erf(x + m), (a - m, b - m), range(15), weight=lambda x: 1 / erf(x + m),
                 bits=None, grid=10)
    out.append(write_table("erf_f32_large", [round_to(x, 24) for x in c], err,
                           "relative before rounding, of erf(x) = P(x - centre), 1 <= x <= 4"))
    out.append(constant("erf_f32_centre", m))
    a = mpf("0.875")
    m = mpf(2)
    c, err = fit(lambda x: erfc(x + m) ** (mpf(1) / 8), (a - m, b - m), range(8),
                 weight=lambda x: 8 * erfc(x + m) ** (mpf(7) / 8), bits=None, grid=10)
    out.append(write_table("erf_f32_root", [round_to(x, 24) for x in c], err,
                           "absolute, of erf(x) = 1 - P(x - 2)^8, 0.875 <= x <= 4"))
    out.append(poly("erf_f32_fast", lambda z: erf(sqrt(z)) / sqrt(z) - 1, (TINY, a**2), 6,
                    lambda z: sqrt(z) / erf(sqrt(z)), 24, "relative, below 0.875"))
    return out


def erf_f64():
    """Rows (A, S) for r = i/128, i = 0 .. 768: A is erf(r) rounded; S is erf'(r), from 1/8 on to 50
    bits, and its low three bits hold erf(r) - A = (bits - 4) 2^-55 A."""
    import struct
    def bits_of(x):
        return struct.unpack("<Q", struct.pack("<d", x))[0]
    def of_bits(n):
        return struct.unpack("<d", struct.pack("<Q", n))[0]
    rows = []
    for i in range(769):
        r = mpf(i) / 128
        a = round_to(erf(r), 53)
        code = 4 if i < 16 else int(nint((erf(r) - a) / a * 2**55)) + 4
        code = min(max(code, 0), 7)
        slope = 2 / sqrt(pi) * exp(-r * r)
        near = bits_of(float(slope)) & ~7 | code
        s = min((of_bits(near + k) for k in (-8, 0, 8)), key=lambda s: abs(mpf(s) - slope))
        # Below 1/8 the fast tier alone reads the table, and makes use of all bits of S.
        rows.append((float(a), s if i >= 16 else float(slope)))
    text = "// erf(i/128) and erf'(i/128), whose low 3 bits say by how much the first is rounded\n"
    text += "constexpr double erf_f64_table[] = {\n"
    for i in range(0, len(rows), 2):
        text += "    " + " ".join(f"{a.hex()}, {s.hex()}," for a, s in rows[i:i + 2]) + "\n"
    out = [text + "};\n"]
    out.append(poly("erf_f64_small", lambda z: erf(sqrt(z)) / sqrt(z) - 1, (TINY, mpf(1) / 64), 6,
                    lambda z: sqrt(z) / erf(sqrt(z)), 53,
                    "relative, of erf(x) = x + x P(x^2), |x| < 1/8"))
    return out


def erfc_tables():
    """(1 + 9/8 x) exp(x^2) erfc(x) as a polynomial in t = (x - K) / (x + K), K = 4 (f64), 3 (f32).
    The factor makes it flat at 0, where t is inaccurate."""
    def g(x):
        return exp(x * x) * erfc(x) * (1 + mpf(9) / 8 * x)
    out = []
    for name, bits, k, terms, end in (("f64", 53, 4, 23, "27.3"), ("f32", 24, 3, 11, "10.1")):
        end = (mpf(end) - k) / (mpf(end) + k)
        c, err = fit(lambda t: g(k * (1 + t) / (1 - t)), (-1, end), range(terms),
                     weight=lambda t: 1 / g(k * (1 + t) / (1 - t)), bits=None, grid=8)
        out.append(write_table(f"erfc_{name}", [round_to(x, bits) for x in c[1:]], err,
                               "relative before rounding; from t on"))
        out.append(write_table(f"erfc_first_{name}", split(c[0], bits, 2),
                               note="the constant term in parts"))
    return out


def write(folder, name, parts):
    (folder / name).write_text(HEADER + "\n".join(parts))


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    write(folder, "trig_coefficients.inc", reduction() + sine_cosine())
    write(folder, "misc_coefficients.inc", reduction()[:-1:2] + inverse_sine() + hyperbolic())
    write(folder, "erf_coefficients.inc", erf_f32() + erf_f64() + erfc_tables() + hyperbolic())
