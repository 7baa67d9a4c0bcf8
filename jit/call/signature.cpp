#include "jit/call/signature.h"

#include <fmt/format.h>

namespace kiln::engine {

namespace {

/// Weak values by their kind, as nothing else of them counts.
std::string_view kind_name(DType weak) {
    switch (kind_of(weak)) {
        case Kind::boolean: return "bool";
        case Kind::signed_integer:
        case Kind::unsigned_integer: return "int";
        case Kind::real: return "float";
        case Kind::complex: return "complex";
    }
    __builtin_unreachable();
}

std::string types_text(const CallKey& key) {
    std::string text = "(";
    for (std::size_t i = 0; i < key.inputs(); ++i) {
        if (i > 0) text += ", ";
        const DType dtype = key.input_dtype(i);
        text += key.input_weak(i) ? kind_name(dtype) : kiln::name(dtype);
    }
    return text + ")";
}

bool accepts(const CallKey& key, std::size_t i, DType to, Casting casting) {
    const DType from = key.input_dtype(i);
    // A weak value brings only its kind: it fits wherever it would not change the other operand.
    if (key.input_weak(i) && casting != Casting::unsafe) return promote_weak(to, from) == to;
    return can_cast(from, to, casting);
}

}  // namespace

void check_cpu_target(const std::string& name, std::string_view what, BackendTarget target,
                      Location where) {
    if (target == BackendTarget::cpu) return;
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{} is {}, which has no target but the CPU", name, what), where,
        "kernels of vectorize, jit, stencil and guvectorize have .target = BackendTarget::cuda");
}

std::string to_string(const Signature& signature) {
    const auto list = [&](std::size_t begin, std::size_t end) {
        std::string text;
        for (std::size_t i = begin; i < end; ++i) {
            if (i > begin) text += ", ";
            text += kiln::name(signature.types[i]);
        }
        return text;
    };
    const std::size_t inputs = signature.inputs, all = inputs + signature.outputs;
    const std::string results = list(inputs, all);
    return (signature.outputs == 1 ? results : "(" + results + ")") + "(" + list(0, inputs) + ")";
}

LoopTypes choose_loop(const std::string& name, std::span<const Signature> signatures,
                      const CallKey& key, Location where) {
    LoopTypes chosen;
    const std::optional<DType> dtype = key.dtype();
    if (signatures.empty()) {
        if (!dtype) return chosen;
        chosen.result = dtype;
        chosen.inputs.emplace().fill(*dtype);
        for (std::size_t i = 0; i < key.inputs(); ++i) {
            if (accepts(key, i, *dtype, key.casting())) continue;
            const std::string_view from =
                key.input_weak(i) ? kind_name(key.input_dtype(i)) : kiln::name(key.input_dtype(i));
            throw Error(ErrorKind::type,
                        fmt::format("cannot cast input {} of {} from {} to {} under {}", i + 1,
                                    name, from, kiln::name(*dtype), kiln::name(key.casting())),
                        where,
                        "dtype= is the type that inputs are converted to; .casting allows more");
        }
        return chosen;
    }
    // With dtype= the user chose the loop, and `casting` says what may happen to the inputs.
    const Casting casting = dtype ? key.casting() : Casting::safe;
    for (const Signature& signature : signatures) {
        if (dtype && signature.types[signature.inputs] != *dtype) continue;
        bool fits = true;
        for (std::size_t i = 0; i < key.inputs(); ++i) {
            fits = fits && accepts(key, i, signature.types[i], casting);
        }
        if (!fits) continue;
        chosen.signature = signature;
        std::copy_n(signature.types.begin(), signature.inputs, chosen.inputs.emplace().begin());
        return chosen;
    }
    std::string candidates;
    for (const Signature& signature : signatures) {
        candidates += (candidates.empty() ? "" : ", ") + to_string(signature);
    }
    throw Error(ErrorKind::type,
                fmt::format("no loop of {} accepts {}{}", name, types_text(key),
                            dtype ? fmt::format(" for dtype {}", kiln::name(*dtype)) : ""),
                where, "candidates: " + candidates + "; convert the arguments with astype");
}

void check_output_cast(const std::string& name, DType from, DType to, Casting casting,
                       Location where) {
    if (can_cast(from, to, casting)) return;
    throw Error(
        ErrorKind::type,
        fmt::format("cannot cast output of {} from {} to {} under {}", name, kiln::name(from),
                    kiln::name(to), kiln::name(casting)),
        where,
        fmt::format("give an output of dtype {}, or allow it with .casting = Casting::unsafe",
                    kiln::name(from)));
}

}  // namespace kiln::engine
