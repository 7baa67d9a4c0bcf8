"""Runs kiln and its peers interleaved in one process, on the same buffers, and prints tables.

Every round runs all variants of a case once, in shuffled order; a figure is the median over the
rounds, `spread` the distance between the quartiles relative to it. Every result is checked.
"""
import argparse
import ctypes
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import workloads

LIBRARIES = [  # label, file
    ("kiln", "kiln"), ("hand", "hand"), ("g++ -O3", "gcc_strict"), ("g++ fast-math", "gcc_fast"),
    ("clang-19 -O3", "clang_strict"), ("clang-19 fast-math", "clang_fast")]
LATENCIES = ("saxpy", "chain_30", "black_scholes", "mandelbrot", "chain_500")


class EntryStruct(ctypes.Structure):
    _fields_ = [("workload", ctypes.c_char_p), ("dtype", ctypes.c_char_p), ("threads", ctypes.c_int),
                ("variant", ctypes.c_char_p), ("run", ctypes.c_void_p)]


def load(build):
    """{(workload, dtype): [(label, threads, address)]} and the labels that are absent."""
    timer = ctypes.CDLL(str(build / "timer.so")).repeat
    timer.restype = ctypes.c_int64
    timer.argtypes = [ctypes.c_void_p, ctypes.POINTER(workloads.Args), ctypes.c_int64]
    found, absent = {}, []
    for label, name in LIBRARIES:
        path = build / f"{name}.so"
        if not path.exists():
            absent.append(label)
            continue
        library = ctypes.CDLL(str(path))
        library.table.restype = ctypes.POINTER(EntryStruct)
        rows, i = library.table(), 0
        while rows[i].workload:
            key = rows[i].workload.decode(), rows[i].dtype.decode()
            text = f"{label} {rows[i].variant.decode()}".strip()
            found.setdefault(key, []).append((text, rows[i].threads, rows[i].run))
            i += 1
    return timer, found, absent


class Variant:
    def __init__(self, label, threads, measure):
        self.label, self.threads, self.measure = label, threads, measure
        self.samples, self.error, self.reps = [], None, 1


def variants_of(case, timer, compiled):
    args = case.args()
    out = [Variant(label, threads, lambda reps, f=f: timer(f, args, reps))
           for label, threads, f in compiled.get((case.workload, case.dtype), [])]

    def python(call):
        def measure(reps):
            start = time.perf_counter_ns()
            for _ in range(reps):
                call()
            return time.perf_counter_ns() - start
        return measure

    numpy_call = workloads.numpy_variant(case)
    if numpy_call is not None:
        out.append(Variant("numpy", 1, python(numpy_call)))
    out += [Variant(label, threads, python(call)) for label, threads, call in workloads.numba_variants(case)]
    return out


def measure(case, variants, rounds, sample_ns):
    for v in variants:
        case.output.fill(float("nan"))
        v.measure(1)  # compiles, touches pages
        v.error = case.error()
        if not v.error <= case.tolerance:
            sys.exit(f"{case.workload} {case.dtype} n={case.n}: {v.label} is wrong: error {v.error:.2g}, "
                     f"accepted {case.tolerance:.2g}")
        once = max(1, min(v.measure(1) for _ in range(3)))
        v.reps = max(1, int(sample_ns / once))
    for _ in range(rounds):
        random.shuffle(variants)
        for v in variants:
            v.samples.append(v.measure(v.reps) / v.reps / case.n)


def row(case, v):
    quartiles = statistics.quantiles(v.samples, n=4)
    median = statistics.median(v.samples)
    return {"workload": case.workload, "dtype": case.dtype, "n": case.n,
            "threads": v.threads or len(os.sched_getaffinity(0)), "variant": v.label,
            "ns_per_element": median, "spread": (quartiles[2] - quartiles[0]) / median, "error": v.error}


def print_case(rows):
    best_peer = {t: min((r["ns_per_element"] for r in rows if not r["variant"].startswith("kiln")
                         and r["threads"] == t), default=None) for t in {r["threads"] for r in rows}}
    first = rows[0]
    print(f"\n{first['workload']} {first['dtype']} n={first['n']:,}")
    print(f"  {'variant':34}{'threads':>8}{'ns/element':>12}{'spread':>8}{'x best peer':>13}")
    for r in sorted(rows, key=lambda r: (r["threads"], r["ns_per_element"])):
        best = best_peer[r["threads"]]
        ratio = f"{r['ns_per_element'] / best:.2f}" if best else ""
        print(f"  {r['variant']:34}{r['threads']:>8}{r['ns_per_element']:>12.4g}{r['spread']:>7.0%}{ratio:>13}")


def python_latencies():
    """Warm calls of size 1 and first calls of the Python peers."""
    np = workloads.np
    x, y, r = np.ones(1), np.ones(1), np.zeros(1)

    def warm(call):
        rounds = []
        for _ in range(15):
            start = time.perf_counter_ns()
            for _ in range(2000):
                call()
            rounds.append((time.perf_counter_ns() - start) / 2000)
        return statistics.median(rounds)

    out = [("call size 1", "numpy add, output given", warm(lambda: np.add(x, y, r)))]
    if workloads.numba is not None:
        nb = workloads.numba
        ufunc = nb.vectorize(["f8(f8,f8,f8)"])(workloads._saxpy)
        loop = nb.njit("void(f8,f8[::1],f8[::1],f8[::1])")(_saxpy_loop)
        out.append(("call size 1", "numba vectorize", warm(lambda: ufunc(2.0, x, y, r))))
        out.append(("call size 1", "numba njit", warm(lambda: loop(2.0, x, y, r))))
        for name, kernel, args in (("saxpy", workloads._saxpy, 3), ("black_scholes", workloads._black_scholes, 5)):
            times = []
            for salt in range(3):
                start = time.perf_counter_ns()
                f = nb.vectorize([f"f8({','.join(['f8'] * args)})"])(kernel)
                f(*([x + 1 + salt] * args))
                times.append(time.perf_counter_ns() - start)
            out.append((f"first_call {name}", "numba vectorize", statistics.median(times)))
    return [{"workload": w, "variant": v, "ns": ns} for w, v, ns in out]


def _saxpy_loop(k, x, y, r):
    for i in range(x.size):
        r[i] = k * x[i] + y[i]


def latencies(build, rounds):
    samples = {}
    commands = [[str(build / "latency"), "warm"]] + [[str(build / "latency"), "first", n] for n in LATENCIES[:3]]
    for _ in range(rounds):
        for command in commands:
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for line in text.splitlines():
                r = json.loads(line)
                samples.setdefault((r["workload"], r["variant"]), []).append(r["ns"])
    rows = [{"workload": w, "variant": v, "ns": statistics.median(ns)} for (w, v), ns in samples.items()]
    rows += python_latencies()
    print("\nlatency")
    print(f"  {'what':36}{'variant':28}{'':>4}{'time':>12}")
    for r in sorted(rows, key=lambda r: (r["workload"], r["ns"])):
        ns = r["ns"]
        text = f"{ns / 1e6:.2f} ms" if ns >= 1e6 else f"{ns / 1e3:.2f} us" if ns >= 1e4 else f"{ns:.1f} ns"
        print(f"  {r['workload']:36}{r['variant']:28}{text:>16}")
    return rows


def plot(rows, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    cases = {}
    for r in rows:
        if "n" in r:
            cases.setdefault((r["workload"], r["dtype"], r["n"], r["threads"]), []).append(r)
    labels = sorted({r["variant"] for r in rows if "n" in r})
    figure, axes = pyplot.subplots(figsize=(10, 0.35 * len(cases) * 2 + 1))
    for k, (key, group) in enumerate(sorted(cases.items())):
        kiln = min(r["ns_per_element"] for r in group if r["variant"].startswith("kiln"))
        for r in group:
            axes.plot(r["ns_per_element"] / kiln, k, "o", color=f"C{labels.index(r['variant']) % 10}")
    axes.set_yticks(range(len(cases)), [f"{w} {d} {n:.0e} x{t}" for w, d, n, t in sorted(cases)])
    axes.set_xscale("log")
    axes.axvline(1, color="grey", lw=0.5)
    axes.set_xlabel("time relative to kiln (right of 1: slower)")
    for i, label in enumerate(labels):
        axes.plot([], [], "o", color=f"C{i % 10}", label=label)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--only", help="comma-separated workloads; `latency` is one")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    only = options.only.split(",") if options.only else [*workloads.SIZES, "latency"]
    unknown = set(only) - set(workloads.SIZES) - {"latency"}
    if unknown:
        parser.error(f"unknown workload {', '.join(sorted(unknown))}; known: {', '.join(workloads.SIZES)}, latency")
    timer, compiled, absent = load(options.build)
    if workloads.numba is None:
        absent.append("numba")
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors, numpy {workloads.np.__version__}"
          + (f", numba {workloads.numba.__version__}" if workloads.numba else "")
          + (f"; absent: {', '.join(absent)}" if absent else ""))
    rounds, sample_ns = (5, 2e6) if options.quick else (21, 5e6)
    rows = []
    for workload in only:
        if workload == "latency":
            rows += latencies(options.build, 1 if options.quick else 5)
            continue
        for dtype in workloads.DTYPES:
            for n in workloads.SIZES[workload]:
                case = workloads.make(workload, dtype, n)
                variants = variants_of(case, timer, compiled)
                measure(case, variants, rounds, sample_ns)
                of_case = [row(case, v) for v in variants]
                print_case(of_case)
                rows += of_case
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
