"""Kernels of C++ text, compiled while the program runs, over NumPy arrays and whatever else shares its elements.

    import kiln, numpy as np
    damped = kiln.vectorize("double damped(double x, double a) { return std::exp(-a * x) * x; }", parallel=True)
    y = damped(np.linspace(0, 1, 1_000_000), 2.0)

Arguments are Python's numbers, which bring only their kind into a promotion (f32 arrays stay f32), and arrays on the CPU that
export DLPack or the buffer protocol: NumPy's, PyTorch's, array.array. They are not copied, and neither are results, which are
NumPy arrays where NumPy is installed, else objects that export both. Calls let other threads of the program run; kernels may
be called by several at once, and are pickled as their text, so that processes of dask, joblib or multiprocessing compile them
(or find them in the disk cache). What is wrong is kiln.Error, with `kind`, `message`, `hint`, `file` and `line`: of the text, of
the program where the call is what is wrong.

What the text may be: kiln's dsl/README.md, "C++ text". `file` names the text in errors.
"""

import re

from kiln import _kiln
from kiln._kiln import Error

try:
    import numpy as _numpy
except ImportError:
    _numpy = None

__all__ = ["Error", "Guvectorized", "Jitted", "Vectorized", "guvectorize", "jit", "load_bundle", "num_threads", "save_bundle",
           "set_num_threads", "vectorize"]


def _last_function(text):
    """The name of the last function that stands in the text outside of all braces."""
    text = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', " ", text, flags=re.S)
    outside, depth = [], 0
    for c in text:
        depth -= c == "}"
        if depth == 0:
            outside.append("{}" if c == "}" else c if c != "{" else "")
        depth += c == "{"
    found = re.findall(r"(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*(?:noexcept\s*)?(?:->[^{};]*)?\{\}", "".join(outside))
    if not found:
        raise ValueError("kiln: the text has no function; give its name by function=")
    return found[-1]


def _array(result):
    return _numpy.asarray(result) if _numpy is not None and hasattr(result, "__dlpack__") else result


def _results(results):
    results = [_array(r) for r in results]
    return None if not results else results[0] if len(results) == 1 else tuple(results)


class _Kernel:
    def __init__(self, kind, made_of, parallel, checked, fastmath):
        if fastmath is True:
            fastmath = ["all"]
        self._state = (kind, made_of, parallel, checked, fastmath)
        options = _kiln.Options(parallel, checked, list(fastmath or []))
        self._kernel = kind(*made_of, options)
        self.__name__ = made_of[2]

    def __reduce__(self):
        return (_made, (type(self), *self._state))

    def __repr__(self):
        return f"<kiln.{type(self).__name__} {self.__name__}>"

    def inspect(self, artifact, types):
        """A text of what became of the kernel for arguments of these types: inspect("plan", ["f64", "f64[1]"]).

        Artifacts: ir, passes, plan, plan_json, llvm, llvm_opt, llvm_opt_lines, cfg, assembly, assembly_lines, cuda, ptx,
        resources.
        """
        return self._kernel.inspect(artifact, list(types))


class Vectorized(_Kernel):
    """An element-wise kernel: inputs broadcast, dtypes are promoted as NumPy's are."""

    def __call__(self, *args, out=None, where=None, dtype=None):
        """The result, a tuple where there are several; `out` (of several a tuple), where it was given. Where the bool array
        `where` is false nothing is written. `dtype`, such as "f32", is what is computed in."""
        return _results(self._kernel.call(*args, out=out, where=where, dtype=dtype))


class Guvectorized(_Kernel):
    """A kernel of cores, for stacks of them."""

    def __call__(self, *args, out=None, dtype=None):
        """As of Vectorized."""
        return _results(self._kernel.call(*args, out=out, where=None, dtype=dtype))


class Jitted(_Kernel):
    """A loop kernel, which writes to its arrays in place."""

    def __call__(self, *args):
        """What the function returns and gives by references: nothing, a number, or a tuple."""
        return _results(self._kernel.call(*args))


def _made(cls, kind, made_of, parallel, checked, fastmath):
    kernel = cls.__new__(cls)
    _Kernel.__init__(kernel, kind, made_of, parallel, checked, fastmath)
    return kernel


def vectorize(text, function=None, *, parallel=False, checked=False, fastmath=False, file="text"):
    """An element-wise kernel of the function, or of the text's last one.

    Parameters by value are inputs; what it returns, and what it gives by references, are the results. `fastmath`: True, or
    names of LLVM's flags.
    """
    return _made(Vectorized, _kiln.Ufunc, (text, file, function or _last_function(text)), parallel, checked, fastmath)


def guvectorize(text, signature, function=None, *, parallel=False, checked=False, fastmath=False, file="text"):
    """A kernel of small arrays, the cores, for stacks of them: guvectorize(text, "(m,n),(n,p)->(m,p)")."""
    return _made(Guvectorized, _kiln.Gufunc, (text, file, function or _last_function(text), signature), parallel, checked,
                 fastmath)


def jit(text, function=None, *, parallel=False, checked=False, fastmath=False, file="text"):
    """A loop kernel: arrays are View<const double, 2>, which is only read, and View<double, 2>."""
    return _made(Jitted, _kiln.Jit, (text, file, function or _last_function(text)), parallel, checked, fastmath)


def save_bundle(path):
    """Writes the machine code in the disk cache's folder to one file: (kernels in it, those of this CPU)."""
    return _kiln.save_bundle(path)


def load_bundle(path):
    """Kernels are looked for in the file first, whose code runs: load what you trust. Call it before the first kernel compiles."""
    return _kiln.load_bundle(path)


def set_num_threads(threads):
    """How many threads the calling thread's kernels use at most."""
    _kiln.set_num_threads(threads)


def num_threads():
    """How many they use."""
    return _kiln.num_threads()
