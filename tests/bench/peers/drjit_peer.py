"""Dr.Jit with its LLVM backend, on all processors. It traces at every call and finds the kernel in its
cache; results are new arrays."""
try:
    import drjit as dr
    import drjit.llvm as backend
    dr.eval(dr.zeros(backend.Float, 4))  # needs an LLVM library
    VERSION = f"drjit {dr.__version__}"
except Exception:  # ImportError, or no LLVM
    VERSION = None


def black_scholes(rate, vol, s, k, time):
    cdf = lambda d: 0.5 + 0.5 * dr.erf(d * 0.70710678118654752440)
    sd = vol * dr.sqrt(time)
    d1 = (dr.log(s / k) + (rate + 0.5 * vol * vol) * time) / sd
    return s * cdf(d1) - k * dr.exp(-rate * time) * cdf(d1 - sd)


def chain(x):
    s, c = dr.sincos(x)
    return s * s + c * c + dr.exp(-x * x) / 2


FUNCTIONS = {"saxpy": lambda k, x, y: dr.fma(k, x, y), "fresh": lambda k, x, y: dr.fma(k, x, y),
             "black_scholes": black_scholes, "chain": chain, "sqrt_sum": lambda x: dr.sum(dr.sqrt(x)),
             "dot": lambda x, y: dr.sum(x * y), "mandelbrot": None}


def mandelbrot(Float, xs, ys, side, limit):
    index = dr.arange(backend.UInt32, side * side)
    cr, ci = dr.gather(Float, xs, index % side), dr.gather(Float, ys, index // side)

    def inside(n, zr, zi):
        return (n < limit) & (zr * zr + zi * zi <= 4)

    def step(n, zr, zi):
        return n + 1, zr * zr - zi * zi + cr, 2 * zr * zi + ci
    start = (dr.zeros(backend.Int32, side * side), dr.zeros(Float, side * side), dr.zeros(Float, side * side))
    return dr.while_loop(start, inside, step)[0]


def variants(case):
    if case.workload not in FUNCTIONS:
        return
    Float = backend.Float if case.dtype == "f32" else backend.Float64
    arrays = [Float(x) for x in case.inputs]
    if case.workload == "mandelbrot":
        make = lambda: mandelbrot(Float, *arrays, case.n, case.sizes[0])
    else:
        scalars = [Float(v) for v in case.scalars]
        dr.eval(scalars)
        dr.make_opaque(scalars)
        make = lambda: FUNCTIONS[case.workload](*scalars, *arrays)

    def call():
        result = make()
        dr.eval(result)
        dr.sync_thread()
        return result
    yield "drjit", 0, call
