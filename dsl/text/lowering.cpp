// Variables and what else can be assigned to; objects of classes, part by part.
#include "dsl/text/lowering.h"

#include <clang/AST/DeclCXX.h>
#include <clang/AST/StmtCXX.h>

#include <algorithm>

#include <fmt/format.h>

namespace kiln::text {

using clang::Expr;
using clang::QualType;
using clang::Stmt;
using llvm::dyn_cast;
using llvm::isa;

// ------------------------------------------------------------------------------ what changes

namespace {

class ChangeFinder {
  public:
    explicit ChangeFinder(Changed& changed) : changed_(changed) {}

    /// `only_read`: what `s` names is not changed by what is around it.
    void visit(const Stmt* s, bool only_read) {
        if (s == nullptr) return;
        if (const auto* r = dyn_cast<clang::DeclRefExpr>(s)) {
            if (!only_read && !r->getType().isConstQualified()) note(r->getDecl());
            return;
        }
        if (const auto* c = dyn_cast<clang::ImplicitCastExpr>(s)) {
            const bool reads =
                c->getCastKind() == clang::CK_LValueToRValue || c->getType().isConstQualified();
            const bool keeps = c->getCastKind() == clang::CK_NoOp ||
                               c->getCastKind() == clang::CK_ArrayToPointerDecay;
            return visit(c->getSubExpr(), reads || (keeps && only_read));
        }
        if (const auto* p = dyn_cast<clang::ParenExpr>(s)) return visit(p->getSubExpr(), only_read);
        if (const auto* c = dyn_cast<clang::CastExpr>(s); c && c->getCastKind() == clang::CK_ToVoid)
            return visit(c->getSubExpr(), true);
        if (const auto* m = dyn_cast<clang::MemberExpr>(s))
            return visit(m->getBase(), only_read || m->getType().isConstQualified());
        if (const auto* a = dyn_cast<clang::ArraySubscriptExpr>(s)) {
            visit(a->getBase(), only_read);
            return visit(a->getIdx(), false);
        }
        if (const auto* c = dyn_cast<clang::AbstractConditionalOperator>(s)) {
            visit(c->getCond(), false);
            visit(c->getTrueExpr(), only_read);
            return visit(c->getFalseExpr(), only_read);
        }
        if (const auto* d = dyn_cast<clang::DeclStmt>(s)) {
            for (const clang::Decl* one : d->decls()) declaration(one);
            return;
        }
        if (const auto* l = dyn_cast<clang::LambdaExpr>(s)) {
            // What is captured by reference changes where the body changes it.
            auto init = l->capture_init_begin();
            for (const clang::LambdaCapture& c : l->captures()) {
                const bool is_name =
                    c.getCaptureKind() == clang::LCK_ByRef && !l->isInitCapture(&c);
                if (!is_name) visit(*init, false);
                ++init;
            }
            return visit(l->getBody(), false);
        }
        for (const Stmt* child : s->children()) visit(child, false);
    }

  private:
    void declaration(const clang::Decl* d) {
        const auto* v = dyn_cast<clang::VarDecl>(d);
        if (v == nullptr) return;
        visit(v->getInit(), v->getType()->isReferenceType() &&
                                v->getType().getNonReferenceType().isConstQualified());
        if (const auto* bound = dyn_cast<clang::DecompositionDecl>(v)) {
            // What changes a binding changes what is bound.
            if (v->getType()->isReferenceType()) return;
            for (const clang::BindingDecl* b : bound->bindings()) owners_[b] = v;
        }
    }
    void note(const clang::ValueDecl* d) {
        changed_.insert(d);
        if (const auto owner = owners_.find(d); owner != owners_.end())
            changed_.insert(owner->second);
    }

    Changed& changed_;
    std::map<const clang::ValueDecl*, const clang::ValueDecl*> owners_;
};

}  // namespace

Changed changed_in(const Stmt* body) {
    Changed changed;
    ChangeFinder(changed).visit(body, false);
    return changed;
}

// ------------------------------------------------------------------------------ places in the text

void Lowering::fail(const Stmt* at, const std::string& message, const std::string& hint) const {
    clang::SourceLocation place = at->getBeginLoc();
    if (const auto* e = dyn_cast<Expr>(at)) place = e->getExprLoc();
    session_.fail(ErrorKind::unsupported, place, message, hint);
}

void Lowering::keep(const ir::rules::Verdict& verdict, clang::SourceLocation at) const {
    if (verdict) session_.fail(verdict->kind, at, verdict->message, verdict->hint);
}

void Lowering::at(const Stmt* statement) {
    const auto* e = dyn_cast<Expr>(statement);
    at(e != nullptr ? e->getExprLoc() : statement->getBeginLoc());
}
void Lowering::at(clang::SourceLocation place) {
    // What the prelude is made of belongs to the line that uses it.
    if (const Location where = session_.location(place); where.line != 0) b_.set_location(where);
}

// ------------------------------------------------------------------------------ types

std::optional<DType> dtype_of_type(QualType type, const clang::ASTContext& context) {
    type = type.getCanonicalType();
    if (const auto* e = type->getAs<clang::EnumType>()) {
        if (!e->getDecl()->isComplete()) return std::nullopt;
        type = e->getDecl()->getIntegerType().getCanonicalType();
    }
    if (const auto* record =
            dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(type->getAsCXXRecordDecl());
        record != nullptr && record->isInStdNamespace() && record->getName() == "complex") {
        const auto part = dtype_of_type(record->getTemplateArgs()[0].getAsType(), context);
        if (part == DType::f32) return DType::c64;
        if (part == DType::f64) return DType::c128;
        return std::nullopt;
    }
    const auto* b = dyn_cast<clang::BuiltinType>(type.getTypePtr());
    if (b == nullptr) return std::nullopt;
    switch (b->getKind()) {
        case clang::BuiltinType::Float16: return DType::f16;
        case clang::BuiltinType::BFloat16: return DType::bf16;
        case clang::BuiltinType::Float: return DType::f32;
        case clang::BuiltinType::Double: return DType::f64;
        case clang::BuiltinType::Bool: return DType::bool_;
        default: break;
    }
    if (!b->isInteger()) return std::nullopt;
    const auto bits = context.getTypeSize(type);
    if (bits > 64) return std::nullopt;
    const bool negative = b->isSignedInteger();
    switch (bits) {
        case 8: return negative ? DType::i8 : DType::u8;
        case 16: return negative ? DType::i16 : DType::u16;
        case 32: return negative ? DType::i32 : DType::u32;
        default: return negative ? DType::i64 : DType::u64;
    }
}

DType Lowering::dtype(QualType type, clang::SourceLocation at) const {
    if (const auto t = scalar_type(type)) return *t;
    if (type->isPointerType() || type->isNullPtrType())
        session_.fail(ErrorKind::unsupported, at, "kernels have no pointers",
                      "use a reference or an index");
    session_.fail(ErrorKind::unsupported, at,
                  fmt::format("kernels have no numbers of type {}", type.getAsString()));
}

// ------------------------------------------------------------------------------ variables

std::uint32_t Lowering::new_slot(DType dtype, std::uint32_t length, std::string name) {
    if (name.empty()) name = fmt::format("{}{}", length == 1 ? 'v' : 'a', b_.kernel().slots.size());
    return b_.add_slot({std::move(name), dtype, length});
}

/// What the text calls a variable; nothing where that is the prelude's.
std::string Lowering::name_of(const clang::ValueDecl* variable) const {
    return session_.in_prelude(variable->getLocation()) ? "" : variable->getNameAsString();
}

namespace {

constexpr std::uint64_t max_elements = 65536, max_spread = 64;

/// Of an array of arrays, the innermost elements and how many there are.
std::pair<QualType, std::uint64_t> elements_of(QualType type, const clang::ASTContext& context) {
    std::uint64_t count = 1;
    while (const auto* a = context.getAsConstantArrayType(type)) {
        count *= a->getSize().getZExtValue();
        type = a->getElementType();
    }
    return {type, count};
}

}  // namespace

Place Lowering::allocate(QualType type, clang::SourceLocation at, const std::string& called) {
    const auto make = [&](const auto& self, QualType t, std::uint64_t count,
                          const std::string& name) -> Place {
        const auto [element, inside] = elements_of(t, session_.context());
        count *= inside;
        if (const auto* record = element->getAsCXXRecordDecl(); record && !scalar_type(element)) {
            if (record->isLambda())
                session_.fail(ErrorKind::unsupported, at, "a lambda that changes",
                              "give each lambda a name of its own");
            if (record->isUnion())
                session_.fail(ErrorKind::unsupported, at, "kernels have no unions",
                              "make a struct of its members");
            if (record->getNumBases() > 0)
                session_.fail(ErrorKind::unsupported, at, "kernels have no classes with bases",
                              "make what is inherited a member");
            Place made{.kind = Place::Kind::record};
            for (const clang::FieldDecl* field : record->fields())
                made.parts.push_back(
                    self(self, field->getType(), count,
                         name.empty() ? name : name + "." + field->getNameAsString()));
            return made;
        }
        if (count > max_elements || count == 0)
            session_.fail(ErrorKind::unsupported, at, fmt::format("an array of {} elements", count),
                          fmt::format("1 to {} are possible", max_elements));
        const DType d = dtype(element, at);
        if (!b_.kernel().is_program() && count > 1) {
            if (count > max_spread)
                session_.fail(
                    ErrorKind::unsupported, at,
                    fmt::format("an array of {} elements in an element-wise kernel", count),
                    fmt::format("at most {}; text::jit has larger ones", max_spread));
            const std::uint32_t first = new_slot(d, 1, name);
            for (std::uint64_t i = 1; i < count; ++i) new_slot(d, 1, name);
            return {.kind = Place::Kind::slot,
                    .dtype = d,
                    .target = first,
                    .spread = static_cast<std::uint32_t>(count)};
        }
        return {.kind = Place::Kind::slot,
                .dtype = d,
                .target = new_slot(d, static_cast<std::uint32_t>(count), name)};
    };
    return make(make, type, 1, called);
}

/// The elements that a place is.
std::uint32_t Lowering::length(const Place& place) const {
    if (place.kind != Place::Kind::slot) return 1;
    if (place.id != ir::none) return place.count;
    return std::max(place.spread, b_.kernel().slots[place.target].length);
}

/// Element `i` of an array.
Place Lowering::part(const Place& array, ir::Id i) const {
    Place element = array;
    element.id = array.id == ir::none ? i : b_.apply(ir::Op::add, {array.id, i});
    element.count = 1;
    return element;
}

std::optional<std::uint32_t> Lowering::known_position(const Place& place) const {
    if (b_.node(place.id).kind != ir::NodeKind::constant) return std::nullopt;
    const auto i = b_.kernel().constant(place.id).get<std::int64_t>();
    return i < 0 || i >= place.spread ? 0 : static_cast<std::uint32_t>(i);
}

void Lowering::zero(const Place& place) {
    for (const Place& part : place.parts) zero(part);
    if (place.kind != Place::Kind::slot) return;
    const ir::Id zero = b_.constant(Scalar::of(false).cast(place.dtype));
    const std::uint32_t n = length(place);
    if (n == 1) return store(place, zero);
    if (place.spread > 1) {
        for (std::uint32_t i = 0; i < n; ++i) store(part(place, b_.constant_i64(i)), zero);
        return;
    }
    const ir::Id i = b_.begin_loop(b_.constant_i64(0), b_.constant_i64(n), b_.constant_i64(1));
    store(part(place, i), zero);
    b_.end();
}

/// A slot of one element takes no position.
ir::Id Lowering::position(const Place& place) const {
    return b_.kernel().slots[place.target].length == 1 ? ir::none : place.id;
}

ir::Id Lowering::load(const Place& place) {
    switch (place.kind) {
        case Place::Kind::value:
            return place.id != ir::none ? place.id : b_.cast(place.wide, place.dtype);
        case Place::Kind::slot: {
            if (place.spread == 1) return b_.read(place.target, position(place));
            if (const auto i = known_position(place)) return b_.read(place.target + *i);
            ir::Id value = b_.read(place.target);
            for (std::uint32_t i = 1; i < place.spread; ++i) {
                const ir::Id here = b_.apply(ir::Op::eq, {place.id, b_.constant_i64(i)});
                value = b_.apply(ir::Op::select, {here, b_.read(place.target + i), value});
            }
            return value;
        }
        case Place::Kind::element: return b_.load(place.target, place.subscripts);
        case Place::Kind::nothing:
        case Place::Kind::array:
        case Place::Kind::record:
        case Place::Kind::closure:
        case Place::Kind::function:
        case Place::Kind::neighbors: break;
    }
    throw Error(ErrorKind::internal, "an object is read as a number");
}

void Lowering::store(const Place& place, ir::Id value) {
    if (place.kind == Place::Kind::element) {
        b_.store(place.target, place.subscripts, value);
        return trace_.note_written(place.target, place.subscripts);
    }
    if (place.kind != Place::Kind::slot)
        throw Error(ErrorKind::internal, "a value is written that never changes");
    if (place.spread == 1) return b_.write(place.target, value, position(place));
    if (const auto i = known_position(place)) return b_.write(place.target + *i, value);
    for (std::uint32_t i = 0; i < place.spread; ++i) {
        const ir::Id here = b_.apply(ir::Op::eq, {place.id, b_.constant_i64(i)});
        b_.write(place.target + i,
                 b_.apply(ir::Op::select, {here, value, b_.read(place.target + i)}));
    }
}

void Lowering::assign(const Place& to, const Place& from) {
    if (to.kind == Place::Kind::record) {
        for (std::size_t i = 0; i < to.parts.size(); ++i) assign(to.parts[i], from.parts[i]);
        return;
    }
    const std::uint32_t n = length(to);
    if (n == 1) return store(to, load(from));
    if (to.spread > 1) {
        for (std::uint32_t i = 0; i < n; ++i)
            store(part(to, b_.constant_i64(i)), load(part(from, b_.constant_i64(i))));
        return;
    }
    const ir::Id i = b_.begin_loop(b_.constant_i64(0), b_.constant_i64(n), b_.constant_i64(1));
    store(part(to, i), load(part(from, i)));
    b_.end();
}

/// The values that a place has now, which later assignments do not change.
Place Lowering::snapshot(const Place& place) {
    if (place.kind == Place::Kind::closure) return place;  // its copies are values already
    Place made = place;
    for (Place& part : made.parts) part = snapshot(part);
    if (made.kind == Place::Kind::element) return Place::of(load(place), place.dtype);
    if (made.kind != Place::Kind::slot) return made;
    const std::uint32_t n = length(place);
    if (n == 1) return Place::of(load(place), place.dtype);
    made.id = ir::none;
    made.spread = place.spread > 1 ? n : 1;
    made.target = new_slot(place.dtype, place.spread > 1 ? 1 : n);
    for (std::uint32_t i = 1; i < made.spread; ++i) new_slot(place.dtype);
    assign(made, place);
    return made;
}

void Lowering::initialise(const Place& to, QualType type, const Expr* init) {
    init = init->IgnoreParens();
    while (isa<clang::ExprWithCleanups>(init) || isa<clang::MaterializeTemporaryExpr>(init) ||
           isa<clang::CXXBindTemporaryExpr>(init))
        init = llvm::cast<Expr>(*init->child_begin())->IgnoreParens();
    const auto* array = session_.context().getAsConstantArrayType(type);
    if (array == nullptr) {
        if (scalar_type(type)) return store(to, scalar(init));
        return assign(to, object(init));
    }
    const auto* values = dyn_cast<clang::InitListExpr>(init);
    const auto* constructs = dyn_cast<clang::CXXConstructExpr>(init);
    if (constructs != nullptr) {  // of an array of objects
        const auto [element, count] = elements_of(type, session_.context());
        const Place one = scalar_type(element)
                              ? Place::of(complex(constructs), *scalar_type(element))
                              : construct(constructs);
        return each(to, element, 0, count, [&](const Place& object) { assign(object, one); });
    }
    if (values == nullptr) {
        if (isa<clang::ImplicitValueInitExpr>(init)) return zero(to);
        fail(init, "an array is initialised by this", "write { ... }");
    }
    if (values->isSemanticForm() == false && values->getSemanticForm() != nullptr)
        values = values->getSemanticForm();
    const QualType element = array->getElementType();
    const std::uint64_t n = array->getSize().getZExtValue();
    const Expr* rest = values->getNumInits() < n ? values->getArrayFiller() : nullptr;
    if (rest == nullptr || isa<clang::ImplicitValueInitExpr>(rest)) {
        if (values->getNumInits() < n) zero(to);
        rest = nullptr;
    }
    for (unsigned i = 0; i < values->getNumInits(); ++i)
        initialise(indexed(to, element, b_.constant_i64(i), 1), element, values->getInit(i));
    if (rest != nullptr)
        each(to, element, values->getNumInits(), n,
             [&](const Place& one) { initialise(one, element, rest); });
}

/// Elements [from, to): one after the other where they are few, or numbers by themselves.
void Lowering::each(const Place& array, QualType element, std::uint64_t from, std::uint64_t to,
                    const std::function<void(const Place&)>& visit) {
    constexpr std::uint64_t few = 8;
    const auto bound = [&](std::uint64_t i) {
        return b_.constant_i64(static_cast<std::int64_t>(i));
    };
    if (b_.kernel().is_program() && to - from > few) {
        visit(indexed(array, element, b_.begin_loop(bound(from), bound(to), bound(1)), 1));
        return b_.end();
    }
    for (std::uint64_t i = from; i < to; ++i) visit(indexed(array, element, bound(i), 1));
}

// ------------------------------------------------------------------------------ lvalues

Place Lowering::variable_place(const clang::DeclRefExpr* e) {
    const clang::ValueDecl* d = e->getDecl();
    if (const auto found = frame_->places.find(d); found != frame_->places.end())
        return found->second;
    const auto* v = dyn_cast<clang::VarDecl>(d);
    if (v == nullptr) fail(e, fmt::format("kernels do not take {} here", d->getNameAsString()));
    if (const auto table = tables_.find(v); table != tables_.end()) return table->second;
    const bool constant = v->isConstexpr() || v->getType().isConstQualified();
    const clang::APValue* value = constant ? v->evaluateValue() : nullptr;
    if (value == nullptr)
        fail(e, fmt::format("{} is a variable outside of the kernel", v->getNameAsString()),
             "what changes is a parameter; make it constexpr if it never does");
    return constant_place(*value, v->getType(), e);
}

Place Lowering::constant_place(const clang::APValue& value, QualType type, const Stmt* at) {
    if (const auto t = scalar_type(type)) return Place::of(constant(value, type, at), *t);
    if (type->isFunctionPointerType() && value.isLValue())
        if (const auto* f = llvm::dyn_cast_or_null<clang::FunctionDecl>(
                value.getLValueBase().dyn_cast<const clang::ValueDecl*>()))
            return {.kind = Place::Kind::function, .function = f};
    if (type->isConstantArrayType()) {
        const Place slots = allocate(type, at->getBeginLoc());
        fill(slots, value, type, at);
        return slots;
    }
    const auto* record = type->getAsCXXRecordDecl();
    if (record == nullptr || !value.isStruct() || record->getNumBases() > 0)
        fail(at, fmt::format("a constant of type {}", type.getAsString()));
    Place made{.kind = Place::Kind::record};
    for (const clang::FieldDecl* field : record->fields())
        made.parts.push_back(
            constant_place(value.getStructField(field->getFieldIndex()), field->getType(), at));
    return made;
}

namespace {

/// A constant whose elements are not chosen among numbers: an array that is large, or one of arrays and
/// objects, or an object that has an array.
const clang::APValue* table_of(const clang::VarDecl* v, const clang::ASTContext& context) {
    const QualType type = v->getType();
    if (!v->hasGlobalStorage() || v->getInit() == nullptr || !type.isConstQualified() ||
        v->getInit()->isValueDependent())
        return nullptr;
    if (const auto* array = context.getAsConstantArrayType(type)) {
        const bool numbers = dtype_of_type(array->getElementType(), context).has_value();
        if (numbers && array->getSize().getZExtValue() <= max_spread) return nullptr;
    } else {
        const auto* record = type->getAsCXXRecordDecl();
        const auto is_array = [](const clang::FieldDecl* f) { return f->getType()->isArrayType(); };
        if (record == nullptr || std::ranges::none_of(record->fields(), is_array)) return nullptr;
    }
    const clang::APValue* value = v->evaluateValue();
    return value != nullptr && (value->isArray() || value->isStruct()) ? value : nullptr;
}

}  // namespace

/// The tables that `s` and what it calls subscript, made once.
void Lowering::make_tables(const Stmt* s, std::set<const clang::FunctionDecl*>& seen) {
    if (s == nullptr) return;
    if (const auto* r = dyn_cast<clang::DeclRefExpr>(s)) {
        const auto* v = dyn_cast<clang::VarDecl>(r->getDecl());
        if (v == nullptr || tables_.contains(v) || session_.in_prelude(v->getLocation())) return;
        if (const clang::APValue* value = table_of(v, session_.context())) {
            at(r);
            const Place made = constant_place(*value, v->getType(), r);
            tables_.emplace(v, made);
        }
        return;
    }
    const clang::FunctionDecl* f = nullptr;
    if (const auto* c = dyn_cast<clang::CallExpr>(s)) f = c->getDirectCallee();
    if (const auto* c = dyn_cast<clang::CXXConstructExpr>(s)) f = c->getConstructor();
    const clang::FunctionDecl* body = nullptr;
    if (f != nullptr && f->hasBody(body) && !session_.in_prelude(body->getLocation()) &&
        seen.insert(body).second)
        make_tables(body->getBody(), seen);
    for (const Stmt* child : s->children()) make_tables(child, seen);
}

/// Each element of an array in slots, of arrays too.
void Lowering::fill(const Place& to, const clang::APValue& value, QualType type, const Stmt* at) {
    const auto* array = session_.context().getAsConstantArrayType(type);
    if (array == nullptr) return assign(to, constant_place(value, type, at));
    const QualType element = array->getElementType();
    for (std::uint64_t i = 0; i < array->getSize().getZExtValue(); ++i) {
        const auto n = static_cast<unsigned>(i);
        const clang::APValue& one = n < value.getArrayInitializedElts()
                                        ? value.getArrayInitializedElt(n)
                                        : value.getArrayFiller();
        fill(indexed(to, element, b_.constant_i64(static_cast<std::int64_t>(i)), 1), one, element,
             at);
    }
}

Place Lowering::member(const clang::MemberExpr* e) {
    const auto* field = dyn_cast<clang::FieldDecl>(e->getMemberDecl());
    if (field == nullptr) {
        const auto* v = dyn_cast<clang::VarDecl>(e->getMemberDecl());  // a static member
        const clang::APValue* value = v == nullptr ? nullptr : v->evaluateValue();
        if (value == nullptr)
            fail(e, "kernels have no static members that change",
                 "make it constexpr, or a parameter");
        return constant_place(*value, v->getType(), e);
    }
    if (field->isBitField()) fail(e, "kernels have no bit-fields", "make it a number of its own");
    Place object;
    if (e->isArrow()) {
        if (!isa<clang::CXXThisExpr>(e->getBase()->IgnoreParenImpCasts()))
            fail(e, "kernels have no pointers", "use a reference");
        object = frame_->self;
    } else {
        object = place(e->getBase());
    }
    if (object.kind != Place::Kind::record || field->getFieldIndex() >= object.parts.size())
        fail(e, "kernels do not take this member");
    return object.parts[field->getFieldIndex()];
}

/// Element `index` of an array: each part of it lies in a slot by itself.
Place Lowering::indexed(Place array, QualType element, ir::Id index, std::uint64_t factor) const {
    const auto [inner, count] = elements_of(element, session_.context());
    factor *= count;
    if (const auto* record = inner->getAsCXXRecordDecl(); record && !scalar_type(inner)) {
        std::size_t i = 0;
        for (const clang::FieldDecl* field : record->fields()) {
            array.parts[i] = indexed(array.parts[i], field->getType(), index, factor);
            ++i;
        }
        return array;
    }
    ir::Id step = index;
    if (factor != 1)
        step = b_.apply(ir::Op::mul, {index, b_.constant_i64(static_cast<std::int64_t>(factor))});
    array.id = array.id == ir::none ? step : b_.apply(ir::Op::add, {array.id, step});
    array.count = static_cast<std::uint32_t>(count);
    return array;
}

/// An element of a constant array, without an array where the subscript is known or few are.
Place Lowering::table(const clang::APValue& value, QualType element, ir::Id index, const Stmt* at) {
    const auto one = [&](unsigned i) {
        return constant_place(i < value.getArrayInitializedElts() ? value.getArrayInitializedElt(i)
                                                                  : value.getArrayFiller(),
                              element, at);
    };
    if (b_.node(index).kind == ir::NodeKind::constant)
        return one(static_cast<unsigned>(b_.kernel().constant(index).get<std::int64_t>()));
    Place chosen = one(0);
    for (unsigned i = 1; i < value.getArraySize(); ++i)
        chosen.id = b_.apply(ir::Op::select, {b_.apply(ir::Op::eq, {index, b_.constant_i64(i)}),
                                              load(one(i)), load(chosen)});
    return chosen;
}

/// In checked loop kernels.
void Lowering::check_subscript(ir::Id index, std::int64_t size) {
    if (!trace_.checked() || !b_.kernel().is_program() ||
        b_.node(index).kind == ir::NodeKind::constant)
        return;
    const ir::Id end = b_.constant_i64(size), zero = b_.constant_i64(0);
    const ir::Id inside = b_.apply(ir::Op::logical_and, {b_.apply(ir::Op::ge, {index, zero}),
                                                         b_.apply(ir::Op::lt, {index, end})});
    const ir::Id about[] = {zero, end};
    b_.check(ir::Check::out_of_bounds, inside, std::span(&index, 1), about);
}

Place Lowering::subscript(const clang::ArraySubscriptExpr* e) {
    const Expr* base = e->getBase()->IgnoreParens();
    const auto* decay = dyn_cast<clang::ImplicitCastExpr>(base);
    if (decay == nullptr || decay->getCastKind() != clang::CK_ArrayToPointerDecay)
        fail(e, "kernels have no pointers", "index an array or a View");
    const auto* named = dyn_cast<clang::DeclRefExpr>(decay->getSubExpr()->IgnoreParens());
    const auto* v = named == nullptr ? nullptr : dyn_cast<clang::VarDecl>(named->getDecl());
    const bool outside = v != nullptr && !frame_->places.contains(v);
    const Place array = outside ? Place() : place(decay->getSubExpr());
    at(e->getIdx());
    const ir::Id index = wide(e->getIdx());
    const auto* type = session_.context().getAsConstantArrayType(decay->getSubExpr()->getType());
    const ir::Node n = b_.node(index);  // a copy: nodes move
    if (const std::uint64_t size = type->getSize().getZExtValue();
        ir::rules::is_outside(b_, index, size))
        keep(ir::rules::outside(b_, index, {.array = "an array", .extent = size}),
             e->getIdx()->getExprLoc());
    at(e);
    const clang::APValue* value = outside && v->getType().isConstQualified() && !tables_.contains(v)
                                      ? v->evaluateValue()
                                      : nullptr;
    const bool is_table = value != nullptr && value->isArray() &&
                          (n.kind == ir::NodeKind::constant ||
                           (scalar_type(e->getType()) && value->getArraySize() <= max_spread));
    // Accesses of slots are checked as one dimension, and only where they have several elements.
    if (const auto size = static_cast<std::int64_t>(type->getSize().getZExtValue());
        is_table || size == 1 || e->getType()->isArrayType() || array.id != ir::none)
        check_subscript(index, size);
    if (!outside) return indexed(array, e->getType(), index, 1);
    if (is_table) return table(*value, e->getType(), index, e);
    return indexed(variable_place(named), e->getType(), index, 1);
}

Place Lowering::place(const Expr* e) {
    e = e->IgnoreParens();
    if (const auto* r = dyn_cast<clang::DeclRefExpr>(e)) return variable_place(r);
    if (const auto* m = dyn_cast<clang::MemberExpr>(e)) return member(m);
    if (const auto* a = dyn_cast<clang::ArraySubscriptExpr>(e)) return subscript(a);
    if (const auto* c = dyn_cast<clang::CallExpr>(e)) return call(c);
    if (const auto* t = dyn_cast<clang::MaterializeTemporaryExpr>(e)) {
        const Expr* value = t->getSubExpr();
        if (const auto type = scalar_type(value->getType())) {
            if (e->getType().isConstQualified() || e->isXValue())
                return Place::of(scalar(value), *type);
        }
        return object(value);
    }
    if (const auto* w = dyn_cast<clang::ExprWithCleanups>(e)) return place(w->getSubExpr());
    if (const auto* u = dyn_cast<clang::UnaryOperator>(e)) {
        if (u->isIncrementDecrementOp()) return increment(u, nullptr);
        if (u->getOpcode() == clang::UO_Deref &&
            isa<clang::CXXThisExpr>(u->getSubExpr()->IgnoreParenImpCasts()))
            return frame_->self;
        if (u->getOpcode() == clang::UO_Deref)
            fail(e, "kernels have no pointers", "use a reference or an index");
    }
    if (const auto* b = dyn_cast<clang::BinaryOperator>(e)) {
        if (b->isAssignmentOp()) return assignment(b);
        if (b->getOpcode() == clang::BO_Comma) {
            statement(b->getLHS());
            return place(b->getRHS());
        }
    }
    if (const auto* c = dyn_cast<clang::CastExpr>(e)) {
        if (c->getCastKind() == clang::CK_NoOp) {
            if (isa<clang::CXXConstCastExpr>(c))
                fail(e, "kernels keep what is const", "declare it without const");
            return place(c->getSubExpr());
        }
        if (isa<clang::CXXReinterpretCastExpr>(c) || c->getCastKind() == clang::CK_LValueBitCast)
            fail(e, "kernels do not look at a number as another type", "convert by static_cast");
    }
    if (const auto* t = dyn_cast<clang::SubstNonTypeTemplateParmExpr>(e))
        return place(t->getReplacement());
    if (isa<clang::AbstractConditionalOperator>(e) && e->isGLValue())
        fail(e, "a choice of what to assign to", "write if (...) else");
    if (e->isPRValue() && e->getType()->isRecordType()) return object(e);
    refuse(e);
}

// ------------------------------------------------------------------------------ objects

Place Lowering::object(const Expr* e) {
    e = e->IgnoreParens();
    if (e->getType()->isFunctionPointerType()) return function(e);
    if (e->isGLValue()) return place(e);
    if (const auto* w = dyn_cast<clang::ExprWithCleanups>(e)) return object(w->getSubExpr());
    if (const auto* w = dyn_cast<clang::CXXBindTemporaryExpr>(e)) return object(w->getSubExpr());
    if (const auto* c = dyn_cast<clang::ConstantExpr>(e)) return object(c->getSubExpr());
    if (const auto* d = dyn_cast<clang::CXXDefaultArgExpr>(e)) return object(d->getExpr());
    if (const auto* d = dyn_cast<clang::CXXDefaultInitExpr>(e)) return object(d->getExpr());
    if (const auto* t = dyn_cast<clang::SubstNonTypeTemplateParmExpr>(e))
        return object(t->getReplacement());
    if (const auto type = scalar_type(e->getType())) return Place::of(scalar(e), *type);
    if (const auto* l = dyn_cast<clang::LambdaExpr>(e)) return closure(l);
    if (const auto* c = dyn_cast<clang::CXXConstructExpr>(e)) return construct(c);
    if (const auto* c = dyn_cast<clang::CallExpr>(e)) return call(c);
    if (const auto* c = dyn_cast<clang::CastExpr>(e)) {
        switch (c->getCastKind()) {
            case clang::CK_NoOp:
            case clang::CK_ConstructorConversion:
            case clang::CK_UserDefinedConversion:
            case clang::CK_LValueToRValue: return object(c->getSubExpr());
            default: refuse(e);
        }
    }
    if (const auto* values = dyn_cast<clang::InitListExpr>(e)) {
        if (values->getSemanticForm() != nullptr) values = values->getSemanticForm();
        if (values->isTransparent()) return object(values->getInit(0));
        const auto* record = e->getType()->getAsCXXRecordDecl();
        if (record == nullptr || record->isUnion() || record->getNumBases() > 0) refuse(e);
        Place made{.kind = Place::Kind::record};
        unsigned i = 0;
        for (const clang::FieldDecl* field : record->fields()) {
            const Expr* init = i < values->getNumInits() ? values->getInit(i) : nullptr;
            ++i;
            if (init == nullptr) fail(e, "a member without a value");
            if (field->getType()->isReferenceType())
                fail(init, "kernels have no members that refer", "hold a copy");
            if (field->getType()->isArrayType()) {
                const Place array = allocate(field->getType(), e->getBeginLoc());
                initialise(array, field->getType(), init);
                made.parts.push_back(array);
            } else {
                made.parts.push_back(snapshot(object(init)));
            }
        }
        return made;
    }
    if (isa<clang::ImplicitValueInitExpr>(e) || isa<clang::CXXScalarValueInitExpr>(e)) {
        const Place made = allocate(e->getType(), e->getBeginLoc());
        zero(made);
        return made;
    }
    if (const auto* choice = dyn_cast<clang::ConditionalOperator>(e)) {
        const Place made = allocate(e->getType(), e->getBeginLoc());
        b_.begin_branch(scalar(choice->getCond()));
        assign(made, object(choice->getTrueExpr()));
        b_.begin_else();
        assign(made, object(choice->getFalseExpr()));
        b_.end();
        return made;
    }
    refuse(e);
}

Place Lowering::construct(const clang::CXXConstructExpr* e) {
    const clang::CXXConstructorDecl* c = e->getConstructor();
    if (c->isCopyOrMoveConstructor() && (c->isTrivial() || c->isDefaulted()))
        return object(e->getArg(0));
    // Of an array of objects it is one of them.
    const Place made =
        allocate(session_.context().getBaseElementType(e->getType()), e->getBeginLoc());
    if (c->isTrivial() || (c->isDefaulted() && c->isDefaultConstructor() && !c->hasBody())) {
        zero(made);
        return made;
    }
    std::vector<const Expr*> arguments(e->arg_begin(), e->arg_end());
    if (e->requiresZeroInitialization()) zero(made);
    inlined(c, arguments, made, e);
    return made;
}

/// What a lambda captures: names of what it captures by reference, values of the rest.
Place Lowering::closure(const clang::LambdaExpr* e) {
    if (e->isMutable())
        fail(e, "a lambda that changes its copies", "capture by reference what it changes");
    Place made{.kind = Place::Kind::closure};
    auto init = e->capture_init_begin();
    for (const clang::LambdaCapture& c : e->captures()) {
        const bool refers = c.getCaptureKind() == clang::LCK_ByRef;
        if (c.capturesThis() || c.getCaptureKind() == clang::LCK_StarThis) {
            made.parts.push_back(c.capturesThis() && c.getCaptureKind() == clang::LCK_This
                                     ? frame_->self
                                     : snapshot(frame_->self));
        } else if (const auto found = frame_->places.find(c.getCapturedVar());
                   found != frame_->places.end() && !e->isInitCapture(&c)) {
            made.parts.push_back(refers ? found->second : snapshot(found->second));
        } else {
            made.parts.push_back(refers ? place(*init) : snapshot(object(*init)));
        }
        ++init;
    }
    return made;
}

Place Lowering::output(DType dtype) {
    const Place made{.kind = Place::Kind::slot, .dtype = dtype, .target = new_slot(dtype)};
    zero(made);
    return made;
}

Place Lowering::run(std::span<const Place> params) {
    const clang::FunctionDecl* entry = session_.entry();
    Frame frame{.function = entry, .caller = nullptr};
    for (std::size_t i = 0; i < params.size(); ++i)
        frame.places[entry->getParamDecl(static_cast<unsigned>(i))] = params[i];
    frame.returns_directly = true;
    frame_ = &frame;
    std::set<const clang::FunctionDecl*> seen;
    make_tables(entry->getBody(), seen);
    list({entry->getBody()});
    frame_ = nullptr;
    return frame.result;
}

}  // namespace kiln::text
