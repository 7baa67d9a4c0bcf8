#!/usr/bin/env python3
"""Every text of kiln::Error in the sources stands on a page of samples/pages, and the pages speak of no other.

usage: error_texts.py ROOT               check the tree under ROOT
       error_texts.py ROOT --missing     the texts that stand on no page, by file
       error_texts.py ROOT --self-test

A text is the string that is thrown with each value as {}: that of `"axis " + std::to_string(a)` is `axis {}`. The entries of
samples/pages/errors*.md begin with the texts that they explain, each a line "- `axis {axis} of {function} is listed twice`" in which
{...} are values. Faults of kiln's own (ErrorKind::internal) have one entry for all. The tool's usage errors are its --help's.
"""

import re
import sys
from pathlib import Path

MODULES = ["runtime", "dsl", "codegen", "jit"]
PAGES = "errors*.md"
STRING = r'(?:R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\])*")'

# Functions that throw what they are given: of which files, and what they put around it, @. The text is the first argument in which a
# string stands. None: its strings are parts of a text that is known already, names, or faults of kiln's own.
FORMS = {
    ("runtime/npy.cpp", "fail"): "cannot {} {}: @",
    ("dsl/ir/typing.cpp", "type_error"): "@",
    ("dsl/ir/typing.cpp", "refuse"): None,
    ("dsl/ir/parse.cpp", "fail"): "expected @, found {}",
    ("dsl/ir/parse.cpp", "fail_at"): "@",
    ("dsl/ir/reader.h", "fail"): "expected @, found {}",
    ("dsl/ir/reader.h", "fail_at"): "@",
    ("dsl/text/", "fail"): "@",
    ("dsl/text/", "refuse_it"): "@",
    ("dsl/trace/", "refuse_in_threads"): "@ in an explicit kernel",
    ("dsl/trace/float_parts.cpp", "refuse"): None,
    ("dsl/trace/functions.cpp", "refuse"): None,
    ("codegen/cuda/", "refuse_cuda"): "the CUDA backend does not compile @",
    ("codegen/llvm/lanes/", "refuse"): "@",
    ("codegen/passes/reductions.cpp", "refuse"): "@",
    ("jit/compile/c_object.cpp", "refuse"): "{} cannot be exported: @",
    ("jit/compile/object_loader.cpp", "refuse"): None,
    ("jit/compile/code_memory.cpp", "refuse"): "@ for machine code: {} bytes asked for ({})",
    ("jit/ufunc/bind.cpp", "refuse"): "cannot bind {}: @",
    ("jit/session/checkpoint.cpp", "refuse"): "@: {}",
    ("jit/loops/loop_kernel.cpp", "refuse"): None,
    ("jit/include/kiln/core_signature.h", "fault_at"): "the signature of {}: @",
    ("jit/", "running"): "@",  # of a BeforeExit
}
# Errors that say what another one said, or what a table of texts says that is read here too.
FORWARDS = re.compile(r"message\(\)|(?:\btext|known|what)\.text")
# Files, besides those of FORMS, in which something throws the text that it is given.
THROWERS = {"dsl/ir/rules.h", "runtime/process.cpp"}


def closing(text, start):
    """Where the bracket at `start` ends."""
    depth = 0
    for match in re.compile(rf"{STRING}|'(?:\\.|[^'\\])+'|[(){{}}\[\]]").finditer(text, start):
        if match[0] in "({[":
            depth += 1
        elif match[0] in ")}]":
            depth -= 1
            if depth == 0:
                return match.start()
    return len(text)


def split(text, separators):
    """The parts of an expression between separators outside of brackets and strings."""
    parts, begin, at = [], 0, 0
    token = re.compile(rf"{STRING}|'(?:\\.|[^'\\])+'|[({{\[]|<<|" + "|".join(map(re.escape, separators)))
    while match := token.search(text, at):
        at = match.end()
        if match[0] in "({[":
            at = closing(text, match.start()) + 1
        elif match[0] in separators:
            parts.append(text[begin : match.start()])
            begin = match.end()
    return [part.strip() for part in parts + [text[begin:]]]


def literal(text):
    """What adjacent strings say."""
    return "".join(re.sub(r"\\(.)", lambda m: " " if m[1] == "n" else m[1], s[1:-1]) for s in re.findall(STRING, text))


def texts_of(expression):
    """The texts that an expression may be, values as {}."""
    expression = expression.strip()
    if re.fullmatch(rf"(?:{STRING}\s*)+", expression):
        return [re.sub(r"[{}]", "", literal(expression))]
    if match := re.match(r"(?:fmt::format|std::string|std::move)\(", expression):
        inside = expression[match.end() : closing(expression, match.end() - 1)]
        if closing(expression, match.end() - 1) == len(expression) - 1:
            first = split(inside, [","])[0]
            if not match[0].startswith("fmt"):
                return texts_of(first)
            made = []
            for choice in choices(first):
                if re.fullmatch(rf"(?:{STRING}\s*)+", choice):
                    made.append(re.sub(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", "{}", literal(choice)))
            return made or ["{}"]
    several = choices(expression)
    if len(several) > 1:
        return [text for one in several for text in texts_of(one)]
    terms = split(expression, ["+"])
    if len(terms) == 1:
        inner = expression[1:-1] if expression.startswith("(") and expression.endswith(")") else None
        if inner is not None and len(choices(inner)) > 1 and '"' in inner:
            return ["{}"]
        return ["{}"]
    made = [""]
    for term in terms:
        made = [a + b for a in made for b in texts_of(term)]
    return made


def choices(expression):
    """Of c ? a : b its a and b, else the expression alone."""
    condition = split(expression.replace("::", "\0\0"), ["?"])
    if len(condition) < 2:
        return [expression]
    rest = expression.replace("::", "\0\0").split("?", 1)[1] if len(condition) == 2 else "?".join(condition[1:])
    parts = split(rest, [":"])
    if len(condition) == 2:
        return [p.replace("\0\0", "::").strip() for p in parts] if len(parts) == 2 else [expression]
    found = []
    for part in split(expression.replace("::", "\0\0"), ["?", ":"])[1:]:
        if part.lstrip().startswith(('"', "fmt")):
            found.append(part.replace("\0\0", "::").strip())
    return found or [expression]


def form(text):
    """A text with each value as {}, two beside each other as one, and no other braces."""
    text = re.sub(r"\{[^{}]*\}", "\0", re.sub(r"\s+", " ", text.replace("{{", "").replace("}}", "")))
    return re.sub(r"(?:\0\s?)+(?=\0)", "", re.sub(r"[{}]", "", text)).replace("\0", "{}").strip()


def without_comments(text):
    return re.sub(rf"({STRING})|//[^\n]*", lambda m: m[1] or "", text)


def assigned(text, variable):
    """What a variable of this name is given in a file."""
    for match in re.finditer(rf"\b{variable} = (?=[^=])", text):
        end = re.compile(rf"{STRING}|;")
        at = match.end()
        while (found := end.search(text, at)) and found[0] != ";":
            at = found.end()
        yield text[match.end() : found.start()]


def returned(text, function):
    """What a member function of a file makes."""
    for match in re.finditer(rf"::{function}\([^)]*\) const \{{", text):
        body = text[match.end() : closing(text, match.end() - 1)]
        for made in re.finditer(r"fmt::format\(", body):
            for one in texts_of(body[made.start() : closing(body, made.end() - 1) + 1]):
                if one.count(" ") > 2:
                    yield one


def around(made, message):
    return form(made.replace("@", message))


def sites(name, text):
    """(line, text) of each error of a file; text is None for a fault of kiln's own, "?" where none is found."""
    text = without_comments(text)
    helpers = {f: made for (where, f), made in FORMS.items() if name.startswith(where)}
    call = re.compile(r"\bthrow\s+(?:::)?(?:kiln::)?Error\s*(?=\()|(?<![\w:])(?:this->)?(?P<helper>%s)(?=[({])|[({,]\s*(?=ErrorKind::\w+,\s*(?:\"|fmt::|what\b|std::move\(what))"
                      % "|".join(sorted(helpers) or ["(?!)"]))
    found = []
    done = set()
    for match in call.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        thrown = match[0].startswith("throw")
        if re.search(r"\bvoid\s+$|\.\.\.T>\s+\[\[noreturn\]\] void $", text[max(0, match.start() - 40) : match.start()]):
            continue
        if thrown or match["helper"]:
            inside = text[match.end() + 1 : closing(text, match.end())]
            done.add(match.end() + 1)
        else:
            if match.start() + 1 in done or match.end() in done:
                continue
            end = closing(text, match.start()) if match[0][0] in "({" else match.end()
            if match[0][0] == ",":
                continue
            inside = text[match.end() : end]
        arguments = split(inside, [","])
        if match["helper"]:
            if helpers[match["helper"]] is None or "ErrorKind::internal" in arguments[0]:
                continue
            message = next((a for a in arguments if '"' in a), None)
            made = helpers[match["helper"]]
            if message is None:
                variable = re.fullmatch(r"std::string\((\w+)\)", arguments[0])
                message = next((v for v in assigned(text, variable[1]) if '"' in v), None) if variable else None
            if message is None:
                continue
        else:
            if "internal" in arguments[0]:
                found.append((line, None))
                continue
            message, made = arguments[1] if len(arguments) > 1 else "", "@"
        if '"' not in message:
            variable = re.fullmatch(r"(?:std::move\()?(\w+)\)?", message)
            values = [v for v in assigned(text, variable[1]) if '"' in v] if variable else []
            texts = [x for v in values for x in texts_of(v)]
            if made_by := re.match(r"(\w+)\(", message):
                texts += returned(text, made_by[1])
            if not texts and not FORWARDS.search(message) and not (set(helpers) - {"running"}) and name not in THROWERS:
                found.append((line, "?" + message))
        else:
            texts = texts_of(message)
        for one in texts:
            one = around(made, one)
            if re.search(r"\w", one.replace("{}", "")) and not one.startswith("#"):
                found.append((line, one))
    return found


def entries(page):
    """(line, text) of each text that a page explains."""
    return [(page.count("\n", 0, m.start()) + 1, form(m[1])) for m in re.finditer(r"^- `([^`]+)`$", page, re.M)]


def all_sites(root):
    found = {}
    for module in MODULES:
        for path in sorted((root / module).rglob("*")):
            if path.suffix in {".h", ".cpp"}:
                name = str(path.relative_to(root))
                for line, text in sites(name, path.read_text(encoding="utf-8")):
                    found.setdefault(text, []).append(f"{name}:{line}")
    return found


def all_entries(root):
    return [(text, f"{page.name}:{line}") for page in sorted((root / "samples/pages").glob(PAGES))
            for line, text in entries(page.read_text(encoding="utf-8"))]


def check(have, told):
    """What is wrong with texts {text: places} and entries [(text, place)]."""
    bad = [f"{places[0]}: the text of this error is not found: {text[1:]}" for text, places in have.items() if text and text[0] == "?"]
    known = {}
    for text, place in told:
        if text not in have:
            bad.append(f"{place}: no error says: {text}")
        elif text in known:
            bad.append(f"{place}: {known[text]} explains this already: {text}")
        known.setdefault(text, place)
    for text, places in have.items():
        if text and text[0] != "?" and text not in known:
            bad.append(f"{places[0]}: no page of samples/pages explains: {text}")
    return bad


def self_test():
    source = '''
    throw Error(ErrorKind::shape, "axis " + std::to_string(axis) + " of " + name, where, "a hint");
    throw Error(ErrorKind::type, fmt::format("{} of ({}, {:>3})", f, a, "b"), where);  // throw Error(ErrorKind::io, "no")
    throw Error(ErrorKind::usage, empty ? "no edges" : fmt::format("{} edges", n), where);
    throw Error(ErrorKind::internal, "never", where);
    return Broken{ErrorKind::bounds, "out of range", "hint"};
    throw Error(e.kind(), e.message(), where);
    std::string what = fmt::format("race at {}", line);
    throw Error(ErrorKind::usage, std::move(what), where);
    throw Error(ErrorKind::usage, made_somewhere(x), where);
    '''
    texts = [text for _, text in sites("jit/x.cpp", source)]
    wanted = ["axis {} of {}", "{} of ({}, {})", "no edges", "{} edges", None, "out of range", "race at {}", "?made_somewhere(x)"]
    bad = [] if texts == wanted else [f"texts {texts}"]
    if (got := [t for _, t in sites("codegen/cuda/x.cpp", 'refuse_cuda("scans", where);')]) != ["the CUDA backend does not compile scans"]:
        bad.append(f"helper {got}")
    have = {"a {}": ["x:1"], "b": ["x:2"], "c": ["x:3"], None: ["x:4"], "?f()": ["x:5"]}
    told = [(text, f"p:{line}") for line, text in entries("- `a {value}`\n- `d`\n\nWhy.\n- `a {n}`\n")]
    found = check(have, told)
    return bad + ([] if len(found) == 5 else [f"5 faults expected, found {found}"])


def main():
    root = Path(sys.argv[1])
    if "--self-test" in sys.argv[2:]:
        bad = self_test()
    else:
        have, told = all_sites(root), all_entries(root)
        if "--missing" in sys.argv[2:]:
            known = {text for text, _ in told}
            for text, places in have.items():
                if text and text not in known:
                    print(f"{places[0]} | {text}")
            return 0
        bad = check(have, told)
    print("\n".join(bad))
    print(f"{len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
