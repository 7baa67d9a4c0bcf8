// Reductions: totals of blocks of threads, in the order that the kernel's text says.
//
// A piece of the iterations, which ir::Tree calls a block, is taken by one block of threads, of any
// size: what threads do follows from the piece alone. ir::Lanes says how columns combine; a thread
// takes one lane of as many steps as combine one after the other.
#include "codegen/cuda/reducing_text.h"

#include "dsl/ir/combines.h"
#include "dsl/ir/evaluate.h"

#include <algorithm>

namespace kiln::codegen {

using namespace ir;

namespace {

/// Bytes of shared memory that every device gives a block.
constexpr std::int64_t most_shared = 48 * 1024;
constexpr std::int64_t threads_of_a_piece = 256;
constexpr std::int64_t warp = 32;

/// How two states of several values become one: of form `combine`.
class CombineText final : private KernelText {
  public:
    CombineText(const Kernel& kernel, const std::string& name) : KernelText(kernel, name, {}) {}

    std::string run() {
        const std::size_t parts = state_size(kernel_);
        std::string states, others;
        for (std::size_t part = 0; part < parts; ++part) {
            const auto one = [&](std::size_t p, std::string_view reference) {
                return fmt::format("{}{} {}", type(kernel_.params[p].dtype), reference, params_[p]);
            };
            states += (part == 0 ? "" : ", ") + one(part, "&");
            others += ", " + one(parts + part, "");
        }
        write(fmt::format("{}_begin({})", entry_, states), kernel_.stages[0].body);
        write(fmt::format("{}({}{})", entry_, states, others), kernel_.stages[1].body);
        return body_;
    }

  private:
    void write(const std::string& head, Id body) {
        const std::size_t parts = state_size(kernel_);
        open("__device__ inline void {}", head);
        for (std::size_t part = 0; part < parts; ++part)
            line("{} {};", type(kernel_.params[2 * parts + part].dtype), params_[2 * parts + part]);
        block(body);
        for (std::size_t part = 0; part < parts; ++part)
            line("{} = {};", params_[part], params_[2 * parts + part]);
        close();
    }
    std::string element(Id id) override { return params_[kernel_.node(id).aux]; }
};

}  // namespace

// ------------------------------------------------------------------------------ totals

void ReducingText::set_totals(const std::vector<StageReduction>& reductions) {
    for (const StageReduction& r : reductions) {
        const Slot& slot = kernel_.slots[r.target];
        if (slot.length != 1) refuse_cuda("a reduction into a local array", {});
        totals_.push_back({r.reduction, r.combine, r.target, slot.dtype});
    }
    for (std::size_t t = 0; t < totals_.size(); ++t) {
        unique(shared(t));
        unique(partials(t));
        unique(variable(t) + "_lanes");
        unique(variable(t) + "_other");
    }
}

std::string ReducingText::variable(std::size_t total) const {
    return slot_name(totals_[total].slot);
}

void ReducingText::contribute(Id id, const Node& n) {
    const Total& total = totals_[n.aux];
    const std::string name = variable(n.aux);
    line("{} = {};", name, combined(total.reduction, total.dtype, name, operand(id, 0)));
}

std::string_view ReducingText::end_of_iteration(bool) const { return "return;"; }

void ReducingText::declare_neutral() {
    for (std::size_t t = 0; t < totals_.size(); ++t) {
        const Total& total = totals_[t];
        if (total.combine == none) {
            const DType part = real_type(total.dtype);
            const std::string nothing = literal(neutral(total.reduction, part), part);
            line("{} {} = {};", type(total.dtype), variable(t),
                 is_complex(total.dtype) ? fmt::format("{{{0}, {0}}}", nothing) : nothing);
            continue;
        }
        const std::size_t parts = state_size(kernel_.combines[total.combine]);
        std::string list;
        for (std::size_t part = 0; part < parts; ++part) {
            line("{} {};", type(totals_[t + part].dtype), variable(t + part));
            list += (part == 0 ? "" : ", ") + variable(t + part);
        }
        line("{}_c{}_begin({});", entry_, total.combine, list);
        t += parts - 1;
    }
}

void ReducingText::combine(const Name& first, const Name& second) {
    for (std::size_t t = 0; t < totals_.size(); ++t) {
        const Total& total = totals_[t];
        if (total.combine == none) {
            line("{} = {};", first(t), combined(total.reduction, total.dtype, first(t), second(t)));
            continue;
        }
        const std::size_t parts = state_size(kernel_.combines[total.combine]);
        std::string list, others;
        for (std::size_t part = 0; part < parts; ++part) {
            list += (part == 0 ? "" : ", ") + first(t + part);
            others += ", " + second(t + part);
        }
        line("{}_c{}({}{});", entry_, total.combine, list, others);
        t += parts - 1;
    }
}

void ReducingText::open_row(std::string_view name, const std::vector<std::uint32_t>& own_slots) {
    std::string list = element_parameters();
    for (std::size_t t = 0; t < totals_.size(); ++t)
        list += fmt::format(", {}& {}", type(totals_[t].dtype), variable(t));
    open("const auto {} = [&](long long i{})", name, list);
    std::vector<std::uint32_t> own;
    for (const std::uint32_t s : own_slots)
        if (std::ranges::find(totals_, s, &Total::slot) == totals_.end()) own.push_back(s);
    declare_slots(own);
}

std::string ReducingText::row_arguments() const {
    std::string list;
    for (std::size_t t = 0; t < totals_.size(); ++t) list += ", " + variable(t);
    return list;
}

void ReducingText::declare_shared(std::int64_t elements) {
    std::int64_t bytes = 0;
    for (const Total& total : totals_)
        bytes += elements * static_cast<std::int64_t>(size_of(total.dtype));
    if (bytes > most_shared)
        refuse_cuda(
            fmt::format("reductions of so many values at once ({} bytes in a block)", bytes), {},
            "48 KiB are what a block of threads has room for");
    for (std::size_t t = 0; t < totals_.size(); ++t)
        line("__shared__ {} {}[{}];", type(totals_[t].dtype), shared(t), elements);
}

bool ReducingText::can_shuffle() const {
    return std::ranges::all_of(totals_, [](const Total& total) {
        return !is_complex(total.dtype) && size_of(total.dtype) >= 4;
    });
}

void ReducingText::take_shared(std::string_view at) {
    for (std::size_t t = 0; t < totals_.size(); ++t)
        line("{} {} = {}[{}];", type(totals_[t].dtype), variable(t), shared(t), at);
}

void ReducingText::shuffle() {
    for (std::size_t t = 0; t < totals_.size(); ++t)
        line("const {} {} = __shfl_down_sync(~0u, {}, width);", type(totals_[t].dtype), other()(t),
             variable(t));
}

// Blocks of other sizes have no whole warps, and take all levels through shared memory.
void ReducingText::combine_shared_pairs() {
    line("int width = 1;");
    if (can_shuffle()) {
        open("if (blockDim.x % {} == 0)", warp);
        line("const int lane = threadIdx.x % {};", warp);
        open("for (int first = threadIdx.x - lane; first < count; first += blockDim.x)");
        line("const int t = first + lane;");
        take_shared("t < count ? t : first");
        open("for (; width < {}; width *= 2)", warp);
        shuffle();
        open("if (lane % (2 * width) == 0 && t + width < count)");
        combine(own(), other());
        close();
        close();
        line("width = 1;");
        open("if (lane == 0)");
        leave("first");
        close();
        close();
        line("width = {};", warp);
        synchronise();
        close();
    }
    open("for (; width < count; width *= 2)");
    line("const int apart = 2 * width;");
    open("for (int t = threadIdx.x * apart; t + width < count; t += blockDim.x * apart)");
    combine([&](std::size_t t) { return shared(t) + "[t]"; },
            [&](std::size_t t) { return shared(t) + "[t + width]"; });
    close();
    synchronise();
    close();
}

void ReducingText::declare_shuffles() {
    if (can_shuffle())
        line("const int by_shuffles = blockDim.x % {} == 0 ? {} : 0;", warp, warp / 2);
}

void ReducingText::fold(std::int64_t width, std::int64_t last) {
    if (width < last) return;
    const std::int64_t of_warp = std::min<std::int64_t>(width, warp / 2);
    const bool by_shuffles = can_shuffle() && of_warp >= last;
    if (!by_shuffles)
        open("for (int width = {}; width >= {}; width /= 2)", width, last);
    else
        open("for (int width = {}; width >= {} && width > by_shuffles; width /= 2)", width, last);
    open("for (int t = threadIdx.x; t < width; t += blockDim.x)");
    combine(element_of_shared("t"), element_of_shared("t + width"));
    close();
    synchronise();
    close();
    if (!by_shuffles) return;
    open("if (by_shuffles != 0 && threadIdx.x < {})", warp);
    line("const int lane = threadIdx.x;");
    take_shared(2 * of_warp < warp ? fmt::format("lane < {} ? lane : 0", 2 * of_warp) : "lane");
    open("for (int width = {}; width >= {}; width /= 2)", of_warp, last);
    shuffle();
    open("if (lane < width)");
    combine(own(), other());
    close();
    close();
    open("if (lane < {})", last);
    leave("lane");
    close();
    close();
    synchronise();
}

std::vector<CudaParameter> ReducingText::partials_parameters() const {
    std::vector<CudaParameter> list;
    for (std::size_t t = 0; t < totals_.size(); ++t)
        list.push_back({CudaParameter::Kind::partials, static_cast<std::uint32_t>(t), 0,
                        totals_[t].dtype, partials(t)});
    return list;
}

std::string ReducingText::combine_functions() {
    std::string text;
    for (std::size_t c = 0; c < kernel_.combines.size(); ++c)
        text += CombineText(kernel_.combines[c], fmt::format("{}_c{}", entry_, c)).run();
    return text;
}

namespace {

/// extern "C" __global__ void kiln_f_0_pairs(long long n, long long group, long long apart, T* s)
std::string pairs_head(const std::string& name, const std::vector<CudaParameter>& partials) {
    std::string head = fmt::format(
        "extern \"C\" __global__ void {}(long long n, long long group, long long apart", name);
    for (const CudaParameter& p : partials)
        head += fmt::format(", {}* {}", info(p.dtype).cuda, p.name);
    return head + ")\n";
}

}  // namespace

CudaTexts ReducingText::pairs_function() {
    using Kind = CudaParameter::Kind;
    const std::string name = entry_ + "_pairs";
    const std::vector<CudaParameter> partial = partials_parameters();
    body_.clear();
    open_body();
    open("for (long long first = blockIdx.x * group; first < n; first += gridDim.x * group)");
    line("const long long count = n - first < group ? n - first : group;");
    open("for (long long width = 1; width < count; width *= 2)");
    open(
        "for (long long t = threadIdx.x * 2 * width; t + width < count; t += blockDim.x * 2 * "
        "width)");
    const auto at = [&](std::string_view more) {
        return [this, more](std::size_t t) {
            return fmt::format("{}[(first + t{}) * apart]", partials(t), more);
        };
    };
    combine(at(""), at(" + width"));
    close();
    synchronise();
    close();
    close();
    close();
    CudaTexts made{pairs_head(name, partial) + body_, {}};
    std::vector<CudaParameter> parameters{{.kind = Kind::count, .name = "n"},
                                          {.kind = Kind::group, .name = "group"},
                                          {.kind = Kind::apart, .name = "apart"}};
    parameters.insert(parameters.end(), partial.begin(), partial.end());
    made.functions.push_back({CudaFunction::Role::pairs, name, std::move(parameters), 0});
    return made;
}

// ------------------------------------------------------------------------------ rows as lanes

namespace {

/// A kernel of the form `reduce`.
class ReduceText final : private ReducingText {
  public:
    ReduceText(const Kernel& kernel, const std::string& entry, const std::vector<bool>& by_value,
               std::int64_t block)
        : ReducingText(kernel, entry, by_value), piece_(block) {}

    CudaTexts run() {
        const Location where = kernel_.location(kernel_.stages[0].loc);
        if (kernel_.stages.size() != 3 || kernel_.lanes.levels == 0)
            refuse_cuda("a reduction whose order is not decided", where);
        for (const Param& p : kernel_.params)
            if (p.rank > 1)
                refuse_cuda(fmt::format("reductions of arrays of rank {}", p.rank), where);
        row_ = &kernel_.stages[1];
        set_totals(row_->reductions);
        for (std::uint32_t p = 0; p < kernel_.params.size(); ++p)
            if (kernel_.params[p].access == Access::out) outputs_.push_back(p);
        check_outputs(where);
        write();
        std::vector<CudaParameter> partials;
        for (std::uint32_t o = 0; o < outputs_.size(); ++o)
            partials.push_back({CudaParameter::Kind::partials, o, 0,
                                kernel_.params[outputs_[o]].dtype,
                                params_[outputs_[o]] + "_partials"});
        CudaTexts made;
        const std::string head =
            signature({{.kind = CudaParameter::Kind::count, .name = "n"}}, partials);
        made.text = combine_functions() + head + body_;
        made.functions.push_back({CudaFunction::Role::blocks, entry_, parameters_, piece_});
        CudaTexts pairs = pairs_function();
        made.text += "\n" + pairs.text;
        made.functions.push_back(pairs.functions[0]);
        return made;
    }

  private:
    /// Totals are stored to outputs, those of a piece beside each other.
    std::string element(Id id) override {
        const std::uint32_t p = kernel_.node(id).aux;
        if (std::ranges::find(outputs_, p) == outputs_.end()) return KernelText::element(id);
        return params_[p] + "_partials[piece]";
    }

    /// Output o gets total o: launches and `pairs` go by that.
    void check_outputs(const Location& where) const {
        std::size_t o = 0;
        bool fits = outputs_.size() == totals_.size();
        for (const Id id : kernel_.blocks[kernel_.stages[2].body].nodes) {
            const Node& n = kernel_.node(id);
            if (n.kind != NodeKind::store) continue;
            const Node& stored = kernel_.node(kernel_.operand(id, n.operand_count - 1U));
            fits = fits && o < outputs_.size() && n.aux == outputs_[o] &&
                   stored.kind == NodeKind::read && stored.aux == totals_[o].slot;
            ++o;
        }
        if (!fits || o != outputs_.size())
            refuse_cuda("a reduction that stores something else than its totals", where);
    }

    void write() {
        const Lanes& l = kernel_.lanes;
        const std::int64_t lanes = std::int64_t(l.of_register) * l.registers;
        const std::int64_t steps = std::max<std::int64_t>(1, piece_ / lanes);
        open_body();
        preload_uniforms(row_->body);
        const bool wide = find_wide(row_->body, {lanes, piece_});
        open_row("row", slots_in(row_->body));
        block(row_->body);
        close(";");
        declare_shared(std::max((steps + l.fan_in - 1) / l.fan_in * lanes, lanes));
        if (wide) line("const bool wide = {};", are_aligned());
        line("const long long pieces = (n + {}) / {};", piece_ - 1, piece_);
        declare_shuffles();
        open("for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x)");
        line("const long long base = piece * {};", piece_);
        line("const int count = (int)(n - base < {0} ? n - base : {0});", piece_);
        line("const int steps = count / {};", lanes);
        line("int groups = (steps + {}) / {}, width = {};", l.fan_in - 1, l.fan_in, lanes);
        if (wide) {
            open("if (wide)");
            write_wide_steps(lanes);
            --indent_;
            open("}} else");
        }
        write_steps(lanes);
        if (wide) close();
        synchronise();
        for (unsigned level = 1; level + 1 < l.levels; ++level) write_level(lanes);
        write_lanes(lanes);
        fold(lanes / 2, l.tail);
        write_tail(lanes);
        fold(l.tail / 2, 1);
        open("if (threadIdx.x == 0)");
        write_results();
        close();
        synchronise();
        close();
        close();
    }

    /// Each thread combines the columns of one lane in a group of steps.
    void write_steps(std::int64_t lanes) {
        const std::uint32_t fan_in = kernel_.lanes.fan_in;
        open("for (int t = threadIdx.x; t < groups * {}; t += blockDim.x)", lanes);
        declare_neutral();
        line("const int first = t / {} * {};", lanes, fan_in);
        line("const int end = first + {0} < steps ? first + {0} : steps;", fan_in);
        open("for (int k = first; k < end; ++k)");
        line("row(base + k * {0} + t % {0}{1}{2});", lanes,
             elements(fmt::format("base + k * {0} + t % {0}", lanes)), row_arguments());
        close();
        leave("t");
        close();
    }

    /// The same of adjacent lanes, whose columns are vectors.
    void write_wide_steps(std::int64_t lanes) {
        const std::uint32_t fan_in = kernel_.lanes.fan_in;
        const std::int64_t vectors = lanes / width();
        const auto each_lane = [&] {
            line("#pragma unroll");
            open("for (int j = 0; j < {}; ++j)", width());
        };
        open("for (int t = threadIdx.x; t < groups * {}; t += blockDim.x)", vectors);
        std::string arguments;
        for (std::size_t t = 0; t < totals_.size(); ++t) {
            line("{} {}[{}];", type(totals_[t].dtype), of_lanes(t), width());
            arguments += fmt::format(", {}[j]", of_lanes(t));
        }
        each_lane();
        declare_neutral();
        for (std::size_t t = 0; t < totals_.size(); ++t)
            line("{}[j] = {};", of_lanes(t), variable(t));
        close();
        line("const int first = t / {} * {};", vectors, fan_in);
        line("const int end = first + {0} < steps ? first + {0} : steps;", fan_in);
        open("for (int k = first; k < end; ++k)");
        line("const long long vector = (base + k * {}) / {} + t % {};", lanes, width(), vectors);
        load_vectors("vector");
        each_lane();
        line("row({} * vector + j{}{});", width(), elements_of_vectors("j"), arguments);
        close();
        store_vectors("vector");
        close();
        each_lane();
        for (std::size_t t = 0; t < totals_.size(); ++t)
            line("{}[{} * t + j] = {}[j];", shared(t), width(), of_lanes(t));
        close();
        close();
    }
    std::string of_lanes(std::size_t total) const { return variable(total) + "_lanes"; }

    /// So many groups become one; those that are left are `width` elements apart.
    void write_level(std::int64_t lanes) {
        const std::uint32_t fan_in = kernel_.lanes.fan_in;
        open("for (int t = threadIdx.x; t < (groups + {}) / {} * {}; t += blockDim.x)", fan_in - 1,
             fan_in, lanes);
        declare_neutral();
        line("const int first = t / {} * {};", lanes, fan_in);
        line("const int end = first + {0} < groups ? first + {0} : groups;", fan_in);
        open("for (int k = first; k < end; ++k)");
        combine(own(), element_of_shared(fmt::format("k * width + t % {}", lanes)));
        close();
        leave(fmt::format("first * width + t % {}", lanes));
        close();
        line("groups = (groups + {}) / {};", fan_in - 1, fan_in);
        line("width *= {};", fan_in);
        synchronise();
    }

    void write_lanes(std::int64_t lanes) {
        open("for (int t = threadIdx.x; t < {}; t += blockDim.x)", lanes);
        declare_neutral();
        line("for (int k = 0; k < groups; ++k) {{");
        ++indent_;
        combine(own(), element_of_shared("k * width + t"));
        close();
        leave("t");
        close();
        synchronise();
    }

    void write_tail(std::int64_t lanes) {
        open("for (int t = threadIdx.x; t < {}; t += blockDim.x)", kernel_.lanes.tail);
        line("for (int k = steps * {} + t; k < count; k += {}) row(base + k{}{});", lanes,
             kernel_.lanes.tail, elements("base + k"), [&] {
                 std::string list;
                 for (std::size_t t = 0; t < totals_.size(); ++t) list += ", " + shared(t) + "[t]";
                 return list;
             }());
        close();
        synchronise();
    }

    /// What the slots hold before, with the totals; then the stores.
    void write_results() {
        std::vector<std::uint32_t> slots = slots_in(kernel_.stages[0].body);
        for (const Total& total : totals_)
            if (std::ranges::find(slots, total.slot) == slots.end()) slots.push_back(total.slot);
        for (const std::uint32_t s : slots_in(kernel_.stages[2].body))
            if (std::ranges::find(slots, s) == slots.end()) slots.push_back(s);
        declare_slots(slots);
        block(kernel_.stages[0].body);
        combine(own(), element_of_shared("0"));
        block(kernel_.stages[2].body);
    }

    const std::int64_t piece_;
    const Stage* row_ = nullptr;
    std::vector<std::uint32_t> outputs_;
};

// ------------------------------------------------------------------------------ loops

/// A launched program: one parallel loop, whose iterations are dealt out to threads.
class LoopText final : private ReducingText {
  public:
    LoopText(const Kernel& kernel, const std::string& entry, const Launch& launch)
        : ReducingText(kernel, entry, {}),
          loop_(kernel.node(kernel.blocks[kernel.stages[0].body].nodes[0])),
          reductions_(kernel.parallel(loop_)->reductions) {
        for (std::uint32_t p = 0; p < launch.arguments.size(); ++p) {
            const Argument& a = launch.arguments[p];
            if (a.kind != Argument::Kind::place) continue;
            place_slot(a.target, p);
        }
    }

    CudaTexts run() {
        using Kind = CudaParameter::Kind;
        if (!kernel_.parallel(loop_)->arrays.empty())
            refuse_cuda("reductions into arrays", kernel_.location(loop_.loc));
        CudaTexts made;
        if (reductions_.empty()) {
            write_map();
            const std::string head = signature({{.kind = Kind::count, .name = "n"},
                                                {.kind = Kind::begin, .name = "begin"},
                                                {.kind = Kind::step, .name = "step"}},
                                               {});
            made.text = head + body_;
            made.functions.push_back({CudaFunction::Role::map, entry_, parameters_, 0});
            return made;
        }
        const Tree* const tree = kernel_.tree(loop_);
        if (tree == nullptr || tree->block != 1)
            refuse_cuda("a reduction in the order of CPUs", kernel_.location(loop_.loc));
        set_totals(reductions_);
        write_blocks();
        const std::string head = signature({{.kind = Kind::count, .name = "n"},
                                            {.kind = Kind::unit, .name = "unit"},
                                            {.kind = Kind::begin, .name = "begin"},
                                            {.kind = Kind::step, .name = "step"}},
                                           partials_parameters());
        made.text = combine_functions() + head + body_;
        made.functions.push_back(
            {CudaFunction::Role::blocks, entry_, parameters_, threads_of_a_piece});
        CudaTexts pairs = pairs_function();
        made.text += "\n" + pairs.text;
        made.functions.push_back(pairs.functions[0]);
        return made;
    }

  private:
    std::string extent(const Node& n) override {
        use(n.aux).extents[n.aux2] = true;
        return extent_name(n.aux, n.aux2);
    }
    std::string_view end_of_iteration(bool) const override {
        return reductions_.empty() ? "continue;" : "return;";
    }

    void write_index() {
        const Id id = kernel_.blocks[kernel_.stages[0].body].nodes[0];
        const std::string k = fresh('k');
        name_value(id, k);
        line("const long long {} = begin + i * step;", k);
    }

    void write_map() {
        open_body();
        line("const long long threads = (long long)gridDim.x * blockDim.x;");
        open(
            "for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += "
            "threads)");
        declare_slots(slots_in(loop_.aux));
        write_index();
        block(loop_.aux);
        close();
        close();
    }

    void write_blocks() {
        open_body();
        open_row("iteration", slots_in(loop_.aux));
        write_index();
        block(loop_.aux);
        close(";");
        declare_shared(threads_of_a_piece);
        line("const long long of_unit = (unit + {}) / {};", threads_of_a_piece - 1,
             threads_of_a_piece);
        line("const long long pieces = n / unit * of_unit + (n % unit + {}) / {};",
             threads_of_a_piece - 1, threads_of_a_piece);
        open("for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x)");
        line(
            "const long long end = (piece / of_unit + 1) * unit < n ? (piece / of_unit + 1) * unit "
            ": n;");
        line("const long long base = piece / of_unit * unit + piece % of_unit * {};",
             threads_of_a_piece);
        line("const int count = (int)(end - base < {0} ? end - base : {0});", threads_of_a_piece);
        open("for (int t = threadIdx.x; t < count; t += blockDim.x)");
        declare_neutral();
        line("iteration(base + t{});", row_arguments());
        for (std::size_t t = 0; t < totals_.size(); ++t)
            line("{}[t] = {};", shared(t), variable(t));
        close();
        synchronise();
        combine_shared_pairs();
        open("if (threadIdx.x == 0)");
        for (std::size_t t = 0; t < totals_.size(); ++t)
            line("{}[piece] = {}[0];", partials(t), shared(t));
        close();
        synchronise();
        close();
        close();
    }

    const Node& loop_;
    const std::vector<StageReduction>& reductions_;
};

}  // namespace

CudaTexts reduce_text(const Kernel& kernel, const std::string& entry,
                      const std::vector<bool>& by_value, std::int64_t block) {
    return ReduceText(kernel, entry, by_value, block).run();
}

CudaTexts loop_text(const Kernel& kernel, const std::string& entry, const Launch& launch) {
    return LoopText(kernel, entry, launch).run();
}

}  // namespace kiln::codegen
