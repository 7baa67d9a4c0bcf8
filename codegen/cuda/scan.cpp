// Scans: chunks of a row are scanned by themselves, then combined with what comes before them.
//
// The kernel's lanes are a chunk: lane l combines with lane l - 1, then l - 2, l - 4 ... Chunks leave
// their totals, one thread combines these one after the other, and the chunks, computed once more,
// take what comes before. So an element is read twice and written once, and its bits depend on
// nothing but the row.
#include "codegen/cuda/reducing_text.h"

#include "dsl/ir/evaluate.h"

#include <algorithm>
#include <iterator>

namespace kiln::codegen {

using namespace ir;

namespace {

using Kind = CudaParameter::Kind;

/// What the functions of a scan share.
class ScanText : protected KernelText {
  protected:
    ScanText(const Kernel& kernel, const std::string& entry, const std::vector<bool>& by_value)
        : KernelText(kernel, entry, by_value),
          out_(static_cast<std::uint32_t>(kernel.params.size() - 1)),
          dtype_(kernel.params[out_].dtype),
          chunk_(kernel.lanes.of_register),
          t_(type(dtype_)) {}

    const std::uint32_t out_;
    const DType dtype_;
    const std::int64_t chunk_;
    const std::string_view t_;
};

/// A function that all threads of a block call: the chunk from iteration `base` on, scanned by itself, in
/// one of two rows of shared memory, which it gives.
class ChunkText final : private ScanText {
  public:
    ChunkText(const Kernel& kernel, const std::string& entry, const std::vector<bool>& by_value)
        : ScanText(kernel, entry + "_chunk", by_value) {
        const Location where = kernel_.location(kernel_.stages[0].loc);
        if (chunk_ == 0) refuse_cuda("a scan whose order is not decided", where);
        if (is_complex(dtype_)) refuse_cuda("running results of complex numbers", where);
        head_ = fmt::format("__device__ {}*", t_);
    }

    std::string run() {
        write();
        return signature({{.kind = Kind::count, .name = "n"}},
                         {{.kind = Kind::base, .name = "base"},
                          {.kind = Kind::row, .dtype = dtype_, .name = "from"},
                          {.kind = Kind::row, .dtype = dtype_, .name = "to"}}) +
               body_;
    }
    const std::string& name() const { return entry_; }
    const std::vector<CudaParameter>& parameters() const { return parameters_; }
    const auto& uses_of(std::size_t p) { return use(p); }

  private:
    std::string element(Id id) override {
        return kernel_.node(id).aux == out_ ? "own" : KernelText::element(id);
    }
    std::string_view end_of_iteration(bool) const override { return "return;"; }

    void write() {
        const Id body = kernel_.stages[0].body;
        open_body();
        preload_uniforms(body, "return from");
        open("const auto row = [&](long long i, {}& own)", t_);
        declare_slots(slots_in(body));
        block(body);
        close(";");
        open("for (int t = threadIdx.x; t < {}; t += blockDim.x)", chunk_);
        line("{} own = {};", t_, literal(neutral(kernel_.scan, dtype_), dtype_));
        line("if (base + t < n) row(base + t, own);");
        line("from[t] = own;");
        close();
        line("__syncthreads();");
        open("for (int width = 1; width < {}; width *= 2)", chunk_);
        line("for (int t = threadIdx.x; t < {}; t += blockDim.x)", chunk_);
        line("    to[t] = t < width ? from[t] : {};",
             combined(kernel_.scan, dtype_, "from[t - width]", "from[t]"));
        line("__syncthreads();");
        line("{}* const done = to;", t_);
        line("to = from;");
        line("from = done;");
        close();
        line("return from;");
        close();
    }
};

/// The kernels that call it: the totals of all chunks; and the results, with what comes before each.
class ChunksText final : private ScanText {
  public:
    ChunksText(const Kernel& kernel, const std::string& entry, const std::vector<bool>& by_value)
        : ScanText(kernel, entry, by_value) {}

    std::string run(CudaFunction::Role role, ChunkText& chunk, CudaFunction& made) {
        for (std::size_t p = 0; p < kernel_.params.size(); ++p) use(p) = chunk.uses_of(p);
        partials_ = unique(params_[out_] + "_partials");
        write(role == CudaFunction::Role::scan, chunk);
        std::vector<CudaParameter> last = {
            {.kind = Kind::partials, .dtype = dtype_, .name = partials_}};
        std::ranges::copy_if(chunk.parameters(), std::back_inserter(last),
                             [](const CudaParameter& p) { return p.kind == Kind::fault; });
        const std::string head = signature({{.kind = Kind::count, .name = "n"}}, std::move(last));
        made = {role, entry_, parameters_, chunk_};
        return head + body_;
    }

  private:
    void write(bool results, const ChunkText& chunk) {
        const std::string first = unique("even"), second = unique("odd");
        std::string arguments;
        for (const CudaParameter& p : chunk.parameters())
            if (p.kind != Kind::base && p.kind != Kind::row) arguments += p.name + ", ";
        open_body();
        line("__shared__ {} {}[{}], {}[{}];", t_, first, chunk_, second, chunk_);
        line("const long long pieces = (n + {}) / {};", chunk_ - 1, chunk_);
        open("for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x)");
        line("const long long base = piece * {};", chunk_);
        line("const {}* const from = {}({}base, {}, {});", t_, chunk.name(), arguments, first,
             second);
        if (results) {
            open("for (int t = threadIdx.x; t < {} && base + t < n; t += blockDim.x)", chunk_);
            line("const long long i = base + t;");
            line("const {} before = {}[piece];", t_, partials_);
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

    std::string partials_;
};

/// What comes before each chunk. The order is that of the row, so one thread combines, while all
/// threads of its block load and store tiles.
class BeforeText final : private KernelText {
  public:
    BeforeText(const Kernel& kernel, const std::string& name) : KernelText(kernel, name, {}) {}
    std::string run(CudaFunction& made) {
        const auto carry = static_cast<std::uint32_t>(kernel_.params.size() - 2);
        const DType t = kernel_.params[carry].dtype;
        open_body();
        line("if (blockIdx.x != 0) return;");
        line("__shared__ {} tile[{}];", type(t), tile);
        open("for (long long base = 0; base < n; base += {})", tile);
        line("const int count = (int)(n - base < {0} ? n - base : {0});", tile);
        line("for (int t = threadIdx.x; t < count; t += blockDim.x) tile[t] = partials[base + t];");
        line("__syncthreads();");
        open("for (int t = 0; threadIdx.x == 0 && t < count; ++t)");
        line("const {} own = tile[t];", type(t));
        line("tile[t] = before;");
        line("before = {};", combined(kernel_.scan, t, "before", "own"));
        close();
        line("__syncthreads();");
        line("for (int t = threadIdx.x; t < count; t += blockDim.x) partials[base + t] = tile[t];");
        line("__syncthreads();");
        close();
        close();
        made = {CudaFunction::Role::before,
                entry_,
                {{.kind = Kind::count, .name = "n"},
                 {.kind = Kind::value, .param = carry, .dtype = t, .name = "before"},
                 {.kind = Kind::partials, .dtype = t, .name = "partials"}},
                0};
        return fmt::format(
                   "extern \"C\" __global__ void {0}(long long n, {1} before, {1}* partials)\n",
                   entry_, type(t)) +
               body_;
    }

  private:
    static constexpr int tile = 1024;
};

}  // namespace

CudaTexts scan_text(const Kernel& kernel, const std::string& entry,
                    const std::vector<bool>& by_value) {
    using Role = CudaFunction::Role;
    CudaTexts made;
    made.functions.resize(3);
    ChunkText chunk(kernel, entry, by_value);
    made.text = chunk.run();
    made.text +=
        "\n" +
        ChunksText(kernel, entry + "_chunks", by_value).run(Role::chunks, chunk, made.functions[0]);
    made.text += "\n" + BeforeText(kernel, entry + "_before").run(made.functions[1]);
    made.text +=
        "\n" + ChunksText(kernel, entry, by_value).run(Role::scan, chunk, made.functions[2]);
    return made;
}

}  // namespace kiln::codegen
