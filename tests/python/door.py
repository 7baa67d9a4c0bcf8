"""The Python package kiln against NumPy: arrays in and out, errors, threads, pickles, and five ordinary programs.

usage: door.py [NAME]...   the tests of these names, all by default. Exit status 77: NumPy is not installed.
"""

import array
import gc
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import traceback

try:
    import numpy as np
except ImportError:
    print("skipped: NumPy is not installed")
    sys.exit(77)
try:
    import kiln
except ImportError as error:
    print(f"skipped: the package is not built: {error}")
    sys.exit(77)

SQUARE = "double square(double x) { return x * x; }"


def equal(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, a.shape, b.dtype, b.shape)
    np.testing.assert_array_equal(a, b)


def error_of(call, *args, **options):
    try:
        call(*args, **options)
    except kiln.Error as error:
        return error
    raise AssertionError("no error")


# ------------------------------------------------------------------------------------------------ arrays


def test_dtypes():
    add = kiln.vectorize("auto add(auto x, auto y) { return x + y; }")
    for t in [np.int32, np.int64, np.uint32, np.uint64, np.float32, np.float64]:
        x = np.arange(12).reshape(3, 4).astype(t)
        equal(add(x, x[1]), x + x[1])
    equal(add(np.arange(4, dtype=np.float32), 2.5), np.arange(4, dtype=np.float32) + np.float32(2.5))  # weak
    z = np.array([1 + 2j, -3j])
    equal(kiln.vectorize("auto twice(auto z) { return z + z; }")(z), z + z)


def test_views():
    square = kiln.vectorize(SQUARE)
    x = np.arange(60.0).reshape(3, 4, 5)
    for view in [x[::-1], x[:, ::2], x.T, x[1:, ::-1, ::2], np.broadcast_to(x[0, 0], (3, 5)), x[:0], np.asfortranarray(x)]:
        equal(square(view), view * view)
    read_only = x.copy()
    read_only.flags.writeable = False
    equal(square(read_only), x * x)
    equal(square(memoryview(x)), x * x)
    equal(square(array.array("d", [1, 2, 3])), np.array([1.0, 4.0, 9.0]))
    assert square(3.0) == 9.0 and isinstance(square(3.0), float)


def test_no_copies():
    square = kiln.vectorize(SQUARE)
    x, y = np.arange(5.0), np.zeros(5)
    assert square(x, out=y) is y and y[4] == 16
    square(x, out=x)  # in place
    equal(x, y)
    scale = kiln.jit("void scale(View<double, 2> a, double by) {"
                     " for (int i = 0; i < a.extent(0); ++i) for (int j = 0; j < a.extent(1); ++j) a(i, j) *= by; }")
    m = np.ones((4, 6))
    scale(m[::2, ::-3], 5.0)
    expected = np.ones((4, 6))
    expected[::2, ::-3] *= 5
    equal(m, expected)
    # What a call gives is kiln's memory, and stays as long as the array does.
    big = square(np.full(1_000_000, 3.0))
    view = big[500_000:]
    del big
    gc.collect()
    square(np.zeros(1_000_000))
    assert view[0] == 9.0 and view.base is not None


def test_where_out_dtype():
    square = kiln.vectorize("auto square(auto x) { return x * x; }")
    x, y, mask = np.arange(6.0), np.full(6, -1.0), np.arange(6) % 2 == 0
    square(x, out=y, where=mask)
    equal(y, np.multiply(x, x, out=np.full(6, -1.0), where=mask))
    equal(square(x, dtype="f32"), np.multiply(x, x, dtype=np.float32))
    both = kiln.vectorize("void both(double x, double& a, int& b) { a = -x; b = x > 2; }")
    a, b = both(x)
    equal(a, -x)
    equal(b, (x > 2).astype(np.int32))
    out = np.empty(6), np.empty(6, np.int32)
    assert both(x, out=out)[1] is out[1]
    equal(out[0], -x)


def test_cores():
    product = kiln.guvectorize(
        "void product(View<const double, 2> a, View<const double, 2> b, View<double, 2> c) {"
        " for (int i = 0; i < a.extent(0); ++i) for (int j = 0; j < b.extent(1); ++j) { c(i, j) = 0;"
        " for (int k = 0; k < a.extent(1); ++k) c(i, j) += a(i, k) * b(k, j); } }", "(m,n),(n,p)->(m,p)")
    a, b = np.arange(24.0).reshape(2, 3, 4), np.arange(8.0).reshape(4, 2)
    equal(product(a, b), a @ b)  # sums of integers, so exact
    out = np.empty((2, 3, 2))
    assert product(a, b, out=out) is out
    equal(out, a @ b)


def test_dlpack_of_others():
    class Tensor:  # has nothing but DLPack
        def __init__(self, x):
            self.x = x

        def __dlpack__(self, **options):
            return self.x.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.x.__dlpack_device__()

    x = np.arange(10.0)[::3]
    equal(kiln.vectorize(SQUARE)(Tensor(x)), x * x)


# ------------------------------------------------------------------------------------------------ errors


def test_errors():
    error = error_of(kiln.vectorize, "double f(double x) {\n  return sin(x)\n}", file="waves.cpp")
    assert (error.kind, error.file, error.line) == ("type", "waves.cpp", 2), vars(error)
    assert str(error).startswith("waves.cpp:2: error: expected ';'"), error
    add = kiln.vectorize("double add(double x, double y) { return x + y; }")
    error = error_of(add, np.ones(3), np.ones(4))
    assert error.file == __file__ and error.kind == "shape", vars(error)
    assert "error: cannot broadcast (3,) with (4,)" in str(error) and f":{error.line}: " in str(error)
    with open(__file__) as here:
        assert "call(*args, **options)" in here.readlines()[error.line - 1], error
    assert "takes 2 arguments" in str(error_of(add, np.ones(3))), str(error_of(add, np.ones(3)))
    error = error_of(add, "text", 1)
    assert error.message == "argument 0 is str, neither a number nor an array on the CPU" and error.hint
    assert "read-only" in str(error_of(add, 1.0, np.ones(3), out=np.broadcast_to(1.0, 3)))
    assert error_of(add.inspect, "plan", ["double"]).hint == "write f64 for a number, f64[2] for an array of two axes"
    assert "is no artifact" in str(error_of(add.inspect, "wasm", ["f64", "f64"]))
    try:
        kiln.vectorize("int x = 1;")
        raise AssertionError("no error")
    except ValueError as error:
        assert "has no function" in str(error)
    assert error_of(kiln.load_bundle, "no such file").kind == "io"
    checked = kiln.jit("void f(View<double, 1> a) {\n  for (int i = 0; i < 5; ++i) a(i) = 1;\n}", checked=True)
    error = error_of(checked, np.zeros(3))
    assert (error.kind, error.line) == ("bounds", 2) and "3" in error.message, error


def test_last_function():
    last = kiln._last_function
    assert last("struct P { double g() { return 1; } };\ntemplate <class T> T h(T x) { return x; }\nauto f(auto x) { return h(x); }") == "f"
    assert last("double f(double x) { return x; } // double g(double x) {}") == "f"
    assert last("auto f(double x) -> double { if (x > 0) { return x; } return 0; }") == "f"


# --------------------------------------------------------------------------------- threads and processes


def test_gil_is_released():
    slow = kiln.jit("double slow(long n) { double s = 0; for (long i = 0; i < n; ++i) s = std::sqrt(s + i); return s; }")
    slow(10)
    ticks, done = [0], threading.Event()

    def count():
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    slow(100_000_000)
    seen = ticks[0]
    done.set()
    counter.join()
    assert seen > 20, f"the other thread ran {seen} times"


def test_many_threads():
    square = kiln.vectorize(SQUARE, parallel=True)
    wrong = []

    def work(k):
        x = np.full(20_000 + k, float(k))
        for _ in range(20):
            if not (square(x) == k * k).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_pickle():
    kernel = pickle.loads(pickle.dumps(kiln.vectorize(SQUARE, parallel=True, fastmath=["contract"])))
    equal(kernel(np.arange(4.0)), np.arange(4.0) ** 2)
    loops = pickle.loads(pickle.dumps(kiln.jit("double f(View<const double, 1> a) { return a(1); }")))
    assert loops(np.arange(4.0)) == 1.0
    assert repr(kernel) == "<kiln.Vectorized square>"


def test_inspect():
    square = kiln.vectorize(SQUARE)
    assert "ret" in square.inspect("assembly", ["f64[1]"]) and "lanes" in square.inspect("plan", ["f64[1]"])
    assert square.inspect("ir", ["f64[1]"]).startswith("kernel square(x: in f64[1]")


def test_bundles():
    program = ("import kiln, sys\nif sys.argv[1] == 'load': assert kiln.load_bundle(sys.argv[2])[1] == 1\n"
               f"assert kiln.vectorize({SQUARE!r})(memoryview(b'\\0' * 80).cast('d'))[0] == 0\n"
               "if sys.argv[1] == 'save': print(kiln.save_bundle(sys.argv[2]))\nelse: print(kiln._kiln.compiles())\n")
    with tempfile.TemporaryDirectory() as folder:
        bundle = os.path.join(folder, "kernels.bundle")

        def run(what, cache):
            environment = {**os.environ, "KILN_CACHE_DIR": os.path.join(folder, cache), "KILN_CACHE": "on"}
            return subprocess.run([sys.executable, "-c", program, what, bundle], env=environment, check=True,
                                  capture_output=True, text=True).stdout.strip()

        assert run("save", "first") == "(1, 1)"
        assert run("load", "second") == "0", "machine code of the bundle was not used"


# -------------------------------------------------------------------------------------- ordinary programs


def test_program_black_scholes():
    price = kiln.vectorize("""
        double cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
        void price(double s, double k, double t, double& call, double& put) {
            const double r = 0.02, v = 0.3, d1 = (std::log(s / k) + (r + v * v / 2) * t) / (v * std::sqrt(t));
            const double d2 = d1 - v * std::sqrt(t), now = k * std::exp(-r * t);
            call = s * cdf(d1) - now * cdf(d2);
            put = now * cdf(-d2) - s * cdf(-d1);
        }""", parallel=True)
    random = np.random.default_rng(1)
    s, k, t = random.uniform(5, 30, 10_000), random.uniform(1, 100, 10_000), random.uniform(0.25, 10, 10_000)
    call, put = price(s, k, t)
    # Put and call are worth the same up to what is paid now; and one price by an independent integral.
    np.testing.assert_allclose(call - put, s - k * np.exp(-0.02 * t), rtol=1e-10, atol=1e-10)
    z = np.linspace(-10, 10, 400_001)
    ends = 25 * np.exp((0.02 - 0.045) * 2 + 0.3 * np.sqrt(2) * z)
    pay = np.maximum(ends - 30, 0) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(price(25.0, 30.0, 2.0)[0], np.exp(-0.04) * pay.sum() * (z[1] - z[0]), rtol=1e-6)


def test_program_mandelbrot():
    escape = kiln.jit("""
        void escape(View<int, 2> steps, int limit) {
            for (long row : prange(steps.extent(0)))
                for (int col = 0; col < steps.extent(1); ++col) {
                    const double cx = col * (3.0 / steps.extent(1)) - 2, cy = row * (2.0 / steps.extent(0)) - 1;
                    double x = 0, y = 0;
                    int n = 0;
                    while (n < limit && x * x + y * y <= 4) { const double t = x * x - y * y + cx; y = 2 * x * y + cy; x = t; ++n; }
                    steps(row, col) = n;
                }
        }""", parallel=True)
    steps = np.empty((60, 90), np.int32)
    escape(steps, 50)
    cx, cy = np.arange(90) * (3.0 / 90) - 2, (np.arange(60) * (2.0 / 60) - 1)[:, None]
    x, y, n = np.zeros((60, 90)), np.zeros((60, 90)), np.zeros((60, 90), np.int32)
    for _ in range(50):
        alive = x * x + y * y <= 4
        x, y = np.where(alive, x * x - y * y + cx, x), np.where(alive, 2 * x * y + cy, y)
        n += alive
    equal(steps, n)


def test_program_heat():
    step = kiln.jit("""
        void step(View<const double, 2> a, View<double, 2> b) {
            for (long i : prange(1, a.extent(0) - 1))
                for (long j = 1; j < a.extent(1) - 1; ++j)
                    b(i, j) = a(i, j) + 0.1 * (a(i - 1, j) + a(i + 1, j) + a(i, j - 1) + a(i, j + 1) - 4 * a(i, j));
        }""", parallel=True)
    a = np.zeros((50, 40))
    a[20:30, 10:20] = 100
    b, expected = a.copy(), a.copy()
    for _ in range(30):
        step(a, b)
        a, b = b, a
        e = expected
        inner = e[1:-1, 1:-1] + 0.1 * (e[:-2, 1:-1] + e[2:, 1:-1] + e[1:-1, :-2] + e[1:-1, 2:] - 4 * e[1:-1, 1:-1])
        expected[1:-1, 1:-1] = inner
    np.testing.assert_allclose(a, expected, rtol=1e-12, atol=1e-12)


def test_program_moving_mean():
    mean = kiln.guvectorize("""
        void mean(View<const double, 1> x, double width, View<double, 1> y) {
            double sum = 0;
            const int w = int(width);
            for (int i = 0; i < x.extent(0); ++i) {
                sum += x(i);
                if (i >= w) sum -= x(i - w);
                y(i) = sum / (i < w ? i + 1 : w);
            }
        }""", "(n),()->(n)", parallel=True)
    x = np.random.default_rng(2).integers(0, 100, (7, 200)).astype(float)
    expected = np.array([[row[max(0, i - 9):i + 1].mean() for i in range(200)] for row in x])
    np.testing.assert_allclose(mean(x, 10.0), expected, rtol=1e-14)


def test_program_newton():
    kepler = kiln.vectorize("""
        void kepler(double M, double e, double& E, int& n) {
            E = M;
            for (n = 0; n < 50; ++n) {
                const double step = (E - e * std::sin(E) - M) / (1 - e * std::cos(E));
                E -= step;
                if (std::abs(step) < 1e-14) break;
            }
        }""", parallel=True)
    M = np.linspace(0, 6, 1000)
    E, n = kepler(M, 0.3)
    np.testing.assert_allclose(E - 0.3 * np.sin(E), M, rtol=1e-14, atol=1e-14)
    assert n.dtype == np.int32 and n.max() < 10


def main():
    tests = {name: f for name, f in globals().items() if name.startswith("test_")}
    chosen = sys.argv[1:] or list(tests)
    failed = 0
    for name in chosen:
        try:
            tests[name]()
            print("passed", name, flush=True)
        except Exception:
            failed += 1
            print("FAILED", name, traceback.format_exc(), flush=True)
    print(f"{len(chosen)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
