// What twins are made with: a lambda and a text that say the same, whose kernels are the same text.
#pragma once
#include "dsl/ir/text.h"
#include "tests/catch.h"

#include <kiln/kiln.h>
#include <kiln/text.h>

#include <string>
#include <string_view>

/// A function for each construct of C++ text.
namespace kiln::twin_of {
#define KILN_CONSTRUCT(id, nodes, doc) void id();
#define KILN_REFUSED(nodes, said)
#define KILN_PASSED_BY(nodes, doc)
#include "tests/dsl/text/constructs.def"
#undef KILN_PASSED_BY
#undef KILN_REFUSED
#undef KILN_CONSTRUCT
}  // namespace kiln::twin_of
#define TWIN(construct) void kiln::twin_of::construct()

namespace kiln::test {

/// A kernel's text without names and lines.
inline std::string canonical(const std::string& text) {
    return ir::print(ir::parse(text), {.locations = false});
}
/// `without`: what the lambda's kernel alone has. Texts have variables without a value, lambdas none.
template <class A, class B>
void same(const A& lambda, const B& text, std::initializer_list<ArgType> types,
          std::string_view without = "") {
    std::string expected = canonical(lambda.inspect(Artifact::ir, types));
    if (const std::size_t at = expected.find(without); !without.empty()) {
        INFO(expected);
        REQUIRE(at != std::string::npos);
        expected = canonical(expected.erase(at, without.size()));
    }
    CHECK(canonical(text.inspect(Artifact::ir, types)) == expected);
}

template <class F> void twins(const char* text, F lambda, std::initializer_list<ArgType> types,
                              std::string_view without = "") {
    same(vectorize("f", lambda), text::vectorize(text, "f"), types, without);
}
template <class R, class F>
void loop_twins(const char* text, F lambda, std::initializer_list<ArgType> types,
                std::string_view without = "") {
    same(jit("f", lambda), text::jit<R>(text, "f"), types, without);
}

}  // namespace kiln::test
