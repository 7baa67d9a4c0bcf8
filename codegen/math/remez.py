"""Minimax polynomials for the elementary functions, with coefficients that are exact in a format.

    from mpmath import mp, mpf, exp, log
    from remez import fit, write_table
    mp.prec = 200                     # before the first call; far more than the target's 53 bits

    # exp(x) = 1 + x + x^2 (c0 + c1 x + ...) with small relative error on |x| <= ln(2)/2:
    half = log(2) / 2
    c, err = fit(lambda x: (exp(x) - 1 - x) / x**2, (-half, half), range(0, 6),
                 weight=lambda x: x**2 / exp(x), bits=53)
    out.write(write_table("exp_f64", c, err))

`fit` minimises max |weight(x) (f(x) - sum c_k x^powers[k])| over a dense Chebyshev grid by Remez's
exchange. Coefficients are rounded one after the other, the first power first; after each, the rest
is fitted anew, so that it takes up the rounding error. `err` is the maximum for the rounded ones
at full precision: the rounding of the evaluation comes on top. An odd or even function is fitted on
[0, b] with powers of one parity, or as a function of x*x. The grid never touches 0, so f may divide
by x; f and weight are called once per grid point.
"""

from mpmath import cos, frexp, ldexp, lu_solve, matrix, mp, mpf, nint, pi


def round_to(x, bits):
    """x to `bits` significant bits, ties to even; denormals are not a concern here."""
    if x == 0:
        return mpf(0)
    _, e = frexp(x)
    return ldexp(nint(ldexp(x, bits - e)), e - bits)


def _grid(a, b, count):
    points = [(a + b) / 2 + (b - a) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    points.sort()
    return [x for x in points if x != 0]


def _extrema(error, wanted):
    """Indices of the largest error of each run of one sign, cut to `wanted` alternating ones."""
    picked = []
    for i, e in enumerate(error):
        if picked and (e > 0) == (error[picked[-1]] > 0):
            if abs(e) > abs(error[picked[-1]]):
                picked[-1] = i
        else:
            picked.append(i)
    while len(picked) > wanted:
        if len(picked) == wanted + 1:
            picked.pop(0 if abs(error[picked[0]]) < abs(error[picked[-1]]) else -1)
        else:  # the weakest neighbours go, so that the signs still alternate
            k = min(range(len(picked) - 1),
                    key=lambda j: max(abs(error[picked[j]]), abs(error[picked[j + 1]])))
            del picked[k:k + 2]
    return picked


def _exchange(values, weights, columns):
    """Minimax coefficients of sum c_k columns[k] for `values`, and the error's maximum."""
    unknowns, points = len(columns), len(values)
    def error_of(c):
        return [weights[i] * (values[i] - sum(c[k] * columns[k][i] for k in range(unknowns)))
                for i in range(points)]
    if unknowns == 0:
        return [], max(abs(e) for e in error_of([]))
    # Evenly spread indices of a Chebyshev grid are Chebyshev's extrema.
    reference = [round((points - 1) * j / unknowns) for j in range(unknowns + 1)]
    best, least = None, None
    for _ in range(25):
        system, right = matrix(unknowns + 1), matrix(unknowns + 1, 1)
        for row, i in enumerate(reference):
            for k in range(unknowns):
                system[row, k] = weights[i] * columns[k][i]
            system[row, unknowns] = -1 if row % 2 else 1
            right[row] = weights[i] * values[i]
        solution = lu_solve(system, right)
        c = [solution[k] for k in range(unknowns)]
        error = error_of(c)
        worst = max(abs(e) for e in error)
        if least is None or worst < least:
            best, least = c, worst
        if worst <= abs(solution[unknowns]) * mpf("1.0001"):
            break
        picked = _extrema(error, unknowns + 1)
        if len(picked) < unknowns + 1 or picked == reference:
            break
        reference = picked
    return best, least


def fit(f, interval, powers, weight=lambda x: mpf(1), bits=53, fixed=None, grid=40):
    """Coefficients for `powers` of the interval's minimax polynomial, and its maximal error.

    bits: significant bits of each coefficient, one number for all or a list; None leaves all as they
    are. fixed: {power: coefficient} given beforehand (1, say), left out of the result.
    grid: points per coefficient.
    """
    powers = list(powers)
    widths = list(bits) if isinstance(bits, (list, tuple)) else [bits] * len(powers)
    xs = _grid(mpf(interval[0]), mpf(interval[1]), grid * (len(powers) + 2))
    # Where the weight changes its sign, the signs of the bare difference are those that alternate.
    weights = [abs(weight(x)) for x in xs]
    values = [f(x) for x in xs]
    for power, c in (fixed or {}).items():
        values = [v - c * x**power for v, x in zip(values, xs)]
    if all(w is None for w in widths):
        return _exchange(values, weights, [[x**p for x in xs] for p in powers])
    result = []
    for k, power in enumerate(powers):
        # The power that all remaining terms share is part of the weight: without it the terms are a
        # Chebyshev system on both sides of 0.
        shared = [x**power for x in xs]
        c = _exchange([v / s for v, s in zip(values, shared)],
                      [w * abs(s) for w, s in zip(weights, shared)],
                      [[x**(p - power) for x in xs] for p in powers[k:]])[0][0]
        result.append(round_to(c, widths[k]))
        values = [v - result[-1] * s for v, s in zip(values, shared)]
    return result, max(abs(w * v) for w, v in zip(weights, values))


def split(x, bits, parts):
    """x as a sum of `parts` numbers of `bits` bits each (or a list of bits), highest first."""
    widths = bits if isinstance(bits, (list, tuple)) else [bits] * parts
    result = []
    for width in widths:
        result.append(round_to(x, width))
        x -= result[-1]
    return result


def write_table(name, coefficients, err=None, note=""):
    """C++ text: a constexpr array of doubles, written in hexadecimal, that holds them exactly."""
    lines = []
    if note or err is not None:
        bound = "" if err is None else f"error {mp.nstr(err, 3)} (2^{mp.nstr(mp.log(err, 2), 4)})"
        lines.append("// " + "; ".join(x for x in (note, bound) if x))
    lines.append(f"constexpr double {name}[] = {{")
    for c in coefficients:
        assert mpf(float(c)) == c, f"{name}: {c} is no double"
        lines.append(f"    {float(c).hex()},")
    lines.append("};")
    return "\n".join(lines) + "\n"
