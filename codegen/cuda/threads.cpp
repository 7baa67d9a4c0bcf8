// Explicit kernels: the text of each thread, as it was written.
#include "codegen/cuda/kernel_text.h"
#include "dsl/ir/walk.h"

namespace kiln::codegen {

using namespace ir;

namespace {

/// What a block has without asking for more.
constexpr std::int64_t most_static = 48 * 1024;

class ThreadsText final : private KernelText {
  public:
    ThreadsText(const Kernel& kernel, const std::string& entry, const CodeOptions& options)
        : KernelText(kernel, entry, {}), extents_(kernel.params.size()) {
        if (options.most_threads == 0) return;
        head_ += fmt::format(" __launch_bounds__({}", options.most_threads);
        if (options.least_blocks != 0) head_ += fmt::format(", {}", options.least_blocks);
        head_ += ')';
    }

    CudaTexts run() {
        const Stage& stage = kernel_.stages[0];
        open_body();
        const std::int64_t shared = declare_shared();
        declare_slots(slots_in(stage.body));
        block(stage.body);
        close();
        for (std::size_t p = 0; p < kernel_.params.size(); ++p)
            if (is_made_by_kernel(kernel_.params[p].access)) use(p) = {};  // no arguments
        CudaTexts made;
        made.text = signature({}, {}) + body_;
        made.functions.push_back({CudaFunction::Role::threads, entry_, parameters_, 0, shared});
        return made;
    }

  private:
    std::string_view end_of_iteration(bool) const override { return "return;"; }

    std::string extent(const Node& n) override {
        if (is_made_by_kernel(kernel_.params[n.aux].access)) return extents_[n.aux][n.aux2];
        use(n.aux).extents[n.aux2] = true;
        return extent_name(n.aux, n.aux2);
    }

    /// Arrays of constant extents have memory of their own, declared in front of all others. Its bytes.
    std::int64_t declare_shared() {
        std::int64_t bytes = 0;
        bool dynamic = false;
        walk(kernel_, [&](Id id) {
            const Node& n = kernel_.node(id);
            if (n.kind != NodeKind::allocate) return;
            if (n.imm != 0) {
                dynamic = true;
                return;
            }
            std::int64_t elements = 1;
            for (const Id x : kernel_.operands_of(n)) {
                const auto extent = kernel_.constant(x).get<std::int64_t>();
                extents_[n.aux].push_back(fmt::format("{}LL", extent));
                if (__builtin_mul_overflow(elements, extent, &elements)) elements = most_static + 1;
            }
            const DType t = kernel_.params[n.aux].dtype;
            const auto item = static_cast<std::int64_t>(size_of(t));
            bytes += elements > most_static ? most_static + 1 : elements * item;
            if (bytes > most_static)
                refuse_cuda(fmt::format("{} bytes of shared memory in a block", bytes),
                            kernel_.location(n.loc),
                            "48 KiB are what a block has; cuda::dynamic_shared takes what the "
                            "launch gives");
            line("__shared__ {} {}[{}];", stored(t), params_[n.aux], elements);
        });
        if (!dynamic) return bytes;
        line("extern __shared__ unsigned char {}[];", given_);
        line("long long {} = 0;", taken_);
        return bytes;
    }

    /// The others follow each other in what the launch gives.
    void allocate(Id id, const Node& n) override {
        if (n.imm == 0) return;
        std::string elements;
        for (std::size_t d = 0; d < n.operand_count; ++d) {
            const std::string name = unique(fmt::format("{}_extent{}", params_[n.aux], d));
            line("const long long {} = {};", name, operand(id, d));
            extents_[n.aux].push_back(name);
            elements += (d == 0 ? "" : " * ") + name;
        }
        const std::string_view type = stored(kernel_.params[n.aux].dtype);
        line("{0}* const {1} = ({0}*)({2} + {3});", type, params_[n.aux], given_, taken_);
        line("{} += ({} * (long long)sizeof({}) + 15) / 16 * 16;", taken_, elements, type);
    }

    std::string element(Id id) override {
        const Node& n = kernel_.node(id);
        if (!is_made_by_kernel(kernel_.params[n.aux].access)) return KernelText::element(id);
        std::string at = operand(id, 0);
        for (std::size_t d = 1; d < extents_[n.aux].size(); ++d)
            at = fmt::format("({}) * {} + {}", at, extents_[n.aux][d], operand(id, d));
        return fmt::format("{}[{}]", params_[n.aux], at);
    }

    std::vector<std::vector<std::string>> extents_;  // of arrays that the kernel makes
    // What the launch gives, and how much of it arrays have taken; no name of an entry, kiln_...
    const std::string given_ = unique("given"), taken_ = unique("taken");
};

}  // namespace

CudaTexts threads_text(const Kernel& kernel, const std::string& entry, const CodeOptions& options) {
    return ThreadsText(kernel, entry, options).run();
}

}  // namespace kiln::codegen
