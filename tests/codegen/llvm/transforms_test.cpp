// What kiln does to LLVM's code behind its vectoriser, on functions that differ in one condition from
// one that is changed. Results: tests/jit/loops/{conditional_sums,strided_loads}_test.
#include "codegen/llvm/transforms/conditional_sums.h"
#include "codegen/llvm/transforms/scalar_addresses.h"
#include "codegen/llvm/transforms/strided_loads.h"
#include "tests/catch.h"

#include <memory>
#include <string>

#include <llvm/AsmParser/Parser.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/raw_ostream.h>

using namespace kiln::codegen;

namespace {

std::string text_of(const llvm::Function& function) {
    std::string text;
    llvm::raw_string_ostream out(text);
    function.print(out);
    return out.str();
}

/// The function after the transform; empty where it stayed as it was.
template <class Transform> std::string changed(const std::string& text, Transform transform) {
    llvm::LLVMContext context;
    llvm::SMDiagnostic wrong;
    const std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, wrong, context);
    INFO(text << '\n' << wrong.getMessage().str());
    REQUIRE(module != nullptr);
    llvm::Function& function = *module->begin();
    const std::string before = text_of(function);
    transform(function);
    REQUIRE(!llvm::verifyFunction(function));
    const std::string after = text_of(function);
    return after == before ? std::string() : after;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// ------------------------------------------------------------------------------ conditional sums

struct Sum {
    const char *type = "double", *zero = "0.0", *sum = "fadd double %s, %v", *use = "",
               *next = "select i1 %c, double %sum, double %s", *handed_on = "%next";
};
std::string choose(const Sum& s) {
    const std::string type = s.type;
    return changed(
        "define " + type + " @f(ptr %x, i64 %n, i1 %c) {\nentry:\n  br label %loop\nloop:\n" +
            "  %i = phi i64 [ 0, %entry ], [ %j, %loop ]\n  %s = phi " + type + " [ " + s.zero +
            ", %entry ], [ " + s.handed_on + ", %loop ]\n  %p = getelementptr " + type +
            ", ptr %x, i64 %i\n  %v = load " + type + ", ptr %p\n  %sum = " + s.sum + "\n" + s.use +
            "  %next = " + s.next + "\n  %j = add i64 %i, 1\n  %again = icmp ult i64 %j, %n\n" +
            "  br i1 %again, label %loop, label %exit\nexit:\n  ret " + type + " %next\n}\n",
        choose_terms);
}

TEST_CASE("conditional sums: conditions", "[codegen][llvm][transforms]") {
    const std::string added = choose({});
    CHECK(has(added, "%0 = select i1 %c, double %v, double -0.000000e+00\n"));
    CHECK(has(added, "%1 = fadd double %s, %0\n"));
    CHECK(!has(added, "%next"));
    const std::string taken = choose({.sum = "fsub double %s, %v"});
    CHECK(has(taken, "%0 = select i1 %c, double %v, double 0.000000e+00\n"));
    CHECK(has(taken, "%1 = fsub double %s, %0\n"));
    const std::string swapped =
        choose({.sum = "fadd double %v, %s", .next = "select i1 %c, double %s, double %sum"});
    CHECK(has(swapped, "%0 = select i1 %c, double -0.000000e+00, double %v\n"));
    CHECK(has(swapped, "%1 = fadd double %0, %s\n"));
    // s + s where the choice is the sum, s + -0 where it is not.
    const std::string doubled = choose({.sum = "fadd double %s, %s"});
    CHECK(has(doubled, "%0 = select i1 %c, double %s, double -0.000000e+00\n"));

    for (const char* flag : {"contract", "reassoc", "nnan", "ninf", "nsz", "arcp", "afn", "fast"}) {
        const std::string sum = "fadd " + std::string(flag) + " double %s, %v";
        CHECK(choose({.sum = sum.c_str()}).empty());
    }
    CHECK(choose({.sum = "fmul double %s, %v"}).empty());
    CHECK(choose({.sum = "fsub double %v, %s"}).empty());
    CHECK(choose({.sum = "fadd double %v, %v"}).empty());
    CHECK(choose({.use = "  store double %sum, ptr %p\n"}).empty());
    CHECK(choose({.next = "select i1 %c, double %sum, double %v"}).empty());
    CHECK(choose({.handed_on = "%v"}).empty());
    CHECK(choose({.type = "i64",
                  .zero = "0",
                  .sum = "add i64 %s, %v",
                  .next = "select i1 %c, i64 %sum, i64 %s"})
              .empty());
    CHECK(choose({.type = "<4 x double>",
                  .zero = "zeroinitializer",
                  .sum = "fadd <4 x double> %s, %v",
                  .next = "select i1 %c, <4 x double> %sum, <4 x double> %s"})
              .empty());
}

// ------------------------------------------------------------------------------ strided loads

/// Four elements as one vector; where the third one is from, and how it gets there.
struct Elements {
    const char *type = "float", *index = "add i64 %i, 4", *root = "%x",
               *load = "load float, ptr %p2", *between = "", *lane = "2";
    int apart = 2;
    const char *first = "", *base = "poison", *root_of_first = "%x", *unit = "float", *use = "";
};
std::string join(const Elements& e) {
    const std::string type = e.type, vector = "<4 x " + type + ">";
    const auto at = [&](int lane) {
        const std::string n = std::to_string(lane);
        const bool third = lane == 2;
        return "  %i" + n + " = " +
               (third ? std::string(e.index) : "add i64 %i, " + std::to_string(e.apart * lane)) +
               "\n  %p" + n + " = getelementptr " + e.unit + ", ptr " +
               (third       ? e.root
                : lane == 0 ? e.root_of_first
                            : "%x") +
               ", i64 %i" + n + "\n  %l" + n + " = " +
               (third ? std::string(e.load) : "load " + type + ", ptr %p" + n) + "\n";
    };
    return changed("define " + vector + " @f(ptr noalias %x, ptr noalias %y, i64 %i, i64 %k) {\n" +
                       e.first + at(0) + at(1) + e.between + at(2) + at(3) +
                       "  %v0 = insertelement " + vector + " " + e.base + ", " + type +
                       " %l0, i64 0\n  %v1 = insertelement " + vector + " %v0, " + type +
                       " %l1, i64 1\n  %v2 = insertelement " + vector + " %v1, " + type +
                       " %l2, i64 " + e.lane + "\n  %v3 = insertelement " + vector + " %v2, " +
                       type + " %l3, i64 3\n" + e.use + "  ret " + vector + " %v3\n}\n",
                   join_strided_loads);
}

TEST_CASE("strided loads: conditions", "[codegen][llvm][transforms]") {
    const std::string joined = join({});
    CHECK(has(joined, "load <4 x float>"));
    CHECK(has(joined, "<4 x i32> <i32 0, i32 2, i32 poison, i32 poison>"));
    // Lanes 0 and 1 stay; the second vector begins at element 3, so that 4 and 6 are its lanes 1 and 3.
    CHECK(has(joined, "<4 x i32> <i32 0, i32 1, i32 5, i32 7>"));
    CHECK(!has(joined, "insertelement"));
    CHECK(has(join({.index = "add i64 %i, 6", .apart = 3}), "load <4 x float>"));

    CHECK(join({.root = "%y"}).empty());
    CHECK(join({.index = "add i64 %k, 4"}).empty());
    CHECK(join({.index = "add i64 %i, 5"}).empty());
    CHECK(join({.index = "add i64 %i, 2", .apart = 1}).empty());
    CHECK(join({.index = "add i64 %i, 8", .apart = 4}).empty());
    CHECK(join({.type = "double", .load = "load double, ptr %p2", .unit = "double"}).empty() ==
          false);
    CHECK(join({.type = "double",
                .index = "add i64 %i, 6",
                .load = "load double, ptr %p2",
                .apart = 3,
                .unit = "double"})
              .empty());
    CHECK(join({.load = "load volatile float, ptr %p2"}).empty());
    CHECK(join({.between = "  store float 1.0, ptr %p0\n"}).empty());
    CHECK(join({.load = "load atomic float, ptr %p2 unordered, align 4"}).empty());
    CHECK(join({.load = "load float, ptr %p2\n  %other = fadd float %l2, 1.0"}).empty());
    CHECK(join({.use = "  %other = fneg <4 x float> %v1\n"}).empty());
    CHECK(join({.index = "add i64 %i, 20", .apart = 10, .unit = "i8"}).empty());
    CHECK(!join({.index = "add i64 %i, 16", .apart = 8, .unit = "i8"}).empty());
    // What an insertion overwrites is no element.
    CHECK(join({.first = "  %p = getelementptr float, ptr %x, i64 %i\n  %l = load float, ptr %p\n"
                         "  %v = insertelement <4 x float> poison, float %l, i64 0\n",
                .base = "%v",
                .root_of_first = "%y"})
              .empty());
    CHECK(join({.lane = "1"}).empty());
    CHECK(join({.lane = "4"}).empty());
    CHECK(join({.lane = "%k"}).empty());
    CHECK(changed("define <2 x float> @two(ptr %x) {\n  %p = getelementptr float, ptr %x, i64 2\n"
                  "  %a = load float, ptr %x\n  %b = load float, ptr %p\n"
                  "  %v = insertelement <2 x float> poison, float %a, i64 0\n"
                  "  %w = insertelement <2 x float> %v, float %b, i64 1\n  ret <2 x float> %w\n}\n",
                  join_strided_loads)
              .empty());
    CHECK(join({.between = "  br label %more\nmore:\n"}).empty());
}

// ------------------------------------------------------------------------------ scalar addresses

struct Addresses {
    const char *begin = "<i64 0, i64 1, i64 2, i64 3>", *next = "add <4 x i64> %vi, splat (i64 4)",
               *value = "shl <4 x i64> %vi, splat (i64 3)",
               *extract = "extractelement <4 x i64> %v, i64 2", *again = "";
};
std::string scalars(const Addresses& a) {
    const std::string more = a.again;
    return changed(
        "define void @f(ptr %x, i64 %n, <4 x i64> %b, i64 %k, i1 %c) {\nentry:\n  br label "
        "%loop\nloop:\n"
        "  %i = phi i64 [ 0, %entry ], [ %j, %latch ]" +
            std::string(more.empty() ? "" : ", [ %i, %loop ]") + "\n  %vi = phi <4 x i64> [ " +
            a.begin + ", %entry ], [ %vn, %latch ]" + more +
            "\n  %ins = insertelement <4 x i64> poison, i64 %k, i64 0\n"
            "  %ins1 = insertelement <4 x i64> poison, i64 %k, i64 1\n  %v = " +
            a.value + "\n  %e = " + a.extract + "\n  %p = getelementptr i8, ptr %x, i64 %e\n" +
            "  store i8 1, ptr %p\n  br i1 %c, label %latch, label " +
            (more.empty() ? "%latch" : "%loop") + "\nlatch:\n  %vn = " + a.next +
            "\n  %j = add i64 %i, 4\n  %more = icmp ult i64 %j, %n\n"
            "  br i1 %more, label %loop, label %exit\nexit:\n  ret void\n}\n",
        compute_addresses_as_scalars);
}

TEST_CASE("scalar addresses: conditions", "[codegen][llvm][transforms]") {
    const std::string grown = scalars({});
    CHECK(has(grown, "%scalar = phi i64 [ 0, %entry ], [ %2, %latch ]\n"));
    CHECK(has(grown, "%0 = add i64 %scalar, 2\n"));
    CHECK(has(grown, "%1 = shl i64 %0, 3\n"));
    CHECK(has(grown, "%2 = add i64 %scalar, 4\n"));
    CHECK(!has(grown, "extractelement"));
    const auto of = [](const char* value) { return scalars({.value = value}); };
    CHECK(has(of("shufflevector <4 x i64> %ins, <4 x i64> poison, <4 x i32> zeroinitializer"),
              "getelementptr i8, ptr %x, i64 %k"));
    for (const char* op : {"add", "sub", "mul", "shl", "or"})
        CHECK(!of((std::string(op) + " <4 x i64> %vi, <i64 1, i64 2, i64 3, i64 4>").c_str())
                   .empty());

    for (const char* op : {"and", "xor", "udiv", "sdiv", "urem", "srem", "lshr", "ashr"})
        CHECK(
            of((std::string(op) + " <4 x i64> %vi, <i64 1, i64 2, i64 3, i64 4>").c_str()).empty());
    CHECK(of("add <4 x i64> %vi, %b").empty());
    CHECK(of("add <4 x i64> %b, %vi").empty());
    // Not the lane that was inserted, not what stands in all lanes.
    CHECK(of("shufflevector <4 x i64> %ins1, <4 x i64> poison, <4 x i32> splat (i32 1)").empty());
    CHECK(of("shufflevector <4 x i64> %ins, <4 x i64> %b, <4 x i32> <i32 0, i32 5, i32 0, i32 0>")
              .empty());
    CHECK(of("shufflevector <4 x i64> %ins1, <4 x i64> poison, <4 x i32> zeroinitializer").empty());
    CHECK(of("shufflevector <4 x i64> %b, <4 x i64> poison, <4 x i32> zeroinitializer").empty());
    CHECK(scalars({.begin = "%b"}).empty());
    CHECK(scalars({.begin = "<i64 0, i64 1, i64 poison, i64 3>"}).empty());
    CHECK(scalars({.next = "sub <4 x i64> %vi, splat (i64 4)"}).empty());
    CHECK(scalars({.next = "add <4 x i64> %b, splat (i64 4)"}).empty());
    CHECK(scalars({.next = "add <4 x i64> %vi, <i64 4, i64 4, i64 4, i64 5>"}).empty());
    CHECK(scalars({.next = "add <4 x i64> %vi, %b"}).empty());
    CHECK(scalars({.again = ", [ %b, %loop ]"}).empty());
    CHECK(scalars({.extract = "extractelement <4 x i64> %v, i64 %k"}).empty());
    CHECK(changed("define i32 @narrow(i32 %k) {\n"
                  "  %v = insertelement <4 x i32> poison, i32 %k, i64 0\n"
                  "  %w = shufflevector <4 x i32> %v, <4 x i32> poison, <4 x i32> zeroinitializer\n"
                  "  %x = add <4 x i32> %w, <i32 1, i32 2, i32 3, i32 4>\n"
                  "  %e = extractelement <4 x i32> %x, i64 2\n  ret i32 %e\n}\n",
                  compute_addresses_as_scalars)
              .empty());
    // Eight operations deep, and no more.
    const auto deep = [&](int operations) {
        std::string chain = "add <4 x i64> %vi, splat (i64 1)";
        for (int i = 1; i < operations; ++i)
            chain += "\n  %v" + std::to_string(i) + " = add <4 x i64> %v" +
                     (i == 1 ? "" : std::to_string(i - 1)) + ", splat (i64 1)";
        const std::string last =
            "extractelement <4 x i64> %v" + std::to_string(operations - 1) + ", i64 2";
        return scalars({.value = chain.c_str(), .extract = last.c_str()});
    };
    CHECK(!deep(8).empty());
    CHECK(deep(9).empty());
}

}  // namespace
