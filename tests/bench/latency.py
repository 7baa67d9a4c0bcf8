"""The group `latency`: first calls, warm calls of size 1, fork-join, start-up."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from peers import numba_peer

sys.path.append(str(pathlib.Path(__file__).parent.parent / "session"))
from terminal import Terminal

FIRST = ("saxpy", "black_scholes", "mandelbrot")


def warm(call):
    rounds = []
    for _ in range(15):
        start = time.perf_counter_ns()
        for _ in range(2000):
            call()
        rounds.append((time.perf_counter_ns() - start) / 2000)
    return statistics.median(rounds)


def python_latencies():
    """(what, variant, ns) of the Python peers: size-1 calls and first calls."""
    x, y, r = np.ones(1), np.ones(1), np.zeros(1)
    out = [("call general size 1", "numpy add, output given", warm(lambda: np.add(x, y, r)))]
    if not numba_peer.VERSION:
        return out
    nb = numba_peer.numba
    functions = numba_peer.formulas(np.float64)
    ufunc = nb.vectorize(["f8(f8,f8,f8)"])(functions["saxpy"][0])
    loop = nb.njit("void(f8,f8[::1],f8[::1],f8[::1])")(numba_peer.loop_saxpy)
    out.append(("call general size 1", "numba vectorize", warm(lambda: ufunc(2.0, x, y, r))))
    out.append(("call general size 1", "numba njit", warm(lambda: loop(2.0, x, y, r))))
    arguments = {"saxpy": ("f8(f8,f8,f8)", 3), "black_scholes": ("f8(f8,f8,f8,f8,f8)", 5),
                 "mandelbrot": ("i4(i4,f8,f8)", 3)}
    for name in FIRST:
        signature, count = arguments[name]
        for label, options in (("numba vectorize", {}), ("numba vectorize parallel", {"target": "parallel"})):
            times = []
            for _ in range(3):
                function = numba_peer.formulas(np.float64)[name][0]
                start = time.perf_counter_ns()
                f = nb.vectorize([signature], **options)(function)
                f(*([np.ones(1000, "i4" if name == "mandelbrot" and i == 0 else "f8") for i in range(count)]))
                times.append(time.perf_counter_ns() - start)
            out.append((f"first_call {name}", label, statistics.median(times)))
    return out


def process_time(*command, **options):
    start = time.perf_counter_ns()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    return time.perf_counter_ns() - start


def start_up(build, rounds):
    """Whole processes, interleaved: with kiln linked, without, and the difference."""
    plain, kiln = [], []
    for _ in range(8 * rounds):
        plain.append(process_time(str(build / "startup_plain")))
        kiln.append(process_time(str(build / "startup_kiln")))
    without, linked = statistics.median(plain), statistics.median(kiln)
    return [("start_up", "whole process without kiln", without), ("start_up", "whole process with kiln", linked),
            ("start_up", "kiln", max(0.0, linked - without))]


def second_start(build, rounds):
    """Processes that find what an earlier one compiled: kiln's disk cache and numba's."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        kiln = [str(build / "latency"), "again"]
        env = dict(os.environ, KILN_CACHE="on", KILN_CACHE_DIR=folder + "/kiln")
        subprocess.run(kiln, check=True, env=env, stdout=subprocess.DEVNULL)
        inside, whole = {}, []
        for _ in range(8 * rounds):
            whole.append(process_time(*kiln, env=env))
            for line in subprocess.run(kiln, check=True, env=env, capture_output=True, text=True).stdout.splitlines():
                r = json.loads(line)
                inside.setdefault(r["variant"], []).append(r["ns"])
        rows += [("second_start", v, statistics.median(ns)) for v, ns in inside.items()]
        rows.append(("second_start", "kiln, whole process", statistics.median(whole)))
        if numba_peer.VERSION:
            script = str(pathlib.Path(__file__).parent / "peers" / "numba_cached.py")
            env = dict(os.environ, NUMBA_CACHE_DIR=folder + "/numba")
            command = [sys.executable, script]
            subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
            calls = [float(subprocess.run(command, check=True, env=env, capture_output=True, text=True).stdout)
                     for _ in range(2 * rounds)]
            rows.append(("second_start", "numba cache=True, 20 first calls", statistics.median(calls)))
    return rows


def session(kiln, rounds):
    """The REPL: from its start to the prompt, and a kernel that is typed, compiled and called."""
    starts, typed = [], []
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, KILN_CACHE_DIR=folder, KILN_HISTORY=folder + "/history", TERM="xterm", NO_COLOR="1")
        subprocess.run([kiln], check=True, env=env, input="1;\n", text=True)  # precompiles the header
        for round in range(2 + 2 * rounds):
            start = time.perf_counter_ns()
            terminal = Terminal([kiln], env)
            terminal.expect("kiln> ")
            starts.append(time.perf_counter_ns() - start)
            terminal.ask("Array x = linspace(0, 1, 1000);")
            for name in ("warm", "k1", "k2", "k3"):
                number = len(typed) + 0.5  # no two kernels are equal
                start = time.perf_counter_ns()
                terminal.ask(f"auto {name} = vectorize([](Value a, Value x) {{ return a * x + {number}; }});")
                terminal.ask(f"{name}(2.0, x)")
                if name != "warm":
                    typed.append(time.perf_counter_ns() - start)
            terminal.ask_to_leave()
    return [("session", "kiln, start to prompt", statistics.median(starts)),
            ("session", "kiln, a kernel typed, compiled, called", statistics.median(typed))]


def text(program, rounds):
    """Kernels from C++ text, from the text to the result, in processes that find nothing compiled."""
    samples = {}
    for _ in range(4 * rounds):
        env = dict(os.environ, KILN_CACHE="off")
        for line in subprocess.run([program], check=True, env=env, capture_output=True, text=True).stdout.splitlines():
            r = json.loads(line)
            samples.setdefault(r["variant"], []).append(r["ns"])
    return [("text", v, statistics.median(ns)) for v, ns in samples.items()]


def run(build, rounds):
    samples = {}
    commands = [[str(build / "latency"), "warm"]] + [[str(build / "latency"), "first", n] for n in FIRST]
    for _ in range(rounds):
        for command in commands:
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for line in said.splitlines():
                r = json.loads(line)
                samples.setdefault((r["workload"], r["variant"]), []).append(r["ns"])
    rows = [(w, v, statistics.median(ns)) for (w, v), ns in samples.items()]
    rows += python_latencies() + start_up(build, rounds) + second_start(build, rounds)
    kiln = build.parent / "bin" / "kiln"
    if (build.parent / "lib" / "libkiln_interpreter.so").exists():
        rows += session(str(kiln), rounds)
    if (build / "text").exists():
        rows += text(str(build / "text"), rounds)
    return [{"workload": w, "variant": v, "ns": ns} for w, v, ns in rows]
