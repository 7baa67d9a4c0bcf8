#!/usr/bin/env python3
"""Writes complex_coefficients.inc and complex_power_coefficients.inc, the constants of
codegen/passes/complex_math.cpp and complex_pow.cpp.

    python3 codegen/math/generate_complex.py            # write the files
    python3 codegen/math/generate_complex.py --check    # exit 1 if one differs

Needs mpmath. exp(x) beyond the largest number is exp(x - 2 t) exp(t) exp(t): of the t that leave
x - 2 t exact and in range, the one whose exp(t) is nearest to a number of the format. Powers take
logarithms and angles as sums of two doubles, by what is left of a number beside one of a table.
"""

import pathlib
import sys

from mpmath import atan, exp, log, mp, mpf, pi

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


def doubled(x, high_bits=53):
    """x as the text of a sum of two doubles, the first of them of `high_bits` bits."""
    high = round_to(x, high_bits)
    return f"{{{float(high).hex()}, {float(round_to(x - high, 53)).hex()}}}"


def power_constants():
    """Of x in [2^-1.5, 2^1.5], x * scale with the row's scale, a number of 8 bits, is within 10 % of
    1; the row is that of the first `below` above x. `log` is -log(scale) / 2."""
    text = ""
    for name, value in (("pi_2", pi), ("over_pi_2", 1 / pi), ("ln2_2", log(mpf(2)))):
        text += f"constexpr Constant2 {name} = {doubled(value)};\n"
    text += f"constexpr Constant2 step_2 = {doubled(512 * log(mpf(2)), 45)};  // 512 ln 2, 45 bits\n"
    text += "// 1/3, 1/5 ... 1/11 of the series of atan and atanh; what comes behind these\n"
    thirds = ", ".join(doubled(mpf(1) / n) for n in (3, 5, 7, 9, 11))
    text += f"constexpr Constant2 odd_head[] = {{{thirds}}};\n"
    tail = ", ".join(float(round_to(mpf(1) / n, 53)).hex() for n in range(13, 29, 2))
    text += f"constexpr double odd_tail[] = {{{tail}}};\n"
    rows = []
    for i in range(-6, 7):
        scale = round_to(mpf(2) ** (mpf(-i) / 4), 8)
        below = round_to(mpf(2) ** ((mpf(i) + 0.5) / 4), 53)
        rows.append(f"    {{{float(below).hex()}, {float(scale).hex()}, {doubled(-log(scale) / 2)}}},")
    text += "constexpr LogRow log_rows[] = {\n" + "\n".join(rows) + "\n};\n"
    text += "// atan(j / 8), j = 1 to 7\n"
    rows = ",\n".join(f"    {doubled(atan(mpf(j) / 8))}" for j in range(1, 8))
    text += "constexpr Constant2 atan_eighths[] = {\n" + rows + "};\n"
    return text


def main():
    folder = pathlib.Path(__file__).parent
    constants_of_exp = constants("f32", 24, mpf(88), log(mpf(2)) * 128, log(mpf(2)) * -149)
    constants_of_exp += constants("f64", 53, mpf(709), log(mpf(2)) * 1024, log(mpf(2)) * -1074)
    for name, text in (("complex_coefficients.inc", HEAD + constants_of_exp),
                       ("complex_power_coefficients.inc", HEAD + power_constants())):
        path = folder / name
        if "--check" not in sys.argv:
            path.write_text(text)
        elif path.read_text() != text:
            sys.exit(f"{path} differs")


main()
