// Scans: chunks of a row are scanned by themselves, then combined with what comes before them.
//
// The kernel's lanes are a chunk: lane l combines with lane l - 1, then l - 2, l - 4 ... Chunks leave
// their totals, one thread combines these one after the other, and the chunks, computed once more,
// take what comes before. So an element is read twice and written once, and its bits depend on
// nothing but the row.
#include "codegen/cuda/reducing_text.h"

#include "dsl/ir/evaluate.h"

namespace kiln::codegen {

using namespace ir;

namespace {

class ScanText final : private KernelText {
  public:
    ScanText(const Kernel& kernel, const std::string& entry, const std::vector<bool>& by_value)
        : KernelText(kernel, entry, by_value),
          out_(static_cast<std::uint32_t>(kernel.params.size() - 1)),
          dtype_(kernel.params[out_].dtype),
          chunk_(kernel.lanes.of_register) {}

    /// One of the functions of a scan: an emitter has one body.
    std::string run(CudaFunction::Role role, CudaFunction& made) {
        const Location where = kernel_.location(kernel_.stages[0].loc);
        if (chunk_ == 0) refuse_cuda("a scan whose order is not decided", where);
        if (is_complex(dtype_)) refuse_cuda("running results of complex numbers", where);
        partials_ = unique(params_[out_] + "_partials");
        first_ = unique("even");
        second_ = unique("odd");
        results_ = role == CudaFunction::Role::scan;
        write();
        using Kind = CudaParameter::Kind;
        const std::string head =
            signature({{.kind = Kind::count, .name = "n"}},
                      {{.kind = Kind::partials, .dtype = dtype_, .name = partials_}});
        made = {role, entry_, parameters_, chunk_};
        return head + body_;
    }

    static std::string before(const Kernel& kernel, const std::string& name, CudaFunction& made) {
        return Before(kernel, name).run(made);
    }

  private:
    /// One thread: what comes before each chunk.
    class Before final : private KernelText {
      public:
        Before(const Kernel& kernel, const std::string& name) : KernelText(kernel, name, {}) {}
        std::string run(CudaFunction& made) {
            const auto carry = static_cast<std::uint32_t>(kernel_.params.size() - 2);
            const DType t = kernel_.params[carry].dtype;
            open_body();
            line("if (blockIdx.x != 0 || threadIdx.x != 0) return;");
            open("for (long long i = 0; i < n; ++i)");
            line("const {} own = partials[i];", type(t));
            line("partials[i] = before;");
            line("before = {};", combined(kernel_.scan, t, "before", "own"));
            close();
            close();
            made = {
                CudaFunction::Role::before,
                entry_,
                {{.kind = CudaParameter::Kind::count, .name = "n"},
                 {.kind = CudaParameter::Kind::value, .param = carry, .dtype = t, .name = "before"},
                 {.kind = CudaParameter::Kind::partials, .dtype = t, .name = "partials"}},
                0};
            return fmt::format(
                       "extern \"C\" __global__ void {0}(long long n, {1} before, {1}* partials)\n",
                       entry_, type(t)) +
                   body_;
        }
    };

    std::string element(Id id) override {
        return kernel_.node(id).aux == out_ ? "own" : KernelText::element(id);
    }
    std::string_view end_of_iteration(bool) const override { return "return;"; }

    void write() {
        const Id body = kernel_.stages[0].body;
        const std::string_view t = type(dtype_);
        open_body();
        preload_uniforms(body);
        open("const auto row = [&](long long i, {}& own)", t);
        declare_slots(slots_in(body));
        block(body);
        close(";");
        line("__shared__ {} {}[{}], {}[{}];", t, first_, chunk_, second_, chunk_);
        line("const long long pieces = (n + {}) / {};", chunk_ - 1, chunk_);
        open("for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x)");
        line("const long long base = piece * {};", chunk_);
        open("for (int t = threadIdx.x; t < {}; t += blockDim.x)", chunk_);
        line("{} own = {};", t, literal(neutral(kernel_.scan, dtype_), dtype_));
        line("if (base + t < n) row(base + t, own);");
        line("{}[t] = own;", first_);
        close();
        line("__syncthreads();");
        line("{0} *from = {1}, *to = {2};", t, first_, second_);
        open("for (int width = 1; width < {}; width *= 2)", chunk_);
        line("for (int t = threadIdx.x; t < {}; t += blockDim.x)", chunk_);
        line("    to[t] = t < width ? from[t] : {};",
             combined(kernel_.scan, dtype_, "from[t - width]", "from[t]"));
        line("__syncthreads();");
        line("{}* const done = to;", t);
        line("to = from;");
        line("from = done;");
        close();
        if (results_) {
            open("for (int t = threadIdx.x; t < {} && base + t < n; t += blockDim.x)", chunk_);
            line("const long long i = base + t;");
            line("const {} before = {}[piece];", t, partials_);
            line("{} = {};", output(), combined(kernel_.scan, dtype_, "before", "from[t]"));
            close();
        } else {
            line("if (threadIdx.x == 0) {}[piece] = from[{}];", partials_, chunk_ - 1);
        }
        line("__syncthreads();");
        close();
        close();
    }

    /// Where the result of iteration i goes.
    std::string output() {
        const Param& p = kernel_.params[out_];
        use(out_).data = true;
        if (p.layout == Layout::unit) return params_[out_] + "[i]";
        use(out_).strides[0] = true;
        return fmt::format("*({}*)((char*){} + i * {})", stored(dtype_), params_[out_],
                           stride_name(out_, 0));
    }

    const std::uint32_t out_;
    const DType dtype_;
    const std::int64_t chunk_;
    std::string partials_, first_, second_;
    bool results_ = false;
};

}  // namespace

CudaTexts scan_text(const Kernel& kernel, const std::string& entry,
                    const std::vector<bool>& by_value) {
    using Role = CudaFunction::Role;
    CudaTexts made;
    made.functions.resize(3);
    made.text = ScanText(kernel, entry + "_chunks", by_value).run(Role::chunks, made.functions[0]);
    made.text += "\n" + ScanText::before(kernel, entry + "_before", made.functions[1]);
    made.text += "\n" + ScanText(kernel, entry, by_value).run(Role::scan, made.functions[2]);
    return made;
}

}  // namespace kiln::codegen
