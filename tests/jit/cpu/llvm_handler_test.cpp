// A host that uses LLVM itself keeps its function for failed allocations.
#include "tests/jit/support.h"

#include <llvm/Support/ErrorHandling.h>

#include <string>

using namespace kiln;

namespace {

struct Asked {
    std::string reason;
};
void of_the_host(void* /*user*/, const char* reason, bool /*crash*/) { throw Asked{reason}; }

std::string who_is_asked() {
    try {
        llvm::report_bad_alloc_error("no memory");
    } catch (const Asked& asked) {
        return asked.reason;
    }
    return "nobody";
}

}  // namespace

TEST_CASE("a host's function for failed allocations stays", "[jit][process]") {
    // Before the first kernel, where this file runs by itself.
    llvm::install_bad_alloc_error_handler(&of_the_host);
    CHECK(who_is_asked() == "no memory");
    CHECK(vectorize([](Value x) { return x * 2.5; })(Array::of({2.0})).span<double>()[0] == 5.0);
    CHECK(who_is_asked() == "no memory");
    llvm::remove_bad_alloc_error_handler();
}
