// Bundles as files, and what is said of keys. (lifetime/cached.cpp has what processes do with them.)
#include "jit/compile/bundle.h"

#include "jit/compile/cache.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/key_parts.h"
#include "jit/compile/misses.h"
#include "jit/compile/target.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/support.h"
#include "tests/scratch_folder.h"

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace kiln;
using namespace kiln::test;
using namespace kiln::engine;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
    const auto* first = reinterpret_cast<const std::byte*>(text.data());
    return {first, first + text.size()};
}
std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// The keys of this build with these kernels, in a folder.
std::vector<std::string> entries(DiskCache& cache, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) cache.insert(key, bytes_of("object of " + key));
    std::vector<std::string> files;
    for (const auto& e : cache.entries()) files.push_back(e.path);
    return files;
}

std::string times(const char* c, const std::string& target, CompileOptions options = {}) {
    return content_key(
        test::kernel(test::map_text(
            "x: in f64[1] unit, y: out f64[1] unit",
            std::string("    %0 = load f64 x[i0]\n    %1 = mul f64 %0, f64(") + c +
                ")\n    %2 = add f64 %1, f64(3)\n    %3 = mul f64 %2, %1\n    store y[i0], %3\n")),
        options, target);
}

}  // namespace

TEST_CASE("a bundle has what was put into it, each key once", "[jit][disk_cache]") {
    const ScratchFolder scratch;
    const std::string here = target_id(BackendTarget::cpu);
    DiskCache cache({.folder = scratch.path / "cache"});
    const std::string path = scratch.path / "a.bundle", both = scratch.path / "b.bundle";
    const BundleInfo made = write_bundle(
        path, {}, entries(cache, {here + "\none", "other/target\ntwo", here + "\npasses\nx"}));
    CHECK(made.kernels == 2);
    CHECK(made.usable == 1);
    const Bundle bundle(path);
    CHECK(bundle.keys().size() == 3);
    CHECK(text_of(bundle.find(here + "\none").value()) == "object of " + here + "\none");
    CHECK_FALSE(bundle.find(here));

    cache.clear();
    const std::string second = scratch.path / "c.bundle";
    write_bundle(second, {}, entries(cache, {here + "\none", portable_target_id() + "\nthree"}));
    const BundleInfo joined = write_bundle(both, {path, second}, {});
    CHECK(joined.kernels == 3);
    CHECK(joined.usable == 2);
    // The same bytes in whatever order they came.
    write_bundle(path, {both}, {});
    CHECK(read(path) == read(both));
}

TEST_CASE("a bundle with a byte changed, missing or added is refused", "[jit][disk_cache]") {
    const ScratchFolder scratch;
    DiskCache cache({.folder = scratch.path / "cache"});
    const std::string path = scratch.path / "a.bundle";
    write_bundle(path, {}, entries(cache, {"k", "key 2"}));
    const std::string whole = read(path);
    const auto refused = [&](const std::string& content) {
        write(path, content);
        const Error error = error_of([&] { const Bundle bundle(path); });
        return error.kind() == ErrorKind::io &&
               (error.message() == "the bundle '" + path + "' is damaged" ||
                error.message() == "'" + path + "' is no bundle of kiln");
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
        INFO("byte " << i);
        if (!refused(whole.substr(0, i))) FAIL("missing");
        for (unsigned bit = 0; bit < 8; ++bit) {
            std::string other = whole;
            other[i] = static_cast<char>(other[i] ^ 1 << bit);
            if (!refused(other)) FAIL("bit " << bit);
        }
    }
    CHECK(refused(whole + '\0'));
    CHECK(refused(""));
    const Error missing = error_of([&] { load_bundle(scratch.path / "none"); });
    CHECK(missing.kind() == ErrorKind::io);
    CHECK(missing.line() == __LINE__ - 2);
    const std::string none = scratch.path / "none";
    CHECK(missing.message() == "'" + none + "' cannot be read: No such file or directory");
    const Error unwritten = error_of([&] { write_bundle(none + "/a", {}, entries(cache, {"k"})); });
    CHECK(unwritten.message() == "'" + none + "/a' cannot be written: No such file or directory");
}

TEST_CASE("a bundle without code for this machine is refused, and says what it is for",
          "[jit][disk_cache]") {
    const ScratchFolder scratch;
    DiskCache cache({.folder = scratch.path / "cache"});
    const std::string path = scratch.path / "a.bundle";
    std::string other = target_id(BackendTarget::cpu);
    other.replace(other.find("/kiln-") + 6, 16, "0123456789abcdef");
    write_bundle(path, {}, entries(cache, {other + "\none"}));
    const Error error = error_of([&] { load_bundle(path); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.line() == __LINE__ - 2);
    CHECK(error.message() == "the bundle '" + path +
                                 "' has no code for this machine: the build of kiln is "
                                 "0123456789abcdef, not " +
                                 build_fingerprint);
    write_bundle(path, {}, {});
    CHECK(error_of([&] { load_bundle(path); }).message() ==
          "the bundle '" + path + "' has no code for this machine: it is empty");
}

TEST_CASE("a key is told apart by what it names", "[jit][cache]") {
    const std::string target = "x86-64/AuthenticAMD-b40f40/1.2.3/avx512/llvm-19.1.7/kiln-5f2e";
    const std::string mine = times("2.5", target, {.noalias = true, .checked = true});
    const KeyParts here = key_parts(mine);
    CHECK(here.fields.size() == 7);
    const auto different = [&](const std::string& other) {
        return field_differences(key_parts(other), here);
    };
    CHECK(different(times("2.5", target, {.noalias = true, .checked = true})).empty());
    CHECK(different(times("2.5", target)) == "the set of options is nothing, not noalias checked");
    const auto with = [&](const char* from, const char* to) {
        std::string other = target;
        other.replace(other.find(from), std::string(from).size(), to);
        return different(times("2.5", other, {.noalias = true, .checked = true}));
    };
    CHECK(with("avx512", "avx2") == "the vector unit is avx2, not avx512");
    CHECK(with("19.1.7", "19.1.8") == "the version of LLVM is 19.1.8, not 19.1.7");
    CHECK(with("kiln-5f2e", "kiln-77aa") == "the build of kiln is 77aa, not 5f2e");
    CHECK(with("AuthenticAMD", "GenuineIntel") ==
          "the CPU is GenuineIntel-b40f40, not AuthenticAMD-b40f40");
    CHECK(with("1.2.3", "1.2.7") == "the features of the CPU is 1.2.7, not 1.2.3");
    CHECK(with("avx512", "avx512/lines") == "the debugging is lines, not nothing");
}

TEST_CASE("what was missing is explained by the nearest entry", "[jit][disk_cache]") {
    const ScratchFolder scratch;
    DiskCache cache({.folder = scratch.path});
    const std::string here = "x86-64/AMD/1/avx512/llvm-19.1.7/kiln-5f2e",
                      before = "x86-64/AMD/1/avx512/llvm-19.1.7/kiln-77aa";
    Misses misses;
    const auto reason = [&](const std::string& key, const std::string& why = "") {
        misses.note({"f", "a.cpp", 7, key, why});
        const DiskCacheMiss last = misses.explain(cache.entries()).back();
        CHECK(last.kernel == "f");
        CHECK(last.file == "a.cpp");
        CHECK(last.line == 7);
        CHECK(last.nearest.empty() == (last.reason.find(" is ") == std::string::npos &&
                                       last.reason.find(" has ") == std::string::npos));
        return last.reason;
    };
    const auto none = [&](const std::string& key) {
        misses.note({"f", "", 0, key, ""});
        const DiskCacheMiss last = misses.explain(cache.entries()).back();
        return last.reason == "no entry is of such a kernel" && last.nearest.empty();
    };
    CHECK(none(times("2", here)));
    entries(cache, {times("2", here)});
    CHECK(none(times("2", here)));  // its own entry, which was stored since
    CHECK(reason(times("3", here)) ==
          "its kernel has '%1 = mul f64 %0, f64(2)', not '%1 = mul f64 %0, f64(3)'");
    entries(cache, {times("3", before), times("3", here, {.checked = true})});
    CHECK(reason(times("3", here)) == "the build of kiln is 77aa, not 5f2e");
    CHECK(reason(times("2", before)) == "the build of kiln is 5f2e, not 77aa");
    entries(cache, {times("4", here, {.streaming = true})});
    CHECK(reason(times("4", here)) == "the set of options is streaming, not nothing");
    CHECK(none(here + "\n\nkernel of(quite) {\n another(kind)\n and(more)\n"));
    misses.note({"f", "", 0, times("2", here), "KILN_CACHE is off"});
    CHECK(misses.explain(cache.entries()).back().reason == "KILN_CACHE is off");
}

TEST_CASE("the last misses are remembered", "[jit][disk_cache]") {
    Misses misses;
    for (int i = 0; i < 100; ++i) misses.note({std::to_string(i), "", 0, "key", "off"});
    auto all = misses.explain({});
    CHECK(all.size() == Misses::most);
    CHECK(all.back().kernel == "99");
    misses.note({"large", "", 0, std::string(Misses::most_bytes - 2, 'x'), "off"});
    all = misses.explain({});
    CHECK(all.size() == 1);
}
