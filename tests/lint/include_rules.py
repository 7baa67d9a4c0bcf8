#!/usr/bin/env python3
"""The include rules of kiln, and a test of the test.

usage: include_rules.py ROOT              check the tree under ROOT
       include_rules.py ROOT --self-test  check that violations are found and good lines pass

The arrows are runtime <- dsl <- codegen <- jit: a folder includes itself and what lies left of it.
Within a folder the rooms of INNER have an order too. Third-party headers stay in the few files named below, because they cost seconds per file.
"""

import re
import sys
from pathlib import Path

ORDER = ["runtime", "dsl", "codegen", "jit"]
SOURCES = {".h", ".cpp", ".def", ".inc"}

# The rooms of a folder, and the others that each may include. A room that is not named here is not there.
INNER = {
    "dsl": {
        "include": [],
        "ir": ["include"],
        "trace": ["include", "ir"],
        "text": ["include", "ir", "trace"],
    },
    "codegen": {
        "math": [],
        "exported": [],
        "analysis": ["math"],
        "lanes": ["math", "analysis"],
        "passes": ["math", "analysis", "lanes"],
        "llvm": ["math", "exported", "analysis", "lanes"],
        "cuda": ["math", "analysis", "lanes"],
    },
    "jit": {
        "include": [],
        "call": ["include"],
        "compile": ["include", "call"],
        "cpu": ["include", "compile"],
        "device": ["compile"],
        "cuda": ["compile", "device"],
        "sim": ["compile", "device"],
        "rt": [],
        "reduce": ["include", "call", "compile"],
        "ufunc": ["include", "call", "compile", "reduce"],
        "arrays": ["include", "call", "compile", "reduce"],
        "loops": ["include", "call", "compile"],
        "python": ["include"],
        "session": ["include", "compile"],
        "text": ["include", "session"],
        "tool": ["include", "call", "compile", "session", "text"],
    },
}

# The same for the folders of a room; files of the room itself may include all of them.
CORNERS = {
    "codegen/llvm": {
        "ops": [],
        "lanes": ["ops"],
        "program": ["ops", "lanes"],
        "transforms": [],
    },
}

# A third-party header (regular expression on the name) and the files that may include it.
ROOMS = [
    (r"clang(-c)?/", r"dsl/text/.*\.(cpp|h)"),
    (r"llvm(-c)?/", r"codegen/llvm/.*\.(cpp|h)|jit/cpu/.*\.(cpp|h)|dsl/text/.*\.cpp|jit/sim/(compiler|watch_pass)\.(cpp|h)"),
    (r"(tbb|oneapi)/", r"runtime/(parallel|sort)\.cpp"),
    (r"(cuda\w*|nvrtc|cudaTypedefs)\.h$|cuda/", r"runtime/device/.*\.cpp|jit/cuda/.*\.cpp"),
    (r"sleef\w*\.h$", r"codegen/llvm/.*\.cpp|jit/cpu/.*\.cpp"),
    (r"fmt/", r"(runtime|dsl|codegen|jit)/.*\.cpp|codegen/cuda/kernel_text\.h"),
    (r"nanobind/", r"jit/python/.*\.cpp"),
    (r"png\.h$", r"(?!)"),
]
# Headers of the operating system and the compiler: not in public headers.
SYSTEM = r"(sys|linux|bits|sanitizer|immintrin|x86intrin|dlfcn|unistd|fcntl|pthread|sched|signal|elf|link|cpuid|cxxabi)\b"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
STD = re.compile(r"^[a-z_0-9]+$")  # <vector>, <cstdint>: no slash, no .h


def public_name(path):
    """kiln/x.h for MODULE/include/kiln/x.h, else None."""
    parts = path.split("/")
    if len(parts) >= 4 and parts[1] == "include" and parts[2] == "kiln":
        return "/".join(parts[2:])
    return None


def owners(paths):
    return {public_name(p): p.split("/")[0] for p in paths if public_name(p)}


def may_see(module, target):
    return ORDER.index(target) <= ORDER.index(module)


def room_of(path):
    """The folder below the module, or None for a file that lies in none."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else None


def check_rooms(path, target):
    """The order of the rooms within one module; None where `path` may include the file `target`."""
    module = path.split("/")[0]
    rooms = INNER.get(module)
    if rooms is None or target.split("/")[0] != module:
        return None
    mine, theirs = room_of(path), room_of(target)
    if mine not in rooms:
        return f"{mine or module + '/ itself'} is not among the rooms of {module}"
    if theirs not in (mine, None) and theirs not in rooms[mine]:
        return f"{module}/{mine} may not include {module}/{theirs}"
    return check_corners(path, target)


def check_corners(path, target):
    """The order of the folders within one room; None where `path` may include the file `target`."""
    room = "/".join(path.split("/")[:2])
    corners = CORNERS.get(room)
    if corners is None or not target.startswith(room + "/"):
        return None
    mine, theirs = (p.split("/")[2] if p.count("/") > 2 else None for p in (path, target))
    if None in (mine, theirs) or mine == theirs:
        return None
    if mine not in corners:
        return f"{mine} is not among the folders of {room}"
    if theirs not in corners[mine]:
        return f"{room}/{mine} may not include {room}/{theirs}"
    return None


# Standard headers that every user's compile would pay for (README: what a file with one kernel takes), and the public ones that
# <kiln/kiln.h> does not reach and which need them.
HEAVY = {"algorithm", "atomic", "chrono", "cmath", "complex", "filesystem", "fstream", "functional", "iostream", "istream", "map",
         "memory", "mutex", "ostream", "random", "regex", "set", "sstream", "thread", "unordered_map", "unordered_set"}
MAY_BE_HEAVY = {"kiln/complex.h", "kiln/interactive.h", "kiln/named.h", "kiln/native.h", "kiln/observe.h"}


def check_public(own_name, name, bracket):
    if name in HEAVY and own_name not in MAY_BE_HEAVY:
        return f"public headers do without <{name}>, which costs each user's compile: see HEAVY"
    if bracket == "<" and (STD.match(name) or name.startswith("kiln/")):
        return None
    return "a public header includes std and <kiln/...> headers only"


def check_sample(path, name, bracket, exists):
    if bracket == "<" and (STD.match(name) or name.startswith("kiln/") or name == "png.h"):
        return None
    if bracket == '"' and exists(path.rsplit("/", 1)[0] + "/" + name):
        return None
    return "samples include <kiln/...>, std and <png.h> only"


def check_module(path, name, owner, exists):
    """The rules for the four modules; None where the include is allowed."""
    module = path.split("/")[0]
    if name.startswith("kiln/"):
        if name not in owner:
            return "there is no such public header"
        if not may_see(module, owner[name]):
            return f"{module} may not include {owner[name]}'s headers"
        return check_rooms(path, f"{owner[name]}/include/{name}")
    head = name.split("/")[0]
    if head in ORDER:
        if not exists(name):
            return "there is no such file"
        if not may_see(module, head):
            return f"{module} may not include {head}"
        if module != head and head == "runtime" and module != "jit":
            return f"{module} may include runtime's public headers only"
        if module == "codegen" and head == "dsl" and not name.startswith("dsl/ir/"):
            return "codegen may include dsl/ir and runtime's public headers only"
        return check_rooms(path, name)
    if head in ("tests", "samples"):
        return f"{module} may not include {head}"
    for pattern, allowed in ROOMS:
        if re.match(pattern, name):
            if re.fullmatch(allowed, path):
                return None
            return "a third-party header outside of the files that may include it"
    if STD.match(name) or re.match(SYSTEM, name):
        return None
    return "an unknown header: write internal includes from the repository root"


def check_line(path, line, owner, exists):
    """The complaint about one line of one file, or None."""
    match = INCLUDE.match(line)
    if not match:
        return None
    bracket, name = match.groups()
    if path.startswith("samples/") or path.startswith("tests/install/"):
        return check_sample(path, name, bracket, exists)
    if path.startswith("tests/"):
        return None
    if public_name(path):
        complaint = check_public(public_name(path), name, bracket)
        if complaint:
            return complaint
    return check_module(path, name, owner, exists)


def sources(root):
    for top in ORDER + ["samples", "tests"]:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCES and path.is_file():
                yield path.relative_to(root).as_posix()


def check_tree(root):
    paths = list(sources(root))
    owner = owners(paths)
    bad = []
    for path in paths:
        text = (root / path).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            complaint = check_line(path, line, owner, lambda name: (root / name).is_file())
            if complaint:
                bad.append(f"{path}:{number}: {complaint}: {line.strip()}")
        if path.startswith("tests/") and path.endswith(".cpp") and not path.endswith("_test.cpp"):
            if re.search(r"^(TEMPLATE_(LIST_)?)?TEST_CASE", text, re.M):
                bad.append(f"{path}: a file with TEST_CASE must be named *_test.cpp, or ctest skips it")
        if path.endswith(".h") and "#pragma once" not in text:
            bad.append(f"{path}: no #pragma once")
    if not paths:
        bad.append("no sources found")
    return bad, len(paths)


GOOD = [
    ("runtime/array.cpp", "#include <kiln/array.h>"),
    ("runtime/array.cpp", "#include <vector>"),
    ("runtime/parallel.cpp", "#include <tbb/task_arena.h>"),
    ("runtime/sort.cpp", "#include <tbb/parallel_sort.h>"),
    ("runtime/parallel.cpp", "#include <oneapi/tbb/task_arena.h>"),
    ("runtime/io.cpp", "#include <sys/mman.h>"),
    ("dsl/ir/ir.cpp", "#include <fmt/format.h>"),
    ("dsl/ir/ir.h", "#include <kiln/array.h>"),
    ("codegen/llvm/emit.cpp", "#include <llvm/IR/IRBuilder.h>"),
    ("codegen/llvm/emit.cpp", '#include "dsl/ir/ir.h"'),
    ("codegen/llvm/emit.cpp", '#include "codegen/lanes/facts.h"'),
    ("codegen/llvm/emit.cpp", '#include "codegen/llvm/lanes/lane_emitter.h"'),
    ("codegen/llvm/lanes/emit.cpp", '#include "codegen/llvm/emit.h"'),
    ("codegen/llvm/program/programs.cpp", '#include "codegen/llvm/lanes/lane_emitter.h"'),
    ("codegen/passes/pass.h", '#include "codegen/passes.def"'),
    ("codegen/passes/fuse.cpp", '#include "codegen/lanes/facts.h"'),
    ("codegen/lanes/facts.cpp", '#include "codegen/analysis/affine.h"'),
    ("jit/cpu/backend.cpp", "#include <llvm/ExecutionEngine/Orc/LLJIT.h>"),
    ("jit/call/plan.cpp", '#include "runtime/pool.h"'),
    ("dsl/include/kiln/dsl.h", "#include <kiln/array.h>"),
    ("dsl/text/front.cpp", "#include <clang/AST/AST.h>"),
    ("samples/a.cpp", "#include <png.h>"),
    ("samples/a.cpp", "#include <kiln/dsl.h>"),
    ("jit/loops/stencil.cpp", '#include "jit/compile/cache.h"'),
    ("jit/loops/stencil.cpp", '#include "jit/loops/schedule.h"'),
    ("jit/cuda/backend.cpp", "#include <nvrtc.h>"),
    ("runtime/device/driver.cpp", "#include <cuda.h>"),
    ("dsl/trace/trace.cpp", '#include "dsl/ir/ir.h"'),
    ("tests/jit/x_test.cpp", '#include "jit/call/plan.h"'),
]
BAD = [
    ("runtime/array.cpp", "#include <kiln/dsl.h>"),
    ("runtime/array.cpp", '#include "dsl/ir/ir.h"'),
    ("runtime/array.cpp", "#include <tbb/parallel_for.h>"),
    ("runtime/parallel.h", "#include <oneapi/tbb/parallel_for.h>"),
    ("dsl/ir/ir.cpp", '#include "codegen/llvm/emit.h"'),
    ("dsl/ir/ir.cpp", '#include "runtime/pool.h"'),
    ("dsl/ir/ir.cpp", "#include <clang/AST/AST.h>"),
    ("codegen/passes/cse.cpp", "#include <llvm/IR/IRBuilder.h>"),
    ("codegen/passes/cse.cpp", '#include "jit/loops/schedule.h"'),
    ("codegen/passes/cse.cpp", '#include "codegen/llvm/emit.h"'),
    ("codegen/cuda/emit.cpp", '#include "codegen/llvm/emit.h"'),
    ("codegen/llvm/ops/ops.cpp", '#include "codegen/llvm/lanes/lane_emitter.h"'),
    ("codegen/llvm/transforms/x.cpp", '#include "codegen/llvm/lanes/lane_emitter.h"'),
    ("codegen/lanes/facts.cpp", '#include "codegen/passes/pass.h"'),
    ("codegen/analysis/affine.cpp", '#include "codegen/lanes/facts.h"'),
    ("codegen/passes/cse.cpp", "#include <kiln/dsl.h>x".replace("dsl.h>x", "missing.h>")),
    ("jit/loops/stencil.cpp", "#include <llvm-c/Core.h>"),
    ("jit/loops/stencil.cpp", "#  include <nvrtc.h>"),
    ("jit/loops/stencil.cpp", "#include <cuda.h>"),
    ("runtime/memory.cpp", "#include <cuda.h>"),
    ("jit/loops/stencil.cpp", '#include "engine.h"'),
    ("jit/loops/stencil.cpp", '#include "tests/catch.h"'),
    ("dsl/include/kiln/dsl.h", '#include "dsl/ir/ir.h"'),
    ("dsl/include/kiln/dsl.h", "#include <fmt/format.h>"),
    ("runtime/include/kiln/array.h", "#include <sys/mman.h>"),
    ("runtime/include/kiln/array.h", "#include <memory>"),
    ("jit/compile/cache.cpp", '#include "jit/loops/schedule.h"'),
    ("jit/cpu/backend.cpp", '#include "jit/call/plan.h"'),
    ("jit/plan.cpp", '#include "jit/call/plan.h"'),
    ("jit/call/plan.cpp", '#include "jit/compile/cache.h"'),
    ("jit/reduce/reduce.cpp", '#include "jit/ufunc/ufunc.h"'),
    ("dsl/ir/ir.cpp", '#include "dsl/trace/trace.h"'),
    ("samples/a.cpp", '#include "jit/loops/schedule.h"'),
    ("samples/a.cpp", "#include <tbb/parallel_for.h>"),
]


def self_test():
    files = {"runtime/include/kiln/array.h", "dsl/include/kiln/dsl.h", "dsl/ir/ir.h", "dsl/trace/trace.h",
             "jit/loops/schedule.h", "jit/ufunc/ufunc.h", "jit/call/plan.h", "jit/compile/cache.h",
             "codegen/llvm/emit.h", "codegen/llvm/lanes/lane_emitter.h",
             "codegen/passes/pass.h", "codegen/passes.def", "codegen/lanes/facts.h", "codegen/analysis/affine.h",
             "runtime/pool.h"}
    owner = owners(files)
    wrong = []
    for path, line in GOOD:
        complaint = check_line(path, line, owner, files.__contains__)
        if complaint:
            wrong.append(f"refused, but allowed: {path}: {line} ({complaint})")
    for path, line in BAD:
        if not check_line(path, line, owner, files.__contains__):
            wrong.append(f"allowed, but forbidden: {path}: {line}")
    return wrong, len(GOOD) + len(BAD)


def main():
    root = Path(sys.argv[1])
    bad, count = self_test() if "--self-test" in sys.argv[2:] else check_tree(root)
    print("\n".join(bad))
    print(f"{count} checked, {len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
