"""Runs kiln and its peers interleaved in one process, on the same buffers, and prints tables.

Every round runs all variants of a case once, in shuffled order; a figure is the median over the
rounds, `spread` the distance between the quartiles relative to it. Every result is checked.
tests/bench/README.md says what the rows mean.
"""
import argparse
import ctypes
import json
import os
import platform
import sys
from pathlib import Path

import crossover
import latency
import peers
import report
import workloads
from npbench import harness as npbench
from limits import Limits
from variants import Compiled, check, measure


def processor():
    try:
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def run_case(case, compiled, limits, rounds, sample_ns, quiet=False):
    """The rows of one case and lines about variants that failed."""
    variants, trouble = check(case, compiled.variants(case) + peers.variants(case))
    memory = limits.memory_variants(case)
    measure(variants + memory, rounds, sample_ns)
    processors = limits.processors

    def row(variant, threads, ns, spread=0.0, error=None):
        return {"workload": case.workload, "dtype": case.dtype, "n": case.n, "threads": threads or processors,
                "variant": variant, "ns_per_element": ns, "spread": spread, "error": error}

    rows = [row(v.label, v.threads, v.median, v.spread, v.error) for v in variants]
    bounds = {}
    for threads in sorted({v.threads for v in variants}):
        bound = limits.of(case, memory, threads)
        if bound:
            bounds[threads or processors] = bound
            rows.append(row("limit", threads, bound[0]))
    report.print_case([r for r in rows if r["variant"] != "limit"], bounds)
    for line in trouble:
        print(f"  ! {line}")
    return rows, trouble


def run_tsvc(build, loops):
    """TSVC's loops beside clang's, which compiles the library that has both."""
    if not (build / "tsvc.so").exists():
        print("tsvc: absent, clang++-19 is not installed")
        return
    names = (ctypes.c_char_p * len(loops))(*(name.encode() for name in loops))
    sys.stdout.flush()
    ctypes.CDLL(str(build / "tsvc.so")).tsvc_run(names, len(loops))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="the folder of the built variants")
    parser.add_argument("--only", help="comma-separated workloads; `latency`, `npbench` and `tsvc` are some, "
                                       "`npbench.adi` and `tsvc.s278` are one of the latter two")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--kiln", action="store_true", help="npbench without numba, whose compiler takes minutes")
    parser.add_argument("--json", type=Path, help="write all rows")
    parser.add_argument("--plot", type=Path, help="write a PNG of times relative to kiln's")
    parser.add_argument("--crossover", action="store_true", help="kiln parallel / serial by size, nothing else")
    options = parser.parse_args()
    known = [*workloads.PLAN, "latency", "npbench", "tsvc"]
    only = options.only.split(",") if options.only else known
    kernels = [name.removeprefix("npbench.") for name in only if name.startswith("npbench.")]
    loops = [name.removeprefix("tsvc.") for name in only if name.startswith("tsvc.")]
    only = [name for name in only if not name.startswith(("npbench.", "tsvc."))]
    only += (["npbench"] if kernels else []) + (["tsvc"] if loops else [])
    unknown = (set(only) | set(kernels)) - set(known) - set(npbench.CASES)
    if unknown:
        parser.error(f"unknown workload {', '.join(sorted(unknown))}; known: {', '.join(known)}")

    compiled = Compiled(options.build)
    processors = len(os.sched_getaffinity(0))
    print(f"{processor()}, {processors} processors, load {os.getloadavg()[0]:.2f}; Python {platform.python_version()}, "
          + ", ".join(peers.present()))
    absent = compiled.absent + peers.absent()
    if absent:
        print("absent: " + "; ".join(absent))
    rounds, sample_ns = (5, 2e6) if options.quick else (21, 5e6)
    if options.crossover:
        return crossover.run(compiled, rounds, sample_ns)
    limits = Limits(compiled, processors, rounds)
    rows, failures = [], []
    if set(only) - {"latency", "npbench", "tsvc"}:
        print("limits\n" + "\n".join(limits.describe() or ["  not measured: clang++-19 is absent"]), flush=True)
        rows += limits.rows()
    for workload in only:
        if workload == "latency":
            found = latency.run(options.build, 1 if options.quick else 5)
            report.print_latencies(found)
            rows += found
            continue
        if workload == "npbench":
            found, trouble = npbench.run(options.build, kernels, ["S"] if options.quick else ["S", "M"],
                                         options.quick, options.kiln)
            rows += found
            failures += trouble
            continue
        if workload == "tsvc":
            run_tsvc(options.build, loops)
            continue
        dtypes, sizes = workloads.PLAN[workload]
        for dtype in dtypes:
            for n in sizes:
                case = workloads.make(workload, dtype, n)
                found, trouble = run_case(case, compiled, limits, rounds, sample_ns)
                rows += found
                failures += [f"{workload} {dtype} {n:,}: {line}" for line in trouble]
    report.print_summary(rows)
    if failures:
        print("\nwrong or failed:\n  " + "\n  ".join(failures))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.plot:
        report.plot(rows, options.plot)
    return 1 if any(": kiln" in line for line in failures) else 0


if __name__ == "__main__":
    sys.exit(main())
