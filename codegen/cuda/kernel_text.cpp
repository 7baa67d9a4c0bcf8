// What the texts of all forms share: names, values, nodes.
#include "codegen/cuda/kernel_text.h"

#include "dsl/ir/dispatch.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/slots.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

namespace kiln::codegen {

using namespace ir;

namespace {

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
    "fault", "next", "step", "old", "thread", "j"};
/// What the texts of other forms than maps call their own variables.
constexpr std::string_view reserved_of_blocks[] = {
    "begin",  "end",     "first", "count",   "unit",    "group", "apart",       "piece",
    "pieces", "threads", "width", "of_unit", "t",       "row",   "k",           "iteration",
    "base",   "groups",  "steps", "wide",    "vector",  "lane",  "by_shuffles", "before",
    "own",    "from",    "to",    "done",    "partials"};

std::string identifier(std::string_view name) {
    std::string result;
    for (const char c : name) result += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    return result;
}

/// What the text {0} + {1} becomes for integers: in an unsigned type, where it wraps.
std::string_view wrapping_symbol(Op op) {
    return op == Op::add ? "+" : op == Op::sub ? "-" : op == Op::mul ? "*" : "";
}

std::string real_literal(DType t, double value) {
    if (!std::isfinite(value)) {
        if (t == DType::f32)
            return fmt::format("kiln_f32({:#x}u)",
                               std::bit_cast<std::uint32_t>(static_cast<float>(value)));
        return fmt::format("kiln_f64({:#x}ull)", std::bit_cast<std::uint64_t>(value));
    }
    std::string text =
        t == DType::f32 ? fmt::format("{}", static_cast<float>(value)) : fmt::format("{}", value);
    if (text.find_first_of(".e") == text.npos) text += ".0";
    if (t == DType::f32) text += 'f';
    return text[0] == '-' ? "(" + text + ")" : text;
}

/// The bits of a scalar of two bytes.
unsigned bits_of(const Scalar& value) {
    unsigned short bits = 0;
    std::copy_n(reinterpret_cast<const char*>(value.bytes.data()), sizeof bits,
                reinterpret_cast<char*>(&bits));
    return bits;
}

}  // namespace

void refuse_cuda(const std::string& what, const Location& where, const char* hint) {
    throw Error(ErrorKind::unsupported, "the CUDA backend does not compile " + what, where, hint);
}

KernelText::KernelText(const Kernel& kernel, std::string entry, std::vector<bool> by_value)
    : kernel_(kernel),
      entry_(std::move(entry)),
      by_value_(std::move(by_value)),
      names_(kernel.nodes.size()),
      elements_(kernel.params.size()),
      vectors_(kernel.params.size()),
      placed_(kernel.slots.size(), false) {
    by_value_.resize(kernel.params.size(), false);
    for (const std::string_view word : reserved) used_.emplace(word);
    if (kernel.form != Form::map)
        for (const std::string_view word : reserved_of_blocks) used_.emplace(word);
    // A parameter named like a function would hide it.
    for (const OpInfo& row : op_table) used_.emplace(row.name);
    for (const Param& p : kernel.params)
        uses_.push_back({false, std::vector<bool>(p.rank), std::vector<bool>(p.rank)});
    name_everything();
}

// ------------------------------------------------------------------------------ names

std::string KernelText::unique(std::string name) {
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) name = "p" + name;
    if (name.starts_with("kiln_")) name += '_';
    while (!used_.insert(name).second) name += '_';
    return name;
}

void KernelText::name_everything() {
    for (const Param& p : kernel_.params) params_.push_back(unique(identifier(p.name)));
    for (std::size_t p = 0; p < params_.size(); ++p) {
        const std::uint8_t rank = kernel_.params[p].rank;
        for (std::size_t axis = 0; axis < rank; ++axis) {
            used_.insert(stride_name(p, axis));
            used_.insert(extent_name(p, axis));
        }
    }
    for (const Slot& s : kernel_.slots)
        slots_.push_back(unique(identifier(s.name.empty() ? "s" : s.name)));
    uniforms_.resize(params_.size());
}

std::string KernelText::stride_name(std::size_t p, std::size_t axis) const {
    return kernel_.params[p].rank == 1 ? params_[p] + "_stride"
                                       : fmt::format("{}_stride{}", params_[p], axis);
}
std::string KernelText::extent_name(std::size_t p, std::size_t axis) const {
    return kernel_.params[p].rank == 1 ? params_[p] + "_extent"
                                       : fmt::format("{}_extent{}", params_[p], axis);
}

// ------------------------------------------------------------------------------ the head

std::string KernelText::declaration(const CudaParameter& p) const {
    using Kind = CudaParameter::Kind;
    switch (p.kind) {
        case Kind::count:
        case Kind::begin:
        case Kind::step:
        case Kind::unit:
        case Kind::group:
        case Kind::apart:
        case Kind::stride:
        case Kind::base:
        case Kind::extent: return "long long " + p.name;
        case Kind::value: return fmt::format("{} {}", type(p.dtype), p.name);
        case Kind::data: {
            const bool in = kernel_.params[p.param].access == Access::in;
            return fmt::format("{}{}* {}", in ? "const " : "", stored(p.dtype), p.name);
        }
        case Kind::partials:
        case Kind::row: return fmt::format("{}* {}", type(p.dtype), p.name);
        case Kind::fault: return "unsigned long long* fault";
    }
    __builtin_unreachable();
}

std::string KernelText::signature(std::vector<CudaParameter> first,
                                  std::vector<CudaParameter> last) {
    using Kind = CudaParameter::Kind;
    parameters_ = std::move(first);
    const auto add = [&](Kind kind, std::size_t p, std::size_t axis, DType t, std::string name) {
        parameters_.push_back({kind, static_cast<std::uint32_t>(p),
                               static_cast<std::uint32_t>(axis), t, std::move(name)});
    };
    for (std::size_t p = 0; p < params_.size(); ++p) {
        if (uses_[p].data)
            add(is_value(p) ? Kind::value : Kind::data, p, 0, kernel_.params[p].dtype, params_[p]);
        for (std::size_t axis = 0; axis < uses_[p].extents.size(); ++axis) {
            if (uses_[p].extents[axis])
                add(Kind::extent, p, axis, DType::i64, extent_name(p, axis));
            if (uses_[p].strides[axis])
                add(Kind::stride, p, axis, DType::i64, stride_name(p, axis));
        }
    }
    parameters_.insert(parameters_.end(), last.begin(), last.end());
    if (sites_ != 0) add(Kind::fault, 0, 0, DType::u64, "fault");

    std::string text = fmt::format("{} {}({}", head_, entry_, parameters_.empty() ? ")" : "");
    const std::size_t margin = text.size();
    std::size_t column = margin;
    for (std::size_t a = 0; a < parameters_.size(); ++a) {
        const std::string item =
            declaration(parameters_[a]) + (a + 1 == parameters_.size() ? ")" : ", ");
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

void KernelText::comment_line(const Node& n) {
    if (n.loc == 0 || n.loc == shown_loc_) return;
    shown_loc_ = n.loc;
    const Location where = kernel_.location(n.loc);
    if (where.line != 0) line("// {}:{}", where.short_file(), where.line);
}

/// Input elements that are the same for every iteration are loaded once.
void KernelText::preload_uniforms(Id body, std::string_view nothing_to_do) {
    const auto is_uniform = [](const std::string& name) { return !name.empty(); };
    walk(kernel_, body, [&](Id id) {
        const Node& n = kernel_.node(id);
        if (n.kind != NodeKind::load || is_value(n.aux) || is_uniform(uniforms_[n.aux])) return;
        const Param& param = kernel_.params[n.aux];
        if (param.access == Access::in && param.layout == Layout::uniform && param.rank == 1)
            uniforms_[n.aux] = unique(params_[n.aux] + "_value");
    });
    if (std::ranges::none_of(uniforms_, is_uniform)) return;
    line("if (n == 0) {};", nothing_to_do);
    for (std::size_t p = 0; p < params_.size(); ++p) {
        if (!is_uniform(uniforms_[p])) continue;
        uses_[p].data = true;
        line("const {} {} = {}[0];", type(kernel_.params[p].dtype), uniforms_[p], params_[p]);
    }
}

std::vector<std::uint32_t> KernelText::slots_in(Id block) const {
    std::set<std::uint32_t> slots;
    walk(kernel_, block, [&](Id id) {
        for (const SlotUse& use : slots_of(kernel_, kernel_.node(id))) slots.insert(use.slot);
    });
    return {slots.begin(), slots.end()};
}

void KernelText::declare_slots(const std::vector<std::uint32_t>& which) {
    constexpr std::size_t most = 512 * 1024;  // local memory of a thread
    std::size_t bytes = 0;
    for (const std::uint32_t s : which)
        if (!placed_[s]) bytes += kernel_.slots[s].length * size_of(kernel_.slots[s].dtype);
    if (bytes > most)
        refuse_cuda(fmt::format("Locals of {} bytes in a thread", bytes), {},
                    "a thread of a device has 512 KiB at most");
    for (const std::uint32_t s : which) {
        if (placed_[s]) continue;
        const Slot& slot = kernel_.slots[s];
        if (slot.length == 1)
            line("{} {} = {{}};", type(slot.dtype), slots_[s]);
        else
            line("{} {}[{}] = {{}};", type(slot.dtype), slots_[s], slot.length);
    }
}

void KernelText::place_slot(std::uint32_t slot, std::size_t param) {
    placed_[slot] = true;
    slots_[slot] = params_[param];
    uses_[param].data = true;
}

// ------------------------------------------------------------------------------ values

std::string KernelText::literal(const Scalar& value, DType t) const {
    switch (t) {
        case DType::bool_: return value.get<bool>() ? "true" : "false";
        case DType::i8:
        case DType::i16:
        case DType::u8:
        case DType::u16:
            return fmt::format("({})({})", type(t), value.cast(DType::i64).get<std::int64_t>());
        case DType::i32:
        case DType::i64: {
            const std::int64_t x = value.cast(DType::i64).get<std::int64_t>();
            const std::string_view suffix = t == DType::i64 ? "LL" : "";
            const bool smallest = t == DType::i64 ? x == INT64_MIN : x == INT32_MIN;
            if (smallest)
                return fmt::format("({}{} - 1)", x + 1, suffix);  // no literal is that large
            return x < 0 ? fmt::format("({}{})", x, suffix) : fmt::format("{}{}", x, suffix);
        }
        case DType::u32: return fmt::format("{}u", value.get<std::uint32_t>());
        case DType::u64: return fmt::format("{}ull", value.get<std::uint64_t>());
        case DType::f16:
        case DType::bf16: return fmt::format("{}{{{:#06x}u}}", type(t), bits_of(value));
        case DType::f32:
        case DType::f64: return real_literal(t, value.cast(DType::f64).get<double>());
        case DType::c64:
        case DType::c128: break;
    }
    throw Error(ErrorKind::internal, "complex constant node");
}

std::string KernelText::value(Id id) {
    const Node& n = kernel_.node(id);
    if (!is_leaf(n.kind)) return names_[id];
    if (n.kind == NodeKind::constant) return literal(kernel_.constant(id), n.dtype);
    if (n.kind == NodeKind::index) return "i";
    if (n.kind == NodeKind::extent) return extent(n);
    uses_[n.aux].data = true;
    return params_[n.aux];
}

std::string KernelText::extent(const Node& n) {
    if (n.aux2 != 0) refuse_cuda("a second dimension", kernel_.location(n.loc));
    return "n";
}

void KernelText::define(Id id, const std::string& expression) {
    names_[id] = fresh('v');
    line("const {} {} = {};", type(kernel_.node(id).dtype), names_[id], expression);
}

std::string KernelText::operation(Id id) {
    const Node& n = kernel_.node(id);
    const DType t =
        kernel_.node(kernel_.operand(id, info(n.op).rule == Rule::choice ? 1 : 0)).dtype;
    std::vector<std::string> operands;
    for (const Id x : kernel_.operands_of(id)) operands.push_back(value(x));
    return expression(n.op, t, n.dtype, operands);
}

std::string KernelText::expression(Op op, DType t, DType result,
                                   const std::vector<std::string>& operands) const {
    if (is_integer(t) && is_integer(result)) {
        const std::string_view wraps = size_of(t) == 8 ? "unsigned long long" : "unsigned int";
        if (op == Op::neg) return fmt::format("({})(0 - ({}){})", type(t), wraps, operands[0]);
        if (const std::string_view symbol = wrapping_symbol(op); !symbol.empty())
            return fmt::format("({})(({}){} {} ({}){})", type(t), wraps, operands[0], symbol, wraps,
                               operands[1]);
    }
    if (is_bool(t) && op == Op::add) return operands[0] + " || " + operands[1];
    if (is_bool(t) && op == Op::mul) return operands[0] + " && " + operands[1];
    const std::string_view spelling = info(op).cuda;
    std::string text;
    for (std::size_t at = 0; at < spelling.size(); ++at) {
        if (spelling[at] != '{') {
            text += spelling[at];
            continue;
        }
        const char what = spelling[at + 1];
        text += what == 't' ? std::string(type(t)) : operands[static_cast<std::size_t>(what - '0')];
        at += 2;
    }
    return text;
}

std::string KernelText::combined(Reduction reduction, DType t, const std::string& first,
                                 const std::string& second) const {
    if (is_complex(t)) {
        if (reduction != Reduction::sum) refuse_cuda("products of complex numbers", {});
        return fmt::format("kiln_make_complex({0}.re + {1}.re, {0}.im + {1}.im)", first, second);
    }
    return expression(info(reduction).op, t, t, {first, second});
}

std::string KernelText::conversion(Id id) {
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
    if (is_real(from) && is_integer(to)) return fmt::format("kiln_saturate<{}>({})", type(to), x);
    return fmt::format("({}){}", type(to), x);
}

std::string KernelText::element(Id id) {
    const Node& n = kernel_.node(id);
    const Param& param = kernel_.params[n.aux];
    if (!elements_[n.aux].empty()) return elements_[n.aux];
    const std::string& name = params_[n.aux];
    Used& used = uses_[n.aux];
    used.data = true;
    if (param.rank == 0) return name + "[0]";
    const std::size_t last = param.rank - 1U;
    std::string bytes;  // how far from its first element
    for (std::size_t axis = 0; axis <= last; ++axis) {
        if (axis == last && param.layout != Layout::strided) break;
        used.strides[axis] = true;
        bytes += fmt::format(" + {} * {}", operand(id, axis), stride_name(n.aux, axis));
    }
    const std::string_view constant = param.access == Access::in ? "const " : "";
    std::string row = name;
    if (!bytes.empty()) {
        row =
            fmt::format("({0}{1}*)(({0}char*){2}{3})", constant, stored(param.dtype), name, bytes);
        if (param.layout == Layout::strided) return "*" + row;
        row = "(" + row + ")";
    }
    return param.layout == Layout::unit ? fmt::format("{}[{}]", row, operand(id, last))
                                        : row + "[0]";
}

std::string KernelText::slot(Id id, bool has_position) {
    const std::uint32_t s = kernel_.node(id).aux;
    if (has_position) return fmt::format("{}[{}]", slots_[s], operand(id, 0));
    return placed_[s] ? slots_[s] + "[0]" : slots_[s];
}

std::string KernelText::atomic(Id id, const Node& n) {
    const DType t = kernel_.params[n.aux].dtype;
    const Location where = kernel_.location(n.loc);
    if (is_complex(t) || size_of(t) == 16) refuse_cuda("atomic updates of complex numbers", where);
    if (t == DType::f16 || t == DType::bf16) refuse_cuda("atomic updates of 16-bit floats", where);
    const auto reduction = static_cast<Reduction>(n.aux2);
    const std::string v = operand(id, n.operand_count - 1U);
    if (reduction == Reduction::sum && size_of(t) >= 4)
        return fmt::format("kiln_atomic_add(&{}, {})", element(id), v);
    return fmt::format("kiln_atomic(&{0}, [&]({1} old) {{ return ({1})({2}); }})", element(id),
                       type(t), combined(reduction, t, "old", v));
}

std::string KernelText::exchange(Id id, const Node& n) {
    const std::size_t values = 1 + n.aux2, first = n.operand_count - values;
    if (n.aux2 == 0) return fmt::format("kiln_exchange(&{}, {})", element(id), operand(id, first));
    return fmt::format("kiln_compare_exchange(&{}, {}, {})", element(id), operand(id, first),
                       operand(id, first + 1));
}

/// The expression of what a thread asks, with its operands.
std::string KernelText::simt(Id id, const Node& n) {
    std::string text;
    const std::string_view spelling = info(Simt(n.aux)).cuda;
    for (std::size_t at = 0; at < spelling.size(); ++at) {
        if (spelling[at] != '{') {
            text += spelling[at];
            continue;
        }
        text += operand(id, static_cast<std::size_t>(spelling[at + 1] - '0'));
        at += 2;
    }
    return text;
}

void KernelText::allocate(Id, const Node& n) {
    refuse_cuda(fmt::format("arrays that an iteration makes ({})", kernel_.params[n.aux].name),
                kernel_.location(n.loc), "a Local of constant size has its own memory");
}

// ------------------------------------------------------------------------------ nodes

void KernelText::block(Id block) {
    for (const Id id : kernel_.blocks[block].nodes) node(id);
}

void KernelText::nested(Id inner) {
    ++indent_;
    block(inner);
    --indent_;
}

void KernelText::contribute(Id, const Node& n) {
    refuse_cuda("a contribution outside of a reduction", kernel_.location(n.loc));
}

std::string_view KernelText::end_of_iteration(bool in_loop) const {
    return in_loop ? "goto next;" : "continue;";
}

void KernelText::node(Id id) {
    const Node& n = kernel_.node(id);
    comment_line(n);
    constexpr effect::Mask in_threads = effect::accesses | effect::atomically |
                                        effect::contributes | effect::checks | effect::branches |
                                        effect::loops | effect::jumps | effect::allocates |
                                        effect::places | effect::synchronises;
    dispatch<in_threads>(
        n,
        Handlers{
            [&](Leaf) {},
            [&](Of<NodeKind::op>) { define(id, operation(id)); },
            [&](Of<NodeKind::cast>) { define(id, conversion(id)); },
            [&](Of<NodeKind::load>) { load_element(id, n); },
            [&](Of<NodeKind::read>) { define(id, slot(id, n.operand_count == 1)); },
            [&](Of<NodeKind::store>) {
                const std::string v = operand(id, n.operand_count - 1U);
                line("{} = {};", element(id), v);
            },
            [&](Of<NodeKind::write>) {
                line("{} = {};", slot(id, n.operand_count == 2), operand(id, n.operand_count - 1U));
            },
            [&](Of<NodeKind::atomic>) { define(id, atomic(id, n)); },
            [&](Of<NodeKind::exchange>) { define(id, exchange(id, n)); },
            [&](Of<NodeKind::place>) { define(id, simt(id, n)); },
            [&](Of<NodeKind::threads>) {
                if (info(Simt(n.aux)).result == SimtInfo::Result::nothing)
                    line("{};", simt(id, n));
                else
                    define(id, simt(id, n));
            },
            [&](Of<NodeKind::allocate>) { allocate(id, n); },
            [&](Of<NodeKind::contribute>) { contribute(id, n); },
            [&](Of<NodeKind::check>) {
                line("kiln_check(fault, i, {}, {});", sites_++, operand(id, 0));
            },
            [&](Of<NodeKind::branch>) { branch(id, n); },
            [&](Of<NodeKind::loop>) { loop(id, n); },
            [&](Of<NodeKind::loop_while>) { loop_while(id, n); },
            [&](Of<NodeKind::break_>) { line("break;"); },
            [&](Of<
                NodeKind::continue_>) {  // of an iteration that a thread takes, or of a loop in it
                line("{}", loops_ == 0 ? end_of_iteration(false) : "continue;");
            },
            [&](Of<NodeKind::return_>) { line("{}", end_of_iteration(loops_ != 0)); },
        },
        [&](const NodeInfo& kind) { refuse(n, kind); });
}

void KernelText::load_element(Id id, const Node& n) {
    names_[id] = is_value(n.aux) ? params_[n.aux] : uniforms_[n.aux];
    uses_[n.aux].data = true;
    if (names_[id].empty()) define(id, element(id));
}

void KernelText::refuse(const Node& n, const NodeInfo& kind) const {
    const Location where = kernel_.location(n.loc);
    if ((kind.does & (effect::calls | effect::calls_pure)) != 0)
        refuse_cuda(fmt::format("calls of functions of the host program ({})",
                                kernel_.functions[n.aux].name),
                    where);
    if ((kind.does & effect::all_elements) != 0) refuse_cuda("whole-array statements", where);
    refuse_cuda(fmt::format("a {} inside of kernels", kind.word), where);
}

void KernelText::branch(Id id, const Node& n) {
    line("if ({}) {{", operand(id, 0));
    nested(n.aux);
    if (n.aux2 != none) {
        line("}} else {{");
        nested(n.aux2);
    }
    line("}}");
}

/// A loop whose sums of floats are free in their order gives each iteration a sum of its own.
void KernelText::loop(Id id, const Node& n) {
    const std::string begin = operand(id, 0), end = operand(id, 1), step = operand(id, 2);
    const std::string k = names_[id] = fresh('k');
    std::string goes_on = fmt::format("{} > 0 ? {} < {} : {} > {}", step, k, end, k, end);
    if (kernel_.node(kernel_.operand(id, 2)).kind == NodeKind::constant)
        goes_on = fmt::format(
            "{} {} {}", k,
            kernel_.constant(kernel_.operand(id, 2)).get<std::int64_t>() > 0 ? "<" : ">", end);
    else
        goes_on = fmt::format("{} != 0 && ({})", step, goes_on);
    struct Sum {
        std::string slot, name;
    };
    std::vector<Sum> sums;
    if (const Tree* tree = kernel_.tree(n)) {
        for (const std::uint32_t s : tree->sums) {
            const std::string slot = placed_[s] ? slots_[s] + "[0]" : slots_[s];
            sums.push_back({slot, unique(slots_[s] + "_sums")});
            line("kiln_sums<{}, {}> {}({});", type(kernel_.slots[s].dtype), tree->block,
                 sums.back().name, slot);
        }
    }
    line("for (long long {} = {}; {}; {} += {}) {{", k, begin, goes_on, k, step);
    ++loops_;
    for (const Sum& s : sums) line("    {}.next({});", s.name, s.slot);
    nested(n.aux);
    --loops_;
    line("}}");
    for (const Sum& s : sums) line("{}.end({});", s.name, s.slot);
}

void KernelText::loop_while(Id id, const Node& n) {
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

bool KernelText::has_inner_return(Id block) const {
    return any_in(kernel_, block, [&](Id id, const Around& around) {
        return kernel_.node(id).kind == NodeKind::return_ && around.loops > 0;
    });
}

}  // namespace kiln::codegen
