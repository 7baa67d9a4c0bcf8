// v op= x, for all that operator= assigns to: the files that define those operators include it.
#pragma once

#define KILN_DSL_COMPOUND(symbol, type, result, qualifier)                                 \
    result type::operator symbol##=(Operand value) qualifier {                             \
        return *this = Operand(Operand(*this, value.where()) symbol value, value.where()); \
    }
#define KILN_DSL_COMPOUND_ARITHMETIC(...) \
    KILN_DSL_COMPOUND(+, __VA_ARGS__)     \
    KILN_DSL_COMPOUND(-, __VA_ARGS__)     \
    KILN_DSL_COMPOUND(*, __VA_ARGS__)     \
    KILN_DSL_COMPOUND(/, __VA_ARGS__)
#define KILN_DSL_COMPOUND_INTEGER(...) \
    KILN_DSL_COMPOUND(%, __VA_ARGS__)  \
    KILN_DSL_COMPOUND(&, __VA_ARGS__)  \
    KILN_DSL_COMPOUND(|, __VA_ARGS__)  \
    KILN_DSL_COMPOUND(^, __VA_ARGS__)
#define KILN_DSL_COMPOUND_SHIFTS(...)  \
    KILN_DSL_COMPOUND(<<, __VA_ARGS__) \
    KILN_DSL_COMPOUND(>>, __VA_ARGS__)
