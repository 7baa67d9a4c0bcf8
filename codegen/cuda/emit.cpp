// Modules: the functions of all kernels that a program launches, or the one of a map.
#include "codegen/cuda/emit.h"

#include "codegen/abi.h"
#include "codegen/cuda/kernel_text.h"
#include "codegen/cuda/prelude.h"
#include "codegen/trees.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace kiln::codegen {

using namespace ir;

namespace {

/// Element-wise kernels: iterations are dealt out to any grid.
class MapText final : private KernelText {
  public:
    MapText(const Kernel& kernel, const std::string& entry, const std::vector<bool>& by_value)
        : KernelText(kernel, entry, by_value), launched_(!by_value.empty()) {}

    CudaTexts run() {
        require_elementwise();
        if (!launched_) take_all();
        const Stage& stage = kernel_.stages[0];
        open_body();
        preload_uniforms(stage.body);
        line("const long long step = (long long)gridDim.x * blockDim.x;");
        if (find_wide(stage.body))
            write_vectors(stage);
        else
            write_elements(stage);
        close();
        CudaTexts made;
        made.text = signature({{.kind = CudaParameter::Kind::count, .name = "n"}}, {}) + body_;
        made.functions.push_back({CudaFunction::Role::map, entry_, parameters_, 0});
        return made;
    }

  private:
    void write_elements(const Stage& stage) {
        open(
            "for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += "
            "step)");
        // A jump to `next` leaves the scope of all values that it skips.
        const bool jumps = has_inner_return(stage.body);
        if (jumps) open_body();
        declare_slots(slots_in(stage.body));
        block(stage.body);
        if (jumps) {
            close();
            line("next:;");
        }
        close();
    }

    /// Groups of iterations by vectors; those that are left, or all, one by one.
    void write_vectors(const Stage& stage) {
        const std::string row = unique("element"), first = unique("taken"), v = unique("group");
        open("const auto {} = [&](long long i{})", row, element_parameters());
        declare_slots(slots_in(stage.body));
        block(stage.body);
        close(";");
        line("const long long thread = blockIdx.x * (long long)blockDim.x + threadIdx.x;");
        line("long long {} = 0;", first);
        open("if ({})", are_aligned());
        line("{} = n / {} * {};", first, width(), width());
        open("for (long long {0} = thread; {0} < n / {1}; {0} += step)", v, width());
        load_vectors(v);
        line("#pragma unroll");
        line("for (int j = 0; j < {}; ++j) {}({} * {} + j{});", width(), row, v, width(),
             elements_of_vectors("j"));
        store_vectors(v);
        close();
        close();
        line("for (long long i = {} + thread; i < n; i += step) {}(i{});", first, row,
             elements("i"));
    }

    /// Who calls it has all parameters.
    void take_all() {
        for (std::size_t p = 0; p < kernel_.params.size(); ++p) {
            use(p).data = true;
            if (kernel_.params[p].access != Access::value)
                use(p).strides[0] = kernel_.params[p].layout == Layout::strided;
        }
    }

    void require_elementwise() const {
        if (kernel_.stages.size() != 1) refuse_cuda("kernels of several stages", {});
        const Stage& stage = kernel_.stages[0];
        const Location where = kernel_.location(stage.loc);
        if (stage.extents.size() != 1) refuse_cuda("stages of several dimensions", where);
        if (!stage.reductions.empty()) refuse_cuda("reductions", where);
        for (const Param& p : kernel_.params)
            if (p.access != Access::value && p.rank != 1)
                refuse_cuda("arrays of rank " + std::to_string(p.rank), where);
    }

    const bool launched_;
};

/// A kernel that others launch, or that is launched itself: a map.
CudaTexts text_of(const Kernel& kernel, const std::string& entry, const std::vector<bool>& values,
                  const Launch* launch, const Tree* tree) {
    switch (kernel.form) {
        case Form::map: return map_text(kernel, entry, values);
        case Form::reduce:
            return reduce_text(kernel, entry, values,
                               tree == nullptr ? tree::vector_block_iterations : tree->block);
        case Form::scan: return scan_text(kernel, entry, values);
        case Form::program:
            if (launch != nullptr) return loop_text(kernel, entry, *launch);
            break;
        case Form::threads:
        case Form::combine: break;
    }
    throw Error(ErrorKind::internal, "no kernel that is launched");
}

/// The functions of a program's launches: one set for those of one kernel that give values, and
/// combine, alike.
class DeviceProgram {
  public:
    explicit DeviceProgram(const Kernel& kernel) : kernel_(kernel) {}

    CudaModule run() {
        made_.launches.resize(kernel_.launches.size());
        walk(kernel_, [&](Id id) {
            const Node& n = kernel_.node(id);
            const Location where = kernel_.location(n.loc);
            if (n.kind == NodeKind::launch) launch(n, where);
            if (n.kind == NodeKind::call || n.kind == NodeKind::call_pure)
                refuse_cuda(fmt::format("calls of functions of the host program ({})",
                                        kernel_.functions[n.aux].name),
                            where);
        });
        if (texts_.empty()) made_.text = fmt::format("// The host runs all of {}.\n", kernel_.name);
        for (std::size_t i = 0; i < texts_.size(); ++i)
            made_.text += fmt::format("{}{}{}", i == 0 ? "" : "\n", lines_[i], texts_[i]);
        return std::move(made_);
    }

  private:
    struct Known {
        std::uint32_t kernel;
        std::vector<bool> values;
        std::int64_t block;
        auto operator<=>(const Known&) const = default;
    };

    void launch(const Node& n, const Location& where) {
        const Launch& l = kernel_.launches[n.aux];
        if (!l.streams.empty()) refuse_cuda("stores past the caches", where);
        const Tree* const tree = kernel_.tree(n);
        Known known{l.kernel, {}, tree == nullptr ? 0 : tree->block};
        for (const Argument& a : l.arguments)
            known.values.push_back(a.kind == Argument::Kind::value ||
                                   a.kind == Argument::Kind::first ||
                                   a.kind == Argument::Kind::step);
        const auto [at, added] = known_.try_emplace(known, texts_.size());
        if (added) {
            const std::string entry = fmt::format("{}_{}", cuda_entry_name(kernel_), texts_.size());
            CudaTexts made = text_of(kernel_.outlined[l.kernel], entry, known.values, &l, tree);
            texts_.push_back(std::move(made.text));
            lines_.emplace_back();
            functions_.emplace_back();
            for (CudaFunction& f : made.functions) {
                functions_.back().push_back(made_.functions.size());
                made_.functions.push_back(std::move(f));
            }
        }
        CudaLaunch& launched = made_.launches[n.aux];
        launched.functions = functions_[at->second];
        launched.totals = totals(l);
        if (where.line != 0)
            lines_[at->second] +=
                fmt::format("// the loop of {}:{}\n", where.short_file(), where.line);
    }

    std::vector<std::uint32_t> totals(const Launch& l) const {
        std::vector<std::uint32_t> slots;
        const Kernel& launched = kernel_.outlined[l.kernel];
        if (launched.is_program()) {
            const Node& loop = launched.node(launched.blocks[launched.stages[0].body].nodes[0]);
            for (const StageReduction& r : launched.parallel(loop)->reductions)
                slots.push_back(r.target);
        }
        for (const Argument& a : l.arguments)
            if (a.kind == Argument::Kind::total || a.kind == Argument::Kind::state)
                slots.push_back(a.target);
        return slots;
    }

    const Kernel& kernel_;
    CudaModule made_;
    std::map<Known, std::size_t> known_;
    std::vector<std::string> texts_, lines_;  // lines: comments of where they are launched
    std::vector<std::vector<std::size_t>> functions_;
};

}  // namespace

CudaTexts map_text(const Kernel& kernel, const std::string& entry,
                   const std::vector<bool>& by_value) {
    return MapText(kernel, entry, by_value).run();
}

std::string cuda_entry_name(const Kernel& kernel) {
    std::string name = "kiln_";
    for (const char c : kernel.name)
        name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    if (is_cuda_prelude_name(name)) name += "_kernel";
    return name;
}

CudaModule emit_cuda_module(const Kernel& kernel, const CodeOptions& options) {
    CudaModule made;
    if (kernel.is_program()) {
        made = DeviceProgram(kernel).run();
    } else {
        const std::string entry = cuda_entry_name(kernel);
        CudaTexts texts = kernel.form == Form::threads
                              ? threads_text(kernel, entry, options)
                              : text_of(kernel, entry, {}, nullptr, nullptr);
        made.text = std::move(texts.text);
        made.functions = std::move(texts.functions);
        made.launches.emplace_back();
        for (std::size_t f = 0; f < made.functions.size(); ++f)
            made.launches[0].functions.push_back(f);
    }
    const std::string prelude = cuda_prelude_for(made.text);
    made.text = prelude + (prelude.empty() ? "" : "\n") + made.text;
    return made;
}

std::string emit_cuda(const Kernel& kernel) { return emit_cuda_module(kernel).text; }

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
