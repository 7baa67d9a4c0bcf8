"""numba: ufuncs for element-wise work, loop nests for all, on one thread and on all."""
import ctypes
import math
import os
import re
import sys

import numpy as np

from workloads import DTYPES, ITERATIONS, SEED, SWEEPS

NOTES = []
try:
    # Intel's vector mathematics lies in the environment's lib folder, where the loader does not look.
    for name in ("libintlc.so.5", "libirc.so", "libsvml.so"):
        path = os.path.join(sys.prefix, "lib", name)
        if os.path.exists(path):
            ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    import numba
    from numba import prange
    VERSION = f"numba {numba.__version__}" + (" with SVML" if numba.config.USING_SVML else "")
    if not numba.config.USING_SVML:
        found = os.path.exists(os.path.join(sys.prefix, "lib", "libsvml.so"))
        NOTES.append("numba's SVML (" + ("libsvml is installed, but this llvmlite is built without it" if found
                                         else "no libsvml") + ")")
except (ImportError, OSError):
    VERSION, prange = None, range

HALF_ROOT = 0.70710678118654752440


def formulas(t):
    """Element functions with constants of dtype t: (function, number of leading scalars)."""
    half, root = t(0.5), t(HALF_ROOT)

    def saxpy(k, x, y):
        return k * x + y

    def black_scholes(rate, vol, s, k, time):
        sd = vol * math.sqrt(time)
        d1 = (math.log(s / k) + (rate + half * vol * vol) * time) / sd
        n1 = half + half * math.erf(d1 * root)
        n2 = half + half * math.erf((d1 - sd) * root)
        return s * n1 - k * math.exp(-rate * time) * n2

    def chain(x):
        return math.sin(x) * math.sin(x) + math.cos(x) * math.cos(x) + math.exp(-x * x) * half

    def mandelbrot(limit, cr, ci):
        zr = cr - cr
        zi = zr
        n = 0
        while n < limit and zr * zr + zi * zi <= 4:
            zr, zi = zr * zr - zi * zi + cr, (zr + zr) * zi + ci
            n += 1
        return n

    two = t(2)
    return {"saxpy": (saxpy, 1), "black_scholes": (black_scholes, 2), "chain": (chain, 0),
            "mandelbrot": (mandelbrot, 1), "add2_3d": (lambda x: x + two, 0), "add2_3d_bad": (lambda x: x + two, 0),
            "outer": (lambda y, x: y * x, 0), "fresh": (saxpy, 1), "fn_exp": (lambda x: math.exp(x), 0),
            "fn_log": (lambda x: math.log(x), 0), "fn_sincos": (lambda x: math.sin(x) + math.cos(x), 0),
            "fn_cdf": (lambda x: half + half * math.erf(x * root), 0)}


# Loop nests, compiled with and without parallel=True.
def loop_saxpy(k, x, y, r):
    for i in prange(x.size):
        r[i] = k * x[i] + y[i]


def loop_black_scholes(rate, vol, s, k, time, r):
    half, root = s.dtype.type(0.5), s.dtype.type(HALF_ROOT)
    for i in prange(s.size):
        sd = vol * math.sqrt(time[i])
        d1 = (math.log(s[i] / k[i]) + (rate + half * vol * vol) * time[i]) / sd
        n1 = half + half * math.erf(d1 * root)
        n2 = half + half * math.erf((d1 - sd) * root)
        r[i] = s[i] * n1 - k[i] * math.exp(-rate * time[i]) * n2


def loop_chain(x, r):
    half = x.dtype.type(0.5)
    for i in prange(x.size):
        v = x[i]
        r[i] = math.sin(v) * math.sin(v) + math.cos(v) * math.cos(v) + math.exp(-v * v) * half


def loop_mandelbrot(limit, xs, ys, r):
    four = xs.dtype.type(4)
    for row in prange(ys.size):
        ci = ys[row]
        for col in range(xs.size):
            cr = xs[col]
            zr = cr - cr
            zi = zr
            k = 0
            while k < limit:
                rr = zr * zr
                ii = zi * zi
                if rr + ii > four:
                    break
                zi = (zr + zr) * zi + ci
                zr = rr - ii + cr
                k += 1
            r[row * xs.size + col] = k


def loop_add2_3d(x, r):
    for i in prange(x.shape[0]):
        for j in range(x.shape[1]):
            for k in range(x.shape[2]):
                r[i, j, k] = x[i, j, k] + 2.0


def loop_add2_3d_bad(x, r):
    for k in prange(x.shape[2]):
        for j in range(x.shape[1]):
            for i in range(x.shape[0]):
                r[i, j, k] = x[i, j, k] + 2.0


def loop_outer(y, x, r):
    for i in prange(y.size):
        for j in range(x.size):
            r[i, j] = y[i] * x[j]


def loop_sqrt_sum(x, r):
    total = x.dtype.type(0)
    for i in prange(x.size):
        total += math.sqrt(x[i])
    r[0] = total


def loop_dot(x, y, r):
    total = x.dtype.type(0)
    for i in prange(x.size):
        total += x[i] * y[i]
    r[0] = total


def loop_sum_axis0(x, r):
    blocks = 8
    for b in prange(blocks):
        first, last = b * x.shape[1] // blocks, (b + 1) * x.shape[1] // blocks
        for j in range(first, last):
            r[j] = 0
        for i in range(x.shape[0]):
            for j in range(first, last):
                r[j] += x[i, j]


def loop_sum_axis1(x, r):
    for i in prange(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += x[i, j]
        r[i] = total


def loop_add_at(places, x, r):
    r[:] = 0
    for i in range(x.size):
        r[places[i]] += x[i]


def loop_reduceat(x, starts, r):
    for s in prange(starts.size):
        last = starts[s + 1] if s + 1 < starts.size else x.size
        total = x[starts[s]]
        for i in range(starts[s] + 1, last):
            total += x[i]
        r[s] = total


def loop_cumsum(x, r):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
        r[i] = total


def loop_jacobi(b, a, sweeps):
    quarter = a.dtype.type(0.25)
    for _ in range(sweeps // 2):
        for i in prange(1, a.shape[0] - 1):
            for j in range(1, a.shape[1] - 1):
                b[i, j] = quarter * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
        for i in prange(1, a.shape[0] - 1):
            for j in range(1, a.shape[1] - 1):
                a[i, j] = quarter * (b[i - 1, j] + b[i + 1, j] + b[i, j - 1] + b[i, j + 1])


def loop_logistic(x, y, w, iterations):
    """In blocks of rows: numba has no reduction into an array."""
    rows, one, blocks = x.shape[0], w.dtype.type(1), 16
    w[:] = 0
    for _ in range(iterations):
        parts = np.zeros((blocks, w.size), w.dtype)
        for p in prange(blocks):
            for i in range(rows * p // blocks, rows * (p + 1) // blocks):
                z = w.dtype.type(0)
                for d in range(w.size):
                    z += x[i, d] * w[d]
                g = (one / (one + math.exp(-y[i] * z)) - one) * y[i]
                for d in range(w.size):
                    parts[p, d] += g * x[i, d]
        for p in range(blocks):
            for d in range(w.size):
                w[d] -= parts[p, d]


def array_logistic(x, y, w, iterations):
    one = w.dtype.type(1)
    w[:] = 0
    for _ in range(iterations):
        w -= np.dot((one / (one + np.exp(-y * np.dot(x, w))) - one) * y, x)


def loop_primes(flags):
    for v in prange(flags.size):
        flag = v >= 2
        for i in range(2, int(math.sqrt(v)) + 1):
            if v % i == 0:
                flag = False
        flags[v] = flag


def mix(h):
    a = np.uint32(h)
    b = np.uint32(np.uint32(a ^ (a >> np.uint32(16))) * np.uint32(0x7FEB352D))
    c = np.uint32(np.uint32(b ^ (b >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(c ^ (c >> np.uint32(16)))


def loop_pi(n, seed, r):
    hits = 0
    scale = np.float32(2.0 ** -24)
    for i in prange(n):
        at = np.uint32(2 * i) + np.uint32(seed)
        x = np.float32(np.int32(mix(at) >> np.uint32(8))) * scale
        y = np.float32(np.int32(mix(at + np.uint32(1)) >> np.uint32(8))) * scale
        hits += x * x + y * y < np.float32(1)
    r[0] = 4.0 * hits / n


# Cores of generalised ufuncs: signature, function.
def core_softmax(x, y):
    most = x[0]
    for i in range(1, x.size):
        most = max(most, x[i])
    total = x.dtype.type(0)
    for i in range(x.size):
        y[i] = math.exp(x[i] - most)
        total += y[i]
    for i in range(x.size):
        y[i] /= total


def core_matmul(x, y, z):
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            z[i, j] = 0
        for k in range(x.shape[1]):
            for j in range(y.shape[1]):
                z[i, j] += x[i, k] * y[k, j]


def core_cross(x, y, z):
    z[0] = x[1] * y[2] - x[2] * y[1]
    z[1] = x[2] * y[0] - x[0] * y[2]
    z[2] = x[0] * y[1] - x[1] * y[0]


def core_tridiagonal(lower, middle, upper, right, x):
    c = np.empty_like(x)
    c[0], x[0] = upper[0] / middle[0], right[0] / middle[0]
    for i in range(1, x.size):
        scale = 1 / (middle[i] - lower[i] * c[i - 1])
        c[i] = upper[i] * scale
        x[i] = (right[i] - lower[i] * x[i - 1]) * scale
    for i in range(x.size - 2, -1, -1):
        x[i] -= c[i] * x[i + 1]


def core_fir_sized(x, h, like, y):
    for i in range(y.size):
        total = x.dtype.type(0)
        for k in range(h.size):
            total += x[i + k] * h[k]
        y[i] = total


# numba computes no sizes: the output of fir comes as an argument of a dimension of its own.
CORES = {"softmax": ("(n)->(n)", core_softmax), "matmul4": ("(m,n),(n,p)->(m,p)", core_matmul),
         "matmul32": ("(m,n),(n,p)->(m,p)", core_matmul), "cross": ("(n),(n)->(n)", core_cross),
         "tridiagonal": ("(n),(n),(n),(n)->(n)", core_tridiagonal), "fir": ("(n),(k),(m)->(m)", core_fir_sized)}


def core_variants(case):
    layout, function = CORES[case.workload]
    call = lambda f: f(*case.inputs, case.output)
    if case.workload == "fir":
        call = lambda f: f(*case.inputs, case.output, case.output)
    kind = numba.from_dtype(np.dtype(DTYPES[case.dtype]))
    ranks = [text.count(",") + 1 for text in re.findall(r"\(([^)]*)\)", layout)]
    signature = tuple(kind[(slice(None),) * rank] if rank > 1 else kind[:] for rank in ranks)
    for label, threads, options in [("numba guvectorize", 1, {}), ("numba guvectorize parallel", 0, {"target": "parallel"})]:
        f = compiled((case.workload, case.dtype, label),
                     lambda: numba.guvectorize([signature], layout, fastmath=True, **options)(function))
        yield label, threads, lambda f=f: call(f)


LOOPS = {name[5:]: f for name, f in list(globals().items()) if name.startswith("loop_")}
if VERSION:
    mix = numba.njit(inline="always")(mix)
_compiled = {}


def compiled(key, make):
    if key not in _compiled:
        _compiled[key] = make()
    return _compiled[key]


def ufunc_variants(case, scalars):
    t = DTYPES[case.dtype]
    function, count = formulas(t)[case.workload]
    kind = numba.from_dtype(np.dtype(t))
    result = numba.int32 if case.workload == "mandelbrot" else kind
    leading = [numba.int32] * count if case.workload == "mandelbrot" else [kind] * count
    signature = result(*leading, *[kind] * len(case.inputs))
    r, inputs = case.output, case.inputs
    if case.workload == "outer":
        inputs = [inputs[0][:, None], inputs[1]]
    elif case.workload == "mandelbrot":
        inputs, r = [inputs[0][None, :], inputs[1][:, None]], r.reshape(case.n, case.n)
    elif case.workload == "add2_3d_bad":
        inputs, r = [inputs[0].T], r.T
    modes = [("numba vectorize", 1, {"fastmath": True})]
    if not case.workload.startswith("fn_"):
        modes.append(("numba vectorize parallel", 0, {"fastmath": True, "target": "parallel"}))
    for label, threads, options in modes:
        f = compiled((case.workload, case.dtype, label), lambda: numba.vectorize([signature], **options)(function))
        if case.workload == "fresh":
            yield label, threads, lambda f=f: f(*scalars, *inputs)
        else:
            yield label, threads, lambda f=f: f(*scalars, *inputs, r)


def variants(case):
    if case.workload in CORES:
        yield from core_variants(case)
        return
    t = DTYPES[case.dtype]
    scalars = [t(v) for v in case.scalars]
    if case.workload == "mandelbrot":
        scalars = [np.int32(case.sizes[0])]
    if case.workload in formulas(t):
        yield from ufunc_variants(case, scalars)
    # Arguments besides the arrays, which come before or after the output.
    before = {"pi": (case.n, SEED)}.get(case.workload, tuple(scalars))
    after = {"jacobi": (SWEEPS,), "logistic": (ITERATIONS,)}.get(case.workload, ())
    if case.workload == "logistic":
        for label, threads, options in [("numba arrays", 1, {}), ("numba arrays parallel", 0, {"parallel": True})]:
            f = compiled((case.workload, case.dtype, label),
                         lambda: numba.njit(fastmath=True, **options)(array_logistic))
            yield label, threads, lambda f=f: f(*case.inputs, case.output, *after)
    if case.workload in LOOPS:
        modes = [("numba njit", 1, {}), ("numba njit parallel", 0, {"parallel": True})]
        # Numba runs a loop that carries a value on serially, whatever is asked for.
        for label, threads, options in modes[:1] if case.workload in ("cumsum", "add_at") else modes:
            f = compiled((case.workload, case.dtype, label),
                         lambda: numba.njit(fastmath=True, **options)(LOOPS[case.workload]))
            yield label, threads, lambda f=f: f(*before, *case.inputs, case.output, *after)
