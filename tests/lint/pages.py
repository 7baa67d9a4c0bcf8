#!/usr/bin/env python3
"""What the pages of samples/pages show stands in their programs, which tests build and run.

usage: pages.py ROOT [--self-test]

Each piece of C++ of PAGE.md is lines of PAGE.cpp that follow each other, indented in any way; comments on lines of their own that
begin a piece are the page's. The rows of different.md are numbered as the checks of different.cpp; those of errors.md are the errors
of errors.cpp.
"""

import re
import sys
from pathlib import Path


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def check_page(name, page, program):
    have = "\n".join(lines_of(program)) + "\n"
    bad = []
    for match in re.finditer(r"^```cpp\n(.*?)^```$", page, re.M | re.S):
        piece = lines_of(match[1])
        while piece and piece[0].startswith("//"):
            piece.pop(0)
        if not piece or "\n".join(piece) + "\n" not in have:
            line = page.count("\n", 0, match.start()) + 2
            bad.append(f"{name}.md:{line}: these lines do not stand in {name}.cpp")
    if name == "different":
        rows = re.findall(r"^\| (\d+) \|", page, re.M)
        checks = re.findall(r"\"(\d+)\"\);", program)
        if rows != checks or rows != [str(n + 1) for n in range(len(rows))]:
            bad.append(f"{name}.md: its rows are {rows}, the checks of {name}.cpp {checks}")
    if name == "errors":
        rows = [(kind, text) for text, kind in re.findall(r"^\| `([^`]+)` \| (\w+) \|", page, re.M)]
        checks = re.findall(r"gives\(\s*\"(\w+)\",\s*\"([^\"]+)\"", program)
        if rows != checks or not rows:
            bad.append(f"{name}.md: its rows are not the errors of {name}.cpp: {sorted(set(rows) ^ set(checks))}")
    return bad


def check(root):
    folder = root / "samples/pages"
    bad = []
    pages = [p for p in sorted(folder.glob("*.md")) if p.name != "README.md"]
    for path in pages:
        program = path.with_suffix(".cpp")
        if "```cpp" in path.read_text(encoding="utf-8") and not program.exists():
            bad.append(f"{path.name}: there is no {program.name}")
        elif program.exists():
            bad += check_page(path.stem, path.read_text(encoding="utf-8"), program.read_text(encoding="utf-8"))
        if path.name not in (folder / "README.md").read_text(encoding="utf-8"):
            bad.append(f"{path.name}: README.md does not name it")
    if not pages:
        bad.append("no pages found")
    return bad


def self_test():
    page = "x\n```cpp\n// theirs: f\nf(x);\n    g(x);\n```\n"
    wrong = check_page("p", page, "int main() {\n    f(x);\n      g(x);\n}\n")
    found = check_page("p", page, "int main() {\n    f(x);\n    h();\n    g(x);\n}\n")
    found += check_page("different", "| 1 | a |\n| 2 | b |\n", 'check(a, "1");\ncheck(b, "3");\n')
    found += check_page("errors", "| `a b` | shape | x |\n", 'gives("type",\n      "a b", [] {});\n')
    return wrong + ([] if len(found) == 3 else [f"3 faults expected, found {found}"])


def main():
    bad = self_test() if "--self-test" in sys.argv[2:] else check(Path(sys.argv[1]))
    print("\n".join(bad))
    print(f"{len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
