#!/usr/bin/env python3
"""Switches over kiln's enumerations name all of their values: who adds one is told where it matters.

usage: switches.py ROOT [--self-test]

A `default:` beside labels of an enumeration that is declared in the tree is refused. Labels without a name in front of them
count as those of the enumerations that `using enum` names in the file. Enumerations of others (Clang's, LLVM's) are theirs,
and those of OPEN are tables whose rows are meant to be added without touching who asks for a few of them.
"""

import re
import sys
import tempfile
from pathlib import Path

FOLDERS = ["runtime", "dsl", "codegen", "jit", "samples", "tests"]
SOURCES = {".h", ".cpp", ".inc"}
# Op: operations. A function is one row of ops.def; passes and emitters treat the few that they know, and what they
# give for all others is right for any operation (not foldable, call the library's function, cost of a call).
OPEN = {"Op"}

TEXTS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
DECLARED = re.compile(r"\benum\s+(?:class\s+|struct\s+)?(\w+)")
USED = re.compile(r"\busing\s+enum\s+([\w:]+)")
LABEL = re.compile(r"\bcase\s+([A-Za-z_][\w:]*)\s*(?<!:):(?!:)|\b(default)\s*:(?!:)")
SWITCH = re.compile(r"\bswitch\s*\(")


def without_texts(source):
    """Comments and literals as blanks, lines kept."""
    return TEXTS.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), source)


def end_of(source, begin, opening, closing):
    """Behind the bracket that closes the one at `begin`."""
    depth = 0
    for at in range(begin, len(source)):
        depth += (source[at] == opening) - (source[at] == closing)
        if depth == 0:
            return at + 1
    return len(source)


def switches(source):
    """(place, text of its body) of each switch, those inside blanked out of the ones around."""
    for match in SWITCH.finditer(source):
        behind = end_of(source, match.end() - 1, "(", ")")
        begin = source.find("{", behind)
        if begin < 0:
            continue
        body = source[begin + 1:end_of(source, begin, "{", "}") - 1]
        own = body
        for inner in SWITCH.finditer(body):
            first = body.find("{", end_of(body, inner.end() - 1, "(", ")"))
            if first >= 0:
                last = end_of(body, first, "{", "}")
                own = own[:first] + re.sub(r"[^\n]", " ", body[first:last]) + own[last:]
        yield begin + 1, own


def check(root):
    sources = {path.relative_to(root): without_texts(path.read_text(encoding="utf-8"))
               for folder in FOLDERS for path in sorted((root / folder).rglob("*"))
               if path.suffix in SOURCES and path.is_file()}
    ours = {name for source in sources.values() for name in DECLARED.findall(source)}
    bad, seen = [], 0
    for name, source in sources.items():
        used = {enum.split("::")[-1] for enum in USED.findall(source)}
        for begin, body in switches(source):
            labels = list(LABEL.finditer(body))
            of = set()
            for label in labels:
                if label[1] and "::" in label[1]:
                    of.add(label[1].split("::")[-2])
                elif label[1]:
                    of |= used
            of &= ours
            seen += bool(of)
            for label in labels:
                if label[2] and of - OPEN:
                    line = source.count("\n", 0, begin + label.start()) + 1
                    bad.append(f"{name}:{line}: a default in a switch over {', '.join(sorted(of))}: "
                               "name all values, or let a table or ir::dispatch decide")
    return bad, seen


GOOD = """
enum class Kind : int { a, b };
enum Op { add };
int f(Kind k) { switch (k) { case Kind::a: return 1; case Kind::b: return 2; } return 0; }  // default:
int g(Op op) { switch (op) { case Op::add: return 1; default: return 2; } }
int h(int n) { switch (n) { case 1: return 1; case limit: return 2; default: return 3; } }
int i(clang::Type t) { switch (t.of({})) { case clang::Type::a: return 1; default: return 3; } }
int j(Kind k, int n) {
    switch (k) {
        case Kind::a: switch (n) { case 0: return 1; default: return "}"[0]; }
        case Kind::b: return '"';
    }
}
"""
BAD = """
int f(ir::Kind k) { switch (k) { case ir::Kind::a: return 1; default: return 2; } }
int g(Kind k) { switch (k) {
    default: return 2;
#define ROW(id) case Kind::id: return 3;
} }
int h(int n, Kind k) { switch (n) { case 1: switch (k) { case Kind::a: default: return 1; } default: return 2; } }
"""
BAD_USED = "int f(ir::Kind k) { using enum ir::Kind; switch (k) { case a: return 1; default: return 2; } }\n"


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "dsl").mkdir()
        (root / "dsl" / "good.h").write_text(GOOD)
        wrong = [f"refused, but fine: {line}" for line in check(root)[0]]
        (root / "dsl" / "bad.cpp").write_text(BAD)
        (root / "dsl" / "used.cpp").write_text(BAD_USED)
        bad = check(root)[0]
    lines = [line.split(": ")[0] for line in bad]
    expected = ["dsl/bad.cpp:2", "dsl/bad.cpp:4", "dsl/bad.cpp:7", "dsl/used.cpp:1"]
    return wrong + ([] if lines == expected else [f"{expected} expected, found: {bad}"])


def main():
    if "--self-test" in sys.argv[2:]:
        bad, seen = self_test(), 0
    else:
        bad, seen = check(Path(sys.argv[1]).resolve())
    print("\n".join(bad))
    print(f"{seen} switches over enumerations, {len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
