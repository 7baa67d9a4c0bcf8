// Edits of a kernel in place, and taken back.
#include "dsl/ir/editor.h"
#include "dsl/ir/text.h"
#include "tests/catch.h"
#include "tests/dsl/ir/small_kernels.h"

using namespace kiln;
using namespace kiln::ir;
using namespace kiln::test;

TEST_CASE("loops that are fused in place, and taken apart again", "[dsl][editor]") {
    const std::string a = "    for %0 = i64(0) to i64(4) step i64(1) {\n      %1 = load f32 x[%0]\n"
                          "      store y[%0], %1\n    }\n",
                      b = "    for %2 = i64(0) to i64(4) step i64(1) {\n      %3 = load f32 y[%2]\n"
                          "      %4 = add f32 %3, %3\n      store y[%2], %4\n    }\n";
    const Kernel k = program(a + b);
    const std::vector<Id> loops = k.blocks[k.stages[0].body].nodes;
    Editor editor(k);
    auto fusion = editor.fuse_loops(k.stages[0].body, loops[0], loops[1], {loops[0]});
    editor.undo(fusion);
    CHECK(print(editor.kernel()) == print(k));
    editor.fuse_loops(k.stages[0].body, loops[0], loops[1], {loops[0]});
    const Kernel fused = editor.finish();
    CHECK(verify(fused).empty());
    CHECK(print(fused) == print(program("    for %0 = i64(0) to i64(4) step i64(1) {\n"
                                        "      %1 = load f32 x[%0]\n      store y[%0], %1\n"
                                        "      %2 = load f32 y[%0]\n"
                                        "      %3 = add f32 %2, %2\n      store y[%0], %3\n"
                                        "    }\n")));
}
