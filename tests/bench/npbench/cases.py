"""The NPBench kernels: inputs, NumPy's program, which is the definition, and numba's programs.

A case has `make(**size)`, which gives the arrays and the scalars in the order in which npbench.cpp
takes them, and `numpy(arrays, scalars)`, which writes the results into the output arrays. `loops`
and `arrays` are numba's programs with the same arguments: loop nests, and the form with array
expressions. `out` names the arrays that are compared; `changes` says that inputs are overwritten.
`rounded` names an input of a sensitive case: accepted is ten times what its last bits change.
"""
import math
from dataclasses import dataclass, field

import numpy as np

try:
    from numba import prange
except ImportError:
    prange = range


@dataclass
class Case:
    name: str
    sizes: dict
    make: object
    numpy: object
    out: tuple
    loops: list = field(default_factory=list)
    arrays: list = field(default_factory=list)
    changes: bool = False
    tolerance: float = 1e-12
    fastmath: bool = True
    rounded: int | None = None  # the input whose rounding errors grow
    steps: int | None = None  # elements of each result that are compared


def grid(f, *shape, dtype=np.float64):
    return np.fromfunction(f, shape, dtype=dtype)


def random(*shapes, dtype=np.float64):
    rng = np.random.default_rng(42)
    return [rng.random(s, dtype=dtype) for s in shapes]


CASES = {}


def case(sizes, out, **options):
    """Makes a case of a class whose functions are make, numpy, loops* and arrays*."""
    def wrap(cls):
        members = {k: (v.__func__ if isinstance(v, staticmethod) else v) for k, v in vars(cls).items()}
        CASES[cls.__name__] = Case(
            cls.__name__, sizes, members["make"], members["numpy"], out,
            [v for k, v in members.items() if k.startswith("loops")],
            [v for k, v in members.items() if k.startswith("arrays")], **options)
        return cls
    return wrap


# ----------------------------------------------------------------------------------- grids

@case({"S": (5, 100), "M": (20, 200)}, (0,), changes=True, rounded=0)
class adi:
    def make(steps, n):
        return [grid(lambda i, j: (i + n - j) / n, n, n)], [steps]

    def numpy(steps, u):
        n = u.shape[0]
        v, p, q = np.empty_like(u), np.empty_like(u), np.empty_like(u)
        m1, m2 = 2.0 / steps * n * n, 1.0 / steps * n * n
        a, b, d, e = -m1 / 2, 1 + m2, -m2 / 2, 1 + m2
        s = slice(1, n - 1)
        for t in range(steps):
            v[0, s], p[s, 0], q[s, 0], v[n - 1, s] = 1.0, 0.0, 1.0, 1.0
            for j in range(1, n - 1):
                w = a * p[s, j - 1] + b
                p[s, j] = -a / w
                q[s, j] = (-d * u[j, 0:n - 2] + (1 + 2 * d) * u[j, s] - d * u[j, 2:n] - a * q[s, j - 1]) / w
            for j in range(n - 2, 0, -1):
                v[j, s] = p[s, j] * v[j + 1, s] + q[s, j]
            u[s, 0], p[s, 0], q[s, 0], u[s, n - 1] = 1.0, 0.0, 1.0, 1.0
            for j in range(1, n - 1):
                w = d * p[s, j - 1] + e
                p[s, j] = -d / w
                q[s, j] = (-a * v[0:n - 2, j] + (1 + 2 * a) * v[s, j] - a * v[2:n, j] - d * q[s, j - 1]) / w
            for j in range(n - 2, 0, -1):
                u[s, j] = p[s, j] * u[s, j + 1] + q[s, j]

    arrays = numpy

    def loops(steps, u):
        n = u.shape[0]
        v, p, q = np.empty_like(u), np.empty_like(u), np.empty_like(u)
        m1, m2 = 2.0 / steps * n * n, 1.0 / steps * n * n
        a, b, d, e = -m1 / 2, 1 + m2, -m2 / 2, 1 + m2
        for t in range(steps):
            for i in prange(1, n - 1):
                v[0, i], p[i, 0], q[i, 0] = 1.0, 0.0, 1.0
                for j in range(1, n - 1):
                    w = a * p[i, j - 1] + b
                    p[i, j] = -a / w
                    q[i, j] = (-d * u[j, i - 1] + (1 + 2 * d) * u[j, i] - d * u[j, i + 1] - a * q[i, j - 1]) / w
                v[n - 1, i] = 1.0
                for j in range(n - 2, 0, -1):
                    v[j, i] = p[i, j] * v[j + 1, i] + q[i, j]
            for i in prange(1, n - 1):
                u[i, 0], p[i, 0], q[i, 0] = 1.0, 0.0, 1.0
                for j in range(1, n - 1):
                    w = d * p[i, j - 1] + e
                    p[i, j] = -d / w
                    q[i, j] = (-a * v[i - 1, j] + (1 + 2 * a) * v[i, j] - a * v[i + 1, j] - d * q[i, j - 1]) / w
                u[i, n - 1] = 1.0
                for j in range(n - 2, 0, -1):
                    u[i, j] = p[i, j] * u[i, j + 1] + q[i, j]


@case({"S": (400, 200), "M": (1500, 1000)}, (1,))
class deriche:
    def make(w, h):
        image = grid(lambda i, j: ((313 * i + 991 * j) % 65536) / 65535.0, w, h)
        return [image, np.empty_like(image)], [0.25]

    def numpy(alpha, x, out):
        g = np.exp(-alpha)
        k = (1 - g) * (1 - g) / (1 + alpha * g - np.exp(2 * alpha))
        a1, a2, a3, a4 = k, k * g * (alpha - 1), k * g * (alpha + 1), -k * np.exp(-2 * alpha)
        b1, b2 = 2.0**-alpha, -np.exp(-2 * alpha)
        w, h = x.shape
        y1, y2 = np.empty_like(x), np.empty_like(x)
        y1[:, 0] = a1 * x[:, 0]
        y1[:, 1] = a1 * x[:, 1] + a2 * x[:, 0] + b1 * y1[:, 0]
        for j in range(2, h):
            y1[:, j] = a1 * x[:, j] + a2 * x[:, j - 1] + b1 * y1[:, j - 1] + b2 * y1[:, j - 2]
        y2[:, h - 1] = 0.0
        y2[:, h - 2] = a3 * x[:, h - 1]
        for j in range(h - 3, -1, -1):
            y2[:, j] = a3 * x[:, j + 1] + a4 * x[:, j + 2] + b1 * y2[:, j + 1] + b2 * y2[:, j + 2]
        z = y1 + y2
        y1[0, :] = a1 * z[0, :]
        y1[1, :] = a1 * z[1, :] + a2 * z[0, :] + b1 * y1[0, :]
        for i in range(2, w):
            y1[i, :] = a1 * z[i, :] + a2 * z[i - 1, :] + b1 * y1[i - 1, :] + b2 * y1[i - 2, :]
        y2[w - 1, :] = 0.0
        y2[w - 2, :] = a3 * z[w - 1, :]
        for i in range(w - 3, -1, -1):
            y2[i, :] = a3 * z[i + 1, :] + a4 * z[i + 2, :] + b1 * y2[i + 1, :] + b2 * y2[i + 2, :]
        out[:] = y1 + y2

    arrays = numpy

    def loops(alpha, x, out):
        g = np.exp(-alpha)
        k = (1 - g) * (1 - g) / (1 + alpha * g - np.exp(2 * alpha))
        a1, a2, a3, a4 = k, k * g * (alpha - 1), k * g * (alpha + 1), -k * np.exp(-2 * alpha)
        b1, b2 = 2.0**-alpha, -np.exp(-2 * alpha)
        w, h = x.shape
        y1, y2, z = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        for i in prange(w):
            y1[i, 0] = a1 * x[i, 0]
            y1[i, 1] = a1 * x[i, 1] + a2 * x[i, 0] + b1 * y1[i, 0]
            for j in range(2, h):
                y1[i, j] = a1 * x[i, j] + a2 * x[i, j - 1] + b1 * y1[i, j - 1] + b2 * y1[i, j - 2]
            y2[i, h - 1] = 0.0
            y2[i, h - 2] = a3 * x[i, h - 1]
            for j in range(h - 3, -1, -1):
                y2[i, j] = a3 * x[i, j + 1] + a4 * x[i, j + 2] + b1 * y2[i, j + 1] + b2 * y2[i, j + 2]
            for j in range(h):
                z[i, j] = y1[i, j] + y2[i, j]
        blocks = (h + 63) // 64
        for g in prange(blocks):
            lo, hi = 64 * g, min(64 * g + 64, h)
            for j in range(lo, hi):
                y1[0, j] = a1 * z[0, j]
                y1[1, j] = a1 * z[1, j] + a2 * z[0, j] + b1 * y1[0, j]
                y2[w - 1, j] = 0.0
                y2[w - 2, j] = a3 * z[w - 1, j]
            for i in range(2, w):
                for j in range(lo, hi):
                    y1[i, j] = a1 * z[i, j] + a2 * z[i - 1, j] + b1 * y1[i - 1, j] + b2 * y1[i - 2, j]
            for i in range(w - 3, -1, -1):
                for j in range(lo, hi):
                    y2[i, j] = a3 * z[i + 1, j] + a4 * z[i + 2, j] + b1 * y2[i + 1, j] + b2 * y2[i + 2, j]
            for i in range(w):
                for j in range(lo, hi):
                    out[i, j] = y1[i, j] + y2[i, j]


@case({"S": (20, 200, 220), "M": (60, 400, 450)}, (0, 1, 2), changes=True)
class fdtd_2d:
    def make(steps, nx, ny):
        return [grid(lambda i, j: i * (j + 1) / nx, nx, ny), grid(lambda i, j: i * (j + 2) / ny, nx, ny),
                grid(lambda i, j: i * (j + 3) / nx, nx, ny), np.arange(float(steps))], []

    def numpy(ex, ey, hz, fict):
        for t in range(fict.shape[0]):
            ey[0, :] = fict[t]
            ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
            ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
            hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])

    arrays = numpy

    def loops(ex, ey, hz, fict):
        nx, ny = ex.shape
        for t in range(fict.shape[0]):
            for j in range(ny):
                ey[0, j] = fict[t]
            for i in prange(1, nx):
                for j in range(ny):
                    ey[i, j] -= 0.5 * (hz[i, j] - hz[i - 1, j])
            for i in prange(nx):
                for j in range(1, ny):
                    ex[i, j] -= 0.5 * (hz[i, j] - hz[i, j - 1])
            for i in prange(nx - 1):
                for j in range(ny - 1):
                    hz[i, j] -= 0.7 * (ex[i, j + 1] - ex[i, j] + ey[i + 1, j] - ey[i, j])


@case({"S": (64, 64, 60), "M": (128, 128, 160)}, (1,))
class hdiff:
    def make(i, j, k):
        field, out, coefficient = random((i + 4, j + 4, k), (i, j, k), (i, j, k))
        return [field, out, coefficient], []

    def numpy(f, out, coefficient):
        i, j = out.shape[:2]
        lap = 4.0 * f[1:i + 3, 1:j + 3] - (f[2:i + 4, 1:j + 3] + f[0:i + 2, 1:j + 3]
                                           + f[1:i + 3, 2:j + 4] + f[1:i + 3, 0:j + 2])
        x = lap[1:, 1:j + 1] - lap[:-1, 1:j + 1]
        x = np.where(x * (f[2:i + 3, 2:j + 2] - f[1:i + 2, 2:j + 2]) > 0, 0, x)
        y = lap[1:i + 1, 1:] - lap[1:i + 1, :-1]
        y = np.where(y * (f[2:i + 2, 2:j + 3] - f[2:i + 2, 1:j + 2]) > 0, 0, y)
        out[:] = f[2:i + 2, 2:j + 2] - coefficient * (x[1:] - x[:-1] + y[:, 1:] - y[:, :-1])

    def arrays(f, out, coefficient):
        i, j = out.shape[0], out.shape[1]
        lap = 4.0 * f[1:i + 3, 1:j + 3, :] - (f[2:i + 4, 1:j + 3, :] + f[0:i + 2, 1:j + 3, :]
                                              + f[1:i + 3, 2:j + 4, :] + f[1:i + 3, 0:j + 2, :])
        x = lap[1:, 1:j + 1, :] - lap[:-1, 1:j + 1, :]
        fx = np.where(x * (f[2:i + 3, 2:j + 2, :] - f[1:i + 2, 2:j + 2, :]) > 0, 0.0, x)
        y = lap[1:i + 1, 1:, :] - lap[1:i + 1, :-1, :]
        fy = np.where(y * (f[2:i + 2, 2:j + 3, :] - f[2:i + 2, 1:j + 2, :]) > 0, 0.0, y)
        out[:, :, :] = f[2:i + 2, 2:j + 2, :] - coefficient * (fx[1:, :, :] - fx[:-1, :, :]
                                                               + fy[:, 1:, :] - fy[:, :-1, :])

    def loops(f, out, coefficient):
        ni, nj, nk = out.shape
        lap = np.empty((ni + 2, nj + 2, nk))
        fx = np.empty((ni + 1, nj, nk))
        fy = np.empty((ni, nj + 1, nk))
        for i in prange(ni + 2):
            for j in range(nj + 2):
                for k in range(nk):
                    lap[i, j, k] = 4.0 * f[i + 1, j + 1, k] - (f[i + 2, j + 1, k] + f[i, j + 1, k]
                                                               + f[i + 1, j + 2, k] + f[i + 1, j, k])
        for i in prange(ni + 1):
            for j in range(nj):
                for k in range(nk):
                    x = lap[i + 1, j + 1, k] - lap[i, j + 1, k]
                    fx[i, j, k] = 0.0 if x * (f[i + 2, j + 2, k] - f[i + 1, j + 2, k]) > 0 else x
        for i in prange(ni):
            for j in range(nj + 1):
                for k in range(nk):
                    y = lap[i + 1, j + 1, k] - lap[i + 1, j, k]
                    fy[i, j, k] = 0.0 if y * (f[i + 2, j + 2, k] - f[i + 2, j + 1, k]) > 0 else y
        for i in prange(ni):
            for j in range(nj):
                for k in range(nk):
                    out[i, j, k] = f[i + 2, j + 2, k] - coefficient[i, j, k] * (
                        fx[i + 1, j, k] - fx[i, j, k] + fy[i, j + 1, k] - fy[i, j, k])


@case({"S": (25, 25), "M": (50, 40)}, (0, 1), changes=True)
class heat_3d:
    def make(steps, n):
        a = grid(lambda i, j, k: (i + j + (n - k)) * 10 / n, n, n, n)
        return [a, a.copy()], [steps]

    def numpy(steps, a, b):
        for t in range(1, steps):
            for x, y in ((a, b), (b, a)):
                c = x[1:-1, 1:-1, 1:-1]
                y[1:-1, 1:-1, 1:-1] = (
                    0.125 * (x[2:, 1:-1, 1:-1] - 2.0 * c + x[:-2, 1:-1, 1:-1])
                    + 0.125 * (x[1:-1, 2:, 1:-1] - 2.0 * c + x[1:-1, :-2, 1:-1])
                    + 0.125 * (x[1:-1, 1:-1, 2:] - 2.0 * c + x[1:-1, 1:-1, :-2]) + c)

    arrays = numpy

    def loops(steps, a, b):
        n = a.shape[0] - 1
        for t in range(1, steps):
            for i in prange(1, n):
                for j in range(1, n):
                    for k in range(1, n):
                        b[i, j, k] = (0.125 * (a[i + 1, j, k] - 2.0 * a[i, j, k] + a[i - 1, j, k])
                                      + 0.125 * (a[i, j + 1, k] - 2.0 * a[i, j, k] + a[i, j - 1, k])
                                      + 0.125 * (a[i, j, k + 1] - 2.0 * a[i, j, k] + a[i, j, k - 1])
                                      + a[i, j, k])
            for i in prange(1, n):
                for j in range(1, n):
                    for k in range(1, n):
                        a[i, j, k] = (0.125 * (b[i + 1, j, k] - 2.0 * b[i, j, k] + b[i - 1, j, k])
                                      + 0.125 * (b[i, j + 1, k] - 2.0 * b[i, j, k] + b[i, j - 1, k])
                                      + 0.125 * (b[i, j, k + 1] - 2.0 * b[i, j, k] + b[i, j, k - 1])
                                      + b[i, j, k])


@case({"S": (800, 3200), "M": (3000, 12000)}, (0, 1), changes=True)
class jacobi_1d:
    def make(steps, n):
        i = np.arange(float(n))
        return [(i + 2) / n, (i + 3) / n], [steps]

    def numpy(steps, a, b):
        for t in range(1, steps):
            b[1:-1] = 0.33333 * (a[:-2] + a[1:-1] + a[2:])
            a[1:-1] = 0.33333 * (b[:-2] + b[1:-1] + b[2:])

    arrays = numpy

    def loops(steps, a, b):
        n = a.shape[0] - 1
        for t in range(1, steps):
            for i in prange(1, n):
                b[i] = 0.33333 * (a[i - 1] + a[i] + a[i + 1])
            for i in prange(1, n):
                a[i] = 0.33333 * (b[i - 1] + b[i] + b[i + 1])


@case({"S": (50, 150), "M": (80, 350)}, (0, 1), changes=True)
class jacobi_2d:
    def make(steps, n):
        return [grid(lambda i, j: i * (j + 2) / n, n, n), grid(lambda i, j: i * (j + 3) / n, n, n)], [steps]

    def numpy(steps, a, b):
        for t in range(1, steps):
            b[1:-1, 1:-1] = 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])
            a[1:-1, 1:-1] = 0.2 * (b[1:-1, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:] + b[2:, 1:-1] + b[:-2, 1:-1])

    arrays = numpy

    def loops(steps, a, b):
        n = a.shape[0] - 1
        for t in range(1, steps):
            for i in prange(1, n):
                for j in range(1, n):
                    b[i, j] = 0.2 * (a[i, j] + a[i, j - 1] + a[i, j + 1] + a[i + 1, j] + a[i - 1, j])
            for i in prange(1, n):
                for j in range(1, n):
                    a[i, j] = 0.2 * (b[i, j] + b[i, j - 1] + b[i, j + 1] + b[i + 1, j] + b[i - 1, j])


@case({"S": (8, 50), "M": (15, 100)}, (0,), changes=True)
class seidel_2d:
    def make(steps, n):
        return [grid(lambda i, j: (i * (j + 2) + 2) / n, n, n)], [steps]

    def numpy(steps, a):
        n = a.shape[0]
        for t in range(steps - 1):
            for i in range(1, n - 1):
                a[i, 1:-1] += (a[i - 1, :-2] + a[i - 1, 1:-1] + a[i - 1, 2:] + a[i, 2:]
                               + a[i + 1, :-2] + a[i + 1, 1:-1] + a[i + 1, 2:])
                for j in range(1, n - 1):
                    a[i, j] += a[i, j - 1]
                    a[i, j] /= 9.0

    arrays = numpy

    def loops(steps, a):
        n = a.shape[0]
        for t in range(steps - 1):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    a[i, j] = (a[i - 1, j - 1] + a[i - 1, j] + a[i - 1, j + 1] + a[i, j - 1] + a[i, j]
                               + a[i, j + 1] + a[i + 1, j - 1] + a[i + 1, j] + a[i + 1, j + 1]) / 9.0


@case({"S": (60, 60, 40), "M": (112, 112, 80)}, (0,), changes=True, rounded=1, fastmath=False)
class vadv:
    def make(i, j, k):
        stage, u, wcon, position, tendency = random((i, j, k), (i, j, k), (i + 1, j, k), (i, j, k), (i, j, k))
        return [stage, u, wcon, position, tendency], [3.0 / 20.0]

    def numpy(stage, u, wcon, position, tendency, dtr):
        last = stage.shape[2] - 1
        c, d = np.empty_like(stage), np.empty_like(stage)
        for k in range(last + 1):
            rhs = dtr * position[:, :, k] + tendency[:, :, k] + stage[:, :, k]
            diagonal = np.full_like(rhs, dtr)
            below = np.zeros_like(rhs)
            if k > 0:
                below = -0.125 * (wcon[1:, :, k] + wcon[:-1, :, k])
                diagonal = diagonal - below
                rhs = rhs - below * (u[:, :, k - 1] - u[:, :, k])
            if k < last:
                above = 0.125 * (wcon[1:, :, k + 1] + wcon[:-1, :, k + 1])
                diagonal = diagonal - above
                rhs = rhs - above * (u[:, :, k + 1] - u[:, :, k])
            if k > 0:
                diagonal = diagonal - c[:, :, k - 1] * below
                rhs = rhs - d[:, :, k - 1] * below
            if k < last:
                c[:, :, k] = above / diagonal
            d[:, :, k] = rhs / diagonal
        x = d[:, :, last]
        stage[:, :, last] = dtr * (x - position[:, :, last])
        for k in range(last - 1, -1, -1):
            x = d[:, :, k] - c[:, :, k] * x
            stage[:, :, k] = dtr * (x - position[:, :, k])

    arrays = numpy

    def loops(stage, u, wcon, position, tendency, dtr):
        last = stage.shape[2] - 1
        c, d = np.empty_like(stage), np.empty_like(stage)
        for i in prange(stage.shape[0]):
            for j in range(stage.shape[1]):
                above = 0.125 * (wcon[i + 1, j, 1] + wcon[i, j, 1])
                scale = 1.0 / (dtr - above)
                c[i, j, 0] = above * scale
                d[i, j, 0] = (dtr * position[i, j, 0] + tendency[i, j, 0] + stage[i, j, 0]
                              - above * (u[i, j, 1] - u[i, j, 0])) * scale
                for k in range(1, last):
                    below = -0.125 * (wcon[i + 1, j, k] + wcon[i, j, k])
                    above = 0.125 * (wcon[i + 1, j, k + 1] + wcon[i, j, k + 1])
                    scale = 1.0 / (dtr - below - above - c[i, j, k - 1] * below)
                    rhs = (dtr * position[i, j, k] + tendency[i, j, k] + stage[i, j, k]
                           - below * (u[i, j, k - 1] - u[i, j, k]) - above * (u[i, j, k + 1] - u[i, j, k]))
                    c[i, j, k] = above * scale
                    d[i, j, k] = (rhs - d[i, j, k - 1] * below) * scale
                below = -0.125 * (wcon[i + 1, j, last] + wcon[i, j, last])
                rhs = (dtr * position[i, j, last] + tendency[i, j, last] + stage[i, j, last]
                       - below * (u[i, j, last - 1] - u[i, j, last]))
                x = (rhs - d[i, j, last - 1] * below) / (dtr - below - c[i, j, last - 1] * below)
                stage[i, j, last] = dtr * (x - position[i, j, last])
                for k in range(last - 1, -1, -1):
                    x = d[i, j, k] - c[i, j, k] * x
                    stage[i, j, k] = dtr * (x - position[i, j, k])

    def loops_rows(stage, u, wcon, position, tendency, dtr):
        last = stage.shape[2] - 1
        shape = (stage.shape[0], last + 1)
        flow, known, c, d = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)
        for i in prange(stage.shape[0]):
            for j in range(stage.shape[1]):
                for k in range(last + 1):
                    flow[i, k] = 0.125 * (wcon[i + 1, j, k] + wcon[i, j, k])
                    known[i, k] = dtr * position[i, j, k] + tendency[i, j, k] + stage[i, j, k]
                for k in range(1, last):
                    known[i, k] += (flow[i, k] * (u[i, j, k - 1] - u[i, j, k])
                                    - flow[i, k + 1] * (u[i, j, k + 1] - u[i, j, k]))
                known[i, 0] -= flow[i, 1] * (u[i, j, 1] - u[i, j, 0])
                known[i, last] += flow[i, last] * (u[i, j, last - 1] - u[i, j, last])
                scale = 1.0 / (dtr - flow[i, 1])
                c[i, 0], d[i, 0] = flow[i, 1] * scale, known[i, 0] * scale
                for k in range(1, last):
                    scale = 1.0 / (dtr + flow[i, k] - flow[i, k + 1] + c[i, k - 1] * flow[i, k])
                    c[i, k] = flow[i, k + 1] * scale
                    d[i, k] = (known[i, k] + d[i, k - 1] * flow[i, k]) * scale
                x = ((known[i, last] + d[i, last - 1] * flow[i, last])
                     / (dtr + flow[i, last] + c[i, last - 1] * flow[i, last]))
                stage[i, j, last] = dtr * (x - position[i, j, last])
                for k in range(last - 1, -1, -1):
                    x = d[i, k] - c[i, k] * x
                    stage[i, j, k] = dtr * (x - position[i, j, k])
