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


class Names:
    """What a file's anonymous namespaces define and what it gives other names: in a batch these are there for all of its files."""

    def __init__(self, text=""):
        code = re.sub(r"//.*", "", text)
        parts = ANONYMOUS.findall(text)
        self.words = set(re.findall(r"\b[A-Z]\w+", code))
        self.types = {name for part in parts for name in TYPE.findall(part)}
        self.values = {name for part in parts for name in [
            *VALUE.findall(part), *(name for line in LISTED.findall(part) for name in re.findall(r"(\w+) =", line))]}
        self.using = {match[1]: match[0] for match in USING.finditer(text)}

    def are_apart_from(self, other):
        """Whether no name of one would be another's. The name of a type may be that of another one elsewhere, which files use that
        do not define it."""
        return not (self.types & other.words or other.types & self.words or self.values & other.values
                    or any(other.using.get(name, what) != what for name, what in self.using.items()))

    def add(self, other):
        self.words |= other.words
        self.types |= other.types
        self.values |= other.values
        self.using |= other.using


def split(files, limit, tests):
    """Batches of the files, and those that stay alone.

    Test files have namespaces of their own, in which they open others: these have to be the same, since their headers are read
    for all.
    """
    batches, alone = [], []
    for file in files:
        text = Path(file).read_text(encoding="utf-8")
        if tests and (not file.endswith("_test.cpp") or OUTSIDE.search(text)):
            alone.append(file)
            continue
        names = Names() if tests else Names(text)
        opened = set(re.findall(r"^using namespace (?!kiln::test;).*;", text, re.M)) if tests else set()
        for batch in batches:
            if batch["size"] + len(text) <= limit and batch["opened"] == opened and names.are_apart_from(batch["names"]):
                break
        else:
            batch = {"size": 0, "opened": opened, "names": Names(), "files": []}
            batches.append(batch)
        batch["size"] += len(text)
        batch["names"].add(names)
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
