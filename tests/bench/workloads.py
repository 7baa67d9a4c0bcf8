"""The workloads: sizes, inputs, expected results, and what bounds them. One set of buffers a case,
shared by all variants."""
import ctypes
import math
from dataclasses import dataclass

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64}
BOTH, F64 = ("f32", "f64"), ("f64",)
# workload: dtypes, sizes
PLAN = {
    "saxpy": (BOTH, (1_000, 100_000, 10_000_000)),
    "fresh": (F64, (10_000_000,)),
    "black_scholes": (BOTH, (1_000_000,)),
    "chain": (BOTH, (1_000_000,)),
    "mandelbrot": (BOTH, (1024,)),
    "add2_3d": (F64, (256,)),
    "add2_3d_bad": (F64, (256,)),
    "outer": (BOTH, (4096,)),
    "sqrt_sum": (BOTH, (100_000,)),
    "dot": (BOTH, (100_000, 10_000_000)),
    "sum_axis0": (BOTH, (4096,)),
    "sum_axis1": (BOTH, (4096,)),
    "cumsum": (BOTH, (10_000_000,)),
    "add_at": (F64, (1_000, 1_000_000)),
    "reduceat": (F64, (1_000_000,)),
    "logistic": (BOTH, (100_000,)),
    "jacobi": (BOTH, (2048,)),
    "primes": (F64, (100_000,)),
    "pi": (("f32",), (10_000_000,)),
    "pi_philox": (BOTH, (10_000_000,)),
    "softmax": (("f32",), (4096,)),
    "matmul4": (BOTH, (100_000,)),
    "matmul32": (F64, (1_000,)),
    "cross": (F64, (300_000,)),
    "tridiagonal": (F64, (4_000,)),
    "fir": (("f32",), (1_000,)),
    "fn_exp": (BOTH, (2_000,)),
    "fn_log": (BOTH, (2_000,)),
    "fn_sincos": (BOTH, (2_000,)),
    "fn_cdf": (BOTH, (2_000,)),
}
# Stacks of n cores (gufuncs.h): their sizes.
SOFTMAX, ROW, SIGNAL, TAPS = 1024, 128, 4096, 32
BINS, SEGMENT = 1024, 100  # places of add_at; elements of a segment, in the mean
MANDELBROT_LIMIT = 256
FEATURES, ITERATIONS = 32, 10  # of the logistic regression
SWEEPS = 20                    # of the Jacobi iteration
SEED = 12345

# What the shortest evaluation we know (hand/vmath.h) needs: multiplications with or without addition,
# and additions or comparisons; f32 and f64.
EXP, LOG, SINCOS, CDF = ((9, 4), (14, 4)), ((12, 5), (11, 7)), ((14, 3), (20, 3)), ((20, 2), (19, 5))


def count(wide, fma, add, *functions, **more):
    """Operations: own ones and those of functions."""
    return {"fma": fma + sum(f[wide][0] for f in functions), "add": add + sum(f[wide][1] for f in functions), **more}



class Args(ctypes.Structure):
    """struct Args of abi.h."""
    _fields_ = [("p", ctypes.c_void_p * 8), ("n", ctypes.c_int64 * 6), ("s", ctypes.c_double * 6)]


@dataclass
class Case:
    workload: str
    dtype: str
    n: int                   # as in PLAN; n[0] of Args
    elements: int            # what ns_per_element counts
    inputs: list
    output: np.ndarray
    want: np.ndarray         # computed in f64 from the same inputs
    tolerance: float         # largest accepted error
    scalars: tuple = ()
    moves: tuple = ()        # arrays read and written once by the least traffic possible, bytes of each
    passes: int = 1          # so many times
    operations: dict = None  # per element: "fma" (or a multiplication), "add" (or a comparison), "sqrt", "div"
    scale: float = 0.0       # errors are relative to this where given (sums: of the absolute terms)
    sizes: tuple = ()        # n[1]... of Args
    restore: tuple = ()      # (array that the variants change, its contents before)

    def __post_init__(self):
        self.args = Args()
        for i, x in enumerate(self.inputs + [self.output]):
            self.args.p[i] = x.ctypes.data
        for i, v in enumerate((self.n, *self.sizes)):
            self.args.n[i] = v
        for i, v in enumerate(self.scalars):
            self.args.s[i] = v

    def clear(self):
        self.output.fill(np.nan if self.output.dtype.kind == "f" else np.iinfo(self.output.dtype).max)
        for array, contents in self.restore:
            array[...] = contents

    def error(self, result):
        """mandelbrot: the share of pixels that differ. Else the largest difference relative to the
        size of the answer: of that element, or the mean one where that is more."""
        got = np.asarray(result).reshape(self.want.shape)
        if self.workload == "mandelbrot":
            return float(np.mean(got != self.want))
        scale = self.scale or np.maximum(np.abs(self.want), np.mean(np.abs(self.want)))
        return float(np.max(np.abs(got.astype(np.float64) - self.want) / scale))


_slot = 0


def empty(shape, dtype):
    """At a 64-byte boundary; successive arrays begin at different places of a page, so that no set of
    the first cache gets all of them."""
    global _slot
    _slot = (_slot + 5) % 32
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(count + 64 + 4096, np.uint8)
    raw.fill(0)  # pages that were never written would all be the same one
    start = -raw.ctypes.data % 64 + 64 * _slot
    return raw[start:start + count].view(dtype).reshape(shape)


def filled(values, dtype):
    x = empty(values.shape, dtype)
    x[...] = values
    return x


def erf(x):
    return np.frompyfunc(math.erf, 1, 1)(x).astype(np.float64)


def mandelbrot_counts(xs, ys, limit):
    """Escape times in the arithmetic of the axes' dtype, without contraction."""
    two, four = xs.dtype.type(2), xs.dtype.type(4)
    cr, ci = (v.ravel().copy() for v in np.broadcast_arrays(xs[None, :], ys[:, None]))
    counts = np.zeros(cr.size, np.int32)
    zr, zi, live = np.zeros_like(cr), np.zeros_like(cr), np.arange(cr.size)
    for _ in range(limit):
        rr, ii = zr * zr, zi * zi
        keep = rr + ii <= four
        counts[live[keep]] += 1
        if not keep.all():
            live, cr, ci, zr, zi, rr, ii = (v[keep] for v in (live, cr, ci, zr, zi, rr, ii))
        zr, zi = rr - ii + cr, two * zr * zi + ci
    return counts


def descend(x, y, w):
    """A step of gradient descent on the logistic loss."""
    w -= np.dot((1.0 / (1.0 + np.exp(-y * np.dot(x, w))) - 1.0) * y, x)


def sweep(a, b):
    b[1:-1, 1:-1] = 0.25 * (a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:])


def mix(h):
    """An avalanche of 32-bit integers."""
    h = h ^ (h >> 16)
    h = h * np.uint32(0x7FEB352D)
    h = h ^ (h >> 15)
    h = h * np.uint32(0x846CA68B)
    return h ^ (h >> 16)


def hashed(n):
    """n points of the unit square: coordinate k is the upper 24 bits of mix(SEED + k)."""
    k = np.uint32(SEED) + np.arange(2 * n, dtype=np.uint32)
    c = (mix(k) >> 8).astype(np.float32) * np.float32(2 ** -24)
    return c[0::2], c[1::2]


def philox(index):
    """The four words of Philox4x32-10 with seed SEED."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    zero = np.zeros_like(index)
    c0, c1, c2, c3 = index & low, index >> half, zero, zero
    k0, k1 = SEED, 0
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ np.uint64(k0), p1 & low, (p0 >> half) ^ c3 ^ np.uint64(k1), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def philox_points(n, t):
    """n points: f32 two of each four words, f64 one."""
    if t is np.float32:
        x0, y0, x1, y1 = ((w >> np.uint64(8)).astype(t) * t(2 ** -24)
                          for w in philox(np.arange(n // 2, dtype=np.uint64)))
        return np.concatenate([x0, x1]), np.concatenate([y0, y1])
    w = philox(np.arange(n, dtype=np.uint64))
    joined = lambda high, low: (high >> np.uint64(5)) * 2.0 ** -27 + (low >> np.uint64(6)) * 2.0 ** -53
    return joined(w[0], w[1]), joined(w[2], w[3])


def thomas(lower, middle, upper, right):
    """The solutions of tridiagonal systems, one a row."""
    c, x = np.empty_like(upper), np.empty_like(right)
    c[:, 0], x[:, 0] = upper[:, 0] / middle[:, 0], right[:, 0] / middle[:, 0]
    for i in range(1, x.shape[1]):
        scale = 1 / (middle[:, i] - lower[:, i] * c[:, i - 1])
        c[:, i] = upper[:, i] * scale
        x[:, i] = (right[:, i] - lower[:, i] * x[:, i - 1]) * scale
    for i in range(x.shape[1] - 2, -1, -1):
        x[:, i] -= c[:, i] * x[:, i + 1]
    return x


FUNCTIONS = {  # name: range of arguments, value, operations
    "fn_exp": ((-20, 20), np.exp, EXP), "fn_log": ((1e-3, 1e3), np.log, LOG),
    "fn_sincos": ((-30, 30), lambda x: np.sin(x) + np.cos(x), SINCOS),
    "fn_cdf": ((-6, 6), lambda x: 0.5 + 0.5 * erf(x * 0.70710678118654752440), CDF)}


def make(workload, dtype, n):
    t = DTYPES[dtype]
    item, eps, wide = np.dtype(t).itemsize, float(np.finfo(t).eps), int(dtype == "f64")
    rng = np.random.default_rng(12345)
    exact = lambda x: x.astype(np.float64)

    def uniform(lo, hi, shape=n):
        return filled(rng.uniform(lo, hi, shape), t)

    def case(inputs, want, tolerance, output=None, **more):
        output = empty(want.shape, t) if output is None else output
        more.setdefault("elements", n)
        return Case(workload, dtype, n, inputs=inputs, output=output, want=want, tolerance=tolerance, **more)

    if workload in ("saxpy", "fresh"):
        x, y = uniform(0, 1), uniform(0, 1)
        return case([x, y], float(t(1.7)) * exact(x) + exact(y), 4 * eps, scalars=(1.7,),
                    moves=(2, 1, n * item), operations={"fma": 1})
    if workload == "black_scholes":
        inputs = [uniform(10, 50), uniform(10, 50), uniform(0.2, 2.0)]
        s, k, time = map(exact, inputs)
        rate, vol = float(t(0.02)), float(t(0.3))
        cdf = FUNCTIONS["fn_cdf"][1]
        sd = vol * np.sqrt(time)
        d1 = (np.log(s / k) + (rate + 0.5 * vol * vol) * time) / sd
        want = s * cdf(d1) - k * np.exp(-rate * time) * cdf(d1 - sd)
        return case(inputs, want, 400 * eps, scalars=(0.02, 0.3), moves=(3, 1, n * item),
                    operations=count(wide, 6, 1, LOG, EXP, CDF, CDF, sqrt=1, div=2 + wide))
    if workload == "chain":
        x = uniform(-10, 10)
        want = np.sin(exact(x)) ** 2 + np.cos(exact(x)) ** 2 + np.exp(-exact(x) ** 2) / 2
        return case([x], want, 20 * eps, moves=(1, 1, n * item),
                    operations=count(wide, 4, 0, SINCOS, EXP))
    if workload == "mandelbrot":
        axis = lambda lo, hi: filled(t(lo) + np.arange(n, dtype=t) * t((hi - lo) / n), t)
        xs, ys = axis(-2.0, 1.0), axis(-1.5, 1.5)
        want = mandelbrot_counts(xs, ys, MANDELBROT_LIMIT)
        steps = float(np.mean(want))
        return case([xs, ys], want, 0.02, output=empty(n * n, np.int32), elements=n * n, moves=(0, 1, n * n * 4),
                    operations={"fma": 3 * steps, "add": 5 * steps}, sizes=(MANDELBROT_LIMIT,))
    if workload in ("add2_3d", "add2_3d_bad"):
        x = uniform(0, 1, (n, n, n))
        return case([x], exact(x) + 2, 2 * eps, elements=n ** 3, moves=(1, 1, n ** 3 * item),
                    operations={"add": 1})
    if workload == "outer":
        y, x = uniform(0, 1), uniform(0, 1)
        return case([y, x], np.multiply.outer(exact(y), exact(x)), 2 * eps, elements=n * n,
                    moves=(0, 1, n * n * item), operations={"fma": 1})
    if workload == "softmax":
        x = uniform(-5, 5, (n, SOFTMAX))
        e = np.exp(exact(x) - exact(x).max(axis=1, keepdims=True))
        return case([x], e / e.sum(axis=1, keepdims=True), 1e-5, elements=x.size, moves=(1, 1, x.size * item),
                    operations=count(wide, 1, 3, EXP))
    if workload in ("matmul4", "matmul32"):
        side = 4 if workload == "matmul4" else 32
        x, y = uniform(0, 1, (n, side, side)), uniform(0, 1, (n, side, side))
        return case([x, y], exact(x) @ exact(y), 64 * eps, elements=x.size, moves=(2, 1, x.size * item),
                    operations={"fma": side})
    if workload == "cross":
        x, y = uniform(-1, 1, (n, 3)), uniform(-1, 1, (n, 3))
        return case([x, y], np.cross(x, y), 16 * eps, elements=n, moves=(2, 1, 3 * n * item), operations={"fma": 6})
    if workload == "tridiagonal":
        lower, upper, right = (uniform(0, 1, (n, ROW)) for _ in range(3))
        middle = uniform(4, 5, (n, ROW))
        return case([lower, middle, upper, right], thomas(lower, middle, upper, right), 64 * eps, elements=right.size,
                    moves=(4, 1, right.size * item), operations={"fma": 5, "div": 1})
    if workload == "fir":
        x, h = uniform(0, 1, (n, SIGNAL)), uniform(0, 1, TAPS)
        windows = np.lib.stride_tricks.sliding_window_view(exact(x), TAPS, axis=1)
        want = windows @ exact(h)
        return case([x, h], want, 1e-5, elements=want.size, moves=(1, 1, want.size * item), operations={"fma": TAPS})
    if workload == "sqrt_sum":
        x = uniform(0, 1)
        want = np.array([math.fsum(np.sqrt(exact(x)))])
        return case([x], want, 1e-4 if dtype == "f32" else 1e-12, moves=(1, 0, n * item),
                    operations={"add": 1, "sqrt": 1})
    if workload == "dot":
        x, y = uniform(-1, 1), uniform(-0.9, 1.1)
        terms = exact(x) * exact(y)
        return case([x, y], np.array([math.fsum(terms)]), 1e-3 if dtype == "f32" else 1e-12,
                    scale=float(np.sum(np.abs(terms))), moves=(2, 0, n * item), operations={"fma": 1})
    if workload in ("sum_axis0", "sum_axis1"):
        x = uniform(0, 1, (n, n))
        return case([x], np.sum(x, axis=int(workload[-1]), dtype=np.float64), 1e-4 if dtype == "f32" else 1e-12,
                    elements=n * n, moves=(1, 0, n * n * item), operations={"add": 1})
    if workload == "cumsum":
        x = uniform(0, 1)
        # One after the other, as some peers add, f32 loses a hundred times more than in blocks.
        return case([x], np.cumsum(exact(x)), 1e-2 if dtype == "f32" else 1e-12, moves=(1, 1, n * item),
                    operations={"add": 1})
    if workload == "add_at":
        places, values = filled(rng.integers(0, BINS, n), np.int64), uniform(0, 1)
        return case([places, values], np.bincount(places, exact(values), BINS), 1e-12, sizes=(BINS,),
                    moves=(2, 0, n * 8), operations={"add": 1})
    if workload == "reduceat":
        segments = n // SEGMENT
        starts = filled(np.sort(rng.choice(n, segments, replace=False)), np.int64)
        starts[0] = 0
        x = uniform(0, 1)
        return case([x, starts], np.add.reduceat(exact(x), starts), 1e-12, sizes=(segments,), moves=(1, 0, n * item),
                    operations={"add": 1})
    if workload == "logistic":
        x = filled(rng.standard_normal((n, FEATURES)) * 0.01, t)
        y = filled(np.sign(rng.standard_normal(n)), t)
        w = np.zeros(FEATURES)
        for _ in range(ITERATIONS):
            descend(exact(x), exact(y), w)
        return case([x, y], w, 1e-3 if dtype == "f32" else 1e-11, elements=n * FEATURES * ITERATIONS,
                    sizes=(FEATURES, ITERATIONS), moves=(1, 0, n * FEATURES * item), passes=ITERATIONS,
                    operations={"fma": 2 + EXP[wide][0] / FEATURES, "add": EXP[wide][1] / FEATURES,
                                "div": 1 / FEATURES})
    if workload == "jacobi":
        start = rng.uniform(0, 1, (n, n)).astype(t)
        b, a = filled(start, t), filled(start, t)
        even, odd = exact(a), exact(b)
        for _ in range(SWEEPS // 2):
            sweep(even, odd)
            sweep(odd, even)
        return case([b], even, 20 * eps, output=a, elements=n * n * SWEEPS, sizes=(SWEEPS,),
                    moves=(1, 1, n * n * item), passes=SWEEPS, operations={"fma": 1, "add": 3},
                    restore=((a, start), (b, start)))
    if workload == "primes":
        want = np.ones(n + 1, np.uint8)
        want[:2] = 0
        for i in range(2, math.isqrt(n) + 1):
            want[i * i::i] = 0
        tried = float(np.sum(np.sqrt(np.arange(n + 1)))) / n
        # A product with 1 / divisor, rounded, the remainder, a comparison: in f32, so twice as many
        # at the rates of f64.
        return case([], want, 0, output=empty(n + 1, np.uint8), moves=(0, 1, n),
                    operations={"fma": tried, "add": tried})
    if workload in ("pi", "pi_philox"):
        x, y = hashed(n) if workload == "pi" else philox_points(n, t)
        return case([], np.array([4 * np.count_nonzero(x * x + y * y < 1) / n]), 2e-6)
    if workload in FUNCTIONS:
        (lo, hi), f, operations = FUNCTIONS[workload]
        x = uniform(lo, hi)
        more = {"div": 1} if workload == "fn_log" and wide else {}
        return case([x], f(exact(x)), 8 * eps, moves=(1, 1, n * item), operations=count(wide, 0, 0, operations, **more))
    raise KeyError(workload)
