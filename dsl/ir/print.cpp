#include "dsl/ir/combines.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/lexemes.h"
#include "dsl/ir/text.h"
#include "dsl/ir/text_tables.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <iterator>
#include <unordered_set>

#include <fmt/format.h>

namespace kiln::ir {
namespace {

class Printer {
  public:
    Printer(const Kernel& kernel, PrintOptions options)
        : k_(kernel), options_(options), number_(kernel.nodes.size(), none) {
        out_.reserve(64 * kernel.nodes.size() + 128);
    }

    std::string run() {
        name_declarations();
        print_head();
        for (std::size_t i = 0; i < k_.slots.size(); ++i) print_slot(i);
        if (k_.prologue != none && !k_.blocks[k_.prologue].nodes.empty()) {
            put("  prologue {\n");
            print_block(k_.prologue, 4);
            put("  }\n");
        }
        for (const Stage& stage : k_.stages) print_stage(stage);
        print_kernels('k', k_.outlined);
        print_kernels('c', k_.combines);
        put("}\n");
        return std::move(out_);
    }

  private:
    void put(std::string_view text) { out_ += text; }
    void put(char c) { out_ += c; }
    template <class T> void put_number(T value) {
        char buffer[24];
        out_.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
    }
    void indent(int columns) { out_.append(static_cast<std::size_t>(columns), ' '); }

    // --- declarations ---

    /// The word by which the text refers to each parameter and slot: its name where that is plain
    /// and unique, else its kind and number.
    void name_declarations() {
        name_list(k_.params, 'p', param_words_);
        name_list(k_.slots, 'v', slot_words_);
    }
    template <class List> void name_list(const List& list, char letter,
                                         std::vector<std::string>& words) {
        std::unordered_set<std::string_view> taken;
        if (options_.locations)
            for (const auto& item : list) taken.insert(item.name);
        std::unordered_set<std::string_view> used;
        words.reserve(list.size());
        for (std::size_t i = 0; i < list.size(); ++i) {
            const std::string& name = list[i].name;
            if (options_.locations && text::is_plain_name(name) && used.insert(name).second) {
                words.push_back(name);
                continue;
            }
            std::string word = letter + std::to_string(i);
            while (taken.contains(word)) word += '_';
            words.push_back(std::move(word));
        }
    }

    void put_quoted(std::string_view text) { put(text::in_double_quotes(text)); }

    void put_declared(const std::string& word, const std::string& name) {
        put(word);
        if (options_.locations && word != name) {
            put(' ');
            put_quoted(name);
        }
    }

    void put_type(DType dtype, unsigned rank) {
        put(name(dtype));
        if (rank == 0) return;
        put('[');
        put_number(rank);
        put(']');
    }

    void print_head() {
        put("kernel");
        if (options_.locations) {
            put(' ');
            if (text::is_plain_name(k_.name))
                put(k_.name);
            else
                put_quoted(k_.name);
        }
        put('(');
        for (std::size_t i = 0; i < k_.params.size(); ++i) {
            const Param& p = k_.params[i];
            if (i != 0) put(", ");
            put_declared(param_words_[i], p.name);
            put(": ");
            put(text::access_names[static_cast<std::size_t>(p.access)]);
            put(' ');
            put_type(p.dtype, p.rank);
            if (p.layout != Layout::strided) {
                put(' ');
                put(text::layout_names[static_cast<std::size_t>(p.layout)]);
            }
            if (p.weak) put(" weak");
        }
        put(')');
        put_form();
        put_lanes(k_.lanes);
        put(" {\n");
    }

    /// `lanes(8, 4) tail 8 tree(8, 3)`, as far as there is any
    void put_lanes(const Lanes& l) {
        const auto pair = [&](const char* word, std::uint32_t a, std::uint32_t b) {
            put(word);
            put_number(a);
            put(", ");
            put_number(b);
            put(')');
        };
        if (l == Lanes{}) return;
        pair(" lanes(", l.of_register, l.registers);
        if (l.tail != 0) {
            put(" tail ");
            put_number(l.tail);
        }
        if (l.levels != 0) pair(" tree(", l.fan_in, l.levels);
    }

    /// Nothing for maps.
    void put_form() {
        if (k_.form == Form::map) return;
        put(' ');
        put(text::form_names[static_cast<std::size_t>(k_.form)]);
        if (k_.form != Form::scan) return;
        put(' ');
        put(info(k_.scan).name);
    }

    /// `k0 = kernel ...` of outlined kernels, `c0 = kernel ...` of those that combine.
    void print_kernels(char letter, const std::vector<Kernel>& kernels) {
        for (std::size_t i = 0; i < kernels.size(); ++i) {
            put("  ");
            put(letter);
            put_number(i);
            put(" = ");
            const std::string text = Printer(kernels[i], options_).run();
            for (const char c : std::string_view(text).substr(0, text.size() - 1)) {
                put(c);
                if (c == '\n') indent(2);
            }
            put('\n');
        }
    }

    void print_slot(std::size_t i) {
        put("  slot ");
        put_declared(slot_words_[i], k_.slots[i].name);
        put(": ");
        put(name(k_.slots[i].dtype));
        if (k_.slots[i].length != 1) {
            put('[');
            put_number(k_.slots[i].length);
            put(']');
        }
        put('\n');
    }

    void print_stage(const Stage& stage) {
        put("  stage [");
        for (std::size_t i = 0; i < stage.extents.size(); ++i) {
            if (i != 0) put(", ");
            put_value(stage.extents[i]);
        }
        put(']');
        if (stage.parallel) put(" parallel");
        if (!stage.reductions.empty()) put(' ');
        put_reductions(stage.reductions);
        put(" {");
        end_line(stage.loc);
        print_block(stage.body, 4);
        put("  }\n");
    }

    // --- values ---

    void put_float(double value, std::uint64_t bits, DType dtype) {
        if (std::isnan(value)) {
            put("nan");
            if (bits != text::default_nan(dtype))
                fmt::format_to(std::back_inserter(out_), ":{:#x}", bits);
        } else if (dtype == DType::f64) {
            fmt::format_to(std::back_inserter(out_), "{}", value);
        } else {
            fmt::format_to(std::back_inserter(out_), "{}", static_cast<float>(value));
        }
    }

    void put_constant(Id id) {
        const Node& n = k_.node(id);
        if (n.weak) put("weak ");
        put(name(n.dtype));
        put('(');
        const Scalar value = k_.constant(id);
        if (is_bool(n.dtype))
            put(value.get<bool>() ? "true" : "false");
        else if (is_signed(n.dtype))
            put_number(value.cast(DType::i64).get<std::int64_t>());
        else if (is_unsigned(n.dtype))
            put_number(value.cast(DType::u64).get<std::uint64_t>());
        else
            put_float(value.cast(DType::f64).get<double>(), n.imm, n.dtype);
        put(')');
    }

    void put_value(Id id) {
        if (id == none) return put("none");
        const Node& n = k_.node(id);
        if (n.kind == NodeKind::constant) return put_constant(id);
        if (n.kind == NodeKind::param) return put(param_words_[n.aux]);
        if (n.kind == NodeKind::extent) {
            put("extent(");
            put(param_words_[n.aux]);
            put(", ");
            put_number(n.aux2);
            put(')');
        } else if (n.kind == NodeKind::index) {
            put('i');
            put_number(n.aux);
        } else {
            put('%');
            if (number_[id] == none)
                put('?');  // not listed before its use: verify() says so
            else
                put_number(number_[id]);
        }
    }

    void put_values(std::span<const Id> ids) {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (i != 0) put(", ");
            put_value(ids[i]);
        }
    }

    void put_element(std::string_view word, std::span<const Id> subscripts) {
        put(word);
        if (subscripts.empty()) return;
        put('[');
        put_values(subscripts);
        put(']');
    }

    // --- nodes ---

    void begin_value(Id id, std::string_view what) {
        number_[id] = next_number_++;
        put_value(id);
        put(" = ");
        put(what);
        put(' ');
    }

    void put_flags(const Node& n) {
        if (n.fast != 0) {
            put(" fast(");
            bool first = true;
            for (std::size_t bit = 0; bit < text::fast_names.size(); ++bit) {
                if ((n.fast >> bit & 1) == 0) continue;
                if (!first) put(',');
                first = false;
                put(text::fast_names[bit]);
            }
            put(')');
        }
        if (n.weak) put(" weak");
    }

    void end_line(std::uint32_t loc) {
        if (options_.locations && loc != 0 && loc < k_.locations.size()) {
            const Location where = k_.location(loc);
            if (where.line != 0) {
                put("  ; ");
                if (text::is_plain_file(where.short_file()))
                    put(where.short_file());
                else
                    put_quoted(where.short_file());
                put(':');
                put_number(where.line);
            }
        }
        put('\n');
    }

    void print_block(Id block, int columns) {
        for (const Id id : k_.blocks[block].nodes) print_node(id, columns);
    }
    void print_body(Id block, int columns, std::uint32_t loc) {
        put(" {");
        end_line(loc);
        print_block(block, columns + 2);
        indent(columns);
        put('}');
    }

    void print_node(Id id, int columns) {
        indent(columns);
        const Node& n = k_.node(id);
        if (n.kind == NodeKind::launch) return print_launch(n, columns);
        if (!blocks_of(n).empty()) return print_structure(id, n, columns);
        const bool has_value = n.kind == NodeKind::atomic || n.kind == NodeKind::exchange ||
                               (n.kind == NodeKind::threads &&
                                info(Simt(n.aux)).result != SimtInfo::Result::nothing) ||
                               (n.kind == NodeKind::call && k_.functions[n.aux].result);
        if (has_effect(n.kind) && !has_value)
            print_effect(n);
        else
            print_value(id, n);
        put_flags(n);
        end_line(n.loc);
    }

    void print_structure(Id id, const Node& n, int columns) {
        const auto x = k_.operands_of(n);
        if (n.kind == NodeKind::branch) {
            put("if ");
            put_value(x[0]);
            print_body(n.aux, columns, n.loc);
            if (n.aux2 != none) {
                put(" else");
                print_body(n.aux2, columns, 0);
            }
        } else if (n.kind == NodeKind::loop) {
            number_[id] = next_number_++;
            put("for ");
            put_value(id);
            put(" = ");
            put_value(x[0]);
            put(" to ");
            put_value(x[1]);
            put(" step ");
            put_value(x[2]);
            if ((n.fast & loop_flag::remainder) != 0) put(" remainder");
            if ((n.fast & loop_flag::shareable) != 0) put(" shareable");
            if (const ParallelLoop* p = k_.parallel(n)) put_parallel(*p);
            if (const Tree* tree = k_.tree(n)) put_tree(*tree);
            print_body(n.aux, columns, n.loc);
        } else {
            put("while");
            print_body(n.aux, columns, n.loc);
            put(' ');
            put_value(x[0]);
            print_body(n.aux2, columns, 0);
        }
        put('\n');
    }

    /// `launch k0 for %1 to %2 step i64(1) PARALLEL TREE in_place streams (x, y) (ARGUMENTS) else {}`
    void print_launch(const Node& n, int columns) {
        const Launch& l = k_.launches[n.aux];
        auto x = k_.operands_of(n);
        put("launch k");
        put_number(l.kernel);
        put(" for ");
        put_value(x[0]);
        put(" to ");
        put_value(x[1]);
        put(" step ");
        put_value(x[2]);
        x = x.subspan(3);
        if (l.parallel != none) put_parallel(k_.parallel_loops[l.parallel]);
        if (const Tree* tree = k_.tree(n)) put_tree(*tree);
        if (l.in_place) put(" in_place");
        if (!l.streams.empty()) {
            put(" streams ");
            for (std::size_t i = 0; i < l.streams.size(); ++i) {
                put(i == 0 ? "(" : ", ");
                put(param_words_[l.streams[i]]);
            }
            put(')');
        }
        put(" (");
        for (std::size_t i = 0; i < l.arguments.size(); ++i) {
            if (i != 0) put(", ");
            put_argument(l.arguments[i], x.first(l.arguments[i].operands()));
            x = x.subspan(l.arguments[i].operands());
        }
        put(')');
        if (n.aux2 == none) return end_line(n.loc);
        put(" else");
        print_body(n.aux2, columns, n.loc);
        put('\n');
    }

    /// `array x[%1, i64(0)] by (1, 0)`, `value %1`, `total sum s`, `carry s` ...
    void put_argument(const Argument& a, std::span<const Id> x) {
        put(text::argument_names[static_cast<std::size_t>(a.kind)]);
        if (a.kind == Argument::Kind::first || a.kind == Argument::Kind::step) return;
        put(' ');
        if (a.kind == Argument::Kind::value) return put_value(x[0]);
        if (a.kind == Argument::Kind::total) {
            put(info(a.reduction).name);
            put(' ');
        }
        if (a.kind == Argument::Kind::state) {
            put('c');
            put_number(a.combine);
            put(' ');
        }
        put_element((a.has_slot() ? slot_words_ : param_words_)[a.target], x);
        if (!a.is_element()) return;
        put(" by (");
        for (std::size_t d = 0; d < a.strides.size(); ++d) {
            if (d != 0) put(", ");
            put_number(a.strides[d]);
        }
        put(')');
    }

    /// `sum -> v0, c0 -> (v1, v2)`: a state's parts follow each other.
    void put_reductions(const std::vector<StageReduction>& list) {
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (i != 0) put(", ");
            if (list[i].combine == none) {
                put(info(list[i].reduction).name);
                put(" -> ");
                put(slot_words_[list[i].target]);
                continue;
            }
            put('c');
            put_number(list[i].combine);
            const std::size_t end =
                std::min(list.size(), i + std::max<std::size_t>(1, parts_of(list[i].combine)));
            for (const std::size_t first = i; i < end; ++i) {
                put(i == first ? " -> (" : ", ");
                put(slot_words_[list[i].target]);
            }
            put(')');
            --i;
        }
    }
    std::size_t parts_of(std::uint32_t combine) const {
        return combine < k_.combines.size() ? state_size(k_.combines[combine]) : 1;
    }

    /// ` parallel SCHEDULE CHUNK ["unsafe"] [(sum -> v0, c0 -> (v1, v2))]
    /// [arrays (sum -> t)]`
    void put_parallel(const ParallelLoop& p) {
        put(" parallel ");
        put(text::schedule_names[static_cast<std::size_t>(p.schedule)]);
        put(' ');
        put_number(p.chunk);
        if (p.unsafe_races) put(" unsafe");
        if (!p.reductions.empty()) {
            put(" (");
            put_reductions(p.reductions);
            put(')');
        }
        if (p.arrays.empty()) return;
        put(" arrays (");
        for (std::size_t i = 0; i < p.arrays.size(); ++i) {
            if (i != 0) put(", ");
            put(info(p.arrays[i].reduction).name);
            put(" -> ");
            put(param_words_[p.arrays[i].target]);
        }
        put(')');
    }

    /// ` blocks of 512 in 256 sums (v0, v1)`, as far as there is any
    void put_tree(const Tree& tree) {
        put(" blocks of ");
        put_number(tree.block);
        if (tree.units != 0) {
            put(" in ");
            put_number(tree.units);
        }
        for (std::size_t i = 0; i < tree.sums.size(); ++i) {
            put(i == 0 ? " sums (" : ", ");
            put(slot_words_[tree.sums[i]]);
        }
        if (!tree.sums.empty()) put(')');
    }

    void print_value(Id id, const Node& n) {
        const auto x = k_.operands_of(n);
        begin_value(id, n.kind == NodeKind::op          ? info(n.op).name
                        : n.kind == NodeKind::call_pure ? "call pure"
                                                        : info(n.kind).word);
        if (n.kind == NodeKind::atomic || n.kind == NodeKind::fold) {
            put(info(static_cast<Reduction>(n.kind == NodeKind::atomic ? n.aux2 : n.aux)).name);
            put(' ');
        }
        put_type(n.dtype, n.rank);
        put(' ');
        if (n.kind == NodeKind::place || n.kind == NodeKind::threads) return put_simt(n);
        const Effects e = effects_of(n);
        if (e.any(effect::calls | effect::calls_pure)) {
            put_call(n);
        } else if (e.array != none) {
            const auto subscripts = subscripts_of(k_, n);
            put_element(param_words_[n.aux], subscripts);
            if (subscripts.size() == x.size()) return put_axes(n.imm, " drop(");
            put(", ");
            put_values(x.subspan(subscripts.size()));
        } else if (e.slot != none) {
            put_element(slot_words_[n.aux], x);
        } else {
            put_values(x);
            if (n.kind == NodeKind::permute) put_permutation(n);
            if (n.kind == NodeKind::fold) put_axes(n.imm, " axes(");
        }
    }

    void put_permutation(const Node& n) {
        put(" axes(");
        for (unsigned d = 0; d < n.rank; ++d) {
            if (d != 0) put(", ");
            put_number(n.imm >> (4 * d) & 15);
        }
        put(')');
    }

    void put_call(const Node& n) {
        put_quoted(k_.functions[n.aux].name);
        put('(');
        put_values(k_.operands_of(n));
        put(')');
    }

    /// Nothing where there is no axis.
    void put_axes(std::uint64_t axes, std::string_view word) {
        if (axes == 0) return;
        put(word);
        for (bool first = true; axes != 0; axes &= axes - 1, first = false) {
            if (!first) put(", ");
            put_number(std::countr_zero(axes));
        }
        put(')');
    }

    void print_effect(const Node& n) {
        const auto x = k_.operands_of(n);
        put(info(n.kind).word);
        if (is_bare(n.kind)) return;
        put(' ');
        if (n.kind == NodeKind::call) return put_call(n);
        if (n.kind == NodeKind::threads) return put_simt(n);
        if (n.kind == NodeKind::check) return put_check(n);
        if (n.kind == NodeKind::allocate) {
            put_element(param_words_[n.aux], x);
            if (n.imm != 0) put(" dynamic");
            return;
        }
        if (n.kind == NodeKind::contribute)
            put_number(n.aux);
        else
            put_element((effects_of(n).slot == none ? param_words_ : slot_words_)[n.aux],
                        subscripts_of(k_, n));
        if (n.kind != NodeKind::write) put_axes(n.imm, " drop(");
        put(", ");
        put_value(x.back());
        if (n.kind != NodeKind::write || n.imm == 0) return;
        put(" by c");
        put_number(n.imm - 1);
    }

    /// `shuffle_down %1, %2, i32(1)`
    void put_simt(const Node& n) {
        put(info(Simt(n.aux)).name);
        if (n.operand_count != 0) put(' ');
        put_values(k_.operands_of(n));
    }

    void put_check(const Node& n) {
        const auto x = k_.operands_of(n);
        put(text::check_names[n.aux]);
        if (static_cast<Check>(n.aux) == Check::outside_neighborhood) {
            put(' ');
            put(param_words_[n.aux2]);
        }
        if (x.size() > 1) {
            put(' ');
            put_number(n.imm);
        }
        put(", ");
        put_values(x);
    }

    const Kernel& k_;
    PrintOptions options_;
    std::string out_;
    std::vector<std::string> param_words_, slot_words_;
    std::vector<Id> number_;  // per node; none until it is printed
    Id next_number_ = 0;
};

}  // namespace

std::string print(const Kernel& kernel, PrintOptions options) {
    return Printer(kernel, options).run();
}

}  // namespace kiln::ir
