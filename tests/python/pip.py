"""`pip install jit/python` against an installed kiln, and the program of the package's README with what it installed.

usage: pip.py BUILD   the build folder that kiln is installed from. Exit status 77: NumPy, nanobind or scikit-build-core are missing.

Nothing is downloaded: what pip would get for the build is that of this Python.
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

for needed in ("numpy", "nanobind", "scikit_build_core"):
    if importlib.util.find_spec(needed) is None:
        print(f"skipped: {needed} is not installed")
        sys.exit(77)

package = pathlib.Path(__file__).parents[2] / "jit" / "python"

CHECKS = """
import pathlib, sys
assert pathlib.Path(kiln.__file__).is_relative_to(sys.argv[1]), kiln.__file__
x = np.linspace(0, 1, 1_000_000)
np.testing.assert_allclose(y, np.exp(-2 * x) * x, rtol=1e-14)
np.testing.assert_array_equal(b[[0, -1]], y[[0, -1]])
np.testing.assert_allclose(b[1:-1], y[1:-1] + 0.1 * (y[:-2] - 2 * y[1:-1] + y[2:]), rtol=1e-14)
print("the package that pip installed")
"""


def main(work):
    prefix, site = work / "kiln", work / "site"
    subprocess.run(["cmake", "--install", sys.argv[1], "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
                    "--no-deps", "--no-build-isolation", "--target", site, package],
                   check=True, env={**os.environ, "CMAKE_PREFIX_PATH": str(prefix)})
    example = re.search(r"```python\n(.*?)```", (package / "README.md").read_text(), re.S)[1]
    program = work / "program.py"
    program.write_text(example + CHECKS)
    env = {**os.environ, "PYTHONPATH": str(site), "KILN_CACHE_DIR": str(work / "cache")}
    subprocess.run([sys.executable, program, site], check=True, env=env, cwd=work)


with tempfile.TemporaryDirectory(prefix="kiln-pip-") as folder:
    main(pathlib.Path(folder))
