#include <kiln/dtype.h>
#include <kiln/environment.h>
#include <kiln/error.h>

#include <complex>

namespace kiln {

DType complex_type(DType t) { return promote(t, DType::c64); }

std::string_view name(Casting casting) {
    switch (casting) {
        case Casting::no: return "no";
        case Casting::equiv: return "equiv";
        case Casting::safe: return "safe";
        case Casting::same_kind: return "same_kind";
        case Casting::unsafe: return "unsafe";
    }
    return "unknown";
}

namespace {
/// Where a kind stands in NumPy's order b < u < i < f < c: an unsigned integer may become a signed
/// one within same_kind, but not the other way round.
int same_kind_rank(Kind kind) {
    switch (kind) {
        case Kind::boolean: return 0;
        case Kind::unsigned_integer: return 1;
        case Kind::signed_integer: return 2;
        case Kind::real: return 3;
        case Kind::complex: return 4;
    }
    return -1;
}
}  // namespace

bool can_cast(DType from, DType to, Casting casting) {
    switch (casting) {
        case Casting::no:
        case Casting::equiv: return from == to;
        case Casting::safe: return promote(from, to) == to;
        case Casting::same_kind:
            return promote(from, to) == to ||
                   same_kind_rank(kind_of(from)) <= same_kind_rank(kind_of(to));
        case Casting::unsafe: return true;
    }
    return false;
}

Scalar Scalar::cast(DType to) const {
    const detail::DefaultEnvironment environment;
    return visit_dtype(dtype, [&](auto from_type) {
        using From = typename decltype(from_type)::type;
        return visit_dtype(to, [&](auto to_type) {
            using To = typename decltype(to_type)::type;
            return Scalar::of(convert<To>(get<From>()));
        });
    });
}

Scalar Scalar::safe_cast(DType to, std::source_location where) const {
    if (can_cast(dtype, to, Casting::safe)) return cast(to);
    const auto cpp_name = [](DType t) -> std::string {
        switch (t) {
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    case DType::id: return #cpp;
#include <kiln/dtype.def>
#undef KILN_DTYPE
        }
        __builtin_unreachable();
    };
    throw Error(ErrorKind::type,
                "a value of type " + std::string(name(dtype)) + " is read as " +
                    std::string(name(to)) + ", which does not hold all of them",
                where,
                "read it as " + cpp_name(dtype) + ", or convert it: cast(kiln::" +
                    (to == DType::bool_ ? "bool_" : std::string(name(to))) + ")");
}

}  // namespace kiln
