"""Inputs of the workloads, and the Python peers. One set of buffers a case, shared by all variants."""
import ctypes
from dataclasses import dataclass

import numpy as np

try:
    import numba
except ImportError:  # reported by the harness
    numba = None

DTYPES = {"f32": np.float32, "f64": np.float64}
SIZES = {"saxpy": (1_000, 100_000, 10_000_000), "black_scholes": (1_000_000,), "chain": (1_000_000,)}


class Args(ctypes.Structure):
    """struct Args of abi.h."""
    _fields_ = [("p", ctypes.c_void_p * 8), ("n", ctypes.c_int64 * 6), ("s", ctypes.c_double * 6)]


@dataclass
class Case:
    workload: str
    dtype: str
    n: int
    inputs: list
    output: np.ndarray
    scalars: tuple
    tolerance: float  # largest accepted error relative to the size of the answer
    want: np.ndarray  # computed in f64 from the same inputs

    def args(self):
        a = Args()
        for i, x in enumerate(self.inputs + [self.output]):
            a.p[i] = x.ctypes.data
        a.n[0] = self.n
        for i, v in enumerate(self.scalars):
            a.s[i] = v
        return a

    def error(self):
        got = self.output.astype(np.float64)
        scale = np.maximum(np.abs(self.want), np.mean(np.abs(self.want)))
        return float(np.max(np.abs(got - self.want) / scale))


def aligned(values, dtype):
    """A copy at a 64-byte boundary."""
    raw = np.empty(values.size * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    x = raw[start:start + values.size * np.dtype(dtype).itemsize].view(dtype)
    x[...] = values
    return x


def erf(x):
    """The error function by its Taylor and continued-fraction free form: libm's, element-wise."""
    import math
    return np.frompyfunc(math.erf, 1, 1)(x).astype(np.float64)


def make(workload, dtype, n):
    t = DTYPES[dtype]
    rng = np.random.default_rng(12345)
    uniform = lambda lo, hi: aligned(rng.uniform(lo, hi, n), t)
    eps = float(np.finfo(t).eps)
    if workload == "saxpy":
        inputs, scalars, tolerance = [uniform(0, 1), uniform(0, 1)], (1.7,), 4 * eps
        x, y = (v.astype(np.float64) for v in inputs)
        want = float(t(1.7)) * x + y
    elif workload == "black_scholes":
        inputs = [uniform(10, 50), uniform(10, 50), uniform(0.2, 2.0)]
        scalars, tolerance = (0.02, 0.3), 400 * eps
        s, k, time = (v.astype(np.float64) for v in inputs)
        rate, vol = (float(t(v)) for v in scalars)
        cdf = lambda d: 0.5 + 0.5 * erf(d * 0.70710678118654752440)
        sd = vol * np.sqrt(time)
        d1 = (np.log(s / k) + (rate + 0.5 * vol * vol) * time) / sd
        want = s * cdf(d1) - k * np.exp(-rate * time) * cdf(d1 - sd)
    elif workload == "chain":
        inputs, scalars, tolerance = [uniform(-10, 10)], (), 20 * eps
        x = inputs[0].astype(np.float64)
        want = np.sin(x) ** 2 + np.cos(x) ** 2 + np.exp(-x * x) / 2
    else:
        raise KeyError(workload)
    return Case(workload, dtype, n, inputs, aligned(np.zeros(n), t), scalars, tolerance, want)


def numpy_variant(case):
    t, r = DTYPES[case.dtype], case.output
    if case.workload == "saxpy":
        (x, y), k = case.inputs, t(case.scalars[0])
        return lambda: np.add(np.multiply(x, k, out=r), y, out=r)
    if case.workload == "chain":
        x, half = case.inputs[0], t(0.5)

        def chain():
            s, c = np.sin(x), np.cos(x)
            np.add(s * s + c * c, np.exp(-x * x) * half, out=r)
        return chain
    return None  # NumPy has no erf


def _saxpy(k, x, y):
    return k * x + y


def _chain(x):
    import math
    return math.sin(x) * math.sin(x) + math.cos(x) * math.cos(x) + math.exp(-x * x) / 2


def _black_scholes(s, k, t, rate, vol):
    sd = vol * math.sqrt(t)
    d1 = (math.log(s / k) + (rate + 0.5 * vol * vol) * t) / sd
    n1 = 0.5 + 0.5 * math.erf(d1 * 0.70710678118654752440)
    n2 = 0.5 + 0.5 * math.erf((d1 - sd) * 0.70710678118654752440)
    return s * n1 - k * math.exp(-rate * t) * n2


import math  # noqa: E402  numba resolves it as a global of the kernels above

_ufuncs = {}


def numba_variants(case):
    """(label, threads, call) of numba's ufuncs; compiled on first use."""
    if numba is None:
        return
    t, r = DTYPES[case.dtype], case.output
    name = "f4" if case.dtype == "f32" else "f8"
    kernel, count, scalars = {"saxpy": (_saxpy, 3, 1), "black_scholes": (_black_scholes, 5, 2),
                              "chain": (_chain, 1, 0)}[case.workload]
    signature = f"{name}({','.join([name] * count)})"
    values = [t(v) for v in case.scalars]
    arguments = values + case.inputs if case.workload == "saxpy" else case.inputs + values
    for label, threads, options in (("numba vectorize", 1, {}),
                                    ("numba vectorize parallel", 0, {"target": "parallel"})):
        key = (case.workload, case.dtype, label)
        if key not in _ufuncs:
            _ufuncs[key] = numba.vectorize([signature], fastmath=True, **options)(kernel)
        f = _ufuncs[key]
        yield label, threads, lambda f=f: f(*arguments, out=r)
