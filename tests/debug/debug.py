#!/usr/bin/env python3
"""What debuggers and profilers see of kernels: gdb stops at their lines, a jitdump has them.

usage: debug.py PROGRAM        PROGRAM is program.cpp. 77: there is no gdb; what needs none has run.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT = 300
PERF_FOLDER = Path(os.sep, "tmp")  # where perf looks for maps, whatever the environment says


def line_of(file, text):
    """The number of the line that has this text."""
    lines = (HERE / file).read_text().splitlines()
    return 1 + next(i for i, line in enumerate(lines) if text in line)


def check(text, *parts):
    for part in parts:
        if not re.search(part, text):
            raise AssertionError(f"no {part!r} in:\n{text}")


def run(program, environment, **more):
    return subprocess.run([program, str(HERE / "mean.cpp")], capture_output=True, text=True,
                          env=environment, timeout=LIMIT, **more)


def gdb(program, environment, *commands):
    command = ["gdb", "-q", "-batch", "-nx", "-ex", "set breakpoint pending on", "-ex", "set width 0",
               "-ex", "set debuginfod enabled off"]
    for c in commands:
        command += ["-ex", c]
    done = subprocess.run([*command, "--args", program, str(HERE / "mean.cpp")], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=LIMIT)
    return done.stdout + done.stderr


def stops(program, environment):
    environment = {**environment, "KILN_DEBUG": "1"}
    assert run(program, environment).stdout == "1400.5 10 1.5\n"
    # A lambda: first it is traced; the third time at its line two terms have been added.
    line = line_of("program.cpp", "total += term * term;")
    said = gdb(program, environment, f"break program.cpp:{line}", "run", "continue", "continue", "continue",
               "print total", "print k", "backtrace", "delete", "continue")
    check(said, rf"weighted .*program.cpp:{line}\n{line}\s+total \+= term", r"\$1 = 100.5\n", r"\$2 = 2\n",
          rf"#0 .*weighted .*program.cpp:{line}\n", r"#\d+ .*main .*program.cpp", "1400.5 10 1.5")
    # An element-wise kernel: its lines.
    line = line_of("program.cpp", "Value both = w * h;")
    check(gdb(program, environment, f"break program.cpp:{line}", "run", "continue", "backtrace"),
          rf"#0 .*area .*program.cpp:{line}\n")
    # A text.
    line = line_of("mean.cpp", "sum += next;")
    said = gdb(program, environment, f"break mean.cpp:{line}", "run", "continue", "continue", "continue",
               "print sum", "print i", "backtrace", "finish")
    check(said, rf"mean .*mean.cpp:{line}\n{line}\s+sum \+= next;", r"\$1 = 3\n", r"\$2 = 3\n",
          rf"#0 .*mean .*mean.cpp:{line}\n", r"#\d+ .*main .*program.cpp")


def records(dump):
    """The records of a jitdump: kind and body."""
    data = dump.read_bytes()
    magic, version, size, machine = struct.unpack_from("<IIII", data)
    assert (magic, version, machine) == (0x4A695444, 1, 62), (magic, version, machine)
    at = size
    while at < len(data):
        kind, total, _ = struct.unpack_from("<IIQ", data, at)
        yield kind, data[at + 16:at + total]
        at += total
    assert at == len(data)


def text_at(body, at):
    end = body.index(b"\0", at)
    return body[at:end].decode(), end + 1


def profiles(program, environment, folder):
    said = run(program, {**environment, "KILN_PERF": "1", "KILN_PERF_DIR": str(folder)})
    assert said.stdout == "1400.5 10 1.5\n", said
    (dump,) = folder.glob("jit-*.dump")
    functions, lines, address = {}, {}, None
    for kind, body in records(dump):
        if kind == 2:  # lines come before their function
            address, count = struct.unpack_from("<QQ", body)
            at = 16
            for _ in range(count):
                where, line, _ = struct.unpack_from("<QII", body, at)
                file, at = text_at(body, at + 16)
                assert where >= address
                lines.setdefault(address, set()).add((Path(file).name, line))
        else:
            assert kind == 0, kind
            _, _, start, code, size, _ = struct.unpack_from("<IIQQQQ", body)
            name, at = text_at(body, 40)
            assert start == code and len(body) - at == size
            functions.setdefault(name, set()).update(lines.get(start, set()))
    assert ("program.cpp", line_of("program.cpp", "total += term")) in functions["weighted"], functions
    assert ("program.cpp", line_of("program.cpp", "w * h")) in functions["area"], functions
    assert ("mean.cpp", line_of("mean.cpp", "sum += next;")) in functions["mean"], functions
    map_file = PERF_FOLDER / f"perf-{dump.stem.removeprefix('jit-')}.map"
    check(map_file.read_text(), r"(?m)^[0-9a-f]+ [0-9a-f]+ weighted$")
    assert map_file.stat().st_mode & 0o777 == 0o600 and dump.stat().st_mode & 0o777 == 0o600
    map_file.unlink()
    # What another user left under that name, to have a file of this one's written to.
    victim = folder / "victim"
    victim.write_text("mine")
    script = 'ln -s "$1" "$0/perf-$$.map" && echo $$ && exec "$2" "$3"'
    said = subprocess.run(["sh", "-c", script, str(PERF_FOLDER), str(victim), program, str(HERE / "mean.cpp")],
                          capture_output=True, text=True, timeout=LIMIT,
                          env={**environment, "KILN_PERF": "1", "KILN_PERF_DIR": str(folder)})
    (PERF_FOLDER / f"perf-{said.stdout.split()[0]}.map").unlink()
    assert said.returncode != 0 and victim.read_text() == "mine", said
    check(said.stderr, r"perf-\d+.map cannot be written: ")


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        environment = {**os.environ, "KILN_CACHE_DIR": str(folder / "cache")}
        environment.pop("KILN_CACHE", None)
        for name in ("KILN_DEBUG", "KILN_PERF", "KILN_PERF_DIR"):
            environment.pop(name, None)
        assert run(program, environment).stdout == "1400.5 10 1.5\n"
        profiles(program, environment, folder)
        if shutil.which("gdb") is None:
            print("SKIPPED: gdb is not installed; the jitdump was checked")
            return 77
        stops(program, environment)
        stops(program, environment)  # from the disk cache
    print("gdb and profilers: all checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
