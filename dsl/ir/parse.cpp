// The parser of the text form: recursive descent over the characters, one function per construct.
//
//   kernel  := "kernel" [name] "(" param,* ")" form? lanes? "{" slot* ["prologue" block] stage*
//              outlined* combine* "}"
//   form    := "map" | "reduce" | "scan" reduction | "program" | "threads" | "combine"
//   lanes   := "lanes" "(" n "," n ")" ["tail" n] ["tree" "(" n "," n ")"]
//   param   := word ["quoted name"] ":" access type layout? "weak"?
//   slot    := "slot" word ["quoted name"] ":" dtype ["[" length "]"]
//   stage   := "stage" "[" value,* "]" "parallel"? reduces,* block
//   reduces := reduction "->" slot | "c" number "->" "(" slot,* ")"
//   loop    := "for" "%" number "=" value "to" value "step" value "remainder"?
//              ["parallel" schedule chunk "unsafe"? ["(" reduces,* ")"]] tree? block
//   tree    := "blocks" "of" number ["in" number] ["sums" "(" slot,* ")"]
//   launch  := "launch" "k" number "for" value "to" value "step" value ["parallel" ...] tree?
//              "in_place"? ["streams" "(" param,* ")"] "(" argument,* ")" ["else" block]
//   argument:= "array" param ["[" value,* "]"] "by" "(" number,* ")" | "value" value | "first" ...
//   outlined:= "k" number "=" kernel; combine := "c" number "=" kernel
//   block   := "{" statement* "}"
//   value   := "%" number | "i" number | "extent(" param "," number ")" | param
//            | "weak"? dtype "(" literal ")"
//
// It fixes structure and names; whether operations fit their operands is for verify().
#include "dsl/ir/reader.h"
#include "dsl/ir/text.h"
#include "dsl/ir/text_tables.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>

#include <fmt/format.h>

namespace kiln::ir {
namespace {

class Parser : text::Reader {
  public:
    explicit Parser(std::string_view text) : Reader(text) {
        k_.files.emplace_back();
        k_.locations.emplace_back();
    }

    Kernel run() {
        Kernel k = kernel();
        skip_space();
        if (at_ != text_.size()) fail("the end of the text");
        return k;
    }

  private:
    Kernel kernel() {
        expect_word("kernel");
        if (!at('(')) k_.name = at('"') ? quoted() : std::string(word("the kernel's name or '('"));
        parse_params();
        if (const auto form = accept_name(text::form_names)) k_.form = static_cast<Form>(*form);
        if (k_.form == Form::scan) k_.scan = reduction();
        if (accept_word("lanes")) parse_lanes();
        expect('{');
        while (accept_word("slot")) parse_slot();
        if (accept_word("prologue")) k_.prologue = parse_block();
        while (accept_word("stage")) parse_stage();
        while (at('k')) parse_kernel('k', k_.outlined);
        while (at('c')) parse_kernel('c', k_.combines);
        expect('}');
        return std::move(k_);
    }

    /// `(8, 4) tail 8 tree(8, 3)`
    void parse_lanes() {
        expect('(');
        k_.lanes.of_register = number("lanes of a register");
        expect(',');
        k_.lanes.registers = number("registers a step");
        expect(')');
        if (accept_word("tail")) k_.lanes.tail = number("lanes of what fills no register");
        if (!accept_word("tree")) return;
        expect('(');
        k_.lanes.fan_in = number("results that combine into one of the next level");
        expect(',');
        k_.lanes.levels = number("levels");
        expect(')');
    }

    /// `k0 = kernel ...`
    void parse_kernel(char letter, std::vector<Kernel>& kernels) {
        const std::size_t start = (skip_space(), at_);
        if (kernel_number(letter) != kernels.size())
            fail_at(start, fmt::format("expected {}{}", letter, kernels.size()));
        expect('=');
        Parser inner(text_);
        inner.at_ = at_;
        kernels.push_back(inner.kernel());
        at_ = inner.at_;
    }
    /// `k0` of an outlined kernel, `c0` of one that combines.
    std::uint32_t kernel_number(char letter) {
        const std::string_view w = peek_word();
        if (w.size() < 2 || w[0] != letter)
            fail(fmt::format("{} and the number of a kernel", letter));
        take(w.substr(0, 1));
        return number("the number of a kernel");
    }

    DType dtype() { return static_cast<DType>(expect_name(dtype_table, "a dtype")); }
    Reduction reduction() {
        return static_cast<Reduction>(expect_name(reduction_table, "a reduction"));
    }

    struct Type {
        DType dtype;
        std::uint8_t rank;
    };
    Type type() {
        const DType t = dtype();
        std::uint32_t rank = 0;
        if (accept('[')) {
            rank = number("a rank");
            if (rank > 255) fail("a rank below 256");
            expect(']');
        }
        return {t, static_cast<std::uint8_t>(rank)};
    }

    using Words = std::map<std::string, std::uint32_t, std::less<>>;
    std::uint32_t declared(const Words& words, std::string_view what) {
        const std::string_view w = peek_word();
        const auto found = words.find(w);
        if (found == words.end()) fail(what);
        take(w);
        return found->second;
    }
    std::uint32_t param() { return declared(params_, "a parameter"); }
    std::uint32_t slot() { return declared(slots_, "a slot"); }

    // --- declarations ---

    template <class Item> void declare(Words& words, Item& item, std::size_t index,
                                       std::string_view what) {
        const std::size_t start = (skip_space(), at_);
        const std::string word(this->word(what));
        if (!words.emplace(word, static_cast<std::uint32_t>(index)).second)
            fail_at(start, fmt::format("'{}' is declared twice", word));
        item.name = at('"') ? quoted() : word;
        expect(':');
    }

    void parse_params() {
        expect('(');
        while (!at(')')) {
            if (!k_.params.empty()) expect(',');
            Param p;
            declare(params_, p, k_.params.size(), "a parameter's name");
            p.access = static_cast<Access>(
                expect_name(text::access_names, "value, in, out, inout, local or result"));
            const Type t = type();
            p.dtype = t.dtype;
            p.rank = t.rank;
            if (const auto layout = accept_name(text::layout_names))
                p.layout = static_cast<Layout>(*layout);
            p.weak = accept_word("weak");
            k_.params.push_back(std::move(p));
        }
        expect(')');
    }

    void parse_slot() {
        Slot s;
        declare(slots_, s, k_.slots.size(), "a slot's name");
        s.dtype = dtype();
        if (accept('[')) {
            s.length = number("a length");
            expect(']');
        }
        k_.slots.push_back(std::move(s));
    }

    void parse_stage() {
        Stage stage;
        expect('[');
        while (!at(']')) {
            if (!stage.extents.empty()) expect(',');
            stage.extents.push_back(value());
        }
        expect(']');
        stage.parallel = accept_word("parallel");
        while (!at('{')) {
            if (!stage.reductions.empty()) expect(',');
            stage_reduction(stage.reductions);
        }
        stage.body = parse_block(&stage.loc);
        k_.stages.push_back(std::move(stage));
    }

    /// The location behind what was just read on this line, 0 if there is none.
    std::uint32_t location() {
        skip_blanks();
        if (at_ == text_.size() || text_[at_] != ';') return 0;
        const std::size_t end = std::min(text_.find('\n', at_), text_.size());
        const auto place = text::source_place(text_.substr(at_ + 1, end - at_ - 1));
        if (!place) return 0;  // an ordinary comment
        const std::string& file = place->file;
        const auto [file_at, new_file] =
            file_ids_.try_emplace(file, static_cast<std::uint32_t>(k_.files.size()));
        if (new_file) k_.files.push_back(file);
        const auto [at, added] =
            location_ids_.try_emplace(std::uint64_t(file_at->second) << 32 | place->line,
                                      static_cast<std::uint32_t>(k_.locations.size()));
        if (added) k_.locations.push_back({file_at->second, place->line});
        return at->second;
    }

    // --- values ---

    Id leaf(const Node& n) {
        const auto key = std::tuple(n.kind, n.dtype, n.weak, n.aux, n.aux2, n.imm);
        const auto [found, added] = leaves_.try_emplace(key, static_cast<Id>(k_.nodes.size()));
        if (added) k_.nodes.push_back(n);
        return found->second;
    }

    Id value() {
        skip_space();
        const std::size_t start = at_;
        if (accept('%')) {
            const std::uint32_t n = number("a value's number");
            const auto found = values_.find(n);
            if (found == values_.end())
                fail_at(start, fmt::format("%{} is used before its definition", n));
            return found->second;
        }
        Node n;
        n.weak = accept_word("weak");
        if (!n.weak) {
            const std::string_view w = peek_word();
            if (const auto p = params_.find(w); p != params_.end()) return leaf_of_param(param());
            n.dtype = DType::i64;
            if (accept_word("extent")) {
                expect('(');
                n.kind = NodeKind::extent;
                n.aux = param();
                expect(',');
                n.aux2 = number("a dimension");
                expect(')');
                return leaf(n);
            }
            if (w.size() > 1 && w[0] == 'i' && accept_name(dtype_table) == std::nullopt) {
                n.kind = NodeKind::index;
                take(w.substr(0, 1));
                n.aux = number("a dimension");
                return leaf(n);
            }
            at_ = start;
        }
        const auto t = accept_name(dtype_table);
        if (!t) fail("a value");
        n.dtype = static_cast<DType>(*t);
        n.imm = literal(n.dtype);
        return leaf(n);
    }

    Id leaf_of_param(std::uint32_t index) {
        Node n;
        n.kind = NodeKind::param;
        n.aux = index;
        n.dtype = k_.params[index].dtype;
        n.weak = k_.params[index].weak;
        return leaf(n);
    }

    /// `(LITERAL)` as the bits of a constant.
    std::uint64_t literal(DType t) {
        expect('(');
        skip_space();
        const std::size_t close = text_.find(')', at_);
        if (close == std::string_view::npos) fail("')'");
        const std::string_view digits = text_.substr(at_, close - at_);
        const auto bits = text::literal_bits(digits, t);
        if (!bits) fail_at(at_, fmt::format("'{}' is not a literal of {}", digits, name(t)));
        at_ = close + 1;
        return *bits;
    }

    void values(std::vector<Id>& into) {
        do into.push_back(value());
        while (accept(','));
    }
    /// `word` was read; `[subscripts]` may follow.
    void subscripts(std::vector<Id>& into) {
        if (!accept('[')) return;
        values(into);
        expect(']');
    }

    // --- statements ---

    Id parse_block(std::uint32_t* loc = nullptr) {
        const auto block = static_cast<Id>(k_.blocks.size());
        k_.blocks.emplace_back();
        expect('{');
        if (loc != nullptr) *loc = location();
        if (++depth_ > max_depth) fail(fmt::format("at most {} nested blocks", max_depth));
        while (!accept('}')) parse_statement(block);
        --depth_;
        return block;
    }

    Id add_node(Node n, const std::vector<Id>& operands) {
        n.first_operand = operands.empty() ? 0 : static_cast<std::uint32_t>(k_.operands.size());
        n.operand_count = static_cast<std::uint16_t>(operands.size());
        k_.operands.insert(k_.operands.end(), operands.begin(), operands.end());
        k_.nodes.push_back(n);
        return static_cast<Id>(k_.nodes.size() - 1);
    }
    Id list_node(Id block, const Node& n, const std::vector<Id>& operands) {
        const Id id = add_node(n, operands);
        k_.blocks[block].nodes.push_back(id);
        return id;
    }

    void parse_statement(Id block) {
        if (at('%')) return parse_definition(block);
        if (accept_word("if")) return parse_branch(block);
        if (accept_word("for")) return parse_loop(block);
        if (accept_word("while")) return parse_while(block);
        if (accept_word("launch")) return parse_launch(block);
        parse_effect(block);
    }

    void parse_branch(Id block) {
        Node n;
        n.kind = NodeKind::branch;
        n.aux2 = none;
        const Id id = list_node(block, n, {value()});
        std::uint32_t loc = 0;
        k_.nodes[id].aux = none;
        const Id then_block = parse_block(&loc);
        const Id else_block = accept_word("else") ? parse_block() : none;
        k_.nodes[id].aux = then_block;
        k_.nodes[id].aux2 = else_block;
        k_.nodes[id].loc = loc;
    }

    void parse_loop(Id block) {
        Node n;
        n.kind = NodeKind::loop;
        n.dtype = DType::i64;
        const auto [number, start] = new_number();
        std::vector<Id> operands{value()};
        expect_word("to");
        operands.push_back(value());
        expect_word("step");
        operands.push_back(value());
        if (accept_word("remainder")) n.fast |= loop_flag::remainder;
        if (accept_word("shareable")) n.fast |= loop_flag::shareable;
        n.aux2 = optional_parallel();
        n.imm = parse_tree();
        const Id id = list_node(block, n, operands);
        define(number, start, id);
        std::uint32_t loc = 0;
        const Id body = parse_block(&loc);
        k_.nodes[id].aux = body;
        k_.nodes[id].loc = loc;
    }

    void parse_launch(Id block) {
        Launch l;
        l.kernel = kernel_number('k');
        std::vector<Id> operands;
        for (const std::string_view word : {"for", "to", "step"}) {
            expect_word(word);
            operands.push_back(value());
        }
        l.parallel = optional_parallel();
        const std::uint64_t tree = parse_tree();
        l.in_place = accept_word("in_place");
        if (accept_word("streams")) {
            expect('(');
            do l.streams.push_back(param());
            while (accept(','));
            expect(')');
        }
        expect('(');
        while (!accept(')')) {
            if (!l.arguments.empty()) expect(',');
            l.arguments.push_back(argument(operands));
        }
        Node n;
        n.kind = NodeKind::launch;
        n.imm = tree;
        n.aux = static_cast<std::uint32_t>(k_.launches.size());
        n.aux2 = none;
        k_.launches.push_back(std::move(l));
        const bool otherwise = accept_word("else");
        const Id id = list_node(block, n, operands);
        std::uint32_t loc = 0;
        const Id small = otherwise ? parse_block(&loc) : none;
        k_.nodes[id].loc = otherwise ? loc : location();
        k_.nodes[id].aux2 = small;
    }

    /// What a loop or launch has for `imm`.
    std::uint64_t parse_tree() {
        if (!accept_word("blocks")) return 0;
        expect_word("of");
        Tree tree;
        tree.block = number("a number of iterations");
        if (accept_word("in")) tree.units = number("a number of units");
        if (accept_word("sums")) {
            expect('(');
            do tree.sums.push_back(slot());
            while (accept(','));
            expect(')');
        }
        k_.trees.push_back(std::move(tree));
        return k_.trees.size();
    }

    Argument argument(std::vector<Id>& operands) {
        using Kind = Argument::Kind;
        Argument a;
        a.kind = static_cast<Kind>(expect_name(text::argument_names, "the kind of an argument"));
        if (a.kind == Kind::value) operands.push_back(value());
        if (a.kind == Kind::total) a.reduction = reduction();
        if (a.kind == Kind::state) a.combine = kernel_number('c');
        if (a.kind == Kind::array || a.kind == Kind::whole) a.target = param();
        if (a.kind == Kind::local || a.kind >= Kind::place) a.target = slot();
        if (!a.is_element()) return a;
        const std::size_t before = operands.size();
        subscripts(operands);
        expect_word("by");
        expect('(');
        while (!accept(')')) {
            if (!a.strides.empty()) expect(',');
            const std::int64_t sign = accept('-') ? -1 : 1;
            a.strides.push_back(sign * static_cast<std::int64_t>(number("a stride")));
        }
        if (a.strides.size() != operands.size() - before) fail("a stride for each subscript");
        return a;
    }

    /// `sum -> v0`, or `c0 -> (v1, v2)`: one for each part.
    void stage_reduction(std::vector<StageReduction>& into) {
        const auto arrow = [&] {
            expect('-');
            expect('>');
        };
        StageReduction r;
        const std::string_view w = peek_word();
        if (w.size() < 2 || w[0] != 'c' || !text::is_digit(w[1])) {
            r.reduction = reduction();
            arrow();
            r.target = slot();
            into.push_back(r);
            return;
        }
        r.combine = kernel_number('c');
        arrow();
        expect('(');
        do {
            r.target = slot();
            into.push_back(r);
        } while (accept(','));
        expect(')');
    }

    std::uint32_t optional_parallel() {
        if (!accept_word("parallel")) return none;
        k_.parallel_loops.push_back(parallel_loop());
        return static_cast<std::uint32_t>(k_.parallel_loops.size() - 1);
    }

    ParallelLoop parallel_loop() {
        ParallelLoop p;
        p.schedule = static_cast<Schedule>(
            expect_name(text::schedule_names, "automatic, static, dynamic or guided"));
        p.chunk = this->number("a number of iterations");
        p.unsafe_races = accept_word("unsafe");
        if (accept('(')) {
            do stage_reduction(p.reductions);
            while (accept(','));
            expect(')');
        }
        if (accept_word("arrays")) {
            expect('(');
            do {
                ArrayReduction r;
                r.reduction = reduction();
                expect('-');
                expect('>');
                r.target = param();
                p.arrays.push_back(r);
            } while (accept(','));
            expect(')');
        }
        return p;
    }

    void parse_while(Id block) {
        Node n;
        n.kind = NodeKind::loop_while;
        const Id id = list_node(block, n, {none});
        std::uint32_t loc = 0;
        const Id condition_block = parse_block(&loc);
        k_.operands[k_.nodes[id].first_operand] = value();
        const Id body = parse_block();
        k_.nodes[id].aux = condition_block;
        k_.nodes[id].aux2 = body;
        k_.nodes[id].loc = loc;
    }

    struct NewNumber {
        std::uint32_t number;
        std::size_t start;
    };
    /// `%N =`
    NewNumber new_number() {
        skip_space();
        const std::size_t start = at_;
        expect('%');
        const std::uint32_t n = number("a value's number");
        expect('=');
        return {n, start};
    }
    void define(std::uint32_t number, std::size_t start, Id id) {
        if (!values_.emplace(number, id).second)
            fail_at(start, fmt::format("%{} is defined twice", number));
    }

    void parse_definition(Id block) {
        const auto [number, start] = new_number();
        Node n;
        std::vector<Id> operands;
        const auto set_type = [&] {
            const Type t = type();
            n.dtype = t.dtype;
            n.rank = t.rank;
        };
        if (accept_word("cast")) {
            n.kind = NodeKind::cast;
            set_type();
            operands.push_back(value());
        } else if (accept_word("load")) {
            n.kind = NodeKind::load;
            set_type();
            n.aux = param();
            subscripts(operands);
        } else if (accept_word("read")) {
            n.kind = NodeKind::read;
            set_type();
            n.aux = slot();
            subscripts(operands);
        } else if (accept_word("whole")) {
            n.kind = NodeKind::whole;
            set_type();
            n.aux = param();
            subscripts(operands);
            if (accept_word("drop")) n.imm = mask();
        } else if (accept_word("permute")) {
            n.kind = NodeKind::permute;
            set_type();
            operands.push_back(value());
            expect_word("axes");
            expect('(');
            for (unsigned d = 0; !accept(')'); ++d) {
                if (d != 0) expect(',');
                const std::uint32_t axis = this->number("an axis");
                if (axis > new_axis || d > 7) fail("at most 8 axes below 16");
                n.imm |= std::uint64_t(axis) << (4 * d);
            }
        } else if (accept_word("atomic")) {
            n.kind = NodeKind::atomic;
            n.aux2 = static_cast<std::uint32_t>(reduction());
            set_type();
            n.aux = param();
            subscripts(operands);
            expect(',');
            operands.push_back(value());
        } else if (accept_word("exchange")) {
            n.kind = NodeKind::exchange;
            set_type();
            n.aux = param();
            subscripts(operands);
            expect(',');
            operands.push_back(value());
            if (accept(',')) {
                n.aux2 = 1;
                operands.push_back(value());
            }
        } else if (at_word("place") || at_word("threads")) {
            n.kind = accept_word("place") ? NodeKind::place : NodeKind::threads;
            if (n.kind == NodeKind::threads) accept_word("threads");
            set_type();
            parse_simt(n, operands);
        } else if (accept_word("call")) {
            n.kind = accept_word("pure") ? NodeKind::call_pure : NodeKind::call;
            set_type();
            parse_call(n, operands, n.dtype);
        } else if (accept_word("fold")) {
            n.kind = NodeKind::fold;
            n.aux = static_cast<std::uint32_t>(reduction());
            set_type();
            operands.push_back(value());
            n.imm = axes();
        } else {
            n.kind = NodeKind::op;
            n.op = static_cast<Op>(expect_name(op_table, "an operation"));
            set_type();
            values(operands);
        }
        parse_flags(n);
        n.loc = location();
        define(number, start, list_node(block, n, operands));
    }

    void parse_simt(Node& n, std::vector<Id>& operands) {
        n.aux = static_cast<std::uint32_t>(expect_name(simt_table, "what threads do"));
        if (!info(Simt(n.aux)).operands.empty()) values(operands);
    }
    bool at_word(std::string_view word) { return peek_word() == word; }

    /// `"name"(%1, %2)`: the types of the function are those of its first call.
    void parse_call(Node& n, std::vector<Id>& operands, std::optional<DType> result) {
        HostFunction f{quoted(), result, {}, n.kind == NodeKind::call_pure};
        expect('(');
        if (!at(')')) values(operands);
        expect(')');
        for (const Id id : operands) f.params.push_back(k_.nodes[id].dtype);
        const auto known = std::ranges::find(k_.functions, f.name, &HostFunction::name);
        if (known != k_.functions.end() && *known != f)
            fail("a call of " + f.name + " with the types of its first one");
        n.aux = static_cast<std::uint32_t>(known - k_.functions.begin());
        if (known == k_.functions.end()) k_.functions.push_back(std::move(f));
    }

    std::uint64_t axes() {
        expect_word("axes");
        return mask();
    }
    std::uint64_t mask() {
        std::uint64_t mask = 0;
        expect('(');
        while (!accept(')')) {
            if (mask != 0) expect(',');
            const std::uint32_t axis = number("an axis");
            if (axis > 63) fail("an axis below 64");
            mask |= std::uint64_t(1) << axis;
        }
        return mask;
    }

    void parse_flags(Node& n) {
        if (accept_word("fast")) {
            expect('(');
            do
                n.fast |=
                    static_cast<std::uint8_t>(1U << expect_name(text::fast_names, "a fast flag"));
            while (accept(','));
            expect(')');
        }
        n.weak = accept_word("weak");
    }

    /// Statements that are a word.
    bool parse_bare(Node& n) {
        for (std::size_t kind = 0; kind < node_kinds; ++kind) {
            n.kind = static_cast<NodeKind>(kind);
            if (is_bare(n.kind) && accept_word(info(n.kind).word)) return true;
        }
        return false;
    }

    void parse_effect(Id block) {
        Node n;
        std::vector<Id> operands;
        bool has_value = true;
        if (accept_word("store")) {
            n.kind = NodeKind::store;
            n.aux = param();
            subscripts(operands);
        } else if (accept_word("write")) {
            n.kind = NodeKind::write;
            n.aux = slot();
            subscripts(operands);
        } else if (accept_word("call")) {
            n.kind = NodeKind::call;
            parse_call(n, operands, std::nullopt);
            has_value = false;
        } else if (accept_word("threads")) {
            n.kind = NodeKind::threads;
            parse_simt(n, operands);
            has_value = false;
        } else if (accept_word("contribute")) {
            n.kind = NodeKind::contribute;
            n.aux = number("the number of a reduction");
        } else if (accept_word("check")) {
            n.kind = NodeKind::check;
            n.aux =
                static_cast<std::uint32_t>(expect_name(text::check_names, "the name of a check"));
            if (static_cast<Check>(n.aux) == Check::outside_neighborhood) n.aux2 = param();
            if (!at(',')) n.imm = number("a number of extents");
            expect(',');
            values(operands);
            has_value = false;
        } else if (accept_word("assign")) {
            n.kind = NodeKind::assign;
            n.aux = param();
            subscripts(operands);
            if (accept_word("drop")) n.imm = mask();
        } else if (accept_word("allocate")) {
            n.kind = NodeKind::allocate;
            n.aux = param();
            subscripts(operands);
            if (accept_word("dynamic")) n.imm = 1;
            has_value = false;
        } else {
            has_value = false;
            if (!parse_bare(n)) fail("a statement or '}'");
        }
        if (has_value) {
            expect(',');
            operands.push_back(value());
        }
        if (n.kind == NodeKind::write && accept_word("by"))
            n.imm = std::uint64_t(kernel_number('c')) + 1;
        n.loc = location();
        list_node(block, n, operands);
    }

    static constexpr int max_depth = 500;  // the parser recurses per block

    int depth_ = 0;
    Kernel k_;
    Words params_, slots_;
    std::map<std::uint32_t, Id> values_;
    std::map<std::tuple<NodeKind, DType, bool, std::uint32_t, std::uint32_t, std::uint64_t>, Id>
        leaves_;
    std::map<std::string, std::uint32_t> file_ids_;
    std::map<std::uint64_t, std::uint32_t> location_ids_;
};

}  // namespace

Kernel parse(std::string_view text) { return Parser(text).run(); }

}  // namespace kiln::ir
