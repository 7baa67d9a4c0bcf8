#!/usr/bin/env python3
"""Shape of the repository: fixed names at the top level, files of a readable length, names that one thing has.

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
    return bad


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in TOP:
            (root / name).mkdir() if "." not in name and name != "LICENSE" else (root / name).touch()
        for name in READMES:
            (root / name / "README.md").touch()
        good = check(root)
        (root / "extra").mkdir()
        (root / "LICENSE").unlink()
        (root / "jit" / "long.h").write_text("x\n" * (MAX_LINES + 1))
        (root / "jit" / "a.h").write_text("class Run {};\nclass Loop;\n")
        (root / "dsl" / "b.h").write_text("struct Run {};\nclass Loop {};\nclass Runs {};\n")
        bad = check(root)
    wrong = [f"refused, but fine: {line}" for line in good]
    return wrong + ([] if len(bad) == 4 else [f"4 faults expected, found: {bad}"])


def main():
    bad = self_test() if "--self-test" in sys.argv[2:] else check(Path(sys.argv[1]).resolve())
    print("\n".join(bad))
    print(f"{len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
