#include "dsl/text/front_end.h"

#include "dsl/text/lowering.h"
#include "dsl/trace/replay.h"

#include <algorithm>
#include <complex>
#include <exception>
#include <memory>
#include <mutex>

#include <fmt/format.h>

namespace kiln::text {

using clang::Expr;
using clang::QualType;
using clang::Stmt;
using llvm::dyn_cast;
using llvm::isa;

std::size_t Declaration::count(Passing passing) const {
    return static_cast<std::size_t>(std::ranges::count(params, passing, &Parameter::passing));
}

// ------------------------------------------------------------------------------ declarations

namespace {

/// How a parameter without a type (auto, T) is used in the body of its template.
struct Uses {
    bool subscripted = false, written = false;
};

class UseFinder {
  public:
    explicit UseFinder(const clang::ValueDecl* param) : param_(param) {}
    void visit(const Stmt* s) {
        if (s == nullptr) return;
        if (const auto* c = dyn_cast<clang::CallExpr>(s)) {
            if (names(c->getCallee())) uses.subscripted = true;
            if (const auto* o = dyn_cast<clang::CXXOperatorCallExpr>(s);
                o != nullptr && o->getOperator() == clang::OO_Call && names(o->getArg(0)))
                uses.subscripted = true;
            // What another function is given, it may write.
            for (const Expr* a : c->arguments())
                if (is_element(a)) uses.written = true;
        }
        if (const auto* m = dyn_cast<clang::CXXDependentScopeMemberExpr>(s);
            m != nullptr && !m->isImplicitAccess() && names(m->getBase()))
            uses.subscripted = uses.subscripted || m->getMember().getAsString() == "extent" ||
                               m->getMember().getAsString() == "index";
        if (const auto* b = dyn_cast<clang::BinaryOperator>(s);
            b != nullptr && b->isAssignmentOp() && is_element(b->getLHS()))
            uses.written = true;
        if (const auto* u = dyn_cast<clang::UnaryOperator>(s);
            u != nullptr && u->isIncrementDecrementOp() && is_element(u->getSubExpr()))
            uses.written = true;
        if (const auto* d = dyn_cast<clang::DeclStmt>(s))
            for (const clang::Decl* one : d->decls())
                if (const auto* v = dyn_cast<clang::VarDecl>(one)) {
                    if (v->getType()->isReferenceType() && v->getInit() != nullptr &&
                        is_element(v->getInit()))
                        uses.written = true;
                }
        for (const Stmt* child : s->children()) visit(child);
    }
    Uses uses;

  private:
    bool names(const Expr* e) const {
        const auto* r = dyn_cast<clang::DeclRefExpr>(e->IgnoreParenImpCasts());
        return r != nullptr && r->getDecl() == param_;
    }
    bool is_element(const Expr* e) const {
        e = e->IgnoreParenImpCasts();
        if (const auto* o = dyn_cast<clang::CXXOperatorCallExpr>(e))
            return o->getOperator() == clang::OO_Call && names(o->getArg(0));
        const auto* c = dyn_cast<clang::CallExpr>(e);
        return c != nullptr && names(c->getCallee());
    }
    const clang::ValueDecl* param_;
};

/// Of the template `name` with a first argument that is const, or not.
std::optional<Passing> array_passing(llvm::StringRef name, bool is_const) {
    if (name == "Neighbors") return Passing::neighbors;
    if (name != "View") return std::nullopt;
    return is_const ? Passing::in : Passing::inout;
}

/// View<const T, R> and Neighbors<T, R>, whether T and R are known or not; nothing for other types.
std::optional<Passing> view_passing(QualType type) {
    const clang::TemplateSpecializationType* view =
        type->getAs<clang::TemplateSpecializationType>();
    if (view == nullptr) {
        const auto* record =
            dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(type->getAsCXXRecordDecl());
        if (record == nullptr || record->getTemplateArgs().size() != 2 ||
            record->getTemplateArgs()[0].getKind() != clang::TemplateArgument::Type)
            return std::nullopt;
        return array_passing(record->getName(),
                             record->getTemplateArgs()[0].getAsType().isConstQualified());
    }
    const clang::TemplateDecl* name = view->getTemplateName().getAsTemplateDecl();
    if (name == nullptr) return std::nullopt;
    const auto arguments = view->template_arguments();
    return array_passing(name->getName(),
                         !arguments.empty() &&
                             arguments[0].getKind() == clang::TemplateArgument::Type &&
                             arguments[0].getAsType().isConstQualified());
}

Passing passing_of(const clang::FunctionDecl* f, const clang::ParmVarDecl* param) {
    const QualType type = param->getType();
    const QualType inner = type.getNonReferenceType();
    if (const auto view = view_passing(inner)) return *view;
    if (inner->isDependentType()) {
        UseFinder finder(param);
        finder.visit(f->getBody());
        if (finder.uses.subscripted) return finder.uses.written ? Passing::inout : Passing::in;
    }
    const bool refers = type->isLValueReferenceType() && !inner.isConstQualified();
    return refers ? Passing::output : Passing::value;
}

bool has_value(const Stmt* s) {
    if (s == nullptr) return false;
    if (const auto* r = dyn_cast<clang::ReturnStmt>(s)) return r->getRetValue() != nullptr;
    if (isa<Expr>(s)) return false;
    return std::ranges::any_of(s->children(), has_value);
}

Declaration describe(const clang::FunctionDecl* f, const Session& session) {
    Declaration made;
    for (const clang::ParmVarDecl* p : f->parameters()) {
        Parameter param{p->getNameAsString(), passing_of(f, p)};
        const QualType type = p->getType().getNonReferenceType().getUnqualifiedType();
        param.deduced = type->isDependentType() && !view_passing(type);
        if (!type->isDependentType()) param.dtype = dtype_of_type(type, session.context());
        if (const auto* view = dyn_cast_or_null<clang::ClassTemplateSpecializationDecl>(
                type->getAsCXXRecordDecl());
            view != nullptr && view_passing(type)) {
            param.dtype = dtype_of_type(view->getTemplateArgs()[0].getAsType().getUnqualifiedType(),
                                        session.context());
            param.rank = static_cast<int>(view->getTemplateArgs()[1].getAsIntegral().getExtValue());
        }
        if (param.passing == Passing::output && !param.dtype) {
            for (unsigned i = 0; i < f->getNumParams(); ++i) {
                const QualType other = f->getParamDecl(i)->getType();
                if (!other->isReferenceType() &&
                    session.context().hasSameUnqualifiedType(other, type))
                    param.like = i;
            }
            if (!param.like)
                session.fail(ErrorKind::type, p->getLocation(),
                             fmt::format("the type of output {} is not known", param.name),
                             "declare it as a number, or as the type of a parameter that is given");
        }
        made.params.push_back(std::move(param));
    }
    const QualType result = f->getReturnType();
    made.returns = result->isUndeducedType() ? has_value(f->getBody()) : !result->isVoidType();
    return made;
}

bool takes_the_same(const Declaration& a, const Declaration& b) {
    return a.returns == b.returns &&
           std::ranges::equal(a.params, b.params, {}, &Parameter::passing, &Parameter::passing);
}

std::vector<const clang::FunctionDecl*> found(const Session& session, const std::string& function,
                                              const Location& where) {
    auto functions = session.functions(function);
    if (!functions.empty()) return functions;
    std::string known;
    for (const std::string& name : session.names())
        known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
    throw Error(ErrorKind::usage, fmt::format("the text has no function {}", function), where,
                known.empty() ? "it has none" : fmt::format("it has {}", known));
}

}  // namespace

Declaration declaration_of(const Unit& unit, const std::string& function, const Location& where) {
    const Session session(unit, "", function, where);
    const auto functions = found(session, function, where);
    Declaration first = describe(functions.front(), session);
    for (const clang::FunctionDecl* f : functions) {
        const Declaration one = describe(f, session);
        if (!takes_the_same(first, one))
            session.fail(
                ErrorKind::usage, f->getLocation(),
                fmt::format("functions of the name {} differ in what they take and give", function),
                "give those that become kernels names of their own");
        for (std::size_t i = 0; i < first.params.size(); ++i)  // Clang chooses
            if (first.params[i].dtype != one.params[i].dtype ||
                first.params[i].rank != one.params[i].rank)
                first.params[i].dtype.reset(), first.params[i].rank.reset();
    }
    return first;
}

std::vector<Marked> marked_functions(const Unit& unit, std::vector<std::string>& files) {
    const Session session(unit, "", "", {});
    files = session.files();
    std::vector<Marked> all;
    for (const clang::FunctionDecl* f : session.marked()) {
        if (f->getFormalLinkage() != clang::Linkage::External)
            session.fail(ErrorKind::unsupported, f->getLocation(),
                         fmt::format("{} cannot be named in other files", f->getNameAsString()),
                         "a kernel is neither static nor in an unnamed namespace");
        Marked one{Session::full_name(f), session.symbol(f), describe(f, session)};
        for (std::size_t i = 0; i < one.declaration.params.size(); ++i)
            if (!one.declaration.params[i].dtype)
                session.fail(ErrorKind::unsupported,
                             f->getParamDecl(static_cast<unsigned>(i))->getLocation(),
                             fmt::format("parameter {} is neither a number nor a View",
                                         one.declaration.params[i].name));
        all.push_back(std::move(one));
    }
    return all;
}

// ------------------------------------------------------------------------------ entries

namespace {

std::string_view cpp_type(DType t) {
    switch (t) {
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    case DType::id: return #cpp;
#include <kiln/dtype.def>
    }
    __builtin_unreachable();
}

/// The dtype that a weak argument counts with: of its own kind, as wide as the strong arguments of
/// that kind are.
DType type_beside(DType weak, std::span<const Argument> arguments, const ir::Builder& b) {
    std::optional<DType> strong;
    for (const Argument& a : arguments) {
        if (a.is_array || b.node(a.value).weak) continue;
        const DType t = b.dtype(a.value);
        if (kind_of(t) != kind_of(weak) && !(is_integer(t) && is_integer(weak))) continue;
        strong = strong ? promote(*strong, t) : t;
    }
    return strong.value_or(weak);
}

/// The function behind the text, which calls it with what it is given.
class Entry {
  public:
    Entry(const Unit& unit, const std::string& function, const Declaration& declaration,
          std::span<const Argument> arguments, dsl::Trace& trace, const Location& where)
        : scope_(unit.folder ? std::string_view() : text_namespace),
          function_(function),
          declaration_(declaration),
          arguments_(arguments),
          trace_(trace),
          b_(trace.builder()),
          where_(where) {
        std::size_t next = 0;
        const bool outputs_too = arguments.size() == declaration.params.size();
        for (const Parameter& p : declaration.params)
            given_.push_back(p.passing == Passing::output && !outputs_too ? nullptr
                                                                          : &arguments[next++]);
        for (std::size_t i = 0; i < given_.size(); ++i)
            if (given_[i] != nullptr) add_given(i);
        for (std::size_t i = 0; i < given_.size(); ++i)
            if (given_[i] == nullptr) add_output(i);
    }
    /// auto kiln_entry(float p0, double& p1) { return f(p0, p1); }
    std::string code() const {
        std::string params, names;
        for (std::size_t i = 0; i < given_.size(); ++i) {
            params += fmt::format("{}{} p{}", i == 0 ? "" : ", ", types_.at(i), i);
            names += fmt::format("{}p{}", i == 0 ? "" : ", ", i);
        }
        return fmt::format("auto {}({}) {{ return {}::{}({}); }}", entry_name, params, scope_,
                           function_, names);
    }
    std::string call() const {
        return fmt::format("{} cannot be called with ({})", function_, said_);
    }
    const Argument* given(std::size_t i) const { return given_[i]; }
    DType dtype(std::size_t i) const { return dtypes_.at(i); }

  private:
    void add_given(std::size_t i) {
        const Argument& a = *given_[i];
        const Parameter& p = declaration_.params[i];
        said_ += said_.empty() ? "" : ", ";
        if (a.is_array || a.neighbors != nullptr) return add_array(i, a, p);
        DType t = b_.dtype(a.value);
        said_ += name(t);
        if (p.dtype)
            t = dsl::fitting(b_, a.value, *p.dtype, p.name, function_, where_,
                             "convert it before the call, or declare the parameter as auto");
        else if (b_.node(a.value).weak)
            t = type_beside(t, arguments_, b_);
        dtypes_[i] = t;
        types_[i] = cpp_type(t);
    }
    void add_array(std::size_t i, const Argument& a, const Parameter& p) {
        const bool relative = a.neighbors != nullptr;
        const DType own = relative ? a.neighbors->dtype : b_.kernel().params[a.param].dtype;
        const int rank = relative ? a.neighbors->rank : static_cast<int>(trace_.seen_rank(a.param));
        dtypes_[i] = own;
        if (relative)
            types_[i] = fmt::format("kiln::Neighbors<{}, {}>", cpp_type(own), rank);
        else if (p.passing == Passing::output)
            types_[i] = fmt::format("{}&", cpp_type(own));
        else
            types_[i] = fmt::format("kiln::View<{}{}, {}>",
                                    p.passing == Passing::in ? "const " : "", cpp_type(own), rank);
        said_ += fmt::format("{}[{}]", name(own), rank);
        if ((p.dtype && *p.dtype != own) || (p.rank && *p.rank != rank))
            throw Error(ErrorKind::type,
                        fmt::format("an argument is {}[{}], but parameter {} of {} is {}[{}]",
                                    name(own), rank, p.name, function_, name(p.dtype.value_or(own)),
                                    p.rank.value_or(rank)),
                        where_, "convert it before the call, or declare the parameter as auto");
    }
    void add_output(std::size_t i) {
        const Parameter& p = declaration_.params[i];
        dtypes_[i] = p.dtype ? *p.dtype : dtypes_.at(*p.like);
        types_[i] = fmt::format("{}&", cpp_type(dtypes_[i]));
    }
    std::string_view scope_;
    const std::string& function_;
    const Declaration& declaration_;
    std::span<const Argument> arguments_;
    const dsl::Trace& trace_;
    const ir::Builder& b_;
    Location where_;
    std::vector<const Argument*> given_;
    std::map<std::size_t, std::string> types_;
    std::map<std::size_t, DType> dtypes_;
    std::string said_;
};

}  // namespace

namespace {

/// The text with an entry, as it was read last: stencils lower one call several times. A session is
/// one thread's at a time.
class SessionOfCall {
  public:
    SessionOfCall(const Unit& unit, const Entry& entry, const Location& where)
        : key_(fmt::format("{}\n{}\n{}", unit.name, entry.code(), unit.code)) {
        {
            const std::lock_guard lock(last().mutex);
            if (last().key == key_) session_ = std::move(last().session);
        }
        if (session_ == nullptr)
            session_ = std::make_unique<Session>(unit, entry.code(), entry.call(), where);
    }
    ~SessionOfCall() {
        const std::lock_guard lock(last().mutex);
        last().key = std::move(key_);
        last().session.swap(session_);
    }
    SessionOfCall(const SessionOfCall&) = delete;
    SessionOfCall& operator=(const SessionOfCall&) = delete;
    const Session& operator*() const { return *session_; }

  private:
    struct Last {
        std::mutex mutex;
        std::string key;
        std::unique_ptr<const Session> session;
    };
    static Last& last() {
        static Last& one = *new Last;
        return one;
    }
    std::string key_;
    std::unique_ptr<const Session> session_;
};

/// What an error leaves is no kernel, also where somebody catches it.
class AbandonOnError {
  public:
    explicit AbandonOnError(dsl::Trace& trace)
        : trace_(trace), exceptions_(std::uncaught_exceptions()) {}
    ~AbandonOnError() {
        if (std::uncaught_exceptions() > exceptions_) trace_.abandon();
    }
    AbandonOnError(const AbandonOnError&) = delete;
    AbandonOnError& operator=(const AbandonOnError&) = delete;

  private:
    dsl::Trace& trace_;
    int exceptions_;
};

}  // namespace

std::vector<ir::Id> lower(const Unit& unit, const std::string& function,
                          const Declaration& declaration, std::span<const Argument> arguments,
                          dsl::Trace& trace, const Location& where) {
    const AbandonOnError guard(trace);
    ir::Builder& b = trace.builder();
    const Entry entry(unit, function, declaration, arguments, trace, where);
    const SessionOfCall session(unit, entry, where);
    Lowering lowering(*session, trace);
    std::vector<Place> places;
    for (std::size_t i = 0; i < declaration.params.size(); ++i) {
        const Argument* a = entry.given(i);
        if (a == nullptr)
            places.push_back(lowering.output(entry.dtype(i)));
        else if (a->is_array && declaration.params[i].passing == Passing::output)
            places.push_back(lowering.element(a->param, {}));
        else if (a->neighbors != nullptr)
            places.push_back({.kind = Place::Kind::neighbors,
                              .dtype = entry.dtype(i),
                              .neighbors = a->neighbors});
        else if (a->is_array)
            places.push_back(
                {.kind = Place::Kind::array, .dtype = entry.dtype(i), .target = a->param});
        else
            places.push_back(Place::of(b.coerce(a->value, entry.dtype(i)), entry.dtype(i)));
    }
    const Place result = lowering.run(places);
    std::vector<ir::Id> results;
    if (declaration.returns) {
        if (result.kind != Place::Kind::value && result.kind != Place::Kind::slot)
            throw Error(ErrorKind::unsupported, fmt::format("{} returns no number", function),
                        where,
                        "give several values by references: void f(double x, double& y, int& n)");
        results.push_back(lowering.load(result));
    }
    for (std::size_t i = 0; i < places.size(); ++i)
        if (entry.given(i) == nullptr) results.push_back(lowering.load(places[i]));
    return results;
}

}  // namespace kiln::text
