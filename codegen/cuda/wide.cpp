#include "codegen/cuda/wide.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {

using namespace ir;

namespace {

/// Bytes that a thread loads at once.
constexpr std::int64_t most_bytes = 16;
/// Operations of all copies of a body, an elementary function being as long as `of_function`.
constexpr std::int64_t most_operations = 256, of_function = 32;

class Accesses {
  public:
    Accesses(const Kernel& kernel, Id body, const std::vector<bool>& is_value)
        : kernel_(kernel), body_(body), is_value_(is_value), used_(kernel.params.size()) {}

    WideAccess run() {
        constexpr effect::Mask allowed =
            effect::accesses | effect::contributes | effect::checks | effect::branches;
        const bool plain = walk(kernel_, body_, [&](Id id, const Around& around) {
            const Node& n = kernel_.node(id);
            operations_ += n.kind == NodeKind::op && is_elementary(n.op) ? of_function : 1;
            if (!effects_of(n).only(allowed)) return Walk::stop;
            if (n.kind == NodeKind::load) load(id, n, around);
            if (n.kind == NodeKind::store) store(id, n, around);
            return refused_ ? Walk::stop : Walk::on;
        });
        return plain ? made() : WideAccess{};
    }

  private:
    struct Use {
        bool read = false, written = false, elsewhere = false;
    };

    bool is_own_element(Id id, const Node& n, const Around& around) const {
        const Param& p = kernel_.params[n.aux];
        return around.block == body_ && p.rank == 1 && p.layout == Layout::unit &&
               kernel_.node(kernel_.operand(id, 0)).kind == NodeKind::index;
    }
    void load(Id id, const Node& n, const Around& around) {
        if (is_value_[n.aux]) return;
        Use& use = used_[n.aux];
        const bool own = is_own_element(id, n, around);
        refused_ = !stores_.empty() && !(own && use.written);
        use.elsewhere |= !own;
        use.read |= !use.written;
    }
    void store(Id id, const Node& n, const Around& around) {
        refused_ = !is_own_element(id, n, around);
        used_[n.aux].written = true;
        std::erase(stores_, n.aux);
        stores_.push_back(n.aux);
    }

    WideAccess made() const {
        WideAccess wide;
        for (std::uint32_t p = 0; p < used_.size(); ++p) {
            if (used_[p].elsewhere && used_[p].written) return {};
            if (used_[p].read && !used_[p].elsewhere && !used_[p].written)
                wide.arrays.push_back({p, true, false});
        }
        for (const std::uint32_t p : stores_) wide.arrays.push_back({p, used_[p].read, true});
        if (wide.arrays.empty()) return {};
        std::int64_t largest = 1;
        for (const WideArray& a : wide.arrays)
            largest = std::max(largest,
                               static_cast<std::int64_t>(size_of(kernel_.params[a.param].dtype)));
        wide.width = most_bytes / largest;
        while (wide.width * operations_ > most_operations) wide.width /= 2;
        return wide.width > 1 ? wide : WideAccess{};
    }

    const Kernel& kernel_;
    const Id body_;
    const std::vector<bool>& is_value_;
    std::vector<Use> used_;              // per parameter
    std::vector<std::uint32_t> stores_;  // parameters, by their last store
    std::int64_t operations_ = 0;
    bool refused_ = false;
};

}  // namespace

WideAccess wide_accesses(const Kernel& kernel, Id body, const std::vector<bool>& is_value) {
    return Accesses(kernel, body, is_value).run();
}

}  // namespace kiln::codegen
