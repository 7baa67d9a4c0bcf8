"""Runs the NPBench kernels: kiln beside numba's variants and NumPy, interleaved in one process.

First calls are timed from a new kernel to its first result, in a process in which both compilers
have compiled before. Numba's best variant is that with the least warm time; its first call counts.
"""
import ctypes
import random
import statistics
import time

import numpy as np

from npbench.cases import CASES
from npbench import more_cases, whole_cases  # noqa: F401: fills CASES

try:
    import numba
except ImportError:
    numba = None


class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_char_p), ("rank", ctypes.c_int64),
                ("shape", ctypes.c_int64 * 8)]


class Kiln:
    def __init__(self, build):
        lib = self.lib = ctypes.CDLL(str(build / "npbench.so"))
        lib.npbench_make.restype = ctypes.c_void_p
        lib.npbench_bind.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
        lib.npbench_run.restype = ctypes.c_int64
        lib.npbench_run.argtypes = [ctypes.c_void_p, ctypes.c_int64]

    def has(self, name):
        """Earlier installs lack what some kernels are written in."""
        return bool(self.lib.npbench_make(name.encode(), 0))

    def variant(self, name, parallel):
        return KilnVariant(self.lib, name, parallel)


class KilnVariant:
    def __init__(self, lib, name, parallel):
        self.label, self.lib, self.samples, self.changes = "kiln parallel" if parallel else "kiln", lib, [], False
        self.handle = lib.npbench_make(name.encode(), int(parallel))
        if not self.handle:
            raise RuntimeError(f"kiln has no kernel {name}")

    def bind(self, arrays, scalars):
        buffers = (Buffer * len(arrays))()
        for b, a in zip(buffers, arrays):
            b.data, b.dtype, b.rank = a.ctypes.data, a.dtype.name.encode(), a.ndim
            b.shape[:a.ndim] = a.shape
        values = (ctypes.c_double * len(scalars))(*scalars)
        self.lib.npbench_bind(self.handle, buffers, len(arrays), values, len(scalars))

    def run(self, reps):
        ns = self.lib.npbench_run(self.handle, reps)
        if ns <= 0:
            raise RuntimeError("kiln failed")
        return ns


class PythonVariant:
    def __init__(self, label, function):
        self.label, self.function, self.samples = label, function, []

    def bind(self, arrays, scalars):
        self.arrays, self.scalars = arrays, scalars

    def run(self, reps):
        # Time steps come first where there are any, as in the kernels of kiln.
        arguments = self.order(self.arrays, self.scalars)
        start = time.perf_counter_ns()
        for _ in range(reps):
            self.function(*arguments)
        return time.perf_counter_ns() - start


def leading_scalar(case):
    return case.numpy.__code__.co_varnames[0] in ("steps", "alpha")


def numba_variants(case):
    if numba is None:
        return []
    options = {"fastmath": case.fastmath, "error_model": "numpy"}
    found = []
    for kind, functions in (("n", case.loops), ("np", case.arrays)):
        for f in functions:
            suffix = kind if not f.__name__.startswith("loops_") else kind + f.__name__[5:]
            found.append(PythonVariant(f"numba {suffix}", numba.njit(**options)(f)))
            # Parallel array expressions fork at every slice: hopeless where rows are swept in turn.
            if "prange" in f.__code__.co_names:
                found.append(PythonVariant(f"numba {suffix}r", numba.njit(parallel=True, **options)(f)))
    return found


def error_of(got, want):
    """The largest difference, relative to the element or to the mean one where that is more."""
    worst = 0.0
    for g, w in zip(got, want):
        if w.dtype.kind in "iu":
            worst = max(worst, float(np.any(g != w)))
        else:
            scale = np.maximum(np.abs(w), np.mean(np.abs(w)))
            worst = max(worst, float(np.max(np.abs(g - w) / np.maximum(scale, 1e-300))))
    return worst if worst == worst else float("inf")


def tolerance_of(case, size, want):
    """Where rounding errors grow: ten times what the last bits of an input change."""
    if case.rounded is None:
        return case.tolerance
    arrays, scalars = case.make(*case.sizes[size])
    a = arrays[case.rounded]
    a *= 1 + np.finfo(a.dtype).eps / 2 * np.random.default_rng(1).integers(-1, 2, size=a.shape)
    case.numpy(*([*scalars, *arrays] if leading_scalar(case) else [*arrays, *scalars]))
    return max(case.tolerance, 10 * error_of([arrays[i][:case.steps] for i in case.out], want))


def run_case(case, size, kiln, rounds, only_kiln=False):
    """(rows, trouble) of a case at one size: label, milliseconds, first call in milliseconds."""
    arrays, scalars = case.make(*case.sizes[size])
    pristine = [a.copy() for a in arrays]

    def restore():
        if case.changes:
            for a, p in zip(arrays, pristine):
                np.copyto(a, p)

    def order(a, s):
        return [*s, *a] if leading_scalar(case) else [*a, *s]

    def measured(variant, reps):
        restore()
        return variant.run(reps)

    reference = PythonVariant("numpy", case.numpy)
    reference.order = order
    reference.bind(arrays, scalars)
    reference.last = measured(reference, 1)
    want = [arrays[i][:case.steps].copy() for i in case.out]
    tolerance = tolerance_of(case, size, want)
    variants = [reference]
    makers = [lambda p=p: kiln.variant(case.name, p) for p in (False, True)]
    if not only_kiln:
        makers += [lambda v=v: v for v in numba_variants(case)]
    trouble = []
    for make in makers:
        for i in case.out:
            if not case.changes:
                arrays[i].fill(7)
        restore()
        start = time.perf_counter_ns()
        try:
            v = make()
            v.order = order
            v.bind(arrays, scalars)
            v.last = v.run(1)
            v.first = (time.perf_counter_ns() - start) / 1e6
        except Exception as e:
            trouble.append(f"{getattr(v, 'label', 'kiln')}: {type(e).__name__}: {(str(e).splitlines() or [''])[0][:120]}")
            continue
        error = error_of([arrays[i][:case.steps] for i in case.out], want)
        if error > tolerance:
            trouble.append(f"{v.label} is wrong: error {error:.2g}, accepted {tolerance:.2g}")
            if not v.label.startswith("kiln"):
                continue
        v.error = error
        v.last = measured(v, 1)
        variants.append(v)
    for v in variants:
        once = min(measured(v, 1) for _ in range(3 if v.last < 1e8 else 1))
        v.reps = 1 if case.changes else max(1, int(2e6 / once))
        v.slow = once > 2e8
        v.samples = [once]
    # What takes ten times as long as the fastest is not looked at any more.
    fastest = min(v.samples[0] for v in variants)
    competing = [v for v in variants if v.samples[0] < 10 * fastest]
    for v in competing:
        v.samples = []
    for r in range(rounds):
        random.shuffle(competing)
        for v in competing:
            if v.slow and r >= 2:
                continue
            if v.reps == 1 and case.changes:
                for _ in range(3 if not v.slow else 1):
                    v.samples.append(measured(v, 1))
            else:
                v.samples.append(v.run(v.reps) / v.reps)
    rows = [(v.label, min(v.samples) / 1e6, getattr(v, "first", 0.0)) for v in variants]
    return sorted(rows, key=lambda r: r[1]), trouble


def warm_up(kiln):
    """Both compilers start."""
    v = kiln.variant("jacobi_1d", True)
    a = np.arange(10.0)
    v.bind([a, a.copy()], [3])
    v.run(1)
    if numba is not None:
        @numba.njit(parallel=True)
        def f(x):
            for i in numba.prange(x.shape[0]):
                x[i] += 1
        f(a)


def run(build, only, sizes, quick, only_kiln=False):
    """Prints a line for each kernel and size; gives rows for --json, and what was wrong. `only` names
    kernels; empty: all."""
    kiln = Kiln(build)
    warm_up(kiln)
    print("npbench: milliseconds of a call, the least of many\n"
          f"{'':16}{'':3}{'kiln':>10}{'numba':>11}{'numpy':>10}{'x numba':>9}{'x numpy':>9}{'first':>9}{'numba':>9}{'x':>7}  variants")
    rows, wrong, ratios, firsts = [], [], {s: [] for s in sizes}, []
    for case in CASES.values():
        if only and case.name not in only:
            continue
        for size in sizes:
            found, trouble = run_case(case, size, kiln, 5 if quick else 11, only_kiln)
            best = {k: next((r for r in found if r[0].startswith(k)), None) for k in ("kiln", "numba", "numpy")}
            ours, theirs, numpys = best["kiln"], best["numba"], best["numpy"]
            if ours:  # the second of two kernels with equal code finds it compiled: that is no first call
                longest = max(r[2] for r in found if r[0].startswith("kiln"))
                ours = (*ours[:2], ours[2] if ours[2] > longest / 3 else longest)
            line = f"{case.name:16}{size:3}"
            if ours:
                line += f"{ours[1]:10.4g}"
                line += f"{theirs[1]:11.4g}" if theirs else f"{'-':>11}"
                line += f"{numpys[1]:10.4g}"
                line += f"{theirs[1] / ours[1]:9.2f}" if theirs else f"{'-':>9}"
                line += f"{numpys[1] / ours[1]:9.1f}{ours[2]:9.1f}"
                line += f"{theirs[2]:9.0f}{theirs[2] / ours[2]:7.0f}" if theirs else f"{'-':>9}{'-':>7}"
                line += "  " + ", ".join(f"{label} {ms:.4g}" for label, ms, _ in found if label != "numpy")
                if theirs:
                    ratios[size].append(theirs[1] / ours[1])
                    if size == sizes[0]:
                        firsts.append(theirs[2] / ours[2])
            print(line, flush=True)
            for t in trouble:
                print(f"  ! {t}")
                if t.startswith("kiln"):
                    wrong.append(f"npbench {case.name} {size}: {t}")
            rows += [{"workload": f"npbench {case.name}", "dtype": "", "n": size, "threads": 0, "variant": label,
                      "ns_per_call": ms * 1e6, "first_call_ns": first * 1e6}
                     for label, ms, first in found]
    for size in sizes:
        if ratios[size]:
            print(f"geometric mean at {size}: {statistics.geometric_mean(ratios[size]):.2f} x numba; "
                  f"slower than numba: {sum(r < 1 for r in ratios[size])} of {len(ratios[size])}")
    if firsts:
        print(f"first calls: {statistics.geometric_mean(firsts):.0f} x faster than numba's, at least {min(firsts):.1f} x")
    return rows, wrong
