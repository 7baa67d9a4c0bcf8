// Every exact operation on every dtype, and every cast: machine code against ir::evaluate and
// kiln::convert, as vector body, remainder and uniform value. Elementary functions: tests/accuracy.
#include "tests/catch.h"
#include "tests/codegen/cpu_map.h"

#include "dsl/ir/builder.h"
#include "dsl/ir/evaluate.h"

#include <cmath>
#include <complex>
#include <cstring>
#include <functional>
#include <sstream>

using namespace kiln;
using namespace kiln::test;
using ir::Op;

namespace {

/// Elements of one dtype.
struct Column {
    DType dtype;
    std::vector<std::byte> bytes;

    explicit Column(DType t, std::size_t count = 0) : dtype(t), bytes(count * size_of(t)) {}
    std::size_t size() const { return bytes.size() / size_of(dtype); }
    Scalar get(std::size_t i) const {
        Scalar s;
        s.dtype = dtype;
        std::memcpy(s.bytes.data(), bytes.data() + i * size_of(dtype), size_of(dtype));
        return s;
    }
    void set(std::size_t i, const Scalar& s) {
        std::memcpy(bytes.data() + i * size_of(dtype), s.bytes.data(), size_of(dtype));
    }
    void add(const Scalar& s) {
        bytes.resize(bytes.size() + size_of(dtype));
        set(size() - 1, s);
    }
};

/// Equal bits, or both NaN; part by part.
bool same(const Scalar& a, const Scalar& b) {
    const auto parts = [](const Scalar& s) {
        const auto z = s.cast(DType::c128).get<std::complex<double>>();
        return std::array<double, 2>{z.real(), z.imag()};
    };
    if (std::memcmp(a.bytes.data(), b.bytes.data(), size_of(a.dtype)) == 0) return true;
    if (!is_real(a.dtype) && !is_complex(a.dtype)) return false;
    const auto x = parts(a), y = parts(b);
    for (std::size_t i = 0; i < 2; ++i) {
        const bool equal = x[i] == y[i] && std::signbit(x[i]) == std::signbit(y[i]);
        if (!equal && !(std::isnan(x[i]) && std::isnan(y[i]))) return false;
    }
    return true;
}

std::string show(const Scalar& s) {
    std::ostringstream out;
    if (is_complex(s.dtype)) {
        out << s.get<std::complex<double>>();
        if (s.dtype == DType::c64) out.str(""), out << s.get<std::complex<float>>();
    } else if (is_real(s.dtype)) {
        out.precision(17);
        out << s.cast(DType::f64).get<double>();
    } else {
        out << (is_unsigned(s.dtype) ? std::to_string(s.cast(DType::u64).get<std::uint64_t>())
                                     : std::to_string(s.cast(DType::i64).get<std::int64_t>()));
    }
    return out.str() + " " + std::string(name(s.dtype));
}

/// Values where the operations on a dtype change their ways.
std::vector<Scalar> edges(DType t) {
    std::vector<Scalar> all;
    if (is_bool(t)) return {Scalar::of(false), Scalar::of(true)};
    if (is_integer(t)) {
        const std::uint64_t top = std::uint64_t(1) << (8 * size_of(t) - 1);
        for (const std::uint64_t x : {std::uint64_t(0),
                                      std::uint64_t(1),
                                      std::uint64_t(2),
                                      std::uint64_t(3),
                                      std::uint64_t(5),
                                      std::uint64_t(7),
                                      std::uint64_t(8),
                                      std::uint64_t(15),
                                      std::uint64_t(16),
                                      std::uint64_t(31),
                                      std::uint64_t(32),
                                      std::uint64_t(63),
                                      std::uint64_t(64),
                                      std::uint64_t(65),
                                      std::uint64_t(100),
                                      ~std::uint64_t(0),
                                      ~std::uint64_t(1),
                                      ~std::uint64_t(6),
                                      ~std::uint64_t(31),
                                      ~std::uint64_t(32),
                                      top,
                                      top - 1,
                                      top + 1,
                                      top / 2,
                                      std::uint64_t(0x5bd1e9955bd1e995),
                                      std::uint64_t(0xc2b2ae3dc2b2ae3d)})
            all.push_back(Scalar::of(x).cast(t));
        return all;
    }
    const std::vector<double> reals = {0.0,
                                       -0.0,
                                       1,
                                       -1,
                                       0.5,
                                       -0.5,
                                       1.5,
                                       -1.5,
                                       2.5,
                                       -2.5,
                                       3,
                                       -3,
                                       7,
                                       -7,
                                       0.1,
                                       1e-3,
                                       19,
                                       71,
                                       -100,
                                       127,
                                       128,
                                       -128,
                                       -129,
                                       255,
                                       256,
                                       32767,
                                       32768,
                                       65504,
                                       65536,
                                       -70000,
                                       8388609,
                                       16777217,
                                       2147483647,
                                       2147483648.0,
                                       -2147483648.0,
                                       -2147483649.0,
                                       4294967295.0,
                                       4294967296.0,
                                       4503599627370497.5,
                                       9223372036854775807.0,
                                       -9223372036854775808.0,
                                       18446744073709551615.0,
                                       1e20,
                                       -1e20,
                                       6e-8,
                                       1e-40,
                                       -1e-40,
                                       5e-324,
                                       1e300,
                                       -1e300,
                                       3.4028234663852886e38,
                                       1.7976931348623157e308,
                                       INFINITY,
                                       -INFINITY,
                                       NAN};
    if (is_real(t)) {
        for (const double x : reals) all.push_back(Scalar::of(x).cast(t));
        return all;
    }
    for (const double re :
         std::initializer_list<double>{0.0, -0.0, 1.0, -2.5, 1e20, 1e-30, HUGE_VAL, NAN, 3.0})
        for (const double im :
             std::initializer_list<double>{0.0, -0.0, -1.0, 4.0, -1e20, -HUGE_VAL, NAN})
            all.push_back(Scalar::of(std::complex<double>(re, im)).cast(t));
    return all;
}

/// All combinations of `arity` operands: every pair of 8-bit integers, else edge values.
std::vector<Column> grid(DType t, unsigned arity, bool choice) {
    std::vector<std::vector<Scalar>> values(arity, edges(t));
    if (size_of(t) == 1 && is_integer(t) && arity <= 2)
        for (auto& list : values) {
            list.clear();
            for (int x = 0; x < 256; ++x) list.push_back(Scalar::of(x).cast(t));
        }
    if (arity == 3)
        for (auto& list : values)
            while (list.size() > 14)
                list.erase(list.begin() + static_cast<std::ptrdiff_t>(list.size() / 2));
    if (choice) values[0] = edges(DType::bool_);
    std::vector<Column> columns;
    std::size_t count = 1;
    for (const auto& list : values) {
        columns.emplace_back(list[0].dtype);
        count *= list.size();
    }
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t k = 0, rest = i; k < arity; rest /= values[k].size(), ++k)
            columns[k].add(values[k][rest % values[k].size()]);
    return columns;
}

/// Compares every output in every position, for every vector unit of this machine.
void run_everywhere(const std::function<ir::Kernel(ir::Layout)>& make, std::span<const Column> in,
                    std::span<const std::string> names, std::span<const Column> expected) {
    struct Position {
        const char* name;
        std::size_t columns;  // per row; 0: all
        ir::Layout layout;
    };
    static constexpr Position positions[] = {{"one row", 0, ir::Layout::unit},
                                             {"rows of 3", 3, ir::Layout::unit},
                                             {"uniform", 1, ir::Layout::uniform}};
    const std::size_t count = in[0].size();
    for (const VectorIsa isa : host_isas()) {
        const auto vectors = compile_for(isa, make(ir::Layout::unit));
        const auto scalars = compile_for(isa, make(ir::Layout::uniform));
        for (const Position& at : positions) {
            const std::size_t columns = at.columns == 0 ? count : at.columns;
            std::vector<Column> out;
            std::vector<engine::Operand> operands;
            for (const Column& e : expected) out.emplace_back(e.dtype, count);
            const auto operand = [&](const Column& c, bool uniform) {
                const auto size = static_cast<std::int64_t>(size_of(c.dtype));
                operands.push_back({const_cast<std::byte*>(c.bytes.data()), uniform ? 0 : size,
                                    size * static_cast<std::int64_t>(columns)});
            };
            for (const Column& c : in) operand(c, at.layout == ir::Layout::uniform);
            for (const Column& c : out) operand(c, false);
            const auto& program = at.layout == ir::Layout::uniform ? *scalars : *vectors;
            const std::size_t rows = count / columns;
            run_map(program, operands, static_cast<std::int64_t>(columns),
                    static_cast<std::int64_t>(rows));
            for (std::size_t o = 0; o < out.size(); ++o) {
                std::size_t wrong = 0;
                std::string first;
                for (std::size_t i = 0; i < rows * columns; ++i) {
                    const Scalar want = expected[o].get(i), got = out[o].get(i);
                    if (same(want, got) || wrong++ != 0) continue;
                    for (const Column& c : in) first += show(c.get(i)) + ", ";
                    first += "gives " + show(got) + ", not " + show(want);
                }
                INFO(names[o] << " as " << at.name << ", " << name(isa) << ": " << first);
                CHECK(wrong == 0);
            }
        }
    }
}

/// The operation has one right answer bit for bit on this dtype.
bool exact(Op op, DType t) {
    if (ir::is_elementary(op)) return op == Op::pow && is_integer(t);
    return !is_complex(t) || (op != Op::sqrt && op != Op::abs);
}

std::vector<Op> operations(DType t, unsigned arity, bool choice) {
    std::vector<Op> all;
    for (std::size_t i = 0; i < ir::op_count; ++i) {
        const auto op = static_cast<Op>(i);
        if (info(op).arity == arity && (info(op).rule == ir::Rule::choice) == choice &&
            exact(op, t) && ir::exact_result(info(op).rule, t))
            all.push_back(op);
    }
    return all;
}

ir::Kernel operations_kernel(std::span<const Op> ops, std::span<const Column> in, DType t,
                             ir::Layout layout) {
    ir::Builder b("operations");
    std::vector<std::uint32_t> params;
    for (std::size_t i = 0; i < in.size(); ++i)
        params.push_back(
            b.add_param({"x" + std::to_string(i), in[i].dtype, 1, ir::Access::in, layout, false}));
    for (const Op op : ops)
        b.add_param({std::string(info(op).name), *ir::exact_result(info(op).rule, t), 1,
                     ir::Access::out, ir::Layout::unit, false});
    const ir::Id extent = b.extent(static_cast<std::uint32_t>(in.size()), 0);
    b.begin_stage(std::span(&extent, 1), true);
    std::vector<ir::Id> operands;
    for (const std::uint32_t p : params) operands.push_back(b.load(p, {b.index(0)}));
    for (std::size_t k = 0; k < ops.size(); ++k)
        b.store(static_cast<std::uint32_t>(in.size() + k), {b.index(0)},
                b.op(ops[k], *ir::exact_result(info(ops[k]).rule, t), operands, 0));
    b.end();
    return b.finish();
}

void try_operations(DType t, unsigned arity, bool choice) {
    const std::vector<Op> ops = operations(t, arity, choice);
    if (ops.empty()) return;
    const std::vector<Column> in = grid(t, arity, choice);
    std::vector<std::string> names;
    std::vector<Column> expected;
    for (const Op op : ops) {
        names.emplace_back(info(op).name);
        expected.emplace_back(*ir::exact_result(info(op).rule, t), in[0].size());
        for (std::size_t i = 0; i < in[0].size(); ++i) {
            std::vector<Scalar> operands;
            for (const Column& c : in) operands.push_back(c.get(i));
            expected.back().set(i, ir::evaluate(op, expected.back().dtype, operands).value());
        }
    }
    run_everywhere([&](ir::Layout layout) { return operations_kernel(ops, in, t, layout); }, in,
                   names, expected);
}

}  // namespace

TEST_CASE("exact operations on every dtype", "[codegen][llvm]") {
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto t = static_cast<DType>(i);
        INFO(name(t));
        for (const unsigned arity : {1U, 2U, 3U}) try_operations(t, arity, false);
        try_operations(t, 3, true);
    }
}

TEST_CASE("casts between all dtypes", "[codegen][llvm]") {
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto from = static_cast<DType>(i);
        Column values(from);
        for (const Scalar& s : edges(from)) values.add(s);
        if (size_of(from) <= 2 && !is_bool(from))  // all values
            for (std::size_t bits = 0; bits < (std::size_t(1) << (8 * size_of(from))); ++bits) {
                Scalar s;
                s.dtype = from;
                std::memcpy(s.bytes.data(), &bits, size_of(from));
                values.add(s);
            }
        std::vector<std::string> names;
        std::vector<Column> expected;
        for (std::size_t k = 0; k < dtype_count; ++k) {
            const auto to = static_cast<DType>(k);
            names.push_back(std::string(name(from)) + " to " + std::string(name(to)));
            expected.emplace_back(to, values.size());
            for (std::size_t v = 0; v < values.size(); ++v)
                expected.back().set(v, values.get(v).cast(to));
        }
        const auto make = [&](ir::Layout layout) {
            ir::Builder b("casts");
            b.add_param({"x", from, 1, ir::Access::in, layout, false});
            for (std::size_t k = 0; k < dtype_count; ++k)
                b.add_param({"to" + std::to_string(k), static_cast<DType>(k), 1, ir::Access::out,
                             ir::Layout::unit, false});
            const ir::Id extent = b.extent(1, 0);
            b.begin_stage(std::span(&extent, 1), true);
            const ir::Id x = b.load(0, {b.index(0)});
            for (std::uint32_t k = 0; k < dtype_count; ++k)
                b.store(k + 1, {b.index(0)}, b.convert(x, static_cast<DType>(k)));
            b.end();
            return b.finish();
        };
        run_everywhere(make, std::span(&values, 1), names, expected);
    }
}
