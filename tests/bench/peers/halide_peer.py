"""Halide, with the plain schedule: vectors of the machine's size, on one thread and on all."""
try:
    import halide as hl
    from importlib.metadata import version
    VERSION = f"halide {version('halide')}"
except ImportError:
    VERSION = None

import numpy as np

from workloads import DTYPES

LANES = 64


def formula(case, x, inputs, constant):
    """The value at x (or x, j), or None for what is not here."""
    if case.workload in ("saxpy",):
        return constant(case.scalars[0]) * inputs[0][x] + inputs[1][x]
    if case.workload == "add2_3d":
        return inputs[0][x] + constant(2)
    if case.workload == "chain":
        v = inputs[0][x]
        return hl.sin(v) * hl.sin(v) + hl.cos(v) * hl.cos(v) + hl.exp(-v * v) * constant(0.5)
    if case.workload == "black_scholes" and case.dtype == "f32":  # its erf is for f32 only
        s, k, time = (i[x] for i in inputs)
        rate, vol = map(constant, case.scalars)
        cdf = lambda d: constant(0.5) + constant(0.5) * hl.erf(d * constant(0.70710678118654752440))
        sd = vol * hl.sqrt(time)
        d1 = (hl.log(s / k) + (rate + constant(0.5) * vol * vol) * time) / sd
        return s * cdf(d1) - k * hl.exp(-rate * time) * cdf(d1 - sd)
    return None


def variants(case):
    kind = hl.Float(32 if case.dtype == "f32" else 64)
    constant = hl.f32 if case.dtype == "f32" else hl.f64
    x, outer, inner = hl.Var("x"), hl.Var("outer"), hl.Var("inner")
    flat = [hl.Buffer(a.reshape(-1)) for a in case.inputs]
    lanes = LANES // np.dtype(DTYPES[case.dtype]).itemsize
    for label, threads in (("halide", 1), ("halide parallel", 0)):
        value = formula(case, x, flat, constant)
        if value is None:
            return
        f = hl.Func(f"{case.workload}_{threads}")
        f[x] = value
        f.bound(x, 0, case.elements)
        if threads == 0 and case.elements >= 65536:
            f.split(x, outer, inner, 16384).parallel(outer).vectorize(inner, lanes)
        else:
            f.vectorize(x, lanes)
        target = hl.Buffer(case.output.reshape(-1))
        yield label, threads, lambda f=f, target=target: f.realize(target)
