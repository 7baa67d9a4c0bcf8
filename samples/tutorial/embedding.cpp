// Chapter 9: kernels in a program of one's own.
#include "check.h"

#include <kiln/kiln.h>

#include <thread>
#include <vector>
using namespace kiln;

namespace {

/// A class that has a kernel, as any other member: handles are small, copies share their code.
class Filter {
  public:
    explicit Filter(double weight)
        : kernel_(jit("filter",
                      [=](In x, Out y) {  // by value: the weight is a constant of the code
                          for (Index i : prange(1, x.extent(0)))
                              y(i) = weight * x(i) + (1 - weight) * x(i - 1);
                      },
                      {.parallel = true})) {}

    /// On memory of the caller's.
    void operator()(std::span<const double> x, std::span<double> y) const { kernel_(x, y); }
    const auto& kernel() const { return kernel_; }

  private:
    Jit<void> kernel_;
};

}  // namespace

int main() {
    const Filter slow(0.125), fast(0.875);

    // Compiled before they are needed, on a thread of their own. From the second run of this program on they are
    // in the disk cache, and LLVM is not even opened.
    WarmUp warming =
        warm_up({{slow.kernel(), {f64[1], f64[1]}}, {fast.kernel(), {f64[1], f64[1]}}});
    warming.wait();
    const DiskCacheInfo disk = disk_cache_info();
    std::printf("%llu compiled, %llu from %s\n", static_cast<unsigned long long>(stats().compiles),
                static_cast<unsigned long long>(stats().loads), disk.folder.c_str());
    for (const DiskCacheMiss& miss : explain_disk_cache())
        std::printf("%s was compiled: %s\n", miss.kernel.c_str(), miss.reason.c_str());

    // Kernels are called from any number of threads at once; each thread's calls use this many threads.
    std::vector<double> x(1000, 8.0), results(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < results.size(); ++t)
        threads.emplace_back([&, t] {
            set_num_threads(2);
            std::vector<double> y(x.size());
            (t % 2 == 0 ? slow : fast)(x, y);
            results[t] = y[999];
        });
    for (std::thread& thread : threads) thread.join();
    check(results == std::vector<double>(4, 8.0), "a constant signal stays");
    check(slow.kernel().stats().compiles <= 1, "nothing was compiled twice");
}
