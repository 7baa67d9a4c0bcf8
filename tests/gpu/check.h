// What the parts of the program share: checks that count, errors as texts, numbers.
#pragma once
#include <kiln/kiln.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace gpu {

inline int failures = 0;

inline void check(bool holds, const std::string& what) {
    if (holds) return;
    ++failures;
    std::printf("failed: %s\n", what.c_str());
}

template <class F> std::string error_of(F&& f) {
    try {
        f();
    } catch (const kiln::Error& e) {
        return e.what();
    }
    return "no error";
}

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// Fails where f gives no error with this text.
template <class F> void check_error(F&& f, const std::string& part) {
    const std::string text = error_of(f);
    check(contains(text, part), "expected \"" + part + "\", got \"" + text + "\"");
}

/// The fake driver of tests/cuda, null with a real one.
inline const char* fake_driver() {
    const char* const library = std::getenv("KILN_LIBCUDA");
    return library != nullptr && contains(library, "fake") ? library : nullptr;
}

inline std::vector<double> numbers(std::size_t n) {
    std::vector<double> made(n);
    std::uint64_t state = 88172645463325252ull;
    for (double& x : made) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        x = static_cast<double>(state >> 40) / 16777216.0 - 0.5;
    }
    return made;
}

/// Whether all elements are, in C order, these.
inline bool is(const kiln::Array& array, const std::vector<double>& expected) {
    const kiln::Array here = array.to_host().astype(kiln::DType::f64).contiguous();
    if (here.size() != static_cast<std::int64_t>(expected.size())) return false;
    const double* const data = reinterpret_cast<const double*>(here.data());
    for (std::size_t i = 0; i < expected.size(); ++i)
        if (data[i] != expected[i]) return false;
    return true;
}

void device_arrays();
void memory_of_the_device();
void streams();
void explicit_kernels();

}  // namespace gpu
