#!/usr/bin/env python3
"""What limits the kernels of the GPU targets, before any device sees them.

usage: limits.py TEXTS [--arch sm_90] [--ptxas FILE]

TEXTS is the program texts.cpp; its PTX is counted and compiled by ptxas. A row a function: the bytes that
the kernel has to move for an element, and in all at the size of its target, each array once; loads and
stores of global memory that its text has, those of 16 bytes, registers, spills, shared memory, and the
share of a multiprocessor's 2,048 threads that blocks of 256 can fill.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# Bytes of an element: of arrays that are read, and of those that are written; and elements of the target.
TO_MOVE = {
    "G1 triad f64": (2 * 8, 8, 2**28),
    "G2 twelve operations f32": (2 * 4, 4, 2**28),
    "G3 Black-Scholes f32": (3 * 4, 2 * 4, 2**27),
    "G3 Black-Scholes f64": (3 * 8, 2 * 8, 2**27),
    "G4 sum f32": (4, 0, 2**30),
    "G4 argmax f32": (4, 0, 2**30),
    "G4 sum over axis 0 f32": (4, 0, 2**30),
    "G4 sum over axis 1 f32": (4, 0, 2**30),
    "G5 heat f32": (4, 4, 768**3),
    "G6 mandelbrot f32": (0, 4, 8192**2),
    "G6 mandelbrot f64": (0, 4, 8192**2),
    "G7 gravity f32": (4 * 4, 3 * 4, 2**17),
    "G8 axpy f32": (2 * 4, 4, 1024),
}

THREADS, REGISTERS, SHARED, MOST = 256, 65536, 227 * 1024, 2048


def functions(ptx):
    """(name, body) of each kernel."""
    heads = list(re.finditer(r"\.visible \.entry (\w+)\(", ptx))
    for k, head in enumerate(heads):
        end = heads[k + 1].start() if k + 1 < len(heads) else len(ptx)
        yield head.group(1), ptx[head.start():end]


def occupancy(registers, shared):
    of_warp = (registers * 32 + 255) // 256 * 256
    blocks = min(MOST // THREADS, REGISTERS // (of_warp * THREADS // 32) if registers else 99,
                 SHARED // shared if shared else 99)
    return blocks * THREADS / MOST


def to_move(kernel):
    """Two cells: "16 + 8" bytes an element, "6.44 GB" in all."""
    read, written, elements = TO_MOVE[kernel]
    total = (read + written) * elements
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if total >= size:
            return f"{read} + {written} | {total / size:.3g} {unit}"
    return f"{read} + {written} | {total} B"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts")
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--ptxas", default="ptxas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([options.texts, folder], text=True, stderr=subprocess.PIPE,
                              env=dict(os.environ, KILN_CUDA_ARCH=options.arch))
        if done.returncode != 0:
            sys.exit(f"skipped: {done.stderr.strip()}")
        print("| kernel | function | bytes read + written an element | to be moved | loads | stores | of 16 bytes |"
              " registers | spills | shared | occupancy |")
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for path in sorted(pathlib.Path(folder).glob("*.ptx")):
            said = subprocess.run([options.ptxas, "-v", f"-arch={options.arch}", str(path), "-o", "/dev/null"],
                                  text=True, stderr=subprocess.PIPE, check=True).stderr
            for name, body in functions(path.read_text()):
                about = said.split(f"'{name}'", 1)[1]
                number = lambda pattern: int((re.search(pattern, about) or [0, 0])[1])
                registers, shared = number(r"Used (\d+) registers"), number(r"(\d+) bytes smem")
                loads, stores = (len(re.findall(rf"\b{op}\.(?:relaxed\.\w+\.|volatile\.)?global", body))
                                 for op in ("ld", "st"))
                wide = len(re.findall(r"\b(?:ld|st)\.global\S*\.v(?:4\.[fbu]32|2\.[fbu]64)", body))
                spills = number(r"(\d+) bytes spill stores")
                print(f"| {path.stem} | {name} | {to_move(path.stem)} | {loads} | {stores} | {wide} | {registers} | {spills} | {shared} |"
                      f" {100 * occupancy(registers, shared):.0f} % |")


if __name__ == "__main__":
    main()
