// For each construct of C++ text a lambda that says the same: their kernels are the same text.
// constructs.def is the list of constructs, to which the front end is held.
#include "tests/dsl/text/twins.h"
#include "tests/regex.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

using namespace kiln;

namespace {

std::string file(const char* name) {
    std::ifstream in(std::filesystem::path(KILN_TESTS_DIR) / name);
    std::ostringstream text;
    text << in.rdbuf();
    REQUIRE(!text.str().empty());
    return text.str();
}

}  // namespace

TEST_CASE("twins: each construct", "[dsl][text]") {
#define KILN_CONSTRUCT(id, nodes, doc) SECTION(#id " " doc) twin_of::id();
#define KILN_PASSED_BY(nodes, doc)
#define KILN_REFUSED(nodes, said)
#include "tests/dsl/text/constructs.def"
#undef KILN_REFUSED
#undef KILN_PASSED_BY
#undef KILN_CONSTRUCT
}

TEST_CASE("twins: whatever the front end speaks of is a construct, refused, or passed by",
          "[dsl][text]") {
    std::set<std::string> known, spoken_of;
    const auto add = [&](const char* nodes) {
        std::istringstream words(nodes);
        for (std::string word; words >> word;) {
            INFO(word);
            CHECK(known.insert(word).second);
        }
    };
    const std::string refusals = file("dsl/text/refusals_test.cpp");
    const auto refused = [&](const char* nodes, const char* said) {
        add(nodes);
        INFO(said);
        CHECK(refusals.find(std::string("error: ") + said) != std::string::npos);
    };
#define KILN_CONSTRUCT(id, nodes, doc) add(nodes);
#define KILN_PASSED_BY(nodes, doc) add(nodes);
#define KILN_REFUSED(nodes, said) refused(nodes, said);
#include "tests/dsl/text/constructs.def"
#undef KILN_CONSTRUCT
#undef KILN_PASSED_BY
#undef KILN_REFUSED
    const std::string node =
        R"(clang::(\w+(?:Stmt|Expr|Operator|Literal|Cleanups)|(?:BO|UO|CK|OO)_\w+)\b)";
    for (const char* name : {"calls", "expressions", "lowering", "statements"}) {
        const std::string text = file((std::string("../dsl/text/") + name + ".cpp").c_str());
        for (const test::Match& match : test::all_matches(text, node))
            spoken_of.insert(match.parts[1]);
    }
    CHECK(known == spoken_of);
}
