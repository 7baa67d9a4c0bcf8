// Element-wise machine code around the operations: memory, blocks and remainders, faults, control
// flow, fast flags, and the form of the LLVM IR.
#include "tests/catch.h"
#include "tests/codegen/cpu_map.h"
#include "tests/codegen/kernels.h"
#include "tests/regex.h"

#include <cmath>
#include <complex>
#include <cstring>
#include <fstream>
#include <sstream>

using namespace kiln;
using namespace kiln::test;

namespace {

constexpr std::byte untouched{0xa5};

/// Elements at any byte offset and stride, in memory whose other bytes must stay as they are.
template <class T> class Strided {
  public:
    Strided(std::int64_t count, std::int64_t stride, std::size_t offset)
        : stride_(stride), count_(count) {
        const auto span =
            static_cast<std::size_t>(std::abs(stride) * std::max<std::int64_t>(count, 1));
        memory_.assign(span + sizeof(T) + 256, untouched);
        start_ = 128 + offset;
        if (stride < 0) start_ += static_cast<std::size_t>(-stride * (count - 1));
        while ((reinterpret_cast<std::uintptr_t>(memory_.data()) + start_ - offset) % 64 != 0)
            ++start_;
    }
    T get(std::int64_t i) const {
        T value;
        std::memcpy(&value, at(i), sizeof value);
        return value;
    }
    void set(std::int64_t i, T value) { std::memcpy(at(i), &value, sizeof value); }
    engine::Operand operand(std::int64_t outer = 0) { return {at(0), stride_, outer}; }
    /// True if nothing but the elements was written.
    bool intact() const {
        std::vector<bool> element(memory_.size(), false);
        for (std::int64_t i = 0; i < count_; ++i)
            for (std::size_t b = 0; b < sizeof(T); ++b)
                element[static_cast<std::size_t>(at(i) - memory_.data()) + b] = true;
        for (std::size_t b = 0; b < memory_.size(); ++b)
            if (!element[b] && memory_[b] != untouched) return false;
        return true;
    }

  private:
    const std::byte* at(std::int64_t i) const {
        return memory_.data() + static_cast<std::ptrdiff_t>(start_) + i * stride_;
    }
    std::byte* at(std::int64_t i) { return const_cast<std::byte*>(std::as_const(*this).at(i)); }

    std::vector<std::byte> memory_;
    std::size_t start_ = 0;
    std::int64_t stride_, count_;
};

std::string params_text(const char* type, const char* in, const char* out) {
    const std::string t = type;
    return "x: in " + t + "[1]" + in + ", y: in " + t + "[1]" + in + ", z: out " + t + "[1]" + out;
}

/// z = x + y over every length to 70 and some more, for one layout.
template <class T>
void try_lengths(const char* type, std::int64_t in_stride, std::int64_t out_stride,
                 std::size_t offset, bool streaming) {
    const auto size = static_cast<std::int64_t>(sizeof(T));
    const auto layout = [&](std::int64_t stride) { return stride == 1 ? " unit" : ""; };
    const ir::Kernel k = test::kernel(
        "kernel k(" + params_text(type, layout(in_stride), layout(out_stride)) +
        ") {\n  stage [extent(z, 0)] {\n    %0 = load " + type + " x[i0]\n    %1 = load " + type +
        " y[i0]\n    %2 = add " + type + " %0, %1\n    store z[i0], %2\n  }\n}\n");
    for (const VectorIsa isa : host_isas()) {
        engine::CompileOptions options;
        options.streaming = streaming;
        const auto program = compile_for(isa, k, options);
        for (std::int64_t n = 0; n <= 260; n += n < 70 ? 1 : 13) {
            Strided<T> x(n, in_stride * size, offset), y(n, in_stride * size, 0),
                z(n, out_stride * size, offset);
            for (std::int64_t i = 0; i < n; ++i) {
                x.set(i, kiln::convert<T>(i + 1));
                y.set(i, kiln::convert<T>(2 * i));
            }
            run_map(*program, std::vector{x.operand(), y.operand(), z.operand()}, n);
            std::int64_t wrong = 0;
            for (std::int64_t i = 0; i < n; ++i)  // with stride 0 all read what was written last
                wrong += z.get(i) != kiln::convert<T>(3 * (in_stride == 0 ? n - 1 : i) + 1);
            INFO(type << ", " << name(isa) << ", n = " << n << ", strides " << in_stride << " and "
                      << out_stride << ", offset " << offset << (streaming ? ", streaming" : ""));
            REQUIRE(wrong == 0);
            REQUIRE(z.intact());
        }
    }
}

/// Runs a kernel `params`, `body` on arrays of f64 or i64 and gives the last one.
template <class T>
std::vector<T> run_text(VectorIsa isa, const std::string& text,
                        std::vector<std::vector<T>> arrays) {
    const auto program = compile_for(isa, test::kernel(text));
    std::vector<engine::Operand> operands;
    for (std::vector<T>& a : arrays)
        operands.push_back(operand_of(a, a.size() == 1 ? 0 : sizeof(T)));
    run_map(*program, operands, static_cast<std::int64_t>(arrays.back().size()));
    return arrays.back();
}

std::string golden(const std::string& file) {
    std::ifstream in(KILN_TESTS_DIR "/golden/llvm/" + file);
    REQUIRE(in.is_open());
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// Without what differs from machine to machine or call to call: triple, data layout, the number in
/// the symbol, attributes.
std::string normalised(std::string text) {
    text = replaced(text, "target (datalayout|triple) = .*\n", "");
    text = replaced(text, "source_filename = .*\n", "");
    text = replaced(text, "; ModuleID = .*\n\n?", "");
    text = replaced(text, " #[0-9]+", "");
    text = replaced(text, "\nattributes = [^\n]*", "");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text + "\n";
}

}  // namespace

TEST_CASE("layouts, alignments and lengths", "[codegen][llvm][memory]") {
    for (const std::size_t offset : {std::size_t(0), std::size_t(1)}) {
        for (const std::int64_t in : {1, 2, -1, -3, 0})
            try_lengths<float>("f32", in, 1, offset, false);
        for (const std::int64_t out : {2, -1}) try_lengths<float>("f32", 1, out, offset, false);
        try_lengths<double>("f64", 1, 1, offset, false);
        try_lengths<double>("f64", -2, 3, offset, false);
        try_lengths<std::int8_t>("i8", 1, 1, offset, false);
        try_lengths<std::int16_t>("i16", -1, 2, offset, false);
        try_lengths<std::uint64_t>("u64", 4, 1, offset, false);
        try_lengths<std::complex<float>>("c64", 1, 1, offset, false);
        try_lengths<std::complex<double>>("c128", -1, 2, offset, false);
    }
}

TEST_CASE("streaming stores at any alignment of the output", "[codegen][llvm][memory]") {
    for (const std::size_t offset : {0, 4, 20, 60, 1, 33})
        try_lengths<float>("f32", 1, 1, offset, true);
    for (const std::size_t offset : {0, 8, 56, 4, 3})
        try_lengths<double>("f64", 1, 1, offset, true);
    try_lengths<std::int8_t>("i8", 1, 1, 5, true);
    try_lengths<std::complex<double>>("c128", 1, 1, 16, true);
    try_lengths<float>("f32", 1, 2, 4, true);
}

TEST_CASE("rows", "[codegen][llvm][memory]") {
    const ir::Kernel k =
        test::kernel(test::map_text("x: in f64[1] unit, c: in f64[1] uniform, z: out f64[1] unit",
                                    "    %0 = load f64 x[i0]\n    %1 = load f64 c[i0]\n    %2 = "
                                    "mul f64 %0, %1\n    store z[i0], %2\n"));
    for (const VectorIsa isa : host_isas()) {
        for (const bool streaming : {false, true}) {
            engine::CompileOptions options;
            options.streaming = streaming;
            const auto program = compile_for(isa, k, options);
            for (const std::int64_t columns : {0, 1, 3, 8, 33, 100}) {
                const std::int64_t rows = 5, pitch = 101;  // rows start at different alignments
                std::vector<double> x(5 * 101), c(5), z(5 * 101, -1.0);
                for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
                for (std::size_t r = 0; r < 5; ++r) c[r] = static_cast<double>(r) + 0.5;
                std::vector<engine::Operand> operands{operand_of(x), operand_of(c, 0),
                                                      operand_of(z)};
                operands[0].outer = operands[2].outer = pitch * 8;
                operands[1].outer = 8;
                run_map(*program, operands, columns, rows);
                std::size_t wrong = 0;
                for (std::int64_t r = 0; r < rows; ++r)
                    for (std::int64_t i = 0; i < pitch; ++i) {
                        const auto at = static_cast<std::size_t>(r * pitch + i);
                        wrong +=
                            z[at] != (i < columns ? x[at] * (static_cast<double>(r) + 0.5) : -1.0);
                    }
                INFO(name(isa) << ", " << columns << " columns, streaming " << streaming);
                CHECK(wrong == 0);
            }
        }
    }
}

TEST_CASE("the lowest fault is recorded, and every other element is computed",
          "[codegen][llvm][check]") {
    ir::Builder b("quotient");
    for (const char* param : {"x", "y"})
        b.add_param({param, DType::i32, 1, ir::Access::in, ir::Layout::unit, false});
    const std::uint32_t z =
        b.add_param({"z", DType::i32, 1, ir::Access::out, ir::Layout::unit, false});
    const ir::Id extent = b.extent(z, 0);
    b.begin_stage(std::span(&extent, 1), true);
    b.set_location({"quotient.cpp", 17});
    b.store(z, {b.index(0)},
            b.apply(ir::Op::div, {b.load(0, {b.index(0)}), b.load(1, {b.index(0)})}));
    b.end();
    const ir::Kernel k = test::all_passes(b.finish(), true);
    for (const VectorIsa isa : host_isas()) {
        const auto program = cpu_backend(isa).compile(k, {});
        const std::int64_t rows = 3, columns = 100;
        // Sets of failing elements: (row, column), in any order; the first is the lowest.
        const std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> cases = {
            {},
            {{0, 0}},
            {{2, 99}},
            {{0, 70}, {0, 71}, {0, 99}, {1, 3}},
            {{1, 5}, {1, 6}, {2, 0}},
            {{1, 97}, {1, 98}, {2, 1}}};
        for (const auto& failing : cases) {
            std::vector<std::int32_t> x(300), y(300, 3), out(300, -1);
            for (std::size_t i = 0; i < 300; ++i) x[i] = static_cast<std::int32_t>(7 * i) - 1000;
            for (const auto& [r, c] : failing) y[static_cast<std::size_t>(r * columns + c)] = 0;
            std::vector<engine::Operand> operands{operand_of(x), operand_of(y), operand_of(out)};
            for (engine::Operand& o : operands) o.outer = columns * 4;
            const engine::Fault fault = run_map(*program, operands, columns, rows);
            INFO(name(isa));
            if (failing.empty()) {
                CHECK(fault.code == -1);
            } else {
                CHECK((fault.code & 255) == static_cast<std::int64_t>(ir::Check::division_by_zero));
                CHECK(k.location(static_cast<std::uint32_t>(fault.code >> 8)).line == 17);
                CHECK(fault.row == failing[0].first);
                CHECK(fault.column == failing[0].second);
            }
            std::size_t wrong = 0;
            for (std::size_t i = 0; i < 300; ++i) wrong += out[i] != (y[i] == 0 ? 0 : x[i] / y[i]);
            CHECK(wrong == 0);
        }
    }
}

TEST_CASE("loops: steps to 1 of Collatz's sequence, with an early return",
          "[codegen][llvm][control]") {
    const std::string text = R"(kernel collatz(x: in i64[1] unit, z: out i64[1] unit) {
  slot v: i64
  slot steps: i64
  stage [extent(z, 0)] {
    store z[i0], i64(-1)
    %0 = load i64 x[i0]
    %1 = le bool %0, i64(0)
    if %1 {
      return
    }
    write v, %0
    write steps, i64(0)
    while {
      %2 = read i64 v
      %3 = ne bool %2, i64(1)
    } %3 {
      %4 = read i64 v
      %5 = rem i64 %4, i64(2)
      %6 = eq bool %5, i64(0)
      if %6 {
        %7 = div i64 %4, i64(2)
        write v, %7
      } else {
        %8 = mul i64 %4, i64(3)
        %9 = add i64 %8, i64(1)
        write v, %9
      }
      %10 = read i64 steps
      %11 = add i64 %10, i64(1)
      write steps, %11
    }
    %12 = read i64 steps
    store z[i0], %12
  }
}
)";
    std::vector<std::int64_t> x, expected;
    for (std::int64_t i = -3; i < 150; ++i) {
        x.push_back(i);
        std::int64_t steps = 0;
        for (std::int64_t v = i; v > 1; v = v % 2 == 0 ? v / 2 : 3 * v + 1) ++steps;
        expected.push_back(i <= 0 ? -1 : steps);
    }
    for (const VectorIsa isa : host_isas()) {
        INFO(name(isa));
        CHECK(run_text<std::int64_t>(isa, text, {x, std::vector<std::int64_t>(x.size())}) ==
              expected);
    }
}

TEST_CASE("loops: nested, uniform and varying bounds, break, continue and return",
          "[codegen][llvm][control]") {
    // for k in 0..x: { if k == 3: continue; for m in k..-1 step -2: { if m * k > y: break;
    //   total += m; if total > 200: { z = -total; return } } total += 100 * k; }  z = total
    const auto text = [](const char* y_layout) {
        return std::string(R"(kernel nested(x: in i64[1] unit, y: in i64[1] )") + y_layout +
               R"(, z: out i64[1] unit) {
  slot total: i64
  stage [extent(z, 0)] {
    %0 = load i64 x[i0]
    %1 = load i64 y[i0]
    write total, i64(0)
    for %2 = i64(0) to %0 step i64(1) {
      %3 = eq bool %2, i64(3)
      if %3 {
        continue
      }
      for %4 = %2 to i64(-1) step i64(-2) {
        %5 = mul i64 %4, %2
        %6 = gt bool %5, %1
        if %6 {
          break
        }
        %7 = read i64 total
        %8 = add i64 %7, %4
        write total, %8
        %9 = gt bool %8, i64(200)
        if %9 {
          %10 = neg i64 %8
          store z[i0], %10
          return
        }
      }
      %11 = read i64 total
      %12 = mul i64 %2, i64(100)
      %13 = add i64 %11, %12
      write total, %13
    }
    %14 = read i64 total
    store z[i0], %14
  }
}
)";
    };
    const auto plain = [](std::int64_t x, std::int64_t y) {
        std::int64_t total = 0;
        for (std::int64_t k = 0; k < x; ++k) {
            if (k == 3) continue;
            for (std::int64_t m = k; m > -1; m -= 2) {
                if (m * k > y) break;
                total += m;
                if (total > 200) return -total;
            }
            total += 100 * k;
        }
        return total;
    };
    std::vector<std::int64_t> x, y, varying, uniform;
    for (std::int64_t i = 0; i < 120; ++i) {
        x.push_back(i % 7 - 1);
        y.push_back(i % 13);
        varying.push_back(plain(x.back(), y.back()));
        uniform.push_back(plain(x.back(), 8));
    }
    const std::vector<std::int64_t> out(x.size());
    for (const VectorIsa isa : host_isas()) {
        INFO(name(isa));
        CHECK(run_text<std::int64_t>(isa, text("unit"), {x, y, out}) == varying);
        CHECK(run_text<std::int64_t>(isa, text("uniform"), {x, {8}, out}) == uniform);
    }
}

TEST_CASE("branches: uniform and varying conditions, also around elementary functions",
          "[codegen][llvm][control]") {
    const auto text = [](const char* layout) {
        return std::string("kernel choose(c: in f64[1] ") + layout +
               R"(, x: in f64[1] unit, z: out f64[1] unit) {
  slot v: f64
  stage [extent(z, 0)] {
    %0 = load f64 c[i0]
    %1 = load f64 x[i0]
    %2 = gt bool %0, f64(0)
    write v, %1
    if %2 {
      %3 = cbrt f64 %1
      write v, %3
    } else {
      %4 = lt bool %1, f64(10)
      if %4 {
        write v, f64(-1)
      }
    }
    %5 = read f64 v
    store z[i0], %5
  }
}
)";
    };
    std::vector<double> c, x, out(77);
    for (int i = 0; i < 77; ++i) {
        c.push_back(i % 3 - 1.0);
        x.push_back(static_cast<double>(i) * i * i);  // cubes: cbrt is exact
    }
    const auto plain = [&](std::size_t i, double condition) {
        return condition > 0 ? static_cast<double>(i) : x[i] < 10 ? -1.0 : x[i];
    };
    for (const VectorIsa isa : host_isas()) {
        INFO(name(isa));
        std::vector<double> expected(77);
        for (std::size_t i = 0; i < 77; ++i) expected[i] = plain(i, c[i]);
        CHECK(run_text<double>(isa, text("unit"), {c, x, out}) == expected);
        for (const double uniform : {1.0, 0.0}) {
            for (std::size_t i = 0; i < 77; ++i) expected[i] = plain(i, uniform);
            CHECK(run_text<double>(isa, text("uniform"), {{uniform}, x, out}) == expected);
        }
    }
}

TEST_CASE("isnan and its kin stay exact under every fast flag", "[codegen][llvm][fast]") {
    // Of a load, of a fast operation's result, and through a slot.
    const std::string text = R"(kernel f(x: in f64[1] unit, y: in f64[1] unit, z: out i64[1] unit) {
  slot s: f64
  stage [extent(z, 0)] {
    %0 = load f64 x[i0]
    %1 = load f64 y[i0]
    %2 = mul f64 %0, %1 fast(nnan,ninf,nsz,arcp,contract,afn,reassoc)
    %3 = isnan bool %2 fast(nnan,ninf,nsz,arcp,contract,afn,reassoc)
    %4 = isfinite bool %0 fast(nnan,ninf,nsz,arcp,contract,afn,reassoc)
    %5 = ne bool %2, %2 fast(nnan,ninf,nsz,arcp,contract,afn,reassoc)
    write s, %2
    %6 = read f64 s
    %7 = isinf bool %6 fast(nnan,ninf,nsz,arcp,contract,afn,reassoc)
    %8 = cast i64 %3
    %9 = cast i64 %4
    %10 = cast i64 %5
    %11 = cast i64 %7
    %12 = mul i64 %9, i64(2)
    %13 = mul i64 %10, i64(4)
    %14 = mul i64 %11, i64(8)
    %15 = add i64 %8, %12
    %16 = add i64 %15, %13
    %17 = add i64 %16, %14
    store z[i0], %17
  }
}
)";
    std::vector<double> x, y;
    std::vector<std::int64_t> expected, out;
    for (const double a : std::initializer_list<double>{0, 1, -2, NAN, INFINITY, 1e300})
        for (const double c : std::initializer_list<double>{0, 1, NAN, -INFINITY, 1e300}) {
            x.push_back(a);
            y.push_back(c);
            const bool nan = std::isnan(a * c), infinite = std::isinf(a * c);
            expected.push_back(nan * 5 + std::isfinite(a) * 2 + infinite * 8);
        }
    out.resize(x.size());
    for (const VectorIsa isa : host_isas()) {
        const auto program = compile_for(isa, test::kernel(text));
        run_map(*program, std::vector{operand_of(x), operand_of(y), operand_of(out)},
                static_cast<std::int64_t>(x.size()));
        INFO(name(isa));
        CHECK(out == expected);
    }
}

TEST_CASE("fast flags stay where they were asked for", "[codegen][llvm][fast]") {
    // (x - y) + y at (0.5, inf): NaN unless both operations may be reassociated.
    const auto kernel_with = [](const std::string& flags) {
        return test::kernel(test::map_text(
            "x: in f64[1], y: in f64[1], z: out f64[1], w: out f64[1]",
            "    %0 = load f64 x[i0]\n    %1 = load f64 y[i0]\n    %2 = sub f64 %0, %1" + flags +
                "\n    %3 = add f64 %2, %1" + flags +
                "\n    store z[i0], %3\n    %4 = mul f64 %0, %1\n" +
                "    %5 = add f64 %4, %0\n    store w[i0], %5\n"));
    };
    for (const VectorIsa isa : host_isas()) {
        const auto result = [&](const std::string& flags) {
            const auto program = compile_for(isa, kernel_with(flags));
            std::vector<double> x{0.5}, y{INFINITY}, z(1), w(1);
            run_map(*program,
                    std::vector{operand_of(x), operand_of(y), operand_of(z), operand_of(w)}, 1);
            return z[0];
        };
        INFO(name(isa));
        CHECK(std::isnan(result("")));
        CHECK(result(" fast(nsz,reassoc)") == 0.5);
        CHECK(std::isnan(result(" fast(reassoc)")));
        const std::string strict = compile_for(isa, kernel_with(""))->text(Artifact::llvm);
        for (const char* flag :
             {"fast", "nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"})
            CHECK(strict.find(std::string(" ") + flag + " ") == std::string::npos);
        const std::string mixed =
            compile_for(isa, kernel_with(" fast(nnan,ninf,nsz,arcp,contract,afn,reassoc)"))
                ->text(Artifact::llvm);
        CHECK(mixed.find("fsub fast") != std::string::npos);
        CHECK(mixed.find("fmul <") != std::string::npos);  // the strict product keeps no flag
        CHECK(mixed.find("fmul fast") == std::string::npos);
    }
}

TEST_CASE("a strict product and sum are not contracted", "[codegen][llvm][fast]") {
    // x * x - c rounds twice: 0 where an fma leaves the product's rounding error.
    const double x = 1 + 0x1p-30, c = x * x;
    REQUIRE(std::fma(x, x, -c) != 0);
    const std::string text =
        test::map_text("x: in f64[1] unit, c: in f64[1] unit, z: out f64[1] unit",
                       "    %0 = load f64 x[i0]\n    %1 = load f64 c[i0]\n"
                       "    %2 = mul f64 %0, %0\n    %3 = sub f64 %2, %1\n    store z[i0], %3\n");
    for (const VectorIsa isa : host_isas())
        CHECK(run_text<double>(isa, text,
                               {std::vector(40, x), std::vector(40, c), std::vector(40, 1.0)}) ==
              std::vector(40, 0.0));
}

TEST_CASE("kernels that are neither element-wise nor reductions are refused", "[codegen][llvm]") {
    const auto refused = [](const std::string& text) -> std::string {
        try {
            compile_for(VectorIsa::sse2, test::kernel(text));
        } catch (const Error& e) {
            CHECK(e.kind() == ErrorKind::unsupported);
            return e.what();
        }
        return "accepted";
    };
    const std::string hint = " (this backend compiles element-wise kernels and their reductions)";
    CHECK(refused("kernel k(x: in f64[1], z: out f64[1]) {\n"
                  "  stage [extent(z, 0)] {\n"
                  "    %0 = add i64 i0, i64(1)\n"
                  "    %1 = load f64 x[%0]  ; shift.cpp:4\n"
                  "    store z[i0], %1\n"
                  "  }\n"
                  "}\n") ==
          "shift.cpp:4: error: an element-wise kernel accesses arrays at its own index only" +
              hint);
    CHECK(refused("kernel k(n: value i64, z: out i64[1]) {\n"
                  "  stage [extent(z, 0)] {\n"
                  "    store z[i0], n\n"
                  "  }\n"
                  "}\n") == "error: parameter 'n' is not a rank-1 array" + hint);
    const std::string total =
        "kernel k(x: in f64[1], z: out f64[1]) reduce {\n"
        "  slot s: f64\n"
        "  stage [] {\n    write s, f64(0)\n  }\n"
        "  stage [extent(x, 0)] sum -> s {\n"
        "    %0 = load f64 x[i0]\n    contribute 0, %0\n  }\n";
    CHECK(refused(total + "}\n") ==
          "error: this kernel is neither element-wise nor a reduction of one" + hint);
    CHECK(refused(total + "  stage [] {\n    %1 = read f64 s\n    store z[i64(0)], %1\n  }\n}\n") ==
          "error: output 'z' of a reduction is not of rank 0" + hint);
}

TEST_CASE("the LLVM IR of saxpy", "[codegen][llvm][golden]") {
    if (host_isas().size() < 2) {
        WARN("skipped: this CPU has no AVX2");
        return;
    }
    // What to see in it: the uniform operand is loaded once a row, the body takes 32 columns (four
    // registers), what is left 8 columns at a time and the rest once under a mask; product and sum
    // stay two operations; what only a second row needs is read behind the first.
    const ir::Kernel k = test::kernel(test::map_text(
        "a: in f32[1] uniform, x: in f32[1] unit, y: in f32[1] unit, z: out f32[1] unit",
        "    %0 = load f32 a[i0]\n    %1 = load f32 x[i0]\n    %2 = load f32 y[i0]\n"
        "    %3 = mul f32 %0, %1\n    %4 = add f32 %3, %2\n    store z[i0], %4\n"));
    CHECK(normalised(compile_for(VectorIsa::avx2, k)->text(Artifact::llvm)) == golden("saxpy.ll"));
}
