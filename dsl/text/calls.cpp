// Calls: functions of the text become part of the kernel; those of the prelude are operations.
#include "dsl/text/lowering.h"
#include "dsl/text/prelude.h"

#include <clang/AST/DeclCXX.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace kiln::text {

using clang::Expr;
using clang::Stmt;
using llvm::dyn_cast;
using llvm::isa;

static constexpr const char* pointer_hint =
    "kernels call functions that are known when they are compiled";

Place Lowering::call(const clang::CallExpr* e) {
    if (const clang::FunctionDecl* f = e->getDirectCallee()) return call_of(f, e, {});
    const Place pointed = function(e->getCallee());
    return call_of(pointed.function, e, pointed);
}

/// Pointers to functions stand for one function each: which is known where the kernel is made.
Place Lowering::function(const Expr* e) {
    e = e->IgnoreParenImpCasts();
    if (const auto* u = dyn_cast<clang::UnaryOperator>(e);
        u != nullptr && (u->getOpcode() == clang::UO_AddrOf || u->getOpcode() == clang::UO_Deref ||
                         u->getOpcode() == clang::UO_Plus))
        return function(u->getSubExpr());
    if (const auto* t = dyn_cast<clang::SubstNonTypeTemplateParmExpr>(e))
        return function(t->getReplacement());
    if (const auto* c = dyn_cast<clang::ConstantExpr>(e)) return function(c->getSubExpr());
    if (const auto* r = dyn_cast<clang::DeclRefExpr>(e))
        if (const auto* f = dyn_cast<clang::FunctionDecl>(r->getDecl()))
            return {.kind = Place::Kind::function, .function = f};
    if (const auto* c = dyn_cast<clang::CXXMemberCallExpr>(e);
        c != nullptr && is_closure(c->getImplicitObjectArgument()->getType())) {
        const auto* lambda =
            c->getImplicitObjectArgument()->getType()->getAsCXXRecordDecl();  // it converts
        return {.kind = Place::Kind::function, .function = lambda->getLambdaCallOperator()};
    }
    if (isa<clang::DeclRefExpr>(e) || isa<clang::MemberExpr>(e))
        if (const Place found = place(e); found.kind == Place::Kind::function) return found;
    fail(e, "kernels call functions that are known when they are compiled");
}

Place Lowering::call_of(const clang::FunctionDecl* f, const clang::CallExpr* e, Place self) {
    const bool by_pointer = self.kind == Place::Kind::function;
    if (by_pointer) self = {};
    if (const auto* m = dyn_cast<clang::CXXMethodDecl>(f); m != nullptr && m->isVirtual())
        fail(e, fmt::format("{} is a virtual function", f->getNameAsString()),
             "kernels call functions that are known when they are compiled");
    if (is_complex_part(e)) {
        const ir::Id id = complex_part(llvm::cast<clang::CXXMemberCallExpr>(e));
        return Place::of(id, b_.dtype(id));
    }
    const clang::FunctionDecl* body = nullptr;
    f->hasBody(body);
    if (body == nullptr && f->getBuiltinID() != 0)
        if (const auto id = folded(e)) return Place::of(*id, b_.dtype(*id));  // INFINITY, NAN
    if (body == nullptr && session_.in_prelude(f->getLocation())) return call_builtin(e, f);
    std::vector<const Expr*> arguments(e->arg_begin(), e->arg_end());
    if (by_pointer) {
        // A lambda that captures nothing may be one.
    } else if (const auto* m = dyn_cast<clang::CXXMemberCallExpr>(e)) {
        const Expr* object = m->getImplicitObjectArgument();
        if (object->getType()->isPointerType()) {
            if (!isa<clang::CXXThisExpr>(object->IgnoreParenImpCasts()))
                fail(e, "kernels have no pointers", "use a reference");
            self = frame_->self;
        } else {
            self = place(object);
        }
    } else if (isa<clang::CXXOperatorCallExpr>(e) && isa<clang::CXXMethodDecl>(f)) {
        self = place(arguments.front());
        arguments.erase(arguments.begin());
    }
    if (const auto* m = dyn_cast<clang::CXXMethodDecl>(f);
        m != nullptr && (m->isCopyAssignmentOperator() || m->isMoveAssignmentOperator()) &&
        (m->isTrivial() || m->isDefaulted())) {
        assign(self, snapshot(object(arguments.front())));
        return self;
    }
    if (body == nullptr)
        fail(e, fmt::format("{} has no body in the text", f->getNameAsString()),
             "functions become part of the kernel: define it there");
    return inlined(body, arguments, self, e);
}

// ------------------------------------------------------------------------------ functions of the text

Place Lowering::argument(const clang::ParmVarDecl* param, const Expr* e, bool changes) {
    const clang::QualType type = param->getType();
    if (type->isFunctionPointerType() || type->isFunctionReferenceType()) {
        if (changes && type->isPointerType())
            fail(e, "a pointer to a function that changes", pointer_hint);
        return function(e);
    }
    if (type->isReferenceType()) return place(e);
    if (type->isPointerType()) fail(e, "kernels have no pointers", "pass a reference");
    if (is_closure(type)) return object(e);
    const auto t = scalar_type(type);
    if (!changes) {
        if (!t) return snapshot(object(e));
        Place made{.kind = Place::Kind::value, .dtype = *t, .id = ir::none};
        // A counter stays one, so that what is subscripted by it is seen to be in order.
        const Expr* plain = e->IgnoreParenImpCasts();
        if (const auto* r = dyn_cast<clang::DeclRefExpr>(plain);
            r != nullptr && is_integer(*t) && size_of(*t) >= 4)
            if (const auto found = frame_->places.find(r->getDecl());
                found != frame_->places.end() && found->second.wide != ir::none &&
                size_of(*t) >= size_of(found->second.dtype) &&
                (size_of(*t) == 8 || is_signed(*t) == is_signed(found->second.dtype)))
                made.wide = found->second.wide;
        made.id = scalar(e);
        return made;
    }
    const Place slots = allocate(type, e->getExprLoc(), name_of(param));
    if (t)
        store(slots, scalar(e));
    else
        assign(slots, object(e));
    return slots;
}

/// In the body of a lambda what it captured goes by the names of the function around it.
void Lowering::open_closure(const clang::FunctionDecl* f, Frame& frame) {
    const auto* lambda = llvm::cast<clang::CXXMethodDecl>(f)->getParent();
    const Place closure = std::exchange(frame.self, {});
    std::size_t i = 0;
    for (const clang::LambdaCapture& c : lambda->captures()) {
        if (c.capturesVariable())
            frame.places[c.getCapturedVar()] = closure.parts[i];
        else
            frame.self = closure.parts[i];
        ++i;
    }
}

Place Lowering::inlined(const clang::FunctionDecl* f, Pieces arguments, const Place& self,
                        const Expr* e) {
    if (f->isConstexpr())
        if (const auto id = folded(e)) return Place::of(*id, b_.dtype(*id));
    for (const Frame* outer = frame_; outer != nullptr; outer = outer->caller)
        if (outer->function->getCanonicalDecl() == f->getCanonicalDecl())
            fail(e, fmt::format("{} calls itself", f->getNameAsString()),
                 "functions become part of the kernel: write a loop");
    if (f->isVariadic()) fail(e, "kernels do not call functions with ...");
    const Stmt* body = f->getBody();
    auto [known, added] = changed_.try_emplace(f);
    if (added) known->second = changed_in(body);
    Frame frame{.function = f, .caller = frame_, .changed = known->second, .self = self};
    for (unsigned i = 0; i < f->getNumParams(); ++i)
        frame.places[f->getParamDecl(i)] =
            argument(f->getParamDecl(i), arguments[i], frame.changed.contains(f->getParamDecl(i)));
    const clang::QualType type = f->getReturnType();
    frame.returns_directly = returns_once(body);
    frame.region.loops = static_cast<unsigned>(loops_.size());
    frame_ = &frame;
    if (!type->isVoidType() && !type->isReferenceType() && !frame.returns_directly &&
        !isa<clang::CXXConstructorDecl>(f)) {
        at(e);
        frame.result = allocate(type, f->getLocation());
        zero(frame.result);
    }
    if (self.kind == Place::Kind::closure) open_closure(f, frame);
    if (const auto* c = dyn_cast<clang::CXXConstructorDecl>(f)) {
        for (const clang::CXXCtorInitializer* init : c->inits()) {
            const clang::FieldDecl* field = init->getMember();
            if (field == nullptr) fail(e, "kernels have no constructors that delegate");
            initialise(frame.self.parts[field->getFieldIndex()], field->getType(), init->getInit());
        }
    }
    list({body});
    frame_ = frame.caller;
    at(e);
    return frame.result;
}

// ------------------------------------------------------------------------------ those of the prelude

Place Lowering::element(std::uint32_t param, std::span<const ir::Id> subscripts) {
    return {.kind = Place::Kind::element,
            .dtype = b_.kernel().params[param].dtype,
            .target = param,
            .subscripts = trace_.subscripts_of(param, subscripts)};
}

/// So many as there are dimensions, integers all.
void Lowering::check_subscripts(Pieces subscripts, std::size_t rank, const Expr* e) const {
    if (subscripts.size() != rank) {
        const clang::SourceRange array =
            subscripts.empty() ? e->getSourceRange() : clang::SourceRange(e->getBeginLoc());
        keep(ir::rules::subscripts(subscripts.size(), rank, session_.words(array)),
             e->getBeginLoc());
    }
    for (const Expr* s : subscripts)
        if (!s->getType()->isIntegerType())
            session_.fail(
                ErrorKind::type, s->getExprLoc(),
                fmt::format("a subscript is {}, not an integer", s->getType().getAsString()),
                "write static_cast<long>(...)");
}

Place Lowering::element(const Place& array, Pieces subscripts, const Expr* e) {
    const std::size_t rank = trace_.seen_rank(array.target);
    check_subscripts(subscripts, rank, e);
    std::vector<ir::Id> indices;
    for (const Expr* s : subscripts) {
        at(s);
        const ir::Id index = wide(s);
        if (ir::rules::is_outside(b_, index)) {
            const std::string name = session_.words(clang::SourceRange(e->getBeginLoc()));
            keep(ir::rules::outside(
                     b_, index,
                     {.array = name, .rank = rank, .dimension = indices.size(), .name = name}),
                 s->getExprLoc());
        }
        indices.push_back(index);
    }
    at(e);
    return element(array.target, indices);
}

/// std::min({a, b, c}): the first of those that are least.
Place Lowering::extreme_of_list(const clang::CallExpr* e, bool least) {
    const Expr* list = e->getArg(0)->IgnoreUnlessSpelledInSource();
    if (const auto* s = dyn_cast<clang::CXXStdInitializerListExpr>(list)) list = s->getSubExpr();
    const auto* values = dyn_cast<clang::InitListExpr>(list->IgnoreImplicit());
    if (values == nullptr) fail(e, "a list that is not written out", "write { ... } in the call");
    const DType type = dtype(e->getType(), e->getExprLoc());
    ir::Id best = ir::none;
    for (const Expr* one : values->inits()) {
        const ir::Id value = scalar(one);
        at(e);
        best = best == ir::none
                   ? value
                   : b_.apply(ir::Op::select, {least ? b_.apply(ir::Op::lt, {value, best})
                                                     : b_.apply(ir::Op::lt, {best, value}),
                                               value, best});
    }
    return Place::of(best, type);
}

/// Whether it is z.real() or z.imag().
bool Lowering::is_complex_part(const clang::CallExpr* e) const {
    const auto* m = dyn_cast<clang::CXXMemberCallExpr>(e);
    if (m == nullptr || e->getNumArgs() != 0) return false;
    const clang::CXXMethodDecl* f = m->getMethodDecl();
    return f->getIdentifier() != nullptr && (f->getName() == "real" || f->getName() == "imag") &&
           scalar_type(session_.context().getTypeDeclType(f->getParent()));
}

ir::Id Lowering::complex_part(const clang::CXXMemberCallExpr* e) {
    const Expr* object = e->getImplicitObjectArgument();
    const ir::Id value = object->getType()->isPointerType() ? load(frame_->self) : scalar(object);
    at(e);
    const bool is_real = e->getMethodDecl()->getName() == "real";
    return b_.apply(is_real ? ir::Op::real : ir::Op::imag, {value});
}

ir::Id Lowering::complex_operation(const clang::CXXOperatorCallExpr* e) {
    const ir::Id a = scalar(e->getArg(0));
    const ir::Id b = e->getNumArgs() > 1 ? scalar(e->getArg(1)) : ir::none;
    at(e);
    switch (e->getOperator()) {
        case clang::OO_Plus: return b_.apply(ir::Op::add, {a, b});
        case clang::OO_Minus:
            return b == ir::none ? b_.apply(ir::Op::neg, {a}) : b_.apply(ir::Op::sub, {a, b});
        case clang::OO_Star: return b_.apply(ir::Op::mul, {a, b});
        case clang::OO_Slash: return b_.apply(ir::Op::div, {a, b});
        case clang::OO_EqualEqual: return b_.apply(ir::Op::eq, {a, b});
        case clang::OO_ExclaimEqual: return b_.apply(ir::Op::ne, {a, b});
        default:
            fail(e,
                 fmt::format("complex numbers have no operator {}",
                             clang::getOperatorSpelling(e->getOperator())),
                 "take the parts: real(z), imag(z), abs(z)");
    }
}

Place Lowering::extent(const clang::CallExpr* e) {
    const auto* m = llvm::cast<clang::CXXMemberCallExpr>(e);
    const Place array = place(m->getImplicitObjectArgument());
    if (array.neighbors != nullptr)
        return Place::of(
            array.neighbors->index(static_cast<int>(dimension(e, array.neighbors->rank))),
            DType::i64);
    const auto d = dimension(e, static_cast<std::int64_t>(trace_.seen_rank(array.target)));
    return Place::of(trace_.extent(array.target, static_cast<std::uint32_t>(d)), DType::i64);
}

std::int64_t Lowering::dimension(const clang::CallExpr* e, std::int64_t rank) {
    Expr::EvalResult result;
    if (!e->getArg(0)->EvaluateAsInt(result, session_.context()))
        fail(e->getArg(0), "the dimension of an extent is a constant");
    const auto d = result.Val.getInt().getExtValue();
    if (d < 0 || d >= rank)
        session_.fail(ErrorKind::bounds, e->getArg(0)->getExprLoc(),
                      fmt::format("there is no dimension {} of {}", d, rank));
    return d;
}

/// What a stencil reads: its errors are those of the line.
Place Lowering::neighbor(const NeighborAccess& array, Pieces offsets, const Expr* e) {
    check_subscripts(offsets, static_cast<std::size_t>(array.rank), e);
    std::vector<ir::Id> ids;
    for (const Expr* offset : offsets) {
        at(offset);
        ids.push_back(wide(offset));
    }
    at(e);
    const std::uint32_t line = b_.location_index();
    try {
        const ir::Id value = array.at(ids);
        b_.set_location_index(line);
        return Place::of(value, array.dtype);
    } catch (const Error& error) {
        if (error.line() != 0) throw;
        session_.fail(error.kind(), e->getBeginLoc(), error.message(), error.hint());
    }
}

Place Lowering::atomic(const clang::CallExpr* e, llvm::StringRef what) {
    const Place to = place(e->getArg(0));
    const ir::Id value = scalar(e->getArg(1));
    if (to.kind != Place::Kind::element)
        session_.fail(ErrorKind::usage, e->getArg(0)->getExprLoc(),
                      "only elements of arrays need atomic access", "no other iteration sees this");
    keep(ir::rules::atomic(to.dtype), e->getExprLoc());
    const auto row = std::ranges::find(atomics(), std::string_view(what), &Atomic::name);
    at(e);
    const ir::Id before =
        b_.atomic(row->reduction, to.target, to.subscripts, b_.cast(value, to.dtype));
    trace_.note_written(to.target, to.subscripts);
    return Place::of(before, to.dtype);
}

Place Lowering::call_builtin(const clang::CallExpr* e, const clang::FunctionDecl* f) {
    if (isa<clang::CXXOperatorCallExpr>(e) && f->getOverloadedOperator() == clang::OO_Call) {
        std::vector<const Expr*> subscripts(e->arg_begin() + 1, e->arg_end());
        const Place array = place(e->getArg(0));
        return array.neighbors != nullptr ? neighbor(*array.neighbors, subscripts, e)
                                          : element(array, subscripts, e);
    }
    if (const auto* o = dyn_cast<clang::CXXOperatorCallExpr>(e);
        o != nullptr && scalar_type(o->getArg(0)->getType())) {
        const ir::Id id = complex_operation(o);
        return Place::of(id, b_.dtype(id));
    }
    if (!f->getIdentifier()) fail(e, "kernels do not call this", "make it a function with a name");
    const llvm::StringRef name = f->getName();
    if (isa<clang::CXXMemberCallExpr>(e) && (name == "extent" || name == "index")) return extent(e);
    if (name.starts_with("atomic_")) return atomic(e, name.drop_front(7));
    if (e->getNumArgs() == 1 && (name == "min" || name == "max"))
        return extreme_of_list(e, name == "min");
    const std::optional<Builtin> made = builtin(std::string_view(name));
    if (!made) fail(e, fmt::format("kernels do not call {} here", std::string_view(name)));
    const DType result = dtype(f->getReturnType(), e->getExprLoc());
    std::vector<ir::Id> ids;
    for (const Expr* a : e->arguments()) ids.push_back(scalar(a));
    at(e);
    // Numbers meet in the type of the result; what is told of numbers is told of them as they are.
    const bool told = is_bool(result);
    const bool first_is_bool = made->op == ir::Op::select;
    const bool powers = name == "ldexp";
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (!told && !(i == 0 && first_is_bool) && !(i == 1 && powers) && name != "bitwise_count" &&
            (is_complex(result) || !is_complex(b_.dtype(ids[i]))))
            ids[i] = b_.cast(ids[i], result);
    if (made->kind == Builtin::Kind::operation) {
        const ir::Id id =
            made->op == ir::Op::pow ? ir::power(b_, ids[0], ids[1]) : b_.apply(made->op, ids);
        return Place::of(b_.cast(id, result), result);
    }
    const auto operand = [&](std::size_t i) {
        return Operand(trace_.value(ids[i]), std::source_location());
    };
    const std::uint32_t line = b_.location_index();
    const Value value = made->unary != nullptr ? made->unary(operand(0))
                        : made->binary != nullptr
                            ? made->binary(operand(0), operand(1))
                            : made->ternary(operand(0), operand(1), operand(2));
    b_.set_location_index(line);
    return Place::of(b_.cast(trace_.id(value), result), result);
}

}  // namespace kiln::text
