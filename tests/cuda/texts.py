#!/usr/bin/env python3
"""CUDA texts that the simulator has run, compiled by NVRTC: what runs there is what devices get.

    texts.py --new FOLDER
    texts.py FOLDER [--resources] ARCHITECTURE...

FOLDER has the texts of runs with KILN_SIM_TEXTS=FOLDER; --new makes it, with none. Each is compiled to PTX for each
architecture (sm_90); with --resources also by the assembler, and the functions whose registers do not fit are listed.
"""
import concurrent.futures
import ctypes
import os
import pathlib
import re
import shutil
import sys


def open_nvrtc():
    """None where there is none. Looks where jit/cuda/nvrtc.cpp does."""
    named = os.environ.get("KILN_LIBNVRTC")
    roots = [os.environ[v] for v in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(v)]
    folders = ["", *(f"{root}/{sub}/" for root in roots for sub in ("lib64", "lib")), "/usr/local/cuda/lib64/"]
    for folder in [None] if named else folders:
        for version in (".13", ".12", ""):
            try:
                if folder:
                    for builtins in pathlib.Path(folder).glob("libnvrtc-builtins.so.1?.*"):
                        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
                return ctypes.CDLL(named or f"{folder}libnvrtc.so{version}")
            except OSError:
                continue
    return None


class Program:
    """A text that NVRTC compiles; `log` is what it says."""

    def __init__(self, nvrtc, path, options):
        handle = ctypes.c_void_p()
        name, text = path.name.encode(), path.read_bytes()
        if nvrtc.nvrtcCreateProgram(ctypes.byref(handle), text, name, 0, None, None) != 0:
            raise RuntimeError(f"{path}: no program")
        words = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        self.is_compiled = nvrtc.nvrtcCompileProgram(handle, len(options), words) == 0
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(handle, log)
        self.log = log.value.decode(errors="replace")
        nvrtc.nvrtcDestroyProgram(ctypes.byref(handle))


def spills(log):
    """(function, registers, bytes of stores, bytes of loads) where registers do not fit."""
    for entry in log.split("Compiling entry function '")[1:]:
        stored, loaded = (int(re.search(rf"(\d+) bytes spill {op}", entry)[1]) for op in ("stores", "loads"))
        if stored + loaded != 0:
            yield entry.split("'")[0], int(re.search(r"Used (\d+) registers", entry)[1]), stored, loaded


def main():
    if sys.argv[1] == "--new":
        shutil.rmtree(sys.argv[2], ignore_errors=True)
        os.makedirs(sys.argv[2])
        return 0
    words = [w for w in sys.argv[1:] if w != "--resources"]
    resources = len(words) + 1 < len(sys.argv)
    folder, architectures = pathlib.Path(words[0]), words[1:]
    nvrtc = open_nvrtc()
    if nvrtc is None:
        print("skipped: NVRTC was not found")
        return 0
    texts = sorted(folder.glob("*.cu"))
    if not texts or not architectures:
        print(f"{folder}: {len(texts)} texts, {len(architectures)} architectures")
        return 1

    def compiled(job):
        path, architecture = job
        options = ["--std=c++17", "--fmad=false"]
        options += [f"-arch={architecture}", "--ptxas-options=-v"] if resources else \
            [f"-arch=compute_{architecture[3:]}"]
        return path, architecture, Program(nvrtc, path, options)

    jobs = [(path, architecture) for path in texts for architecture in architectures]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, architecture, program in pool.map(compiled, jobs):
            kernel = path.open(encoding="utf-8").readline().strip("/ \n")
            if not program.is_compiled:
                failed += 1
                print(f"{kernel} ({path}) on {architecture}:\n{program.log}")
            elif resources:
                for function, registers, stored, loaded in spills(program.log):
                    print(f"{kernel} on {architecture}: {function} has {registers} registers, "
                          f"spills {stored} bytes of stores and {loaded} of loads")
    functions = sum(path.read_text(encoding="utf-8").count("__global__ void") for path in texts)
    print(f"{len(texts)} texts of {functions} functions on {', '.join(architectures)}: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
