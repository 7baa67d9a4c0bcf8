"""PTX and machine code in the disk cache: found by the next process, which opens no NVRTC for it; made anew by
another NVRTC.

    ptx_cache.py PROGRAM FAKE_LIBRARY

PROGRAM makes the PTX of one kernel, or runs one, and says how many texts NVRTC compiled for it.
"""
import os
import shutil
import subprocess
import sys
import tempfile


def main():
    program, fake = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        nvrtc = os.path.join(folder, "libnvrtc.so")
        shutil.copy(fake, nvrtc)
        environment = dict(
            os.environ, KILN_CACHE="on", KILN_CACHE_DIR=os.path.join(folder, "cache"),
            KILN_LIBNVRTC=nvrtc, LD_LIBRARY_PATH=os.path.dirname(fake))  # whose libraries it needs
        environment.pop("KILN_CUDA_ARCH", None)

        def run(what="ptx", **variables):
            done = subprocess.run([program, what], env={**environment, **variables},
                                  text=True, capture_output=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout.strip()

        compiled, found = "compiled: 1, NVRTC is open", "compiled: 0, NVRTC is not open"
        expect(run(), compiled, "the first process")
        expect(run(), found, "the next process")
        expect(run(KILN_CUDA_ARCH="sm_90"), compiled, "another architecture")
        expect(run(KILN_CACHE="off"), compiled, "without a cache")
        # An update in place, and back.
        later = os.stat(nvrtc).st_mtime + 10
        os.utime(nvrtc, (later, later))
        newer = {"KILN_FAKE_NVRTC_MINOR": "9"}
        expect(run(**newer), compiled, "a newer NVRTC")
        expect(run(**newer), found, "the same again")
        os.utime(nvrtc, (later + 10, later + 10))
        expect(run(), compiled, "an older one")

        environment["KILN_LIBCUDA"] = fake
        made, none = "cubins: 1, PTX: 0, no error", "cubins: 0, PTX: 0, no error"
        expect(run("image"), made, "machine code for the device")
        expect(run("image"), none, "the next process")
        expect(run("image", KILN_CUDA_ARCH="sm_90"), none, "code that runs is for the device that there is")
        expect(run("image", KILN_FAKE_CUDA_COMPUTE="90"), made, "another device")
        newer = run("image", KILN_FAKE_CUDA_COMPUTE="86")
        expect(newer, "cubins: 0, PTX: 1, no error", "a device that NVRTC does not know: PTX of one before it")
        older = run("image", KILN_FAKE_CUDA_COMPUTE="70")
        expect("NVRTC 12.0 makes no code for sm_70, but for sm_75 and newer ones" in older, True, older)


def expect(got, wanted, what):
    assert got == wanted, f"{what}: {got}, not {wanted}"


if __name__ == "__main__":
    main()
