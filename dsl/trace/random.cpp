// Philox4x32-10 as operations of the IR, and the distributions made from its words.
#include "dsl/ir/evaluate.h"
#include "dsl/trace/trace.h"

#include <kiln/random.h>

#include <fmt/format.h>

#include <numbers>

namespace kiln::random {
namespace {

using dsl::Trace;
using ir::Builder;
using ir::Id;
using ir::Op;
using Words = std::array<Id, 4>;

constexpr int rounds = 10;
constexpr std::uint64_t multiplier_0 = 0xD2511F53, multiplier_1 = 0xCD9E8D57;
constexpr std::uint32_t weyl_0 = 0x9E3779B9, weyl_1 = 0xBB67AE85;
constexpr std::uint64_t low_half = 0xffffffff;

template <class T> Id constant(Builder& b, T value) { return b.constant(Scalar::of(value)); }
Id lower(Builder& b, Id x) { return b.apply(Op::bit_and, {x, constant(b, low_half)}); }
Id upper(Builder& b, Id x) { return b.apply(Op::shr, {x, constant(b, std::uint64_t(32))}); }

/// An integer argument as u64: negative ones wrap.
Id integer(Trace& trace, const Operand& operand, std::string_view what) {
    Builder& b = trace.builder();
    const Id id = trace.use(operand);
    if (!is_integer(b.dtype(id)) && !is_bool(b.dtype(id))) {
        throw Error(ErrorKind::type,
                    fmt::format("the {} of random numbers is of dtype {}, not an integer", what,
                                name(b.dtype(id))),
                    operand.where(), "convert with cast<std::int64_t>(...)");
    }
    return b.cast(id, DType::u64);
}

/// Words as u64. In 64-bit lanes a product of two of them is one instruction (vpmuludq), needs no
/// shuffle before or after, and takes the lower halves of its operands by itself: so that upper
/// halves hold anything between the rounds.
Words philox(Builder& b, Words c, std::array<Id, 2> key) {
    const Id m0 = constant(b, multiplier_0), m1 = constant(b, multiplier_1);
    std::array<Id, 2> k{b.cast(key[0], DType::u32), b.cast(key[1], DType::u32)};
    const auto mix = [&](Id x, Id y, Id z) {
        return b.apply(Op::bit_xor, {b.apply(Op::bit_xor, {x, y}), b.cast(z, DType::u64)});
    };
    for (int round = 0; round < rounds; ++round) {
        const Id p0 = b.apply(Op::mul, {lower(b, c[0]), m0}),
                 p1 = b.apply(Op::mul, {lower(b, c[2]), m1});
        c = {mix(upper(b, p1), c[1], k[0]), p1, mix(upper(b, p0), c[3], k[1]), p0};
        k = {b.apply(Op::add, {k[0], constant(b, weyl_0)}),
             b.apply(Op::add, {k[1], constant(b, weyl_1)})};
    }
    for (Id& word : c) word = lower(b, word);
    return c;
}

/// Where in the sequence of all random words a call stands.
struct Position {
    Trace& trace;
    Builder& b;
    Id seed, stream, index;

    Position(const Operand& first, const Operand& s, const Operand& t, const Operand& i)
        : trace(dsl::trace_at(first)),
          b(trace.builder()),
          seed(integer(trace, s, "seed")),
          stream(integer(trace, t, "stream")),
          index(integer(trace, i, "index")) {}

    Words draw(Id number) const {
        return philox(b, {lower(b, index), upper(b, index), lower(b, stream), number},
                      {lower(b, seed), upper(b, seed)});
    }
    Words draw() const { return draw(constant(b, std::uint64_t(0))); }
};

/// The bits of a word above `dropped`, at most 31 of them, as a real number. Through i32, which
/// every vector unit converts.
Id to_real(Builder& b, Id word, int dropped, DType dtype) {
    const Id bits = b.apply(
        Op::shr, {b.cast(word, DType::u32), constant(b, static_cast<std::uint32_t>(dropped))});
    return b.cast(b.cast(bits, DType::i32), dtype);
}

Id scaled(Builder& b, Id x, double factor) {
    return b.apply(Op::mul, {x, b.constant(Scalar::of(factor).cast(b.dtype(x)))});
}
Id plus(Builder& b, Id x, double more) {
    return b.apply(Op::add, {x, b.constant(Scalar::of(more).cast(b.dtype(x)))});
}

Id uniform_f32(Builder& b, Id word) { return scaled(b, to_real(b, word, 8, DType::f32), 0x1p-24); }
/// 27 bits of one word over 26 of another, as an integer: all steps are exact. The words are in
/// 64-bit lanes, and stay there.
Id uniform_f64(Builder& b, Id high, Id low) {
    const auto word = [&](std::uint64_t x) { return constant(b, x); };
    const Id upper_bits =
        b.apply(Op::shl, {b.apply(Op::bit_and, {high, word(0xffffffe0)}), word(21)});
    const Id bits = b.apply(Op::bit_or, {upper_bits, b.apply(Op::shr, {low, word(6)})});
    return scaled(b, b.cast(bits, DType::f64), 0x1p-53);
}

/// u in (0, 1] and v in [0, 1) to the two normal numbers of Box and Muller; the second only if
/// asked for.
std::array<Id, 2> box_muller(Builder& b, Id u, Id v, bool both) {
    const Id radius = b.apply(Op::sqrt, {scaled(b, b.apply(Op::log, {u}), -2.0)});
    const Id angle = scaled(b, v, 2 * std::numbers::pi);
    const Id first = b.apply(Op::mul, {radius, b.apply(Op::cos, {angle})});
    return {first, both ? b.apply(Op::mul, {radius, b.apply(Op::sin, {angle})}) : first};
}
std::array<Id, 2> normal_f32(Builder& b, Id first, Id second, bool both) {
    const Id u = scaled(b, b.cast(b.cast(first, DType::u32), DType::f32), 0x1p-32);
    return box_muller(b, plus(b, u, 0x1p-33), uniform_f32(b, second), both);
}
std::array<Id, 2> normal_f64(Builder& b, const Words& w, bool both) {
    const Id u = plus(b, uniform_f64(b, w[0], w[1]), 0x1p-54);
    return box_muller(b, u, uniform_f64(b, w[2], w[3]), both);
}

void check_real(DType dtype, std::string_view function, const Operand& at) {
    if (dtype == DType::f32 || dtype == DType::f64) return;
    throw Error(ErrorKind::type,
                fmt::format("random::{} gives f32 or f64, not {}", function, name(dtype)),
                at.where(), "convert its result with cast<T>(...)");
}

/// The upper and the lower half of x * y.
struct Product {
    Id high, low;
};
Product product_32(Builder& b, Id x, Id y) {
    const Id p = b.apply(Op::mul, {x, y});
    return {upper(b, p), lower(b, p)};
}
Product product_64(Builder& b, Id x, Id y) {
    const Id x0 = lower(b, x), x1 = upper(b, x), y0 = lower(b, y), y1 = upper(b, y);
    const auto mul = [&](Id p, Id q) { return b.apply(Op::mul, {p, q}); };
    const auto add = [&](Id p, Id q) { return b.apply(Op::add, {p, q}); };
    const Id p00 = mul(x0, y0), p01 = mul(x0, y1), p10 = mul(x1, y0), p11 = mul(x1, y1);
    const Id middle = add(upper(b, p00), add(lower(b, p01), lower(b, p10)));
    const Id high = add(add(p11, upper(b, middle)), add(upper(b, p01), upper(b, p10)));
    const Id shifted = b.apply(Op::shl, {middle, constant(b, std::uint64_t(32))});
    return {high, b.apply(Op::bit_or, {shifted, lower(b, p00)})};
}

/// A number below `count` (0 for count 0), all u64; a `wide` one of 64-bit words.
Id below(const Position& at, Id count, bool wide) {
    Builder& b = at.b;
    const auto draw = [&](Id number) {
        const Words w = at.draw(number);
        if (!wide) return product_32(b, w[0], count);
        const Id word =
            b.apply(Op::bit_or, {b.apply(Op::shl, {w[1], constant(b, std::uint64_t(32))}), w[0]});
        return product_64(b, word, count);
    };
    const std::uint32_t high = b.add_slot({"random high", DType::u64, 1}),
                        low = b.add_slot({"random low", DType::u64, 1}),
                        number = b.add_slot({"random draw", DType::u64, 1});
    const Product first = draw(constant(b, std::uint64_t(0)));
    b.write(high, first.high);
    b.write(low, first.low);
    b.write(number, constant(b, std::uint64_t(0)));
    // The remainder below is itself less than `count`, so the division is rarely reached.
    b.begin_branch(b.apply(Op::lt, {first.low, count}));
    const DType word = wide ? DType::u64 : DType::u32;
    const Id n = b.cast(count, word);
    const Id rest =
        b.cast(b.apply(Op::rem, {b.apply(Op::sub, {b.constant(Scalar::of(0).cast(word)), n}), n}),
               DType::u64);
    b.begin_while_condition();
    b.begin_while_body(b.apply(Op::lt, {b.read(low), rest}));
    const Id next = b.apply(Op::add, {b.read(number), constant(b, std::uint64_t(1))});
    b.write(number, next);
    const Product again = draw(next);
    b.write(high, again.high);
    b.write(low, again.low);
    b.end();
    b.end();
    return b.read(high);
}

template <std::size_t N> std::array<Value, N> values(Trace& trace, const std::array<Id, N>& ids) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<Value, N>{trace.value(ids[I])...};
    }(std::make_index_sequence<N>());
}
std::array<Value, 4> word_values(Trace& trace, const Words& w) {
    Words narrow;
    for (std::size_t i = 0; i < 4; ++i) narrow[i] = trace.builder().cast(w[i], DType::u32);
    return values(trace, narrow);
}

}  // namespace

std::array<Value, 4> philox4x32(const std::array<Value, 4>& counter,
                                const std::array<Value, 2>& key, std::source_location where) {
    const Operand first(counter[0], where);
    Trace& trace = dsl::trace_at(first);
    Builder& b = trace.builder();
    const auto word = [&](const Value& value, std::string_view what) {
        return lower(b, integer(trace, Operand(value, where), what));
    };
    Words c;
    for (std::size_t i = 0; i < 4; ++i) c[i] = word(counter[i], "counter");
    return word_values(trace, philox(b, c, {word(key[0], "key"), word(key[1], "key")}));
}

std::array<Value, 4> words(Operand seed, Operand stream, Operand index, Operand draw) {
    const Position at(seed, seed, stream, index);
    const Id number = lower(at.b, integer(at.trace, draw, "draw"));
    return word_values(at.trace, at.draw(number));
}

Value uniform(DType dtype, Operand seed, Operand stream, Operand index) {
    check_real(dtype, "uniform", seed);
    const Position at(seed, seed, stream, index);
    const Words w = at.draw();
    return at.trace.value(dtype == DType::f32 ? uniform_f32(at.b, w[0])
                                              : uniform_f64(at.b, w[0], w[1]));
}

Value normal(DType dtype, Operand seed, Operand stream, Operand index) {
    check_real(dtype, "normal", seed);
    const Position at(seed, seed, stream, index);
    const Words w = at.draw();
    return at.trace.value(dtype == DType::f32 ? normal_f32(at.b, w[0], w[1], false)[0]
                                              : normal_f64(at.b, w, false)[0]);
}

template <> std::array<Value, 4> uniforms<float>(Operand seed, Operand stream, Operand index) {
    const Position at(seed, seed, stream, index);
    Words w = at.draw();
    for (Id& word : w) word = uniform_f32(at.b, word);
    return values(at.trace, w);
}
template <> std::array<Value, 2> uniforms<double>(Operand seed, Operand stream, Operand index) {
    const Position at(seed, seed, stream, index);
    const Words w = at.draw();
    return values<2>(at.trace, {uniform_f64(at.b, w[0], w[1]), uniform_f64(at.b, w[2], w[3])});
}
template <> std::array<Value, 4> normals<float>(Operand seed, Operand stream, Operand index) {
    const Position at(seed, seed, stream, index);
    const Words w = at.draw();
    const auto a = normal_f32(at.b, w[0], w[1], true), c = normal_f32(at.b, w[2], w[3], true);
    return values<4>(at.trace, {a[0], a[1], c[0], c[1]});
}
template <> std::array<Value, 2> normals<double>(Operand seed, Operand stream, Operand index) {
    const Position at(seed, seed, stream, index);
    return values(at.trace, normal_f64(at.b, at.draw(), true));
}

Value integers(Operand low, Operand high, Operand seed, Operand stream, Operand index) {
    const Position at(low, seed, stream, index);
    Builder& b = at.b;
    const Id given_low = at.trace.use(low), given_high = at.trace.use(high);
    const DType t = b.promote_operands(std::initializer_list<Id>{given_low, given_high}).dtype;
    if (!is_integer(t)) {
        throw Error(ErrorKind::type,
                    fmt::format("random::integers takes integers of a common type, not ({}, {})",
                                name(b.dtype(given_low)), name(b.dtype(given_high))),
                    low.where(), "convert with cast<T>(...)");
    }
    const Id from = b.coerce(given_low, t), to = b.coerce(given_high, t);
    const auto is_constant = [&](Id id) { return b.node(id).kind == ir::NodeKind::constant; };
    if (is_constant(from) && is_constant(to)) {
        const auto check = [&](auto x, auto y) {
            if (x < y) return;
            throw Error(ErrorKind::usage,
                        fmt::format("random::integers from {} below {}: there is none", x, y),
                        low.where());
        };
        const Scalar x = b.kernel().constant(from), y = b.kernel().constant(to);
        if (is_signed(t)) {
            check(x.cast(DType::i64).get<std::int64_t>(), y.cast(DType::i64).get<std::int64_t>());
        } else {
            check(x.cast(DType::u64).get<std::uint64_t>(), y.cast(DType::u64).get<std::uint64_t>());
        }
    }
    // The difference wraps into the unsigned number that it is.
    const bool wide = size_of(t) == 8;
    const DType u = wide ? DType::u64 : DType::u32;
    const Id difference = b.apply(Op::sub, {b.cast(to, u), b.cast(from, u)});
    const Id count =
        b.apply(Op::select, {b.apply(Op::gt, {to, from}), b.cast(difference, DType::u64),
                             constant(b, std::uint64_t(0))});
    const Id number = b.cast(below(at, count, wide), t);
    return at.trace.value(b.apply(Op::add, {from, number}));
}

}  // namespace kiln::random
