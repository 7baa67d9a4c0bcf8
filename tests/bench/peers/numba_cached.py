"""Twenty first calls of numba functions with cache=True; prints their ns in all. The first such process compiles."""
import math
import time

import numpy as np
from numba import vectorize


def make(salt):
    def saxpy(a, x, y):
        return a * x + y * salt

    def black_scholes(s, k, t):
        vol = 0.3 * salt
        sd = vol * math.sqrt(t)
        d1 = (math.log(s / k) + (0.02 + 0.5 * vol * vol) * t) / sd
        n1 = 0.5 + 0.5 * math.erf(d1 * 0.70710678118654752440)
        n2 = 0.5 + 0.5 * math.erf((d1 - sd) * 0.70710678118654752440)
        return s * n1 - k * math.exp(-0.02 * t) * n2

    def polynomial(x):
        v = x * salt
        for i in range(1, 30):
            v = v * x + 0.25 * i
        return v

    def mandelbrot(cr, ci):
        zr, zi, n = 0.0, 0.0, 0
        while n < 50 and zr * zr + zi * zi <= 4.0 * salt:
            zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
            n += 1
        return n

    return [("f8(f8,f8,f8)", saxpy), ("f8(f8)", polynomial), ("f8(f8,f8,f8)", black_scholes),
            ("i8(f8,f8)", mandelbrot)]


x = np.linspace(0.5, 1.5, 1000)
total = 0
for i in range(5):
    for signature, function in make(1.0 + 0.125 * i):
        start = time.perf_counter_ns()
        ufunc = vectorize([signature], cache=True)(function)
        ufunc(*[x] * (signature.count("f8") - signature.startswith("f8")))
        total += time.perf_counter_ns() - start
print(total)
