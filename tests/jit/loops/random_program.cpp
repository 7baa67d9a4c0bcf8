#include "tests/jit/loops/random_program.h"

#include "dsl/ir/text.h"
#include "tests/dice.h"
#include "tests/oracle/interpreter.h"
#include "tests/threads.h"

#include <cmath>
#include <cstring>
#include <iomanip>
#include <limits>
#include <sstream>

namespace kiln::test {

namespace {

/// Writes one random program while it is traced.
class Program {
  public:
    Program(std::uint64_t seed, const In& a, const In& b, const InOut& c, const Out& d,
            const Value& k)
        : dice_(seed), a_(a), b_(b), c_(c), d_(d), k_(k), n_(a.extent(0)) {}

    std::tuple<Value, Value, Value, Value> run() {
        Var sum(DType::i64, 7), bits(DType::i64, 0), at(DType::i64, -1);
        Var least(DType::f64, std::numeric_limits<double>::infinity());
        const std::size_t loops = 1 + dice_.below(3);
        for (std::size_t l = 0; l < loops; ++l) {
            if (dice_.chance(25)) {
                serial_loop();
                continue;
            }
            const std::size_t reduces = dice_.below(4);
            parallel_loop([&](const Value& v, const Value& i) {
                if (reduces == 1) sum += cast<std::int64_t>(v);
                if (reduces == 2) bits ^= cast<std::int64_t>(v) * 31 + i;
                if (reduces == 3) reduce_argmin(least, at, cast<double>(v), i);
            });
        }
        return {Value(sum), Value(bits), Value(least), Value(at)};
    }

  private:
    template <class Reduce> void parallel_loop(Reduce reduce) {
        const std::size_t form = dice_.below(4);
        const PrangeOptions options{.schedule = static_cast<Schedule>(dice_.below(4)),
                                    .chunk = static_cast<std::int64_t>(dice_.below(3) * 50)};
        const int step = form == 2 ? 3 : form == 3 ? -1 : 1;
        const Value begin = form == 3 ? n_ - 1 : Value(0), end = form == 3 ? Value(-1) : n_;
        for (Index index : prange(begin, end, step, options)) {
            const Value i = form == 1 ? n_ - 1 - index : Value(index);
            const bool reads_c = dice_.chance(50);
            std::vector<Value> pool{a_(i), b_(i), a_(mod(i * 5 + 3, n_)), Value(i), k_};
            if (reads_c) pool.emplace_back(c_(i));
            statements(pool, i);
            const Value result = pick(pool);
            reduce(result, i);
            if (dice_.chance(70)) c_(i) = cast(c_.dtype(), pick(pool));
            if (dice_.chance(70))
                if_(pick(pool) > 0, [&] { d_(i) = cast(d_.dtype(), result); }).else_([&] {
                    d_(i) = cast(d_.dtype(), pick(pool));
                });
        }
    }

    /// An iteration uses what the one before stored.
    void serial_loop() {
        for (Index i : range(1, n_)) {
            std::vector<Value> pool{a_(i), c_(i - 1), Value(i), k_};
            statements(pool, i);
            c_(i) = cast(c_.dtype(), pick(pool));
        }
    }

    const Value& pick(const std::vector<Value>& pool) { return pool[dice_.below(pool.size())]; }

    Value operation(const std::vector<Value>& pool) {
        const Value &x = pick(pool), &y = pick(pool);
        switch (dice_.below(10)) {
            case 0: return x + y;
            case 1: return x - y;
            case 2: return x * y;
            case 3: return x / y;
            case 4: return min(x, y);
            case 5: return max(x, y);
            case 6: return select(x < y, x, y + 1);
            case 7: return abs(x);
            case 8: return cast<std::int32_t>(x) & 1023;
            default: return cast<double>(x) * 0.5;
        }
    }

    void statements(std::vector<Value>& pool, const Value& i) {
        const std::size_t count = 1 + dice_.below(4);
        for (std::size_t s = 0; s < count; ++s) switch (dice_.below(6)) {
                case 0: pool.push_back(branch(pool)); break;
                case 1: pool.push_back(inner_loop(pool, i)); break;
                case 2: pool.push_back(while_loop(pool)); break;
                case 3: pool.push_back(local(pool, i)); break;
                default: pool.push_back(operation(pool));
            }
    }

    Value branch(const std::vector<Value>& pool) {
        Var v(DType::f64, cast<double>(pick(pool)));
        if_(pick(pool) < pick(pool), [&] { v = cast<double>(operation(pool)); });
        return v;
    }

    Value inner_loop(const std::vector<Value>& pool, const Value& i) {
        Var v(DType::i64, 0);
        for (Index j : range(static_cast<int>(dice_.below(6)))) {
            const Value x = a_(mod(i + j, n_));
            if (dice_.chance(30)) if_(x > 1000, [] { continue_(); });
            v += cast<std::int64_t>(x) + cast<std::int64_t>(pick(pool));
            if (dice_.chance(30)) if_(v > 500, [] { break_(); });
        }
        return v;
    }

    Value while_loop(const std::vector<Value>& pool) {
        Var v(DType::i64, cast<std::int64_t>(pick(pool)) & 255);
        while_([&] { return v > 3; }, [&] { v = select(v % 2 == 0, v / 2, v / 3 - 1); });
        return v;
    }

    Value local(const std::vector<Value>& pool, const Value& i) {
        Local l(DType::f64, 4);
        for (Index j : range(4)) l(j) = cast<double>(pick(pool)) + cast<double>(j);
        l(i % 4) = l((i + 1) % 4) * 2.0;
        return l(i % 3);
    }

    Dice dice_;
    const In &a_, &b_;
    const InOut& c_;
    const Out& d_;
    const Value& k_;
    Value n_;
};

bool same(const Scalar& x, const Scalar& y) {
    if (x.dtype != y.dtype) return false;
    if (!is_real(x.dtype))
        return x.cast(DType::i64).get<std::int64_t>() == y.cast(DType::i64).get<std::int64_t>();
    const double a = x.cast(DType::f64).get<double>(), b = y.cast(DType::f64).get<double>();
    return a == b || (std::isnan(a) && std::isnan(b));
}

Array random_array(Dice& dice, DType t, std::int64_t n) {
    const Array x = empty({n}, t);
    for (std::int64_t i = 0; i < n; ++i) {
        const double small = static_cast<double>(dice.below(200)) - 100;
        const double value = dice.chance(90)                 ? small
                             : is_real(t) && dice.chance(30) ? std::nan("")
                                                             : small * 1e6;
        const Scalar s = Scalar::of(is_real(t) ? value + 0.25 : value).cast(t);
        std::memcpy(x.data() + static_cast<std::int64_t>(size_of(t)) * i, s.bytes.data(),
                    size_of(t));
    }
    return x;
}

/// One of the program's arrays or results after a call, and what the interpreter says.
struct Outcome {
    std::vector<Array> arrays;
    std::vector<Scalar> results;
};

std::string difference(const Outcome& got, const Outcome& wanted) {
    std::ostringstream out;
    out << std::setprecision(17);
    const auto text = [](const Scalar& s) { return s.cast(DType::f64).get<double>(); };
    for (std::size_t r = 0; r < got.results.size(); ++r)
        if (!same(got.results[r], wanted.results[r])) {
            out << "result " << r << ": " << text(got.results[r]) << ", expected "
                << text(wanted.results[r]);
            return out.str();
        }
    for (std::size_t x = 0; x < got.arrays.size(); ++x)
        for (std::int64_t i = 0; i < got.arrays[x].size(); ++i) {
            const Scalar a = got.arrays[x].scalar_at({i}), b = wanted.arrays[x].scalar_at({i});
            if (same(a, b)) continue;
            out << "array " << x << ", element " << i << ": " << text(a) << ", expected "
                << text(b);
            return out.str();
        }
    return {};
}

/// Runs the kernel on the interpreter; c and d of `arrays` are left as they are.
Outcome interpreted(const ir::Kernel& kernel, const std::array<Array, 4>& arrays, std::int64_t k) {
    Outcome wanted{{arrays[2].copy(), arrays[3].copy()}, std::vector<Scalar>(4)};
    std::vector<oracle::Argument> arguments;
    for (const Array& x : {arrays[0], arrays[1], wanted.arrays[0], wanted.arrays[1]})
        arguments.push_back(oracle::Argument::array(x.data(), x.dtype(), {x.size()}));
    arguments.push_back(oracle::Argument::value(Scalar::of(k)));
    for (std::size_t r = 0; r < 4; ++r) {
        Scalar& result = wanted.results[r];
        result.dtype = kernel.params[5 + r].dtype;
        arguments.push_back(oracle::Argument::array(result.bytes.data(), result.dtype, {}));
    }
    oracle::interpret(kernel, arguments);
    return wanted;
}

}  // namespace

std::string try_random_program(std::uint64_t seed, const std::function<void(bool)>& around) {
    Dice dice(seed * 7919 + 1);
    constexpr DType types[] = {DType::f64, DType::i64, DType::f32, DType::i32};
    DType t[4];
    for (DType& one : t) one = types[dice.below(4)];
    const auto program = [seed](In a, In b, InOut c, Out d, Value k) {
        return Program(seed, a, b, c, d, k).run();
    };
    const auto serial = jit("random", program);
    const auto parallel = jit("random", program, {.parallel = true});
    const std::string text =
        serial.inspect(Artifact::ir, {{t[0], 1}, {t[1], 1}, {t[2], 1}, {t[3], 1}, i64});
    const ir::Kernel kernel = ir::parse(text);
    for (const std::int64_t n : {1, 2, 37, 2500}) {
        std::array<Array, 4> arrays;
        for (std::size_t x = 0; x < 4; ++x) arrays[x] = random_array(dice, t[x], n);
        const std::int64_t k = static_cast<std::int64_t>(dice.below(9)) - 4;
        const Outcome wanted = interpreted(kernel, arrays, k);
        for (const int threads : {0, 1, 3}) {
            const Threads scope(threads > 0 ? threads : num_threads());
            const Array c = arrays[2].copy(), d = arrays[3].copy();
            if (around) around(true);
            const auto all = (threads == 0 ? serial : parallel)(arrays[0], arrays[1], c, d, k);
            if (around) around(false);
            const std::string found = difference(
                {{c, d}, {std::get<0>(all), std::get<1>(all), std::get<2>(all), std::get<3>(all)}},
                wanted);
            if (found.empty()) continue;
            std::ostringstream out;
            out << "seed " << seed << ", n " << n << ", threads " << threads << ": " << found
                << "\n"
                << text;
            return out.str();
        }
    }
    return {};
}

}  // namespace kiln::test
