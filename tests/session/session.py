#!/usr/bin/env python3
"""Sessions of the kiln tool: on a pseudo-terminal, from a pipe, from files.

usage: session.py KILN
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from terminal import LIMIT, Terminal, check

def on_a_terminal(kiln, environment, folder):
    for name in ("some.npy", "some.kiln"):
        (folder / name).write_text("")
    t = Terminal([kiln], environment, folder)
    t.expect("kiln> ")
    # Define, call, print.
    t.ask('auto saxpy = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });')
    t.ask("Array x = linspace(0, 1, 5);")
    check(t.ask("saxpy(2.0, x, x)"), "[0.   0.75 1.5  2.25 3.  ]  f64 (5,)")
    # Lambdas in statements and expressions.
    check(t.ask("map_reduce([](Value v) { return v * v; }, Reduce::sum)(x)"), "1.875")
    t.ask("std::vector<int> numbers = {3, 1, 2}; std::sort(numbers.begin(), numbers.end(), [](int a, int b) { return a < b; });")
    check(t.ask("numbers[0]"), "1\n")
    check(t.ask("std::sort(numbers.begin(), numbers.end(), [](int a, int b) { return a < wrong; });"), "]:1:73: error: use of undeclared identifier")
    check(t.ask("saxpy"), "kernel saxpy of vectorize\n  (f64, f64[1], f64[1])")
    # An open bracket goes on in the next line.
    t.type("auto twice = [](double v) {\r")
    t.expect(r"\.\.\. ")
    t.ask("return 2 * v; };")
    check(t.ask("twice(2.25)"), "4.5")
    # Every stage, of the last specialisation and of types that are named.
    for command, part in ((":ir saxpy", "kernel saxpy("), (":passes saxpy", "; after cse"),
                          (":plan saxpy", "saxpy on "), (":llvm saxpy", "define "),
                          (":opt saxpy", "define "), (":asm saxpy", "ret"),
                          (":cuda saxpy (f32, f32[1], f32[1])", "__global__"),
                          (":asm saxpy (f32, f32[1], f32[1])", "ret")):
        check(t.ask(command), part)
    # Assembler between the typed lines, with marks; the graph of its flow; pages.
    check(t.ask(":asm saxpy"), "# [", "]:1", "| v")
    check(t.ask(":cfg saxpy"), "digraph ", " -> ", "label=yes")
    t.ask(':annotate "a page.html" saxpy')
    check((folder / "a page.html").read_text(), '"types": "f64, f64[1], f64[1]"')
    t.ask(":annotate page.html saxpy (f64, f64[1], f64[1])")
    check((folder / "page.html").read_text(), "<!doctype html>", '"types": "f64, f64[1], f64[1]"')
    # Completion: of commands, of variables behind them, of C++, of files in strings and behind :load.
    for text, rest in ((":sign", "atures"), (":ir sax", "py"), ("saxp", "y"),
                       ('load_npy("some.n', "py"), (":load some.k", "iln"),
                       # Members, names of kiln and of std, those in an open bracket.
                       ("x.broadca", "st_to"), ("saxpy.specialisa", "tions"), ("lins", "pace"),
                       ("kiln::guvec", "torize"), ("std::lower_bo", "und")):
        t.type(text + "\t")
        t.expect(re.escape(text[-4:]) + r"[^a-z]*(\x1b[^a-zA-Z]*[a-zA-Z])?" + rest)
        t.type("\x03")
        t.expect("kiln> ")
    check(t.ask(":signatures saxpy"), "(f64, f64[1], f64[1])", "(f32, f32[1], f32[1])")
    check(t.ask(":time saxpy(2.0, x, x)"), "first call ", "warm: best ", "elements/s")
    check(t.ask(":diff saxpy ir llvm"), "--- a: ir", "+++ b: llvm", "-kernel saxpy(")
    # With other options: of the stage that the other side names, else of assembler.
    check(t.ask(":diff saxpy ir fastmath"), "-    %4 = add f32 %3, %2  ;",
          "+    %4 = add f32 %3, %2 fast(nnan,ninf,nsz,arcp,contract,afn,reassoc)")
    check(t.ask(":diff saxpy llvm (f64, f64[1], f64[1])"), "+++ b: (f64, f64[1], f64[1])", "x double>")
    check(t.ask(":diff saxpy asm checked=off"), "no difference")
    check(t.ask(":diff saxpy fastmath fuse=off"), "saxpy is an element-wise kernel, which has no .fuse")
    check(t.ask(":diff saxpy ir faster"), "'faster' is nothing to compare (a stage (ir, ")
    t.ask("auto steps = jit([](In a, Out b, Out c) { for (Index i : prange(a.extent(0))) b(i) = a(i) + 1.0; "
          "for (Index i : prange(a.extent(0))) c(i) = b(i) * 2.0; });")
    t.ask("Array u = zeros({5}), w = zeros({5}); steps(x, u, w);")
    check(t.ask(":diff steps plan fuse=off"), "-  fused: ")
    check(t.ask(":diff steps plan parallel"), "-  this prange runs on one thread", "+  threads: ")
    check(t.ask(":stats saxpy"), "compiles", "hits")
    check(t.ask(":nonsense"), "there is no command :nonsense (:help tells what there is)")
    check(t.ask(":ir"), "a kernel is missing")
    # Three kinds of mistakes, each said at the typed line.
    check(t.ask("int wrong = 1 +;"), "]:1:16: error: expected expression")
    said = t.ask("auto bad = vectorize([](Value v) { if (v) return v; return -v; });")
    check(said, "a Value has no truth value while a kernel is traced; use if_(...) or select(...)",
          "]:1:40: note:")
    assert "stopped by" not in said, said
    check(t.ask("saxpy(2.0, x, linspace(0, 1, 4))"),
          "]:1: error: cannot broadcast (5,) with (4,)", "    saxpy(2.0, x, linspace(0, 1, 4))")
    # What is typed may crash.
    t.ask("int n = 0; int* nowhere = nullptr;")
    check(t.ask("10 / n"), "stopped by SIGFPE", "the session is what it was before")
    check(t.ask("*nowhere = 1;"), "stopped by SIGSEGV")
    check(t.ask('throw std::runtime_error("mine");'), "an exception was not caught: mine")
    check(t.ask("std::abort();"), "stopped by SIGABRT")
    # An input that fails leaves nothing behind, also of what it had done before.
    t.ask("n = 7; throw 1;")
    check(t.ask("n"), "0\n")
    # It goes on: old names, new kernels, threads.
    check(t.ask("saxpy(3.0, x, x)"), "[0. 1. 2. 3. 4.]")
    t.ask("auto later = jit([](In a) -> Value { Var s(f64, 0); "
          "for (Index i : prange(a.extent(0))) s += a(i); return s; }, {.parallel = true});")
    check(t.ask("later(ones({1000000}))"), "1000000")
    # Ctrl-C drops the line, and what runs; Ctrl-D leaves.
    t.type("int dropped = ")
    t.expect("int dropped = ")  # so that it waits for a key
    t.type("\x03")
    t.expect("kiln> ")
    t.type("for (volatile int i = 0;;) i = 1;\r")
    t.expect(r"\r?\n")
    time.sleep(1)
    t.type("\x03")
    t.expect("interrupted; the session is what it was before")
    t.expect("kiln> ")
    check(t.ask("x"), "[0.   0.25 0.5  0.75 1.  ]")
    assert t.ask_to_leave() == 0
    assert "\x1b[31m" not in t.text, "colour, though NO_COLOR is set"


def with_colours(kiln, environment):
    colourful = {name: value for name, value in environment.items() if name != "NO_COLOR"}
    t = Terminal([kiln], colourful)
    t.expect("kiln> ")
    t.ask("auto twice = vectorize([](Value v) { return 2 * v; });")
    t.ask("twice(1.0)")
    said = t.ask(":diff twice ir llvm")
    assert re.search(r"\x1b\[31m-kernel ", said) and re.search(r"\x1b\[32m\+define ", said), said
    check(t.ask(":diff twice ir ir"), "no difference")
    t.ask_to_leave()


def of_other_programs(kiln, environment):
    """What :asm -s and :ptx show, and what they say where llvm-mca, NVRTC or diff is not there."""
    text = ('auto twice = vectorize("twice", [](Value v) { return 2 * v; });\n'
            "twice(ones({3})) ;\n:asm -s twice\n:ptx twice (f32[1])\n:diff twice ir llvm\n")
    missing = run(kiln, {**environment, "PATH": "/nowhere", "KILN_LIBNVRTC": "/none.so"}, "-k", text=text)
    check(missing.stderr, "there is no llvm-mca (", "NVRTC was not found: KILN_LIBNVRTC says /none.so",
          "there is no diff (")
    assert missing.stdout == "", missing
    said = run(kiln, environment, "-k", text=text)
    if "there is no llvm-mca" not in said.stderr:
        check(said.stdout, "Iterations:        100", "Block RThroughput: ", "Resource pressure per iteration")
        assert "llvm-mca" not in said.stderr, said
    if "NVRTC was not found" not in said.stderr:
        check(said.stdout, ".visible .entry kiln_twice(", "ret;")
    check(said.stdout, "-kernel twice(")


def run(kiln, environment, *words, text=""):
    return subprocess.run([kiln, *words], input=text, capture_output=True, text=True,
                          env=environment, timeout=LIMIT)


def from_a_pipe(kiln, environment):
    said = run(kiln, environment, text="int a = 6;\na * 7\na * b\na\n")
    assert said.stdout == "42\n", said.stdout
    assert said.returncode == 1
    check(said.stderr, "[3]:1:5: error: use of undeclared identifier 'b'")
    said = run(kiln, environment, "-k", text="int a = 6;\na * b\na\n")
    assert said.stdout == "6\n", said.stdout
    assert said.returncode == 1
    # A directive is one, whatever stands in it.
    said = run(kiln, environment, text="#define TWICE(s) s; s\nint n = 0;\nTWICE(++n);\nn\n"
               "#define EACH(f) for (int i : {1, 2}) { f(i); } \\\n  f(3)\n"
               "EACH([](int i) { n += i; });\nn\n")
    assert (said.stdout, said.stderr) == ("2\n8\n", ""), said
    # Lambdas capture variables of the session as those of a function.
    said = run(kiln, environment, text="double k = 3;\nint n = 0;\nauto by = vectorize([=](Value v) { return v * k; });\n"
               "auto fixed = vectorize([k, more = 1](Value v) { return v * k + more; });\nk = 5;\n"
               "fixed(2.0)\nby(2.0)\nstd::vector<int> all{1, 2, 3};\n"
               "for (int i : {1, 2}) std::for_each(all.begin(), all.end(), [&n, i](int x) { n += i * x; });\nn\n"
               "std::count_if(all.begin(), all.end(), [n](int x) { return 6 * x < n; })\n"
               "auto f = [&, n](int x) { return [=] { return x + n + k; }(); };\nf(1)\n")
    assert (said.stdout, said.stderr) == ("7.  f64 ()\n10.  f64 ()\n18\n2\n24\n", ""), said
    # Names of the session hide kiln's, as in a function of a program.
    said = run(kiln, environment, text="using namespace kiln;\nint clip = 3;\ndouble sum(double x) { return x / 2; }\n"
               "clip + ::clip\nsum(3.0)\nsum(Array::of({1.0, 2.0}))\nkiln::clip(linspace(0, 4, 3), 1, 3)\n"
               "vectorize([](Value i) { return random::uniform<double>(1, 0, i) < 1; })(3)\nf32\n::clip\nclip = 4;\nclip\n")
    assert (said.stdout, said.stderr) == ("6\n1.5\n3.  f64 ()\n[1. 2. 3.]  f64 (3,)\nTrue  bool ()\nf32\n3\n4\n", ""), said
    # What no other file sees is one variable, which is initialised once.
    said = run(kiln, environment, text="int n = 5;\nstatic int s = n;\nstatic std::vector<int> v{n, 1};\nnamespace { int a = n + 2; }\n"
               "auto h = [m = n, z = std::string(\"of \")] { return z + std::to_string(m); };\nn = 9;\nh()\ns += 1;\n"
               "v.push_back(a);\ns\nv\nint twice = s + a;\ntwice\nint calls() { static int all = 0; return ++all; }\n"
               "calls() + calls()\ncalls()\n")
    assert (said.stdout, said.stderr, said.returncode) == ("\"of 5\"\n6\n{5, 1, 7}\n13\n3\n3\n", "", 0), said
    said = run(kiln, environment, text="std::exit(5);")
    assert said.returncode == 5
    said = run(kiln, environment, text='struct Last { ~Last() { std::puts("destroyed"); } } last;')
    assert (said.stdout, said.returncode) == ("destroyed\n", 0), said


def kernels_of_functions(kiln, environment):
    """vectorize and jit of functions that were typed, with what these use; text::vectorize and its kin."""
    said = run(kiln, environment, text="""
double collatz(double x) {
    double n = 0;
    for (int i = 0; i < 3; ++i) {
        if (x > 4) x = x / 2; else x = 3 * x + 1;
        n += x;
    }
    return n;
}
vectorize("collatz", &collatz)(Array::of({1.0, 2.0, 9.0}))
Array half = Array::of({1.0, 2.0, 4.0, 8.0}), y = zeros({4});
namespace mine { const double third = 3, half = 0.5; struct Pair { double a, b; double sum() const { return a + b; } }; }
#define TWICE(x) (2 * (x))
using namespace std;
double weigh(double x) { mine::Pair p{x * mine::half, TWICE(sqrt(x))}; return p.sum(); }
double calls(double x, double& root) { root = std::sqrt(x); return weigh(x) + 1; }
auto both = vectorize(calls); std::vector<Array> all = both.all(Array::of({1.0, 4.0}));
all[0]
all[1]
void smooth(View<const double, 1> a, View<double, 1> b) { for (long i : native::prange(1, a.extent(0) - 1)) b(i) = (a(i - 1) + a(i + 1)) / 2; }
auto smoothed = jit(smooth, {.parallel = true}); smoothed(half, y);
y
double total(View<const double, 1> a) { double s = 0; for (int i = 0; i < a.extent(0); ++i) s += a(i); return s; }
jit(total)(half)
template <class T> T cube(T v) { return v * v * v; }
vectorize(&cube<int>)(3)
double cube(double v, double w) { return v * w * w; }
vectorize(static_cast<double (*)(double, double)>(cube))(half, 2)
template <> float cube(float v) { return v; }
double by_both(double v) { return cube(v) + cube(2.0f); }
vectorize(by_both)(half)
struct Of { static int next(int i); template <class T> static T twice(T v); };
template <class T> T Of::twice(T v) { return 2 * v; }
int Of::next(int i) { return twice(i) + 1; }
vectorize(&Of::next)(3)
text::vectorize("double square(double x) { return x * x; }", "square")(half)
text::jit<Scalar>("double first(View<const double, 1> a) { return a(0); }", "first")(half)
text::guvectorize("void dot(View<const double, 1> a, View<const double, 1> b, double& c) { c = 0; for (int i = 0; i < a.extent(0); ++i) c += a(i) * b(i); }", "dot", "(n),(n)->()")(half, half)
text::stencil("double left(Neighbors<double, 1> a) { return a(-1); }", "left", {.boundary = Boundary::nearest})(half)
""")
    # 1: 4, 13, 6.5; 2: 7, 3.5, 11.5; 9: 4.5, 2.25, 7.75
    assert (said.stdout, said.stderr) == (
        "[23.5 22.  14.5]  f64 (3,)\n[3.5 7. ]  f64 (2,)\n[1. 2.]  f64 (2,)\n[0.  2.5 5.  0. ]  f64 (4,)\n15.  f64\n"
        "27  i32 ()\n[ 4.  8. 16. 32.]  f64 (4,)\n[  3.  10.  66. 514.]  f64 (4,)\n7  i32 ()\n[ 1.  4. 16. 64.]  f64 (4,)\n1.  f64\n"
        "85.  f64 ()\n[1. 1. 2. 4.]  f64 (4,)\n", ""), said
    # What no kernel can do is told at its line, wherever that was typed.
    said = run(kiln, environment, "-k", text="""double helper(double x) {
    static int calls = 0;
    return x + ++calls;
}
double f(double x) { return helper(x); }
vectorize(f)(1.0)
double state = 2;
double g(double x) {
    return x *
           state;
}
vectorize(g)(1.0)
static double own(double x) { return x; }
vectorize(own)(1.0)
f(1.0)
""")
    check(said.stderr, "[1]:2: error: a variable that stays from call to call",
          "    static int calls = 0;\n               ^\n",
          "[5]:3: error: state is a variable outside of the kernel", "           state;\n           ^\n",
          "[8]:1: error: no kernel can be made of this function (type its body in the session")
    assert said.stderr.count("static int calls") == 1, said
    assert said.stdout == "2\n", said


def from_files(kiln, environment, folder):
    script = folder / "script.kiln"
    script.write_text("template <class T>\nT half(T x)\n{\n  return x / 2;\n}\n"
                      "#include <string>\n:nothing\nhalf(5)\n")
    said = run(kiln, environment, str(script))
    assert (said.stdout, said.returncode) == ("", 1), said
    said = run(kiln, environment, "-k", str(script))
    assert (said.stdout, said.returncode) == ("2\n", 1), said
    saved = folder / "saved.kiln"
    said = run(kiln, environment, "-k",
               text=f"int k = 3;\nint wrong\n\nk + 1\n:save {saved}\n:load {saved}\n:quit\nk\n")
    assert saved.read_text() == "int k = 3;\nk + 1\n", saved.read_text()
    said = run(kiln, environment, text=f":load {saved}\n")
    assert said.stdout == "4\n", said
    blanks = folder / "with blanks.kiln"
    said = run(kiln, environment, text=f'int k = 3;\n:save "{blanks}"\n:load "{blanks}\n')
    check(said.stderr, "has no quote at its end")
    assert run(kiln, environment, text=f':load "{blanks}"\nk\n').stdout == "3\n"
    assert run(kiln, environment, text=f":load {blanks}\nk\n").stdout == "3\n"
    check(run(kiln, environment, text=":load\n").stderr, ":load takes one file")
    assert run(kiln, environment, str(folder / "none.kiln")).returncode == 1


def values(kiln, environment):
    cases = {'true': "true", "'c'": "'c'", "2.5f": "2.5", '"a\\"b"': '"a\\"b"', "f32": "f32",
             'std::string("s")': '"s"', "std::vector{1, 2}": "{1, 2}", "std::pair{1, 2.5}": "(1, 2.5)",
             "std::optional<int>(4)": "4", "Array::of({1.5f, 2.0f})": "[1.5 2. ]  f32 (2,)",
             "(void)0": None, "ufunc::exp": "kernel exp of vectorize, not called yet",
             "sum(ones({3}))": "3.  f64 ()"}
    said = run(kiln, environment, "-k", text="\n".join(cases) + "\n")
    expected = [text for text in cases.values() if text is not None]
    # `std::vector{1, 2}` ends with a brace: a statement.
    expected = [t for t in expected if t not in ("{1, 2}", "(1, 2.5)")]
    assert said.stdout.splitlines() == expected, said


def main():
    kiln = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        environment = {**os.environ, "KILN_CACHE_DIR": str(folder / "cache"), "TERM": "xterm",
                       "KILN_HISTORY": str(folder / "history"), "NO_COLOR": "1", "PAGER": "cat"}
        on_a_terminal(kiln, environment, folder)
        check((folder / "history").read_text(), "linspace(0,")
        with_colours(kiln, environment)
        of_other_programs(kiln, environment)
        from_a_pipe(kiln, environment)
        kernels_of_functions(kiln, environment)
        from_files(kiln, environment, folder)
        values(kiln, environment)
    print("sessions: all checks passed")


if __name__ == "__main__":
    main()
