// Stacks of small arrays in plain C++: what kiln and numba have as generalised ufuncs.
#pragma once
#include "tests/bench/drivers.h"
#include "tests/bench/gufuncs.h"

#include <cmath>

namespace stacks {

using gufuncs::row, gufuncs::signal, gufuncs::softmax_columns, gufuncs::taps;

/// n cores.
template <class E> struct Stack {
    using T = E;
    static std::size_t extent(const Args& a) { return size(a); }
    static std::size_t grain(const Args&) { return 16; }
};

template <class T> struct Softmax : Stack<T> {
    static constexpr const char* name = "softmax";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        constexpr std::size_t n = softmax_columns;
        for (std::size_t r = from; r < to; ++r) {
            const T* __restrict x = input<T>(a, 0) + r * n;
            T* __restrict y = output<T>(a, 1) + r * n;
            T most = x[0], sum = 0;
            for (std::size_t i = 1; i < n; ++i) most = x[i] > most ? x[i] : most;
            for (std::size_t i = 0; i < n; ++i) {
                y[i] = std::exp(x[i] - most);
                sum += y[i];
            }
            for (std::size_t i = 0; i < n; ++i) y[i] /= sum;
        }
    }
};

template <class T, std::size_t N> struct Matmul : Stack<T> {
    static constexpr const char* name = N == 4 ? "matmul4" : "matmul32";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        for (std::size_t r = from; r < to; ++r) {
            const T* __restrict x = input<T>(a, 0) + r * N * N;
            const T* __restrict y = input<T>(a, 1) + r * N * N;
            T* __restrict z = output<T>(a, 2) + r * N * N;
            for (std::size_t i = 0; i < N; ++i) {
                for (std::size_t j = 0; j < N; ++j) z[i * N + j] = 0;
                for (std::size_t k = 0; k < N; ++k)
                    for (std::size_t j = 0; j < N; ++j) z[i * N + j] += x[i * N + k] * y[k * N + j];
            }
        }
    }
};

template <class T> struct Cross : Stack<T> {
    static constexpr const char* name = "cross";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        const T* __restrict y = input<T>(a, 1);
        T* __restrict z = output<T>(a, 2);
        for (std::size_t i = 3 * from; i < 3 * to; i += 3) {
            z[i] = x[i + 1] * y[i + 2] - x[i + 2] * y[i + 1];
            z[i + 1] = x[i + 2] * y[i] - x[i] * y[i + 2];
            z[i + 2] = x[i] * y[i + 1] - x[i + 1] * y[i];
        }
    }
};

template <class T> struct Tridiagonal : Stack<T> {
    static constexpr const char* name = "tridiagonal";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        T c[row];
        for (std::size_t r = from; r < to; ++r) {
            const T* __restrict lower = input<T>(a, 0) + r * row;
            const T* __restrict middle = input<T>(a, 1) + r * row;
            const T* __restrict upper = input<T>(a, 2) + r * row;
            const T* __restrict right = input<T>(a, 3) + r * row;
            T* __restrict x = output<T>(a, 4) + r * row;
            c[0] = upper[0] / middle[0];
            x[0] = right[0] / middle[0];
            for (std::size_t i = 1; i < row; ++i) {
                const T scale = 1 / (middle[i] - lower[i] * c[i - 1]);
                c[i] = upper[i] * scale;
                x[i] = (right[i] - lower[i] * x[i - 1]) * scale;
            }
            for (std::size_t i = row - 1; i-- > 0;) x[i] -= c[i] * x[i + 1];
        }
    }
};

template <class T> struct Fir : Stack<T> {
    static constexpr const char* name = "fir";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict h = input<T>(a, 1);
        constexpr std::size_t n = signal - taps + 1;
        for (std::size_t r = from; r < to; ++r) {
            const T* __restrict x = input<T>(a, 0) + r * signal;
            T* __restrict y = output<T>(a, 2) + r * n;
            for (std::size_t i = 0; i < n; ++i) {
                T sum = 0;
                for (std::size_t k = 0; k < taps; ++k) sum += x[i + k] * h[k];
                y[i] = sum;
            }
        }
    }
};

}  // namespace stacks
