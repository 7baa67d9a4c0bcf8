// The tracing language: dtypes, lines and structure of what is traced, and its errors.
#include "tests/dsl/trace/tracing.h"

#include <algorithm>
#include <complex>
#include <stdexcept>
#include <thread>

using namespace kiln;
using test::statements;
using test::trace;
using Values = std::vector<Value>;

namespace {

/// The error of tracing `body`.
Error error_of(const std::vector<DType>& types, const std::function<void(const Values&)>& body) {
    try {
        statements(types, body);
    } catch (const Error& error) {
        return error;
    }
    FAIL("no error");
    throw std::logic_error("unreachable");
}

/// The line of the only node with this operation, 0 if there is none.
unsigned line_of(const ir::Kernel& kernel, ir::Op op) {
    unsigned line = 0;
    for (const ir::Node& n : kernel.nodes)
        if (n.kind == ir::NodeKind::op && n.op == op) {
            REQUIRE(line == 0);
            line = kernel.location(n.loc).line;
        }
    return line;
}

unsigned line_of(const ir::Kernel& kernel, ir::NodeKind kind) {
    unsigned line = 0;
    for (const ir::Node& n : kernel.nodes)
        if (n.kind == kind) {
            REQUIRE(line == 0);
            line = kernel.location(n.loc).line;
        }
    return line;
}

std::size_t count(const ir::Kernel& kernel, ir::NodeKind kind) {
    return static_cast<std::size_t>(
        std::ranges::count_if(kernel.nodes, [kind](const ir::Node& n) { return n.kind == kind; }));
}

std::string text(const ir::Kernel& kernel) { return ir::print(kernel, {.locations = false}); }

DType result(DType t, const std::function<Value(const Value&)>& f) {
    return trace({t}, [&](const Values& x) { return f(x[0]); }).dtype;
}

}  // namespace

// ------------------------------------------------------------------------------------- dtypes

TEST_CASE("C++ values are weak: they bring only their kind", "[dsl][weak]") {
    CHECK(result(u8, [](const Value& x) { return x + 1; }) == u8);
    CHECK(result(u8, [](const Value& x) { return 300 - 299 + x; }) == u8);
    CHECK(result(f32, [](const Value& x) { return x * 2.0; }) == f32);
    CHECK(result(f32, [](const Value& x) { return 1e300 * x; }) == f32);
    CHECK(result(i8, [](const Value& x) { return x + 1.0; }) == f64);
    CHECK(result(i32, [](const Value& x) { return x + 1.5; }) == f64);
    CHECK(result(f16, [](const Value& x) { return x + 1.5; }) == f16);
    CHECK(result(f32, [](const Value& x) { return x + std::complex<double>(0, 1); }) == c64);
    CHECK(result(f64, [](const Value& x) { return x + std::complex<float>(0, 1); }) == c128);
    CHECK(result(i32, [](const Value& x) { return x + true; }) == i32);
    CHECK(result(bool_, [](const Value& x) { return x & true; }) == bool_);
    const double captured = 0.5;
    CHECK(result(f32, [captured](const Value& x) { return x * captured; }) == f32);
}

TEST_CASE("typed scalars are strong", "[dsl][weak]") {
    CHECK(result(f32, [](const Value& x) { return x * f64(2.0); }) == f64);
    CHECK(result(u8, [](const Value& x) { return x + i16(1); }) == i16);
    CHECK(result(f32, [](const Value& x) { return x + f32(1); }) == f32);
    CHECK(result(i64, [](const Value& x) { return x + u64(1); }) == f64);
}

TEST_CASE("all-weak expressions count with their C++ types and stay weak", "[dsl][weak]") {
    const auto weak = trace({}, [](const Values&) { return Value(1) + Value(2.5f); });
    CHECK(weak.weak);
    CHECK(weak.dtype == f64);  // int with float, NumPy's promotion
    CHECK(result(f32, [](const Value& x) { return (Value(1) + 2.5) * x; }) == f32);
    CHECK(result(u8, [](const Value& x) { return max(1, Value(2)) + x; }) == u8);
    CHECK_FALSE(trace({u8}, [](const Values& x) { return x[0] + 1; }).weak);
}

TEST_CASE("a weak integer must be representable", "[dsl][weak][errors]") {
    unsigned line = 0;
    const Error e = error_of({i8}, [&](const Values& x) {
        line = __LINE__ + 1;
        x[0] + 1000;
    });
    CHECK(e.kind() == ErrorKind::type);
    CHECK(e.message() == "1000 is not representable in i8");
    CHECK(e.line() == line);
    CHECK(std::string(e.what()).starts_with("dsl_test.cpp:" + std::to_string(line) +
                                            ": error: 1000 is"));
    CHECK(error_of({u8}, [](const Values& x) { x[0] + -1; }).message() ==
          "-1 is not representable in u8");
    CHECK(error_of({u8}, [](const Values& x) { select(true, x[0], 256); }).message() ==
          "256 is not representable in u8");
}

TEST_CASE("dtype() tells a value's type", "[dsl]") {
    statements({f32, i16}, [](const Values& x) {
        CHECK(x[0].dtype() == f32);
        CHECK((x[1] + i32(1)).dtype() == i32);
        CHECK((x[0] < x[1]).dtype() == bool_);
        CHECK(cast<std::uint16_t>(x[0]).dtype() == u16);
        CHECK(cast(bf16, x[0]).dtype() == bf16);
        CHECK(Var(x[0]).dtype() == f32);
    });
}

// -------------------------------------------------------------------------------------- lines

TEST_CASE("nodes carry the line of the user", "[dsl][lines]") {
    unsigned add = 0, multiply = 0, sine = 0, less = 0, negate = 0, both = 0, made = 0;
    const auto t = trace({f32, f32}, [&](const Values& x) -> Value {
        add = __LINE__ + 1;
        const Value sum = x[0] + x[1];
        multiply = __LINE__ + 1;
        const Value product = 3.0 * sum;
        sine = __LINE__ + 1;
        const Value s = sin(product);
        less = __LINE__ + 1;
        const Value c = s < 0.5;
        both = __LINE__ + 1;
        const Value d = c && true;
        negate = __LINE__ + 1;
        const Value n = -s;
        made = __LINE__ + 1;
        return select(d, n, s);
    });
    CHECK(line_of(t.kernel, ir::Op::add) == add);
    CHECK(line_of(t.kernel, ir::Op::mul) == multiply);
    CHECK(line_of(t.kernel, ir::Op::sin) == sine);
    CHECK(line_of(t.kernel, ir::Op::lt) == less);
    CHECK(line_of(t.kernel, ir::Op::logical_and) == both);
    CHECK(line_of(t.kernel, ir::Op::neg) == negate);
    CHECK(line_of(t.kernel, ir::Op::select) == made);
}

TEST_CASE("composite functions have the line of their call", "[dsl][lines]") {
    unsigned line = 0;
    const auto t = trace({f64, f64}, [&](const Values& x) -> Value {
        line = __LINE__ + 1;
        return logaddexp(x[0], x[1]);
    });
    CHECK(line_of(t.kernel, ir::Op::log1p) == line);
    CHECK(line_of(t.kernel, ir::Op::maximum) == line);
    const auto extremum = trace({f64, f64}, [&](const Values& x) -> Value {
        line = __LINE__ + 1;
        return max(x[0], x[1]);
    });
    CHECK(line_of(extremum.kernel, ir::Op::maximum) == line);
}

TEST_CASE("statements carry their line", "[dsl][lines]") {
    unsigned declared = 0, stepped = 0;
    const auto t = statements({}, [&](const Values&) {
        declared = __LINE__ + 1;
        Var v = 0;
        stepped = __LINE__ + 1;
        ++v;
    });
    CHECK(line_of(t.kernel, ir::NodeKind::read) == stepped);
    CHECK(line_of(t.kernel, ir::Op::add) == stepped);
    std::vector<unsigned> writes;
    for (const ir::Node& n : t.kernel.nodes)
        if (n.kind == ir::NodeKind::write) writes.push_back(t.kernel.location(n.loc).line);
    CHECK(writes == std::vector<unsigned>{declared, stepped});

    unsigned branch = 0, loop = 0, repeat = 0, left = 0;
    const auto flow = statements({i32}, [&](const Values& x) {
        branch = __LINE__ + 1;
        if_(x[0] < 1, [] {});
        loop = __LINE__ + 1;
        for (Index i : range(x[0])) static_cast<void>(i);
        repeat = __LINE__ + 1;
        while_(true, [&] {
            left = __LINE__ + 1;
            break_();
        });
    });
    CHECK(line_of(flow.kernel, ir::NodeKind::branch) == branch);
    CHECK(line_of(flow.kernel, ir::NodeKind::loop) == loop);
    CHECK(line_of(flow.kernel, ir::NodeKind::loop_while) == repeat);
    CHECK(line_of(flow.kernel, ir::NodeKind::break_) == left);
}

// ---------------------------------------------------------------------------------- variables

TEST_CASE("a Var has the type of its initial value, or the declared one", "[dsl][var]") {
    statements({u8, f32}, [](const Values& x) {
        CHECK(Var(0).dtype() == i32);
        CHECK(Var(0L).dtype() == i64);
        CHECK(Var(0.0).dtype() == f64);
        CHECK(Var(1.0f).dtype() == f32);
        CHECK(Var(false).dtype() == bool_);
        CHECK(Var(std::complex<float>(1, 2)).dtype() == c64);
        CHECK(Var(x[0] + 1).dtype() == u8);
        CHECK(Var(f16(1)).dtype() == f16);
        Var declared(f32, 0);
        CHECK(declared.dtype() == f32);
        Var wide(c128, x[1]);
        CHECK(wide.dtype() == c128);
    });
}

TEST_CASE("reading a Var gives a strong value", "[dsl][var]") {
    CHECK(result(f32, [](const Value& x) {
              Var v = 0.0;
              return v * x;
          }) == f64);
    CHECK(result(u8, [](const Value& x) {
              Var v = 0;
              return v + x;
          }) == i32);
}

TEST_CASE("storing into a Var may widen", "[dsl][var]") {
    const auto t = statements({u8, i16, f32, bool_}, [](const Values& x) {
        Var i(i32, 0), f(f64, 0), z(c64, 0);
        i = x[0];
        i = x[1];
        i = x[3];
        i = 7;
        f = x[1];
        f = x[2];
        f = 1;
        z = x[2];
        z = 2.5;
        z = x[0];
    });
    CHECK(count(t.kernel, ir::NodeKind::write) == 13);
}

TEST_CASE("storing into a Var never narrows", "[dsl][var][errors]") {
    unsigned line = 0;
    const Error e = error_of({f64}, [&](const Values& x) {
        Var v(f32, 0);
        line = __LINE__ + 1;
        v = x[0];
    });
    CHECK(e.kind() == ErrorKind::type);
    const auto stored = [&](const std::string& from, const std::string& to) {
        return "cannot store " + from + " into the Var of line " + std::to_string(line - 2) + " (" +
               to + ") without narrowing";
    };
    CHECK(e.message() == stored("f64", "f32"));
    CHECK(e.hint() == "write cast<float>(...)");
    CHECK(e.line() == line);

    const auto declared = [](DType from, DType to) {
        return error_of({from}, [to](const Values& x) { Var v(to, x[0]); }).message();
    };
    CHECK(declared(i32, f32) == "cannot store i32 into a Var of type f32 without narrowing");
    CHECK(declared(i64, i32) == "cannot store i64 into a Var of type i32 without narrowing");
    CHECK(declared(u32, i32) == "cannot store u32 into a Var of type i32 without narrowing");
    CHECK(declared(c64, f64) == "cannot store c64 into a Var of type f64 without narrowing");
    CHECK(declared(u8, bool_) == "cannot store u8 into a Var of type bool without narrowing");

    const Error compound = error_of({f32}, [&](const Values& x) {
        Var v = 0;
        line = __LINE__ + 1;
        v += x[0];
    });
    CHECK(compound.message() == stored("f64", "i32"));
    CHECK(compound.hint() == "write cast<std::int32_t>(...)");
    CHECK(compound.line() == line);
    const Error step = error_of({}, [&](const Values&) {
        Var v = false;
        line = __LINE__ + 1;
        ++v;
    });
    CHECK(step.message() == stored("i64", "bool"));
    CHECK(step.line() == line);
}

TEST_CASE("weak values convert to a Var's type by kind", "[dsl][var][errors]") {
    statements({}, [](const Values&) {
        Var f(f32, 0.1);
        f = 1e-3;
        f = 3;
        Var b(u8, 255);
        b = true;
    });
    CHECK(error_of({}, [](const Values&) { Var v(i32, 1.5); }).message() ==
          "cannot store f64 into a Var of type i32 without narrowing");
    CHECK(error_of({}, [](const Values&) { Var v(u8, 256); }).message() ==
          "256 is not representable in u8");
    CHECK(error_of({}, [](const Values&) { Var v(f64, std::complex<double>(0, 1)); }).message() ==
          "cannot store c128 into a Var of type f64 without narrowing");
}

TEST_CASE("a copy of a Var is another variable", "[dsl][var]") {
    const auto t = statements({}, [](const Values&) {
        Var a = 1;
        Var b = a;
        b = 2;
        a = b;
        const auto make = [] {
            Var v = 3;
            return v;
        };
        Var c = make();
        c = 4;
    });
    CHECK(text(t.kernel) == R"(kernel(p0: out i32[1]) {
  slot v0: i32
  slot v1: i32
  slot v2: i32
  stage [i64(1)] {
    write v0, i32(1)
    %0 = read i32 v0
    write v1, %0
    write v1, i32(2)
    %1 = read i32 v1
    write v0, %1
    write v2, i32(3)
    write v2, i32(4)
    store p0[i0], i32(0)
  }
}
)");
}

TEST_CASE("operators of Var", "[dsl][var]") {
    const auto ops = [](const std::function<void(Var&)>& change) {
        const auto t = statements({}, [&](const Values&) {
            Var v = 6;
            change(v);
        });
        for (const ir::Node& n : t.kernel.nodes)
            if (n.kind == ir::NodeKind::op) return n.op;
        throw std::logic_error("no operation");
    };
    CHECK(ops([](Var& v) { v += 2; }) == ir::Op::add);
    CHECK(ops([](Var& v) { v -= 2; }) == ir::Op::sub);
    CHECK(ops([](Var& v) { v *= 2; }) == ir::Op::mul);
    CHECK(ops([](Var& v) { v /= 2; }) == ir::Op::div);
    CHECK(ops([](Var& v) { v %= 2; }) == ir::Op::rem);
    CHECK(ops([](Var& v) { v &= 2; }) == ir::Op::bit_and);
    CHECK(ops([](Var& v) { v |= 2; }) == ir::Op::bit_or);
    CHECK(ops([](Var& v) { v ^= 2; }) == ir::Op::bit_xor);
    CHECK(ops([](Var& v) { v <<= 2; }) == ir::Op::shl);
    CHECK(ops([](Var& v) { v >>= 2; }) == ir::Op::shr);
    CHECK(ops([](Var& v) { ++v; }) == ir::Op::add);
    CHECK(ops([](Var& v) { v++; }) == ir::Op::add);
    CHECK(ops([](Var& v) { --v; }) == ir::Op::sub);
    CHECK(ops([](Var& v) { v--; }) == ir::Op::sub);
}

// ------------------------------------------------------------------------------- control flow

TEST_CASE("if_, else_if and else_", "[dsl][if]") {
    const auto t = statements({i32}, [](const Values& x) {
        Var v = 0;
        if_(x[0] < 0, [&] { v = 1; }).else_if([&] { return x[0] < 9; }, [&] { v = 2; }).else_([&] {
            v = 3;
        });
        if_(x[0], [&] { v = 4; });
    });
    CHECK(text(t.kernel) == R"(kernel(p0: value i32, p1: out i32[1]) {
  slot v0: i32
  stage [i64(1)] {
    write v0, i32(0)
    %0 = lt bool p0, i32(0)
    if %0 {
      write v0, i32(1)
    } else {
      %1 = lt bool p0, i32(9)
      if %1 {
        write v0, i32(2)
      } else {
        write v0, i32(3)
      }
    }
    %2 = cast bool p0
    if %2 {
      write v0, i32(4)
    }
    store p1[i0], i32(0)
  }
}
)");
}

TEST_CASE("keeping the result of if_ is refused", "[dsl][if][errors]") {
    unsigned line = 0;
    const Error e = error_of({i32}, [&](const Values& x) {
        Var v = 0;
        line = __LINE__ + 1;
        auto&& kept = if_(x[0] < 0, [&] { v = 1; });
        v = 2;
        static_cast<void>(kept);
    });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "the result of if_ was kept beyond its statement");
    CHECK(e.hint() == "write if_(...).else_(...) in one statement");
    CHECK(e.line() == line);
}

TEST_CASE("while_ evaluates an expression anew", "[dsl][while]") {
    const auto t = statements({i32}, [](const Values& x) {
        Var i = 0;
        const Value limit = x[0] + i;
        while_(i < limit, [&] { i += 1; });
    });
    // `limit` has a name, so it stays; `i` is read again.
    CHECK(text(t.kernel) == R"(kernel(p0: value i32, p1: out i32[1]) {
  slot v0: i32
  stage [i64(1)] {
    write v0, i32(0)
    %0 = read i32 v0
    %1 = add i32 p0, %0
    %2 = read i32 v0
    %3 = lt bool %2, %1
    while {
      %4 = read i32 v0
      %5 = lt bool %4, %1
    } %5 {
      %6 = read i32 v0
      %7 = add i32 %6, i32(1)
      write v0, %7
    }
    store p1[i0], i32(0)
  }
}
)");
}

TEST_CASE("while_ evaluates functions and casts of Vars anew", "[dsl][while]") {
    const auto t = statements({f64}, [](const Values& x) {
        Var z = std::complex<double>(0, 0);
        while_(norm(z) <= 4.0 && !isnan(real(z)), [&] { z = z * x[0]; });
    });
    const ir::Kernel& k = t.kernel;
    const auto loop = std::ranges::find(k.nodes, ir::NodeKind::loop_while, &ir::Node::kind);
    REQUIRE(loop != k.nodes.end());
    std::size_t reads = 0, ops = 0;
    for (const ir::Id id : k.blocks[loop->aux].nodes) {
        reads += k.node(id).kind == ir::NodeKind::read;
        ops += k.node(id).kind == ir::NodeKind::op;
    }
    CHECK(reads == 2);
    // real imag mul mul add le real isnan logical_not logical_and
    CHECK(ops == 10);
}

TEST_CASE("while_ with a Var, a lambda, a constant", "[dsl][while]") {
    const auto t = statements({}, [](const Values&) {
        Var going = true;
        while_(going, [&] { going = false; });
        while_([&] { return !going; }, [&] { going = false; });
        while_(true, [&] { break_(); });
    });
    CHECK(text(t.kernel) == R"(kernel(p0: out i32[1]) {
  slot v0: bool
  stage [i64(1)] {
    write v0, bool(true)
    %0 = read bool v0
    while {
      %1 = read bool v0
    } %1 {
      write v0, bool(false)
    }
    while {
      %2 = read bool v0
      %3 = logical_not bool %2
    } %3 {
      write v0, bool(false)
    }
    while {
    } bool(true) {
      break
    }
    store p0[i0], i32(0)
  }
}
)");
}

TEST_CASE("a condition that cannot change is refused", "[dsl][while][errors]") {
    unsigned line = 0;
    const Error e = error_of({i32}, [&](const Values& x) {
        Var i = 0;
        const Value going = i < x[0];
        line = __LINE__ + 1;
        while_(going, [&] { i += 1; });
    });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "the condition of while_ never changes: it reads no Var");
    CHECK(e.hint() == "make what changes a Var, or write the condition as a lambda");
    CHECK(e.line() == line);
    CHECK(error_of({i32}, [](const Values& x) { while_(x[0] < 3, [] {}); }).message() ==
          e.message());
}

TEST_CASE("a function that names a Var in a condition is refused", "[dsl][while][errors]") {
    const auto twice = [](Value v) { return v + v; };
    unsigned line = 0;
    const Error e = error_of({i32}, [&](const Values& x) {
        Var i = 0, j = 0;
        line = __LINE__ + 1;
        while_(twice(i) < x[0] && j < 3, [&] { i += 1; });
    });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "the condition of while_ passes a Var to a function that names it");
    CHECK(e.hint() == "write the condition as a lambda: while_([&] { return ...; }, ...)");
    CHECK(e.line() == line);
    statements({i32}, [&](const Values& x) {
        Var i = 0;
        while_([&] { return twice(i) < x[0]; }, [&] { i += 1; });
    });
}

TEST_CASE("range", "[dsl][range]") {
    const auto t = statements({u8, i64}, [](const Values& x) {
        Var sum(i64, 0);
        for (Index i : range(x[0]))
            for (Index j : range(i, x[1], -2)) {
                if_(j == 3, [] { continue_(); });
                sum = i;
            }
        return_();
    });
    CHECK(text(t.kernel) == R"(kernel(p0: value u8, p1: value i64, p2: out i32[1]) {
  slot v0: i64
  stage [i64(1)] {
    write v0, i64(0)
    %0 = cast i64 p0
    for %1 = i64(0) to %0 step i64(1) {
      for %2 = %1 to p1 step i64(-2) {
        %3 = eq bool %2, i64(3)
        if %3 {
          continue
        }
        write v0, %1
      }
    }
    return
    store p2[i0], i32(0)
  }
}
)");
}

TEST_CASE("range takes integers and a step", "[dsl][range][errors]") {
    unsigned line = 0;
    const Error e = error_of({f32}, [&](const Values& x) {
        line = __LINE__ + 1;
        for (Index i : range(0, x[0])) static_cast<void>(i);
    });
    CHECK(e.kind() == ErrorKind::type);
    CHECK(e.message() == "range takes integers, not f32");
    CHECK(e.hint() == "write cast<std::int64_t>(...)");
    CHECK(e.line() == line);
    CHECK(error_of({bool_}, [](const Values& x) { range(x[0]); }).message() ==
          "range takes integers, not bool");
    CHECK(error_of({}, [](const Values&) { range(0, 9, 0); }).message() ==
          "the step of a range must not be 0");
    CHECK(error_of({}, [](const Values&) {
              Range r = range(9);
              for (Index i : r) static_cast<void>(i);
              for (Index i : r) static_cast<void>(i);
          }).message() == "a range was looped over twice");
}

TEST_CASE("a C++ break or return that leaves a loop is noticed", "[dsl][range][errors]") {
    unsigned line = 0;
    const Error e = error_of({}, [&](const Values&) {
        line = __LINE__ + 1;
        for (Index i : range(9)) {
            static_cast<void>(i);
            break;
        }
    });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "a C++ break or return left a traced loop");
    CHECK(e.hint() == "use break_() or return_()");
    CHECK(e.line() == line);
    const Error inner = error_of({}, [&](const Values&) {
        for (Index i : range(9)) {
            line = __LINE__ + 1;
            for (Index j : range(i)) {
                static_cast<void>(j);
                return;
            }
        }
    });
    CHECK(inner.message() == e.message());
    CHECK(inner.line() == line);
}

TEST_CASE("jumps need a loop", "[dsl][range][errors]") {
    unsigned line = 0;
    const Error e = error_of({}, [&](const Values&) {
        line = __LINE__ + 1;
        break_();
    });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "break_() outside of a loop");
    CHECK(e.line() == line);
    const Error go_on = error_of({}, [](const Values&) { if_(true, [] { continue_(); }); });
    CHECK(go_on.message() == "continue_() outside of a loop");
    statements({}, [](const Values&) { if_(true, [] { return_(); }); });
}

// ----------------------------------------------------------------------------------- fastmath

TEST_CASE("fast-math flags of one expression", "[dsl][fast]") {
    const auto flags_of = [](Fastmath outer, Fastmath inner) {
        dsl::Trace trace("test");
        ir::Builder& b = trace.builder();
        b.set_fast(outer.bits);
        b.set_form(ir::Form::program);
        b.begin_stage({}, false);
        const Value x = trace.value(b.param(b.add_param({"x", f32})));
        const Value before = x + 1.0;
        const Value y = fast(inner, [&] { return x * x; });
        const Value after = y - 1.0;
        CHECK(b.node(trace.id(before)).fast == outer.bits);
        CHECK(b.node(trace.id(after)).fast == outer.bits);
        return b.node(trace.id(y)).fast;
    };
    CHECK(flags_of(false, true) == ir::fast::all);
    CHECK(flags_of(false, Fastmath::nnan | Fastmath::contract) ==
          (ir::fast::nnan | ir::fast::contract));
    CHECK(flags_of(true, false) == 0);
    CHECK(flags_of(Fastmath::nsz, Fastmath::reassoc) == ir::fast::reassoc);
}

TEST_CASE("fast-math flags have the bits of the IR", "[dsl][fast]") {
    STATIC_REQUIRE(Fastmath::nnan.bits == ir::fast::nnan);
    STATIC_REQUIRE(Fastmath::ninf.bits == ir::fast::ninf);
    STATIC_REQUIRE(Fastmath::nsz.bits == ir::fast::nsz);
    STATIC_REQUIRE(Fastmath::arcp.bits == ir::fast::arcp);
    STATIC_REQUIRE(Fastmath::contract.bits == ir::fast::contract);
    STATIC_REQUIRE(Fastmath::afn.bits == ir::fast::afn);
    STATIC_REQUIRE(Fastmath::reassoc.bits == ir::fast::reassoc);
    STATIC_REQUIRE(Fastmath(true).bits == ir::fast::all);
    STATIC_REQUIRE(Fastmath(false) == Fastmath());
    STATIC_REQUIRE_FALSE(std::is_constructible_v<Fastmath, int>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<Fastmath, const char*>);
    STATIC_REQUIRE(Fastmath(true).has(Fastmath::afn));
}

// ------------------------------------------------------------------------------- other errors

TEST_CASE("values belong to their kernel", "[dsl][errors]") {
    unsigned line = 0;
    const Error e = error_of({f32}, [&](const Values& outer) {
        statements({}, [&](const Values&) {
            line = __LINE__ + 1;
            outer[0] + 1;
        });
    });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "a Value or Var of another kernel is used here");
    CHECK(e.hint() == "pass it as a parameter");
    CHECK(e.line() == line);
    const Error variable = error_of({}, [](const Values&) {
        Var v = 0;
        statements({}, [&](const Values&) { v = 1; });
    });
    CHECK(variable.message() == e.message());
    const Error read = error_of({}, [](const Values&) {
        Var v = 0;
        statements({}, [&](const Values&) { v + 1; });
    });
    CHECK(read.message() == e.message());
}

TEST_CASE("a Value of a finished kernel is refused", "[dsl][errors]") {
    std::vector<Value> kept;
    statements({f32}, [&](const Values& x) { kept.push_back(x[0]); });
    CHECK(error_of({}, [&](const Values&) { kept[0] + 1; }).message() ==
          "a Value or Var of another kernel is used here");
    unsigned line = 0;
    try {
        line = __LINE__ + 1;
        kept[0].dtype();
        FAIL("no error");
    } catch (const Error& e) {
        CHECK(e.kind() == ErrorKind::usage);
        CHECK(e.message() == "the kernel of this Value is finished");
        CHECK(e.hint().starts_with("a Value belongs to one run of its lambda"));
        CHECK(e.line() == line);
    }
}

TEST_CASE("operations outside of a kernel are refused", "[dsl][errors]") {
    unsigned line = 0;
    try {
        line = __LINE__ + 1;
        const Value v = 1.0;
        CHECK(v.dtype() == i32);
        FAIL("no error");
    } catch (const Error& e) {
        CHECK(e.kind() == ErrorKind::usage);
        CHECK(e.message() == "an operation on Values was used outside of a kernel");
        CHECK(e.hint() == "it belongs into the function that is given to vectorize");
        CHECK(e.line() == line);
    }
    // A trace belongs to its thread.
    statements({f32}, [](const Values& x) {
        std::string message;
        std::thread other([&] {
            try {
                sin(x[0]);
            } catch (const Error& e) {
                message = e.message();
            }
        });
        other.join();
        CHECK(message == "an operation on Values was used outside of a kernel");
    });
}

TEST_CASE("a Value does not outlive the block that computes it", "[dsl][errors]") {
    unsigned line = 0;
    const Error e = error_of({f32}, [&](const Values& x) {
        std::vector<Value> kept;
        if_(x[0] < 1, [&] { kept.push_back(x[0] + 1); });
        line = __LINE__ + 1;
        kept[0] * 2;
    });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "a Value is used after the block that computes it");
    CHECK(e.hint() == "declare a Var before the block and assign to it");
    CHECK(e.line() == line);
    const Error index = error_of({}, [](const Values&) {
        std::vector<Value> kept;
        for (Index i : range(3)) kept.emplace_back(i);
        kept[0] + 1;
    });
    CHECK(index.message() == e.message());
}

TEST_CASE("operands of the wrong kind name the user's line", "[dsl][errors]") {
    unsigned line = 0;
    const Error e = error_of({f32}, [&](const Values& x) {
        line = __LINE__ + 1;
        x[0] & 1;
    });
    CHECK(e.kind() == ErrorKind::type);
    CHECK(e.message() == "& takes bool or integer operands, not (f32, i32)");
    CHECK(e.line() == line);
    CHECK(error_of({f32}, [](const Values& x) { gcd(x[0], 4); }).message() ==
          "gcd takes integers of a common type, not (f32, i32)");
    CHECK(error_of({c64}, [](const Values& x) { logaddexp(x[0], 4); }).message() ==
          "logaddexp takes real operands, not (c64, i32)");
    CHECK(error_of({c64}, [](const Values& x) { deg2rad(x[0]); }).message() ==
          "deg2rad takes a real operand, not (c64)");
    CHECK(error_of({i32}, [](const Values& x) { pow(x[0], -2); }).message() ==
          "an integer cannot be raised to the negative power -2");
}

TEST_CASE("an exception in a body abandons the trace", "[dsl][errors]") {
    const auto fails = [](const std::function<void(const Values&)>& body) {
        CHECK_THROWS_AS(statements({i32}, body), std::runtime_error);
        statements({i32}, [](const Values& x) { x[0] + 1; });  // the thread traces on
    };
    fails([](const Values&) { throw std::runtime_error("mine"); });
    fails([](const Values& x) { if_(x[0], [] { throw std::runtime_error("mine"); }); });
    fails(
        [](const Values& x) { if_(x[0], [] {}).else_([] { throw std::runtime_error("mine"); }); });
    fails([](const Values&) { while_(true, [] { throw std::runtime_error("mine"); }); });
    fails([](const Values&) {
        for (Index i : range(3)) throw std::runtime_error("mine " + std::to_string(sizeof i));
    });
    const auto swallow = [](const Values& x) {
        try {
            if_(x[0], [] { throw std::runtime_error("mine"); });
        } catch (const std::runtime_error&) {
        }
    };
    CHECK(error_of({i32}, swallow).message() ==
          "kernel test is incomplete: an error in its body was caught and ignored");
    unsigned line = 0;
    const Error used = error_of({i32}, [&](const Values& x) {
        swallow(x);
        line = __LINE__ + 1;
        x[0] + 1;
    });
    CHECK(used.message() ==
          "kernel test is incomplete: an error in its body was caught and ignored");
    CHECK(used.line() == line);
    CHECK(used.hint() == "let errors out of the lambda, or ask before what makes them");
}
