"""Compares installed builds of kiln row by row: is anything slower than it was?

  versions.py old=PREFIX new=PREFIX ... [--only call,first,saxpy,npbench.adi,tsvc.s278] [--threads]

The kernels of this folder are compiled against each prefix (its headers, its library), and run in a
process a build. For each row the processes take turns, in shuffled order, with short samples; a
figure is the least of a row's samples, so that it says what the code takes where nothing disturbs it,
and `median` the median of the ratios of samples that were taken one after the other. Ratios are to
the first build. Rows over the limit are measured again in new processes, and the least of both counts,
since where a process's memory happens to lie can change a row by some percent.
"""
import argparse
import ctypes
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(HERE))

SOURCES = {  # library: source, flags
    "kiln_maps": ("kiln_maps.cpp", "-O2"), "kiln_reduce": ("kiln_reduce.cpp", "-O2"),
    "kiln_loops": ("kiln_loops.cpp", "-O2"), "kiln_scan": ("kiln_scan.cpp", "-O2"),
    "calls": ("calls.cpp", "-O2"), "timer": ("timer.cpp", "-O2"),
    "npbench": ("npbench/npbench.cpp", "-O1"), "tsvc": ("tsvc/tsvc.cpp", "-O2")}


def build(prefix, folder, compiler):
    """The libraries of SOURCES for the kiln at a prefix."""
    folder.mkdir(parents=True, exist_ok=True)

    def one(item):
        name, (source, flags) = item
        target = folder / f"{name}.so"
        newest = max(p.stat().st_mtime for p in [HERE / source, prefix / "include/kiln/jit.h", *HERE.glob("*/*.h")])
        if target.exists() and target.stat().st_mtime > newest:
            return
        command = (f"{compiler} -std=c++20 {flags} -fPIC -shared -I{prefix}/include -I{TOP} {HERE / source} "
                   f"-o {target} -L{prefix}/lib -lkiln -Wl,-rpath,{prefix}/lib")
        subprocess.run(shlex.split(command), check=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, SOURCES.items()))


class Worker:
    """What one process does: makes a row ready, and times it."""

    def __init__(self, folder):
        self.folder, self.compiled, self.calls, self.npbench, self.tsvc = folder, None, None, None, None

    def names(self):
        import workloads
        from npbench import harness, more_cases, whole_cases  # noqa: F401: fills CASES
        calls = self.load_calls()
        found = [calls.calls_name(i).decode() for i in range(calls.calls_count())]
        compiled = self.load_compiled()
        for workload, (dtypes, sizes) in workloads.PLAN.items():
            for dtype in dtypes:
                for label, threads, _ in compiled.rows.get((workload, dtype), []):
                    found += [f"{workload} {dtype} {n} {label}{'' if threads == 1 else ' parallel'}" for n in sizes]
        self.npbench = self.npbench or harness.Kiln(self.folder)
        for name in filter(self.npbench.has, harness.CASES):
            found += [f"npbench.{name}", f"npbench.{name} first", f"npbench.{name} parallel"]
        return found + [f"tsvc.{name}" for name in self.tsvc_names()]

    def load_calls(self):
        if not self.calls:
            self.calls = ctypes.CDLL(str(self.folder / "calls.so"))
            self.calls.calls_name.restype = ctypes.c_char_p
            self.calls.calls_run.restype = ctypes.c_int64
            self.calls.calls_run.argtypes = [ctypes.c_int64, ctypes.c_int64]
        return self.calls

    def load_compiled(self):
        if not self.compiled:
            from variants import Compiled
            self.compiled = Compiled(self.folder)
        return self.compiled

    def tsvc_names(self):
        import re
        text = (HERE / "tsvc/loops.h").read_text()
        return re.findall(r'(?:lines|tables|number)\(\s*"(\w+)"', text)

    def prepare(self, row):
        """Makes measure() ready: a function from a number of calls to nanoseconds."""
        if row.startswith(("call ", "first ")):
            calls = self.load_calls()
            at = next(i for i in range(calls.calls_count()) if calls.calls_name(i).decode() == row)
            self.measure = lambda reps: calls.calls_run(at, reps)
            self.only_once = row.startswith("first ")
            if self.only_once:
                self.measure(1)
        elif row.startswith("npbench."):
            self.prepare_npbench(*(row.removeprefix("npbench.") + " ").split(" ", 1))
        elif row.startswith("tsvc."):
            name = (ctypes.c_char_p * 1)(row.removeprefix("tsvc.").encode())
            self.measure = lambda reps: self.run_tsvc(name)
            self.only_once = True
        else:
            self.prepare_workload(row)

    def run_tsvc(self, name):
        self.tsvc = self.tsvc or ctypes.CDLL(str(self.folder / "tsvc.so"))
        with tempfile.TemporaryFile() as output:
            saved = os.dup(1)
            os.dup2(output.fileno(), 1)
            try:
                self.tsvc.tsvc_run(name, 1)
            finally:
                os.dup2(saved, 1)
                os.close(saved)
            output.seek(0)
            lines = output.read().decode().splitlines()
        return round(float(lines[2].split()[1]) * 1000)

    def prepare_workload(self, row):
        import workloads
        workload, dtype, n, label = row.split(" ", 3)
        compiled = self.load_compiled()
        threads = 0 if label.endswith(" parallel") else 1
        label = label.removesuffix(" parallel")
        self.case = workloads.make(workload, dtype, int(n))
        address = next(a for name, t, a in compiled.rows[workload, dtype] if name == label and (t == 1) == (threads == 1))
        self.case.clear()
        self.measure = lambda reps: compiled.repeat(address, self.case.args, reps)
        self.only_once = False
        self.measure(1)

    def prepare_npbench(self, name, kind):
        import workloads
        from npbench import harness
        import numpy as np
        kind = kind.strip()
        self.npbench = self.npbench or harness.Kiln(self.folder)
        case = harness.CASES[name]
        made, scalars = case.make(*case.sizes["S"])
        # At cache lines, wherever the process's memory begins.
        self.arrays = [workloads.empty(x.shape, x.dtype) for x in made]
        for x, contents in zip(self.arrays, made):
            x[...] = contents
        pristine = [a.copy() for a in self.arrays]

        def restore():
            if case.changes:
                for a, p in zip(self.arrays, pristine):
                    np.copyto(a, p)

        def run(variant, reps):
            restore()
            return variant.run(reps)

        if kind == "first":
            def first(_):
                variant = self.npbench.variant(name, False)
                variant.bind(self.arrays, scalars)
                ns = run(variant, 1)
                return ns
            self.measure, self.only_once = first, True
            first(1)
            return
        variant = self.npbench.variant(name, kind == "parallel")
        variant.bind(self.arrays, scalars)
        self.measure, self.only_once = (lambda reps: run(variant, reps)), case.changes
        self.measure(1)

    def repeats(self, sample_ns):
        """As many calls as last about sample_ns."""
        if self.only_once:
            return 1
        once = max(20, min(self.measure(1) for _ in range(3)))
        reps = max(1, int(sample_ns / once))
        return max(1, int(sample_ns * reps / max(1, self.measure(reps)))) if reps > 1 else 1


def serve(folder, pipe):
    worker = Worker(folder)
    while True:
        command, *arguments = pipe.recv()
        if command == "end":
            return
        try:
            pipe.send((getattr(worker, command)(*arguments), None))
        except Exception as e:  # a row that a build cannot run is reported
            pipe.send((None, f"{type(e).__name__}: {e}"))


class Build:
    def __init__(self, name, folder):
        self.name, self.folder, self.process = name, folder, None
        self.start()

    def start(self):
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(self.folder, other), daemon=True)
        self.process.start()

    def restart(self):
        self.pipe.send(("end",))
        self.process.join()
        self.start()

    def ask(self, *command):
        self.pipe.send(command)
        value, error = self.pipe.recv()
        if error:
            raise RuntimeError(f"{self.name}: {error}")
        return value


def race(builds, row, rounds, sample_ns):
    """The nanoseconds of a call in each sample, by build; samples of the same place were taken together."""
    for b in builds:
        b.ask("prepare", row)
    reps = min(b.ask("repeats", sample_ns) for b in builds)
    samples = {b.name: [] for b in builds}
    for _ in range(rounds):
        for b in random.sample(builds, len(builds)):
            samples[b.name].append(b.ask("measure", reps) / reps)
    return samples


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="+", help="NAME=PREFIX of installed builds; ratios are to the first")
    parser.add_argument("--only", help="comma-separated beginnings of rows")
    parser.add_argument("--threads", action="store_true", help="the rows that run on all processors, instead of the others")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--again", type=int, default=2, help="how often rows over the limit are measured again")
    parser.add_argument("--limit", type=float, default=1.03)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "kiln-versions",
                        help="where the compiled kernels lie")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("KILN_CACHE", "off")  # first calls compile
    builds = []
    for text in options.builds:
        name, prefix = text.split("=", 1)
        build(Path(prefix).resolve(), options.folder / name, options.compiler)
        builds.append(Build(name, options.folder / name))
    rows = builds[0].ask("names")
    wanted = tuple(options.only.split(",")) if options.only else ("",)
    rows = [r for r in rows if r.startswith(wanted) and options.threads == r.endswith(" parallel")]
    print(f"{'':44}" + "".join(f"{b.name:>12}" for b in builds) + "".join(f"{b.name + ' /':>9}{'median':>8}" for b in builds[1:]))
    results = {}
    for row in rows:
        try:
            samples = race(builds, row, options.rounds, 1e6)
        except RuntimeError as e:
            print(f"{row:44}  ! {e}")
            continue
        limit = 1.05 if "first" in row else options.limit
        def ratio(b, middle=False):
            mine, first = samples[b.name], samples[builds[0].name]
            if middle:
                return statistics.median(x / y for x, y in zip(mine, first))
            return min(mine) / min(first)
        for _ in range(options.again):
            if all(ratio(b) <= limit for b in builds):
                break
            for b in builds:
                b.restart()
            for name, more in race(builds, row, options.rounds, 1e6).items():
                samples[name] += more
        flag = "  !" if any(ratio(b) > limit for b in builds[1:]) else ""
        print(f"{row:44}" + "".join(f"{min(samples[b.name]):12.5g}" for b in builds)
              + "".join(f"{ratio(b):9.3f}{ratio(b, True):8.3f}" for b in builds[1:]) + flag, flush=True)
        results[row] = {b.name: min(samples[b.name]) for b in builds}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    for b in builds:
        b.pipe.send(("end",))


if __name__ == "__main__":
    main()
