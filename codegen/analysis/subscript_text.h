// Elements of arrays as a user would write them, for errors and remarks: a(2*i+1, j).
#pragma once
#include "codegen/analysis/affine.h"

namespace kiln::codegen {

/// Spells what the body of a loop computes: its index is i, indices of loops inside are j, k, l ...
/// by their depth. Letters that parameters have are skipped. Variables are called by the line that
/// declares them.
class SubscriptText {
  public:
    SubscriptText(const ir::Kernel& kernel, ir::Id loop, const AffineForms& forms);
    /// The element that a load, store or atomic names; the array alone where it is all of them.
    std::string element(ir::Id access) const;

  private:
    std::string element_of(const ir::Node& access, int depth) const;
    std::optional<std::string> slice(ir::Id subscript, int depth) const;
    std::string array(const ir::Node& at) const;
    std::string value(ir::Id id, int binding, int depth) const;
    std::string operation(ir::Id id, int binding, int depth) const;
    std::string constant(ir::Id id) const;
    void name_loops(ir::Id block, std::size_t level);

    const ir::Kernel& kernel_;
    const AffineForms& forms_;
    std::vector<std::string> letters_;
    std::map<ir::Id, std::string> loops_;
};

}  // namespace kiln::codegen
