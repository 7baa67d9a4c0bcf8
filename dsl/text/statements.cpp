// Statements, and how functions and switches are left from within them.
#include "dsl/text/lowering.h"

#include <clang/AST/StmtCXX.h>

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace kiln::text {

using clang::Expr;
using clang::Stmt;
using llvm::dyn_cast;
using llvm::isa;

// ------------------------------------------------------------------------------ what may leave

namespace {

/// The statements of an `if`, less what an `if constexpr` leaves out.
std::vector<const Stmt*> parts_of(const clang::IfStmt* s) {
    if (s->isConstexpr() && !s->getCond()->isValueDependent()) {
        const bool first =
            isa<clang::ConstantExpr>(s->getCond())
                ? llvm::cast<clang::ConstantExpr>(s->getCond())->getResultAsAPSInt().getBoolValue()
                : true;
        const Stmt* part = first ? s->getThen() : s->getElse();
        return part == nullptr ? std::vector<const Stmt*>() : std::vector<const Stmt*>{part};
    }
    if (s->getElse() == nullptr) return {s->getThen()};
    return {s->getThen(), s->getElse()};
}

bool is_loop(const Stmt* s) {
    return isa<clang::ForStmt>(s) || isa<clang::WhileStmt>(s) || isa<clang::DoStmt>(s) ||
           isa<clang::CXXForRangeStmt>(s);
}

void add_exits(const Stmt* s, bool in_switch, Exits& exits) {
    if (s == nullptr || isa<Expr>(s)) return;
    if (isa<clang::ReturnStmt>(s)) exits.returns = true;
    if (isa<clang::BreakStmt>(s) && in_switch) exits.breaks = true;
    if (const auto* i = dyn_cast<clang::IfStmt>(s)) {
        for (const Stmt* part : parts_of(i)) add_exits(part, in_switch, exits);
        return;
    }
    const bool deeper = in_switch && !is_loop(s) && !isa<clang::SwitchStmt>(s);
    for (const Stmt* child : s->children()) add_exits(child, deeper, exits);
}

/// The statement below labels of a switch and attributes.
const Stmt* bare(const Stmt* s) {
    while (true) {
        if (const auto* c = dyn_cast<clang::SwitchCase>(s))
            s = c->getSubStmt();
        else if (const auto* a = dyn_cast<clang::AttributedStmt>(s))
            s = a->getSubStmt();
        else
            return s;
    }
}

bool has_default(const Stmt* body) {
    for (const Stmt* child : body->children())
        for (const Stmt* s = child; s != nullptr;) {
            if (isa<clang::DefaultStmt>(s)) return true;
            const auto* c = dyn_cast<clang::SwitchCase>(s);
            s = c == nullptr ? nullptr : c->getSubStmt();
        }
    return false;
}

}  // namespace

Exits exits_of(const Stmt* statement) {
    Exits exits;
    add_exits(statement, true, exits);
    return exits;
}

bool falls_through(const Stmt* statement) {
    const Stmt* s = bare(statement);
    if (isa<clang::ReturnStmt>(s) || isa<clang::BreakStmt>(s) || isa<clang::ContinueStmt>(s))
        return false;
    if (const auto* c = dyn_cast<clang::CompoundStmt>(s))
        return std::ranges::all_of(c->body(), falls_through);
    if (const auto* i = dyn_cast<clang::IfStmt>(s)) {
        const std::vector<const Stmt*> parts = parts_of(i);
        if (parts.empty() || (parts.size() == 1 && !i->isConstexpr())) return true;
        return std::ranges::any_of(parts, falls_through);
    }
    if (const auto* w = dyn_cast<clang::SwitchStmt>(s)) {
        const auto* body = dyn_cast<clang::CompoundStmt>(w->getBody());
        if (body == nullptr || body->body_empty() || !has_default(body)) return true;
        return exits_of(body).breaks || falls_through(body->body_back());
    }
    return true;
}

bool returns_once(const Stmt* body) {
    std::vector<const Stmt*> next{body};  // the last one comes first
    while (!next.empty()) {
        const Stmt* s = next.back();
        next.pop_back();
        const auto* chosen = dyn_cast<clang::IfStmt>(s);
        if (const auto* c = dyn_cast<clang::CompoundStmt>(s))
            next.insert(next.end(), c->body_rbegin(), c->body_rend());
        else if (chosen != nullptr && chosen->isConstexpr())
            std::ranges::copy(parts_of(chosen), std::back_inserter(next));
        else if (isa<clang::ReturnStmt>(s) || exits_of(s).returns)
            return isa<clang::ReturnStmt>(s);
    }
    return false;
}

// ------------------------------------------------------------------------------ lists

void Lowering::list(Statements statements) {
    for (std::size_t i = 0; i < statements.size(); ++i) {
        const Stmt* s = statements[i];
        if (s == nullptr) continue;
        const Statements rest(statements.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                              statements.end());
        if (const auto* c = dyn_cast<clang::CompoundStmt>(s)) {
            Statements all(c->body_begin(), c->body_end());
            all.insert(all.end(), rest.begin(), rest.end());
            return list(std::move(all));
        }
        if (const auto* chosen = dyn_cast<clang::IfStmt>(s)) {
            if (chosen->isConstexpr()) {
                Statements all = parts_of(chosen);
                all.insert(all.end(), rest.begin(), rest.end());
                return list(std::move(all));
            }
        }
        Exits exits = exits_of(s);
        exits.breaks = exits.breaks && frame_->around != nullptr;
        if (isa<clang::ReturnStmt>(s) || isa<clang::BreakStmt>(s) || !exits.any()) {
            statement(s);
            if (!falls_through(s)) return;
            continue;
        }
        const auto* b = dyn_cast<clang::IfStmt>(s);
        if (b != nullptr && (rest.empty() || !falls_through(b->getThen()) ||
                             (b->getElse() != nullptr && !falls_through(b->getElse()))))
            return branch(b, rest);
        return guarded(s, exits, rest);
    }
}

void Lowering::branch(const clang::IfStmt* s, const Statements& rest) {
    if (s->getInit() != nullptr) statement(s->getInit());
    if (s->getConditionVariable() != nullptr)
        fail(s, "a condition declares a variable", "declare it before");
    at(s->getCond());
    b_.begin_branch(scalar(s->getCond()));
    const auto arm = [&](const Stmt* part) {
        Statements all{part};
        if (part == nullptr || falls_through(part)) all.insert(all.end(), rest.begin(), rest.end());
        list(std::move(all));
    };
    arm(s->getThen());
    if (s->getElse() != nullptr || !rest.empty()) {
        b_.begin_else();
        arm(s->getElse());
    }
    b_.end();
}

void Lowering::guarded(const Stmt* s, Exits exits, const Statements& rest) {
    // Where a loop is around, within what is being left, that is left first.
    const bool leaves_loop = exits.returns && loops_.size() > frame_->region.loops;
    if (rest.empty() && !leaves_loop) return statement(s);
    std::vector<Region*> left;
    if (exits.returns) left.push_back(&frame_->region);
    if (exits.breaks) left.push_back(frame_->around);
    for (Region* region : left) {
        if (!region->flag) region->flag = new_slot(DType::bool_);
        if (region->watched++ == 0) b_.write(*region->flag, b_.constant_bool(false));
    }
    statement(s);
    for (Region* region : left) --region->watched;
    if (leaves_loop) {
        b_.begin_branch(b_.read(*frame_->region.flag));
        b_.bare(ir::NodeKind::break_);
        b_.end();
        left.erase(left.begin());
    }
    if (left.empty()) return list(rest);
    ir::Id any = b_.read(*left[0]->flag);
    if (left.size() > 1) any = b_.apply(ir::Op::logical_or, {any, b_.read(*left[1]->flag)});
    b_.begin_branch(b_.apply(ir::Op::logical_not, {any}));
    list(rest);
    b_.end();
}

void Lowering::leave(Region& region, const Stmt* at) {
    if (region.watched > 0) b_.write(*region.flag, b_.constant_bool(true));
    if (loops_.size() <= region.loops) return;
    for (std::size_t i = region.loops; i < loops_.size(); ++i)
        if (loops_[i].parallel)
            fail(at, "return would leave a prange",
                 "its iterations are independent; use range, or continue");
    b_.bare(ir::NodeKind::break_);
}

void Lowering::return_(const clang::ReturnStmt* s) {
    at(s);
    if (const Expr* value = s->getRetValue()) {
        const clang::QualType type = frame_->function->getReturnType();
        if (type->isVoidType()) {
            scalar(value);
        } else if (type->isReferenceType()) {
            if (!frame_->returns_directly)
                fail(s, "a function returns a reference from several places");
            frame_->result = place(value);
        } else if (const auto t = scalar_type(type)) {
            const ir::Id id = scalar(value);
            if (frame_->returns_directly)
                frame_->result = Place::of(id, *t);
            else
                store(frame_->result, id);
        } else if (frame_->returns_directly) {
            frame_->result = snapshot(object(value));
        } else {
            assign(frame_->result, object(value));
        }
    }
    leave(frame_->region, s);
}

void Lowering::statement(const Stmt* s) {
    if (const auto* e = dyn_cast<Expr>(s)) {
        at(e);
        const Expr* inner = e->IgnoreParens();
        if (const auto* clean = dyn_cast<clang::ExprWithCleanups>(inner))
            inner = clean->getSubExpr()->IgnoreParens();
        if (inner->isGLValue())
            place(inner);
        else if (const auto* c = dyn_cast<clang::CallExpr>(inner))
            call(c);
        else if (const auto* c = dyn_cast<clang::CastExpr>(inner);
                 c != nullptr && c->getCastKind() == clang::CK_ToVoid)
            statement(c->getSubExpr());
        else if (const auto* c = dyn_cast<clang::AbstractConditionalOperator>(inner);
                 c != nullptr && c->getType()->isVoidType())
            fail(c, "a conditional expression of void", "write if");
        else
            scalar(inner);
        return;
    }
    if (const auto* c = dyn_cast<clang::CompoundStmt>(s))
        return list({c->body_begin(), c->body_end()});
    if (const auto* i = dyn_cast<clang::IfStmt>(s)) {
        if (i->isConstexpr()) return list(parts_of(i));
        return branch(i, {});
    }
    if (const auto* d = dyn_cast<clang::DeclStmt>(s)) {
        at(s);
        for (const clang::Decl* one : d->decls()) declare(one);
        return;
    }
    if (const auto* r = dyn_cast<clang::ReturnStmt>(s)) return return_(r);
    if (const auto* f = dyn_cast<clang::ForStmt>(s)) return for_(f);
    if (const auto* f = dyn_cast<clang::CXXForRangeStmt>(s)) return for_range(f);
    if (const auto* w = dyn_cast<clang::WhileStmt>(s)) {
        if (w->getConditionVariable() != nullptr)
            fail(s, "a condition declares a variable", "declare it before");
        return while_(w->getCond(), w->getBody(), nullptr);
    }
    if (const auto* d = dyn_cast<clang::DoStmt>(s)) return do_(d);
    if (const auto* w = dyn_cast<clang::SwitchStmt>(s)) return switch_(w);
    if (const auto* a = dyn_cast<clang::AttributedStmt>(s)) return statement(a->getSubStmt());
    if (isa<clang::NullStmt>(s)) return;
    if (isa<clang::BreakStmt>(s) && frame_->around != nullptr) return leave(*frame_->around, s);
    if (isa<clang::BreakStmt>(s) || isa<clang::ContinueStmt>(s)) {
        const bool breaks = isa<clang::BreakStmt>(s);
        at(s);
        if (breaks)
            keep(ir::rules::jump(b_, ir::NodeKind::break_, "break",
                                 "its iterations are independent; use range, or continue"),
                 s->getBeginLoc());
        if (!breaks && loops_.back().before_next) loops_.back().before_next();
        b_.bare(breaks ? ir::NodeKind::break_ : ir::NodeKind::continue_);
        return;
    }
    refuse(s);
}

void Lowering::refuse(const Stmt* s) const {
    if (isa<clang::CXXThrowExpr>(s) || isa<clang::CXXTryStmt>(s) || isa<clang::CXXCatchStmt>(s))
        fail(s, "kernels have no exceptions", "return a value that says what was wrong");
    if (isa<clang::GotoStmt>(s) || isa<clang::LabelStmt>(s) || isa<clang::IndirectGotoStmt>(s))
        fail(s, "kernels have no goto", "write a loop with break or continue");
    if (isa<clang::CXXNewExpr>(s) || isa<clang::CXXDeleteExpr>(s))
        fail(s, "kernels do not allocate memory", "use an array of constant size");
    if (isa<clang::LambdaExpr>(s)) fail(s, "a lambda that is not called", "call it, or pass it on");
    if (isa<clang::StringLiteral>(s))
        fail(s, "kernels have no text", "tell cases apart by numbers");
    if (isa<clang::CXXDynamicCastExpr>(s))
        fail(s, "kernels have no types at run time", "write a template, or if constexpr");
    if (isa<clang::AsmStmt>(s)) fail(s, "kernels have no assembly", "write it in C++");
    if (isa<clang::CaseStmt>(s) || isa<clang::DefaultStmt>(s))
        fail(s, "a case that stands inside of another statement of its switch",
             "labels belong to the switch itself");
    fail(s, fmt::format("kernels cannot be written with this ({})", s->getStmtClassName()));
}

// ------------------------------------------------------------------------------ switch

void Lowering::switch_(const clang::SwitchStmt* s) {
    if (s->getInit() != nullptr) statement(s->getInit());
    if (s->getConditionVariable() != nullptr)
        fail(s, "a condition declares a variable", "declare it before");
    const auto* body = dyn_cast<clang::CompoundStmt>(s->getBody());
    if (body == nullptr) fail(s, "a switch without braces", "write switch (...) { ... }");
    struct Group {
        std::vector<const clang::CaseStmt*> labels;
        bool is_default = false;
        Statements statements;
    };
    std::vector<Group> groups;
    for (const Stmt* child : body->body()) {
        if (isa<clang::SwitchCase>(child)) groups.emplace_back();
        while (const auto* label = dyn_cast<clang::SwitchCase>(child)) {
            if (const auto* c = dyn_cast<clang::CaseStmt>(label))
                groups.back().labels.push_back(c);
            else
                groups.back().is_default = true;
            child = label->getSubStmt();
        }
        if (groups.empty()) fail(child, "a statement before the first case of a switch");
        groups.back().statements.push_back(child);
    }
    // What a group falls into is part of it.
    for (std::size_t i = groups.size(); i-- > 1;) {
        Group& group = groups[i - 1];
        if (!std::ranges::all_of(group.statements, falls_through)) continue;
        group.statements.insert(group.statements.end(), groups[i].statements.begin(),
                                groups[i].statements.end());
    }
    at(s->getCond());
    const ir::Id value = scalar(s->getCond());
    Region region{.loops = static_cast<unsigned>(loops_.size())};
    Region* const outer = std::exchange(frame_->around, &region);
    std::stable_partition(groups.begin(), groups.end(),
                          [](const Group& g) { return !g.is_default; });
    std::size_t open = 0;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        if (i > 0) b_.begin_else();
        if (!groups[i].is_default) {
            ir::Id chosen = ir::none;
            for (const clang::CaseStmt* label : groups[i].labels) {
                if (label->caseStmtIsGNURange())
                    fail(label, "a range of cases", "write if, or each case");
                at(label);
                const ir::Id equal = b_.apply(ir::Op::eq, {value, scalar(label->getLHS())});
                chosen = chosen == ir::none ? equal : b_.apply(ir::Op::logical_or, {chosen, equal});
            }
            b_.begin_branch(chosen);
            ++open;
        } else if (i == 0) {
            list(groups[i].statements);
            break;
        }
        list(groups[i].statements);
    }
    for (; open > 0; --open) b_.end();
    frame_->around = outer;
}

// ------------------------------------------------------------------------------ loops

void Lowering::body(const Stmt* s, Loop loop) {
    loops_.push_back(std::move(loop));
    Region* const outer = std::exchange(frame_->around, nullptr);
    list({s});
    frame_->around = outer;
    loops_.pop_back();
}

void Lowering::while_(const Expr* condition, const Stmt* s, const Expr* next) {
    if (condition != nullptr) at(condition);
    b_.begin_while_condition();
    b_.begin_while_body(condition == nullptr ? b_.constant_bool(true) : scalar(condition));
    const auto advance = [this, next] {
        if (next != nullptr) statement(next);
    };
    body(s, {.before_next = advance});
    if (falls_through(s)) advance();
    b_.end();
}

void Lowering::do_(const clang::DoStmt* s) {
    const std::uint32_t again = new_slot(DType::bool_);
    b_.write(again, b_.constant_bool(true));
    b_.begin_while_condition();
    b_.begin_while_body(b_.read(again));
    const auto decide = [&] {
        at(s->getCond());
        b_.write(again, scalar(s->getCond()));
    };
    body(s->getBody(), {.before_next = decide});
    if (falls_through(s->getBody())) decide();
    b_.end();
}

void Lowering::for_(const clang::ForStmt* s) {
    if (s->getConditionVariable() != nullptr)
        fail(s, "a condition declares a variable", "declare it before");
    const std::string_view uncounted = counted(s);
    if (uncounted.empty()) return;
    if (s->getCond() != nullptr)
        trace_.note(session_.location(s->getForLoc()),
                    fmt::format("this for is a while: {}", uncounted));
    if (s->getInit() != nullptr) statement(s->getInit());
    while_(s->getCond(), s->getBody(), s->getInc());
}

namespace {

/// `i`, as it is read, with conversions that leave its value.
const clang::VarDecl* read_variable(const Expr* e) {
    e = e->IgnoreParenImpCasts();
    const auto* r = dyn_cast<clang::DeclRefExpr>(e);
    return r == nullptr ? nullptr : dyn_cast<clang::VarDecl>(r->getDecl());
}

constexpr std::int64_t max_unrolled = 32;

/// Of an i64.
std::optional<std::int64_t> known_integer(const ir::Builder& b, ir::Id id) {
    if (b.node(id).kind != ir::NodeKind::constant) return std::nullopt;
    return b.kernel().constant(id).get<std::int64_t>();
}

bool subscripts(const Stmt* s) {
    if (s == nullptr) return false;
    const auto* o = dyn_cast<clang::CXXOperatorCallExpr>(s);
    if (isa<clang::ArraySubscriptExpr>(s) ||
        (o != nullptr && o->getOperator() == clang::OO_Subscript))
        return true;
    return std::ranges::any_of(s->children(), subscripts);
}
bool jumps(const Stmt* s) {
    if (s == nullptr || isa<Expr>(s)) return false;
    if (isa<clang::BreakStmt>(s) || isa<clang::ContinueStmt>(s) || isa<clang::ReturnStmt>(s))
        return true;
    return std::ranges::any_of(s->children(), jumps);
}

/// By how much `e` changes `v`: ++v, v += 2 ...; 0 where that is not seen.
std::int64_t step_of(const Expr* e, const clang::VarDecl* v, const clang::ASTContext& context) {
    if (e == nullptr) return 0;
    e = e->IgnoreParens();
    if (const auto* u = dyn_cast<clang::UnaryOperator>(e)) {
        if (read_variable(u->getSubExpr()) != v) return 0;
        return u->isIncrementOp() ? 1 : u->isDecrementOp() ? -1 : 0;
    }
    const auto* c = dyn_cast<clang::CompoundAssignOperator>(e);
    if (c == nullptr || read_variable(c->getLHS()) != v) return 0;
    if (c->getOpcode() != clang::BO_AddAssign && c->getOpcode() != clang::BO_SubAssign) return 0;
    Expr::EvalResult step;
    if (!c->getRHS()->getType()->isIntegerType() || !c->getRHS()->EvaluateAsInt(step, context))
        return 0;
    const auto value = step.Val.getInt().tryExtValue();
    if (!value || *value <= 0 || *value > 1 << 30) return 0;
    return c->getOpcode() == clang::BO_AddAssign ? *value : -*value;
}

}  // namespace

/// Element-wise kernels have no arrays but numbers one by one: a loop of a few iterations that
/// subscripts one is written out, so that its subscripts are constants.
bool Lowering::unrolled(const clang::ForStmt* s, const clang::VarDecl* v, ir::Id from, ir::Id to,
                        clang::BinaryOperatorKind kind, std::int64_t step) {
    const auto first = known_integer(b_, from), end = known_integer(b_, to);
    if (b_.kernel().is_program() || !first || !end || !subscripts(s->getBody()) ||
        jumps(s->getBody()))
        return false;
    const std::int64_t last = kind == clang::BO_LE   ? *end
                              : kind == clang::BO_GE ? *end
                              : step > 0             ? *end - 1
                                                     : *end + 1;
    const std::int64_t count = step > 0 ? (last - *first) / step + 1 : (*first - last) / -step + 1;
    if ((step > 0 ? last < *first : last > *first)) return true;
    if (count > max_unrolled) return false;
    const DType type = *scalar_type(v->getType());
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t number = *first + i * step;
        Place value = Place::of(b_.constant(Scalar::of(number).cast(type)), type);
        value.wide = b_.constant_i64(number);
        frame_->places[v] = value;
        list({s->getBody()});
    }
    return true;
}

/// What an i64 counts in place of a u64: of those beyond the largest i64 no loop gets to the end.
ir::Id Lowering::counted_bound(ir::Id bound) {
    if (never_negative(bound)) return bound;
    const ir::Id most = b_.constant_i64(std::numeric_limits<std::int64_t>::max());
    return b_.apply(ir::Op::select,
                    {b_.apply(ir::Op::lt, {bound, b_.constant_i64(0)}), most, bound});
}

/// Of an i64 that counts or bounds, as far as is seen.
bool Lowering::never_negative(ir::Id id) const {
    const ir::Node& n = b_.node(id);
    const auto all = [&] {
        for (std::uint32_t i = 0; i < n.operand_count; ++i)
            if (!never_negative(b_.kernel().operand(id, i))) return false;
        return true;
    };
    if (n.kind == ir::NodeKind::extent) return true;
    if (n.kind == ir::NodeKind::constant) return *known_integer(b_, id) >= 0;
    if (n.kind == ir::NodeKind::loop) {
        const auto step = known_integer(b_, b_.kernel().operand(id, 2));
        return step && never_negative(b_.kernel().operand(id, *step > 0 ? 0 : 1));
    }
    if (n.kind == ir::NodeKind::cast) {
        const DType from = b_.dtype(b_.kernel().operand(id, 0));
        return is_bool(from) || (is_integer(from) && !is_signed(from) && size_of(from) < 8);
    }
    if (n.kind != ir::NodeKind::op) return false;
    return (n.op == ir::Op::add || n.op == ir::Op::mul || n.op == ir::Op::div) && all();
}

/// Nothing, or why `s` is no counted loop.
std::string_view Lowering::counted(const clang::ForStmt* s) {
    using clang::BinaryOperatorKind;
    constexpr std::string_view head = "its head is not of the form for (int i = a; i < b; ++i)";
    const auto* init = llvm::dyn_cast_or_null<clang::DeclStmt>(s->getInit());
    const auto* condition = llvm::dyn_cast_or_null<clang::BinaryOperator>(s->getCond());
    if (init == nullptr || !init->isSingleDecl() || condition == nullptr) return head;
    const auto* v = dyn_cast<clang::VarDecl>(init->getSingleDecl());
    if (v == nullptr || v->getInit() == nullptr || !v->getType()->isIntegerType()) return head;
    const clang::ASTContext& context = session_.context();
    const auto type = scalar_type(v->getType());
    const std::int64_t step = step_of(s->getInc(), v, context);
    if (step == 0) return "its step is no constant, or beyond 2^30";
    if (!type || is_bool(*type) || size_of(*type) < 4)
        return "its counter has less than 32 bits and wraps";

    // i < end, or end > i.
    const Expr* end = condition->getRHS();
    BinaryOperatorKind kind = condition->getOpcode();
    if (read_variable(condition->getLHS()) != v) {
        if (read_variable(end) != v) return "its condition does not compare the counter";
        end = condition->getLHS();
        kind = clang::BinaryOperator::isComparisonOp(kind) && kind != clang::BO_NE &&
                       kind != clang::BO_EQ
                   ? clang::BinaryOperator::reverseComparisonOp(kind)
                   : kind;
    }
    const bool is_signed_ = is_signed(*type);
    const bool up = step > 0;
    const bool fits = (up && (kind == clang::BO_LT || (is_signed_ && kind == clang::BO_LE))) ||
                      (!up && (kind == clang::BO_GT || (is_signed_ && kind == clang::BO_GE))) ||
                      (kind == clang::BO_NE && is_signed_ && (step == 1 || step == -1));
    if (!fits) return "its condition does not bound the counter in the direction of its step";
    if (!is_signed_ && step != 1 && step != -1 && !(up && *type == DType::u64))
        return "its counter is unsigned, and could wrap past the end with this step";

    // The comparison sees the numbers that they are: no conversion changes one.
    const auto compared = scalar_type(condition->getLHS()->getType());
    const auto of_end = scalar_type(end->IgnoreParenImpCasts()->getType());
    if (!compared || !of_end || !is_integer(*compared) || !(is_integer(*of_end)))
        return "the end is no integer";
    Expr::EvalResult first;
    const bool from_zero =
        v->getInit()->EvaluateAsInt(first, context) && first.Val.getInt().isNonNegative() && up;
    if (is_signed_ && !is_signed(*compared) && !from_zero)
        return "a signed counter that may be negative is compared as unsigned";
    if (!is_signed_ && (is_signed(*compared) ? size_of(*compared) <= size_of(*type)
                                             : size_of(*compared) > size_of(*type)))
        return "its counter is unsigned, and narrower than what it is compared with";
    const Changed inside = changed_in(s->getBody());
    if (inside.contains(v)) return "its body changes the counter";
    if (!keeps_value(end, inside))
        return "the end is not seen to stay the same (a const variable before the loop does)";

    at(s);
    ir::Id from = wide(v->getInit());
    if (*type == DType::u64) from = counted_bound(from);
    ir::Id to = wide(end);
    if (*compared == DType::u64) to = counted_bound(to);
    if (unrolled(s, v, from, to, kind, step)) return {};
    if (kind == clang::BO_LE || kind == clang::BO_GE) {
        const std::int64_t past = up ? 1 : -1;
        if (const auto known = known_integer(b_, to))
            to = b_.constant_i64(*known + past);
        else
            to = b_.apply(up ? ir::Op::add : ir::Op::sub, {to, b_.constant_i64(1)});
    }
    at(s);
    const ir::Id index =
        b_.begin_loop(from, to, b_.constant_i64(step),
                      trace_.shares_loops() ? ir::loop_flag::shareable : std::uint8_t(0));
    frame_->places[v] = {.kind = Place::Kind::value, .dtype = *type, .wide = index};
    body(s->getBody(), {});
    b_.end();
    return {};
}

/// for (double x : array).
void Lowering::for_elements(const clang::CXXForRangeStmt* s, const clang::ConstantArrayType* type) {
    const Place array = place(s->getRangeInit()->IgnoreImplicit());
    const auto count = static_cast<std::int64_t>(type->getSize().getZExtValue());
    const clang::VarDecl* v = s->getLoopVariable();
    const clang::QualType own = v->getType();
    const auto run = [&](ir::Id index) {
        Place element = indexed(array, type->getElementType(), index, 1);
        if (!own->isReferenceType()) {
            if (frame_->changed.contains(v)) {
                const Place slots = allocate(own, v->getLocation(), name_of(v));
                assign(slots, element);
                element = slots;
            } else {
                element = snapshot(element);
            }
        }
        frame_->places[v] = element;
    };
    if (own.getNonReferenceType().getCanonicalType().getUnqualifiedType() !=
        type->getElementType().getCanonicalType().getUnqualifiedType())
        fail(s->getLoopVarStmt(), "elements of an array are converted by a loop over it",
             "declare the variable as auto");
    at(s);
    if (!b_.kernel().is_program() && count <= max_unrolled && !jumps(s->getBody())) {
        for (std::int64_t i = 0; i < count; ++i) {
            run(b_.constant_i64(i));
            list({s->getBody()});
        }
        return;
    }
    const ir::Id index =
        b_.begin_loop(b_.constant_i64(0), b_.constant_i64(count), b_.constant_i64(1));
    run(index);
    body(s->getBody(), {});
    b_.end();
}

void Lowering::for_range(const clang::CXXForRangeStmt* s) {
    if (s->getInit() != nullptr) statement(s->getInit());
    const Expr* range = s->getRangeInit()->IgnoreImplicit();
    if (const auto* array = session_.context().getAsConstantArrayType(range->getType()))
        return for_elements(s, array);
    const auto* call = dyn_cast<clang::CallExpr>(range);
    const clang::FunctionDecl* f = call == nullptr ? nullptr : call->getDirectCallee();
    if (f == nullptr || !session_.in_prelude(f->getLocation()) ||
        (f->getName() != "range" && f->getName() != "prange"))
        fail(s->getRangeInit(), "a loop over this", "loops run over range(...) and prange(...)");
    std::vector<ir::Id> bounds;
    ir::ParallelLoop parallel;
    for (const Expr* argument : call->arguments()) {
        if (argument->getType()->isIntegerType()) {
            at(argument);
            bounds.push_back(wide(argument));
            continue;
        }
        if (isa<clang::CXXDefaultArgExpr>(argument)) continue;
        Expr::EvalResult options;
        if (!argument->EvaluateAsRValue(options, session_.context()) || !options.Val.isStruct())
            fail(argument, "the options of a prange are constants");
        parallel.schedule =
            static_cast<ir::Schedule>(options.Val.getStructField(0).getInt().getZExtValue());
        parallel.chunk = options.Val.getStructField(1).getInt().getSExtValue();
        parallel.unsafe_races = options.Val.getStructField(2).getInt().getBoolValue();
        keep(ir::rules::chunk(parallel.chunk), argument->getBeginLoc());
    }
    at(s);
    if (bounds.size() == 1) bounds.insert(bounds.begin(), b_.constant_i64(0));
    if (bounds.size() == 2) bounds.push_back(b_.constant_i64(1));
    keep(ir::rules::loop_step(b_, bounds[2]), call->getBeginLoc());
    const bool is_parallel = f->getName() == "prange";
    const ir::Id index = is_parallel
                             ? b_.begin_parallel_loop(bounds[0], bounds[1], bounds[2], parallel)
                             : b_.begin_loop(bounds[0], bounds[1], bounds[2]);
    const clang::VarDecl* v = s->getLoopVariable();
    const auto type = scalar_type(v->getType().getNonReferenceType());
    if (!type || !is_integer(*type))
        fail(s->getLoopVarStmt(), "the index of a range is an integer");
    // Of a type that may not hold the index it is what C++ converts it to.
    const bool holds =
        size_of(*type) == 8 || (size_of(*type) == 4 && (is_signed(*type) || never_negative(index)));
    const Place value = holds ? Place{.kind = Place::Kind::value, .dtype = *type, .wide = index}
                              : Place::of(b_.cast(index, *type), *type);
    if (frame_->changed.contains(v)) {
        const Place slot = allocate(v->getType(), v->getLocation(), name_of(v));
        store(slot, load(value));
        frame_->places[v] = slot;
    } else {
        frame_->places[v] = value;
    }
    body(s->getBody(), {.parallel = is_parallel});
    b_.end();
}

// ------------------------------------------------------------------------------ declarations

void Lowering::declare(const clang::Decl* d) {
    if (const auto* v = dyn_cast<clang::VarDecl>(d)) return variable(v);
    if (isa<clang::TypeDecl>(d) || isa<clang::UsingDecl>(d) || isa<clang::UsingDirectiveDecl>(d) ||
        isa<clang::StaticAssertDecl>(d) || isa<clang::EmptyDecl>(d) ||
        isa<clang::UsingShadowDecl>(d) || isa<clang::FunctionDecl>(d))
        return;
    session_.fail(ErrorKind::unsupported, d->getLocation(),
                  "a declaration that kernels do not have");
}

void Lowering::variable(const clang::VarDecl* v) {
    const auto refuse_it = [&](const std::string& message, const std::string& hint = {}) {
        session_.fail(ErrorKind::unsupported, v->getLocation(), message, hint);
    };
    const auto bind = [&] {
        if (const auto* bound = dyn_cast<clang::DecompositionDecl>(v))
            for (const clang::BindingDecl* b : bound->bindings())
                frame_->places[b] = place(b->getBinding());
    };
    const clang::QualType type = v->getType();
    if (v->isStaticLocal() && !v->isConstexpr() && !type.isConstQualified())
        refuse_it("a variable that stays from call to call", "kernels have no static variables");
    if (type.isVolatileQualified())
        refuse_it("kernels have no volatile variables", "leave out volatile");
    if (type->isFunctionPointerType() || type->isFunctionReferenceType()) {
        if (v->getInit() == nullptr || (type->isPointerType() && frame_->changed.contains(v)))
            refuse_it("a pointer to a function that changes",
                      "kernels call functions that are known when they are compiled");
        frame_->places[v] = function(v->getInit());
        return;
    }
    if (type->isReferenceType()) {
        frame_->places[v] = place(v->getInit());
        return bind();
    }
    if (type->isPointerType()) refuse_it("kernels have no pointers", "use a reference or an index");
    if (!type->isRecordType() && !type->isArrayType()) dtype(type, v->getLocation());
    const Expr* init = v->getInit();
    if (v->isConstexpr() && !type->isArrayType()) {
        if (const clang::APValue* value = v->evaluateValue()) {
            frame_->places[v] = constant_place(*value, type, init);
            return;
        }
    }
    if (is_closure(type)) {
        frame_->places[v] = object(init);
        return;
    }
    if (!frame_->changed.contains(v) && init != nullptr && !type->isArrayType()) {
        if (const auto t = scalar_type(type)) {
            Place made{.kind = Place::Kind::value, .dtype = *t, .id = scalar(init)};
            const Expr* plain = init->IgnoreParenImpCasts();
            // A sum of counters stays one, where it is a subscript.
            if (*t == DType::i32 && b_.kernel().is_program() && isa<clang::BinaryOperator>(plain) &&
                may_run_early(init))
                made.wide = wide(init);
            frame_->places[v] = made;
        } else {
            frame_->places[v] = snapshot(object(init));
        }
    } else {
        const Place slots = allocate(type, v->getLocation(), name_of(v));
        if (init == nullptr)
            zero(slots);
        else
            initialise(slots, type, init);
        frame_->places[v] = slots;
    }
    bind();
}

}  // namespace kiln::text
