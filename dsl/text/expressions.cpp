// Numbers: operators, conversions, and what is evaluated only where C++ does.
#include "dsl/text/lowering.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln::text {

using clang::Expr;
using clang::QualType;
using clang::Stmt;
using ir::Op;

using llvm::dyn_cast;
using llvm::isa;

// ------------------------------------------------------------------------------ constants

namespace {

Scalar number(const llvm::APSInt& value, DType type) {
    return is_bool(type)
               ? Scalar::of(value.getBoolValue())
               : Scalar::of(static_cast<std::int64_t>(value.extOrTrunc(64).getZExtValue()))
                     .cast(type);
}
Scalar number(llvm::APFloat value, DType type) {
    bool exact = true;
    value.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &exact);
    return Scalar::of(value.convertToDouble()).cast(type);
}

}  // namespace

ir::Id Lowering::constant(const clang::APValue& value, QualType type, const Stmt* at) {
    const DType t = dtype(type, at->getBeginLoc());
    if (value.isInt()) return b_.constant(number(value.getInt(), t));
    if (value.isFloat()) return b_.constant(number(value.getFloat(), t));
    if (value.isStruct() && is_complex(t)) {
        const DType part = real_type(t);
        return b_.apply(Op::make_complex,
                        {b_.constant(number(value.getStructField(0).getFloat(), part)),
                         b_.constant(number(value.getStructField(1).getFloat(), part))});
    }
    fail(at, "kernels do not take this constant");
}

/// What Clang computes itself: sizes, members of classes that are constants, template arguments.
std::optional<ir::Id> Lowering::folded(const Expr* e) {
    Expr::EvalResult result;
    if (!scalar_type(e->getType()) || !e->EvaluateAsRValue(result, session_.context()) ||
        result.HasSideEffects)
        return std::nullopt;
    if (!result.Val.isInt() && !result.Val.isFloat() && !result.Val.isStruct()) return std::nullopt;
    return constant(result.Val, e->getType(), e);
}

// ------------------------------------------------------------------------------ values

/// std::complex<T>(re, im), one from another, or from nothing.
ir::Id Lowering::complex(const clang::CXXConstructExpr* e) {
    const DType own = dtype(session_.context().getBaseElementType(e->getType()), e->getExprLoc());
    const DType part = real_type(own);
    ir::Id parts[2] = {ir::none, ir::none};
    for (unsigned i = 0; i < e->getNumArgs() && i < 2; ++i) {
        const ir::Id value = scalar(e->getArg(i));
        at(e);
        if (is_complex(b_.dtype(value))) return b_.cast(value, own);
        parts[i] = b_.cast(value, part);
    }
    for (ir::Id& id : parts)
        if (id == ir::none) id = b_.constant(Scalar::of(0.0).cast(part));
    return b_.apply(Op::make_complex, {parts[0], parts[1]});
}

ir::Id Lowering::scalar(const Expr* e) {
    e = e->IgnoreParens();
    if (e->isGLValue()) return loaded(e);
    if (const auto* w = dyn_cast<clang::ExprWithCleanups>(e)) return scalar(w->getSubExpr());
    if (const auto* w = dyn_cast<clang::CXXBindTemporaryExpr>(e)) return scalar(w->getSubExpr());
    if (const auto* c = dyn_cast<clang::ConstantExpr>(e)) {
        if (const auto id = folded(c)) return *id;
        return scalar(c->getSubExpr());
    }
    if (const auto* d = dyn_cast<clang::CXXDefaultArgExpr>(e)) return scalar(d->getExpr());
    if (const auto* d = dyn_cast<clang::CXXDefaultInitExpr>(e)) return scalar(d->getExpr());
    if (const auto* t = dyn_cast<clang::SubstNonTypeTemplateParmExpr>(e))
        return scalar(t->getReplacement());
    if (const auto* i = dyn_cast<clang::IntegerLiteral>(e))
        return b_.constant(number(llvm::APSInt(i->getValue(), !i->getType()->isSignedIntegerType()),
                                  dtype(e->getType(), e->getExprLoc())));
    if (const auto* f = dyn_cast<clang::FloatingLiteral>(e))
        return b_.constant(number(f->getValue(), dtype(e->getType(), e->getExprLoc())));
    if (const auto* b = dyn_cast<clang::CXXBoolLiteralExpr>(e))
        return b_.constant_bool(b->getValue());
    // What is a number in the text is one in the kernel: -1, 2.0 / 3.
    if (isa<clang::UnaryOperator>(e) || isa<clang::BinaryOperator>(e))
        if (const auto id = folded(e)) return *id;
    if (const auto* r = dyn_cast<clang::CXXRewrittenBinaryOperator>(e))
        return scalar(r->getSemanticForm());
    if (isa<clang::UserDefinedLiteral>(e))
        if (const auto id = folded(e)) return *id;
    if (const auto* c = dyn_cast<clang::CXXConstructExpr>(e);
        c != nullptr && scalar_type(e->getType()))
        return complex(c);
    if (const auto* c = dyn_cast<clang::CastExpr>(e)) return cast(c);
    if (const auto* u = dyn_cast<clang::UnaryOperator>(e)) return unary(u);
    if (const auto* o = dyn_cast<clang::BinaryOperator>(e)) return binary(o);
    if (const auto* c = dyn_cast<clang::AbstractConditionalOperator>(e)) return conditional(c);
    if (const auto* c = dyn_cast<clang::CallExpr>(e)) {
        const Place made = call(c);
        if (made.kind == Place::Kind::nothing) {
            if (e->getType()->isVoidType()) return ir::none;
            fail(e, "a function that ends without a return");
        }
        return load(made);
    }
    if (const auto* values = dyn_cast<clang::InitListExpr>(e); values != nullptr) {
        if (values->getNumInits() == 1) return scalar(values->getInit(0));
        return b_.constant(Scalar::of(false).cast(dtype(e->getType(), e->getExprLoc())));
    }
    if (isa<clang::CXXScalarValueInitExpr>(e) || isa<clang::ImplicitValueInitExpr>(e))
        return b_.constant(Scalar::of(false).cast(dtype(e->getType(), e->getExprLoc())));
    if (isa<clang::CXXNewExpr>(e) || isa<clang::CXXDeleteExpr>(e) || isa<clang::CXXThrowExpr>(e) ||
        isa<clang::LambdaExpr>(e) || isa<clang::StringLiteral>(e))
        refuse(e);
    if (const auto id = folded(e)) return *id;
    refuse(e);
}

/// What an lvalue holds.
ir::Id Lowering::loaded(const Expr* lvalue) {
    const Expr* e = lvalue->IgnoreParens();
    if (const auto* c = dyn_cast<clang::AbstractConditionalOperator>(e)) return conditional(c);
    if (const auto* r = dyn_cast<clang::DeclRefExpr>(e); r != nullptr) {
        if (const auto* v = dyn_cast<clang::VarDecl>(r->getDecl());
            v != nullptr && !frame_->places.contains(v) && r->getType()->isReferenceType() == false)
            if (const auto id = folded(lvalue)) return *id;
    }
    const Place from = place(e);
    at(lvalue);
    if (from.kind != Place::Kind::value && from.kind != Place::Kind::slot &&
        from.kind != Place::Kind::element)
        fail(lvalue, "an object is used as a number");
    return load(from);
}

ir::Id Lowering::cast(const clang::CastExpr* e) {
    const Expr* from = e->getSubExpr();
    switch (e->getCastKind()) {
        case clang::CK_LValueToRValue:
            // An element of a constant array, where Clang knows which.
            if (isa<clang::ArraySubscriptExpr>(from->IgnoreParens()))
                if (const auto id = folded(e)) return *id;
            return loaded(from);
        case clang::CK_NoOp:
        case clang::CK_ConstructorConversion:
        case clang::CK_UserDefinedConversion: return scalar(from);
        case clang::CK_IntegralCast: {
            const DType to = dtype(e->getType(), e->getExprLoc());
            // A counter of a loop as it is counted.
            if (size_of(to) == 8)
                if (const auto* load = dyn_cast<clang::ImplicitCastExpr>(from->IgnoreParens());
                    load != nullptr && load->getCastKind() == clang::CK_LValueToRValue &&
                    isa<clang::DeclRefExpr>(load->getSubExpr()->IgnoreParens()))
                    return b_.cast(wide(from), to);
            const ir::Id value = scalar(from);
            at(e);
            return b_.cast(value, to);
        }
        case clang::CK_FloatingCast:
        case clang::CK_IntegralToFloating:
        case clang::CK_FloatingToIntegral:
        case clang::CK_BooleanToSignedIntegral: {
            const ir::Id value = scalar(from);
            at(e);
            return b_.cast(value, dtype(e->getType(), e->getExprLoc()));
        }
        case clang::CK_IntegralToBoolean:
        case clang::CK_FloatingToBoolean: return b_.truth(scalar(from));
        case clang::CK_ToVoid: scalar(from); return ir::none;
        case clang::CK_ArrayToPointerDecay:
        case clang::CK_FunctionToPointerDecay:
        case clang::CK_NullToPointer:
        case clang::CK_PointerToIntegral:
        case clang::CK_IntegralToPointer:
        case clang::CK_PointerToBoolean: fail(e, "kernels have no pointers", "use an index");
        default: fail(e, fmt::format("kernels have no such conversion ({})", e->getCastKindName()));
    }
}

ir::Id Lowering::unary(const clang::UnaryOperator* e) {
    if (e->isIncrementDecrementOp()) {
        ir::Id before = ir::none;
        const Place after = increment(e, &before);
        return e->isPostfix() ? before : load(after);
    }
    const auto apply = [&](Op op) {
        const ir::Id value = scalar(e->getSubExpr());
        at(e);
        return b_.apply(op, {value});
    };
    switch (e->getOpcode()) {
        case clang::UO_Plus:
        case clang::UO_Extension: return scalar(e->getSubExpr());
        case clang::UO_Minus: return apply(Op::neg);
        case clang::UO_Not: return apply(Op::bit_not);
        case clang::UO_LNot: return apply(Op::logical_not);
        case clang::UO_AddrOf:
        case clang::UO_Deref: fail(e, "kernels have no pointers", "use a reference or an index");
        default: refuse(e);
    }
}

Place Lowering::increment(const clang::UnaryOperator* e, ir::Id* before) {
    const Place to = place(e->getSubExpr());
    at(e);
    const ir::Id old = load(to);
    if (before != nullptr) *before = old;
    const DType t = dtype(e->getSubExpr()->getType(), e->getExprLoc());
    store(to, b_.apply(e->isIncrementOp() ? Op::add : Op::sub,
                       {old, b_.constant(Scalar::of(1).cast(t))}));
    return to;
}

ir::Id Lowering::operation(clang::BinaryOperatorKind kind, ir::Id a, ir::Id b, const Expr* e) {
    switch (kind) {
        case clang::BO_Mul: return b_.apply(Op::mul, {a, b});
        case clang::BO_Div: return b_.apply(Op::div, {a, b});
        case clang::BO_Rem: return b_.apply(Op::rem, {a, b});
        case clang::BO_Add: return b_.apply(Op::add, {a, b});
        case clang::BO_Sub: return b_.apply(Op::sub, {a, b});
        // The left side alone says in what a shift computes.
        case clang::BO_Shl: return b_.apply(Op::shl, {a, b_.cast(b, b_.dtype(a))});
        case clang::BO_Shr: return b_.apply(Op::shr, {a, b_.cast(b, b_.dtype(a))});
        case clang::BO_LT: return b_.apply(Op::lt, {a, b});
        case clang::BO_GT: return b_.apply(Op::gt, {a, b});
        case clang::BO_LE: return b_.apply(Op::le, {a, b});
        case clang::BO_GE: return b_.apply(Op::ge, {a, b});
        case clang::BO_EQ: return b_.apply(Op::eq, {a, b});
        case clang::BO_NE: return b_.apply(Op::ne, {a, b});
        case clang::BO_And: return b_.apply(Op::bit_and, {a, b});
        case clang::BO_Or: return b_.apply(Op::bit_or, {a, b});
        case clang::BO_Xor: return b_.apply(Op::bit_xor, {a, b});
        default: refuse(e);
    }
}

ir::Id Lowering::binary(const clang::BinaryOperator* e) {
    if (e->isLogicalOp()) return logical(e);
    if (e->isAssignmentOp()) return load(assignment(e));
    if (e->getOpcode() == clang::BO_Comma) {
        statement(e->getLHS());
        return scalar(e->getRHS());
    }
    const ir::Id a = scalar(e->getLHS()), b = scalar(e->getRHS());
    at(e);
    return operation(e->getOpcode(), a, b, e);
}

namespace {

/// Whether `own op= right`, which C++ computes in another type, comes to the same in `own`: the low
/// bits of these operations depend on low bits alone. Such an update is one that loops accumulate by.
bool computes_as(clang::BinaryOperatorKind kind, DType own, DType computes, const Expr* right) {
    const bool bitwise = kind == clang::BO_And || kind == clang::BO_Or || kind == clang::BO_Xor;
    if (is_bool(own)) return bitwise && right->IgnoreParenImpCasts()->getType()->isBooleanType();
    return is_integer(own) && is_integer(computes) && size_of(own) <= size_of(computes) &&
           (bitwise || kind == clang::BO_Add || kind == clang::BO_Sub || kind == clang::BO_Mul);
}

}  // namespace

Place Lowering::assignment(const clang::BinaryOperator* e) {
    const Expr* left = e->getLHS();
    if (const auto* c = dyn_cast<clang::CompoundAssignOperator>(e)) {
        const ir::Id right = scalar(e->getRHS());
        const Place to = place(left);
        at(e);
        const DType computes = dtype(c->getComputationLHSType(), e->getExprLoc());
        const DType own = dtype(left->getType(), e->getExprLoc());
        const auto kind = clang::BinaryOperator::getOpForCompoundAssignment(e->getOpcode());
        if (computes_as(kind, own, computes, e->getRHS())) {
            store(to, operation(kind, load(to), b_.cast(right, own), e));
            return to;
        }
        const ir::Id result = operation(kind, b_.cast(load(to), computes), right, e);
        store(to, b_.cast(result, own));
        return to;
    }
    const ir::Id right = scalar(e->getRHS());
    const Place to = place(left);
    at(e);
    store(to, right);
    return to;
}

// ------------------------------------------------------------------------------ what runs where

/// Whether nothing tells that `e` was evaluated where C++ would not: it has no effects, touches no
/// memory, and is not expensive beyond what a branch costs.
bool Lowering::may_run_early(const Expr* e) const {
    const Stmt* s = e->IgnoreParens();
    if (const auto* c = dyn_cast<clang::CallExpr>(s)) {
        const clang::FunctionDecl* f = c->getDirectCallee();
        if (f == nullptr || !session_.in_prelude(f->getLocation())) return false;
        if (is_complex_part(c))
            return may_run_early(
                llvm::cast<clang::CXXMemberCallExpr>(c)->getImplicitObjectArgument());
        if (f->hasBody()) return false;
        if (isa<clang::CXXOperatorCallExpr>(c)) {
            if (!scalar_type(c->getArg(0)->getType())) return false;
        } else if (f->getName().starts_with("atomic_") ||
                   (f->getName() == "pow" && f->getReturnType()->isIntegerType())) {
            return false;
        }
    } else if (const auto* b = dyn_cast<clang::BinaryOperator>(s)) {
        const bool divides = b->getOpcode() == clang::BO_Div || b->getOpcode() == clang::BO_Rem;
        if (b->isAssignmentOp()) return false;
        if (divides && trace_.checked() && b->getType()->isIntegerType()) return false;
    } else if (const auto* u = dyn_cast<clang::UnaryOperator>(s)) {
        if (u->isIncrementDecrementOp()) return false;
    } else if (!isa<clang::CastExpr>(s) && !isa<clang::DeclRefExpr>(s) &&
               !isa<clang::IntegerLiteral>(s) && !isa<clang::FloatingLiteral>(s) &&
               !isa<clang::CXXBoolLiteralExpr>(s) && !isa<clang::MemberExpr>(s) &&
               !isa<clang::CXXThisExpr>(s) && !isa<clang::ConstantExpr>(s) &&
               !isa<clang::CharacterLiteral>(s) && !isa<clang::SubstNonTypeTemplateParmExpr>(s) &&
               !isa<clang::MaterializeTemporaryExpr>(s) &&
               !isa<clang::AbstractConditionalOperator>(s) &&
               !(isa<clang::CXXConstructExpr>(s) && scalar_type(e->getType()))) {
        return false;
    }
    for (const Stmt* child : s->children())
        if (const auto* part = llvm::dyn_cast_or_null<Expr>(child);
            part != nullptr && !may_run_early(part))
            return false;
    return true;
}

ir::Id Lowering::logical(const clang::BinaryOperator* e) {
    const bool is_and = e->getOpcode() == clang::BO_LAnd;
    const ir::Id first = scalar(e->getLHS());
    if (may_run_early(e->getRHS())) {
        const ir::Id second = scalar(e->getRHS());
        at(e);
        return b_.apply(is_and ? Op::logical_and : Op::logical_or, {first, second});
    }
    at(e);
    const std::uint32_t slot = new_slot(DType::bool_);
    b_.write(slot, first);
    b_.begin_branch(is_and ? first : b_.apply(Op::logical_not, {first}));
    b_.write(slot, scalar(e->getRHS()));
    b_.end();
    return b_.read(slot);
}

namespace {

/// Of integers, a < b ? b : a and its kin (std::max) are a maximum or minimum, by which loops
/// accumulate; of floats they are not, where one is NaN.
std::optional<Op> extreme_of(const clang::AbstractConditionalOperator* e) {
    const auto* c = dyn_cast<clang::BinaryOperator>(e->getCond()->IgnoreParenImpCasts());
    if (c == nullptr || !c->isRelationalOp() || !e->getType()->isIntegerType()) return std::nullopt;
    const auto variable = [&](const Expr* x) -> const clang::ValueDecl* {
        const auto* r = dyn_cast<clang::DeclRefExpr>(x->IgnoreParenImpCasts());
        return r != nullptr && r->getType()->isIntegerType() &&
                       x->getType().getCanonicalType() == e->getType().getCanonicalType()
                   ? r->getDecl()
                   : nullptr;
    };
    const auto *x = variable(c->getLHS()), *y = variable(c->getRHS());
    const auto *first = variable(e->getTrueExpr()), *second = variable(e->getFalseExpr());
    const bool less = c->getOpcode() == clang::BO_LT || c->getOpcode() == clang::BO_LE;
    if (x == nullptr || y == nullptr) return std::nullopt;
    if (x == first && y == second) return less ? Op::minimum : Op::maximum;
    if (x == second && y == first) return less ? Op::maximum : Op::minimum;
    return std::nullopt;
}

}  // namespace

ir::Id Lowering::conditional(const clang::AbstractConditionalOperator* e) {
    if (isa<clang::BinaryConditionalOperator>(e))
        fail(e, "a conditional without a middle", "write a ? a : b");
    const Expr *a = e->getTrueExpr(), *b = e->getFalseExpr();
    if (const auto extreme = extreme_of(e)) {
        const ir::Id first = scalar(a), second = scalar(b);
        at(e);
        return b_.apply(*extreme, {first, second});
    }
    const ir::Id condition = scalar(e->getCond());
    const DType type = dtype(e->getType(), e->getExprLoc());
    if (may_run_early(a) && may_run_early(b)) {
        const ir::Id first = scalar(a), second = scalar(b);
        at(e);
        return b_.apply(Op::select, {condition, first, second});
    }
    at(e);
    const std::uint32_t slot = new_slot(type);
    b_.begin_branch(condition);
    b_.write(slot, scalar(a));
    b_.begin_else();
    b_.write(slot, scalar(b));
    b_.end();
    return b_.read(slot);
}

// ------------------------------------------------------------------------------ indices

/// An integer as i64. Signed arithmetic that overflows has no meaning in C++: it is computed as if
/// it were wide, so that subscripts stay sums of counters.
ir::Id Lowering::wide(const Expr* e) {
    e = e->IgnoreParens();
    const auto type = scalar_type(e->getType());
    if (e->isPRValue() && !isa<clang::IntegerLiteral>(e))
        if (const auto id = folded(e)) return b_.cast(*id, DType::i64);
    if (const auto* c = dyn_cast<clang::CastExpr>(e)) {
        const Expr* from = c->getSubExpr();
        if (c->getCastKind() == clang::CK_LValueToRValue) {
            const Expr* variable = from->IgnoreParens();
            if (isa<clang::DeclRefExpr>(variable) && !variable->getType()->isReferenceType()) {
                const auto* d = llvm::cast<clang::DeclRefExpr>(variable)->getDecl();
                const auto found = frame_->places.find(d);
                if (found != frame_->places.end() && found->second.wide != ir::none)
                    return found->second.wide;
            }
        } else if (c->getCastKind() == clang::CK_IntegralCast) {
            const auto inner = scalar_type(from->getType());
            if (type && inner && !is_bool(*inner) &&
                (size_of(*type) == 8 ||
                 (size_of(*inner) < size_of(*type) && (!is_signed(*inner) || is_signed(*type)))))
                return wide(from);
        }
    }
    const bool exact = type && is_integer(*type) &&
                       (size_of(*type) == 8 || (is_signed(*type) && size_of(*type) == 4));
    if (const auto* b = dyn_cast<clang::BinaryOperator>(e); b != nullptr && exact) {
        const auto kind = b->getOpcode();
        if (kind == clang::BO_Add || kind == clang::BO_Sub || kind == clang::BO_Mul) {
            const ir::Id first = wide(b->getLHS()), second = wide(b->getRHS());
            at(e);
            return operation(kind, first, second, e);
        }
    }
    return b_.cast(scalar(e), DType::i64);
}

/// Whether `e` has one value while statements run that change `changed`.
bool Lowering::keeps_value(const Expr* e, const Changed& changed) const {
    const Stmt* s = e->IgnoreParens();
    if (const auto* r = dyn_cast<clang::DeclRefExpr>(s)) {
        const auto found = frame_->places.find(r->getDecl());
        if (isa<clang::FunctionDecl>(r->getDecl())) return true;
        if (found == frame_->places.end()) return r->getType().isConstQualified();
        const Place::Kind kind = found->second.kind;
        if (kind == Place::Kind::value || kind == Place::Kind::array) return true;
        // By whatever name the statements change it.
        return kind == Place::Kind::slot &&
               std::ranges::none_of(changed, [&](const clang::ValueDecl* d) {
                   const auto other = frame_->places.find(d);
                   return other != frame_->places.end() &&
                          other->second.kind == Place::Kind::slot &&
                          other->second.target == found->second.target;
               });
    }
    if (isa<clang::ArraySubscriptExpr>(s)) return false;
    if (const auto* m = dyn_cast<clang::MemberExpr>(s);
        m != nullptr && isa<clang::FieldDecl>(m->getMemberDecl()))
        return false;
    if (const auto* c = dyn_cast<clang::CXXMemberCallExpr>(s)) {
        const clang::FunctionDecl* f = c->getDirectCallee();
        return f != nullptr && session_.in_prelude(f->getLocation()) && !f->hasBody() &&
               f->getName() == "extent";
    }
    if (!may_run_early(e)) return false;
    for (const Stmt* child : s->children())
        if (const auto* part = llvm::dyn_cast_or_null<Expr>(child);
            part != nullptr && !keeps_value(part, changed))
            return false;
    return true;
}

}  // namespace kiln::text
