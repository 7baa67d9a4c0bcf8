#!/usr/bin/env python3
"""Test programs of the CPU, run on the simulator: KILN_TARGET=sim sends their kernels there.

    tests/jit/sim/suites.py BUILD [FILE...]     FILE: a test file without _test.cpp; none: all of FILES

not_on_sim.txt lists the test cases that fail there, each with its reason: `file: test case: reason`.
A failure that it does not list is one, and so is a listed case that passes.
"""
import os
import subprocess
import sys
import xml.etree.ElementTree as xml

# Those whose kernels the environment sends to the simulator: loops, statements on arrays, stencils,
# ufuncs and their methods.
FILES = """
array_random array_statement conditional_sums forms host_function npbench program_call program_checked
program_facts program_memory program_nest program_nests_random program_positions program_races
program_random program_reduce program_rows program_slices program_states program program_threads
program_trees program_vector shared_loads stencil strided_loads tsvc casts
bind call captures casting complex_ufuncs fault methods random_call random_methods ready
semantics_arithmetic semantics_types semantics_arrays semantics_calls semantics_fastmath
bool_bytes division float16_code workload
""".split()


def expected_failures(folder):
    rows = {}
    with open(os.path.join(folder, "not_on_sim.txt"), encoding="utf-8") as table:
        for line in table:
            if line.strip() and not line.startswith("#"):
                file, case, reason = line.rstrip("\n").split(" | ")
                rows[file.strip(), case.strip()] = reason
    return rows


def failures(build, file):
    """Names of failing test cases of a file with what the first failure says; None: it died."""
    environment = dict(os.environ, KILN_TARGET="sim", KILN_CACHE="off")
    ran = subprocess.run(
        [os.path.join(build, "bin", "kiln_tests"), "--filenames-as-tags", f"[#{file}_test]", "-r", "xml"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = ran.stdout.decode(errors="replace")
    try:
        tree = xml.fromstring(text[text.index("<?xml"):])
    except (ValueError, xml.ParseError):
        return None
    found = {}
    for case in tree.iter("TestCase"):
        result = case.find("OverallResult")
        if result is not None and result.get("success") == "false":
            told = [e.text.strip() for e in case.iter("Exception")]
            told += [f"{e.findtext('Original').strip()}" for e in case.iter("Expression")
                     if e.get("success") == "false"]
            found[case.get("name")] = " ".join((told + ["?"])[0].split())
    return found


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    build, files = sys.argv[1], sys.argv[2:] or FILES
    rows, wrong = expected_failures(folder), 0
    for file in files:
        found = failures(build, file)
        if found is None:
            print(f"{file}: the program died")
            wrong += 1
            continue
        for case, told in found.items():
            if (file, case) not in rows:
                print(f"{file} | {case} | {told}")
                wrong += 1
        for row_file, case in rows:
            if row_file == file and case not in found:
                print(f"{file}: '{case}' is listed in not_on_sim.txt, and passes")
                wrong += 1
    print(f"{len(files)} files, {wrong} differences from not_on_sim.txt")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
