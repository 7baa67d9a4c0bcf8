// Arguments whose values the code is made for, and extents of such arrays, become constants:
//
//     for %2 = 0 to n step 1 {             for %2 = 0 to 4 step 1 {
//       %3 = load x[%2]              ->      %3 = load x[%2]
//
// Legal because the caller runs this code for these values alone (PassOptions::known). Behind the
// passes that refuse programs: whether a program is an error does not depend on the values.
#include "codegen/passes/pass.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

Scalar scalar_of(DType dtype, std::uint64_t bits) {
    Scalar value;
    value.dtype = dtype;
    std::memcpy(value.bytes.data(), &bits, sizeof bits);
    return value;
}

std::string text_of(const Scalar& value) {
    if (is_bool(value.dtype)) return value.get<bool>() ? "true" : "false";
    if (is_signed(value.dtype))
        return fmt::format("{}", value.cast(DType::i64).get<std::int64_t>());
    if (is_unsigned(value.dtype))
        return fmt::format("{}", value.cast(DType::u64).get<std::uint64_t>());
    if (value.dtype == DType::f64) return fmt::format("{}", value.get<double>());
    return fmt::format("{}", value.cast(DType::f32).get<float>());
}

class MakeConstants final : public Rewriter {
  public:
    MakeConstants(const Kernel& kernel, const std::vector<KnownNumber>& known)
        : Rewriter(kernel), known_(known) {}

  private:
    void declare() override {
        Rewriter::declare();
        for (Id id = 0; id < in().nodes.size(); ++id) {
            const Node& n = in().nodes[id];
            if (n.kind != NodeKind::param && n.kind != NodeKind::extent) continue;
            const std::uint32_t dimension = n.kind == NodeKind::extent ? n.aux2 : 0;
            const auto found = std::ranges::find_if(known_, [&](const KnownNumber& k) {
                return k.param == n.aux && k.dimension == dimension;
            });
            if (found != known_.end())
                set_mapped(id, out().constant(scalar_of(n.dtype, found->bits)));
        }
    }

    const std::vector<KnownNumber>& known_;
};

}  // namespace

std::string known_text(const std::vector<ir::Param>& params,
                       const std::vector<KnownNumber>& known) {
    std::string text;
    for (std::size_t i = 0; i < known.size(); ++i) {
        const ir::Param& p = params[known[i].param];
        text += i == 0 ? "" : ", ";
        if (p.rank == 0)
            text += fmt::format("{} is {}", p.name, text_of(scalar_of(p.dtype, known[i].bits)));
        else
            text += fmt::format("extent {} of {} is {}", known[i].dimension, p.name, known[i].bits);
    }
    return text;
}

ir::Kernel run_known(const ir::Kernel& kernel, PassContext& context) {
    const auto& known = context.options.known;
    context.decisions.done(DecisionKind::constants, {}, known_text(kernel.params, known));
    return MakeConstants(kernel, known).run();
}

}  // namespace kiln::codegen
