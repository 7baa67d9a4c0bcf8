// The calling convention of every benchmarked variant: a library exports table(), rows ended by a
// null workload. The harness fills one Args per case, so that all variants read the same inputs and
// write the same output buffers.
#pragma once
#include <cstddef>
#include <cstdint>

struct Args {
    void* p[8];         // the inputs of the workload, then its output (workloads.py)
    std::int64_t n[6];  // sizes
    double s[6];        // scalars
};
using Kernel = void (*)(const Args*);

struct Entry {
    const char* workload;
    const char* dtype;
    int threads;  // 1, or 0 for all
    const char* variant;
    Kernel run;
};
extern "C" const Entry* table();

template <class T> const T* input(const Args& a, int i) { return static_cast<const T*>(a.p[i]); }
template <class T> T* output(const Args& a, int i) { return static_cast<T*>(a.p[i]); }
inline std::size_t size(const Args& a, int i = 0) { return static_cast<std::size_t>(a.n[i]); }
template <class T> T scalar(const Args& a, int i) { return static_cast<T>(a.s[i]); }
template <class T> inline constexpr const char* dtype_name = sizeof(T) == 4 ? "f32" : "f64";
