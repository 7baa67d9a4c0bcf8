#include "tests/accuracy/positions.h"

#include "dsl/ir/evaluate.h"

#include <cmath>
#include <cstring>

#include <fmt/format.h>

namespace kiln::test {

std::uint64_t Elements::bits(std::size_t i) const {
    std::uint64_t result = 0;
    std::memcpy(&result, bytes.data() + i * size_of(dtype), size_of(dtype));
    return result;
}
void Elements::set_bits(std::size_t i, std::uint64_t bits) {
    std::memcpy(bytes.data() + i * size_of(dtype), &bits, size_of(dtype));
}
void Elements::add_bits(std::uint64_t bits) {
    bytes.resize(bytes.size() + size_of(dtype));
    set_bits(size() - 1, bits);
}
double Elements::value(std::size_t i) const {
    Scalar s;
    s.dtype = dtype;
    std::memcpy(s.bytes.data(), bytes.data() + i * size_of(dtype), size_of(dtype));
    return s.cast(DType::f64).get<double>();
}
bool Elements::is_nan(std::size_t i) const { return is_real(dtype) && std::isnan(value(i)); }

std::complex<double> Elements::complex(std::size_t i) const {
    Scalar s;
    s.dtype = dtype;
    std::memcpy(s.bytes.data(), bytes.data() + i * size_of(dtype), size_of(dtype));
    return s.cast(DType::c128).get<std::complex<double>>();
}
void Elements::add(std::complex<double> value) {
    const Scalar s = Scalar::of(value).cast(dtype);
    bytes.insert(bytes.end(), s.bytes.begin(),
                 s.bytes.begin() + static_cast<std::ptrdiff_t>(size_of(dtype)));
}

std::string show(const Elements& e, std::size_t i) {
    if (is_complex(e.dtype))
        return fmt::format("({:a}, {:a})", e.complex(i).real(), e.complex(i).imag());
    return fmt::format("{:#0{}x} ({:.17g})", e.bits(i), 2 + 2 * size_of(e.dtype), e.value(i));
}

namespace {

/// Whether two elements have the same bits, any NaN counting as one.
bool same(const Elements& a, const Elements& b, std::size_t i) {
    const std::size_t part = size_of(is_bool(a.dtype) ? a.dtype : real_type(a.dtype));
    const std::complex<double> x = a.complex(i), y = b.complex(i);
    for (std::size_t at = 0; at < size_of(a.dtype); at += part) {
        const bool both_nan = at == 0 ? std::isnan(x.real()) && std::isnan(y.real())
                                      : std::isnan(x.imag()) && std::isnan(y.imag());
        const std::size_t from = i * size_of(a.dtype) + at;
        if (!both_nan && std::memcmp(&a.bytes[from], &b.bytes[from], part) != 0) return false;
    }
    return true;
}

struct Shape {
    const char* name;
    std::int64_t columns;  // per row; 0: all of them in one row
    ir::Layout layout;
};

Elements run_shape(const engine::CompiledCode& program, ir::Op op, std::span<const Elements> inputs,
                   const Shape& shape) {
    const auto count = static_cast<std::int64_t>(inputs[0].size());
    const DType t = inputs[0].dtype;
    Elements results(*ir::exact_result(info(op).rule, t), inputs[0].size());
    const std::int64_t columns = shape.columns == 0 ? count : shape.columns;
    std::vector<engine::Operand> operands;
    const auto add = [&](const Elements& e, ir::Layout layout) {
        const auto size = static_cast<std::int64_t>(size_of(e.dtype));
        auto* data = const_cast<std::byte*>(e.bytes.data());
        operands.push_back({data, layout == ir::Layout::uniform ? 0 : size, size * columns});
    };
    for (const Elements& e : inputs) add(e, shape.layout);
    add(results, ir::Layout::unit);
    run_map(program, operands, columns, count / columns);
    if (count % columns != 0) {  // the last, shorter row
        const std::int64_t done = count - count % columns;
        for (engine::Operand& o : operands) o.data += o.outer * (count / columns);
        run_map(program, operands, count - done);
    }
    return results;
}

}  // namespace

Evaluated evaluate_everywhere(VectorIsa isa, ir::Op op, std::span<const Elements> inputs,
                              bool afn) {
    const std::uint8_t fast = afn ? ir::fast::afn : 0;
    // A multiple of any block's lanes, so that a single row is all body.
    std::vector<Elements> padded(inputs.begin(), inputs.end());
    for (Elements& e : padded) e.bytes.resize((e.size() + 127) / 128 * 128 * size_of(e.dtype));
    const DType t = inputs[0].dtype;
    const auto vectors = compile_for(isa, op_kernel(op, t, ir::Layout::unit, fast));
    const auto scalars = compile_for(isa, op_kernel(op, t, ir::Layout::uniform, fast));
    Evaluated result{run_shape(*vectors, op, padded, {"body", 0, ir::Layout::unit}), {}};
    result.results.bytes.resize(inputs[0].size() * size_of(result.results.dtype));

    // No block has fewer than two lanes, and none of more than one register has fewer than 4.
    static constexpr Shape shapes[] = {{"alone", 1, ir::Layout::unit},
                                       {"behind a block", 0, ir::Layout::unit},
                                       {"in rows of 3", 3, ir::Layout::unit},
                                       {"in rows of 7", 7, ir::Layout::unit},
                                       {"uniform", 1, ir::Layout::uniform}};
    for (const Shape& shape : shapes) {
        const Elements other =
            run_shape(shape.layout == ir::Layout::unit ? *vectors : *scalars, op, inputs, shape);
        for (std::size_t i = 0; i < other.size(); ++i) {
            if (same(other, result.results, i)) continue;
            std::string arguments;
            for (const Elements& e : inputs)
                arguments += (arguments.empty() ? "" : ", ") + show(e, i);
            result.disagreement = fmt::format("{}({}): body {}, {} {}", info(op).name, arguments,
                                              show(result.results, i), shape.name, show(other, i));
            return result;
        }
    }
    return result;
}

}  // namespace kiln::test
