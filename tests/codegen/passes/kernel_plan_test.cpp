// inspect(Artifact::plan): what becomes of each loop, and why not more. Lines are counted from the
// one before the kernel's first loop: L1, L2 ...; vectors of f64 have V lanes.
#include "tests/catch.h"
#include "tests/regex.h"

#include <kiln/kiln.h>

#include <algorithm>
#include <sstream>

using namespace kiln;

namespace {

constexpr ArgType vector(DType::f64, 1), matrix(DType::f64, 2), scalar(DType::f64, 0),
    integer(DType::i64, 0), integers(DType::i64, 1), stack(DType::f64, 3);

/// The plan without its head.
template <class Kernel>
std::string plan(std::uint32_t first, const Kernel& kernel, std::initializer_list<ArgType> types) {
    const std::string all = kernel.inspect(Artifact::plan, types);
    const std::string head = all.substr(0, all.find('\n'));
    std::string text = all.substr(head.size() + 1);
    const std::string unit = head.substr(head.rfind(' ') + 1);
    const std::string lanes = unit == "avx512" ? "8" : unit == "avx2" ? "4" : "2";
    // Without FMA functions are calls of a library, for which bodies have one register.
    if (unit == "sse2") text = test::replaced(text, "lanes: 2 x 1", "lanes: 2 x 2");
    const std::string place =
        "kernel_plan_test\\.cpp:([0-9]+)|line ([0-9]+)|lanes: " + lanes + " x";
    std::string out;
    std::size_t done = 0;
    for (const test::Match& match : test::all_matches(text, place)) {
        out += text.substr(done, match.position - done);
        const std::string line = match.parts[1] + match.parts[2];
        out += line.empty() ? "lanes: V x" : "L" + std::to_string(std::stoul(line) - first);
        done = match.position + match.parts[0].size();
    }
    return out + text.substr(done);
}

/// Those lines of a plan that begin so.
std::string only(const std::string& text, std::initializer_list<const char*> beginnings) {
    std::istringstream lines(text);
    std::string out;
    for (std::string line; std::getline(lines, line);)
        for (const char* b : beginnings)
            if (line.find(b) == 2) out += line + '\n';
    return out;
}

TEST_CASE("five ways to write one loop have one plan", "[codegen][plan]") {
    const auto shown = [](const auto& kernel, std::initializer_list<ArgType> types) {
        return only(plan(0, kernel, types), {"lanes", "not lanes", "interchanged"});
    };
    const std::string expected = "  lanes: V x 2\n";
    CHECK(shown(jit([](In a, Out u) {
                    for (Index i : range(a.extent(0))) u(i) = exp(a(i));
                }),
                {vector, vector}) == expected);
    for (const bool threads : {false, true})
        CHECK(shown(jit(
                        [](In a, Out u) {
                            for (Index i : prange(a.extent(0))) u(i) = exp(a(i));
                        },
                        {.parallel = threads}),
                    {vector, vector}) == expected);
    CHECK(shown(jit([](In a, Out u) { u = exp(a); }), {vector, vector}) == expected);
    CHECK(shown(vectorize([](Value a) { return exp(a); }), {vector}) == expected);
    CHECK(shown(stencil([](Neighbors a) { return exp(a(0)); }), {vector}) == expected);
}

TEST_CASE("five ways to write one loop of cheap arithmetic", "[codegen][plan]") {
    const auto shown = [](const auto& kernel, std::initializer_list<ArgType> types) {
        return only(plan(0, kernel, types), {"lanes", "not lanes", "streamed", "interchanged"});
    };
    const std::string expected =
        "  streamed: where the arrays of the loops take 24 MB; calls with so much have code of "
        "their "
        "own, made at the first\n"
        "  lanes: V x 4\n";
    CHECK(shown(jit([](In a, Out u) {
                    for (Index i : range(a.extent(0))) u(i) = a(i) * 0.5;
                }),
                {vector, vector}) == expected);
    for (const bool threads : {false, true})
        CHECK(shown(jit(
                        [](In a, Out u) {
                            for (Index i : prange(a.extent(0))) u(i) = a(i) * 0.5;
                        },
                        {.parallel = threads}),
                    {vector, vector}) == expected);
    CHECK(shown(jit([](In a, Out u) { u = a * 0.5; }), {vector, vector}) == expected);
    CHECK(
        shown(vectorize([](Value a) { return a * 0.5; }), {vector}) ==
        "  lanes: V x 4\n  streamed: contiguous outputs, where all operands take 24 MB; calls with "
        "so much have code of their own, made at the first\n");
    // A result that the kernel makes may be larger than the arguments.
    const std::string made =
        "  streamed: where the arrays of the loops take 24 MB\n"
        "  lanes: V x 4\n";
    CHECK(shown(jit([](In a) { return Scratch(a * 0.5); }), {vector}) == made);
    CHECK(shown(stencil([](Neighbors a) { return a(0) * 0.5; }), {vector}) == made);
}

TEST_CASE("range and prange run in one order of loops", "[codegen][plan]") {
    std::uint32_t line = __LINE__;
    const auto serial = jit([](In a, In y, InOut x) {
        for (Index i : range(x.extent(0)))
            for (Index j : range(y.extent(0))) x(i) += a(j, i) * y(j);
    });
    CHECK(only(plan(line + 1, serial, {matrix, vector, vector}), {"interchanged"}) ==
          "  interchanged: the loops at L1, L2 run in the order L2, L1\n");
    for (const bool threads : {false, true}) {
        line = __LINE__;
        const auto kernel = jit(
            [](In a, In y, InOut x) {
                for (Index i : prange(x.extent(0)))
                    for (Index j : range(y.extent(0))) x(i) += a(j, i) * y(j);
            },
            {.parallel = threads});
        CHECK(only(plan(line + 2, kernel, {matrix, vector, vector}), {"interchanged"}) ==
              std::string("  interchanged: the loops at L1, L2 run in the order L2, L1") +
                  (threads ? ", for a block of the prange at once\n" : "\n"));
    }
}

TEST_CASE("plans of a device say what its threads take, and what the host does",
          "[codegen][plan]") {
    constexpr std::uint32_t line = __LINE__;
    const auto steps = jit("steps",
                           [](In a, InOut x, Out y) {
                               for (Index t : range(y.extent(0))) {
                                   y(t) = x(0);
                                   for (Index i : prange(x.extent(0))) x(i) = 2.0 * x(i);
                               }
                               Var s(f64, 0), r(f64, 0);
                               for (Index i : prange(x.extent(0))) s += x(i);
                               for (Index i : prange(a.extent(0)))
                                   for (Index j : range(a.extent(1))) r = max(r, a(i, j));
                               for (Index i : range(1, x.extent(0))) x(i) = x(i - 1) * x(i);
                               y(0) = s + r;
                           },
                           {.target = BackendTarget::cuda});
    const std::string text = steps.inspect(Artifact::plan, {matrix, vector, vector});
    CHECK(text.substr(0, text.find('\n')) == "steps on cuda");
    CHECK(plan(line + 2, steps, {matrix, vector, vector}) ==
          "L1: range\n"
          "  the host runs this loop, which launches others, makes arrays or ends the kernel: it "
          "copies "
          "each element that the loop itself touches from the device, or to it\n"
          "L3: prange\n"
          "  threads: of the device, one for an iteration\n"
          "L6: prange\n"
          "  reduction: sum of the Var of L5 (f64): blocks of 8192 iterations, combined pair by "
          "pair\n"
          "  threads: of the device, a block of them for 8192 iterations\n"
          "L7: prange\n"
          "  not fused: loop at L7 and the loop at L6 run over different extents\n"
          "  reduction: max of the Var of L5 (f64): combined pair by pair\n"
          "  threads: of the device, one for an iteration, which runs the loops in it alone\n"
          "L8: range\n"
          "L9: range\n"
          "  a loop outside of parallel ones touches elements of arrays: one thread of the device "
          "runs it, alone\n");
}

TEST_CASE("plans: threads, reductions, lanes", "[codegen][plan]") {
    for (const bool threads : {false, true}) {
        constexpr std::uint32_t line = __LINE__;
        const auto sum = jit(
            [](In a) -> Value {
                Var s(f64, 0);
                for (Index i : prange(a.extent(0))) s += a(i) * a(i);
                return s;
            },
            {.parallel = threads});
        const std::string one_thread =
            "  this prange runs on one thread: the kernel was not given .parallel = true\n";
        const std::string dealt_out = "  threads: schedule automatic, from 5 us of work on\n";
        CHECK(plan(line + 3, sum, {vector}) ==
              "L1: prange\n  reused: 1 load of elements that were loaded before\n" +
                  (threads ? dealt_out : one_thread) +
                  "  reduction: sum of the Var of L0 (f64): blocks of 8192 iterations, combined "
                  "pair by pair\n"
                  "  lanes: V x 4, whose totals are combined by a tree\n");
    }
    constexpr std::uint32_t line = __LINE__;
    const auto nested = jit(
        [](In a, Out u) {
            for (Index i : prange(a.extent(0), {.schedule = Schedule::dynamic}))
                for (Index j : prange(a.extent(1))) u(i, j) = exp(a(i, j));
        },
        {.parallel = true});
    CHECK(plan(line + 2, nested, {matrix, matrix}) ==
          "L1: prange\n"
          "  threads: schedule dynamic\n"
          "L2: prange\n"
          "  this prange runs serially: it is inside of the one at L1\n"
          "  lanes: V x 2\n");
}

TEST_CASE("plans: where the totals of groups are", "[codegen][plan]") {
    bool many_registers = false;
    const auto totals = [&](int count) {
        constexpr std::uint32_t line = __LINE__;
        const auto kernel = jit([count](In a, Out o) {
            std::vector<Var> sums;
            for (int k = 0; k < count; ++k) sums.emplace_back(f64, 0);
            for (Index i : prange(a.extent(0)))
                for (int k = 0; k < count; ++k) sums[k] += a(i) * (k + 2);
            for (int k = 0; k < count; ++k) o(k) = sums[k];
        });
        const std::string all = kernel.inspect(Artifact::plan, {vector, vector});
        many_registers = all.substr(0, all.find('\n')).ends_with("avx512");
        return only(plan(line + 4, kernel, {vector, vector}), {"reduction: the"});
    };
    CHECK(totals(1) == "");
    const std::string memory = "memory, since registers are too few\n";
    CHECK(totals(2) == "  reduction: the 2 totals of a group of steps stay in " +
                           (many_registers ? "registers\n" : memory));
    CHECK(totals(12) == "  reduction: the 12 totals of a group of steps stay in " + memory);
}

TEST_CASE("plans: elements that lie apart", "[codegen][plan]") {
    const auto apart = [](int step, DType dtype) {
        constexpr std::uint32_t line = __LINE__;
        const auto kernel = jit([step](In x, Out y) {
            for (Index i : range(y.extent(0))) y(i) = x(step * i) + x(step * i);
        });
        const ArgType of(dtype, 1);
        const std::string all = kernel.inspect(Artifact::plan, {of, of});
        const bool joins = !all.substr(0, all.find('\n')).ends_with("sse2");
        const std::string text = plan(line + 1, kernel, {of, of});
        CHECK(text.starts_with("L1: range\n"));
        return joins ? only(text, {"loaded as", "not loaded as"}) : "sse2";
    };
    const auto says = [](const std::string& made, const std::string& wanted) {
        CHECK((made == "sse2" || made == "  " + wanted + "\n"));
    };
    says(apart(2, f32), "loaded as vectors: elements of 4 bytes, 2 apart");
    says(apart(3, i16), "loaded as vectors: elements of 2 bytes, 3 apart");
    says(apart(2, f64), "loaded as vectors: elements of 8 bytes, 2 apart");
    says(apart(3, f64),
         "not loaded as vectors: elements of 8 bytes, 3 apart: too far for it to be worth it");
    says(apart(4, f32),
         "not loaded as vectors: elements of 4 bytes, 4 apart: too far for it to be worth it");
}

TEST_CASE("plans: why there are no lanes", "[codegen][plan]") {
    const auto why = [](const auto& kernel, std::initializer_list<ArgType> types) {
        const std::string line = only(plan(0, kernel, types), {"lanes: ", "not lanes: "});
        if (line.find(", by LLVM's vectoriser") != std::string::npos)
            return std::string("LLVM's lanes");
        return line.empty() ? line : line.substr(13, line.size() - 14);
    };
    CHECK(why(jit([](In a, InOut u) {
                  for (Index i : range(1, a.extent(0))) u(i) = u(i - 1) * 0.5 + a(i);
              }),
              {vector, vector}) == "iterations may meet at this element, to which the loop stores");
    CHECK(
        why(jit([](In a) -> Value {
                Var s(f64, 0);
                for (Index i : range(a.extent(0))) s += a(i);
                return s;
            }),
            {vector}) ==
        "the order of this sum is that of the iterations (fastmath's reassoc and prange free it)");
    // LLVM may gather, or compute what is stored nowhere, where it takes the unit to be good at it.
    const std::string gathers = why(jit([](In a, In at) -> Value {
                                        Var s(f64, 0);
                                        for (Index i : prange(at.extent(0))) s += a(at(i));
                                        return s;
                                    }),
                                    {vector, integers});
    CHECK((gathers == "LLVM's lanes" ||
           gathers == "a subscript is not the loop's index times a constant plus something fixed"));
    CHECK(why(jit([](In a) -> Value {
                  Var s(i64, 0);
                  for (Index i : range(a.extent(0))) {
                      if_(a(i) < 0.0, [&] { break_(); });
                      s = i;
                  }
                  return s;
              }),
              {vector}) == "an iteration may end the loop");
    const std::string guarded = why(jit([](In a, In b, Out u) {
                                        for (Index i : prange(a.extent(0)))
                                            if_(a(i) > 0.0, [&] { u(i) = exp(b(i)); });
                                    }),
                                    {vector, vector, vector});
    CHECK((guarded == "LLVM's lanes" ||
           guarded.starts_with("not every iteration loads this element, and all lanes would (")));
    CHECK(why(jit([](In a, InOut u) {
                  for (Index i : prange(a.extent(0))) atomic_add(u(a(i)), 1.0);
              }),
              {integers, vector}) == "iterations meet in atomic updates");
    CHECK(why(jit(
                  [](In a, Out u) {
                      for (Index i : prange(a.extent(0))) u(i) = a(i);
                  },
                  {.checked = true}),
              {vector, vector}) == "every access of a checked kernel is tested by itself");
}

TEST_CASE("plans: fused, removed, kept, hoisted", "[codegen][plan]") {
    std::uint32_t line = __LINE__;
    const auto fused = jit([](In a, Out u, Value s) {
        Scratch t = a + 1.0;
        for (Index i : prange(a.extent(0))) u(i) = t(i) * exp(s);
    });
    const std::string text = plan(line + 1, fused, {vector, vector, scalar});
    CHECK(only(text, {"fused", "removed", "hoisted"}) ==
          "  removed: the temporary array at L1\n"
          "  hoisted: exp out of the parallel loop at L2\n"
          "  fused: loop at L2 into the loop at L1\n");
    line = __LINE__;
    const auto shifted = jit([](In a, Out u, Out w) {
        for (Index i : prange(a.extent(0))) u(i) = a(i);
        for (Index i : prange(1, a.extent(0))) w(i) = u(i - 1);
    });
    CHECK(only(plan(line + 1, shifted, {vector, vector, vector}), {"not fused"}) ==
          "  not fused: loop at L2 and the loop at L1 run over different extents\n");
    line = __LINE__;
    const auto chain = jit([](In a, In b, In c, Out o) { o = dot(dot(a, b), c); });
    CHECK(only(plan(line + 1, chain, {matrix, matrix, matrix, matrix}), {"kept", "not fused"}) ==
          "  kept: the sum is computed once, into a temporary array\n"
          "  not fused: each iteration of the loop at L0 goes through p1, and of the loop at L0 "
          "through p2\n");
    line = __LINE__;
    const auto batched = jit([](In x, In y, Out o) {
        for (Index b : prange(x.extent(0))) o.slice(b) = dot(x.slice(b), y);
    });
    CHECK(only(plan(line, batched, {stack, matrix, stack}), {"kept"}) ==
          "  kept: the sum is computed once, into a temporary array of each iteration: "
          "its axes are outer ones, and not known to have 16 elements or less\n");
}

TEST_CASE("plans: what is taken at once", "[codegen][plan]") {
    std::uint32_t line = __LINE__;
    const auto logistic = jit([](In x, In w, InOut g) {
        for (Index i : range(x.extent(0))) {
            Var r(f64, 0);
            for (Index j : range(w.extent(0))) r += x(i, j) * w(j);
            const Value e = exp(r);
            for (Index j : range(w.extent(0))) g(j) += e * x(i, j);
        }
    });
    const auto shown = [&](const auto& kernel, std::initializer_list<ArgType> types) {
        return only(plan(line + 1, kernel, types),
                    {"distributed", "not distributed", "jammed", "not jammed", "four at once",
                     "not four at once", "time-skewed", "not time-skewed", "carried", "in blocks",
                     "interchanged", "not interchanged"});
    };
    CHECK(shown(logistic, {matrix, vector, vector}) ==
          "  distributed: its functions run as lanes, for 16 iterations at once, since rows come "
          "from "
          "memory\n"
          "  jammed: 4 rows at once\n");
    const auto coupled = jit([](In x, InOut w) {
        for (Index i : range(x.extent(0))) {
            Var r(f64, 0);
            for (Index j : range(w.extent(0))) r += x(i, j) * w(j);
            const Value e = exp(r);
            for (Index j : range(w.extent(0))) w(j) += e * x(i, j);
        }
    });
    CHECK(shown(coupled, {matrix, vector}) ==
          "  not distributed: what comes before its functions and what comes after them touch one "
          "array or variable\n"
          "  not four at once: its iterations may touch one element, one of them storing\n");
    line = __LINE__ + 1;
    const auto product = jit(
        [](In a, In b, InOut c) {
            for (Index i : range(c.extent(0)))
                for (Index j : range(c.extent(1))) {
                    Var s = c(i, j);
                    for (Index k : range(a.extent(1))) s += a(i, k) * b(k, j);
                    c(i, j) = s;
                }
        },
        {.fastmath = true});
    CHECK(shown(product, {matrix, matrix, matrix}) ==
          "  not jammed: rows may meet at an element that they store to\n"
          "  four at once: 4 iterations run in step through the loop at L4, and make a vector\n");
    const auto triangular = jit([](InOut a) {
        for (Index i : range(a.extent(0)))
            for (Index j : range(i)) {
                Var s = a(i, j);
                for (Index k : range(j)) s -= a(i, k) * a(k, j);
                a(i, j) = s;
            }
    });
    CHECK(shown(triangular, {matrix}) ==
          "  not jammed: the bounds of the inner loop differ from row to row\n");
    const auto wave = jit([](InOut a) {
        for (Index j : range(1, a.extent(1)))
            for (Index i : range(1, a.extent(0))) a(i, j) = a(i - 1, j) + a(i, j - 1);
    });
    CHECK(shown(wave, {matrix}) ==
          "  not interchanged: iterations may meet at elements of p0, in another order\n"
          "  not jammed: rows may meet at an element that they store to\n");
    for (const bool threads : {false, true}) {
        const auto heat = jit(
            [](InOut a, InOut b, Value n) {
                for (Index t : range(n)) {
                    for (Index i : prange(1, a.extent(0) - 1)) b(i) = a(i - 1) + a(i + 1);
                    for (Index i : prange(1, a.extent(0) - 1)) a(i) = b(i - 1) + b(i + 1);
                }
            },
            {.parallel = threads});
        CHECK(shown(heat, {vector, vector, integer}) ==
              (threads ? "  not time-skewed: its loops run on threads\n"
                       : "  time-skewed: up to 16 steps at once, each 2 iterations behind the one "
                         "before it\n"));
    }
    const auto waits = jit([](In a) -> Value {
        Var s(f64, 0);
        for (Index i : prange(a.extent(0))) {
            Var k(i64, 0);
            while_([&] { return k < i; },
                   [&] {
                       s += a(i) / cast<double>(k + 1);
                       k += 1;
                   });
        }
        return s;
    });
    CHECK(shown(waits, {vector}) ==
          "  carried: its sums go in the order of the iterations, one after the other, and carry "
          "what each addition rounds off\n");
    CHECK(shown(jit([](In a, Out u) { u = sum(a, {.axis = 0}); }), {matrix, vector}) ==
          "  in blocks: sums into an array go by groups of 16 iterations and blocks of 256, which "
          "are combined pair by pair\n  jammed: 4 rows at once\n");
}

TEST_CASE("plans of ufuncs, reductions and stencils", "[codegen][plan]") {
    const std::uint32_t line = __LINE__;
    const auto ufunc = vectorize([](Value a) { return a * 0.5; }, {.parallel = true});
    const std::string text = plan(line, ufunc, {vector});
    CHECK(
        text.starts_with("L1: element-wise\n  lanes: V x 4\n"
                         "  layouts: x0 contiguous, out0 contiguous; calls whose inner axis lies "
                         "otherwise have code of their own\n"
                         "  streamed: contiguous outputs, where all operands take 24 MB; calls "
                         "with so much have code of their own, made at the first\n"
                         "  threads: from "));
    const auto norm = map_reduce([](Value a) { return a * a; }, Reduce::sum);
    CHECK(plan(line, norm, {vector}) ==
          "L10: reduction\n  lanes: V x 4\n"
          "  layouts: x0 contiguous; calls whose inner axis lies otherwise have code of their own\n"
          "  reduction: sum: a tree over the lanes, pair by pair over blocks of 4096 columns\n");
    const auto near = stencil([](Neighbors a) { return a(-1) * 0.5 + a(1); });
    const std::string loops = plan(line, near, {vector});
    CHECK(loops.starts_with("L15: prange\n"));
    CHECK(loops.find("\nL", 1) == std::string::npos);
    CHECK(only(loops, {"lanes"}).starts_with("  lanes: V x "));
    CHECK_THAT(only(loops, {"lanes"}),
               Catch::Contains(", by LLVM's vectoriser: its iterations share elements with their "
                               "neighbours"));
}

TEST_CASE("plans of scans", "[codegen][plan]") {
    const std::string text = inspect_scan(Reduce::sum, Artifact::plan, vector);
    CHECK(text.starts_with("scan on "));
    CHECK_THAT(text, Catch::Contains(
                         "  reduction: running sum: a tree over the lanes; blocks of 4096 columns "
                         "begin with the total of those before them, 128 KB of blocks for a thread "
                         "at once\n"));
    CHECK_THAT(text, Catch::Contains("carry one element"));
}

TEST_CASE("plans: what LLVM's vectoriser says", "[codegen][plan]") {
    const auto lanes = [](const auto& kernel, std::initializer_list<ArgType> types) {
        return only(plan(0, kernel, types), {"lanes", "not lanes"});
    };
    // Each iteration waits for the one before it.
    CHECK(lanes(jit([](InOut u) {
                    for (Index i : range(1, u.extent(0))) u(i) = u(i - 1) * 0.5;
                }),
                {vector}) ==
          "  not lanes: iterations may meet at this element, to which the loop stores\n");
    // Whatever is legal as lanes and as cheap as this is LLVM's choice, unless it is as plain.
    CHECK(lanes(jit([](In a, Out u) {
                    for (Index i : range(u.extent(0))) u(i) = a(i) + 1.0;
                }),
                {vector, vector}) == "  lanes: V x 4\n");
    const std::string turned = lanes(jit([](In a, Out u) {
                                         for (Index i : range(u.extent(0)))
                                             u(i) = a(u.extent(0) - 1 - i) + 1.0;
                                     }),
                                     {vector, vector});
    CHECK(turned.starts_with("  lanes: V x "));
    CHECK_THAT(turned,
               Catch::Contains(", by LLVM's vectoriser: its elements are not next to each other"));
}

TEST_CASE("plans: what is loaded once, what is gone, and pranges with sums", "[codegen][plan]") {
    std::uint32_t line = __LINE__;
    const auto dead = jit([](In a, Out u) {
        Var s(f64, 0);
        for (Index i : range(a.extent(0))) s += a(i);
        for (Index i : range(a.extent(0))) u(i) = a(i) + a(i) * a(i);
    });
    const std::string text = plan(line + 2, dead, {vector, vector});
    CHECK(only(text, {"reused", "nothing"}) ==
          "  nothing depends on what the loop computes: it is gone\n"
          "  reused: 2 loads of elements that were loaded before\n");
    line = __LINE__;
    const auto rows = jit(
        [](In a, Out u) {
            for (Index i : prange(a.extent(0))) {
                Var s(f64, 0);
                for (Index j : range(a.extent(1))) s += a(i, j);
                u(i) = s;
            }
        },
        {.parallel = true});
    CHECK_THAT(plan(line + 2, rows, {matrix, vector}),
               Catch::StartsWith("L1: prange\n"
                                 "  four at once: 4 iterations run in step through the loop at L3\n"
                                 "  threads: schedule automatic, from 10 us of work on\n"
                                 "  not lanes: a loop inside of it loads elements (L3)\n"));
}

/// A parser of JSON that only says whether a text is some.
class Json {
  public:
    explicit Json(std::string_view text) : rest_(text) {}
    bool valid() { return value() && rest_.empty(); }

  private:
    bool take(char c) {
        while (!rest_.empty() && rest_[0] == ' ') rest_.remove_prefix(1);
        if (rest_.empty() || rest_[0] != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool string() {
        if (!take('"')) return false;
        while (!rest_.empty() && rest_[0] != '"') {
            if (static_cast<unsigned char>(rest_[0]) < 0x20) return false;
            rest_.remove_prefix(rest_[0] == '\\' ? 2 : 1);
        }
        return take('"');
    }
    template <class Item> bool list(char end, const Item& item) {
        if (take(end)) return true;
        do {
            if (!item()) return false;
        } while (take(','));
        return take(end);
    }
    bool value() {
        if (take('{')) return list('}', [&] { return string() && take(':') && value(); });
        if (take('[')) return list(']', [&] { return value(); });
        if (!rest_.empty() && rest_[0] == ' ') rest_.remove_prefix(1);
        if (!rest_.empty() && rest_[0] == '"') return string();
        for (const std::string_view word : {"true", "false", "null"})
            if (rest_.starts_with(word)) {
                rest_.remove_prefix(word.size());
                return true;
            }
        const std::size_t digits = rest_.find_first_not_of("-0123456789");
        if (digits == 0 || rest_.empty()) return false;
        rest_.remove_prefix(std::min(digits, rest_.size()));
        return true;
    }
    std::string_view rest_;
};

TEST_CASE("plans as JSON", "[codegen][plan]") {
    const std::uint32_t line = __LINE__;
    const auto kernel = jit("a \"name\"", [](In a, Out u) {
        for (Index i : range(a.extent(0))) u(i) = exp(a(i));
    });
    const std::string text = kernel.inspect(Artifact::plan_json, {vector, vector});
    INFO(text);
    CHECK(Json(text).valid());
    CHECK(text.starts_with("{\"kernel\": \"a \\\"name\\\"\", \"unit\": \""));
    CHECK(text.find("\"line\": " + std::to_string(line + 2) +
                    ", \"kinds\": [\"range\"], \"decisions\": [{\"what\": \"lanes\", \"done\": "
                    "true, \"text\": \"") != std::string::npos);
    CHECK(text.find(", \"lanes\": ") != std::string::npos);
    CHECK(text.ends_with("}]}]}"));
    for (const char* wrong : {"", "{", "[1,]", "{\"a\": }", "[1 2]", "\"a", "{\"a\" 1}"})
        CHECK_FALSE(Json(wrong).valid());
}

}  // namespace
