// From the typed tree of a text to nodes of a kernel.
//
// Functions that are called become part of the kernel where they are called, so what C++ has at run
// time is found out here: what a reference stands for, which function a call means. A variable that
// is never written after its declaration is a value, any other one a slot.
//
// C++ leaves functions, and switches, from any place within; the IR leaves loops alone. Where a
// statement may leave, what follows it goes into the branch that doesn't, or behind a test of a flag.
#pragma once
#include "dsl/ir/powers.h"
#include "dsl/ir/rules.h"
#include "dsl/text/session.h"

#include <clang/AST/DeclCXX.h>
#include <clang/AST/Expr.h>
#include <clang/AST/ExprCXX.h>
#include <clang/AST/StmtCXX.h>

#include <functional>
#include <map>
#include <set>
#include <utility>

namespace kiln::text {

/// What an lvalue or a value of class type stands for.
struct Place {
    enum class Kind : std::uint8_t {
        nothing,
        value,      ///< a node; it never changes
        slot,       ///< a variable, or an array in one
        element,    ///< of an array parameter
        array,      ///< an array parameter
        record,     ///< parts, one for each field
        closure,    ///< a lambda: parts, one for each capture
        neighbors,  ///< an array that is indexed relative to an element
        function,  ///< what a pointer or reference to a function stands for, with `parts` of a closure
    };
    Kind kind = Kind::nothing;
    DType dtype = DType::f64;  ///< of a value
    ir::Id id = ir::none;      ///< of a value; of a slot with several elements the position
    ir::Id wide = ir::none;    ///< an i64 of the same number as a value, which may have no `id`
    std::uint32_t target = 0;  ///< slot or parameter
    std::uint32_t spread = 1;  ///< an array in so many slots from `target` on, which are no arrays
    std::uint32_t count = 1;   ///< of a slot with `id`: so many elements, from there on
    std::vector<ir::Id> subscripts = {};
    std::vector<Place> parts = {};
    const NeighborAccess* neighbors = nullptr;
    const clang::FunctionDecl* function = nullptr;

    static Place of(ir::Id id, DType dtype) {
        return {.kind = Kind::value, .dtype = dtype, .id = id};
    }
};

/// The variables of a function that change after their declaration.
using Changed = std::set<const clang::ValueDecl*>;
Changed changed_in(const clang::Stmt* body);

/// How a statement leaves what it stands in.
struct Exits {
    bool returns = false, breaks = false;  ///< breaks: out of the innermost switch around it
    bool any() const { return returns || breaks; }
};
Exits exits_of(const clang::Stmt* statement);
bool falls_through(const clang::Stmt* statement);
/// Whether a function returns once, as the last thing that it does.
bool returns_once(const clang::Stmt* body);

/// Whether a value of this type is a lambda.
inline bool is_closure(clang::QualType type) {
    const auto* record = type.getNonReferenceType()->getAsCXXRecordDecl();
    return record != nullptr && record->isLambda();
}

/// The dtype of a number's C++ type; nothing for other types.
std::optional<DType> dtype_of_type(clang::QualType type, const clang::ASTContext& context);

class Lowering {
  public:
    Lowering(const Session& session, dsl::Trace& trace)
        : session_(session), trace_(trace), b_(trace.builder()) {}

    /// The entry, with its parameters standing for these.
    Place run(std::span<const Place> params);
    ir::Id load(const Place& place);
    /// A variable, 0 at first.
    Place output(DType dtype);
    /// An element of an array parameter.
    Place element(std::uint32_t param, std::span<const ir::Id> subscripts);

  private:
    using Statements = std::vector<const clang::Stmt*>;
    /// A function or switch that is being left from within.
    struct Region {
        std::optional<std::uint32_t> flag = {};  ///< slot: it is being left
        unsigned watched = 0;                    ///< how many statements around ask for the flag
        unsigned loops = 0;                      ///< that were open where it begins
    };
    struct Frame {
        const clang::FunctionDecl* function;
        Frame* caller;
        std::map<const clang::ValueDecl*, Place> places = {};
        Changed changed = {};
        Place self = {};
        Place result = {};
        bool returns_directly = false;
        Region region = {};
        Region* around = nullptr;  ///< the innermost switch
    };
    struct Loop {
        bool parallel = false;
        std::function<void()> before_next = {};
    };
    using Pieces = std::span<const clang::Expr* const>;

    [[noreturn]] void fail(const clang::Stmt* at, const std::string& message,
                           const std::string& hint = {}) const;
    [[noreturn]] void refuse(const clang::Stmt* statement) const;
    /// Tells of a rule that is broken, with a caret there.
    void keep(const ir::rules::Verdict& verdict, clang::SourceLocation at) const;
    void at(const clang::Stmt* statement);
    void at(clang::SourceLocation place);
    std::optional<DType> scalar_type(clang::QualType type) const {
        return dtype_of_type(type, session_.context());
    }
    DType dtype(clang::QualType type, clang::SourceLocation at) const;

    // statements.cpp
    void list(Statements statements);
    void statement(const clang::Stmt* s);
    void branch(const clang::IfStmt* s, const Statements& rest);
    void guarded(const clang::Stmt* s, Exits exits, const Statements& rest);
    void leave(Region& region, const clang::Stmt* at);
    void return_(const clang::ReturnStmt* s);
    void switch_(const clang::SwitchStmt* s);
    void for_(const clang::ForStmt* s);
    std::string_view counted(const clang::ForStmt* s);
    ir::Id counted_bound(ir::Id bound);
    bool never_negative(ir::Id id) const;
    bool unrolled(const clang::ForStmt* s, const clang::VarDecl* v, ir::Id from, ir::Id to,
                  clang::BinaryOperatorKind kind, std::int64_t step);
    void for_range(const clang::CXXForRangeStmt* s);
    void for_elements(const clang::CXXForRangeStmt* s, const clang::ConstantArrayType* type);
    void while_(const clang::Expr* condition, const clang::Stmt* body, const clang::Expr* next);
    void do_(const clang::DoStmt* s);
    void body(const clang::Stmt* s, Loop loop);
    void declare(const clang::Decl* d);
    void variable(const clang::VarDecl* v);

    // lowering.cpp: places
    std::string name_of(const clang::ValueDecl* variable) const;
    /// Slots for a value of the type; errors and remarks call them `called`, if it is not empty.
    Place allocate(clang::QualType type, clang::SourceLocation at, const std::string& called = {});
    void zero(const Place& place);
    std::uint32_t new_slot(DType dtype, std::uint32_t length = 1, std::string name = {});
    ir::Id position(const Place& place) const;
    std::uint32_t length(const Place& place) const;
    Place part(const Place& array, ir::Id i) const;
    std::optional<std::uint32_t> known_position(const Place& place) const;
    Place table(const clang::APValue& value, clang::QualType element, ir::Id index,
                const clang::Stmt* at);
    void store(const Place& place, ir::Id value);
    void assign(const Place& to, const Place& from);
    Place snapshot(const Place& place);
    Place place(const clang::Expr* e);
    Place object(const clang::Expr* e);  ///< a value of class type
    Place variable_place(const clang::DeclRefExpr* e);
    Place member(const clang::MemberExpr* e);
    Place indexed(Place array, clang::QualType element, ir::Id index, std::uint64_t factor) const;
    Place subscript(const clang::ArraySubscriptExpr* e);
    void check_subscript(ir::Id index, std::int64_t size);
    Place constant_place(const clang::APValue& value, clang::QualType type, const clang::Stmt* at);
    void fill(const Place& to, const clang::APValue& value, clang::QualType type,
              const clang::Stmt* at);
    void make_tables(const clang::Stmt* s, std::set<const clang::FunctionDecl*>& seen);
    void initialise(const Place& place, clang::QualType type, const clang::Expr* init);
    Place construct(const clang::CXXConstructExpr* e);
    Place closure(const clang::LambdaExpr* e);
    void each(const Place& array, clang::QualType element, std::uint64_t from, std::uint64_t to,
              const std::function<void(const Place&)>& visit);

    // expressions.cpp: values
    ir::Id scalar(const clang::Expr* e);
    ir::Id complex(const clang::CXXConstructExpr* e);
    ir::Id loaded(const clang::Expr* lvalue);
    ir::Id cast(const clang::CastExpr* e);
    ir::Id unary(const clang::UnaryOperator* e);
    ir::Id binary(const clang::BinaryOperator* e);
    ir::Id operation(clang::BinaryOperatorKind kind, ir::Id a, ir::Id b, const clang::Expr* e);
    ir::Id logical(const clang::BinaryOperator* e);
    ir::Id conditional(const clang::AbstractConditionalOperator* e);
    Place increment(const clang::UnaryOperator* e, ir::Id* before);
    Place assignment(const clang::BinaryOperator* e);
    ir::Id wide(const clang::Expr* e);
    ir::Id constant(const clang::APValue& value, clang::QualType type, const clang::Stmt* at);
    std::optional<ir::Id> folded(const clang::Expr* e);
    bool may_run_early(const clang::Expr* e) const;
    bool keeps_value(const clang::Expr* e, const Changed& changed) const;

    // calls.cpp
    Place call(const clang::CallExpr* e);
    Place call_of(const clang::FunctionDecl* f, const clang::CallExpr* e, Place self);
    Place function(const clang::Expr* e);  ///< of a pointer or reference to one
    Place call_builtin(const clang::CallExpr* e, const clang::FunctionDecl* f);
    bool is_complex_part(const clang::CallExpr* e) const;
    ir::Id complex_part(const clang::CXXMemberCallExpr* e);
    ir::Id complex_operation(const clang::CXXOperatorCallExpr* e);
    Place extreme_of_list(const clang::CallExpr* e, bool least);
    Place extent(const clang::CallExpr* e);
    std::int64_t dimension(const clang::CallExpr* e, std::int64_t rank);
    Place neighbor(const NeighborAccess& array, Pieces offsets, const clang::Expr* e);
    void check_subscripts(Pieces subscripts, std::size_t rank, const clang::Expr* e) const;
    Place element(const Place& array, Pieces subscripts, const clang::Expr* e);
    Place atomic(const clang::CallExpr* e, llvm::StringRef what);
    Place inlined(const clang::FunctionDecl* f, Pieces arguments, const Place& self,
                  const clang::Expr* e);
    void open_closure(const clang::FunctionDecl* f, Frame& frame);
    Place argument(const clang::ParmVarDecl* param, const clang::Expr* e, bool changes);

    const Session& session_;
    dsl::Trace& trace_;
    ir::Builder& b_;
    Frame* frame_ = nullptr;
    std::vector<Loop> loops_;
    std::map<const clang::FunctionDecl*, Changed> changed_;
    /// Constant arrays that are in slots from the kernel's beginning on.
    std::map<const clang::VarDecl*, Place> tables_;
};

}  // namespace kiln::text
