// The names of complex numbers. Programs that use such numbers include <complex>, which brings the streams
// of numbers along: a tenth of what all of kiln's headers cost.
#pragma once
#include <cstddef>

#ifdef __GLIBCXX__
namespace std {
template <class T> class complex;  // NOLINT(cert-dcl58-cpp): as libstdc++ declares it
}
#else
#include <complex>
#endif
