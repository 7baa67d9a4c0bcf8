"""Batches of source files that are compiled as one (unity.cmake).

usage: unity.py plan PLAN BYTES "|TESTS" FILE...    puts the files into batches, which it writes; prints what to
                                                    compile, as a list of CMake's
       unity.py write PLAN                          writes the batches anew; one that would be what it is stays untouched

Run in the project's folder; files are named from there, so that checkouts share the batches' objects by ccache.
"""

import json
import re
import sys
from pathlib import Path

# What cannot be in a namespace of a test file's own, or would be seen by those behind it.
OUTSIDE = re.compile(r'^ *# *(if|define|include .*\.(def|inc)[>"])|^namespace [\w:]+ \{|^template <> ', re.M)
ANONYMOUS = re.compile(r"^namespace \{$.*?^\}  // namespace$", re.M | re.S)
TYPE = re.compile(r"^(?:template <.*> )?(?:struct|class|enum class|enum|union) (\w+)", re.M)
VALUE = re.compile(r"^(?:\[\[\w+\]\] )?(?![#/} ]|struct|class|enum|union|using|static_assert)[^\n(){}=;\"/]*[ *&](\w+)(?:\[.*\])? ?[({=;]", re.M)
LISTED = re.compile(r"^constexpr [^(]*?;", re.M)  # constexpr int a = 1, b = 2;
USING = re.compile(r"^using (?!namespace)(?:\w+::)*(\w+)[^;]*;", re.M)


def names_of(text):
    """What a file's anonymous namespaces define, and what it gives other names: each with what it is, "" where only one file can
    define it."""
    names = {match[1]: match[0] for match in USING.finditer(text)}
    for part in ANONYMOUS.findall(text):
        for name in [*TYPE.findall(part), *VALUE.findall(part),
                     *(name for line in LISTED.findall(part) for name in re.findall(r"(\w+) =", line))]:
            names[name] = ""
    return names


def are_apart(one, other):
    return all(name not in other or (meaning != "" and other[name] == meaning) for name, meaning in one.items())


def split(files, limit, tests):
    """Batches of the files, and those that stay alone.

    Files of a library that give one name to different things are in different batches; those of tests have namespaces of their own.
    """
    batches, alone = [], []
    for file in files:
        text = Path(file).read_text(encoding="utf-8")
        if tests and (not file.endswith("_test.cpp") or OUTSIDE.search(text)):
            alone.append(file)
            continue
        names = {} if tests else names_of(text)
        for batch in batches:
            if batch["size"] + len(text) <= limit and are_apart(names, batch["names"]):
                break
        else:
            batch = {"size": 0, "names": {}, "files": []}
            batches.append(batch)
        batch["size"] += len(text)
        batch["names"].update(names)
        batch["files"].append(file)
    # The largest first: none is left for the end, when one processor has nothing to do.
    batches.sort(key=lambda batch: -batch["size"])
    return [batch["files"] for batch in batches if len(batch["files"]) > 1], alone + [
        batch["files"][0] for batch in batches if len(batch["files"]) == 1]


def text_of(files, tests):
    if not tests:
        return "".join(f'#include "{file}"\n' for file in files)
    # Headers first: in the namespaces they would be others.
    headers = dict.fromkeys(line for file in files for line in Path(file).read_text(encoding="utf-8").splitlines()
                            if line.startswith("#include "))
    bodies = [f'namespace of_{Path(file).stem} {{\n#include "{file}"\n}}\n' for file in files]
    return "\n".join(headers) + "\n\n" + "".join(bodies)


def write_if_new(path, text):
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def plan(path, limit, kind, files):
    batches, alone = split(files, limit, kind == "TESTS")
    made = {str(path.with_name(f"{path.stem}_{i}.cpp")): batch for i, batch in enumerate(batches)}
    write_if_new(path, json.dumps({"tests": kind == "TESTS", "batches": made}, indent=1))
    write(path)
    print(";".join([*made, *(str(Path(file).resolve()) for file in alone)]), end="")


def write(path):
    known = json.loads(path.read_text(encoding="utf-8"))
    for made, files in known["batches"].items():
        write_if_new(Path(made), text_of(files, known["tests"]))


if __name__ == "__main__":
    if sys.argv[1] == "plan":
        plan(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
    else:
        write(Path(sys.argv[2]))
