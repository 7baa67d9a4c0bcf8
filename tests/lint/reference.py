#!/usr/bin/env python3
"""The reference of kiln's public names, made of the headers' docstrings by Doxygen.

usage: reference.py ROOT OUT [--doxygen PROGRAM]   builds OUT/html; warnings and names without a docstring are errors
       reference.py ROOT OUT --self-test

Doxygen reads copies of the headers (OUT/include), in which two habits of kiln's headers are spelled out:
 - a docstring counts for all declarations that follow it, up to a blank line: they become a group, over which
   Doxygen distributes it;
 - names that are stamped from the rows of a table (ops.def, dtype.def ...) have what their row says.
What is a public name: what the headers declare in namespace kiln, and not in one of PRIVATE or as a private member.
Exit status 77: there is no Doxygen.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

MODULES = ["runtime", "dsl", "jit"]
PRIVATE = {"detail", "dsl", "ir", "codegen", "engine", "interactive"}
DOXYFILE = """
PROJECT_NAME = kiln
PROJECT_BRIEF = "A JIT-compiling kernel DSL for C++20"
OUTPUT_DIRECTORY = "{out}"
INPUT = "{out}/include/kiln"
STRIP_FROM_INC_PATH = "{out}/include"
FILE_PATTERNS = *.h
INCLUDE_PATH = "{out}/include"
GENERATE_HTML = YES
GENERATE_LATEX = NO
GENERATE_XML = YES
XML_PROGRAMLISTING = NO
JAVADOC_AUTOBRIEF = YES
DISTRIBUTE_GROUP_DOC = YES
MACRO_EXPANSION = YES
SEARCH_INCLUDES = NO
EXTRACT_ALL = NO
EXTRACT_STATIC = YES
HIDE_UNDOC_MEMBERS = NO
HIDE_FRIEND_COMPOUNDS = YES
SORT_MEMBER_DOCS = NO
SHOW_USED_FILES = NO
EXCLUDE_SYMBOLS = kiln::detail kiln::detail::* kiln::*::detail kiln::*::detail::* kiln::dsl kiln::dsl::* kiln::ir kiln::engine kiln::interactive kiln::interactive::*
MARKDOWN_SUPPORT = NO
AUTOLINK_SUPPORT = NO
QUIET = YES
WARNINGS = YES
WARN_IF_UNDOCUMENTED = NO
WARN_IF_DOC_ERROR = YES
WARN_IF_INCOMPLETE_DOC = NO
WARN_AS_ERROR = FAIL_ON_WARNINGS
WARN_LOGFILE = "{out}/warnings.txt"
HAVE_DOT = NO
GENERATE_TREEVIEW = YES
"""

# ------------------------------------------------------------------------------- names stamped from tables

DEFINE = re.compile(r"^\s*#\s*define\s+(KILN_\w+)(\(([^)]*)\))?\s?(.*)$")
INCLUDE_TABLE = re.compile(r"^\s*#\s*include\s+<kiln/(\w+\.def)>")
ROW = re.compile(r"^(KILN_\w+)\((.*)\)\s*$")


def arguments(text):
    """The arguments of a row, which may hold commas in quotes and parentheses."""
    parts, depth, quoted, current = [], 0, False, ""
    for at, c in enumerate(text):
        if c == '"' and (at == 0 or text[at - 1] != "\\"):
            quoted = not quoted
        depth += 0 if quoted else (c in "([{") - (c in ")]}")
        if c == "," and depth == 0 and not quoted:
            parts.append(current.strip())
            current = ""
        else:
            current += c
    return parts + [current.strip()]


def sentence(quoted):
    text = quoted.strip('"').replace('\\"', '"')
    return (text[:1].upper() if re.match(r"[a-z]{2}", text) else text[:1]) + text[1:] + "."


def row_docs(macro, row):
    """What the row of a table says of its name."""
    if macro == "KILN_DTYPE":
        return f"Elements of {row[4].replace('_', ' ')} numbers of {row[5]} bits: {row[2]}."
    if macro == "KILN_UFUNC_ALIAS":
        return f"Another name of {row[2]}."
    if macro == "KILN_FUNCTION":
        return (sentence(row[8]) + f" Accuracy: {row[6]} ULP, with Fastmath::afn {row[7]}; of complex numbers 4 in each part."
                " Errors: type (dtypes that it is not of).")
    if macro in ("KILN_NAMED", "KILN_COMPOSITE", "KILN_UFUNC", "KILN_OPERATOR"):
        return sentence(row[-1]) + " Errors: type (dtypes that it is not of)."
    return sentence(row[-1])


def expand(macros, text):
    """The text with macros replaced, until there are none."""
    for _ in range(20):
        call = re.search(r"\bKILN_\w+", text)
        while call and call[0] not in macros:
            call = re.compile(r"\bKILN_\w+").search(text, call.end())
        if not call:
            break
        params, body = macros[call[0]]
        end = call.end()
        if params is not None:
            start = text.index("(", call.end()) + 1
            depth, end = 1, start
            while depth:
                token = re.compile(r"\"(?:\\.|[^\"\\])*\"|.", re.S).match(text, end)
                depth += (token[0] == "(") - (token[0] == ")")
                end = token.end()
            values = dict(zip(params, arguments(text[start:end - 1])))
            body = re.sub(r"(#{0,2})\b([a-zA-Z_]\w*)\b",
                          lambda m: m[0] if m[1] == "#" or m[2] not in values else values[m[2]], body)
        text = text[:call.start()] + re.sub(r"\s*##\s*", "", body) + text[end:]
    return text


def stamp(header, tables):
    """The header with what it makes of the rows of the tables, each with its docstring."""
    of_rows = {row[1] for table in tables.values() for row in map(ROW.match, table.split("\n")) if row}
    out, macros, lines = [], {}, iter(header.split("\n"))
    for line in lines:
        table, define = INCLUDE_TABLE.match(line), DEFINE.match(line)
        if define:
            whole, kept = define[4], [line]
            while kept[-1].endswith("\\"):
                kept.append(next(lines))
                whole = whole.rstrip().rstrip("\\").rstrip() + " " + kept[-1].strip()
            params = [p.strip() for p in define[3].split(",")] if define[2] else None
            macros[define[1]] = (params, whole)
            out += [] if define[1] in of_rows else kept
        elif table:
            for row_line in tables[table[1]].split("\n"):
                row = ROW.match(row_line)
                if row and row[1] in macros:
                    out += ["/// " + row_docs(row[1], arguments(row[2])), expand(macros, row_line), ""]
            macros = {name: macro for name, macro in macros.items() if name not in of_rows}
        elif not (line.startswith("#undef") and line.split()[1] in of_rows):
            out.append(line)
    return "\n".join(out)


# ------------------------------------------------------------------------------------ docstrings of groups


def code_of(line):
    """A line without strings and comments."""
    line = re.sub(r"\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])'", '""', line)
    return line.split("//")[0]


def group(header):
    """Docstrings that several declarations follow, as Doxygen's groups of members."""
    lines, out, i = header.split("\n"), [], 0
    while i < len(lines):
        if not lines[i].lstrip().startswith("/// "):
            out.append(lines[i])
            i += 1
            continue
        start = i
        while lines[i].lstrip().startswith("///"):
            i += 1
        docs, body, ends, depth, after = lines[start:i], [], 0, 0, i
        while i < len(lines):
            code = code_of(lines[i])
            if depth == 0 and (not lines[i].strip() or lines[i].lstrip().startswith(("///", "//", "#", "}"))
                               or re.match(r"\s*(public|protected|private):", lines[i])):
                break
            depth += sum(code.count(c) for c in "({[") - sum(code.count(c) for c in ")}]")
            if depth < 0:
                break
            body.append(lines[i])
            if re.match(r"\s*KILN_\w+\(.*\)$", code):
                ends += 2  # a macro stands for several
            elif depth == 0 and code.rstrip().endswith((";", "}", ",")):
                ends += 1
            i += 1
        first = next((line for line in body if not line.lstrip().startswith(("template", "requires"))), "")
        is_type = re.match(r"\s*(class|struct|enum|namespace|concept)\b", first)
        if ends > 1 and not is_type:
            indent = re.match(r"\s*", docs[0])[0]
            out += [indent + "///@{", *docs, *body, indent + "///@}"]
        else:  # of one declaration, which may have more of them inside
            out += docs
            i = after
    return "\n".join(out)


def escaped(text):
    """Doxygen's own characters as text; what stands in backticks as code."""
    text = re.sub(r"[\\@<>#&%]", lambda m: "\\" + m[0], text)
    return re.sub(r"`([^`]*)`", r"<tt>\1</tt>", text)


def spell_docs(header):
    """The texts of docstrings as Doxygen reads them: no character has a meaning, indented lines are code."""
    out, in_code = [], False
    for line in header.split("\n"):
        doc = re.match(r"(\s*///)(?!@)(<?)(.*)$", line)
        if doc and re.match(r"     +\S", doc[3]):
            out += [] if in_code else [doc[1] + " @code{.cpp}"]
            in_code = True
            out.append(line)
            continue
        if in_code and not (doc and not doc[3].strip()):
            out.append(doc_start(line) + " @endcode")
            in_code = False
        elif in_code:
            out.append(line)
            continue
        opening = re.match(r"(\s*)(\S.*?)\s*///<(.*)$", line)
        if opening and (opening[2].endswith("{") or "enum " in opening[2]):  # before what it opens
            out += [opening[1] + "///" + escaped(opening[3]), opening[1] + opening[2]]
            continue
        if not doc:
            trailing = re.match(r"(.*?[;,{})\w]\s*///<)(.*)$", line)
            line = trailing[1] + escaped(trailing[2]) if trailing else line
        else:
            line = doc[1] + doc[2] + escaped(doc[3])
        out.append(line)
    return "\n".join(out)


def doc_start(line):
    return re.match(r"\s*", line)[0] + "///"


def copy_headers(root, out):
    tables = {path.name: path.read_text(encoding="utf-8")
              for module in MODULES for path in (root / module / "include/kiln").glob("*.def")}
    shutil.rmtree(out / "include", ignore_errors=True)
    (out / "include/kiln").mkdir(parents=True)
    for module in MODULES:
        for path in sorted((root / module / "include/kiln").glob("*.h")):
            text = path.read_text(encoding="utf-8")
            head = re.match(r"((//.*\n)+)", text)
            if head:  # what the file says of itself
                text = re.sub(r"^//", "///", head[1], flags=re.M) + text[head.end():]
            text = spell_docs(group(stamp(text, tables)))
            (out / "include/kiln" / path.name).write_text("/// @file\n///\n" + text if head else text, encoding="utf-8")


# ---------------------------------------------------------------------------------- what has no docstring


def text_of(element):
    return "" if element is None else "".join(element.itertext()).strip()


def docs_of(element):
    return text_of(element.find("briefdescription")) + text_of(element.find("detaileddescription"))


def is_public(name):
    return name.startswith("kiln") and not PRIVATE.intersection(name.split("::")[1:])


def names(xml):
    """(name, where, docstrings) for each public name: its own of all overloads."""
    found = {}
    for path in sorted(xml.glob("*.xml")):
        if not path.name.startswith(("class", "struct", "namespace", "union", "concept")):
            continue
        compound = ElementTree.parse(path).getroot().find("compounddef")
        outer = text_of(compound.find("compoundname"))
        if not is_public(outer) or "<" in outer or compound.get("prot") in ("private", "protected"):
            continue  # of a specialisation its template tells
        if compound.get("kind") != "namespace":
            found.setdefault(outer, [place(compound), []])[1].append(docs_of(compound))
        simple = outer.split("::")[-1]
        for member in compound.iter("memberdef"):
            name = text_of(member.find("name"))
            if member.get("prot") != "public":
                continue
            arguments_text = text_of(member.find("argsstring"))
            # Of operators, constructors and the like the class tells.
            special = name in (simple, "~" + simple) or re.search(r"\b(\w+)::\1$", text_of(member.find("definition"))) or re.match(r"operator\b", name) or arguments_text.endswith("=delete")
            # What has a type of detail is for kiln's own headers.
            special = special or re.search(r"shared_ptr.*detail::", text_of(member.find("type")))
            if special or member.get("kind") == "friend" or name.startswith(("KILN_", "@")) or name.endswith("_"):
                continue
            entry = found.setdefault(f"{outer}::{name}", [place(member), []])
            entry[1].append(docs_of(member))
            for value in member.iter("enumvalue"):
                value_name = f"{outer}::{name}::{text_of(value.find('name'))}"
                found.setdefault(value_name, [place(member), []])[1].append(docs_of(value) or docs_of(member))
    return found


def place(element):
    location = element.find("location")
    return "?" if location is None else Path(location.get("file")).name + ":" + location.get("line", "?")


def undocumented(found):
    told = {where for where, docs in found.values() if any(docs)}  # of several in one line one tells of all
    return [f"{where}: {name} has no docstring" for name, (where, docs) in sorted(found.items())
            if not any(docs) and where not in told]


# --------------------------------------------------------------------------------------------------- runs


def run_doxygen(out, doxygen):
    """Its warnings, of the copies in `out`."""
    shutil.rmtree(out / "xml", ignore_errors=True)
    (out / "Doxyfile").write_text(DOXYFILE.format(out=out), encoding="utf-8")
    (out / "warnings.txt").unlink(missing_ok=True)
    run = subprocess.run([doxygen, str(out / "Doxyfile")], capture_output=True, text=True)
    log = out / "warnings.txt"
    warnings = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    warnings = [line.replace(str(out) + "/", "") for line in warnings if line.strip()]
    return warnings or ([f"doxygen failed: {run.stderr}"] if run.returncode != 0 else [])


def build(root, out, doxygen):
    """The complaints."""
    copy_headers(root, out)
    bad = run_doxygen(out, doxygen)
    found = names(out / "xml")
    if not found:
        bad.append("no names were found")
    print(f"{len(found)} public names, {out / 'html' / 'index.html'}")
    return bad + undocumented(found)


def self_test():
    """What is to be found is, and nothing else, of one header."""
    header = """#pragma once
namespace kiln {
/// A class with a<b, x#y and @z in its text, and `code`.
class Told {
  public:
    int first() const;
    int second() const;  ///< told
    enum class Kind { a, b };  ///< of what
};
/// Both are told of.
void one(int x);
void two(int x);

void three(int x);
#define KILN_ROW(id, arity, doc) void id##_of(int x);
#include <kiln/rows.def>
#undef KILN_ROW
namespace detail {
void hidden();
}
}  // namespace kiln
"""
    table = "KILN_ROW(row, 1, \"a row\")\n"
    staged = spell_docs(group(stamp(header, {"rows.def": table})))
    wanted = ["///@{\n/// Both are told of.\nvoid one(int x);\nvoid two(int x);\n///@}",
              "/// a row.\nvoid row_of(int x);", "a\\<b, x\\#y and \\@z in its text, and <tt>code</tt>.",
              "/// of what\n    enum class Kind { a, b };"]
    return [f"not in the copy:\n{text}\n{staged}" for text in wanted if text not in staged]


def self_test_with_doxygen(doxygen):
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "root", Path(folder) / "out"
        (root / "runtime/include/kiln").mkdir(parents=True)
        (root / "runtime/include/kiln/x.h").write_text(
            "// A file.\n#pragma once\nnamespace kiln {\n/// Told.\nvoid told();\n\nvoid untold();\n"
            "/// Told.\nclass C {\n  public:\n    int f();\n    int g();  ///< told\n};\n}\n", encoding="utf-8")
        found = build(root, out, doxygen)
        wanted = ["kiln::C::f has no docstring", "kiln::untold has no docstring"]
        wrong = [] if [f.split(": ", 1)[1] for f in found] == wanted else [f"{wanted} expected, found {found}"]
        bad_docs = out / "include/kiln/x.h"
        bad_docs.write_text("/// @file\nnamespace kiln {\n/// Told. @param y is none.\nvoid told(int x);\n}\n", encoding="utf-8")
        if not run_doxygen(out, doxygen):
            wrong.append("a parameter that is none gave no warning")
        return wrong


def main():
    options = argparse.ArgumentParser()
    options.add_argument("root", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--doxygen", default=shutil.which("doxygen"))
    options.add_argument("--self-test", action="store_true")
    given = options.parse_args()
    if not given.doxygen:
        print("skipped: there is no doxygen")
        return 77
    if given.self_test:
        bad = self_test() + self_test_with_doxygen(given.doxygen)
    else:
        bad = build(given.root.resolve(), given.out.resolve(), given.doxygen)
    print("\n".join(bad))
    print(f"{len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
