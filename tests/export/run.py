"""Exports kernels, and calls them from C, C++, Fortran and Python.

usage: run.py EXPORTER LIBKILN_RT [--unit host|avx2|avx512] [--flags FLAG...]
"""

import argparse
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

here = Path(__file__).parent
parser = argparse.ArgumentParser()
parser.add_argument("exporter")
parser.add_argument("runtime")
parser.add_argument("--unit", default="")
parser.add_argument("--flags", nargs="*", default=[], help="of the compiler and the linker")
options = parser.parse_args()


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


def symbols(file, *what):
    text = subprocess.run(["nm", "-P", *what, str(file)], check=True, capture_output=True, text=True)
    return {line.split()[0] for line in text.stdout.splitlines() if len(line.split()) > 1}


libraries = [ctypes.CDLL("libc.so.6"), ctypes.CDLL("libm.so.6")]


def check_symbols(name, undefined):
    """Only what is in the C library, in libm, and in the runtime."""
    other = {s for s in undefined
             if not re.match(r"kiln_rt_|_GLOBAL_OFFSET_TABLE_$|pthread_atfork$", s)  # that: static
             and not any(hasattr(library, s) for library in libraries)}
    assert not other, f"{name} needs {other}"


def main(work):
    run(options.exporter, work, *([options.unit] if options.unit else []))
    objects = sorted(work.glob("*.o"))
    assert len(objects) == 14, objects
    assert "kiln_rt_truncate_to_half" in symbols(work / "halves.o", "-u")
    for file in objects:
        check_symbols(file.name, symbols(file, "-u"))
        defined = symbols(file, "-g", "--defined-only")
        assert defined == {file.stem}, f"{file.name} defines {defined}"
    check_symbols("libkiln_rt", symbols(options.runtime, "-u") - symbols(options.runtime, "--defined-only"))
    public = {s for s in symbols(options.runtime, "-g", "--defined-only") if not s.startswith("_ZN4kiln2rt")}
    assert all(s.startswith("kiln_rt_") for s in public), public

    headers = work / "headers.cpp"
    headers.write_text("".join(f'#include "{file.stem}.h"\n' for file in objects))
    strict = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
    run("g++", "-std=c++98", "-Wno-long-long", *strict, "-fsyntax-only", headers)
    # -frounding-math: the test changes how its own divisions would round.
    run("gcc", "-std=gnu99", "-O1", "-frounding-math", *strict, *options.flags, f"-I{work}", here / "main.c",
        *objects, options.runtime, "-lm", "-lpthread", "-o", work / "main")
    run(work / "main", work)
    if shutil.which("gfortran"):
        run("gfortran", "-O1", "-J", work, here / "main.f90", work / "black_scholes.o", work / "heat.o",
            options.runtime, "-lm", "-lpthread", "-o", work / "fortran")
        run(work / "fortran", work)
    else:
        print("skipped: there is no gfortran")
    if not options.flags:  # a sanitizer has to be in the program from its start
        shared = work / "libexported.so"
        run("gcc", "-shared", "-Wl,--no-undefined", *objects, options.runtime, "-lm", "-lpthread", "-o", shared)
        for python in {sys.executable, os.environ.get("KILN_NUMPY_PYTHON", sys.executable)}:
            run(python, here / "call.py", work, shared)


with tempfile.TemporaryDirectory(prefix="kiln-export-") as folder:
    main(Path(folder))
