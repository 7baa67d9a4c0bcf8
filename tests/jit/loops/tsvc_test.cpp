// Loops of TSVC as loop kernels, against the same loops in C++: dependences that a vectoriser must
// respect, conditions, reductions, recurrences, searches, packing, gathers and early exits.
#include "tests/bench/tsvc/loops.h"
#include "tests/catch.h"

#include <functional>
#include <string>

namespace {

using namespace tsvc;

void check_same(const std::string& name, const Line& got, const Line& want) {
    for (std::size_t i = 0; i < got.size(); ++i)
        if (!(std::abs(got[i] - want[i]) <= 1e-11 * (1 + std::abs(want[i])))) {
            FAIL_CHECK(name << ": element " << i << " is " << got[i] << ", not " << want[i]);
            return;
        }
    SUCCEED(name);
}

/// Runs each kernel serial, and parallel and checked; what it may write is compared.
struct Check {
    const std::vector<JitOptions> both{{}, {.parallel = true, .checked = true}};

    template <class F>
    void lines(const char* name, F kernel, const std::function<void(Data&)>& plain) const {
        Data want;
        plain(want);
        for (const JitOptions& options : both) {
            Data x;
            jit(name, kernel, options)(x.a, x.b, x.c, x.d, x.e, x.at);
            check_same(name, x.a, want.a);
            check_same(name, x.b, want.b);
            check_same(name, x.c, want.c);
            check_same(name, x.d, want.d);
        }
    }
    template <class F>
    void tables(const char* name, F kernel, const std::function<void(Data&)>& plain) const {
        Data want;
        plain(want);
        for (const JitOptions& options : both) {
            Data x;
            jit(name, kernel, options)(Array::over(x.aa.data(), {rows, columns}),
                                       Array::over(x.bb.data(), {rows, columns}), x.a, x.b);
            check_same(name, x.aa, want.aa);
            check_same(name, x.a, want.a);
        }
    }
    template <class F>
    void number(const char* name, F kernel, const std::function<double(Data&)>& plain) const {
        Data x;
        const double want = plain(x);
        for (const JitOptions& options : both) {
            const double got =
                jit(name, kernel, options)(x.a, x.b, x.c, x.at).template get<double>();
            check_same(name, {got}, {want});
        }
    }
};

TEST_CASE("tsvc: linear dependences", "[jit][tsvc]") { linear_dependences(Check{}); }
TEST_CASE("tsvc: conditions", "[jit][tsvc]") { conditions(Check{}); }
TEST_CASE("tsvc: reductions", "[jit][tsvc]") { reductions(Check{}); }
TEST_CASE("tsvc: recurrences", "[jit][tsvc]") { recurrences(Check{}); }
TEST_CASE("tsvc: searches and early exits", "[jit][tsvc]") { searches_and_early_exits(Check{}); }
TEST_CASE("tsvc: packing, gather, scatter", "[jit][tsvc]") { packing_gather_scatter(Check{}); }

}  // namespace
