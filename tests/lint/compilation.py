#!/usr/bin/env python3
"""Compiler runs without output: public headers on their own, and snippets that must not compile.

usage: compilation.py headers ROOT -- COMPILER FLAGS...
       compilation.py snippets ROOT -- COMPILER FLAGS...
       compilation.py self-test ROOT -- COMPILER FLAGS...

A snippet of tests/compile_fail compiles as it stands, and fails with -DKILN_FAIL. It says with
`// expect: TEXT` (any number of times) what the compiler must then write; `// expect-gcc: TEXT` and
`// expect-clang: TEXT` hold for one compiler only. The compiler must point at a line of the
`#ifdef KILN_FAIL` part, so that users are sent to their own line.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MODULES = ["runtime", "dsl", "jit"]
SNIPPET_HEADERS = ["kiln/kiln.h", "kiln/dsl.h"]
# Public headers that many others include, the most expensive ones first.
READ_ONCE = {"kiln/kernels_and_arrays": ["kiln/array.h", "kiln/kernel.h"], "kiln/arrays": ["kiln/array.h"], "kiln/values": ["kiln/dsl.h"],
             "kiln/errors": ["kiln/error.h"]}


def including(headers):
    return "".join(f"#include <{header}>\n" for header in headers)


def compile_file(command, path, *extra):
    """(did it compile, the compiler's words)"""
    run = subprocess.run([*command, *extra, "-fsyntax-only", "-x", "c++", str(path)],
                         capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return run.returncode == 0, run.stdout + run.stderr


def is_clang(command):
    version = subprocess.run([command[0], "--version"], capture_output=True, text=True)
    return "clang" in version.stdout


def check_header(command, path, read=None):
    # Included from another file, since #pragma once in a main file is a warning of its own.
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as source:
        if read:
            source.write(f"#include <{read}>\n")
        source.write(f'#include "{path}"\n#include "{path}"\n')
        source.flush()
        good, words = compile_file(command, source.name, "-Wall", "-Wextra", "-Werror")
    return None if good else f"{path} does not compile on its own:\n{words}"


def with_read_headers(command, folder, texts):
    """command, with headers of these names and texts read once: g++ takes them from a folder where each has
    its precompiled form."""
    Path(folder, "kiln").mkdir()

    def read(name):
        source = Path(folder, name + ".cpp")
        source.write_text(texts[name], encoding="utf-8")
        subprocess.run([*command, "-w", "-x", "c++-header", str(source), "-o", str(Path(folder, name + ".gch"))],
                       check=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(read, texts))
    return [command[0], f"-I{folder}", *command[1:]]


def includes_of(root):
    """The public headers, "kiln/array.h", that each of them includes, and these include."""
    direct = {}
    for module in MODULES:
        folder = root / module / "include"
        for path in folder.rglob("*.h"):
            direct[str(path.relative_to(folder))] = re.findall(
                r'^#include [<"](kiln/[^>"]+\.h)[>"]', path.read_text(encoding="utf-8"), re.M)
    reached = {}

    def reach(name):
        if name not in reached:
            reached[name] = set(direct.get(name, ()))
            for other in direct.get(name, ()):
                reached[name] |= reach(other)
        return reached[name]

    return {name: reach(name) for name in direct}


def read_before(path, includes):
    """Which of READ_ONCE may be read before a public header: one of headers that it includes anyway, which are checked on their own,
    too. None where it includes none."""
    of_header = includes["kiln/" + str(path).rpartition("/include/kiln/")[2]]
    return next((name for name, headers in READ_ONCE.items() if of_header.issuperset(headers)), None)


def failing_lines(text):
    """The numbers of the lines between `#ifdef KILN_FAIL` and its `#else` or `#endif`."""
    lines = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*#\s*if(def)?\b.*\bKILN_FAIL\b", line):
            inside = True
        elif re.match(r"\s*#\s*(else|endif)\b", line):
            inside = False
        elif inside:
            lines.append(number)
    return lines


def compile_together(command, paths):
    """Whether snippets compile as they stand, as one file in which each has a namespace of its own."""
    texts = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in paths}
    included = [line for lines in texts.values() for line in lines if line.startswith("#include ")]
    # Those that have a precompiled form stand first.
    headers = dict.fromkeys([*(line for line in including(SNIPPET_HEADERS).splitlines() if line in included), *included])
    bodies = ["\n".join([f"namespace of_{name} {{", *(line for line in lines if line not in headers), "}"])
              for name, lines in texts.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as source:
        source.write("\n".join([*headers, *bodies]))
        source.flush()
        return compile_file(command, source.name)[0]


def check_snippet(command, path, clang, compiles=False):
    """What is wrong with a snippet, or None; `compiles` says that it is known to compile as it stands."""
    text = path.read_text(encoding="utf-8")
    own = "clang" if clang else "gcc"
    expected = re.findall(rf"//\s*expect(?:-{own})?:\s*(.*\S)", text)
    if not re.search(r"//\s*expect(-\w+)?:\s*\S", text):
        return f"{path}: no line `// expect: TEXT`"
    if not re.search(r"^\s*#\s*if(def|ndef)?\b.*\bKILN_FAIL\b", text, re.M):
        return f"{path}: no line `#ifdef KILN_FAIL`"
    if not compiles:
        good, words = compile_file(command, path)
        if not good:
            return f"{path}: must compile without KILN_FAIL:\n{words}"
    good, words = compile_file(command, path, "-DKILN_FAIL")
    if good:
        return f"{path}: compiles with KILN_FAIL, but must not"
    for wanted in expected:
        if wanted not in words:
            return f"{path}: the compiler does not say `{wanted}`:\n{words}"
    if not any(f"{path}:{line}:" in words for line in failing_lines(text)):
        return f"{path}: the compiler does not name the line of the mistake:\n{words}"
    return None


def run_all(what, paths, check):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [complaint for complaint in pool.map(check, paths) if complaint]
    print("\n".join(bad))
    print(f"{len(paths)} {what} checked, {len(bad)} wrong")
    return 1 if bad or not paths else 0


SELF_TEST = {
    "good": ("// expect: kiln says no\n#ifdef KILN_FAIL\n"
             'static_assert(sizeof(int) == 1, "kiln says no");\n#endif\n', True),
    "other_text": ("// expect: kiln says yes\n#ifdef KILN_FAIL\n"
                   'static_assert(sizeof(int) == 1, "kiln says no");\n#endif\n', False),
    "compiles": ("// expect: kiln says no\n#ifdef KILN_FAIL\nint a;\n#endif\n", False),
    "never_compiles": ("// expect: kiln says no\n#ifdef KILN_FAIL\n#endif\n"
                       'static_assert(sizeof(int) == 1, "kiln says no");\n', False),
    "another_line": ("// expect: kiln says no\n#ifdef KILN_FAIL\nconstexpr int size = 1;\n#else\n"
                     "constexpr int size = sizeof(int);\n#endif\n"
                     'static_assert(sizeof(int) == size, "kiln says no");\n', False),
    "no_expectation": ("#ifdef KILN_FAIL\n#error no\n#endif\n", False),
}
HEADERS = {"whole": ("#include <cstddef>\nstd::size_t f();\n", True),
           "needs_another": ("vector<int> f();\n", False),
           "warns": ("static inline int f(int unused) { return 0; }\n", False),
           "no_guard": ("struct Twice {};\n", False)}


def self_test(command):
    clang = is_clang(command)
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, fine) in SELF_TEST.items():
            path = Path(folder) / f"{name}.cpp"
            path.write_text(text)
            if (check_snippet(command, path, clang) is None) != fine:
                bad.append(f"snippet {name}: judged wrongly")
        snippets = [Path(folder) / f"{name}.cpp" for name in ("good", "other_text", "never_compiles")]
        if not compile_together(command, snippets[:2]) or compile_together(command, snippets):
            bad.append("snippets together: judged wrongly")
        for name, (text, fine) in HEADERS.items():
            path = Path(folder) / f"{name}.h"
            path.write_text(text if name == "no_guard" else "#pragma once\n" + text)
            if (check_header(command, path) is None) != fine:
                bad.append(f"header {name}: judged wrongly")
    print("\n".join(bad))
    print(f"{len(SELF_TEST) + len(HEADERS)} checked, {len(bad)} wrong")
    return 1 if bad else 0


def main():
    what, root = sys.argv[1], Path(sys.argv[2]).resolve()
    command = sys.argv[sys.argv.index("--") + 1:]
    if what == "headers":
        paths = [p for m in MODULES for p in sorted((root / m / "include" / "kiln").rglob("*.h"))]
        with tempfile.TemporaryDirectory() as folder:
            if is_clang(command):
                return run_all("public headers", paths, lambda p: check_header(command, p))
            includes = includes_of(root)
            reading = with_read_headers(command, folder, {name: including(headers) for name, headers in READ_ONCE.items()})
            return run_all("public headers", paths, lambda p: check_header(reading, p, read_before(p, includes)))
    if what == "snippets":
        clang = is_clang(command)
        paths = sorted((root / "tests" / "compile_fail").glob("*.cpp"))
        with tempfile.TemporaryDirectory() as folder:
            if not clang:
                command = with_read_headers(command, folder, {name: including([name]) for name in SNIPPET_HEADERS})
            # Where they do not, each is compiled by itself, which says which one it is.
            together = compile_together(command, paths)
            return run_all("snippets", paths, lambda p: check_snippet(command, p, clang, together))
    return self_test(command)


if __name__ == "__main__":
    sys.exit(main())
