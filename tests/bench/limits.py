"""What the machine allows: memory traffic measured beside the variants of a case, in buffers of the
same sizes, and rates of arithmetic measured once a run."""
import numpy as np

import workloads
from variants import Variant, measure


class Limits:
    def __init__(self, compiled, processors, rounds):
        self.compiled, self.processors = compiled, processors
        self.moves = {}  # (reads, writes): [(label, threads, address)]
        self.rates = {}  # (dtype, kind): ns per element on one thread
        for label, threads, address in compiled.rows.get(("limit", "bytes"), []):
            words = label.split()
            if words[1] == "read":
                self.moves.setdefault((int(words[2]), int(words[4])), []).append((label, threads, address))
            else:
                self.register = self._register_bytes(address)
        if self.moves:
            self._measure_rates(rounds)

    def _register_bytes(self, address):
        args, out = workloads.Args(), np.zeros(1, np.int64)
        args.p[3] = out.ctypes.data
        self.compiled.repeat(address, args, 1)
        return int(out[0])

    def _measure_rates(self, rounds):
        operations = 120_000
        args = workloads.Args()
        args.n[0] = operations
        found = {}
        for dtype, t in workloads.DTYPES.items():
            elements = operations * self.register // np.dtype(t).itemsize
            for label, threads, address in self.compiled.rows["limit", dtype]:
                found[dtype, label.split()[1]] = self.compiled.variant(label, threads, address, args, elements)
        measure(list(found.values()), rounds, 1e6)
        self.rates = {key: min(v.samples) for key, v in found.items()}

    def memory_variants(self, case):
        """The same traffic as the case's, without its arithmetic."""
        if not case.moves:
            return []
        reads, writes, count = case.moves
        args = workloads.Args()
        arrays = [x for x in case.inputs if x.nbytes >= count][:reads]
        for i, x in enumerate(arrays):
            args.p[i] = x.ctypes.data
        args.p[3] = case.output.ctypes.data
        args.n[0] = count
        return [self.compiled.variant(label, threads, address, args, case.elements // case.passes)
                for label, threads, address in self.moves.get((reads, writes), [])]

    def operations(self, case, threads):
        """ns per element that the arithmetic of a case needs; None where nothing is known."""
        if not self.rates or not case.operations:
            return None
        counts = case.operations
        parts = [count * self.rates[case.dtype, kind] for kind, count in counts.items()]
        parts.append((counts.get("fma", 0) + counts.get("add", 0)) * self.rates[case.dtype, "both"])
        return max(parts) / (self.processors if threads == 0 else 1)

    def of(self, case, memory, threads):
        """(ns per element, what sets it) of a case; `memory`: the measured memory_variants."""
        traffic = [v.median for v in memory if v.threads == threads]
        found = []
        if traffic:
            found.append((min(traffic), "memory"))
        operations = self.operations(case, threads)
        if operations is not None:
            found.append((operations, "operations"))
        return max(found, default=None)

    def describe(self):
        """Lines on bandwidth beyond the caches and on the rates of arithmetic."""
        if not self.moves:
            return []
        n = 10_000_000
        arrays = [workloads.empty(n, np.float64) for _ in range(4)]
        args = workloads.Args()
        for i, x in enumerate(arrays):
            args.p[i] = x.ctypes.data
        args.n[0] = n * 8
        names = {(1, 0): "read", (0, 1): "fill", (1, 1): "copy", (2, 1): "triad"}
        found = []
        for (reads, writes), name in names.items():
            for label, threads, address in self.moves[reads, writes]:
                tag = " streaming" if "streaming" in label else ""
                v = self.compiled.variant(f"{name}{tag}", threads, address, args, n)
                v.bytes = 8 * (reads + writes)
                found.append(v)
        measure(found, 7, 1e6)
        self.bandwidth = found
        lines = []
        for v in found:
            count = self.processors if v.threads == 0 else 1
            lines.append(f"  {v.label:18} {count} thread{'s' if count > 1 else ' '} {v.bytes / v.median:8.1f} GB/s")
        for (dtype, kind), ns in self.rates.items():
            lines.append(f"  {kind:5}{dtype:14} 1 thread {1 / ns:8.2f} /ns")
        return lines

    def rows(self):
        """The same as rows of the JSON."""
        out = []
        for v in getattr(self, "bandwidth", []):
            out.append({"workload": "limit", "dtype": "f64", "n": 10_000_000,
                        "threads": v.threads or self.processors, "variant": f"limit {v.label}",
                        "ns_per_element": v.median, "spread": v.spread, "error": None})
        for (dtype, kind), ns in self.rates.items():
            out.append({"workload": "limit", "dtype": dtype, "n": 1, "threads": 1, "variant": f"limit {kind}",
                        "ns_per_element": ns, "spread": 0.0, "error": None})
        return out
