#!/usr/bin/env python3
"""Writes complex_coefficients.inc, the constants of codegen/passes/complex_math.cpp.

    python3 codegen/math/generate_complex.py            # write the file
    python3 codegen/math/generate_complex.py --check    # exit 1 if the file differs

Needs mpmath. exp(x) beyond the largest number is exp(x - 2 t) exp(t) exp(t): of the t that leave
x - 2 t exact and in range, the one whose exp(t) is nearest to a number of the format.
"""

import pathlib
import sys

from mpmath import exp, log, mp, mpf

from remez import round_to

mp.prec = 200
HEAD = "// Written by codegen/math/generate_complex.py; change that, not this.\n"


def shift(bits, low, high):
    """The t in [low, high], a multiple of 2^-6, with the least error of exp(t) in `bits` bits."""
    def error(t):
        e = exp(t)
        return abs(round_to(e, bits) / e - 1)
    return min((mpf(k) / 64 for k in range(int(low * 64) + 1, int(high * 64))), key=error)


def constants(fmt, bits, limit, largest, smallest):
    """exp overflows at `largest`; its product with the smallest number does at largest - smallest.
    From `limit` on t is `near`, from `limit` + the former's 2 t on it is `far`: what is left of x
    is at least 20 (f64) or 10 (f32), where cosh x = sinh x = exp(x) / 2, and below `limit`."""
    end = largest - smallest
    least = 20 if bits == 53 else 10
    middle = limit + (end - limit) / 2
    near = shift(bits, (middle - limit) / 2, (limit - least) / 2)
    far = shift(bits, (end - limit) / 2, (middle - least) / 2)
    assert middle - 2 * near <= limit and limit - 2 * near >= least
    assert end - 2 * far <= limit and middle - 2 * far >= least
    text = f"// {fmt}\n"
    for name, value in (("limit", limit), ("middle", round_to(middle, 12)), ("near_shift", 2 * near),
                        ("near_factor", round_to(exp(near), bits)), ("far_shift", 2 * far),
                        ("far_factor", round_to(exp(far), bits))):
        assert mpf(float(value)) == value
        text += f"constexpr double {name}_{fmt} = {float(value).hex()};\n"
    return text


def main():
    text = HEAD
    text += constants("f32", 24, mpf(88), log(mpf(2)) * 128, log(mpf(2)) * -149)
    text += constants("f64", 53, mpf(709), log(mpf(2)) * 1024, log(mpf(2)) * -1074)
    path = pathlib.Path(__file__).parent / "complex_coefficients.inc"
    if "--check" in sys.argv:
        sys.exit(0 if path.read_text() == text else f"{path} differs")
    path.write_text(text)


main()
