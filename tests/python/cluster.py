"""kiln on a dask LocalCluster of two workers, over an array of chunks that together are larger than a worker may have.

Exit status 77: dask or distributed is not installed.
"""

import sys

try:
    import dask
    import dask.array as da
    import numpy as np
    from dask.distributed import Client, LocalCluster
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)
try:
    import kiln
except ImportError as error:
    print(f"skipped: the package is not built: {error}")
    sys.exit(77)

LIMIT = 700 * 2**20  # bytes of a worker, which Python, NumPy, LLVM and Clang take 300 MB of
WAVE = "double wave(double x, double a) { return std::exp(-a * x) * std::sin(x); }"


def main():
    wave = kiln.vectorize(WAVE)
    total = kiln.jit("double total(View<const double, 1> x) { double s = 0; for (long i = 0; i < x.extent(0); ++i) s += x(i);"
                     " return s; }")
    dask.config.set({"distributed.worker.memory.terminate": 0.95})
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, memory_limit=LIMIT, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            n, chunk = 200_000_000, 4_000_000  # 1.6 GB in chunks of 32 MB
            assert n * 8 > 2 * LIMIT
            x = da.arange(n, chunks=chunk, dtype="f8") / n
            y = x.map_blocks(wave, 0.5, dtype="f8")
            sums = y.map_blocks(lambda block: np.array([total(block)]), dtype="f8", chunks=(1,)).compute()
            assert sums.shape == (n // chunk,)
            # The integral of exp(-x/2) sin x from 0 to 1, times n.
            primitive = lambda t: -np.exp(-0.5 * t) * (0.5 * np.sin(t) + np.cos(t)) / 1.25
            np.testing.assert_allclose(sums.sum() / n, primitive(1.0) - primitive(0.0), rtol=1e-7)
            workers = client.run(lambda: __import__("os").getpid())
            assert len(set(workers.values())) == 2
            # A block against NumPy, computed on a worker.
            block = y[:chunk].compute()
            t = np.arange(chunk) / n
            np.testing.assert_allclose(block, np.exp(-0.5 * t) * np.sin(t), rtol=1e-14)
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
