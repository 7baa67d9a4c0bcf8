// What code depends on: the target, all options, the content; and on nothing else.
#include "jit/compile/target.h"
#include "jit/compile/cache.h"
#include "tests/codegen/cpu_map.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/support.h"

#include <cpuid.h>

#include <cstdlib>
#include <set>
#include <sstream>

using namespace kiln;
using namespace kiln::test;
using engine::CompileOptions;

namespace {

ir::Kernel times(const std::string& c) {
    return test::kernel(test::map_text(
        "x: in f64[1] unit, y: out f64[1] unit",
        "    %0 = load f64 x[i0]\n    %1 = mul f64 %0, f64(" + c + ")\n    store y[i0], %1\n"));
}

}  // namespace

TEST_CASE("the CPU has a name before its backend is opened", "[jit][target]") {
    const std::string id = engine::target_id(BackendTarget::cpu);
    CHECK(id.find("x86-64/") == 0);
    CHECK(id.find("/llvm-19.") != std::string::npos);
    CHECK(id.find(std::string("/kiln-") + engine::build_fingerprint) != std::string::npos);
    CHECK(id == engine::target_id(BackendTarget::cpu));
    CHECK(std::string(engine::build_fingerprint).size() == 16);
}

TEST_CASE("vector units have names of their own, and what they are called is what there is",
          "[jit][target]") {
    std::set<std::string> ids;
    const char* const before = std::getenv("KILN_CPU_ISA");
    const std::string kept = before != nullptr ? before : "";
    for (const codegen::VectorIsa isa : host_isas()) {
        setenv("KILN_CPU_ISA", std::string(name(isa)).c_str(), 1);
        const engine::CpuTarget target = engine::CpuTarget::host();
        CHECK(target.isa == isa);
        ids.insert(target.id);
    }
    CHECK(ids.size() == host_isas().size());
    setenv("KILN_CPU_ISA", "mmx", 1);
    CHECK(error_of([] { engine::CpuTarget::host(); }).message() == "KILN_CPU_ISA is 'mmx'");
    if (before != nullptr)
        setenv("KILN_CPU_ISA", kept.c_str(), 1);
    else
        unsetenv("KILN_CPU_ISA");
}

TEST_CASE("portable code is for any CPU of a level, by its name", "[jit][target]") {
    const char* const before = std::getenv("KILN_CPU");
    const std::string kept = before != nullptr ? before : "";
    setenv("KILN_CPU", "host", 1);
    const engine::CpuTarget host = engine::CpuTarget::host();
    CHECK_FALSE(host.portable);
    setenv("KILN_CPU", "portable", 1);
    const engine::CpuTarget portable = engine::CpuTarget::host();
    CHECK(portable.portable);
    CHECK(portable.isa == host.isa);
    CHECK(portable.id == "x86-64/portable/" + std::string(name(host.isa)));
    CHECK(engine::portable_target_id().starts_with(portable.id + "/llvm-"));
    setenv("KILN_CPU", "any", 1);
    const Error error = error_of([] { engine::CpuTarget::host(); });
    CHECK(error.message() == "KILN_CPU is 'any'");
    CHECK(error.hint() == "host and portable are known");
    before != nullptr ? setenv("KILN_CPU", kept.c_str(), 1) : unsetenv("KILN_CPU");
}

TEST_CASE("every compile option is in the key", "[jit][cache]") {
    const ir::Kernel kernel = times("2.5");
    std::set<std::string> keys{engine::content_key(kernel, {}, "cpu")};
    std::size_t fields = 0;
    const auto flip = [&](auto&& set) {
        CompileOptions options;
        set(options);
        keys.insert(engine::content_key(kernel, options, "cpu"));
        ++fields;
    };
    // All of its fields: with a new one, this does not compile.
    CompileOptions all;
    auto& [streaming, noalias, checked, flags_of_data, most_threads, least_blocks] = all;
    static_cast<void>(
        std::tie(streaming, noalias, checked, flags_of_data, most_threads, least_blocks));
    flip([](CompileOptions& o) { o.streaming = true; });
    flip([](CompileOptions& o) { o.noalias = true; });
    flip([](CompileOptions& o) { o.checked = true; });
    flip([](CompileOptions& o) { o.flags_of_data = true; });
    flip([](CompileOptions& o) { o.most_threads = 2; });
    flip([](CompileOptions& o) { o.least_blocks = 2; });
    CHECK(keys.size() == fields + 1);
}

TEST_CASE("objects are the same whatever was compiled before, and are called by their content",
          "[jit][target]") {
    for (const codegen::VectorIsa isa : host_isas()) {
        engine::Backend& backend = cpu_backend(isa);
        const std::string key = engine::content_key(times("2.5"), {}, "cpu");
        const std::string symbol = engine::content_symbol(key);
        CHECK(symbol.size() == 37);
        CHECK(symbol != engine::content_symbol(engine::content_key(times("3.5"), {}, "cpu")));
        const auto object = [&](const char* c) {
            return backend.compile(times(c), {}, symbol)->binary();
        };
        const auto first = object("2.5"), other = object("3.5"), again = object("2.5");
        CHECK(first == again);
        CHECK(first != other);
        const std::string text(reinterpret_cast<const char*>(first.data()), first.size());
        CHECK(text.find(symbol) != std::string::npos);
    }
}

TEST_CASE("the name of this CPU's target has what the CPU says of itself", "[jit][target]") {
    const std::string id = engine::target_id(BackendTarget::cpu);
    if (id.starts_with("x86-64/portable")) return;
    unsigned a = 0, b = 0, c = 0, d = 0, model = 0;
    REQUIRE(__get_cpuid_count(1, 0, &model, &b, &c, &d) != 0);
    std::ostringstream words;
    words << std::hex << '-' << model << '/' << c << '.' << d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0)
        words << '.' << b << '.' << c << '.' << d << '.';
    INFO(id);
    CHECK(id.find(words.str()) != std::string::npos);
    const codegen::VectorIsa unit = engine::CpuTarget::host().isa;
    CHECK((unit == codegen::VectorIsa::sse2 || __builtin_cpu_supports("avx2") != 0));
    CHECK((unit != codegen::VectorIsa::avx512 || __builtin_cpu_supports("avx512vl") != 0));
}

TEST_CASE("symbols of contents differ", "[jit][cache]") {
    std::set<std::string> symbols;
    for (int i = 0; i < 10'000; ++i) symbols.insert(engine::content_symbol(std::to_string(i)));
    CHECK(symbols.size() == 10'000);
}
