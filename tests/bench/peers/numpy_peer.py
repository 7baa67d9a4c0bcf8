import numpy as np

from workloads import DTYPES, ITERATIONS, SWEEPS, TAPS, descend, hashed, sweep, thomas

try:
    from scipy.special import erf, ndtr
except ImportError:
    erf = None
VERSION = f"numpy {np.__version__}"


def logistic(x, y, w):
    w[...] = 0
    for _ in range(ITERATIONS):
        descend(x, y, w)


def jacobi(a, b):
    for _ in range(SWEEPS // 2):
        sweep(a, b)
        sweep(b, a)


def pi(n):
    x, y = hashed(n)
    return 4 * np.count_nonzero(x * x + y * y < 1) / n


def variants(case):
    t, r = DTYPES[case.dtype], case.output
    x = case.inputs[0] if case.inputs else None
    y = case.inputs[1] if len(case.inputs) > 1 else None
    one = lambda f: (lambda: f(x, out=r))
    calls = {
        "add2_3d": lambda: np.add(x, t(2), out=r), "add2_3d_bad": lambda: np.add(x.T, t(2), out=r.T),
        "outer": lambda: np.multiply.outer(x, y, out=r), "dot": lambda: np.dot(x, y),
        "sqrt_sum": lambda: np.sum(np.sqrt(x)),
        "sum_axis0": lambda: np.sum(x, axis=0, out=r), "sum_axis1": lambda: np.sum(x, axis=1, out=r),
        "cumsum": lambda: np.cumsum(x, out=r), "reduceat": lambda: np.add.reduceat(x, y, out=r),
        "fn_exp": one(np.exp), "fn_log": one(np.log), "fn_sincos": lambda: np.add(np.sin(x), np.cos(x), out=r)}
    call = calls.get(case.workload)
    if case.workload in ("matmul4", "matmul32"):
        call = lambda: np.matmul(x, y, out=r)
    elif case.workload == "cross":
        call = lambda: np.cross(x, y)
    elif case.workload == "add_at":
        def call():
            r.fill(0)
            np.add.at(r, x, y)
    elif case.workload == "softmax":
        def call():
            np.exp(x - x.max(axis=1, keepdims=True), out=r)
            np.divide(r, r.sum(axis=1, keepdims=True), out=r)
    elif case.workload == "tridiagonal":
        call = lambda: thomas(*case.inputs)
    elif case.workload == "fir":
        windows = np.lib.stride_tricks.sliding_window_view(x, TAPS, axis=1)
        call = lambda: np.matmul(windows, y, out=r)
    elif case.workload == "logistic":
        call = lambda: logistic(x, y, r)
    elif case.workload == "jacobi":
        call = lambda: jacobi(r, x)
    elif case.workload == "pi":
        call = lambda: pi(case.n)
    elif case.workload == "saxpy":
        k = t(case.scalars[0])
        call = lambda: np.add(np.multiply(x, k, out=r), y, out=r)
    elif case.workload == "fresh":
        k = t(case.scalars[0])
        call = lambda: k * x + y
    elif case.workload == "chain":
        half = t(0.5)

        def call():
            s, c = np.sin(x), np.cos(x)
            np.add(s * s + c * c, np.exp(-x * x) * half, out=r)
    elif case.workload == "fn_cdf" and erf is not None:
        yield "numpy scipy", 1, one(ndtr)
    elif case.workload == "black_scholes" and erf is not None:
        time, (rate, vol) = case.inputs[2], map(t, case.scalars)
        drift = t(rate + vol * vol / 2)

        def with_scipy():
            sd = vol * np.sqrt(time)
            d1 = (np.log(x / y) + drift * time) / sd
            np.subtract(x * ndtr(d1), y * np.exp(-rate * time) * ndtr(d1 - sd), out=r)
        yield "numpy scipy", 1, with_scipy
    if call is not None:
        yield "numpy", 1, call
