#!/usr/bin/env python3
"""Shape of the repository: fixed names at the top level, files of a readable length, names that one thing has, tests of each folder.

usage: layout.py ROOT [--self-test]
"""

import re
import sys
import tempfile
from pathlib import Path

TOP = {"dsl", "jit", "codegen", "runtime", "samples", "tests", "CMakeLists.txt", "README.md",
       "LICENSE", "CHANGELOG.md"}
READMES = ["runtime", "dsl", "codegen", "jit", "samples", "tests"]
MAX_LINES = 800
# What so many things are that a name of this alone tells none apart: one thing at most is called so, but for members.
COMMON = re.compile(r"^(?:class|struct|using|enum class) (Program|Loop|Run|Plan)\b(?!;)", re.M)


def is_ignored(name):
    """What .gitignore names, and dotfiles."""
    return name.startswith((".", "build-")) or name in {"build", "compile_commands.json"}


# Rows of tests/README.md: sources, and the files that test them.
ROW = re.compile(r"^\| (`(?:runtime|dsl|codegen|jit)/?[^|]*) \|([^|]*)\|$", re.M)
TICKED = re.compile(r"`([\w./]+)`")


def check_tests(root):
    """That each folder of sources has one of tests, or a row in tests/README.md, whose files are there."""
    text = (root / "tests" / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Where a file is tested\n")[2].partition("\n## ")[0]
    listed, bad = set(), []
    for sources, tests in ROW.findall(section):
        listed |= set(TICKED.findall(sources))
        bad += [f"tests/README.md: {name} is not there" for name in TICKED.findall(tests)
                if "/" in name and not (root / "tests" / name).exists()]
    for module in ("runtime", "dsl", "codegen", "jit"):
        for folder in sorted({path.parent for path in (root / module).rglob("*.cpp")}):
            name = folder.relative_to(root).as_posix()
            if not any((root / "tests" / name).glob("*_test.cpp")) and name not in listed:
                bad.append(f"{name}: neither tests/{name} nor a row of tests/README.md says where it is tested")
    return bad


def check(root):
    bad = [f"{p.name}: not one of the top level's fixed names" for p in sorted(root.iterdir())
           if p.name not in TOP and not is_ignored(p.name)]
    bad += [f"{name}: missing" for name in sorted(TOP) if not (root / name).exists()]
    bad += [f"{folder}/README.md: missing" for folder in READMES
            if not (root / folder / "README.md").is_file()]
    called = {}
    for folder in READMES:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in {".h", ".cpp"} or not path.is_file():
                continue
            text = path.read_text(encoding="utf-8")
            lines = text.splitlines()
            name = path.relative_to(root)
            for match in COMMON.finditer(text) if folder not in {"samples", "tests"} else ():
                first = called.setdefault(match[1], name)
                if first != name:
                    bad.append(f"{name}: another {match[1]} than that of {first}")
            if len(lines) > MAX_LINES:
                bad.append(f"{name}: {len(lines)} lines, more than {MAX_LINES}")
    return bad + (check_tests(root) if (root / "tests" / "README.md").is_file() else [])


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in TOP:
            (root / name).mkdir() if "." not in name and name != "LICENSE" else (root / name).touch()
        for name in READMES:
            (root / name / "README.md").touch()
        for name in ("jit/a", "jit/b", "tests/jit/a"):
            (root / name).mkdir(parents=True)
        for name in ("jit/a/x.cpp", "jit/b/y.cpp", "tests/jit/a/x_test.cpp"):
            (root / name).touch()
        table = "## Where a file is tested\n| `jit/b` | `jit/a/x_test.cpp` |\n\n## More\n| `jit/c` | |\n"
        (root / "tests" / "README.md").write_text(table)
        good = check(root)
        (root / "jit" / "c").mkdir()
        (root / "jit" / "c" / "z.cpp").touch()
        (root / "tests" / "README.md").write_text(table.replace("x_test.cpp", "no_test.cpp"))
        (root / "extra").mkdir()
        (root / "LICENSE").unlink()
        (root / "jit" / "long.h").write_text("x\n" * (MAX_LINES + 1))
        (root / "jit" / "a.h").write_text("class Run {};\nclass Loop;\n")
        (root / "dsl" / "b.h").write_text("struct Run {};\nclass Loop {};\nclass Runs {};\n")
        bad = check(root)
    wrong = [f"refused, but fine: {line}" for line in good]
    return wrong + ([] if len(bad) == 6 else [f"6 faults expected, found: {bad}"])


def main():
    bad = self_test() if "--self-test" in sys.argv[2:] else check(Path(sys.argv[1]).resolve())
    print("\n".join(bad))
    print(f"{len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
