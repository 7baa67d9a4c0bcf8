"""Exported kernels in a shared library, by ctypes: on arrays of NumPy where it is there, else on the
standard library's. usage: call.py FOLDER LIBRARY"""

import _ctypes
import array
import ctypes
import sys
from pathlib import Path

folder, library = Path(sys.argv[1]), sys.argv[2]
code = ctypes.CDLL(library)
i64, f64 = ctypes.c_int64, ctypes.c_double
doubles = ctypes.POINTER(f64)


def expected(name):
    return (folder / f"{name}.bin").read_bytes()


def value(i, seed):
    return ((i * 7919 + seed * 104729) % 1009 + 1) / 64


try:
    import numpy
except ImportError:
    numpy = None


def inputs(n, seed):
    if numpy is None:
        return array.array("d", (value(i, seed) for i in range(n)))
    return ((numpy.arange(n) * 7919 + seed * 104729) % 1009 + 1) / 64


def zeros(n):
    return array.array("d", bytes(8 * n)) if numpy is None else numpy.zeros(n)


def data(values):
    if numpy is None:
        return ctypes.cast(values.buffer_info()[0], doubles)
    return values.ctypes.data_as(doubles)


n = 100_003
spot, strike, years, calls, puts = (*(inputs(n, s) for s in (1, 2, 3)), zeros(n), zeros(n))
status = code.black_scholes(i64(n), data(spot), data(strike), data(years), f64(0.02), f64(0.3),
                            data(calls), data(puts))
assert status == 0, status
assert calls.tobytes() + puts.tobytes() == expected("black_scholes")

shape = (i64 * 2)(300, 500)
now, after = inputs(300 * 500, 7), zeros(300 * 500)
assert code.heat(data(now), shape, None, data(after), shape, None, f64(0.1)) == 0
assert after.tobytes() == expected("heat")
if numpy is not None:  # a view: rows with gaps between them
    wide = numpy.zeros((300, 640))
    wide[:, 40:540] = now.reshape(300, 500)
    view, after[:] = wide[:, 40:540], 0
    assert code.heat(view.ctypes.data_as(doubles), view.ctypes.shape_as(i64),
                     view.ctypes.strides_as(i64), data(after), shape, None, f64(0.1)) == 0
    assert after.tobytes() == expected("heat")
code.kiln_rt_status_text.restype = ctypes.c_char_p
assert code.heat(data(now), shape, None, data(now), shape, None, f64(0.1)) == 2
assert b"overlaps" in code.kiln_rt_status_text(2)
_ctypes.dlclose(code._handle)  # its threads end with it
print("Python: the bits that kiln gave" + (", without NumPy" if numpy is None else ""))
