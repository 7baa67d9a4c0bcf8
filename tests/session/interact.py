#!/usr/bin/env python3
"""Sessions inside of a program of a user's, and over what a plugin exports; kiln inspect.

usage: interact.py KILN HOST PLUGIN.so     HOST is host.cpp, PLUGIN.so is plugin.cpp
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from terminal import LIMIT, Terminal, check


def in_a_program(host, environment):
    t = Terminal([host], environment)
    check(t.expect("kiln> "), "There are saxpy, total, x, scale.")
    # The program's own kernels and arrays, with what was compiled for them.
    check(t.ask("saxpy"), "kernel saxpy of vectorize\n  (f64, f64[1], f64[1])")
    check(t.ask("saxpy(scale, x, x)"), "[0.    0.875 1.75  2.625 3.5  ]")
    check(t.ask(":ir saxpy"), "kernel saxpy(")
    check(t.ask("total(ones({1000000}))"), "1000000.")
    t.ask("auto twice = vectorize([](Value v) { return 2 * v; });")
    check(t.ask("twice(x)"), "[0.  0.5 1.  1.5 2. ]")
    # Mistakes and crashes leave the program as it was.
    check(t.ask("saxpy(scale, x, linspace(0, 1, 4))"), "cannot broadcast (5,) with (4,)")
    check(t.ask("*(int*)nullptr = 1;"), "stopped by SIGSEGV")
    check(t.ask("x.at<double>({0}) = 5; throw 1;"), "an exception was not caught")
    check(t.ask("x"), "[0.   0.25 0.5  0.75 1.  ]")
    # What it does well is done to the program.
    t.ask("x.at<double>({0}) = 7;")
    check(t.ask("saxpy(f32(1), Array::of({1.5f}), Array::of({2.0f}))"), "[3.5]  f32 (1,)")
    assert t.ask_to_leave() == 3
    check(t.text.replace("\r", ""), "x(0) is 7, saxpy was compiled 2 times, total 1e+06\n")


def run(environment, *command, text=""):
    return subprocess.run(command, input=text, capture_output=True, text=True, env=environment,
                          timeout=LIMIT)


def from_a_pipe(host, environment):
    said = run(environment, host, text="scale * 2\nnothing\nscale\n")
    assert said.stdout == "5\nx(0) is 0, saxpy was compiled 1 times, total 1e+06\n", said
    assert said.returncode == 3
    check(said.stderr, "use of undeclared identifier 'nothing'")
    # A process with threads of its own has no copies, and says so.
    said = run(environment, host, "--threads", text="scale\n")
    assert (said.stdout.splitlines()[0], said.returncode) == ("2.5", 3), said
    assert said.stderr == ("this program has 1 other thread, which no copy of it would have: an "
                           "input that crashes ends it\n"), said
    said = run(environment, host, "--name")
    assert (said.stdout, said.returncode) == ("error: 'no name' is no name of C++\n", 1), said


def over_a_plugin(kiln, plugin, environment, folder):
    said = run(environment, kiln, plugin,
               text="scaled(2.0, grid)\nrows(linspace(0, 1, 3))\n:ir rows (f64[2])\n")
    assert said.stdout.startswith("[0. 2. 4. 6.]  f64 (4,)\n1.5  f64 ()\nkernel rows("), said
    said = run(environment, kiln, "inspect", plugin, "--kernel", "scaled", "--sig",
               "(f64, f32[1])", "--emit", "plan")
    assert said.stdout.startswith("scaled on "), said
    said = run(environment, kiln, "inspect", plugin, "--kernel=grid", "--sig=")
    assert (said.stderr, said.returncode) == (
        f"error: {plugin} exports no kernel 'grid' (it exports scaled, rows)\n", 1), said
    said = run(environment, kiln, "inspect", plugin, "--kernel", "scaled", "--sig", "f63")
    assert said.returncode == 2, said
    check(said.stderr, "'f63' is no type; f64, f32[1] (of rank 1), i32[2] are some")
    said = run(environment, kiln, "inspect", plugin, "--kernel", "scaled", "--sig", "f64", "--fastmath")
    assert said.returncode == 2, said
    check(said.stderr, "--fastmath is of C++ text; what ")
    assert run(environment, kiln, str(folder / "none.so")).returncode == 1


def of_text(kiln, environment, folder):
    text = folder / "text.cpp"
    text.write_text("double half(double x) { return x / 2; }\n"
                    "double total(View<const double, 1> a) {\n"
                    "    double s = 0;\n"
                    "    for (int i = 0; i < a.extent(0); ++i) s += a(i);\n"
                    "    return s;\n"
                    "}\n"
                    "void last(View<const double, 1> a, double& b) { b = a(a.extent(0) - 1); }\n")
    for kernel, types, emit, more, part in (
            ("half", "f64[1]", "ir", (), "  ; text.cpp:1"), ("half", "f32", "asm", (), "ret"),
            ("total", "f64[1]", "opt", (), "define "), ("half", "f64[1]", "cfg", (), "digraph "),
            ("total", "f64[1]", "asm", ("--lines",), "# text.cpp:4: for (int i = 0"),
            ("half", "f64[1]", "asm", ("--lines",), "| "),
            ("half", "f64[1]", "opt", ("--lines",), "; text.cpp:1: double half(double x)"), ("total", "f64[1]", "plan", (), "text.cpp:4: "),
            ("last", "f64[2]", "ir", ("--layout", "(n)->()"), "kernel last(")):
        said = run(environment, kiln, "inspect", str(text), "--kernel", kernel, "--sig", types,
                   "--emit", emit, *more)
        assert said.returncode == 0, said
        check(said.stdout, part)
    # Options are those of the kernel, and fit it.
    said = run(environment, kiln, "inspect", str(text), "--kernel", "half", "--sig", "f64", "--fastmath")
    check(said.stdout, "fast(nnan,", "}\n")
    said = run(environment, kiln, "inspect", str(text), "--kernel", "half", "--sig", "f64", "--fastmath=nsz")
    check(said.stdout, "fast(nsz)")
    said = run(environment, kiln, "inspect", str(text), "--kernel", "half", "--sig", "f64", "--lines")
    assert said.returncode == 2, said
    check(said.stderr, "--lines is of opt and asm, not of ir")
    said = run(environment, kiln, "inspect", str(text), "--kernel", "half", "--sig", "f64", "--mode", "jit",
               "--layout", "()->()")
    assert said.returncode == 2, said
    check(said.stderr, "--layout is of guvectorize; this is jit")
    page = folder / "page.html"
    said = run(environment, kiln, "annotate", str(text), "--kernel", "total", "-o", str(page), "--sig",
               "f64[1]; (f64[1])")
    assert said.returncode == 0, said
    html = page.read_text()
    data = json.loads(html.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    assert data["kernel"] == "total"
    assert [s["types"] for s in data["signatures"]] == ["f64[1]", "f64[1]"]
    (source,) = data["sources"]
    assert source["lines"] == text.read_text().splitlines() and source["first"] == 1
    assert [loop["line"] for loop in data["signatures"][0]["plan"]["loops"]] == [4]
    check(data["signatures"][0]["assembly"], "# text.cpp:4: for (int i = 0")
    for attribute in ("src=", "href=", "@import", "url("):
        assert attribute not in html, "a page that needs others"
    assert data["samples"] is None
    # Measured samples: as perf script -F ip,srcline prints them, and with counts.
    profile = folder / "samples.txt"
    profile.write_text("     7f31b4e2a010\n  /where/text.cpp:4\n     7f31b4e2a01c\n  /where/text.cpp:4\ntext.cpp:5 40\n"
                       "     55d0c0a1 [unknown]\n")
    said = run(environment, kiln, "annotate", str(text), "--kernel", "total", "-o", str(page), "--sig",
               "f64[1]", "--profile", str(profile))
    assert said.returncode == 0, said
    html = page.read_text()
    data = json.loads(html.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    assert data["samples"] == {"text.cpp:4": 2, "text.cpp:5": 40}, data["samples"]
    profile.write_text("nothing of a line\n")
    said = run(environment, kiln, "annotate", str(text), "--kernel", "total", "-o", str(page), "--sig",
               "f64[1]", "--profile", str(profile))
    assert said.returncode == 1, said
    check(said.stderr, f"{profile} has no samples (KILN_PERF=1 perf record ")
    said = run(environment, kiln, "inspect", str(text), "--kernel", "none", "--sig", "f64")
    assert said.returncode == 1, said
    check(said.stderr, "the text has no function none (it has half, total, last)")


def of_a_recording(kiln, environment, folder):
    """What perf records of a kernel is in its page."""
    if shutil.which("perf") is None:
        return print("skipped: there is no perf; what it prints was read")
    text = folder / "recorded.cpp"
    text.write_text("double f(long n) {\n    double sum = 0;\n    for (long i = 0; i < n; ++i)\n"
                    "        sum += std::sin(sum + i);\n    return sum;\n}\n")
    recording, lines, samples = (str(folder / name) for name in ("perf.data", "lines.data", "recorded.txt"))
    said = run({**environment, "KILN_PERF": "1", "KILN_PERF_DIR": str(folder), "KILN_CACHE": "off"},
               "perf", "record", "-e", "cpu-clock", "-k", "1", "-o", recording, kiln, "run", str(text), "--kernel", "f",
               "--mode", "jit", "20000000")
    if said.returncode != 0:
        return print(f"skipped: perf records nothing here: {said.stderr.strip()}")
    said = run(environment, "perf", "inject", "--jit", "-i", recording, "-o", lines)
    assert said.returncode == 0, said
    Path(samples).write_text(run(environment, "perf", "script", "-i", lines, "-F", "ip,srcline").stdout)
    page = folder / "recorded.html"
    said = run(environment, kiln, "annotate", str(text), "--kernel", "f", "--mode", "jit", "-o", str(page), "--sig",
               "i64", "--profile", samples)
    assert said.returncode == 0, said
    data = json.loads(page.read_text().split('<script type="application/json" id="data">')[1].split("</script>")[0])
    # Line 0 is that of instructions which the compiler made of several lines.
    own = {line: count for line, count in data["samples"].items()
           if line.startswith("recorded.cpp:") and line != "recorded.cpp:0"}
    assert own.get("recorded.cpp:4", 0) > 0.9 * sum(own.values()) > 0, data["samples"]


def the_manual(kiln, environment):
    manual = (Path(__file__).resolve().parents[2] / "jit" / "tool" / "share" / "kiln.1").read_text()
    manual = manual.replace("\\-", "-")
    said = run(environment, kiln, "--help").stdout
    commands = [line.split()[0] for line in said.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert "inspect" in commands
    for command in commands:
        assert command in manual, f"the manual knows no {command}"
        for line in run(environment, kiln, command, "--help").stdout.split("Options:\n")[1].splitlines():
            option = line.split()[0].split("[")[0].split("=")[0]
            assert option in manual, f"the manual knows no {option} of {command}"


def main():
    kiln, host, plugin = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        environment = {**os.environ, "KILN_CACHE_DIR": str(folder / "cache"), "TERM": "xterm",
                       "KILN_HISTORY": str(folder / "history"), "NO_COLOR": "1", "PAGER": "cat",
                       "KILN_NUM_THREADS": "2"}
        in_a_program(host, environment)
        from_a_pipe(host, environment)
        over_a_plugin(kiln, plugin, environment, folder)
        of_text(kiln, environment, folder)
        of_a_recording(kiln, environment, folder)
        the_manual(kiln, environment)
    print("sessions in programs: all checks passed")


if __name__ == "__main__":
    main()
