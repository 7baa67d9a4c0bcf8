// A page that shows what became of a kernel, line by line.
#pragma once
#include <kiln/named.h>

#include <string>
#include <vector>

namespace kiln {
/// The options of annotate, for designated initialisers.
struct AnnotateOptions {
    /// A file of samples: lines are coloured by these instead of by their instructions. Each of its
    /// lines that ends with `FILE:LINE` is one, with `FILE:LINE COUNT` so many: what
    /// `perf script -F ip,srcline` prints of a profile that was taken under KILN_PERF=1.
    std::string profile = {};
};

namespace detail {
/// Errors: io, usage (no types; a profile without samples), those of `inspect`.
void write_annotated_page(const std::string& path, const std::string& kernel,
                          const Named::Inspect& inspect,
                          const std::vector<std::vector<ArgType>>& signatures,
                          const AnnotateOptions& options = {});
}  // namespace detail

/// Writes one HTML page that needs nothing beside itself: the user's source, its lines coloured by the
/// instructions that they cost in loops, with what became of each loop; the kernel's IR, LLVM's and
/// the assembler beside it, where lines that belong together light up together. One view for each list
/// of argument types. Errors: io, usage (no types; a profile without samples), those of inspect.
///
///     annotate(mandelbrot, "page.html", {{f64[1], f64[1]}, {f32[1], f32[1]}});
template <detail::KernelHandle K>
void annotate(const K& kernel, const std::string& path,
              const std::vector<std::vector<ArgType>>& signatures,
              const AnnotateOptions& options = {}) {
    const auto inspect = [&](Artifact artifact, const std::vector<ArgType>& types) {
        return kernel.inspect(artifact, types);
    };
    detail::write_annotated_page(path, kernel.name(), inspect, signatures, options);
}

}  // namespace kiln
