// What kiln reads that others may have written: kernels as text, signatures of cores, .npy files, entries of the disk cache,
// bundles, object files, kernels as bytes. (text.cpp has what needs Clang.)
#include "tests/fuzz/driver.h"

#include "dsl/ir/text.h"
#include "jit/compile/bundle.h"
#include "jit/compile/cache_entry.h"
#include "jit/compile/code_memory.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/object_loader.h"
#include "jit/compile/passed_kernel.h"
#include "tests/scratch_folder.h"

#include <kiln/kiln.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

void require(bool right, const char* what) {
    if (!right) throw std::logic_error(what);
}
std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}
std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}
std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Kernels of all kinds, compiled into the folder of the disk cache.
std::vector<std::string> compile_seeds() {
    const auto f =
        vectorize("f", [](Value x, Value y) { return select(x < y, exp(x), y % 3 + x); });
    const auto rows = jit("rows",
                          [](In a, InOut b) -> Value {
                              Var sum(f64, 0);
                              for (Index i : prange(1, a.extent(0) - 1)) {
                                  for (Index j : range(a.extent(1))) b(i, j) += a(i - 1, j) * 2.5;
                                  sum += b(i, 0);
                              }
                              while_(sum > 100, [&] { sum *= 0.5; });
                              return sum;
                          },
                          {.parallel = true});
    const auto whole =
        jit("whole", [](In X, In y, Out w) { w = dot(exp(-X), y) / sum(y); }, {.checked = true});
    // Addresses of SLEEF's and of libm's functions, and tables of constants.
    const auto far = vectorize(
        "far", [](Value x) { return select(x > 0, tgamma(x), fmod(x, 3.0)) + sin(x) * 1e-3; });
    far.compile({f64[1]});
    far.compile({f32[1]});
    f.compile({f64[1], f64});
    rows.compile({f32[2], f64[2]});
    whole.compile({f64[2], f64[1], f64[1]});
    return {f.inspect(Artifact::ir, {f64[1], f64}), rows.inspect(Artifact::ir, {f32[2], f64[2]}),
            whole.inspect(Artifact::ir, {f64[2], f64[1], f64[1]})};
}

/// A kernel is read back from its text as it is.
void read_kernel(const std::string& text) {
    const ir::Kernel kernel = ir::parse(text);
    if (!ir::verify(kernel).empty()) return;
    const auto canonical = [](const ir::Kernel& k) { return ir::print(k, {.locations = false}); };
    const std::string whole = ir::print(kernel);
    const ir::Kernel again = ir::parse(whole);
    require(canonical(again) == canonical(kernel), "a kernel's text is not read back");
    require(ir::print(again) == whole, "names and lines are not read back");
}

/// The name of the code of a kernel, or nothing where a mutation hit it.
std::string entry_of(const std::string& object) {
    constexpr std::size_t prefix = 5, digits = 32;  // content_symbol
    for (std::size_t at = object.find("kiln_"); at != object.npos;
         at = object.find("kiln_", at + 1)) {
        const std::string name = object.substr(at, prefix + digits);
        if (name.size() == prefix + digits &&
            name.find_first_not_of("0123456789abcdef", prefix) == name.npos)
            return name;
    }
    return {};
}

void load_code(const std::string& object) {
    static engine::CodeSpace space;
    try {
        engine::load_object(bytes_of(object), entry_of(object), space);
    } catch (const Error& error) {  // also of kind internal, as it says of what is malformed
        throw Error(ErrorKind::io, error.message());
    }
}

/// Each dimension of an operand has a name within the text, and operands are in their order.
void read_signature(const std::string& text) {
    try {
        const kiln::detail::CoreSignature signature{text};
        for (std::size_t i = 0; i < signature.operands_count(); ++i)
            for (std::size_t d = 0; d < signature.operand(i).rank; ++d)
                require(!signature.name(signature.operand(i).dims[d]).empty(), "a dimension");
    } catch (const kiln::detail::SignatureFault& fault) {
        require(fault.at <= text.size(), "a fault beyond the text");
        throw Error(ErrorKind::usage, "no signature");
    }
}

void read_array(const fs::path& path, const std::string& content) {
    write(path, content);
    const Array a = load_npy(path.string());
    save_npy(path.string(), a);
    const Array again = load_npy(path.string());
    require(again.shape() == a.shape() && again.dtype() == a.dtype(), "an array is not read back");
}

std::vector<std::string> array_seeds(const fs::path& path) {
    std::vector<std::string> all;
    for (const DType dtype : {DType::f64, DType::u8, DType::c64, DType::bool_})
        for (const bool fortran : {false, true}) {
            save_npy(path.string(), arange(6.0).astype(dtype).reshape({2, 3}), fortran);
            all.push_back(read(path));
        }
    save_npy(path.string(), empty({0, 4}));
    all.push_back(read(path));
    return all;
}

}  // namespace

int main(int argc, char** argv) {
    const ScratchFolder scratch;
    const fs::path folder = scratch.path / "cache", file = scratch.path / "input";
    setenv("KILN_CACHE_DIR", folder.c_str(), 1);
    setenv("KILN_CACHE", "on", 1);
    const std::vector<std::string> kernels = compile_seeds();
    std::vector<std::string> entries, objects, passed;
    std::vector<std::string> files;
    for (const auto& e : engine::DiskCache::instance().entries()) {
        files.push_back(e.path);
        entries.push_back(read(e.path));
        const auto entry = engine::entry_at(bytes_of(entries.back()));
        (e.kind == engine::DiskCache::Kind::code ? objects : passed)
            .push_back(text_of(entry->object));
    }
    engine::write_bundle(file.string(), {}, files);
    const std::string bundle = read(file);
    return fuzz(argc, argv,
                {{"ir", kernels, read_kernel},
                 {"signature",
                  {"(m,n),(n,p)->(m,p)", "(n),(m)->(n+m-1)", "(n?),(3)->(2*(n+1)),()", "(),()->()",
                   "(n?,k),(k,m?)->(n?,m?)", "(a,b,c),(c,3)->(a,b),(c)", "(n)->(n*n/2-(n-1)/(2+1))",
                   "(m),(m),(m),(8)->(m,8),(8,m),()", "( size , 16 ) , ( size ) -> ( 16 )"},
                  read_signature},
                 {"npy", array_seeds(file), [&](const std::string& s) { read_array(file, s); }},
                 {"entry", entries,
                  [](const std::string& s) {
                      const auto entry = engine::entry_at(bytes_of(s));
                      if (!entry) throw Error(ErrorKind::io, "no entry");
                      require(entry->bytes <= s.size(), "an entry beyond its file");
                  }},
                 {"bundle",
                  {bundle},
                  [&](const std::string& s) {
                      write(file, s);
                      const engine::Bundle read(file.string());
                      require(!read.keys().empty() || s.size() == 16, "a bundle of nothing");
                  }},
                 {"object", objects, load_code},
                 {"passes", passed, [](const std::string& s) {
                      const auto kernel = engine::passed_kernel_of(bytes_of(s));
                      if (!kernel) throw Error(ErrorKind::io, "no kernel");
                      require(text_of(engine::bytes_of(*kernel)).size() == s.size(),
                              "bytes that are not written again");
                  }}});
}
