// The conditions of fusion one at a time, on kernels that differ from a legal one in that alone.
// fuse_test.cpp has results, and what users are told.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

using namespace kiln;

namespace {

std::size_t count(const std::string& text, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        ++n;
    return n;
}

/// Two loops, of which the second takes what the first one makes.
struct Loops {
    std::string before = "", first = "for %0 = i64(0) to n step i64(1) parallel automatic 0 ",
                first_body = "%1 = load f64 a[%0]\nstore b[%0], %1\n", between = "",
                second = "for %2 = i64(0) to n step i64(1) parallel automatic 0 ",
                second_body = "%3 = load f64 b[%2]\nstore c[%2], %3\n", after = "";
    std::string text() const {
        return "kernel k(a: inout f64[1] unit, b: inout f64[1] unit, c: inout f64[1] unit, d: "
               "inout f64[1] "
               "unit, t: local f64[1] unit, n: value i64, m: value i64) program {\n  slot s: f64\n "
               " slot "
               "q: f64\n"
               "  stage [] {\nwrite s, f64(0)\nwrite q, f64(0)\n" +
               before + first + "{\n" + first_body + "}\n" + between + second + "{\n" +
               second_body + "}\n" + after +
               "%90 = read f64 s\n%91 = read f64 q\n%92 = add f64 %90, %91\n"
               "store d[n], %92\n}\n}\n";
    }
};

std::string fused(const Loops& loops,
                  codegen::PassOptions options = {.noalias = true, .fuse = true}) {
    return ir::print(test::run(codegen::run_fuse, test::kernel(loops.text()), options));
}
bool is_one(const Loops& loops) { return count(fused(loops), " parallel ") == 1; }

const std::string head = "step i64(1) parallel automatic 0 ";
const std::string b_to_c = Loops().second_body, a_to_b = Loops().first_body;

}  // namespace

TEST_CASE("fuse: conditions on the loops", "[codegen][fuse]") {
    CHECK(is_one({}));
    CHECK(!is_one({.second = "for %2 = i64(1) to n " + head}));
    CHECK(!is_one({.second = "for %2 = i64(0) to m " + head}));
    CHECK(!is_one({.second = "for %2 = i64(0) to n step i64(2) parallel automatic 0 "}));
    CHECK(!is_one({.second = "for %2 = i64(0) to n step i64(1) parallel static 0 "}));
    CHECK(!is_one({.second = "for %2 = i64(0) to n step i64(1) parallel automatic 7 "}));
    const std::string leaves = "%4 = lt bool n, i64(3)\nif %4 {\ncontinue\n}\n";
    CHECK(!is_one({.first_body = leaves + a_to_b}));
    CHECK(!is_one({.second_body = leaves + b_to_c}));
    CHECK(
        is_one({.second_body = "for %5 = i64(0) to n step i64(1) {\n" + leaves + b_to_c + "}\n"}));
    // What a check makes equal is so behind it, and in its block.
    const std::string check = "%6 = eq bool n, m\ncheck shapes, %6\n";
    CHECK(is_one({.before = check, .second = "for %2 = i64(0) to m " + head}));
    const std::string arms = "%7 = lt bool n, i64(3)\nif %7 {\n" + check + "}\n";
    CHECK(!is_one({.before = arms, .second = "for %2 = i64(0) to m " + head}));
    const std::string in_arm = fused(
        {.before = arms + "if %7 {\n", .second = "for %2 = i64(0) to m " + head, .after = "}\n"});
    CHECK(count(in_arm, " parallel ") == 2);
    CHECK(fused({.second = "for %2 = i64(0) to n step i64(1) parallel automatic 0 unsafe "})
              .find("parallel automatic 0 unsafe") != std::string::npos);
    // Overlapping arrays, checked mode, kernels that do not ask for it.
    CHECK(count(fused({}, {.noalias = false, .fuse = true}), " parallel ") == 2);
    CHECK(count(fused({}, {.checked = true, .noalias = true, .fuse = true}), " parallel ") == 2);
    CHECK(count(fused({}, {.noalias = true, .fuse = false}), " parallel ") == 2);
}

TEST_CASE("fuse: conditions on variables", "[codegen][fuse]") {
    const std::string sum = "%8 = read f64 s\n%9 = add f64 %8, f64(1)\nwrite s, %9\n",
                      sums = "for %0 = i64(0) to n step i64(1) parallel automatic 0 (sum -> s) ";
    CHECK(is_one({.first = sums, .first_body = a_to_b + sum}));
    CHECK(!is_one({.first = sums,
                   .first_body = a_to_b + sum,
                   .second_body = b_to_c + "%10 = read f64 s\nstore a[%2], %10\n"}));
    // One loop writes, the other one reads or writes.
    const std::string write = "write q, %1\n", write_too = "write q, %3\n",
                      read = "%10 = read f64 q\nstore a[%0], %10\n",
                      read_too = "%10 = read f64 q\nstore a[%2], %10\n";
    CHECK(!is_one({.first_body = a_to_b + write, .second_body = b_to_c + read_too}));
    CHECK(!is_one({.first_body = a_to_b + write, .second_body = b_to_c + write_too}));
    CHECK(!is_one({.first_body = a_to_b + read, .second_body = b_to_c + write_too}));
    CHECK(is_one({.first_body = a_to_b + read, .second_body = b_to_c}));
}

TEST_CASE("fuse: conditions on what stands between", "[codegen][fuse]") {
    // It goes before the first loop, or behind the second one where it depends on the first.
    const auto order = [](const std::string& between) {
        const std::string text = fused({.between = between});
        CHECK(count(text, " parallel ") == 1);
        return text.find("f64(77)") < text.find(" parallel ");
    };
    CHECK(order("store d[m], f64(77)\n"));
    CHECK(!order("store a[m], f64(77)\n"));
    CHECK(is_one({.between = "%11 = load f64 d[m]\nstore d[n], %11\n"}));
    // Elements of the first loop's arrays, and of the second one's.
    CHECK(!is_one({.between = "store b[m], f64(77)\n"}));
    CHECK(!is_one({.between = "%11 = load f64 b[m]\n", .second_body = "store c[%2], %11\n"}));
    CHECK(!is_one({.between = "%11 = load f64 b[m]\nstore c[m], %11\n"}));
    // Through a third.
    CHECK(!is_one({.between = "%11 = load f64 b[m]\nstore d[n], %11\n",
                   .second_body = "%3 = load f64 d[%2]\nstore c[%2], %3\n"}));
    CHECK(!is_one({.between = "%11 = load f64 b[m]\n%12 = mul f64 %11, %11\n",
                   .second_body = "store c[%2], %12\n"}));
    CHECK(!is_one({.first_body = a_to_b + "%10 = read f64 q\nstore c[%0], %10\n",
                   .between = "write q, f64(1)\n",
                   .second_body = "%3 = read f64 q\nstore a[%2], %3\n"}));
    // The kernel may end there, or fail.
    const std::string condition = "%13 = lt bool n, m\n";
    CHECK(!is_one({.between = condition + "if %13 {\nreturn\n}\n"}));
    CHECK(!is_one(
        {.between = "%11 = load f64 b[m]\n%13 = lt bool %11, f64(0)\ncheck shapes, %13\n"}));
}

TEST_CASE("fuse: conditions on elements", "[codegen][fuse]") {
    const auto reads = [](const std::string& subscript) {
        return Loops{.second_body = subscript + "store c[%2], %3\n"};
    };
    CHECK(!is_one(reads("%4 = add i64 %2, i64(1)\n%3 = load f64 b[%4]\n")));
    CHECK(!is_one(reads("%4 = sub i64 n, %2\n%3 = load f64 b[%4]\n")));
    CHECK(!is_one(reads("%3 = load f64 b[n]\n")));
    const std::string same = "store b[n], f64(1)\n";
    CHECK(!is_one({.first_body = same, .second_body = "%3 = load f64 b[n]\nstore c[%2], %3\n"}));
    CHECK(!is_one({.first_body = same, .second_body = "%3 = load f64 b[m]\nstore c[%2], %3\n"}));
    // They are never the same.
    CHECK(
        is_one({.first_body = same,
                .second_body = "%4 = add i64 n, i64(1)\n%3 = load f64 b[%4]\nstore c[%2], %3\n"}));
    // What is read is overwritten, what is written is written again.
    CHECK(!is_one({.second_body = "%4 = add i64 %2, i64(1)\nstore a[%4], f64(1)\n"}));
    CHECK(!is_one({.second_body = "%4 = sub i64 %2, i64(1)\nstore b[%4], f64(1)\n"}));
    CHECK(!is_one({.first_body = "%1 = atomic sum f64 b[%0], f64(1)\n",
                   .second_body = "%3 = load f64 b[n]\nstore c[%2], %3\n"}));
    // Sums into arrays.
    const Loops sums{
        .before = "allocate t[n]\n",
        .first = "for %0 = i64(0) to n step i64(1) parallel automatic 0 arrays (sum -> t) ",
        .first_body =
            "%1 = load f64 t[m]\n%5 = add f64 %1, f64(1) fast(reassoc)\n"
            "store t[m], %5\n"};
    const auto sums_and = [&](const std::string& body) {
        Loops loops = sums;
        loops.second_body = body;
        return loops;
    };
    CHECK(!is_one(sums_and("%3 = load f64 t[m]\nstore c[%2], %3\n")));
    CHECK(!is_one(sums_and("store t[m], f64(1)\n")));
    Loops both = sums_and("%3 = read f64 s\n%4 = add f64 %3, f64(1)\nwrite s, %4\n");
    both.second = "for %2 = i64(0) to n step i64(1) parallel automatic 0 (sum -> s) ";
    CHECK(!is_one(both));
}

TEST_CASE("fuse: flags of operations are equal", "[codegen][fuse]") {
    const auto with = [](const std::string& flags) {
        return Loops{
            .first_body = "%1 = load f64 a[%0]\n%4 = add f64 %1, f64(1)\nstore b[%0], %4\n",
            .second_body =
                "%3 = load f64 b[%2]\n%5 = add f64 %3, f64(1)" + flags + "\nstore c[%2], %5\n"};
    };
    CHECK(is_one(with("")));
    CHECK(!is_one(with(" fast(nnan)")));
}

TEST_CASE("fuse: temporaries that stay arrays", "[codegen][fuse]") {
    // A loop that stores to t, and loads it; a second one that has nothing to do with it.
    const auto is_removed = [](const std::string& body, const std::string& before = "",
                               const std::string& after = "") {
        const std::string text = fused({.before = "allocate t[n]\n" + before,
                                        .first_body = body,
                                        .second_body = "store d[%2], f64(1)\n",
                                        .after = after});
        return text.find("allocate") == std::string::npos;
    };
    const std::string store = "%1 = load f64 a[%0]\nstore t[%0], %1\n",
                      load = "%4 = load f64 t[%0]\nstore b[%0], %4\n";
    CHECK(is_removed(store + load));
    CHECK(!is_removed(load + store));
    CHECK(!is_removed(store + load, "",
                      "%20 = sub i64 extent(t, 0), i64(1)\nstore c[%20], f64(1)\n"));
    CHECK(!is_removed(store + load, "", "allocate t[m]\n"));
    CHECK(!is_removed(store + load + "%5 = atomic sum f64 t[%0], f64(1)\n"));
    CHECK(!is_removed(store + "%4 = load f64 t[n]\nstore b[%0], %4\n"));
    CHECK(!is_removed(store + load, "", "%20 = load f64 t[m]\nstore c[n], %20\n"));
    CHECK(!is_removed("store t[i64(0)], f64(1)\n%4 = load f64 t[i64(0)]\nstore b[%0], %4\n"));
    CHECK(!is_removed(
        "%6 = mul i64 %0, m\nstore t[%6], f64(1)\n%4 = load f64 t[%6]\nstore b[%0], %4\n"));
    CHECK(!is_removed(
        "%1 = load f64 a[%0]\n%6 = lt bool %1, f64(0)\nif %6 {\nstore t[%0], %1\n}\n" + load));
}
