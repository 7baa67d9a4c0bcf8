// A host that uses LLVM itself does not notice that kiln does: what LLVM keeps for the whole process is
// the same before, after and while kernels are compiled.
#include "tests/jit/support.h"

#include <llvm/CodeGen/RegAllocRegistry.h>
#include <llvm/Support/CommandLine.h>

#include <atomic>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

/// What a thread of the host could read at any time.
class ProcessState {
  public:
    ProcessState() {
        auto& options = llvm::cl::getRegisteredOptions();
        remainders_ = &option<unsigned>(options, "epilogue-vectorization-minimum-VF");
        no_strength_reduction_ = &option<bool>(options, "disable-lsr");
        no_licm_ = &option<bool>(options, "disable-machine-licm");
        count_ = options.size();
        before_ = now();
    }
    bool is_as_before() const { return now() == before_; }
    bool no_option_is_new() const { return llvm::cl::getRegisteredOptions().size() == count_; }

  private:
    struct Values {
        unsigned remainders;
        bool no_strength_reduction, no_licm;
        llvm::RegisterRegAlloc::FunctionPassCtor allocator;
        bool operator==(const Values&) const = default;
    };
    template <class T>
    static llvm::cl::opt<T>& option(llvm::StringMap<llvm::cl::Option*>& options, const char* name) {
        const auto at = options.find(name);
        REQUIRE(at != options.end());
        return *static_cast<llvm::cl::opt<T>*>(at->second);
    }
    Values now() const {
        return {remainders_->getValue(), no_strength_reduction_->getValue(), no_licm_->getValue(),
                llvm::RegisterRegAlloc::getDefault()};
    }

    const llvm::cl::opt<unsigned>* remainders_;
    const llvm::cl::opt<bool>*no_strength_reduction_, *no_licm_;
    std::size_t count_;
    Values before_;
};

/// Kernels of every way through the optimiser and the code generator; new ones for each `seed`.
void compile_some(double seed) {
    const Array x = full({2, 37}, 0.5), y = full({2, 37}, 1.5);
    vectorize([=](Value a) { return a * seed; })(x);
    vectorize([=](Value a) { return exp(a) + exp2(a + seed) + log(a) + log2(a) + sin(a); })(x);
    jit([=](In a, InOut b) {
        for (Index i : range(b.extent(0)))
            for (Index j : range(b.extent(1))) b(i, j) = b(i, j) + seed * a(i, j);
    })(x, y);
    map_reduce([=](Value a) { return a * seed; }, Reduce::sum)(x);
    CHECK(y.span<double>()[73] == 1.5 + seed * 0.5);
}

}  // namespace

TEST_CASE("a host that uses LLVM sees its options unchanged, while kernels are compiled too",
          "[jit][process]") {
    compile_some(1);  // LLVM chooses its default allocator when it first generates code
    const ProcessState state;
    std::atomic<bool> done = false;
    std::atomic<std::int64_t> reads = 0, changes = 0;
    std::thread host([&] {
        while (!done) {
            if (!state.is_as_before()) ++changes;
            ++reads;
        }
    });
    for (int k = 2; k < 8; ++k) compile_some(k);
    done = true;
    host.join();
    CHECK(reads > 1000);
    CHECK(changes == 0);
    CHECK(state.is_as_before());
    CHECK(state.no_option_is_new());
}

TEST_CASE("what a host sets of the vectoriser's options stays, and changes no kernel",
          "[jit][process]") {
    const auto text = [] {
        return jit("axpy",
                   [](In a, InOut b) {
                       for (Index i : range(b.extent(0))) b(i) = b(i) + 2.0 * a(i);
                   })
            .inspect(Artifact::assembly, {f64[1], f64[1]});
    };
    const std::string usual = text();
    auto& options = llvm::cl::getRegisteredOptions();
    auto& remainders =
        *static_cast<llvm::cl::opt<bool>*>(options.find("enable-epilogue-vectorization")->second);
    REQUIRE(remainders);
    remainders.setValue(false);
    const std::string now = text();
    CHECK_FALSE(remainders);
    remainders.setValue(true);
    CHECK(now == usual);
}
