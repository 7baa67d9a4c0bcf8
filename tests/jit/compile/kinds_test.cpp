// Every kind of kernel compiles, counts and shows its texts through the same code.
#include "jit/compile/compile.h"
#include "jit/reduce/reduce.h"
#include "tests/jit/support.h"

#include <functional>
#include <map>

using namespace kiln;
using namespace kiln::test;
using engine::KernelKind;

namespace {

/// A kernel of one kind, with a constant of its own, so that nothing else has compiled its code.
struct Kernel {
    std::function<std::string(Artifact)> inspect;
    std::function<void()> call;
    std::function<Stats()> stats;
};

Kernel make(KernelKind kind, double c) {
    const Array x = arange(100, DType::f64);
    const auto add = [c](Value v) { return v + (Value(c) + Value(1.0)); };
    switch (kind) {
        case KernelKind::element_wise: {
            const auto f = vectorize("k", add);
            return {[=](Artifact a) { return f.inspect(a, {f64[1]}); }, [=] { f(x); },
                    [=] { return f.stats(); }};
        }
        case KernelKind::reduction: {
            const auto f = map_reduce("k", add, Reduce::sum);
            return {[=](Artifact a) { return f.inspect(a, {f64[1]}); }, [=] { f(x); },
                    [=] { return f.stats(); }};
        }
        case KernelKind::scan: {
            static const std::string name = "k";
            const auto function = [c](std::span<const Value> in, std::vector<Value>& out) {
                out.push_back(in[0] + (Value(c) + Value(1.0)));
            };
            const Location where{__FILE__, __LINE__};
            const auto f = std::make_shared<engine::Reducer>(
                engine::UfuncSource{name, 1, function, {}, where}, ir::Reduction::sum);
            engine::CallKey key(1, Casting::same_kind, std::nullopt);
            key.set_input(0, DType::f64, false, ir::Layout::unit);
            const auto form = engine::ReduceForm::scan;
            return {[=](Artifact a) { return f->inspect(a, form, key, {}); },
                    [=] {
                        bool missed = false;
                        f->variant(form, key, {}, &missed);
                        f->ledger().called(!missed);
                    },
                    [=] { return f->ledger().stats(); }};
        }
        case KernelKind::loops: {
            const auto f = jit("k", [c](In a, InOut b) {
                for (Index i : prange(a.extent(0))) b(i) = a(i) + (Value(c) + Value(1.0));
            });
            const Array y = zeros({100});
            return {[=](Artifact a) { return f.inspect(a, {f64[1], f64[1]}); }, [=] { f(x, y); },
                    [=] { return f.stats(); }};
        }
        case KernelKind::stencil: {
            const auto f =
                stencil("k", [c](Neighbors a) -> Value { return a(1) + (Value(c) + Value(1.0)); });
            return {[=](Artifact a) { return f.inspect(a, {f64[1]}); }, [=] { f(x); },
                    [=] { return f.stats(); }};
        }
        case KernelKind::gufunc: {
            const auto f = guvectorize("k", "(n)->(n)", [c](In a, Out b) {
                for (Index i : range(a.extent(0))) b(i) = a(i) + (Value(c) + Value(1.0));
            });
            return {[=](Artifact a) { return f.inspect(a, {f64[1]}); }, [=] { f(x); },
                    [=] { return f.stats(); }};
        }
        case KernelKind::threads: {
            const auto f = cuda::kernel("k", [c](In a, Out b) {
                b(cuda::grid()) = a(cuda::grid()) + (Value(c) + Value(1.0));
            });
            return {[=](Artifact a) { return f.inspect(a, {f64[1], f64[1]}); }, {}, {}};
        }
    }
    return {};
}

constexpr KernelKind kinds[] = {
#define KILN_KERNEL_KIND(id, name) KernelKind::id,
#include "jit/compile/kernel_kinds.def"
#undef KILN_KERNEL_KIND
};

struct Text {
    Artifact artifact;
    const char* name;
    std::optional<BackendTarget> maker;
};
constexpr Text texts[] = {
#define KILN_ARTIFACT(id, maker, doc) {Artifact::id, #id, maker},
#include <kiln/artifacts.def>
#undef KILN_ARTIFACT
};

}  // namespace

TEST_CASE("every kind of kernel has every text", "[jit][inspect]") {
    double c = 0.15625;
    for (const KernelKind kind : kinds) {
        const Kernel k = make(kind, c += 1);
        for (const Text& text : texts) {
            CAPTURE(engine::name(kind), text.name);
            if (text.artifact == Artifact::ptx || text.artifact == Artifact::resources)
                continue;  // need NVRTC
            if (kind == KernelKind::threads && text.maker == BackendTarget::cpu)
                CHECK_THROWS_WITH(k.inspect(text.artifact),
                                  Catch::Matchers::Contains("is no code of the CPU"));
            else
                CHECK(!k.inspect(text.artifact).empty());
        }
    }
}

TEST_CASE("every kind of kernel is counted, by itself and in the process", "[jit][stats]") {
    double c = 0.28125;
    for (const KernelKind kind : kinds) {
        if (kind == KernelKind::threads) continue;  // runs on devices alone
        CAPTURE(engine::name(kind));
        const Stats before = stats();
        {
            const Kernel k = make(kind, c += 1);
            for (int call = 0; call < 3; ++call) k.call();
            const Stats own = k.stats(), all = stats();
            CHECK(own.misses == 1);
            CHECK(own.hits == 2);
            CHECK(own.compiles >= 1);
            CHECK(own.trace_ms > 0);
            CHECK(own.codegen_ms > 0);
            CHECK(all.compiles - before.compiles >= own.compiles);
            CHECK(all.misses - before.misses == 1);
            CHECK(all.hits - before.hits == 2);
        }
        CHECK(stats().hits - before.hits == 2);
    }
}

TEST_CASE("kiln's own reductions, scans and statistics are counted", "[jit][stats]") {
    const Array x = arange(1000, DType::i16);
    const std::map<const char*, std::function<void()>> calls = {
        {"prod", [&] { prod(x); }},
        {"cummax", [&] { cummax(x); }},
        {"add.accumulate",
         [&] { vectorize("a", [](Value p, Value q) { return p + q; }).accumulate(x); }}};
    for (const auto& [name, call] : calls) {
        CAPTURE(name);
        const Stats before = stats();
        call();
        const Stats first = stats();
        CHECK(first.misses + first.hits > before.misses + before.hits);
        call();
        CHECK(stats().hits + stats().misses > first.hits + first.misses);
    }
}
