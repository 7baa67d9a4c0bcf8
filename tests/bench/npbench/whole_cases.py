"""The NPBench kernels that kiln writes in whole-array statements (whole_arrays.h)."""
import math

import numpy as np

from npbench.cases import case, prange, random

try:
    from numba import njit
except ImportError:
    def njit(**options):
        return lambda f: f


def definite(n):
    """A symmetric, positive definite matrix, as NPBench makes it."""
    a = np.fromfunction(lambda i, j: (-j % n) / n + 1, (n, n))
    a = np.tril(a, -1) + np.eye(n)
    return a @ a.T


@case({"S": (100,), "M": (250,)}, (0,), changes=True)
class cholesky:
    def make(n):
        return [definite(n)], []

    def numpy(A):
        A[0, 0] = np.sqrt(A[0, 0])
        for i in range(1, A.shape[0]):
            for j in range(i):
                A[i, j] -= np.dot(A[i, :j], A[j, :j])
                A[i, j] /= A[j, j]
            A[i, i] -= np.dot(A[i, :i], A[i, :i])
            A[i, i] = np.sqrt(A[i, i])

    arrays = numpy

    def loops(A):
        for i in range(A.shape[0]):
            for j in range(i):
                s = A[i, j]
                for k in range(j):
                    s -= A[i, k] * A[j, k]
                A[i, j] = s / A[j, j]
            s = A[i, i]
            for k in range(i):
                s -= A[i, k] * A[i, k]
            A[i, i] = math.sqrt(s)


@case({"S": (60,), "M": (220,)}, (0, 2, 3), changes=True, tolerance=1e-10)
class ludcmp:
    def make(n):
        return [definite(n), (np.arange(n) + 1) / n / 2.0 + 4.0, np.empty(n), np.empty(n)], []

    def numpy(A, b, x, y):
        n = A.shape[0]
        x[:], y[:] = 0.0, 0.0
        for i in range(n):
            for j in range(i):
                A[i, j] -= A[i, :j] @ A[:j, j]
                A[i, j] /= A[j, j]
            for j in range(i, n):
                A[i, j] -= A[i, :i] @ A[:i, j]
        for i in range(n):
            y[i] = b[i] - A[i, :i] @ y[:i]
        for i in range(n - 1, -1, -1):
            x[i] = (y[i] - A[i, i + 1:] @ x[i + 1:]) / A[i, i]

    arrays = numpy

    def loops(A, b, x, y):
        n = A.shape[0]
        for i in range(n):
            for j in range(i):
                s = A[i, j]
                for k in range(j):
                    s -= A[i, k] * A[k, j]
                A[i, j] = s / A[j, j]
            for j in range(i, n):
                s = A[i, j]
                for k in range(i):
                    s -= A[i, k] * A[k, j]
                A[i, j] = s
        for i in range(n):
            s = b[i]
            for k in range(i):
                s -= A[i, k] * y[k]
            y[i] = s
        for i in range(n - 1, -1, -1):
            s = y[i]
            for k in range(i + 1, n):
                s -= A[i, k] * x[k]
            x[i] = s / A[i, i]

    def loops_rows(A, b, x, y):
        n = A.shape[0]
        for i in range(n):
            for j in range(i):
                f = A[i, j] / A[j, j]
                A[i, j] = f
                for k in range(j + 1, n):
                    A[i, k] -= f * A[j, k]
        for i in range(n):
            s = b[i]
            for k in range(i):
                s -= A[i, k] * y[k]
            y[i] = s
        for i in range(n - 1, -1, -1):
            s = y[i]
            for k in range(i + 1, n):
                s -= A[i, k] * x[k]
            x[i] = s / A[i, i]


@case({"S": (1000,), "M": (6000,)}, (1,), rounded=0)
class durbin:
    def make(n):
        return [np.arange(n, 0, -1) + 1.0, np.empty(n)], []

    def numpy(r, y):
        alpha, beta, y[0] = -r[0], 1.0, -r[0]
        for k in range(1, r.shape[0]):
            beta *= 1.0 - alpha * alpha
            alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
            y[:k] += alpha * np.flip(y[:k])
            y[k] = alpha

    def arrays(r, y):
        alpha, beta = -r[0], 1.0
        y[0] = -r[0]
        for k in range(1, r.shape[0]):
            beta *= 1.0 - alpha * alpha
            alpha = -(r[k] + np.sum(r[:k][::-1] * y[:k])) / beta
            y[:k] += alpha * y[:k][::-1].copy()
            y[k] = alpha

    def loops(r, y):
        alpha, beta = -r[0], 1.0
        y[0] = -r[0]
        z = np.empty_like(y)
        for k in range(1, r.shape[0]):
            beta *= 1.0 - alpha * alpha
            s = r[k]
            for i in range(k):
                s += r[k - 1 - i] * y[i]
            alpha = -s / beta
            for i in range(k):
                z[i] = y[i] + alpha * y[k - 1 - i]
            for i in range(k):
                y[i] = z[i]
            y[k] = alpha


@case({"S": (500, 600), "M": (1400, 1800)}, (1,), changes=True, tolerance=1e-10)
class correlation:
    def make(m, n):
        return [np.fromfunction(lambda i, j: (i * j) / m + i, (n, m)), np.empty((m, m))], [float(n)]

    def numpy(data, corr, float_n):
        m = data.shape[1]
        mean = np.mean(data, axis=0)
        stddev = np.std(data, axis=0)
        stddev[stddev <= 0.1] = 1.0
        data -= mean
        data /= np.sqrt(float_n) * stddev
        corr[:] = np.eye(m, dtype=data.dtype)
        for i in range(m - 1):
            corr[i + 1:m, i] = corr[i, i + 1:m] = data[:, i] @ data[:, i + 1:m]

    def arrays(data, corr, float_n):
        n, m = data.shape
        mean = np.sum(data, axis=0) / n
        data -= mean
        stddev = np.sqrt(np.sum(data * data, axis=0) / n)
        for j in range(m):
            if stddev[j] <= 0.1:
                stddev[j] = 1.0
        data /= np.sqrt(float_n) * stddev
        corr[:] = np.eye(m)
        for i in range(m - 1):
            row = np.ascontiguousarray(data[:, i]) @ data[:, i + 1:m]
            corr[i + 1:m, i] = row
            corr[i, i + 1:m] = row

    def loops(data, corr, float_n):
        n, m = data.shape
        for j in prange(m):
            mean, squares = 0.0, 0.0
            for i in range(n):
                mean += data[i, j]
            mean /= n
            for i in range(n):
                squares += (data[i, j] - mean)**2
            stddev = math.sqrt(squares / n)
            if stddev <= 0.1:
                stddev = 1.0
            for i in range(n):
                data[i, j] = (data[i, j] - mean) / (math.sqrt(float_n) * stddev)
        for i in prange(m):
            for j in range(i + 1, m):
                corr[i, j] = 0.0
            corr[i, i] = 1.0
            for k in range(n):
                f = data[k, i]
                for j in range(i + 1, m):
                    corr[i, j] += f * data[k, j]
        for i in range(m):
            for j in range(i + 1, m):
                corr[j, i] = corr[i, j]

    def loops_blas(data, corr, float_n):
        n, m = data.shape
        for j in prange(m):
            mean, squares = 0.0, 0.0
            for i in range(n):
                mean += data[i, j]
            mean /= n
            for i in range(n):
                squares += (data[i, j] - mean)**2
            stddev = math.sqrt(squares / n)
            if stddev <= 0.1:
                stddev = 1.0
            for i in range(n):
                data[i, j] = (data[i, j] - mean) / (math.sqrt(float_n) * stddev)
        corr[:] = data.T @ data
        for i in range(m):
            corr[i, i] = 1.0


@case({"S": (2, 4, 2, 2, 2, 6, 2, 3), "M": (4, 6, 4, 3, 3, 6, 2, 4)}, (4,), changes=True, tolerance=1e-11)
class scattering_self_energies:
    def make(nkz, ne, nqz, nw, n3d, na, nb, no):
        rng = np.random.default_rng(42)

        def numbers(*shape):
            return rng.random(shape) + 1j * rng.random(shape)

        return [rng.integers(0, na, size=(na, nb)).astype(np.int32), numbers(na, nb, n3d, no, no),
                numbers(nkz, ne, na, no, no), numbers(nqz, nw, na, nb, n3d, n3d),
                np.zeros((nkz, ne, na, no, no), np.complex128)], []

    def numpy(neigh_idx, dH, G, D, Sigma):
        for k in range(G.shape[0]):
            for E in range(G.shape[1]):
                for q in range(D.shape[0]):
                    for w in range(D.shape[1]):
                        for i in range(D.shape[-2]):
                            for j in range(D.shape[-1]):
                                for a in range(neigh_idx.shape[0]):
                                    for b in range(neigh_idx.shape[1]):
                                        if E - w >= 0:
                                            dHG = G[k, E - w, neigh_idx[a, b]] @ dH[a, b, i]
                                            dHD = dH[a, b, j] * D[q, w, a, b, i, j]
                                            Sigma[k, E, a] += dHG @ dHD

    arrays = numpy

    def loops(neigh_idx, dH, G, D, Sigma):
        n = G.shape[-1]
        for k in prange(G.shape[0]):
            left = np.empty((n, n), G.dtype)
            for E in range(G.shape[1]):
                for q in range(D.shape[0]):
                    for w in range(min(D.shape[1], E + 1)):
                        for i in range(D.shape[-2]):
                            for a in range(neigh_idx.shape[0]):
                                for b in range(neigh_idx.shape[1]):
                                    at = neigh_idx[a, b]
                                    for r in range(n):
                                        for c in range(n):
                                            s = 0j
                                            for t in range(n):
                                                s += G[k, E - w, at, r, t] * dH[a, b, i, t, c]
                                            left[r, c] = s
                                    for j in range(D.shape[-1]):
                                        f = D[q, w, a, b, i, j]
                                        for r in range(n):
                                            for c in range(n):
                                                s = 0j
                                                for t in range(n):
                                                    s += left[r, t] * dH[a, b, j, t, c]
                                                Sigma[k, E, a, r, c] += s * f


def conv2d(x, weights):
    k = weights.shape[0]
    out = np.empty((x.shape[0], x.shape[1] - k + 1, x.shape[2] - k + 1, weights.shape[3]), np.float32)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[:, i, j, :] = np.sum(x[:, i:i + k, j:j + k, :, np.newaxis] * weights[np.newaxis], axis=(1, 2, 3))
    return out


def maxpool2d(x):
    out = np.empty((x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]), np.float32)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[:, i, j, :] = np.max(x[:, 2 * i:2 * i + 2, 2 * j:2 * j + 2, :], axis=(1, 2))
    return out


def batchnorm2d(x):
    mean, std = np.mean(x, axis=0, keepdims=True), np.std(x, axis=0, keepdims=True)
    return (x - mean) / np.sqrt(std + np.float32(1e-5))


# The same for numba: what is called is compiled.


@njit(fastmath=True, error_model="numpy", parallel=True)
def conv(x, weights):
    k, many = weights.shape[0], weights.shape[3]
    rows, columns = x.shape[1] - k + 1, x.shape[2] - k + 1
    out = np.zeros((x.shape[0], rows, columns, many), np.float32)
    for at in prange(x.shape[0] * rows):
        n, i = at // rows, at % rows
        for j in range(columns):
            for y in range(k):
                for z in range(k):
                    for f in range(x.shape[3]):
                        v = x[n, i + y, j + z, f]
                        for c in range(many):
                            out[n, i, j, c] += v * weights[y, z, f, c]
    return out


@njit(fastmath=True, error_model="numpy")
def pool(x):
    out = np.empty((x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]), np.float32)
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                for c in range(out.shape[3]):
                    out[n, i, j, c] = max(max(x[n, 2 * i, 2 * j, c], x[n, 2 * i, 2 * j + 1, c]),
                                          max(x[n, 2 * i + 1, 2 * j, c], x[n, 2 * i + 1, 2 * j + 1, c]))
    return out


@njit(fastmath=True, error_model="numpy")
def norm(x):
    flat = x.reshape(x.shape[0], -1)
    count = np.float32(flat.shape[0])
    mean = np.sum(flat, axis=0) / count
    squares = np.zeros_like(mean)
    for n in range(flat.shape[0]):
        for e in range(flat.shape[1]):
            squares[e] += (flat[n, e] - mean[e])**2
    out = np.empty_like(flat)
    for n in range(flat.shape[0]):
        for e in range(flat.shape[1]):
            out[n, e] = (flat[n, e] - mean[e]) / np.sqrt(np.sqrt(squares[e] / count) + np.float32(1e-5))
    return out.reshape(x.shape)


zero = np.float32(0)


@case({"S": (4, 28, 28), "M": (8, 56, 56)}, (11,), tolerance=1e-4)
class lenet:
    def make(n, h, w):
        def halves(x):
            return ((x - 4) // 2 - 4) // 2
        flat = halves(h) * halves(w) * 16
        return random((n, h, w, 1), (5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (flat, 120), (120,), (120, 84), (84,),
                      (84, 10), (10,), dtype=np.float32) + [np.empty((n, 10), np.float32)], []

    def numpy(x, conv1, bias1, conv2, bias2, w1, b1, w2, b2, w3, b3, out):
        x = maxpool2d(np.maximum(conv2d(x, conv1) + bias1, 0))
        x = maxpool2d(np.maximum(conv2d(x, conv2) + bias2, 0))
        x = np.reshape(x, (x.shape[0], -1))
        x = np.maximum(x @ w1 + b1, 0)
        x = np.maximum(x @ w2 + b2, 0)
        out[:] = x @ w3 + b3

    def loops(x, conv1, bias1, conv2, bias2, w1, b1, w2, b2, w3, b3, out):
        x = pool(np.maximum(conv(x, conv1) + bias1, zero))
        x = pool(np.maximum(conv(x, conv2) + bias2, zero))
        flat = x.reshape(x.shape[0], -1)
        y = np.maximum(flat @ w1 + b1, zero)
        z = np.maximum(y @ w2 + b2, zero)
        out[:] = z @ w3 + b3


@case({"S": (8, 14, 14, 32, 8), "M": (8, 28, 28, 64, 16)}, (4,), tolerance=1e-4)
class resnet:
    def make(n, w, h, c1, c2):
        x, one, three, back = random((n, h, w, c1), (1, 1, c1, c2), (3, 3, c2, c2), (1, 1, c2, c1), dtype=np.float32)
        return [x, one, three, back, np.empty_like(x)], []

    def numpy(x, conv1, conv2, conv3, out):
        padded = np.zeros((x.shape[0], x.shape[1] + 2, x.shape[2] + 2, conv1.shape[3]), np.float32)
        padded[:, 1:-1, 1:-1, :] = conv2d(x, conv1)
        y = np.maximum(batchnorm2d(padded), 0)
        y = np.maximum(batchnorm2d(conv2d(y, conv2)), 0)
        out[:] = np.maximum(batchnorm2d(conv2d(y, conv3)) + x, 0)

    def loops(x, conv1, conv2, conv3, out):
        padded = np.zeros((x.shape[0], x.shape[1] + 2, x.shape[2] + 2, conv1.shape[3]), np.float32)
        padded[:, 1:-1, 1:-1, :] = conv(x, conv1)
        y = np.maximum(norm(padded), zero)
        y = np.maximum(norm(conv(y, conv2)), zero)
        out[:] = np.maximum(norm(conv(y, conv3)) + x, zero)


@case({"S": (200, 200, 40), "M": (500, 500, 60)}, (2, 3), fastmath=False, tolerance=1e-6)
class mandelbrot2:
    def make(xn, yn, itermax):
        return [np.linspace(-2.25, 0.75, xn), np.linspace(-1.25, 1.25, yn), np.empty((yn, xn), np.complex128),
                np.empty((yn, xn), np.int64)], [itermax, 2.0]

    def numpy(x, y, last, count, itermax, horizon):
        Yi, Xi = np.mgrid[0:y.shape[0], 0:x.shape[0]]
        C = x[Xi] + y[Yi] * 1j
        last[:], count[:] = 0, 0
        Xi, Yi, C = Xi.ravel(), Yi.ravel(), C.ravel()
        Z = np.zeros(C.shape, np.complex128)
        for i in range(itermax):
            if not len(Z):
                break
            np.multiply(Z, Z, Z)
            np.add(Z, C, Z)
            I = abs(Z) > horizon
            count[Yi[I], Xi[I]] = i + 1
            last[Yi[I], Xi[I]] = Z[I]
            np.logical_not(I, I)
            Z = Z[I]
            Xi, Yi = Xi[I], Yi[I]
            C = C[I]

    def arrays(x, y, last, count, itermax, horizon):
        last[:], count[:] = 0, 0
        counts, lasts = count.ravel(), last.ravel()
        C = (x + y.reshape(-1, 1) * 1j).ravel()
        at = np.arange(C.size)
        Z = np.zeros(C.shape, np.complex128)
        for i in range(itermax):
            if not len(Z):
                break
            Z = Z * Z + C
            I = np.abs(Z) > horizon
            counts[at[I]] = i + 1
            lasts[at[I]] = Z[I]
            I = np.logical_not(I)
            Z = Z[I]
            at = at[I]
            C = C[I]

    def loops(x, y, last, count, itermax, horizon):
        last[:], count[:] = 0, 0
        counts, lasts = count.reshape(-1), last.reshape(-1)
        n = counts.shape[0]
        C, Z, at = np.empty(n, np.complex128), np.zeros(n, np.complex128), np.arange(n)
        for k in range(n):
            C[k] = complex(x[k % x.shape[0]], y[k // x.shape[0]])
        for i in range(itermax):
            kept = 0
            for k in range(n):
                z = Z[k] * Z[k] + C[k]
                if abs(z) > horizon:
                    counts[at[k]] = i + 1
                    lasts[at[k]] = z
                else:
                    Z[kept], C[kept], at[kept] = z, C[k], at[k]
                    kept += 1
            n = kept
