#include "codegen/cuda/emit.h"

#include "codegen/abi.h"
#include "codegen/cuda/prelude.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <unordered_set>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

constexpr std::string_view reserved[] = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break",
    "case", "catch", "char", "class", "compl", "const", "const_cast", "constexpr", "continue",
    "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit",
    "export", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long",
    "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or",
    "or_eq", "private", "protected", "public", "register", "reinterpret_cast", "return", "short",
    "signed", "sizeof", "static", "static_assert", "static_cast", "struct", "switch", "template",
    "this", "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "union",
    "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
    // of CUDA, and of the emitted text itself
    "blockIdx", "blockDim", "gridDim", "threadIdx", "warpSize", "atomicMin", "fabs", "n", "i",
    "fault", "next", "step"};

std::string identifier(std::string_view name) {
    std::string result;
    for (const char c : name) result += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return result;
}

[[noreturn]] void unsupported(const std::string& what, const Location& where,
                              const char* hint = "it takes element-wise kernels of one dimension") {
    throw Error(ErrorKind::unsupported, "the CUDA backend does not compile " + what, where, hint);
}

/// What the text {0} + {1} becomes for integers: in an unsigned type, where it wraps.
std::string_view wrapping_symbol(Op op) {
    return op == Op::add ? "+" : op == Op::sub ? "-" : op == Op::mul ? "*" : "";
}

class Emitter {
  public:
    Emitter(const Kernel& kernel, std::string entry)
        : kernel_(kernel), entry_(std::move(entry)), names_(kernel.nodes.size()) {
        for (const std::string_view word : reserved) used_.emplace(word);
        // A parameter named like a function would hide it.
        for (const OpInfo& row : op_table) used_.emplace(row.name);
    }

    /// The kernel's function, without the prelude.
    std::string run() {
        require_elementwise();
        name_everything();
        const Stage& stage = kernel_.stages[0];
        line("{{");
        ++indent_;
        preload_uniforms();
        line("const long long step = (long long)gridDim.x * blockDim.x;");
        line(
            "for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += "
            "step) {{");
        ++indent_;
        // A jump to `next` leaves the scope of all values that it skips.
        const bool jumps = has_inner_return(stage.body);
        if (jumps) {
            line("{{");
            ++indent_;
        }
        declare_slots();
        block(stage.body);
        if (jumps) {
            --indent_;
            line("}}");
            line("next:;");
        }
        --indent_;
        line("}}");
        --indent_;
        line("}}");
        return signature() + body_;
    }

  private:
    // --- what it takes ---

    void require_elementwise() const {
        if (kernel_.form == Form::scan)
            unsupported("scans", kernel_.location(kernel_.stages[0].loc));
        if (kernel_.stages.size() != 1) unsupported("kernels of several stages", {});
        const Stage& stage = kernel_.stages[0];
        const Location where = kernel_.location(stage.loc);
        if (stage.extents.size() != 1) unsupported("stages of several dimensions", where);
        if (!stage.reductions.empty()) unsupported("reductions", where);
        for (const Param& p : kernel_.params)
            if (p.access != Access::value && p.rank != 1)
                unsupported("arrays of rank " + std::to_string(p.rank), where);
    }

    // --- names ---

    std::string unique(std::string name) {
        if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0)
            name = "p" + name;
        if (name.starts_with("kiln_")) name += '_';
        while (!used_.insert(name).second) name += '_';
        return name;
    }

    void name_everything() {
        for (const Param& p : kernel_.params) params_.push_back(unique(identifier(p.name)));
        for (const std::string& p : params_) strides_.push_back(unique(p + "_stride"));
        for (const Slot& s : kernel_.slots)
            slots_.push_back(unique(identifier(s.name.empty() ? "s" : s.name)));
        uniforms_.resize(params_.size());
    }

    std::string fresh(char letter) { return unique(fmt::format("{}{}", letter, counter_++)); }

    // --- text ---

    template <class... A> void line(fmt::format_string<A...> format, A&&... args) {
        body_.append(4 * indent_, ' ');
        fmt::format_to(std::back_inserter(body_), format, std::forward<A>(args)...);
        body_ += '\n';
    }

    static std::string_view type(DType t) { return info(t).cuda; }

    std::string signature() const {
        std::vector<std::string> list = {"long long n"};
        for (std::size_t p = 0; p < params_.size(); ++p) {
            const Param& param = kernel_.params[p];
            if (param.access == Access::value) {
                list.push_back(fmt::format("{} {}", type(param.dtype), params_[p]));
                continue;
            }
            const std::string_view constant = param.access == Access::in ? "const " : "";
            list.push_back(fmt::format("{}{}* {}", constant, type(param.dtype), params_[p]));
            if (param.layout == Layout::strided)
                list.push_back(fmt::format("long long {}", strides_[p]));
        }
        if (!sites_.empty()) list.push_back("unsigned long long* fault");
        std::string text = fmt::format("extern \"C\" __global__ void {}(", entry_);
        const std::size_t margin = text.size();
        std::size_t column = margin;
        for (std::size_t a = 0; a < list.size(); ++a) {
            const std::string item = list[a] + (a + 1 == list.size() ? ")" : ", ");
            if (column > margin && column + item.size() > 100) {
                text.back() = '\n';
                text.append(margin, ' ');
                column = margin;
            }
            text += item;
            column += item.size();
        }
        return text + '\n';
    }

    void comment_line(const Node& n) {
        if (n.loc == 0 || n.loc == shown_loc_) return;
        shown_loc_ = n.loc;
        const Location where = kernel_.location(n.loc);
        if (where.line == 0) return;
        line("// {}:{}", where.short_file(), where.line);
    }

    /// Input elements that are the same for every iteration are loaded once.
    void preload_uniforms() {
        for (const Node& n : kernel_.nodes) {
            if (n.kind != NodeKind::load || !uniforms_[n.aux].empty()) continue;
            const Param& param = kernel_.params[n.aux];
            if (param.access == Access::in && param.layout == Layout::uniform)
                uniforms_[n.aux] = unique(params_[n.aux] + "_value");
        }
        const auto is_uniform = [](const std::string& name) { return !name.empty(); };
        if (std::ranges::none_of(uniforms_, is_uniform)) return;
        line("if (n == 0) return;");
        for (std::size_t p = 0; p < params_.size(); ++p)
            if (is_uniform(uniforms_[p]))
                line("const {} {} = {}[0];", type(kernel_.params[p].dtype), uniforms_[p],
                     params_[p]);
    }

    void declare_slots() {
        for (std::size_t s = 0; s < slots_.size(); ++s) {
            const Slot& slot = kernel_.slots[s];
            if (slot.length == 1)
                line("{} {} = {{}};", type(slot.dtype), slots_[s]);
            else
                line("{} {}[{}] = {{}};", type(slot.dtype), slots_[s], slot.length);
        }
    }

    // --- values ---

    static std::string real_literal(DType t, double value) {
        if (!std::isfinite(value)) {
            if (t == DType::f32)
                return fmt::format("kiln_f32({:#x}u)",
                                   std::bit_cast<std::uint32_t>(static_cast<float>(value)));
            return fmt::format("kiln_f64({:#x}ull)", std::bit_cast<std::uint64_t>(value));
        }
        std::string text = t == DType::f32 ? fmt::format("{}", static_cast<float>(value))
                                           : fmt::format("{}", value);
        if (text.find_first_of(".e") == text.npos) text += ".0";
        if (t == DType::f32) text += 'f';
        return text[0] == '-' ? "(" + text + ")" : text;
    }

    std::string literal(Id id) const {
        const Node& n = kernel_.node(id);
        const Scalar value = kernel_.constant(id);
        switch (n.dtype) {
            case DType::bool_: return n.imm != 0 ? "true" : "false";
            case DType::i8:
            case DType::i16:
            case DType::u8:
            case DType::u16:
                return fmt::format("({})({})", type(n.dtype),
                                   value.cast(DType::i64).get<std::int64_t>());
            case DType::i32:
            case DType::i64: {
                const std::int64_t x = value.cast(DType::i64).get<std::int64_t>();
                const std::string_view suffix = n.dtype == DType::i64 ? "LL" : "";
                const bool smallest = n.dtype == DType::i64 ? x == INT64_MIN : x == INT32_MIN;
                if (smallest)
                    return fmt::format("({}{} - 1)", x + 1, suffix);  // no literal is that large
                return x < 0 ? fmt::format("({}{})", x, suffix) : fmt::format("{}{}", x, suffix);
            }
            case DType::u32: return fmt::format("{}u", value.get<std::uint32_t>());
            case DType::u64: return fmt::format("{}ull", value.get<std::uint64_t>());
            case DType::f16:
            case DType::bf16: return fmt::format("{}{{{:#06x}u}}", type(n.dtype), n.imm);
            case DType::f32:
            case DType::f64: return real_literal(n.dtype, value.cast(DType::f64).get<double>());
            case DType::c64:
            case DType::c128: break;
        }
        throw Error(ErrorKind::internal, "complex constant node");
    }

    std::string value(Id id) const {
        const Node& n = kernel_.node(id);
        if (!is_leaf(n.kind)) return names_[id];
        if (n.kind == NodeKind::constant) return literal(id);
        if (n.kind == NodeKind::param) return params_[n.aux];
        if (n.kind == NodeKind::index) return "i";
        if (n.aux2 != 0) unsupported("a second dimension", kernel_.location(n.loc));
        return "n";
    }
    std::string operand(Id id, std::size_t i) const { return value(kernel_.operand(id, i)); }

    void define(Id id, const std::string& expression) {
        names_[id] = fresh('v');
        line("const {} {} = {};", type(kernel_.node(id).dtype), names_[id], expression);
    }

    std::string operation(Id id) const {
        const Node& n = kernel_.node(id);
        const DType t =
            kernel_.node(kernel_.operand(id, info(n.op).rule == Rule::choice ? 1 : 0)).dtype;
        if (is_integer(t) && is_integer(n.dtype)) {
            const std::string_view wraps = size_of(t) == 8 ? "unsigned long long" : "unsigned int";
            if (n.op == Op::neg)
                return fmt::format("({})(0 - ({}){})", type(t), wraps, operand(id, 0));
            if (const std::string_view symbol = wrapping_symbol(n.op); !symbol.empty())
                return fmt::format("({})(({}){} {} ({}){})", type(t), wraps, operand(id, 0), symbol,
                                   wraps, operand(id, 1));
        }
        if (is_bool(t) && n.op == Op::add) return operand(id, 0) + " || " + operand(id, 1);
        if (is_bool(t) && n.op == Op::mul) return operand(id, 0) + " && " + operand(id, 1);
        return substitute(info(n.op).cuda, id, t);
    }

    std::string substitute(std::string_view spelling, Id id, DType t) const {
        std::string text;
        for (std::size_t at = 0; at < spelling.size(); ++at) {
            if (spelling[at] != '{') {
                text += spelling[at];
                continue;
            }
            const char what = spelling[at + 1];
            text += what == 't' ? std::string(type(t))
                                : operand(id, static_cast<std::size_t>(what - '0'));
            at += 2;
        }
        return text;
    }

    std::string conversion(Id id) const {
        const DType to = kernel_.node(id).dtype, from = kernel_.node(kernel_.operand(id, 0)).dtype;
        const std::string x = operand(id, 0);
        if (from == to) return x;
        if (from == DType::f16) return fmt::format("kiln_f16_to_float({})", x);
        if (from == DType::bf16) return fmt::format("kiln_bf16_to_float({})", x);
        // What float would round, or may, is rounded once.
        const bool exact = size_of(from) <= 2 || from == DType::f32;
        const std::string once = exact ? x : fmt::format("kiln_to_odd({})", x);
        if (to == DType::f16) return fmt::format("kiln_float_to_f16({})", once);
        if (to == DType::bf16) return fmt::format("kiln_float_to_bf16({})", once);
        if (is_bool(to)) return x + " != 0";
        if (is_real(from) && is_integer(to))
            return fmt::format("kiln_saturate<{}>({})", type(to), x);
        return fmt::format("({}){}", type(to), x);
    }

    /// The element of parameter p that operand 0 of a load or store selects.
    std::string element(Id id) const {
        const Node& n = kernel_.node(id);
        const Param& param = kernel_.params[n.aux];
        const std::string& name = params_[n.aux];
        const std::string subscript = operand(id, 0);
        switch (param.layout) {
            case Layout::unit: return fmt::format("{}[{}]", name, subscript);
            case Layout::uniform: return name + "[0]";
            case Layout::strided: break;
        }
        const std::string_view constant = param.access == Access::in ? "const " : "";
        return fmt::format("*({0}{1}*)(({0}char*){2} + {3} * {4})", constant, type(param.dtype),
                           name, subscript, strides_[n.aux]);
    }

    std::string slot(Id id, bool has_position) const {
        const std::string& name = slots_[kernel_.node(id).aux];
        return has_position ? fmt::format("{}[{}]", name, operand(id, 0)) : name;
    }

    // --- structure ---

    void block(Id block) {
        for (const Id id : kernel_.blocks[block].nodes) node(id);
    }

    void nested(Id inner) {
        ++indent_;
        block(inner);
        --indent_;
    }

    void node(Id id) {
        const Node& n = kernel_.node(id);
        comment_line(n);
        switch (n.kind) {
            case NodeKind::constant:
            case NodeKind::param:
            case NodeKind::extent:
            case NodeKind::index: return;
            case NodeKind::op: return define(id, operation(id));
            case NodeKind::cast: return define(id, conversion(id));
            case NodeKind::load:
                names_[id] = uniforms_[n.aux];
                return names_[id].empty() ? define(id, element(id)) : void();
            case NodeKind::read: return define(id, slot(id, n.operand_count == 1));
            case NodeKind::store: return line("{} = {};", element(id), operand(id, 1));
            case NodeKind::write:
                return line("{} = {};", slot(id, n.operand_count == 2),
                            operand(id, n.operand_count - 1U));
            case NodeKind::check:
                line("kiln_check(fault, i, {}, {});", sites_.size(), operand(id, 0));
                sites_.push_back(id);
                return;
            case NodeKind::branch: return branch(id, n);
            case NodeKind::loop: return loop(id, n);
            case NodeKind::loop_while: return loop_while(id, n);
            case NodeKind::launch:
                unsupported("launches inside of kernels", kernel_.location(n.loc));
            case NodeKind::break_: return line("break;");
            case NodeKind::continue_: return line("continue;");
            case NodeKind::return_: return line("{}", loops_ == 0 ? "continue;" : "goto next;");
            case NodeKind::atomic: unsupported("atomic updates", kernel_.location(n.loc));
            case NodeKind::call_pure:
            case NodeKind::call:
                unsupported(fmt::format("calls of functions of the host program ({})",
                                        kernel_.functions[n.aux].name),
                            kernel_.location(n.loc));
            case NodeKind::contribute: unsupported("reductions", kernel_.location(n.loc));
            case NodeKind::whole:
            case NodeKind::fold:
            case NodeKind::permute:
            case NodeKind::assign:
            case NodeKind::allocate: unsupported("whole-array statements", kernel_.location(n.loc));
        }
    }

    void branch(Id id, const Node& n) {
        line("if ({}) {{", operand(id, 0));
        nested(n.aux);
        if (n.aux2 != none) {
            line("}} else {{");
            nested(n.aux2);
        }
        line("}}");
    }

    void loop(Id id, const Node& n) {
        const std::string begin = operand(id, 0), end = operand(id, 1), step = operand(id, 2);
        const std::string k = names_[id] = fresh('k');
        std::string goes_on = fmt::format("{} > 0 ? {} < {} : {} > {}", step, k, end, k, end);
        if (kernel_.node(kernel_.operand(id, 2)).kind == NodeKind::constant)
            goes_on = fmt::format(
                "{} {} {}", k,
                kernel_.constant(kernel_.operand(id, 2)).get<std::int64_t>() > 0 ? "<" : ">", end);
        line("for (long long {} = {}; {}; {} += {}) {{", k, begin, goes_on, k, step);
        ++loops_;
        nested(n.aux);
        --loops_;
        line("}}");
    }

    void loop_while(Id id, const Node& n) {
        line("while (true) {{");
        ++loops_;
        nested(n.aux);
        ++indent_;
        line("if (!{}) break;", operand(id, 0));
        --indent_;
        nested(n.aux2);
        --loops_;
        line("}}");
    }

    bool has_inner_return(Id block) const {
        return any_in(kernel_, block, [&](Id id, const Around& around) {
            return kernel_.node(id).kind == NodeKind::return_ && around.loops > 0;
        });
    }

    const Kernel& kernel_;
    const std::string entry_;
    std::vector<std::string> names_;  // per node
    std::vector<std::string> params_, strides_, slots_, uniforms_;
    std::unordered_set<std::string> used_;
    std::vector<Id> sites_;
    std::string body_;
    std::size_t indent_ = 0;
    unsigned counter_ = 0;
    unsigned loops_ = 0;  // loops around the node that is being emitted
    std::uint32_t shown_loc_ = 0;
};

/// The functions of a program: one for each of its outlined kernels. What launches them is no text.
class Program {
  public:
    explicit Program(const Kernel& kernel) : kernel_(kernel), lines_(kernel.outlined.size()) {}

    std::string run() {
        for (const Node& n : kernel_.nodes)  // what says most goes first
            if (n.kind == NodeKind::launch)
                launch(kernel_.launches[n.aux], kernel_.location(n.loc));
        block(kernel_.stages[0].body);
        if (kernel_.outlined.empty()) refuse("a program without parallel loops", {});
        std::string text;
        for (std::size_t i = 0; i < kernel_.outlined.size(); ++i)
            text += fmt::format(
                "{}{}{}", i == 0 ? "" : "\n", lines_[i],
                Emitter(kernel_.outlined[i], fmt::format("{}_{}", cuda_entry_name(kernel_), i))
                    .run());
        return text;
    }

  private:
    [[noreturn]] static void refuse(const std::string& what, const Location& where) {
        unsupported(what, where, "of loop kernels it takes those of prange loops over elements");
    }

    void block(Id id) {
        for (const Id node_id : kernel_.blocks[id].nodes) {
            const Node& n = kernel_.node(node_id);
            const Location where = kernel_.location(n.loc);
            switch (n.kind) {
                case NodeKind::constant:
                case NodeKind::param:
                case NodeKind::extent:
                case NodeKind::index:
                case NodeKind::op:
                case NodeKind::cast:
                case NodeKind::launch: break;
                case NodeKind::loop:
                case NodeKind::loop_while:
                    refuse(effects_of(n).any(effect::in_parallel)
                               ? "a parallel loop whose iterations are not element-wise"
                               : "loops that run on one thread",
                           where);
                case NodeKind::read:
                case NodeKind::write: refuse("variables outside of parallel loops", where);
                case NodeKind::load:
                case NodeKind::store:
                case NodeKind::atomic: refuse("elements outside of parallel loops", where);
                case NodeKind::call_pure:
                case NodeKind::call:
                    refuse(fmt::format("calls of functions of the host program ({})",
                                       kernel_.functions[n.aux].name),
                           where);
                case NodeKind::allocate: refuse("arrays that a kernel makes", where);
                case NodeKind::contribute:
                case NodeKind::check:
                case NodeKind::branch:
                case NodeKind::break_:
                case NodeKind::continue_:
                case NodeKind::return_: refuse("statements outside of parallel loops", where);
                case NodeKind::whole:
                case NodeKind::fold:
                case NodeKind::permute:
                case NodeKind::assign: refuse("whole-array statements", where);
            }
        }
    }

    void launch(const Launch& l, const Location& where) {
        const Form form = kernel_.outlined[l.kernel].form;
        if (form == Form::program)
            refuse("a parallel loop whose iterations are not element-wise", where);
        if (form == Form::reduce) refuse("reductions of loops", where);
        if (form == Form::scan) refuse("running results of loops", where);
        if (!l.streams.empty()) refuse("stores past the caches", where);
        if (where.line != 0)
            lines_[l.kernel] +=
                fmt::format("// the loop of {}:{}\n", where.short_file(), where.line);
    }

    const Kernel& kernel_;
    std::vector<std::string> lines_;  // of each outlined kernel: comments of where it is launched
};

}  // namespace

std::string cuda_entry_name(const Kernel& kernel) { return "kiln_" + identifier(kernel.name); }

std::string emit_cuda(const Kernel& kernel) {
    const std::string text = kernel.is_program() ? Program(kernel).run()
                                                 : Emitter(kernel, cuda_entry_name(kernel)).run();
    const std::string prelude = cuda_prelude_for(text);
    return prelude + (prelude.empty() ? "" : "\n") + text;
}

std::vector<std::int64_t> cuda_check_sites(const Kernel& kernel) {
    std::vector<std::int64_t> sites;
    walk(kernel, [&](Id id) {
        const Node& n = kernel.node(id);
        if (n.kind == NodeKind::check)
            sites.push_back(abi::pack(abi::FaultSite{static_cast<Check>(n.aux), n.loc}));
    });
    return sites;
}

bool cuda_may_contract(const Kernel& kernel) {
    if (kernel.is_program())
        return !kernel.outlined.empty() && std::ranges::all_of(kernel.outlined, cuda_may_contract);
    bool any = false;
    for (const Node& n : kernel.nodes) {
        const bool contractible = n.kind == NodeKind::op && is_real(n.dtype) &&
                                  (n.op == Op::add || n.op == Op::sub || n.op == Op::mul);
        if (!contractible) continue;
        if ((n.fast & fast::contract) == 0) return false;
        any = true;
    }
    return any;
}

}  // namespace kiln::codegen
