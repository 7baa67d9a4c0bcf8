"""The NPBench kernels that are no grids: points, reductions, integers, matrices, particles."""
import math

import numpy as np

from npbench.cases import case, prange, random


@case({"S": (100000,), "M": (1000000,)}, (4,))
class arc_distance:
    def make(n):
        return random(n, n, n, n) + [np.empty(n)], []

    def numpy(t1, p1, t2, p2, out):
        h = np.sin((t2 - t1) / 2)**2 + np.cos(t1) * np.cos(t2) * np.sin((p2 - p1) / 2)**2
        out[:] = 2 * np.arctan2(np.sqrt(h), np.sqrt(1 - h))

    arrays = numpy

    def loops(t1, p1, t2, p2, out):
        for i in prange(t1.shape[0]):
            s, t = math.sin((t2[i] - t1[i]) / 2), math.sin((p2[i] - p1[i]) / 2)
            h = s * s + math.cos(t1[i]) * math.cos(t2[i]) * t * t
            out[i] = 2 * math.atan2(math.sqrt(h), math.sqrt(1 - h))


@case({"S": (400000, 1000), "M": (4000000, 1000)}, (2,), fastmath=False)
class azimint_hist:
    def make(n, bins):
        return random(n, n) + [np.empty(bins)], []

    def numpy(data, radius, out):
        out[:] = (np.histogram(radius, out.shape[0], weights=data)[0] / np.histogram(radius, out.shape[0])[0])

    def loops(data, radius, out):
        n, bins, low, high = radius.shape[0], out.shape[0], radius.min(), radius.max()
        step, scale = (high - low) / bins, bins / (high - low)
        edges = np.empty(bins + 1)
        for b in range(bins):
            edges[b] = low + b * step
        edges[bins] = high
        chunks = 16
        sums, counts = np.zeros((chunks, bins)), np.zeros((chunks, bins))
        for c in prange(chunks):
            for e in range(n * c // chunks, n * (c + 1) // chunks):
                r = radius[e]
                b = min(int((r - low) * scale), bins - 1)
                if r < edges[b]:
                    b -= 1
                elif r >= edges[b + 1] and b != bins - 1:
                    b += 1
                sums[c, b] += data[e]
                counts[c, b] += 1.0
        for b in range(bins):
            s, k = 0.0, 0.0
            for c in range(chunks):
                s += sums[c, b]
                k += counts[c, b]
            out[b] = s / k

    def loops_plain(data, radius, out):
        bins, low, high = out.shape[0], radius.min(), radius.max()
        step, scale = (high - low) / bins, bins / (high - low)
        edges = low + np.arange(bins + 1) * step
        edges[bins] = high
        sums, counts = np.zeros(bins), np.zeros(bins)
        for e in range(radius.shape[0]):
            r = radius[e]
            b = min(int((r - low) * scale), bins - 1)
            if r < edges[b]:
                b -= 1
            elif r >= edges[b + 1] and b != bins - 1:
                b += 1
            sums[b] += data[e]
            counts[b] += 1.0
        out[:] = sums / counts


@case({"S": (400000, 1000), "M": (4000000, 1000)}, (2,))
class azimint_naive:
    def make(n, bins):
        return random(n, n) + [np.empty(bins)], []

    def numpy(data, radius, out):
        high, bins = radius.max(), out.shape[0]
        for b in range(bins):
            inside = np.logical_and(high * b / bins <= radius, radius < high * (b + 1) / bins)
            out[b] = data[inside].mean()

    arrays = numpy

    def loops(data, radius, out):
        high, bins = radius.max(), out.shape[0]
        for b in prange(bins):
            r1, r2 = high * b / bins, high * (b + 1) / bins
            s, k = 0.0, 0
            for e in range(radius.shape[0]):
                if r1 <= radius[e] and radius[e] < r2:
                    s += data[e]
                    k += 1
            out[b] = s / k


@case({"S": (2000, 2000), "M": (5000, 5000)}, (2,))
class compute:
    def make(m, n):
        rng = np.random.default_rng(42)
        x, y = (rng.uniform(0, 1000, size=(m, n)).astype(np.int64) for _ in range(2))
        return [x, y, np.empty_like(x)], [4, 3, 9]

    def numpy(x, y, out, a, b, c):
        out[:] = np.clip(x, 2, 10) * a + y * b + c

    arrays = numpy

    def loops(x, y, out, a, b, c):
        for i in prange(x.shape[0]):
            for j in range(x.shape[1]):
                out[i, j] = min(max(x[i, j], 2), 10) * a + y[i, j] * b + c


@case({"S": (8, 3, 16, 2, 32, 32), "M": (8, 3, 8, 5, 64, 64)}, (3,), tolerance=1e-5)
class conv2d_bias:
    def make(n, c_in, c_out, k, h, w):
        x, weights, bias = random((n, h, w, c_in), (k, k, c_in, c_out), (c_out,), dtype=np.float32)
        return [x, weights, bias, np.empty((n, h - k + 1, w - k + 1, c_out), np.float32)], []

    def numpy(x, weights, bias, out):
        k = weights.shape[0]
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                out[:, i, j, :] = np.sum(x[:, i:i + k, j:j + k, :, np.newaxis] * weights[np.newaxis], axis=(1, 2, 3))
        out += bias

    def loops(x, weights, bias, out):
        k, c_in = weights.shape[0], weights.shape[2]
        for n in prange(out.shape[0]):
            for i in range(out.shape[1]):
                for j in range(out.shape[2]):
                    for c in range(out.shape[3]):
                        out[n, i, j, c] = bias[c]
                    for y in range(k):
                        for z in range(k):
                            for f in range(c_in):
                                v = x[n, i + y, j + z, f]
                                for c in range(out.shape[3]):
                                    out[n, i, j, c] += v * weights[y, z, f, c]

    def loops_inside(x, weights, bias, out):
        k, c_in = weights.shape[0], weights.shape[2]
        for n in prange(out.shape[0]):
            for i in range(out.shape[1]):
                for j in range(out.shape[2]):
                    for c in range(out.shape[3]):
                        s = bias[c]
                        for y in range(k):
                            for z in range(k):
                                for f in range(c_in):
                                    s += x[n, i + y, j + z, f] * weights[y, z, f, c]
                        out[n, i, j, c] = s


@case({"S": (1600,), "M": (16000,)}, (1,))
class crc16:
    def make(n):
        return [np.random.default_rng(42).integers(0, 256, size=(n,), dtype=np.uint8), np.zeros(1, np.int64)], [0x8408]

    def numpy(data, out, polynomial):
        crc = 0xFFFF
        for byte in data.tolist():
            for _ in range(8):
                crc = (crc >> 1) ^ polynomial if (crc ^ byte) & 1 else crc >> 1
                byte >>= 1
        crc = ~crc & 0xFFFF
        out[0] = (crc << 8 | crc >> 8) & 0xFFFF

    def loops(data, out, polynomial):
        crc = 0xFFFF
        for i in range(data.shape[0]):
            byte = data[i]
            for _ in range(8):
                if (crc & 1) ^ (byte & 1):
                    crc = (crc >> 1) ^ polynomial
                else:
                    crc >>= 1
                byte >>= 1
        crc = ~crc & 0xFFFF
        out[0] = (crc << 8 | crc >> 8) & 0xFFFF

    def loops_table(data, out, polynomial):
        table = np.empty(256, np.uint32)
        for i in range(256):
            c = np.uint32(i)
            for _ in range(8):
                c = (c >> np.uint32(1)) ^ (np.uint32(polynomial) if c & np.uint32(1) else np.uint32(0))
            table[i] = c
        crc = np.uint32(0xFFFF)
        for i in range(data.shape[0]):
            crc = (crc >> np.uint32(8)) ^ table[(crc ^ data[i]) & np.uint32(0xFF)]
        value = ~np.int64(crc) & 0xFFFF
        out[0] = (value << 8 | value >> 8) & 0xFFFF

    def loops_slices(data, out, polynomial):
        table = np.empty(1024, np.uint32)
        for i in range(256):
            c = np.uint32(i)
            for _ in range(8):
                c = (c >> np.uint32(1)) ^ (np.uint32(polynomial) if c & np.uint32(1) else np.uint32(0))
            table[i] = c
        for i in range(256, 1024):
            less = table[i - 256]
            table[i] = (less >> np.uint32(8)) ^ table[less & np.uint32(0xFF)]
        crc = np.uint32(0xFFFF)
        whole = data.shape[0] // 4 * 4
        for i in range(0, whole, 4):
            both = crc ^ (np.uint32(data[i]) | np.uint32(data[i + 1]) << np.uint32(8))
            crc = (table[768 + np.int64(both & np.uint32(0xFF))] ^ table[512 + np.int64(both >> np.uint32(8))]
                   ^ (table[256 + np.int64(data[i + 2])] ^ table[data[i + 3]]))
        for i in range(whole, data.shape[0]):
            crc = (crc >> np.uint32(8)) ^ table[(crc ^ data[i]) & np.uint32(0xFF)]
        value = ~np.int64(crc) & 0xFFFF
        out[0] = (value << 8 | value >> 8) & 0xFFFF


@case({"S": (2000,), "M": (6000,)}, (1,))
class go_fast:
    def make(n):
        a, = random((n, n))
        return [a, np.empty_like(a)], []

    def numpy(a, out):
        trace = 0.0
        for i in range(a.shape[0]):
            trace += np.tanh(a[i, i])
        np.add(a, trace, out=out)

    def arrays(a, out):
        trace = 0.0
        for i in range(a.shape[0]):
            trace += np.tanh(a[i, i])
        out[:] = a + trace

    def loops(a, out):
        trace = 0.0
        for i in prange(a.shape[0]):
            trace += math.tanh(a[i, i])
        for i in prange(a.shape[0]):
            for j in range(a.shape[1]):
                out[i, j] = a[i, j] + trace


@case({"S": (125, 125, 60), "M": (250, 250, 150)}, (2, 3), fastmath=False, rounded=0)
class mandelbrot1:
    def make(xn, yn, limit):
        x, y = np.linspace(-1.75, 0.25, xn), np.linspace(-1.0, 1.0, yn)[:, np.newaxis].copy()
        return [x, y, np.empty((yn, xn), np.complex128), np.empty((yn, xn), np.int64)], [limit, 2.0]

    def numpy(x, y, z, n, limit, horizon):
        c = x + y * 1j
        z[:], n[:] = 0, 0
        for k in range(limit):
            inside = np.less(abs(z), horizon)
            n[inside] = k
            z[inside] = z[inside]**2 + c[inside]
        n[n == limit - 1] = 0

    def loops(x, y, z, n, limit, horizon):
        for i in prange(z.shape[0]):
            for j in range(z.shape[1]):
                c = complex(x[j], y[i, 0])
                v, k = 0j, 0
                while k < limit and v.real * v.real + v.imag * v.imag < horizon * horizon:
                    v = complex(v.real * v.real - v.imag * v.imag + c.real, v.real * v.imag + v.imag * v.real + c.imag)
                    k += 1
                z[i, j] = v
                n[i, j] = 0 if k == limit else k - 1

    def arrays(x, y, z, n, limit, horizon):
        for i in prange(z.shape[0]):
            for j in range(z.shape[1]):
                c = complex(x[j], y[i, 0])
                v, k = 0j, 0
                while k < limit and abs(v) < horizon:
                    v = v * v + c
                    k += 1
                z[i, j] = v
                n[i, j] = 0 if k == limit else k - 1


@case({"S": (200,), "M": (400,)}, (0,), changes=True)
class floyd_warshall:
    def make(n):
        i, j = np.indices((n, n))
        path = (i * j % 7 + 1).astype(np.int32)
        path[((i + j) % 13 == 0) | ((i + j) % 7 == 0) | ((i + j) % 11 == 0)] = 999
        return [path], []

    def numpy(path):
        for k in range(path.shape[0]):
            path[:] = np.minimum(path, np.add.outer(path[:, k], path[k, :]))

    def loops(path):
        n = path.shape[0]
        for k in range(n):
            for i in prange(n):
                for j in range(n):
                    path[i, j] = min(path[i, j], path[i, k] + path[k, j])

    def loops_copy(path):
        n = path.shape[0]
        row = np.empty(n, path.dtype)
        for k in range(n):
            for j in range(n):
                row[j] = path[k, j]
            for i in prange(n):
                first = path[i, k]
                for j in range(n):
                    path[i, j] = min(path[i, j], first + row[j])

    def arrays(path):
        for k in range(path.shape[0]):
            path[:] = np.minimum(path, path[:, k].copy().reshape(-1, 1) + path[k, :].copy())


@case({"S": (25, 2.0, 0.05), "M": (50, 5.0, 0.02)}, (3, 4), changes=True, rounded=1, steps=20)
class nbody:
    def make(n, end, dt):
        pos, vel = random((n, 3), (n, 3))
        rng = np.random.default_rng(42)
        pos, vel = rng.random((n, 3)), rng.random((n, 3))
        steps = math.ceil(end / dt)
        return [np.full(n, 20.0 / n), pos, vel, np.empty(steps + 1), np.empty(steps + 1)], [dt, 1.0, 0.1]

    def numpy(mass, pos, vel, kinetic, potential, dt, gravity, softening):
        def distances():
            return [pos[:, c] - pos[:, c:c + 1] for c in range(3)]

        def accelerations():
            d = distances()
            pull = (d[0]**2 + d[1]**2 + d[2]**2 + softening**2)**-1.5
            return np.stack([gravity * (x * pull) @ mass for x in d], axis=1)

        def energies(k):
            kinetic[k] = 0.5 * np.sum(mass[:, np.newaxis] * vel**2)
            d = distances()
            r = np.sqrt(d[0]**2 + d[1]**2 + d[2]**2)
            r[r > 0] = 1.0 / r[r > 0]
            potential[k] = gravity * np.sum(np.triu(-np.outer(mass, mass) * r, 1))

        vel -= np.mean(mass[:, np.newaxis] * vel, axis=0) / np.mean(mass)
        a = accelerations()
        energies(0)
        for k in range(1, kinetic.shape[0]):
            vel += a * dt / 2.0
            pos += vel * dt
            a = accelerations()
            vel += a * dt / 2.0
            energies(k)

    def loops(mass, pos, vel, kinetic, potential, dt, gravity, softening):
        n = mass.shape[0]
        total = mass.sum()
        for c in range(3):
            s = 0.0
            for i in range(n):
                s += mass[i] * vel[i, c]
            for i in range(n):
                vel[i, c] -= s / total
        a = np.empty((n, 3))
        for k in range(kinetic.shape[0]):
            if k > 0:
                for i in range(n):
                    for c in range(3):
                        vel[i, c] += a[i, c] * dt / 2.0
                        pos[i, c] += vel[i, c] * dt
            for i in range(n):
                ax, ay, az = 0.0, 0.0, 0.0
                for j in range(n):
                    dx, dy, dz = pos[j, 0] - pos[i, 0], pos[j, 1] - pos[i, 1], pos[j, 2] - pos[i, 2]
                    r2 = dx * dx + dy * dy + dz * dz + softening * softening
                    pull = mass[j] / (r2 * math.sqrt(r2))
                    ax += dx * pull
                    ay += dy * pull
                    az += dz * pull
                a[i, 0], a[i, 1], a[i, 2] = gravity * ax, gravity * ay, gravity * az
            if k > 0:
                for i in range(n):
                    for c in range(3):
                        vel[i, c] += a[i, c] * dt / 2.0
            moving, bound = 0.0, 0.0
            for i in range(n):
                moving += mass[i] * (vel[i, 0]**2 + vel[i, 1]**2 + vel[i, 2]**2)
                for j in range(i + 1, n):
                    dx, dy, dz = pos[j, 0] - pos[i, 0], pos[j, 1] - pos[i, 1], pos[j, 2] - pos[i, 2]
                    bound += mass[i] * mass[j] / math.sqrt(dx * dx + dy * dy + dz * dz)
            kinetic[k], potential[k] = 0.5 * moving, -gravity * bound


@case({"S": (40,), "M": (90,)}, (1,))
class nussinov:
    def make(n):
        return [((np.arange(n) + 1) % 4).astype(np.int32), np.empty((n, n), np.int32)], []

    def numpy(bases, table):
        n = bases.shape[0]
        table[:] = 0
        for i in range(n - 2, -1, -1):
            for j in range(i + 1, n):
                pair = 1 if i < j - 1 and bases[i] + bases[j] == 3 else 0
                best = max(table[i, j - 1], table[i + 1, j], table[i + 1, j - 1] + pair)
                if j > i + 1:
                    best = max(best, np.max(table[i, i + 1:j] + table[i + 2:j + 1, j]))
                table[i, j] = best

    def loops(bases, table):
        n = bases.shape[0]
        table[:] = 0
        for i in range(n - 2, -1, -1):
            for j in range(i + 1, n):
                pair = 1 if i < j - 1 and bases[i] + bases[j] == 3 else 0
                best = max(table[i, j - 1], table[i + 1, j], table[i + 1, j - 1] + pair)
                for k in range(i + 1, j):
                    best = max(best, table[i, k] + table[k + 1, j])
                table[i, j] = best

    def loops_flipped(bases, table):
        n = bases.shape[0]
        table[:] = 0
        flipped = np.zeros((n, n), np.int32)
        for i in range(n - 2, -1, -1):
            for j in range(i + 1, n):
                pair = 1 if i < j - 1 and bases[i] + bases[j] == 3 else 0
                best = np.int32(max(table[i, j - 1], table[i + 1, j], table[i + 1, j - 1] + pair))
                for k in range(i + 1, j):
                    best = max(best, np.int32(table[i, k] + flipped[j, k + 1]))
                table[i, j] = best
                flipped[j, i] = best


@case({"S": (16, 16, 128), "M": (32, 8, 256)}, (1,), tolerance=1e-5)
class softmax:
    def make(n, h, s):
        x, = random((n * h * s, s), dtype=np.float32)
        return [x, np.empty_like(x)], []

    def numpy(x, out):
        e = np.exp(x - np.max(x, axis=-1, keepdims=True))
        out[:] = e / np.sum(e, axis=-1, keepdims=True)

    def loops(x, out):
        for i in prange(x.shape[0]):
            most = x[i, 0]
            for j in range(x.shape[1]):
                most = max(most, x[i, j])
            s = np.float32(0)
            for j in range(x.shape[1]):
                e = math.exp(x[i, j] - most)
                out[i, j] = e
                s += e
            for j in range(x.shape[1]):
                out[i, j] /= s

    def arrays(x, out):
        for i in prange(x.shape[0]):
            e = np.exp(x[i] - np.max(x[i]))
            out[i, :] = e / np.sum(e)


@case({"S": (4096, 4096, 8192), "M": (32768, 32768, 65536)}, (4,))
class spmv:
    def make(m, n, count):
        rng = np.random.default_rng(42)
        at = np.sort(rng.choice(m * n, size=count, replace=False))
        rows = np.zeros(m + 1, np.uint32)
        rows[1:] = np.cumsum(np.bincount(at // n, minlength=m))
        return [rows, (at % n).astype(np.uint32), rng.random(count), rng.random(n), np.empty(m)], []

    def numpy(rows, columns, values, x, y):
        for i in range(y.shape[0]):
            a, b = rows[i], rows[i + 1]
            y[i] = values[a:b] @ x[columns[a:b]]

    def loops(rows, columns, values, x, y):
        for i in prange(y.shape[0]):
            s = 0.0
            for e in range(rows[i], rows[i + 1]):
                s += values[e] * x[columns[e]]
            y[i] = s

    def arrays(rows, columns, values, x, y):
        for i in prange(y.shape[0]):
            a, b = rows[i], rows[i + 1]
            y[i] = np.sum(values[a:b] * x[columns[a:b]])
