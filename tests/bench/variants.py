"""The variants of a case, and their measurement."""
import ctypes
import random
import statistics
import time

import numpy as np

import workloads

LIBRARIES = [  # label, library
    ("kiln", "kiln_maps"), ("kiln", "kiln_reduce"), ("kiln", "kiln_loops"), ("kiln", "kiln_gufuncs"), ("kiln", "kiln_methods"),
    ("kiln", "kiln_scan"),
    ("hand", "hand_memory"), ("hand", "hand_scan"), ("hand", "hand_functions"),
    ("hand", "hand_programs"),
    ("g++ -O3", "gcc_strict"), ("g++ fast-math", "gcc_fast"), ("clang -O3", "clang_strict"),
    ("clang fast-math", "clang_fast"), ("clang fast-math libmvec", "clang_mvec"), ("limit", "limits")]
SLOW_NS = 50e6  # calls longer than this are measured in fewer rounds,
HOPELESS_NS = 2e9  # longer than this once


class EntryStruct(ctypes.Structure):
    _fields_ = [("workload", ctypes.c_char_p), ("dtype", ctypes.c_char_p), ("threads", ctypes.c_int),
                ("variant", ctypes.c_char_p), ("run", ctypes.c_void_p)]


class Compiled:
    """The variants in libraries: rows[workload, dtype] = [(label, threads, address)]."""

    def __init__(self, build):
        self.repeat = ctypes.CDLL(str(build / "timer.so")).repeat
        self.repeat.restype = ctypes.c_int64
        self.repeat.argtypes = [ctypes.c_void_p, ctypes.POINTER(workloads.Args), ctypes.c_int64]
        self.rows, self.absent = {}, []
        for label, name in LIBRARIES:
            path = build / f"{name}.so"
            if not path.exists():
                self.absent.append(f"{label} ({name}.so)")
                continue
            library = ctypes.CDLL(str(path))
            library.table.restype = ctypes.POINTER(EntryStruct)
            table, i = library.table(), 0
            while table[i].workload:
                row = table[i]
                key = row.workload.decode(), row.dtype.decode()
                text = f"{label} {row.variant.decode()}".strip()
                self.rows.setdefault(key, []).append((text, row.threads, row.run))
                i += 1

    def variant(self, label, threads, address, args, elements):
        return Variant(label, threads, elements, lambda reps: self.repeat(address, args, reps))

    def variants(self, case):
        return [self.variant(label, threads, address, case.args, case.elements)
                for label, threads, address in self.rows.get((case.workload, case.dtype), [])]


class Variant:
    """measure(reps) gives the nanoseconds that so many calls take; `result`, where not None, what
    the call returned instead of writing it to the case's output."""

    def __init__(self, label, threads, elements, measure):
        self.label, self.threads, self.elements, self.measure = label, threads, elements, measure
        self.samples, self.error, self.reps, self.wanted = [], None, 1, 0
        self.result = None

    @classmethod
    def of_python(cls, label, threads, elements, call):
        def measure(reps):
            start = time.perf_counter_ns()
            for _ in range(reps):
                variant.result = call()
            return time.perf_counter_ns() - start
        variant = cls(label, threads, elements, measure)
        return variant

    @property
    def median(self):
        return statistics.median(self.samples)

    @property
    def spread(self):
        """The distance between the quartiles relative to the median."""
        if len(self.samples) < 2:
            return 0.0
        quartiles = statistics.quantiles(self.samples, n=4)
        return (quartiles[2] - quartiles[0]) / self.median


def check(case, variants):
    """Runs every variant once and compares; gives those that are right, and lines about the others."""
    good, trouble = [], []
    for v in variants:
        case.clear()
        if case.workload == "fresh":
            case.args.n[1] = 1  # the result is wanted
        try:
            v.measure(1)  # compiles, touches pages
        except Exception as e:  # a peer that cannot do this case is reported
            trouble.append(f"{v.label}: {type(e).__name__}: {(str(e).splitlines() or [''])[0][:100]}")
            continue
        finally:
            if case.workload == "fresh":
                case.args.n[1] = 0
        returned = v.result is not None and not np.may_share_memory(np.asarray(v.result), case.output)
        v.error = case.error(v.result if returned else case.output)
        v.result = None
        if v.error <= case.tolerance:
            good.append(v)
        else:
            trouble.append(f"{v.label} is wrong: error {v.error:.2g}, accepted {case.tolerance:.2g}")
    return good, trouble


def measure(variants, rounds, sample_ns):
    """Every round runs the variants once each, in shuffled order. A sample is so many calls that it
    lasts sample_ns."""
    for v in variants:
        once = max(1, v.measure(1))
        if once > HOPELESS_NS:
            v.samples.append(once / v.elements)
            continue
        once = min(once, max(1, v.measure(1)))
        v.reps = max(1, int(sample_ns / max(once, 20)))
        if v.reps > 1:
            v.reps = max(1, int(sample_ns * v.reps / v.measure(v.reps)))
        v.wanted = rounds if once < SLOW_NS else max(3, rounds // 4)
    order = list(variants)
    for r in range(rounds):
        random.shuffle(order)
        for v in order:
            if r * v.wanted // rounds == (r + 1) * v.wanted // rounds:
                continue
            v.samples.append(v.measure(v.reps) / v.reps / v.elements)
            if v.threads != 1:
                time.sleep(0.0025)  # workers that spin while idle must not run into the next sample
            v.result = None
