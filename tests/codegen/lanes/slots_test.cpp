// Slots that are one scalar for all lanes, and writes without masks: what lanes see that have left
// a loop, wait for the other arm of a branch, or began the next iteration early.
#include "tests/catch.h"
#include "tests/codegen/cpu_map.h"
#include "tests/codegen/kernels.h"

using namespace kiln;
using namespace kiln::test;

namespace {

using Numbers = std::vector<std::int64_t>;

/// The output of a kernel of x and z (i64), for x = -40 ... 159, by each vector unit.
template <class F> void check(const std::string& slots, const std::string& body, const F& expect) {
    const ir::Kernel k = test::kernel("kernel k(x: in i64[1] unit, z: out i64[1] unit) {\n" +
                                      slots + "  stage [extent(z, 0)] {\n" + body + "  }\n}\n");
    Numbers x, expected;
    for (std::int64_t i = -40; i < 160; ++i) {
        x.push_back(i);
        expected.push_back(expect(i));
    }
    for (const VectorIsa isa : host_isas()) {
        INFO(name(isa));
        Numbers z(x.size(), -1);
        const auto program = compile_for(isa, k);
        run_map(*program, std::vector{operand_of(x), operand_of(z)},
                static_cast<std::int64_t>(x.size()));
        CHECK(z == expected);
    }
}

}  // namespace

TEST_CASE("a counter that is the same in all lanes of a loop is each lane's own behind it",
          "[codegen][llvm][slots]") {
    // n = 0; square = 0; while (n < 9 && square <= x) { n += 1; square = n * n; }  z = n
    check("  slot n: i64\n  slot square: i64\n", R"(    %0 = load i64 x[i0]
    write n, i64(0)
    write square, i64(0)
    while {
      %1 = read i64 n
      %2 = lt bool %1, i64(9)
      %3 = read i64 square
      %4 = le bool %3, %0
      %5 = logical_and bool %2, %4
    } %5 {
      %6 = read i64 n
      %7 = add i64 %6, i64(1)
      write n, %7
      %8 = mul i64 %7, %7
      write square, %8
    }
    %9 = read i64 n
    store z[i0], %9
)",
          [](std::int64_t x) {
              std::int64_t n = 0;
              for (std::int64_t square = 0; n < 9 && square <= x; square = n * n) ++n;
              return n;
          });
}

TEST_CASE("a loop inside a loop starts its counter anew for the lanes that are left",
          "[codegen][llvm][slots]") {
    // total = 0; i = 0; while (i < x) { k = 0; while (k < i) { k += 1; total += k; } i += 3; }
    // z = total * 100 + k
    check("  slot i: i64\n  slot k: i64\n  slot total: i64\n", R"(    %0 = load i64 x[i0]
    write i, i64(0)
    write k, i64(7)
    write total, i64(0)
    while {
      %1 = read i64 i
      %2 = lt bool %1, %0
    } %2 {
      write k, i64(0)
      %3 = read i64 i
      while {
        %4 = read i64 k
        %5 = lt bool %4, %3
      } %5 {
        %6 = read i64 k
        %7 = add i64 %6, i64(1)
        write k, %7
        %8 = read i64 total
        %9 = add i64 %8, %7
        write total, %9
      }
      %10 = add i64 %3, i64(3)
      write i, %10
    }
    %11 = read i64 total
    %12 = mul i64 %11, i64(100)
    %13 = read i64 k
    %14 = add i64 %12, %13
    store z[i0], %14
)",
          [](std::int64_t x) {
              std::int64_t total = 0, k = 7;
              for (std::int64_t i = 0; i < x; i += 3)
                  for (k = 0; k < i;) total += ++k;
              return total * 100 + k;
          });
}

TEST_CASE("the other arm of a branch, and what follows, do not see an arm's writes",
          "[codegen][llvm][slots]") {
    // t = 5; if (x > 3) { t = 7; u = t + 1; } else { u = t; }  z = 10 * u + t
    check("  slot t: i64\n  slot u: i64\n", R"(    %0 = load i64 x[i0]
    write t, i64(5)
    %1 = gt bool %0, i64(3)
    if %1 {
      write t, i64(7)
      %2 = read i64 t
      %3 = add i64 %2, i64(1)
      write u, %3
    } else {
      %4 = read i64 t
      write u, %4
    }
    %5 = read i64 u
    %6 = mul i64 %5, i64(10)
    %7 = read i64 t
    %8 = add i64 %6, %7
    store z[i0], %8
)",
          [](std::int64_t x) { return x > 3 ? 87 : 55; });
}

TEST_CASE("lanes that continue early keep what they had", "[codegen][llvm][slots]") {
    // s = 0; total = 0; for k in 0..10 { total += s; if (k * x % 3 == 1) continue; s = k; }
    // z = total
    check("  slot s: i64\n  slot total: i64\n", R"(    %0 = load i64 x[i0]
    write s, i64(0)
    write total, i64(0)
    for %1 = i64(0) to i64(10) step i64(1) {
      %2 = read i64 s
      %3 = read i64 total
      %4 = add i64 %3, %2
      write total, %4
      %5 = mul i64 %1, %0
      %6 = rem i64 %5, i64(3)
      %7 = eq bool %6, i64(1)
      if %7 {
        continue
      }
      write s, %1
    }
    %8 = read i64 total
    store z[i0], %8
)",
          [](std::int64_t x) {
              std::int64_t s = 0, total = 0;
              for (std::int64_t k = 0; k < 10; ++k) {
                  total += s;
                  if (k * x % 3 != 1) s = k;
              }
              return total;
          });
}

TEST_CASE("lanes that break keep what is read behind the loop", "[codegen][llvm][slots]") {
    // s = 0; for k in 0..50 { s = k; t = k * k; if (t > x) break; s = t; }  z = s
    check("  slot s: i64\n  slot t: i64\n", R"(    %0 = load i64 x[i0]
    write s, i64(0)
    for %1 = i64(0) to i64(50) step i64(1) {
      write s, %1
      %2 = mul i64 %1, %1
      write t, %2
      %3 = gt bool %2, %0
      if %3 {
        break
      }
      %4 = read i64 t
      write s, %4
    }
    %5 = read i64 s
    store z[i0], %5
)",
          [](std::int64_t x) {
              std::int64_t s = 0;
              for (std::int64_t k = 0; k < 50; ++k) {
                  s = k;
                  if (k * k > x) break;
                  s = k * k;
              }
              return s;
          });
}

TEST_CASE("a loop that all lanes would run alike does not run without lanes",
          "[codegen][llvm][slots]") {
    // k = 1; for i in 0..4 { if (x > -1000) break; while (k > 0) k = 2; }  z = x: would never end
    check("  slot k: i64\n", R"(    %0 = load i64 x[i0]
    write k, i64(1)
    for %1 = i64(0) to i64(4) step i64(1) {
      %2 = gt bool %0, i64(-1000)
      if %2 {
        break
      }
      while {
        %3 = read i64 k
        %4 = gt bool %3, i64(0)
      } %4 {
        write k, i64(2)
      }
    }
    store z[i0], %0
)",
          [](std::int64_t x) { return x; });
}
