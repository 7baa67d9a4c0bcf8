#!/usr/bin/env python3
"""kiln run: the samples as text against the same computations in Python, whose numbers are doubles too;
what it prints, and what it refuses.

usage: run.py KILN SAMPLES [PART...]     PART: a function of main(); none: all of them
"""

import json
import math
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

CODES = {"f8": "d", "f4": "f", "i4": "i", "i8": "q", "u1": "B"}


def save(path, shape, values, dtype="f8"):
    order = "|" if dtype == "u1" else "<"
    head = f"{{'descr': '{order}{dtype}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    data = struct.pack(f"<{len(values)}{CODES[dtype]}", *values)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


def load(path):
    """Shape and elements, in C order."""
    data = path.read_bytes()
    (size,) = struct.unpack("<H", data[8:10])
    head = eval(data[10 : 10 + size])
    code = CODES[head["descr"][1:]]
    body = data[10 + size :]
    return head["shape"], list(struct.unpack(f"<{len(body) // struct.calcsize(code)}{code}", body))


def numbers(count, low=-8.0, high=8.0, seed=1):
    state, all = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        all.append(low + (high - low) * (state >> 40) / 2**24)
    return all


class Tool:
    def __init__(self, kiln, samples, folder):
        self.kiln, self.samples, self.folder = kiln, samples, folder
        self.called = set()

    def path(self, name):
        return self.folder / f"{name}.npy"

    def words(self, *args):
        """@x, =z and +a=b of the folder's files; what says more than a name stays."""
        for arg in map(str, args):
            if arg[0] in "@=+" and arg[1:2].isalpha():
                head, colon, kind = arg[1:].partition(":")
                names = [f"{self.path(name)}" for name in head.split("=")]
                yield arg[0] + "=".join(names) + colon + kind
            else:
                yield arg

    def call(self, file, kernel, *args):
        self.called.add((file, kernel))
        command = [self.kiln, "run", str(self.samples / file), "--kernel", kernel, *self.words(*args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    def run(self, file, kernel, *args):
        done = self.call(file, kernel, *args)
        assert done.returncode == 0, f"{kernel} {args}: {done.stderr}"
        return done.stdout

    def save(self, name, shape, values, dtype="f8"):
        save(self.path(name), shape, values, dtype)

    def load(self, name):
        return load(self.path(name))[1]


def equal(what, got, want):
    assert got == want, f"{what}: {got} instead of {want}"


def close(what, got, want, tolerance=1e-14):
    assert len(got) == len(want), f"{what}: {len(got)} elements instead of {len(want)}"
    for a, b in zip(got, want):
        assert abs(a - b) <= tolerance * max(1, abs(b)), f"{what}: {a} instead of {b}"


def element_wise(tool):
    x, y = numbers(11), numbers(11, seed=2)
    tool.save("x", (11,), x)
    tool.save("y", (11,), y)
    tool.run("saxpy.cpp", "saxpy", 2.5, "@x", "@y", "=z")
    equal("saxpy", tool.load("z"), [2.5 * a + b for a, b in zip(x, y)])
    tool.save("floats", (3,), [1, 2, 3], "f4")
    equal("saxpy of f32", tool.run("saxpy.cpp", "saxpy", 0.5, "@floats", 1), "[1.5 2.  2.5]\n")
    equal("numbers alone", tool.run("saxpy.cpp", "saxpy", "f64:0.1", 3, -0.5), f"{0.1 * 3 - 0.5!r}\n")

    spot, years = numbers(9, 50, 150), numbers(9, 0.1, 2, 3)
    tool.save("spot", (9,), spot)
    tool.save("years", (9,), years)
    tool.run("black_scholes.cpp", "black_scholes", "@spot", 100, "@years", 0.02, 0.3, "=call", "=put", "--parallel")
    cdf = lambda v: 0.5 * math.erfc(-math.sqrt(2) / 2 * v)
    calls, puts = [], []
    for s, t in zip(spot, years):
        deviation = 0.3 * math.sqrt(t)
        d1 = (math.log(s / 100) + (0.02 + 0.5 * 0.3 * 0.3) * t) / deviation
        later = 100 * math.exp(-0.02 * t)
        calls.append(s * cdf(d1) - later * cdf(d1 - deviation))
        puts.append(later * cdf(deviation - d1) - s * cdf(-d1))
    close("calls", tool.load("call"), calls)
    close("puts", tool.load("put"), puts)

    levels = list(range(0, 256, 5))
    tool.save("levels", (len(levels),), levels, "u1")
    tool.run("image.cpp", "to_unit", "@levels", "=unit")
    equal("to_unit", tool.load("unit"), [v / 255 for v in levels])
    tool.run("image.cpp", "to_bytes", "@unit", "=bytes")
    equal("to_bytes", tool.load("bytes"), levels)
    logistic = lambda v: 1 / (1 + math.exp(-8 * (v - 0.45)))
    tool.run("image.cpp", "tone", "@unit", "=toned")
    close("tone", tool.load("toned"),
          [(logistic(v / 255) - logistic(0)) / (logistic(1) - logistic(0)) for v in levels])
    tool.run("image.cpp", "gamma", "@unit", "=gamma")
    close("gamma", tool.load("gamma"), [(v / 255) ** (1 / 2.2) for v in levels])
    close("blur", [float(tool.run("image.cpp", "blur", *range(1, 8)))], [4 * (0.28 + 2 * (0.22 + 0.11 + 0.03))])
    equal("sharpen", tool.run("image.cpp", "sharpen", 0.9, 0.1), "1\n")


def loops(tool):
    x = numbers(24)
    tool.save("cube", (2, 3, 4), x)
    tool.run("loops.cpp", "add2", "@cube", "=sum:f64[2,3,4]", "--parallel")
    equal("add2", tool.load("sum"), [v + 2 for v in x])
    equal("shape", load(tool.path("sum"))[0], (2, 3, 4))
    squares = [float(i * i) for i in range(100)]
    tool.save("squares", (100,), squares)
    equal("sum_of_roots", tool.run("loops.cpp", "sum_of_roots", "@squares"), "4950\n")
    equal("count_primes", tool.run("loops.cpp", "count_primes", 1000, "--mode", "jit", "--parallel"), "168\n")
    close("pi", [float(tool.run("loops.cpp", "pi", 200000, 7, "--mode", "jit"))], [math.pi], 0.01)

    square = numbers(49)
    line = [square[i * 8] for i in range(7)]
    tool.save("square", (7, 7), square)
    trace, median, most = map(float, tool.run("loops.cpp", "diagonal", "@square", "=ordered:f64[7]").split())
    equal("diagonal", tool.load("ordered"), sorted(line))
    equal("median and maximum", (median, most), (sorted(line)[3], max(line)))
    close("trace", [trace], [sum(map(math.tanh, line))])

    a, b = numbers(5), numbers(3, seed=4)
    tool.save("a", (5,), a)
    tool.save("b", (3,), b)
    tool.run("loops.cpp", "outer", "@a", "@b", "=outer:f64[5,3]", "--parallel")
    equal("outer", tool.load("outer"), [p * q for p in a for q in b])
    total, least, most = map(float, tool.run("loops.cpp", "describe", "@a", "--parallel").split())
    close("describe", [total], [sum(a)])
    equal("describe", (least, most), (min(a), max(a)))
    tool.run("loops.cpp", "bubble_sort", "+a=sorted")
    equal("bubble_sort", tool.load("sorted"), sorted(a))
    equal("what + reads stays", tool.load("a"), a)

    p, q = numbers(5 * 70), numbers(70 * 4, seed=5)
    tool.save("p", (5, 70), p)
    tool.save("q", (70, 4), q)
    tool.run("loops.cpp", "matmul", "@p", "@q", "=pq:f64[5,4]", "--parallel")
    want = []
    for i in range(5):
        for j in range(4):
            s = 0.0
            for k in range(70):
                s += p[i * 70 + k] * q[k * 4 + j]
            want.append(s)
    equal("matmul", tool.load("pq"), want)


def fields(tool):
    tool.run("fields.cpp", "mandelbrot", "=steps:i32[20,24]", 60, "--parallel")
    want = []
    for row in range(20):
        for column in range(24):
            c = complex(column * 3.0 / 24 - 2.0, row * 2.5 / 20 - 1.25)
            z, n = 0j, 0
            while n < 60 and z.real * z.real + z.imag * z.imag <= 4:
                z = z * z + c
                n += 1
            want.append(n)
    equal("mandelbrot", tool.load("steps"), want)

    def swept(a, h, w):
        b = list(a)
        for i in range(1, h - 1):
            for j in range(1, w - 1):
                b[i * w + j] = 0.25 * (a[(i - 1) * w + j] + a[(i + 1) * w + j] + a[i * w + j - 1] + a[i * w + j + 1])
        return b

    plate = numbers(9 * 8)
    tool.save("plate", (9, 8), plate)
    tool.run("fields.cpp", "jacobi", "+plate=even", "+plate=odd", 3, "--parallel")
    want = plate
    for _ in range(6):
        want = swept(want, 9, 8)
    equal("jacobi", tool.load("even"), want)
    tool.run("fields.cpp", "smooth", "@plate", "=smooth")
    smooth = swept(plate, 9, 8)
    inside = [(i * 8 + j) for i in range(1, 8) for j in range(1, 7)]
    got = tool.load("smooth")
    equal("smooth", [got[k] for k in inside], [smooth[k] for k in inside])
    equal("its border", got[0], 0.0)

    hot = [1.0] * 9 + [0.0] * 72
    tool.save("hot", (9, 9), hot)
    assert int(tool.run("fields.cpp", "laplace", "+hot=field", 1.5, 1e-13, 5000, "--parallel")) < 200
    close("laplace", [tool.load("field")[40]], [0.25], 1e-9)

    rows, weights = numbers(6 * 2, -1, 1), [0.0, 0.0]
    marks = [float(rows[2 * i] > 0) for i in range(6)]
    tool.save("rows", (6, 2), rows)
    tool.save("marks", (6,), marks)
    tool.save("weights", (2,), weights)
    tool.run("fields.cpp", "descend", "@rows", "@marks", "+weights=learnt", "=slope:f64[2]", 0.5, 20)
    for _ in range(20):
        slope = [0.0, 0.0]
        for i in range(6):
            score = rows[2 * i] * weights[0] + rows[2 * i + 1] * weights[1]
            error = 1 / (1 + math.exp(-score)) - marks[i]
            slope = [s + error * rows[2 * i + j] for j, s in enumerate(slope)]
        weights = [w - 0.5 / 6 * s for w, s in zip(weights, slope)]
    close("descend", tool.load("learnt"), weights, 1e-12)
    tool.save("fours", (8,), [4.0] * 8)
    equal("roots", tool.run("fields.cpp", "roots", "+fours=twos"), "16\n")
    equal("roots in place", tool.load("twos"), [2.0] * 8)


def stacks(tool):
    half = math.sqrt(0.5)
    tool.save("q", (2, 4), [1, 0, 0, 0, half, 0, 0, half])
    tool.save("v", (3,), [1, 2, 3])
    tool.run("stacks.cpp", "turn", "--layout", "(4),(3)->(3)", "@q", "@v", "=turned")
    close("turn", tool.load("turned"), [1, 2, 3, -2, 1, 3])
    m = [4.0, 1, 0, 1, 5, 2, 0, 2, 6]
    tool.save("m", (1, 3, 3), m)
    tool.save("r", (1, 3), [sum(m[3 * i + j] * (j + 1) for j in range(3)) for i in range(3)])
    tool.run("stacks.cpp", "solve", "--layout", "(3,3),(3)->(3)", "@m", "@r", "=solved")
    close("solve", tool.load("solved"), [1, 2, 3])
    x = numbers(10)
    tool.save("series", (2, 5), x)
    tool.run("stacks.cpp", "follow", "--layout=(n),()->(n)", "@series", 0.25, "=means")
    want = []
    for row in (x[:5], x[5:]):
        mean = row[0]
        for v in row:
            mean += 0.25 * (v - mean)
            want.append(mean)
    equal("follow", tool.load("means"), want)


def whole(tool):
    """Each kernel of the samples is there as text, and what is there has run."""
    called_otherwise = {"black_scholes_fast": "black_scholes", "black_scholes_parallel": "black_scholes",
                        "fast_saxpy": "saxpy", "do_sum": "sum_of_roots", "throw_points": "pi",
                        "outer_rows": "outer"}
    called_otherwise_in = {("stacks.cpp", "smooth"): "follow"}
    no_texts = {("blocks.cpp", "block_sums"), ("blocks.cpp", "tiled_product"),  # explicit kernels of a device
                ("stacks.cpp", "draw")}  # makes the input of its sample
    kernels = set()
    for sample in tool.samples.parent.glob("*.cpp"):
        for name in re.findall(r'\b(?:jit|vectorize|guvectorize|stencil|kernel)\(\s*"(\w+)"', sample.read_text()):
            if (sample.name, name) not in no_texts:
                name = called_otherwise_in.get((sample.name, name), name)
                kernels.add((sample.name, called_otherwise.get(name, name)))
    functions = set()
    for text in tool.samples.glob("*.cpp"):
        for name in re.findall(r"^(?:template.*> )?[\w:<>]+ (\w+)\(", text.read_text(), re.MULTILINE):
            functions.add((text.name, name))
    helpers = {("black_scholes.cpp", "normal_cdf"), ("fields.cpp", "escape")}  # of functions beside them
    assert len(kernels) > 20 and len(functions) > 20, (kernels, functions)
    equal("kernels without a text", kernels - functions, set())
    equal("texts that have not run", functions - helpers - tool.called, set())


def told(tool):
    """JSON, faults, usage."""
    answer = json.loads(tool.run("loops.cpp", "sum_of_roots", "@squares", "--json", "--repeat", 3, "--threads", 1))
    equal("results", answer["results"], ["4950"])
    equal("kernel", (answer["kernel"], answer["mode"], answer["threads"]), ("sum_of_roots", "jit", 1))
    assert answer["warm_ns"] > 0 and answer["first_call_ms"]["call"] > 0, answer

    def fails(status, text, *args):
        done = tool.call(*args)
        assert done.returncode == status and text in done.stderr, (args, done.returncode, done.stderr)

    fails(1, "the text has no function nothing (it has saxpy)", "saxpy.cpp", "nothing")
    fails(1, "cannot read", "missing.cpp", "f")
    fails(1, "read-only", "loops.cpp", "bubble_sort", "@a")
    fails(1, "loops.cpp:", "loops.cpp", "outer", "@a", "@b", "=outer:f64[9,9]", "--checked")
    fails(2, "q is no argument", "saxpy.cpp", "saxpy", "q")
    fails(2, "300 is no u8", "saxpy.cpp", "saxpy", "u8:300")
    fails(2, "2 results, but 1 output is given", "black_scholes.cpp", "black_scholes", 1, 1, 1, 1, 1, "=z")
    fails(2, "an output has a type", "loops.cpp", "outer", "@a", "@b", "=z")
    fails(2, "no type of its own", "fields.cpp", "smooth", "@hot", "=z:f32[9,9]")
    fails(2, "some outputs have a type and some", "black_scholes.cpp", "black_scholes", 1, 1, 1, 1, 1,
          "=z:f64[]", "=w")
    fails(2, "--boundary is of stencils; this is vectorize", "saxpy.cpp", "saxpy", "--boundary", "wrap", 1, 2, 3)
    fails(2, "--layout is of guvectorize; this is jit", "stacks.cpp", "turn", "--mode", "jit", "--layout", "()->()")
    fails(2, "gpu is no --target (there are cpu, cuda, sim)", "saxpy.cpp", "saxpy", "--target", "gpu", 1, 2, 3)
    equal("simulated", tool.run("saxpy.cpp", "saxpy", "--target", "sim", 0.5, "@floats", 1), "[1.5 2.  2.5]\n")
    fails(2, "--mode guvectorize needs --layout", "stacks.cpp", "turn", "--mode", "guvectorize")
    fails(2, "fast is no flag of --fastmath", "saxpy.cpp", "saxpy", "--fastmath=fast", 1, 2, 3)


def embed(tool):
    """What kiln_kernels runs: errors have the file as it was named, line and caret."""
    def of(code):
        file = tool.folder / "kernels.cpp"
        file.write_text("#include <kiln/native.h>\n" + code)
        out = tool.folder / "made.cpp"
        done = subprocess.run([tool.kiln, "embed", str(file), "--out", str(out)],
                              capture_output=True, text=True, timeout=300)
        return done.returncode, done.stderr.replace(str(file), "kernels.cpp")

    equal("good", of("KILN_KERNEL double f(double x) { return x; }"), (0, ""))
    equal("goto", of("KILN_KERNEL double f(double x) {\n    goto end;\nend:\n    return x;\n}"),
          (1, "kernels.cpp:3: error: kernels have no goto (write a loop with break or continue)\n"
              "    goto end;\n    ^\n"))
    equal("name", of("KILN_KERNEL double f(double x) { return y; }"),
          (1, "kernels.cpp:2: error: use of undeclared identifier 'y'\n"
              "KILN_KERNEL double f(double x) { return y; }\n" + " " * 40 + "^\n"))
    equal("static", of("static KILN_KERNEL double f(double x) { return x; }"),
          (1, "kernels.cpp:2: error: f cannot be named in other files (a kernel is neither static nor "
              "in an unnamed namespace)\nstatic KILN_KERNEL double f(double x) { return x; }\n"
              + " " * 26 + "^\n"))
    equal("header", of("#include <vector>")[1].splitlines()[0],
          "kernels.cpp:2: error: 'vector' file not found")
    equal("none", of("double f(double x) { return x; }")[1].splitlines()[0],
          "kernels.cpp:1: error: no function is marked with KILN_KERNEL (templates are kernels where they "
          "are instantiated: template float f(float);)")


def export(tool):
    """A header beside an object, for each kind that there is; tests/export calls what is exported."""
    def of(file, *words):
        command = [tool.kiln, "export", str(tool.samples / file), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stderr.split("\n")[0]

    made = str(tool.folder / "made.o")
    equal("ufunc", of("saxpy.cpp", "--kernel", "saxpy", "--sig", "f32, f32[1], f32[1]", "--cpu", "avx2", "-o", made),
          (0, ""))
    header = made.replace(".o", ".h")
    assert "int saxpy(int64_t n,\n    float " in Path(header).read_text()
    assert b"kiln_rt_call_1" in Path(made).read_bytes()
    equal("loops", of("loops.cpp", "--kernel", "sum_of_roots", "--sig", "f64[1]", "--symbol", "roots", "-o", made),
          (0, ""))
    assert "double* result0);" in Path(header).read_text()
    assert "int roots(const double* " in Path(header).read_text()
    equal("needs", of("saxpy.cpp", "--kernel", "saxpy", "-o", made), (2, "kiln: export needs --sig"))
    equal("unit", of("saxpy.cpp", "--kernel", "saxpy", "--sig", "f32", "-o", made, "--cpu", "mmx"),
          (2, "kiln: mmx is no --cpu (there are host, sse2, avx2, avx512)"))
    equal("kind", of("stacks.cpp", "--kernel", "turn", "--layout", "()->()", "--sig", "f32", "-o", made),
          (2, "kiln: kernels of guvectorize cannot be exported"))


def bench(tool):
    text = tool.folder / "two.cpp"
    text.write_text("double f(double x) { return 2 * x; }\n"
                    "double g(double x) { double s = 0; for (int i = 0; i < 50; ++i) s += std::sin(x + i); return s; }\n")
    other = tool.folder / "other.cpp"
    other.write_text("float f(float x) { return x; }\n")
    tool.save("many", (4096,), numbers(4096))

    def of(*words):
        done = subprocess.run([tool.kiln, "bench", *words], capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    many = f"@{tool.path('many')}"
    status, said, _ = of(str(text), "--kernel", "f", many, "--against", "g", "--rounds", "5", "--json")
    equal("status", status, 0)
    told = json.loads(said)
    equal("rounds", told["rounds"], 5)
    equal("names", (told["of"]["kernel"], told["against"]["kernel"]), ("f", "g"))
    ratio = told["ratio"]
    assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"] < 1, ratio  # 50 sines are more than a product
    status, said, _ = of(str(text), "--kernel", "f", "2.5", "--against-file", str(other), "--rounds", "3")
    equal("status", status, 0)
    equal("lines", [line.split()[0] for line in said.splitlines()], ["f", "f", "ratio", "medians"])
    equal("alone", len(of(str(text), "--kernel", "f", "2.5", "--rounds", "2")[1].splitlines()), 2)
    equal("usage", of(str(text))[0::2], (2, "kiln: kiln bench needs --kernel F\nkiln --help tells what there is\n"))


def cached(tool):
    """Why a kernel is compiled; the disk cache as one file."""
    def why(**environment):
        os.environ.update(environment)
        answer = json.loads(tool.run("saxpy.cpp", "saxpy", "--json", "--mode", "jit", 2, 3, 4))
        for name in environment:
            if name != "KILN_CACHE_DIR":
                del os.environ[name]
        return answer["cache"], answer.get("why")

    def kiln(status, *args):
        done = subprocess.run([tool.kiln, "cache", *map(str, args)], capture_output=True, text=True, timeout=60)
        assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    del os.environ["KILN_CACHE"]
    one, both = tool.folder / "one.bundle", tool.folder / "both.bundle"
    equal("off", why(KILN_CACHE="off"), ("off", "KILN_CACHE is off"))
    equal("first", why(KILN_CACHE_DIR=str(tool.folder / "cached")), ("miss", "no entry is of such a kernel"))
    equal("second", why(), ("hit", None))
    cache, reason = why(KILN_CPU="portable")
    assert cache == "miss" and "the CPU is " in reason and ", not portable" in reason, reason
    equal("bundle", kiln(0, "bundle", one), f"{one}: 2 kernels, 2 for this build and CPU\n")
    equal("clear", kiln(0, "clear")[:1].isdigit(), True)
    assert "there is nothing to put into" in kiln(1, "bundle", both)
    equal("joined", kiln(0, "bundle", both, one, one), f"{both}: 2 kernels, 2 for this build and CPU\n")
    one.write_bytes(one.read_bytes()[:-1])
    assert f"the bundle '{one}' is damaged" in kiln(1, "bundle", both, one)
    kiln(2, "bundle")
    os.environ["KILN_CACHE"] = "off"


def completions(tool):
    """What the shells offer, by their own scripts."""
    folder = Path(__file__).resolve().parents[3] / "jit/tool/share"
    path = {**os.environ, "PATH": f"{Path(tool.kiln).resolve().parent}:{os.environ['PATH']}"}

    def of_bash(*words):
        script = (f". {folder}/kiln.bash; COMP_WORDS=({' '.join(map(shlex.quote, words))}); "
                  f"COMP_CWORD={len(words) - 1}; _kiln; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return sorted(subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=path,
                                     cwd=tool.folder, timeout=60).stdout.split())

    def of_zsh(*words):
        script = ("compadd() { [[ $1 == -a ]] && print -l -- ${(P)2} || print -l -- $@ }; _files() { print -l -- *(N) }; "
                  f"words=({' '.join(map(shlex.quote, words))}); CURRENT={len(words)}; "
                  f"PREFIX={shlex.quote(words[-1])}; . {folder}/_kiln")
        found = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, env=path,
                               cwd=tool.folder, timeout=60).stdout.split()
        return sorted(word for word in set(found) if word.startswith(words[-1]))  # as compadd does

    (tool.folder / "notes.txt").write_text("")
    shells = [of_bash] + ([of_zsh] if shutil.which("zsh") else [])
    for shell in shells:
        name = shell.__name__
        equal(name, shell("kiln", "an"), ["annotate"])
        equal(name, shell("kiln", "annotate", "--pro"), ["--profile"])
        equal(name, shell("kiln", "bench", "--against"), ["--against", "--against-file"])
        equal(name, shell("kiln", "--ver"), ["--version"])
        equal(name, shell("kiln", "cache", "ver"), ["verify"])
        equal(name, shell("kiln", "run", "notes"), ["notes.txt"])
    if len(shells) == 1:
        print("completions: without zsh")


def main():
    kiln, samples, chosen = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    os.environ.update({"KILN_CACHE": "off"})
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(kiln, samples, Path(folder))
        for part in (element_wise, loops, fields, stacks, whole, told, embed, export, bench, cached, completions):
            if chosen and part.__name__ not in chosen:
                continue
            part(tool)
            print(f"{part.__name__}: good")


if __name__ == "__main__":
    main()
